//! From a vport through the e-switch to others.
//!
//! Without a first table of the FDB the e-switch is a pipe: what the function sends leaves by the
//! wire and what comes from the wire is the function's. Virtual functions have no part in that.
//! What the function sends to an address of its own comes back.

use crate::connectx::core::{Bus, Core};
use crate::connectx::steering::Frame;
use crate::connectx::steering::walk::Exit;
use crate::connectx::vport::{UPLINK, Vport};
use hal_mlx_prm::context::TableType;
use packet::Packet;

impl Core {
    /// A frame from the function's send queue.
    pub fn queue_sends(&mut self, frame: Frame, bus: &Bus<'_>) {
        if let Some(vport) = self.vports.get_mut(&0) {
            vport.sent.add(frame.packet.frame());
        }
        let Some(root) = self.steering.root(TableType::NicTransmit, 0) else {
            self.enter(frame, bus);
            return;
        };
        for (frame, exit) in self.steering.walk(frame, root) {
            if matches!(exit, Exit::Allow | Exit::Miss) {
                self.enter(frame, bus);
            }
        }
    }

    /// A frame from the wire of a vport.
    pub fn wire_brings(&mut self, vport: u16, packet: Packet, bus: &Bus<'_>) {
        if !self.is_up(vport) {
            return;
        }
        if let Some(vport) = self.vports.get_mut(&vport) {
            vport.sent.add(packet.frame());
        }
        self.enter(Frame::new(packet, vport), bus);
    }

    /// A frame enters the e-switch.
    fn enter(&mut self, frame: Frame, bus: &Bus<'_>) {
        let vport = frame.source_port;
        let Some(root) = self.steering.root(TableType::IngressAcl, vport) else {
            self.forward(frame, bus);
            return;
        };
        for (frame, exit) in self.steering.walk(frame, root) {
            if matches!(exit, Exit::Allow | Exit::Miss) {
                self.forward(frame, bus);
            }
        }
    }

    fn forward(&mut self, frame: Frame, bus: &Bus<'_>) {
        let Some(root) = self.steering.root(TableType::Fdb, 0) else {
            match frame.source_port {
                0 if self.comes_back(&frame) => self.leave(0, frame, bus),
                0 => self.leave(UPLINK, frame, bus),
                UPLINK => self.leave(0, frame, bus),
                _ => self.statistics.steering_drops += 1,
            }
            return;
        };
        for (frame, exit) in self.steering.walk(frame, root) {
            match exit {
                Exit::Vport(vport) => self.leave(vport, frame, bus),
                _ => self.statistics.steering_drops += 1,
            }
        }
    }

    /// Whether a frame of the function's is for itself.
    fn comes_back(&self, frame: &Frame) -> bool {
        let Some(to) = frame.packet.frame().first_chunk::<6>() else {
            return false;
        };
        let address = to.iter().fold(0, |all, b| all << 8 | u64::from(*b));
        to[0] & 1 == 0
            && self.port.has_address(address)
            && self.vports.get(&0).is_some_and(Vport::loops_back)
    }

    /// A frame leaves the e-switch by a vport.
    fn leave(&mut self, vport: u16, frame: Frame, bus: &Bus<'_>) {
        let Some(root) = self.steering.root(TableType::EgressAcl, vport) else {
            self.deliver(vport, frame, bus);
            return;
        };
        for (frame, exit) in self.steering.walk(frame, root) {
            if matches!(exit, Exit::Allow | Exit::Miss) {
                self.deliver(vport, frame, bus);
            }
        }
    }

    fn deliver(&mut self, number: u16, mut frame: Frame, bus: &Bus<'_>) {
        if !self.is_up(number) {
            return;
        }
        let Some(vport) = self.vports.get_mut(&number) else {
            return;
        };
        vport.received.add(frame.packet.frame());
        if number != 0 {
            self.ports.send(number, &frame.packet);
            return;
        }
        let kept = vport.kept_registers();
        for (n, register) in frame.register_c.iter_mut().enumerate() {
            if kept >> n & 1 == 0 {
                *register = 0;
            }
        }
        (frame.register_a, frame.register_b) = (0, 0);
        frame.source_queue = 0;
        let Some(root) = self.steering.root(TableType::NicReceive, 0) else {
            self.statistics.steering_drops += 1;
            return;
        };
        for (frame, exit) in self.steering.walk(frame, root) {
            match exit {
                Exit::Tir(tir) => self.receive(tir, frame, bus),
                _ => self.statistics.steering_drops += 1,
            }
        }
    }
}
