//! The syntax of the command line: `ovs-vsctl set bridge br0 other_config={a=b, c=d}`.
//!
//! A datum is atoms (or `key=value` pairs) between commas or spaces, in `[...]` or `{...}` if one
//! likes. A string that could be mistaken for something else stands in JSON's quotes. Integer sets
//! may be written as ranges, `[1-3, 5]`.

use super::{Atom, AtomicType, BaseType, Datum, Symbols, Type};
use crate::json::{self, Json};
use crate::{Error, Uuid};
use std::sync::Arc;

/// Most integers in one range.
const MAX_RANGE: u64 = 4096;

impl Atom {
    /// The atom's text; strings are quoted where they must be.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out);
        out
    }

    /// Appends the atom's text.
    pub fn write_text(&self, out: &mut String) {
        match self {
            Atom::String(s) if needs_quotes(s) => json::write_str(s, out),
            Atom::String(s) => out.push_str(s),
            Atom::Uuid(u) => u.write(out),
            other => other.write_json(out),
        }
    }

    /// Appends the atom's text, strings never quoted.
    pub fn write_bare(&self, out: &mut String) {
        match self {
            Atom::String(s) => out.push_str(s),
            other => other.write_text(out),
        }
    }
}

fn needs_quotes(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    !starts_well
        || !bytes.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'))
        || text == "true"
        || text == "false"
        || Uuid::parse(text).is_some()
}

/// Reads one atom and checks its constraints. With `symbols`, `@name` is a UUID.
///
/// # Errors
/// One line for the user.
pub fn atom_from_text(
    text: &str,
    base: &BaseType,
    symbols: Option<&mut Symbols>,
) -> Result<Atom, String> {
    let (atom, _) = read_atom(text, base, symbols, false)?;
    Ok(atom)
}

/// One atom, and the end of the range if `text` is one and ranges are allowed.
fn read_atom(
    text: &str,
    base: &BaseType,
    symbols: Option<&mut Symbols>,
    ranges: bool,
) -> Result<(Atom, Option<i64>), String> {
    let mut end = None;
    let atom = match base.kind {
        AtomicType::Integer => {
            if let Some((first, last)) = read_range(text).filter(|_| ranges) {
                if last < first {
                    return Err(format!(
                        "\"{text}\" is not a valid range. Range end cannot be before start."
                    ));
                }
                end = Some(last);
                Atom::Integer(first)
            } else {
                let value = read_integer(text)
                    .ok_or_else(|| format!("\"{text}\" is not a valid integer or range"))?;
                Atom::Integer(value)
            }
        }
        AtomicType::Real => {
            let value: Option<f64> = text
                .trim_start()
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite());
            Atom::from(value.ok_or_else(|| format!("\"{text}\" is not a valid real number"))?)
        }
        AtomicType::Boolean => match text {
            "true" | "yes" | "on" | "1" => Atom::Boolean(true),
            "false" | "no" | "off" | "0" => Atom::Boolean(false),
            _ => {
                return Err(format!(
                    "\"{text}\" is not a valid boolean (use \"true\" or \"false\")"
                ));
            }
        },
        AtomicType::String => Atom::String(read_string(text)?),
        AtomicType::Uuid => match (text.strip_prefix('@'), symbols) {
            (Some(_), Some(symbols)) => Atom::Uuid(symbols.refer(text, base)),
            _ => Atom::Uuid(
                Uuid::parse(text).ok_or_else(|| format!("\"{text}\" is not a valid UUID"))?,
            ),
        },
    };
    check_range(&atom, end, base).map_err(|e| e.to_string())?;
    Ok((atom, end))
}

fn check_range(atom: &Atom, end: Option<i64>, base: &BaseType) -> Result<(), Error> {
    base.check(atom)?;
    let (Some(first), Some(last)) = (atom.as_integer(), end) else {
        return Ok(());
    };
    let too_big = first.abs_diff(last) >= MAX_RANGE;
    if base.choices.is_some() {
        // Enough of a range that is too big is looked at to find a value that is not allowed.
        let stop = if too_big {
            first.saturating_add(4096)
        } else {
            last
        };
        for value in first..=stop {
            base.check(&Atom::Integer(value))?;
        }
    } else {
        base.check(&Atom::Integer(last))?;
    }
    if too_big {
        return Err(Error::constraint(format!(
            "Range \"{first}-{last}\" is too big. Maximum allowed size is {MAX_RANGE}."
        )));
    }
    Ok(())
}

