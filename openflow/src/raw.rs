//! Which message is it: headers, and the table of every layout in every version.
//!
//! A message is known by its version and up to four numbers: the type in the common header, the
//! statistics type behind it, a vendor and the vendor's own subtype. [`Kind`] names a layout; a
//! row of the table says where it may occur and how long its body is.
//!
//! ```text
//!  0       1       2               4                               8
//!  +-------+-------+---------------+-------------------------------+
//!  |version|  type |    length     |              xid              |   OpenFlow 1.5.1 §7.1.1
//!  +-------+-------+---------------+-------------------------------+
//!  type 4:        vendor (4), subtype (4)
//!  type 16/17 in 1.0, 18/19 later:  statistics type (2), flags (2), in 1.1 on padding (4);
//!                 statistics type 0xffff: vendor (4), subtype (4), in 1.0 with padding
//! ```

mod table;

use crate::error::{DecodeError, NX_VENDOR, ONF_VENDOR, OfError, Result};
use crate::version::{Version, Xid};
use crate::wire::{Reader, Writer};
pub use table::Kind;

/// The space of numbers in which a message's number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Space {
    Standard,
    StatsRequest,
    StatsReply,
    Nicira,
    NiciraStatsRequest,
    NiciraStatsReply,
    Onf,
    OnfStatsRequest,
    OnfStatsReply,
}

/// A row of the table of layouts.
#[derive(Debug)]
pub struct Raw {
    /// The layout.
    pub kind: Kind,
    /// Its name as people see it.
    pub name: &'static str,
    /// Where its number counts.
    pub space: Space,
    /// The number.
    pub number: u32,
    /// The first version (wire number) that has it.
    pub first: u8,
    /// The last one.
    pub last: u8,
    /// The least length of its body.
    pub min: u16,
    /// The body may be longer by multiples of this; 0 = it may not.
    pub step: u16,
}

impl Kind {
    /// The layout's row.
    pub fn row(self) -> &'static Raw {
        // The table has a row for each variant, in order: a test checks it.
        &table::KINDS[self as usize]
    }

    /// The layout with this number.
    pub fn find(space: Space, number: u32, version: u8) -> Option<Kind> {
        table::KINDS
            .iter()
            .find(|r| {
                r.space == space && r.number == number && r.first <= version && version <= r.last
            })
            .map(|r| r.kind)
    }

    /// Whether it is a part of a statistics exchange.
    pub fn is_stats(self) -> bool {
        !matches!(
            self.row().space,
            Space::Standard | Space::Nicira | Space::Onf
        )
    }

    /// Whether it asks for statistics.
    pub fn is_stats_request(self) -> bool {
        self.is_stats() && !self.is_stats_reply()
    }

    /// Whether it is a statistics reply, which may come in parts.
    pub fn is_stats_reply(self) -> bool {
        matches!(
            self.row().space,
            Space::StatsReply | Space::NiciraStatsReply | Space::OnfStatsReply
        )
    }
}

/// The header that every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version's wire number, which may be one that we don't speak.
    pub version: u8,
    /// The message type.
    pub kind: u8,
    /// The whole message's length in bytes, 8 to 65535.
    pub length: u16,
    /// The transaction.
    pub xid: Xid,
}

impl Header {
    /// The header's own length.
    pub const LEN: usize = 8;

    /// Reads a header. Fewer than 8 bytes, or a length below 8, is `OFPBRC_BAD_LEN`.
    pub fn parse(bytes: &[u8]) -> Result<Header> {
        let mut r = Reader::new(bytes);
        let h = Header {
            version: r.u8()?,
            kind: r.u8()?,
            length: r.u16()?,
            xid: Xid(r.u32()?),
        };
        if usize::from(h.length) < Header::LEN {
            return Err(OfError::OFPBRC_BAD_LEN.into());
        }
        Ok(h)
    }
}

