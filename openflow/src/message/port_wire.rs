//! Ports and queues: descriptions, changes, statistics.

use super::*;
use crate::version::Version;

/// 1.0 has five bits less between speeds and media than later versions.
fn features10(n: u32) -> u32 {
    n & 0x7f | (n & 0xf80) << 4
}

fn to_features10(n: u32) -> u32 {
    n & 0x7f | (n & 0xf800) >> 4
}

fn port_no(r: &mut Reader<'_>, v: Version) -> Result<OfPort> {
    if v == Version::Of10 {
        Ok(OfPort::from_u16(r.u16()?))
    } else {
        Ok(OfPort::from_u32(r.u32()?)?)
    }
}

pub(super) fn port(r: &mut Reader<'_>, v: Version) -> Result<PhyPort> {
    let port = port_no(r, v)?;
    let mut rest = *r;
    let new = v >= Version::Of14;
    if new {
        let len = usize::from(r.u16()?);
        let body = len.checked_sub(6).ok_or(OfError::OFPBRC_BAD_LEN)?;
        rest = r.sub(body)?;
        rest.skip(2)?;
    }
    let b = if new { &mut rest } else { r };
    if !new && v != Version::Of10 {
        b.skip(4)?;
    }
    let hw_addr = b.mac()?;
    if v != Version::Of10 {
        b.skip(2)?;
    }
    let mut p = PhyPort {
        port,
        hw_addr,
        name: b.text(16)?,
        config: b.u32()?,
        state: b.u32()?,
        curr: 0,
        advertised: 0,
        supported: 0,
        peer: 0,
        curr_speed: 0,
        max_speed: 0,
    };
    match v {
        Version::Of10 => {
            p.config &= 0x7f;
            p.state &= 0x301;
            p.curr = features10(b.u32()?);
            p.advertised = features10(b.u32()?);
            p.supported = features10(b.u32()?);
            p.peer = features10(b.u32()?);
            p.curr_speed = speed(p.curr);
            p.max_speed = speed(p.supported);
        }
        Version::Of11 | Version::Of12 | Version::Of13 => {
            p.config &= 0x65;
            p.state &= 7;
            ethernet(b, &mut p)?;
        }
        _ => {
            p.config &= 0x65;
            p.state &= 7;
            while !b.is_empty() {
                let (kind, mut body) = pull_property(b)?;
                if kind == 0 {
                    body.skip(4).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
                    ethernet(&mut body, &mut p).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
                }
            }
        }
    }
    Ok(p)
}

fn ethernet(b: &mut Reader<'_>, p: &mut PhyPort) -> Result<()> {
    p.curr = b.u32()? & 0xffff;
    p.advertised = b.u32()? & 0xffff;
    p.supported = b.u32()? & 0xffff;
    p.peer = b.u32()? & 0xffff;
    p.curr_speed = b.u32()?;
    p.max_speed = b.u32()?;
    Ok(())
}

/// The highest speed among features, kbit/s; 0 = unknown.
fn speed(features: u32) -> u32 {
    const SPEEDS: [(u32, u32); 7] = [
        (1 << 9, 1_000_000_000),
        (1 << 8, 100_000_000),
        (1 << 7, 40_000_000),
        (1 << 6, 10_000_000),
        (3 << 4, 1_000_000),
        (3 << 2, 100_000),
        (3, 10_000),
    ];
    SPEEDS
        .iter()
        .find(|(bits, _)| features & bits != 0)
        .map_or(0, |(_, s)| *s)
}

pub(super) fn ports(r: &mut Reader<'_>, v: Version) -> Result<Vec<PhyPort>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        out.push(port(r, v)?);
    }
    Ok(out)
}

pub(super) fn put_port(w: &mut Writer, p: &PhyPort, v: Version) {
    let start = w.len();
    let all = [p.curr, p.advertised, p.supported, p.peer];
    if v == Version::Of10 {
        w.u16(p.port.to_u16());
        w.bytes(&p.hw_addr);
        w.text(&p.name, 16);
        w.u32(p.config & 0x7f);
        w.u32(p.state & 0x301);
        for f in all {
            w.u32(to_features10(f));
        }
        return;
    }
    w.u32(p.port.0);
    let new = v >= Version::Of14;
    w.u32(0);
    w.bytes(&p.hw_addr);
    w.u16(0);
    w.text(&p.name, 16);
    w.u32(p.config & 0x65);
    w.u32(p.state & 7);
    if new {
        w.u16(0);
        w.u16(32);
        w.u32(0);
    }
    for f in all {
        w.u32(f);
    }
    w.u32(p.curr_speed);
    w.u32(p.max_speed);
    if new {
        w.set_len(start + 4, start);
    }
}

