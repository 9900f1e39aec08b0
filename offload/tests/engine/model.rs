//! A device in memory, with all faults to order, and a test's hands on it.

use clock::{Clock, Time};
use hal::*;
use offload::{Admit, Engine, Event, Placement};
use packet::{FieldId, FlowMask, PacketKey};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A rule in the model.
pub struct Held {
    pub key: RuleKey,
    pub rule: Rule,
    counter: Counter,
    /// What somebody has been told of it.
    told: u64,
    /// Somebody has been told that it is here.
    heard: bool,
}

impl Held {
    /// The flow's own number: the destination address that it matches.
    pub fn flow(&self) -> u64 {
        flow_of(&self.rule)
    }
}

fn flow_of(rule: &Rule) -> u64 {
    let m = rule.matches.iter().find(|m| m.field == FieldId::EthDst);
    m.map_or(0, |m| m.value as u64)
}

pub struct Model {
    capabilities: Capabilities,
    epoch: u64,
    tickets: u64,
    queue: VecDeque<(Ticket, RuleOp)>,
    done: Vec<Completion>,
    pub rules: BTreeMap<u32, (u32, Held)>,
    generations: BTreeMap<u32, u32>,
    /// The rule that the last operation took away.
    gone: Option<(RuleHandle, Held)>,
    /// Packets that it forwarded and has not forgotten in a reset, by flow.
    pub counted: BTreeMap<u64, u64>,
    /// Polls fail until it is reset.
    pub broken: bool,
    /// It cannot be reset.
    pub dead: bool,
    /// It could not be reset once: the next time it knows nothing of what it carried.
    forgetful: bool,
    /// It accepts operations and does nothing.
    pub asleep: bool,
    /// So many ends of operations to come are not told.
    pub hush: u32,
    /// Rules that it took away and did not tell of.
    unheard: Vec<(LastReading, Held)>,
    /// It cannot replace: there is no room for two rules.
    pub no_room: bool,
    /// Operations that it carries out between two polls.
    pub pace: usize,
    dice: fastrand::Rng,
    /// What its misses are looked up in.
    table: Arc<dyn ResumeTable>,
    /// So many insertions to come fail.
    pub refuse: u32,
    /// Operations on rules that were not there.
    pub stale: u32,
    pub ports: BTreeMap<String, DpPort>,
    pub peak: usize,
}

impl Model {
    pub fn forward(&mut self, flow: u64, packets: u64) {
        for (_, held) in self.rules.values_mut() {
            if flow_of(&held.rule) == flow {
                held.counter.packets += packets;
                held.counter.bytes += packets * 100;
                *self.counted.entry(flow).or_default() += packets;
            }
        }
    }

    /// It forgets everything by itself.
    pub fn reset(&mut self) {
        self.epoch += 1;
        let held = std::mem::take(&mut self.rules).into_values();
        let unheard = std::mem::take(&mut self.unheard).into_iter();
        for held in held.map(|(_, h)| h).chain(unheard.map(|(_, h)| h)) {
            let unread = held.counter.packets - held.told;
            *self.counted.entry(held.flow()).or_default() -= unread;
        }
        for (ticket, _) in self.queue.drain(..) {
            let outcome = Outcome::Lost;
            self.done.push(Completion { ticket, outcome });
        }
    }

    pub fn flows(&self) -> BTreeSet<u64> {
        self.rules.values().map(|(_, h)| h.flow()).collect()
    }

    fn install(&mut self, key: RuleKey, rule: Rule) -> RuleHandle {
        let taken = self.rules.values().any(|(_, h)| h.key == key);
        assert!(!taken, "one flow has one rule");
        let index = (0..).find(|i| !self.rules.contains_key(i)).unwrap_or(0);
        let generation = self.generations.entry(index).or_default();
        *generation += 1;
        let held = Held {
            key,
            rule,
            counter: Counter::default(),
            told: 0,
            heard: true,
        };
        let handle = RuleHandle {
            index,
            generation: *generation,
        };
        self.rules.insert(index, (handle.generation, held));
        self.peak = self.peak.max(self.rules.len());
        handle
    }

    fn uninstall(&mut self, handle: RuleHandle) -> Option<Counter> {
        let there = self.rules.get(&handle.index);
        if there.is_none_or(|(g, _)| *g != handle.generation) {
            self.stale += 1;
            return None;
        }
        let (_, held) = self.rules.remove(&handle.index)?;
        let counter = held.counter;
        self.gone = Some((handle, held));
        Some(counter)
    }

