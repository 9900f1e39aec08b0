//! Controllers: who is connected to which bridge, and what they are told.
//!
//! * [`connection`](mod@connection): one connection: its machine, its session, who listens in.
//! * [`dispatch`](mod@dispatch): what each message does to the switch.
//! * [`edge`](mod@edge): sockets, one task each, with queues that are bounded.
//! * [`fail_open`](mod@fail_open): what a bridge does without its controllers.
//!
//! Everyone is served in turn, a bounded number of messages each, so that nobody who sends without
//! end keeps the others waiting.

mod connection;
mod dispatch;
mod edge;
mod fail_open;
mod status;

pub use connection::{Connection, ConnectionKind};
pub use fail_open::PRIORITY as FAIL_OPEN_PRIORITY;

use crate::config::ControllerConfig;
use crate::ofproto::Notice;
use crate::switch::{BridgeState, Switch};
use crate::world::FailMode;
use clock::{Clock, Time};
use edge::{Listening, Pipe, Target};
use fail_open::{Absence, FailOpen, Step};
use openflow::connection::Config;
use openflow::{Version, Versions};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Messages of one connection that are handled before others get their turn.
const TURN: usize = 50;
/// Nobody is probed more often than this.
const LEAST_PROBE: Duration = Duration::from_secs(5);

/// Names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ConnId(u64);

/// A bridge and a target.
type Key = (String, String);

/// What is configured: a controller and the versions that its bridge speaks.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    config: ControllerConfig,
    versions: Versions,
}

impl Entry {
    fn kind(&self) -> ConnectionKind {
        if self.config.primary {
            ConnectionKind::Primary
        } else {
            ConnectionKind::Service
        }
    }

    fn machine(&self, active: bool) -> Config {
        let probe = self.config.inactivity_probe;
        Config {
            versions: self.versions,
            probe_interval: (!probe.is_zero()).then(|| probe.max(LEAST_PROBE)),
            max_backoff: self.config.max_backoff,
            active,
        }
    }
}

/// All connections of all bridges.
pub struct Controllers {
    clock: Clock,
    /// Rung when a connection may have something to do.
    bell: Arc<Notify>,
    entries: BTreeMap<Key, Entry>,
    /// Where we are called.
    listening: BTreeMap<Key, Listening>,
    /// Where those call who only want to see what passes, by bridge.
    snoops: BTreeMap<String, Listening>,
    connections: BTreeMap<ConnId, Connection>,
    next_id: u64,
    /// The newest generation that a controller has shown, by bridge (OpenFlow 1.2 roles).
    generations: BTreeMap<String, u64>,
    /// Bridges that would switch by themselves without their controllers.
    fail_open: BTreeMap<String, FailOpen>,
}

impl Controllers {
    /// No connections yet.
    pub fn new(clock: Clock) -> Controllers {
        Controllers {
            clock,
            bell: Arc::new(Notify::new()),
            entries: BTreeMap::new(),
            listening: BTreeMap::new(),
            snoops: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_id: 0,
            generations: BTreeMap::new(),
            fail_open: BTreeMap::new(),
        }
    }

    /// Waits until something may have arrived.
    pub async fn ready(&self) {
        self.bell.notified().await;
    }

    /// When connections are to be looked at.
    pub fn deadline(&self) -> Time {
        let now = self.clock.now();
        let connections = self.connections.values().map(Connection::deadline);
        let fail_open = self.fail_open.iter();
        let fail_open = fail_open.map(|(bridge, f)| f.deadline(now, self.absence(bridge)));
        connections.chain(fail_open).min().unwrap_or(Time::NEVER)
    }

