//! The end of a transaction: everything that must hold between rows is checked, and what follows
//! from the changes is done.
//!
//! In this order, as the original: rows that did not change drop out; strong references are
//! counted, and must lead to rows; rows of non-root tables that nobody refers to any more go, and
//! those that only they referred to; no table may have too many rows; weak references to rows
//! that are gone vanish; indexed columns must be unique; changed rows get a new version.

use crate::row::{Column, Row};
use crate::schema::{Schema, TableSchema};
use crate::transaction::{Touched, Transaction};
use crate::types::{Datum, Reference, ReferenceKind};
use crate::{Error, Uuid};
use std::collections::HashMap;
use std::sync::Arc;

/// One row's change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table's place in the schema.
    pub table: usize,
    /// As it was; none = inserted.
    pub old: Option<Arc<Row>>,
    /// As it is; none = deleted.
    pub new: Option<Arc<Row>>,
}

impl Change {
    /// The row's identity.
    pub fn uuid(&self) -> Uuid {
        self.new
            .as_ref()
            .or(self.old.as_ref())
            .map(|row| row.uuid)
            .unwrap_or_default()
    }
}

/// What a transaction changed, by table and row.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The changes; none has neither old nor new.
    pub changes: Vec<Change>,
    /// The comment for the log.
    pub comment: Option<String>,
}

/// A transaction that may be made true.
pub struct Prepared {
    /// What changes.
    pub commit: Arc<Commit>,
    /// New counts of strong references.
    pub(crate) refs: Vec<(usize, Uuid, u32)>,
}

