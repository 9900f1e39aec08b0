//! The rule table: rules by stage and by the shape of their match.
//!
//! All rules of a stage that look at the same bits form a group, a map from those bits' values to
//! the rules. A packet is looked for in each group of its stage; rules never overlap with
//! different actions, so the first found is as good as any.

use super::headers::Headers;
use hal::{Action, Counter, RecircId, ResumeId, Rule, RuleHandle};
use packet::FieldId;
use std::collections::HashMap;
use std::sync::Arc;

/// The bits that a rule looks at, in the order of the field table.
type Shape = Vec<(FieldId, u128)>;

/// A rule that is held.
struct Held {
    stage: RecircId,
    shape: Shape,
    values: Vec<u128>,
    actions: Arc<[Action]>,
    resume: Option<ResumeId>,
    counter: Counter,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    held: Option<Held>,
}

struct Group {
    shape: Shape,
    rules: HashMap<Vec<u128>, Vec<u32>>,
}

/// What is done with a packet that a rule matched.
pub struct Hit {
    /// Steps.
    pub actions: Arc<[Action]>,
    /// What a miss in the next stage carries.
    pub resume: Option<ResumeId>,
}

/// Rules with their counters.
#[derive(Default)]
pub struct RuleTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
    stages: HashMap<RecircId, Vec<Group>>,
    len: usize,
    scratch: Vec<u128>,
}

impl RuleTable {
    /// Rules held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Holds a rule.
    pub fn insert(&mut self, rule: &Rule) -> RuleHandle {
        let mut wanted = rule.matches.clone();
        wanted.sort_unstable();
        let held = Held {
            stage: rule.recirc,
            shape: wanted.iter().map(|m| (m.field, m.mask)).collect(),
            values: wanted.iter().map(|m| m.value & m.mask).collect(),
            actions: rule.actions.as_slice().into(),
            resume: rule.resume,
            counter: Counter::default(),
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // The table is bounded far below 2^32 by the device's capacity.
            (self.slots.len() - 1) as u32
        });
        let groups = self.stages.entry(held.stage).or_default();
        let group = match groups.iter_mut().position(|g| g.shape == held.shape) {
            Some(at) => &mut groups[at],
            None => {
                groups.push(Group {
                    shape: held.shape.clone(),
                    rules: HashMap::new(),
                });
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        // The newest of equal rules goes first: that is what makes a replacement seamless.
        group
            .rules
            .entry(held.values.clone())
            .or_default()
            .insert(0, index);
        let slot = &mut self.slots[index as usize];
        slot.held = Some(held);
        self.len += 1;
        RuleHandle {
            index,
            generation: slot.generation,
        }
    }

    /// The steps of a rule, if the handle's rule is still held.
    pub fn actions(&self, handle: RuleHandle) -> Option<Arc<[Action]>> {
        let slot = self.slots.get(handle.index as usize)?;
        let held = slot.held.as_ref()?;
        (slot.generation == handle.generation).then(|| held.actions.clone())
    }

    /// Lets a rule go and answers its last reading; none if the handle's rule is gone.
    pub fn remove(&mut self, handle: RuleHandle) -> Option<Counter> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        if slot.generation != handle.generation {
            return None;
        }
        let held = slot.held.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.index);
        self.len -= 1;
        if let Some(groups) = self.stages.get_mut(&held.stage) {
            if let Some(at) = groups.iter().position(|g| g.shape == held.shape) {
                let rules = &mut groups[at].rules;
                if let Some(same) = rules.get_mut(&held.values) {
                    same.retain(|i| *i != handle.index);
                    if same.is_empty() {
                        rules.remove(&held.values);
                    }
                }
                if rules.is_empty() {
                    groups.remove(at);
                }
            }
            if groups.is_empty() {
                self.stages.remove(&held.stage);
            }
        }
        Some(held.counter)
    }

    /// Lets all rules go. Their handles stay stale for ever.
    pub fn clear(&mut self) {
        self.stages.clear();
        self.len = 0;
        self.free.clear();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.held.take().is_some() {
                slot.generation = slot.generation.wrapping_add(1);
            }
            self.free.push(index as u32);
        }
        self.free.reverse();
    }

    /// Finds the rule for a packet and counts the packet in it.
    pub fn lookup(&mut self, stage: RecircId, h: &Headers, packet: &Counter) -> Option<Hit> {
        let scratch = &mut self.scratch;
        let groups = self.stages.get(&stage)?;
        let index = groups.iter().find_map(|group| {
            scratch.clear();
            scratch.extend(group.shape.iter().map(|(field, mask)| h.get(*field) & mask));
            group.rules.get(scratch.as_slice())?.first()
        })?;
        let held = self.slots.get_mut(*index as usize)?.held.as_mut()?;
        held.counter.packets += packet.packets;
        held.counter.bytes += packet.bytes;
        held.counter.used = held.counter.used.max(packet.used);
        Some(Hit {
            actions: held.actions.clone(),
            resume: held.resume,
        })
    }

    /// All rules' counters, by slot.
    pub fn counters(&self) -> impl Iterator<Item = (RuleHandle, Counter)> + '_ {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let handle = RuleHandle {
                index: index as u32,
                generation: slot.generation,
            };
            slot.held.as_ref().map(|held| (handle, held.counter))
        })
    }
}
