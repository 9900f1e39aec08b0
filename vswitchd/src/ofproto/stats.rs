//! What an OpenFlow switch tells when asked.

use super::flow_mod::{cookie_fits, outputs_to, uses_group};
use super::{Ofproto, TABLES};
use crate::backer::Backer;
use crate::table::Rule;
use crate::world::{PatchCounters, Port, PortTarget, port_config};
use clock::Time;
use hal::PortCounters;
use openflow::{
    AggregateStats, FlowStats, FlowStatsRequest, OfPort, PhyPort, PortStats, TableId, TableStats,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// OFPPS_LINK_DOWN and OFPPS_LIVE (OpenFlow 1.5.1 §7.2.1).
const LINK_DOWN: u32 = 1;
const LIVE: u32 = 4;

/// OpenFlow's form of a time span, in whole milliseconds as the original counts them.
pub fn duration(d: std::time::Duration) -> openflow::Duration {
    openflow::Duration {
        sec: u32::try_from(d.as_secs()).unwrap_or(u32::MAX - 1),
        nsec: d.subsec_millis() * 1_000_000,
    }
}

fn seconds(now: Time, then: Time) -> u16 {
    u16::try_from((now - then).as_secs()).unwrap_or(u16::MAX)
}

impl Ofproto {
    fn wanted(&self, backer: &mut Backer, request: &FlowStatsRequest) -> Vec<Arc<Rule>> {
        backer.push_all();
        let mut rules = self.select(backer, request.table.0, &request.matching);
        rules.retain(|r| {
            cookie_fits(r, request.cookie, request.cookie_mask)
                && outputs_to(&r.actions, request.out_port)
                && uses_group(&r.actions, request.out_group)
        });
        rules
    }

    /// Flow statistics.
    pub fn flow_stats(
        &self,
        backer: &mut Backer,
        request: &FlowStatsRequest,
        now: Time,
    ) -> Vec<FlowStats> {
        let one = |r: Arc<Rule>| FlowStats {
            matching: r.unpacked(),
            cookie: r.cookie,
            table: TableId(r.table),
            priority: r.priority as u16,
            idle_timeout: r.timeouts.idle,
            hard_timeout: r.timeouts.hard,
            duration: duration(now - r.created),
            idle_age: Some(seconds(
                now,
                r.stats.used().unwrap_or(r.created).max(r.created),
            )),
            hard_age: Some(seconds(now, r.modified)),
            packets: Some(r.stats.packets()),
            bytes: Some(r.stats.bytes()),
            flags: r.flags,
            importance: r.importance,
            actions: r.actions.to_vec(),
        };
        self.wanted(backer, request).into_iter().map(one).collect()
    }

    /// The sum over flows.
    pub fn aggregate(&self, backer: &mut Backer, request: &FlowStatsRequest) -> AggregateStats {
        let rules = self.wanted(backer, request);
        let sum = |f: fn(&Rule) -> u64| Some(rules.iter().map(|r| f(r)).sum());
        AggregateStats {
            packets: sum(|r| r.stats.packets()),
            bytes: sum(|r| r.stats.bytes()),
            flows: u32::try_from(rules.len()).unwrap_or(u32::MAX),
        }
    }

    /// Table statistics.
    pub fn table_stats(&self, backer: &mut Backer) -> Vec<TableStats> {
        backer.push_all();
        let one = |table: u8| {
            let counters = backer.table_counters.get(&(self.bridge, table));
            let counters = counters.copied().unwrap_or_default();
            let active = self.count(backer, table);
            TableStats {
                table,
                active: u32::try_from(active).unwrap_or(u32::MAX),
                lookups: counters.lookups,
                matched: counters.matched,
            }
        };
        (0..TABLES).map(one).collect()
    }

    /// Statistics of one port, or of all.
    pub fn port_stats(&self, backer: &Backer, wanted: OfPort) -> Vec<PortStats> {
        let Some(bridge) = backer.world.bridge(self.bridge) else {
            return Vec::new();
        };
        let ports = bridge.ports.values();
        let ports = ports.filter(|p| wanted == OfPort::NONE || p.number == wanted);
        ports.map(|p| port_stats(backer, p)).collect()
    }
}

/// What a port has moved, whatever it is.
pub fn counters_of(backer: &Backer, port: &Port) -> PortCounters {
    match &port.target {
        PortTarget::Datapath(number) => backer.datapath.counters(*number).unwrap_or_default(),
        PortTarget::Patch { counters, .. } => patch_counters(counters),
    }
}

fn patch_counters(c: &PatchCounters) -> PortCounters {
    let get = |x: &AtomicU64| x.load(Relaxed);
    PortCounters {
        rx_packets: get(&c.rx[0]),
        rx_bytes: get(&c.rx[1]),
        tx_packets: get(&c.tx[0]),
        tx_bytes: get(&c.tx[1]),
        ..PortCounters::default()
    }
}

fn port_stats(backer: &Backer, port: &Port) -> PortStats {
    let c = counters_of(backer, port);
    PortStats {
        port: port.number,
        rx_packets: c.rx_packets,
        tx_packets: c.tx_packets,
        rx_bytes: c.rx_bytes,
        tx_bytes: c.tx_bytes,
        rx_dropped: c.rx_dropped,
        tx_dropped: c.tx_dropped,
        rx_errors: c.rx_errors,
        tx_errors: c.tx_errors,
        rx_frame_err: c.rx_frame_errors,
        rx_over_err: c.rx_over_errors,
        rx_crc_err: c.rx_crc_errors,
        collisions: c.collisions,
        duration: None,
        rfc2819: None,
        custom: Vec::new(),
    }
}

/// A port's description: address, configuration, state and speed (OFPPF_* of OpenFlow 1.1).
pub fn port_description(backer: &Backer, port: &Port, bridge_mac: u64) -> PhyPort {
    let link = match &port.target {
        PortTarget::Datapath(number) => backer.datapath.link(*number).unwrap_or_default(),
        PortTarget::Patch { .. } => hal::LinkState {
            admin_up: true,
            carrier: true,
            mac: bridge_mac,
            ..Default::default()
        },
    };
    let down = if link.admin_up {
        0
    } else {
        port_config::PORT_DOWN
    };
    let kbps = |bits: u64| u32::try_from(bits / 1000).unwrap_or(u32::MAX);
    let mac = link.mac.to_be_bytes();
    PhyPort {
        port: port.number,
        hw_addr: [mac[2], mac[3], mac[4], mac[5], mac[6], mac[7]],
        name: port.name.to_string(),
        config: port.config | down,
        // A port that is switched off has no link, whatever its wire says.
        state: if link.admin_up && link.carrier {
            LIVE
        } else {
            LINK_DOWN
        },
        curr: link.current.bits().into(),
        advertised: link.advertised.bits().into(),
        supported: link.supported.bits().into(),
        peer: 0,
        curr_speed: kbps(link.speed),
        max_speed: kbps(link.supported.fastest()),
    }
}

/// The port as it is said to be before the last is known of its link: live only if it `may` be,
/// which no port is that is configured down or has no link.
pub fn link_settled(mut port: PhyPort, may: bool) -> PhyPort {
    let live = may && port.config & port_config::PORT_DOWN == 0 && port.state & LINK_DOWN == 0;
    port.state = port.state & !LIVE | if live { LIVE } else { 0 };
    port
}
