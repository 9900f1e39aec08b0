//! Operations: handing them to devices, and what becomes of them.
//!
//! A flow has at most one operation in flight. What comes next follows from where it is and where
//! it should be when that one ends, so nothing is queued that may be out of date by its turn.

use crate::device::{Health, InFlight};
use crate::engine::Engine;
use crate::face::Event;
use crate::flow::{Form, Held, State};
use crate::resume::exit_state;
use clock::Time;
use hal::{
    Completion, Counter, Installed, LastReading, Outcome, Reason, Rule, RuleError, RuleKey, RuleOp,
    Ufid,
};
use std::time::Duration;

/// A device that said that it is full is believed for so long.
const FULL: Duration = Duration::from_secs(1);
/// A rule that met a fault is tried again after so long.
const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// Numbers for resuming are looked for again after so long.
const NUMBERS_PAUSE: Duration = Duration::from_secs(2);
/// A device that would not remove a rule so often in a row is broken.
const MAX_STUCK: u32 = 3;

impl Engine {
    /// Resets a device that does not work, when it is time. True if it works again.
    pub(crate) fn recover(&mut self, d: usize, now: Time) -> bool {
        let device = &mut self.devices[d];
        match &device.health {
            Health::Down { retry, .. } if now >= *retry => {}
            _ => return false,
        }
        let mut late = Vec::new();
        // What is left of older epochs is of no interest.
        let outcome = device
            .face
            .reset()
            .and_then(|_| device.face.poll(&mut late));
        if let Err(e) = outcome {
            device.fail(&e.what, now);
            return false;
        }
        tracing::info!(target: "offload", "{}: works again", device.name);
        device.health = Health::Up { since: now };
        device.epoch = device.face.epoch();
        device.capabilities = device.face.capabilities().clone();
        device.stuck = 0;
        for (port, number) in &device.ports {
            device.face.bind_port(port, Some(*number));
        }
        self.reconsider_all();
        true
    }

    fn reconsider_all(&mut self) {
        self.generation += 1;
        for flow in self.flows.values_mut() {
            flow.refused = None;
        }
        self.todo.extend(self.flows.keys());
    }

    /// A device does not work: it is reset at once, so that no rule goes on forwarding unseen, and
    /// what it can still tell of its rules is counted.
    fn fault(&mut self, d: usize, what: &str, now: Time) {
        let name = &self.devices[d].name;
        tracing::warn!(target: "offload", "{name}: {what}; its flows go back to software");
        for reading in self.devices[d].face.reset().unwrap_or_default() {
            self.credit_last(&reading);
        }
        self.devices[d].fail(what, now);
        self.lose_all(d, now);
    }

    /// Counts the last reading of a rule. It may be one that nobody has heard of: its insertion
    /// has not been reported, and all that it has carried is new.
    fn credit_last(&mut self, reading: &LastReading) {
        let flow = self.flows.get(&reading.key);
        match flow.and_then(|f| f.state.held()) {
            Some(held) if held.handle == reading.handle => {
                self.credit(reading.key, reading.counter);
            }
            _ => self.credit_new(reading.key, reading.counter),
        }
    }

    /// All flows of a device are in software.
    fn lose_all(&mut self, d: usize, now: Time) {
        let device = &mut self.devices[d];
        device.abandon();
        device.handles.clear();
        device.urgent.clear();
        device.adds.clear();
        device.waiting.clear();
        device.full_until = None;
        let claims = std::mem::take(&mut device.claims);
        for key in claims.into_keys() {
            let Some(flow) = self.flows.get_mut(&key) else {
                continue;
            };
            flow.want = None;
            flow.verdict = None;
            let state = std::mem::replace(&mut flow.state, State::Software);
            for form in state.forms().into_iter().flatten() {
                self.release(form, now);
            }
            self.landed(key);
        }
    }

    fn release(&mut self, form: &Form, now: Time) {
        if let Some((id, _)) = form.resume {
            self.resume.release(id, now);
        }
    }

