//! Packet-ins and packet-outs.

use super::*;
use crate::action::encode::put_actions;
use crate::action::instructions::pull_actions;
use crate::error::DecodeError;
use crate::oxm::{self, NxmOptions};
use crate::raw::Kind;
use crate::version::Version;
use packet::FieldId as F;

fn from_port(port: OfPort) -> Match {
    let mut m = Match::any();
    m.set(F::InPortOxm, u128::from(port.0));
    m
}

const LOOSE: NxmOptions = NxmOptions {
    strict: false,
    cookie: false,
    pipeline_only: false,
};

pub(super) fn packet_in(kind: Kind, r: &mut Reader<'_>) -> Result<PacketIn> {
    let mut p = PacketIn {
        format: PacketInFormat::Standard,
        data: Vec::new(),
        total_len: 0,
        buffer_id: NO_BUFFER,
        reason: 0,
        table: TableId(0),
        cookie: Cookie(u64::MAX),
        metadata: Match::any(),
        userdata: Vec::new(),
        continuation: None,
    };
    if kind == Kind::NxtPacketIn2 {
        return packet_in2(r, p);
    }
    p.buffer_id = r.u32()?;
    match kind {
        Kind::Ofpt10PacketIn => {
            p.total_len = u32::from(r.u16()?);
            p.metadata = from_port(OfPort::from_u16(r.u16()?));
            p.reason = r.u8()?;
            r.skip(1)?;
        }
        Kind::Ofpt11PacketIn => {
            p.metadata = from_port(OfPort::from_u32(r.u32()?)?);
            r.skip(4)?;
            p.total_len = u32::from(r.u16()?);
            p.reason = r.u8()?;
            p.table = TableId(r.u8()?);
        }
        _ => {
            p.total_len = u32::from(r.u16()?);
            p.reason = r.u8()?;
            p.table = TableId(r.u8()?);
            if kind != Kind::Ofpt12PacketIn {
                p.cookie = Cookie(r.u64()?);
            }
            if kind == Kind::NxtPacketIn {
                p.format = PacketInFormat::Nxt;
                let len = usize::from(r.u16()?);
                r.skip(6)?;
                let bad = |_| DecodeError::from(OfError::OFPBMC_BAD_LEN);
                let padded = r.bytes(len.next_multiple_of(8)).map_err(bad)?;
                let entries = padded.get(..len).unwrap_or(padded);
                p.metadata = oxm::pull_nxm(entries, LOOSE)?.0;
            } else {
                p.metadata = oxm::pull_oxm_match(r, LOOSE)?;
            }
            r.skip(2)?;
        }
    }
    p.data = r.take_rest().to_vec();
    if p.format == PacketInFormat::Nxt && (p.total_len as usize) < p.data.len() {
        let text = format!(
            "NXT_PACKET_IN reports packet length {} but sends {}",
            p.total_len,
            p.data.len()
        );
        return Err(DecodeError::noted(
            OfError::OFPBRC_BAD_LEN,
            "ofp_packet",
            text,
        ));
    }
    Ok(p)
}

fn packet_in2(r: &mut Reader<'_>, mut p: PacketIn) -> Result<PacketIn> {
    p.format = PacketInFormat::Nxt2;
    while !r.is_empty() {
        let (kind, mut body) = pull_property(r)?;
        let b = &mut body;
        match kind {
            0 => p.data = b.take_rest().to_vec(),
            1 => p.total_len = prop_u32(b)?,
            2 => p.buffer_id = prop_u32(b)?,
            3 => p.table = TableId(prop_u8(b)?),
            4 => {
                b.skip(4).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
                p.cookie = Cookie(b.u64().map_err(|_| OfError::OFPBPC_BAD_LEN)?);
            }
            5 => p.reason = prop_u8(b)?,
            6 => p.metadata = oxm::pull_nxm(b.take_rest(), NxmOptions::STRICT)?.0,
            7 => p.userdata = b.take_rest().to_vec(),
            8 => {
                b.skip(4).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
                p.continuation = Some(b.take_rest().to_vec());
            }
            _ => {
                let text = format!("unknown NX_PACKET_IN2 property type {kind}");
                return Err(DecodeError::noted(
                    OfError::OFPBPC_BAD_TYPE,
                    "ofp_prop",
                    text,
                ));
            }
        }
    }
    let len = u32::try_from(p.data.len()).unwrap_or(u32::MAX);
    let wrong = if len == 0 {
        "NXT_PACKET_IN2 lacks packet"
    } else if p.total_len == 0 {
        p.total_len = len;
        return Ok(p);
    } else if p.total_len < len {
        "NXT_PACKET_IN2 claimed full_len < len"
    } else {
        return Ok(p);
    };
    Err(DecodeError::noted(
        OfError::OFPBRC_BAD_LEN,
        "ofp_packet",
        wrong.into(),
    ))
}

