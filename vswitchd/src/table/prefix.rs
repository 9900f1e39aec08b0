//! Prefixes: how few bits of an address say which rules it can meet.
//!
//! A table with rules for 10.0.0.0/8 and 10.1.2.0/24 tells 192.168.0.1 apart from both by its first
//! bit. Without prefixes, the lookup in the subtable of 24-bit addresses looks at all 24.
//!
//! *The idea.* The prefixes of a field's rules are leaves and forks of a binary tree. A value walks
//! down from the root until it falls off; the bits up to there decide which prefixes it lies in.
//!
//! *The form.* The tree is an ordered map. In the order of their bits, filled up with zeros, a
//! prefix comes before everything that it covers; so where a value falls off the tree is told by
//! the two prefixes between which it would stand. That makes a lookup two steps in the map, and
//! the map is persistent like the rest of a table.

use imbl::OrdMap;
use packet::{FieldId, FlowState, Prereq, StateMask};

/// Fields that one table keeps prefixes of, at most.
pub const MAX_PREFIX_FIELDS: usize = 4;

/// The fields that a table keeps prefixes of unless something else is configured.
pub const DEFAULT_PREFIX_FIELDS: [FieldId; MAX_PREFIX_FIELDS] = [
    FieldId::Ipv4Dst,
    FieldId::Ipv4Src,
    FieldId::Ipv6Dst,
    FieldId::Ipv6Src,
];

/// Whether a table can keep prefixes of a field: addresses and tunnel keys.
pub fn is_prefix_field(field: FieldId) -> bool {
    use FieldId::*;
    matches!(
        field,
        TunId
            | TunSrc
            | TunDst
            | TunIpv6Src
            | TunIpv6Dst
            | CtNwSrc
            | CtNwDst
            | CtIpv6Src
            | CtIpv6Dst
            | Ipv4Src
            | Ipv4Dst
            | Ipv6Src
            | Ipv6Dst
    )
}

/// How many leading bits of a `width` bits wide mask are wanted; none unless they are all.
pub(super) fn length(mask: u128, width: u8) -> u8 {
    let ones = left(mask, width).leading_ones();
    if ones == mask.count_ones() {
        ones as u8
    } else {
        0
    }
}

/// A value with its most significant bit at the left end.
fn left(value: u128, width: u8) -> u128 {
    value << (128 - u32::from(width))
}

/// The mask of the first `bits` bits of a value that is `width` bits wide.
pub(super) fn leading(bits: u8, width: u8) -> u128 {
    let at_left = !u128::MAX.checked_shr(bits.into()).unwrap_or(0);
    at_left >> (128 - u32::from(width))
}

/// Prefixes of values of one width, with how often each is there.
#[derive(Clone)]
pub(super) struct Prefixes {
    width: u8,
    /// By bits, at the left end and filled up with zeros, and length.
    counts: OrdMap<(u128, u8), u32>,
}

impl Prefixes {
    /// No prefixes of values of this width.
    pub fn new(width: u8) -> Prefixes {
        Prefixes {
            width,
            counts: OrdMap::new(),
        }
    }

    fn key(&self, value: u128, length: u8) -> (u128, u8) {
        (left(value, self.width) & leading(length, 128), length)
    }

    /// Adds the first `length` bits of a value.
    pub fn insert(&mut self, value: u128, length: u8) {
        let key = self.key(value, length);
        *self.counts.entry(key).or_insert(0) += 1;
    }

    /// Takes them out again.
    pub fn remove(&mut self, value: u128, length: u8) {
        let key = self.key(value, length);
        if let Some(n) = self.counts.get_mut(&key) {
            *n -= 1;
            if *n == 0 {
                self.counts.remove(&key);
            }
        }
    }

    /// Whether a value's first `length` bits are there.
    pub fn has(&self, value: u128, length: u8) -> bool {
        self.counts.contains_key(&self.key(value, length))
    }

    /// How many leading bits of a value decide in which of the prefixes it lies.
    pub fn deciding_bits(&self, value: u128) -> u8 {
        let value = left(value, self.width);
        let here = (value, u8::MAX);
        let before = self.counts.get_prev(&here);
        let after = self.counts.get_next(&here);
        let near = || [before, after].into_iter().flatten().map(|(key, _)| key);
        // How far it agrees with the prefix that it follows furthest.
        let agreed = near()
            .map(|(bits, length)| (bits ^ value).leading_zeros().min(u32::from(*length)) as u8)
            .max()
            .unwrap_or(0);
        // One bit more if the tree goes on there, the other way.
        let goes_on = near().any(|(bits, length)| {
            *length > agreed && (bits ^ value).leading_zeros() >= u32::from(agreed)
        });
        (agreed + u8::from(goes_on)).min(self.width)
    }
}

/// The prefixes of one field, of all rules of a table that want a prefix of it.
#[derive(Clone)]
pub(super) struct PrefixIndex {
    pub field: FieldId,
    prefixes: Prefixes,
}

impl PrefixIndex {
    pub fn new(field: FieldId) -> PrefixIndex {
        PrefixIndex {
            field,
            prefixes: Prefixes::new(field.row().bits),
        }
    }

    /// A rule with this prefix came.
    pub fn insert(&mut self, wanted: &FlowState, length: u8) {
        self.prefixes.insert(wanted.get(self.field), length);
    }

