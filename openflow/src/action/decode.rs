//! Actions from bytes.

use super::raw::{self, RawAction as R};
use super::*;
use crate::error::{DecodeError, NX_VENDOR, ONF_VENDOR, OfError, Result};
use crate::oxm::{self, legal_bits};
use crate::version::Version;
use crate::wire::Reader;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether `debug_slow` and `debug_recirc` are taken.
static DEBUG_ACTIONS: AtomicBool = AtomicBool::new(false);

/// Takes actions that only tests want from now on, in the whole process: they show paths that
/// packets rarely take.
pub fn allow_debug_actions() {
    DEBUG_ACTIONS.store(true, Relaxed);
}

/// How deep actions may stand in actions.
const MAX_DEPTH: u8 = 64;

fn warn<T>(error: OfError, text: String) -> Result<T> {
    Err(DecodeError::noted(error, "ofp_actions", text))
}

fn meta_warn<T>(error: OfError, text: String) -> Result<T> {
    Err(DecodeError::noted(error, "meta_flow", text))
}

/// Checks that a subfield lies in its field.
pub(super) fn check_subfield(sf: Subfield, kind: &str) -> Result<()> {
    let (bits, name) = (sf.field.row().bits, sf.field.row().name);
    if sf.bits == 0 {
        return meta_warn(
            OfError::OFPBAC_BAD_SET_LEN,
            format!("zero bit {kind} field {name}"),
        );
    }
    if sf.ofs >= bits {
        let text = format!(
            "bit offset {} exceeds {bits}-bit width of {kind} field {name}",
            sf.ofs
        );
        return meta_warn(OfError::OFPBAC_BAD_SET_LEN, text);
    }
    if u16::from(sf.ofs) + u16::from(sf.bits) > u16::from(bits) {
        let text = format!(
            "bit offset {} and width {} exceeds {bits}-bit width of {kind} field {name}",
            sf.ofs, sf.bits
        );
        return meta_warn(OfError::OFPBAC_BAD_SET_LEN, text);
    }
    Ok(())
}

pub(super) fn check_source(sf: Subfield) -> Result<Subfield> {
    check_subfield(sf, "source").map(|()| sf)
}

pub(super) fn check_target(sf: Subfield) -> Result<Subfield> {
    check_subfield(sf, "destination")?;
    if !sf.field.row().writable {
        let text = format!("destination field {} is not writable", sf.field.row().name);
        return meta_warn(OfError::OFPBAC_BAD_SET_ARGUMENT, text);
    }
    Ok(sf)
}

/// A subfield of a 32-bit header; `ofs_nbits` is offset and width less one.
pub(super) fn short_subfield(header: u32, ofs: u16, bits: u16) -> Result<Subfield> {
    let bytes = header.to_be_bytes();
    let field = oxm::pull_field(&mut Reader::new(&bytes)).map(|(f, _)| f);
    let field = field.map_err(|_| {
        DecodeError::noted(
            OfError::OFPBAC_BAD_SET_TYPE,
            "meta_flow",
            "unknown source field".into(),
        )
    })?;
    Ok(Subfield {
        field,
        ofs: u8::try_from(ofs).unwrap_or(u8::MAX),
        bits: u8::try_from(bits).unwrap_or(u8::MAX),
    })
}

pub(super) fn packed_subfield(header: u32, ofs_nbits: u16) -> Result<Subfield> {
    short_subfield(header, ofs_nbits >> 6, (ofs_nbits & 0x3f) + 1)
}

/// A field's header of 4 or 8 bytes, which must not ask for a mask.
pub(super) fn pull_whole_field(r: &mut Reader<'_>) -> Result<FieldId> {
    match oxm::pull_field(r) {
        Ok((_, true)) => Err(OfError::OFPBMC_BAD_MASK.into()),
        Ok((f, false)) => Ok(f),
        Err(e) if e.error == OfError::OFPBAC_BAD_SET_TYPE => Err(OfError::OFPBMC_BAD_FIELD.into()),
        Err(_) => Err(OfError::OFPBMC_BAD_LEN.into()),
    }
}

