//! Changes of headers: what is put in front of a frame, or taken off it.
//!
//! The host gives the bytes of a tunnel's headers; lengths and checksums in them are the
//! device's to fill in, frame by frame, and for VXLAN and Geneve so is the UDP source port, made
//! of what is inside so that the way through the network depends on it.

use super::Frame;
use super::parse::Parsed;
use crate::connectx::command::{Call, Outcome};
use crate::connectx::core::Core;
use crate::connectx::datapath::checksum;
use crate::connectx::objects::Kind;
use crate::connectx::syndrome::Syndrome;
use crate::switch::{Headers, kind, protocol};
use hal_mlx_prm::capability::{EswitchCapability, FlowTableCapability};
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::ReformatType;
use packet::FieldId;
use std::collections::BTreeSet;

const ETHERNET: usize = 14;

/// Headers to put in front.
#[derive(Clone, Debug)]
pub(in crate::connectx) struct Reformat {
    pub kind: ReformatType,
    data: Vec<u8>,
}

impl Core {
    /// ALLOC_PACKET_REFORMAT_CONTEXT.
    pub fn alloc_packet_reformat_context(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(AllocPacketReformatContextIn::CONTEXT);
        let kind = context.get(ReformatContext::REFORMAT_TYPE);
        let kind = ReformatType::of(kind).ok_or(Syndrome::UnknownReformat)?;
        let c = &self.capabilities;
        let most = c
            .get(EswitchCapability::MAX_ENCAP_HEADER_SIZE)
            .max(c.get(FlowTableCapability::MAX_ENCAP_HEADER_SIZE));
        let contexts = c
            .get(EswitchCapability::LOG_MAX_PACKET_REFORMAT_CONTEXT)
            .max(c.get(FlowTableCapability::LOG_MAX_PACKET_REFORMAT_CONTEXT));
        if self.steering.reformats.len() >> contexts.min(30) != 0 {
            return Err(Syndrome::ReformatsFull);
        }
        let size = usize::from(context.get(ReformatContext::REFORMAT_DATA_SIZE));
        let data = input.octets(AllocPacketReformatContextIn::DATA);
        let data = data.get(..size).ok_or(Syndrome::ReformatSize)?;
        let good = match kind {
            ReformatType::L2ToVxlan
            | ReformatType::L2ToNvgre
            | ReformatType::L2ToL2Tunnel
            | ReformatType::L2ToL3Tunnel => size > ETHERNET && size <= usize::from(most),
            ReformatType::L3TunnelToL2 => matches!(size, 14 | 18),
            ReformatType::InsertHeader | ReformatType::RemoveHeader => {
                return Err(Syndrome::UnknownReformat);
            }
        };
        if !good {
            return Err(Syndrome::ReformatSize);
        }
        let has = |bit| c.get(bit);
        match kind {
            ReformatType::L2ToVxlan if !has(EswitchCapability::VXLAN_ENCAP_DECAP) => {
                return Err(Syndrome::UnknownReformat);
            }
            ReformatType::L2ToNvgre if !has(EswitchCapability::NVGRE_ENCAP_DECAP) => {
                return Err(Syndrome::UnknownReformat);
            }
            _ => {}
        }
        let reformat = Reformat {
            kind,
            data: data.to_vec(),
        };
        let id = self.objects.create(Kind::Reformat, vec![])?;
        self.steering.reformats.insert(id, reformat);
        call.output()?
            .set(AllocPacketReformatContextOut::PACKET_REFORMAT_ID, id);
        Ok(())
    }

    /// DEALLOC_PACKET_REFORMAT_CONTEXT.
    pub fn dealloc_packet_reformat_context(&mut self, call: &mut Call<'_>) -> Outcome {
        let id = call
            .input()?
            .get(DeallocPacketReformatContextIn::PACKET_REFORMAT_ID);
        self.objects.destroy((Kind::Reformat, id))?;
        self.steering.reformats.remove(&id);
        Ok(())
    }
}

