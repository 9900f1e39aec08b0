//! From a rule's match to what a flow group looks at and what an entry wants of it.
//!
//! The NIC's match and the switch's do not have the same words. A VLAN tag is here a register in
//! which one bit says that there is a tag, there two flags, one for each type of tag; fragments are
//! here two bits and there one; ports of TCP and of UDP are one register here and two there. What
//! cannot be said in the NIC's words is refused, never approximated.

use super::VportId;
use super::layers::Layers;
use hal::{MatchField, RecircId};
use hal_mlx_prm::context::criteria;
use hal_mlx_prm::context::{
    MatchHeaders, MatchMisc, MatchMisc2, MatchMisc3, MatchMpls, MatchParameters,
};
use hal_mlx_prm::{Bits, Described, Field, Nested, View};
use packet::FieldId;

/// [`MatchParameters`] with memory of its own.
pub type Parameters = View<MatchParameters, [u8; MatchParameters::SIZE]>;

/// The register in which the stage stands that a packet has been sent on to.
const STAGE_REGISTER: Field<MatchMisc2, u32> = MatchMisc2::METADATA_REG_C_3;

/// Which side of a match is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Which bits are looked at.
    Mask,
    /// What they have to be.
    Value,
}

/// What a rule wants of its packets.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The stage that they were sent on to.
    pub stage: RecircId,
    /// Their fields.
    pub fields: &'a [MatchField],
    /// The vport of the port that is among them; none if the device has no such port.
    pub ingress: Option<VportId>,
}

/// Bit of a VLAN register that says that there is a tag.
const TAGGED: u128 = 0x1000;
const CUSTOMER_TAG: u128 = 0x8100;
const SERVICE_TAG: u128 = 0x88a8;

