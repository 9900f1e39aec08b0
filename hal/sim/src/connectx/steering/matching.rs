//! Match parameters: 512 bytes in which each field has its place.
//!
//! A frame's headers are written down in that form once, and then a group's criteria are a mask
//! over it and an entry's values are bytes to compare with. What a table's criteria may look at
//! is said by capabilities, bit by bit.

use super::Frame;
use super::parse::{Parsed, Tunnel, ip_version};
use crate::switch::{Headers, protocol};
use hal_mlx_prm::capability::FlowTableFields;
use hal_mlx_prm::context::{
    MatchHeaders, MatchMisc, MatchMisc2, MatchMisc3, MatchParameters, criteria,
};
use hal_mlx_prm::{Bits, Described, Field, Nested, View};
use packet::FieldId;

const SIZE: usize = MatchParameters::SIZE;

/// Match parameters of a frame.
pub(super) type Parameters = View<MatchParameters, [u8; SIZE]>;

/// Registers of the parser have 128 bits.
trait Put<L> {
    /// Writes a field; bits that it does not have are cut off.
    fn put<T: Bits>(&mut self, field: Field<L, T>, value: u128) -> &mut Self;
}

impl<L: Described, B: AsRef<[u8]> + AsMut<[u8]>> Put<L> for View<L, B> {
    fn put<T: Bits>(&mut self, field: Field<L, T>, value: u128) -> &mut Self {
        self.set(field, T::from_bits(value))
    }
}

const C_TAG: u16 = 0x8100;
const S_TAG: u16 = 0x88a8;

/// What a frame is, as a table sees it.
pub(super) fn parameters(frame: &Frame, parsed: &Parsed) -> Parameters {
    let mut all = Parameters::zeroed();
    let bytes = frame.packet.frame();
    let outer = all.at_mut(MatchParameters::OUTER_HEADERS);
    headers(outer, &parsed.outer, bytes, true);
    if let Some(inner) = &parsed.inner {
        let bytes = bytes.get(inner.at..).unwrap_or_default();
        let place = all.at_mut(MatchParameters::INNER_HEADERS);
        headers(place, &inner.headers, bytes, inner.ethernet);
    }
    misc(all.at_mut(MatchParameters::MISC), frame, parsed);
    registers(all.at_mut(MatchParameters::MISC_2), frame);
    upper(all.at_mut(MatchParameters::MISC_3), bytes, parsed);
    all
}

fn headers(mut out: View<MatchHeaders, &mut [u8]>, h: &Headers, frame: &[u8], ethernet: bool) {
    use FieldId::*;
    if ethernet {
        out.put(MatchHeaders::SMAC, h.get(EthSrc))
            .put(MatchHeaders::DMAC, h.get(EthDst));
    }
    out.put(MatchHeaders::ETHERTYPE, h.get(EthType));
    let tag = h.get(VlanTpid) as u16;
    if tag != 0 {
        let control = h.get(VlanTci);
        // The register says "tagged" where the wire says "drop eligible".
        let eligible = frame.get(14).is_some_and(|b| b & 0x10 != 0);
        out.set(MatchHeaders::CVLAN_TAG, tag == C_TAG)
            .set(MatchHeaders::SVLAN_TAG, tag == S_TAG)
            .put(MatchHeaders::FIRST_PRIO, control >> 13)
            .set(MatchHeaders::FIRST_CFI, eligible)
            .put(MatchHeaders::FIRST_VID, control & 0xfff);
    }
    let version = ip_version(h);
    if version == 0 {
        return;
    }
    out.set(MatchHeaders::IP_VERSION, version)
        .put(MatchHeaders::IP_PROTOCOL, h.get(IpProto))
        .put(MatchHeaders::IP_DSCP, h.get(IpDscpShifted))
        .put(MatchHeaders::IP_ECN, h.get(IpEcn))
        .put(MatchHeaders::TTL_HOPLIMIT, h.get(IpTtl))
        .set(MatchHeaders::FRAG, h.get(IpFrag) != 0);
    if version == 4 {
        out.put(MatchHeaders::SRC_IP, h.get(Ipv4Src))
            .put(MatchHeaders::DST_IP, h.get(Ipv4Dst));
        let first = h.network.and_then(|at| frame.get(at));
        out.set(MatchHeaders::IPV4_IHL, first.map_or(0, |b| b & 0xf));
    } else {
        out.put(MatchHeaders::SRC_IP, h.get(Ipv6Src))
            .put(MatchHeaders::DST_IP, h.get(Ipv6Dst));
    }
    match h.upper {
        protocol::TCP => out
            .put(MatchHeaders::TCP_SPORT, h.get(TcpSrc))
            .put(MatchHeaders::TCP_DPORT, h.get(TcpDst))
            .put(MatchHeaders::TCP_FLAGS, h.get(TcpFlags)),
        protocol::UDP => out
            .put(MatchHeaders::UDP_SPORT, h.get(UdpSrc))
            .put(MatchHeaders::UDP_DPORT, h.get(UdpDst)),
        _ => &mut out,
    };
}

