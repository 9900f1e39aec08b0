//! Changes of fields: lists of actions that entries refer to.
//!
//! Fields of the outer headers are written through the embedded switch's editing, which keeps
//! checksums true; those of headers inside of a tunnel by the same editing on the inner frame.

use super::Frame;
use super::parse::{Parsed, ip_version};
use crate::connectx::command::{Call, Outcome};
use crate::connectx::core::Core;
use crate::connectx::objects::Kind;
use crate::connectx::syndrome::Syndrome;
use crate::switch::{Headers, protocol, set};
use hal_mlx_prm::View;
use hal_mlx_prm::capability::FlowTableProperties;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{HeaderField, ModifyType, TableType};
use packet::{FieldId, Packet};
use std::collections::BTreeSet;

/// Some bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits {
    field: HeaderField,
    offset: u32,
    length: u32,
}

/// A change of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Set(Bits, u32),
    Add(HeaderField, u32),
    Copy { from: Bits, to: Bits },
}

/// A list of changes for tables of a kind.
#[derive(Clone, Debug)]
pub(in crate::connectx) struct Modify {
    pub kind: TableType,
    changes: Vec<Change>,
}

/// Where a field is.
enum Place {
    RegisterA,
    RegisterB,
    RegisterC(usize),
    /// Of the outer or the inner headers: a field of the switch and the bits of it, from the
    /// lowest on, that are meant.
    Header {
        inner: bool,
        field: FieldId,
        low: u32,
    },
    /// A field of the first tag that is there; none if there is no tag.
    Tag,
    /// A word of the TCP header.
    TcpWord {
        inner: bool,
        at: usize,
    },
    /// TCP's flags.
    TcpFlags {
        inner: bool,
    },
    /// The lifetime in hops, of whichever IP.
    Hops {
        inner: bool,
    },
}

/// Where a field is, and how many bits it has; none if the model cannot write it.
fn place(field: HeaderField) -> Option<(Place, u32)> {
    use FieldId::*;
    use HeaderField::*;
    let header = |inner: bool, field: FieldId, low: u32, width: u32| {
        Some((Place::Header { inner, field, low }, width))
    };
    let outer = |field, low, width| header(false, field, low, width);
    let inner = |field, low, width| header(true, field, low, width);
    match field {
        OutSmac47_16 => outer(EthSrc, 16, 32),
        OutSmac15_0 => outer(EthSrc, 0, 16),
        OutDmac47_16 => outer(EthDst, 16, 32),
        OutDmac15_0 => outer(EthDst, 0, 16),
        OutIpDscp => outer(IpDscpShifted, 0, 6),
        OutIpEcn => outer(IpEcn, 0, 2),
        OutTcpSport => outer(TcpSrc, 0, 16),
        OutTcpDport => outer(TcpDst, 0, 16),
        OutUdpSport => outer(UdpSrc, 0, 16),
        OutUdpDport => outer(UdpDst, 0, 16),
        OutSipv6_127_96 => outer(Ipv6Src, 96, 32),
        OutSipv6_95_64 => outer(Ipv6Src, 64, 32),
        OutSipv6_63_32 => outer(Ipv6Src, 32, 32),
        OutSipv6_31_0 => outer(Ipv6Src, 0, 32),
        OutDipv6_127_96 => outer(Ipv6Dst, 96, 32),
        OutDipv6_95_64 => outer(Ipv6Dst, 64, 32),
        OutDipv6_63_32 => outer(Ipv6Dst, 32, 32),
        OutDipv6_31_0 => outer(Ipv6Dst, 0, 32),
        OutSipv4 => outer(Ipv4Src, 0, 32),
        OutDipv4 => outer(Ipv4Dst, 0, 32),
        OutFirstVid => Some((Place::Tag, 12)),
        InSmac47_16 => inner(EthSrc, 16, 32),
        InSmac15_0 => inner(EthSrc, 0, 16),
        InDmac47_16 => inner(EthDst, 16, 32),
        InDmac15_0 => inner(EthDst, 0, 16),
        InIpDscp => inner(IpDscpShifted, 0, 6),
        InIpEcn => inner(IpEcn, 0, 2),
        InTcpSport => inner(TcpSrc, 0, 16),
        InTcpDport => inner(TcpDst, 0, 16),
        InUdpSport => inner(UdpSrc, 0, 16),
        InUdpDport => inner(UdpDst, 0, 16),
        InSipv6_127_96 => inner(Ipv6Src, 96, 32),
        InSipv6_95_64 => inner(Ipv6Src, 64, 32),
        InSipv6_63_32 => inner(Ipv6Src, 32, 32),
        InSipv6_31_0 => inner(Ipv6Src, 0, 32),
        InDipv6_127_96 => inner(Ipv6Dst, 96, 32),
        InDipv6_95_64 => inner(Ipv6Dst, 64, 32),
        InDipv6_63_32 => inner(Ipv6Dst, 32, 32),
        InDipv6_31_0 => inner(Ipv6Dst, 0, 32),
        InSipv4 => inner(Ipv4Src, 0, 32),
        InDipv4 => inner(Ipv4Dst, 0, 32),
        OutIpTtl | OutIpv6Hoplimit => Some((Place::Hops { inner: false }, 8)),
        InIpTtl | InIpv6Hoplimit => Some((Place::Hops { inner: true }, 8)),
        OutTcpFlags => Some((Place::TcpFlags { inner: false }, 9)),
        InTcpFlags => Some((Place::TcpFlags { inner: true }, 9)),
        OutTcpSeqNum => Some((
            Place::TcpWord {
                inner: false,
                at: 4,
            },
            32,
        )),
        InTcpSeqNum => Some((Place::TcpWord { inner: true, at: 4 }, 32)),
        OutTcpAckNum => Some((
            Place::TcpWord {
                inner: false,
                at: 8,
            },
            32,
        )),
        InTcpAckNum => Some((Place::TcpWord { inner: true, at: 8 }, 32)),
        MetadataRegA => Some((Place::RegisterA, 32)),
        MetadataRegB => Some((Place::RegisterB, 32)),
        MetadataRegC0 => Some((Place::RegisterC(0), 32)),
        MetadataRegC1 => Some((Place::RegisterC(1), 32)),
        MetadataRegC2 => Some((Place::RegisterC(2), 32)),
        MetadataRegC3 => Some((Place::RegisterC(3), 32)),
        MetadataRegC4 => Some((Place::RegisterC(4), 32)),
        MetadataRegC5 => Some((Place::RegisterC(5), 32)),
        MetadataRegC6 => Some((Place::RegisterC(6), 32)),
        MetadataRegC7 => Some((Place::RegisterC(7), 32)),
        _ => None,
    }
}

