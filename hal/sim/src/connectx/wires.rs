//! The far sides of vports: the wire of the uplink (`pf0`), and of each virtual function (`vf0`,
//! `vf1`, ...).

use super::core::{Bus, Core};
use super::datapath::segment::segments;
use super::vport::UPLINK;
use crate::wire::Wire;
use hal_mlx_prm::event::PortChange;
use packet::Packet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// Frames of one wire in a turn.
const BATCH: usize = 32;

/// Counts of the physical port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PortCounts {
    pub received: u64,
    pub received_octets: u64,
    pub sent: u64,
    pub sent_octets: u64,
    pub discards: u64,
}

/// The wires, by vport.
#[derive(Default)]
pub(super) struct Ports {
    wires: BTreeMap<u16, Arc<dyn Wire>>,
    /// The uplink, as it was last told.
    told_up: bool,
    /// The function wants the port up.
    pub admin_down: bool,
    pub counts: PortCounts,
}

impl Ports {
    pub fn connect(&mut self, vport: u16, wire: Arc<dyn Wire>) {
        self.wires.insert(vport, wire);
    }

    pub fn disconnect(&mut self, vport: u16) {
        self.wires.remove(&vport);
    }

    /// All wires, to wait on.
    pub fn wires(&self) -> Vec<Arc<dyn Wire>> {
        self.wires.values().cloned().collect()
    }

    /// Whether a vport has a wire.
    pub fn has_wire(&self, vport: u16) -> bool {
        self.wires.contains_key(&vport)
    }

    /// Whether somebody is at the other end of a vport's wire.
    pub fn carrier(&self, vport: u16) -> bool {
        self.wires.get(&vport).is_some_and(|wire| wire.carrier())
    }

    /// Sends a frame out of a vport's wire.
    pub fn send(&mut self, vport: u16, packet: &Packet) {
        let sent = self
            .wires
            .get(&vport)
            .is_some_and(|w| w.send(packet).is_ok());
        if vport != UPLINK {
            return;
        }
        if sent {
            self.counts.sent += 1;
            self.counts.sent_octets += packet.len() as u64;
        } else {
            self.counts.discards += 1;
        }
    }
}

/// The vport of a port's name.
pub(super) fn vport_of(port: &str, vfs: u16) -> Option<u16> {
    if port == "pf0" {
        return Some(UPLINK);
    }
    let number: u16 = port.strip_prefix("vf")?.parse().ok()?;
    (number < vfs && port == format!("vf{number}")).then_some(number + 1)
}

impl Core {
    /// Whether a vport carries frames.
    pub fn is_up(&self, vport: u16) -> bool {
        let admin = self.vports.get(&vport).map_or(0, |vport| vport.admin);
        let uplink = self.ports.carrier(UPLINK) && !self.ports.admin_down;
        match (vport, admin) {
            (_, 0) => false,
            (UPLINK, _) => uplink,
            (_, 1) => true,
            // As the wire; its own wire for a virtual function.
            (0, _) => {
                self.steering
                    .root(hal_mlx_prm::context::TableType::Fdb, 0)
                    .is_some()
                    || uplink
            }
            (vport, _) => self.ports.carrier(vport),
        }
    }

    /// Tells of the port's coming up or going down.
    pub fn watch_port(&mut self, bus: &Bus<'_>) {
        let up = self.is_up(UPLINK);
        if up != self.ports.told_up {
            self.ports.told_up = up;
            let change = if up {
                PortChange::Active
            } else {
                PortChange::Down
            };
            self.port_event(change as u8, bus);
        }
    }

    /// Takes a batch of frames from each wire; answers how many.
    pub fn take_from_wires(&mut self, bus: &Bus<'_>) -> usize {
        let wires: Vec<(u16, Arc<dyn Wire>)> = {
            let wires = self.ports.wires.iter();
            wires.map(|(vport, wire)| (*vport, wire.clone())).collect()
        };
        let mut moved = 0;
        for (vport, wire) in wires {
            for _ in 0..BATCH {
                let mut packet = Packet::default();
                match wire.receive(&mut packet) {
                    Ok(true) => {}
                    // One bad frame does not speak for the next.
                    Err(e) if e.kind() == io::ErrorKind::InvalidData => continue,
                    Ok(false) | Err(_) => break,
                }
                moved += 1;
                for packet in whole(packet, &self.steering.vxlan) {
                    if vport == UPLINK {
                        self.ports.counts.received += 1;
                        self.ports.counts.received_octets += packet.len() as u64;
                    }
                    self.wire_brings(vport, packet, bus);
                }
            }
        }
        moved
    }
}

/// Frames as they would be on a real wire: cut, and with all checksums.
fn whole(mut packet: Packet, vxlan: &BTreeSet<u16>) -> Vec<Packet> {
    let Some(cut) = packet.segmentation.take() else {
        packet.finish_checksum();
        return vec![packet];
    };
    let headers = packet.checksum.map(|sum| {
        let start = usize::from(sum.start);
        // TCP says how long its header is, UDP's has 8 bytes.
        let tcp = packet
            .frame()
            .get(start + 12)
            .map_or(0, |b| usize::from(b >> 4) * 4);
        start + if sum.offset == 16 { tcp } else { 8 }
    });
    let frames =
        headers.and_then(|headers| segments(packet.frame(), headers, cut.size.into(), vxlan));
    match frames {
        Some(frames) => frames.iter().map(|f| Packet::from_frame(f)).collect(),
        None => {
            packet.finish_checksum();
            vec![packet]
        }
    }
}