fn read_integer(text: &str) -> Option<i64> {
    text.trim_start().parse().ok()
}

fn read_range(text: &str) -> Option<(i64, i64)> {
    // The first character may be the sign of the first number.
    let dash = text.char_indices().skip(1).find(|&(_, c)| c == '-')?.0;
    Some((
        read_integer(&text[..dash])?,
        read_integer(&text[dash + 1..])?,
    ))
}

fn read_string(text: &str) -> Result<Arc<str>, String> {
    if text.is_empty() {
        return Err(
            "An empty string is not valid as input; use \"\" to represent the empty string".into(),
        );
    }
    if !text.starts_with('"') {
        return Ok(Arc::from(text));
    }
    if text.len() < 2 || !text.ends_with('"') {
        return Err(format!("{text}: missing quote at end of quoted string"));
    }
    match unescape(&text[1..text.len() - 1]) {
        Ok(s) => Ok(Arc::from(s)),
        Err(e) => Err(format!("{text}: {e}")),
    }
}

/// What stands between the quotes of a JSON string.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err("quoted string may not include unescaped \"".into()),
            '\\' => match chars.next() {
                None => return Err("quoted string may not end with backslash".into()),
                Some(c @ ('"' | '\\' | '/')) => out.push(c),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('u') => out.push(unicode_escape(&mut chars)?),
                Some(c) => return Err(format!("bad escape \\{c}")),
            },
            c if (c as u32) < 0x20 => out.push(c),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn unicode_escape(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let malformed = || "malformed \\u escape".to_owned();
    let unit = |chars: &mut std::str::Chars<'_>| -> Result<u32, String> {
        let digits: String = chars.by_ref().take(4).collect();
        if digits.len() != 4 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        u32::from_str_radix(&digits, 16).map_err(|_| malformed())
    };
    let high = unit(chars)?;
    let code = if (0xd800..0xdc00).contains(&high) {
        if chars.next() != Some('\\') || chars.next() != Some('u') {
            return Err("malformed escaped surrogate pair".into());
        }
        let low = unit(chars)?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err("second half of escaped surrogate pair is not trailing surrogate".into());
        }
        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
    } else {
        high
    };
    if code == 0 {
        return Err("null bytes not supported in quoted strings".into());
    }
    char::from_u32(code).ok_or_else(malformed)
}

/// Whether a character ends a token.
pub fn is_delimiter(c: char) -> bool {
    ":=, []{}!<>".contains(c)
}

/// Cuts the first token off `text`: up to a delimiter outside of quotes. A backslash outside of
/// quotes makes the next character ordinary. Answers the token and the rest.
///
/// # Errors
/// One line for the user.
pub fn token(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = text.char_indices();
    let mut rest = "";
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            if quoted {
                out.push('\\');
            }
            match chars.next() {
                Some((_, c)) => out.push(c),
                None => return Err(format!("{text}: backslash at end of argument")),
            }
        } else if !quoted && is_delimiter(c) {
            rest = &text[at..];
            break;
        } else {
            out.push(c);
            quoted ^= c == '"';
        }
    }
    if quoted {
        return Err(format!(
            "{text}: quoted string extends past end of argument"
        ));
    }
    Ok((out, rest))
}

