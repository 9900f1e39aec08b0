//! The three key types: what a datapath matches, its mask, and what the pipeline carries.

use crate::layout::{PACKET_WORDS, STATE_WORDS};
use crate::table::FieldId;
use arrayvec::ArrayVec;
use std::fmt;

/// What a datapath can match of a packet: a bitmap of the non-zero words, and those words.
///
/// Most packets fill about ten of the 41 words, so caches keep, hash and compare keys in this
/// form. The form is canonical: a word is present exactly when it is not zero, so equal packets
/// have equal keys.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PacketKey {
    map: u64,
    words: ArrayVec<u64, PACKET_WORDS>,
}

impl PacketKey {
    /// The key in which every field is zero.
    pub const EMPTY: PacketKey = PacketKey {
        map: 0,
        words: ArrayVec::new_const(),
    };

    /// Empties the key for reuse.
    pub fn clear(&mut self) {
        self.map = 0;
        self.words.clear();
    }

    /// Appends the word at `index`, which must be greater than those already there.
    ///
    /// Zero words, and words out of order or out of range, are not stored.
    #[inline]
    pub fn push(&mut self, index: usize, word: u64) {
        debug_assert!(index < PACKET_WORDS && self.map >> index == 0);
        if word != 0 && index < PACKET_WORDS && self.map >> index == 0 {
            self.map |= 1 << index;
            self.words.push(word);
        }
    }

    /// The sparse form of a row of words.
    pub fn from_words(words: &[u64; PACKET_WORDS]) -> PacketKey {
        let mut key = PacketKey::EMPTY;
        for (i, &w) in words.iter().enumerate() {
            key.push(i, w);
        }
        key
    }

    /// The row of words.
    pub fn expand(&self) -> [u64; PACKET_WORDS] {
        let mut words = [0; PACKET_WORDS];
        self.expand_into(&mut words);
        words
    }

    /// Writes the row of words over `out`.
    #[inline]
    pub fn expand_into(&self, out: &mut [u64; PACKET_WORDS]) {
        out.fill(0);
        for (i, w) in self.iter() {
            out[i] = w;
        }
    }

    /// The words present, with their indices, in ascending order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        Bits(self.map).zip(self.words.iter().copied())
    }

    /// The word at `index`, zero if absent.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        if index >= 64 || self.map & (1 << index) == 0 {
            return 0;
        }
        let below = self.map & ((1 << index) - 1);
        self.words
            .get(below.count_ones() as usize)
            .copied()
            .unwrap_or(0)
    }

    /// Reads a field; one that only the pipeline has reads as zero.
    pub fn get(&self, field: FieldId) -> u128 {
        let slot = field.slot();
        let w = usize::from(slot.word);
        let at = [self.word(w), self.word(w + 1)];
        let here = crate::layout::Slot { word: 0, ..slot };
        here.get(&at) >> field.row().shift & field.full()
    }

    /// A hash of the whole key, well mixed in all 64 bits; it may differ between releases.
    #[inline]
    pub fn hash(&self) -> u64 {
        let mut h = crate::hash::Mixer::new(self.map);
        for &w in &self.words {
            h.add(w);
        }
        h.finish()
    }

    /// Rewrites one field.
    pub fn set(&mut self, field: FieldId, value: u128) {
        let mut words = self.expand();
        field.set(&mut words, value);
        *self = PacketKey::from_words(&words);
    }

    /// The key with only the bits that `mask` has.
    pub fn masked(&self, mask: &FlowMask) -> PacketKey {
        let mut out = PacketKey::EMPTY;
        for (i, w) in self.iter() {
            out.push(i, w & mask.words[i]);
        }
        out
    }

    /// Whether `self`, a masked key, is what `packet` looks like under `mask`.
    pub fn matches(&self, mask: &FlowMask, packet: &PacketKey) -> bool {
        *self == packet.masked(mask)
    }
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::odp::format_key(self, None))
    }
}

/// Indices of the set bits, ascending.
#[derive(Clone, Copy)]
pub(crate) struct Bits(pub u64);

impl Iterator for Bits {
    type Item = usize;
    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let i = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(i)
    }
}

