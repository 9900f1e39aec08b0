//! Event queues, interrupts, completion queues, keys, and who refers to whom.

use super::driver::{CompletionQueue, Driver, EventQueue, Failed};
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{CqContext, EqContext, MkeyContext};
use hal_mlx_prm::event::EventType;
use hal_mlx_prm::{Opcode, View};
use hal_sim::connectx::{ConnectXSettings, Syndrome};

fn driver() -> Driver {
    let mut d = Driver::new(ConnectXSettings::default());
    d.initialise();
    d
}

fn refused<T>(syndrome: Syndrome) -> Result<T, Failed> {
    Err(Failed::from(syndrome))
}

const COMMAND: u64 = 1 << EventType::Command as u64;
const PAGES: u64 = 1 << EventType::PageRequest as u64;

#[test]
fn a_command_is_told_by_an_event_once_somebody_waits_for_it() {
    let mut d = driver();
    let interrupts = d.function.interrupts(2).unwrap();
    let uar = d.uar();
    // The command that creates the queue is not told: its issuer still looks at the entry.
    let mut eq = EventQueue::create(&mut d, uar, 4, 1, COMMAND).unwrap();
    assert_eq!(eq.poll(), None);
    d.plain(Opcode::AllocPd, 0).unwrap();
    assert!(!interrupts[1].take(), "not armed");
    let (kind, _, data) = eq.poll().unwrap();
    assert_eq!(
        (kind, &data[..4]),
        (EventType::Command as u8, &[0, 0, 0, 1][..])
    );
    eq.arm(&d);
    d.settle();
    assert!(!interrupts[1].take(), "nothing new");
    d.post(7, &alloc_pd(), 16);
    d.ring(1 << 7);
    d.settle();
    assert!(interrupts[1].take() && !interrupts[0].take());
    assert_eq!(eq.poll().unwrap().2[..4], [0, 0, 0, 0x80]);
    // Armed too late: what has come fires at once.
    d.plain(Opcode::AllocPd, 0).unwrap();
    assert!(!interrupts[1].take());
    eq.arm(&d);
    d.settle();
    assert!(interrupts[1].take());
    // Nor is the command told that takes the queue away.
    assert!(eq.poll().is_some());
    eq.update(&d);
    eq.destroy(&mut d).unwrap();
    assert_eq!(d.nic.violations(), Vec::<String>::new());
}

fn alloc_pd() -> [u8; 16] {
    let mut input = [0; 16];
    input[..2].copy_from_slice(&(Opcode::AllocPd as u16).to_be_bytes());
    input
}

#[test]
fn events_go_round_the_ring_and_their_owner_changes() {
    let mut d = driver();
    let uar = d.uar();
    let mut eq = EventQueue::create(&mut d, uar, 2, 0, COMMAND).unwrap();
    for _ in 0..11 {
        assert_eq!(eq.poll(), None);
        d.plain(Opcode::AllocPd, 0).unwrap();
        assert!(eq.poll().is_some());
        eq.update(&d);
    }
    // Without room they are lost, and the loss is counted.
    for _ in 0..5 {
        d.plain(Opcode::AllocPd, 0).unwrap();
    }
    assert_eq!(d.nic.statistics().events_lost, 1);
}

