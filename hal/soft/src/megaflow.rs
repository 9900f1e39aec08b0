//! A megaflow as the poll threads share it.

use crate::classifier::Words;
use clock::Time;
use hal::{Action, FlowPut, FlowStats};
use packet::FlowMask;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};

/// What one poll thread has counted of a flow. Only that thread writes it, so plain loads and
/// stores are enough; the alignment keeps two threads' counters off one cache line.
#[repr(align(64))]
#[derive(Default)]
struct Tally {
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Nanoseconds plus one; 0 = never.
    used: AtomicU64,
    tcp_flags: AtomicU16,
}

/// The counters of a flow; they outlive a change of its actions.
pub struct Tallies(Box<[Tally]>);

impl Tallies {
    /// Counters for `pollers` pollers and one more writer, the control thread.
    pub fn new(pollers: usize) -> Tallies {
        Tallies((0..=pollers).map(|_| Tally::default()).collect())
    }

    /// Counts packets on behalf of poller `who`.
    #[inline]
    pub fn count(&self, who: usize, stats: &FlowStats) {
        let Some(t) = self.0.get(who) else { return };
        t.packets
            .store(t.packets.load(Relaxed) + stats.packets, Relaxed);
        t.bytes.store(t.bytes.load(Relaxed) + stats.bytes, Relaxed);
        if let Some(used) = stats.used {
            t.used
                .store((used.as_nanos() + 1).max(t.used.load(Relaxed)), Relaxed);
        }
        t.tcp_flags
            .store(t.tcp_flags.load(Relaxed) | stats.tcp_flags, Relaxed);
    }

    /// The sum over all who count.
    pub fn sum(&self) -> FlowStats {
        let mut sum = FlowStats::default();
        for t in &self.0 {
            sum.add(&FlowStats {
                packets: t.packets.load(Relaxed),
                bytes: t.bytes.load(Relaxed),
                used: t.used.load(Relaxed).checked_sub(1).map(Time::from_nanos),
                tcp_flags: t.tcp_flags.load(Relaxed),
            });
        }
        sum
    }
}

/// A megaflow.
pub struct Megaflow {
    put: Arc<FlowPut>,
    masked: Words,
    tallies: Arc<Tallies>,
    /// No longer in the classifier; caches that still have it must not use it.
    dead: AtomicBool,
}

impl Megaflow {
    /// Makes a megaflow that counts in `tallies`.
    pub fn new(put: FlowPut, tallies: Arc<Tallies>) -> Megaflow {
        let mut masked = put.key.expand();
        for (w, m) in masked.iter_mut().zip(&put.mask.words) {
            *w &= m;
        }
        Megaflow {
            put: Arc::new(put),
            masked,
            tallies,
            dead: AtomicBool::new(false),
        }
    }

    /// The flow as it was put.
    pub fn put(&self) -> &Arc<FlowPut> {
        &self.put
    }

    /// Its mask.
    pub fn mask(&self) -> &FlowMask {
        &self.put.mask
    }

    /// Its key under its mask.
    #[inline]
    pub fn masked(&self) -> &Words {
        &self.masked
    }

    /// Its steps.
    #[inline]
    pub fn actions(&self) -> &[Action] {
        &self.put.actions
    }

    /// Its counters.
    #[inline]
    pub fn tallies(&self) -> &Arc<Tallies> {
        &self.tallies
    }

    /// Whether caches may still use it.
    #[inline]
    pub fn is_alive(&self) -> bool {
        !self.dead.load(Relaxed)
    }

    /// Says that caches may not use it any more.
    pub fn kill(&self) {
        self.dead.store(true, Relaxed);
    }
}