fn skip_spaces(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

fn first_char(text: &str) -> String {
    text.chars().next().map(String::from).unwrap_or_default()
}

impl Datum {
    /// Reads a datum. With `symbols`, `@name` is a UUID.
    ///
    /// # Errors
    /// One line for the user.
    pub fn from_text(
        text: &str,
        type_: &Type,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Datum, String> {
        let is_map = type_.is_map();
        let (open, close) = if is_map { ('{', '}') } else { ('[', ']') };
        let mut rest = skip_spaces(text);
        let mut end = None;
        if let Some(inner) = rest.strip_prefix(open) {
            end = Some(close);
            rest = skip_spaces(inner);
        } else if rest.is_empty() {
            return Err(if is_map {
                "use \"{}\" to specify the empty map".into()
            } else {
                "use \"[]\" to specify the empty set".into()
            });
        }

        let mut pairs: Vec<(Atom, Option<Atom>)> = Vec::new();
        while let Some(next) = rest.chars().next().filter(|&c| Some(c) != end) {
            if is_delimiter(next) {
                return Err(format!(
                    "{text}: unexpected \"{next}\" parsing {}",
                    type_.to_english()
                ));
            }
            let start = rest;
            let (word, after) = token(rest)?;
            let (key, range_end) = read_atom(&word, &type_.key, symbols.as_deref_mut(), true)?;
            rest = after;
            let value = match &type_.value {
                None => None,
                Some(base) => {
                    rest = skip_spaces(rest);
                    let Some(after) = rest.strip_prefix('=') else {
                        return Err(format!(
                            "{start}: syntax error at \"{}\" expecting \"=\"",
                            first_char(rest)
                        ));
                    };
                    let (word, after) = token(skip_spaces(after))?;
                    rest = after;
                    Some(read_atom(&word, base, symbols.as_deref_mut(), false)?.0)
                }
            };
            match (key.as_integer(), range_end) {
                (Some(first), Some(last)) => {
                    pairs.extend((first..=last).map(|i| (Atom::Integer(i), value.clone())));
                }
                _ => pairs.push((key, value)),
            }
            rest = skip_spaces(rest);
            if let Some(after) = rest.strip_prefix(',') {
                rest = skip_spaces(after);
            }
        }

        match end {
            None if !rest.is_empty() => return Err(format!("{text}: trailing garbage")),
            None => {}
            Some(close) => match rest.strip_prefix(close) {
                None => return Err(format!("{text}: missing \"{close}\" at end of data")),
                Some(after) if !skip_spaces(after).is_empty() => {
                    return Err(format!("{text}: trailing garbage after \"{close}\""));
                }
                Some(_) => {}
            },
        }
        check_number(text, pairs.len(), type_)?;
        let strict = if is_map {
            Datum::map_strict(
                pairs
                    .into_iter()
                    .filter_map(|(k, v)| Some((k, v?)))
                    .collect(),
            )
        } else {
            Datum::set_strict(pairs.into_iter().map(|(k, _)| k).collect())
        };
        strict.map_err(|_| {
            let what = if is_map {
                "map contains duplicate key"
            } else {
                "set contains duplicate value"
            };
            format!("{text}: {what}")
        })
    }

    /// The datum's text: brackets or braces unless it is the one value of a column that holds at
    /// most one.
    pub fn to_text(&self, type_: &Type) -> String {
        let mut out = String::new();
        let (open, close) = if type_.is_map() {
            ('{', '}')
        } else {
            ('[', ']')
        };
        let bracketed = type_.max > 1 || self.is_empty();
        if bracketed {
            out.push(open);
        }
        for (at, (key, value)) in self.pairs().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            key.write_text(&mut out);
            if let Some(value) = value {
                out.push('=');
                value.write_text(&mut out);
            }
        }
        if bracketed {
            out.push(close);
        }
        out
    }

    /// The datum's text for scripts: no brackets, no quotes, spaces between.
    pub fn to_bare(&self) -> String {
        let mut out = String::new();
        for (at, (key, value)) in self.pairs().enumerate() {
            if at > 0 {
                out.push(' ');
            }
            key.write_bare(&mut out);
            if let Some(value) = value {
                out.push('=');
                value.write_bare(&mut out);
            }
        }
        out
    }

    /// The datum's text for tables whose cells are JSON.
    pub fn to_json_text(&self, type_: &Type) -> String {
        json::to_string(&Json::clone(&self.to_json(type_)))
    }
}

fn check_number(text: &str, n: usize, type_: &Type) -> Result<(), String> {
    let what = if type_.is_map() {
        "pair(s)"
    } else {
        "value(s)"
    };
    let count = u32::try_from(n).unwrap_or(u32::MAX);
    if count < type_.min {
        Err(format!(
            "{text}: {n} {what} specified but the minimum number is {}",
            type_.min
        ))
    } else if count > type_.max {
        Err(format!(
            "{text}: {n} {what} specified but the maximum number is {}",
            type_.max
        ))
    } else {
        Ok(())
    }
}
