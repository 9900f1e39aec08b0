//! Send queues: packets are copied into memory that the device reads from.
//!
//! The ring holds entries of one to a few blocks of 64 bytes. An entry has a packet's first bytes
//! itself (all headers of a packet that the device is to cut into segments, otherwise as many as
//! the oldest parts want to see) and names the rest, in a ring of bytes that is used up in the same
//! order. The device is told of a batch at once; the last entry of a batch asks for a completion,
//! which covers all before it.

use crate::completion::CompletionQueue;
use crate::error::MlxError;
use crate::function::Function;
use crate::object::{Domain, list_pages};
use crate::receive::Kept;
use hal::pci::{Bar, DmaMemory, PAGE};
use hal_mlx_prm::command::{
    CreateSqIn, CreateSqOut, CreateTisIn, CreateTisOut, DestroyCqIn, DestroySqIn, DestroyTisIn,
    ModifySqIn, Output,
};
use hal_mlx_prm::completion::{CompletionEntry, CompletionOpcode};
use hal_mlx_prm::context::{QueueState, SqContext, TisContext, WorkQueue, WqType};
use hal_mlx_prm::doorbell::{UarPage, WqRecord};
use hal_mlx_prm::work::{ControlSegment, DataSegment, EthernetSegment, WORK_BLOCK, WorkOpcode};
use hal_mlx_prm::{Opcode, View};
use packet::{Packet, SegmentKind, segments};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Blocks of the ring, log 2.
const LOG_SIZE: u8 = 10;
const SIZE: usize = 1 << LOG_SIZE;
/// Bytes for packets.
const BYTES: usize = 1 << 20;
/// Bytes of a packet that stand in its entry at least: an Ethernet header with a tag.
const INLINE: usize = 18;
/// Most bytes of headers of a packet that the device cuts.
const MAX_HEADERS: usize = 256;
/// Shortest frame of Ethernet, without its check sequence.
const SHORTEST: usize = 60;
/// [`ControlSegment::COMPLETION`]: always.
const COMPLETE: u8 = 2;

/// The numbers of a send queue's parts, to take them away by.
pub struct Parts {
    sq: u32,
    tis: u32,
    cq: u32,
    progress: Arc<Progress>,
    /// The memory that they reach.
    _kept: Kept,
}

impl Parts {
    /// How the queue gets on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What the e-switch knows its packets by.
    pub fn sq(&self) -> u32 {
        self.sq
    }

    /// Takes the parts away, after which their memory is free.
    ///
    /// # Errors
    /// A command fails.
    pub fn close(self, function: &mut Function) -> Result<(), MlxError> {
        let mut sq = View::<DestroySqIn, _>::zeroed();
        sq.set(DestroySqIn::SQN, self.sq);
        function.run(Opcode::DestroySq, sq, Output::SIZE)?;
        let mut tis = View::<DestroyTisIn, _>::zeroed();
        tis.set(DestroyTisIn::TISN, self.tis);
        function.run(Opcode::DestroyTis, tis, Output::SIZE)?;
        let mut cq = View::<DestroyCqIn, _>::zeroed();
        cq.set(DestroyCqIn::CQN, self.cq);
        function.run(Opcode::DestroyCq, cq, Output::SIZE)?;
        Ok(())
    }
}

/// An entry that the device has, or is about to have.
struct Sent {
    /// Its first block.
    begin: u16,
    /// The block after it.
    end: u16,
    /// Where its bytes end, counted from the beginning of time.
    bytes_end: u64,
}

/// A send queue. It belongs to one thread.
pub struct SendQueue {
    number: u32,
    ring: Arc<DmaMemory>,
    bytes: Arc<DmaMemory>,
    completions: CompletionQueue,
    registers: Bar,
    doorbell: u64,
    key: u32,
    /// Blocks that have been filled, and blocks that the device is done with.
    producer: u16,
    consumer: u16,
    /// The same of bytes; the difference is never more than [`BYTES`].
    bytes_in: u64,
    bytes_out: u64,
    sent: VecDeque<Sent>,
    /// The last entry that the device has not been told of: its first block.
    pending: Option<u16>,
    /// The device said that the queue does not work.
    broken: bool,
    progress: Arc<Progress>,
}

/// How a queue gets on, for whoever watches it from another thread.
#[derive(Default)]
pub struct Progress {
    /// Completions taken.
    done: AtomicU64,
    /// Packets for which there was no room.
    refused: AtomicU64,
}

impl Progress {
    /// Completions taken, and packets for which there was no room.
    pub fn look(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.refused.load(Relaxed))
    }
}

