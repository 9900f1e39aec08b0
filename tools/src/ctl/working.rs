//! A copy of the database that commands read and change, and the transaction that its changes
//! make.
//!
//! What has been changed lies over the replica's view; reading looks there first. *Verified*
//! columns are those that a command has relied on: the transaction only succeeds if they still
//! hold what the view showed.

use ovsdb::json::Object;
use ovsdb::replica::View;
use ovsdb::{Atom, ColumnSchema, Datum, Json, Schema, TableSchema, Type, Uuid};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a changed row came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It is in the view.
    View,
    /// It is new, and the server chooses its UUID.
    New,
    /// It is new, with this UUID.
    NewNamed,
}

#[derive(Debug)]
struct Change {
    origin: Origin,
    deleted: bool,
    columns: BTreeMap<String, Datum>,
}

/// The copy; see the module.
pub struct Working {
    view: View,
    schema: Arc<Schema>,
    /// By table and row.
    changes: BTreeMap<String, BTreeMap<Uuid, Change>>,
    /// New rows in the order in which they were made.
    made: Vec<(String, Uuid)>,
    /// Those of them whose UUID the server chooses.
    named: BTreeSet<Uuid>,
    verified: BTreeSet<(String, Uuid, String)>,
    increment: Option<(String, Uuid, String)>,
    comment: String,
}

/// A transaction ready to be sent.
pub struct Request {
    /// The operations.
    pub operations: Vec<Json>,
    /// Where among them rows are inserted, by the UUID that stands for the row here.
    pub inserts: Vec<(usize, Uuid)>,
    /// Where the incremented column is read again.
    pub increment: Option<usize>,
}

impl Working {
    /// A copy of what `view` shows; none before there is a schema.
    pub fn new(view: View) -> Option<Working> {
        let schema = view.schema()?.clone();
        Some(Working {
            view,
            schema,
            changes: BTreeMap::new(),
            made: Vec::new(),
            named: BTreeSet::new(),
            verified: BTreeSet::new(),
            increment: None,
            comment: String::new(),
        })
    }

    /// The server's schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// A table of the schema.
    pub fn table(&self, name: &str) -> Option<&TableSchema> {
        self.schema.table(name)
    }

    fn column(&self, table: &str, column: &str) -> Option<&ColumnSchema> {
        self.schema.table(table)?.column(column)
    }

    fn changed(&self, table: &str, row: Uuid) -> Option<&Change> {
        self.changes.get(table)?.get(&row)
    }

    /// The rows of a table: those of the view by UUID, then new ones.
    pub fn rows(&self, table: &str) -> Vec<Uuid> {
        let is_there = |uuid: &Uuid| {
            self.changed(table, *uuid)
                .is_none_or(|change| !change.deleted)
        };
        let new = self
            .made
            .iter()
            .filter(|(t, _)| t == table)
            .map(|(_, uuid)| *uuid);
        self.view
            .rows(table)
            .map(|row| row.uuid())
            .chain(new)
            .filter(is_there)
            .collect()
    }

    /// Whether there is such a row.
    pub fn exists(&self, table: &str, row: Uuid) -> bool {
        match self.changed(table, row) {
            Some(change) => !change.deleted,
            None => self.view.row(table, row).is_some(),
        }
    }

    /// Whether the row is new, so that any column may be set.
    pub fn is_new(&self, table: &str, row: Uuid) -> bool {
        let change = self.changed(table, row);
        change.is_some_and(|change| change.origin != Origin::View)
    }

    /// What a column holds; empty if there is no such column.
    pub fn get(&self, table: &str, row: Uuid, column: &str) -> Datum {
        let change = self.changed(table, row);
        if let Some(datum) = change.and_then(|change| change.columns.get(column)) {
            return datum.clone();
        }
        match self
            .view
            .row(table, row)
            .and_then(|r| r.get(column).cloned())
        {
            Some(datum) => datum,
            None => self
                .column(table, column)
                .map(|column| column.type_.default_datum())
                .unwrap_or_default(),
        }
    }

    /// A string that a column holds, or the empty one.
    pub fn string(&self, table: &str, row: Uuid, column: &str) -> String {
        let datum = self.get(table, row, column);
        datum
            .first()
            .and_then(Atom::as_str)
            .unwrap_or_default()
            .to_string()
    }

