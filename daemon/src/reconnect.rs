//! When to connect, when to give up on a silent peer, and how long to wait before the next try.
//!
//! A state machine without I/O. Its owner tells it what happens ([`Reconnect::connected`],
//! [`Reconnect::disconnected`]...) and asks it with [`Reconnect::run`] what to do now and with
//! [`Reconnect::deadline`] when to ask again.
//!
//! ```text
//!            enable              Connect             connected
//!   Void ───────────▶ Backoff ───────────▶ Connecting ───────▶ Active ◀──┐
//!                        ▲                     │                 │ quiet │ activity
//!                        └──────── disconnected ┴────────────────┴▶ Idle ┘
//!                                                        still quiet: Disconnect
//! ```
//!
//! The wait doubles from 1 s to 8 s with each failure; a connection that lived longer than the
//! last wait starts again at 1 s.

use clock::Time;
use std::io;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The first wait after a failure.
pub const MIN_BACKOFF: Duration = SECOND;
/// The longest wait between tries.
pub const MAX_BACKOFF: Duration = Duration::from_secs(8);
/// Silence after which a peer is probed.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is wanted.
    Void,
    /// Waiting before the next try.
    Backoff,
    /// A try is under way.
    Connecting,
    /// Connected, and the peer is heard of.
    Active,
    /// Connected, and a probe waits for its answer.
    Idle,
    /// The connection is to be made anew.
    Reconnect,
}

impl State {
    /// The original's word, for status columns and logs.
    pub fn name(self) -> &'static str {
        match self {
            State::Void => "VOID",
            State::Backoff => "BACKOFF",
            State::Connecting => "CONNECTING",
            State::Active => "ACTIVE",
            State::Idle => "IDLE",
            State::Reconnect => "RECONNECT",
        }
    }
}

/// What the owner has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Try to connect, and say [`Reconnect::connecting`].
    Connect,
    /// Drop the connection or the try, and say [`Reconnect::disconnected`].
    Disconnect,
    /// Send something that makes the peer answer.
    Probe,
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// The peer closed it.
    Closed,
    /// We did, or it took too long.
    TimedOut,
    /// The system says why.
    Failed(io::Error),
}

/// The state machine; see the module.
#[derive(Debug)]
pub struct Reconnect {
    name: String,
    min_backoff: Duration,
    max_backoff: Duration,
    /// Zero = no probes.
    probe_interval: Duration,
    quiet: bool,
    /// Tries that are left; none = no end of them.
    tries: Option<u32>,
    /// Tries that are made without waiting.
    free_tries: u32,
    state: State,
    entered: Time,
    backoff: Duration,
    last_activity: Time,
    last_connected: Option<Time>,
    last_disconnected: Option<Time>,
    seqno: u32,
}

impl Reconnect {
    /// A machine for the connection called `name` in log lines. It wants nothing until
    /// [`Reconnect::enable`].
    pub fn new(name: impl Into<String>, now: Time) -> Reconnect {
        Reconnect {
            name: name.into(),
            min_backoff: MIN_BACKOFF,
            max_backoff: MAX_BACKOFF,
            probe_interval: PROBE_INTERVAL,
            quiet: false,
            tries: None,
            free_tries: 0,
            state: State::Void,
            entered: now,
            backoff: Duration::ZERO,
            last_activity: now,
            last_connected: None,
            last_disconnected: None,
            seqno: 0,
        }
    }

    /// Waits between `min` and `max`; neither is less than a second, a `max` of zero means 8 s.
    pub fn set_backoff(&mut self, min: Duration, max: Duration) {
        self.min_backoff = min.max(SECOND);
        let max = if max.is_zero() {
            MAX_BACKOFF
        } else {
            max.max(SECOND)
        };
        self.max_backoff = max.max(self.min_backoff);
        if self.state == State::Backoff {
            self.backoff = self.backoff.min(self.max_backoff);
        }
    }

    /// Silence after which the peer is probed, at least a second; zero = never.
    pub fn set_probe_interval(&mut self, interval: Duration) {
        self.probe_interval = if interval.is_zero() {
            interval
        } else {
            interval.max(SECOND)
        };
    }

    /// Silence after which the peer is probed; zero = never.
    pub fn probe_interval(&self) -> Duration {
        self.probe_interval
    }