impl SendQueue {
    /// A queue.
    ///
    /// # Errors
    /// No memory, or a command fails.
    pub fn open(
        function: &mut Function,
        domain: &Domain,
        event_queue: u8,
    ) -> Result<(SendQueue, Parts), MlxError> {
        let completions = CompletionQueue::open(function, domain.uar, event_queue, LOG_SIZE)?;
        let device = function.device().clone();
        let ring_len = SIZE * WORK_BLOCK;
        // The record stands on a page of its own, behind the blocks.
        let ring = Arc::new(device.dma("send queue", ring_len + PAGE)?);
        let bytes = Arc::new(device.dma("send buffers", BYTES)?);

        let mut input = View::<CreateTisIn, _>::zeroed();
        let mut context = input.at_mut(CreateTisIn::CONTEXT);
        context.set(TisContext::TRANSPORT_DOMAIN, domain.transport.0);
        let tis = function
            .ask(Opcode::CreateTis, input)?
            .get(CreateTisOut::TISN);

        let mut input = View::with_tail(CreateSqIn::PAGES, ring_len / PAGE);
        let mut context = input.at_mut(CreateSqIn::CONTEXT);
        context
            .set(SqContext::MIN_WQE_INLINE_MODE, 1)
            .set(SqContext::STATE, QueueState::Reset as u8)
            .set(SqContext::FLUSH_IN_ERROR_EN, true)
            .set(SqContext::CQN, completions.number())
            .set(SqContext::TIS_LIST_SIZE, 1)
            .set(SqContext::TIS_NUM_0, tis);
        let mut wq = context.at_mut(SqContext::WQ);
        wq.set(WorkQueue::WQ_TYPE, WqType::Cyclic as u8)
            .set(WorkQueue::PD, domain.protection.0)
            .set(WorkQueue::UAR_PAGE, domain.uar.0)
            .set(WorkQueue::DOORBELL_RECORD, (ring.iova() + ring_len).0)
            .set(WorkQueue::LOG_WQ_STRIDE, WORK_BLOCK.trailing_zeros() as u8)
            .set(WorkQueue::LOG_WQ_SIZE, LOG_SIZE);
        list_pages(&mut input, CreateSqIn::PAGES, &ring);
        let sq = function.ask(Opcode::CreateSq, input)?.get(CreateSqOut::SQN);

        let mut input = View::<ModifySqIn, _>::zeroed();
        input
            .set(ModifySqIn::SQ_STATE, QueueState::Reset as u8)
            .set(ModifySqIn::SQN, sq);
        let mut context = input.at_mut(ModifySqIn::CONTEXT);
        context.set(SqContext::STATE, QueueState::Ready as u8);
        function.run(Opcode::ModifySq, input, Output::SIZE)?;

        let progress = Arc::new(Progress::default());
        let parts = Parts {
            sq,
            tis,
            cq: completions.number(),
            progress: progress.clone(),
            _kept: vec![ring.clone(), bytes.clone(), completions.memory()],
        };
        let queue = SendQueue {
            number: sq,
            ring,
            bytes,
            completions,
            registers: function.commands.registers().bar().clone(),
            doorbell: domain.uar.offset() + UarPage::SEND.offset as u64,
            key: domain.key.0,
            producer: 0,
            consumer: 0,
            bytes_in: 0,
            bytes_out: 0,
            sent: VecDeque::new(),
            pending: None,
            broken: false,
            progress: progress.clone(),
        };
        Ok((queue, parts))
    }

    /// Whether the device said that the queue does not work.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes a copy of a packet. False if there is no room, or the packet cannot be sent.
    pub fn send(&mut self, packet: &Packet) -> bool {
        match packet.segmentation {
            None => {
                if packet.len() >= SHORTEST {
                    return self.put(packet, 0, 0);
                }
                let mut padded = packet.clone();
                let mut bytes = packet.frame().to_vec();
                bytes.resize(SHORTEST, 0);
                padded.assign(&bytes);
                padded.checksum = packet.checksum;
                self.put(&padded, 0, 0)
            }
            // The device cuts TCP.
            Some(how) if how.kind != SegmentKind::UdpL4 => match headers_of(packet) {
                Some(headers) if packet.len() > headers => self.put(packet, headers, how.size),
                _ => false,
            },
            // All or nothing would be better, but a datagram more is none that is lost.
            Some(_) => {
                let mut all = false;
                for segment in segments(packet) {
                    all = self.put(&segment, 0, 0);
                    if !all {
                        break;
                    }
                }
                all
            }
        }
    }

