//! The connection behind a replica: one task that connects, asks, listens, and begins again.

use super::txn::Txn;
use super::updates;
use super::view::View;
use crate::json::{self, Json};
use crate::server::Server;
use crate::wire::{Address, Duplex, Splitter};
use crate::{Schema, Uuid};
use clock::Clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};

/// Where the database is.
#[derive(Clone)]
pub enum Remote {
    /// `unix:PATH` or `tcp:HOST:PORT`; several between commas are tried in turn.
    Address(String),
    /// A server in this process.
    Embedded(Server),
}

/// What to replicate, and from where.
#[derive(Clone)]
pub struct Options {
    /// Where the database is.
    pub remote: Remote,
    /// Its name.
    pub database: String,
    /// The tables to watch, each with its columns (none = all); no table at all = every table.
    /// Names that the server does not know are passed over.
    pub tables: BTreeMap<String, Option<Vec<String>>>,
    /// A lock to ask for, and to assert in each transaction.
    pub lock: Option<String>,
    /// The directory in which relative socket names stand.
    pub rundir: String,
    /// Longest pause between tries to connect.
    pub max_backoff: Duration,
}

impl Options {
    /// Everything of a database, from this address.
    pub fn new(remote: &str, database: &str) -> Options {
        Options {
            remote: Remote::Address(remote.to_owned()),
            database: database.to_owned(),
            tables: BTreeMap::new(),
            lock: None,
            rundir: String::new(),
            max_backoff: Duration::from_secs(8),
        }
    }

    /// Everything of a database of a server in this process.
    pub fn embedded(server: &Server, database: &str) -> Options {
        Options {
            remote: Remote::Embedded(server.clone()),
            ..Options::new("", database)
        }
    }

    /// Watches only these columns of a table (none = all), and other tables only if they are named
    /// too.
    #[must_use]
    pub fn table(mut self, name: &str, columns: Option<&[&str]>) -> Options {
        let columns = columns.map(|c| c.iter().map(|c| (*c).to_owned()).collect());
        self.tables.insert(name.to_owned(), columns);
        self
    }
}

/// Who owns the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LockState {
    #[default]
    Unknown,
    Ours,
    Contended,
}

#[derive(Default)]
struct State {
    view: View,
    connected: bool,
    synced: bool,
    lock: LockState,
    /// The schema that the monitor being asked for follows.
    pending_schema: Option<Arc<Schema>>,
    last_error: Option<String>,
}

struct Request {
    method: &'static str,
    params: Json,
    reply: oneshot::Sender<Result<Json, Json>>,
}

struct Shared {
    clock: Clock,
    options: Options,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    requests: mpsc::UnboundedSender<Request>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changes.send_modify(|n| *n += 1);
    }
}

/// A handle on a replica; clones share it, each with its own idea of what it has seen. The
/// connection ends with the last handle.
pub struct Replica {
    shared: Arc<Shared>,
    seen: watch::Receiver<u64>,
}

impl Clone for Replica {
    fn clone(&self) -> Replica {
        Replica {
            shared: Arc::clone(&self.shared),
            seen: self.seen.clone(),
        }
    }
}

