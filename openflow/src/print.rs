//! Whole messages as people read them: what `ovs-ofctl` prints.
//!
//! * `flows`: flow-mods, flow-removeds, monitors, packets; `ports`: ports and queues;
//!   `tables`: tables; `packet`: a frame in one line.

mod flows;
mod name_list;
mod packet;
mod ports;
mod tables;

pub use packet::{format_packet, format_state};

/// The features of tables, one behind the other.
pub fn format_table_features(all: &[crate::message::TableFeatures]) -> String {
    let mut s = String::new();
    tables::features(&mut s, all);
    s
}

use crate::error::DecodeError;
use crate::message::codec::decode;
use crate::message::*;
use crate::raw::{Header, frame};
use crate::text::{Names, hex_dump_ascii};
use crate::version::{Version, Versions};

/// The names of the bits that are set, lowest first; what has no name as a number.
pub(crate) fn bit_names(bits: u32, names: &[(u32, &str)], separator: char) -> String {
    if bits == 0 {
        return "0".into();
    }
    let mut left = bits;
    let mut parts = Vec::new();
    for i in 0..32 {
        let bit = 1u32 << i;
        let name = names.iter().find(|(b, _)| *b == bit);
        if let (true, Some((_, name))) = (bits & bit != 0, name) {
            parts.push(name.to_string());
            left &= !bit;
        }
    }
    if left != 0 {
        parts.push(format!("0x{left:x}"));
    }
    parts.join(&separator.to_string())
}

fn version_and_xid(h: &Header) -> String {
    let version = match h.version {
        1 => String::new(),
        2..=6 => format!(" (OF1.{})", h.version - 1),
        v => format!(" (OF 0x{v:02x})"),
    };
    format!("{version} (xid=0x{:x}):", h.xid.0)
}

/// A message with a line break at its end. `verbosity` 0 is terse, 3 and more shows wire forms.
pub fn format_message(bytes: &[u8], names: &Names, verbosity: u8) -> String {
    format_message_noted(bytes, names, verbosity).0
}

/// The same with what the log should have about it.
pub fn format_message_noted(
    bytes: &[u8],
    names: &Names,
    verbosity: u8,
) -> (String, Vec<crate::error::Note>) {
    let mut s = String::new();
    let mut notes = Vec::new();
    let len = bytes.len();
    if len == 0 {
        s.push_str("OpenFlow message is empty\n");
    } else if len < Header::LEN {
        s.push_str(&format!("OpenFlow packet too short (only {len} bytes):\n"));
    } else {
        let claimed = bytes
            .get(2..4)
            .map_or(0, |b| usize::from(b[0]) << 8 | usize::from(b[1]));
        if claimed > len {
            if let (Ok(kind), Ok(h)) = (crate::raw::kind_of(bytes), Header::parse(bytes)) {
                s.push_str(&format!("{}{}\n", kind.row().name, version_and_xid(&h)));
            }
            s.push_str(&format!(
                "(***truncated to {len} bytes from {claimed}***)\n"
            ));
        } else if claimed < len {
            s.push_str(&format!("(***only uses {claimed} bytes out of {len}***)\n"));
        } else {
            let failed = whole(bytes, names, verbosity, &mut s, &mut notes);
            if verbosity >= 5 || failed {
                newline(&mut s);
                s.push_str(&hex_dump_ascii(bytes, true));
            }
            newline(&mut s);
            return (s, notes);
        }
    }
    s.push_str(&hex_dump_ascii(bytes, true));
    (s, notes)
}

fn newline(s: &mut String) {
    if !s.is_empty() && !s.ends_with('\n') {
        s.push('\n');
    }
}

fn chomp(s: &mut String, c: char) {
    if s.ends_with(c) {
        s.pop();
    }
}

