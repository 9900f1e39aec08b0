//! The rules with one mask.
//!
//! *Stages.* A miss can be proved with less than the whole mask. For every stage (metadata,
//! Ethernet, network, transport) a subtable keeps the hashes of its rules' words up to there: when
//! no rule agrees with the packet up to some stage, only the bits up to that stage were looked at.
//!
//! *Prefixes.* Before a stage is looked at, the table's prefixes may rule it out with fewer bits.
//! When only the last stage fails and it wants ports, the ports' own prefixes say how few of their
//! bits show that no rule has these.

use super::prefix::{self, MAX_PREFIX_FIELDS, PrefixIndex, Prefixes, Probes};
use super::rule::Rule;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};
use packet::{CompactMatch, FlowState, Mixer, StateMask, slots};
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

/// The word of both transport ports, where they stand in it, and how many bits they are.
const PORTS_WORD: u8 = slots::TP_SRC.word;
const PORTS_SHIFT: u32 = slots::TP_DST.shift as u32;
const PORTS_BITS: u8 = 32;

/// Source and destination port of the ports' word.
fn ports_in(word: u64) -> u64 {
    word >> PORTS_SHIFT
}

/// Keys of the maps are hashes already, or rows of words.
#[derive(Default)]
pub(super) struct WordHasher(Option<Mixer>);

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

pub(super) type Map<K, V> = GenericHashMap<K, V, BuildHasherDefault<WordHasher>, DefaultSharedPtr>;

/// Rules with the same mask and the same wanted bits, highest priority first. Nearly always one.
pub(super) type Same = Vec<Arc<Rule>>;

#[derive(Clone)]
pub(super) struct Subtable {
    /// Word index and mask, in the order of the stages.
    pub mask: Arc<[(u8, u64)]>,
    /// How many entries of `mask` belong to the stages up to each.
    ends: [usize; STAGES],
    pub rules: Map<Arc<[u64]>, Same>,
    /// For each stage but the last, how many keys have this hash up to there.
    partial: [Map<u64, u32>; STAGES - 1],
    /// How many rules have each priority.
    priorities: OrdMap<u32, u32>,
    /// How long a prefix the mask wants of each field that the table keeps prefixes of; 0 = none.
    pub prefix_lengths: [u8; MAX_PREFIX_FIELDS],
    /// Which ports the rules want, if they want any: all 32 bits at once, as far as they go.
    ports: Option<Prefixes>,
}

impl Subtable {
    pub fn new(mask: Vec<(u8, u64)>, indices: &[PrefixIndex]) -> Subtable {
        let mut ends = [0; STAGES];
        for (i, end) in ends.iter_mut().enumerate() {
            *end = mask
                .iter()
                .filter(|(w, _)| stage_of(usize::from(*w)) <= i)
                .count();
        }
        let wants_ports = |&(w, m): &(u8, u64)| w == PORTS_WORD && ports_in(m) != 0;
        let ports = mask
            .iter()
            .any(wants_ports)
            .then(|| Prefixes::new(PORTS_BITS));
        let mut subtable = Subtable {
            mask: mask.into(),
            ends,
            rules: Map::default(),
            partial: Default::default(),
            priorities: OrdMap::new(),
            prefix_lengths: [0; MAX_PREFIX_FIELDS],
            ports,
        };
        subtable.measure(indices);
        subtable
    }

    /// Notes which prefixes the mask wants of the fields that the table keeps prefixes of.
    pub fn measure(&mut self, indices: &[PrefixIndex]) {
        let mask = self.state_mask();
        self.prefix_lengths = [0; MAX_PREFIX_FIELDS];
        for (length, index) in self.prefix_lengths.iter_mut().zip(indices) {
            *length = index.length_in(&mask);
        }
    }

    /// The mask, spread over all words.
    pub fn state_mask(&self) -> StateMask {
        let mut mask = StateMask::default();
        for &(w, m) in self.mask.iter() {
            mask.words[usize::from(w)] = m;
        }
        mask
    }

    /// A key's words, spread.
    pub fn state_of(&self, key: &[u64]) -> FlowState {
        let mut state = FlowState::default();
        for (&(w, _), v) in self.mask.iter().zip(key) {
            state.words[usize::from(w)] = *v;
        }
        state
    }

    /// The ports of a key and how long a prefix of them the mask covers.
    fn ports_of(&self, key: &[u64]) -> (u128, u8) {
        let mut words = self.mask.iter().zip(key);
        let found = words.find(|((w, _), _)| *w == PORTS_WORD);
        found.map_or((0, 0), |(&(_, m), v)| {
            let unwanted = (ports_in(m) as u32).trailing_zeros() as u8;
            (ports_in(*v).into(), PORTS_BITS - unwanted)
        })
    }

    /// A key that had no rule before has one now.
    fn key_came(&mut self, key: &[u64]) {
        let hashes = self.partial_hashes(key);
        for (map, hash) in self.partial.iter_mut().zip(hashes) {
            *map.entry(hash).or_insert(0) += 1;
        }
        let (ports, length) = self.ports_of(key);
        if let Some(prefixes) = &mut self.ports {
            prefixes.insert(ports, length);
        }
    }