pub(super) fn port_status(r: &mut Reader<'_>, v: Version) -> Result<PortStatus> {
    let reason = match r.u8()? {
        0 => PortReason::Add,
        1 => PortReason::Delete,
        2 => PortReason::Modify,
        _ => return Err(OfError::NXBRC_BAD_REASON.into()),
    };
    r.skip(7)?;
    Ok(PortStatus {
        reason,
        port: port(r, v)?,
    })
}

pub(super) fn port_mod(r: &mut Reader<'_>, v: Version) -> Result<PortMod> {
    let port = port_no(r, v)?;
    if v != Version::Of10 {
        r.skip(4)?;
    }
    let hw_addr = r.mac()?;
    if v != Version::Of10 {
        r.skip(2)?;
    }
    let legal = if v == Version::Of10 { 0x7f } else { 0x65 };
    let config = r.u32()? & legal;
    let mask = r.u32()? & legal;
    let mut advertise = 0;
    match v {
        Version::Of10 => advertise = features10(r.u32()?),
        Version::Of11 | Version::Of12 | Version::Of13 => advertise = r.u32()?,
        _ => {
            while !r.is_empty() {
                let (kind, mut p) = pull_property(r)?;
                match kind {
                    0 => advertise = prop_u32(&mut p)?,
                    _ => return Err(OfError::OFPBPC_BAD_TYPE.into()),
                }
            }
        }
    }
    Ok(PortMod {
        port,
        hw_addr,
        config: config & mask,
        mask,
        advertise,
    })
}

pub(super) fn put_port_mod(w: &mut Writer, m: &PortMod, v: Version) {
    let legal = if v == Version::Of10 { 0x7f } else { 0x65 };
    if v == Version::Of10 {
        w.u16(m.port.to_u16());
        w.bytes(&m.hw_addr);
    } else {
        w.u32(m.port.0);
        w.u32(0);
        w.bytes(&m.hw_addr);
        w.u16(0);
    }
    w.u32(m.config & legal);
    w.u32(m.mask & legal);
    match v {
        Version::Of10 => {
            w.u32(to_features10(m.advertise));
            w.u32(0);
        }
        Version::Of11 | Version::Of12 | Version::Of13 => {
            w.u32(m.advertise);
            w.u32(0);
        }
        _ if m.advertise != 0 => put_property(w, 0, &m.advertise.to_be_bytes()),
        _ => {}
    }
}

fn counters(r: &mut Reader<'_>, p: &mut PortStats, errors: bool) -> Result<()> {
    p.rx_packets = r.u64()?;
    p.tx_packets = r.u64()?;
    p.rx_bytes = r.u64()?;
    p.tx_bytes = r.u64()?;
    p.rx_dropped = r.u64()?;
    p.tx_dropped = r.u64()?;
    p.rx_errors = r.u64()?;
    p.tx_errors = r.u64()?;
    if errors {
        frame_errors(r, p)?;
    }
    Ok(())
}

fn frame_errors(r: &mut Reader<'_>, p: &mut PortStats) -> Result<()> {
    p.rx_frame_err = r.u64()?;
    p.rx_over_err = r.u64()?;
    p.rx_crc_err = r.u64()?;
    p.collisions = r.u64()?;
    Ok(())
}

impl PortStats {
    /// A port of which nothing is known.
    pub fn unknown(port: OfPort) -> PortStats {
        PortStats {
            port,
            rx_packets: u64::MAX,
            tx_packets: u64::MAX,
            rx_bytes: u64::MAX,
            tx_bytes: u64::MAX,
            rx_dropped: u64::MAX,
            tx_dropped: u64::MAX,
            rx_errors: u64::MAX,
            tx_errors: u64::MAX,
            rx_frame_err: u64::MAX,
            rx_over_err: u64::MAX,
            rx_crc_err: u64::MAX,
            collisions: u64::MAX,
            duration: None,
            rfc2819: None,
            custom: Vec::new(),
        }
    }
}

const INTEL: u32 = 0x0000_aa01;