#[test]
fn what_an_event_queue_must_be_is_checked() {
    let mut d = driver();
    let uar = d.uar();
    let create = |d: &mut Driver, change: &dyn Fn(&mut View<CreateEqIn, Vec<u8>>)| {
        let memory = d.function.dma("eq", 4096).unwrap();
        let mut input = View::with_tail(CreateEqIn::PAGES, 1);
        input
            .at_mut(CreateEqIn::CONTEXT)
            .set(EqContext::LOG_EQ_SIZE, 4)
            .set(EqContext::UAR_PAGE, uar);
        let mut page = input.item_mut(CreateEqIn::PAGES, 0).unwrap();
        page.set(PageAddress::PAGE, memory.iova().0 >> 12);
        change(&mut input);
        d.run(Opcode::CreateEq, 0, input).map(|_| ())
    };
    type Input = View<CreateEqIn, Vec<u8>>;
    let context = |field: fn(&mut View<EqContext, &mut [u8]>)| {
        move |input: &mut Input| field(&mut input.at_mut(CreateEqIn::CONTEXT))
    };
    let size = context(|c| _ = c.set(EqContext::LOG_EQ_SIZE, 25));
    assert_eq!(create(&mut d, &size), refused(Syndrome::EqSize));
    let pages = context(|c| _ = c.set(EqContext::LOG_EQ_SIZE, 7));
    assert_eq!(create(&mut d, &pages), refused(Syndrome::RingPages));
    let vector = context(|c| _ = c.set(EqContext::INTERRUPT, 64));
    assert_eq!(create(&mut d, &vector), refused(Syndrome::EqVector));
    let page = context(|c| _ = c.set(EqContext::UAR_PAGE, 77));
    assert_eq!(create(&mut d, &page), refused(Syndrome::NoSuchUar));
    let reserved = |input: &mut Input| input.octets_at(0x50, &[1]);
    assert_eq!(create(&mut d, &reserved), refused(Syndrome::ReservedBits));
    let takes = |input: &mut Input| _ = input.set(CreateEqIn::EVENT_BITMASK_0, PAGES);
    create(&mut d, &takes).unwrap();
    assert_eq!(create(&mut d, &takes), refused(Syndrome::EventTaken));
    create(&mut d, &|_| {}).unwrap();
}

trait Octets {
    fn octets_at(&mut self, at: usize, bytes: &[u8]);
}

impl Octets for View<CreateEqIn, Vec<u8>> {
    fn octets_at(&mut self, at: usize, bytes: &[u8]) {
        let mut memory =
            std::mem::replace(self, View::with_tail(CreateEqIn::PAGES, 0)).into_inner();
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        *self = View::new(memory).unwrap();
    }
}

#[test]
fn doorbells_in_foreign_pages_are_noted_and_do_nothing() {
    let mut d = driver();
    let (uar, other) = (d.uar(), d.uar());
    let mut eq = EventQueue::create(&mut d, uar, 4, 0, COMMAND).unwrap();
    let interrupts = d.function.interrupts(1).unwrap();
    d.plain(Opcode::AllocPd, 0).unwrap();
    let word = u32::from(eq.eqn) << 24;
    let page = |uar: u32| u64::from(uar) * 4096;
    d.bar.write_be32(page(other) + 0x40, word).unwrap();
    d.bar.write_be32(page(uar) + 0x40, 0xff << 24).unwrap();
    d.bar.write_be32(page(uar) + 0x40, word | 9).unwrap();
    let arm = u64::from(0x777u32);
    d.bar.write_be64(page(uar) + 0x20, arm).unwrap();
    d.settle();
    assert!(!interrupts[0].take());
    assert_eq!(d.nic.statistics().violations, 4, "{:?}", d.nic.violations());
    eq.arm(&d);
    d.settle();
    assert!(interrupts[0].take());
    assert!(eq.poll().is_some());
}

#[test]
fn an_interrupt_waits_for_somebody_to_take_it() {
    let mut d = driver();
    let uar = d.uar();
    let mut eq = EventQueue::create(&mut d, uar, 4, 2, COMMAND).unwrap();
    eq.arm(&d);
    d.plain(Opcode::AllocPd, 0).unwrap();
    // The pending bits are little-endian.
    assert_eq!(d.bar.read_be32(0x3000).unwrap(), 4 << 24);
    let interrupts = d.function.interrupts(3).unwrap();
    assert!(interrupts[2].take());
    assert_eq!(d.bar.read_be32(0x3000).unwrap(), 0);
    assert!(d.function.interrupts(65).is_err());
    assert!(eq.poll().is_some());
}

#[test]
fn what_is_referred_to_is_not_destroyed() {
    let mut d = driver();
    let uar = d.uar();
    let eq = EventQueue::create(&mut d, uar, 4, 0, 0).unwrap();
    let cq = CompletionQueue::create(&mut d, uar, eq.eqn, 4).unwrap();
    let dealloc = |d: &mut Driver| {
        let mut input = View::<DeallocUarIn, _>::zeroed();
        input.set(DeallocUarIn::UAR, uar);
        d.run(Opcode::DeallocUar, 0, input).map(|_| ())
    };
    assert_eq!(dealloc(&mut d), refused(Syndrome::UarInUse));
    assert_eq!(eq.destroy(&mut d), refused(Syndrome::EqInUse));
    cq.destroy(&mut d).unwrap();
    assert_eq!(cq.destroy(&mut d), refused(Syndrome::NoSuchCq));
    eq.destroy(&mut d).unwrap();
    dealloc(&mut d).unwrap();
    assert_eq!(dealloc(&mut d), refused(Syndrome::NoSuchUar));
    assert!(d.nic.census().is_empty());
}

