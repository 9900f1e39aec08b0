//! Time and chance, handed in.
//!
//! Everything in the switch that looks at a clock, waits, or rolls dice does so through this room,
//! so that the whole switch can run in virtual time from a seed. Nothing else calls the operating
//! system's clock (clippy's `disallowed-methods` keeps it so).
//!
//! * [`Clock`] is a cheap handle; clones share one flow of time. A *running* clock follows the
//!   operating system; a *stopped* one moves only when [`Clock::warp`] is called. `time/stop` and
//!   `time/warp` of `ovs-appctl` are these two, so a running daemon can be stopped as well.
//! * [`Time`] is a point on the clock's monotonic axis, in nanoseconds; [`Clock::wall_ms`] is the
//!   calendar beside it and moves with it.
//! * [`Clock::sleep_until`] is the one timer. It knows no async runtime: a stopped clock fires its
//!   timers inside `warp`, a running one from one small thread that exists only while somebody
//!   waits.
//! * [`Seed`] gives named, independent random sources from one number.
//!
//! ```
//! use clock::Clock;
//! use std::time::Duration;
//!
//! let clock = Clock::stopped_at(1_000);
//! let before = clock.now();
//! clock.warp(Duration::from_secs(10));
//! assert_eq!(clock.now() - before, Duration::from_secs(10));
//! assert_eq!(clock.wall_ms(), 11_000);
//! ```
#![forbid(unsafe_code)]

mod seed;
mod source;
mod time;
mod timer;

pub use seed::Seed;
pub use source::Clock;
pub use time::Time;
pub use timer::Sleep;