    /// A rule with this prefix went.
    pub fn remove(&mut self, wanted: &FlowState, length: u8) {
        self.prefixes.remove(wanted.get(self.field), length);
    }

    /// The length of the prefix that a mask wants of the field; 0 = it wants none, or other bits.
    pub fn length_in(&self, mask: &StateMask) -> u8 {
        length(mask.get(self.field), self.field.row().bits)
    }

    /// Whether the field's place in the packet holds the field (and not, say, ARP's addresses).
    fn is_in(&self, state: &FlowState) -> bool {
        match self.field.row().prereq {
            Prereq::Ipv4 => state.get(FieldId::EthType) == 0x800,
            Prereq::Ipv6 => state.get(FieldId::EthType) == 0x86dd,
            // A known connection is new, established, related or replied to.
            Prereq::Ct => state.get(FieldId::CtState) & 0xf != 0,
            _ => true,
        }
    }
}

/// What one lookup has learned from the prefixes of its table.
pub(super) struct Probes<'t> {
    indices: &'t [PrefixIndex],
    /// For each index that has been asked: the bits that decide; none if the packet has no such
    /// field.
    deciding: [Option<Option<u8>>; MAX_PREFIX_FIELDS],
}

impl<'t> Probes<'t> {
    pub fn new(indices: &'t [PrefixIndex]) -> Probes<'t> {
        Probes {
            indices,
            deciding: [None; MAX_PREFIX_FIELDS],
        }
    }

    /// Whether a prefix alone proves that no rule of a subtable matches. The subtable wants
    /// prefixes of these `lengths`; only fields in words for which `here` is true are asked. The
    /// bits that prove it are added to `seen`.
    pub fn rule_out(
        &mut self,
        lengths: &[u8; MAX_PREFIX_FIELDS],
        here: impl Fn(usize) -> bool,
        state: &FlowState,
        seen: &mut StateMask,
    ) -> bool {
        let each = self.indices.iter().zip(lengths).zip(&mut self.deciding);
        for ((index, &length), deciding) in each {
            let field = index.field;
            if length == 0 || !here(usize::from(field.slot().word)) {
                continue;
            }
            let value = state.get(field);
            let deciding = *deciding.get_or_insert_with(|| {
                let bits = || index.prefixes.deciding_bits(value);
                index.is_in(state).then(bits)
            });
            let Some(bits) = deciding else { continue };
            if index.prefixes.has(value, length) {
                continue;
            }
            let mask = leading(bits, field.row().bits);
            // The proof may not cost more than the subtable itself would look at.
            if bits <= length || seen.get(field) & mask == mask {
                seen.add(field, mask);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_bits_decide() {
        let mut p = Prefixes::new(32);
        let ip = |text: &str| u128::from(text.parse::<std::net::Ipv4Addr>().unwrap().to_bits());
        assert_eq!(p.deciding_bits(ip("10.0.0.1")), 0);
        p.insert(ip("10.0.0.0"), 8);
        assert_eq!(p.deciding_bits(ip("192.168.0.1")), 1);
        assert_eq!(p.deciding_bits(ip("10.9.9.9")), 8);
        p.insert(ip("10.1.0.0"), 16);
        assert_eq!(p.deciding_bits(ip("10.9.9.9")), 13);
        assert_eq!(p.deciding_bits(ip("11.0.0.1")), 8);
        assert!(p.has(ip("10.9.9.9"), 8) && !p.has(ip("10.9.9.9"), 16));
        p.insert(ip("10.1.2.3"), 32);
        assert_eq!(p.deciding_bits(ip("10.1.2.3")), 32);
        assert_eq!(p.deciding_bits(ip("10.1.2.2")), 32);
        p.remove(ip("10.1.2.3"), 32);
        assert_eq!(p.deciding_bits(ip("10.1.2.2")), 16);
    }

    #[test]
    fn only_whole_prefixes_have_a_length() {
        assert_eq!(length(0xffff_0000, 32), 16);
        assert_eq!(length(0xffff_ffff, 32), 32);
        assert_eq!(length(u128::MAX, 128), 128);
        assert_eq!(length(0x00ff_0000, 32), 0);
        assert_eq!(length(0, 32), 0);
    }

    proptest! {
        /// Whoever agrees on the deciding bits lies in the same prefixes, and one bit fewer would
        /// not do.
        #[test]
        fn deciding_bits_decide_and_none_is_wasted(
            prefixes in prop::collection::vec((0u128..256, 1u8..=8), 0..12),
            values in prop::collection::vec(0u128..256, 1..8),
        ) {
            let mut set = Prefixes::new(8);
            prefixes.iter().for_each(|(value, length)| set.insert(*value, *length));
            let prefix = |v: u128, n: u8| set.has(v, n).then_some(v >> (8 - n));
            let lies_in = |v: u128| (1..=8).map(|n| prefix(v, n)).collect::<Vec<_>>();
            for v in values {
                let bits = set.deciding_bits(v);
                let others = |n: u8| (0u128..256).filter(move |o| (o ^ v) >> (8 - n) == 0);
                for other in others(bits) {
                    prop_assert_eq!(lies_in(v), lies_in(other));
                }
                if let Some(fewer) = bits.checked_sub(1) {
                    let differs = others(fewer).any(|o| lies_in(o) != lies_in(v));
                    prop_assert!(differs, "{bits} bits of {v:#x}");
                }
            }
        }
    }
}
