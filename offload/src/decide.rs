//! Who may go into a device, who should, and why not.
//!
//! What keeps a flow out is asked for in one order, from what is most general to what passes by
//! itself: [`Engine::reason`]. Nothing is remembered that can be computed: a reason is made when
//! somebody asks, from the state as it is then. Only the comparison with the device's
//! capabilities is kept, until a port, a device or the flow's actions change.
//!
//! *Recirculation.* A flow behind a recirculation goes into a device only when every flow known
//! that leads to it is there and can be resumed. A flow that is there already stays while such a
//! flow is on its way in, and one that is needed by a flow in hardware goes in for that flow's
//! sake. When a flow leaves, those behind it leave first.

use crate::device::Health;
use crate::engine::{Engine, PLAN};
use crate::face::Admit;
use crate::flow::{Fit, Flow, State};
use crate::placement::{Candidate, Settings};
use crate::resume::{exit_state, same_state};
use clock::Time;
use hal::{Reason, Rule, RuleKey};
use packet::Metadata;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a flow may do next.
pub(crate) struct Way {
    pub fit: Fit,
    /// The state in which its packets reach it; none = not known yet.
    pub entry: Option<Metadata>,
}

impl Engine {
    /// Why a flow that nobody told the engine of is in software.
    pub(crate) fn unknown(&self) -> Reason {
        if self.enabled {
            Reason::Refused("the flow was not offered to it".into())
        } else {
            Reason::Disabled
        }
    }

    /// Why a flow that no device holds is in software.
    pub(crate) fn reason(&self, key: RuleKey, flow: &Flow) -> Reason {
        if let State::Adding(_) = flow.state {
            return Reason::Pending;
        }
        let way = match self.way(key, flow, flow.want.is_some()) {
            Ok(way) => way,
            Err(reason) => return reason,
        };
        if flow.want.is_some() {
            return Reason::Pending;
        }
        if let Some(verdict) = &flow.verdict {
            return verdict.clone();
        }
        let now = self.clock.now();
        let cooling = flow
            .evicted
            .is_some_and(|t| now - t < self.settings.cooldown);
        let rate = flow.meter.rate();
        match self.admit {
            Admit::Always if self.devices[way.fit.device].waiting.contains(&key) => {
                let limit = self.devices[way.fit.device].limit();
                Reason::TableFull { limit }
            }
            Admit::Always => Reason::Pending,
            Admit::Policy if cooling => Reason::CoolingDown,
            // A burst that has just been seen waits for the next plan.
            Admit::Policy if rate >= self.settings.admit_rate => Reason::InsertBudget,
            Admit::Policy => Reason::TooSlow {
                rate,
                threshold: self.settings.admit_rate,
            },
        }
    }

    /// Compares a flow with what its device can do.
    fn check(&self, flow: &Flow) -> Result<Fit, Reason> {
        let Some(&device) = self.ports.get(&flow.in_port()) else {
            return Err(Reason::IngressPort(flow.in_port()));
        };
        let put = &flow.put;
        let rule = Rule::from_megaflow(&put.key, &put.mask, put.actions.to_vec())?;
        let has_port = |p| self.ports.get(&p) == Some(&device);
        let cost = self.devices[device].capabilities.check(&rule, &has_port)?;
        if cost.resumes && flow.recirc().0 == 0 {
            let entry = Metadata::default();
            exit_state(&put.actions, &entry).ok_or(Reason::NoResume)?;
        }
        Ok(Fit {
            device,
            cost: cost.rules,
        })
    }

