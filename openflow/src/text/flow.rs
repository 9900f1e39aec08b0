//! Whole flows in text: `table=1,priority=10,ip,nw_dst=10.0.0.0/8,actions=output:2`.

use super::field::parse_subfield;
use super::number::parse_int;
use super::{
    KeyValues, Names, format_actions, format_field, format_match, parse_field, parse_instructions,
    str_to_u16, str_to_u32, str_to_u64,
};
use crate::action::check::{Limits, check};
use crate::action::low_bits;
use crate::error::Note;
use crate::message::*;
use crate::oxm::{drop_implied_packet_type, set_in_match};
use crate::version::Protocols;
use packet::{FieldId, Match};

/// What a line of text is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseCommand {
    /// A flow-mod of this kind.
    Flow(FlowCommand),
    /// A flow-mod whose kind the line's first word says (`add`, `delete_strict`...), else `add`.
    Any,
    /// A filter for flow statistics.
    Stats,
}

/// A flow from text, with the protocols that can carry it.
#[derive(Clone, Debug)]
pub struct ParsedFlow {
    /// The flow.
    pub flow: FlowMod,
    /// Where it can be used.
    pub usable: Protocols,
    /// Lines for the log, at level WARN.
    pub notes: Vec<Note>,
}

const ANY: Protocols = Protocols::ANY;
const NXM_OXM: Protocols = Protocols::NXM_OXM_ANY;
const NXM_OF11: Protocols = Protocols(0x1fc);
const NONE: Protocols = Protocols::NONE;

/// The protocols that can match a field whole, by a prefix, by any bits.
pub(super) fn usable(field: FieldId) -> [Protocols; 3] {
    use FieldId::*;
    match field {
        TunTtl | TunTos | SkbPriority => [NONE; 3],
        Metadata => [NXM_OF11; 3],
        InPort | EthType | DlVlan | DlVlanPcp | VlanPcp | IpProto | IpDscp | IpDscpShifted
        | ArpOp | Icmpv4Type | Icmpv4Code => [ANY, NONE, NONE],
        InPortOxm | MplsLabel | MplsTc | IpEcn => [NXM_OF11, NONE, NONE],
        EthSrc | EthDst => [ANY, NXM_OF11, NXM_OF11],
        VlanTci | VlanVid | TcpSrc | TcpDst | UdpSrc | UdpDst => [ANY, NXM_OXM, NXM_OXM],
        Ipv4Src | Ipv4Dst | ArpSpa | ArpTpa => [ANY, ANY, NXM_OF11],
        SctpSrc | SctpDst => [NXM_OF11, NXM_OXM, NXM_OXM],
        f if f.is_maskable() => [NXM_OXM; 3],
        _ => [NXM_OXM, NONE, NONE],
    }
}

fn usable_masked(field: FieldId, mask: u128) -> Protocols {
    let [exact, cidr, bitwise] = usable(field);
    let ones = low_bits(field.row().bytes.saturating_mul(8));
    let mask = mask & ones;
    if mask == ones {
        exact
    } else if mask == 0 {
        ANY
    } else if field.row().bytes == 4 && (mask as u32).leading_ones() + mask.trailing_zeros() >= 32 {
        cidr
    } else {
        bitwise
    }
}

/// A protocol's word: Ethernet type and IP protocol.
fn protocol_word(name: &str) -> Option<(u16, u8)> {
    Some(match name {
        "ip" | "ipv4" | "ip4" => (0x0800, 0),
        "arp" => (0x0806, 0),
        "icmp" => (0x0800, 1),
        "tcp" => (0x0800, 6),
        "udp" => (0x0800, 17),
        "sctp" => (0x0800, 132),
        "ipv6" | "ip6" => (0x86dd, 0),
        "icmp6" => (0x86dd, 58),
        "tcp6" => (0x86dd, 6),
        "udp6" => (0x86dd, 17),
        "sctp6" => (0x86dd, 132),
        "rarp" => (0x8035, 0),
        "mpls" => (0x8847, 0),
        "mplsm" => (0x8848, 0),
        _ => return None,
    })
}