/// Appends a message whose length is right; true if it could not be read.
fn whole(
    bytes: &[u8],
    names: &Names,
    verbosity: u8,
    s: &mut String,
    notes: &mut Vec<crate::error::Note>,
) -> bool {
    let mut fail = |s: &mut String, e: DecodeError| {
        s.push_str(&format!("***decode error: {}***\n", e.error));
        notes.extend(e.notes);
        true
    };
    let f = match frame(bytes) {
        Ok(f) => f,
        Err(e) => return fail(s, e),
    };
    if let Ok(h) = Header::parse(bytes) {
        s.push_str(f.kind.row().name);
        s.push_str(&version_and_xid(&h));
    }
    let header_len = s.len();
    if f.kind.is_stats() && f.flags != 0 {
        let mut left = f.flags;
        s.push_str(" flags=");
        if (f.kind.is_stats_reply() || f.version >= 4) && left & 1 != 0 {
            s.push_str("[more]");
            left &= !1;
        }
        if left != 0 {
            s.push_str(&format!("[***unknown flags 0x{left:04x}***]"));
        }
    }
    match decode(bytes) {
        Ok((version, _, message)) => {
            let p = Printer {
                names,
                verbosity,
                version,
            };
            p.message(s, &message);
            chomp(s, ' ');
            false
        }
        Err(e) => {
            if s.len() > header_len {
                chomp(s, ' ');
                newline(s);
            } else {
                s.push(' ');
            }
            fail(s, e)
        }
    }
}

pub(super) struct Printer<'n> {
    names: &'n Names,
    verbosity: u8,
    version: Version,
}

const CAPABILITIES: [(u32, &str); 11] = [
    (1 << 0, "FLOW_STATS"),
    (1 << 1, "TABLE_STATS"),
    (1 << 2, "PORT_STATS"),
    (1 << 3, "STP"),
    (1 << 4, "GROUP_STATS"),
    (1 << 5, "IP_REASM"),
    (1 << 6, "QUEUE_STATS"),
    (1 << 7, "ARP_MATCH_IP"),
    (1 << 8, "PORT_BLOCKED"),
    (1 << 9, "BUNDLES"),
    (1 << 10, "FLOW_MONITORING"),
];

/// 1.0's actions, by their number, in the order in which they are listed.
const ACTIONS10: [(u32, &str); 12] = [
    (0, "output"),
    (11, "enqueue"),
    (1, "set_vlan_vid"),
    (2, "set_vlan_pcp"),
    (3, "strip_vlan"),
    (4, "mod_dl_src"),
    (5, "mod_dl_dst"),
    (6, "mod_nw_src"),
    (7, "mod_nw_dst"),
    (8, "mod_nw_tos"),
    (9, "mod_tp_src"),
    (10, "mod_tp_dst"),
];

/// How fragments are treated, as `get-frags` says it.
pub fn frag_name(frag: u8) -> &'static str {
    match frag {
        0 => "normal",
        1 => "drop",
        2 => "reassemble",
        _ => "nx-match",
    }
}

fn role_name(r: Role) -> &'static str {
    match r {
        Role::NoChange => "nochange",
        Role::Equal => "equal",
        Role::Primary => "primary",
        Role::Secondary => "secondary",
    }
}

/// The capabilities that a version has, with group statistics, which took the bit of spanning
/// trees in 1.1, under a bit of its own.
fn capabilities(n: u32, v: Version) -> u32 {
    let shared = n & 0x67;
    let groups = if n & 0x8 != 0 { 0x10 } else { 0 };
    match v {
        Version::Of10 => shared | n & 0x88,
        Version::Of11 => shared | groups | n & 0x80,
        Version::Of12 | Version::Of13 => shared | groups | n & 0x100,
        _ => shared | groups | n & 0x700,
    }
}

fn printable(data: &[u8]) -> String {
    let mut out = String::new();
    for b in data {
        match b {
            b'\\' => out.push_str("\\\\"),
            0x20..0x7f => out.push(*b as char),
            b => out.push_str(&format!("\\{b:03o}")),
        }
    }
    out
}

