//! From a key to text.

use super::attr::{self, Member};
use super::flags;
use super::value::{format as format_value, format_mask, hex};
use crate::key::{FlowMask, PacketKey};
use crate::layout::*;
use crate::parse::{ethertype, ipproto};

/// What is to be shown of a flow.
pub struct FlowText<'a> {
    /// Row of words of the key.
    pub key: &'a [u64; PACKET_WORDS],
    /// Which bits count; none = all of them.
    pub mask: Option<&'a FlowMask>,
    /// Also show what does not count at all, with masks of zero.
    pub verbose: bool,
    /// The name of a port, to be shown instead of its number.
    pub port_name: &'a dyn Fn(u32) -> Option<String>,
}

/// Shows a key by port numbers, and only what counts.
pub fn format_key(key: &PacketKey, mask: Option<&FlowMask>) -> String {
    FlowText {
        key: &key.expand(),
        mask,
        verbose: false,
        port_name: &|_| None,
    }
    .to_string()
}

/// `name=value[/mask]`.
pub(super) fn member_text(m: &Member, value: u128, mask: u128) -> String {
    let mut out = format!("{}={}", m.name, format_value(m.kind, value));
    if mask != m.full() {
        out += &format!("/{}", format_mask(m.kind, mask));
    }
    out
}

impl FlowText<'_> {
    fn mask_of(&self, slot: Slot) -> u128 {
        self.mask.map_or(slot.max(), |m| slot.get(&m.words))
    }

    /// `attr(value[/mask])` in hexadecimal.
    fn plain(&self, out: &mut Vec<String>, attr: &str, slot: Slot) {
        let (value, mask) = (slot.get(self.key), self.mask_of(slot));
        if mask == slot.max() {
            out.push(format!("{attr}({})", hex(value)));
        } else if mask != 0 || self.verbose {
            out.push(format!("{attr}({}/{})", hex(value), hex(mask)));
        }
    }

    /// `attr(member=value,...)`, left out if no member counts.
    fn members(&self, out: &mut Vec<String>, attr: &str, members: &[Member]) {
        let mut parts = Vec::new();
        let mut any = self.verbose;
        for m in members {
            let value = m.get(self.key);
            let mask = self.mask.map_or(m.full(), |mask| m.get(&mask.words));
            any |= mask != 0;
            // Whether a packet is a fragment is always part of what is shown of IP.
            if mask == 0 && (m.kind == attr::Kind::Frag || !self.verbose) {
                continue;
            }
            if m.kind == attr::Kind::Frag {
                parts.push(format!("frag={}", format_value(m.kind, value)));
            } else {
                parts.push(member_text(m, value, mask));
            }
        }
        if any {
            out.push(format!("{attr}({})", parts.join(",")));
        }
    }

    fn metadata(&self, out: &mut Vec<String>) {
        let present = |slot: Slot| {
            self.verbose || slot.get(self.key) != 0 || {
                self.mask.is_some() && self.mask_of(slot) != 0
            }
        };
        if self.mask.is_none() || self.mask_of(RECIRC_ID) != 0 || self.verbose {
            self.plain(out, "recirc_id", RECIRC_ID);
        }
        if present(DP_HASH) {
            self.plain(out, "dp_hash", DP_HASH);
        }
        if present(SKB_PRIORITY) {
            self.plain(out, "skb_priority", SKB_PRIORITY);
        }
        if TUN_DST.get(self.key) != 0 || TUN_IPV6_DST.get(self.key) != 0 {
            self.tunnel(out);
        }
        if self.mask_of(IN_PORT) == IN_PORT.max() {
            let port = IN_PORT.get(self.key) as u32;
            let text = (self.port_name)(port).unwrap_or_else(|| port.to_string());
            out.push(format!("in_port({text})"));
        } else if self.verbose {
            out.push(format!("in_port({}/0)", IN_PORT.get(self.key)));
        }
        if present(PKT_MARK) {
            self.plain(out, "skb_mark", PKT_MARK);
        }
        if present(CT_STATE) {
            let (state, mask) = (CT_STATE.get(self.key) as u32, self.mask_of(CT_STATE) as u32);
            if self.verbose {
                self.plain(out, "ct_state", CT_STATE);
            } else if mask != 0 {
                out.push(format!("ct_state({})", flags::format_ct_state(state, mask)));
            }
        }
        if present(CT_ZONE) {
            self.plain(out, "ct_zone", CT_ZONE);
        }
        if present(CT_MARK) {
            self.plain(out, "ct_mark", CT_MARK);
        }
        if present(CT_LABEL) {
            self.plain(out, "ct_label", CT_LABEL);
        }
        if present(CT_NW_SRC) && CT_NW_SRC.get(self.key) != 0 {
            self.members(out, "ct_tuple4", &attr::CT_TUPLE4);
        }
        if CT_IPV6_SRC.get(self.key) != 0 {
            self.members(out, "ct_tuple6", &attr::CT_TUPLE6);
        }
        let (kind, mask) = (PACKET_TYPE.get(self.key), self.mask_of(PACKET_TYPE));
        if (self.mask.is_some() || self.verbose) && mask == PACKET_TYPE.max() {
            out.push(format!(
                "packet_type(ns={},id={})",
                kind >> 16,
                hex(kind & 0xffff)
            ));
        }
    }

    fn tunnel(&self, out: &mut Vec<String>) {
        let shown = |m: &&Member| m.get(self.key) != 0 || self.mask.is_some();
        let members: Vec<Member> = attr::TUNNEL.iter().filter(shown).copied().collect();
        self.members(out, "tunnel", &members);
    }

    fn network(&self, out: &mut Vec<String>) {
        let eth_type = ETH_TYPE.get(self.key) as u16;
        if eth_type != ethertype::NONE && eth_type != 0 || self.verbose {
            let mask = self.mask_of(ETH_TYPE);
            if mask == ETH_TYPE.max() {
                out.push(format!("eth_type(0x{eth_type:04x})"));
            } else if mask != 0 || self.verbose {
                out.push(format!("eth_type(0x{eth_type:04x}/0x{mask:04x})"));
            }
        }
        if self.mask_of(ETH_TYPE) == 0 {
            return;
        }
        match eth_type {
            ethertype::IPV4 => self.ip(out, "ipv4", &attr::IPV4, false),
            ethertype::IPV6 => self.ip(out, "ipv6", &attr::IPV6, true),
            ethertype::ARP | ethertype::RARP => self.members(out, "arp", &attr::ARP),
            ethertype::MPLS | ethertype::MPLS_MULTICAST => self.members(out, "mpls", &attr::MPLS),
            ethertype::NSH => self.members(out, "nsh", &attr::NSH),
            _ => {}
        }
    }

    fn ip(&self, out: &mut Vec<String>, name: &str, members: &[Member], v6: bool) {
        self.members(out, name, members);
        let proto = NW_PROTO.get(self.key) as u8;
        let known = self.verbose || self.mask_of(NW_PROTO) != 0;
        let later = NW_FRAG.get(self.key) & u128::from(crate::frag::LATER) != 0;
        let Some((attr, ports)) = attr::transport(proto, v6).filter(|_| known && !later) else {
            return;
        };
        self.members(out, attr, ports);
        let kind = TP_SRC.get(self.key);
        if proto == ipproto::ICMPV6 && v6 && matches!(kind, 135 | 136) {
            if ND_TARGET.get(self.key) != 0 {
                self.members(out, "nd", &attr::ND);
            }
        } else if proto == ipproto::TCP {
            let (value, mask) = (
                TCP_FLAGS.get(self.key) as u32,
                self.mask_of(TCP_FLAGS) as u32,
            );
            if mask != 0 || self.verbose {
                out.push(format!(
                    "tcp_flags({})",
                    flags::format_tcp_flags(value, mask)
                ));
            }
        }
    }
}

