//! What the numbers stand for that come back with missed packets.
//!
//! A device that recirculates a packet and then finds no rule hands it over with a [`ResumeId`].
//! The number stands for the state in which software goes on: the recirculation id, and the
//! metadata that the rules so far have left. States are interned by content, so that all rules
//! that recirculate alike share a number: devices have few bits for it.
//!
//! A number counts the rules that carry it. When the last is gone, packets may still be on their
//! way; so the number goes on standing for the same until [`QUARANTINE`] is over, and only then
//! may it be given to another state. Poll threads read a snapshot and take no lock; writing copies
//! one chunk of it.

use arc_swap::ArcSwap;
use clock::Time;
use hal::{Action, RecircId, ResumeId, ResumeTable};
use packet::{FieldId, Metadata};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long a missed packet may take at the most from the device to the end of its batch.
const QUARANTINE: Duration = Duration::from_secs(2);
/// Numbers a chunk.
const CHUNK: usize = 64;
/// No more numbers than this, whatever a device could carry.
const MAX_BITS: u32 = 20;

type Chunk = [Option<Metadata>; CHUNK];

/// The snapshot that poll threads read.
#[derive(Default)]
struct Snapshot(ArcSwap<Vec<Arc<Chunk>>>);

impl ResumeTable for Snapshot {
    fn resolve(&self, id: ResumeId) -> Option<Metadata> {
        let at = id.0 as usize;
        self.0.load().get(at / CHUNK)?[at % CHUNK]
    }
}

/// A state as it is compared.
type Content = (u32, [u32; 5], u16, u128);

fn content(m: &Metadata) -> Content {
    let words = [m.dp_hash, m.skb_priority, m.pkt_mark, m.ct_state, m.ct_mark];
    (m.recirc_id, words, m.ct_zone, m.ct_label)
}

struct Entry {
    content: Content,
    rules: usize,
    /// When the last rule went.
    idle_since: Time,
}

/// Gives the numbers out.
#[derive(Default)]
pub(crate) struct ResumeIds {
    shared: Arc<Snapshot>,
    ids: HashMap<Content, ResumeId>,
    entries: BTreeMap<ResumeId, Entry>,
    /// Numbers without rules, in the order in which they became so; some may have rules again.
    idle: VecDeque<(Time, ResumeId)>,
    /// Numbers that may be given out again.
    free: std::collections::BTreeSet<ResumeId>,
    /// The lowest number never given out, less one.
    last: u32,
}

impl ResumeIds {
    /// What poll threads read.
    pub fn table(&self) -> Arc<dyn ResumeTable> {
        self.shared.clone()
    }

    /// How many numbers stand for something that a rule carries.
    pub fn in_use(&self) -> usize {
        self.entries.values().filter(|e| e.rules != 0).count()
    }

    /// A number for `state` that fits `bits`, for one more rule; none if they are all taken.
    pub fn take(&mut self, state: &Metadata, bits: u32, now: Time) -> Option<ResumeId> {
        let limit = (1u32 << bits.min(MAX_BITS)) - 1;
        let content = content(state);
        if let Some(&id) = self.ids.get(&content) {
            if id.0 > limit {
                return None;
            }
            self.entries.get_mut(&id)?.rules += 1;
            return Some(id);
        }
        self.expire(now);
        let id = match self.free.first() {
            Some(&id) if id.0 <= limit => {
                self.free.pop_first();
                id
            }
            _ if self.last < limit => {
                self.last += 1;
                ResumeId(self.last)
            }
            _ => return None,
        };
        self.ids.insert(content, id);
        let entry = Entry {
            content,
            rules: 1,
            idle_since: now,
        };
        self.entries.insert(id, entry);
        self.publish(id, *state);
        Some(id)
    }

    /// A rule with this number is gone.
    pub fn release(&mut self, id: ResumeId, now: Time) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.rules = entry.rules.saturating_sub(1);
        if entry.rules == 0 {
            entry.idle_since = now;
            self.idle.push_back((now, id));
        }
    }

    fn expire(&mut self, now: Time) {
        while let Some(&(since, id)) = self.idle.front() {
            if now - since < QUARANTINE {
                break;
            }
            self.idle.pop_front();
            let idle = |e: &Entry| e.rules == 0 && e.idle_since == since;
            if self.entries.get(&id).is_some_and(idle)
                && let Some(entry) = self.entries.remove(&id)
            {
                self.ids.remove(&entry.content);
                self.free.insert(id);
            }
        }
    }

    fn publish(&self, id: ResumeId, state: Metadata) {
        let at = id.0 as usize;
        let mut chunks = Vec::clone(&self.shared.0.load());
        while chunks.len() <= at / CHUNK {
            chunks.push(Arc::new(std::array::from_fn(|_| None)));
        }
        Arc::make_mut(&mut chunks[at / CHUNK])[at % CHUNK] = Some(state);
        self.shared.0.store(Arc::new(chunks));
    }
}

