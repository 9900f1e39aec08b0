//! One OpenFlow connection: the handshake's machine, its socket and what has been agreed on.

use super::edge::{Arrival, Class, Dial, Pipe};
use crate::ofproto::PortNews;
use clock::{Clock, Time};
use daemon::stream::Active;
use openflow::connection::{Config, Connection as Machine, Effect, Event, Loudness, State};
use openflow::{
    AsyncConfig, Decoding, Message, OfError, PacketIn, PacketInFormat, PhyPort, PortReason,
    PortStatus, Protocol, Role, RoleStatus, TableFeatures, Version, Versions, Xid,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Replies that may wait to leave before no more is taken from a connection.
pub(super) const REPLIES: usize = 100;
/// Packets that may wait to leave before more are dropped.
const PACKET_INS: usize = 100;
/// Those who may listen in on one connection.
const SNOOPS: usize = 8;
/// Copies that may wait for somebody who listens in.
const COPIES: usize = 100;

/// OFPCRR_MASTER_REQUEST: another controller asked to be primary.
const PRIMARY_REQUEST: u8 = 0;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// Its peer controls the bridge.
    Primary,
    /// Its peer uses the bridge; it gets nothing unasked until it asks.
    Service,
}

/// Which asynchronous messages there are, as rows of [`AsyncConfig`].
#[derive(Clone, Copy)]
enum AsyncKind {
    PacketIn = 0,
    PortStatus = 1,
    FlowRemoved = 2,
}

/// What a peer has asked for since it connected.
pub struct Session {
    /// How flows are written to it (OpenFlow 1.0).
    pub protocol: Protocol,
    /// Extensions in the way its messages are read.
    pub decoding: Decoding,
    /// Who is in charge.
    pub role: Role,
    /// Nicira's controller id.
    pub controller_id: u16,
    /// How packets are sent to it.
    pub packet_in_format: PacketInFormat,
    /// Bytes of missed packets; 0 for a service = no asynchronous messages.
    pub miss_send_len: u16,
    /// Which asynchronous messages it gets.
    pub async_config: AsyncConfig,
    /// Packets with an invalid time to live are sent to it.
    pub invalid_ttl: bool,
    /// Another part of the multipart request at hand follows.
    pub expects_more: bool,
    /// What the parts of a request have asked of tables so far.
    pub wanted_features: Vec<TableFeatures>,
}

impl Session {
    fn new(kind: ConnectionKind, version: Version) -> Session {
        Session {
            protocol: match version {
                // Until it says that it knows Nicira's formats.
                Version::Of10 => Protocol::Of10Std,
                v => Protocol::of_version(v),
            },
            decoding: Decoding {
                tables: false,
                ..Decoding::default()
            },
            role: Role::Equal,
            controller_id: 0,
            packet_in_format: PacketInFormat::Standard,
            miss_send_len: match kind {
                ConnectionKind::Primary => 128,
                ConnectionKind::Service => 0,
            },
            async_config: default_async(),
            invalid_ttl: false,
            expects_more: false,
            wanted_features: Vec::new(),
        }
    }
}

/// What a controller gets unless it says otherwise: packets and removed flows as primary, ports'
/// changes always.
pub fn default_async() -> AsyncConfig {
    let none = Some(0);
    AsyncConfig {
        // Packet-in: no match, action, action set, group, packet-out. Port: all. Flow: the first
        // four.
        primary: [Some(0b11_1011), Some(0b111), Some(0b1111), none, none, none],
        secondary: [none, Some(0b111), none, none, none, none],
    }
}

enum Socket {
    None,
    Opening(Dial),
    Open(Pipe),
}

/// A connection.
pub struct Connection {
    /// Its bridge.
    pub bridge: String,
    /// The configured target that it belongs to.
    pub target: String,
    /// Its name in the log.
    name: String,
    /// What it is for.
    pub kind: ConnectionKind,
    /// Where to call, if we do.
    call: Option<Active>,
    machine: Machine,
    socket: Socket,
    /// What the peer has asked for.
    pub session: Session,
    /// Those who listen in.
    snoops: Vec<Pipe>,
    clock: Clock,
    bell: Arc<Notify>,
}

fn moment(time: Time) -> Duration {
    time - Time::ZERO
}

