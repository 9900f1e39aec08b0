//! How each table is set up: its name, how many flows it holds, what its misses do, which
//! prefixes it keeps; and what a controller is told and may change of that.

use super::{Ofproto, TABLES};
use crate::backer::Backer;
use crate::table::{DEFAULT_PREFIX_FIELDS, MAX_PREFIX_FIELDS, is_prefix_field};
use openflow::{
    InstructionFeatures, OfError, TableConfig, TableFeatures, TableId, TableMiss, Vacancy,
};
use packet::FieldId;

/// The longest name a table can have.
const MAX_NAME: usize = 32;
/// Most flows of a table that has no limit, as controllers are told.
const MAX_ENTRIES: u32 = 1_000_000;
/// By what flows are chosen when a table is full: OFPTMPEF14_OTHER, _IMPORTANCE and _LIFETIME.
const EVICTION_FLAGS: u32 = 7;
/// OpenFlow's instructions: all six of them, and without goto-table.
const ALL_INSTRUCTIONS: u32 = 0x3f;
const LAST_INSTRUCTIONS: u32 = 0x1f;

/// What the database says of a table (ovs-vswitchd.conf.db(5), `Flow_Table`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowTableConfig {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// More flows than this it does not take.
    pub flow_limit: Option<u32>,
    /// Fields that it keeps prefixes of, or `none`; empty = the usual ones.
    pub prefixes: Vec<String>,
}

impl FlowTableConfig {
    /// The fields that prefixes are kept of. What cannot be is logged.
    fn prefix_fields(&self, bridge: &str) -> Vec<FieldId> {
        if self.prefixes.iter().any(|name| name == "none") {
            return Vec::new();
        }
        let mut fields = Vec::new();
        for name in &self.prefixes {
            let problem = match FieldId::by_name(name) {
                None => "unknown field",
                Some(f) if !is_prefix_field(f) => "incompatible field",
                Some(_) if fields.len() >= MAX_PREFIX_FIELDS => "too many fields, field not used",
                Some(f) => {
                    fields.push(f);
                    continue;
                }
            };
            tracing::warn!(target: "bridge", "bridge {bridge}: 'prefixes' with {problem}: {name}");
        }
        if fields.is_empty() {
            fields = DEFAULT_PREFIX_FIELDS.into();
        }
        fields
    }
}

/// Who gave a table its name; a later one may only take it from those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Namer {
    #[default]
    Nobody,
    Controller,
    Database,
}

/// How a table is set up.
#[derive(Clone, Debug, Default)]
pub(super) struct TableSetup {
    name: String,
    named_by: Namer,
    /// More flows than this it does not take.
    pub flow_limit: Option<u32>,
    /// A controller wants flows pushed out of it when it is full.
    eviction: bool,
    /// When a controller wants to be told how full it is.
    vacancy: Option<Vacancy>,
}

impl TableSetup {
    fn may_name(&self, name: &str, by: Namer) -> bool {
        by >= self.named_by || self.name == name
    }

    /// Names the table, or takes its name away; none = `by` has no opinion any more.
    fn set_name(&mut self, name: Option<&str>, by: Namer) {
        if by < self.named_by {
            return;
        }
        match name {
            Some(name) => {
                let end = name.char_indices().map(|(at, c)| at + c.len_utf8());
                let end = end.take_while(|end| *end <= MAX_NAME).last().unwrap_or(0);
                self.name = name[..end].into();
                self.named_by = by;
            }
            None if self.named_by == by => {
                self.name.clear();
                self.named_by = Namer::Nobody;
            }
            None => {}
        }
    }

    /// How much of a table with `flows` flows is free, percent.
    fn free(&self, flows: usize) -> u8 {
        let Some(limit) = self.flow_limit.map(u64::from) else {
            return 100;
        };
        match limit.saturating_sub(flows as u64) {
            _ if limit == 0 => 100,
            left => (left * 100 / limit) as u8,
        }
    }
}

