//! `.FILE.~lock~`: who holds a lock on it may write FILE.

use crate::Error;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The lock files of this process: POSIX record locks do not keep a process from itself.
static HELD: LazyLock<Mutex<HashSet<(u64, u64)>>> = LazyLock::new(Mutex::default);

/// A held lock; dropping it lets go.
pub struct LockFile {
    _file: File,
    id: (u64, u64),
}

fn lock_path(path: &Path) -> PathBuf {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.~lock~"))
}

impl LockFile {
    /// Locks the lock file of `path`, without waiting.
    ///
    /// # Errors
    /// `"I/O error"`, "Resource temporarily unavailable" if somebody else holds it.
    pub fn lock(path: &Path) -> Result<LockFile, Error> {
        let details = || format!("{}: failed to lock lockfile", path.display());
        let failed = |e: std::io::Error| Error::io(&e, details());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(lock_path(path))
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let id = (meta.dev(), meta.ino());
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains(&id) {
            return Err(Error::io(
                &std::io::Error::from(rustix::io::Errno::DEADLK),
                details(),
            ));
        }
        rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|e| Error::io(&e.into(), details()))?;
        held.insert(id);
        Ok(LockFile { _file: file, id })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        HELD.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}
