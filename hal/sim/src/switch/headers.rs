//! What the embedded switch reads of a frame: its own parser and its own match registers.
//!
//! Registers are shared as a NIC shares them: one pair for IPv4's and ARP's addresses, one pair
//! for ports and ICMP's type and code. Which header filled them is for the Ethernet type and the
//! protocol to say, and a rule that cares matches those too. A header that is cut short, or whose
//! length lies, ends the reading there; what was read before stands.
//!
//! Header layouts come from `etherparse`'s slices. Where those judge more than a switch does (an
//! IP header's version that is not the one the Ethernet type promised) the slice gets a copy in
//! which that nibble is right.

use etherparse::{
    Ethernet2HeaderSlice, Icmpv6Slice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, SingleVlanHeaderSlice, TcpHeaderSlice, UdpHeaderSlice,
};
use packet::FieldId;

pub(crate) mod kind {
    //! Ethernet types.
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const SERVICE_VLAN: u16 = 0x88a8;
    pub const NSH: u16 = 0x894f;
    /// For an 802.2 frame that names no type.
    pub const NONE: u16 = 0x05ff;
}

pub(crate) mod protocol {
    //! IP protocols.
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// More bytes after a packet than this say that its length is not to be trusted.
const MAX_PADDING: usize = 0xffff;
/// The bit of a VLAN register that says that there is a tag (on the wire: drop eligible).
const TAGGED: u16 = 0x1000;
/// The bit of an MPLS label that says that it is the last.
const BOTTOM: u32 = 0x100;
const FRAGMENT: u8 = 1;
const LATER_FRAGMENT: u8 = 2;

/// The match registers, and where the headers stand that filled them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The port of entry as the datapath numbers it.
    pub in_port: u32,
    /// Linux's packet mark: zero on entry, written by steps.
    pub mark: u32,
    /// Linux's queueing priority, likewise.
    pub priority: u32,
    eth_dst: u64,
    eth_src: u64,
    eth_type: u16,
    /// VLAN tags and MPLS labels, the outermost first.
    tags: [Tag; 2],
    labels: [u32; 3],
    source: u32,
    destination: u32,
    source6: u128,
    destination6: u128,
    flow_label: u32,
    fragment: u8,
    tos: u8,
    ttl: u8,
    protocol: u8,
    target: u128,
    link_source: u64,
    link_target: u64,
    /// TCP's flags, or the type of neighbour discovery's last address option.
    flags: u16,
    upper_source: u16,
    upper_destination: u16,
    /// Neighbour discovery's flags, or an IGMP group.
    upper_word: u32,
    nsh: Nsh,
    /// Where the network header begins; absent in a frame without a type.
    pub network: Option<usize>,
    /// Where the transport header begins; absent in later fragments too.
    pub transport: Option<usize>,
    /// The protocol of what begins at `transport`.
    pub upper: u8,
    /// Bytes behind the network packet's end.
    pub padding: usize,
}

/// A VLAN tag: its type and its priority, [`TAGGED`] and number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tag {
    kind: u16,
    control: u16,
}

/// Network service header (RFC 8300).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Nsh {
    flags: u8,
    ttl: u8,
    metadata: u8,
    next: u8,
    path: u32,
    context: [u32; 4],
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |n, b| n << 8 | u128::from(*b))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| number(b) as u32)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| number(b) as u16)
}

impl Headers {
    /// Reads a frame, with as many tags as the process has them read: a rule's Ethernet type is
    /// what stands behind those. Metadata is zero and for the caller to fill in.
    pub fn read(frame: &[u8]) -> Headers {
        Headers::read_tags(frame, packet::vlan_limit())
    }

    /// Reads a frame with at most so many tags, of the two that there are registers for.
    pub fn read_tags(frame: &[u8], limit: usize) -> Headers {
        let mut h = Headers::default();
        h.ethernet(frame, limit);
        h
    }

