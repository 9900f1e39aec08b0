//! Memory that a packet socket shares with the kernel: a row of slots of equal size (packet(7),
//! `PACKET_RX_RING` and `PACKET_TX_RING`, version 2).
//!
//! The first word of a slot says whose it is. What is in a slot is copied in and out and never
//! borrowed, since the kernel may write to it at any time.
#![allow(unsafe_code)]

use super::sys;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a slot: a frame of the usual size with its headers.
pub const SLOT: usize = 2048;
/// Bytes that the kernel allocates in one piece.
const BLOCK: usize = 65536;

const PACKET_VERSION: i32 = 10;
const TPACKET_V2: i32 = 1;

/// The mapped slots of one ring.
pub struct Slots {
    base: NonNull<u8>,
    count: usize,
}

// SAFETY: the mapping belongs to the value alone and is not tied to a thread.
unsafe impl Send for Slots {}

impl Slots {
    /// Gives a packet socket a ring of about `count` slots, of the kind that `option` names, and
    /// maps it. The socket must have no other ring.
    pub fn map(socket: BorrowedFd<'_>, option: i32, count: usize) -> io::Result<Slots> {
        let blocks = count.div_ceil(BLOCK / SLOT).max(1);
        let count = blocks * (BLOCK / SLOT);
        sys::set_packet_option(socket, PACKET_VERSION, &TPACKET_V2)?;
        let request = [BLOCK, blocks, SLOT, count].map(|n| n as u32);
        sys::set_packet_option(socket, option, &request)?;
        // SAFETY: a fresh shared mapping of the ring's whole length, wherever the kernel likes;
        // it is unmapped only when the value is dropped.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                SLOT * count,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                socket,
                0,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Slots { base, count })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    fn word(&self, slot: usize) -> &AtomicU32 {
        // SAFETY: the remainder is below `count`, so the slot lies within the mapping, which is
        // page aligned as is a power of two's multiple of slots; the word is shared with the kernel
        // and only ever touched atomically.
        unsafe { self.base.add(slot % self.count * SLOT).cast().as_ref() }
    }

    /// Whose a slot is. What its owner wrote before saying so can be read after.
    pub fn status(&self, slot: usize) -> u32 {
        self.word(slot).load(Ordering::Acquire)
    }

    /// Gives a slot away, with what was written into it.
    pub fn set_status(&self, slot: usize, status: u32) {
        self.word(slot).store(status, Ordering::Release);
    }

    /// Copies bytes out of a slot. False if they would not lie within it.
    pub fn read(&self, slot: usize, at: usize, into: &mut [u8]) -> bool {
        if at > SLOT || into.len() > SLOT - at {
            return false;
        }
        // SAFETY: the bytes lie within the slot, as was just checked, and so within the mapping;
        // `into` is ours alone and can't overlap with it.
        unsafe {
            let from = self.base.add(slot % self.count * SLOT + at);
            std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), into.len());
        }
        true
    }

    /// Copies bytes into a slot behind its first word. False if they would not lie there.
    pub fn write(&self, slot: usize, at: usize, from: &[u8]) -> bool {
        if !(4..=SLOT).contains(&at) || from.len() > SLOT - at {
            return false;
        }
        // SAFETY: as above.
        unsafe {
            let into = self.base.add(slot % self.count * SLOT + at);
            std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_ptr(), from.len());
        }
        true
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nothing refers to it any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), SLOT * self.count) };
    }
}
