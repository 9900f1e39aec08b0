//! Tables: configuration, statistics, features.

use super::name_list::list;
use super::{Printer, bit_names};
use crate::action::Instruction;
use crate::message::*;
use crate::text::alt_hex;

const EVICTION: [(u32, &str); 3] = [(1, "OTHER"), (2, "IMPORTANCE"), (4, "LIFETIME")];

fn on_off(b: Option<bool>) -> &'static str {
    match b {
        None => "default",
        Some(true) => "on",
        Some(false) => "off",
    }
}

fn miss_name(m: TableMiss) -> &'static str {
    match m {
        TableMiss::Default => "default",
        TableMiss::Controller => "controller",
        TableMiss::Continue => "continue",
        TableMiss::Drop => "drop",
    }
}

fn eviction_flags(flags: Option<u32>) -> String {
    match flags {
        None => "(default)".into(),
        Some(f) => bit_names(f, &EVICTION, '|'),
    }
}

impl Printer<'_> {
    pub(super) fn table_mod(&self, s: &mut String, c: &TableConfig) {
        if c.table == TableId::ALL {
            s.push_str(" table_id: ALL_TABLES");
        } else {
            s.push_str(&format!(" table_id={}", self.names.show_table(c.table.0)));
        }
        if c.miss != TableMiss::Default {
            s.push_str(&format!(", flow_miss_config={}", miss_name(c.miss)));
        }
        if c.eviction.is_some() {
            s.push_str(&format!(", eviction={}", on_off(c.eviction)));
        }
        if c.eviction_flags.is_some() {
            s.push_str(&format!(
                "eviction_flags={}",
                eviction_flags(c.eviction_flags)
            ));
        }
        if c.vacancy.is_some() {
            s.push_str(&format!(", vacancy={}", on_off(c.vacancy)));
            if c.vacancy == Some(true) {
                let t = c.thresholds.unwrap_or_default();
                s.push_str(&format!(" vacancy:{},{}", t.down, t.up));
            }
        }
    }

    pub(super) fn table_desc(&self, s: &mut String, c: &TableConfig) {
        s.push_str(&format!(
            "\n  table {}:\n   eviction={} eviction_flags={}\n   vacancy={}",
            self.names.show_table(c.table.0),
            on_off(c.eviction),
            eviction_flags(c.eviction_flags),
            on_off(c.vacancy)
        ));
        if c.vacancy == Some(true) {
            let t = c.thresholds.unwrap_or_default();
            s.push_str(&format!(
                " vacancy_down={}% vacancy_up={}% vacancy={}%",
                t.down, t.up, t.now
            ));
        }
        s.push('\n');
    }
}

/// Tables that are like the one before are told together.
#[derive(Default)]
struct Ditto(Option<(u8, u8)>);

impl Ditto {
    fn add(&mut self, table: u8) {
        self.0 = Some((self.0.map_or(table, |(first, _)| first), table));
    }

    fn finish(&mut self, s: &mut String) {
        match self.0.take() {
            None => {}
            Some((a, b)) if a == b => s.push_str(&format!("\n  table {a}: ditto\n")),
            Some((a, b)) => s.push_str(&format!("\n  tables {a}...{b}: ditto\n")),
        }
    }
}

pub(super) fn stats(s: &mut String, tables: &[(TableStats, TableFeatures)]) {
    let list: Vec<_> = tables.iter().map(|(s, f)| (Some(s), f)).collect();
    all(s, &list);
}

pub(super) fn features(s: &mut String, tables: &[TableFeatures]) {
    let list: Vec<_> = tables.iter().map(|f| (None, f)).collect();
    all(s, &list);
}

fn all(s: &mut String, list: &[(Option<&TableStats>, &TableFeatures)]) {
    let mut ditto = Ditto::default();
    let mut before: Option<(Option<&TableStats>, &TableFeatures)> = None;
    for (stats, f) in list {
        one(s, *stats, f, before, &mut ditto);
        before = Some((*stats, f));
    }
    ditto.finish(s);
}

