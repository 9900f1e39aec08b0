//! The text of actions: read and written again, or put into an order that says what happens under
//! each tag. Tests compare switches by it.

use super::session::{Failed, Session, Why};
use hal::Action;
use packet::{FieldId, PacketKey, slots};
use std::collections::BTreeMap;

pub(super) fn parse(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    for text in words {
        let Ok(actions) = hal::text::parse_actions(text, &|_| None) else {
            return Err(session.error("odp_actions_from_string", Why::Invalid));
        };
        let v6 = text.contains("ipv6(");
        session.line(hal::text::format_actions(&actions, v6, &|_| None));
    }
    Ok(())
}

/// VLAN tags, the outermost first: type and control information.
type Tags = Vec<(u16, u16)>;

fn tags_of(key: &PacketKey) -> Tags {
    let words = key.expand();
    let slots = [
        (slots::VLAN_TPID, slots::VLAN_TCI),
        (slots::VLAN2_TPID, slots::VLAN2_TCI),
    ];
    let tags = slots.map(|(tpid, tci)| (tpid.get(&words) as u16, tci.get(&words) as u16));
    tags.into_iter().filter(|(_, tci)| *tci != 0).collect()
}

/// `vlan(vid=9,pcp=0): `, or `no vlan: `.
fn tags_text(tags: &Tags) -> String {
    if tags.is_empty() {
        return "no vlan: ".into();
    }
    let tag = |(tpid, tci): &(u16, u16)| {
        let tpid = match tpid {
            0x8100 => String::new(),
            other => format!("tpid=0x{other:04x},"),
        };
        format!("vlan({tpid}vid={},pcp={}): ", tci & 0xfff, tci >> 13)
    };
    tags.iter().map(tag).collect()
}

fn mpls_text(key: &PacketKey) -> String {
    if !matches!(key.get(FieldId::EthType), 0x8847 | 0x8848) {
        return "no mpls: ".into();
    }
    let get = |f| key.get(f);
    format!(
        "mpls(label={},tc={},ttl={}): ",
        get(FieldId::MplsLabel),
        get(FieldId::MplsTc),
        get(FieldId::MplsTtl)
    )
}

/// Neighbouring outputs are sorted by port: their order makes no difference.
fn sort_outputs(actions: &mut [Action]) {
    let is_output = |a: &Action| matches!(a, Action::Output(_));
    for run in actions.chunk_by_mut(|a, b| is_output(a) && is_output(b)) {
        run.sort_by_key(|a| match a {
            Action::Output(port) => Some(*port),
            _ => None,
        });
    }
}

pub(super) fn normalize(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let [flow, actions, names @ ..] = words else {
        return Err(Failed);
    };
    let mut ports = BTreeMap::new();
    for word in names {
        let named = word.split_once('=');
        let number = named.and_then(|(name, n)| Some((name, n.parse::<u32>().ok()?)));
        let Some((name, number)) = number else {
            return Err(session.complain(format_args!("{word}: expected NAME=NUMBER")));
        };
        ports.insert(name, number);
    }
    let port = |name: &str| ports.get(name).copied();
    let key = match packet::odp::parse_flow(flow, &port) {
        Ok((key, _)) => key,
        Err(why) => {
            let what = format!("odp_flow_key_from_string ({why})");
            return Err(session.error(what, Why::Invalid));
        }
    };
    session.line(format_args!(
        "input flow: {}",
        packet::odp::format_key(&key, None)
    ));
    let Ok(actions) = hal::text::parse_actions(actions, &port) else {
        return Err(session.error("odp_actions_from_string", Why::Invalid));
    };
    let v6 = key.get(FieldId::EthType) == 0x86dd;
    let text = |actions: &[Action]| hal::text::format_actions(actions, v6, &|_| None);
    if session.params.more {
        session.line(format_args!("input actions: {}", text(&actions)));
    }
    let mut tags = tags_of(&key);
    let mut by_tags: BTreeMap<Tags, Vec<Action>> = BTreeMap::new();
    for action in actions {
        match action {
            Action::PushVlan { tpid, tci } => tags.insert(0, (tpid, tci)),
            Action::PopVlan if tags.is_empty() => {}
            Action::PopVlan => {
                tags.remove(0);
            }
            other => by_tags.entry(tags.clone()).or_default().push(other),
        }
    }
    for (tags, mut actions) in by_tags {
        sort_outputs(&mut actions);
        session.lines += &format!("{}{}{}", tags_text(&tags), mpls_text(&key), text(&actions));
    }
    Ok(())
}
