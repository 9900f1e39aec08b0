//! The database of the switch: OVSDB (RFC 7047), its engine, its file, its server, its clients.
//!
//! Words: a *database* has a [`schema::Schema`] and *tables* of *rows*; a row has a [`Uuid`] and one
//! [`types::Datum`] a column. A *transaction* touches rows in an overlay, is *prepared* (everything
//! that must hold is checked) and *applied*, which yields a *commit*: the rows that changed, each
//! as it was and as it is. The commit becomes a *record* in the *log*, and *updates* for monitors.
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