pub(super) fn zeros(bytes: &[u8], error: OfError) -> Result<()> {
    if Reader::are_zeros(bytes) {
        Ok(())
    } else {
        Err(error.into())
    }
}

/// Whether an action may send there.
pub(crate) fn check_output_port(port: OfPort) -> std::result::Result<(), OfError> {
    match port {
        OfPort::IN_PORT
        | OfPort::TABLE
        | OfPort::NORMAL
        | OfPort::FLOOD
        | OfPort::ALL
        | OfPort::CONTROLLER
        | OfPort::LOCAL => Ok(()),
        p if p < OfPort::MAX => Ok(()),
        _ => Err(OfError::OFPBAC_BAD_OUT_PORT),
    }
}

/// One action as it stands on the wire.
struct Wire<'a> {
    raw: R,
    vendor: u32,
    /// What follows type and length; behind a vendor's number and subtype for extensions.
    body: Reader<'a>,
    /// All of it.
    whole: &'a [u8],
}

fn pull_wire<'a>(r: &mut Reader<'a>, version: Version) -> Result<Wire<'a>> {
    let bad_len = |_| DecodeError::from(OfError::OFPBAC_BAD_LEN);
    let available = r.left();
    let mut head = *r;
    let kind = head.u16().map_err(bad_len)?;
    let length = head.u16().map_err(bad_len)?;
    if available < 8 {
        return Err(OfError::OFPBAC_BAD_LEN.into());
    }
    let (vendor, number, header_len) = if kind == 0xffff {
        let vendor = head.u32().map_err(bad_len)?;
        if vendor != NX_VENDOR && vendor != ONF_VENDOR {
            let text = format!("OpenFlow action has unknown vendor {vendor:#x}");
            return warn(OfError::OFPBAC_BAD_VENDOR, text);
        }
        if available < 16 {
            return Err(OfError::OFPBAC_BAD_LEN.into());
        }
        (vendor, head.u16().map_err(bad_len)?, 10)
    } else {
        (0, kind, 4)
    };
    let row = raw::find(vendor, number, version)?;
    if usize::from(length) > available {
        let text = format!(
            "OpenFlow action {} length {length} exceeds action buffer length {available}",
            row.name
        );
        return warn(OfError::OFPBAC_BAD_LEN, text);
    }
    let min = row.min_len(vendor);
    let max = if row.more { 65528 } else { min };
    if length < min || length > max {
        let text = format!(
            "OpenFlow action {} length {length} not in valid range [{min},{max}]",
            row.name
        );
        return warn(OfError::OFPBAC_BAD_LEN, text);
    }
    if length % 8 != 0 {
        let text = format!(
            "OpenFlow action {} length {length} is not a multiple of 8",
            row.name
        );
        return warn(OfError::OFPBAC_BAD_LEN, text);
    }
    let whole = r.bytes(usize::from(length)).map_err(bad_len)?;
    let mut body = Reader::new(whole);
    body.skip(header_len).map_err(bad_len)?;
    Ok(Wire {
        raw: row.raw,
        vendor,
        body,
        whole,
    })
}

/// Reads a list of actions that fills all of `bytes`.
pub fn decode_actions(bytes: &[u8], version: Version) -> Result<Vec<Action>> {
    decode_list(bytes, version, 0)
}

pub(super) fn decode_list(bytes: &[u8], version: Version, depth: u8) -> Result<Vec<Action>> {
    if depth > MAX_DEPTH {
        return Err(OfError::OFPBAC_TOO_MANY.into());
    }
    let mut out = Vec::new();
    let mut r = Reader::new(bytes);
    while !r.is_empty() {
        let offset = bytes.len() - r.left();
        let one = pull_wire(&mut r, version).and_then(|w| decode_one(w, version, depth));
        match one {
            Ok(a) => out.push(a),
            Err(mut e) => {
                let text = format!(
                    "bad action at offset {offset} ({}):\n{}",
                    e.error,
                    crate::text::hex_dump(bytes).trim_end_matches('\n')
                );
                e.notes.push(crate::error::Note {
                    module: "ofp_actions",
                    text,
                    limited: true,
                });
                return Err(e);
            }
        }
    }
    Ok(out)
}

