//! The way to a function.

use super::{Iova, PciError, RegisterMap, SharedMemory};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The way to a function. Dropping the last handle of it closes the function, which resets it
/// unless somebody else holds it too.
pub trait Transport: Send + Sync {
    /// The function, for people: `0000:03:00.0`, `vfio-user:/run/nic.sock`.
    fn address(&self) -> &str;

    /// Reads configuration space.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn read_config(&self, at: u16, out: &mut [u8]) -> Result<(), PciError>;

    /// Writes configuration space.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn write_config(&self, at: u16, data: &[u8]) -> Result<(), PciError>;

    /// Length of a BAR in bytes, 0 = there is none.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn bar_len(&self, bar: u8) -> Result<u64, PciError>;

    /// A BAR that can be had as memory of this process, all of it. None = each access goes through
    /// [`Transport::read_bar`] and [`Transport::write_bar`].
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn map_bar(&self, bar: u8) -> Result<Option<RegisterMap>, PciError>;

    /// Reads registers, 4 or 8 bytes.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), PciError>;

    /// Writes registers, 4 or 8 bytes, or a block of 64.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), PciError>;

    /// Ranges of addresses that can be mapped: begin and length.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn iova_ranges(&self) -> Result<Vec<(u64, u64)>, PciError>;

    /// Lets the function reach memory, from this address on.
    ///
    /// # Errors
    /// Nothing is mapped then.
    fn map(&self, at: Iova, memory: &SharedMemory) -> Result<(), PciError>;

    /// Ends that. Once this has returned without an error the function reaches it no more.
    ///
    /// # Errors
    /// The function may still reach the memory.
    fn unmap(&self, at: Iova, len: usize) -> Result<(), PciError>;

    /// How many interrupts (MSI-X) the function has.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn interrupt_count(&self) -> Result<usize, PciError>;

    /// Gives each of the first interrupts an eventfd to count up; an empty list ends all.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn set_interrupts(&self, eventfds: Vec<OwnedFd>) -> Result<(), PciError>;

    /// Resets the function.
    ///
    /// # Errors
    /// The function is gone or refuses.
    fn reset(&self) -> Result<(), PciError>;

    /// What another process needs to go on: descriptors, in an order that its adoption knows, or
    /// the way itself where it leads nowhere else.
    ///
    /// # Errors
    /// A descriptor cannot be copied.
    fn hand_over(self: Arc<Self>) -> Result<HandedOver, PciError>;
}

/// A way to a function that changes hands.
pub enum HandedOver {
    /// To another process, or within this one.
    Descriptors(Vec<OwnedFd>),
    /// Within this process only.
    Way(Arc<dyn Transport>),
}
