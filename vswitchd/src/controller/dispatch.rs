//! What each message does.

use super::Controllers;
use super::connection::{Connection, ConnectionKind, default_async};
use crate::backer::Backer;
use crate::ofproto::{TABLES, check_possible, duration, link_settled, port_description};
use crate::switch::{BridgeState, Switch};
use crate::world::{FragHandling, Port, port_config};
use daemon::log::{Level, RateLimit};
use openflow::action::check::{Limits, check_for};
use openflow::{
    AsyncConfig, Desc, Features, FlowMod, Message, OfError, OfPort, PacketOut, PhyPort, PortMod,
    PortStats, Protocol, QueueConfig, QueueStats, Role, RoleRequest, SwitchConfig, TableId,
    Version, Xid,
};
use std::sync::Arc;

/// Bytes of a statistics reply that are sent in one message.
const REPLY_LIMIT: usize = 60_000;
/// Bytes that no message exceeds.
const MESSAGE_LIMIT: usize = u16::MAX as usize;

/// Carries a message out and answers it.
pub(super) fn dispatch(
    c: &mut Connection,
    bytes: &[u8],
    switch: &mut Switch,
    all: &mut Controllers,
) {
    match openflow::decode_with(bytes, c.session.decoding) {
        Err(e) => {
            for note in &e.notes {
                static LIMIT: RateLimit = RateLimit::new(1, 5);
                if !note.limited || LIMIT.passes(note.module, Level::Warn) {
                    daemon::log::line(note.module, Level::Warn, &note.text);
                }
            }
            c.error(e.error, bytes);
        }
        Ok((version, xid, message)) => {
            if Some(version) != c.version() && !matches!(message, Message::Hello { .. }) {
                return c.error(OfError::OFPBRC_BAD_VERSION, bytes);
            }
            c.session.expects_more = has_more_parts(bytes);
            if let Err(error) = handle(c, xid, message, switch, all) {
                c.error(error, bytes);
            }
        }
    }
}

/// Whether another part of the same multipart request follows (OpenFlow 1.3.5 §7.3.5).
fn has_more_parts(bytes: &[u8]) -> bool {
    const OFPT_MULTIPART_REQUEST: u8 = 18;
    let since13 = bytes.first().is_some_and(|v| *v >= Version::Of13.wire());
    since13
        && bytes.get(1) == Some(&OFPT_MULTIPART_REQUEST)
        && bytes.get(11).is_some_and(|f| f & 1 != 0)
}

fn is_write(message: &Message) -> bool {
    matches!(
        message,
        Message::FlowMod(_) | Message::PacketOut(_) | Message::PortMod(_) | Message::TableMod(_)
    )
}

