//! Flow-mods, flow-removeds, monitors and packets.

use super::{Printer, bit_names, format_packet};
use crate::message::*;
use crate::port::OfPort;
use crate::text::{
    DEFAULT_PRIORITY, alt_hex, format_actions, format_duration, format_flow_flags, format_match,
    hex_dump, reason_name,
};
use crate::version::Version;

fn removed_reason(r: FlowRemovedReason) -> String {
    let name = match r.0 {
        0 => "idle",
        1 => "hard",
        2 => "delete",
        3 => "group_delete",
        4 => "meter_delete",
        5 => "eviction",
        n => return n.to_string(),
    };
    name.to_string()
}

const MONITOR_FLAGS: [(u32, &str); 7] = [
    (1 << 0, "initial"),
    (1 << 1, "add"),
    (1 << 2, "delete"),
    (1 << 3, "modify"),
    (1 << 4, "actions"),
    (1 << 5, "own"),
    (1 << 6, "only-own"),
];

impl Printer<'_> {
    pub(super) fn flow_mod(&self, s: &mut String, f: &FlowMod) {
        s.push_str(match f.command {
            FlowCommand::Add => " ADD",
            FlowCommand::Modify => " MOD",
            FlowCommand::ModifyStrict => " MOD_STRICT",
            FlowCommand::Delete => " DEL",
            FlowCommand::DeleteStrict => " DEL_STRICT",
        });
        if f.table.0 != 0 || self.names.has_table_name(f.table.0) {
            s.push_str(&format!(" table:{}", self.names.show_table(f.table.0)));
        }
        s.push(' ');
        let wire = self.verbosity >= 3 && self.version == Version::Of10 && f.nicira;
        if wire {
            let entries = crate::oxm::encode_nxm(&f.matching, f.cookie, f.cookie_mask);
            s.push_str(&crate::oxm::entries_to_string(&entries));
        } else {
            s.push_str(&format_match(&f.matching, self.names, f.priority));
        }
        if !s.ends_with(' ') {
            s.push(' ');
        }
        if f.new_cookie.0 != 0 && f.new_cookie.0 != u64::MAX {
            s.push_str(&format!("cookie:0x{:x} ", f.new_cookie.0));
        }
        if f.cookie_mask.0 != 0 {
            s.push_str(&format!(
                "cookie:0x{:x}/0x{:x} ",
                f.cookie.0, f.cookie_mask.0
            ));
        }
        for (name, value) in [
            ("idle", f.idle_timeout),
            ("hard", f.hard_timeout),
            ("importance", f.importance),
        ] {
            if value != 0 {
                s.push_str(&format!("{name}:{value} "));
            }
        }
        if wire && f.priority != DEFAULT_PRIORITY {
            s.push_str(&format!("pri:{} ", f.priority));
        }
        if f.buffer_id != NO_BUFFER {
            s.push_str(&format!("buf:0x{:x} ", f.buffer_id));
        }
        if f.out_port != OfPort::NONE {
            s.push_str(&format!("out_port:{} ", self.names.show_port(f.out_port)));
        }
        let mut flags = f.flags;
        if self.version <= Version::Of11 {
            // Those versions have no such flag: it only says what they always do.
            flags.0 &= !FlowFlags::RESET_COUNTS.0;
        }
        s.push_str(&format_flow_flags(flags));
        s.push_str("actions=");
        s.push_str(&format_actions(&f.actions, self.names));
    }

    pub(super) fn flow_removed(&self, s: &mut String, f: &FlowRemoved) {
        s.push(' ');
        s.push_str(&format_match(&f.matching, self.names, f.priority));
        s.push_str(&format!(" reason={}", removed_reason(f.reason)));
        if f.table != TableId::ALL {
            s.push_str(&format!(" table_id={}", self.names.show_table(f.table.0)));
        }
        if f.cookie.0 != 0 {
            s.push_str(&format!(" cookie:0x{:x}", f.cookie.0));
        }
        s.push_str(&format!(
            " duration{} idle{}",
            format_duration(f.duration),
            f.idle_timeout
        ));
        if f.hard_timeout != 0 {
            s.push_str(&format!(" hard{}", f.hard_timeout));
        }
        s.push_str(&format!(
            " pkts{} bytes{}\n",
            f.packets.unwrap_or(u64::MAX),
            f.bytes.unwrap_or(u64::MAX)
        ));
    }

    pub(super) fn stats_request(&self, s: &mut String, q: &FlowStatsRequest) {
        if q.table != TableId::ALL {
            s.push_str(&format!(" table={}", self.names.show_table(q.table.0)));
        }
        if q.out_port != OfPort::NONE {
            s.push_str(&format!(" out_port={}", self.names.show_port(q.out_port)));
        }
        s.push(' ');
        s.push_str(&format_match(&q.matching, self.names, DEFAULT_PRIORITY));
    }

    pub(super) fn packet_in(&self, s: &mut String, p: &PacketIn) {
        if p.table.0 != 0 || self.names.has_table_name(p.table.0) {
            s.push_str(&format!(" table_id={}", self.names.show_table(p.table.0)));
        }
        if p.cookie.0 != u64::MAX {
            s.push_str(&format!(" cookie=0x{:x}", p.cookie.0));
        }
        s.push_str(&format!(" total_len={} ", p.total_len));
        s.push_str(&format_match(&p.metadata, self.names, DEFAULT_PRIORITY));
        let reason = if matches!(p.reason, 6 | 7) {
            String::new()
        } else {
            reason_name(p.reason)
        };
        s.push_str(&format!(" (via {reason}) data_len={}", p.data.len()));
        let total = p.total_len as usize;
        if p.buffer_id == NO_BUFFER {
            s.push_str(" (unbuffered)");
            if total != p.data.len() {
                s.push_str(" (***total_len != data_len***)");
            }
        } else {
            s.push_str(&format!(" buffer=0x{:08x}", p.buffer_id));
            if total < p.data.len() {
                s.push_str(" (***total_len < data_len***)");
            }
        }
        s.push('\n');
        if !p.userdata.is_empty() {
            let bytes: Vec<String> = p.userdata.iter().map(|b| format!("{b:02x}")).collect();
            s.push_str(&format!(" userdata={}\n", bytes.join(".")));
        }
        if self.verbosity > 0 {
            s.push_str(&format_packet(&p.data));
        }
        if self.verbosity > 2 {
            s.push_str(&hex_dump(&p.data));
        }
    }

    pub(super) fn packet_out(&self, s: &mut String, p: &PacketOut) {
        s.push(' ');
        s.push_str(&format_match(&p.metadata, self.names, DEFAULT_PRIORITY));
        s.push_str(&format!(
            " actions={}",
            format_actions(&p.actions, self.names)
        ));
        if p.buffer_id != NO_BUFFER {
            s.push_str(&format!(" buffer=0x{:08x}", p.buffer_id));
            return;
        }
        s.push_str(&format!(" data_len={}", p.data.len()));
        if self.verbosity > 0 && !p.data.is_empty() {
            s.push('\n');
            s.push_str(&format_packet(&p.data));
        }
        if self.verbosity > 2 {
            s.push_str(&hex_dump(&p.data));
        }
    }

    pub(super) fn monitor_request(&self, s: &mut String, m: &MonitorRequest) {
        if m.command == 2 {
            s.push_str(&format!("\n id={} command=delete", m.id));
            return;
        }
        s.push_str(&format!(
            "\n id={} flags={}",
            m.id,
            bit_names(u32::from(m.flags), &MONITOR_FLAGS, ',')
        ));
        if m.out_port != OfPort::NONE {
            s.push_str(&format!(" out_port={}", self.names.show_port(m.out_port)));
        }
        if m.out_group != 0 && m.out_group != GROUP_ANY {
            s.push_str(&format!(" out_group={}", m.out_group));
        }
        if m.table != TableId::ALL {
            s.push_str(&format!(" table={}", self.names.show_table(m.table.0)));
        }
        s.push(' ');
        s.push_str(&format_match(&m.matching, self.names, DEFAULT_PRIORITY));
        super::chomp(s, ' ');
    }

    pub(super) fn flow_update(&self, s: &mut String, u: &FlowUpdate) {
        s.push_str("\n event=");
        let FlowUpdate::Full {
            event,
            reason,
            idle_timeout,
            hard_timeout,
            table,
            cookie,
            matching,
            actions,
            ..
        } = u
        else {
            match u {
                FlowUpdate::Abbreviated { xid } => s.push_str(&format!("ABBREV xid=0x{xid:x}")),
                FlowUpdate::Paused => s.push_str("PAUSED"),
                _ => s.push_str("RESUMED"),
            }
            return;
        };
        match event {
            0 => s.push_str("INITIAL"),
            1 => s.push_str("ADDED"),
            2 => s.push_str(&format!("DELETED reason={}", removed_reason(*reason))),
            _ => s.push_str("MODIFIED"),
        }
        s.push_str(&format!(" table={}", self.names.show_table(table.0)));
        if *idle_timeout != 0 {
            s.push_str(&format!(" idle_timeout={idle_timeout}"));
        }
        if *hard_timeout != 0 {
            s.push_str(&format!(" hard_timeout={hard_timeout}"));
        }
        s.push_str(&format!(" cookie={} ", alt_hex(cookie.0)));
        s.push_str(&format_match(matching, self.names, DEFAULT_PRIORITY));
        if !actions.is_empty() {
            if !s.ends_with(' ') {
                s.push(' ');
            }
            s.push_str(&format!("actions={}", format_actions(actions, self.names)));
        }
    }
}
