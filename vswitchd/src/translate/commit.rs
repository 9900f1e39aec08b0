//! From the difference between two states of a packet to datapath actions.

use hal::Action;
use packet::{FieldId, FlowState, StateMask, VLAN_PRESENT, slots};

/// Fields that are written in place, in the order in which Open vSwitch writes them: Ethernet,
/// network, transport, MPLS. VLAN tags come after, mark and priority last.
const IN_PLACE: [(FieldId, Layer); 35] = {
    use FieldId::*;
    use Layer::*;
    [
        (EthSrc, Any),
        (EthDst, Any),
        (Ipv4Src, V4),
        (Ipv4Dst, V4),
        (Ipv6Src, V6),
        (Ipv6Dst, V6),
        (Ipv6Label, V6),
        (IpDscp, Ip),
        (IpEcn, Ip),
        (IpTtl, Ip),
        (ArpSpa, Arp),
        (ArpTpa, Arp),
        (ArpOp, Arp),
        (ArpSha, Arp),
        (ArpTha, Arp),
        (NshFlags, Nsh),
        (NshTtl, Nsh),
        (NshSpi, Nsh),
        (NshSi, Nsh),
        (TcpSrc, Proto(6)),
        (TcpDst, Proto(6)),
        (UdpSrc, Proto(17)),
        (UdpDst, Proto(17)),
        (SctpSrc, Proto(132)),
        (SctpDst, Proto(132)),
        (Icmpv4Type, Icmp4),
        (Icmpv4Code, Icmp4),
        (Icmpv6Type, Icmp6),
        (Icmpv6Code, Icmp6),
        (NdReserved, Nd),
        (NdTarget, Nd),
        (NdSll, Nd),
        (NdTll, Nd),
        (MplsLabel, Mpls),
        (MplsTc, Mpls),
    ]
};

#[derive(Clone, Copy)]
enum Layer {
    Any,
    V4,
    V6,
    Ip,
    Arp,
    Nsh,
    Mpls,
    Proto(u8),
    Icmp4,
    Icmp6,
    Nd,
}

impl Layer {
    /// Whether a packet has it.
    fn is_in(self, state: &FlowState) -> bool {
        let eth_type = state.get(FieldId::EthType);
        let (v4, v6) = (eth_type == 0x800, eth_type == 0x86dd);
        let proto = state.get(FieldId::IpProto);
        let whole = state.get(FieldId::IpFrag) & 2 == 0;
        match self {
            Layer::Any => true,
            Layer::V4 => v4,
            Layer::V6 => v6,
            Layer::Ip => v4 || v6,
            Layer::Arp => matches!(eth_type, 0x806 | 0x8035),
            Layer::Nsh => eth_type == 0x894f,
            Layer::Mpls => matches!(eth_type, 0x8847 | 0x8848),
            Layer::Proto(p) => (v4 || v6) && proto == u128::from(p) && whole,
            Layer::Icmp4 => v4 && proto == 1 && whole,
            Layer::Icmp6 => v6 && proto == 58 && whole,
            Layer::Nd => {
                let kind = slots::TP_SRC.get(&state.words);
                v6 && proto == 58 && whole && matches!(kind, 135 | 136)
            }
        }
    }
}

/// Appends what makes a packet that looks like `base` look like `state`, and lets `base` follow.
/// `seen` says which bits of a changed field count. True if there is a change that not every datapath
/// can make: to ARP, to ICMP's type, to what neighbour discovery says.
pub(super) fn commit(
    base: &mut FlowState,
    state: &FlowState,
    seen: &mut StateMask,
    actions: &mut Vec<Action>,
) -> bool {
    let mut slow = false;
    for (field, layer) in IN_PLACE {
        if base.get(field) == state.get(field) || !layer.is_in(base) {
            continue;
        }
        // Of a header without a protocol, or with one that could not be reached, nothing is
        // rewritten, as in Open vSwitch. An ARP packet's protocol is its operation.
        let protocol = match layer {
            Layer::V4 | Layer::V6 | Layer::Ip => Some(FieldId::IpProto),
            Layer::Arp => Some(FieldId::ArpOp),
            _ => None,
        };
        if let Some(protocol) = protocol {
            seen.add_all(protocol);
            if state.get(protocol) == 0 {
                continue;
            }
        }
        commit_field(field, base, state, seen, actions);
        slow |= matches!(layer, Layer::Arp | Layer::Icmp4 | Layer::Icmp6 | Layer::Nd);
    }
    if Layer::Mpls.is_in(base) {
        commit_field(FieldId::MplsTtl, base, state, seen, actions);
    }
    commit_vlan(base, state, actions);
    commit_field(FieldId::SkbPriority, base, state, seen, actions);
    commit_field(FieldId::PktMark, base, state, seen, actions);
    slow
}

fn commit_field(
    field: FieldId,
    base: &mut FlowState,
    state: &FlowState,
    seen: &StateMask,
    actions: &mut Vec<Action>,
) {
    let (old, new) = (base.get(field), state.get(field));
    if old != new {
        let mask = seen.get(field) | old ^ new;
        actions.push(Action::Set {
            field,
            value: new & mask,
            mask,
        });
        base.set(field, new);
    }
}

/// A packet's tags, outermost first: type and TCI.
fn tags(state: &FlowState) -> Vec<(u16, u16)> {
    let pairs = [
        (slots::VLAN_TPID, slots::VLAN_TCI),
        (slots::VLAN2_TPID, slots::VLAN2_TCI),
    ];
    let tags =
        pairs.map(|(tpid, tci)| (tpid.get(&state.words) as u16, tci.get(&state.words) as u16));
    tags.into_iter()
        .take_while(|(_, tci)| tci & VLAN_PRESENT != 0)
        .collect()
}

fn commit_vlan(base: &mut FlowState, state: &FlowState, actions: &mut Vec<Action>) {
    let (old, new) = (tags(base), tags(state));
    // Tags that both have at the inner end stay.
    let same = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    for _ in same..old.len() {
        actions.push(Action::PopVlan);
    }
    for &(tpid, tci) in new.iter().rev().skip(same) {
        let tpid = if tpid == 0 { 0x8100 } else { tpid };
        actions.push(Action::PushVlan { tpid, tci });
    }
    for slot in [
        slots::VLAN_TPID,
        slots::VLAN_TCI,
        slots::VLAN2_TPID,
        slots::VLAN2_TCI,
    ] {
        slot.set(&mut base.words, slot.get(&state.words));
    }
}
