//! The fixed matches of OpenFlow 1.0 (§5.2.3) and 1.1 (§A.2.3).

use super::matching::drop_implied_packet_type;
use super::{NxmOptions, encode_oxm_match, pull_oxm_match};
use crate::error::{OfError, Result};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, Writer};
use packet::{FieldId, Match};

const IN_PORT: u32 = 1 << 0;
const DL_VLAN: u32 = 1 << 1;
const DL_SRC: u32 = 1 << 2;
const DL_DST: u32 = 1 << 3;
const DL_TYPE: u32 = 1 << 4;
const NW_PROTO: u32 = 1 << 5;
const TP_SRC: u32 = 1 << 6;
const TP_DST: u32 = 1 << 7;
const NW_SRC_SHIFT: u32 = 8;
const NW_DST_SHIFT: u32 = 14;
const DL_VLAN_PCP: u32 = 1 << 20;
const NW_TOS: u32 = 1 << 21;
/// All wildcards of 1.0.
pub(crate) const ALL10: u32 = (1 << 22) - 1;

fn netmask(wildcard_bits: u32) -> u32 {
    match wildcard_bits & 0x3f {
        n @ 0..32 => u32::MAX << n,
        _ => 0,
    }
}

fn mac_value(mac: [u8; 6]) -> u128 {
    mac.iter().fold(0, |v, b| v << 8 | u128::from(*b))
}

/// Reads OpenFlow 1.0's match. The second value tells whether it wants every field whole, which
/// gives a flow the highest priority.
pub(crate) fn pull_match10(r: &mut Reader<'_>) -> Result<(Match, bool)> {
    use FieldId::*;
    let mut m = Match::any();
    let wild = r.u32()? & ALL10;
    let in_port = r.u16()?;
    let src = r.mac()?;
    let dst = r.mac()?;
    let vlan = r.u16()?;
    let pcp = r.u8()?;
    r.skip(1)?;
    let eth_type = r.u16()?;
    let tos = r.u8()?;
    let proto = r.u8()?;
    r.skip(2)?;
    let (nw_src, nw_dst) = (r.u32()?, r.u32()?);
    let (tp_src, tp_dst) = (r.u16()?, r.u16()?);
    let has = |bit: u32| wild & bit == 0;
    if has(IN_PORT) {
        m.set(InPortOxm, u128::from(OfPort::from_u16(in_port).0));
    }
    if has(DL_SRC) {
        m.set(EthSrc, mac_value(src));
    }
    if has(DL_DST) {
        m.set(EthDst, mac_value(dst));
    }
    if has(DL_VLAN) && vlan == 0xffff {
        m.set_masked(VlanTci, 0, 0xffff);
    } else {
        let mut mask = 0;
        if has(DL_VLAN) {
            mask |= 0x1fff;
        }
        if has(DL_VLAN_PCP) {
            mask |= 0xf000;
        }
        if mask != 0 {
            let tci = u128::from(vlan & 0xfff | u16::from(pcp & 7) << 13 | 0x1000);
            m.set_masked(VlanTci, tci & mask, mask);
        }
    }
    if has(DL_TYPE) {
        m.set(EthType, u128::from(eth_type));
    }
    if has(NW_TOS) {
        m.set(IpDscp, u128::from(tos & 0xfc));
    }
    if has(NW_PROTO) {
        m.set(IpProto, u128::from(proto));
    }
    for (field, value, shift) in [
        (Ipv4Src, nw_src, NW_SRC_SHIFT),
        (Ipv4Dst, nw_dst, NW_DST_SHIFT),
    ] {
        let mask = netmask(wild >> shift);
        if mask != 0 {
            m.set_masked(field, u128::from(value & mask), u128::from(mask));
        }
    }
    if has(TP_SRC) {
        m.set(TcpSrc, u128::from(tp_src));
    }
    if has(TP_DST) {
        m.set(TcpDst, u128::from(tp_dst));
    }
    Ok((m, wild == 0))
}

/// Writes OpenFlow 1.0's match; what it cannot say is left out.
pub(crate) fn put_match10(w: &mut Writer, m: &Match) {
    use FieldId::*;
    let mut wild = 0;
    let mut any = |field: FieldId, bit: u32| {
        if m.mask().get(field) == 0 {
            wild |= bit;
        }
    };
    any(InPortOxm, IN_PORT);
    any(EthType, DL_TYPE);
    any(IpProto, NW_PROTO);
    any(IpDscp, NW_TOS);
    any(TcpSrc, TP_SRC);
    any(TcpDst, TP_DST);
    any(EthSrc, DL_SRC);
    any(EthDst, DL_DST);
    for (field, shift) in [(Ipv4Src, NW_SRC_SHIFT), (Ipv4Dst, NW_DST_SHIFT)] {
        let mask = m.mask().get(field) as u32;
        wild |= (32 - mask.leading_ones()) << shift;
    }
    let v = |field: FieldId| m.value().get(field);
    let (tci, tci_mask) = m.get(VlanTci);
    let (mut vlan, mut pcp) = (0u16, 0u8);
    if tci_mask == 0 {
        wild |= DL_VLAN | DL_VLAN_PCP;
    } else if tci_mask & 0x1000 != 0 && tci & 0x1000 == 0 {
        vlan = 0xffff;
    } else {
        if tci_mask & 0xfff == 0 {
            wild |= DL_VLAN;
        } else {
            vlan = (tci & 0xfff) as u16;
        }
        if tci_mask & 0xe000 == 0 {
            wild |= DL_VLAN_PCP;
        } else {
            pcp = (tci >> 13 & 7) as u8;
        }
    }
    w.u32(wild);
    w.u16((v(InPortOxm) & 0xffff) as u16);
    w.uint(v(EthSrc), 6);
    w.uint(v(EthDst), 6);
    w.u16(vlan);
    w.u8(pcp);
    w.u8(0);
    w.uint(v(EthType), 2);
    w.uint(v(IpDscp), 1);
    w.uint(v(IpProto), 1);
    w.zeros(2);
    w.uint(v(Ipv4Src), 4);
    w.uint(v(Ipv4Dst), 4);
    w.uint(v(TcpSrc), 2);
    w.uint(v(TcpDst), 2);
}

