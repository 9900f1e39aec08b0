//! Getting the log onto the disk, for everybody at once.
//!
//! Each record has a position (1, 2, ...). Whoever needs a record on the disk asks for its
//! position; the thread syncs, which covers everything written before the sync began, and then
//! wakes all who wait. While one sync runs the next group gathers.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Called on the thread after each sync, with the error if it failed.
pub type OnDone = Box<dyn Fn(Option<std::io::Error>) + Send + Sync>;

struct State {
    file: Option<File>,
    /// Highest position that somebody asked for.
    wanted: u64,
    /// Highest position that was written.
    written: u64,
    /// Highest position that is on the disk.
    done: u64,
    stop: bool,
}

struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log's way to the disk.
pub struct Syncer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What a message waits for: a position of a log.
#[derive(Clone)]
pub struct Barrier {
    shared: Arc<Shared>,
    position: u64,
}

impl Barrier {
    /// Whether it is on the disk.
    pub fn is_passed(&self) -> bool {
        self.shared.lock().done >= self.position
    }
}

impl Syncer {
    /// Starts the thread.
    pub fn new(file: File, on_done: OnDone) -> std::io::Result<Syncer> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                file: Some(file),
                wanted: 0,
                written: 0,
                done: 0,
                stop: false,
            }),
            more: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("log_fsync".into())
            .spawn(move || run(&for_thread, &on_done))?;
        Ok(Syncer {
            shared,
            thread: Some(thread),
        })
    }

    /// Notes that one more record was written; answers what waits for it.
    pub fn written(&self) -> Barrier {
        let mut state = self.shared.lock();
        state.written += 1;
        Barrier {
            shared: Arc::clone(&self.shared),
            position: state.written,
        }
    }

    /// Asks for everything up to `barrier` to be synced.
    pub fn want(&self, barrier: &Barrier) {
        let mut state = self.shared.lock();
        if state.wanted < barrier.position {
            state.wanted = barrier.position;
            self.shared.more.notify_one();
        }
    }

    /// Goes on with another file, which holds everything written so far and is on the disk.
    pub fn replaced(&self, file: File) {
        let mut state = self.shared.lock();
        state.file = Some(file);
        state.done = state.written;
    }

    /// Gives up on what was written so far, so that whoever waits for it goes on.
    pub fn give_up(&self) {
        let mut state = self.shared.lock();
        state.done = state.written;
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.more.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, on_done: &OnDone) {
    let mut state = shared.lock();
    loop {
        while !state.stop && state.wanted <= state.done {
            state = shared
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.wanted <= state.done {
            return;
        }
        let covers = state.written;
        let file = state.file.as_ref().map(File::try_clone);
        drop(state);
        let result = match file {
            Some(Ok(file)) => file.sync_data(),
            Some(Err(e)) => Err(e),
            None => Ok(()),
        };
        state = shared.lock();
        match result {
            Ok(()) => {
                state.done = state.done.max(covers);
                drop(state);
                on_done(None);
            }
            Err(e) => {
                // Whether the pages are still dirty nobody knows: the server must write the file
                // anew. Until then nothing more is synced.
                state.wanted = state.done;
                drop(state);
                on_done(Some(e));
            }
        }
        state = shared.lock();
    }
}
