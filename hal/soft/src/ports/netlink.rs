//! What the kernel says of the host's devices (rtnetlink(7)).
//!
//! A request is answered before the call that sends it returns, so nothing here ever waits. Of a
//! message only what is needed is read, attribute by attribute: one that this library can't read
//! must not hide a device.

use hal::PortCounters;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NlasIterator, ParseableParametrized,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkHeader, LinkMessage, Stats64};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily as Family, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send,
    socket_with,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The multicast group that is told of links (`RTMGRP_LINK`).
const LINK_GROUP: u32 = 1;
/// Room for one datagram: the kernel's are at most 32 KiB.
const DATAGRAM: usize = 1 << 16;
/// A netlink message's header, and that of a message about a link.
const MESSAGE_HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;

/// A device of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// Up with a carrier.
    pub running: bool,
    /// Its address, 48 bits.
    pub mac: u64,
    /// Its largest payload.
    pub mtu: u32,
    /// How often its carrier came or went.
    pub carrier_changes: u32,
    /// The device that it hangs on: a veth's other end.
    pub lower: Option<u32>,
    /// What has passed it, as the host sees it.
    pub counters: PortCounters,
}

/// One message.
pub enum News {
    /// A device is there, like this.
    There(Device),
    /// A device is no longer there.
    Gone(Device),
    /// A request was carried out, or not: the error's number.
    Answer(i32),
    /// The last of many.
    Done,
}