/// Bits that an action names, if the field has them. Length 0 means 32.
fn bits(field: u16, offset: u8, length: u8) -> Result<Bits, Syndrome> {
    let field = HeaderField::of(field).ok_or(Syndrome::UnknownField)?;
    let (_, width) = place(field).ok_or(Syndrome::UnknownField)?;
    let (offset, length) = (u32::from(offset), u32::from(length));
    let length = if length == 0 { 32 } else { length };
    // All of a field may be named by 32, whatever it has.
    let length = if offset == 0 {
        length.min(width)
    } else {
        length
    };
    if offset + length > width {
        return Err(Syndrome::FieldBits);
    }
    Ok(Bits {
        field,
        offset,
        length,
    })
}

fn ones(length: u32) -> u32 {
    u32::MAX.checked_shr(32 - length).unwrap_or(0)
}

impl Core {
    /// ALLOC_MODIFY_HEADER_CONTEXT.
    pub fn alloc_modify_header_context(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let kind = self.table_kind(input.get(AllocModifyHeaderContextIn::TABLE_TYPE))?;
        let count = usize::from(input.get(AllocModifyHeaderContextIn::NUM_OF_ACTIONS));
        let most = |field| self.capabilities.of_tables::<u8>(kind, field);
        let actions = most(FlowTableProperties::MAX_MODIFY_HEADER_ACTIONS);
        if count == 0 || count > usize::from(actions) {
            return Err(Syndrome::ActionCount);
        }
        let contexts = most(FlowTableProperties::LOG_MAX_MODIFY_HEADER_CONTEXT);
        if self.steering.modifies.len() >> contexts.min(30) != 0 {
            return Err(Syndrome::ModifyHeadersFull);
        }
        let list = call.input.get(AllocModifyHeaderContextIn::SIZE..);
        let list = list.and_then(|list| list.get(..count * SetAction::SIZE));
        let list = list.ok_or(Syndrome::ActionCount)?;
        let changes = list.chunks_exact(SetAction::SIZE).map(change);
        let modify = Modify {
            kind,
            changes: changes.collect::<Result<_, _>>()?,
        };
        let id = self.objects.create(Kind::ModifyHeader, vec![])?;
        self.steering.modifies.insert(id, modify);
        call.output()?
            .set(AllocModifyHeaderContextOut::MODIFY_HEADER_ID, id);
        Ok(())
    }

    /// DEALLOC_MODIFY_HEADER_CONTEXT.
    pub fn dealloc_modify_header_context(&mut self, call: &mut Call<'_>) -> Outcome {
        let id = call
            .input()?
            .get(DeallocModifyHeaderContextIn::MODIFY_HEADER_ID);
        self.objects.destroy((Kind::ModifyHeader, id))?;
        self.steering.modifies.remove(&id);
        Ok(())
    }
}

