//! A frame in a buffer, with what its sender left unfinished.

use std::fmt;

/// Room kept in front of a frame, for tags and tunnel headers to be pushed.
pub const HEADROOM: usize = 128;

/// A transport checksum that is still to be computed (virtio-net's `NEEDS_CSUM`).
///
/// The checksum covers the frame from `start` to its end and is stored `offset` bytes after
/// `start`, where the pseudo-header's sum already stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Bytes from the beginning of the frame.
    pub start: u16,
    /// Bytes from `start`.
    pub offset: u16,
}

/// The kind of a frame that is still to be cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SegmentKind {
    Tcp4,
    Tcp6,
    /// UDP datagrams of equal length, each with a header of its own.
    UdpL4,
}

/// A frame that is still to be cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// What is cut.
    pub kind: SegmentKind,
    /// Payload bytes a segment, at least 1.
    pub size: u16,
    /// The TCP congestion bit is only for the first segment.
    pub ecn: bool,
}

/// Where a frame's layers begin, in bytes from its start; absent where parsing did not get there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// After the Ethernet header and its tags.
    pub network: Option<u16>,
    /// Transport header; absent in later fragments too.
    pub transport: Option<u16>,
    /// The transport protocol, where `transport` is present.
    pub protocol: u8,
    /// Bytes after the network packet's end (Ethernet padding).
    pub padding: u16,
}

/// A frame from Ethernet header to payload, without frame check sequence.
#[derive(Clone, Default)]
pub struct Packet {
    buf: Vec<u8>,
    start: usize,
    /// The transport checksum that is still to be computed.
    pub checksum: Option<PartialChecksum>,
    /// The cutting that is still to be done.
    pub segmentation: Option<Segmentation>,
    /// What the last [`parse()`](crate::parse()) found.
    pub layers: Layers,
}

impl Packet {
    /// An empty packet with room for an ordinary frame.
    pub fn new() -> Packet {
        Packet {
            buf: Vec::with_capacity(HEADROOM + 2048),
            ..Packet::default()
        }
    }

    /// A packet that holds a copy of `frame`.
    pub fn from_frame(frame: &[u8]) -> Packet {
        let mut p = Packet::default();
        p.assign(frame);
        p
    }

    /// Makes the packet a copy of `frame` with nothing unfinished, keeping its buffer.
    pub fn assign(&mut self, frame: &[u8]) {
        self.buf.clear();
        self.buf.resize(HEADROOM, 0);
        self.buf.extend_from_slice(frame);
        self.start = HEADROOM;
        self.checksum = None;
        self.segmentation = None;
        self.layers = Layers::default();
    }

    /// Makes the packet a copy of `other`, keeping its buffer.
    pub fn assign_packet(&mut self, other: &Packet) {
        self.assign(other.frame());
        self.checksum = other.checksum;
        self.segmentation = other.segmentation;
        self.layers = other.layers;
    }

    /// A buffer of `len` bytes to receive a frame into; [`Packet::truncate`] cuts it afterwards.
    pub fn receive_buffer(&mut self, len: usize) -> &mut [u8] {
        // The bytes that were there before may stay: the receiver overwrites and truncates.
        self.buf.resize(HEADROOM + len, 0);
        self.start = HEADROOM;
        self.checksum = None;
        self.segmentation = None;
        self.layers = Layers::default();
        self.buf.get_mut(HEADROOM..).unwrap_or_default()
    }

    /// The frame.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        self.buf.get(self.start..).unwrap_or_default()
    }

    /// The frame, to be changed in place.
    #[inline]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.start..).unwrap_or_default()
    }

    /// Length of the frame in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.buf.len().saturating_sub(self.start)
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts the frame to at most `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(self.start.saturating_add(len));
    }

    /// Makes room for `n` bytes at `offset` of the frame, moving what is before it to the front;
    /// the new bytes are zero. Nothing happens if `offset` lies beyond the frame.
    pub fn insert(&mut self, offset: usize, n: usize) {
        if offset > self.len() {
            return;
        }
        if self.start < n {
            let more = n - self.start + HEADROOM;
            self.buf.splice(0..0, std::iter::repeat_n(0, more));
            self.start += more;
        }
        let old = self.start;
        self.start -= n;
        self.buf.copy_within(old..old + offset, self.start);
        let gap = self.start + offset;
        self.buf[gap..gap + n].fill(0);
        self.shift_offsets(offset, n as isize);
    }

    /// Takes `n` bytes at `offset` out of the frame. Nothing happens if they are not there.
    pub fn remove(&mut self, offset: usize, n: usize) {
        if offset + n > self.len() {
            return;
        }
        let old = self.start;
        self.start += n;
        self.buf.copy_within(old..old + offset, self.start);
        self.shift_offsets(offset, -(n as isize));
    }

    /// After bytes came or went at `at`, moves the offsets that lie behind it.
    fn shift_offsets(&mut self, at: usize, by: isize) {
        let shift = |v: &mut u16| {
            if usize::from(*v) >= at {
                *v = u16::try_from(isize::try_from(*v).unwrap_or(0) + by).unwrap_or(0);
            }
        };
        self.layers.network.as_mut().map(shift);
        self.layers.transport.as_mut().map(shift);
        if let Some(c) = &mut self.checksum {
            shift(&mut c.start);
        }
    }

    /// Computes the checksum that was left unfinished, if any.
    pub fn finish_checksum(&mut self) {
        let Some(PartialChecksum { start, offset }) = self.checksum.take() else {
            return;
        };
        let (start, offset) = (usize::from(start), usize::from(offset));
        let frame = self.frame_mut();
        let Some(part) = frame.get_mut(start..) else {
            return;
        };
        let sum = crate::checksum::finish(crate::checksum::sum(part));
        // UDP says "no checksum" with zero; a sum of zero is sent as all ones.
        let sum = if sum == 0 && offset == 6 { 0xffff } else { sum };
        if let Some(at) = part.get_mut(offset..offset + 2) {
            at.copy_from_slice(&sum.to_be_bytes());
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({} bytes", self.len())?;
        if let Some(c) = self.checksum {
            write!(f, ", checksum at {}+{}", c.start, c.offset)?;
        }
        if let Some(s) = self.segmentation {
            write!(f, ", {:?} of {}", s.kind, s.size)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_and_go_in_the_middle() {
        let mut p = Packet::from_frame(b"abcdef");
        p.checksum = Some(PartialChecksum {
            start: 4,
            offset: 0,
        });
        p.insert(3, 2);
        assert_eq!(p.frame(), b"abc\0\0def");
        assert_eq!(p.checksum.map(|c| c.start), Some(6));
        p.remove(1, 4);
        assert_eq!(p.frame(), b"adef");
        for _ in 0..40 {
            p.insert(0, 50);
        }
        assert_eq!(p.len(), 2004);
        assert_eq!(&p.frame()[2000..], b"adef");
    }
}
