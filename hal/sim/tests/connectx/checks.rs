//! Checks that no other test provokes on its way.

use super::driver::{Driver, EventQueue, Failed};
use super::queues::{Does, Nic, Parameters, Table, create, entry_input};
use hal_mlx_prm::capability::GeneralCapability;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::*;
use hal_mlx_prm::{Described, Opcode, View};
use hal_sim::connectx::{ConnectXSettings, Syndrome};

fn nic() -> Nic {
    Nic::new(ConnectXSettings::default())
}

fn refused<T>(syndrome: Syndrome) -> Result<T, Failed> {
    Err(Failed::from(syndrome))
}

/// Asks for a command whose input is zero but for what `set` writes.
fn ask<I: Described>(
    n: &mut Nic,
    opcode: Opcode,
    op_mod: u16,
    set: impl Fn(&mut View<I, I::Bytes>),
) -> Result<(), Failed> {
    let mut input = View::<I, _>::zeroed();
    set(&mut input);
    n.d.run(opcode, op_mod, input).map(|_| ())
}

#[test]
fn capabilities_are_set_within_what_can_be() {
    let mut d = Driver::new(ConnectXSettings::default());
    d.enable();
    let query = |d: &mut Driver, variant: u16| {
        let out = d.plain(Opcode::QueryHcaCap, variant).unwrap();
        View::<GeneralCapability, _>::new(out[16..].to_vec()).unwrap()
    };
    let set = |d: &mut Driver, values: &[u8]| {
        let mut input = View::<SetHcaCapIn, _>::zeroed();
        let place = input.octets_mut(SetHcaCapIn::CAPABILITY);
        place.copy_from_slice(values);
        d.run(Opcode::SetHcaCap, 0, input).map(|_| ())
    };
    let most = query(&mut d, 0).get(GeneralCapability::LOG_MAX_QP);
    let mut now = query(&mut d, 1);
    now.set(GeneralCapability::LOG_MAX_QP, most);
    set(&mut d, now.bytes()).unwrap();
    let shown = query(&mut d, 1).get(GeneralCapability::LOG_MAX_QP);
    assert_eq!(shown, most);
    now.set(GeneralCapability::LOG_MAX_QP, most + 1);
    assert_eq!(
        set(&mut d, now.bytes()),
        refused(Syndrome::CapabilityBeyondMost)
    );
    now.set(GeneralCapability::LOG_MAX_QP, most);
    now.set(GeneralCapability::ROCE, true);
    assert_eq!(
        set(&mut d, now.bytes()),
        refused(Syndrome::CapabilityBeyondMost)
    );
    let absent = d.plain(Opcode::QueryHcaCap, 0x7e);
    assert_eq!(absent, refused(Syndrome::NoSuchCapabilities));
    // A virtual function is known by its number, and manages nobody.
    let mut input = View::<QueryHcaCapIn, _>::zeroed();
    input
        .set(QueryHcaCapIn::OTHER_FUNCTION, true)
        .set(QueryHcaCapIn::FUNCTION_ID, 3);
    let out = d.run(Opcode::QueryHcaCap, 1, input).unwrap();
    let other = View::<GeneralCapability, _>::new(&out[16..]).unwrap();
    assert_eq!(other.get(GeneralCapability::VHCA_ID), 3);
    assert!(!other.get(GeneralCapability::ESWITCH_MANAGER));
    // Signed commands, once they are asked for.
    now.set(GeneralCapability::ROCE, false);
    now.set(GeneralCapability::CMDIF_CHECKSUM, 3);
    set(&mut d, now.bytes()).unwrap();
    let unsigned = d.plain(Opcode::QueryIssi, 0);
    assert_eq!(unsigned, Err(Failed::Delivery(1)));
}

