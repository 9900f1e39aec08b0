//! From a key to bytes: a packet that has the fields of a flow.

use crate::checksum;
use crate::frame::Packet;
use crate::key::FlowState;
use crate::layout::{MPLS_LSE, NSH_C};
use crate::parse::{ethertype, frag, ipproto};
use crate::table::FieldId;

/// Makes a frame with the fields of `state`; a transport header is followed by `payload` bytes
/// that count up from zero. Lengths and checksums are right. What the frame cannot carry
/// (metadata, registers) is left out.
pub fn compose(state: &FlowState, payload: usize) -> Packet {
    let payload: Vec<u8> = (0..payload).map(|i| i as u8).collect();
    compose_with(state, &payload)
}

/// The same with these bytes behind the transport header.
pub fn compose_with(state: &FlowState, payload: &[u8]) -> Packet {
    let mut b = Builder {
        out: Vec::with_capacity(128 + payload.len()),
        state,
    };
    b.ethernet(payload);
    Packet::from_frame(&b.out)
}

struct Builder<'a> {
    out: Vec<u8>,
    state: &'a FlowState,
}

impl Builder<'_> {
    fn get(&self, field: FieldId) -> u128 {
        self.state.get(field)
    }

    /// Appends the low `n` bytes of `value`, most significant first.
    fn put(&mut self, value: u128, n: usize) {
        self.out.extend_from_slice(&value.to_be_bytes()[16 - n..]);
    }

    fn field(&mut self, field: FieldId, n: usize) {
        let value = self.get(field);
        self.put(value, n);
    }

    fn payload(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn ethernet(&mut self, payload: &[u8]) {
        self.field(FieldId::EthDst, 6);
        self.field(FieldId::EthSrc, 6);
        let tags = [
            (FieldId::VlanTpid, FieldId::VlanTci),
            (FieldId::Vlan2Tpid, FieldId::Vlan2Tci),
        ];
        let tags = tags.map(|(tpid, tci)| (self.get(tpid), self.get(tci)));
        let present = u128::from(crate::VLAN_PRESENT);
        for (tpid, tci) in tags.into_iter().take_while(|(_, tci)| tci & present != 0) {
            let default = ethertype::VLAN.into();
            self.put(if tpid == 0 { default } else { tpid }, 2);
            self.put(tci & !present, 2);
        }
        let eth_type = self.get(FieldId::EthType) as u16;
        if eth_type == ethertype::NONE {
            // A bare 802.2 frame: the length of what follows, then a header for nobody.
            let llc = [0x42, 0x42, 0x03];
            self.put((payload.len() + llc.len()) as u128 & 0x5ff, 2);
            self.out.extend_from_slice(&llc);
            self.payload(payload);
            return;
        }
        self.put(eth_type.into(), 2);
        match eth_type {
            ethertype::IPV4 => self.ipv4(payload),
            ethertype::IPV6 => self.ipv6(payload),
            ethertype::ARP | ethertype::RARP => self.arp(),
            ethertype::MPLS | ethertype::MPLS_MULTICAST => self.mpls(payload),
            ethertype::NSH => self.nsh(payload),
            _ => self.payload(payload),
        }
    }

    fn ipv4(&mut self, payload: &[u8]) {
        let at = self.out.len();
        self.put(0x45, 1);
        let tos = crate::layout::NW_TOS.get(&self.state.words);
        self.put(tos, 1);
        self.put(0, 4);
        let frags = self.get(FieldId::IpFrag) as u8;
        // More fragments follow; all but the first have an offset.
        let word = match (frags & frag::ANY != 0, frags & frag::LATER != 0) {
            (_, true) => 0x2000 | 100,
            (true, false) => 0x2000,
            _ => 0,
        };
        self.put(word, 2);
        self.field(FieldId::IpTtl, 1);
        self.field(FieldId::IpProto, 1);
        self.put(0, 2);
        self.field(FieldId::Ipv4Src, 4);
        self.field(FieldId::Ipv4Dst, 4);
        self.transport(payload, at + 12..at + 20, frags & frag::LATER != 0);
        let len = self.out.len() - at;
        self.patch(at + 2, len as u16);
        let sum = checksum::checksum(&self.out[at..at + 20]);
        self.patch(at + 10, sum);
    }

    fn ipv6(&mut self, payload: &[u8]) {
        let at = self.out.len();
        let tos = crate::layout::NW_TOS.get(&self.state.words);
        self.put(6 << 28 | tos << 20 | self.get(FieldId::Ipv6Label), 4);
        self.put(0, 2);
        let frags = self.get(FieldId::IpFrag) as u8;
        if frags & frag::ANY != 0 {
            self.put(44, 1);
        } else {
            self.field(FieldId::IpProto, 1);
        }
        self.field(FieldId::IpTtl, 1);
        self.field(FieldId::Ipv6Src, 16);
        self.field(FieldId::Ipv6Dst, 16);
        if frags & frag::ANY != 0 {
            self.field(FieldId::IpProto, 1);
            self.put(0, 1);
            self.put(
                if frags & frag::LATER != 0 {
                    100 << 3
                } else {
                    1
                },
                2,
            );
            self.put(0, 4);
        }
        self.transport(payload, at + 8..at + 40, frags & frag::LATER != 0);
        let len = self.out.len() - at - 40;
        self.patch(at + 4, len as u16);
    }

    fn transport(&mut self, payload: &[u8], addresses: std::ops::Range<usize>, later: bool) {
        let proto = self.get(FieldId::IpProto) as u8;
        let at = self.out.len();
        let v6 = addresses.len() == 32;
        if later {
            return self.payload(payload);
        }
        let sum_at = match proto {
            ipproto::TCP => {
                self.field(FieldId::TcpSrc, 2);
                self.field(FieldId::TcpDst, 2);
                self.put(0, 8);
                let flags = self.get(FieldId::TcpFlags);
                self.put(5 << 12 | flags, 2);
                self.put(0, 6);
                self.payload(payload);
                16
            }
            ipproto::UDP => {
                self.field(FieldId::UdpSrc, 2);
                self.field(FieldId::UdpDst, 2);
                self.put((8 + payload.len()) as u128 & 0xffff, 2);
                self.put(0, 2);
                self.payload(payload);
                6
            }
            ipproto::SCTP => {
                self.field(FieldId::SctpSrc, 2);
                self.field(FieldId::SctpDst, 2);
                self.put(0, 8);
                self.payload(payload);
                let sum = crate::edit::sctp_checksum(&self.out[at..]);
                return self.out[at + 8..at + 12].copy_from_slice(&sum);
            }
            ipproto::ICMP if !v6 => {
                self.field(FieldId::Icmpv4Type, 1);
                self.field(FieldId::Icmpv4Code, 1);
                self.put(0, 6);
                self.payload(payload);
                let sum = checksum::checksum(&self.out[at..]);
                return self.patch(at + 2, sum);
            }
            ipproto::IGMP if !v6 => {
                self.put(crate::layout::TP_SRC.get(&self.state.words), 1);
                self.put(crate::layout::TP_DST.get(&self.state.words), 1);
                self.put(0, 2);
                self.put(crate::layout::ND_RESERVED.get(&self.state.words), 4);
                self.payload(payload);
                let sum = checksum::checksum(&self.out[at..]);
                return self.patch(at + 2, sum);
            }
            ipproto::ICMPV6 if v6 => {
                self.icmpv6(payload);
                2
            }
            _ => return self.payload(payload),
        };
        let len = (self.out.len() - at) as u32;
        let addresses = checksum::pseudo_header(&self.out[addresses], proto, len);
        let sum =
            checksum::finish(addresses + u32::from(checksum::fold(checksum::sum(&self.out[at..]))));
        let sum = if sum == 0 && proto == ipproto::UDP {
            0xffff
        } else {
            sum
        };
        self.patch(at + sum_at, sum);
    }

    fn icmpv6(&mut self, payload: &[u8]) {
        let (kind, code) = (self.get(FieldId::Icmpv6Type), self.get(FieldId::Icmpv6Code));
        self.put(kind, 1);
        self.put(code, 1);
        self.put(0, 2);
        if !matches!((kind, code), (135 | 136, 0)) {
            self.put(0, 4);
            return self.payload(payload);
        }
        self.field(FieldId::NdReserved, 4);
        self.field(FieldId::NdTarget, 16);
        for (option, field) in [(1, FieldId::NdSll), (2, FieldId::NdTll)] {
            if self.get(field) != 0 {
                self.put(option << 8 | 1, 2);
                self.field(field, 6);
            }
        }
    }

    fn arp(&mut self) {
        self.put(0x0001_0800_0604, 6);
        self.field(FieldId::ArpOp, 2);
        self.field(FieldId::ArpSha, 6);
        self.field(FieldId::ArpSpa, 4);
        self.field(FieldId::ArpTha, 6);
        self.field(FieldId::ArpTpa, 4);
    }

    fn mpls(&mut self, payload: &[u8]) {
        let lse = MPLS_LSE.map(|slot| slot.get(&self.state.words));
        for label in lse {
            self.put(label, 4);
            if label & 0x100 != 0 {
                break;
            }
        }
        self.payload(payload);
    }

    fn nsh(&mut self, payload: &[u8]) {
        let (ttl, flags) = (self.get(FieldId::NshTtl), self.get(FieldId::NshFlags));
        let mdtype = self.get(FieldId::NshMdtype);
        let words = if mdtype == 1 { 6 } else { 2 };
        self.put((flags & 3) << 12 | (ttl & 0x3f) << 6 | words, 2);
        self.put(mdtype, 1);
        self.field(FieldId::NshNp, 1);
        self.put(self.get(FieldId::NshSpi) << 8 | self.get(FieldId::NshSi), 4);
        if mdtype == 1 {
            for slot in NSH_C {
                self.put(slot.get(&self.state.words), 4);
            }
        }
        self.payload(payload);
    }

    fn patch(&mut self, at: usize, value: u16) {
        if let Some(bytes) = self.out.get_mut(at..at + 2) {
            bytes.copy_from_slice(&value.to_be_bytes());
        }
    }
}
