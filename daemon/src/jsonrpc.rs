//! JSON-RPC 1.0 as OVSDB and the control socket speak it (RFC 7047 section 4).
//!
//! * [`Message`]: request, notification, reply, error; checked once, in [`Message::from_json`]
//! * [`Framer`]: values out of a stream that has no delimiters
//! * [`Connection`]: a stream with a framer and a queue, for tokio
//! * [`Session`]: a connection that is made again when it breaks, probed when it is silent
//! * [`Client`]: one request after another, blocking, for command-line tools

mod client;
mod connection;
mod framing;
mod session;

pub use client::Client;
pub use connection::Connection;
pub use framing::{Framer, MAX_DEPTH, MAX_MESSAGE};
pub use session::{Event, Session};

use serde_json::{Map, Value, json};

/// Why a stream of messages cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A byte that no JSON has at this place.
    #[error("byte {at}: unexpected '{}'", .byte.escape_ascii())]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Its place in the stream, from 0.
        at: u64,
    },
    /// Bytes that are no text.
    #[error("byte {at}: invalid UTF-8")]
    NotUtf8 {
        /// The place of the first of them in the stream, from 0.
        at: u64,
    },
    /// Brackets that match around something that is no JSON.
    #[error("value at byte {start}: {text}")]
    Syntax {
        /// What is wrong, with line and column in the value.
        text: String,
        /// Where the value begins in the stream.
        start: u64,
    },
    /// More brackets than [`MAX_DEPTH`].
    #[error("input exceeds maximum nesting depth 1000")]
    TooDeep,
    /// A message longer than the limit, in bytes.
    #[error("message is longer than {0} bytes")]
    TooLong(usize),
    /// JSON that is no JSON-RPC message.
    #[error("{0}")]
    NotAMessage(String),
    /// An error came before.
    #[error("the stream is broken")]
    Broken,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A call that wants an answer.
    Request {
        /// What is called.
        method: String,
        /// The arguments; an array.
        params: Vec<Value>,
        /// What the answer will carry; not null.
        id: Value,
    },
    /// A call that wants none.
    Notification {
        /// What is called.
        method: String,
        /// The arguments; an array.
        params: Vec<Value>,
    },
    /// The answer of a call that succeeded.
    Reply {
        /// The answer; not null.
        result: Value,
        /// The request's.
        id: Value,
    },
    /// The answer of a call that failed.
    Error {
        /// The failure; not null.
        error: Value,
        /// The request's.
        id: Value,
    },
}

impl Message {
    /// A probe of a silent peer (RFC 7047 section 4.1.11).
    pub fn echo() -> Message {
        Message::Request {
            method: "echo".into(),
            params: Vec::new(),
            id: json!("echo"),
        }
    }

    /// `request`, `notification`, `reply` or `error`.
    pub fn kind(&self) -> &'static str {
        match self {
            Message::Request { .. } => "request",
            Message::Notification { .. } => "notification",
            Message::Reply { .. } => "reply",
            Message::Error { .. } => "error",
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`StreamError::NotAMessage`] with the original's words for what is missing or too much.
    pub fn from_json(json: Value) -> Result<Message, StreamError> {
        let wrong = |text: String| Err(StreamError::NotAMessage(text));
        let Value::Object(mut members) = json else {
            return wrong("message is not a JSON object".into());
        };
        let method = match members.remove("method") {
            None => None,
            Some(Value::String(method)) => Some(method),
            Some(_) => return wrong("method is not a JSON string".into()),
        };
        let mut take = |name: &str| members.remove(name).filter(|value| !value.is_null());
        let (params, result, error, id) =
            (take("params"), take("result"), take("error"), take("id"));
        if let Some(name) = members.keys().next() {
            return wrong(format!("message has unexpected member \"{name}\""));
        }
        let params = match params {
            None => None,
            Some(Value::Array(params)) => Some(params),
            Some(_) => return wrong("\"params\" must be JSON array".into()),
        };
        // As the original decides it: by what the answer, the failure and the id are.
        let (kind, wants) = match (&result, &error, &id) {
            (Some(_), _, _) => ("reply", [false, false, true, false, true]),
            (None, Some(_), _) => ("error", [false, false, false, true, true]),
            (None, None, Some(_)) => ("request", [true, true, false, false, true]),
            (None, None, None) => ("notification", [true, true, false, false, false]),
        };
        let has = [
            method.is_some(),
            params.is_some(),
            result.is_some(),
            error.is_some(),
            id.is_some(),
        ];
        let names = ["method", "params", "result", "error", "id"];
        for ((name, has), wants) in names.into_iter().zip(has).zip(wants) {
            if has != wants {
                let not = if wants { "" } else { " not" };
                return wrong(format!("{kind} must{not} have \"{name}\""));
            }
        }
        match (method, params, result, error, id) {
            (Some(method), Some(params), None, None, Some(id)) => {
                Ok(Message::Request { method, params, id })
            }
            (Some(method), Some(params), None, None, None) => {
                Ok(Message::Notification { method, params })
            }
            (None, None, Some(result), None, Some(id)) => Ok(Message::Reply { result, id }),
            (None, None, None, Some(error), Some(id)) => Ok(Message::Error { error, id }),
            _ => wrong("message has neither request's nor reply's members".into()),
        }
    }

    /// The message as it goes over the wire.
    pub fn into_json(self) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            members.insert(name.into(), value);
        };
        match self {
            Message::Request { method, params, id } => {
                put("method", method.into());
                put("params", params.into());
                put("id", id);
            }
            Message::Notification { method, params } => {
                put("method", method.into());
                put("params", params.into());
                put("id", Value::Null);
            }
            Message::Reply { result, id } => {
                put("result", result);
                put("error", Value::Null);
                put("id", id);
            }
            Message::Error { error, id } => {
                put("result", Value::Null);
                put("error", error);
                put("id", id);
            }
        }
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_there_and_back() {
        let cases = [
            Message::echo(),
            Message::Notification {
                method: "update".into(),
                params: vec![json!(1)],
            },
            Message::Reply {
                result: json!({}),
                id: json!(3),
            },
            Message::Error {
                error: json!("no"),
                id: json!("x"),
            },
        ];
        for message in cases {
            assert_eq!(Message::from_json(message.clone().into_json()), Ok(message));
        }
    }

    #[test]
    fn what_is_no_message_says_why() {
        let cases = [
            (json!([]), "message is not a JSON object"),
            (json!({"method": 1}), "method is not a JSON string"),
            (json!({"x": 1}), "message has unexpected member \"x\""),
            (json!({"params": {}}), "\"params\" must be JSON array"),
            (
                json!({"params": [], "id": 1}),
                "request must have \"method\"",
            ),
            (
                json!({"method": "a", "id": 1}),
                "request must have \"params\"",
            ),
            (
                json!({"method": "a", "result": 1, "id": 1}),
                "reply must not have \"method\"",
            ),
            (json!({"error": "a"}), "error must have \"id\""),
            (
                json!({"result": 1, "error": 2, "id": 1}),
                "reply must not have \"error\"",
            ),
        ];
        for (json, expected) in cases {
            let error = Message::from_json(json).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        }
    }
}