    /// A flow is in software now, and no device holds it.
    fn landed(&mut self, key: RuleKey) {
        let Some(flow) = self.flows.get(&key) else {
            return;
        };
        if flow.leaving {
            let ufid = flow.put.ufid;
            self.forget(key);
            self.events.push(Event::Released { ufid });
        } else {
            if flow.meter.rate() >= self.settings.admit_rate {
                self.hot.insert(key);
            }
            self.todo.insert(key);
            self.follow_leads(key);
            self.touch_successors(key);
        }
    }

    /// Counts what a rule has carried since its last reading.
    fn credit(&mut self, key: RuleKey, counter: Counter) {
        let now = self.clock.now();
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        let ufid: Ufid = flow.put.ufid;
        let Some(held) = flow.state.held_mut() else {
            return;
        };
        let mut stats = counter.since(&held.last);
        // A device that cannot tell when must not make the flow look idle.
        stats.used = stats.used.or(Some(now));
        if counter.packets < held.last.packets || (stats.packets == 0 && stats.bytes == 0) {
            return;
        }
        held.last = counter;
        self.events.push(Event::Credit { ufid, stats });
    }

    /// Counts all that a rule has carried.
    fn credit_new(&mut self, key: RuleKey, counter: Counter) {
        if let Some(flow) = self.flows.get(&key)
            && counter.packets != 0
        {
            let ufid = flow.put.ufid;
            let mut stats = counter.since(&Counter::default());
            stats.used = stats.used.or(Some(self.clock.now()));
            self.events.push(Event::Credit { ufid, stats });
        }
    }

    /// Reads the counters of all rules of a device.
    pub(crate) fn read_counters(&mut self, d: usize, now: Time) {
        let mut readings = Vec::new();
        self.devices[d].counters_read = now;
        if let Err(e) = self.devices[d].face.read_counters(&mut readings) {
            return self.fault(d, &e.what, now);
        }
        if self.devices[d].face.epoch() != self.devices[d].epoch {
            // These may be readings of rules of another life; `poll` will see to it.
            return;
        }
        for (handle, counter) in readings {
            if let Some(&key) = self.devices[d].handles.get(&handle) {
                self.credit(key, counter);
            }
        }
    }

    /// Takes in what a device has done. True if anything.
    pub(crate) fn poll(&mut self, d: usize, now: Time) -> bool {
        if !self.devices[d].is_up() {
            return false;
        }
        let mut done = Vec::new();
        if let Err(e) = self.devices[d].face.poll(&mut done) {
            self.fault(d, &e.what, now);
            return true;
        }
        let epoch = self.devices[d].face.epoch();
        let mut moved = !done.is_empty();
        if epoch == self.devices[d].epoch && done.is_empty() && self.devices[d].is_overdue(now) {
            self.fault(d, "an operation does not end", now);
            return true;
        }
        for completion in done {
            self.complete(d, completion, now);
            if !self.devices[d].is_up() {
                return true;
            }
        }
        if epoch != self.devices[d].epoch {
            let name = &self.devices[d].name;
            tracing::warn!(target: "offload", "{name}: was reset; its flows go back to software");
            self.devices[d].epoch = epoch;
            self.lose_all(d, now);
            self.reconsider_all();
            moved = true;
        }
        moved
    }