#[test]
fn what_a_completion_queue_must_be_is_checked() {
    let mut d = driver();
    let uar = d.uar();
    let eq = EventQueue::create(&mut d, uar, 4, 0, 0).unwrap();
    let record = d.function.dma("record", 4096).unwrap();
    let memory = d.function.dma("cq", 4096).unwrap();
    let create = |d: &mut Driver, change: &dyn Fn(&mut View<CqContext, &mut [u8]>)| {
        let mut input = View::with_tail(CreateCqIn::PAGES, 1);
        let mut context = input.at_mut(CreateCqIn::CONTEXT);
        context
            .set(CqContext::LOG_CQ_SIZE, 6)
            .set(CqContext::UAR_PAGE, uar)
            .set(CqContext::EQN, eq.eqn.into())
            .set(CqContext::DOORBELL_RECORD, record.iova().0);
        change(&mut context);
        let mut page = input.item_mut(CreateCqIn::PAGES, 0).unwrap();
        page.set(PageAddress::PAGE, memory.iova().0 >> 12);
        d.run(Opcode::CreateCq, 0, input).map(|_| ())
    };
    let cases: [(fn(&mut View<CqContext, &mut [u8]>), Syndrome); 7] = [
        (|c| _ = c.set(CqContext::LOG_CQ_SIZE, 23), Syndrome::CqSize),
        (
            |c| _ = c.set(CqContext::LOG_CQ_SIZE, 7),
            Syndrome::RingPages,
        ),
        (|c| _ = c.set(CqContext::CQE_SIZE, 2), Syndrome::CqEntrySize),
        (|c| _ = c.set(CqContext::EQN, 0x77), Syndrome::NoSuchEq),
        (
            |c| _ = c.set(CqContext::CQE_COMPRESSION, true),
            Syndrome::CqCompression,
        ),
        (
            |c| _ = c.set(CqContext::DOORBELL_RECORD, 0x4444),
            Syndrome::CqRecord,
        ),
        (
            |c| _ = c.set(CqContext::DBR_UMEM_VALID, true),
            Syndrome::NoUserMemory,
        ),
    ];
    for (change, syndrome) in cases {
        assert_eq!(create(&mut d, &change), refused(syndrome));
    }
    create(&mut d, &|_| {}).unwrap();
}

