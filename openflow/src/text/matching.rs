//! A match in text: `priority=10,tcp,in_port=1,tp_dst=80`.

use super::field::{self, CT, TCP, TUNNEL};
use super::{Names, alt_hex, format_field};
use packet::{FieldId, Match, slots};

/// The priority that is not printed.
pub const DEFAULT_PRIORITY: u16 = 0x8000;

struct Out<'m> {
    s: String,
    m: &'m Match,
    names: &'m Names,
}

impl Out<'_> {
    fn word(&mut self, w: &str) {
        self.s.push_str(w);
        self.s.push(',');
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.s.push_str(name);
        self.s.push('=');
        self.word(value);
    }

    fn get(&self, f: FieldId) -> (u128, u128) {
        self.m.get(f)
    }

    fn v(&self, f: FieldId) -> u128 {
        self.m.value().get(f)
    }

    fn wants(&self, f: FieldId) -> bool {
        self.m.mask().get(f) != 0
    }

    /// In the field's own format.
    fn field(&mut self, f: FieldId, name: &str) {
        let (value, mask) = self.get(f);
        if mask != 0 {
            let text = format_field(f, value, mask, self.names);
            self.pair(name, &text);
        }
    }

    /// `%#x` with a mask in the same form.
    fn hex(&mut self, f: FieldId, name: &str) {
        let (value, mask) = self.get(f);
        if mask == 0 {
            return;
        }
        let mut text = alt_hex(value as u64);
        if mask != f.full() {
            text.push_str(&format!("/{}", alt_hex(mask as u64)));
        }
        self.pair(name, &text);
    }

    /// Decimal, masked in hexadecimal with `digits` places.
    fn decimal(&mut self, f: FieldId, name: &str, digits: usize) {
        let (value, mask) = self.get(f);
        if mask == 0 {
            return;
        }
        let text = if mask == f.full() {
            value.to_string()
        } else {
            format!("0x{value:0digits$x}/0x{mask:0digits$x}")
        };
        self.pair(name, &text);
    }

    /// Decimal, whatever the mask.
    fn plain(&mut self, f: FieldId, name: &str) {
        if self.wants(f) {
            let text = self.v(f).to_string();
            self.pair(name, &text);
        }
    }

    fn plain_hex(&mut self, f: FieldId, name: &str) {
        if self.wants(f) {
            let text = alt_hex(self.v(f) as u64);
            self.pair(name, &text);
        }
    }
}

/// The word for an Ethernet type and protocol, and whether it says the protocol too.
fn type_word(eth_type: u128, proto: Option<u128>) -> Option<(&'static str, bool)> {
    Some(match (eth_type, proto) {
        (0x0800, Some(1)) => ("icmp", true),
        (0x0800, Some(6)) => ("tcp", true),
        (0x0800, Some(17)) => ("udp", true),
        (0x0800, Some(132)) => ("sctp", true),
        (0x0800, _) => ("ip", false),
        (0x86dd, Some(58)) => ("icmp6", true),
        (0x86dd, Some(6)) => ("tcp6", true),
        (0x86dd, Some(17)) => ("udp6", true),
        (0x86dd, Some(132)) => ("sctp6", true),
        (0x86dd, _) => ("ipv6", false),
        (0x0806, _) => ("arp", false),
        (0x8035, _) => ("rarp", false),
        (0x8847, _) => ("mpls", false),
        (0x8848, _) => ("mplsm", false),
        _ => return None,
    })
}

fn tunnel(o: &mut Out<'_>) {
    use FieldId::*;
    o.hex(TunId, "tun_id");
    for (f, n) in [
        (TunSrc, "tun_src"),
        (TunDst, "tun_dst"),
        (TunIpv6Src, "tun_ipv6_src"),
        (TunIpv6Dst, "tun_ipv6_dst"),
    ] {
        o.field(f, n);
    }
    o.decimal(TunGbpId, "tun_gbp_id", 0);
    o.plain_hex(TunGbpFlags, "tun_gbp_flags");
    if o.wants(TunTos) {
        let text = format!("{:x}", o.v(TunTos));
        o.pair("tun_tos", &text);
    }
    o.plain(TunTtl, "tun_ttl");
    o.plain(TunErspanVer, "tun_erspan_ver");
    let version = o.v(TunErspanVer);
    if version == 1 {
        o.plain_hex(TunErspanIdx, "tun_erspan_idx");
    }
    if version == 2 {
        o.plain(TunErspanDir, "tun_erspan_dir");
        o.plain_hex(TunErspanHwid, "tun_erspan_hwid");
    }
    o.plain_hex(TunGtpuFlags, "gtpu_flags");
    o.plain(TunGtpuMsgtype, "gtpu_msgtype");
    let (flags, mask) = o.get(TunFlags);
    if mask != 0 {
        let text = TUNNEL.masked(flags as u32, mask as u32, 0xffff);
        o.pair("tun_flags", &text);
    }
}