impl Ofproto {
    fn setup(&mut self, table: u8) -> &mut TableSetup {
        self.tables.entry(table).or_default()
    }

    /// Sets a table up as the database says.
    pub fn configure_table(
        &mut self,
        backer: &mut Backer,
        bridge: &str,
        table: u8,
        config: &FlowTableConfig,
    ) {
        let setup = self.setup(table);
        setup.set_name(config.name.as_deref(), Namer::Database);
        setup.flow_limit = config.flow_limit;
        let fields = config.prefix_fields(bridge);
        if let Some(rules) = self.table(backer, table) {
            rules.set_prefix_fields(&fields);
            backer.touch();
        }
    }

    /// Whether a table takes no more flows.
    pub(super) fn is_full(&self, table: u8, flows: usize) -> bool {
        let limit = self.tables.get(&table).and_then(|t| t.flow_limit);
        limit.is_some_and(|limit| flows as u64 >= u64::from(limit))
    }

    /// Carries a table-mod out, or changes nothing.
    pub fn table_mod(&mut self, backer: &mut Backer, tm: &TableConfig) -> Result<(), OfError> {
        let tables = match tm.table {
            TableId::ALL => 0..TABLES,
            TableId(t) if t < TABLES => t..t + 1,
            // The last one is the switch's own.
            _ => return Err(OfError::OFPTMFC_EPERM),
        };
        if tm
            .eviction_flags
            .is_some_and(|flags| flags != EVICTION_FLAGS)
        {
            return Err(OfError::OFPTMFC_BAD_CONFIG);
        }
        for table in tables {
            let setup = self.setup(table);
            if let Some(on) = tm.eviction {
                setup.eviction = on;
            }
            if let Some(on) = tm.vacancy {
                setup.vacancy = on.then(|| tm.thresholds.unwrap_or_default());
            }
            if tm.miss != TableMiss::Default
                && let Some(bridge) = backer.world.bridge_mut(self.bridge)
            {
                bridge.misses.insert(table, tm.miss);
                bridge.config_version += 1;
                backer.touch();
            }
        }
        Ok(())
    }

    /// How each table is set up, for a controller.
    pub fn table_descs(&self, backer: &Backer) -> Vec<TableConfig> {
        let nothing = TableSetup::default();
        let one = |table| {
            let setup = self.tables.get(&table).unwrap_or(&nothing);
            let now = setup.free(self.count(backer, table));
            TableConfig {
                table: TableId(table),
                miss: TableMiss::Default,
                eviction: Some(setup.eviction),
                eviction_flags: Some(EVICTION_FLAGS),
                vacancy: Some(setup.vacancy.is_some()),
                thresholds: setup.vacancy.map(|t| Vacancy { now, ..t }),
            }
        };
        (0..TABLES).map(one).collect()
    }

    /// How many flows a table has.
    pub(super) fn count(&self, backer: &Backer, table: u8) -> usize {
        let bridge = backer.world.bridge(self.bridge);
        let rules = bridge.and_then(|b| b.tables.get(&table));
        rules.map_or(0, |t| t.iter().filter(|r| !r.is_hidden()).count())
    }

    /// What each table can do.
    pub fn table_features(&self, backer: &Backer) -> Vec<TableFeatures> {
        let misses = backer.world.bridge(self.bridge).map(|b| &b.misses);
        let nothing = TableSetup::default();
        let one = |table| {
            let setup = self.tables.get(&table).unwrap_or(&nothing);
            let mut features = features(table);
            features.name = setup.name.clone();
            features.max_entries = MAX_ENTRIES.min(setup.flow_limit.unwrap_or(MAX_ENTRIES));
            features.miss = misses
                .and_then(|m| m.get(&table).copied())
                .unwrap_or_default();
            features
        };
        (0..TABLES).map(one).collect()
    }

