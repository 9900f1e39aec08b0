//! How devices fare, for people and programs.

use crate::device::{Device, Health, Latency};
use crate::engine::Engine;
use clock::Time;
use hal::{FieldSet, TableCapabilities};
use packet::{FieldId, FlowMask};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns of the text.
const WIDTH: usize = 80;

/// What [`Engine::report`] tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether offloading is on.
    pub enabled: bool,
    /// The most wanted first.
    pub devices: Vec<DeviceReport>,
    /// Flows in devices.
    pub offloaded: usize,
    /// Flows in software by [`hal::Reason::code`].
    pub software: BTreeMap<&'static str, usize>,
    /// Numbers in use for resuming misses.
    pub resume_ids: usize,
}

/// How a device fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceReport {
    /// The name by which ports refer to it.
    pub name: String,
    /// What it is, in its own words.
    pub model: String,
    /// None = it works; else what it said.
    pub down: Option<String>,
    /// How often it has been reset.
    pub epoch: u64,
    /// Its ports by the datapath's number.
    pub ports: BTreeMap<u32, String>,
    /// Rules that it holds.
    pub rules: usize,
    /// Rules that it can hold.
    pub capacity: usize,
    /// Operations in flight.
    pub in_flight: usize,
    /// Operations that may be in flight.
    pub queue: usize,
    /// Operations that wait for the queue.
    pub queued: usize,
    /// Insertions a second, over ten seconds.
    pub inserts_per_second: f64,
    /// Insertions since the start.
    pub inserts: u64,
    /// Insertions a second that it allows, 0 = not limited.
    pub insert_limit: u64,
    /// Evictions a second, over ten seconds.
    pub evictions_per_second: f64,
    /// Evictions since the start.
    pub evictions: u64,
    /// Packets that a rule forwarded.
    pub hits: u64,
    /// Packets handed to software.
    pub misses: u64,
    /// Rewrites, counters and the like that rules share.
    pub shared_objects: usize,
    /// From being handed to the device to being in its table, over ten seconds, microseconds;
    /// none if there was none.
    pub latency_us: Option<LatencyReport>,
    /// The same since the start.
    pub latency_us_since_start: Option<LatencyReport>,
    /// Bits of context that reach the CPU with a miss.
    pub resume_bits: u32,
    /// What it can do, by stage.
    pub stages: Vec<Stage>,
}

/// How long insertions took, in microseconds.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyReport {
    pub min: f64,
    pub avg: f64,
    pub max: f64,
}

impl LatencyReport {
    fn of(latency: &Latency) -> Option<LatencyReport> {
        let us = |d: std::time::Duration| d.as_secs_f64() * 1e6;
        (latency.count != 0).then(|| LatencyReport {
            min: us(latency.min),
            avg: us(latency.mean()),
            max: us(latency.max),
        })
    }

    fn text(latency: Option<&LatencyReport>) -> String {
        let Some(l) = latency else {
            return "none".into();
        };
        format!(
            "min {:.1} us, avg {:.1} us, max {:.1} us",
            l.min, l.avg, l.max
        )
    }
}

/// What a stage of a device can do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Fields that it can match, any bits of them.
    pub match_masked: Vec<&'static str>,
    /// Fields that it can match whole.
    pub match_exact: Vec<&'static str>,
    /// Actions.
    pub actions: Vec<&'static str>,
    /// Fields that it can write, any bits of them.
    pub set_masked: Vec<&'static str>,
    /// Fields that it can write whole.
    pub set: Vec<&'static str>,
    /// Actions a rule.
    pub max_actions: usize,
    /// All copies of a packet leave in one form.
    pub single_form: bool,
}

fn names(fields: &FieldSet) -> Vec<&'static str> {
    fields.iter().map(|f| f.row().name).collect()
}

impl Stage {
    fn of(table: &TableCapabilities) -> Stage {
        Stage {
            match_masked: names(&table.match_masked),
            match_exact: names(&table.match_exact),
            actions: table.actions.iter().copied().collect(),
            set_masked: names(&table.set_masked),
            set: names(&table.set),
            max_actions: table.max_actions,
            single_form: table.single_form,
        }
    }
}

impl DeviceReport {
    fn of(device: &Device, now: Time) -> DeviceReport {
        let stats = device.face.stats();
        let ports = device.ports.iter().map(|(name, n)| (n.0, name.clone()));
        DeviceReport {
            name: device.name.clone(),
            model: device.face.name().into(),
            down: match &device.health {
                Health::Up { .. } => None,
                Health::Down { what, .. } => Some(what.clone()),
            },
            epoch: device.epoch.0,
            ports: ports.collect(),
            rules: device.handles.len(),
            capacity: device.capabilities.rules,
            in_flight: device.tickets.len(),
            queue: device.capabilities.queue,
            queued: device.urgent.len() + device.adds.len(),
            inserts_per_second: device.insertions.per_second(now),
            inserts: device.insertions.total,
            insert_limit: device.capabilities.inserts_per_second,
            evictions_per_second: device.evictions.per_second(now),
            evictions: device.evictions.total,
            hits: stats.hits,
            misses: stats.misses,
            shared_objects: stats.shared_objects,
            latency_us: LatencyReport::of(&device.latencies.recent(now)),
            latency_us_since_start: LatencyReport::of(&device.latencies.all),
            resume_bits: device.capabilities.resume_bits,
            stages: device.capabilities.tables.iter().map(Stage::of).collect(),
        }
    }
}

