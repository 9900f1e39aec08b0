//! The commands that end with an answer.

use super::table::{Cell, Table};
use super::{Failure, Rpc, Session, backup, monitor, usage};
use ovsdb::monitor::Version;
use ovsdb::{Column, Datum, Json, Schema, TableSchema, Type, json};
use std::cmp::Ordering;
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The command finds its server itself.
    Nothing,
    Server,
    Database,
}

/// A command's name, what it needs, how few and how many arguments it has besides.
const COMMANDS: &[(&str, Need, usize, usize)] = &[
    ("list-dbs", Need::Server, 0, 0),
    ("get-schema", Need::Database, 0, 0),
    ("get-schema-version", Need::Database, 0, 0),
    ("get-schema-cksum", Need::Database, 0, 0),
    ("list-tables", Need::Database, 0, 0),
    ("list-columns", Need::Database, 0, 1),
    ("transact", Need::Nothing, 1, 2),
    ("query", Need::Nothing, 1, 2),
    ("monitor", Need::Database, 1, usize::MAX),
    ("monitor-cond", Need::Database, 2, 3),
    ("monitor-cond-since", Need::Database, 2, 4),
    ("wait", Need::Nothing, 2, 3),
    ("convert", Need::Nothing, 1, 2),
    ("needs-conversion", Need::Nothing, 1, 2),
    ("dump", Need::Database, 0, usize::MAX),
    ("backup", Need::Database, 0, 0),
    ("restore", Need::Database, 0, 0),
    ("lock", Need::Server, 1, 1),
    ("steal", Need::Server, 1, 1),
    ("unlock", Need::Server, 1, 1),
    ("help", Need::Nothing, 0, usize::MAX),
];

/// Whether `--detach` means something to a command.
pub fn may_detach(name: &str) -> bool {
    name.starts_with("monitor")
        || matches!(name, "lock" | "steal" | "unlock" | "transact" | "query")
}

/// Takes the server off the front of `args`, if one is there, and connects to it.
async fn open(session: &Session, args: &[String], min: usize) -> Result<(Rpc, usize), Failure> {
    let given = args.first().filter(|first| {
        args.len() > min
            && first.starts_with(|c: char| c.is_ascii_alphabetic())
            && first.contains(':')
    });
    let server = given.cloned().unwrap_or_else(|| session.default_remote());
    let mut last = Err(format!("failed to connect to \"{server}\""));
    // Several servers between commas: the first that is there.
    for one in server.split(',') {
        last = Rpc::open(one, &session.rundir).await;
        if last.is_ok() {
            break;
        }
    }
    Ok((last?, usize::from(given.is_some())))
}

/// The database that `args` begins with, if the server has it, or else the obvious one.
async fn choose_database(
    rpc: &mut Rpc,
    args: &[String],
    min: usize,
) -> Result<(String, usize), Failure> {
    let names = rpc.databases().await?;
    if let Some(first) = args
        .first()
        .filter(|first| args.len() > min && names.contains(first))
    {
        return Ok((first.clone(), 1));
    }
    if names.iter().any(|n| n == "Open_vSwitch") {
        return Ok(("Open_vSwitch".to_owned(), 0));
    }
    let mut candidates = names.into_iter().filter(|n| !n.starts_with('_'));
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Ok((only, 0)),
        _ => Err("could not find a default database, please specify a database name".to_owned()),
    }
}

/// Runs a command.
///
/// # Errors
/// One line.
pub async fn run(session: &mut Session, name: &str, args: &[String]) -> Result<(), Failure> {
    let Some(&(_, need, min, max)) = COMMANDS.iter().find(|c| c.0 == name) else {
        return Err(format!("unknown command '{name}'; use --help for help"));
    };
    let syntax = || format!("invalid syntax for '{name}' (use --help for help)");
    if need == Need::Nothing {
        if args.len() < min || args.len() > max {
            return Err(syntax());
        }
        return alone(session, name, args).await;
    }
    let (mut rpc, used) = open(session, args, min).await?;
    let mut args = args.get(used..).unwrap_or_default();
    let mut database = String::new();
    if need == Need::Database {
        let (chosen, used) = choose_database(&mut rpc, args, min).await?;
        database = chosen;
        args = args.get(used..).unwrap_or_default();
    }
    if args.len() < min || args.len() > max {
        return Err(syntax());
    }
    match name {
        "list-dbs" => {
            for name in rpc.databases().await? {
                say!("{name}");
            }
            Ok(())
        }
        "get-schema" => {
            let schema = rpc.schema(&database).await?;
            say!("{}", session.style.json(&schema.to_json()));
            Ok(())
        }
        "get-schema-version" => {
            say!("{}", rpc.schema(&database).await?.version);
            Ok(())
        }
        "get-schema-cksum" => {
            say!("{}", rpc.schema(&database).await?.cksum);
            Ok(())
        }
        "list-tables" => {
            let schema = rpc.schema(&database).await?;
            let rows = schema
                .tables
                .iter()
                .map(|t| vec![Cell::Text(t.name.clone())])
                .collect();
            session.print(&Table {
                headings: vec!["Table".to_owned()],
                rows,
                ..Table::default()
            });
            Ok(())
        }
        "list-columns" => {
            let schema = rpc.schema(&database).await?;
            session.print(&columns_table(&schema, args.first()));
            Ok(())
        }
        "monitor" => monitor::run(session, &mut rpc, &database, Version::V1, args).await,
        "monitor-cond" => monitor::run(session, &mut rpc, &database, Version::V2, args).await,
        "monitor-cond-since" => monitor::run(session, &mut rpc, &database, Version::V3, args).await,
        "dump" => dump(session, &mut rpc, &database, args).await,
        "backup" => backup::backup(session, &mut rpc, &database).await,
        "restore" => backup::restore(session, &mut rpc, &database).await,
        _ => {
            monitor::lock(
                session,
                &mut rpc,
                name,
                args.first().map_or("", String::as_str),
            )
            .await
        }
    }
}

