//! A match over the pipeline's state: values and the bits that count.

use crate::field::Prereq;
use crate::key::{Bits, FlowState, StateMask};
use crate::layout::{MPLS_LSE, STATE_WORDS, Slot, VLAN_TCI, VLAN2_TCI};
use crate::table::FieldId;

/// The bit of a VLAN tag's TCI that says "there is a tag" (802.1Q calls it CFI or DEI).
pub const VLAN_PRESENT: u16 = 0x1000;

/// What an OpenFlow rule wants of a packet: a value and a mask over all fields.
///
/// Invariant: the value has no bit that the mask has not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Match {
    value: FlowState,
    mask: StateMask,
}

impl Match {
    /// Matches every packet.
    pub fn any() -> Match {
        Match::default()
    }

    /// A match on what `value` has under `mask`.
    pub fn new(mut value: FlowState, mask: StateMask) -> Match {
        for (v, m) in value.words.iter_mut().zip(&mask.words) {
            *v &= m;
        }
        Match { value, mask }
    }

    /// Wants the tags and labels of a stack that the packet `state` has: all down to the last one,
    /// and where tags end the place for the next one too.
    pub fn set_stacks(&mut self, state: &FlowState) {
        let present = u128::from(VLAN_PRESENT);
        let has = |tci: Slot| tci.get(&state.words) & present != 0;
        let ends = |lse: Slot| lse.get(&state.words) & 0x100 != 0;
        let tags = if has(VLAN_TCI) { 2 } else { 1 };
        let is_mpls = matches!(state.get(FieldId::EthType), 0x8847 | 0x8848);
        let labels = match MPLS_LSE.iter().position(|lse| ends(*lse)) {
            _ if !is_mpls => 0,
            Some(last) => last + 1,
            None => MPLS_LSE.len(),
        };
        let tags = [VLAN_TCI, VLAN2_TCI].into_iter().take(tags);
        for slot in tags.chain(MPLS_LSE.into_iter().take(labels)) {
            slot.set(&mut self.mask.words, slot.max());
            slot.set(&mut self.value.words, slot.get(&state.words));
        }
    }

    /// The wanted bits.
    pub fn value(&self) -> &FlowState {
        &self.value
    }

    /// The bits that count.
    pub fn mask(&self) -> &StateMask {
        &self.mask
    }

    /// A field's wanted value (bits outside the mask are zero) and its mask.
    pub fn get(&self, field: FieldId) -> (u128, u128) {
        (self.value.get(field), self.mask.get(field))
    }

    /// Wants a whole field.
    ///
    /// VLAN fields bring the "there is a tag" bit with them, as OpenFlow says they do:
    /// `dl_vlan` and `vlan_pcp` imply a tag, and `dl_vlan=0xffff` means that there is none.
    pub fn set(&mut self, field: FieldId, value: u128) {
        match field {
            FieldId::DlVlan if value == 0xffff => self.set_tci(0, 0xffff),
            FieldId::DlVlan => self.set_tci(low16(value) & 0xfff | VLAN_PRESENT, 0x1fff),
            FieldId::VlanVid => self.set_tci(low16(value) & 0x1fff, 0x1fff),
            FieldId::DlVlanPcp | FieldId::VlanPcp => {
                self.set_tci((low16(value) & 7) << 13 | VLAN_PRESENT, 0xf000);
            }
            _ => self.set_masked(field, value, field.full()),
        }
    }

    /// Wants some bits of a field. Bits of the field wanted before and not named stay as they
    /// were only if `mask` leaves them out.
    pub fn set_masked(&mut self, field: FieldId, value: u128, mask: u128) {
        match field {
            FieldId::VlanVid => self.set_tci(low16(value) & 0x1fff, low16(mask) & 0x1fff),
            FieldId::VlanTci => self.set_tci(low16(value), low16(mask)),
            _ => {
                field.set(&mut self.mask.words, mask);
                field.set(&mut self.value.words, value & mask);
            }
        }
    }

    fn set_tci(&mut self, value: u16, mask: u16) {
        let or = |words: &mut [u64; STATE_WORDS], keep: u16, bits: u16| {
            let old = VLAN_TCI.get(words) & u128::from(keep);
            VLAN_TCI.set(words, old | u128::from(bits));
        };
        or(&mut self.mask.words, u16::MAX, mask);
        or(&mut self.value.words, !mask, value & mask);
    }

    /// Wants nothing of a field any more.
    pub fn clear(&mut self, field: FieldId) {
        field.set(&mut self.value.words, 0);
        field.set(&mut self.mask.words, 0);
    }

    /// Whether nothing is wanted.
    pub fn is_any(&self) -> bool {
        self.mask.words.iter().all(|&m| m == 0)
    }

