//! The `<error>` object of RFC 7047 §4.1.7: what a client is told, word for word.

use crate::json::{self, Json};
use std::fmt;

/// An error as OVSDB speaks of it: a tag that programs compare, details that people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    tag: &'static str,
    details: Option<String>,
    syntax: Option<String>,
    io: Option<String>,
}

impl Error {
    /// An error with a tag such as `"constraint violation"`, and its details.
    pub fn new(tag: &'static str, details: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            tag,
            details: Some(details.into()),
            syntax: None,
            io: None,
        }))
    }

    /// An error that is only a tag, such as `"aborted"`.
    pub fn bare(tag: &'static str) -> Error {
        Error(Box::new(Inner {
            tag,
            details: None,
            syntax: None,
            io: None,
        }))
    }

    /// A `"constraint violation"`.
    pub fn constraint(details: impl Into<String>) -> Error {
        Error::new("constraint violation", details)
    }

    /// A `"referential integrity violation"`.
    pub fn referential(details: impl Into<String>) -> Error {
        Error::new("referential integrity violation", details)
    }

    /// A `"syntax error"` about `json`, which is shown with its members sorted.
    pub fn syntax(json: &Json, details: impl Into<String>) -> Error {
        Error::syntax_tagged(json, "syntax error", details)
    }

    /// As [`Error::syntax`], under another tag, such as `"unknown table"`.
    pub fn syntax_tagged(json: &Json, tag: &'static str, details: impl Into<String>) -> Error {
        let mut error = Error::new(tag, details);
        error.0.syntax = Some(json::to_string(json));
        error
    }

    /// A `"syntax error"` that has no JSON to show.
    pub fn syntax_plain(details: impl Into<String>) -> Error {
        Error::new("syntax error", details)
    }

    /// An `"I/O error"`, with the operating system's reason.
    pub fn io(reason: &std::io::Error, details: impl Into<String>) -> Error {
        let mut error = Error::new("I/O error", details);
        error.0.io = Some(os_reason(reason));
        error
    }

    /// An `"I/O error"` for a file that ends where more was due.
    pub fn end_of_file(details: impl Into<String>) -> Error {
        let mut error = Error::new("I/O error", details);
        error.0.io = Some("End of file".into());
        error
    }

    /// The same error with `context: ` before its details.
    #[must_use]
    pub fn wrap(mut self, context: impl AsRef<str>) -> Error {
        self.0.details = Some(match self.0.details.take() {
            Some(details) => format!("{}: {details}", context.as_ref()),
            None => context.as_ref().to_owned(),
        });
        self
    }

    /// What programs compare: `"constraint violation"`, `"timed out"`...
    pub fn tag(&self) -> &'static str {
        self.0.tag
    }

    /// What people read.
    pub fn details(&self) -> Option<&str> {
        self.0.details.as_deref()
    }

    /// The `<error>` object.
    pub fn to_json(&self) -> Json {
        let mut object = json::Object::new();
        object.insert("error".into(), Json::from(self.0.tag));
        if let Some(details) = &self.0.details {
            object.insert("details".into(), Json::from(details.as_str()));
        }
        if let Some(syntax) = &self.0.syntax {
            object.insert("syntax".into(), Json::from(syntax.as_str()));
        }
        if let Some(io) = &self.0.io {
            object.insert("io-error".into(), Json::from(io.as_str()));
        }
        Json::Object(object)
    }
}

/// The operating system's words for an error, without the number that Rust appends.
pub fn os_reason(reason: &std::io::Error) -> String {
    let text = reason.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(syntax) = &self.0.syntax {
            write!(f, "syntax \"{syntax}\": ")?;
        }
        f.write_str(self.0.tag)?;
        if let Some(details) = &self.0.details {
            write!(f, ": {details}")?;
        }
        if let Some(io) = &self.0.io {
            write!(f, " ({io})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