fn vlan(o: &mut Out<'_>) {
    for (slot, n) in [(slots::VLAN_TCI, ""), (slots::VLAN2_TCI, "1")] {
        let (tci, mask) = (slot.get(&o.m.value().words), slot.get(&o.m.mask().words));
        if mask == 0 {
            return;
        }
        let (vid, pcp) = (mask & 0xfff, mask & 0xe000);
        let whole = (vid == 0 || vid == 0xfff) && (pcp == 0 || pcp == 0xe000) && vid | pcp != 0;
        if mask & tci & 0x1000 != 0 && whole {
            if vid != 0 {
                o.pair(&format!("dl_vlan{n}"), &(tci & 0xfff).to_string());
            }
            if pcp != 0 {
                o.pair(&format!("dl_vlan_pcp{n}"), &(tci >> 13).to_string());
            }
        } else if mask == 0xffff {
            o.pair(&format!("vlan_tci{n}"), &format!("0x{tci:04x}"));
        } else {
            let text = format!("0x{tci:04x}/0x{mask:04x}");
            o.pair(&format!("vlan_tci{n}"), &text);
        }
    }
}

/// The label stack entries under the first, as numbers.
fn inner_labels(o: &mut Out<'_>) {
    for (slot, name) in [
        (slots::MPLS_LSE[1], "mpls_lse1"),
        (slots::MPLS_LSE[2], "mpls_lse2"),
    ] {
        let (lse, mask) = (slot.get(&o.m.value().words), slot.get(&o.m.mask().words));
        if mask == slot.max() {
            o.pair(name, &lse.to_string());
        } else if mask != 0 {
            o.pair(name, &format!("{lse:#x}/{mask:#x}"));
        }
    }
}

fn conntrack(o: &mut Out<'_>) {
    use FieldId::*;
    let (state, mask) = o.get(CtState);
    if mask != 0 {
        let text = CT.masked(state as u32, mask as u32, 0xff);
        o.pair("ct_state", &text);
    }
    o.decimal(CtZone, "ct_zone", 0);
    o.hex(CtMark, "ct_mark");
    for (f, n) in [
        (CtLabel, "ct_label"),
        (CtNwSrc, "ct_nw_src"),
        (CtIpv6Src, "ct_ipv6_src"),
        (CtNwDst, "ct_nw_dst"),
        (CtIpv6Dst, "ct_ipv6_dst"),
    ] {
        o.field(f, n);
    }
    if o.wants(CtNwProto) {
        o.plain(CtNwProto, "ct_nw_proto");
        o.decimal(CtTpSrc, "ct_tp_src", 0);
        o.decimal(CtTpDst, "ct_tp_dst", 0);
    }
}

fn nsh(o: &mut Out<'_>) {
    use FieldId::*;
    for (f, n) in [
        (NshFlags, "nsh_flags"),
        (NshTtl, "nsh_ttl"),
        (NshMdtype, "nsh_mdtype"),
        (NshNp, "nsh_np"),
    ] {
        o.decimal(f, n, 2);
    }
    let spi_and_context = |o: &mut Out<'_>, f: FieldId, n: &str| {
        let (value, mask) = o.get(f);
        if mask == f.full() {
            o.pair(n, &format!("0x{value:x}"));
        } else if mask != 0 {
            o.pair(n, &format!("0x{value:x}/0x{mask:x}"));
        }
    };
    spi_and_context(o, NshSpi, "nsh_spi");
    o.decimal(NshSi, "nsh_si", 2);
    if o.get(NshMdtype) == (1, 0xff) {
        for (f, n) in [
            (NshC1, "nsh_c1"),
            (NshC2, "nsh_c2"),
            (NshC3, "nsh_c3"),
            (NshC4, "nsh_c4"),
        ] {
            spi_and_context(o, f, n);
        }
    }
}

