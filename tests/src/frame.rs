//! Packets built byte by byte, with checksums of their own making: what the switch's code says of
//! a packet is never asked to judge itself.

/// A station's Ethernet address in these tests: locally administered, ending in `n`.
pub fn mac(n: u8) -> [u8; 6] {
    [0x52, 0x54, 0, 0, 0, n]
}

/// Bytes as hexadecimal digits, as `netdev-dummy/receive` takes them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// An Ethernet frame.
pub fn ethernet(dst: [u8; 6], src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + payload.len());
    frame.extend_from_slice(&dst);
    frame.extend_from_slice(&src);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// `frame` with an 802.1Q tag of this VLAN and priority before its Ethernet type.
pub fn tagged(frame: &[u8], vid: u16, pcp: u8) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let tci = (u16::from(pcp) << 13) | (vid & 0xfff);
    let mut out = addresses.to_vec();
    out.extend_from_slice(&0x8100u16.to_be_bytes());
    out.extend_from_slice(&tci.to_be_bytes());
    out.extend_from_slice(rest);
    out
}

/// The internet checksum (RFC 1071) of these pieces, as if they stood one after another; each but
/// the last has an even length.
pub fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            let high = u32::from(pair[0]) << 8;
            let low = pair.get(1).copied().map_or(0, u32::from);
            sum += high | low;
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

/// What an IPv4 header says here; the rest of it is plain.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4 {
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
    /// DSCP and ECN.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
}

impl Ipv4 {
    /// From and to, with TTL 64.
    pub fn new(src: [u8; 4], dst: [u8; 4]) -> Ipv4 {
        Ipv4 {
            src,
            dst,
            tos: 0,
            ttl: 64,
        }
    }

    /// The header, with its checksum, before `payload` of protocol `proto`.
    pub fn packet(&self, proto: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + payload.len()).expect("an IPv4 length");
        let mut header = vec![0x45, self.tos];
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&[0, 0, 0x40, 0, self.ttl, proto, 0, 0]);
        header.extend_from_slice(&self.src);
        header.extend_from_slice(&self.dst);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend_from_slice(payload);
        header
    }

    fn pseudo(&self, proto: u8, length: usize) -> Vec<u8> {
        let mut bytes = self.src.to_vec();
        bytes.extend_from_slice(&self.dst);
        bytes.extend_from_slice(&[0, proto]);
        bytes.extend_from_slice(&u16::try_from(length).expect("a length").to_be_bytes());
        bytes
    }

    /// A UDP datagram in its packet.
    pub fn udp(&self, from: u16, to: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + data.len()).expect("a UDP length");
        let mut segment = from.to_be_bytes().to_vec();
        segment.extend_from_slice(&to.to_be_bytes());
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend_from_slice(data);
        let sum = match checksum(&[&self.pseudo(17, segment.len()), &segment]) {
            0 => 0xffff,
            sum => sum,
        };
        segment[6..8].copy_from_slice(&sum.to_be_bytes());
        self.packet(17, &segment)
    }

    /// A TCP segment with these flags in its packet.
    pub fn tcp(&self, from: u16, to: u16, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut segment = from.to_be_bytes().to_vec();
        segment.extend_from_slice(&to.to_be_bytes());
        segment.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
        segment.extend_from_slice(data);
        let sum = checksum(&[&self.pseudo(6, segment.len()), &segment]);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.packet(6, &segment)
    }

    /// An ICMP echo request (type 8) or any other message of that layout, in its packet.
    pub fn icmp(&self, kind: u8, code: u8, data: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0, 0, 1, 0, 1];
        message.extend_from_slice(data);
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.packet(1, &message)
    }
}

/// The addresses and limit of an IPv6 header; the rest of it is plain.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6 {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Traffic class.
    pub class: u8,
    /// Hop limit.
    pub hops: u8,
}

impl Ipv6 {
    /// The header before `payload` of protocol `next`.
    pub fn packet(&self, next: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).expect("an IPv6 length");
        let mut header = vec![0x60 | (self.class >> 4), self.class << 4, 0, 0];
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&[next, self.hops]);
        header.extend_from_slice(&self.src);
        header.extend_from_slice(&self.dst);
        header.extend_from_slice(payload);
        header
    }

    fn pseudo(&self, next: u8, length: usize) -> Vec<u8> {
        let mut bytes = self.src.to_vec();
        bytes.extend_from_slice(&self.dst);
        bytes.extend_from_slice(&u32::try_from(length).expect("a length").to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, next]);
        bytes
    }

    /// A UDP datagram in its packet.
    pub fn udp(&self, from: u16, to: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + data.len()).expect("a UDP length");
        let mut segment = from.to_be_bytes().to_vec();
        segment.extend_from_slice(&to.to_be_bytes());
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend_from_slice(data);
        let sum = match checksum(&[&self.pseudo(17, segment.len()), &segment]) {
            0 => 0xffff,
            sum => sum,
        };
        segment[6..8].copy_from_slice(&sum.to_be_bytes());
        self.packet(17, &segment)
    }

    /// A TCP segment with these flags in its packet.
    pub fn tcp(&self, from: u16, to: u16, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut segment = from.to_be_bytes().to_vec();
        segment.extend_from_slice(&to.to_be_bytes());
        segment.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
        segment.extend_from_slice(data);
        let sum = checksum(&[&self.pseudo(6, segment.len()), &segment]);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.packet(6, &segment)
    }

    /// An echo request (type 128), or any other ICMPv6 message of that layout, in its packet.
    pub fn icmp(&self, kind: u8, code: u8, data: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0, 0, 1, 0, 1];
        message.extend_from_slice(data);
        let sum = checksum(&[&self.pseudo(58, message.len()), &message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.packet(58, &message)
    }
}

/// An ARP packet for IPv4 over Ethernet (RFC 826): operation 1 asks, 2 answers.
pub fn arp(operation: u16, sha: [u8; 6], spa: [u8; 4], tha: [u8; 6], tpa: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend_from_slice(&operation.to_be_bytes());
    bytes.extend_from_slice(&sha);
    bytes.extend_from_slice(&spa);
    bytes.extend_from_slice(&tha);
    bytes.extend_from_slice(&tpa);
    bytes
}