#[test]
fn nobody_acts_for_a_user_that_there_is_not() {
    let mut n = nic();
    let mut input = [0; 16];
    input[..2].copy_from_slice(&(Opcode::AllocPd as u16).to_be_bytes());
    input[3] = 5;
    assert_eq!(
        n.d.raw(&input, 16).map(|_| ()),
        refused(Syndrome::UnknownUser)
    );
}

#[test]
fn what_is_used_stays() {
    let mut n = nic();
    let (td, tis, rq, sq, tir, key, cq) = (
        n.td,
        n.tis,
        n.rq.number,
        n.sq.number,
        n.tir,
        n.key >> 8,
        n.scq.cqn,
    );
    let gone = |n: &mut Nic, opcode: Opcode, number: u32| {
        let mut input = [0; 16];
        input[..2].copy_from_slice(&(opcode as u16).to_be_bytes());
        input[8..12].copy_from_slice(&number.to_be_bytes());
        n.d.raw(&input, opcode.output().size).map(|_| ())
    };
    n.receive_all();
    let cases = [
        (Opcode::DeallocTransportDomain, td, Syndrome::TdInUse),
        (Opcode::DestroyTis, tis, Syndrome::TisInUse),
        (Opcode::DestroyRq, rq, Syndrome::RqInUse),
        (Opcode::DestroyTir, tir, Syndrome::TirInUse),
        (Opcode::DestroyCq, cq, Syndrome::CqInUse),
        (Opcode::DestroySq, 1, Syndrome::NoSuchSq),
        (Opcode::DeallocTransportDomain, 99, Syndrome::NoSuchTd),
        (Opcode::DeallocQCounter, 99, Syndrome::NoSuchQCounter),
        (
            Opcode::DeallocPacketReformatContext,
            9,
            Syndrome::NoSuchReformat,
        ),
    ];
    for (opcode, number, syndrome) in cases {
        assert_eq!(gone(&mut n, opcode, number), refused(syndrome));
    }
    // What an entry uses.
    let modify = n.modify(TableType::Fdb, &[[0x10, 0x16, 0, 0, 0, 0, 0, 0]]);
    let modify = modify.unwrap();
    let reformat = n.reformat(ReformatType::L2ToVxlan, &[0; 50]).unwrap();
    let table = n.table(TableType::Fdb, None, 0);
    let does = Does {
        action: action::FORWARD | action::MODIFY_HEADER | action::REFORMAT,
        modify,
        reformat,
        ..Does::forward(DestinationType::Vport, 1)
    };
    n.catch_all(table, &does).unwrap();
    let busy = gone(&mut n, Opcode::DeallocModifyHeaderContext, modify);
    assert_eq!(busy, refused(Syndrome::ModifyHeaderInUse));
    let busy = gone(&mut n, Opcode::DeallocPacketReformatContext, reformat);
    assert_eq!(busy, refused(Syndrome::ReformatInUse));
    n.delete(table, 255).unwrap();
    gone(&mut n, Opcode::DeallocModifyHeaderContext, modify).unwrap();
    gone(&mut n, Opcode::DeallocPacketReformatContext, reformat).unwrap();
    gone(&mut n, Opcode::DestroySq, sq).unwrap();
    gone(&mut n, Opcode::DestroyTis, tis).unwrap();
    gone(&mut n, Opcode::DestroyMkey, key).unwrap();
}

#[test]
fn numbers_run_out() {
    let mut n = nic();
    let uar = n.uar;
    // Nothing else has as few numbers.
    let mut queues = Vec::new();
    let full = loop {
        match EventQueue::create(&mut n.d, uar, 2, 0, 0) {
            Ok(queue) => queues.push(queue),
            Err(failed) => break failed,
        }
    };
    assert_eq!(full, Failed::from(Syndrome::EqsFull));
    assert_eq!(queues.len(), 0xef);
    let sets = std::iter::from_fn(|| {
        let set =
            n.d.run::<AllocQCounterIn, _>(Opcode::AllocQCounter, 0, View::zeroed());
        set.map_or_else(
            |failed| {
                assert_eq!(failed, Failed::from(Syndrome::QCountersFull));
                None
            },
            Some,
        )
    });
    assert_eq!(sets.count(), 0xff);
}

