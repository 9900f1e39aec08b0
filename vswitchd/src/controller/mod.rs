//! Controllers: who is connected to which bridge, and what they are told.
//!
//! * [`connection`](mod@connection): one connection's state, without its socket.
//! * [`dispatch`](mod@dispatch): what each message does to the switch.
//! * [`edge`](mod@edge): sockets, one task each; everything that arrives becomes an [`Event`] for
//!   the one task that owns the switch.

mod connection;
mod dispatch;
mod edge;

pub use connection::{Connection, ConnectionKind};
pub use edge::{ConnId, Event};

use crate::config::ControllerConfig;
use crate::ofproto::Notice;
use crate::status::Cell;
use crate::switch::Switch;
use clock::{Clock, Time};
use edge::{Endpoint, Target};
use openflow::{Message, Version, Versions, Xid};
use ovsdb::Uuid;
use ovsdb::types::Datum;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// All connections of all bridges.
pub struct Controllers {
    clock: Clock,
    events: mpsc::UnboundedReceiver<Event>,
    sender: mpsc::UnboundedSender<Event>,
    /// What we listen on or connect to, by bridge and target.
    endpoints: BTreeMap<(String, String), Endpoint>,
    configs: BTreeMap<(String, String), ControllerConfig>,
    connections: BTreeMap<ConnId, Connection>,
    next_id: u64,
    /// The newest generation that a controller has shown, by bridge (OpenFlow 1.2 roles).
    generations: BTreeMap<String, u64>,
}

impl Controllers {
    /// No connections yet.
    pub fn new(clock: Clock) -> Controllers {
        let (sender, events) = mpsc::unbounded_channel();
        Controllers {
            clock,
            events,
            sender,
            endpoints: BTreeMap::new(),
            configs: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_id: 0,
            generations: BTreeMap::new(),
        }
    }

    /// What has arrived; waits for it.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// What has arrived already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// When connections are to be looked at.
    pub fn deadline(&self) -> Time {
        self.connections
            .values()
            .map(|c| c.next_deadline())
            .min()
            .unwrap_or(Time::NEVER)
    }

    /// Listens and connects as the switch's configuration says.
    pub fn configure(&mut self, switch: &mut Switch) {
        let mut wanted = BTreeMap::new();
        for (name, bridge) in &switch.bridges {
            let rundir = daemon::dirs::rundir();
            for suffix in ["mgmt", "snoop"] {
                let target = format!(
                    "punix:{}",
                    rundir.join(format!("{name}.{suffix}")).display()
                );
                let config = ControllerConfig {
                    uuid: None,
                    target: target.clone(),
                    inactivity_probe: Duration::ZERO,
                    max_backoff: Duration::from_secs(8),
                    primary: false,
                };
                wanted.insert((name.clone(), target), config);
            }
            for c in &bridge.config.controllers {
                wanted.insert((name.clone(), c.target.clone()), c.clone());
            }
        }
        let gone: Vec<_> = self
            .endpoints
            .keys()
            .filter(|k| !wanted.contains_key(*k))
            .cloned()
            .collect();
        for key in gone {
            self.endpoints.remove(&key);
            self.connections
                .retain(|_, c| (&c.bridge, &c.target) != (&key.0, &key.1));
        }
        for (key, config) in &wanted {
            let same = self.configs.get(key) == Some(config);
            if self.endpoints.contains_key(key) && same {
                continue;
            }
            if !same {
                self.endpoints.remove(key);
                self.connections
                    .retain(|_, c| (&c.bridge, &c.target) != (&key.0, &key.1));
            }
            match Target::parse(&config.target) {
                Ok(target) => {
                    let endpoint = Endpoint::start(
                        &self.clock,
                        key.0.clone(),
                        config.target.clone(),
                        target,
                        config.max_backoff,
                        self.sender.clone(),
                    );
                    match endpoint {
                        Ok(endpoint) => {
                            self.endpoints.insert(key.clone(), endpoint);
                        }
                        Err(why) => tracing::error!(target: "bridge",
                            "failed to listen on {} for bridge {}: {why}", key.1, key.0),
                    }
                }
                Err(why) => tracing::error!(target: "bridge",
                    "bridge {}: controller {}: {why}", key.0, key.1),
            }
        }
        self.configs = wanted;
        for c in self.connections.values_mut() {
            if let Some(bridge) = switch.bridges.get(&c.bridge) {
                c.allowed = bridge.config.protocols;
            }
        }
        self.update_misses(switch);
    }

    /// Connects anew (`bridge/reconnect`).
    pub fn reconnect(&mut self, bridge: Option<&str>) {
        self.connections
            .retain(|_, c| bridge.is_some_and(|b| b != c.bridge));
    }

    /// Something arrived.
    pub fn handle(&mut self, event: Event, switch: &mut Switch) {
        match event {
            Event::Opened {
                bridge,
                target,
                outgoing,
                reply,
            } => {
                self.next_id += 1;
                let id = ConnId(self.next_id);
                let key = (bridge.clone(), target.clone());
                let (Some(config), Some(b)) = (self.configs.get(&key), switch.bridges.get(&bridge))
                else {
                    return;
                };
                let kind = if target.ends_with(".snoop") {
                    ConnectionKind::Snoop
                } else if config.primary && !target.starts_with('p') {
                    ConnectionKind::Primary
                } else {
                    ConnectionKind::Service
                };
                let allowed = b.config.protocols;
                let now = self.clock.now();
                let probe = config.inactivity_probe;
                let mut c =
                    Connection::new(id, bridge, target, kind, allowed, probe, now, outgoing);
                c.hello();
                self.connections.insert(id, c);
                let _ = reply.send(id);
                self.update_misses(switch);
            }
            Event::Closed { id } => {
                self.connections.remove(&id);
                self.update_misses(switch);
            }
            Event::Bytes { id, message } => self.message(id, &message, switch),
        }
    }

