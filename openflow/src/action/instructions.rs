//! Instructions: how OpenFlow 1.1 and later group actions (OpenFlow 1.5.1 §7.2.4).
//!
//! In memory a flow's actions and instructions are one list, in the order meter, apply-actions,
//! clear-actions, write-actions, write-metadata, goto-table. Actions outside of another
//! instruction are apply-actions. OpenFlow 1.0 has only the list.

use super::decode::decode_list;
use super::{Action, Instruction, encode};
use crate::error::{DecodeError, OfError, Result};
use crate::version::Version;
use crate::wire::{Reader, Writer};
use packet::FieldId;

const EVERY: &[Instruction] = &[
    Instruction::Meter,
    Instruction::ApplyActions,
    Instruction::ClearActions,
    Instruction::WriteActions,
    Instruction::WriteMetadata,
    Instruction::GotoTable,
];

/// Reads all the actions (1.0) or instructions in `bytes`.
pub fn decode_instructions(bytes: &[u8], version: Version) -> Result<Vec<Action>> {
    if version == Version::Of10 {
        let list = decode_actions_field(bytes, version)?;
        verify(&list, version, EVERY, None)?;
        return Ok(list);
    }
    let bad_len = || DecodeError::from(OfError::OFPBIC_BAD_LEN);
    if !bytes.len().is_multiple_of(8) {
        let text = format!(
            "OpenFlow message instructions length {} is not a multiple of 8",
            bytes.len()
        );
        return Err(DecodeError::noted(
            OfError::OFPBIC_BAD_LEN,
            "ofp_actions",
            text,
        ));
    }
    let mut found: [Option<&[u8]>; 6] = [None; 6];
    let mut r = Reader::new(bytes);
    while !r.is_empty() {
        let offset = bytes.len() - r.left();
        let mut head = r;
        let kind = head.u16().map_err(|_| bad_len())?;
        let len = usize::from(head.u16().map_err(|_| bad_len())?);
        if len < 8 || len % 8 != 0 || len > r.left() {
            let text = format!("bad instruction format at offset {offset}");
            return Err(DecodeError::noted(
                OfError::OFPBIC_BAD_LEN,
                "ofp_actions",
                text,
            ));
        }
        let whole = r.bytes(len).map_err(|_| bad_len())?;
        let (slot, exact) = match kind {
            1 => (Instruction::GotoTable, Some(8)),
            2 => (Instruction::WriteMetadata, Some(24)),
            3 => (Instruction::WriteActions, None),
            4 => (Instruction::ApplyActions, None),
            5 => (Instruction::ClearActions, Some(8)),
            6 => (Instruction::Meter, Some(8)),
            0xffff => return Err(OfError::OFPBIC_BAD_EXPERIMENTER.into()),
            _ => return Err(OfError::OFPBIC_UNKNOWN_INST.into()),
        };
        if exact.is_some_and(|n| n != len) {
            return Err(bad_len());
        }
        if slot == Instruction::Meter && version >= Version::Of15 {
            return Err(OfError::OFPBIC_UNKNOWN_INST.into());
        }
        let place = found.get_mut(slot as usize).ok_or_else(bad_len)?;
        if place.is_some() {
            return Err(OfError::OFPBIC_DUP_INST.into());
        }
        *place = whole.get(4..);
    }
    let body = |i: Instruction| found.get(i as usize).copied().flatten().map(Reader::new);
    let nested = |i: Instruction| body(i).map(|r| r.rest().get(4..).unwrap_or(&[]));
    let mut out = Vec::new();
    if let Some(mut r) = body(Instruction::Meter) {
        out.push(Action::Meter(r.u32()?));
    }
    if let Some(bytes) = nested(Instruction::ApplyActions) {
        out.extend(decode_list(bytes, version, 0)?);
    }
    if body(Instruction::ClearActions).is_some() {
        out.push(Action::ClearActions);
    }
    if let Some(bytes) = nested(Instruction::WriteActions) {
        let list = decode_list(bytes, version, 0)?;
        if !list.iter().all(fits_action_set) {
            let text = "disallowed action in action set".to_string();
            return Err(DecodeError::noted(
                OfError::OFPBAC_BAD_TYPE,
                "ofp_actions",
                text,
            ));
        }
        out.push(Action::WriteActions(list));
    }
    if let Some(mut r) = body(Instruction::WriteMetadata) {
        r.skip(4)?;
        out.push(Action::WriteMetadata {
            value: r.u64()?,
            mask: r.u64()?,
        });
    }
    if let Some(mut r) = body(Instruction::GotoTable) {
        out.push(Action::GotoTable(r.u8()?));
    }
    verify(&out, version, EVERY, None)?;
    Ok(out)
}

