//! Completion queues: what became of what was given to work queues.

use crate::error::MlxError;
use crate::function::Function;
use crate::object::{Uar, list_pages};
use hal::pci::{Bar, DmaMemory, PAGE};
use hal_mlx_prm::command::{CreateCqIn, CreateCqOut};
use hal_mlx_prm::completion::{CompletionEntry, UNUSED_ENTRY};
use hal_mlx_prm::context::CqContext;
use hal_mlx_prm::doorbell::{CqArm, CqRecord, UarPage};
use hal_mlx_prm::{Opcode, View};
use std::sync::Arc;

/// An entry, as it was when it was read.
pub type Entry = View<CompletionEntry, [u8; CompletionEntry::SIZE]>;

/// A completion queue. It belongs to one thread.
pub struct CompletionQueue {
    memory: Arc<DmaMemory>,
    registers: Bar,
    number: u32,
    log_size: u8,
    consumer: u32,
    /// Events that have been had.
    armed: u32,
    uar: Uar,
}

impl CompletionQueue {
    /// A queue of 2^`log_size` entries whose events go to an event queue.
    ///
    /// # Errors
    /// No memory, or the command fails.
    pub fn open(
        function: &mut Function,
        uar: Uar,
        event_queue: u8,
        log_size: u8,
    ) -> Result<CompletionQueue, MlxError> {
        let len = CompletionEntry::SIZE << log_size;
        // The record stands on a page of its own, behind the entries.
        let memory = function
            .device()
            .dma("completion queue", len.next_multiple_of(PAGE) + PAGE)?;
        let memory = Arc::new(memory);
        for i in 0..1 << log_size {
            memory.write((i + 1) * CompletionEntry::SIZE - 1, &[UNUSED_ENTRY]);
        }
        let pages = len.div_ceil(PAGE);
        let record = memory.iova() + pages * PAGE;
        let mut input = View::with_tail(CreateCqIn::PAGES, pages);
        let mut context = input.at_mut(CreateCqIn::CONTEXT);
        context
            .set(CqContext::LOG_CQ_SIZE, log_size)
            .set(CqContext::UAR_PAGE, uar.0)
            .set(CqContext::EQN, event_queue.into())
            .set(CqContext::DOORBELL_RECORD, record.0);
        list_pages(&mut input, CreateCqIn::PAGES, &memory);
        let made = function.ask(Opcode::CreateCq, input)?;
        Ok(CompletionQueue {
            memory,
            registers: function.commands.registers().bar().clone(),
            number: made.get(CreateCqOut::CQN),
            log_size,
            consumer: 0,
            armed: 0,
            uar,
        })
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its memory.
    pub fn memory(&self) -> Arc<DmaMemory> {
        self.memory.clone()
    }

    fn record(&self) -> usize {
        self.memory.len() - PAGE
    }

    /// The next entry, if it is there.
    #[inline]
    pub fn take(&mut self) -> Option<Entry> {
        let mask = (1u32 << self.log_size) - 1;
        let at = (self.consumer & mask) as usize * CompletionEntry::SIZE;
        let last = self.memory.load_be32(at + CompletionEntry::SIZE - 4);
        let round = self.consumer >> self.log_size & 1 != 0;
        // An entry of the round before, or one that has never been written.
        if (last & 1 != 0) != round || last as u8 >> 4 == UNUSED_ENTRY >> 4 {
            return None;
        }
        let mut entry = [0; CompletionEntry::SIZE];
        self.memory.read(at, &mut entry);
        self.consumer = self.consumer.wrapping_add(1);
        View::new(entry)
    }

    /// Tells the device how far we are: it may use the entries before again.
    #[inline]
    pub fn consumed(&self) {
        self.memory
            .store_be32(self.record(), self.consumer & 0xff_ffff);
    }

    /// Asks for an event with the next entry, or at once if there is one already.
    ///
    /// # Errors
    /// The device is gone.
    pub fn arm(&mut self) -> Result<(), MlxError> {
        let mut arm = View::<CqArm, _>::zeroed();
        arm.set(CqArm::SEQUENCE, (self.armed & 3) as u8)
            .set(CqArm::CONSUMER, self.consumer & 0xff_ffff)
            .set(CqArm::CQN, self.number);
        let doorbell = u64::from_be_bytes(arm.into_inner());
        let record = self.record() + CqRecord::SEQUENCE.place.offset;
        self.consumed();
        self.memory.store_be32(record, (doorbell >> 32) as u32);
        let at = self.uar.offset() + UarPage::CQ_ARM.place.offset as u64;
        Ok(self.registers.write_be64(at, doorbell)?)
    }

    /// An event of this queue has been had.
    pub fn event(&mut self) {
        self.armed = self.armed.wrapping_add(1);
    }
}
