//! Receive queues: buffers that the device fills with packets.
//!
//! A ring of entries, each naming one buffer. The device fills them in order and says so in the
//! completion queue; a buffer whose packet has been copied out is given to the device again. An
//! entry's place decides its buffer, so nothing that the device writes can name a buffer that is
//! not there.

use crate::completion::CompletionQueue;
use crate::error::MlxError;
use crate::event::{Event, EventQueue};
use crate::function::Function;
use crate::object::{Domain, list_pages};
use hal::pci::{DmaMemory, Interrupt, PAGE};
use hal::{ResumeId, RxBatch, RxMeta};
use hal_mlx_prm::command::{
    CreateRqIn, CreateRqOut, CreateTirIn, CreateTirOut, DestroyCqIn, DestroyEqIn, DestroyRqIn,
    DestroyTirIn, ModifyRqIn, Output,
};
use hal_mlx_prm::completion::{CompletionEntry, CompletionOpcode};
use hal_mlx_prm::context::{QueueState, RqContext, TirContext, WorkQueue, WqType};
use hal_mlx_prm::work::DataSegment;
use hal_mlx_prm::{Opcode, View};
use std::sync::Arc;

/// Buffers, log 2.
const LOG_SIZE: u8 = 10;
const SIZE: usize = 1 << LOG_SIZE;
/// Bytes of a buffer: the longest frame that the port takes.
pub const BUFFER: usize = 10240;

/// What a queue has received and could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that a rule had sent on.
    pub resumed: u64,
    /// Completions that said something impossible, or that something was wrong.
    pub errors: u64,
}

/// Memory that a queue's device end reaches: kept until that is gone.
pub type Kept = Vec<Arc<DmaMemory>>;

/// The numbers of a receive queue's parts, to take them away by.
pub struct Parts {
    tir: u32,
    rq: u32,
    cq: u32,
    eq: Option<u8>,
    /// The memory that they reach.
    _kept: Kept,
}

impl Parts {
    /// What packets are sent to.
    pub fn tir(&self) -> u32 {
        self.tir
    }

    /// Takes the parts away, after which their memory is free.
    ///
    /// # Errors
    /// A command fails.
    pub fn close(self, function: &mut Function) -> Result<(), MlxError> {
        let mut tir = View::<DestroyTirIn, _>::zeroed();
        tir.set(DestroyTirIn::TIRN, self.tir);
        function.run(Opcode::DestroyTir, tir, Output::SIZE)?;
        let mut rq = View::<DestroyRqIn, _>::zeroed();
        rq.set(DestroyRqIn::RQN, self.rq);
        function.run(Opcode::DestroyRq, rq, Output::SIZE)?;
        let mut cq = View::<DestroyCqIn, _>::zeroed();
        cq.set(DestroyCqIn::CQN, self.cq);
        function.run(Opcode::DestroyCq, cq, Output::SIZE)?;
        if let Some(number) = self.eq {
            let mut eq = View::<DestroyEqIn, _>::zeroed();
            eq.set(DestroyEqIn::EQN, number);
            function.run(Opcode::DestroyEq, eq, Output::SIZE)?;
        }
        Ok(())
    }
}

/// A receive queue. It belongs to one thread.
pub struct ReceiveQueue {
    ring: Arc<DmaMemory>,
    buffers: Arc<DmaMemory>,
    completions: CompletionQueue,
    events: Option<(EventQueue, Arc<Interrupt>)>,
    /// An event will tell of the next packet.
    armed: bool,
    /// Buffers given to the device since the beginning.
    producer: u16,
    /// What has come.
    pub tally: Tally,
}