#[test]
fn rings_are_checked() {
    let mut n = nic();
    let (uar, memory) = (n.uar, n.d.function.dma("ring", 8192).unwrap());
    let create = |n: &mut Nic, pages: usize, log_page: u8, at: u64| {
        let mut input = View::with_tail(CreateEqIn::PAGES, pages);
        input
            .at_mut(CreateEqIn::CONTEXT)
            .set(EqContext::LOG_EQ_SIZE, 4)
            .set(EqContext::LOG_PAGE_SIZE, log_page)
            .set(EqContext::UAR_PAGE, uar);
        for i in 0..pages {
            let mut page = input.item_mut(CreateEqIn::PAGES, i).unwrap();
            page.set(PageAddress::PAGE, at >> 12);
        }
        n.d.run(Opcode::CreateEq, 0, input).map(|_| ())
    };
    let at = memory.iova().0;
    assert_eq!(create(&mut n, 1, 31, at), refused(Syndrome::RingSize));
    assert_eq!(
        create(&mut n, 1, 1, at + 4096),
        refused(Syndrome::RingAlignment)
    );
    create(&mut n, 1, 1, at).unwrap();
}

#[test]
fn completion_queues_change_in_few_ways() {
    let mut n = nic();
    let (cqn, eqn, uar) = (n.scq.cqn, n.eq.eqn, n.uar);
    let modify = |n: &mut Nic, fields: u32, eqn: u32| {
        ask::<ModifyCqIn>(n, Opcode::ModifyCq, 0, |input| {
            input
                .set(ModifyCqIn::CQN, cqn)
                .set(ModifyCqIn::FIELD_SELECT, fields)
                .at_mut(ModifyCqIn::CONTEXT)
                .set(CqContext::CQ_PERIOD, 7)
                .set(CqContext::EQN, eqn);
        })
    };
    modify(&mut n, 3, 0).unwrap();
    modify(&mut n, 1 << 4, 0).unwrap();
    assert_eq!(modify(&mut n, 1 << 5, 0), refused(Syndrome::CqModification));
    assert_eq!(modify(&mut n, 1 << 3, 0xee), refused(Syndrome::NoSuchEq));
    // To another event queue; the first is free then but for the other completion queue.
    let other = EventQueue::create(&mut n.d, uar, 4, 0, 0).unwrap();
    modify(&mut n, 1 << 3, other.eqn.into()).unwrap();
    assert_eq!(other.destroy(&mut n.d), refused(Syndrome::EqInUse));
    modify(&mut n, 1 << 3, eqn.into()).unwrap();
    other.destroy(&mut n.d).unwrap();
}

