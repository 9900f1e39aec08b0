//! Flow-mods, flow-removeds and flow statistics.

use super::*;
use crate::action::instructions::{decode_instructions, put_instructions};
use crate::error::DecodeError;
use crate::oxm::{self, NxmOptions};
use crate::raw::Kind;
use crate::version::{Protocol, Version};
use packet::FieldId as F;

const FLAGS: [(u16, Version, FlowFlags); 5] = [
    (1, Version::Of10, FlowFlags::SEND_FLOW_REM),
    (2, Version::Of10, FlowFlags::CHECK_OVERLAP),
    (4, Version::Of12, FlowFlags::RESET_COUNTS),
    (8, Version::Of13, FlowFlags::NO_PKT_COUNTS),
    (16, Version::Of13, FlowFlags::NO_BYT_COUNTS),
];

fn flags(raw: u16, add: bool, v: Version) -> Result<FlowFlags> {
    let (mut left, mut out) = (raw, FlowFlags::default());
    for (bit, since, flag) in FLAGS {
        if left & bit != 0 && v >= since {
            left &= !bit;
            out = out.with(flag);
        }
    }
    if v == Version::Of10 && left & 4 != 0 {
        left &= !4;
        out = out.with(FlowFlags::EMERG);
    }
    // Adding resets the counters in the versions that cannot say so.
    if v <= Version::Of11 && add {
        out = out.with(FlowFlags::RESET_COUNTS);
    }
    if left != 0 {
        Err(OfError::OFPFMFC_BAD_FLAGS.into())
    } else {
        Ok(out)
    }
}

fn raw_flags(f: FlowFlags, v: Version) -> u16 {
    let there = FLAGS
        .iter()
        .filter(|(_, since, flag)| v >= *since && f.has(*flag));
    there.fold(0, |all, (bit, ..)| all | bit)
}

fn duration(r: &mut Reader<'_>) -> Result<Duration> {
    Ok(Duration {
        sec: r.u32()?,
        nsec: r.u32()?,
    })
}

fn count(n: u64) -> Option<u64> {
    (n != u64::MAX).then_some(n)
}

/// An NXM match of `len` bytes with its padding.
fn pull_nx(r: &mut Reader<'_>, len: u16, cookie: bool) -> Result<(Match, Cookie, Cookie)> {
    let len = usize::from(len);
    let bad = |_| DecodeError::from(OfError::OFPBMC_BAD_LEN);
    let padded = r.bytes(len.next_multiple_of(8)).map_err(bad)?;
    let entries = padded.get(..len).unwrap_or(padded);
    oxm::pull_nxm(
        entries,
        NxmOptions {
            strict: true,
            cookie,
            pipeline_only: false,
        },
    )
}

/// Leaves out of a match the fields that others make void: addresses without an IP type, ports
/// without a protocol that has them.
pub fn normalize(m: &mut Match) {
    use F::*;
    let eth_type = m.value().get(EthType);
    let (v4, v6) = (eth_type == 0x0800, eth_type == 0x86dd);
    let arp = matches!(eth_type, 0x0806 | 0x8035);
    let proto = m.value().get(IpProto);
    let ports = matches!(proto, 6 | 17 | 132) || v4 && proto == 1 || v6 && proto == 58;
    let mut void: Vec<F> = Vec::new();
    if !v4 && !v6 {
        void.extend([IpDscp, IpEcn, IpTtl, IpFrag]);
        if !arp {
            void.push(IpProto);
        }
    }
    if !v4 && !arp {
        void.extend([Ipv4Src, Ipv4Dst]);
    }
    if !v6 {
        void.extend([Ipv6Src, Ipv6Dst, Ipv6Label, NdTarget]);
    }
    if !(v4 || v6) || !ports {
        void.extend([TcpSrc, TcpDst]);
    }
    if !matches!(eth_type, 0x8847 | 0x8848) {
        void.extend([MplsLabel, MplsTc, MplsBos, MplsTtl]);
    }
    for f in void {
        m.clear(f);
    }
}