fn mac(m: [u8; 6]) -> [u8; 6] {
    m
}

fn set_field(b: &mut Reader<'_>, may_mask: bool) -> Result<Action> {
    let (field, value, mask) = oxm::pull_entry_in_action(b)?;
    if mask.is_some() && !may_mask {
        return Err(OfError::OFPBAC_BAD_SET_MASK.into());
    }
    if mask.is_some_and(|m| value & !m != 0) {
        return Err(OfError::OFPBMC_BAD_WILDCARDS.into());
    }
    zeros(b.rest(), OfError::OFPBAC_BAD_SET_ARGUMENT)?;
    if field == FieldId::InPortOxm {
        return Err(OfError::OFPBAC_BAD_SET_ARGUMENT.into());
    }
    let name = field.row().name;
    if !field.row().writable {
        let text = format!("destination field {name} is not writable");
        return warn(OfError::OFPBAC_BAD_SET_ARGUMENT, text);
    }
    let ones = mask.unwrap_or(u128::MAX);
    let untagged = field == FieldId::VlanVid && (ones & 0x1000 == 0 || value & 0x1000 == 0);
    if !oxm::is_value_valid(field, value) || untagged {
        let shown = crate::text::format_field(field, value, u128::MAX, &crate::text::Names::none());
        let text = format!("Invalid value for set field {name}: {shown}");
        return warn(OfError::OFPBAC_BAD_SET_ARGUMENT, text);
    }
    Ok(Action::SetField {
        field,
        value,
        mask: ones & legal_bits(field),
        form: SetForm::SetField,
    })
}

fn reg_load(b: &mut Reader<'_>) -> Result<Action> {
    let ofs_nbits = b.u16()?;
    let dst = check_target(packed_subfield(b.u32()?, ofs_nbits)?)?;
    let value = u128::from(b.u64()?);
    if value & !low_bits(dst.bits) != 0 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT.into());
    }
    Ok(Action::SetField {
        field: dst.field,
        value: value << dst.ofs,
        mask: dst.mask(),
        form: SetForm::Load,
    })
}

fn reg_load2(b: &mut Reader<'_>) -> Result<Action> {
    let (field, value, mask) = oxm::pull_entry_in_action(b)?;
    if mask.is_some_and(|m| value & !m != 0) {
        return Err(OfError::OFPBMC_BAD_WILDCARDS.into());
    }
    zeros(b.rest(), OfError::OFPBAC_BAD_SET_ARGUMENT)?;
    if !field.row().writable {
        let text = format!("destination field {} is not writable", field.row().name);
        return warn(OfError::OFPBAC_BAD_SET_ARGUMENT, text);
    }
    Ok(Action::SetField {
        field,
        value,
        mask: mask.unwrap_or(u128::MAX) & field.full(),
        form: SetForm::Load2,
    })
}

fn reg_move(b: &mut Reader<'_>, bits: u16, src_ofs: u16, dst_ofs: u16) -> Result<Action> {
    let narrow = |v: u16| u8::try_from(v).unwrap_or(u8::MAX);
    let sub = |field, ofs| Subfield {
        field,
        ofs: narrow(ofs),
        bits: narrow(bits),
    };
    let src = pull_whole_field(b)?;
    let dst = pull_whole_field(b)?;
    zeros(b.rest(), OfError::NXBRC_MUST_BE_ZERO)?;
    Ok(Action::RegMove {
        src: check_source(sub(src, src_ofs))?,
        dst: check_target(sub(dst, dst_ofs))?,
    })
}