/// Which bits of a [`PacketKey`] count: a megaflow's mask. A set bit must match.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FlowMask {
    /// One mask word for each word of the key.
    pub words: [u64; PACKET_WORDS],
}

impl Default for FlowMask {
    fn default() -> FlowMask {
        FlowMask::ANY
    }
}

impl FlowMask {
    /// Matches every packet.
    pub const ANY: FlowMask = FlowMask {
        words: [0; PACKET_WORDS],
    };
    /// Matches one key exactly.
    pub const EXACT: FlowMask = FlowMask {
        words: [u64::MAX; PACKET_WORDS],
    };

    /// Reads a field's mask.
    pub fn get(&self, field: FieldId) -> u128 {
        field.get(&self.words)
    }

    /// Adds bits of a field.
    pub fn add(&mut self, field: FieldId, bits: u128) {
        let old = self.get(field);
        field.set(&mut self.words, old | bits);
    }

    /// Adds a whole field.
    pub fn add_all(&mut self, field: FieldId) {
        self.add(field, field.full());
    }

    /// Whether every bit that `self` wants is wanted by `other` too.
    pub fn is_subset_of(&self, other: &FlowMask) -> bool {
        self.words
            .iter()
            .zip(&other.words)
            .all(|(a, b)| a & !b == 0)
    }
}

impl fmt::Debug for FlowMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = FieldId::all().filter(|&id| self.get(id) != 0);
        f.debug_map()
            .entries(fields.map(|id| (id.row().name, self.get(id))))
            .finish()
    }
}

/// What the OpenFlow pipeline carries for one packet: the packet's key and the pipeline's own
/// registers and metadata, expanded. `in_port` is an OpenFlow port number here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FlowState {
    /// All words; the first [`PACKET_WORDS`] are the packet's.
    pub words: [u64; STATE_WORDS],
}

impl Default for FlowState {
    fn default() -> FlowState {
        FlowState {
            words: [0; STATE_WORDS],
        }
    }
}

impl FlowState {
    /// The state in which a packet enters the pipeline.
    pub fn from_key(key: &PacketKey) -> FlowState {
        let mut state = FlowState::default();
        for (i, w) in key.iter() {
            state.words[i] = w;
        }
        state
    }

    /// The packet's part.
    pub fn to_key(&self) -> PacketKey {
        let mut key = PacketKey::EMPTY;
        for (i, &w) in self.words.iter().take(PACKET_WORDS).enumerate() {
            key.push(i, w);
        }
        key
    }

    /// Reads a field.
    pub fn get(&self, field: FieldId) -> u128 {
        field.get(&self.words)
    }

    /// Writes a field.
    pub fn set(&mut self, field: FieldId, value: u128) {
        field.set(&mut self.words, value);
    }
}

impl fmt::Debug for FlowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = FieldId::all().filter(|&id| self.get(id) != 0);
        f.debug_map()
            .entries(fields.map(|id| (id.row().name, self.get(id))))
            .finish()
    }
}

/// The mask over a whole [`FlowState`]: what an OpenFlow rule wants, or what translation has
/// looked at so far.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StateMask {
    /// One mask word for each word of the state.
    pub words: [u64; STATE_WORDS],
}

impl Default for StateMask {
    fn default() -> StateMask {
        StateMask {
            words: [0; STATE_WORDS],
        }
    }
}

impl StateMask {
    /// Reads a field's mask.
    pub fn get(&self, field: FieldId) -> u128 {
        field.get(&self.words)
    }

    /// Adds bits of a field.
    pub fn add(&mut self, field: FieldId, bits: u128) {
        let old = self.get(field);
        field.set(&mut self.words, old | bits);
    }

    /// Adds a whole field.
    pub fn add_all(&mut self, field: FieldId) {
        self.add(field, field.full());
    }

    /// The part that a datapath can match.
    pub fn to_flow_mask(&self) -> FlowMask {
        let mut mask = FlowMask::ANY;
        for (m, w) in mask.words.iter_mut().zip(&self.words) {
            *m = *w;
        }
        mask
    }
}

impl fmt::Debug for StateMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = FieldId::all().filter(|&id| self.get(id) != 0);
        f.debug_map()
            .entries(fields.map(|id| (id.row().name, self.get(id))))
            .finish()
    }
}