#[test]
fn what_is_before_and_behind_queues_is_checked() {
    let mut n = nic();
    let (td, rq) = (n.td, n.rq.number);
    let tir = |n: &mut Nic, set: &dyn Fn(&mut View<TirContext, &mut [u8]>)| {
        ask::<CreateTirIn>(n, Opcode::CreateTir, 0, |input| {
            let mut context = input.at_mut(CreateTirIn::CONTEXT);
            context
                .set(TirContext::TRANSPORT_DOMAIN, td)
                .set(TirContext::INLINE_RQN, rq);
            set(&mut context);
        })
    };
    tir(&mut n, &|_| {}).unwrap();
    let dispatch = tir(&mut n, &|c| _ = c.set(TirContext::DISPATCH_TYPE, 2));
    assert_eq!(dispatch, refused(Syndrome::Dispatch));
    let hash = tir(&mut n, &|c| _ = c.set(TirContext::RX_HASH_FUNCTION, 3));
    assert_eq!(hash, refused(Syndrome::HashFunction));
    let tls = tir(&mut n, &|c| _ = c.set(TirContext::TLS_EN, true));
    assert_eq!(tls, refused(Syndrome::NoTls));
    let rqt = |n: &mut Nic, set: &dyn Fn(&mut View<RqtContext, &mut [u8]>)| {
        let mut input = View::with_tail(CreateRqtIn::QUEUES, 1);
        let mut context = input.at_mut(CreateRqtIn::CONTEXT);
        context
            .set(RqtContext::RQT_MAX_SIZE, 1)
            .set(RqtContext::RQT_ACTUAL_SIZE, 1);
        set(&mut context);
        let mut item = input.item_mut(CreateRqtIn::QUEUES, 0).unwrap();
        item.set(RqNumber::NUMBER, rq);
        create(&mut n.d, Opcode::CreateRqt, input)
    };
    let kind = rqt(&mut n, &|c| _ = c.set(RqtContext::LIST_Q_TYPE, 1));
    assert_eq!(kind, refused(Syndrome::RqtKind));
    let size = rqt(&mut n, &|c| _ = c.set(RqtContext::RQT_MAX_SIZE, 0x7fff));
    assert_eq!(size, refused(Syndrome::RqtSize));
    let number = rqt(&mut n, &|_| {}).unwrap();
    // A table that a TIR leads to.
    tir(&mut n, &|c| {
        c.set(TirContext::DISPATCH_TYPE, 1)
            .set(TirContext::INDIRECT_TABLE, number);
    })
    .unwrap();
    let busy = ask::<DestroyRqtIn>(&mut n, Opcode::DestroyRqt, 0, |input| {
        input.set(DestroyRqtIn::RQTN, number);
    });
    assert_eq!(busy, refused(Syndrome::RqtInUse));
    let shared = ask::<CreateRqIn>(&mut n, Opcode::CreateRq, 0, |input| {
        input
            .at_mut(CreateRqIn::CONTEXT)
            .set(RqContext::MEMORY_RQ_TYPE, 1);
    });
    assert_eq!(shared, refused(Syndrome::SharedReceive));
}

#[test]
fn vports_are_checked() {
    let mut n = nic();
    let nic_context = |n: &mut Nic, kind: u8, size: u16| {
        ask::<ModifyNicVportContextIn>(n, Opcode::ModifyNicVportContext, 0, |input| {
            input
                .at_mut(ModifyNicVportContextIn::FIELDS)
                .set(NicVportFields::ADDRESSES_LIST, true);
            input
                .at_mut(ModifyNicVportContextIn::CONTEXT)
                .set(NicVportContext::ALLOWED_LIST_TYPE, kind)
                .set(NicVportContext::ALLOWED_LIST_SIZE, size);
        })
    };
    assert_eq!(nic_context(&mut n, 3, 0), refused(Syndrome::ListType));
    assert_eq!(nic_context(&mut n, 0, 1), refused(Syndrome::ListSize));
    let side = n.d.plain(Opcode::QueryVportState, 3);
    assert_eq!(side, refused(Syndrome::VportVariant));
    let tags = ask::<ModifyEswVportContextIn>(&mut n, Opcode::ModifyEswVportContext, 0, |i| {
        i.at_mut(ModifyEswVportContextIn::FIELDS)
            .set(EswVportFields::VPORT_CVLAN_STRIP, true);
    });
    assert_eq!(tags, refused(Syndrome::VportTags));
    let port = |n: &mut Nic, add: bool, port: u16| {
        if add {
            ask::<AddVxlanUdpDportIn>(n, Opcode::AddVxlanUdpDport, 0, |i| {
                i.set(AddVxlanUdpDportIn::VXLAN_UDP_PORT, port);
            })
        } else {
            ask::<DeleteVxlanUdpDportIn>(n, Opcode::DeleteVxlanUdpDport, 0, |i| {
                i.set(DeleteVxlanUdpDportIn::VXLAN_UDP_PORT, port);
            })
        }
    };
    for i in 0..7 {
        port(&mut n, true, 8000 + i).unwrap();
    }
    assert_eq!(port(&mut n, true, 9000), refused(Syndrome::VxlanPorts));
    port(&mut n, true, 8000).unwrap();
    port(&mut n, false, 8000).unwrap();
    assert_eq!(
        port(&mut n, false, 8000),
        refused(Syndrome::NoSuchVxlanPort)
    );
}

