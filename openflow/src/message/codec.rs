//! Messages from and to bytes.

use super::*;
use crate::error::DecodeError;
use crate::raw::{Kind, begin, finish, frame};
use crate::version::{Protocol, Version, Xid};

use super::{config_wire, flow_wire, monitor_wire, packet_wire, port_wire, table_wire};

/// What decoding must know beside the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Decoding {
    /// 1.0: flow-mods name their table in the high byte of the command (Nicira's extension).
    pub tables: bool,
    /// Nicira's flow statistics carry ages.
    pub flow_age: bool,
}

impl Default for Decoding {
    fn default() -> Decoding {
        Decoding {
            tables: true,
            flow_age: true,
        }
    }
}

/// Reads one whole message. The error's `error` is what to answer with.
pub fn decode(bytes: &[u8]) -> Result<(Version, Xid, Message)> {
    decode_with(bytes, Decoding::default())
}

/// Reads one whole message on a connection with the given extensions.
pub fn decode_with(bytes: &[u8], with: Decoding) -> Result<(Version, Xid, Message)> {
    let f = frame(bytes)?;
    // Hellos and errors come in versions that we don't speak, too.
    let version = match Version::from_wire(f.version) {
        Some(v) => v,
        None if f.version > Version::Of15.wire() => Version::Of15,
        None => return Err(OfError::OFPBRC_BAD_VERSION.into()),
    };
    let mut r = Reader::new(f.body);
    let more = f.flags & 1 != 0;
    let message = body(f.kind, version, f.version, more, &mut r, with)?;
    Ok((
        version,
        f.xid,
        message.unwrap_or_else(|| Message::Held {
            kind: f.kind,
            flags: f.flags,
            body: f.body.to_vec(),
        }),
    ))
}

/// Reads a hello's versions: the bitmap if it has one, else all up to the header's.
fn hello(r: &mut Reader<'_>, wire_version: u8) -> Result<Message> {
    let mut versions = None;
    while r.left() >= 4 {
        let kind = r.u16()?;
        let len = usize::from(r.u16()?);
        let Some(body) = len.checked_sub(4).and_then(|n| r.sub(n).ok()) else {
            break;
        };
        let padding = (len.next_multiple_of(8) - len).min(r.left());
        r.skip(padding)?;
        if kind == 1 {
            let mut body = body;
            // Further words are for versions that nobody has yet.
            versions = Some(Versions(body.u32().unwrap_or(0) & !1));
        }
    }
    let versions = versions
        .filter(|v| v.0 != 0)
        .unwrap_or(Versions::up_to(wire_version));
    Ok(Message::Hello { versions })
}