    fn complete(&mut self, d: usize, completion: Completion, now: Time) {
        let Some(op) = self.devices[d].tickets.remove(&completion.ticket) else {
            return;
        };
        let key = op.key;
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        if op.inserts && matches!(completion.outcome, Outcome::Installed(_)) {
            let took = self.clock.now() - op.since;
            self.devices[d].latencies.add(took, now);
            self.devices[d].insertions.add(now);
        }
        let state = std::mem::replace(&mut flow.state, State::Software);
        match (state, completion.outcome) {
            (State::Adding(form), Outcome::Installed(i)) => self.installed(key, form, i, now),
            (State::Adding(form), Outcome::Failed(e)) => self.not_added(key, &form, &e, now),
            (State::Replacing(held, form), Outcome::Installed(i)) => {
                self.replaced(key, held, form, i, now);
            }
            (State::Replacing(held, form), Outcome::Failed(RuleError::Stale)) => {
                self.release(&form, now);
                self.gone(key, &held, None, now);
            }
            (State::Replacing(held, form), Outcome::Failed(e)) => {
                // The old rule does what software does no longer: it has to go.
                self.release(&form, now);
                self.set_state(key, State::Hardware(held));
                // A full table has no room for two rules at once; it has for one after the other.
                if e != RuleError::TableFull {
                    self.refuse(key, &e, now);
                }
                self.retire(key);
            }
            (State::Removing(held), Outcome::Removed(counter)) => {
                self.devices[d].stuck = 0;
                self.gone(key, &held, Some(counter), now);
            }
            (State::Removing(held), Outcome::Failed(RuleError::Stale)) => {
                self.gone(key, &held, None, now);
            }
            (State::Removing(held), Outcome::Failed(e)) => {
                self.set_state(key, State::Hardware(held));
                self.devices[d].stuck += 1;
                self.devices[d].urgent.push_back(key);
                if self.devices[d].stuck >= MAX_STUCK {
                    self.fault(d, &format!("it does not remove rules: {e}"), now);
                }
            }
            (State::Adding(form), Outcome::Lost) => {
                self.release(&form, now);
                self.retire(key);
                self.devices[d].claims.remove(&key);
                self.landed(key);
            }
            (State::Replacing(held, form), Outcome::Lost) => {
                self.release(&form, now);
                self.gone(key, &held, None, now);
            }
            (State::Hardware(held) | State::Removing(held), Outcome::Lost) => {
                self.gone(key, &held, None, now);
            }
            (state, _) => {
                self.set_state(key, state);
                self.fault(d, "an operation ended as none can", now);
            }
        }
    }

