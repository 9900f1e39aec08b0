//! Requests, replies and updates: the whole server but its sockets.

mod admin;
mod monitors;
mod requests;
mod transact;

use super::db::Db;
use super::locks::Locks;
pub(super) use super::session::{Session, SessionId};
use crate::json::{self, Json};
use crate::{Error, Uuid};
use clock::{Clock, Time};
use std::collections::BTreeMap;

pub use admin::MemoryReport;

/// The server without its sockets. See [`super`].
pub struct Core {
    clock: Clock,
    server_id: Uuid,
    dbs: BTreeMap<String, Db>,
    sessions: BTreeMap<SessionId, Session>,
    locks: Locks,
    last_session: u64,
    read_only: bool,
    /// Whether a commit since the last look may let a waiting request go on.
    changed: bool,
    /// Whether the server pretends not to know conditional monitors.
    monitor_cond_disabled: bool,
    /// Called after each change of a database, with its name.
    on_change: Box<dyn Fn(&str) + Send>,
    /// Called from a syncing thread; the edge then calls [`Core::synced`].
    on_sync: std::sync::Arc<dyn Fn(String, Option<std::io::Error>) + Send + Sync>,
}

/// A reply's text. `id` and `result` are JSON text.
fn reply(id: &str, result: &str) -> String {
    format!("{{\"error\":null,\"id\":{id},\"result\":{result}}}")
}

fn error_reply(id: &str, error: &Json) -> String {
    format!(
        "{{\"error\":{},\"id\":{id},\"result\":null}}",
        json::to_string(error)
    )
}

impl Core {
    /// A server with its `_Server` database and nothing else.
    ///
    /// `on_sync` is called, from another thread, with a database's name when its log was synced.
    ///
    /// # Errors
    /// None in practice: the `_Server` schema is ours.
    pub fn new(
        clock: Clock,
        on_sync: std::sync::Arc<dyn Fn(String, Option<std::io::Error>) + Send + Sync>,
    ) -> Result<Core, Error> {
        let mut core = Core {
            clock,
            server_id: Uuid::random(),
            dbs: BTreeMap::new(),
            sessions: BTreeMap::new(),
            locks: Locks::default(),
            last_session: 0,
            read_only: false,
            changed: false,
            monitor_cond_disabled: false,
            on_change: Box::new(|_| {}),
            on_sync,
        };
        core.add_server_db()?;
        Ok(core)
    }

    /// Pretends from here on not to know conditional monitors, as servers did long ago.
    pub fn disable_monitor_cond(&mut self) {
        self.monitor_cond_disabled = true;
    }

    /// Has `hook` called after each change of a database, with its name.
    pub fn set_on_change(&mut self, hook: Box<dyn Fn(&str) + Send>) {
        self.on_change = hook;
    }

    /// A new client; `wake` is called when something is queued for it.
    pub fn open_session(&mut self, read_only: bool, wake: Box<dyn Fn() + Send>) -> SessionId {
        self.last_session += 1;
        let id = SessionId(self.last_session);
        self.sessions.insert(id, Session::new(read_only, wake));
        id
    }

    /// Forgets a client: its monitors, its waiting requests, its locks.
    pub fn close_session(&mut self, id: SessionId) {
        self.sessions.remove(&id);
        for db in self.dbs.values_mut() {
            db.waiting.retain(|w| w.session != id);
            for (_, watchers) in &mut db.watchers {
                watchers.retain(|(session, _)| *session != id);
            }
            db.watchers.retain(|(_, watchers)| !watchers.is_empty());
        }
        for name in self.locks.names(id) {
            self.unlock(id, &name);
        }
    }

    /// Moves bytes that may be sent to a client into `out`; false when its connection is to be
    /// closed.
    pub fn take(&mut self, id: SessionId, out: &mut Vec<u8>, limit: usize) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        session.take(out, limit);
        let drained = session.backlog() == 0;
        let alive = !session.doomed;
        if drained {
            self.tell_pending(id);
        }
        alive
    }

    /// Whether so much is queued for a client that its requests must wait.
    pub fn is_slow(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(Session::is_slow)
    }

    /// Closes a client's connection after what is queued is sent.
    pub fn doom(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.doomed = true;
            session.wake();
        }
    }

    /// Asks a client whether it is there.
    pub fn probe(&mut self, id: SessionId) {
        self.send(
            id,
            "{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}".to_owned(),
        );
    }

    fn send(&mut self, id: SessionId, text: String) {
        self.send_after(id, text, None);
    }

    fn send_after(&mut self, id: SessionId, text: String, after: Option<super::sync::Barrier>) {
        self.tell_pending(id);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.push(text, after);
        }
    }

    /// Handles one message of a client.
    ///
    /// # Errors
    /// Why the connection must be closed.
    pub fn handle(&mut self, id: SessionId, message: Json) -> Result<(), String> {
        let Json::Object(mut message) = message else {
            return Err("message is not a JSON object".to_owned());
        };
        let stray = message
            .keys()
            .find(|k| !matches!(k.as_str(), "method" | "params" | "id" | "result" | "error"));
        if let Some(name) = stray {
            return Err(format!("message has unexpected member \"{name}\""));
        }
        let request_id = message.remove("id").unwrap_or(Json::Null);
        match (message.remove("method"), message.remove("params")) {
            (Some(Json::String(method)), Some(params @ Json::Array(_))) => {
                if request_id.is_null() {
                    self.notification(id, &method, &params);
                } else {
                    self.request(id, json::to_string(&request_id), &method, params);
                }
                Ok(())
            }
            (Some(_), _) => {
                Err("\"method\" must be string and \"params\" must be array".to_owned())
            }
            (None, Some(_)) => Err("reply must not have \"params\"".to_owned()),
            (None, None) if request_id == "echo" => Ok(()),
            (None, None) => Err("received unexpected reply message".to_owned()),
        }
    }

    /// When [`Core::tick`] must be called next.
    pub fn next_deadline(&self) -> Option<Time> {
        let waiting = self.dbs.values().flat_map(|db| &db.waiting);
        waiting.filter_map(|w| w.deadline).min()
    }

    /// Does what has come due.
    pub fn tick(&mut self) {
        let now = self.clock.now();
        let due: Vec<String> = self
            .dbs
            .iter()
            .filter(|(_, db)| {
                db.waiting
                    .iter()
                    .any(|w| w.deadline.is_some_and(|d| d <= now))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.retry_waiting(&name);
        }
    }

    /// A log was synced, or could not be: whoever waited for it is woken. A log that could not be
    /// synced is written anew; if that fails too, clients that wait for it are cut off, for nobody
    /// can tell them that their data is safe.
    ///
    /// # Errors
    /// Why the file could not be written.
    pub fn synced(&mut self, name: &str, failed: bool) -> Result<(), Error> {
        let mut result = Ok(());
        if failed && let Some(db) = self.dbs.get_mut(name) {
            result = db.recover(self.clock.wall_ms());
        }
        for session in self.sessions.values_mut() {
            if session.backlog() > 0 {
                session.doomed |= result.is_err();
                session.wake();
            }
        }
        result
    }

    fn unlock(&mut self, id: SessionId, name: &str) -> bool {
        if !self.locks.claims(id, name) {
            return false;
        }
        if let Some(next) = self.locks.unlock(id, name) {
            self.notify_lock(next, "locked", name);
        }
        true
    }

    fn notify_lock(&mut self, id: SessionId, method: &str, name: &str) {
        self.send(
            id,
            format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[\"{name}\"]}}"),
        );
    }
}
