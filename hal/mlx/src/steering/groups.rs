//! Tables, their groups, and places for entries.
//!
//! All entries of a group look at the same bits, so each *shape* of match has groups of its own: a
//! small one at first, larger ones as rules come. Rules never overlap with different actions, so
//! it does not matter which group is looked through first.

use foldhash::fast::RandomState;
use hal::{MatchField, RuleError};
use hal_mlx_prm::context::TableType;
use hashbrown::HashTable;
use packet::FieldId;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};

/// The bits that a rule looks at: fields with their masks, in the order of the field table. Each
/// shape that has been seen has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape(usize);

/// All shapes that have been seen: as many as flow tables and traffic have masks for, which are few
/// enough to be kept.
#[derive(Default)]
pub struct Shapes {
    known: Vec<Vec<(FieldId, u128)>>,
    by_bits: HashTable<usize>,
    hasher: RandomState,
}

impl Shapes {
    /// The shape of these fields, which are in order.
    pub fn of(&mut self, fields: &[MatchField]) -> Shape {
        let hash = |bits: &mut dyn Iterator<Item = (FieldId, u128)>| {
            let mut hasher = self.hasher.build_hasher();
            for pair in bits {
                pair.hash(&mut hasher);
            }
            hasher.finish()
        };
        let bits = || fields.iter().map(|m| (m.field, m.mask));
        let wanted = hash(&mut bits());
        let same = |n: &usize| self.known[*n].iter().copied().eq(bits());
        if let Some(n) = self.by_bits.find(wanted, same) {
            return Shape(*n);
        }
        let n = self.known.len();
        self.known.push(bits().collect());
        let rehash = |n: &usize| hash(&mut self.known[*n].iter().copied());
        self.by_bits.insert_unique(wanted, n, rehash);
        Shape(n)
    }
}

/// Number of a flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(pub u32);

/// Number of a flow group in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupId(pub u32);

/// A group's place in [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupRef(usize);

/// An entry's index in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowIndex(pub u32);

/// Entries of a shape's first group.
const FIRST_GROUP: u32 = 64;
/// Entries of a group at most.
const LARGEST_GROUP: u32 = 8192;

enum State {
    /// The device has been asked to make it.
    Coming,
    There(GroupId),
    /// The device would not make it.
    Refused(RuleError),
    /// The device has been asked to take it away.
    Going,
}

struct Group {
    state: State,
    shape: Shape,
    first: u32,
    len: u32,
    /// Places that have been free from the beginning.
    fresh: u32,
    /// Places that have become free.
    free: Vec<u32>,
}

impl Group {
    fn used(&self) -> usize {
        self.fresh as usize - self.free.len()
    }
}

/// A flow table with its groups.
pub struct Table {
    /// Its kind.
    pub kind: TableType,
    /// Its number.
    pub id: TableId,
    groups: Vec<Option<Group>>,
    by_shape: HashMap<Shape, Vec<GroupRef>, RandomState>,
    /// Free ranges of indices: length by begin.
    ranges: BTreeMap<u32, u32>,
}

/// Where an entry can go.
#[derive(Debug, PartialEq, Eq)]
pub enum Pick {
    /// Here.
    Place(GroupRef, GroupId, FlowIndex),
    /// A group is on its way.
    Wait,
    /// This group is to be made: its first and last index.
    Make(GroupRef, FlowIndex, FlowIndex),
    /// This group has no entries and stands in the way.
    Unmake(GroupRef, GroupId),
    /// The device made no group: why. The next one asks again.
    Refused(RuleError),
    /// Nowhere.
    Full,
}

impl Table {
    /// A table without groups.
    pub fn new(kind: TableType, id: TableId, size: u32) -> Table {
        Table {
            kind,
            id,
            groups: Vec::new(),
            by_shape: HashMap::default(),
            ranges: [(0, size)].into(),
        }
    }

    /// Groups that there are or will be.
    pub fn groups(&self) -> usize {
        self.groups.iter().flatten().count()
    }

