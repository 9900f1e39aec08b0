//! One OpenFlow connection: the handshake, liveness and back-off, without a socket.
//!
//! The same machine serves a controller that we call and one that calls us. The owner of the
//! socket feeds it [`Event`]s with the time, does what the [`Effect`]s say, and calls again when
//! [`Connection::deadline`] is over.
//!
//! ```text
//!              Opened                hello agreed
//!   Backoff ----------> Greeting ------------------> Active <---- any message
//!      ^    <--+           | hello refused             |  |            ^
//!      |       | Closed    | no hello in time          |  | silent for the probe interval
//!      +-------+-----------+---------------------------+  v            |
//!      |            silent again                       Idle (echo sent)+
//!      +----------------------------------------------------+
//! ```
//!
//! A passive connection (one that came to us) does not come back: after a failure it is
//! [`State::Closed`].

use crate::error::OfError;
use crate::message::{ErrorCode, ErrorMsg, Message};
use crate::version::{Version, Versions, Xid};
use crate::{decode, encode, raw};
use std::time::Duration;

/// A moment: time since some fixed start, from the owner's clock.
pub type Moment = Duration;

/// What a connection may speak and how patient it is.
#[derive(Clone, Copy, Debug)]
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

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The transport is open.
    Opened,
    /// The transport could not be opened, or it closed.
    Closed,
    /// One whole message came ([`next_message`](crate::next_message) finds its end).
    Received(&'a [u8]),
    /// Time has passed.
    Tick,
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
    /// A message for the owner, bytes as received. Hello and echo are not shown.
    Deliver(Vec<u8>),
    /// Close the transport. The text says why, for the log.
    Close(String),
}

/// The connection's machine.
#[derive(Clone, Debug)]
pub struct Connection {
    config: Config,
    state: State,
    /// The wait after the next failure.
    backoff: Duration,
    /// When the peer was last heard.
    heard: Moment,
}

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// How long a handshake may take where no probe interval says it.
const PATIENCE: Duration = Duration::from_secs(5);

impl Connection {
    /// A connection that will call at once, or one whose transport is about to be
    /// [`Event::Opened`].
    pub fn new(config: Config, now: Moment) -> Connection {
        Connection {
            config,
            state: if config.active {
                State::Backoff(now)
            } else {
                State::Connecting(now + PATIENCE)
            },
            backoff: FIRST_BACKOFF,
            heard: now,
        }
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
        match event {
            Event::Opened => self.opened(now),
            Event::Closed => {
                self.fail(now);
                Vec::new()
            }
            Event::Received(bytes) => self.received(now, bytes),
            Event::Tick => self.tick(now),
        }
    }

    fn patience(&self) -> Duration {
        self.config
            .probe_interval
            .unwrap_or(PATIENCE)
            .max(FIRST_BACKOFF)
    }

    /// The transport is gone: wait and call again, or end.
    fn fail(&mut self, now: Moment) {
        if !self.config.active {
            self.state = State::Closed;
            return;
        }
        // A connection that worked is tried again soon; one that never did, ever later.
        if self.version().is_some() {
            self.backoff = FIRST_BACKOFF;
        }
        self.state = State::Backoff(now + self.backoff);
        self.backoff = (self.backoff * 2).min(self.config.max_backoff.max(FIRST_BACKOFF));
    }

    fn close(&mut self, now: Moment, why: String) -> Vec<Effect> {
        self.fail(now);
        vec![Effect::Close(why)]
    }

    fn opened(&mut self, now: Moment) -> Vec<Effect> {
        let versions = self.config.versions;
        let Some(newest) = versions.newest() else {
            return self.close(now, "no OpenFlow version is enabled".into());
        };
        self.state = State::Greeting(now + self.patience());
        vec![Effect::Send(encode(
            newest,
            Xid(1),
            &Message::Hello { versions },
        ))]
    }

    fn tick(&mut self, now: Moment) -> Vec<Effect> {
        match self.state {
            State::Backoff(t) if now >= t => {
                self.state = State::Connecting(now + self.patience());
                vec![Effect::Open]
            }
            State::Connecting(t) if now >= t => {
                self.close(now, "connection attempt timed out".into())
            }
            State::Greeting(t) if now >= t => self.close(now, "no hello in time".into()),
            State::Active(v) => match self.config.probe_interval {
                Some(p) if now >= self.heard + p => {
                    self.state = State::Idle(v, now + p);
                    vec![Effect::Send(encode(
                        v,
                        Xid(0),
                        &Message::EchoRequest(Vec::new()),
                    ))]
                }
                _ => Vec::new(),
            },
            State::Idle(_, t) if now >= t => {
                self.close(now, "no response to inactivity probe, disconnecting".into())
            }
            _ => Vec::new(),
        }
    }