impl std::fmt::Display for FlowText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.metadata(&mut out);
        self.members(&mut out, "eth", &attr::ETH);
        let tci = VLAN_TCI.get(self.key) as u16;
        let tci_mask = self.mask_of(VLAN_TCI) as u16;
        if tci & crate::VLAN_PRESENT != 0 && tci_mask != 0 {
            let tpid = VLAN_TPID.get(self.key) as u16;
            let tpid = if tpid == 0 { ethertype::VLAN } else { tpid };
            out.push(format!("eth_type(0x{tpid:04x})"));
            out.push(format!("vlan({})", vlan_text(tci, tci_mask)));
            let mut inner = Vec::new();
            let tci = VLAN2_TCI.get(self.key) as u16;
            if tci & crate::VLAN_PRESENT == 0 {
                self.network(&mut inner);
            } else {
                inner.push(format!("eth_type(0x{:04x})", VLAN2_TPID.get(self.key)));
                let mask = self.mask_of(VLAN2_TCI) as u16;
                if mask != 0 || self.verbose {
                    inner.push(format!("vlan({})", vlan_text(tci, mask)));
                }
                let mut innermost = Vec::new();
                self.network(&mut innermost);
                inner.push(format!("encap({})", innermost.join(",")));
            }
            out.push(format!("encap({})", inner.join(",")));
        } else {
            if self.verbose && tci & crate::VLAN_PRESENT == 0 && self.mask.is_none() {
                // An untagged packet has no VLAN attribute.
            } else if self.mask.is_some() && tci_mask != 0 && !self.verbose {
                let exact = tci_mask == u16::MAX || tci_mask == 0x1fff;
                if !exact {
                    out.push(format!("vlan({})", vlan_text(tci, tci_mask)));
                }
            }
            self.network(&mut out);
        }
        f.write_str(&out.join(","))
    }
}

/// `vid=5,pcp=0`, with masks where wanted.
fn vlan_text(tci: u16, mask: u16) -> String {
    let mut parts = Vec::new();
    let (vid, pcp, cfi) = (tci & 0xfff, tci >> 13, tci >> 12 & 1);
    let (vid_mask, pcp_mask, cfi_mask) = (mask & 0xfff, mask >> 13, mask >> 12 & 1);
    parts.push(match vid_mask {
        0xfff => format!("vid={vid}"),
        m => format!("vid={vid}/0x{m:x}"),
    });
    parts.push(match pcp_mask {
        7 => format!("pcp={pcp}"),
        m => format!("pcp={pcp}/0x{m:x}"),
    });
    if cfi == 0 && cfi_mask != 0 {
        parts.push("cfi=0".into());
    }
    parts.join(",")
}