fn change(bytes: &[u8]) -> Result<Change, Syndrome> {
    let set = View::<SetAction, _>::new(bytes).ok_or(Syndrome::ActionCount)?;
    let add = View::<AddAction, _>::new(bytes).ok_or(Syndrome::ActionCount)?;
    let copy = View::<CopyAction, _>::new(bytes).ok_or(Syndrome::ActionCount)?;
    let kind = ModifyType::of(set.get(SetAction::ACTION_TYPE));
    match kind.ok_or(Syndrome::UnknownChange)? {
        ModifyType::Set => {
            let to = bits(
                set.get(SetAction::FIELD),
                set.get(SetAction::OFFSET),
                set.get(SetAction::LENGTH),
            )?;
            let data = set.get(SetAction::DATA);
            if data & !ones(to.length) != 0 {
                return Err(Syndrome::FieldBits);
            }
            Ok(Change::Set(to, data))
        }
        ModifyType::Add => {
            let to = bits(add.get(AddAction::FIELD), 0, 0)?;
            Ok(Change::Add(to.field, add.get(AddAction::DATA)))
        }
        ModifyType::Copy => {
            let length = copy.get(CopyAction::LENGTH);
            let from = bits(
                copy.get(CopyAction::SRC_FIELD),
                copy.get(CopyAction::SRC_OFFSET),
                length,
            )?;
            let to = bits(
                copy.get(CopyAction::DST_FIELD),
                copy.get(CopyAction::DST_OFFSET),
                length,
            )?;
            let length = from.length.min(to.length);
            Ok(Change::Copy {
                from: Bits { length, ..from },
                to: Bits { length, ..to },
            })
        }
    }
}

impl Modify {
    /// Changes a frame. A field that the frame does not have stays what it is: nothing.
    pub fn apply(&self, frame: &mut Frame, vxlan: &BTreeSet<u16>) {
        let mut parsed = Parsed::read(frame.packet.frame(), vxlan);
        for change in &self.changes {
            match *change {
                Change::Set(to, data) => write(frame, &mut parsed, to, data),
                Change::Add(field, data) => {
                    let Some((_, width)) = place(field) else {
                        continue;
                    };
                    let whole = Bits {
                        field,
                        offset: 0,
                        length: width,
                    };
                    let sum = read(frame, &parsed, whole).map(|old| old.wrapping_add(data));
                    if let Some(sum) = sum {
                        write(frame, &mut parsed, whole, sum & ones(width));
                    }
                }
                Change::Copy { from, to } => {
                    let value = read(frame, &parsed, from).unwrap_or(0);
                    write(frame, &mut parsed, to, value);
                }
            }
        }
    }
}

/// Headers, and where their frame begins in the whole one.
fn side(parsed: &Parsed, inner: bool) -> Option<(&Headers, usize)> {
    match (inner, &parsed.inner) {
        (false, _) => Some((&parsed.outer, 0)),
        (true, Some(inside)) => Some((&inside.headers, inside.at)),
        (true, None) => None,
    }
}

fn tcp(parsed: &Parsed, inner: bool, at: usize) -> Option<usize> {
    let (h, begin) = side(parsed, inner)?;
    (h.upper == protocol::TCP).then_some(begin + h.transport? + at)
}

fn word(frame: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*frame.get(at..)?.first_chunk()?))
}

fn read(frame: &Frame, parsed: &Parsed, from: Bits) -> Option<u32> {
    let (place, _) = place(from.field)?;
    let bytes = frame.packet.frame();
    let whole = match place {
        Place::RegisterA => frame.register_a,
        Place::RegisterB => frame.register_b,
        Place::RegisterC(n) => frame.register_c[n],
        Place::Header { inner, field, low } => {
            let (h, _) = side(parsed, inner)?;
            (h.get(field) >> low) as u32
        }
        Place::Tag => {
            let tagged = parsed.outer.get(FieldId::VlanTpid) != 0;
            tagged.then(|| word(bytes, 12))?? & 0xfff
        }
        Place::TcpWord { inner, at } => word(bytes, tcp(parsed, inner, at)?)?,
        Place::TcpFlags { inner } => word(bytes, tcp(parsed, inner, 12)?)? >> 16 & 0x1ff,
        Place::Hops { inner } => {
            let (h, _) = side(parsed, inner)?;
            (ip_version(h) != 0).then(|| h.get(FieldId::IpTtl) as u32)?
        }
    };
    Some(whole >> from.offset & ones(from.length))
}

