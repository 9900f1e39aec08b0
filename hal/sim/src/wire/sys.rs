//! System calls that the libraries at hand do not have, and the descriptors that are waited on.
//! All of the room's unsafe code is here.
#![allow(unsafe_code)]

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

const PACKET_AUXDATA: c_int = 8;
const PACKET_VNET_HDR: c_int = 15;
const PACKET_IGNORE_OUTGOING: c_int = 23;
const PACKET_MR_PROMISC: u16 = 1;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

/// Wakes whoever waits on its descriptor.
pub(crate) struct Bell {
    fd: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    pub fn new() -> io::Result<Bell> {
        Ok(Bell {
            fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            rung: AtomicBool::new(false),
        })
    }

    /// Makes the descriptor readable.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }

    /// Makes it silent again. Whoever calls looks once more afterwards whether there is work.
    pub fn silence(&self) -> bool {
        if !self.rung.load(Ordering::Acquire) {
            return false;
        }
        let _ = rustix::io::read(&self.fd, &mut [0u8; 8]);
        self.rung.store(false, Ordering::Release);
        true
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Waits until one of the descriptors, or the bell, can be read, for `ms` milliseconds at most.
/// The descriptors must stay open meanwhile. True if nothing can be read and one of them is dead,
/// so that waiting again would not wait.
pub(crate) fn wait_readable(bell: &Bell, fds: &[RawFd], ms: u32) -> bool {
    // SAFETY: the caller holds the wires that the descriptors belong to for the whole call.
    let borrowed = fds.iter().map(|fd| unsafe { BorrowedFd::borrow_raw(*fd) });
    let mut waiting: Vec<PollFd<'_>> = std::iter::once(bell.fd.as_fd())
        .chain(borrowed)
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    let limit = Timespec {
        tv_sec: i64::from(ms / 1000),
        tv_nsec: i64::from(ms % 1000) * 1_000_000,
    };
    let _ = poll(&mut waiting, Some(&limit));
    let any = |flags: PollFlags| waiting.iter().any(|w| w.revents().intersects(flags));
    !any(PollFlags::IN) && any(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
}

/// A request about an interface: its name, and what is asked or answered (netdevice(7)).
#[repr(C)]
pub(super) struct InterfaceRequest {
    name: [u8; 16],
    data: [u8; 24],
}

impl InterfaceRequest {
    pub fn new(name: &str) -> io::Result<InterfaceRequest> {
        let bytes = name.as_bytes();
        let mut request = InterfaceRequest {
            name: [0; 16],
            data: [0; 24],
        };
        // One byte less than there is, so that the name ends.
        match request.name.get_mut(..bytes.len().max(1)) {
            Some(place) if !bytes.is_empty() && bytes.len() < 16 && !bytes.contains(&0) => {
                place.copy_from_slice(bytes);
                Ok(request)
            }
            _ => Err(io::Error::from_raw_os_error(libc::ENODEV)),
        }
    }

    pub fn set_short(&mut self, value: i16) {
        self.data[..2].copy_from_slice(&value.to_ne_bytes());
    }

    fn short(&self) -> i16 {
        i16::from_ne_bytes([self.data[0], self.data[1]])
    }

    fn int(&self) -> i32 {
        i32::from_ne_bytes([self.data[0], self.data[1], self.data[2], self.data[3]])
    }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Carries out a request that reads and writes an interface request.
pub(super) fn interface_request(
    fd: BorrowedFd<'_>,
    request: u64,
    about: &mut InterfaceRequest,
) -> io::Result<()> {
    // SAFETY: the requests used here (TUNSETIFF, SIOCGIF*) touch at most a `struct ifreq`, 40
    // bytes, which the argument is, and keep no pointer to it.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(about)) })?;
    Ok(())
}

/// Carries out a request whose argument is a number.
pub(super) fn number_request(fd: BorrowedFd<'_>, request: u64, number: u64) -> io::Result<()> {
    // SAFETY: the request used here (TUNSETOFFLOAD) takes a number and no pointer.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, number) })?;
    Ok(())
}

fn socket(family: c_int, kind: c_int) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the new descriptor is nobody else's.
    unsafe {
        Ok(OwnedFd::from_raw_fd(checked(libc::socket(
            family, kind, 0,
        ))?))
    }
}

fn ask(name: &str, request: u64) -> io::Result<InterfaceRequest> {
    let mut about = InterfaceRequest::new(name)?;
    let control = socket(libc::AF_INET, libc::SOCK_DGRAM)?;
    interface_request(control.as_fd(), request, &mut about)?;
    Ok(about)
}

/// An interface's flags; none if there is no such interface here.
pub(super) fn interface_flags(name: &str) -> Option<c_int> {
    ask(name, libc::SIOCGIFFLAGS)
        .ok()
        .map(|about| about.short().into())
}

/// An interface's number.
pub(super) fn interface_index(name: &str) -> io::Result<i32> {
    ask(name, libc::SIOCGIFINDEX).map(|about| about.int())
}

/// What came with a frame.
pub(super) struct Received {
    /// Bytes, with the virtio-net header.
    pub len: usize,
    /// The frame was longer than the buffer.
    pub cut: bool,
    /// A VLAN tag that the device took out: type and control information.
    pub tag: Option<(u16, u16)>,
}

/// A packet socket on one interface, with virtio-net headers.
pub(super) struct PacketSocket {
    socket: OwnedFd,
    /// While it lives, the host's stack does not see what the interface receives.
    barrier: Option<OwnedFd>,
}

impl PacketSocket {
    pub fn open(index: i32) -> io::Result<PacketSocket> {
        let socket = socket(libc::AF_PACKET, libc::SOCK_RAW)?;
        for option in [PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, PACKET_AUXDATA] {
            set_option(&socket, option, &1i32.to_ne_bytes())?;
        }
        // struct packet_mreq: interface, kind, length of the address, address.
        let mut all = [0u8; 16];
        all[..4].copy_from_slice(&index.to_ne_bytes());
        all[4..6].copy_from_slice(&PACKET_MR_PROMISC.to_ne_bytes());
        set_option(&socket, libc::PACKET_ADD_MEMBERSHIP, &all)?;
        let barrier = drop_on_ingress(index).ok();
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: index,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: the address is a whole `sockaddr_ll` and its true length is given.
        checked(unsafe {
            libc::bind(
                socket.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        })?;
        Ok(PacketSocket { socket, barrier })
    }

    pub fn keeps_stack_off(&self) -> bool {
        self.barrier.is_some()
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Receives into the two buffers; none if nothing waits.
    pub fn receive(&self, header: &mut [u8], body: &mut [u8]) -> io::Result<Option<Received>> {
        let mut parts = [
            libc::iovec {
                iov_base: header.as_mut_ptr().cast(),
                iov_len: header.len(),
            },
            libc::iovec {
                iov_base: body.as_mut_ptr().cast(),
                iov_len: body.len(),
            },
        ];
        let mut control = [0u64; 16];
        // SAFETY: all zero bytes are a valid `msghdr`.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_mut_ptr();
        message.msg_iovlen = parts.len();
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: the message points to the buffers above, with their true lengths, and all of
        // them outlive the call.
        let n = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        if n < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                // The device is down: nothing comes.
                Some(libc::EAGAIN | libc::EINTR | libc::ENETDOWN) => Ok(None),
                _ => Err(error),
            };
        }
        let mut tag = None;
        // SAFETY: the kernel filled the control buffer and set its length; the macros walk it
        // within that length. The auxiliary data is copied out unaligned, after its length was
        // checked.
        unsafe {
            let mut at = libc::CMSG_FIRSTHDR(&raw const message);
            while !at.is_null() {
                let length = libc::CMSG_LEN(size_of::<libc::tpacket_auxdata>() as u32) as usize;
                if (*at).cmsg_level == libc::SOL_PACKET
                    && (*at).cmsg_type == PACKET_AUXDATA
                    && (*at).cmsg_len >= length as _
                {
                    let data = libc::CMSG_DATA(at).cast::<libc::tpacket_auxdata>();
                    let data = data.read_unaligned();
                    if data.tp_status & TP_STATUS_VLAN_VALID != 0 {
                        let typed = data.tp_status & TP_STATUS_VLAN_TPID_VALID != 0;
                        let tpid = if typed { data.tp_vlan_tpid } else { 0x8100 };
                        tag = Some((tpid, data.tp_vlan_tci));
                    }
                }
                at = libc::CMSG_NXTHDR(&raw const message, at);
            }
        }
        Ok(Some(Received {
            len: usize::try_from(n).unwrap_or(0),
            cut: message.msg_flags & libc::MSG_TRUNC != 0,
            tag,
        }))
    }

    pub fn send(&self, header: &[u8], frame: &[u8]) -> io::Result<()> {
        let parts = [io::IoSlice::new(header), io::IoSlice::new(frame)];
        // An error of an earlier frame (the device was down) is told once: try again.
        rustix::io::writev(&self.socket, &parts)
            .or_else(|_| rustix::io::writev(&self.socket, &parts))?;
        Ok(())
    }
}

fn set_option(socket: &OwnedFd, option: c_int, value: &[u8]) -> io::Result<()> {
    // SAFETY: the value's true length is given; the kernel copies it.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            value.as_ptr().cast::<c_void>(),
            value.len() as u32,
        )
    })?;
    Ok(())
}

