//! One state of the replica.

use crate::Uuid;
use crate::row::{Column, Row};
use crate::schema::{Schema, TableSchema};
use crate::types::{Atom, Datum};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One whole, consistent state of the watched tables. Clones are cheap.
#[derive(Clone, Default)]
pub struct View {
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) tables: Vec<OrdMap<Uuid, Arc<Row>>>,
}

impl View {
    pub(super) fn empty(schema: Arc<Schema>) -> View {
        View {
            tables: vec![OrdMap::new(); schema.tables.len()],
            schema: Some(schema),
        }
    }

    /// The server's schema; none before the first connection.
    pub fn schema(&self) -> Option<&Arc<Schema>> {
        self.schema.as_ref()
    }

    fn table(&self, name: &str) -> Option<(&TableSchema, &OrdMap<Uuid, Arc<Row>>)> {
        let schema = self.schema.as_deref()?;
        let at = schema.table_index(name)?;
        schema.tables.get(at).zip(self.tables.get(at))
    }

    /// The rows of a table, by UUID; none for a table that the server does not have.
    pub fn rows<'a>(&'a self, table: &str) -> impl Iterator<Item = RowView<'a>> + use<'a> {
        let table = self.table(table);
        let rows = table
            .into_iter()
            .flat_map(|(schema, rows)| rows.values().map(move |row| (schema, row)));
        rows.map(|(schema, row)| RowView { schema, row })
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<RowView<'_>> {
        let (schema, rows) = self.table(table)?;
        Some(RowView {
            schema,
            row: rows.get(&uuid)?,
        })
    }

    /// How many rows a table has.
    pub fn len(&self, table: &str) -> usize {
        self.table(table).map_or(0, |(_, rows)| rows.len())
    }

    /// The rows of a table that were inserted, changed or deleted since `older`, without looking at
    /// those that were not.
    pub fn changed_since(&self, older: &View, table: &str) -> Vec<Uuid> {
        let empty = OrdMap::new();
        let new = self.table(table).map_or(&empty, |(_, rows)| rows);
        let old = older.table(table).map_or(&empty, |(_, rows)| rows);
        old.diff(new)
            .map(|item| match item {
                DiffItem::Add(uuid, _) | DiffItem::Remove(uuid, _) => *uuid,
                DiffItem::Update { new: (uuid, _), .. } => *uuid,
            })
            .collect()
    }
}

/// A row, to be read by column name. A column that is not there reads as empty, so that a newer
/// program works with an older schema.
#[derive(Clone, Copy)]
pub struct RowView<'a> {
    schema: &'a TableSchema,
    row: &'a Arc<Row>,
}

impl<'a> RowView<'a> {
    /// The row's identity.
    pub fn uuid(&self) -> Uuid {
        self.row.uuid
    }

    /// The row's table.
    pub fn table(&self) -> &'a TableSchema {
        self.schema
    }

    /// What a column holds.
    pub fn get(&self, column: &str) -> Option<&'a Datum> {
        self.row.columns.get(self.schema.column_index(column)?)
    }

    /// What a column holds, `_uuid` and `_version` included.
    pub fn datum(&self, column: &str) -> Datum {
        Column::find(self.schema, column)
            .map(|c| self.row.get(c).into_owned())
            .unwrap_or_default()
    }

    fn first(&self, column: &str) -> Option<&'a Atom> {
        self.get(column)?.first()
    }

    /// A string, or the empty one.
    pub fn string(&self, column: &str) -> &'a str {
        self.optional_string(column).unwrap_or_default()
    }

    /// A string, if there is one.
    pub fn optional_string(&self, column: &str) -> Option<&'a str> {
        self.first(column)?.as_str()
    }

    /// An integer, if there is one.
    pub fn integer(&self, column: &str) -> Option<i64> {
        self.first(column)?.as_integer()
    }

    /// A real, if there is one.
    pub fn real(&self, column: &str) -> Option<f64> {
        self.first(column)?.as_real()
    }

    /// A boolean, if there is one.
    pub fn boolean(&self, column: &str) -> Option<bool> {
        self.first(column)?.as_bool()
    }

    /// A set of strings, sorted.
    pub fn strings(&self, column: &str) -> Vec<&'a str> {
        self.get(column)
            .into_iter()
            .flat_map(|d| d.keys().filter_map(Atom::as_str))
            .collect()
    }

    /// A set of integers, sorted.
    pub fn integers(&self, column: &str) -> Vec<i64> {
        self.get(column)
            .into_iter()
            .flat_map(|d| d.keys().filter_map(Atom::as_integer))
            .collect()
    }

    /// A map from strings to strings.
    pub fn map(&self, column: &str) -> BTreeMap<&'a str, &'a str> {
        let pairs = self.get(column).into_iter().flat_map(Datum::pairs);
        pairs
            .filter_map(|(k, v)| Some((k.as_str()?, v?.as_str()?)))
            .collect()
    }

    /// The value under a key of a map from strings to strings.
    pub fn map_get(&self, column: &str, key: &str) -> Option<&'a str> {
        self.get(column)?.get_str(key)
    }

    /// The rows that a set refers to, or that a map's values refer to.
    pub fn refs(&self, column: &str) -> Vec<Uuid> {
        self.get(column)
            .into_iter()
            .flat_map(Datum::uuids)
            .collect()
    }

    /// The row that an optional reference leads to.
    pub fn reference(&self, column: &str) -> Option<Uuid> {
        self.first(column)?.as_uuid()
    }
}
