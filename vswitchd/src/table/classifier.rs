//! The classifier of one OpenFlow table.
//!
//! *Tuple space search with priorities.* Rules with the same mask live in one subtable, a hash
//! map over the masked words. Subtables are visited by their highest priority; the visit ends as
//! soon as what was found cannot be beaten.
//!
//! *What was looked at.* A megaflow must not be wider than the lookup that made it: every bit
//! that could have changed the answer counts. Visiting a subtable looks at its whole mask, but a
//! miss can be proved with less. Each subtable therefore keeps, for every *stage* (metadata,
//! Ethernet, network, transport), the hashes of its rules' words up to there: when no rule agrees
//! with the packet up to some stage, only the bits up to that stage have been looked at.
//!
//! *Snapshots.* Everything is kept in persistent maps behind `Arc`s. A clone shares all of it,
//! and a change copies the path to the change if someone holds a clone, and nothing otherwise.

use super::rule::Rule;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};
use packet::{CompactMatch, FlowState, Match, Mixer, StateMask};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Word indices at which the stages end: metadata, Ethernet, network, transport (the pipeline's
/// own words come with the metadata, see [`stage_of`]).
const STAGES: usize = 4;

/// The stage in which a word is looked at.
fn stage_of(word: usize) -> usize {
    match word {
        0..16 | 41.. => 0,
        16..21 => 1,
        21..32 => 2,
        _ => 3,
    }
}

/// Keys of the maps are hashes already, or rows of words.
#[derive(Default)]
struct WordHasher(Option<Mixer>);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mut mixer = self.0.unwrap_or_else(|| Mixer::new(0));
        mixer.add(word);
        self.0 = Some(mixer);
    }

    fn finish(&self) -> u64 {
        self.0.unwrap_or_else(|| Mixer::new(0)).finish()
    }
}

type Map<K, V> = GenericHashMap<K, V, BuildHasherDefault<WordHasher>, DefaultSharedPtr>;

/// Rules with the same mask and the same wanted bits, highest priority first. Nearly always one.
type Same = Vec<Arc<Rule>>;

#[derive(Clone)]
struct Subtable {
    /// Word index and mask, in the order of the stages.
    mask: Arc<[(u8, u64)]>,
    /// How many entries of `mask` belong to the stages up to each.
    ends: [usize; STAGES],
    rules: Map<Arc<[u64]>, Same>,
    /// For each stage but the last, how many keys have this hash up to there.
    partial: [Map<u64, u32>; STAGES - 1],
    /// How many rules have each priority.
    priorities: OrdMap<u32, u32>,
}

impl Subtable {
    fn new(mask: Vec<(u8, u64)>) -> Subtable {
        let mut ends = [0; STAGES];
        for (i, end) in ends.iter_mut().enumerate() {
            *end = mask
                .iter()
                .filter(|(w, _)| stage_of(usize::from(*w)) <= i)
                .count();
        }
        Subtable {
            mask: mask.into(),
            ends,
            rules: Map::default(),
            partial: Default::default(),
            priorities: OrdMap::new(),
        }
    }

    fn max_priority(&self) -> u32 {
        self.priorities.get_max().map_or(0, |(p, _)| *p)
    }

    /// Hashes of a key's words up to each stage's end.
    fn partial_hashes(&self, key: &[u64]) -> [u64; STAGES - 1] {
        let mut mixer = Mixer::new(0);
        let mut at = 0;
        let mut out = [0; STAGES - 1];
        for (hash, &end) in out.iter_mut().zip(&self.ends) {
            for word in key.get(at..end).unwrap_or_default() {
                mixer.add(*word);
            }
            at = end;
            *hash = mixer.finish();
        }
        out
    }

    fn insert(&mut self, key: Arc<[u64]>, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let priority = rule.priority;
        let hashes = self.partial_hashes(&key);
        if let Some(same) = self.rules.get_mut(&key) {
            if let Some(old) = same.iter_mut().find(|r| r.priority == priority) {
                return Some(std::mem::replace(old, rule));
            }
            let at = same.partition_point(|r| r.priority > priority);
            same.insert(at, rule);
        } else {
            self.rules.insert(key, vec![rule]);
            for (map, hash) in self.partial.iter_mut().zip(hashes) {
                *map.entry(hash).or_insert(0) += 1;
            }
        }
        *self.priorities.entry(priority).or_insert(0) += 1;
        None
    }

    fn remove(&mut self, key: &Arc<[u64]>, priority: u32) -> Option<Arc<Rule>> {
        let hashes = self.partial_hashes(key);
        let same = self.rules.get_mut(key)?;
        let at = same.iter().position(|r| r.priority == priority)?;
        let rule = same.remove(at);
        if same.is_empty() {
            self.rules.remove(key);
            for (map, hash) in self.partial.iter_mut().zip(hashes) {
                drop_one(map.get_mut(&hash), 1);
                if map.get(&hash) == Some(&0) {
                    map.remove(&hash);
                }
            }
        }
        drop_one(self.priorities.get_mut(&priority), 1);
        if self.priorities.get(&priority) == Some(&0) {
            self.priorities.remove(&priority);
        }
        Some(rule)
    }

