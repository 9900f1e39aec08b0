//! Whole databases out and in, as database files.

use super::commands::check_results;
use super::{Failure, Rpc, Session};
use ovsdb::log::{Reader, record};
use ovsdb::{Column, Json, TableSchema, file, json};
use std::io::{IsTerminal, Write};
use std::path::Path;

fn kept(table: &TableSchema) -> Vec<&str> {
    let columns = Column::all(table).into_iter().filter(|c| match c {
        Column::At(at) => table.columns.get(*at).is_some_and(|c| c.persistent),
        Column::Uuid => true,
        Column::Version => false,
    });
    columns.map(|c| c.name(table)).collect()
}

/// Writes the database as a file to standard output.
///
/// # Errors
/// One line.
pub async fn backup(session: &Session, rpc: &mut Rpc, database: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return Err(
            "not writing backup to a terminal; please redirect stdout to a file".to_owned(),
        );
    }
    let schema = rpc.schema(database).await?;
    let mut params = vec![Json::from(database)];
    for table in &schema.tables {
        params.push(serde_json::json!({
            "op": "select", "table": table.name, "where": [], "columns": kept(table),
        }));
    }
    let result = rpc.transact("transact", Json::from(params)).await?;
    let mut transaction = json::Object::new();
    for (at, table) in schema.tables.iter().enumerate() {
        let reply = result.get(at).unwrap_or(&Json::Null);
        let rows = reply.get("rows").and_then(Json::as_array).ok_or_else(|| {
            format!(
                "{} table reply is not an object with a \"rows\" member array: {}",
                table.name,
                json::to_string(reply)
            )
        })?;
        let mut out = json::Object::new();
        for row in rows {
            let mut row = row.as_object().cloned().unwrap_or_default();
            let uuid = row.remove("_uuid");
            let uuid = uuid.as_ref().and_then(|u| u.get(1)).and_then(Json::as_str);
            let uuid =
                uuid.ok_or_else(|| format!("{} table reply row lacks _uuid member", table.name))?;
            out.insert(uuid.to_owned(), Json::Object(row));
        }
        if !out.is_empty() {
            transaction.insert(table.name.clone(), Json::Object(out));
        }
    }
    transaction.insert(
        "_comment".into(),
        Json::from("produced by \"ovsdb-client backup\""),
    );
    transaction.insert("_is_diff".into(), Json::from(true));
    transaction.insert("_date".into(), Json::from(session.clock.wall_ms()));
    let mut out = std::io::stdout();
    for json in [schema.to_json(), Json::Object(transaction)] {
        out.write_all(&record(&json::to_string(&json)))
            .map_err(|e| format!("write to stdout failed ({e})"))?;
    }
    Ok(())
}

/// Reads a database file from standard input and makes the database like it.
///
/// # Errors
/// One line.
pub async fn restore(session: &Session, rpc: &mut Rpc, database: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Err(
            "not reading backup from a terminal; please redirect stdin from a file".to_owned(),
        );
    }
    let path = Path::new("/dev/stdin");
    let mut reader = Reader::open(path, false).map_err(|e| e.to_string())?;
    let (backup, tail) = file::read_all(&mut reader, path, None).map_err(|e| e.to_string())?;
    if let Some(error) = tail {
        return Err(error.to_string());
    }
    let online = rpc.schema(database).await?;
    if **backup.schema() != online && !session.force {
        let ours = &backup.schema().version;
        let differ = if *ours == online.version {
            format!("backup schema and database schema are both version {ours} but still differ")
        } else {
            format!(
                "backup schema has version \"{ours}\" but database schema has version \"{}\"",
                online.version
            )
        };
        return Err(format!(
            "{differ} (use --force to override differences, or \"ovsdb-client convert\" to change the schema)"
        ));
    }
    let mut params = vec![Json::from(backup.name())];
    for table in &backup.schema().tables {
        params.push(serde_json::json!({"op": "delete", "table": table.name, "where": []}));
        for row in backup.table(&table.name).into_iter().flat_map(|t| t.rows()) {
            let columns: json::Object = row
                .fields(table)
                .filter(|(c, datum)| c.persistent && !datum.is_default(&c.type_))
                .map(|(c, datum)| (c.name.to_string(), datum.to_json_with_row_names(&c.type_)))
                .collect();
            params.push(serde_json::json!({
                "op": "insert", "table": table.name, "uuid-name": row.uuid.row_name(), "row": columns,
            }));
        }
    }
    let result = rpc.transact("transact", Json::from(params)).await?;
    check_results(&result)
}
