//! One OpenFlow connection: the handshake, liveness, back-off and admission, without a socket.
//!
//! The same machine serves a controller that we call and one that calls us. The owner of the
//! socket feeds it [`Event`]s with the time, does what the [`Effect`]s say, and calls again when
//! [`Connection::deadline`] is over.
//!
//! ```text
//!              Opened                hello agreed
//!   Backoff ----------> Greeting ------------------> Active <---- any message
//!      ^    <--+           | hello refused             |  |            ^
//!      |       | Failed    | no hello in time          |  | silent for the probe interval
//!      +-------+-----------+---------------------------+  v            |
//!      |            silent again                       Idle (echo sent)+
//!      +----------------------------------------------------+
//! ```
//!
//! A passive connection (one that came to us) does not come back: after a failure it is
//! [`State::Closed`].
//!
//! *Admission.* A controller may accept a connection, look at the switch and hang up, again and
//! again. Such a switch is connected and yet without a controller; so a connection counts as
//! admitted only once the peer has sent what nobody sends before having made up its mind, or has
//! stayed for half a minute. [`Connection::failure_duration`] is what fail-open goes by.

use crate::error::OfError;
use crate::message::{ErrorCode, ErrorMsg, Message};
use crate::raw::{Header, Kind, Space, kind_of};
use crate::version::{Version, Versions, Xid};
use crate::{decode, encode};
use std::time::Duration;

/// A moment: time since some fixed start, from the owner's clock.
pub type Moment = Duration;

/// What a connection may speak and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Versions to offer.
    pub versions: Versions,
    /// Silence after which an echo request asks whether the peer lives; `None` = never.
    pub probe_interval: Option<Duration>,
    /// The longest wait before the next attempt; the first is one second.
    pub max_backoff: Duration,
    /// Whether we call the peer, and so call again.
    pub active: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            versions: Versions::ALL,
            probe_interval: Some(Duration::from_secs(5)),
            max_backoff: Duration::from_secs(8),
            active: true,
        }
    }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting to call until a moment.
    Backoff(Moment),
    /// The transport is being opened until a moment.
    Connecting(Moment),
    /// Hello is sent, the peer's is awaited until a moment.
    Greeting(Moment),
    /// The version is agreed and the peer was heard lately.
    Active(Version),
    /// An echo request waits for its answer until a moment.
    Idle(Version, Moment),
    /// Over for good.
    Closed,
}

