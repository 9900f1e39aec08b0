//! From bytes to a key.
//!
//! Parsing never fails: a header that is cut short or lies about its length simply ends it there,
//! and the key says what was seen so far, as Open vSwitch has it. Words are pushed in ascending
//! order, so the sparse key is built without ever being expanded.

use crate::frame::{Layers, Packet};
use crate::key::PacketKey;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Values that do not stand in the frame: where it came from and what was said about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The datapath's port number.
    pub in_port: u32,
    /// 0 for a packet that has just arrived.
    pub recirc_id: u32,
    /// A hash that an action computed, 0 = none.
    pub dp_hash: u32,
    /// Linux's queueing priority.
    pub skb_priority: u32,
    /// Linux's packet mark.
    pub pkt_mark: u32,
    /// Connection tracking: state bits, zone, mark.
    pub ct_state: u32,
    /// Connection tracking zone.
    pub ct_zone: u16,
    /// Connection mark.
    pub ct_mark: u32,
    /// Connection label.
    pub ct_label: u128,
}

/// Ethernet types with a meaning here.
pub mod ethertype {
    #![allow(missing_docs)]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const QINQ: u16 = 0x88a8;
    pub const NSH: u16 = 0x894f;
    /// What stands in the key for an 802.2 frame without a type.
    pub const NONE: u16 = 0x05ff;
}

/// IP protocol numbers with a meaning here.
pub mod ipproto {
    #![allow(missing_docs)]
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// Fragment bits of the key.
pub mod frag {
    /// Any fragment.
    pub const ANY: u8 = 1;
    /// Any fragment but the first.
    pub const LATER: u8 = 2;
}

/// How many VLAN tags a key can hold; a further one stays as the Ethernet type.
pub const MAX_VLAN_HEADERS: usize = 2;

/// How many VLAN tags are read. The whole process has one limit, since keys that were read with
/// different ones cannot be compared.
static VLAN_LIMIT: AtomicUsize = AtomicUsize::new(1);

/// Says how many VLAN tags are read; 0 = as many as a key can hold.
pub fn set_vlan_limit(limit: usize) {
    let limit = match limit {
        0 => MAX_VLAN_HEADERS,
        n => n.min(MAX_VLAN_HEADERS),
    };
    VLAN_LIMIT.store(limit, Relaxed);
}

/// How many VLAN tags are read.
pub fn vlan_limit() -> usize {
    VLAN_LIMIT.load(Relaxed)
}

/// A view that is cut from the front as headers are read.
struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let head = self.left().first_chunk::<N>()?;
        self.at += N;
        Some(head)
    }

    #[inline]
    fn peek<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.left().first_chunk::<N>()
    }
}

fn be16(b: &[u8], i: usize) -> u16 {
    match b.get(i..i + 2) {
        Some(&[a, b]) => u16::from_be_bytes([a, b]),
        _ => 0,
    }
}

fn be32(b: &[u8], i: usize) -> u32 {
    u32::from(be16(b, i)) << 16 | u32::from(be16(b, i + 2))
}

fn be64(b: &[u8], i: usize) -> u64 {
    u64::from(be32(b, i)) << 32 | u64::from(be32(b, i + 4))
}

fn mac(b: &[u8], i: usize) -> u64 {
    u64::from(be32(b, i)) << 16 | u64::from(be16(b, i + 4))
}

/// Reads a packet's key, and notes in the packet where its layers begin.
pub fn parse(packet: &mut Packet, meta: &Metadata) -> PacketKey {
    let mut key = PacketKey::EMPTY;
    packet.layers = parse_frame(packet.frame(), meta, &mut key);
    key
}

