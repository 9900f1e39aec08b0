//! Frames between the host's memory and the wire.

use super::driver::{CompletionQueue, Failed};
use super::queues::{ENTRIES, Nic, Send, frames, mkey};
use hal_mlx_prm::completion::{
    CompletionEntry, CompletionOpcode, CompletionSyndrome, ErrorEntry, L4Type,
};
use hal_mlx_prm::event::EventType;
use hal_mlx_prm::{Opcode, View};
use hal_sim::connectx::{ConnectXSettings, Reason, Syndrome};

fn nic() -> Nic {
    Nic::new(ConnectXSettings::default())
}

type Completion = View<CompletionEntry, [u8; 64]>;

fn opcode(cqe: &Completion) -> u8 {
    cqe.get(CompletionEntry::OPCODE)
}

fn failure(queue: &mut CompletionQueue) -> (u8, u8, u8) {
    let cqe = queue.poll().expect("a completion");
    let cqe = View::<ErrorEntry, _>::new(cqe.into_inner()).unwrap();
    (
        cqe.get(ErrorEntry::OPCODE),
        cqe.get(ErrorEntry::SYNDROME),
        cqe.get(ErrorEntry::VENDOR_SYNDROME),
    )
}

#[test]
fn a_frame_leaves_by_the_wire_and_one_arrives() {
    let mut n = nic();
    n.receive_all();
    let out = frames::udp(1, 2, 53, b"question");
    n.send(&out, Send::default());
    assert_eq!(n.left(0), [out]);
    let cqe = n.scq.poll().unwrap();
    assert_eq!(opcode(&cqe), CompletionOpcode::Requester as u8);
    assert_eq!(cqe.get(CompletionEntry::WQE_COUNTER), 0);
    assert_eq!(cqe.get(CompletionEntry::FLOW_TAG), n.sq.number);

    n.refill(2);
    let back = frames::udp(2, 1, 53, b"answer");
    n.arrive(0, &back);
    let cqe = n.rcq.poll().unwrap();
    assert_eq!(opcode(&cqe), CompletionOpcode::Responder as u8);
    let len = cqe.get(CompletionEntry::BYTE_COUNT);
    assert_eq!(n.received(0, len), back);
    assert!(cqe.get(CompletionEntry::L3_OK) && cqe.get(CompletionEntry::L4_OK));
    assert_eq!(cqe.get(CompletionEntry::L4_TYPE), L4Type::Udp as u8);
    assert!(n.rcq.poll().is_none());
    assert_eq!(n.d.nic.violations(), Vec::<String>::new());
}

#[test]
fn headers_may_stand_in_the_entry() {
    let mut n = nic();
    for inline in [2, 14, 18, 34, 42] {
        let frame = frames::udp(1, 2, inline as u16, &[7; 100]);
        let how = Send {
            inline,
            ..Send::default()
        };
        n.send(&frame, how);
        assert_eq!(n.left(0), [frame]);
        assert!(n.scq.poll().is_some());
    }
}

#[test]
fn rings_go_round() {
    let mut n = nic();
    n.receive_all();
    for i in 0..3 * ENTRIES {
        let frame = frames::udp(1, 2, i, &[i as u8; 30]);
        n.send(&frame, Send::default());
        assert_eq!(n.left(0), std::slice::from_ref(&frame));
        let cqe = n.scq.poll().unwrap();
        assert_eq!(cqe.get(CompletionEntry::WQE_COUNTER), i);
        n.refill(1);
        n.arrive(0, &frame);
        let cqe = n.rcq.poll().unwrap();
        assert_eq!(cqe.get(CompletionEntry::WQE_COUNTER), i);
        assert_eq!(n.received(i, cqe.get(CompletionEntry::BYTE_COUNT)), frame);
    }
}

#[test]
fn checksums_are_the_devices_if_asked() {
    let mut n = nic();
    let good = frames::tcp(1, 2, 80, b"payload of odd size");
    let mut bad = good.clone();
    bad[24..26].fill(0xee);
    bad[50..52].fill(0xee);
    let how = Send {
        l3: true,
        l4: true,
        ..Send::default()
    };
    n.send(&bad, how);
    assert_eq!(n.left(0), [good]);
    n.send(&bad, Send::default());
    assert_eq!(n.left(0), [bad]);
}

