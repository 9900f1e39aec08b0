//! Send queues at work: entries are read, gathered, finished and sent.
//!
//! An entry is a control segment, for packets an Ethernet segment with the headers that stand in
//! the entry itself, then data segments. The host says in a record how far it has written; a
//! doorbell says only that it has. A completion stands for all entries before it too.

use super::checksum::Ip;
use super::segment::segments;
use crate::connectx::core::{Bus, Core};
use crate::connectx::objects::cq::Completion;
use crate::connectx::objects::mkey::{KeyFault, NULL};
use crate::connectx::steering::Frame;
use crate::connectx::steering::parse::Parsed;
use crate::switch::{Headers, push_vlan};
use hal_mlx_prm::View;
use hal_mlx_prm::capability::{EthernetCapability, GeneralCapability};
use hal_mlx_prm::completion::{CompletionEntry, CompletionOpcode, CompletionSyndrome, ErrorEntry};
use hal_mlx_prm::context::QueueState;
use hal_mlx_prm::work::{
    CompletionMode, ControlSegment, DataSegment, EthernetSegment, WORK_BLOCK, WorkOpcode,
};
use packet::Packet;

/// Entries of one queue in a turn.
const BATCH: usize = 64;
/// Bytes of a unit in which segments are counted.
const UNIT: usize = 16;
/// The longest frame that is sent whole, and the longest that is cut, bytes.
const LONGEST: usize = 16 << 10;
const LONGEST_CUT: usize = 256 << 10;
/// Headers in the entry itself: bytes that stand in the Ethernet segment.
const INLINE_HERE: usize = 2;

/// Why an entry cannot be carried out: the completion's syndrome, and the model's own reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bad(CompletionSyndrome, Reason);

/// The model's own reason: the vendor's syndrome of an error completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The entry's index is not the next one.
    Index = 1,
    /// The entry names another queue.
    Queue = 2,
    /// The entry has no segments, more than there may be, or more than the host has written.
    Length = 3,
    /// The operation is unknown, or not one that the model does.
    Operation = 4,
    /// Fewer headers stand in the entry than must.
    Inline = 5,
    /// There is no such memory key.
    Key = 6,
    /// The key is of another protection domain.
    Domain = 7,
    /// The key does not allow it.
    Access = 8,
    /// It is not all inside of the key's memory.
    Bounds = 9,
    /// The memory cannot be reached.
    Unreachable = 10,
    /// The frame is empty, or longer than can be sent.
    Frame = 11,
    /// The frame cannot be cut as it should be.
    Cut = 12,
    /// The queue has been flushed.
    Flushed = 13,
    /// The buffers are shorter than the frame.
    Buffer = 14,
}

impl From<KeyFault> for Reason {
    fn from(fault: KeyFault) -> Reason {
        match fault {
            KeyFault::NoSuchKey => Reason::Key,
            KeyFault::ForeignDomain => Reason::Domain,
            KeyFault::Access => Reason::Access,
            KeyFault::Bounds => Reason::Bounds,
        }
    }
}

impl From<KeyFault> for Bad {
    fn from(fault: KeyFault) -> Bad {
        Bad(CompletionSyndrome::LocalProtection, fault.into())
    }
}

const fn malformed(reason: Reason) -> Bad {
    Bad(CompletionSyndrome::LocalQueueOperation, reason)
}

/// A send queue's numbers while an entry is carried out.
#[derive(Clone, Copy)]
struct Queue {
    sqn: u32,
    cqn: u32,
    pd: u32,
    next: u16,
}

impl Core {
    /// A send queue was rung for.
    pub fn send_rung(&mut self, page: u32, sqn: u32) {
        let Some(sq) = self.sqs.get_mut(&sqn) else {
            self.violation(format!(
                "doorbell of send queue {sqn:#x}, which is not there"
            ));
            return;
        };
        if sq.uar != page {
            let uar = sq.uar;
            self.violation(format!(
                "doorbell of send queue {sqn:#x} in page {page:#x}, not {uar:#x}"
            ));
            return;
        }
        match sq.state {
            QueueState::Ready => sq.rung = true,
            QueueState::Error => sq.rung = sq.flushes,
            QueueState::Reset => {
                self.violation(format!("doorbell of send queue {sqn:#x}, which is reset"));
            }
        }
    }

