//! The commands that go on until they are stopped: monitors and locks.

use super::table::{Cell, Table};
use super::{Failure, Rpc, Session};
use daemon::control::Invocation;
use ovsdb::condition::Condition;
use ovsdb::monitor::Version;
use ovsdb::{Column, Json, Schema, TableSchema, Uuid, json};

struct Watched<'a> {
    table: &'a TableSchema,
    columns: Vec<Column>,
}

/// `monitor`, `monitor-cond`, `monitor-cond-since`.
///
/// # Errors
/// One line.
pub async fn run(
    session: &mut Session,
    rpc: &mut Rpc,
    database: &str,
    version: Version,
    args: &[String],
) -> Result<(), Failure> {
    let schema = rpc.schema(database).await?;
    let mut args = args;
    let mut last_id = Uuid::ZERO;
    if version == Version::V3
        && let Some((id, rest)) = args.split_first()
        && let Some(id) = Uuid::parse(id)
    {
        last_id = id;
        args = rest;
    }
    let mut condition = None;
    if version != Version::V1 {
        let Some((text, rest)) = args.split_first() else {
            return Err("invalid syntax".to_owned());
        };
        args = rest;
        let name = args.first().map_or("", String::as_str);
        let table = schema
            .table(name)
            .ok_or_else(|| format!("{database} does not have a table named \"{name}\""))?;
        let parsed = json::parse(text.as_bytes()).map_err(|why| format!("\"{text}\": {why}"))?;
        Condition::from_json(table, &parsed, None).map_err(|e| e.to_string())?;
        condition = Some(parsed);
    }
    let (watched, requests) = requests(&schema, rpc, database, args, condition)?;
    session.set_db_change_aware(rpc).await?;
    let (method, params) = match version {
        Version::V1 => ("monitor", serde_json::json!([database, null, requests])),
        Version::V2 => (
            "monitor_cond",
            serde_json::json!([database, null, requests]),
        ),
        Version::V3 => (
            "monitor_cond_since",
            serde_json::json!([database, null, requests, last_id.to_string()]),
        ),
    };
    let calls = [
        ("exit", "", 0, 0),
        ("ovsdb-client/block", "", 0, 0),
        ("ovsdb-client/unblock", "", 0, 0),
        ("ovsdb-client/cond_change", "TABLE COND", 2, 2),
    ];
    let clock = session.clock.clone();
    session.background.listen(&calls, None, &clock)?;
    let id = rpc.send(method, params).await?;
    let mut blocked = false;
    loop {
        let message = tokio::select! {
            message = rpc.receive(), if !blocked => message?,
            call = session.background.call() => {
                match answer(rpc, call, &mut blocked).await? {
                    Goes::On => continue,
                    Goes::Away => return Ok(()),
                }
            }
        };
        match message.get("method").and_then(Json::as_str) {
            None if message.get("id") == Some(&id) => {
                let error = message.get("error").filter(|e| !e.is_null());
                if let Some(error) = error {
                    return Err(format!("{method} failed: {}", json::to_string(error)));
                }
                let result = message.get("result").unwrap_or(&Json::Null);
                let mut updates = result;
                if version == Version::V3 {
                    let found = result.get(0).and_then(Json::as_bool).unwrap_or(false);
                    let last = result.get(1).and_then(Json::as_str).unwrap_or_default();
                    say!("found: {found}, last_id: {last}");
                    updates = result.get(2).unwrap_or(&Json::Null);
                }
                print_updates(session, version, &watched, updates, true);
                daemon::out::flush();
                session.background.ready(true, true)?;
            }
            None => {}
            Some("monitor_canceled") => {
                return Err(format!("{}: {database} database was removed", rpc.name));
            }
            Some(method) if method == version.update_method() => {
                let params = message.get("params").unwrap_or(&Json::Null);
                let mut updates = params.get(1).unwrap_or(&Json::Null);
                if version == Version::V3 {
                    let last = params.get(1).and_then(Json::as_str).unwrap_or_default();
                    put!("\nlast_id: {last}");
                    updates = params.get(2).unwrap_or(&Json::Null);
                }
                print_updates(session, version, &watched, updates, false);
            }
            Some(_) => {}
        }
        daemon::out::flush();
    }
}

