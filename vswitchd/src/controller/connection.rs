//! One OpenFlow connection's state, without its socket.

use super::edge::ConnId;
use clock::Time;
use openflow::{
    AsyncConfig, Decoding, Message, OfError, PacketIn, PacketInFormat, PortStatus, Protocol, Role,
    TableFeatures, Version, Versions, Xid,
};
use std::time::Duration;
use tokio::sync::mpsc;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// We connect to a controller.
    Primary,
    /// Somebody connects to us; gets nothing unasked until it asks.
    Service,
    /// Somebody who only wants to see what passes the primary connections.
    Snoop,
}

/// Which asynchronous messages there are, as rows of [`AsyncConfig`].
#[derive(Clone, Copy)]
enum AsyncKind {
    PacketIn = 0,
    PortStatus = 1,
    FlowRemoved = 2,
}

/// A connection.
pub struct Connection {
    /// Which.
    pub id: ConnId,
    /// Its bridge.
    pub bridge: String,
    /// How it came about.
    pub target: String,
    /// What it is for.
    pub kind: ConnectionKind,
    /// Versions that the bridge speaks.
    pub allowed: Versions,
    /// The version agreed on.
    pub version: Option<Version>,
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
    /// Silence after which it is probed, 0 = never.
    pub probe: Duration,
    /// Another part of the multipart request at hand follows.
    pub expects_more: bool,
    /// What the parts of a request have asked of tables so far.
    pub wanted_features: Vec<TableFeatures>,
    last_heard: Time,
    probed: bool,
    next_xid: u32,
    closed: bool,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
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

impl Connection {
    /// A connection that has just come about.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        id: ConnId,
        bridge: String,
        target: String,
        kind: ConnectionKind,
        allowed: Versions,
        probe: Duration,
        now: Time,
        outgoing: mpsc::UnboundedSender<Vec<u8>>,
    ) -> Connection {
        Connection {
            id,
            bridge,
            target,
            kind,
            allowed,
            version: None,
            protocol: Protocol::of_version(Version::Of10),
            decoding: Decoding::default(),
            role: Role::Equal,
            controller_id: 0,
            packet_in_format: PacketInFormat::Standard,
            miss_send_len: if kind == ConnectionKind::Primary {
                128
            } else {
                0
            },
            async_config: default_async(),
            invalid_ttl: false,
            probe,
            expects_more: false,
            wanted_features: Vec::new(),
            last_heard: now,
            probed: false,
            next_xid: 0,
            closed: false,
            outgoing,
        }
    }

    fn xid(&mut self) -> Xid {
        self.next_xid = self.next_xid.wrapping_add(1);
        Xid(self.next_xid)
    }

