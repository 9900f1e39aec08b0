//! `dpif/*`: datapaths as bridges see them (ovs-vswitchd(8)).

use super::dpctl::{FlowLayout, flow_text_of_bridge};
use super::{Outcome, text};
use crate::switch::{BridgeState, Switch};
use crate::world::PortTarget;
use daemon::control::{Answer, Format};
use hal::DpPort;
use packet::FieldId;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) fn dump_dps(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    let bridges = switch.bridges.iter();
    text(
        bridges
            .map(|(n, b)| format!("{}@{n}\n", b.kind))
            .collect::<String>(),
    )
}

/// The flows whose packets enter by a port of the bridge.
pub(super) fn dump_flows(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let Some((name, options)) = args.split_last() else {
        return Err("no such bridge".into());
    };
    let more = options.iter().any(|o| o == "-m");
    let names = options.iter().fold(more, |names, o| match o.as_str() {
        "--names" => true,
        "--no-names" => false,
        _ => names,
    });
    let layout = FlowLayout { more, names };
    let now = switch.clock().now();
    let Some((bridge, backer)) = switch.bridge_mut(name) else {
        return Err("no such bridge".into());
    };
    let id = bridge.id;
    backer.push_all();
    let ports = backer.datapath.ports().into_iter();
    let names: BTreeMap<u32, String> = ports.map(|p| (p.number.0, p.name)).collect();
    let mut out = String::new();
    for entry in backer.datapath.flows() {
        let port = DpPort(entry.flow.key.get(FieldId::InPortOxm) as u32);
        let owner = backer.world.dp_ports.get(&port);
        if owner.is_some_and(|(b, _)| *b == id) {
            out += &flow_text_of_bridge(&entry, &names, layout, now);
            out.push('\n');
        }
    }
    text(out)
}

/// A port of a bridge, as `dpif/show` has it.
struct ShownPort {
    name: String,
    ofport: u32,
    number: Option<DpPort>,
    kind: String,
    options: BTreeMap<String, String>,
}

/// The ports of a bridge by name.
fn ports_of(switch: &Switch, bridge: &BridgeState) -> Vec<ShownPort> {
    let backer = switch.backers.get(&bridge.kind);
    let Some(world) = backer.and_then(|b| b.world.bridge(bridge.id)) else {
        return Vec::new();
    };
    let shown = world.ports.values().map(|port| {
        let interface = bridge.interfaces.get(&*port.name);
        let (number, kind) = match &port.target {
            PortTarget::Datapath(n) => {
                let kind = interface.and_then(|i| i.port.as_ref()).map(|p| p.kind());
                (Some(*n), kind.unwrap_or_default())
            }
            PortTarget::Patch { .. } => (None, "patch"),
        };
        ShownPort {
            name: port.name.to_string(),
            ofport: port.number.0 & 0xffff,
            number,
            kind: kind.to_owned(),
            options: switch.shown_options(&port.name),
        }
    });
    let mut ports: Vec<_> = shown.collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    ports
}

impl ShownPort {
    fn text(&self) -> String {
        let number = self.number.map_or("none".into(), |n| n.to_string());
        let options = self.options.iter().map(|(k, v)| format!("{k}={v}"));
        let options = options.collect::<Vec<_>>().join(", ");
        let colon = if options.is_empty() { "" } else { ": " };
        let (name, ofport, kind) = (&self.name, self.ofport, &self.kind);
        format!("{name} {ofport}/{number}: ({kind}{colon}{options})")
    }

    /// Numbers are strings, as in the original.
    fn json(&self) -> Value {
        let mut out = json!({
            "ofport": self.ofport.to_string(),
            "port_no": self.number.map_or("none".into(), |n| n.to_string()),
            "type": self.kind,
        });
        if !self.options.is_empty() {
            out["config"] = json!(self.options);
        }
        out
    }
}

