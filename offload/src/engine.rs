//! The face of the room.

use clock::{Clock, Time};
use hal::{FlowPut, FlowStats, Reason, Ufid};

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

    /// A flow is now in software.
    pub fn flow_added(&mut self, _flow: &FlowPut) {}

    /// A flow's actions are now others in software.
    pub fn flow_changed(&mut self, _flow: &FlowPut) {}

    /// A flow is to go. True if no device holds it, so that it may go at once; else
    /// [`Event::Released`] will say so.
    pub fn flow_removed(&mut self, _ufid: Ufid) -> bool {
        true
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