#[test]
fn tags_are_put_on_and_taken_off() {
    let mut n = nic();
    n.receive_all();
    let plain = frames::udp(1, 2, 9, b"inside");
    let tagged = frames::tagged(&plain, 0x6064);
    let how = Send {
        vlan: Some(0x6064),
        ..Send::default()
    };
    n.send(&plain, how);
    assert_eq!(n.left(0), std::slice::from_ref(&tagged));
    n.refill(2);
    n.arrive(0, &tagged);
    let cqe = n.rcq.poll().unwrap();
    assert!(cqe.get(CompletionEntry::VLAN_STRIPPED));
    assert_eq!(cqe.get(CompletionEntry::VLAN_TCI), 0x6064);
    assert_eq!(n.received(0, cqe.get(CompletionEntry::BYTE_COUNT)), plain);
    // The sum is the IP packet's, tag or not.
    let sum = packet::checksum::fold(packet::checksum::sum(&plain[14..]));
    assert_eq!(cqe.get(CompletionEntry::CHECKSUM), sum);
}

#[test]
fn padding_is_not_summed_up_and_bad_checksums_are_told() {
    let mut n = nic();
    n.receive_all();
    n.refill(3);
    let frame = frames::udp(1, 2, 9, b"x");
    let sum = packet::checksum::fold(packet::checksum::sum(&frame[14..]));
    let padded = [&frame[..], &[0xaa; 20]].concat();
    n.arrive(0, &padded);
    let cqe = n.rcq.poll().unwrap();
    assert_eq!(cqe.get(CompletionEntry::CHECKSUM), sum);
    assert_eq!(cqe.get(CompletionEntry::BYTE_COUNT) as usize, padded.len());
    assert!(cqe.get(CompletionEntry::L4_OK));
    let mut wrong = frame.clone();
    wrong[42] ^= 1;
    n.arrive(0, &wrong);
    let cqe = n.rcq.poll().unwrap();
    assert!(cqe.get(CompletionEntry::L3_OK) && !cqe.get(CompletionEntry::L4_OK));
    let mut wrong = frame;
    wrong[22] ^= 1;
    n.arrive(0, &wrong);
    let cqe = n.rcq.poll().unwrap();
    assert!(!cqe.get(CompletionEntry::L3_OK));
}

#[test]
fn a_large_send_is_cut() {
    let mut n = nic();
    let frame = frames::tcp(1, 2, 80, &[9; 1500]);
    let how = Send {
        inline: 54,
        mss: 600,
        ..Send::default()
    };
    n.send(&frame, how);
    let lengths: Vec<usize> = n.left(0).iter().map(Vec::len).collect();
    assert_eq!(lengths, [654, 654, 354]);
    assert!(n.scq.poll().is_some() && n.scq.poll().is_none());
}

#[test]
fn without_a_buffer_a_frame_is_dropped_and_counted() {
    let mut n = nic();
    n.receive_all();
    n.arrive(0, &frames::udp(2, 1, 5, b"lost"));
    assert!(n.rcq.poll().is_none());
    assert_eq!(n.d.nic.statistics().receive_drops, 1);
    n.refill(1);
    n.arrive(0, &frames::udp(2, 1, 5, b"kept"));
    assert!(n.rcq.poll().is_some());
}

#[test]
fn completions_raise_an_event_once_armed() {
    let mut n = nic();
    n.receive_all();
    n.refill(8);
    let frame = frames::udp(2, 1, 5, b"wake");
    n.rcq.arm(&n.d);
    n.d.settle();
    assert!(n.eq.poll().is_none());
    n.arrive(0, &frame);
    n.arrive(0, &frame);
    let (kind, _, data) = n.eq.poll().unwrap();
    assert_eq!(kind, EventType::Completion as u8);
    assert_eq!(data[0x18..], n.rcq.cqn.to_be_bytes());
    assert!(n.eq.poll().is_none(), "one event for one arm");
    n.rcq.events += 1;
    // The race: armed with what was read, but something has come since.
    assert!(n.rcq.poll().is_some());
    n.rcq.arm(&n.d);
    n.d.settle();
    assert!(n.eq.poll().is_some());
    // An arm from before the host saw that event does not count.
    assert!(n.rcq.poll().is_some());
    n.rcq.arm(&n.d);
    n.arrive(0, &frame);
    assert!(n.eq.poll().is_none());
    n.rcq.events += 1;
    n.rcq.arm(&n.d);
    n.d.settle();
    assert!(n.eq.poll().is_some());
}

#[test]
fn nothing_but_an_entry_completes() {
    let mut n = nic();
    // A NOP starts a driver's polling.
    let mut entry = [0; 64];
    entry[4..8].copy_from_slice(&(n.sq.number << 8 | 1).to_be_bytes());
    entry[11] = 8;
    n.post(&entry);
    assert_eq!(opcode(&n.scq.poll().unwrap()), 0);
    assert!(n.left(0).is_empty());
}

