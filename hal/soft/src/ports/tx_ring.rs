//! The transmitting ring of a packet socket: a batch of frames goes out by one system call.
//!
//! Slots are used in order, by us and by the kernel. We fill slots and mark them "send"; at a call
//! the kernel goes on from where it stopped for as long as it finds that mark, and gives a slot
//! back when the device is done with its frame. What it refuses keeps its mark, and the kernel
//! stays before it, however often it is called: such frames must be taken out, or the ring never
//! moves again. So after each call the first marked slot is where the kernel stands.

use super::aside::Aside;
use super::slots::Slots;
use super::{sys, vnet};
use rustix::net::{SendFlags, send};
use std::io;
use std::os::fd::AsFd;

/// Slots of the ring.
const SLOTS: usize = 128;
/// Where a slot's data begin: behind its header.
const DATA: usize = 32;
/// The longest frame that fits.
const LONGEST: usize = super::slots::SLOT - DATA - vnet::LEN;
/// Bytes that may be on their way, with what the kernel adds to them.
const IN_FLIGHT: usize = 4 << 20;

const AVAILABLE: u32 = 0;
const SEND: u32 = 1;
const WRONG_FORMAT: u32 = 4;

/// A mapped transmitting ring with its socket.
pub struct TxRing {
    socket: Aside,
    slots: Slots,
    /// Where the kernel looks next.
    first: usize,
    /// Frames that wait from there on.
    queued: usize,
}

impl TxRing {
    /// A ring to the device with this number.
    pub fn new(ifindex: i32) -> io::Result<TxRing> {
        let socket = Aside::from(sys::packet_socket()?);
        // As much as the system allows, if it does not allow this much.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, IN_FLIGHT);
        let slots = Slots::map(socket.as_fd(), libc::PACKET_TX_RING, SLOTS)?;
        sys::bind_to_send(socket.as_fd(), ifindex)?;
        Ok(TxRing {
            socket,
            slots,
            first: 0,
            queued: 0,
        })
    }

    /// Whether a frame of this length fits into a slot.
    pub fn takes(len: usize) -> bool {
        len <= LONGEST
    }

    /// Puts a frame into the next slot. False if it does not fit or no slot is free.
    pub fn put(&mut self, mut header: [u8; vnet::LEN], frame: &[u8]) -> bool {
        let slot = self.first + self.queued;
        let free = self.queued < self.slots.count() && self.slots.status(slot) == AVAILABLE;
        let (true, Ok(len)) = (
            free && TxRing::takes(frame.len()),
            u16::try_from(frame.len()),
        ) else {
            return false;
        };
        if !vnet::is_segmented(&header) {
            // The kernel copies what is called headers, and would have to hold our pages otherwise.
            vnet::set_headers_len(&mut header, len);
        }
        let length = (vnet::LEN as u32 + u32::from(len)).to_ne_bytes();
        let written = self.slots.write(slot, 4, &length)
            && self.slots.write(slot, DATA, &header)
            && self.slots.write(slot, DATA + vnet::LEN, frame);
        if written {
            self.slots.set_status(slot, SEND);
            self.queued += 1;
        }
        written
    }

    /// Has everything sent. Gives how many frames the kernel would not take.
    pub fn flush(&mut self) -> u64 {
        let mut refused = 0;
        while self.queued > 0 {
            let outcome = send(&self.socket, &[], SendFlags::DONTWAIT);
            let waiting = self.queued;
            while self.queued > 0 && !matches!(self.slots.status(self.first), SEND | WRONG_FORMAT) {
                self.step(1);
            }
            let moved = self.queued < waiting;
            if self.queued == 0 {
                break;
            }
            if self.slots.status(self.first) == WRONG_FORMAT {
                refused += 1;
                self.take_out_first();
            } else if outcome.is_err() || !moved {
                // The device is down, gone, or full; it would refuse the others too.
                refused += self.queued as u64;
                self.take_out_all();
                if outcome.is_ok() {
                    // Not an error, and yet not a frame: the kernel stands one slot behind, at a
                    // frame that it refused and unmarked.
                    self.first = (self.first + self.slots.count() - 1) % self.slots.count();
                }
            }
        }
        refused
    }

    fn step(&mut self, by: usize) {
        self.first = (self.first + by) % self.slots.count();
        self.queued -= by;
    }

    fn take_out_all(&mut self) {
        for i in 0..self.queued {
            self.slots.set_status(self.first + i, AVAILABLE);
        }
        self.queued = 0;
    }

    /// The kernel stays where it is: the frames behind the first move up.
    fn take_out_first(&mut self) {
        let mut bytes = [0; super::slots::SLOT - 4];
        for slot in self.first..self.first + self.queued - 1 {
            self.slots.read(slot + 1, 4, &mut bytes);
            self.slots.write(slot, 4, &bytes);
            self.slots.set_status(slot, SEND);
        }
        self.queued -= 1;
        self.slots.set_status(self.first + self.queued, AVAILABLE);
    }
}
