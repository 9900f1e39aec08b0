//! A ConnectX at register level: a PCI function that a driver for such a NIC believes.
//!
//! ```text
//!  driver ──registers──▶ Registers ─ asked ─▶ turn ─▶ Core ─▶ commands, queues, steering
//!         ◀─interrupts── Interrupts ◀──────────────────┤
//!         ◀───memory───▶ Reachable ◀───────────────────┘
//! ```
//!
//! A write to a register only notes what was asked; [`ConnectX::turn`] does it, in an order that
//! depends on nothing but what was asked. [`ConnectX::open`] has a thread that turns when it is
//! rung for, [`ConnectX::stepped`] turns when it is told to.
//!
//! * `config`, `registers`, `interrupts`, `memory`: the PCI function.
//! * `command`: the command queue and what is the same for all commands; `syndrome`: why one was
//!   refused; `trace`: commands in words.
//! * `function`, `pages`, `capability`, `health`: its life, its memory, what it can do, how it is.
//! * `register_access`: registers by number, and what the device says of itself.
//! * `objects`: what commands create, and who refers to whom; event and completion queues, memory
//!   keys.
//!
//! It is strict: what a driver must not do is refused with a number of its own
//! ([`Syndrome`]), or noted where nobody can be told ([`ConnectX::violations`]). It trusts
//! nothing that it reads.

mod capability;
mod command;
mod config;
mod core;
mod datapath;
mod faults;
mod function;
mod health;
mod interrupts;
mod memory;
mod objects;
mod pages;
mod port;
mod profile;
mod register_access;
mod registers;
mod settings;
mod steering;
mod syndrome;
mod trace;
mod vport;
mod wires;

pub use self::core::Statistics;
pub use self::datapath::send::Reason;
pub use faults::{Failure, Faults as ConnectXFaults};
pub use settings::ConnectXSettings;
pub use syndrome::{FIRST as FIRST_SYNDROME, LAST as LAST_SYNDROME, Syndrome};

use self::config::{Asks, Config};
use self::core::{Bus, Core};
use self::interrupts::Interrupts;
use self::memory::Reachable;
use self::registers::Registers;
use self::trace::Trace;
use self::wires::vport_of;
use crate::wire::{Bell, wait_readable};
use clock::Clock;
use hal::pci::{BarFault, Endpoint, Iova, SharedMemory};
use hal::{PortError, Work};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// The registers' BAR.
const BAR: u8 = 0;
/// Turns without work after some before the thread sleeps.
const SPIN: u32 = 20;
/// Longest sleep, milliseconds.
const SLEEP_MS: u32 = 1000;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device. Where two locks are held at once, they are taken in the order of the fields.
struct Shared {
    name: String,
    clock: Clock,
    core: Mutex<Core>,
    config: Mutex<Config>,
    memory: RwLock<Reachable>,
    registers: Mutex<Registers>,
    interrupts: Mutex<Interrupts>,
    bell: Bell,
    stop: AtomicBool,
}

/// A simulated ConnectX.
pub struct ConnectX {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl ConnectX {
    /// A NIC that does something only when [`ConnectX::turn`] is called.
    ///
    /// # Errors
    /// The settings cannot be used, or the operating system gives no descriptor.
    pub fn stepped(
        name: &str,
        settings: ConnectXSettings,
        clock: Clock,
    ) -> io::Result<Arc<ConnectX>> {
        let shared = Shared::new(name, settings, clock)?;
        Ok(Arc::new(ConnectX {
            shared: Arc::new(shared),
            thread: None,
        }))
    }