    /// At any moment a miss resumes in the state that software would have reached.
    fn assert_honest(&self) {
        let mark = |id| self.table.resolve(id).map(|s| (s.recirc_id, s.pkt_mark));
        let field = |rule: &Rule, field| {
            let m = rule.matches.iter().find(|m| m.field == field);
            m.map(|m| m.value)
        };
        let rules = || self.rules.values().map(|(_, h)| &h.rule);
        for rule in rules() {
            let Some(id) = rule.resume else {
                continue;
            };
            let said = mark(id).expect("a number that a rule carries is in use");
            let next = |a: &Action| matches!(a, Action::Recirc(id) if id.0 == said.0);
            assert!(rule.actions.iter().any(next), "{said:?} {rule:?}");
            let set = rule.actions.iter().find_map(|a| match a {
                Action::Set { value, .. } => Some(*value as u32),
                _ => None,
            });
            // The marks of packets that come here, in this device, by the same port.
            let port = |r| field(r, FieldId::InPortOxm);
            let before = rules().filter(|r| {
                let leads = r.actions.contains(&Action::Recirc(rule.recirc));
                leads && port(r) == port(rule) && *r != rule
            });
            let before = before.filter_map(|r| Some(mark(r.resume?)?.1));
            let arriving = (rule.recirc.0 == 0).then_some(0);
            for mark in before.chain(arriving) {
                assert_eq!(said.1, set.unwrap_or(mark), "{rule:?}");
            }
        }
    }

    /// The next operation: any that is the first of its key.
    fn next(&mut self) -> Option<(Ticket, RuleOp)> {
        if self.asleep || self.queue.is_empty() {
            return None;
        }
        let any = self.dice.usize(0..self.queue.len());
        let key = self.queue[any].1.key();
        let first = self.queue.iter().position(|(_, op)| op.key() == key)?;
        self.queue.remove(first)
    }

    fn refused(&mut self) -> bool {
        let refused = self.refuse > 0;
        self.refuse = self.refuse.saturating_sub(1);
        refused
    }

    fn execute(&mut self, op: RuleOp) -> Outcome {
        match op {
            RuleOp::Add { .. } | RuleOp::Replace { .. } if self.refused() => {
                Outcome::Failed(RuleError::Fault("no".into()))
            }
            RuleOp::Replace { .. } if self.no_room => Outcome::Failed(RuleError::TableFull),
            RuleOp::Add { .. } if self.rules.len() >= self.capabilities.rules => {
                Outcome::Failed(RuleError::TableFull)
            }
            RuleOp::Add { key, rule } => Outcome::Installed(Installed {
                handle: self.install(key, rule),
                replaced: None,
            }),
            RuleOp::Replace { key, handle, rule } => match self.uninstall(handle) {
                None => Outcome::Failed(RuleError::Stale),
                Some(old) => Outcome::Installed(Installed {
                    handle: self.install(key, rule),
                    replaced: Some(old),
                }),
            },
            RuleOp::Remove { handle, .. } => match self.uninstall(handle) {
                None => Outcome::Failed(RuleError::Stale),
                Some(old) => Outcome::Removed(old),
            },
        }
    }
}

pub struct ModelDevice(Arc<Mutex<Model>>, Capabilities);

impl ModelDevice {
    fn lock(&self) -> MutexGuard<'_, Model> {
        self.0
            .lock()
            .expect("no test panics while it holds the model")
    }

    fn error(&self) -> DeviceError {
        DeviceError {
            device: "model".into(),
            what: "it smokes".into(),
        }
    }
}

