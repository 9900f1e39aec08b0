//! The simple face: [`FlowDevice`] directly on the embedded switch.

use crate::control::Control;
use crate::fabric::{Core, Fabric};
use crate::port::{Port, SimPort};
use crate::settings::Settings;
use crate::wire;
use clock::{Clock, Seed};
use hal::{
    Capabilities, Completion, Counter, DeviceError, DeviceStats, DpPort, Epoch, FlowDevice,
    LastReading, PacketPort, PortError, RuleHandle, RuleOp, Ticket,
};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A simulated NIC.
///
/// Its ports are called `pf0` (the physical function) and `vf0`, `vf1`, ... They exist while they
/// are open.
pub struct SimDevice {
    capabilities: Capabilities,
    fabric: Fabric,
    thread: Option<JoinHandle<()>>,
}

impl SimDevice {
    /// A NIC whose frames a thread of its own moves. The thread ends with the device.
    ///
    /// # Errors
    /// The operating system gives no descriptor or no thread.
    pub fn open(
        name: &str,
        settings: Settings,
        clock: Clock,
    ) -> Result<Box<dyn FlowDevice>, DeviceError> {
        let mut device = SimDevice::stepped(name, settings, clock)?;
        let fabric = device.fabric();
        let thread = std::thread::Builder::new()
            .name(format!("sim-{name}"))
            .spawn(move || fabric.run())
            .map_err(|e| failed(name, &e))?;
        device.thread = Some(thread);
        Ok(Box::new(device))
    }

    /// A NIC whose frames move only when [`Fabric::turn`] is called.
    ///
    /// # Errors
    /// The operating system gives no descriptor.
    pub fn stepped(name: &str, settings: Settings, clock: Clock) -> Result<SimDevice, DeviceError> {
        let profile = settings.profile;
        let capabilities = profile.capabilities(settings.rules, settings.inserts_per_second);
        let dice = Seed::new(settings.seed).source(name);
        let control = Control::new(capabilities.clone(), settings.faults, dice);
        Ok(SimDevice {
            capabilities,
            fabric: Fabric::new(name, clock, control).map_err(|e| failed(name, &e))?,
            thread: None,
        })
    }

    /// What moves the device's frames, to be turned by hand.
    pub fn fabric(&self) -> Fabric {
        self.fabric.clone()
    }

    fn working(&self, core: &Core) -> Result<(), DeviceError> {
        core.control.broken().map_or(Ok(()), |what| {
            Err(DeviceError {
                device: self.fabric.name().into(),
                what: what.into(),
            })
        })
    }
}

fn failed(name: &str, e: &std::io::Error) -> DeviceError {
    DeviceError {
        device: name.into(),
        what: e.to_string(),
    }
}

impl Drop for SimDevice {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.fabric.stop();
            let _ = thread.join();
        }
    }
}

/// Whether a port can be called so: `pf0`, `vf` and a number below 256.
fn is_port_name(name: &str) -> bool {
    name == "pf0"
        || name
            .strip_prefix("vf")
            .is_some_and(|n| n.parse::<u8>().is_ok_and(|v| v.to_string() == n))
}

/// A locally administered address, the same in every run.
fn address(device: &str, port: &str) -> u64 {
    let dice = &mut Seed::new(0).source(&format!("{device}/{port}"));
    0x0200_0000_0000 | dice.u64(0..1 << 40)
}

impl FlowDevice for SimDevice {
    fn name(&self) -> &str {
        self.fabric.name()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn epoch(&self) -> Epoch {
        self.fabric.core().control.epoch()
    }

    fn submit(&mut self, op: RuleOp) -> Result<Ticket, RuleOp> {
        let now = self.fabric.clock().now();
        self.fabric.core().control.submit(op, now)
    }

    fn poll(&mut self, done: &mut Vec<Completion>) -> Result<(), DeviceError> {
        let now = self.fabric.clock().now();
        let core = &mut *self.fabric.core();
        core.control.advance(&mut core.switch, now);
        self.working(core)?;
        core.control.completions(now, done);
        Ok(())
    }

    fn read_counters(&mut self, out: &mut Vec<(RuleHandle, Counter)>) -> Result<(), DeviceError> {
        let core = self.fabric.core();
        self.working(&core)?;
        out.extend(core.switch.table.counters());
        Ok(())
    }

    fn reset(&mut self) -> Result<Vec<LastReading>, DeviceError> {
        let Core { switch, control } = &mut *self.fabric.core();
        Ok(control.reset(switch))
    }

    fn open_port(
        &mut self,
        port: &str,
        wire: Option<&str>,
    ) -> Result<Arc<dyn PacketPort>, PortError> {
        let bad = |why: String| PortError::BadOption {
            name: port.into(),
            why,
        };
        if !is_port_name(port) {
            return Err(bad(format!(
                "{} has no such port; there are pf0, vf0, vf1, ... vf255",
                self.name()
            )));
        }
        if self.fabric.index_of(port).is_some() {
            return Err(bad(format!("port of {} is in use", self.name())));
        }
        let wire = wire
            .map(|text| wire::connect(port, text, self.fabric.waker(), self.fabric.clock()))
            .transpose()?;
        let opened = Port::new(port, address(self.name(), port), wire);
        let opened = opened.map_err(|e| PortError::Refused {
            name: port.into(),
            what: "eventfd",
            why: e.to_string(),
        })?;
        let opened = Arc::new(opened);
        self.fabric.add(opened.clone());
        Ok(Arc::new(SimPort::new(opened, self.fabric.clone())))
    }

    fn bind_port(&mut self, port: &str, number: Option<DpPort>) {
        if let Some(index) = self.fabric.index_of(port) {
            self.fabric.core().switch.bind(index, number);
        }
        self.fabric.wake();
    }

    fn stats(&self) -> DeviceStats {
        let core = self.fabric.core();
        DeviceStats {
            rules: core.switch.table.len(),
            in_flight: core.control.in_flight(),
            hits: core.switch.hits,
            misses: core.switch.misses,
            shared_objects: core.control.shared_objects(),
        }
    }
}
