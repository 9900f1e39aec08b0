//! Tables: configuration, statistics, features.

use super::*;
use crate::oxm;
use crate::version::Version;
use packet::{Oxm, OxmClass, Since};

fn miss(config: u32) -> TableMiss {
    match config & 3 {
        0 => TableMiss::Controller,
        1 => TableMiss::Continue,
        2 => TableMiss::Drop,
        _ => TableMiss::Default,
    }
}

fn raw_miss(m: TableMiss) -> u32 {
    match m {
        TableMiss::Continue => 1,
        TableMiss::Drop => 2,
        _ => 0,
    }
}

fn config14(table: u8, config: u32) -> TableConfig {
    TableConfig {
        table: TableId(table),
        miss: TableMiss::Default,
        eviction: Some(config & 4 != 0),
        eviction_flags: None,
        vacancy: Some(config & 8 != 0),
        thresholds: None,
    }
}

fn config_props(r: &mut Reader<'_>, c: &mut TableConfig, from_mod: bool) -> Result<()> {
    while !r.is_empty() {
        let (kind, mut p) = pull_property(r)?;
        let bad = |_| OfError::OFPBPC_BAD_LEN;
        match kind {
            2 => {
                let flags = prop_u32(&mut p)?;
                if from_mod && flags != 1 << 1 | 1 << 2 && flags & !7 != 0 {
                    return Err(OfError::OFPTMFC_EPERM.into());
                }
                c.eviction_flags = Some(flags);
            }
            3 => {
                let t = Vacancy {
                    down: p.u8().map_err(bad)?,
                    up: p.u8().map_err(bad)?,
                    now: p.u8().map_err(bad)?,
                };
                if from_mod && t.now != 0 {
                    return Err(OfError::OFPBPC_BAD_VALUE.into());
                }
                c.thresholds = Some(t);
            }
            _ => return Err(OfError::OFPBRC_BAD_TYPE.into()),
        }
    }
    Ok(())
}

pub(super) fn table_mod(r: &mut Reader<'_>, v: Version) -> Result<TableConfig> {
    let table = r.u8()?;
    r.skip(3)?;
    let config = r.u32()?;
    if v >= Version::Of14 {
        let mut c = config14(table, config);
        config_props(r, &mut c, true)?;
        return Ok(c);
    }
    let mut c = config14(table, 0);
    c.eviction = None;
    c.vacancy = None;
    if v < Version::Of13 {
        c.miss = miss(config);
    }
    Ok(c)
}

fn raw14(c: &TableConfig) -> u32 {
    let mut n = 0;
    if c.eviction == Some(true) {
        n |= 4;
    }
    if c.vacancy == Some(true) {
        n |= 8;
    }
    n
}

fn put_config_props(w: &mut Writer, c: &TableConfig) {
    if let Some(f) = c.eviction_flags {
        put_property(w, 2, &f.to_be_bytes());
    }
    if let Some(t) = c.thresholds {
        put_property(w, 3, &[t.down, t.up, t.now, 0]);
    }
}

pub(super) fn put_table_mod(w: &mut Writer, c: &TableConfig, v: Version) {
    w.u8(c.table.0);
    w.zeros(3);
    if v >= Version::Of14 {
        w.u32(raw14(c));
        put_config_props(w, c);
    } else {
        w.u32(if v < Version::Of13 {
            raw_miss(c.miss)
        } else {
            0
        });
    }
}

pub(super) fn descs(r: &mut Reader<'_>, _v: Version) -> Result<Vec<TableConfig>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        let len = usize::from(r.u16()?);
        let mut b = r.sub(len.checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?)?;
        let table = b.u8()?;
        b.skip(1)?;
        let mut c = config14(table, b.u32()?);
        config_props(&mut b, &mut c, false)?;
        out.push(c);
    }
    Ok(out)
}

pub(super) fn put_descs(w: &mut Writer, tables: &[TableConfig]) {
    for c in tables {
        let start = w.len();
        w.u16(0);
        w.u8(c.table.0);
        w.u8(0);
        w.u32(raw14(c));
        put_config_props(w, c);
        w.set_len(start, start);
    }
}