#[test]
fn memory_keys_are_checked() {
    let mut d = driver();
    let pd = d.pd();
    type Context<'a> = View<MkeyContext, &'a mut [u8]>;
    let create = |d: &mut Driver, pages: usize, change: &dyn Fn(&mut Context<'_>)| {
        let mut input = View::with_tail(CreateMkeyIn::PAGES, pages);
        input.set(
            CreateMkeyIn::TRANSLATIONS_OCTWORD_ACTUAL_SIZE,
            pages.div_ceil(2) as u32,
        );
        let mut context = input.at_mut(CreateMkeyIn::CONTEXT);
        context
            .set(MkeyContext::PD, pd)
            .set(MkeyContext::QPN, 0xff_ffff)
            .set(MkeyContext::LOG_PAGE_SIZE, 12)
            .set(MkeyContext::LEN, 8192);
        change(&mut context);
        d.run(Opcode::CreateMkey, 0, input).map(|_| ())
    };
    let pages: fn(&mut Context<'_>) = |c| _ = c.set(MkeyContext::ACCESS_MODE_1_0, 1);
    create(&mut d, 2, &pages).unwrap();
    create(&mut d, 0, &|c| _ = c.set(MkeyContext::LENGTH64, true)).unwrap();
    assert_eq!(create(&mut d, 1, &pages), refused(Syndrome::MkeyPages));
    let mode = create(&mut d, 0, &|c| _ = c.set(MkeyContext::ACCESS_MODE_1_0, 3));
    assert_eq!(mode, refused(Syndrome::MkeyMode));
    let domain = create(&mut d, 0, &|c| _ = c.set(MkeyContext::PD, 99));
    assert_eq!(domain, refused(Syndrome::NoSuchPd));
    let size = create(&mut d, 2, &|c| {
        c.set(MkeyContext::ACCESS_MODE_1_0, 1)
            .set(MkeyContext::LOG_PAGE_SIZE, 11);
    });
    assert_eq!(size, refused(Syndrome::MkeyPageSize));
    let mut input = View::<DeallocPdIn, _>::zeroed();
    input.set(DeallocPdIn::PD, pd);
    let busy = d.run(Opcode::DeallocPd, 0, input);
    assert_eq!(busy, refused(Syndrome::PdInUse));
}

#[test]
fn more_objects_want_more_memory() {
    let settings = ConnectXSettings {
        objects: Some(8),
        ..ConnectXSettings::default()
    };
    let mut d = Driver::new(settings);
    d.initialise();
    let uar = d.uar();
    let mut eq = EventQueue::create(&mut d, uar, 4, 0, PAGES).unwrap();
    let mut pds: Vec<u32> = (0..6).map(|_| d.pd()).collect();
    // The ninth object waits for pages.
    assert_eq!(d.plain(Opcode::AllocPd, 0), Err(Failed::Pending));
    let (kind, _, data) = eq.poll().unwrap();
    assert_eq!(kind, EventType::PageRequest as u8);
    let wanted = i32::from_be_bytes(*data[4..].first_chunk().unwrap());
    assert_eq!(wanted, 16);
    // Its slot is taken; the answer comes in another.
    let memory = d.function.dma("pages", 16 * 4096).unwrap();
    let at = memory.iova().0;
    let pages: Vec<u64> = (0..16).map(|i| at + i * 4096).collect();
    d.give_in(31, &pages).unwrap();
    pds.push(d.outcome_pd(0));
    // And goes back when the objects have gone.
    pds.extend((0..300).map(|_| match d.plain(Opcode::AllocPd, 0) {
        Err(Failed::Pending) => {
            let (_, _, data) = eq.poll().unwrap();
            eq.update(&d);
            let wanted = u32::from_be_bytes(*data[4..].first_chunk().unwrap());
            let memory = d.function.dma("pages", wanted as usize * 4096).unwrap();
            let at = memory.iova().0;
            let pages: Vec<u64> = (0..wanted.into()).map(|i| at + i * 4096).collect();
            d.pages.push(memory);
            d.give_in(31, &pages).unwrap();
            d.outcome_pd(0)
        }
        other => {
            other.unwrap();
            d.outcome_pd(0)
        }
    }));
    let most = d.nic.pages();
    for pd in pds {
        let mut input = View::<DeallocPdIn, _>::zeroed();
        input.set(DeallocPdIn::PD, pd);
        d.run(Opcode::DeallocPd, 0, input).unwrap();
    }
    let (_, _, data) = eq.poll().unwrap();
    let surplus = i32::from_be_bytes(*data[4..].first_chunk().unwrap());
    assert!(surplus <= -32, "{surplus}");
    d.take_back(surplus.unsigned_abs() as usize);
    assert!(d.nic.pages() < most);
}

#[test]
fn without_memory_a_command_fails() {
    let settings = ConnectXSettings {
        objects: Some(2),
        ..ConnectXSettings::default()
    };
    let mut d = Driver::new(settings);
    d.initialise();
    let uar = d.uar();
    // Nobody takes requests for pages.
    let eq = EventQueue::create(&mut d, uar, 4, 0, 0).unwrap();
    let none = d.plain(Opcode::AllocPd, 0);
    assert_eq!(none, refused(Syndrome::NoPages));
    eq.destroy(&mut d).unwrap();
    // The host has none to give.
    let mut eq = EventQueue::create(&mut d, uar, 4, 0, PAGES).unwrap();
    assert_eq!(d.plain(Opcode::AllocPd, 0), Err(Failed::Pending));
    assert!(eq.poll().is_some());
    d.cannot_give(31).unwrap();
    assert_eq!(d.outcome(0), refused(Syndrome::NoPages));
    // And is asked again.
    assert_eq!(d.plain(Opcode::AllocPd, 0), Err(Failed::Pending));
    assert!(eq.poll().is_some());
}
