//! Lists of entries in the form of tests and debugging: `NXM_OF_IN_PORT(0001), NXM_OF_VLAN_TCI_W(1000/1000)`.

use super::{FieldHeader, names::ROWS, pull_header, put_header, wire_bytes};
use crate::wire::{Reader, Writer};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn header_name(h: FieldHeader) -> String {
    let w = if h.has_mask { "_W" } else { "" };
    if (h.class, h.number) == (1, 30) {
        return format!("NXM_NX_COOKIE{w}");
    }
    match h.row() {
        Some(row) => format!("{}{w}", row.name),
        None if h.class == 0xffff => {
            format!("0x{:x}:{}:{}", h.experimenter, h.class, h.number)
        }
        None => format!("{}:{}", h.class, h.number),
    }
}

/// Writes a bare list of entries as text; `<any>` if it is empty.
pub fn entries_to_string(bytes: &[u8]) -> String {
    let mut r = Reader::new(bytes);
    let mut parts = Vec::new();
    while !r.is_empty() {
        let Ok(h) = pull_header(&mut r) else {
            parts.push("<error>".to_string());
            break;
        };
        let Ok(body) = r.bytes(h.len) else {
            parts.push("<error>".to_string());
            break;
        };
        let width = if h.has_mask { h.len / 2 } else { h.len };
        let (value, mask) = body.split_at_checked(width).unwrap_or((body, &[]));
        let mut text = format!("{}({}", header_name(h), hex(value));
        if h.has_mask {
            text.push_str(&format!("/{}", hex(mask)));
        }
        text.push(')');
        parts.push(text);
    }
    if parts.is_empty() {
        "<any>".into()
    } else {
        parts.join(", ")
    }
}

/// Hexadecimal bytes at the beginning of text, perhaps with spaces between.
fn pull_hex(text: &str) -> (Vec<u8>, &str) {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(b) = rest.get(..2).and_then(|p| u8::from_str_radix(p, 16).ok()) {
        out.push(b);
        rest = rest.get(2..).unwrap_or("").trim_start();
    }
    (out, rest)
}

/// Reads text in the form of [`entries_to_string`]; values may be shorter or longer than fields
/// are, as tests of decoders want it.
pub fn entries_from_string(text: &str) -> Result<Vec<u8>, String> {
    let mut w = Writer::new();
    let mut rest = text.trim();
    if rest == "<any>" {
        return Ok(Vec::new());
    }
    while !rest.is_empty() {
        rest = rest.trim_start_matches([',', ' ']);
        if rest.is_empty() {
            break;
        }
        let Some((name, tail)) = rest.split_once('(') else {
            return Err(format!("{text}: missing ( at end of nx_match"));
        };
        let (value, tail) = pull_hex(tail);
        let (mask, tail) = match tail.strip_prefix('/') {
            Some(t) => {
                let (mask, tail) = pull_hex(t);
                (Some(mask), tail)
            }
            None => (None, tail),
        };
        let Some(tail) = tail.strip_prefix(')') else {
            return Err(format!("{text}: missing ) following field {name}"));
        };
        rest = tail;
        let plain = name.strip_suffix("_W").unwrap_or(name);
        let len = value.len() + mask.as_ref().map_or(0, Vec::len);
        if plain == "NXM_NX_COOKIE" {
            w.u32(1 << 16 | 30 << 9 | u32::from(mask.is_some()) << 8 | len as u32);
        } else if let Some(row) = ROWS.iter().find(|r| r.name == plain) {
            if value.len() != wire_bytes(row.field) {
                return Err(format!("{}: hex digits expected", value.len()));
            }
            put_header(&mut w, row, mask.is_some(), len);
        } else if let (8, Ok(header)) = (name.len(), u32::from_str_radix(name, 16)) {
            w.u32(header);
        } else if let (16, Ok(header)) = (name.len(), u64::from_str_radix(name, 16)) {
            // With its experimenter.
            w.u64(header);
        } else {
            return Err(format!("{text}: unknown field `{name}'"));
        }
        w.bytes(&value);
        if let Some(mask) = mask {
            w.bytes(&mask);
        }
    }
    Ok(w.out)
}
