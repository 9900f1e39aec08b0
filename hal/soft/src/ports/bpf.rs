//! Keeps the host's stack off a device that is a switch port.
//!
//! A packet socket only copies: the host would answer for the device as well. Two eBPF
//! instructions ("return drop") on the device's ingress link (TCX, Linux 6.6) come after the
//! packet socket and before the stack. The link lives as long as its descriptor, so that after a
//! kill the host has its device back.

use super::sys;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const PROG_LOAD: i32 = 5;
const LINK_CREATE: i32 = 28;
const PROG_TYPE_SCHED_CLS: u64 = 3;
const TCX_INGRESS: u64 = 46;

/// While it lives, nothing that the device receives reaches the host's stack.
#[derive(Debug)]
pub struct StackBarrier {
    _link: OwnedFd,
}

impl StackBarrier {
    /// Puts a barrier up. Needs the right to load programs and Linux 6.6.
    pub fn new(ifindex: u32) -> io::Result<StackBarrier> {
        // r0 = 2 (drop); exit.
        let program: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
        let license = *b"Apache-2.0\0";
        let mut load = [0u64; 16];
        load[0] = PROG_TYPE_SCHED_CLS | (program.len() as u64) << 32;
        load[1] = program.as_ptr() as u64;
        load[2] = license.as_ptr() as u64;
        let program_fd = sys::bpf(PROG_LOAD, &mut load)?;
        let mut create = [0u64; 16];
        create[0] = program_fd.as_raw_fd() as u64 | u64::from(ifindex) << 32;
        create[1] = TCX_INGRESS;
        Ok(StackBarrier {
            _link: sys::bpf(LINK_CREATE, &mut create)?,
        })
    }
}