    /// Takes what a controller asks of the tables' features: their names. Everything else is as it
    /// is, and asking for more of it is refused.
    pub fn set_table_features(
        &mut self,
        backer: &Backer,
        wanted: &[TableFeatures],
    ) -> Result<(), OfError> {
        const REPLACE: u8 = 0;
        const MODIFY: u8 = 1;
        let Some(command) = wanted.first().map(|f| f.command) else {
            return Ok(());
        };
        let mut seen = [false; 256];
        for f in wanted {
            if std::mem::replace(&mut seen[usize::from(f.table)], true) {
                return Err(OfError::NXTFFC_DUP_TABLE);
            }
            if f.table >= TABLES {
                return Err(OfError::OFPTFFC_EPERM);
            }
        }
        // The number of tables is fixed.
        let whole = wanted.len() == usize::from(TABLES);
        if command > MODIFY || command == REPLACE && !whole {
            return Err(OfError::OFPTFFC_EPERM);
        }
        let present = self.table_features(backer);
        let none = TableSetup::default();
        for f in wanted {
            let now = &present[usize::from(f.table)];
            let setup = self.tables.get(&f.table).unwrap_or(&none);
            let keeps = command == MODIFY && !f.any_properties;
            if f.max_entries != now.max_entries
                || !setup.may_name(&f.name, Namer::Controller)
                || !keeps && !is_superset(now, f)
            {
                return Err(OfError::OFPTFFC_EPERM);
            }
        }
        for f in wanted {
            self.setup(f.table)
                .set_name(Some(&f.name), Namer::Controller);
        }
        Ok(())
    }
}

/// What a table can do that has no name and no limit.
fn features(table: u8) -> TableFeatures {
    let known = |f: &FieldId| f.row().nxm.is_some() || f.row().oxm.is_some();
    let matching: Vec<FieldId> = FieldId::all().filter(known).collect();
    let only = |wanted: fn(&FieldId) -> bool| matching.iter().copied().filter(wanted).collect();
    let writable: Vec<FieldId> = only(|f| f.row().writable);
    let actions: Vec<&'static str> = openflow::feature_actions().collect();
    let is_last = table + 1 == TABLES;
    let side = InstructionFeatures {
        next: (table + 1..TABLES).collect(),
        instructions: if is_last {
            LAST_INSTRUCTIONS
        } else {
            ALL_INSTRUCTIONS
        },
        write: actions.clone(),
        write_fields: writable.clone(),
        apply: actions,
        apply_fields: writable,
    };
    TableFeatures {
        table,
        metadata_match: u64::MAX,
        metadata_write: u64::MAX,
        max_entries: MAX_ENTRIES,
        any_properties: true,
        miss_features: side.clone(),
        hit: side,
        mask: only(|f| f.is_maskable()),
        wildcard: matching.clone(),
        matching,
        ..TableFeatures::default()
    }
}

/// Whether a table that can do what `has` says can do what `wants` says.
fn is_superset(has: &TableFeatures, wants: &TableFeatures) -> bool {
    fn all<T: PartialEq>(has: &[T], wants: &[T]) -> bool {
        wants.iter().all(|w| has.contains(w))
    }
    let side = |h: &InstructionFeatures, w: &InstructionFeatures| {
        all(&h.next, &w.next)
            && w.instructions & !h.instructions == 0
            && all(&h.write, &w.write)
            && all(&h.write_fields, &w.write_fields)
            && all(&h.apply, &w.apply)
            && all(&h.apply_fields, &w.apply_fields)
    };
    // Flows are evicted by their importance for whoever asks with a table-mod; as features of a
    // table, neither that nor events are there.
    let asks_for_events = [wants.supports_eviction, wants.supports_vacancy].contains(&Some(true));
    !asks_for_events
        && wants.metadata_match & !has.metadata_match == 0
        && wants.metadata_write & !has.metadata_write == 0
        && side(&has.hit, &wants.hit)
        && side(&has.miss_features, &wants.miss_features)
        && all(&has.matching, &wants.matching)
        && all(&has.mask, &wants.mask)
        && all(&has.wildcard, &wants.wildcard)
}