impl State {
    /// The name that the database shows.
    pub fn name(self) -> &'static str {
        match self {
            State::Backoff(_) => "BACKOFF",
            State::Connecting(_) | State::Greeting(_) => "CONNECTING",
            State::Active(_) => "ACTIVE",
            State::Idle(..) => "IDLE",
            State::Closed => "DISCONNECTED",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The transport is open.
    Opened,
    /// The transport could not be opened, or broke; why.
    Failed(&'a str),
    /// The peer closed the transport.
    Closed,
    /// One whole message came ([`next_message`](crate::next_message) finds its end).
    Received(&'a [u8]),
    /// Time has passed.
    Tick,
}

/// How loud a line for the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Loudness {
    Error,
    Warning,
    Info,
    Debug,
}

/// What the owner must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open the transport.
    Open,
    /// Send these bytes.
    Send(Vec<u8>),
    /// The version is agreed: messages may be sent from now on.
    Established(Version),
    /// The message that came is for the owner. Hello and echo never are.
    Deliver,
    /// Close the transport, if it is open.
    Close,
    /// A line for the log: its module, and its text without the connection's name.
    Say(Loudness, &'static str, String),
}

/// The connection's machine.
#[derive(Clone, Debug)]
pub struct Connection {
    config: Config,
    state: State,
    backoff: Duration,
    /// A failure before this moment makes the next wait longer; `None` = any failure does.
    settled: Option<Moment>,
    /// When the peer was last heard.
    heard: Moment,
    admitted: bool,
    last_admitted: Moment,
    last_connected: Option<Moment>,
    last_disconnected: Option<Moment>,
    last_error: Option<String>,
}

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// A peer that has stayed for so long has admitted us, whatever it says.
const STAYED: Duration = Duration::from_secs(30);

impl Connection {
    /// A connection that will call at once, or one whose transport is about to be
    /// [`Event::Opened`].
    pub fn new(config: Config, now: Moment) -> Connection {
        Connection {
            config,
            state: if config.active {
                State::Backoff(now)
            } else {
                State::Connecting(now + FIRST_BACKOFF)
            },
            backoff: Duration::ZERO,
            settled: None,
            heard: now,
            admitted: false,
            last_admitted: now,
            last_connected: None,
            last_disconnected: None,
            last_error: None,
        }
    }

    /// Other patience from now on. Versions hold for the next handshake.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
        self.backoff = self.backoff.min(config.max_backoff);
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// The agreed version.
    pub fn version(&self) -> Option<Version> {
        match self.state {
            State::Active(v) | State::Idle(v, _) => Some(v),
            _ => None,
        }
    }

    /// Whether the peer is there and has taken the switch on.
    pub fn is_admitted(&self) -> bool {
        self.version().is_some()
            && self.last_connected.is_some_and(|c| self.last_admitted >= c)
            && self.admitted
    }

    /// How long it has been without a peer that took the switch on; 0 = it has one.
    pub fn failure_duration(&self, now: Moment) -> Duration {
        if self.is_admitted() {
            Duration::ZERO
        } else {
            now.saturating_sub(self.last_admitted)
        }
    }

    /// When the peer was last agreed with.
    pub fn last_connected(&self) -> Option<Moment> {
        self.last_connected
    }

    /// When the peer was last lost, or last not to be had.
    pub fn last_disconnected(&self) -> Option<Moment> {
        self.last_disconnected
    }

    /// Why.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// When [`Event::Tick`] is due at the latest.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Backoff(t) | State::Connecting(t) | State::Greeting(t) | State::Idle(_, t) => {
                Some(t)
            }
            State::Active(_) => self.config.probe_interval.map(|p| self.heard + p),
            State::Closed => None,
        }
    }

    /// The one transition function: what follows from an event at a moment.
    pub fn handle(&mut self, now: Moment, event: Event<'_>) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Opened => self.opened(now, &mut out),
            Event::Closed => self.ended(now, None, &mut out),
            Event::Failed(why) => self.ended(now, Some(why), &mut out),
            Event::Received(bytes) => self.received(now, bytes, &mut out),
            Event::Tick => self.tick(now, &mut out),
        }
        out
    }

    /// Hangs up and calls again at once (or ends, if the peer called).
    pub fn reconnect(&mut self, now: Moment) -> Vec<Effect> {
        let mut out = vec![say(Loudness::Info, "disconnecting".into())];
        self.disconnect(now, None, &mut out);
        if let State::Backoff(until) = &mut self.state {
            *until = now;
        }
        out
    }

    fn quiet(&self) -> bool {
        // Once it waits as long as it ever will, it says no more.
        self.backoff >= self.config.max_backoff
    }

    fn normal(&self, loudness: Loudness) -> Loudness {
        // Who calls us comes and goes.
        if self.config.active {
            loudness
        } else {
            Loudness::Debug
        }
    }

    fn ended(&mut self, now: Moment, why: Option<&str>, out: &mut Vec<Effect>) {
        let error = why.unwrap_or("End of file");
        match self.state {
            State::Active(_) | State::Idle(..) => out.push(match why {
                None => say(
                    self.normal(Loudness::Info),
                    "connection closed by peer".into(),
                ),
                Some(why) => say(Loudness::Warning, format!("connection dropped ({why})")),
            }),
            State::Connecting(_) | State::Greeting(_) if !self.quiet() => {
                let why = why.unwrap_or("Connection reset by peer");
                out.push(say(
                    self.normal(Loudness::Info),
                    format!("connection failed ({why})"),
                ));
            }
            _ => {}
        }
        self.disconnect(now, Some(error), out);
    }

    /// The transport is gone: wait and call again, or end.
    fn disconnect(&mut self, now: Moment, why: Option<&str>, out: &mut Vec<Effect>) {
        self.last_error = why.map(str::to_owned);
        out.push(Effect::Close);
        self.last_disconnected = Some(now);
        if !self.config.active {
            self.state = State::Closed;
            return;
        }
        if self.settled.is_some_and(|t| now >= t) {
            self.backoff = FIRST_BACKOFF;
        } else if self.backoff < self.config.max_backoff / 2 {
            self.backoff = FIRST_BACKOFF.max(self.backoff * 2);
            let seconds = self.backoff.as_secs();
            let line = format!("waiting {seconds} seconds before reconnect");
            out.push(say(Loudness::Info, line));
        } else {
            if !self.quiet() {
                let line = "continuing to retry connections in the background but suppressing \
                            further logging";
                out.push(say(Loudness::Info, line.into()));
            }
            self.backoff = self.config.max_backoff;
        }
        self.settled = Some(now + self.backoff);
        self.state = State::Backoff(now + self.backoff);
    }

    fn opened(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let (State::Connecting(until), Some(newest)) = (self.state, self.config.versions.newest())
        else {
            return self.ended(now, Some("Protocol error"), out);
        };
        self.state = State::Greeting(until);
        let versions = self.config.versions;
        out.push(Effect::Send(encode(
            newest,
            Xid(1),
            &Message::Hello { versions },
        )));
    }

    fn tick(&mut self, now: Moment, out: &mut Vec<Effect>) {
        match self.state {
            State::Backoff(t) if now >= t => {
                if !self.quiet() {
                    out.push(say(Loudness::Info, "connecting...".into()));
                }
                self.settled = Some(now + self.backoff);
                self.state = State::Connecting(now + self.backoff.max(FIRST_BACKOFF));
                out.push(Effect::Open);
            }
            State::Connecting(t) | State::Greeting(t) if now >= t => {
                if !self.quiet() {
                    out.push(say(
                        self.normal(Loudness::Info),
                        "connection timed out".into(),
                    ));
                }
                self.settled = None;
                self.disconnect(now, Some("Connection timed out"), out);
            }
            State::Active(v) => {
                if let Some(p) = self.config.probe_interval
                    && now >= self.heard + p
                {
                    let silent = now.saturating_sub(self.heard).as_secs();
                    let line = format!("idle {silent} seconds, sending inactivity probe");
                    out.push(say(Loudness::Debug, line));
                    self.state = State::Idle(v, now + p);
                    let probe = Message::EchoRequest(Vec::new());
                    out.push(Effect::Send(encode(v, Xid(0), &probe)));
                }
            }
            State::Idle(_, t) if now >= t => {
                let probe = self.config.probe_interval.unwrap_or_default();
                let silent = (now + probe).saturating_sub(t).as_secs();
                let line = format!(
                    "no response to inactivity probe after {silent} seconds, disconnecting"
                );
                out.push(say(Loudness::Error, line));
                self.disconnect(now, Some("Connection timed out"), out);
            }
            _ => {}
        }
    }

    fn received(&mut self, now: Moment, bytes: &[u8], out: &mut Vec<Effect>) {
        match self.state {
            State::Greeting(_) => self.hello(now, bytes, out),
            State::Active(v) | State::Idle(v, _) => {
                self.heard = now;
                self.state = State::Active(v);
                self.message(now, v, bytes, out);
            }
            _ => {}
        }
    }

    fn hello(&mut self, now: Moment, bytes: &[u8], out: &mut Vec<Effect>) {
        let Ok((_, _, Message::Hello { versions: theirs })) = decode(bytes) else {
            let kind = kind_of(bytes).map_or("unknown message", |k| k.row().name);
            let line = format!("received message while expecting hello: {kind}");
            out.push(Effect::Say(Loudness::Warning, "vconn", line));
            return self.ended(now, Some("Protocol error"), out);
        };
        let ours = self.config.versions;
        if let Some(v) = ours.and(theirs).newest() {
            let line = format!(
                "negotiated OpenFlow version 0x{:02x} (we support {}, peer supports {})",
                v.wire(),
                phrase(ours),
                phrase(theirs)
            );
            out.push(Effect::Say(Loudness::Debug, "vconn", line));
            out.push(say(self.normal(Loudness::Info), "connected".into()));
            self.heard = now;
            self.admitted = false;
            self.last_connected = Some(now);
            self.state = State::Active(v);
            out.push(Effect::Established(v));
            return;
        }
        let (ours, peers) = (phrase(ours), phrase(theirs));
        let line = format!("version negotiation failed (we support {ours}, peer supports {peers})");
        out.push(Effect::Say(Loudness::Warning, "vconn", line));
        let text = format!("We support {ours}, you support {peers}, no common versions.");
        let refused = Message::Error(ErrorMsg {
            error: ErrorCode::Known(OfError::OFPHFC_INCOMPATIBLE),
            data: text.into_bytes(),
        });
        // In words that the peer can read.
        let version = theirs.newest().unwrap_or(Version::Of10);
        out.push(Effect::Send(encode(version, Xid(0), &refused)));
        self.ended(now, Some("Protocol error"), out);
    }

    fn message(&mut self, now: Moment, v: Version, bytes: &[u8], out: &mut Vec<Effect>) {
        let Ok(header) = Header::parse(bytes) else {
            return self.ended(now, Some("Protocol error"), out);
        };
        let stayed = self.last_connected.is_some_and(|c| now >= c + STAYED);
        if self.admitted || stayed || decides(bytes) {
            self.admitted = true;
            self.last_admitted = now;
        }
        // Hellos, errors and echoes may still come in another version; others are refused.
        if header.version != v.wire() && header.kind > 3 {
            let line = format!(
                "received OpenFlow version 0x{:02x} != expected {:02x}",
                header.version,
                v.wire()
            );
            out.push(Effect::Say(Loudness::Error, "vconn", line));
            let refused = Message::Error(ErrorMsg {
                error: ErrorCode::Known(OfError::OFPBRC_BAD_VERSION),
                data: bytes.get(..bytes.len().min(64)).unwrap_or(bytes).to_vec(),
            });
            let version = Version::from_wire(header.version).unwrap_or(v);
            out.push(Effect::Send(encode(version, header.xid, &refused)));
            return;
        }
        match header.kind {
            0 => {}
            2 => {
                if let Ok((version, xid, Message::EchoRequest(data))) = decode(bytes) {
                    let reply = encode(version, xid, &Message::EchoReply(data));
                    out.push(Effect::Send(reply));
                }
            }
            3 => {}
            _ => out.push(Effect::Deliver),
        }
    }
}

