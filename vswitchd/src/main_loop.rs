//! The daemon around the switch: one task that waits for whatever comes next.
//!
//! Database changes, control commands, OpenFlow messages, upcalls and timers all end up here, one
//! at a time, and after each of them the switch runs until it has nothing left to do. There is
//! no other owner of the switch.

use crate::appctl;
use crate::config::desired;
use crate::controller::Controllers;
use crate::status::{self, Cell};
use crate::switch::Switch;
use clock::Time;
use daemon::control::{Commands, Invocation};
use hal::{DeviceEvent, DeviceWatch};
use ovsdb::replica::{Outcome, Replica, View};
use ovsdb::types::Datum;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// The columns that are not read, so that our own writing does not wake us.
const TABLES: [&str; 13] = [
    "Open_vSwitch",
    "Bridge",
    "Port",
    "Interface",
    "Controller",
    "Manager",
    "SSL",
    "Mirror",
    "NetFlow",
    "sFlow",
    "QoS",
    "Queue",
    "Flow_Table",
];

/// How soon a change of a link is noticed.
const LINK_CHECK: Duration = Duration::from_millis(500);

/// Turns after each step of a warp, at most.
const WARP_TURNS: usize = 10_000;

/// The tables that the daemon watches.
pub fn watched() -> &'static [&'static str] {
    &TABLES
}

/// Registers all commands that the daemon answers.
pub fn register(commands: &Commands) {
    appctl::register(commands);
    // Batches here have a fixed size; scripts look whether theirs ever had to grow.
    daemon::count!("dp_packet_batch_grow", 0);
    commands.register("exit", "[--cleanup]", 0, 1);
    commands.register("time/stop", "", 0, 0);
    commands.register("time/warp", "[large_msecs] msecs", 1, 2);
    commands.register("bridge/reconnect", "[bridge]", 0, 1);
    commands.register("memory/show", "", 0, 0);
}

/// What tells of the host's devices, where tokio can wait for it.
struct Devices(Box<dyn DeviceWatch>);

impl AsRawFd for Devices {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Begins to watch the host's devices.
fn watch_devices(switch: &mut Switch) -> Option<AsyncFd<Devices>> {
    let devices = switch.watch_devices().map(Devices)?;
    // Unsound for who gives a descriptor that it does not own; this one is borrowed from its owner,
    // which goes into the `AsyncFd`, and this crate has no unsafe code to say so with.
    #[allow(deprecated)]
    let registered = AsyncFd::with_interest(devices, tokio::io::Interest::READABLE);
    registered
        .inspect_err(|e| {
            tracing::warn!(target: "netdev_linux",
                "devices that come and go will not be noticed ({e})");
        })
        .ok()
}

/// What becomes of the host's devices; never, if nobody tells.
async fn device_events(devices: &mut Option<AsyncFd<Devices>>) -> Vec<DeviceEvent> {
    let Some(devices) = devices else {
        return std::future::pending().await;
    };
    match devices.readable_mut().await {
        Ok(mut ready) => {
            let events = ready.get_inner_mut().0.take();
            ready.clear_ready();
            events
        }
        Err(_) => std::future::pending().await,
    }
}

/// The daemon.
pub struct Daemon {
    switch: Switch,
    replica: Replica,
    calls: mpsc::Receiver<Invocation>,
    controllers: Controllers,
    devices: Option<AsyncFd<Devices>>,
    /// Rung from poll threads when packets wait to be looked at.
    upcalls: Arc<Notify>,
    /// Whether the database may say something new.
    db_changed: bool,
    /// The status that is being written. Nobody waits for a database here.
    writing: Option<JoinHandle<Outcome>>,
    /// The view that the switch was last configured from.
    configured: Option<View>,
    /// `cur_cfg` once the status has been written.
    reached: Option<i64>,
    next_stats: Time,
    next_link_check: Time,
    /// Called once, when the first configuration stands.
    on_ready: Option<Box<dyn FnOnce()>>,
}

impl Daemon {
    /// The daemon that keeps `switch` as `replica` says. `on_ready` is called when the database has
    /// been read for the first time and the switch stands.
    pub fn new(
        mut switch: Switch,
        replica: Replica,
        calls: mpsc::Receiver<Invocation>,
        on_ready: Box<dyn FnOnce()>,
    ) -> Daemon {
        let now = switch.clock().now();
        let controllers = Controllers::new(switch.clock().clone());
        let devices = watch_devices(&mut switch);
        Daemon {
            switch,
            replica,
            calls,
            controllers,
            devices,
            upcalls: Arc::new(Notify::new()),
            db_changed: true,
            writing: None,
            configured: None,
            reached: None,
            next_stats: now,
            next_link_check: now,
            on_ready: Some(on_ready),
        }
    }