/// Reads a frame's key into `key`, which is emptied first.
pub fn parse_frame(frame: &[u8], meta: &Metadata, key: &mut PacketKey) -> Layers {
    key.clear();
    push_metadata(meta, key);
    let mut layers = Layers::default();
    let mut cur = Cursor { data: frame, at: 0 };

    let Some(eth) = cur.take::<12>() else {
        return layers;
    };
    let mut tags = [(0u16, 0u16); MAX_VLAN_HEADERS];
    for place in tags.iter_mut().take(vlan_limit()) {
        // A tag without a type behind it is not taken for one.
        let Some(tag) = cur.peek::<6>() else { break };
        let tpid = be16(tag, 0);
        if !matches!(tpid, ethertype::VLAN | ethertype::QINQ) {
            break;
        }
        *place = (tpid, be16(tag, 2) | crate::VLAN_PRESENT);
        cur.at += 4;
    }
    let [(tpid, tci), (tpid2, tci2)] = tags;
    let eth_type = take_ethertype(&mut cur);
    key.push(16, mac(eth, 0) << 16 | u64::from(eth_type));
    key.push(17, mac(eth, 6) << 16 | u64::from(tci));
    let second = u64::from(tpid2) << 32 | u64::from(tci2) << 16;
    key.push(18, u64::from(tpid) << 48 | second);
    layers.network = u16::try_from(cur.at).ok();

    match eth_type {
        ethertype::MPLS | ethertype::MPLS_MULTICAST => parse_mpls(&mut cur, key),
        ethertype::IPV4 => parse_ipv4(&mut cur, key, &mut layers),
        ethertype::IPV6 => parse_ipv6(&mut cur, key, &mut layers),
        ethertype::ARP | ethertype::RARP => parse_arp(&cur, key),
        ethertype::NSH => parse_nsh(&cur, key),
        _ => {}
    }
    layers
}

fn push_metadata(meta: &Metadata, key: &mut PacketKey) {
    key.push(0, u64::from(meta.recirc_id) << 32 | u64::from(meta.dp_hash));
    key.push(1, u64::from(meta.in_port) << 32);
    key.push(
        2,
        u64::from(meta.skb_priority) << 32 | u64::from(meta.pkt_mark),
    );
    key.push(
        3,
        u64::from(meta.ct_state) << 32 | u64::from(meta.ct_zone) << 16,
    );
    key.push(4, u64::from(meta.ct_mark) << 32);
    key.push(5, (meta.ct_label >> 64) as u64);
    key.push(6, meta.ct_label as u64);
}

/// Reads the type, looking through an LLC/SNAP header (IEEE 802.2, RFC 1042).
fn take_ethertype(cur: &mut Cursor<'_>) -> u16 {
    let Some(head) = cur.take::<2>() else {
        return ethertype::NONE;
    };
    let value = u16::from_be_bytes(*head);
    if value >= 0x600 {
        return value;
    }
    match cur.peek::<8>() {
        Some(&[0xaa, 0xaa, 0x03, 0, 0, 0, a, b]) if u16::from_be_bytes([a, b]) >= 0x600 => {
            cur.at += 8;
            u16::from_be_bytes([a, b])
        }
        _ => ethertype::NONE,
    }
}

fn parse_mpls(cur: &mut Cursor<'_>, key: &mut PacketKey) {
    let mut lse = [0u32; 3];
    let mut count = 0;
    while let Some(label) = cur.take::<4>() {
        let label = u32::from_be_bytes(*label);
        if let Some(place) = lse.get_mut(count) {
            *place = label;
        }
        count += 1;
        if label & 0x100 != 0 {
            break;
        }
    }
    key.push(19, u64::from(lse[0]) << 32 | u64::from(lse[1]));
    key.push(20, u64::from(lse[2]) << 32);
}

fn parse_ipv4(cur: &mut Cursor<'_>, key: &mut PacketKey, layers: &mut Layers) {
    let Some(ip) = cur.peek::<20>() else { return };
    let header = usize::from(ip[0] & 0xf) * 4;
    let total = usize::from(be16(ip, 2));
    let here = cur.left().len();
    if header < 20 || total < header || total > here {
        return;
    }
    let Ok(padding) = u16::try_from(here - total) else {
        return;
    };
    layers.padding = padding;
    cur.data = cur.data.get(..cur.at + total).unwrap_or_default();
    cur.at += header;

    let fragment = be16(ip, 6);
    let mut frags = 0u8;
    if fragment & 0x3fff != 0 {
        frags = frag::ANY
            | if fragment & 0x1fff != 0 {
                frag::LATER
            } else {
                0
            };
    }
    let (tos, ttl, proto) = (ip[1], ip[8], ip[9]);
    key.push(21, be64(ip, 12));
    push_ip_common(key, 0, frags, tos, ttl, proto);
    if frags & frag::LATER == 0 {
        parse_transport(cur, key, layers, proto, false);
    }
}

