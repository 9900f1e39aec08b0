//! Event queues: what the device has to say unasked.

use crate::error::MlxError;
use crate::function::{Function, FunctionId};
use crate::object::{Uar, list_pages};
use hal::pci::{Bar, DmaMemory};
use hal_mlx_prm::command::{CreateEqIn, CreateEqOut};
use hal_mlx_prm::context::EqContext;
use hal_mlx_prm::doorbell::{EqUpdate, UarPage};
use hal_mlx_prm::event::{
    CompletionEvent, EventEntry, EventType, PageRequestEvent, PortChange, PortEvent, QueueEvent,
};
use hal_mlx_prm::{Described, Opcode, View};
use std::sync::Arc;

/// Entries of a queue, log 2.
const LOG_SIZE: u8 = 8;
const SIZE: u32 = 1 << LOG_SIZE;

/// Something that the device has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A completion queue that was armed has a new entry.
    Completion(u32),
    /// A function wants pages, or gives some back (negative).
    PageRequest(FunctionId, i32),
    /// A port went up or down.
    Port {
        /// Which, from 1.
        port: u8,
        /// Whether it is up.
        up: bool,
    },
    /// A queue is broken.
    QueueError(u32),
    /// Something that nobody here waits for.
    Other(u8),
}

/// An event queue.
pub struct EventQueue {
    memory: Arc<DmaMemory>,
    registers: Bar,
    number: u8,
    consumer: u32,
    uar: Uar,
}

impl EventQueue {
    /// A queue for these types of events (a bit each), which raises an interrupt.
    ///
    /// # Errors
    /// No memory, or the command fails.
    pub fn open(
        function: &mut Function,
        uar: Uar,
        interrupt: u16,
        events: u64,
    ) -> Result<EventQueue, MlxError> {
        let len = SIZE as usize * EventEntry::SIZE;
        let memory = Arc::new(function.device().dma("event queue", len)?);
        // No entry is the device's first round's.
        let mut unused = View::<EventEntry, _>::zeroed();
        unused.set(EventEntry::OWNER, true);
        for i in 0..SIZE as usize {
            memory.write(i * EventEntry::SIZE, unused.bytes());
        }
        let pages = memory.len() / hal::pci::PAGE;
        let mut input = View::with_tail(CreateEqIn::PAGES, pages);
        input.set(CreateEqIn::EVENT_BITMASK_0, events);
        let mut context = input.at_mut(CreateEqIn::CONTEXT);
        context
            .set(EqContext::LOG_EQ_SIZE, LOG_SIZE)
            .set(EqContext::UAR_PAGE, uar.0)
            .set(EqContext::INTERRUPT, interrupt);
        list_pages::<CreateEqIn>(&mut input, CreateEqIn::PAGES, &memory);
        let queue = function.ask(Opcode::CreateEq, input)?;
        let queue = EventQueue {
            memory,
            registers: function.commands.registers().bar().clone(),
            number: queue.get(CreateEqOut::EQN),
            consumer: 0,
            uar,
        };
        queue.arm()?;
        Ok(queue)
    }

    /// Its number.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Its memory.
    pub fn memory(&self) -> Arc<DmaMemory> {
        self.memory.clone()
    }

    /// Takes the events that there are, and asks for an interrupt with the next.
    ///
    /// # Errors
    /// The device is gone.
    pub fn poll(&mut self, mut took: impl FnMut(Event)) -> Result<(), MlxError> {
        let before = self.consumer;
        while let Some(event) = self.next() {
            took(event);
            // A device that wrote for ever would keep us here.
            if self.consumer.wrapping_sub(before) >= SIZE {
                break;
            }
        }
        if self.consumer != before {
            self.arm()?;
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Event> {
        let at = (self.consumer % SIZE) as usize * EventEntry::SIZE;
        let round = self.consumer >> LOG_SIZE & 1 != 0;
        let last = self.memory.load_be32(at + EventEntry::SIZE - 4);
        if EventEntry::OWNER.of_words(last.into()) != round {
            return None;
        }
        let mut entry = [0; EventEntry::SIZE];
        self.memory.read(at, &mut entry);
        self.consumer = self.consumer.wrapping_add(1);
        let entry = View::<EventEntry, _>::new(entry)?;
        let data = entry.bytes().get(0x20..)?;
        let kind = entry.get(EventEntry::TYPE);
        Some(match EventType::of(kind) {
            Some(EventType::Completion) => {
                Event::Completion(data_of::<CompletionEvent>(data)?.get(CompletionEvent::CQN))
            }
            Some(EventType::PageRequest) => {
                let request = data_of::<PageRequestEvent>(data)?;
                let function = FunctionId(request.get(PageRequestEvent::FUNCTION_ID));
                Event::PageRequest(function, request.get(PageRequestEvent::NUM_PAGES) as i32)
            }
            Some(EventType::PortChange) => Event::Port {
                port: data_of::<PortEvent>(data)?.get(PortEvent::PORT),
                up: entry.get(EventEntry::SUBTYPE) == PortChange::Active as u8,
            },
            Some(
                EventType::WqCatastrophe | EventType::WqInvalidRequest | EventType::WqAccessError,
            ) => Event::QueueError(data_of::<QueueEvent>(data)?.get(QueueEvent::NUMBER)),
            _ => Event::Other(kind),
        })
    }

    fn arm(&self) -> Result<(), MlxError> {
        let mut update = View::<EqUpdate, _>::zeroed();
        update
            .set(EqUpdate::EQN, self.number)
            .set(EqUpdate::CONSUMER, self.consumer);
        let word = u32::from_be_bytes(update.into_inner());
        let at = self.uar.offset() + UarPage::EQ_ARM.place.offset as u64;
        Ok(self.registers.write_be32(at, word)?)
    }
}

fn data_of<L: Described>(data: &[u8]) -> Option<View<L, &[u8]>> {
    View::new(data)
}
