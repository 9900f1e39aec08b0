//! What moves frames: takes them from the wires, runs them through the embedded switch, sends
//! them out or hands them to software.
//!
//! [`Fabric::turn`] does this once, for tests in virtual time; in production a thread of the
//! device's calls it, and sleeps on the wires when there is nothing to do.

use crate::control::Control;
use crate::port::Port;
use crate::switch::{Exits, Switch};
use crate::wire::{Bell, Wire, wait_readable};
use clock::Clock;
use hal::{RxMeta, Work};
use packet::Packet;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Frames of one wire in a turn.
const BATCH: usize = 32;
/// Turns without work after some before the thread sleeps.
const SPIN: u32 = 20;
/// Longest sleep, milliseconds. Everything that wants the thread rings its bell.
const SLEEP_MS: u32 = 1000;
/// How often a closing port looks whether its wire is still waited on, every 100 microseconds.
const CLOSING: u32 = 5000;

/// The switch and its control side: what one lock guards.
pub(crate) struct Core {
    pub switch: Switch,
    pub control: Control,
}

struct Shared {
    name: String,
    clock: Clock,
    core: Mutex<Core>,
    /// By index in the switch; a closed port leaves its place to its successor.
    ports: Mutex<Vec<Option<Arc<Port>>>>,
    bell: Bell,
    stop: AtomicBool,
}

/// The moving part of a device; clones share it.
#[derive(Clone)]
pub struct Fabric(Arc<Shared>);

struct Out<'a>(&'a [Option<Arc<Port>>]);

impl Exits for Out<'_> {
    fn wire(&mut self, port: usize, packet: &Packet) {
        if let Some(Some(port)) = self.0.get(port) {
            port.transmit(packet);
        }
    }

    fn software(&mut self, port: usize, packet: &Packet, meta: RxMeta) {
        if let Some(Some(port)) = self.0.get(port) {
            port.miss(packet, meta);
        }
    }
}

impl Fabric {
    pub(crate) fn new(name: &str, clock: Clock, control: Control) -> std::io::Result<Fabric> {
        Ok(Fabric(Arc::new(Shared {
            name: name.into(),
            clock,
            core: Mutex::new(Core {
                switch: Switch::default(),
                control,
            }),
            ports: Mutex::default(),
            bell: Bell::new()?,
            stop: AtomicBool::new(false),
        })))
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ports(&self) -> MutexGuard<'_, Vec<Option<Arc<Port>>>> {
        self.0.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which index a port of this name has, if it is open.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        let ports = self.ports();
        ports
            .iter()
            .position(|p| p.as_ref().is_some_and(|p| p.name == name))
    }

    pub(crate) fn add(&self, port: Arc<Port>) {
        let mut ports = self.ports();
        match ports.iter().position(Option::is_none) {
            Some(free) => ports[free] = Some(port),
            None => ports.push(Some(port)),
        }
        drop(ports);
        self.0.bell.ring();
    }

    /// Takes a port away: it has no wire and no number from now on.
    pub(crate) fn close(&self, port: &Arc<Port>) {
        let mut ports = self.ports();
        let is = |p: &Option<Arc<Port>>| p.as_ref().is_some_and(|p| Arc::ptr_eq(p, port));
        let index = ports.iter().position(is);
        if let Some(index) = index {
            ports[index] = None;
        }
        drop(ports);
        if let Some(index) = index {
            self.core().switch.bind(index, None);
        }
        // The thread may be asleep on the wire. Whoever opens the port anew right after this finds
        // the tap free.
        if let Some(wire) = port.close() {
            self.0.bell.ring();
            for _ in 0..CLOSING {
                if Arc::strong_count(&wire) == 1 {
                    break;
                }
                self.0.clock.pause_thread(Duration::from_micros(100));
            }
        }
    }

    pub(crate) fn wake(&self) {
        self.0.bell.ring();
    }

    pub(crate) fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let shared = Arc::downgrade(&self.0);
        Arc::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.bell.ring();
            }
        })
    }

    /// Carries out the operations that are due, then takes a batch from each wire and sees it
    /// through.
    pub fn turn(&self) -> Work {
        let now = self.0.clock.now();
        {
            let Core { switch, control } = &mut *self.core();
            control.advance(switch, now);
        }
        let ports = self.ports().clone();
        let mut moved = 0;
        let mut batch: Vec<Packet> = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let Some(port) = port else { continue };
            let Some(wire) = port.wire() else { continue };
            let mut taken = 0;
            while taken < BATCH {
                if batch.len() == taken {
                    batch.push(Packet::default());
                }
                if !port.take(&*wire, &mut batch[taken]) {
                    break;
                }
                taken += 1;
            }
            if taken == 0 {
                continue;
            }
            moved += taken;
            let Core { switch, control } = &mut *self.core();
            let mut out = Out(&ports);
            for packet in batch.iter_mut().take(taken) {
                if control.broken().is_some() {
                    switch.pass(index, packet, &mut out);
                } else {
                    switch.forward(index, packet, now, &mut out);
                }
            }
        }
        if moved == 0 {
            Work::Idle
        } else {
            Work::Done(moved)
        }
    }

    /// Turns until it is told to stop.
    pub(crate) fn run(&self) {
        let mut idle = 0;
        while !self.0.stop.load(Ordering::Acquire) {
            if let Work::Done(_) = self.turn() {
                idle = 0;
                continue;
            }
            idle += 1;
            if idle < SPIN {
                std::hint::spin_loop();
                continue;
            }
            let wires: Vec<Arc<dyn Wire>> = {
                let ports = self.ports();
                ports.iter().flatten().filter_map(|p| p.wire()).collect()
            };
            let fds: Vec<RawFd> = wires.iter().filter_map(|w| w.fd()).collect();
            if wait_readable(&self.0.bell, &fds, SLEEP_MS) {
                // A tap whose namespace has gone is ready for ever and has nothing.
                self.0.clock.pause_thread(Duration::from_millis(1));
            }
            self.0.bell.silence();
            // One look, unless that finds something.
            idle = SPIN;
        }
    }

    pub(crate) fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.bell.ring();
    }
}