impl ReceiveQueue {
    /// A queue, with what packets are sent to. `events` tell of packets where there are such.
    ///
    /// # Errors
    /// No memory, or a command fails.
    pub fn open(
        function: &mut Function,
        domain: &Domain,
        events: Option<(EventQueue, Arc<Interrupt>)>,
        event_queue: u8,
    ) -> Result<(ReceiveQueue, Parts), MlxError> {
        let event_queue = events.as_ref().map_or(event_queue, |(q, _)| q.number());
        let completions = CompletionQueue::open(function, domain.uar, event_queue, LOG_SIZE)?;
        let device = function.device().clone();
        let ring_len = SIZE * DataSegment::SIZE;
        // The record stands on a page of its own, behind the entries.
        let ring = Arc::new(device.dma("receive queue", ring_len + PAGE)?);
        let buffers = Arc::new(device.dma("receive buffers", SIZE * BUFFER)?);
        let mut segment = View::<DataSegment, _>::zeroed();
        for i in 0..SIZE {
            segment
                .set(DataSegment::BYTE_COUNT, BUFFER as u32)
                .set(DataSegment::LKEY, domain.key.0)
                .set(DataSegment::ADDRESS, (buffers.iova() + i * BUFFER).0);
            ring.write(i * DataSegment::SIZE, segment.bytes());
        }
        let mut input = View::with_tail(CreateRqIn::PAGES, ring_len / PAGE);
        let mut context = input.at_mut(CreateRqIn::CONTEXT);
        context
            .set(RqContext::VLAN_STRIP_DISABLE, true)
            .set(RqContext::STATE, QueueState::Reset as u8)
            .set(RqContext::CQN, completions.number());
        let mut wq = context.at_mut(RqContext::WQ);
        wq.set(WorkQueue::WQ_TYPE, WqType::Cyclic as u8)
            .set(WorkQueue::PD, domain.protection.0)
            .set(WorkQueue::DOORBELL_RECORD, (ring.iova() + ring_len).0)
            .set(
                WorkQueue::LOG_WQ_STRIDE,
                DataSegment::SIZE.trailing_zeros() as u8,
            )
            .set(WorkQueue::LOG_WQ_SIZE, LOG_SIZE);
        list_pages(&mut input, CreateRqIn::PAGES, &ring);
        let rq = function.ask(Opcode::CreateRq, input)?.get(CreateRqOut::RQN);

        let mut input = View::<ModifyRqIn, _>::zeroed();
        input
            .set(ModifyRqIn::RQ_STATE, QueueState::Reset as u8)
            .set(ModifyRqIn::RQN, rq);
        let mut context = input.at_mut(ModifyRqIn::CONTEXT);
        context.set(RqContext::STATE, QueueState::Ready as u8);
        function.run(Opcode::ModifyRq, input, Output::SIZE)?;

        let mut input = View::<CreateTirIn, _>::zeroed();
        let mut context = input.at_mut(CreateTirIn::CONTEXT);
        context
            .set(TirContext::INLINE_RQN, rq)
            .set(TirContext::TRANSPORT_DOMAIN, domain.transport.0);
        let tir = function
            .ask(Opcode::CreateTir, input)?
            .get(CreateTirOut::TIRN);

        let parts = Parts {
            tir,
            rq,
            cq: completions.number(),
            eq: events.as_ref().map(|(q, _)| q.number()),
            _kept: [ring.clone(), buffers.clone(), completions.memory()]
                .into_iter()
                .chain(events.as_ref().map(|(q, _)| q.memory()))
                .collect(),
        };
        let mut queue = ReceiveQueue {
            ring,
            buffers,
            completions,
            events,
            armed: false,
            producer: SIZE as u16,
            tally: Tally::default(),
        };
        queue.give();
        Ok((queue, parts))
    }

    /// Tells the device how many buffers it has been given.
    fn give(&mut self) {
        let record = SIZE * DataSegment::SIZE;
        self.ring.store_be32(record, self.producer.into());
    }

    /// Adds packets until the batch is full or none are left.
    ///
    /// # Errors
    /// The device is gone.
    pub fn receive(&mut self, batch: &mut RxBatch) -> Result<(), MlxError> {
        if self.armed
            && let Some((events, interrupt)) = &mut self.events
            && interrupt.take()
        {
            self.armed = false;
            let completions = &mut self.completions;
            events.poll(|event| {
                if event == Event::Completion(completions.number()) {
                    completions.event();
                }
            })?;
        }
        loop {
            let before = self.producer;
            while !batch.is_full()
                && let Some(entry) = self.completions.take()
            {
                self.take(&entry, batch);
                self.producer = self.producer.wrapping_add(1);
            }
            if self.producer != before {
                self.completions.consumed();
                self.give();
            }
            if batch.is_full() || self.armed || self.events.is_none() {
                return Ok(());
            }
            // A packet that came before the arming makes an event at once.
            self.completions.arm()?;
            self.armed = true;
        }
    }

    /// Copies a packet out of its buffer.
    fn take(&mut self, entry: &crate::completion::Entry, batch: &mut RxBatch) {
        let place = usize::from(self.producer) % SIZE;
        let told = usize::from(entry.get(CompletionEntry::WQE_COUNTER)) % SIZE;
        let len = entry.get(CompletionEntry::BYTE_COUNT) as usize;
        let received = entry.get(CompletionEntry::OPCODE) == CompletionOpcode::Responder as u8;
        if !received || told != place || len > BUFFER {
            self.tally.errors += 1;
            return;
        }
        let resume = entry.get(CompletionEntry::FLOW_TABLE_METADATA);
        let meta = RxMeta {
            ingress: None,
            resume: (resume != 0).then_some(ResumeId(resume)),
        };
        if let Some(packet) = batch.add(meta) {
            self.buffers
                .read(place * BUFFER, packet.receive_buffer(len));
            self.tally.packets += 1;
            self.tally.bytes += len as u64;
            self.tally.resumed += u64::from(resume != 0);
        }
    }
}
