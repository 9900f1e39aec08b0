//! A megaflow in the words of a device.

use crate::{Action, Reason, RecircId, ResumeId};
use packet::{FieldId, FlowMask, PacketKey};

/// One wanted field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatchField {
    /// Which field.
    pub field: FieldId,
    /// Wanted bits, none outside the mask.
    pub value: u128,
    /// The bits that count, at least one.
    pub mask: u128,
}

/// A match and what is done. Rules of one device never overlap with different actions, so there
/// is no priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stage: 0 for packets that have just arrived, else those that a [`Action::Recirc`] sent.
    pub recirc: RecircId,
    /// Wanted fields, each at most once; the ingress port is `in_port`. Recirculation id is not
    /// among them.
    pub matches: Vec<MatchField>,
    /// Steps.
    pub actions: Vec<Action>,
    /// What a miss after this rule's [`Action::Recirc`] carries.
    pub resume: Option<ResumeId>,
}

impl Rule {
    /// The rule of a megaflow: its mask taken apart into fields.
    ///
    /// Every bit of the mask is named by exactly one entry, but for the recirculation id, which is
    /// the rule's stage. VLAN is one entry of 16 bits, and so are the type-of-service byte's two
    /// fields where only one counts.
    ///
    /// # Errors
    /// [`Reason::Unnamed`]: a rule without those bits would match more than the megaflow.
    pub fn from_megaflow(
        key: &PacketKey,
        mask: &FlowMask,
        actions: Vec<Action>,
    ) -> Result<Rule, Reason> {
        let mut left = mask.clone();
        FieldId::RecircId.set(&mut left.words, 0);
        let mut matches = Vec::new();
        let mut take = |field: FieldId| {
            let bits = left.get(field);
            if bits != 0 {
                field.set(&mut left.words, 0);
                matches.push(MatchField {
                    field,
                    value: key.get(field) & bits,
                    mask: bits,
                });
            }
        };
        // Where rows share bits of the packet, the key says which of them is meant.
        let eth_type = key.get(FieldId::EthType);
        let proto = key.get(FieldId::IpProto);
        let v6 = eth_type == 0x86dd;
        for field in FieldId::of_packets() {
            use FieldId::*;
            let meant = match field {
                InPort | DlVlan | VlanVid | DlVlanPcp | VlanPcp => false,
                Ipv4Src | Ipv4Dst => eth_type == 0x800,
                ArpOp | ArpSpa | ArpTpa | ArpSha | ArpTha => matches!(eth_type, 0x806 | 0x8035),
                IpProto => !matches!(eth_type, 0x806 | 0x8035),
                TcpSrc | TcpDst | TcpFlags => proto == 6,
                UdpSrc | UdpDst => proto == 17,
                SctpSrc | SctpDst => proto == 132,
                Icmpv4Type | Icmpv4Code => proto == 1 && !v6,
                Icmpv6Type | Icmpv6Code => proto == 58 && v6,
                NdTarget | NdSll | NdTll | NdReserved | NdOptionsType => proto == 58 && v6,
                IpDscpShifted => false,
                _ => true,
            };
            if meant {
                take(field);
            }
        }
        // Bits wanted of a layer that the key does not have: nothing there, so they are zero in
        // every packet that the other fields admit. They are named by whichever row has them.
        FieldId::of_packets().for_each(take);
        let rest = left.words.iter().enumerate().find(|(_, bits)| **bits != 0);
        if let Some((word, &bits)) = rest {
            return Err(Reason::Unnamed { word, bits });
        }
        matches.sort_unstable();
        let recirc = crate::RecircId(key.get(FieldId::RecircId) as u32);
        Ok(Rule {
            recirc,
            matches,
            actions,
            resume: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mask of random bits, of all that fields name.
    fn a_mask(dice: &mut fastrand::Rng) -> FlowMask {
        let mut named = FlowMask::ANY;
        FieldId::of_packets().for_each(|f| named.add_all(f));
        for word in &mut named.words {
            *word &= dice.u64(..) | if dice.bool() { u64::MAX } else { 0 };
        }
        named
    }

    #[test]
    fn every_bit_of_a_mask_is_named_once() {
        let mut dice = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut words = [0; packet::PACKET_WORDS];
            words.fill_with(|| dice.u64(..));
            FieldId::EthType.set(
                &mut words,
                *dice.choice(&[0x800, 0x86dd, 0x806, 0x8847, 5]).unwrap(),
            );
            FieldId::IpProto.set(&mut words, *dice.choice(&[1, 2, 6, 17, 58, 132]).unwrap());
            let (key, mask) = (PacketKey::from_words(&words), a_mask(&mut dice));
            let rule = Rule::from_megaflow(&key, &mask, Vec::new()).unwrap();
            let (mut seen, mut value) = (FlowMask::ANY, PacketKey::EMPTY);
            seen.add(FieldId::RecircId, mask.get(FieldId::RecircId));
            value.set(
                FieldId::RecircId,
                key.get(FieldId::RecircId) & mask.get(FieldId::RecircId),
            );
            for m in &rule.matches {
                assert_ne!(m.mask, 0, "{}", m.field);
                assert_eq!(seen.get(m.field) & m.mask, 0, "{} is named twice", m.field);
                seen.add(m.field, m.mask);
                value.set(m.field, value.get(m.field) | m.value);
            }
            assert_eq!(seen, mask);
            assert_eq!(value, key.masked(&mask));
        }
    }

    #[test]
    fn a_bit_that_no_field_names_makes_no_rule() {
        let mut mask = FlowMask::ANY;
        mask.add_all(FieldId::Vlan2Tci);
        mask.words[18] |= 1;
        let rule = Rule::from_megaflow(&PacketKey::EMPTY, &mask, Vec::new());
        assert_eq!(rule, Err(Reason::Unnamed { word: 18, bits: 1 }));
    }
}
