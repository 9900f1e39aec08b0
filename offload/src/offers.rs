//! Flows offered to devices: who stands for a rule, and what comes of the plan.
//!
//! [`place`] knows only numbers. Here they are made from flows, and its plan is carried out. A
//! flow that needs others in front of it lends them its rate, so that a chain is judged by what
//! passes through it.

use crate::engine::Engine;
use crate::flow::{Fit, State};
use crate::placement::{Candidate, Place, Room, Settings, place};
use clock::Time;
use hal::{Reason, RuleKey};
use std::collections::BTreeMap;

/// A flow that waits for so many others is not worth their rules.
const MAX_MISSING: usize = 64;

impl Engine {
    /// A flow is to have a rule.
    fn admit_flow(&mut self, key: RuleKey, fit: Fit) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.want = Some(fit.device);
        flow.verdict = None;
        self.hot.remove(&key);
        let device = &mut self.devices[fit.device];
        device.waiting.remove(&key);
        device.claims.insert(key, fit.cost);
        device.adds.push_back(key);
    }

    /// A flow in software that nothing but its worth keeps there, as a candidate.
    pub(crate) fn offer(&mut self, key: RuleKey, now: Time) -> Option<(Candidate, Fit)> {
        self.check_once(key);
        let flow = self.flows.get(&key)?;
        let way = self.way(key, flow, false).ok()?;
        let candidate = Candidate {
            key,
            rate: flow.meter.rate(),
            age: now - flow.added,
            cost: way.fit.cost,
            place: Place::Software {
                evicted: flow.evicted.map(|t| now - t),
            },
        };
        Some((candidate, way.fit))
    }

    /// Makes the plan for all devices.
    pub(crate) fn plan(&mut self, now: Time) -> bool {
        let mut wanting: BTreeMap<usize, BTreeMap<RuleKey, (Candidate, Fit)>> = BTreeMap::new();
        for key in self.hot.clone() {
            let mut offers = Vec::new();
            if let Some(offer) = self.offer(key, now) {
                offers.push(offer);
            } else {
                offers.extend(self.missing(key, now));
            }
            for (candidate, fit) in offers {
                let of_device = wanting.entry(fit.device).or_default();
                let entry = of_device.entry(candidate.key);
                let entry = entry.or_insert_with(|| (candidate.clone(), fit));
                entry.0.rate = entry.0.rate.max(candidate.rate);
                entry.0.age = entry.0.age.max(candidate.age);
            }
        }
        let mut moved = false;
        for device in self.order.clone() {
            let Some(of_device) = wanting.remove(&device) else {
                continue;
            };
            let mut offers: Vec<_> = of_device.into_values().collect();
            let budget = self.devices[device].budget.available(now);
            let wanted: usize = offers.iter().map(|(c, _)| c.cost).sum();
            let free = self.devices[device].capacity(now);
            if wanted > free.saturating_sub(self.devices[device].used()) {
                offers.extend(self.holders(device, now));
            }
            let settings = self.settings.clone();
            moved |= self.carry_out(device, &offers, &settings, budget, now);
        }
        moved
    }

    /// The flows that must go in before a fast one can.
    fn missing(&mut self, key: RuleKey, now: Time) -> Vec<(Candidate, Fit)> {
        let Some(flow) = self.flows.get(&key) else {
            return Vec::new();
        };
        if flow.recirc().0 == 0 || self.way(key, flow, false).err() != Some(Reason::Predecessor) {
            return Vec::new();
        }
        let (rate, age) = (flow.meter.rate(), now - flow.added);
        let missing = self.predecessors(key, flow);
        let missing: Vec<RuleKey> = missing
            .filter(|(_, p)| p.recircs.contains(&flow.recirc()))
            .filter(|(_, p)| p.want.is_none() && !p.leaving)
            .filter(|(_, p)| matches!(p.state, State::Software))
            .map(|(k, _)| k)
            .take(MAX_MISSING + 1)
            .collect();
        if missing.len() > MAX_MISSING {
            return Vec::new();
        }
        let mut offers = Vec::new();
        for key in missing {
            if let Some((mut candidate, fit)) = self.offer(key, now) {
                candidate.rate = candidate.rate.max(rate);
                candidate.age = candidate.age.max(age);
                offers.push((candidate, fit));
            }
        }
        offers
    }

    /// The flows that a device holds, as candidates. One that others need counts as the fastest
    /// of them.
    fn holders(&self, device: usize, now: Time) -> Vec<(Candidate, Fit)> {
        let claims = self.devices[device].claims.iter();
        let held = claims.filter_map(|(&key, &cost)| {
            let flow = self.flows.get(&key)?;
            let State::Hardware(held) = &flow.state else {
                return None;
            };
            flow.want?;
            let behind = self.successors(key, flow);
            let behind = behind.filter(|(_, s)| s.want.is_some());
            let fastest = behind.map(|(_, s)| s.meter.rate()).max();
            let candidate = Candidate {
                key,
                rate: flow.meter.rate().max(fastest.unwrap_or(0)),
                age: now - flow.added,
                cost,
                place: Place::Hardware {
                    residency: now - held.since,
                },
            };
            Some((candidate, Fit { device, cost }))
        });
        held.collect()
    }

    /// Lets the policy decide about a device, and does it.
    pub(crate) fn carry_out(
        &mut self,
        device: usize,
        offers: &[(Candidate, Fit)],
        settings: &Settings,
        budget: usize,
        now: Time,
    ) -> bool {
        let here = &self.devices[device];
        let leaves = |key: &RuleKey| self.flows.get(key).is_none_or(|f| f.want.is_none());
        let claims = here.claims.iter();
        let room = Room {
            capacity: here.capacity(now),
            used: here.used(),
            leaving: claims.filter(|(k, _)| leaves(k)).map(|(_, c)| c).sum(),
            budget,
        };
        let limit = here.limit();
        let candidates: Vec<Candidate> = offers.iter().map(|(c, _)| c.clone()).collect();
        let fits: BTreeMap<RuleKey, Fit> = offers.iter().map(|(c, f)| (c.key, *f)).collect();
        let plan = place(&candidates, &room, settings);
        if budget != usize::MAX {
            self.devices[device].budget.spend(plan.admit.len());
        }
        for key in &plan.admit {
            if let Some(fit) = fits.get(key) {
                self.admit_flow(*key, *fit);
            }
        }
        for key in &plan.evict {
            if let Some(flow) = self.flows.get_mut(key) {
                flow.evicted = Some(now);
            }
            self.devices[device].evictions.add(now);
            self.retire(*key);
        }
        for (key, reason) in plan.wait {
            let reason = match reason {
                Reason::TableFull { .. } => {
                    self.devices[device].waiting.insert(key);
                    Some(Reason::TableFull { limit })
                }
                // These two are computed anew whenever somebody asks.
                Reason::TooSlow { .. } | Reason::CoolingDown => None,
                other => Some(other),
            };
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.verdict = reason;
            }
        }
        !plan.admit.is_empty() || !plan.evict.is_empty()
    }
}
