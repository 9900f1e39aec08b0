//! `show-log`: each record in a line, with `-m` its rows, with `-mm` their columns.

use super::Failure;
use chrono::DateTime;
use ovsdb::log::Reader;
use ovsdb::{Column, Datum, Json, Schema, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Prints the log of a file.
///
/// # Errors
/// The first faulty record, after those before it are printed.
pub fn show(path: &Path, verbosity: u32) -> Result<(), Failure> {
    let mut reader = Reader::open(path, false).map_err(|e| e.to_string())?;
    if reader.is_clustered() {
        return Err(format!(
            "{}: clustered databases are not supported",
            path.display()
        ));
    }
    let mut schema: Option<Schema> = None;
    let mut names = BTreeMap::new();
    let mut number = 0u64;
    while let Some(record) = reader.next_record().map_err(|e| e.to_string())? {
        put!("record {number}:");
        match &schema {
            None => {
                let read = Schema::from_json(&record).map_err(|e| e.to_string())?;
                say!(
                    " \"{}\" schema, version=\"{}\", cksum=\"{}\"",
                    read.name,
                    read.version,
                    read.cksum
                );
                schema = Some(read);
            }
            Some(schema) => print_change(&record, schema, &mut names, verbosity),
        }
        say!();
        number += 1;
    }
    Ok(())
}

fn print_change(
    record: &Json,
    schema: &Schema,
    names: &mut BTreeMap<String, String>,
    verbosity: u32,
) {
    if let Some(date) = record.get("_date").and_then(json::integer) {
        // Long ago the log had seconds.
        let ms = if date < i64::from(i32::MAX) {
            date.saturating_mul(1000)
        } else {
            date
        };
        if let Some(date) = DateTime::from_timestamp_millis(ms) {
            put!(" {}", date.format("%Y-%m-%d %H:%M:%S%.3f"));
        }
    }
    if let Some(comment) = record.get("_comment").and_then(Json::as_str) {
        put!(" \"{comment}\"");
    }
    if verbosity > 0 {
        print_rows(record, schema, names, verbosity);
    }
}

fn print_rows(
    record: &Json,
    schema: &Schema,
    names: &mut BTreeMap<String, String>,
    verbosity: u32,
) {
    let is_diff = record.get("_is_diff") == Some(&Json::Bool(true));
    let mut first = true;
    for (table, rows) in record.as_object().into_iter().flatten() {
        let Some(rows) = rows.as_object().filter(|_| !table.starts_with('_')) else {
            continue;
        };
        if std::mem::take(&mut first) {
            say!();
        }
        for (uuid, columns) in rows {
            let short = uuid.get(..8).unwrap_or(uuid);
            let new_name = columns.get("name").map(json::to_string);
            put!("  table {table}");
            match (names.get(uuid), &new_name) {
                (Some(old), _) => say!(
                    " row {old} ({short}){}:",
                    if is_diff { " diff" } else { "" }
                ),
                (None, Some(new)) => say!(" insert row {new} ({short}):"),
                (None, None) => say!(" insert row {short}:"),
            }
            if let Some(columns) = columns.as_object() {
                if verbosity > 1 {
                    print_columns(schema, table, columns);
                }
                match new_name {
                    Some(name) => {
                        names.insert(uuid.clone(), name);
                    }
                    None => {
                        names
                            .entry(uuid.clone())
                            .or_insert_with(|| short.to_owned());
                    }
                }
            } else if columns.is_null() {
                say!("    delete row");
                names.remove(uuid);
            }
        }
    }
}

fn print_columns(schema: &Schema, table: &str, columns: &json::Object) {
    for (name, value) in columns {
        let type_ = schema
            .table(table)
            .and_then(|t| Column::find(t, name).map(|c| c.type_(t)));
        let text = type_.and_then(|t| Some(Datum::from_json(value, t, None).ok()?.to_text(t)));
        say!(
            "    {name}={}",
            text.unwrap_or_else(|| json::to_string(value))
        );
    }
}
