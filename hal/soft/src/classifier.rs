//! The megaflow classifier: tuple space search.
//!
//! Flows with the same mask live in one *subtable*, a hash table over the masked key. A lookup
//! masks the packet's key with each subtable's mask in turn and probes; since megaflows never
//! overlap with different actions, the first hit is the answer and there is no priority. The cost
//! is therefore the number of subtables tried, which is why they are kept in the order of how
//! often they hit lately.
//!
//! A subtable touches only the words that its mask has, in the expanded key, so a probe costs a
//! few loads, one multiplication a word, and one comparison.

use crate::megaflow::Megaflow;
use hashbrown::HashTable;
use packet::{FlowMask, Mixer, PACKET_WORDS, PacketKey};
use std::cell::Cell;
use std::sync::Arc;

/// An expanded key.
pub type Words = [u64; PACKET_WORDS];

/// Lookups between two re-orderings of the subtables.
const REORDER_EVERY: u32 = 1 << 14;

struct Subtable {
    mask: FlowMask,
    /// The words of the mask that are not zero, with their indices.
    words: Box<[(u8, u64)]>,
    flows: HashTable<Slot>,
    /// Hits since the last re-ordering.
    hits: Cell<u32>,
}

struct Slot {
    hash: u64,
    flow: Arc<Megaflow>,
}

impl Subtable {
    fn new(mask: &FlowMask) -> Subtable {
        let words = mask.words.iter().enumerate().filter(|(_, m)| **m != 0);
        Subtable {
            mask: mask.clone(),
            words: words.map(|(i, m)| (i as u8, *m)).collect(),
            flows: HashTable::new(),
            hits: Cell::new(0),
        }
    }

    #[inline]
    fn hash(&self, key: &Words) -> u64 {
        let mut h = Mixer::new(0);
        for &(i, mask) in &self.words {
            h.add(key[usize::from(i)] & mask);
        }
        h.finish()
    }

    #[inline]
    fn find(&self, key: &Words) -> Option<&Arc<Megaflow>> {
        let hash = self.hash(key);
        let same = |slot: &Slot| {
            slot.hash == hash && {
                let flow = slot.flow.masked();
                self.words
                    .iter()
                    .all(|&(i, m)| key[usize::from(i)] & m == flow[usize::from(i)])
            }
        };
        self.flows.find(hash, same).map(|slot| &slot.flow)
    }
}

/// Finds the megaflow of a packet.
#[derive(Default)]
pub struct Classifier {
    subtables: Vec<Subtable>,
    until_reorder: u32,
    len: usize,
}

impl Classifier {
    /// Flows held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no flow is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Masks in use.
    pub fn masks(&self) -> usize {
        self.subtables.len()
    }

    /// Adds a flow; one with the same mask and masked key is replaced.
    pub fn insert(&mut self, flow: Arc<Megaflow>) {
        let mask = flow.mask();
        let at = match self.subtables.iter().position(|s| s.mask == *mask) {
            Some(at) => at,
            None => {
                self.subtables.push(Subtable::new(mask));
                self.subtables.len() - 1
            }
        };
        let subtable = &mut self.subtables[at];
        let hash = subtable.hash(flow.masked());
        let same = |slot: &Slot| slot.hash == hash && slot.flow.masked() == flow.masked();
        if let Some(slot) = subtable.flows.find_mut(hash, same) {
            slot.flow = flow;
        } else {
            subtable
                .flows
                .insert_unique(hash, Slot { hash, flow }, |slot| slot.hash);
            self.len += 1;
        }
    }

    /// Takes out exactly this flow. False if another, or none, stands there.
    pub fn remove(&mut self, flow: &Arc<Megaflow>) -> bool {
        let Some(at) = self.subtables.iter().position(|s| s.mask == *flow.mask()) else {
            return false;
        };
        let subtable = &mut self.subtables[at];
        let hash = subtable.hash(flow.masked());
        let same = |slot: &Slot| slot.hash == hash && Arc::ptr_eq(&slot.flow, flow);
        let Ok(found) = subtable.flows.find_entry(hash, same) else {
            return false;
        };
        found.remove();
        self.len -= 1;
        if subtable.flows.is_empty() {
            self.subtables.remove(at);
        }
        true
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.subtables.clear();
        self.len = 0;
    }

    /// The flow of a packet, and how many subtables were tried.
    #[inline]
    pub fn lookup(&mut self, key: &Words) -> (Option<&Arc<Megaflow>>, usize) {
        self.until_reorder = self.until_reorder.wrapping_sub(1);
        if self.until_reorder > REORDER_EVERY {
            self.until_reorder = REORDER_EVERY;
            self.subtables
                .sort_unstable_by_key(|s| std::cmp::Reverse(s.hits.get()));
            self.subtables.iter().for_each(|s| s.hits.set(0));
        }
        for (i, subtable) in self.subtables.iter().enumerate() {
            if let Some(flow) = subtable.find(key) {
                subtable.hits.set(subtable.hits.get().wrapping_add(1));
                return (Some(flow), i + 1);
            }
        }
        (None, self.subtables.len())
    }

    /// A flow that overlaps with `key` under `mask` and is not the same: the slow check.
    pub fn overlapping(&self, key: &PacketKey, mask: &FlowMask) -> Option<&Arc<Megaflow>> {
        let key = key.expand();
        self.subtables
            .iter()
            .flat_map(|s| s.flows.iter().map(|slot| &slot.flow))
            .find(|flow| {
                let pairs = flow.masked().iter().zip(&flow.mask().words);
                pairs
                    .zip(key.iter().zip(&mask.words))
                    .all(|((v, m), (k, n))| (v ^ k) & m & n == 0)
            })
    }
}