/// The field of a name in a match: names, aliases and wire names.
pub(super) fn field_by_name(name: &str) -> Option<FieldId> {
    FieldId::by_name(name).or_else(|| crate::oxm::by_wire_name(name))
}

fn match_field(
    m: &mut Match,
    field: FieldId,
    text: &str,
    names: &Names,
) -> Result<Protocols, String> {
    // Without a value the field is only named.
    let text = if text.is_empty() { "0/0" } else { text };
    let (value, mask) = parse_field(field, text, names)?;
    set_in_match(m, field, value, mask);
    Ok(usable_masked(field, mask))
}

fn match_subfield(m: &mut Match, name: &str, text: &str) -> Result<Protocols, String> {
    let sf = parse_subfield(name)?;
    let width = usize::from(sf.field.row().bytes);
    let value = match parse_int(text, width) {
        Ok((v, "")) => v,
        _ => return Err(format!("{name}: cannot parse integer value: {text}")),
    };
    if value & !low_bits(sf.bits) != 0 {
        let shown = format_field(sf.field, value, u128::MAX, &Names::none());
        return Err(format!(
            "{name}: value {shown} does not fit into {} bits",
            sf.bits
        ));
    }
    let (old, old_mask) = m.get(sf.field);
    let value = old & !sf.mask() | value << sf.ofs;
    let mask = old_mask | sf.mask();
    set_in_match(m, sf.field, value, mask);
    Ok(usable_masked(sf.field, mask))
}

struct Parser<'n> {
    fm: FlowMod,
    usable: Protocols,
    command: ParseCommand,
    names: &'n Names,
}

impl Parser<'_> {
    fn only(&mut self, p: Protocols) {
        self.usable = self.usable.and(p);
    }

    fn is(&self, all: &[FlowCommand]) -> bool {
        matches!(self.command, ParseCommand::Flow(c) if all.contains(&c))
    }

    fn may_time_out(&self) -> bool {
        use FlowCommand::*;
        self.is(&[Add, Modify, ModifyStrict])
    }

    fn flag(&mut self, name: &str) -> bool {
        if !self.may_time_out() {
            return false;
        }
        let flag = match name {
            "send_flow_rem" => FlowFlags::SEND_FLOW_REM,
            "check_overlap" => FlowFlags::CHECK_OVERLAP,
            "reset_counts" => {
                self.only(Protocols::OF12_UP);
                FlowFlags::RESET_COUNTS
            }
            "no_packet_counts" => {
                self.only(Protocols::OF13_UP);
                FlowFlags::NO_PKT_COUNTS
            }
            "no_byte_counts" => {
                self.only(Protocols::OF13_UP);
                FlowFlags::NO_BYT_COUNTS
            }
            _ => return false,
        };
        self.fm.flags = self.fm.flags.with(flag);
        true
    }

    fn cookie(&mut self, value: &str) -> Result<(), String> {
        use FlowCommand::*;
        if let Some((bits, mask)) = value.split_once('/') {
            if self.is(&[Add]) {
                return Err("flow additions cannot use a cookie mask".into());
            }
            self.fm.cookie = Cookie(str_to_u64(bits)?);
            self.fm.cookie_mask = Cookie(str_to_u64(mask)?);
            if self.fm.cookie_mask.0 != 0 {
                self.only(NXM_OF11);
            }
            return Ok(());
        }
        if !self.is(&[Add, Modify, ModifyStrict]) {
            return Err(format!(
                "cannot set cookie (to match on a cookie, specify a mask, e.g. cookie={value}/-1)"
            ));
        }
        self.fm.new_cookie = Cookie(str_to_u64(value)?);
        self.fm.modify_cookie = true;
        Ok(())
    }

    fn pair(&mut self, name: &str, value: &str) -> Result<(), String> {
        use FlowCommand::*;
        let names = self.names;
        if let Some((eth_type, proto)) = protocol_word(name) {
            self.fm.matching.set(FieldId::EthType, u128::from(eth_type));
            if proto != 0 {
                self.fm.matching.set(FieldId::IpProto, u128::from(proto));
            }
            return Ok(());
        }
        if name == "eth" {
            self.fm.matching.set(FieldId::PacketType, 0);
            return Ok(());
        }
        if self.flag(name) || matches!(name, "no_readonly_table" | "allow_hidden_fields") {
            return Ok(());
        }
        if let Some(field) = field_by_name(name) {
            let usable = match_field(&mut self.fm.matching, field, value, names)?;
            self.only(usable);
            return Ok(());
        }
        if name.contains('[') {
            let usable = match_subfield(&mut self.fm.matching, name, value)?;
            self.only(usable);
            return Ok(());
        }
        if value.is_empty() {
            return Err(format!("field {name} missing value"));
        }
        let stats = self.command == ParseCommand::Stats;
        let by_out = stats || self.is(&[Delete, DeleteStrict]);
        let by_priority = self.is(&[Add, Modify, ModifyStrict, DeleteStrict]);
        match name {
            "table" => {
                let table = names.table(value);
                self.fm.table = TableId(table.ok_or_else(|| format!("unknown table \"{value}\""))?);
                if self.fm.table != TableId::ALL {
                    self.only(Protocols::TABLES);
                }
            }
            "out_port" if by_out => {
                self.fm.out_port = names
                    .port(value)
                    .ok_or_else(|| format!("{value} is not a valid OpenFlow port"))?;
            }
            "out_group" if by_out => {
                self.only(Protocols::OF11_UP);
                self.fm.out_group = match value.to_ascii_lowercase().as_str() {
                    "any" => GROUP_ANY,
                    "all" => GROUP_ALL,
                    _ => str_to_u32(value)
                        .map_err(|_| format!("{value} is not a valid OpenFlow group"))?,
                };
            }
            "priority" if by_priority => self.fm.priority = str_to_u16(value, name)?,
            "idle_timeout" if self.may_time_out() => {
                self.fm.idle_timeout = str_to_u16(value, name)?;
            }
            "hard_timeout" if self.may_time_out() => {
                self.fm.hard_timeout = str_to_u16(value, name)?;
            }
            "importance" if self.is(&[Add]) => self.fm.importance = str_to_u16(value, name)?,
            "cookie" => self.cookie(value)?,
            // What `dump-flows` prints and nobody can set.
            "duration" | "n_packets" | "n_bytes" | "idle_age" | "hard_age" => {}
            _ => return Err(format!("unknown keyword {name}")),
        }
        Ok(())
    }
}