pub(super) fn stats(r: &mut Reader<'_>, v: Version) -> Result<Vec<(TableStats, TableFeatures)>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        let mut s = TableStats {
            table: r.u8()?,
            ..TableStats::default()
        };
        let mut f = TableFeatures {
            table: s.table,
            ..TableFeatures::default()
        };
        match v {
            Version::Of10 => {
                r.skip(3)?;
                f.name = r.text(32)?;
                f.wildcard = fields10(r.u32()?);
                f.matching = f.wildcard.clone();
                f.max_entries = r.u32()?;
            }
            Version::Of11 => {
                r.skip(7)?;
                f.name = r.text(32)?;
                f.wildcard = fields11(r.u32()?);
                f.matching = joined(fields11(r.u32()?), &f.wildcard);
                f.hit.instructions = instructions_of11(r.u32()?);
                f.miss_features = f.hit.clone();
                r.skip(8)?;
                f.miss = miss(r.u32()?);
                f.max_entries = r.u32()?;
            }
            Version::Of12 => {
                r.skip(7)?;
                f.name = r.text(32)?;
                let matching = fields_of12(r.u64()?);
                f.wildcard = fields_of12(r.u64()?);
                f.matching = joined(matching, &f.wildcard);
                f.hit.write = actions_of12(r.u32()?);
                f.hit.apply = actions_of12(r.u32()?);
                f.hit.write_fields = fields_of12(r.u64()?);
                f.hit.apply_fields = fields_of12(r.u64()?);
                f.metadata_match = r.u64()?;
                f.metadata_write = r.u64()?;
                f.hit.instructions = instructions_of11(r.u32()?);
                f.miss_features = f.hit.clone();
                f.miss = miss(r.u32()?);
                f.max_entries = r.u32()?;
            }
            _ => r.skip(3)?,
        }
        s.active = r.u32()?;
        s.lookups = r.u64()?;
        s.matched = r.u64()?;
        out.push((s, f));
    }
    Ok(out)
}

/// The fields of OpenFlow 1.0's wildcards, with their bits (§5.2.3 of 1.0.0).
const FIELDS10: [(u32, FieldId); 12] = [
    (1 << 0, FieldId::InPort),
    (1 << 1, FieldId::VlanVid),
    (1 << 2, FieldId::EthSrc),
    (1 << 3, FieldId::EthDst),
    (1 << 4, FieldId::EthType),
    (1 << 5, FieldId::IpProto),
    (1 << 6, FieldId::TcpSrc),
    (1 << 7, FieldId::TcpDst),
    (0x3f << 8, FieldId::Ipv4Src),
    (0x3f << 14, FieldId::Ipv4Dst),
    (1 << 20, FieldId::VlanPcp),
    (1 << 21, FieldId::IpDscp),
];

/// The fields of OpenFlow 1.1's OFPFMF_* flags (§A.2.3.2 of 1.1.0).
const FIELDS11: [(u32, FieldId); 15] = [
    (1 << 0, FieldId::InPort),
    (1 << 1, FieldId::VlanVid),
    (1 << 2, FieldId::VlanPcp),
    (1 << 3, FieldId::EthType),
    (1 << 4, FieldId::IpDscp),
    (1 << 5, FieldId::IpProto),
    (1 << 6, FieldId::TcpSrc),
    (1 << 7, FieldId::TcpDst),
    (1 << 8, FieldId::MplsLabel),
    (1 << 9, FieldId::MplsTc),
    (1 << 11, FieldId::EthSrc),
    (1 << 12, FieldId::EthDst),
    (1 << 13, FieldId::Ipv4Src),
    (1 << 14, FieldId::Ipv4Dst),
    (1 << 15, FieldId::Metadata),
];
/// All of them.
const ALL11: u32 = 0xfbff;

