//! A datapath with the bridges on it: upcalls, megaflows, revalidation.
//!
//! *Upcalls.* A packet that no megaflow matches is translated; the outcome becomes a megaflow, the
//! effects are applied at once (so that the next packet sees what this one taught), and the packet
//! is executed.
//!
//! *Megaflow keys* ([`Ukey`]) remember for each megaflow what its packets count for and what it
//! depends on. Statistics are pushed by replaying credits with what the datapath has counted
//! since the last time.
//!
//! *Revalidation* is in `backer/revalidation.rs`: two megaflows never disagree about a packet.

mod revalidation;

use revalidation::{PASS_STEP, Pass};

use crate::translate::{
    Carried, Credit, Depend, Effect, Input, Interner, Outcome, Start, packet_in_metadata, translate,
};
use crate::world::{BridgeId, World};
use clock::{Clock, Time};
use hal::{
    Action, Datapath, Execute, FlowPut, FlowStats, RecircId, Ufid, Upcall, UpcallKind, UserCookie,
    Work,
};
use openflow::{Cookie, OfPort, TableId};
use packet::{FieldId, FlowMask, FlowState, Mixer, Packet, PacketKey};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Upcalls handled before other work gets its turn.
const UPCALL_BATCH: usize = 64;
/// What a megaflow stands for.
struct Ukey {
    put: FlowPut,
    credits: Vec<Credit>,
    depends: Vec<Depend>,
    frozen: Vec<RecircId>,
    created: Time,
    /// Its place in the order in which passes go.
    order: u64,
    /// What has been pushed so far.
    pushed: FlowStats,
    /// It goes as soon as the device has let its rule go.
    leaving: bool,
}

/// How flows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    /// Idle flows go after so long.
    pub max_idle: Duration,
    /// More flows than this are not installed.
    pub flow_limit: usize,
    /// Time between two visits of all flows.
    pub max_revalidator: Duration,
}

impl Default for FlowLimits {
    fn default() -> FlowLimits {
        FlowLimits {
            max_idle: Duration::from_secs(10),
            flow_limit: 200_000,
            max_revalidator: Duration::from_millis(500),
        }
    }
}

/// What `upcall/*` and `revalidator/*` switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Flows match no more than was looked at; otherwise they match whole packets.
    pub megaflows: bool,
    /// Visits know flows by their identifiers; otherwise they look at them whole.
    pub ufids: bool,
    /// No flow is visited, whatever changes. Packets follow the tables as they were then.
    pub paused: bool,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes {
            megaflows: true,
            ufids: true,
            paused: false,
        }
    }
}

/// How many flows the visits of all flows have found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowHistory {
    /// On average, the last visits counting most.
    pub average: usize,
    /// At most.
    pub max: usize,
}

/// A packet for the controllers of a bridge.
#[derive(Clone, Debug)]
pub struct PacketInEvent {
    /// The bridge.
    pub bridge: BridgeId,
    /// The message; its format is the connection's to choose.
    pub message: openflow::PacketIn,
    /// Bytes of the packet that the action asked for.
    pub max_len: u16,
    /// Which controllers.
    pub controller_id: u16,
}

/// Lookups and matches of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TableCounters {
    pub lookups: u64,
    pub matched: u64,
}

/// A datapath with the bridges on it.
pub struct Backer {
    /// The fabric.
    pub datapath: Box<dyn Datapath>,
    /// What is configured: the newest world.
    pub world: World,
    /// The world that megaflows stand for, or will when the pass is over.
    current: World,
    /// Where megaflows live in hardware.
    pub offload: offload::Engine,
    /// How flows are kept.
    pub limits: FlowLimits,
    /// How flows are made and looked after, for tests and for people who look closely.
    modes: Modes,
    /// How many flows there have been.
    history: FlowHistory,
    /// Table counters by bridge and table.
    pub table_counters: BTreeMap<(BridgeId, u8), TableCounters>,
    clock: Clock,
    interner: Interner,
    ukeys: HashMap<Ufid, Ukey>,
    /// Flows on their way out, which no device holds.
    going: Vec<Ufid>,
    /// Megaflows in the order in which they came.
    order: BTreeMap<u64, Ufid>,
    installed: u64,
    pass: Option<Pass>,
    /// Packets that wait for a pass to end.
    upcalls: VecDeque<Upcall>,
    /// Packets for controllers that have come up.
    packet_ins: Vec<PacketInEvent>,
    /// Something that megaflows may depend on has changed since the last pass began.
    changed: bool,
    next_visit: Time,
    /// Frozen states that no flow used at the last visit.
    unused: HashSet<RecircId>,
}