    /// Listens and connects as the switch's configuration says.
    pub fn configure(&mut self, switch: &mut Switch) {
        let mut wanted = BTreeMap::new();
        for (name, bridge) in &switch.bridges {
            let versions = bridge.config.protocols;
            let management = ControllerConfig {
                uuid: None,
                target: format!("punix:{}", socket_of(name, "mgmt")),
                inactivity_probe: Duration::ZERO,
                max_backoff: Duration::from_secs(8),
                primary: false,
            };
            for config in bridge.config.controllers.iter().chain([&management]) {
                let entry = Entry {
                    config: config.clone(),
                    versions,
                };
                wanted.insert((name.clone(), config.target.clone()), entry);
            }
        }
        let before = std::mem::take(&mut self.entries);
        for (key, entry) in &before {
            let (bridge, target) = key;
            match wanted.get(key) {
                None => tracing::info!(target: "connmgr",
                    "{bridge}: removed {} controller \"{target}\"", word(entry.kind())),
                Some(new) if new.versions != entry.versions => tracing::info!(target: "connmgr",
                    "{bridge}: Changes to controller \"{target}\" expects re-initialization: \
                     Re-initializing now."),
                Some(_) => continue,
            }
            // Whoever called us calls again and is greeted with the new versions.
            if !wanted.contains_key(key) {
                self.listening.remove(key);
            }
            self.connections
                .retain(|_, c| (&c.bridge, &c.target) != (bridge, target));
        }
        self.entries = wanted;
        for (key, entry) in self.entries.clone() {
            if self.stands(&key) {
                for c in self.connections.values_mut() {
                    if (&c.bridge, &c.target) == (&key.0, &key.1) {
                        c.kind = entry.kind();
                        c.configure(entry.machine(c.is_active()));
                    }
                }
            } else {
                self.start(key, &entry);
            }
        }
        self.configure_snoops(switch);
        self.configure_fail_open(switch);
        self.update_misses(switch);
    }

    /// Whether we listen for it or call it.
    fn stands(&self, key: &Key) -> bool {
        let calls = |c: &Connection| (&c.bridge, &c.target) == (&key.0, &key.1) && c.is_active();
        self.listening.contains_key(key) || self.connections.values().any(calls)
    }

    fn start(&mut self, key: Key, entry: &Entry) {
        let (bridge, target) = &key;
        match Target::parse(target) {
            Err(_) => {
                return tracing::warn!(target: "connmgr",
                    "{bridge}: unsupported controller \"{target}\"");
            }
            Ok(Target::Passive(passive)) => {
                match Listening::start(&passive, self.bell.clone(), self.clock.clone()) {
                    Ok(listening) => self.listening.insert(key.clone(), listening),
                    Err(why) => {
                        return tracing::error!(target: "bridge",
                            "failed to listen on {target} for bridge {bridge}: {why}");
                    }
                };
            }
            Ok(Target::Active(call)) => {
                let (kind, config) = (entry.kind(), entry.machine(true));
                let (clock, bell) = (&self.clock, &self.bell);
                let c = Connection::active(key.clone(), kind, config, call, clock, bell);
                self.add(c);
            }
        }
        tracing::info!(target: "connmgr",
            "{}: added {} controller \"{}\"", key.0, word(entry.kind()), key.1);
    }

    fn add(&mut self, c: Connection) {
        self.next_id += 1;
        self.connections.insert(ConnId(self.next_id), c);
        // It has something to do at once.
        self.bell.notify_one();
    }

    fn configure_snoops(&mut self, switch: &Switch) {
        self.snoops
            .retain(|name, _| switch.bridges.contains_key(name));
        for name in switch.bridges.keys() {
            if self.snoops.contains_key(name) {
                continue;
            }
            let path = socket_of(name, "snoop");
            let passive = daemon::stream::Passive::Unix(path.clone().into());
            match Listening::start(&passive, self.bell.clone(), self.clock.clone()) {
                Ok(listening) => {
                    self.snoops.insert(name.clone(), listening);
                }
                Err(why) => tracing::error!(target: "connmgr",
                    "failed to listen on punix:{path}: {why}"),
            }
        }
    }

