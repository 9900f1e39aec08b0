//! Where clients come from: listening and connecting, given on the command line or by rows of a
//! database (`db:DB,TABLE,COLUMN`).

use super::edge::{ConnectionOptions, Server};
use crate::row::{Column, Row};
use crate::types::Atom;
use crate::wire::Address;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a silence on a connection that can break unnoticed is, by default.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Between tries to connect or listen.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// What a remote is asked to be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    probe_interval: Option<Duration>,
    max_backoff: Option<Duration>,
    read_only: bool,
}

/// How a remote is.
#[derive(Default)]
struct Status {
    connections: AtomicUsize,
    /// Whether the first try to listen or connect was made.
    tried: AtomicBool,
    bound_port: Mutex<Option<u16>>,
}

struct Running {
    wanted: Wanted,
    status: Arc<Status>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All remotes of a server.
#[derive(Default)]
pub struct Remotes {
    /// As given: addresses, and `db:` forms.
    given: BTreeSet<String>,
    running: BTreeMap<String, Running>,
    rundir: String,
}

/// Counts a connection while it lives.
struct Counted(Arc<Status>);

impl Counted {
    fn new(status: &Arc<Status>) -> Counted {
        status.connections.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(status))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    fn remotes(&self) -> std::sync::MutexGuard<'_, Remotes> {
        self.shared
            .remotes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory in which relative socket names stand.
    pub fn set_rundir(&self, rundir: &str) {
        self.remotes().rundir = rundir.to_owned();
    }

    /// Adds a remote: an address, or `db:DB,TABLE,COLUMN`.
    ///
    /// # Errors
    /// One line, if it is neither.
    pub fn add_remote(&self, remote: &str) -> Result<(), String> {
        match remote.strip_prefix("db:") {
            Some(_) => {
                self.check_db_remote(remote)?;
            }
            None => {
                let rundir = self.remotes().rundir.clone();
                if Address::parse(remote, &rundir).is_none() {
                    return Err(format!("{remote}: unknown or unsupported remote"));
                }
            }
        }
        self.remotes().given.insert(remote.to_owned());
        self.reconfigure();
        Ok(())
    }

    /// Removes a remote; false if there is none like that.
    pub fn remove_remote(&self, remote: &str) -> bool {
        let removed = self.remotes().given.remove(remote);
        self.reconfigure();
        removed
    }

    pub(super) fn stop_remotes(&self) {
        let mut remotes = self.remotes();
        remotes.given.clear();
        remotes.running.clear();
    }

    /// The remotes as they were given, sorted.
    pub fn list_remotes(&self) -> Vec<String> {
        self.remotes().given.iter().cloned().collect()
    }

