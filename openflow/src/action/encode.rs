//! Actions to bytes, in the form that each version has for them.

use super::raw::{self, RawAction as R};
use super::*;
use crate::oxm;
use crate::version::Version;
use crate::wire::Writer;

/// Writes a list of actions.
pub fn encode_actions(actions: &[Action], version: Version) -> Vec<u8> {
    let mut w = Writer::new();
    put_actions(&mut w, actions, version);
    w.out
}

pub(crate) fn put_actions(w: &mut Writer, actions: &[Action], version: Version) {
    for a in actions {
        put_action(w, a, version);
    }
}

/// Writes one action's headers, its body by `body`, and pads it. A form that the version does
/// not have writes nothing.
fn put(w: &mut Writer, raw: R, version: Version, body: impl FnOnce(&mut Writer)) {
    let Some((vendor, number)) = raw::numbers(raw, version) else {
        return;
    };
    let start = w.len();
    if vendor == 0 {
        w.u16(number);
        w.u16(0);
    } else {
        w.u16(0xffff);
        w.u16(0);
        w.u32(vendor);
        w.u16(number);
    }
    body(w);
    w.pad8(start);
    let min = usize::from(raw::find(vendor, number, version).map_or(8, |r| r.min_len(vendor)));
    let len = w.len() - start;
    w.zeros(min.saturating_sub(len));
    w.set_len(start + 2, start);
}

/// A number of four bytes: behind padding where the form is Nicira's.
fn put_u32(w: &mut Writer, raw: R, version: Version, n: u32) {
    let nicira = raw::numbers(raw, version).is_some_and(|(vendor, _)| vendor != 0);
    put(w, raw, version, |w| {
        if nicira {
            w.u16(0);
        }
        w.u32(n);
    });
}

fn put_set_field(w: &mut Writer, field: FieldId, value: u128, mask: Option<u128>, v: Version) {
    let form = if v >= Version::Of15 {
        R::SetField15
    } else {
        R::SetField12
    };
    put(w, form, v, |w| {
        oxm::put_entry(w, field, v.wire(), value, mask)
    });
}

fn put_reg_load(w: &mut Writer, dst: Subfield, value: u128, v: Version) {
    put(w, R::RegLoad, v, |w| {
        w.u16(nested_wire::pack(dst));
        w.u32(oxm::short_header(dst.field));
        w.u64(value as u64);
    });
}

/// The ranges of ones in `mask`, lowest first, each of at most 64 bits.
pub(crate) fn segments(field: FieldId, mask: u128) -> Vec<Subfield> {
    let width = u32::from(field.row().bits);
    let mut out = Vec::new();
    let mut at = 0;
    while at < width {
        let rest = mask >> at;
        if rest == 0 {
            break;
        }
        at += rest.trailing_zeros();
        let run = (mask >> at)
            .trailing_ones()
            .min(64)
            .min(width.saturating_sub(at));
        if run == 0 {
            break;
        }
        out.push(Subfield {
            field,
            ofs: at as u8,
            bits: run as u8,
        });
        at += run;
    }
    out
}

fn put_as_loads(w: &mut Writer, field: FieldId, value: u128, mask: u128, second: bool, v: Version) {
    if second || oxm::short_header(field) == 0 {
        let whole = (mask != field.full()).then_some(mask);
        put(w, R::RegLoad2, v, |w| {
            oxm::put_entry(w, field, 0, value, whole);
        });
        return;
    }
    for sf in segments(field, mask) {
        put_reg_load(w, sf, value >> sf.ofs & low_bits(sf.bits), v);
    }
}

