//! Which layers a rule's packets have for sure, by what it matches whole.
//!
//! The switch's fields are registers that other headers may fill too, or none; the NIC's are those of
//! a header. The two mean the same only in packets that have the header, so a field is matched or
//! written only by a rule that says so.

use hal::MatchField;
use packet::FieldId;

/// What a rule's packets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    eth_type: Option<u16>,
    protocol: Option<u8>,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const MPLS: [u16; 2] = [0x8847, 0x8848];
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

impl Layers {
    /// The layers of these fields.
    pub fn of(fields: &[MatchField]) -> Layers {
        let whole = |field: FieldId| {
            let wanted = fields.iter().find(|m| m.field == field);
            wanted.filter(|m| m.mask == field.full()).map(|m| m.value)
        };
        let eth_type = whole(FieldId::EthType).map(|v| v as u16);
        let is_ip = matches!(eth_type, Some(IPV4 | IPV6));
        Layers {
            eth_type,
            protocol: whole(FieldId::IpProto).filter(|_| is_ip).map(|v| v as u8),
        }
    }

    /// Whether the packets are IPv6.
    pub fn is_ipv6(self) -> bool {
        self.eth_type == Some(IPV6)
    }

    /// Whether all packets have the header that this field is of.
    pub fn have(self, field: FieldId) -> bool {
        use FieldId::*;
        let upper = |protocol: u8| self.protocol == Some(protocol);
        match field {
            Ipv4Src | Ipv4Dst => self.eth_type == Some(IPV4),
            Ipv6Src | Ipv6Dst | Ipv6Label => self.is_ipv6(),
            IpProto | IpDscp | IpEcn | IpTtl | IpFrag => {
                matches!(self.eth_type, Some(IPV4 | IPV6))
            }
            TcpSrc | TcpDst | TcpFlags => upper(TCP),
            UdpSrc | UdpDst => upper(UDP),
            Icmpv4Type | Icmpv4Code => self.eth_type == Some(IPV4) && upper(ICMP),
            Icmpv6Type | Icmpv6Code => self.is_ipv6() && upper(ICMPV6),
            MplsLabel | MplsTc | MplsBos | MplsTtl => {
                self.eth_type.is_some_and(|t| MPLS.contains(&t))
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_needs_the_header_that_it_is_of() {
        use FieldId::*;
        let layers = |fields: &[(FieldId, u128, u128)]| {
            let fields = fields.iter();
            let fields: Vec<MatchField> = fields
                .map(|&(field, value, mask)| MatchField { field, value, mask })
                .collect();
            Layers::of(&fields)
        };
        let tcp4 = layers(&[(EthType, 0x800, 0xffff), (IpProto, 6, 0xff)]);
        assert!(tcp4.have(Ipv4Src) && tcp4.have(TcpSrc) && tcp4.have(IpTtl) && tcp4.have(EthSrc));
        assert!(!tcp4.have(Ipv6Src) && !tcp4.have(UdpSrc) && !tcp4.have(Icmpv4Type));
        // ARP's operation stands in the register of IP's protocol.
        let arp = layers(&[(EthType, 0x806, 0xffff), (IpProto, 6, 0xff)]);
        assert!(!arp.have(IpProto) && !arp.have(TcpSrc));
        let half = layers(&[(EthType, 0x800, 0xff00), (IpProto, 6, 0xff)]);
        assert!(!half.have(Ipv4Src) && !half.have(TcpSrc));
        assert!(layers(&[(EthType, 0x86dd, 0xffff), (IpProto, 58, 0xff)]).have(Icmpv6Type));
    }
}
