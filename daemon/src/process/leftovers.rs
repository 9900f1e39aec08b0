//! Files that must not outlive the process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

type Hook = Box<dyn FnOnce() + Send>;

static FILES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());

/// `file` is removed when the process ends, by [`exit`](super::exit) or a fatal signal.
pub fn unlink_at_exit(file: &Path) {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    files.insert(file.to_path_buf());
}

/// Takes back [`unlink_at_exit`].
pub fn keep_at_exit(file: &Path) {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    files.remove(file);
}

/// `hook` runs once when the process ends, by [`exit`](super::exit) or a fatal signal; on a
/// thread of its own in the latter case, beside the others, so it must not wait for them.
pub fn at_exit(hook: impl FnOnce() + Send + 'static) {
    let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    hooks.push(Box::new(hook));
}

/// Does all of that now.
pub(super) fn remove() {
    let hooks = std::mem::take(&mut *HOOKS.lock().unwrap_or_else(PoisonError::into_inner));
    for hook in hooks {
        hook();
    }
    let files = std::mem::take(&mut *FILES.lock().unwrap_or_else(PoisonError::into_inner));
    for file in files {
        // It may be gone already, which is what is wanted.
        let _ = std::fs::remove_file(file);
    }
}
