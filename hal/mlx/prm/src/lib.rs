//! What a ConnectX and its driver say to each other, as data: registers, commands, contexts,
//! queue entries.
//!
//! A *layout* is a named list of fields in a piece of memory; `layout!` writes one down. It has
//! no logic: what a value means, which order things come in and what is allowed is for the
//! driver (`hal/mlx`) and for the model (`hal/sim`) to know, each by itself. They share this room
//! and nothing else, so that an error in one is not an error in both.
//!
//! Everything is big-endian and bits are numbered within words of 32, the highest first, as the
//! *Adapters Programmer's Reference Manual* of the vendor and Linux's `mlx5_ifc.h` have it: a
//! field at `0x08` with bits `31:12` is the upper twenty of the word that begins at byte 8. A
//! field of bits `63:0` takes that word and the next.
//!
//! ```
//! use hal_mlx_prm::{View, command::EnableHcaIn};
//!
//! let mut command = View::<EnableHcaIn, _>::zeroed();
//! command.set(EnableHcaIn::FUNCTION_ID, 3);
//! assert_eq!(command.bytes()[10..12], [0, 3]);
//! // A view of what somebody else wrote; none if there is too little of it.
//! let read = View::<EnableHcaIn, _>::new(command.bytes()).expect("whole");
//! assert_eq!(read.get(EnableHcaIn::FUNCTION_ID), 3);
//! ```
//!
//! * [`init`]: the initialisation segment, the only registers that there are at first.
//! * [`queue`]: the command queue's entries and mailboxes.
//! * [`command`]: inputs and outputs of commands; [`Opcode`] is the table of them.
//! * [`capability`]: what the device can do.
//! * [`context`]: contexts of objects, which are parts of commands.
//! * [`register`]: registers that a command reads and writes.
//! * [`event`], [`completion`], [`work`]: entries of event, completion and work queues.
//! * [`doorbell`]: UAR pages and doorbell records.
//! * [`Layout`] is a layout as a list to look through, for whoever checks that reserved bits are
//!   zero or prints what it saw.
#![forbid(unsafe_code)]

pub mod capability;
pub mod command;
pub mod completion;
pub mod context;
pub mod doorbell;
pub mod event;
pub mod init;
mod layout;
pub mod queue;
pub mod register;
pub mod work;

pub use command::Opcode;
pub use layout::{Bits, Described, Field, Layout, Nested, Octets, Part, Place, Tail, View};
