//! Errors, features, configuration, roles, asynchronous messages, descriptions.

use super::*;
use crate::error::{DecodeError, ErrorNumbers};
use crate::raw::Kind;
use crate::version::Version;

use super::port_wire;

pub(super) fn error(r: &mut Reader<'_>, v: Version) -> Result<ErrorMsg> {
    let mut n = ErrorNumbers {
        vendor: 0,
        kind: r.u16()?,
        code: r.u16()?,
    };
    if n.kind == 0xb0c2 && n.code == 0 {
        n = ErrorNumbers {
            vendor: r.u32()?,
            kind: r.u16()?,
            code: r.u16()?,
        };
    } else if v >= Version::Of11 && n.kind == 0xffff {
        n = ErrorNumbers {
            vendor: r.u32()?,
            kind: n.code,
            code: 0,
        };
    }
    let error = match OfError::from_numbers(v, n) {
        Some(e) => ErrorCode::Known(e),
        None => ErrorCode::Unknown {
            vendor: n.vendor,
            kind: n.kind,
            code: n.code,
        },
    };
    Ok(ErrorMsg {
        error,
        data: r.take_rest().to_vec(),
    })
}

pub(super) fn put_error(w: &mut Writer, e: &ErrorMsg, v: Version) {
    let fallback = || OfError::NXBRC_UNENCODABLE_ERROR.numbers(v);
    let n = match e.error {
        ErrorCode::Known(e) => e.numbers(v).or_else(fallback),
        ErrorCode::Unknown { vendor, kind, code } => Some(ErrorNumbers { vendor, kind, code }),
    };
    let Some(n) = n else {
        w.u32(0);
        return;
    };
    if n.vendor == 0 {
        w.u16(n.kind);
        w.u16(n.code);
    } else if v <= Version::Of11 {
        w.u16(0xb0c2);
        w.u16(0);
        w.u32(n.vendor);
        w.u16(n.kind);
        w.u16(n.code);
    } else {
        w.u16(0xffff);
        w.u16(n.kind);
        w.u32(n.vendor);
    }
    w.bytes(&e.data);
}

pub(super) fn features(r: &mut Reader<'_>, v: Version) -> Result<Features> {
    let mut f = Features {
        datapath_id: r.u64()?,
        n_buffers: r.u32()?,
        n_tables: r.u8()?,
        ..Features::default()
    };
    let auxiliary = r.u8()?;
    if v >= Version::Of13 {
        f.auxiliary_id = auxiliary;
    }
    r.skip(2)?;
    f.capabilities = r.u32()?;
    f.actions = r.u32()?;
    if v < Version::Of13 {
        f.ports = port_wire::ports(r, v)?;
    }
    Ok(f)
}

pub(super) fn put_features(w: &mut Writer, f: &Features, v: Version) {
    w.u64(f.datapath_id);
    w.u32(f.n_buffers);
    w.u8(f.n_tables);
    w.u8(if v >= Version::Of13 {
        f.auxiliary_id
    } else {
        0
    });
    w.u16(0);
    w.u32(f.capabilities);
    w.u32(if v == Version::Of10 { f.actions } else { 0 });
    if v < Version::Of13 {
        for p in &f.ports {
            port_wire::put_port(w, p, v);
        }
    }
}

pub(super) fn config(r: &mut Reader<'_>, v: Version) -> Result<SwitchConfig> {
    let flags = r.u16()?;
    let has_ttl = v < Version::Of13;
    if v != Version::Of10 && !has_ttl && flags & !3 != 0 || has_ttl && flags & !7 != 0 {
        return Err(OfError::OFPSCFC_BAD_FLAGS.into());
    }
    Ok(SwitchConfig {
        frag: (flags & 3) as u8,
        invalid_ttl_to_controller: has_ttl.then_some(flags & 4 != 0),
        miss_send_len: r.u16()?,
    })
}

pub(super) fn put_config(w: &mut Writer, c: &SwitchConfig, v: Version) {
    let ttl = v < Version::Of13 && c.invalid_ttl_to_controller == Some(true);
    w.u16(u16::from(c.frag) | if ttl { 4 } else { 0 });
    w.u16(c.miss_send_len);
}

pub(super) fn role(kind: Kind, r: &mut Reader<'_>) -> Result<RoleRequest> {
    let nicira = matches!(kind, Kind::NxtRoleRequest | Kind::NxtRoleReply);
    let number = r.u32()?;
    // Nicira's roles begin where the standard's second one is.
    let number = if nicira {
        number.saturating_add(1)
    } else {
        number
    };
    let role = match number {
        0 => Role::NoChange,
        1 => Role::Equal,
        2 => Role::Primary,
        3 => Role::Secondary,
        _ => return Err(OfError::OFPRRFC_BAD_ROLE.into()),
    };
    let mut generation = None;
    if !nicira {
        r.skip(4)?;
        let id = r.u64()?;
        let reply = kind == Kind::Ofpt12RoleReply;
        let counts = matches!(role, Role::Primary | Role::Secondary);
        if if reply { id != u64::MAX } else { counts } {
            generation = Some(id);
        }
    }
    Ok(RoleRequest {
        role,
        generation,
        nicira,
    })
}

pub(super) fn put_role(w: &mut Writer, r: &RoleRequest) {
    if r.nicira {
        w.u32((r.role as u32).saturating_sub(1));
        return;
    }
    w.u32(r.role as u32);
    w.u32(0);
    w.u64(r.generation.unwrap_or(u64::MAX));
}

