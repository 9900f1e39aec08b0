//! A transaction in progress: the rows that it has touched, laid over the database.
//!
//! Nothing of the database changes until [`Transaction::prepare`] (in `commit`) has checked the
//! whole and [`Database::apply`] is called; to abort is to drop.

use crate::Uuid;
use crate::condition::Condition;
use crate::database::Database;
use crate::row::{Column, Row};
use crate::schema::TableSchema;
use crate::types::Datum;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row that the transaction has touched.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    /// As it was; none = it is new.
    pub(crate) old: Option<Arc<Row>>,
    /// As it will be; none = it is deleted.
    pub(crate) new: Option<Row>,
    /// Strong references to it.
    pub(crate) refs: u32,
}

/// A transaction in progress.
pub struct Transaction<'a> {
    pub(crate) db: &'a Database,
    pub(crate) touched: Vec<BTreeMap<Uuid, Touched>>,
    pub(crate) comment: Option<String>,
}

impl<'a> Transaction<'a> {
    /// A transaction that has done nothing yet.
    pub fn new(db: &'a Database) -> Transaction<'a> {
        Transaction {
            db,
            touched: vec![BTreeMap::new(); db.tables.len()],
            comment: None,
        }
    }

    /// Adds a line to the comment that goes into the log.
    pub fn add_comment(&mut self, comment: &str) {
        match &mut self.comment {
            None => self.comment = Some(comment.to_owned()),
            Some(lines) => {
                lines.push('\n');
                lines.push_str(comment);
            }
        }
    }

    /// The schema of the table at this place.
    pub fn table_schema(&self, table: usize) -> Option<&'a TableSchema> {
        self.db.table_at(table).map(|(schema, _)| schema)
    }

    /// A row as the transaction sees it.
    pub fn get(&self, table: usize, uuid: &Uuid) -> Option<&Row> {
        match self.touched.get(table)?.get(uuid) {
            Some(touched) => touched.new.as_ref(),
            None => self.db.tables.get(table)?.get(uuid).map(|row| &**row),
        }
    }

    /// Whether a row with this UUID may be inserted: none is there, and none was deleted here.
    pub fn may_insert(&self, table: usize, uuid: &Uuid) -> bool {
        let touched = self
            .touched
            .get(table)
            .is_some_and(|t| t.contains_key(uuid));
        let exists = self
            .db
            .tables
            .get(table)
            .is_some_and(|t| t.get(uuid).is_some());
        !touched && !exists
    }

    /// Inserts a row.
    pub fn insert(&mut self, table: usize, row: Row) {
        if let Some(touched) = self.touched.get_mut(table) {
            let entry = Touched {
                old: None,
                refs: 0,
                new: None,
            };
            let uuid = row.uuid;
            touched.entry(uuid).or_insert(entry).new = Some(row);
        }
    }

    /// The entry of a row, made from the database if the row was not touched yet.
    pub(crate) fn touch(&mut self, table: usize, uuid: &Uuid) -> Option<&mut Touched> {
        let touched = self.touched.get_mut(table)?;
        if !touched.contains_key(uuid) {
            let slot = self.db.tables.get(table)?.rows.get(uuid)?;
            let entry = Touched {
                old: Some(Arc::clone(&slot.row)),
                new: Some(Row::clone(&slot.row)),
                refs: slot.refs,
            };
            touched.insert(*uuid, entry);
        }
        touched.get_mut(uuid)
    }

    /// A row to be changed.
    pub fn modify(&mut self, table: usize, uuid: &Uuid) -> Option<&mut Row> {
        self.touch(table, uuid)?.new.as_mut()
    }

    /// Deletes a row, if it is there.
    pub fn delete(&mut self, table: usize, uuid: &Uuid) {
        let inserted_here = match self.touch(table, uuid) {
            Some(touched) => {
                touched.new = None;
                touched.old.is_none()
            }
            None => false,
        };
        if inserted_here && let Some(touched) = self.touched.get_mut(table) {
            touched.remove(uuid);
        }
    }

    /// The UUIDs, in order, of the rows that satisfy every clause.
    pub fn select(&self, table: usize, condition: &Condition) -> Vec<Uuid> {
        let Some(((schema, rows), touched)) = self.db.table_at(table).zip(self.touched.get(table))
        else {
            return Vec::new();
        };
        let matches = |row: &Row| condition.matches_all(schema, row);
        if let Some(uuid) = condition.one_row() {
            return self
                .get(table, &uuid)
                .filter(|row| matches(row))
                .map(|row| row.uuid)
                .into_iter()
                .collect();
        }
        let mut found: Vec<Uuid> = touched
            .values()
            .filter_map(|t| t.new.as_ref())
            .filter(|row| matches(row))
            .map(|row| row.uuid)
            .collect();
        let n_touched = found.len();
        if let Some((index, key)) = index_key(schema, condition) {
            let row = self.db.index_find(table, index, &key);
            found.extend(
                row.filter(|row| !touched.contains_key(&row.uuid) && matches(row))
                    .map(|row| row.uuid),
            );
        } else {
            let untouched = rows
                .rows()
                .filter(|row| touched.is_empty() || !touched.contains_key(&row.uuid));
            found.extend(untouched.filter(|row| matches(row)).map(|row| row.uuid));
        }
        if n_touched > 0 {
            found.sort_unstable();
        }
        found
    }

    /// How many rows a table has, as the transaction sees it.
    pub fn n_rows(&self, table: usize) -> usize {
        let stored = self.db.tables.get(table).map_or(0, |t| t.len());
        let Some(touched) = self.touched.get(table) else {
            return stored;
        };
        let added = touched
            .values()
            .filter(|t| t.old.is_none() && t.new.is_some())
            .count();
        let removed = touched
            .values()
            .filter(|t| t.old.is_some() && t.new.is_none())
            .count();
        (stored + added).saturating_sub(removed)
    }
}

/// An index whose columns the condition fixes, and a row that has them.
fn index_key(schema: &TableSchema, condition: &Condition) -> Option<(usize, Vec<Datum>)> {
    let (index, columns) = schema
        .indexes
        .iter()
        .enumerate()
        .find(|(_, columns)| columns.iter().all(|&c| condition.required(c).is_some()))?;
    let mut row = vec![Datum::default(); schema.columns.len()];
    for &column in columns {
        if let (Some(slot), Some(value)) = (row.get_mut(column), condition.required(column)) {
            *slot = value.clone();
        }
    }
    Some((index, row))
}

/// Changes to rows that a client writes as `{column: value}`.
pub(crate) fn set_columns(row: &mut Row, columns: &[(Column, Datum)]) {
    for (column, datum) in columns {
        row.set(*column, datum.clone());
    }
}
