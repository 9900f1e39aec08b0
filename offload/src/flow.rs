//! A megaflow as the engine knows it.
//!
//! ```text
//!              admitted            completed
//!   Software ───────────▶ Adding ────────────▶ Hardware ⇄ Replacing
//!      ▲                    │ failed, lost        │ evicted, ineligible, flow removed
//!      └────────────────────┴──── Removing ◀──────┘
//! ```

use crate::resume::recircs;
use clock::Time;
use hal::{Counter, DpPort, FlowPut, FlowStats, Reason, RecircId, ResumeId, RuleHandle, RuleKey};
use packet::{FieldId, Metadata};
use std::time::Duration;

/// Time constant of the mean over which a rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(1);
/// Two readings closer than this are one.
const MIN_STEP: Duration = Duration::from_millis(50);

/// A rule as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// Which device.
    pub device: usize,
    /// Which of the flow's lists of actions.
    pub version: u32,
    /// What its misses carry, and what that stands for.
    pub resume: Option<(ResumeId, Metadata)>,
    /// The state in which its packets reach it, on which `resume` rests.
    pub entry: Metadata,
}

/// A rule that a device holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub form: Form,
    pub handle: RuleHandle,
    /// What has been credited of its counter.
    pub last: Counter,
    /// When the flow's first rule came in.
    pub since: Time,
}

/// Where the flow is on its way.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Software,
    Adding(Form),
    Hardware(Held),
    /// The second takes the first one's place.
    Replacing(Held, Form),
    Removing(Held),
}

impl State {
    /// The rule that a device holds for certain.
    pub fn held(&self) -> Option<&Held> {
        match self {
            State::Hardware(h) | State::Replacing(h, _) | State::Removing(h) => Some(h),
            State::Software | State::Adding(_) => None,
        }
    }

    /// The rules that a device holds or may come to hold.
    pub fn forms(&self) -> [Option<&Form>; 2] {
        match self {
            State::Software => [None, None],
            State::Adding(form) => [Some(form), None],
            State::Hardware(held) | State::Removing(held) => [Some(&held.form), None],
            State::Replacing(held, form) => [Some(&held.form), Some(form)],
        }
    }

    /// The same, to be changed.
    fn forms_mut(&mut self) -> [Option<&mut Form>; 2] {
        match self {
            State::Software => [None, None],
            State::Adding(form) => [Some(form), None],
            State::Hardware(held) | State::Removing(held) => [Some(&mut held.form), None],
            State::Replacing(held, form) => [Some(&mut held.form), Some(form)],
        }
    }

    pub fn held_mut(&mut self) -> Option<&mut Held> {
        match self {
            State::Hardware(h) | State::Replacing(h, _) | State::Removing(h) => Some(h),
            State::Software | State::Adding(_) => None,
        }
    }
}

/// How fast a flow is: packets a second, a mean that forgets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    packets: u64,
    at: Time,
    rate: f64,
}

impl Meter {
    pub fn new(now: Time) -> Meter {
        Meter {
            packets: 0,
            at: now,
            rate: 0.0,
        }
    }

    /// Takes a reading of the flow's total in.
    pub fn observe(&mut self, stats: &FlowStats, now: Time) {
        let step = now - self.at;
        if step < MIN_STEP {
            return;
        }
        let seen = stats.packets.saturating_sub(self.packets) as f64;
        let seconds = step.as_secs_f64();
        let weight = seconds / (seconds + RATE_WINDOW.as_secs_f64());
        self.rate += weight * (seen / seconds - self.rate);
        self.packets = stats.packets;
        self.at = now;
    }

    /// Packets a second.
    pub fn rate(&self) -> u64 {
        self.rate.round() as u64
    }
}

/// That a device could hold a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    pub device: usize,
    /// Slots.
    pub cost: usize,
}

/// A megaflow.
pub(crate) struct Flow {
    pub put: Box<FlowPut>,
    /// Raised whenever the rule should be another.
    pub version: u32,
    pub added: Time,
    pub meter: Meter,
    pub state: State,
    /// The device in which it should have a rule.
    pub want: Option<usize>,
    /// It is to go for good, and its owner waits.
    pub leaving: bool,
    /// What the last plan said of it.
    pub verdict: Option<Reason>,
    /// When it was evicted.
    pub evicted: Option<Time>,
    /// What the device said of its rule, and until when that counts.
    pub refused: Option<(String, Time)>,
    /// Whether some device could hold it, as of that generation of ports and devices.
    pub checked: Option<(u64, Result<Fit, Reason>)>,
    /// Where its steps send packets.
    pub recircs: Vec<RecircId>,
    /// The same, and where rules send packets that a device still holds for it.
    pub leads: Vec<RecircId>,
}

impl Flow {
    pub fn new(put: &FlowPut, now: Time) -> Flow {
        let mut out = Vec::new();
        recircs(&put.actions, &mut out);
        Flow {
            put: Box::new(put.clone()),
            version: 0,
            added: now,
            meter: Meter::new(now),
            state: State::Software,
            want: None,
            leaving: false,
            verdict: None,
            evicted: None,
            refused: None,
            checked: None,
            leads: out.clone(),
            recircs: out,
        }
    }

    /// The device with this number holds nothing and has left; those after it move up.
    pub fn device_left(&mut self, device: usize) {
        let move_up = |d: &mut usize| *d -= usize::from(*d > device);
        if self.want == Some(device) {
            self.want = None;
        }
        self.want.iter_mut().for_each(move_up);
        for form in self.state.forms_mut().into_iter().flatten() {
            move_up(&mut form.device);
        }
        self.checked = None;
    }

    /// What [`Flow::leads`] should be.
    pub fn leads_now(&self) -> Vec<RecircId> {
        let mut leads = self.recircs.clone();
        for form in self.state.forms().into_iter().flatten() {
            if let Some((_, exit)) = &form.resume
                && !leads.contains(&RecircId(exit.recirc_id))
            {
                leads.push(RecircId(exit.recirc_id));
            }
        }
        leads
    }

    /// Where its packets enter.
    pub fn in_port(&self) -> DpPort {
        DpPort(self.put.key.get(FieldId::InPortOxm) as u32)
    }

    /// Whether its mask says from which port exactly.
    pub fn has_in_port(&self) -> bool {
        self.put.mask.get(FieldId::InPortOxm) == FieldId::InPortOxm.full()
    }

    /// Which recirculation its packets come from.
    pub fn recirc(&self) -> RecircId {
        RecircId(self.put.key.get(FieldId::RecircId) as u32)
    }

    /// Whether packets of `self` could be packets of `later` after a recirculation: they enter
    /// by the same port.
    pub fn reaches(&self, later: &Flow) -> bool {
        !(self.has_in_port() && later.has_in_port()) || self.in_port() == later.in_port()
    }
}

/// Keys in an order that is the same in every run.
pub(crate) type Keys = std::collections::BTreeSet<RuleKey>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_found_and_a_burst_is_forgotten() {
        let mut meter = Meter::new(Time::ZERO);
        let read = |meter: &mut Meter, ms: u64, packets: u64| {
            let stats = FlowStats {
                packets,
                ..FlowStats::default()
            };
            meter.observe(&stats, Time::from_millis(ms));
            meter.rate()
        };
        for i in 1..=20 {
            read(&mut meter, i * 500, i * 500);
        }
        assert!((990..=1000).contains(&meter.rate()), "{}", meter.rate());
        for i in 21..=40 {
            read(&mut meter, i * 500, 10_000);
        }
        assert_eq!(meter.rate(), 0);
    }
}
