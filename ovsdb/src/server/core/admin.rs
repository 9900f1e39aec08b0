//! Databases come and go; the `_Server` database tells clients.

use super::super::db::Db;
use super::{Core, SessionId, error_reply};
use crate::condition::Condition;
use crate::file::Loaded;
use crate::json::{self, Json};
use crate::row::{Column, Row};
use crate::schema::{self, Schema};
use crate::transaction::Transaction;
use crate::types::Datum;
use crate::{Database, Error, Uuid};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The numbers of `memory/show`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Atoms in all rows.
    pub atoms: usize,
    /// Rows in all tables.
    pub cells: usize,
    /// Groups of equal monitors.
    pub monitors: usize,
    /// Clients.
    pub sessions: usize,
    /// Requests that wait.
    pub triggers: usize,
    /// Bytes queued for clients.
    pub backlog: usize,
}

impl Core {
    pub(super) fn add_server_db(&mut self) -> Result<(), Error> {
        let schema = Arc::new(Schema::from_text(schema::SERVER)?);
        let db = Db::in_memory(Database::new(schema));
        self.dbs.insert("_Server".to_owned(), db);
        self.refresh_server_db();
        Ok(())
    }

    /// Adds a database that was loaded from a file.
    ///
    /// # Errors
    /// `"ovsdb error"` if there is one of that name, `"I/O error"`.
    pub fn add_db(&mut self, loaded: Loaded) -> Result<(), Error> {
        let name = loaded.database.name().to_owned();
        if name.starts_with('_') {
            let why = format!("{name}: names beginning with \"_\" are reserved");
            return Err(Error::new("ovsdb error", why));
        }
        if self.dbs.contains_key(&name) {
            return Err(Error::new(
                "ovsdb error",
                format!("{name}: duplicate database name"),
            ));
        }
        let on_sync = Arc::clone(&self.on_sync);
        let for_sync = name.clone();
        let on_done = Box::new(move |error| on_sync(for_sync.clone(), error));
        let db = Db::with_file(loaded.database, loaded.log, on_done)?;
        self.dbs.insert(name, db);
        self.disconnect_unaware(SessionId(0));
        self.refresh_server_db();
        Ok(())
    }

    /// Removes a database; its monitors and waiting requests end, and clients that do not
    /// understand that are cut off.
    pub fn remove_db(&mut self, name: &str) -> bool {
        if name.starts_with('_') || !self.dbs.contains_key(name) {
            return false;
        }
        self.cancel_monitors(name);
        self.cancel_waiting(name);
        self.dbs.remove(name);
        self.disconnect_unaware(SessionId(0));
        self.refresh_server_db();
        true
    }

    /// Ends the waiting requests of a database; those who understand are told.
    pub(super) fn cancel_waiting(&mut self, name: &str) {
        let waiting = self
            .dbs
            .get_mut(name)
            .map(|db| std::mem::take(&mut db.waiting));
        for waiting in waiting.into_iter().flatten() {
            let aware = self
                .sessions
                .get(&waiting.session)
                .is_some_and(|s| s.db_change_aware);
            if aware {
                let text = error_reply(&waiting.id, &Json::from("canceled"));
                self.send(waiting.session, text);
            }
        }
    }

    /// The databases' names.
    pub fn db_names(&self) -> Vec<String> {
        self.dbs.keys().cloned().collect()
    }

    /// The file of a database.
    pub fn db_path(&self, name: &str) -> Option<PathBuf> {
        self.dbs.get(name)?.path()
    }

    /// The file of a database, wherever the process stands.
    pub fn db_file(&self, name: &str) -> Option<PathBuf> {
        self.dbs.get(name)?.real_path()
    }

    /// Whether a file is open here already.
    pub fn has_file(&self, path: &Path) -> bool {
        let real = std::fs::canonicalize(path).ok();
        real.is_some() && self.dbs.values().any(|db| db.real_path() == real)
    }

