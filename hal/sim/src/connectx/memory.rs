//! The host's memory as the NIC reaches it: what is mapped, by address.
//!
//! An access may cross from one mapping into the next, as behind an IOMMU where each page is one;
//! where nothing is mapped it fails as a whole or in part, as a bus does.

use hal::pci::{Iova, SharedMemory};
use std::collections::BTreeMap;

/// Nothing, or nothing that may be written, is mapped at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreachable(pub u64);

struct Region {
    memory: SharedMemory,
    writable: bool,
}

/// What is mapped.
#[derive(Default)]
pub(super) struct Reachable(BTreeMap<u64, Region>);

impl Reachable {
    /// Maps memory from an address on.
    pub fn map(&mut self, at: Iova, memory: SharedMemory, writable: bool) -> Result<(), String> {
        let end = at.0.checked_add(memory.len() as u64);
        let end = end.ok_or("goes beyond the last address")?;
        if memory.is_empty() {
            return Err("is empty".into());
        }
        if let Some((other, region)) = self.0.range(..end).next_back()
            && other + region.memory.len() as u64 > at.0
        {
            return Err(format!("overlaps what is mapped at {other:#x}"));
        }
        self.0.insert(at.0, Region { memory, writable });
        Ok(())
    }

    /// Ends a mapping.
    pub fn unmap(&mut self, at: Iova, len: usize) -> Result<(), String> {
        match self.0.get(&at.0) {
            Some(region) if region.memory.len() == len => {
                self.0.remove(&at.0);
                Ok(())
            }
            Some(region) => Err(format!("{:#x} bytes are mapped there", region.memory.len())),
            None => Err("nothing is mapped there".into()),
        }
    }

    /// Ends all mappings.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The region of an address, and where in it the address is.
    fn find(&self, at: u64) -> Result<(&Region, usize), Unreachable> {
        let (begin, region) = self.0.range(..=at).next_back().ok_or(Unreachable(at))?;
        let inside = usize::try_from(at - begin).map_err(|_| Unreachable(at))?;
        if inside < region.memory.len() {
            Ok((region, inside))
        } else {
            Err(Unreachable(at))
        }
    }

    /// Copies bytes out.
    pub fn read(&self, mut at: u64, mut out: &mut [u8]) -> Result<(), Unreachable> {
        while !out.is_empty() {
            let (region, inside) = self.find(at)?;
            let n = out.len().min(region.memory.len() - inside);
            let (now, later) = out.split_at_mut(n);
            region.memory.read(inside, now);
            out = later;
            at = at.checked_add(n as u64).ok_or(Unreachable(at))?;
        }
        Ok(())
    }

    /// Copies bytes in.
    pub fn write(&self, mut at: u64, mut bytes: &[u8]) -> Result<(), Unreachable> {
        while !bytes.is_empty() {
            let (region, inside) = self.find(at)?;
            if !region.writable {
                return Err(Unreachable(at));
            }
            let n = bytes.len().min(region.memory.len() - inside);
            let (now, later) = bytes.split_at(n);
            region.memory.write(inside, now);
            bytes = later;
            at = at.checked_add(n as u64).ok_or(Unreachable(at))?;
        }
        Ok(())
    }

    /// A big-endian word, read whole and before all that is read later.
    pub fn load(&self, at: u64) -> Result<u32, Unreachable> {
        let (region, inside) = self.find(at)?;
        if !at.is_multiple_of(4) || inside + 4 > region.memory.len() {
            return Err(Unreachable(at));
        }
        Ok(region.memory.load_be32(inside))
    }

    /// Stores a big-endian word, whole and after all that was written earlier.
    pub fn store(&self, at: u64, value: u32) -> Result<(), Unreachable> {
        let (region, inside) = self.find(at)?;
        if !at.is_multiple_of(4) || inside + 4 > region.memory.len() || !region.writable {
            return Err(Unreachable(at));
        }
        region.memory.store_be32(inside, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_cross_from_one_mapping_into_the_next() {
        let mut reachable = Reachable::default();
        let memory = || SharedMemory::new("test", 4096).unwrap();
        reachable.map(Iova(0x1000), memory(), true).unwrap();
        reachable.map(Iova(0x2000), memory(), true).unwrap();
        reachable.map(Iova(0x4000), memory(), false).unwrap();
        assert!(reachable.map(Iova(0x1800), memory(), true).is_err());
        assert!(reachable.map(Iova(u64::MAX - 5), memory(), true).is_err());
        reachable.write(0x1ffe, &[1, 2, 3, 4]).unwrap();
        let mut four = [0; 4];
        reachable.read(0x1ffe, &mut four).unwrap();
        assert_eq!(four, [1, 2, 3, 4]);
        assert_eq!(reachable.load(0x2000), Ok(0x0304_0000));
        assert_eq!(reachable.load(0x2002), Err(Unreachable(0x2002)));
        assert_eq!(reachable.write(0x2fff, &[1, 2]), Err(Unreachable(0x3000)));
        assert_eq!(reachable.write(0x4000, &[1]), Err(Unreachable(0x4000)));
        assert_eq!(reachable.store(0x4000, 1), Err(Unreachable(0x4000)));
        assert_eq!(reachable.read(0xfff, &mut four), Err(Unreachable(0xfff)));
        assert!(reachable.unmap(Iova(0x1000), 8192).is_err());
        reachable.unmap(Iova(0x1000), 4096).unwrap();
        assert!(reachable.unmap(Iova(0x1000), 4096).is_err());
        assert_eq!(reachable.read(0x1ffe, &mut four), Err(Unreachable(0x1ffe)));
    }
}
