//! OpenFlow flow tables.
//!
//! A [`FlowTable`] is a value: cloning it takes no time and the clone does not see later changes,
//! so a reader holds a snapshot and a flow-mod stops no packet. [`Rule`]s are shared between
//! snapshots and carry their own counters.

mod classifier;
mod prefix;
mod rule;
mod subtable;

pub use classifier::FlowTable;
pub use prefix::{DEFAULT_PREFIX_FIELDS, MAX_PREFIX_FIELDS, is_prefix_field};
pub use rule::{Rule, RuleId, RuleStats, Timeouts};
