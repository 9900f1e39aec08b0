//! `learn` on the wire (NXAST_LEARN and NXAST_LEARN2).

use super::decode::{pull_whole_field, short_subfield, zeros};
use super::*;
use crate::error::{OfError, Result};
use crate::oxm;
use crate::wire::{Reader, Writer};

const BITS: u16 = 0x3ff;
const DST: u16 = 3 << 11;
const DST_LOAD: u16 = 1 << 11;
const DST_OUTPUT: u16 = 2 << 11;
const SRC_VALUE: u16 = 1 << 13;

/// Reads what follows the subtype.
pub(super) fn decode(b: &mut Reader<'_>, second: bool) -> Result<Action> {
    let argument = OfError::OFPBAC_BAD_ARGUMENT;
    let mut l = Learn {
        idle_timeout: b.u16()?,
        hard_timeout: b.u16()?,
        priority: b.u16()?,
        cookie: b.u64()?,
        flags: b.u16()?,
        table: b.u8()?,
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        limit: 0,
        result: None,
        specs: Vec::new(),
        second,
    };
    if b.u8()? != 0 || l.table == 0xff {
        return Err(argument.into());
    }
    l.fin_idle_timeout = b.u16()?;
    l.fin_hard_timeout = b.u16()?;
    if l.flags & !(if second { 7 } else { 3 }) != 0 {
        return Err(argument.into());
    }
    if second {
        l.limit = b.u32()?;
        let ofs = b.u16()?;
        if b.u16()? != 0 {
            return Err(OfError::NXBAC_MUST_BE_ZERO.into());
        }
        if l.flags & 4 != 0 {
            let field = pull_whole_field(b)?;
            if !field.row().writable {
                return Err(OfError::OFPBAC_BAD_SET_ARGUMENT.into());
            }
            let ofs = u8::try_from(ofs).unwrap_or(u8::MAX);
            l.result = Some(Subfield {
                field,
                ofs,
                bits: 1,
            });
        } else if ofs != 0 {
            return Err(argument.into());
        }
    }
    while b.left() >= 2 {
        let header = b.u16()?;
        if header == 0 {
            break;
        }
        l.specs.push(spec(b, header)?);
    }
    zeros(b.rest(), argument)?;
    Ok(Action::Learn(Box::new(l)))
}

fn spec(b: &mut Reader<'_>, header: u16) -> Result<LearnSpec> {
    let bad_len = |_| OfError::OFPBAC_BAD_LEN;
    let n = header & BITS;
    let is_value = header & SRC_VALUE != 0;
    let output = header & DST == DST_OUTPUT;
    if header & DST == DST || output && is_value || n > 128 {
        return Err(OfError::OFPBAC_BAD_ARGUMENT.into());
    }
    let bits = n as u8;
    let src = if is_value {
        let len = usize::from(n.div_ceil(16)) * 2;
        LearnSource::Value(b.uint(len).map_err(bad_len)? & low_bits(bits))
    } else {
        let field = b.u32().map_err(bad_len)?;
        LearnSource::Field(short_subfield(field, b.u16().map_err(bad_len)?, n)?)
    };
    let dst = if output {
        LearnTarget::Output
    } else {
        let field = b.u32().map_err(bad_len)?;
        let sf = short_subfield(field, b.u16().map_err(bad_len)?, n)?;
        if header & DST == DST_LOAD {
            LearnTarget::Load(sf)
        } else {
            LearnTarget::Match(sf)
        }
    };
    Ok(LearnSpec { bits, src, dst })
}

/// Writes what follows the subtype.
pub(super) fn encode(w: &mut Writer, l: &Learn) {
    w.u16(l.idle_timeout);
    w.u16(l.hard_timeout);
    w.u16(l.priority);
    w.u64(l.cookie);
    w.u16(l.flags);
    w.u8(l.table);
    w.u8(0);
    w.u16(l.fin_idle_timeout);
    w.u16(l.fin_hard_timeout);
    if is_second(l) {
        w.u32(l.limit);
        w.u16(l.result.map_or(0, |r| u16::from(r.ofs)));
        w.u16(0);
        if let Some(r) = l.result {
            oxm::put_field(w, r.field, 0);
        }
    }
    for s in &l.specs {
        let mut header = u16::from(s.bits);
        header |= match s.dst {
            LearnTarget::Match(_) => 0,
            LearnTarget::Load(_) => DST_LOAD,
            LearnTarget::Output => DST_OUTPUT,
        };
        if matches!(s.src, LearnSource::Value(_)) {
            header |= SRC_VALUE;
        }
        w.u16(header);
        match s.src {
            LearnSource::Field(f) => {
                w.u32(oxm::short_header(f.field));
                w.u16(u16::from(f.ofs));
            }
            LearnSource::Value(v) => w.uint(v, usize::from(s.bits).div_ceil(16) * 2),
        }
        if let LearnTarget::Match(f) | LearnTarget::Load(f) = s.dst {
            w.u32(oxm::short_header(f.field));
            w.u16(u16::from(f.ofs));
        }
    }
}

/// Whether the second form is needed, or was used.
pub(super) fn is_second(l: &Learn) -> bool {
    l.second || l.limit != 0 || l.flags & 4 != 0
}
