//! Transactions as the log keeps them: `{"Table": {"uuid": row}, "_date": ms, ...}`.
//!
//! A row is an object with its columns that are not default, `null` when it is deleted; with
//! `"_is_diff": true` the columns of rows that existed are differences (see
//! [`Datum::diff_from`](crate::Datum::diff_from)). Ephemeral columns are not written.

use crate::commit::{Change, Commit, Prepared};
use crate::database::Database;
use crate::json::{self, Json};
use crate::row::{Column, Row};
use crate::schema::{Schema, TableSchema};
use crate::transaction::Transaction;
use crate::types::Datum;
use crate::{Error, Uuid};
use std::fmt::Write as _;
use std::sync::Arc;

/// The record of a commit, or none if nothing of it is kept.
pub fn encode(schema: &Schema, commit: &Commit, wall_ms: u64) -> Option<String> {
    let mut out = String::from("{");
    let mut open: Option<usize> = None;
    for change in &commit.changes {
        let Some(table) = schema.tables.get(change.table) else {
            continue;
        };
        let mut row = String::new();
        if write_row(table, change, &mut row) {
            write_entry(
                &mut out,
                &mut open,
                change.table,
                &table.name,
                change.uuid(),
                &row,
            );
        }
    }
    open?;
    out.push_str("},");
    write_annotations(&mut out, commit.comment.as_deref(), wall_ms, true);
    Some(out)
}

/// One record that makes the whole database. Readers before differences were invented understand it
/// unless `is_diff` says that later records may have some.
pub fn encode_all(db: &Database, comment: Option<&str>, wall_ms: u64, is_diff: bool) -> String {
    let mut out = String::from("{");
    let mut open: Option<usize> = None;
    for at in 0..db.schema().tables.len() {
        let Some((schema, table)) = db.table_at(at) else {
            continue;
        };
        for row in table.rows() {
            let mut text = String::new();
            write_new_row(schema, row, &mut text);
            write_entry(&mut out, &mut open, at, &schema.name, row.uuid, &text);
        }
    }
    if open.is_some() {
        out.push_str("},");
    }
    write_annotations(&mut out, comment, wall_ms, is_diff);
    out
}

fn write_entry(
    out: &mut String,
    open: &mut Option<usize>,
    table: usize,
    name: &str,
    uuid: Uuid,
    row: &str,
) {
    if *open == Some(table) {
        out.push(',');
    } else {
        if open.is_some() {
            out.push_str("},");
        }
        let _ = write!(out, "\"{name}\":{{");
        *open = Some(table);
    }
    out.push('"');
    uuid.write(out);
    out.push_str("\":");
    out.push_str(row);
}

fn write_annotations(out: &mut String, comment: Option<&str>, wall_ms: u64, is_diff: bool) {
    if let Some(comment) = comment {
        out.push_str("\"_comment\":");
        json::write_str(comment, out);
        out.push(',');
    }
    if is_diff {
        out.push_str("\"_is_diff\":true,");
    }
    let _ = write!(out, "\"_date\":{wall_ms}}}");
}

/// Appends a change of a row; false if nothing of it is kept.
fn write_row(table: &TableSchema, change: &Change, out: &mut String) -> bool {
    let (old, new) = match (&change.old, &change.new) {
        (_, None) => {
            out.push_str("null");
            return true;
        }
        (None, Some(new)) => {
            write_new_row(table, new, out);
            return true;
        }
        (Some(old), Some(new)) => (old, new),
    };
    out.push('{');
    let mut any = false;
    for ((column, was), is) in old.fields(table).zip(&new.columns) {
        if column.persistent && was != is {
            write_member(&column.name, any, out);
            is.diff_from(was, &column.type_)
                .write_json(&column.type_, out);
            any = true;
        }
    }
    out.push('}');
    any
}

fn write_new_row(table: &TableSchema, row: &Row, out: &mut String) {
    out.push('{');
    let mut any = false;
    for (column, datum) in row.fields(table) {
        if column.persistent && !datum.is_default(&column.type_) {
            write_member(&column.name, any, out);
            datum.write_json(&column.type_, out);
            any = true;
        }
    }
    out.push('}');
}

fn write_member(name: &str, any: bool, out: &mut String) {
    if any {
        out.push(',');
    }
    let _ = write!(out, "\"{name}\":");
}

