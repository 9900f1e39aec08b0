//! A whole match as a list of OXM or NXM entries.

use super::{pull_header, put_header, row_of, wire_bytes};
use crate::error::{DecodeError, OfError, Result};
use crate::message::Cookie;
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, Writer};
use packet::{FieldId, Match, Prereq};

/// The significant bits of a field as a message may have them.
pub(crate) fn legal_bits(field: FieldId) -> u128 {
    match field {
        FieldId::ArpOp | FieldId::CtState => 0xff,
        FieldId::VlanVid | FieldId::DlVlan => 0x1fff,
        FieldId::VlanTci => 0xffff,
        _ => field.full(),
    }
}

fn wire_ones(field: FieldId) -> u128 {
    match wire_bytes(field) {
        16.. => u128::MAX,
        n => (1u128 << (n * 8)) - 1,
    }
}

/// Whether an entry of this field may have this mask (over the field's bytes).
pub(crate) fn is_mask_valid(field: FieldId, mask: u128) -> bool {
    let ones = wire_ones(field);
    field.is_maskable() || mask == 0 || mask & ones == ones
}

/// Whether a field can have this value.
pub(crate) fn is_value_valid(field: FieldId, value: u128) -> bool {
    match field {
        FieldId::InPortOxm | FieldId::ActsetOutput => {
            u32::try_from(value).is_ok_and(|p| OfPort::from_u32(p).is_ok())
        }
        FieldId::VlanTci | FieldId::DlVlan => value <= 0xffff,
        _ => value & !legal_bits(field) == 0,
    }
}

/// Wants a field's value under a mask, as messages and text do.
pub(crate) fn set_in_match(m: &mut Match, field: FieldId, value: u128, mask: u128) {
    let low16 = (value & 0xffff) as u16;
    match field {
        FieldId::InPort => {
            let port = OfPort::from_u16(low16);
            m.set(FieldId::InPortOxm, u128::from(port.0));
        }
        // A type fills the port that it stands in, so that the words of a match are canonical.
        FieldId::Icmpv4Type | FieldId::Icmpv6Type if mask & 0xff != 0 => {
            m.set(FieldId::TcpSrc, value & 0xff);
        }
        FieldId::Icmpv4Code | FieldId::Icmpv6Code if mask & 0xff != 0 => {
            m.set(FieldId::TcpDst, value & 0xff);
        }
        FieldId::VlanVid if mask & 0x1fff != 0x1fff => m.set_masked(field, value & mask, mask),
        FieldId::VlanTci => m.set_masked(field, value & mask, mask),
        _ if mask & field.full() == 0 => m.clear(field),
        _ if mask & field.full() == field.full() || field == FieldId::ArpOp => {
            m.set(field, value);
        }
        _ => m.set_masked(field, value & mask, mask),
    }
}

/// What of a match a field's row has: its value and mask; `ArpOp`'s mask is widened to the
/// field's sixteen bits.
pub(crate) fn get_from_match(m: &Match, field: FieldId) -> (u128, u128) {
    let (value, mask) = m.get(field);
    match field {
        FieldId::ArpOp if mask != 0 => (value, 0xffff),
        _ => (value, mask),
    }
}

/// Whether a match wants enough for fields with prerequisite `p` to have meaning. A neighbour
/// discovery message is known by its type: a code that is not asked for counts as zero.
pub(crate) fn meets(m: &Match, p: Prereq) -> bool {
    let is_type = |types: &[u128]| {
        let (value, mask) = m.get(FieldId::TcpSrc);
        m.meets(Prereq::Icmpv6)
            && mask != 0
            && types.contains(&value)
            && m.value().get(FieldId::TcpDst) == 0
    };
    match p {
        Prereq::Nd => is_type(&[135, 136]),
        Prereq::NdSolicit => is_type(&[135]),
        Prereq::NdAdvert => is_type(&[136]),
        p => m.meets(p),
    }
}

/// Leaves the packet type out of a match whose other fields imply it.
pub(crate) fn drop_implied_packet_type(m: &mut Match) {
    let (value, mask) = m.get(FieldId::PacketType);
    if mask != 0 && value == 0 && implies_ethernet(m) {
        m.clear(FieldId::PacketType);
    }
}

