//! One database of a server: its rows, its file, and requests that wait.

use super::SessionId;
use super::sync::{Barrier, OnDone, Syncer};
use crate::commit::{Commit, Prepared};
use crate::json::{self, Json};
use crate::log::Log;
use crate::monitor::Spec;
use crate::{Database, Error, record};
use clock::Time;
use std::path::PathBuf;
use std::sync::Arc;

/// A `transact` whose `wait` does not hold yet.
pub struct Waiting {
    /// Who asked.
    pub session: SessionId,
    /// The JSON text of the request's id.
    pub id: String,
    /// The request's parameters.
    pub params: Json,
    /// When it came.
    pub since: Time,
    /// When it must be tried for the last time.
    pub deadline: Option<Time>,
}

struct File {
    log: Log,
    syncer: Syncer,
}

/// Those who watch the same: session and monitor id.
pub type Watchers = Vec<(SessionId, String)>;

/// One database.
pub struct Db {
    /// Its rows.
    pub database: Database,
    file: Option<File>,
    /// Requests that wait, in the order in which they came.
    pub waiting: Vec<Waiting>,
    /// Who watches what: clients with equal specs share one, by session and monitor id.
    pub watchers: Vec<(Arc<Spec>, Watchers)>,
}

impl Db {
    /// A database that lives in memory only.
    pub fn in_memory(database: Database) -> Db {
        Db {
            database,
            file: None,
            waiting: Vec::new(),
            watchers: Vec::new(),
        }
    }

    /// A database with its file.
    ///
    /// # Errors
    /// `"I/O error"` if the thread that syncs can't be had.
    pub fn with_file(database: Database, log: Log, on_sync: OnDone) -> Result<Db, Error> {
        let syncer = Syncer::new(log.syncer()?, on_sync).map_err(|e| {
            Error::io(
                &e,
                format!("{}: cannot start syncing", log.path().display()),
            )
        })?;
        let mut db = Db::in_memory(database);
        db.file = Some(File { log, syncer });
        Ok(db)
    }

    /// The file's name.
    pub fn path(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|f| f.log.path().to_owned())
    }

    /// The file itself, without links.
    pub fn real_path(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|f| f.log.real_path().to_owned())
    }

    /// Writes a prepared transaction to the log and makes it true. Messages that speak of it must
    /// wait for the barrier, if there is one.
    ///
    /// # Errors
    /// `"I/O error"`; nothing has changed then.
    pub fn commit(
        &mut self,
        prepared: Prepared,
        durable: bool,
        wall_ms: u64,
    ) -> Result<(Arc<Commit>, Option<Barrier>), Error> {
        let mut barrier = None;
        if let Some(file) = &mut self.file
            && let Some(record) = record::encode(self.database.schema(), &prepared.commit, wall_ms)
        {
            file.log.append(&record)?;
            let written = file.syncer.written();
            if durable {
                file.syncer.want(&written);
                barrier = Some(written);
            }
        }
        Ok((self.database.apply(prepared), barrier))
    }

    /// Writes the whole database anew, without its history.
    ///
    /// # Errors
    /// `"I/O error"`; the old file is in place then.
    pub fn compact(&mut self, comment: Option<&str>, wall_ms: u64) -> Result<(), Error> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.log.replace(&[
            json::to_string(&self.database.schema().to_json()),
            record::encode_all(&self.database, comment, wall_ms, true),
        ])?;
        file.syncer.replaced(file.log.syncer()?);
        Ok(())
    }

    /// Replaces rows and schema, in memory and in the file.
    ///
    /// # Errors
    /// `"I/O error"`; nothing has changed then.
    pub fn replace(&mut self, database: Database, wall_ms: u64) -> Result<(), Error> {
        let old = std::mem::replace(&mut self.database, database);
        let written = self.compact(None, wall_ms);
        if written.is_err() {
            self.database = old;
        }
        written
    }

    /// After a failed sync: the file is written anew; if that fails too, its error is answered and
    /// nobody is kept waiting.
    ///
    /// # Errors
    /// `"I/O error"`.
    pub fn recover(&mut self, wall_ms: u64) -> Result<(), Error> {
        let result = self.compact(None, wall_ms);
        if let (Err(_), Some(file)) = (&result, &self.file) {
            file.syncer.give_up();
        }
        result
    }

    /// Whether the file has grown enough that compacting it would pay.
    pub fn should_compact(&self) -> bool {
        self.file.as_ref().is_some_and(|f| f.log.grew_lots())
    }
}
