//! Interfaces: opened and made ports of their bridges, changed, closed.
//!
//! What could not be had stays as an [`Interface`] with its reason, and is tried again the next time.

use super::{Switch, is_multicast};
use crate::config::{Desired, InterfaceConfig};
use crate::ofproto::{link_settled, port_description};
use crate::ports::{DevicePort, Opened, PortRequest};
use crate::world::{PatchCounters, Port, PortTarget};
use clock::Time;
use hal::{DpPort, PacketPort, PortBackend};
use openflow::{OfPort, PortReason};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An interface as it is.
pub struct Interface {
    /// What it was asked to be.
    pub config: InterfaceConfig,
    /// Its OpenFlow number; none if it could not be had.
    pub ofport: Option<OfPort>,
    /// Since when it has been a port.
    pub since: Time,
    /// Its datapath number, where it has one.
    pub dp_port: Option<DpPort>,
    /// Why it could not be had; empty if only the log says.
    pub error: Option<String>,
    /// The NIC's port that it is.
    pub device: Option<DevicePort>,
    /// The port itself, where frames pass through this process.
    pub port: Option<Arc<dyn PacketPort>>,
}

impl Interface {
    /// One that is not open.
    fn closed(config: InterfaceConfig) -> Interface {
        Interface {
            config,
            ofport: None,
            since: Time::ZERO,
            dp_port: None,
            error: None,
            device: None,
            port: None,
        }
    }

    /// One that could not be had.
    pub(crate) fn failed(config: InterfaceConfig, why: String) -> Interface {
        Interface {
            error: Some(why),
            ..Interface::closed(config)
        }
    }
}

impl Switch {
    /// The options of an interface that its type tells of.
    pub fn shown_options(&self, name: &str) -> BTreeMap<String, String> {
        let mut interfaces = self.bridges.values().filter_map(|b| b.interfaces.get(name));
        let Some(interface) = interfaces.next() else {
            return BTreeMap::new();
        };
        let kind = match &interface.port {
            Some(port) => port.kind(),
            None => interface.config.kind.as_str(),
        };
        let mut options = interface.config.options.clone();
        match kind {
            "patch" | "hal" => {}
            "dummy" | "dummy-internal" | "dummy-pmd" => {
                options.retain(|k, _| matches!(k.as_str(), "ifindex" | "pstream" | "stream"));
            }
            _ => options.clear(),
        }
        options
    }

    pub(crate) fn add_interface(&mut self, bridge: &str, port: &str, config: InterfaceConfig) {
        let name = config.name.clone();
        let mut state = Interface::closed(config.clone());
        match self.open_interface(bridge, port, &config, &mut state) {
            Ok(()) => {
                if let Some(n) = state.ofport {
                    tracing::info!(target: "bridge",
                        "bridge {bridge}: added interface {name} on port {}", n.0 & 0xffff);
                }
            }
            Err(why) => {
                if !why.is_empty() {
                    tracing::warn!(target: "bridge", "{why}");
                }
                state.error = Some(why);
            }
        }
        if let Some(bridge) = self.bridges.get_mut(bridge) {
            bridge.interfaces.insert(name, state);
        }
    }

    /// Interfaces that ask for OpenFlow numbers which others hold without asking, and those others,
    /// go, to come again with the right ones.
    pub(super) fn free_numbers(&mut self, desired: &Desired) {
        let mut moved: Vec<(String, String)> = Vec::new();
        for ((name, _), port) in &desired.ports {
            let Some(bridge) = self.bridges.get(name) else {
                continue;
            };
            let asks_for = |n: u32, interface: &str| {
                let mut ports = desired.ports.iter().filter(|((b, _), _)| b == name);
                let wanted = ports.find_map(|(_, p)| p.interfaces.get(interface));
                wanted.is_some_and(|i| i.ofport_request == Some(n))
            };
            for i in port.interfaces.values() {
                let now = bridge.interfaces.get(&i.name).and_then(|i| i.ofport);
                let (Some(wanted), Some(now)) = (i.ofport_request, now) else {
                    continue;
                };
                if now == OfPort(wanted) || now == OfPort::LOCAL {
                    continue;
                }
                if let Some(holder) = bridge.interface_on(OfPort(wanted)) {
                    if asks_for(wanted, &holder.config.name) {
                        continue;
                    }
                    moved.push((name.clone(), holder.config.name.clone()));
                }
                moved.push((name.clone(), i.name.clone()));
            }
        }
        for (bridge, name) in moved {
            self.remove_interface(&bridge, &name);
            if let Some(bridge) = self.bridges.get_mut(&bridge) {
                bridge.numbers.remove(&name);
            }
            self.running.forget_interface(&bridge, &name);
        }
    }