impl Replica {
    /// Starts replicating; inside a tokio runtime.
    ///
    /// # Errors
    /// One line, if the address is none.
    pub fn start(clock: Clock, options: Options) -> Result<Replica, String> {
        let mut addresses = Vec::new();
        if let Remote::Address(text) = &options.remote {
            for address in text.split(',') {
                let parsed = Address::parse(address, &options.rundir).filter(|a| !a.is_passive());
                addresses.push(
                    parsed.ok_or_else(|| format!("{address}: unknown or unsupported remote"))?,
                );
            }
        }
        let (changes, seen) = watch::channel(0);
        let (requests, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            clock,
            options,
            state: Mutex::default(),
            changes,
            requests,
            task: Mutex::default(),
        });
        let task = tokio::spawn(run(Arc::downgrade(&shared), addresses, inbox));
        *shared.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(Replica { shared, seen })
    }

    /// The state as it is now.
    pub fn view(&self) -> View {
        self.shared.state().view.clone()
    }

    /// Waits until something changed since this handle last waited: rows, the connection, the lock.
    pub async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the replica has everything that it was asked for.
    pub async fn synced(&mut self) {
        while !self.is_synced() {
            self.changed().await;
        }
    }

    /// Whether the view is what the server has now.
    pub fn is_synced(&self) -> bool {
        let state = self.shared.state();
        state.connected && state.synced
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.shared.state().connected
    }

    /// Why the last connection, or the last try to have one, ended.
    pub fn last_error(&self) -> Option<String> {
        self.shared.state().last_error.clone()
    }

    /// Whether the lock that was asked for is ours.
    pub fn has_lock(&self) -> bool {
        self.shared.state().lock == LockState::Ours
    }

    /// Whether somebody else has the lock.
    pub fn is_lock_contended(&self) -> bool {
        self.shared.state().lock == LockState::Contended
    }

    pub(super) fn lock_name(&self) -> Option<&str> {
        self.shared.options.lock.as_deref()
    }

    /// A transaction, with nothing in it yet.
    pub fn txn(&self) -> Txn {
        Txn::new(self.clone(), self.shared.options.lock.is_some())
    }

    /// Sends operations as they are; none = there is no connection, or it was lost, and whether the
    /// server has done them is not known.
    pub async fn transact(&self, operations: Vec<Json>) -> Option<Result<Vec<Json>, Json>> {
        let mut params = vec![Json::from(self.shared.options.database.as_str())];
        params.extend(operations);
        let result = self.call("transact", Json::from(params)).await?;
        Some(result.and_then(|result| match result {
            Json::Array(results) => Ok(results),
            other => Err(other),
        }))
    }

    /// Sends any request; none = the connection was lost.
    pub async fn call(&self, method: &'static str, params: Json) -> Option<Result<Json, Json>> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            method,
            params,
            reply,
        };
        self.shared.requests.send(request).ok()?;
        answer.await.ok()
    }
}

async fn run(
    shared: Weak<Shared>,
    addresses: Vec<Address>,
    mut inbox: mpsc::UnboundedReceiver<Request>,
) {
    let mut tries = 0usize;
    let mut backoff = Duration::from_millis(250);
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let embedded = match &strong.options.remote {
            Remote::Embedded(server) => Some(server.connect()),
            Remote::Address(_) => None,
        };
        let max_backoff = strong.options.max_backoff;
        let clock = strong.clock.clone();
        drop(strong);
        let address = addresses.get(tries % addresses.len().max(1));
        tries += 1;
        let stream = match (embedded, address) {
            (Some(stream), _) => Ok(stream),
            (None, Some(address)) => address
                .connect()
                .await
                .map_err(|e| crate::error::os_reason(&e)),
            (None, None) => return,
        };
        let ended = match stream {
            Ok(stream) => {
                let mut session = Session::new(shared.clone(), stream);
                let ended = session.run(&mut inbox).await;
                if session.was_synced {
                    backoff = Duration::from_millis(250);
                }
                ended
            }
            Err(why) => why,
        };
        let Some(strong) = shared.upgrade() else {
            return;
        };
        strong.change(|state| {
            state.connected = false;
            state.synced = false;
            state.lock = LockState::Unknown;
            state.last_error = Some(ended);
        });
        drop(strong);
        // Requests that nobody will answer.
        while inbox.try_recv().is_ok() {}
        clock.sleep(backoff.min(max_backoff)).await;
        backoff = (backoff * 2).min(max_backoff);
    }
}