fn put_legacy_set(w: &mut Writer, field: FieldId, value: u128, mask: u128, v: Version) {
    use FieldId::*;
    let old = v == Version::Of10;
    let low = (value & 0xffff) as u16;
    let (vid, pcp) = (low & 0xfff, (low >> 13) as u8);
    let vid_form = if old {
        R::SetVlanVid10
    } else {
        R::SetVlanVid11
    };
    let pcp_form = if old {
        R::SetVlanPcp10
    } else {
        R::SetVlanPcp11
    };
    match field {
        VlanTci if low & 0x1000 == 0 => {
            put(
                w,
                if old { R::StripVlan10 } else { R::PopVlan11 },
                v,
                |_| {},
            );
        }
        VlanTci => {
            if !old {
                put(w, R::PushVlan, v, |w| w.u16(0x8100));
            }
            put(w, vid_form, v, |w| w.u16(vid));
            put(w, pcp_form, v, |w| w.u8(pcp));
        }
        VlanVid => put(w, vid_form, v, |w| w.u16(vid)),
        VlanPcp => put(w, pcp_form, v, |w| w.u8(low as u8)),
        EthSrc => put(w, R::SetDlSrc, v, |w| w.uint(value, 6)),
        EthDst => put(w, R::SetDlDst, v, |w| w.uint(value, 6)),
        Ipv4Src => put(w, R::SetNwSrc, v, |w| w.uint(value, 4)),
        Ipv4Dst => put(w, R::SetNwDst, v, |w| w.uint(value, 4)),
        IpDscp => put(w, R::SetNwTos, v, |w| w.u8(low as u8)),
        IpDscpShifted => put(w, R::SetNwTos, v, |w| w.u8((low << 2) as u8)),
        IpEcn => put_action(w, &Action::SetIpEcn(low as u8), v),
        TcpSrc | UdpSrc => put(w, R::SetTpSrc, v, |w| w.u16(low)),
        TcpDst | UdpDst => put(w, R::SetTpDst, v, |w| w.u16(low)),
        _ => put_as_loads(w, field, value, mask, false, v),
    }
}

fn put_set(w: &mut Writer, field: FieldId, value: u128, mask: u128, form: SetForm, v: Version) {
    let whole = mask & field.full() == oxm::legal_bits(field) & field.full();
    if v >= Version::Of15 {
        put_set_field(w, field, value, (!whole).then_some(mask), v);
    } else if form != SetForm::SetField {
        put_as_loads(w, field, value, mask, form == SetForm::Load2, v);
    } else if v < Version::Of12 {
        put_legacy_set(w, field, value, mask, v);
    } else if whole {
        put_set_field(w, field, value, None, v);
    } else {
        put_as_loads(w, field, value, mask, false, v);
    }
}

/// A setting that has its own action up to 1.1 and is a set-field later.
fn old_or_set(w: &mut Writer, raw: R, field: FieldId, value: u128, len: usize, v: Version) {
    if v < Version::Of12 {
        put(w, raw, v, |w| w.uint(value, len));
    } else {
        put_set_field(w, field, value, None, v);
    }
}

fn put_port(w: &mut Writer, raw: R, field: [FieldId; 3], port: u16, proto: u8, v: Version) {
    let field = match proto {
        6 => Some(field[0]),
        17 => Some(field[1]),
        132 => Some(field[2]),
        _ => None,
    };
    match field {
        Some(f) if v >= Version::Of12 => put_set_field(w, f, u128::from(port), None, v),
        _ => put(w, raw, v, |w| w.u16(port)),
    }
}

fn put_output(w: &mut Writer, port: OfPort, max_len: u16, v: Version) {
    if v == Version::Of10 {
        put(w, R::Output10, v, |w| {
            w.u16(port.to_u16());
            w.u16(max_len);
        });
    } else {
        put(w, R::Output11, v, |w| {
            w.u32(port.0);
            w.u16(max_len);
        });
    }
}

fn put_controller(w: &mut Writer, c: &super::Controller, v: Version) {
    if c.userdata.is_empty() && !c.pause && c.meter == 0 && !c.second {
        put(w, R::Controller, v, |w| {
            w.u16(c.max_len);
            w.u16(c.id);
            w.u8(c.reason);
        });
        return;
    }
    put(w, R::Controller2, v, |w| {
        use crate::message::put_property;
        // A property of sixteen bits is padded to eight bytes.
        let word = |v: u16| (u32::from(v) << 16).to_be_bytes();
        w.zeros(6);
        if c.max_len != u16::MAX {
            put_property(w, 0, &word(c.max_len));
        }
        if c.id != 0 {
            put_property(w, 1, &word(c.id));
        }
        if c.reason != 1 {
            put_property(w, 2, &[c.reason]);
        }
        if !c.userdata.is_empty() {
            put_property(w, 3, &c.userdata);
        }
        if c.pause {
            put_property(w, 4, &[]);
        }
        if c.meter != 0 {
            put_property(w, 5, &c.meter.to_be_bytes());
        }
    });
}

