//! The words in which the room talks to the owner of the software flows.

use hal::{FlowStats, Reason, Ufid};

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