/// The command that a line begins with, and the rest of the line.
fn leading_command(text: &str) -> (FlowCommand, &str) {
    use FlowCommand::*;
    let text = text.trim_start_matches([' ', '\t', '\r', '\n']);
    let end = text
        .find([',', ' ', '\t', '\r', '\n'])
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let known = [
        ("add", Add),
        ("delete", Delete),
        ("delete_strict", DeleteStrict),
        ("modify", Modify),
        ("modify_strict", ModifyStrict),
    ];
    match known.iter().find(|(name, _)| name.starts_with(word)) {
        Some((_, command)) => (*command, rest),
        None => (Add, text),
    }
}

/// Splits a flow at its actions: what stands before `action...=`, and behind it.
fn split_actions(text: &str) -> (&str, Option<&str>) {
    match text.find("action") {
        None => (text, None),
        Some(at) => {
            let (before, rest) = text.split_at(at);
            (before, rest.split_once('=').map(|(_, actions)| actions))
        }
    }
}

/// Reads a flow.
pub fn parse_flow(text: &str, command: ParseCommand, names: &Names) -> Result<ParsedFlow, String> {
    use FlowCommand::*;
    let (command, text) = match command {
        ParseCommand::Any => {
            let (c, rest) = leading_command(text);
            (ParseCommand::Flow(c), rest)
        }
        c => (c, text),
    };
    let kind = match command {
        ParseCommand::Flow(c) => c,
        _ => Delete,
    };
    let mut p = Parser {
        fm: FlowMod::new(kind),
        usable: ANY,
        command,
        names,
    };
    if p.is(&[Modify, ModifyStrict]) {
        p.fm.new_cookie = Cookie(u64::MAX);
    }
    let wants_actions = p.may_time_out();
    let (head, actions) = if wants_actions {
        split_actions(text)
    } else {
        (text, None)
    };
    if wants_actions && actions.is_none() {
        return Err("must specify an action".into());
    }
    for (name, value) in KeyValues::new(head) {
        p.pair(name, value)?;
    }
    let m = &mut p.fm.matching;
    drop_implied_packet_type(m);
    let (packet_type, pt_mask) = m.get(FieldId::PacketType);
    if pt_mask != 0 && packet_type >> 16 == 1 {
        // A packet that begins with its network header still has that header's type.
        m.set(FieldId::EthType, packet_type & 0xffff);
    }
    if m.value().get(FieldId::EthType) == 0x86dd {
        use FieldId::*;
        let mut ports = [IpProto, IpDscp, IpEcn, TcpSrc, TcpDst].into_iter();
        if ports.any(|f| m.mask().get(f) != 0) {
            p.usable = p.usable.and(NXM_OXM);
        }
    }
    let unset = p.fm.cookie_mask.0 == 0 && p.fm.new_cookie.0 == u64::MAX;
    if unset && p.is(&[Modify, ModifyStrict]) {
        p.fm.new_cookie = Cookie(0);
    }
    let mut notes = Vec::new();
    if let Some(text) = actions {
        let mut parsed = parse_instructions(text, names)?;
        p.only(parsed.usable);
        let limits = Limits {
            table: p.fm.table.0,
            ..Limits::default()
        };
        let checked = check(&mut parsed.actions, &p.fm.matching, &limits);
        let error = match checked {
            Ok(usable) => {
                p.only(usable);
                p.usable
                    .is_empty()
                    .then_some(crate::error::OfError::OFPBAC_MATCH_INCONSISTENT)
            }
            Err(e) => {
                notes = e.notes;
                Some(e.error)
            }
        };
        if let Some(e) = error {
            return Err(format!("actions are invalid with specified match ({e})"));
        }
        p.fm.actions = parsed.actions;
    }
    Ok(ParsedFlow {
        flow: p.fm,
        usable: p.usable,
        notes,
    })
}

