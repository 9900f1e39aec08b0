//! The arguments of actions that have a syntax of their own.

use super::actions::{ALGORITHMS, reason_number};
use super::field::{parse_mac, pull_subfield};
use super::number::{atoi, parse_int};
use super::{KeyValues, Names, parse_subfield, str_to_u16, str_to_u32};
use crate::action::*;
use crate::oxm;
use crate::port::OfPort;
use std::net::{Ipv4Addr, Ipv6Addr};

type Parsed = Result<Action, String>;

/// An Ethernet address at the beginning of text.
pub(super) fn mac(text: &str) -> Result<[u8; 6], String> {
    let end = text
        .find(|c: char| !(c.is_ascii_hexdigit() || c == ':'))
        .unwrap_or(text.len());
    let v = text.get(..end).and_then(parse_mac);
    let b = v
        .ok_or_else(|| format!("invalid mac address {text}"))?
        .to_be_bytes();
    Ok([b[10], b[11], b[12], b[13], b[14], b[15]])
}

pub(super) fn ip(text: &str) -> Result<Ipv4Addr, String> {
    text.parse()
        .map_err(|_| format!("{text}: could not convert to IP address"))
}

/// Hexadecimal bytes, perhaps with dots between; `None` if something else stands there.
pub(super) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '.', '\t', '\r', '\n']);
        if rest.is_empty() {
            return Some(out);
        }
        let pair = rest.get(..2)?;
        if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(pair, 16).ok()?);
        rest = rest.get(2..)?;
    }
}

pub(super) fn output(arg: &str, names: &Names) -> Parsed {
    if arg.contains("port") && arg.contains("max_len") {
        return output_trunc(arg, names);
    }
    if let Some(port) = names.port(arg) {
        let max_len = if port == OfPort::CONTROLLER {
            u16::MAX
        } else {
            0
        };
        return Ok(Action::Output { port, max_len });
    }
    match parse_subfield(arg) {
        Ok(src) => Ok(Action::OutputReg {
            src,
            max_len: u16::MAX,
        }),
        Err(_) => Err(format!("{arg}: output to unknown port")),
    }
}

fn output_trunc(arg: &str, names: &Names) -> Parsed {
    let (mut port, mut max_len) = (OfPort(0), 0);
    for (key, value) in KeyValues::new(arg) {
        match key {
            "port" => {
                port = names
                    .port(value)
                    .ok_or_else(|| format!("output to unknown truncate port: {value}"))?;
                let special = port == OfPort::LOCAL || port == OfPort::IN_PORT;
                if port > OfPort::MAX && !special {
                    return Err(format!("output to unsupported truncate port: {value}"));
                }
            }
            "max_len" => {
                max_len = str_to_u32(value)?;
                if max_len < 14 {
                    return Err(format!(
                        "max_len {max_len} is less than the minimum value 14"
                    ));
                }
            }
            _ => return Err(format!("invalid key '{key}' in output_trunc argument")),
        }
    }
    Ok(Action::OutputTrunc { port, max_len })
}

pub(super) fn controller(arg: &str) -> Parsed {
    let mut c = Controller::default();
    let mut userdata = None;
    if !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_digit()) {
        c.max_len = str_to_u16(arg, "max_len")?;
    } else {
        for (key, value) in KeyValues::new(arg) {
            match key {
                "reason" => {
                    c.reason = reason_number(value)
                        .ok_or_else(|| format!("unknown reason \"{value}\""))?;
                }
                "max_len" => c.max_len = str_to_u16(value, "max_len")?,
                "id" => c.id = str_to_u16(value, "id")?,
                "userdata" => userdata = Some(value),
                "pause" => c.pause = true,
                "meter_id" => c.meter = str_to_u32(value)?,
                _ => return Err(format!("unknown key \"{key}\" parsing controller action")),
            }
        }
    }
    if c.reason == 1 && c.id == 0 && userdata.is_none() && !c.pause && c.meter == 0 {
        return Ok(Action::Output {
            port: OfPort::CONTROLLER,
            max_len: c.max_len,
        });
    }
    if let Some(text) = userdata {
        c.userdata =
            hex_bytes(text).ok_or("bad hex digit in `controller' action `userdata'".to_string())?;
    }
    Ok(Action::Controller(c))
}

