//! Flags by name: connection tracking state, TCP.

/// Bits of `ct_state`, lowest first (ovs-fields(7)).
pub(super) const CT_STATE: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
/// TCP's flags, lowest first (RFC 9293, RFC 3168, RFC 3540).
pub(super) const TCP: [&str; 9] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];
/// All bits that TCP flags may have in a key.
pub(super) const TCP_ALL: u32 = 0xfff;

fn format_flags(names: &[&str], flags: u32, mask: u32, all: u32) -> String {
    if mask == 0 && all != 0 {
        return "0/0".into();
    }
    let exact = mask == all;
    let mut out = String::new();
    let mut unknown = flags & mask;
    for (i, name) in names.iter().enumerate() {
        let bit = 1 << i;
        unknown &= !bit;
        if exact {
            if flags & bit != 0 {
                out += if out.is_empty() { "" } else { "|" };
                out += name;
            }
        } else if mask & bit != 0 {
            out.push(if flags & bit != 0 { '+' } else { '-' });
            out += name;
        }
    }
    if unknown != 0 {
        let sep = if out.is_empty() || !exact { "" } else { "|" };
        out += &format!("{sep}{unknown:#x}");
    }
    if out.is_empty() { "0".into() } else { out }
}

/// Connection tracking state as datapath text has it.
pub fn format_ct_state(state: u32, mask: u32) -> String {
    format_flags(&CT_STATE, state, mask, u32::MAX)
}

/// TCP flags as datapath text has them.
pub fn format_tcp_flags(flags: u32, mask: u32) -> String {
    format_flags(&TCP, flags, mask & TCP_ALL, TCP_ALL)
}

/// Reads flags: `a|b` (exactly these), `+a-b` (these bits), or a number with an optional mask.
pub(super) fn parse_flags(names: &[&str], all: u32, text: &str) -> Option<(u32, u32)> {
    let bit = |name: &str| {
        let i = names.iter().position(|n| *n == name)?;
        Some(1u32 << i)
    };
    if text.starts_with(['+', '-']) {
        let (mut value, mut mask) = (0, 0);
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let end = rest
                .get(1..)?
                .find(['+', '-'])
                .map_or(rest.len(), |i| i + 1);
            let b = bit(rest.get(1..end)?)?;
            mask |= b;
            if sign == '+' {
                value |= b;
            }
            rest = rest.get(end..)?;
        }
        return Some((value, mask));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let (value, mask) = super::value::parse_number(text)?;
        let mask = mask.map_or(all.into(), |m| m);
        return Some((u32::try_from(value).ok()?, u32::try_from(mask).ok()? & all));
    }
    let mut value = 0;
    for name in text.split('|') {
        value |= bit(name)?;
    }
    Some((value, all))
}
