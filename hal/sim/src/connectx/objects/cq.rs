//! Completion queues.
//!
//! The host says in a record in memory how far it has read, and there and by a doorbell, that it
//! wants an event: *arming*. The arm names what the host had read by then. If something has come
//! since, the event is posted at once; otherwise with the next completion. It also carries the
//! number of events that the host has seen, so that an arm from before an event does not count.

use super::Kind;
use super::ring::Ring;
use crate::connectx::command::{Call, Outcome, kept};
use crate::connectx::core::{Bus, Core};
use crate::connectx::memory::Unreachable;
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::View;
use hal_mlx_prm::command::*;
use hal_mlx_prm::completion::CompletionEntry;
use hal_mlx_prm::context::CqContext;
use hal_mlx_prm::doorbell::CqArm;

const LOG_LARGEST: u8 = 22;
const COUNTER: u32 = 0xff_ffff;
/// The syndrome of [`CqErrorEvent`](hal_mlx_prm::event::CqErrorEvent) for an overrun.
const OVERRUN: u8 = 1;

/// What the host waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arm {
    /// What it had read.
    from: u32,
    /// Only for completions that ask for it.
    solicited: bool,
}

/// A completion queue.
#[derive(Debug)]
pub(in crate::connectx) struct Cq {
    ring: Ring,
    context: Vec<u8>,
    uar: u32,
    eqn: u32,
    record: u64,
    /// An entry is in the second half of 128 bytes.
    wide: bool,
    ignores_overrun: bool,
    collapsed: bool,
    written: u32,
    /// Behind the last completion that asked for an event.
    solicited: u32,
    arm: Option<Arm>,
    /// Events posted.
    events: u32,
    broken: bool,
}

/// A completion, by its entry.
pub(in crate::connectx) type Completion = View<CompletionEntry, [u8; 64]>;

