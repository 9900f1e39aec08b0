//! What a NIC answers, or does not.

use hal::pci::PciError;
use hal_mlx_prm::Opcode;
use hal_mlx_prm::command::Status;

/// A NIC that does not do what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MlxError {
    /// The way to the NIC.
    #[error(transparent)]
    Pci(#[from] PciError),
    /// A command was carried out and failed.
    #[error("{}({:#x}) failed: {status} ({:#x}), syndrome {syndrome:#010x}", .opcode.name(), *.opcode as u16, .status.0)]
    Command {
        /// Which.
        opcode: Opcode,
        /// How.
        status: CommandStatus,
        /// Exactly.
        syndrome: u32,
    },
    /// A command did not get as far as being carried out.
    #[error("{}({:#x}) was not delivered: {}", .opcode.name(), *.opcode as u16, delivery(*.status))]
    Delivery {
        /// Which.
        opcode: Opcode,
        /// How.
        status: u8,
    },
    /// A command has not come back in time.
    #[error("{}({:#x}) has not completed in {millis} ms", .opcode.name(), *.opcode as u16)]
    Timeout {
        /// Which.
        opcode: Opcode,
        /// How long it had.
        millis: u64,
    },
    /// The firmware is not ready for commands.
    #[error("firmware is still initializing after {millis} ms")]
    NotReady {
        /// How long it had.
        millis: u64,
    },
    /// The NIC says something that it cannot mean.
    #[error("the device answers {what} with {value:#x}")]
    Nonsense {
        /// What was asked.
        what: &'static str,
        /// What it said.
        value: u64,
    },
    /// The NIC lacks what the driver needs.
    #[error("the device cannot {0}")]
    Incapable(&'static str),
    /// The NIC says that it is ill.
    #[error("firmware health: {what}")]
    Health {
        /// What it says.
        what: String,
    },
    /// A queue does not work.
    #[error("{what}")]
    Queue {
        /// Which, and how that shows.
        what: String,
    },
    /// The NIC reads as all ones.
    #[error("the device is gone (its registers read as all ones)")]
    Gone,
}

/// [`Output::STATUS`](hal_mlx_prm::command::Output::STATUS) of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandStatus(pub u8);

impl PartialEq<Status> for CommandStatus {
    fn eq(&self, other: &Status) -> bool {
        self.0 == *other as u8
    }
}

impl std::fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            0x0 => "OK",
            0x1 => "internal error",
            0x2 => "bad operation",
            0x3 => "bad parameter",
            0x4 => "bad system state",
            0x5 => "bad resource",
            0x6 => "resource busy",
            0x8 => "limits exceeded",
            0x9 => "bad resource state",
            0xa => "bad index",
            0xf => "no resources",
            0x10 => "bad queue pair state",
            0x50 => "bad input length",
            0x51 => "bad output length",
            _ => "unknown status",
        })
    }
}

fn delivery(status: u8) -> &'static str {
    match status {
        0 => "no errors",
        1 => "signature error",
        2 => "token error",
        3 => "bad block number",
        4 => "bad output pointer",
        5 => "bad input pointer",
        6 => "internal error",
        7 => "input length error",
        8 => "output length error",
        9 => "reserved not zero",
        0x10 => "bad command type",
        _ => "unknown error",
    }
}