fn push_ip_common(key: &mut PacketKey, label: u32, frags: u8, tos: u8, ttl: u8, proto: u8) {
    let low = u32::from_be_bytes([frags, tos, ttl, proto]);
    key.push(31, u64::from(label) << 32 | u64::from(low));
}

fn parse_ipv6(cur: &mut Cursor<'_>, key: &mut PacketKey, layers: &mut Layers) {
    let Some(ip) = cur.peek::<40>() else { return };
    let payload = usize::from(be16(ip, 4));
    let here = cur.left().len() - 40;
    if payload > here {
        return;
    }
    let Ok(padding) = u16::try_from(here - payload) else {
        return;
    };
    layers.padding = padding;
    cur.data = cur.data.get(..cur.at + 40 + payload).unwrap_or_default();
    cur.at += 40;
    let first = be32(ip, 0);
    for (i, at) in [8, 16, 24, 32].into_iter().enumerate() {
        key.push(23 + i, be64(ip, at));
    }
    let Some((proto, frags)) = skip_extensions(cur, ip[6]) else {
        return;
    };
    let tos = (first >> 20 & 0xff) as u8;
    push_ip_common(key, first & 0xf_ffff, frags, tos, ip[7], proto);
    if frags & frag::LATER == 0 {
        parse_transport(cur, key, layers, proto, true);
    }
}

/// Walks IPv6 extension headers (RFC 8200 §4) to the transport protocol. None if one is cut short.
fn skip_extensions(cur: &mut Cursor<'_>, mut next: u8) -> Option<(u8, u8)> {
    let mut frags = 0u8;
    loop {
        match next {
            // Hop-by-hop, routing, destination options.
            0 | 43 | 60 => {
                let head = cur.peek::<8>()?;
                next = head[0];
                cur.at += (usize::from(head[1]) + 1) * 8;
            }
            // Authentication (RFC 4302): length in 4-byte units, minus 2.
            51 => {
                let head = cur.peek::<8>()?;
                next = head[0];
                cur.at += (usize::from(head[1]) + 2) * 4;
            }
            44 => {
                let head = cur.take::<8>()?;
                next = head[0];
                let fragment = be16(head, 2);
                // An "atomic" fragment (RFC 6946) is a whole packet.
                if fragment & 0xfff9 != 0 {
                    frags = frag::ANY;
                    if fragment & 0xfff8 != 0 {
                        return Some((next, frag::ANY | frag::LATER));
                    }
                }
            }
            _ => return Some((next, frags)),
        }
        if cur.at > cur.data.len() {
            return None;
        }
    }
}

fn parse_transport(
    cur: &mut Cursor<'_>,
    key: &mut PacketKey,
    layers: &mut Layers,
    proto: u8,
    v6: bool,
) {
    layers.transport = u16::try_from(cur.at).ok();
    layers.protocol = proto;
    let ports = |h: &[u8]| u64::from(be32(h, 0)) << 32;
    match proto {
        ipproto::TCP => {
            let fits = |tcp: &[u8; 20]| {
                let len = usize::from(tcp[12] >> 4) * 4;
                (20..=cur.left().len()).contains(&len)
            };
            if let Some(tcp) = cur.peek::<20>().filter(|t| fits(t)) {
                key.push(34, u64::from(be16(tcp, 12) & 0xfff));
                key.push(39, ports(tcp));
            }
        }
        ipproto::UDP => {
            if let Some(udp) = cur.peek::<8>() {
                key.push(39, ports(udp));
            }
        }
        ipproto::SCTP => {
            if let Some(sctp) = cur.peek::<12>() {
                key.push(39, ports(sctp));
            }
        }
        ipproto::ICMP if !v6 => {
            if let Some(icmp) = cur.peek::<8>() {
                key.push(39, u64::from(icmp[0]) << 48 | u64::from(icmp[1]) << 32);
            }
        }
        ipproto::IGMP if !v6 => {
            if let Some(igmp) = cur.peek::<8>() {
                key.push(39, u64::from(igmp[0]) << 48 | u64::from(igmp[1]) << 32);
                key.push(40, u64::from(be32(igmp, 4)) << 32);
            }
        }
        ipproto::ICMPV6 if v6 => {
            if let Some(icmp) = cur.peek::<8>() {
                parse_icmpv6(cur.left(), icmp, key);
            }
        }
        _ => {}
    }
}

