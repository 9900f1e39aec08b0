//! Event queues: what happened, in the host's memory, and the interrupts that say so.
//!
//! An event queue is *armed* by a doorbell, fires its interrupt at the next event, or at once if
//! there is one that the host has not taken, and is not armed any more.

use super::Kind;
use super::ring::Ring;
use crate::connectx::command::{Call, Outcome, kept};
use crate::connectx::core::{Bus, Core};
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::EqContext;
use hal_mlx_prm::event::{
    CommandEvent, CompletionEvent, CqErrorEvent, EventEntry, EventType, PageRequestEvent, PortEvent,
};
use hal_mlx_prm::{Described, View};

/// Entries at most, log 2.
const LOG_LARGEST: u8 = 20;

/// An event queue.
#[derive(Debug)]
pub(in crate::connectx) struct Eq {
    ring: Ring,
    context: Vec<u8>,
    uar: u32,
    vector: usize,
    /// A bit for each kind of event, of the first 64.
    events: u64,
    /// What the host has taken and what was written, 24 bits.
    taken: u32,
    written: u32,
    armed: bool,
}

const COUNTER: u32 = 0xff_ffff;

impl Core {
    /// CREATE_EQ.
    pub fn create_eq(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateEqIn::CONTEXT);
        let log_size = context.get(EqContext::LOG_EQ_SIZE);
        if log_size > LOG_LARGEST {
            return Err(Syndrome::EqSize);
        }
        let vector = context.get(EqContext::INTERRUPT);
        if vector >= self.model.vectors {
            return Err(Syndrome::EqVector);
        }
        let events = input.get(CreateEqIn::EVENT_BITMASK_0);
        if self.eqs.values().any(|eq| eq.events & events != 0) {
            return Err(Syndrome::EventTaken);
        }
        let pages = input.items(CreateEqIn::PAGES);
        let ring = Ring::new(
            pages.map(|p| p.get(PageAddress::PAGE) << 12).collect(),
            context.get(EqContext::LOG_PAGE_SIZE),
            context.get(EqContext::PAGE_OFFSET),
            6,
            log_size.into(),
        )?;
        let uar = context.get(EqContext::UAR_PAGE);
        let eqn = self.objects.create(Kind::Eq, vec![(Kind::Uar, uar)])?;
        let eq = Eq {
            ring,
            context: context.bytes()[..EqContext::SIZE].to_vec(),
            uar,
            vector: vector.into(),
            events,
            taken: 0,
            written: 0,
            armed: false,
        };
        self.eqs.insert(eqn, eq);
        // The numbers of the kind have eight bits.
        call.output()?.set(CreateEqOut::EQN, eqn as u8);
        Ok(())
    }

    /// DESTROY_EQ.
    pub fn destroy_eq(&mut self, call: &mut Call<'_>) -> Outcome {
        let eqn = call.input()?.get(DestroyEqIn::EQN).into();
        self.objects.destroy((Kind::Eq, eqn))?;
        self.eqs.remove(&eqn);
        Ok(())
    }

    /// QUERY_EQ.
    pub fn query_eq(&mut self, call: &mut Call<'_>) -> Outcome {
        let eqn = u32::from(call.input()?.get(QueryEqIn::EQN));
        let eq = self.eqs.get(&eqn).ok_or(Syndrome::NoSuchEq)?;
        let mut out = call.output::<QueryEqOut>()?;
        out.set(QueryEqOut::EVENT_BITMASK, eq.events);
        let context = out.at_mut(QueryEqOut::CONTEXT);
        kept(context, &eq.context)?
            // 9 = armed, 0xa = fired.
            .set(EqContext::STATE, if eq.armed { 9 } else { 0xa })
            .set(EqContext::CONSUMER_COUNTER, eq.taken)
            .set(EqContext::PRODUCER_COUNTER, eq.written);
        Ok(())
    }

    /// The host has taken events, and perhaps wants to hear of the next.
    pub fn events_taken(&mut self, page: u32, word: u32, arm: bool, bus: &Bus<'_>) {
        let (eqn, taken) = (word >> 24, word & COUNTER);
        let Some(eq) = self.eqs.get_mut(&eqn) else {
            self.violation(format!(
                "doorbell of event queue {eqn:#x}, which is not there"
            ));
            return;
        };
        if eq.uar != page {
            let uar = eq.uar;
            self.violation(format!(
                "doorbell of event queue {eqn:#x} in page {page:#x}, not {uar:#x}"
            ));
            return;
        }
        if eq.written.wrapping_sub(taken) & COUNTER > eq.ring.len() {
            self.violation(format!("event queue {eqn:#x}: {taken} events taken"));
            return;
        }
        eq.taken = taken;
        eq.armed |= arm;
        self.fire_eq(eqn, bus);
    }

    /// Writes an event to a queue.
    fn post(&mut self, eqn: u32, kind: EventType, subtype: u8, data: &[u8], bus: &Bus<'_>) {
        let Some(eq) = self.eqs.get_mut(&eqn) else {
            return;
        };
        if eq.written.wrapping_sub(eq.taken) & COUNTER >= eq.ring.len() {
            self.statistics.events_lost += 1;
            self.violation(format!("event queue {eqn:#x} is full"));
            return;
        }
        let mut entry = View::<EventEntry, _>::zeroed();
        entry
            .set(EventEntry::TYPE, kind as u8)
            .set(EventEntry::SUBTYPE, subtype)
            .set(EventEntry::OWNER, eq.ring.pass(eq.written) == 1);
        let place = entry.octets_mut(EventEntry::DATA);
        place[..data.len()].copy_from_slice(data);
        let written = eq.ring.publish(bus, eq.written, 0, entry.bytes());
        eq.written = eq.written.wrapping_add(1) & COUNTER;
        self.fire_eq(eqn, bus);
        self.trace(|trace| trace.event(kind, subtype, data));
        if let Err(at) = written {
            self.violation(format!("event queue {eqn:#x}: no memory at {:#x}", at.0));
        }
    }

    /// Raises the interrupt if somebody waits for it and there is something.
    fn fire_eq(&mut self, eqn: u32, bus: &Bus<'_>) {
        let Some(eq) = self.eqs.get_mut(&eqn) else {
            return;
        };
        if !eq.armed || eq.written == eq.taken {
            return;
        }
        eq.armed = false;
        let vector = eq.vector;
        if !self.drops_interrupt() {
            bus.raise(vector);
        }
    }

    /// Which queue takes a kind of event.
    fn taker(&self, kind: EventType) -> Option<u32> {
        let bit = 1u64.checked_shl(kind as u32)?;
        let mut takers = self.eqs.iter().filter(|(_, eq)| eq.events & bit != 0);
        takers.next().map(|(eqn, _)| *eqn)
    }

    /// Tells whoever takes such events; false if nobody does.
    fn announce<D: Described>(
        &mut self,
        kind: EventType,
        subtype: u8,
        data: &View<D, D::Bytes>,
        bus: &Bus<'_>,
    ) -> bool {
        let Some(eqn) = self.taker(kind) else {
            return false;
        };
        self.post(eqn, kind, subtype, data.bytes(), bus);
        true
    }

    /// Which queue takes commands' completions.
    pub fn command_events_taker(&self) -> Option<u32> {
        self.taker(EventType::Command)
    }

    /// Commands are through.
    pub fn command_event(&mut self, slots: u32, bus: &Bus<'_>) {
        let mut data = View::<CommandEvent, _>::zeroed();
        data.set(CommandEvent::VECTOR, slots);
        self.announce(EventType::Command, 0, &data, bus);
    }

    /// The device wants pages, or, with a negative number, has some too many.
    pub fn page_event(&mut self, pages: i32, bus: &Bus<'_>) -> bool {
        let mut data = View::<PageRequestEvent, _>::zeroed();
        data.set(PageRequestEvent::NUM_PAGES, pages as u32);
        self.announce(EventType::PageRequest, 0, &data, bus)
    }

    /// The port has come up or gone down.
    pub fn port_event(&mut self, change: u8, bus: &Bus<'_>) {
        let mut data = View::<PortEvent, _>::zeroed();
        data.set(PortEvent::PORT, 1);
        self.announce(EventType::PortChange, change, &data, bus);
    }

    /// Something has come into a completion queue.
    pub fn completion_event(&mut self, eqn: u32, cqn: u32, bus: &Bus<'_>) {
        let mut data = View::<CompletionEvent, _>::zeroed();
        data.set(CompletionEvent::CQN, cqn);
        self.post(eqn, EventType::Completion, 0, data.bytes(), bus);
    }

    /// A completion queue is broken.
    pub fn cq_error_event(&mut self, cqn: u32, syndrome: u8, bus: &Bus<'_>) {
        let mut data = View::<CqErrorEvent, _>::zeroed();
        data.set(CqErrorEvent::CQN, cqn)
            .set(CqErrorEvent::SYNDROME, syndrome);
        self.announce(EventType::CqError, 0, &data, bus);
    }
}