fn put_move(w: &mut Writer, src: Subfield, dst: Subfield, v: Version) {
    let new = v >= Version::Of15;
    let raw = if new { R::CopyField15 } else { R::RegMove };
    let version = if new { v.wire() } else { 0 };
    put(w, raw, v, |w| {
        w.u16(u16::from(dst.bits));
        w.u16(u16::from(src.ofs));
        w.u16(u16::from(dst.ofs));
        if new {
            w.u16(0);
        }
        oxm::put_field(w, src.field, version);
        oxm::put_field(w, dst.field, version);
    });
}

fn put_output_reg(w: &mut Writer, src: Subfield, max_len: u16, v: Version) {
    let short = oxm::short_header(src.field);
    if short == 0 {
        put(w, R::OutputReg2, v, |w| {
            w.u16(nested_wire::pack(src));
            w.u16(max_len);
            oxm::put_field(w, src.field, 0);
        });
    } else {
        put(w, R::OutputReg, v, |w| {
            w.u16(nested_wire::pack(src));
            w.u32(short);
            w.u16(max_len);
        });
    }
}

fn put_bundle(w: &mut Writer, bundle: &super::Bundle, v: Version) {
    let raw = if bundle.dst.is_some() {
        R::BundleLoad
    } else {
        R::Bundle
    };
    put(w, raw, v, |w| {
        w.u16(u16::from(bundle.hrw));
        w.u16(bundle.fields as u16);
        w.u16(bundle.basis);
        w.u32(oxm::short_header(FieldId::InPort));
        w.u16(bundle.members.len() as u16);
        w.u16(bundle.dst.map_or(0, nested_wire::pack));
        w.u32(bundle.dst.map_or(0, |d| oxm::short_header(d.field)));
        w.u32(0);
        for m in &bundle.members {
            w.u16(m.to_u16());
        }
    });
}

fn put_vlan_push(w: &mut Writer, push: bool, has_vlan: bool, v: Version) {
    if v > Version::Of10 && push && !has_vlan {
        put(w, R::PushVlan, v, |w| w.u16(0x8100));
    }
}

