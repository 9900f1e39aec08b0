//! Flow tables of the function: what is matched, what is done, and what is refused.

use super::driver::Failed;
use super::queues::{Does, Nic, Parameters, Send, Table, create, entry_input, frames};
use hal_mlx_prm::command::*;
use hal_mlx_prm::completion::CompletionEntry;
use hal_mlx_prm::context::*;
use hal_mlx_prm::{Opcode, View};
use hal_sim::connectx::{ConnectXSettings, Syndrome};

fn nic() -> Nic {
    Nic::new(ConnectXSettings::default())
}

fn refused<T>(syndrome: Syndrome) -> Result<T, Failed> {
    Err(Failed::from(syndrome))
}

/// Criteria or values of the outer headers.
pub fn outer(set: impl Fn(&mut View<MatchHeaders, &mut [u8]>)) -> Parameters {
    let mut all = Parameters::zeroed();
    set(&mut all.at_mut(MatchParameters::OUTER_HEADERS));
    all
}

fn udp_port(mask: u16) -> Parameters {
    outer(|h| _ = h.set(MatchHeaders::UDP_DPORT, mask))
}

const OUTER: u8 = criteria::OUTER_HEADERS;

#[test]
fn frames_go_where_entries_say() {
    let mut n = nic();
    let table = n.table(TableType::NicReceive, None, 0);
    n.root(table);
    let group = n.group(table, (0, 99), OUTER, &udp_port(0xffff)).unwrap();
    let tagged = Does {
        flow_tag: 0x1234,
        ..Does::forward(DestinationType::Tir, n.tir)
    };
    n.entry(table, group, 7, &udp_port(53), &tagged).unwrap();
    let drop = Does {
        action: action::DROP,
        ..Does::default()
    };
    n.entry(table, group, 8, &udp_port(54), &drop).unwrap();
    n.refill(8);
    n.arrive(0, &frames::udp(2, 1, 53, b"x"));
    let cqe = n.rcq.poll().unwrap();
    assert_eq!(cqe.get(CompletionEntry::FLOW_TAG), 0x1234);
    n.arrive(0, &frames::udp(2, 1, 54, b"x"));
    n.arrive(0, &frames::tcp(2, 1, 53, b"x"));
    assert!(n.rcq.poll().is_none());
    // What no entry takes goes nowhere, unless there is an entry for all.
    assert_eq!(n.d.nic.statistics().steering_drops, 1);
    let all = Does::forward(DestinationType::Tir, n.tir);
    n.catch_all(table, &all).unwrap();
    n.arrive(0, &frames::tcp(2, 1, 53, b"x"));
    assert!(n.rcq.poll().is_some());
    // Without the entry the frame goes to the one for all.
    n.delete(table, 8).unwrap();
    n.arrive(0, &frames::udp(2, 1, 54, b"x"));
    assert!(n.rcq.poll().is_some());
}

#[test]
fn the_lowest_row_wins() {
    let mut n = nic();
    let table = n.table(TableType::NicReceive, None, 0);
    n.root(table);
    let drop = Does {
        action: action::DROP,
        ..Does::default()
    };
    let take = Does::forward(DestinationType::Tir, n.tir);
    // The group of the higher rows comes first.
    let any = Parameters::zeroed();
    let last = n.group(table, (100, 199), 0, &any).unwrap();
    n.entry(table, last, 150, &any, &drop).unwrap();
    let first = n.group(table, (0, 99), OUTER, &udp_port(0xffff)).unwrap();
    n.entry(table, first, 50, &udp_port(53), &take).unwrap();
    n.entry(table, first, 40, &udp_port(54), &drop).unwrap();
    n.entry(table, first, 60, &udp_port(54), &take).unwrap();
    n.refill(4);
    n.arrive(0, &frames::udp(2, 1, 53, b"x"));
    assert!(n.rcq.poll().is_some());
    n.arrive(0, &frames::udp(2, 1, 54, b"x"));
    assert!(n.rcq.poll().is_none());
    n.delete(table, 40).unwrap();
    n.arrive(0, &frames::udp(2, 1, 54, b"x"));
    assert!(n.rcq.poll().is_some());
}

