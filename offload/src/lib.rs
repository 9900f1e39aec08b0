//! Which megaflow lives where.
#![forbid(unsafe_code)]

mod engine;

pub use engine::{Admit, Engine, Event, Placement, Report};
