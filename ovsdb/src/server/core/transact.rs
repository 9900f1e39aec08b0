//! `transact`: run, check, write, make true, tell everybody, answer.

use super::super::db::Waiting;
use super::{Core, SessionId, error_reply, reply};
use crate::execute::{Context, Outcome, execute, results_to_text};
use crate::json::{self, Json};
use crate::{Error, Schema, record};
use std::sync::Arc;
use std::time::Duration;

/// What became of one try.
enum Tried {
    Done,
    /// Not done: the `wait` may hold later.
    Later(Option<u64>),
}

impl Core {
    pub(super) fn transact(&mut self, session: SessionId, id: String, name: String, params: Json) {
        let duplicate = self.dbs.values().any(|db| {
            db.waiting
                .iter()
                .any(|w| w.session == session && w.id == id)
        });
        if duplicate {
            let error = Error::syntax(&params, "transact: duplicate request ID");
            self.send(session, error_reply(&id, &error.to_json()));
            return;
        }
        let now = self.clock.now();
        match self.try_transact(session, &id, &name, &params, 0) {
            Tried::Done => self.after_commit(&name),
            Tried::Later(timeout_ms) => {
                if let Some(db) = self.dbs.get_mut(&name) {
                    db.waiting.push(Waiting {
                        session,
                        id,
                        params,
                        since: now,
                        deadline: timeout_ms.map(|ms| now + Duration::from_millis(ms)),
                    });
                }
            }
        }
    }

    fn try_transact(
        &mut self,
        session: SessionId,
        id: &str,
        name: &str,
        params: &Json,
        elapsed_ms: u64,
    ) -> Tried {
        let read_only = self.is_read_only(session);
        let Some(db) = self.dbs.get_mut(name) else {
            return Tried::Done;
        };
        let locks = &self.locks;
        let context = Context {
            read_only,
            elapsed_ms,
            owns_lock: &|lock| locks.owns(session, lock),
        };
        let (mut results, transaction, durable) = match execute(&db.database, params, &context) {
            Outcome::Refused(error) => {
                let text = reply(id, &json::to_string(&error.to_json()));
                self.send(session, text);
                return Tried::Done;
            }
            Outcome::Wait { timeout_ms } => return Tried::Later(timeout_ms),
            Outcome::Ran {
                results,
                transaction,
                durable,
            } => (results, transaction, durable),
        };
        let mut after = None;
        if let Some(transaction) = transaction {
            let prepared = transaction.prepare();
            match prepared.and_then(|p| db.commit(p, durable, self.clock.wall_ms())) {
                Ok((commit, barrier)) => {
                    after = barrier;
                    if !commit.changes.is_empty() {
                        self.tell(name, &commit, after.as_ref());
                        self.changed = true;
                        (self.on_change)(name);
                    }
                }
                Err(error) => results.push(json::to_string(&error.to_json())),
            }
        }
        self.send_after(session, reply(id, &results_to_text(&results)), after);
        Tried::Done
    }

    /// Gives waiting requests another chance if something changed, and keeps the file small.
    fn after_commit(&mut self, name: &str) {
        while std::mem::take(&mut self.changed) {
            self.retry_waiting(name);
        }
        self.compact_if_grown(name);
    }

    pub(super) fn retry_waiting(&mut self, name: &str) {
        let Some(db) = self.dbs.get_mut(name) else {
            return;
        };
        let now = self.clock.now();
        for waiting in std::mem::take(&mut db.waiting) {
            let elapsed = now.saturating_since(waiting.since).as_millis();
            let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
            match self.try_transact(waiting.session, &waiting.id, name, &waiting.params, elapsed) {
                Tried::Done => {}
                Tried::Later(_) => {
                    if let Some(db) = self.dbs.get_mut(name) {
                        db.waiting.push(waiting);
                    }
                }
            }
        }
    }

    pub(super) fn convert(
        &mut self,
        session: SessionId,
        name: &str,
        params: &Json,
    ) -> Result<String, Json> {
        let Some([_, schema]) = params.as_array().map(Vec::as_slice) else {
            return Err(Error::syntax(params, "array expected").to_json());
        };
        if self.is_read_only(session) {
            return Err(Error::new(
                "not allowed",
                "convert operation not allowed when database server is in read only mode",
            )
            .to_json());
        }
        let schema = Schema::from_json(schema)?;
        if schema.name != name {
            return Err(Error::new(
                "invalid parameters",
                format!(
                    "{name}: database schema conversion must not change name (to {})",
                    schema.name
                ),
            )
            .to_json());
        }
        let wall_ms = self.clock.wall_ms();
        let Some(db) = self.dbs.get_mut(name) else {
            return Err(Json::Null);
        };
        let converted = record::convert(&db.database, &Arc::new(schema))?;
        self.cancel_monitors(name);
        self.cancel_waiting(name);
        if let Some(db) = self.dbs.get_mut(name) {
            db.replace(converted, wall_ms)?;
        }
        self.disconnect_unaware(session);
        self.refresh_server_db();
        Ok("{}".to_owned())
    }
}