/// The fields of a bitmap, in the field table's order.
fn fields_in(bits: u32, map: &[(u32, FieldId)]) -> Vec<FieldId> {
    let there = |f: &FieldId| map.iter().any(|(bit, field)| field == f && bits & bit != 0);
    FieldId::all().filter(there).collect()
}

fn fields10(bits: u32) -> Vec<FieldId> {
    fields_in(bits, &FIELDS10)
}

fn fields11(bits: u32) -> Vec<FieldId> {
    fields_in(bits, &FIELDS11)
}

/// What is in either list, in the field table's order.
fn joined(some: Vec<FieldId>, more: &[FieldId]) -> Vec<FieldId> {
    let there = |f: &FieldId| some.contains(f) || more.contains(f);
    FieldId::all().filter(there).collect()
}

/// What [`fields12`] has made.
fn fields_of12(bits: u64) -> Vec<FieldId> {
    let there = |f: &FieldId| fields12(&[*f]) & bits != 0;
    FieldId::all().filter(there).collect()
}

/// Actions of a bitmap over their numbers (OpenFlow 1.2 §A.3.5.3).
fn actions_of12(bits: u32) -> Vec<&'static str> {
    let known = ACTIONS.iter().filter(|(_, name)| !name.is_empty());
    let there = known.filter(|(number, _)| bits >> number & 1 != 0);
    there.map(|(_, name)| *name).collect()
}

/// What [`instructions11`] has made.
fn instructions_of11(bits: u32) -> u32 {
    let numbers = INSTRUCTIONS.iter().filter(|(_, number)| *number <= 5);
    let there = numbers.filter(|(_, number)| bits & 1 << number != 0);
    there.fold(0, |map, (bit, _)| map | 1 << bit)
}

/// Instructions as a bitmap over their numbers (OpenFlow 1.2 §A.3.5.3).
fn instructions11(bits: u32) -> u32 {
    let numbers = INSTRUCTIONS.iter().filter(|(_, number)| *number <= 5);
    let there = numbers.filter(|(bit, _)| bits & 1 << bit != 0);
    there.fold(0, |map, (_, number)| map | 1 << number)
}

/// Fields as a bitmap over their numbers in OpenFlow 1.2.
fn fields12(fields: &[FieldId]) -> u64 {
    let numbers = fields.iter().filter_map(|f| f.row().oxm);
    let known = |o: &Oxm| o.class == OxmClass::Basic && o.since <= Since::Of12;
    numbers.filter(known).fold(0, |map, o| map | 1 << o.number)
}

pub(super) fn put_stats(w: &mut Writer, tables: &[(TableStats, TableFeatures)], v: Version) {
    for (s, f) in tables {
        w.u8(s.table);
        match v {
            Version::Of10 => {
                w.zeros(3);
                w.text(&f.name, 32);
                w.u32(oxm::ALL10);
                w.u32(f.max_entries);
            }
            Version::Of11 => {
                w.zeros(7);
                w.text(&f.name, 32);
                // Every field can be matched and left out.
                w.u32(ALL11);
                w.u32(ALL11);
                w.u32(instructions11(f.hit.instructions));
                w.u32(0x01ff_e7ff);
                w.u32(0x01ff_e7ff);
                w.u32(raw_miss(f.miss));
                w.u32(f.max_entries);
            }
            Version::Of12 => {
                w.zeros(7);
                w.text(&f.name, 32);
                w.u64(fields12(&f.matching));
                w.u64(fields12(&f.wildcard));
                w.u32(0x03ff_8001);
                w.u32(0x03ff_8001);
                w.u64(fields12(&f.hit.write_fields));
                w.u64(fields12(&f.hit.apply_fields));
                w.u64(f.metadata_match);
                w.u64(f.metadata_write);
                w.u32(instructions11(f.hit.instructions));
                w.u32(raw_miss(f.miss));
                w.u32(f.max_entries);
            }
            _ => w.zeros(3),
        }
        w.u32(s.active);
        w.u64(s.lookups);
        w.u64(s.matched);
    }
}

/// Instructions: their bit in [`InstructionFeatures`] and their number on the wire.
const INSTRUCTIONS: [(u32, u16); 6] = [(0, 6), (1, 4), (2, 5), (3, 3), (4, 2), (5, 1)];

