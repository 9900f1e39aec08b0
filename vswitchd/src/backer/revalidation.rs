//! Megaflows are looked after: statistics pushed, the idle ended, the stale translated anew.
//!
//! *Revalidation* passes over all megaflows: every half a second, to push statistics and end those
//! that idle, and after each change, to translate anew those whose dependencies no longer hold. It
//! comes before any packet is translated in a changed world, so two megaflows never disagree
//! about a packet.
//!
//! A pass takes a bounded step each turn, so that whoever changes flows is answered meanwhile. It
//! goes over the world as it was when it began, and so do the packets that wait for it to
//! end; what has changed since then is for the next pass. Thus changes without end delay packets by
//! one pass, and no more.

use super::Backer;
use crate::translate::{Input, Start};
use clock::Time;
use hal::{Action, FlowEntry, FlowPut, FlowStats, RecircId, Ufid, UserCookie};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Work of a pass before other work gets its turn, with what each part of it costs.
pub(super) const PASS_STEP: usize = 1024;
const CHECK_COST: usize = 1;
const VISIT_COST: usize = 8;
const TRANSLATE_COST: usize = 32;
/// How soon an idle flow goes when there are too many.
const CROWDED_IDLE: Duration = Duration::from_millis(100);

/// A pass over all megaflows.
pub(super) struct Pass {
    /// Where it goes on.
    next: u64,
    /// Statistics are pushed and idle flows ended, too.
    visit: bool,
    /// The world has changed since the last pass.
    check: bool,
    /// How long a flow may idle.
    idle: Duration,
}

impl Backer {
    /// Passes over all flows, in the newest world, to the end.
    pub fn revalidate(&mut self) {
        let now = self.clock.now();
        self.continue_pass(usize::MAX, now);
        self.next_visit = now;
        self.begin_pass(now);
        self.continue_pass(usize::MAX, now);
    }

    pub(super) fn begin_pass(&mut self, now: Time) {
        let visit = now >= self.next_visit;
        if visit {
            daemon::count!("revalidate");
            self.next_visit = now + self.limits.max_revalidator;
        }
        let check = std::mem::take(&mut self.changed);
        if check {
            self.current = self.world.clone();
        }
        let flows = self.ukeys.len();
        self.history.average = (self.history.average + flows) / 2;
        self.history.max = self.history.max.max(flows);
        let idle = if flows > self.limits.flow_limit {
            CROWDED_IDLE
        } else {
            self.limits.max_idle
        };
        self.pass = Some(Pass {
            next: 0,
            visit,
            check,
            idle,
        });
    }

    /// Goes on with a pass, for as much work as `budget` says.
    pub(super) fn continue_pass(&mut self, mut budget: usize, now: Time) {
        let Some(mut pass) = self.pass.take() else {
            return;
        };
        while let Some((&order, &ufid)) = self.order.range(pass.next..).next() {
            let cost = self.pass_over(ufid, &pass, now);
            pass.next = order + 1;
            budget = budget.saturating_sub(cost);
            if budget == 0 {
                self.pass = Some(pass);
                self.let_go();
                return;
            }
        }
        self.let_go();
        if pass.visit {
            self.collect_frozen();
        }
    }

    /// Looks at one flow; what it cost.
    fn pass_over(&mut self, ufid: Ufid, pass: &Pass, now: Time) -> usize {
        let Some(ukey) = self.ukeys.get(&ufid).filter(|u| !u.leaving) else {
            return CHECK_COST;
        };
        let stale = pass.check && !ukey.depends.iter().all(|d| d.holds(&self.current));
        if !stale && !pass.visit {
            return CHECK_COST;
        }
        let created = ukey.created;
        let Some(entry) = self.datapath.flow(ufid) else {
            // Somebody has taken it away by hand.
            self.remove(ufid);
            return VISIT_COST;
        };
        if pass.visit && !self.modes.ufids {
            self.log_visit(&entry, now);
        }
        self.push_flow(entry.flow.ufid, &entry.stats);
        self.offload.observe(ufid, &entry.stats);
        let used = entry.stats.used.unwrap_or(created).max(created);
        if now - used > pass.idle {
            self.remove(ufid);
        } else if stale {
            self.translate_again(ufid);
            return TRANSLATE_COST;
        }
        VISIT_COST
    }

    /// Says which flow is visited, to those who debug.
    fn log_visit(&self, entry: &FlowEntry, now: Time) {
        if tracing::event_enabled!(target: "dpif", tracing::Level::DEBUG) {
            let kind = self.datapath.kind();
            let shown = crate::text::flow(entry, now);
            tracing::debug!(target: "dpif", "{kind}@ovs-{kind}: flow_dump {shown}");
        }
    }

