//! The hardware abstraction layer: what a switch asks of whatever moves its packets.
//!
//! Three traits, because three things differ:
//!
//! * [`Datapath`] is a complete switch fabric: ports, flows, upcalls, execution. The software
//!   cache is one; the Linux kernel's module is another.
//! * [`FlowDevice`] is a NIC that can take *some* flows off a datapath's hands. It is a contract
//!   (see its page) rather than a shape, and every device runs the same tests of it.
//! * [`PacketPort`] moves batches of frames in and out: a tap, a packet socket, the queues of a
//!   NIC's representor. Whoever polls it knows no device.
//!
//! Their common words: a [`Rule`] is a match, a list of `(field, value, mask)` over the field
//! table, and [`Action`]s. [`Capabilities`] is what a device says of itself, as data;
//! [`Capabilities::check`] answers with a [`Cost`] or with the one [`Reason`] why not. A packet
//! that a device could not finish comes back as a *miss* whose [`RxMeta`] says where it entered
//! and, through a [`ResumeId`], how far it got.
//!
//! ```text
//!            Datapath                         FlowDevice
//!   ports ── flows ── upcalls        rules ── completions ── counters
//!     │                                 ▲                       │
//!  PacketPort  ◀──── misses (RxMeta) ───┘        offload ◀──────┘
//! ```
#![deny(unsafe_code)]

mod action;
mod capability;
mod datapath;
mod device;
mod id;
pub mod pci;
mod port;
mod reason;
mod representor;
mod rule;
pub mod text;

pub use action::{Action, ControllerCookie, HashAlgorithm, SlowPath, UserCookie};
pub use capability::{ActionSet, Capabilities, Cost, FieldSet, TableCapabilities};
pub use datapath::{
    Datapath, DatapathError, DatapathStats, Execute, FlowEntry, FlowPut, FlowStats, PortBackend,
    PortInfo, Upcall, UpcallKind, Work,
};
pub use device::{
    Completion, Counter, DeviceError, DeviceStats, FlowDevice, Installed, LastReading, Outcome,
    RuleError, RuleOp,
};
pub use id::{DpPort, Epoch, RecircId, ResumeId, RuleHandle, RuleKey, Ticket, Ufid};
pub use port::{
    BATCH, DeviceEvent, DeviceWatch, LinkModes, LinkState, PacketPort, PollClass, PortCounters,
    PortError, ResumeTable, RxBatch, RxMeta, RxQueue, TxQueue,
};
pub use reason::Reason;
pub use representor::{Representor, Tally};
pub use rule::{MatchField, Rule};