// OpenFlow 1.1's wildcards.
const W11_NW_TOS: u32 = 1 << 4;
const W11_NW_PROTO: u32 = 1 << 5;
const W11_TP_SRC: u32 = 1 << 6;
const W11_TP_DST: u32 = 1 << 7;
const W11_MPLS_LABEL: u32 = 1 << 8;
const W11_MPLS_TC: u32 = 1 << 9;
const W11_DL_VLAN: u32 = 1 << 1;
const W11_DL_VLAN_PCP: u32 = 1 << 2;
const W11_DL_TYPE: u32 = 1 << 3;

/// Bytes of OpenFlow 1.1's match.
pub(crate) const MATCH11_LEN: usize = 88;

fn pull_match11(r: &mut Reader<'_>) -> Result<Match> {
    use FieldId::*;
    let mut m = Match::any();
    let bad_value = || OfError::OFPBMC_BAD_VALUE;
    r.skip(4)?;
    let in_port = r.u32()?;
    let wild = r.u32()?;
    let (src, src_mask, dst, dst_mask) = (r.mac()?, r.mac()?, r.mac()?, r.mac()?);
    let vlan = r.u16()?;
    let pcp = r.u8()?;
    r.skip(1)?;
    let eth_type = r.u16()?;
    let tos = r.u8()?;
    let proto = r.u8()?;
    let (nw_src, nw_src_mask, nw_dst, nw_dst_mask) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
    let (tp_src, tp_dst) = (r.u16()?, r.u16()?);
    let label = r.u32()?;
    let tc = r.u8()?;
    r.skip(3)?;
    let (metadata, metadata_mask) = (r.u64()?, r.u64()?);
    let has = |bit: u32| wild & bit == 0;
    if has(IN_PORT) {
        let port = OfPort::from_u32(in_port).map_err(|_| bad_value())?;
        m.set(InPortOxm, u128::from(port.0));
    }
    let ones = EthSrc.full();
    for (field, value, inverse) in [(EthSrc, src, src_mask), (EthDst, dst, dst_mask)] {
        let mask = !mac_value(inverse) & ones;
        if mask != 0 {
            m.set_masked(field, mac_value(value) & mask, mask);
        }
    }
    if has(W11_DL_VLAN) {
        match vlan {
            0xffff => m.set_masked(VlanTci, 0, 0xffff),
            0xfffe => m.set_masked(VlanTci, 0x1000, 0x1000),
            v if v < 4096 => m.set(DlVlan, u128::from(v)),
            _ => return Err(bad_value().into()),
        }
        if vlan != 0xffff && has(W11_DL_VLAN_PCP) {
            if pcp > 7 {
                return Err(bad_value().into());
            }
            m.set(VlanPcp, u128::from(pcp));
        }
    }
    if has(W11_DL_TYPE) {
        m.set(EthType, u128::from(eth_type));
    }
    let is_type = |types: &[u16]| has(W11_DL_TYPE) && types.contains(&eth_type);
    let ipv4 = is_type(&[0x0800]);
    if ipv4 && has(W11_NW_TOS) {
        if tos & 3 != 0 {
            return Err(bad_value().into());
        }
        m.set(IpDscp, u128::from(tos));
    }
    if is_type(&[0x0800, 0x0806, 0x8035]) {
        if has(W11_NW_PROTO) {
            m.set(IpProto, u128::from(proto));
        }
        let pairs = [
            (Ipv4Src, nw_src, !nw_src_mask),
            (Ipv4Dst, nw_dst, !nw_dst_mask),
        ];
        for (field, value, mask) in pairs {
            if mask != 0 {
                m.set_masked(field, u128::from(value & mask), u128::from(mask));
            }
        }
    }
    if ipv4 && has(W11_NW_PROTO) {
        let ports = [(W11_TP_SRC, TcpSrc, tp_src), (W11_TP_DST, TcpDst, tp_dst)];
        for (bit, field, value) in ports {
            if !has(bit) {
                continue;
            }
            match proto {
                1 if value > 0xff => return Err(OfError::OFPBMC_BAD_FIELD.into()),
                1 | 6 | 17 | 132 => m.set(field, u128::from(value)),
                _ => {}
            }
        }
    }
    if is_type(&[0x8847, 0x8848]) {
        if has(W11_MPLS_LABEL) {
            m.set(MplsLabel, u128::from(label & 0xf_ffff));
        }
        if has(W11_MPLS_TC) {
            m.set(MplsTc, u128::from(tc & 7));
        }
    }
    if metadata_mask != u64::MAX {
        m.set_masked(
            Metadata,
            u128::from(metadata & !metadata_mask),
            u128::from(!metadata_mask),
        );
    }
    Ok(m)
}

