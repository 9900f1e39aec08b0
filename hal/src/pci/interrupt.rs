//! Interrupts: eventfds that a function counts up.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An interrupt: readable from when it was raised until it is taken.
#[derive(Debug)]
pub struct Interrupt(OwnedFd);

impl Interrupt {
    /// One that nobody raises yet.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new() -> io::Result<Interrupt> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Interrupt(eventfd(0, flags)?))
    }

    /// The descriptor, for whoever raises it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Whether it was raised since it was last taken.
    pub fn take(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
