//! A port of the NIC as software sees it: its representor.
//!
//! Its queues belong to poll threads and outlive the NIC's resets: each thread holds a queue's
//! place, in which the device's control side puts a new queue after a reset. A look at a number
//! once a batch is all that costs.

use crate::error::MlxError;
use crate::nic::{Nic, Receiving, Sending};
use crate::receive::{self, ReceiveQueue};
use crate::send::SendQueue;
use crate::steering::VportId;
use hal::pci::Interrupt;
use hal::{LinkState, PacketPort, PortCounters, PortError, Representor, RxBatch, RxQueue, TxQueue};
use packet::Packet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks, whatever became of who held it last.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue's place: the control side puts queues in, a poll thread takes them out.
pub struct Place<Q> {
    /// Counts what was put in, nothing included.
    generation: AtomicU64,
    next: Mutex<Option<Q>>,
}

impl<Q> Place<Q> {
    fn new(queue: Option<Q>) -> Place<Q> {
        Place {
            generation: AtomicU64::new(1),
            next: Mutex::new(queue),
        }
    }

    /// Puts a queue in, or takes away what the thread has.
    pub fn put(&self, queue: Option<Q>) {
        *lock(&self.next) = queue;
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// A poll thread's end of a place.
struct Held<Q> {
    place: Arc<Place<Q>>,
    seen: u64,
    queue: Option<Q>,
}

impl<Q> Held<Q> {
    fn new(place: Arc<Place<Q>>) -> Held<Q> {
        Held {
            place,
            seen: 0,
            queue: None,
        }
    }

    #[inline]
    fn queue(&mut self) -> Option<&mut Q> {
        let now = self.place.generation.load(Ordering::Acquire);
        if now != self.seen {
            self.seen = now;
            self.queue = lock(&self.place.next).take();
        }
        self.queue.as_mut()
    }
}

/// A port, shared by its handles, its queues and the control side.
pub struct Port {
    /// `pf0`, `vf0`, ...
    pub name: String,
    /// Its place in the e-switch.
    pub vport: VportId,
    /// The interrupt that tells of its packets.
    pub interrupt: Option<(u16, Arc<Interrupt>)>,
    /// Where its receive queue is.
    pub receive: Arc<Place<ReceiveQueue>>,
    /// Where its send queues are.
    pub send: Mutex<Vec<Arc<Place<SendQueue>>>>,
    /// A queue has said that it does not work.
    pub broken: AtomicBool,
    /// Why the NIC does not work, if it does not.
    fault: Mutex<Option<String>>,
    /// How it stands, and what has passed it.
    pub state: Representor,
    /// Packets that a rule had sent on, among those that came.
    rx_resumed: AtomicU64,
}

impl Port {
    /// A port without queues.
    pub fn new(
        name: &str,
        vport: VportId,
        mac: u64,
        interrupt: Option<(u16, Arc<Interrupt>)>,
    ) -> Port {
        Port {
            name: name.into(),
            vport,
            interrupt,
            receive: Arc::new(Place::new(None)),
            send: Mutex::default(),
            broken: AtomicBool::new(false),
            fault: Mutex::default(),
            state: Representor::new(mac, false),
            rx_resumed: AtomicU64::new(0),
        }
    }

    /// Why the NIC does not work; none if it does.
    pub fn set_fault(&self, why: Option<&str>) {
        *lock(&self.fault) = why.map(str::to_owned);
    }

    /// Packets that came to software, and those among them that a rule had sent on.
    pub fn received(&self) -> (u64, u64) {
        (
            self.state.tally.rx_packets.load(Relaxed),
            self.rx_resumed.load(Relaxed),
        )
    }
}

/// What the control side knows of a port's queues.
pub struct Queues {
    /// The port.
    pub port: Arc<Port>,
    /// Its receive queue.
    pub receiving: Option<Receiving>,
    /// Its send queues, in the order of their places.
    pub sending: Vec<Option<Sending>>,
}

/// The NIC with its ports: what one lock guards.
pub struct Control {
    /// The NIC, unless it could not be brought up.
    pub nic: Option<Nic>,
    /// Its open ports.
    pub ports: Vec<Queues>,
    /// What ports that are closed have received, as [`Port::received`] has it.
    pub departed: (u64, u64),
}

impl Control {
    /// Gives a port queues of the NIC as it is now, as many as it had.
    ///
    /// # Errors
    /// No memory, or a command fails.
    pub fn equip(&mut self, index: usize) -> Result<(), MlxError> {
        let (Some(nic), Some(queues)) = (&mut self.nic, self.ports.get_mut(index)) else {
            return Ok(());
        };
        let port = &queues.port;
        let (queue, receiving) = nic.open_receive(port.vport, port.interrupt.clone())?;
        queues.receiving = Some(receiving);
        port.receive.put(Some(queue));
        queues.sending.clear();
        for place in lock(&port.send).iter() {
            let (queue, sending) = nic.open_send(port.vport)?;
            queues.sending.push(Some(sending));
            place.put(Some(queue));
        }
        port.broken.store(false, Relaxed);
        Ok(())
    }

    /// Takes the queues of all ports away: the NIC is being reset.
    pub fn strip(&mut self) {
        for queues in &mut self.ports {
            queues.receiving = None;
            queues.sending.clear();
            queues.port.receive.put(None);
            for place in lock(&queues.port.send).iter() {
                place.put(None);
            }
        }
    }

    fn close(&mut self, port: &Arc<Port>) {
        let of = |q: &Queues| Arc::ptr_eq(&q.port, port);
        let Some(index) = self.ports.iter().position(of) else {
            return;
        };
        let queues = self.ports.remove(index);
        let (received, resumed) = port.received();
        self.departed.0 += received;
        self.departed.1 += resumed;
        let Some(nic) = &mut self.nic else { return };
        nic.operations.bind(port.vport, None);
        let mut failed = Ok(());
        for sending in queues.sending.into_iter().flatten() {
            failed = failed.and(nic.close_send(sending));
        }
        if let Some(receiving) = queues.receiving {
            failed = failed.and(nic.close_receive(receiving));
        }
        if let Err(e) = failed {
            tracing::warn!(target: "mlx", "closing {}: {e}", port.name);
        }
    }
}

/// The port's handle: the port is closed when it goes.
pub struct MlxPort {
    port: Arc<Port>,
    control: Arc<Mutex<Control>>,
    device: String,
    address: String,
    rx_taken: AtomicBool,
}

impl MlxPort {
    /// A handle of an open port.
    pub fn new(
        port: Arc<Port>,
        control: Arc<Mutex<Control>>,
        device: &str,
        address: &str,
    ) -> MlxPort {
        MlxPort {
            port,
            control,
            device: device.into(),
            address: address.into(),
            rx_taken: AtomicBool::new(false),
        }
    }
}

impl Drop for MlxPort {
    fn drop(&mut self) {
        lock(&self.control).close(&self.port);
    }
}

impl PacketPort for MlxPort {
    fn kind(&self) -> &'static str {
        "hal"
    }

    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
        if self.rx_taken.swap(true, Relaxed) {
            return Vec::new();
        }
        vec![Box::new(Rx {
            held: Held::new(self.port.receive.clone()),
            port: self.port.clone(),
        })]
    }

    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError> {
        let refused = |why: String| PortError::Refused {
            name: self.port.name.clone(),
            what: "send queue",
            why,
        };
        let mut control = lock(&self.control);
        let control = &mut *control;
        let of = |q: &&mut Queues| Arc::ptr_eq(&q.port, &self.port);
        let queues = control.ports.iter_mut().find(of);
        let queues = queues.ok_or_else(|| refused("the port is closed".into()))?;
        let (queue, sending) = match &mut control.nic {
            Some(nic) => {
                let opened = nic.open_send(self.port.vport);
                let (queue, sending) = opened.map_err(|e| refused(e.to_string()))?;
                (Some(queue), Some(sending))
            }
            // It comes with the NIC.
            None => (None, None),
        };
        let place = Arc::new(Place::new(queue));
        queues.sending.push(sending);
        lock(&self.port.send).push(place.clone());
        Ok(Box::new(Tx {
            held: Held::new(place),
            port: self.port.clone(),
        }))
    }

