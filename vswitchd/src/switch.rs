//! The whole switch: bridges on datapaths, changed by steps, run turn by turn.
//!
//! No sockets and no database here: the configuration comes as [`Step`]s, OpenFlow as values,
//! status goes out as values.

mod interfaces;

pub use interfaces::Interface;

use crate::backer::{Backer, Modes};
use crate::bare::BareDatapath;
use crate::config::{BridgeConfig, Desired, InterfaceConfig, PortConfig, Settings, Step, diff};
use crate::controller::FAIL_OPEN_PRIORITY;
use crate::ofproto::{FlowTableConfig, Ofproto, TABLES};
use crate::ports::{PortRequest, Provider};
use crate::world::{Bridge, BridgeId, Bundle, BundleId, FailMode};
use clock::{Clock, Time};
use openflow::{Cookie, FlowCommand, FlowMod, OfPort};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Learned addresses are looked at this often at least; none ages in less.
const AGING_CHECK: Duration = Duration::from_secs(10);

/// A bridge as it is.
pub struct BridgeState {
    /// What it was asked to be.
    pub config: BridgeConfig,
    /// The datapath type that it really has.
    pub kind: String,
    /// Names it in its backer's world.
    pub id: BridgeId,
    /// Its OpenFlow side.
    pub ofproto: Ofproto,
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// Ports by name.
    bundles: BTreeMap<String, (BundleId, PortConfig)>,
    /// The last OpenFlow number given out.
    last_ofport: u32,
    /// Numbers that interfaces had, so that one that comes back has it again.
    numbers: BTreeMap<String, u32>,
    /// Its Ethernet address.
    pub mac: u64,
    /// Whether any controller is configured.
    has_controller: bool,
}

/// The whole switch.
pub struct Switch {
    clock: Clock,
    provider: Box<dyn Provider>,
    /// Datapaths in use, by type.
    pub backers: BTreeMap<String, Backer>,
    /// Datapaths without bridges, by type and name.
    pub bare: BTreeMap<(String, String), BareDatapath>,
    /// Bridges by name.
    pub bridges: BTreeMap<String, BridgeState>,
    running: Desired,
    /// When learned addresses are looked at for their age.
    next_aging: Time,
    /// How datapaths make and look after flows.
    modes: Modes,
    /// OpenFlow numbers that interfaces had under an earlier process.
    numbers: BTreeMap<String, u32>,
    next_bridge: u32,
    next_bundle: u32,
}

