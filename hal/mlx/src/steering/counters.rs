//! Counters: taken in bulk, read in bulk.
//!
//! A counter is used by one rule after the other and never set back, so each use begins at some
//! reading, and what a rule has carried is what has been added since.

use clock::Time;
use hal::Counter;

/// Number of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterId(pub u32);

/// What a counter says: packets and bytes since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A counter as its rule has it.
#[derive(Clone, Copy, Debug)]
pub struct InUse {
    /// Which.
    pub id: CounterId,
    /// Its rule is of the first stage, where each packet is counted once.
    pub is_first: bool,
    begun_at: Raw,
    last: Counter,
}

impl InUse {
    /// What the rule has carried, as of the last reading.
    pub fn last(&self) -> Counter {
        self.last
    }

    /// Takes a reading; what the rule has carried by now. A counter that seems to have gone back
    /// has not: the rule keeps what it had.
    pub fn read(&mut self, raw: Raw, now: Time) -> Counter {
        let packets = raw.packets.saturating_sub(self.begun_at.packets);
        let bytes = raw.bytes.saturating_sub(self.begun_at.bytes);
        if packets > self.last.packets {
            self.last.used = Some(now);
        }
        self.last.packets = self.last.packets.max(packets);
        self.last.bytes = self.last.bytes.max(bytes);
        self.last
    }
}

/// Counters that were taken together: consecutive numbers.
#[derive(Clone, Copy, Debug)]
pub struct Bulk {
    /// The first.
    pub first: CounterId,
    /// How many.
    pub len: u32,
}

/// All counters of a device.
#[derive(Default)]
pub struct Counters {
    bulks: Vec<Bulk>,
    /// Those that have been used; the last to come back is the first to go.
    free: Vec<(CounterId, Raw)>,
    /// How many have ever been taken: so many from the beginning, the others are fresh.
    taken: u32,
}

impl Counters {
    /// Counters that the device has given.
    pub fn add(&mut self, bulk: Bulk) {
        self.bulks.push(bulk);
    }

    /// Ranges of numbers that hold all counters that have ever been taken, each of at most
    /// `at_once`: the first and how many.
    pub fn used_ranges(&self, at_once: u32) -> Vec<(CounterId, u32)> {
        let mut left = self.taken;
        let mut ranges = Vec::new();
        for bulk in &self.bulks {
            let used = bulk.len.min(left);
            left -= used;
            let mut done = 0;
            while done < used {
                // The device reads them in fours.
                let len = (used - done)
                    .next_multiple_of(4)
                    .min(at_once)
                    .min(bulk.len - done);
                ranges.push((CounterId(bulk.first.0 + done), len));
                done += len;
            }
        }
        ranges
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.bulks.iter().map(|bulk| bulk.len as usize).sum()
    }

    /// Takes one that counts from here on, for a rule of the first stage or of another.
    pub fn take(&mut self, is_first: bool) -> Option<InUse> {
        let (id, begun_at) = match self.free.pop() {
            Some(used) => used,
            None => (self.fresh()?, Raw::default()),
        };
        Some(InUse {
            id,
            is_first,
            begun_at,
            last: Counter::default(),
        })
    }

    /// The next that has never been taken.
    fn fresh(&mut self) -> Option<CounterId> {
        let mut before = self.taken;
        for bulk in &self.bulks {
            if before < bulk.len {
                self.taken += 1;
                return Some(CounterId(bulk.first.0 + before));
            }
            before -= bulk.len;
        }
        None
    }

    /// Gives one back that counts no more; `at` is its last reading.
    pub fn give_back(&mut self, counter: InUse, at: Raw) {
        self.free.push((counter.id, at));
    }

    /// Gives one back that nobody has counted with.
    pub fn give_back_unused(&mut self, counter: InUse) {
        let at = counter.begun_at;
        self.give_back(counter, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_taken_is_read_in_few_ranges() {
        let mut counters = Counters::default();
        for first in [0, 1000] {
            counters.add(Bulk {
                first: CounterId(first),
                len: 128,
            });
        }
        assert_eq!(counters.used_ranges(64), []);
        let taken: Vec<u32> = (0..130)
            .map(|_| counters.take(true).unwrap().id.0)
            .collect();
        assert_eq!((taken[127], taken[129]), (127, 1001));
        let ranges = [(0, 64), (64, 64), (1000, 4)].map(|(first, len)| (CounterId(first), len));
        assert_eq!(counters.used_ranges(64), ranges);
    }

    #[test]
    fn a_counter_begins_where_its_last_use_ended() {
        let mut counters = Counters::default();
        counters.add(Bulk {
            first: CounterId(8),
            len: 2,
        });
        let raw = |packets, bytes| Raw { packets, bytes };
        let mut a = counters.take(true).unwrap();
        assert_eq!(a.id, CounterId(8));
        let (t1, t2) = (Time::from_nanos(1), Time::from_nanos(2));
        assert_eq!(a.read(raw(3, 180), t1).used, Some(t1));
        // Nothing came since, and a reading from the past changes nothing.
        assert_eq!(a.read(raw(3, 180), t2).used, Some(t1));
        assert_eq!(a.read(raw(1, 60), t2).packets, 3);
        counters.give_back(a, raw(5, 300));
        let mut b = counters.take(true).unwrap();
        assert_eq!(b.id, CounterId(8));
        assert_eq!(b.read(raw(6, 400), t2).bytes, 100);
        assert!(counters.take(true).is_some() && counters.take(true).is_none());
        assert_eq!(counters.count(), 2);
        assert_eq!(counters.used_ranges(64), [(CounterId(8), 2)]);
    }
}
