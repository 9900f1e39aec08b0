//! What this process can open: the only place that names datapaths, ports and devices.

use crate::dummy_wire::{Bell, DummyWire};
use crate::nic;
use clock::Clock;
use hal::{Datapath, DeviceWatch, FlowDevice, PacketPort as _, PortError};
use hal_soft::Soft;
use hal_soft::ports::dummy::DummyPort;
use hal_soft::ports::system::SystemPort;
use hal_soft::ports::tap::TapPort;
use hal_soft::ports::watch::Watch;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use vswitchd::ports::{Opened, PortRequest, Provider};

/// Whether dummy datapaths and ports can be had (`--enable-dummy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dummy {
    /// Not at all.
    Off,
    /// Beside the real ones.
    On,
    /// Instead of all others.
    Override,
    /// Instead of the host's devices.
    System,
}

/// Poll threads of a datapath.
const POLL_THREADS: usize = 1;

/// A dummy port, and how often it has been opened and not closed.
struct Shared {
    port: DummyPort,
    users: usize,
    wire: Option<DummyWire>,
}

/// Devices of the host that are opened at the same time.
const OPEN_AT_ONCE: usize = 64;

/// What this process can open.
pub struct LocalProvider {
    clock: Clock,
    dummy: Dummy,
    dummies: BTreeMap<String, Shared>,
    /// How many dummy ports there have been: the next one's address.
    dummy_count: u32,
    /// Rung when a dummy port has received something.
    bell: Bell,
    /// Devices that were opened ahead.
    ahead: BTreeMap<String, Result<SystemPort, PortError>>,
}

impl LocalProvider {
    /// A provider.
    pub fn new(clock: Clock, dummy: Dummy) -> LocalProvider {
        LocalProvider {
            clock,
            dummy,
            dummies: BTreeMap::new(),
            dummy_count: 0,
            bell: Arc::new(|| {}),
            ahead: BTreeMap::new(),
        }
    }

    fn open_dummy(
        &mut self,
        request: &PortRequest<'_>,
        kind: &'static str,
    ) -> Result<Opened, String> {
        if let Some(open) = self.dummies.get_mut(request.name) {
            // Who opens a device by the name of one that is open shares it.
            if open.port.kind() != kind {
                return Err(format!("{}: is open already", request.name));
            }
            open.users += 1;
            return Ok(Opened::Port(Arc::new(open.port.clone())));
        }
        let mac = 0xaa55_aa55_0000 + u64::from(self.dummy_count);
        self.dummy_count += 1;
        let port = DummyPort::new(kind, request.mac.unwrap_or(mac));
        port.set_clock(self.clock.clone());
        set_options(&port, request.options)?;
        port.set_admin(true).map_err(|e| e.to_string())?;
        let shared = Shared {
            port: port.clone(),
            users: 1,
            wire: None,
        };
        self.dummies.insert(request.name.to_owned(), shared);
        self.connect_dummy(request.name, request.options);
        Ok(Opened::Port(Arc::new(port)))
    }

    /// Connects a dummy port as its options say.
    fn connect_dummy(&mut self, name: &str, options: &BTreeMap<String, String>) {
        let Some(open) = self.dummies.get_mut(name) else {
            return;
        };
        let (pstream, stream) = (options.get("pstream"), options.get("stream"));
        if let (Some(pstream), Some(stream)) = (pstream, stream) {
            tracing::warn!(target: "netdev_dummy",
                "Open failed: both {pstream} and {stream} are configured");
            return;
        }
        let wanted = pstream.or(stream);
        if wanted.map(String::as_str) == open.wire.as_ref().map(DummyWire::address) {
            return;
        }
        // The old one's address may be the new one's.
        open.wire = None;
        let Some(address) = wanted else { return };
        let (port, clock) = (open.port.clone(), self.clock.clone());
        let bell = self.bell.clone();
        match DummyWire::open(port, address, pstream.is_some(), clock, bell) {
            Ok(wire) => open.wire = Some(wire),
            Err(why) => tracing::warn!(target: "netdev_dummy", "{why}"),
        }
    }

    fn is_dummy_datapath(&self, kind: &str) -> bool {
        kind == "dummy" || self.dummy == Dummy::Override
    }
}

impl Provider for LocalProvider {
    fn datapath_types(&self) -> Vec<String> {
        let dummy = (self.dummy != Dummy::Off).then_some("dummy");
        dummy
            .into_iter()
            .chain(["netdev"])
            .map(str::to_owned)
            .collect()
    }

    fn interface_types(&self) -> Vec<String> {
        let dummy: &[&str] = if self.dummy == Dummy::Off {
            &[]
        } else {
            &["dummy", "dummy-internal", "dummy-pmd"]
        };
        let real = ["dpdk", "hal", "internal", "patch", "system", "tap"];
        let mut all: Vec<String> = dummy.iter().chain(&real).map(|s| (*s).to_owned()).collect();
        all.sort_unstable();
        all
    }

