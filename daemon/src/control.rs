//! The control socket: what `ovs-appctl` speaks to.
//!
//! A program *registers* commands, each with the text of its usage and how many arguments it
//! takes. Commands about the process itself (`version`, `vlog/*`, `coverage/*`...) are answered
//! here; all others arrive, checked, as [`Invocation`]s at the program's main loop, which answers
//! when it can. One connection has one command under way at a time.
//!
//! * `commands`: what can be called; `builtin`: what every program answers
//! * `server`: the socket; `client`: the other side, blocking

mod builtin;
mod client;
mod commands;
mod server;

pub use client::{Client, socket_of};
pub use commands::{Answer, Commands, Format, Invocation, Reply};
pub use server::{Error, Server, serve};
