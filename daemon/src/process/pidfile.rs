//! The pid file: a number that a lock proves alive.
//!
//! Whoever runs holds a lock (`fcntl`) on the file with its number, so a file without a lock is
//! stale and one with a lock tells who holds it. A new file is made beside the old one and renamed,
//! and may only be renamed by whoever has locked it.

use super::{Error, leftovers};
use rustix::fs::{FlockOperation, fcntl_lock, ftruncate};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// This process's own file, with the descriptor that holds its lock: closing any other descriptor
/// of it would drop the lock, so it is never opened again.
static OWN: Mutex<Option<(File, u64, u64)>> = Mutex::new(None);

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes `path` with this process's number, locked, to be removed at the end.
pub(super) fn make(path: &Path, overwrite: bool) -> Result<(), Error> {
    let failed = |what: &str, name: &Path, e: io::Error| {
        Error(format!(
            "{}: {what} ({})",
            name.display(),
            crate::log::reason(&e)
        ))
    };
    let pid = std::process::id();
    let tmp = if overwrite {
        suffixed(path, &format!(".tmp{pid}"))
    } else {
        suffixed(path, ".tmp")
    };
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&tmp)
        .map_err(|e| failed("create failed", &tmp, e))?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|e| failed("fcntl(F_SETLK) failed", &tmp, e.into()))?;
    leftovers::unlink_at_exit(&tmp);
    if !overwrite {
        match owner(path, true) {
            Ok(None) => {}
            Ok(Some(pid)) => {
                let name = path.display();
                return Err(Error(format!(
                    "{name}: already running as pid {pid}, aborting"
                )));
            }
            Err(e) => {
                let (name, why) = (path.display(), crate::log::reason(&e));
                return Err(Error(format!(
                    "{name}: pidfile check failed ({why}), aborting"
                )));
            }
        }
    }
    let about = file
        .metadata()
        .map_err(|e| failed("fstat failed", &tmp, e))?;
    ftruncate(&file, 0).map_err(|e| failed("truncate failed", &tmp, e.into()))?;
    writeln!(file, "{pid}").map_err(|e| failed("write failed", &tmp, e))?;
    let renamed = std::fs::rename(&tmp, path);
    leftovers::keep_at_exit(&tmp);
    renamed.map_err(|e| {
        let (tmp, path, why) = (tmp.display(), path.display(), crate::log::reason(&e));
        Error(format!("failed to rename \"{tmp}\" to \"{path}\" ({why})"))
    })?;
    leftovers::unlink_at_exit(path);
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    *own = Some((file, about.dev(), about.ino()));
    Ok(())
}

/// The process that runs with this pid file.
///
/// # Errors
/// The file cannot be opened or read, or `ESRCH` if it is stale.
pub fn read(path: &Path) -> io::Result<i32> {
    owner(path, false)?.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// As [`read`]; with `delete_if_stale`, a stale file is removed and gives none.
fn owner(path: &Path, delete_if_stale: bool) -> io::Result<Option<i32>> {
    let identity = |m: std::fs::Metadata| (m.dev(), m.ino());
    if let Some((_, dev, ino)) = &*OWN.lock().unwrap_or_else(PoisonError::into_inner)
        && std::fs::metadata(path).is_ok_and(|m| identity(m) == (*dev, *ino))
    {
        return Ok(i32::try_from(std::process::id()).ok());
    }
    let name = path.display();
    let warn = |what: &str, e: io::Error| {
        tracing::warn!(target: "daemon_unix", "{name}: {what}{}", crate::log::reason(&e));
        e
    };
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if delete_if_stale && e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(warn("open: ", e)),
    };
    let holder = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))
        .map_err(|e| warn("fcntl: ", e.into()))?;
    let Some(holder) = holder.and_then(|lock| lock.pid) else {
        if !delete_if_stale {
            tracing::debug!(target: "daemon_unix", "{name}: pid file is stale");
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // Only whoever locks the stale file may remove it, and only while it still has that name.
        if let Err(e) = fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            tracing::warn!(target: "daemon_unix", "{name}: lost race to lock pidfile");
            return Err(e.into());
        }
        let ours = file.metadata().map(identity).ok();
        if ours.is_none() || std::fs::metadata(path).map(identity).ok() != ours {
            tracing::warn!(target: "daemon_unix", "{name}: lost race to delete pidfile");
            return Err(io::Error::from_raw_os_error(libc::EALREADY));
        }
        std::fs::remove_file(path).inspect_err(|e| {
            let why = crate::log::reason(e);
            tracing::warn!(target: "daemon_unix", "{name}: failed to delete stale pidfile ({why})");
        })?;
        tracing::debug!(target: "daemon_unix", "{name}: deleted stale pidfile");
        return Ok(None);
    };
    let mut line = String::new();
    BufReader::new(file)
        .read_line(&mut line)
        .map_err(|e| warn("read: ", e))?;
    let holder = holder.as_raw_nonzero().get();
    if line.is_empty() {
        tracing::warn!(target: "daemon_unix", "{name}: read: unexpected end of file");
    } else if line.trim().parse() == Ok(holder) {
        return Ok(Some(holder));
    } else {
        let was = line.trim();
        tracing::warn!(
            target: "daemon_unix",
            "{name}: stale pidfile for pid {was} being deleted by pid {holder}"
        );
    }
    Err(io::Error::from_raw_os_error(libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_nobody_has_locked_is_stale() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x.pid");
        std::fs::write(&path, "1\n").expect("write");
        let error = read(&path).expect_err("stale");
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
        assert!(owner(&path, true).expect("removable").is_none());
        assert!(!path.exists());
    }
}