pub(super) fn flow_mod(
    kind: Kind,
    r: &mut Reader<'_>,
    v: Version,
    tables: bool,
) -> Result<FlowMod> {
    use FlowCommand::*;
    let bad_command = || DecodeError::from(OfError::OFPFMFC_BAD_COMMAND);
    let mut fm = FlowMod::new(Add);
    let raw;
    if kind == Kind::Ofpt11FlowMod {
        let cookie = Cookie(r.u64()?);
        let cookie_mask = Cookie(r.u64()?);
        fm.table = TableId(r.u8()?);
        let command = FlowCommand::from_wire(u16::from(r.u8()?));
        fm.idle_timeout = r.u16()?;
        fm.hard_timeout = r.u16()?;
        fm.priority = r.u16()?;
        fm.buffer_id = r.u32()?;
        let out_port = r.u32()?;
        let out_group = r.u32()?;
        raw = r.u16()?;
        let importance = r.u16()?;
        fm.matching = oxm::pull_match(r)?;
        fm.command = command.ok_or_else(bad_command)?;
        let delete = matches!(fm.command, Delete | DeleteStrict);
        let modify = matches!(fm.command, Modify | ModifyStrict);
        if fm.command == Add || v == Version::Of11 && modify && cookie_mask.0 == 0 {
            fm.new_cookie = cookie;
        } else {
            fm.cookie = cookie;
            fm.cookie_mask = cookie_mask;
            fm.new_cookie = Cookie(u64::MAX);
        }
        if fm.table == TableId::ALL && (v == Version::Of11 || !delete) {
            return Err(OfError::OFPFMFC_BAD_TABLE_ID.into());
        }
        if v >= Version::Of14 && fm.command == Add {
            fm.importance = importance;
        }
        fm.out_port = OfPort::from_u32(out_port)?;
        fm.out_group = if delete { out_group } else { GROUP_ANY };
        fm.nicira = false;
    } else {
        let command;
        if kind == Kind::Ofpt10FlowMod {
            let (mut m, exact) = oxm::pull_match10(r)?;
            normalize(&mut m);
            fm.matching = m;
            fm.new_cookie = Cookie(r.u64()?);
            command = r.u16()?;
            fm.idle_timeout = r.u16()?;
            fm.hard_timeout = r.u16()?;
            let priority = r.u16()?;
            // A match of everything comes before all others in 1.0.
            fm.priority = if exact { u16::MAX } else { priority };
            fm.buffer_id = r.u32()?;
            fm.out_port = OfPort::from_u16(r.u16()?);
            raw = r.u16()?;
            fm.nicira = false;
        } else {
            fm.new_cookie = Cookie(r.u64()?);
            command = r.u16()?;
            fm.idle_timeout = r.u16()?;
            fm.hard_timeout = r.u16()?;
            fm.priority = r.u16()?;
            fm.buffer_id = r.u32()?;
            fm.out_port = OfPort::from_u16(r.u16()?);
            raw = r.u16()?;
            let match_len = r.u16()?;
            r.skip(6)?;
            (fm.matching, fm.cookie, fm.cookie_mask) = pull_nx(r, match_len, true)?;
            if command & 0xff == 0 && fm.cookie_mask.0 != 0 {
                return Err(OfError::NXBRC_NXM_INVALID.into());
            }
        }
        fm.modify_cookie = fm.new_cookie.0 != u64::MAX;
        if tables {
            fm.table = TableId((command >> 8) as u8);
            fm.command = FlowCommand::from_wire(command & 0xff).ok_or_else(bad_command)?;
        } else {
            fm.command = FlowCommand::from_wire(command).ok_or_else(bad_command)?;
        }
    }
    let wants = |f: F| fm.matching.mask().get(f) != 0;
    let eth_type = fm.matching.value().get(F::EthType);
    if (wants(F::CtNwSrc) || wants(F::CtNwDst)) && eth_type != 0x0800
        || (wants(F::CtIpv6Src) || wants(F::CtIpv6Dst)) && eth_type != 0x86dd
    {
        return Err(OfError::OFPBAC_MATCH_INCONSISTENT.into());
    }
    fm.actions = decode_instructions(r.take_rest(), v)?;
    fm.flags = flags(raw, fm.command == Add, v)?;
    if fm.flags.has(FlowFlags::EMERG) {
        return Err(if fm.idle_timeout != 0 || fm.hard_timeout != 0 {
            OfError::OFPFMFC_BAD_EMERG_TIMEOUT.into()
        } else {
            OfError::OFPFMFC_TABLE_FULL.into()
        });
    }
    Ok(fm)
}