pub(super) fn enqueue(arg: &str, names: &Names) -> Parsed {
    let trimmed = arg.trim_start_matches([':', 'q', ',']);
    let split = trimmed.split_once([':', 'q', ',']);
    let Some((port, queue)) = split.filter(|(_, q)| !q.is_empty()) else {
        return Err(
            "\"enqueue\" syntax is \"enqueue:PORT:QUEUE\" or \"enqueue(PORT,QUEUE)\"".into(),
        );
    };
    let port = names
        .port(port)
        .ok_or_else(|| format!("{port}: enqueue to unknown port"))?;
    Ok(Action::Enqueue {
        port,
        queue: str_to_u32(queue)?,
    })
}

fn tokens<'a>(text: &'a str, ends: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.split(ends).filter(|t| !t.is_empty())
}

fn hash_fields(orig: &str, text: &str) -> Result<HashFields, String> {
    HashFields::ALL
        .iter()
        .find(|(_, n)| n.eq_ignore_ascii_case(text))
        .map(|(f, _)| *f)
        .ok_or_else(|| format!("{orig}: unknown fields `{text}'"))
}

fn supported_target(orig: &str, text: &str) -> Result<Subfield, String> {
    let dst = parse_subfield(text)?;
    if oxm::short_header(dst.field) == 0 {
        return Err(format!(
            "{orig}: experimenter OXM field '{text}' not supported"
        ));
    }
    Ok(dst)
}

pub(super) fn bundle(arg: &str, load: bool, names: &Names) -> Parsed {
    let missing = || format!("{arg}: not enough arguments to bundle action");
    let mut rest = arg;
    let mut next = |ends: &[char]| -> Option<&str> {
        let text = rest.trim_start_matches(ends);
        if text.is_empty() {
            return None;
        }
        let end = text.find(ends).unwrap_or(text.len());
        let (word, tail) = text.split_at(end);
        rest = tail.get(1..).unwrap_or("");
        Some(word)
    };
    let sep = [',', ' '];
    let fields = next(&sep);
    let basis = next(&sep);
    let algorithm = next(&sep);
    let member_type = next(&sep);
    let dst = if load { next(&sep) } else { None };
    let delimiter = next(&[':', ' ']).ok_or_else(missing)?;
    let [
        Some(fields),
        Some(basis),
        Some(algorithm),
        Some(member_type),
    ] = [fields, basis, algorithm, member_type]
    else {
        return Err(missing());
    };
    if !delimiter.eq_ignore_ascii_case("members") && !delimiter.eq_ignore_ascii_case("slaves") {
        return Err(format!(
            "{arg}: missing member delimiter, expected `members', got `{delimiter}'"
        ));
    }
    let mut members = Vec::new();
    for m in tokens(rest, &[',', ' ', '[', ']']).take(2048) {
        members.push(
            names
                .port(m)
                .ok_or_else(|| format!("{m}: bad port number"))?,
        );
    }
    let fields = hash_fields(arg, fields)?;
    let hrw = match algorithm.to_ascii_lowercase().as_str() {
        "active_backup" => false,
        "hrw" => true,
        _ => return Err(format!("{arg}: unknown algorithm `{algorithm}'")),
    };
    if !member_type.eq_ignore_ascii_case("ofport") {
        return Err(format!("{arg}: unknown member_type `{member_type}'"));
    }
    let dst = dst.map(|d| supported_target(arg, d)).transpose()?;
    let basis = (atoi(basis) & 0xffff) as u16;
    Ok(Action::Bundle(Bundle {
        fields,
        basis,
        hrw,
        dst,
        members,
    }))
}

