//! What the embedded switch does to a frame: writes fields, puts tags on and takes them off,
//! keeps checksums true.
//!
//! Headers are where the parser found them at the beginning of the stage; pushes and pops move
//! those places along. A write to a header that the frame does not have does nothing.

use super::headers::{Headers, kind, protocol};
use packet::{FieldId, Packet};

/// Which checksums depend on some bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cover {
    None,
    /// The IPv4 header's.
    Ip,
    /// The IPv4 header's, and the transport's through its pseudo-header.
    IpAndPseudo,
    /// The transport's through its pseudo-header.
    Pseudo,
    /// The transport's directly.
    Transport,
}

/// Bytes of a frame that hold a field: `shift` bits stand below the field in them.
struct Place {
    at: usize,
    len: usize,
    shift: u32,
    cover: Cover,
}

/// Writes the bits of `field` that `mask` names.
pub fn set(packet: &mut Packet, h: &mut Headers, field: FieldId, value: u128, mask: u128) {
    let mask = mask & field.full();
    match field {
        FieldId::PktMark => h.mark = h.mark & !(mask as u32) | (value & mask) as u32,
        FieldId::SkbPriority => h.priority = h.priority & !(mask as u32) | (value & mask) as u32,
        FieldId::SctpSrc | FieldId::SctpDst => {
            let before = sctp_sum(packet, h);
            if write(packet, h, field, value, mask).is_some()
                && let (Some(before), Some(after)) = (before, sctp_sum(packet, h))
            {
                sctp_adjust(packet, h, before ^ after);
            }
        }
        _ => {
            write(packet, h, field, value, mask);
        }
    }
}

fn write(packet: &mut Packet, h: &Headers, field: FieldId, value: u128, mask: u128) -> Option<()> {
    let place = place(packet, h, field)?;
    let range = place.at..place.at + place.len;
    let mut old = [0u8; 16];
    let old = &mut old[..place.len];
    old.copy_from_slice(packet.frame().get(range.clone())?);
    let was = old.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    let (value, mask) = (value << place.shift, mask << place.shift);
    let now = (was & !mask | value & mask).to_be_bytes();
    let new = &now[16 - place.len..];
    packet.frame_mut().get_mut(range)?.copy_from_slice(new);
    if matches!(place.cover, Cover::Ip | Cover::IpAndPseudo) {
        adjust(packet, h.network? + 10, old, new);
    }
    let pseudo = matches!(place.cover, Cover::IpAndPseudo | Cover::Pseudo);
    if old != new && (pseudo || place.cover == Cover::Transport) {
        transport_changed(packet, h, old, new, pseudo);
    }
    Some(())
}

