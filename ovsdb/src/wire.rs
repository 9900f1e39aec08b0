//! JSON-RPC on the wire: where to connect or listen, and where one message ends and the next
//! begins.
//!
//! This module and `server::edge` are the crate's only ones with sockets.

mod address;
mod splitter;

pub use address::{Address, Duplex, Listener};
pub use splitter::{MAX_MESSAGE, Splitter};