#[test]
fn tables_are_checked() {
    let mut n = nic();
    let fdb = TableType::Fdb;
    let make =
        |n: &mut Nic, kind: TableType, set: &dyn Fn(&mut View<FlowTableContext, &mut [u8]>)| {
            ask::<CreateFlowTableIn>(n, Opcode::CreateFlowTable, 0, |input| {
                input.set(CreateFlowTableIn::TABLE_TYPE, kind as u8);
                set(&mut input.at_mut(CreateFlowTableIn::CONTEXT));
            })
        };
    let software = make(&mut n, fdb, &|c| {
        _ = c.set(FlowTableContext::SW_OWNER, true)
    });
    assert_eq!(software, refused(Syndrome::SoftwareOwner));
    let decap = make(&mut n, TableType::NicReceive, &|c| {
        c.set(FlowTableContext::DECAP_EN, true);
    });
    assert_eq!(decap, refused(Syndrome::TableReformat));
    let miss = make(&mut n, fdb, &|c| {
        c.set(FlowTableContext::TABLE_MISS_ACTION, 7);
    });
    assert_eq!(miss, refused(Syndrome::MissAction));
    let mut tables = 0;
    let full = loop {
        match n.try_table(TableType::IngressAcl, Some(1), 0, 0) {
            Ok(_) => tables += 1,
            Err(failed) => break failed,
        }
    };
    assert_eq!((full, tables), (Failed::from(Syndrome::TablesFull), 512));
    let table = n.table(fdb, None, 0);
    let root = |n: &mut Nic, op_mod: u16, set: &dyn Fn(&mut View<SetFlowTableRootIn, [u8; 64]>)| {
        ask::<SetFlowTableRootIn>(n, Opcode::SetFlowTableRoot, op_mod, |input| {
            input
                .set(SetFlowTableRootIn::TABLE_TYPE, fdb as u8)
                .set(SetFlowTableRootIn::TABLE_ID, table.id);
            set(input);
        })
    };
    assert_eq!(root(&mut n, 2, &|_| {}), refused(Syndrome::RootVariant));
    let queue = root(&mut n, 0, &|i| {
        i.set(SetFlowTableRootIn::UNDERLAY_QPN, 1);
    });
    assert_eq!(queue, refused(Syndrome::UnderlayQueue));
    let other = root(&mut n, 0, &|i| {
        i.set(SetFlowTableRootIn::TABLE_ESWITCH_OWNER_VHCA_ID_VALID, true);
    });
    assert_eq!(other, refused(Syndrome::OtherEswitch));
    root(&mut n, 0, &|_| {}).unwrap();
    root(&mut n, 1, &|_| {}).unwrap();
    let kind = ask::<CreateFlowGroupIn>(&mut n, Opcode::CreateFlowGroup, 0, |input| {
        input
            .set(CreateFlowGroupIn::TABLE_TYPE, fdb as u8)
            .set(CreateFlowGroupIn::TABLE_ID, table.id)
            .set(CreateFlowGroupIn::GROUP_TYPE, 1);
    });
    assert_eq!(kind, refused(Syndrome::GroupType));
    let absent = ask::<DestroyFlowGroupIn>(&mut n, Opcode::DestroyFlowGroup, 0, |input| {
        input
            .set(DestroyFlowGroupIn::TABLE_TYPE, fdb as u8)
            .set(DestroyFlowGroupIn::TABLE_ID, table.id)
            .set(DestroyFlowGroupIn::GROUP_ID, 99);
    });
    assert_eq!(absent, refused(Syndrome::NoSuchGroup));
}

