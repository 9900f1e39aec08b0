//! Rewriting a frame in place, keeping its checksums true.
//!
//! Every function works on a frame whose layers are known ([`parse()`](crate::parse()) has been
//! run); where the wanted header is not there, nothing happens and the answer is false. A checksum
//! that is still to be computed ([`PartialChecksum`](crate::PartialChecksum)) stays so: only the
//! pseudo-header's part is kept true.

use crate::checksum;
use crate::frame::Packet;
use crate::parse::{ethertype, ipproto};
use crate::table::FieldId;

/// Writes the bits of `field` that `mask` names.
pub fn set_field(packet: &mut Packet, field: FieldId, value: u128, mask: u128) -> bool {
    use FieldId::*;
    let network = packet.layers.network.map(usize::from);
    let transport = packet.layers.transport.map(usize::from);
    let is_ip = |p: &Packet, t: u16| network_type(p) == Some(t);
    match field {
        EthDst => write(packet, Some(0), 6, value, mask, Covered::No),
        EthSrc => write(packet, Some(6), 6, value, mask, Covered::No),
        Ipv4Src if is_ip(packet, ethertype::IPV4) => ipv4(packet, network, 12, 4, value, mask),
        Ipv4Dst if is_ip(packet, ethertype::IPV4) => ipv4(packet, network, 16, 4, value, mask),
        IpTtl if is_ip(packet, ethertype::IPV4) => {
            // The checksum is updated over whole words: time to live and protocol share one.
            ipv4(packet, network, 8, 2, value << 8, (mask & 0xff) << 8)
        }
        IpDscp | IpEcn | IpDscpShifted => {
            let shift = u32::from(field == IpDscpShifted) * 2;
            set_tos(packet, value << shift, (mask & field.full()) << shift)
        }
        IpTtl if is_ip(packet, ethertype::IPV6) => {
            write(packet, network.map(|n| n + 7), 1, value, mask, Covered::No)
        }
        Ipv6Label if is_ip(packet, ethertype::IPV6) => {
            write(packet, network, 4, value, mask & 0xf_ffff, Covered::No)
        }
        Ipv6Src if is_ip(packet, ethertype::IPV6) => write(
            packet,
            network.map(|n| n + 8),
            16,
            value,
            mask,
            Covered::ByPseudoHeader,
        ),
        Ipv6Dst if is_ip(packet, ethertype::IPV6) => write(
            packet,
            network.map(|n| n + 24),
            16,
            value,
            mask,
            Covered::ByPseudoHeader,
        ),
        TcpSrc | UdpSrc | SctpSrc if has_transport(packet, field) => {
            set_port(packet, transport, value, mask)
        }
        TcpDst | UdpDst | SctpDst if has_transport(packet, field) => {
            set_port(packet, transport.map(|t| t + 2), value, mask)
        }
        Icmpv4Type | Icmpv6Type if has_transport(packet, field) => write(
            packet,
            transport,
            2,
            value << 8,
            (mask & 0xff) << 8,
            Covered::ByTransport,
        ),
        Icmpv4Code | Icmpv6Code if has_transport(packet, field) => write(
            packet,
            transport,
            2,
            value,
            mask & 0xff,
            Covered::ByTransport,
        ),
        ArpOp if is_arp(packet) => {
            write(packet, network.map(|n| n + 6), 2, value, mask, Covered::No)
        }
        ArpSha if is_arp(packet) => {
            write(packet, network.map(|n| n + 8), 6, value, mask, Covered::No)
        }
        ArpSpa if is_arp(packet) => {
            write(packet, network.map(|n| n + 14), 4, value, mask, Covered::No)
        }
        ArpTha if is_arp(packet) => {
            write(packet, network.map(|n| n + 18), 6, value, mask, Covered::No)
        }
        ArpTpa if is_arp(packet) => {
            write(packet, network.map(|n| n + 24), 4, value, mask, Covered::No)
        }
        NdReserved if has_transport(packet, field) => write(
            packet,
            transport.map(|t| t + 4),
            4,
            value,
            mask,
            Covered::ByTransport,
        ),
        NdTarget if has_transport(packet, field) => write(
            packet,
            transport.map(|t| t + 8),
            16,
            value,
            mask,
            Covered::ByTransport,
        ),
        NdSll | NdTll if has_transport(packet, field) => {
            let at = nd_option(packet, if field == NdSll { 1 } else { 2 });
            write(packet, at, 6, value, mask, Covered::ByTransport)
        }
        MplsLabel | MplsTc | MplsBos | MplsTtl => {
            let shift = u32::from(field.row().shift);
            let is_mpls = matches!(
                network_type(packet),
                Some(ethertype::MPLS | ethertype::MPLS_MULTICAST)
            );
            let at = network.filter(|_| is_mpls);
            write(
                packet,
                at,
                4,
                value << shift,
                (mask & field.full()) << shift,
                Covered::No,
            )
        }
        _ => false,
    }
}

