//! The contract of [`FlowDevice`], clause by clause, for any device to be held to.
//!
//! Each function takes a [`Bench`]: a fresh device with two open ports and a way to send a packet
//! into one of them and to let time pass. A clause that does not hold is an `Err` that says what
//! was seen. [`CLAUSES`] is all of them by name; [`random_operations`] holds a device to all
//! clauses at once over a random run of operations, against a model.
//!
//! ```
//! use hal_sim::contract::{Bench, CLAUSES};
//!
//! fn hold_to_the_contract(fresh: impl Fn() -> Bench) {
//!     for (name, clause) in CLAUSES {
//!         clause(&mut fresh()).unwrap_or_else(|what| panic!("{name}: {what}"));
//!     }
//! }
//! ```

use hal::{
    Action, Completion, Counter, DpPort, FlowDevice, Installed, MatchField, Outcome, RecircId,
    Rule, RuleError, RuleHandle, RuleKey, RuleOp, Ticket,
};
use packet::{FieldId, FlowState, compose};
use std::collections::{BTreeMap, BTreeSet};

/// A device on the bench. Its ports have the numbers 1 and 2.
pub struct Bench {
    /// The device, fresh.
    pub device: Box<dyn FlowDevice>,
    /// Brings a frame into port 1 from its far side and sees to it that the device is done with
    /// it; answers how many frames have left port 2 since.
    #[allow(clippy::type_complexity)]
    pub inject: Box<dyn FnMut(&packet::Packet) -> usize>,
    /// Lets time pass, enough for an operation to complete.
    pub wait: Box<dyn FnMut()>,
}

/// What a clause answers: nothing, or what was seen that must not be.
pub type Verdict = Result<(), String>;
/// A clause.
pub type Clause = fn(&mut Bench) -> Verdict;

/// The clauses by name, in the order in which [`FlowDevice`] has them.
pub const CLAUSES: [(&str, Clause); 8] = [
    ("operations of one key are first in, first out", in_order),
    ("a replacement makes before it breaks", make_before_break),
    ("a stale handle touches nothing", generations),
    ("a full queue gives the operation back", full_queue),
    ("equal shared objects exist once", shared_objects),
    ("counters never fall and the last reading comes", counters),
    ("a reset loses what was before it, once", reset),
    ("each operation completes once", completes_once),
];

/// How often a completion is waited for.
const PATIENCE: usize = 10_000;