fn misc(mut out: View<MatchMisc, &mut [u8]>, frame: &Frame, parsed: &Parsed) {
    use FieldId::*;
    out.set(MatchMisc::SOURCE_SQN, frame.source_queue)
        .set(MatchMisc::SOURCE_PORT, frame.source_port);
    let outer = &parsed.outer;
    let second = outer.get(Vlan2Tpid) as u16;
    if second != 0 {
        let control = outer.get(Vlan2Tci);
        out.set(MatchMisc::OUTER_SECOND_CVLAN_TAG, second == C_TAG)
            .set(MatchMisc::OUTER_SECOND_SVLAN_TAG, second == S_TAG)
            .put(MatchMisc::OUTER_SECOND_PRIO, control >> 13)
            .put(MatchMisc::OUTER_SECOND_VID, control & 0xfff);
    }
    out.put(MatchMisc::OUTER_IPV6_FLOW_LABEL, outer.get(Ipv6Label));
    if let Some(inner) = &parsed.inner {
        let h = &inner.headers;
        let second = h.get(Vlan2Tpid) as u16;
        if second != 0 {
            let control = h.get(Vlan2Tci);
            out.set(MatchMisc::INNER_SECOND_CVLAN_TAG, second == C_TAG)
                .set(MatchMisc::INNER_SECOND_SVLAN_TAG, second == S_TAG)
                .put(MatchMisc::INNER_SECOND_PRIO, control >> 13)
                .put(MatchMisc::INNER_SECOND_VID, control & 0xfff);
        }
        out.put(MatchMisc::INNER_IPV6_FLOW_LABEL, h.get(Ipv6Label));
    }
    match parsed.tunnel {
        Some(Tunnel::Vxlan { vni }) => {
            out.set(MatchMisc::VXLAN_VNI, vni);
        }
        Some(Tunnel::Gre {
            flags,
            protocol,
            key,
        }) => {
            out.set(MatchMisc::GRE_C_PRESENT, flags & 0x8000 != 0)
                .set(MatchMisc::GRE_K_PRESENT, flags & 0x2000 != 0)
                .set(MatchMisc::GRE_S_PRESENT, flags & 0x1000 != 0)
                .set(MatchMisc::GRE_PROTOCOL, protocol)
                .set(MatchMisc::GRE_KEY, key);
        }
        Some(Tunnel::Geneve {
            options,
            oam,
            protocol,
            vni,
        }) => {
            out.set(MatchMisc::GENEVE_VNI, vni)
                .set(MatchMisc::GENEVE_OAM, oam)
                .set(MatchMisc::GENEVE_OPT_LEN, options)
                .set(MatchMisc::GENEVE_PROTOCOL_TYPE, protocol);
        }
        Some(Tunnel::VxlanGpe { .. }) | None => {}
    }
}

const REGISTERS_C: [Field<MatchMisc2, u32>; 8] = [
    MatchMisc2::METADATA_REG_C_0,
    MatchMisc2::METADATA_REG_C_1,
    MatchMisc2::METADATA_REG_C_2,
    MatchMisc2::METADATA_REG_C_3,
    MatchMisc2::METADATA_REG_C_4,
    MatchMisc2::METADATA_REG_C_5,
    MatchMisc2::METADATA_REG_C_6,
    MatchMisc2::METADATA_REG_C_7,
];

fn registers(mut out: View<MatchMisc2, &mut [u8]>, frame: &Frame) {
    for (field, value) in REGISTERS_C.into_iter().zip(frame.register_c) {
        out.set(field, value);
    }
    out.set(MatchMisc2::METADATA_REG_A, frame.register_a);
}

fn upper(mut out: View<MatchMisc3, &mut [u8]>, frame: &[u8], parsed: &Parsed) {
    let word = |at: Option<usize>| {
        let four = at.and_then(|at| frame.get(at..)?.first_chunk());
        four.map_or(0, |b| u32::from_be_bytes(*b))
    };
    let outer = &parsed.outer;
    match outer.upper {
        protocol::TCP => {
            out.set(
                MatchMisc3::OUTER_TCP_SEQ_NUM,
                word(outer.transport.map(|at| at + 4)),
            )
            .set(
                MatchMisc3::OUTER_TCP_ACK_NUM,
                word(outer.transport.map(|at| at + 8)),
            );
        }
        protocol::ICMP => {
            out.put(MatchMisc3::ICMP_TYPE, outer.get(FieldId::Icmpv4Type))
                .put(MatchMisc3::ICMP_CODE, outer.get(FieldId::Icmpv4Code));
        }
        protocol::ICMPV6 => {
            out.put(MatchMisc3::ICMPV6_TYPE, outer.get(FieldId::Icmpv6Type))
                .put(MatchMisc3::ICMPV6_CODE, outer.get(FieldId::Icmpv6Code));
        }
        _ => {}
    }
    if let Some(Tunnel::VxlanGpe { flags, next, vni }) = parsed.tunnel {
        out.set(MatchMisc3::OUTER_VXLAN_GPE_VNI, vni)
            .set(MatchMisc3::OUTER_VXLAN_GPE_NEXT_PROTOCOL, next)
            .set(MatchMisc3::OUTER_VXLAN_GPE_FLAGS, flags);
    }
}