/// Where a field stands in this frame; none if the frame does not have it.
fn place(packet: &Packet, h: &Headers, field: FieldId) -> Option<Place> {
    use FieldId::*;
    let at = |at: usize, len: usize, cover: Cover| {
        Some(Place {
            at,
            len,
            shift: 0,
            cover,
        })
    };
    let shifted = |at: usize, len: usize, shift: u32, cover: Cover| {
        Some(Place {
            at,
            len,
            shift,
            cover,
        })
    };
    match field {
        EthDst => return at(0, 6, Cover::None),
        EthSrc => return at(6, 6, Cover::None),
        _ => {}
    }
    let network = h.network?;
    let found = kind_before(packet, network)?;
    match (found, field) {
        (kind::IPV4, Ipv4Src) => return at(network + 12, 4, Cover::IpAndPseudo),
        (kind::IPV4, Ipv4Dst) => return at(network + 16, 4, Cover::IpAndPseudo),
        // The checksum counts words, so whole words are rewritten.
        (kind::IPV4, IpTtl) => return shifted(network + 8, 2, 8, Cover::Ip),
        (kind::IPV4, IpDscp | IpEcn) => return at(network, 2, Cover::Ip),
        (kind::IPV4, IpDscpShifted) => return shifted(network, 2, 2, Cover::Ip),
        (kind::IPV6, Ipv6Src) => return at(network + 8, 16, Cover::Pseudo),
        (kind::IPV6, Ipv6Dst) => return at(network + 24, 16, Cover::Pseudo),
        (kind::IPV6, Ipv6Label) => return at(network, 4, Cover::None),
        (kind::IPV6, IpTtl) => return at(network + 7, 1, Cover::None),
        (kind::IPV6, IpDscp | IpEcn) => return shifted(network, 4, 20, Cover::None),
        (kind::IPV6, IpDscpShifted) => return shifted(network, 4, 22, Cover::None),
        (kind::ARP | kind::RARP, ArpOp) => return at(network + 6, 2, Cover::None),
        (kind::ARP | kind::RARP, ArpSha) => return at(network + 8, 6, Cover::None),
        (kind::ARP | kind::RARP, ArpSpa) => return at(network + 14, 4, Cover::None),
        (kind::ARP | kind::RARP, ArpTha) => return at(network + 18, 6, Cover::None),
        (kind::ARP | kind::RARP, ArpTpa) => return at(network + 24, 4, Cover::None),
        (kind::MPLS | kind::MPLS_MULTICAST, MplsLabel) => {
            return shifted(network, 4, 12, Cover::None);
        }
        (kind::MPLS | kind::MPLS_MULTICAST, MplsTc) => return shifted(network, 4, 9, Cover::None),
        (kind::MPLS | kind::MPLS_MULTICAST, MplsBos) => return shifted(network, 4, 8, Cover::None),
        (kind::MPLS | kind::MPLS_MULTICAST, MplsTtl) => return at(network, 4, Cover::None),
        _ => {}
    }
    let upper = h.transport?;
    match (h.upper, field) {
        (protocol::TCP, TcpSrc) | (protocol::UDP, UdpSrc) => at(upper, 2, Cover::Transport),
        (protocol::TCP, TcpDst) | (protocol::UDP, UdpDst) => at(upper + 2, 2, Cover::Transport),
        (protocol::SCTP, SctpSrc) => at(upper, 2, Cover::None),
        (protocol::SCTP, SctpDst) => at(upper + 2, 2, Cover::None),
        (protocol::ICMP, Icmpv4Type) | (protocol::ICMPV6, Icmpv6Type) => {
            shifted(upper, 2, 8, Cover::Transport)
        }
        (protocol::ICMP, Icmpv4Code) | (protocol::ICMPV6, Icmpv6Code) => {
            at(upper, 2, Cover::Transport)
        }
        (protocol::ICMPV6, NdReserved) => at(upper + 4, 4, Cover::Transport),
        (protocol::ICMPV6, NdTarget) => at(upper + 8, 16, Cover::Transport),
        (protocol::ICMPV6, NdSll) => at(option(packet, upper, 1)?, 6, Cover::Transport),
        (protocol::ICMPV6, NdTll) => at(option(packet, upper, 2)?, 6, Cover::Transport),
        _ => None,
    }
}

/// The two bytes before the network header: the Ethernet type, were it a SNAP one too.
fn kind_before(packet: &Packet, network: usize) -> Option<u16> {
    let bytes = packet.frame().get(network.checked_sub(2)?..network)?;
    bytes.try_into().map(u16::from_be_bytes).ok()
}

/// Where neighbour discovery's first option of a type has its address.
fn option(packet: &Packet, upper: usize, wanted: u8) -> Option<usize> {
    let mut rest = packet.frame().get(upper + 24..)?;
    loop {
        let [found, units] = *rest.first_chunk::<2>()?;
        if (found, units) == (wanted, 1) {
            return Some(packet.len() - rest.len() + 2);
        }
        rest = rest.get(usize::from(units).max(1) * 8..)?;
    }
}

/// Ones' complement sum of 16-bit words, folded.
fn words(bytes: &[u8]) -> u32 {
    let pairs = bytes.chunks(2).map(|pair| match *pair {
        [a, b] => u32::from(a) << 8 | u32::from(b),
        [a] => u32::from(a) << 8,
        _ => 0,
    });
    fold(pairs.sum())
}

fn fold(mut sum: u32) -> u32 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum
}

/// RFC 1624, equation 3: the new sum, not complemented, from the old one.
fn updated(sum: u32, old: &[u8], new: &[u8]) -> u32 {
    fold(sum + (!words(old) & 0xffff) + words(new))
}

