//! Which members each attribute has, where they stand and how they are written.

use crate::layout::*;
use crate::parse::ipproto;
use crate::table::FieldId;

/// How a member is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mac,
    Ipv4,
    Ipv6,
    Decimal,
    Hex,
    Frag,
}

/// One member: its name, place, shift and width within the place, and writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub name: &'static str,
    pub slot: Slot,
    pub shift: u8,
    pub bits: u8,
    pub kind: Kind,
}

impl Member {
    pub fn full(&self) -> u128 {
        if self.bits == 128 {
            u128::MAX
        } else {
            (1 << self.bits) - 1
        }
    }

    pub fn get(&self, words: &[u64]) -> u128 {
        self.slot.get(words) >> self.shift & self.full()
    }

    pub fn set(&self, words: &mut [u64], value: u128) {
        let mask = self.full() << self.shift;
        let old = self.slot.get(words);
        self.slot
            .set(words, old & !mask | value << self.shift & mask);
    }
}

const fn m(name: &'static str, slot: Slot, kind: Kind) -> Member {
    Member {
        name,
        slot,
        shift: 0,
        bits: slot.bits,
        kind,
    }
}

const fn part(name: &'static str, slot: Slot, shift: u8, bits: u8) -> Member {
    Member {
        name,
        slot,
        shift,
        bits,
        kind: Kind::Decimal,
    }
}

const fn narrow(name: &'static str, slot: Slot, bits: u8, kind: Kind) -> Member {
    Member {
        name,
        slot,
        shift: 0,
        bits,
        kind,
    }
}

pub(super) static ETH: [Member; 2] = [m("src", ETH_SRC, Kind::Mac), m("dst", ETH_DST, Kind::Mac)];
pub(super) static MPLS: [Member; 4] = [
    part("label", MPLS_LSE[0], 12, 20),
    part("tc", MPLS_LSE[0], 9, 3),
    part("ttl", MPLS_LSE[0], 0, 8),
    part("bos", MPLS_LSE[0], 8, 1),
];
pub(super) static IPV4: [Member; 6] = [
    m("src", NW_SRC, Kind::Ipv4),
    m("dst", NW_DST, Kind::Ipv4),
    m("proto", NW_PROTO, Kind::Decimal),
    m("tos", NW_TOS, Kind::Hex),
    m("ttl", NW_TTL, Kind::Decimal),
    m("frag", NW_FRAG, Kind::Frag),
];
pub(super) static IPV6: [Member; 7] = [
    m("src", IPV6_SRC, Kind::Ipv6),
    m("dst", IPV6_DST, Kind::Ipv6),
    narrow("label", IPV6_LABEL, 20, Kind::Hex),
    m("proto", NW_PROTO, Kind::Decimal),
    m("tclass", NW_TOS, Kind::Hex),
    m("hlimit", NW_TTL, Kind::Decimal),
    m("frag", NW_FRAG, Kind::Frag),
];
pub(super) static PORTS: [Member; 2] = [
    m("src", TP_SRC, Kind::Decimal),
    m("dst", TP_DST, Kind::Decimal),
];
pub(super) static ICMP: [Member; 2] = [
    narrow("type", TP_SRC, 8, Kind::Decimal),
    narrow("code", TP_DST, 8, Kind::Decimal),
];
pub(super) static ARP: [Member; 5] = [
    m("sip", NW_SRC, Kind::Ipv4),
    m("tip", NW_DST, Kind::Ipv4),
    m("op", NW_PROTO, Kind::Decimal),
    m("sha", ARP_SHA, Kind::Mac),
    m("tha", ARP_THA, Kind::Mac),
];
pub(super) static ND: [Member; 3] = [
    m("target", ND_TARGET, Kind::Ipv6),
    m("sll", ARP_SHA, Kind::Mac),
    m("tll", ARP_THA, Kind::Mac),
];
pub(super) static ND_EXT: [Member; 2] = [
    m("nd_reserved", ND_RESERVED, Kind::Hex),
    narrow("nd_options_type", TCP_FLAGS, 8, Kind::Decimal),
];
pub(super) static NSH: [Member; 10] = [
    m("flags", NSH_FLAGS, Kind::Decimal),
    m("ttl", NSH_TTL, Kind::Decimal),
    m("mdtype", NSH_MDTYPE, Kind::Decimal),
    m("np", NSH_NP, Kind::Decimal),
    Member {
        name: "spi",
        slot: NSH_PATH,
        shift: 8,
        bits: 24,
        kind: Kind::Hex,
    },
    narrow("si", NSH_PATH, 8, Kind::Decimal),
    m("c1", NSH_C[0], Kind::Hex),
    m("c2", NSH_C[1], Kind::Hex),
    m("c3", NSH_C[2], Kind::Hex),
    m("c4", NSH_C[3], Kind::Hex),
];
pub(super) static TUNNEL: [Member; 9] = [
    m("tun_id", TUN_ID, Kind::Hex),
    m("src", TUN_SRC, Kind::Ipv4),
    m("dst", TUN_DST, Kind::Ipv4),
    m("ipv6_src", TUN_IPV6_SRC, Kind::Ipv6),
    m("ipv6_dst", TUN_IPV6_DST, Kind::Ipv6),
    m("tos", TUN_TOS, Kind::Hex),
    m("ttl", TUN_TTL, Kind::Decimal),
    m("tp_src", TUN_TP_SRC, Kind::Decimal),
    m("tp_dst", TUN_TP_DST, Kind::Decimal),
];
pub(super) static CT_TUPLE4: [Member; 5] = [
    m("src", CT_NW_SRC, Kind::Ipv4),
    m("dst", CT_NW_DST, Kind::Ipv4),
    m("proto", CT_NW_PROTO, Kind::Decimal),
    m("tp_src", CT_TP_SRC, Kind::Decimal),
    m("tp_dst", CT_TP_DST, Kind::Decimal),
];
pub(super) static CT_TUPLE6: [Member; 5] = [
    m("src", CT_IPV6_SRC, Kind::Ipv6),
    m("dst", CT_IPV6_DST, Kind::Ipv6),
    m("proto", CT_NW_PROTO, Kind::Decimal),
    m("src_port", CT_TP_SRC, Kind::Decimal),
    m("dst_port", CT_TP_DST, Kind::Decimal),
];

