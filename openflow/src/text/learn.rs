//! `learn` in text.

use super::field::{hex_number, pull_subfield};
use super::number::{atoi, parse_int};
use super::{
    KeyValues, Names, alt_hex, format_field, format_subfield, parse_field, parse_subfield,
};
use crate::action::*;
use crate::oxm;

fn unsupported(orig: &str, name: &str) -> String {
    format!("{orig}: experimenter OXM field '{name}' not supported")
}

fn short(sf: Subfield) -> bool {
    oxm::short_header(sf.field) != 0
}

/// A value for a learned match: of the whole field in the field's syntax, of a part as a number.
fn immediate(orig: &str, dst: Subfield, text: &str, names: &Names) -> Result<u128, String> {
    if dst.is_whole() {
        let (value, mask) = parse_field(dst.field, text, names)?;
        let ones = low_bits(dst.field.row().bytes.saturating_mul(8));
        if mask & ones != ones {
            return Err(format!("{text}: wildcards not allowed here"));
        }
        return Ok(value);
    }
    let value = match parse_int(text, usize::from(dst.field.row().bytes)) {
        Ok((v, "")) => v,
        _ => return Err(format!("{orig}: cannot parse integer value")),
    };
    if value & !low_bits(dst.bits) != 0 {
        let shown = format_field(dst.field, value, u128::MAX, names);
        return Err(format!(
            "{orig}: value {shown} does not fit into {} bits",
            dst.bits
        ));
    }
    Ok(value)
}

fn parse_load(name: &str, value: &str) -> Result<LearnSpec, String> {
    let Some((src, target)) = value.split_once("->") else {
        return Err(format!("{name}: missing `->' in `{value}'"));
    };
    if src.is_empty() {
        return Err(format!("{name}: missing source before `->' in `{value}'"));
    }
    if let Ok((imm, rest)) = parse_int(value, 16) {
        if !rest.starts_with("->") {
            return Err(format!("{name}: garbage before `->' in `{value}'"));
        }
        let dst = parse_subfield(target)?;
        if !short(dst) {
            return Err(unsupported(value, target));
        }
        if imm & !low_bits(dst.bits) != 0 {
            return Err(format!(
                "{value}: value does not fit into {} bits",
                dst.bits
            ));
        }
        return Ok(LearnSpec {
            bits: dst.bits,
            src: LearnSource::Value(imm),
            dst: LearnTarget::Load(dst),
        });
    }
    let (src, dst) = parse_move(value)?;
    Ok(LearnSpec {
        bits: src.bits,
        src: LearnSource::Field(src),
        dst: LearnTarget::Load(dst),
    })
}

/// Reads `SRC->DST`.
pub(super) fn parse_move(text: &str) -> Result<(Subfield, Subfield), String> {
    let (src, rest) = pull_subfield(text)?;
    let Some(rest) = rest.strip_prefix("->") else {
        return Err(format!("{text}: missing `->' following source"));
    };
    let dst = parse_subfield(rest)?;
    if src.bits != dst.bits {
        return Err(format!(
            "{text}: source field is {} bits wide but destination is {} bits wide",
            src.bits, dst.bits
        ));
    }
    Ok((src, dst))
}

fn parse_spec(orig: &str, name: &str, value: &str, names: &Names) -> Result<LearnSpec, String> {
    let Ok(dst) = parse_subfield(name) else {
        return match name {
            "load" => parse_load(name, value),
            "output" => {
                let src = parse_subfield(value)?;
                Ok(LearnSpec {
                    bits: src.bits,
                    src: LearnSource::Field(src),
                    dst: LearnTarget::Output,
                })
            }
            _ => Err(format!("{orig}: unknown keyword {name}")),
        };
    };
    if !short(dst) {
        return Err(unsupported(orig, name));
    }
    let src = if value.is_empty() {
        LearnSource::Field(dst)
    } else {
        match parse_subfield(value) {
            Ok(src) if src.bits != dst.bits => {
                return Err(format!(
                    "{orig}: bit widths of {name} ({}) and {value} ({}) differ",
                    src.bits, dst.bits
                ));
            }
            Ok(src) => LearnSource::Field(src),
            Err(error) => match immediate(orig, dst, value, names) {
                Ok(v) => LearnSource::Value(v),
                Err(imm_error) => {
                    return Err(format!(
                        "{orig}: {name} value {value} cannot be parsed as a subfield ({error}) \
                         or an immediate value ({imm_error})"
                    ));
                }
            },
        }
    };
    Ok(LearnSpec {
        bits: dst.bits,
        src,
        dst: LearnTarget::Match(dst),
    })
}