    /// Comings and goings are logged at `DBG` rather than `INFO`.
    pub fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// Connects at most `tries` times; none = for ever.
    pub fn set_max_tries(&mut self, tries: Option<u32>) {
        self.tries = tries;
    }

    /// The first `tries` failures are followed by the next try at once.
    pub fn set_free_tries(&mut self, tries: u32) {
        self.free_tries = tries;
    }

    /// What log lines call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// When it came there.
    pub fn state_entered(&self) -> Time {
        self.entered
    }

    /// Counts connections made and lost, so that a change is noticed.
    pub fn seqno(&self) -> u32 {
        self.seqno
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Active | State::Idle)
    }

    /// When the last connection was made.
    pub fn last_connected(&self) -> Option<Time> {
        self.last_connected
    }

    /// When the last connection was lost.
    pub fn last_disconnected(&self) -> Option<Time> {
        self.last_disconnected
    }

    /// A connection is wanted from now on.
    pub fn enable(&mut self, now: Time) {
        if self.state == State::Void && self.may_try() {
            self.enter(State::Backoff, now);
            self.backoff = Duration::ZERO;
        }
    }

    /// None is wanted any more.
    pub fn disable(&mut self, now: Time) {
        if self.state != State::Void {
            self.enter(State::Void, now);
        }
    }

    /// Drops what there is and connects again.
    pub fn force(&mut self, now: Time) {
        if matches!(self.state, State::Connecting | State::Active | State::Idle) {
            self.enter(State::Reconnect, now);
        }
    }

    /// A try is under way.
    pub fn connecting(&mut self, now: Time) {
        if self.state != State::Connecting {
            if self.backoff < self.max_backoff {
                self.say("connecting...");
            }
            self.enter(State::Connecting, now);
        }
    }

    /// The try has succeeded.
    pub fn connected(&mut self, now: Time) {
        if !self.is_connected() {
            self.connecting(now);
            self.say("connected");
            self.enter(State::Active, now);
            self.last_connected = Some(now);
            self.last_activity = self.last_activity.max(now);
        }
    }

    /// Something has come from the peer.
    pub fn activity(&mut self, now: Time) {
        if self.state == State::Idle {
            self.enter(State::Active, now);
        }
        self.last_activity = now;
    }

    /// The connection or the try has ended.
    pub fn disconnected(&mut self, end: &End, now: Time) {
        if matches!(self.state, State::Backoff | State::Void) {
            return;
        }
        let was_connected = self.is_connected();
        self.report(end, was_connected);
        if was_connected {
            self.last_disconnected = Some(now);
        }
        if !self.may_try() {
            self.enter(State::Void, now);
            return;
        }
        let lived = self
            .last_activity
            .saturating_since(self.last_connected.unwrap_or(now));
        if self.free_tries > 1 {
            self.free_tries -= 1;
            self.backoff = Duration::ZERO;
        } else if (was_connected && lived >= self.backoff) || self.backoff < self.min_backoff {
            self.backoff = self.min_backoff;
        } else if self.backoff < self.max_backoff / 2 {
            self.backoff *= 2;
            let seconds = self.backoff.as_secs_f64();
            self.say(&format!("waiting {seconds} seconds before reconnect"));
        } else {
            if self.backoff < self.max_backoff {
                let name = &self.name;
                tracing::info!(
                    target: "reconnect",
                    "{name}: continuing to reconnect in the background but suppressing further \
                     logging"
                );
            }
            self.backoff = self.max_backoff;
        }
        self.enter(State::Backoff, now);
    }

    fn report(&self, end: &End, was_connected: bool) {
        let name = &self.name;
        match (end, was_connected) {
            (End::Failed(e), true) => {
                let why = crate::log::reason(e);
                tracing::warn!(target: "reconnect", "{name}: connection dropped ({why})");
            }
            (End::Closed, true) => self.say("connection closed by peer"),
            (End::TimedOut, true) => self.say("connection dropped"),
            // At the longest wait, the log has heard of it often enough.
            _ if self.backoff >= self.max_backoff => {}
            (End::Failed(e), false) => {
                let why = crate::log::reason(e);
                tracing::info!(target: "reconnect", "{name}: connection attempt failed ({why})");
            }
            (_, false) => self.say("connection attempt timed out"),
        }
    }

    /// What to do at `now`, if anything.
    pub fn run(&mut self, now: Time) -> Option<Action> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        let name = &self.name;
        match self.state {
            State::Void => None,
            State::Backoff => Some(Action::Connect),
            State::Connecting | State::Reconnect => Some(Action::Disconnect),
            State::Active => {
                let quiet = now
                    .saturating_since(self.last_activity.max(self.entered))
                    .as_millis();
                tracing::debug!(
                    target: "reconnect",
                    "{name}: idle {quiet} ms, sending inactivity probe"
                );
                self.enter(State::Idle, now);
                Some(Action::Probe)
            }
            State::Idle => {
                let waited = now.saturating_since(self.entered).as_secs_f64();
                tracing::error!(
                    target: "reconnect",
                    "{name}: no response to inactivity probe after {waited} seconds, disconnecting"
                );
                Some(Action::Disconnect)
            }
        }
    }

    /// When [`Reconnect::run`] has something to do; none = not before something happens.
    pub fn deadline(&self) -> Option<Time> {
        let probing = !self.probe_interval.is_zero();
        match self.state {
            State::Void => None,
            State::Backoff => Some(self.entered + self.backoff),
            State::Connecting => Some(self.entered + self.backoff.max(SECOND)),
            State::Active => {
                probing.then(|| self.last_activity.max(self.entered) + self.probe_interval)
            }
            State::Idle => probing.then(|| self.entered + self.probe_interval),
            State::Reconnect => Some(self.entered),
        }
    }

    fn may_try(&mut self) -> bool {
        match &mut self.tries {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    fn say(&self, text: &str) {
        let name = &self.name;
        if self.quiet {
            tracing::debug!(target: "reconnect", "{name}: {text}");
        } else {
            tracing::info!(target: "reconnect", "{name}: {text}");
        }
    }

    fn enter(&mut self, state: State, now: Time) {
        let was_connected = self.is_connected();
        self.state = state;
        self.entered = now;
        if was_connected != self.is_connected() {
            self.seqno = self.seqno.wrapping_add(1);
        }
        let (name, state) = (&self.name, state.name());
        tracing::debug!(target: "reconnect", "{name}: entering {state}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn the_wait_doubles_to_eight_seconds() {
        let mut fsm = Reconnect::new("x", at(0));
        assert_eq!(fsm.run(at(0)), None);
        fsm.enable(at(0));
        let mut now = 0;
        for wait in [0, 1000, 2000, 4000, 8000, 8000] {
            assert_eq!(fsm.deadline(), Some(at(now + wait)));
            now += wait;
            assert_eq!(fsm.run(at(now)), Some(Action::Connect));
            fsm.connecting(at(now));
            fsm.disconnected(&End::TimedOut, at(now));
        }
    }

    #[test]
    fn a_silent_peer_is_probed_then_dropped() {
        let mut fsm = Reconnect::new("x", at(0));
        fsm.enable(at(0));
        assert_eq!(fsm.run(at(0)), Some(Action::Connect));
        fsm.connected(at(0));
        fsm.activity(at(3000));
        assert_eq!(fsm.run(at(7999)), None);
        assert_eq!(fsm.run(at(8000)), Some(Action::Probe));
        fsm.activity(at(9000));
        assert_eq!(fsm.state(), State::Active);
        assert_eq!(fsm.run(at(14000)), Some(Action::Probe));
        assert_eq!(fsm.run(at(18999)), None);
        assert_eq!(fsm.run(at(19000)), Some(Action::Disconnect));
        fsm.disconnected(&End::TimedOut, at(19000));
        // It lived for long, so the wait is the shortest.
        assert_eq!(fsm.deadline(), Some(at(20000)));
        assert_eq!(fsm.seqno(), 2);
    }

    #[test]
    fn tries_can_be_limited() {
        let mut fsm = Reconnect::new("x", at(0));
        fsm.set_max_tries(Some(1));
        fsm.enable(at(0));
        fsm.connecting(at(0));
        fsm.disconnected(&End::Closed, at(0));
        assert_eq!(fsm.state(), State::Void);
        assert_eq!(fsm.deadline(), None);
    }
}
