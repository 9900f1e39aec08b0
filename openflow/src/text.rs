//! Flows as people write them: the syntax of `ovs-ofctl`, both ways.
//!
//! * [`parse_flow`], [`parse_flow_stats_request`], [`parse_actions`]: from text; errors are the
//!   lines that `ovs-ofctl` prints.
//! * [`format_match`], [`format_actions`], [`format_flow_stats`]: to text.
//!
//! Names of ports and tables are the caller's to know: [`Names`].

mod action_args;
mod action_parse;
mod actions;
mod field;
mod flow;
mod keyvalue;
mod learn;
mod matching;
mod number;

pub use action_parse::{ParsedActions, parse_actions, parse_instructions};
pub(crate) use actions::reason_name;
pub use actions::{format_action, format_actions};
pub use field::{format_field, format_subfield, parse_field, parse_subfield};
pub(crate) use flow::format_duration;
pub use flow::{
    ParseCommand, ParsedFlow, format_flow_flags, format_flow_stats, parse_flow,
    parse_flow_stats_request, parse_packet,
};
pub use keyvalue::KeyValues;
pub use matching::{DEFAULT_PRIORITY, format_match};
pub(crate) use number::alt_hex;
pub use number::{str_to_u8, str_to_u16, str_to_u32, str_to_u64};

use crate::port::OfPort;
use std::collections::BTreeMap;

/// Names of ports and tables, for text in either direction.
#[derive(Clone, Debug, Default)]
pub struct Names {
    ports: BTreeMap<OfPort, String>,
    by_port_name: BTreeMap<String, OfPort>,
    tables: BTreeMap<u8, String>,
}

impl Names {
    /// No names: numbers and reserved ports only.
    pub const fn none() -> Names {
        Names {
            ports: BTreeMap::new(),
            by_port_name: BTreeMap::new(),
            tables: BTreeMap::new(),
        }
    }

    /// Names a port. A name that two ports have is nobody's.
    pub fn add_port(&mut self, port: OfPort, name: &str) {
        self.ports.insert(port, name.to_string());
        self.by_port_name.insert(name.to_string(), port);
    }

    /// Names a table.
    pub fn add_table(&mut self, table: u8, name: &str) {
        self.tables.insert(table, name.to_string());
    }

    /// The port that text means: a number, a reserved name, or a known name (perhaps in quotes).
    pub fn port(&self, text: &str) -> Option<OfPort> {
        if let Some(n) = number::str_to_uint(text, 10) {
            return match n {
                0..0xfff7 => Some(OfPort(n)),
                0xfff7..=0xffff => Some(OfPort(0xffff_0000 | n)),
                0x1_0000..0xffff_ff00 => None,
                _ => Some(OfPort(n)),
            };
        }
        OfPort::from_reserved_name(text).or_else(|| {
            let plain = unquote(text);
            self.by_port_name.get(plain.as_ref()).copied()
        })
    }

    /// The table that text means.
    pub fn table(&self, text: &str) -> Option<u8> {
        if let Some(n) = number::str_to_uint(text, 10) {
            return u8::try_from(n).ok();
        }
        let plain = unquote(text);
        self.tables
            .iter()
            .find(|(_, n)| n.as_str() == plain)
            .map(|(t, _)| *t)
    }

    /// A port's name or number.
    pub fn show_port(&self, port: OfPort) -> String {
        match (port.reserved_name(), self.ports.get(&port)) {
            (Some(name), _) => name.to_string(),
            (None, Some(name)) => quote(name),
            _ => port.0.to_string(),
        }
    }

    /// A table's name or number.
    pub fn show_table(&self, table: u8) -> String {
        match self.tables.get(&table) {
            Some(name) => quote(name),
            None => table.to_string(),
        }
    }

    /// Whether a table has a name.
    pub fn has_table_name(&self, table: u8) -> bool {
        self.tables.contains_key(&table)
    }
}

fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\").into(),
        None => text.into(),
    }
}

/// A name as it is printed: in quotes if it could be taken for something else.
fn quote(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let plain = first
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if plain && !matches!(name, "true" | "false") {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Bytes in the shape of a hex dump with offsets, sixteen a line.
pub fn hex_dump(bytes: &[u8]) -> String {
    hex_dump_ascii(bytes, false)
}

/// The same, with what is printable at the right.
pub fn hex_dump_ascii(bytes: &[u8], ascii: bool) -> String {
    let mut out = String::new();
    for (i, line) in bytes.chunks(16).enumerate() {
        out.push_str(&format!("{:08x}  ", i * 16));
        for n in 0..16 {
            match line.get(n) {
                Some(b) => out.push_str(&format!("{b:02x}{}", if n == 7 { '-' } else { ' ' })),
                None if ascii => out.push_str("   "),
                None => {}
            }
        }
        if !ascii && out.ends_with(' ') {
            out.pop();
        }
        if ascii {
            out.push('|');
            for n in 0..16 {
                out.push(match line.get(n) {
                    Some(b) if (0x20..0x7f).contains(b) => *b as char,
                    Some(_) => '.',
                    None => ' ',
                });
            }
            out.push('|');
        }
        out.push('\n');
    }
    out
}
