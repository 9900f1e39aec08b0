//! The NIC as a [`FlowDevice`].

use crate::error::MlxError;
use crate::nic::Nic;
use crate::patience::Patience;
use crate::port::{Control, MlxPort, Port, Queues, lock};
use crate::steering::{Operations, VportId};
use hal::pci::{Interrupt, PciError, PciFunction};
use hal::{
    Capabilities, Completion, Counter, DeviceError, DeviceStats, DpPort, Epoch, FlowDevice,
    LastReading, PacketPort, PortError, RuleHandle, RuleOp, Ticket,
};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

/// Opens the NIC's PCI function: at first, and again when it is gone.
pub type Opener = Box<dyn Fn() -> Result<PciFunction, PciError> + Send>;

/// Connects a port of a simulated NIC with what its far side is: port and wire.
pub type Wires = Box<dyn Fn(&str, &str) -> Result<(), PortError> + Send>;

/// Vendor of all parts.
const VENDOR: u16 = 0x15b3;

/// Parts that this driver is for, by device id (the PCI ID repository).
const PARTS: [(u16, &str); 12] = [
    (0x1015, "ConnectX-4 Lx"),
    (0x1017, "ConnectX-5"),
    (0x1019, "ConnectX-5 Ex"),
    (0x101b, "ConnectX-6"),
    (0x101d, "ConnectX-6 Dx"),
    (0x101e, "ConnectX virtual function"),
    (0x101f, "ConnectX-6 Lx"),
    (0x1021, "ConnectX-7"),
    (0xa2d2, "BlueField integrated ConnectX-5"),
    (0xa2d6, "BlueField-2 integrated ConnectX-6 Dx"),
    (0xa2dc, "BlueField-3 integrated ConnectX-7"),
    (0x1016, "ConnectX-4 Lx virtual function"),
];

/// What a PCI function is called, if it is one of this driver's.
pub fn part_name((vendor, device): (u16, u16)) -> Option<&'static str> {
    let mut parts = PARTS.iter();
    let found = parts.find(|(id, _)| vendor == VENDOR && *id == device)?;
    Some(found.1)
}

/// A ConnectX.
pub struct MlxDevice {
    name: String,
    opener: Opener,
    pci: PciFunction,
    patience: Patience,
    interrupts: Vec<Arc<Interrupt>>,
    capabilities: Capabilities,
    control: Arc<Mutex<Control>>,
    wires: Option<Wires>,
    epoch: u64,
    /// Completions that a reset has produced.
    lost: Vec<Completion>,
    /// Why it does not work.
    broken: Option<String>,
    /// Operations on rules of the NIC that is gone, until there is one again.
    before: Option<Operations>,
}

fn failed(name: &str, what: impl ToString) -> DeviceError {
    DeviceError {
        device: name.into(),
        what: what.to_string(),
    }
}

impl MlxDevice {
    /// Brings a NIC up. `wires` connect the far sides of a simulated one's ports.
    ///
    /// # Errors
    /// It is no ConnectX, or does not come up.
    pub fn open(
        name: &str,
        opener: Opener,
        patience: Patience,
        wires: Option<Wires>,
    ) -> Result<MlxDevice, DeviceError> {
        let fault = |e: MlxError| failed(name, e);
        let pci = opener().map_err(|e| failed(name, e))?;
        let ids = pci.ids().map_err(|e| failed(name, e))?;
        if part_name(ids).is_none() {
            let (vendor, device) = ids;
            let what = format!("{vendor:04x}:{device:04x} is no ConnectX that is known here");
            return Err(failed(name, what));
        }
        let vectors = pci.interrupt_count().map_err(|e| failed(name, e))?.min(64);
        let interrupts = (0..vectors).map(|_| Interrupt::new().map(Arc::new));
        let interrupts: Result<Vec<_>, _> = interrupts.collect();
        let interrupts = interrupts.map_err(|e| failed(name, e))?;
        let nic = Nic::open(&pci, &patience, &interrupts).map_err(fault)?;
        Ok(MlxDevice {
            name: name.into(),
            opener,
            pci,
            patience,
            interrupts,
            capabilities: nic.steering.rules.clone(),
            control: Arc::new(Mutex::new(Control {
                nic: Some(nic),
                ports: Vec::new(),
                departed: (0, 0),
            })),
            wires,
            epoch: 0,
            lost: Vec::new(),
            broken: None,
            before: None,
        })
    }

