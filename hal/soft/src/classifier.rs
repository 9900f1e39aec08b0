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
//!
//! Looking up changes nothing but statistics, so a flow that was found can be used while other
//! packets are looked up. Whoever remembers a flow for longer remembers its [`Place`], which costs
//! no reference count.

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
    place: Place,
}

/// Where a flow stands. It names that flow until [`Classifier::tidy`] is called after the flow was
/// removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

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
    fn find(&self, key: &Words) -> Option<&Slot> {
        let hash = self.hash(key);
        let same = |slot: &Slot| {
            slot.hash == hash && {
                let flow = slot.flow.masked();
                self.words
                    .iter()
                    .all(|&(i, m)| key[usize::from(i)] & m == flow[usize::from(i)])
            }
        };
        self.flows.find(hash, same)
    }
}

/// Finds the megaflow of a packet.
#[derive(Default)]
pub struct Classifier {
    subtables: Vec<Subtable>,
    /// Since the last re-ordering.
    lookups: Cell<u32>,
    len: usize,
    /// Flows by place.
    places: Vec<Option<Arc<Megaflow>>>,
    free: Vec<Place>,
    /// Places of removed flows, to be free once nobody remembers them.
    left: Vec<Place>,
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
            self.places[slot.place.0 as usize] = Some(flow.clone());
            slot.flow = flow;
            return;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            Place(self.places.len() as u32 - 1)
        });
        self.places[place.0 as usize] = Some(flow.clone());
        let slot = Slot { hash, flow, place };
        subtable.flows.insert_unique(hash, slot, |slot| slot.hash);
        self.len += 1;
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
        let (slot, _) = found.remove();
        self.places[slot.place.0 as usize] = None;
        self.left.push(slot.place);
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
        for (i, place) in self.places.iter_mut().enumerate() {
            if place.take().is_some() {
                self.left.push(Place(i as u32));
            }
        }
    }

    /// The flow of a packet with its place, and how many subtables were tried.
    #[inline]
    pub fn lookup(&self, key: &Words) -> (Option<(&Megaflow, Place)>, usize) {
        self.lookups.set(self.lookups.get().wrapping_add(1));
        for (i, subtable) in self.subtables.iter().enumerate() {
            if let Some(slot) = subtable.find(key) {
                subtable.hits.set(subtable.hits.get().wrapping_add(1));
                return (Some((&slot.flow, slot.place)), i + 1);
            }
        }
        (None, self.subtables.len())
    }

    /// The flow that stands there, if one does.
    #[inline]
    pub fn at(&self, place: Place) -> Option<&Megaflow> {
        self.places.get(place.0 as usize)?.as_deref()
    }

    /// Brings the subtables into the order of their hits, if that has not been done for long.
    pub fn reorder(&mut self) {
        if self.lookups.get() < REORDER_EVERY {
            return;
        }
        self.lookups.set(0);
        self.subtables
            .sort_unstable_by_key(|s| std::cmp::Reverse(s.hits.get()));
        self.subtables.iter().for_each(|s| s.hits.set(0));
    }

    /// Nobody remembers the places of removed flows any more: others may have them.
    pub fn tidy(&mut self) {
        self.free.append(&mut self.left);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::megaflow::Tallies;
    use hal::{FlowPut, Ufid};
    use packet::{FieldId, FlowState};

    fn flow(port: u16) -> Arc<Megaflow> {
        let mut state = FlowState::default();
        state.set(FieldId::UdpDst, port.into());
        let mut mask = FlowMask::ANY;
        mask.add_all(FieldId::UdpDst);
        let put = FlowPut {
            ufid: Ufid(port.into()),
            key: state.to_key(),
            mask,
            actions: Arc::new([]),
        };
        Arc::new(Megaflow::new(put, Arc::new(Tallies::new(1))))
    }

    #[test]
    fn a_place_is_not_given_to_another_while_somebody_may_remember_it() {
        let mut classifier = Classifier::default();
        let first = flow(1);
        classifier.insert(first.clone());
        let place = classifier.lookup(first.masked()).0.unwrap().1;
        assert!(classifier.at(place).is_some());
        // The same packets, other actions: who remembers the place has the new flow.
        let again = flow(1);
        classifier.insert(again.clone());
        assert!(std::ptr::eq(classifier.at(place).unwrap(), &*again));
        assert!(!classifier.remove(&first));
        assert!(classifier.remove(&again));
        classifier.insert(flow(2));
        assert!(classifier.at(place).is_none());
        classifier.tidy();
        let third = flow(3);
        classifier.insert(third.clone());
        assert!(std::ptr::eq(classifier.at(place).unwrap(), &*third));
        assert_eq!(classifier.len(), 2);
        classifier.clear();
        assert!(classifier.at(place).is_none());
    }
}
