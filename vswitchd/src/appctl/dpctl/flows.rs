//! Flows of a datapath, one at a time or all of them.

use super::session::{Dp, DpName, Failed, Session, Why};
use crate::text::flow_stats;
use clock::Time;
use hal::{Action, DpPort, FlowEntry, FlowPut, FlowStats, Ufid};
use openflow::OfPort;
use packet::odp::FlowText;
use packet::{FieldId, FlowMask, FlowState, PacketKey};
use std::collections::BTreeMap;

/// How a flow is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowLayout {
    /// Everything: masks of zero, the identifier, where the flow lives.
    pub(crate) more: bool,
    /// Ports by name.
    pub(crate) names: bool,
}

/// A flow's key and mask, and its actions.
fn key_and_actions(
    flow: &FlowPut,
    names: &BTreeMap<u32, String>,
    layout: FlowLayout,
) -> (String, String) {
    let port = |n: u32| names.get(&n).filter(|_| layout.names).cloned();
    let shown = FlowText {
        key: &flow.key.expand(),
        mask: Some(&flow.mask),
        verbose: layout.more,
        port_name: &port,
    };
    let v6 = flow.key.get(FieldId::EthType) == 0x86dd;
    let actions = hal::text::format_actions(&flow.actions, v6, &|p: DpPort| port(p.0));
    (shown.to_string(), actions)
}

/// A flow in a line. `names` are the ports', `place` is where the flow lives.
fn flow_text(
    entry: &FlowEntry,
    names: &BTreeMap<u32, String>,
    place: Option<&offload::Placement>,
    layout: FlowLayout,
    now: Time,
) -> String {
    let (shown, actions) = key_and_actions(&entry.flow, names, layout);
    let stats = flow_stats(&entry.stats, now);
    if !layout.more {
        return format!("{shown}, {stats}, actions:{actions}");
    }
    let place = match place {
        Some(offload::Placement::Hardware { .. }) => "offloaded:yes, dp:hal",
        _ => "dp:ovs",
    };
    let ufid = entry.flow.ufid;
    format!("ufid:{ufid}, {shown}, {stats}, {place}, actions:{actions}")
}

/// The same as `dpif/dump-flows` has it: where the flow lives is not the bridge's business.
pub(crate) fn flow_text_of_bridge(
    entry: &FlowEntry,
    names: &BTreeMap<u32, String>,
    layout: FlowLayout,
    now: Time,
) -> String {
    let (shown, actions) = key_and_actions(&entry.flow, names, layout);
    let stats = flow_stats(&entry.stats, now);
    let ufid = match layout.more {
        true => format!("ufid:{} ", entry.flow.ufid),
        false => String::new(),
    };
    format!("{ufid}{shown}, {stats}, actions:{actions}")
}

/// Which flows a dump shows.
#[derive(Default)]
struct Wanted {
    software: bool,
    hardware: bool,
}

impl Wanted {
    /// A list of types. A flow is in hardware whole or not at all, so none is there in part.
    fn read(types: Option<&str>) -> Result<Wanted, String> {
        let mut wanted = Wanted::default();
        let types = types.unwrap_or("all");
        for kind in types.split(',').filter(|t| !t.is_empty()) {
            match kind {
                "all" => (wanted.software, wanted.hardware) = (true, true),
                "ovs" | "non-offloaded" => wanted.software = true,
                "offloaded" | "dpdk" | "tc" => wanted.hardware = true,
                "partially-offloaded" => {}
                other => return Err(format!("Failed to parse type ({other})")),
            }
        }
        Ok(wanted)
    }

    fn shows(&self, place: Option<&offload::Placement>) -> bool {
        match place {
            Some(offload::Placement::Hardware { .. }) => self.hardware,
            _ => self.software,
        }
    }
}