    /// A key has no rule any more.
    fn key_went(&mut self, key: &[u64]) {
        let hashes = self.partial_hashes(key);
        for (map, hash) in self.partial.iter_mut().zip(hashes) {
            if let Some(n) = map.get_mut(&hash) {
                *n -= 1;
                if *n == 0 {
                    map.remove(&hash);
                }
            }
        }
        let (ports, length) = self.ports_of(key);
        if let Some(prefixes) = &mut self.ports {
            prefixes.remove(ports, length);
        }
    }

    pub fn max_priority(&self) -> u32 {
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

    /// Adds a rule. One with the same match and priority is replaced and returned.
    pub fn insert(&mut self, key: Arc<[u64]>, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let priority = rule.priority;
        if let Some(same) = self.rules.get_mut(&key) {
            if let Some(old) = same.iter_mut().find(|r| r.priority == priority) {
                return Some(std::mem::replace(old, rule));
            }
            let at = same.partition_point(|r| r.priority > priority);
            same.insert(at, rule);
        } else {
            self.key_came(&key);
            self.rules.insert(key, vec![rule]);
        }
        *self.priorities.entry(priority).or_insert(0) += 1;
        None
    }

    /// Removes a rule.
    pub fn remove(&mut self, key: &Arc<[u64]>, priority: u32) -> Option<Arc<Rule>> {
        let same = self.rules.get_mut(key)?;
        let at = same.iter().position(|r| r.priority == priority)?;
        let rule = same.remove(at);
        if same.is_empty() {
            self.rules.remove(key);
            self.key_went(key);
        }
        if let Some(n) = self.priorities.get_mut(&priority) {
            *n -= 1;
            if *n == 0 {
                self.priorities.remove(&priority);
            }
        }
        Some(rule)
    }

    /// The best rule for a packet.
    pub fn lookup(&self, state: &FlowState) -> Option<&Arc<Rule>> {
        let mut masked = [0u64; packet::STATE_WORDS];
        for (&(w, m), out) in self.mask.iter().zip(&mut masked) {
            *out = state.words[usize::from(w)] & m;
        }
        self.rules.get(&masked[..self.mask.len()])?.first()
    }

    /// The same; bits looked at are added to `seen`.
    pub fn lookup_seen(
        &self,
        state: &FlowState,
        probes: &mut Probes<'_>,
        seen: &mut StateMask,
    ) -> Option<&Arc<Rule>> {
        let mut mixer = Mixer::new(0);
        let mut masked = [0u64; packet::STATE_WORDS];
        let mut at = 0;
        for (stage, &end) in self.ends.iter().enumerate() {
            let here = &self.mask[at..end];
            if here.is_empty() {
                continue;
            }
            let is_here = |word: usize| here.iter().any(|(w, _)| usize::from(*w) == word);
            if probes.rule_out(&self.prefix_lengths, is_here, state, seen) {
                add_words(seen, &self.mask[..at]);
                return None;
            }
            for (&(w, m), out) in here.iter().zip(&mut masked[at..end]) {
                *out = state.words[usize::from(w)] & m;
                mixer.add(*out);
            }
            at = end;
            // The last stage is decided by the rules themselves.
            if let Some(map) = self.partial.get(stage)
                && end < self.mask.len()
                && !map.contains_key(&mixer.finish())
            {
                add_words(seen, &self.mask[..end]);
                return None;
            }
        }
        let key = &masked[..self.mask.len()];
        let found = self.rules.get(key).and_then(|same| same.first());
        let ports_seen = seen.words[usize::from(PORTS_WORD)];
        add_words(seen, &self.mask);
        if let (None, Some(ports)) = (found, &self.ports) {
            let (value, _) = self.ports_of(key);
            let bits = ports.deciding_bits(value);
            let enough = prefix::leading(bits, PORTS_BITS) as u64;
            let word = &mut seen.words[usize::from(PORTS_WORD)];
            // What else stands in the word counts as before.
            *word &= enough << PORTS_SHIFT | ports_seen | !(u64::MAX << PORTS_SHIFT);
        }
        found
    }
}

/// Adds the bits of a part of a mask.
fn add_words(seen: &mut StateMask, mask: &[(u8, u64)]) {
    for &(w, m) in mask {
        seen.words[usize::from(w)] |= m;
    }
}

/// Mask and key of a match, in the order of the stages.
pub(super) fn split(matching: &CompactMatch) -> (Vec<(u8, u64)>, Vec<u64>) {
    let mut words: Vec<(usize, u64, u64)> = matching.iter().collect();
    words.sort_by_key(|&(i, ..)| (stage_of(i), i));
    let mask = words.iter().map(|&(i, _, m)| (i as u8, m)).collect();
    (mask, words.iter().map(|&(_, v, _)| v).collect())
}