/// Puts a VLAN tag after the Ethernet addresses. In `tci`, bit 12 means that there is a tag; on
/// the wire it is zero.
pub fn push_vlan(packet: &mut Packet, tpid: u16, tci: u16) {
    push_vlan_tag(packet, tpid, tci & !crate::VLAN_PRESENT);
}

/// Puts a VLAN tag after the Ethernet addresses, with exactly these bits.
pub fn push_vlan_tag(packet: &mut Packet, tpid: u16, tci: u16) {
    if packet.len() < 14 {
        return;
    }
    packet.insert(12, 4);
    let frame = packet.frame_mut();
    frame[12..14].copy_from_slice(&tpid.to_be_bytes());
    frame[14..16].copy_from_slice(&tci.to_be_bytes());
}

/// Takes the outermost VLAN tag away, if there is one.
pub fn pop_vlan(packet: &mut Packet) -> bool {
    let tagged = packet.frame().get(12..14).is_some_and(is_vlan);
    if tagged && packet.len() >= 18 {
        packet.remove(12, 4);
    }
    tagged
}

/// Puts an MPLS label in front of the network header and makes `ethertype` the frame's type.
pub fn push_mpls(packet: &mut Packet, ethertype: u16, lse: u32) -> bool {
    let Some(at) = packet.layers.network.map(usize::from) else {
        return false;
    };
    if at < 2 || at > packet.len() {
        return false;
    }
    packet.insert(at, 4);
    packet.layers.network = u16::try_from(at).ok();
    let frame = packet.frame_mut();
    frame[at..at + 4].copy_from_slice(&lse.to_be_bytes());
    frame[at - 2..at].copy_from_slice(&ethertype.to_be_bytes());
    true
}

/// Takes the outermost MPLS label away and makes `ethertype` the frame's type.
pub fn pop_mpls(packet: &mut Packet, ethertype: u16) -> bool {
    let is_mpls = matches!(
        network_type(packet),
        Some(ethertype::MPLS | ethertype::MPLS_MULTICAST)
    );
    let Some(at) = packet.layers.network.map(usize::from).filter(|_| is_mpls) else {
        return false;
    };
    if packet.len() < at + 4 {
        return false;
    }
    packet.remove(at, 4);
    packet.layers.network = u16::try_from(at).ok();
    packet.frame_mut()[at - 2..at].copy_from_slice(&ethertype.to_be_bytes());
    true
}

fn is_vlan(tpid: &[u8]) -> bool {
    matches!(tpid, [0x81, 0x00] | [0x88, 0xa8])
}

/// The type that stands right before the network header.
fn network_type(packet: &Packet) -> Option<u16> {
    let at = usize::from(packet.layers.network?);
    let bytes = packet.frame().get(at.checked_sub(2)?..at)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn is_arp(packet: &Packet) -> bool {
    matches!(network_type(packet), Some(ethertype::ARP | ethertype::RARP))
}

/// Whether the packet has the transport header that `field` belongs to.
fn has_transport(packet: &Packet, field: FieldId) -> bool {
    use FieldId::*;
    let protocol = match field {
        TcpSrc | TcpDst => ipproto::TCP,
        UdpSrc | UdpDst => ipproto::UDP,
        SctpSrc | SctpDst => ipproto::SCTP,
        Icmpv4Type | Icmpv4Code => ipproto::ICMP,
        _ => ipproto::ICMPV6,
    };
    packet.layers.transport.is_some() && packet.layers.protocol == protocol
}

/// Which checksum, besides IPv4's own, covers some bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covered {
    No,
    ByPseudoHeader,
    ByTransport,
}