impl Printer<'_> {
    fn message(&self, s: &mut String, m: &Message) {
        use Message as M;
        match m {
            M::Hello { versions } => {
                s.push_str("\n version bitmap: ");
                s.push_str(&hello_versions(*versions));
            }
            M::Error(e) => self.error(s, e),
            M::EchoRequest(d) | M::EchoReply(d) => {
                s.push_str(&format!(" {} bytes of payload\n", d.len()));
                if self.verbosity > 1 {
                    s.push_str(&hex_dump_ascii(d, true));
                }
            }
            M::FeaturesReply(f) => self.features(s, f),
            M::GetConfigReply(c) | M::SetConfig(c) => {
                s.push_str(&format!(" frags={}", frag_name(c.frag)));
                if c.invalid_ttl_to_controller == Some(true) {
                    s.push_str(" invalid_ttl_to_controller");
                }
                s.push_str(&format!(" miss_send_len={}\n", c.miss_send_len));
            }
            M::PacketIn(p) | M::Resume(p) => self.packet_in(s, p),
            M::PacketOut(p) => self.packet_out(s, p),
            M::FlowMod(f) => self.flow_mod(s, f),
            M::FlowRemoved(f) => self.flow_removed(s, f),
            M::PortStatus(p) => {
                s.push_str(match p.reason {
                    PortReason::Add => " ADD:",
                    PortReason::Delete => " DEL:",
                    PortReason::Modify => " MOD:",
                });
                s.push_str(&ports::format_port(&p.port));
            }
            M::PortMod(p) => self.port_mod(s, p),
            M::TableMod(c) => self.table_mod(s, c),
            M::QueueConfigRequest { port, queue } => {
                s.push_str(&format!(" port={}", self.names.show_port(*port)));
                if *queue != QUEUE_ALL {
                    s.push_str(&format!(" queue={}", ports::queue_name(*queue)));
                }
            }
            M::QueueConfigReply { queues, .. } => self.queue_configs(s, queues),
            M::RoleRequest(r) | M::RoleReply(r) => {
                s.push_str(&format!(" role={}", role_name(r.role)));
                if let Some(g) = r.generation.filter(|g| *g != u64::MAX) {
                    s.push_str(&format!(" generation_id={g}"));
                }
            }
            M::RoleStatus(r) => {
                s.push_str(&format!(" role={}", role_name(r.role)));
                if r.generation != u64::MAX {
                    s.push_str(&format!(" generation_id={}", r.generation));
                }
                s.push_str(match r.reason {
                    0 => " reason=primary_request",
                    1 => " reason=configuration_changed",
                    2 => " reason=experimenter_data_changed",
                    _ => " reason=(unknown)",
                });
            }
            M::GetAsyncReply(c) | M::SetAsync { config: c, .. } => self.async_config(s, c),
            M::SetFlowFormat(n) => {
                let name = match n {
                    0 => "openflow10",
                    2 => "nxm",
                    _ => "(unknown)",
                };
                s.push_str(&format!(" format={name}"));
            }
            M::FlowModTableId(on) => s.push_str(if *on { " enable" } else { " disable" }),
            M::SetPacketInFormat(f) => s.push_str(match f {
                PacketInFormat::Standard => " format=standard",
                PacketInFormat::Nxt => " format=nxt_packet_in",
                PacketInFormat::Nxt2 => " format=nxt_packet_in2",
            }),
            M::SetControllerId(id) => s.push_str(&format!(" id={id}")),
            M::CtFlushZone(zone) => s.push_str(&format!(" zone_id={zone}")),
            M::TlvTableMod { command, maps } => {
                s.push_str(match command {
                    0 => "\n ADD",
                    1 => "\n DEL",
                    _ => "\n CLEAR",
                });
                if *command != 2 {
                    tlv_maps(s, maps);
                }
            }
            M::TlvTableReply { max_space, max_fields, maps } => {
                let used: usize = maps.iter().map(|m| usize::from(m.len)).sum();
                s.push_str(&format!(
                    "\n max option space={max_space} max fields={max_fields}\n allocated option \
                     space={used}\n\n"
                ));
                tlv_maps(s, maps);
            }
            M::BundleControl(b) => bundle_control(s, b),
            M::BundleAdd(b) => {
                s.push_str(&format!(
                    "\n bundle_id={} flags={}\n",
                    crate::text::alt_hex(u64::from(b.id)),
                    bit_names(u32::from(b.flags), &BUNDLE_FLAGS, ' ')
                ));
                s.push_str(&format_message(&b.message, self.names, self.verbosity));
            }
            M::FlowMonitorCancel(id) => s.push_str(&format!(" id={id}")),
            M::DescReply(d) => s.push_str(&format!(
                "\nManufacturer: {}\nHardware: {}\nSoftware: {}\nSerial Num: {}\nDP Description: {}\n",
                d.manufacturer, d.hardware, d.software, d.serial, d.datapath
            )),
            M::FlowStatsRequest(q) | M::AggregateRequest(q) => self.stats_request(s, q),
            M::FlowStatsReply { flows, .. } => {
                for f in flows {
                    s.push_str("\n ");
                    s.push_str(&crate::text::format_flow_stats(f, self.names, true));
                }
            }
            M::AggregateReply { stats, .. } => s.push_str(&format!(
                " packet_count={} byte_count={} flow_count={}",
                stats.packets.unwrap_or(u64::MAX),
                stats.bytes.unwrap_or(u64::MAX),
                stats.flows
            )),
            M::TableStatsReply { tables, .. } => tables::stats(s, tables),
            M::TableFeaturesRequest(t) | M::TableFeaturesReply { tables: t, .. } => {
                tables::features(s, t);
            }
            M::TableDescReply { tables, .. } => {
                for t in tables {
                    self.table_desc(s, t);
                }
            }
            M::PortStatsRequest(p) => {
                s.push_str(&format!(" port_no={}", self.names.show_port(*p)));
            }
            M::PortStatsReply { ports, .. } => self.port_stats(s, ports),
            M::QueueStatsRequest { port, queue } => s.push_str(&format!(
                " port={} queue={}",
                self.names.show_port(*port),
                ports::queue_name(*queue)
            )),
            M::QueueStatsReply { queues, .. } => self.queue_stats(s, queues),
            M::PortDescRequest(p) => {
                s.push_str(&format!(" port={}", self.names.show_port(*p)));
            }
            M::PortDescReply { ports, .. } => {
                s.push('\n');
                sorted_ports(s, ports);
            }
            M::MonitorRequest(all) => {
                for m in all {
                    self.monitor_request(s, m);
                }
            }
            M::MonitorReply { updates, .. } => {
                for u in updates {
                    self.flow_update(s, u);
                }
            }
            _ => {}
        }
    }

    fn error(&self, s: &mut String, e: &ErrorMsg) {
        match e.error {
            ErrorCode::Known(error) => {
                s.push_str(&format!(" {error}\n"));
                if error.name().starts_with("OFPHFC_") {
                    s.push_str(&printable(&e.data));
                } else {
                    s.push_str(&format_message(&e.data, self.names, 1));
                }
            }
            ErrorCode::Unknown { .. } => s.push_str(" ***decode error: OFPBRC_BAD_LEN***\n"),
        }
    }

    fn features(&self, s: &mut String, f: &Features) {
        s.push_str(&format!(" dpid:{:016x}\n", f.datapath_id));
        s.push_str(&format!(
            "n_tables:{}, n_buffers:{}",
            f.n_tables, f.n_buffers
        ));
        if f.auxiliary_id != 0 {
            s.push_str(&format!(", auxiliary_id:{}", f.auxiliary_id));
        }
        let known = capabilities(f.capabilities, self.version);
        s.push_str(&format!(
            "\ncapabilities: {}\n",
            bit_names(known, &CAPABILITIES, ' ')
        ));
        let actions: Vec<&str> = ACTIONS10
            .iter()
            .filter(|(bit, _)| self.version == Version::Of10 && f.actions & 1 << bit != 0)
            .map(|(_, n)| *n)
            .collect();
        if !actions.is_empty() {
            s.push_str(&format!("actions: {}\n", actions.join(" ")));
        }
        sorted_ports(s, &f.ports);
    }

    fn async_config(&self, s: &mut String, c: &AsyncConfig) {
        const TYPES: [(&str, &[&str]); 6] = [
            (
                "PACKET_IN",
                &[
                    "no_match",
                    "action",
                    "invalid_ttl",
                    "action_set",
                    "group",
                    "packet_out",
                ],
            ),
            ("PORT_STATUS", &["add", "delete", "modify"]),
            (
                "FLOW_REMOVED",
                &[
                    "idle",
                    "hard",
                    "delete",
                    "group_delete",
                    "meter_delete",
                    "eviction",
                ],
            ),
            (
                "ROLE_STATUS",
                &["primary_request", "config_change", "experimenter_data"],
            ),
            ("TABLE_STATUS", &["", "", "", "vacancy_down", "vacancy_up"]),
            (
                "REQUESTFORWARD",
                &["group_mod_request", "meter_mod_request"],
            ),
        ];
        for (title, side) in [("primary", &c.primary), ("secondary", &c.secondary)] {
            s.push_str(&format!("\n {title}:\n"));
            for ((name, reasons), bits) in TYPES.iter().zip(side.iter()) {
                let bits = bits.unwrap_or(0);
                let named: Vec<String> = (0..32)
                    .filter(|i| bits & 1 << i != 0)
                    .filter_map(|i| reasons.get(i).filter(|n| !n.is_empty()))
                    .map(|n| n.to_string())
                    .collect();
                let shown = if named.is_empty() {
                    "(off)".to_string()
                } else {
                    named.join(" ")
                };
                s.push_str(&format!("{name:>16}: {shown}\n"));
            }
        }
        chomp(s, '\n');
    }
}