impl Switch {
    /// A switch without bridges.
    pub fn new(clock: Clock, provider: Box<dyn Provider>) -> Switch {
        Switch {
            clock,
            provider,
            backers: BTreeMap::new(),
            bare: BTreeMap::new(),
            bridges: BTreeMap::new(),
            running: Desired::default(),
            next_aging: Time::ZERO,
            modes: Modes::default(),
            numbers: BTreeMap::new(),
            next_bridge: 0,
            next_bundle: 0,
        }
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Who opens ports.
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// Who opens ports, to open some.
    pub(crate) fn provider_mut(&mut self) -> &mut dyn Provider {
        &mut *self.provider
    }

    /// Begins to watch the host's devices.
    pub fn watch_devices(&mut self) -> Option<Box<dyn hal::DeviceWatch>> {
        self.provider.watch_devices()
    }

    /// How datapaths make and look after flows.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// Says how all datapaths make and look after flows, those to come too; only those that are
    /// there pause.
    pub fn set_modes(&mut self, modes: Modes) {
        self.modes = modes;
        for backer in self.backers.values_mut() {
            backer.set_modes(modes);
        }
    }

    /// The configuration in force.
    pub fn running(&self) -> &Desired {
        &self.running
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.running.settings
    }

    /// A bridge with its datapath.
    pub fn bridge_mut(&mut self, name: &str) -> Option<(&mut BridgeState, &mut Backer)> {
        let bridge = self.bridges.get_mut(name)?;
        let backer = self.backers.get_mut(&bridge.kind)?;
        Some((bridge, backer))
    }

    /// A bridge with its datapath, by id.
    pub fn bridge_by_id(&mut self, kind: &str, id: BridgeId) -> Option<&mut BridgeState> {
        self.bridges
            .values_mut()
            .find(|b| b.id == id && b.kind == kind)
    }

    /// Interfaces that come get the OpenFlow numbers that they had, if they ask for no others.
    pub fn remember_numbers(&mut self, numbers: BTreeMap<String, u32>) {
        self.numbers = numbers;
    }

    /// Makes the switch what it should be. What could not be had is tried again the next time.
    pub fn configure(&mut self, desired: Desired) {
        self.forget_failures();
        self.free_numbers(&desired);
        let steps = diff(&self.running, &desired);
        self.open_ahead(&steps);
        for step in steps {
            self.apply(step);
        }
        self.provider.open_ahead(&[]);
        // Whoever did not come back has no number any more.
        self.numbers.clear();
        for bridge in self.bridges.values_mut() {
            let interfaces = &bridge.interfaces;
            bridge
                .numbers
                .retain(|name, _| interfaces.contains_key(name));
        }
        self.running = desired;
        // Addresses may age sooner now.
        self.next_aging = self.clock.now();
        self.resolve_patches();
        self.choose_addresses();
        self.choose_mtus();
    }

    /// Interfaces that failed do not count as running.
    fn forget_failures(&mut self) {
        for bridge in self.bridges.values_mut() {
            let failed: Vec<String> = bridge
                .interfaces
                .iter()
                .filter(|(_, i)| i.error.is_some())
                .map(|(n, _)| n.clone())
                .collect();
            for name in failed {
                bridge.interfaces.remove(&name);
                self.running.forget_interface(&bridge.config.name, &name);
            }
        }
    }

    /// Tells which ports will be opened.
    fn open_ahead(&mut self, steps: &[Step]) {
        let added = steps.iter().filter_map(|step| match step {
            Step::AddInterface { interface, .. } => Some(PortRequest {
                name: &interface.name,
                kind: &interface.kind,
                datapath_type: "",
                options: &interface.options,
                mac: interface.mac,
            }),
            _ => None,
        });
        self.provider.open_ahead(&added.collect::<Vec<_>>());
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Settings(settings) => self.set_settings(settings),
            Step::RemoveInterface { bridge, name } => {
                self.remove_interface(&bridge, &name);
                if let Some(bridge) = self.bridges.get_mut(&bridge) {
                    bridge.numbers.remove(&name);
                }
            }
            Step::RemovePort { bridge, name } => self.remove_port(&bridge, &name),
            Step::RemoveBridge { name } => self.remove_bridge(&name),
            Step::AddBridge(config) => self.add_bridge(config),
            Step::SetBridge(config) => self.set_bridge(config),
            Step::SetPort { bridge, port } => self.set_port(&bridge, port),
            Step::AddInterface {
                bridge,
                port,
                interface,
            } => {
                self.add_interface(&bridge, &port, interface);
            }
            Step::SetInterface { bridge, interface } => self.set_interface(&bridge, interface),
        }
    }

    fn set_settings(&mut self, settings: Settings) {
        let limit = packet::vlan_limit();
        packet::set_vlan_limit(settings.vlan_limit);
        for backer in self.backers.values_mut() {
            configure_backer(backer, &settings);
            if packet::vlan_limit() != limit {
                // What was read with the old limit cannot be compared any more.
                backer.purge();
            }
        }
        self.running.settings = settings;
    }

    fn add_bridge(&mut self, config: BridgeConfig) {
        let wanted = if config.datapath_type.is_empty() {
            self.running.settings.default_datapath.clone()
        } else {
            config.datapath_type.clone()
        };
        let kind = self.provider.datapath_type(&wanted).to_owned();
        if !self.backers.contains_key(&kind) {
            match self.provider.open_datapath(&kind) {
                Ok(datapath) => {
                    let mut backer = Backer::new(self.clock.clone(), datapath);
                    configure_backer(&mut backer, &self.running.settings);
                    backer.set_modes(Modes {
                        paused: false,
                        ..self.modes
                    });
                    self.backers.insert(kind.clone(), backer);
                }
                Err(why) => {
                    tracing::error!(target: "bridge",
                        "failed to create bridge {}: {why}", config.name);
                    return;
                }
            }
        }
        let Some(backer) = self.backers.get_mut(&kind) else {
            return;
        };
        self.next_bridge += 1;
        let id = BridgeId(self.next_bridge);
        backer
            .world
            .bridges
            .insert(id, Arc::new(Bridge::new(id, &config.name)));
        let name = config.name.clone();
        let state = BridgeState {
            kind,
            id,
            ofproto: Ofproto::new(id, 0),
            interfaces: BTreeMap::new(),
            bundles: BTreeMap::new(),
            last_ofport: 0,
            numbers: self.numbers.clone(),
            mac: 0,
            has_controller: false,
            config: config.clone(),
        };
        self.bridges.insert(name.clone(), state);
        self.set_bridge(config);
        self.add_default_flow(&name);
        tracing::info!(target: "bridge", "bridge {name}: added");
    }