fn body(
    kind: Kind,
    v: Version,
    wire_version: u8,
    more: bool,
    r: &mut Reader<'_>,
    with: Decoding,
) -> Result<Option<Message>> {
    use Kind::*;
    use Message as M;
    let all = |r: &mut Reader<'_>| r.take_rest().to_vec();
    Ok(Some(match kind {
        OfptHello => hello(r, wire_version)?,
        OfptError => M::Error(config_wire::error(r, v)?),
        OfptEchoRequest => M::EchoRequest(all(r)),
        OfptEchoReply => M::EchoReply(all(r)),
        OfptFeaturesRequest => M::FeaturesRequest,
        Ofpt10FeaturesReply | Ofpt11FeaturesReply | Ofpt13FeaturesReply => {
            M::FeaturesReply(config_wire::features(r, v)?)
        }
        OfptGetConfigRequest => M::GetConfigRequest,
        OfptGetConfigReply => M::GetConfigReply(config_wire::config(r, v)?),
        OfptSetConfig => M::SetConfig(config_wire::config(r, v)?),
        Ofpt10PacketIn | Ofpt11PacketIn | Ofpt12PacketIn | Ofpt13PacketIn | NxtPacketIn
        | NxtPacketIn2 => M::PacketIn(Box::new(packet_wire::packet_in(kind, r)?)),
        NxtResume => M::Resume(Box::new(packet_wire::packet_in(NxtPacketIn2, r)?)),
        Ofpt10PacketOut | Ofpt11PacketOut | Ofpt15PacketOut => {
            M::PacketOut(Box::new(packet_wire::packet_out(r, v)?))
        }
        Ofpt10FlowMod | Ofpt11FlowMod | NxtFlowMod => {
            M::FlowMod(Box::new(flow_wire::flow_mod(kind, r, v, with.tables)?))
        }
        Ofpt10FlowRemoved | Ofpt11FlowRemoved | Ofpt15FlowRemoved | NxtFlowRemoved => {
            M::FlowRemoved(Box::new(flow_wire::flow_removed(kind, r, v)?))
        }
        Ofpt10PortStatus | Ofpt11PortStatus | Ofpt14PortStatus => {
            M::PortStatus(port_wire::port_status(r, v)?)
        }
        Ofpt10PortMod | Ofpt11PortMod | Ofpt14PortMod => M::PortMod(port_wire::port_mod(r, v)?),
        Ofpt11TableMod | Ofpt14TableMod => M::TableMod(table_wire::table_mod(r, v)?),
        Ofpt10BarrierRequest | Ofpt11BarrierRequest => M::BarrierRequest,
        Ofpt10BarrierReply | Ofpt11BarrierReply => M::BarrierReply,
        Ofpt10QueueGetConfigRequest => M::QueueConfigRequest {
            port: OfPort::from_u16(r.u16()?),
            queue: QUEUE_ALL,
        },
        Ofpt11QueueGetConfigRequest => M::QueueConfigRequest {
            port: OfPort::from_u32(r.u32()?)?,
            queue: QUEUE_ALL,
        },
        Ofpst14QueueDescRequest => M::QueueConfigRequest {
            port: OfPort::from_u32(r.u32()?)?,
            queue: r.u32()?,
        },
        Ofpt10QueueGetConfigReply | Ofpt11QueueGetConfigReply | Ofpst14QueueDescReply => {
            let (port, queues) = port_wire::queue_configs(r, v)?;
            M::QueueConfigReply { port, queues }
        }
        Ofpt12RoleRequest | NxtRoleRequest => M::RoleRequest(config_wire::role(kind, r)?),
        Ofpt12RoleReply | NxtRoleReply => M::RoleReply(config_wire::role(kind, r)?),
        Onft13RoleStatus | Ofpt14RoleStatus => M::RoleStatus(config_wire::role_status(r)?),
        Ofpt13GetAsyncRequest | Ofpt14GetAsyncRequest => M::GetAsyncRequest,
        Ofpt13GetAsyncReply => M::GetAsyncReply(config_wire::async_fixed(r)?),
        Ofpt14GetAsyncReply => M::GetAsyncReply(config_wire::async_props(r)?),
        Ofpt13SetAsync => M::SetAsync {
            config: config_wire::async_fixed(r)?,
            nicira: false,
        },
        NxtSetAsyncConfig => M::SetAsync {
            config: config_wire::async_fixed(r)?,
            nicira: true,
        },
        NxtSetAsyncConfig2 | Ofpt14SetAsync => M::SetAsync {
            config: config_wire::async_props(r)?,
            nicira: kind == NxtSetAsyncConfig2,
        },
        NxtSetFlowFormat => M::SetFlowFormat(r.u32()?),
        NxtFlowModTableId => M::FlowModTableId(r.u8()? != 0),
        NxtSetPacketInFormat => M::SetPacketInFormat(match r.u32()? {
            0 => PacketInFormat::Standard,
            1 => PacketInFormat::Nxt,
            2 => PacketInFormat::Nxt2,
            _ => return Err(OfError::OFPBRC_EPERM.into()),
        }),
        NxtFlowAge => M::FlowAge,
        NxtSetControllerId => {
            if !Reader::are_zeros(r.bytes(6)?) {
                return Err(OfError::NXBRC_MUST_BE_ZERO.into());
            }
            M::SetControllerId(r.u16()?)
        }
        NxtCtFlushZone => {
            if !Reader::are_zeros(r.bytes(6)?) {
                return Err(OfError::NXBRC_MUST_BE_ZERO.into());
            }
            M::CtFlushZone(r.u16()?)
        }
        NxtTlvTableMod => {
            let command = r.u16()?;
            if command > 2 {
                let text = format!("tlv table mod command ({command}) is out of range");
                let error = OfError::NXTTMFC_BAD_COMMAND;
                return Err(DecodeError::noted(error, "ofp_match", text));
            }
            r.skip(6)?;
            M::TlvTableMod {
                command,
                maps: config_wire::tlv_maps(r, 64)?,
            }
        }
        NxtTlvTableRequest => M::TlvTableRequest,
        NxtTlvTableReply => {
            let max_space = r.u32()?;
            let max_fields = r.u16()?;
            r.skip(10)?;
            M::TlvTableReply {
                max_space,
                max_fields,
                maps: config_wire::tlv_maps(r, max_fields)?,
            }
        }
        Ofpt14BundleControl | Onft13BundleControl => M::BundleControl(BundleControl {
            id: r.u32()?,
            kind: r.u16()?,
            flags: r.u16()?,
        }),
        Ofpt14BundleAddMessage | Onft13BundleAddMessage => {
            M::BundleAdd(config_wire::bundle_add(r, v)?)
        }
        Onft13FlowMonitorCancel | NxtFlowMonitorCancel => M::FlowMonitorCancel(r.u32()?),
        Onft13FlowMonitorPaused | NxtFlowMonitorPaused => M::FlowMonitorPaused,
        Onft13FlowMonitorResumed | NxtFlowMonitorResumed => M::FlowMonitorResumed,
        OfpstDescRequest => M::DescRequest,
        OfpstDescReply => M::DescReply(config_wire::desc(r)?),
        Ofpst10FlowRequest | Ofpst11FlowRequest | NxstFlowRequest => {
            M::FlowStatsRequest(Box::new(flow_wire::stats_request(kind, r)?))
        }
        Ofpst10AggregateRequest
        | Ofpst11AggregateRequest
        | Ofpst15AggregateRequest
        | NxstAggregateRequest => M::AggregateRequest(Box::new(flow_wire::stats_request(kind, r)?)),
        Ofpst10FlowReply | Ofpst11FlowReply | Ofpst13FlowReply | Ofpst15FlowReply
        | NxstFlowReply => {
            let mut flows = Vec::new();
            while !r.is_empty() {
                flows.push(flow_wire::stats(kind, r, v, with.flow_age)?);
            }
            M::FlowStatsReply {
                flows,
                more,
                nicira: kind == NxstFlowReply,
            }
        }
        OfpstAggregateReply | Ofpst15AggregateReply | NxstAggregateReply => M::AggregateReply {
            stats: flow_wire::aggregate(kind, r)?,
            nicira: kind == NxstAggregateReply,
        },
        OfpstTableRequest => M::TableStatsRequest,
        Ofpst10TableReply | Ofpst11TableReply | Ofpst12TableReply | Ofpst13TableReply => {
            M::TableStatsReply {
                tables: table_wire::stats(r, v)?,
                more,
            }
        }
        Ofpst13TableFeaturesRequest => M::TableFeaturesRequest(table_wire::features(r, v)?),
        Ofpst13TableFeaturesReply => M::TableFeaturesReply {
            tables: table_wire::features(r, v)?,
            more,
        },
        Ofpst14TableDescRequest => M::TableDescRequest,
        Ofpst14TableDescReply => M::TableDescReply {
            tables: table_wire::descs(r, v)?,
            more,
        },
        Ofpst10PortRequest => M::PortStatsRequest(OfPort::from_u16(r.u16()?)),
        Ofpst11PortRequest => M::PortStatsRequest(OfPort::from_u32(r.u32()?)?),
        Ofpst10PortReply | Ofpst11PortReply | Ofpst13PortReply | Ofpst14PortReply => {
            M::PortStatsReply {
                ports: port_wire::port_stats(r, v)?,
                more,
            }
        }
        Ofpst10QueueRequest => {
            let port = OfPort::from_u16(r.u16()?);
            r.skip(2)?;
            // 1.0 writes "all ports" as ALL.
            let port = if port == OfPort::ALL {
                OfPort::NONE
            } else {
                port
            };
            M::QueueStatsRequest {
                port,
                queue: r.u32()?,
            }
        }
        Ofpst11QueueRequest => M::QueueStatsRequest {
            port: OfPort::from_u32(r.u32()?)?,
            queue: r.u32()?,
        },
        Ofpst10QueueReply | Ofpst11QueueReply | Ofpst13QueueReply | Ofpst14QueueReply => {
            M::QueueStatsReply {
                queues: port_wire::queue_stats(r, v)?,
                more,
            }
        }
        Ofpst10PortDescRequest => M::PortDescRequest(OfPort::NONE),
        Ofpst15PortDescRequest => M::PortDescRequest(OfPort::from_u32(r.u32()?)?),
        Ofpst10PortDescReply | Ofpst11PortDescReply | Ofpst14PortDescReply => M::PortDescReply {
            ports: port_wire::ports(r, v)?,
            more,
        },
        NxstFlowMonitorRequest | Onfst13FlowMonitorRequest | Ofpst14FlowMonitorRequest => {
            M::MonitorRequest(monitor_wire::requests(kind, r)?)
        }
        NxstFlowMonitorReply | Onfst13FlowMonitorReply | Ofpst14FlowMonitorReply => {
            M::MonitorReply {
                updates: monitor_wire::updates(kind, r, v)?,
                more,
            }
        }
        _ => return Ok(None),
    }))
}

