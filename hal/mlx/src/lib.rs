//! Drives a ConnectX NIC from user space.
//!
//! The NIC is a PCI function ([`hal::pci::PciFunction`]), real or simulated: this room cannot
//! tell. What driver and NIC say to each other is laid out in `hal-mlx-prm`; what of it to say,
//! and when, is known here.
#![forbid(unsafe_code)]

mod command;
mod error;
mod function;
mod pages;
mod patience;
mod registers;
pub mod steering;

pub use command::{CommandQueue, Done, Sent, Ticket};
pub use error::{CommandStatus, MlxError};
pub use function::{Function, FunctionId, Teardown};
pub use pages::{Pages, Phase};
pub use patience::Patience;
pub use registers::Registers;