/// Reads a record and checks that it fits the database. When `converting`, tables and columns that
/// the schema does not have are passed over.
///
/// # Errors
/// `"unknown table"`, `"unknown column"`, `"syntax error"`, or what the commit would violate.
pub fn decode(db: &Database, record: &Json, converting: bool) -> Result<Prepared, Error> {
    let Some(object) = record.as_object() else {
        return Err(Error::syntax(record, "object expected"));
    };
    let is_diff = object.get("_is_diff") == Some(&Json::Bool(true));
    let mut txn = Transaction::new(db);
    for (name, rows) in object {
        let Some(at) = db.schema().table_index(name) else {
            match name.as_str() {
                "_date" if json::integer(rows).is_some() => continue,
                "_is_diff" if rows.is_boolean() => continue,
                "_comment" => {
                    if let Some(comment) = rows.as_str() {
                        txn.add_comment(comment);
                    }
                    continue;
                }
                _ if converting => continue,
                _ => {
                    return Err(Error::syntax_tagged(
                        record,
                        "unknown table",
                        format!("No table named {name}."),
                    ));
                }
            }
        };
        let Some(rows) = rows.as_object() else {
            return Err(Error::syntax(rows, "object expected"));
        };
        for (uuid_text, row) in rows {
            let uuid = Uuid::parse(uuid_text).ok_or_else(|| {
                Error::syntax_plain(format!("\"{uuid_text}\" is not a valid UUID"))
            })?;
            decode_row(&mut txn, at, uuid, row, is_diff, converting)?;
        }
    }
    txn.prepare()
}

fn decode_row(
    txn: &mut Transaction<'_>,
    at: usize,
    uuid: Uuid,
    json: &Json,
    is_diff: bool,
    converting: bool,
) -> Result<(), Error> {
    let Some(schema) = txn.table_schema(at) else {
        return Ok(());
    };
    let existing = txn.get(at, &uuid).cloned();
    if json.is_null() {
        if existing.is_none() {
            return Err(Error::syntax_plain(format!(
                "transaction deletes row {uuid} that does not exist"
            )));
        }
        txn.delete(at, &uuid);
        return Ok(());
    }
    let Some(columns) = json.as_object() else {
        return Err(Error::syntax(json, "row must be JSON object"));
    };
    let is_diff = is_diff && existing.is_some();
    let existed = existing.is_some();
    let mut row = existing.unwrap_or_else(|| Row::new(schema, uuid));
    for (name, value) in columns {
        let Some(column) = Column::find(schema, name) else {
            if converting {
                continue;
            }
            return Err(Error::syntax_tagged(
                json,
                "unknown column",
                format!("No column {name} in table {}.", schema.name),
            ));
        };
        let type_ = column.type_(schema);
        let datum = if is_diff {
            let diff = Datum::from_json(value, &type_.any_number(), None)?;
            let datum = row.get(column).apply_diff(&diff, type_);
            let n = u32::try_from(datum.len()).unwrap_or(u32::MAX);
            if n < type_.min || n > type_.max {
                return Err(Error::new(
                    "ovsdb error",
                    "Datum crated by diff has size error",
                ));
            }
            datum
        } else {
            Datum::from_json(value, type_, None)?
        };
        row.set(column, datum);
    }
    if existed {
        if let Some(slot) = txn.modify(at, &uuid) {
            *slot = row;
        }
    } else {
        txn.insert(at, row);
    }
    Ok(())
}

/// The database under another schema: columns that both have are converted, the rest is dropped.
///
/// # Errors
/// What does not fit the new schema.
pub fn convert(db: &Database, schema: &Arc<Schema>) -> Result<Database, Error> {
    let mut converted = Database::new(Arc::clone(schema));
    let mut txn = Transaction::new(&converted);
    for (at, table) in db.schema().tables.iter().enumerate() {
        let Some((to, new_table)) = schema
            .table_index(&table.name)
            .and_then(|to| Some((to, schema.tables.get(to)?)))
        else {
            continue;
        };
        for row in db.tables.get(at).into_iter().flat_map(|t| t.rows()) {
            let mut new_row = Row::new(new_table, row.uuid);
            for (column, datum) in row.fields(table) {
                let Some(to) = new_table.column_index(&column.name) else {
                    continue;
                };
                let new_type = Column::At(to).type_(new_table);
                let datum = if *new_type == column.type_ {
                    datum.clone()
                } else {
                    Datum::from_json(&datum.to_json(&column.type_), new_type, None)?
                };
                new_row.set(Column::At(to), datum);
            }
            txn.insert(to, new_row);
        }
    }
    let prepared = txn.prepare()?;
    converted.apply(prepared);
    Ok(converted)
}