pub(super) fn dump(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let mut words = words.to_vec();
    let (mut filter, mut types, mut thread) = (None, None, None);
    while let Some(last) = words.last() {
        if let Some(text) = last.strip_prefix("filter=").filter(|_| filter.is_none()) {
            filter = Some(text);
        } else if let Some(text) = last.strip_prefix("type=").filter(|_| types.is_none()) {
            types = Some(text);
        } else if let Some(text) = last.strip_prefix("pmd=") {
            let n = text.parse::<i32>().ok().filter(|n| *n >= -1);
            thread = Some(n.ok_or(Failed)?);
        } else {
            break;
        }
        words.pop();
    }
    let (name, _) = session.choose(&words, 0)?;
    let now = session.switch.clock().now();
    let layout = FlowLayout {
        more: session.params.more,
        names: session.params.names,
    };
    let names = session.open(&name)?.ports_by_number();
    let filter = match filter.map(|text| parse_filter(text, &names)).transpose() {
        Ok(filter) => filter,
        Err(why) => return Err(session.error("Failed to parse filter", why)),
    };
    let wanted = Wanted::read(types).map_err(|what| session.error(what, Why::Invalid))?;
    // All flows are in every thread, and shown as the main thread's.
    if thread.is_some_and(|n| n != -1) {
        return Ok(());
    }
    let mut dp = session.open(&name)?;
    dp.refresh();
    let mut out = String::new();
    for entry in dp.fabric().flows() {
        let place = dp.placement(entry.flow.ufid);
        let passes = |f: &packet::Match| f.matches(&FlowState::from_key(&entry.flow.key));
        if wanted.shows(place.as_ref()) && filter.as_ref().is_none_or(passes) {
            out += &flow_text(&entry, &names, place.as_ref(), layout, now);
            out.push('\n');
        }
    }
    if !out.is_empty() && thread.is_none() {
        session.line("flow-dump from the main thread:");
    }
    session.lines += &out;
    Ok(())
}

/// Reads an OpenFlow match whose ports are the datapath's.
pub(crate) fn parse_filter(
    text: &str,
    ports: &BTreeMap<u32, String>,
) -> Result<packet::Match, String> {
    let mut names = openflow::text::Names::default();
    for (number, name) in ports {
        names.add_port(OfPort(*number), name);
    }
    let parsed = openflow::text::parse_flow_stats_request(text, &names);
    parsed.map(|p| p.0.matching).map_err(|e| e.to_string())
}

/// `ufid:...` before a flow.
fn split_ufid(text: &str) -> Result<(Option<Ufid>, &str), Failed> {
    let text = text.trim_start();
    let Some(rest) = text.strip_prefix("ufid:") else {
        return Ok((None, text));
    };
    let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
    let ufid = rest[..end].parse().map_err(|_| Failed)?;
    Ok((Some(ufid), rest[end..].trim_start_matches([',', ' ', '\t'])))
}

/// A flow as its text says it, with the identifier that it has or will have.
struct Named {
    ufid: Ufid,
    given: bool,
    key: PacketKey,
    mask: FlowMask,
}

fn parse(session: &mut Session<'_>, dp: &DpName, text: &str) -> Result<Named, Failed> {
    let Ok((given, flow)) = split_ufid(text) else {
        return Err(session.error("parsing flow ufid", Why::Invalid));
    };
    let ports = session.open(dp)?.ports_by_name();
    let parsed = packet::odp::parse_flow(flow, &|n| ports.get(n).copied());
    let (key, mut mask) = match parsed {
        Ok(parsed) => parsed,
        Err(why) => {
            let what = format!("parsing flow key ({why})");
            return Err(session.error(what, Why::Invalid));
        }
    };
    // Every lookup begins with the recirculation id, so every flow says which it is for.
    mask.add_all(FieldId::RecircId);
    Ok(Named {
        ufid: given.unwrap_or_else(|| crate::backer::flow_id(&key, &mask)),
        given: given.is_some(),
        key,
        mask,
    })
}

/// What happens if the flow is there already, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It must be new.
    Create,
    /// It must be there, unless it may be created.
    Modify {
        /// It may be new.
        create: bool,
    },
}

pub(super) fn add(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    put_words(session, words, Put::Create)
}

pub(super) fn modify(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let create = session.params.may_create;
    put_words(session, words, Put::Modify { create })
}

fn put_words(session: &mut Session<'_>, words: &[&str], how: Put) -> Result<(), Failed> {
    match session.choose(words, 2)? {
        (dp, [flow, actions]) => put(session, &dp, flow, actions, how),
        _ => Err(session.error("datapath not found", Why::Invalid)),
    }
}