/// Replaces masked bits of the `len` bytes (even, unless uncovered) at `at`.
fn write(
    packet: &mut Packet,
    at: Option<usize>,
    len: usize,
    value: u128,
    mask: u128,
    covered: Covered,
) -> bool {
    let Some(at) = at else { return false };
    let Some(old) = packet.frame().get(at..at + len) else {
        return false;
    };
    let mut before = [0u8; 16];
    before[16 - len..].copy_from_slice(old);
    let was = u128::from_be_bytes(before);
    let after = (was & !mask | value & mask).to_be_bytes();
    let (old, new) = (&before[16 - len..], &after[16 - len..]);
    packet.frame_mut()[at..at + len].copy_from_slice(new);
    if covered != Covered::No && old != new {
        update_transport_checksum(packet, old, new, covered);
    }
    true
}

fn ipv4(
    packet: &mut Packet,
    network: Option<usize>,
    offset: usize,
    len: usize,
    value: u128,
    mask: u128,
) -> bool {
    let Some(at) = network else { return false };
    let Some(old) = packet.frame().get(at + offset..at + offset + len) else {
        return false;
    };
    let mut before = [0u8; 4];
    before[..len].copy_from_slice(old);
    // Only addresses are in the pseudo-header.
    let covered = if offset >= 12 {
        Covered::ByPseudoHeader
    } else {
        Covered::No
    };
    write(packet, Some(at + offset), len, value, mask, covered);
    let frame = packet.frame_mut();
    let mut after = [0u8; 4];
    after[..len].copy_from_slice(&frame[at + offset..at + offset + len]);
    if let Some(sum) = frame.get_mut(at + 10..at + 12) {
        let new = checksum::update(u16::from_be_bytes([sum[0], sum[1]]), &before, &after);
        sum.copy_from_slice(&new.to_be_bytes());
    }
    true
}

fn set_tos(packet: &mut Packet, value: u128, mask: u128) -> bool {
    let network = packet.layers.network.map(usize::from);
    match network_type(packet) {
        Some(ethertype::IPV4) => ipv4(packet, network, 0, 2, value, mask & 0xff),
        // Version, traffic class, flow label: the class is bits 20 to 27 of the first word.
        Some(ethertype::IPV6) => write(
            packet,
            network,
            4,
            value << 20,
            (mask & 0xff) << 20,
            Covered::No,
        ),
        _ => false,
    }
}

fn set_port(packet: &mut Packet, at: Option<usize>, value: u128, mask: u128) -> bool {
    if packet.layers.protocol != ipproto::SCTP {
        return write(packet, at, 2, value, mask, Covered::ByTransport);
    }
    // A wrong checksum must stay as wrong as it was, so that the receiver still notices.
    let start = usize::from(packet.layers.transport.unwrap_or(0));
    let end = packet
        .len()
        .saturating_sub(usize::from(packet.layers.padding));
    let right = |p: &Packet| p.frame().get(start..end).map(sctp_checksum);
    let before = right(packet);
    let done = write(packet, at, 2, value, mask, Covered::No);
    if let (Some(before), Some(after)) = (before, right(packet))
        && let Some(sum) = packet.frame_mut().get_mut(start + 8..start + 12)
    {
        for (s, (b, a)) in sum.iter_mut().zip(before.iter().zip(after)) {
            *s ^= b ^ a;
        }
    }
    done
}

