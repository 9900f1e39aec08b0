//! The shortest way: to a function that the same process plays.

use super::transport::HandedOver;
use super::{Endpoint, Iova, PciError, RegisterMap, SharedMemory, Transport};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// All addresses but the first page, so that zero is never a valid one.
const ADDRESSES: (u64, u64) = (0x1000, (1 << 48) - 0x1000);

pub(super) struct InProcess {
    name: String,
    endpoint: Arc<dyn Endpoint>,
}

impl InProcess {
    pub fn new(name: &str, endpoint: Arc<dyn Endpoint>) -> InProcess {
        InProcess {
            name: name.into(),
            endpoint,
        }
    }

    fn refused(&self, what: impl Into<String>, why: impl ToString) -> PciError {
        PciError::refused(&self.name, what, why)
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.endpoint.close();
    }
}

impl Transport for InProcess {
    fn address(&self) -> &str {
        &self.name
    }

    fn read_config(&self, at: u16, out: &mut [u8]) -> Result<(), PciError> {
        self.endpoint.read_config(at, out);
        Ok(())
    }

    fn write_config(&self, at: u16, data: &[u8]) -> Result<(), PciError> {
        self.endpoint.write_config(at, data);
        Ok(())
    }

    fn bar_len(&self, bar: u8) -> Result<u64, PciError> {
        Ok(self.endpoint.bar_len(bar))
    }

    fn map_bar(&self, _: u8) -> Result<Option<RegisterMap>, PciError> {
        Ok(None)
    }

    fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), PciError> {
        let read = self.endpoint.read_bar(bar, at, out);
        read.map_err(|e| self.refused("read", e))
    }

    fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), PciError> {
        let written = self.endpoint.write_bar(bar, at, data);
        written.map_err(|e| self.refused("write", e))
    }

    fn iova_ranges(&self) -> Result<Vec<(u64, u64)>, PciError> {
        Ok(vec![ADDRESSES])
    }

    fn map(&self, at: Iova, memory: &SharedMemory) -> Result<(), PciError> {
        // A mapping of its own, as another process would have it.
        let fd = memory.fd().try_clone_to_owned();
        let theirs = fd.and_then(|fd| SharedMemory::map(fd, memory.file_offset(), memory.len()));
        let theirs = theirs.map_err(|e| self.refused(format!("map {at}"), e))?;
        let mapped = self.endpoint.map(at, theirs, true);
        mapped.map_err(|e| self.refused(format!("map {at}"), e))
    }

    fn unmap(&self, at: Iova, len: usize) -> Result<(), PciError> {
        let unmapped = self.endpoint.unmap(at, len);
        unmapped.map_err(|e| self.refused(format!("unmap {at}"), e))
    }

    fn interrupt_count(&self) -> Result<usize, PciError> {
        Ok(self.endpoint.interrupt_count())
    }

    fn set_interrupts(&self, eventfds: Vec<OwnedFd>) -> Result<(), PciError> {
        let eventfds = eventfds.into_iter().map(Some).collect();
        let set = self.endpoint.set_interrupts(eventfds);
        set.map_err(|e| self.refused("interrupts", e))
    }

    fn reset(&self) -> Result<(), PciError> {
        self.endpoint.reset();
        Ok(())
    }

    fn hand_over(self: Arc<Self>) -> Result<HandedOver, PciError> {
        Ok(HandedOver::Way(self))
    }
}
