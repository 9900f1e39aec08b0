//! Memory keys: which memory a queue may name, and where it is.

use super::Kind;
use crate::connectx::command::{Call, Outcome, kept};
use crate::connectx::core::Core;
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{AccessMode, MkeyContext};

/// The key of a queue that may name all memory by its address.
pub(in crate::connectx) const RESERVED: u32 = 0x700;
/// The key of memory that reads as zero and forgets what is written.
pub(in crate::connectx) const NULL: u32 = 0x800;
/// The key that ends a short list of data segments.
pub(in crate::connectx) const LIST_END: u32 = 0x100;
/// Pages of one key.
const MOST_PAGES: usize = 1 << 17;

/// A memory key.
#[derive(Clone, Debug)]
pub(in crate::connectx) struct Mkey {
    context: Vec<u8>,
    low: u8,
    pd: u32,
    read: bool,
    write: bool,
    start: u64,
    /// None = all memory.
    len: Option<u64>,
    /// Addresses of pages, and their size; none = by address.
    pages: Option<(Vec<u64>, u32)>,
}

/// Why memory cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connectx) enum KeyFault {
    NoSuchKey,
    ForeignDomain,
    Access,
    Bounds,
}

/// Pieces of memory: address and length.
pub(in crate::connectx) type Pieces = Vec<(u64, usize)>;

impl Mkey {
    fn pieces(&self, at: u64, len: usize) -> Result<Pieces, KeyFault> {
        let end = at.checked_add(len as u64).ok_or(KeyFault::Bounds)?;
        if let Some(all) = self.len {
            let last = self.start.checked_add(all).ok_or(KeyFault::Bounds)?;
            if at < self.start || end > last {
                return Err(KeyFault::Bounds);
            }
        }
        let Some((pages, log_page)) = &self.pages else {
            return Ok(vec![(at, len)]);
        };
        let size = 1u64 << log_page;
        // The first page is the one that the start stands in.
        let mut inside = at - self.start + (self.start & (size - 1));
        let mut left = len as u64;
        let mut pieces = Vec::new();
        while left > 0 {
            let page = usize::try_from(inside >> log_page).map_err(|_| KeyFault::Bounds)?;
            let page = pages.get(page).ok_or(KeyFault::Bounds)?;
            let offset = inside & (size - 1);
            let n = left.min(size - offset);
            pieces.push((page + offset, n as usize));
            inside += n;
            left -= n;
        }
        Ok(pieces)
    }
}

impl Core {
    /// Where memory is that a queue of a protection domain names by a key.
    pub fn named(
        &self,
        key: u32,
        pd: u32,
        at: u64,
        len: usize,
        write: bool,
    ) -> Result<Pieces, KeyFault> {
        let mkey = self.mkeys.get(&(key >> 8)).ok_or(KeyFault::NoSuchKey)?;
        if u32::from(mkey.low) != key & 0xff {
            return Err(KeyFault::NoSuchKey);
        }
        if mkey.pd != pd {
            return Err(KeyFault::ForeignDomain);
        }
        let allowed = if write { mkey.write } else { mkey.read };
        if !allowed {
            return Err(KeyFault::Access);
        }
        mkey.pieces(at, len)
    }

    /// The protection domain of a key, if there is such a key.
    pub fn pd_of(&self, key: u32) -> Option<u32> {
        let mkey = self.mkeys.get(&(key >> 8))?;
        (u32::from(mkey.low) == key & 0xff).then_some(mkey.pd)
    }

