//! A wire that is a tap: the host, or whoever it is given to, sits at the other end.

use super::sys::{self, InterfaceRequest};
use super::{MAX_FRAME, Wire, reason, vnet};
use hal::PortError;
use packet::Packet;
use rustix::io::{Errno, readv, writev};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

const TUNSETIFF: u64 = 0x4004_54ca;
const TUNSETOFFLOAD: u64 = 0x4004_54d0;
/// Tap, no packet information, virtio-net headers.
const FLAGS: i16 = 0x0002 | 0x1000 | 0x4000;
/// Checksums, TCP over IPv4 and IPv6, ECN, UDP segments; then without the last.
const OFFLOADS: [u64; 2] = [0x6f, 0x0f];

pub(super) struct TapWire {
    name: String,
    file: OwnedFd,
}

impl TapWire {
    pub fn open(name: &str) -> Result<TapWire, PortError> {
        let refused = |what: &'static str| {
            move |e: io::Error| PortError::Refused {
                name: name.into(),
                what,
                why: reason(&e),
            }
        };
        let file: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(refused("open /dev/net/tun"))?
            .into();
        let mut request = InterfaceRequest::new(name).map_err(refused("create tap"))?;
        request.set_short(FLAGS);
        sys::interface_request(file.as_fd(), TUNSETIFF, &mut request)
            .map_err(refused("create tap"))?;
        // Older kernels know fewer; the host then finishes more itself.
        let _ = OFFLOADS
            .iter()
            .any(|o| sys::number_request(file.as_fd(), TUNSETOFFLOAD, *o).is_ok());
        Ok(TapWire {
            name: name.into(),
            file,
        })
    }
}

impl Wire for TapWire {
    fn receive(&self, packet: &mut Packet) -> io::Result<bool> {
        let mut header = [0; vnet::LEN];
        let body = packet.receive_buffer(MAX_FRAME);
        let mut parts = [io::IoSliceMut::new(&mut header), io::IoSliceMut::new(body)];
        match readv(&self.file, &mut parts) {
            Ok(n) => {
                packet.truncate(n.saturating_sub(vnet::LEN));
                if vnet::read(&header, packet) {
                    Ok(true)
                } else {
                    Err(io::ErrorKind::InvalidData.into())
                }
            }
            // The device is down or has gone: nothing comes.
            Err(Errno::AGAIN | Errno::INTR | Errno::IO | Errno::BADFD) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn send(&self, packet: &Packet) -> io::Result<()> {
        let header = vnet::write(packet);
        let parts = [io::IoSlice::new(&header), io::IoSlice::new(packet.frame())];
        writev(&self.file, &parts)?;
        Ok(())
    }

    fn fd(&self) -> Option<RawFd> {
        Some(self.file.as_raw_fd())
    }

    fn carrier(&self) -> bool {
        // A device that has gone into another namespace cannot be asked and is trusted.
        sys::interface_flags(&self.name).is_none_or(|flags| flags & libc::IFF_UP != 0)
    }

    fn describe(&self) -> String {
        format!("tap:{}", self.name)
    }
}