fn intel(p: &mut Reader<'_>, s: &mut PortStats) -> Result<()> {
    let bad = |_| OfError::OFPBPC_BAD_LEN;
    if p.u32().map_err(bad)? != INTEL {
        return Ok(());
    }
    match p.u32().map_err(bad)? {
        1 => {
            p.skip(4).map_err(bad)?;
            let mut all = [0; 16];
            for place in all.iter_mut() {
                *place = p.u64().map_err(bad)?;
            }
            s.rfc2819 = Some(Box::new(all));
        }
        2 => {
            p.skip(2).map_err(bad)?;
            for _ in 0..p.u16().map_err(bad)? {
                let len = usize::from(p.u8().map_err(bad)?);
                let name = p.text(len).map_err(bad)?;
                s.custom.push((name, p.u64().map_err(bad)?));
            }
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn port_stats(r: &mut Reader<'_>, v: Version) -> Result<Vec<PortStats>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        let mut p = PortStats::unknown(OfPort(0));
        if v >= Version::Of14 {
            let len = usize::from(r.u16()?);
            let mut b = r.sub(len.checked_sub(2).ok_or(OfError::OFPBRC_BAD_LEN)?)?;
            b.skip(2)?;
            p.port = OfPort::from_u32(b.u32()?)?;
            p.duration = Some(Duration {
                sec: b.u32()?,
                nsec: b.u32()?,
            });
            counters(&mut b, &mut p, false)?;
            while !b.is_empty() {
                let (kind, mut prop) = pull_property(&mut b)?;
                match kind {
                    0 => {
                        prop.skip(4).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
                        frame_errors(&mut prop, &mut p).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
                    }
                    0xffff => intel(&mut prop, &mut p)?,
                    _ => {}
                }
            }
        } else {
            p.port = port_no(r, v)?;
            r.skip(if v == Version::Of10 { 6 } else { 4 })?;
            counters(r, &mut p, true)?;
            if v == Version::Of13 {
                p.duration = Some(Duration {
                    sec: r.u32()?,
                    nsec: r.u32()?,
                });
            }
        }
        out.push(p);
    }
    Ok(out)
}

pub(super) fn put_port_stats(w: &mut Writer, ports: &[PortStats], v: Version) {
    for p in ports {
        let start = w.len();
        let d = p.duration.unwrap_or(Duration {
            sec: u32::MAX,
            nsec: u32::MAX,
        });
        let new = v >= Version::Of14;
        match v {
            Version::Of10 => {
                w.u16(p.port.to_u16());
                w.zeros(6);
            }
            Version::Of11 | Version::Of12 | Version::Of13 => {
                w.u32(p.port.0);
                w.u32(0);
            }
            _ => {
                w.u32(0);
                w.u32(p.port.0);
                w.u32(d.sec);
                w.u32(d.nsec);
            }
        }
        for n in [
            p.rx_packets,
            p.tx_packets,
            p.rx_bytes,
            p.tx_bytes,
            p.rx_dropped,
            p.tx_dropped,
            p.rx_errors,
            p.tx_errors,
        ] {
            w.u64(n);
        }
        if new {
            w.u16(0);
            w.u16(40);
            w.u32(0);
        }
        for n in [p.rx_frame_err, p.rx_over_err, p.rx_crc_err, p.collisions] {
            w.u64(n);
        }
        if v == Version::Of13 {
            w.u32(d.sec);
            w.u32(d.nsec);
        }
        if new {
            if let Some(all) = &p.rfc2819 {
                w.u16(0xffff);
                w.u16(16 + 128);
                w.u32(INTEL);
                w.u32(1);
                w.u32(0);
                for n in all.iter() {
                    w.u64(*n);
                }
            }
            if !p.custom.is_empty() {
                let mut body = Writer::new();
                body.u32(INTEL);
                body.u32(2);
                body.u16(0);
                body.u16(p.custom.len() as u16);
                for (name, n) in &p.custom {
                    let name = name.as_bytes();
                    let name = name.get(..name.len().min(255)).unwrap_or(name);
                    body.u8(name.len() as u8);
                    body.bytes(name);
                    body.u64(*n);
                }
                put_property(w, 0xffff, &body.out);
            }
            w.set_len(start, start);
        }
    }
}

pub(super) fn queue_stats(r: &mut Reader<'_>, v: Version) -> Result<Vec<QueueStats>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        if v >= Version::Of14 {
            // Length and padding; nobody has properties.
            let len = usize::from(r.u16()?);
            if len != 48 {
                return Err(OfError::OFPBRC_BAD_LEN.into());
            }
            r.skip(6)?;
        }
        let port = port_no(r, v)?;
        if v == Version::Of10 {
            r.skip(2)?;
        }
        let mut q = QueueStats {
            port,
            queue: r.u32()?,
            tx_bytes: r.u64()?,
            tx_packets: r.u64()?,
            tx_errors: r.u64()?,
            duration: None,
        };
        if v >= Version::Of13 {
            q.duration = Some(Duration {
                sec: r.u32()?,
                nsec: r.u32()?,
            });
        }
        out.push(q);
    }
    Ok(out)
}