    /// An integer, if a column holds one.
    pub fn integer(&self, table: &str, row: Uuid, column: &str) -> Option<i64> {
        self.get(table, row, column)
            .first()
            .and_then(Atom::as_integer)
    }

    /// Whether a column holds `true`.
    pub fn boolean(&self, table: &str, row: Uuid, column: &str) -> bool {
        self.get(table, row, column)
            .first()
            .and_then(Atom::as_bool)
            .unwrap_or(false)
    }

    /// The rows that a column refers to.
    pub fn refs(&self, table: &str, row: Uuid, column: &str) -> Vec<Uuid> {
        self.get(table, row, column).uuids().collect()
    }

    fn change(&mut self, table: &str, row: Uuid) -> &mut Change {
        let rows = self.changes.entry(table.to_string()).or_default();
        rows.entry(row).or_insert_with(|| Change {
            origin: Origin::View,
            deleted: false,
            columns: BTreeMap::new(),
        })
    }

    /// Sets a column.
    pub fn set(&mut self, table: &str, row: Uuid, column: &str, datum: Datum) {
        self.change(table, row)
            .columns
            .insert(column.to_string(), datum);
    }

    /// Makes a column refer to these rows.
    pub fn set_refs(&mut self, table: &str, row: Uuid, column: &str, rows: &[Uuid]) {
        self.set(
            table,
            row,
            column,
            Datum::set(rows.iter().map(|&uuid| Atom::Uuid(uuid))),
        );
    }

    /// Makes a column hold one string.
    pub fn set_string(&mut self, table: &str, row: Uuid, column: &str, text: &str) {
        self.set(table, row, column, Datum::set([Atom::String(text.into())]));
    }

    /// Makes a column hold one integer.
    pub fn set_integer(&mut self, table: &str, row: Uuid, column: &str, number: i64) {
        self.set(table, row, column, Datum::set([Atom::Integer(number)]));
    }

    /// Makes a column hold nothing.
    pub fn clear(&mut self, table: &str, row: Uuid, column: &str) {
        self.set(table, row, column, Datum::default());
    }

    /// A new row, whose UUID the server chooses; the answer stands for it here.
    pub fn insert(&mut self, table: &str) -> Uuid {
        let uuid = Uuid::random();
        self.insert_as(table, uuid, false);
        uuid
    }

    /// A new row that `uuid` stands for here, and also later if it is `kept`.
    pub fn insert_as(&mut self, table: &str, uuid: Uuid, kept: bool) {
        let origin = if kept { Origin::NewNamed } else { Origin::New };
        let change = Change {
            origin,
            deleted: false,
            columns: BTreeMap::new(),
        };
        *self.change(table, uuid) = change;
        self.made.push((table.to_string(), uuid));
        if !kept {
            self.named.insert(uuid);
        }
    }

    /// Deletes a row.
    pub fn delete(&mut self, table: &str, row: Uuid) {
        self.change(table, row).deleted = true;
    }

    /// The transaction shall fail if the column no longer holds what the view shows.
    pub fn verify(&mut self, table: &str, row: Uuid, column: &str) {
        if self.view.row(table, row).is_some() && self.column(table, column).is_some() {
            self.verified
                .insert((table.to_string(), row, column.to_string()));
        }
    }

    /// If anything changes, adds one to an integer column, too.
    pub fn increment(&mut self, table: &str, row: Uuid, column: &str) {
        self.increment = Some((table.to_string(), row, column.to_string()));
    }

    /// A line for the database's log.
    pub fn comment(&mut self, text: &str) {
        self.comment = text.to_string();
    }

