//! Who gets a rule: a pure function from what flows carry to a plan.
//!
//! A rule table is small and insertions are dear, so a rule should go to a flow that will go on
//! carrying much: an elephant, not a DNS query. Nobody knows the future, and three things stand in
//! for it: the flow's *rate*, its *age* (a flow that has lived lives on), and *hysteresis*: to
//! push another out a flow must carry clearly more, one that is in stays in for a while, and one
//! that was pushed out waits. So two flows of equal rate never swap places.
//!
//! The cost is one sort of the flows handed in: the caller hands in those that are fast enough to
//! matter, and the flows in hardware only when there may be a need to evict.

use hal::{Reason, RuleKey};
use std::time::Duration;

/// The dials of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A flow is worth a rule from so many packets a second.
    pub admit_rate: u64,
    /// A flow is not judged before it is so old.
    pub min_age: Duration,
    /// To take another's rule, a flow must have so many percent of the other's rate.
    pub displace_percent: u64,
    /// A rule stays at least so long.
    pub min_residency: Duration,
    /// A flow that was evicted waits so long.
    pub cooldown: Duration,
    /// Whoever comes first is served first, whatever it carries, and nobody is evicted.
    pub first_come: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            admit_rate: 100,
            min_age: Duration::from_secs(1),
            displace_percent: 200,
            min_residency: Duration::from_secs(5),
            cooldown: Duration::from_secs(10),
            first_come: false,
        }
    }
}

impl Settings {
    /// Whatever fits goes in at once.
    pub fn first_come() -> Settings {
        Settings {
            admit_rate: 0,
            min_age: Duration::ZERO,
            cooldown: Duration::ZERO,
            first_come: true,
            ..Settings::default()
        }
    }
}

/// A flow, as far as placement is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which; ascending in order of arrival.
    pub key: RuleKey,
    /// Packets a second.
    pub rate: u64,
    /// How long it has been known.
    pub age: Duration,
    /// Slots that it takes, or has.
    pub cost: usize,
    /// Where it is.
    pub place: Place,
}

/// Where a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In software.
    Software {
        /// How long ago it was evicted; none = never, or not for its rate.
        evicted: Option<Duration>,
    },
    /// In hardware.
    Hardware {
        /// For how long.
        residency: Duration,
    },
}

/// What a device has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Slots in all.
    pub capacity: usize,
    /// Slots taken or promised, those on their way out included.
    pub used: usize,
    /// Slots on their way out.
    pub leaving: usize,
    /// Insertions that may begin now.
    pub budget: usize,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Into hardware, the most wanted first.
    pub admit: Vec<RuleKey>,
    /// Out of hardware, the least wanted first. Their slots are given away by a later plan, when
    /// they are free.
    pub evict: Vec<RuleKey>,
    /// Not now, and why.
    pub wait: Vec<(RuleKey, Reason)>,
}