/// Next tables counted from the table itself, so that "all later tables" is the same in each.
fn same_next(a: &InstructionFeatures, ta: u8, b: &InstructionFeatures, tb: u8) -> bool {
    if a.next == b.next {
        return true;
    }
    let rest = |next: &[u8], t: u8| {
        let mut n: Vec<u8> = next.to_vec();
        n.sort_unstable();
        n.iter()
            .copied()
            .filter(|x| *x > t.max(ta).max(tb))
            .collect::<Vec<u8>>()
    };
    rest(&a.next, ta) == rest(&b.next, tb) && contiguous(&a.next, ta) && contiguous(&b.next, tb)
}

fn contiguous(next: &[u8], t: u8) -> bool {
    let mut n = next.to_vec();
    n.sort_unstable();
    n.iter()
        .copied()
        .eq(t.saturating_add(1)..=t.saturating_add(n.len() as u8))
}

fn same_side(a: &InstructionFeatures, ta: u8, b: &InstructionFeatures, tb: u8) -> bool {
    a.instructions == b.instructions
        && a.write == b.write
        && a.apply == b.apply
        && a.write_fields == b.write_fields
        && a.apply_fields == b.apply_fields
        && same_next(a, ta, b, tb)
}

fn same_features(a: &TableFeatures, b: &TableFeatures) -> bool {
    a.metadata_match == b.metadata_match
        && a.metadata_write == b.metadata_write
        && a.miss == b.miss
        && a.supports_eviction == b.supports_eviction
        && a.supports_vacancy == b.supports_vacancy
        && a.max_entries == b.max_entries
        && same_side(&a.hit, a.table, &b.hit, b.table)
        && same_side(&a.miss_features, a.table, &b.miss_features, b.table)
        && a.matching == b.matching
        && a.mask == b.mask
        && a.wildcard == b.wildcard
}

fn is_empty(f: &TableFeatures) -> bool {
    let nothing = TableFeatures {
        table: f.table,
        name: f.name.clone(),
        ..Default::default()
    };
    same_features(f, &nothing)
}

fn one(
    s: &mut String,
    stats: Option<&TableStats>,
    f: &TableFeatures,
    before: Option<(Option<&TableStats>, &TableFeatures)>,
    ditto: &mut Ditto,
) {
    if before.is_none() && f.command != 0 {
        let name = match f.command {
            1 => "modify",
            2 => "enable",
            _ => "disable",
        };
        s.push_str(&format!("\n  command: {name}"));
    }
    let like = |a: &TableStats, b: &TableStats| {
        (a.active, a.lookups, a.matched) == (b.active, b.lookups, b.matched)
    };
    let same_stats = match (stats, before.and_then(|b| b.0)) {
        (None, _) => true,
        (Some(a), Some(b)) => like(a, b),
        (Some(_), None) => false,
    };
    let same = before.is_some_and(|(_, b)| same_features(f, b));
    if same_stats && same && f.name.is_empty() {
        ditto.add(f.table);
        return;
    }
    ditto.finish(s);
    s.push_str(&format!("\n  table {}", f.table));
    if !f.name.is_empty() {
        s.push_str(&format!(" (\"{}\")", f.name));
    }
    s.push(':');
    if same_stats && same {
        s.push_str(" ditto");
        return;
    }
    s.push('\n');
    if let Some(t) = stats {
        s.push_str(&format!(
            "    active={}, lookup={}, matched={}\n",
            t.active, t.lookups, t.matched
        ));
    }
    if same {
        if !is_empty(f) {
            s.push_str("    (same features)\n");
        }
        return;
    }
    body(s, f, before.map(|b| b.1));
}

