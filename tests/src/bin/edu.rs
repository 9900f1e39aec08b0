//! A driver of QEMU's teaching device (`docs/specs/edu.rst`), in a guest: what `hal::pci` says of a function
//! must be so for one that does reach memory. Prints what it saw; ends with an error where that is wrong.
//!
//! ```text
//!  edu dma ADDRESS           the device copies from one piece of memory to another, and no further
//!  edu give ADDRESS SOCKET   hands the device to whoever connects, and is killed
//!  edu take SOCKET           goes on with it
//! ```

use clock::Clock;
use hal::pci::{Bar, DmaMemory, HandedOver, HandoverRegion, Iova, PciFunction, Vfio};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Signal, getpid, kill_process};
use std::error::Error;
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// Registers: what it is; what is written comes back inverted; the copying engine.
const ID: u64 = 0x00;
const LIVENESS: u64 = 0x04;
const SOURCE: u64 = 0x80;
const DESTINATION: u64 = 0x88;
const COUNT: u64 = 0x90;
const COMMAND: u64 = 0x98;
const START: u64 = 1;
const TO_MEMORY: u64 = 2;
/// The device's own memory.
const BUFFER: u64 = 0x40000;
/// Bytes that are copied.
const LEN: usize = 256;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

struct Edu {
    function: PciFunction,
    bar: Bar,
    clock: Clock,
}

impl Edu {
    fn new(function: PciFunction) -> Outcome<Edu> {
        let bar = function.bar(0)?;
        function.set_master(true)?;
        let edu = Edu {
            function,
            bar,
            clock: Clock::real(),
        };
        let id = edu.read(ID)?;
        same("what it is", id & 0xffff, 0x00ed)?;
        Ok(edu)
    }

    /// Its registers are little-endian.
    fn read(&self, at: u64) -> Outcome<u32> {
        Ok(self.bar.read_be32(at)?.swap_bytes())
    }

    fn write(&self, at: u64, value: u32) -> Outcome {
        Ok(self.bar.write_be32(at, value.swap_bytes())?)
    }

    fn copy(&self, from: u64, to: u64, how: u64) -> Outcome {
        for (at, value) in [
            (SOURCE, from),
            (DESTINATION, to),
            (COUNT, LEN as u64),
            (COMMAND, START | how),
        ] {
            self.bar.write_be64(at, value.swap_bytes())?;
        }
        while u64::from(self.read(COMMAND)?) & START != 0 {
            self.clock.pause_thread(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Has the device bring these bytes from one piece of memory to another.
    fn carry(&self, bytes: &[u8; LEN], from: &DmaMemory, to: &DmaMemory) -> Outcome {
        from.write(0, bytes);
        self.copy(from.iova().0, BUFFER, 0)?;
        self.copy(BUFFER, to.iova().0, TO_MEMORY)?;
        let mut seen = [0; LEN];
        to.read(0, &mut seen);
        same("what was carried", &seen, bytes)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, expected: T) -> Outcome {
    match seen == expected {
        true => Ok(()),
        false => Err(format!("{what}: {seen:?} is not {expected:?}").into()),
    }
}

fn dma(address: &str) -> Outcome {
    let edu = Edu::new(hal::pci::open(&format!("pci:{address}"))?)?;
    let (a, b) = (edu.function.dma("a", 4096)?, edu.function.dma("b", 4096)?);
    edu.carry(&[1; LEN], &a, &b)?;
    edu.carry(&[2; LEN], &b, &a)?;
    // No longer mapped, it is no longer reached.
    let (memory, at) = ((*b).clone(), b.iova());
    memory.write(0, &[3; LEN]);
    drop(b);
    same("bytes that are kept", edu.function.leaked(), 0)?;
    edu.copy(BUFFER, at.0, TO_MEMORY)?;
    let mut seen = [0; LEN];
    memory.read(0, &mut seen);
    same("memory that is no longer mapped", &seen, &[3; LEN])?;
    // After a reset it is itself again.
    edu.write(LIVENESS, 5)?;
    same("its answer", edu.read(LIVENESS)?, !5)?;
    edu.function.reset()?;
    edu.function.set_master(true)?;
    let c = edu.function.dma("c", 4096)?;
    same("the address that was free", c.iova(), at)?;
    edu.carry(&[4; LEN], &a, &c)?;
    println!("carried, kept out, reset");
    Ok(())
}

fn give(address: &str, socket: &str) -> Outcome {
    let edu = Edu::new(hal::pci::open(&format!("pci:{address}"))?)?;
    let kept = edu.function.dma("kept", 4096)?;
    kept.write(0, b"kept");
    edu.write(LIVENESS, 7)?;
    let (peer, _) = UnixListener::bind(socket)?.accept()?;
    let handover = edu.function.hand_over()?;
    let HandedOver::Descriptors(way) = &handover.way else {
        return Err("a way that stays in its process".into());
    };
    let mut fds: Vec<BorrowedFd<'_>> = way.iter().map(AsFd::as_fd).collect();
    let mut text = handover.address.clone();
    for region in &handover.regions {
        fds.push(region.fd.as_fd());
        text += &format!(" {} {} {}", region.label, region.at.0, region.len);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let parts = [IoSlice::new(text.as_bytes())];
    sendmsg(&peer, &parts, &mut ancillary, SendFlags::empty())?;
    Ok(kill_process(getpid(), Signal::KILL)?)
}

fn take(socket: &str) -> Outcome {
    let mut peer = UnixStream::connect(socket)?;
    let mut text = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let mut parts = [IoSliceMut::new(&mut text)];
    let len = recvmsg(&peer, &mut parts, &mut ancillary, flags)?.bytes;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            fds.extend(some);
        }
    }
    // The end of the socket is the end of the former owner.
    peer.read_to_end(&mut Vec::new())?;
    let text = String::from_utf8(text[..len].to_vec())?;
    let words: Vec<&str> = text.split(' ').collect();
    let [address, label, at, len] = words[..] else {
        return Err(format!("not one piece of memory: {text}").into());
    };
    let region = HandoverRegion {
        label: label.into(),
        at: Iova(at.parse()?),
        fd: fds.pop().ok_or("no memory came")?,
        len: len.parse()?,
    };
    let at = region.at;
    let function = PciFunction::adopt(Vfio::adopt(address, fds)?, vec![region])?;
    let edu = Edu::new(function)?;
    same("its answer", edu.read(LIVENESS)?, !7)?;
    let kept = edu
        .function
        .claim_dma("kept", at)
        .ok_or("the memory is not there")?;
    let mut seen = [0; 4];
    kept.read(0, &mut seen);
    same("what was in memory", &seen, b"kept")?;
    let new = edu.function.dma("new", 4096)?;
    edu.carry(&[6; LEN], &kept, &new)?;
    drop(kept);
    same("bytes that are kept", edu.function.leaked(), 0)?;
    println!("taken over");
    Ok(())
}

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["dma", address] => dma(address),
        ["give", address, socket] => give(address, socket),
        ["take", socket] => take(socket),
        _ => Err("edu dma ADDRESS, edu give ADDRESS SOCKET, or edu take SOCKET".into()),
    }
}