/// SCTP's checksum: CRC-32C with the checksum field as zero, least significant byte first
/// (RFC 9260 appendix A).
pub(crate) fn sctp_checksum(data: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for (i, &byte) in data.iter().enumerate() {
        let byte = if (8..12).contains(&i) { 0 } else { byte };
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 != 0 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    (!crc).to_le_bytes()
}

/// Where neighbour discovery's option of `kind` has its address.
fn nd_option(packet: &Packet, kind: u8) -> Option<usize> {
    let mut at = usize::from(packet.layers.transport?) + 24;
    let frame = packet.frame();
    while let Some(&[k, units]) = frame.get(at..at + 2) {
        if k == kind && units == 1 {
            return Some(at + 2);
        }
        at += usize::from(units.max(1)) * 8;
    }
    None
}

fn update_transport_checksum(packet: &mut Packet, old: &[u8], new: &[u8], covered: Covered) {
    let Some(start) = packet.layers.transport.map(usize::from) else {
        return;
    };
    let offset = match packet.layers.protocol {
        ipproto::TCP => 16,
        ipproto::UDP => 6,
        ipproto::ICMPV6 => 2,
        ipproto::ICMP if covered == Covered::ByTransport => 2,
        _ => return,
    };
    let partial = packet.checksum.is_some();
    if partial && covered == Covered::ByTransport {
        return;
    }
    let udp = packet.layers.protocol == ipproto::UDP;
    let Some(at) = packet
        .frame_mut()
        .get_mut(start + offset..start + offset + 2)
    else {
        return;
    };
    let sum = u16::from_be_bytes([at[0], at[1]]);
    let new_sum = if partial {
        checksum::update_partial(sum, old, new)
    } else if udp && sum == 0 {
        return;
    } else {
        match checksum::update(sum, old, new) {
            0 if udp => 0xffff,
            s => s,
        }
    };
    at.copy_from_slice(&new_sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowState, Metadata, compose, parse};
    use proptest::prelude::*;

    /// A field that the packet has, with what the packet is.
    fn cases() -> Vec<(u16, u8, Vec<FieldId>)> {
        use FieldId::*;
        vec![
            (
                0x800,
                6,
                vec![
                    EthSrc, Ipv4Src, Ipv4Dst, IpTtl, IpDscp, IpEcn, TcpSrc, TcpDst,
                ],
            ),
            (0x800, 17, vec![Ipv4Src, Ipv4Dst, IpTtl, UdpSrc, UdpDst]),
            (0x800, 1, vec![Ipv4Src, Icmpv4Type, Icmpv4Code]),
            (0x800, 132, vec![Ipv4Src, SctpSrc, SctpDst]),
            (
                0x86dd,
                6,
                vec![EthDst, Ipv6Src, Ipv6Dst, Ipv6Label, IpTtl, IpDscp, TcpSrc],
            ),
            (0x86dd, 17, vec![Ipv6Src, UdpDst]),
            (0x86dd, 58, vec![Ipv6Src, Icmpv6Type, Icmpv6Code]),
            (0x806, 1, vec![ArpOp, ArpSpa, ArpTpa, ArpSha, ArpTha]),
            (0x8847, 0, vec![MplsLabel, MplsTc, MplsTtl]),
        ]
    }

    fn packet(eth_type: u16, proto: u8, tagged: bool) -> Packet {
        let mut s = FlowState::default();
        s.set(FieldId::EthSrc, 0x0200_0000_0001);
        s.set(FieldId::EthType, eth_type.into());
        s.set(FieldId::IpProto, proto.into());
        s.set(FieldId::IpTtl, 64);
        if eth_type == 0x8847 {
            s.set(FieldId::MplsBos, 1);
        }
        if tagged {
            s.set(FieldId::VlanTci, 0x1005);
        }
        compose(&s, 50)
    }

    proptest! {
        #[test]
        fn what_is_written_is_parsed_and_all_checksums_hold(
            case in 0usize..9, field in 0usize..8, value in any::<u128>(), tagged in any::<bool>(),
        ) {
            let (eth_type, proto, fields) = cases().swap_remove(case);
            let field = fields[field % fields.len()];
            let mut p = packet(eth_type, proto, tagged);
            let meta = Metadata::default();
            let before = parse(&mut p, &meta);
            let value = value & if field == FieldId::ArpOp { 0xff } else { field.full() };
            let value = if field == FieldId::Icmpv6Type { value & 0x7f } else { value };
            prop_assert!(set_field(&mut p, field, value, field.full()));
            let after = parse(&mut p, &meta);
            let mut wanted = before;
            wanted.set(field, value);
            prop_assert_eq!(after.clone(), wanted);
            // Composing the same packet anew must give the same bytes, checksums included.
            let anew = compose(&FlowState::from_key(&after), 50);
            prop_assert_eq!(p.frame(), anew.frame());
        }

        #[test]
        fn tags_come_and_go(tci in any::<u16>()) {
            let mut p = packet(0x800, 6, false);
            let before = p.frame().to_vec();
            push_vlan(&mut p, 0x8100, tci);
            let key = parse(&mut p, &Metadata::default());
            prop_assert_eq!(key.get(FieldId::VlanTci), u128::from(tci | 0x1000));
            prop_assert!(pop_vlan(&mut p));
            prop_assert_eq!(p.frame(), &before[..]);
            prop_assert!(!pop_vlan(&mut p));
        }
    }
}