fn body(s: &mut String, f: &TableFeatures, before: Option<&TableFeatures>) {
    if f.metadata_match != 0 || f.metadata_write != 0 {
        s.push_str(&format!(
            "    metadata: match={} write={}\n",
            alt_hex(f.metadata_match),
            alt_hex(f.metadata_write)
        ));
    }
    if f.miss != TableMiss::Default {
        s.push_str(&format!("    config={}\n", miss_name(f.miss)));
    }
    for (title, there) in [
        ("eviction", f.supports_eviction),
        ("vacancy events", f.supports_vacancy),
    ] {
        if let Some(there) = there {
            s.push_str(&format!(
                "    {title}: {}supported\n",
                if there { "" } else { "not " }
            ));
        }
    }
    if f.max_entries != 0 {
        s.push_str(&format!("    max_entries={}\n", f.max_entries));
    }
    let t = f.table;
    let none = InstructionFeatures::default();
    let empty = |i: &InstructionFeatures| *i == none;
    let unchanged = before.is_some_and(|b| {
        same_side(&f.hit, t, &b.hit, b.table)
            && same_side(&f.miss_features, t, &b.miss_features, b.table)
    });
    if unchanged {
        if !empty(&f.hit) {
            s.push_str("    (same instructions)\n");
        }
    } else if !same_side(&f.hit, t, &f.miss_features, t) {
        s.push_str("    instructions (other than table miss):\n");
        side(s, &f.hit, before.map(|b| &b.hit));
        s.push_str("    instructions (table miss):\n");
        side(s, &f.miss_features, before.map(|b| &b.miss_features));
    } else if !empty(&f.hit) {
        s.push_str("    instructions (table miss and others):\n");
        side(s, &f.hit, before.map(|b| &b.hit));
    }
    if f.matching.is_empty() {
        return;
    }
    if before.is_some_and(|b| b.matching == f.matching) {
        s.push_str("    (same matching)\n");
        return;
    }
    s.push_str("    matching:\n");
    for (mask, wild, title) in [
        (true, true, "arbitrary mask"),
        (false, true, "exact match or wildcard"),
        (false, false, "must exact match"),
    ] {
        let names: Vec<&str> = f
            .matching
            .iter()
            .filter(|id| f.mask.contains(id) == mask && f.wildcard.contains(id) == wild)
            .map(|id| id.row().name)
            .collect();
        if !names.is_empty() {
            s.push_str(&format!("      {title}: {}\n", list(&names)));
        }
    }
}

fn ranges(next: &[u8]) -> String {
    let mut n = next.to_vec();
    n.sort_unstable();
    let mut parts: Vec<(u8, u8)> = Vec::new();
    for t in n {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(t) => *last = t,
            _ => parts.push((t, t)),
        }
    }
    let shown: Vec<String> = parts
        .iter()
        .map(|(a, b)| {
            if a == b {
                a.to_string()
            } else {
                format!("{a}-{b}")
            }
        })
        .collect();
    shown.join(",")
}

fn action_features(s: &mut String, actions: &[&str], fields: &[packet::FieldId]) {
    if !actions.is_empty() {
        s.push_str(&format!("        actions: {}\n", actions.join(" ")));
    }
    if !fields.is_empty() {
        let names: Vec<&str> = fields.iter().map(|f| f.row().name).collect();
        s.push_str(&format!(
            "        supported on Set-Field: {}\n",
            list(&names)
        ));
    }
}

fn side(s: &mut String, i: &InstructionFeatures, before: Option<&InstructionFeatures>) {
    if !i.next.is_empty() {
        s.push_str(&format!("      next tables: {}\n", ranges(&i.next)));
    }
    if i.instructions != 0 {
        if before.is_some_and(|b| b.instructions == i.instructions) {
            s.push_str("      (same instructions)\n");
        } else {
            let every = [
                Instruction::Meter,
                Instruction::ApplyActions,
                Instruction::ClearActions,
                Instruction::WriteActions,
                Instruction::WriteMetadata,
                Instruction::GotoTable,
            ];
            let names: Vec<&str> = every
                .iter()
                .filter(|x| i.instructions & 1 << **x as u32 != 0)
                .map(|x| x.name())
                .collect();
            s.push_str(&format!("      instructions: {}\n", names.join(" ")));
        }
    }
    let same_actions = before.is_some_and(|b| {
        b.write == i.write
            && b.apply == i.apply
            && b.write_fields == i.write_fields
            && b.apply_fields == i.apply_fields
    });
    if same_actions && !i.write_fields.is_empty() {
        s.push_str("      (same actions)\n");
    } else if i.write != i.apply || i.write_fields != i.apply_fields {
        s.push_str("      Write-Actions features:\n");
        action_features(s, &i.write, &i.write_fields);
        s.push_str("      Apply-Actions features:\n");
        action_features(s, &i.apply, &i.apply_fields);
    } else if !i.write.is_empty() || !i.write_fields.is_empty() {
        s.push_str("      Write-Actions and Apply-Actions features:\n");
        action_features(s, &i.write, &i.write_fields);
    }
}
