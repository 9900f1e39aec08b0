//! Descriptors whose closing nobody waits for.
//!
//! To be sure that no processor still uses a packet socket, its rings, or a program on a device, the
//! kernel waits for all of them: tens of milliseconds for one that is closed. Waits that go on at the
//! same time cost as much as one. So each is closed by a thread of its own, and neither the thread
//! that forwards nor the one that configures stands still.

use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of stack for a thread that only closes.
const STACK: usize = 64 * 1024;

/// A descriptor that is closed aside.
#[derive(Debug)]
pub struct Aside(OwnedFd);

impl From<OwnedFd> for Aside {
    fn from(fd: OwnedFd) -> Aside {
        Aside(fd)
    }
}

impl AsFd for Aside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Something must stand in its place; without that, or without a thread, it is closed here.
        if let Ok(other) = eventfd(0, EventfdFlags::CLOEXEC) {
            let fd = std::mem::replace(&mut self.0, other);
            let closer = std::thread::Builder::new().name("closer".into());
            let _ = closer.stack_size(STACK).spawn(move || drop(fd));
        }
    }
}