/// The identifier of a megaflow: a hash of its masked key and its mask, so that two packets that
/// make the same megaflow make it once.
pub fn flow_id(key: &PacketKey, mask: &FlowMask) -> Ufid {
    let mut halves = [Mixer::new(1), Mixer::new(2)];
    for (i, w) in key.masked(mask).iter() {
        for h in &mut halves {
            h.add(i as u64);
            h.add(w);
        }
    }
    for (i, w) in mask.words.iter().enumerate().filter(|(_, w)| **w != 0) {
        for h in &mut halves {
            h.add(!(i as u64));
            h.add(*w);
        }
    }
    Ufid(u128::from(halves[0].finish()) << 64 | u128::from(halves[1].finish()))
}

impl Backer {
    /// A datapath without bridges.
    pub fn new(clock: Clock, datapath: Box<dyn Datapath>) -> Backer {
        Backer {
            datapath,
            world: World::default(),
            current: World::default(),
            offload: offload::Engine::new(clock.clone()),
            limits: FlowLimits::default(),
            modes: Modes::default(),
            history: FlowHistory::default(),
            table_counters: BTreeMap::new(),
            next_visit: clock.now(),
            clock,
            interner: Interner::default(),
            ukeys: HashMap::new(),
            going: Vec::new(),
            order: BTreeMap::new(),
            installed: 0,
            pass: None,
            upcalls: VecDeque::new(),
            packet_ins: Vec::new(),
            changed: false,
            unused: HashSet::new(),
        }
    }

    /// Says that something in the world has changed.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    /// Packets for controllers that have come up since the last call.
    pub fn take_packet_ins(&mut self) -> Vec<PacketInEvent> {
        std::mem::take(&mut self.packet_ins)
    }

    /// When there will be something to do without anything happening.
    pub fn next_deadline(&self) -> Time {
        let pass = self.changed || self.pass.is_some();
        if pass && !self.modes.paused || !self.upcalls.is_empty() {
            return self.clock.now();
        }
        let visit = if self.modes.paused {
            Time::NEVER
        } else {
            self.next_visit
        };
        visit.min(self.offload.next_deadline())
    }

    /// Does what there is to do, a bounded amount of it. True if there may be more.
    pub fn run(&mut self) -> bool {
        let now = self.clock.now();
        if !self.modes.paused && self.pass.is_none() && (self.changed || now >= self.next_visit) {
            self.begin_pass(now);
        }
        self.continue_pass(PASS_STEP, now);
        self.run_offload();
        if self.pass.is_some() {
            return true;
        }
        let polled = self.datapath.turn(now);
        if self.upcalls.is_empty() {
            self.upcalls.extend(self.datapath.upcalls(UPCALL_BATCH));
        }
        let busy = polled != Work::Idle || !self.upcalls.is_empty();
        let mut learned = false;
        while !learned && let Some(upcall) = self.upcalls.pop_front() {
            // What this packet teaches, the next one must see.
            learned = self.upcall(upcall);
        }
        busy || self.changed && !self.modes.paused
    }

    fn run_offload(&mut self) {
        for event in self.offload.run() {
            match event {
                offload::Event::Credit { ufid, stats } => self.datapath.credit(ufid, &stats),
                offload::Event::Released { ufid } => {
                    if self.ukeys.get(&ufid).is_some_and(|u| u.leaving) {
                        self.going.push(ufid);
                    }
                }
            }
        }
        self.let_go();
    }

    /// Translates a packet in the newest world.
    pub fn translate(&mut self, input: &Input<'_>) -> Option<Outcome> {
        let outcome = translate(&self.world, &mut self.interner, input);
        self.publish_frozen();
        outcome
    }