fn say(loudness: Loudness, text: String) -> Effect {
    Effect::Say(loudness, "rconn", text)
}

/// Versions as the lines about handshakes name them.
fn phrase(versions: Versions) -> String {
    let bits = versions.0;
    match versions.newest() {
        None => "no versions".into(),
        Some(v) if bits.is_power_of_two() => format!("version 0x{:02x}", v.wire()),
        Some(v) if ((bits >> 1) + 1).is_power_of_two() => {
            format!("version 0x{:02x} and earlier", v.wire())
        }
        Some(_) => {
            let all: Vec<_> = versions
                .iter()
                .map(|v| format!("0x{:02x}", v.wire()))
                .collect();
            format!("versions {}", all.join(", "))
        }
    }
}

/// Whether a message is one that a controller sends only to a switch that it has taken on, rather
/// than to find out whether it wants to.
fn decides(bytes: &[u8]) -> bool {
    use Kind::*;
    let Ok(kind) = kind_of(bytes) else {
        return false;
    };
    let row = kind.row();
    // Hello, error, echo, features and configuration have the same numbers in every version.
    let introduction = row.space == Space::Standard && row.number <= 9;
    !introduction
        && !matches!(
            kind,
            Ofpt10QueueGetConfigRequest
                | Ofpt11QueueGetConfigRequest
                | Ofpt10QueueGetConfigReply
                | Ofpt11QueueGetConfigReply
                | Ofpt13GetAsyncRequest
                | Ofpt14GetAsyncRequest
                | Ofpt13GetAsyncReply
                | Ofpt14GetAsyncReply
                | NxstGroupRequest
                | Ofpst11GroupRequest
                | NxstGroupReply
                | Ofpst11GroupReply
                | Ofpst13GroupReply
                | NxstGroupDescRequest
                | Ofpst11GroupDescRequest
                | Ofpst15GroupDescRequest
                | NxstGroupDescReply
                | Ofpst11GroupDescReply
                | NxstGroupFeaturesRequest
                | Ofpst12GroupFeaturesRequest
                | NxstGroupFeaturesReply
                | Ofpst12GroupFeaturesReply
                | Ofpst13TableFeaturesRequest
                | Ofpst13TableFeaturesReply
                | Ofpst14TableDescRequest
                | Ofpst14TableDescReply
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Duration::from_secs(s)
    }

    /// Effects without the log.
    fn done(effects: Vec<Effect>) -> Vec<Effect> {
        let quiet = effects.into_iter();
        quiet.filter(|e| !matches!(e, Effect::Say(..))).collect()
    }

    fn said(effects: &[Effect]) -> Vec<&str> {
        let lines = effects.iter().filter_map(|e| match e {
            Effect::Say(_, _, text) => Some(text.as_str()),
            _ => None,
        });
        lines.collect()
    }

    fn established() -> Connection {
        let mut c = Connection::new(Config::default(), at(0));
        assert_eq!(done(c.handle(at(0), Event::Tick)), [Effect::Open]);
        assert!(matches!(
            c.handle(at(0), Event::Opened)[..],
            [Effect::Send(_)]
        ));
        let versions = Versions::only(Version::Of10).with(Version::Of13);
        let hello = encode(Version::Of13, Xid(9), &Message::Hello { versions });
        assert_eq!(
            done(c.handle(at(0), Event::Received(&hello))),
            [Effect::Established(Version::Of13)]
        );
        c
    }

    #[test]
    fn silence_is_probed_and_then_ends_the_connection() {
        let mut c = established();
        assert_eq!(c.handle(at(4), Event::Tick), []);
        let probe = encode(Version::Of13, Xid(0), &Message::EchoRequest(Vec::new()));
        assert_eq!(done(c.handle(at(5), Event::Tick)), [Effect::Send(probe)]);
        let answer = encode(Version::Of13, Xid(0), &Message::EchoReply(Vec::new()));
        assert_eq!(c.handle(at(6), Event::Received(&answer)), []);
        assert_eq!(c.state(), State::Active(Version::Of13));
        c.handle(at(11), Event::Tick);
        let effects = c.handle(at(16), Event::Tick);
        assert_eq!(
            said(&effects),
            ["no response to inactivity probe after 5 seconds, disconnecting"]
        );
        assert_eq!(done(effects), [Effect::Close]);
        assert_eq!(c.state(), State::Backoff(at(17)));
    }

    #[test]
    fn failures_wait_ever_longer_up_to_the_limit_and_say_so_once() {
        let mut c = Connection::new(Config::default(), at(0));
        let mut now = at(0);
        let mut lines = Vec::new();
        for wait in [1, 2, 4, 8, 8] {
            let effects = c.handle(now, Event::Tick);
            assert_eq!(done(effects.clone()), [Effect::Open]);
            lines.extend(said(&effects).into_iter().map(str::to_owned));
            let effects = c.handle(now, Event::Failed("Connection refused"));
            lines.extend(said(&effects).into_iter().map(str::to_owned));
            now += at(wait);
            assert_eq!(c.state(), State::Backoff(now));
        }
        let failed = "connection failed (Connection refused)";
        let retrying = "continuing to retry connections in the background but suppressing \
                        further logging";
        assert_eq!(
            lines,
            [
                "connecting...",
                failed,
                "connecting...",
                failed,
                "waiting 2 seconds before reconnect",
                "connecting...",
                failed,
                "waiting 4 seconds before reconnect",
                "connecting...",
                failed,
                retrying,
            ]
        );
    }

    #[test]
    fn no_common_version_is_said_and_ends_it() {
        let config = Config {
            versions: Versions::only(Version::Of10),
            active: false,
            ..Config::default()
        };
        let mut c = Connection::new(config, at(0));
        c.handle(at(0), Event::Opened);
        let versions = Versions::only(Version::Of13);
        let hello = encode(Version::Of13, Xid(1), &Message::Hello { versions });
        let effects = done(c.handle(at(0), Event::Received(&hello)));
        let [Effect::Send(refusal), Effect::Close] = &effects[..] else {
            panic!("{effects:?}");
        };
        let Ok((Version::Of13, _, Message::Error(e))) = decode(refusal) else {
            panic!("{refusal:?}");
        };
        assert_eq!(
            String::from_utf8_lossy(&e.data),
            "We support version 0x01, you support version 0x04, no common versions."
        );
        assert_eq!(c.state(), State::Closed);
    }

    #[test]
    fn echo_is_answered_and_the_rest_delivered() {
        let mut c = established();
        let echo = encode(Version::Of13, Xid(5), &Message::EchoRequest(vec![1, 2]));
        let reply = encode(Version::Of13, Xid(5), &Message::EchoReply(vec![1, 2]));
        assert_eq!(
            c.handle(at(1), Event::Received(&echo)),
            [Effect::Send(reply)]
        );
        let barrier = encode(Version::Of13, Xid(6), &Message::BarrierRequest);
        assert_eq!(
            c.handle(at(1), Event::Received(&barrier)),
            [Effect::Deliver]
        );
    }

    #[test]
    fn who_only_looks_has_not_admitted_the_switch() {
        let mut c = established();
        let look = encode(Version::Of13, Xid(5), &Message::FeaturesRequest);
        c.handle(at(3), Event::Received(&look));
        assert!(!c.is_admitted());
        assert_eq!(c.failure_duration(at(4)), at(4));
        let barrier = encode(Version::Of13, Xid(6), &Message::BarrierRequest);
        c.handle(at(5), Event::Received(&barrier));
        assert!(c.is_admitted());
        assert_eq!(c.failure_duration(at(6)), at(0));
        c.handle(at(7), Event::Closed);
        assert_eq!(c.failure_duration(at(9)), at(4));
    }

    #[test]
    fn who_stays_has_admitted_the_switch() {
        let mut c = established();
        let echo = encode(Version::Of13, Xid(5), &Message::EchoRequest(vec![]));
        c.handle(at(29), Event::Received(&echo));
        assert!(!c.is_admitted());
        c.handle(at(30), Event::Received(&echo));
        assert!(c.is_admitted());
    }
}
