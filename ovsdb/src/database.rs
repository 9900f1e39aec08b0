//! Tables of rows, and the three ways to find one: by UUID, by index, by who refers to it.
//!
//! A database is changed only by [`Database::apply`], with what [`crate::transaction`] prepared
//! and checked; everything that reads it works on whole, consistent states.

use crate::Uuid;
use crate::commit::{Commit, Prepared};
use crate::row::Row;
use crate::schema::{Schema, TableSchema};
use crate::types::Datum;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// A row and how many strong references lead to it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) row: Arc<Row>,
    pub(crate) refs: u32,
}

/// The rows of one table.
#[derive(Default)]
pub struct Table {
    pub(crate) rows: BTreeMap<Uuid, Slot>,
    /// For each index of the schema: the hash of the indexed columns, and the row. The row itself
    /// settles collisions.
    pub(crate) indexes: Vec<BTreeSet<(u64, Uuid)>>,
}

impl Table {
    /// The row with this UUID.
    pub fn get(&self, uuid: &Uuid) -> Option<&Arc<Row>> {
        self.rows.get(uuid).map(|slot| &slot.row)
    }

    /// The rows, by UUID.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Arc<Row>> {
        self.rows.values().map(|slot| &slot.row)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A whole database in memory.
pub struct Database {
    schema: Arc<Schema>,
    pub(crate) tables: Vec<Table>,
    /// For each row that is referred to weakly: the rows that do so, by table.
    pub(crate) weak: HashMap<Uuid, BTreeSet<(usize, Uuid)>>,
    hasher: RandomState,
    /// One copy of each short string.
    strings: HashSet<Arc<str>>,
    /// Size of the table of strings at which unused ones are thrown out.
    strings_limit: usize,
}

/// Strings up to this length, in bytes, are kept once.
const INTERN_LENGTH: usize = 40;

impl Database {
    /// An empty database.
    pub fn new(schema: Arc<Schema>) -> Database {
        let tables = schema
            .tables
            .iter()
            .map(|t| Table {
                rows: BTreeMap::new(),
                indexes: vec![BTreeSet::new(); t.indexes.len()],
            })
            .collect();
        Database {
            schema,
            tables,
            weak: HashMap::new(),
            hasher: RandomState::new(),
            strings: HashSet::new(),
            strings_limit: 1024,
        }
    }

    /// Its schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.schema.name
    }

    /// The table at this place in the schema, with its schema.
    pub fn table_at(&self, at: usize) -> Option<(&TableSchema, &Table)> {
        self.schema.tables.get(at).zip(self.tables.get(at))
    }

