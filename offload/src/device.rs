//! A device as the engine keeps it: what is on its way to it, and how it fares.

use crate::flow::Keys;
use clock::Time;
use hal::{Capabilities, DpPort, Epoch, FlowDevice, RuleHandle, RuleKey, Ticket};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// The first pause between two attempts to reset a device.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A device that has worked for so long is trusted again.
const TRUSTED_AFTER: Duration = Duration::from_secs(10);

/// Whether a device works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Up {
        since: Time,
    },
    Down {
        what: String,
        /// The next attempt to reset it.
        retry: Time,
    },
}

/// An operation that has not ended so long after its turn never will.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon a device is asked again while something is on its way: at first, and at the latest.
const POLL: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(100));

/// An operation that has not ended.
pub(crate) struct InFlight {
    pub key: RuleKey,
    pub since: Time,
    /// It brings a rule in.
    pub inserts: bool,
}

/// When an operation began, and when it is overdue.
struct Begun {
    ticket: Ticket,
    since: Time,
    overdue: Time,
}

pub(crate) struct Device {
    pub name: String,
    pub face: Box<dyn FlowDevice>,
    pub capabilities: Capabilities,
    pub ports: BTreeMap<String, DpPort>,
    /// It has had a port.
    pub was_used: bool,
    pub epoch: Epoch,
    pub health: Health,
    /// Faults in a row.
    pub faults: u32,
    pub tickets: HashMap<Ticket, InFlight>,
    /// The same in the order in which they began, those that have ended among them.
    begun: VecDeque<Begun>,
    pub handles: HashMap<RuleHandle, RuleKey>,
    /// Flows whose rule must go or be replaced, in that order.
    pub urgent: VecDeque<RuleKey>,
    /// Flows whose rule is to come.
    pub adds: VecDeque<RuleKey>,
    /// Flows that have slots, or are promised some, and how many.
    pub claims: BTreeMap<RuleKey, usize>,
    /// Flows for which there was no slot.
    pub waiting: Keys,
    /// A slot has become free since those waiting were last looked at.
    pub freed: bool,
    /// The device said that it is full; its word counts until then.
    pub full_until: Option<Time>,
    /// How many rules it had when it last said so.
    full_at: Option<usize>,
    pub budget: Budget,
    pub counters_read: Time,
    /// Removals that the device would not do, in a row.
    pub stuck: u32,
    pub insertions: Tally,
    pub evictions: Tally,
    pub latencies: Latencies,
}

impl Device {
    pub fn new(name: &str, face: Box<dyn FlowDevice>, now: Time) -> Device {
        let capabilities = face.capabilities().clone();
        Device {
            name: name.into(),
            epoch: face.epoch(),
            budget: Budget::new(capabilities.inserts_per_second, now),
            capabilities,
            face,
            ports: BTreeMap::new(),
            was_used: false,
            health: Health::Up { since: now },
            faults: 0,
            tickets: HashMap::new(),
            begun: VecDeque::new(),
            handles: HashMap::new(),
            urgent: VecDeque::new(),
            adds: VecDeque::new(),
            claims: BTreeMap::new(),
            waiting: Keys::new(),
            freed: false,
            full_until: None,
            full_at: None,
            counters_read: now,
            stuck: 0,
            insertions: Tally::default(),
            evictions: Tally::default(),
            latencies: Latencies::default(),
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(self.health, Health::Up { .. })
    }

    /// Whether it had ports, has none, and holds nothing.
    pub fn is_idle(&self) -> bool {
        self.was_used && self.ports.is_empty() && self.tickets.is_empty() && self.claims.is_empty()
    }

    /// Slots taken or promised.
    pub fn used(&self) -> usize {
        self.claims.values().sum()
    }

    /// Slots that may be taken, as far as the device has let know.
    pub fn capacity(&self, now: Time) -> usize {
        match self.full_until {
            Some(t) if now < t => self.capabilities.rules.min(self.used()),
            _ => self.capabilities.rules,
        }
    }

    /// The device says that it holds no more.
    pub fn say_full(&mut self, until: Time) {
        self.full_until = Some(until);
        self.full_at = Some(self.handles.len());
    }

    /// It holds so many rules: what it promises, or fewer if it has said so.
    pub fn limit(&self) -> usize {
        let said = self.full_at.filter(|n| self.handles.len() <= *n);
        said.unwrap_or(usize::MAX).min(self.capabilities.rules)
    }

    /// Notes an operation that begins.
    pub fn begin(&mut self, ticket: Ticket, op: InFlight) {
        let since = op.since;
        self.tickets.insert(ticket, op);
        // A slow device gets to it when it is done with those before.
        let rate = self.capabilities.inserts_per_second;
        let queue = u32::try_from(self.tickets.len()).unwrap_or(u32::MAX);
        let turn = match u32::try_from(rate).unwrap_or(u32::MAX) {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1).saturating_mul(queue) / rate,
        };
        let overdue = since + PATIENCE + turn;
        let before = self.begun.back().map_or(overdue, |b| b.overdue);
        self.begun.push_back(Begun {
            ticket,
            since,
            overdue: overdue.max(before),
        });
    }

