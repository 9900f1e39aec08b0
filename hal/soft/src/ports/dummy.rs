//! Dummy ports: no wire, no kernel, no waiting.
//!
//! Frames come in by [`DummyPort::inject`] (`netdev-dummy/receive`) and go out into a list that a
//! test takes, and into pcap files where the options say so (`tx_pcap`, `rxq_pcap`, `pcap`).

use crate::lock::Lock;
use clock::Clock;
use hal::{
    LinkState, PacketPort, PollClass, PortCounters, PortError, RxBatch, RxMeta, RxQueue, TxQueue,
};
use packet::Packet;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::DerefMut;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Frames that may wait to be received.
const RX_QUEUE: usize = 100;
/// Sent frames that are kept for a test to take.
const TX_KEPT: usize = 1024;

/// Takes each frame that a port sends.
pub type FarSide = Box<dyn Fn(&[u8]) + Send>;

#[derive(Default)]
struct State {
    rx: VecDeque<Packet>,
    /// Sent frames, for whoever asks; bounded.
    sent: VecDeque<Vec<u8>>,
    keep_sent: bool,
    link: LinkState,
    counters: PortCounters,
    tx_pcap: Option<PcapWriter<File>>,
    rx_pcap: Option<PcapWriter<File>>,
    /// Where sent and received frames are written.
    pcap_paths: [Option<PathBuf>; 2],
    /// Received frames go where sent ones go.
    one_pcap: bool,
    far_side: Option<FarSide>,
    /// Dates the frames in captures.
    clock: Option<Clock>,
    rx_taken: bool,
}

/// A dummy port. Clones are the same port.
#[derive(Clone)]
pub struct DummyPort {
    kind: &'static str,
    state: Arc<Lock<State>>,
}

impl DummyPort {
    /// A port with the address `mac`, of type `kind`.
    pub fn new(kind: &'static str, mac: u64) -> DummyPort {
        let link = LinkState {
            admin_up: false,
            carrier: true,
            mac,
            mtu: 1500,
            ..Default::default()
        };
        let unknown = PortCounters::UNKNOWN;
        let counters = PortCounters {
            rx_dropped: unknown,
            rx_errors: unknown,
            tx_dropped: unknown,
            tx_errors: unknown,
            ..PortCounters::default()
        };
        let state = State {
            link,
            counters,
            ..State::default()
        };
        DummyPort {
            kind,
            state: Arc::new(Lock::new(state)),
        }
    }

    fn state(&self) -> impl DerefMut<Target = State> {
        self.state.lock()
    }

    /// Lets the port receive a frame. False if too many wait already.
    pub fn inject(&self, packet: Packet) -> bool {
        let mut s = self.state();
        if s.rx.len() >= RX_QUEUE {
            return false;
        }
        s.counters.rx_packets += 1;
        s.counters.rx_bytes += packet.len() as u64;
        let s = &mut *s;
        let pcap = if s.one_pcap {
            &mut s.tx_pcap
        } else {
            &mut s.rx_pcap
        };
        record(pcap, s.clock.as_ref(), packet.frame());
        s.rx.push_back(packet);
        true
    }

    /// Frames in captures are dated by this clock.
    pub fn set_clock(&self, clock: Clock) {
        self.state().clock = Some(clock);
    }

    /// Hands each frame that is sent to `far_side`, which must not wait; none = nobody is there.
    pub fn set_far_side(&self, far_side: Option<FarSide>) {
        self.state().far_side = far_side;
    }

    /// Keeps sent frames from now on, for [`DummyPort::take_sent`].
    pub fn keep_sent(&self) {
        self.state().keep_sent = true;
    }

    /// The frames sent since the last call, if they are kept.
    pub fn take_sent(&self) -> Vec<Vec<u8>> {
        self.state().sent.drain(..).collect()
    }

    /// Writes sent frames to one pcap file and received ones to another; none ends it. Files that
    /// are being written already go on.
    pub fn set_pcaps(&self, tx: Option<&Path>, rx: Option<&Path>) -> Result<(), PortError> {
        let paths = [tx, rx].map(|p| p.map(Path::to_owned));
        if self.state().pcap_paths == paths {
            return Ok(());
        }
        let open = |path: Option<&Path>| match path {
            None => Ok(None),
            Some(path) => create_pcap(path).map(Some),
        };
        let (tx_file, rx_file) = (open(tx)?, if rx == tx { None } else { open(rx)? });
        let mut s = self.state();
        s.one_pcap = tx.is_some() && tx == rx;
        s.pcap_paths = paths;
        s.tx_pcap = tx_file;
        s.rx_pcap = rx_file;
        Ok(())
    }

