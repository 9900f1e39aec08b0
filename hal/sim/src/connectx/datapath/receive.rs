//! Receive queues at work: a frame goes into the buffers of the next entry, and a completion says
//! what it was.

use super::checksum::{self, Ip};
use super::hash::{self, Hash};
use super::send::Reason;
use crate::connectx::core::{Bus, Core};
use crate::connectx::memory::Unreachable;
use crate::connectx::objects::cq::Completion;
use crate::connectx::objects::mkey::{LIST_END, NULL};
use crate::connectx::objects::queue::Rq;
use crate::connectx::objects::transport::TirGoal;
use crate::connectx::steering::Frame;
use crate::connectx::steering::parse::{Parsed, Tunnel};
use crate::switch::{Headers, pop_vlan, protocol};
use hal_mlx_prm::View;
use hal_mlx_prm::capability::EthernetCapability;
use hal_mlx_prm::completion::{
    CompletionEntry, CompletionOpcode, CompletionSyndrome, ErrorEntry, L4Type,
};
use hal_mlx_prm::context::QueueState;
use hal_mlx_prm::work::{DataSegment, NextSegment};
use packet::FieldId;

/// Why a frame cannot go into a buffer.
struct Fault(CompletionSyndrome, Reason);

impl From<Unreachable> for Fault {
    fn from(_: Unreachable) -> Fault {
        Fault(CompletionSyndrome::LocalProtection, Reason::Unreachable)
    }
}

impl Core {
    /// A frame has reached a TIR.
    pub fn receive(&mut self, tirn: u32, frame: Frame, bus: &Bus<'_>) {
        let Some(tir) = self.tirs.get(&tirn) else {
            return;
        };
        if frame.source_port == 0 && !tir.takes_own {
            self.statistics.receive_drops += 1;
            return;
        }
        let parsed = Parsed::read(frame.packet.frame(), &self.steering.vxlan);
        let hash = hash::hash(&parsed, &tir.function, &tir.outer, &tir.inner);
        let rqn = match tir.goal {
            TirGoal::Rq(rqn) => rqn,
            TirGoal::Rqt(rqtn) => {
                let queues = self.rqts.get(&rqtn).map(|rqt| rqt.queues.as_slice());
                let queues = queues.unwrap_or_default();
                let index = hash.value as usize % queues.len().max(1);
                match queues.get(index) {
                    Some(rqn) => *rqn,
                    None => return,
                }
            }
        };
        self.receive_in(rqn, frame, parsed, hash, bus);
    }

    fn receive_in(
        &mut self,
        rqn: u32,
        mut frame: Frame,
        parsed: Parsed,
        hash: Hash,
        bus: &Bus<'_>,
    ) {
        let Some(rq) = self.rqs.get(&rqn) else { return };
        if rq.state != QueueState::Ready {
            self.statistics.receive_drops += 1;
            return;
        }
        let (cqn, counter_set, user_index) = (rq.cqn, rq.counter_set, rq.user_index);
        let next = rq.next;
        match rq.work.produced(0, bus) {
            Ok(produced) if produced != next => {}
            Ok(_) => {
                self.statistics.receive_drops += 1;
                if let Some(count) = self.q_counters.get_mut(&counter_set) {
                    *count = count.wrapping_add(1);
                }
                return;
            }
            Err(at) => {
                self.violation(format!("receive queue {rqn:#x}: no memory at {:#x}", at.0));
                return;
            }
        }
        let mut done: Completion = View::zeroed();
        let tag = parsed.outer.get(FieldId::VlanTpid) as u16;
        if rq.strips_tags && tag == 0x8100 {
            let bytes = frame.packet.frame();
            let control = bytes.get(14..16).and_then(|b| b.first_chunk());
            let control = control.map_or(0, |b| u16::from_be_bytes(*b));
            let mut h = Headers::read_tags(bytes, 2);
            pop_vlan(&mut frame.packet, &mut h);
            done.set(CompletionEntry::VLAN_STRIPPED, true)
                .set(CompletionEntry::VLAN_TCI, control);
        }
        let full = self.capabilities.get(EthernetCapability::CQE_CHECKSUM_FULL);
        describe(&mut done, frame.packet.frame(), &parsed, full);
        let counter = if rq.work.linked { rq.place } else { next };
        done.set(CompletionEntry::OPCODE, CompletionOpcode::Responder as u8)
            .set(CompletionEntry::BYTE_COUNT, frame.packet.len() as u32)
            .set(CompletionEntry::RSS_HASH_RESULT, hash.value)
            .set(CompletionEntry::RSS_HASH_TYPE, hash.kind)
            .set(CompletionEntry::FLOW_TAG, frame.flow_tag)
            .set(CompletionEntry::FLOW_TABLE_METADATA, frame.register_b)
            .set(CompletionEntry::USER_INDEX, user_index)
            .set(CompletionEntry::WQE_COUNTER, counter)
            .set(CompletionEntry::TIMESTAMP, self.timestamp(bus));
        let scattered = self.scatter(rqn, frame.packet.frame(), bus);
        let Some(rq) = self.rqs.get_mut(&rqn) else {
            return;
        };
        match scattered {
            Ok(place) => {
                rq.next = rq.next.wrapping_add(1);
                rq.place = place;
                self.statistics.received += 1;
                self.complete(cqn, done, bus);
            }
            Err(Fault(syndrome, reason)) => {
                rq.state = QueueState::Error;
                rq.next = rq.next.wrapping_add(1);
                self.receive_failed(rqn, cqn, counter, syndrome, reason, bus);
                self.flush_rq(rqn, bus);
            }
        }
    }

