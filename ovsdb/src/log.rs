//! The database file: a line `OVSDB JSON LENGTH SHA1`, then LENGTH bytes of JSON, again and again.
//!
//! The first record is the schema, each other a transaction ([`crate::record`]). A file is read up
//! to its last whole record; what follows is reported by its offset and left alone until the next
//! write, which overwrites it (as the original does). Two files stand beside it: `.FILE.~lock~`,
//! locked by whoever writes, and for a moment `FILE.tmp`, which takes its place in a compaction.

mod lock;
mod reader;

pub use lock::LockFile;
pub use reader::Reader;

use crate::Error;
use sha1::{Digest, Sha1};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The word that marks a standalone database.
pub const MAGIC: &str = "JSON";
/// The word that marks a server's part of a clustered database.
pub const MAGIC_CLUSTER: &str = "CLUSTER";

/// One record, header and all.
pub fn record(json: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(json.len() + 1);
    body.extend_from_slice(json.as_bytes());
    body.push(b'\n');
    let sha1 = hex(&Sha1::digest(&body));
    let mut out = format!("OVSDB {MAGIC} {} {sha1}\n", body.len()).into_bytes();
    out.append(&mut body);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A file open for appending.
pub struct Log {
    path: PathBuf,
    /// The file itself, wherever the process may stand later and whatever links there are.
    real: PathBuf,
    file: File,
    /// Where the next record goes.
    offset: u64,
    /// Size after the last compaction (or when opened), in bytes.
    base: u64,
    /// Something not ours may stand after `offset`.
    dirty_tail: bool,
    _lock: LockFile,
}

fn io_error(path: &Path, what: &str) -> impl FnOnce(std::io::Error) -> Error {
    let details = format!("{}: {what}", path.display());
    move |e| Error::io(&e, details)
}

impl Log {
    /// Makes a new file with these records (each JSON text); it must not exist.
    ///
    /// # Errors
    /// `"I/O error"`.
    pub fn create(path: &Path, records: &[String]) -> Result<Log, Error> {
        let lock = LockFile::lock(path)?;
        // A link that leads nowhere is followed, as the original does.
        let dangling = path.symlink_metadata().is_ok_and(|m| m.is_symlink()) && !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(!dangling)
            .create(dangling)
            .mode(0o660)
            .open(path)
            .map_err(io_error(path, "create failed"))?;
        let mut log = Log {
            path: path.to_owned(),
            real: canonical(path),
            file,
            offset: 0,
            base: 0,
            dirty_tail: false,
            _lock: lock,
        };
        for record in records {
            log.append(record)?;
        }
        log.sync()?;
        sync_parent(path);
        log.base = log.offset;
        Ok(log)
    }

    /// Opens a file for reading, then appending.
    ///
    /// # Errors
    /// `"I/O error"`, or `"ovsdb error"` for a file of another kind.
    pub fn open(path: &Path) -> Result<(Reader, LockFile), Error> {
        let lock = LockFile::lock(path)?;
        let reader = Reader::open(path, true)?;
        Ok((reader, lock))
    }

    /// Goes on writing where reading ended.
    pub fn from_reader(reader: Reader, lock: LockFile) -> Log {
        let (path, file, offset) = reader.into_parts();
        Log {
            real: canonical(&path),
            path,
            file,
            offset,
            base: offset,
            dirty_tail: true,
            _lock: lock,
        }
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, without links.
    pub fn real_path(&self) -> &Path {
        &self.real
    }

    /// The file's size, in bytes, up to the last whole record.
    pub fn size(&self) -> u64 {
        self.offset
    }

    /// Appends a record. After an error the file is as it was.
    ///
    /// # Errors
    /// `"I/O error"`.
    pub fn append(&mut self, json: &str) -> Result<(), Error> {
        if self.dirty_tail {
            let at = self.offset;
            self.file.set_len(at).map_err(io_error(
                &self.path,
                &format!("cannot truncate to length {at}"),
            ))?;
            self.dirty_tail = false;
        }
        let bytes = record(json);
        let written = self
            .file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| self.file.write_all(&bytes));
        if let Err(e) = written {
            self.dirty_tail = self.file.set_len(self.offset).is_err();
            return Err(io_error(&self.path, "write failed")(e));
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Waits until everything appended is on the disk.
    ///
    /// # Errors
    /// `"I/O error"`.
    pub fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(io_error(&self.path, "fsync failed"))
    }

    /// Another handle on the file, for syncing elsewhere.
    ///
    /// # Errors
    /// `"I/O error"`.
    pub fn syncer(&self) -> Result<File, Error> {
        self.file
            .try_clone()
            .map_err(io_error(&self.path, "dup failed"))
    }

    /// Whether it has grown enough since the last compaction that another would pay.
    pub fn grew_lots(&self) -> bool {
        self.offset > 10 * 1024 * 1024 && self.offset / 2 > self.base
    }

    /// Replaces the whole file by these records, so that at any moment either the old or the new
    /// one is there.
    ///
    /// # Errors
    /// `"I/O error"`; the old file is in place then.
    pub fn replace(&mut self, records: &[String]) -> Result<(), Error> {
        let target = self.real.clone();
        let mut name = target.clone().into_os_string();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        match std::fs::remove_file(&temporary) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(
                    &e,
                    format!("failed to remove {}", temporary.display()),
                ));
            }
            _ => {}
        }
        let replaced = self.write_replacement(&temporary, &target, records);
        if replaced.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        let (file, size) = replaced?;
        self.file = file;
        self.offset = size;
        self.base = size;
        self.dirty_tail = false;
        Ok(())
    }

    fn write_replacement(
        &self,
        temporary: &Path,
        target: &Path,
        records: &[String],
    ) -> Result<(File, u64), Error> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o660)
            .open(temporary)
            .map_err(io_error(temporary, "create failed"))?;
        let mut size = 0;
        for json in records {
            let bytes = record(json);
            file.write_all(&bytes)
                .map_err(io_error(temporary, "write failed"))?;
            size += bytes.len() as u64;
        }
        file.sync_data()
            .map_err(io_error(temporary, "fsync failed"))?;
        std::fs::rename(temporary, target).map_err(|e| {
            let details = format!(
                "failed to rename \"{}\" to \"{}\"",
                temporary.display(),
                target.display()
            );
            Error::io(&e, details)
        })?;
        sync_parent(target);
        Ok((file, size))
    }
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes a new or renamed file's name durable.
fn sync_parent(path: &Path) {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if let Ok(dir) = File::open(parent) {
        let _ = dir.sync_all();
    }
}