pub(super) fn put(
    session: &mut Session<'_>,
    dp: &DpName,
    flow: &str,
    actions: &str,
    how: Put,
) -> Result<(), Failed> {
    let named = parse(session, dp, flow)?;
    let Ok(actions) = hal::text::parse_actions(actions, &|_| None) else {
        return Err(session.error("parsing actions", Why::Invalid));
    };
    let now = session.switch.clock().now();
    let params = session.params;
    match put_parsed(&mut session.open(dp)?, named, actions, how, params.clear) {
        Ok(stats) if params.statistics => session.line(flow_stats(&stats, now)),
        Ok(_) => {}
        Err(why) => return Err(session.error("updating flow table", why)),
    }
    Ok(())
}

/// Puts a flow; answers what it had carried before.
fn put_parsed(
    dp: &mut Dp<'_>,
    named: Named,
    actions: Vec<Action>,
    how: Put,
    clear: bool,
) -> Result<FlowStats, Why> {
    if named.mask.get(FieldId::InPortOxm) != FieldId::InPortOxm.full() {
        let how = match how {
            Put::Modify { create: false } => "[modify]",
            _ => "[create]",
        };
        tracing::error!(target: "dpif_netdev",
            "failed to put{how} flow: in_port is not an exact match");
        return Err(Why::Invalid);
    }
    let before = dp.fabric().flow(named.ufid);
    match (&before, how) {
        (Some(_), Put::Create) => return Err(Why::Exists),
        (None, Put::Modify { create: false }) => return Err(Why::NoEntry),
        _ => {}
    }
    let fabric = dp.fabric_mut();
    let before = match before {
        Some(_) if clear => fabric.remove_flow(named.ufid).unwrap_or_default(),
        Some(entry) => entry.stats,
        None => FlowStats::default(),
    };
    let put = FlowPut {
        ufid: named.ufid,
        key: named.key,
        mask: named.mask,
        actions: actions.into(),
    };
    fabric.put_flow(put).map_err(|e| Why::from(&e))?;
    Ok(before)
}

pub(super) fn get(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let (name, words) = session.choose(words, 1)?;
    let ufid = match words {
        [text] => split_ufid(text).ok().and_then(|(ufid, _)| ufid),
        _ => None,
    };
    let Some(ufid) = ufid else {
        return Err(session.error("parsing flow ufid", Why::Invalid));
    };
    let layout = FlowLayout {
        more: session.params.more,
        names: session.params.names,
    };
    let now = session.switch.clock().now();
    let mut dp = session.open(&name)?;
    dp.refresh();
    let Some(entry) = dp.fabric().flow(ufid) else {
        return Err(session.error("getting flow", Why::NoEntry));
    };
    let names = dp.ports_by_number();
    let place = dp.placement(ufid);
    session.line(flow_text(&entry, &names, place.as_ref(), layout, now));
    Ok(())
}

pub(super) fn del(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    match session.choose(words, 1)? {
        (dp, [flow]) => del_one(session, &dp, flow),
        _ => Err(session.error("datapath not found", Why::Invalid)),
    }
}

pub(super) fn del_one(session: &mut Session<'_>, dp: &DpName, flow: &str) -> Result<(), Failed> {
    let named = parse(session, dp, flow)?;
    let now = session.switch.clock().now();
    let mut open = session.open(dp)?;
    open.refresh();
    // A flow is known by its identifier, or by its key alone: masks of the text do not matter.
    let same_key =
        |e: &FlowEntry| e.flow.key.masked(&e.flow.mask) == named.key.masked(&e.flow.mask);
    let by_key = || {
        let flows = open.fabric().flows();
        flows.into_iter().find(|e| !named.given && same_key(e))
    };
    let Some(entry) = open.fabric().flow(named.ufid).or_else(by_key) else {
        let failed = session.error("deleting flow", Why::NoEntry);
        if !named.given {
            session.line("Perhaps you need to specify a UFID?");
        }
        return Err(failed);
    };
    let ufid = entry.flow.ufid;
    if let Dp::Bridged(backer) = &mut open {
        backer.forget(ufid);
        backer.settle_offload();
    }
    let _ = open.fabric_mut().remove_flow(ufid);
    if session.params.statistics {
        session.line(flow_stats(&entry.stats, now));
    }
    Ok(())
}