fn handle(
    c: &mut Connection,
    xid: Xid,
    message: Message,
    switch: &mut Switch,
    all: &mut Controllers,
) -> Result<(), OfError> {
    use Message as M;
    let now = switch.clock().now();
    if c.session.role == Role::Secondary && is_write(&message) {
        return Err(OfError::OFPBRC_IS_SECONDARY);
    }
    let bridge_name = c.bridge.clone();
    let Some((bridge, backer)) = switch.bridge_mut(&bridge_name) else {
        return Ok(());
    };
    match message {
        M::Hello { .. } | M::Error(_) | M::EchoReply(_) => {}
        M::EchoRequest(data) => c.reply(xid, &M::EchoReply(data)),
        M::FeaturesRequest => {
            let features = features(c, bridge, backer);
            c.reply(xid, &M::FeaturesReply(features));
        }
        M::GetConfigRequest => {
            let frag = match frag_of(bridge, backer) {
                FragHandling::Normal => 0,
                FragHandling::Drop => 1,
                FragHandling::NxMatch => 3,
            };
            let miss_send_len = c.session.miss_send_len;
            let config = SwitchConfig {
                frag,
                invalid_ttl_to_controller: Some(c.session.invalid_ttl),
                miss_send_len,
            };
            c.reply(xid, &M::GetConfigReply(config));
        }
        M::SetConfig(config) => {
            c.session.miss_send_len = config.miss_send_len;
            if let Some(wanted) = config.invalid_ttl_to_controller {
                c.set_invalid_ttl(wanted);
            }
            let frag = match config.frag {
                0 => Some(FragHandling::Normal),
                1 => Some(FragHandling::Drop),
                3 => Some(FragHandling::NxMatch),
                _ => None,
            };
            if let Some(frag) = frag.filter(|f| *f != frag_of(bridge, backer))
                && let Some(b) = backer.world.bridge_mut(bridge.id)
            {
                b.frag = frag;
                b.config_version += 1;
                backer.touch();
            }
        }
        M::FlowMod(fm) => flow_mod(c, bridge, backer, *fm, now)?,
        M::PacketOut(out) => packet_out(c, bridge, backer, *out)?,
        M::PortMod(pm) => port_mod(bridge, backer, &pm)?,
        M::TableMod(tm) => bridge.ofproto.table_mod(backer, &tm)?,
        M::BarrierRequest => c.reply(xid, &M::BarrierReply),
        M::DescRequest => {
            let desc = Desc {
                manufacturer: "Nicira, Inc.".into(),
                hardware: "Open vSwitch".into(),
                software: daemon::options::OVS_VERSION.into(),
                serial: "None".into(),
                datapath: bridge
                    .ofproto
                    .dp_desc
                    .clone()
                    .unwrap_or_else(|| "None".into()),
            };
            c.reply(xid, &M::DescReply(desc));
        }
        M::FlowStatsRequest(request) => {
            let flows = bridge.ofproto.flow_stats(backer, &request, now);
            let nicira = request.nicira;
            reply_parts(c, xid, flows, &|flows, more| M::FlowStatsReply {
                flows,
                more,
                nicira,
            });
        }
        M::AggregateRequest(request) => {
            let stats = bridge.ofproto.aggregate(backer, &request);
            c.reply(
                xid,
                &M::AggregateReply {
                    stats,
                    nicira: request.nicira,
                },
            );
        }
        M::TableStatsRequest => {
            let tables = bridge.ofproto.table_stats(backer);
            let features = bridge.ofproto.table_features(backer);
            let tables: Vec<_> = tables.into_iter().zip(features).collect();
            reply_parts(c, xid, tables, &|tables, more| M::TableStatsReply {
                tables,
                more,
            });
        }
        M::TableFeaturesRequest(wanted) => {
            if c.session.expects_more {
                c.session.wanted_features.extend(wanted);
                return Ok(());
            }
            let mut all = std::mem::take(&mut c.session.wanted_features);
            all.extend(wanted);
            bridge.ofproto.set_table_features(backer, &all)?;
            let tables = bridge.ofproto.table_features(backer);
            reply_parts(c, xid, tables, &|tables, more| M::TableFeaturesReply {
                tables,
                more,
            });
        }
        M::TableDescRequest => {
            let tables = bridge.ofproto.table_descs(backer);
            reply_parts(c, xid, tables, &|tables, more| M::TableDescReply {
                tables,
                more,
            });
        }
        M::PortStatsRequest(port) => {
            let ports = port_stats(bridge, backer, port, now);
            reply_parts(c, xid, ports, &|ports, more| M::PortStatsReply {
                ports,
                more,
            });
        }
        M::PortDescRequest(port) => {
            let ports = descriptions(bridge, backer);
            let ports: Vec<_> = ports
                .into_iter()
                .filter(|p| port == OfPort::NONE || p.port == port)
                .collect();
            reply_parts(c, xid, ports, &|ports, more| M::PortDescReply {
                ports,
                more,
            });
        }
        M::QueueStatsRequest { port, queue } => {
            let stats = |port| QueueStats {
                port,
                queue: 0,
                tx_bytes: u64::MAX,
                tx_packets: u64::MAX,
                tx_errors: u64::MAX,
                duration: None,
            };
            let ports = ports_with_queue(bridge, backer, port, queue)?;
            let queues = ports.into_iter().map(stats).collect();
            reply_parts(c, xid, queues, &|queues, more| M::QueueStatsReply {
                queues,
                more,
            });
        }
        M::QueueConfigRequest { port, queue } => {
            let config = |port| QueueConfig {
                port,
                queue: 0,
                min_rate: None,
                max_rate: None,
            };
            let ports = ports_with_queue(bridge, backer, port, queue)?;
            let queues = ports.into_iter().map(config).collect();
            c.reply(xid, &M::QueueConfigReply { port, queues });
        }
        M::RoleRequest(request) => role(c, xid, &request, all)?,
        M::GetAsyncRequest => {
            let config = c.session.async_config;
            c.reply(xid, &M::GetAsyncReply(config));
        }
        M::SetAsync { config, .. } => set_async(c, config),
        M::SetFlowFormat(format) => {
            let tables = c.session.protocol.has_tables();
            c.session.protocol = match format {
                0 => Protocol::Of10Std.with_tables(tables),
                2 => Protocol::Of10Nxm.with_tables(tables),
                _ => return Err(OfError::OFPBRC_EPERM),
            };
        }
        M::FlowModTableId(on) => {
            c.session.protocol = c.session.protocol.with_tables(on);
            c.session.decoding.tables = on;
        }
        M::SetPacketInFormat(format) => c.session.packet_in_format = format,
        M::FlowAge => c.session.decoding.flow_age = true,
        M::SetControllerId(id) => c.session.controller_id = id,
        M::TlvTableRequest => {
            let reply = M::TlvTableReply {
                max_space: 256,
                max_fields: 64,
                maps: Vec::new(),
            };
            c.reply(xid, &reply);
        }
        // Statistics of what the switch does not have.
        M::MonitorRequest(_) => return Err(OfError::OFPBRC_BAD_STAT),
        M::Held { kind, .. } if kind.is_stats_request() => return Err(OfError::OFPBRC_BAD_STAT),
        // Replies that nobody asked for, and requests for what the switch does not have.
        _ => return Err(OfError::OFPBRC_BAD_TYPE),
    }
    Ok(())
}