/// Ports in the order of their numbers.
fn sorted_ports(s: &mut String, all: &[PhyPort]) {
    let mut all: Vec<&PhyPort> = all.iter().collect();
    all.sort_by_key(|p| p.port);
    for p in all {
        s.push_str(&ports::format_port(p));
    }
}

const BUNDLE_FLAGS: [(u32, &str); 2] = [(1, "atomic"), (2, "ordered")];

fn bundle_control(s: &mut String, b: &BundleControl) {
    let kind = match b.kind {
        0 => "OPEN_REQUEST",
        1 => "OPEN_REPLY",
        2 => "CLOSE_REQUEST",
        3 => "CLOSE_REPLY",
        4 => "COMMIT_REQUEST",
        5 => "COMMIT_REPLY",
        6 => "DISCARD_REQUEST",
        7 => "DISCARD_REPLY",
        _ => "",
    };
    s.push_str(&format!(
        "\n bundle_id={} type={kind} flags={}",
        crate::text::alt_hex(u64::from(b.id)),
        bit_names(u32::from(b.flags), &BUNDLE_FLAGS, ' ')
    ));
}

fn tlv_maps(s: &mut String, maps: &[TlvMap]) {
    s.push_str(" mapping table:\n");
    s.push_str("  class  type  length  match field\n");
    s.push_str(" ------  ----  ------  --------------");
    for m in maps {
        let hex = |n: u16| {
            if n == 0 {
                "0".to_string()
            } else {
                format!("{n:#x}")
            }
        };
        s.push_str(&format!(
            "\n {:>6}  {:>4}  {:>6}  tun_metadata{}",
            hex(m.class),
            hex(u16::from(m.kind)),
            m.len,
            m.index
        ));
    }
}

/// A hello's versions as wire numbers.
fn hello_versions(v: Versions) -> String {
    let all: Vec<String> = (0..32u32)
        .filter(|i| v.0 & 1 << i != 0)
        .map(|i| format!("0x{i:02x}"))
        .collect();
    all.join(", ")
}