    /// The table with this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(self.schema.table_index(name)?)
    }

    /// How many rows in all tables.
    pub fn n_rows(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// How many atoms in all rows: the measure of `memory/show`.
    pub fn n_atoms(&self) -> usize {
        let row_atoms = |slot: &Slot| -> usize {
            slot.row
                .columns
                .iter()
                .map(|d| {
                    d.pairs()
                        .map(|(_, v)| 1 + usize::from(v.is_some()))
                        .sum::<usize>()
                })
                .sum()
        };
        self.tables
            .iter()
            .flat_map(|t| t.rows.values())
            .map(row_atoms)
            .sum()
    }

    pub(crate) fn index_hash(&self, columns: &[usize], row: &[Datum]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for &column in columns {
            row.get(column).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The row whose columns of the `index`th index are those of `row`.
    pub(crate) fn index_find(
        &self,
        table: usize,
        index: usize,
        row: &[Datum],
    ) -> Option<&Arc<Row>> {
        let (schema, rows) = self.table_at(table)?;
        let columns = schema.indexes.get(index)?;
        let hash = self.index_hash(columns, row);
        rows.indexes
            .get(index)?
            .range((hash, Uuid::ZERO)..=(hash, Uuid::from_bytes([0xff; 16])))
            .filter_map(|(_, uuid)| rows.get(uuid))
            .find(|found| columns.iter().all(|&c| found.columns.get(c) == row.get(c)))
    }

    /// Makes a prepared transaction true, and tells what changed.
    pub fn apply(&mut self, mut prepared: Prepared) -> Arc<Commit> {
        let schema = Arc::clone(&self.schema);
        if let Some(commit) = Arc::get_mut(&mut prepared.commit) {
            let rows = commit.changes.iter_mut().filter_map(|c| c.new.as_mut());
            rows.filter_map(Arc::get_mut)
                .for_each(|row| self.intern(row));
        }
        for change in &prepared.commit.changes {
            let Some(table_schema) = schema.tables.get(change.table) else {
                continue;
            };
            let uuid = change.uuid();
            self.store(change.table, uuid, change.new.clone());
            self.reindex(
                change.table,
                table_schema,
                change.old.as_deref(),
                change.new.as_deref(),
                uuid,
            );
            self.relink(
                change.table,
                table_schema,
                change.old.as_deref(),
                change.new.as_deref(),
                uuid,
            );
        }
        for (table, uuid, refs) in prepared.refs {
            let slot = self
                .tables
                .get_mut(table)
                .and_then(|t| t.rows.get_mut(&uuid));
            if let Some(slot) = slot {
                slot.refs = refs;
            }
        }
        prepared.commit
    }

    fn reindex(
        &mut self,
        at: usize,
        schema: &TableSchema,
        old: Option<&Row>,
        new: Option<&Row>,
        uuid: Uuid,
    ) {
        for (index, columns) in schema.indexes.iter().enumerate() {
            let old = old.map(|row| self.index_hash(columns, &row.columns));
            let new = new.map(|row| self.index_hash(columns, &row.columns));
            let Some(set) = self
                .tables
                .get_mut(at)
                .and_then(|t| t.indexes.get_mut(index))
            else {
                continue;
            };
            if old != new {
                if let Some(hash) = old {
                    set.remove(&(hash, uuid));
                }
                if let Some(hash) = new {
                    set.insert((hash, uuid));
                }
            }
        }
    }

    fn relink(
        &mut self,
        at: usize,
        schema: &TableSchema,
        old: Option<&Row>,
        new: Option<&Row>,
        uuid: Uuid,
    ) {
        let before = old.map(|row| weak_targets(schema, row)).unwrap_or_default();
        let after = new.map(|row| weak_targets(schema, row)).unwrap_or_default();
        for target in before.difference(&after) {
            if let Some(sources) = self.weak.get_mut(target) {
                sources.remove(&(at, uuid));
                if sources.is_empty() {
                    self.weak.remove(target);
                }
            }
        }
        for target in after.difference(&before) {
            self.weak.entry(*target).or_default().insert((at, uuid));
        }
    }

    /// Puts a row into its table or takes it out; the rest of the books is [`Database::apply`]'s.
    fn store(&mut self, table: usize, uuid: Uuid, row: Option<Arc<Row>>) {
        let Some(table) = self.tables.get_mut(table) else {
            return;
        };
        match row {
            None => {
                table.rows.remove(&uuid);
            }
            Some(row) => match table.rows.get_mut(&uuid) {
                Some(slot) => slot.row = row,
                None => {
                    table.rows.insert(uuid, Slot { row, refs: 0 });
                }
            },
        }
    }

    /// Keeps one copy of each short string of `row`.
    fn intern(&mut self, row: &mut Row) {
        if self.strings.len() >= self.strings_limit {
            self.strings.retain(|s| Arc::strong_count(s) > 1);
            self.strings_limit = (self.strings.len() * 2).max(1024);
        }
        for datum in &mut row.columns {
            datum.intern(&mut |atom| {
                if let crate::Atom::String(text) = atom
                    && text.len() <= INTERN_LENGTH
                {
                    match self.strings.get(text) {
                        Some(known) => *text = Arc::clone(known),
                        None => {
                            self.strings.insert(Arc::clone(text));
                        }
                    }
                }
            });
        }
    }
}

/// The rows, other than itself, that a row refers to weakly.
fn weak_targets(schema: &TableSchema, row: &Row) -> BTreeSet<Uuid> {
    use crate::types::ReferenceKind::Weak;
    row.fields(schema)
        .filter(|(column, datum)| column.type_.has_references() && !datum.is_empty())
        .flat_map(|(column, datum)| column.type_.references(datum))
        .filter(|(uuid, reference)| reference.kind == Weak && *uuid != row.uuid)
        .map(|(uuid, _)| uuid)
        .collect()
}
