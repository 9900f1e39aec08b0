//! One field's value in text, and parts of fields.

use super::number::{IntError, parse_int};
use super::{Names, alt_hex};
use crate::action::{Subfield, low_bits};
use crate::oxm;
use crate::port::OfPort;
use packet::{FieldId, Format};
use std::net::{Ipv4Addr, Ipv6Addr};

type Parsed = Result<(u128, u128), String>;

const TCP_FLAGS: [&str; 12] = [
    "fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]",
];
const CT_STATES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
const TUNNEL_FLAGS: [&str; 1] = ["oam"];

/// A set of named flags.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    names: &'static [&'static str],
    word: &'static str,
    allowed: u32,
}

pub(super) const TCP: Flags = Flags {
    names: &TCP_FLAGS,
    word: "TCP",
    allowed: 0xfff,
};
pub(super) const CT: Flags = Flags {
    names: &CT_STATES,
    word: "ct_state",
    allowed: 0xff,
};
pub(super) const TUNNEL: Flags = Flags {
    names: &TUNNEL_FLAGS,
    word: "tunnel",
    allowed: 1,
};

impl Flags {
    fn unknown<T>(self, text: &str) -> Result<T, String> {
        Err(format!("{text}: unknown {} flag(s)", self.word))
    }

    fn bit(self, name: &str) -> Option<u32> {
        self.names.iter().position(|n| *n == name).map(|i| 1 << i)
    }

    /// Reads `a|b`, `+a-b`, or numbers.
    fn parse(self, text: &str) -> Parsed {
        if let Some((value, mask)) = text.split_once('/')
            && let (Ok((v, "")), Ok((m, ""))) = (parse_int(value, 4), parse_int(mask, 4))
        {
            if (v | m) & !u128::from(self.allowed) != 0 {
                return self.unknown(text);
            }
            return Ok((v, m));
        }
        if text.starts_with(['+', '-']) {
            let (mut flags, mut mask) = (0, 0);
            let mut rest = text;
            while let Some(sign) = rest.chars().next() {
                if !matches!(sign, '+' | '-') {
                    return Err(format!(
                        "{rest}: {} must be preceded by '+' (for SET) or '-' (NOT SET)",
                        self.word
                    ));
                }
                let body = rest.get(1..).unwrap_or("");
                let end = body.find(['+', '-']).unwrap_or(body.len());
                let (name, tail) = body.split_at(end);
                let Some(bit) = self.bit(name) else {
                    return self.unknown(body);
                };
                if mask & bit != 0 {
                    return Err(format!(
                        "{body}: Each {} flag can be specified only once",
                        self.word
                    ));
                }
                mask |= bit;
                if sign == '+' {
                    flags |= bit;
                }
                rest = tail;
            }
            return Ok((u128::from(flags), u128::from(mask)));
        }
        let mut flags = 0u32;
        for part in text.split('|').filter(|p| !p.is_empty()) {
            match (parse_int(part, 4), self.bit(part)) {
                (Ok((n, "")), _) if n & !u128::from(self.allowed) == 0 => flags |= n as u32,
                (_, Some(bit)) => flags |= bit,
                _ => return self.unknown(text),
            }
        }
        Ok((u128::from(flags), u128::from(u32::MAX)))
    }

    /// The names of bits that are set, in order, with what has no name as a number.
    pub fn list(self, flags: u32) -> String {
        if flags == 0 {
            return "0".into();
        }
        let mut parts = Vec::new();
        let mut bad = 0;
        for i in 0..32u32 {
            if flags & 1 << i != 0 {
                match self.names.get(i as usize) {
                    Some(n) => parts.push(n.to_string()),
                    None => bad |= 1 << i,
                }
            }
        }
        if bad != 0 {
            parts.push(format!("0x{bad:x}"));
        }
        parts.join("|")
    }

    /// `+a-b` for the bits of a mask, or the list if the mask is `whole`.
    pub fn masked(self, flags: u32, mask: u32, whole: u32) -> String {
        if mask == whole {
            return self.list(flags);
        }
        if mask == 0 {
            return "0/0".into();
        }
        let mut out = String::new();
        for i in (0..32u32).filter(|i| mask & 1 << i != 0) {
            out.push(if flags & 1 << i != 0 { '+' } else { '-' });
            out.push_str(self.names.get(i as usize).copied().unwrap_or("[Unknown]"));
        }
        out
    }
}

