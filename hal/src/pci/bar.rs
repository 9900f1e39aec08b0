//! Registers.
#![allow(unsafe_code)]

use super::{PciError, Transport};
use memmap2::{MmapOptions, MmapRaw};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A BAR as memory of this process. It stays mapped, and the device open, as long as this lives.
pub struct RegisterMap(MmapRaw);

impl RegisterMap {
    /// Maps a BAR: `len` bytes, from `offset` on in the device's file, both whole pages. Whoever does
    /// sees to it that the function lets memory accesses through from now on: one that it does not
    /// let through would end the process.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(device: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<RegisterMap> {
        let map = MmapOptions::new()
            .offset(offset)
            .len(len)
            .map_raw(&device)?;
        Ok(RegisterMap(map))
    }
}

/// The registers behind a BAR. Words are big-endian, as ConnectX has them; the device sees
/// accesses in the order in which they were made, after all that was written to memory before.
#[derive(Clone)]
pub struct Bar {
    transport: Arc<dyn Transport>,
    index: u8,
    len: u64,
    mapped: Option<Arc<RegisterMap>>,
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
        let mapped = transport.map_bar(index)?;
        if let Some(map) = &mapped
            && (map.0.len() as u64) < len
        {
            let what = format!("BAR {index}");
            let why = format!("{:#x} bytes of {len:#x} are mapped", map.0.len());
            return Err(PciError::refused(transport.address(), what, why));
        }
        Ok(Bar {
            mapped: mapped.map(Arc::new),
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

    /// Whether its registers are memory of this process.
    pub fn is_mapped(&self) -> bool {
        self.mapped.is_some()
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
            .map(|m| m.0.as_mut_ptr().wrapping_add(at as usize)))
    }

    /// Reads a word. All ones is also what a device answers that is no longer there.
    ///
    /// # Errors
    /// The function is gone, or there is no such register.
    #[inline]
    pub fn read_be32(&self, at: u64) -> Result<u32, PciError> {
        let value = match self.mapped(at, 4)? {
            // SAFETY: `mapped` has seen that the word is aligned and inside of the BAR, and `open` that
            // all of the BAR is mapped; the mapping lives as long as `self`. There are no references
            // to it: registers are only accessed whole, and volatile.
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

#[cfg(test)]
mod tests {
    use super::super::transport::HandedOver;
    use super::super::{Iova, PAGE, SharedMemory};
    use super::*;
    use std::os::fd::{AsFd, OwnedFd};

    /// A way to one BAR of a page, which is memory, mapped or not.
    struct Page {
        memory: SharedMemory,
        mapped: usize,
    }

    impl Transport for Page {
        fn address(&self) -> &str {
            "test"
        }
        fn read_config(&self, _: u16, _: &mut [u8]) -> Result<(), PciError> {
            Ok(())
        }
        fn write_config(&self, _: u16, _: &[u8]) -> Result<(), PciError> {
            Ok(())
        }
        fn bar_len(&self, _: u8) -> Result<u64, PciError> {
            Ok(PAGE as u64)
        }
        fn map_bar(&self, _: u8) -> Result<Option<RegisterMap>, PciError> {
            if self.mapped == 0 {
                return Ok(None);
            }
            let map = RegisterMap::new(self.memory.fd().as_fd(), 0, self.mapped);
            map.map(Some).map_err(|e| PciError::gone("test", e))
        }
        fn read_bar(&self, _: u8, at: u64, out: &mut [u8]) -> Result<(), PciError> {
            self.memory.read(at as usize, out);
            Ok(())
        }
        fn write_bar(&self, _: u8, at: u64, data: &[u8]) -> Result<(), PciError> {
            self.memory.write(at as usize, data);
            Ok(())
        }
        fn iova_ranges(&self) -> Result<Vec<(u64, u64)>, PciError> {
            Ok(Vec::new())
        }
        fn map(&self, _: Iova, _: &SharedMemory) -> Result<(), PciError> {
            Ok(())
        }
        fn unmap(&self, _: Iova, _: usize) -> Result<(), PciError> {
            Ok(())
        }
        fn interrupt_count(&self) -> Result<usize, PciError> {
            Ok(0)
        }
        fn set_interrupts(&self, _: Vec<OwnedFd>) -> Result<(), PciError> {
            Ok(())
        }
        fn reset(&self) -> Result<(), PciError> {
            Ok(())
        }
        fn hand_over(self: Arc<Self>) -> Result<HandedOver, PciError> {
            Ok(HandedOver::Way(self))
        }
    }

    #[test]
    fn registers_are_the_same_mapped_and_not() {
        for mapped in [0, PAGE] {
            let memory = SharedMemory::new("bar", PAGE).unwrap();
            let page = Page {
                memory: memory.clone(),
                mapped,
            };
            let bar = Bar::open(Arc::new(page), 0).unwrap();
            assert_eq!(bar.is_mapped(), mapped > 0);
            bar.write_be32(0xffc, 0x0102_0304).unwrap();
            bar.write_be64(0x10, 0x0102_0304_0506_0708).unwrap();
            // Not a multiple of 8: in two halves.
            bar.write_be64(0x24, 0x1112_1314_1516_1718).unwrap();
            let mut seen = [0; 8];
            for (at, first) in [(0x10, 1), (0x24, 0x11)] {
                memory.read(at, &mut seen);
                assert!(
                    seen.iter().copied().eq(first..first + 8),
                    "{mapped} {seen:?}"
                );
            }
            assert_eq!(bar.read_be32(0xffc), Ok(0x0102_0304));
            assert_eq!(bar.read_be32(0x28), Ok(0x1516_1718));
            for at in [0x1000, 0xffe, u64::MAX - 3] {
                assert!(bar.read_be32(at).is_err() && bar.write_be32(at, 0).is_err());
            }
            assert!(bar.write_be64(0xffc, 0).is_err());
        }
    }

    #[test]
    fn a_bar_that_is_not_all_mapped_is_refused() {
        let page = Page {
            memory: SharedMemory::new("bar", PAGE).unwrap(),
            mapped: PAGE / 2,
        };
        assert!(Bar::open(Arc::new(page), 0).is_err());
    }
}