    /// Opens an interface and makes it a port of its bridge.
    fn open_interface(
        &mut self,
        bridge: &str,
        port: &str,
        config: &InterfaceConfig,
        state: &mut Interface,
    ) -> Result<(), String> {
        let now = self.clock.now();
        let types = self.provider.datapath_types();
        if is_reserved(&config.name, &types) {
            tracing::warn!(target: "bridge",
                "could not create interface {}, name is reserved", config.name);
            // The original says no more in the database than that there is no port.
            return Err(String::new());
        }
        let target = match config.kind.as_str() {
            "patch" => {
                check_patch(config)?;
                PortTarget::Patch {
                    peer: None,
                    counters: Arc::new(PatchCounters::default()),
                }
            }
            _ => PortTarget::Datapath(self.open_datapath_port(bridge, config, state)?),
        };
        let (bridge, backer) = self
            .bridge_mut(bridge)
            .ok_or_else(|| format!("bridge {bridge} does not exist"))?;
        let ofport = bridge.free_ofport(backer, config);
        let Some(&(bundle, _)) = bridge.bundles.get(port) else {
            return Err(format!("port {port} does not exist"));
        };
        if let PortTarget::Datapath(dp_port) = target {
            state.dp_port = Some(dp_port);
            backer.world.dp_ports.insert(dp_port, (bridge.id, ofport));
        }
        let port = Arc::new(Port {
            name: config.name.as_str().into(),
            number: ofport,
            target,
            bundle,
            config: 0,
        });
        if let Some(b) = backer.world.bridge_mut(bridge.id) {
            b.ports.insert(ofport, port.clone());
            if let Some(bundle) = b.bundles.get_mut(&bundle) {
                Arc::make_mut(bundle).ports.push(ofport);
            }
            b.config_version += 1;
        }
        state.ofport = Some(ofport);
        state.since = now;
        backer.touch();
        // That it is live is news that follows.
        let new = link_settled(port_description(backer, &port, bridge.mac), false);
        bridge.ofproto.tell_port(PortReason::Add, new);
        Ok(())
    }

    fn open_datapath_port(
        &mut self,
        bridge: &str,
        config: &InterfaceConfig,
        state: &mut Interface,
    ) -> Result<DpPort, String> {
        let kind = self
            .bridges
            .get(bridge)
            .map(|b| b.kind.clone())
            .ok_or_else(|| format!("bridge {bridge} does not exist"))?;
        let request = PortRequest {
            name: &config.name,
            kind: &config.kind,
            datapath_type: &kind,
            options: &config.options,
            mac: config.mac,
        };
        let opened = self.provider.open_port(&request)?;
        let number = self.provider.port_number(&kind, &config.name).map(DpPort);
        let port = match opened {
            Opened::Port(port) => port,
            Opened::Device(device) => {
                let port = self.open_device_port(&kind, &device)?;
                state.device = Some(device);
                port
            }
        };
        set_up_port(bridge, config, &*port);
        let backer = self.backers.get_mut(&kind).ok_or("the datapath is gone")?;
        let taken = |n: &DpPort| backer.datapath.ports().iter().any(|p| p.number == *n);
        let number = number.filter(|n| !taken(n));
        let backend = PortBackend::Packets(port.clone());
        let added = backer.datapath.add_port(&config.name, backend, number);
        let dp_port = match added {
            Ok(n) => n,
            Err(e) => {
                self.provider.closed(&config.name);
                return Err(e.to_string());
            }
        };
        state.port = Some(port);
        if let Some(device) = &state.device {
            backer
                .offload
                .bind_port(&device.device, &device.port, Some(dp_port));
        }
        Ok(dp_port)
    }

