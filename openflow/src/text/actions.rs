//! Actions to text.

use super::field::{hex_number, show_mac};
use super::learn::format_learn;
use super::{Names, alt_hex, format_field, format_subfield};
use crate::action::encode::segments;
use crate::action::*;
use crate::port::OfPort;

fn hex_bytes(data: &[u8], separator: &str) -> String {
    let all: Vec<String> = data.iter().map(|b| format!("{b:02x}")).collect();
    all.join(separator)
}

/// The name of a packet-in's reason, or its number.
pub(crate) fn reason_name(reason: u8) -> String {
    let name = match reason {
        0 => "no_match",
        1 => "action",
        2 => "invalid_ttl",
        3 => "action_set",
        4 => "group",
        5 => "packet_out",
        // What a table's default adds: 1.3's two flavours are told apart here only.
        6 => "explicit_miss",
        7 => "implicit_miss",
        n => return n.to_string(),
    };
    name.to_string()
}

/// The reason of this name.
pub(crate) fn reason_number(name: &str) -> Option<u8> {
    (0..8).find(|r| reason_name(*r).eq_ignore_ascii_case(name))
}

fn show_controller(c: &Controller) -> String {
    let plain = c.reason == 1 && c.id == 0 && c.userdata.is_empty() && !c.pause && c.meter == 0;
    if plain {
        return format!("CONTROLLER:{}", c.max_len);
    }
    let mut parts = Vec::new();
    if c.reason != 1 {
        parts.push(format!("reason={}", reason_name(c.reason)));
    }
    if c.max_len != u16::MAX {
        parts.push(format!("max_len={}", c.max_len));
    }
    if c.id != 0 {
        parts.push(format!("id={}", c.id));
    }
    if !c.userdata.is_empty() {
        parts.push(format!("userdata={}", hex_bytes(&c.userdata, ".")));
    }
    if c.pause {
        parts.push("pause".into());
    }
    if c.meter != 0 {
        parts.push(format!("meter_id={}", c.meter));
    }
    format!("controller({})", parts.join(","))
}

fn show_bundle(b: &Bundle, names: &Names) -> String {
    let ports: Vec<String> = b.members.iter().map(|p| names.show_port(*p)).collect();
    let head = format!(
        "{},{},{},ofport",
        b.fields.name(),
        b.basis,
        if b.hrw { "hrw" } else { "active_backup" }
    );
    match b.dst {
        Some(dst) => {
            format!(
                "bundle_load({head},{},members:{})",
                format_subfield(dst),
                ports.join(",")
            )
        }
        None => format!("bundle({head},members:{})", ports.join(",")),
    }
}

/// The names of multipath's algorithms, by the wire's numbers.
pub(super) const ALGORITHMS: [&str; 4] = ["modulo_n", "hash_threshold", "hrw", "iter_hash"];

fn show_sample(s: &Sample, names: &Names) -> String {
    let id = |id: SampleId| match id {
        SampleId::Number(n) => n.to_string(),
        SampleId::Field(sf) => format_subfield(sf),
    };
    let mut out = format!(
        "sample(probability={},collector_set_id={},obs_domain_id={},obs_point_id={}",
        s.probability,
        s.collector_set,
        id(s.obs_domain),
        id(s.obs_point)
    );
    if s.port != OfPort::NONE {
        out.push_str(&format!(",sampling_port={}", names.show_port(s.port)));
    }
    match s.direction {
        SampleDirection::Default => {}
        SampleDirection::Ingress => out.push_str(",ingress"),
        SampleDirection::Egress => out.push_str(",egress"),
    }
    out.push(')');
    out
}