/// The layout of a packet-in for a version.
pub(super) fn packet_in_kind(p: &PacketIn, v: Version) -> Kind {
    match (p.format, v) {
        (PacketInFormat::Nxt2, _) => Kind::NxtPacketIn2,
        (PacketInFormat::Nxt, _) => Kind::NxtPacketIn,
        (_, Version::Of10) => Kind::Ofpt10PacketIn,
        (_, Version::Of11) => Kind::Ofpt11PacketIn,
        (_, Version::Of12) => Kind::Ofpt12PacketIn,
        _ => Kind::Ofpt13PacketIn,
    }
}

/// A reason that a version knows: what came later is an action before.
fn reason(reason: u8, old: bool) -> u8 {
    match reason {
        3..=5 if old => 1,
        // A miss is a miss, by a rule or by the table's default.
        6 => 1,
        7 => 0,
        r => r,
    }
}

pub(super) fn put_packet_in(w: &mut Writer, kind: Kind, p: &PacketIn) {
    let port = OfPort((p.metadata.value().get(F::InPortOxm) & 0xffff_ffff) as u32);
    let total = u16::try_from(p.total_len).unwrap_or(u16::MAX);
    match kind {
        Kind::Ofpt10PacketIn => {
            w.u32(p.buffer_id);
            w.u16(total);
            w.u16(port.to_u16());
            w.u8(reason(p.reason, true));
            w.u8(0);
        }
        Kind::Ofpt11PacketIn => {
            w.u32(p.buffer_id);
            w.u32(port.0);
            w.u32(port.0);
            w.u16(total);
            w.u8(reason(p.reason, true));
            w.u8(p.table.0);
        }
        Kind::Ofpt12PacketIn | Kind::Ofpt13PacketIn => {
            let version = Version::from_wire(w.out.first().copied().unwrap_or(0));
            let version = version.unwrap_or(Version::Of13);
            w.u32(p.buffer_id);
            w.u16(total);
            w.u8(reason(p.reason, version < Version::Of14));
            w.u8(p.table.0);
            if kind == Kind::Ofpt13PacketIn {
                w.u64(p.cookie.0);
            }
            w.bytes(&oxm::encode_oxm_match(&p.metadata, version));
            w.u16(0);
        }
        Kind::NxtPacketIn => {
            let entries = oxm::encode_nxm(&p.metadata, Cookie(0), Cookie(0));
            w.u32(p.buffer_id);
            w.u16(total);
            w.u8(reason(p.reason, true));
            w.u8(p.table.0);
            w.u64(p.cookie.0);
            w.u16(entries.len() as u16);
            w.zeros(6);
            let start = w.len();
            w.bytes(&entries);
            w.pad8(start);
            w.u16(0);
        }
        _ => {
            put_packet_in2(w, p, kind == Kind::NxtResume);
            return;
        }
    }
    w.bytes(&p.data);
}

