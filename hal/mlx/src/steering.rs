//! Rules in the NIC: from the switch's words to flow tables, groups, entries and what they share.

use hal::RecircId;

mod actions;
mod counters;
mod fixed;
mod groups;
mod layers;
mod matching;
mod operations;
mod rewrites;
mod rules;

pub use actions::{Change, Plan, Tag};
pub use counters::{Bulk, CounterId, Counters, Raw};
pub use fixed::{Action, FixedGroup, NewTable, set_root};
pub use groups::{FlowIndex, Table, TableId};
pub use matching::Parameters;
pub use operations::Operations;
pub use rewrites::ModifyHeaderId;

/// A port of the e-switch: 0 is the function that manages it, 1 and on are virtual functions,
/// 0xffff the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VportId(pub u16);

impl VportId {
    /// The function that manages the e-switch.
    pub const MANAGER: VportId = VportId(0);
    /// The port on the bracket.
    pub const UPLINK: VportId = VportId(0xffff);
}

/// A stage of the pipeline: a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub usize);

impl StageId {
    /// The stage of packets that have just arrived, or that of all others.
    pub fn of(recirc: RecircId) -> StageId {
        StageId(usize::from(recirc.0 != 0))
    }
}