impl Reformat {
    /// Changes a frame's headers; false if the frame is not such that they could be.
    pub fn apply(&self, frame: &mut Frame, vxlan: &BTreeSet<u16>) -> bool {
        match self.kind {
            ReformatType::L2ToVxlan | ReformatType::L2ToNvgre | ReformatType::L2ToL2Tunnel => {
                let entropy = self.kind == ReformatType::L2ToVxlan;
                self.put_in_front(frame, 0, entropy);
                true
            }
            ReformatType::L2ToL3Tunnel => {
                let h = Headers::read_tags(frame.packet.frame(), 2);
                let Some(network) = h.network else {
                    return false;
                };
                self.put_in_front(frame, network, false);
                true
            }
            ReformatType::L3TunnelToL2 => {
                let parsed = Parsed::read(frame.packet.frame(), vxlan);
                let inside = parsed.inner.filter(|inside| !inside.ethernet);
                let Some(inside) = inside else { return false };
                let ip = inside.at + ETHERNET;
                let ethertype = inside.headers.get(FieldId::EthType) as u16;
                frame.packet.remove(0, ip);
                frame.packet.insert(0, self.data.len());
                let bytes = frame.packet.frame_mut();
                bytes[..self.data.len()].copy_from_slice(&self.data);
                bytes[self.data.len() - 2..self.data.len()]
                    .copy_from_slice(&ethertype.to_be_bytes());
                true
            }
            ReformatType::InsertHeader | ReformatType::RemoveHeader => false,
        }
    }

    /// Puts the headers in front of what is behind the first `cut` bytes.
    fn put_in_front(&self, frame: &mut Frame, cut: usize, entropy: bool) {
        let hash = checksum::mix(frame.packet.frame());
        frame.packet.remove(0, cut);
        frame.packet.insert(0, self.data.len());
        let bytes = frame.packet.frame_mut();
        bytes[..self.data.len()].copy_from_slice(&self.data);
        finish(bytes, entropy.then_some(hash));
    }
}

/// Fills lengths, checksums and, with a hash, the source port into the outermost headers.
fn finish(frame: &mut [u8], hash: Option<u32>) {
    let mut at = 12;
    let mut ethertype = half(frame, at);
    while matches!(ethertype, Some(kind::VLAN | kind::SERVICE_VLAN)) {
        at += 4;
        ethertype = half(frame, at);
    }
    let ip = at + 2;
    let all = frame.len();
    let (protocol, upper) = match ethertype {
        Some(kind::IPV4) => {
            let Some(first) = frame.get(ip) else { return };
            let upper = ip + usize::from(first & 0xf) * 4;
            put(frame, ip + 2, (all - ip) as u16);
            put(frame, ip + 10, 0);
            let Some(header) = frame.get(ip..upper) else {
                return;
            };
            let sum = checksum::finish(checksum::sum(header));
            put(frame, ip + 10, sum);
            (frame.get(ip + 9).copied(), upper)
        }
        Some(kind::IPV6) => {
            put(frame, ip + 4, all.saturating_sub(ip + 40) as u16);
            (frame.get(ip + 6).copied(), ip + 40)
        }
        _ => return,
    };
    if protocol == Some(protocol::UDP) {
        put(frame, upper + 4, all.saturating_sub(upper) as u16);
        if let Some(hash) = hash {
            // The dynamic range (RFC 7348 §5).
            put(frame, upper, 0xc000 | hash as u16 & 0x3fff);
        }
        put(frame, upper + 6, 0);
    }
}

fn half(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?))
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Takes a tunnel's headers off; false if there is no tunnel with an Ethernet header inside.
pub(super) fn decapsulate(frame: &mut Frame, vxlan: &BTreeSet<u16>) -> bool {
    let parsed = Parsed::read(frame.packet.frame(), vxlan);
    let inside = parsed.inner.filter(|inside| inside.ethernet);
    let Some(inside) = inside else { return false };
    frame.packet.remove(0, inside.at);
    true
}