pub(super) fn multipath(arg: &str) -> Parsed {
    let all: Vec<&str> = tokens(arg, &[',', ' ']).collect();
    let [fields, basis, algorithm, links, extra, dst, ..] = all.as_slice() else {
        return Err(format!("{arg}: not enough arguments to multipath action"));
    };
    let fields = hash_fields(arg, fields)?;
    let number = ALGORITHMS
        .iter()
        .position(|a| a.eq_ignore_ascii_case(algorithm));
    let number = number.ok_or_else(|| format!("{arg}: unknown algorithm `{algorithm}'"))?;
    let n_links = atoi(links);
    let Some(max_link) = u16::try_from(n_links - 1).ok() else {
        return Err(format!(
            "{arg}: n_links {n_links} is not in valid range 1 to 65536"
        ));
    };
    let dst = supported_target(arg, dst)?;
    if dst.bits < 16 && n_links > 1 << dst.bits {
        return Err(format!(
            "{arg}: {}-bit destination field has {} possible values, less than specified n_links \
             {n_links}",
            dst.bits,
            1u32 << dst.bits
        ));
    }
    Ok(Action::Multipath(Multipath {
        fields,
        basis: (atoi(basis) & 0xffff) as u16,
        algorithm: number as u16,
        max_link,
        arg: (atoi(extra) & 0xffff_ffff) as u32,
        dst,
    }))
}

/// Splits `VALUE->FIELD`.
fn split_arrow(arg: &str) -> Result<(&str, &str), String> {
    let (value, key) = arg
        .split_once("->")
        .ok_or_else(|| format!("{arg}: missing `->'"))?;
    if key.is_empty() {
        return Err(format!("{arg}: missing field name following `->'"));
    }
    Ok((value, key))
}

pub(super) fn set_field(arg: &str, names: &Names) -> Parsed {
    let (text, key) = split_arrow(arg)?;
    let field = packet::FieldId::by_name(key)
        .or_else(|| oxm::by_wire_name(key))
        .ok_or_else(|| format!("{key} is not a valid OXM field name"))?;
    if !field.row().writable {
        return Err(format!("{key} is read-only"));
    }
    let (value, mask) = super::parse_field(field, text, names)?;
    if !oxm::is_value_valid(field, value) {
        return Err(format!("{text} is not a valid value for field {key}"));
    }
    let mask = mask & oxm::legal_bits(field);
    Ok(Action::SetField {
        field,
        value,
        mask,
        form: SetForm::SetField,
    })
}

pub(super) fn load(arg: &str, names: &Names) -> Parsed {
    let (_, key) = split_arrow(arg)?;
    let dst = parse_subfield(key)?;
    let Ok((value, _)) = parse_int(arg, usize::from(dst.field.row().bytes)) else {
        return Err(format!("{arg}: cannot parse integer value"));
    };
    if value & !low_bits(dst.bits) != 0 {
        let shown = super::format_field(dst.field, value, u128::MAX, names);
        return Err(format!(
            "{arg}: value {shown} does not fit into {} bits",
            dst.bits
        ));
    }
    Ok(Action::SetField {
        field: dst.field,
        value: value << dst.ofs,
        mask: dst.mask(),
        form: SetForm::Load,
    })
}

pub(super) fn stack(arg: &str) -> Result<Subfield, String> {
    match pull_subfield(arg)? {
        (sf, "") => Ok(sf),
        (_, rest) => Err(format!("{rest}: trailing garbage following push or pop")),
    }
}

pub(super) fn dec_ttl(arg: &str) -> Parsed {
    if arg.is_empty() {
        return Ok(Action::DecTtl(None));
    }
    let ids: Vec<u16> = tokens(arg, &[',', ' '])
        .map(|t| (atoi(t) & 0xffff) as u16)
        .collect();
    if ids.is_empty() {
        return Err("dec_ttl_cnt_ids: expected at least one controller id.".into());
    }
    Ok(Action::DecTtl(Some(ids)))
}