fn stack(b: &mut Reader<'_>) -> Result<Subfield> {
    let ofs = b.u16()?;
    let field = pull_whole_field(b)?;
    let bits = b.u16()?;
    zeros(b.rest(), OfError::NXBRC_MUST_BE_ZERO)?;
    Ok(Subfield {
        field,
        ofs: u8::try_from(ofs).unwrap_or(u8::MAX),
        bits: u8::try_from(bits).unwrap_or(u8::MAX),
    })
}

fn controller2(b: &mut Reader<'_>) -> Result<Action> {
    zeros(b.bytes(6)?, OfError::NXBRC_MUST_BE_ZERO)?;
    let mut c = super::Controller {
        second: true,
        ..Default::default()
    };
    while !b.is_empty() {
        let (kind, mut p) = crate::message::pull_property(b)?;
        match kind {
            0 => c.max_len = crate::message::prop_u16(&mut p)?,
            1 => c.id = crate::message::prop_u16(&mut p)?,
            2 => c.reason = crate::message::prop_u8(&mut p)?,
            3 => c.userdata = p.take_rest().to_vec(),
            4 => c.pause = true,
            5 => c.meter = crate::message::prop_u32(&mut p)?,
            _ => {
                let text = format!("unknown NXAST_RAW_CONTROLLER2 property type {kind}");
                return Err(DecodeError::noted(
                    OfError::OFPBPC_BAD_TYPE,
                    "ofp_prop",
                    text,
                ));
            }
        }
    }
    Ok(Action::Controller(c))
}

fn bundle(b: &mut Reader<'_>, load: bool) -> Result<Action> {
    let bad = |t: &str| warn(OfError::OFPBAC_BAD_ARGUMENT, t.to_string());
    let algorithm = b.u16()?;
    let fields = b.u16()?;
    let basis = b.u16()?;
    let member_type = b.u32()?;
    let n = b.u16()?;
    let ofs_nbits = b.u16()?;
    let dst = b.u32()?;
    let reserved = b.u32()?;
    let Some(fields) = HashFields::from_wire(fields) else {
        return bad(&format!("unsupported fields {fields}"));
    };
    if n > 2048 {
        return bad("too many members");
    }
    if algorithm > 1 {
        return bad(&format!("unsupported algorithm {algorithm}"));
    }
    if member_type != oxm::short_header(FieldId::InPort) {
        return bad(&format!("unsupported member type {member_type}"));
    }
    if reserved != 0 {
        return bad("reserved field is nonzero");
    }
    let dst = if load {
        let dst = packed_subfield(dst, ofs_nbits)?;
        if dst.bits < 16 {
            return bad("bundle_load action requires at least 16 bit destination.");
        }
        Some(check_target(dst)?)
    } else if ofs_nbits != 0 || dst != 0 {
        return bad("bundle action has nonzero reserved fields");
    } else {
        None
    };
    if b.left() < usize::from(n) * 2 {
        let text = format!(
            "Nicira action {} only has {} bytes allocated for members.  {} bytes are required for {n} members.",
            if load { "bundle_load" } else { "bundle" },
            b.left(),
            usize::from(n) * 2
        );
        return warn(OfError::OFPBAC_BAD_LEN, text);
    }
    let mut members = Vec::with_capacity(usize::from(n));
    for _ in 0..n {
        let port = OfPort::from_u16(b.u16()?);
        if port != OfPort::NONE && check_output_port(port).is_err()
            || matches!(port, OfPort::CONTROLLER)
        {
            return Err(OfError::OFPBAC_BAD_OUT_PORT.into());
        }
        members.push(port);
    }
    Ok(Action::Bundle(super::Bundle {
        fields,
        basis,
        hrw: algorithm == 1,
        dst,
        members,
    }))
}

