//! MAC learning: which address was last seen on which port, by VLAN.

use clock::Time;
use imbl::OrdMap;
use openflow::OfPort;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Addresses a bridge learns by default.
pub const DEFAULT_LIMIT: usize = 8192;
/// How long an address is remembered by default.
pub const DEFAULT_AGING: Duration = Duration::from_secs(300);

/// An address in a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacKey {
    /// VLAN, 0 to 4095.
    pub vlan: u16,
    /// Ethernet address, 48 bits.
    pub mac: u64,
}

/// Where an address was seen. When is shared by all snapshots.
#[derive(Clone, Debug)]
pub struct MacEntry {
    /// The port.
    pub port: OfPort,
    /// Set by hand: it neither ages nor moves.
    pub is_static: bool,
    used: Arc<AtomicU64>,
}

impl MacEntry {
    /// When a packet from it was last seen.
    pub fn used(&self) -> Time {
        Time::from_nanos(self.used.load(Relaxed))
    }
}

/// Learned addresses of a bridge. Cloning it makes a snapshot.
#[derive(Clone)]
pub struct MacTable {
    entries: OrdMap<MacKey, MacEntry>,
    /// Most entries.
    pub limit: usize,
    /// How long an address is remembered.
    pub aging: Duration,
    /// Addresses learned, moved, aged out and pushed out, ever.
    pub counts: MacCounts,
}

/// What has happened to a table, for `fdb/stats-show`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MacCounts {
    pub learned: u64,
    pub expired: u64,
    pub evicted: u64,
    pub moved: u64,
}

impl Default for MacTable {
    fn default() -> MacTable {
        MacTable {
            entries: OrdMap::new(),
            limit: DEFAULT_LIMIT,
            aging: DEFAULT_AGING,
            counts: MacCounts::default(),
        }
    }
}

impl MacTable {
    /// The entry of an address, whether or not it has aged.
    pub fn get(&self, key: MacKey) -> Option<&MacEntry> {
        self.entries.get(&key)
    }

    /// All entries, by VLAN and address.
    pub fn iter(&self) -> impl Iterator<Item = (&MacKey, &MacEntry)> {
        self.entries.iter()
    }

    /// How many addresses are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether seeing the address there would change more than its age.
    pub fn would_change(&self, key: MacKey, port: OfPort) -> bool {
        self.entries
            .get(&key)
            .is_none_or(|e| e.port != port && !e.is_static)
    }

    /// Notes that an address was seen. True if that is news.
    pub fn learn(&mut self, key: MacKey, port: OfPort, now: Time) -> bool {
        if let Some(e) = self.entries.get(&key) {
            e.used.fetch_max(now.as_nanos(), Relaxed);
            if e.port == port || e.is_static {
                return false;
            }
            self.counts.moved += 1;
        } else {
            self.counts.learned += 1;
            if self.entries.len() >= self.limit {
                let oldest = self.entries.iter().filter(|(_, e)| !e.is_static);
                let oldest = oldest.min_by_key(|(_, e)| e.used()).map(|(k, _)| *k);
                if let Some(oldest) = oldest {
                    self.entries.remove(&oldest);
                    self.counts.evicted += 1;
                }
            }
        }
        let used = Arc::new(AtomicU64::new(now.as_nanos()));
        self.entries.insert(
            key,
            MacEntry {
                port,
                is_static: false,
                used,
            },
        );
        true
    }

    /// Sets an address by hand.
    pub fn set_static(&mut self, key: MacKey, port: OfPort, now: Time) {
        let used = Arc::new(AtomicU64::new(now.as_nanos()));
        self.entries.insert(
            key,
            MacEntry {
                port,
                is_static: true,
                used,
            },
        );
    }

    /// Forgets one address. True if it was known.
    pub fn remove(&mut self, key: MacKey) -> bool {
        self.entries.remove(&key).is_some()
    }

    /// Notes packets of a flow that was translated earlier: keeps the address young.
    pub fn refresh(&self, key: MacKey, port: OfPort, now: Time) {
        if let Some(e) = self.entries.get(&key).filter(|e| e.port == port) {
            e.used.fetch_max(now.as_nanos(), Relaxed);
        }
    }

    /// Forgets what has aged. True if anything was.
    pub fn expire(&mut self, now: Time) -> bool {
        let aging = self.aging;
        let old = self
            .entries
            .iter()
            .filter(|(_, e)| !e.is_static && e.used() + aging <= now);
        let old: Vec<MacKey> = old.map(|(k, _)| *k).collect();
        for key in &old {
            self.entries.remove(key);
            self.counts.expired += 1;
        }
        !old.is_empty()
    }

    /// Forgets every address that was learned, or those seen on one port.
    pub fn flush(&mut self, port: Option<OfPort>) -> Vec<MacKey> {
        let gone = |e: &MacEntry| !e.is_static && port.is_none_or(|p| p == e.port);
        let gone: Vec<MacKey> = self
            .entries
            .iter()
            .filter(|(_, e)| gone(e))
            .map(|(k, _)| *k)
            .collect();
        for key in &gone {
            self.entries.remove(key);
        }
        gone
    }

    /// Forgets an address that was learned.
    pub fn forget(&mut self, key: MacKey) {
        if self.entries.get(&key).is_some_and(|e| !e.is_static) {
            self.entries.remove(&key);
        }
    }

    /// When the next address ages, if none is seen again.
    pub fn next_expiry(&self) -> Option<Time> {
        let ages = self.entries.values().filter(|e| !e.is_static);
        ages.map(|e| e.used() + self.aging).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_move_age_and_make_room() {
        let mut t = MacTable {
            limit: 2,
            ..MacTable::default()
        };
        let key = |mac| MacKey { vlan: 0, mac };
        let at = Time::from_millis;
        assert!(t.learn(key(1), OfPort(1), at(0)));
        assert!(!t.learn(key(1), OfPort(1), at(5)));
        assert!(t.learn(key(1), OfPort(2), at(6)));
        assert!(t.learn(key(2), OfPort(1), at(7)));
        assert!(t.learn(key(3), OfPort(1), at(8)));
        assert!(t.get(key(1)).is_none());
        t.refresh(key(2), OfPort(1), at(100));
        assert!(t.expire(at(8) + t.aging));
        assert_eq!(t.iter().map(|(k, _)| k.mac).collect::<Vec<_>>(), [2]);
        assert_eq!(
            (t.counts.moved, t.counts.evicted, t.counts.expired),
            (1, 1, 1)
        );
    }
}