pub(super) fn put_flow_mod(w: &mut Writer, kind: Kind, fm: &FlowMod, protocol: Protocol) {
    use FlowCommand::*;
    let v = protocol.version();
    let raw = raw_flags(fm.flags, v);
    let command = if protocol.has_tables() {
        u16::from(fm.table.0) << 8 | fm.command as u16
    } else {
        fm.command as u16
    };
    match kind {
        Kind::Ofpt11FlowMod => {
            let modify = matches!(fm.command, Modify | ModifyStrict);
            let set = v == Version::Of11 && modify && fm.cookie_mask.0 == 0;
            let cookie = if set || fm.command == Add {
                fm.new_cookie
            } else {
                Cookie(fm.cookie.0 & fm.cookie_mask.0)
            };
            w.u64(cookie.0);
            w.u64(fm.cookie_mask.0);
            let delete = matches!(fm.command, Delete | DeleteStrict);
            // Only deletions can mean all tables, and in 1.1 not even those.
            let none = fm.table == TableId::ALL && (v == Version::Of11 || !delete);
            w.u8(if none { 0 } else { fm.table.0 });
            w.u8(fm.command as u8);
            w.u16(fm.idle_timeout);
            w.u16(fm.hard_timeout);
            w.u16(fm.priority);
            w.u32(fm.buffer_id);
            w.u32(fm.out_port.0);
            w.u32(fm.out_group);
            w.u16(raw);
            w.u16(if v >= Version::Of14 && fm.command == Add {
                fm.importance
            } else {
                0
            });
            oxm::put_match(w, &fm.matching, v);
        }
        Kind::Ofpt10FlowMod => {
            oxm::put_match10(w, &fm.matching);
            w.u64(fm.new_cookie.0);
            w.u16(command);
            w.u16(fm.idle_timeout);
            w.u16(fm.hard_timeout);
            w.u16(fm.priority);
            w.u32(fm.buffer_id);
            w.u16(fm.out_port.to_u16());
            w.u16(raw);
        }
        _ => {
            let entries = oxm::encode_nxm(&fm.matching, fm.cookie, fm.cookie_mask);
            w.u64(fm.new_cookie.0);
            w.u16(command);
            w.u16(fm.idle_timeout);
            w.u16(fm.hard_timeout);
            w.u16(fm.priority);
            w.u32(fm.buffer_id);
            w.u16(fm.out_port.to_u16());
            w.u16(raw);
            put_nx(w, &entries, 6);
        }
    }
    put_instructions(w, &fm.actions, v);
}

/// Length, padding, entries, padding.
fn put_nx(w: &mut Writer, entries: &[u8], pad: usize) {
    w.u16(u16::try_from(entries.len()).unwrap_or(u16::MAX));
    w.zeros(pad);
    let start = w.len();
    w.bytes(entries);
    w.pad8(start);
}

/// OXS statistics (OpenFlow 1.5.1 §7.2.4.2).
#[derive(Default)]
struct Oxs {
    duration: Option<Duration>,
    idle: Option<u32>,
    flows: Option<u32>,
    packets: Option<u64>,
    bytes: Option<u64>,
}

