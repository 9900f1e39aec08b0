//! A megaflow in the words of a device.

use crate::{Action, RecircId, ResumeId};
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
    /// Every bit of the mask is named by exactly one entry. VLAN is one entry of 16 bits, and so
    /// are the type-of-service byte's two fields where only one counts.
    pub fn from_megaflow(key: &PacketKey, mask: &FlowMask, actions: Vec<Action>) -> Rule {
        let mut left = mask.clone();
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
        for field in FieldId::all() {
            use FieldId::*;
            let meant = match field {
                RecircId | InPort | DlVlan | VlanVid | DlVlanPcp | VlanPcp => false,
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
            if meant && field.row().owner == packet::Owner::Packet {
                take(field);
            }
        }
        // Bits wanted of a layer that the key does not have: nothing there, so they are zero in
        // every packet that the other fields admit. They are named by whichever row has them.
        for field in FieldId::all().filter(|f| *f != FieldId::RecircId) {
            if field.row().owner == packet::Owner::Packet {
                take(field);
            }
        }
        matches.sort_unstable();
        let recirc = crate::RecircId(key.get(FieldId::RecircId) as u32);
        Rule {
            recirc,
            matches,
            actions,
            resume: None,
        }
    }
}