/// Reads what a packet is like: protocols and fields, without priority, table or actions. An error
/// says which field it is about if it can.
pub fn parse_packet(text: &str, names: &Names) -> Result<Match, String> {
    for (key, value) in KeyValues::new(text) {
        if protocol_word(key).is_some() {
            continue;
        }
        let field = field_by_name(key).ok_or_else(|| format!("unknown field {key}"))?;
        parse_field(field, value, names).map_err(|e| format!("bad value for {key} ({e})"))?;
    }
    let parsed = parse_flow(text, ParseCommand::Stats, names)?;
    Ok(parsed.flow.matching)
}

/// Reads a filter of `dump-flows` and the like.
pub fn parse_flow_stats_request(
    text: &str,
    names: &Names,
) -> Result<(FlowStatsRequest, Protocols), String> {
    let p = parse_flow(text, ParseCommand::Stats, names)?;
    let fm = p.flow;
    let mut usable = p.usable;
    for (tables, plain) in [(0x2, 0x1), (0x8, 0x4)] {
        if usable.0 & tables != 0 {
            usable = usable.or(Protocols(plain));
        }
    }
    let request = FlowStatsRequest {
        matching: fm.matching,
        cookie: fm.cookie,
        cookie_mask: fm.cookie_mask,
        out_port: fm.out_port,
        out_group: fm.out_group,
        table: fm.table,
        nicira: true,
    };
    Ok((request, usable))
}

/// Flags as words, each followed by a space.
pub fn format_flow_flags(flags: FlowFlags) -> String {
    let words = [
        (FlowFlags::SEND_FLOW_REM, "send_flow_rem "),
        (FlowFlags::CHECK_OVERLAP, "check_overlap "),
        (FlowFlags::RESET_COUNTS, "reset_counts "),
        (FlowFlags::NO_PKT_COUNTS, "no_packet_counts "),
        (FlowFlags::NO_BYT_COUNTS, "no_byte_counts "),
        (FlowFlags::HIDDEN_FIELDS, "allow_hidden_fields "),
        (FlowFlags::NO_READONLY, "no_readonly_table "),
    ];
    words
        .iter()
        .filter(|(f, _)| flags.has(*f))
        .map(|(_, w)| *w)
        .collect()
}