fn pull_oxs(r: &mut Reader<'_>) -> Result<Oxs> {
    let bad = |_| DecodeError::from(OfError::OFPBMC_BAD_LEN);
    let mut head = *r;
    head.skip(2).map_err(bad)?;
    let len = usize::from(head.u16().map_err(bad)?);
    if len < 4 {
        return Err(OfError::OFPBMC_BAD_LEN.into());
    }
    let padded = r.bytes(len.next_multiple_of(8)).map_err(bad)?;
    let mut e = Reader::new(padded.get(4..len).unwrap_or(&[]));
    let mut out = Oxs::default();
    while !e.is_empty() {
        let header = e.u32().map_err(bad)?;
        let mut body = e.sub((header & 0xff) as usize).map_err(bad)?;
        if header >> 16 != 0x8002 {
            continue;
        }
        match header >> 9 & 0x7f {
            0 => {
                let sec = body.u32().map_err(bad)?;
                out.duration = Some(Duration {
                    sec,
                    nsec: body.u32().map_err(bad)?,
                });
            }
            1 => out.idle = Some(body.u32().map_err(bad)?),
            3 => out.flows = Some(body.u32().map_err(bad)?),
            4 => out.packets = Some(body.u64().map_err(bad)?),
            5 => out.bytes = Some(body.u64().map_err(bad)?),
            _ => {}
        }
    }
    Ok(out)
}

fn put_oxs(w: &mut Writer, s: &Oxs) {
    let start = w.len();
    w.u16(0);
    w.u16(0);
    let header = |w: &mut Writer, field: u32, len: u32| w.u32(0x8002 << 16 | field << 9 | len);
    if let Some(d) = s.duration {
        header(w, 0, 8);
        w.u32(d.sec);
        w.u32(d.nsec);
    }
    if let Some(idle) = s.idle {
        header(w, 1, 8);
        w.u32(idle);
        w.u32(0);
    }
    for (field, n) in [(4, s.packets), (5, s.bytes)] {
        if let Some(n) = n {
            header(w, field, 8);
            w.u64(n);
        }
    }
    if let Some(n) = s.flows {
        header(w, 3, 4);
        w.u32(n);
    }
    w.set_len(start + 2, start);
    w.pad8(start);
}

pub(super) fn flow_removed(kind: Kind, r: &mut Reader<'_>, v: Version) -> Result<FlowRemoved> {
    let mut f = FlowRemoved {
        matching: Match::any(),
        cookie: Cookie(0),
        priority: 0,
        reason: FlowRemovedReason(0),
        table: TableId::ALL,
        duration: Duration::default(),
        idle_timeout: 0,
        hard_timeout: 0,
        packets: None,
        bytes: None,
        nicira: false,
    };
    match kind {
        Kind::Ofpt10FlowRemoved => {
            f.matching = oxm::pull_match10(r)?.0;
            f.cookie = Cookie(r.u64()?);
            f.priority = r.u16()?;
            f.reason = FlowRemovedReason(r.u8()?);
            r.skip(1)?;
            f.duration = duration(r)?;
            f.idle_timeout = r.u16()?;
            r.skip(2)?;
            f.packets = count(r.u64()?);
            f.bytes = count(r.u64()?);
        }
        Kind::Ofpt15FlowRemoved => {
            f.table = TableId(r.u8()?);
            f.reason = FlowRemovedReason(r.u8()?);
            f.priority = r.u16()?;
            f.idle_timeout = r.u16()?;
            f.hard_timeout = r.u16()?;
            f.cookie = Cookie(r.u64()?);
            f.matching = oxm::pull_match(r)?;
            let s = pull_oxs(r)?;
            f.duration = s.duration.unwrap_or(Duration {
                sec: u32::MAX,
                nsec: u32::MAX,
            });
            f.packets = s.packets.and_then(count);
            f.bytes = s.bytes.and_then(count);
        }
        Kind::NxtFlowRemoved => {
            f.cookie = Cookie(r.u64()?);
            f.priority = r.u16()?;
            f.reason = FlowRemovedReason(r.u8()?);
            let table = r.u8()?;
            f.table = TableId(table.wrapping_sub(1));
            f.duration = duration(r)?;
            f.idle_timeout = r.u16()?;
            let len = r.u16()?;
            f.packets = count(r.u64()?);
            f.bytes = count(r.u64()?);
            f.matching = pull_nx(r, len, false)?.0;
            f.nicira = true;
        }
        _ => {
            f.cookie = Cookie(r.u64()?);
            f.priority = r.u16()?;
            f.reason = FlowRemovedReason(r.u8()?);
            f.table = TableId(r.u8()?);
            f.duration = duration(r)?;
            f.idle_timeout = r.u16()?;
            let hard = r.u16()?;
            if v >= Version::Of12 {
                f.hard_timeout = hard;
            }
            f.packets = count(r.u64()?);
            f.bytes = count(r.u64()?);
            f.matching = oxm::pull_match(r)?;
        }
    }
    Ok(f)
}