/// The criteria that a table may have, by what its capabilities name.
pub(super) fn allowed(fields: impl Fn(Field<FlowTableFields, bool>) -> bool) -> Parameters {
    let mut mask = Parameters::zeroed();
    macro_rules! grant {
        ($( $capability:ident => $part:ident $( $field:ident )+; )*) => {$(
            if fields(FlowTableFields::$capability) {
                $( all(&mut mask, MatchParameters::$part, grant!(@ $part $field)); )+
            }
        )*};
        (@ OUTER_HEADERS $field:ident) => { MatchHeaders::$field };
        (@ INNER_HEADERS $field:ident) => { MatchHeaders::$field };
        (@ MISC $field:ident) => { MatchMisc::$field };
        (@ MISC_2 $field:ident) => { MatchMisc2::$field };
    }
    grant! {
        OUTER_DMAC => OUTER_HEADERS DMAC;
        OUTER_SMAC => OUTER_HEADERS SMAC;
        OUTER_ETHER_TYPE => OUTER_HEADERS ETHERTYPE;
        OUTER_IP_VERSION => OUTER_HEADERS IP_VERSION;
        OUTER_FIRST_PRIO => OUTER_HEADERS FIRST_PRIO;
        OUTER_FIRST_CFI => OUTER_HEADERS FIRST_CFI;
        OUTER_FIRST_VID => OUTER_HEADERS FIRST_VID CVLAN_TAG SVLAN_TAG;
        OUTER_IPV4_TTL => OUTER_HEADERS TTL_HOPLIMIT;
        OUTER_SIP => OUTER_HEADERS SRC_IP;
        OUTER_DIP => OUTER_HEADERS DST_IP;
        OUTER_FRAG => OUTER_HEADERS FRAG;
        OUTER_IP_PROTOCOL => OUTER_HEADERS IP_PROTOCOL;
        OUTER_IP_ECN => OUTER_HEADERS IP_ECN;
        OUTER_IP_DSCP => OUTER_HEADERS IP_DSCP;
        OUTER_UDP_SPORT => OUTER_HEADERS UDP_SPORT;
        OUTER_UDP_DPORT => OUTER_HEADERS UDP_DPORT;
        OUTER_TCP_SPORT => OUTER_HEADERS TCP_SPORT;
        OUTER_TCP_DPORT => OUTER_HEADERS TCP_DPORT;
        OUTER_TCP_FLAGS => OUTER_HEADERS TCP_FLAGS;
        OUTER_SECOND_PRIO => MISC OUTER_SECOND_PRIO;
        OUTER_SECOND_VID => MISC OUTER_SECOND_VID OUTER_SECOND_CVLAN_TAG OUTER_SECOND_SVLAN_TAG;
        OUTER_GRE_PROTOCOL => MISC GRE_PROTOCOL GRE_C_PRESENT GRE_K_PRESENT GRE_S_PRESENT;
        OUTER_GRE_KEY => MISC GRE_KEY;
        OUTER_VXLAN_VNI => MISC VXLAN_VNI;
        OUTER_GENEVE_VNI => MISC GENEVE_VNI;
        OUTER_GENEVE_OAM => MISC GENEVE_OAM;
        OUTER_GENEVE_PROTOCOL_TYPE => MISC GENEVE_PROTOCOL_TYPE;
        OUTER_GENEVE_OPT_LEN => MISC GENEVE_OPT_LEN;
        SOURCE_ESWITCH_PORT => MISC SOURCE_PORT SOURCE_SQN;
        INNER_DMAC => INNER_HEADERS DMAC;
        INNER_SMAC => INNER_HEADERS SMAC;
        INNER_ETHER_TYPE => INNER_HEADERS ETHERTYPE;
        INNER_IP_VERSION => INNER_HEADERS IP_VERSION;
        INNER_FIRST_PRIO => INNER_HEADERS FIRST_PRIO;
        INNER_FIRST_CFI => INNER_HEADERS FIRST_CFI;
        INNER_FIRST_VID => INNER_HEADERS FIRST_VID CVLAN_TAG SVLAN_TAG;
        INNER_SECOND_PRIO => MISC INNER_SECOND_PRIO;
        INNER_SECOND_VID => MISC INNER_SECOND_VID INNER_SECOND_CVLAN_TAG INNER_SECOND_SVLAN_TAG;
        INNER_SIP => INNER_HEADERS SRC_IP;
        INNER_DIP => INNER_HEADERS DST_IP;
        INNER_FRAG => INNER_HEADERS FRAG;
        INNER_IP_PROTOCOL => INNER_HEADERS IP_PROTOCOL;
        INNER_IP_ECN => INNER_HEADERS IP_ECN;
        INNER_IP_DSCP => INNER_HEADERS IP_DSCP;
        INNER_UDP_SPORT => INNER_HEADERS UDP_SPORT;
        INNER_UDP_DPORT => INNER_HEADERS UDP_DPORT;
        INNER_TCP_SPORT => INNER_HEADERS TCP_SPORT;
        INNER_TCP_DPORT => INNER_HEADERS TCP_DPORT;
        INNER_TCP_FLAGS => INNER_HEADERS TCP_FLAGS;
        METADATA_REG_C_0 => MISC_2 METADATA_REG_C_0;
        METADATA_REG_C_1 => MISC_2 METADATA_REG_C_1;
        METADATA_REG_C_2 => MISC_2 METADATA_REG_C_2;
        METADATA_REG_C_3 => MISC_2 METADATA_REG_C_3;
        METADATA_REG_C_4 => MISC_2 METADATA_REG_C_4;
        METADATA_REG_C_5 => MISC_2 METADATA_REG_C_5;
        METADATA_REG_C_6 => MISC_2 METADATA_REG_C_6;
        METADATA_REG_C_7 => MISC_2 METADATA_REG_C_7;
    }
    // The number of a register's pair of tables has no capability of its own; the protocol of a
    // tunnel goes with what is inside of it.
    all(
        &mut mask,
        MatchParameters::MISC_2,
        MatchMisc2::METADATA_REG_A,
    );
    mask
}