/// Whether a field is wanted that only Ethernet packets have.
pub(crate) fn implies_ethernet(m: &Match) -> bool {
    FieldId::all().any(|f| f.row().prereq != Prereq::None && m.mask().get(f) != 0)
}

/// What may stand in a list of entries.
#[derive(Clone, Copy)]
pub(crate) struct NxmOptions {
    /// Unknown fields and missing prerequisites are errors.
    pub strict: bool,
    /// The cookie's pseudo field may occur.
    pub cookie: bool,
    /// Only metadata and registers may occur.
    pub pipeline_only: bool,
}

impl NxmOptions {
    pub const STRICT: NxmOptions = NxmOptions {
        strict: true,
        cookie: false,
        pipeline_only: false,
    };
}

fn is_pipeline_field(f: FieldId) -> bool {
    use FieldId::*;
    (f >= TunId && f <= TunGtpuMsgtype)
        || (f >= Reg0 && f <= Xxreg7)
        || matches!(f, InPort | InPortOxm | Metadata | PacketType | ActsetOutput)
}

/// Reads a list of entries.
pub(crate) fn pull_nxm(bytes: &[u8], o: NxmOptions) -> Result<(Match, Cookie, Cookie)> {
    let mut m = Match::any();
    let (mut cookie, mut cookie_mask) = (0, 0);
    let mut r = Reader::new(bytes);
    while !r.is_empty() {
        let header = pull_header(&mut r).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
        let mut payload = r.sub(header.len).map_err(|_| OfError::OFPBMC_BAD_LEN)?;
        let is_cookie = (header.class, header.number) == (1, 30)
            && header.len == if header.has_mask { 16 } else { 8 };
        let width = if header.has_mask {
            header.len / 2
        } else {
            header.len
        };
        let field = header
            .row()
            .map(|r| r.field)
            .filter(|f| wire_bytes(*f) == width);
        if header.has_mask && !payload_is_consistent(payload.rest(), width) {
            return Err(OfError::OFPBMC_BAD_WILDCARDS.into());
        }
        let value = payload.uint(width)?;
        let mask = if header.has_mask {
            payload.uint(width)?
        } else {
            u128::MAX
        };
        if o.cookie && is_cookie {
            if cookie_mask != 0 {
                return Err(OfError::OFPBMC_DUP_FIELD.into());
            }
            cookie = value as u64;
            cookie_mask = mask as u64;
            continue;
        }
        let Some(field) = field else {
            if o.strict {
                return Err(OfError::OFPBMC_BAD_FIELD.into());
            }
            continue;
        };
        if !is_mask_valid(field, mask) {
            return Err(OfError::OFPBMC_BAD_MASK.into());
        }
        if !is_value_valid(field, value) {
            return Err(OfError::OFPBMC_BAD_VALUE.into());
        }
        if o.strict && !meets(&m, field.row().prereq) {
            return Err(OfError::OFPBMC_BAD_PREREQ.into());
        }
        if m.mask().get(field) != 0 {
            return Err(OfError::OFPBMC_DUP_FIELD.into());
        }
        if o.pipeline_only && !is_pipeline_field(field) {
            return Err(OfError::OFPBRC_PIPELINE_FIELDS_ONLY.into());
        }
        set_in_match(&mut m, field, value, mask);
    }
    drop_implied_packet_type(&mut m);
    Ok((m, Cookie(cookie), Cookie(cookie_mask)))
}

fn payload_is_consistent(payload: &[u8], width: usize) -> bool {
    match payload.split_at_checked(width) {
        Some((value, mask)) => value.iter().zip(mask).all(|(v, m)| v & !m == 0),
        None => false,
    }
}

/// Reads a match of OpenFlow 1.2 and later from the front of a message.
pub(crate) fn pull_oxm_match(r: &mut Reader<'_>, o: NxmOptions) -> Result<Match> {
    let bad = |_| DecodeError::from(OfError::OFPBMC_BAD_LEN);
    let mut head = *r;
    let kind = head.u16().map_err(bad)?;
    let len = usize::from(head.u16().map_err(bad)?);
    if len < 4 {
        return Err(OfError::OFPBMC_BAD_LEN.into());
    }
    if kind != 1 {
        return Err(OfError::OFPBMC_BAD_TYPE.into());
    }
    let mut whole = r.sub(len.next_multiple_of(8)).map_err(bad)?;
    whole.skip(4).map_err(bad)?;
    let entries = whole.bytes(len - 4).map_err(bad)?;
    Ok(pull_nxm(entries, o)?.0)
}