fn decode_actions_field(bytes: &[u8], version: Version) -> Result<Vec<Action>> {
    if !bytes.len().is_multiple_of(8) {
        let text = format!(
            "OpenFlow message actions length {} is not a multiple of 8",
            bytes.len()
        );
        return Err(DecodeError::noted(
            OfError::OFPBRC_BAD_LEN,
            "ofp_actions",
            text,
        ));
    }
    decode_list(bytes, version, 0)
}

/// Reads a list of `len` bytes of actions alone, as packet-outs and buckets have it.
pub(crate) fn pull_actions(
    r: &mut Reader<'_>,
    len: usize,
    version: Version,
) -> Result<Vec<Action>> {
    if len.is_multiple_of(8) && len > r.left() {
        let text = format!(
            "OpenFlow message actions length {len} exceeds remaining message length ({})",
            r.left()
        );
        return Err(DecodeError::noted(
            OfError::OFPBRC_BAD_LEN,
            "ofp_actions",
            text,
        ));
    }
    if !len.is_multiple_of(8) {
        let text = format!("OpenFlow message actions length {len} is not a multiple of 8");
        return Err(DecodeError::noted(
            OfError::OFPBRC_BAD_LEN,
            "ofp_actions",
            text,
        ));
    }
    let list = decode_list(r.bytes(len)?, version, 0)?;
    verify_actions(&list, version, None)?;
    Ok(list)
}

/// Reads a list of actions that must hold no instruction.
pub fn decode_actions_only(bytes: &[u8], version: Version) -> Result<Vec<Action>> {
    pull_actions(&mut Reader::new(bytes), bytes.len(), version)
}

/// Whether an action may stand in an action set.
pub fn fits_action_set(a: &Action) -> bool {
    use Action::*;
    matches!(
        a,
        Output { .. }
            | OutputReg { .. }
            | OutputTrunc { .. }
            | Controller(_)
            | Group(_)
            | Ct(_)
            | Resubmit { .. }
            | SetField { .. }
            | RegMove { .. }
            | SetVlanVid { .. }
            | SetVlanPcp { .. }
            | StripVlan { .. }
            | PushVlan { .. }
            | PushMpls(_)
            | PopMpls(_)
            | SetEthSrc(_)
            | SetEthDst(_)
            | SetIpv4Src(_)
            | SetIpv4Dst(_)
            | SetIpDscp(_)
            | SetIpEcn(_)
            | SetIpTtl(_)
            | SetL4SrcPort { .. }
            | SetL4DstPort { .. }
            | SetMplsLabel(_)
            | SetMplsTc(_)
            | SetMplsTtl(_)
            | DecMplsTtl
            | DecTtl(_)
            | DecNshTtl
            | Encap { .. }
            | Decap { .. }
            | SetTunnel { .. }
            | SetQueue(_)
    )
}

/// Which instruction an action is or belongs to in a version: meters are actions in 1.5.
pub(crate) fn instruction_in(a: &Action, version: Version) -> Instruction {
    match a {
        Action::Meter(_) if version >= Version::Of15 => Instruction::ApplyActions,
        _ => a.instruction(),
    }
}

pub(crate) fn verify_actions(
    list: &[Action],
    version: Version,
    outer: Option<&'static str>,
) -> Result<()> {
    verify(list, version, &[Instruction::ApplyActions], outer)
}

fn refuse<T>(error: OfError, text: String) -> Result<T> {
    let mut e = DecodeError::noted(error, "ofp_actions", text);
    for n in &mut e.notes {
        n.limited = false;
    }
    Err(e)
}

fn target_field(a: &Action) -> Option<FieldId> {
    match a {
        Action::SetField { field, .. } => Some(*field),
        Action::RegMove { dst, .. } => Some(dst.field),
        _ => None,
    }
}