    /// The vport that a port's name stands for.
    fn vport(name: &str) -> Option<VportId> {
        if name == "pf0" {
            return Some(VportId::UPLINK);
        }
        let number = name.strip_prefix("vf")?;
        let n = number.parse::<u8>().ok()?;
        (n.to_string() == number).then(|| VportId(u16::from(n) + 1))
    }

    /// An interrupt that no port has: the first is the device's.
    fn free_interrupt(&self, control: &Control) -> Option<(u16, Arc<Interrupt>)> {
        let taken = |n: u16| {
            let mut ports = control.ports.iter();
            ports.any(|q| q.port.interrupt.as_ref().is_some_and(|(i, _)| *i == n))
        };
        let numbered = self.interrupts.iter().enumerate().skip(1);
        let mut numbered = numbered.map(|(n, i)| (n as u16, i.clone()));
        numbered.find(|(n, _)| !taken(*n))
    }

    /// The NIC anew; a function that is gone is opened again, since it may be there again.
    fn bring_up(&mut self) -> Result<Nic, MlxError> {
        match Nic::open(&self.pci, &self.patience, &self.interrupts) {
            Err(MlxError::Pci(PciError::Gone { .. })) => {
                self.pci = (self.opener)()?;
                Nic::open(&self.pci, &self.patience, &self.interrupts)
            }
            opened => opened,
        }
    }

    /// The device does not work any more.
    fn fail(&mut self, control: &Control, e: &MlxError) -> DeviceError {
        let what = e.to_string();
        for queues in &control.ports {
            queues.port.set_fault(Some(&what));
            queues.port.state.set_carrier(false);
        }
        self.broken = Some(what.clone());
        failed(&self.name, what)
    }

    fn working(&self) -> Result<(), DeviceError> {
        match &self.broken {
            Some(what) => Err(failed(&self.name, what)),
            None => Ok(()),
        }
    }
}