/// The fields of one VLAN tag.
struct TagFields {
    customer: fn(&mut Writer<'_>, bool),
    service: fn(&mut Writer<'_>, bool),
    rest: fn(&mut Writer<'_>, u128, u128),
}

/// Writes one side of a match.
struct Writer<'a> {
    out: View<MatchParameters, &'a mut [u8]>,
    side: Side,
    sections: u8,
    looks_at_type: bool,
}

/// Writes one side of what a rule wants into memory that is zero; answers which sections there are.
///
/// # Errors
/// What of it the NIC has no words for, the same for both sides.
pub fn write(
    wanted: Wanted<'_>,
    side: Side,
    out: View<MatchParameters, &mut [u8]>,
) -> Result<u8, String> {
    let mut writer = Writer {
        out,
        side,
        sections: 0,
        looks_at_type: false,
    };
    let layers = Layers::of(wanted.fields);
    for wish in wanted.fields {
        if !layers.have(wish.field) {
            return Err(format!("{} without the header that has it", wish.field));
        }
        writer.field(wish, wanted.ingress)?;
    }
    let find = |f| wanted.fields.iter().find(|w| w.field == f);
    let (first, second) = (find(FieldId::VlanTci), find(FieldId::VlanTpid));
    writer.tag(first, second, &first_tag())?;
    let (first, second) = (find(FieldId::Vlan2Tci), find(FieldId::Vlan2Tpid));
    writer.tag(first, second, &second_tag())?;
    // The NIC's EtherType stands behind all tags, the switch's behind as many as it reads.
    if writer.looks_at_type && packet::vlan_limit() == 1 {
        writer.no_tag(&second_tag());
    }
    if wanted.stage.0 != 0 {
        writer.misc_2(STAGE_REGISTER, wanted.stage.0, u32::MAX);
    }
    Ok(writer.sections)
}

impl Writer<'_> {
    /// Looks at a field of the outer headers.
    fn outer<T: Bits>(&mut self, field: Field<MatchHeaders, T>, value: T, mask: T) {
        self.sections |= criteria::OUTER_HEADERS;
        self.add(MatchParameters::OUTER_HEADERS, field, value, mask);
    }

    fn misc<T: Bits>(&mut self, field: Field<MatchMisc, T>, value: T, mask: T) {
        self.sections |= criteria::MISC;
        self.add(MatchParameters::MISC, field, value, mask);
    }

    fn misc_2<T: Bits>(&mut self, field: Field<MatchMisc2, T>, value: T, mask: T) {
        self.sections |= criteria::MISC_2;
        self.add(MatchParameters::MISC_2, field, value, mask);
    }

    fn misc_3<T: Bits>(&mut self, field: Field<MatchMisc3, T>, value: T, mask: T) {
        self.sections |= criteria::MISC_3;
        self.add(MatchParameters::MISC_3, field, value, mask);
    }

    fn label<T: Bits>(&mut self, field: Field<MatchMpls, T>, value: T, mask: T) {
        self.sections |= criteria::MISC_2;
        let bits = self.pick(value, mask);
        let mut section = self.out.at_mut(MatchParameters::MISC_2);
        section
            .at_mut(MatchMisc2::OUTER_FIRST_MPLS)
            .set(field, bits);
    }

    fn add<L: Described, T: Bits>(
        &mut self,
        section: Nested<MatchParameters, L>,
        field: Field<L, T>,
        value: T,
        mask: T,
    ) {
        let bits = self.pick(value, mask);
        self.out.at_mut(section).set(field, bits);
    }

    fn pick<T>(&self, value: T, mask: T) -> T {
        match self.side {
            Side::Mask => mask,
            Side::Value => value,
        }
    }

    fn field(&mut self, wanted: &MatchField, ingress: Option<VportId>) -> Result<(), String> {
        use FieldId::*;
        let MatchField { field, value, mask } = *wanted;
        let whole = mask == field.full();
        let only_whole = || {
            let whole = whole.then_some(());
            whole.ok_or_else(|| format!("{field} is matched only whole"))
        };
        match field {
            // All that comes is Ethernet.
            PacketType if value == 0 => {}
            InPort | InPortOxm => {
                only_whole()?;
                let vport = ingress.ok_or_else(|| format!("port {value} is not the device's"))?;
                self.misc(MatchMisc::SOURCE_PORT, vport.0, u16::MAX);
            }
            EthSrc => self.outer(MatchHeaders::SMAC, value as u64, mask as u64),
            EthDst => self.outer(MatchHeaders::DMAC, value as u64, mask as u64),
            EthType => {
                only_whole()?;
                // Frames with a length instead of a type have none in the NIC's words.
                if value < 0x600 {
                    return Err("a frame without an EtherType".into());
                }
                if matches!(value, CUSTOMER_TAG | SERVICE_TAG) {
                    return Err("a VLAN tag as what is behind the tags".into());
                }
                self.looks_at_type = true;
                self.outer(MatchHeaders::ETHERTYPE, value as u16, u16::MAX);
            }
            VlanTci | VlanTpid | Vlan2Tci | Vlan2Tpid => {}
            Ipv4Src => self.outer(MatchHeaders::SRC_IP, value, mask),
            Ipv4Dst => self.outer(MatchHeaders::DST_IP, value, mask),
            Ipv6Src => self.outer(MatchHeaders::SRC_IP, value, mask),
            Ipv6Dst => self.outer(MatchHeaders::DST_IP, value, mask),
            Ipv6Label => {
                self.misc(MatchMisc::OUTER_IPV6_FLOW_LABEL, value as u32, mask as u32);
            }
            IpProto => self.outer(MatchHeaders::IP_PROTOCOL, value as u8, mask as u8),
            IpDscp => {
                self.outer(MatchHeaders::IP_DSCP, (value >> 2) as u8, (mask >> 2) as u8);
            }
            IpEcn => self.outer(MatchHeaders::IP_ECN, value as u8, mask as u8),
            IpTtl => self.outer(MatchHeaders::TTL_HOPLIMIT, value as u8, mask as u8),
            IpFrag => match (value, mask & 3) {
                (0, 1 | 3) => self.outer(MatchHeaders::FRAG, false, true),
                (1, 1) => self.outer(MatchHeaders::FRAG, true, true),
                _ => return Err("first and later fragments are one to the device".into()),
            },
            TcpFlags if mask >> 9 != 0 => {
                return Err("only the lowest nine flags of TCP are matched".into());
            }
            TcpFlags => self.outer(MatchHeaders::TCP_FLAGS, value as u16, mask as u16),
            TcpSrc => self.outer(MatchHeaders::TCP_SPORT, value as u16, mask as u16),
            TcpDst => self.outer(MatchHeaders::TCP_DPORT, value as u16, mask as u16),
            UdpSrc => self.outer(MatchHeaders::UDP_SPORT, value as u16, mask as u16),
            UdpDst => self.outer(MatchHeaders::UDP_DPORT, value as u16, mask as u16),
            Icmpv4Type => self.misc_3(MatchMisc3::ICMP_TYPE, value as u8, mask as u8),
            Icmpv4Code => self.misc_3(MatchMisc3::ICMP_CODE, value as u8, mask as u8),
            Icmpv6Type => self.misc_3(MatchMisc3::ICMPV6_TYPE, value as u8, mask as u8),
            Icmpv6Code => self.misc_3(MatchMisc3::ICMPV6_CODE, value as u8, mask as u8),
            MplsLabel => self.label(MatchMpls::LABEL, value as u32, mask as u32),
            MplsTc => self.label(MatchMpls::EXP, value as u8, mask as u8),
            MplsBos => self.label(MatchMpls::BOS, value != 0, mask != 0),
            MplsTtl => self.label(MatchMpls::TTL, value as u8, mask as u8),
            _ => return Err(format!("{field} is not matched")),
        }
        Ok(())
    }

    /// There is no such tag.
    fn no_tag(&mut self, fields: &TagFields) {
        (fields.customer)(self, false);
        (fields.service)(self, false);
    }

    /// A VLAN tag: none, or one of a type.
    fn tag(
        &mut self,
        control: Option<&MatchField>,
        kind: Option<&MatchField>,
        fields: &TagFields,
    ) -> Result<(), String> {
        let (value, mask) = control.map_or((0, 0), |c| (c.value, c.mask));
        let kind = match kind {
            None => None,
            Some(kind) if kind.mask == kind.field.full() => Some(kind.value),
            Some(_) => return Err("a part of a VLAN tag's type".into()),
        };
        let tagged = (mask & TAGGED != 0).then_some(value & TAGGED != 0);
        match (tagged, kind) {
            (None, None) if mask == 0 => Ok(()),
            // No tag: then there is neither a type nor anything else of it.
            (None | Some(false), Some(0)) | (Some(false), None) => {
                if value & mask != 0 {
                    return Err("bits of a VLAN tag that is not there".into());
                }
                self.no_tag(fields);
                Ok(())
            }
            (None | Some(true), Some(CUSTOMER_TAG)) => {
                (fields.customer)(self, true);
                (fields.rest)(self, value, mask);
                Ok(())
            }
            (None | Some(true), Some(SERVICE_TAG)) => {
                (fields.service)(self, true);
                (fields.rest)(self, value, mask);
                Ok(())
            }
            (_, Some(kind)) => Err(format!("a VLAN tag of type {kind:#06x}")),
            (_, None) => Err("a VLAN tag of whichever type".into()),
        }
    }
}

fn first_tag() -> TagFields {
    TagFields {
        customer: |m, v| m.outer(MatchHeaders::CVLAN_TAG, v, true),
        service: |m, v| m.outer(MatchHeaders::SVLAN_TAG, v, true),
        rest: |m, value, mask| {
            m.outer(
                MatchHeaders::FIRST_VID,
                value as u16 & 0xfff,
                mask as u16 & 0xfff,
            );
            m.outer(
                MatchHeaders::FIRST_PRIO,
                (value >> 13) as u8,
                (mask >> 13) as u8,
            );
        },
    }
}

fn second_tag() -> TagFields {
    TagFields {
        customer: |m, v| m.misc(MatchMisc::OUTER_SECOND_CVLAN_TAG, v, true),
        service: |m, v| m.misc(MatchMisc::OUTER_SECOND_SVLAN_TAG, v, true),
        rest: |m, value, mask| {
            let (vid, vid_mask) = (value as u16 & 0xfff, mask as u16 & 0xfff);
            m.misc(MatchMisc::OUTER_SECOND_VID, vid, vid_mask);
            let (prio, prio_mask) = ((value >> 13) as u8, (mask >> 13) as u8);
            m.misc(MatchMisc::OUTER_SECOND_PRIO, prio, prio_mask);
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields with values and masks.
    type Fields = &'static [(FieldId, u128, u128)];

    fn said(fields: Fields) -> Result<String, String> {
        let fields = fields.iter();
        let fields: Vec<MatchField> = fields
            .map(|&(field, value, mask)| MatchField { field, value, mask })
            .collect();
        let in_port = fields.iter().find(|f| f.field == FieldId::InPort);
        let wanted = Wanted {
            stage: RecircId(0),
            fields: &fields,
            ingress: in_port.filter(|f| f.value == 7).map(|_| VportId(3)),
        };
        let side = |side| {
            let mut memory = [0; MatchParameters::SIZE];
            let out = View::new(&mut memory[..]).unwrap();
            let sections = write(wanted, side, out)?;
            let written: Parameters = View::new(memory).unwrap();
            Ok::<_, String>((sections, format!("{written:?}")))
        };
        let (value, mask) = (side(Side::Value)?, side(Side::Mask)?);
        assert_eq!(value.0, mask.0);
        Ok(format!("{:#x} {} / {}", value.0, value.1, mask.1))
    }

    #[test]
    fn fields_have_their_words() {
        use FieldId::*;
        packet::set_vlan_limit(2);
        let cases: [(Fields, &str); 9] = [
            (
                &[(PacketType, 0, u128::MAX)],
                "0x0 MatchParameters / MatchParameters",
            ),
            (
                &[
                    (InPort, 7, 0xffff),
                    (EthSrc, 0x0200_0000_0000, 0xff00_0000_0000),
                ],
                "0x3 MatchParameters { OUTER_HEADERS: MatchHeaders { SMAC: 0x20000000000 }, MISC: \
                 MatchMisc { SOURCE_PORT: 0x3 } } / MatchParameters { OUTER_HEADERS: MatchHeaders { \
                 SMAC: 0xff0000000000 }, MISC: MatchMisc { SOURCE_PORT: 0xffff } }",
            ),
            (
                &[(VlanTci, 0, 0xffff), (VlanTpid, 0, 0xffff)],
                "0x1 MatchParameters / MatchParameters { OUTER_HEADERS: MatchHeaders { CVLAN_TAG: 0x1, \
                 SVLAN_TAG: 0x1 } }",
            ),
            (
                &[(VlanTci, 0x3064, 0xffff), (VlanTpid, 0x8100, 0xffff)],
                "0x1 MatchParameters { OUTER_HEADERS: MatchHeaders { FIRST_PRIO: 0x1, FIRST_VID: 0x64, \
                 CVLAN_TAG: 0x1 } } / MatchParameters { OUTER_HEADERS: MatchHeaders { FIRST_PRIO: 0x7, \
                 FIRST_VID: 0xfff, CVLAN_TAG: 0x1 } }",
            ),
            (
                &[(Vlan2Tci, 0x1005, 0x1fff), (Vlan2Tpid, 0x88a8, 0xffff)],
                "0x2 MatchParameters { MISC: MatchMisc { OUTER_SECOND_VID: 0x5, OUTER_SECOND_SVLAN_TAG: \
                 0x1 } } / MatchParameters { MISC: MatchMisc { OUTER_SECOND_VID: 0xfff, \
                 OUTER_SECOND_SVLAN_TAG: 0x1 } }",
            ),
            (
                &[
                    (EthType, 0x800, 0xffff),
                    (Ipv4Dst, 0x0a00_0000, 0xff00_0000),
                    (IpFrag, 0, 3),
                    (IpDscp, 0x20, 0xfc),
                ],
                "0x1 MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: 0x800, IP_DSCP: 0x8, \
                 DST_IP: 0xa000000 } } / MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: \
                 0xffff, IP_DSCP: 0x3f, FRAG: 0x1, DST_IP: 0xff000000 } }",
            ),
            (
                &[
                    (EthType, 0x800, 0xffff),
                    (IpProto, 17, 0xff),
                    (UdpDst, 53, 0xffff),
                ],
                "0x1 MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: 0x800, IP_PROTOCOL: 0x11, \
                 UDP_DPORT: 0x35 } } / MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: 0xffff, \
                 IP_PROTOCOL: 0xff, UDP_DPORT: 0xffff } }",
            ),
            (
                &[
                    (EthType, 0x800, 0xffff),
                    (IpProto, 1, 0xff),
                    (Icmpv4Type, 8, 0xff),
                ],
                "0x11 MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: 0x800, IP_PROTOCOL: 0x1 \
                 }, MISC_3: MatchMisc3 { ICMP_TYPE: 0x8 } } / MatchParameters { OUTER_HEADERS: \
                 MatchHeaders { ETHERTYPE: 0xffff, IP_PROTOCOL: 0xff }, MISC_3: MatchMisc3 { ICMP_TYPE: \
                 0xff } }",
            ),
            (
                &[
                    (EthType, 0x8847, 0xffff),
                    (MplsLabel, 5, 0xfffff),
                    (MplsBos, 1, 1),
                ],
                "0x9 MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: 0x8847 }, MISC_2: MatchMisc2 { OUTER_FIRST_MPLS: MatchMpls { LABEL: 0x5, \
                 BOS: 0x1 } } } / MatchParameters { OUTER_HEADERS: MatchHeaders { ETHERTYPE: 0xffff }, MISC_2: MatchMisc2 { OUTER_FIRST_MPLS: MatchMpls { \
                 LABEL: 0xfffff, BOS: 0x1 } } }",
            ),
        ];
        for (matches, wanted) in cases {
            assert_eq!(said(matches).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn where_one_tag_is_read_a_packet_with_two_is_another() {
        packet::set_vlan_limit(1);
        let said = said(&[(FieldId::EthType, 0x806, 0xffff)]).unwrap();
        packet::set_vlan_limit(2);
        assert!(said.starts_with("0x3 "), "{said}");
        assert!(
            said.ends_with("OUTER_SECOND_CVLAN_TAG: 0x1, OUTER_SECOND_SVLAN_TAG: 0x1 } }"),
            "{said}"
        );
    }

    #[test]
    fn what_has_no_words_is_refused() {
        use FieldId::*;
        let cases: [(Fields, &str); 11] = [
            (&[(InPort, 8, 0xffff)], "port 8 is not the device's"),
            (&[(InPort, 7, 0xff)], "matched only whole"),
            (&[(EthType, 0x5ff, 0xffff)], "without an EtherType"),
            (&[(EthType, 0x8100, 0xffff)], "behind the tags"),
            (&[(VlanTci, 0x1064, 0xffff)], "whichever type"),
            (&[(VlanTci, 0x64, 0x0fff)], "whichever type"),
            (
                &[(VlanTci, 0x1064, 0xffff), (VlanTpid, 0x9100, 0xffff)],
                "0x9100",
            ),
            (&[(EthType, 0x86dd, 0xffff), (IpFrag, 3, 3)], "fragments"),
            (
                &[(EthType, 0x806, 0xffff), (IpProto, 6, 0xff)],
                "without the header",
            ),
            (
                &[(EthType, 0x800, 0xffff), (TcpSrc, 6, 0xff)],
                "without the header",
            ),
            (&[(ArpOp, 1, 0xff)], "is not matched"),
        ];
        for (matches, word) in cases {
            let refused = said(matches).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