fn multipath(b: &mut Reader<'_>) -> Result<Action> {
    let fields = b.u16()?;
    let basis = b.u16()?;
    b.skip(2)?;
    let algorithm = b.u16()?;
    let max_link = b.u16()?;
    let arg = b.u32()?;
    b.skip(2)?;
    let ofs_nbits = b.u16()?;
    let dst = packed_subfield(b.u32()?, ofs_nbits)?;
    let Some(fields) = HashFields::from_wire(fields) else {
        return warn(
            OfError::OFPBAC_BAD_ARGUMENT,
            format!("unsupported fields {fields}"),
        );
    };
    if algorithm > 3 {
        let text = format!("unsupported algorithm {algorithm}");
        return warn(OfError::OFPBAC_BAD_ARGUMENT, text);
    }
    let links = u32::from(max_link) + 1;
    let need = 32 - (links - 1).leading_zeros();
    if u32::from(dst.bits) < need {
        let text = format!("multipath action requires at least {need} bits for {links} links");
        return warn(OfError::OFPBAC_BAD_ARGUMENT, text);
    }
    let dst = check_target(dst)?;
    Ok(Action::Multipath(super::Multipath {
        fields,
        basis,
        algorithm,
        max_link,
        arg,
        dst,
    }))
}

fn decode_one(w: Wire<'_>, version: Version, depth: u8) -> Result<Action> {
    let Wire {
        raw,
        vendor,
        mut body,
        whole,
    } = w;
    let b = &mut body;
    let nx = vendor == NX_VENDOR;
    let argument = || DecodeError::from(OfError::OFPBAC_BAD_ARGUMENT);
    // A number that stands at once in the standard form stands at the end of Nicira's word.
    Ok(match raw {
        R::Output10 => {
            let port = OfPort::from_u16(b.u16()?);
            check_output_port(port)?;
            Action::Output {
                port,
                max_len: b.u16()?,
            }
        }
        R::Output11 => {
            let port = OfPort::from_u32(b.u32()?)?;
            check_output_port(port)?;
            Action::Output {
                port,
                max_len: b.u16()?,
            }
        }
        R::SetVlanVid10 | R::SetVlanVid11 => {
            let vid = b.u16()?;
            if vid > 0xfff {
                return Err(argument());
            }
            Action::SetVlanVid {
                vid,
                push: raw == R::SetVlanVid10,
                has_vlan: false,
            }
        }
        R::SetVlanPcp10 | R::SetVlanPcp11 => {
            let pcp = b.u8()?;
            if pcp > 7 {
                return Err(argument());
            }
            Action::SetVlanPcp {
                pcp,
                push: raw == R::SetVlanPcp10,
                has_vlan: false,
            }
        }
        R::PushVlan => match b.u16()? {
            ethertype @ (0x8100 | 0x88a8) => Action::PushVlan { ethertype },
            _ => return Err(argument()),
        },
        R::StripVlan10 => Action::StripVlan { new_form: false },
        R::PopVlan11 => Action::StripVlan { new_form: true },
        R::SetDlSrc => Action::SetEthSrc(mac(b.mac()?)),
        R::SetDlDst => Action::SetEthDst(mac(b.mac()?)),
        R::SetNwSrc => Action::SetIpv4Src(b.u32()?.into()),
        R::SetNwDst => Action::SetIpv4Dst(b.u32()?.into()),
        R::SetNwTos => match b.u8()? {
            tos if tos & 3 == 0 => Action::SetIpDscp(tos),
            _ => return Err(argument()),
        },
        R::SetNwEcn11 => match b.u8()? {
            ecn @ 0..=3 => Action::SetIpEcn(ecn),
            _ => return Err(argument()),
        },
        R::SetTpSrc => Action::SetL4SrcPort {
            port: b.u16()?,
            proto: 0,
        },
        R::SetTpDst => Action::SetL4DstPort {
            port: b.u16()?,
            proto: 0,
        },
        R::Enqueue10 => {
            let port = OfPort::from_u16(b.u16()?);
            b.skip(6)?;
            let ok = port < OfPort::MAX || port == OfPort::IN_PORT || port == OfPort::LOCAL;
            if !ok {
                return Err(OfError::OFPBAC_BAD_OUT_PORT.into());
            }
            Action::Enqueue {
                port,
                queue: b.u32()?,
            }
        }
        R::SetMplsLabel => {
            if nx {
                b.skip(2)?;
            }
            Action::SetMplsLabel(b.u32()?)
        }
        R::SetMplsTc => Action::SetMplsTc(b.u8()?),
        R::SetMplsTtl => Action::SetMplsTtl(b.u8()?),
        R::DecMplsTtl => Action::DecMplsTtl,
        R::PushMpls => match b.u16()? {
            t @ (0x8847 | 0x8848) => Action::PushMpls(t),
            _ => return Err(argument()),
        },
        R::PopMpls => Action::PopMpls(b.u16()?),
        R::SetQueue | R::Group => {
            if nx {
                b.skip(2)?;
            }
            let n = b.u32()?;
            if raw == R::Group {
                Action::Group(n)
            } else {
                Action::SetQueue(n)
            }
        }
        R::SetNwTtl11 => Action::SetIpTtl(b.u8()?),
        R::DecNwTtl => Action::DecTtl(None),
        R::DecTtlCntIds => {
            let n = usize::from(b.u16()?);
            zeros(b.bytes(4)?, OfError::NXBRC_MUST_BE_ZERO)?;
            if b.left() < n * 2 {
                let text = format!(
                    "Nicira action dec_ttl_cnt_ids only has {} bytes allocated for controller ids.  {} bytes are required for {n} controllers.",
                    b.left(),
                    n * 2
                );
                return warn(OfError::OFPBAC_BAD_LEN, text);
            }
            let mut ids = Vec::with_capacity(n);
            for _ in 0..n {
                ids.push(b.u16()?);
            }
            Action::DecTtl(Some(ids))
        }
        R::SetField12 => set_field(b, false)?,
        R::SetField15 => set_field(b, true)?,
        R::RegLoad => reg_load(b)?,
        R::RegLoad2 => reg_load2(b)?,
        R::CopyField15 => {
            let (bits, src, dst) = (b.u16()?, b.u16()?, b.u16()?);
            b.skip(2)?;
            reg_move(b, bits, src, dst)?
        }
        R::CopyField13 => {
            b.skip(2)?;
            let (bits, src, dst) = (b.u16()?, b.u16()?, b.u16()?);
            b.skip(2)?;
            reg_move(b, bits, src, dst)?
        }
        R::RegMove => {
            let (bits, src, dst) = (b.u16()?, b.u16()?, b.u16()?);
            reg_move(b, bits, src, dst)?
        }
        R::Meter15 => Action::Meter(b.u32()?),
        R::Resubmit => Action::Resubmit {
            in_port: OfPort::from_u16(b.u16()?),
            table: 0xff,
            ct: false,
            form: ResubmitForm::Port,
        },
        R::ResubmitTable | R::ResubmitTableCt => {
            let in_port = OfPort::from_u16(b.u16()?);
            let table = b.u8()?;
            zeros(b.rest(), OfError::OFPBAC_BAD_ARGUMENT)?;
            let ct = raw == R::ResubmitTableCt;
            Action::Resubmit {
                in_port,
                table,
                ct,
                form: ResubmitForm::Table,
            }
        }
        R::SetTunnel => {
            b.skip(2)?;
            Action::SetTunnel {
                id: u64::from(b.u32()?),
                wide: false,
            }
        }
        R::SetTunnel64 => {
            b.skip(6)?;
            Action::SetTunnel {
                id: b.u64()?,
                wide: true,
            }
        }
        R::PopQueue => Action::PopQueue,
        R::Note => Action::Note(b.take_rest().to_vec()),
        R::Multipath => multipath(b)?,
        R::Bundle => bundle(b, false)?,
        R::BundleLoad => bundle(b, true)?,
        R::OutputReg => {
            let ofs_nbits = b.u16()?;
            let src = packed_subfield(b.u32()?, ofs_nbits)?;
            let max_len = b.u16()?;
            zeros(b.rest(), OfError::OFPBAC_BAD_ARGUMENT)?;
            Action::OutputReg {
                src: check_source(src)?,
                max_len,
            }
        }
        R::OutputReg2 => {
            let ofs_nbits = b.u16()?;
            let max_len = b.u16()?;
            let field = pull_whole_field(b)?;
            zeros(b.rest(), OfError::NXBRC_MUST_BE_ZERO)?;
            let src = Subfield {
                field,
                ofs: (ofs_nbits >> 6).min(255) as u8,
                bits: (ofs_nbits & 0x3f) as u8 + 1,
            };
            Action::OutputReg {
                src: check_source(src)?,
                max_len,
            }
        }
        R::Learn => learn_wire::decode(b, false)?,
        R::Learn2 => learn_wire::decode(b, true)?,
        R::Exit => Action::Exit,
        R::FinTimeout => Action::FinTimeout {
            idle: b.u16()?,
            hard: b.u16()?,
        },
        R::Controller => {
            let max_len = b.u16()?;
            let id = b.u16()?;
            let reason = b.u8()?;
            Action::Controller(super::Controller {
                max_len,
                reason,
                id,
                ..Default::default()
            })
        }
        R::Controller2 => controller2(b)?,
        R::WriteMetadata => {
            zeros(b.bytes(6)?, OfError::NXBRC_MUST_BE_ZERO)?;
            Action::WriteMetadata {
                value: b.u64()?,
                mask: b.u64()?,
            }
        }
        R::StackPush => Action::StackPush(check_source(stack(b)?)?),
        R::StackPop => Action::StackPop(check_target(stack(b)?)?),
        R::Sample | R::Sample2 | R::Sample3 | R::Sample4 => nested_wire::sample(b, raw)?,
        R::Conjunction => {
            let (clause, n_clauses, id) = (b.u8()?, b.u8()?, b.u32()?);
            if !(2..=64).contains(&n_clauses) || clause >= n_clauses {
                return Err(OfError::NXBAC_BAD_CONJUNCTION.into());
            }
            Action::Conjunction {
                id,
                clause,
                n_clauses,
            }
        }
        R::Ct => nested_wire::ct(b, version, depth)?,
        R::Nat => nested_wire::nat(b)?,
        R::OutputTrunc => {
            let port = OfPort::from_u16(b.u16()?);
            let max_len = b.u32()?;
            if max_len < 14 {
                return Err(argument());
            }
            Action::OutputTrunc { port, max_len }
        }
        R::Clone => {
            let inner = whole.get(16..).unwrap_or(&[]);
            let list = decode_list(inner, version, depth + 1)?;
            instructions::verify_actions(&list, version, None)?;
            Action::Clone(list)
        }
        R::CtClear => Action::CtClear,
        R::Encap => nested_wire::encap(b)?,
        R::Decap => {
            if whole.len() > 16 {
                return Err(OfError::NXBAC_UNKNOWN_ED_PROP.into());
            }
            b.skip(2)?;
            Action::Decap {
                packet_type: b.u32()?,
            }
        }
        R::DecNshTtl => Action::DecNshTtl,
        R::CheckPktLarger => {
            let len = b.u16()?;
            let ofs = u8::try_from(b.u16()?).unwrap_or(u8::MAX);
            let field = pull_whole_field(b)?;
            zeros(b.rest(), OfError::NXBRC_MUST_BE_ZERO)?;
            let dst = check_target(Subfield {
                field,
                ofs,
                bits: 1,
            })?;
            Action::CheckPktLarger { len, dst }
        }
        R::DeleteField => Action::DeleteField(pull_whole_field(b)?),
        R::DebugSlow | R::DebugRecirc if !DEBUG_ACTIONS.load(Relaxed) => {
            return Err(OfError::OFPBAC_BAD_VENDOR_TYPE.into());
        }
        R::DebugSlow => Action::DebugSlow,
        R::DebugRecirc => Action::DebugRecirc,
    })
}