    fn set_state(&mut self, key: RuleKey, state: State) {
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.state = state;
        }
        self.follow_leads(key);
    }

    fn installed(&mut self, key: RuleKey, form: Form, installed: Installed, now: Time) {
        self.devices[form.device]
            .handles
            .insert(installed.handle, key);
        let held = Held {
            form,
            handle: installed.handle,
            last: Counter::default(),
            since: now,
        };
        self.arrived(key, held);
    }

    fn replaced(&mut self, key: RuleKey, held: Held, form: Form, by: Installed, now: Time) {
        let device = &mut self.devices[form.device];
        device.handles.remove(&held.handle);
        device.handles.insert(by.handle, key);
        self.release(&held.form, now);
        let since = held.since;
        if let Some(counter) = by.replaced {
            self.set_state(key, State::Hardware(held));
            self.credit(key, counter);
        }
        let held = Held {
            form,
            handle: by.handle,
            last: Counter::default(),
            since,
        };
        self.arrived(key, held);
    }

    /// A rule is in. The flow may want another by now, or none.
    fn arrived(&mut self, key: RuleKey, held: Held) {
        let device = held.form.device;
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        if flow.want != Some(device) || flow.version != held.form.version {
            self.devices[device].urgent.push_back(key);
        }
        flow.state = State::Hardware(held);
        self.follow_leads(key);
        self.touch_successors(key);
    }

    fn not_added(&mut self, key: RuleKey, form: &Form, error: &RuleError, now: Time) {
        self.release(form, now);
        self.retire(key);
        let device = &mut self.devices[form.device];
        device.claims.remove(&key);
        if *error == RuleError::TableFull {
            device.say_full(now + FULL);
            device.freed = false;
            device.waiting.insert(key);
            let limit = device.limit();
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.verdict = Some(Reason::TableFull { limit });
            }
            self.look_again(key, FULL, now);
        } else {
            self.refuse(key, error, now);
        }
        self.landed(key);
    }

    /// Remembers that a device would not have a flow's rule.
    fn refuse(&mut self, key: RuleKey, error: &RuleError, now: Time) {
        let until = match error {
            RuleError::Unsupported(_) => Time::NEVER,
            _ => now + FAULT_PAUSE,
        };
        if until != Time::NEVER {
            self.look_again(key, FAULT_PAUSE, now);
        }
        if let Some(flow) = self.flows.get_mut(&key) {
            tracing::debug!(target: "offload", "flow {} refused: {error}", flow.put.ufid);
            flow.refused = Some((error.to_string(), until));
        }
    }

    /// A device has let a rule go.
    fn gone(&mut self, key: RuleKey, held: &Held, last: Option<Counter>, now: Time) {
        let d = held.form.device;
        self.devices[d].handles.remove(&held.handle);
        self.release(&held.form, now);
        if let Some(counter) = last {
            self.set_state(key, State::Removing(held.clone()));
            self.credit(key, counter);
        }
        self.set_state(key, State::Software);
        self.retire(key);
        self.devices[d].claims.remove(&key);
        self.landed(key);
        self.devices[d].full_until = None;
        self.devices[d].freed = true;
    }

    /// Hands a device what is due, as much as its queue takes. True if anything.
    pub(crate) fn pump(&mut self, d: usize, now: Time) -> bool {
        let mut moved = false;
        while self.devices[d].is_up() {
            let device = &mut self.devices[d];
            let urgent = !device.urgent.is_empty();
            let queue = if urgent {
                &mut device.urgent
            } else {
                &mut device.adds
            };
            let Some(key) = queue.pop_front() else {
                break;
            };
            let Some((op, form)) = self.next_op(key, d, now) else {
                continue;
            };
            let device = &mut self.devices[d];
            match device.face.submit(op) {
                Ok(ticket) => {
                    moved = true;
                    let op = InFlight {
                        key,
                        since: self.clock.now(),
                        inserts: form.is_some(),
                    };
                    device.begin(ticket, op);
                    if let Some(flow) = self.flows.get_mut(&key) {
                        let state = std::mem::replace(&mut flow.state, State::Software);
                        flow.state = match (state, form) {
                            (State::Software, Some(form)) => State::Adding(form),
                            (State::Hardware(held), Some(form)) => State::Replacing(held, form),
                            (State::Hardware(held), None) => State::Removing(held),
                            (state, _) => state,
                        };
                    }
                }
                Err(_) => {
                    // The queue is full; the operation is made anew when it is not.
                    let queue = if urgent {
                        &mut device.urgent
                    } else {
                        &mut device.adds
                    };
                    queue.push_front(key);
                    if let Some(form) = form {
                        self.release(&form, now);
                    }
                    break;
                }
            }
        }
        moved
    }

    /// What a flow needs next of a device, if anything, and the rule's form if it brings one.
    fn next_op(&mut self, key: RuleKey, d: usize, now: Time) -> Option<(RuleOp, Option<Form>)> {
        let flow = self.flows.get(&key)?;
        match &flow.state {
            State::Hardware(held) if held.form.device == d => {
                let handle = held.handle;
                if flow.want == Some(d) {
                    if held.form.version == flow.version {
                        return None;
                    }
                    if let Some((rule, form)) = self.make_rule(key, d, now) {
                        return Some((RuleOp::Replace { key, handle, rule }, Some(form)));
                    }
                    // `retire` has put it and those behind it into the queue again.
                    self.retire(key);
                    return None;
                }
                Some((RuleOp::Remove { key, handle }, None))
            }
            State::Software if flow.want == Some(d) => match self.make_rule(key, d, now) {
                Some((rule, form)) => Some((RuleOp::Add { key, rule }, Some(form))),
                None => {
                    self.retire(key);
                    None
                }
            },
            _ => None,
        }
    }

    /// The rule that a flow should have now; none if it must not have one after all.
    fn make_rule(&mut self, key: RuleKey, d: usize, now: Time) -> Option<(Rule, Form)> {
        let flow = self.flows.get(&key)?;
        let way = self.way(key, flow, true).ok()?;
        if way.fit.device != d {
            return None;
        }
        let put = &flow.put;
        let mut rule = Rule::from_megaflow(&put.key, &put.mask, put.actions.to_vec()).ok()?;
        let mut form = Form {
            device: d,
            version: flow.version,
            resume: None,
            entry: way.entry.unwrap_or_default(),
        };
        if !flow.recircs.is_empty() {
            let exit = exit_state(&put.actions, &way.entry?)?;
            if self.yields(key, &exit) {
                return None;
            }
            let bits = self.devices[d].capabilities.resume_bits;
            let Some(id) = self.resume.take(&exit, bits, now) else {
                if let Some(flow) = self.flows.get_mut(&key) {
                    let why = "all numbers for resuming misses are in use";
                    flow.refused = Some((why.into(), now + NUMBERS_PAUSE));
                }
                self.look_again(key, NUMBERS_PAUSE, now);
                return None;
            };
            rule.resume = Some(id);
            form.resume = Some((id, exit));
        }
        Some((rule, form))
    }
}