pub(super) fn fin_timeout(arg: &str) -> Parsed {
    let (mut idle, mut hard) = (0, 0);
    for (key, value) in KeyValues::new(arg) {
        match key {
            "idle_timeout" => idle = str_to_u16(value, key)?,
            "hard_timeout" => hard = str_to_u16(value, key)?,
            _ => return Err(format!("invalid key '{key}' in 'fin_timeout' argument")),
        }
    }
    Ok(Action::FinTimeout { idle, hard })
}

pub(super) fn resubmit(arg: &str, names: &Names) -> Parsed {
    let mut parts = arg.splitn(3, ',');
    let mut in_port = OfPort::IN_PORT;
    if let Some(p) = parts.next().filter(|p| !p.is_empty()) {
        in_port = names
            .port(p)
            .ok_or_else(|| format!("{p}: resubmit to unknown port"))?;
    }
    let mut table = 255;
    if let Some(t) = parts.next().filter(|t| !t.is_empty()) {
        table = names
            .table(t)
            .ok_or_else(|| format!("{t}: resubmit to unknown table"))?;
    }
    let ct = match parts.next().filter(|c| !c.is_empty()) {
        None => false,
        Some("ct") => true,
        Some(c) => return Err(format!("{c}: unknown parameter")),
    };
    if in_port == OfPort::IN_PORT && table == 255 {
        return Err("at least one \"in_port\" or \"table\" must be specified on resubmit".into());
    }
    Ok(Action::Resubmit {
        in_port,
        table,
        ct,
        form: ResubmitForm::Table,
    })
}

pub(super) fn conjunction(arg: &str) -> Parsed {
    let syntax = || "\"conjunction\" syntax is \"conjunction(id,i/n)\"".to_string();
    let (id, rest) = parse_int(arg, 4).map_err(|_| syntax())?;
    let rest = rest.trim_start().strip_prefix(',').ok_or_else(syntax)?;
    let (clause, n) = rest.split_once('/').ok_or_else(syntax)?;
    let number = |t: &str| t.trim().parse::<u8>().map_err(|_| syntax());
    let (clause, n_clauses) = (number(clause)?, number(n)?);
    let wrong = if n_clauses < 2 {
        "conjunction must have at least 2 clauses"
    } else if n_clauses > 64 {
        "conjunction must have at most 64 clauses"
    } else if clause < 1 {
        "clause index must be positive"
    } else if clause > n_clauses {
        "clause index must be less than or equal to number of clauses"
    } else {
        let id = u32::try_from(id).map_err(|_| syntax())?;
        return Ok(Action::Conjunction {
            id,
            clause: clause - 1,
            n_clauses,
        });
    };
    Err(wrong.into())
}

pub(super) fn note(arg: &str) -> Parsed {
    let mut data = hex_bytes(arg).ok_or("bad hex digit in `note' argument".to_string())?;
    // On the wire a note fills its action: 6 bytes and then steps of 8.
    let len = 6 + data.len().saturating_sub(6).next_multiple_of(8);
    data.resize(len, 0);
    Ok(Action::Note(data))
}

fn sample_id(value: &str, key: &str) -> Result<SampleId, String> {
    if let Ok(n) = str_to_u32(value) {
        return Ok(SampleId::Number(n));
    }
    let sf = parse_subfield(value)?;
    if sf.bits > 32 {
        return Err(format!(
            "size of {key} field ({}) exceeds maximum (32)",
            sf.bits
        ));
    }
    Ok(SampleId::Field(sf))
}

