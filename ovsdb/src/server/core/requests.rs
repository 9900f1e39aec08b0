//! One request after another: which method, with which parameters.

use super::{Core, SessionId, error_reply, reply};
use crate::Error;
use crate::json::{self, Json};
use crate::monitor::Version;

/// What a request comes to: the result's JSON text, or the error.
pub(super) type Answer = Result<String, Json>;

impl From<Error> for Json {
    fn from(error: Error) -> Json {
        error.to_json()
    }
}

impl Core {
    pub(super) fn request(&mut self, session: SessionId, id: String, method: &str, params: Json) {
        let answer = match method {
            "transact" | "convert" => {
                let name = self.lookup_db(method, &params);
                match name {
                    Err(error) => Err(error.to_json()),
                    Ok(name) if method == "convert" => self.convert(session, &name, &params),
                    Ok(name) => {
                        self.transact(session, id, name, params);
                        return;
                    }
                }
            }
            "get_schema" => self.get_schema(method, &params),
            "monitor_cond" | "monitor_cond_since" if self.monitor_cond_disabled => {
                Err(Json::from("unknown method"))
            }
            "monitor" | "monitor_cond" | "monitor_cond_since" => {
                let version = Version::of_method(method).unwrap_or(Version::V1);
                self.monitor(session, method, &params, version)
                    .map_err(Json::from)
            }
            "monitor_cond_change" => self
                .monitor_cond_change(session, &params)
                .map_err(Json::from),
            "monitor_cancel" => self.monitor_cancel(session, &params),
            "list_dbs" => {
                let names: Vec<Json> = self.dbs.keys().map(|n| Json::from(n.as_str())).collect();
                Ok(json::to_string(&Json::from(names)))
            }
            "get_server_id" => Ok(format!("\"{}\"", self.server_id)),
            "lock" | "steal" => self.lock(session, method, &params),
            "unlock" => self.unlock_request(session, method, &params),
            "set_db_change_aware" => self.set_db_change_aware(session, method, &params),
            "echo" => Ok(json::to_string(&params)),
            _ => Err(Json::from("unknown method")),
        };
        let text = match answer {
            Ok(result) => reply(&id, &result),
            Err(error) => error_reply(&id, &error),
        };
        // Nothing of an open transaction is spoken of before it is on the disk: the queue's order
        // sees to that.
        self.send(session, text);
    }

    pub(super) fn notification(&mut self, session: SessionId, method: &str, params: &Json) {
        if method == "cancel"
            && let Some([id]) = params.as_array().map(Vec::as_slice)
        {
            let id = json::to_string(id);
            let mut canceled = false;
            for db in self.dbs.values_mut() {
                let before = db.waiting.len();
                db.waiting.retain(|w| w.session != session || w.id != id);
                canceled |= db.waiting.len() < before;
            }
            let aware = self
                .sessions
                .get(&session)
                .is_some_and(|s| s.db_change_aware);
            if canceled && aware {
                self.send(session, error_reply(&id, &Json::from("canceled")));
            }
        }
    }

    pub(super) fn lookup_db(&self, method: &str, params: &Json) -> Result<String, Error> {
        let Some(Json::String(name)) = params.as_array().and_then(|p| p.first()) else {
            return Err(Error::syntax(
                params,
                format!("{method} request params must begin with <db-name>"),
            ));
        };
        if self.dbs.contains_key(name) {
            Ok(name.clone())
        } else {
            Err(Error::syntax_tagged(
                params,
                "unknown database",
                format!("{method} request specifies unknown database {name}"),
            ))
        }
    }

    fn get_schema(&self, method: &str, params: &Json) -> Answer {
        let name = self.lookup_db(method, params)?;
        let schema = self.dbs.get(&name).map(|db| db.database.schema().to_json());
        Ok(json::to_string(&schema.unwrap_or(Json::Null)))
    }

    fn lock_name(&self, session: SessionId, method: &str, params: &Json) -> Result<String, Json> {
        if self.is_read_only(session) {
            return Err(Json::from(
                "lock and unlock methods not allowed, DB server is read only.",
            ));
        }
        match params.as_array().map(Vec::as_slice) {
            Some([Json::String(name)]) if json::is_id(name) => Ok(name.clone()),
            _ => Err(
                Error::syntax(params, format!("{method} request params must be <id>")).to_json(),
            ),
        }
    }

    fn lock(&mut self, session: SessionId, method: &str, params: &Json) -> Answer {
        let name = self.lock_name(session, method, params)?;
        if self.locks.claims(session, &name) {
            let details = format!("must issue \"unlock\" before new \"{method}\"");
            return Err(Error::syntax(params, details).to_json());
        }
        let owned = if method == "steal" {
            if let Some(victim) = self.locks.steal(session, &name) {
                self.notify_lock(victim, "stolen", &name);
            }
            true
        } else {
            self.locks.lock(session, &name)
        };
        Ok(format!("{{\"locked\":{owned}}}"))
    }

    fn unlock_request(&mut self, session: SessionId, method: &str, params: &Json) -> Answer {
        let name = self.lock_name(session, method, params)?;
        if self.unlock(session, &name) {
            Ok("{}".to_owned())
        } else {
            let details = format!("{method}: \"unlock\" without \"lock\" or \"steal\"");
            Err(Error::syntax(params, details).to_json())
        }
    }

    fn set_db_change_aware(&mut self, session: SessionId, method: &str, params: &Json) -> Answer {
        let Some([Json::Bool(aware)]) = params.as_array().map(Vec::as_slice) else {
            let details = format!("{method}: true or false parameter expected");
            return Err(Error::syntax(params, details).to_json());
        };
        if let Some(session) = self.sessions.get_mut(&session) {
            session.db_change_aware = *aware;
        }
        Ok("{}".to_owned())
    }

    pub(super) fn is_read_only(&self, session: SessionId) -> bool {
        self.read_only || self.sessions.get(&session).is_some_and(|s| s.read_only)
    }
}