/// Actions by their number in 1.3.
const ACTIONS: [(u16, &str); 13] = [
    (0, "output"),
    (22, "group"),
    (25, "set_field"),
    (18, "strip_vlan"),
    (17, "push_vlan"),
    (23, "mod_nw_ttl"),
    (24, "dec_ttl"),
    (15, "set_mpls_ttl"),
    (16, "dec_mpls_ttl"),
    (19, "push_mpls"),
    (20, "pop_mpls"),
    (21, "set_queue"),
    (0xffff, ""),
];

/// The actions that tables say they can do, by their names in text.
pub fn feature_actions() -> impl Iterator<Item = &'static str> {
    let names = ACTIONS.iter().map(|(_, name)| *name);
    names.filter(|name| !name.is_empty())
}

fn action_list(p: &mut Reader<'_>) -> Result<Vec<&'static str>> {
    let bad = |_| OfError::OFPBPC_BAD_LEN;
    let mut found = Vec::new();
    while !p.is_empty() {
        let kind = p.u16().map_err(bad)?;
        let len = usize::from(p.u16().map_err(bad)?);
        // Some say four, some eight: what counts is the type.
        let rest = len.saturating_sub(4).min(p.left());
        p.skip(rest).map_err(bad)?;
        found.push(kind);
    }
    let known = ACTIONS
        .iter()
        .filter(|(n, name)| !name.is_empty() && found.contains(n));
    Ok(known.map(|(_, name)| *name).collect())
}

/// Fields of a list of headers, in the field table's order: all, and those with the mask bit.
fn field_list(p: &mut Reader<'_>) -> Result<(Vec<FieldId>, Vec<FieldId>)> {
    let (mut all, mut masked) = (Vec::new(), Vec::new());
    while !p.is_empty() {
        let h = oxm::pull_header(p).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
        if let Some(row) = h.row() {
            all.push(row.field);
            if h.has_mask {
                masked.push(row.field);
            }
        }
    }
    for list in [&mut all, &mut masked] {
        list.sort();
        list.dedup();
    }
    Ok((all, masked))
}

fn instruction_bits(p: &mut Reader<'_>) -> Result<u32> {
    let bad = |_| OfError::OFPBPC_BAD_LEN;
    let mut bits = 0;
    while !p.is_empty() {
        let kind = p.u16().map_err(bad)?;
        let len = usize::from(p.u16().map_err(bad)?);
        let rest = len.saturating_sub(4).min(p.left());
        p.skip(rest).map_err(bad)?;
        let known = INSTRUCTIONS.iter().find(|(_, number)| *number == kind);
        bits |= known.map_or(0, |(bit, _)| 1 << bit);
    }
    Ok(bits)
}

pub(super) fn features(r: &mut Reader<'_>, v: Version) -> Result<Vec<TableFeatures>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        let bad_len = || OfError::OFPBPC_BAD_LEN;
        let len = usize::from(r.u16()?);
        if len < 64 {
            return Err(bad_len().into());
        }
        let mut b = r.sub(len - 2).map_err(|_| bad_len())?;
        let b = &mut b;
        let mut f = TableFeatures {
            table: b.u8()?,
            ..TableFeatures::default()
        };
        let command = b.u8()?;
        if v >= Version::Of15 {
            f.command = command;
        }
        b.skip(4)?;
        f.name = b.text(32)?;
        f.metadata_match = b.u64()?;
        f.metadata_write = b.u64()?;
        let capabilities = b.u32()?;
        if v >= Version::Of14 {
            f.supports_eviction = Some(capabilities & 4 != 0);
            f.supports_vacancy = Some(capabilities & 8 != 0);
        }
        f.max_entries = b.u32()?;
        let mut seen = [false; 16];
        while !b.is_empty() {
            let (kind, mut p) = pull_property(b)?;
            let p = &mut p;
            f.any_properties = true;
            if let Some(s) = seen.get_mut(usize::from(kind)) {
                *s = true;
            }
            let odd = kind % 2 == 1;
            let side = if odd {
                &mut f.miss_features
            } else {
                &mut f.hit
            };
            match kind {
                0 | 1 => side.instructions = instruction_bits(p)?,
                2 | 3 => side.next = p.take_rest().to_vec(),
                4 | 5 => side.write = action_list(p)?,
                6 | 7 => side.apply = action_list(p)?,
                8 => (f.matching, f.mask) = field_list(p)?,
                10 => f.wildcard = field_list(p)?.0,
                12 | 13 => side.write_fields = field_list(p)?.0,
                14 | 15 => side.apply_fields = field_list(p)?.0,
                _ => return Err(OfError::OFPBPC_BAD_TYPE.into()),
            }
        }
        // What is not said for misses is as for hits.
        let has = |n: usize| seen.get(n).copied().unwrap_or(false);
        if !has(1) {
            f.miss_features.instructions = f.hit.instructions;
        }
        if !has(3) {
            f.miss_features.next = f.hit.next.clone();
        }
        if !has(5) {
            f.miss_features.write = f.hit.write.clone();
        }
        if !has(7) {
            f.miss_features.apply = f.hit.apply.clone();
        }
        if !has(13) {
            f.miss_features.write_fields = f.hit.write_fields.clone();
        }
        if !has(15) {
            f.miss_features.apply_fields = f.hit.apply_fields.clone();
        }
        out.push(f);
    }
    Ok(out)
}