    /// A NIC with a thread of its own, which ends with it.
    ///
    /// # Errors
    /// The settings cannot be used, or the operating system gives no descriptor or no thread.
    pub fn open(name: &str, settings: ConnectXSettings, clock: Clock) -> io::Result<Arc<ConnectX>> {
        let shared = Arc::new(Shared::new(name, settings, clock)?);
        let device = shared.clone();
        let thread = std::thread::Builder::new().name(format!("cx-{name}"));
        let thread = Some(thread.spawn(move || device.run())?);
        Ok(Arc::new(ConnectX { shared, thread }))
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Does what was asked for since the last turn, and moves a batch of frames from each wire
    /// and each queue.
    pub fn turn(&self) -> Work {
        self.shared.turn()
    }

    /// Connects a port's wire: `pf0`, the NIC's own, or `vf0`, `vf1`, ..., those of virtual
    /// functions.
    ///
    /// # Errors
    /// There is no such port or wire.
    pub fn connect(&self, port: &str, wire: &str) -> Result<(), PortError> {
        let vport = self.vport(port)?;
        let shared = Arc::downgrade(&self.shared);
        let wake = Arc::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.bell.ring();
            }
        });
        let wire = crate::wire::connect(port, wire, wake, &self.shared.clock)?;
        lock(&self.shared.core).ports.connect(vport, wire);
        self.shared.bell.ring();
        Ok(())
    }

    /// Takes a port's wire off.
    ///
    /// # Errors
    /// There is no such port.
    pub fn disconnect(&self, port: &str) -> Result<(), PortError> {
        let vport = self.vport(port)?;
        lock(&self.shared.core).ports.disconnect(vport);
        self.shared.bell.ring();
        Ok(())
    }

    fn vport(&self, port: &str) -> Result<u16, PortError> {
        let vfs = lock(&self.shared.core).vfs;
        vport_of(port, vfs).ok_or_else(|| PortError::BadOption {
            name: port.into(),
            why: format!(
                "{} has no such port; there are pf0 and {vfs} of vf0, vf1, ...",
                self.name()
            ),
        })
    }

    /// Writes down each command from now on, and what came of it.
    pub fn trace_to(&self, to: Box<dyn io::Write + Send>) {
        lock(&self.shared.core).trace = Some(Trace::new(to));
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        lock(&self.shared.core).statistics.clone()
    }

    /// The first things that the host must not do and did, one line each.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.core).violations.clone()
    }

    /// What the driver calls itself.
    pub fn driver_version(&self) -> String {
        lock(&self.shared.core).driver_version.clone()
    }

    /// Something goes wrong now.
    pub fn fail(&self, failure: Failure) {
        let mut core = lock(&self.shared.core);
        core.fail(failure, self.shared.clock.now());
        self.shared.take_news(&mut core);
    }

    /// How many objects of each kind there are.
    pub fn census(&self) -> std::collections::BTreeMap<String, usize> {
        lock(&self.shared.core).objects.census()
    }

    /// Pages of the host's memory that the device has.
    pub fn pages(&self) -> usize {
        lock(&self.shared.core).pages.len()
    }
}

impl Drop for ConnectX {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.shared.stop.store(true, Ordering::Release);
            self.shared.bell.ring();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn new(name: &str, settings: ConnectXSettings, clock: Clock) -> io::Result<Shared> {
        let model = settings.model();
        let model = model.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        Ok(Shared {
            name: name.into(),
            config: Mutex::new(Config::new(&model)),
            memory: RwLock::default(),
            registers: Mutex::new(Registers::new(&model, settings.boot_ms, clock.now())),
            interrupts: Mutex::new(Interrupts::new(model.vectors.into())),
            core: Mutex::new(Core::new(name, settings, model)),
            bell: Bell::new()?,
            stop: AtomicBool::new(false),
            clock,
        })
    }

    fn turn(&self) -> Work {
        let mut core = lock(&self.core);
        let now = self.clock.now();
        let master = lock(&self.config).is_master();
        // Memory that is unmapped is reached no more: whoever unmaps waits for the turn's end.
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let (asked, queue, ready) = {
            let mut registers = lock(&self.registers);
            let ready = registers.is_ready(now);
            (std::mem::take(&mut registers.asked), registers.queue, ready)
        };
        if asked.reset {
            core.reset();
            lock(&self.registers).reset(now, true);
            lock(&self.interrupts).reset();
            return Work::Done(1);
        }
        if !ready {
            return Work::Idle;
        }
        let bus = Bus {
            memory: &memory,
            master,
            interrupts: &self.interrupts,
            now,
        };
        let done = core.turn(&asked, queue, &bus);
        self.take_news(&mut core);
        match done {
            0 => Work::Idle,
            done => Work::Done(done),
        }
    }

    /// Does what the core wants of the rest.
    fn take_news(&self, core: &mut Core) {
        let news = std::mem::take(&mut core.news);
        let mut registers = lock(&self.registers);
        if news.reset {
            core.reset();
            registers.reset(self.clock.now(), false);
            lock(&self.interrupts).reset();
        }
        if let Some(health) = news.health {
            registers.health = health;
        }
        registers.gone |= news.gone;
    }

