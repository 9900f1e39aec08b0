//! Cuts a frame into the segments that its sender left uncut, for ports that cannot.

use crate::checksum;
use crate::frame::{Packet, SegmentKind};
use crate::parse::{Metadata, ipproto, parse_frame};
use crate::{PacketKey, Segmentation};

/// TCP flags that only the last segment has (FIN, PSH), and the one that only the first has (CWR).
const ONLY_LAST: u8 = 0x09;
const ONLY_FIRST: u8 = 0x80;

/// The segments of a frame, each a frame whose lengths and checksums are right; the frame itself,
/// finished, if there is nothing to cut.
///
/// A frame that says that it is to be cut and is no TCP or UDP over IP gives none.
pub fn segments(packet: &Packet) -> impl Iterator<Item = Packet> + '_ {
    let cut = packet.segmentation.map(|how| Cut::of(packet, how));
    let count = match &cut {
        None => 1,
        Some(None) => 0,
        Some(Some(cut)) => cut.count(),
    };
    (0..count).filter_map(move |i| match &cut {
        Some(Some(cut)) => cut.segment(i),
        _ => {
            let mut whole = packet.clone();
            whole.finish_checksum();
            Some(whole)
        }
    })
}

struct Cut<'a> {
    frame: &'a [u8],
    how: Segmentation,
    network: usize,
    transport: usize,
    /// Where the payload begins.
    payload: usize,
}

