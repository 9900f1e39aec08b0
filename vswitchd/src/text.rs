//! Text that several rooms of the switch show.

use crate::table::Rule;
use openflow::text::{self, Names};

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
