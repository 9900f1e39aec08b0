//! The rules that are held, and the entries that they have in the NIC.
//!
//! A rule has an entry of its own, but for equal matches: the NIC would not say which of two equal
//! entries it takes, so those share one, which does what the newest of them says. When that one
//! goes, the one before it is what the entry does again.

use super::counters::InUse;
use super::groups::{FlowIndex, GroupId, GroupRef, Shape};
use super::matching::Parameters;
use super::rewrites::Changes;
use super::{Plan, StageId};
use hal::{RuleHandle, RuleKey};
use slab::Slab;
use std::collections::HashMap;

/// What makes an entry's match: equal identities are equal matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The stage.
    pub stage: StageId,
    /// The bits.
    pub shape: Shape,
    /// What they have to be, in the shape's order.
    pub values: Vec<u128>,
}

/// An entry in the NIC.
pub struct Entry {
    /// What it matches.
    pub identity: Identity,
    /// The match in the NIC's words.
    pub value: Box<Parameters>,
    /// Where it is.
    pub place: (GroupRef, GroupId, FlowIndex),
    /// Its rules, the newest last; by slot.
    pub rules: Vec<usize>,
    /// A command is about it.
    pub busy: bool,
}

/// What an entry does for a rule.
#[derive(Clone)]
pub struct Doing {
    /// The steps.
    pub plan: Plan,
    /// Its changes of fields, if there are any.
    pub changes: Option<Changes>,
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
    by_identity: HashMap<Identity, usize>,
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

    /// A rule.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Held> {
        self.slots.get_mut(slot)
    }

    /// The entry of this match.
    pub fn entry_of(&self, identity: &Identity) -> Option<usize> {
        self.by_identity.get(identity).copied()
    }

    /// An entry that is on its way: it has no rule yet and is busy.
    pub fn add_entry(
        &mut self,
        identity: Identity,
        value: Box<Parameters>,
        place: (GroupRef, GroupId, FlowIndex),
    ) -> usize {
        let number = self.entries.insert(Entry {
            identity: identity.clone(),
            value,
            place,
            rules: Vec::new(),
            busy: true,
        });
        self.by_identity.insert(identity, number);
        number
    }

    /// An entry is not in the NIC.
    pub fn drop_entry(&mut self, number: usize) -> Option<Entry> {
        let entry = self.entries.try_remove(number)?;
        self.by_identity.remove(&entry.identity);
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

    /// Forgets all rules and entries; handles stay stale for ever.
    pub fn clear(&mut self) {
        self.slots.clear();
        for generation in &mut self.generations {
            *generation = generation.wrapping_add(1);
        }
        self.entries.clear();
        self.by_identity.clear();
    }
}