/// The state that the one recirculation of a list of steps leaves, for packets that came with
/// `entry`. None if there is none, or several that differ, or one whose state is not known
/// beforehand: such a list cannot be resumed.
pub(crate) fn exit_state(actions: &[Action], entry: &Metadata) -> Option<Metadata> {
    let mut exits = Vec::new();
    let known = walk(actions, *entry, &mut exits);
    let first = *exits.first()?;
    let same = exits.iter().all(|e| content(e) == content(&first));
    (known && same).then_some(first)
}

/// Whether two states are the same to a resumed packet.
pub(crate) fn same_state(a: &Metadata, b: &Metadata) -> bool {
    content(a) == content(b)
}

fn walk(actions: &[Action], mut state: Metadata, exits: &mut Vec<Metadata>) -> bool {
    let mut known = true;
    let mut cut = false;
    for action in actions {
        match action {
            Action::Set { field, value, mask } => {
                let word = match field {
                    FieldId::PktMark => &mut state.pkt_mark,
                    FieldId::SkbPriority => &mut state.skb_priority,
                    FieldId::DpHash => &mut state.dp_hash,
                    _ => continue,
                };
                *word = *word & !(*mask as u32) | (*value & *mask) as u32;
            }
            // Only the device knows the outcome.
            Action::Hash { .. } => known = false,
            Action::Truncate(_) => cut = true,
            Action::Output(_) | Action::Userspace(_) => cut = false,
            Action::Recirc(id) => {
                if !known || cut {
                    return false;
                }
                state.in_port = 0;
                state.recirc_id = id.0;
                exits.push(state);
            }
            Action::Clone(inner) | Action::Sample { actions: inner, .. } => {
                let mut inside = Vec::new();
                let inner_known = walk(inner, state, &mut inside);
                if !inside.is_empty() && !known || !inner_known && recirculates(inner) {
                    return false;
                }
                exits.append(&mut inside);
            }
            Action::PushVlan { .. }
            | Action::PopVlan
            | Action::PushMpls { .. }
            | Action::PopMpls { .. } => {}
        }
    }
    true
}

fn recirculates(actions: &[Action]) -> bool {
    let mut out = Vec::new();
    recircs(actions, &mut out);
    !out.is_empty()
}

/// Appends the recirculation ids to which steps send packets.
pub(crate) fn recircs(actions: &[Action], out: &mut Vec<RecircId>) {
    for action in actions {
        match action {
            Action::Recirc(id) if !out.contains(id) => out.push(*id),
            Action::Clone(inner) | Action::Sample { actions: inner, .. } => recircs(inner, out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(recirc_id: u32) -> Metadata {
        Metadata {
            recirc_id,
            ..Metadata::default()
        }
    }

    #[test]
    fn equal_states_share_a_number_and_a_number_rests_before_it_is_given_again() {
        let mut ids = ResumeIds::default();
        let table = ids.table();
        let t = |s: u64| Time::from_millis(s * 1000);
        let a = ids.take(&state(7), 1, t(0)).expect("one number fits a bit");
        assert_eq!(ids.take(&state(7), 1, t(0)), Some(a));
        assert_eq!(ids.take(&state(8), 1, t(0)), None);
        ids.release(a, t(1));
        ids.release(a, t(1));
        assert_eq!(
            ids.take(&state(8), 1, t(2)),
            None,
            "packets may be on their way"
        );
        assert_eq!(table.resolve(a).map(|m| m.recirc_id), Some(7));
        assert_eq!(ids.take(&state(8), 1, t(4)), Some(a));
        assert_eq!(table.resolve(a).map(|m| m.recirc_id), Some(8));
        assert!(table.resolve(ResumeId(u32::MAX)).is_none());
    }

    #[test]
    fn a_number_that_is_wanted_again_ends_its_rest() {
        let mut ids = ResumeIds::default();
        let t = |s: u64| Time::from_millis(s * 1000);
        let a = ids.take(&state(7), 1, t(0)).expect("free");
        ids.release(a, t(0));
        assert_eq!(ids.take(&state(7), 1, t(1)), Some(a));
        assert_eq!(ids.take(&state(8), 1, t(9)), None);
    }

    #[test]
    fn the_state_at_a_recirculation_is_what_the_steps_left() {
        let mark = Action::Set {
            field: FieldId::PktMark,
            value: 0x50,
            mask: 0xf0,
        };
        let entry = Metadata {
            pkt_mark: 0x0a,
            ..Metadata::default()
        };
        let exit = exit_state(&[mark, Action::Recirc(RecircId(3))], &entry).expect("known");
        assert_eq!((exit.recirc_id, exit.pkt_mark), (3, 0x5a));
        let hash = Action::Hash {
            algorithm: hal::HashAlgorithm::L4,
            basis: 0,
        };
        assert!(exit_state(&[hash, Action::Recirc(RecircId(3))], &entry).is_none());
        let two = [
            Action::Clone(vec![Action::Recirc(RecircId(1))]),
            Action::Recirc(RecircId(2)),
        ];
        assert!(exit_state(&two, &entry).is_none());
    }
}
