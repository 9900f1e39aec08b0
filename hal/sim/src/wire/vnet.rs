//! The virtio-net header (Virtual I/O Device 1.2 §5.1.6) before a frame on taps and packet
//! sockets: what is still to be done to it.
//!
//! ```text
//!  0       1          2         4          6            8             10
//!  | flags | gso type | hdr len | gso size | csum start | csum offset |  (host byte order)
//! ```

use packet::{Packet, PartialChecksum, SegmentKind, Segmentation};

pub(super) const LEN: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const ECN: u8 = 0x80;
const KINDS: [(u8, SegmentKind); 3] = [
    (1, SegmentKind::Tcp4),
    (4, SegmentKind::Tcp6),
    (5, SegmentKind::UdpL4),
];

/// Takes the header's word over into the packet; false if it makes no sense for the frame.
pub(super) fn read(header: &[u8; LEN], packet: &mut Packet) -> bool {
    let [flags, gso, _, _, s0, s1, c0, c1, o0, o1] = *header;
    let (start, offset) = (u16::from_ne_bytes([c0, c1]), u16::from_ne_bytes([o0, o1]));
    let size = u16::from_ne_bytes([s0, s1]);
    packet.checksum = (flags & NEEDS_CHECKSUM != 0).then_some(PartialChecksum { start, offset });
    packet.segmentation = None;
    if packet.checksum.is_some() && usize::from(start) + usize::from(offset) + 2 > packet.len() {
        return false;
    }
    if gso & !ECN == 0 {
        return true;
    }
    let kind = KINDS.iter().find(|(number, _)| *number == gso & !ECN);
    packet.segmentation = kind.map(|(_, kind)| Segmentation {
        kind: *kind,
        size,
        ecn: gso & ECN != 0,
    });
    kind.is_some() && size > 0 && packet.checksum.is_some()
}

/// The header for a packet. Where the frame was cut in front of its checksum, nothing is left to
/// be done.
pub(super) fn write(packet: &Packet) -> [u8; LEN] {
    let mut header = [0; LEN];
    let fits =
        |c: &PartialChecksum| usize::from(c.start) + usize::from(c.offset) + 2 <= packet.len();
    let Some(sum) = packet.checksum.filter(fits) else {
        return header;
    };
    header[0] = NEEDS_CHECKSUM;
    header[6..8].copy_from_slice(&sum.start.to_ne_bytes());
    header[8..10].copy_from_slice(&sum.offset.to_ne_bytes());
    let Some(cut) = packet.segmentation else {
        return header;
    };
    let upper = match cut.kind {
        SegmentKind::UdpL4 => 8,
        // TCP's data offset, in words.
        _ => {
            let at = usize::from(sum.start) + 12;
            packet.frame().get(at).map_or(20, |b| u16::from(b >> 4) * 4)
        }
    };
    let headers = sum.start.saturating_add(upper);
    if usize::from(headers) + usize::from(cut.size) >= packet.len() {
        // It fits one segment.
        return header;
    }
    let number = KINDS.iter().find(|(_, kind)| *kind == cut.kind);
    header[1] = number.map_or(0, |(n, _)| *n) | if cut.ecn { ECN } else { 0 };
    header[2..4].copy_from_slice(&headers.to_ne_bytes());
    header[4..6].copy_from_slice(&cut.size.to_ne_bytes());
    header
}