/// What an IP fragment is: name, mask, value (bit 0: a fragment, bit 1: not the first).
const FRAGS: [(&str, u128, u128); 7] = [
    ("no", 3, 0),
    ("first", 3, 1),
    ("later", 3, 3),
    ("no", 1, 0),
    ("yes", 1, 1),
    ("not_later", 2, 0),
    ("later", 2, 2),
];

/// Reads an Ethernet address.
pub(super) fn parse_mac(text: &str) -> Option<u128> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() != 6 {
        return None;
    }
    parts.iter().try_fold(0u128, |v, p| {
        let ok = !p.is_empty() && p.len() <= 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = if ok {
            u8::from_str_radix(p, 16).ok()?
        } else {
            return None;
        };
        Some(v << 8 | u128::from(byte))
    })
}

pub(super) fn show_mac(v: u128) -> String {
    let b = v.to_be_bytes();
    format!(
        "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        b[10], b[11], b[12], b[13], b[14], b[15]
    )
}

fn prefix(bits: u32, width: u32) -> u128 {
    let ones = low_bits(width as u8);
    if bits == 0 {
        0
    } else {
        ones & !(low_bits((width - bits) as u8))
    }
}

fn parse_ipv4(text: &str) -> Parsed {
    let bad = || format!("{text}: invalid IP address");
    let (addr, mask) = match text.split_once('/') {
        Some((a, m)) => (a, Some(m)),
        None => (text, None),
    };
    let addr: Ipv4Addr = addr.parse().map_err(|_| bad())?;
    let mask = match mask {
        None => u128::from(u32::MAX),
        Some(m) => match m.parse::<Ipv4Addr>() {
            Ok(m) => u128::from(u32::from(m)),
            Err(_) => match m.parse::<i64>() {
                Ok(n @ 0..=32) => prefix(n as u32, 32),
                Ok(_) => {
                    return Err(format!(
                        "{text}: IPv4 network prefix bits not between 0 and 32, inclusive"
                    ));
                }
                Err(_) => return Err(bad()),
            },
        },
    };
    Ok((u128::from(u32::from(addr)), mask))
}

fn parse_ipv6(text: &str) -> Parsed {
    let bad = || format!("{text}: invalid IPv6 address");
    let (addr, mask) = match text.split_once('/') {
        Some((a, m)) => (a, Some(m)),
        None => (text, None),
    };
    let addr: Ipv6Addr = addr.trim().parse().map_err(|_| bad())?;
    let mask = match mask {
        None => u128::MAX,
        Some(m) => match (m.parse::<i64>(), m.parse::<Ipv6Addr>()) {
            (Ok(n @ 0..=128), _) => prefix(n as u32, 128),
            (Ok(_), _) => {
                return Err(format!(
                    "{text}: IPv6 network prefix bits not between 0 and 128, inclusive"
                ));
            }
            (_, Ok(m)) => u128::from(m),
            _ => return Err(format!("{text}: Invalid IPv6 mask")),
        },
    };
    Ok((u128::from(addr), mask))
}

fn parse_integer(field: FieldId, text: &str) -> Parsed {
    let row = field.row();
    let width = usize::from(row.bytes);
    let fail = |e: IntError, what: &str| match e {
        IntError::Range => {
            format!(
                "{text}: {what} too large for {width}-byte field {}",
                row.name
            )
        }
        IntError::Syntax => format!("{text}: bad syntax for {} {what}", row.name),
    };
    let (value, rest) = parse_int(text, width).map_err(|e| fail(e, "value"))?;
    match rest.strip_prefix('/') {
        Some(mask) => {
            let (mask, rest) = parse_int(mask, width).map_err(|e| fail(e, "mask"))?;
            if rest.is_empty() {
                Ok((value, mask))
            } else {
                Err(fail(IntError::Syntax, "mask"))
            }
        }
        None if rest.is_empty() => Ok((value, u128::MAX)),
        None => Err(fail(IntError::Syntax, "value")),
    }
}

fn parse_packet_type(text: &str) -> Parsed {
    let fail = |what: &str, at: &str| format!("{at}: bad syntax for packet type {what}");
    let Some(rest) = text.strip_prefix('(') else {
        return Err(fail("missing '('", text));
    };
    let (ns, tail) = parse_int(rest, 2).map_err(|_| fail("ns", rest))?;
    let Some(tail) = tail.strip_prefix(',') else {
        return Err(fail("missing ','", rest));
    };
    let (kind, end) = parse_int(tail, 2).map_err(|_| fail("ns_type", tail))?;
    if !end.starts_with(')') {
        return Err(fail("missing ')'", tail));
    }
    Ok((ns << 16 | kind, u128::from(u32::MAX)))
}