    fn set_bridge(&mut self, config: BridgeConfig) {
        let name = config.name.clone();
        let Some((bridge, backer)) = self.bridge_mut(&name) else {
            return;
        };
        let had = bridge.has_controller;
        let was = std::mem::replace(&mut bridge.config, config);
        let config = &bridge.config;
        bridge.has_controller = config.controllers.iter().any(|c| c.primary);
        bridge.ofproto.dp_desc = config.dp_desc.clone();
        if let Some(b) = backer.world.bridge_mut(bridge.id) {
            b.fail_mode = config.fail_mode;
            b.forward_bpdu = config.forward_bpdu;
            b.flood_vlans = config.flood_vlans.clone().into();
            b.macs.aging = config.mac_aging;
            b.macs.limit = config.mac_table_size;
            b.config_version += 1;
        }
        let tables = was
            .flow_tables
            .keys()
            .chain(bridge.config.flow_tables.keys());
        let tables: BTreeSet<u8> = tables.copied().filter(|t| *t < TABLES).collect();
        for table in tables {
            let usual = FlowTableConfig::default();
            let wanted = bridge.config.flow_tables.get(&table).unwrap_or(&usual);
            bridge.ofproto.configure_table(backer, &name, table, wanted);
        }
        backer.touch();
        // With controllers, what happens without them is no reason to forget their flows.
        let changed =
            had != bridge.has_controller || !had && was.fail_mode != bridge.config.fail_mode;
        if changed {
            bridge.ofproto.flush(backer);
            self.add_default_flow(&name);
        }
    }

    /// Without a controller, a standalone bridge switches by learned addresses.
    fn add_default_flow(&mut self, name: &str) {
        let now = self.clock.now();
        let Some((bridge, backer)) = self.bridge_mut(name) else {
            return;
        };
        if bridge.has_controller || bridge.config.fail_mode != FailMode::Standalone {
            return;
        }
        let mut fm = FlowMod::new(FlowCommand::Add);
        fm.priority = 0;
        fm.new_cookie = Cookie(0);
        fm.actions = vec![openflow::Action::Output {
            port: OfPort::NORMAL,
            max_len: 0,
        }];
        if let Err(e) = bridge.ofproto.flow_mod(backer, &fm, now) {
            tracing::error!(target: "bridge", "bridge {name}: default flow: {}", e.name());
        }
    }

    /// Its controllers have been away for long: the bridge switches by learned addresses.
    pub fn fail_open(&mut self, name: &str) {
        let now = self.clock.now();
        if let Some((bridge, backer)) = self.bridge_mut(name) {
            bridge.ofproto.flush(backer);
            let normal = openflow::Action::Output {
                port: OfPort::NORMAL,
                max_len: 0,
            };
            bridge
                .ofproto
                .add_hidden(backer, FAIL_OPEN_PRIORITY, &[normal], now);
        }
    }

    /// Some controller is back.
    pub fn end_fail_open(&mut self, name: &str) {
        if let Some((bridge, backer)) = self.bridge_mut(name) {
            bridge.ofproto.remove_hidden(backer, FAIL_OPEN_PRIORITY);
        }
    }

    fn remove_bridge(&mut self, name: &str) {
        let Some(bridge) = self.bridges.remove(name) else {
            return;
        };
        if let Some(backer) = self.backers.get_mut(&bridge.kind) {
            backer.world.bridges.remove(&bridge.id);
            backer.table_counters.retain(|(b, _), _| *b != bridge.id);
            backer.touch();
            // The datapath goes with its last bridge.
            if backer.world.bridges.is_empty() {
                backer.purge();
                self.backers.remove(&bridge.kind);
            }
        }
        tracing::info!(target: "bridge", "bridge {name}: deleted");
    }

