//! The database of the switch: OVSDB (RFC 7047), its engine, its file, its server, its clients.
//!
//! Words: a *database* has a [`schema::Schema`] and *tables* of *rows*; a row has a [`Uuid`] and one
//! [`types::Datum`] a column.
#![forbid(unsafe_code)]

mod error;
pub mod json;
pub mod schema;
pub mod types;
mod uuid;

pub use crate::uuid::Uuid;
pub use error::Error;
pub use json::Json;
pub use schema::{ColumnSchema, Schema, TableSchema};
pub use types::{Atom, AtomicType, BaseType, Datum, Symbols, Type};