    fn receive_failed(
        &mut self,
        rqn: u32,
        cqn: u32,
        counter: u16,
        syndrome: CompletionSyndrome,
        reason: Reason,
        bus: &Bus<'_>,
    ) {
        let mut failed = View::<ErrorEntry, _>::zeroed();
        failed
            .set(ErrorEntry::OPCODE, CompletionOpcode::ResponderError as u8)
            .set(ErrorEntry::SYNDROME, syndrome as u8)
            .set(ErrorEntry::VENDOR_SYNDROME, reason as u8)
            .set(ErrorEntry::QPN, rqn)
            .set(ErrorEntry::WQE_COUNTER, counter);
        if let Some(failed) = View::new(failed.into_inner()) {
            self.complete(cqn, failed, bus);
        }
    }

    /// Completes what is posted to a queue that is in error, if it wants that.
    pub fn flush_rq(&mut self, rqn: u32, bus: &Bus<'_>) {
        let Some(rq) = self.rqs.get(&rqn).filter(|rq| rq.flushes) else {
            return;
        };
        let (cqn, next) = (rq.cqn, rq.next);
        let Ok(produced) = rq.work.produced(0, bus) else {
            return;
        };
        let posted = u32::from(produced.wrapping_sub(next)).min(rq.work.ring.len());
        let count = posted.min(self.cq_room(cqn, bus));
        for i in 0..count {
            let counter = next.wrapping_add(i as u16);
            let flushed = CompletionSyndrome::Flushed;
            self.receive_failed(rqn, cqn, counter, flushed, Reason::Flushed, bus);
        }
        if let Some(rq) = self.rqs.get_mut(&rqn) {
            rq.next = next.wrapping_add(count as u16);
        }
    }

    /// Writes a frame into the buffers of a queue's next entry; answers where the one after that
    /// stands.
    fn scatter(&self, rqn: u32, frame: &[u8], bus: &Bus<'_>) -> Result<u16, Fault> {
        let gone = Fault(CompletionSyndrome::LocalProtection, Reason::Unreachable);
        let Some(rq) = self.rqs.get(&rqn) else {
            return Err(gone);
        };
        let (entry, next) = read_entry(rq, bus)?;
        let mut rest = frame;
        for segment in entry.chunks_exact(DataSegment::SIZE) {
            if rest.is_empty() {
                break;
            }
            let Some(view) = View::<DataSegment, _>::new(segment) else {
                break;
            };
            let (len, key) = (
                view.get(DataSegment::BYTE_COUNT) as usize,
                view.get(DataSegment::LKEY),
            );
            if key == LIST_END && len == 0 {
                break;
            }
            let (now, later) = rest.split_at(len.min(rest.len()));
            rest = later;
            if key == NULL || now.is_empty() {
                continue;
            }
            let at = view.get(DataSegment::ADDRESS);
            let pieces = self.named(key, rq.work.pd, at, now.len(), true);
            let pieces =
                pieces.map_err(|fault| Fault(CompletionSyndrome::LocalProtection, fault.into()))?;
            let mut now = now;
            for (at, len) in pieces {
                let (part, further) = now.split_at(len.min(now.len()));
                bus.write(at, part)?;
                now = further;
            }
        }
        if rest.is_empty() {
            Ok(next)
        } else {
            Err(Fault(CompletionSyndrome::LocalLength, Reason::Buffer))
        }
    }
}

