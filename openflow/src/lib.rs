//! OpenFlow 1.0 to 1.5 with Nicira's extensions: messages, flows and the connection that carries
//! them, without a socket in sight.
//!
//! Words: a *message* is a value of [`Message`], the same in each version; its *layout* on the
//! wire is a [`Kind`]. A flow's *match* is a [`packet::Match`] over the field table; its *actions*
//! (and instructions: goto, write-actions, meter...) are one list of [`Action`]. A *protocol* is a
//! way of writing flows: a version, and for 1.0 whether Nicira's extended match is used.
//!
//! ```text
//!            bytes --decode--> Message --encode--> bytes
//!                                 |
//!   "ip,actions=drop" --parse--> FlowMod, Match, Action --format--> "ip actions=drop"
//! ```
#![forbid(unsafe_code)]

pub mod action;
pub mod connection;
pub mod error;
pub mod message;
pub mod oxm;
pub mod port;
pub mod print;
pub mod raw;
pub mod text;
pub mod version;
mod wire;

pub use action::Action;
pub use error::{DecodeError, OfError};
pub use message::codec::{Decoding, decode, decode_with, encode, encode_for, error_reply};
pub use message::*;
pub use port::OfPort;
pub use raw::{Frame, Header, Kind, next_message};
pub use version::{Protocol, Protocols, Version, Versions, Xid};
