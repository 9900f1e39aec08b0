//! `ct`, `nat`, `sample` and `encap` on the wire.

use super::decode::{check_source, decode_list, packed_subfield, zeros};
use super::raw::RawAction as R;
use super::*;
use crate::error::{DecodeError, OfError, Result};
use crate::oxm;
use crate::version::Version;
use crate::wire::{Reader, Writer};
use std::net::{Ipv4Addr, Ipv6Addr};

const ARGUMENT: OfError = OfError::OFPBAC_BAD_ARGUMENT;

fn noted(error: OfError, text: &str) -> DecodeError {
    DecodeError::noted(error, "ofp_actions", text.to_string())
}

pub(super) fn ct(b: &mut Reader<'_>, version: Version, depth: u8) -> Result<Action> {
    let flags = b.u16()?;
    if flags & 2 != 0 && flags & 1 == 0 {
        return Err(ARGUMENT.into());
    }
    let zone_src = b.u32()?;
    let zone = b.u16()?;
    let zone = if zone_src != 0 {
        let sf = check_source(packed_subfield(zone_src, zone)?)?;
        if sf.bits != 16 {
            let text = format!("zone n_bits {} not within valid range [16..16]", sf.bits);
            return Err(noted(OfError::OFPBAC_BAD_SET_LEN, &text));
        }
        ZoneSource::Field(sf)
    } else {
        ZoneSource::Number(zone)
    };
    let table = Some(b.u8()?).filter(|t| *t != 0xff);
    b.skip(3)?;
    let alg = b.u16()?;
    let actions = decode_list(b.take_rest(), version, depth + 1)?;
    instructions::verify_actions(&actions, version, Some("ct"))?;
    let plain = |a: &Action| matches!(a, Action::Nat(n) if n.flags == 0 && n.addrs.is_none());
    if flags & 1 == 0 && !actions.iter().all(plain) {
        let text = "CT action requires commit flag if actions other than NAT without arguments are specified.";
        return Err(noted(ARGUMENT, text));
    }
    Ok(Action::Ct(Box::new(Ct {
        flags,
        zone,
        table,
        alg,
        actions,
    })))
}

pub(super) fn put_ct(w: &mut Writer, ct: &Ct, version: Version) {
    w.u16(ct.flags);
    match ct.zone {
        ZoneSource::Field(sf) => {
            w.u32(oxm::short_header(sf.field));
            w.u16(pack(sf));
        }
        ZoneSource::Number(n) => {
            w.u32(0);
            w.u16(n);
        }
    }
    w.u8(ct.table.unwrap_or(0xff));
    w.zeros(3);
    w.u16(ct.alg);
    encode::put_actions(w, &ct.actions, version);
}

/// Offset and width in sixteen bits. A width over 64 has no room and runs into the offset, as
/// it does in every switch that speaks this form.
pub(super) fn pack(sf: Subfield) -> u16 {
    u16::from(sf.ofs) << 6 | u16::from(sf.bits).saturating_sub(1)
}

