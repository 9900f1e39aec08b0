//! Single values both ways.

use super::attr::Kind;
use crate::parse::frag;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `aa:bb:cc:dd:ee:ff`.
pub fn format_mac(mac: u64) -> String {
    let b = mac.to_be_bytes();
    format!(
        "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        b[2], b[3], b[4], b[5], b[6], b[7]
    )
}

/// An IPv6 address as inet_ntop(3) writes it.
pub fn format_ipv6(addr: u128) -> String {
    Ipv6Addr::from_bits(addr).to_string()
}

/// Reads `aa:bb:cc:dd:ee:ff`.
pub fn parse_mac(text: &str) -> Option<u64> {
    let mut mac = 0;
    let mut n = 0;
    for byte in text.split(':') {
        if byte.is_empty() || byte.len() > 2 {
            return None;
        }
        mac = mac << 8 | u64::from(u8::from_str_radix(byte, 16).ok()?);
        n += 1;
    }
    (n == 6).then_some(mac)
}

/// Reads a decimal, hexadecimal (`0x`) or octal (`0`) number.
pub(super) fn parse_integer(text: &str) -> Option<u128> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u128::from_str_radix(hex, 16).ok();
    }
    if text.len() > 1 && text.starts_with('0') {
        return u128::from_str_radix(text, 8).ok();
    }
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

/// Reads `VALUE[/MASK]`.
pub(super) fn parse_number(text: &str) -> Option<(u128, Option<u128>)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((parse_integer(value)?, Some(parse_integer(mask)?))),
        None => Some((parse_integer(text)?, None)),
    }
}

pub(super) fn format(kind: Kind, value: u128) -> String {
    match kind {
        Kind::Mac => format_mac(value as u64),
        Kind::Ipv4 => Ipv4Addr::from_bits(value as u32).to_string(),
        Kind::Ipv6 => format_ipv6(value),
        Kind::Decimal => value.to_string(),
        Kind::Hex => hex(value),
        Kind::Frag => frag_name(value as u8).into(),
    }
}

/// `0x1f`, and plain `0` for zero, as printf's `%#x` has it.
pub(super) fn hex(value: u128) -> String {
    if value == 0 {
        "0".into()
    } else {
        format!("{value:#x}")
    }
}

fn frag_name(value: u8) -> &'static str {
    match (value & frag::ANY != 0, value & frag::LATER != 0) {
        (false, false) => "no",
        (true, false) => "first",
        (true, true) => "later",
        (false, true) => "<error>",
    }
}

/// The mask behind a `/`: addresses as addresses, numbers in hexadecimal.
pub(super) fn format_mask(kind: Kind, mask: u128) -> String {
    match kind {
        Kind::Decimal | Kind::Frag => hex(mask),
        kind => format(kind, mask),
    }
}

fn prefix(len: &str, bits: u32) -> Option<u128> {
    let len: u32 = len.parse().ok().filter(|&n| n <= bits)?;
    let all = if bits == 128 {
        u128::MAX
    } else {
        (1 << bits) - 1
    };
    let host = if len == 0 { all } else { all >> len };
    Some(all & !host)
}

/// Reads `VALUE[/MASK]` of a member; the mask is absent where the text has none.
pub(super) fn parse(kind: Kind, text: &str) -> Option<(u128, Option<u128>)> {
    let (value, mask) = match text.split_once('/') {
        Some((v, m)) => (v, Some(m)),
        None => (text, None),
    };
    let v4 = |s: &str| Some(u128::from(s.parse::<Ipv4Addr>().ok()?.to_bits()));
    let v6 = |s: &str| Some(s.parse::<Ipv6Addr>().ok()?.to_bits());
    // An absent mask is fine, a bad one is not.
    let masked = |value: Option<u128>, read: &dyn Fn(&str) -> Option<u128>| {
        let mask = match mask {
            Some(m) => Some(read(m)?),
            None => None,
        };
        Some((value?, mask))
    };
    match kind {
        Kind::Mac => masked(parse_mac(value).map(u128::from), &|m| {
            parse_mac(m).map(u128::from)
        }),
        Kind::Ipv4 => masked(v4(value), &|m| v4(m).or_else(|| prefix(m, 32))),
        Kind::Ipv6 => masked(v6(value), &|m| v6(m).or_else(|| prefix(m, 128))),
        Kind::Decimal | Kind::Hex => parse_number(text),
        Kind::Frag => {
            let bits = match value {
                "no" => 0,
                "first" => frag::ANY,
                "later" => frag::ANY | frag::LATER,
                _ => return None,
            };
            Some((bits.into(), None))
        }
    }
}
