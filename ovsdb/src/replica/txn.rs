//! A transaction of a client: changes by table, row and column, sent as one request.

use super::client::Replica;
use crate::Uuid;
use crate::json::{self, Json, Object};
use crate::row::Column;
use crate::schema::Schema;
use crate::types::{Atom, Datum, Type};
use std::collections::{BTreeMap, BTreeSet};

/// What the server made of a transaction that it committed.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The UUIDs of inserted rows, by what [`Txn::insert`] answered.
    pub inserted: BTreeMap<Uuid, Uuid>,
    /// The values after [`Txn::increment`], in the order of the calls.
    pub increments: Vec<i64>,
}

/// How a transaction ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// There was nothing to change.
    Unchanged,
    /// It is committed, and the view shows it.
    Committed(Committed),
    /// A verified column had changed, or the connection was lost: look again and try again.
    TryAgain,
    /// The lock is not ours.
    NotLocked,
    /// The server refused it, in one line. Trying again will not help.
    Error(String),
}

/// A transaction being put together.
pub struct Txn {
    replica: Replica,
    inserted: BTreeMap<Uuid, String>,
    operations: Vec<Operation>,
    comment: Option<String>,
    durable: bool,
    assert_lock: bool,
}

enum Operation {
    Insert(String, Uuid),
    Set(String, Uuid, String, Datum),
    Mutate(String, Uuid, String, &'static str, Datum),
    Delete(String, Uuid),
    Verify(String, Uuid, Vec<(String, Datum)>),
    Increment(String, Uuid, String),
}

impl Txn {
    pub(super) fn new(replica: Replica, assert_lock: bool) -> Txn {
        Txn {
            replica,
            inserted: BTreeMap::new(),
            operations: Vec::new(),
            comment: None,
            durable: false,
            assert_lock,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.operations
            .iter()
            .all(|op| matches!(op, Operation::Verify(..)))
    }

    /// A line for the database's log.
    pub fn comment(&mut self, comment: &str) {
        match &mut self.comment {
            None => self.comment = Some(comment.to_owned()),
            Some(lines) => {
                lines.push('\n');
                lines.push_str(comment);
            }
        }
    }

    /// Asks for the data to be on the disk before the answer.
    pub fn durable(&mut self) {
        self.durable = true;
    }

    /// Inserts a row. The answer stands for it in this transaction's other data; the UUID that the
    /// server gave it comes with the outcome.
    pub fn insert(&mut self, table: &str) -> Uuid {
        let uuid = Uuid::random();
        self.inserted.insert(uuid, uuid.row_name());
        self.operations
            .push(Operation::Insert(table.to_owned(), uuid));
        uuid
    }

    /// Sets a column. If the view shows that it holds that already, nothing is sent.
    pub fn set(&mut self, table: &str, row: Uuid, column: &str, datum: impl Into<Datum>) {
        let datum = datum.into();
        let same = |op: &&mut Operation| matches!(op, Operation::Set(t, r, c, _) if t == table && *r == row && c == column);
        if let Some(Operation::Set(.., earlier)) = self.operations.iter_mut().find(same) {
            *earlier = datum;
            return;
        }
        let view = self.replica.view();
        let is_same = view
            .row(table, row)
            .is_some_and(|r| r.get(column) == Some(&datum));
        if !is_same {
            self.operations.push(Operation::Set(
                table.to_owned(),
                row,
                column.to_owned(),
                datum,
            ));
        }
    }

    /// Adds members to a set, or pairs to a map, whatever else it holds.
    pub fn insert_into(&mut self, table: &str, row: Uuid, column: &str, members: Datum) {
        self.mutate(table, row, column, "insert", members);
    }

    /// Takes members out of a set, or pairs (or keys) out of a map, if they are there.
    pub fn delete_from(&mut self, table: &str, row: Uuid, column: &str, members: Datum) {
        self.mutate(table, row, column, "delete", members);
    }

    fn mutate(
        &mut self,
        table: &str,
        row: Uuid,
        column: &str,
        mutator: &'static str,
        datum: Datum,
    ) {
        self.operations.push(Operation::Mutate(
            table.to_owned(),
            row,
            column.to_owned(),
            mutator,
            datum,
        ));
    }

    /// Adds one to an integer, whatever it holds; the outcome tells what it holds then.
    pub fn increment(&mut self, table: &str, row: Uuid, column: &str) {
        self.operations.push(Operation::Increment(
            table.to_owned(),
            row,
            column.to_owned(),
        ));
    }

    /// Deletes a row.
    pub fn delete(&mut self, table: &str, row: Uuid) {
        self.operations
            .push(Operation::Delete(table.to_owned(), row));
    }

    /// Makes the transaction fail ([`Outcome::TryAgain`]) unless the column still holds what the
    /// view shows now.
    pub fn verify(&mut self, table: &str, row: Uuid, column: &str) {
        let view = self.replica.view();
        if let Some(r) = view.row(table, row) {
            let value = vec![(column.to_owned(), r.datum(column))];
            self.operations
                .push(Operation::Verify(table.to_owned(), row, value));
        }
    }

    /// Sends the transaction and waits for its end.
    pub async fn commit(self) -> Outcome {
        if self.is_empty() {
            return Outcome::Unchanged;
        }
        let view = self.replica.view();
        let Some(schema) = view.schema() else {
            return Outcome::TryAgain;
        };
        let request = self.request(schema);
        match self.replica.transact(request.clone()).await {
            None => Outcome::TryAgain,
            Some(Err(error)) => Outcome::Error(error_text(&error)),
            Some(Ok(results)) => self.outcome(&request, &results),
        }
    }

    /// The operations, as `transact` wants them after the database's name.
    pub fn request(&self, schema: &Schema) -> Vec<Json> {
        let mut out = Vec::new();
        if self.assert_lock
            && let Some(lock) = self.replica.lock_name()
        {
            out.push(serde_json::json!({"op": "assert", "lock": lock}));
        }
        // Preconditions first, so that what they verify is what was there before.
        for op in &self.operations {
            if let Operation::Verify(table, row, columns) = op {
                out.push(self.verify_json(schema, table, *row, columns));
            }
        }
        let deleted: BTreeSet<(&str, Uuid)> = self
            .operations
            .iter()
            .filter_map(|op| match op {
                Operation::Delete(table, row) => Some((table.as_str(), *row)),
                _ => None,
            })
            .collect();
        let mut rows: BTreeMap<(&str, Uuid), Object> = BTreeMap::new();
        let mut order: Vec<(&str, Uuid)> = Vec::new();
        for op in &self.operations {
            let (table, row) = match op {
                Operation::Insert(table, row) | Operation::Set(table, row, ..) => {
                    (table.as_str(), *row)
                }
                _ => continue,
            };
            if deleted.contains(&(table, row)) {
                continue;
            }
            let columns = rows.entry((table, row)).or_insert_with(|| {
                order.push((table, row));
                Object::new()
            });
            if let Operation::Set(_, _, column, datum) = op {
                let json = self.datum_json(schema, table, column, datum);
                columns.insert(column.clone(), json);
            }
        }
        for (table, row) in order {
            let columns = Json::Object(rows.remove(&(table, row)).unwrap_or_default());
            out.push(match self.inserted.get(&row) {
                Some(name) => {
                    serde_json::json!({"op": "insert", "table": table, "row": columns, "uuid-name": name})
                }
                None => {
                    serde_json::json!({"op": "update", "table": table, "row": columns, "where": self.where_row(row)})
                }
            });
        }
        for op in &self.operations {
            self.rest_json(schema, op, &mut out);
        }
        if let Some(comment) = &self.comment {
            out.push(serde_json::json!({"op": "comment", "comment": comment}));
        }
        if self.durable {
            out.push(serde_json::json!({"op": "commit", "durable": true}));
        }
        out
    }

    fn rest_json(&self, schema: &Schema, op: &Operation, out: &mut Vec<Json>) {
        match op {
            Operation::Delete(table, row) if !self.inserted.contains_key(row) => {
                out.push(serde_json::json!({"op": "delete", "table": table, "where": self.where_row(*row)}));
            }
            Operation::Mutate(table, row, column, mutator, datum) => {
                let arg = self.datum_json(schema, table, column, datum);
                out.push(serde_json::json!({
                    "op": "mutate", "table": table, "where": self.where_row(*row),
                    "mutations": [[column, mutator, arg]],
                }));
            }
            Operation::Increment(table, row, column) => {
                let condition = self.where_row(*row);
                out.push(serde_json::json!({
                    "op": "mutate", "table": table, "where": condition,
                    "mutations": [[column, "+=", 1]],
                }));
                out.push(serde_json::json!({
                    "op": "select", "table": table, "where": condition, "columns": [column],
                }));
            }
            _ => {}
        }
    }

    fn verify_json(
        &self,
        schema: &Schema,
        table: &str,
        row: Uuid,
        columns: &[(String, Datum)],
    ) -> Json {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let values: Object = columns
            .iter()
            .map(|(name, datum)| (name.clone(), self.datum_json(schema, table, name, datum)))
            .collect();
        serde_json::json!({
            "op": "wait", "timeout": 0, "table": table, "where": self.where_row(row),
            "columns": names, "until": "==", "rows": [values],
        })
    }

    fn uuid_json(&self, uuid: Uuid) -> Json {
        match self.inserted.get(&uuid) {
            Some(name) => serde_json::json!(["named-uuid", name]),
            None => uuid.to_json(),
        }
    }

    fn where_row(&self, row: Uuid) -> Json {
        serde_json::json!([["_uuid", "==", self.uuid_json(row)]])
    }

    fn datum_json(&self, schema: &Schema, table: &str, column: &str, datum: &Datum) -> Json {
        let type_ = schema
            .table(table)
            .and_then(|t| Some((t, Column::find(t, column)?)));
        let is_map = match type_ {
            Some((table, column)) => Type::is_map(column.type_(table)),
            None => datum.pair(0).is_some_and(|(_, value)| value.is_some()),
        };
        let atom = |atom: &Atom| match atom {
            Atom::Uuid(uuid) => self.uuid_json(*uuid),
            atom => atom.to_json(),
        };
        let has_pairs = datum.pair(0).is_some_and(|(_, value)| value.is_some());
        if is_map && (has_pairs || datum.is_empty()) {
            let pairs: Vec<Json> = datum
                .pairs()
                .map(|(k, v)| Json::from(vec![atom(k), v.map_or(Json::Null, atom)]))
                .collect();
            return serde_json::json!(["map", pairs]);
        }
        match (datum.len(), datum.first()) {
            (1, Some(only)) if !is_map => atom(only),
            _ => serde_json::json!(["set", datum.keys().map(atom).collect::<Vec<_>>()]),
        }
    }

    fn outcome(&self, request: &[Json], results: &[Json]) -> Outcome {
        let mut committed = Committed::default();
        for (at, result) in results.iter().enumerate() {
            if let Some(tag) = result.get("error").and_then(Json::as_str) {
                return match tag {
                    "timed out" | "canceled" => Outcome::TryAgain,
                    "not owner" => Outcome::NotLocked,
                    "aborted" => Outcome::TryAgain,
                    _ => Outcome::Error(error_text(result)),
                };
            }
            let Some(operation) = request.get(at) else {
                continue;
            };
            match operation.get("op").and_then(Json::as_str) {
                Some("insert") => {
                    let name = operation.get("uuid-name").and_then(Json::as_str);
                    let known = self.inserted.iter().find(|(_, n)| Some(n.as_str()) == name);
                    let uuid = result
                        .get("uuid")
                        .and_then(|u| u.get(1))
                        .and_then(Json::as_str);
                    if let (Some((ours, _)), Some(theirs)) = (known, uuid.and_then(Uuid::parse)) {
                        committed.inserted.insert(*ours, theirs);
                    }
                }
                Some("select") => {
                    let value = result
                        .get("rows")
                        .and_then(|r| r.get(0))
                        .and_then(Json::as_object);
                    let value = value
                        .and_then(|row| row.values().next())
                        .and_then(json::integer);
                    committed.increments.extend(value);
                }
                _ => {}
            }
        }
        Outcome::Committed(committed)
    }
}

/// An `<error>` in one line.
fn error_text(error: &Json) -> String {
    let tag = error.get("error").and_then(Json::as_str);
    let details = error.get("details").and_then(Json::as_str);
    match (tag, details) {
        (Some(tag), Some(details)) => format!("{tag}: {details}"),
        (Some(tag), None) => tag.to_owned(),
        _ => json::to_string(error),
    }
}
