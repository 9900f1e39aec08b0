//! Everything that translation reads, as one immutable value.
//!
//! The control thread owns the current [`World`] and changes it; whoever translates holds a
//! clone. A clone takes no time: all parts are shared, and a change copies only what it touches.

use crate::mac::{MacKey, MacTable};
use crate::table::FlowTable;
use crate::translate::FrozenTable;
use hal::DpPort;
use imbl::OrdMap;
use openflow::{OfPort, TableMiss};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Names a bridge for as long as the switch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId(pub u32);

/// Names a port in the database's sense (one or more interfaces with one VLAN configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(pub u32);

/// What a bridge does with packets when it has no controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailMode {
    /// It switches by learned addresses.
    #[default]
    Standalone,
    /// It does what its flows say, and drops the rest.
    Secure,
}

/// How fragments are looked up (OpenFlow's OFPC_FRAG_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FragHandling {
    /// As if all fragments had ports of zero.
    #[default]
    Normal,
    /// They are dropped.
    Drop,
    /// First fragments have their ports (Nicira).
    NxMatch,
}

/// How a port's traffic is divided into VLANs (ovs-vswitchd.conf.db(5), `vlan_mode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlanMode {
    /// All of it is in one VLAN and has no tag.
    Access(u16),
    /// Tagged; untagged packets are in VLAN 0.
    Trunk,
    /// Tagged; untagged packets are in this VLAN, whose packets leave tagged.
    NativeTagged(u16),
    /// Tagged; untagged packets are in this VLAN, whose packets leave untagged.
    NativeUntagged(u16),
}

/// When packets without a VLAN leave with a tag that has only a priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorityTags {
    /// Never.
    #[default]
    Never,
    /// When the priority is not zero.
    IfNonzero,
    /// Always.
    Always,
}

/// A set of VLANs; empty = all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VlanSet(Vec<u16>);

impl VlanSet {
    /// The set of these VLANs; none = all.
    pub fn new(mut vlans: Vec<u16>) -> VlanSet {
        vlans.sort_unstable();
        vlans.dedup();
        VlanSet(vlans)
    }

    /// Whether `vlan` is in it.
    pub fn has(&self, vlan: u16) -> bool {
        self.0.is_empty() || self.0.binary_search(&vlan).is_ok()
    }

    /// The VLANs named; none = all.
    pub fn named(&self) -> &[u16] {
        &self.0
    }
}

/// Interfaces with one VLAN configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its name in the database.
    pub name: Arc<str>,
    /// How VLANs are told apart.
    pub mode: VlanMode,
    /// Which VLANs may pass, in the modes that have tags.
    pub trunks: VlanSet,
    /// Tags with only a priority.
    pub priority_tags: PriorityTags,
    /// Nothing passes between two protected ports.
    pub protected: bool,
    /// Its interfaces.
    pub ports: Vec<OfPort>,
}

/// Bits of a port's OpenFlow configuration (OFPPC_*).
pub mod port_config {
    #![allow(missing_docs)]
    pub const PORT_DOWN: u32 = 1;
    pub const NO_RECV: u32 = 1 << 2;
    pub const NO_FLOOD: u32 = 1 << 4;
    pub const NO_FWD: u32 = 1 << 5;
    pub const NO_PACKET_IN: u32 = 1 << 6;
}

/// What a port that exists only inside the switch has moved.
#[derive(Debug, Default)]
pub struct PatchCounters {
    /// Packets and bytes in.
    pub rx: [AtomicU64; 2],
    /// Packets and bytes out.
    pub tx: [AtomicU64; 2],
}

/// Where a port leads.
#[derive(Clone, Debug)]
pub enum PortTarget {
    /// Out of the switch.
    Datapath(DpPort),
    /// Into another bridge (or back into this one); none while the peer is missing.
    Patch {
        /// The bridge and port on the other side.
        peer: Option<(BridgeId, OfPort)>,
        /// What it has moved.
        counters: Arc<PatchCounters>,
    },
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: Arc<str>,
    /// Its OpenFlow number.
    pub number: OfPort,
    /// Where it leads.
    pub target: PortTarget,
    /// Its VLAN configuration.
    pub bundle: BundleId,
    /// OFPPC_* bits.
    pub config: u32,
}

