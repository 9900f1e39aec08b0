//! Ports: where frames come in and go out.

use crate::{DpPort, ResumeId};
use packet::Packet;
use std::os::fd::{AsFd, RawFd};

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

/// Frames and bytes that a port has moved; [`PortCounters::UNKNOWN`] where nobody counts, as for
/// what only a host's device has, from `rx_multicast` on, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub rx_multicast: u64,
    pub rx_frame_errors: u64,
    pub rx_over_errors: u64,
    pub rx_crc_errors: u64,
    pub rx_missed_errors: u64,
    pub collisions: u64,
}

impl Default for PortCounters {
    fn default() -> PortCounters {
        PortCounters {
            rx_packets: 0,
            rx_bytes: 0,
            rx_dropped: 0,
            rx_errors: 0,
            tx_packets: 0,
            tx_bytes: 0,
            tx_dropped: 0,
            tx_errors: 0,
            rx_multicast: PortCounters::UNKNOWN,
            rx_frame_errors: PortCounters::UNKNOWN,
            rx_over_errors: PortCounters::UNKNOWN,
            rx_crc_errors: PortCounters::UNKNOWN,
            rx_missed_errors: PortCounters::UNKNOWN,
            collisions: PortCounters::UNKNOWN,
        }
    }
}

impl PortCounters {
    /// What stands where nobody counts.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// What a link does or can do, a bit each: speeds, media, negotiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkModes(u16);

#[allow(missing_docs)]
impl LinkModes {
    pub const HALF_10M: LinkModes = LinkModes(1);
    pub const FULL_10M: LinkModes = LinkModes(1 << 1);
    pub const HALF_100M: LinkModes = LinkModes(1 << 2);
    pub const FULL_100M: LinkModes = LinkModes(1 << 3);
    pub const HALF_1G: LinkModes = LinkModes(1 << 4);
    pub const FULL_1G: LinkModes = LinkModes(1 << 5);
    pub const FULL_10G: LinkModes = LinkModes(1 << 6);
    pub const FULL_40G: LinkModes = LinkModes(1 << 7);
    pub const FULL_100G: LinkModes = LinkModes(1 << 8);
    pub const FULL_1T: LinkModes = LinkModes(1 << 9);
    /// A speed that is none of the above.
    pub const OTHER: LinkModes = LinkModes(1 << 10);
    pub const COPPER: LinkModes = LinkModes(1 << 11);
    pub const FIBER: LinkModes = LinkModes(1 << 12);
    pub const AUTONEG: LinkModes = LinkModes(1 << 13);
    pub const PAUSE: LinkModes = LinkModes(1 << 14);
    pub const PAUSE_ASYM: LinkModes = LinkModes(1 << 15);
}

impl LinkModes {
    /// The mode of a speed in bits a second; none for 0.
    pub fn of_speed(speed: u64, full_duplex: bool) -> LinkModes {
        match (speed / 1_000_000, full_duplex) {
            (0, _) => LinkModes(0),
            (10, false) => LinkModes::HALF_10M,
            (10, true) => LinkModes::FULL_10M,
            (100, false) => LinkModes::HALF_100M,
            (100, true) => LinkModes::FULL_100M,
            (1_000, false) => LinkModes::HALF_1G,
            (1_000, true) => LinkModes::FULL_1G,
            (10_000, _) => LinkModes::FULL_10G,
            (40_000, _) => LinkModes::FULL_40G,
            (100_000, _) => LinkModes::FULL_100G,
            (1_000_000, _) => LinkModes::FULL_1T,
            _ => LinkModes::OTHER,
        }
    }

    /// The fastest speed among them, bits a second; 0 if there is none.
    pub fn fastest(self) -> u64 {
        const MEGABITS: [u64; 10] = [
            10, 10, 100, 100, 1_000, 1_000, 10_000, 40_000, 100_000, 1_000_000,
        ];
        let has = |i: &usize| self.0 & 1 << i != 0;
        let fastest = (0..MEGABITS.len()).rev().find(has);
        fastest.map_or(0, |i| MEGABITS[i] * 1_000_000)
    }

    /// The bits, numbered in the order above; OpenFlow 1.1 numbers its `OFPPF_*` so.
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl std::ops::BitOr for LinkModes {
    type Output = LinkModes;
    fn bitor(self, other: LinkModes) -> LinkModes {
        LinkModes(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for LinkModes {
    fn bitor_assign(&mut self, other: LinkModes) {
        self.0 |= other.0;
    }
}

/// How a port stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Administratively up.
    pub admin_up: bool,
    /// Has a carrier.
    pub carrier: bool,
    /// How often the carrier came or went since the port was opened.
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
    /// What the link does.
    pub current: LinkModes,
    /// What it offers its peer.
    pub advertised: LinkModes,
    /// What it could do.
    pub supported: LinkModes,
}

/// What became of a device of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// A device of this name is there that was not.
    Came(String),
    /// Something about it may be different.
    Changed(String),
    /// The device of this name is no longer there.
    Gone(String),
}

/// Tells what becomes of the host's devices. There may be something to take when its descriptor
/// is readable.
pub trait DeviceWatch: AsFd + Send {
    /// What has happened since the last call, in order.
    fn take(&mut self) -> Vec<DeviceEvent>;
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

    /// Looks again at what the port stands for, since the host says that something about it may be
    /// different. [`PortError::NoDevice`] if it is gone.
    fn look_again(&self) -> Result<(), PortError> {
        Ok(())
    }

    /// What has passed the port.
    fn counters(&self) -> PortCounters;

    /// What else of its kind it counts, by name.
    fn more_counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

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