fn show_nat(n: &Nat) -> String {
    if n.flags == 0 && n.addrs.is_none() {
        return "nat".into();
    }
    let has = |bit: u16| n.flags & bit != 0;
    let mut out = String::from("nat(");
    if has(3) {
        out.push_str(if has(1) { "src" } else { "dst" });
        if let Some(addrs) = n.addrs {
            out.push('=');
            match addrs {
                NatAddrs::V4(min, None) => out.push_str(&min.to_string()),
                NatAddrs::V4(min, Some(max)) => out.push_str(&format!("{min}-{max}")),
                NatAddrs::V6(min, max) => {
                    let bracket = n.ports.is_some();
                    let show = |a: std::net::Ipv6Addr| {
                        if bracket {
                            format!("[{a}]")
                        } else {
                            a.to_string()
                        }
                    };
                    out.push_str(&show(min));
                    if let Some(max) = max {
                        out.push('-');
                        out.push_str(&show(max));
                    }
                }
            }
            match n.ports {
                Some((min, None)) => out.push_str(&format!(":{min}")),
                Some((min, Some(max))) => out.push_str(&format!(":{min}-{max}")),
                None => {}
            }
        }
        out.push(',');
        for (bit, word) in [(4, "persistent,"), (8, "hash,"), (16, "random,")] {
            if has(bit) {
                out.push_str(word);
            }
        }
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push(')');
    out
}

fn show_ct(ct: &Ct, names: &Names) -> String {
    let mut parts: Vec<String> = Vec::new();
    if ct.flags & 1 != 0 {
        parts.push("commit".into());
    }
    if ct.flags & 2 != 0 {
        parts.push("force".into());
    }
    if let Some(t) = ct.table {
        parts.push(format!("table={}", names.show_table(t)));
    }
    match ct.zone {
        ZoneSource::Field(sf) => parts.push(format!("zone={}", format_subfield(sf))),
        ZoneSource::Number(0) => {}
        ZoneSource::Number(n) => parts.push(format!("zone={n}")),
    }
    let mut rest = ct.actions.as_slice();
    if let [Action::Nat(n), tail @ ..] = rest {
        parts.push(show_nat(n));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(format!("exec({})", format_actions(rest, names)));
    }
    match ct.alg {
        0 => {}
        21 => parts.push("alg=ftp".into()),
        69 => parts.push("alg=tftp".into()),
        n => parts.push(format!("alg={n}")),
    }
    format!("ct({})", parts.join(","))
}

fn show_encap(ethertype: u32, props: &[EncapProp]) -> String {
    let name = match ethertype {
        0 => "ethernet",
        0x1894f => "nsh",
        0x18847 => "mpls",
        0x18848 => "mpls_mc",
        _ => "UNKNOWN",
    };
    if props.is_empty() {
        return format!("encap({name})");
    }
    let props: Vec<String> = props
        .iter()
        .map(|p| match p {
            EncapProp::NshMdType(t) => format!("md_type={t}"),
            EncapProp::NshTlv { class, kind, data } => {
                let value = data.iter().fold(0u128, |v, b| v << 8 | u128::from(*b));
                let shown = if data.len() <= 16 {
                    hex_number(value)
                } else {
                    format!("0x{}", hex_bytes(data, "").trim_start_matches('0'))
                };
                format!("tlv(0x{class:04x},{kind},{shown})")
            }
        })
        .collect();
    format!("encap({name}({}))", props.join(","))
}

fn show_set_field(
    field: packet::FieldId,
    value: u128,
    mask: u128,
    form: SetForm,
    names: &Names,
) -> String {
    if form == SetForm::Load {
        let loads: Vec<String> = segments(field, mask)
            .into_iter()
            .map(|sf| {
                let part = value >> sf.ofs & low_bits(sf.bits);
                format!("load:{}->{}", alt_hex(part as u64), format_subfield(sf))
            })
            .collect();
        return loads.join(",");
    }
    format!(
        "set_field:{}->{}",
        format_field(field, value, mask, names),
        field.row().name
    )
}

fn show_resubmit(in_port: OfPort, table: u8, ct: bool, names: &Names) -> String {
    if in_port != OfPort::IN_PORT && table == 255 {
        return format!("resubmit:{}", names.show_port(in_port));
    }
    let port = if in_port == OfPort::IN_PORT {
        String::new()
    } else {
        names.show_port(in_port)
    };
    let table = if table == 255 {
        String::new()
    } else {
        names.show_table(table)
    };
    format!("resubmit({port},{table}{})", if ct { ",ct" } else { "" })
}

/// One action.
pub fn format_action(a: &Action, names: &Names) -> String {
    use Action::*;
    match a {
        Output { port, max_len } => {
            let mut out = names.show_port(*port);
            if *port < OfPort::MAX {
                out.insert_str(0, "output:");
            }
            if *port == OfPort::CONTROLLER {
                out.push_str(&format!(":{max_len}"));
            }
            out
        }
        OutputReg { src, .. } => format!("output:{}", format_subfield(*src)),
        OutputTrunc { port, max_len } => {
            format!("output(port={},max_len={max_len})", names.show_port(*port))
        }
        Controller(c) => show_controller(c),
        Enqueue { port, queue } => format!("enqueue:{}:{queue}", names.show_port(*port)),
        Group(id) => format!("group:{}", group_name(*id)),
        Bundle(b) => show_bundle(b, names),
        SetField {
            field,
            value,
            mask,
            form,
        } => show_set_field(*field, *value, *mask, *form, names),
        SetVlanVid { vid, push, .. } => {
            format!("{}_vlan_vid:{vid}", if *push { "mod" } else { "set" })
        }
        SetVlanPcp { pcp, push, .. } => {
            format!("{}_vlan_pcp:{pcp}", if *push { "mod" } else { "set" })
        }
        StripVlan { new_form: true } => "pop_vlan".into(),
        StripVlan { new_form: false } => "strip_vlan".into(),
        PushVlan { ethertype } => format!("push_vlan:{ethertype:#x}"),
        SetEthSrc(m) => format!("mod_dl_src:{}", show_mac(mac_number(m))),
        SetEthDst(m) => format!("mod_dl_dst:{}", show_mac(mac_number(m))),
        SetIpv4Src(a) => format!("mod_nw_src:{a}"),
        SetIpv4Dst(a) => format!("mod_nw_dst:{a}"),
        SetIpDscp(d) => format!("mod_nw_tos:{d}"),
        SetIpEcn(e) => format!("mod_nw_ecn:{e}"),
        SetIpTtl(t) => format!("mod_nw_ttl:{t}"),
        SetL4SrcPort { port, .. } => format!("mod_tp_src:{port}"),
        SetL4DstPort { port, .. } => format!("mod_tp_dst:{port}"),
        RegMove { src, dst } => {
            format!("move:{}->{}", format_subfield(*src), format_subfield(*dst))
        }
        StackPush(sf) => format!("push:{}", format_subfield(*sf)),
        StackPop(sf) => format!("pop:{}", format_subfield(*sf)),
        DecTtl(None) => "dec_ttl".into(),
        DecTtl(Some(ids)) => {
            let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
            format!("dec_ttl({})", ids.join(","))
        }
        SetMplsLabel(n) => format!("set_mpls_label({n})"),
        SetMplsTc(n) => format!("set_mpls_tc({n})"),
        SetMplsTtl(n) => format!("set_mpls_ttl({n})"),
        DecMplsTtl => "dec_mpls_ttl".into(),
        PushMpls(t) => format!("push_mpls:0x{t:04x}"),
        PopMpls(t) => format!("pop_mpls:0x{t:04x}"),
        DecNshTtl => "dec_nsh_ttl".into(),
        DeleteField(f) => format!("delete_field:{}", f.row().name),
        Encap { ethertype, props } => show_encap(*ethertype, props),
        Decap {
            packet_type: 0xfffe,
        } => "decap()".into(),
        Decap { packet_type } => format!(
            "decap(packet_type(ns={},type={}))",
            packet_type >> 16,
            alt_hex(u64::from(packet_type & 0xffff))
        ),
        SetTunnel { id, wide } => {
            let wide = *wide || u32::try_from(*id).is_err();
            format!(
                "set_tunnel{}:{}",
                if wide { "64" } else { "" },
                alt_hex(*id)
            )
        }
        SetQueue(q) => format!("set_queue:{q}"),
        PopQueue => "pop_queue".into(),
        FinTimeout { idle, hard } => {
            let mut parts = Vec::new();
            if *idle != 0 {
                parts.push(format!("idle_timeout={idle}"));
            }
            if *hard != 0 {
                parts.push(format!("hard_timeout={hard}"));
            }
            format!("fin_timeout({})", parts.join(","))
        }
        Resubmit {
            in_port, table, ct, ..
        } => show_resubmit(*in_port, *table, *ct, names),
        Learn(l) => format_learn(l, names),
        Conjunction {
            id,
            clause,
            n_clauses,
        } => {
            format!("conjunction({id},{}/{n_clauses})", u16::from(*clause) + 1)
        }
        Multipath(m) => format!(
            "multipath({},{},{},{},{},{})",
            m.fields.name(),
            m.basis,
            ALGORITHMS
                .get(usize::from(m.algorithm))
                .unwrap_or(&"<unknown>"),
            u32::from(m.max_link) + 1,
            m.arg,
            format_subfield(m.dst)
        ),
        Note(data) => format!("note:{}", hex_bytes(data, ".")),
        Exit => "exit".into(),
        Sample(s) => show_sample(s, names),
        Ct(ct) => show_ct(ct, names),
        CtClear => "ct_clear".into(),
        Nat(n) => show_nat(n),
        Clone(list) => format!("clone({})", format_actions(list, names)),
        CheckPktLarger { len, dst } => {
            format!("check_pkt_larger({len})->{}", format_subfield(*dst))
        }
        DebugRecirc => "debug_recirc".into(),
        DebugSlow => "debug_slow".into(),
        Meter(id) => format!("meter:{id}"),
        ClearActions => "clear_actions".into(),
        WriteActions(list) => format!("write_actions({})", format_actions(list, names)),
        WriteMetadata { value, mask } => {
            let mut out = format!("write_metadata:{}", alt_hex(*value));
            if *mask != u64::MAX {
                out.push_str(&format!("/{}", alt_hex(*mask)));
            }
            out
        }
        GotoTable(t) => format!("goto_table:{}", names.show_table(*t)),
    }
}

fn mac_number(m: &[u8; 6]) -> u128 {
    m.iter().fold(0, |v, b| v << 8 | u128::from(*b))
}

/// A group's number, or ALL or ANY.
pub(crate) fn group_name(id: u32) -> String {
    match id {
        0xffff_fffc => "ALL".into(),
        u32::MAX => "ANY".into(),
        n => n.to_string(),
    }
}

/// A list of actions; an empty one is `drop`.
pub fn format_actions(actions: &[Action], names: &Names) -> String {
    if actions.is_empty() {
        return "drop".into();
    }
    let all: Vec<String> = actions.iter().map(|a| format_action(a, names)).collect();
    all.join(",")
}