    fn datapath_type<'a>(&self, wanted: &'a str) -> &'a str {
        match (wanted, self.dummy) {
            ("", Dummy::System) => "system",
            ("", _) => "netdev",
            (kind, _) => kind,
        }
    }

    fn open_datapath(&mut self, kind: &str) -> Result<Box<dyn Datapath>, String> {
        let known = match kind {
            "netdev" => true,
            "dummy" => self.dummy != Dummy::Off,
            "system" => matches!(self.dummy, Dummy::Override | Dummy::System),
            _ => false,
        };
        if !known {
            let cure = if kind == "system" {
                "the kernel's datapath is not supported yet; use datapath_type=netdev"
            } else {
                "could not create datapath of unknown type"
            };
            return Err(format!("{kind}: {cure}"));
        }
        let threads = if self.is_dummy_datapath(kind) {
            0
        } else {
            POLL_THREADS
        };
        Ok(Box::new(Soft::new(kind, self.clock.clone(), threads)))
    }

    /// Opening a device of the host is mostly waiting for the kernel, and waits that go on at the same
    /// time cost as much as one.
    fn open_ahead(&mut self, requests: &[PortRequest<'_>]) {
        self.ahead.clear();
        let overridden = matches!(self.dummy, Dummy::Override | Dummy::System);
        let devices = requests
            .iter()
            .filter(|r| r.kind == "system" && !overridden);
        let names: Vec<&str> = devices.map(|r| r.name).collect();
        if names.len() < 2 {
            return;
        }
        for some in names.chunks(OPEN_AT_ONCE) {
            let opened = std::thread::scope(|scope| {
                let mut opening = Vec::with_capacity(some.len());
                for &name in some {
                    opening.push((name, scope.spawn(move || SystemPort::open(name))));
                }
                let opened = opening.into_iter().filter_map(|(name, thread)| {
                    // One that panicked is opened again, where a panic is seen.
                    Some((name.to_owned(), thread.join().ok()?))
                });
                opened.collect::<Vec<_>>()
            });
            self.ahead.extend(opened);
        }
    }

    fn open_port(&mut self, request: &PortRequest<'_>) -> Result<Opened, String> {
        let on_dummy = self.is_dummy_datapath(request.datapath_type);
        let overridden = matches!(self.dummy, Dummy::Override | Dummy::System);
        match request.kind {
            "dummy" | "dummy-pmd" if self.dummy != Dummy::Off => self.open_dummy(request, "dummy"),
            "dummy-internal" if self.dummy != Dummy::Off => {
                self.open_dummy(request, "dummy-internal")
            }
            "internal" if on_dummy => self.open_dummy(request, "dummy-internal"),
            "system" | "tap" if overridden => self.open_dummy(request, "system"),
            "internal" | "tap" => {
                let port = TapPort::open(request.name, "tap").map_err(|e| e.to_string())?;
                Ok(Opened::Port(Arc::new(port)))
            }
            "system" => {
                let ahead = self.ahead.remove(request.name);
                let port = ahead.unwrap_or_else(|| SystemPort::open(request.name));
                let port = port.map_err(|e| e.to_string())?;
                Ok(Opened::Port(Arc::new(port)))
            }
            "hal" => nic::hal_port(request).map(Opened::Device),
            "dpdk" => nic::dpdk_port(request).map(Opened::Device),
            kind => {
                let name = request.name;
                tracing::warn!(target: "netdev",
                    "could not create netdev {name} of unknown type {kind}");
                Err(format!(
                    "could not open network device {name} (Address family not supported by \
                     protocol)"
                ))
            }
        }
    }

    fn open_device(&mut self, name: &str) -> Result<Box<dyn FlowDevice>, String> {
        nic::open(name, &self.clock)
    }

    fn watch_devices(&mut self) -> Option<Box<dyn DeviceWatch>> {
        if matches!(self.dummy, Dummy::Override | Dummy::System) {
            return None;
        }
        match Watch::new() {
            Ok(watch) => Some(Box::new(watch)),
            Err(e) => {
                tracing::warn!(target: "netdev_linux",
                    "devices that come and go will not be noticed ({e})");
                None
            }
        }
    }

    fn port_number(&self, datapath_type: &str, name: &str) -> Option<u32> {
        if datapath_type == "netdev" && self.dummy != Dummy::Override {
            return None;
        }
        // A number in the name is the port's number, so that tests can be read.
        let base = if name.starts_with("br") { 100 } else { 0 };
        let digits: String = name
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        let n = base + digits.parse::<u32>().ok()?;
        (n > 0 && n < 65536).then_some(n)
    }

    fn configure_port(&mut self, name: &str, options: &BTreeMap<String, String>) {
        if let Some(open) = self.dummies.get(name)
            && let Err(e) = set_options(&open.port, options)
        {
            tracing::warn!(target: "netdev_dummy", "{name}: {e}");
        }
        self.connect_dummy(name, options);
    }

    fn set_bell(&mut self, bell: Bell) {
        self.bell = bell;
    }

    fn far_side(&self, name: &str) -> &'static str {
        let wire = self.dummies.get(name).and_then(|open| open.wire.as_ref());
        match wire.and_then(DummyWire::is_connected) {
            Some(true) => "connected",
            Some(false) => "disconnected",
            None => "unknown",
        }
    }

    fn closed(&mut self, name: &str) {
        if let Some(open) = self.dummies.get_mut(name) {
            open.users -= 1;
            if open.users == 0 {
                self.dummies.remove(name);
            }
        }
    }

    fn dummy(&self, name: &str) -> Option<DummyPort> {
        self.dummies.get(name).map(|open| open.port.clone())
    }
}

/// Applies a dummy port's options.
fn set_options(port: &DummyPort, options: &BTreeMap<String, String>) -> Result<(), String> {
    let option = |k: &str| options.get(k).map(Path::new);
    let both = option("pcap");
    port.set_pcaps(option("tx_pcap").or(both), option("rxq_pcap").or(both))
        .map_err(|e| e.to_string())?;
    if let Some(n) = options.get("ifindex").and_then(|n| n.parse().ok()) {
        port.set_ifindex(n);
    }
    Ok(())
}