pub(super) fn role_status(r: &mut Reader<'_>) -> Result<RoleStatus> {
    let role = match r.u32()? {
        1 => Role::Equal,
        2 => Role::Primary,
        3 => Role::Secondary,
        _ => return Err(OfError::OFPRRFC_BAD_ROLE.into()),
    };
    let reason = r.u8()?;
    r.skip(3)?;
    Ok(RoleStatus {
        role,
        reason,
        generation: r.u64()?,
    })
}

pub(super) fn put_role_status(w: &mut Writer, s: &RoleStatus) {
    w.u32(s.role as u32);
    w.u8(s.reason);
    w.zeros(3);
    w.u64(s.generation);
}

pub(super) fn async_fixed(r: &mut Reader<'_>) -> Result<AsyncConfig> {
    let mut c = AsyncConfig::default();
    for i in [0, 1, 2] {
        c.primary[i] = Some(r.u32()?);
        c.secondary[i] = Some(r.u32()?);
    }
    Ok(c)
}

pub(super) fn async_props(r: &mut Reader<'_>) -> Result<AsyncConfig> {
    let mut c = AsyncConfig::default();
    while !r.is_empty() {
        let (kind, mut p) = pull_property(r)?;
        // Even numbers are for secondaries, odd ones for primaries and equals.
        let side = if kind % 2 == 0 {
            &mut c.secondary
        } else {
            &mut c.primary
        };
        match side.get_mut(usize::from(kind / 2)) {
            Some(place) => *place = Some(prop_u32(&mut p)?),
            None => {
                let text = format!("unknown async config property type {kind}");
                return Err(DecodeError::noted(
                    OfError::OFPACFC_UNSUPPORTED,
                    "ofp_prop",
                    text,
                ));
            }
        }
    }
    Ok(c)
}

pub(super) fn put_async(w: &mut Writer, c: &AsyncConfig, v: Version) {
    if v < Version::Of14 {
        // The reasons that there were: of packet-ins, changed ports and removed flows.
        const REASONS: [u32; 3] = [0b111, 0b111, 0b1111];
        for ((p, s), known) in c.primary.iter().zip(&c.secondary).zip(REASONS) {
            w.u32(p.unwrap_or(0) & known);
            w.u32(s.unwrap_or(0) & known);
        }
        return;
    }
    for (i, (p, s)) in c.primary.iter().zip(&c.secondary).enumerate() {
        for (kind, bits) in [(2 * i, s), (2 * i + 1, p)] {
            if let Some(bits) = bits {
                put_property(w, kind as u16, &bits.to_be_bytes());
            }
        }
    }
}

pub(super) fn desc(r: &mut Reader<'_>) -> Result<Desc> {
    Ok(Desc {
        manufacturer: r.text(256)?,
        hardware: r.text(256)?,
        software: r.text(256)?,
        serial: r.text(32)?,
        datapath: r.text(256)?,
    })
}

pub(super) fn put_desc(w: &mut Writer, d: &Desc) {
    w.text(&d.manufacturer, 256);
    w.text(&d.hardware, 256);
    w.text(&d.software, 256);
    w.text(&d.serial, 32);
    w.text(&d.datapath, 256);
}

pub(super) fn tlv_maps(r: &mut Reader<'_>, max: u16) -> Result<Vec<TlvMap>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        let m = TlvMap {
            class: r.u16()?,
            kind: r.u8()?,
            len: r.u8()?,
            index: r.u16()?,
        };
        r.skip(2)?;
        if !m.len.is_multiple_of(4) || m.len > 124 {
            let text = format!(
                "tlv table option length ({}) is not a valid option size",
                m.len
            );
            return Err(DecodeError::noted(
                OfError::NXTTMFC_BAD_OPT_LEN,
                "ofp_match",
                text,
            ));
        }
        if m.index >= max {
            let last = i32::from(max) - 1;
            let text = format!(
                "tlv table field index ({}) is too large (max {last})",
                m.index
            );
            return Err(DecodeError::noted(
                OfError::NXTTMFC_BAD_FIELD_IDX,
                "ofp_match",
                text,
            ));
        }
        out.push(m);
    }
    Ok(out)
}

pub(super) fn put_tlv_maps(w: &mut Writer, maps: &[TlvMap]) {
    for m in maps {
        w.u16(m.class);
        w.u8(m.kind);
        w.u8(m.len);
        w.u16(m.index);
        w.u16(0);
    }
}

pub(super) fn bundle_add(r: &mut Reader<'_>, v: Version) -> Result<BundleAdd> {
    let id = r.u32()?;
    r.skip(2)?;
    let flags = r.u16()?;
    let header = crate::raw::Header::parse(r.rest())?;
    if usize::from(header.length) > r.left() {
        return Err(OfError::OFPBFC_MSG_BAD_LEN.into());
    }
    if header.version != v.wire() {
        return Err(OfError::OFPBFC_BAD_VERSION.into());
    }
    let message = r.bytes(usize::from(header.length))?.to_vec();
    let kind = crate::raw::frame(&message)
        .map_err(|_| OfError::OFPBFC_MSG_UNSUP)?
        .kind;
    let fits = matches!(
        kind,
        Kind::Ofpt11FlowMod
            | Kind::NxtFlowMod
            | Kind::Ofpt11PortMod
            | Kind::Ofpt14PortMod
            | Kind::Ofpt11GroupMod
            | Kind::Ofpt15GroupMod
            | Kind::Ofpt11PacketOut
            | Kind::Ofpt15PacketOut
    );
    if !fits {
        return Err(OfError::OFPBFC_MSG_UNSUP.into());
    }
    Ok(BundleAdd { id, flags, message })
}
