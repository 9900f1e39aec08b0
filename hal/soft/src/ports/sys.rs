//! System calls that the libraries at hand do not have: interface requests by name, sockets of
//! the packet family, eBPF.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// An interface request: a name and what is asked or answered (netdevice(7)).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct IfReq {
    name: [u8; 16],
    /// The answer; which bytes count depends on the request.
    pub data: [u8; 24],
}

impl IfReq {
    /// A request about an interface. Names have at most 15 bytes.
    pub fn new(name: &str) -> io::Result<IfReq> {
        let mut req = IfReq {
            name: [0; 16],
            data: [0; 24],
        };
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() > 15 || bytes.contains(&0) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        req.name[..bytes.len()].copy_from_slice(bytes);
        Ok(req)
    }

    /// Asks with flags.
    pub fn with_short(mut self, n: i16) -> IfReq {
        self.data[..2].copy_from_slice(&n.to_ne_bytes());
        self
    }
}

/// Carries out a request that takes an [`IfReq`] and may write its answer there.
pub fn if_request(fd: BorrowedFd<'_>, request: u64, req: &mut IfReq) -> io::Result<()> {
    // SAFETY: every request used here (TUNSETIFF, SIOCETHTOOL) reads and writes at most a `struct
    // ifreq`, 40 bytes, which `IfReq` is, and the block that one for a driver points to, which
    // `EthtoolBlock` holds for the call and which is as long as its command says; the kernel keeps no
    // pointer.
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(req)) };
    if r < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Carries out a request whose argument is a number.
pub fn number_request(fd: BorrowedFd<'_>, request: u64, n: u64) -> io::Result<()> {
    // SAFETY: the argument is a plain number to the requests used here (TUNSETOFFLOAD).
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, n) };
    if r < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A block to ask a driver with (`linux/ethtool.h`): it begins with the command and is as long as
/// that command's structure, which the answer overwrites.
pub struct EthtoolBlock<const N: usize>([u8; N]);

impl EthtoolBlock<44> {
    /// `ETHTOOL_GSET` with an `ethtool_cmd`.
    pub fn settings() -> Self {
        Self::asking(1)
    }
}

impl EthtoolBlock<196> {
    /// `ETHTOOL_GDRVINFO` with an `ethtool_drvinfo`.
    pub fn driver() -> Self {
        Self::asking(3)
    }
}

impl<const N: usize> EthtoolBlock<N> {
    fn asking(command: u32) -> Self {
        let mut block = [0; N];
        block[..4].copy_from_slice(&command.to_ne_bytes());
        EthtoolBlock(block)
    }

    /// Asks about the device called `name`. Any socket will do.
    pub fn ask(mut self, fd: BorrowedFd<'_>, name: &str) -> io::Result<[u8; N]> {
        let mut req = IfReq::new(name)?;
        let pointer = self.0.as_mut_ptr() as u64;
        req.data[..8].copy_from_slice(&pointer.to_ne_bytes());
        if_request(fd, libc::SIOCETHTOOL, &mut req)?;
        Ok(self.0)
    }
}

fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a descriptor that is returned is ours alone.
    unsafe {
        let fd = libc::socket(
            family,
            kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            protocol,
        );
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
}

const PACKET_VNET_HDR: c_int = 15;

/// A raw packet socket that receives nothing until it is bound, with vnet headers before its frames.
pub fn packet_socket() -> io::Result<OwnedFd> {
    let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    set_packet_option(socket.as_fd(), PACKET_VNET_HDR, &1)?;
    Ok(socket)
}

/// Binds a packet socket to all frames of one interface.
pub fn bind_packet(fd: BorrowedFd<'_>, ifindex: i32) -> io::Result<()> {
    bind(fd, ifindex, (libc::ETH_P_ALL as u16).to_be())
}

/// Binds a packet socket to one interface, to send to it and to receive nothing.
pub fn bind_to_send(fd: BorrowedFd<'_>, ifindex: i32) -> io::Result<()> {
    bind(fd, ifindex, 0)
}

fn bind(fd: BorrowedFd<'_>, ifindex: i32, protocol: u16) -> io::Result<()> {
    let addr = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol,
        sll_ifindex: ifindex,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the address is a whole `sockaddr_ll` and its true length is given.
    let r = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            std::ptr::from_ref(&addr).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    if r < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Plain values that may be passed to the kernel byte for byte.
pub trait Plain: Copy {}
impl Plain for c_int {}
impl Plain for [u32; 4] {}
impl Plain for PacketMreq {}

/// `struct packet_mreq` (packet(7)).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct PacketMreq {
    /// The interface.
    pub ifindex: c_int,
    /// What to receive.
    pub kind: u16,
    /// Bytes of the address.
    pub alen: u16,
    /// The address.
    pub address: [u8; 8],
}

/// Sets an option of the packet family.
pub fn set_packet_option<T: Plain>(fd: BorrowedFd<'_>, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: `T` is plain data without padding and its true size is given.
    let r = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    };
    if r < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Frames that a packet socket had no room for since it was last asked (`PACKET_STATISTICS`).
pub fn packet_drops(fd: BorrowedFd<'_>) -> u64 {
    // struct tpacket_stats: all frames, then those dropped.
    let mut stats = [0u32; 2];
    let mut len = size_of_val(&stats) as u32;
    // SAFETY: the kernel writes at most `len` bytes, which the block has.
    let r = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            stats.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if r < 0 { 0 } else { stats[1].into() }
}

/// `bpf(2)` with an attribute block; answers a descriptor.
pub fn bpf(command: c_int, attr: &mut [u64; 16]) -> io::Result<OwnedFd> {
    // SAFETY: the block is as long as said, and pointers in it are to memory that the caller
    // keeps for the call; the commands used here (PROG_LOAD, LINK_CREATE) return a new
    // descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr));
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}
