//! Fields on the wire: OXM and NXM headers, values and masks, and whole matches
//! (OpenFlow 1.5.1 §7.2.3; Nicira's extended match is the same thing without the frame).
//!
//! ```text
//!   31            16 15      9 8 7        0
//!   +---------------+---------+-+---------+
//!   |     class     |  field  |M|  length |   class 0xffff: the experimenter follows (4 bytes)
//!   +---------------+---------+-+---------+
//! ```

mod matching;
pub mod names;
mod old;
mod strings;

use crate::error::{DecodeError, OfError, Result};
use crate::wire::{Reader, Writer};
use packet::{FieldId, OxmClass};
use std::sync::LazyLock;

pub use matching::encode_oxm_entries;
pub(crate) use matching::{
    NxmOptions, drop_implied_packet_type, is_value_valid, legal_bits, meets, pull_nxm,
    pull_oxm_match, set_in_match,
};
pub use matching::{decode_nxm, decode_oxm_match, encode_nxm, encode_oxm_match};
pub(crate) use old::*;
pub use old::{decode_match10, decode_match11, encode_match10, encode_match11};
pub use strings::{entries_from_string, entries_to_string};

/// A field's header as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldHeader {
    /// The class.
    pub class: u16,
    /// The number in it, 0 to 127.
    pub number: u8,
    /// A mask follows the value.
    pub has_mask: bool,
    /// Bytes that follow (the experimenter is not counted).
    pub len: usize,
    /// 0 but for class 0xffff.
    pub experimenter: u32,
}

impl FieldHeader {
    /// The number space, if we know it.
    pub fn known_class(self) -> Option<OxmClass> {
        Some(match (self.class, self.experimenter) {
            (0x0000, _) => OxmClass::NxmOf,
            (0x0001, _) => OxmClass::NxmNx,
            (0x1000, _) => OxmClass::Ericsson,
            (0x8000, _) => OxmClass::Basic,
            (0x8001, _) => OxmClass::PacketRegs,
            (0xffff, 0x0000_2320) => OxmClass::Nicira,
            (0xffff, 0x4f4e_4600) => OxmClass::Onf,
            (0xffff, 0x005a_d650) => OxmClass::Nsh,
            _ => return None,
        })
    }

    /// The row that the header names; a length that does not fit is ignored here.
    pub fn row(self) -> Option<&'static names::Row> {
        let class = self.known_class()?;
        names::ROWS
            .iter()
            .find(|r| r.class == class && r.number == self.number)
    }
}

/// Reads a header: class, number, mask bit, length, and the experimenter if there is one.
pub(crate) fn pull_header(r: &mut Reader<'_>) -> std::result::Result<FieldHeader, OfError> {
    let word = r.u32()?;
    let class = (word >> 16) as u16;
    let len = (word & 0xff) as usize;
    let mut h = FieldHeader {
        class,
        number: (word >> 9 & 0x7f) as u8,
        has_mask: word & 0x100 != 0,
        len,
        experimenter: 0,
    };
    if class == 0xffff {
        if len < 4 {
            return Err(OfError::OFPBMC_BAD_LEN);
        }
        h.experimenter = r.u32()?;
        h.len = len - 4;
    }
    Ok(h)
}

/// The row under which `field` is sent in `version` (a wire number; 0 = prefer Nicira's).
pub fn row_of(field: FieldId, version: u8) -> Option<&'static names::Row> {
    /// The rows of each field.
    static BY_FIELD: LazyLock<Vec<Vec<&'static names::Row>>> = LazyLock::new(|| {
        let mut rows = vec![Vec::new(); packet::FIELD_COUNT];
        for row in names::ROWS {
            if let Some(own) = rows.get_mut(row.field as usize) {
                own.push(row);
            }
        }
        rows
    });
    let rows = BY_FIELD.get(field as usize)?;
    let known = rows.iter().rev().find(|row| version >= row.since);
    known.or(rows.first()).copied()
}

/// The name under which actions show a field.
pub fn wire_name(field: FieldId) -> &'static str {
    row_of(field, 0).map_or(field.row().name, |r| r.name)
}

/// The field of this wire name (`NXM_OF_ETH_DST`).
pub fn by_wire_name(name: &str) -> Option<FieldId> {
    names::ROWS.iter().find(|r| r.name == name).map(|r| r.field)
}

/// Bytes of a field's value in OXM: the field table has them, but for `in_port` and the like
/// where both forms are rows of their own.
pub fn wire_bytes(field: FieldId) -> usize {
    usize::from(field.row().bytes)
}

/// Writes a header of `row` for a value of `len` bytes (mask included).
pub(crate) fn put_header(w: &mut Writer, row: &names::Row, has_mask: bool, len: usize) {
    let experimenter = row.class.experimenter();
    let len = len + if experimenter.is_some() { 4 } else { 0 };
    let word = u32::from(row.class.class()) << 16
        | u32::from(row.number) << 9
        | u32::from(has_mask) << 8
        | (len as u32 & 0xff);
    w.u32(word);
    if let Some(e) = experimenter {
        w.u32(e);
    }
}

/// Writes the 32-bit header that actions use to name a field; an experimenter's field can't be
/// named so and gives 0.
pub(crate) fn short_header(field: FieldId) -> u32 {
    match row_of(field, 0) {
        Some(row) if row.class.experimenter().is_none() => {
            u32::from(row.class.class()) << 16
                | u32::from(row.number) << 9
                | wire_bytes(field) as u32
        }
        _ => 0,
    }
}

/// Reads a header in an action, which must name a field we know, whole.
pub(crate) fn pull_field(r: &mut Reader<'_>) -> Result<(FieldId, bool)> {
    let h = pull_header(r)?;
    let Some(row) = h.row() else {
        return Err(OfError::OFPBAC_BAD_SET_TYPE.into());
    };
    let size = wire_bytes(row.field);
    if h.len != if h.has_mask { size * 2 } else { size } {
        return Err(OfError::OFPBAC_BAD_SET_LEN.into());
    }
    Ok((row.field, h.has_mask))
}

/// A field with its value and perhaps its mask, as settings carry it.
pub(crate) fn pull_entry_in_action(r: &mut Reader<'_>) -> Result<(FieldId, u128, Option<u128>)> {
    let (field, has_mask) = pull_field(r).map_err(|e| match e.error {
        OfError::OFPBRC_BAD_LEN => DecodeError::from(OfError::OFPBMC_BAD_LEN),
        _ => e,
    })?;
    let n = wire_bytes(field);
    let bad = |_| DecodeError::from(OfError::OFPBMC_BAD_LEN);
    let value = r.uint(n).map_err(bad)?;
    let mask = if has_mask {
        Some(r.uint(n).map_err(bad)?)
    } else {
        None
    };
    Ok((field, value, mask))
}

/// Writes a field's header of 4 or 8 bytes.
pub(crate) fn put_field(w: &mut Writer, field: FieldId, version: u8) {
    if let Some(row) = row_of(field, version) {
        put_header(w, row, false, wire_bytes(field));
    }
}

/// Writes a field with its value and, if given, its mask.
pub(crate) fn put_entry(
    w: &mut Writer,
    field: FieldId,
    version: u8,
    value: u128,
    mask: Option<u128>,
) {
    let Some(row) = row_of(field, version) else {
        return;
    };
    let n = wire_bytes(field);
    put_header(
        w,
        row,
        mask.is_some(),
        if mask.is_some() { 2 * n } else { n },
    );
    w.uint(value, n);
    if let Some(mask) = mask {
        w.uint(mask, n);
    }
}