    /// CREATE_MKEY.
    pub fn create_mkey(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        if input.get(CreateMkeyIn::MKEY_UMEM_VALID) {
            return Err(Syndrome::NoUserMemory);
        }
        let context = input.at(CreateMkeyIn::CONTEXT);
        let mode = context.get(MkeyContext::ACCESS_MODE_4_2) << 2
            | context.get(MkeyContext::ACCESS_MODE_1_0);
        let listed = input.items(CreateMkeyIn::PAGES);
        let listed: Vec<u64> = listed.map(|p| p.get(PageAddress::PAGE) << 12).collect();
        let free = context.get(MkeyContext::FREE);
        let all = context.get(MkeyContext::LENGTH64);
        let pages = match AccessMode::of(mode) {
            Some(AccessMode::Physical) => None,
            Some(AccessMode::Pages) if !free => {
                let log_page = u32::from(context.get(MkeyContext::LOG_PAGE_SIZE));
                if !(12..=40).contains(&log_page) {
                    return Err(Syndrome::MkeyPageSize);
                }
                let start = context.get(MkeyContext::START_ADDR);
                let len = context.get(MkeyContext::LEN);
                let inside = start & ((1 << log_page) - 1);
                let need = inside.saturating_add(len).div_ceil(1 << log_page);
                // Two addresses are one unit of sixteen bytes.
                let units = input.get(CreateMkeyIn::TRANSLATIONS_OCTWORD_ACTUAL_SIZE);
                let told = u64::from(units) * 2;
                let need = usize::try_from(need).unwrap_or(usize::MAX);
                if all || need > MOST_PAGES || listed.len() < need || told < need as u64 {
                    return Err(Syndrome::MkeyPages);
                }
                Some((listed, log_page))
            }
            _ => return Err(Syndrome::MkeyMode),
        };
        let pd = context.get(MkeyContext::PD);
        let mkey = Mkey {
            context: context.bytes()[..MkeyContext::SIZE].to_vec(),
            low: context.get(MkeyContext::MKEY_7_0),
            pd,
            read: context.get(MkeyContext::LOCAL_READ),
            write: context.get(MkeyContext::LOCAL_WRITE),
            start: context.get(MkeyContext::START_ADDR),
            len: (!all).then(|| context.get(MkeyContext::LEN)),
            pages,
        };
        let index = self.objects.create(Kind::Mkey, vec![(Kind::Pd, pd)])?;
        self.mkeys.insert(index, mkey);
        call.output()?.set(CreateMkeyOut::MKEY_INDEX, index);
        Ok(())
    }

    /// QUERY_MKEY.
    pub fn query_mkey(&mut self, call: &mut Call<'_>) -> Outcome {
        let index = call.input()?.get(QueryMkeyIn::MKEY_INDEX);
        let mkey = self.mkeys.get(&index).ok_or(Syndrome::NoSuchMkey)?;
        let mut out = call.output::<QueryMkeyOut>()?;
        kept(out.at_mut(QueryMkeyOut::CONTEXT), &mkey.context)?;
        Ok(())
    }

    /// DESTROY_MKEY.
    pub fn destroy_mkey(&mut self, call: &mut Call<'_>) -> Outcome {
        let index = call.input()?.get(DestroyMkeyIn::MKEY_INDEX);
        self.objects.destroy((Kind::Mkey, index))?;
        self.mkeys.remove(&index);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_from_the_start_on() {
        let mkey = Mkey {
            context: Vec::new(),
            low: 0,
            pd: 1,
            read: true,
            write: true,
            start: 0x5_0800,
            len: Some(0x1800),
            pages: Some((vec![0x9000, 0x4000], 12)),
        };
        let whole = vec![(0x9800, 0x800), (0x4000, 0x1000)];
        assert_eq!(mkey.pieces(0x5_0800, 0x1800), Ok(whole));
        assert_eq!(mkey.pieces(0x5_1004, 4), Ok(vec![(0x4004, 4)]));
        assert_eq!(mkey.pieces(0x5_0700, 4), Err(KeyFault::Bounds));
        assert_eq!(mkey.pieces(0x5_1fff, 2), Err(KeyFault::Bounds));
        assert_eq!(mkey.pieces(u64::MAX, 2), Err(KeyFault::Bounds));
    }
}