#[test]
fn bad_entries_stop_the_queue_and_say_why() {
    let check = |change: &dyn Fn(&mut Nic, &mut [u8]), syndrome, reason| {
        let mut n = nic();
        let frame = frames::udp(1, 2, 9, b"never sent");
        let mut entry = [0; 64];
        entry[3] = 0x0a;
        entry[4..8].copy_from_slice(&(n.sq.number << 8 | 3).to_be_bytes());
        n.sq.buffers.write(0, &frame);
        entry[32..36].copy_from_slice(&(frame.len() as u32).to_be_bytes());
        entry[36..40].copy_from_slice(&n.key.to_be_bytes());
        entry[40..48].copy_from_slice(&n.sq.buffers.iova().0.to_be_bytes());
        change(&mut n, &mut entry);
        let posted = n.sq.number;
        let mut bell = entry;
        bell[4..8].copy_from_slice(&(posted << 8 | 3).to_be_bytes());
        n.sq.memory.write(0, &entry);
        n.sq.posted = 2;
        n.sq.record.store_be32(4, 2);
        let at = u64::from(n.uar) * 4096 + 0x800;
        let bell = u64::from_be_bytes(*bell.first_chunk().unwrap());
        n.d.bar.write_be64(at, bell).unwrap();
        n.d.settle();
        let error = CompletionOpcode::RequesterError as u8;
        let (syndrome, reason): (CompletionSyndrome, Reason) = (syndrome, reason);
        let first = failure(&mut n.scq);
        assert_eq!(first, (error, syndrome as u8, reason as u8));
        // What was posted behind it is flushed.
        let second = failure(&mut n.scq);
        let flushed = CompletionSyndrome::Flushed as u8;
        assert_eq!(second, (error, flushed, Reason::Flushed as u8));
        assert!(n.left(0).is_empty());
        // And a reset makes it new.
        assert_eq!(n.move_sq(1, 0), Err(Failed::from(Syndrome::NotInThatState)));
        n.move_sq(3, 0).unwrap();
        n.move_sq(0, 1).unwrap();
        n.sq.posted = 0;
        n.send(&frames::udp(1, 2, 9, b"again"), Send::default());
        assert_eq!(n.left(0).len(), 1);
    };
    use CompletionSyndrome::{LocalProtection, LocalQueueOperation};
    let put = |at: usize, value: u8| move |_: &mut Nic, e: &mut [u8]| e[at] = value;
    check(&put(2, 7), LocalQueueOperation, Reason::Index);
    check(&put(6, 0xee), LocalQueueOperation, Reason::Queue);
    check(&put(7, 0), LocalQueueOperation, Reason::Length);
    check(&put(7, 0x3f), LocalQueueOperation, Reason::Length);
    check(&put(3, 0x29), LocalQueueOperation, Reason::Operation);
    check(&put(3, 0x0e), LocalQueueOperation, Reason::Cut);
    check(&put(35, 5), LocalQueueOperation, Reason::Frame);
    check(&put(39, 1), LocalProtection, Reason::Key);
    check(&put(40, 0x7f), LocalProtection, Reason::Unreachable);
    let domain = |n: &mut Nic, e: &mut [u8]| {
        let pd = n.d.pd();
        let key = mkey(&mut n.d, pd, true);
        e[36..40].copy_from_slice(&key.to_be_bytes());
    };
    check(&domain, LocalProtection, Reason::Domain);
}

#[test]
fn a_buffer_that_is_too_short_stops_the_queue() {
    let mut n = nic();
    n.receive_all();
    n.refill(2);
    // The first buffer has 10 bytes.
    n.rq.memory.write(0, &10u32.to_be_bytes());
    n.arrive(0, &frames::udp(2, 1, 5, b"too long"));
    let error = CompletionOpcode::ResponderError as u8;
    let length = CompletionSyndrome::LocalLength as u8;
    let first = failure(&mut n.rcq);
    assert_eq!(first, (error, length, Reason::Buffer as u8));
    let flushed = CompletionSyndrome::Flushed as u8;
    let second = failure(&mut n.rcq);
    assert_eq!(second, (error, flushed, Reason::Flushed as u8));
    n.move_rq(3, 0).unwrap();
    n.move_rq(0, 1).unwrap();
    n.rq.posted = 0;
    n.refill(1);
    n.arrive(0, &frames::udp(2, 1, 5, b"again"));
    assert!(n.rcq.poll().is_some());
}

