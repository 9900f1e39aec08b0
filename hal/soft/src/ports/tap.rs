//! A tap: a device that exists because this process holds it, and that the host's stack sees.

use super::link::{Link, reason};
use super::sys::{self, IfReq};
use super::vnet;
use hal::{LinkState, PacketPort, PortCounters, PortError, RxBatch, RxMeta, RxQueue, TxQueue};
use packet::Packet;
use rustix::io::{readv, writev};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The longest frame: 64 KiB of segments to be cut, and headers.
const MAX_FRAME: usize = 65536 + 256;

const TUNSETIFF: u64 = 0x4004_54ca;
const TUNSETOFFLOAD: u64 = 0x4004_54d0;
const IFF_TAP: i16 = 0x0002;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
/// Checksums, TCP over IPv4 and IPv6, ECN, UDP segments.
const OFFLOADS: [u64; 3] = [
    0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40,
    0x01 | 0x02 | 0x04 | 0x08,
    0,
];

/// Counters that several threads write.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rx_packets: AtomicU64,
    rx_bytes: AtomicU64,
    pub rx_dropped: AtomicU64,
    pub rx_errors: AtomicU64,
    tx_packets: AtomicU64,
    tx_bytes: AtomicU64,
    tx_dropped: AtomicU64,
    pub tx_errors: AtomicU64,
}

impl Tally {
    pub fn received(&self, bytes: usize) {
        self.rx_packets.fetch_add(1, Relaxed);
        self.rx_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub fn sent(&self, bytes: usize, ok: bool) {
        if ok {
            self.tx_packets.fetch_add(1, Relaxed);
            self.tx_bytes.fetch_add(bytes as u64, Relaxed);
        } else {
            self.tx_dropped.fetch_add(1, Relaxed);
        }
    }

    pub fn read(&self) -> PortCounters {
        let get = |c: &AtomicU64| c.load(Relaxed);
        PortCounters {
            rx_packets: get(&self.rx_packets),
            rx_bytes: get(&self.rx_bytes),
            rx_dropped: get(&self.rx_dropped),
            rx_errors: get(&self.rx_errors),
            tx_packets: get(&self.tx_packets),
            tx_bytes: get(&self.tx_bytes),
            tx_dropped: get(&self.tx_dropped),
            tx_errors: get(&self.tx_errors),
        }
    }
}

/// A tap. It is gone when the last of its queues is.
pub struct TapPort {
    kind: &'static str,
    link: Link,
    file: Arc<OwnedFd>,
    tally: Arc<Tally>,
    rx_taken: AtomicBool,
}

impl TapPort {
    /// Makes (or joins) the tap called `name`, as a port of type `kind`.
    pub fn open(name: &str, kind: &'static str) -> Result<TapPort, PortError> {
        let fail = |what: &'static str| {
            move |e: io::Error| PortError::Refused {
                name: name.into(),
                what,
                why: reason(&e),
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(fail("open /dev/net/tun"))?;
        let file = OwnedFd::from(file);
        let req = IfReq::new(name).map_err(fail("create tap"))?;
        let mut req = req.with_short(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
        sys::if_request(file.as_fd(), TUNSETIFF, &mut req).map_err(fail("create tap"))?;
        // Older kernels know fewer; the host then finishes more itself.
        let _ = OFFLOADS
            .iter()
            .any(|o| sys::number_request(file.as_fd(), TUNSETOFFLOAD, *o).is_ok());
        let link = Link::new(name).map_err(fail("socket"))?;
        Ok(TapPort {
            kind,
            link,
            file: Arc::new(file),
            tally: Arc::default(),
            rx_taken: AtomicBool::new(false),
        })
    }
}

impl PacketPort for TapPort {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
        if self.rx_taken.swap(true, Relaxed) {
            return Vec::new();
        }
        vec![Box::new(TapRx {
            file: self.file.clone(),
            tally: self.tally.clone(),
        })]
    }

    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError> {
        Ok(Box::new(TapTx {
            file: self.file.clone(),
            tally: self.tally.clone(),
        }))
    }

    fn link(&self) -> LinkState {
        self.link.state()
    }

    fn counters(&self) -> PortCounters {
        self.tally.read()
    }

    fn set_admin(&self, up: bool) -> Result<(), PortError> {
        self.link.set_admin(up)
    }

    fn set_mac(&self, mac: u64) -> Result<(), PortError> {
        self.link.set_mac(mac)
    }

    fn set_mtu(&self, mtu: u32) -> Result<(), PortError> {
        self.link.set_mtu(mtu)
    }

    fn status(&self) -> Vec<(String, String)> {
        vec![("driver_name".into(), "tun".into())]
    }
}

struct TapRx {
    file: Arc<OwnedFd>,
    tally: Arc<Tally>,
}

impl RxQueue for TapRx {
    fn receive(&mut self, batch: &mut RxBatch) -> io::Result<()> {
        while let Some(packet) = batch.add(RxMeta::default()) {
            let mut header = [0u8; vnet::LEN];
            let buffer = packet.receive_buffer(MAX_FRAME);
            let mut parts = [
                io::IoSliceMut::new(&mut header),
                io::IoSliceMut::new(buffer),
            ];
            match readv(&self.file, &mut parts) {
                Ok(n) if n > vnet::LEN => {
                    packet.truncate(n - vnet::LEN);
                    if vnet::apply(&header, packet) {
                        self.tally.received(packet.len());
                    } else {
                        self.tally.rx_errors.fetch_add(1, Relaxed);
                        batch.cancel();
                    }
                }
                Ok(_) => batch.cancel(),
                Err(e) => {
                    batch.cancel();
                    return match e {
                        rustix::io::Errno::AGAIN | rustix::io::Errno::INTR => Ok(()),
                        e => Err(e.into()),
                    };
                }
            }
        }
        Ok(())
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.file.as_raw_fd())
    }
}

struct TapTx {
    file: Arc<OwnedFd>,
    tally: Arc<Tally>,
}

impl TxQueue for TapTx {
    fn send(&mut self, packet: &Packet) -> bool {
        let header = vnet::header(packet);
        let parts = [io::IoSlice::new(&header), io::IoSlice::new(packet.frame())];
        let ok = writev(&self.file, &parts).is_ok();
        self.tally.sent(packet.len(), ok);
        ok
    }

    fn flush(&mut self) {}
}