#[test]
fn misses_go_on_to_the_next_table() {
    let mut n = nic();
    let first = n.table(TableType::Fdb, None, 0);
    let second = n.table(TableType::Fdb, None, 1);
    n.root(first);
    let take = Does::forward(DestinationType::Vport, 1);
    n.catch_all(second, &take).unwrap();
    n.arrive(0, &frames::udp(2, 1, 53, b"x"));
    assert!(n.left(1).is_empty());
    miss_to(&mut n, first, second.id).unwrap();
    n.arrive(0, &frames::udp(2, 1, 53, b"x"));
    assert_eq!(n.left(1).len(), 1);
    assert_eq!(
        miss_to(&mut n, second, first.id),
        refused(Syndrome::MissLevel)
    );
    assert_eq!(
        miss_to(&mut n, second, second.id),
        refused(Syndrome::MissLevel)
    );
    // The table that misses go to stays.
    let mut input = View::<DestroyFlowTableIn, _>::zeroed();
    input
        .set(DestroyFlowTableIn::TABLE_TYPE, TableType::Fdb as u8)
        .set(DestroyFlowTableIn::TABLE_ID, second.id);
    let busy = n.d.run(Opcode::DestroyFlowTable, 0, input);
    assert_eq!(busy, refused(Syndrome::TableNotEmpty));
    // Access tables of this kind of NIC have but the usual way.
    let acl = n.table(TableType::IngressAcl, Some(1), 0);
    let modified = miss_to(&mut n, acl, second.id);
    assert_eq!(modified, refused(Syndrome::TableModification));
}

fn miss_to(n: &mut Nic, table: Table, next: u32) -> Result<(), Failed> {
    let mut input = View::<ModifyFlowTableIn, _>::zeroed();
    input
        .set(ModifyFlowTableIn::TABLE_TYPE, table.kind as u8)
        .set(ModifyFlowTableIn::OTHER_VPORT, table.vport.is_some())
        .set(ModifyFlowTableIn::VPORT_NUMBER, table.vport.unwrap_or(0))
        .set(ModifyFlowTableIn::TABLE_ID, table.id)
        .set(ModifyFlowTableIn::MODIFY_FIELD_SELECT, 1)
        .at_mut(ModifyFlowTableIn::CONTEXT)
        .set(FlowTableContext::TABLE_MISS_ACTION, 1)
        .set(FlowTableContext::TABLE_MISS_ID, next);
    n.d.run(Opcode::ModifyFlowTable, 0, input).map(|_| ())
}

