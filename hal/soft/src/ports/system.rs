//! A device that the host has already, taken over by a packet socket.
//!
//! Frames come through a ring that is shared with the kernel, with what the device left unfinished
//! in a vnet header and a tag that the device took out put back in. They go out with a vnet header
//! too, a batch at a time through another ring; those that don't fit there (segments to be cut) go
//! one by one, in order. While the port lives, the host's stack sees nothing of what the device
//! receives.

use super::aside::Aside;
use super::bpf::StackBarrier;
use super::link::{Link, no_device, reason, refused};
use super::rx_ring::RxRing;
use super::sys::{self, PacketMreq};
use super::tally::Tally;
use super::tx_ring::TxRing;
use super::vnet;
use crate::lock::Lock;
use hal::{LinkState, PacketPort, PortCounters, PortError, RxBatch, RxMeta, RxQueue, TxQueue};
use packet::{Packet, edit};
use rustix::io::writev;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const PACKET_IGNORE_OUTGOING: i32 = 23;
const PACKET_MR_PROMISC: u16 = 1;

/// A device of the host.
pub struct SystemPort {
    link: Link,
    socket: Arc<Aside>,
    rx: Lock<Option<RxRing>>,
    tx: Lock<Option<TxRing>>,
    tally: Arc<Tally>,
    /// The host's stack is kept off while this lives.
    _barrier: StackBarrier,
}

impl SystemPort {
    /// Takes over the device called `name`.
    pub fn open(name: &str) -> Result<SystemPort, PortError> {
        let missing = |e: io::Error| no_device(name, &e);
        let refused = |what| refused(name, what);
        let link = Link::open(name)?;
        let ifindex = link.index();
        let socket = sys::packet_socket().map_err(refused("packet socket"))?;
        let fd = socket.as_fd();
        sys::set_packet_option(fd, PACKET_IGNORE_OUTGOING, &1)
            .map_err(refused("ignore outgoing"))?;
        let ring = RxRing::new(fd).map_err(refused("receive ring"))?;
        let index = i32::try_from(ifindex).unwrap_or(0);
        let all = PacketMreq {
            ifindex: index,
            kind: PACKET_MR_PROMISC,
            alen: 0,
            address: [0; 8],
        };
        sys::set_packet_option(fd, libc::PACKET_ADD_MEMBERSHIP, &all)
            .map_err(refused("promiscuous mode"))?;
        let who = name.to_owned();
        let barrier = StackBarrier::new(ifindex, move |e| {
            tracing::warn!(target: "netdev_linux",
                "{who}: the host's stack also sees what this port receives ({}); \
                 Linux 6.6 and the right to load eBPF programs would keep it out", reason(&e));
        });
        sys::bind_packet(fd, index).map_err(missing)?;
        let tx = TxRing::new(index).map_err(refused("transmit ring"))?;
        Ok(SystemPort {
            link,
            socket: Arc::new(socket.into()),
            rx: Lock::new(Some(ring)),
            tx: Lock::new(Some(tx)),
            tally: Arc::default(),
            _barrier: barrier,
        })
    }
}

impl PacketPort for SystemPort {
    fn kind(&self) -> &'static str {
        "system"
    }

    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
        let ring = self.rx.lock().take();
        ring.into_iter()
            .map(|ring| {
                Box::new(SystemRx {
                    ring,
                    socket: self.socket.clone(),
                    tally: self.tally.clone(),
                }) as Box<dyn RxQueue>
            })
            .collect()
    }

    /// The first queue has the ring.
    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError> {
        let mut ring = self.tx.lock();
        Ok(Box::new(SystemTx {
            ring: ring.take(),
            mtu: self.link.mtu(),
            socket: self.socket.clone(),
            tally: self.tally.clone(),
        }))
    }

    fn link(&self) -> LinkState {
        self.link.state()
    }

    fn look_again(&self) -> Result<(), PortError> {
        self.link.look_again()
    }

    fn counters(&self) -> PortCounters {
        let full = sys::packet_drops(self.socket.as_fd());
        self.tally.rx_dropped.fetch_add(full, Relaxed);
        let own = self.tally.read();
        let mut counters = self.link.counters().unwrap_or_default();
        counters.rx_dropped += own.rx_dropped;
        counters.rx_errors += own.rx_errors;
        counters.tx_dropped += own.tx_dropped;
        counters
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

struct SystemRx {
    ring: RxRing,
    socket: Arc<Aside>,
    tally: Arc<Tally>,
}

impl RxQueue for SystemRx {
    fn receive(&mut self, batch: &mut RxBatch) -> io::Result<()> {
        while let Some(packet) = batch.add(RxMeta::default()) {
            match self.ring.receive(&self.socket, packet) {
                Some(Some(arrival)) if vnet::apply(&arrival.vnet, packet) => {
                    if let Some((tpid, tci)) = arrival.vlan {
                        edit::push_vlan_tag(packet, tpid, tci);
                    }
                }
                Some(_) => {
                    self.tally.rx_errors.fetch_add(1, Relaxed);
                    batch.cancel();
                }
                None => {
                    batch.cancel();
                    break;
                }
            }
        }
        Ok(())
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.socket.as_fd().as_raw_fd())
    }
}

struct SystemTx {
    ring: Option<TxRing>,
    mtu: Arc<AtomicU32>,
    socket: Arc<Aside>,
    tally: Arc<Tally>,
}

/// Bytes of a frame's Ethernet header and tags.
fn header_len(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xa8]) => 18,
        _ => 14,
    }
}

impl SystemTx {
    fn lost(&self, frames: u64) {
        if frames > 0 {
            self.tally.tx_dropped.fetch_add(frames, Relaxed);
        }
    }
}

impl TxQueue for SystemTx {
    fn send(&mut self, packet: &Packet) -> bool {
        let frame = packet.frame();
        let longest = self.mtu.load(Relaxed) as usize + header_len(frame);
        if packet.segmentation.is_none() && frame.len() > longest {
            self.lost(1);
            return false;
        }
        let header = vnet::header(packet);
        if let Some(ring) = &mut self.ring {
            if ring.put(header, frame) {
                return true;
            }
            // What is sent at once must not overtake what waits.
            let refused = ring.flush();
            let sent = ring.put(header, frame);
            self.lost(refused);
            if sent {
                return true;
            }
        }
        let parts = [io::IoSlice::new(&header), io::IoSlice::new(frame)];
        // An error that is told first (the device was down) is told once.
        let sent = writev(&self.socket, &parts).or_else(|_| writev(&self.socket, &parts));
        self.lost(sent.is_err().into());
        sent.is_ok()
    }

    fn flush(&mut self) {
        if let Some(ring) = &mut self.ring {
            let refused = ring.flush();
            self.lost(refused);
        }
    }
}
