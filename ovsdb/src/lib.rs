//! The database of the switch: OVSDB (RFC 7047), its engine, its file, its server, its clients.
//!
//! Words: a *database* has a [`schema::Schema`] and *tables* of *rows*; a row has a [`Uuid`] and one
//! [`types::Datum`] a column. A *transaction* touches rows in an overlay, is *prepared* (everything
//! that must hold is checked) and *applied*, which yields a *commit*: the rows that changed, each
//! as it was and as it is. The commit becomes a *record* in the *log*, and *updates* for monitors.
//!
//! ```text
//!   bytes ─ wire ─▶ server::Core ─▶ execute ─▶ transaction ─▶ commit ─▶ database
//!     ▲                                             (prepare)    │ │
//!     │                                                          │ └─▶ record ─▶ log ─▶ disk
//!     └────── update, once for all who watch the same ◀─ monitor ┘       (one sync for many)
//! ```
//!
//! Everything but `wire`, `log`, `replica` and the server's edge is without input and output; time
//! comes from a [`clock::Clock`].
//!
//! * [`server::Server`] serves database files on sockets, alone (`ovsdb-server`) or inside another
//!   program;
//! * [`replica::Replica`] is a client's copy of a database, kept current, with transactions;
//! * [`mod@file`] and [`log`] are for tools that work on files.
//!
//! ```
//! use ovsdb::execute::{Context, Outcome, execute, results_to_text};
//! use ovsdb::{Database, Schema, json};
//! use std::sync::Arc;
//!
//! let schema = r#"{"name":"d","tables":{"t":{"columns":{"n":{"type":"integer"}}}}}"#;
//! let mut db = Database::new(Arc::new(Schema::from_text(schema).unwrap()));
//! let request = r#"["d",{"op":"insert","table":"t","row":{"n":7}}]"#;
//! let request = json::parse(request.as_bytes()).unwrap();
//! let Outcome::Ran { transaction: Some(txn), .. } = execute(&db, &request, &Context::plain()) else {
//!     panic!("refused");
//! };
//! let prepared = txn.prepare().unwrap();
//! let commit = db.apply(prepared);
//! assert_eq!((commit.changes.len(), db.n_rows()), (1, 1));
//! ```
#![forbid(unsafe_code)]

pub mod commit;
pub mod condition;
pub mod database;
mod error;
pub mod execute;
pub mod file;
pub mod json;
pub mod log;
pub mod monitor;
mod mutation;
pub mod record;
pub mod replica;
pub mod row;
pub mod schema;
pub mod server;
pub mod transaction;
pub mod types;
mod uuid;
pub mod wire;

pub use crate::uuid::Uuid;
pub use commit::{Change, Commit};
pub use database::Database;
pub use error::Error;
pub use json::Json;
pub use row::{Column, Row};
pub use schema::{ColumnSchema, Schema, TableSchema};
pub use types::{Atom, AtomicType, BaseType, Datum, Symbols, Type};