/// Reads a framed OXM match, as `parse-oxm` and others have it.
pub fn decode_oxm_match(bytes: &[u8], strict: bool) -> Result<Match> {
    let o = NxmOptions {
        strict,
        ..NxmOptions::STRICT
    };
    pull_oxm_match(&mut Reader::new(bytes), o)
}

/// Reads a bare list of entries, with the cookie's pseudo field.
pub fn decode_nxm(bytes: &[u8], strict: bool) -> Result<(Match, Cookie, Cookie)> {
    let o = NxmOptions {
        strict,
        cookie: true,
        pipeline_only: false,
    };
    pull_nxm(bytes, o)
}

struct Entries<'m> {
    w: Writer,
    m: &'m Match,
    version: u8,
    implied: bool,
}

impl Entries<'_> {
    fn put(&mut self, field: FieldId, value: u128, mask: Option<u128>) {
        let Some(row) = row_of(field, self.version) else {
            return;
        };
        let n = wire_bytes(field);
        put_header(
            &mut self.w,
            row,
            mask.is_some(),
            if mask.is_some() { 2 * n } else { n },
        );
        self.w.uint(value, n);
        if let Some(mask) = mask {
            self.w.uint(mask, n);
        }
        self.implied |= field.row().prereq != Prereq::None;
    }

    /// Whole if all of it is wanted, masked if some is.
    fn field(&mut self, field: FieldId) {
        let (value, mask) = get_from_match(self.m, field);
        if mask == 0 {
            return;
        }
        let whole = mask == field.full();
        self.put(field, value, if whole { None } else { Some(mask) });
    }

    /// Whole if any of it is wanted.
    fn exact(&mut self, field: FieldId) {
        let (value, mask) = get_from_match(self.m, field);
        if mask != 0 {
            self.put(field, value, None);
        }
    }

    fn fields(&mut self, all: &[FieldId]) {
        for f in all {
            self.field(*f);
        }
    }
}

fn put_ip(e: &mut Entries<'_>, eth_type: u128) {
    use FieldId::*;
    if eth_type == 0x0800 {
        e.fields(&[Ipv4Src, Ipv4Dst]);
    } else {
        e.fields(&[Ipv6Src, Ipv6Dst]);
    }
    e.field(IpFrag);
    e.exact(if e.version > 0 { IpDscpShifted } else { IpDscp });
    e.exact(IpEcn);
    e.exact(IpTtl);
    e.field(Ipv6Label);
    let (proto, mask) = e.m.get(IpProto);
    if mask == 0 {
        return;
    }
    e.exact(IpProto);
    match (proto, eth_type) {
        (6, _) => e.fields(&[TcpSrc, TcpDst, TcpFlags]),
        (17, _) => e.fields(&[UdpSrc, UdpDst]),
        (132, _) => e.fields(&[SctpSrc, SctpDst]),
        (1, 0x0800) => {
            e.exact(Icmpv4Type);
            e.exact(Icmpv4Code);
        }
        (58, 0x86dd) => {
            e.exact(Icmpv6Type);
            e.exact(Icmpv6Code);
            if meets(e.m, Prereq::Nd) {
                e.exact(NdReserved);
                e.field(NdTarget);
                e.exact(NdOptionsType);
            }
            if meets(e.m, Prereq::NdSolicit) {
                e.field(NdSll);
            }
            if meets(e.m, Prereq::NdAdvert) {
                e.field(NdTll);
            }
        }
        _ => {}
    }
}