    /// The value of a field of the field table. Fields that the switch does not have, such as
    /// those of tunnels and connection tracking, are zero in every packet.
    pub fn get(&self, field: FieldId) -> u128 {
        use FieldId::*;
        match field {
            InPort => (self.in_port & 0xffff).into(),
            InPortOxm => self.in_port.into(),
            PktMark => self.mark.into(),
            SkbPriority => self.priority.into(),
            EthSrc => self.eth_src.into(),
            EthDst => self.eth_dst.into(),
            EthType => self.eth_type.into(),
            VlanTci => self.tags[0].control.into(),
            VlanTpid => self.tags[0].kind.into(),
            Vlan2Tci => self.tags[1].control.into(),
            Vlan2Tpid => self.tags[1].kind.into(),
            DlVlan | VlanVid => (self.tags[0].control & 0xfff).into(),
            DlVlanPcp | VlanPcp => (self.tags[0].control >> 13).into(),
            MplsLabel => (self.labels[0] >> 12).into(),
            MplsTc => (self.labels[0] >> 9 & 7).into(),
            MplsBos => (self.labels[0] >> 8 & 1).into(),
            MplsTtl => (self.labels[0] & 0xff).into(),
            MplsLse2 => self.labels[1].into(),
            MplsLse3 => self.labels[2].into(),
            Ipv4Src | ArpSpa => self.source.into(),
            Ipv4Dst | ArpTpa => self.destination.into(),
            Ipv6Src => self.source6,
            Ipv6Dst => self.destination6,
            Ipv6Label => self.flow_label.into(),
            IpProto | ArpOp => self.protocol.into(),
            IpDscp => (self.tos & 0xfc).into(),
            IpDscpShifted => (self.tos >> 2).into(),
            IpEcn => (self.tos & 3).into(),
            IpTtl => self.ttl.into(),
            IpFrag => self.fragment.into(),
            ArpSha | NdSll => self.link_source.into(),
            ArpTha | NdTll => self.link_target.into(),
            TcpFlags => (self.flags & 0xfff).into(),
            NdOptionsType => (self.flags & 0xff).into(),
            TcpSrc | UdpSrc | SctpSrc => self.upper_source.into(),
            TcpDst | UdpDst | SctpDst => self.upper_destination.into(),
            Icmpv4Type | Icmpv6Type => (self.upper_source & 0xff).into(),
            Icmpv4Code | Icmpv6Code => (self.upper_destination & 0xff).into(),
            NdTarget => self.target,
            NdReserved => self.upper_word.into(),
            NshFlags => self.nsh.flags.into(),
            NshTtl => self.nsh.ttl.into(),
            NshMdtype => self.nsh.metadata.into(),
            NshNp => self.nsh.next.into(),
            NshSpi => (self.nsh.path >> 8).into(),
            NshSi => (self.nsh.path & 0xff).into(),
            NshC1 => self.nsh.context[0].into(),
            NshC2 => self.nsh.context[1].into(),
            NshC3 => self.nsh.context[2].into(),
            NshC4 => self.nsh.context[3].into(),
            _ => 0,
        }
    }

    fn ethernet(&mut self, frame: &[u8], limit: usize) {
        let Ok(ethernet) = Ethernet2HeaderSlice::from_slice(frame) else {
            // Addresses without a type are still addresses.
            if let Some(addresses) = frame.first_chunk::<12>() {
                self.eth_dst = number(&addresses[..6]) as u64;
                self.eth_src = number(&addresses[6..]) as u64;
                self.eth_type = kind::NONE;
                self.network = Some(12);
            }
            return;
        };
        self.eth_dst = number(&ethernet.destination()) as u64;
        self.eth_src = number(&ethernet.source()) as u64;
        let (mut at, mut found) = (14, ethernet.ether_type().0);
        for place in self.tags.iter_mut().take(limit) {
            let rest = frame.get(at..).unwrap_or_default();
            let tag = SingleVlanHeaderSlice::from_slice(rest);
            let (kind::VLAN | kind::SERVICE_VLAN, Ok(tag)) = (found, tag) else {
                break;
            };
            let priority = u16::from(tag.priority_code_point().value()) << 13;
            *place = Tag {
                kind: found,
                control: priority | TAGGED | tag.vlan_identifier().value(),
            };
            (at, found) = (at + 4, tag.ether_type().0);
        }
        if found < 0x600 {
            // A length: the type may follow in a SNAP header (RFC 1042).
            let snap = frame.get(at..).and_then(|rest| rest.first_chunk::<8>());
            found = match snap {
                Some(&[0xaa, 0xaa, 3, 0, 0, 0, a, b]) if u16::from_be_bytes([a, b]) >= 0x600 => {
                    at += 8;
                    u16::from_be_bytes([a, b])
                }
                _ => kind::NONE,
            };
        }
        self.eth_type = found;
        self.network = Some(at);
        let body = frame.get(at..).unwrap_or_default();
        match found {
            kind::IPV4 => self.ipv4(body, at),
            kind::IPV6 => {
                self.ipv6(body, at);
            }
            kind::ARP | kind::RARP => self.arp(body),
            kind::MPLS | kind::MPLS_MULTICAST => self.mpls(body),
            kind::NSH => self.nsh(body),
            _ => {}
        }
    }