    fn message(&mut self, id: ConnId, bytes: &[u8], switch: &mut Switch) {
        let now = self.clock.now();
        let Some(c) = self.connections.get_mut(&id) else {
            return;
        };
        c.heard(now);
        if c.kind == ConnectionKind::Snoop {
            return;
        }
        if c.version.is_none() {
            let negotiated = c.negotiate(bytes);
            match negotiated {
                Ok(true) => self.update_misses(switch),
                Ok(false) => {}
                Err(why) => {
                    tracing::warn!(target: "rconn", "{}<->{}: {why}", c.bridge, c.target);
                    self.connections.remove(&id);
                }
            }
            return;
        }
        let Some(mut c) = self.connections.remove(&id) else {
            return;
        };
        self.snoop(&c, bytes);
        dispatch::dispatch(&mut c, bytes, switch, self);
        if !c.is_closed() {
            self.connections.insert(id, c);
        }
        self.tell_notices(switch);
        self.update_misses(switch);
    }

    /// Copies what passes a primary connection to those who listen in.
    fn snoop(&mut self, of: &Connection, bytes: &[u8]) {
        if of.kind != ConnectionKind::Primary {
            return;
        }
        for c in self.connections.values_mut() {
            if c.kind == ConnectionKind::Snoop && c.bridge == of.bridge {
                c.send_raw(bytes.to_vec());
            }
        }
    }

    /// Tells each bridge whether anyone wants packets that no flow matches: controllers before
    /// OpenFlow 1.3 do, later ones say so with a flow.
    fn update_misses(&mut self, switch: &mut Switch) {
        let names: Vec<String> = switch.bridges.keys().cloned().collect();
        for name in names {
            let wants = self.connections.values().any(|c| {
                c.bridge == name
                    && c.kind != ConnectionKind::Snoop
                    && c.controller_id == 0
                    && c.version.is_none_or(|v| v < Version::Of13)
            });
            switch.set_miss_to_controller(&name, wants);
        }
    }

    /// What there is to do without anything arriving.
    pub fn run(&mut self, switch: &mut Switch) {
        self.tell_packet_ins(switch);
        self.tell_notices(switch);
        let now = self.clock.now();
        let mut dead = Vec::new();
        for c in self.connections.values_mut() {
            if !c.keep_alive(now) {
                tracing::error!(target: "rconn",
                    "{}<->{}: no response to inactivity probe after {} seconds, disconnecting",
                    c.bridge, c.target, c.probe.as_secs());
                dead.push(c.id);
            }
        }
        for id in dead {
            self.connections.remove(&id);
        }
    }

    fn tell_packet_ins(&mut self, switch: &mut Switch) {
        for (kind, backer) in &mut switch.backers {
            for event in backer.take_packet_ins() {
                let of = |b: &&crate::switch::BridgeState| b.id == event.bridge && b.kind == *kind;
                let Some(bridge) = switch.bridges.values().find(of) else {
                    continue;
                };
                for c in self.connections.values_mut() {
                    if c.bridge == bridge.config.name && c.controller_id == event.controller_id {
                        c.packet_in(&event.message);
                    }
                }
            }
        }
    }

    fn tell_notices(&mut self, switch: &mut Switch) {
        for (name, bridge) in &mut switch.bridges {
            for notice in bridge.ofproto.take_notices() {
                for c in self.connections.values_mut().filter(|c| c.bridge == *name) {
                    match &notice {
                        Notice::FlowRemoved(m) => c.flow_removed(m),
                        Notice::PortStatus(m) => c.port_status(m),
                    }
                }
            }
        }
    }

    /// Another controller of the bridge became primary: the others that were are not any more.
    fn demote_others(&mut self, bridge: &str) {
        for c in self.connections.values_mut().filter(|c| c.bridge == bridge) {
            c.demote();
        }
    }

    /// Status of configured controllers, for the database.
    pub fn status(&self) -> Vec<Cell> {
        let mut out = Vec::new();
        for ((bridge, target), config) in &self.configs {
            let Some(row) = config.uuid else { continue };
            if target.starts_with('p') {
                continue;
            }
            let c = self
                .connections
                .values()
                .find(|c| c.bridge == *bridge && c.target == *target && c.version.is_some());
            self.controller_status(row, c, &mut out);
        }
        out
    }

    fn controller_status(&self, row: Uuid, c: Option<&Connection>, out: &mut Vec<Cell>) {
        let mut put = |column, value| {
            out.push(Cell {
                table: "Controller",
                row,
                column,
                value,
            })
        };
        put("is_connected", Datum::set([c.is_some()]));
        let role = c.map(|c| match c.role {
            openflow::Role::Primary => "master",
            openflow::Role::Secondary => "slave",
            _ => "other",
        });
        put("role", Datum::set(role));
        let state = if c.is_some() { "ACTIVE" } else { "BACKOFF" };
        put("status", Datum::map([("state", state)]));
    }
}

/// The versions that we offer.
pub(crate) fn hello(allowed: Versions, xid: Xid) -> Vec<u8> {
    let newest = allowed.newest().unwrap_or(Version::Of10);
    openflow::encode(newest, xid, &Message::Hello { versions: allowed })
}