/// A bridge.
#[derive(Clone)]
pub struct Bridge {
    /// Which.
    pub id: BridgeId,
    /// Its name.
    pub name: Arc<str>,
    /// Tables with rules in them.
    pub tables: OrdMap<u8, FlowTable>,
    /// What tables do with packets that they have no rule for, where a controller has said so.
    pub misses: OrdMap<u8, TableMiss>,
    /// Interfaces by OpenFlow number.
    pub ports: OrdMap<OfPort, Arc<Port>>,
    /// VLAN configurations.
    pub bundles: OrdMap<BundleId, Arc<Bundle>>,
    /// Learned addresses.
    pub macs: MacTable,
    /// What happens without a controller.
    pub fail_mode: FailMode,
    /// How fragments are looked up.
    pub frag: FragHandling,
    /// Whether some controller wants to see packets that no flow matches.
    pub miss_to_controller: bool,
    /// Whether packets to reserved addresses are switched like others.
    pub forward_bpdu: bool,
    /// VLANs in which nothing is learned.
    pub flood_vlans: Arc<[u16]>,
    /// Grows with every change of anything above but tables and addresses.
    pub config_version: u64,
}

impl Bridge {
    /// A bridge without anything.
    pub fn new(id: BridgeId, name: &str) -> Bridge {
        Bridge {
            id,
            name: name.into(),
            tables: OrdMap::new(),
            misses: OrdMap::new(),
            ports: OrdMap::new(),
            bundles: OrdMap::new(),
            macs: MacTable::default(),
            fail_mode: FailMode::default(),
            frag: FragHandling::default(),
            miss_to_controller: false,
            forward_bpdu: false,
            flood_vlans: Arc::new([]),
            config_version: 0,
        }
    }

    /// A table's version; 0 for one that has never had a rule.
    pub fn table_version(&self, table: u8) -> u64 {
        self.tables.get(&table).map_or(0, FlowTable::version)
    }

    /// A port's VLAN configuration.
    pub fn bundle_of(&self, port: OfPort) -> Option<(BundleId, &Arc<Bundle>)> {
        let id = self.ports.get(&port)?.bundle;
        Some((id, self.bundles.get(&id)?))
    }

    /// The name of a port, for people.
    pub fn port_name(&self, port: OfPort) -> String {
        match self.ports.get(&port) {
            Some(p) => p.name.to_string(),
            None => port.to_string(),
        }
    }
}

/// Everything that translation reads.
#[derive(Clone, Default)]
pub struct World {
    /// Bridges.
    pub bridges: BTreeMap<BridgeId, Arc<Bridge>>,
    /// To which bridge and port a datapath's port belongs.
    pub dp_ports: OrdMap<DpPort, (BridgeId, OfPort)>,
    /// What recirculated packets go on with.
    pub frozen: FrozenTable,
}

impl World {
    /// A bridge.
    pub fn bridge(&self, id: BridgeId) -> Option<&Arc<Bridge>> {
        self.bridges.get(&id)
    }

    /// A bridge by name.
    pub fn bridge_named(&self, name: &str) -> Option<&Arc<Bridge>> {
        self.bridges.values().find(|b| *b.name == *name)
    }

    /// A bridge, to be changed.
    pub fn bridge_mut(&mut self, id: BridgeId) -> Option<&mut Bridge> {
        self.bridges.get_mut(&id).map(Arc::make_mut)
    }

    /// Forgets the addresses that were learned on a port. Their stations may turn up anywhere, so
    /// what the other bridges know of them is no longer true either.
    pub fn forget_stations(&mut self, bridge: BridgeId, port: OfPort) {
        let Some(b) = self.bridge_mut(bridge) else {
            return;
        };
        let keys = b.macs.flush(Some(port));
        let knows = |b: &Bridge, key: &MacKey| b.macs.get(*key).is_some_and(|e| !e.is_static);
        for other in self.bridges.clone().keys().filter(|id| **id != bridge) {
            let known = self.bridge(*other).map(|b| {
                let known = keys.iter().filter(|key| knows(b, key));
                known.copied().collect::<Vec<_>>()
            });
            // A bridge that nothing changes in stays shared with its snapshots.
            for key in known.unwrap_or_default() {
                if let Some(b) = self.bridge_mut(*other) {
                    b.macs.forget(key);
                }
            }
        }
    }
}
