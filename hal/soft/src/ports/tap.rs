//! A tap: a device that exists because this process holds it, and that the host's stack sees.

use super::link::{Link, refused};
use super::sys::{self, IfReq};
use super::tally::Tally;
use super::vnet;
use hal::{LinkState, PacketPort, PortCounters, PortError, RxBatch, RxMeta, RxQueue, TxQueue};
use packet::Packet;
use rustix::io::{readv, writev};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
        let fail = |what| refused(name, what);
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
        let link = Link::open(name)?;
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

    fn look_again(&self) -> Result<(), PortError> {
        self.link.look_again()
    }

    /// What the host sends here the switch receives, and the other way round.
    fn counters(&self) -> PortCounters {
        let host = self.link.counters().unwrap_or_default();
        let own = self.tally.read();
        PortCounters {
            rx_packets: host.tx_packets,
            rx_bytes: host.tx_bytes,
            rx_dropped: host.tx_dropped,
            rx_errors: host.tx_errors + own.rx_errors,
            tx_packets: host.rx_packets,
            tx_bytes: host.rx_bytes,
            tx_dropped: host.rx_dropped + own.tx_dropped,
            tx_errors: host.rx_errors,
            rx_frame_errors: 0,
            rx_over_errors: 0,
            rx_crc_errors: 0,
            rx_missed_errors: 0,
            ..host
        }
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
        self.link.status()
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
                    if !vnet::apply(&header, packet) {
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
        if !ok {
            self.tally.tx_dropped.fetch_add(1, Relaxed);
        }
        ok
    }

    fn flush(&mut self) {}
}
