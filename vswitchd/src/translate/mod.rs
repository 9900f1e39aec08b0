//! Translation: one packet's walk through the OpenFlow tables.
//!
//! [`translate`] is a pure function from a [`World`](crate::world::World) and a packet to an [`Outcome`]:
//!
//! * *actions* and *mask*: together with the packet's key they are a megaflow. The mask has every
//!   bit that was looked at on the way, so that any packet that agrees on it would fare the same.
//! * *effects*: what should happen outside because this packet came (addresses learned). The
//!   caller applies them or drops them.
//! * *credits*: what this packet, and every later one of the megaflow, counts for. Statistics are
//!   pushed by replaying them, never by translating again.
//! * *depends*: versions of what was read. While they hold, so does the megaflow.
//!
//! The walk keeps two states of the packet: what the datapath's packet looks like at this point
//! (`base`) and what it should look like (`state`). Before each output the difference is
//! [`commit`](mod@commit)ted as datapath actions.

mod commit;
mod frozen;
mod input;
mod normal;
mod outcome;
mod output;
mod pipeline;
mod trace;

pub use frozen::{Carried, Frozen, FrozenTable, Interner};
pub use input::{Input, Start, translate};
pub use outcome::{Credit, Depend, Effect, Outcome};
pub use output::packet_in_metadata;
pub use trace::{Trace, TraceKind};
