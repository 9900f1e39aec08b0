//! What the device reads of a frame: the embedded switch's parser for the outer headers, the
//! tunnel behind them, and the same parser again for what is inside.

use crate::switch::{Headers, kind, protocol};
use packet::FieldId;
use std::collections::BTreeSet;

/// Tags that are read.
const TAGS: usize = 2;
const ETHERNET: usize = 14;
/// VXLAN's port from the beginning (RFC 7348); others can be added.
pub(in crate::connectx) const VXLAN_PORT: u16 = 4789;
const VXLAN_GPE_PORT: u16 = 4790;
const GENEVE_PORT: u16 = 6081;
const GRE: u8 = 47;
/// Ethernet inside of GRE or Geneve.
const BRIDGED: u16 = 0x6558;

/// The header of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connectx) enum Tunnel {
    Vxlan {
        vni: u32,
    },
    VxlanGpe {
        flags: u8,
        next: u8,
        vni: u32,
    },
    Gre {
        /// The first two bytes.
        flags: u16,
        protocol: u16,
        key: u32,
    },
    Geneve {
        /// In words.
        options: u8,
        oam: bool,
        protocol: u16,
        vni: u32,
    },
}

/// What is inside of a tunnel.
#[derive(Clone, Debug)]
pub(in crate::connectx) struct Inside {
    /// Where the inner Ethernet header is, or would be: without one, 14 bytes before the inner IP
    /// header.
    pub at: usize,
    /// It has an Ethernet header.
    pub ethernet: bool,
    pub headers: Headers,
}

/// A frame's headers.
#[derive(Clone, Debug)]
pub(in crate::connectx) struct Parsed {
    pub outer: Headers,
    pub tunnel: Option<Tunnel>,
    pub inner: Option<Inside>,
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*pair))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*four))
}

impl Parsed {
    /// Reads a frame; `vxlan` are the ports on which VXLAN is expected.
    pub fn read(frame: &[u8], vxlan: &BTreeSet<u16>) -> Parsed {
        let outer = Headers::read_tags(frame, TAGS);
        let mut parsed = Parsed {
            outer,
            tunnel: None,
            inner: None,
        };
        if let Some((tunnel, at, protocol)) = tunnel(frame, &parsed.outer, vxlan) {
            parsed.tunnel = Some(tunnel);
            parsed.inner = inside(frame, at, protocol);
        }
        parsed
    }
}

/// The tunnel of a frame: its header, where its payload begins, and the payload's Ethernet type
/// (0x6558 = Ethernet).
fn tunnel(frame: &[u8], h: &Headers, vxlan: &BTreeSet<u16>) -> Option<(Tunnel, usize, u16)> {
    let at = h.transport?;
    match h.upper {
        protocol::UDP => {
            let (port, at) = (half(frame, at + 2)?, at + 8);
            let first = word(frame, at)?;
            let vni = word(frame, at + 4)? >> 8;
            match port {
                GENEVE_PORT => {
                    let options = (first >> 24 & 0x3f) as u8;
                    // Version 0 only (RFC 8926 §3.4).
                    if first >> 30 != 0 {
                        return None;
                    }
                    let protocol = first as u16;
                    let tunnel = Tunnel::Geneve {
                        options,
                        oam: first >> 23 & 1 == 1,
                        protocol,
                        vni,
                    };
                    Some((tunnel, at + 8 + 4 * usize::from(options), protocol))
                }
                VXLAN_GPE_PORT => {
                    let next = first as u8;
                    let tunnel = Tunnel::VxlanGpe {
                        flags: (first >> 24) as u8,
                        next,
                        vni,
                    };
                    let protocol = match next {
                        1 => kind::IPV4,
                        2 => kind::IPV6,
                        _ => BRIDGED,
                    };
                    Some((tunnel, at + 8, protocol))
                }
                port if vxlan.contains(&port) => Some((Tunnel::Vxlan { vni }, at + 8, BRIDGED)),
                _ => None,
            }
        }
        GRE => {
            let flags = half(frame, at)?;
            // Version 0 (RFC 2784, RFC 2890): checksum, key, sequence number.
            if flags & 7 != 0 {
                return None;
            }
            let protocol = half(frame, at + 2)?;
            let mut payload = at + 4;
            if flags & 0x8000 != 0 {
                payload += 4;
            }
            let mut key = 0;
            if flags & 0x2000 != 0 {
                key = word(frame, payload)?;
                payload += 4;
            }
            if flags & 0x1000 != 0 {
                payload += 4;
            }
            let tunnel = Tunnel::Gre {
                flags,
                protocol,
                key,
            };
            Some((tunnel, payload, protocol))
        }
        _ => None,
    }
}