    fn ipv4(&mut self, body: &[u8], at: usize) {
        let length = usize::from(body.first().unwrap_or(&0) & 0xf) * 4;
        let Some(bytes) = body.get(..length) else {
            return;
        };
        let mut copy = [0; 60];
        copy[..length].copy_from_slice(bytes);
        copy[0] = 0x40 | copy[0] & 0xf;
        let Ok(ip) = Ipv4HeaderSlice::from_slice(&copy[..length]) else {
            return;
        };
        let total = usize::from(ip.total_len());
        let Some(padding) = body.len().checked_sub(total) else {
            return;
        };
        if total < length || padding > MAX_PADDING {
            return;
        }
        self.padding = padding;
        self.source = number(&ip.source()) as u32;
        self.destination = number(&ip.destination()) as u32;
        self.tos = ip.dcp().value() << 2 | ip.ecn().value();
        self.ttl = ip.ttl();
        self.protocol = ip.protocol().0;
        if ip.fragments_offset().value() != 0 {
            self.fragment = FRAGMENT | LATER_FRAGMENT;
        } else if ip.more_fragments() {
            self.fragment = FRAGMENT;
        }
        let payload = body.get(length..total).unwrap_or_default();
        self.upper_layer(payload, at + length, self.protocol, false);
    }

    fn ipv6(&mut self, body: &[u8], at: usize) -> Option<()> {
        let mut copy = *body.first_chunk::<40>()?;
        copy[0] = 0x60 | copy[0] & 0xf;
        let ip = Ipv6HeaderSlice::from_slice(&copy).ok()?;
        let length = usize::from(ip.payload_length());
        let payload = body.get(40..40 + length)?;
        let padding = body.len() - 40 - length;
        if padding > MAX_PADDING {
            return None;
        }
        self.padding = padding;
        self.source6 = number(&ip.source());
        self.destination6 = number(&ip.destination());
        let mut next = ip.next_header().0;
        let (mut skipped, mut fragment) = (0, 0);
        loop {
            let rest = payload.get(skipped..)?;
            match next {
                0 | 43 | 60 => {
                    let extension = Ipv6RawExtHeaderSlice::from_slice(rest).ok()?;
                    next = extension.next_header().0;
                    skipped += extension.slice().len();
                }
                // Authentication (RFC 4302): its length counts words and leaves out two.
                51 => {
                    let head = rest.first_chunk::<8>()?;
                    next = head[0];
                    skipped += (usize::from(head[1]) + 2) * 4;
                    payload.get(skipped..)?;
                }
                44 => {
                    let extension = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
                    next = extension.next_header().0;
                    skipped += extension.slice().len();
                    if extension.fragment_offset().value() != 0 {
                        fragment = FRAGMENT | LATER_FRAGMENT;
                        break;
                    }
                    if extension.more_fragments() {
                        fragment = FRAGMENT;
                    }
                }
                _ => break,
            }
        }
        self.flow_label = ip.flow_label().value();
        self.tos = ip.traffic_class();
        self.ttl = ip.hop_limit();
        self.protocol = next;
        self.fragment = fragment;
        let upper = payload.get(skipped..)?;
        self.upper_layer(upper, at + 40 + skipped, next, true);
        Some(())
    }