    fn received(&mut self, now: Moment, bytes: &[u8]) -> Vec<Effect> {
        match self.state {
            State::Greeting(_) => self.hello(now, bytes),
            State::Active(v) | State::Idle(v, _) => {
                self.heard = now;
                self.state = State::Active(v);
                self.message(now, v, bytes)
            }
            _ => Vec::new(),
        }
    }

    fn hello(&mut self, now: Moment, bytes: &[u8]) -> Vec<Effect> {
        let theirs = match decode(bytes) {
            Ok((_, _, Message::Hello { versions })) => versions,
            _ => {
                let why = "received message while expecting hello".to_string();
                return self.close(now, why);
            }
        };
        let ours = self.config.versions;
        if let Some(v) = ours.and(theirs).newest() {
            self.heard = now;
            self.backoff = FIRST_BACKOFF;
            self.state = State::Active(v);
            return vec![Effect::Established(v)];
        }
        let text = format!(
            "We support versions {ours}, you support versions {theirs}, no common versions."
        );
        let refused = Message::Error(ErrorMsg {
            error: ErrorCode::Known(OfError::OFPHFC_INCOMPATIBLE),
            data: text.into_bytes(),
        });
        let newest = ours.newest().unwrap_or(Version::Of10);
        let mut out = vec![Effect::Send(encode(newest, Xid(0), &refused))];
        let why = format!(
            "version negotiation failed (we support versions {ours}, peer supports versions {theirs})"
        );
        out.extend(self.close(now, why));
        out
    }

    fn message(&mut self, now: Moment, v: Version, bytes: &[u8]) -> Vec<Effect> {
        let Ok(header) = raw::Header::parse(bytes) else {
            return self.close(now, "message with bad length".into());
        };
        if header.version != v.wire() {
            // Hellos and errors may still come in another version; others are refused.
            if matches!(header.kind, 0 | 1) {
                return Vec::new();
            }
            let refused = Message::Error(ErrorMsg {
                error: ErrorCode::Known(OfError::OFPBRC_BAD_VERSION),
                data: bytes.get(..bytes.len().min(64)).unwrap_or(bytes).to_vec(),
            });
            return vec![Effect::Send(encode(v, header.xid, &refused))];
        }
        match header.kind {
            0 => Vec::new(),
            2 => match decode(bytes) {
                Ok((_, xid, Message::EchoRequest(data))) => {
                    vec![Effect::Send(encode(v, xid, &Message::EchoReply(data)))]
                }
                _ => Vec::new(),
            },
            // The answer to our probe, which has transaction 0.
            3 if header.xid == Xid(0) => Vec::new(),
            _ => vec![Effect::Deliver(bytes.to_vec())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Duration::from_secs(s)
    }

    fn established() -> Connection {
        let mut c = Connection::new(Config::default(), at(0));
        assert_eq!(c.handle(at(0), Event::Tick), [Effect::Open]);
        assert!(matches!(
            c.handle(at(0), Event::Opened)[..],
            [Effect::Send(_)]
        ));
        let versions = Versions::only(Version::Of10).with(Version::Of13);
        let hello = encode(Version::Of13, Xid(9), &Message::Hello { versions });
        assert_eq!(
            c.handle(at(0), Event::Received(&hello)),
            [Effect::Established(Version::Of13)]
        );
        c
    }

    #[test]
    fn silence_is_probed_and_then_ends_the_connection() {
        let mut c = established();
        assert_eq!(c.handle(at(4), Event::Tick), []);
        let probe = encode(Version::Of13, Xid(0), &Message::EchoRequest(Vec::new()));
        assert_eq!(c.handle(at(5), Event::Tick), [Effect::Send(probe)]);
        let answer = encode(Version::Of13, Xid(0), &Message::EchoReply(Vec::new()));
        assert_eq!(c.handle(at(6), Event::Received(&answer)), []);
        assert_eq!(c.state(), State::Active(Version::Of13));
        c.handle(at(11), Event::Tick);
        assert!(matches!(
            c.handle(at(16), Event::Tick)[..],
            [Effect::Close(_)]
        ));
        assert_eq!(c.state(), State::Backoff(at(17)));
    }

    #[test]
    fn failures_wait_ever_longer_up_to_the_limit() {
        let mut c = Connection::new(Config::default(), at(0));
        let mut now = at(0);
        for wait in [1, 2, 4, 8, 8] {
            assert_eq!(c.handle(now, Event::Tick), [Effect::Open]);
            c.handle(now, Event::Closed);
            now += at(wait);
            assert_eq!(c.state(), State::Backoff(now));
        }
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
        let effects = c.handle(at(0), Event::Received(&hello));
        assert!(matches!(effects[..], [Effect::Send(_), Effect::Close(_)]));
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
            [Effect::Deliver(barrier.clone())]
        );
    }
}