    fn open_device_port(
        &mut self,
        kind: &str,
        device: &DevicePort,
    ) -> Result<Arc<dyn PacketPort>, String> {
        let backer = self.backers.get_mut(kind).ok_or("the datapath is gone")?;
        if !backer.offload.has_device(&device.device) {
            let opened = self.provider.open_device(&device.device)?;
            backer.offload.add_device(&device.device, opened);
            backer
                .datapath
                .set_resume_table(backer.offload.resume_table());
        }
        let opened = backer
            .offload
            .open_port(&device.device, &device.port, device.wire.as_deref());
        opened.map_err(|e| e.to_string())
    }

    pub(crate) fn remove_interface(&mut self, bridge_name: &str, name: &str) {
        let Some((bridge, backer)) = self.bridge_mut(bridge_name) else {
            return;
        };
        let Some(interface) = bridge.interfaces.remove(name) else {
            return;
        };
        if let Some(ofport) = interface.ofport {
            backer.world.forget_stations(bridge.id, ofport);
        }
        if let Some(ofport) = interface.ofport
            && let Some(b) = backer.world.bridge_mut(bridge.id)
        {
            let port = b.ports.remove(&ofport);
            b.config_version += 1;
            if let Some(port) = port {
                if let Some(bundle) = b.bundles.get_mut(&port.bundle) {
                    Arc::make_mut(bundle).ports.retain(|p| *p != ofport);
                }
                let gone = port_description(backer, &port, bridge.mac);
                bridge.ofproto.tell_port(PortReason::Delete, gone);
            }
        }
        if let Some(dp_port) = interface.dp_port {
            backer.world.dp_ports.remove(&dp_port);
            // No rule of a device may send to what is no longer there.
            backer.touch();
            backer.revalidate();
            backer.settle_offload();
            if let Some(device) = &interface.device {
                backer.offload.bind_port(&device.device, &device.port, None);
            }
            if let Err(e) = backer.datapath.remove_port(dp_port) {
                tracing::warn!(target: "bridge", "{name}: {e}");
            }
        }
        backer.touch();
        drop(interface);
        self.provider.closed(name);
        tracing::info!(target: "bridge", "bridge {bridge_name}: deleted interface {name}");
    }

    /// A port was taken out of its datapath from outside: its interface says so, and is had again
    /// the next time. None if no interface is on that port.
    pub(crate) fn lose_port(&mut self, kind: &str, port: DpPort) -> Option<()> {
        let mut on_kind = self.bridges.iter().filter(|(_, b)| b.kind == kind);
        let (bridge, name) = on_kind.find_map(|(bridge, b)| {
            let mut interfaces = b.interfaces.iter();
            let (name, _) = interfaces.find(|(_, i)| i.dp_port == Some(port))?;
            Some((bridge.clone(), name.clone()))
        })?;
        let why = format!("{name}: deleted from its datapath");
        self.lose_interface(&bridge, &name, why);
        Some(())
    }

    /// The port of an interface goes; the interface stays, with the reason.
    pub(crate) fn lose_interface(&mut self, bridge: &str, name: &str, why: String) {
        tracing::warn!(target: "bridge", "{why}");
        let Some(config) = self.interface(bridge, name).map(|i| i.config.clone()) else {
            return;
        };
        self.remove_interface(bridge, name);
        if let Some(bridge) = self.bridges.get_mut(bridge) {
            let lost = Interface::failed(config, why);
            bridge.interfaces.insert(name.to_owned(), lost);
        }
    }

    pub(crate) fn interface(&self, bridge: &str, name: &str) -> Option<&Interface> {
        self.bridges.get(bridge)?.interfaces.get(name)
    }

    pub(super) fn set_interface(&mut self, bridge: &str, config: InterfaceConfig) {
        self.provider.configure_port(&config.name, &config.options);
        let Some(state) = self.bridges.get_mut(bridge) else {
            return;
        };
        let Some(interface) = state.interfaces.get_mut(&config.name) else {
            return;
        };
        if let Some(port) = &interface.port {
            set_up_port(bridge, &config, &**port);
        }
        interface.config = config;
    }