    fn upper_layer(&mut self, bytes: &[u8], at: usize, upper: u8, v6: bool) {
        if self.fragment & LATER_FRAGMENT != 0 {
            return;
        }
        self.transport = Some(at);
        self.upper = upper;
        match upper {
            protocol::TCP => {
                if let Ok(tcp) = TcpHeaderSlice::from_slice(bytes) {
                    self.upper_source = tcp.source_port();
                    self.upper_destination = tcp.destination_port();
                    self.flags = half(tcp.slice(), 12) & 0xfff;
                }
            }
            protocol::UDP => {
                if let Ok(udp) = UdpHeaderSlice::from_slice(bytes) {
                    self.upper_source = udp.source_port();
                    self.upper_destination = udp.destination_port();
                }
            }
            protocol::SCTP if bytes.len() >= 12 => {
                self.upper_source = half(bytes, 0);
                self.upper_destination = half(bytes, 2);
            }
            protocol::ICMP | protocol::IGMP if !v6 && bytes.len() >= 8 => {
                self.upper_source = bytes[0].into();
                self.upper_destination = bytes[1].into();
                if upper == protocol::IGMP {
                    self.upper_word = word(bytes, 4);
                }
            }
            protocol::ICMPV6 if v6 => {
                if let Ok(icmp) = Icmpv6Slice::from_slice(bytes) {
                    self.icmpv6(&icmp);
                }
            }
            _ => {}
        }
    }

    fn icmpv6(&mut self, icmp: &Icmpv6Slice<'_>) {
        self.upper_source = icmp.type_u8().into();
        self.upper_destination = icmp.code_u8().into();
        // Neighbour solicitation and advertisement (RFC 4861 §4.3, §4.4).
        let discovery = matches!((icmp.type_u8(), icmp.code_u8()), (135 | 136, 0));
        let Some(target) = icmp.slice().get(8..24).filter(|_| discovery) else {
            return;
        };
        let (mut source, mut destination, mut last) = (0u64, 0u64, 0u8);
        let mut options = icmp.slice().get(24..).unwrap_or_default();
        while options.len() >= 8 {
            let (option, units) = (options[0], options[1]);
            let Some(body) = options.get(2..usize::from(units) * 8) else {
                break;
            };
            if units == 1 && matches!(option, 1 | 2) {
                let address = if option == 1 {
                    &mut source
                } else {
                    &mut destination
                };
                // Said twice, the message is not valid and none of it is matched.
                if *address != 0 {
                    return;
                }
                *address = number(body) as u64;
                last = option;
            }
            options = options.get(usize::from(units) * 8..).unwrap_or_default();
        }
        self.target = number(target);
        self.link_source = source;
        self.link_target = destination;
        self.flags = last.into();
        self.upper_word = number(&icmp.bytes5to8()) as u32;
    }

    /// Labels down to the bottom of the stack, or as many as there are registers.
    fn mpls(&mut self, body: &[u8]) {
        for (place, label) in self.labels.iter_mut().zip(body.chunks_exact(4)) {
            *place = word(label, 0);
            if *place & BOTTOM != 0 {
                break;
            }
        }
    }

    /// ARP for IPv4 over Ethernet (RFC 826).
    fn arp(&mut self, body: &[u8]) {
        let Some(arp) = body.first_chunk::<28>() else {
            return;
        };
        if arp[..6] != [0, 1, 0x08, 0x00, 6, 4] {
            return;
        }
        // The register has eight bits; there are no operations above.
        self.protocol = u8::try_from(half(arp, 6)).unwrap_or(0);
        self.link_source = number(&arp[8..14]) as u64;
        self.source = word(arp, 14);
        self.link_target = number(&arp[18..24]) as u64;
        self.destination = word(arp, 24);
    }

    fn nsh(&mut self, body: &[u8]) {
        let first = half(body, 0);
        let length = usize::from(first & 0x3f) * 4;
        if first >> 14 != 0 || length < 8 || body.len() < length {
            return;
        }
        let metadata = body[2] & 0xf;
        self.nsh = Nsh {
            flags: (first >> 12 & 3) as u8,
            ttl: (first >> 6 & 0x3f) as u8,
            metadata,
            next: body[3],
            path: word(body, 4),
            context: [0; 4],
        };
        if metadata == 1 && body.len() >= 24 {
            self.nsh.context = [8, 12, 16, 20].map(|at| word(body, at));
        }
    }

    /// After `count` bytes came in at `at`, moves the headers behind.
    pub(crate) fn moved_back(&mut self, at: usize, count: usize) {
        for place in [&mut self.network, &mut self.transport] {
            *place = place.map(|p| if p >= at { p + count } else { p });
        }
    }

    /// After `count` bytes went away at `at`, moves the headers behind.
    pub(crate) fn moved_up(&mut self, at: usize, count: usize) {
        for place in [&mut self.network, &mut self.transport] {
            *place = place.map(|p| if p >= at { p.saturating_sub(count) } else { p });
        }
    }
}
