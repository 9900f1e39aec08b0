//! The classifier of one OpenFlow table.
//!
//! *Tuple space search with priorities.* Rules with the same mask live in one subtable, a hash
//! map over the masked words. Subtables are visited by their highest priority; the visit ends as
//! soon as what was found cannot be beaten.
//!
//! *What was looked at.* A megaflow must not be wider than the lookup that made it: every bit
//! that could have changed the answer counts. Visiting a subtable looks at its whole mask, but a
//! miss can often be proved with less: by an address's [prefix](super::prefix), by the first
//! [stages](super::subtable) of the mask, by a few bits of the ports.
//!
//! *Snapshots.* Everything is kept in persistent maps behind `Arc`s. A clone shares all of it,
//! and a change copies the path to the change if someone holds a clone, and nothing otherwise.

use super::prefix::{DEFAULT_PREFIX_FIELDS, MAX_PREFIX_FIELDS, PrefixIndex, Probes};
use super::rule::Rule;
use super::subtable::{Subtable, split};
use packet::{CompactMatch, FieldId, FlowState, Match, StateMask};
use std::sync::Arc;

/// The rules of one OpenFlow table. Cloning it makes a snapshot.
#[derive(Clone)]
pub struct FlowTable {
    /// By highest priority, descending.
    subtables: Vec<Arc<Subtable>>,
    /// By field, in the configured order.
    prefixes: Vec<PrefixIndex>,
    len: usize,
    version: u64,
}

impl Default for FlowTable {
    fn default() -> FlowTable {
        FlowTable {
            subtables: Vec::new(),
            prefixes: DEFAULT_PREFIX_FIELDS.map(PrefixIndex::new).into(),
            len: 0,
            version: 0,
        }
    }
}

impl FlowTable {
    /// Keeps prefixes of these fields, and of no others. More than a table has room for do not
    /// count.
    pub fn set_prefix_fields(&mut self, fields: &[FieldId]) {
        let fields = &fields[..fields.len().min(MAX_PREFIX_FIELDS)];
        if self
            .prefixes
            .iter()
            .map(|p| p.field)
            .eq(fields.iter().copied())
        {
            return;
        }
        self.prefixes = fields.iter().copied().map(PrefixIndex::new).collect();
        for subtable in &mut self.subtables {
            Arc::make_mut(subtable).measure(&self.prefixes);
        }
        let subtables = self.subtables.clone();
        for subtable in &subtables {
            subtable
                .rules
                .keys()
                .for_each(|key| self.key_came(subtable, key));
        }
        self.version += 1;
    }

    /// A key of a subtable that had no rule before has one now.
    fn key_came(&mut self, subtable: &Subtable, key: &[u64]) {
        self.each_prefix(subtable, key, PrefixIndex::insert);
    }

    /// A key of a subtable has no rule any more.
    fn key_went(&mut self, subtable: &Subtable, key: &[u64]) {
        self.each_prefix(subtable, key, PrefixIndex::remove);
    }

    fn each_prefix(
        &mut self,
        subtable: &Subtable,
        key: &[u64],
        change: fn(&mut PrefixIndex, &FlowState, u8),
    ) {
        if subtable.prefix_lengths == [0; MAX_PREFIX_FIELDS] {
            return;
        }
        let state = subtable.state_of(key);
        let each = self.prefixes.iter_mut().zip(&subtable.prefix_lengths);
        for (index, length) in each.filter(|(_, length)| **length != 0) {
            change(index, &state, *length);
        }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Grows with every change; two snapshots with the same version are equal.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn changed(&mut self) {
        self.version += 1;
        self.subtables.retain(|s| !s.rules.is_empty());
        self.subtables
            .sort_by_key(|s| std::cmp::Reverse(s.max_priority()));
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.subtables.clear();
        for index in &mut self.prefixes {
            *index = PrefixIndex::new(index.field);
        }
        self.len = 0;
        self.changed();
    }

    /// Adds a rule. One with the same match and priority is replaced and returned.
    pub fn insert(&mut self, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let (mask, key) = split(&rule.matching);
        let at = match self.subtables.iter().position(|s| *s.mask == *mask) {
            Some(at) => at,
            None => {
                let subtable = Subtable::new(mask, &self.prefixes);
                self.subtables.push(Arc::new(subtable));
                self.subtables.len() - 1
            }
        };
        let key: Arc<[u64]> = key.into();
        let subtable = Arc::make_mut(&mut self.subtables[at]);
        let is_new = !subtable.rules.contains_key(&key);
        let old = subtable.insert(key.clone(), rule);
        if is_new {
            let subtable = self.subtables[at].clone();
            self.key_came(&subtable, &key);
        }
        if old.is_none() {
            self.len += 1;
        }
        self.changed();
        old
    }

    /// Removes the rule with exactly this match and priority.
    pub fn remove(&mut self, matching: &CompactMatch, priority: u32) -> Option<Arc<Rule>> {
        let (mask, key) = split(matching);
        let at = self.subtables.iter().position(|s| *s.mask == *mask)?;
        let key: Arc<[u64]> = key.into();
        let rule = Arc::make_mut(&mut self.subtables[at]).remove(&key, priority)?;
        if !self.subtables[at].rules.contains_key(&key) {
            let subtable = self.subtables[at].clone();
            self.key_went(&subtable, &key);
        }
        self.len -= 1;
        self.changed();
        Some(rule)
    }

    /// Finds the rule with exactly this match and priority.
    pub fn get(&self, matching: &CompactMatch, priority: u32) -> Option<&Arc<Rule>> {
        let (mask, key) = split(matching);
        let subtable = self.subtables.iter().find(|s| *s.mask == *mask)?;
        let same = subtable.rules.get(key.as_slice())?;
        same.iter().find(|r| r.priority == priority)
    }

    /// All rules, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.subtables
            .iter()
            .flat_map(|s| s.rules.values().flatten())
    }