/// Attributes made of members, by name.
pub(super) static ATTRS: [(&str, &[Member]); 15] = [
    ("tunnel", &TUNNEL),
    ("ct_tuple4", &CT_TUPLE4),
    ("ct_tuple6", &CT_TUPLE6),
    ("eth", &ETH),
    ("mpls", &MPLS),
    ("ipv4", &IPV4),
    ("ipv6", &IPV6),
    ("tcp", &PORTS),
    ("udp", &PORTS),
    ("sctp", &PORTS),
    ("icmp", &ICMP),
    ("icmpv6", &ICMP),
    ("arp", &ARP),
    ("nd", &ND),
    ("nsh", &NSH),
];

/// The transport attribute of an IP protocol.
pub(super) fn transport(proto: u8, v6: bool) -> Option<(&'static str, &'static [Member])> {
    Some(match proto {
        ipproto::TCP => ("tcp", &PORTS[..]),
        ipproto::UDP => ("udp", &PORTS[..]),
        ipproto::SCTP => ("sctp", &PORTS[..]),
        ipproto::ICMP if !v6 => ("icmp", &ICMP[..]),
        ipproto::ICMPV6 if v6 => ("icmpv6", &ICMP[..]),
        _ => return None,
    })
}

/// How a `set(...)` action writes one field: the attribute, and `member=value` or, for an
/// attribute that is a plain value, the value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMember {
    /// For example `ipv4`.
    pub attr: &'static str,
    /// For example `src=10.0.0.1`.
    pub text: String,
}

/// The text of writing the `mask` bits of `field`; `v6` says that the packet is IPv6, whose
/// attribute shares fields with IPv4's. None for a field that datapath text cannot set.
pub fn set_member(field: FieldId, value: u128, mask: u128, v6: bool) -> Option<SetMember> {
    let row = field.row();
    let odp = row.odp?;
    let plain = |v: u128| SetMember {
        attr: odp.attr,
        text: if mask == field.full() {
            format!("{v:#x}")
        } else {
            format!("{v:#x}/{mask:#x}")
        },
    };
    if odp.member.is_empty() {
        return Some(plain(value));
    }
    let attr = if odp.attr == "ipv4" && v6 {
        "ipv6"
    } else {
        odp.attr
    };
    let (_, members) = ATTRS.iter().find(|(name, _)| *name == attr)?;
    let place = (row.slot, row.shift);
    let exact = members.iter().find(|m| (m.slot, m.shift) == place);
    let member = exact.or_else(|| members.iter().find(|m| m.slot == row.slot))?;
    let (value, mask) = (
        value << row.shift >> member.shift,
        mask << row.shift >> member.shift,
    );
    let text = super::format::member_text(member, value, mask);
    Some(SetMember { attr, text })
}