fn verify_nested(a: &Action, outer: Option<&'static str>) -> Result<()> {
    let field = target_field(a);
    let of_ct = |f: FieldId| matches!(f, FieldId::CtMark | FieldId::CtLabel);
    let in_ct = outer == Some("ct");
    if field.is_some_and(of_ct) && !in_ct {
        let text = "cannot set CT fields outside of ct action".to_string();
        return refuse(OfError::OFPBAC_BAD_SET_ARGUMENT, text);
    }
    if matches!(a, Action::Nat(_)) {
        if in_ct {
            return Ok(());
        }
        let text = "Cannot have NAT action outside of \"ct\" action".to_string();
        return refuse(OfError::OFPBAC_BAD_SET_ARGUMENT, text);
    }
    let Some(outer) = outer else {
        return Ok(());
    };
    let unsupported = || {
        let text = format!("{outer} action doesn't support nested action {}", a.name());
        refuse(OfError::OFPBAC_BAD_ARGUMENT, text)
    };
    if in_ct {
        match field {
            None => return unsupported(),
            Some(f) if !of_ct(f) => {
                let name = f.row().name;
                let text = format!("ct action doesn't support nested modification of {name}");
                return refuse(OfError::OFPBAC_BAD_ARGUMENT, text);
            }
            Some(_) => {}
        }
    }
    if matches!(a, Action::Meter(_)) {
        return unsupported();
    }
    Ok(())
}

/// Checks that instructions stand in order and only once, that only `allowed` ones occur, and
/// that what stands inside of `outer` may.
pub(crate) fn verify(
    list: &[Action],
    version: Version,
    allowed: &[Instruction],
    outer: Option<&'static str>,
) -> Result<()> {
    let mut last: Option<Instruction> = None;
    for a in list {
        if matches!(a, Action::Conjunction { .. }) {
            let stranger = list
                .iter()
                .find(|a| !matches!(a, Action::Conjunction { .. } | Action::Note(_)));
            return match stranger {
                None => Ok(()),
                Some(a) => refuse(
                    OfError::NXBAC_BAD_CONJUNCTION,
                    format!(
                        "\"conjunction\" actions may be used along with \"note\" but not any \
                         other kind of action (such as the \"{}\" action used here)",
                        a.name()
                    ),
                ),
            };
        }
        verify_nested(a, outer)?;
        let next = instruction_in(a, version);
        let wrong = last.is_some_and(|last| match last {
            Instruction::ApplyActions => next < last,
            _ => next <= last,
        });
        if let (true, Some(last)) = (wrong, last) {
            let text = if next == last {
                format!(
                    "duplicate {} instruction not allowed, for OpenFlow 1.1+ compatibility",
                    last.name()
                )
            } else {
                format!(
                    "invalid instruction ordering: {} must appear before {}, for OpenFlow 1.1+ \
                     compatibility",
                    next.name(),
                    last.name()
                )
            };
            return refuse(OfError::OFPBAC_UNSUPPORTED_ORDER, text);
        }
        if !allowed.contains(&next) {
            let text = format!("{} instruction not allowed here", next.name());
            return refuse(OfError::OFPBIC_UNSUP_INST, text);
        }
        last = Some(next);
    }
    Ok(())
}

/// Writes a flow's actions and instructions as a version has them.
pub fn encode_instructions(list: &[Action], version: Version) -> Vec<u8> {
    let mut w = Writer::new();
    put_instructions(&mut w, list, version);
    w.out
}

fn put_one(w: &mut Writer, kind: u16, body: impl FnOnce(&mut Writer)) {
    let start = w.len();
    w.u16(kind);
    w.u16(0);
    body(w);
    w.set_len(start + 2, start);
}

pub(crate) fn put_instructions(w: &mut Writer, list: &[Action], version: Version) {
    if version == Version::Of10 {
        encode::put_actions(w, list, version);
        return;
    }
    let apply: Vec<&Action> = list
        .iter()
        .filter(|a| instruction_in(a, version) == Instruction::ApplyActions)
        .collect();
    for a in list.iter().filter(|a| matches!(a, Action::Meter(_))) {
        if let (Action::Meter(id), Version::Of13 | Version::Of14) = (a, version) {
            put_one(w, 6, |w| w.u32(*id));
        }
    }
    if !apply.is_empty() {
        let start = w.len();
        put_one(w, 4, |w| {
            w.u32(0);
            for a in apply {
                encode::put_action(w, a, version);
            }
        });
        if w.len() == start + 8 {
            w.out.truncate(start);
        }
    }
    for a in list {
        match a {
            Action::ClearActions => put_one(w, 5, |w| w.u32(0)),
            Action::WriteActions(inner) => {
                let start = w.len();
                put_one(w, 3, |w| {
                    w.u32(0);
                    encode::put_actions(w, inner, version);
                });
                if w.len() == start + 8 {
                    w.out.truncate(start);
                }
            }
            Action::WriteMetadata { value, mask } => put_one(w, 2, |w| {
                w.u32(0);
                w.u64(*value);
                w.u64(*mask);
            }),
            Action::GotoTable(t) => put_one(w, 1, |w| {
                w.u8(*t);
                w.zeros(3);
            }),
            _ => {}
        }
    }
}
