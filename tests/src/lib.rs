//! The switch as its users meet it.
//!
//! The tests of this room start the programs that were built (`ovs-vswitchd`, `ovsdb-server`) and
//! drive them with the original's own tools, as Debian and Ubuntu package them. Nothing here
//! links a room of the switch except `clock`, by which it waits.
//!
//! * [`Switch`] is a running `ovs-vswitchd`, ours or the original's, in a folder of its own, and
//!   the tools pointed at it.
//! * [`Netns`] is a network namespace that a test made and that goes with it. The switch runs in
//!   one, each machine that is wired to it in another, so that names never collide and nothing of
//!   the host is touched.
//! * [`run`] and [`eventually`] start a program, and wait for a condition.
//! * [`frame`] builds packets byte by byte, with no parser of the switch's.
//! * [`capture`] reads and writes pcap files.
//! * [`raw`] is a socket that sends and reads whole frames, tags and all; [`transfer`] moves many
//!   bytes over TCP and UDP and compares both ends.
//! * [`guest`] boots stock kernels in QEMU, with a wire to a namespace.
//! * [`oracle`] makes random OpenFlow tables and packets for two switches to agree on.
//!
//! `tools/test` builds the programs and installs the original's before it runs these tests.

pub mod capture;
pub mod frame;
pub mod guest;
mod netns;
mod nic_sim;
pub mod oracle;
pub mod raw;
mod run;
mod switch;
pub mod transfer;

pub use netns::{Netns, namespaces_allowed};
pub use nic_sim::NicSim;
pub use run::{Done, eventually, original, ours, run, within};
pub use switch::{Make, Switch};
