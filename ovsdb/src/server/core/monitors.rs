//! Monitors: who watches what, and telling them.

use super::super::session::Monitor;
use super::super::sync::Barrier;
use super::{Core, SessionId};
use crate::commit::Commit;
use crate::json::{self, Json};
use crate::monitor::{Pending, Spec, Version, merge};
use crate::{Error, Uuid};
use std::sync::Arc;

/// What stands before an update in its notification; `]}` comes after.
fn update_head(version: Version, id: &str) -> String {
    let method = version.update_method();
    match version {
        // Standalone databases have no transaction history, so no transaction has an id.
        Version::V3 => format!(
            "{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},\"{}\",",
            Uuid::ZERO
        ),
        _ => format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},"),
    }
}

impl Core {
    pub(super) fn monitor(
        &mut self,
        session: SessionId,
        method: &str,
        params: &Json,
        version: Version,
    ) -> Result<String, Error> {
        let name = self.lookup_db(method, params)?;
        let items = params.as_array().map_or(&[][..], Vec::as_slice);
        let well_formed = match version {
            Version::V1 | Version::V2 => items.len() == 3,
            Version::V3 => items.len() == 4,
        };
        let (Some(id), Some(requests), true) = (items.get(1), items.get(2), well_formed) else {
            return Err(Error::syntax(params, "invalid parameters"));
        };
        let id_text = json::to_string(id);
        let known = |s: &super::Session| s.monitors.contains_key(&id_text);
        if self.sessions.get(&session).is_some_and(known) {
            return Err(Error::syntax(id, "duplicate monitor ID"));
        }
        let Some(db) = self.dbs.get_mut(&name) else {
            return Err(Error::syntax(params, "invalid parameters"));
        };
        let spec = Spec::from_json(&db.database, requests, version)?;
        if let Some(last) = items.get(3) {
            let text = last
                .as_str()
                .ok_or_else(|| Error::syntax(last, "last-txn-id must be string"))?;
            Uuid::parse(text)
                .ok_or_else(|| Error::syntax(last, "last-txn-id must be UUID format."))?;
        }
        let initial = spec.initial(&db.database);
        let spec = Arc::new(spec);
        self.watch(session, &name, id_text, spec);
        Ok(if version == Version::V3 {
            format!("[false,\"{}\",{initial}]", Uuid::ZERO)
        } else {
            initial
        })
    }

    fn watch(&mut self, session: SessionId, name: &str, id: String, spec: Arc<Spec>) {
        let (Some(db), Some(s)) = (self.dbs.get_mut(name), self.sessions.get_mut(&session)) else {
            return;
        };
        let spec = match db.watchers.iter_mut().find(|(known, _)| *known == spec) {
            Some((known, watchers)) => {
                watchers.push((session, id.clone()));
                Arc::clone(known)
            }
            None => {
                db.watchers
                    .push((Arc::clone(&spec), vec![(session, id.clone())]));
                spec
            }
        };
        let monitor = Monitor {
            db: name.to_owned(),
            spec,
            pending: Pending::new(),
        };
        s.monitors.insert(id, monitor);
    }

    fn unwatch(&mut self, session: SessionId, id: &str) -> Option<Monitor> {
        let monitor = self.sessions.get_mut(&session)?.monitors.remove(id)?;
        if let Some(db) = self.dbs.get_mut(&monitor.db) {
            for (_, watchers) in &mut db.watchers {
                watchers.retain(|(s, i)| *s != session || i != id);
            }
            db.watchers.retain(|(_, watchers)| !watchers.is_empty());
        }
        Some(monitor)
    }

