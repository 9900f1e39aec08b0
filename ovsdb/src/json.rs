//! JSON as OVSDB sees it: numbers that are integers wherever they can be, members in sorted order,
//! and objects that are read member by member so that a stray one is noticed.

use crate::Error;
pub use serde_json::Value as Json;
use std::fmt::Write as _;

/// A JSON object; its members are sorted.
pub type Object = serde_json::Map<String, Json>;

/// Nesting that a request may have, as the original.
pub const MAX_DEPTH: usize = 1000;

/// The value of a JSON integer; `1.0` and `1e3` are integers too, as in the original.
pub fn integer(json: &Json) -> Option<i64> {
    let number = json.as_number()?;
    if let Some(i) = number.as_i64() {
        return Some(i);
    }
    if number.is_u64() {
        return None;
    }
    let real = number.as_f64()?;
    // Both bounds are exact in a double; the upper one itself does not fit an i64.
    if real.fract() == 0.0
        && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&real)
    {
        Some(real as i64)
    } else {
        None
    }
}

/// The value of any JSON number.
pub fn real(json: &Json) -> Option<f64> {
    let value = match integer(json) {
        Some(i) => i as f64,
        None => json.as_f64()?,
    };
    // Negative zero is zero.
    Some(if value == 0.0 { 0.0 } else { value })
}

/// The word for a value's type in error messages.
pub fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(false) => "false",
        Json::Bool(true) => "true",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// Parses one JSON value, refusing nesting deeper than [`MAX_DEPTH`].
///
/// # Errors
/// One line that names the line and column.
pub fn parse(text: &[u8]) -> Result<Json, String> {
    check_depth(text)?;
    parse_shallow(text)
}

/// As [`parse`], for text whose nesting is known to be bounded.
///
/// # Errors
/// One line that names the line and column.
pub fn parse_shallow(text: &[u8]) -> Result<Json, String> {
    let mut de = serde_json::Deserializer::from_slice(text);
    de.disable_recursion_limit();
    let value: Json = serde::Deserialize::deserialize(&mut de).map_err(|e| e.to_string())?;
    de.end().map_err(|e| e.to_string())?;
    Ok(value)
}

fn check_depth(text: &[u8]) -> Result<(), String> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("input exceeds maximum nesting depth {MAX_DEPTH}"));
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a string with its quotes and the original's escapes.
pub fn write_str(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = 0;
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0c => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[rest..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        rest = at + 1;
    }
    out.push_str(&text[rest..]);
    out.push('"');
}

/// Writes a number as the original does: integers whole, reals with 15 significant digits.
pub fn write_real(value: f64, out: &mut String) {
    out.push_str(&format_real(value));
}

/// C's `%.15g`.
pub fn format_real(value: f64) -> String {
    const DIGITS: i32 = 15;
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".into()
        } else if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.into();
    }
    let scientific = format!("{value:.*e}", (DIGITS - 1) as usize);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..DIGITS).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
    trim_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// Appends the compact form of `json`, members sorted.
pub fn write(json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(_) => match integer(json) {
            Some(i) => {
                let _ = write!(out, "{i}");
            }
            None => write_real(json.as_f64().unwrap_or(0.0), out),
        },
        Json::String(s) => write_str(s, out),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(object) => {
            out.push('{');
            for (at, (name, value)) in object.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_str(name, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// The compact form of `json`, members sorted.
pub fn to_string(json: &Json) -> String {
    let mut out = String::new();
    write(json, &mut out);
    out
}

/// The form with one member or element a line, two spaces a level.
pub fn to_string_pretty(json: &Json) -> String {
    let mut out = String::new();
    write_pretty(json, 0, &mut out);
    out
}

fn write_pretty(json: &Json, depth: usize, out: &mut String) {
    fn line(depth: usize, out: &mut String) {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth * 2));
    }
    match json {
        Json::Array(items) => {
            out.push('[');
            if !items.is_empty() {
                line(depth + 1, out);
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                        line(depth + 1, out);
                    }
                    write_pretty(item, depth + 1, out);
                }
                line(depth, out);
            }
            out.push(']');
        }
        Json::Object(object) => {
            out.push('{');
            if !object.is_empty() {
                line(depth + 1, out);
                for (at, (name, value)) in object.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                        line(depth + 1, out);
                    }
                    write_str(name, out);
                    out.push_str(": ");
                    write_pretty(value, depth + 1, out);
                }
                line(depth, out);
            }
            out.push('}');
        }
        scalar => write(scalar, out),
    }
}

/// Whether `text` is an `<id>`: a letter or `_`, then letters, digits and `_`.
pub fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Reads an object member by member; the first fault wins, and [`Members::finish`] tells it.
///
/// Two marks keep the used members: OVSDB objects have few, so a short list is enough.
pub struct Members<'a> {
    what: String,
    json: &'a Json,
    object: Option<&'a Object>,
    used: Vec<&'a str>,
    error: Option<Error>,
}

