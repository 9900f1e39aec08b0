//! What one lock guards: the whole device behind its registers.

use super::capability::Capabilities;
use super::command::queue::CommandQueue;
use super::faults::News;
use super::interrupts::Interrupts;
use super::memory::{Reachable, Unreachable};
use super::objects::Registry;
use super::objects::cq::Cq;
use super::objects::eq::Eq;
use super::objects::mkey::Mkey;
use super::objects::queue::{Rq, Sq};
use super::objects::transport::{Rqt, Tir};
use super::pages::Pages;
use super::port::PortSettings;
use super::profile::Model;
use super::registers::{Asked, Doorbell};
use super::settings::ConnectXSettings;
use super::steering::Steering;
use super::trace::Trace;
use super::vport::{Vport, vports};
use super::wires::Ports;
use clock::{Seed, Time};
use hal_mlx_prm::capability::GeneralCapability;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Violations that are kept word by word; the others are counted.
const VIOLATIONS: usize = 64;

/// How far the function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Disabled,
    Enabled,
    Initialised,
}

/// What the device reaches during a turn.
pub(super) struct Bus<'a> {
    pub memory: &'a Reachable,
    pub master: bool,
    pub interrupts: &'a Mutex<Interrupts>,
    pub now: Time,
}

impl Bus<'_> {
    pub fn read(&self, at: u64, out: &mut [u8]) -> Result<(), Unreachable> {
        self.allowed(at)?;
        self.memory.read(at, out)
    }

    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Unreachable> {
        self.allowed(at)?;
        self.memory.write(at, bytes)
    }

    pub fn load(&self, at: u64) -> Result<u32, Unreachable> {
        self.allowed(at)?;
        self.memory.load(at)
    }

    pub fn store(&self, at: u64, value: u32) -> Result<(), Unreachable> {
        self.allowed(at)?;
        self.memory.store(at, value)
    }

    fn allowed(&self, at: u64) -> Result<(), Unreachable> {
        if self.master {
            Ok(())
        } else {
            Err(Unreachable(at))
        }
    }

    pub fn raise(&self, vector: usize) {
        let mut interrupts = self
            .interrupts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        interrupts.raise(vector);
    }
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Commands carried out, refused ones included.
    pub commands: u64,
    /// Commands that were refused.
    pub refused: u64,
    /// Commands that could not be delivered.
    pub undelivered: u64,
    /// Frames that went into a receive queue.
    pub received: u64,
    /// Frames for which a receive queue had no buffer, or that came while it was not ready.
    pub receive_drops: u64,
    /// Frames that no table took.
    pub steering_drops: u64,
    /// Events for which their queue had no room.
    pub events_lost: u64,
    /// What a host must not do and the device can only shrug at: a doorbell in a foreign page, a
    /// page used that was given away.
    pub violations: u64,
}

/// The device.
pub(super) struct Core {
    name: String,
    pub settings: ConnectXSettings,
    pub model: Model,
    pub vfs: u16,
    pub stage: Stage,
    pub issi: u16,
    pub enabled_vfs: BTreeSet<u16>,
    pub pages: Pages,
    pub capabilities: Capabilities,
    pub driver_version: String,
    pub commands: CommandQueue,
    /// All objects, and each kind's own.
    pub objects: Registry,
    pub mkeys: BTreeMap<u32, Mkey>,
    pub eqs: BTreeMap<u32, Eq>,
    pub cqs: BTreeMap<u32, Cq>,
    pub q_counters: BTreeMap<u32, u32>,
    pub sqs: BTreeMap<u32, Sq>,
    pub rqs: BTreeMap<u32, Rq>,
    pub rqts: BTreeMap<u32, Rqt>,
    pub tirs: BTreeMap<u32, Tir>,
    pub tiss: BTreeMap<u32, Vec<u8>>,
    pub steering: Steering,
    pub vports: BTreeMap<u16, Vport>,
    pub ports: Ports,
    pub port: PortSettings,
    /// Commands carried out since the last reset.
    pub commands_since_reset: u64,
    /// From which faults are drawn.
    pub dice: fastrand::Rng,
    pub news: News,
    pub statistics: Statistics,
    pub violations: Vec<String>,
    pub trace: Option<Trace>,
}

