//! The other side: a PCI function that a program plays.

use super::{Iova, SharedMemory};
use std::os::fd::OwnedFd;

/// An access that no register answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no register of {len} bytes at {at:#x} of BAR {bar}")]
pub struct BarFault {
    /// The BAR.
    pub bar: u8,
    /// Where in it.
    pub at: u64,
    /// Bytes.
    pub len: usize,
}

/// A PCI function that a program plays. Whoever serves it (in-process or over a socket) calls it
/// from any thread.
pub trait Endpoint: Send + Sync {
    /// Configuration space; what is not there reads as zero.
    fn read_config(&self, at: u16, out: &mut [u8]);

    /// Writes configuration space; what cannot be written stays.
    fn write_config(&self, at: u16, data: &[u8]);

    /// Length of a BAR in bytes, 0 = there is none.
    fn bar_len(&self, bar: u8) -> u64;

    /// Reads registers.
    ///
    /// # Errors
    /// No register is there.
    fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), BarFault>;

    /// Writes registers.
    ///
    /// # Errors
    /// No register is there.
    fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), BarFault>;

    /// Memory that the function can reach from now on.
    ///
    /// # Errors
    /// Why not: it overlaps what is mapped, for one.
    fn map(&self, at: Iova, memory: SharedMemory, writable: bool) -> Result<(), String>;

    /// Memory that it can no longer reach once this returns.
    ///
    /// # Errors
    /// Nothing of exactly this place is mapped.
    fn unmap(&self, at: Iova, len: usize) -> Result<(), String>;

    /// How many interrupts (MSI-X) there are.
    fn interrupt_count(&self) -> usize;

    /// What each of the first interrupts counts up; the others are off.
    ///
    /// # Errors
    /// There are more than the function has.
    fn set_interrupts(&self, eventfds: Vec<Option<OwnedFd>>) -> Result<(), String>;

    /// Function-level reset: as after power-on. What is mapped stays mapped.
    fn reset(&self);

    /// The last peer has gone: nothing is mapped any more, and the function is reset.
    fn close(&self);
}