#[test]
fn a_key_without_write_is_no_buffer() {
    let mut n = nic();
    n.receive_all();
    let key = mkey(&mut n.d, n.pd, false);
    n.refill(1);
    n.rq.memory.write(4, &key.to_be_bytes());
    n.arrive(0, &frames::udp(2, 1, 5, b"kept out"));
    let protection = CompletionSyndrome::LocalProtection as u8;
    assert_eq!(failure(&mut n.rcq).1, protection);
}

#[test]
fn a_full_completion_queue_breaks() {
    let mut n = nic();
    n.receive_all();
    for i in 0..130 {
        if i % 32 == 0 {
            n.refill(32);
        }
        n.arrive(0, &frames::udp(2, 1, 5, b"flood"));
    }
    let violations = n.d.nic.violations();
    assert!(
        violations.iter().any(|v| v.contains("is overrun")),
        "{violations:?}"
    );
}

#[test]
fn the_port_comes_up_and_goes_down() {
    let mut n = nic();
    let ports = 1 << EventType::PortChange as u64;
    let (uar, d) = (n.uar, &mut n.d);
    let mut eq = super::driver::EventQueue::create(d, uar, 4, 1, ports).unwrap();
    let state = |n: &mut Nic| n.d.plain(Opcode::QueryVportState, 0).unwrap()[15] & 0xf;
    assert_eq!(state(&mut n), 1);
    n.d.nic.disconnect("pf0").unwrap();
    n.d.settle();
    assert_eq!(
        eq.poll().map(|(kind, change, _)| (kind, change)),
        Some((9, 1))
    );
    assert_eq!(state(&mut n), 0);
    n.d.nic.connect("pf0", "memory:another").unwrap();
    n.d.settle();
    let (kind, change, data) = eq.poll().unwrap();
    assert_eq!((kind, change, data[8] >> 4), (9, 4, 1));
    assert!(n.d.nic.connect("vf4", "memory:x").is_err());
    assert!(n.d.nic.connect("pf0", "string:x").is_err());
}

#[test]
fn what_was_created_can_be_asked_for() {
    use hal_mlx_prm::command::*;
    use hal_mlx_prm::context::*;
    let mut n = nic();
    n.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    let ask = |n: &mut Nic, opcode: Opcode, number: u32| {
        let mut input = vec![0; opcode.input().size];
        input[..2].copy_from_slice(&(opcode as u16).to_be_bytes());
        input[8..12].copy_from_slice(&number.to_be_bytes());
        n.d.raw(&input, opcode.output().size)
    };
    let eqn = n.eq.eqn.into();
    let out = View::<QueryEqOut, _>::new(ask(&mut n, Opcode::QueryEq, eqn).unwrap()).unwrap();
    assert_eq!(out.at(QueryEqOut::CONTEXT).get(EqContext::LOG_EQ_SIZE), 6);
    let cqn = n.scq.cqn;
    let out = View::<QueryCqOut, _>::new(ask(&mut n, Opcode::QueryCq, cqn).unwrap()).unwrap();
    let context = out.at(QueryCqOut::CONTEXT);
    assert_eq!(context.get(CqContext::PRODUCER_COUNTER), 1);
    assert_eq!(context.get(CqContext::EQN), eqn);
    let sqn = n.sq.number;
    let out = View::<QuerySqOut, _>::new(ask(&mut n, Opcode::QuerySq, sqn).unwrap()).unwrap();
    let context = out.at(QuerySqOut::CONTEXT);
    assert_eq!(context.get(SqContext::STATE), QueueState::Ready as u8);
    let wq = context.at(SqContext::WQ);
    assert_eq!(wq.get(WorkQueue::HW_COUNTER), 1);
    let rqn = n.rq.number;
    let out = View::<QueryRqOut, _>::new(ask(&mut n, Opcode::QueryRq, rqn).unwrap()).unwrap();
    assert_eq!(out.at(QueryRqOut::CONTEXT).get(RqContext::CQN), n.rcq.cqn);
    let tir = n.tir;
    let out = View::<QueryTirOut, _>::new(ask(&mut n, Opcode::QueryTir, tir).unwrap()).unwrap();
    assert_eq!(
        out.at(QueryTirOut::CONTEXT).get(TirContext::INLINE_RQN),
        rqn
    );
    let tis = n.tis;
    let out = View::<QueryTisOut, _>::new(ask(&mut n, Opcode::QueryTis, tis).unwrap()).unwrap();
    let td = out
        .at(QueryTisOut::CONTEXT)
        .get(TisContext::TRANSPORT_DOMAIN);
    assert_eq!(td, n.td);
    let index = n.key >> 8;
    let out = View::<QueryMkeyOut, _>::new(ask(&mut n, Opcode::QueryMkey, index).unwrap()).unwrap();
    assert!(out.at(QueryMkeyOut::CONTEXT).get(MkeyContext::LENGTH64));
    let out = ask(&mut n, Opcode::QuerySpecialContexts, 0).unwrap();
    let out = View::<QuerySpecialContextsOut, _>::new(out).unwrap();
    let end = out.get(QuerySpecialContextsOut::TERMINATE_SCATTER_LIST_MKEY);
    assert_eq!(end, 0x100);
    for (opcode, syndrome) in [
        (Opcode::QueryEq, Syndrome::NoSuchEq),
        (Opcode::QueryCq, Syndrome::NoSuchCq),
        (Opcode::QuerySq, Syndrome::NoSuchSq),
        (Opcode::QueryRq, Syndrome::NoSuchRq),
        (Opcode::QueryTir, Syndrome::NoSuchTir),
        (Opcode::QueryTis, Syndrome::NoSuchTis),
        (Opcode::QueryRqt, Syndrome::NoSuchRqt),
        (Opcode::QueryMkey, Syndrome::NoSuchMkey),
    ] {
        let absent = ask(&mut n, opcode, 0xee);
        assert_eq!(absent, Err(Failed::from(syndrome)), "{opcode:?}");
    }
}

