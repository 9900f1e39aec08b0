//! Memory of a ring, as commands describe it: pages of some size, and where in the first of them
//! the ring begins.

use crate::connectx::core::Bus;
use crate::connectx::memory::Unreachable;
use crate::connectx::syndrome::Syndrome;

/// A ring of 2^`log_size` entries of 2^`log_stride` bytes.
#[derive(Clone, Debug)]
pub(in crate::connectx) struct Ring {
    pages: Vec<u64>,
    log_page: u32,
    offset: u64,
    log_stride: u32,
    log_size: u32,
}

impl Ring {
    /// The pages are addresses; `log_page` counts from 4 KiB and `offset` is in 64ths of a page.
    pub fn new(
        pages: Vec<u64>,
        log_page: u8,
        offset: u8,
        log_stride: u32,
        log_size: u32,
    ) -> Result<Ring, Syndrome> {
        let log_page = 12 + u32::from(log_page);
        if log_page > 40 || log_size + log_stride > 32 {
            return Err(Syndrome::RingSize);
        }
        let offset = u64::from(offset) << (log_page - 6);
        let need = (offset + (1 << (log_size + log_stride))).div_ceil(1 << log_page);
        if pages.len() as u64 != need {
            return Err(Syndrome::RingPages);
        }
        if pages.iter().any(|p| !p.is_multiple_of(1 << log_page)) {
            return Err(Syndrome::RingAlignment);
        }
        Ok(Ring {
            pages,
            log_page,
            offset,
            log_stride,
            log_size,
        })
    }

    /// Entries.
    pub fn len(&self) -> u32 {
        1 << self.log_size
    }

    /// Bytes of an entry.
    pub fn stride(&self) -> usize {
        1 << self.log_stride
    }

    /// The address of an entry; counters wrap around.
    pub fn at(&self, index: u32) -> Result<u64, Unreachable> {
        let index = u64::from(index & (self.len() - 1));
        let at = self.offset + (index << self.log_stride);
        let page = usize::try_from(at >> self.log_page).unwrap_or(usize::MAX);
        let page = self.pages.get(page).ok_or(Unreachable(at))?;
        Ok(page + (at & ((1 << self.log_page) - 1)))
    }

    /// Which pass over the ring a counter is in: odd or even.
    pub fn pass(&self, counter: u32) -> u32 {
        counter >> self.log_size & 1
    }

    /// Writes 64 bytes at an entry, those with the ownership last.
    pub fn publish(
        &self,
        bus: &Bus<'_>,
        counter: u32,
        skip: u64,
        entry: &[u8],
    ) -> Result<(), Unreachable> {
        let at = self.at(counter)? + skip;
        let (body, last) = entry.split_at(entry.len().min(60));
        bus.write(at, body)?;
        let last = last.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        bus.store(at + 60, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_where_pages_say() {
        let ring = Ring::new(vec![0x9000, 0x4000], 0, 0, 6, 7).unwrap();
        assert_eq!(ring.at(0), Ok(0x9000));
        assert_eq!(ring.at(63), Ok(0x9fc0));
        assert_eq!(ring.at(64), Ok(0x4000));
        assert_eq!(ring.at(128), Ok(0x9000));
        assert_eq!((ring.pass(127), ring.pass(128), ring.pass(256)), (0, 1, 0));
        let inside = Ring::new(vec![0x9000], 0, 32, 6, 5).unwrap();
        assert_eq!(inside.at(1), Ok(0x9840));
    }

    #[test]
    fn a_ring_that_is_not_its_pages_is_refused() {
        let ring = |pages: &[u64], log_page, offset, log_size| {
            Ring::new(pages.to_vec(), log_page, offset, 6, log_size).err()
        };
        assert_eq!(ring(&[0x1000], 0, 0, 6), None);
        assert_eq!(ring(&[0x1000], 0, 1, 6), Some(Syndrome::RingPages));
        assert_eq!(ring(&[0x1000, 0x2000], 0, 0, 6), Some(Syndrome::RingPages));
        assert_eq!(ring(&[0x1000], 1, 0, 6), Some(Syndrome::RingAlignment));
        assert_eq!(ring(&[0x1000], 31, 0, 6), Some(Syndrome::RingSize));
        assert_eq!(ring(&[0x1000], 0, 0, 31), Some(Syndrome::RingSize));
    }
}