impl<'a> Members<'a> {
    /// Begins reading `json`, which error messages call `what`.
    pub fn new(json: &'a Json, what: impl Into<String>) -> Members<'a> {
        let mut members = Members {
            what: what.into(),
            json,
            object: json.as_object(),
            used: Vec::new(),
            error: None,
        };
        if members.object.is_none() {
            members.raise("Object expected.");
        }
        members
    }

    /// Notes a fault in the object, unless one is known.
    pub fn raise(&mut self, message: impl AsRef<str>) {
        if self.error.is_none() {
            let details = format!("Parsing {} failed: {}", self.what, message.as_ref());
            self.error = Some(if self.object.is_some() {
                Error::syntax(self.json, details)
            } else {
                Error::syntax_plain(details)
            });
        }
    }

    /// Notes another error, unless one is known.
    pub fn put_error(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// The object that is read.
    pub fn json(&self) -> &'a Json {
        self.json
    }

    /// Whether a fault is known.
    pub fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// A member that must be there and satisfy `accept`.
    pub fn required(&mut self, name: &str, accept: fn(&Json) -> bool) -> Option<&'a Json> {
        let member = self.optional(name, accept);
        if member.is_none() && self.object.is_some_and(|o| !o.contains_key(name)) {
            self.raise(format!("Required '{name}' member is missing."));
        }
        member
    }

    /// A member that may be missing but, if there, must satisfy `accept`.
    pub fn optional(&mut self, name: &str, accept: fn(&Json) -> bool) -> Option<&'a Json> {
        let (name, value) = self.object?.get_key_value(name)?;
        if accept(value) {
            if !self.used.contains(&name.as_str()) {
                self.used.push(name);
            }
            Some(value)
        } else {
            self.raise(format!("Type mismatch for member '{name}'."));
            None
        }
    }

    /// Ends the reading: the first fault, or a member that nobody asked for.
    ///
    /// # Errors
    /// A `"syntax error"` that shows the object.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.error.is_none()
            && let Some(object) = self.object
            && object.len() > self.used.len()
        {
            let unused = object.len() - self.used.len();
            let stray = object.keys().find(|k| !self.used.contains(&k.as_str()));
            if let Some(name) = stray {
                let message = if unused > 1 {
                    format!(
                        "Member '{name}' and {} other member{} are present but not allowed here.",
                        unused - 1,
                        if unused > 2 { "s" } else { "" }
                    )
                } else {
                    format!("Member '{name}' is present but not allowed here.")
                };
                self.raise(message);
            }
        }
        self.error.map_or(Ok(()), Err)
    }
}

/// What a member may be, for [`Members`].
pub mod accept {
    use super::{Json, integer, is_id};

    /// Anything.
    pub fn any(_: &Json) -> bool {
        true
    }
    /// `true` or `false`.
    pub fn boolean(json: &Json) -> bool {
        json.is_boolean()
    }
    /// A string.
    pub fn string(json: &Json) -> bool {
        json.is_string()
    }
    /// A string that is an `<id>`.
    pub fn id(json: &Json) -> bool {
        json.as_str().is_some_and(is_id)
    }
    /// An integer.
    pub fn int(json: &Json) -> bool {
        integer(json).is_some()
    }
    /// Any number.
    pub fn number(json: &Json) -> bool {
        json.is_number()
    }
    /// An array.
    pub fn array(json: &Json) -> bool {
        json.is_array()
    }
    /// An object.
    pub fn object(json: &Json) -> bool {
        json.is_object()
    }
    /// A string or an object.
    pub fn string_or_object(json: &Json) -> bool {
        json.is_string() || json.is_object()
    }
    /// An integer or a string.
    pub fn int_or_string(json: &Json) -> bool {
        json.is_string() || int(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_print_as_c_does() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e37, "1e+37"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (1.0 / 3.0, "0.333333333333333"),
        ] {
            assert_eq!(format_real(value), text);
        }
    }

    #[test]
    fn whole_reals_are_integers() {
        let json = parse(b"[1.0, 1e3, 1.5, 9223372036854775807, 9223372036854775808]").unwrap();
        let ints: Vec<_> = json.as_array().unwrap().iter().map(integer).collect();
        assert_eq!(ints, [Some(1), Some(1000), None, Some(i64::MAX), None]);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(parse(&deep(1000)).is_ok());
        assert!(parse(&deep(1001)).is_err());
    }

    #[test]
    fn stray_members_are_named() {
        let json = parse(br#"{"a":1,"b":2,"c":3}"#).unwrap();
        let mut m = Members::new(&json, "thing");
        m.required("a", accept::int);
        assert_eq!(
            m.finish().unwrap_err().details().unwrap(),
            "Parsing thing failed: Member 'b' and 1 other member are present but not allowed here."
        );
    }
}