impl Core {
    pub fn new(name: &str, settings: ConnectXSettings, model: Model) -> Core {
        Core {
            vfs: settings.vfs,
            stage: Stage::Disabled,
            issi: 0,
            enabled_vfs: BTreeSet::new(),
            pages: Pages::new(model.boot_pages, model.init_pages),
            capabilities: model.capabilities.clone(),
            driver_version: String::new(),
            commands: CommandQueue::default(),
            objects: Registry::default(),
            mkeys: BTreeMap::new(),
            eqs: BTreeMap::new(),
            cqs: BTreeMap::new(),
            q_counters: BTreeMap::new(),
            sqs: BTreeMap::new(),
            rqs: BTreeMap::new(),
            rqts: BTreeMap::new(),
            tirs: BTreeMap::new(),
            tiss: BTreeMap::new(),
            steering: Steering::default(),
            vports: vports(name, settings.vfs, &model.capabilities),
            ports: Ports::default(),
            port: PortSettings::default(),
            name: name.into(),
            commands_since_reset: 0,
            dice: Seed::new(settings.seed).source(name),
            news: News::default(),
            statistics: Statistics::default(),
            violations: Vec::new(),
            trace: None,
            settings,
            model,
        }
    }

    /// As after power-on. What was counted stays.
    pub fn reset(&mut self) {
        let new = Core::new(&self.name, self.settings.clone(), self.model.clone());
        let old = std::mem::replace(self, new);
        self.statistics = old.statistics;
        self.violations = old.violations;
        self.ports = old.ports;
        self.dice = old.dice;
        self.news = old.news;
        self.trace = old.trace;
        self.note("reset");
    }

    /// Writes a line down, if anybody wants to know.
    pub fn note(&mut self, line: &str) {
        self.trace(|trace| trace.note(line));
    }

    /// Writes something down, if anybody wants to know. Where there is no room for it, no more is
    /// written.
    pub fn trace(&mut self, write: impl FnOnce(&mut Trace) -> std::io::Result<()>) {
        if let Some(Err(e)) = self.trace.as_mut().map(write) {
            tracing::warn!("no more commands are written down: {e}");
            self.trace = None;
        }
    }

    /// Notes what a host must not do.
    pub fn violation(&mut self, what: String) {
        tracing::debug!("{what}");
        self.note(&what);
        self.statistics.violations += 1;
        if self.violations.len() < VIOLATIONS {
            self.violations.push(what);
        }
    }

    /// Does what was asked for; answers how many things that were.
    pub fn turn(&mut self, asked: &Asked, queue: u64, bus: &Bus<'_>) -> usize {
        let told = self.tell_late_commands(queue, bus);
        for (page, doorbell) in &asked.doorbells {
            match *doorbell {
                Doorbell::Commands(slots) => self.take_commands(slots, queue, bus),
                Doorbell::Events { word, arm } => self.events_taken(*page, word, arm, bus),
                Doorbell::Arm { queue, word } => self.cq_armed(*page, queue, word, bus),
                Doorbell::Send { queue } => self.send_rung(*page, queue),
            }
        }
        if self.are_starved() && self.pages.is_settled() {
            self.resume_commands(queue, bus);
        }
        self.release_pages(bus);
        self.watch_port(bus);
        let sent = self.send(bus);
        let taken = self.take_from_wires(bus);
        asked.doorbells.len() + told + sent + taken
    }

    /// Forgets all objects.
    pub fn forget_objects(&mut self) {
        self.objects.clear();
        self.mkeys.clear();
        self.eqs.clear();
        self.cqs.clear();
        self.q_counters.clear();
        self.sqs.clear();
        self.rqs.clear();
        self.rqts.clear();
        self.tirs.clear();
        self.tiss.clear();
        self.steering = Steering::default();
        self.vports = vports(&self.name, self.vfs, &self.model.capabilities);
        self.pages.forget_growth();
    }

    /// Whether commands carry signatures.
    pub fn commands_are_signed(&self) -> bool {
        self.capabilities.get(GeneralCapability::CMDIF_CHECKSUM) != 0
    }
}
