//! Flow-mods: OpenFlow 1.0 §4.6, 1.3.5 §6.4, with Nicira's cookies (nicira-ext.h's facts).

use super::{Notice, Ofproto, TABLES};
use crate::backer::Backer;
use crate::table::{FlowTable, Rule, RuleId, RuleStats, Timeouts};
use clock::Time;
use openflow::{
    Action, Cookie, FlowCommand, FlowFlags, FlowMod, FlowRemoved, FlowRemovedReason, GROUP_ANY,
    OfError, OfPort, TableId,
};
use packet::CompactMatch;
use std::sync::Arc;

/// Whether actions send to a port, for the filter of deletions and statistics.
pub(super) fn outputs_to(actions: &[Action], port: OfPort) -> bool {
    port == OfPort::NONE
        || actions.iter().any(|a| match a {
            Action::Output { port: p, .. }
            | Action::OutputTrunc { port: p, .. }
            | Action::Enqueue { port: p, .. } => *p == port,
            Action::Controller(_) => port == OfPort::CONTROLLER,
            Action::WriteActions(inner) | Action::Clone(inner) => outputs_to(inner, port),
            _ => false,
        })
}

/// Whether actions use a group.
pub(super) fn uses_group(actions: &[Action], group: u32) -> bool {
    group == GROUP_ANY
        || actions.iter().any(|a| match a {
            Action::Group(g) => *g == group,
            Action::WriteActions(inner) | Action::Clone(inner) => uses_group(inner, group),
            _ => false,
        })
}

/// Whether the switch can do what actions ask for. There are no groups and meters yet, so none that
/// they name exists; what else the switch lacks is as good as unknown.
pub fn check_possible(actions: &[Action]) -> Result<(), OfError> {
    actions.iter().try_for_each(|a| match a {
        Action::Meter(_) => Err(OfError::OFPMMFC_INVALID_METER),
        Action::Group(_) => Err(OfError::OFPBAC_BAD_OUT_GROUP),
        Action::WriteActions(inner) | Action::Clone(inner) => check_possible(inner),
        // Of the datapath, which the original asks for them by name.
        Action::Ct(_) | Action::CtClear | Action::CheckPktLarger { .. } | Action::Sample(_) => {
            Err(OfError::OFPBAC_BAD_TYPE)
        }
        Action::Learn(_)
        | Action::Conjunction { .. }
        | Action::Multipath(_)
        | Action::Bundle(_)
        | Action::FinTimeout { .. }
        | Action::Nat(_)
        | Action::Encap { .. }
        | Action::Decap { .. }
        | Action::DecNshTtl => Err(OfError::OFPBAC_BAD_VENDOR_TYPE),
        _ => Ok(()),
    })
}

pub(super) fn cookie_fits(rule: &Rule, cookie: Cookie, mask: Cookie) -> bool {
    (rule.cookie.0 ^ cookie.0) & mask.0 == 0
}

impl Ofproto {
    /// Carries a flow-mod out, or changes nothing.
    pub fn flow_mod(
        &mut self,
        backer: &mut Backer,
        fm: &FlowMod,
        now: Time,
    ) -> Result<(), OfError> {
        match fm.command {
            FlowCommand::Add => {
                check_possible(&fm.actions)?;
                self.add(backer, fm, now)
            }
            FlowCommand::Modify | FlowCommand::ModifyStrict => {
                check_possible(&fm.actions)?;
                self.modify(backer, fm, now)
            }
            FlowCommand::Delete | FlowCommand::DeleteStrict => {
                self.delete(backer, fm, now);
                Ok(())
            }
        }
    }

    fn add(&mut self, backer: &mut Backer, fm: &FlowMod, now: Time) -> Result<(), OfError> {
        let table = match fm.table {
            TableId::ALL => 0,
            TableId(t) if t < TABLES => t,
            _ => return Err(OfError::OFPBRC_BAD_TABLE_ID),
        };
        if fm.flags.has(FlowFlags::CHECK_OVERLAP) {
            let bridge = backer.world.bridge(self.bridge);
            let rules = bridge.and_then(|b| b.tables.get(&table));
            let overlap = rules.is_some_and(|t| {
                t.iter().any(|r| {
                    r.priority == u32::from(fm.priority)
                        && r.unpacked() != fm.matching
                        && r.unpacked().overlaps(&fm.matching)
                })
            });
            if overlap {
                return Err(OfError::OFPFMFC_OVERLAP);
            }
        }
        let matching = CompactMatch::pack(&fm.matching);
        let rules = backer.world.bridge(self.bridge);
        let rules = rules.and_then(|b| b.tables.get(&table));
        let replaces = rules.is_some_and(|t| t.get(&matching, fm.priority.into()).is_some());
        if !replaces && self.is_full(table, rules.map_or(0, FlowTable::len)) {
            return Err(OfError::OFPFMFC_TABLE_FULL);
        }
        self.next_rule += 1;
        let id = RuleId(self.next_rule);
        let Some(rules) = self.table(backer, table) else {
            return Ok(());
        };
        let old = rules.get(&matching, fm.priority.into()).cloned();
        let stats = match &old {
            Some(old) if !fm.flags.has(FlowFlags::RESET_COUNTS) => {
                let kept = RuleStats::default();
                kept.add(old.stats.packets(), old.stats.bytes(), None);
                Arc::new(kept)
            }
            _ => Arc::default(),
        };
        let cookie = if fm.new_cookie.0 == u64::MAX {
            Cookie(0)
        } else {
            fm.new_cookie
        };
        let rule = Arc::new(Rule {
            id,
            table,
            priority: fm.priority.into(),
            matching,
            cookie,
            timeouts: Timeouts {
                idle: fm.idle_timeout,
                hard: fm.hard_timeout,
            },
            flags: fm.flags,
            importance: fm.importance,
            actions: fm.actions.as_slice().into(),
            created: now,
            modified: now,
            stats,
        });
        rules.insert(rule.clone());
        if let Some(old) = old {
            self.timed.remove(&old.id);
        }
        self.time(rule);
        backer.touch();
        Ok(())
    }