pub(super) fn put_flow_removed(w: &mut Writer, kind: Kind, f: &FlowRemoved, v: Version) {
    let all_ones = |n: Option<u64>| n.unwrap_or(u64::MAX);
    match kind {
        Kind::Ofpt10FlowRemoved => {
            oxm::put_match10(w, &f.matching);
            w.u64(f.cookie.0);
            w.u16(f.priority);
            w.u8(f.reason.0);
            w.u8(0);
            w.u32(f.duration.sec);
            w.u32(f.duration.nsec);
            w.u16(f.idle_timeout);
            w.u16(0);
            w.u64(f.packets.unwrap_or(0));
            w.u64(f.bytes.unwrap_or(0));
        }
        Kind::Ofpt15FlowRemoved => {
            w.u8(f.table.0);
            w.u8(f.reason.0);
            w.u16(f.priority);
            w.u16(f.idle_timeout);
            w.u16(f.hard_timeout);
            w.u64(f.cookie.0);
            oxm::put_match(w, &f.matching, v);
            put_oxs(
                w,
                &Oxs {
                    duration: Some(f.duration),
                    packets: f.packets,
                    bytes: f.bytes,
                    ..Oxs::default()
                },
            );
        }
        Kind::NxtFlowRemoved => {
            let entries = oxm::encode_nxm(&f.matching, Cookie(0), Cookie(0));
            w.u64(f.cookie.0);
            w.u16(f.priority);
            w.u8(f.reason.0);
            w.u8(f.table.0.wrapping_add(1));
            w.u32(f.duration.sec);
            w.u32(f.duration.nsec);
            w.u16(f.idle_timeout);
            w.u16(entries.len() as u16);
            w.u64(all_ones(f.packets));
            w.u64(all_ones(f.bytes));
            let start = w.len();
            w.bytes(&entries);
            w.pad8(start);
        }
        _ => {
            w.u64(f.cookie.0);
            w.u16(f.priority);
            w.u8(f.reason.0);
            w.u8(f.table.0);
            w.u32(f.duration.sec);
            w.u32(f.duration.nsec);
            w.u16(f.idle_timeout);
            w.u16(if v >= Version::Of12 {
                f.hard_timeout
            } else {
                0
            });
            w.u64(all_ones(f.packets));
            w.u64(all_ones(f.bytes));
            oxm::put_match(w, &f.matching, v);
        }
    }
}

pub(super) fn stats_request(kind: Kind, r: &mut Reader<'_>) -> Result<FlowStatsRequest> {
    let mut q = FlowStatsRequest {
        matching: Match::any(),
        cookie: Cookie(0),
        cookie_mask: Cookie(0),
        out_port: OfPort::NONE,
        out_group: GROUP_ANY,
        table: TableId::ALL,
        nicira: false,
    };
    match kind {
        Kind::Ofpst10FlowRequest | Kind::Ofpst10AggregateRequest => {
            q.matching = oxm::pull_match10(r)?.0;
            q.table = TableId(r.u8()?);
            r.skip(1)?;
            q.out_port = OfPort::from_u16(r.u16()?);
        }
        Kind::NxstFlowRequest | Kind::NxstAggregateRequest => {
            q.out_port = OfPort::from_u16(r.u16()?);
            let len = r.u16()?;
            q.table = TableId(r.u8()?);
            r.skip(3)?;
            (q.matching, q.cookie, q.cookie_mask) = pull_nx(r, len, true)?;
            if !r.is_empty() {
                return Err(OfError::OFPBRC_BAD_LEN.into());
            }
            q.nicira = true;
        }
        _ => {
            q.table = TableId(r.u8()?);
            r.skip(3)?;
            q.out_port = OfPort::from_u32(r.u32()?)?;
            q.out_group = r.u32()?;
            r.skip(4)?;
            q.cookie = Cookie(r.u64()?);
            q.cookie_mask = Cookie(r.u64()?);
            q.matching = oxm::pull_match(r)?;
        }
    }
    Ok(q)
}