    /// Translates a packet for a megaflow.
    fn translate_current(&mut self, input: &Input<'_>) -> Option<Outcome> {
        let outcome = translate(&self.current, &mut self.interner, input);
        self.publish_frozen();
        outcome
    }

    /// Frozen states never change, so both worlds have them all.
    fn publish_frozen(&mut self) {
        self.world.frozen = self.interner.snapshot();
        self.current.frozen = self.interner.snapshot();
    }

    /// Handles a packet that came up. True if it taught something.
    fn upcall(&mut self, upcall: Upcall) -> bool {
        match upcall.kind {
            UpcallKind::Miss | UpcallKind::Action(UserCookie::SlowPath(_)) => {
                let install = upcall.kind == UpcallKind::Miss;
                return self.miss(upcall, install);
            }
            UpcallKind::Action(UserCookie::Controller(cookie)) => {
                let Some(frozen) = self.world.frozen.get(cookie.recirc_id).cloned() else {
                    return false;
                };
                let mut state = FlowState::from_key(&upcall.key);
                frozen.carried.restore(&mut state);
                state.set(FieldId::InPortOxm, frozen.in_port.0.into());
                let frame = upcall.packet.frame();
                let message = openflow::PacketIn {
                    format: openflow::PacketInFormat::Standard,
                    data: frame.to_vec(),
                    total_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
                    buffer_id: openflow::NO_BUFFER,
                    reason: cookie.reason,
                    table: TableId(frozen.table),
                    cookie: Cookie(cookie.rule_cookie),
                    metadata: packet_in_metadata(&state),
                    userdata: frozen.userdata.clone(),
                    continuation: None,
                };
                self.packet_ins.push(PacketInEvent {
                    bridge: frozen.bridge,
                    message,
                    max_len: cookie.max_len,
                    controller_id: cookie.controller_id,
                });
            }
        }
        false
    }

    fn miss(&mut self, mut upcall: Upcall, install: bool) -> bool {
        daemon::count!("upcall_miss");
        let now = self.clock.now();
        let input = Input {
            key: &upcall.key,
            start: Start::Datapath,
            carried: None,
            trace: false,
            teaches: true,
        };
        let Some(outcome) = self.translate_current(&input) else {
            self.unassociated(&upcall);
            return false;
        };
        let learned = self.apply(&outcome.effects, now);
        let stats = FlowStats {
            packets: 1,
            bytes: upcall.packet.len() as u64,
            used: Some(now),
            tcp_flags: 0,
        };
        let actions: Arc<[Action]> = outcome.actions.clone().into();
        if install {
            // One that a flow has sent up is counted by that flow.
            self.push(&outcome.credits, &stats);
        }
        if install && self.ukeys.len() < self.limits.flow_limit {
            let lasting = match outcome.slow {
                Some(reason) => Arc::new([Action::Userspace(UserCookie::SlowPath(reason))]),
                None => actions.clone(),
            };
            self.install(&upcall.key, outcome, lasting, now);
        }
        let key = upcall.key.clone();
        self.execute(&mut upcall.packet, &key, &actions);
        learned
    }

    /// A packet on a port that belongs to no bridge: a flow that drops its like.
    fn unassociated(&mut self, upcall: &Upcall) {
        let recirc = upcall.key.get(FieldId::RecircId);
        let port = upcall.key.get(FieldId::InPortOxm);
        if recirc != 0 {
            // Its frozen state is gone; the next one of its kind begins anew.
            return;
        }
        tracing::info!(target: "ofproto_dpif_upcall",
            "received packet on unassociated datapath port {port}");
        let mut mask = FlowMask::ANY;
        for f in [
            FieldId::RecircId,
            FieldId::InPortOxm,
            FieldId::PacketType,
            FieldId::EthType,
        ] {
            mask.add_all(f);
        }
        let outcome = Outcome {
            mask,
            ..Outcome::default()
        };
        let now = self.clock.now();
        self.install(&upcall.key, outcome, Arc::new([]), now);
    }

    /// What a flow for a packet like this one matches.
    fn mask_of(&self, outcome: &Outcome, key: &PacketKey) -> FlowMask {
        if self.modes.megaflows {
            outcome.megaflow_mask()
        } else {
            packet::whole_mask(key)
        }
    }