pub(super) fn put_queue_stats(w: &mut Writer, queues: &[QueueStats], v: Version) {
    for q in queues {
        if v >= Version::Of14 {
            w.u16(48);
            w.zeros(6);
        }
        if v == Version::Of10 {
            w.u16(q.port.to_u16());
            w.u16(0);
        } else {
            w.u32(q.port.0);
        }
        w.u32(q.queue);
        for n in [q.tx_bytes, q.tx_packets, q.tx_errors] {
            w.u64(n);
        }
        if v >= Version::Of13 {
            let d = q.duration.unwrap_or(Duration {
                sec: u32::MAX,
                nsec: u32::MAX,
            });
            w.u32(d.sec);
            w.u32(d.nsec);
        }
    }
}

/// A rate in tenths of a percent; more than 1000 is "not limited".
fn rate(n: u16) -> Option<u16> {
    (n <= 1000).then_some(n)
}

pub(super) fn queue_configs(r: &mut Reader<'_>, v: Version) -> Result<(OfPort, Vec<QueueConfig>)> {
    let mut out = Vec::new();
    let mut all_port = OfPort::NONE;
    if v < Version::Of14 {
        all_port = port_no(r, v)?;
        r.skip(if v == Version::Of10 { 6 } else { 4 })?;
    }
    while !r.is_empty() {
        let mut q = QueueConfig {
            port: all_port,
            queue: 0,
            min_rate: None,
            max_rate: None,
        };
        let mut head = *r;
        let fixed = match v {
            Version::Of10 | Version::Of11 => 8,
            _ => 16,
        };
        if v >= Version::Of14 {
            q.port = OfPort::from_u32(head.u32()?)?;
            q.queue = head.u32()?;
        } else {
            q.queue = head.u32()?;
            if v >= Version::Of12 {
                head.skip(4)?;
            }
        }
        let len = usize::from(head.u16()?);
        let mut b = r.sub(len)?;
        b.skip(fixed)?;
        while !b.is_empty() {
            let (kind, mut p) = pull_property(&mut b)?;
            if v < Version::Of14 && p.left() >= 6 {
                p.skip(4).map_err(|_| OfError::OFPBRC_BAD_LEN)?;
            }
            match kind {
                1 => q.min_rate = rate(prop_u16(&mut p)?),
                2 => q.max_rate = rate(prop_u16(&mut p)?),
                _ => {}
            }
        }
        out.push(q);
    }
    Ok((all_port, out))
}

/// The queues of `port`, which may stand for all ports.
pub(super) fn put_queue_configs(w: &mut Writer, port: OfPort, queues: &[QueueConfig], v: Version) {
    if v < Version::Of14 {
        if v == Version::Of10 {
            w.u16(port.to_u16());
            w.zeros(6);
        } else {
            w.u32(port.0);
            w.u32(0);
        }
    }
    for q in queues {
        let start = w.len();
        if v >= Version::Of14 {
            w.u32(q.port.0);
        }
        w.u32(q.queue);
        if v == Version::Of12 || v == Version::Of13 {
            w.u32(q.port.0);
        }
        let at = w.len();
        w.u16(0);
        w.zeros(if v <= Version::Of11 { 2 } else { 6 });
        for (kind, rate) in [(1u16, q.min_rate), (2, q.max_rate)] {
            let Some(rate) = rate else { continue };
            if v < Version::Of14 {
                w.u16(kind);
                w.u16(16);
                w.u32(0);
                w.u16(rate);
                w.zeros(6);
            } else {
                put_property(w, kind, &(u32::from(rate) << 16).to_be_bytes());
            }
        }
        w.set_len(at, start);
    }
}
