//! The engine of tools that change a database by commands: `ovs-vsctl`, and whatever else has a
//! schema of its own and commands beside the general ones.
//!
//! A command line is `[OPTIONS] COMMAND [-- [OPTIONS] COMMAND]...`. All its commands run one after
//! the other on a [`Working`] copy of the database, where each sees what those before it did; then
//! the copy's changes become one transaction. If the database has changed meanwhile, all of it is
//! done again on a fresh copy. Nothing is printed before the transaction has succeeded.
//!
//! * [`syntax`]: what commands look like, and how a command line becomes commands
//! * [`working`]: the copy and its changes
//! * [`names`]: abbreviated tables and columns, rows by name
//! * [`mod@column`]: `COLUMN[:KEY]=VALUE`: conditions and assignments
//! * [`commands`]: `list`, `find`, `get`, `set` and the other general commands
//! * [`show`]: the tree of `show`
//! * [`options`]: options of the whole program; [`run`]: the life of one

pub mod column;
pub mod commands;
pub mod names;
pub mod options;
pub mod run;
pub mod show;
pub mod syntax;
pub mod working;

pub use run::{Program, main};
pub use syntax::{Context, Failure, Syntax};
pub use working::Working;
