//! Configuration as a value.
//!
//! [`desired()`] is a pure function from the database's rows to what should be; [`diff`] compares
//! it with what is and answers with [`Step`]s. Nothing else changes the switch's shape.

mod desired;
mod diff;

pub use desired::{
    BridgeConfig, ControllerConfig, Desired, InterfaceConfig, PortConfig, Settings, desired,
};
pub use diff::{Step, diff};