/// ICMPv6 and, in it, neighbour discovery (RFC 4861 §4.3, §4.4).
fn parse_icmpv6(all: &[u8], icmp: &[u8; 8], key: &mut PacketKey) {
    let type_code = u64::from(icmp[0]) << 48 | u64::from(icmp[1]) << 32;
    let is_nd = matches!(icmp[0], 135 | 136) && icmp[1] == 0;
    let target = if is_nd { all.get(8..24) } else { None };
    let Some(target) = target else {
        key.push(39, type_code);
        return;
    };
    let (mut sll, mut tll, mut option_type) = (0u64, 0u64, 0u8);
    let mut options = all.get(24..).unwrap_or_default();
    while let Some(&[kind, units, ..]) = options.first_chunk::<8>() {
        let len = usize::from(units) * 8;
        if len == 0 || len > options.len() {
            break;
        }
        // A second option of the same kind makes the message invalid: nothing of it is matched.
        let place = match (kind, units) {
            (1, 1) => Some(&mut sll),
            (2, 1) => Some(&mut tll),
            _ => None,
        };
        if let Some(place) = place {
            if *place != 0 {
                key.push(39, type_code);
                return;
            }
            *place = mac(options, 2);
            option_type = kind;
        }
        options = options.get(len..).unwrap_or_default();
    }
    key.push(32, be64(target, 0));
    key.push(33, be64(target, 8));
    key.push(34, sll << 16 | u64::from(option_type));
    key.push(35, tll << 16);
    key.push(39, type_code);
    key.push(40, u64::from(be32(icmp, 4)) << 32);
}

/// ARP for IPv4 over Ethernet (RFC 826).
fn parse_arp(cur: &Cursor<'_>, key: &mut PacketKey) {
    let Some(arp) = cur.peek::<28>() else { return };
    if be16(arp, 0) != 1 || be16(arp, 2) != ethertype::IPV4 || arp[4] != 6 || arp[5] != 4 {
        return;
    }
    key.push(
        21,
        u64::from(be32(arp, 14)) << 32 | u64::from(be32(arp, 24)),
    );
    // Operations above 255 do not exist.
    let op = if arp[6] == 0 { arp[7] } else { 0 };
    key.push(31, u64::from(op));
    key.push(34, mac(arp, 8) << 16);
    key.push(35, mac(arp, 18) << 16);
}

/// Network service header (RFC 8300 §2).
fn parse_nsh(cur: &Cursor<'_>, key: &mut PacketKey) {
    let Some(nsh) = cur.peek::<8>() else { return };
    let base = be16(nsh, 0);
    let len = usize::from(base & 0x3f) * 4;
    if base >> 14 != 0 || len < 8 || cur.left().len() < len {
        return;
    }
    let (flags, ttl) = (u64::from(base >> 12 & 3), u64::from(base >> 6 & 0x3f));
    let mdtype = u64::from(nsh[2] & 0xf);
    let head = flags << 24 | ttl << 16 | mdtype << 8 | u64::from(nsh[3]);
    key.push(36, head << 32 | u64::from(be32(nsh, 4)));
    if let (1, Some(context)) = (mdtype, cur.left().get(8..24)) {
        key.push(37, be64(context, 0));
        key.push(38, be64(context, 8));
    }
}

#[cfg(test)]
mod tests {
    use super::Metadata;
    use super::*;
    use crate::FieldId::{self, *};
    use proptest::prelude::*;

    fn key_of(hex: &str) -> PacketKey {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        parse(
            &mut Packet::from_frame(&bytes),
            &Metadata {
                in_port: 7,
                ..Metadata::default()
            },
        )
    }

    fn has(key: &PacketKey, wanted: &[(FieldId, u128)]) {
        for &(field, value) in wanted {
            assert_eq!(key.get(field), value, "{field}");
        }
    }