pub(super) fn put_stats_request(w: &mut Writer, kind: Kind, q: &FlowStatsRequest, v: Version) {
    match kind {
        Kind::Ofpst10FlowRequest | Kind::Ofpst10AggregateRequest => {
            oxm::put_match10(w, &q.matching);
            w.u8(q.table.0);
            w.u8(0);
            w.u16(q.out_port.to_u16());
        }
        Kind::NxstFlowRequest | Kind::NxstAggregateRequest => {
            let entries = oxm::encode_nxm(&q.matching, q.cookie, q.cookie_mask);
            w.u16(q.out_port.to_u16());
            w.u16(entries.len() as u16);
            w.u8(q.table.0);
            w.zeros(3);
            let start = w.len();
            w.bytes(&entries);
            w.pad8(start);
        }
        _ => {
            w.u8(q.table.0);
            w.zeros(3);
            w.u32(q.out_port.0);
            w.u32(q.out_group);
            w.u32(0);
            w.u64(q.cookie.0);
            w.u64(q.cookie_mask.0);
            oxm::put_match(w, &q.matching, v);
        }
    }
}

pub(super) fn stats(kind: Kind, r: &mut Reader<'_>, v: Version, ages: bool) -> Result<FlowStats> {
    let bad = |_| DecodeError::from(OfError::OFPBRC_BAD_LEN);
    let mut head = *r;
    let length = usize::from(head.u16().map_err(bad)?);
    let mut b = r.sub(length).map_err(bad)?;
    b.skip(2).map_err(bad)?;
    let mut f = FlowStats {
        matching: Match::any(),
        cookie: Cookie(0),
        table: TableId(0),
        priority: 0,
        idle_timeout: 0,
        hard_timeout: 0,
        duration: Duration::default(),
        idle_age: None,
        hard_age: None,
        packets: None,
        bytes: None,
        flags: FlowFlags::default(),
        importance: 0,
        actions: Vec::new(),
    };
    let b = &mut b;
    if kind == Kind::Ofpst15FlowReply {
        b.skip(2)?;
        f.table = TableId(b.u8()?);
        b.skip(1)?;
        f.priority = b.u16()?;
        f.idle_timeout = b.u16()?;
        f.hard_timeout = b.u16()?;
        f.flags = flags(b.u16()?, false, v)?;
        f.importance = b.u16()?;
        f.cookie = Cookie(b.u64()?);
        f.matching = oxm::pull_match(b)?;
        let s = pull_oxs(b)?;
        f.duration = s.duration.unwrap_or(Duration {
            sec: u32::MAX,
            nsec: u32::MAX,
        });
        f.packets = s.packets.and_then(count);
        f.bytes = s.bytes.and_then(count);
        f.idle_age = s.idle.and_then(|i| u16::try_from(i).ok());
    } else {
        f.table = TableId(b.u8()?);
        b.skip(1)?;
        if kind == Kind::Ofpst10FlowReply {
            f.matching = oxm::pull_match10(b)?.0;
        }
        f.duration = duration(b)?;
        f.priority = b.u16()?;
        f.idle_timeout = b.u16()?;
        f.hard_timeout = b.u16()?;
        let mut match_len = 0;
        match kind {
            Kind::Ofpst10FlowReply => b.skip(6)?,
            Kind::NxstFlowReply => {
                match_len = b.u16()?;
                let (idle, hard) = (b.u16()?, b.u16()?);
                if ages {
                    f.idle_age = idle.checked_sub(1);
                    f.hard_age = hard.checked_sub(1);
                }
            }
            _ => {
                let raw = b.u16()?;
                if kind == Kind::Ofpst13FlowReply {
                    f.flags = flags(raw, false, v)?;
                }
                let importance = b.u16()?;
                if v >= Version::Of14 {
                    f.importance = importance;
                }
                b.skip(2)?;
            }
        }
        f.cookie = Cookie(b.u64()?);
        f.packets = count(b.u64()?);
        f.bytes = count(b.u64()?);
        match kind {
            Kind::Ofpst10FlowReply => {}
            Kind::NxstFlowReply => f.matching = pull_nx(b, match_len, false)?.0,
            _ => f.matching = oxm::pull_match(b)?,
        }
    }
    f.actions = decode_instructions(b.take_rest(), v)?;
    Ok(f)
}

