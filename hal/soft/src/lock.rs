//! The one lock of this room, and the proof that the hit path does without.
//!
//! Nothing else here names a lock of the standard library's. Each thread counts the locks that it
//! takes, so that a test can say of a piece of work that it took none. A panic while a lock is held
//! leaves it usable.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// How many locks of this room the calling thread has taken.
pub fn taken() -> u64 {
    TAKEN.get()
}

/// A value that one thread at a time may use.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// A lock around a value.
    pub const fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    /// The value, once no other thread uses it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        TAKEN.set(TAKEN.get() + 1);
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Source files under a folder that name a lock of the standard library's.
    fn naming_locks(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                naming_locks(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let words = text.split(|c: char| !c.is_alphanumeric());
            if words
                .into_iter()
                .any(|w| ["Mutex", "RwLock", "Condvar"].contains(&w))
            {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn nothing_else_names_a_lock() {
        let mut found = Vec::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        naming_locks(&source, &mut found);
        assert_eq!(found, ["lock.rs"]);
    }
}