#[test]
fn everything_that_can_be_matched_is_matched() {
    use MatchHeaders as H;
    let mut n = nic();
    n.refill(60);
    let udp = frames::udp(2, 1, 53, b"x");
    let tcp = frames::tcp(2, 1, 80, b"x");
    let vlan = frames::tagged(&udp, 0x6064);
    type Set = fn(&mut View<MatchHeaders, &mut [u8]>, bool);
    // With `true` the values of the first frame, with `false` other ones; masks of all ones.
    let cases: Vec<(&[u8], Set)> = vec![
        (&udp, |h, y| {
            _ = h.set(H::SMAC, if y { 0x0200_0000_0002 } else { 5 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::DMAC, if y { 0x0200_0000_0001 } else { 5 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::ETHERTYPE, if y { 0x0800 } else { 0x86dd });
        }),
        (&vlan, |h, y| {
            _ = h.set(H::ETHERTYPE, if y { 0x0800 } else { 0x8100 });
        }),
        (&vlan, |h, y| {
            _ = h.set(H::FIRST_VID, if y { 0x64 } else { 0x65 });
        }),
        (&vlan, |h, y| {
            _ = h.set(H::FIRST_PRIO, if y { 3 } else { 2 });
        }),
        (&vlan, |h, y| _ = h.set(H::CVLAN_TAG, y)),
        (&udp, |h, y| _ = h.set(H::CVLAN_TAG, !y)),
        (&udp, |h, y| {
            _ = h.set(H::IP_VERSION, if y { 4 } else { 6 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::IP_PROTOCOL, if y { 17 } else { 6 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::TTL_HOPLIMIT, if y { 64 } else { 63 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::SRC_IP, if y { 0x0a00_0002 } else { 1 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::DST_IP, if y { 0x0a00_0001 } else { 1 });
        }),
        (&udp, |h, y| {
            _ = h.set(H::UDP_SPORT, if y { 12345 } else { 1 });
        }),
        (&udp, |h, y| _ = h.set(H::UDP_DPORT, if y { 53 } else { 1 })),
        (&tcp, |h, y| {
            _ = h.set(H::TCP_SPORT, if y { 12345 } else { 1 });
        }),
        (&tcp, |h, y| _ = h.set(H::TCP_DPORT, if y { 80 } else { 1 })),
        (&tcp, |h, y| {
            _ = h.set(H::TCP_FLAGS, if y { 0x18 } else { 2 });
        }),
        (&tcp, |h, y| _ = h.set(H::UDP_DPORT, if y { 0 } else { 80 })),
        (&udp, |h, y| _ = h.set(H::FRAG, !y)),
    ];
    for (i, (frame, set)) in cases.iter().enumerate() {
        let table = n.table(TableType::NicReceive, None, 0);
        n.root(table);
        let (yes, no) = (outer(|h| set(h, true)), outer(|h| set(h, false)));
        // The mask: all bits of the field that differ, which tell the two apart.
        let bits = yes.bytes().iter().zip(no.bytes()).map(|(a, b)| a | b);
        let mask = Parameters::new(bits.collect::<Vec<_>>().try_into().unwrap()).unwrap();
        let group = n.group(table, (0, 9), OUTER, &mask).unwrap();
        let take = Does::forward(DestinationType::Tir, n.tir);
        n.entry(table, group, 0, &no, &take).unwrap();
        n.arrive(0, frame);
        assert!(n.rcq.poll().is_none(), "case {i}: the other value");
        n.entry(table, group, 1, &yes, &take).unwrap();
        n.arrive(0, frame);
        assert!(n.rcq.poll().is_some(), "case {i}");
    }
}

#[test]
fn tables_and_groups_are_checked() {
    let mut n = nic();
    let rx = TableType::NicReceive;
    assert_eq!(
        n.try_table(TableType::PortSelection, None, 0, 4).err(),
        Some(Failed::from(Syndrome::UnknownTableType))
    );
    let level = n.try_table(rx, None, 255, 4).err();
    let size = n.try_table(rx, None, 0, 40).err();
    let vport = n.try_table(TableType::IngressAcl, Some(99), 0, 4).err();
    assert!(level.is_none() || level == Some(Failed::from(Syndrome::TableLevel)));
    assert_eq!(size, Some(Failed::from(Syndrome::TableSize)));
    assert_eq!(vport, Some(Failed::from(Syndrome::NoSuchVport)));
    let table = n.table(rx, None, 3);
    let port = udp_port(0xffff);
    n.group(table, (10, 19), OUTER, &port).unwrap();
    let cases = [
        ((0, 256), OUTER, &port, Syndrome::GroupRange),
        ((9, 8), OUTER, &port, Syndrome::GroupRange),
        ((0, 10), OUTER, &port, Syndrome::GroupOverlap),
        ((19, 30), OUTER, &port, Syndrome::GroupOverlap),
        ((0, 9), 0, &port, Syndrome::CriteriaNotEnabled),
        (
            (0, 9),
            OUTER,
            &outer(|h| _ = h.set(MatchHeaders::L3_OK, true)),
            Syndrome::CriteriaUnknown,
        ),
    ];
    for (rows, enable, criteria, syndrome) in cases {
        let group = n.group(table, rows, enable, criteria);
        assert_eq!(group, refused(syndrome), "{rows:?}");
    }
    let other = Table {
        kind: TableType::Fdb,
        ..table
    };
    assert_eq!(
        n.group(other, (0, 9), OUTER, &port),
        refused(Syndrome::OtherTableType)
    );
    let other = Table {
        id: table.id + 77,
        ..table
    };
    assert_eq!(
        n.group(other, (0, 9), OUTER, &port),
        refused(Syndrome::NoSuchTable)
    );
}

#[test]
fn entries_are_checked() {
    let mut n = nic();
    let table = n.table(TableType::NicReceive, None, 3);
    let deeper = n.table(TableType::NicReceive, None, 4);
    let fdb = n.table(TableType::Fdb, None, 9);
    let group = n.group(table, (10, 19), OUTER, &udp_port(0xff)).unwrap();
    let other = n.group(table, (20, 29), OUTER, &udp_port(0xff)).unwrap();
    let to = |kind, id| Does::forward(kind, id);
    let take = to(DestinationType::Tir, n.tir);
    let does = |change: &dyn Fn(&mut Does)| {
        let mut does = take.clone();
        change(&mut does);
        does
    };
    let port = udp_port(53);
    let rows = [
        (9, group, &port, Syndrome::RowOutside),
        (30, group, &port, Syndrome::RowOutside),
        (20, group, &port, Syndrome::OtherGroup),
        (10, other, &port, Syndrome::OtherGroup),
        (10, group, &udp_port(0x135), Syndrome::ValueBeyondCriteria),
    ];
    for (row, group, value, syndrome) in rows {
        let entry = n.entry(table, group, row, value, &take);
        assert_eq!(entry, refused(syndrome), "{row}");
    }
    let counter = n.counter();
    let cases = [
        (does(&|d| d.action |= 0x8000), Syndrome::UnknownAction),
        (does(&|d| d.action |= action::DROP), Syndrome::ActionEnds),
        (does(&|d| d.action = 0), Syndrome::ActionEnds),
        (does(&|d| d.goals.clear()), Syndrome::ForwardWithoutGoal),
        (
            does(&|d| d.action = action::DROP),
            Syndrome::ForwardWithoutGoal,
        ),
        (
            does(&|d| d.action |= action::COUNT),
            Syndrome::CountWithoutCounter,
        ),
        (
            does(&|d| d.counters.push(counter)),
            Syndrome::CountWithoutCounter,
        ),
        (
            does(&|d| {
                d.action |= action::COUNT;
                d.counters.push(counter + 1);
            }),
            Syndrome::NoSuchCounter,
        ),
        (
            does(&|d| d.action |= action::PUSH_VLAN),
            Syndrome::ActionNotSupported,
        ),
        (does(&|d| d.flow_source = 3), Syndrome::FlowSource),
        (to(DestinationType::Tir, 999), Syndrome::NoSuchTir),
        (to(DestinationType::Vport, 0), Syndrome::DestinationKind),
        (
            to(DestinationType::FlowSampler, 0),
            Syndrome::DestinationKind,
        ),
        (
            to(DestinationType::FlowTable, table.id),
            Syndrome::DestinationLevel,
        ),
        (
            to(DestinationType::FlowTable, fdb.id),
            Syndrome::OtherTableType,
        ),
        (to(DestinationType::FlowTable, 999), Syndrome::NoSuchTable),
        (
            does(&|d| {
                d.action |= action::MODIFY_HEADER;
                d.modify = 77;
            }),
            Syndrome::NoSuchModifyHeader,
        ),
    ];
    for (i, (does, syndrome)) in cases.iter().enumerate() {
        let entry = n.entry(table, group, 10, &port, does);
        assert_eq!(entry, refused(*syndrome), "case {i}");
    }
    let acl = n.table(TableType::IngressAcl, Some(1), 0);
    let any = Parameters::zeroed();
    let all = n.group(acl, (0, 9), 0, &any).unwrap();
    let lower = does(&|d| d.ignores_levels = true);
    let entry = n.entry(acl, all, 0, &any, &lower);
    assert_eq!(entry, refused(Syndrome::IgnoreLevel));
    n.entry(
        table,
        group,
        10,
        &port,
        &to(DestinationType::FlowTable, deeper.id),
    )
    .unwrap();
    let again = n.entry(table, group, 10, &port, &take);
    assert_eq!(again, refused(Syndrome::EntryExists));
    // What an entry refers to stays.
    let mut input = View::<DestroyFlowTableIn, _>::zeroed();
    input.set(DestroyFlowTableIn::TABLE_ID, deeper.id);
    let busy = n.d.run(Opcode::DestroyFlowTable, 0, input);
    assert_eq!(busy, refused(Syndrome::TableInUse));
    let mut input = View::<DestroyFlowGroupIn, _>::zeroed();
    input
        .set(DestroyFlowGroupIn::TABLE_ID, table.id)
        .set(DestroyFlowGroupIn::GROUP_ID, group);
    let busy = n.d.run(Opcode::DestroyFlowGroup, 0, input);
    assert_eq!(busy, refused(Syndrome::GroupInUse));
    n.delete(table, 10).unwrap();
    assert_eq!(n.delete(table, 10), refused(Syndrome::NoSuchEntry));
    let mut input = View::<DestroyFlowTableIn, _>::zeroed();
    input.set(DestroyFlowTableIn::TABLE_ID, deeper.id);
    n.d.run(Opcode::DestroyFlowTable, 0, input).unwrap();
}

#[test]
fn an_entry_changes_in_place() {
    let mut n = nic();
    let table = n.table(TableType::Fdb, None, 0);
    n.root(table);
    let any = Parameters::zeroed();
    let group = n.group(table, (0, 9), 0, &any).unwrap();
    let to_vf = |vf| Does::forward(DestinationType::Vport, vf);
    n.entry(table, group, 0, &any, &to_vf(1)).unwrap();
    n.arrive(0, &frames::udp(2, 1, 53, b"x"));
    assert_eq!((n.left(1).len(), n.left(2).len()), (1, 0));
    let mut change = entry_input(table, group, 0, &any, &to_vf(2));
    change.set(
        SetFlowTableEntryIn::MODIFY_ENABLE_MASK,
        modify_enable::DESTINATION_LIST,
    );
    n.d.run(Opcode::SetFlowTableEntry, 1, change).unwrap();
    n.arrive(0, &frames::udp(2, 1, 53, b"x"));
    assert_eq!((n.left(1).len(), n.left(2).len()), (0, 1));
    let nothing = entry_input(table, group, 1, &any, &to_vf(2));
    let absent = n.d.run(Opcode::SetFlowTableEntry, 1, nothing);
    assert_eq!(absent, refused(Syndrome::NoSuchEntry));
}

#[test]
fn tables_groups_and_entries_can_be_asked_for() {
    let mut n = nic();
    let table = n.table(TableType::Fdb, None, 2);
    let group = n.group(table, (3, 9), OUTER, &udp_port(0xffff)).unwrap();
    let does = Does {
        flow_tag: 0x77,
        ..Does::forward(DestinationType::Vport, 2)
    };
    n.entry(table, group, 5, &udp_port(53), &does).unwrap();
    let mut input = View::<QueryFlowTableIn, _>::zeroed();
    input
        .set(QueryFlowTableIn::TABLE_TYPE, table.kind as u8)
        .set(QueryFlowTableIn::TABLE_ID, table.id);
    let out = n.d.run(Opcode::QueryFlowTable, 0, input).unwrap();
    let out = View::<QueryFlowTableOut, _>::new(out).unwrap();
    let context = out.at(QueryFlowTableOut::CONTEXT);
    assert_eq!(context.get(FlowTableContext::LEVEL), 2);
    let mut input = View::<QueryFlowGroupIn, _>::zeroed();
    input
        .set(QueryFlowGroupIn::TABLE_TYPE, table.kind as u8)
        .set(QueryFlowGroupIn::TABLE_ID, table.id)
        .set(QueryFlowGroupIn::GROUP_ID, group);
    let out = n.d.run(Opcode::QueryFlowGroup, 0, input).unwrap();
    let out = View::<QueryFlowGroupOut, _>::new(out).unwrap();
    assert_eq!(out.get(QueryFlowGroupOut::START_FLOW_INDEX), 3);
    let criteria = out.at(QueryFlowGroupOut::MATCH_CRITERIA);
    assert_eq!(
        criteria.bytes()[..MatchParameters::SIZE],
        *udp_port(0xffff).bytes()
    );
    let mut input = View::<QueryFlowTableEntryIn, _>::zeroed();
    input
        .set(QueryFlowTableEntryIn::TABLE_TYPE, table.kind as u8)
        .set(QueryFlowTableEntryIn::TABLE_ID, table.id)
        .set(QueryFlowTableEntryIn::FLOW_INDEX, 5);
    let mut input = input.into_inner();
    input[..2].copy_from_slice(&(Opcode::QueryFlowTableEntry as u16).to_be_bytes());
    let out = n.d.raw(&input, QueryFlowTableEntryOut::SIZE + 8).unwrap();
    let out = View::<QueryFlowTableEntryOut, _>::new(out).unwrap();
    let context = out.at(QueryFlowTableEntryOut::CONTEXT);
    assert_eq!(context.get(FlowContext::FLOW_TAG), 0x77);
    let value = context.at(FlowContext::MATCH_VALUE);
    assert_eq!(
        value.bytes()[..MatchParameters::SIZE],
        *udp_port(53).bytes()
    );
    let goal = out.items(QueryFlowTableEntryOut::DESTINATIONS).next();
    assert_eq!(goal.unwrap().get(Destination::DESTINATION_ID), 2);
}

#[test]
fn sent_frames_pass_the_functions_own_table() {
    let mut n = nic();
    let table = n.table(TableType::NicTransmit, None, 0);
    n.root(table);
    let drop = Does {
        action: action::DROP,
        ..Does::default()
    };
    let group = n.group(table, (0, 9), OUTER, &udp_port(0xffff)).unwrap();
    n.entry(table, group, 0, &udp_port(53), &drop).unwrap();
    n.send(&frames::udp(1, 2, 53, b"x"), Send::default());
    assert!(n.left(0).is_empty());
    n.send(&frames::udp(1, 2, 54, b"x"), Send::default());
    assert_eq!(n.left(0).len(), 1);
}

#[test]
fn queues_are_chosen_by_hash() {
    let mut n = nic();
    // The same queue four times: what is checked is that all go somewhere, by one hash.
    let mut input = View::with_tail(CreateRqtIn::QUEUES, 4);
    input
        .at_mut(CreateRqtIn::CONTEXT)
        .set(RqtContext::RQT_MAX_SIZE, 4)
        .set(RqtContext::RQT_ACTUAL_SIZE, 4);
    for i in 0..4 {
        let mut item = input.item_mut(CreateRqtIn::QUEUES, i).unwrap();
        item.set(RqNumber::NUMBER, n.rq.number);
    }
    let rqt = create(&mut n.d, Opcode::CreateRqt, input).unwrap();
    let mut input = View::<CreateTirIn, _>::zeroed();
    let mut context = input.at_mut(CreateTirIn::CONTEXT);
    context
        .set(TirContext::DISPATCH_TYPE, 1)
        .set(TirContext::INDIRECT_TABLE, rqt)
        .set(TirContext::TRANSPORT_DOMAIN, n.td)
        .set(TirContext::RX_HASH_FUNCTION, 2);
    context
        .octets_mut(TirContext::RX_HASH_TOEPLITZ_KEY)
        .copy_from_slice(&[0x6d; 40]);
    context
        .at_mut(TirContext::RX_HASH_OUTER)
        .set(RxHashFields::L4_PROTOCOL, true)
        .set(RxHashFields::SELECTED_FIELDS, 0xf);
    n.tir = create(&mut n.d, Opcode::CreateTir, input).unwrap();
    n.receive_all();
    n.refill(8);
    let hash = |n: &mut Nic, frame: &[u8]| {
        n.arrive(0, frame);
        let cqe = n.rcq.poll().unwrap();
        (
            cqe.get(CompletionEntry::RSS_HASH_RESULT),
            cqe.get(CompletionEntry::RSS_HASH_TYPE),
        )
    };
    let first = hash(&mut n, &frames::udp(2, 1, 53, b"one"));
    assert_eq!(first, hash(&mut n, &frames::udp(2, 1, 53, b"another")));
    assert_ne!(first.0, hash(&mut n, &frames::udp(2, 1, 54, b"one")).0);
    assert_eq!(first.1, 1 << 2 | 2 << 6);
    // TCP has no such ports here: nothing is hashed.
    assert_eq!(hash(&mut n, &frames::tcp(2, 1, 53, b"one")), (0, 0));
    let mut input = View::with_tail(CreateRqtIn::QUEUES, 1);
    input
        .at_mut(CreateRqtIn::CONTEXT)
        .set(RqtContext::RQT_MAX_SIZE, 4)
        .set(RqtContext::RQT_ACTUAL_SIZE, 2);
    let short = create(&mut n.d, Opcode::CreateRqt, input);
    assert_eq!(short, refused(Syndrome::RqtSize));
}