impl Connection {
    fn new(
        key: (String, String),
        name: &str,
        kind: ConnectionKind,
        config: Config,
        clock: &Clock,
        bell: &Arc<Notify>,
    ) -> Connection {
        Connection {
            name: format!("{}<->{name}", key.0),
            bridge: key.0,
            target: key.1,
            kind,
            call: None,
            machine: Machine::new(config, moment(clock.now())),
            socket: Socket::None,
            session: Session::new(kind, Version::Of10),
            snoops: Vec::new(),
            clock: clock.clone(),
            bell: bell.clone(),
        }
    }

    /// A connection that will be opened, again and again.
    pub(super) fn active(
        key: (String, String),
        kind: ConnectionKind,
        config: Config,
        call: Active,
        clock: &Clock,
        bell: &Arc<Notify>,
    ) -> Connection {
        let name = key.1.clone();
        let mut c = Connection::new(key, &name, kind, config, clock, bell);
        c.call = Some(call);
        c
    }

    /// A connection that has come to us.
    pub(super) fn passive(
        key: (String, String),
        name: &str,
        kind: ConnectionKind,
        config: Config,
        pipe: Pipe,
        clock: &Clock,
        bell: &Arc<Notify>,
    ) -> Connection {
        let mut c = Connection::new(key, name, kind, config, clock, bell);
        c.socket = Socket::Open(pipe);
        c.feed(Event::Opened);
        c
    }

    /// Takes other patience.
    pub(super) fn configure(&mut self, config: Config) {
        self.machine.configure(config);
    }

    /// The machine, for its status.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Whether we call the peer.
    pub fn is_active(&self) -> bool {
        self.call.is_some()
    }

    /// The version agreed on, if it is connected.
    pub fn version(&self) -> Option<Version> {
        self.machine.version()
    }

    /// Whether it will not come back.
    pub fn is_closed(&self) -> bool {
        self.machine.state() == State::Closed
    }

    /// How long it has been without a controller that took the switch on.
    pub fn failure_duration(&self) -> Duration {
        self.machine.failure_duration(moment(self.clock.now()))
    }

    /// Hangs up, and calls again if we did.
    pub fn reconnect(&mut self) {
        let effects = self.machine.reconnect(moment(self.clock.now()));
        self.carry_out(effects);
    }

    /// When it is to be looked at without anything arriving.
    pub fn deadline(&self) -> Time {
        self.machine
            .deadline()
            .map_or(Time::NEVER, |at| Time::ZERO + at)
    }

    /// Does what time demands and takes a socket that has been opened.
    pub fn tick(&mut self) {
        if let Socket::Opening(dial) = &mut self.socket
            && let Some(outcome) = dial.try_outcome()
        {
            match outcome {
                Ok(pipe) => {
                    self.socket = Socket::Open(pipe);
                    self.feed(Event::Opened);
                }
                Err(why) => self.feed_failure(&why),
            }
        }
        if self.deadline() <= self.clock.now() {
            self.feed(Event::Tick);
        }
        self.snoops
            .retain_mut(|s| !matches!(s.try_next(), Some(Arrival::Closed | Arrival::Failed(_))));
    }