    /// The best rule for a packet; bits looked at are added to `seen`.
    fn lookup(&self, state: &FlowState, seen: Option<&mut StateMask>) -> Option<&Arc<Rule>> {
        let mut mixer = Mixer::new(0);
        let mut masked = [0u64; packet::STATE_WORDS];
        let mut at = 0;
        let mut looked = self.mask.len();
        let mut possible = true;
        for (stage, &end) in self.ends.iter().enumerate() {
            let words = self.mask[at..end].iter().zip(&mut masked[at..end]);
            for (&(w, m), out) in words {
                *out = state.words[usize::from(w)] & m;
                mixer.add(*out);
            }
            at = end;
            // The last stage is decided by the rules themselves.
            if let Some(map) = self.partial.get(stage)
                && end < self.mask.len()
                && !map.contains_key(&mixer.finish())
            {
                looked = end;
                possible = false;
                break;
            }
        }
        if let Some(seen) = seen {
            for &(w, m) in &self.mask[..looked] {
                seen.words[usize::from(w)] |= m;
            }
        }
        if !possible {
            return None;
        }
        self.rules.get(&masked[..self.mask.len()])?.first()
    }
}

fn drop_one(count: Option<&mut u32>, by: u32) {
    if let Some(n) = count {
        *n -= by;
    }
}

/// Mask and key of a match, in the order of the stages.
fn split(matching: &CompactMatch) -> (Vec<(u8, u64)>, Vec<u64>) {
    let mut words: Vec<(usize, u64, u64)> = matching.iter().collect();
    words.sort_by_key(|&(i, ..)| (stage_of(i), i));
    let mask = words.iter().map(|&(i, _, m)| (i as u8, m)).collect();
    (mask, words.iter().map(|&(_, v, _)| v).collect())
}

/// The rules of one OpenFlow table. Cloning it makes a snapshot.
#[derive(Clone, Default)]
pub struct FlowTable {
    /// By highest priority, descending.
    subtables: Vec<Arc<Subtable>>,
    len: usize,
    version: u64,
}

impl FlowTable {
    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Grows with every change; two snapshots with the same version are equal.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn changed(&mut self) {
        self.version += 1;
        self.subtables.retain(|s| !s.rules.is_empty());
        self.subtables
            .sort_by_key(|s| std::cmp::Reverse(s.max_priority()));
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.subtables.clear();
        self.len = 0;
        self.changed();
    }

    /// Adds a rule. One with the same match and priority is replaced and returned.
    pub fn insert(&mut self, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let (mask, key) = split(&rule.matching);
        let at = match self.subtables.iter().position(|s| *s.mask == *mask) {
            Some(at) => at,
            None => {
                self.subtables.push(Arc::new(Subtable::new(mask)));
                self.subtables.len() - 1
            }
        };
        let old = Arc::make_mut(&mut self.subtables[at]).insert(key.into(), rule);
        if old.is_none() {
            self.len += 1;
        }
        self.changed();
        old
    }

    /// Removes the rule with exactly this match and priority.
    pub fn remove(&mut self, matching: &CompactMatch, priority: u32) -> Option<Arc<Rule>> {
        let (mask, key) = split(matching);
        let at = self.subtables.iter().position(|s| *s.mask == *mask)?;
        let rule = Arc::make_mut(&mut self.subtables[at]).remove(&key.into(), priority)?;
        self.len -= 1;
        self.changed();
        Some(rule)
    }

    /// Finds the rule with exactly this match and priority.
    pub fn get(&self, matching: &CompactMatch, priority: u32) -> Option<&Arc<Rule>> {
        let (mask, key) = split(matching);
        let subtable = self.subtables.iter().find(|s| *s.mask == *mask)?;
        let same = subtable.rules.get(key.as_slice())?;
        same.iter().find(|r| r.priority == priority)
    }