impl<'a> Cut<'a> {
    fn of(packet: &'a Packet, how: Segmentation) -> Option<Cut<'a>> {
        let frame = packet.frame();
        let mut key = PacketKey::EMPTY;
        let layers = parse_frame(frame, &Metadata::default(), &mut key);
        let (network, transport) = (layers.network?.into(), usize::from(layers.transport?));
        let header = match (how.kind, layers.protocol) {
            (SegmentKind::UdpL4, ipproto::UDP) => 8,
            (SegmentKind::Tcp4 | SegmentKind::Tcp6, ipproto::TCP) => {
                usize::from(frame.get(transport + 12)? >> 4) * 4
            }
            _ => return None,
        };
        let payload = transport + header;
        (how.size > 0 && payload <= frame.len()).then_some(Cut {
            frame,
            how,
            network,
            transport,
            payload,
        })
    }

    fn count(&self) -> usize {
        let len = self.frame.len() - self.payload;
        len.div_ceil(usize::from(self.how.size)).max(1)
    }

    fn segment(&self, i: usize) -> Option<Packet> {
        let size = usize::from(self.how.size);
        let data = self.frame.get(self.payload..)?;
        let from = (i * size).min(data.len());
        let part = &data[from..data.len().min(from + size)];
        let mut bytes = self.frame[..self.payload].to_vec();
        bytes.extend_from_slice(part);
        let (ip, transport) = bytes.split_at_mut(self.transport);
        let ip = ip.get_mut(self.network..)?;
        let len = transport.len();
        let (addresses, protocol) = if ip.first()? >> 4 == 4 {
            let total = u16::try_from(ip.len() + len).ok()?;
            ip.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
            let id = u16::from_be_bytes([*ip.get(4)?, *ip.get(5)?]).wrapping_add(i as u16);
            ip.get_mut(4..6)?.copy_from_slice(&id.to_be_bytes());
            ip.get_mut(10..12)?.fill(0);
            let header = usize::from(ip.first()? & 0xf) * 4;
            let sum = checksum::checksum(ip.get(..header)?);
            ip.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
            (ip.get(12..20)?, *ip.get(9)?)
        } else {
            let total = u16::try_from(ip.len() - 40 + len).ok()?;
            ip.get_mut(4..6)?.copy_from_slice(&total.to_be_bytes());
            let protocol = match self.how.kind {
                SegmentKind::UdpL4 => ipproto::UDP,
                _ => ipproto::TCP,
            };
            (ip.get(8..40)?, protocol)
        };
        let at = if self.how.kind == SegmentKind::UdpL4 {
            let len = u16::try_from(len).ok()?;
            transport.get_mut(4..6)?.copy_from_slice(&len.to_be_bytes());
            6
        } else {
            let sequence = u32::from_be_bytes(*transport.get(4..8)?.first_chunk()?);
            let sequence = sequence.wrapping_add(from as u32);
            transport
                .get_mut(4..8)?
                .copy_from_slice(&sequence.to_be_bytes());
            let flags = transport.get_mut(13)?;
            if i + 1 < self.count() {
                *flags &= !ONLY_LAST;
            }
            if i > 0 {
                *flags &= !ONLY_FIRST;
            }
            16
        };
        transport.get_mut(at..at + 2)?.fill(0);
        let pseudo = checksum::pseudo_header(addresses, protocol, len as u32);
        let sum =
            u32::from(checksum::fold(pseudo)) + u32::from(checksum::fold(checksum::sum(transport)));
        let sum = match checksum::finish(sum) {
            // UDP says "no checksum" with zero; a sum of zero is sent as all ones.
            0 if at == 6 => 0xffff,
            sum => sum,
        };
        transport
            .get_mut(at..at + 2)?
            .copy_from_slice(&sum.to_be_bytes());
        Some(Packet::from_frame(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FieldId, FlowState, PartialChecksum, compose, parse};

    fn uncut(v6: bool, proto: u8, kind: SegmentKind) -> Packet {
        let mut state = FlowState::default();
        state.set(FieldId::EthType, if v6 { 0x86dd } else { 0x800 });
        state.set(FieldId::IpProto, proto.into());
        state.set(FieldId::IpTtl, 64);
        state.set(
            if v6 {
                FieldId::Ipv6Src
            } else {
                FieldId::Ipv4Src
            },
            0x0102,
        );
        state.set(FieldId::TcpSrc, 1);
        state.set(FieldId::TcpDst, 2);
        // FIN, PSH, ACK, CWR.
        state.set(FieldId::TcpFlags, 0x99);
        let mut p = compose(&state, 2500);
        let transport = if v6 { 54 } else { 34 };
        p.checksum = Some(PartialChecksum {
            start: transport,
            offset: if proto == 6 { 16 } else { 6 },
        });
        p.segmentation = Some(Segmentation {
            kind,
            size: 1000,
            ecn: false,
        });
        p
    }

    /// The sum over a transport header with its pseudo-header: all ones if the checksum is right.
    fn sum_of(p: &Packet, v6: bool, proto: u8) -> u16 {
        let (addresses, transport) = if v6 { (22..54, 54) } else { (26..34, 34) };
        let part = &p.frame()[transport..];
        let pseudo = checksum::pseudo_header(&p.frame()[addresses], proto, part.len() as u32);
        checksum::fold(
            u32::from(checksum::fold(pseudo)) + u32::from(checksum::fold(checksum::sum(part))),
        )
    }

    #[test]
    fn each_segment_is_a_whole_packet_and_all_together_are_the_payload() {
        for (v6, proto, kind) in [
            (false, 6, SegmentKind::Tcp4),
            (true, 6, SegmentKind::Tcp6),
            (false, 17, SegmentKind::UdpL4),
            (true, 17, SegmentKind::UdpL4),
        ] {
            let whole = uncut(v6, proto, kind);
            let payload = whole.len() - 2500;
            let cut: Vec<Packet> = segments(&whole).collect();
            let lens: Vec<usize> = cut.iter().map(|p| p.len() - payload).collect();
            assert_eq!(lens, [1000, 1000, 500]);
            let together: Vec<u8> = cut
                .iter()
                .flat_map(|p| &p.frame()[payload..])
                .copied()
                .collect();
            assert_eq!(together, &whole.frame()[payload..]);
            for (i, p) in cut.iter().enumerate() {
                assert_eq!(sum_of(p, v6, proto), 0xffff, "{kind:?} {i}");
                let mut p = p.clone();
                let key = parse(&mut p, &Metadata::default());
                assert_eq!(p.layers.padding, 0, "{kind:?} {i}");
                if proto == 6 {
                    let flags = [0x90, 0x10, 0x19][i];
                    assert_eq!(key.get(FieldId::TcpFlags), flags, "{kind:?} {i}");
                    let at = usize::from(p.layers.transport.unwrap());
                    let sequence = u32::from_be_bytes(*p.frame()[at + 4..].first_chunk().unwrap());
                    assert_eq!(sequence, i as u32 * 1000);
                }
            }
        }
    }

    #[test]
    fn what_is_whole_stays_whole_and_what_makes_no_sense_is_nothing() {
        let mut p = uncut(false, 6, SegmentKind::Tcp4);
        p.segmentation = None;
        assert_eq!(segments(&p).count(), 1);
        let mut p = uncut(false, 6, SegmentKind::UdpL4);
        assert_eq!(segments(&p).count(), 0);
        p.truncate(20);
        assert_eq!(segments(&p).count(), 0);
    }
}
