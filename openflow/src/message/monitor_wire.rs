//! Flow monitors: requests and updates.

use super::*;
use crate::action::instructions::{decode_instructions, put_instructions};
use crate::error::DecodeError;
use crate::oxm::{self, NxmOptions};
use crate::raw::Kind;
use crate::version::Version;

/// Nicira's flags (initial, add, delete, modify, actions, own) as 1.4's, where "own" is the
/// rule and "no abbreviations" the exception.
fn flags_from_nicira(n: u16) -> u16 {
    n & 0x1f | if n & 0x20 != 0 { 0x20 } else { 0 }
}

pub(super) fn requests(kind: Kind, r: &mut Reader<'_>) -> Result<Vec<MonitorRequest>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        let mut m = MonitorRequest {
            id: r.u32()?,
            command: 0,
            flags: 0,
            out_port: OfPort::NONE,
            out_group: GROUP_ANY,
            table: TableId::ALL,
            matching: Match::any(),
        };
        match kind {
            Kind::Ofpst14FlowMonitorRequest => {
                m.out_port = OfPort::from_u32(r.u32()?)?;
                m.out_group = r.u32()?;
                m.flags = r.u16()?;
                m.table = TableId(r.u8()?);
                m.command = r.u8()?;
                if m.command > 2 {
                    return Err(OfError::OFPMOFC_BAD_COMMAND.into());
                }
                m.matching = oxm::pull_match(r)?;
            }
            _ => {
                let flags = r.u16()?;
                let len;
                if kind == Kind::NxstFlowMonitorRequest {
                    m.out_port = OfPort::from_u16(r.u16()?);
                    len = usize::from(r.u16()?);
                    m.table = TableId(r.u8()?);
                    r.skip(5)?;
                } else {
                    len = usize::from(r.u16()?);
                    m.out_port = OfPort::from_u32(r.u32()?)?;
                    m.table = TableId(r.u8()?);
                    r.skip(3)?;
                }
                if flags & 0xe == 0 || flags & !0x3f != 0 {
                    return Err(OfError::OFPMOFC_BAD_FLAGS.into());
                }
                m.flags = flags_from_nicira(flags);
                let bad = |_| DecodeError::from(OfError::OFPBMC_BAD_LEN);
                let padded = r.bytes(len.next_multiple_of(8)).map_err(bad)?;
                let entries = padded.get(..len).unwrap_or(padded);
                m.matching = oxm::pull_nxm(entries, NxmOptions::STRICT)?.0;
            }
        }
        out.push(m);
    }
    Ok(out)
}

pub(super) fn put_requests(w: &mut Writer, kind: Kind, all: &[MonitorRequest], v: Version) {
    for m in all {
        w.u32(m.id);
        if kind == Kind::Ofpst14FlowMonitorRequest {
            w.u32(m.out_port.0);
            w.u32(m.out_group);
            w.u16(m.flags);
            w.u8(m.table.0);
            w.u8(m.command);
            oxm::put_match(w, &m.matching, v);
            continue;
        }
        let entries = oxm::encode_nxm(&m.matching, Cookie(0), Cookie(0));
        w.u16(m.flags & 0x3f);
        if kind == Kind::NxstFlowMonitorRequest {
            w.u16(m.out_port.to_u16());
            w.u16(entries.len() as u16);
            w.u8(m.table.0);
            w.zeros(5);
        } else {
            w.u16(entries.len() as u16);
            w.u32(m.out_port.0);
            w.u8(m.table.0);
            w.zeros(3);
        }
        let start = w.len();
        w.bytes(&entries);
        w.pad8(start);
    }
}