fn requests<'a>(
    schema: &'a Schema,
    rpc: &Rpc,
    database: &str,
    args: &[String],
    condition: Option<Json>,
) -> Result<(Vec<Watched<'a>>, Json), Failure> {
    let (name, columns) = match args.split_first() {
        Some((name, columns)) => (name.as_str(), columns),
        None => ("", &[][..]),
    };
    let tables: Vec<&TableSchema> = if name == "ALL" {
        if condition.is_some() {
            return Err("ALL tables are not allowed with condition".to_owned());
        }
        schema.tables.iter().collect()
    } else {
        let table = schema.table(name).ok_or_else(|| {
            format!(
                "{}: {database} does not have a table named \"{name}\"",
                rpc.name
            )
        })?;
        vec![table]
    };
    let mut watched = Vec::new();
    let mut requests = json::Object::new();
    for table in tables {
        let mut all = Vec::new();
        let mut list = Vec::new();
        let words: Vec<&str> = if columns.is_empty() {
            vec![""]
        } else {
            columns.iter().map(String::as_str).collect()
        };
        for (n, word) in words.iter().enumerate() {
            let mut request = request(rpc, database, table, word, &mut all)?;
            if let (0, Some(condition), Some(object)) = (n, &condition, request.as_object_mut()) {
                object.insert("where".to_owned(), condition.clone());
            }
            list.push(request);
        }
        requests.insert(table.name.clone(), Json::from(list));
        watched.push(Watched {
            table,
            columns: all,
        });
    }
    Ok((watched, Json::Object(requests)))
}

/// `column,column,!initial,...` as a monitor request.
fn request(
    rpc: &Rpc,
    database: &str,
    table: &TableSchema,
    words: &str,
    all: &mut Vec<Column>,
) -> Result<Json, Failure> {
    let mut select = json::Object::new();
    let mut columns = Vec::new();
    for word in words.split(',').filter(|w| !w.is_empty()) {
        match word.strip_prefix('!') {
            Some(kind @ ("initial" | "insert" | "delete" | "modify")) => {
                select.insert(kind.to_owned(), Json::from(false));
            }
            _ => {
                let column = Column::find(table, word).ok_or_else(|| {
                    format!(
                        "{}: table \"{}\" in {database} does not have a column named \"{word}\"",
                        rpc.name, table.name
                    )
                })?;
                columns.push(column);
            }
        }
    }
    if columns.is_empty() {
        columns.extend((0..table.columns.len()).map(Column::At));
        columns.push(Column::Version);
    }
    for column in &columns {
        if all.contains(column) {
            return Err(format!(
                "{}: column \"{}\" mentioned multiple times",
                rpc.name,
                column.name(table)
            ));
        }
        all.push(*column);
    }
    let names: Vec<&str> = columns.iter().map(|c| c.name(table)).collect();
    let mut request = serde_json::json!({"columns": names});
    if !select.is_empty()
        && let Some(object) = request.as_object_mut()
    {
        for kind in ["initial", "insert", "delete", "modify"] {
            select.entry(kind).or_insert(Json::from(true));
        }
        object.insert("select".to_owned(), Json::Object(select));
    }
    Ok(request)
}