    /// Waits until each passive remote listens, or has failed to once.
    pub async fn listening(&self) {
        loop {
            let waiting = {
                let remotes = self.remotes();
                remotes
                    .running
                    .values()
                    .any(|r| !r.status.tried.load(Ordering::Acquire))
            };
            if !waiting {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The TCP port that a remote is bound to.
    pub fn bound_port(&self, remote: &str) -> Option<u16> {
        let remotes = self.remotes();
        let status = &remotes.running.get(remote)?.status;
        *status
            .bound_port
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The database, table and column of a `db:` remote.
    fn check_db_remote(&self, remote: &str) -> Result<(String, String, String), String> {
        let parts: Vec<&str> = remote
            .strip_prefix("db:")
            .unwrap_or(remote)
            .split(',')
            .collect();
        let [db, table, column] = parts.as_slice() else {
            return Err(format!("\"{remote}\": invalid syntax"));
        };
        self.with_core(|core| {
            let database = core
                .database(db)
                .ok_or_else(|| format!("\"{remote}\": no database named {db}"))?;
            let schema = database
                .schema()
                .table(table)
                .ok_or_else(|| format!("\"{remote}\": no table named {table}"))?;
            let found = schema.column(column).ok_or_else(|| {
                format!("\"{remote}\": table \"{table}\" has no column \"{column}\"")
            })?;
            let type_ = &found.type_;
            let strings = type_.key.kind == crate::AtomicType::String && type_.value.is_none();
            let references = type_.key.reference.is_some() && type_.value.is_none();
            if strings || references {
                Ok(((*db).to_owned(), (*table).to_owned(), (*column).to_owned()))
            } else {
                Err(format!(
                    "\"{remote}\": table {table} column {column} is not a string or UUID reference"
                ))
            }
        })
    }

    /// Makes the running remotes those that are given.
    pub fn reconfigure(&self) {
        let given = self.list_remotes();
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for remote in given {
            if remote.starts_with("db:") {
                if let Ok((db, table, column)) = self.check_db_remote(&remote) {
                    self.with_core(|core| {
                        if let Some(database) = core.database(&db) {
                            remotes_of_rows(database, &table, &column, &mut wanted);
                        }
                    });
                }
            } else {
                wanted.entry(remote).or_default();
            }
        }
        let mut remotes = self.remotes();
        let rundir = remotes.rundir.clone();
        remotes
            .running
            .retain(|target, running| wanted.get(target) == Some(&running.wanted));
        for (target, want) in wanted {
            if remotes.running.contains_key(&target) {
                continue;
            }
            let Some(address) = Address::parse(&target, &rundir) else {
                tracing::warn!(target: "ovsdb_jsonrpc_server", "{target}: unknown or unsupported remote");
                continue;
            };
            let status = Arc::new(Status::default());
            let task = tokio::spawn(self.clone().run_remote(
                target.clone(),
                address,
                want.clone(),
                Arc::clone(&status),
            ));
            let running = Running {
                wanted: want,
                status,
                task,
            };
            remotes.running.insert(target, running);
        }
    }

    /// Follows the `db:` remotes' rows; does not end.
    pub(super) async fn run_remotes(&self) {
        loop {
            self.shared.changes.notified().await;
            if self.remotes().given.iter().any(|r| r.starts_with("db:")) {
                self.reconfigure();
                self.write_status();
            }
        }
    }

    /// Tells the rows of `db:` remotes how their remotes are.
    fn write_status(&self) {
        let given = self.list_remotes();
        for remote in given {
            let Ok((db, table, column)) = self.check_db_remote(&remote) else {
                continue;
            };
            let remotes = self.remotes();
            let states: BTreeMap<String, (bool, usize, Option<u16>)> = remotes
                .running
                .iter()
                .map(|(target, running)| {
                    let n = running.status.connections.load(Ordering::Relaxed);
                    let port = *running
                        .status
                        .bound_port
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    (target.clone(), (n > 0, n, port))
                })
                .collect();
            drop(remotes);
            self.with_core(|core| {
                let Some(database) = core.database(&db) else { return };
                let changes = status_changes(database, &table, &column, &states);
                if changes.is_empty() {
                    return;
                }
                let told = core.change(&db, |txn| {
                    for (table, uuid, column, datum) in changes {
                        if let Some(row) = txn.modify(table, &uuid) {
                            row.set(column, datum);
                        }
                    }
                });
                if let Err(error) = told {
                    tracing::warn!(target: "ovsdb_server", "updating remote status failed: {error}");
                }
            });
        }
    }

    async fn run_remote(
        self,
        target: String,
        address: Address,
        wanted: Wanted,
        status: Arc<Status>,
    ) {
        let probe = wanted
            .probe_interval
            .or_else(|| address.needs_probes().then_some(PROBE_INTERVAL))
            .filter(|d| !d.is_zero());
        let options = ConnectionOptions {
            read_only: wanted.read_only,
            probe_interval: probe,
        };
        if address.is_passive() {
            self.listen(&target, &address, &options, &status).await;
        } else {
            let max_backoff = wanted.max_backoff.unwrap_or(MAX_BACKOFF);
            self.keep_connected(&target, &address, &options, &status, max_backoff)
                .await;
        }
    }

    async fn listen(
        &self,
        target: &str,
        address: &Address,
        options: &ConnectionOptions,
        status: &Arc<Status>,
    ) {
        let listener = loop {
            match address.listen().await {
                Ok(listener) => break listener,
                Err(e) => {
                    tracing::error!(target: "ovsdb_jsonrpc_server", "{target}: listen failed: {e}");
                    status.tried.store(true, Ordering::Release);
                    self.shared.clock.sleep(FIRST_BACKOFF).await;
                }
            }
        };
        *status
            .bound_port
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = listener.bound_port();
        if let Some(port) = listener.bound_port() {
            let name = target.strip_prefix("ptcp:").unwrap_or(target);
            tracing::info!(target: "socket_util", "{name}: listening on port {port}");
        }
        status.tried.store(true, Ordering::Release);
        self.shared.changes.notify_one();
        // Ends with this task, and with it all connections of the remote.
        let mut connections = tokio::task::JoinSet::new();
        let mut number = 0u64;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok(stream) => {
                    number += 1;
                    let name = format!("{target}#{number}");
                    let (server, options) = (self.clone(), options.clone());
                    let counted = Counted::new(status);
                    connections.spawn(async move {
                        if let Err(why) = server.serve(stream, options).await {
                            tracing::warn!(target: "jsonrpc", "{name}: {why}, dropping connection");
                        }
                        drop(counted);
                        server.shared.changes.notify_one();
                    });
                    self.shared.changes.notify_one();
                }
                Err(e) => {
                    tracing::warn!(target: "ovsdb_jsonrpc_server", "{target}: accept failed: {e}");
                    self.shared.clock.sleep(FIRST_BACKOFF).await;
                }
            }
        }
    }

    async fn keep_connected(
        &self,
        target: &str,
        address: &Address,
        options: &ConnectionOptions,
        status: &Arc<Status>,
        max_backoff: Duration,
    ) {
        status.tried.store(true, Ordering::Release);
        let mut backoff = FIRST_BACKOFF.min(max_backoff);
        loop {
            match address.connect().await {
                Ok(stream) => {
                    backoff = FIRST_BACKOFF.min(max_backoff);
                    let counted = Counted::new(status);
                    self.shared.changes.notify_one();
                    if let Err(why) = self.serve(stream, options.clone()).await {
                        tracing::warn!(target: "jsonrpc", "{target}: {why}, dropping connection");
                    }
                    drop(counted);
                    self.shared.changes.notify_one();
                }
                Err(e) => {
                    tracing::debug!(target: "reconnect", "{target}: connection attempt failed ({e})")
                }
            }
            self.shared.clock.sleep(backoff).await;
            backoff = (backoff * 2).min(max_backoff);
        }
    }
}

/// The rows that a reference column of `table` leads to, with their table.
fn referred<'a>(
    database: &'a crate::Database,
    table: &str,
    column: &str,
) -> Option<(usize, &'a crate::TableSchema, Vec<Arc<Row>>)> {
    let schema = database.schema().table(table)?;
    let at = schema.column_index(column)?;
    let target = &schema.columns.get(at)?.type_.key.reference.as_ref()?.table;
    let target_at = database.schema().table_index(target)?;
    let (target_schema, target_rows) = database.table_at(target_at)?;
    let rows = database.table(table)?.rows();
    let uuids: Vec<_> = rows
        .flat_map(|row| row.get(Column::At(at)).uuids().collect::<Vec<_>>())
        .collect();
    let rows = uuids
        .iter()
        .filter_map(|uuid| target_rows.get(uuid).cloned())
        .collect();
    Some((target_at, target_schema, rows))
}

fn remotes_of_rows(
    database: &crate::Database,
    table: &str,
    column: &str,
    wanted: &mut BTreeMap<String, Wanted>,
) {
    if let Some((_, schema, rows)) = referred(database, table, column) {
        for row in rows {
            let value = |name: &str| Column::find(schema, name).map(|c| row.get(c).into_owned());
            let number = |name: &str| {
                let ms = value(name)?.first().and_then(Atom::as_integer)?;
                u64::try_from(ms).ok().map(Duration::from_millis)
            };
            if let Some(target) = value("target").and_then(|d| d.as_str().map(str::to_owned)) {
                let want = Wanted {
                    probe_interval: number("inactivity_probe"),
                    max_backoff: number("max_backoff").map(|d| d.max(FIRST_BACKOFF)),
                    read_only: value("read_only")
                        .and_then(|d| d.first().and_then(Atom::as_bool))
                        .unwrap_or(false),
                };
                wanted.insert(target, want);
            }
        }
        return;
    }
    let Some(schema) = database.schema().table(table) else {
        return;
    };
    let Some(at) = schema.column_index(column) else {
        return;
    };
    for row in database.table(table).into_iter().flat_map(|t| t.rows()) {
        for target in row.get(Column::At(at)).keys().filter_map(Atom::as_str) {
            wanted.entry(target.to_owned()).or_default();
        }
    }
}

type StatusChange = (usize, crate::Uuid, Column, crate::Datum);

fn status_changes(
    database: &crate::Database,
    table: &str,
    column: &str,
    states: &BTreeMap<String, (bool, usize, Option<u16>)>,
) -> Vec<StatusChange> {
    let mut changes = Vec::new();
    let Some((at, schema, rows)) = referred(database, table, column) else {
        return changes;
    };
    for row in rows {
        let Some(target) =
            Column::find(schema, "target").and_then(|c| row.get(c).as_str().map(str::to_owned))
        else {
            continue;
        };
        let (connected, n, port) = states.get(&target).copied().unwrap_or_default();
        let mut put = |name: &str, datum: crate::Datum| {
            if let Some(column) = Column::find(schema, name)
                && *row.get(column) != datum
            {
                changes.push((at, row.uuid, column, datum));
            }
        };
        put("is_connected", crate::Datum::from(connected));
        let mut status: Vec<(&str, String)> = Vec::new();
        if let Some(port) = port {
            status.push(("bound_port", port.to_string()));
        }
        if n > 1 {
            status.push(("n_connections", n.to_string()));
        }
        put("status", crate::Datum::map(status));
    }
    changes
}