pub(super) fn sample(arg: &str, names: &Names) -> Parsed {
    let mut s = Sample {
        probability: 0,
        collector_set: 0,
        obs_domain: SampleId::Number(0),
        obs_point: SampleId::Number(0),
        port: OfPort::NONE,
        direction: SampleDirection::Default,
    };
    for (key, value) in KeyValues::new(arg) {
        match key {
            "probability" => {
                s.probability = str_to_u16(value, "probability")?;
                if s.probability == 0 {
                    return Err(format!("invalid probability value \"{value}\""));
                }
            }
            "collector_set_id" => s.collector_set = str_to_u32(value)?,
            "obs_domain_id" => s.obs_domain = sample_id(value, key)?,
            "obs_point_id" => s.obs_point = sample_id(value, key)?,
            "sampling_port" => {
                s.port = names
                    .port(value)
                    .ok_or_else(|| format!("{value}: unknown port"))?;
            }
            "ingress" => s.direction = SampleDirection::Ingress,
            "egress" => s.direction = SampleDirection::Egress,
            _ => return Err(format!("invalid key \"{key}\" in \"sample\" argument")),
        }
    }
    if s.probability == 0 {
        return Err("non-zero \"probability\" must be specified on sample".into());
    }
    Ok(Action::Sample(s))
}

