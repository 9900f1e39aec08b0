//! Rules in the NIC: from the switch's words to flow tables, groups, entries and what they share.

mod actions;
mod matching;

pub use actions::{Change, Plan, Tag};
pub use matching::{Matching, Parameters};

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