pub(super) fn updates(kind: Kind, r: &mut Reader<'_>, v: Version) -> Result<Vec<FlowUpdate>> {
    let new = kind == Kind::Ofpst14FlowMonitorReply;
    let mut out = Vec::new();
    while !r.is_empty() {
        let bad = |_| DecodeError::from(OfError::OFPBRC_BAD_LEN);
        let len = usize::from(r.u16().map_err(bad)?);
        let rest = len.checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?;
        let mut b = r.sub(rest).map_err(bad)?;
        let b = &mut b;
        let wire_event = b.u16().map_err(bad)?;
        let event = if new {
            wire_event
        } else {
            wire_event.saturating_add(1)
        };
        match event {
            0..=3 => {}
            4 => {
                out.push(FlowUpdate::Abbreviated {
                    xid: b.u32().map_err(bad)?,
                });
                continue;
            }
            5 if new => {
                out.push(FlowUpdate::Paused);
                continue;
            }
            6 if new => {
                out.push(FlowUpdate::Resumed);
                continue;
            }
            _ => return Err(OfError::NXBRC_FM_BAD_EVENT.into()),
        }
        let (table, reason, idle_timeout, hard_timeout, priority, cookie);
        let matching;
        if new {
            table = b.u8()?;
            reason = b.u8()?;
            (idle_timeout, hard_timeout, priority) = (b.u16()?, b.u16()?, b.u16()?);
            b.skip(4)?;
            cookie = b.u64()?;
            matching = oxm::pull_match(b)?;
        } else {
            reason = (b.u16()? & 0xff) as u8;
            priority = b.u16()?;
            (idle_timeout, hard_timeout) = (b.u16()?, b.u16()?);
            let match_len = usize::from(b.u16()?);
            table = b.u8()?;
            b.skip(1)?;
            cookie = b.u64()?;
            let padded = b.bytes(match_len.next_multiple_of(8)).map_err(bad)?;
            let entries = padded.get(..match_len).unwrap_or(padded);
            matching = oxm::pull_nxm(entries, NxmOptions::STRICT)?.0;
        }
        out.push(FlowUpdate::Full {
            event: event as u8,
            reason: FlowRemovedReason(reason),
            idle_timeout,
            hard_timeout,
            table: TableId(table),
            priority,
            cookie: Cookie(cookie),
            matching: Box::new(matching),
            actions: decode_instructions(b.take_rest(), v)?,
        });
    }
    Ok(out)
}

pub(super) fn put_updates(w: &mut Writer, kind: Kind, updates: &[FlowUpdate], v: Version) {
    let new = kind == Kind::Ofpst14FlowMonitorReply;
    for u in updates {
        let start = w.len();
        w.u16(0);
        let event = |n: u16| if new { n } else { n.saturating_sub(1) };
        match u {
            FlowUpdate::Abbreviated { xid } => {
                w.u16(event(4));
                w.u32(*xid);
            }
            FlowUpdate::Paused | FlowUpdate::Resumed => {
                w.u16(if *u == FlowUpdate::Paused { 5 } else { 6 });
                w.u32(0);
            }
            FlowUpdate::Full {
                event: e,
                reason,
                idle_timeout,
                hard_timeout,
                table,
                priority,
                cookie,
                matching,
                actions,
            } => {
                w.u16(event(u16::from(*e)));
                if new {
                    w.u8(table.0);
                    w.u8(reason.0);
                    w.u16(*idle_timeout);
                    w.u16(*hard_timeout);
                    w.u16(*priority);
                    w.u32(0);
                    w.u64(cookie.0);
                    oxm::put_match(w, matching, v);
                } else {
                    let entries = oxm::encode_nxm(matching, Cookie(0), Cookie(0));
                    w.u16(u16::from(reason.0));
                    w.u16(*priority);
                    w.u16(*idle_timeout);
                    w.u16(*hard_timeout);
                    w.u16(entries.len() as u16);
                    w.u8(table.0);
                    w.u8(0);
                    w.u64(cookie.0);
                    let at = w.len();
                    w.bytes(&entries);
                    w.pad8(at);
                }
                put_instructions(w, actions, v);
            }
        }
        w.set_len(start, start);
    }
}