pub(super) fn nat(b: &mut Reader<'_>) -> Result<Action> {
    b.skip(2)?;
    let flags = b.u16()?;
    let present = b.u16()?;
    if flags & !0x1f != 0 || flags & 3 == 3 || flags & 0x18 == 0x18 {
        return Err(ARGUMENT.into());
    }
    let bad = |_| DecodeError::from(ARGUMENT);
    let has = |bit: u16| present & bit != 0;
    let addrs = if has(1) {
        if present & 0xc != 0 {
            return Err(ARGUMENT.into());
        }
        let min = Ipv4Addr::from(b.u32().map_err(bad)?);
        let max = if has(2) {
            Some(Ipv4Addr::from(b.u32().map_err(bad)?))
        } else {
            None
        };
        if min.is_unspecified() || max.is_some_and(|m| m < min) {
            return Err(ARGUMENT.into());
        }
        Some(NatAddrs::V4(min, max))
    } else if has(2) {
        return Err(ARGUMENT.into());
    } else if has(4) {
        let min = Ipv6Addr::from(b.u128().map_err(bad)?);
        let max = if has(8) {
            Some(Ipv6Addr::from(b.u128().map_err(bad)?))
        } else {
            None
        };
        if min.is_unspecified() || max.is_some_and(|m| m < min) {
            return Err(ARGUMENT.into());
        }
        Some(NatAddrs::V6(min, max))
    } else if has(8) {
        return Err(ARGUMENT.into());
    } else {
        None
    };
    let ports = if has(0x10) {
        let min = b.u16().map_err(bad)?;
        let max = if has(0x20) {
            Some(b.u16().map_err(bad)?)
        } else {
            None
        };
        if addrs.is_none() || min == 0 || max.is_some_and(|m| m < min) {
            return Err(ARGUMENT.into());
        }
        Some((min, max))
    } else if has(0x20) {
        return Err(ARGUMENT.into());
    } else {
        None
    };
    Ok(Action::Nat(Nat {
        flags,
        addrs,
        ports,
    }))
}

pub(super) fn put_nat(w: &mut Writer, nat: &Nat) {
    w.zeros(2);
    w.u16(nat.flags);
    let at = w.len();
    w.u16(0);
    let mut present = 0;
    match nat.addrs {
        Some(NatAddrs::V4(min, max)) => {
            present |= 1;
            w.u32(min.into());
            if let Some(max) = max {
                present |= 2;
                w.u32(max.into());
            }
        }
        Some(NatAddrs::V6(min, max)) => {
            present |= 4;
            w.u128(min.into());
            if let Some(max) = max {
                present |= 8;
                w.u128(max.into());
            }
        }
        None => {}
    }
    if let Some((min, max)) = nat.ports.filter(|_| nat.addrs.is_some()) {
        present |= 0x10;
        w.u16(min);
        if let Some(max) = max {
            present |= 0x20;
            w.u16(max);
        }
    }
    w.set_u16(at, present);
}

fn direction(n: u8) -> Result<SampleDirection> {
    match n {
        0 => Ok(SampleDirection::Default),
        1 => Ok(SampleDirection::Ingress),
        2 => Ok(SampleDirection::Egress),
        _ => Err(noted(ARGUMENT, &format!("invalid sample direction {n}"))),
    }
}

fn sample_id(source: u32, word: u32) -> Result<SampleId> {
    if source == 0 {
        return Ok(SampleId::Number(word));
    }
    let sf = check_source(packed_subfield(source, (word >> 16) as u16)?)?;
    if sf.bits > 32 {
        let text = format!(
            "size of field used in observation_id ({}) exceeds maximum (32)",
            sf.bits
        );
        return Err(noted(ARGUMENT, &text));
    }
    Ok(SampleId::Field(sf))
}

pub(super) fn sample(b: &mut Reader<'_>, raw: R) -> Result<Action> {
    let probability = b.u16()?;
    let collector_set = b.u32()?;
    let (domain_src, domain, point_src, point);
    if raw == R::Sample4 {
        (domain_src, domain, point_src, point) = (b.u32()?, b.u32()?, b.u32()?, b.u32()?);
    } else {
        (domain_src, domain, point_src, point) = (0, b.u32()?, 0, b.u32()?);
    }
    let mut s = Sample {
        probability,
        collector_set,
        obs_domain: SampleId::Number(domain),
        obs_point: SampleId::Number(point),
        port: OfPort::NONE,
        direction: SampleDirection::Default,
    };
    if raw != R::Sample {
        s.port = OfPort::from_u16(b.u16()?);
    }
    if matches!(raw, R::Sample3 | R::Sample4) {
        let way = b.u8()?;
        zeros(b.rest(), OfError::NXBRC_MUST_BE_ZERO)?;
        s.direction = direction(way)?;
    }
    if probability == 0 {
        return Err(ARGUMENT.into());
    }
    s.obs_domain = sample_id(domain_src, domain)?;
    s.obs_point = sample_id(point_src, point)?;
    Ok(Action::Sample(s))
}