/// What a reply is to.
enum Expected {
    Schema,
    Monitor(&'static str),
    Lock,
    Ignored,
    Caller(oneshot::Sender<Result<Json, Json>>),
}

struct Session {
    shared: Weak<Shared>,
    reader: ReadHalf<Box<dyn Duplex>>,
    writer: WriteHalf<Box<dyn Duplex>>,
    next_id: u64,
    expected: BTreeMap<u64, Expected>,
    was_synced: bool,
}

impl Session {
    fn new(shared: Weak<Shared>, stream: Box<dyn Duplex>) -> Session {
        let (reader, writer) = tokio::io::split(stream);
        Session {
            shared,
            reader,
            writer,
            next_id: 0,
            expected: BTreeMap::new(),
            was_synced: false,
        }
    }

    fn strong(&self) -> Result<Arc<Shared>, String> {
        self.shared.upgrade().ok_or_else(|| "closed".to_owned())
    }

    async fn send(&mut self, method: &str, params: Json, expected: Expected) -> Result<(), String> {
        self.next_id += 1;
        let id = self.next_id;
        self.expected.insert(id, expected);
        self.write(&serde_json::json!({"id": id, "method": method, "params": params}))
            .await
    }

    async fn write(&mut self, message: &Json) -> Result<(), String> {
        let text = json::to_string(message);
        self.writer
            .write_all(text.as_bytes())
            .await
            .map_err(|e| crate::error::os_reason(&e))
    }

    /// Runs until the connection ends; answers why.
    async fn run(&mut self, inbox: &mut mpsc::UnboundedReceiver<Request>) -> String {
        match self.talk(inbox).await {
            Ok(()) => "connection closed by peer".to_owned(),
            Err(why) => why,
        }
    }

    async fn ask_schema(&mut self) -> Result<(), String> {
        let database = self.strong()?.options.database.clone();
        self.send(
            "get_schema",
            serde_json::json!([database]),
            Expected::Schema,
        )
        .await
    }

    async fn talk(&mut self, inbox: &mut mpsc::UnboundedReceiver<Request>) -> Result<(), String> {
        self.send(
            "set_db_change_aware",
            serde_json::json!([true]),
            Expected::Ignored,
        )
        .await?;
        self.ask_schema().await?;
        if let Some(lock) = self.strong()?.options.lock.clone() {
            self.send("lock", serde_json::json!([lock]), Expected::Lock)
                .await?;
        }
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            tokio::select! {
                read = self.reader.read(&mut buffer) => {
                    let n = read.map_err(|e| crate::error::os_reason(&e))?;
                    if n == 0 {
                        return Ok(());
                    }
                    splitter.feed(buffer.get(..n).unwrap_or_default());
                    while let Some(message) = splitter.next_message()? {
                        let message = json::parse_shallow(message)?;
                        self.handle(message).await?;
                    }
                }
                request = inbox.recv() => {
                    let Some(Request { method, params, reply }) = request else {
                        return Ok(());
                    };
                    self.send(method, params, Expected::Caller(reply)).await?;
                }
            }
        }
    }

    async fn handle(&mut self, mut message: Json) -> Result<(), String> {
        let method = message
            .get("method")
            .and_then(Json::as_str)
            .map(str::to_owned);
        let Some(method) = method else {
            let id = message
                .get("id")
                .and_then(json::integer)
                .and_then(|i| u64::try_from(i).ok());
            let Some(expected) = id.and_then(|id| self.expected.remove(&id)) else {
                return Ok(());
            };
            let mut take = |name: &str| message.get_mut(name).map_or(Json::Null, Json::take);
            let (result, error) = (take("result"), take("error"));
            let answer = if error.is_null() {
                Ok(result)
            } else {
                Err(error)
            };
            return self.reply(expected, answer).await;
        };
        let params = message.get_mut("params").map_or(Json::Null, Json::take);
        match method.as_str() {
            "update" => self.update(params.get(1), true),
            "update2" => self.update(params.get(1), false),
            "update3" => self.update(params.get(2), false),
            "echo" => {
                let id = message.get("id").cloned().unwrap_or(Json::Null);
                let reply = serde_json::json!({"error": null, "id": id, "result": params});
                self.write(&reply).await
            }
            "locked" => self.set_lock(LockState::Ours),
            "stolen" => self.set_lock(LockState::Contended),
            // The database is gone or has another schema: begin again.
            "monitor_canceled" => {
                self.strong()?.change(|state| state.synced = false);
                self.ask_schema().await
            }
            _ => Ok(()),
        }
    }

