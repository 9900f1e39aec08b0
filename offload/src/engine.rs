//! The face of the room.

use clock::{Clock, Time};
use hal::{
    DpPort, FlowDevice, FlowPut, FlowStats, PacketPort, PortError, Reason, ResumeTable, Ufid,
};
use std::sync::Arc;

/// Something that the owner of the software flows must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A device forwarded packets of a flow.
    Credit {
        /// The flow.
        ufid: Ufid,
        /// What it carried since the last time.
        stats: FlowStats,
    },
    /// No device holds the flow any more: it may be taken out of software.
    Released {
        /// The flow.
        ufid: Ufid,
    },
}

/// When flows are admitted to hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admit {
    /// When they carry enough.
    #[default]
    Policy,
    /// At once.
    Always,
}

/// Where a flow lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In a device.
    Hardware {
        /// Its name.
        device: String,
    },
    /// In software, for one reason.
    Software(Reason),
}

/// Decides which megaflow lives where, and sees to it.
pub struct Engine {
    clock: Clock,
}

impl Engine {
    /// An engine without devices.
    pub fn new(clock: Clock) -> Engine {
        Engine { clock }
    }

    /// Takes a device under the name by which ports refer to it.
    pub fn add_device(&mut self, _name: &str, _device: Box<dyn FlowDevice>) {}

    /// Whether a device of this name is here.
    pub fn has_device(&self, _name: &str) -> bool {
        false
    }

    /// Opens a port of a device.
    pub fn open_port(
        &mut self,
        device: &str,
        port: &str,
        _wire: Option<&str>,
    ) -> Result<Arc<dyn PacketPort>, PortError> {
        Err(PortError::NoDevice {
            name: format!("{device} {port}"),
            why: "no such device".into(),
        })
    }

    /// Tells a device the datapath's number of one of its ports; none takes it away.
    pub fn bind_port(&mut self, _device: &str, _port: &str, _number: Option<DpPort>) {}

    /// Where missed packets go on.
    pub fn resume_table(&self) -> Arc<dyn ResumeTable> {
        struct Nothing;
        impl ResumeTable for Nothing {
            fn resolve(&self, _id: hal::ResumeId) -> Option<packet::Metadata> {
                None
            }
        }
        Arc::new(Nothing)
    }

    /// Turns offloading on or off (`hw-offload`). Off, all rules leave the devices.
    pub fn set_enabled(&mut self, _enabled: bool) {}

    /// When flows are admitted (`offload-admit`).
    pub fn set_admit(&mut self, _admit: Admit) {}

    /// Which devices are preferred, by name, the most wanted first (`hw-offload-priority`).
    pub fn set_priority(&mut self, _order: &[String]) {}

    /// A flow is now in software.
    pub fn flow_added(&mut self, _flow: &FlowPut) {}

    /// A flow's actions are now others in software.
    pub fn flow_changed(&mut self, _flow: &FlowPut) {}

    /// A flow is to go. True if no device holds it, so that it may go at once; else
    /// [`Event::Released`] will say so.
    pub fn flow_removed(&mut self, _ufid: Ufid) -> bool {
        true
    }

    /// Where a flow lives.
    pub fn placement(&self, _ufid: Ufid) -> Placement {
        Placement::Software(Reason::Disabled)
    }

    /// How many flows live in devices.
    pub fn offloaded(&self) -> usize {
        0
    }

    /// Devices with their capabilities, occupancy, rates and queues, for people and programs.
    pub fn report(&self) -> Report {
        Report {}
    }

    /// Does what there is to do.
    pub fn run(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// When there will be something to do.
    pub fn next_deadline(&self) -> Time {
        let _ = &self.clock;
        Time::NEVER
    }
}

/// What [`Engine::report`] tells.
#[derive(Clone, Debug)]
pub struct Report {}

impl Report {
    /// For people, at most 80 columns wide.
    pub fn text(&self) -> String {
        "  no devices\n".into()
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "devices": [] })
    }
}
