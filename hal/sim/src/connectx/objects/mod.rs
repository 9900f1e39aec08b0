//! Objects: what commands create, by kind and number, and who refers to whom.
//!
//! An object that another refers to cannot be destroyed. That, and that an object is there at
//! all, is kept in one book for all kinds; what an object *is* stands in the room of its kind.

pub(super) mod cq;
pub(super) mod domain;
pub(super) mod eq;
pub(super) mod mkey;
pub(super) mod queue;
pub(super) mod ring;
pub(super) mod transport;

use super::syndrome::Syndrome;
use std::collections::BTreeMap;

macro_rules! kinds {
    ($( $(#[$doc:meta])* $kind:ident from $first:literal to $last:literal: $absent:ident, $busy:ident, $full:ident; )*) => {
        /// What kinds there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Kind { $( $(#[$doc])* $kind, )* }

        impl Kind {
            /// The numbers that objects of this kind have.
            fn numbers(self) -> (u32, u32) {
                match self { $( Kind::$kind => ($first, $last), )* }
            }
            fn absent(self) -> Syndrome {
                match self { $( Kind::$kind => Syndrome::$absent, )* }
            }
            fn busy(self) -> Syndrome {
                match self { $( Kind::$kind => Syndrome::$busy, )* }
            }
            fn full(self) -> Syndrome {
                match self { $( Kind::$kind => Syndrome::$full, )* }
            }
        }
    };
}

kinds! {
    /// A page of doorbells.
    Uar from 0x10 to 0x1fff: NoSuchUar, UarInUse, UarsFull;
    /// A protection domain.
    Pd from 1 to 0xffff: NoSuchPd, PdInUse, PdsFull;
    /// A transport domain.
    Td from 1 to 0xffff: NoSuchTd, TdInUse, TdsFull;
    /// A memory key; the number is its index.
    Mkey from 0x10 to 0xfffff: NoSuchMkey, MkeyInUse, MkeysFull;
    /// An event queue.
    Eq from 0x10 to 0xff: NoSuchEq, EqInUse, EqsFull;
    /// A completion queue.
    Cq from 0x400 to 0xffff: NoSuchCq, CqInUse, CqsFull;
    /// A set of counters for receive queues.
    QCounter from 1 to 0xff: NoSuchQCounter, QCounterInUse, QCountersFull;
    /// A send queue.
    Sq from 0x10000 to 0x1ffff: NoSuchSq, SqInUse, SqsFull;
    /// A receive queue.
    Rq from 0x20000 to 0x2ffff: NoSuchRq, RqInUse, RqsFull;
    /// A table of receive queues.
    Rqt from 1 to 0xffff: NoSuchRqt, RqtInUse, RqtsFull;
    /// Where received packets go in.
    Tir from 1 to 0xffff: NoSuchTir, TirInUse, TirsFull;
    /// Where sent packets come from.
    Tis from 1 to 0xffff: NoSuchTis, TisInUse, TissFull;
    /// A flow table.
    Table from 1 to 0xffffff: NoSuchTable, TableInUse, TablesFull;
    /// A change of fields.
    ModifyHeader from 1 to 0xffffff: NoSuchModifyHeader, ModifyHeaderInUse, ModifyHeadersFull;
    /// A change of headers.
    Reformat from 1 to 0xffffff: NoSuchReformat, ReformatInUse, ReformatsFull;
    /// The first of a block of flow counters.
    Counter from 4 to 0xffffff: NoSuchCounter, CounterInUse, CountersFull;
}

/// An object's name.
pub(super) type Id = (Kind, u32);

#[derive(Debug, Default)]
struct Entry {
    /// How many refer to it.
    uses: u32,
    /// How many numbers it takes.
    size: u32,
    /// To whom it refers.
    refers: Vec<Id>,
}

/// The book of all objects.
#[derive(Debug, Default)]
pub(super) struct Registry(BTreeMap<Id, Entry>);

impl Registry {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether an object is there.
    pub fn check(&self, id: Id) -> Result<(), Syndrome> {
        if self.0.contains_key(&id) {
            Ok(())
        } else {
            Err(id.0.absent())
        }
    }

    /// Enters a new object that refers to others; answers its number.
    pub fn create(&mut self, kind: Kind, refers: Vec<Id>) -> Result<u32, Syndrome> {
        self.create_block(kind, 1, refers)
    }

    /// Enters a new object that takes so many numbers, from a multiple of that on if it is a
    /// power of two; answers the first.
    pub fn create_block(
        &mut self,
        kind: Kind,
        size: u32,
        refers: Vec<Id>,
    ) -> Result<u32, Syndrome> {
        for id in &refers {
            self.check(*id)?;
        }
        let (first, last) = kind.numbers();
        let align = if size.is_power_of_two() { size } else { 1 };
        let fits = |at: u32| at.checked_add(size - 1).is_some_and(|end| end <= last);
        let newest = self.of(kind).next_back();
        let behind = newest.map_or(first, |(n, entry)| n.saturating_add(entry.size));
        let number = behind
            .checked_next_multiple_of(align)
            .filter(|at| fits(*at))
            .or_else(|| self.gap(kind, size, align).filter(|at| fits(*at)))
            .ok_or(kind.full())?;
        self.refer(&refers);
        let entry = Entry {
            uses: 0,
            size,
            refers,
        };
        self.0.insert((kind, number), entry);
        Ok(number)
    }

    fn of(&self, kind: Kind) -> impl DoubleEndedIterator<Item = (u32, &Entry)> {
        let all = self.0.range((kind, 0)..=(kind, u32::MAX));
        all.map(|((_, number), entry)| (*number, entry))
    }

    /// The first place between objects that has room.
    fn gap(&self, kind: Kind, size: u32, align: u32) -> Option<u32> {
        let mut at = kind.numbers().0.checked_next_multiple_of(align)?;
        for (number, entry) in self.of(kind) {
            if at.checked_add(size)? <= number {
                break;
            }
            at = number.checked_add(entry.size)?;
            at = at.checked_next_multiple_of(align)?;
        }
        Some(at)
    }

    /// Strikes an object out, if nobody refers to it.
    pub fn destroy(&mut self, id: Id) -> Result<(), Syndrome> {
        let entry = self.0.get(&id).ok_or(id.0.absent())?;
        if entry.uses > 0 {
            return Err(id.0.busy());
        }
        if let Some(entry) = self.0.remove(&id) {
            self.release(&entry.refers);
        }
        Ok(())
    }

    /// Makes an object refer to others than before.
    pub fn refer_anew(&mut self, id: Id, refers: Vec<Id>) -> Result<(), Syndrome> {
        for other in &refers {
            self.check(*other)?;
        }
        self.check(id)?;
        self.refer(&refers);
        let old = match self.0.get_mut(&id) {
            Some(entry) => std::mem::replace(&mut entry.refers, refers),
            None => return Ok(()),
        };
        self.release(&old);
        Ok(())
    }

    /// Counts references of something that is not itself an object here.
    pub fn refer(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(entry) = self.0.get_mut(id) {
                entry.uses += 1;
            }
        }
    }

    /// Ends such references.
    pub fn release(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(entry) = self.0.get_mut(id) {
                entry.uses = entry.uses.saturating_sub(1);
            }
        }
    }

    /// Strikes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many there are of each kind that there is one of.
    pub fn census(&self) -> BTreeMap<String, usize> {
        let mut census = BTreeMap::new();
        for (kind, _) in self.0.keys() {
            *census.entry(format!("{kind:?}")).or_default() += 1;
        }
        census
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_referred_to_stays() {
        let mut book = Registry::default();
        let pd = book.create(Kind::Pd, vec![]).unwrap();
        let key = book.create(Kind::Mkey, vec![(Kind::Pd, pd)]).unwrap();
        assert_eq!(book.destroy((Kind::Pd, pd)), Err(Syndrome::PdInUse));
        let absent = book.create(Kind::Mkey, vec![(Kind::Pd, 77)]);
        assert_eq!(absent, Err(Syndrome::NoSuchPd));
        let other = book.create(Kind::Pd, vec![]).unwrap();
        let id = (Kind::Mkey, key);
        book.refer_anew(id, vec![(Kind::Pd, other)]).unwrap();
        book.destroy((Kind::Pd, pd)).unwrap();
        book.destroy(id).unwrap();
        assert_eq!(book.destroy(id), Err(Syndrome::NoSuchMkey));
        book.destroy((Kind::Pd, other)).unwrap();
        assert_eq!(book.len(), 0);
    }

    #[test]
    fn numbers_are_used_up_and_used_again() {
        let mut book = Registry::default();
        let all: Vec<u32> = std::iter::from_fn(|| book.create(Kind::Eq, vec![]).ok()).collect();
        assert_eq!(all, (0x10..=0xff).collect::<Vec<_>>());
        assert_eq!(book.create(Kind::Eq, vec![]), Err(Syndrome::EqsFull));
        book.destroy((Kind::Eq, 0x42)).unwrap();
        assert_eq!(book.create(Kind::Eq, vec![]), Ok(0x42));
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let mut book = Registry::default();
        let one = book.create(Kind::Counter, vec![]).unwrap();
        let block = book.create_block(Kind::Counter, 1 << 20, vec![]).unwrap();
        let next = book.create(Kind::Counter, vec![]).unwrap();
        assert_eq!((one, block, next), (4, 1 << 20, 2 << 20));
        let many = std::iter::from_fn(|| book.create_block(Kind::Counter, 1 << 20, vec![]).ok());
        assert!(many.count() < 16);
    }
}
