//! A host's network device: what it is like, and changing it.
//!
//! How the device stands is read when it is opened, when it is told to change, and when the
//! kernel says that it has changed ([`Link::look_again`]); whoever asks in between is told what
//! was read then. Only counters are read each time.

use super::ethtool::{self, Driver};
use super::netlink::{Device, Netlink};
use crate::lock::Lock;
use hal::{LinkState, PortCounters, PortError};
use netlink_packet_route::link::LinkAttribute;
use std::io;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A device of the host. It is the same device under another name, and another device may come to
/// bear its name: then it is gone.
#[derive(Debug)]
pub struct Link {
    name: String,
    index: u32,
    netlink: Netlink,
    driver: Option<Driver>,
    /// Changes of the carrier before it was opened.
    first_changes: u32,
    seen: Lock<Seen>,
    /// The largest payload, for those who send.
    mtu: Arc<AtomicU32>,
}

#[derive(Debug, Default)]
struct Seen {
    state: LinkState,
    /// A veth's other end.
    peer: Option<u32>,
}

impl Link {
    /// The device called `name`.
    pub fn open(name: &str) -> Result<Link, PortError> {
        let missing = |e: io::Error| no_device(name, &e);
        // The kernel's names have at most 15 bytes.
        if name.is_empty() || name.len() > 15 {
            return Err(missing(io::Error::from_raw_os_error(libc::ENODEV)));
        }
        let netlink = Netlink::new().map_err(missing)?;
        let device = netlink.device(0, name).map_err(missing)?;
        let link = Link {
            name: name.into(),
            index: device.index,
            driver: ethtool::driver(&netlink, name),
            netlink,
            first_changes: device.carrier_changes,
            seen: Lock::default(),
            mtu: Arc::default(),
        };
        link.remember(&device);
        Ok(link)
    }

    /// The device's number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The largest payload, kept up to date.
    pub fn mtu(&self) -> Arc<AtomicU32> {
        self.mtu.clone()
    }

    fn seen(&self) -> impl DerefMut<Target = Seen> {
        self.seen.lock()
    }

    fn remember(&self, device: &Device) {
        let mut state = LinkState {
            admin_up: device.up,
            carrier: device.running,
            carrier_resets: device
                .carrier_changes
                .wrapping_sub(self.first_changes)
                .into(),
            mac: device.mac,
            mtu: device.mtu,
            ifindex: device.index,
            ..LinkState::default()
        };
        ethtool::fill(&self.netlink, &self.name, &mut state);
        let is_veth = self.driver.as_ref().is_some_and(|d| d.name == "veth");
        let peer = device.lower.filter(|_| is_veth);
        self.mtu.store(device.mtu, Relaxed);
        *self.seen() = Seen { state, peer };
    }

    /// Reads how it stands now; an error if the device is gone, or has another name.
    pub fn look_again(&self) -> Result<(), PortError> {
        let device = self
            .netlink
            .device(self.index, "")
            .and_then(|d| {
                let same = d.name == self.name;
                let gone = || io::Error::from_raw_os_error(libc::ENODEV);
                same.then_some(d).ok_or_else(gone)
            })
            .map_err(|e| no_device(&self.name, &e))?;
        self.remember(&device);
        Ok(())
    }

    /// How it stood when it was last looked at.
    pub fn state(&self) -> LinkState {
        self.seen().state
    }

    /// What has passed it until now, as the host sees it; none if it is gone.
    pub fn counters(&self) -> Option<PortCounters> {
        Some(self.netlink.device(self.index, "").ok()?.counters)
    }

    /// Brings it up or down.
    pub fn set_admin(&self, up: bool) -> Result<(), PortError> {
        self.change("set flags", self.netlink.set_up(self.index, up))
    }

    /// Gives it another address.
    pub fn set_mac(&self, mac: u64) -> Result<(), PortError> {
        let address = LinkAttribute::Address(mac.to_be_bytes()[2..].to_vec());
        self.change("set address", self.netlink.set(self.index, address))
    }

    /// Changes the largest payload.
    pub fn set_mtu(&self, mtu: u32) -> Result<(), PortError> {
        self.change(
            "set MTU",
            self.netlink.set(self.index, LinkAttribute::Mtu(mtu)),
        )
    }

    fn change(&self, what: &'static str, outcome: io::Result<()>) -> Result<(), PortError> {
        outcome.map_err(|e| refused(&self.name, what)(e))?;
        self.look_again()
    }

    /// What the `status` column says of a device of the host.
    pub fn status(&self) -> Vec<(String, String)> {
        let Some(driver) = &self.driver else {
            return Vec::new();
        };
        let mut status = vec![
            ("driver_name", driver.name.clone()),
            ("driver_version", driver.version.clone()),
            ("firmware_version", driver.firmware.clone()),
        ];
        if let Some(peer) = self.seen().peer {
            status.push(("peer_ifindex", peer.to_string()));
        }
        // What the switch may leave for the device to do.
        let left = ["tcp_csum", "tcp_seg", "udp_csum"];
        let all = [
            "geneve_tso",
            "gre_tso",
            "ip_csum",
            "out_ip_csum",
            "out_udp_csum",
            "sctp_csum",
            "tcp_csum",
            "tcp_seg",
            "udp_csum",
            "vxlan_tso",
        ];
        let offloads = all.map(|o| (format!("tx_{o}_offload"), left.contains(&o).to_string()));
        let status = status.into_iter().map(|(k, v)| (k.to_owned(), v));
        status.chain(offloads).collect()
    }
}

/// What is said of a device that is not there.
pub fn no_device(name: &str, e: &io::Error) -> PortError {
    PortError::NoDevice {
        name: name.into(),
        why: reason(e),
    }
}

/// What is said when the system refuses `what` about device `name`.
pub fn refused(name: &str, what: &'static str) -> impl Fn(io::Error) -> PortError {
    move |e| PortError::Refused {
        name: name.into(),
        what,
        why: reason(&e),
    }
}

/// The system's word for an error, without its number.
pub fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