    /// Carries out entries of all queues that were rung for; answers how many.
    pub fn send(&mut self, bus: &Bus<'_>) -> usize {
        let rung = self.sqs.iter().filter(|(_, sq)| sq.rung);
        let rung: Vec<u32> = rung.map(|(sqn, _)| *sqn).collect();
        rung.into_iter().map(|sqn| self.send_from(sqn, bus)).sum()
    }

    fn send_from(&mut self, sqn: u32, bus: &Bus<'_>) -> usize {
        let mut done = 0;
        while done < BATCH {
            let Some(sq) = self.sqs.get(&sqn) else {
                return done;
            };
            if self.is_stalled(sq.done) {
                self.stop_sq(sqn);
                return done;
            }
            let produced = match sq.work.produced(1, bus) {
                Ok(produced) => produced,
                Err(at) => {
                    self.stop_sq(sqn);
                    self.violation(format!("send queue {sqn:#x}: no memory at {:#x}", at.0));
                    return done;
                }
            };
            let queue = Queue {
                sqn,
                cqn: sq.cqn,
                pd: sq.work.pd,
                next: sq.next,
            };
            let waiting = produced.wrapping_sub(sq.next);
            if waiting == 0 {
                self.stop_sq(sqn);
                return done;
            }
            if u32::from(waiting) > sq.work.ring.len() {
                self.stop_sq(sqn);
                self.violation(format!("send queue {sqn:#x} is overrun: {waiting} entries"));
                return done;
            }
            done += 1;
            if sq.state == QueueState::Error {
                let flushed = Bad(CompletionSyndrome::Flushed, Reason::Flushed);
                self.advance(sqn, 1);
                self.send_failed(queue, flushed, bus);
                continue;
            }
            match self.entry(queue, waiting, bus) {
                Ok(blocks) => self.advance(sqn, blocks),
                Err(bad) => {
                    self.advance(sqn, 1);
                    self.send_failed(queue, bad, bus);
                    if let Some(sq) = self.sqs.get_mut(&sqn) {
                        sq.state = QueueState::Error;
                        sq.rung = sq.flushes;
                        if !sq.rung {
                            return done;
                        }
                    }
                }
            }
        }
        done
    }

    fn stop_sq(&mut self, sqn: u32) {
        if let Some(sq) = self.sqs.get_mut(&sqn) {
            sq.rung = false;
        }
    }

    fn advance(&mut self, sqn: u32, blocks: u16) {
        if let Some(sq) = self.sqs.get_mut(&sqn) {
            sq.next = sq.next.wrapping_add(blocks);
            sq.done += 1;
        }
    }

    /// Reads so many bytes of an entry, around the end of the ring.
    fn read_entry(&self, queue: Queue, len: usize, bus: &Bus<'_>) -> Result<Vec<u8>, Bad> {
        let gone = Bad(CompletionSyndrome::LocalProtection, Reason::Unreachable);
        let sq = self.sqs.get(&queue.sqn).ok_or(gone)?;
        let mut bytes = vec![0; len];
        for (i, block) in bytes.chunks_mut(WORK_BLOCK).enumerate() {
            let at = sq.work.ring.at(u32::from(queue.next) + i as u32);
            let read = at.and_then(|at| bus.read(at, block));
            read.map_err(|_| gone)?;
        }
        Ok(bytes)
    }

