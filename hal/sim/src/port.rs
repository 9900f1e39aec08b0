//! A port of the NIC as software sees it: its representor.
//!
//! What the embedded switch could not see through waits in the port's queue; what software sends
//! goes straight out of the port's wire and meets no rule.

use crate::fabric::Fabric;
use crate::wire::{Bell, Wire};
use crossbeam_queue::ArrayQueue;
use hal::{LinkState, PacketPort, PortCounters, PortError, RxBatch, RxMeta, RxQueue, TxQueue};
use packet::Packet;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Packets that wait for software.
const QUEUE: usize = 4096;

/// A port, shared by whoever moves its frames.
pub(crate) struct Port {
    pub name: String,
    /// None once the port is closed.
    wire: RwLock<Option<Arc<dyn Wire>>>,
    queue: ArrayQueue<(Packet, RxMeta)>,
    bell: Bell,
    admin_up: AtomicBool,
    mac: AtomicU64,
    mtu: AtomicU32,
    carrier: Mutex<(bool, u64)>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    rx_packets: AtomicU64,
    rx_bytes: AtomicU64,
    rx_dropped: AtomicU64,
    rx_errors: AtomicU64,
    tx_packets: AtomicU64,
    tx_bytes: AtomicU64,
    tx_dropped: AtomicU64,
    tx_errors: AtomicU64,
}

impl Port {
    pub fn new(name: &str, mac: u64, wire: Option<Arc<dyn Wire>>) -> io::Result<Port> {
        Ok(Port {
            name: name.into(),
            carrier: Mutex::new((wire.as_ref().is_some_and(|w| w.carrier()), 0)),
            wire: RwLock::new(wire),
            queue: ArrayQueue::new(QUEUE),
            bell: Bell::new()?,
            admin_up: AtomicBool::new(true),
            mac: AtomicU64::new(mac),
            mtu: AtomicU32::new(1500),
            tally: Tally::default(),
        })
    }

    /// What the port is connected to.
    pub fn wire(&self) -> Option<Arc<dyn Wire>> {
        let wire = self.wire.read().unwrap_or_else(PoisonError::into_inner);
        wire.clone()
    }

    /// Takes the wire off.
    pub fn close(&self) -> Option<Arc<dyn Wire>> {
        let mut wire = self.wire.write().unwrap_or_else(PoisonError::into_inner);
        wire.take()
    }

    /// Takes the next frame from the wire. Frames that come while the port is down are dropped.
    pub fn take(&self, wire: &dyn Wire, packet: &mut Packet) -> bool {
        loop {
            match wire.receive(packet) {
                Ok(true) if self.admin_up.load(Relaxed) => {
                    self.tally.rx_packets.fetch_add(1, Relaxed);
                    self.tally.rx_bytes.fetch_add(packet.len() as u64, Relaxed);
                    return true;
                }
                Ok(true) => {
                    self.tally.rx_dropped.fetch_add(1, Relaxed);
                }
                Ok(false) => return false,
                Err(e) => {
                    self.tally.rx_errors.fetch_add(1, Relaxed);
                    // One bad frame does not speak for the next.
                    if e.kind() != io::ErrorKind::InvalidData {
                        return false;
                    }
                }
            }
        }
    }

    /// Hands a packet to software.
    pub fn miss(&self, packet: &Packet, meta: RxMeta) {
        if self.queue.push((packet.clone(), meta)).is_err() {
            self.tally.rx_dropped.fetch_add(1, Relaxed);
        }
        self.bell.ring();
    }

    /// Sends a frame out of the wire.
    pub fn transmit(&self, packet: &Packet) -> bool {
        let wire = self.wire.read().unwrap_or_else(PoisonError::into_inner);
        let sent = match &*wire {
            Some(wire) if self.admin_up.load(Relaxed) => wire.send(packet).is_ok(),
            _ => false,
        };
        if sent {
            self.tally.tx_packets.fetch_add(1, Relaxed);
            self.tally.tx_bytes.fetch_add(packet.len() as u64, Relaxed);
        } else {
            self.tally.tx_dropped.fetch_add(1, Relaxed);
        }
        sent
    }
}