    fn configure_fail_open(&mut self, switch: &mut Switch) {
        let would = |b: &BridgeState| {
            b.config.fail_mode == FailMode::Standalone
                && b.config.controllers.iter().any(|c| c.primary)
        };
        for (name, _) in switch.bridges.iter().filter(|(_, b)| would(b)) {
            self.fail_open.entry(name.clone()).or_default();
        }
        let mut over = Vec::new();
        self.fail_open.retain(|name, f| {
            let stays = switch.bridges.get(name).is_some_and(would);
            if !stays && f.recover().is_some() {
                over.push(name.clone());
            }
            stays
        });
        for name in over {
            switch.end_fail_open(&name);
        }
    }

    /// Connects anew (`bridge/reconnect`).
    pub fn reconnect(&mut self, bridge: Option<&str>) {
        for c in self.connections.values_mut() {
            if bridge.is_none_or(|b| b == c.bridge) {
                c.reconnect();
            }
        }
        self.connections.retain(|_, c| !c.is_closed());
        self.bell.notify_one();
    }

    /// Does what there is to do, a bounded amount of it. True if there is more.
    pub fn run(&mut self, switch: &mut Switch) -> bool {
        self.accept();
        let ids: Vec<ConnId> = self.connections.keys().copied().collect();
        let mut changed = false;
        let mut more = false;
        for id in ids {
            let Some(mut c) = self.connections.remove(&id) else {
                continue;
            };
            let before = c.version();
            c.tick();
            for _ in 0..TURN {
                let Some(bytes) = c.take() else { break };
                self.recover(&c, switch);
                dispatch::dispatch(&mut c, &bytes, switch, self);
                self.tell_notices(switch, Some(&mut c));
            }
            more |= c.has_next();
            changed |= c.version() != before || c.version().is_some();
            if c.is_closed() {
                changed = true;
            } else {
                self.connections.insert(id, c);
            }
        }
        self.tell_packet_ins(switch);
        self.tell_notices(switch, None);
        self.run_fail_open(switch);
        if changed {
            self.update_misses(switch);
        }
        more
    }

    fn accept(&mut self) {
        let mut arrived = Vec::new();
        for (key, listening) in &mut self.listening {
            while let Some((pipe, name)) = listening.try_next() {
                arrived.push((key.clone(), pipe, name));
            }
        }
        for (key, pipe, name) in arrived {
            let Some(entry) = self.entries.get(&key) else {
                continue;
            };
            let (kind, config) = (entry.kind(), entry.machine(false));
            let (clock, bell) = (&self.clock, &self.bell);
            let c = Connection::passive(key, &name, kind, config, pipe, clock, bell);
            self.add(c);
        }
        let mut listeners = Vec::new();
        for (bridge, listening) in &mut self.snoops {
            while let Some((pipe, name)) = listening.try_next() {
                listeners.push((bridge.clone(), pipe, name));
            }
        }
        for (bridge, pipe, name) in listeners {
            self.snoop(&bridge, pipe, &name);
        }
    }

    /// Lets somebody listen in on the bridge's most important controller.
    fn snoop(&mut self, bridge: &str, pipe: Pipe, name: &str) {
        let calls = self.connections.values_mut();
        let calls = calls.filter(|c| c.bridge == bridge && c.is_active());
        match calls.max_by_key(|c| c.importance()) {
            Some(c) => c.add_snoop(pipe, name),
            None => tracing::info!(target: "connmgr", "no controller connection to snoop"),
        }
    }

    /// Tells each bridge whether anyone wants packets that no flow matches: controllers before
    /// OpenFlow 1.3 do, later ones say so with a flow.
    fn update_misses(&mut self, switch: &mut Switch) {
        let names: Vec<String> = switch.bridges.keys().cloned().collect();
        for name in names {
            let wants = self.connections.values().any(|c| {
                c.bridge == name
                    && c.session.controller_id == 0
                    && c.version().is_some_and(|v| v < Version::Of13)
            });
            switch.set_miss_to_controller(&name, wants);
        }
    }

    fn tell_packet_ins(&mut self, switch: &mut Switch) {
        for (kind, backer) in &mut switch.backers {
            for event in backer.take_packet_ins() {
                let of = |b: &&BridgeState| b.id == event.bridge && b.kind == *kind;
                let Some(bridge) = switch.bridges.values().find(of) else {
                    continue;
                };
                for c in self.connections.values_mut() {
                    if c.bridge == bridge.config.name
                        && c.session.controller_id == event.controller_id
                    {
                        c.packet_in(&event.message);
                    }
                }
            }
        }
    }