#[test]
fn queues_are_checked() {
    use hal_mlx_prm::command::*;
    use hal_mlx_prm::context::*;
    let mut n = nic();
    let create = |n: &mut Nic, change: &dyn Fn(&mut View<SqContext, &mut [u8]>)| {
        let mut input = View::with_tail(CreateSqIn::PAGES, 1);
        let mut page = input.item_mut(CreateSqIn::PAGES, 0).unwrap();
        page.set(PageAddress::PAGE, n.sq.memory.iova().0 >> 12);
        let mut context = input.at_mut(CreateSqIn::CONTEXT);
        context
            .set(SqContext::CQN, n.scq.cqn)
            .set(SqContext::TIS_LIST_SIZE, 1)
            .set(SqContext::TIS_NUM_0, n.tis);
        context
            .at_mut(SqContext::WQ)
            .set(WorkQueue::WQ_TYPE, 1)
            .set(WorkQueue::UAR_PAGE, n.uar)
            .set(WorkQueue::DOORBELL_RECORD, n.sq.record.iova().0)
            .set(WorkQueue::LOG_WQ_STRIDE, 6)
            .set(WorkQueue::LOG_WQ_SIZE, 6);
        change(&mut context);
        n.d.run(Opcode::CreateSq, 0, input).map(|_| ())
    };
    create(&mut n, &|_| {}).unwrap();
    type Change = fn(&mut View<SqContext, &mut [u8]>);
    let cases: [(Change, Syndrome); 12] = [
        (|c| _ = c.set(SqContext::STATE, 1), Syndrome::QueueState),
        (|c| _ = c.set(SqContext::HAIRPIN, true), Syndrome::NoHairpin),
        (|c| _ = c.set(SqContext::CQN, 1), Syndrome::NoSuchCq),
        (|c| _ = c.set(SqContext::TIS_NUM_0, 77), Syndrome::NoSuchTis),
        (
            |c| _ = c.set(SqContext::TIS_LIST_SIZE, 2),
            Syndrome::TisList,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::WQ_TYPE, 2),
            Syndrome::WorkQueueType,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::WQ_SIGNATURE, true),
            Syndrome::WorkQueueSignature,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::LOG_WQ_SIZE, 16),
            Syndrome::WorkQueueSize,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::LOG_WQ_STRIDE, 5),
            Syndrome::WorkQueueStride,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::DOORBELL_RECORD, 8),
            Syndrome::WorkQueueRecord,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::UAR_PAGE, 5),
            Syndrome::NoSuchUar,
        ),
        (
            |c| _ = c.at_mut(SqContext::WQ).set(WorkQueue::PD, 77),
            Syndrome::NoSuchPd,
        ),
    ];
    for (i, (change, syndrome)) in cases.into_iter().enumerate() {
        let made = create(&mut n, &change);
        assert_eq!(made, Err(Failed::from(syndrome)), "case {i}");
    }
    let moved = n.move_sq(0, 1);
    assert_eq!(moved, Err(Failed::from(Syndrome::NotInThatState)));
    n.move_sq(1, 3).unwrap();
    assert_eq!(n.move_sq(3, 1), Err(Failed::from(Syndrome::QueueMove)));
}