fn print_updates(
    session: &mut Session,
    version: Version,
    watched: &[Watched<'_>],
    updates: &Json,
    initial: bool,
) {
    for w in watched {
        let Some(rows) = updates.get(&w.table.name).and_then(Json::as_object) else {
            continue;
        };
        let mut table = Table {
            caption: (watched.len() > 1).then(|| w.table.name.clone()),
            timestamp: session.stamp(),
            ..Table::default()
        };
        table.headings = vec!["row".to_owned(), "action".to_owned()];
        table
            .headings
            .extend(w.columns.iter().map(|c| c.name(w.table).to_owned()));
        for (uuid, update) in rows {
            if version == Version::V1 {
                let (old, new) = (update.get("old"), update.get("new"));
                match (old, new) {
                    (_, Some(new)) if initial => table.rows.push(row(w, uuid, "initial", new)),
                    (None, Some(new)) => table.rows.push(row(w, uuid, "insert", new)),
                    (Some(old), None) => table.rows.push(row(w, uuid, "delete", old)),
                    (Some(old), Some(new)) => {
                        table.rows.push(row(w, uuid, "old", old));
                        table.rows.push(row(w, "", "new", new));
                    }
                    (None, None) => {}
                }
            } else if let Some((operation, columns)) =
                update.as_object().and_then(|o| o.iter().next())
            {
                table.rows.push(row(w, uuid, operation, columns));
            }
        }
        session.print(&table);
    }
}

fn row(w: &Watched<'_>, uuid: &str, action: &str, columns: &Json) -> Vec<Cell> {
    let mut cells = vec![Cell::Text(uuid.to_owned()), Cell::Text(action.to_owned())];
    cells.extend(
        w.columns
            .iter()
            .map(|c| match columns.get(c.name(w.table)) {
                Some(value) => Cell::Value(value.clone(), Some(c.type_(w.table).clone())),
                None => Cell::Empty,
            }),
    );
    cells
}

enum Goes {
    On,
    Away,
}

/// Answers a call of the control socket.
async fn answer(rpc: &mut Rpc, call: Invocation, blocked: &mut bool) -> Result<Goes, Failure> {
    let block = call.name == "ovsdb-client/block";
    match call.name.as_str() {
        "exit" => {
            call.reply.ok("");
            // The answer is on its way before the socket goes.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            return Ok(Goes::Away);
        }
        "ovsdb-client/cond_change" => {
            let [table, condition] = call.args.as_slice() else {
                return Ok(Goes::On);
            };
            match json::parse(condition.as_bytes()) {
                Ok(condition) => {
                    let mut requests = json::Object::new();
                    requests.insert(table.clone(), serde_json::json!([{"where": condition}]));
                    let params = serde_json::json!([null, null, requests]);
                    rpc.send("monitor_cond_change", params).await?;
                    call.reply.ok("condition changed");
                }
                Err(why) => call.reply.error(why),
            }
        }
        _ if *blocked == block => call.reply.ok(if block {
            "already blocking"
        } else {
            "already unblocked"
        }),
        _ => {
            *blocked = block;
            call.reply.ok("");
        }
    }
    Ok(Goes::On)
}

/// `lock`, `steal`, `unlock`: the answer, then what becomes of the lock.
///
/// # Errors
/// One line.
pub async fn lock(
    session: &mut Session,
    rpc: &mut Rpc,
    method: &str,
    name: &str,
) -> Result<(), Failure> {
    let calls = [
        ("exit", "", 0, 0),
        ("lock", "LOCK", 1, 1),
        ("steal", "LOCK", 1, 1),
        ("unlock", "LOCK", 1, 1),
    ];
    let clock = session.clock.clone();
    session.background.listen(&calls, None, &clock)?;
    let mut id = rpc.send(method, serde_json::json!([name])).await?;
    loop {
        let message = tokio::select! {
            message = rpc.receive() => message?,
            call = session.background.call() => {
                if call.name == "exit" {
                    let mut blocked = false;
                    answer(rpc, call, &mut blocked).await?;
                    return Ok(());
                }
                id = rpc.send(&call.name, serde_json::json!(call.args)).await?;
                call.reply.ok("");
                continue;
            }
        };
        match message.get("method").and_then(Json::as_str) {
            None if message.get("id") == Some(&id) => {
                let result = message.get("result").unwrap_or(&Json::Null);
                say!("{}", session.style.json(result));
                daemon::out::flush();
                session.background.ready(true, false)?;
            }
            None => {}
            Some(method) => {
                say!("{method}");
                say!(
                    "{}",
                    session
                        .style
                        .json(message.get("params").unwrap_or(&Json::Null))
                );
            }
        }
        daemon::out::flush();
    }
}