fn expect(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

/// A rule for frames to one UDP port: out of port 2, with the source address rewritten to `mark`.
pub fn rule(port: u16, mark: u128) -> Rule {
    let whole = |field: FieldId, value: u128| MatchField {
        field,
        value,
        mask: field.full(),
    };
    Rule {
        recirc: RecircId(0),
        matches: vec![
            whole(FieldId::InPort, 1),
            whole(FieldId::EthType, 0x800),
            whole(FieldId::IpProto, 17),
            whole(FieldId::UdpDst, port.into()),
        ],
        actions: vec![
            Action::Set {
                field: FieldId::EthSrc,
                value: mark,
                mask: FieldId::EthSrc.full(),
            },
            Action::Output(DpPort(2)),
        ],
        resume: None,
    }
}

/// A frame to one UDP port.
pub fn frame(port: u16) -> packet::Packet {
    let mut state = FlowState::default();
    state.set(FieldId::EthType, 0x800);
    state.set(FieldId::IpProto, 17);
    state.set(FieldId::IpTtl, 64);
    state.set(FieldId::UdpDst, port.into());
    compose(&state, 32)
}

impl Bench {
    fn submit(&mut self, op: RuleOp) -> Result<Ticket, String> {
        let refused = |op| format!("an empty queue gave {op:?} back");
        self.device.submit(op).map_err(refused)
    }

    fn poll(&mut self, done: &mut Vec<Completion>) -> Verdict {
        self.device.poll(done).map_err(|e| e.to_string())
    }

    /// Waits until so many operations have ended.
    fn finish(&mut self, count: usize) -> Result<Vec<Completion>, String> {
        let mut done = Vec::new();
        for _ in 0..PATIENCE {
            self.poll(&mut done)?;
            if done.len() >= count {
                return Ok(done);
            }
            (self.wait)();
        }
        Err(format!("{} of {count} operations completed", done.len()))
    }

    /// Carries one operation out.
    fn run(&mut self, op: RuleOp) -> Result<Outcome, String> {
        let ticket = self.submit(op)?;
        match self.finish(1)?.as_slice() {
            [one] if one.ticket == ticket => Ok(one.outcome.clone()),
            other => Err(format!("for {ticket} came {other:?}")),
        }
    }

    fn add(&mut self, key: u64, rule: Rule) -> Result<RuleHandle, String> {
        let key = RuleKey(key);
        match self.run(RuleOp::Add { key, rule })? {
            Outcome::Installed(Installed {
                handle,
                replaced: None,
            }) => Ok(handle),
            other => Err(format!("a rule was not held: {other:?}")),
        }
    }

    fn remove(&mut self, key: u64, handle: RuleHandle) -> Result<Outcome, String> {
        let key = RuleKey(key);
        self.run(RuleOp::Remove { key, handle })
    }

    fn readings(&mut self) -> Result<BTreeMap<RuleHandle, Counter>, String> {
        let mut out = Vec::new();
        let read = self.device.read_counters(&mut out);
        read.map_err(|e| e.to_string())?;
        let count = out.len();
        let map: BTreeMap<_, _> = out.into_iter().collect();
        expect(map.len() == count, || "a rule was read twice".into())?;
        Ok(map)
    }
}

fn in_order(bench: &mut Bench) -> Verdict {
    // Twenty replacements in a row, each of the rule that the one before made: only in order do
    // all of them find theirs.
    let key = RuleKey(1);
    let mut handle = bench.add(1, rule(7, 0))?;
    for i in 1..=20u128 {
        let change = RuleOp::Replace {
            key,
            handle,
            rule: rule(7, i),
        };
        let (first, second) = (
            bench.submit(change)?,
            bench.submit(RuleOp::Remove { key, handle })?,
        );
        let done = bench.finish(2)?;
        let of = |ticket| {
            let found = done.iter().find(|c| c.ticket == ticket);
            found.map(|c| c.outcome.clone())
        };
        // The removal came after the replacement and must find the rule gone.
        match (of(first), of(second)) {
            (Some(Outcome::Installed(new)), Some(Outcome::Failed(RuleError::Stale))) => {
                handle = new.handle;
            }
            other => return Err(format!("a replacement and a removal ended with {other:?}")),
        }
    }
    expect((bench.inject)(&frame(7)) == 1, || {
        "the last rule does not forward".into()
    })
}

fn make_before_break(bench: &mut Bench) -> Verdict {
    let key = RuleKey(1);
    let mut handle = bench.add(1, rule(7, 0))?;
    for i in 1..=50u128 {
        expect((bench.inject)(&frame(7)) == 1, || {
            format!("lost before {i}")
        })?;
        let ticket = bench.submit(RuleOp::Replace {
            key,
            handle,
            rule: rule(7, i),
        })?;
        // The operation may be under way: either rule forwards.
        expect((bench.inject)(&frame(7)) == 1, || {
            format!("lost during {i}")
        })?;
        let done = bench.finish(1)?;
        let outcome = done.into_iter().find(|c| c.ticket == ticket);
        let Some(Outcome::Installed(new)) = outcome.map(|c| c.outcome) else {
            return Err(format!("replacement {i} did not end well"));
        };
        let Some(replaced) = new.replaced else {
            return Err("a replacement without the last reading".into());
        };
        let now = bench.readings()?.get(&new.handle).map_or(0, |c| c.packets);
        expect(replaced.packets + now >= 2 || i > 1, || {
            format!("{} + {now} packets counted", replaced.packets)
        })?;
        handle = new.handle;
    }
    // A replacement that is refused leaves the rule that is there.
    let mut beyond = rule(7, 99);
    beyond.actions.push(Action::Output(DpPort(4_000_000)));
    let outcome = bench.run(RuleOp::Replace {
        key,
        handle,
        rule: beyond,
    })?;
    expect(
        matches!(outcome, Outcome::Failed(RuleError::Unsupported(_))),
        || format!("an unknown port: {outcome:?}"),
    )?;
    expect((bench.inject)(&frame(7)) == 1, || {
        "a refused replacement took the rule away".into()
    })
}

fn generations(bench: &mut Bench) -> Verdict {
    let old = bench.add(1, rule(7, 0))?;
    bench.remove(1, old)?;
    let new = bench.add(2, rule(8, 0))?;
    expect(old != new, || "a handle was given out twice".into())?;
    for op in [
        RuleOp::Remove {
            key: RuleKey(1),
            handle: old,
        },
        RuleOp::Replace {
            key: RuleKey(1),
            handle: old,
            rule: rule(9, 0),
        },
        RuleOp::Remove {
            key: RuleKey(1),
            handle: RuleHandle {
                index: u32::MAX,
                generation: 0,
            },
        },
    ] {
        let outcome = bench.run(op)?;
        expect(outcome == Outcome::Failed(RuleError::Stale), || {
            format!("a stale handle: {outcome:?}")
        })?;
    }
    expect(bench.device.stats().rules == 1, || "a rule went".into())?;
    expect((bench.inject)(&frame(9)) == 0, || "a rule came".into())?;
    expect((bench.inject)(&frame(8)) == 1, || {
        "the rule does not forward".into()
    })
}

fn full_queue(bench: &mut Bench) -> Verdict {
    let queue = bench.device.capabilities().queue;
    let mut accepted = 0;
    for i in 0..=queue + 1 {
        let op = RuleOp::Add {
            key: RuleKey(i as u64),
            rule: rule(i as u16, i as u128),
        };
        match bench.device.submit(op.clone()) {
            Ok(_) => accepted += 1,
            Err(back) => {
                expect(back == op, || format!("{op:?} came back as {back:?}"))?;
                expect(accepted == queue, || {
                    format!("{accepted} of {queue} fit the queue")
                })?;
                expect(bench.device.stats().in_flight == queue, || {
                    "the queue is full and does not say so".into()
                })?;
                let done = bench.finish(queue)?;
                expect(done.len() == queue, || format!("{} ended", done.len()))?;
                return bench.add(1 << 40, rule(65000, 0)).map(|_| ());
            }
        }
    }
    // A queue that drains by itself cannot be filled; it was never refused.
    bench.finish(accepted).map(|_| ())
}

fn shared_objects(bench: &mut Bench) -> Verdict {
    let count = |bench: &Bench| bench.device.stats().shared_objects;
    let none = count(bench);
    let one = bench.add(1, rule(1, 5))?;
    let with_one = count(bench);
    expect(with_one > none, || "a rewrite is not counted".into())?;
    let two = bench.add(2, rule(2, 5))?;
    expect(count(bench) == with_one, || "equal rewrites: two".into())?;
    let three = bench.add(3, rule(3, 6))?;
    expect(count(bench) > with_one, || "different rewrites: one".into())?;
    bench.remove(3, three)?;
    bench.remove(1, one)?;
    expect(count(bench) == with_one, || {
        "the rewrite went with the first rule".into()
    })?;
    // A replacement by an equal rule keeps the object.
    let outcome = bench.run(RuleOp::Replace {
        key: RuleKey(2),
        handle: two,
        rule: rule(2, 5),
    })?;
    let Outcome::Installed(two) = outcome else {
        return Err(format!("a replacement: {outcome:?}"));
    };
    expect(count(bench) == with_one, || "a replacement leaks".into())?;
    bench.remove(2, two.handle)?;
    expect(count(bench) == none, || {
        "the rewrite outlives its last rule".into()
    })
}

fn counters(bench: &mut Bench) -> Verdict {
    let frame = frame(7);
    let handle = bench.add(1, rule(7, 0))?;
    let mut before = Counter::default();
    for i in 1..=30u64 {
        (bench.inject)(&frame);
        let now = bench.readings()?.get(&handle).copied();
        let now = now.ok_or("a rule without a reading")?;
        expect(
            now.packets >= before.packets && now.used >= before.used,
            || format!("{before:?} fell to {now:?}"),
        )?;
        expect(now.bytes == now.packets * frame.len() as u64, || {
            format!("{now:?} of frames of {} bytes", frame.len())
        })?;
        expect(now.packets <= i, || format!("{now:?} after {i} packets"))?;
        before = now;
    }
    let outcome = bench.remove(1, handle)?;
    let Outcome::Removed(last) = outcome else {
        return Err(format!("a removal: {outcome:?}"));
    };
    expect(last.packets == 30, || format!("the last reading: {last:?}"))?;
    expect(last.used.is_some(), || "30 packets, never used".into())?;
    let left = bench.readings()?;
    expect(left.is_empty(), || format!("a rule that is gone: {left:?}"))
}

fn reset(bench: &mut Bench) -> Verdict {
    let epoch = bench.device.epoch();
    let old = bench.add(1, rule(7, 3))?;
    let mut tickets = BTreeSet::new();
    for i in 0..10u16 {
        tickets.insert(bench.submit(RuleOp::Add {
            key: RuleKey(u64::from(i) + 10),
            rule: rule(i + 10, 3),
        })?);
    }
    (bench.inject)(&frame(7));
    let readings = bench.device.reset().map_err(|e| e.to_string())?;
    let told = readings.iter().find(|r| r.handle == old);
    expect(
        told.is_some_and(|r| r.key == RuleKey(1) && r.counter.packets == 1),
        || format!("the last reading of a rule that the reset took: {told:?}"),
    )?;
    expect(bench.device.epoch() > epoch, || "the epoch stands".into())?;
    for completion in bench.finish(10)? {
        expect(completion.outcome == Outcome::Lost, || {
            format!("of an older epoch: {completion:?}")
        })?;
        expect(tickets.remove(&completion.ticket), || {
            format!("twice, or never asked for: {completion:?}")
        })?;
    }
    let stats = bench.device.stats();
    expect(
        (stats.rules, stats.shared_objects, stats.in_flight) == (0, 0, 0),
        || format!("after a reset: {stats:?}"),
    )?;
    expect((bench.inject)(&frame(7)) == 0, || "a rule survives".into())?;
    let outcome = bench.remove(1, old)?;
    expect(outcome == Outcome::Failed(RuleError::Stale), || {
        format!("a handle of an older epoch: {outcome:?}")
    })?;
    let new = bench.add(1, rule(7, 3))?;
    expect(new != old, || "a handle comes back after a reset".into())
}

fn completes_once(bench: &mut Bench) -> Verdict {
    random_operations(bench, 1, 400, 0)
}

/// Holds a device to all clauses over `count` random operations on few keys, one in `reset_every`
/// steps being a reset (0 = none). The same seed gives the same run.
///
/// # Errors
/// What was seen that the contract does not allow.
pub fn random_operations(bench: &mut Bench, seed: u64, count: usize, reset_every: u32) -> Verdict {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut model = Model::default();
    let mut last_ticket = Ticket(0);
    for _ in 0..count {
        if reset_every > 0 && dice.u32(0..reset_every) == 0 {
            bench.device.reset().map_err(|e| e.to_string())?;
            model.held.clear();
            for completion in bench.finish(model.pending.len())? {
                let known = model.pending.remove(&completion.ticket).is_some();
                expect(known && completion.outcome == Outcome::Lost, || {
                    format!("after a reset: {completion:?}")
                })?;
            }
        }
        let key = RuleKey(dice.u64(1..=8));
        if !model.is_busy(key) {
            let new = rule(port_of(key), dice.u128(0..4));
            let held = model.held.get(&key).map(|held| held.handle);
            let op = match held {
                None => RuleOp::Add { key, rule: new },
                Some(handle) if dice.bool() => RuleOp::Replace {
                    key,
                    handle,
                    rule: new,
                },
                Some(handle) => RuleOp::Remove { key, handle },
            };
            let ticket = bench.submit(op.clone())?;
            expect(ticket > last_ticket, || format!("{ticket} came again"))?;
            last_ticket = ticket;
            model.pending.insert(ticket, op);
        }
        let held: Vec<RuleKey> = model.held.keys().copied().collect();
        if let Some(&key) = held.get(dice.usize(0..held.len().max(1)))
            && !model.is_busy(key)
        {
            let left = (bench.inject)(&frame(port_of(key)));
            expect(left == 1, || format!("a held rule forwarded {left} frames"))?;
            model.carried(key);
        }
        let mut done = Vec::new();
        bench.poll(&mut done)?;
        model.ended(done)?;
        if dice.u32(0..4) == 0 {
            (bench.wait)();
        }
    }
    let rest = bench.finish(model.pending.len())?;
    model.ended(rest)?;
    let readings = bench.readings()?;
    let read: BTreeMap<_, _> = readings.iter().map(|(h, c)| (*h, c.packets)).collect();
    let known = model.held.values().map(|h| (h.handle, h.packets)).collect();
    expect(read == known, || format!("{read:?}, but carried {known:?}"))
}

/// The UDP port whose frames the rules of a key match.
fn port_of(key: RuleKey) -> u16 {
    key.0 as u16
}

/// A rule that is known to be held.
#[derive(Clone, Copy, Debug)]
struct Held {
    handle: RuleHandle,
    packets: u64,
}

/// What is known of a device. A key has one operation in flight at most, and no packet is sent to
/// its rule meanwhile, so that each reading is known to the packet.
#[derive(Default)]
struct Model {
    pending: BTreeMap<Ticket, RuleOp>,
    held: BTreeMap<RuleKey, Held>,
}

impl Model {
    fn is_busy(&self, key: RuleKey) -> bool {
        self.pending.values().any(|op| op.key() == key)
    }

    fn carried(&mut self, key: RuleKey) {
        if let Some(held) = self.held.get_mut(&key) {
            held.packets += 1;
        }
    }

    fn ended(&mut self, done: Vec<Completion>) -> Verdict {
        for completion in done {
            let Some(op) = self.pending.remove(&completion.ticket) else {
                return Err(format!("twice, or never asked for: {completion:?}"));
            };
            let key = op.key();
            let before = self.held.get(&key).copied();
            let (last, new) = match (&op, &completion.outcome) {
                (RuleOp::Add { .. }, Outcome::Installed(new)) => (new.replaced, Some(new.handle)),
                (RuleOp::Replace { .. }, Outcome::Installed(new)) => {
                    (new.replaced, Some(new.handle))
                }
                (RuleOp::Remove { .. }, Outcome::Removed(last)) => (Some(*last), None),
                // A device may refuse a rule; then nothing changed.
                (RuleOp::Add { .. } | RuleOp::Replace { .. }, Outcome::Failed(_)) => continue,
                (op, outcome) => return Err(format!("{op:?} ended with {outcome:?}")),
            };
            let read = last.map(|last| last.packets);
            let carried = before.map(|held| held.packets);
            expect(read == carried, || {
                format!("the last reading is {read:?}, carried {carried:?}")
            })?;
            self.held.remove(&key);
            if let Some(handle) = new {
                self.held.insert(key, Held { handle, packets: 0 });
            }
        }
        Ok(())
    }
}
