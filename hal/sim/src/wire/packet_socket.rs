//! A wire that is a device of the host, taken over by a packet socket.

use super::sys::{self, PacketSocket};
use super::{MAX_FRAME, Wire, reason, vnet};
use hal::PortError;
use packet::Packet;
use std::io;
use std::os::fd::RawFd;

pub(super) struct PacketWire {
    name: String,
    /// Which device it is: another may come to have the name.
    index: i32,
    socket: PacketSocket,
}

impl PacketWire {
    pub fn open(name: &str) -> Result<PacketWire, PortError> {
        let index = index_of(name)?;
        let socket = PacketSocket::open(index).map_err(|e| PortError::Refused {
            name: name.into(),
            what: "packet socket",
            why: reason(&e),
        })?;
        if !socket.keeps_stack_off() {
            tracing::warn!(target: "netdev_sim",
                "{name}: the host's stack also sees what this wire receives; Linux 6.6 and the \
                 right to load eBPF programs would keep it out");
        }
        Ok(PacketWire {
            name: name.into(),
            index,
            socket,
        })
    }
}

fn index_of(name: &str) -> Result<i32, PortError> {
    sys::interface_index(name).map_err(|e| PortError::NoDevice {
        name: name.into(),
        why: reason(&e),
    })
}

impl Wire for PacketWire {
    fn receive(&self, packet: &mut Packet) -> io::Result<bool> {
        let mut header = [0; vnet::LEN];
        let body = packet.receive_buffer(MAX_FRAME);
        let Some(received) = self.socket.receive(&mut header, body)? else {
            return Ok(false);
        };
        packet.truncate(received.len.saturating_sub(vnet::LEN));
        if received.cut || !vnet::read(&header, packet) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // A tag that the device took out goes back in.
        if let Some((tpid, tci)) = received.tag
            && packet.len() >= 14
        {
            packet.insert(12, 4);
            let tag = u32::from(tpid) << 16 | u32::from(tci);
            if let Some(place) = packet.frame_mut().get_mut(12..16) {
                place.copy_from_slice(&tag.to_be_bytes());
            }
        }
        Ok(true)
    }

    fn send(&self, packet: &Packet) -> io::Result<()> {
        self.socket.send(&vnet::write(packet), packet.frame())
    }

    fn fd(&self) -> Option<RawFd> {
        Some(self.socket.fd())
    }

    fn carrier(&self) -> bool {
        sys::interface_flags(&self.name).is_some_and(|flags| flags & libc::IFF_RUNNING != 0)
    }

    fn look_again(&self) -> Result<(), PortError> {
        if index_of(&self.name)? == self.index {
            return Ok(());
        }
        Err(PortError::NoDevice {
            name: self.name.clone(),
            why: "another device has its name".into(),
        })
    }

    fn describe(&self) -> String {
        format!("packet:{}", self.name)
    }
}
