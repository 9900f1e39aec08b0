//! Send and receive queues: their commands, and the ring that they have in common.

use super::Kind;
use super::ring::Ring;
use crate::connectx::command::{Call, Outcome, kept};
use crate::connectx::core::{Bus, Core};
use crate::connectx::memory::Unreachable;
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::View;
use hal_mlx_prm::capability::GeneralCapability;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{QueueState, RqContext, SqContext, WorkQueue, WqType};

/// What send and receive queues have in common.
#[derive(Debug)]
pub(in crate::connectx) struct Work {
    pub ring: Ring,
    pub record: u64,
    pub pd: u32,
    pub linked: bool,
}

/// A send queue.
#[derive(Debug)]
pub(in crate::connectx) struct Sq {
    context: Vec<u8>,
    pub state: QueueState,
    pub work: Work,
    pub uar: u32,
    pub cqn: u32,
    pub flushes: bool,
    /// The next entry, 16 bits.
    pub next: u16,
    /// It was rung for, and there may be more.
    pub rung: bool,
    /// Entries carried out since it was reset.
    pub done: u64,
}

/// A receive queue.
#[derive(Debug)]
pub(in crate::connectx) struct Rq {
    context: Vec<u8>,
    pub state: QueueState,
    pub work: Work,
    pub cqn: u32,
    pub flushes: bool,
    pub strips_tags: bool,
    pub user_index: u32,
    pub counter_set: u32,
    /// The next entry, 16 bits, and where it stands if entries are linked.
    pub next: u16,
    pub place: u16,
}

impl Work {
    /// From a context; the pages follow it.
    fn new(
        wq: &View<WorkQueue, &[u8]>,
        pages: Vec<u64>,
        log_largest: u8,
        bus: &Bus<'_>,
    ) -> Result<Work, Syndrome> {
        if wq.get(WorkQueue::WQ_UMEM_VALID) || wq.get(WorkQueue::DBR_UMEM_VALID) {
            return Err(Syndrome::NoUserMemory);
        }
        let linked = match WqType::of(wq.get(WorkQueue::WQ_TYPE)) {
            Some(WqType::Linked) => true,
            Some(WqType::Cyclic) => false,
            _ => return Err(Syndrome::WorkQueueType),
        };
        if wq.get(WorkQueue::WQ_SIGNATURE) {
            return Err(Syndrome::WorkQueueSignature);
        }
        let log_size = wq.get(WorkQueue::LOG_WQ_SIZE);
        if log_size > log_largest.min(15) {
            return Err(Syndrome::WorkQueueSize);
        }
        let log_stride = wq.get(WorkQueue::LOG_WQ_STRIDE);
        if !(4..=12).contains(&log_stride) {
            return Err(Syndrome::WorkQueueStride);
        }
        let record = wq.get(WorkQueue::DOORBELL_RECORD);
        if !record.is_multiple_of(8) || bus.load(record).is_err() {
            return Err(Syndrome::WorkQueueRecord);
        }
        let ring = Ring::new(
            pages,
            wq.get(WorkQueue::LOG_WQ_PAGE_SIZE),
            // In 64ths of a page.
            wq.get(WorkQueue::PAGE_OFFSET),
            log_stride.into(),
            log_size.into(),
        )?;
        Ok(Work {
            ring,
            record,
            pd: wq.get(WorkQueue::PD),
            linked,
        })
    }

    /// How far the host has come: word 0 of the record for receive queues, 1 for send queues.
    pub fn produced(&self, word: u64, bus: &Bus<'_>) -> Result<u16, Unreachable> {
        Ok(bus.load(self.record + 4 * word)? as u16)
    }
}

fn addresses<'a>(pages: impl Iterator<Item = View<PageAddress, &'a [u8]>>) -> Vec<u64> {
    pages.map(|p| p.get(PageAddress::PAGE) << 12).collect()
}

fn state(number: u8) -> Result<QueueState, Syndrome> {
    QueueState::of(number).ok_or(Syndrome::QueueState)
}