/// Writes a message for a version; what the version cannot say is left out or at its default.
///
/// A statistics reply longer than 65535 bytes does not fit into one message: split it before.
pub fn encode(version: Version, xid: Xid, message: &Message) -> Vec<u8> {
    encode_for(Protocol::of_version(version), xid, message)
}

/// Writes a message for a protocol, which for 1.0 says how flows are written.
pub fn encode_for(protocol: Protocol, xid: Xid, message: &Message) -> Vec<u8> {
    use Kind::*;
    use Message as M;
    let v = protocol.version();
    let old = v == Version::Of10;
    let more = |m: bool| u16::from(m);
    // Standard layouts by version.
    let by = |k10: Kind, k11: Kind| if old { k10 } else { k11 };
    let mut flags = 0;
    let kind = match message {
        M::Hello { .. } => OfptHello,
        M::Error(_) => OfptError,
        M::EchoRequest(_) => OfptEchoRequest,
        M::EchoReply(_) => OfptEchoReply,
        M::FeaturesRequest => OfptFeaturesRequest,
        M::FeaturesReply(_) => match v {
            Version::Of10 => Ofpt10FeaturesReply,
            Version::Of11 | Version::Of12 => Ofpt11FeaturesReply,
            _ => Ofpt13FeaturesReply,
        },
        M::GetConfigRequest => OfptGetConfigRequest,
        M::GetConfigReply(_) => OfptGetConfigReply,
        M::SetConfig(_) => OfptSetConfig,
        M::PacketIn(p) => packet_wire::packet_in_kind(p, v),
        M::Resume(_) => NxtResume,
        M::PacketOut(_) => match v {
            Version::Of10 => Ofpt10PacketOut,
            Version::Of15 => Ofpt15PacketOut,
            _ => Ofpt11PacketOut,
        },
        M::FlowMod(f) => match protocol {
            Protocol::Of10Std | Protocol::Of10StdTid => Ofpt10FlowMod,
            _ if !old => Ofpt11FlowMod,
            _ if f.nicira => NxtFlowMod,
            _ => Ofpt10FlowMod,
        },
        M::FlowRemoved(f) => match v {
            Version::Of10 if f.nicira => NxtFlowRemoved,
            Version::Of10 => Ofpt10FlowRemoved,
            Version::Of15 => Ofpt15FlowRemoved,
            _ => Ofpt11FlowRemoved,
        },
        M::PortStatus(_) => match v {
            Version::Of10 => Ofpt10PortStatus,
            Version::Of11 | Version::Of12 | Version::Of13 => Ofpt11PortStatus,
            _ => Ofpt14PortStatus,
        },
        M::PortMod(_) => match v {
            Version::Of10 => Ofpt10PortMod,
            Version::Of11 | Version::Of12 | Version::Of13 => Ofpt11PortMod,
            _ => Ofpt14PortMod,
        },
        M::TableMod(_) if v >= Version::Of14 => Ofpt14TableMod,
        M::TableMod(_) => Ofpt11TableMod,
        M::BarrierRequest => by(Ofpt10BarrierRequest, Ofpt11BarrierRequest),
        M::BarrierReply => by(Ofpt10BarrierReply, Ofpt11BarrierReply),
        M::QueueConfigRequest { .. } if v >= Version::Of14 => Ofpst14QueueDescRequest,
        M::QueueConfigRequest { .. } => {
            by(Ofpt10QueueGetConfigRequest, Ofpt11QueueGetConfigRequest)
        }
        M::QueueConfigReply { .. } if v >= Version::Of14 => Ofpst14QueueDescReply,
        M::QueueConfigReply { .. } => by(Ofpt10QueueGetConfigReply, Ofpt11QueueGetConfigReply),
        M::RoleRequest(r) if r.nicira => NxtRoleRequest,
        M::RoleRequest(_) => Ofpt12RoleRequest,
        M::RoleReply(r) if r.nicira => NxtRoleReply,
        M::RoleReply(_) => Ofpt12RoleReply,
        M::RoleStatus(_) if v >= Version::Of14 => Ofpt14RoleStatus,
        M::RoleStatus(_) => Onft13RoleStatus,
        M::GetAsyncRequest if v >= Version::Of14 => Ofpt14GetAsyncRequest,
        M::GetAsyncRequest => Ofpt13GetAsyncRequest,
        M::GetAsyncReply(_) if v >= Version::Of14 => Ofpt14GetAsyncReply,
        M::GetAsyncReply(_) => Ofpt13GetAsyncReply,
        M::SetAsync { nicira, .. } => match v {
            Version::Of14 | Version::Of15 => Ofpt14SetAsync,
            Version::Of13 if !nicira => Ofpt13SetAsync,
            _ => NxtSetAsyncConfig,
        },
        M::SetFlowFormat(_) => NxtSetFlowFormat,
        M::FlowModTableId(_) => NxtFlowModTableId,
        M::SetPacketInFormat(_) => NxtSetPacketInFormat,
        M::FlowAge => NxtFlowAge,
        M::SetControllerId(_) => NxtSetControllerId,
        M::CtFlushZone(_) => NxtCtFlushZone,
        M::TlvTableMod { .. } => NxtTlvTableMod,
        M::TlvTableRequest => NxtTlvTableRequest,
        M::TlvTableReply { .. } => NxtTlvTableReply,
        M::BundleControl(_) if v >= Version::Of14 => Ofpt14BundleControl,
        M::BundleControl(_) => Onft13BundleControl,
        M::BundleAdd(_) if v >= Version::Of14 => Ofpt14BundleAddMessage,
        M::BundleAdd(_) => Onft13BundleAddMessage,
        M::FlowMonitorCancel(_) if v == Version::Of13 => Onft13FlowMonitorCancel,
        M::FlowMonitorCancel(_) => NxtFlowMonitorCancel,
        M::FlowMonitorPaused if v == Version::Of13 => Onft13FlowMonitorPaused,
        M::FlowMonitorPaused => NxtFlowMonitorPaused,
        M::FlowMonitorResumed if v == Version::Of13 => Onft13FlowMonitorResumed,
        M::FlowMonitorResumed => NxtFlowMonitorResumed,
        M::DescRequest => OfpstDescRequest,
        M::DescReply(_) => OfpstDescReply,
        M::FlowStatsRequest(q) => match protocol {
            Protocol::Of10Std | Protocol::Of10StdTid => Ofpst10FlowRequest,
            _ if !old => Ofpst11FlowRequest,
            _ if q.nicira => NxstFlowRequest,
            _ => Ofpst10FlowRequest,
        },
        M::AggregateRequest(q) => match protocol {
            Protocol::Of10Std | Protocol::Of10StdTid => Ofpst10AggregateRequest,
            Protocol::Of15Oxm => Ofpst15AggregateRequest,
            _ if !old => Ofpst11AggregateRequest,
            _ if q.nicira => NxstAggregateRequest,
            _ => Ofpst10AggregateRequest,
        },
        M::FlowStatsReply {
            nicira, more: m, ..
        } => {
            flags = more(*m);
            match v {
                Version::Of10 if *nicira => NxstFlowReply,
                Version::Of10 => Ofpst10FlowReply,
                Version::Of11 | Version::Of12 => Ofpst11FlowReply,
                Version::Of13 | Version::Of14 => Ofpst13FlowReply,
                Version::Of15 => Ofpst15FlowReply,
            }
        }
        M::AggregateReply { nicira, .. } => match v {
            Version::Of10 if *nicira => NxstAggregateReply,
            Version::Of15 => Ofpst15AggregateReply,
            _ => OfpstAggregateReply,
        },
        M::TableStatsRequest => OfpstTableRequest,
        M::TableStatsReply { more: m, .. } => {
            flags = more(*m);
            match v {
                Version::Of10 => Ofpst10TableReply,
                Version::Of11 => Ofpst11TableReply,
                Version::Of12 => Ofpst12TableReply,
                _ => Ofpst13TableReply,
            }
        }
        M::TableFeaturesRequest(_) => Ofpst13TableFeaturesRequest,
        M::TableFeaturesReply { more: m, .. } => {
            flags = more(*m);
            Ofpst13TableFeaturesReply
        }
        M::TableDescRequest => Ofpst14TableDescRequest,
        M::TableDescReply { more: m, .. } => {
            flags = more(*m);
            Ofpst14TableDescReply
        }
        M::PortStatsRequest(_) => by(Ofpst10PortRequest, Ofpst11PortRequest),
        M::PortStatsReply { more: m, .. } => {
            flags = more(*m);
            match v {
                Version::Of10 => Ofpst10PortReply,
                Version::Of11 | Version::Of12 => Ofpst11PortReply,
                Version::Of13 => Ofpst13PortReply,
                _ => Ofpst14PortReply,
            }
        }
        M::QueueStatsRequest { .. } => by(Ofpst10QueueRequest, Ofpst11QueueRequest),
        M::QueueStatsReply { more: m, .. } => {
            flags = more(*m);
            match v {
                Version::Of10 => Ofpst10QueueReply,
                Version::Of11 | Version::Of12 => Ofpst11QueueReply,
                Version::Of13 => Ofpst13QueueReply,
                _ => Ofpst14QueueReply,
            }
        }
        M::PortDescRequest(_) if v >= Version::Of15 => Ofpst15PortDescRequest,
        M::PortDescRequest(_) => Ofpst10PortDescRequest,
        M::PortDescReply { more: m, .. } => {
            flags = more(*m);
            match v {
                Version::Of10 => Ofpst10PortDescReply,
                Version::Of11 | Version::Of12 | Version::Of13 => Ofpst11PortDescReply,
                _ => Ofpst14PortDescReply,
            }
        }
        M::MonitorRequest(_) => match v {
            Version::Of13 => Onfst13FlowMonitorRequest,
            Version::Of14 | Version::Of15 => Ofpst14FlowMonitorRequest,
            _ => NxstFlowMonitorRequest,
        },
        M::MonitorReply { more: m, .. } => {
            flags = more(*m);
            match v {
                Version::Of13 => Onfst13FlowMonitorReply,
                Version::Of14 | Version::Of15 => Ofpst14FlowMonitorReply,
                _ => NxstFlowMonitorReply,
            }
        }
        M::Held { kind, flags: f, .. } => {
            flags = *f;
            *kind
        }
    };
    let mut w = begin(kind, v, xid, flags);
    put_body(&mut w, kind, protocol, message);
    finish(w)
}

