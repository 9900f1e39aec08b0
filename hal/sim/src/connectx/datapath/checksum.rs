//! Checksums: the device's own.

use crate::switch::{Headers, kind, protocol};
use packet::FieldId;

/// The sum of 16-bit words, not folded (RFC 1071).
pub(in crate::connectx) fn sum(bytes: &[u8]) -> u32 {
    let (pairs, last) = bytes.as_chunks::<2>();
    let sum: u64 = pairs
        .iter()
        .map(|p| u64::from(u16::from_be_bytes(*p)))
        .sum();
    let mut sum = sum + last.first().map_or(0, |b| u64::from(*b) << 8);
    while sum > 0xffff_ffff {
        sum = (sum >> 32) + (sum & 0xffff_ffff);
    }
    u32::from(fold(sum as u32))
}

/// Folds a sum into 16 bits.
pub(in crate::connectx) fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Folds and complements.
pub(in crate::connectx) fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// A hash of a frame's headers, the same for all frames of a flow.
pub(in crate::connectx) fn mix(frame: &[u8]) -> u32 {
    use FieldId::*;
    let h = Headers::read_tags(frame, 2);
    let fields = [
        EthType, IpProto, Ipv4Src, Ipv4Dst, Ipv6Src, Ipv6Dst, TcpSrc, TcpDst,
    ];
    let parts = fields.map(|field| h.get(field));
    let parts = parts.into_iter().chain([h.get(EthSrc), h.get(EthDst)]);
    parts.fold(0x811c_9dc5, |hash, part| {
        let bytes = part.to_be_bytes();
        bytes.iter().fold(hash, |hash, b| {
            (hash ^ u32::from(*b)).wrapping_mul(0x0100_0193)
        })
    })
}

/// An IP packet in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connectx) struct Ip {
    pub v6: bool,
    /// Where its header begins.
    pub at: usize,
    /// Behind its last byte.
    pub end: usize,
    /// Where its transport header begins, and what that is; none in later fragments.
    pub upper: Option<(usize, u8)>,
    /// It is a part of a packet.
    pub fragment: bool,
}

impl Ip {
    /// The IP packet that begins with a frame whose first byte is `frame[begin]`.
    pub fn find(frame: &[u8], begin: usize, h: &Headers) -> Option<Ip> {
        let v6 = match h.get(FieldId::EthType) as u16 {
            kind::IPV4 => false,
            kind::IPV6 => true,
            _ => return None,
        };
        if super::super::steering::parse::ip_version(h) == 0 {
            return None;
        }
        let end = frame.len().checked_sub(h.padding)?;
        Some(Ip {
            v6,
            at: begin + h.network?,
            end,
            upper: h.transport.map(|at| (begin + at, h.upper)),
            fragment: h.get(FieldId::IpFrag) != 0,
        })
    }

    fn pseudo(&self, frame: &[u8], upper: usize, protocol: u8) -> Option<u32> {
        let addresses = if self.v6 {
            frame.get(self.at + 8..self.at + 40)?
        } else {
            frame.get(self.at + 12..self.at + 20)?
        };
        let len = u32::try_from(self.end.checked_sub(upper)?).ok()?;
        Some(sum(addresses) + u32::from(protocol) + (len >> 16) + (len & 0xffff))
    }

    /// Where the transport's checksum is, in a frame that has one.
    fn place(&self) -> Option<(usize, usize, u8)> {
        let (upper, protocol) = self.upper.filter(|_| !self.fragment)?;
        match protocol {
            protocol::TCP => Some((upper, upper + 16, protocol)),
            protocol::UDP => Some((upper, upper + 6, protocol)),
            _ => None,
        }
    }

    /// Fills in the checksum of an IPv4 header.
    pub fn fill_header(&self, frame: &mut [u8]) -> Option<()> {
        if self.v6 {
            return None;
        }
        let header = usize::from(frame.get(self.at)? & 0xf) * 4;
        let header = frame.get_mut(self.at..self.at + header)?;
        header.get_mut(10..12)?.fill(0);
        let filled = finish(sum(header));
        header
            .get_mut(10..12)?
            .copy_from_slice(&filled.to_be_bytes());
        Some(())
    }

    /// Fills in the checksum of TCP or UDP.
    pub fn fill_upper(&self, frame: &mut [u8]) -> Option<()> {
        let (upper, place, protocol) = self.place()?;
        frame.get_mut(place..place + 2)?.fill(0);
        let body = sum(frame.get(upper..self.end)?);
        let filled = finish(self.pseudo(frame, upper, protocol)? + body);
        // UDP says "none" with zero.
        let filled = if filled == 0 && protocol == protocol::UDP {
            0xffff
        } else {
            filled
        };
        frame
            .get_mut(place..place + 2)?
            .copy_from_slice(&filled.to_be_bytes());
        Some(())
    }

    /// Whether the IPv4 header's checksum is right; true of IPv6, which has none.
    pub fn header_is_good(&self, frame: &[u8]) -> bool {
        let header = frame.get(self.at).map(|b| usize::from(b & 0xf) * 4);
        let header = header.and_then(|len| frame.get(self.at..self.at + len));
        self.v6 || header.is_some_and(|header| fold(sum(header)) == 0xffff)
    }

    /// Whether the checksum of TCP or UDP is right; none if there is none.
    pub fn upper_is_good(&self, frame: &[u8]) -> Option<bool> {
        let (upper, place, protocol) = self.place()?;
        let body = frame.get(upper..self.end)?;
        if protocol == protocol::UDP && frame.get(place..place + 2)? == [0, 0] {
            return Some(!self.v6);
        }
        Some(fold(self.pseudo(frame, upper, protocol)? + sum(body)) == 0xffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_rfc() {
        // RFC 1071 §3.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes)), 0xddf2);
        assert_eq!(fold(sum(&[1])), 0x0100);
        assert_eq!(fold(sum(&[0xff; 1 << 16])), 0xffff);
    }

    #[test]
    fn what_is_filled_in_is_good() {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 53, 0, 11, 0, 0, 1, 2, 3]);
        // Padding is not part of it.
        frame.extend([0xee; 15]);
        let h = Headers::read_tags(&frame, 2);
        let ip = Ip::find(&frame, 0, &h).unwrap();
        assert_eq!(ip.end, 14 + 31);
        assert!(!ip.header_is_good(&frame));
        // No UDP checksum is none that is wrong.
        assert_eq!(ip.upper_is_good(&frame), Some(true));
        ip.fill_header(&mut frame).unwrap();
        ip.fill_upper(&mut frame).unwrap();
        assert!(ip.header_is_good(&frame));
        assert_eq!(ip.upper_is_good(&frame), Some(true));
        frame[44] ^= 1;
        assert_eq!(ip.upper_is_good(&frame), Some(false));
    }
}
