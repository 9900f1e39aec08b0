//! The mask of everything that one packet has.

use crate::key::{FlowMask, PacketKey};
use crate::layout::{CT_STATE, MPLS_LSE, ND_RESERVED, TP_DST, TP_SRC};
use crate::parse::{ethertype, frag, ipproto, vlan_limit};
use crate::table::FieldId::{self, *};

/// Every bit that a packet like this one can differ in: with this mask, a flow is for exactly the
/// packets that have the same headers and the same metadata.
pub fn whole_mask(key: &PacketKey) -> FlowMask {
    let mut mask = FlowMask::ANY;
    // Of a connection's state there are eight bits.
    CT_STATE.set(&mut mask.words, 0xff);
    let mut add = |fields: &[FieldId]| fields.iter().for_each(|f| mask.add_all(*f));
    add(&[
        RecircId,
        DpHash,
        InPortOxm,
        PacketType,
        SkbPriority,
        PktMark,
        CtZone,
        CtMark,
        CtLabel,
        EthDst,
        EthSrc,
        EthType,
    ]);
    if key.get(TunDst) != 0 || key.get(TunIpv6Dst) != 0 {
        let tunnel = FieldId::all().filter(|f| f.row().name.starts_with("tun_"));
        tunnel.for_each(|f| add(&[f]));
    }
    let eth_type = key.get(EthType) as u16;
    match eth_type {
        ethertype::IPV4 => add(&[Ipv4Src, Ipv4Dst]),
        ethertype::IPV6 => add(&[Ipv6Src, Ipv6Dst, Ipv6Label]),
        ethertype::ARP | ethertype::RARP => add(&[ArpOp, ArpSpa, ArpTpa, ArpSha, ArpTha]),
        ethertype::NSH => {
            let nsh = FieldId::all().filter(|f| f.row().name.starts_with("nsh_"));
            nsh.for_each(|f| add(&[f]));
        }
        _ => {}
    }
    let is_ip = matches!(eth_type, ethertype::IPV4 | ethertype::IPV6);
    if is_ip {
        add(&[IpFrag, IpDscp, IpEcn, IpTtl, IpProto]);
    }
    if matches!(eth_type, ethertype::MPLS | ethertype::MPLS_MULTICAST) {
        for lse in MPLS_LSE {
            lse.set(&mut mask.words, lse.max());
        }
    }
    let has_tag = key.get(VlanTci) != 0;
    mask.add_all(VlanTci);
    if has_tag {
        mask.add_all(VlanTpid);
    }
    // With a lower limit no packet has a second tag.
    if has_tag && vlan_limit() > 1 {
        mask.add_all(Vlan2Tpid);
        mask.add_all(Vlan2Tci);
    }
    if is_ip && key.get(IpFrag) & u128::from(frag::LATER) == 0 {
        let ports = |bits: u128, mask: &mut FlowMask| {
            TP_SRC.set(&mut mask.words, bits);
            TP_DST.set(&mut mask.words, bits);
        };
        match key.get(IpProto) as u8 {
            ipproto::TCP => {
                ports(0xffff, &mut mask);
                mask.add_all(TcpFlags);
            }
            ipproto::UDP | ipproto::SCTP => ports(0xffff, &mut mask),
            ipproto::ICMP => ports(0xff, &mut mask),
            ipproto::ICMPV6 => {
                ports(0xff, &mut mask);
                if matches!(key.get(Icmpv6Type), 135 | 136) {
                    [NdTarget, NdSll, NdTll]
                        .iter()
                        .for_each(|f| mask.add_all(*f));
                }
            }
            ipproto::IGMP => {
                ports(0xffff, &mut mask);
                ND_RESERVED.set(&mut mask.words, ND_RESERVED.max());
            }
            _ => {}
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, Packet, parse};

    #[test]
    fn a_packet_is_whole_under_its_mask_and_has_no_more() {
        // A UDP packet from 10.0.0.1 to 10.0.0.2.
        let hex = "020000000002020000000001080045000020000100004011000a0a0000010a0000020d6a0035000c000012345678";
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let key = parse(&mut Packet::from_frame(&bytes), &Metadata::default());
        let mask = whole_mask(&key);
        assert_eq!(key.masked(&mask), key);
        assert_eq!(mask.get(UdpDst), 0xffff);
        assert_eq!(
            (mask.get(TcpFlags), mask.get(Ipv6Src), mask.get(TunDst)),
            (0, 0, 0)
        );
    }
}
