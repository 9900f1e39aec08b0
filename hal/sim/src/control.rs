//! The control side of the simple face: a bounded queue of operations, the rate at which they are
//! carried out, what goes wrong with them, and when their completions come.
//!
//! Operations wait in one queue and are carried out in the order in which they came, which more
//! than keeps those of one key in order. Insertions take their share of a second each; time is
//! the caller's, so that a stopped clock stops the queue too.

use crate::objects::Objects;
use crate::settings::Faults;
use crate::switch::Switch;
use clock::Time;
use hal::{
    Action, Capabilities, Completion, Epoch, Installed, LastReading, Outcome, Reason, Rule,
    RuleError, RuleHandle, RuleKey, RuleOp, Ticket,
};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// An operation that waits.
struct Waiting {
    ticket: Ticket,
    op: RuleOp,
    since: Time,
}

/// A completion that is on its way; one that never comes is due at [`Time::NEVER`].
struct OnItsWay {
    due: Time,
    key: RuleKey,
    completion: Completion,
    /// The rule that the operation took away.
    gone: Option<RuleHandle>,
}

impl OnItsWay {
    /// The reading that is lost with the completion.
    fn last_reading(&self) -> Option<LastReading> {
        let counter = match &self.completion.outcome {
            Outcome::Removed(counter) => *counter,
            Outcome::Installed(installed) => installed.replaced?,
            Outcome::Failed(_) | Outcome::Lost => return None,
        };
        Some(LastReading {
            key: self.key,
            handle: self.gone?,
            counter,
        })
    }
}

/// Queue, rate and faults of a device.
pub struct Control {
    capabilities: Capabilities,
    faults: Faults,
    dice: fastrand::Rng,
    queue: VecDeque<Waiting>,
    on_their_way: VecDeque<OnItsWay>,
    /// Completions that a reset produced: they come first.
    lost: Vec<Completion>,
    objects: Objects,
    /// Who brought the rules in that are held.
    keys: HashMap<RuleHandle, RuleKey>,
    tickets: u64,
    epoch: u64,
    /// When the device is done with the insertion before.
    free_at: Time,
    /// Operations carried out in the device's life.
    carried_out: u64,
    /// Why the device does not work.
    broken: Option<String>,
}

impl Control {
    /// The control side of a device that can do this.
    pub fn new(capabilities: Capabilities, faults: Faults, dice: fastrand::Rng) -> Control {
        Control {
            capabilities,
            faults,
            dice,
            queue: VecDeque::new(),
            on_their_way: VecDeque::new(),
            lost: Vec::new(),
            objects: Objects::default(),
            keys: HashMap::new(),
            tickets: 0,
            epoch: 0,
            free_at: Time::ZERO,
            carried_out: 0,
            broken: None,
        }
    }

    /// Resets so far.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// Why the device does not work, if so.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Operations that have not completed.
    pub fn in_flight(&self) -> usize {
        self.queue.len() + self.on_their_way.len() + self.lost.len()
    }

    /// Rewrites and tags held.
    pub fn shared_objects(&self) -> usize {
        self.objects.len()
    }