/// Writes one action, or an instruction in the form that a list of actions has for it.
pub(crate) fn put_action(w: &mut Writer, a: &Action, v: Version) {
    use FieldId as F;
    let mac = |m: &[u8; 6]| m.iter().fold(0u128, |x, b| x << 8 | u128::from(*b));
    let old = v == Version::Of10;
    match a {
        Action::Output { port, max_len } => put_output(w, *port, *max_len, v),
        Action::OutputReg { src, max_len } => put_output_reg(w, *src, *max_len, v),
        Action::OutputTrunc { port, max_len } => put(w, R::OutputTrunc, v, |w| {
            w.u16(port.to_u16());
            w.u32(*max_len);
        }),
        Action::Controller(c) => put_controller(w, c, v),
        Action::Enqueue { port, queue } if old => put(w, R::Enqueue10, v, |w| {
            w.u16(port.to_u16());
            w.zeros(6);
            w.u32(*queue);
        }),
        Action::Enqueue { port, queue } => {
            put_u32(w, R::SetQueue, v, *queue);
            put_output(w, *port, u16::MAX, v);
            put(w, R::PopQueue, v, |_| {});
        }
        Action::Group(n) => put_u32(w, R::Group, v, *n),
        Action::Bundle(b) => put_bundle(w, b, v),
        Action::SetField {
            field,
            value,
            mask,
            form,
        } => {
            put_set(w, *field, *value, *mask, *form, v);
        }
        Action::SetVlanVid {
            vid,
            push,
            has_vlan,
        } => {
            put_vlan_push(w, *push, *has_vlan, v);
            match v {
                Version::Of10 => put(w, R::SetVlanVid10, v, |w| w.u16(*vid)),
                Version::Of11 => put(w, R::SetVlanVid11, v, |w| w.u16(*vid)),
                _ => put_set_field(w, F::VlanVid, u128::from(*vid | 0x1000), None, v),
            }
        }
        Action::SetVlanPcp {
            pcp,
            push,
            has_vlan,
        } => {
            put_vlan_push(w, *push, *has_vlan, v);
            match v {
                Version::Of10 => put(w, R::SetVlanPcp10, v, |w| w.u8(*pcp)),
                Version::Of11 => put(w, R::SetVlanPcp11, v, |w| w.u8(*pcp)),
                _ => put_set_field(w, F::VlanPcp, u128::from(*pcp), None, v),
            }
        }
        Action::StripVlan { .. } => {
            put(
                w,
                if old { R::StripVlan10 } else { R::PopVlan11 },
                v,
                |_| {},
            );
        }
        // In 1.0 a tag is a side effect of setting its number, which follows.
        Action::PushVlan { ethertype } => put(w, R::PushVlan, v, |w| w.u16(*ethertype)),
        Action::SetEthSrc(m) => old_or_set(w, R::SetDlSrc, F::EthSrc, mac(m), 6, v),
        Action::SetEthDst(m) => old_or_set(w, R::SetDlDst, F::EthDst, mac(m), 6, v),
        Action::SetIpv4Src(a) => {
            old_or_set(w, R::SetNwSrc, F::Ipv4Src, u128::from(u32::from(*a)), 4, v);
        }
        Action::SetIpv4Dst(a) => {
            old_or_set(w, R::SetNwDst, F::Ipv4Dst, u128::from(u32::from(*a)), 4, v);
        }
        Action::SetIpDscp(d) if v < Version::Of12 => put(w, R::SetNwTos, v, |w| w.u8(*d)),
        Action::SetIpDscp(d) => put_set_field(w, F::IpDscpShifted, u128::from(*d >> 2), None, v),
        Action::SetIpEcn(e) => match v {
            Version::Of10 => put_reg_load(w, Subfield::whole(F::IpEcn), u128::from(*e), v),
            Version::Of11 => put(w, R::SetNwEcn11, v, |w| w.u8(*e)),
            _ => put_set_field(w, F::IpEcn, u128::from(*e), None, v),
        },
        Action::SetIpTtl(t) if old => {
            put_reg_load(w, Subfield::whole(F::IpTtl), u128::from(*t), v);
        }
        Action::SetIpTtl(t) => put(w, R::SetNwTtl11, v, |w| w.u8(*t)),
        Action::SetL4SrcPort { port, proto } => {
            put_port(
                w,
                R::SetTpSrc,
                [F::TcpSrc, F::UdpSrc, F::SctpSrc],
                *port,
                *proto,
                v,
            );
        }
        Action::SetL4DstPort { port, proto } => {
            put_port(
                w,
                R::SetTpDst,
                [F::TcpDst, F::UdpDst, F::SctpDst],
                *port,
                *proto,
                v,
            );
        }
        Action::RegMove { src, dst } => put_move(w, *src, *dst, v),
        Action::StackPush(sf) | Action::StackPop(sf) => {
            let push = matches!(a, Action::StackPush(_));
            put(w, if push { R::StackPush } else { R::StackPop }, v, |w| {
                w.u16(u16::from(sf.ofs));
                oxm::put_field(w, sf.field, 0);
                w.u16(u16::from(sf.bits));
            });
        }
        Action::DecTtl(None) => put(w, R::DecNwTtl, v, |_| {}),
        Action::DecTtl(Some(ids)) => put(w, R::DecTtlCntIds, v, |w| {
            w.u16(ids.len() as u16);
            w.zeros(4);
            for id in ids {
                w.u16(*id);
            }
        }),
        Action::SetMplsLabel(n) if v < Version::Of12 => put_u32(w, R::SetMplsLabel, v, *n),
        Action::SetMplsLabel(n) => put_set_field(w, F::MplsLabel, u128::from(*n), None, v),
        Action::SetMplsTc(n) => old_or_set(w, R::SetMplsTc, F::MplsTc, u128::from(*n), 1, v),
        Action::SetMplsTtl(n) => put(w, R::SetMplsTtl, v, |w| w.u8(*n)),
        Action::DecMplsTtl => put(w, R::DecMplsTtl, v, |_| {}),
        Action::PushMpls(t) => put(w, R::PushMpls, v, |w| w.u16(*t)),
        Action::PopMpls(t) => put(w, R::PopMpls, v, |w| w.u16(*t)),
        Action::DecNshTtl => put(w, R::DecNshTtl, v, |_| {}),
        Action::DeleteField(f) => put(w, R::DeleteField, v, |w| oxm::put_field(w, *f, 0)),
        Action::Encap { ethertype, props } => {
            put(w, R::Encap, v, |w| {
                nested_wire::put_encap(w, *ethertype, props)
            });
        }
        Action::Decap { packet_type } => put(w, R::Decap, v, |w| {
            w.u16(0);
            w.u32(*packet_type);
        }),
        Action::SetTunnel { id, .. } if v >= Version::Of12 => {
            put_set_field(w, F::TunId, u128::from(*id), None, v);
        }
        Action::SetTunnel { id, wide } => match u32::try_from(*id) {
            Ok(id) if !wide => put(w, R::SetTunnel, v, |w| {
                w.u16(0);
                w.u32(id);
            }),
            _ => put(w, R::SetTunnel64, v, |w| {
                w.zeros(6);
                w.u64(*id);
            }),
        },
        Action::SetQueue(n) => put_u32(w, R::SetQueue, v, *n),
        Action::PopQueue => put(w, R::PopQueue, v, |_| {}),
        Action::FinTimeout { idle, hard } => put(w, R::FinTimeout, v, |w| {
            w.u16(*idle);
            w.u16(*hard);
        }),
        Action::Resubmit {
            in_port,
            table: 255,
            form: ResubmitForm::Port,
            ..
        } => {
            put(w, R::Resubmit, v, |w| w.u16(in_port.to_u16()));
        }
        Action::Resubmit {
            in_port, table, ct, ..
        } => {
            let raw = if *ct {
                R::ResubmitTableCt
            } else {
                R::ResubmitTable
            };
            put(w, raw, v, |w| {
                w.u16(in_port.to_u16());
                w.u8(*table);
            });
        }
        Action::Learn(l) => {
            let raw = if learn_wire::is_second(l) {
                R::Learn2
            } else {
                R::Learn
            };
            put(w, raw, v, |w| learn_wire::encode(w, l));
        }
        Action::Conjunction {
            id,
            clause,
            n_clauses,
        } => put(w, R::Conjunction, v, |w| {
            w.u8(*clause);
            w.u8(*n_clauses);
            w.u32(*id);
        }),
        Action::Multipath(m) => put(w, R::Multipath, v, |w| {
            w.u16(m.fields as u16);
            w.u16(m.basis);
            w.u16(0);
            w.u16(m.algorithm);
            w.u16(m.max_link);
            w.u32(m.arg);
            w.u16(0);
            w.u16(nested_wire::pack(m.dst));
            w.u32(oxm::short_header(m.dst.field));
        }),
        Action::Note(data) => put(w, R::Note, v, |w| w.bytes(data)),
        Action::Exit => put(w, R::Exit, v, |_| {}),
        Action::Sample(s) => {
            put(w, nested_wire::sample_form(s), v, |w| {
                nested_wire::put_sample(w, s)
            });
        }
        Action::Ct(ct) => put(w, R::Ct, v, |w| nested_wire::put_ct(w, ct, v)),
        Action::CtClear => put(w, R::CtClear, v, |_| {}),
        Action::Nat(n) => put(w, R::Nat, v, |w| nested_wire::put_nat(w, n)),
        Action::Clone(list) => put(w, R::Clone, v, |w| {
            w.zeros(6);
            put_actions(w, list, v);
        }),
        Action::CheckPktLarger { len, dst } => put(w, R::CheckPktLarger, v, |w| {
            w.u16(*len);
            w.u16(u16::from(dst.ofs));
            oxm::put_field(w, dst.field, 0);
        }),
        Action::DebugRecirc => put(w, R::DebugRecirc, v, |_| {}),
        Action::DebugSlow => put(w, R::DebugSlow, v, |_| {}),
        Action::Meter(n) => put_u32(w, R::Meter15, v, *n),
        Action::WriteMetadata { value, mask } => put(w, R::WriteMetadata, v, |w| {
            w.zeros(6);
            w.u64(*value);
            w.u64(*mask);
        }),
        Action::GotoTable(t) if old => put(w, R::ResubmitTable, v, |w| {
            w.u16(OfPort::IN_PORT.to_u16());
            w.u8(*t);
        }),
        Action::GotoTable(_) | Action::ClearActions | Action::WriteActions(_) => {}
    }
}
