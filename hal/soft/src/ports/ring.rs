//! The receive ring that a packet socket shares with the kernel (packet(7), `PACKET_RX_RING`,
//! version 2).
//!
//! The ring is a row of frames of equal size. Each begins with a header whose first word says who
//! owns the frame: the kernel writes "user" when it has filled it, we write "kernel" when we have
//! copied it out. Everything in a frame was written by the kernel for a sender on the wire: its
//! offsets and lengths are checked against the frame before anything is copied.
#![allow(unsafe_code)]

use super::sys;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a frame: 64 KiB of segments to be cut and headers; whole pages.
const FRAME: usize = 17 * 4096;
/// Frames in the ring.
const FRAMES: usize = 64;

const STATUS_USER: u32 = 1;
const STATUS_VLAN_VALID: u32 = 1 << 4;
const STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
const PACKET_VERSION: i32 = 10;
const TPACKET_V2: i32 = 1;

/// A mapped receive ring.
pub struct RxRing {
    base: *mut u8,
    next: usize,
}

// SAFETY: the mapping belongs to the value alone and is not tied to a thread.
unsafe impl Send for RxRing {}

/// One received frame, copied out.
pub struct Received<'a> {
    /// The vnet header.
    pub vnet: [u8; super::vnet::LEN],
    /// The frame.
    pub frame: &'a [u8],
    /// The tag that the device took out of it: type and TCI.
    pub vlan: Option<(u16, u16)>,
    /// How long the frame was on the wire; longer than `frame` if it did not fit.
    pub wire_len: usize,
}

impl RxRing {
    /// Makes a ring for a packet socket and maps it.
    pub fn new(socket: BorrowedFd<'_>) -> io::Result<RxRing> {
        sys::set_packet_option(socket, PACKET_VERSION, &TPACKET_V2)?;
        let (frame, count) = (FRAME as u32, FRAMES as u32);
        // Block size, blocks, frame size, frames: a block is a frame.
        sys::set_packet_option(socket, libc::PACKET_RX_RING, &[frame, count, frame, count])?;
        // SAFETY: a fresh shared mapping of the ring's whole length, wherever the kernel likes;
        // it is unmapped only when the value is dropped.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                FRAME * FRAMES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                socket,
                0,
            )?
        };
        Ok(RxRing {
            base: base.cast(),
            next: 0,
        })
    }

    /// Hands the next frame, if there is one, to `f`. The bytes are a copy in `scratch`.
    pub fn receive<R>(
        &mut self,
        scratch: &mut Vec<u8>,
        f: impl FnOnce(Option<Received<'_>>) -> R,
    ) -> Option<R> {
        // SAFETY: `next` is below `FRAMES`, so the frame lies within the mapping, which is page
        // aligned as is the frame's size; the status word is shared with the kernel and is only
        // touched atomically.
        let (status, bytes) = unsafe {
            let frame = self.base.add(self.next * FRAME);
            let status = &*frame.cast::<AtomicU32>();
            if status.load(Ordering::Acquire) & STATUS_USER == 0 {
                return None;
            }
            (status, std::slice::from_raw_parts(frame, FRAME))
        };
        // SAFETY of the slice: while the status says "user", the kernel does not write the frame.
        let received = copy_out(bytes, scratch);
        let result = f(received);
        status.store(0, Ordering::Release);
        self.next = (self.next + 1) % FRAMES;
        Some(result)
    }
}

/// Reads a `tpacket2_hdr` and what it points to.
///
/// ```text
///  0        4     8         12    14    16     20      24         26
///  | status | len | snaplen | mac | net | sec  | nsec  | vlan_tci | vlan_tpid |
/// ```
fn copy_out<'s>(bytes: &[u8], scratch: &'s mut Vec<u8>) -> Option<Received<'s>> {
    let u32_at = |i: usize| {
        let b = bytes.get(i..i + 4)?;
        Some(u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
    };
    let u16_at = |i: usize| {
        let b = bytes.get(i..i + 2)?;
        Some(u16::from_ne_bytes([b[0], b[1]]))
    };
    let status = u32_at(0)?;
    let (len, snaplen) = (u32_at(4)? as usize, u32_at(8)? as usize);
    let mac = usize::from(u16_at(12)?);
    let header = mac.checked_sub(super::vnet::LEN)?;
    let mut vnet = [0; super::vnet::LEN];
    vnet.copy_from_slice(bytes.get(header..mac)?);
    let frame = bytes.get(mac..mac.checked_add(snaplen)?)?;
    scratch.clear();
    scratch.extend_from_slice(frame);
    let vlan = if status & STATUS_VLAN_VALID != 0 {
        let tpid = if status & STATUS_VLAN_TPID_VALID != 0 {
            u16_at(26)?
        } else {
            0x8100
        };
        Some((tpid, u16_at(24)?))
    } else {
        None
    };
    Some(Received {
        vnet,
        frame: scratch,
        vlan,
        wire_len: len,
    })
}

impl Drop for RxRing {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nothing refers to it any more.
        let _ = unsafe { munmap(self.base.cast(), FRAME * FRAMES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_points_outside_is_refused() {
        let mut bytes = vec![0u8; 256];
        let mut scratch = Vec::new();
        bytes[8..12].copy_from_slice(&100u32.to_ne_bytes());
        bytes[12..14].copy_from_slice(&66u16.to_ne_bytes());
        assert_eq!(
            copy_out(&bytes, &mut scratch).map(|r| r.frame.len()),
            Some(100)
        );
        bytes[12..14].copy_from_slice(&200u16.to_ne_bytes());
        assert!(copy_out(&bytes, &mut scratch).is_none());
        bytes[12..14].copy_from_slice(&4u16.to_ne_bytes());
        assert!(copy_out(&bytes, &mut scratch).is_none());
        bytes[8..12].copy_from_slice(&u32::MAX.to_ne_bytes());
        bytes[12..14].copy_from_slice(&66u16.to_ne_bytes());
        assert!(copy_out(&bytes, &mut scratch).is_none());
    }
}
