//! A NIC that can take some flows.

use crate::{
    Capabilities, DpPort, Epoch, FlowStats, PacketPort, PortError, Rule, RuleHandle, RuleKey,
    Ticket,
};
use clock::Time;
use std::sync::Arc;

/// What is asked of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleOp {
    /// Hold a new rule.
    Add {
        /// Orders it among the operations of one flow.
        key: RuleKey,
        /// The rule.
        rule: Rule,
    },
    /// Hold another rule instead, without a moment in which neither is there.
    Replace {
        /// Orders it.
        key: RuleKey,
        /// The rule that goes.
        handle: RuleHandle,
        /// The rule that comes.
        rule: Rule,
    },
    /// Let a rule go.
    Remove {
        /// Orders it.
        key: RuleKey,
        /// The rule.
        handle: RuleHandle,
    },
}

impl RuleOp {
    /// The rule that it takes away.
    pub fn handle(&self) -> Option<RuleHandle> {
        match self {
            RuleOp::Add { .. } => None,
            RuleOp::Replace { handle, .. } | RuleOp::Remove { handle, .. } => Some(*handle),
        }
    }

    /// The key that orders it.
    pub fn key(&self) -> RuleKey {
        match self {
            RuleOp::Add { key, .. } | RuleOp::Replace { key, .. } | RuleOp::Remove { key, .. } => {
                *key
            }
        }
    }
}

/// A rule that is now held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its handle.
    pub handle: RuleHandle,
    /// What the rule that it replaced has carried, if it replaced one.
    pub replaced: Option<Counter>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is held.
    Installed(Installed),
    /// The rule is gone; its last reading.
    Removed(Counter),
    /// Nothing changed.
    Failed(RuleError),
    /// The device was reset before it got to it; it holds no rule.
    Lost,
}

/// An operation that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Which.
    pub ticket: Ticket,
    /// How.
    pub outcome: Outcome,
}

/// Why a device would not hold a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// All slots are taken.
    #[error("rule table full")]
    TableFull,
    /// The handle's rule is gone.
    #[error("stale rule handle")]
    Stale,
    /// The rule is not within the capabilities.
    #[error("unsupported rule: {0}")]
    Unsupported(String),
    /// The device reports a fault.
    #[error("{0}")]
    Fault(String),
}

/// What a rule has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the last came, as well as the device can tell; none = never.
    pub used: Option<Time>,
}

impl Counter {
    /// What has been added since `before`, an earlier reading of the same rule.
    pub fn since(&self, before: &Counter) -> FlowStats {
        FlowStats {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            used: self.used,
            tcp_flags: 0,
        }
    }
}

/// What a rule had carried when a reset took it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastReading {
    /// The key of the operation that brought the rule in.
    pub key: RuleKey,
    /// The rule.
    pub handle: RuleHandle,
    /// Its last reading.
    pub counter: Counter,
}

/// The device does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{device}: {what}")]
pub struct DeviceError {
    /// Which device.
    pub device: String,
    /// What it said, or did not say.
    pub what: String,
}

/// How full and how fast a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStats {
    /// Rules held.
    pub rules: usize,
    /// Operations in flight.
    pub in_flight: usize,
    /// Packets that a rule forwarded.
    pub hits: u64,
    /// Packets handed to software.
    pub misses: u64,
    /// Shared objects (rewrites, counters, encapsulations) held.
    pub shared_objects: usize,
}

/// A NIC that can take some flows off a datapath's hands.
///
/// It is a contract; each clause is a test that every device runs:
///
/// 1. Operations with one [`RuleKey`] take effect first in, first out.
/// 2. [`RuleOp::Replace`] makes before it breaks: no packet sees neither rule.
/// 3. A [`RuleHandle`] has a generation. An operation on a handle whose rule is gone fails with
///    [`RuleError::Stale`] and touches nothing.
/// 4. A full queue gives the operation back unchanged.
/// 5. Equal shared objects exist once, and go when the last rule that uses them goes.
/// 6. A rule's counter never falls while its handle lives, and its last reading comes with the
///    removal, so that no packet is forgotten.
/// 7. A reset raises the [`Epoch`]; operations of an older epoch complete as [`Outcome::Lost`],
///    exactly once, and no rule survives. A reset that was asked for answers with the last
///    readings of the rules that it takes away, those of operations whose end nobody has heard of
///    included, as far as the device can still tell.
/// 8. Each accepted operation completes exactly once.
pub trait FlowDevice: Send {
    /// The device's name, for people.
    fn name(&self) -> &str;

    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// How often it has been reset.
    fn epoch(&self) -> Epoch;

    /// Asks for something; a full queue gives it back.
    fn submit(&mut self, op: RuleOp) -> Result<Ticket, RuleOp>;

    /// Appends what has ended since the last call. An error says that the device does not work
    /// until [`FlowDevice::reset`].
    fn poll(&mut self, done: &mut Vec<Completion>) -> Result<(), DeviceError>;

    /// Appends the counters of all rules held.
    fn read_counters(&mut self, out: &mut Vec<(RuleHandle, Counter)>) -> Result<(), DeviceError>;

    /// Forgets all rules and begins a new epoch.
    fn reset(&mut self) -> Result<Vec<LastReading>, DeviceError>;

    /// Opens one of the device's ports; `wire` says what its far side is connected to, for
    /// devices that have no sockets on a bracket.
    fn open_port(
        &mut self,
        port: &str,
        wire: Option<&str>,
    ) -> Result<Arc<dyn PacketPort>, PortError>;

    /// Tells the device the number that the datapath has given to a port. None takes it away.
    fn bind_port(&mut self, port: &str, number: Option<DpPort>);

    /// How full and how fast it is.
    fn stats(&self) -> DeviceStats;
}
