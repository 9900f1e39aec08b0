//! Ports: where frames come in and go out.

use crate::{DpPort, ResumeId};
use packet::Packet;
use std::os::fd::RawFd;

/// Packets that are handled together.
pub const BATCH: usize = 32;

/// What came with a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxMeta {
    /// The port that the packet entered by, as the datapath numbers it, where the port itself
    /// knows (a NIC's shared queue); none = the port that was polled.
    pub ingress: Option<DpPort>,
    /// How far a device got with the packet; none = it has done nothing.
    pub resume: Option<ResumeId>,
}

/// Knows what [`ResumeId`]s stand for.
pub trait ResumeTable: Send + Sync {
    /// The state in which a missed packet goes on: recirculation id, marks, what connection
    /// tracking knows. The ingress port is not part of it. None for an id that is not in use.
    fn resolve(&self, id: ResumeId) -> Option<packet::Metadata>;
}

/// Frames received together, in buffers that are used again and again.
#[derive(Debug)]
pub struct RxBatch {
    packets: Vec<Packet>,
    meta: [RxMeta; BATCH],
    len: usize,
}

impl Default for RxBatch {
    fn default() -> RxBatch {
        let packets = std::iter::repeat_with(Packet::new).take(BATCH).collect();
        RxBatch {
            packets,
            meta: [RxMeta::default(); BATCH],
            len: 0,
        }
    }
}

impl RxBatch {
    /// Forgets the frames and keeps their buffers.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no more fit.
    pub fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// A buffer for one more frame, to be filled in place; none when the batch is full.
    pub fn add(&mut self, meta: RxMeta) -> Option<&mut Packet> {
        let packet = self.packets.get_mut(self.len)?;
        self.meta[self.len] = meta;
        self.len += 1;
        Some(packet)
    }

    /// Takes the last frame back out.
    pub fn cancel(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// The frames with what came with them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut Packet, RxMeta)> {
        self.packets
            .iter_mut()
            .zip(self.meta.iter().copied())
            .take(self.len)
    }
}

/// Frames and bytes that a port has moved since it was opened; [`PortCounters::UNKNOWN`] where
/// nobody counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PortCounters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_dropped: u64,
    pub rx_errors: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_dropped: u64,
    pub tx_errors: u64,
}

impl PortCounters {
    /// What stands where nobody counts.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// How a port stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Administratively up.
    pub admin_up: bool,
    /// Has a carrier.
    pub carrier: bool,
    /// How often the carrier came or went.
    pub carrier_resets: u64,
    /// Ethernet address, 48 bits.
    pub mac: u64,
    /// Largest payload of a frame, bytes.
    pub mtu: u32,
    /// The host's interface number, 0 = none.
    pub ifindex: u32,
    /// Bits a second, 0 = not known.
    pub speed: u64,
    /// Both ways at once; none = not known.
    pub full_duplex: Option<bool>,
}

/// What went wrong with a port: what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The device that the port stands for is not there.
    #[error("could not open network device {name} ({why})")]
    NoDevice {
        /// The device's name.
        name: String,
        /// The operating system's word.
        why: String,
    },
    /// An option makes no sense.
    #[error("{name}: {why}")]
    BadOption {
        /// The port's name.
        name: String,
        /// Which option and why.
        why: String,
    },
    /// The operating system refused.
    #[error("{name}: {what}: {why}")]
    Refused {
        /// The port's name.
        name: String,
        /// What was tried.
        what: &'static str,
        /// The operating system's word.
        why: String,
    },
}

/// Who polls a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollClass {
    /// The control thread, between its other work: dummy ports, so that tests need no waiting.
    Main,
    /// A poll thread.
    Thread,
}

/// A port.
///
/// Queues are handed out once each and then belong to one thread, so that moving frames takes no
/// lock. Everything else may be called from anywhere.
pub trait PacketPort: Send + Sync {
    /// `tap`, `system`, `dummy`, `hal`, ...
    fn kind(&self) -> &'static str;

    /// Who polls it.
    fn poll_class(&self) -> PollClass {
        PollClass::Thread
    }

    /// The receive queues. The second call gives none.
    fn take_rx(&self) -> Vec<Box<dyn RxQueue>>;

    /// A transmit queue for one more thread.
    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError>;

    /// How the port stands.
    fn link(&self) -> LinkState;

    /// What the port has moved.
    fn counters(&self) -> PortCounters;

    /// Brings the port up or down.
    fn set_admin(&self, up: bool) -> Result<(), PortError>;

    /// Gives the port another address.
    fn set_mac(&self, mac: u64) -> Result<(), PortError>;

    /// Changes the largest payload, bytes.
    fn set_mtu(&self, mtu: u32) -> Result<(), PortError>;

    /// Key and value pairs for the `status` column.
    fn status(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Receives.
pub trait RxQueue: Send {
    /// Adds frames until the batch is full or none are left. An error is counted by the port and
    /// ends the batch; it does not end the port.
    fn receive(&mut self, batch: &mut RxBatch) -> std::io::Result<()>;

    /// What to wait on when there is nothing to receive.
    fn poll_fd(&self) -> Option<RawFd>;
}

/// Sends.
pub trait TxQueue: Send {
    /// Takes a copy of the frame, to be sent at the next flush at the latest. False if there was
    /// no room, which is counted as dropped.
    fn send(&mut self, packet: &Packet) -> bool;

    /// Sends what was taken.
    fn flush(&mut self);
}