    fn link(&self) -> LinkState {
        self.port.state.link()
    }

    fn counters(&self) -> PortCounters {
        self.port.state.counters()
    }

    fn set_admin(&self, up: bool) -> Result<(), PortError> {
        self.port.state.set_admin(up);
        Ok(())
    }

    fn set_mac(&self, mac: u64) -> Result<(), PortError> {
        self.port.state.set_mac(mac);
        Ok(())
    }

    fn set_mtu(&self, mtu: u32) -> Result<(), PortError> {
        // A frame has an Ethernet header and may have two tags.
        let longest = receive::BUFFER as u32 - 22;
        if mtu > longest {
            return Err(PortError::BadOption {
                name: self.port.name.clone(),
                why: format!("an MTU of {mtu} is more than {longest}"),
            });
        }
        self.port.state.set_mtu(mtu);
        Ok(())
    }

    fn status(&self) -> Vec<(String, String)> {
        let fault = lock(&self.port.fault).clone();
        let known = [
            ("driver_name", "hal-mlx"),
            ("hal_device", &self.device),
            ("hal_port", &self.port.name),
            ("bus_info", &self.address),
        ];
        let fault = fault.iter().map(|why| ("hal_error", why.as_str()));
        let all = known.into_iter().chain(fault);
        all.map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

struct Rx {
    held: Held<ReceiveQueue>,
    port: Arc<Port>,
}

impl RxQueue for Rx {
    fn receive(&mut self, batch: &mut RxBatch) -> io::Result<()> {
        let Some(queue) = self.held.queue() else {
            return Ok(());
        };
        let before = queue.tally;
        let result = queue.receive(batch);
        let tally = &self.port.state.tally;
        let more = |now: u64, before: u64, of: &AtomicU64| {
            if now != before {
                of.fetch_add(now - before, Relaxed);
            }
        };
        more(queue.tally.packets, before.packets, &tally.rx_packets);
        more(queue.tally.bytes, before.bytes, &tally.rx_bytes);
        more(queue.tally.errors, before.errors, &tally.rx_errors);
        more(queue.tally.resumed, before.resumed, &self.port.rx_resumed);
        if queue.tally.errors != before.errors || result.is_err() {
            self.port.broken.store(true, Relaxed);
        }
        if !self.port.state.is_up() {
            batch.clear();
        }
        result.map_err(io::Error::other)
    }

    fn poll_fd(&self) -> Option<RawFd> {
        let (_, interrupt) = self.port.interrupt.as_ref()?;
        Some(interrupt.as_fd().as_raw_fd())
    }
}

struct Tx {
    held: Held<SendQueue>,
    port: Arc<Port>,
}

impl TxQueue for Tx {
    fn send(&mut self, packet: &Packet) -> bool {
        let state = &self.port.state;
        let sent = state.is_up() && self.held.queue().is_some_and(|q| q.send(packet));
        state.count_sent(sent, packet.len());
        sent
    }

    fn flush(&mut self) {
        let Some(queue) = self.held.queue() else {
            return;
        };
        if queue.flush().is_err() || queue.is_broken() {
            self.port.broken.store(true, Relaxed);
        }
    }
}
