//! A frame in one line.

use crate::text::{DEFAULT_PRIORITY, Names, format_match};
use packet::{FieldId, FlowState, Match, PacketKey, parse_frame};

/// All headers that a packet has, as a match of exactly them.
fn whole(state: &FlowState) -> Match {
    use FieldId::*;
    let v = |f: FieldId| state.get(f);
    let mut m = Match::any();
    let mut exact = |fields: &[FieldId]| {
        for f in fields {
            m.set_masked(*f, v(*f), f.full());
        }
    };
    exact(&[EthSrc, EthDst, EthType]);
    match v(EthType) {
        0x0806 | 0x8035 => exact(&[IpProto, ArpSpa, ArpTpa, ArpSha, ArpTha]),
        0x0800 => exact(&[IpProto, Ipv4Src, Ipv4Dst, IpDscp, IpEcn, IpTtl, IpFrag]),
        0x86dd => exact(&[
            IpProto, Ipv6Src, Ipv6Dst, Ipv6Label, IpDscp, IpEcn, IpTtl, IpFrag,
        ]),
        _ => {}
    }
    if has_transport(state) {
        match v(IpProto) {
            6 => exact(&[TcpSrc, TcpDst, TcpFlags]),
            17 | 132 | 1 => exact(&[TcpSrc, TcpDst]),
            58 => {
                exact(&[TcpSrc, TcpDst]);
                if matches!(v(TcpSrc), 135 | 136) {
                    exact(&[NdTarget, NdSll, NdTll]);
                }
            }
            _ => {}
        }
    }
    m.set_stacks(state);
    m
}

/// Whether a packet can have a transport header.
fn has_transport(state: &FlowState) -> bool {
    let later = state.get(FieldId::IpFrag) & 2 != 0;
    matches!(state.get(FieldId::EthType), 0x0800 | 0x86dd) && !later
}

/// A packet's headers and where it came in, in one line without an end.
pub fn format_state(state: &FlowState) -> String {
    let mut m = whole(state);
    m.set(FieldId::InPortOxm, state.get(FieldId::InPortOxm));
    format_match(&m, &Names::none(), DEFAULT_PRIORITY)
}

/// A frame's headers as a match of exactly them, with its transport checksum; a line.
pub fn format_packet(frame: &[u8]) -> String {
    let mut key = PacketKey::EMPTY;
    let layers = parse_frame(frame, &packet::Metadata::default(), &mut key);
    let state = FlowState::from_key(&key);
    let m = whole(&state);
    let proto = state.get(FieldId::IpProto);
    let mut s = format_match(&m, &Names::none(), DEFAULT_PRIORITY);
    if let (true, Some(l4)) = (has_transport(&state), layers.transport) {
        let transport = frame.get(usize::from(l4)..).unwrap_or(&[]);
        let word = |at: usize| {
            transport
                .get(at..at + 2)
                .map(|b| u16::from_be_bytes([b[0], b[1]]))
        };
        let sum = match proto {
            6 if transport.len() >= 20 => word(16).map(|n| format!(" tcp_csum:{n:x}")),
            17 if transport.len() >= 8 => word(6).map(|n| format!(" udp_csum:{n:x}")),
            1 if transport.len() >= 8 => word(2).map(|n| format!(" icmp_csum:{n:x}")),
            58 if transport.len() >= 4 => word(2).map(|n| format!(" icmp6_csum:{n:x}")),
            132 if transport.len() >= 12 => word(8)
                .zip(word(10))
                .map(|(a, b)| format!(" sctp_csum:{:x}", u32::from(a) << 16 | u32::from(b))),
            _ => None,
        };
        s.push_str(&sum.unwrap_or_default());
    }
    s.push('\n');
    s
}
