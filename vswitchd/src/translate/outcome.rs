//! What translation answers.

use super::trace::Trace;
use crate::mac::MacKey;
use crate::table::Rule;
use crate::world::{BridgeId, PatchCounters, World};
use clock::Time;
use hal::{Action, RecircId, SlowPath};
use openflow::OfPort;
use packet::FlowMask;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Something outside that should happen because the packet came.
///
/// Packets for controllers are not among them: the datapath hands each such packet up, the first
/// one too, with a cookie that says what to tell.
#[derive(Clone, Debug)]
pub enum Effect {
    /// An address was seen somewhere new.
    Learn {
        /// The bridge.
        bridge: BridgeId,
        /// The address.
        key: MacKey,
        /// The port.
        port: OfPort,
    },
}

/// What packets of a megaflow count for.
#[derive(Clone, Debug)]
pub enum Credit {
    /// A rule.
    Rule(Arc<Rule>),
    /// A table's lookups and, if it had a rule, its matches.
    Table {
        /// The bridge.
        bridge: BridgeId,
        /// The table.
        table: u8,
        /// Whether a rule was found.
        matched: bool,
    },
    /// A patch port that the packet left by, and the one that it came in by on the other side.
    Patch {
        /// Sent there.
        tx: Arc<PatchCounters>,
        /// Received there.
        rx: Arc<PatchCounters>,
    },
    /// A learned address stays young.
    Mac {
        /// The bridge.
        bridge: BridgeId,
        /// The address.
        key: MacKey,
        /// The port.
        port: OfPort,
    },
}

impl Credit {
    /// Counts packets, the last of which came at `used`. Tables are counted by the caller.
    pub fn push(&self, world: &World, packets: u64, bytes: u64, used: Option<Time>) {
        let add = |to: &[AtomicU64; 2]| {
            to[0].fetch_add(packets, Relaxed);
            to[1].fetch_add(bytes, Relaxed);
        };
        match self {
            Credit::Rule(rule) => rule.stats.add(packets, bytes, used),
            Credit::Table { .. } => {}
            Credit::Patch { tx, rx } => {
                add(&tx.tx);
                add(&rx.rx);
            }
            Credit::Mac { bridge, key, port } => {
                if let (Some(bridge), Some(used)) = (world.bridge(*bridge), used) {
                    bridge.macs.refresh(*key, *port, used);
                }
            }
        }
    }
}

/// A version of something that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depend {
    /// A bridge's configuration.
    Config(BridgeId, u64),
    /// A table.
    Table(BridgeId, u8, u64),
    /// Where an address is; none = not known.
    Mac(BridgeId, MacKey, Option<OfPort>),
}

impl Depend {
    /// Whether the thing is still as it was.
    pub fn holds(&self, world: &World) -> bool {
        match *self {
            Depend::Config(id, version) => world
                .bridge(id)
                .is_some_and(|b| b.config_version == version),
            Depend::Table(id, table, version) => world
                .bridge(id)
                .is_some_and(|b| b.table_version(table) == version),
            Depend::Mac(id, key, port) => {
                let found = world.bridge(id).and_then(|b| b.macs.get(key));
                found.map(|e| e.port) == port
            }
        }
    }
}

/// What translation answers.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Steps for the datapath.
    pub actions: Vec<Action>,
    /// What was looked at.
    pub mask: FlowMask,
    /// What should happen outside.
    pub effects: Vec<Effect>,
    /// What packets count for.
    pub credits: Vec<Credit>,
    /// What was read.
    pub depends: Vec<Depend>,
    /// Why every packet of the flow must come up, if so.
    pub slow: Option<SlowPath>,
    /// Frozen states that the actions refer to.
    pub frozen: Vec<RecircId>,
    /// The packet as it was at the end.
    pub last: packet::FlowState,
    /// The walk, for people, if it was asked for.
    pub trace: Trace,
    /// Why the packet was dropped in the middle, if it was.
    pub error: Option<String>,
}

impl Outcome {
    /// The mask of the megaflow: what was looked at, and whether there is a tag, which a datapath
    /// cannot leave open.
    pub fn megaflow_mask(&self) -> FlowMask {
        let mut mask = self.mask.clone();
        let tci = packet::slots::VLAN_TCI;
        if tci.get(&mask.words) == 0 {
            tci.set(&mut mask.words, 0x1fff);
        }
        mask
    }
}