    /// Carries an entry out; answers how many blocks it takes.
    fn entry(&mut self, queue: Queue, waiting: u16, bus: &Bus<'_>) -> Result<u16, Bad> {
        let first = self.read_entry(queue, WORK_BLOCK, bus)?;
        let control = View::<ControlSegment, _>::new(first).ok_or(malformed(Reason::Length))?;
        if control.get(ControlSegment::WQE_INDEX) != queue.next {
            return Err(malformed(Reason::Index));
        }
        if control.get(ControlSegment::QPN) != queue.sqn {
            return Err(malformed(Reason::Queue));
        }
        let len = usize::from(control.get(ControlSegment::SEGMENTS)) * UNIT;
        let blocks = len.div_ceil(WORK_BLOCK) as u16;
        let most = usize::from(self.capabilities.get(GeneralCapability::MAX_WQE_SZ_SQ));
        if len == 0 || len > most || blocks > waiting {
            return Err(malformed(Reason::Length));
        }
        let entry = self.read_entry(queue, len, bus)?;
        let opcode = control.get(ControlSegment::OPCODE);
        match WorkOpcode::of(opcode) {
            Some(WorkOpcode::Nop) => {}
            Some(WorkOpcode::Send) => self.send_packet(queue, &entry, false, bus)?,
            Some(WorkOpcode::Lso) => self.send_packet(queue, &entry, true, bus)?,
            _ => return Err(malformed(Reason::Operation)),
        }
        let mode = CompletionMode::of(control.get(ControlSegment::COMPLETION));
        if matches!(
            mode,
            Some(CompletionMode::Always | CompletionMode::AlwaysWithEvent)
        ) {
            let mut done: Completion = View::zeroed();
            done.set(CompletionEntry::OPCODE, CompletionOpcode::Requester as u8)
                .set(CompletionEntry::SEND_OPCODE, opcode)
                .set(CompletionEntry::FLOW_TAG, queue.sqn)
                .set(CompletionEntry::WQE_COUNTER, queue.next)
                .set(
                    CompletionEntry::SOLICITED,
                    mode == Some(CompletionMode::AlwaysWithEvent)
                        || control.get(ControlSegment::SOLICITED),
                )
                .set(CompletionEntry::TIMESTAMP, self.timestamp(bus));
            self.complete(queue.cqn, done, bus);
        }
        Ok(blocks)
    }

    fn send_failed(&mut self, queue: Queue, bad: Bad, bus: &Bus<'_>) {
        let mut failed = View::<ErrorEntry, _>::zeroed();
        failed
            .set(ErrorEntry::OPCODE, CompletionOpcode::RequesterError as u8)
            .set(ErrorEntry::SYNDROME, bad.0 as u8)
            .set(ErrorEntry::VENDOR_SYNDROME, bad.1 as u8)
            .set(ErrorEntry::QPN, queue.sqn)
            .set(ErrorEntry::WQE_COUNTER, queue.next);
        if let Some(failed) = View::new(failed.into_inner()) {
            self.complete(queue.cqn, failed, bus);
        }
    }

    /// Time as completions have it.
    pub fn timestamp(&self, bus: &Bus<'_>) -> u64 {
        let ticks = u128::from(bus.now.as_nanos()) * u128::from(self.model.kilohertz());
        (ticks / 1_000_000) as u64
    }

    fn send_packet(
        &mut self,
        queue: Queue,
        entry: &[u8],
        cut: bool,
        bus: &Bus<'_>,
    ) -> Result<(), Bad> {
        let rest = entry.get(ControlSegment::SIZE..).unwrap_or_default();
        let ethernet = View::<EthernetSegment, _>::new(rest).ok_or(malformed(Reason::Length))?;
        let inserts = ethernet.get(EthernetSegment::INSERT_VLAN);
        let inline_len = match inserts {
            true => 0,
            false => usize::from(ethernet.get(EthernetSegment::INLINE_HEADER_SIZE)),
        };
        if inline_len < usize::from(self.least_inline()) && !inserts {
            return Err(malformed(Reason::Inline));
        }
        // The inline headers begin in the segment's last two bytes and end with a unit.
        let begin = ControlSegment::SIZE + EthernetSegment::SIZE - INLINE_HERE;
        let inline = entry.get(begin..begin + inline_len);
        let mut bytes = inline.ok_or(malformed(Reason::Length))?.to_vec();
        let more = inline_len.saturating_sub(INLINE_HERE).div_ceil(UNIT) * UNIT;
        let data = entry.get(ControlSegment::SIZE + EthernetSegment::SIZE + more..);
        self.gather(queue.pd, data.unwrap_or_default(), &mut bytes, bus)?;
        let vlan = inserts.then(|| ethernet.get(EthernetSegment::INLINE_HEADER_START));
        let flags = Flags {
            l3: ethernet.get(EthernetSegment::L3_CHECKSUM),
            l4: ethernet.get(EthernetSegment::L4_CHECKSUM),
            inner_l3: ethernet.get(EthernetSegment::INNER_L3_CHECKSUM),
            inner_l4: ethernet.get(EthernetSegment::INNER_L4_CHECKSUM),
        };
        let frames = if cut {
            let size = usize::from(ethernet.get(EthernetSegment::MSS));
            let log_most = self.capabilities.get(EthernetCapability::MAX_LSO_CAP);
            if bytes.len().saturating_sub(inline_len) > 1 << log_most.min(24) {
                return Err(malformed(Reason::Frame));
            }
            let cut = segments(&bytes, inline_len, size, &self.steering.vxlan);
            cut.ok_or(malformed(Reason::Cut))?
        } else {
            if bytes.len() < 14 || bytes.len() > LONGEST {
                return Err(malformed(Reason::Frame));
            }
            flags.finish(&mut bytes, &self.steering.vxlan);
            vec![bytes]
        };
        for bytes in frames {
            let mut packet = Packet::from_frame(&bytes);
            if let Some(control) = vlan {
                let mut h = Headers::read_tags(packet.frame(), 2);
                push_vlan(&mut packet, &mut h, 0x8100, control);
                if control & 0x1000 != 0 && packet.len() > 14 {
                    packet.frame_mut()[14] |= 0x10;
                }
            }
            let mut frame = Frame::new(packet, 0);
            frame.source_queue = queue.sqn;
            frame.register_a = ethernet.get(EthernetSegment::FLOW_TABLE_METADATA);
            self.queue_sends(frame, bus);
        }
        Ok(())
    }

