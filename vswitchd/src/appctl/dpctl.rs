//! `dpctl/*` and `dpif/*`: datapaths as they are (ovs-dpctl(8)).

use super::{Outcome, text};
use crate::backer::Backer;
use crate::switch::Switch;
use crate::world::{BridgeId, PortTarget};
use clock::Time;
use daemon::control::Format;
use hal::{DpPort, FlowEntry, FlowPut, FlowStats, Ufid};
use packet::FieldId;
use packet::odp::FlowText;

/// The name of a datapath: `system@ovs-system`.
fn dp_name(kind: &str) -> String {
    format!("{kind}@ovs-{kind}")
}

/// The datapath that `name` stands for: `TYPE@NAME`, `NAME`, or the only one.
fn find<'s>(
    switch: &'s mut Switch,
    name: Option<&str>,
) -> Result<(String, &'s mut Backer), String> {
    let kind = match name {
        Some(name) => {
            let kind = name.split('@').next().unwrap_or(name);
            kind.strip_prefix("ovs-").unwrap_or(kind).to_owned()
        }
        None if switch.backers.len() == 1 => {
            switch.backers.keys().next().cloned().unwrap_or_default()
        }
        None if switch.backers.is_empty() => return Err("no datapaths exist".into()),
        None => {
            return Err("multiple datapaths, please specify one".into());
        }
    };
    let missing = || {
        format!(
            "opening datapath {} failed (No such device)",
            name.unwrap_or(&kind)
        )
    };
    let backer = switch.backers.get_mut(&kind).ok_or_else(missing)?;
    Ok((kind, backer))
}

fn port_names(backer: &Backer) -> impl Fn(u32) -> Option<String> + use<> {
    let names: std::collections::BTreeMap<u32, String> = backer
        .datapath
        .ports()
        .into_iter()
        .map(|p| (p.number.0, p.name))
        .collect();
    move |n| names.get(&n).cloned()
}