/// What the headers of a message say, with its body.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The version's wire number; one that we speak for all but hello and error messages.
    pub version: u8,
    /// The transaction.
    pub xid: Xid,
    /// The layout.
    pub kind: Kind,
    /// The flags of a statistics message; bit 0 says that more follows.
    pub flags: u16,
    /// What stands behind the headers.
    pub body: &'a [u8],
}

fn vendor_space(vendor: u32, nicira: Space, onf: Space) -> Result<Space> {
    match vendor {
        NX_VENDOR => Ok(nicira),
        ONF_VENDOR => Ok(onf),
        _ => Err(DecodeError::noted(
            OfError::OFPBRC_BAD_VENDOR,
            "ofp_msgs",
            format!("OpenFlow message has unknown vendor {vendor:#x}"),
        )),
    }
}

/// Reads a message's headers and checks the length of its body against the table.
pub fn frame(bytes: &[u8]) -> Result<Frame<'_>> {
    let header = Header::parse(bytes)?;
    let whole = bytes
        .get(..usize::from(header.length))
        .ok_or(OfError::OFPBRC_BAD_LEN)?;
    let f = identify(whole, header)?;
    check_length(&f, whole.len())?;
    Ok(f)
}

/// What a message is of which perhaps only the beginning is there.
pub fn kind_of(bytes: &[u8]) -> Result<Kind> {
    Ok(identify(bytes, Header::parse(bytes)?)?.kind)
}

fn identify(whole: &[u8], header: Header) -> Result<Frame<'_>> {
    let mut r = Reader::new(whole);
    r.skip(Header::LEN)?;
    let old = header.version == 1;
    let mut flags = 0;
    let (space, number) = match (header.kind, old) {
        (4, _) => {
            let vendor = r.u32()?;
            let space = vendor_space(vendor, Space::Nicira, Space::Onf)?;
            (space, r.u32()?)
        }
        (16 | 17, true) | (18 | 19, false) => {
            let request = matches!(header.kind, 16 | 18);
            let number = r.u16()?;
            flags = r.u16()?;
            if !old {
                r.skip(4)?;
            }
            let pick = |a, b| if request { a } else { b };
            if number == 0xffff {
                let vendor = r.u32()?;
                let space = vendor_space(
                    vendor,
                    pick(Space::NiciraStatsRequest, Space::NiciraStatsReply),
                    pick(Space::OnfStatsRequest, Space::OnfStatsReply),
                )?;
                let number = r.u32()?;
                if old {
                    r.skip(4)?;
                }
                (space, number)
            } else {
                let space = pick(Space::StatsRequest, Space::StatsReply);
                (space, u32::from(number))
            }
        }
        (kind, _) => (Space::Standard, u32::from(kind)),
    };
    let Some(kind) = Kind::find(space, number, header.version) else {
        let v = header.version;
        let (error, text) = match space {
            Space::Standard => (
                OfError::OFPBRC_BAD_TYPE,
                format!(
                    "unknown OpenFlow message (version {v}, type {})",
                    header.kind
                ),
            ),
            Space::StatsRequest | Space::StatsReply => (
                OfError::OFPBRC_BAD_STAT,
                format!(
                    "unknown OpenFlow message (version {v}, type {}, stat {number})",
                    header.kind
                ),
            ),
            Space::Nicira | Space::Onf => (
                OfError::OFPBRC_BAD_SUBTYPE,
                format!(
                    "unknown OpenFlow message (version {v}, type {}, vendor {:#x}, subtype {number})",
                    header.kind,
                    if space == Space::Nicira {
                        NX_VENDOR
                    } else {
                        ONF_VENDOR
                    }
                ),
            ),
            _ => (
                OfError::OFPBRC_BAD_SUBTYPE,
                format!(
                    "unknown OpenFlow message (version {v}, type {}, stat 65535, vendor {:#x}, subtype {number})",
                    header.kind,
                    if matches!(space, Space::NiciraStatsReply | Space::NiciraStatsRequest) {
                        NX_VENDOR
                    } else {
                        ONF_VENDOR
                    }
                ),
            ),
        };
        return Err(DecodeError::noted(error, "ofp_msgs", text));
    };
    Ok(Frame {
        version: header.version,
        xid: header.xid,
        kind,
        flags,
        body: r.take_rest(),
    })
}