    /// Turns until it is told to stop.
    fn run(&self) {
        let mut idle = 0;
        while !self.stop.load(Ordering::Acquire) {
            if let Work::Done(_) = self.turn() {
                idle = 0;
                continue;
            }
            idle += 1;
            if idle < SPIN {
                std::hint::spin_loop();
                continue;
            }
            let until = lock(&self.registers).ready_at();
            let wait = until.saturating_since(self.clock.now()).as_millis() as u32;
            let due = lock(&self.core).commands.due();
            let late = due.map(|due| due.saturating_since(self.clock.now()).as_millis() as u32);
            // One more: milliseconds are cut off.
            let waits = [late, (wait > 0).then_some(wait)];
            let wait = waits.into_iter().flatten().map(|ms| ms + 1).min();
            let wait = wait.unwrap_or(SLEEP_MS);
            let wires = lock(&self.core).ports.wires();
            let fds: Vec<RawFd> = wires.iter().filter_map(|wire| wire.fd()).collect();
            if wait_readable(&self.bell, &fds, wait.min(SLEEP_MS)) {
                // A tap whose namespace has gone is ready for ever and has nothing.
                self.clock.pause_thread(Duration::from_millis(1));
            }
            self.bell.silence();
            // One look, unless that finds something.
            idle = SPIN;
        }
    }

    fn reset(&self) {
        let mut core = lock(&self.core);
        core.reset();
        *lock(&self.config) = Config::new(&core.model);
        lock(&self.registers).reset(self.clock.now(), false);
        lock(&self.interrupts).reset();
    }

    fn fault(&self, bar: u8, at: u64, len: usize) -> Result<(), BarFault> {
        let inside = at.checked_add(len as u64);
        let all = if bar == BAR {
            lock(&self.registers).bar_len()
        } else {
            0
        };
        if inside.is_none_or(|end| end > all) {
            return Err(BarFault { bar, at, len });
        }
        Ok(())
    }
}

impl Endpoint for ConnectX {
    fn read_config(&self, at: u16, out: &mut [u8]) {
        if lock(&self.shared.registers).gone {
            out.fill(0xff);
        } else {
            lock(&self.shared.config).read(at, out);
        }
    }

    fn write_config(&self, at: u16, data: &[u8]) {
        let asks = lock(&self.shared.config).write(at, data);
        if asks == Asks::Reset {
            self.shared.reset();
        }
        self.shared.bell.ring();
    }

    fn bar_len(&self, bar: u8) -> u64 {
        if bar == BAR {
            lock(&self.shared.registers).bar_len()
        } else {
            0
        }
    }

    fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), BarFault> {
        self.shared.fault(bar, at, out.len())?;
        let now = self.shared.clock.now();
        let registers = lock(&self.shared.registers);
        registers.read(at, out, now, |word| {
            lock(&self.shared.interrupts).pending(word)
        });
        Ok(())
    }

    fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), BarFault> {
        self.shared.fault(bar, at, data.len())?;
        let mut registers = lock(&self.shared.registers);
        registers.write(at, data);
        let asked = !registers.asked.is_empty();
        drop(registers);
        if asked {
            self.shared.bell.ring();
        }
        Ok(())
    }

    fn map(&self, at: Iova, memory: SharedMemory, writable: bool) -> Result<(), String> {
        let mut mapped = self.shared.memory.write();
        let mapped = mapped.as_deref_mut();
        mapped
            .unwrap_or_else(|e| e.get_mut())
            .map(at, memory, writable)
    }

    fn unmap(&self, at: Iova, len: usize) -> Result<(), String> {
        let mut mapped = self.shared.memory.write();
        let mapped = mapped.as_deref_mut();
        mapped.unwrap_or_else(|e| e.get_mut()).unmap(at, len)
    }

    fn interrupt_count(&self) -> usize {
        lock(&self.shared.interrupts).count()
    }

    fn set_interrupts(&self, eventfds: Vec<Option<OwnedFd>>) -> Result<(), String> {
        lock(&self.shared.interrupts).set(eventfds)
    }

    fn reset(&self) {
        self.shared.reset();
        self.shared.bell.ring();
    }

    fn close(&self) {
        let mut mapped = self.shared.memory.write();
        mapped
            .as_deref_mut()
            .unwrap_or_else(|e| e.get_mut())
            .clear();
        drop(mapped);
        let _ = lock(&self.shared.interrupts).set(Vec::new());
        self.shared.reset();
    }
}