fn put_body(w: &mut Writer, kind: Kind, protocol: Protocol, message: &Message) {
    use Message as M;
    let v = protocol.version();
    let old = v == Version::Of10;
    match message {
        M::Hello { versions } if *versions != Versions::up_to(v.wire()) => {
            w.u16(1);
            w.u16(8);
            w.u32(versions.0);
        }
        M::Error(e) => config_wire::put_error(w, e, v),
        M::EchoRequest(data) | M::EchoReply(data) => w.bytes(data),
        M::FeaturesReply(f) => config_wire::put_features(w, f, v),
        M::GetConfigReply(c) | M::SetConfig(c) => config_wire::put_config(w, c, v),
        M::PacketIn(p) | M::Resume(p) => packet_wire::put_packet_in(w, kind, p),
        M::PacketOut(p) => packet_wire::put_packet_out(w, p, v),
        M::FlowMod(f) => flow_wire::put_flow_mod(w, kind, f, protocol),
        M::FlowRemoved(f) => flow_wire::put_flow_removed(w, kind, f, v),
        M::PortStatus(s) => {
            w.u8(s.reason as u8);
            w.zeros(7);
            port_wire::put_port(w, &s.port, v);
        }
        M::PortMod(m) => port_wire::put_port_mod(w, m, v),
        M::TableMod(c) => table_wire::put_table_mod(w, c, v),
        M::QueueConfigRequest { port, queue } => match v {
            Version::Of10 => {
                w.u16(port.to_u16());
                w.u16(0);
            }
            Version::Of14 | Version::Of15 => {
                w.u32(port.0);
                w.u32(*queue);
            }
            _ => {
                w.u32(port.0);
                w.u32(0);
            }
        },
        M::QueueConfigReply { port, queues } => port_wire::put_queue_configs(w, *port, queues, v),
        M::RoleRequest(r) | M::RoleReply(r) => config_wire::put_role(w, r),
        M::RoleStatus(s) => config_wire::put_role_status(w, s),
        M::GetAsyncReply(c) => config_wire::put_async(w, c, v),
        M::SetAsync { config, .. } => config_wire::put_async(w, config, v),
        M::SetFlowFormat(n) | M::FlowMonitorCancel(n) => w.u32(*n),
        M::FlowModTableId(on) => {
            w.u8(u8::from(*on));
            w.zeros(7);
        }
        M::SetPacketInFormat(f) => w.u32(*f as u32),
        M::SetControllerId(id) | M::CtFlushZone(id) => {
            w.zeros(6);
            w.u16(*id);
        }
        M::TlvTableMod { command, maps } => {
            w.u16(*command);
            w.zeros(6);
            config_wire::put_tlv_maps(w, maps);
        }
        M::TlvTableReply {
            max_space,
            max_fields,
            maps,
        } => {
            w.u32(*max_space);
            w.u16(*max_fields);
            w.zeros(10);
            config_wire::put_tlv_maps(w, maps);
        }
        M::BundleControl(b) => {
            w.u32(b.id);
            w.u16(b.kind);
            w.u16(b.flags);
        }
        M::BundleAdd(b) => {
            w.u32(b.id);
            w.u16(0);
            w.u16(b.flags);
            w.bytes(&b.message);
        }
        M::DescReply(d) => config_wire::put_desc(w, d),
        M::FlowStatsRequest(q) | M::AggregateRequest(q) => {
            flow_wire::put_stats_request(w, kind, q, v);
        }
        M::FlowStatsReply { flows, .. } => {
            for f in flows {
                flow_wire::put_stats(w, kind, f, v);
            }
        }
        M::AggregateReply { stats, .. } => flow_wire::put_aggregate(w, kind, stats),
        M::TableStatsReply { tables, .. } => table_wire::put_stats(w, tables, v),
        M::TableFeaturesRequest(t) | M::TableFeaturesReply { tables: t, .. } => {
            table_wire::put_features(w, t, v);
        }
        M::TableDescReply { tables, .. } => table_wire::put_descs(w, tables),
        M::PortStatsRequest(p) if old => {
            w.u16(p.to_u16());
            w.zeros(6);
        }
        M::PortStatsRequest(p) => {
            w.u32(p.0);
            w.u32(0);
        }
        M::PortStatsReply { ports, .. } => port_wire::put_port_stats(w, ports, v),
        M::QueueStatsRequest { port, queue } => {
            if old {
                w.u16(if *port == OfPort::NONE {
                    0xfffc
                } else {
                    port.to_u16()
                });
                w.u16(0);
            } else {
                w.u32(port.0);
            }
            w.u32(*queue);
        }
        M::QueueStatsReply { queues, .. } => port_wire::put_queue_stats(w, queues, v),
        M::PortDescRequest(p) if v >= Version::Of15 => {
            w.u32(p.0);
            w.u32(0);
        }
        M::PortDescReply { ports, .. } => {
            for p in ports {
                port_wire::put_port(w, p, v);
            }
        }
        M::MonitorRequest(all) => monitor_wire::put_requests(w, kind, all, v),
        M::MonitorReply { updates, .. } => monitor_wire::put_updates(w, kind, updates, v),
        M::Held { body, .. } => w.bytes(body),
        _ => {}
    }
}

/// The error message that answers `request` (whole, as received), which was refused with `error`.
pub fn error_reply(error: OfError, request: &[u8]) -> Option<Vec<u8>> {
    let header = crate::raw::Header::parse(request).ok()?;
    let version = Version::from_wire(header.version)?;
    let data = request.get(..usize::from(header.length)).unwrap_or(request);
    let data = data.get(..data.len().min(65000)).unwrap_or(data).to_vec();
    let message = Message::Error(ErrorMsg {
        error: ErrorCode::Known(error),
        data,
    });
    Some(encode(version, header.xid, &message))
}