fn put_packet_in2(w: &mut Writer, p: &PacketIn, resume: bool) {
    put_property(w, 0, &p.data);
    if p.total_len as usize != p.data.len() {
        put_property(w, 1, &p.total_len.to_be_bytes());
    }
    if p.buffer_id != NO_BUFFER {
        put_property(w, 2, &p.buffer_id.to_be_bytes());
    }
    if !resume || p.table.0 != 0 {
        put_property(w, 3, &[p.table.0]);
    }
    if p.cookie.0 != u64::MAX {
        let mut body = vec![0; 4];
        body.extend_from_slice(&p.cookie.0.to_be_bytes());
        put_property(w, 4, &body);
    }
    put_property(w, 5, &[reason(p.reason, false)]);
    let version = w
        .out
        .first()
        .copied()
        .and_then(Version::from_wire)
        .unwrap_or(Version::Of13);
    let entries = match version {
        Version::Of10 | Version::Of11 => oxm::encode_nxm(&p.metadata, Cookie(0), Cookie(0)),
        v => oxm::encode_oxm_entries(&p.metadata, v),
    };
    put_property(w, 6, &entries);
    if !p.userdata.is_empty() {
        put_property(w, 7, &p.userdata);
    }
    if let Some(c) = &p.continuation {
        let mut body = vec![0; 4];
        body.extend_from_slice(c);
        put_property(w, 8, &body);
    }
}

pub(super) fn packet_out(r: &mut Reader<'_>, v: Version) -> Result<PacketOut> {
    let buffer_id = r.u32()?;
    let mut metadata = Match::any();
    let actions_len;
    match v {
        Version::Of10 => {
            metadata = from_port(OfPort::from_u16(r.u16()?));
            actions_len = r.u16()?;
        }
        Version::Of15 => {
            actions_len = r.u16()?;
            r.skip(2)?;
            let o = NxmOptions {
                pipeline_only: true,
                ..NxmOptions::STRICT
            };
            metadata = oxm::pull_oxm_match(r, o)?;
            if metadata.mask().get(F::InPortOxm) == 0 {
                return Err(OfError::OFPBRC_BAD_PORT.into());
            }
        }
        _ => {
            let port = r.u32()?;
            let port = OfPort::from_u32(port).map_err(|_| {
                let text = "packet-out has unrecognized in_port".to_string();
                DecodeError::noted(OfError::OFPBRC_BAD_PORT, "ofp_packet", text)
            })?;
            metadata.set(F::InPortOxm, u128::from(port.0));
            actions_len = r.u16()?;
            r.skip(6)?;
        }
    }
    let mut p = PacketOut {
        data: Vec::new(),
        buffer_id,
        metadata,
        actions: Vec::new(),
    };
    p.actions = pull_actions(r, usize::from(actions_len), v)?;
    let port = p.in_port();
    let special = matches!(port, OfPort::LOCAL | OfPort::NONE | OfPort::CONTROLLER);
    if port >= OfPort::MAX && !special {
        let text = format!("packet-out has bad input port {:#x}", port.0 & 0xffff);
        return Err(DecodeError::noted(
            OfError::OFPBRC_BAD_PORT,
            "ofp_packet",
            text,
        ));
    }
    if buffer_id == NO_BUFFER {
        p.data = r.take_rest().to_vec();
    }
    Ok(p)
}

pub(super) fn put_packet_out(w: &mut Writer, p: &PacketOut, v: Version) {
    let mut actions = Writer::new();
    put_actions(&mut actions, &p.actions, v);
    let len = u16::try_from(actions.len()).unwrap_or(u16::MAX);
    w.u32(p.buffer_id);
    match v {
        Version::Of10 => {
            w.u16(p.in_port().to_u16());
            w.u16(len);
        }
        Version::Of15 => {
            w.u16(len);
            w.u16(0);
            w.bytes(&oxm::encode_oxm_match(&p.metadata, v));
        }
        _ => {
            w.u32(p.in_port().0);
            w.u16(len);
            w.zeros(6);
        }
    }
    w.bytes(&actions.out);
    if p.buffer_id == NO_BUFFER {
        w.bytes(&p.data);
    }
}