    fn time(&mut self, rule: Arc<Rule>) {
        if rule.timeouts != Timeouts::default() {
            self.timed.insert(rule.id, rule);
        } else {
            self.timed.remove(&rule.id);
        }
    }

    /// The flows that a change or deletion is about.
    fn targets(&self, backer: &Backer, fm: &FlowMod) -> Vec<Arc<Rule>> {
        let strict = matches!(
            fm.command,
            FlowCommand::ModifyStrict | FlowCommand::DeleteStrict
        );
        let mut rules = if strict {
            let matching = CompactMatch::pack(&fm.matching);
            let bridge = backer.world.bridge(self.bridge);
            let tables = bridge.into_iter().flat_map(|b| b.tables.iter());
            let tables = tables.filter(|(t, _)| fm.table == TableId::ALL || **t == fm.table.0);
            tables
                .filter_map(|(_, t)| t.get(&matching, fm.priority.into()).cloned())
                .collect()
        } else {
            self.select(backer, fm.table.0, &fm.matching)
        };
        rules.retain(|r| {
            cookie_fits(r, fm.cookie, fm.cookie_mask)
                && outputs_to(&r.actions, fm.out_port)
                && uses_group(&r.actions, fm.out_group)
        });
        rules
    }

    fn modify(&mut self, backer: &mut Backer, fm: &FlowMod, now: Time) -> Result<(), OfError> {
        let rules = self.targets(backer, fm);
        if rules.is_empty() {
            // OpenFlow 1.0 adds what it does not find, unless flows were chosen by cookie.
            if fm.cookie_mask.0 == 0 && fm.new_cookie.0 != u64::MAX {
                return self.add(backer, fm, now);
            }
            return Ok(());
        }
        for old in rules {
            let mut new = Rule::clone(&old);
            new.actions = fm.actions.as_slice().into();
            new.modified = now;
            if fm.modify_cookie && fm.new_cookie.0 != u64::MAX {
                new.cookie = fm.new_cookie;
            }
            if fm.flags.has(FlowFlags::RESET_COUNTS) {
                new.stats.reset();
            }
            let new = Arc::new(new);
            if let Some(rules) = self.table(backer, old.table) {
                rules.insert(new.clone());
            }
            self.time(new);
        }
        backer.touch();
        Ok(())
    }

    fn delete(&mut self, backer: &mut Backer, fm: &FlowMod, now: Time) {
        let rules = self.targets(backer, fm);
        let tell = rules.iter().any(|r| r.flags.has(FlowFlags::SEND_FLOW_REM));
        if tell {
            backer.push_all();
        }
        for rule in rules {
            self.remove_rule(backer, &rule, FlowRemovedReason::DELETE, now);
        }
    }

    /// Takes a rule out, and tells controllers if it asked for that.
    pub(super) fn remove_rule(
        &mut self,
        backer: &mut Backer,
        rule: &Rule,
        reason: FlowRemovedReason,
        now: Time,
    ) {
        let Some(rules) = self.table(backer, rule.table) else {
            return;
        };
        rules.remove(&rule.matching, rule.priority);
        self.timed.remove(&rule.id);
        backer.touch();
        if rule.flags.has(FlowFlags::SEND_FLOW_REM) {
            self.notices.push(Notice::FlowRemoved(Box::new(FlowRemoved {
                matching: rule.unpacked(),
                cookie: rule.cookie,
                priority: rule.priority as u16,
                reason,
                table: TableId(rule.table),
                duration: super::stats::duration(now - rule.created),
                idle_timeout: rule.timeouts.idle,
                hard_timeout: rule.timeouts.hard,
                packets: Some(rule.stats.packets()),
                bytes: Some(rule.stats.bytes()),
                nicira: true,
            })));
        }
    }
}
