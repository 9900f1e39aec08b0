//! Where each field of a packet stands in a row of 64-bit words.
//!
//! A packet's headers, once parsed, are a row of words. Words are ordered as lookups want them:
//! metadata first, then Ethernet, then network, then transport, and last what only the OpenFlow
//! pipeline has (registers and the like). A *mask* is a row of the same shape. Within a word a
//! field occupies bits `shift .. shift + bits`, bit 0 being the least significant; multi-byte
//! fields hold their value as a number (host order), so that prefixes are high bits.
//!
//! A field of more than 64 bits takes two neighbouring words, the more significant first.

/// Words that a datapath can match: the length of an expanded [`PacketKey`](crate::PacketKey).
pub const PACKET_WORDS: usize = 41;
/// All words, pipeline-only ones included: the length of a [`FlowState`](crate::FlowState).
pub const STATE_WORDS: usize = 59;

/// A field's place: the word, the lowest bit in it and the width in bits (128 = two words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Index of the (first) word.
    pub word: u8,
    /// The lowest bit.
    pub shift: u8,
    /// Width in bits, 1 to 64, or 128.
    pub bits: u8,
}

const fn slot(word: u8, shift: u8, bits: u8) -> Slot {
    Slot { word, shift, bits }
}

impl Slot {
    /// The mask of this slot's bits within its word (all ones for a 128-bit slot).
    pub const fn word_mask(self) -> u64 {
        if self.bits >= 64 {
            u64::MAX
        } else {
            ((1u64 << self.bits) - 1) << self.shift
        }
    }

    /// The largest value that fits.
    pub const fn max(self) -> u128 {
        if self.bits == 128 {
            u128::MAX
        } else {
            (1u128 << self.bits) - 1
        }
    }

    /// Reads the slot from a row of words; a row too short reads as zero.
    pub fn get(self, words: &[u64]) -> u128 {
        let at = |i: usize| words.get(i).copied().unwrap_or(0);
        let w = usize::from(self.word);
        if self.bits == 128 {
            u128::from(at(w)) << 64 | u128::from(at(w + 1))
        } else {
            u128::from((at(w) & self.word_mask()) >> self.shift)
        }
    }

    /// Writes `value` (bits beyond the width are dropped) into a row of words.
    pub fn set(self, words: &mut [u64], value: u128) {
        let w = usize::from(self.word);
        let low = value as u64;
        if self.bits == 128 {
            if let Some(hi) = words.get_mut(w) {
                *hi = (value >> 64) as u64;
            }
            if let Some(lo) = words.get_mut(w + 1) {
                *lo = low;
            }
        } else if let Some(word) = words.get_mut(w) {
            *word = *word & !self.word_mask() | low << self.shift & self.word_mask();
        }
    }
}