impl Core {
    /// CREATE_SQ.
    pub fn create_sq(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateSqIn::CONTEXT);
        if state(context.get(SqContext::STATE))? != QueueState::Reset {
            return Err(Syndrome::QueueState);
        }
        if context.get(SqContext::HAIRPIN) {
            return Err(Syndrome::NoHairpin);
        }
        let wq = context.at(SqContext::WQ);
        let log_largest = self.capabilities.get(GeneralCapability::LOG_MAX_WQ_SZ);
        let pages = addresses(input.items(CreateSqIn::PAGES));
        let work = Work::new(&wq, pages, log_largest, call.bus)?;
        if work.linked {
            return Err(Syndrome::WorkQueueType);
        }
        if work.ring.stride() != 64 {
            return Err(Syndrome::WorkQueueStride);
        }
        let (uar, cqn) = (wq.get(WorkQueue::UAR_PAGE), context.get(SqContext::CQN));
        let mut refers = vec![(Kind::Uar, uar), (Kind::Cq, cqn)];
        // A queue for changes of keys only has none.
        match context.get(SqContext::TIS_LIST_SIZE) {
            0 => {}
            1 => refers.push((Kind::Tis, context.get(SqContext::TIS_NUM_0))),
            _ => return Err(Syndrome::TisList),
        }
        if work.pd != 0 {
            refers.push((Kind::Pd, work.pd));
        }
        let sq = Sq {
            context: context.bytes()[..SqContext::SIZE].to_vec(),
            state: QueueState::Reset,
            work,
            uar,
            cqn,
            flushes: context.get(SqContext::FLUSH_IN_ERROR_EN),
            next: 0,
            rung: false,
            done: 0,
        };
        let number = self.objects.create(Kind::Sq, refers)?;
        self.sqs.insert(number, sq);
        call.output()?.set(CreateSqOut::SQN, number);
        Ok(())
    }

    /// MODIFY_SQ: from one state to another.
    pub fn modify_sq(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(ModifySqIn::SQN);
        let from = state(input.get(ModifySqIn::SQ_STATE))?;
        let to = input.at(ModifySqIn::CONTEXT).get(SqContext::STATE);
        let to = state(to)?;
        let sq = self.sqs.get_mut(&number).ok_or(Syndrome::NoSuchSq)?;
        check_move(sq.state, from, to)?;
        sq.state = to;
        match to {
            QueueState::Reset => (sq.next, sq.rung, sq.done) = (0, false, 0),
            // What is posted is flushed.
            QueueState::Error => sq.rung = sq.flushes,
            QueueState::Ready => {}
        }
        Ok(())
    }

    /// DESTROY_SQ.
    pub fn destroy_sq(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DestroySqIn::SQN);
        self.objects.destroy((Kind::Sq, number))?;
        self.sqs.remove(&number);
        Ok(())
    }

    /// QUERY_SQ.
    pub fn query_sq(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(QuerySqIn::SQN);
        let sq = self.sqs.get(&number).ok_or(Syndrome::NoSuchSq)?;
        let mut out = call.output::<QuerySqOut>()?;
        let mut context = kept(out.at_mut(QuerySqOut::CONTEXT), &sq.context)?;
        context.set(SqContext::STATE, sq.state as u8);
        context
            .at_mut(SqContext::WQ)
            .set(WorkQueue::HW_COUNTER, u32::from(sq.next));
        Ok(())
    }

    /// CREATE_RQ.
    pub fn create_rq(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateRqIn::CONTEXT);
        if state(context.get(RqContext::STATE))? != QueueState::Reset {
            return Err(Syndrome::QueueState);
        }
        if context.get(RqContext::HAIRPIN) {
            return Err(Syndrome::NoHairpin);
        }
        if context.get(RqContext::MEMORY_RQ_TYPE) != 0 {
            return Err(Syndrome::SharedReceive);
        }
        let wq = context.at(RqContext::WQ);
        let log_largest = self.capabilities.get(GeneralCapability::LOG_MAX_WQ_SZ);
        let pages = addresses(input.items(CreateRqIn::PAGES));
        let work = Work::new(&wq, pages, log_largest, call.bus)?;
        let cqn = context.get(RqContext::CQN);
        let mut refers = vec![(Kind::Cq, cqn)];
        if work.pd != 0 {
            refers.push((Kind::Pd, work.pd));
        }
        let counter_set = context.get(RqContext::COUNTER_SET_ID).into();
        if counter_set != 0 {
            refers.push((Kind::QCounter, counter_set));
        }
        let rq = Rq {
            context: context.bytes()[..RqContext::SIZE].to_vec(),
            state: QueueState::Reset,
            work,
            cqn,
            flushes: context.get(RqContext::FLUSH_IN_ERROR_EN),
            strips_tags: !context.get(RqContext::VLAN_STRIP_DISABLE),
            user_index: context.get(RqContext::USER_INDEX),
            counter_set,
            next: 0,
            place: 0,
        };
        let number = self.objects.create(Kind::Rq, refers)?;
        self.rqs.insert(number, rq);
        call.output()?.set(CreateRqOut::RQN, number);
        Ok(())
    }

    /// MODIFY_RQ: from one state to another, tags, counters.
    pub fn modify_rq(&mut self, call: &mut Call<'_>) -> Outcome {
        // What may change besides the state.
        const TAGS: u64 = 1 << 1;
        const COUNTERS: u64 = 1 << 3;
        let input = call.input()?;
        let number = input.get(ModifyRqIn::RQN);
        let from = state(input.get(ModifyRqIn::RQ_STATE))?;
        let context = input.at(ModifyRqIn::CONTEXT);
        let to = state(context.get(RqContext::STATE))?;
        let rq = self.rqs.get_mut(&number).ok_or(Syndrome::NoSuchRq)?;
        check_move(rq.state, from, to)?;
        let changes = input.get(ModifyRqIn::MODIFY_BITMASK);
        if changes & COUNTERS != 0 {
            let set = context.get(RqContext::COUNTER_SET_ID).into();
            let mut refers = vec![(Kind::Cq, rq.cqn)];
            if rq.work.pd != 0 {
                refers.push((Kind::Pd, rq.work.pd));
            }
            if set != 0 {
                refers.push((Kind::QCounter, set));
            }
            self.objects.refer_anew((Kind::Rq, number), refers)?;
            rq.counter_set = set;
        }
        if changes & TAGS != 0 {
            rq.strips_tags = !context.get(RqContext::VLAN_STRIP_DISABLE);
        }
        let before = std::mem::replace(&mut rq.state, to);
        match to {
            QueueState::Reset => (rq.next, rq.place) = (0, 0),
            QueueState::Error if before == QueueState::Ready => self.flush_rq(number, call.bus),
            _ => {}
        }
        Ok(())
    }

    /// DESTROY_RQ.
    pub fn destroy_rq(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DestroyRqIn::RQN);
        self.objects.destroy((Kind::Rq, number))?;
        self.rqs.remove(&number);
        Ok(())
    }

    /// QUERY_RQ.
    pub fn query_rq(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(QueryRqIn::RQN);
        let rq = self.rqs.get(&number).ok_or(Syndrome::NoSuchRq)?;
        let mut out = call.output::<QueryRqOut>()?;
        let mut context = kept(out.at_mut(QueryRqOut::CONTEXT), &rq.context)?;
        context.set(RqContext::STATE, rq.state as u8);
        context
            .at_mut(RqContext::WQ)
            .set(WorkQueue::HW_COUNTER, u32::from(rq.next));
        Ok(())
    }
}

/// Whether a queue may go from one state to another; the host says from which.
fn check_move(is: QueueState, from: QueueState, to: QueueState) -> Outcome {
    if is != from {
        return Err(Syndrome::NotInThatState);
    }
    match (from, to) {
        (QueueState::Reset, QueueState::Error) => Err(Syndrome::QueueMove),
        (QueueState::Error, QueueState::Ready) => Err(Syndrome::QueueMove),
        _ => Ok(()),
    }
}
