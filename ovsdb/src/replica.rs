//! A client's copy of a database, kept current (the original calls it the IDL).
//!
//! A [`Replica`] connects, and reconnects, to a server, watches the tables and columns that were
//! asked for, and offers [`View`]s: whole, consistent states that never change under the reader and
//! cost nothing to keep. Changes go through a [`Txn`], whose preconditions are checked by the
//! server. No code is generated: tables and columns go by name, and the server's schema says what
//! they hold.
//!
//! ```no_run
//! # async fn doc() -> Result<(), String> {
//! use ovsdb::replica::{Options, Replica};
//! let options = Options::new("unix:/var/run/openvswitch/db.sock", "Open_vSwitch");
//! let mut replica = Replica::start(clock::Clock::real(), options)?;
//! replica.synced().await;
//! for bridge in replica.view().rows("Bridge") {
//!     println!("{} has {} ports", bridge.string("name"), bridge.refs("ports").len());
//! }
//! let mut txn = replica.txn();
//! if let Some(root) = replica.view().rows("Open_vSwitch").next() {
//!     txn.increment("Open_vSwitch", root.uuid(), "next_cfg");
//! }
//! txn.commit().await;
//! replica.changed().await;
//! # Ok(()) }
//! ```

mod client;
mod txn;
mod updates;
mod view;

pub use client::{Options, Remote, Replica};
pub use txn::{Committed, Outcome, Txn};
pub use view::{RowView, View};