/// Reads a field's value and mask; without a mask all bits count.
pub fn parse_field(field: FieldId, text: &str, names: &Names) -> Parsed {
    let row = field.row();
    if text == "*" {
        return Ok((0, 0));
    }
    let (value, mask) = match row.format {
        Format::Decimal | Format::Hexadecimal => parse_integer(field, text)?,
        Format::CtState => CT.parse(text)?,
        Format::TcpFlags => TCP.parse(text)?,
        Format::TunnelFlags => TUNNEL.parse(text)?,
        Format::Ethernet => {
            let bad = || format!("{text}: invalid Ethernet address");
            match text.split_once('/') {
                None => (parse_mac(text).ok_or_else(bad)?, u128::MAX),
                Some((v, m)) => (parse_mac(v).ok_or_else(bad)?, parse_mac(m).ok_or_else(bad)?),
            }
        }
        Format::Ipv4 => parse_ipv4(text)?,
        Format::Ipv6 => parse_ipv6(text)?,
        Format::OfPort10 => match names.port(text) {
            Some(p) => (u128::from(p.to_u16()), u128::MAX),
            None => return Err(format!("{text}: invalid or unknown port for {}", row.name)),
        },
        Format::OfPort11 => match names.port(text) {
            Some(p) => (u128::from(p.0), u128::MAX),
            None => return Err(format!("{text}: port value out of range for {}", row.name)),
        },
        Format::Frag => {
            let found = FRAGS.iter().find(|(n, ..)| n.eq_ignore_ascii_case(text));
            match found {
                Some((_, mask, value)) => (*value, *mask | 0xfc),
                None => {
                    return Err(format!(
                        "{text}: unknown fragment type (valid types are \"no\", \"yes\", \
                         \"first\", \"later\", \"not_later\""
                    ));
                }
            }
        }
        Format::PacketType => parse_packet_type(text)?,
    };
    let ones = low_bits(row.bytes.saturating_mul(8));
    if row.maskable == packet::Maskable::No && mask != 0 && mask & ones != ones {
        return Err(format!("{text}: invalid mask for field {}", row.name));
    }
    Ok((value, mask & ones))
}

fn hex(v: u128) -> String {
    if v == 0 {
        "0".into()
    } else {
        format!("{v:#x}")
    }
}

pub(super) fn show_ipv4(v: u128, mask: u128) -> String {
    let addr = Ipv4Addr::from((v & 0xffff_ffff) as u32);
    let mask = (mask & 0xffff_ffff) as u32;
    if mask == u32::MAX {
        addr.to_string()
    } else if mask.leading_ones() + mask.trailing_zeros() >= 32 {
        format!("{addr}/{}", mask.leading_ones())
    } else {
        format!("{addr}/{}", Ipv4Addr::from(mask))
    }
}

pub(super) fn show_ipv6(v: u128, mask: u128) -> String {
    let addr = Ipv6Addr::from(v);
    if mask == u128::MAX {
        addr.to_string()
    } else if mask.leading_ones() + mask.trailing_zeros() >= 128 {
        format!("{addr}/{}", mask.leading_ones())
    } else {
        format!("{addr}/{}", Ipv6Addr::from(mask))
    }
}

pub(super) fn show_mac_masked(v: u128, mask: u128) -> String {
    let ones = low_bits(48);
    if mask & ones == ones {
        show_mac(v)
    } else {
        format!("{}/{}", show_mac(v), show_mac(mask & ones))
    }
}

fn show_u16_masked(v: u128, mask: u128) -> String {
    match mask & 0xffff {
        0 => "*".into(),
        0xffff if v > 9 => format!("0x{v:x}"),
        0xffff => format!("{v}"),
        m => format!("0x{v:x}/0x{m:x}"),
    }
}

pub(super) fn show_packet_type(v: u128, mask: u128) -> String {
    if v == 0 && mask & 0xffff_ffff == 0xffff_ffff {
        return "eth".into();
    }
    let ns = show_u16_masked(v >> 16, mask >> 16);
    let kind = show_u16_masked(v & 0xffff, mask);
    format!("packet_type=({ns},{kind})")
}