    /// Forgets all operations.
    pub fn abandon(&mut self) {
        self.tickets.clear();
        self.begun.clear();
    }

    /// Whether an operation should have ended long ago.
    pub fn is_overdue(&mut self, now: Time) -> bool {
        while let Some(oldest) = self.begun.front()
            && !self.tickets.contains_key(&oldest.ticket)
        {
            self.begun.pop_front();
        }
        self.begun.front().is_some_and(|b| now >= b.overdue)
    }

    /// When to ask a device what it has done: soon after the last operation began, and less and
    /// less often if nothing comes.
    pub fn next_poll(&self, now: Time) -> Time {
        let newest = self.begun.back();
        let waited = newest.map_or(Duration::ZERO, |b| now - b.since);
        now + (waited / 4).clamp(POLL.0, POLL.1)
    }

    /// Notes a fault. A device that fails for the first time may work again at once; one that
    /// keeps failing is left alone for longer and longer.
    pub fn fail(&mut self, what: &str, now: Time) {
        match self.health {
            Health::Up { since } if now - since >= TRUSTED_AFTER => self.faults = 0,
            _ => {}
        }
        let pause = match self.faults {
            0 => Duration::ZERO,
            n => (FIRST_BACKOFF * 2u32.saturating_pow(n.min(16) - 1)).min(MAX_BACKOFF),
        };
        self.faults = self.faults.saturating_add(1);
        self.health = Health::Down {
            what: what.into(),
            retry: now + pause,
        };
    }
}

/// Insertions that may begin: so many a second, and not more than a tenth of a second's worth at
/// once.
pub(crate) struct Budget {
    per_second: u64,
    tokens: f64,
    at: Time,
}

impl Budget {
    fn new(per_second: u64, now: Time) -> Budget {
        Budget {
            per_second,
            tokens: per_second as f64 / 10.0,
            at: now,
        }
    }

    /// How many may begin now.
    pub fn available(&mut self, now: Time) -> usize {
        if self.per_second == 0 {
            return usize::MAX;
        }
        let rate = self.per_second as f64;
        let burst = (rate / 10.0).max(1.0);
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * rate).min(burst);
        self.at = now;
        self.tokens as usize
    }

    pub fn spend(&mut self, n: usize) {
        self.tokens -= n as f64;
    }
}

/// Events of the last ten seconds.
#[derive(Default)]
pub(crate) struct Tally {
    seconds: [u64; Tally::SPAN as usize],
    last: u64,
    pub total: u64,
}

impl Tally {
    const SPAN: u64 = 10;

    pub fn add(&mut self, now: Time) {
        let second = now.as_millis() / 1000;
        for s in (self.last + 1..=second).rev().take(Tally::SPAN as usize) {
            self.seconds[(s % Tally::SPAN) as usize] = 0;
        }
        self.last = self.last.max(second);
        self.seconds[(second % Tally::SPAN) as usize] += 1;
        self.total += 1;
    }