/// Keeps the host's stack off an interface: a program of two instructions, "return drop", on its
/// ingress link (TCX), which comes after packet sockets and before the stack. It lives as long as
/// the descriptor, so that the host has its interface back after a kill.
fn drop_on_ingress(index: i32) -> io::Result<OwnedFd> {
    const PROG_LOAD: c_int = 5;
    const LINK_CREATE: c_int = 28;
    const SCHED_CLS: u64 = 3;
    const TCX_INGRESS: u64 = 46;
    let program: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
    let license = c"Apache-2.0";
    let mut load = [0u64; 16];
    load[0] = SCHED_CLS | (program.len() as u64) << 32;
    load[1] = program.as_ptr() as u64;
    load[2] = license.as_ptr() as u64;
    let loaded = bpf(PROG_LOAD, &mut load)?;
    let mut link = [0u64; 16];
    let index = u32::try_from(index).unwrap_or(0);
    link[0] = u64::from(loaded.as_raw_fd().unsigned_abs()) | u64::from(index) << 32;
    link[1] = TCX_INGRESS;
    bpf(LINK_CREATE, &mut link)
}

fn bpf(command: c_int, attributes: &mut [u64; 16]) -> io::Result<OwnedFd> {
    let size = size_of_val(attributes);
    // SAFETY: the block is as long as said, what it points to outlives the call, and both commands
    // used here answer with a new descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}