/// Brings a complete checksum up to date.
fn adjust(packet: &mut Packet, at: usize, old: &[u8], new: &[u8]) {
    if let Some(place) = packet.frame_mut().get_mut(at..at + 2) {
        let sum = words(&[!place[0], !place[1]]);
        let sum = !(updated(sum, old, new) as u16);
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Brings the transport's checksum up to date.
fn transport_changed(packet: &mut Packet, h: &Headers, old: &[u8], new: &[u8], pseudo: bool) {
    let Some(start) = h.transport else { return };
    let at = start
        + match h.upper {
            protocol::TCP => 16,
            protocol::UDP => 6,
            protocol::ICMPV6 => 2,
            // ICMP for IPv4 has no pseudo-header.
            protocol::ICMP if !pseudo => 2,
            _ => return,
        };
    let unfinished = packet.checksum.is_some();
    let Some(place) = packet.frame_mut().get_mut(at..at + 2) else {
        return;
    };
    if unfinished {
        // What is there is the pseudo-header's sum; the rest will be added by whoever finishes.
        if pseudo {
            let sum = updated(words(place), old, new) as u16;
            place.copy_from_slice(&sum.to_be_bytes());
        }
        return;
    }
    let udp = h.upper == protocol::UDP;
    if udp && *place == [0, 0] {
        return;
    }
    adjust(packet, at, old, new);
    if udp
        && let Some(place) = packet.frame_mut().get_mut(at..at + 2)
        && *place == [0, 0]
    {
        place.fill(0xff);
    }
}

/// SCTP's CRC-32C over the datagram, its checksum counted as zero (RFC 9260 §6.8).
fn sctp_sum(packet: &Packet, h: &Headers) -> Option<u32> {
    let end = packet.len().checked_sub(h.padding)?;
    let datagram = packet.frame().get(h.transport?..end)?;
    let mut crc = !0u32;
    for (i, byte) in datagram.iter().enumerate() {
        crc ^= if matches!(i, 8..=11) {
            0
        } else {
            u32::from(*byte)
        };
        crc = (0..8).fold(crc, |c, _| c >> 1 ^ (0x82f6_3b78 * (c & 1)));
    }
    Some(!crc)
}

/// Changes SCTP's checksum as the true one changed: a wrong one stays wrong.
fn sctp_adjust(packet: &mut Packet, h: &Headers, difference: u32) {
    let Some(at) = h.transport.map(|t| t + 8) else {
        return;
    };
    if let Some(place) = packet.frame_mut().get_mut(at..at + 4) {
        for (byte, flip) in place.iter_mut().zip(difference.to_le_bytes()) {
            *byte ^= flip;
        }
    }
}

/// Puts a VLAN tag behind the addresses. Bit 12 of `tci` says "tagged" and is zero on the wire.
pub fn push_vlan(packet: &mut Packet, h: &mut Headers, tpid: u16, tci: u16) {
    if packet.len() < 14 {
        return;
    }
    packet.insert(12, 4);
    h.moved_back(12, 4);
    let tag = u32::from(tpid) << 16 | u32::from(tci & 0xefff);
    if let Some(place) = packet.frame_mut().get_mut(12..16) {
        place.copy_from_slice(&tag.to_be_bytes());
    }
}

/// Takes the outermost VLAN tag off.
pub fn pop_vlan(packet: &mut Packet, h: &mut Headers) {
    let outer = packet.frame().get(12..18);
    if matches!(outer, Some([0x81, 0x00, ..] | [0x88, 0xa8, ..])) {
        packet.remove(12, 4);
        h.moved_up(12, 4);
    }
}

/// Puts an MPLS label in front of the network header.
pub fn push_mpls(packet: &mut Packet, h: &mut Headers, ethertype: u16, lse: u32) {
    let Some(at) = h.network.filter(|at| *at <= packet.len()) else {
        return;
    };
    packet.insert(at, 4);
    h.moved_back(at, 4);
    h.network = Some(at);
    let label = packet.frame_mut().get_mut(at..at + 4);
    if let Some(place) = label {
        place.copy_from_slice(&lse.to_be_bytes());
    }
    retype(packet, at, ethertype);
}

/// Takes the outermost MPLS label off.
pub fn pop_mpls(packet: &mut Packet, h: &mut Headers, ethertype: u16) {
    let Some(at) = h.network else { return };
    let labelled = matches!(
        kind_before(packet, at),
        Some(kind::MPLS | kind::MPLS_MULTICAST)
    );
    if !labelled || packet.len() < at + 4 {
        return;
    }
    packet.remove(at, 4);
    h.moved_up(at, 4);
    h.network = Some(at);
    retype(packet, at, ethertype);
}

fn retype(packet: &mut Packet, network: usize, ethertype: u16) {
    let Some(at) = network.checked_sub(2) else {
        return;
    };
    if let Some(place) = packet.frame_mut().get_mut(at..network) {
        place.copy_from_slice(&ethertype.to_be_bytes());
    }
}