    /// A place for an entry of this shape.
    pub fn pick(&mut self, shape: Shape) -> Pick {
        let refs = self.by_shape.get(&shape).map_or(&[][..], |refs| refs);
        let mut coming = false;
        let mut refused = None;
        let mut largest = FIRST_GROUP / 2;
        for at in refs.iter().rev() {
            let Some(group) = &mut self.groups[at.0] else {
                continue;
            };
            largest = largest.max(group.len);
            let id = match &group.state {
                State::There(id) => *id,
                State::Refused(why) => {
                    refused = Some((*at, why.clone()));
                    break;
                }
                State::Coming => {
                    coming = true;
                    continue;
                }
                State::Going => continue,
            };
            let index = group.free.pop().or_else(|| {
                (group.fresh < group.len).then(|| {
                    group.fresh += 1;
                    group.first + group.fresh - 1
                })
            });
            if let Some(index) = index {
                return Pick::Place(*at, id, FlowIndex(index));
            }
        }
        if let Some((at, why)) = refused {
            self.unmade(at);
            return Pick::Refused(why);
        }
        if coming {
            return Pick::Wait;
        }
        match self.take_range((largest * 2).min(LARGEST_GROUP)) {
            Some((first, len)) => {
                let at = self.groups.iter().position(Option::is_none);
                let at = at.unwrap_or_else(|| {
                    self.groups.push(None);
                    self.groups.len() - 1
                });
                self.groups[at] = Some(Group {
                    state: State::Coming,
                    shape,
                    first,
                    len,
                    fresh: 0,
                    free: Vec::new(),
                });
                let refs = self.by_shape.entry(shape).or_default();
                refs.push(GroupRef(at));
                Pick::Make(GroupRef(at), FlowIndex(first), FlowIndex(first + len - 1))
            }
            None => self.unmake_one(),
        }
    }

    /// A range of up to `wanted` indices.
    fn take_range(&mut self, wanted: u32) -> Option<(u32, u32)> {
        let fits = self.ranges.iter().find(|(_, len)| **len >= wanted);
        let found = fits.or_else(|| self.ranges.iter().max_by_key(|(_, len)| **len));
        let (&first, &have) = found?;
        self.ranges.remove(&first);
        let len = wanted.min(have);
        if have > len {
            self.ranges.insert(first + len, have - len);
        }
        Some((first, len))
    }

    fn unmake_one(&mut self) -> Pick {
        let going = |g: &Group| matches!(g.state, State::Going);
        if self.groups.iter().flatten().any(going) {
            return Pick::Wait;
        }
        for (at, group) in self.groups.iter_mut().enumerate() {
            if let Some(group) = group
                && let State::There(id) = group.state
                && group.used() == 0
            {
                group.state = State::Going;
                return Pick::Unmake(GroupRef(at), id);
            }
        }
        Pick::Full
    }

    /// The device has made a group, or has not.
    pub fn made(&mut self, at: GroupRef, id: Result<GroupId, RuleError>) {
        if let Some(group) = self.groups.get_mut(at.0).and_then(Option::as_mut) {
            group.state = match id {
                Ok(id) => State::There(id),
                Err(why) => State::Refused(why),
            };
        }
    }

    /// A group is not there, or no longer: its indices are free.
    pub fn unmade(&mut self, at: GroupRef) {
        let Some(group) = self.groups.get_mut(at.0).and_then(Option::take) else {
            return;
        };
        if let Some(refs) = self.by_shape.get_mut(&group.shape) {
            refs.retain(|r| *r != at);
            if refs.is_empty() {
                self.by_shape.remove(&group.shape);
            }
        }
        let (mut first, mut len) = (group.first, group.len);
        if let Some((&before, &have)) = self.ranges.range(..first).next_back()
            && before + have == first
        {
            self.ranges.remove(&before);
            (first, len) = (before, len + have);
        }
        if let Some(have) = self.ranges.remove(&(first + len)) {
            len += have;
        }
        self.ranges.insert(first, len);
    }

