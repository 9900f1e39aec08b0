//! The text of datapath actions: `push_vlan(vid=5,pcp=0),2` (ovs-dpctl(8)).

use crate::{Action, DpPort, HashAlgorithm, UserCookie};
use packet::odp::set_member;

/// Shows steps. `port_name` gives a port's name, to be shown instead of its number; `v6` says that
/// the flow's packets are IPv6.
pub fn format_actions(
    actions: &[Action],
    v6: bool,
    port_name: &dyn Fn(DpPort) -> Option<String>,
) -> String {
    if actions.is_empty() {
        return "drop".into();
    }
    let mut parts = Vec::new();
    let mut rest = actions;
    while let Some(action) = rest.first() {
        let used = match action {
            Action::Set { .. } => format_set(rest, v6, &mut parts),
            _ => {
                parts.push(format_action(action, v6, port_name));
                1
            }
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    parts.join(",")
}

/// Neighbouring writes to one header are shown as one `set`.
fn format_set(actions: &[Action], v6: bool, parts: &mut Vec<String>) -> usize {
    let mut attr = None;
    let mut members = Vec::new();
    for action in actions {
        let Action::Set { field, value, mask } = action else {
            break;
        };
        let Some(m) = set_member(*field, *value, *mask, v6) else {
            if attr.is_none() {
                parts.push(format!("set({field}={value:#x}/{mask:#x})"));
                return 1;
            }
            break;
        };
        // `eth_type` and the like stand for themselves.
        if attr.is_some_and(|a| a != m.attr) {
            break;
        }
        attr = Some(m.attr);
        members.push(m.text);
    }
    if let Some(attr) = attr {
        parts.push(format!("set({attr}({}))", members.join(",")));
    }
    members.len().max(1)
}

fn format_action(
    action: &Action,
    v6: bool,
    port_name: &dyn Fn(DpPort) -> Option<String>,
) -> String {
    match action {
        Action::Output(port) => port_name(*port).unwrap_or_else(|| port.to_string()),
        Action::Set { .. } => String::new(),
        Action::PushVlan { tpid, tci } => {
            let tpid = if *tpid == 0x8100 {
                String::new()
            } else {
                format!("tpid=0x{tpid:04x},")
            };
            let cfi = if tci & 0x1000 == 0 { ",cfi=0" } else { "" };
            format!(
                "push_vlan({tpid}vid={},pcp={}{cfi})",
                tci & 0xfff,
                tci >> 13
            )
        }
        Action::PopVlan => "pop_vlan".into(),
        Action::PushMpls { ethertype, lse } => format!(
            "push_mpls(label={},tc={},ttl={},bos={},eth_type=0x{ethertype:x})",
            lse >> 12,
            lse >> 9 & 7,
            lse & 0xff,
            lse >> 8 & 1
        ),
        Action::PopMpls { ethertype } => format!("pop_mpls(eth_type=0x{ethertype:x})"),
        Action::Hash { algorithm, basis } => match algorithm {
            HashAlgorithm::L4 => format!("hash(hash_l4({basis}))"),
            HashAlgorithm::SymL4 => format!("hash(hash_sym_l4({basis}))"),
        },
        Action::Recirc(id) => format!("recirc({id})"),
        Action::Userspace(cookie) => format!("userspace(pid=0,{})", format_cookie(cookie)),
        Action::Truncate(len) => format!("trunc({len})"),
        Action::Clone(inner) => format!("clone({})", format_actions(inner, v6, port_name)),
        Action::Sample {
            probability,
            actions,
        } => {
            let percent = f64::from(*probability) * 100.0 / f64::from(u32::MAX);
            let inner = format_actions(actions, v6, port_name);
            format!("sample(sample={percent:.1}%,actions({inner}))")
        }
    }
}

fn format_cookie(cookie: &UserCookie) -> String {
    match cookie {
        UserCookie::SlowPath(reason) => format!("slow_path({})", reason.name()),
        UserCookie::Controller(c) => format!(
            "controller(reason={},dont_send=0,continuation=0,recirc_id={},rule_cookie={},\
             controller_id={},max_len={})",
            c.reason,
            c.recirc_id.0,
            if c.rule_cookie == 0 {
                "0".to_owned()
            } else {
                format!("{:#x}", c.rule_cookie)
            },
            c.controller_id,
            c.max_len
        ),
    }
}

/// Reads steps; `port` turns a port's name into its number. Steps that only the daemon makes
/// (`userspace`) cannot be read.
///
/// # Errors
/// The text from which on it could not be read.
pub fn parse_actions(
    text: &str,
    port: &dyn Fn(&str) -> Option<u32>,
) -> Result<Vec<Action>, String> {
    let text = text.trim();
    if text == "drop" || text.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for part in split(text) {
        let fail = || format!("syntax error at {part}");
        let (name, body) = match part.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(fail)?)),
            None => (part, None),
        };
        match (name, body) {
            ("pop_vlan", None) => out.push(Action::PopVlan),
            ("push_vlan", Some(body)) => {
                let member = |n: &str| member_number(body, n);
                let tpid = member("tpid").unwrap_or(0x8100);
                let tci = member("vid").unwrap_or(0) & 0xfff | member("pcp").unwrap_or(0) << 13;
                let present = if member("cfi") == Some(0) { 0 } else { 0x1000 };
                out.push(Action::PushVlan {
                    tpid: tpid as u16,
                    tci: (tci | present) as u16,
                });
            }
            ("push_mpls", Some(body)) => {
                let member = |n: &str| member_number(body, n).unwrap_or(0);
                let lse = member("label") << 12 | member("tc") << 9 | member("bos") << 8;
                let ethertype = member("eth_type") as u16;
                out.push(Action::PushMpls {
                    ethertype,
                    lse: lse | member("ttl") & 0xff,
                });
            }
            ("pop_mpls", Some(body)) => {
                let ethertype = member_number(body, "eth_type").ok_or_else(fail)? as u16;
                out.push(Action::PopMpls { ethertype });
            }
            ("recirc", Some(n)) => {
                out.push(Action::Recirc(crate::RecircId(number(n).ok_or_else(fail)?)));
            }
            ("trunc", Some(n)) => out.push(Action::Truncate(number(n).ok_or_else(fail)?)),
            ("clone", Some(body)) => out.push(Action::Clone(parse_actions(body, port)?)),
            ("set", Some(body)) => parse_set(body, &mut out).ok_or_else(fail)?,
            (name, None) => {
                let n = number(name).or_else(|| port(name)).ok_or_else(fail)?;
                out.push(Action::Output(DpPort(n)));
            }
            _ => return Err(fail()),
        }
    }
    Ok(out)
}