    /// Sends bytes.
    pub fn send_raw(&mut self, bytes: Vec<u8>) {
        if self.outgoing.send(bytes).is_err() {
            self.closed = true;
        }
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sends a message, answering `xid`.
    pub fn reply(&mut self, xid: Xid, message: &Message) {
        let bytes = openflow::encode_for(self.protocol, xid, message);
        self.send_raw(bytes);
    }

    /// Sends a message unasked.
    pub fn send(&mut self, message: &Message) {
        let xid = Xid(0);
        self.reply(xid, message);
    }

    /// Answers a request with an error.
    pub fn error(&mut self, error: OfError, request: &[u8]) {
        if let Some(bytes) = openflow::error_reply(error, request) {
            self.send_raw(bytes);
        }
    }

    /// Begins.
    pub fn hello(&mut self) {
        if self.kind != ConnectionKind::Snoop {
            let xid = self.xid();
            self.send_raw(super::hello(self.allowed, xid));
        }
    }

    /// Takes the peer's first message. True once a version is agreed on.
    pub fn negotiate(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let Ok((_, _, Message::Hello { versions })) = openflow::decode(bytes) else {
            return Err("received a message before a hello".into());
        };
        match versions.and(self.allowed).newest() {
            Some(version) => {
                self.version = Some(version);
                self.protocol = match version {
                    // Until it says that it knows Nicira's formats.
                    Version::Of10 => Protocol::Of10Std,
                    v => Protocol::of_version(v),
                };
                self.decoding.tables = false;
                Ok(true)
            }
            None => {
                self.error(OfError::OFPHFC_INCOMPATIBLE, bytes);
                Err(format!(
                    "version negotiation failed (we support {}, peer supports {versions})",
                    self.allowed
                ))
            }
        }
    }

    /// The peer lives.
    pub fn heard(&mut self, now: Time) {
        self.last_heard = now;
        self.probed = false;
    }

    /// When it is to be probed or given up.
    pub fn next_deadline(&self) -> Time {
        if self.probe.is_zero() {
            return Time::NEVER;
        }
        self.last_heard + self.probe * if self.probed { 2 } else { 1 }
    }

    /// Probes a silent peer. False if it is dead.
    pub fn keep_alive(&mut self, now: Time) -> bool {
        if self.closed {
            return false;
        }
        if now < self.next_deadline() {
            return true;
        }
        if self.probed {
            return false;
        }
        self.probed = true;
        let xid = self.xid();
        self.reply(xid, &Message::EchoRequest(Vec::new()));
        true
    }

    fn wants(&self, kind: AsyncKind, reason: u8) -> bool {
        if self.version.is_none() || self.kind == ConnectionKind::Snoop {
            return false;
        }
        if self.kind == ConnectionKind::Service && self.miss_send_len == 0 {
            return false;
        }
        let masks = if self.role == Role::Secondary {
            &self.async_config.secondary
        } else {
            &self.async_config.primary
        };
        let mask = masks[kind as usize].unwrap_or(0);
        u32::from(reason) < 32 && mask & 1 << reason != 0
    }

    /// Tells about a packet, if the controller wants to know.
    pub fn packet_in(&mut self, message: &PacketIn) {
        // "No match" without a rule is for controllers before OpenFlow 1.3.
        let implicit = message.reason == 0 && message.cookie.0 == u64::MAX;
        if implicit && self.version.is_none_or(|v| v >= Version::Of13) {
            return;
        }
        let old = self.version.is_none_or(|v| v < Version::Of13);
        let reason = match message.reason {
            // A flow that stands for a table's miss is a flow to controllers before 1.3.
            0 if !implicit && old => 1,
            // Reasons that came with 1.4: action set, group, packet-out.
            3..=5 if self.version.is_none_or(|v| v < Version::Of14) => 1,
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
        m.format = self.packet_in_format;
        self.send(&Message::PacketIn(Box::new(m)));
    }

    /// Tells about a removed flow.
    pub fn flow_removed(&mut self, message: &openflow::FlowRemoved) {
        if self.wants(AsyncKind::FlowRemoved, message.reason.0) {
            let mut m = message.clone();
            m.nicira = matches!(self.protocol, Protocol::Of10Nxm | Protocol::Of10NxmTid);
            self.send(&Message::FlowRemoved(Box::new(m)));
        }
    }

    /// Tells about a port.
    pub fn port_status(&mut self, message: &PortStatus) {
        if self.wants(AsyncKind::PortStatus, message.reason as u8) {
            self.send(&Message::PortStatus(message.clone()));
        }
    }

    /// Says whether packets with an invalid time to live are wanted.
    pub fn set_invalid_ttl(&mut self, wanted: bool) {
        self.invalid_ttl = wanted;
        let bit = 1 << 2;
        let old = self.async_config.primary[AsyncKind::PacketIn as usize].unwrap_or(0);
        let new = if wanted { old | bit } else { old & !bit };
        self.async_config.primary[AsyncKind::PacketIn as usize] = Some(new);
    }

    /// Somebody else became primary.
    pub fn demote(&mut self) {
        if self.role == Role::Primary {
            self.role = Role::Secondary;
        }
    }
}