impl Core {
    /// CREATE_CQ.
    pub fn create_cq(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateCqIn::CONTEXT);
        if input.get(CreateCqIn::CQ_UMEM_VALID) || context.get(CqContext::DBR_UMEM_VALID) {
            return Err(Syndrome::NoUserMemory);
        }
        let log_size = context.get(CqContext::LOG_CQ_SIZE);
        if log_size > LOG_LARGEST {
            return Err(Syndrome::CqSize);
        }
        let wide = match context.get(CqContext::CQE_SIZE) {
            0 => false,
            1 => true,
            _ => return Err(Syndrome::CqEntrySize),
        };
        if context.get(CqContext::CQE_COMPRESSION) {
            return Err(Syndrome::CqCompression);
        }
        let record = context.get(CqContext::DOORBELL_RECORD);
        if !record.is_multiple_of(8) || call.bus.load(record).is_err() {
            return Err(Syndrome::CqRecord);
        }
        let pages = input.items(CreateCqIn::PAGES);
        let ring = Ring::new(
            pages.map(|p| p.get(PageAddress::PAGE) << 12).collect(),
            context.get(CqContext::LOG_PAGE_SIZE),
            context.get(CqContext::PAGE_OFFSET),
            if wide { 7 } else { 6 },
            log_size.into(),
        )?;
        let (uar, eqn) = (
            context.get(CqContext::UAR_PAGE),
            context.get(CqContext::EQN),
        );
        let refers = vec![(Kind::Uar, uar), (Kind::Eq, eqn)];
        let cqn = self.objects.create(Kind::Cq, refers)?;
        let cq = Cq {
            ring,
            context: context.bytes()[..CqContext::SIZE].to_vec(),
            uar,
            eqn,
            record,
            wide,
            ignores_overrun: context.get(CqContext::OVERRUN_IGNORE),
            collapsed: context.get(CqContext::COLLAPSED),
            written: 0,
            solicited: 0,
            arm: None,
            events: 0,
            broken: false,
        };
        self.cqs.insert(cqn, cq);
        call.output()?.set(CreateCqOut::CQN, cqn);
        Ok(())
    }

    /// DESTROY_CQ.
    pub fn destroy_cq(&mut self, call: &mut Call<'_>) -> Outcome {
        let cqn = call.input()?.get(DestroyCqIn::CQN);
        self.objects.destroy((Kind::Cq, cqn))?;
        self.cqs.remove(&cqn);
        Ok(())
    }

    /// QUERY_CQ.
    pub fn query_cq(&mut self, call: &mut Call<'_>) -> Outcome {
        let cqn = call.input()?.get(QueryCqIn::CQN);
        let cq = self.cqs.get(&cqn).ok_or(Syndrome::NoSuchCq)?;
        let taken = cq.taken(call.bus).unwrap_or(0);
        let mut out = call.output::<QueryCqOut>()?;
        let context = out.at_mut(QueryCqOut::CONTEXT);
        kept(context, &cq.context)?
            // 0 = well, 0xa = overrun.
            .set(CqContext::STATUS, if cq.broken { 0xa } else { 0 })
            // 9 = armed, 0xa = fired.
            .set(CqContext::STATE, if cq.arm.is_some() { 9 } else { 0xa })
            .set(CqContext::CONSUMER_COUNTER, taken)
            .set(CqContext::PRODUCER_COUNTER, cq.written);
        Ok(())
    }

    /// MODIFY_CQ: moderation (which the model does not do), and the event queue.
    pub fn modify_cq(&mut self, call: &mut Call<'_>) -> Outcome {
        // What may change, as Linux numbers it.
        const PERIOD: u32 = 1 << 0;
        const COUNT: u32 = 1 << 1;
        const OVERRUN: u32 = 1 << 2;
        const EQN: u32 = 1 << 3;
        const MODE: u32 = 1 << 4;
        let input = call.input()?;
        let cqn = input.get(ModifyCqIn::CQN);
        let cq = self.cqs.get_mut(&cqn).ok_or(Syndrome::NoSuchCq)?;
        let fields = input.get(ModifyCqIn::FIELD_SELECT);
        if call.op_mod != 0 || fields & !(PERIOD | COUNT | OVERRUN | EQN | MODE) != 0 {
            return Err(Syndrome::CqModification);
        }
        let context = input.at(ModifyCqIn::CONTEXT);
        if fields & EQN != 0 {
            let eqn = context.get(CqContext::EQN);
            let refers = vec![(Kind::Uar, cq.uar), (Kind::Eq, eqn)];
            self.objects.refer_anew((Kind::Cq, cqn), refers)?;
            cq.eqn = eqn;
        }
        if let Some(mut kept) = View::<CqContext, _>::new(&mut cq.context[..]) {
            kept.set(CqContext::EQN, cq.eqn);
            if fields & PERIOD != 0 {
                kept.set(CqContext::CQ_PERIOD, context.get(CqContext::CQ_PERIOD));
            }
            if fields & COUNT != 0 {
                kept.set(
                    CqContext::CQ_MAX_COUNT,
                    context.get(CqContext::CQ_MAX_COUNT),
                );
            }
            if fields & OVERRUN != 0 {
                cq.ignores_overrun = context.get(CqContext::OVERRUN_IGNORE);
                kept.set(CqContext::OVERRUN_IGNORE, cq.ignores_overrun);
            }
            if fields & MODE != 0 {
                kept.set(
                    CqContext::CQ_PERIOD_MODE,
                    context.get(CqContext::CQ_PERIOD_MODE),
                );
            }
        }
        Ok(())
    }

    /// The host wants an event.
    pub fn cq_armed(&mut self, page: u32, cqn: u32, word: u32, bus: &Bus<'_>) {
        let Some(cq) = self.cqs.get_mut(&cqn) else {
            self.violation(format!(
                "doorbell of completion queue {cqn:#x}, which is not there"
            ));
            return;
        };
        if cq.uar != page {
            let uar = cq.uar;
            self.violation(format!(
                "doorbell of completion queue {cqn:#x} in page {page:#x}, not {uar:#x}"
            ));
            return;
        }
        let word = word.to_be_bytes();
        let arm = [&word[..], &[0; 4]].concat();
        let Some(arm) = View::<CqArm, _>::new(arm) else {
            return;
        };
        // Armed before the host saw the last event: that one was meant.
        if u32::from(arm.get(CqArm::SEQUENCE)) != cq.events & 3 {
            return;
        }
        cq.arm = Some(Arm {
            from: arm.get(CqArm::CONSUMER),
            solicited: arm.get(CqArm::SOLICITED),
        });
        self.fire_cq(cqn, bus);
    }

    fn fire_cq(&mut self, cqn: u32, bus: &Bus<'_>) {
        let Some(cq) = self.cqs.get_mut(&cqn) else {
            return;
        };
        let Some(arm) = cq.arm else { return };
        let newest = if arm.solicited {
            cq.solicited
        } else {
            cq.written
        };
        let news = newest.wrapping_sub(arm.from) & COUNTER;
        // More than half of the range is the past.
        if news == 0 || news > COUNTER / 2 {
            return;
        }
        cq.arm = None;
        cq.events = cq.events.wrapping_add(1);
        let eqn = cq.eqn;
        self.completion_event(eqn, cqn, bus);
    }

    /// Writes a completion; false if the queue cannot take it.
    pub fn complete(&mut self, cqn: u32, entry: Completion, bus: &Bus<'_>) -> bool {
        let Some(cq) = self.cqs.get_mut(&cqn) else {
            return false;
        };
        if cq.broken {
            return false;
        }
        let taken = match cq.taken(bus) {
            Ok(taken) => taken,
            Err(at) => {
                self.violation(format!(
                    "completion queue {cqn:#x}: no memory at {:#x}",
                    at.0
                ));
                return false;
            }
        };
        let waiting = cq.written.wrapping_sub(taken) & COUNTER;
        if waiting >= cq.ring.len() && !cq.ignores_overrun {
            cq.broken = true;
            self.violation(format!("completion queue {cqn:#x} is overrun"));
            self.cq_error_event(cqn, OVERRUN, bus);
            return false;
        }
        let pass = cq.ring.pass(cq.written) == 1;
        let mut entry = self.flip(entry);
        entry.set(CompletionEntry::OWNER, pass);
        let Some(cq) = self.cqs.get_mut(&cqn) else {
            return false;
        };
        let place = if cq.collapsed { 0 } else { cq.written };
        let skip = if cq.wide { 64 } else { 0 };
        let written = cq.ring.publish(bus, place, skip, entry.bytes());
        cq.written = cq.written.wrapping_add(1) & COUNTER;
        if entry.get(CompletionEntry::SOLICITED) {
            cq.solicited = cq.written;
        }
        if let Err(at) = written {
            self.violation(format!(
                "completion queue {cqn:#x}: no memory at {:#x}",
                at.0
            ));
        }
        self.fire_cq(cqn, bus);
        true
    }

    /// Room for how many completions there is.
    pub fn cq_room(&self, cqn: u32, bus: &Bus<'_>) -> u32 {
        let Some(cq) = self.cqs.get(&cqn).filter(|cq| !cq.broken) else {
            return 0;
        };
        match cq.taken(bus) {
            Ok(taken) => {
                let waiting = cq.written.wrapping_sub(taken) & COUNTER;
                cq.ring.len().saturating_sub(waiting)
            }
            Err(_) => 0,
        }
    }
}

impl Cq {
    /// What the host has read.
    fn taken(&self, bus: &Bus<'_>) -> Result<u32, Unreachable> {
        Ok(bus.load(self.record)? & COUNTER)
    }
}
