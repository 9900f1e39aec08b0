//! The ConnectX model, held to what a driver expects of the real part: a tiny driver over the
//! bare PCI function.
#![allow(clippy::type_complexity, reason = "a change to a view is a closure")]
#![allow(dead_code, reason = "the driver can more than each test needs")]

#[path = "connectx/checks.rs"]
mod checks;
#[path = "connectx/driver.rs"]
mod driver;
#[path = "connectx/eswitch.rs"]
mod eswitch;
#[path = "connectx/events.rs"]
mod events;
#[path = "connectx/faults.rs"]
mod faults;
#[path = "connectx/function.rs"]
mod function;
#[path = "connectx/golden.rs"]
mod golden;
#[path = "connectx/hostile.rs"]
mod hostile;
#[path = "connectx/packets.rs"]
mod packets;
#[path = "connectx/port.rs"]
mod port;
#[path = "connectx/queues.rs"]
mod queues;
#[path = "connectx/steering.rs"]
mod steering;