    fn set_lock(&self, lock: LockState) -> Result<(), String> {
        self.strong()?.change(|state| state.lock = lock);
        Ok(())
    }

    fn update(&self, updates: Option<&Json>, old_style: bool) -> Result<(), String> {
        let shared = self.strong()?;
        let mut view = shared.state().view.clone();
        updates::apply(&mut view, updates.unwrap_or(&Json::Null), old_style)?;
        shared.change(|state| state.view = view);
        Ok(())
    }

    async fn reply(
        &mut self,
        expected: Expected,
        answer: Result<Json, Json>,
    ) -> Result<(), String> {
        match expected {
            Expected::Ignored => Ok(()),
            Expected::Caller(reply) => {
                let _ = reply.send(answer);
                Ok(())
            }
            Expected::Lock => {
                let owned = answer.is_ok_and(|r| r.get("locked") == Some(&Json::Bool(true)));
                self.set_lock(if owned {
                    LockState::Ours
                } else {
                    LockState::Contended
                })
            }
            Expected::Schema => {
                let json = answer.map_err(|error| json::to_string(&error))?;
                let schema = Schema::from_json(&json).map_err(|e| e.to_string())?;
                self.monitor("monitor_cond_since", &Arc::new(schema)).await
            }
            Expected::Monitor(method) => self.monitored(method, answer).await,
        }
    }

    async fn monitor(&mut self, method: &'static str, schema: &Arc<Schema>) -> Result<(), String> {
        let shared = self.strong()?;
        let mut requests = json::Object::new();
        for table in &schema.tables {
            let wanted = shared.options.tables.get(&table.name);
            if wanted.is_none() && !shared.options.tables.is_empty() {
                continue;
            }
            let wanted = |name: &str| match wanted {
                Some(Some(columns)) => columns.iter().any(|c| c == name),
                _ => true,
            };
            let columns: Vec<&str> = table
                .columns
                .iter()
                .map(|c| &*c.name)
                .filter(|c| wanted(c))
                .collect();
            requests.insert(
                table.name.clone(),
                serde_json::json!([{"columns": columns}]),
            );
        }
        let database = shared.options.database.as_str();
        let params = if method == "monitor_cond_since" {
            serde_json::json!([
                database,
                ["replica", database],
                requests,
                Uuid::ZERO.to_string()
            ])
        } else {
            serde_json::json!([database, ["replica", database], requests])
        };
        let schema = Arc::clone(schema);
        shared.change(|state| {
            state.connected = true;
            state.synced = false;
            // The old rows stay in the view until the new ones are there.
            state.pending_schema = Some(schema);
        });
        drop(shared);
        self.send(method, params, Expected::Monitor(method)).await
    }

    async fn monitored(
        &mut self,
        method: &'static str,
        answer: Result<Json, Json>,
    ) -> Result<(), String> {
        let shared = self.strong()?;
        let schema = shared.state().pending_schema.clone();
        let Some(schema) = schema else {
            return Err("monitor reply before schema".to_owned());
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let older = match method {
                    "monitor_cond_since" => "monitor_cond",
                    "monitor_cond" => "monitor",
                    _ => return Err(json::to_string(&error)),
                };
                drop(shared);
                return self.monitor(older, &schema).await;
            }
        };
        let updates = if method == "monitor_cond_since" {
            answer.get(2).unwrap_or(&Json::Null)
        } else {
            &answer
        };
        let mut view = View::empty(schema);
        updates::apply(&mut view, updates, method == "monitor")?;
        self.was_synced = true;
        shared.change(|state| {
            state.view = view;
            state.synced = true;
            state.last_error = None;
        });
        Ok(())
    }
}
