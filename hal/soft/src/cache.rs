//! The exact-match cache: the last step before the classifier, and the fastest.
//!
//! A two-way associative table from a packet's whole key to the place of its megaflow. It is a
//! hint: an entry is believed only if the whole key is equal and the megaflow still lives. A full
//! place is taken over by chance, one time in [`REPLACE_ONE_IN`], so that a flood of short flows
//! does not wash out the ones that come back.

use crate::classifier::{Classifier, Place};
use crate::megaflow::Megaflow;
use packet::PacketKey;

const ENTRIES: usize = 8192;
const REPLACE_ONE_IN: u32 = 64;

struct Entry {
    hash: u64,
    key: PacketKey,
    place: Place,
}

impl Entry {
    /// Its megaflow, if that still lives.
    #[inline]
    fn flow<'c>(&self, classifier: &'c Classifier) -> Option<&'c Megaflow> {
        classifier.at(self.place).filter(|flow| flow.is_alive())
    }
}

/// The exact-match cache of one poller.
pub struct ExactMatchCache {
    entries: Box<[Option<Box<Entry>>]>,
    dice: u32,
}

impl Default for ExactMatchCache {
    fn default() -> ExactMatchCache {
        ExactMatchCache {
            entries: (0..ENTRIES).map(|_| None).collect(),
            dice: 1,
        }
    }
}

/// The two places of a hash.
#[inline]
fn places(hash: u64) -> [usize; 2] {
    [hash as usize % ENTRIES, (hash >> 32) as usize % ENTRIES]
}

impl ExactMatchCache {
    /// The megaflow of a key, if the cache knows it.
    #[inline]
    pub fn lookup<'c>(
        &self,
        hash: u64,
        key: &PacketKey,
        classifier: &'c Classifier,
    ) -> Option<&'c Megaflow> {
        places(hash).into_iter().find_map(|i| {
            let e = self.entries[i].as_deref()?;
            let same = e.hash == hash && e.key == *key;
            same.then(|| e.flow(classifier)).flatten()
        })
    }

    /// Remembers where a key's megaflow stands, if there is room or chance says so.
    pub fn insert(&mut self, hash: u64, key: &PacketKey, place: Place, classifier: &Classifier) {
        let free = |e: &Option<Box<Entry>>| {
            e.as_deref()
                .is_none_or(|e| e.flow(classifier).is_none() || e.hash == hash && e.key == *key)
        };
        let [a, b] = places(hash);
        let at = if free(&self.entries[a]) {
            a
        } else if free(&self.entries[b]) {
            b
        } else {
            self.dice = self
                .dice
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            if !(self.dice >> 16).is_multiple_of(REPLACE_ONE_IN) {
                return;
            }
            if self.dice >> 31 == 0 { a } else { b }
        };
        match &mut self.entries[at] {
            Some(e) => {
                e.hash = hash;
                e.key.clone_from(key);
                e.place = place;
            }
            empty => {
                *empty = Some(Box::new(Entry {
                    hash,
                    key: key.clone(),
                    place,
                }))
            }
        }
    }

    /// Forgets megaflows that no longer live, so that others can have their places.
    pub fn sweep(&mut self, classifier: &Classifier) {
        for e in &mut self.entries {
            if e.as_deref().is_some_and(|e| e.flow(classifier).is_none()) {
                *e = None;
            }
        }
    }
}
