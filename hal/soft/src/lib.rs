//! The software flow cache: a complete switch fabric in user space.
//!
//! A packet's way: a port's receive queue → its key → the exact-match cache → the megaflow
//! classifier → steps → transmit queues. What no megaflow matches goes up as an upcall.
//!
//! ```text
//!   control thread: Soft ──commands──▶ Poller 0 (its own: dummy ports, execute)
//!        ▲                  └────────▶ Poller 1.. (threads: taps, devices, NIC queues)
//!        └───────── upcalls ◀──────────────┘
//! ```
//!
//! A [`Poller`] owns everything that it touches: its queues, its cache, its classifier, its
//! counters. The control thread sends it commands through a lock-free queue, so the way of a
//! packet that some megaflow matches takes no lock and allocates nothing.
//!
//! Ports: [`ports::dummy`] for tests, [`ports::tap`], [`ports::system`] for a device of the host.
#![deny(unsafe_code)]

mod cache;
mod classifier;
pub mod lock;
mod megaflow;
mod poller;
pub mod ports;
mod soft;
mod thread;
mod upcalls;

pub use classifier::{Classifier, Place, Words};
pub use megaflow::{Megaflow, Tallies};
pub use poller::{Mailbox, Poller, metadata_of};
pub use soft::Soft;
pub use upcalls::Upcalls;