fn put_fields(w: &mut Writer, kind: u16, fields: &[FieldId], masked: &[FieldId], v: Version) {
    let mut body = Writer::new();
    for f in fields {
        if let Some(row) = oxm::row_of(*f, v.wire()) {
            let n = oxm::wire_bytes(*f);
            let has_mask = masked.contains(f);
            oxm::put_header(&mut body, row, has_mask, if has_mask { 2 * n } else { n });
        }
    }
    put_property(w, kind, &body.out);
}

fn put_actions(w: &mut Writer, kind: u16, names: &[&str]) {
    let mut body = Writer::new();
    for (n, name) in ACTIONS {
        if names.contains(&name) && !name.is_empty() {
            body.u16(n);
            body.u16(4);
        }
    }
    put_property(w, kind, &body.out);
}

fn put_side(w: &mut Writer, odd: u16, s: &InstructionFeatures, v: Version) {
    let mut body = Writer::new();
    for (bit, number) in INSTRUCTIONS {
        let there = s.instructions & 1 << bit != 0 && !(number == 6 && v >= Version::Of15);
        if there {
            body.u16(number);
            body.u16(4);
        }
    }
    put_property(w, odd, &body.out);
    put_property(w, 2 | odd, &s.next);
    put_actions(w, 4 | odd, &s.write);
    put_fields(w, 12 | odd, &s.write_fields, &[], v);
    put_actions(w, 6 | odd, &s.apply);
    put_fields(w, 14 | odd, &s.apply_fields, &[], v);
}

pub(super) fn put_features(w: &mut Writer, tables: &[TableFeatures], v: Version) {
    for f in tables {
        let start = w.len();
        w.u16(0);
        w.u8(f.table);
        w.u8(if v >= Version::Of15 { f.command } else { 0 });
        w.u32(0);
        w.text(&f.name, 32);
        w.u64(f.metadata_match);
        w.u64(f.metadata_write);
        let mut capabilities = 0;
        if f.supports_eviction == Some(true) {
            capabilities |= 4;
        }
        if f.supports_vacancy == Some(true) {
            capabilities |= 8;
        }
        w.u32(if v >= Version::Of14 { capabilities } else { 0 });
        w.u32(f.max_entries);
        if f.any_properties {
            put_side(w, 0, &f.hit, v);
            put_side(w, 1, &f.miss_features, v);
            put_fields(w, 8, &f.matching, &f.mask, v);
            put_fields(w, 10, &f.wildcard, &[], v);
        }
        w.set_len(start, start);
    }
}
