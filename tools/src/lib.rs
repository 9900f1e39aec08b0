//! The command-line tools. They speak the public protocols and know nothing of the daemons' inside.
//!
//! * `ovs-appctl` is in [`appctl`], `ovs-dpctl` in [`dpctl`]
//! * `ovs-vsctl` is in [`vsctl`], on [`ctl`], the engine of commands on a database
//! * `ovsdb-client` and `ovsdb-tool` are in [`ovsdb_client`] and [`ovsdb_tool`]
//! * `nicctl`, which speaks to NICs themselves, is in [`nicctl`]
//!
//! and what tools share: [`getopt`] and [`logging`] (options), [`deadline`] (`--timeout`) and
//! `detach` (commands that go on in the background).

#[macro_use]
extern crate daemon;

pub mod appctl;
pub mod ctl;
pub mod deadline;
mod detach;
pub mod dpctl;
pub mod getopt;
pub mod logging;
pub mod nicctl;
pub mod ofctl;
pub mod ovsdb_client;
pub mod ovsdb_tool;
pub mod vsctl;
