//! The server: databases, sessions, locks, monitors, without a socket in sight.
//!
//! [`Core`] is fed one parsed message of one session at a time and queues bytes for sessions; the
//! edge (`edge`) moves bytes between those queues and sockets. A message may be held back until
//! the disk has what it speaks of: [`sync::Syncer`] syncs on a thread of its own, and one sync
//! serves every transaction that was written before it began (group commit).
//!
//! Files: `control` what `ovs-appctl` can ask; `core` requests and replies; `db` one database with its file and its watchers; `session`
//! one client and its queue; `locks` who owns what; `sync` the disk; `edge` sockets; `remotes`
//! which sockets.

mod control;
mod core;
mod db;
mod edge;
mod locks;
mod remotes;
mod session;
mod sync;

pub use self::core::{Core, MemoryReport};
pub use control::{handle_call, register_calls};
pub use edge::Server;

pub use session::SessionId;