impl FlowDevice for MlxDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    fn submit(&mut self, op: RuleOp) -> Result<Ticket, RuleOp> {
        match &mut lock(&self.control).nic {
            Some(nic) if nic.operations.in_flight() < self.capabilities.queue => {
                Ok(nic.operations.submit(op))
            }
            _ => Err(op),
        }
    }

    fn poll(&mut self, done: &mut Vec<Completion>) -> Result<(), DeviceError> {
        done.append(&mut self.lost);
        self.working()?;
        let control = self.control.clone();
        let control = &mut *lock(&control);
        let Some(nic) = &mut control.nic else {
            return Ok(());
        };
        let mut polled = nic.poll(done);
        let now = nic.now();
        for queues in &mut control.ports {
            let port = &queues.port;
            port.state
                .set_carrier(port.vport != VportId::UPLINK || nic.uplink);
            let mut sending = queues.sending.iter_mut().flatten();
            let what = if port.broken.load(Relaxed) {
                "has failed"
            } else if sending.any(|queue| queue.has_stalled(now)) {
                "has stalled"
            } else {
                continue;
            };
            let what = format!("a queue of {} {what}", port.name);
            polled = polled.and(Err(MlxError::Queue { what }));
        }
        polled.map_err(|e| self.fail(control, &e))
    }

    fn read_counters(&mut self, out: &mut Vec<(RuleHandle, Counter)>) -> Result<(), DeviceError> {
        self.working()?;
        let control = self.control.clone();
        let mut control = lock(&control);
        let Some(nic) = &mut control.nic else {
            return Ok(());
        };
        let now = nic.now();
        let raw = match nic.read_counters() {
            Ok(raw) => raw,
            Err(e) => return Err(self.fail(&control, &e)),
        };
        out.extend(nic.operations.readings(&raw, now));
        Ok(())
    }

    fn reset(&mut self) -> Result<Vec<LastReading>, DeviceError> {
        let control = self.control.clone();
        let control = &mut *lock(&control);
        let mut last = Vec::new();
        if let Some(mut nic) = control.nic.take() {
            // A device that has failed is not asked again.
            let raw = match self.broken {
                None => nic.read_counters().unwrap_or_default(),
                Some(_) => HashMap::new(),
            };
            let now = nic.now();
            last = nic.operations.lose_all(&raw, now, &mut self.lost);
            control.strip();
            self.epoch += 1;
            let works = self.broken.is_none();
            let (operations, closed) = nic.close(works);
            self.before = Some(operations);
            if let Err(e) = closed {
                tracing::warn!(target: "mlx", "{}: {e}", self.name);
            }
        }
        let mut nic = match self.bring_up() {
            Ok(nic) => nic,
            Err(e) => return Err(self.fail(control, &e)),
        };
        if let Some(before) = self.before.take() {
            nic.operations.follow(before);
        }
        control.nic = Some(nic);
        for index in 0..control.ports.len() {
            if let Err(e) = control.equip(index) {
                return Err(self.fail(control, &e));
            }
            control.ports[index].port.set_fault(None);
        }
        self.broken = None;
        Ok(last)
    }

    fn open_port(
        &mut self,
        name: &str,
        wire: Option<&str>,
    ) -> Result<Arc<dyn PacketPort>, PortError> {
        let bad = |why: String| PortError::BadOption {
            name: name.into(),
            why,
        };
        let none = || bad(format!("{} has no such port", self.name));
        let vport = MlxDevice::vport(name).ok_or_else(none)?;
        let control = self.control.clone();
        let control = &mut *lock(&control);
        if control.ports.iter().any(|q| q.port.name == name) {
            return Err(bad(format!("port of {} is in use", self.name)));
        }
        let Some(nic) = &mut control.nic else {
            let why = self.broken.clone().unwrap_or_default();
            return Err(bad(format!("{}: {why}", self.name)));
        };
        let mac = nic.address(vport).map_err(|e| match e {
            MlxError::Command { .. } => bad(format!("{} has no such port ({e})", self.name)),
            e => bad(e.to_string()),
        })?;
        match (wire, &self.wires) {
            (None, _) => {}
            (Some(wire), Some(connect)) => connect(name, wire)?,
            (Some(_), None) => {
                let why = format!(
                    "hal-wire: the ports of {} have wires of their own",
                    self.name
                );
                return Err(bad(why));
            }
        }
        let uplink = nic.uplink;
        let interrupt = self.free_interrupt(control);
        let port = Arc::new(Port::new(name, vport, mac, interrupt));
        port.state.set_carrier(vport != VportId::UPLINK || uplink);
        control.ports.push(Queues {
            port: port.clone(),
            receiving: None,
            sending: Vec::new(),
        });
        if let Err(e) = control.equip(control.ports.len() - 1) {
            control.ports.pop();
            return Err(bad(e.to_string()));
        }
        let address = self.pci.address();
        let port = MlxPort::new(port, self.control.clone(), &self.name, address);
        Ok(Arc::new(port))
    }

    fn bind_port(&mut self, port: &str, number: Option<DpPort>) {
        let Some(vport) = MlxDevice::vport(port) else {
            return;
        };
        let mut control = lock(&self.control);
        let operations = control.nic.as_mut().map(|nic| &mut nic.operations);
        if let Some(operations) = operations.or(self.before.as_mut()) {
            operations.bind(vport, number);
        }
    }

    fn stats(&self) -> DeviceStats {
        let control = lock(&self.control);
        let received = control.ports.iter().map(|q| q.port.received());
        let (misses, resumed) = received.fold(control.departed, |(a, b), (m, r)| (a + m, b + r));
        let mut stats = DeviceStats {
            misses,
            ..DeviceStats::default()
        };
        if let Some(nic) = &control.nic {
            stats.rules = nic.operations.rules.len();
            stats.in_flight = nic.operations.in_flight() + self.lost.len();
            // Counters are read now and then, misses are known at once.
            stats.hits = nic.operations.carried().saturating_sub(resumed);
            stats.shared_objects = nic.operations.rewrites.len();
        }
        stats
    }
}