    /// Runs until it is told to exit.
    pub async fn run(mut self) {
        self.listen_to_dummies();
        let clock = self.switch.clock().clone();
        loop {
            let deadline = if self.turn() {
                clock.now()
            } else {
                self.next_deadline()
            };
            if deadline <= clock.now() {
                // Other tasks of this thread get their turn all the same.
                tokio::task::yield_now().await;
            }
            tokio::select! {
                biased;
                call = self.calls.recv() => {
                    let Some(call) = call else { return };
                    if self.call(call).await {
                        break;
                    }
                    if self.switch.tell_port_changes() {
                        // The database hears of it at once, even if time stands still.
                        self.next_link_check = clock.now();
                    }
                }
                () = self.replica.changed() => self.db_changed = true,
                outcome = written(&mut self.writing) => self.written(outcome),
                () = self.controllers.ready() => {}
                () = self.upcalls.notified() => {}
                events = device_events(&mut self.devices) => {
                    self.switch.devices_changed(events);
                    // What changed is in the database at once, not at the next look.
                    self.next_link_check = clock.now();
                }
                () = clock.sleep_until(deadline) => {}
            }
        }
    }

    /// When there will be something to do without anything happening.
    fn next_deadline(&self) -> Time {
        let deadline = self.switch.next_deadline().min(self.controllers.deadline());
        if self.configured.is_some() && self.writing.is_none() {
            deadline.min(self.next_link_check)
        } else {
            deadline
        }
    }

    /// Does a bounded amount of whatever there is to do. True if there is more.
    fn turn(&mut self) -> bool {
        self.reconfigure();
        let busy = self.switch.run();
        let more = self.controllers.run(&mut self.switch);
        self.write_status();
        busy || more
    }

    /// What a dummy port has received is taken at the next turn.
    fn listen_to_dummies(&mut self) {
        let bell = self.upcalls.clone();
        let bell = Arc::new(move || bell.notify_one());
        self.switch.provider_mut().set_bell(bell);
    }

    /// Makes the switch what the database says, if that has changed.
    fn reconfigure(&mut self) {
        if !self.db_changed || !self.replica.is_synced() {
            return;
        }
        self.db_changed = false;
        let view = self.replica.view();
        let wanted = desired(&view);
        if self.configured.is_some() && wanted == *self.switch.running() && !self.bumped(&view) {
            return;
        }
        if self.configured.is_none() {
            let number = |row: ovsdb::replica::RowView<'_>| {
                let number = row.integer("ofport")?.try_into().ok();
                let number = number.filter(|n| (1..0xff00).contains(n))?;
                Some((row.string("name").to_owned(), number))
            };
            let numbers = view.rows("Interface").filter_map(number).collect();
            self.switch.remember_numbers(numbers);
        }
        self.switch.configure(wanted);
        for backer in self.switch.backers.values_mut() {
            let bell = self.upcalls.clone();
            backer
                .datapath
                .on_upcall(Arc::new(move || bell.notify_one()));
        }
        self.controllers.configure(&mut self.switch);
        self.reached = view
            .rows("Open_vSwitch")
            .next()
            .and_then(|r| r.integer("next_cfg"));
        self.configured = Some(view);
        self.switch.run_until_idle();
    }

    /// Whether somebody waits for a configuration that we have not acknowledged.
    fn bumped(&self, view: &View) -> bool {
        let next = view
            .rows("Open_vSwitch")
            .next()
            .and_then(|r| r.integer("next_cfg"));
        next != self.reached
    }

    fn write_status(&mut self) {
        let now = self.switch.clock().now();
        if self.writing.is_some() {
            return;
        }
        if now < self.next_link_check && self.reached.is_none_or(|r| !self.owes(r)) {
            return;
        }
        self.next_link_check = now + LINK_CHECK;
        self.switch.tell_port_changes();
        if self.configured.is_none() || !self.replica.is_synced() {
            return;
        }
        let view = self.replica.view();
        let mut cells = status::status(&self.switch, &self.controllers.status());
        let due = now >= self.next_stats;
        if due {
            self.next_stats = now + self.switch.settings().stats_interval;
            cells.extend(self.controllers.statistics());
        }
        // An interface that has just come is not left without.
        let has_none = |row| {
            let row = view.row("Interface", row);
            row.is_some_and(|r| r.map("statistics").is_empty())
        };
        cells.extend(status::statistics(&self.switch, |row| due || has_none(row)));
        let mut txn = self.replica.txn();
        status::write(&cells, &view, &mut txn);
        if let (Some(root), Some(reached)) = (view.rows("Open_vSwitch").next(), self.reached) {
            let strings = |names: Vec<String>| {
                Datum::set(names.iter().map(String::as_str).collect::<Vec<_>>())
            };
            let provider = self.switch.provider();
            let cell = |column, value| Cell {
                table: "Open_vSwitch",
                row: root.uuid(),
                column,
                value,
            };
            let root_cells = [
                cell("cur_cfg", Datum::set([reached])),
                cell("ovs_version", Datum::set([daemon::options::OVS_VERSION])),
                cell("datapath_types", strings(provider.datapath_types())),
                cell("iface_types", strings(provider.interface_types())),
                cell("dpdk_initialized", Datum::set([false])),
                cell("dpdk_version", Datum::set(["none"])),
            ];
            status::write(&root_cells, &view, &mut txn);
        }
        if txn.is_empty() {
            self.written(Outcome::Unchanged);
        } else {
            self.writing = Some(tokio::spawn(txn.commit()));
        }
    }

