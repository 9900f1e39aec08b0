//! What a NIC's port keeps on the side of software, whichever NIC it is.

use crate::{LinkState, PortCounters};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// How a representor stands and what has passed it. It is shared by the port's handle, its queues
/// and whoever looks after the device.
#[derive(Debug)]
pub struct Representor {
    admin_up: AtomicBool,
    mac: AtomicU64,
    mtu: AtomicU32,
    carrier: AtomicBool,
    carrier_resets: AtomicU64,
    /// What has passed it.
    pub tally: Tally,
}

/// Counters that threads share, named as those of [`PortCounters`].
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Tally {
    pub rx_packets: AtomicU64,
    pub rx_bytes: AtomicU64,
    pub rx_dropped: AtomicU64,
    pub rx_errors: AtomicU64,
    pub tx_packets: AtomicU64,
    pub tx_bytes: AtomicU64,
    pub tx_dropped: AtomicU64,
    pub tx_errors: AtomicU64,
}

impl Representor {
    /// One that is up, with an MTU of 1500.
    pub fn new(mac: u64, carrier: bool) -> Representor {
        Representor {
            admin_up: AtomicBool::new(true),
            mac: AtomicU64::new(mac),
            mtu: AtomicU32::new(1500),
            carrier: AtomicBool::new(carrier),
            carrier_resets: AtomicU64::new(0),
            tally: Tally::default(),
        }
    }

    /// Whether it is to carry packets.
    #[inline]
    pub fn is_up(&self) -> bool {
        self.admin_up.load(Relaxed)
    }

    /// Lets it carry packets, or none.
    pub fn set_admin(&self, up: bool) {
        self.admin_up.store(up, Relaxed);
    }

    /// Sets its Ethernet address, the lowest 48 bits.
    pub fn set_mac(&self, mac: u64) {
        self.mac.store(mac & 0xffff_ffff_ffff, Relaxed);
    }

    /// Sets the largest payload of a frame, bytes.
    pub fn set_mtu(&self, mtu: u32) {
        self.mtu.store(mtu, Relaxed);
    }

    /// Whether it has a carrier now.
    pub fn set_carrier(&self, carrier: bool) {
        if self.carrier.swap(carrier, Relaxed) != carrier {
            self.carrier_resets.fetch_add(1, Relaxed);
        }
    }

    /// Counts a packet that software has sent, or tried to.
    #[inline]
    pub fn count_sent(&self, sent: bool, bytes: usize) {
        let tally = &self.tally;
        if sent {
            tally.tx_packets.fetch_add(1, Relaxed);
            tally.tx_bytes.fetch_add(bytes as u64, Relaxed);
        } else {
            tally.tx_dropped.fetch_add(1, Relaxed);
        }
    }

    /// How it stands. What is down has no carrier.
    pub fn link(&self) -> LinkState {
        let admin_up = self.is_up();
        LinkState {
            admin_up,
            carrier: admin_up && self.carrier.load(Relaxed),
            carrier_resets: self.carrier_resets.load(Relaxed),
            mac: self.mac.load(Relaxed),
            mtu: self.mtu.load(Relaxed),
            ifindex: 0,
            full_duplex: Some(true),
            ..LinkState::default()
        }
    }

    /// What has passed it.
    pub fn counters(&self) -> PortCounters {
        let t = &self.tally;
        PortCounters {
            rx_packets: t.rx_packets.load(Relaxed),
            rx_bytes: t.rx_bytes.load(Relaxed),
            rx_dropped: t.rx_dropped.load(Relaxed),
            rx_errors: t.rx_errors.load(Relaxed),
            tx_packets: t.tx_packets.load(Relaxed),
            tx_bytes: t.tx_bytes.load(Relaxed),
            tx_dropped: t.tx_dropped.load(Relaxed),
            tx_errors: t.tx_errors.load(Relaxed),
            ..PortCounters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_down_has_no_carrier_and_changes_are_counted() {
        let representor = Representor::new(2, false);
        assert!(!representor.link().carrier);
        representor.set_carrier(true);
        representor.set_carrier(true);
        let link = representor.link();
        assert_eq!((link.carrier, link.carrier_resets), (true, 1));
        representor.set_admin(false);
        representor.set_mac(0xffff_0200_0000_0001);
        let link = representor.link();
        assert_eq!((link.admin_up, link.carrier), (false, false));
        assert_eq!((link.mac, link.mtu), (0x0200_0000_0001, 1500));
    }

    #[test]
    fn what_was_not_sent_was_dropped() {
        let representor = Representor::new(2, true);
        representor.count_sent(true, 60);
        representor.count_sent(false, 90);
        let counters = representor.counters();
        assert_eq!((counters.tx_packets, counters.tx_bytes), (1, 60));
        assert_eq!(counters.tx_dropped, 1);
        assert_eq!(counters.collisions, PortCounters::UNKNOWN);
    }
}