/// Makes the plan.
///
/// Flows in hardware that are not handed in stay.
pub fn place(flows: &[Candidate], room: &Room, settings: &Settings) -> Plan {
    let mut plan = Plan::default();
    let mut wanting = Vec::new();
    let mut holding = Vec::new();
    for flow in flows {
        match flow.place {
            Place::Hardware { residency } => {
                if residency >= settings.min_residency && !settings.first_come {
                    holding.push(flow);
                }
            }
            Place::Software { evicted } => {
                if flow.rate < settings.admit_rate || flow.age < settings.min_age {
                    let reason = Reason::TooSlow {
                        rate: flow.rate,
                        threshold: settings.admit_rate,
                    };
                    plan.wait.push((flow.key, reason));
                } else if evicted.is_some_and(|ago| ago < settings.cooldown) {
                    plan.wait.push((flow.key, Reason::CoolingDown));
                } else {
                    wanting.push(flow);
                }
            }
        }
    }
    let by_rate = |f: &&Candidate| (std::cmp::Reverse(f.rate), f.key);
    if settings.first_come {
        wanting.sort_unstable_by_key(|f| f.key);
    } else {
        wanting.sort_unstable_by_key(by_rate);
    }
    holding.sort_unstable_by_key(by_rate);

    let mut free = room.capacity.saturating_sub(room.used);
    let mut coming = room.leaving;
    let mut budget = room.budget;
    for flow in wanting {
        if flow.cost <= free {
            if budget == 0 {
                plan.wait.push((flow.key, Reason::InsertBudget));
                continue;
            }
            free -= flow.cost;
            budget -= 1;
            plan.admit.push(flow.key);
            continue;
        }
        // Evict until enough is on its way out; what is already leaving is for the fastest.
        while coming < flow.cost {
            let displaced = |v: &&Candidate| {
                let bar = u128::from(v.rate) * u128::from(settings.displace_percent);
                budget > 0 && u128::from(flow.rate) * 100 >= bar
            };
            let Some(victim) = holding.pop_if(|v| displaced(v)) else {
                break;
            };
            coming += victim.cost;
            plan.evict.push(victim.key);
        }
        if coming >= flow.cost {
            coming -= flow.cost;
            budget = budget.saturating_sub(1);
            plan.wait.push((flow.key, Reason::InsertBudget));
        } else {
            let limit = room.capacity;
            plan.wait.push((flow.key, Reason::TableFull { limit }));
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(key: u64, rate: u64, place: Place) -> Candidate {
        Candidate {
            key: RuleKey(key),
            rate,
            age: Duration::from_secs(10),
            cost: 1,
            place,
        }
    }

    const OUT: Place = Place::Software { evicted: None };

    fn held(secs: u64) -> Place {
        Place::Hardware {
            residency: Duration::from_secs(secs),
        }
    }

    fn room(capacity: usize, used: usize) -> Room {
        Room {
            capacity,
            used,
            leaving: 0,
            budget: 100,
        }
    }

    #[test]
    fn the_fastest_go_in_first_and_the_slow_stay_out() {
        let flows = [flow(1, 500, OUT), flow(2, 3, OUT), flow(3, 900, OUT)];
        let plan = place(&flows, &room(10, 0), &Settings::default());
        assert_eq!(plan.admit, [RuleKey(3), RuleKey(1)]);
        assert!(matches!(
            plan.wait[0],
            (RuleKey(2), Reason::TooSlow { rate: 3, .. })
        ));
    }

    #[test]
    fn a_full_table_yields_only_to_twice_the_rate_and_not_before_its_time() {
        let s = Settings::default();
        let evicted = |newcomer, residency| {
            let flows = [flow(1, 200, held(residency)), flow(2, newcomer, OUT)];
            let plan = place(&flows, &room(1, 1), &s);
            assert!(plan.admit.is_empty());
            plan.evict
        };
        assert_eq!(evicted(399, 60), []);
        assert_eq!(evicted(400, 60), [RuleKey(1)]);
        assert_eq!(evicted(400, 4), []);
    }

    #[test]
    fn nobody_is_evicted_twice_for_one_newcomer() {
        let flows = [flow(1, 200, held(60)), flow(2, 1000, OUT)];
        let busy = Room {
            leaving: 1,
            ..room(2, 2)
        };
        assert!(place(&flows, &busy, &Settings::default()).evict.is_empty());
    }

    #[test]
    fn the_budget_bounds_what_begins() {
        let flows: Vec<_> = (0..10).map(|i| flow(i, 1000 - i, OUT)).collect();
        let tight = Room {
            budget: 3,
            ..room(100, 0)
        };
        let plan = place(&flows, &tight, &Settings::default());
        assert_eq!(plan.admit, [RuleKey(0), RuleKey(1), RuleKey(2)]);
        assert!(plan.wait.iter().all(|(_, r)| *r == Reason::InsertBudget));
    }

    #[test]
    fn first_come_first_served_evicts_nobody() {
        let flows = [flow(1, 0, held(99)), flow(2, 0, OUT), flow(3, 10_000, OUT)];
        let plan = place(&flows, &room(2, 1), &Settings::first_come());
        assert_eq!(plan.admit, [RuleKey(2)]);
        assert!(plan.evict.is_empty());
        assert_eq!(plan.wait, [(RuleKey(3), Reason::TableFull { limit: 2 })]);
    }

    #[test]
    fn an_evicted_flow_waits() {
        let evicted = Some(Duration::from_secs(3));
        let flows = [flow(1, 900, Place::Software { evicted })];
        let plan = place(&flows, &room(2, 0), &Settings::default());
        assert_eq!(plan.wait, [(RuleKey(1), Reason::CoolingDown)]);
    }
}