fn addresses(o: &mut Out<'_>, eth_type: u128, skip_proto: bool) {
    use FieldId::*;
    let arp = matches!(eth_type, 0x0806 | 0x8035);
    match eth_type {
        0x86dd => {
            o.field(Ipv6Src, "ipv6_src");
            o.field(Ipv6Dst, "ipv6_dst");
            let (value, mask) = o.get(Ipv6Label);
            if mask == Ipv6Label.full() {
                o.pair("ipv6_label", &format!("0x{value:05x}"));
            } else if mask != 0 {
                o.pair("ipv6_label", &format!("0x{value:05x}/0x{mask:05x}"));
            }
        }
        _ if arp => {
            o.field(ArpSpa, "arp_spa");
            o.field(ArpTpa, "arp_tpa");
        }
        0x894f => nsh(o),
        _ => {
            o.field(Ipv4Src, "nw_src");
            o.field(Ipv4Dst, "nw_dst");
        }
    }
    if !skip_proto {
        o.plain(IpProto, if arp { "arp_op" } else { "nw_proto" });
    }
    if arp {
        o.field(ArpSha, "arp_sha");
        o.field(ArpTha, "arp_tha");
    }
}

fn transport(o: &mut Out<'_>, eth_type: u128) {
    use FieldId::*;
    let proto = o.v(IpProto);
    match (eth_type, proto) {
        (0x0800, 1) => {
            o.decimal(TcpSrc, "icmp_type", 0);
            o.decimal(TcpDst, "icmp_code", 0);
        }
        (0x86dd, 58) => {
            o.decimal(TcpSrc, "icmp_type", 0);
            o.decimal(TcpDst, "icmp_code", 0);
            o.field(NdTarget, "nd_target");
            o.field(NdSll, "nd_sll");
            o.field(NdTll, "nd_tll");
            o.decimal(NdReserved, "nd_reserved", 8);
            o.plain(NdOptionsType, "nd_options_type");
        }
        _ => {
            o.decimal(TcpSrc, "tp_src", 0);
            o.decimal(TcpDst, "tp_dst", 0);
        }
    }
    let (flags, mask) = o.get(TcpFlags);
    if matches!(eth_type, 0x0800 | 0x86dd) && proto == 6 && mask != 0 {
        let text = TCP.masked(flags as u32, mask as u32, 0xfff);
        o.pair("tcp_flags", &text);
    }
}

/// Writes a match, with the priority before it unless it is [`DEFAULT_PRIORITY`]. A match of
/// every packet is empty text.
pub fn format_match(m: &Match, names: &Names, priority: u16) -> String {
    use FieldId::*;
    let mut o = Out {
        s: String::new(),
        m,
        names,
    };
    if priority != DEFAULT_PRIORITY {
        o.pair("priority", &priority.to_string());
    }
    o.hex(PktMark, "pkt_mark");
    o.hex(RecircId, "recirc_id");
    o.hex(DpHash, "dp_hash");
    o.plain(ConjId, "conj_id");
    o.plain_hex(SkbPriority, "skb_priority");
    o.field(ActsetOutput, "actset_output");
    conntrack(&mut o);
    let mut eth_type = o.v(EthType);
    let (packet_type, pt_mask) = o.get(PacketType);
    if pt_mask != 0 {
        let text = field::show_packet_type(packet_type, pt_mask);
        o.word(&text);
        if packet_type >> 16 == 1 {
            eth_type = packet_type & 0xffff;
        }
    }
    let (mut skip_type, mut skip_proto) = (false, false);
    if o.wants(EthType) {
        let proto = o.wants(IpProto).then(|| o.v(IpProto));
        if let Some((word, says_proto)) = type_word(eth_type, proto) {
            o.word(word);
            skip_type = true;
            skip_proto = says_proto;
        }
    }
    for n in 0..32 {
        if let Some(f) = FieldId::register(n) {
            o.hex(f, f.row().name);
        }
    }
    tunnel(&mut o);
    o.hex(Metadata, "metadata");
    o.field(InPortOxm, "in_port");
    vlan(&mut o);
    o.field(EthSrc, "dl_src");
    o.field(EthDst, "dl_dst");
    if !skip_type && o.wants(EthType) {
        o.pair("dl_type", &format!("0x{eth_type:04x}"));
    }
    addresses(&mut o, eth_type, skip_proto);
    o.plain(IpDscp, "nw_tos");
    o.plain(IpEcn, "nw_ecn");
    o.plain(IpTtl, "nw_ttl");
    o.plain(MplsLabel, "mpls_label");
    o.plain(MplsTc, "mpls_tc");
    o.plain(MplsTtl, "mpls_ttl");
    o.plain(MplsBos, "mpls_bos");
    inner_labels(&mut o);
    o.field(IpFrag, "nw_frag");
    transport(&mut o, eth_type);
    let mut s = o.s;
    s.pop();
    s
}