/// Reads a range `ADDR[-ADDR][:PORT[-PORT]]`.
fn nat_range(text: &str, nat: &mut Nat) -> Result<(), String> {
    let invalid = || format!("invalid nat range \"{text}\"");
    let v4_end = |t: &str| {
        t.find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(t.len())
    };
    let v6_end = |t: &str| {
        t.find(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.'))
            .unwrap_or(t.len())
    };
    let pull_v4 = |t: &str| -> Option<(Ipv4Addr, usize)> {
        let end = v4_end(t);
        Some((t.get(..end)?.parse().ok()?, end))
    };
    let pull_v6 = |t: &str| -> Option<(Ipv6Addr, usize)> {
        match t.strip_prefix('[') {
            Some(inner) => {
                let end = inner.find(']')?;
                Some((inner.get(..end)?.parse().ok()?, end + 2))
            }
            None => {
                let end = v6_end(t);
                Some((t.get(..end)?.parse().ok()?, end))
            }
        }
    };
    let mut n = 0;
    let at = |n: usize| text.get(n..).unwrap_or("");
    if let Some((min, len)) = pull_v4(text) {
        n += len;
        let mut max = None;
        if at(n).starts_with('-') {
            n += 1;
            let (m, len) = pull_v4(at(n))
                .filter(|(m, _)| *m >= min)
                .ok_or_else(invalid)?;
            n += len;
            max = Some(m);
        }
        nat.addrs = Some(NatAddrs::V4(min, max));
    } else if let Some((min, len)) = pull_v6(text) {
        n += len;
        let mut max = None;
        if at(n).starts_with('-') {
            n += 1;
            let (m, len) = pull_v6(at(n))
                .filter(|(m, _)| *m >= min)
                .ok_or_else(invalid)?;
            n += len;
            max = Some(m);
        }
        nat.addrs = Some(NatAddrs::V6(min, max));
    }
    let pull_port = |t: &str| -> Option<(u16, usize)> {
        let end = t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
        Some((t.get(..end)?.parse().ok()?, end))
    };
    if nat.addrs.is_some() && at(n).starts_with(':') {
        n += 1;
        let (min, len) = pull_port(at(n)).ok_or_else(invalid)?;
        n += len;
        let mut max = None;
        if at(n).starts_with('-') {
            n += 1;
            let (m, len) = pull_port(at(n))
                .filter(|(m, _)| *m >= min)
                .ok_or_else(invalid)?;
            n += len;
            max = Some(m);
        }
        nat.ports = Some((min, max));
    }
    if !at(n).is_empty() {
        return Err(format!(
            "garbage ({}) after nat range \"{text}\" (pos: {n})",
            at(n)
        ));
    }
    Ok(())
}

pub(super) fn nat(arg: &str) -> Result<Nat, String> {
    let mut nat = Nat::default();
    for (key, value) in KeyValues::new(arg) {
        match key {
            "src" | "dst" => {
                nat.flags |= if key == "src" { 1 } else { 2 };
                if !value.is_empty() {
                    nat_range(value, &mut nat)?;
                }
            }
            "persistent" => nat.flags |= 4,
            "hash" => nat.flags |= 8,
            "random" => nat.flags |= 16,
            _ => return Err(format!("invalid key \"{key}\" in \"nat\" argument")),
        }
    }
    let wrong = if nat.flags & 3 == 3 {
        "May only specify one of \"src\" or \"dst\"."
    } else if nat.flags & 3 == 0 && nat.flags != 0 {
        "Flags allowed only with \"src\" or \"dst\"."
    } else if nat.flags & 0x18 == 0x18 {
        "Both \"hash\" and \"random\" are not allowed."
    } else {
        return Ok(nat);
    };
    Err(wrong.into())
}

pub(super) fn check_pkt_larger(arg: &str) -> Parsed {
    let (value, key) = split_arrow(arg)?;
    let value = value.strip_suffix(')').unwrap_or(value);
    let dst = parse_subfield(key)?;
    if dst.bits != 1 {
        return Err("Only 1-bit destination field is allowed".into());
    }
    Ok(Action::CheckPktLarger {
        len: str_to_u16(value, "(null)")?,
        dst,
    })
}

fn nsh_prop(key: &str, value: &str) -> Result<EncapProp, String> {
    if !matches!(key, "md_type" | "tlv") {
        return Err(format!("Invalid property: {key}"));
    }
    if value.is_empty() {
        return Err("Value missing for encap property".into());
    }
    if key == "md_type" {
        return match super::str_to_u8(value, "md_type")? {
            t @ 1..=2 => Ok(EncapProp::NshMdType(t)),
            _ => Err("invalid md_type".into()),
        };
    }
    let bad = || format!("Invalid NSH TLV header: {value}");
    let parts: Vec<&str> = value.split(',').collect();
    let [class, kind, data] = parts.as_slice() else {
        return Err(bad());
    };
    let class = class
        .strip_prefix("0x")
        .and_then(|c| u16::from_str_radix(c, 16).ok());
    let kind = kind.parse::<u8>().ok();
    let data = data.strip_prefix("0x").and_then(hex_bytes);
    match (class, kind, data) {
        (Some(class), Some(kind), Some(data)) => Ok(EncapProp::NshTlv { class, kind, data }),
        _ => Err(bad()),
    }
}

pub(super) fn encap(arg: &str) -> Parsed {
    let Some((key, value)) = KeyValues::new(arg).next() else {
        return Err(format!("Missing encap hdr: {arg}"));
    };
    let ethertype = match key {
        "ethernet" => 0,
        "nsh" => 0x1894f,
        "mpls" => 0x18847,
        "mpls_mc" => 0x18848,
        _ => return Err(format!("Encap hdr not supported: {value}")),
    };
    let mut props = Vec::new();
    for (k, v) in KeyValues::new(value) {
        if key != "nsh" {
            return Err(format!("Invalid property: {k}"));
        }
        props.push(nsh_prop(k, v)?);
    }
    Ok(Action::Encap { ethertype, props })
}

pub(super) fn decap(arg: &str) -> Parsed {
    let Some((key, value)) = KeyValues::new(arg).next() else {
        return Ok(Action::Decap {
            packet_type: 0xfffe,
        });
    };
    if key != "packet_type" {
        return Err(format!("Invalid decap argument: {key}"));
    }
    let mut parts = KeyValues::new(value);
    let Some(("ns", ns)) = parts.next() else {
        return Err("Missing packet_type attribute ns".into());
    };
    let ns = str_to_u16(ns, "ns")?;
    if ns > 1 {
        return Err(format!("Unsupported ns value: {ns}"));
    }
    let Some(("type", kind)) = parts.next() else {
        return Err("Missing packet_type attribute type".into());
    };
    let kind = str_to_u16(kind, "type")?;
    Ok(Action::Decap {
        packet_type: u32::from(ns) << 16 | u32::from(kind),
    })
}