async fn alone(session: &mut Session, name: &str, args: &[String]) -> Result<(), Failure> {
    let last = args.last().map(String::as_str).unwrap_or_default();
    match name {
        "transact" => {
            let transaction = parse(last)?;
            let result = transact(session, args, transaction).await?;
            say!("{}", session.style.json(&result));
            Ok(())
        }
        "query" => query(session, args, parse(last)?).await,
        "wait" => wait(session, args).await,
        "convert" => {
            let schema = Schema::from_file(Path::new(last)).map_err(|e| e.to_string())?;
            let (mut rpc, _) = open(session, args, 1).await?;
            session.set_db_change_aware(&mut rpc).await?;
            let params = serde_json::json!([schema.name, schema.to_json()]);
            rpc.transact("convert", params).await.map(|_| ())
        }
        "needs-conversion" => {
            let schema = Schema::from_file(Path::new(last)).map_err(|e| e.to_string())?;
            let (mut rpc, _) = open(session, args, 1).await?;
            let theirs = rpc.schema(&schema.name).await?;
            say!("{}", if schema == theirs { "no" } else { "yes" });
            Ok(())
        }
        _ => {
            usage::print(&session.default_remote());
            Ok(())
        }
    }
}

fn parse(text: &str) -> Result<Json, Failure> {
    json::parse(text.as_bytes()).map_err(|why| format!("\"{text}\": {why}"))
}

async fn transact(
    session: &mut Session,
    args: &[String],
    transaction: Json,
) -> Result<Json, Failure> {
    if transaction.get(0).and_then(Json::as_str).is_none() {
        return Err("not a valid OVSDB query".to_owned());
    }
    let (mut rpc, _) = open(session, args, 1).await?;
    if session.db_change_aware == Some(true) {
        session.set_db_change_aware(&mut rpc).await?;
    }
    session.background.ready(true, true)?;
    rpc.transact("transact", transaction).await
}

/// A transaction that is aborted at its end, so that it changes nothing.
async fn query(
    session: &mut Session,
    args: &[String],
    mut transaction: Json,
) -> Result<(), Failure> {
    let operations = transaction
        .as_array_mut()
        .ok_or("not a valid OVSDB query")?;
    operations.push(serde_json::json!({"op": "abort"}));
    let at = operations.len().saturating_sub(2);
    let mut result = transact(session, args, transaction).await?;
    if let Some(results) = result.as_array_mut()
        && results.len() == at + 1
        && results.last().and_then(|r| r.get("error")) == Some(&Json::from("aborted"))
    {
        results.pop();
    }
    say!("{}", session.style.json(&result));
    Ok(())
}

fn columns_table(schema: &Schema, only: Option<&String>) -> Table {
    let mut table = Table::default();
    if only.is_none() {
        table.headings.push("Table".to_owned());
    }
    table
        .headings
        .extend(["Column".to_owned(), "Type".to_owned()]);
    for t in schema
        .tables
        .iter()
        .filter(|t| only.is_none_or(|name| *name == t.name))
    {
        for column in Column::all(t) {
            let mut row = Vec::new();
            if only.is_none() {
                row.push(Cell::Text(t.name.clone()));
            }
            row.push(Cell::Text(column.name(t).to_owned()));
            row.push(Cell::Value(column.type_(t).to_json(), None));
            table.rows.push(row);
        }
    }
    table
}

