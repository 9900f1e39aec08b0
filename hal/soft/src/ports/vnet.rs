//! The virtio-net header (Virtual I/O Device 1.2 §5.1.6) that stands before a frame on taps and
//! packet sockets: what is still to be done to the frame.
//!
//! ```text
//!  0      1         2         4          6             8              10
//!  | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset |   (host byte order)
//! ```

use packet::{Packet, PartialChecksum, SegmentKind, Segmentation};

/// Bytes of the header.
pub const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// Reads what is still to be done into the packet. A header that makes no sense for the frame
/// (offsets beyond it, segments of nothing) is refused: such a frame must not be forwarded.
pub fn apply(header: &[u8; LEN], packet: &mut Packet) -> bool {
    let at = |i: usize| u16::from_ne_bytes([header[i], header[i + 1]]);
    let (start, offset) = (at(6), at(8));
    packet.checksum = None;
    packet.segmentation = None;
    if header[0] & NEEDS_CSUM != 0 {
        if usize::from(start) + usize::from(offset) + 2 > packet.len() {
            return false;
        }
        packet.checksum = Some(PartialChecksum { start, offset });
    }
    let kind = match header[1] & !GSO_ECN {
        0 => return true,
        GSO_TCPV4 => SegmentKind::Tcp4,
        GSO_TCPV6 => SegmentKind::Tcp6,
        GSO_UDP_L4 => SegmentKind::UdpL4,
        _ => return false,
    };
    let size = at(4);
    if size == 0 || packet.checksum.is_none() {
        return false;
    }
    packet.segmentation = Some(Segmentation {
        kind,
        size,
        ecn: header[1] & GSO_ECN != 0,
    });
    true
}

/// The header that says what is still to be done.
pub fn header(packet: &Packet) -> [u8; LEN] {
    let mut h = [0; LEN];
    if let Some(c) = packet.checksum {
        h[0] = NEEDS_CSUM;
        h[6..8].copy_from_slice(&c.start.to_ne_bytes());
        h[8..10].copy_from_slice(&c.offset.to_ne_bytes());
    }
    if let Some(s) = packet.segmentation {
        h[1] = match s.kind {
            SegmentKind::Tcp4 => GSO_TCPV4,
            SegmentKind::Tcp6 => GSO_TCPV6,
            SegmentKind::UdpL4 => GSO_UDP_L4,
        } | if s.ecn { GSO_ECN } else { 0 };
        h[2..4].copy_from_slice(&headers_len(packet).to_ne_bytes());
        h[4..6].copy_from_slice(&s.size.to_ne_bytes());
    }
    h
}

/// Whether a header asks for segments to be cut.
pub fn is_segmented(header: &[u8; LEN]) -> bool {
    header[1] != 0
}

/// Says how many bytes at the beginning of the frame are headers.
pub fn set_headers_len(header: &mut [u8; LEN], len: u16) {
    header[2..4].copy_from_slice(&len.to_ne_bytes());
}

/// Bytes of all headers: what every segment begins with.
fn headers_len(packet: &Packet) -> u16 {
    let start = packet.checksum.map_or(0, |c| c.start);
    let transport = match packet.segmentation.map(|s| s.kind) {
        Some(SegmentKind::UdpL4) => 8,
        // TCP's data offset, in words of four bytes.
        _ => {
            let at = usize::from(start) + 12;
            packet.frame().get(at).map_or(20, |b| u16::from(b >> 4) * 4)
        }
    };
    start.saturating_add(transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_and_nonsense_is_refused() {
        let mut p = Packet::from_frame(&[0u8; 100]);
        p.checksum = Some(PartialChecksum {
            start: 34,
            offset: 16,
        });
        p.segmentation = Some(Segmentation {
            kind: SegmentKind::Tcp4,
            size: 1448,
            ecn: true,
        });
        let h = header(&p);
        let mut q = Packet::from_frame(&[0u8; 100]);
        assert!(apply(&h, &mut q));
        assert_eq!((q.checksum, q.segmentation), (p.checksum, p.segmentation));
        let mut short = Packet::from_frame(&[0u8; 40]);
        assert!(!apply(&h, &mut short));
        let mut odd = h;
        odd[1] = 77;
        assert!(!apply(&odd, &mut q));
    }
}