    /// Whether `state` is wanted.
    pub fn matches(&self, state: &FlowState) -> bool {
        let mut each = self
            .value
            .words
            .iter()
            .zip(&self.mask.words)
            .zip(&state.words);
        each.all(|((v, m), s)| s & m == *v)
    }

    /// Whether every packet that `self` wants is wanted by `other` too.
    pub fn is_subset_of(&self, other: &Match) -> bool {
        other
            .mask
            .words
            .iter()
            .zip(&self.mask.words)
            .all(|(o, s)| o & !s == 0)
            && other.matches(&self.value)
    }

    /// Whether some packet could be wanted by both.
    pub fn overlaps(&self, other: &Match) -> bool {
        let each = self.value.words.iter().zip(&self.mask.words);
        let mut both = each.zip(other.value.words.iter().zip(&other.mask.words));
        both.all(|((v1, m1), (v2, m2))| (v1 ^ v2) & m1 & m2 == 0)
    }

    fn exactly(&self, field: FieldId) -> Option<u128> {
        let (value, mask) = self.get(field);
        (mask == field.full()).then_some(value)
    }

    fn is_icmpv6(&self) -> bool {
        self.meets(Prereq::Ipv6) && self.exactly(FieldId::IpProto) == Some(58)
    }

    /// Whether the match wants enough for fields with prerequisite `prereq` to have meaning
    /// (OpenFlow 1.5.1 §7.2.3.6).
    pub fn meets(&self, prereq: Prereq) -> bool {
        let eth_type = self.exactly(FieldId::EthType);
        let ip = || matches!(eth_type, Some(0x0800 | 0x86dd));
        let proto = |p: u128| {
            // Ports of later fragments do not exist.
            let (frag, frag_mask) = self.get(FieldId::IpFrag);
            ip() && self.exactly(FieldId::IpProto) == Some(p) && frag & frag_mask & 2 == 0
        };
        let nd = |t: &[u128]| {
            self.is_icmpv6()
                && self
                    .exactly(FieldId::Icmpv6Type)
                    .is_some_and(|v| t.contains(&v))
                && self.exactly(FieldId::Icmpv6Code) == Some(0)
        };
        match prereq {
            Prereq::None => true,
            Prereq::Ethernet => {
                let (t, m) = self.get(FieldId::PacketType);
                m == 0 || t == 0
            }
            Prereq::Arp => matches!(eth_type, Some(0x0806 | 0x8035)),
            Prereq::VlanVid => {
                let tci = VLAN_TCI.get(&self.value.words) & VLAN_TCI.get(&self.mask.words);
                tci & u128::from(VLAN_PRESENT) != 0
            }
            Prereq::Ipv4 => eth_type == Some(0x0800),
            Prereq::Ipv6 => eth_type == Some(0x86dd),
            Prereq::Ip => ip(),
            Prereq::Mpls => matches!(eth_type, Some(0x8847 | 0x8848)),
            Prereq::Nsh => eth_type == Some(0x894f) || self.packet_type_is(0x1894f),
            Prereq::Ct => {
                let (state, mask) = self.get(FieldId::CtState);
                ip() && state & mask & 0x20 != 0
            }
            Prereq::Tcp => proto(6),
            Prereq::Udp => proto(17),
            Prereq::Sctp => proto(132),
            Prereq::Icmpv4 => eth_type == Some(0x0800) && proto(1),
            Prereq::Icmpv6 => self.is_icmpv6() && proto(58),
            Prereq::Nd => nd(&[135, 136]),
            Prereq::NdSolicit => nd(&[135]),
            Prereq::NdAdvert => nd(&[136]),
        }
    }

    fn packet_type_is(&self, t: u128) -> bool {
        self.exactly(FieldId::PacketType) == Some(t)
    }
}

fn low16(value: u128) -> u16 {
    (value & 0xffff) as u16
}

/// A [`Match`] as tables keep it: only the words that count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct CompactMatch {
    map: u64,
    /// For each word of `map` the wanted bits and the mask.
    words: Box<[(u64, u64)]>,
}

impl CompactMatch {
    /// Packs a match.
    pub fn pack(m: &Match) -> CompactMatch {
        let both = m.value.words.iter().zip(&m.mask.words);
        let used = || {
            both.clone()
                .enumerate()
                .filter(|(_, (_, mask))| **mask != 0)
        };
        CompactMatch {
            map: used().fold(0, |map, (i, _)| map | 1 << i),
            words: used().map(|(_, (v, m))| (*v, *m)).collect(),
        }
    }

    /// The words that count: index, wanted bits, mask.
    pub fn iter(&self) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        Bits(self.map)
            .zip(self.words.iter())
            .map(|(i, &(v, m))| (i, v, m))
    }

    /// Unpacks the match.
    pub fn unpack(&self) -> Match {
        let mut out = Match::any();
        for (i, v, m) in self.iter() {
            out.value.words[i] = v;
            out.mask.words[i] = m;
        }
        out
    }
}