    /// Events a second, over ten seconds.
    pub fn per_second(&self, now: Time) -> f64 {
        let second = now.as_millis() / 1000;
        let recent = (0..Tally::SPAN).filter(|back| {
            let s = second.checked_sub(*back);
            s.is_some_and(|s| s <= self.last && s + Tally::SPAN > self.last)
        });
        let sum: u64 = recent
            .map(|back| self.seconds[((second - back) % Tally::SPAN) as usize])
            .sum();
        sum as f64 / Tally::SPAN as f64
    }
}

/// How long insertions take from being handed to the device to being done: since the start, and
/// of late.
#[derive(Default)]
pub(crate) struct Latencies {
    pub all: Latency,
    /// By the second in which they were done, the newest last.
    recent: VecDeque<(u64, Latency)>,
}

impl Latencies {
    pub fn add(&mut self, took: Duration, now: Time) {
        self.all.add(took);
        let second = now.as_millis() / 1000;
        match self.recent.back_mut() {
            Some((s, latency)) if *s == second => latency.add(took),
            _ => {
                let mut latency = Latency::default();
                latency.add(took);
                self.recent.push_back((second, latency));
            }
        }
        while self.recent.len() > Tally::SPAN as usize {
            self.recent.pop_front();
        }
    }

    /// Of the last ten seconds.
    pub fn recent(&self, now: Time) -> Latency {
        let second = now.as_millis() / 1000;
        let of_late = self.recent.iter().filter(|(s, _)| s + Tally::SPAN > second);
        of_late.fold(Latency::default(), |sum, (_, l)| sum.with(l))
    }
}

/// How long some insertions took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    pub count: u64,
    sum: Duration,
    pub min: Duration,
    pub max: Duration,
}

impl Latency {
    pub fn add(&mut self, took: Duration) {
        self.min = if self.count == 0 {
            took
        } else {
            self.min.min(took)
        };
        self.max = self.max.max(took);
        self.sum += took;
        self.count += 1;
    }

    fn with(self, other: &Latency) -> Latency {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { *other } else { self };
        }
        Latency {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    pub fn mean(&self) -> Duration {
        let nanos = self.sum.as_nanos() / u128::from(self.count.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_forgets_what_is_ten_seconds_old() {
        let mut tally = Tally::default();
        for ms in 0..100 {
            tally.add(Time::from_millis(1000 + ms));
        }
        assert_eq!(tally.per_second(Time::from_millis(5000)), 10.0);
        assert_eq!(tally.per_second(Time::from_millis(11_000)), 0.0);
        tally.add(Time::from_millis(30_000));
        assert_eq!(tally.per_second(Time::from_millis(30_500)), 0.1);
        assert_eq!(tally.total, 101);
    }

    #[test]
    fn latencies_of_late_are_told_apart_from_all() {
        let mut latencies = Latencies::default();
        let ms = Duration::from_millis;
        latencies.add(ms(100), Time::from_millis(500));
        latencies.add(ms(2), Time::from_millis(20_000));
        latencies.add(ms(4), Time::from_millis(21_000));
        let late = latencies.recent(Time::from_millis(25_000));
        assert_eq!((late.min, late.mean(), late.max), (ms(2), ms(3), ms(4)));
        assert_eq!(latencies.recent(Time::from_millis(40_000)).count, 0);
        assert_eq!((latencies.all.count, latencies.all.max), (3, ms(100)));
    }

    #[test]
    fn a_budget_fills_up_to_a_tenth_of_a_second() {
        let mut budget = Budget::new(1000, Time::ZERO);
        assert_eq!(budget.available(Time::ZERO), 100);
        budget.spend(100);
        assert_eq!(budget.available(Time::from_millis(5)), 5);
        assert_eq!(budget.available(Time::from_millis(5000)), 100);
    }
}