    fn set_port(&mut self, bridge: &str, port: PortConfig) {
        self.next_bundle += 1;
        let fresh = BundleId(self.next_bundle);
        let Some((bridge, backer)) = self.bridge_mut(bridge) else {
            return;
        };
        let id = bridge.bundles.get(&port.name).map_or(fresh, |(id, _)| *id);
        let Some(b) = backer.world.bridge_mut(bridge.id) else {
            return;
        };
        let ports = b
            .bundles
            .get(&id)
            .map(|b| b.ports.clone())
            .unwrap_or_default();
        let bundle = Bundle {
            name: port.name.as_str().into(),
            mode: port.mode.clone(),
            trunks: port.trunks.clone(),
            priority_tags: port.priority_tags,
            protected: port.protected,
            ports,
        };
        // What was learned through it in other VLANs is no longer true.
        let old = b.bundles.insert(id, Arc::new(bundle.clone()));
        if old.is_some_and(|o| o.mode != bundle.mode || o.trunks != bundle.trunks) {
            for p in &bundle.ports {
                b.macs.flush(Some(*p));
            }
        }
        b.config_version += 1;
        bridge.bundles.insert(port.name.clone(), (id, port));
        backer.touch();
    }

    fn remove_port(&mut self, bridge: &str, name: &str) {
        let Some((bridge, backer)) = self.bridge_mut(bridge) else {
            return;
        };
        let Some((id, _)) = bridge.bundles.remove(name) else {
            return;
        };
        if let Some(b) = backer.world.bridge_mut(bridge.id) {
            b.bundles.remove(&id);
            b.config_version += 1;
        }
        backer.touch();
    }

    /// Gives each bridge its address and identity: what the configuration says, or the lowest
    /// address of its ports, or one of its own.
    pub(crate) fn choose_addresses(&mut self) {
        for bridge in self.bridges.values_mut() {
            let own = |i: &&Interface| i.config.name == bridge.config.name;
            let local = bridge
                .interfaces
                .values()
                .find(own)
                .and_then(|i| i.port.clone());
            let asked = bridge.config.hwaddr.filter(|mac| {
                let name = &bridge.config.name;
                if *mac == 0 {
                    tracing::error!(target: "bridge", "bridge {name}: cannot set MAC address to zero");
                } else if is_multicast(*mac) {
                    let mac = packet::odp::format_mac(*mac);
                    tracing::error!(target: "bridge",
                        "bridge {name}: cannot set MAC address to multicast address {mac}");
                }
                *mac != 0 && !is_multicast(*mac)
            });
            let chosen = asked
                .or_else(|| bridge.lowest_address())
                .unwrap_or_else(|| address_of(bridge.config.uuid));
            if let Some(local) = local
                && local.link().mac != chosen
                && let Err(e) = local.set_mac(chosen)
            {
                tracing::warn!(target: "bridge", "{}: {e}", bridge.config.name);
            }
            bridge.mac = chosen;
            let id = bridge.config.datapath_id.unwrap_or(chosen);
            if id != bridge.ofproto.datapath_id {
                let name = &bridge.config.name;
                tracing::info!(target: "bridge", "bridge {name}: using datapath ID {id:016x}");
                bridge.ofproto.datapath_id = id;
            }
        }
    }

    /// Says whether controllers want packets that no flow matches.
    pub fn set_miss_to_controller(&mut self, bridge: &str, wanted: bool) {
        let Some((bridge, backer)) = self.bridge_mut(bridge) else {
            return;
        };
        if backer
            .world
            .bridge(bridge.id)
            .is_some_and(|b| b.miss_to_controller != wanted)
            && let Some(b) = backer.world.bridge_mut(bridge.id)
        {
            b.miss_to_controller = wanted;
            b.config_version += 1;
            backer.touch();
        }
    }

    /// Does what there is to do, a bounded amount of it. True if there may be more.
    pub fn run(&mut self) -> bool {
        let now = self.clock.now();
        let mut busy = false;
        for bridge in self.bridges.values_mut() {
            let Some(backer) = self.backers.get_mut(&bridge.kind) else {
                continue;
            };
            bridge.ofproto.expire(backer, now);
            if now >= self.next_aging
                && let Some(b) = backer.world.bridge_mut(bridge.id)
                && b.macs.expire(now)
            {
                backer.touch();
            }
        }
        if now >= self.next_aging {
            self.next_aging = self.next_mac_expiry().min(now + AGING_CHECK);
        }
        for backer in self.backers.values_mut() {
            busy |= backer.run();
        }
        for bare in self.bare.values_mut() {
            busy |= bare.run(now);
        }
        busy
    }

