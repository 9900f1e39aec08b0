//! The rules that are held, and the entries that they have in the NIC.
//!
//! A rule has an entry of its own, but for equal matches: the NIC would not say which of two equal
//! entries it takes, so those share one, which does what the newest of them says. When that one
//! goes, the one before it is what the entry does again.

use super::actions::Tag;
use super::counters::InUse;
use super::groups::{FlowIndex, GroupId, GroupRef, Shape};
use super::matching::Wanted;
use super::rewrites::RewriteRef;
use super::{StageId, VportId};
use foldhash::fast::RandomState;
use hal::{MatchField, RecircId, RuleHandle, RuleKey};
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hash, Hasher};

/// What an entry matches.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The stage that packets were sent on to.
    pub recirc: RecircId,
    /// The bits that it looks at.
    pub shape: Shape,
    /// Its fields, in the order of the field table.
    pub fields: Vec<MatchField>,
    /// The vport of the port that is among them.
    pub ingress: Option<VportId>,
}

impl Matched {
    /// The table that it belongs to.
    pub fn stage(&self) -> StageId {
        StageId::of(self.recirc)
    }

    /// What it wants of packets.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            stage: self.recirc,
            fields: &self.fields,
            ingress: self.ingress,
        }
    }

    fn values(&self) -> impl Iterator<Item = u128> {
        self.fields.iter().map(|m| m.value & m.mask)
    }

    fn equals(&self, other: &Matched) -> bool {
        self.recirc == other.recirc && self.shape == other.shape && self.values().eq(other.values())
    }
}

/// An entry in the NIC.
pub struct Entry {
    /// What it matches.
    pub matched: Matched,
    /// Where it is.
    pub place: (GroupRef, GroupId, FlowIndex),
    /// Its rules, the newest last; by slot.
    pub rules: SmallVec<[usize; 1]>,
    /// A command is about it.
    pub busy: bool,
    hash: u64,
}

/// What an entry does for a rule.
#[derive(Clone)]
pub struct Doing {
    /// VLAN tags to take off.
    pub pops: usize,
    /// VLAN tags to put on, the inner one first.
    pub pushes: SmallVec<[Tag; 2]>,
    /// Where copies go.
    pub vports: SmallVec<[VportId; 4]>,
    /// Another stage looks at the packet.
    pub goes_on: bool,
    /// Its changes of fields, if there are any.
    pub rewrite: Option<RewriteRef>,
    /// What counts it.
    pub counter: InUse,
}

/// A rule that is held.
pub struct Held {
    /// Who brought it.
    pub key: RuleKey,
    /// Its entry, by number.
    pub entry: usize,
    /// What it does.
    pub doing: Doing,
    /// How often the slot has been used before.
    pub generation: u32,
}

/// All rules and entries.
#[derive(Default)]
pub struct Rules {
    slots: Slab<Held>,
    generations: Vec<u32>,
    /// Entries in the NIC, and such that are on their way.
    pub entries: Slab<Entry>,
    by_match: HashTable<usize>,
    hasher: RandomState,
}

impl Rules {
    /// Rules held.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a rule, if the handle's rule is still held.
    pub fn find(&self, handle: RuleHandle) -> Option<usize> {
        let slot = handle.index as usize;
        let held = self.slots.get(slot)?;
        (held.generation == handle.generation).then_some(slot)
    }

    /// A rule.
    pub fn get(&self, slot: usize) -> Option<&Held> {
        self.slots.get(slot)
    }

    fn hash(&self, matched: &Matched) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        matched.recirc.hash(&mut hasher);
        matched.shape.hash(&mut hasher);
        matched.values().for_each(|value| value.hash(&mut hasher));
        hasher.finish()
    }

    /// The entry of this match.
    pub fn entry_of(&self, matched: &Matched) -> Option<usize> {
        let same = |n: &usize| self.entries[*n].matched.equals(matched);
        self.by_match.find(self.hash(matched), same).copied()
    }

    /// An entry that is on its way: it has no rule yet and is busy.
    pub fn add_entry(&mut self, matched: Matched, place: (GroupRef, GroupId, FlowIndex)) -> usize {
        let hash = self.hash(&matched);
        let number = self.entries.insert(Entry {
            matched,
            place,
            rules: SmallVec::new(),
            busy: true,
            hash,
        });
        let entries = &self.entries;
        self.by_match
            .insert_unique(hash, number, |n| entries[*n].hash);
        number
    }

    /// An entry is not in the NIC.
    pub fn drop_entry(&mut self, number: usize) -> Option<Entry> {
        let entry = self.entries.try_remove(number)?;
        if let Ok(found) = self.by_match.find_entry(entry.hash, |n| *n == number) {
            found.remove();
        }
        Some(entry)
    }

    /// Holds a rule: it is what its entry does from now on.
    pub fn hold(&mut self, key: RuleKey, entry: usize, doing: Doing) -> RuleHandle {
        let slot = self.slots.vacant_key();
        if self.generations.len() <= slot {
            self.generations.resize(slot + 1, 0);
        }
        let generation = self.generations[slot];
        self.slots.insert(Held {
            key,
            entry,
            doing,
            generation,
        });
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.rules.push(slot);
        }
        RuleHandle {
            // The capacity is far below 2^32.
            index: slot as u32,
            generation,
        }
    }

    /// Lets a rule go; its entry stays as it is.
    pub fn let_go(&mut self, slot: usize) -> Option<Held> {
        let held = self.slots.try_remove(slot)?;
        self.generations[slot] = held.generation.wrapping_add(1);
        if let Some(entry) = self.entries.get_mut(held.entry) {
            entry.rules.retain(|r| *r != slot);
        }
        Some(held)
    }

    /// All rules.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.slots.iter().map(|(_, held)| held)
    }

    /// All rules with their handles, in the order of slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (RuleHandle, &mut Held)> {
        self.slots.iter_mut().map(|(slot, held)| {
            let handle = RuleHandle {
                index: slot as u32,
                generation: held.generation,
            };
            (handle, held)
        })
    }

    /// What comes after these rules, which have been forgotten: no handle of theirs comes again.
    pub fn follow(&mut self, before: Rules) {
        self.generations = before.generations;
    }

    /// Forgets all rules and entries; handles stay stale for ever.
    pub fn clear(&mut self) {
        self.slots.clear();
        for generation in &mut self.generations {
            *generation = generation.wrapping_add(1);
        }
        self.entries.clear();
        self.by_match.clear();
    }
}