/// The port's handle: the port is closed when it goes.
pub(crate) struct SimPort {
    port: Arc<Port>,
    fabric: Fabric,
    rx_taken: AtomicBool,
}

impl SimPort {
    pub fn new(port: Arc<Port>, fabric: Fabric) -> SimPort {
        SimPort {
            port,
            fabric,
            rx_taken: AtomicBool::new(false),
        }
    }
}

impl Drop for SimPort {
    fn drop(&mut self) {
        self.fabric.close(&self.port);
    }
}

impl PacketPort for SimPort {
    fn kind(&self) -> &'static str {
        "hal"
    }

    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
        if self.rx_taken.swap(true, Relaxed) {
            return Vec::new();
        }
        vec![Box::new(SimRx(self.port.clone()))]
    }

    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError> {
        Ok(Box::new(SimTx(self.port.clone())))
    }

    fn link(&self) -> LinkState {
        let port = &self.port;
        let admin_up = port.admin_up.load(Relaxed);
        let now = admin_up && port.wire().is_some_and(|wire| wire.carrier());
        let mut carrier = port.carrier.lock().unwrap_or_else(PoisonError::into_inner);
        if carrier.0 != now {
            *carrier = (now, carrier.1 + 1);
        }
        LinkState {
            admin_up,
            carrier: now,
            carrier_resets: carrier.1,
            mac: port.mac.load(Relaxed),
            mtu: port.mtu.load(Relaxed),
            ifindex: 0,
            full_duplex: Some(true),
            ..LinkState::default()
        }
    }

    fn look_again(&self) -> Result<(), PortError> {
        self.port.wire().map_or(Ok(()), |wire| wire.look_again())
    }

    fn counters(&self) -> PortCounters {
        let t = &self.port.tally;
        PortCounters {
            rx_packets: t.rx_packets.load(Relaxed),
            rx_bytes: t.rx_bytes.load(Relaxed),
            rx_dropped: t.rx_dropped.load(Relaxed),
            rx_errors: t.rx_errors.load(Relaxed),
            tx_packets: t.tx_packets.load(Relaxed),
            tx_bytes: t.tx_bytes.load(Relaxed),
            tx_dropped: t.tx_dropped.load(Relaxed),
            tx_errors: t.tx_errors.load(Relaxed),
            ..PortCounters::default()
        }
    }

    fn set_admin(&self, up: bool) -> Result<(), PortError> {
        self.port.admin_up.store(up, Relaxed);
        Ok(())
    }

    fn set_mac(&self, mac: u64) -> Result<(), PortError> {
        self.port.mac.store(mac & 0xffff_ffff_ffff, Relaxed);
        Ok(())
    }

    fn set_mtu(&self, mtu: u32) -> Result<(), PortError> {
        self.port.mtu.store(mtu, Relaxed);
        Ok(())
    }

    fn status(&self) -> Vec<(String, String)> {
        let wire = self.port.wire();
        let wire = wire.map_or("none".into(), |wire| wire.describe());
        [
            ("driver_name", "hal-sim".to_owned()),
            ("hal_device", self.fabric.name().to_owned()),
            ("hal_port", self.port.name.clone()),
            ("hal_wire", wire),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

struct SimRx(Arc<Port>);

impl RxQueue for SimRx {
    fn receive(&mut self, batch: &mut RxBatch) -> io::Result<()> {
        loop {
            while !batch.is_full()
                && let Some((packet, meta)) = self.0.queue.pop()
                && let Some(place) = batch.add(meta)
            {
                *place = packet;
            }
            // A packet may have come between the last look and the silence.
            if batch.is_full() || !self.0.bell.silence() {
                return Ok(());
            }
        }
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.0.bell.fd())
    }
}

struct SimTx(Arc<Port>);

impl TxQueue for SimTx {
    fn send(&mut self, packet: &Packet) -> bool {
        self.0.transmit(packet)
    }

    fn flush(&mut self) {}
}
