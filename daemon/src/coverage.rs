//! Named counters of events, and how often they happened of late: `coverage/show`.
//!
//! ```
//! daemon::count!("flow_extract");
//! daemon::count!("dpif_flow_put", 3);
//! ```
//!
//! A count costs one relaxed addition on a counter of that statement; statements with the same
//! name are added up when somebody looks. [`sample`] is called every [`INTERVAL`] and keeps what
//! the rates of the last minute and hour are made of.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Time between two samples.
pub const INTERVAL: Duration = Duration::from_secs(5);

const PER_MINUTE: usize = 12;
const MINUTES: usize = 60;

static STATE: Mutex<State> = Mutex::new(State {
    counters: Vec::new(),
    history: BTreeMap::new(),
    samples: 0,
});

struct State {
    counters: Vec<&'static Counter>,
    history: BTreeMap<String, History>,
    samples: usize,
}

#[derive(Clone)]
struct History {
    /// The total at the last sample.
    last: u64,
    /// Events in each of the last samples, a minute's worth.
    samples: [u64; PER_MINUTE],
    /// Events in each of the last minutes.
    minutes: [u64; MINUTES],
}

impl Default for History {
    fn default() -> History {
        History {
            last: 0,
            samples: [0; PER_MINUTE],
            minutes: [0; MINUTES],
        }
    }
}

/// The counter of one statement; made by [`count!`](crate::count).
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    count: AtomicU64,
    known: AtomicBool,
}

impl Counter {
    /// A counter at zero.
    pub const fn new(name: &'static str) -> Counter {
        Counter {
            name,
            count: AtomicU64::new(0),
            known: AtomicBool::new(false),
        }
    }

    /// Counts `n` events.
    pub fn add(&'static self, n: u64) {
        self.count.fetch_add(n, Ordering::Relaxed);
        if !self.known.load(Ordering::Relaxed) && !self.known.swap(true, Ordering::Relaxed) {
            state().counters.push(self);
        }
    }
}

/// Counts one event, or as many as the second argument says, under a name.
#[macro_export]
macro_rules! count {
    ($name:literal) => {
        $crate::count!($name, 1)
    };
    ($name:literal, $n:expr) => {{
        static COUNTER: $crate::coverage::Counter = $crate::coverage::Counter::new($name);
        COUNTER.add($n)
    }};
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn totals(&self) -> BTreeMap<String, u64> {
        let mut totals: BTreeMap<String, u64> =
            self.history.keys().map(|name| (name.clone(), 0)).collect();
        for counter in &self.counters {
            let total = totals.entry(counter.name.to_string()).or_default();
            *total = total.wrapping_add(counter.count.load(Ordering::Relaxed));
        }
        totals
    }
}

/// Makes counters known that may never count, so that they can be read as zero.
pub fn declare(names: &[&str]) {
    let mut state = state();
    for name in names {
        state.history.entry(name.to_string()).or_default();
    }
}

/// Notes what has been counted since the last sample.
pub fn sample() {
    let mut state = state();
    let totals = state.totals();
    let slot = state.samples % PER_MINUTE;
    let minute = state.samples / PER_MINUTE % MINUTES;
    state.samples += 1;
    for (name, total) in totals {
        let history = state.history.entry(name).or_default();
        let fresh = total.wrapping_sub(history.last);
        history.last = total;
        history.samples[slot] = fresh;
        let sum = if slot == 0 {
            0
        } else {
            history.minutes[minute]
        };
        history.minutes[minute] = sum + fresh;
    }
}

/// The total of a counter; none if there is no such counter.
pub fn read(name: &str) -> Option<u64> {
    state().totals().get(name).copied()
}

/// The text of `coverage/show`.
pub fn show() -> String {
    let state = state();
    let totals = state.totals();
    let last = (state.samples + PER_MINUTE - 1) % PER_MINUTE;
    let mut text = format!(
        "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash={:08x}:\n",
        fingerprint(&totals)
    );
    let mut never = 0;
    let none = History::default();
    for (name, total) in &totals {
        if *total == 0 {
            never += 1;
            continue;
        }
        let history = state.history.get(name).unwrap_or(&none);
        let minute: u64 = history.samples.iter().sum();
        let hour: u64 = history.minutes.iter().sum();
        text.push_str(&format!(
            "{name:<24} {:5.1}/sec {:9.3}/sec {:13.4}/sec   total: {total}\n",
            history.samples[last] as f64 / 5.0,
            minute as f64 / 60.0,
            hour as f64 / 3600.0,
        ));
    }
    text.push_str(&format!("{never} events never hit\n"));
    text
}

/// A number that is the same for runs in which the same events came in the same order of
/// frequency.
fn fingerprint(totals: &BTreeMap<String, u64>) -> u32 {
    let mut ranked: Vec<_> = totals.iter().filter(|(_, total)| **total > 0).collect();
    ranked.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut hash: u32 = 0x811c_9dc5;
    let mut previous = None;
    for (name, total) in ranked {
        let separator = if previous == Some(total) { b'=' } else { b'>' };
        previous = Some(total);
        for byte in std::iter::once(separator).chain(name.bytes()) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    #[test]
    fn statements_of_one_name_are_added_up_and_rates_shown() {
        super::declare(&["test_never"]);
        crate::count!("test_coverage", 10);
        crate::count!("test_coverage");
        assert_eq!(super::read("test_coverage"), Some(11));
        assert_eq!(super::read("test_never"), Some(0));
        assert_eq!(super::read("test_unknown"), None);
        super::sample();
        let text = super::show();
        assert!(
            text.contains(
                "test_coverage              2.2/sec     0.183/sec        0.0031/sec   total: 11\n"
            ),
            "{text}"
        );
    }
}
