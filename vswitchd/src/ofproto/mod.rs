//! The OpenFlow switch that a bridge is: flows come, change, are told about, and expire.
//!
//! Everything here works on a [`Backer`]'s world and answers with values; who is connected is the
//! business of [`controller`](crate::controller).

mod flow_mod;
mod hidden;
mod stats;
mod tables;

pub use flow_mod::check_possible;
pub use stats::{counters_of, duration, link_settled, port_description};
pub use tables::FlowTableConfig;

use crate::table::{FlowTable, Rule, RuleId};
use crate::world::BridgeId;
use clock::Time;
use openflow::{FlowRemovedReason, OfPort, PhyPort, PortReason, PortStatus};
use packet::Match;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backer::Backer;

/// Tables that controllers may use: 0 to 253.
pub const TABLES: u8 = 254;

/// Something to tell controllers unasked.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A flow that asked for it is gone.
    FlowRemoved(Box<openflow::FlowRemoved>),
    /// A port came, went or changed.
    Port(Box<PortNews>),
}

/// What became of a port.
#[derive(Clone, Debug)]
pub struct PortNews {
    /// How it is now.
    pub status: PortStatus,
    /// As it was last told of.
    pub before: Option<PhyPort>,
    /// Somebody asked for it by a port-mod.
    pub asked_for: bool,
}

/// The OpenFlow side of a bridge.
pub struct Ofproto {
    /// The bridge.
    pub bridge: BridgeId,
    /// The switch's identity.
    pub datapath_id: u64,
    /// What description statistics say of the datapath.
    pub dp_desc: Option<String>,
    /// How tables are set up, where that is not as usual.
    tables: BTreeMap<u8, tables::TableSetup>,
    /// Rules that go by themselves.
    timed: BTreeMap<RuleId, Arc<Rule>>,
    next_rule: u64,
    notices: Vec<Notice>,
    /// Ports as they were last told of.
    told: BTreeMap<OfPort, PhyPort>,
    next_expiry: Time,
    /// OFPPC_* bits that controllers have set, by port.
    pub port_config: BTreeMap<OfPort, u32>,
}

impl Ofproto {
    /// The OpenFlow side of a bridge, without flows.
    pub fn new(bridge: BridgeId, datapath_id: u64) -> Ofproto {
        Ofproto {
            bridge,
            datapath_id,
            dp_desc: None,
            tables: BTreeMap::new(),
            timed: BTreeMap::new(),
            next_rule: 0,
            notices: Vec::new(),
            told: BTreeMap::new(),
            next_expiry: Time::ZERO,
            port_config: BTreeMap::new(),
        }
    }

    /// What controllers must be told since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Tells controllers what became of a port.
    pub fn tell_port(&mut self, reason: PortReason, port: PhyPort) {
        self.tell(PortStatus { reason, port }, false);
    }

    /// Tells controllers of a port that some controller's port-mod has changed.
    pub fn tell_port_mod(&mut self, port: PhyPort) {
        let reason = PortReason::Modify;
        self.tell(PortStatus { reason, port }, true);
    }

    fn tell(&mut self, status: PortStatus, asked_for: bool) {
        let port = status.port.port;
        let before = match status.reason {
            PortReason::Delete => self.told.remove(&port),
            _ => self.told.insert(port, status.port.clone()),
        };
        self.notices.push(Notice::Port(Box::new(PortNews {
            status,
            before,
            asked_for,
        })));
    }

    /// Tells controllers how a port is, unless they were told exactly that. Whether they were not.
    pub fn tell_if_changed(&mut self, port: PhyPort) -> bool {
        let changed = self.told.get(&port.port) != Some(&port);
        if changed {
            self.tell_port(PortReason::Modify, port);
        }
        changed
    }

    /// When rules are to be looked at for their timeouts; never if none has one.
    pub fn next_deadline(&self) -> Time {
        if self.timed.is_empty() {
            Time::NEVER
        } else {
            self.next_expiry
        }
    }

    /// Ends rules whose time is up. Looks once a second.
    pub fn expire(&mut self, backer: &mut Backer, now: Time) {
        if self.timed.is_empty() || now < self.next_expiry {
            return;
        }
        self.next_expiry = now + std::time::Duration::from_secs(1);
        let due = |r: &Arc<Rule>| r.expires().is_some_and(|(at, _)| at <= now);
        if !self.timed.values().any(due) {
            return;
        }
        // A packet that the datapath has counted but nobody has told us about keeps a rule alive.
        backer.push_all();
        let gone: Vec<(Arc<Rule>, bool)> = self
            .timed
            .values()
            .filter_map(|r| {
                r.expires()
                    .filter(|e| e.0 <= now)
                    .map(|(_, idle)| (r.clone(), idle))
            })
            .collect();
        for (rule, idle) in gone {
            let reason = if idle {
                FlowRemovedReason::IDLE_TIMEOUT
            } else {
                FlowRemovedReason::HARD_TIMEOUT
            };
            self.remove_rule(backer, &rule, reason, now);
        }
    }

    /// Removes all flows, without telling anyone.
    pub fn flush(&mut self, backer: &mut Backer) {
        if let Some(b) = backer.world.bridge_mut(self.bridge) {
            let tables: Vec<u8> = b.tables.keys().copied().collect();
            for t in tables {
                // The version must go on growing, so that nothing translated before holds.
                if let Some(table) = b.tables.get_mut(&t) {
                    table.clear();
                }
            }
        }
        self.timed.clear();
        backer.touch();
    }

    fn table<'b>(&self, backer: &'b mut Backer, table: u8) -> Option<&'b mut FlowTable> {
        let bridge = backer.world.bridge_mut(self.bridge)?;
        Some(bridge.tables.entry(table).or_default())
    }

    /// Flows at least as narrow as `matching`, in the order in which people read them.
    fn select(&self, backer: &Backer, table: u8, matching: &Match) -> Vec<Arc<Rule>> {
        let Some(bridge) = backer.world.bridge(self.bridge) else {
            return Vec::new();
        };
        let tables = bridge
            .tables
            .iter()
            .filter(|(t, _)| table == 255 || **t == table);
        let rules = tables.flat_map(|(_, t)| t.within(matching));
        let mut rules: Vec<Arc<Rule>> = rules.filter(|r| !r.is_hidden()).cloned().collect();
        rules.sort_by_key(|r| (r.table, std::cmp::Reverse(r.priority), r.id));
        rules
    }
}