/// The data segments of a queue's next entry, and where the one after that stands.
fn read_entry(rq: &Rq, bus: &Bus<'_>) -> Result<(Vec<u8>, u16), Unreachable> {
    let mut entry = vec![0; rq.work.ring.stride()];
    if !rq.work.linked {
        bus.read(rq.work.ring.at(rq.next.into())?, &mut entry)?;
        return Ok((entry, 0));
    }
    bus.read(rq.work.ring.at(rq.place.into())?, &mut entry)?;
    let next = View::<NextSegment, _>::new(&entry[..]);
    let next = next.map_or(0, |view| view.get(NextSegment::NEXT_WQE_INDEX));
    Ok((entry.split_off(NextSegment::SIZE), next))
}

/// Says what a frame is. `frame` may have lost a tag since it was parsed.
fn describe(done: &mut Completion, frame: &[u8], parsed: &Parsed, full: bool) {
    done.set(CompletionEntry::L2_OK, true);
    let h = Headers::read_tags(frame, 2);
    let Some(ip) = Ip::find(frame, 0, &h) else {
        let behind = h.network.and_then(|at| frame.get(at..));
        let sum = checksum::fold(checksum::sum(behind.unwrap_or_default()));
        done.set(CompletionEntry::CHECKSUM, sum);
        return;
    };
    let end = if full { frame.len() } else { ip.end };
    let covered = frame.get(ip.at..end).unwrap_or_default();
    // The IP version: 1 IPv6, 2 IPv4.
    done.set(
        CompletionEntry::CHECKSUM,
        checksum::fold(checksum::sum(covered)),
    )
    .set(CompletionEntry::IP_FRAGMENT, ip.fragment);
    let tunneled = matches!(
        parsed.tunnel,
        Some(Tunnel::Vxlan { .. } | Tunnel::Gre { .. } | Tunnel::Geneve { .. })
    );
    let inner = parsed.inner.as_ref().filter(|_| tunneled);
    // With a tunnel, what is said of checksums is of both levels, and of kinds is of the inner.
    let part = inner.and_then(|inside| {
        let shift = parsed_shift(parsed, &h);
        let at = inside.at.checked_sub(shift)?;
        let bytes = frame.get(at..)?;
        Some((Ip::find(bytes, 0, &inside.headers)?, bytes))
    });
    let (kind, bytes) = part.unwrap_or((ip, frame));
    let l3 = ip.header_is_good(frame) && kind.header_is_good(bytes);
    let l4 = kind.upper_is_good(bytes);
    let options = !kind.v6 && bytes.get(kind.at).is_some_and(|b| b & 0xf > 5);
    done.set(CompletionEntry::L3_TYPE, if kind.v6 { 1 } else { 2 })
        .set(CompletionEntry::L3_OK, l3)
        .set(CompletionEntry::L4_OK, l4 == Some(true))
        .set(CompletionEntry::L4_TYPE, l4_type(bytes, &kind) as u8)
        .set(CompletionEntry::IP_OPTIONS, options)
        .set(CompletionEntry::TUNNELED, part.is_some())
        .set(CompletionEntry::OUTER_L3, part.is_some() && ip.v6);
}

/// By how much headers have moved up since the frame was parsed.
fn parsed_shift(parsed: &Parsed, now: &Headers) -> usize {
    let before = parsed.outer.network.unwrap_or(0);
    before.saturating_sub(now.network.unwrap_or(0))
}

fn l4_type(frame: &[u8], ip: &Ip) -> L4Type {
    match ip.upper {
        Some((_, protocol::UDP)) => L4Type::Udp,
        Some((at, protocol::TCP)) => {
            let header = frame.get(at + 12).map_or(0, |b| usize::from(b >> 4) * 4);
            let acknowledges = frame.get(at + 13).is_some_and(|flags| flags & 0x10 != 0);
            match (acknowledges, at + header < ip.end) {
                (false, _) => L4Type::TcpNoAck,
                (true, false) => L4Type::TcpAckNoData,
                (true, true) => L4Type::TcpAckAndData,
            }
        }
        _ => L4Type::None,
    }
}