    /// A database, to look at.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.dbs.get(name).map(|db| &db.database)
    }

    /// Changes a database from within the server; clients are told.
    ///
    /// # Errors
    /// What the commit would violate, or `"I/O error"`.
    pub fn change(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Transaction<'_>),
    ) -> Result<(), Error> {
        let Some(db) = self.dbs.get_mut(name) else {
            return Ok(());
        };
        let mut txn = Transaction::new(&db.database);
        change(&mut txn);
        let prepared = txn.prepare()?;
        if prepared.commit.changes.is_empty() {
            return Ok(());
        }
        let (commit, _) = db.commit(prepared, false, self.clock.wall_ms())?;
        self.tell(name, &commit, None);
        (self.on_change)(name);
        self.retry_waiting(name);
        Ok(())
    }

    /// Whether the server refuses changes.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// Writes a database's file anew.
    ///
    /// # Errors
    /// `"I/O error"`.
    pub fn compact(&mut self, name: &str, comment: &str) -> Result<(), Error> {
        let wall_ms = self.clock.wall_ms();
        match self.dbs.get_mut(name) {
            Some(db) => db.compact(Some(comment), wall_ms),
            None => Ok(()),
        }
    }

    pub(super) fn compact_if_grown(&mut self, name: &str) {
        let wall_ms = self.clock.wall_ms();
        if let Some(db) = self.dbs.get_mut(name)
            && db.should_compact()
            && let Err(error) = db.compact(Some("compacting database online"), wall_ms)
        {
            tracing::warn!(target: "ovsdb_file", "{name}: compacting failed: {error}");
        }
    }

    /// Cuts off clients that are not told of changes of databases otherwise.
    pub(super) fn disconnect_unaware(&mut self, but: SessionId) {
        for (id, session) in &mut self.sessions {
            if *id != but && !session.db_change_aware {
                session.doomed = true;
                session.wake();
            }
        }
    }

    /// Cuts off every client.
    pub fn disconnect_all(&mut self) {
        for session in self.sessions.values_mut() {
            session.doomed = true;
            session.wake();
        }
    }

    /// The numbers of `memory/show`.
    pub fn memory(&self) -> MemoryReport {
        let dbs = || self.dbs.values();
        MemoryReport {
            atoms: dbs().map(|db| db.database.n_atoms()).sum(),
            cells: dbs()
                .flat_map(|db| {
                    let schema = db.database.schema();
                    schema
                        .tables
                        .iter()
                        .zip(&db.database.tables)
                        .map(|(t, rows)| {
                            // `_uuid` and `_version` are cells too.
                            (t.columns.len() + 2) * rows.len()
                        })
                })
                .sum(),
            monitors: dbs().map(|db| db.watchers.len()).sum(),
            sessions: self.sessions.len(),
            triggers: dbs().map(|db| db.waiting.len()).sum(),
            backlog: self.sessions.values().map(|s| s.backlog()).sum(),
        }
    }

    /// Makes the rows of `_Server` say which databases there are.
    pub(super) fn refresh_server_db(&mut self) {
        let wanted: BTreeMap<String, String> = self
            .dbs
            .iter()
            .map(|(name, db)| {
                (
                    name.clone(),
                    json::to_string(&db.database.schema().to_json()),
                )
            })
            .collect();
        let refreshed = self.change("_Server", |txn| {
            let Some(schema) = txn.table_schema(0) else {
                return;
            };
            let column = |name: &str| Column::find(schema, name).unwrap_or(Column::Uuid);
            let mut known: BTreeMap<String, Uuid> = BTreeMap::new();
            for uuid in txn.select(0, &Condition::default()) {
                let name = txn
                    .get(0, &uuid)
                    .and_then(|row| row.get(column("name")).as_str().map(str::to_owned));
                match name.filter(|name| wanted.contains_key(name)) {
                    Some(name) => {
                        known.insert(name, uuid);
                    }
                    None => txn.delete(0, &uuid),
                }
            }
            for (name, schema_text) in &wanted {
                let uuid = known.get(name).copied().unwrap_or_else(|| {
                    let row = Row::new(schema, Uuid::random());
                    let uuid = row.uuid;
                    txn.insert(0, row);
                    uuid
                });
                if let Some(row) = txn.modify(0, &uuid) {
                    row.set(column("name"), Datum::from(name.as_str()));
                    row.set(column("model"), Datum::from("standalone"));
                    row.set(column("connected"), Datum::from(true));
                    row.set(column("leader"), Datum::from(true));
                    row.set(column("schema"), Datum::from(schema_text.as_str()));
                }
            }
        });
        if let Err(error) = refreshed {
            tracing::error!(target: "ovsdb_server", "_Server: {error}");
        }
    }
}
