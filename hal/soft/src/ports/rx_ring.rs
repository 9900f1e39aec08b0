//! The receiving ring of a packet socket.
//!
//! The kernel fills slots in order. A frame that is longer than a slot (segments to be cut, up to
//! 64 KiB) leaves its beginning there and waits whole in the socket's own queue, so that the ring
//! can be of small slots; slots and queue are in the same order. Everything in a slot was written
//! by the kernel for a sender on the wire: offsets and lengths are checked before anything is
//! copied.

use super::slots::Slots;
use super::{sys, vnet};
use packet::Packet;
use rustix::io::readv;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Slots of the ring.
const SLOTS: usize = 256;
/// Bytes of long frames, with what the kernel adds to them, that may wait in the socket's queue.
const QUEUE: i32 = 8 << 20;
/// The longest frame: 64 KiB of segments to be cut, and headers.
const MAX_FRAME: usize = 65536 + 256;

const STATUS_KERNEL: u32 = 0;
const STATUS_USER: u32 = 1;
const STATUS_COPY: u32 = 1 << 1;
const STATUS_VLAN_VALID: u32 = 1 << 4;
const STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
const PACKET_COPY_THRESH: i32 = 7;

/// A mapped receiving ring.
pub struct RxRing {
    slots: Slots,
    next: usize,
}

/// What came with a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The vnet header.
    pub vnet: [u8; vnet::LEN],
    /// The tag that the device took out of the frame: type and TCI.
    pub vlan: Option<(u16, u16)>,
}

impl RxRing {
    /// Makes a ring for a packet socket that has vnet headers.
    pub fn new(socket: BorrowedFd<'_>) -> io::Result<RxRing> {
        sys::set_packet_option(socket, PACKET_COPY_THRESH, &1)?;
        // As much as the system allows, if it does not allow this much.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, QUEUE as usize).is_err()
        {
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, QUEUE as usize);
        }
        Ok(RxRing {
            slots: Slots::map(socket, libc::PACKET_RX_RING, SLOTS)?,
            next: 0,
        })
    }

    /// Copies the next frame into `packet`. None if there is none yet; an inner none for a frame that
    /// is not whole.
    pub fn receive(&mut self, socket: impl AsFd, packet: &mut Packet) -> Option<Option<Arrival>> {
        let slot = self.next;
        let status = self.slots.status(slot);
        if status & STATUS_USER == 0 {
            return None;
        }
        let arrival = self.take(slot, status, socket, packet);
        self.slots.set_status(slot, STATUS_KERNEL);
        self.next = (slot + 1) % self.slots.count();
        Some(arrival)
    }

    fn take(
        &self,
        slot: usize,
        status: u32,
        socket: impl AsFd,
        packet: &mut Packet,
    ) -> Option<Arrival> {
        let mut bytes = [0; Header::LEN];
        self.slots.read(slot, 0, &mut bytes);
        let header = Header::read(&bytes, status);
        let vlan = header.vlan;
        let mut vnet = [0; vnet::LEN];
        if status & STATUS_COPY != 0 {
            let buffer = packet.receive_buffer(header.length.min(MAX_FRAME));
            let length = from_queue(socket, &mut vnet, buffer)?;
            packet.truncate(length);
            return (length == header.length).then_some(Arrival { vnet, vlan });
        }
        let whole = header.kept == header.length
            && self
                .slots
                .read(slot, header.mac.checked_sub(vnet::LEN)?, &mut vnet)
            && header.kept <= super::slots::SLOT
            && self
                .slots
                .read(slot, header.mac, packet.receive_buffer(header.kept));
        whole.then_some(Arrival { vnet, vlan })
    }
}

/// Takes the next frame out of the socket's own queue; gives its length.
fn from_queue(socket: impl AsFd, vnet: &mut [u8], frame: &mut [u8]) -> Option<usize> {
    let mut parts = [io::IoSliceMut::new(vnet), io::IoSliceMut::new(frame)];
    // An error that is told first (the device was down) is told once.
    let got = readv(&socket, &mut parts).or_else(|_| readv(&socket, &mut parts));
    got.ok()?.checked_sub(vnet::LEN)
}

/// A `tpacket2_hdr`.
///
/// ```text
///  0        4     8         12    14    16     20      24         26
///  | status | len | snaplen | mac | net | sec  | nsec  | vlan_tci | vlan_tpid |
/// ```
#[derive(Debug)]
struct Header {
    /// Bytes of the frame on the wire.
    length: usize,
    /// Bytes of it in the slot.
    kept: usize,
    /// Where they begin; the vnet header ends there.
    mac: usize,
    vlan: Option<(u16, u16)>,
}

impl Header {
    const LEN: usize = 32;

    fn read(b: &[u8; Header::LEN], status: u32) -> Header {
        let word = |i: usize| u32::from_ne_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]) as usize;
        let half = |i: usize| u16::from_ne_bytes([b[i], b[i + 1]]);
        let tpid = if status & STATUS_VLAN_TPID_VALID != 0 {
            half(26)
        } else {
            0x8100
        };
        Header {
            length: word(4),
            kept: word(8),
            mac: half(12).into(),
            vlan: (status & STATUS_VLAN_VALID != 0).then(|| (tpid, half(24))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_where_it_stands() {
        let mut bytes = [0; Header::LEN];
        bytes[4..8].copy_from_slice(&1500u32.to_ne_bytes());
        bytes[8..12].copy_from_slice(&100u32.to_ne_bytes());
        bytes[12..14].copy_from_slice(&76u16.to_ne_bytes());
        bytes[24..26].copy_from_slice(&5u16.to_ne_bytes());
        bytes[26..28].copy_from_slice(&0x88a8u16.to_ne_bytes());
        let plain = Header::read(&bytes, STATUS_USER);
        assert_eq!((plain.length, plain.kept, plain.mac), (1500, 100, 76));
        assert_eq!(plain.vlan, None);
        let tagged = STATUS_USER | STATUS_VLAN_VALID;
        assert_eq!(Header::read(&bytes, tagged).vlan, Some((0x8100, 5)));
        let typed = tagged | STATUS_VLAN_TPID_VALID;
        assert_eq!(Header::read(&bytes, typed).vlan, Some((0x88a8, 5)));
    }
}