pub(super) fn show(switch: &mut Switch, _: &[String], format: Format) -> Outcome {
    let mut out = String::new();
    let mut documents = Map::new();
    for (kind, backer) in &switch.backers {
        let s = backer.datapath.stats();
        let name = format!("{kind}@ovs-{kind}");
        let _ = writeln!(out, "{name}: hit:{} missed:{}", s.hits, s.misses);
        let mut bridges = Map::new();
        for (bridge_name, bridge) in switch.bridges.iter().filter(|(_, b)| b.kind == *kind) {
            let _ = writeln!(out, "  {bridge_name}:");
            let mut ports = Map::new();
            for port in ports_of(switch, bridge) {
                let _ = writeln!(out, "    {}", port.text());
                ports.insert(port.name.clone(), port.json());
            }
            bridges.insert(bridge_name.clone(), ports.into());
        }
        let stats = json!({"hit": s.hits.to_string(), "missed": s.misses.to_string()});
        documents.insert(name, json!({"bridges": bridges, "stats": stats}));
    }
    Ok(match format {
        Format::Text => Answer::Text(out),
        Format::Json => Answer::Json(documents.into()),
    })
}

/// Who carries flows for each datapath, the most wanted first: the devices of `offload/show`.
pub(super) fn offload_show(switch: &mut Switch, _: &[String], format: Format) -> Outcome {
    let enabled = switch.settings().hw_offload;
    let mut out = format!("Globally enabled: {enabled}\nDatapaths:\n");
    let mut documents = Map::new();
    documents.insert("enabled".into(), enabled.into());
    for (kind, backer) in &switch.backers {
        let name = format!("{kind}@ovs-{kind}");
        let _ = writeln!(out, "{name}:");
        let mut providers = Map::new();
        let mut priority = Vec::new();
        for d in backer.offload.report().devices {
            let _ = writeln!(out, "  {}", d.name);
            for (n, port) in &d.ports {
                let _ = writeln!(out, "    {port}: port_no: {n}");
            }
            let _ = writeln!(out, "    rules: {}/{}", d.rules, d.capacity);
            priority.push(Value::from(d.name.clone()));
            let shown = json!({"ports": d.ports, "rules": d.rules, "capacity": d.capacity});
            providers.insert(d.name, shown);
        }
        documents.insert(name, json!({"priority": priority, "providers": providers}));
    }
    Ok(match format {
        Format::Text => Answer::Text(out),
        Format::Json => Answer::Json(documents.into()),
    })
}

/// What the datapath does of what Open vSwitch asks of datapaths.
const FEATURES: [(&str, &str); 27] = [
    ("Masked set action", "Yes"),
    ("Tunnel push pop", "No"),
    ("Ufid", "Yes"),
    ("Truncate action", "Yes"),
    ("Clone action", "Yes"),
    ("Sample nesting", "10"),
    ("Conntrack eventmask", "No"),
    ("Conntrack clear", "No"),
    ("Max dp_hash algorithm", "1"),
    ("Check pkt length action", "No"),
    ("Conntrack timeout policy", "No"),
    ("Explicit Drop action", "No"),
    ("Optimized Balance TCP mode", "No"),
    ("Conntrack all-zero IP SNAT", "No"),
    ("MPLS Label add", "No"),
    ("psample action", "No"),
    ("Max VLAN headers", "2"),
    ("Max MPLS depth", "3"),
    ("Recirc", "Yes"),
    ("CT state", "No"),
    ("CT zone", "No"),
    ("CT mark", "No"),
    ("CT label", "No"),
    ("CT state NAT", "No"),
    ("CT orig tuple", "No"),
    ("CT orig tuple for IPv6", "No"),
    ("IPv6 ND Extension", "Yes"),
];

pub(super) fn show_features(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let name = args.last().map(String::as_str).unwrap_or_default();
    if !switch.bridges.contains_key(name) {
        return Err("no such bridge".into());
    }
    let lines = FEATURES
        .iter()
        .map(|(what, how)| format!("{what}: {how}\n"));
    text(lines.collect::<String>())
}
