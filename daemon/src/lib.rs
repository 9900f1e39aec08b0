//! What every program of the house shares, and no more: it knows of no database and no packet.
//!
//! A program starts like this, and its main loop then waits for calls beside whatever else it
//! waits for:
//!
//! ```no_run
//! # #[derive(clap::Parser)] struct Options {
//! #     #[command(flatten)] daemon: daemon::options::Daemon,
//! #     #[command(flatten)] log: daemon::options::Log,
//! #     #[command(flatten)] control: daemon::options::Control,
//! # }
//! use clock::Clock;
//! use daemon::{control, log, options, process};
//!
//! fn main() {
//!     let clock = Clock::real();
//!     let options: Options = options::parse(|name| format!("usage: {name} [OPTIONS]\n"), &[]);
//!     log::start(&options::program_name(), &["bridge"], &clock);
//!     options.log.apply_or_exit();
//!     // Before any thread and any runtime: this is where the process forks.
//!     let start = process::start(&options.daemon.to_process())
//!         .unwrap_or_else(|e| log::fatal("daemon_unix", &e.to_string()));
//!     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//!     runtime.block_on(async {
//!         let commands = control::Commands::new();
//!         commands.register("exit", "", 0, 0);
//!         let name = options.control.unixctl.as_deref();
//!         let (server, mut calls) = control::serve(name, commands, &clock)
//!             .unwrap_or_else(|e| {
//!                 log::complain(&e.to_string());
//!                 process::exit(1)
//!             });
//!         let _running = start.ready();
//!         if let Some(call) = calls.recv().await {
//!             call.reply.ok("");
//!         }
//!         server.close().await;
//!     });
//! }
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | [`dirs`] | where sockets, logs, databases and configuration are |
//! | [`log`] | log lines in the original's shape, fed by `tracing`; rate limits |
//! | [`options`] | the options that all programs have, and the words for wrong ones |
//! | [`process`] | forking, pid file, monitor, the end in good order |
//! | [`control`] | the control socket, `PROGRAM.PID.ctl`, both sides |
//! | [`jsonrpc`] | messages, framing, connections, lasting sessions |
//! | [`reconnect`] | when to connect and when to give up on a peer |
//! | [`stream`] | addresses from `unix:` to `ptcp:` and what is behind them |
//! | [`coverage`], [`memory`] | counters of events, reports of size |
//!
//! Everything with tasks runs on the tokio runtime of its caller, of which one thread is enough;
//! all time comes from a [`clock::Clock`].
#![deny(unsafe_code)]

pub mod control;
pub mod coverage;
pub mod dirs;
pub mod jsonrpc;
pub mod log;
pub mod memory;
pub mod options;
pub mod out;
pub mod process;
pub mod reconnect;
pub mod stream;
