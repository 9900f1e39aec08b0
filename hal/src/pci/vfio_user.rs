//! The way to a function that another process plays: the vfio-user protocol over a unix socket.
//!
//! Messages and their layouts are those of the vfio-user specification 0.9 (in QEMU's and
//! libvfio-user's documentation), in the host's byte order. Every request waits for its reply and
//! the reply is held against the request: its number, its command, its length, its error. A peer
//! that does not answer within its time, or answers something else, is not spoken to again, since
//! nobody could tell which reply belongs to what.
//!
//! Memory is given to the peer as a descriptor. A peer that would rather read and write it through
//! messages is told that this is not supported.

use super::transport::HandedOver;
use super::{Iova, PciError, RegisterMap, SharedMemory, Transport};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg,
    sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of a message's header: number, command, length, flags, error.
const HEADER: usize = 16;
/// Longest reply that is read.
const MAX_REPLY: usize = 1 << 20;
/// How long the peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Replies to a former owner's requests that an adopter passes over.
const STALE_REPLIES: usize = 64;

const FLAG_REPLY: u32 = 1;
const FLAG_TYPE: u32 = 0xf;
const FLAG_ERROR: u32 = 1 << 5;

/// Regions beyond the BARs (`linux/vfio.h`).
const REGION_CONFIG: u32 = 7;
const IRQ_MSIX: u32 = 2;
const IRQ_SET_NONE: u32 = 1 << 0;
const IRQ_SET_EVENTFD: u32 = 1 << 2;
const IRQ_ACTION_TRIGGER: u32 = 1 << 5;
const MAP_READ_WRITE: u32 = 0b11;
const DEVICE_RESET: u32 = 1 << 0;
const DEVICE_PCI: u32 = 1 << 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
enum Command {
    Version = 1,
    DmaMap = 2,
    DmaUnmap = 3,
    DeviceInfo = 4,
    RegionInfo = 5,
    IrqInfo = 7,
    SetIrqs = 8,
    RegionRead = 9,
    RegionWrite = 10,
    Reset = 13,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Command::Version => "version",
            Command::DmaMap => "map",
            Command::DmaUnmap => "unmap",
            Command::DeviceInfo => "device info",
            Command::RegionInfo => "region info",
            Command::IrqInfo => "interrupt info",
            Command::SetIrqs => "interrupts",
            Command::RegionRead => "read",
            Command::RegionWrite => "write",
            Command::Reset => "reset",
        }
    }
}

/// Puts a message's body together.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn u16(mut self, v: u16) -> Body {
        self.0.extend(v.to_ne_bytes());
        self
    }
    fn u32(mut self, v: u32) -> Body {
        self.0.extend(v.to_ne_bytes());
        self
    }
    fn u64(mut self, v: u64) -> Body {
        self.0.extend(v.to_ne_bytes());
        self
    }
    fn bytes(mut self, v: &[u8]) -> Body {
        self.0.extend(v);
        self
    }
}

/// A word of a body; zero where there is none.
fn u32_at(body: &[u8], at: usize) -> u32 {
    let word = body.get(at..).and_then(|b| b.first_chunk());
    word.map_or(0, |b| u32::from_ne_bytes(*b))
}

fn u64_at(body: &[u8], at: usize) -> u64 {
    let word = body.get(at..).and_then(|b| b.first_chunk());
    word.map_or(0, |b| u64::from_ne_bytes(*b))
}

struct Connection {
    stream: UnixStream,
    next: u16,
    /// Replies that may still come to requests of a former owner.
    stale: usize,
    /// Descriptors that the peer takes in one message.
    max_fds: usize,
    /// Why nothing is asked any more.
    dead: Option<String>,
}

/// A function that another process plays.
pub struct VfioUser {
    address: String,
    connection: Mutex<Connection>,
}

/// What became of a request.
enum Failure {
    /// The peer says no: its error number.
    Refused(u32),
    /// The peer is not to be spoken to again.
    Dead(String),
}