fn write(frame: &mut Frame, parsed: &mut Parsed, to: Bits, value: u32) {
    let Some((place, _)) = place(to.field) else {
        return;
    };
    let mask = ones(to.length) << to.offset;
    let value = value << to.offset;
    let mix = |old: u32| old & !mask | value & mask;
    match place {
        Place::RegisterA => frame.register_a = mix(frame.register_a),
        Place::RegisterB => frame.register_b = mix(frame.register_b),
        Place::RegisterC(n) => frame.register_c[n] = mix(frame.register_c[n]),
        Place::Header { inner, field, low } => {
            let (value, mask) = (u128::from(value) << low, u128::from(mask) << low);
            write_header(frame, parsed, inner, field, value, mask);
        }
        Place::Hops { inner } => {
            let (value, mask) = (value.into(), mask.into());
            write_header(frame, parsed, inner, FieldId::IpTtl, value, mask);
        }
        Place::Tag => {
            let tagged = parsed.outer.get(FieldId::VlanTpid) != 0;
            if let Some(place) = frame.packet.frame_mut().get_mut(14..16).filter(|_| tagged) {
                let old = u16::from_be_bytes([place[0], place[1]]);
                let new = old & !(mask as u16) | value as u16 & mask as u16;
                place.copy_from_slice(&new.to_be_bytes());
            }
            parsed.outer = Headers::read_tags(frame.packet.frame(), 2);
        }
        Place::TcpWord { inner, at } => {
            if let Some(place) = tcp(parsed, inner, at)
                && let Some(old) = word(frame.packet.frame(), place)
            {
                write_tcp(frame, parsed, inner, place, mix(old));
            }
        }
        Place::TcpFlags { inner } => {
            if let Some(place) = tcp(parsed, inner, 12)
                && let Some(old) = word(frame.packet.frame(), place)
            {
                let (value, mask) = (value << 16, mask << 16);
                write_tcp(frame, parsed, inner, place, old & !mask | value & mask);
            }
        }
    }
}

/// Writes a word of a TCP header and keeps its checksum true.
fn write_tcp(frame: &mut Frame, parsed: &mut Parsed, inner: bool, at: usize, new: u32) {
    let Some(sum_at) = tcp(parsed, inner, 16) else {
        return;
    };
    let bytes = frame.packet.frame_mut();
    let (Some(old), Some(sum)) = (word(bytes, at), word(bytes, sum_at)) else {
        return;
    };
    let halves = |w: u32| (w >> 16) + (w & 0xffff);
    let mut total = (!sum >> 16) + halves(!old) + halves(new);
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    bytes[at..at + 4].copy_from_slice(&new.to_be_bytes());
    bytes[sum_at..sum_at + 2].copy_from_slice(&(!total as u16).to_be_bytes());
    reread(frame, parsed, inner);
}

fn write_header(
    frame: &mut Frame,
    parsed: &mut Parsed,
    inner: bool,
    field: FieldId,
    value: u128,
    mask: u128,
) {
    if !inner {
        set(&mut frame.packet, &mut parsed.outer, field, value, mask);
        reread(frame, parsed, inner);
        return;
    }
    let Some(inside) = &mut parsed.inner else {
        return;
    };
    // Without an Ethernet header inside, what stands before the IP header is not its own.
    if !inside.ethernet && matches!(field, FieldId::EthSrc | FieldId::EthDst) {
        return;
    }
    let bytes = frame.packet.frame().get(inside.at..).unwrap_or_default();
    let mut part = Packet::from_frame(bytes);
    let kind = (inside.headers.get(FieldId::EthType) as u16).to_be_bytes();
    let own = part.frame().get(12..14).map(|own| [own[0], own[1]]);
    if !inside.ethernet
        && let Some(place) = part.frame_mut().get_mut(12..14)
    {
        place.copy_from_slice(&kind);
    }
    set(&mut part, &mut inside.headers, field, value, mask);
    if !inside.ethernet
        && let (Some(place), Some(own)) = (part.frame_mut().get_mut(12..14), own)
    {
        place.copy_from_slice(&own);
    }
    let at = inside.at;
    if let Some(place) = frame.packet.frame_mut().get_mut(at..) {
        place.copy_from_slice(part.frame());
    }
    reread(frame, parsed, inner);
}

/// What was written may be read by the next change.
fn reread(frame: &Frame, parsed: &mut Parsed, inner: bool) {
    let bytes = frame.packet.frame();
    if !inner {
        parsed.outer = Headers::read_tags(bytes, 2);
    } else if let Some(inside) = &mut parsed.inner {
        let kind = inside.headers.get(FieldId::EthType) as u16;
        let mut part = bytes.get(inside.at..).unwrap_or_default().to_vec();
        if !inside.ethernet && part.len() >= 14 {
            part[12..14].copy_from_slice(&kind.to_be_bytes());
        }
        inside.headers = Headers::read_tags(&part, 2);
    }
}
