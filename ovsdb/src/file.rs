//! A whole standalone database file: schema and transactions.

use crate::log::{Log, Reader};
use crate::{Database, Error, Schema, record};
use std::path::Path;
use std::sync::Arc;

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

/// The schema of a file, and nothing else of it.
///
/// # Errors
/// Faults in the file's beginning.
pub fn read_schema(path: &Path) -> Result<Schema, Error> {
    let mut reader = Reader::open(path, false)?;
    first_record(&mut reader, path)
}

fn first_record(reader: &mut Reader, path: &Path) -> Result<Schema, Error> {
    if reader.is_clustered() {
        return Err(Error::new(
            "ovsdb error",
            format!("{}: clustered databases are not supported", path.display()),
        ));
    }
    let first = reader.next_record()?.ok_or_else(|| {
        Error::end_of_file(format!(
            "{}: database file contains no schema",
            path.display()
        ))
    })?;
    Schema::from_json(&first)
        .map_err(|e| e.wrap(format!("{}: failed to parse schema", path.display())))
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
    let own = first_record(reader, path)?;
    let converting = schema.is_some();
    let mut database = Database::new(schema.unwrap_or_else(|| Arc::new(own)));
    loop {
        let record = match reader.next_record() {
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