/// A write to one header, as one step a field.
fn parse_set(body: &str, out: &mut Vec<Action>) -> Option<()> {
    let (key, mask) = packet::odp::parse_flow(body, &|_| None).ok()?;
    let attr = body.split('(').next()?;
    let mut left = mask;
    for field in packet::FieldId::all() {
        let fits = field.row().odp.is_some_and(|o| {
            o.attr == attr || attr == "ipv6" && o.attr == "ipv4" && field.row().bits <= 8
        });
        let bits = left.get(field);
        if fits && bits != 0 {
            out.push(Action::Set {
                field,
                value: key.get(field) & bits,
                mask: bits,
            });
            field.set(&mut left.words, 0);
        }
    }
    Some(())
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn member_number(body: &str, name: &str) -> Option<u32> {
    let members = body.split(',').filter_map(|m| m.trim().split_once('='));
    members
        .filter(|(n, _)| *n == name)
        .find_map(|(_, v)| number(v))
}

/// Parts between commas that are not inside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    let parts = text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::FieldId;

    #[test]
    fn writes_to_one_header_are_one_set() {
        let set = |field: FieldId, value| Action::Set {
            field,
            value,
            mask: field.full(),
        };
        let actions = [
            set(FieldId::EthSrc, 1),
            set(FieldId::EthDst, 2),
            set(FieldId::Ipv4Dst, 0x0a00_0009),
            Action::PushVlan {
                tpid: 0x8100,
                tci: 0x3005,
            },
            Action::Output(DpPort(2)),
        ];
        assert_eq!(
            format_actions(&actions, false, &|_| None),
            "set(eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)),\
             set(ipv4(dst=10.0.0.9)),push_vlan(vid=5,pcp=1),2"
        );
        assert_eq!(format_actions(&[], false, &|_| None), "drop");
        let text = format_actions(&actions, false, &|_| None);
        assert_eq!(parse_actions(&text, &|_| None), Ok(actions.to_vec()));
        assert!(parse_actions("2,set(bogus(1))", &|_| None).is_err());
    }
}