impl FlowDevice for ModelDevice {
    fn name(&self) -> &str {
        "model"
    }
    fn capabilities(&self) -> &Capabilities {
        &self.1
    }
    fn epoch(&self) -> Epoch {
        Epoch(self.lock().epoch)
    }
    fn submit(&mut self, op: RuleOp) -> Result<Ticket, RuleOp> {
        let mut model = self.lock();
        if model.queue.len() >= model.capabilities.queue {
            return Err(op);
        }
        if let RuleOp::Add { rule, .. } | RuleOp::Replace { rule, .. } = &op {
            let ports: BTreeSet<DpPort> = model.ports.values().copied().collect();
            let fits = model.capabilities.check(rule, &|p| ports.contains(&p));
            assert!(fits.is_ok(), "{fits:?}: {rule:?}");
            assert_eq!(fits.map(|c| c.resumes), Ok(rule.resume.is_some()));
        }
        model.tickets += 1;
        let ticket = Ticket(model.tickets);
        model.queue.push_back((ticket, op));
        Ok(ticket)
    }
    fn poll(&mut self, done: &mut Vec<Completion>) -> Result<(), DeviceError> {
        let mut model = self.lock();
        if model.broken {
            return Err(self.error());
        }
        done.append(&mut model.done);
        let pace = model.pace;
        for _ in 0..pace {
            let Some((ticket, op)) = model.next() else {
                break;
            };
            let outcome = model.execute(op);
            model.assert_honest();
            let gone = model.gone.take();
            if model.hush > 0 {
                model.hush -= 1;
                if let Outcome::Installed(installed) = &outcome
                    && let Some((_, held)) = model.rules.get_mut(&installed.handle.index)
                {
                    held.heard = false;
                }
                model.unheard.extend(gone.map(|(handle, held)| {
                    let reading = LastReading {
                        key: held.key,
                        handle,
                        counter: held.counter,
                    };
                    (reading, held)
                }));
                continue;
            }
            done.push(Completion { ticket, outcome });
        }
        Ok(())
    }
    fn read_counters(&mut self, out: &mut Vec<(RuleHandle, Counter)>) -> Result<(), DeviceError> {
        let mut model = self.lock();
        if model.broken {
            return Err(self.error());
        }
        for (index, (generation, held)) in &mut model.rules {
            // Nobody knows whose a reading is before he has heard of the rule.
            if held.heard {
                held.told = held.counter.packets;
            }
            let handle = RuleHandle {
                index: *index,
                generation: *generation,
            };
            out.push((handle, held.counter));
        }
        Ok(())
    }
    fn reset(&mut self) -> Result<Vec<LastReading>, DeviceError> {
        let mut model = self.lock();
        if model.dead {
            model.forgetful = true;
            return Err(self.error());
        }
        model.broken = false;
        if std::mem::take(&mut model.forgetful) {
            model.reset();
            return Ok(Vec::new());
        }
        let unheard = std::mem::take(&mut model.unheard).into_iter();
        let mut readings: Vec<_> = unheard.map(|(reading, _)| reading).collect();
        for (index, (generation, held)) in &mut model.rules {
            held.told = held.counter.packets;
            let handle = RuleHandle {
                index: *index,
                generation: *generation,
            };
            readings.push(LastReading {
                key: held.key,
                handle,
                counter: held.counter,
            });
        }
        model.reset();
        Ok(readings)
    }
    fn open_port(&mut self, port: &str, _: Option<&str>) -> Result<Arc<dyn PacketPort>, PortError> {
        Err(PortError::NoDevice {
            name: port.into(),
            why: "the model has no ports".into(),
        })
    }
    fn bind_port(&mut self, port: &str, number: Option<DpPort>) {
        match number {
            Some(n) => self.lock().ports.insert(port.into(), n),
            None => self.lock().ports.remove(port),
        };
    }
    fn stats(&self) -> DeviceStats {
        let model = self.lock();
        DeviceStats {
            rules: model.rules.len(),
            in_flight: model.queue.len(),
            ..DeviceStats::default()
        }
    }
}

pub fn capabilities(rules: usize, queue: usize) -> Capabilities {
    let table = TableCapabilities {
        match_exact: [FieldId::InPort, FieldId::EthDst].into(),
        match_masked: FieldSet::new(),
        actions: ["output", "set", "recirc"].into(),
        set: [FieldId::PktMark].into(),
        set_masked: FieldSet::new(),
        max_actions: 3,
        single_form: false,
    };
    Capabilities {
        tables: vec![table.clone(), table],
        rules,
        queue,
        inserts_per_second: 0,
        resume_bits: 8,
    }
}

/// An engine with one or more models, and its owner.
pub struct Bench {
    pub clock: Clock,
    pub engine: Engine,
    pub models: Vec<Arc<Mutex<Model>>>,
    /// The software flows; true = it is leaving.
    pub software: BTreeMap<Ufid, bool>,
    pub credits: BTreeMap<u64, u64>,
    pub releases: usize,
}

