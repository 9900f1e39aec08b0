//! Registers.
#![allow(unsafe_code)]

use super::{PciError, SharedMemory, Transport};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// The registers behind a BAR. Words are big-endian, as ConnectX has them; the device sees
/// accesses in the order in which they were made, after all that was written to memory before.
#[derive(Clone)]
pub struct Bar {
    transport: Arc<dyn Transport>,
    index: u8,
    len: u64,
    mapped: Option<SharedMemory>,
}

impl Bar {
    pub(super) fn open(transport: Arc<dyn Transport>, index: u8) -> Result<Bar, PciError> {
        let len = transport.bar_len(index)?;
        if len == 0 {
            let what = format!("BAR {index}");
            return Err(PciError::refused(
                transport.address(),
                what,
                "there is none",
            ));
        }
        Ok(Bar {
            mapped: transport.map_bar(index)?,
            transport,
            index,
            len,
        })
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where a register is mapped; none if accesses go through the transport.
    #[inline]
    fn mapped(&self, at: u64, len: usize) -> Result<Option<*mut u8>, PciError> {
        let end = at.checked_add(len as u64);
        if !at.is_multiple_of(4) || end.is_none_or(|end| end > self.len) {
            let what = format!("register {at:#x} of BAR {}", self.index);
            let why = format!("the BAR has {:#x} bytes", self.len);
            return Err(PciError::refused(self.transport.address(), what, why));
        }
        Ok(self
            .mapped
            .as_ref()
            .map(|m| m.as_ptr().wrapping_add(at as usize)))
    }

    /// Reads a word. All ones is also what a device answers that is no longer there.
    ///
    /// # Errors
    /// The function is gone, or there is no such register.
    #[inline]
    pub fn read_be32(&self, at: u64) -> Result<u32, PciError> {
        let value = match self.mapped(at, 4)? {
            // SAFETY: `mapped` has seen that the word is inside of the BAR, whose mapping has the
            // BAR's length, and aligned; a register is only accessed whole.
            Some(place) => unsafe { place.cast::<u32>().read_volatile() }.to_ne_bytes(),
            None => {
                let mut bytes = [0; 4];
                self.transport.read_bar(self.index, at, &mut bytes)?;
                bytes
            }
        };
        fence(Ordering::SeqCst);
        Ok(u32::from_be_bytes(value))
    }

    /// Writes a word.
    ///
    /// # Errors
    /// The function is gone, or there is no such register.
    #[inline]
    pub fn write_be32(&self, at: u64, value: u32) -> Result<(), PciError> {
        fence(Ordering::SeqCst);
        match self.mapped(at, 4)? {
            // SAFETY: as in `read_be32`.
            Some(place) => unsafe { place.cast::<u32>().write_volatile(value.to_be()) },
            None => {
                let bytes = value.to_be_bytes();
                self.transport.write_bar(self.index, at, &bytes)?;
            }
        }
        Ok(())
    }

    /// Writes two words at once.
    ///
    /// # Errors
    /// The function is gone, or there is no such register.
    #[inline]
    pub fn write_be64(&self, at: u64, value: u64) -> Result<(), PciError> {
        fence(Ordering::SeqCst);
        match self.mapped(at, 8)? {
            Some(place) if at.is_multiple_of(8) => {
                // SAFETY: as in `read_be32`, and aligned for 8 bytes.
                unsafe { place.cast::<u64>().write_volatile(value.to_be()) };
            }
            Some(_) => {
                self.write_be32(at, (value >> 32) as u32)?;
                self.write_be32(at + 4, value as u32)?;
            }
            None => {
                let bytes = value.to_be_bytes();
                self.transport.write_bar(self.index, at, &bytes)?;
            }
        }
        Ok(())
    }
}