    /// The next message for the switch, if its replies do not pile up.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let Socket::Open(pipe) = &mut self.socket else {
                return None;
            };
            if pipe.backlog.of(Class::Reply) >= REPLIES {
                return None;
            }
            match pipe.try_next()? {
                Arrival::Message(bytes) => {
                    self.copy(&bytes);
                    if self.feed(Event::Received(&bytes)) {
                        return Some(bytes);
                    }
                }
                Arrival::Closed => {
                    self.feed(Event::Closed);
                }
                Arrival::Failed(why) => self.feed_failure(&why),
            }
        }
    }

    /// Whether [`Connection::take`] would find something now.
    pub fn has_next(&self) -> bool {
        matches!(&self.socket, Socket::Open(pipe)
            if pipe.has_next() && pipe.backlog.of(Class::Reply) < REPLIES)
    }

    /// Messages that have not left yet.
    pub fn backlog(&self) -> usize {
        match &self.socket {
            Socket::Open(pipe) => pipe.backlog.len(),
            _ => 0,
        }
    }

    fn feed_failure(&mut self, why: &str) {
        self.feed(Event::Failed(why));
    }

    /// Tells the machine and does what it says. True if a message is for the switch.
    fn feed(&mut self, event: Event<'_>) -> bool {
        let effects = self.machine.handle(moment(self.clock.now()), event);
        self.carry_out(effects)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> bool {
        let mut deliver = false;
        for effect in effects {
            match effect {
                Effect::Open => {
                    self.socket = match &self.call {
                        Some(call) => Socket::Opening(Dial::start(call.clone(), self.bell.clone())),
                        None => Socket::None,
                    }
                }
                Effect::Send(bytes) => self.send_raw(Class::Reply, bytes),
                Effect::Established(version) => self.session = Session::new(self.kind, version),
                Effect::Deliver => deliver = true,
                Effect::Close => self.socket = Socket::None,
                Effect::Say(loudness, module, text) => self.say(loudness, module, &text),
            }
        }
        deliver
    }

    fn say(&self, loudness: Loudness, module: &str, text: &str) {
        let name = &self.name;
        match (module, loudness) {
            ("vconn", Loudness::Error) => tracing::error!(target: "vconn", "{name}: {text}"),
            ("vconn", Loudness::Warning) => tracing::warn!(target: "vconn", "{name}: {text}"),
            ("vconn", Loudness::Info) => tracing::info!(target: "vconn", "{name}: {text}"),
            ("vconn", Loudness::Debug) => tracing::debug!(target: "vconn", "{name}: {text}"),
            (_, Loudness::Error) => tracing::error!(target: "rconn", "{name}: {text}"),
            (_, Loudness::Warning) => tracing::warn!(target: "rconn", "{name}: {text}"),
            (_, Loudness::Info) => tracing::info!(target: "rconn", "{name}: {text}"),
            (_, Loudness::Debug) => tracing::debug!(target: "rconn", "{name}: {text}"),
        }
    }

    /// Lets somebody listen in.
    pub(super) fn add_snoop(&mut self, pipe: Pipe, name: &str) {
        if self.snoops.len() >= SNOOPS {
            return;
        }
        tracing::info!(target: "rconn", "new monitor connection from {name}");
        // It is greeted like others, and sees messages of any version.
        let versions = Versions::ALL;
        let newest = versions.newest().unwrap_or(Version::Of10);
        let hello = openflow::encode(newest, Xid(1), &Message::Hello { versions });
        pipe.send(Class::Other, hello);
        self.snoops.push(pipe);
    }

    /// Copies what passes to those who listen in; whoever does not read misses some.
    fn copy(&mut self, bytes: &[u8]) {
        for snoop in &self.snoops {
            if snoop.backlog.len() < COPIES {
                snoop.send(Class::Other, bytes.to_vec());
            }
        }
    }

    fn send_raw(&mut self, class: Class, bytes: Vec<u8>) {
        self.copy(&bytes);
        if let Socket::Open(pipe) = &self.socket {
            pipe.send(class, bytes);
        }
    }

    fn encode(&self, xid: Xid, message: &Message) -> Vec<u8> {
        openflow::encode_for(self.session.protocol, xid, message)
    }

    /// Sends a message, answering `xid`.
    pub fn reply(&mut self, xid: Xid, message: &Message) {
        let bytes = self.encode(xid, message);
        self.send_raw(Class::Reply, bytes);
    }

    /// Answers a request with an error.
    pub fn error(&mut self, error: OfError, request: &[u8]) {
        static LIMIT: daemon::log::RateLimit = daemon::log::RateLimit::new(10, 10);
        let kind = openflow::raw::kind_of(request);
        daemon::limited!(
            LIMIT,
            Info,
            "connmgr",
            "{}: sending {} error reply to {} message",
            self.name,
            error.name(),
            kind.map_or("invalid", |k| k.row().name)
        );
        if let Some(bytes) = openflow::error_reply(error, request) {
            self.send_raw(Class::Reply, bytes);
        }
    }

    fn wants(&self, kind: AsyncKind, reason: u8) -> bool {
        let s = &self.session;
        if self.version().is_none() {
            return false;
        }
        if self.kind == ConnectionKind::Service && s.miss_send_len == 0 {
            return false;
        }
        let masks = if s.role == Role::Secondary {
            &s.async_config.secondary
        } else {
            &s.async_config.primary
        };
        let mask = masks[kind as usize].unwrap_or(0);
        u32::from(reason) < 32 && mask & 1 << reason != 0
    }

    /// Tells about a packet, if the controller wants to know.
    pub fn packet_in(&mut self, message: &PacketIn) {
        // "No match" without a rule is for controllers before OpenFlow 1.3.
        let implicit = message.reason == 0 && message.cookie.0 == u64::MAX;
        if implicit && self.version().is_none_or(|v| v >= Version::Of13) {
            return;
        }
        let old = self.version().is_none_or(|v| v < Version::Of13);
        let reason = match message.reason {
            // A flow that stands for a table's miss is a flow to controllers before 1.3.
            0 if !implicit && old => 1,
            // Reasons that came with 1.4: action set, group, packet-out.
            3..=5 if self.version().is_none_or(|v| v < Version::Of14) => 1,
            r => r,
        };
        if !self.wants(AsyncKind::PacketIn, reason) {
            return;
        }
        let mut m = message.clone();
        m.reason = reason;
        if implicit {
            m.cookie = openflow::Cookie(0);
        }
        m.format = self.session.packet_in_format;
        if let Socket::Open(pipe) = &self.socket
            && pipe.backlog.of(Class::PacketIn) >= PACKET_INS
        {
            static LIMIT: daemon::log::RateLimit = daemon::log::RateLimit::new(5, 5);
            daemon::limited!(
                LIMIT,
                Info,
                "connmgr",
                "{}: dropping packet-in due to queue overflow",
                self.name
            );
            return;
        }
        let bytes = self.encode(Xid(0), &Message::PacketIn(Box::new(m)));
        self.send_raw(Class::PacketIn, bytes);
    }

    /// Tells about a removed flow.
    pub fn flow_removed(&mut self, message: &openflow::FlowRemoved) {
        if self.wants(AsyncKind::FlowRemoved, message.reason.0) {
            let mut m = message.clone();
            m.nicira = matches!(
                self.session.protocol,
                Protocol::Of10Nxm | Protocol::Of10NxmTid
            );
            // As if it were an answer: who cannot follow adds no more flows that can go.
            self.reply(Xid(0), &Message::FlowRemoved(Box::new(m)));
        }
    }

    /// Tells about a port. Before OpenFlow 1.5 a controller is not told what it has `asked` for.
    pub fn port_status(&mut self, news: &PortNews, asked: bool) {
        let status = &news.status;
        if !self.wants(AsyncKind::PortStatus, status.reason as u8)
            || asked && self.version().is_none_or(|v| v < Version::Of15)
        {
            return;
        }
        let encode = |port: &PhyPort| {
            let status = PortStatus {
                reason: status.reason,
                port: port.clone(),
            };
            self.encode(Xid(0), &Message::PortStatus(status))
        };
        let bytes = encode(&status.port);
        // Older versions cannot tell all that may change.
        let before = news.before.as_ref();
        let before = before.filter(|_| status.reason == PortReason::Modify);
        if before.is_none_or(|port| encode(port) != bytes) {
            self.send_raw(Class::Other, bytes);
        }
    }

    /// Says whether packets with an invalid time to live are wanted.
    pub fn set_invalid_ttl(&mut self, wanted: bool) {
        self.session.invalid_ttl = wanted;
        let bit = 1 << 2;
        let old = self.session.async_config.primary[AsyncKind::PacketIn as usize].unwrap_or(0);
        let new = if wanted { old | bit } else { old & !bit };
        self.session.async_config.primary[AsyncKind::PacketIn as usize] = Some(new);
    }

    /// Somebody else became primary.
    pub fn demote(&mut self, generation: Option<u64>) {
        if self.session.role != Role::Primary {
            return;
        }
        self.session.role = Role::Secondary;
        // Controllers before OpenFlow 1.3 have no message for it.
        if self.version().is_some_and(|v| v >= Version::Of13) {
            let status = RoleStatus {
                role: Role::Secondary,
                reason: PRIMARY_REQUEST,
                generation: generation.unwrap_or(u64::MAX),
            };
            let bytes = self.encode(Xid(0), &Message::RoleStatus(status));
            self.send_raw(Class::Other, bytes);
        }
    }

    /// How interesting it is to listen in on it.
    pub fn importance(&self) -> u8 {
        match (self.version(), self.session.role) {
            (None, _) => 0,
            (_, Role::Secondary) => 1,
            (_, Role::Primary) => 3,
            _ => 2,
        }
    }
}
