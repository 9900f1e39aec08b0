//! Text that several rooms of the switch show.

use crate::table::Rule;
use clock::Time;
use hal::{FlowEntry, FlowStats};
use openflow::text::{self, Names};
use packet::FieldId;
use packet::odp::FlowText;

/// A rule as `ofproto/trace` shows it: match, priority and cookie.
pub fn rule_in_trace(rule: &Rule) -> String {
    let mut out = String::new();
    let wanted = rule.unpacked();
    if !wanted.is_any() {
        // The priority has its own place in the line.
        out += &text::format_match(&wanted, &Names::default(), 0x8000);
        out += ", ";
    }
    out += &format!("priority {}", rule.priority);
    if rule.cookie.0 != 0 {
        out += &format!(", cookie {:#x}", rule.cookie.0);
    }
    out
}

/// An action as OpenFlow text has it.
pub fn action(action: &openflow::Action) -> String {
    text::format_action(action, &Names::default())
}

/// A datapath flow with all that it matches, for the log.
pub fn flow(entry: &FlowEntry, now: Time) -> String {
    let flow = &entry.flow;
    let shown = FlowText {
        key: &flow.key.expand(),
        mask: Some(&flow.mask),
        verbose: true,
        port_name: &|_| None,
    };
    let v6 = flow.key.get(FieldId::EthType) == 0x86dd;
    let actions = hal::text::format_actions(&flow.actions, v6, &|_| None);
    let stats = flow_stats(&entry.stats, now);
    format!("ufid:{} {shown}, {stats}, actions:{actions}", flow.ufid)
}

/// What a datapath flow has counted: `packets:0, bytes:0, used:never`.
pub fn flow_stats(stats: &FlowStats, now: Time) -> String {
    let used = match stats.used {
        None => "never".into(),
        Some(t) => {
            let ms = (now - t).as_millis();
            format!("{}.{:03}s", ms / 1000, ms % 1000)
        }
    };
    let flags = tcp_flags(stats.tcp_flags);
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!(", flags:{flags}")
    };
    format!(
        "packets:{}, bytes:{}, used:{used}{flags}",
        stats.packets, stats.bytes
    )
}

/// TCP flags as tcpdump writes them: `SFP.`.
fn tcp_flags(flags: u16) -> String {
    const NAMES: [(u16, char); 8] = [
        (0x02, 'S'),
        (0x01, 'F'),
        (0x08, 'P'),
        (0x04, 'R'),
        (0x20, 'U'),
        (0x10, '.'),
        (0x40, 'E'),
        (0x80, 'C'),
    ];
    let mut out: String = NAMES
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, c)| *c)
        .collect();
    if flags & 0xf00 != 0 {
        out += &format!("[{:x}]", flags >> 8);
    }
    out
}