pub(super) fn put_stats(w: &mut Writer, kind: Kind, f: &FlowStats, v: Version) {
    let start = w.len();
    w.u16(0);
    let all_ones = |n: Option<u64>| n.unwrap_or(u64::MAX);
    if kind == Kind::Ofpst15FlowReply {
        w.u16(0);
        w.u8(f.table.0);
        w.u8(0);
        w.u16(f.priority);
        w.u16(f.idle_timeout);
        w.u16(f.hard_timeout);
        w.u16(raw_flags(f.flags, v));
        w.u16(f.importance);
        w.u64(f.cookie.0);
        oxm::put_match(w, &f.matching, v);
        put_oxs(
            w,
            &Oxs {
                duration: Some(f.duration),
                idle: f.idle_age.map(u32::from),
                packets: f.packets,
                bytes: f.bytes,
                flows: None,
            },
        );
    } else {
        w.u8(f.table.0);
        w.u8(0);
        if kind == Kind::Ofpst10FlowReply {
            oxm::put_match10(w, &f.matching);
        }
        w.u32(f.duration.sec);
        w.u32(f.duration.nsec);
        w.u16(f.priority);
        w.u16(f.idle_timeout);
        w.u16(f.hard_timeout);
        let entries = oxm::encode_nxm(&f.matching, Cookie(0), Cookie(0));
        let (mut packets, mut bytes) = (all_ones(f.packets), all_ones(f.bytes));
        match kind {
            Kind::Ofpst10FlowReply => {
                w.zeros(6);
                (packets, bytes) = (f.packets.unwrap_or(0), f.bytes.unwrap_or(0));
            }
            Kind::NxstFlowReply => {
                w.u16(entries.len() as u16);
                w.u16(f.idle_age.map_or(0, |a| a.saturating_add(1)));
                w.u16(f.hard_age.map_or(0, |a| a.saturating_add(1)));
            }
            _ => {
                let has_flags = kind == Kind::Ofpst13FlowReply;
                w.u16(if has_flags { raw_flags(f.flags, v) } else { 0 });
                w.u16(if v >= Version::Of14 { f.importance } else { 0 });
                w.u16(0);
            }
        }
        w.u64(f.cookie.0);
        w.u64(packets);
        w.u64(bytes);
        match kind {
            Kind::Ofpst10FlowReply => {}
            Kind::NxstFlowReply => {
                let at = w.len();
                w.bytes(&entries);
                w.pad8(at);
            }
            _ => oxm::put_match(w, &f.matching, v),
        }
    }
    put_instructions(w, &f.actions, v);
    w.set_len(start, start);
}

pub(super) fn aggregate(kind: Kind, r: &mut Reader<'_>) -> Result<AggregateStats> {
    if kind == Kind::Ofpst15AggregateReply {
        let s = pull_oxs(r)?;
        return Ok(AggregateStats {
            packets: s.packets.and_then(count),
            bytes: s.bytes.and_then(count),
            flows: s.flows.unwrap_or(u32::MAX),
        });
    }
    Ok(AggregateStats {
        packets: count(r.u64()?),
        bytes: count(r.u64()?),
        flows: r.u32()?,
    })
}

pub(super) fn put_aggregate(w: &mut Writer, kind: Kind, s: &AggregateStats) {
    if kind == Kind::Ofpst15AggregateReply {
        let oxs = Oxs {
            packets: s.packets,
            bytes: s.bytes,
            flows: Some(s.flows),
            ..Oxs::default()
        };
        put_oxs(w, &oxs);
        return;
    }
    w.u64(s.packets.unwrap_or(u64::MAX));
    w.u64(s.bytes.unwrap_or(u64::MAX));
    w.u32(s.flows);
    w.u32(0);
}