impl Transaction<'_> {
    /// Checks the whole transaction and works out its consequences.
    ///
    /// # Errors
    /// `"referential integrity violation"` or `"constraint violation"`.
    pub fn prepare(mut self) -> Result<Prepared, Error> {
        self.drop_unchanged();
        self.count_references()?;
        self.collect_garbage();
        self.check_max_rows()?;
        self.prune_weak_references()?;
        self.check_indexes()?;
        Ok(self.finish())
    }

    fn drop_unchanged(&mut self) {
        for touched in &mut self.touched {
            touched.retain(|_, t| match (&t.old, &t.new) {
                (Some(old), Some(new)) => old.columns != new.columns,
                (None, None) => false,
                _ => true,
            });
        }
    }

    fn count_references(&mut self) -> Result<(), Error> {
        let schema = Arc::clone(self.db.schema());
        let mut deltas: Vec<(usize, Uuid, i64)> = Vec::new();
        for (table, touched) in schema.tables.iter().zip(&self.touched) {
            for (&uuid, t) in touched {
                self.row_references(&schema, table, uuid, t, &mut deltas)?;
            }
        }
        for (table, uuid, delta) in deltas {
            if let Some(target) = self.touch(table, &uuid) {
                let refs = i64::from(target.refs) + delta;
                target.refs = u32::try_from(refs.max(0)).unwrap_or(u32::MAX);
            }
        }
        for (table, touched) in schema.tables.iter().zip(&self.touched) {
            for (uuid, t) in touched {
                if t.new.is_none() && t.refs > 0 {
                    return Err(Error::referential(format!(
                        "cannot delete {} row {uuid} because of {} remaining reference(s)",
                        table.name, t.refs
                    )));
                }
            }
        }
        Ok(())
    }

    /// By how much one row's change raises and lowers the counts of others.
    fn row_references(
        &self,
        schema: &Schema,
        table: &TableSchema,
        uuid: Uuid,
        t: &Touched,
        deltas: &mut Vec<(usize, Uuid, i64)>,
    ) -> Result<(), Error> {
        let empty = Datum::default();
        for (at, column) in table.columns.iter().enumerate() {
            if !column.type_.has_references() {
                continue;
            }
            let old = t
                .old
                .as_ref()
                .and_then(|row| row.columns.get(at))
                .unwrap_or(&empty);
            let new = t
                .new
                .as_ref()
                .and_then(|row| row.columns.get(at))
                .unwrap_or(&empty);
            if old == new {
                continue;
            }
            let strong = |datum: &Datum, other: &Datum| -> Vec<(Uuid, usize, String)> {
                column
                    .type_
                    .references(&datum.subtract(other))
                    .filter(|(target, reference)| {
                        reference.kind == ReferenceKind::Strong && *target != uuid
                    })
                    .filter_map(|(target, reference)| {
                        Some((
                            target,
                            schema.table_index(&reference.table)?,
                            reference.table.clone(),
                        ))
                    })
                    .collect()
            };
            deltas.extend(
                strong(old, new)
                    .into_iter()
                    .map(|(target, table, _)| (table, target, -1)),
            );
            for (target, target_table, name) in strong(new, old) {
                let known = self.get(target_table, &target).is_some()
                    || self
                        .touched
                        .get(target_table)
                        .is_some_and(|t| t.contains_key(&target));
                if !known {
                    return Err(Error::referential(format!(
                        "Table {} column {} row {uuid} references nonexistent row {target} in table {name}.",
                        table.name, column.name
                    )));
                }
                deltas.push((target_table, target, 1));
            }
        }
        Ok(())
    }

    fn collect_garbage(&mut self) {
        let schema = Arc::clone(self.db.schema());
        let mut garbage: Vec<(usize, Uuid)> = Vec::new();
        for (at, table) in schema.tables.iter().enumerate() {
            if table.is_root {
                continue;
            }
            let unused = self.touched.get(at).into_iter().flatten();
            garbage.extend(
                unused
                    .filter(|(_, t)| t.new.is_some() && t.refs == 0)
                    .map(|(uuid, _)| (at, *uuid)),
            );
        }
        while let Some((at, uuid)) = garbage.pop() {
            let Some(table) = schema.tables.get(at) else {
                continue;
            };
            let Some(row) = self.touch(at, &uuid).and_then(|t| t.new.take()) else {
                continue;
            };
            for (column, datum) in row.fields(table) {
                for (target, reference) in column.type_.references(datum) {
                    if reference.kind != ReferenceKind::Strong || target == uuid {
                        continue;
                    }
                    let Some(target_table) = schema.table_index(&reference.table) else {
                        continue;
                    };
                    let is_root = schema.tables.get(target_table).is_none_or(|t| t.is_root);
                    if let Some(t) = self.touch(target_table, &target) {
                        t.refs = t.refs.saturating_sub(1);
                        if t.refs == 0 && t.new.is_some() && !is_root {
                            garbage.push((target_table, target));
                        }
                    }
                }
            }
        }
        for touched in &mut self.touched {
            touched.retain(|_, t| t.old.is_some() || t.new.is_some());
        }
    }

    fn check_max_rows(&self) -> Result<(), Error> {
        for (at, table) in self.db.schema().tables.iter().enumerate() {
            let n = self.n_rows(at);
            if self.touched.get(at).is_some_and(|t| !t.is_empty())
                && u32::try_from(n).unwrap_or(u32::MAX) > table.max_rows
            {
                return Err(Error::constraint(format!(
                    "transaction causes \"{}\" table to contain {n} rows, greater than the schema-defined limit of {} row(s)",
                    table.name, table.max_rows
                )));
            }
        }
        Ok(())
    }

    fn prune_weak_references(&mut self) -> Result<(), Error> {
        let schema = Arc::clone(self.db.schema());
        // Rows whose references lost their target.
        let mut bereft: Vec<(usize, Uuid)> = Vec::new();
        for touched in &self.touched {
            for (uuid, t) in touched {
                if t.new.is_none()
                    && let Some(sources) = self.db.weak.get(uuid)
                {
                    bereft.extend(sources);
                }
            }
        }
        for (table, uuid) in bereft {
            self.touch(table, &uuid);
        }
        let mut pruned: Vec<(usize, Uuid, usize, Datum)> = Vec::new();
        for (at, table) in schema.tables.iter().enumerate() {
            let weak: Vec<usize> = (0..table.columns.len())
                .filter(|&c| table.columns.get(c).is_some_and(|c| has_weak(&c.type_)))
                .collect();
            if weak.is_empty() {
                continue;
            }
            for (uuid, t) in self.touched.get(at).into_iter().flatten() {
                let Some(row) = &t.new else { continue };
                for &c in &weak {
                    if let Some(datum) = self.pruned(&schema, table, row, c, t.old.is_some())? {
                        pruned.push((at, *uuid, c, datum));
                    }
                }
            }
        }
        for (at, uuid, column, datum) in pruned {
            if let Some(row) = self.modify(at, &uuid) {
                row.set(Column::At(column), datum);
            }
        }
        // A row touched for its references alone may be as it was.
        self.drop_unchanged_but_counted();
        Ok(())
    }

    /// The column without weak references that lead nowhere; none = all of them lead to rows.
    fn pruned(
        &self,
        schema: &Schema,
        table: &TableSchema,
        row: &Row,
        at: usize,
        existed: bool,
    ) -> Result<Option<Datum>, Error> {
        let (Some(column), Some(datum)) = (table.columns.get(at), row.columns.get(at)) else {
            return Ok(None);
        };
        let gone = |atom: Option<Uuid>, reference: Option<&Reference>| {
            let (Some(uuid), Some(reference)) = (atom, reference) else {
                return false;
            };
            reference.kind == ReferenceKind::Weak
                && uuid != row.uuid
                && schema
                    .table_index(&reference.table)
                    .is_none_or(|target| self.get(target, &uuid).is_none())
        };
        let key_ref = column.type_.key.reference.as_ref();
        let value_ref = column
            .type_
            .value
            .as_ref()
            .and_then(|v| v.reference.as_ref());
        let mut zero = false;
        let kept = datum.filter(|key, value| {
            let key_gone = gone(key.as_uuid(), key_ref);
            let value_gone = gone(value.and_then(|v| v.as_uuid()), value_ref);
            zero |= key_gone && key.as_uuid().is_some_and(|u| u.is_zero());
            zero |= value_gone && value.and_then(|v| v.as_uuid()).is_some_and(|u| u.is_zero());
            !key_gone && !value_gone
        });
        if kept.len() == datum.len() {
            return Ok(None);
        }
        if u32::try_from(kept.len()).unwrap_or(u32::MAX) < column.type_.min {
            return Err(Error::constraint(if zero && !existed {
                format!(
                    "Weak reference column \"{}\" in \"{}\" row {} (inserted within this transaction) contained \
                     all-zeros UUID (probably as the default value for this column) but deleting this value caused \
                     a constraint volation because this column is not allowed to be empty.",
                    column.name, table.name, row.uuid
                )
            } else {
                format!(
                    "Deletion of {} weak reference(s) to deleted (or never-existing) rows from column \"{}\" in \
                     \"{}\" row {} {}caused this column to become empty, but constraints on this column disallow \
                     an empty column.",
                    datum.len() - kept.len(),
                    column.name,
                    table.name,
                    row.uuid,
                    if existed {
                        ""
                    } else {
                        "(inserted within this transaction) "
                    }
                )
            }));
        }
        Ok(Some(kept))
    }

    fn drop_unchanged_but_counted(&mut self) {
        for (table, touched) in self.touched.iter_mut().enumerate() {
            let stored = self.db.tables.get(table);
            touched.retain(|uuid, t| match (&t.old, &t.new) {
                (Some(old), Some(new)) => {
                    let refs = stored.and_then(|s| s.rows.get(uuid)).map_or(0, |s| s.refs);
                    old.columns != new.columns || refs != t.refs
                }
                _ => true,
            });
        }
    }

    fn check_indexes(&self) -> Result<(), Error> {
        for (at, table) in self.db.schema().tables.iter().enumerate() {
            let Some(touched) = self.touched.get(at).filter(|t| !t.is_empty()) else {
                continue;
            };
            for (index, columns) in table.indexes.iter().enumerate() {
                let mut seen: HashMap<Vec<&Datum>, &Row> = HashMap::new();
                for row in touched.values().filter_map(|t| t.new.as_ref()) {
                    let key: Vec<&Datum> =
                        columns.iter().filter_map(|&c| row.columns.get(c)).collect();
                    if let Some(other) = seen.insert(key, row) {
                        return Err(self.duplicate(at, table, columns, other, row));
                    }
                    if let Some(other) = self.db.index_find(at, index, &row.columns)
                        && !touched.contains_key(&other.uuid)
                    {
                        return Err(self.duplicate(at, table, columns, other, row));
                    }
                }
            }
        }
        Ok(())
    }

    fn duplicate(
        &self,
        at: usize,
        table: &TableSchema,
        index: &[usize],
        a: &Row,
        b: &Row,
    ) -> Error {
        // Which one is called the first does not depend on UUIDs.
        let order = (0..table.columns.len())
            .filter(|&c| {
                let type_ = Column::At(c).type_(table);
                let is_uuid = |kind| kind == crate::AtomicType::Uuid;
                !is_uuid(type_.key.kind) && !type_.value.as_ref().is_some_and(|v| is_uuid(v.kind))
            })
            .filter_map(|c| Some(a.columns.get(c)?.compare(b.columns.get(c)?)))
            .find(|o| o.is_ne());
        let (first, second) = if order.is_some_and(|o| o.is_lt()) {
            (b, a)
        } else {
            (a, b)
        };
        let names: Vec<String> = index
            .iter()
            .map(|&c| format!("\"{}\"", Column::At(c).name(table)))
            .collect();
        let plural = if index.len() > 1 { "s" } else { "" };
        Error::constraint(format!(
            "Transaction causes multiple rows in \"{}\" table to have identical values ({}) for index on column{plural} {}.  First row, {}  Second row, {}",
            table.name,
            values(table, index, first),
            english_list(&names),
            self.history(at, table, index, first),
            self.history(at, table, index, second),
        ))
    }

    fn history(&self, at: usize, table: &TableSchema, index: &[usize], row: &Row) -> String {
        let touched = self.touched.get(at).and_then(|t| t.get(&row.uuid));
        let fate = match touched.map(|t| (&t.old, &t.new)) {
            None => "existed in the database before this transaction and was not modified by the transaction.".into(),
            Some((None, _)) => "was inserted by this transaction.".into(),
            Some((Some(old), Some(new))) if old.columns == new.columns => {
                "existed in the database before this transaction and was not modified by the transaction.".into()
            }
            Some((Some(old), _)) if index.iter().all(|&c| old.columns.get(c) == row.columns.get(c)) => {
                "existed in the database before this transaction, which modified some of the row's columns but not any columns in this index.".into()
            }
            Some((Some(old), _)) => format!(
                "had the following index values before the transaction: {}.",
                values(table, index, old)
            ),
        };
        format!("with UUID {}, {fate}", row.uuid)
    }

    fn finish(self) -> Prepared {
        let mut changes = Vec::new();
        let mut refs = Vec::new();
        for (table, touched) in self.touched.into_iter().enumerate() {
            for (uuid, t) in touched {
                let stored = self
                    .db
                    .tables
                    .get(table)
                    .and_then(|s| s.rows.get(&uuid))
                    .map(|s| s.refs);
                if t.new.is_some() && stored.unwrap_or(0) != t.refs {
                    refs.push((table, uuid, t.refs));
                }
                let new = match (&t.old, t.new) {
                    (Some(old), Some(new)) if old.columns == new.columns => continue,
                    (Some(_), Some(mut new)) => {
                        new.version = Uuid::random();
                        Some(Arc::new(new))
                    }
                    (_, new) => new.map(Arc::new),
                };
                changes.push(Change {
                    table,
                    old: t.old,
                    new,
                });
            }
        }
        Prepared {
            commit: Arc::new(Commit {
                changes,
                comment: self.comment,
            }),
            refs,
        }
    }
}

fn has_weak(type_: &crate::Type) -> bool {
    type_.key.is_weak_ref() || type_.value.as_ref().is_some_and(|v| v.is_weak_ref())
}

fn values(table: &TableSchema, index: &[usize], row: &Row) -> String {
    let texts: Vec<String> = index
        .iter()
        .filter_map(|&c| Some(row.columns.get(c)?.to_text(Column::At(c).type_(table))))
        .collect();
    english_list(&texts)
}

/// `a`, `a and b`, `a, b, and c`.
fn english_list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [a, b] => format!("{a} and {b}"),
        [init @ .., last] => format!("{}, and {last}", init.join(", ")),
    }
}
