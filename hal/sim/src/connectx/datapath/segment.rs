//! Cutting large sends into frames (LSO): TCP, and UDP in datagrams of equal length.

use super::checksum::Ip;
use crate::connectx::steering::parse::Parsed;
use crate::switch::protocol;
use std::collections::BTreeSet;

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// Cuts a frame whose headers have `headers` bytes into frames with `size` bytes of payload each.
/// Lengths, sequence numbers, identifications and checksums are made right in each, on all levels
/// of a tunnel. None if the headers are not what can be cut.
pub(in crate::connectx) fn segments(
    frame: &[u8],
    headers: usize,
    size: usize,
    vxlan: &BTreeSet<u16>,
) -> Option<Vec<Vec<u8>>> {
    let parsed = Parsed::read(frame, vxlan);
    let outer = Ip::find(frame, 0, &parsed.outer);
    let inner = parsed.inner.as_ref().and_then(|inside| {
        let bytes = frame.get(inside.at..)?;
        let ip = Ip::find(bytes, 0, &inside.headers)?;
        Some(Ip {
            at: ip.at + inside.at,
            end: ip.end + inside.at,
            upper: ip.upper.map(|(at, protocol)| (at + inside.at, protocol)),
            ..ip
        })
    });
    // What is cut is the innermost that ends where the headers end.
    let levels: Vec<Ip> = outer.into_iter().chain(inner).collect();
    let cut = levels.last()?;
    let (upper, protocol) = cut.upper?;
    let upper_len = match protocol {
        protocol::TCP => usize::from(frame.get(upper + 12)? >> 4) * 4,
        protocol::UDP => 8,
        _ => return None,
    };
    if upper + upper_len != headers || size == 0 || headers >= frame.len() {
        return None;
    }
    let (head, payload) = frame.split_at(headers);
    let count = payload.len().div_ceil(size);
    let mut out = Vec::with_capacity(count);
    for (i, part) in payload.chunks(size).enumerate() {
        let mut segment = [head, part].concat();
        if protocol == protocol::TCP {
            tcp(&mut segment, upper, i * size, i == 0, i + 1 == count)?;
        } else {
            put(&mut segment, upper + 4, 8 + part.len())?;
        }
        for (depth, level) in levels.iter().enumerate() {
            let outermost = depth + 1 < levels.len();
            lengths(&mut segment, level, i, outermost)?;
        }
        // From the inside out: the outer checksum covers the inner one.
        for level in levels.iter().rev() {
            let level = Ip {
                end: segment.len(),
                ..*level
            };
            level.fill_header(&mut segment);
            let tunnel = level.upper != cut.upper;
            let unused = level.upper.is_some_and(|(at, protocol)| {
                protocol == protocol::UDP && segment.get(at + 6..at + 8) == Some(&[0, 0])
            });
            // A tunnel without a checksum keeps none.
            if !(tunnel && unused) {
                level.fill_upper(&mut segment);
            }
        }
        out.push(segment);
    }
    Some(out)
}

fn put(frame: &mut [u8], at: usize, value: usize) -> Option<()> {
    let value = (value as u16).to_be_bytes();
    frame.get_mut(at..at + 2)?.copy_from_slice(&value);
    Some(())
}

/// Sequence number and flags: the ends are for the ends.
fn tcp(segment: &mut [u8], upper: usize, offset: usize, first: bool, last: bool) -> Option<()> {
    let place = segment.get_mut(upper + 4..upper + 8)?;
    let sequence = u32::from_be_bytes(*place.first_chunk()?);
    let sequence = sequence.wrapping_add(offset as u32);
    place.copy_from_slice(&sequence.to_be_bytes());
    let flags = segment.get_mut(upper + 13)?;
    if !last {
        *flags &= !FIN_PSH;
    }
    if !first {
        *flags &= !CWR;
    }
    Some(())
}

/// The IP header's length and identification, and the UDP length of a tunnel.
fn lengths(segment: &mut [u8], level: &Ip, index: usize, tunnel: bool) -> Option<()> {
    let len = segment.len().checked_sub(level.at)?;
    if level.v6 {
        put(segment, level.at + 4, len.checked_sub(40)?)?;
    } else {
        put(segment, level.at + 2, len)?;
        let place = segment.get(level.at + 4..)?;
        let id = u16::from_be_bytes(*place.first_chunk()?);
        put(
            segment,
            level.at + 4,
            usize::from(id.wrapping_add(index as u16)),
        )?;
    }
    if tunnel && let Some((upper, protocol::UDP)) = level.upper {
        let len = segment.len().checked_sub(upper)?;
        put(segment, upper + 4, len)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::Headers;

    fn tcp_frame(payload: usize) -> Vec<u8> {
        let mut frame = vec![2; 12];
        let len = (40 + payload) as u16;
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([0xff, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 80, 0x30, 0x39, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1]);
        frame.extend([0x50, CWR | FIN_PSH | 0x10, 1, 0, 0, 0, 0, 0]);
        frame.extend((0..payload).map(|i| i as u8));
        frame
    }

    #[test]
    fn a_large_send_becomes_frames_that_are_right() {
        let frame = tcp_frame(2500);
        let cut = segments(&frame, 54, 1000, &BTreeSet::new()).unwrap();
        let lengths: Vec<usize> = cut.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1054, 1054, 554]);
        let payload: Vec<u8> = cut.iter().flat_map(|s| s[54..].to_vec()).collect();
        assert_eq!(payload, frame[54..]);
        for (i, segment) in cut.iter().enumerate() {
            let h = Headers::read_tags(segment, 2);
            let ip = Ip::find(segment, 0, &h).unwrap();
            assert!(ip.header_is_good(segment));
            assert_eq!(ip.upper_is_good(segment), Some(true));
            let id = u16::from_be_bytes([segment[18], segment[19]]);
            assert_eq!(id, 0xffffu16.wrapping_add(i as u16));
        }
        let flags: Vec<u8> = cut.iter().map(|s| s[47]).collect();
        assert_eq!(flags, [CWR | 0x10, 0x10, FIN_PSH | 0x10]);
        let second = u32::from_be_bytes(*cut[1][38..].first_chunk().unwrap());
        assert_eq!(second, 0xffff_fff0u32.wrapping_add(1000));
    }

    #[test]
    fn what_cannot_be_cut_is_not() {
        let frame = tcp_frame(100);
        let none = BTreeSet::new();
        assert_eq!(segments(&frame, 50, 10, &none), None);
        assert_eq!(segments(&frame, 54, 0, &none), None);
        assert_eq!(segments(&frame[..54], 54, 10, &none), None);
        let mut arp = frame.clone();
        arp[13] = 6;
        assert_eq!(segments(&arp, 54, 10, &none), None);
    }
}