    /// Puts a packet's entry into the ring; `headers` bytes of it are those of each segment.
    fn put(&mut self, packet: &Packet, headers: usize, mss: u16) -> bool {
        let frame = packet.frame();
        let inline = if mss > 0 { headers } else { INLINE };
        let (first, rest) = frame.split_at(inline.min(frame.len()));
        // Behind the control and Ethernet segments, of which the latter holds two bytes.
        let inline_segments = (inline - 2).div_ceil(16);
        let count = 2 + inline_segments + 1;
        let blocks = (count * 16).div_ceil(WORK_BLOCK);
        let Some(at) = self.room(blocks, rest.len()) else {
            return false;
        };
        self.bytes.write(at, rest);

        let mut entry = [0; MAX_HEADERS + 4 * WORK_BLOCK];
        let Some(mut control) = View::<ControlSegment, _>::new(&mut entry[..16]) else {
            return false;
        };
        let opcode = if mss > 0 {
            WorkOpcode::Lso
        } else {
            WorkOpcode::Send
        };
        control
            .set(ControlSegment::OPCODE, opcode as u8)
            .set(ControlSegment::WQE_INDEX, self.producer)
            .set(ControlSegment::QPN, self.number)
            .set(ControlSegment::SEGMENTS, count as u8);
        let Some(mut ethernet) = View::<EthernetSegment, _>::new(&mut entry[16..32]) else {
            return false;
        };
        let unfinished = packet.checksum.is_some();
        ethernet
            .set(EthernetSegment::L4_CHECKSUM, unfinished)
            .set(EthernetSegment::L3_CHECKSUM, unfinished)
            .set(EthernetSegment::MSS, mss)
            .set(EthernetSegment::INLINE_HEADER_SIZE, inline as u16);
        entry[30..30 + first.len()].copy_from_slice(first);
        let data_at = 32 + inline_segments * 16;
        let Some(mut data) = View::<DataSegment, _>::new(&mut entry[data_at..data_at + 16]) else {
            return false;
        };
        data.set(DataSegment::BYTE_COUNT, rest.len() as u32)
            .set(DataSegment::LKEY, self.key)
            .set(DataSegment::ADDRESS, (self.bytes.iova() + at).0);
        for (i, block) in entry.chunks(WORK_BLOCK).take(blocks).enumerate() {
            let place = usize::from(self.producer.wrapping_add(i as u16)) % SIZE;
            self.ring.write(place * WORK_BLOCK, block);
        }
        let begin = self.producer;
        self.pending = Some(begin);
        self.producer = self.producer.wrapping_add(blocks as u16);
        self.sent.push_back(Sent {
            begin,
            end: self.producer,
            bytes_end: self.bytes_in,
        });
        true
    }

    /// A place for so many bytes, if there are so many blocks too.
    fn room(&mut self, blocks: usize, len: usize) -> Option<usize> {
        for try_ in 0..2 {
            let used = usize::from(self.producer.wrapping_sub(self.consumer));
            let at = (self.bytes_in % BYTES as u64) as usize;
            // A packet does not wrap round the end.
            let skip = if at + len > BYTES { BYTES - at } else { 0 };
            let after = self.bytes_in + (skip + len) as u64;
            if !self.broken && used + blocks <= SIZE && after - self.bytes_out <= BYTES as u64 {
                self.bytes_in = after;
                return Some(if skip > 0 { 0 } else { at });
            }
            if try_ == 0 {
                self.flush().ok()?;
                self.reclaim();
            }
        }
        self.progress.refused.fetch_add(1, Relaxed);
        None
    }

    /// Takes back what the device is done with.
    fn reclaim(&mut self) {
        let mut any = false;
        while let Some(entry) = self.completions.take() {
            any = true;
            if entry.get(CompletionEntry::OPCODE) != CompletionOpcode::Requester as u8 {
                self.broken = true;
                continue;
            }
            let done = entry.get(CompletionEntry::WQE_COUNTER);
            // All up to this entry; one that we have not given is nonsense.
            let Some(up_to) = self.sent.iter().position(|sent| sent.begin == done) else {
                self.broken = true;
                continue;
            };
            for sent in self.sent.drain(..=up_to) {
                self.consumer = sent.end;
                self.bytes_out = sent.bytes_end;
            }
        }
        if any {
            self.progress.done.fetch_add(1, Relaxed);
            self.completions.consumed();
        }
    }

    /// Tells the device of what was taken since the last time.
    ///
    /// # Errors
    /// The device is gone.
    pub fn flush(&mut self) -> Result<(), MlxError> {
        let Some(last) = self.pending.take() else {
            return Ok(());
        };
        // The batch's last entry asks for a completion.
        let at = usize::from(last) % SIZE * WORK_BLOCK;
        let mut control = [0; ControlSegment::SIZE];
        self.ring.read(at, &mut control);
        let Some(mut control) = View::<ControlSegment, _>::new(control) else {
            return Ok(());
        };
        control.set(ControlSegment::COMPLETION, COMPLETE);
        self.ring.write(at, control.bytes());
        let record = SIZE * WORK_BLOCK + WqRecord::SEND.place.offset;
        self.ring.store_be32(record, self.producer.into());
        let head = control
            .bytes()
            .first_chunk()
            .map_or(0, |b| u64::from_be_bytes(*b));
        self.registers.write_be64(self.doorbell, head)?;
        self.reclaim();
        Ok(())
    }
}

/// Bytes of all headers of a packet that is to be cut.
fn headers_of(packet: &Packet) -> Option<usize> {
    let start = usize::from(packet.checksum?.start);
    let transport = usize::from(packet.frame().get(start + 12)? >> 4) * 4;
    let all = start + transport;
    (INLINE..=MAX_HEADERS).contains(&all).then_some(all)
}
