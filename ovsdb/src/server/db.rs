//! One database of a server: its rows, its file, and requests that wait.

use super::SessionId;
use super::sync::{Barrier, OnDone, Syncer};
use crate::commit::{Commit, Prepared};
use crate::json::{self, Json};
use crate::log::{Log, Reader};
use crate::monitor::Spec;
use crate::{Database, Error, Schema, record};
use clock::Time;
use std::path::{Path, PathBuf};
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

/// One database.
pub struct Db {
    /// Its rows.
    pub database: Database,
    file: Option<File>,
    /// Requests that wait, in the order in which they came.
    pub waiting: Vec<Waiting>,
    /// Who watches what: clients with equal specs share one, by session and monitor id.
    pub watchers: Vec<(Arc<Spec>, Vec<(SessionId, String)>)>,
}

/// What was found in a file.
pub struct Loaded {
    /// The rows.
    pub database: Database,
    /// The file, ready for more.
    pub log: Log,
    /// What is wrong with the file's tail, if anything.
    pub tail_error: Option<Error>,
}

/// Reads a standalone database file and keeps it open for writing.
///
/// # Errors
/// Faults in the file's beginning, or that it is locked.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let (mut reader, lock) = Log::open(path)?;
    let (database, tail_error) = read_all(&mut reader, path, None)?;
    Ok(Loaded {
        database,
        log: Log::from_reader(reader, lock),
        tail_error,
    })
}

/// Reads all records of a file; as `schema`, if given, with what does not fit it left out.
///
/// # Errors
/// Faults in the file's beginning. A faulty tail is the second of the pair.
pub fn read_all(
    reader: &mut Reader,
    path: &Path,
    schema: Option<Arc<Schema>>,
) -> Result<(Database, Option<Error>), Error> {
    if reader.is_clustered() {
        return Err(Error::new(
            "ovsdb error",
            format!("{}: clustered databases are not supported", path.display()),
        ));
    }
    let first = reader.next()?.ok_or_else(|| {
        Error::end_of_file(format!(
            "{}: database file contains no schema",
            path.display()
        ))
    })?;
    let own = Schema::from_json(&first)
        .map_err(|e| e.wrap(format!("{}: failed to parse schema", path.display())))?;
    let converting = schema.is_some();
    let mut database = Database::new(schema.unwrap_or_else(|| Arc::new(own)));
    loop {
        let record = match reader.next() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok((database, None)),
            Err(error) => return Ok((database, Some(error))),
        };
        match record::decode(&database, &record, converting) {
            Ok(prepared) => {
                database.apply(prepared);
            }
            Err(error) => {
                reader.unread();
                return Ok((database, Some(error)));
            }
        }
    }
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

    /// The file's size in bytes; 0 without one.
    pub fn file_size(&self) -> u64 {
        self.file.as_ref().map_or(0, |f| f.log.size())
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
            record::encode_all(&self.database, comment, wall_ms),
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