/// Sets all bits of a field.
fn all<I: Described, T: Bits>(
    mask: &mut Parameters,
    part: Nested<MatchParameters, I>,
    field: Field<I, T>,
) {
    mask.at_mut(part).set(field, T::from_bits(u128::MAX));
}

/// The sections of match parameters in which a bit is set, as `MATCH_CRITERIA_ENABLE` has them.
pub(super) fn sections(bytes: &[u8; SIZE]) -> u8 {
    const SECTION: usize = 0x40;
    let known = [
        criteria::OUTER_HEADERS,
        criteria::MISC,
        criteria::INNER_HEADERS,
        criteria::MISC_2,
        criteria::MISC_3,
        criteria::MISC_4,
        criteria::MISC_5,
    ];
    let set = bytes.chunks(SECTION).zip(known);
    set.filter(|(section, _)| section.iter().any(|b| *b != 0))
        .fold(0, |all, (_, bit)| all | bit)
}

/// The words of match parameters that a mask looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask(Vec<(u16, u32)>);

fn word(bytes: &[u8; SIZE], index: u16) -> u32 {
    let at = usize::from(index) * 4;
    let four = bytes.get(at..at + 4).and_then(|b| b.first_chunk());
    four.map_or(0, |b| u32::from_be_bytes(*b))
}

impl Mask {
    pub fn new(bytes: &[u8; SIZE]) -> Mask {
        let words = (0..(SIZE / 4) as u16).map(|index| (index, word(bytes, index)));
        Mask(words.filter(|(_, mask)| *mask != 0).collect())
    }

    /// What of match parameters is looked at.
    pub fn key(&self, bytes: &[u8; SIZE], out: &mut Vec<u32>) {
        out.clear();
        out.extend(
            self.0
                .iter()
                .map(|(index, mask)| word(bytes, *index) & mask),
        );
    }

    /// Match parameters of which this is looked at.
    pub fn value(&self, key: &[u32]) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for ((index, _), value) in self.0.iter().zip(key) {
            let at = usize::from(*index) * 4;
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_be_bytes());
            }
        }
        bytes
    }

    /// Whether no bit is set beyond the mask.
    pub fn covers(&self, bytes: &[u8; SIZE]) -> bool {
        let mut rest = *bytes;
        for (index, mask) in &self.0 {
            let at = usize::from(*index) * 4;
            let left = word(&rest, *index) & !mask;
            if let Some(place) = rest.get_mut(at..at + 4) {
                place.copy_from_slice(&left.to_be_bytes());
            }
        }
        rest.iter().all(|b| *b == 0)
    }
}
