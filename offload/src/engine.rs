//! The face of the room.

use crate::device::{Device, Health};
use crate::face::{Admit, Event, Placement};
use crate::flow::{Flow, Keys, State};
use crate::placement::Settings;
use crate::report::Report;
use crate::resume::{ResumeIds, recircs};
use clock::{Clock, Time};
use hal::{
    DpPort, FlowDevice, FlowPut, FlowStats, PacketPort, PortError, RecircId, ResumeTable, RuleKey,
    Ufid,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Time between two plans.
pub(crate) const PLAN: Duration = Duration::from_millis(100);
/// Counters are read no more often than this, and no less often than [`COUNTERS_MAX`].
const COUNTERS_MIN: Duration = Duration::from_millis(20);
const COUNTERS_MAX: Duration = Duration::from_millis(500);
/// What reading one counter may cost on the average.
const COUNTERS_EACH: Duration = Duration::from_micros(10);
/// Steps of one call of [`Engine::run`]: enough for a chain of recirculations.
const ROUNDS: usize = 16;

/// Decides which megaflow lives where, and sees to it.
pub struct Engine {
    pub(crate) clock: Clock,
    pub(crate) enabled: bool,
    pub(crate) admit: Admit,
    pub(crate) settings: Settings,
    pub(crate) devices: Vec<Device>,
    /// Devices, the most wanted first.
    pub(crate) order: Vec<usize>,
    pub(crate) ports: HashMap<DpPort, usize>,
    /// Raised with each change of what could be placed where.
    pub(crate) generation: u64,
    pub(crate) flows: BTreeMap<RuleKey, Flow>,
    pub(crate) keys: HashMap<Ufid, RuleKey>,
    next_key: u64,
    /// Flows by the recirculation that they come from.
    pub(crate) at: HashMap<RecircId, Keys>,
    /// Flows by the recirculations that they lead to.
    pub(crate) into: HashMap<RecircId, Keys>,
    /// Flows to look at anew.
    pub(crate) todo: Keys,
    /// Flows to look at anew at some time.
    pub(crate) later: BTreeSet<(Time, RuleKey)>,
    /// Flows in software that are fast enough for a rule.
    pub(crate) hot: Keys,
    pub(crate) next_plan: Time,
    pub(crate) resume: ResumeIds,
    pub(crate) events: Vec<Event>,
    /// Counters are to be read at the next run.
    counters_wanted: bool,
}

impl Engine {
    /// An engine without devices, turned off.
    pub fn new(clock: Clock) -> Engine {
        Engine {
            next_plan: clock.now(),
            clock,
            enabled: false,
            admit: Admit::Policy,
            settings: Settings::default(),
            devices: Vec::new(),
            order: Vec::new(),
            ports: HashMap::new(),
            generation: 0,
            flows: BTreeMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            at: HashMap::new(),
            into: HashMap::new(),
            todo: Keys::new(),
            later: BTreeSet::new(),
            hot: Keys::new(),
            resume: ResumeIds::default(),
            events: Vec::new(),
            counters_wanted: false,
        }
    }

    /// Takes a device under the name by which ports refer to it. A name that is taken keeps its
    /// device.
    pub fn add_device(&mut self, name: &str, device: Box<dyn FlowDevice>) {
        if !self.has_device(name) {
            let device = Device::new(name, device, self.clock.now());
            self.devices.push(device);
            self.order.push(self.devices.len() - 1);
            self.world_changed();
        }
    }

    /// Whether a device of this name is here.
    pub fn has_device(&self, name: &str) -> bool {
        self.device_index(name).is_some()
    }

    pub(crate) fn device_index(&self, name: &str) -> Option<usize> {
        self.devices.iter().position(|d| d.name == name)
    }

    /// Lets devices go that have lost their last port, as soon as they hold no rule of ours.
    fn drop_idle(&mut self) {
        while let Some(d) = self.devices.iter().position(Device::is_idle) {
            self.devices.remove(d);
            let moved = |i: usize| i - usize::from(i > d);
            self.order.retain(|i| *i != d);
            self.order.iter_mut().for_each(|i| *i = moved(*i));
            self.ports.values_mut().for_each(|i| *i = moved(*i));
            for flow in self.flows.values_mut() {
                flow.device_left(d);
            }
            self.world_changed();
        }
    }

    /// Opens a port of a device.
    ///
    /// # Errors
    /// There is no such device, or it would not open the port.
    pub fn open_port(
        &mut self,
        device: &str,
        port: &str,
        wire: Option<&str>,
    ) -> Result<Arc<dyn PacketPort>, PortError> {
        let Some(index) = self.device_index(device) else {
            return Err(PortError::NoDevice {
                name: format!("{device} {port}"),
                why: "no such device".into(),
            });
        };
        self.devices[index].face.open_port(port, wire)
    }

    /// Tells a device the datapath's number of one of its ports; none takes it away, and the
    /// rules that use it.
    pub fn bind_port(&mut self, device: &str, port: &str, number: Option<DpPort>) {
        let Some(index) = self.device_index(device) else {
            return;
        };
        let old = self.devices[index].ports.get(port).copied();
        if old == number {
            return;
        }
        if let Some(old) = old {
            self.devices[index].ports.remove(port);
            if self.ports.get(&old) == Some(&index) {
                self.ports.remove(&old);
            }
            self.world_changed();
            // The rules are asked to go before the device forgets the port.
            self.turn(self.clock.now());
        }
        if let Some(number) = number {
            self.devices[index].ports.insert(port.into(), number);
            self.devices[index].was_used = true;
            self.ports.insert(number, index);
        }
        self.devices[index].face.bind_port(port, number);
        self.world_changed();
    }

    /// Where missed packets go on. It may be read from any thread, without a lock.
    pub fn resume_table(&self) -> Arc<dyn ResumeTable> {
        self.resume.table()
    }

    /// Turns offloading on or off (`hw-offload`). Off, all rules leave the devices.
    pub fn set_enabled(&mut self, enabled: bool) {
        if self.enabled != enabled {
            self.enabled = enabled;
            self.world_changed();
        }
    }

    /// When flows are admitted (`offload-admit`).
    pub fn set_admit(&mut self, admit: Admit) {
        if self.admit != admit {
            self.admit = admit;
            self.world_changed();
        }
    }

    /// The dials of the policy.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.world_changed();
    }

    /// Which devices are preferred, by name, the most wanted first (`hw-offload-priority`).
    /// Those that are not named follow in the order in which they came.
    pub fn set_priority(&mut self, order: &[String]) {
        let named = order.iter().filter_map(|n| self.device_index(n));
        let mut indices: Vec<usize> = Vec::new();
        for i in named.chain(0..self.devices.len()) {
            if !indices.contains(&i) {
                indices.push(i);
            }
        }
        self.order = indices;
    }

    /// Everything is to be looked at anew.
    fn world_changed(&mut self) {
        self.generation += 1;
        self.todo.extend(self.flows.keys());
    }

    /// A flow is now in software.
    pub fn flow_added(&mut self, put: &FlowPut) {
        if self.keys.contains_key(&put.ufid) {
            return self.flow_changed(put);
        }
        self.next_key += 1;
        let key = RuleKey(self.next_key);
        let flow = Flow::new(put, self.clock.now());
        self.keys.insert(put.ufid, key);
        self.index(key, &flow, true);
        self.flows.insert(key, flow);
        // Under the policy a flow is not looked at until it is fast: most never are.
        if self.admit == Admit::Always || self.supports(key) {
            self.todo.insert(key);
        }
        self.touch_successors(key);
    }

    /// A flow's actions are now others in software.
    pub fn flow_changed(&mut self, put: &FlowPut) {
        let Some(&key) = self.keys.get(&put.ufid) else {
            return self.flow_added(put);
        };
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.recircs.clear();
        recircs(&put.actions, &mut flow.recircs);
        *flow.put = put.clone();
        flow.version += 1;
        flow.checked = None;
        flow.refused = None;
        flow.leaving = false;
        self.follow_leads(key);
        self.touch_successors(key);
        self.todo.insert(key);
    }

    /// What a flow has carried in all, as the datapath counts it: the device's share, which came
    /// as [`Event::Credit`], included. To be called for every flow from time to time, a second
    /// apart at the most; from this the engine learns which flows are fast.
    pub fn observe(&mut self, ufid: Ufid, stats: &FlowStats) {
        let Some(key) = self.keys.get(&ufid) else {
            return;
        };
        let now = self.clock.now();
        if let Some(flow) = self.flows.get_mut(key) {
            flow.meter.observe(stats, now);
            let fast = flow.meter.rate() >= self.settings.admit_rate;
            if fast && flow.want.is_none() && !flow.leaving {
                self.hot.insert(*key);
            } else {
                if !fast {
                    flow.verdict = None;
                }
                self.hot.remove(key);
            }
        }
    }

    /// The next [`Engine::run`] reads all counters, however short a time ago that was: for who
    /// wants to see statistics now.
    pub fn want_counters(&mut self) {
        self.counters_wanted = true;
    }

    /// A flow is to go. True if it may go at once: no device holds it, and all that rules counted
    /// for it has been told. Else [`Event::Released`] will say so, after the last
    /// [`Event::Credit`].
    pub fn flow_removed(&mut self, ufid: Ufid) -> bool {
        let Some(&key) = self.keys.get(&ufid) else {
            return true;
        };
        self.retire(key);
        let Some(flow) = self.flows.get_mut(&key) else {
            return true;
        };
        if matches!(flow.state, State::Software) {
            self.forget(key);
            // A rule that has just gone may have left a reading that nobody has fetched yet.
            let is_credit = |e: &Event| matches!(e, Event::Credit { ufid: u, .. } if *u == ufid);
            let owed = self.events.iter().any(is_credit);
            if owed {
                self.events.push(Event::Released { ufid });
            }
            return !owed;
        }
        flow.leaving = true;
        self.hot.remove(&key);
        false
    }

    /// Takes a flow that no device holds out of all lists.
    pub(crate) fn forget(&mut self, key: RuleKey) {
        self.touch_successors(key);
        if let Some(flow) = self.flows.remove(&key) {
            self.keys.remove(&flow.put.ufid);
            self.index(key, &flow, false);
        }
        self.hot.remove(&key);
        self.todo.remove(&key);
        for device in &mut self.devices {
            device.waiting.remove(&key);
        }
    }

    /// Keeps the lists of who leads where true after a flow's actions or rules have changed.
    pub(crate) fn follow_leads(&mut self, key: RuleKey) {
        let Some(flow) = self.flows.get(&key) else {
            return;
        };
        let leads = flow.leads_now();
        if leads == flow.leads {
            return;
        }
        self.touch_successors(key);
        if let Some(mut flow) = self.flows.remove(&key) {
            self.index(key, &flow, false);
            flow.leads = leads;
            self.index(key, &flow, true);
            self.flows.insert(key, flow);
        }
        self.touch_successors(key);
    }

    fn index(&mut self, key: RuleKey, flow: &Flow, there: bool) {
        fn put(map: &mut HashMap<RecircId, Keys>, id: RecircId, key: RuleKey, there: bool) {
            if there {
                map.entry(id).or_default().insert(key);
            } else if let Some(keys) = map.get_mut(&id) {
                keys.remove(&key);
                if keys.is_empty() {
                    map.remove(&id);
                }
            }
        }
        if flow.recirc().0 != 0 {
            put(&mut self.at, flow.recirc(), key, there);
        }
        for id in &flow.leads {
            put(&mut self.into, *id, key, there);
        }
    }

    /// Where a flow lives. A rule that is being removed is still there.
    pub fn placement(&self, ufid: Ufid) -> Placement {
        let Some((key, flow)) = self
            .keys
            .get(&ufid)
            .and_then(|k| Some((*k, self.flows.get(k)?)))
        else {
            return Placement::Software(self.unknown());
        };
        match flow.state.held() {
            Some(held) => Placement::Hardware {
                device: self.devices[held.form.device].name.clone(),
            },
            None => Placement::Software(self.reason(key, flow)),
        }
    }

    /// How many flows live in devices.
    pub fn offloaded(&self) -> usize {
        self.devices.iter().map(|d| d.handles.len()).sum()
    }

    /// Devices with their capabilities, occupancy, rates and queues, for people and programs.
    pub fn report(&self) -> Report {
        Report::of(self)
    }

    /// Does what there is to do.
    pub fn run(&mut self) -> Vec<Event> {
        let now = self.clock.now();
        self.turn(now);
        let wanted = std::mem::take(&mut self.counters_wanted);
        for d in 0..self.devices.len() {
            let device = &self.devices[d];
            let held = u32::try_from(device.handles.len()).unwrap_or(u32::MAX);
            let pause = COUNTERS_EACH.saturating_mul(held);
            let pause = pause.clamp(COUNTERS_MIN, COUNTERS_MAX);
            if device.is_up() && held != 0 && (wanted || now - device.counters_read >= pause) {
                self.read_counters(d, now);
            }
        }
        self.drop_idle();
        std::mem::take(&mut self.events)
    }

    /// Decides and acts until nothing moves, or long enough.
    fn turn(&mut self, now: Time) {
        for _ in 0..ROUNDS {
            let mut moved = false;
            for d in 0..self.devices.len() {
                moved |= self.recover(d, now);
                moved |= self.poll(d, now);
            }
            moved |= self.decide(now);
            for i in 0..self.order.len() {
                moved |= self.pump(self.order[i], now);
            }
            if !moved {
                break;
            }
        }
    }

    /// When there will be something to do.
    pub fn next_deadline(&self) -> Time {
        let now = self.clock.now();
        let mut next = Time::NEVER;
        if !self.todo.is_empty() {
            next = now;
        }
        if let Some((t, _)) = self.later.first() {
            next = next.min(*t);
        }
        if self.enabled && !self.hot.is_empty() && !self.devices.is_empty() {
            next = next.min(self.next_plan);
        }
        for device in &self.devices {
            let at = match &device.health {
                Health::Down { retry, .. } => *retry,
                Health::Up { .. } => {
                    let busy = !device.tickets.is_empty()
                        || !device.urgent.is_empty()
                        || !device.adds.is_empty();
                    if busy {
                        device.next_poll(now)
                    } else if !device.handles.is_empty() {
                        device.counters_read + COUNTERS_MAX
                    } else {
                        Time::NEVER
                    }
                }
            };
            next = next.min(at);
        }
        next
    }
}