    /// Pushes the statistics of all flows, so that what is read next is current.
    pub fn push_all(&mut self) {
        self.offload.want_counters();
        self.run_offload();
        for entry in self.datapath.flows() {
            self.push_flow(entry.flow.ufid, &entry.stats);
        }
    }

    fn push_flow(&mut self, ufid: Ufid, stats: &FlowStats) {
        let Some(ukey) = self.ukeys.get_mut(&ufid) else {
            return;
        };
        let delta = FlowStats {
            packets: stats.packets.saturating_sub(ukey.pushed.packets),
            bytes: stats.bytes.saturating_sub(ukey.pushed.bytes),
            used: stats.used,
            tcp_flags: stats.tcp_flags,
        };
        if delta.packets == 0 && stats.used == ukey.pushed.used {
            return;
        }
        ukey.pushed = *stats;
        let credits = std::mem::take(&mut ukey.credits);
        self.push(&credits, &delta);
        if let Some(ukey) = self.ukeys.get_mut(&ufid) {
            ukey.credits = credits;
        }
    }

    fn translate_again(&mut self, ufid: Ufid) {
        let Some(put) = self.ukeys.get(&ufid).map(|u| u.put.clone()) else {
            return;
        };
        let input = Input {
            key: &put.key,
            start: Start::Datapath,
            carried: None,
            trace: false,
            teaches: true,
        };
        let Some(outcome) = self.translate_current(&input) else {
            return self.remove(ufid);
        };
        if self.mask_of(&outcome, &put.key) != put.mask {
            return self.remove(ufid);
        }
        // What its packets teach is news (a station has moved, or was forgotten): the next one
        // must come up to teach it.
        if !outcome.effects.is_empty() {
            return self.remove(ufid);
        }
        let actions: Arc<[Action]> = match outcome.slow {
            Some(reason) => Arc::new([Action::Userspace(UserCookie::SlowPath(reason))]),
            None => outcome.actions.into(),
        };
        let same = *actions == *put.actions;
        let put = FlowPut { actions, ..put };
        if !same {
            if self.datapath.put_flow(put.clone()).is_err() {
                return self.remove(ufid);
            }
            self.offload.flow_changed(&put);
        }
        if let Some(ukey) = self.ukeys.get_mut(&ufid) {
            ukey.put = put;
            ukey.credits = outcome.credits;
            ukey.depends = outcome.depends;
            ukey.frozen = outcome.frozen;
        }
    }

    /// Takes a flow out, of hardware first; out of software by [`Backer::let_go`], with others.
    fn remove(&mut self, ufid: Ufid) {
        if self.offload.flow_removed(ufid) {
            self.going.push(ufid);
        } else if let Some(ukey) = self.ukeys.get_mut(&ufid) {
            ukey.leaving = true;
        }
    }

    /// Takes out of software what is on its way out, and counts what it has carried.
    pub(super) fn let_go(&mut self) {
        if self.going.is_empty() {
            return;
        }
        let going = std::mem::take(&mut self.going);
        for (ufid, stats) in self.datapath.remove_flows(&going) {
            self.push_flow(ufid, &stats);
        }
        for ufid in going {
            self.drop_ukey(ufid);
        }
    }

    fn drop_ukey(&mut self, ufid: Ufid) {
        if let Some(ukey) = self.ukeys.remove(&ufid) {
            self.order.remove(&ukey.order);
        }
    }

    /// Takes all flows out (`revalidator/purge`, `dpctl/del-flows`).
    pub fn purge(&mut self) {
        let flows: Vec<Ufid> = self.datapath.flows().iter().map(|e| e.flow.ufid).collect();
        for ufid in flows {
            self.remove(ufid);
        }
        self.let_go();
        self.settle_offload();
    }

    /// Waits, by polling, until the device has let go of what is leaving.
    pub fn settle_offload(&mut self) {
        for _ in 0..1000 {
            self.run_offload();
            if !self.ukeys.values().any(|u| u.leaving) {
                return;
            }
            self.clock.pause_thread(Duration::from_micros(200));
        }
    }

    /// A flow that must not be believed any more is taken out by hand.
    pub fn forget(&mut self, ufid: Ufid) {
        self.remove(ufid);
        self.let_go();
    }

    fn collect_frozen(&mut self) {
        let used: HashSet<RecircId> = self
            .ukeys
            .values()
            .flat_map(|u| u.frozen.iter().copied())
            .collect();
        // A state goes when it was unused at two visits: packets may be on their way to it.
        let before = std::mem::take(&mut self.unused);
        let mut unused = HashSet::new();
        let keep = |id: RecircId, unused: &mut HashSet<RecircId>| {
            if used.contains(&id) {
                return true;
            }
            unused.insert(id);
            !before.contains(&id)
        };
        let cell = std::cell::RefCell::new(&mut unused);
        self.interner
            .collect(&|id| keep(id, &mut cell.borrow_mut()));
        self.unused = unused;
        self.publish_frozen();
    }
}
