//! Drives a ConnectX NIC from user space.
//!
//! The NIC is a PCI function ([`hal::pci::PciFunction`]), real or simulated: this room cannot
//! tell. What driver and NIC say to each other is laid out in `hal-mlx-prm`; what of it to say,
//! and when, is known here.
//!
//! ```text
//!   offload                                  poll threads
//!      │ rules, counters                          │ batches
//!  MlxDevice ─────────────┐              queues of representors
//!      │                  │ opens, resets        │
//!  Operations ──────── Eswitch             ReceiveQueue, SendQueue
//!  entries, groups,   tables that stay           │
//!  rewrites, counters     │                 CompletionQueue
//!      └────────┬─────────┘                      │
//!           Function: boot, pages, health    EventQueue
//!               │                                │
//!         CommandQueue ───────── Registers ──────┘
//!               └──────────── hal::pci ──────────┘
//! ```
//!
//! Its words, from below:
//!
//! * [`CommandQueue`]: what the firmware is asked, many things at once, each with its time.
//! * [`Function`]: what the commands are sent to; it is brought up, has pages of ours, and goes down.
//! * *E-switch*: the NIC's switch between *vports*; software is at its head and has a *representor*
//!   for each. [`steering`] puts rules into its *flow tables*, whose *entries* stand in *groups* of
//!   one shape.
//! * [`MlxDevice`]: all of it as a [`FlowDevice`](hal::FlowDevice).
//!
//! The device is not believed: outputs are read along chains of our own, lengths, indices and
//! owner bits are checked, and what makes no sense ends the device, which is then reset and filled
//! again. One lock guards the control side; the queues of poll threads take none.
//!
//! ```
//! use clock::Clock;
//! use hal::FlowDevice;
//! use hal::pci::PciFunction;
//! use hal_mlx::{MlxDevice, Patience};
//! use hal_sim::connectx::{ConnectX, ConnectXSettings};
//!
//! let clock = Clock::real();
//! let card = ConnectX::open("nic0", ConnectXSettings::default(), clock.clone())?;
//! let opener = move || PciFunction::in_process("connectx:nic0", card.clone());
//! let nic = MlxDevice::open("connectx:nic0", Box::new(opener), Patience::real(clock), None)?;
//! assert!(nic.capabilities().rules > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