// Metadata.
pub(crate) const RECIRC_ID: Slot = slot(0, 32, 32);
pub(crate) const DP_HASH: Slot = slot(0, 0, 32);
pub(crate) const IN_PORT: Slot = slot(1, 32, 32);
pub(crate) const PACKET_TYPE: Slot = slot(1, 0, 32);
pub(crate) const SKB_PRIORITY: Slot = slot(2, 32, 32);
pub(crate) const PKT_MARK: Slot = slot(2, 0, 32);
pub(crate) const CT_STATE: Slot = slot(3, 32, 32);
pub(crate) const CT_ZONE: Slot = slot(3, 16, 16);
pub(crate) const CT_NW_PROTO: Slot = slot(3, 8, 8);
pub(crate) const CT_MARK: Slot = slot(4, 32, 32);
pub(crate) const CT_LABEL: Slot = slot(5, 0, 128);
/// The words that tell of the tunnel that a packet came by, or is to leave by.
pub const TUNNEL_WORDS: std::ops::Range<usize> = 7..16;
pub(crate) const TUN_ID: Slot = slot(7, 0, 64);
pub(crate) const TUN_SRC: Slot = slot(8, 32, 32);
pub(crate) const TUN_DST: Slot = slot(8, 0, 32);
pub(crate) const TUN_IPV6_SRC: Slot = slot(9, 0, 128);
pub(crate) const TUN_IPV6_DST: Slot = slot(11, 0, 128);
pub(crate) const TUN_FLAGS: Slot = slot(13, 48, 16);
pub(crate) const TUN_TOS: Slot = slot(13, 40, 8);
pub(crate) const TUN_TTL: Slot = slot(13, 32, 8);
pub(crate) const TUN_TP_SRC: Slot = slot(13, 16, 16);
pub(crate) const TUN_TP_DST: Slot = slot(13, 0, 16);
pub(crate) const TUN_GBP_ID: Slot = slot(14, 48, 16);
pub(crate) const TUN_GBP_FLAGS: Slot = slot(14, 40, 8);
pub(crate) const TUN_GTPU_FLAGS: Slot = slot(14, 32, 8);
pub(crate) const TUN_GTPU_MSGTYPE: Slot = slot(14, 24, 8);
pub(crate) const TUN_ERSPAN_VER: Slot = slot(14, 16, 8);
pub(crate) const TUN_ERSPAN_DIR: Slot = slot(14, 8, 8);
pub(crate) const TUN_ERSPAN_HWID: Slot = slot(14, 0, 8);
pub(crate) const TUN_ERSPAN_IDX: Slot = slot(15, 32, 32);
// Ethernet.
pub(crate) const ETH_DST: Slot = slot(16, 16, 48);
pub(crate) const ETH_TYPE: Slot = slot(16, 0, 16);
pub(crate) const ETH_SRC: Slot = slot(17, 16, 48);
/// Outermost tag: PCP, CFI ("present") and VID; zero = no tag.
pub const VLAN_TCI: Slot = slot(17, 0, 16);
/// The outermost tag's type.
pub const VLAN_TPID: Slot = slot(18, 48, 16);
/// The second tag's type.
pub const VLAN2_TPID: Slot = slot(18, 32, 16);
/// The second tag, as the first.
pub const VLAN2_TCI: Slot = slot(18, 16, 16);
/// MPLS label stack entries, outermost first; zero = none.
pub const MPLS_LSE: [Slot; 3] = [slot(19, 32, 32), slot(19, 0, 32), slot(20, 32, 32)];
// Network.
/// IPv4 source, or ARP's sender protocol address.
pub(crate) const NW_SRC: Slot = slot(21, 32, 32);
pub(crate) const NW_DST: Slot = slot(21, 0, 32);
pub(crate) const CT_NW_SRC: Slot = slot(22, 32, 32);
pub(crate) const CT_NW_DST: Slot = slot(22, 0, 32);
pub(crate) const IPV6_SRC: Slot = slot(23, 0, 128);
pub(crate) const IPV6_DST: Slot = slot(25, 0, 128);
pub(crate) const CT_IPV6_SRC: Slot = slot(27, 0, 128);
pub(crate) const CT_IPV6_DST: Slot = slot(29, 0, 128);
pub(crate) const IPV6_LABEL: Slot = slot(31, 32, 32);
pub(crate) const NW_FRAG: Slot = slot(31, 24, 8);
/// Type of service or traffic class, all eight bits.
pub const NW_TOS: Slot = slot(31, 16, 8);
pub(crate) const NW_TTL: Slot = slot(31, 8, 8);
/// IP protocol, or the low byte of ARP's operation.
pub const NW_PROTO: Slot = slot(31, 0, 8);
// Transport.
pub(crate) const ND_TARGET: Slot = slot(32, 0, 128);
/// ARP's sender hardware address, or ND's source link-layer address.
pub(crate) const ARP_SHA: Slot = slot(34, 16, 48);
/// TCP flags, or the type of ND's options.
pub(crate) const TCP_FLAGS: Slot = slot(34, 0, 16);
pub(crate) const ARP_THA: Slot = slot(35, 16, 48);
pub(crate) const NSH_FLAGS: Slot = slot(36, 56, 8);
pub(crate) const NSH_TTL: Slot = slot(36, 48, 8);
pub(crate) const NSH_MDTYPE: Slot = slot(36, 40, 8);
pub(crate) const NSH_NP: Slot = slot(36, 32, 8);
pub(crate) const NSH_PATH: Slot = slot(36, 0, 32);
pub(crate) const NSH_C: [Slot; 4] = [
    slot(37, 32, 32),
    slot(37, 0, 32),
    slot(38, 32, 32),
    slot(38, 0, 32),
];
/// Transport source port, or ICMP type.
pub const TP_SRC: Slot = slot(39, 48, 16);
/// Transport destination port, or ICMP code.
pub const TP_DST: Slot = slot(39, 32, 16);
pub(crate) const CT_TP_SRC: Slot = slot(39, 16, 16);
pub(crate) const CT_TP_DST: Slot = slot(39, 0, 16);
/// ND's reserved word, or an IGMP group.
pub(crate) const ND_RESERVED: Slot = slot(40, 32, 32);
// The pipeline's own.
pub(crate) const METADATA: Slot = slot(41, 0, 64);
pub(crate) const CONJ_ID: Slot = slot(42, 32, 32);
pub(crate) const ACTSET_OUTPUT: Slot = slot(42, 0, 32);

/// 32-bit register `n`, 0 to 31.
pub(crate) const fn reg(n: u8) -> Slot {
    slot(43 + n / 2, if n.is_multiple_of(2) { 32 } else { 0 }, 32)
}

/// The bits of each word that some field has.
#[cfg(test)]
pub(crate) fn named_bits() -> [u64; PACKET_WORDS] {
    let mut words = [0; PACKET_WORDS];
    for field in crate::FieldId::of_packets() {
        field.set(&mut words, u128::MAX);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits that hold nothing: they are zero in every key and in every mask. Most are what a field
    /// leaves of its slot.
    const UNUSED: [(usize, u64); 11] = [
        (3, 0xff),
        (4, 0xffff_ffff),
        (13, 0xfffe << 48),
        (14, 0x00f0_fec0),
        (15, 0xfff0_0000_ffff_ffff),
        (18, 0xffff),
        (20, 0xffff_ffff),
        (31, 0xfff0_0000_fc00_0000),
        (34, 0xf000),
        (35, 0xffff),
        (40, 0xffff_ffff),
    ];

    #[test]
    fn every_bit_of_a_packets_words_is_some_fields_or_unused() {
        let mut all = named_bits();
        for (word, bits) in UNUSED {
            assert_eq!(all[word] & bits, 0, "word {word}");
            all[word] |= bits;
        }
        for (word, bits) in all.iter().enumerate() {
            assert_eq!(*bits, u64::MAX, "word {word} has bits of no field");
        }
    }
}