    /// The rules that are at least as narrow as `matching`.
    pub fn within<'a>(&'a self, matching: &'a Match) -> impl Iterator<Item = &'a Arc<Rule>> {
        let wanted = matching.mask();
        let covers = move |s: &&Arc<Subtable>| {
            wanted
                .words
                .iter()
                .zip(&s.state_mask().words)
                .all(|(w, m)| w & !m == 0)
        };
        let subtables = self.subtables.iter().filter(covers);
        let rules = subtables.flat_map(|s| s.rules.values().flatten());
        rules.filter(move |r| matching.is_any() || r.unpacked().is_subset_of(matching))
    }

    /// The rule that a packet meets. The bits that were looked at are added to `seen`: every
    /// packet that agrees on them meets the same rule.
    pub fn lookup(
        &self,
        state: &FlowState,
        mut seen: Option<&mut StateMask>,
    ) -> Option<&Arc<Rule>> {
        let mut probes = Probes::new(&self.prefixes);
        let mut best: Option<&Arc<Rule>> = None;
        for subtable in &self.subtables {
            if best.is_some_and(|b| b.priority >= subtable.max_priority()) {
                break;
            }
            let found = match seen.as_deref_mut() {
                Some(seen) => subtable.lookup_seen(state, &mut probes, seen),
                None => subtable.lookup(state),
            };
            if let Some(rule) = found
                && best.is_none_or(|b| rule.priority > b.priority)
            {
                best = Some(rule);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{RuleId, Timeouts};
    use openflow::{Cookie, FlowFlags};
    use packet::FieldId::{self, *};
    use proptest::prelude::*;

    fn rule(id: u64, priority: u32, matching: &Match) -> Arc<Rule> {
        Arc::new(Rule {
            id: RuleId(id),
            table: 0,
            priority,
            matching: CompactMatch::pack(matching),
            cookie: Cookie(id),
            timeouts: Timeouts::default(),
            flags: FlowFlags::default(),
            importance: 0,
            actions: Arc::new([]),
            created: clock::Time::ZERO,
            modified: clock::Time::ZERO,
            stats: Arc::default(),
        })
    }

    /// Few values in few fields, so that rules and packets meet.
    const FIELDS: [FieldId; 8] = [
        InPortOxm, Metadata, EthSrc, VlanTci, Ipv4Src, Ipv6Dst, TcpSrc, TcpDst,
    ];

    /// Where a small value stands in a field: at the end that prefixes begin at, where there are
    /// prefixes.
    fn placed(f: FieldId, value: u128) -> u128 {
        if matches!(f, Ipv4Src | Ipv6Dst | TcpSrc | TcpDst) {
            value << (f.row().bits - 3)
        } else {
            value & f.full()
        }
    }

    fn a_match() -> impl Strategy<Value = Match> {
        let masks = vec![1u128, 2, 3, 4, 6, 7, u128::MAX];
        let field = prop::option::of((0u128..5, prop::sample::select(masks)));
        prop::collection::vec(field, FIELDS.len()).prop_map(|wanted| {
            let mut m = Match::any();
            for (f, want) in FIELDS.into_iter().zip(wanted) {
                if let Some((value, mask)) = want {
                    let mask = if f == InPortOxm || mask == u128::MAX {
                        f.full()
                    } else {
                        placed(f, mask)
                    };
                    m.set_masked(f, placed(f, value), mask);
                }
            }
            m
        })
    }

    fn a_state() -> impl Strategy<Value = FlowState> {
        let values = prop::collection::vec(0u128..5, FIELDS.len());
        let eth_type = prop::sample::select(vec![0x800u128, 0x86dd, 0x806]);
        (values, eth_type).prop_map(|(values, eth_type)| {
            let mut s = FlowState::default();
            let each = FIELDS.into_iter().zip(values);
            each.for_each(|(f, v)| s.set(f, placed(f, v)));
            s.set(EthType, eth_type);
            s
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_linear_scan_finds_and_sees_enough(
            rules in prop::collection::vec((a_match(), 0u32..4), 0..30),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            packets in prop::collection::vec(a_state(), 1..20),
            prefixes in prop::sample::subsequence(DEFAULT_PREFIX_FIELDS.to_vec(), 0..=4),
            configured in any::<prop::sample::Index>(),
        ) {
            let mut table = FlowTable::default();
            let configured = configured.index(rules.len() + 1);
            let mut list: Vec<Arc<Rule>> = Vec::new();
            for (id, (m, priority)) in rules.iter().enumerate() {
                if id == configured {
                    table.set_prefix_fields(&prefixes);
                }
                let r = rule(id as u64, *priority, m);
                list.retain(|o| o.priority != *priority || o.unpacked() != *m);
                list.push(r.clone());
                table.insert(r);
            }
            let snapshot = table.clone();
            let all = list.len();
            for i in gone {
                if !list.is_empty() {
                    let r = list.remove(i.index(list.len()));
                    prop_assert!(table.remove(&r.matching, r.priority).is_some());
                }
            }
            prop_assert_eq!(table.len(), list.len());
            prop_assert_eq!(snapshot.iter().count(), all);
            for p in &packets {
                let wanted = list.iter().filter(|r| r.unpacked().matches(p));
                let wanted = wanted.map(|r| r.priority).max();
                let mut seen = StateMask::default();
                let found = table.lookup(p, Some(&mut seen));
                prop_assert_eq!(found.map(|r| r.priority), wanted);
                if let Some(r) = found {
                    prop_assert!(r.unpacked().matches(p));
                }
                // Any other packet that agrees on what was seen fares the same.
                for q in &packets {
                    let mut other = q.clone();
                    other.set(EthType, p.get(EthType));
                    for (i, w) in other.words.iter_mut().enumerate() {
                        *w = *w & !seen.words[i] | p.words[i] & seen.words[i];
                    }
                    let other = table.lookup(&other, None);
                    prop_assert_eq!(other.map(|r| r.priority), wanted);
                }
            }
        }
    }

    #[test]
    fn a_miss_in_an_early_stage_leaves_later_ones_unseen() {
        let mut table = FlowTable::default();
        let mut m = Match::any();
        m.set(InPortOxm, 1);
        m.set(TcpDst, 80);
        table.insert(rule(1, 5, &m));
        let mut p = FlowState::default();
        p.set(InPortOxm, 2);
        let mut seen = StateMask::default();
        assert!(table.lookup(&p, Some(&mut seen)).is_none());
        assert_eq!((seen.get(InPortOxm), seen.get(TcpDst)), (0xffff_ffff, 0));
    }

    /// The bits of `fields` that a lookup looks at.
    fn seen(table: &FlowTable, packet: &FlowState, fields: &[FieldId]) -> Vec<u128> {
        let mut seen = StateMask::default();
        table.lookup(packet, Some(&mut seen));
        fields.iter().map(|f| seen.get(*f)).collect()
    }

    fn packet(address: [u8; 4], port: u16) -> FlowState {
        let mut p = FlowState::default();
        p.set(EthType, 0x800);
        p.set(Ipv4Dst, u32::from_be_bytes(address).into());
        p.set(TcpDst, port.into());
        p
    }

    #[test]
    fn an_address_is_looked_at_as_far_as_the_prefixes_ask() {
        let mut table = FlowTable::default();
        for (id, length) in [(1u64, 16u32), (2, 24), (3, 32)] {
            let mut m = Match::any();
            m.set(EthType, 0x800);
            let mask = u32::MAX << (32 - length);
            m.set_masked(Ipv4Dst, 0x0a01_020f & u128::from(mask), mask.into());
            table.insert(rule(id, length, &m));
        }
        let far = packet([192, 168, 0, 1], 0);
        let near = packet([10, 1, 128, 1], 0);
        assert_eq!(seen(&table, &far, &[Ipv4Dst]), [0x8000_0000]);
        assert_eq!(seen(&table, &near, &[Ipv4Dst]), [0xffff_8000]);
        table.set_prefix_fields(&[]);
        assert_eq!(seen(&table, &far, &[Ipv4Dst]), [0xffff_ffff]);
        table.set_prefix_fields(&[Ipv4Dst]);
        assert_eq!(seen(&table, &far, &[Ipv4Dst]), [0x8000_0000]);
    }

    #[test]
    fn few_bits_of_a_port_show_that_no_rule_has_it() {
        let mut table = FlowTable::default();
        for (id, port) in [(1, 80), (2, 8080)] {
            let mut m = Match::any();
            m.set(EthType, 0x800);
            m.set(TcpDst, port);
            table.insert(rule(id, 5, &m));
        }
        let ports = [TcpSrc, TcpDst];
        assert_eq!(seen(&table, &packet([0; 4], 192), &ports), [0, 0xff80]);
        assert_eq!(seen(&table, &packet([0; 4], 80), &ports), [0, 0xffff]);
    }
}
