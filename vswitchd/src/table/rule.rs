//! One OpenFlow flow.

use clock::Time;
use openflow::{Action, Cookie, FlowFlags};
use packet::{CompactMatch, Match};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Names a rule for as long as the switch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u64);

/// What a rule has carried. Shared by all versions of the rule.
#[derive(Debug, Default)]
pub struct RuleStats {
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Nanoseconds plus one of the last packet; 0 = none yet.
    used: AtomicU64,
}

impl RuleStats {
    /// Counts packets, the last of which came at `used`.
    pub fn add(&self, packets: u64, bytes: u64, used: Option<Time>) {
        self.packets.fetch_add(packets, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        if let Some(used) = used {
            self.used.fetch_max(used.as_nanos() + 1, Relaxed);
        }
    }

    /// Packets.
    pub fn packets(&self) -> u64 {
        self.packets.load(Relaxed)
    }

    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// When the last packet came.
    pub fn used(&self) -> Option<Time> {
        self.used.load(Relaxed).checked_sub(1).map(Time::from_nanos)
    }

    /// Counts from zero again, but remembers when the last packet came.
    pub fn reset(&self) {
        self.packets.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }
}

/// When a rule goes by itself, in seconds; 0 = never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// After so long without a packet.
    pub idle: u16,
    /// After so long in any case, counted from its last change.
    pub hard: u16,
}

/// One OpenFlow flow. A change makes a new one that shares identity and counters.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which.
    pub id: RuleId,
    /// Table number.
    pub table: u8,
    /// 0 to 65535; the highest wins. 65536 and above are the switch's own.
    pub priority: u32,
    /// What it wants.
    pub matching: CompactMatch,
    /// The controller's mark.
    pub cookie: Cookie,
    /// When it goes by itself.
    pub timeouts: Timeouts,
    /// Flags of the flow-mod that made it.
    pub flags: FlowFlags,
    /// For eviction.
    pub importance: u16,
    /// Actions and instructions.
    pub actions: Arc<[Action]>,
    /// When it came.
    pub created: Time,
    /// When it last changed.
    pub modified: Time,
    /// What it has carried.
    pub stats: Arc<RuleStats>,
}

impl Rule {
    /// The match, unpacked.
    pub fn unpacked(&self) -> Match {
        self.matching.unpack()
    }

    /// Whether the switch made it for itself; nobody may change or list such a rule by default.
    pub fn is_hidden(&self) -> bool {
        self.priority > 0xffff
    }

    /// When it expires, and whether because of idling, if nothing more comes.
    pub fn expires(&self) -> Option<(Time, bool)> {
        let seconds = |n: u16| std::time::Duration::from_secs(n.into());
        let hard =
            (self.timeouts.hard != 0).then(|| (self.modified + seconds(self.timeouts.hard), false));
        let last = self
            .stats
            .used()
            .map_or(self.modified, |u| u.max(self.modified));
        let idle = (self.timeouts.idle != 0).then(|| (last + seconds(self.timeouts.idle), true));
        [hard, idle].into_iter().flatten().min_by_key(|e| e.0)
    }
}
