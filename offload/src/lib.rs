//! Which megaflow lives where.
//!
//! Software holds every megaflow, always. This room decides which of them a device holds as well,
//! gets them there and back, brings home what they counted, and can say of each why it is where
//! it is. It sees devices through [`hal::FlowDevice`] only, time through [`clock::Clock`] only,
//! and does nothing by itself: its owner calls [`Engine::run`] and does what the [`Event`]s say.
//!
//! ```text
//!   owner (upcalls, revalidation)                      devices (hal::FlowDevice)
//!     flow_added ─┐                                      ▲ submit     │ poll,
//!   flow_changed ─┤   ┌────────┐ want   ┌───────┐  Add   │            │ counters
//!   flow_removed ─┼──▶│ decide │───────▶│ drive │────────┘ Replace    │
//!        observe ─┘   └────────┘        └───────┘          Remove     │
//!                       ▲    │ place()    │  ▲                        │
//!                       │    ▼            │  └────────────────────────┘
//!                    reasons, plan        └──▶ Event::{Credit, Released}
//! ```
//!
//! Its words:
//!
//! * *Want*: the engine has decided that a flow should have a rule in a device. `decide` sets and
//!   takes it, `drive` moves the flow towards it, one operation at a time.
//! * *Plan*: what [`place`] answers, a pure function from rates, ages and a device's room to
//!   whom to admit and whom to evict. Elephants in, DNS queries out. With [`Admit::Always`] it is
//!   first come, first served.
//! * *Predecessor*: a flow whose recirculation leads to another. A flow goes into a device behind
//!   its predecessors and leaves before them.
//! * *Resume id*: what a device gives back with a packet for which it found no rule after a
//!   recirculation; [`Engine::resume_table`] knows what it stands for.
//! * *Credit*: what a rule has counted and nobody has been told of yet. Each packet is in one
//!   credit. A flow's last credit comes before its release.
//!
//! A flow leaves hardware before software: [`Engine::flow_removed`] answers whether it may go at
//! once; if not, [`Event::Released`] comes later. A device that fails is reset, later and later if
//! it keeps failing, and filled again from what software holds. One that cannot be reset counts
//! as holding nothing: there is nobody left to wait for.
#![forbid(unsafe_code)]

mod decide;
mod device;
mod drive;
mod engine;
mod face;
mod flow;
mod offers;
mod placement;
mod report;
mod resume;

pub use engine::Engine;
pub use face::{Admit, Event, Placement};
pub use placement::{Candidate, Place, Plan, Room, Settings, place};
pub use report::{DeviceReport, LatencyReport, Report, Stage};