impl Bench {
    pub fn new() -> Bench {
        let clock = Clock::stopped_at(0);
        Bench {
            engine: Engine::new(clock.clone()),
            clock,
            models: Vec::new(),
            software: BTreeMap::new(),
            credits: BTreeMap::new(),
            releases: 0,
        }
    }

    /// A bench with device `nic0`, ports 1 and 2, everything admitted at once.
    pub fn with_device(capabilities: Capabilities) -> Bench {
        let mut bench = Bench::new();
        bench.add_device("nic0", capabilities, &[1, 2]);
        bench.engine.set_enabled(true);
        bench.engine.set_admit(Admit::Always);
        bench
    }

    pub fn add_device(&mut self, name: &str, capabilities: Capabilities, ports: &[u32]) {
        let model = Arc::new(Mutex::new(Model {
            capabilities: capabilities.clone(),
            epoch: 0,
            tickets: 0,
            queue: VecDeque::new(),
            done: Vec::new(),
            rules: BTreeMap::new(),
            generations: BTreeMap::new(),
            gone: None,
            counted: BTreeMap::new(),
            broken: false,
            dead: false,
            forgetful: false,
            asleep: false,
            hush: 0,
            unheard: Vec::new(),
            refuse: 0,
            table: self.engine.resume_table(),
            pace: usize::MAX,
            dice: fastrand::Rng::with_seed(1),
            no_room: false,
            stale: 0,
            ports: BTreeMap::new(),
            peak: 0,
        }));
        self.models.push(model.clone());
        let device = ModelDevice(model, capabilities);
        self.engine.add_device(name, Box::new(device));
        for p in ports {
            self.engine
                .bind_port(name, &format!("p{p}"), Some(DpPort(*p)));
        }
    }

    pub fn model(&self, i: usize) -> MutexGuard<'_, Model> {
        self.models[i]
            .lock()
            .expect("no test panics while it holds the model")
    }

    pub fn add(&mut self, put: &FlowPut) {
        self.software.insert(put.ufid, false);
        self.engine.flow_added(put);
    }

    pub fn remove(&mut self, flow: u64) {
        let ufid = Ufid(flow.into());
        if self.engine.flow_removed(ufid) {
            self.software.remove(&ufid);
        } else {
            self.software.insert(ufid, true);
        }
    }

    pub fn run(&mut self) {
        for event in self.engine.run() {
            match event {
                Event::Credit { ufid, stats } => {
                    assert!(self.software.contains_key(&ufid), "credit without a flow");
                    assert_eq!(stats.bytes, stats.packets * 100);
                    *self.credits.entry(ufid.0 as u64).or_default() += stats.packets;
                }
                Event::Released { ufid } => {
                    let leaving = self.software.remove(&ufid);
                    assert_eq!(leaving, Some(true), "released without being asked");
                    self.releases += 1;
                }
            }
        }
    }

    pub fn warp(&mut self, ms: u64) {
        self.clock.warp(Duration::from_millis(ms));
        self.run();
    }

    pub fn reason(&self, flow: u64) -> Option<Reason> {
        match self.engine.placement(Ufid(flow.into())) {
            Placement::Hardware { .. } => None,
            Placement::Software(reason) => Some(reason),
        }
    }

    pub fn in_hardware(&self, flow: u64) -> bool {
        self.reason(flow).is_none()
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }
}

/// A megaflow that matches its own number as destination address.
pub fn put(flow: u64, in_port: u32, recirc: u32, actions: &[Action]) -> FlowPut {
    let mut key = PacketKey::EMPTY;
    key.set(FieldId::InPortOxm, in_port.into());
    key.set(FieldId::RecircId, recirc.into());
    key.set(FieldId::EthDst, flow.into());
    let mut mask = FlowMask::ANY;
    for field in [FieldId::InPortOxm, FieldId::RecircId, FieldId::EthDst] {
        mask.add_all(field);
    }
    FlowPut {
        ufid: Ufid(flow.into()),
        key,
        mask,
        actions: actions.into(),
    }
}

pub fn output(port: u32) -> Action {
    Action::Output(DpPort(port))
}

pub fn recirc(id: u32) -> Action {
    Action::Recirc(RecircId(id))
}

pub fn mark(value: u128) -> Action {
    Action::Set {
        field: FieldId::PktMark,
        value,
        mask: FieldId::PktMark.full(),
    }
}
