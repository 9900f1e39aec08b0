//! Values and their types (RFC 7047 §3.2 and §5.1).
//!
//! An [`Atom`] is one integer, real, boolean, string or UUID. A [`Datum`] is what a column holds: a
//! set of atoms or a map between atoms, always sorted and without duplicates, so that equality is
//! comparison and membership is binary search. A scalar is a set of exactly one, an optional value
//! a set of at most one. A datum does not carry its [`Type`]; the schema does, once per column.
//!
//! Files: `atom` the five kinds of atom; `base` what a type says, and its JSON; `datum` sets and
//! maps with their algebra; `decode` and `encode` the JSON of values; `text` the syntax of the
//! command line; `symbol` names for rows that a transaction is about to insert.

mod atom;
mod base;
mod datum;
mod decode;
mod encode;
mod symbol;
mod text;

pub use atom::{Atom, AtomicType};
pub use base::{BaseType, Reference, ReferenceKind, Type, UNLIMITED};
pub use datum::Datum;
pub use symbol::{Symbol, Symbols};
pub use text::{atom_from_text, is_delimiter, token};

#[cfg(test)]
mod tests;