    #[test]
    fn a_tagged_tcp_segment() {
        let key = key_of(concat!(
            "020000000002020000000001810020640800",
            "4500002800010000400666c70a0000010a000002",
            "3039005000000000000000005012000000000000"
        ));
        has(
            &key,
            &[
                (InPort, 7),
                (EthSrc, 0x0200_0000_0001),
                (EthDst, 0x0200_0000_0002),
                (EthType, 0x800),
                (VlanTci, 0x3064),
                (VlanPcp, 1),
                (Ipv4Src, 0x0a00_0001),
                (Ipv4Dst, 0x0a00_0002),
                (IpProto, 6),
                (IpTtl, 64),
                (TcpSrc, 12345),
                (TcpDst, 80),
                (TcpFlags, 0x012),
            ],
        );
    }

    #[test]
    fn as_many_tags_are_read_as_the_limit_says() {
        let packet = "02000000000202000000000188a8600581004007abcd";
        let one: [(FieldId, u128); 3] = [(VlanTci, 0x7005), (EthType, 0x8100), (VlanPcp, 3)];
        has(&key_of(packet), &one);
        set_vlan_limit(0);
        let key = key_of(packet);
        has(&key, &[(VlanTci, 0x7005), (EthType, 0xabcd)]);
        let types = [(VlanTpid, 0x88a8), (Vlan2Tpid, 0x8100), (Vlan2Tci, 0x5007)];
        has(&key, &types);
        let mut again = crate::compose(&crate::FlowState::from_key(&key), 0);
        let meta = Metadata {
            in_port: 7,
            ..Metadata::default()
        };
        assert_eq!(parse(&mut again, &meta), key);
        set_vlan_limit(1);
        has(&key_of(packet), &one);
    }

    #[test]
    fn much_padding_hides_nothing() {
        let packet = concat!(
            "020000000002020000000001080045000020000100004011000a0a0000010a000002",
            "0d6a0035000c000012345678"
        );
        for padding in [0, 26, 1000] {
            let key = key_of(&(packet.to_owned() + &"00".repeat(padding)));
            has(&key, &[(Ipv4Dst, 0x0a00_0002), (UdpDst, 53)]);
        }
    }

    #[test]
    fn an_arp_request() {
        let key = key_of(concat!(
            "ffffffffffff0200000000010806",
            "00010800060400010200000000010a0000010000000000000a000002"
        ));
        has(
            &key,
            &[
                (ArpOp, 1),
                (ArpSpa, 0x0a00_0001),
                (ArpTpa, 0x0a00_0002),
                (ArpSha, 0x0200_0000_0001),
            ],
        );
    }

    #[test]
    fn a_neighbour_solicitation_with_its_option() {
        let key = key_of(concat!(
            "33330000000202000000000186dd",
            "6000000000203aff",
            "fe800000000000000000000000000001",
            "ff020000000000000000000000000002",
            "8700000000000000",
            "fe800000000000000000000000000002",
            "0101020000000001"
        ));
        has(
            &key,
            &[
                (Icmpv6Type, 135),
                (NdSll, 0x0200_0000_0001),
                (NdTarget, 0xfe80 << 112 | 2),
            ],
        );
    }

    #[test]
    fn a_length_that_lies_ends_the_parse() {
        let key = key_of(concat!(
            "0200000000020200000000010800",
            "4500ffff00010000400666c70a0000010a000002",
            "3039005000000000000000005012000000000000"
        ));
        has(&key, &[(EthType, 0x800), (IpProto, 0), (TcpSrc, 0)]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in any::<[u8; 12]>(), kind in 0usize..8,
                                  body in prop::collection::vec(any::<u8>(), 0..200)) {
            let types: [u16; 8] = [0x800, 0x86dd, 0x806, 0x8100, 0x8847, 0x894f, 0x30, 0x88a8];
            let mut frame = head.to_vec();
            frame.extend(types[kind].to_be_bytes());
            frame.extend(body);
            for cut in 0..frame.len() {
                let mut p = Packet::from_frame(&frame[..cut]);
                let key = parse(&mut p, &Metadata::default());
                prop_assert_eq!(PacketKey::from_words(&key.expand()), key.clone());
                // Fields name all that a key holds and all that a flow made of it matches.
                let (named, whole) = (crate::layout::named_bits(), crate::whole_mask(&key));
                for (word, bits) in named.iter().enumerate() {
                    let held = key.word(word) | whole.words[word];
                    prop_assert_eq!(held & !bits, 0, "word {}", word);
                }
            }
        }
    }
}