    /// Collects what data segments name.
    fn gather(
        &self,
        pd: u32,
        mut segments: &[u8],
        bytes: &mut Vec<u8>,
        bus: &Bus<'_>,
    ) -> Result<(), Bad> {
        let too_long = malformed(Reason::Frame);
        while let Some(view) = View::<DataSegment, _>::new(segments) {
            let len = view.get(DataSegment::BYTE_COUNT) as usize;
            if bytes.len().saturating_add(len) > LONGEST_CUT {
                return Err(too_long);
            }
            if view.get(DataSegment::INLINE) {
                // The data follows the count, in whole units.
                let data = segments.get(4..4 + len).ok_or(malformed(Reason::Length))?;
                bytes.extend_from_slice(data);
                let taken = (4 + len).div_ceil(UNIT) * UNIT;
                segments = segments.get(taken..).unwrap_or_default();
                continue;
            }
            segments = segments.get(DataSegment::SIZE..).unwrap_or_default();
            if len == 0 {
                continue;
            }
            let key = view.get(DataSegment::LKEY);
            let begin = bytes.len();
            bytes.resize(begin + len, 0);
            if key == NULL {
                continue;
            }
            let pieces = self.named(key, pd, view.get(DataSegment::ADDRESS), len, false)?;
            let mut rest = bytes.get_mut(begin..).unwrap_or_default();
            for (at, len) in pieces {
                let (now, later) = rest.split_at_mut(len.min(rest.len()));
                let gone = Bad(CompletionSyndrome::LocalProtection, Reason::Unreachable);
                bus.read(at, now).map_err(|_| gone)?;
                rest = later;
            }
        }
        Ok(())
    }

    /// How many bytes of headers must stand in an entry.
    fn least_inline(&self) -> u8 {
        // 0 the Ethernet header, 1 as the vport says, 2 none.
        match self.capabilities.get(EthernetCapability::WQE_INLINE_MODE) {
            0 => 14,
            1 => self.vport_inline(),
            _ => 0,
        }
    }
}

/// Which checksums the host left to the device.
#[derive(Clone, Copy, Debug)]
struct Flags {
    l3: bool,
    l4: bool,
    inner_l3: bool,
    inner_l4: bool,
}

impl Flags {
    fn finish(self, frame: &mut [u8], vxlan: &std::collections::BTreeSet<u16>) {
        if !(self.l3 || self.l4 || self.inner_l3 || self.inner_l4) {
            return;
        }
        let parsed = Parsed::read(frame, vxlan);
        // From the inside out: the outer checksum covers the inner one.
        if let Some(inside) = parsed.inner.as_ref()
            && let Some(part) = frame.get_mut(inside.at..)
            && let Some(ip) = Ip::find(part, 0, &inside.headers)
        {
            if self.inner_l3 {
                ip.fill_header(part);
            }
            if self.inner_l4 {
                ip.fill_upper(part);
            }
        }
        if let Some(ip) = Ip::find(frame, 0, &parsed.outer) {
            if self.l3 {
                ip.fill_header(frame);
            }
            if self.l4 {
                ip.fill_upper(frame);
            }
        }
    }
}