#[test]
fn entries_are_checked_to_the_last() {
    let mut n = nic();
    let table = n.table(TableType::Fdb, None, 0);
    let any = Parameters::zeroed();
    let group = n.group(table, (0, 9), 0, &any).unwrap();
    let vport = Does::forward(DestinationType::Vport, 1);
    let set = |n: &mut Nic,
               op_mod: u16,
               does: &Does,
               change: &dyn Fn(&mut View<SetFlowTableEntryIn, Vec<u8>>)| {
        let mut input = entry_input(table, group, 0, &any, does);
        change(&mut input);
        n.d.run(Opcode::SetFlowTableEntry, op_mod, input)
            .map(|_| ())
    };
    assert_eq!(
        set(&mut n, 2, &vport, &|_| {}),
        refused(Syndrome::EntryVariant)
    );
    let long = set(&mut n, 0, &vport, &|input| {
        input
            .at_mut(SetFlowTableEntryIn::CONTEXT)
            .set(FlowContext::DESTINATION_LIST_SIZE, 0xff_ffff);
    });
    assert_eq!(long, refused(Syndrome::EntryLists));
    let destination = |set_it: fn(&mut View<Destination, &mut [u8]>)| {
        move |input: &mut View<SetFlowTableEntryIn, Vec<u8>>| {
            let mut item = input
                .item_mut(SetFlowTableEntryIn::DESTINATIONS, 0)
                .unwrap();
            set_it(&mut item);
        }
    };
    let kind = destination(|item| _ = item.set(Destination::DESTINATION_TYPE, 0x55));
    assert_eq!(
        set(&mut n, 0, &vport, &kind),
        refused(Syndrome::UnknownDestination)
    );
    let far = destination(|item| _ = item.set(Destination::DESTINATION_ID, 77));
    assert_eq!(set(&mut n, 0, &vport, &far), refused(Syndrome::NoSuchVport));
    let other = destination(|item| {
        item.set(Destination::DESTINATION_ESWITCH_OWNER_VHCA_ID_VALID, true)
            .set(Destination::DESTINATION_ESWITCH_OWNER_VHCA_ID, 9);
    });
    assert_eq!(
        set(&mut n, 0, &vport, &other),
        refused(Syndrome::OtherEswitch)
    );
    let many = Does {
        goals: vec![(DestinationType::Vport, 1); 65],
        ..vport.clone()
    };
    assert_eq!(
        set(&mut n, 0, &many, &|_| {}),
        refused(Syndrome::TooManyDestinations)
    );
    let second = Does {
        action: action::FORWARD | action::POP_VLAN_2,
        ..vport.clone()
    };
    assert_eq!(
        set(&mut n, 0, &second, &|_| {}),
        refused(Syndrome::SecondTagFirst)
    );
    // What a kind of table cannot change stays.
    let own = n.table(TableType::SnifferReceive, None, 0);
    let take = Does {
        action: action::ALLOW,
        ..Does::default()
    };
    n.catch_all(own, &take).unwrap();
    let again = entry_input(own, group, 255, &any, &take);
    let changed = n.d.run(Opcode::SetFlowTableEntry, 1, again).map(|_| ());
    assert_eq!(changed, refused(Syndrome::EntryModification));
    let named = Table {
        kind: TableType::Fdb,
        ..own
    };
    assert_eq!(n.delete(named, 255), refused(Syndrome::OtherTableType));
    let dump = ask::<QueryFlowCounterIn>(&mut n, Opcode::QueryFlowCounter, 0, |input| {
        input
            .set(QueryFlowCounterIn::NUM_OF_COUNTERS, 4)
            .set(QueryFlowCounterIn::DUMP_TO_MEMORY, true);
    });
    assert_eq!(dump, refused(Syndrome::CounterDump));
}
