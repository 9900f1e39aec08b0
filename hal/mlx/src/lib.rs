//! Drives a ConnectX NIC from user space.
//!
//! The NIC is a PCI function ([`hal::pci::PciFunction`]), real or simulated: this room cannot
//! tell. What driver and NIC say to each other is laid out in `hal-mlx-prm`; what of it to say,
//! and when, is known here.
#![forbid(unsafe_code)]

mod capability;
mod command;
mod completion;
mod device;
mod error;
mod eswitch;
mod event;
mod function;
mod health;
mod nic;
mod object;
mod pages;
mod patience;
mod port;
mod receive;
mod registers;
mod send;
pub mod steering;

pub use command::{Answer, CommandQueue, Done, Sent, Ticket};
pub use completion::CompletionQueue;
pub use device::{MlxDevice, Opener, Wires, part_name};
pub use error::{CommandStatus, MlxError};
pub use event::{Event, EventQueue};
pub use function::{Function, FunctionId, Teardown};
pub use health::syndrome_meaning;
pub use object::{Domain, MemoryKey, ProtectionDomain, TransportDomain, Uar};
pub use pages::{Pages, Phase};
pub use patience::Patience;
pub use registers::Registers;
