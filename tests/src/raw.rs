//! A raw socket on a device: the peer that makes and reads its own Ethernet frames (packet(7)).
//!
//! The kernel takes a frame's VLAN tag out of the data and hands it over beside it; [`RawSocket`]
//! puts it back, so that a test sees what was on the wire.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::{Netns, run::within};

/// A socket bound to one device, for all protocols.
pub struct RawSocket {
    socket: OwnedFd,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a small structure")
}

impl RawSocket {
    /// Opens `device` in namespace `netns`.
    pub fn open(netns: &Netns, device: &str) -> RawSocket {
        let index: i32 = netns
            .enter(|| {
                // Inside the namespace's thread, so this is its own view of its devices.
                let name = std::ffi::CString::new(device).expect("a device's name");
                // SAFETY: `name` is a string that ends in NUL and outlives the call.
                unsafe { libc::if_nametoindex(name.as_ptr()) }
            })
            .try_into()
            .expect("a device's index");
        assert!(index > 0, "no device {device}");
        netns
            .enter(|| Self::bound(index))
            .unwrap_or_else(|e| panic!("a raw socket on {device}: {e}"))
    }

    fn bound(index: i32) -> io::Result<RawSocket> {
        let everything = u16::try_from(libc::ETH_P_ALL).unwrap_or(3).to_be();
        // SAFETY: no pointers; the result is checked.
        let raw = check(unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
                i32::from(everything),
            )
        })?;
        // SAFETY: `raw` is a descriptor that was just made, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(raw) };
        let on: libc::c_int = 1;
        // SAFETY: the option's value is an int that outlives the call, with its own length.
        check(unsafe {
            libc::setsockopt(
                raw,
                libc::SOL_PACKET,
                libc::PACKET_AUXDATA,
                (&raw const on).cast(),
                length::<libc::c_int>(),
            )
        })?;
        // SAFETY: an all-zero sockaddr_ll is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(17);
        address.sll_protocol = everything;
        address.sll_ifindex = index;
        // SAFETY: `address` is a whole sockaddr_ll, given with its own length.
        check(unsafe {
            libc::bind(
                raw,
                (&raw const address).cast(),
                length::<libc::sockaddr_ll>(),
            )
        })?;
        Ok(RawSocket { socket })
    }

    /// Sends a whole frame.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the pointer and length are those of one slice.
        let sent = unsafe {
            libc::send(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
            )
        };
        assert_eq!(
            usize::try_from(sent).ok(),
            Some(frame.len()),
            "{}",
            io::Error::last_os_error()
        );
    }

    /// The next frame that came in, its tag where it was on the wire; none if there is none yet.
    /// Frames that this side sent are passed over.
    pub fn receive(&self) -> Option<Vec<u8>> {
        loop {
            let mut data = vec![0u8; 65_536];
            let mut control = [0u64; 32];
            let mut part = libc::iovec {
                iov_base: data.as_mut_ptr().cast(),
                iov_len: data.len(),
            };
            // SAFETY: all-zero values of these plain structures are valid.
            let (mut from, mut header): (libc::sockaddr_ll, libc::msghdr) =
                unsafe { (zeroed(), zeroed()) };
            header.msg_name = (&raw mut from).cast();
            header.msg_namelen = length::<libc::sockaddr_ll>();
            header.msg_iov = &raw mut part;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of_val(&control);
            // SAFETY: every pointer in `header` is to a local that outlives the call, with its
            // length.
            let got = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, 0) };
            let got = usize::try_from(got).ok()?;
            data.truncate(got);
            if from.sll_pkttype == libc::PACKET_OUTGOING {
                continue;
            }
            let mut tag = None;
            // SAFETY: the kernel filled `header`; the CMSG macros walk within its control length.
            unsafe {
                let mut message = libc::CMSG_FIRSTHDR(&raw const header);
                while let Some(entry) = message.as_ref() {
                    if entry.cmsg_level == libc::SOL_PACKET
                        && entry.cmsg_type == libc::PACKET_AUXDATA
                    {
                        let aux = libc::CMSG_DATA(message)
                            .cast::<libc::tpacket_auxdata>()
                            .read_unaligned();
                        if aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                            tag = Some(aux.tp_vlan_tci);
                        }
                    }
                    message = libc::CMSG_NXTHDR(&raw const header, message);
                }
            }
            return Some(match tag {
                Some(tci) if data.len() >= 12 => {
                    crate::frame::tagged(&data, tci & 0xfff, u8::try_from(tci >> 13).unwrap_or(0))
                }
                _ => data,
            });
        }
    }

    /// Waits at most `patience` for a frame that `wanted` likes.
    pub fn wait_for(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        within(patience, || {
            while let Some(frame) = self.receive() {
                if wanted(&frame) {
                    return Some(frame);
                }
            }
            None
        })
    }
}