    /// Tells everyone what has happened; `current` is not in its place just now.
    fn tell_notices(&mut self, switch: &mut Switch, mut current: Option<&mut Connection>) {
        for (name, bridge) in &mut switch.bridges {
            for notice in bridge.ofproto.take_notices() {
                let others = self.connections.values_mut().map(|c| (c, false));
                let all = others.chain(current.as_deref_mut().map(|c| (c, true)));
                for (c, asked) in all.filter(|(c, _)| c.bridge == *name) {
                    match &notice {
                        Notice::FlowRemoved(m) => c.flow_removed(m),
                        Notice::Port(news) => c.port_status(news, asked && news.asked_for),
                    }
                }
            }
        }
    }

    /// Another controller of the bridge became primary: the others that were are not any more.
    fn demote_others(&mut self, bridge: &str) {
        let generation = self.generations.get(bridge).copied();
        for c in self.connections.values_mut().filter(|c| c.bridge == bridge) {
            c.demote(generation);
        }
    }

    fn absence(&self, bridge: &str) -> Absence {
        let primary = |c: &&Connection| c.bridge == bridge && c.kind == ConnectionKind::Primary;
        let connections = || self.connections.values().filter(primary);
        let calls = connections().filter(|c| c.is_active());
        let entries = self.entries.range((bridge.to_owned(), String::new())..);
        let entries = entries
            .take_while(|(key, _)| key.0 == bridge)
            .map(|(_, e)| e);
        let probes = entries
            .filter(|e| e.config.primary)
            .map(|e| e.config.inactivity_probe);
        Absence {
            away: calls
                .map(Connection::failure_duration)
                .min()
                .unwrap_or_default(),
            probe: probes.max().unwrap_or_default(),
            connected: connections().any(|c| c.version().is_some()),
            admitted: connections().any(|c| c.machine().is_admitted()),
        }
    }

    fn run_fail_open(&mut self, switch: &mut Switch) {
        let now = self.clock.now();
        let bridges: Vec<String> = self.fail_open.keys().cloned().collect();
        for bridge in bridges {
            let absence = self.absence(&bridge);
            let step = self
                .fail_open
                .get_mut(&bridge)
                .and_then(|f| f.run(now, absence));
            match step {
                None => {}
                Some(Step::Open) => switch.fail_open(&bridge),
                Some(Step::Recover) => switch.end_fail_open(&bridge),
                Some(Step::BogusPacket) => self.bogus_packet(&bridge),
            }
        }
    }

    /// A controller that has taken the switch on finds the hidden flow gone before its first
    /// message is carried out.
    fn recover(&mut self, c: &Connection, switch: &mut Switch) {
        if c.kind == ConnectionKind::Primary
            && c.machine().is_admitted()
            && let Some(f) = self.fail_open.get_mut(&c.bridge)
            && f.recover().is_some()
        {
            switch.end_fail_open(&c.bridge);
        }
    }

    /// Shows controllers a packet of a station that there is not: some act only on packets.
    fn bogus_packet(&mut self, bridge: &str) {
        let message = fail_open::bogus_packet(self.clock.now());
        for c in self.connections.values_mut().filter(|c| c.bridge == bridge) {
            c.packet_in(&message);
        }
    }

    /// How many connections there are, and how many messages wait to leave.
    pub fn memory(&self) -> (usize, usize) {
        let connected = self.connections.values().filter(|c| c.version().is_some());
        let waiting = self.connections.values().map(Connection::backlog);
        (connected.count(), waiting.sum())
    }
}

fn socket_of(bridge: &str, suffix: &str) -> String {
    let path = daemon::dirs::rundir().join(format!("{bridge}.{suffix}"));
    path.display().to_string()
}

fn word(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Primary => "primary",
        ConnectionKind::Service => "service",
    }
}
