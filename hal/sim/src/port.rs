//! A port of the NIC as software sees it: its representor.
//!
//! What the embedded switch could not see through waits in the port's queue; what software sends
//! goes straight out of the port's wire and meets no rule.

use crate::fabric::Fabric;
use crate::wire::{Bell, Wire};
use crossbeam_queue::ArrayQueue;
use hal::{
    LinkState, PacketPort, PortCounters, PortError, Representor, RxBatch, RxMeta, RxQueue, TxQueue,
};
use packet::Packet;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// Packets that wait for software.
const QUEUE: usize = 4096;

/// A port, shared by whoever moves its frames.
pub(crate) struct Port {
    pub name: String,
    /// None once the port is closed.
    wire: RwLock<Option<Arc<dyn Wire>>>,
    queue: ArrayQueue<(Packet, RxMeta)>,
    bell: Bell,
    state: Representor,
}

impl Port {
    pub fn new(name: &str, mac: u64, wire: Option<Arc<dyn Wire>>) -> io::Result<Port> {
        Ok(Port {
            name: name.into(),
            state: Representor::new(mac, wire.as_ref().is_some_and(|w| w.carrier())),
            wire: RwLock::new(wire),
            queue: ArrayQueue::new(QUEUE),
            bell: Bell::new()?,
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
        let tally = &self.state.tally;
        loop {
            match wire.receive(packet) {
                Ok(true) if self.state.is_up() => {
                    tally.rx_packets.fetch_add(1, Relaxed);
                    tally.rx_bytes.fetch_add(packet.len() as u64, Relaxed);
                    return true;
                }
                Ok(true) => {
                    tally.rx_dropped.fetch_add(1, Relaxed);
                }
                Ok(false) => return false,
                Err(e) => {
                    tally.rx_errors.fetch_add(1, Relaxed);
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
            self.state.tally.rx_dropped.fetch_add(1, Relaxed);
        }
        self.bell.ring();
    }

    /// Sends a frame out of the wire.
    pub fn transmit(&self, packet: &Packet) -> bool {
        let wire = self.wire.read().unwrap_or_else(PoisonError::into_inner);
        let sent = match &*wire {
            Some(wire) if self.state.is_up() => wire.send(packet).is_ok(),
            _ => false,
        };
        self.state.count_sent(sent, packet.len());
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
        let state = &self.port.state;
        let carrier = self.port.wire().is_some_and(|wire| wire.carrier());
        state.set_carrier(state.is_up() && carrier);
        state.link()
    }

    fn look_again(&self) -> Result<(), PortError> {
        self.port.wire().map_or(Ok(()), |wire| wire.look_again())
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
        self.port.state.set_mtu(mtu);
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