/// A socket to the kernel.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// A socket for requests.
    pub fn new() -> io::Result<Netlink> {
        Netlink::bound(0)
    }

    /// A socket that is told of every change of a link as well.
    pub fn listening() -> io::Result<Netlink> {
        Netlink::bound(LINK_GROUP)
    }

    fn bound(groups: u32) -> io::Result<Netlink> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is number 0, routes and links.
        let socket = socket_with(Family::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Netlink(socket))
    }

    fn ask(&self, payload: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.0, &bytes, SendFlags::empty())?;
        Ok(())
    }

    /// The messages of the next datagram; none if there is none yet. An error `ENOBUFS` says that
    /// some were lost.
    pub fn receive(&self) -> io::Result<Option<Vec<News>>> {
        let mut bytes = vec![0; DATAGRAM];
        match recv(&self.0, &mut bytes[..], RecvFlags::empty()) {
            Ok((_, length)) => Ok(Some(messages(bytes.get(..length).unwrap_or_default()))),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// A device by number (or by name, if the number is 0).
    pub fn device(&self, index: u32, name: &str) -> io::Result<Device> {
        let mut wanted = LinkMessage::default();
        wanted.header.index = index;
        if index == 0 {
            wanted.attributes.push(LinkAttribute::IfName(name.into()));
        }
        self.ask(RouteNetlinkMessage::GetLink(wanted), 0)?;
        while let Some(news) = self.receive()? {
            for one in news {
                match one {
                    News::There(device) => return Ok(device),
                    News::Answer(error) => return Err(io::Error::from_raw_os_error(error)),
                    News::Gone(_) | News::Done => {}
                }
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// All devices.
    pub fn devices(&self) -> io::Result<Vec<Device>> {
        self.ask(
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            NLM_F_DUMP,
        )?;
        let mut all = Vec::new();
        while let Some(news) = self.receive()? {
            for one in news {
                match one {
                    News::There(device) => all.push(device),
                    News::Answer(error) => return Err(io::Error::from_raw_os_error(error)),
                    News::Done => return Ok(all),
                    News::Gone(_) => {}
                }
            }
        }
        Ok(all)
    }

    fn change(&self, message: LinkMessage) -> io::Result<()> {
        self.ask(RouteNetlinkMessage::SetLink(message), NLM_F_ACK)?;
        while let Some(news) = self.receive()? {
            for one in news {
                match one {
                    News::Answer(0) => return Ok(()),
                    News::Answer(error) => return Err(io::Error::from_raw_os_error(error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Brings a device up or down.
    pub fn set_up(&self, index: u32, up: bool) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.change_mask = LinkFlags::Up;
        if up {
            message.header.flags = LinkFlags::Up;
        }
        self.change(message)
    }

    /// Changes one thing about a device.
    pub fn set(&self, index: u32, what: LinkAttribute) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes.push(what);
        self.change(message)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes a datagram apart.
///
/// ```text
///  0        4      6       8     12    16
///  | length | type | flags | seq | pid | payload, padded to 4 |   next message
/// ```
fn messages(mut bytes: &[u8]) -> Vec<News> {
    let mut all = Vec::new();
    while let Some(length) = u32_at(bytes, 0) {
        let length = length as usize;
        let (Some(kind), Some(payload)) = (u16_at(bytes, 4), bytes.get(MESSAGE_HEADER..length))
        else {
            break;
        };
        match kind {
            RTM_NEWLINK => all.extend(device(payload).map(News::There)),
            RTM_DELLINK => all.extend(device(payload).map(News::Gone)),
            // A negative error's number, 0 = carried out.
            NLMSG_ERROR => {
                let code = u32_at(payload, 0).unwrap_or(0) as i32;
                all.push(News::Answer(code.wrapping_neg()));
            }
            NLMSG_DONE => all.push(News::Done),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(four))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_ne_bytes(two))
}

/// Reads an `ifinfomsg` and its attributes. None if it is not about a device itself: a bridge's
/// ports are told of in its own family.
fn device(payload: &[u8]) -> Option<Device> {
    let header = LinkHeader::parse(payload).ok()?;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut device = Device {
        index: header.index,
        up: header.flags.contains(LinkFlags::Up),
        running: header.flags.contains(LinkFlags::Running),
        ..Device::default()
    };
    for nla in NlasIterator::new(payload.get(LINK_HEADER..)?) {
        let attribute = LinkAttribute::parse_with_param(&nla.ok()?, AddressFamily::Unspec);
        match attribute {
            Ok(LinkAttribute::IfName(name)) => device.name = name,
            Ok(LinkAttribute::Mtu(mtu)) => device.mtu = mtu,
            Ok(LinkAttribute::Address(a)) if a.len() == 6 => {
                device.mac = a.iter().fold(0, |v, b| v << 8 | u64::from(*b));
            }
            Ok(LinkAttribute::CarrierChanges(n)) => device.carrier_changes = n,
            Ok(LinkAttribute::Link(n)) => device.lower = Some(n),
            Ok(LinkAttribute::Stats64(s)) => device.counters = counters(&s),
            _ => {}
        }
    }
    Some(device)
}

fn counters(s: &Stats64) -> PortCounters {
    PortCounters {
        rx_packets: s.rx_packets,
        rx_bytes: s.rx_bytes,
        rx_dropped: s.rx_dropped,
        rx_errors: s.rx_errors,
        tx_packets: s.tx_packets,
        tx_bytes: s.tx_bytes,
        tx_dropped: s.tx_dropped,
        tx_errors: s.tx_errors,
        rx_multicast: s.multicast,
        rx_frame_errors: s.rx_frame_errors,
        rx_over_errors: s.rx_over_errors,
        rx_crc_errors: s.rx_crc_errors,
        rx_missed_errors: s.rx_missed_errors,
        collisions: s.collisions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_as_everywhere() {
        let netlink = Netlink::new().unwrap();
        let lo = netlink.device(0, "lo").unwrap();
        assert_eq!((lo.name.as_str(), lo.mac, lo.mtu), ("lo", 0, 65536));
        assert_eq!(netlink.device(lo.index, "").unwrap().name, "lo");
        let all = netlink.devices().unwrap();
        assert!(all.iter().any(|d| d.index == lo.index && d.name == "lo"));
        let none = netlink.device(0, "no-such-dev").unwrap_err();
        assert_eq!(none.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn datagrams_that_are_cut_short_are_read_as_far_as_they_go() {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName("veth0".into()),
            LinkAttribute::Mtu(1500),
        ];
        let payload = NetlinkPayload::from(RouteNetlinkMessage::NewLink(message));
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let whole = messages(&bytes);
        let [News::There(device)] = whole.as_slice() else {
            panic!("one device");
        };
        assert_eq!((device.name.as_str(), device.mtu), ("veth0", 1500));
        for end in 0..bytes.len() {
            assert!(messages(&bytes[..end]).is_empty());
        }
        // Lengths that lie.
        for at in 0..bytes.len() {
            let mut odd = bytes.clone();
            odd[at] = 0xff;
            messages(&odd);
        }
    }
}