impl Connection {
    fn request(
        &mut self,
        command: Command,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, Failure> {
        if let Some(why) = &self.dead {
            return Err(Failure::Dead(why.clone()));
        }
        let answer = self.exchange(command, body, fds);
        if let Err(Failure::Dead(why)) = &answer {
            self.dead = Some(why.clone());
        }
        answer
    }

    fn exchange(
        &mut self,
        command: Command,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, Failure> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.send(number, command as u16, 0, 0, body, fds)
            .map_err(|e| Failure::Dead(format!("{}: {}", command.name(), told(&e))))?;
        loop {
            let (header, reply) = self
                .receive()
                .map_err(|e| Failure::Dead(format!("{}: {}", command.name(), told(&e))))?;
            let dead = |what: String| Failure::Dead(format!("{}: {what}", command.name()));
            if header.flags & FLAG_TYPE != FLAG_REPLY {
                // The peer asks something of us: there is nothing that it could ask for.
                let flags = FLAG_REPLY | FLAG_ERROR;
                let error = rustix::io::Errno::NOTSUP.raw_os_error() as u32;
                self.send(header.number, header.command, flags, error, &[], &[])
                    .map_err(|e| dead(told(&e)))?;
                continue;
            }
            if header.number != number || header.command != command as u16 {
                if self.stale > 0 {
                    self.stale -= 1;
                    continue;
                }
                return Err(dead(format!(
                    "the reply is to message {} of command {}",
                    header.number, header.command
                )));
            }
            self.stale = 0;
            if header.flags & FLAG_ERROR != 0 {
                return Err(Failure::Refused(header.error));
            }
            return Ok(reply);
        }
    }

    fn send(
        &mut self,
        number: u16,
        command: u16,
        flags: u32,
        error: u32,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let head = Body::default()
            .u16(number)
            .u16(command)
            .u32((HEADER + body.len()) as u32)
            .u32(flags)
            .u32(error);
        let message = head.bytes(body).0;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("too many descriptors in a message"));
        }
        let parts = [IoSlice::new(&message)];
        let sent = sendmsg(&self.stream, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
        // Descriptors have gone with the first byte.
        self.stream.write_all(&message[sent..])
    }

    fn receive(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let mut head = [0; HEADER];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut head)];
        // Descriptors that the peer sends are taken, and closed, with the buffer.
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(&self.stream, &mut parts, &mut ancillary, flags)?.bytes;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream.read_exact(&mut head[got..])?;
        let [a, b, c, d, ..] = head;
        let header = Header {
            number: u16::from_ne_bytes([a, b]),
            command: u16::from_ne_bytes([c, d]),
            flags: u32_at(&head, 8),
            error: u32_at(&head, 12),
        };
        let len = u32_at(&head, 4) as usize;
        if !(HEADER..=HEADER + MAX_REPLY).contains(&len) {
            return Err(io::Error::other(format!("a message of {len} bytes")));
        }
        let mut body = vec![0; len - HEADER];
        self.stream.read_exact(&mut body)?;
        Ok((header, body))
    }
}

struct Header {
    number: u16,
    command: u16,
    flags: u32,
    error: u32,
}

fn told(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer in {} s", PATIENCE.as_secs())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "the peer closed the connection".into()
        }
        _ => e.to_string(),
    }
}

impl VfioUser {
    /// Connects to a server's socket.
    ///
    /// # Errors
    /// Nobody listens there, or what listens is no PCI function.
    pub fn connect(path: &Path) -> Result<Arc<VfioUser>, PciError> {
        let address = format!("vfio-user:{}", path.display());
        let unusable = |why: String| PciError::Unusable {
            address: address.clone(),
            why,
        };
        let stream = UnixStream::connect(path)
            .map_err(|e| unusable(format!("{e}; is `nic-sim` running with this socket?")))?;
        let way = VfioUser::over(&address, stream, 0)?;
        way.negotiate()?;
        let info = way.ask(
            Command::DeviceInfo,
            Body::default().u32(16).u32(0).u32(0).u32(0),
            16,
        )?;
        let flags = u32_at(&info, 4);
        if flags & DEVICE_PCI == 0 {
            return Err(unusable("the peer plays no PCI function".into()));
        }
        if flags & DEVICE_RESET == 0 {
            return Err(unusable("the function cannot be reset".into()));
        }
        Ok(Arc::new(way))
    }

    /// Goes on over a connection that was handed over.
    ///
    /// # Errors
    /// The descriptor is no socket that can be waited on.
    pub fn adopt(address: &str, socket: OwnedFd) -> Result<Arc<VfioUser>, PciError> {
        VfioUser::over(address, socket.into(), STALE_REPLIES).map(Arc::new)
    }