fn put_match11(w: &mut Writer, m: &Match) {
    use FieldId::*;
    let v = |f: FieldId| m.value().get(f);
    let k = |f: FieldId| m.mask().get(f);
    let mut wild = 0;
    for (field, bit) in [
        (InPortOxm, IN_PORT),
        (EthType, W11_DL_TYPE),
        (IpDscp, W11_NW_TOS),
        (IpProto, W11_NW_PROTO),
        (TcpSrc, W11_TP_SRC),
        (TcpDst, W11_TP_DST),
        (MplsLabel, W11_MPLS_LABEL),
        (MplsTc, W11_MPLS_TC),
    ] {
        if k(field) == 0 {
            wild |= bit;
        }
    }
    let (tci, tci_mask) = m.get(VlanTci);
    let (mut vlan, mut pcp) = (0u16, 0u8);
    if tci_mask == 0 {
        wild |= W11_DL_VLAN | W11_DL_VLAN_PCP;
    } else if tci_mask & 0x1000 != 0 && tci & 0x1000 == 0 {
        vlan = 0xffff;
        wild |= W11_DL_VLAN_PCP;
    } else {
        vlan = if tci_mask & 0xfff == 0 {
            0xfffe
        } else {
            (tci & 0xfff) as u16
        };
        if tci_mask & 0xe000 == 0 {
            wild |= W11_DL_VLAN_PCP;
        } else {
            pcp = (tci >> 13 & 7) as u8;
        }
    }
    w.u16(0);
    w.u16(MATCH11_LEN as u16);
    w.uint(v(InPortOxm), 4);
    w.u32(wild);
    for f in [EthSrc, EthDst] {
        w.uint(v(f), 6);
        w.uint(!k(f) & f.full(), 6);
    }
    w.u16(vlan);
    w.u8(pcp);
    w.u8(0);
    w.uint(v(EthType), 2);
    w.uint(v(IpDscp), 1);
    w.uint(v(IpProto), 1);
    for f in [Ipv4Src, Ipv4Dst] {
        w.uint(v(f), 4);
        w.uint(!k(f) & f.full(), 4);
    }
    w.uint(v(TcpSrc), 2);
    w.uint(v(TcpDst), 2);
    w.uint(v(MplsLabel), 4);
    w.uint(v(MplsTc), 1);
    w.zeros(3);
    w.uint(v(Metadata), 8);
    w.uint(!k(Metadata) & Metadata.full(), 8);
}

/// Reads the match of OpenFlow 1.1 or later: the fixed one or OXM.
pub(crate) fn pull_match(r: &mut Reader<'_>) -> Result<Match> {
    let mut head = *r;
    let bad = |_| OfError::OFPBMC_BAD_LEN;
    let kind = head.u16().map_err(bad)?;
    let len = head.u16().map_err(bad)?;
    match kind {
        0 => {
            if usize::from(len) != MATCH11_LEN {
                return Err(OfError::OFPBMC_BAD_LEN.into());
            }
            let mut body = r.sub(MATCH11_LEN).map_err(bad)?;
            let mut m = pull_match11(&mut body)?;
            drop_implied_packet_type(&mut m);
            Ok(m)
        }
        1 => pull_oxm_match(r, NxmOptions::STRICT),
        _ => Err(OfError::OFPBMC_BAD_TYPE.into()),
    }
}

/// Writes the match of OpenFlow 1.1 (fixed) or later (OXM), padded.
pub(crate) fn put_match(w: &mut Writer, m: &Match, version: Version) {
    if version == Version::Of11 {
        put_match11(w, m);
    } else {
        w.bytes(&encode_oxm_match(m, version));
    }
}

/// Reads OpenFlow 1.0's match alone, as `parse-ofp10-match` does.
pub fn decode_match10(bytes: &[u8]) -> Result<Match> {
    Ok(pull_match10(&mut Reader::new(bytes))?.0)
}

/// Writes OpenFlow 1.0's match alone.
pub fn encode_match10(m: &Match) -> Vec<u8> {
    let mut w = Writer::new();
    put_match10(&mut w, m);
    w.out
}

/// Reads OpenFlow 1.1's match alone.
pub fn decode_match11(bytes: &[u8]) -> Result<Match> {
    pull_match11(&mut Reader::new(bytes))
}

/// Writes OpenFlow 1.1's match alone.
pub fn encode_match11(m: &Match) -> Vec<u8> {
    let mut w = Writer::new();
    put_match11(&mut w, m);
    w.out
}