/// Sends a list in as many messages as it takes.
fn reply_parts<T: Clone>(
    c: &mut Connection,
    xid: Xid,
    items: Vec<T>,
    make: &dyn Fn(Vec<T>, bool) -> Message,
) {
    let mut parts = vec![Vec::new()];
    let mut size = 0;
    for item in items {
        let alone = make(vec![item.clone()], false);
        let bytes = openflow::encode_for(c.session.protocol, xid, &alone).len();
        if bytes > MESSAGE_LIMIT {
            static LIMIT: RateLimit = RateLimit::new(1, 1);
            daemon::limited!(
                LIMIT,
                Warn,
                "ofp_flow",
                "Flow exceeded the maximum flow statistics reply size and was excluded from the \
                 response set"
            );
            continue;
        }
        if size != 0 && size + bytes > REPLY_LIMIT {
            parts.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(part) = parts.last_mut() {
            part.push(item);
        }
    }
    let last = parts.len().saturating_sub(1);
    for (i, part) in parts.into_iter().enumerate() {
        c.reply(xid, &make(part, i < last));
    }
}

fn frag_of(bridge: &BridgeState, backer: &Backer) -> FragHandling {
    backer
        .world
        .bridge(bridge.id)
        .map(|b| b.frag)
        .unwrap_or_default()
}

fn descriptions(bridge: &BridgeState, backer: &Backer) -> Vec<PhyPort> {
    let world = backer.world.bridge(bridge.id);
    let ports = world.into_iter().flat_map(|b| b.ports.values());
    let mut ports: Vec<_> = ports
        .map(|p| port_description(backer, p, bridge.mac))
        .collect();
    ports.sort_by_key(|p| p.port);
    ports
}

/// Statistics of one port, or of all, with what only the ports themselves know.
fn port_stats(
    bridge: &BridgeState,
    backer: &Backer,
    port: OfPort,
    now: clock::Time,
) -> Vec<PortStats> {
    let mut all = bridge.ofproto.port_stats(backer, port);
    for stats in &mut all {
        let Some(i) = bridge.interface_on(stats.port) else {
            continue;
        };
        stats.duration = Some(duration(now - i.since));
        let more = i.port.iter().flat_map(|p| p.more_counters());
        stats.custom = more.map(|(name, n)| (name.to_owned(), n)).collect();
    }
    all
}

/// The ports among those asked for that have the queue asked for: dummy ports have queue 0, which
/// counts nothing, and others have none.
fn ports_with_queue(
    bridge: &BridgeState,
    backer: &Backer,
    port: OfPort,
    queue: u32,
) -> Result<Vec<OfPort>, OfError> {
    let world = backer.world.bridge(bridge.id);
    let ports = world.into_iter().flat_map(|b| b.ports.keys().copied());
    let all = matches!(port, OfPort::NONE | OfPort::ALL);
    let asked: Vec<OfPort> = ports.filter(|p| all || *p == port).collect();
    if asked.is_empty() && !all {
        return Err(OfError::OFPQOFC_BAD_PORT);
    }
    let has = bridge.kind == "dummy" && matches!(queue, 0 | openflow::QUEUE_ALL);
    if !has && queue != openflow::QUEUE_ALL {
        return Err(OfError::OFPQOFC_BAD_QUEUE);
    }
    Ok(if has { asked } else { Vec::new() })
}

fn features(c: &Connection, bridge: &BridgeState, backer: &Backer) -> Features {
    // Flow, table, port and queue statistics.
    let basic = 0x1 | 0x2 | 0x4 | 0x40;
    // In 1.0 also matching of ARP addresses.
    let old = c.version().is_none_or(|v| v == Version::Of10);
    let capabilities = if old { basic | 0x80 } else { basic };
    Features {
        datapath_id: bridge.ofproto.datapath_id,
        n_buffers: 0,
        n_tables: TABLES,
        auxiliary_id: 0,
        capabilities,
        // Output, VLAN, addresses, type of service, ports, enqueue.
        actions: 0xfff,
        ports: descriptions(bridge, backer),
    }
}

fn flow_mod(
    c: &mut Connection,
    bridge: &mut BridgeState,
    backer: &mut Backer,
    mut fm: FlowMod,
    now: clock::Time,
) -> Result<(), OfError> {
    let table = if fm.table == TableId::ALL {
        0
    } else {
        fm.table.0
    };
    let limits = Limits {
        max_ports: OfPort::MAX,
        table,
        n_tables: TABLES,
    };
    if !matches!(
        fm.command,
        openflow::FlowCommand::Delete | openflow::FlowCommand::DeleteStrict
    ) {
        let mut actions = std::mem::take(&mut fm.actions);
        check_for(&mut actions, &fm.matching, &limits, c.session.protocol).map_err(|e| e.error)?;
        fm.actions = actions;
    }
    if fm.buffer_id != openflow::NO_BUFFER && fm.buffer_id != 0 {
        // We have no buffers: the flow is fine, the packet is not to be had.
        bridge.ofproto.flow_mod(backer, &fm, now)?;
        return Err(OfError::OFPBRC_BUFFER_UNKNOWN);
    }
    bridge.ofproto.flow_mod(backer, &fm, now)
}

fn packet_out(
    c: &mut Connection,
    bridge: &mut BridgeState,
    backer: &mut Backer,
    mut out: PacketOut,
) -> Result<(), OfError> {
    let in_port = out.in_port();
    let fine = in_port.0 < OfPort::MAX.0
        || matches!(in_port, OfPort::LOCAL | OfPort::NONE | OfPort::CONTROLLER);
    if !fine {
        return Err(OfError::OFPBRC_BAD_PORT);
    }
    if out.buffer_id != openflow::NO_BUFFER {
        return Err(OfError::OFPBRC_BUFFER_UNKNOWN);
    }
    let mut packet = packet::Packet::from_frame(&out.data);
    let key = packet::parse(&mut packet, &packet::Metadata::default());
    let state = packet::FlowState::from_key(&key);
    // Actions are checked behind what the packet is.
    let mask = packet::StateMask {
        words: [u64::MAX; packet::STATE_WORDS],
    };
    let matching = packet::Match::new(state, mask);
    let limits = Limits {
        n_tables: TABLES,
        ..Limits::default()
    };
    check_for(&mut out.actions, &matching, &limits, c.session.protocol).map_err(|e| e.error)?;
    check_possible(&out.actions)?;
    backer.packet_out(bridge.id, in_port, &out);
    Ok(())
}

fn port_mod(bridge: &mut BridgeState, backer: &mut Backer, pm: &PortMod) -> Result<(), OfError> {
    let world = backer
        .world
        .bridge(bridge.id)
        .ok_or(OfError::OFPPMFC_BAD_PORT)?;
    let port = world
        .ports
        .get(&pm.port)
        .cloned()
        .ok_or(OfError::OFPPMFC_BAD_PORT)?;
    let description = port_description(backer, &port, bridge.mac);
    if description.hw_addr != pm.hw_addr {
        return Err(OfError::OFPPMFC_BAD_HW_ADDR);
    }
    let known = port_config::PORT_DOWN
        | port_config::NO_RECV
        | port_config::NO_FLOOD
        | port_config::NO_FWD
        | port_config::NO_PACKET_IN;
    let mask = pm.mask & known;
    let config = port.config & !mask | pm.config & mask;
    if mask & port_config::PORT_DOWN != 0
        && let Some(i) = bridge.interface_on(pm.port)
        && let Some(p) = &i.port
        && let Err(e) = p.set_admin(pm.config & port_config::PORT_DOWN == 0)
    {
        tracing::warn!(target: "ofproto", "{e}");
    }
    if config != port.config {
        let new = Arc::new(Port {
            config,
            ..Port::clone(&port)
        });
        if let Some(b) = backer.world.bridge_mut(bridge.id) {
            b.ports.insert(pm.port, new.clone());
            b.config_version += 1;
        }
        backer.touch();
        // The configuration first, then what it does to the link.
        let now = port_description(backer, &new, bridge.mac);
        let changed = PhyPort {
            config: now.config,
            ..description
        };
        bridge.ofproto.tell_port_mod(link_settled(changed, true));
        bridge.ofproto.tell_if_changed(now);
    }
    Ok(())
}

/// OpenFlow 1.3.5 §6.3.6: roles, with generations against messages that come too late.
fn role(
    c: &mut Connection,
    xid: Xid,
    request: &RoleRequest,
    all: &mut Controllers,
) -> Result<(), OfError> {
    if request.role != Role::NoChange {
        if let Some(generation) = request.generation {
            let newest = all.generations.get(&c.bridge).copied();
            // Numbers wrap around.
            if newest.is_some_and(|n| (generation.wrapping_sub(n) as i64) < 0) {
                return Err(OfError::OFPRRFC_STALE);
            }
            if matches!(request.role, Role::Primary | Role::Secondary) {
                all.generations.insert(c.bridge.clone(), generation);
            }
        }
        if request.role == Role::Primary {
            let bridge = c.bridge.clone();
            all.demote_others(&bridge);
        }
        c.session.role = request.role;
    }
    let reply = RoleRequest {
        role: c.session.role,
        generation: all
            .generations
            .get(&c.bridge)
            .copied()
            .or(request.generation),
        nicira: request.nicira,
    };
    c.reply(xid, &Message::RoleReply(reply));
    Ok(())
}

fn set_async(c: &mut Connection, config: AsyncConfig) {
    let default = default_async();
    for i in 0..6 {
        let pick =
            |new: Option<u32>, old: Option<u32>, default: Option<u32>| new.or(old).or(default);
        c.session.async_config.primary[i] = pick(
            config.primary[i],
            c.session.async_config.primary[i],
            default.primary[i],
        );
        c.session.async_config.secondary[i] = pick(
            config.secondary[i],
            c.session.async_config.secondary[i],
            default.secondary[i],
        );
    }
    if c.kind == ConnectionKind::Service && c.session.miss_send_len == 0 {
        // Saying which messages it wants is asking for them.
        c.session.miss_send_len = 128;
    }
}
