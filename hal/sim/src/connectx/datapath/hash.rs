//! Which of several receive queues a frame goes to: receive-side scaling.

use crate::connectx::steering::parse::{Parsed, ip_version};
use crate::switch::{Headers, protocol};
use hal_mlx_prm::View;
use hal_mlx_prm::context::RxHashFields;
use packet::FieldId;

/// What of a frame is hashed: [`RxHashFields::SELECTED_FIELDS`].
const SOURCE: u32 = 1 << 0;
const DESTINATION: u32 = 1 << 1;
const SOURCE_PORT: u32 = 1 << 2;
const DESTINATION_PORT: u32 = 1 << 3;

/// What of a frame is hashed, and for which frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::connectx) struct Selection {
    v6: bool,
    udp: bool,
    fields: u32,
}

impl Selection {
    pub fn new(view: &View<RxHashFields, &[u8]>) -> Selection {
        Selection {
            v6: view.get(RxHashFields::L3_PROTOCOL),
            udp: view.get(RxHashFields::L4_PROTOCOL),
            fields: view.get(RxHashFields::SELECTED_FIELDS),
        }
    }
}

/// How it is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connectx) enum Function {
    /// Not at all: always the first.
    None,
    /// Exclusive or of the bytes.
    Xor,
    /// Toeplitz, with a key; symmetric = the same for both directions.
    Toeplitz { key: [u8; 40], symmetric: bool },
}

/// A hash with the completion's word on what was hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::connectx) struct Hash {
    pub value: u32,
    /// IP in bits 3:2 (1 IPv4, 2 IPv6), transport in bits 7:6 (1 TCP, 2 UDP).
    pub kind: u8,
}

/// The bytes of a frame that are hashed, and what they are.
fn input(h: &Headers, selection: &Selection, symmetric: bool) -> Option<(Vec<u8>, u8)> {
    let version = ip_version(h);
    let wanted = if selection.v6 { 6 } else { 4 };
    if version != wanted || selection.fields == 0 {
        return None;
    }
    let address = |v4: FieldId, v6: FieldId| {
        if selection.v6 {
            h.get(v6).to_be_bytes().to_vec()
        } else {
            (h.get(v4) as u32).to_be_bytes().to_vec()
        }
    };
    let source = address(FieldId::Ipv4Src, FieldId::Ipv6Src);
    let destination = address(FieldId::Ipv4Dst, FieldId::Ipv6Dst);
    let mut kind = if selection.v6 { 2 << 2 } else { 1 << 2 };
    let mut ports = None;
    if selection.fields & (SOURCE_PORT | DESTINATION_PORT) != 0 {
        let upper = if selection.udp {
            protocol::UDP
        } else {
            protocol::TCP
        };
        // Without the ports it is another kind of frame.
        if h.upper != upper || h.transport.is_none() {
            return None;
        }
        kind |= if selection.udp { 2 << 6 } else { 1 << 6 };
        let get = |field| (h.get(field) as u16).to_be_bytes();
        ports = Some((get(FieldId::TcpSrc), get(FieldId::TcpDst)));
    }
    let mut bytes = Vec::new();
    let mut pair = |a: &[u8], b: &[u8], first: u32, second: u32| {
        let both = selection.fields & (first | second) == first | second;
        if both && symmetric {
            // Either order gives the same.
            let mixed: Vec<u8> = a.iter().zip(b).map(|(a, b)| a ^ b).collect();
            bytes.extend([&mixed[..], &mixed[..]].concat());
            return;
        }
        if selection.fields & first != 0 {
            bytes.extend(a);
        }
        if selection.fields & second != 0 {
            bytes.extend(b);
        }
    };
    pair(&source, &destination, SOURCE, DESTINATION);
    if let Some((source, destination)) = ports {
        pair(&source, &destination, SOURCE_PORT, DESTINATION_PORT);
    }
    Some((bytes, kind))
}

/// Toeplitz: for each bit of the input that is set, the 32 bits of the key that begin there.
fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let mut hash = 0;
    let mut window = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    let mut next = key[4..].iter();
    for byte in input {
        let more = next.next().copied().unwrap_or(0);
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                hash ^= window;
            }
            window = window << 1 | u32::from(more >> bit & 1);
        }
    }
    hash
}

/// Hashes a frame: its inner headers if something of them is selected and there are any, or its
/// outer ones.
pub(in crate::connectx) fn hash(
    parsed: &Parsed,
    function: &Function,
    outer: &Selection,
    inner: &Selection,
) -> Hash {
    let symmetric = matches!(
        function,
        Function::Toeplitz {
            symmetric: true,
            ..
        }
    );
    let inside = parsed.inner.as_ref().filter(|_| inner.fields != 0);
    let found = match inside {
        Some(inside) => input(&inside.headers, inner, symmetric),
        None => input(&parsed.outer, outer, symmetric),
    };
    let Some((bytes, kind)) = found else {
        return Hash::default();
    };
    let value = match function {
        Function::None => return Hash::default(),
        Function::Xor => u32::from(bytes.iter().fold(0, |all, b| all ^ b)),
        Function::Toeplitz { key, .. } => toeplitz(key, &bytes),
    };
    Hash { value, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the frames by which implementations of Toeplitz are checked ("Verifying the
    /// RSS hash calculation").
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    #[test]
    fn toeplitz_is_the_published_one() {
        let addresses = [66, 9, 149, 187, 161, 142, 100, 80];
        assert_eq!(toeplitz(&KEY, &addresses), 0x323e_8fc2);
        let ports = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
        assert_eq!(toeplitz(&KEY, &ports), 0x51cc_c178);
    }
}