fn inside(frame: &[u8], at: usize, protocol: u16) -> Option<Inside> {
    if protocol == BRIDGED {
        return Some(Inside {
            at,
            ethernet: true,
            headers: Headers::read_tags(frame.get(at..)?, TAGS),
        });
    }
    if !matches!(protocol, kind::IPV4 | kind::IPV6) {
        return None;
    }
    // As if there were an Ethernet header of this type in front.
    let payload = frame.get(at..)?;
    let mut imagined = vec![0; ETHERNET];
    imagined[12..].copy_from_slice(&protocol.to_be_bytes());
    imagined.extend_from_slice(payload);
    Some(Inside {
        at: at.checked_sub(ETHERNET)?,
        ethernet: false,
        headers: Headers::read_tags(&imagined, TAGS),
    })
}

/// The version of the IP header, 0 if there is none.
pub(in crate::connectx) fn ip_version(h: &Headers) -> u8 {
    match u16::try_from(h.get(FieldId::EthType)) {
        Ok(kind::IPV4) if h.get(FieldId::Ipv4Src) | h.get(FieldId::Ipv4Dst) != 0 => 4,
        Ok(kind::IPV4) if h.transport.is_some() || h.get(FieldId::IpTtl) != 0 => 4,
        Ok(kind::IPV6) if h.transport.is_some() || h.get(FieldId::Ipv6Src) != 0 => 6,
        Ok(kind::IPV6) if h.get(FieldId::Ipv6Dst) | h.get(FieldId::IpTtl) != 0 => 6,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(kind.to_be_bytes());
        frame.extend(body);
        frame
    }

    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = (20 + payload.len()) as u16;
        let mut ip = vec![0x45, 0];
        ip.extend(len.to_be_bytes());
        ip.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        ip.extend(payload);
        ip
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut udp = vec![0x30, 0x39];
        udp.extend(port.to_be_bytes());
        udp.extend(((8 + payload.len()) as u16).to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(payload);
        udp
    }

    fn read(frame: &[u8]) -> Parsed {
        Parsed::read(frame, &[VXLAN_PORT].into())
    }

    #[test]
    fn tunnels_and_their_insides_are_found() {
        let inner = frame(kind::IPV4, &ipv4(17, &udp(53, b"dns!")));
        let vxlan = [&[8, 0, 0, 0, 0, 0x12, 0x34, 0][..], &inner].concat();
        let parsed = read(&frame(kind::IPV4, &ipv4(17, &udp(4789, &vxlan))));
        assert_eq!(parsed.tunnel, Some(Tunnel::Vxlan { vni: 0x1234 }));
        let inside = parsed.inner.unwrap();
        assert!(inside.ethernet && inside.at == 14 + 20 + 8 + 8);
        assert_eq!(inside.headers.get(FieldId::UdpDst), 53);

        let geneve = [&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4][..], &inner].concat();
        let parsed = read(&frame(kind::IPV4, &ipv4(17, &udp(6081, &geneve))));
        let wanted = Tunnel::Geneve {
            options: 1,
            oam: false,
            protocol: BRIDGED,
            vni: 7,
        };
        assert_eq!(parsed.tunnel, Some(wanted));
        assert_eq!(parsed.inner.unwrap().at, 14 + 20 + 8 + 12);

        let gre = [&[0x20, 0, 8, 0, 0, 0, 0, 9][..], &inner[14..]].concat();
        let parsed = read(&frame(kind::IPV4, &ipv4(47, &gre)));
        let wanted = Tunnel::Gre {
            flags: 0x2000,
            protocol: 0x0800,
            key: 9,
        };
        assert_eq!(parsed.tunnel, Some(wanted));
        let inside = parsed.inner.unwrap();
        assert!(!inside.ethernet);
        assert_eq!(inside.headers.get(FieldId::UdpDst), 53);
    }

    #[test]
    fn what_is_cut_short_is_no_tunnel() {
        let whole = frame(kind::IPV4, &ipv4(17, &udp(4789, &[8, 0, 0, 0, 0, 0, 1])));
        assert_eq!(read(&whole).tunnel, None);
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]).tunnel, None);
        }
    }
}
