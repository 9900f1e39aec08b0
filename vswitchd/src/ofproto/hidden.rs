//! Flows of the switch's own, which controllers neither see nor change.

use super::Ofproto;
use crate::backer::Backer;
use crate::table::{Rule, RuleId, Timeouts};
use clock::Time;
use openflow::{Action, Cookie, FlowFlags};
use packet::{CompactMatch, Match};
use std::sync::Arc;

impl Ofproto {
    /// Has every packet that no flow of a higher priority matches in table 0 take `actions`.
    pub fn add_hidden(
        &mut self,
        backer: &mut Backer,
        priority: u32,
        actions: &[Action],
        now: Time,
    ) {
        self.next_rule += 1;
        let rule = Rule {
            id: RuleId(self.next_rule),
            table: 0,
            priority,
            matching: CompactMatch::pack(&Match::default()),
            cookie: Cookie(0),
            timeouts: Timeouts::default(),
            flags: FlowFlags::default(),
            importance: 0,
            actions: actions.into(),
            created: now,
            modified: now,
            stats: Arc::default(),
        };
        if let Some(rules) = self.table(backer, 0) {
            rules.insert(Arc::new(rule));
        }
        backer.touch();
    }

    /// Takes it away, if it is there.
    pub fn remove_hidden(&mut self, backer: &mut Backer, priority: u32) {
        if let Some(rules) = self.table(backer, 0) {
            rules.remove(&CompactMatch::pack(&Match::default()), priority);
        }
        backer.touch();
    }

    /// The hidden flows, counted to the last packet that was pushed.
    pub fn hidden(&self, backer: &Backer) -> Vec<Arc<Rule>> {
        let tables = backer.world.bridge(self.bridge).map(|b| &b.tables);
        let rules = tables
            .into_iter()
            .flat_map(|t| t.values().flat_map(|t| t.iter()));
        rules.filter(|r| r.is_hidden()).cloned().collect()
    }
}
