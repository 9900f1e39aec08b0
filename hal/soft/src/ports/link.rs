//! A host's network device: what it is like, and changing it.

use super::sys::{self, IfReq};
use hal::{LinkState, PortError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// A device of the host, by name.
#[derive(Debug)]
pub struct Link {
    name: String,
    socket: OwnedFd,
}

impl Link {
    /// The device called `name`, whether or not it is there.
    pub fn new(name: &str) -> io::Result<Link> {
        Ok(Link {
            name: name.into(),
            socket: sys::control_socket()?,
        })
    }

    fn ask(&self, request: libc::Ioctl) -> io::Result<IfReq> {
        let mut req = IfReq::new(&self.name)?;
        sys::if_request(self.socket.as_fd(), request, &mut req)?;
        Ok(req)
    }

    fn tell(
        &self,
        request: libc::Ioctl,
        mut req: IfReq,
        what: &'static str,
    ) -> Result<(), PortError> {
        sys::if_request(self.socket.as_fd(), request, &mut req).map_err(|e| self.refused(what, &e))
    }

    /// A refusal of the system's, about this device.
    pub fn refused(&self, what: &'static str, e: &io::Error) -> PortError {
        PortError::Refused {
            name: self.name.clone(),
            what,
            why: reason(e),
        }
    }

    /// The device's number.
    pub fn ifindex(&self) -> io::Result<u32> {
        let index = self.ask(libc::SIOCGIFINDEX)?.int();
        u32::try_from(index).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
    }

    fn flags(&self) -> i32 {
        self.ask(libc::SIOCGIFFLAGS)
            .map_or(0, |r| i32::from(r.short()))
    }

    fn attribute(&self, file: &str) -> Option<String> {
        let path: PathBuf = ["/sys/class/net", &self.name, file].iter().collect();
        std::fs::read_to_string(path)
            .ok()
            .map(|s| s.trim().to_owned())
    }

    /// How it stands now.
    pub fn state(&self) -> LinkState {
        let flags = self.flags();
        let mac = self.ask(libc::SIOCGIFHWADDR).map_or(0, |r| {
            // A family of two bytes, then the address.
            r.data[2..8].iter().fold(0, |v, b| v << 8 | u64::from(*b))
        });
        let mbps: Option<u64> = self.attribute("speed").and_then(|s| s.parse().ok());
        let duplex = self.attribute("duplex");
        LinkState {
            admin_up: flags & libc::IFF_UP != 0,
            carrier: flags & libc::IFF_RUNNING != 0,
            carrier_resets: self
                .attribute("carrier_changes")
                .and_then(|s| s.parse().ok())
                .unwrap_or(0),
            mac,
            mtu: self
                .ask(libc::SIOCGIFMTU)
                .map_or(0, |r| u32::try_from(r.int()).unwrap_or(0)),
            ifindex: self.ifindex().unwrap_or(0),
            speed: mbps.map_or(0, |m| m.saturating_mul(1_000_000)),
            full_duplex: duplex.and_then(|d| match d.as_str() {
                "full" => Some(true),
                "half" => Some(false),
                _ => None,
            }),
        }
    }

    /// Brings it up or down.
    pub fn set_admin(&self, up: bool) -> Result<(), PortError> {
        let flags = self.flags();
        let wanted = if up {
            flags | libc::IFF_UP
        } else {
            flags & !libc::IFF_UP
        };
        let req = IfReq::new(&self.name).map_err(|e| self.refused("set flags", &e))?;
        self.tell(
            libc::SIOCSIFFLAGS,
            req.with_short(wanted as i16),
            "set flags",
        )
    }

    /// Gives it another address.
    pub fn set_mac(&self, mac: u64) -> Result<(), PortError> {
        let mut req = self
            .ask(libc::SIOCGIFHWADDR)
            .map_err(|e| self.refused("set address", &e))?;
        req.data[2..8].copy_from_slice(&mac.to_be_bytes()[2..]);
        self.tell(libc::SIOCSIFHWADDR, req, "set address")
    }

    /// Changes the largest payload.
    pub fn set_mtu(&self, mtu: u32) -> Result<(), PortError> {
        let req = IfReq::new(&self.name).map_err(|e| self.refused("set MTU", &e))?;
        let mtu = i32::try_from(mtu).unwrap_or(i32::MAX);
        self.tell(libc::SIOCSIFMTU, req.with_int(mtu), "set MTU")
    }

    /// The name of the driver, where the system tells.
    pub fn driver(&self) -> Option<String> {
        let path: PathBuf = ["/sys/class/net", &self.name, "device/driver"]
            .iter()
            .collect();
        let target = std::fs::read_link(path).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
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