    /// How flows are made and looked after.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// Makes and looks after flows otherwise. Flows that match otherwise begin anew.
    pub fn set_modes(&mut self, modes: Modes) {
        let was = std::mem::replace(&mut self.modes, modes);
        if modes.paused {
            // What has begun ends first.
            self.continue_pass(usize::MAX, self.clock.now());
        }
        if modes.megaflows != was.megaflows {
            self.purge();
        }
    }

    fn install(&mut self, key: &PacketKey, outcome: Outcome, actions: Arc<[Action]>, now: Time) {
        let mask = self.mask_of(&outcome, key);
        let ufid = flow_id(key, &mask);
        if self.ukeys.contains_key(&ufid) {
            return;
        }
        let put = FlowPut {
            ufid,
            key: key.clone(),
            mask,
            actions,
        };
        if let Err(e) = self.datapath.put_flow(put.clone()) {
            tracing::warn!(target: "ofproto_dpif_upcall", "could not install flow {ufid}: {e}");
            return;
        }
        daemon::count!("dpif_flow_put");
        self.offload.flow_added(&put);
        self.installed += 1;
        let order = self.installed;
        self.order.insert(order, ufid);
        self.ukeys.insert(
            ufid,
            Ukey {
                put,
                credits: outcome.credits,
                depends: outcome.depends,
                frozen: outcome.frozen,
                created: now,
                order,
                pushed: FlowStats::default(),
                leaving: false,
            },
        );
    }

    /// Applies what should happen outside. True if that changed the world.
    pub fn apply(&mut self, effects: &[Effect], now: Time) -> bool {
        let mut news = false;
        for effect in effects {
            let Effect::Learn { bridge, key, port } = effect;
            if let Some(b) = self.world.bridge_mut(*bridge)
                // The port may have gone since the packet came.
                && b.ports.contains_key(port)
                && b.macs.learn(*key, *port, now)
            {
                news = true;
            }
        }
        self.changed |= news;
        news
    }

    /// Counts packets for what they count for.
    pub fn push(&mut self, credits: &[Credit], stats: &FlowStats) {
        for credit in credits {
            credit.push(&self.world, stats.packets, stats.bytes, stats.used);
            if let Credit::Table {
                bridge,
                table,
                matched,
            } = credit
            {
                let counters = self.table_counters.entry((*bridge, *table)).or_default();
                counters.lookups += stats.packets;
                counters.matched += if *matched { stats.packets } else { 0 };
            }
        }
    }

    /// Runs a packet through datapath actions.
    pub fn execute(&mut self, packet: &mut Packet, key: &PacketKey, actions: &[Action]) {
        if !actions.is_empty() {
            self.datapath.execute(Execute {
                packet,
                key,
                actions,
            });
        }
    }

    /// Runs a packet through OpenFlow actions (a packet-out).
    pub fn packet_out(&mut self, bridge: BridgeId, in_port: OfPort, out: &openflow::PacketOut) {
        let frame = &out.data;
        let mut packet = Packet::from_frame(frame);
        let key = packet::parse(&mut packet, &packet::Metadata::default());
        let mut state = FlowState::from_key(&key);
        Carried::of(out.metadata.value()).restore(&mut state);
        let key = state.to_key();
        let start = Start::Actions(bridge, in_port, &out.actions);
        let Some(outcome) = self.translate(&Input {
            key: &key,
            start,
            carried: Some(&Carried::of(&state)),
            trace: false,
            teaches: true,
        }) else {
            return;
        };
        let now = self.clock.now();
        self.apply(&outcome.effects, now);
        let stats = FlowStats {
            packets: 1,
            bytes: frame.len() as u64,
            used: Some(now),
            tcp_flags: 0,
        };
        self.push(&outcome.credits, &stats);
        let actions = outcome.actions.clone();
        self.execute(&mut packet, &key, &actions);
    }

    /// How many flows there have been.
    pub fn flow_history(&self) -> FlowHistory {
        self.history
    }

    /// How many flows there are, for `upcall/show`.
    pub fn flow_count(&self) -> usize {
        self.ukeys.len()
    }
}