fn check_length(f: &Frame<'_>, got: usize) -> Result<()> {
    let row = f.kind.row();
    let (len, min, step) = (f.body.len(), usize::from(row.min), usize::from(row.step));
    let fits = match step {
        0 => len == min,
        1 => len >= min,
        _ => len >= min && (len - min).is_multiple_of(step),
    };
    if fits {
        return Ok(());
    }
    let (name, want) = (row.name, got - len + min);
    let text = match step {
        0 => format!("received {name} with incorrect length {got} (expected length {want})"),
        1 => format!(
            "received {name} with incorrect length {got} (expected length at least {want} bytes)"
        ),
        _ => format!(
            "received {name} with incorrect length {got} (must be exactly {want} bytes or longer \
             by an integer multiple of {step} bytes)"
        ),
    };
    Err(DecodeError::noted(
        OfError::OFPBRC_BAD_LEN,
        "ofp_msgs",
        text,
    ))
}

/// Begins a message of layout `kind`: all its headers, with the length still to be set.
pub(crate) fn begin(kind: Kind, version: Version, xid: Xid, flags: u16) -> Writer {
    let row = kind.row();
    let old = version == Version::Of10;
    let mut w = Writer::new();
    let (request, reply) = if old { (16, 17) } else { (18, 19) };
    let kind_number = match row.space {
        Space::Standard => row.number as u8,
        Space::Nicira | Space::Onf => 4,
        Space::StatsRequest | Space::NiciraStatsRequest | Space::OnfStatsRequest => request,
        Space::StatsReply | Space::NiciraStatsReply | Space::OnfStatsReply => reply,
    };
    w.u8(version.wire());
    w.u8(kind_number);
    w.u16(0);
    w.u32(xid.0);
    let vendor = match row.space {
        Space::Nicira | Space::NiciraStatsReply | Space::NiciraStatsRequest => Some(NX_VENDOR),
        Space::Onf | Space::OnfStatsRequest | Space::OnfStatsReply => Some(ONF_VENDOR),
        _ => None,
    };
    if kind.is_stats() {
        w.u16(if vendor.is_some() {
            0xffff
        } else {
            row.number as u16
        });
        w.u16(flags);
        if !old {
            w.u32(0);
        }
    }
    if let Some(vendor) = vendor {
        w.u32(vendor);
        w.u32(row.number);
        if kind.is_stats() && old {
            w.u32(0);
        }
    }
    w
}

/// Sets the length of a finished message.
pub(crate) fn finish(mut w: Writer) -> Vec<u8> {
    w.set_len(2, 0);
    w.out
}

/// Finds the first whole message in a stream's bytes: its length, or how the stream is broken.
///
/// `Ok(None)` means that more bytes must come first.
pub fn next_message(stream: &[u8]) -> Result<Option<usize>> {
    if stream.len() < Header::LEN {
        return Ok(None);
    }
    let length = usize::from(Header::parse(stream)?.length);
    Ok((stream.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_kinds() {
        for (i, row) in table::KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, i, "{}", row.name);
        }
    }

    #[test]
    fn a_frame_is_what_was_begun() {
        for row in table::KINDS {
            for version in Version::ALL {
                if !(row.first..=row.last).contains(&version.wire()) {
                    continue;
                }
                let mut w = begin(row.kind, version, Xid(7), 0);
                w.zeros(usize::from(row.min));
                let bytes = finish(w);
                let f = frame(&bytes).unwrap();
                assert_eq!(
                    (f.kind, f.xid, f.version),
                    (row.kind, Xid(7), version.wire())
                );
                assert_eq!(f.body.len(), usize::from(row.min));
            }
        }
    }
}
