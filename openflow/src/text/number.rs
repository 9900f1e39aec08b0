//! Numbers in text, with the original's words when they are wrong.

/// Reads a C integer: `0x` is hexadecimal, a leading 0 octal where `base` is 0.
fn c_integer(text: &str, base: u32) -> Option<(bool, u64)> {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (base, lower.strip_prefix("0x")) {
        (0 | 16, Some(hex)) => (16, hex),
        (0, None) if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        (0, None) => (10, lower.as_str()),
        (b, _) => (b, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix)
        .ok()
        .map(|n| (negative, n))
}

fn int(text: &str) -> Option<i64> {
    let (negative, n) = c_integer(text, 0)?;
    let n = i64::try_from(n).ok()?;
    i32::try_from(if negative { -n } else { n })
        .ok()
        .map(i64::from)
}

/// An unsigned number of 32 bits in the given base.
pub(crate) fn str_to_uint(text: &str, base: u32) -> Option<u32> {
    if text.is_empty() || text.starts_with(char::is_whitespace) {
        return None;
    }
    match c_integer(text, base)? {
        (false, n) => u32::try_from(n).ok(),
        (true, _) => None,
    }
}

/// A number up to 255.
pub fn str_to_u8(text: &str, name: &str) -> Result<u8, String> {
    int(text)
        .and_then(|n| u8::try_from(n).ok())
        .ok_or_else(|| format!("invalid {name} \"{text}\""))
}

/// A number up to 65535.
pub fn str_to_u16(text: &str, name: &str) -> Result<u16, String> {
    int(text)
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| format!("invalid {name} \"{text}\""))
}

/// A number of 32 bits.
pub fn str_to_u32(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Err("missing required numeric argument".into());
    }
    match c_integer(text, 0) {
        Some((false, n)) => u32::try_from(n).ok(),
        _ => None,
    }
    .ok_or_else(|| format!("invalid numeric format {text}"))
}

/// A number of 64 bits; a negative one wraps.
pub fn str_to_u64(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Err("missing required numeric argument".into());
    }
    match c_integer(text, 0) {
        Some((false, n)) => Ok(n),
        Some((true, n)) => Ok(n.wrapping_neg()),
        None => Err(format!("invalid numeric format {text}")),
    }
}

/// The number at the beginning of text, 0 if there is none.
pub(crate) fn atoi(text: &str) -> i64 {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *i == 0 && matches!(c, '-' | '+')))
        .map_or(text.len(), |(i, _)| i);
    text.get(..end).and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// How reading an integer went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntError {
    Range,
    Syntax,
}

/// Reads an integer at the beginning of text that fits into `width` bytes, and returns what
/// follows it. Hexadecimal ones may be of any length.
pub(crate) fn parse_int(text: &str, width: usize) -> Result<(u128, &str), IntError> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(digits) = hex {
        let mut value = 0u128;
        let mut len = 0;
        let mut rest = digits;
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let Some(d) = rest.chars().next().and_then(|c| c.to_digit(16)) else {
                break;
            };
            rest = rest.get(1..).unwrap_or("");
            if d != 0 || len > 0 {
                len += 1;
                if usize::div_ceil(len, 2) > width || len > 32 {
                    return Err(IntError::Range);
                }
                value = value << 4 | u128::from(d);
            }
        }
        return Ok((value, rest));
    }
    let trimmed = text.trim_start();
    let digits_at = usize::from(trimmed.starts_with(['-', '+']));
    let radix = if trimmed.get(digits_at..).is_some_and(|t| t.starts_with('0')) {
        8
    } else {
        10
    };
    let body = trimmed.get(digits_at..).unwrap_or("");
    let end = body
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(body.len());
    if end == 0 {
        return Err(IntError::Syntax);
    }
    let (digits, rest) = body.split_at(end);
    let value = u64::from_str_radix(digits, radix).map_err(|_| IntError::Range)?;
    let negative = trimmed.starts_with('-');
    let value = if negative {
        value.wrapping_neg()
    } else {
        value
    };
    if width < 8 && u128::from(value) >> (8 * width) != 0 {
        return Err(IntError::Range);
    }
    Ok((u128::from(value), rest))
}

/// A number as C's `%#x` writes it: zero without a prefix.
pub(crate) fn alt_hex(n: u64) -> String {
    if n == 0 {
        "0".into()
    } else {
        format!("{n:#x}")
    }
}