    /// All rules, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.subtables
            .iter()
            .flat_map(|s| s.rules.values().flatten())
    }

    /// The rules that are at least as narrow as `matching`.
    pub fn within<'a>(&'a self, matching: &'a Match) -> impl Iterator<Item = &'a Arc<Rule>> {
        let wanted = matching.mask();
        let covers = move |s: &&Arc<Subtable>| {
            let mut mask = StateMask::default();
            s.mask
                .iter()
                .for_each(|&(w, m)| mask.words[usize::from(w)] = m);
            wanted
                .words
                .iter()
                .zip(&mask.words)
                .all(|(w, m)| w & !m == 0)
        };
        let subtables = self.subtables.iter().filter(covers);
        let rules = subtables.flat_map(|s| s.rules.values().flatten());
        rules.filter(move |r| matching.is_any() || r.unpacked().is_subset_of(matching))
    }

    /// The rule that a packet meets. The bits that were looked at are added to `seen`: every
    /// packet that agrees on them meets the same rule.
    pub fn lookup(
        &self,
        state: &FlowState,
        mut seen: Option<&mut StateMask>,
    ) -> Option<&Arc<Rule>> {
        let mut best: Option<&Arc<Rule>> = None;
        for subtable in &self.subtables {
            if best.is_some_and(|b| b.priority >= subtable.max_priority()) {
                break;
            }
            if let Some(rule) = subtable.lookup(state, seen.as_deref_mut())
                && best.is_none_or(|b| rule.priority > b.priority)
            {
                best = Some(rule);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{RuleId, Timeouts};
    use openflow::{Cookie, FlowFlags};
    use packet::FieldId::{self, *};
    use proptest::prelude::*;

    fn rule(id: u64, priority: u32, matching: &Match) -> Arc<Rule> {
        Arc::new(Rule {
            id: RuleId(id),
            table: 0,
            priority,
            matching: CompactMatch::pack(matching),
            cookie: Cookie(id),
            timeouts: Timeouts::default(),
            flags: FlowFlags::default(),
            importance: 0,
            actions: Arc::new([]),
            created: clock::Time::ZERO,
            modified: clock::Time::ZERO,
            stats: Arc::default(),
        })
    }

    /// Few values in few fields, so that rules and packets meet.
    const FIELDS: [FieldId; 6] = [InPortOxm, Metadata, EthSrc, VlanTci, Ipv4Src, TcpDst];

    fn a_match() -> impl Strategy<Value = Match> {
        let field =
            prop::option::of((0u128..4, prop::sample::select(vec![1u128, 2, 3, u128::MAX])));
        prop::collection::vec(field, FIELDS.len()).prop_map(|wanted| {
            let mut m = Match::any();
            for (f, want) in FIELDS.into_iter().zip(wanted) {
                if let Some((value, mask)) = want {
                    let mask = if f == InPortOxm {
                        f.full()
                    } else {
                        mask & f.full()
                    };
                    m.set_masked(f, value, mask);
                }
            }
            m
        })
    }

    fn a_state() -> impl Strategy<Value = FlowState> {
        prop::collection::vec(0u128..5, FIELDS.len()).prop_map(|values| {
            let mut s = FlowState::default();
            FIELDS
                .into_iter()
                .zip(values)
                .for_each(|(f, v)| s.set(f, v));
            s
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_linear_scan_finds_and_sees_enough(
            rules in prop::collection::vec((a_match(), 0u32..4), 0..30),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            packets in prop::collection::vec(a_state(), 1..20),
        ) {
            let mut table = FlowTable::default();
            let mut list: Vec<Arc<Rule>> = Vec::new();
            for (id, (m, priority)) in rules.iter().enumerate() {
                let r = rule(id as u64, *priority, m);
                list.retain(|o| o.priority != *priority || o.unpacked() != *m);
                list.push(r.clone());
                table.insert(r);
            }
            let snapshot = table.clone();
            let all = list.len();
            for i in gone {
                if !list.is_empty() {
                    let r = list.remove(i.index(list.len()));
                    prop_assert!(table.remove(&r.matching, r.priority).is_some());
                }
            }
            prop_assert_eq!(table.len(), list.len());
            prop_assert_eq!(snapshot.iter().count(), all);
            for p in &packets {
                let wanted = list.iter().filter(|r| r.unpacked().matches(p));
                let wanted = wanted.map(|r| r.priority).max();
                let mut seen = StateMask::default();
                let found = table.lookup(p, Some(&mut seen));
                prop_assert_eq!(found.map(|r| r.priority), wanted);
                if let Some(r) = found {
                    prop_assert!(r.unpacked().matches(p));
                }
                // Any other packet that agrees on what was seen fares the same.
                for q in &packets {
                    let mut other = q.clone();
                    for (i, w) in other.words.iter_mut().enumerate() {
                        *w = *w & !seen.words[i] | p.words[i] & seen.words[i];
                    }
                    let other = table.lookup(&other, None);
                    prop_assert_eq!(other.map(|r| r.priority), wanted);
                }
            }
        }
    }

    #[test]
    fn a_miss_in_an_early_stage_leaves_later_ones_unseen() {
        let mut table = FlowTable::default();
        let mut m = Match::any();
        m.set(InPortOxm, 1);
        m.set(TcpDst, 80);
        table.insert(rule(1, 5, &m));
        let mut p = FlowState::default();
        p.set(InPortOxm, 2);
        let mut seen = StateMask::default();
        assert!(table.lookup(&p, Some(&mut seen)).is_none());
        assert_eq!((seen.get(InPortOxm), seen.get(TcpDst)), (0xffff_ffff, 0));
    }
}