    /// Sets the interface number that the port shows.
    pub fn set_ifindex(&self, ifindex: u32) {
        self.state().link.ifindex = ifindex;
    }
}

fn create_pcap(path: &Path) -> Result<PcapWriter<File>, PortError> {
    let refused = |why: String| PortError::Refused {
        name: path.display().to_string(),
        what: "create pcap file",
        why,
    };
    let file = File::create(path).map_err(|e| refused(e.to_string()))?;
    let header = PcapHeader {
        endianness: pcap_file::Endianness::native(),
        ..Default::default()
    };
    PcapWriter::with_header(file, header).map_err(|e| refused(e.to_string()))
}

fn record(pcap: &mut Option<PcapWriter<File>>, clock: Option<&Clock>, frame: &[u8]) {
    let date = Duration::from_millis(clock.map_or(0, Clock::wall_ms));
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    // The disk being full must not stop the switch.
    if let Some(w) = pcap {
        let _ = w.write_packet(&PcapPacket::new(date, len, frame));
    }
}

impl PacketPort for DummyPort {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn poll_class(&self) -> PollClass {
        PollClass::Main
    }

    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
        if std::mem::replace(&mut self.state().rx_taken, true) {
            return Vec::new();
        }
        vec![Box::new(DummyRx(self.clone()))]
    }

    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError> {
        Ok(Box::new(DummyTx {
            port: self.clone(),
            scratch: Packet::default(),
        }))
    }

    fn link(&self) -> LinkState {
        self.state().link
    }

    fn counters(&self) -> PortCounters {
        self.state().counters
    }

    /// All packets pass by queue 0. The first two are there so that tests see counters with names
    /// of their own; both count what is received.
    fn more_counters(&self) -> Vec<(&'static str, u64)> {
        let c = self.counters();
        vec![
            ("rx_custom_packets_1", c.rx_packets),
            ("rx_custom_packets_2", c.rx_packets),
            ("rx_q0_bytes", c.rx_bytes),
            ("rx_q0_packets", c.rx_packets),
            ("tx_q0_bytes", c.tx_bytes),
            ("tx_q0_packets", c.tx_packets),
        ]
    }

    fn set_admin(&self, up: bool) -> Result<(), PortError> {
        self.state().link.admin_up = up;
        Ok(())
    }

    fn set_mac(&self, mac: u64) -> Result<(), PortError> {
        self.state().link.mac = mac;
        Ok(())
    }

    fn set_mtu(&self, mtu: u32) -> Result<(), PortError> {
        self.state().link.mtu = mtu;
        Ok(())
    }
}

struct DummyRx(DummyPort);

impl Drop for DummyRx {
    fn drop(&mut self) {
        // A port that leaves one datapath can join another.
        self.0.state().rx_taken = false;
    }
}

impl RxQueue for DummyRx {
    fn receive(&mut self, batch: &mut RxBatch) -> std::io::Result<()> {
        let mut s = self.0.state();
        while !batch.is_full() {
            let Some(packet) = s.rx.pop_front() else {
                break;
            };
            if let Some(place) = batch.add(RxMeta::default()) {
                place.assign_packet(&packet);
            }
        }
        Ok(())
    }

    fn poll_fd(&self) -> Option<RawFd> {
        None
    }
}

struct DummyTx {
    port: DummyPort,
    scratch: Packet,
}

impl TxQueue for DummyTx {
    fn send(&mut self, packet: &Packet) -> bool {
        // Nobody behind this port finishes what the host left unfinished.
        let frame = if packet.checksum.is_some() {
            self.scratch.assign_packet(packet);
            self.scratch.finish_checksum();
            self.scratch.frame()
        } else {
            packet.frame()
        };
        let mut s = self.port.state();
        s.counters.tx_packets += 1;
        s.counters.tx_bytes += frame.len() as u64;
        let s = &mut *s;
        record(&mut s.tx_pcap, s.clock.as_ref(), frame);
        if let Some(far_side) = &s.far_side {
            far_side(frame);
        }
        if s.keep_sent {
            if s.sent.len() >= TX_KEPT {
                s.sent.pop_front();
            }
            s.sent.push_back(frame.to_vec());
        }
        true
    }

    fn flush(&mut self) {}
}
