//! The host's devices come, go and change while ports stand for them.
//!
//! A device that goes, or takes another name, takes its port along: the interface keeps the
//! reason as its error, and the port's OpenFlow number waits for it. When a device of that name is
//! there again, the port is opened as if it had been added then. Whatever else changes about a
//! device is looked up at once and told to the controllers.

use crate::ofproto::port_description;
use crate::switch::{Interface, Switch};
use hal::DeviceEvent;
use std::collections::BTreeSet;

impl Switch {
    /// Makes of the ports what has become of their devices.
    pub fn devices_changed(&mut self, events: Vec<DeviceEvent>) {
        let mut moved = false;
        // One look is enough for all changes that were told by then.
        let mut looked = BTreeSet::new();
        for event in events {
            moved |= match event {
                DeviceEvent::Came(name) => self.device_came(&name),
                DeviceEvent::Gone(name) => self.look_again(&name),
                DeviceEvent::Changed(name) if looked.contains(&name) => false,
                DeviceEvent::Changed(name) => {
                    let moved = self.look_again(&name);
                    looked.insert(name);
                    moved
                }
            };
        }
        if moved {
            self.choose_addresses();
        }
        self.choose_mtus();
        self.tell_port_changes();
    }

    /// Internal ports carry what all other ports of their bridge can, unless their rows ask for more
    /// or less.
    pub(crate) fn choose_mtus(&mut self) {
        for bridge in self.bridges.values() {
            let follows =
                |i: &&Interface| i.config.kind == "internal" && i.config.mtu_request.is_none();
            let open = || bridge.interfaces.values().filter(|i| i.port.is_some());
            let mtu = |i: &Interface| i.port.as_ref().map_or(0, |p| p.link().mtu);
            let others = open().filter(|i| !follows(i)).map(mtu);
            let least = others.filter(|mtu| *mtu != 0).min().unwrap_or(1500);
            for i in open().filter(follows).filter(|i| mtu(i) != least) {
                if let Some(Err(e)) = i.port.as_ref().map(|p| p.set_mtu(least)) {
                    tracing::warn!(target: "bridge", "{e}");
                }
            }
        }
    }

    /// Tells controllers of ports that are not what they were told. Whether there are such.
    pub fn tell_port_changes(&mut self) -> bool {
        let mut changed = false;
        for bridge in self.bridges.values_mut() {
            let Some(backer) = self.backers.get(&bridge.kind) else {
                continue;
            };
            let Some(world) = backer.world.bridge(bridge.id) else {
                continue;
            };
            for port in world.ports.values() {
                let port = port_description(backer, port, bridge.mac);
                changed |= bridge.ofproto.tell_if_changed(port);
            }
        }
        changed
    }

    /// Looks at the ports that stand on a device again. True if one is gone or has another address.
    fn look_again(&mut self, device: &str) -> bool {
        let mut moved = false;
        for (bridge, name) in self.standing_on(device) {
            let name = name.as_str();
            let interface = self.interface(&bridge, name);
            let Some(port) = interface.and_then(|i| i.port.clone()) else {
                continue;
            };
            let mac = port.link().mac;
            match port.look_again() {
                Ok(()) => moved |= port.link().mac != mac,
                Err(e) => {
                    drop(port);
                    self.lose_interface(&bridge, name, e.to_string());
                    let config = self.interface(&bridge, name).map(|i| &i.config);
                    // The switch makes such a device itself.
                    if config.is_some_and(|c| matches!(c.kind.as_str(), "internal" | "tap")) {
                        self.open_again(&bridge, name);
                    }
                    moved = true;
                }
            }
        }
        moved
    }

    /// Opens ports that could not be had. True if one is there now.
    fn device_came(&mut self, device: &str) -> bool {
        // The device that had the name may have gone unnoticed.
        let mut moved = self.look_again(device);
        for (bridge, name) in self.standing_on(device) {
            moved |= self.open_again(&bridge, &name);
        }
        moved
    }

    /// Tries an interface that failed once more. True if it had failed.
    fn open_again(&mut self, bridge: &str, name: &str) -> bool {
        let failed = self.interface(bridge, name).filter(|i| i.error.is_some());
        let Some(config) = failed.map(|i| i.config.clone()) else {
            return false;
        };
        let mut ports = self.running().ports.iter();
        let port = ports.find(|((b, _), p)| b == bridge && p.interfaces.contains_key(name));
        let Some(port) = port.map(|((_, port), _)| port.clone()) else {
            return false;
        };
        self.add_interface(bridge, &port, config);
        true
    }

    /// Interfaces whose port is a device of the host, or is wired to it, with their bridges.
    fn standing_on(&self, device: &str) -> Vec<(String, String)> {
        let wire = format!("packet:{device}");
        let stands = |i: &Interface| {
            i.config.name == device
                || i.config.kind == "hal" && i.config.options.get("hal-wire") == Some(&wire)
        };
        let all = self.bridges.iter().flat_map(|(bridge, b)| {
            let standing = b.interfaces.values().filter(|i| stands(i));
            standing.map(|i| (bridge.clone(), i.config.name.clone()))
        });
        all.collect()
    }
}