/// Writes a field's value as people read it. All bits of the field in `mask` = no mask.
pub fn format_field(field: FieldId, value: u128, mask: u128, names: &Names) -> String {
    let row = field.row();
    let bits = oxm::legal_bits(field) & low_bits(row.bits.min(128));
    if mask & bits == 0 {
        return "ANY".into();
    }
    let whole = mask & bits == bits;
    let low32 = |v: u128| (v & 0xffff_ffff) as u32;
    match row.format {
        Format::OfPort11 if whole => names.show_port(OfPort(low32(value))),
        Format::OfPort10 if whole => names.show_port(OfPort::from_u16((value & 0xffff) as u16)),
        Format::Decimal | Format::OfPort10 | Format::OfPort11 if whole => value.to_string(),
        Format::Decimal | Format::OfPort10 | Format::OfPort11 => {
            format!("{value}/{}", hex(mask & bits))
        }
        Format::Hexadecimal if whole => hex(value),
        Format::Hexadecimal => format!("{}/{}", hex(value), hex(mask & bits)),
        Format::CtState => CT.masked(low32(value), low32(mask), 0xffff),
        Format::TcpFlags => TCP.masked(low32(value), low32(mask) & 0xfff, 0xfff),
        Format::TunnelFlags => TUNNEL.masked(low32(value), low32(mask) & 1, 1),
        Format::Ethernet => show_mac_masked(value, mask),
        Format::Ipv4 => show_ipv4(value, if whole { u128::MAX } else { mask }),
        Format::Ipv6 => show_ipv6(value, if whole { u128::MAX } else { mask }),
        Format::Frag => {
            let mask = mask & 3;
            let found = FRAGS
                .iter()
                .find(|(_, m, v)| *m == mask && *v == value & mask);
            found.map_or("<error>", |(n, ..)| n).to_string()
        }
        Format::PacketType => show_packet_type(value, mask),
    }
}

/// The field that a name in a subfield means: a field's name or a wire name, perhaps with `_W`.
fn subfield_field(name: &str) -> Option<FieldId> {
    let wire = name
        .strip_suffix("_W")
        .filter(|n| n.len() > 1)
        .unwrap_or(name);
    oxm::by_wire_name(wire).or_else(|| FieldId::by_name(name))
}

/// Reads a subfield at the beginning of text and returns what follows it.
pub(super) fn pull_subfield(text: &str) -> Result<(Subfield, &str), String> {
    let end = text.find(['[', '-']).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let Some(field) = subfield_field(name) else {
        return Err(format!("{text}: unknown field `{name}'"));
    };
    let width = i64::from(field.row().bits);
    let (mut start, mut stop) = (0, width - 1);
    if let Some(inner) = rest.strip_prefix('[') {
        let syntax = || format!("{text}: syntax error expecting [] or [<bit>] or [<start>..<end>]");
        let (range, tail) = inner.split_once(']').ok_or_else(syntax)?;
        if let Some((a, b)) = range.split_once("..") {
            start = a.trim().parse().map_err(|_| syntax())?;
            stop = b.trim().parse().map_err(|_| syntax())?;
        } else if !range.is_empty() {
            start = range.trim().parse().map_err(|_| syntax())?;
            stop = start;
        }
        rest = tail;
    }
    let narrow = |what: &str, bit: i64| {
        format!("{text}: {what} bit {bit} is not valid because field is only {width} bits wide")
    };
    if start > stop {
        return Err(format!(
            "{text}: starting bit {start} is after ending bit {stop}"
        ));
    } else if start >= width {
        return Err(narrow("starting", start));
    } else if stop >= width {
        return Err(narrow("ending", stop));
    }
    let ofs = u8::try_from(start).map_err(|_| narrow("starting", start))?;
    let bits = u8::try_from(stop - start + 1).map_err(|_| narrow("ending", stop))?;
    Ok((Subfield { field, ofs, bits }, rest))
}

/// Reads a subfield, `reg0[0..15]` or `NXM_NX_REG0[]`.
pub fn parse_subfield(text: &str) -> Result<Subfield, String> {
    match pull_subfield(text)? {
        (sf, "") => Ok(sf),
        _ => Err("unexpected input following field syntax".into()),
    }
}

/// Writes a subfield under its wire name.
pub fn format_subfield(sf: Subfield) -> String {
    let name = oxm::wire_name(sf.field);
    if sf.is_whole() {
        format!("{name}[]")
    } else if sf.bits == 1 {
        format!("{name}[{}]", sf.ofs)
    } else {
        let last = u16::from(sf.ofs) + u16::from(sf.bits) - 1;
        format!("{name}[{}..{last}]", sf.ofs)
    }
}

/// Reads an integer for a field's bits, alone in `text`.
pub(super) fn hex_number(v: u128) -> String {
    match u64::try_from(v) {
        Ok(n) => alt_hex(n),
        Err(_) => hex(v),
    }
}
