//! Fail-open: a standalone bridge whose controllers have been away for long switches by itself.
//!
//! Every controller gets three probe intervals: one until its silence is noticed, one to answer the
//! probe, one to be called again. After that the bridge's flows are flushed and a hidden flow sends
//! everything to NORMAL, until a controller is back and has taken the switch on. Its flows are
//! not flushed then; the hidden one goes.

use clock::Time;
use std::time::Duration;

/// The hidden flow's priority, above all that controllers can give.
pub const PRIORITY: u32 = 0xf0_f0f0;
/// How often packets are made up for a controller that is back but has not taken us on.
const BOGUS_INTERVAL: Duration = Duration::from_secs(2);

/// What the bridge's controllers are like.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// How long all of them have been away.
    pub away: Duration,
    /// The longest probe interval of any.
    pub probe: Duration,
    /// Whether any is connected.
    pub connected: bool,
    /// Whether any has taken the switch on.
    pub admitted: bool,
}

/// What the bridge must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Flush its flows and add the hidden one.
    Open,
    /// Take the hidden flow away.
    Recover,
    /// Show the controller a packet, so that it notices us.
    BogusPacket,
}

/// Whether a bridge fails open.
#[derive(Debug, Default)]
pub struct FailOpen {
    /// The seconds of absence last told of; none = not failing open.
    told: Option<u64>,
    next_bogus: Option<Time>,
}

impl FailOpen {
    /// When to look again, at the latest.
    pub fn deadline(&self, now: Time, absence: Absence) -> Time {
        if self.told.is_some() {
            return self.next_bogus.unwrap_or(Time::NEVER);
        }
        if absence.admitted {
            return Time::NEVER;
        }
        now + trigger(absence).saturating_sub(absence.away)
    }

    /// What follows from how the controllers are now.
    pub fn run(&mut self, now: Time, absence: Absence) -> Option<Step> {
        if absence.admitted {
            return self.recover();
        }
        let seconds = absence.away.as_secs();
        match self.told {
            None if absence.away >= trigger(absence) => {
                tracing::warn!(target: "fail_open",
                    "Could not connect to controller (or switch failed controller's \
                     post-connection admission control policy) for {seconds} seconds, failing \
                     open");
                self.told = Some(seconds);
                return Some(Step::Open);
            }
            None => return None,
            Some(told) if seconds > told + 60 => {
                tracing::info!(target: "fail_open",
                    "Still in fail-open mode after {seconds} seconds disconnected from controller");
                self.told = Some(seconds);
            }
            Some(_) => {}
        }
        if !absence.connected {
            self.next_bogus = None;
            return None;
        }
        let due = self.next_bogus.is_some_and(|at| now >= at);
        if due || self.next_bogus.is_none() {
            self.next_bogus = Some(now + BOGUS_INTERVAL);
        }
        due.then_some(Step::BogusPacket)
    }

    /// Ends it, if it is going on.
    pub fn recover(&mut self) -> Option<Step> {
        self.next_bogus = None;
        self.told.take()?;
        tracing::warn!(target: "fail_open", "No longer in fail-open mode");
        Some(Step::Recover)
    }
}

/// A RARP request (RFC 903) from a station of nobody's, as a packet that no flow matches.
pub fn bogus_packet(now: Time) -> openflow::PacketIn {
    let mut dice = clock::Seed::new(now.as_nanos()).source("fail_open");
    // Nicira's prefix, with a number that nobody has.
    let mut mac = [0x00, 0x23, 0x20, 0, 0, 0];
    mac[3..].copy_from_slice(&dice.u32(..).to_be_bytes()[..3]);
    mac[3] |= 0x80;
    let mut frame = Vec::with_capacity(60);
    frame.extend([0xff; 6]);
    frame.extend(mac);
    frame.extend([0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
    for _ in 0..2 {
        frame.extend(mac);
        frame.extend([0; 4]);
    }
    let mut state = packet::FlowState::default();
    state.set(packet::FieldId::InPortOxm, openflow::OfPort::LOCAL.0.into());
    openflow::PacketIn {
        format: openflow::PacketInFormat::Standard,
        total_len: frame.len() as u32,
        data: frame,
        buffer_id: openflow::NO_BUFFER,
        reason: 0,
        table: openflow::TableId(0),
        cookie: openflow::Cookie(u64::MAX),
        metadata: crate::translate::packet_in_metadata(&state),
        userdata: Default::default(),
        continuation: None,
    }
}

/// How long controllers may be away; at least a second, as absence is told in seconds.
fn trigger(absence: Absence) -> Duration {
    (absence.probe * 3).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(seconds: u64) -> Absence {
        Absence {
            away: Duration::from_secs(seconds),
            probe: Duration::from_secs(5),
            connected: false,
            admitted: false,
        }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_after_three_intervals_and_recovers_once() {
        let mut f = FailOpen::default();
        assert_eq!(f.run(at(14), away(14)), None);
        assert_eq!(f.deadline(at(14), away(14)), at(15));
        assert_eq!(f.run(at(15), away(15)), Some(Step::Open));
        assert_eq!(f.run(at(16), away(16)), None);
        let back = Absence {
            admitted: true,
            connected: true,
            ..away(0)
        };
        assert_eq!(f.run(at(17), back), Some(Step::Recover));
        assert_eq!(f.run(at(18), back), None);
        assert_eq!(f.deadline(at(18), back), Time::NEVER);
    }

    #[test]
    fn a_controller_that_only_looks_is_shown_a_packet_now_and_then() {
        let mut f = FailOpen::default();
        f.run(at(15), away(15));
        let looking = |s| Absence {
            connected: true,
            ..away(s)
        };
        let steps: Vec<_> = (16..22).map(|s| f.run(at(s), looking(s))).collect();
        let bogus = Some(Step::BogusPacket);
        assert_eq!(steps, [None, None, bogus, None, bogus, None]);
    }
}