    fn over(address: &str, stream: UnixStream, stale: usize) -> Result<VfioUser, PciError> {
        let timed = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        timed.map_err(|e| PciError::refused(address, "socket", e))?;
        Ok(VfioUser {
            address: address.into(),
            connection: Mutex::new(Connection {
                stream,
                // Far from where the former owner has counted to, most likely.
                next: if stale > 0 { 0x8000 } else { 0 },
                stale,
                max_fds: 1,
                dead: None,
            }),
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        let held = self.connection.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    fn negotiate(&self) -> Result<(), PciError> {
        let ours = format!(
            "{{\"capabilities\":{{\"max_msg_fds\":16,\"max_data_xfer_size\":{MAX_REPLY}}}}}\0"
        );
        let body = Body::default().u16(0).u16(1).bytes(ours.as_bytes());
        let reply = self.ask(Command::Version, body, 4)?;
        let major = u32_at(&reply, 0) & 0xffff;
        if u16::from_ne_bytes([reply[0], reply[1]]) != 0 {
            let why = format!("the peer speaks version {major} of the protocol");
            return Err(PciError::refused(&self.address, "version", why));
        }
        let text = reply[4..].split(|b| *b == 0).next().unwrap_or_default();
        let theirs: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
        let max_fds = theirs["capabilities"]["max_msg_fds"].as_u64().unwrap_or(1);
        self.connection().max_fds = usize::try_from(max_fds).unwrap_or(1).clamp(1, 16);
        Ok(())
    }

    fn ask(&self, command: Command, body: Body, at_least: usize) -> Result<Vec<u8>, PciError> {
        self.ask_with(command, body, &[], at_least)
    }

    /// Asks, and sees to it that the answer is long enough.
    fn ask_with(
        &self,
        command: Command,
        body: Body,
        fds: &[BorrowedFd<'_>],
        at_least: usize,
    ) -> Result<Vec<u8>, PciError> {
        let mut connection = self.connection();
        let answer = connection.request(command, &body.0, fds);
        match answer {
            Ok(reply) if reply.len() < at_least => {
                let why = format!("{}: a reply of {} bytes", command.name(), reply.len());
                connection.dead = Some(why.clone());
                Err(PciError::gone(&self.address, why))
            }
            Ok(reply) => Ok(reply),
            Err(Failure::Dead(why)) => Err(PciError::gone(&self.address, why)),
            Err(Failure::Refused(0)) => {
                Err(PciError::refused(&self.address, command.name(), "refused"))
            }
            Err(Failure::Refused(error)) => {
                let why = io::Error::from_raw_os_error(error as i32);
                Err(PciError::refused(&self.address, command.name(), why))
            }
        }
    }

    /// Reads of a region. The reply says again what was asked.
    fn read(&self, region: u32, at: u64, out: &mut [u8]) -> Result<(), PciError> {
        let count = out.len() as u32;
        let body = Body::default().u64(at).u32(region).u32(count);
        let reply = self.ask(Command::RegionRead, body, 16 + out.len())?;
        self.same_access(&reply, region, at, count)?;
        out.copy_from_slice(&reply[16..16 + out.len()]);
        Ok(())
    }

    fn write(&self, region: u32, at: u64, data: &[u8]) -> Result<(), PciError> {
        let count = data.len() as u32;
        let body = Body::default().u64(at).u32(region).u32(count).bytes(data);
        let reply = self.ask(Command::RegionWrite, body, 16)?;
        self.same_access(&reply, region, at, count)
    }

    fn same_access(&self, reply: &[u8], region: u32, at: u64, count: u32) -> Result<(), PciError> {
        let told = (u64_at(reply, 0), u32_at(reply, 8), u32_at(reply, 12));
        if told == (at, region, count) {
            return Ok(());
        }
        let what = format!(
            "an access of {count} bytes at {at:#x} of region {region} is answered as {} bytes at \
             {:#x} of region {}",
            told.2, told.0, told.1
        );
        self.connection().dead = Some(what.clone());
        Err(PciError::gone(&self.address, what))
    }
}

impl Transport for VfioUser {
    fn address(&self) -> &str {
        &self.address
    }

    fn read_config(&self, at: u16, out: &mut [u8]) -> Result<(), PciError> {
        self.read(REGION_CONFIG, at.into(), out)
    }

    fn write_config(&self, at: u16, data: &[u8]) -> Result<(), PciError> {
        self.write(REGION_CONFIG, at.into(), data)
    }

    fn bar_len(&self, bar: u8) -> Result<u64, PciError> {
        let body = Body::default()
            .u32(32)
            .u32(0)
            .u32(bar.into())
            .u32(0)
            .u64(0)
            .u64(0);
        let reply = self.ask(Command::RegionInfo, body, 32)?;
        Ok(u64_at(&reply, 16))
    }

    fn map_bar(&self, _: u8) -> Result<Option<RegisterMap>, PciError> {
        Ok(None)
    }

    fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), PciError> {
        self.read(bar.into(), at, out)
    }

    fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), PciError> {
        self.write(bar.into(), at, data)
    }

    fn iova_ranges(&self) -> Result<Vec<(u64, u64)>, PciError> {
        // There is no IOMMU in between: all but the first page, so that zero is never an address.
        Ok(vec![(0x1000, (1 << 48) - 0x1000)])
    }

    fn map(&self, at: Iova, memory: &SharedMemory) -> Result<(), PciError> {
        let body = Body::default()
            .u32(32)
            .u32(MAP_READ_WRITE)
            .u64(memory.file_offset())
            .u64(at.0)
            .u64(memory.len() as u64);
        self.ask_with(Command::DmaMap, body, &[memory.fd()], 0)
            .map(|_| ())
    }

    fn unmap(&self, at: Iova, len: usize) -> Result<(), PciError> {
        let body = Body::default().u32(24).u32(0).u64(at.0).u64(len as u64);
        self.ask(Command::DmaUnmap, body, 0).map(|_| ())
    }

    fn interrupt_count(&self) -> Result<usize, PciError> {
        let body = Body::default().u32(16).u32(0).u32(IRQ_MSIX).u32(0);
        let reply = self.ask(Command::IrqInfo, body, 16)?;
        Ok(u32_at(&reply, 12) as usize)
    }

    fn set_interrupts(&self, eventfds: Vec<OwnedFd>) -> Result<(), PciError> {
        let set = |flags: u32, start: usize, count: usize| {
            let flags = flags | IRQ_ACTION_TRIGGER;
            let body = Body::default().u32(20).u32(flags).u32(IRQ_MSIX);
            body.u32(start as u32).u32(count as u32)
        };
        self.ask(Command::SetIrqs, set(IRQ_SET_NONE, 0, 0), 0)?;
        let at_once = self.connection().max_fds;
        let fds: Vec<BorrowedFd<'_>> = eventfds.iter().map(|fd| fd.as_fd()).collect();
        for (i, some) in fds.chunks(at_once).enumerate() {
            let body = set(IRQ_SET_EVENTFD, i * at_once, some.len());
            self.ask_with(Command::SetIrqs, body, some, 0)?;
        }
        Ok(())
    }

    fn reset(&self) -> Result<(), PciError> {
        self.ask(Command::Reset, Body::default(), 0).map(|_| ())
    }

    fn hand_over(self: Arc<Self>) -> Result<HandedOver, PciError> {
        let socket = self.connection().stream.as_fd().try_clone_to_owned();
        let socket = socket.map_err(|e| PciError::refused(&self.address, "hand-over", e))?;
        Ok(HandedOver::Descriptors(vec![socket]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::JoinHandle;

    /// A message as a peer writes it.
    fn message(number: u16, command: Command, flags: u32, error: u32, body: &[u8]) -> Vec<u8> {
        Body::default()
            .u16(number)
            .u16(command as u16)
            .u32((HEADER + body.len()) as u32)
            .u32(flags)
            .u32(error)
            .bytes(body)
            .0
    }

    /// A peer that takes each request and answers it with the next of these bytes; what it has been
    /// told, at the end.
    fn peer(stale: usize, answers: Vec<Vec<u8>>) -> (VfioUser, JoinHandle<Vec<u8>>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let way = VfioUser::over("vfio-user:test", ours, stale).unwrap();
        let peer = std::thread::spawn(move || {
            let mut told = Vec::new();
            for answer in answers {
                let mut head = [0; HEADER];
                if theirs.read_exact(&mut head).is_err() {
                    break;
                }
                told.extend(head);
                let mut body = vec![0; u32_at(&head, 4) as usize - HEADER];
                theirs.read_exact(&mut body).unwrap();
                theirs.write_all(&answer).unwrap();
            }
            drop(theirs.shutdown(std::net::Shutdown::Write));
            let _ = theirs.read_to_end(&mut told);
            told
        });
        (way, peer)
    }

    /// What a reset comes to with this answer, and the one after it.
    fn resets(answer: Vec<u8>) -> (Result<(), PciError>, Result<(), PciError>) {
        let fine = message(1, Command::Reset, FLAG_REPLY, 0, &[]);
        let (way, peer) = peer(0, vec![answer, fine]);
        let both = (way.reset(), way.reset());
        drop(way);
        peer.join().unwrap();
        both
    }

    #[test]
    fn a_refusal_is_told_and_the_next_request_is_heard() {
        let error = rustix::io::Errno::BUSY.raw_os_error() as u32;
        let refusal = message(0, Command::Reset, FLAG_REPLY | FLAG_ERROR, error, &[]);
        let (first, second) = resets(refusal);
        let said = first.unwrap_err().to_string();
        assert!(
            said.starts_with("vfio-user:test: reset: Device or resource busy"),
            "{said}"
        );
        assert_eq!(second, Ok(()));
        let unnamed = message(0, Command::Reset, FLAG_REPLY | FLAG_ERROR, 0, &[]);
        let said = resets(unnamed).0.unwrap_err().to_string();
        assert_eq!(said, "vfio-user:test: reset: refused");
    }

    #[test]
    fn after_an_answer_to_something_else_nothing_is_asked_any_more() {
        let mut long = message(0, Command::Reset, FLAG_REPLY, 0, &[]);
        long[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        let mut short = long.clone();
        short[4..8].copy_from_slice(&3u32.to_ne_bytes());
        let cases = [
            (message(7, Command::Reset, FLAG_REPLY, 0, &[]), "message 7"),
            (message(0, Command::DmaMap, FLAG_REPLY, 0, &[]), "command 2"),
            (long, "4294967295 bytes"),
            (short, "3 bytes"),
        ];
        for (answer, word) in cases {
            let (first, second) = resets(answer);
            for gone in [first, second] {
                let gone = gone.unwrap_err();
                assert!(matches!(gone, PciError::Gone { .. }), "{gone}");
                assert!(gone.to_string().contains(word), "{gone}");
            }
        }
    }

    #[test]
    fn a_peer_that_goes_in_the_middle_of_an_answer_is_gone() {
        let (way, peer) = peer(0, vec![vec![1, 2, 3]]);
        let gone = way.reset().unwrap_err().to_string();
        assert!(gone.contains("closed the connection"), "{gone}");
        drop(way);
        peer.join().unwrap();
    }

    #[test]
    fn a_short_answer_or_one_about_something_else_is_no_answer() {
        let told = |at: u64, region: u32, count: u32| {
            Body::default().u64(at).u32(region).u32(count).u32(5).0
        };
        let read = |body: Vec<u8>| {
            let answer = message(0, Command::RegionRead, FLAG_REPLY, 0, &body);
            let (way, peer) = peer(0, vec![answer]);
            let mut out = [0; 4];
            let result = way.read_bar(0, 8, &mut out);
            drop(way);
            peer.join().unwrap();
            result.map(|()| u32::from_ne_bytes(out))
        };
        assert_eq!(read(told(8, 0, 4)), Ok(5));
        for body in [
            told(8, 0, 4)[..18].to_vec(),
            told(12, 0, 4),
            told(8, 1, 4),
            told(8, 0, 8),
        ] {
            let gone = read(body).unwrap_err();
            assert!(matches!(gone, PciError::Gone { .. }), "{gone}");
        }
    }

    #[test]
    fn a_peer_that_wants_to_read_memory_is_told_that_it_cannot() {
        // Command 11: the peer would read memory through us.
        let mut asks = message(3, Command::RegionRead, 0, 0, &[0; 16]);
        asks[2] = 11;
        let fine = message(0, Command::Reset, FLAG_REPLY, 0, &[]);
        let (way, peer) = peer(0, vec![[asks, fine].concat()]);
        assert_eq!(way.reset(), Ok(()));
        drop(way);
        let told = peer.join().unwrap();
        let refusal = &told[HEADER..];
        assert_eq!(refusal[..4], [3, 0, 11, 0]);
        assert_eq!(u32_at(refusal, 8), FLAG_REPLY | FLAG_ERROR);
        assert_eq!(
            u32_at(refusal, 12),
            rustix::io::Errno::NOTSUP.raw_os_error() as u32
        );
    }

    #[test]
    fn an_adopter_passes_over_answers_to_its_predecessor() {
        let old = message(41, Command::DmaMap, FLAG_REPLY, 0, &[]);
        let ours = message(0x8000, Command::Reset, FLAG_REPLY, 0, &[]);
        let (way, peer) = peer(STALE_REPLIES, vec![[old.clone(), ours].concat(), old]);
        assert_eq!(way.reset(), Ok(()));
        // Once one of its own has come, all must be its own.
        assert!(matches!(way.reset(), Err(PciError::Gone { .. })));
        drop(way);
        peer.join().unwrap();
    }
}
