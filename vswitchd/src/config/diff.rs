//! From the difference between what is and what should be to steps.

use super::desired::{BridgeConfig, Desired, InterfaceConfig, PortConfig, Settings};
use std::collections::BTreeSet;

/// One change of the switch's shape. Steps come in an order in which each can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What concerns the whole switch.
    Settings(Settings),
    /// An interface goes.
    RemoveInterface {
        /// Its bridge.
        bridge: String,
        /// Its name.
        name: String,
    },
    /// A port goes; its interfaces have gone.
    RemovePort {
        /// Its bridge.
        bridge: String,
        /// Its name.
        name: String,
    },
    /// A bridge goes; its ports have gone.
    RemoveBridge {
        /// Its name.
        name: String,
    },
    /// A bridge comes.
    AddBridge(BridgeConfig),
    /// A bridge is set up differently.
    SetBridge(BridgeConfig),
    /// A port comes or is set up differently; its interfaces come after it.
    SetPort {
        /// Its bridge.
        bridge: String,
        /// The port.
        port: PortConfig,
    },
    /// An interface comes.
    AddInterface {
        /// Its bridge.
        bridge: String,
        /// Its port.
        port: String,
        /// The interface.
        interface: InterfaceConfig,
    },
    /// An interface is set up differently.
    SetInterface {
        /// Its bridge.
        bridge: String,
        /// The interface.
        interface: InterfaceConfig,
    },
}