/// The form in which a sample is sent.
pub(super) fn sample_form(s: &Sample) -> R {
    let field = |id: SampleId| matches!(id, SampleId::Field(_));
    if field(s.obs_domain) || field(s.obs_point) {
        R::Sample4
    } else if s.direction != SampleDirection::Default {
        R::Sample3
    } else if s.port != OfPort::NONE {
        R::Sample2
    } else {
        R::Sample
    }
}

pub(super) fn put_sample(w: &mut Writer, s: &Sample) {
    let form = sample_form(s);
    w.u16(s.probability);
    w.u32(s.collector_set);
    for id in [s.obs_domain, s.obs_point] {
        match id {
            SampleId::Number(n) => {
                if form == R::Sample4 {
                    w.u32(0);
                }
                w.u32(n);
            }
            SampleId::Field(sf) => {
                w.u32(oxm::short_header(sf.field));
                w.u16(pack(sf));
                w.u16(0);
            }
        }
    }
    if form != R::Sample {
        w.u16(s.port.to_u16());
        w.u8(s.direction as u8);
        w.zeros(5);
    }
}

/// The property class of network service headers.
const NSH: u16 = 4;

pub(super) fn encap(b: &mut Reader<'_>) -> Result<Action> {
    b.skip(2)?;
    let ethertype = b.u32()?;
    if !matches!(ethertype, 0 | 0x1894f | 0x18847 | 0x18848) {
        return Err(OfError::NXBAC_BAD_HEADER_TYPE.into());
    }
    let mut props = Vec::new();
    while !b.is_empty() {
        let bad_len = |_| DecodeError::from(OfError::OFPBAC_BAD_LEN);
        let mut head = *b;
        let class = head.u16().map_err(bad_len)?;
        let kind = head.u8().map_err(bad_len)?;
        let len = usize::from(head.u8().map_err(bad_len)?);
        if len < 4 {
            return Err(OfError::OFPBAC_BAD_LEN.into());
        }
        let mut p = b.sub(len.next_multiple_of(8)).map_err(bad_len)?;
        p.skip(4).map_err(bad_len)?;
        match (class, kind) {
            (NSH, 1) if len <= 8 => props.push(EncapProp::NshMdType(p.u8().map_err(bad_len)?)),
            (NSH, 2) => {
                let bad = |_| DecodeError::from(OfError::NXBAC_BAD_ED_PROP);
                let class = p.u16().map_err(bad)?;
                let kind = p.u8().map_err(bad)?;
                let n = usize::from(p.u8().map_err(bad)?);
                if len != 8 + n.next_multiple_of(8) {
                    return Err(OfError::NXBAC_BAD_ED_PROP.into());
                }
                let data = p.bytes(n).map_err(bad)?.to_vec();
                props.push(EncapProp::NshTlv { class, kind, data });
            }
            (NSH, 1) => return Err(OfError::NXBAC_BAD_ED_PROP.into()),
            _ => return Err(OfError::NXBAC_UNKNOWN_ED_PROP.into()),
        }
    }
    Ok(Action::Encap { ethertype, props })
}

pub(super) fn put_encap(w: &mut Writer, ethertype: u32, props: &[EncapProp]) {
    w.u16(0);
    w.u32(ethertype);
    for p in props {
        w.u16(NSH);
        match p {
            EncapProp::NshMdType(t) => {
                w.u8(1);
                w.u8(5);
                w.u8(*t);
                w.zeros(3);
            }
            EncapProp::NshTlv { class, kind, data } => {
                let padded = data.len().next_multiple_of(8);
                w.u8(2);
                w.u8(u8::try_from(8 + padded).unwrap_or(u8::MAX));
                w.u16(*class);
                w.u8(*kind);
                w.u8(u8::try_from(data.len()).unwrap_or(u8::MAX));
                w.bytes(data);
                w.zeros(padded - data.len());
            }
        }
    }
}
