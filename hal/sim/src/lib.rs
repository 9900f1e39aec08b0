//! A simulated NIC: an embedded switch with a face of a [`FlowDevice`](hal::FlowDevice).
//!
//! The NIC has ports: `pf0`, its physical function, and virtual functions `vf0`, `vf1`, ... The
//! far side of a port is a *wire*: a tap, a device of the host, a pair of capture files. The near
//! side is the port's *representor*: what software sees of it.
//!
//! ```text
//!    wires              embedded switch                     software
//!   tap, packet,   ┌──────────────────────────┐
//!   pcap      ────▶│ parse ─▶ stage 0 ─▶ steps │──▶ wires
//!                  │   ▲         │        │    │
//!                  │   └──recirc─┼────────┘    │
//!                  │             ▼ miss        │──▶ representor of the port of entry (RxMeta)
//!                  └──────────────────────────┘
//!        wire of the port ◀─────────────────────────── representor, sent by software
//! ```
//!
//! A frame that comes in from a wire is parsed and looked for among the rules of stage 0. A rule's
//! steps rewrite it, send it out of ports, or send it on to another stage. What no rule of a stage
//! matches goes to software: in stage 0 as it came, later as it is by then, with the
//! [`ResumeId`](hal::ResumeId) of the rule that sent it there. What software sends on a
//! representor goes out of that port's wire and meets no rule.
//!
//! The switch has its own parser, its own match registers and its own editing; of the room
//! `packet` it uses the field table's names and the buffer. So it can be a witness: where it and
//! the software cache agree, they agree for different reasons.
//!
//! * [`SimDevice`] is the NIC, what it can do comes from [`Profile`], how it is set up and what
//!   goes wrong from [`Settings`].
//! * [`Fabric`] moves the frames, on a thread of the device's or turn by turn in a test.
//! * [`MemoryWire`] is a test's end of a wire (`memory:NAME`).
//! * [`switch`] is the core that other faces of the NIC drive too.
//! * [`contract`] is the contract of [`FlowDevice`](hal::FlowDevice), clause by clause, for any
//!   device to be held to.
//!
//! ```
//! use clock::Clock;
//! use hal::{DpPort, FlowDevice};
//! use hal_sim::{MemoryWire, Settings, SimDevice};
//! use packet::Packet;
//!
//! let mut nic = SimDevice::stepped("nic0", Settings::default(), Clock::stopped_at(0))?;
//! let wire = MemoryWire::new("example");
//! let port = nic.open_port("vf0", Some("memory:example"))?;
//! nic.bind_port("vf0", Some(DpPort(1)));
//! wire.send(Packet::from_frame(&[0; 60]));
//! nic.fabric().turn();
//! assert_eq!(nic.stats().misses, 1); // No rule: it waits at the representor.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

pub mod connectx;
pub mod contract;
mod control;
mod device;
mod fabric;
mod objects;
mod port;
mod profile;
mod serve;
mod settings;
pub mod switch;
mod wire;

pub use device::SimDevice;
pub use fabric::Fabric;
pub use profile::Profile;
pub use serve::{listen, serve, serve_on};
pub use settings::{Faults, Settings, SettingsError};
pub use wire::MemoryWire;