    /// The status is in the database, or could not be written.
    fn written(&mut self, outcome: Outcome) {
        if let Outcome::Error(why) = outcome {
            tracing::warn!(target: "bridge", "could not write status: {why}");
        }
        if let Some(ready) = self.on_ready.take() {
            ready();
        }
    }

    /// Whether the database does not know yet that `reached` has been reached.
    fn owes(&self, reached: i64) -> bool {
        let view = self.replica.view();
        view.rows("Open_vSwitch")
            .next()
            .and_then(|r| r.integer("cur_cfg"))
            != Some(reached)
            || self.on_ready.is_some()
    }

    /// Carries a command out. True if it was `exit`.
    async fn call(&mut self, call: Invocation) -> bool {
        match call.name.as_str() {
            "exit" => {
                self.switch.configure(Default::default());
                self.controllers.configure(&mut self.switch);
                call.reply.ok("");
                // Whoever asked is answered before the socket goes.
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                return true;
            }
            "time/stop" => {
                self.switch.clock().stop();
                call.reply.ok("");
            }
            "time/warp" => self.warp(call).await,
            "bridge/reconnect" => {
                self.controllers
                    .reconnect(call.args.first().map(String::as_str));
                call.reply.ok("");
            }
            "memory/show" => {
                let flows = self
                    .switch
                    .backers
                    .values()
                    .map(|b| b.flow_count() as u64)
                    .sum();
                let rules = self
                    .switch
                    .backers
                    .values()
                    .flat_map(|b| b.world.bridges.values());
                let rules = rules
                    .flat_map(|b| b.tables.values())
                    .map(|t| t.len() as u64)
                    .sum();
                let ports = self
                    .switch
                    .bridges
                    .values()
                    .map(|b| b.interfaces.len() as u64)
                    .sum();
                let (ofconns, packets) = self.controllers.memory();
                let numbers = [
                    ("ofconns", ofconns as u64),
                    ("packets", packets as u64),
                    ("ports", ports),
                    ("rules", rules),
                    ("udpif keys", flows),
                ];
                let used: Vec<(String, u64)> = numbers
                    .into_iter()
                    .filter(|(_, n)| *n > 0)
                    .map(|(name, n)| (name.to_owned(), n))
                    .collect();
                call.reply.ok(daemon::memory::report(&used) + "\n");
            }
            name => match appctl::call(&mut self.switch, name, &call.args, call.format) {
                Some(outcome) => call.reply.send(outcome),
                None => call
                    .reply
                    .error(format!("\"{name}\" is not a valid command")),
            },
        }
        false
    }

    /// Moves the clock, step by step, and lets the switch run after each.
    async fn warp(&mut self, call: Invocation) {
        let numbers: Option<Vec<u64>> = call.args.iter().map(|a| a.parse().ok()).collect();
        let (total, step) = match numbers.as_deref() {
            Some([step]) => (*step, *step),
            Some([total, step]) => (*total, *step),
            _ => (0, 0),
        };
        if total == 0 || step == 0 {
            return call.reply.error("invalid MSECS");
        }
        let clock = self.switch.clock().clone();
        let mut left = total;
        while left > 0 {
            let by = step.min(left);
            left -= by;
            clock.warp(Duration::from_millis(by));
            // Connections' tasks have timers of their own.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            for _ in 0..WARP_TURNS {
                if !self.turn() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        call.reply.ok("warped\n");
    }
}

/// The end of the status that is being written; never, if none is.
async fn written(writing: &mut Option<JoinHandle<Outcome>>) -> Outcome {
    let Some(handle) = writing else {
        return std::future::pending().await;
    };
    let outcome = handle.await;
    *writing = None;
    outcome.unwrap_or(Outcome::TryAgain)
}