    pub(super) fn monitor_cond_change(
        &mut self,
        session: SessionId,
        params: &Json,
    ) -> Result<String, Error> {
        let Some([old_id, new_id, requests]) = params.as_array().map(Vec::as_slice) else {
            return Err(Error::syntax(params, "invalid parameters"));
        };
        // What the client was not told yet is told under the old conditions.
        self.tell_pending(session);
        let (old_text, new_text) = (json::to_string(old_id), json::to_string(new_id));
        let Some(s) = self.sessions.get(&session) else {
            return Err(Error::syntax(old_id, "unknown monitor session"));
        };
        let Some(monitor) = s.monitors.get(&old_text) else {
            return Err(Error::syntax(old_id, "unknown monitor session"));
        };
        if old_text != new_text && s.monitors.contains_key(&new_text) {
            return Err(Error::syntax(new_id, "duplicate monitor ID"));
        }
        let Some(db) = self.dbs.get(&monitor.db) else {
            return Err(Error::syntax(old_id, "unknown monitor session"));
        };
        let spec = monitor.spec.with_conditions(&db.database, requests)?;
        let update = monitor.spec.condition_update(&db.database, &spec);
        let name = monitor.db.clone();
        let version = spec.version;
        self.unwatch(session, &old_text);
        self.watch(session, &name, new_text.clone(), Arc::new(spec));
        if let Some(update) = update {
            let text = format!("{}{update}]}}", update_head(version, &new_text));
            self.send(session, text);
        }
        Ok("{}".to_owned())
    }

    pub(super) fn monitor_cancel(
        &mut self,
        session: SessionId,
        params: &Json,
    ) -> Result<String, Json> {
        let Some([id]) = params.as_array().map(Vec::as_slice) else {
            return Err(Json::from("invalid parameters"));
        };
        match self.unwatch(session, &json::to_string(id)) {
            Some(_) => Ok("{}".to_owned()),
            None => Err(Json::from("unknown monitor")),
        }
    }

    /// Tells everybody who watches of a commit. Each spec's update is encoded once.
    pub(super) fn tell(&mut self, name: &str, commit: &Commit, after: Option<&Barrier>) {
        let Some(db) = self.dbs.get(name) else {
            return;
        };
        for (spec, watchers) in &db.watchers {
            let mut update: Option<Option<Arc<str>>> = None;
            for (session, id) in watchers {
                let Some(s) = self.sessions.get_mut(session) else {
                    continue;
                };
                let slow = s.is_slow();
                if let Some(monitor) = s.monitors.get_mut(id)
                    && (slow || !monitor.pending.is_empty())
                {
                    merge(&mut monitor.pending, commit);
                    continue;
                }
                let update = update.get_or_insert_with(|| {
                    spec.update(&db.database, commit.changes.iter())
                        .map(Arc::from)
                });
                if let Some(update) = update {
                    let head = update_head(spec.version, id);
                    s.push_shared(head, Some(Arc::clone(update)), "]}", after.cloned());
                }
            }
        }
    }

    /// Tells a client what was merged while it was too slow.
    pub(super) fn tell_pending(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut texts = Vec::new();
        for (monitor_id, monitor) in &mut session.monitors {
            if monitor.pending.is_empty() {
                continue;
            }
            let pending = std::mem::take(&mut monitor.pending);
            let update = self
                .dbs
                .get(&monitor.db)
                .and_then(|db| monitor.spec.update(&db.database, pending.values()));
            if let Some(update) = update {
                texts.push(format!(
                    "{}{update}]}}",
                    update_head(monitor.spec.version, monitor_id)
                ));
            }
        }
        for text in texts {
            session.push(text, None);
        }
    }

    /// Ends all monitors of a database, telling those who understand.
    pub(super) fn cancel_monitors(&mut self, name: &str) {
        let watching: Vec<(SessionId, String)> = self
            .dbs
            .get(name)
            .map(|db| db.watchers.iter().flat_map(|(_, w)| w).cloned().collect())
            .unwrap_or_default();
        for (session, id) in watching {
            self.unwatch(session, &id);
            if self
                .sessions
                .get(&session)
                .is_some_and(|s| s.db_change_aware)
            {
                let text =
                    format!("{{\"id\":null,\"method\":\"monitor_canceled\",\"params\":[{id}]}}");
                self.send(session, text);
            }
        }
    }
}