/// Seconds: three decimals if milliseconds say it all, else as many as needed.
pub(crate) fn format_duration(d: Duration) -> String {
    let mut out = d.sec.to_string();
    if d.nsec > 0 {
        if d.nsec.is_multiple_of(1_000_000) {
            out.push_str(&format!(".{:03}", d.nsec / 1_000_000));
        } else {
            out.push_str(format!(".{:09}", d.nsec).trim_end_matches('0'));
        }
    }
    out.push('s');
    out
}

/// Writes a flow as `dump-flows` does, without the leading space; `stats` adds counters and ages.
pub fn format_flow_stats(f: &FlowStats, names: &Names, stats: bool) -> String {
    let mut out = String::new();
    if stats || f.cookie.0 != 0 {
        out.push_str(&format!("cookie=0x{:x}, ", f.cookie.0));
    }
    if stats {
        out.push_str(&format!("duration={}, ", format_duration(f.duration)));
    }
    if stats || f.table.0 != 0 || names.has_table_name(f.table.0) {
        out.push_str(&format!("table={}, ", names.show_table(f.table.0)));
    }
    if stats {
        let count = |n: Option<u64>| n.map_or("?".to_string(), |n| n.to_string());
        out.push_str(&format!(
            "n_packets={}, n_bytes={}, ",
            count(f.packets),
            count(f.bytes)
        ));
    }
    if f.idle_timeout != 0 {
        out.push_str(&format!("idle_timeout={}, ", f.idle_timeout));
    }
    if f.hard_timeout != 0 {
        out.push_str(&format!("hard_timeout={}, ", f.hard_timeout));
    }
    out.push_str(&format_flow_flags(f.flags));
    if f.importance != 0 {
        out.push_str(&format!("importance={}, ", f.importance));
    }
    if let (true, Some(age)) = (stats, f.idle_age) {
        out.push_str(&format!("idle_age={age}, "));
    }
    if let (true, Some(age)) = (stats, f.hard_age)
        && u32::from(age) != f.duration.sec
    {
        out.push_str(&format!("hard_age={age}, "));
    }
    let m = format_match(&f.matching, names, f.priority);
    if !m.is_empty() {
        out.push_str(&m);
        out.push(' ');
    }
    out.push_str("actions=");
    out.push_str(&format_actions(&f.actions, names));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        let p = parse_flow(text, ParseCommand::Flow(FlowCommand::Add), &Names::none()).unwrap();
        let m = format_match(&p.flow.matching, &Names::none(), p.flow.priority);
        format!(
            "{m} actions={}",
            format_actions(&p.flow.actions, &Names::none())
        )
    }

    #[test]
    fn flows_read_back_as_they_were_written() {
        for text in [
            "in_port=1 actions=output:2",
            "priority=5,tcp,in_port=LOCAL,nw_src=10.0.0.0/8,tp_dst=80 actions=mod_nw_dst:10.0.0.9,output:2",
            "arp,arp_tpa=1.2.3.4 actions=drop",
            "dl_vlan=9,dl_src=00:11:22:33:44:55 actions=strip_vlan,NORMAL",
            "ct_state=-new+trk,ip,reg0=0x1/0xff actions=ct(commit,zone=5,nat(src=10.0.0.1)),resubmit(,3)",
            "tcp6,tcp_flags=+syn-ack actions=load:0x5->NXM_NX_REG0[0..7],goto_table:4",
        ] {
            assert_eq!(round(text), text);
        }
    }

    #[test]
    fn errors_are_the_lines_that_users_know() {
        let fail = |t: &str| {
            parse_flow(t, ParseCommand::Flow(FlowCommand::Add), &Names::none()).unwrap_err()
        };
        assert_eq!(fail("in_port=1"), "must specify an action");
        assert_eq!(fail("foo=1,actions=drop"), "unknown keyword foo");
        assert_eq!(fail("actions=xyzzy"), "unknown action xyzzy");
        assert_eq!(
            fail("actions=set_field:1.2.3.4->ip_src"),
            "actions are invalid with specified match (OFPBAC_MATCH_INCONSISTENT)"
        );
    }
}
