//! Sockets: one task a connection, moving bytes between its socket and its session.

use super::core::Core;
use super::remotes::Remotes;
use super::session::SessionId;
use crate::wire::{Duplex, Splitter};
use crate::{Error, file, json};
use clock::{Clock, Time};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// Bytes that one client may have handled before others get their turn.
const TURN: usize = 64 << 10;

/// A running server; clones are handles on the same one. Made and used inside a tokio runtime.
#[derive(Clone)]
pub struct Server {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    core: Mutex<Core>,
    pub(super) clock: Clock,
    /// Something may have come due earlier than the timer thinks.
    timers: Notify,
    /// A database changed.
    pub(super) changes: Notify,
    pub(super) remotes: Mutex<Remotes>,
    /// Logs that were synced, or failed to be.
    synced: Arc<Synced>,
}

#[derive(Default)]
struct Synced {
    logs: Mutex<Vec<(String, Option<io::Error>)>>,
    wake: Notify,
}

impl Server {
    /// A server without databases and remotes.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(clock: Clock) -> Result<Server, Error> {
        let synced = Arc::new(Synced::default());
        let from_thread = Arc::clone(&synced);
        let on_sync = Arc::new(move |name: String, error: Option<io::Error>| {
            let mut logs = from_thread
                .logs
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            logs.push((name, error));
            drop(logs);
            from_thread.wake.notify_one();
        });
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(clock.clone(), on_sync)?),
            clock,
            timers: Notify::new(),
            changes: Notify::new(),
            remotes: Mutex::default(),
            synced,
        });
        let weak = Arc::downgrade(&shared);
        shared.lock().set_on_change(Box::new(move |_| {
            if let Some(shared) = weak.upgrade() {
                shared.changes.notify_one();
            }
        }));
        Ok(Server { shared })
    }

    /// Ends all remotes and connections.
    pub fn stop(&self) {
        self.stop_remotes();
        self.with_core(Core::disconnect_all);
    }

    /// Looks at, or changes, the server's inside. Nothing waits in `look`.
    pub fn with_core<R>(&self, look: impl FnOnce(&mut Core) -> R) -> R {
        let result = look(&mut self.shared.lock());
        self.shared.timers.notify_one();
        result
    }

    /// Loads a database file and serves it; answers the database's name. A faulty tail of the file
    /// is logged and left alone.
    ///
    /// # Errors
    /// Why the file can't be had.
    pub fn open_db(&self, path: &Path) -> Result<String, Error> {
        if self.shared.lock().has_file(path) {
            let why = format!("{}: already open", path.display());
            return Err(Error::new("ovsdb error", why));
        }
        let loaded = file::load(path)?;
        if let Some(error) = &loaded.tail_error {
            tracing::warn!(target: "ovsdb_storage", "{error}");
        }
        let name = loaded.database.name().to_owned();
        self.with_core(|core| core.add_db(loaded))?;
        Ok(name)
    }

    /// Runs the server's timers and its remotes; does not end.
    pub async fn run(&self) {
        tokio::join!(self.run_timers(), self.run_syncs(), self.run_remotes());
    }

    /// A connection from within the process.
    pub fn connect(&self) -> Box<dyn Duplex> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let server = self.clone();
        tokio::spawn(async move {
            if let Err(why) = server
                .serve(Box::new(theirs), ConnectionOptions::default())
                .await
            {
                tracing::warn!(target: "jsonrpc", "embedded: {why}, dropping connection");
            }
        });
        Box::new(ours)
    }

    async fn run_timers(&self) {
        loop {
            let deadline = self.shared.lock().next_deadline();
            let due = async {
                match deadline {
                    Some(deadline) => self.shared.clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.timers.notified() => {}
                () = due => self.shared.lock().tick(),
            }
        }
    }

    async fn run_syncs(&self) {
        loop {
            self.shared.synced.wake.notified().await;
            let mut logs = self
                .shared
                .synced
                .logs
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let logs = std::mem::take(&mut *logs);
            for (name, error) in logs {
                if let Some(error) = &error {
                    tracing::error!(target: "ovsdb_log", "{name}: fsync failed ({error}), writing the file anew");
                }
                if let Err(error) = self.shared.lock().synced(&name, error.is_some()) {
                    tracing::error!(target: "ovsdb_log", "{name}: {error}");
                }
            }
        }
    }

    /// Serves one connection until it ends; the error says why, unless the peer closed it.
    pub(super) async fn serve(
        &self,
        stream: Box<dyn Duplex>,
        options: ConnectionOptions,
    ) -> Result<(), String> {
        let connection = Connection::open(Arc::clone(&self.shared), options);
        let (reader, writer) = tokio::io::split(stream);
        tokio::select! {
            result = connection.read(reader) => result,
            result = connection.write(writer) => result,
            result = connection.probe() => result,
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection is treated.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionOptions {
    /// Its client may not change anything.
    pub(super) read_only: bool,
    /// After how long a silence the client is asked whether it is there; none = never.
    pub(super) probe_interval: Option<Duration>,
}

struct Connection {
    shared: Arc<Shared>,
    id: SessionId,
    /// There is something to send.
    wake: Arc<Notify>,
    /// Something was sent.
    drained: Notify,
    heard: Mutex<Time>,
    options: ConnectionOptions,
}

impl Connection {
    fn open(shared: Arc<Shared>, options: ConnectionOptions) -> Connection {
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        let id = shared
            .lock()
            .open_session(options.read_only, Box::new(move || waker.notify_one()));
        Connection {
            id,
            wake,
            drained: Notify::new(),
            heard: Mutex::new(shared.clock.now()),
            options,
            shared,
        }
    }

    async fn read(&self, mut reader: impl AsyncRead + Unpin) -> Result<(), String> {
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; TURN];
        loop {
            let n = reader.read(&mut buffer).await.map_err(|e| e.to_string())?;
            if n == 0 {
                return Ok(());
            }
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = self.shared.clock.now();
            splitter.feed(buffer.get(..n).unwrap_or_default());
            let mut handled = 0;
            while let Some(message) = splitter.next_message()? {
                handled += message.len();
                let message = json::parse_shallow(message)?;
                self.shared.lock().handle(self.id, message)?;
                self.shared.timers.notify_one();
                if handled > TURN {
                    handled = 0;
                    tokio::task::yield_now().await;
                }
                while self.shared.lock().is_slow(self.id) {
                    self.drained.notified().await;
                }
            }
            // Others are served before this client's next bytes.
            tokio::task::yield_now().await;
        }
    }

    async fn write(&self, mut writer: impl AsyncWrite + Unpin) -> Result<(), String> {
        let mut out = Vec::new();
        loop {
            self.wake.notified().await;
            loop {
                out.clear();
                let alive = self.shared.lock().take(self.id, &mut out, TURN);
                if out.is_empty() {
                    if !alive {
                        return Ok(());
                    }
                    break;
                }
                writer.write_all(&out).await.map_err(|e| e.to_string())?;
                self.drained.notify_one();
            }
            out.shrink_to(TURN);
        }
    }

    async fn probe(&self) -> Result<(), String> {
        let Some(interval) = self.options.probe_interval else {
            return std::future::pending().await;
        };
        let mut asked = false;
        loop {
            let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let due = heard + interval * if asked { 2 } else { 1 };
            if self.shared.clock.now() < due {
                asked = self.shared.clock.now() >= heard + interval;
                self.shared.clock.sleep_until(due).await;
                continue;
            }
            if asked {
                return Err(format!(
                    "no response to inactivity probe after {} seconds",
                    interval.as_secs()
                ));
            }
            self.shared.lock().probe(self.id);
            asked = true;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.lock().close_session(self.id);
    }
}