    /// Runs until there is nothing left to do, or a great many turns.
    pub fn run_until_idle(&mut self) {
        for _ in 0..10_000 {
            if !self.run() {
                return;
            }
        }
    }

    /// When there will be something to do without anything happening.
    pub fn next_deadline(&self) -> Time {
        let backers = self.backers.values().map(Backer::next_deadline);
        let rules = self.bridges.values().map(|b| b.ofproto.next_deadline());
        backers
            .chain(rules)
            .min()
            .unwrap_or(Time::NEVER)
            .min(self.next_aging)
    }

    /// When the next learned address ages, as things stand.
    fn next_mac_expiry(&self) -> Time {
        let macs = self.bridges.values().filter_map(|b| {
            let backer = self.backers.get(&b.kind)?;
            backer.world.bridge(b.id)?.macs.next_expiry()
        });
        macs.min().unwrap_or(Time::NEVER)
    }
}

const GROUP_BIT: u64 = 1 << 40;
const LOCAL_BIT: u64 = 2 << 40;

fn is_multicast(mac: u64) -> bool {
    mac & GROUP_BIT != 0
}

/// Whether a port's address can be its bridge's too: it is the port's alone in the whole world, and
/// none that protocols between switches are spoken to (Extreme's EDP and EAPS).
fn is_global(mac: u64) -> bool {
    let protocol = matches!(mac, 0xe0_2b00_0000 | 0xe0_2b00_0004 | 0xe0_2b00_0006);
    mac != 0 && mac & (GROUP_BIT | LOCAL_BIT) == 0 && !protocol
}

/// The address of a bridge whose ports have none for it: its row's id marked as locally
/// administered, so that it is the same whenever the switch starts. Open vSwitch keeps the id in
/// words of the machine's order, and has bridges with these addresses in the field.
fn address_of(bridge: ovsdb::Uuid) -> u64 {
    let [a, b, c, d, _, _, e, f, ..] = *bridge.bytes();
    let mac = u64::from_be_bytes([0, 0, d, c, b, a, f, e]);
    mac & !GROUP_BIT | LOCAL_BIT
}

fn configure_backer(backer: &mut Backer, settings: &Settings) {
    backer.limits = settings.limits;
    backer.offload.set_enabled(settings.hw_offload);
    backer.offload.set_admit(if settings.admit_always {
        offload::Admit::Always
    } else {
        offload::Admit::Policy
    });
    backer.offload.set_priority(&settings.offload_priority);
    backer.touch();
}

impl BridgeState {
    /// The number asked for if it is free, or the next one that has not been used lately.
    fn free_ofport(&mut self, backer: &Backer, config: &InterfaceConfig) -> OfPort {
        if config.name == self.config.name {
            return OfPort::LOCAL;
        }
        let used = |n: u32| {
            backer
                .world
                .bridge(self.id)
                .is_some_and(|b| b.ports.contains_key(&OfPort(n)))
        };
        let had = self.numbers.get(&config.name).copied();
        let mut wanted = [config.ofport_request, had].into_iter().flatten();
        let free = wanted.find(|n| !used(*n));
        let n = free.unwrap_or_else(|| {
            let last = self.last_ofport;
            let mut after = (last + 1..0xff00).chain(1..=last);
            // What another had it may want again.
            let waits = |n: u32| self.numbers.values().any(|had| *had == n);
            let free = after.clone().find(|n| !used(*n) && !waits(*n));
            let n = free.or_else(|| after.find(|n| !used(*n))).unwrap_or(0xfeff);
            self.last_ofport = n;
            n
        });
        self.numbers.insert(config.name.clone(), n);
        OfPort(n)
    }

    /// The lowest address among those that its ports can lend it. A port of several interfaces is
    /// known by the first of them.
    fn lowest_address(&self) -> Option<u64> {
        let ports = self.bundles.values();
        let first = ports.filter_map(|(_, port)| port.interfaces.keys().next());
        let others = first.filter(|name| **name != self.config.name);
        let opened = others.filter_map(|name| self.interfaces.get(name)?.port.as_ref());
        opened.map(|p| p.link().mac).filter(|m| is_global(*m)).min()
    }

    /// The interface with this OpenFlow number.
    pub fn interface_on(&self, port: OfPort) -> Option<&Interface> {
        self.interfaces.values().find(|i| i.ofport == Some(port))
    }
}