async fn dump(
    session: &mut Session,
    rpc: &mut Rpc,
    database: &str,
    args: &[String],
) -> Result<(), Failure> {
    let schema = rpc.schema(database).await?;
    let mut wanted: Vec<(&TableSchema, Vec<Column>)> = Vec::new();
    let without_version = |t: &TableSchema| {
        let mut columns = Column::all(t);
        columns.retain(|c| *c != Column::Version);
        columns
    };
    match args.split_first() {
        None => wanted.extend(schema.tables.iter().map(|t| (t, without_version(t)))),
        Some((name, columns)) => {
            let table = schema
                .table(name)
                .ok_or_else(|| format!("No table \"{name}\" found."))?;
            let mut chosen = Vec::new();
            for column in columns {
                let found = Column::find(table, column)
                    .ok_or_else(|| format!("Table \"{name}\" has no column {column}."))?;
                if found != Column::Version && !chosen.contains(&found) {
                    chosen.push(found);
                }
            }
            chosen.sort_by_key(|c| c.name(table).to_owned());
            let chosen = if columns.is_empty() {
                without_version(table)
            } else {
                chosen
            };
            wanted.push((table, chosen));
        }
    }
    let mut params = vec![Json::from(database)];
    for (table, columns) in &wanted {
        let columns: Vec<&str> = columns.iter().map(|c| c.name(table)).collect();
        params.push(serde_json::json!({"op": "select", "table": table.name, "where": [], "columns": columns}));
    }
    let result = rpc.transact("transact", Json::from(params)).await?;
    for (at, (table, columns)) in wanted.iter().enumerate() {
        let rows = result
            .get(at)
            .and_then(|r| r.get("rows"))
            .and_then(Json::as_array)
            .ok_or_else(|| {
                format!(
                    "{} table reply is not an object with a \"rows\" member array: {}",
                    table.name,
                    json::to_string(result.get(at).unwrap_or(&Json::Null))
                )
            })?;
        let printed = dump_table(table, columns, rows)?;
        session.print(&printed);
    }
    Ok(())
}

fn dump_table(table: &TableSchema, columns: &[Column], rows: &[Json]) -> Result<Table, Failure> {
    let mut data = Vec::with_capacity(rows.len());
    for (y, row) in rows.iter().enumerate() {
        let cells = columns
            .iter()
            .map(|c| {
                let value = row.get(c.name(table)).ok_or_else(|| {
                    format!(
                        "row {y} in table {} response lacks {} column",
                        table.name,
                        c.name(table)
                    )
                })?;
                let type_ = c.type_(table).unconstrained();
                Datum::from_json(value, &type_, None).map_err(|e| e.to_string())
            })
            .collect::<Result<Vec<Datum>, Failure>>()?;
        data.push(cells);
    }
    // By what does not change from run to run first.
    let is_uuid = |c: &Column| c.type_(table).key.kind == ovsdb::AtomicType::Uuid;
    let order: Vec<usize> = (0..columns.len())
        .filter(|&x| !columns.get(x).is_some_and(is_uuid))
        .chain((0..columns.len()).filter(|&x| columns.get(x).is_some_and(is_uuid)))
        .collect();
    data.sort_by(|a, b| {
        order
            .iter()
            .filter_map(|&x| Some(a.get(x)?.compare(b.get(x)?)))
            .fold(Ordering::Equal, Ordering::then)
    });
    let cells = |row: Vec<Datum>| {
        let cell = |(datum, c): (Datum, &Column)| {
            let type_: &Type = c.type_(table);
            Cell::Value(datum.to_json(type_), Some(type_.clone()))
        };
        row.into_iter().zip(columns).map(cell).collect()
    };
    Ok(Table {
        caption: Some(format!("{} table", table.name)),
        headings: columns.iter().map(|c| c.name(table).to_owned()).collect(),
        rows: data.into_iter().map(cells).collect(),
        ..Table::default()
    })
}

async fn wait(session: &Session, args: &[String]) -> Result<(), Failure> {
    let [.., database, state] = args else {
        return Err("invalid syntax for 'wait' (use --help for help)".to_owned());
    };
    let (columns, rows) = match state.as_str() {
        "connected" => (
            serde_json::json!(["connected"]),
            serde_json::json!([{"connected": true}]),
        ),
        "added" => (serde_json::json!([]), serde_json::json!([{}])),
        "removed" => (serde_json::json!([]), serde_json::json!([])),
        _ => return Err(format!("{state}: unknown state")),
    };
    let server = args.first().filter(|_| args.len() > 2).cloned();
    let server = server.unwrap_or_else(|| session.default_remote());
    let operation = serde_json::json!({
        "op": "wait", "table": "Database", "where": [["name", "==", database]],
        "columns": columns, "until": "==", "rows": rows,
    });
    loop {
        if let Ok(mut rpc) = Rpc::open(&server, &session.rundir).await {
            if rpc
                .call("set_db_change_aware", serde_json::json!([true]))
                .await
                .is_ok_and(|r| r.is_err())
            {
                return Err(format!("{server}: set_db_change_aware failed"));
            }
            if let Ok(Ok(result)) = rpc
                .call("transact", serde_json::json!(["_Server", operation]))
                .await
            {
                return check_results(&result);
            }
        }
        session.clock.sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// The results of a transaction must be without errors.
pub(super) fn check_results(result: &Json) -> Result<(), Failure> {
    let results = result.as_array().ok_or("result is not array")?;
    for result in results {
        let object = result
            .as_object()
            .ok_or("result array element is not object")?;
        if object.contains_key("error") {
            return Err(format!(
                "server returned error reply: {}",
                json::to_string(result)
            ));
        }
    }
    Ok(())
}