/// Whether one interface can become the other without being opened anew.
fn is_same_device(a: &InterfaceConfig, b: &InterfaceConfig) -> bool {
    let opened_by = |k: &str| k.starts_with("hal-") || k == "peer" || k == "dpdk-devargs";
    let fixed = |i: &InterfaceConfig| -> Vec<(String, String)> {
        let options = i.options.iter().filter(|(k, _)| opened_by(k));
        options.map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    // A number that is now asked for can only be had by a new port.
    let number = b.ofport_request.is_none() || a.ofport_request == b.ofport_request;
    a.kind == b.kind && fixed(a) == fixed(b) && number
}

/// Steps from `running` to `desired`.
pub fn diff(running: &Desired, desired: &Desired) -> Vec<Step> {
    let mut steps = Vec::new();
    if running.settings != desired.settings {
        steps.push(Step::Settings(desired.settings.clone()));
    }
    // A bridge on another datapath is another bridge.
    let kept: BTreeSet<&String> = running
        .bridges
        .iter()
        .filter(|(name, b)| {
            desired
                .bridges
                .get(*name)
                .is_some_and(|d| d.datapath_type == b.datapath_type)
        })
        .map(|(name, _)| name)
        .collect();
    let port_kept =
        |key: &(String, String)| kept.contains(&key.0) && desired.ports.contains_key(key);

    for (key, port) in &running.ports {
        let wanted = desired.ports.get(key).filter(|_| kept.contains(&key.0));
        for (name, interface) in &port.interfaces {
            let wanted = wanted.and_then(|p| p.interfaces.get(name));
            if !wanted.is_some_and(|w| is_same_device(interface, w)) {
                let bridge = key.0.clone();
                steps.push(Step::RemoveInterface {
                    bridge,
                    name: name.clone(),
                });
            }
        }
    }
    for key in running.ports.keys().filter(|k| !port_kept(k)) {
        steps.push(Step::RemovePort {
            bridge: key.0.clone(),
            name: key.1.clone(),
        });
    }
    for name in running.bridges.keys().filter(|n| !kept.contains(n)) {
        steps.push(Step::RemoveBridge { name: name.clone() });
    }
    for (name, bridge) in &desired.bridges {
        if !kept.contains(name) {
            steps.push(Step::AddBridge(bridge.clone()));
        } else if running.bridges.get(name) != Some(bridge) {
            steps.push(Step::SetBridge(bridge.clone()));
        }
    }
    let mut adds = Vec::new();
    for (key, port) in &desired.ports {
        let old = running.ports.get(key).filter(|_| port_kept(key));
        if old != Some(port) {
            steps.push(Step::SetPort {
                bridge: key.0.clone(),
                port: port.clone(),
            });
        }
        for (name, interface) in &port.interfaces {
            let old = old.and_then(|p| p.interfaces.get(name));
            let (bridge, interface) = (key.0.clone(), interface.clone());
            match old {
                Some(old) if is_same_device(old, &interface) => {
                    if *old != interface {
                        steps.push(Step::SetInterface { bridge, interface });
                    }
                }
                _ => adds.push(Step::AddInterface {
                    bridge,
                    port: key.1.clone(),
                    interface,
                }),
            }
        }
    }
    // The bridge's own port first, then those that ask for a number.
    adds.sort_by_key(|s| match s {
        Step::AddInterface {
            bridge, interface, ..
        } => (
            interface.name != *bridge,
            interface.ofport_request.is_none(),
        ),
        _ => (true, true),
    });
    steps.extend(adds);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{FailMode, PriorityTags, VlanMode, VlanSet};
    use ovsdb::Uuid;
    use std::time::Duration;

    fn bridge(name: &str) -> BridgeConfig {
        BridgeConfig {
            uuid: Uuid::default(),
            name: name.into(),
            datapath_type: "dummy".into(),
            datapath_id: None,
            hwaddr: None,
            dp_desc: None,
            fail_mode: FailMode::Secure,
            protocols: openflow::Versions::ALL,
            controllers: Vec::new(),
            mac_aging: Duration::from_secs(300),
            mac_table_size: 8192,
            forward_bpdu: false,
            flood_vlans: Vec::new(),
            flow_tables: Default::default(),
        }
    }

    fn port(name: &str, tag: Option<u16>, request: Option<u32>) -> PortConfig {
        let interface = InterfaceConfig {
            uuid: Uuid::default(),
            name: name.into(),
            kind: "dummy".into(),
            options: Default::default(),
            ofport_request: request,
            mac: None,
            mtu_request: None,
        };
        PortConfig {
            uuid: Uuid::default(),
            name: name.into(),
            mode: tag.map_or(VlanMode::Trunk, VlanMode::Access),
            trunks: VlanSet::default(),
            priority_tags: PriorityTags::Never,
            protected: false,
            interfaces: [(name.into(), interface)].into(),
        }
    }

    fn config(ports: &[(&str, Option<u16>, Option<u32>)]) -> Desired {
        let mut d = Desired::default();
        d.bridges.insert("br0".into(), bridge("br0"));
        for (name, tag, request) in ports {
            d.ports
                .insert(("br0".into(), (*name).into()), port(name, *tag, *request));
        }
        d
    }

    fn names(steps: &[Step]) -> Vec<String> {
        let name = |s: &Step| match s {
            Step::Settings(_) => "settings".into(),
            Step::RemoveInterface { name, .. } => format!("-if {name}"),
            Step::RemovePort { name, .. } => format!("-port {name}"),
            Step::RemoveBridge { name } => format!("-br {name}"),
            Step::AddBridge(b) => format!("+br {}", b.name),
            Step::SetBridge(b) => format!("=br {}", b.name),
            Step::SetPort { port, .. } => format!("=port {}", port.name),
            Step::AddInterface { interface, .. } => format!("+if {}", interface.name),
            Step::SetInterface { interface, .. } => format!("=if {}", interface.name),
        };
        steps.iter().map(name).collect()
    }

    #[test]
    fn steps_lead_from_one_to_the_other() {
        let empty = Desired::default();
        let one = config(&[
            ("br0", None, None),
            ("p1", None, None),
            ("p2", None, Some(7)),
        ]);
        assert_eq!(
            names(&diff(&empty, &one)),
            [
                "+br br0",
                "=port br0",
                "=port p1",
                "=port p2",
                "+if br0",
                "+if p2",
                "+if p1"
            ]
        );
        assert!(diff(&one, &one).is_empty());
        let two = config(&[
            ("br0", None, None),
            ("p1", Some(5), None),
            ("p3", None, None),
        ]);
        assert_eq!(
            names(&diff(&one, &two)),
            ["-if p2", "-port p2", "=port p1", "=port p3", "+if p3"]
        );
        let removed = names(&diff(&one, &empty));
        assert_eq!(removed.last().unwrap(), "-br br0");
        assert_eq!(removed.len(), 7);
    }
}