    /// The transaction; none if nothing changes.
    pub fn request(&self) -> Option<Request> {
        let mut request = Request {
            operations: Vec::new(),
            inserts: Vec::new(),
            increment: None,
        };
        let new = self.made.iter().map(|(table, row)| (table.as_str(), *row));
        let all = self.changes.iter().flat_map(|(table, rows)| {
            rows.iter()
                .map(move |(row, change)| (table.as_str(), *row, change))
        });
        let old = all
            .filter(|(_, _, change)| change.origin == Origin::View)
            .map(|(table, row, _)| (table, row));
        let mut changes = Vec::new();
        for (table, row) in new.chain(old) {
            let Some(change) = self.changed(table, row) else {
                continue;
            };
            let is_new = change.origin != Origin::View;
            match (is_new, change.deleted) {
                (true, true) => {}
                (false, true) => changes.push((
                    None,
                    json!({"op": "delete", "table": table, "where": self.where_row(row)}),
                )),
                (true, false) => {
                    let name = if change.origin == Origin::NewNamed {
                        ("uuid", row.to_string())
                    } else {
                        ("uuid-name", row.row_name())
                    };
                    let columns = self.row_json(table, change, None);
                    let mut op = json!({"op": "insert", "table": table, "row": columns});
                    if let Some(members) = op.as_object_mut() {
                        members.insert(name.0.into(), name.1.into());
                    }
                    changes.push((Some(row), op));
                }
                (false, false) => {
                    let columns = self.row_json(table, change, Some(row));
                    if !columns.is_empty() {
                        let condition = self.where_row(row);
                        changes.push((
                            None,
                            json!({"op": "update", "table": table, "where": condition,
                                   "row": columns}),
                        ));
                    }
                }
            }
        }
        if changes.is_empty() {
            return None;
        }
        request.operations = self.preconditions();
        for (inserted, op) in changes {
            if let Some(uuid) = inserted {
                request.inserts.push((request.operations.len(), uuid));
            }
            request.operations.push(op);
        }
        if let Some((table, row, column)) = &self.increment {
            let condition = self.where_row(*row);
            request
                .operations
                .push(json!({"op": "mutate", "table": table, "where": condition,
                                           "mutations": [[column, "+=", 1]]}));
            request.increment = Some(request.operations.len());
            request
                .operations
                .push(json!({"op": "select", "table": table, "where": condition,
                                           "columns": [column]}));
        }
        if !self.comment.is_empty() {
            request
                .operations
                .push(json!({"op": "comment", "comment": self.comment}));
        }
        Some(request)
    }

    fn preconditions(&self) -> Vec<Json> {
        let mut rows: BTreeMap<(&str, Uuid), Vec<&str>> = BTreeMap::new();
        for (table, row, column) in &self.verified {
            rows.entry((table, *row)).or_default().push(column);
        }
        let wait = |((table, row), columns): ((&str, Uuid), Vec<&str>)| {
            let view = self.view.row(table, row)?;
            let mut values = Object::new();
            for &column in &columns {
                let type_ = &self.column(table, column)?.type_;
                values.insert(column.into(), self.datum_json(&view.datum(column), type_));
            }
            Some(json!({"op": "wait", "timeout": 0, "table": table,
                        "where": self.where_row(row), "columns": columns, "until": "==",
                        "rows": [values]}))
        };
        rows.into_iter().filter_map(wait).collect()
    }

    /// The columns that a change really changes.
    fn row_json(&self, table: &str, change: &Change, old: Option<Uuid>) -> Object {
        let mut columns = Object::new();
        for (name, datum) in &change.columns {
            let Some(column) = self.column(table, name) else {
                continue;
            };
            let before = match old {
                Some(row) => self.view.row(table, row).map(|row| row.datum(name)),
                None => Some(column.type_.default_datum()),
            };
            if before.as_ref() != Some(datum) {
                columns.insert(name.clone(), self.datum_json(datum, &column.type_));
            }
        }
        columns
    }

    fn uuid_json(&self, uuid: Uuid) -> Json {
        if self.named.contains(&uuid) {
            json!(["named-uuid", uuid.row_name()])
        } else {
            uuid.to_json()
        }
    }

    fn where_row(&self, row: Uuid) -> Json {
        json!([["_uuid", "==", self.uuid_json(row)]])
    }

    fn datum_json(&self, datum: &Datum, type_: &Type) -> Json {
        let atom = |atom: &Atom| match atom {
            Atom::Uuid(uuid) => self.uuid_json(*uuid),
            atom => atom.to_json(),
        };
        if type_.is_map() {
            let pairs: Vec<Json> = datum
                .pairs()
                .map(|(k, v)| json!([atom(k), v.map_or(Json::Null, atom)]))
                .collect();
            return json!(["map", pairs]);
        }
        match (datum.len(), datum.first()) {
            (1, Some(only)) => atom(only),
            _ => json!(["set", datum.keys().map(atom).collect::<Vec<Json>>()]),
        }
    }
}