    /// Gives a place back.
    pub fn give_back(&mut self, at: GroupRef, index: FlowIndex) {
        if let Some(group) = self.groups.get_mut(at.0).and_then(Option::as_mut) {
            group.free.push(index.0);
        }
    }

    /// All groups that the device has.
    pub fn all(&self) -> Vec<(GroupRef, GroupId)> {
        let all = self.groups.iter().enumerate();
        all.filter_map(|(at, g)| match g.as_ref()?.state {
            State::There(id) => Some((GroupRef(at), id)),
            State::Coming | State::Refused(_) | State::Going => None,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(n: usize) -> Shape {
        Shape(n)
    }

    #[test]
    fn equal_bits_are_one_shape_whatever_they_have_to_be() {
        let mut shapes = Shapes::default();
        let field = |value, mask| MatchField {
            field: FieldId::EthDst,
            value,
            mask,
        };
        let a = shapes.of(&[field(1, 0xff)]);
        assert_eq!(shapes.of(&[field(2, 0xff)]), a);
        assert_ne!(shapes.of(&[field(1, 0xfff)]), a);
        assert_ne!(shapes.of(&[]), a);
    }

    fn make(table: &mut Table, n: usize) -> (GroupRef, u32) {
        let Pick::Make(at, first, last) = table.pick(shape(n)) else {
            panic!("a group is made");
        };
        assert_eq!(table.pick(shape(n)), Pick::Wait);
        table.made(at, Ok(GroupId(n as u32)));
        (at, last.0 - first.0 + 1)
    }

    #[test]
    fn groups_grow_and_empty_ones_make_room() {
        let mut table = Table::new(TableType::Fdb, TableId(1), 256);
        let (first, len) = make(&mut table, 1);
        assert_eq!(len, 64);
        let mut places = std::collections::HashSet::new();
        for _ in 0..64 {
            let Pick::Place(at, GroupId(1), index) = table.pick(shape(1)) else {
                panic!("a place");
            };
            assert!(at == first && places.insert(index));
        }
        let (second, len) = make(&mut table, 1);
        assert_eq!(len, 128);
        let (third, len) = make(&mut table, 2);
        assert_eq!(len, 64);
        assert_eq!(table.ranges, BTreeMap::new());
        // No room: the group of shape 2 has no entries and has to go; then comes the second of
        // shape 1, and with it its neighbour is one range.
        let unmake = table.pick(shape(3));
        assert_eq!(unmake, Pick::Unmake(second, GroupId(1)));
        assert_eq!(table.pick(shape(3)), Pick::Wait);
        table.unmade(second);
        let (_, len) = make(&mut table, 3);
        assert_eq!(len, 64);
        assert!(matches!(table.pick(shape(2)), Pick::Place(at, ..) if at == third));
        for index in places {
            table.give_back(first, index);
        }
        table.unmade(first);
        assert_eq!(table.ranges, [(0, 64), (128, 64)].into());
    }

    #[test]
    fn a_group_that_is_refused_is_told_of_once() {
        let mut table = Table::new(TableType::Fdb, TableId(1), 64);
        let Pick::Make(at, ..) = table.pick(shape(1)) else {
            panic!("a group is made");
        };
        table.made(at, Err(RuleError::TableFull));
        assert_eq!(table.pick(shape(1)), Pick::Refused(RuleError::TableFull));
        make(&mut table, 1);
    }

    #[test]
    fn a_full_table_says_so() {
        let mut table = Table::new(TableType::Fdb, TableId(1), 4);
        make(&mut table, 1);
        for _ in 0..4 {
            assert!(matches!(table.pick(shape(1)), Pick::Place(..)));
        }
        assert_eq!(table.pick(shape(1)), Pick::Full);
        assert_eq!(table.pick(shape(2)), Pick::Full);
    }
}
