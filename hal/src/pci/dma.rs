//! Memory that a function can reach, as a type.

use super::function::Shared;
use super::{Iova, SharedMemory};
use std::ops::Deref;
use std::sync::Arc;

/// Memory that a function can reach, from the moment that there is a value until it is dropped.
///
/// Dropping it unmaps it first. If the function will not let go, the memory is kept until the end
/// of the process, on purpose, and counted
/// ([`PciFunction::leaked`](super::PciFunction::leaked)): memory that a device may still write
/// must not become somebody else's.
pub struct DmaMemory {
    pub(super) memory: SharedMemory,
    pub(super) at: Iova,
    /// Keeps the way to the function, and so the mapping's other end, as long as this lives.
    pub(super) function: Arc<Shared>,
}

impl DmaMemory {
    /// Its address as the function sees it.
    pub fn iova(&self) -> Iova {
        self.at
    }
}

impl Deref for DmaMemory {
    type Target = SharedMemory;
    fn deref(&self) -> &SharedMemory {
        &self.memory
    }
}

impl Drop for DmaMemory {
    fn drop(&mut self) {
        self.function.let_go(self.at, &self.memory);
    }
}