    /// Compares a flow with its device unless that has been done, and remembers it.
    pub(crate) fn check_once(&mut self, key: RuleKey) {
        let generation = self.generation;
        let Some(flow) = self.flows.get(&key) else {
            return;
        };
        if flow.checked.as_ref().is_some_and(|(g, _)| *g == generation) {
            return;
        }
        let outcome = self.check(flow);
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.checked = Some((generation, outcome));
        }
    }

    /// Whether anything but its worth keeps a flow out; `stays` says that it is in, or on its way.
    pub(crate) fn way(&self, key: RuleKey, flow: &Flow, stays: bool) -> Result<Way, Reason> {
        if !self.enabled {
            return Err(Reason::Disabled);
        }
        if let Some(&device) = self.ports.get(&flow.in_port())
            && let Health::Down { what, .. } = &self.devices[device].health
        {
            return Err(Reason::DeviceDown(what.clone()));
        }
        let fit = match &flow.checked {
            Some((generation, outcome)) if *generation == self.generation => outcome.clone()?,
            _ => self.check(flow)?,
        };
        let entry = self.entry(key, flow, fit.device, stays)?;
        if let Some(entry) = &entry
            && !flow.recircs.is_empty()
        {
            exit_state(&flow.put.actions, entry).ok_or(Reason::NoResume)?;
        }
        if let Some((what, until)) = &flow.refused
            && self.clock.now() < *until
        {
            return Err(Reason::Refused(what.clone()));
        }
        Ok(Way { fit, entry })
    }

    /// The flows that lead to a flow, or whose rules in a device still do.
    pub(crate) fn predecessors<'a>(
        &'a self,
        key: RuleKey,
        flow: &'a Flow,
    ) -> impl Iterator<Item = (RuleKey, &'a Flow)> {
        let keys = self.into.get(&flow.recirc()).into_iter().flatten();
        keys.filter(move |k| **k != key)
            .filter_map(|k| Some((*k, self.flows.get(k)?)))
            .filter(move |(_, p)| p.reaches(flow))
    }

    /// The flows to which a flow leads.
    pub(crate) fn successors<'a>(
        &'a self,
        key: RuleKey,
        flow: &'a Flow,
    ) -> impl Iterator<Item = (RuleKey, &'a Flow)> {
        let sets = flow.leads.iter().filter_map(|id| self.at.get(id));
        sets.flatten()
            .filter(move |k| **k != key)
            .filter_map(|k| Some((*k, self.flows.get(k)?)))
            .filter(move |(_, s)| flow.reaches(s))
    }

    /// The state in which packets reach a flow within a device.
    fn entry(
        &self,
        key: RuleKey,
        flow: &Flow,
        device: usize,
        stays: bool,
    ) -> Result<Option<Metadata>, Reason> {
        if flow.recirc().0 == 0 {
            return Ok(Some(Metadata::default()));
        }
        let mut entry: Option<Metadata> = None;
        let mut any = false;
        let mut outdated = Vec::new();
        for (_, before) in self.predecessors(key, flow) {
            if !before.recircs.contains(&flow.recirc()) {
                // It leads here no longer, but its rule in the device still does.
                let forms = before.state.forms().into_iter().flatten();
                let exits = forms.filter_map(|f| f.resume.as_ref().map(|(_, exit)| *exit));
                outdated.extend(exits.filter(|e| e.recirc_id == flow.recirc().0));
                continue;
            }
            any = true;
            if before.want != Some(device) || before.leaving {
                return Err(Reason::Predecessor);
            }
            let forms = match &before.state {
                State::Hardware(held) => [Some(&held.form), None],
                State::Replacing(held, form) => [Some(&held.form), Some(form)],
                State::Software | State::Adding(_) if stays => continue,
                _ => return Err(Reason::Predecessor),
            };
            for form in forms.into_iter().flatten() {
                let Some((_, exit)) = &form.resume else {
                    return Err(Reason::Predecessor);
                };
                if exit.recirc_id != flow.recirc().0 {
                    return Err(Reason::Predecessor);
                }
                if entry.is_some_and(|e| !same_state(&e, exit)) && !flow.recircs.is_empty() {
                    return Err(Reason::NoResume);
                }
                entry = Some(*exit);
            }
        }
        // Those before it may all be on their way; until they are in, nothing comes by.
        if entry.is_none() && !(any && stays) {
            return Err(Reason::Predecessor);
        }
        let differs = |e: &Metadata| outdated.iter().any(|o| !same_state(o, e));
        if entry.as_ref().is_some_and(differs) && !flow.recircs.is_empty() {
            return Err(Reason::NoResume);
        }
        Ok(entry)
    }

    /// Whether a flow leads to one that is in hardware, or on its way.
    pub(crate) fn supports(&self, key: RuleKey) -> bool {
        let Some(flow) = self.flows.get(&key) else {
            return false;
        };
        self.successors(key, flow).any(|(_, s)| s.want.is_some())
    }

    /// A rule is about to leave its packets in `exit`. Rules behind it that recirculate again, and
    /// say something else of where their misses resume, go first: true if there are any.
    pub(crate) fn yields(&mut self, key: RuleKey, exit: &Metadata) -> bool {
        let Some(flow) = self.flows.get(&key) else {
            return false;
        };
        let behind = self.successors(key, flow);
        let behind = behind.filter(|(_, s)| {
            let mut forms = s.state.forms().into_iter().flatten();
            forms.any(|f| f.resume.is_some() && !same_state(&f.entry, exit))
        });
        let behind: Vec<RuleKey> = behind.map(|(k, _)| k).collect();
        for key in &behind {
            self.retire(*key);
        }
        !behind.is_empty()
    }

    /// Those behind a flow are to be looked at anew.
    pub(crate) fn touch_successors(&mut self, key: RuleKey) {
        let Some(flow) = self.flows.get(&key) else {
            return;
        };
        if flow.leads.is_empty() {
            return;
        }
        let always = self.admit == Admit::Always;
        let found = self.successors(key, flow);
        let found: Vec<RuleKey> = found
            .filter(|(_, s)| always || s.want.is_some())
            .map(|(k, _)| k)
            .collect();
        self.todo.extend(found);
    }

    /// A flow is to have no rule any more. Those behind it go first.
    pub(crate) fn retire(&mut self, key: RuleKey) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        let Some(device) = flow.want.take() else {
            return;
        };
        if let Some(flow) = self.flows.get(&key) {
            let behind = self.successors(key, flow);
            let behind: Vec<RuleKey> = behind
                .filter(|(_, s)| s.want == Some(device))
                .map(|(k, _)| k)
                .collect();
            for key in behind {
                self.retire(key);
            }
        }
        match self.flows.get(&key).map(|f| &f.state) {
            Some(State::Software) => {
                self.devices[device].claims.remove(&key);
            }
            Some(State::Hardware(_)) => self.devices[device].urgent.push_back(key),
            _ => {}
        }
        self.todo.insert(key);
    }

    /// Looks at what has changed, and makes the plan when it is due. True if anything was decided.
    pub(crate) fn decide(&mut self, now: Time) -> bool {
        while let Some(&(at, key)) = self.later.first()
            && at <= now
        {
            self.later.pop_first();
            self.todo.insert(key);
        }
        let todo = std::mem::take(&mut self.todo);
        let mut moved = !todo.is_empty();
        let mut offers: BTreeMap<usize, Vec<(Candidate, Fit)>> = BTreeMap::new();
        let mut stays = Vec::new();
        for key in todo {
            let Some(flow) = self.flows.get(&key) else {
                continue;
            };
            if flow.want.is_some() {
                stays.push(key);
                continue;
            }
            let idle = flow.leaving || !matches!(flow.state, State::Software);
            if idle || !self.enabled || !(self.admit == Admit::Always || self.supports(key)) {
                continue;
            }
            if let Some(offer) = self.offer(key, now) {
                offers.entry(offer.1.device).or_default().push(offer);
                continue;
            }
            for device in &mut self.devices {
                device.freed |= device.waiting.remove(&key);
            }
        }
        for (device, offers) in offers {
            let budget = match self.admit {
                Admit::Always => usize::MAX,
                Admit::Policy => self.devices[device].budget.available(now),
            };
            self.carry_out(device, &offers, &Settings::first_come(), budget, now);
        }
        for key in stays {
            self.reconsider(key);
        }
        if self.enabled && self.admit == Admit::Policy && now >= self.next_plan {
            self.next_plan = now + PLAN;
            moved |= self.plan(now);
        }
        moved | self.fill_free_slots(now)
    }

    /// A flow that has a rule, or is to have one: does it still deserve it, and is it the right
    /// one?
    fn reconsider(&mut self, key: RuleKey) {
        self.check_once(key);
        let Some(flow) = self.flows.get(&key) else {
            return;
        };
        let way = match self.way(key, flow, true) {
            Ok(way) if Some(way.fit.device) == flow.want => way,
            _ => return self.retire(key),
        };
        let State::Hardware(held) = &flow.state else {
            return;
        };
        let device = held.form.device;
        let stale = way.entry.is_some_and(|entry| {
            let exit = exit_state(&flow.put.actions, &entry);
            match (&held.form.resume, &exit) {
                (Some((_, a)), Some(b)) => !same_state(a, b),
                (None, None) => false,
                _ => true,
            }
        });
        let outdated = held.form.version != flow.version;
        if stale
            && !outdated
            && let Some(flow) = self.flows.get_mut(&key)
        {
            flow.version += 1;
        }
        if stale || outdated {
            self.devices[device].urgent.push_back(key);
        }
    }

    /// A slot is free: those that wait for one are looked at anew, as many as may fit. Those that
    /// turn out to have another reason no longer wait, and others follow.
    fn fill_free_slots(&mut self, now: Time) -> bool {
        if self.admit != Admit::Always {
            return false;
        }
        let mut found = false;
        for device in self.devices.iter_mut().filter(|d| d.freed) {
            let free = device.capacity(now).saturating_sub(device.used());
            let next = device.waiting.iter().take(free).copied();
            let before = self.todo.len();
            self.todo.extend(next);
            device.freed = false;
            found |= self.todo.len() != before;
        }
        found
    }

    /// A flow is looked at again after a while.
    pub(crate) fn look_again(&mut self, key: RuleKey, after: Duration, now: Time) {
        self.later.insert((now + after, key));
    }
}