/// `packets:0, bytes:0, used:never`.
fn stats_text(stats: &FlowStats, now: Time) -> String {
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

#[derive(Clone, Copy)]
struct Layout {
    /// Everything, with masks of zero and identifiers.
    more: bool,
    names: bool,
}

fn flow_text(backer: &Backer, entry: &FlowEntry, layout: Layout, now: Time) -> String {
    let name = port_names(backer);
    let flow = &entry.flow;
    let key = flow.key.expand();
    let port = |n: u32| if layout.names { name(n) } else { None };
    let shown = FlowText {
        key: &key,
        mask: Some(&flow.mask),
        verbose: layout.more,
        port_name: &port,
    };
    let v6 = flow.key.get(FieldId::EthType) == 0x86dd;
    let actions = hal::text::format_actions(&flow.actions, v6, &|p: DpPort| port(p.0));
    let ufid = if layout.more {
        format!("ufid:{}, ", flow.ufid)
    } else {
        String::new()
    };
    let place = backer.offload.placement(flow.ufid);
    let offloaded = matches!(place, offload::Placement::Hardware { .. });
    let dp = match (layout.more, offloaded) {
        (true, true) => ", offloaded:yes, dp:hal".to_owned(),
        (true, false) => ", dp:ovs".to_owned(),
        (false, true) => ", offloaded:yes".to_owned(),
        (false, false) => String::new(),
    };
    let stats = stats_text(&entry.stats, now);
    format!("{ufid}{shown}, {stats}{dp}, actions:{actions}")
}

fn options(args: &[String]) -> (Layout, Vec<&str>) {
    let mut layout = Layout {
        more: false,
        names: false,
    };
    let mut explicit = None;
    let mut rest = Vec::new();
    for arg in args {
        match arg.as_str() {
            "-m" | "--more" => layout.more = true,
            "--names" => explicit = Some(true),
            "--no-names" => explicit = Some(false),
            other => rest.push(other),
        }
    }
    layout.names = explicit.unwrap_or(layout.more);
    (layout, rest)
}

pub(super) fn dump_flows(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let (layout, rest) = options(args);
    let (mut dp, mut kind, mut filter) = (None, "all", None);
    for arg in rest {
        if let Some(k) = arg.strip_prefix("type=") {
            kind = k;
        } else if let Some(f) = arg.strip_prefix("filter=") {
            filter = Some(f.to_owned());
        } else {
            dp = Some(arg);
        }
    }
    let wanted: fn(&offload::Placement) -> bool = match kind {
        "all" => |_| true,
        "ovs" | "non-offloaded" => |p| matches!(p, offload::Placement::Software(_)),
        "offloaded" | "dpdk" | "tc" => |p| matches!(p, offload::Placement::Hardware { .. }),
        // A flow is in hardware whole or not at all.
        "partially-offloaded" => |_| false,
        other => {
            return Err(format!("Failed to parse type ({other}): unknown type"));
        }
    };
    let now = switch.clock().now();
    let filter = match filter {
        None => None,
        Some(text) => {
            let names = openflow::text::Names::default();
            let parsed = openflow::text::parse_flow_stats_request(&text, &names)
                .map_err(|e| format!("Failed to parse filter ({e})"))?;
            Some(parsed)
        }
    };
    let (_, backer) = find(switch, dp)?;
    backer.push_all();
    let mut out = String::new();
    for entry in backer.datapath.flows() {
        if !wanted(&backer.offload.placement(entry.flow.ufid)) {
            continue;
        }
        if let Some(request) = &filter {
            let state = packet::FlowState::from_key(&entry.flow.key);
            if !request.0.matching.matches(&state) {
                continue;
            }
        }
        out += &flow_text(backer, &entry, layout, now);
        out.push('\n');
    }
    if !out.is_empty() {
        out.insert_str(0, "flow-dump from the main thread:\n");
    }
    text(out)
}

fn flows_of_bridge(backer: &Backer, id: BridgeId) -> Vec<FlowEntry> {
    let mine = |e: &FlowEntry| {
        let port = DpPort(e.flow.key.get(FieldId::InPortOxm) as u32);
        backer
            .world
            .dp_ports
            .get(&port)
            .is_some_and(|(b, _)| *b == id)
    };
    let mut flows = backer.datapath.flows();
    flows.retain(mine);
    flows
}

pub(super) fn dpif_dump_flows(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let (layout, rest) = options(args);
    let name = rest.last().copied().unwrap_or_default().to_owned();
    let now = switch.clock().now();
    let Some((bridge, backer)) = switch.bridge_mut(&name) else {
        return Err("no such bridge".into());
    };
    let id = bridge.id;
    backer.push_all();
    let mut out = String::new();
    for entry in flows_of_bridge(backer, id) {
        out += &flow_text(backer, &entry, layout, now);
        out.push('\n');
    }
    text(out)
}

pub(super) fn get_flow(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let (layout, rest) = options(args);
    let now = switch.clock().now();
    let (dp, ufid) = match rest.as_slice() {
        [ufid] => (None, *ufid),
        [dp, ufid] => (Some(*dp), *ufid),
        _ => return Err("Syntax error".into()),
    };
    let ufid: Ufid = ufid
        .strip_prefix("ufid:")
        .and_then(|u| u.parse().ok())
        .ok_or("Parsing ufid failed")?;
    let (_, backer) = find(switch, dp)?;
    let entry = backer
        .datapath
        .flow(ufid)
        .ok_or("getting flow (No such file or directory)")?;
    text(flow_text(backer, &entry, layout, now) + "\n")
}

pub(super) fn add_flow(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let rest: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let (dp, flow, actions) = match rest.as_slice() {
        [flow, actions] => (None, *flow, *actions),
        [dp, flow, actions] => (Some(*dp), *flow, *actions),
        _ => return Err("Syntax error".into()),
    };
    let (_, backer) = find(switch, dp)?;
    let ports: std::collections::BTreeMap<String, u32> = backer
        .datapath
        .ports()
        .into_iter()
        .map(|p| (p.name, p.number.0))
        .collect();
    let (key, mask) = packet::odp::parse_flow(flow, &|n| ports.get(n).copied())
        .map_err(|e| format!("parsing flow key ({e})"))?;
    let actions = hal::text::parse_actions(actions, &|n| ports.get(n).copied())
        .map_err(|e| format!("parsing actions ({e})"))?;
    let ufid = crate::backer::flow_id(&key, &mask);
    let put = FlowPut {
        ufid,
        key,
        mask,
        actions: actions.into(),
    };
    backer
        .datapath
        .put_flow(put)
        .map_err(|e| format!("updating flow table ({e})"))?;
    text("")
}

pub(super) fn del_flow(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let (dp, flow) = match args {
        [flow] => (None, flow.as_str()),
        [dp, flow] => (Some(dp.as_str()), flow.as_str()),
        _ => return Err("Syntax error".into()),
    };
    let (_, backer) = find(switch, dp)?;
    let ufid = match flow.strip_prefix("ufid:").and_then(|u| u.parse().ok()) {
        Some(ufid) => ufid,
        None => {
            let ports: std::collections::BTreeMap<String, u32> = backer
                .datapath
                .ports()
                .into_iter()
                .map(|p| (p.name, p.number.0))
                .collect();
            let (key, mask) = packet::odp::parse_flow(flow, &|n| ports.get(n).copied())
                .map_err(|e| format!("parsing flow key ({e})"))?;
            let same = |e: &FlowEntry| e.flow.key.masked(&e.flow.mask) == key.masked(&mask);
            let found = backer.datapath.flows().into_iter().find(same);
            found.map_or(crate::backer::flow_id(&key, &mask), |e| e.flow.ufid)
        }
    };
    if backer.datapath.flow(ufid).is_none() {
        return Err("deleting flow (No such file or directory)".into());
    }
    backer.forget(ufid);
    backer.settle_offload();
    let _ = backer.datapath.remove_flow(ufid);
    text("")
}

pub(super) fn del_flows(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let (_, backer) = find(switch, args.first().map(String::as_str))?;
    backer.purge();
    text("")
}

pub(super) fn dump_dps(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    text(
        switch
            .backers
            .keys()
            .map(|k| dp_name(k) + "\n")
            .collect::<String>(),
    )
}

pub(super) fn dpif_dump_dps(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    let lines = switch
        .bridges
        .iter()
        .map(|(n, b)| format!("{}@{n}\n", b.kind));
    text(lines.collect::<String>())
}

pub(super) fn show(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let args: Vec<&String> = args.iter().filter(|a| !a.starts_with('-')).collect();
    let kinds: Vec<String> = if args.is_empty() {
        switch.backers.keys().cloned().collect()
    } else {
        let mut kinds = Vec::new();
        for arg in args {
            kinds.push(find(switch, Some(arg))?.0);
        }
        kinds
    };
    let mut out = String::new();
    for kind in kinds {
        let Some(backer) = switch.backers.get(&kind) else {
            continue;
        };
        let s = backer.datapath.stats();
        out += &format!("{}:\n", dp_name(&kind));
        out += &format!(
            "  lookups: hit:{} missed:{} lost:{}\n",
            s.hits, s.misses, s.lost
        );
        out += &format!("  flows: {}\n", s.flows);
        for p in backer.datapath.ports() {
            let kind = if p.kind == "system" {
                String::new()
            } else {
                format!(" ({})", p.kind)
            };
            out += &format!("  port {}: {}{kind}\n", p.number, p.name);
        }
    }
    text(out)
}

pub(super) fn dpif_show(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    let mut out = String::new();
    for (kind, backer) in &switch.backers {
        let s = backer.datapath.stats();
        out += &format!("{}: hit:{} missed:{}\n", dp_name(kind), s.hits, s.misses);
        for (name, bridge) in switch.bridges.iter().filter(|(_, b)| b.kind == *kind) {
            out += &format!("  {name}:\n");
            let Some(world) = backer.world.bridge(bridge.id) else {
                continue;
            };
            let mut ports: Vec<_> = world.ports.values().collect();
            ports.sort_by(|a, b| a.name.cmp(&b.name));
            for port in ports {
                let number = port.number.0 & 0xffff;
                let interface = bridge.interfaces.get(&*port.name);
                let (odp, kind) = match &port.target {
                    PortTarget::Datapath(n) => {
                        let kind = interface.and_then(|i| i.port.as_ref()).map(|p| p.kind());
                        (n.to_string(), kind.unwrap_or_default().to_owned())
                    }
                    PortTarget::Patch { .. } => ("none".into(), "patch".into()),
                };
                let options = interface.map(|i| {
                    let o = i.config.options.iter();
                    let shown = o.filter(|_| matches!(kind.as_str(), "patch" | "hal"));
                    shown
                        .map(|(k, v)| format!("{k}={v}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                });
                let options = options.filter(|o| !o.is_empty());
                let options = options.map_or(String::new(), |o| format!(": {o}"));
                out += &format!("    {} {number}/{odp}: ({kind}{options})\n", port.name);
            }
        }
    }
    text(out)
}