impl Report {
    pub(crate) fn of(engine: &Engine) -> Report {
        let now = engine.clock.now();
        let mut software = BTreeMap::new();
        for (key, flow) in &engine.flows {
            if flow.state.held().is_none() {
                let reason = engine.reason(*key, flow);
                *software.entry(reason.code()).or_insert(0) += 1;
            }
        }
        let devices = engine.order.iter().map(|d| &engine.devices[*d]);
        Report {
            enabled: engine.enabled,
            devices: devices.map(|d| DeviceReport::of(d, now)).collect(),
            offloaded: engine.offloaded(),
            software,
            resume_ids: engine.resume.in_use(),
        }
    }

    /// For people, at most 80 columns wide.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let state = if self.enabled { "on" } else { "off" };
        let _ = writeln!(out, "  hw-offload: {state}");
        if self.devices.is_empty() {
            out.push_str("  no devices\n");
        }
        for device in &self.devices {
            device.text(&mut out);
        }
        let _ = writeln!(out, "  flows in hardware: {}", self.offloaded);
        let total: usize = self.software.values().sum();
        let _ = writeln!(out, "  flows in software: {total}");
        for (reason, count) in &self.software {
            let _ = writeln!(out, "    {reason}: {count}");
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl DeviceReport {
    fn text(&self, out: &mut String) {
        let mut line = |text: String| wrap(out, "  ", &text);
        let name = if self.model == self.name {
            String::new()
        } else {
            format!(" ({})", self.model)
        };
        line(format!("{}{name}:", self.name));
        let state = match &self.down {
            None => "works".into(),
            Some(what) => format!("down: {what}"),
        };
        line(format!("  state: {state}, epoch {}", self.epoch));
        let ports: Vec<_> = self.ports.iter().map(|(n, p)| format!("{p}={n}")).collect();
        line(format!("  ports: {}", list(&ports)));
        line(format!("  rules: {}/{}", self.rules, self.capacity));
        let waiting = self.queued;
        line(format!(
            "  queue: {}/{} in flight, {waiting} waiting",
            self.in_flight, self.queue
        ));
        let limit = match self.insert_limit {
            0 => "not limited".into(),
            n => format!("limit {n}/s"),
        };
        let (rate, total) = (self.inserts_per_second, self.inserts);
        line(format!("  inserts: {rate:.1}/s, {total} in all, {limit}"));
        let (rate, total) = (self.evictions_per_second, self.evictions);
        line(format!("  evictions: {rate:.1}/s, {total} in all"));
        line(format!(
            "  packets: {} hits, {} misses",
            self.hits, self.misses
        ));
        line(format!("  shared objects: {}", self.shared_objects));
        line(format!(
            "  insertion latency: {} over 10 s",
            LatencyReport::text(self.latency_us.as_ref())
        ));
        line(format!(
            "  insertion latency: {} since the start",
            LatencyReport::text(self.latency_us_since_start.as_ref())
        ));
        line(format!("  resume: {} bits", self.resume_bits));
        let last = self.stages.len().saturating_sub(1);
        for (i, stage) in self.stages.iter().enumerate() {
            let what = match i {
                0 => "packets that arrive",
                i if i == last => "all later recirculations",
                _ => "a recirculation",
            };
            if i > 0 && self.stages.get(i - 1) == Some(stage) {
                line(format!("  stage {i} ({what}): as the one before"));
                continue;
            }
            line(format!("  stage {i} ({what}):"));
            let matched = fields(&stage.match_masked, &stage.match_exact);
            line(format!("    match: {matched}"));
            let (actions, most) = (list(&stage.actions), stage.max_actions);
            let alike = if stage.single_form {
                ", copies all alike"
            } else {
                ""
            };
            line(format!(
                "    actions: {actions}; at most {most} a rule{alike}"
            ));
            line(format!(
                "    set: {}",
                fields(&stage.set_masked, &stage.set)
            ));
        }
    }
}

/// Fields of which any bits will do, and those that must be whole.
fn fields(masked: &[&'static str], exact: &[&'static str]) -> String {
    let whole: Vec<_> = exact.iter().filter(|f| !masked.contains(f)).collect();
    match (masked.is_empty(), whole.is_empty()) {
        (true, true) => "none".into(),
        (true, false) => format!("{}, whole", list(&whole)),
        (false, true) => all_but(masked),
        (false, false) => format!("{}; whole: {}", all_but(masked), list(&whole)),
    }
}

/// A list of fields, or of those that are missing if that is shorter.
fn all_but(known: &[&'static str]) -> String {
    // Several fields may be names for the same bits; those of a known field are known.
    let mut bits = FlowMask::ANY;
    for field in FieldId::all().filter(|f| known.contains(&f.row().name)) {
        bits.add_all(field);
    }
    let unknown = |f: &FieldId| bits.get(*f) == 0;
    let missing = FieldId::of_packets().filter(unknown).map(|f| f.row().name);
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        "all fields of packets".into()
    } else if missing.len() < known.len() {
        format!("all fields of packets but {}", list(&missing))
    } else {
        list(known)
    }
}

fn list<S: AsRef<str>>(items: &[S]) -> String {
    if items.is_empty() {
        return "none".into();
    }
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    items.join(", ")
}

/// Writes a line, broken at blanks; what follows is indented more.
fn wrap(out: &mut String, indent: &str, text: &str) {
    let body = text.trim_start();
    let own = " ".repeat(text.len() - body.len());
    let mut line = format!("{indent}{own}");
    let mut empty = true;
    for word in body.split(' ') {
        for piece in pieces(word) {
            if !empty && line.chars().count() + 1 + piece.chars().count() > WIDTH {
                out.push_str(line.trim_end());
                out.push('\n');
                line = format!("{indent}{own}    ");
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(&piece);
            empty = false;
        }
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// A word, in pieces if it is too long for any line.
fn pieces(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    chars
        .chunks(WIDTH / 2)
        .map(|c| c.iter().collect())
        .collect()
}