    /// Lets patch ports find their peers.
    pub(super) fn resolve_patches(&mut self) {
        let mut ends = BTreeMap::new();
        for bridge in self.bridges.values() {
            for (name, i) in &bridge.interfaces {
                if i.config.kind == "patch"
                    && let (Some(port), Some(peer)) = (i.ofport, i.config.options.get("peer"))
                {
                    ends.insert(
                        name.clone(),
                        (bridge.kind.clone(), bridge.id, port, peer.clone()),
                    );
                }
            }
        }
        for (name, (kind, id, port, peer)) in &ends {
            // Both must name each other.
            let found = ends.get(peer).filter(|e| e.3 == *name && e.0 == *kind);
            let wanted = found.map(|e| (e.1, e.2));
            let Some(backer) = self.backers.get_mut(kind) else {
                continue;
            };
            let Some(b) = backer.world.bridge(*id) else {
                continue;
            };
            let Some(old) = b.ports.get(port).cloned() else {
                continue;
            };
            let PortTarget::Patch { peer, counters } = &old.target else {
                continue;
            };
            if *peer == wanted {
                continue;
            }
            let target = PortTarget::Patch {
                peer: wanted,
                counters: counters.clone(),
            };
            if let Some(b) = backer.world.bridge_mut(*id) {
                b.ports.insert(
                    *port,
                    Arc::new(Port {
                        target,
                        ..Port::clone(&old)
                    }),
                );
                b.config_version += 1;
            }
            backer.touch();
        }
    }
}

/// Gives a port the largest payload and, if it is an internal one, the address that its row asks
/// for.
fn set_up_port(bridge: &str, config: &InterfaceConfig, port: &dyn PacketPort) {
    let link = port.link();
    if let Some(mtu) = config.mtu_request.filter(|mtu| *mtu != link.mtu)
        && let Err(e) = port.set_mtu(mtu)
    {
        tracing::warn!(target: "bridge", "{e}");
    }
    let Some(mac) = config.mac.filter(|_| config.kind == "internal") else {
        return;
    };
    let name = &config.name;
    if name == bridge {
        tracing::error!(target: "bridge",
            "interface {name}: ignoring mac in Interface record (use Bridge record to set local \
             port's mac)");
    } else if is_multicast(mac) {
        tracing::error!(target: "bridge",
            "interface {name}: cannot set MAC to multicast address");
    } else if mac == 0 {
        tracing::error!(target: "bridge", "interface {name}: cannot set MAC to all zero address");
    } else if mac != link.mac
        && let Err(e) = port.set_mac(mac)
    {
        tracing::error!(target: "bridge", "interface {name}: setting MAC failed ({e})");
    }
}

/// Whether a patch port's options can be had.
fn check_patch(config: &InterfaceConfig) -> Result<(), String> {
    let name = &config.name;
    match config.options.get("peer") {
        None => Err(format!("{name}: patch type requires valid 'peer' argument")),
        Some(peer) if peer.is_empty() => {
            Err(format!("{name}: patch type requires valid 'peer' argument"))
        }
        Some(_) if config.options.len() > 1 => {
            Err(format!("{name}: patch type takes only a 'peer' argument"))
        }
        Some(peer) if peer == name => Err(format!("{name}: patch peer must not be self")),
        Some(_) => Ok(()),
    }
}

/// Whether a name is a datapath's own: its local port's, or that of its end of tunnels.
fn is_reserved(name: &str, datapath_types: &[String]) -> bool {
    const TUNNELS: [&str; 9] = [
        "erspan_sys",
        "genev_sys",
        "gre_sys",
        "gtpu_sys",
        "ip6erspan_sys",
        "ip6gre_sys",
        "srv6_sys",
        "udp_sys",
        "vxlan_sys",
    ];
    let kind = name.strip_prefix("ovs-");
    kind.is_some_and(|kind| datapath_types.iter().any(|t| t == kind))
        || TUNNELS.iter().any(|tunnel| name.starts_with(tunnel))
}
