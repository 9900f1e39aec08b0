//! Keeps the host's stack off a device that is a switch port.
//!
//! A packet socket only copies: the host would answer for the device as well. Two eBPF
//! instructions ("return drop") on the device's ingress link (TCX, Linux 6.6) come after the
//! packet socket and before the stack. The link lives as long as its descriptor, so that after a
//! kill the host has its device back.

use super::aside::Aside;
use super::sys;
use crate::lock::Lock;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

const PROG_LOAD: i32 = 5;
const LINK_CREATE: i32 = 28;
const PROG_TYPE_SCHED_CLS: u64 = 3;
const TCX_INGRESS: u64 = 46;

/// How long an open port waits for its barrier.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes of stack for a thread that only puts up a barrier.
const STACK: usize = 64 * 1024;

/// Nothing that the device receives reaches the host's stack, from a moment after it is made (a
/// few milliseconds for one, a while when hundreds come at once, since the kernel takes them one by
/// one) until it is dropped.
#[derive(Debug)]
pub struct StackBarrier {
    /// Holds the link, once there is one.
    _link: Lock<Receiver<Aside>>,
}

impl StackBarrier {
    /// Puts a barrier up. `refused` hears why if there can't be one.
    pub fn new(ifindex: u32, refused: impl FnOnce(io::Error) + Send + 'static) -> StackBarrier {
        let (put, link) = sync_channel(1);
        let (up, is_up) = sync_channel(1);
        let raise = move || {
            match attach(ifindex) {
                // Nobody may want it any more: then it goes again.
                Ok(link) => drop(put.send(link)),
                Err(e) => refused(e),
            }
            let _ = up.send(());
        };
        let thread = std::thread::Builder::new().name("barrier".into());
        if let Err(e) = thread.stack_size(STACK).spawn(raise) {
            tracing::warn!(target: "netdev_linux", "could not start a thread ({e})");
        }
        let _ = is_up.recv_timeout(PATIENCE);
        StackBarrier {
            _link: Lock::new(link),
        }
    }
}

/// Puts the program on the device. Needs the right to load programs and Linux 6.6.
fn attach(ifindex: u32) -> io::Result<Aside> {
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
    Ok(sys::bpf(LINK_CREATE, &mut create)?.into())
}
