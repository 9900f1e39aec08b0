//! Addresses as a function sees them.

use std::collections::BTreeMap;
use std::fmt;

/// An address as the function sees it (input-output virtual address).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iova(pub u64);

impl std::ops::Add<usize> for Iova {
    type Output = Iova;
    fn add(self, bytes: usize) -> Iova {
        Iova(self.0.wrapping_add(bytes as u64))
    }
}

impl fmt::Display for Iova {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Which addresses are free: the first that fits is given out.
#[derive(Debug)]
pub(super) struct IovaSpace {
    /// Length by begin; neighbours are joined.
    free: BTreeMap<u64, u64>,
}

impl IovaSpace {
    /// All addresses of these ranges: begin and length.
    pub fn new(ranges: &[(u64, u64)]) -> IovaSpace {
        let mut space = IovaSpace {
            free: BTreeMap::new(),
        };
        for (begin, len) in ranges {
            space.give_back(Iova(*begin), *len);
        }
        space
    }

    /// Takes `len` bytes that begin at a multiple of `align`, a power of two.
    pub fn take(&mut self, len: u64, align: u64) -> Option<Iova> {
        let fits = self.free.iter().find_map(|(begin, have)| {
            let at = begin.checked_next_multiple_of(align)?;
            let end = at.checked_add(len)?;
            (end <= begin + have).then_some(at)
        })?;
        self.claim(Iova(fits), len).then_some(Iova(fits))
    }

    /// Takes these very addresses. False if one of them is not free.
    pub fn claim(&mut self, at: Iova, len: u64) -> bool {
        let Some((&begin, &have)) = self.free.range(..=at.0).next_back() else {
            return false;
        };
        let end = begin + have;
        let Some(after) = at.0.checked_add(len).filter(|after| *after <= end) else {
            return false;
        };
        self.free.remove(&begin);
        if at.0 > begin {
            self.free.insert(begin, at.0 - begin);
        }
        if end > after {
            self.free.insert(after, end - after);
        }
        true
    }

    /// Gives addresses back.
    pub fn give_back(&mut self, at: Iova, len: u64) {
        let (mut begin, mut len) = (at.0, len);
        if let Some((&before, &have)) = self.free.range(..begin).next_back()
            && before + have == begin
        {
            self.free.remove(&before);
            (begin, len) = (before, len + have);
        }
        if let Some(have) = self.free.remove(&(begin + len)) {
            len += have;
        }
        self.free.insert(begin, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_whole() {
        let mut space = IovaSpace::new(&[(0x1000, 0x3000), (0x10000, 0x10000)]);
        let a = space.take(0x1000, 0x1000).unwrap();
        let b = space.take(0x1000, 0x2000).unwrap();
        assert_eq!((a.0, b.0), (0x1000, 0x2000));
        assert_eq!(space.take(0x2000, 0x1000).unwrap().0, 0x10000);
        assert_eq!(space.take(0x20000, 0x1000), None);
        space.give_back(a, 0x1000);
        space.give_back(b, 0x1000);
        assert_eq!(space.take(0x3000, 0x1000).unwrap().0, 0x1000);
        assert!(!space.claim(Iova(0x11000), 0x1001));
        assert!(space.claim(Iova(0x13000), 0x1000));
        assert!(!space.claim(Iova(0x12fff), 2));
        assert_eq!(space.free, [(0x12000, 0x1000), (0x14000, 0xc000)].into());
    }
}