/// Writes the entries of a match: `version` 0 in NXM's preference, else a version's OXM.
fn put_entries(m: &Match, version: u8, cookie: Cookie, cookie_mask: Cookie) -> Vec<u8> {
    use FieldId::*;
    let mut e = Entries {
        w: Writer::new(),
        m,
        version,
        implied: false,
    };
    let (packet_type, packet_type_mask) = m.get(PacketType);
    if packet_type_mask != 0 && packet_type != 0 {
        e.field(PacketType);
    }
    e.field(DpHash);
    e.exact(RecircId);
    e.exact(ConjId);
    let (port, port_mask) = m.get(InPortOxm);
    if port_mask != 0 {
        if version > 0 {
            e.put(InPortOxm, port, None);
        } else {
            e.put(InPort, port & 0xffff, None);
        }
    }
    e.exact(ActsetOutput);
    e.fields(&[EthSrc, EthDst, EthType]);
    if version > 0 {
        let (tci, mask) = m.get(VlanTci);
        let (vid, vid_mask) = (tci & 0x1fff, mask & 0x1fff);
        if vid_mask == 0x1fff {
            e.put(VlanVid, vid, None);
        } else if vid_mask != 0 {
            e.put(VlanVid, vid, Some(vid_mask));
        }
        if vid != 0 && mask & 0xe000 != 0 {
            e.put(VlanPcp, tci >> 13, None);
        }
    } else {
        e.field(VlanTci);
    }
    let eth_type = match m.get(EthType) {
        (t, 0xffff) => t,
        _ => 0,
    };
    match eth_type {
        0x8847 | 0x8848 => {
            for f in [MplsTc, MplsBos, MplsTtl, MplsLabel] {
                e.exact(f);
            }
        }
        0x0800 | 0x86dd => put_ip(&mut e, eth_type),
        0x0806 | 0x8035 => {
            e.exact(ArpOp);
            e.fields(&[ArpSpa, ArpTpa, ArpSha, ArpTha]);
        }
        _ => {}
    }
    e.fields(&[
        TunId,
        TunFlags,
        TunSrc,
        TunDst,
        TunIpv6Src,
        TunIpv6Dst,
        TunGbpId,
        TunGbpFlags,
    ]);
    e.fields(&[TunErspanIdx, TunErspanVer, TunErspanDir, TunErspanHwid]);
    e.fields(&[TunGtpuFlags, TunGtpuMsgtype]);
    e.fields(&[
        NshFlags, NshTtl, NshMdtype, NshNp, NshSpi, NshSi, NshC1, NshC2, NshC3, NshC4,
    ]);
    let registers = if version < Version::Of15.wire() {
        (Reg0, Reg31)
    } else {
        (Xreg0, Xreg15)
    };
    for f in FieldId::all().filter(|f| registers.0 <= *f && *f <= registers.1) {
        e.field(f);
    }
    e.fields(&[
        PktMark, CtState, CtZone, CtMark, CtLabel, CtNwSrc, CtIpv6Src, CtNwDst, CtIpv6Dst,
    ]);
    if m.value().get(CtNwProto) != 0 {
        e.fields(&[CtNwProto, CtTpSrc, CtTpDst]);
    }
    e.field(Metadata);
    if cookie_mask.0 != 0 {
        let masked = cookie_mask.0 != u64::MAX;
        e.w.u32(1 << 16 | 30 << 9 | u32::from(masked) << 8 | if masked { 16 } else { 8 });
        e.w.u64(cookie.0 & cookie_mask.0);
        if masked {
            e.w.u64(cookie_mask.0);
        }
    }
    let implied = e.implied;
    let out = e.w.out;
    if packet_type_mask != 0 && packet_type == 0 && !implied {
        let mut first = Entries {
            w: Writer::new(),
            m,
            version,
            implied: false,
        };
        first.put(PacketType, 0, None);
        first.w.bytes(&out);
        return first.w.out;
    }
    out
}

/// Writes a bare list of entries in NXM, not padded.
pub fn encode_nxm(m: &Match, cookie: Cookie, cookie_mask: Cookie) -> Vec<u8> {
    put_entries(m, 0, cookie, cookie_mask)
}

/// Writes a list of entries as `version` has them, without frame or padding.
pub fn encode_oxm_entries(m: &Match, version: Version) -> Vec<u8> {
    put_entries(m, version.wire(), Cookie(0), Cookie(0))
}

/// Writes a framed and padded match of OpenFlow 1.2 or later.
pub fn encode_oxm_match(m: &Match, version: Version) -> Vec<u8> {
    let entries = put_entries(m, version.wire(), Cookie(0), Cookie(0));
    let mut w = Writer::new();
    w.u16(1);
    w.u16(u16::try_from(entries.len() + 4).unwrap_or(u16::MAX));
    w.bytes(&entries);
    w.pad8(0);
    w.out
}