    /// Puts an operation into the queue, or gives it back.
    pub fn submit(&mut self, op: RuleOp, now: Time) -> Result<Ticket, RuleOp> {
        if self.in_flight() >= self.capabilities.queue {
            return Err(op);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.queue.push_back(Waiting {
            ticket,
            op,
            since: now,
        });
        Ok(ticket)
    }

    /// Carries out what is due by `now`.
    pub fn advance(&mut self, switch: &mut Switch, now: Time) {
        while self.broken.is_none()
            && let Some(next) = self.queue.front()
        {
            let mut at = next.since;
            if self.capabilities.inserts_per_second > 0 && !matches!(next.op, RuleOp::Remove { .. })
            {
                let share = 1_000_000_000 / self.capabilities.inserts_per_second;
                at = at.max(self.free_at) + Duration::from_nanos(share);
                if at > now {
                    break;
                }
                self.free_at = at;
            }
            let Some(Waiting { ticket, op, .. }) = self.queue.pop_front() else {
                break;
            };
            let (key, gone) = (op.key(), op.handle());
            let outcome = self.carry_out(switch, op);
            let completion = Completion { ticket, outcome };
            self.send(key, completion, gone, at.max(now));
            self.carried_out += 1;
            if self.carried_out == self.faults.error_after {
                self.broken = Some(format!("stopped after {} operations", self.carried_out));
            }
            if self.carried_out == self.faults.reset_after {
                // Nobody asked, so nobody is told.
                self.reset(switch);
            }
        }
    }

    /// Puts a completion on its way.
    fn send(&mut self, key: RuleKey, completion: Completion, gone: Option<RuleHandle>, now: Time) {
        let mut due = now;
        if self.chance(self.faults.lose_completion) {
            due = Time::NEVER;
        } else if self.faults.late_completion > 0 {
            let late = self.dice.u64(0..=self.faults.late_completion);
            due = now + Duration::from_millis(late);
            let same = self.on_their_way.iter().filter(|c| c.key == key);
            let before = same.map(|c| c.due).filter(|t| *t != Time::NEVER).max();
            due = due.max(before.unwrap_or(Time::ZERO));
        }
        self.on_their_way.push_back(OnItsWay {
            due,
            key,
            completion,
            gone,
        });
    }

    fn chance(&mut self, of: f64) -> bool {
        of > 0.0 && self.dice.f64() < of
    }

    fn carry_out(&mut self, switch: &mut Switch, op: RuleOp) -> Outcome {
        let result = match op {
            RuleOp::Add { key, rule } => self.insert(switch, key, &rule, 0),
            RuleOp::Replace { key, handle, rule } => {
                let Some(old) = switch.table.actions(handle) else {
                    return Outcome::Failed(RuleError::Stale);
                };
                // The rule that goes leaves its place to the one that comes.
                self.insert(switch, key, &rule, 1).map(|mut installed| {
                    self.objects.release(&old);
                    self.keys.remove(&handle);
                    installed.replaced = switch.table.remove(handle);
                    installed
                })
            }
            RuleOp::Remove { handle, .. } => {
                let Some(actions) = switch.table.actions(handle) else {
                    return Outcome::Failed(RuleError::Stale);
                };
                self.objects.release(&actions);
                self.keys.remove(&handle);
                return Outcome::Removed(switch.table.remove(handle).unwrap_or_default());
            }
        };
        match result {
            Ok(installed) => Outcome::Installed(installed),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Holds a rule beside `leaving` others that are about to go.
    fn insert(
        &mut self,
        switch: &mut Switch,
        key: RuleKey,
        rule: &Rule,
        leaving: usize,
    ) -> Result<Installed, RuleError> {
        self.check(switch, rule)?;
        let mut room = self.capabilities.rules;
        if self.faults.table_full > 0 {
            room = room.min(self.faults.table_full);
        }
        if switch.table.len() - leaving >= room {
            return Err(RuleError::TableFull);
        }
        if self.chance(self.faults.fail_insert) {
            return Err(RuleError::Fault("insertion failed".into()));
        }
        self.objects.acquire(&rule.actions);
        let handle = switch.table.insert(rule);
        self.keys.insert(handle, key);
        Ok(Installed {
            handle,
            replaced: None,
        })
    }

    /// Whether a rule is within the capabilities. A device trusts nobody.
    fn check(&self, switch: &Switch, rule: &Rule) -> Result<(), RuleError> {
        let unsupported = |what: &dyn ToString| RuleError::Unsupported(what.to_string());
        let has_port = |number| switch.port_of(number).is_some();
        let cost = self
            .capabilities
            .check(rule, &has_port)
            .map_err(|reason: Reason| unsupported(&reason))?;
        if cost.resumes {
            let Some(resume) = rule.resume else {
                return Err(unsupported(&"recirculation without a resume id"));
            };
            let bits = self.capabilities.resume_bits;
            if bits < 32 && resume.0 >> bits != 0 {
                return Err(unsupported(&"the resume id is too large"));
            }
            let mut first = None;
            if !one_stage(&rule.actions, &mut first) {
                return Err(unsupported(&"recirculation to more than one stage"));
            }
        }
        Ok(())
    }

    /// Forgets all rules; what was in flight is lost. Answers what the rules had carried.
    pub fn reset(&mut self, switch: &mut Switch) -> Vec<LastReading> {
        let held = switch.table.counters().filter_map(|(handle, counter)| {
            let key = *self.keys.get(&handle)?;
            Some(LastReading {
                key,
                handle,
                counter,
            })
        });
        let unheard = self.on_their_way.iter().filter_map(OnItsWay::last_reading);
        let readings = held.chain(unheard).collect();
        self.keys.clear();
        switch.table.clear();
        self.objects.clear();
        self.epoch += 1;
        self.broken = None;
        self.free_at = Time::ZERO;
        let on_their_way = self.on_their_way.drain(..).map(|c| c.completion.ticket);
        let waiting = self.queue.drain(..).map(|w| w.ticket);
        let mut tickets: Vec<Ticket> = on_their_way.chain(waiting).collect();
        tickets.sort_unstable();
        self.lost
            .extend(tickets.into_iter().map(|ticket| Completion {
                ticket,
                outcome: Outcome::Lost,
            }));
        readings
    }

    /// Appends the completions that have come by `now`.
    pub fn completions(&mut self, now: Time, done: &mut Vec<Completion>) {
        done.append(&mut self.lost);
        self.on_their_way.make_contiguous().sort_by_key(|c| c.due);
        while self
            .on_their_way
            .front()
            .is_some_and(|c| c.due <= now && c.due != Time::NEVER)
        {
            done.extend(self.on_their_way.pop_front().map(|c| c.completion));
        }
    }
}

/// Whether all recirculations lead to the same stage: the one that the resume id stands for.
fn one_stage(actions: &[Action], first: &mut Option<hal::RecircId>) -> bool {
    actions.iter().all(|action| match action {
        Action::Recirc(id) => *first.get_or_insert(*id) == *id,
        Action::Clone(inner) => one_stage(inner, first),
        _ => true,
    })
}