/// Reads `learn`'s arguments.
pub(super) fn parse_learn(arg: &str, names: &Names) -> Result<Learn, String> {
    let mut l = Learn {
        idle_timeout: 0,
        hard_timeout: 0,
        priority: 0x8000,
        cookie: 0,
        flags: 0,
        table: 1,
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        limit: 0,
        result: None,
        specs: Vec::new(),
        second: false,
    };
    let word = |v: &str| (atoi(v) & 0xffff) as u16;
    for (name, value) in KeyValues::new(arg) {
        match name {
            "table" => {
                l.table = names
                    .table(value)
                    .ok_or_else(|| format!("unknown table \"{value}\""))?;
                if l.table == 255 {
                    return Err(format!("{arg}: table id 255 not valid for `learn' action"));
                }
            }
            "priority" => l.priority = word(value),
            "idle_timeout" => l.idle_timeout = word(value),
            "hard_timeout" => l.hard_timeout = word(value),
            "fin_idle_timeout" => l.fin_idle_timeout = word(value),
            "fin_hard_timeout" => l.fin_hard_timeout = word(value),
            "cookie" => l.cookie = super::str_to_u64(value).unwrap_or(0),
            "send_flow_rem" => l.flags |= 1,
            "delete_learned" => l.flags |= 2,
            "limit" => l.limit = (atoi(value) & 0xffff_ffff) as u32,
            "result_dst" => {
                l.flags |= 4;
                let sf = parse_subfield(value)?;
                if !sf.field.row().writable {
                    return Err(format!("{value} is read-only"));
                }
                if sf.bits != 1 {
                    return Err("result_dst in 'learn' action must be a single bit".into());
                }
                l.result = Some(sf);
            }
            _ => l.specs.push(parse_spec(arg, name, value, names)?),
        }
    }
    Ok(l)
}

fn format_spec(s: &LearnSpec, names: &Names) -> String {
    match (&s.src, &s.dst) {
        (LearnSource::Value(v), LearnTarget::Match(dst)) if dst.is_whole() => format!(
            "{}={}",
            dst.field.row().name,
            format_field(dst.field, *v, u128::MAX, names)
        ),
        (LearnSource::Value(v), LearnTarget::Match(dst)) => {
            format!("{}={}", format_subfield(*dst), hex_number(*v))
        }
        (LearnSource::Field(src), LearnTarget::Match(dst)) => {
            let mut out = format_subfield(*dst);
            if src.field != dst.field || src.ofs != dst.ofs {
                out.push('=');
                out.push_str(&format_subfield(*src));
            }
            out
        }
        (LearnSource::Value(v), LearnTarget::Load(dst)) => {
            format!("load:{}->{}", hex_number(*v), format_subfield(*dst))
        }
        (LearnSource::Field(src), LearnTarget::Load(dst)) => {
            format!("load:{}->{}", format_subfield(*src), format_subfield(*dst))
        }
        (LearnSource::Field(src), LearnTarget::Output) => {
            format!("output:{}", format_subfield(*src))
        }
        (LearnSource::Value(v), LearnTarget::Output) => format!("output:{}", hex_number(*v)),
    }
}

/// Writes a `learn` action.
pub(super) fn format_learn(l: &Learn, names: &Names) -> String {
    let mut parts = vec![format!("table={}", names.show_table(l.table))];
    for (name, value) in [
        ("idle_timeout", l.idle_timeout),
        ("hard_timeout", l.hard_timeout),
        ("fin_idle_timeout", l.fin_idle_timeout),
        ("fin_hard_timeout", l.fin_hard_timeout),
    ] {
        if value != 0 {
            parts.push(format!("{name}={value}"));
        }
    }
    if l.priority != 0x8000 {
        parts.push(format!("priority={}", l.priority));
    }
    if l.flags & 1 != 0 {
        parts.push("send_flow_rem".into());
    }
    if l.flags & 2 != 0 {
        parts.push("delete_learned".into());
    }
    if l.cookie != 0 {
        parts.push(format!("cookie={}", alt_hex(l.cookie)));
    }
    if l.limit != 0 {
        parts.push(format!("limit={}", l.limit));
    }
    if let Some(sf) = l.result {
        parts.push(format!("result_dst={}", format_subfield(sf)));
    }
    parts.extend(l.specs.iter().map(|s| format_spec(s, names)));
    format!("learn({})", parts.join(","))
}
