//! Notices devices that come, go, or change, without asking again and again.
//!
//! The kernel tells of every change of a link. Names and numbers are kept, so that a new name of
//! an old device is told as one device gone and another come. When so much happens that the
//! kernel loses some of it, everything is read anew and compared.

use super::netlink::{Device, Netlink, News};
use hal::{DeviceEvent, DeviceWatch};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Watches the devices of the network namespace that it was made in.
pub struct Watch {
    netlink: Netlink,
    /// Names by number.
    known: BTreeMap<u32, String>,
}

impl Watch {
    /// Knows the devices that there are, and tells what changes from now on.
    pub fn new() -> io::Result<Watch> {
        let mut watch = Watch {
            netlink: Netlink::listening()?,
            known: BTreeMap::new(),
        };
        watch.read_anew()?;
        Ok(watch)
    }

    fn there(&mut self, device: Device, events: &mut Vec<DeviceEvent>) {
        let name = device.name;
        match self.known.insert(device.index, name.clone()) {
            Some(old) if old == name => events.push(DeviceEvent::Changed(name)),
            old => {
                events.extend(old.map(DeviceEvent::Gone));
                events.push(DeviceEvent::Came(name));
            }
        }
    }

    fn read_anew(&mut self) -> io::Result<Vec<DeviceEvent>> {
        let devices = Netlink::new()?.devices()?;
        let mut events = Vec::new();
        self.known.retain(|index, name| {
            let stays = devices.iter().any(|d| d.index == *index);
            if !stays {
                events.push(DeviceEvent::Gone(name.clone()));
            }
            stays
        });
        for device in devices {
            self.there(device, &mut events);
        }
        Ok(events)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

impl DeviceWatch for Watch {
    fn take(&mut self) -> Vec<DeviceEvent> {
        let mut events = Vec::new();
        loop {
            match self.netlink.receive() {
                Ok(None) => return events,
                Ok(Some(news)) => {
                    for one in news {
                        match one {
                            News::There(device) => self.there(device, &mut events),
                            News::Gone(device) => {
                                let known = self.known.remove(&device.index);
                                events.extend(known.map(DeviceEvent::Gone));
                            }
                            News::Answer(_) | News::Done => {}
                        }
                    }
                }
                // Some were lost.
                Err(_) => match self.read_anew() {
                    Ok(missed) => events.extend(missed),
                    Err(e) => {
                        tracing::warn!(target: "netdev_linux",
                            "the host's devices can't be read: {}", super::link::reason(&e));
                        return events;
                    }
                },
            }
        }
    }
}
