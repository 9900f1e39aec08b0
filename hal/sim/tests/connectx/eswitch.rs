//! The e-switch: vports, access tables, and all that entries of the FDB do to a frame.

use super::driver::Failed;
use super::queues::{Does, Nic, Parameters, Send, Table, entry_input, frames};
use super::steering::outer;
use hal_mlx_prm::command::*;
use hal_mlx_prm::completion::CompletionEntry;
use hal_mlx_prm::context::*;
use hal_mlx_prm::{Opcode, View};
use hal_sim::connectx::{ConnectXSettings, Syndrome};

const UPLINK: u32 = 0xffff;

fn nic() -> Nic {
    Nic::new(ConnectXSettings::default())
}

fn refused<T>(syndrome: Syndrome) -> Result<T, Failed> {
    Err(Failed::from(syndrome))
}

fn misc(set: impl Fn(&mut View<MatchMisc, &mut [u8]>)) -> Parameters {
    let mut all = Parameters::zeroed();
    set(&mut all.at_mut(MatchParameters::MISC));
    all
}

fn registers(set: impl Fn(&mut View<MatchMisc2, &mut [u8]>)) -> Parameters {
    let mut all = Parameters::zeroed();
    set(&mut all.at_mut(MatchParameters::MISC_2));
    all
}

fn source(port: u32) -> Parameters {
    misc(|m| _ = m.set(MatchMisc::SOURCE_PORT, port as u16))
}

fn to(vport: u32) -> Does {
    Does::forward(DestinationType::Vport, vport)
}

/// An FDB whose first rows tell where a frame comes from.
fn fdb(n: &mut Nic) -> (Table, u32) {
    let table = n.table(TableType::Fdb, None, 0);
    n.root(table);
    let group = n
        .group(table, (0, 99), criteria::MISC, &source(0xffff))
        .unwrap();
    (table, group)
}

fn set(field: HeaderField, length: u8, data: u32) -> [u8; 8] {
    let mut action = View::<SetAction, _>::zeroed();
    action
        .set(SetAction::ACTION_TYPE, ModifyType::Set as u8)
        .set(SetAction::FIELD, field as u16)
        .set(SetAction::LENGTH, length)
        .set(SetAction::DATA, data);
    action.into_inner()
}

fn add(field: HeaderField, data: u32) -> [u8; 8] {
    let mut action = View::<AddAction, _>::zeroed();
    action
        .set(AddAction::ACTION_TYPE, ModifyType::Add as u8)
        .set(AddAction::FIELD, field as u16)
        .set(AddAction::DATA, data);
    action.into_inner()
}

fn copy(from: HeaderField, to: HeaderField) -> [u8; 8] {
    let mut action = View::<CopyAction, _>::zeroed();
    action
        .set(CopyAction::ACTION_TYPE, ModifyType::Copy as u8)
        .set(CopyAction::SRC_FIELD, from as u16)
        .set(CopyAction::DST_FIELD, to as u16);
    action.into_inner()
}

#[test]
fn without_tables_the_eswitch_is_a_pipe() {
    let mut n = nic();
    n.receive_all();
    n.refill(2);
    let frame = frames::udp(2, 1, 5, b"x");
    n.arrive(0, &frame);
    assert!(n.rcq.poll().is_some());
    n.send(&frame, Send::default());
    assert_eq!(n.left(0).len(), 1);
    n.arrive(1, &frame);
    assert!(n.rcq.poll().is_none() && n.left(0).is_empty());
}

#[test]
fn what_is_sent_to_an_own_address_comes_back_to_those_who_want_it() {
    let mut n = nic();
    n.receive_all();
    n.refill(8);
    let frame = frames::udp(2, 1, 5, b"x");
    let mut own = View::<SetL2TableEntryIn, _>::zeroed();
    own.set(SetL2TableEntryIn::TABLE_INDEX, 3)
        .at_mut(SetL2TableEntryIn::MAC_ADDRESS)
        .set(MacAddress::ADDRESS, 0x0200_0000_0001);
    n.d.run(Opcode::SetL2TableEntry, 0, own).unwrap();
    // It does not leave, but the TIR does not take it either.
    n.send(&frame, Send::default());
    assert!(n.left(0).is_empty() && n.rcq.poll().is_none());
    let mut wants = View::<ModifyTirIn, _>::zeroed();
    wants
        .set(ModifyTirIn::TIRN, n.tir)
        .set(ModifyTirIn::SELF_LB, true)
        .at_mut(ModifyTirIn::CONTEXT)
        .set(TirContext::SELF_LB_BLOCK, 1);
    n.d.run(Opcode::ModifyTir, 0, wants).unwrap();
    n.send(&frame, Send::default());
    assert!(n.left(0).is_empty() && n.rcq.poll().is_some());
    // Others still leave, and multicast does.
    for to in [7, 8] {
        let mut other = frames::udp(2, to, 5, b"x");
        other[0] |= u8::from(to == 8);
        n.send(&other, Send::default());
        assert_eq!(n.left(0), [other]);
        assert!(n.rcq.poll().is_none());
    }
    let mut off = View::with_tail(ModifyNicVportContextIn::ADDRESSES, 0);
    off.at_mut(ModifyNicVportContextIn::FIELDS)
        .set(NicVportFields::DISABLE_UC_LOCAL_LB, true);
    off.at_mut(ModifyNicVportContextIn::CONTEXT)
        .set(NicVportContext::DISABLE_UC_LOCAL_LB, true);
    n.d.run(Opcode::ModifyNicVportContext, 0, off).unwrap();
    n.send(&frame, Send::default());
    assert_eq!(n.left(0), [frame]);
}

#[test]
fn frames_are_forwarded_by_where_they_come_from() {
    let mut n = nic();
    n.receive_all();
    n.refill(8);
    let (table, group) = fdb(&mut n);
    n.entry(table, group, 0, &source(UPLINK), &to(1)).unwrap();
    n.entry(table, group, 1, &source(1), &to(2)).unwrap();
    n.entry(table, group, 2, &source(2), &to(0)).unwrap();
    n.entry(table, group, 3, &source(0), &to(UPLINK)).unwrap();
    let frame = frames::udp(2, 1, 5, b"round");
    n.arrive(0, &frame);
    assert_eq!(n.left(1), std::slice::from_ref(&frame));
    n.arrive(1, &frame);
    assert_eq!(n.left(2), std::slice::from_ref(&frame));
    n.arrive(2, &frame);
    let cqe = n.rcq.poll().unwrap();
    assert_eq!(n.received(0, cqe.get(CompletionEntry::BYTE_COUNT)), frame);
    n.send(&frame, Send::default());
    assert_eq!(n.left(0), std::slice::from_ref(&frame));
    // No entry for it: dropped.
    n.arrive(3, &frame);
    assert_eq!(n.d.nic.statistics().steering_drops, 1);
}

#[test]
fn a_send_queue_stands_for_a_vport() {
    let mut n = nic();
    let table = n.table(TableType::Fdb, None, 0);
    n.root(table);
    let both = |port: u32, queue: u32| {
        misc(|m| {
            m.set(MatchMisc::SOURCE_PORT, port as u16)
                .set(MatchMisc::SOURCE_SQN, queue);
        })
    };
    let group = n
        .group(table, (0, 9), criteria::MISC, &both(0xffff, 0xff_ffff))
        .unwrap();
    let queue = n.sq.number;
    n.entry(table, group, 0, &both(0, queue), &to(3)).unwrap();
    n.send(&frames::udp(1, 2, 3, b"slow path"), Send::default());
    assert_eq!(n.left(3).len(), 1);
}

#[test]
fn all_destinations_get_a_copy_of_their_own() {
    let mut n = nic();
    n.receive_all();
    n.refill(1);
    let (table, group) = fdb(&mut n);
    let deeper = n.table(TableType::Fdb, None, 1);
    let modify = n
        .modify(TableType::Fdb, &[set(HeaderField::OutUdpDport, 16, 99)])
        .unwrap();
    let changed = Does {
        action: action::FORWARD | action::MODIFY_HEADER,
        modify,
        ..to(3)
    };
    n.catch_all(deeper, &changed).unwrap();
    let vport = DestinationType::Vport;
    let flood = Does {
        action: action::FORWARD,
        goals: vec![
            (vport, 0),
            (vport, 1),
            (DestinationType::FlowTable, deeper.id),
            (vport, 2),
        ],
        ..Does::default()
    };
    n.entry(table, group, 0, &source(UPLINK), &flood).unwrap();
    let frame = frames::udp(2, 1, 5, b"to all");
    n.arrive(0, &frame);
    assert!(n.rcq.poll().is_some());
    assert_eq!(n.left(1), std::slice::from_ref(&frame));
    assert_eq!(n.left(2), std::slice::from_ref(&frame));
    assert_eq!(n.left(3), [frames::udp(2, 1, 99, b"to all")]);
}

#[test]
fn fields_are_changed_and_checksums_stay_right() {
    use HeaderField::*;
    let change = |actions: &[[u8; 8]], frame: &[u8]| {
        let mut n = nic();
        let (table, group) = fdb(&mut n);
        let modify = n.modify(TableType::Fdb, actions).unwrap();
        let does = Does {
            action: action::FORWARD | action::MODIFY_HEADER,
            modify,
            ..to(1)
        };
        n.entry(table, group, 0, &source(UPLINK), &does).unwrap();
        n.arrive(0, frame);
        n.left(1).pop().unwrap()
    };
    let udp = frames::udp(2, 1, 5, b"payload");
    let nat = [
        set(OutSipv4, 0, 0x0a00_0007),
        set(OutDipv4, 0, 0x0a00_0008),
        set(OutSmac47_16, 0, 0x0200_0000),
        set(OutSmac15_0, 16, 7),
        set(OutDmac15_0, 16, 8),
        set(OutUdpDport, 16, 77),
    ];
    assert_eq!(change(&nat, &udp), frames::udp(7, 8, 77, b"payload"));
    let mut less = frames::udp(2, 1, 5, b"payload");
    less[22] = 63;
    let sum = {
        less[24..26].fill(0);
        packet::checksum::checksum(&less[14..34])
    };
    less[24..26].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(change(&[add(OutIpTtl, 0xff)], &udp), less);
    let tcp = frames::tcp(2, 1, 80, b"payload");
    let changed = change(
        &[
            set(OutTcpSport, 16, 1),
            set(OutTcpDport, 16, 81),
            set(OutTcpSport, 16, 12345),
        ],
        &tcp,
    );
    assert_eq!(changed, frames::tcp(2, 1, 81, b"payload"));
    // A field that the frame does not have is left alone.
    assert_eq!(change(&[set(OutTcpDport, 16, 81)], &udp), udp);
    assert_eq!(change(&[set(InUdpDport, 16, 81)], &udp), udp);
    let flags = change(&[set(OutTcpFlags, 9, 0x10)], &tcp);
    assert_eq!(flags[47], 0x10);
    let back = change(
        &[set(OutTcpFlags, 9, 0x10), set(OutTcpFlags, 9, 0x18)],
        &tcp,
    );
    assert_eq!(back, tcp);
    // From one field to another, by way of a register.
    let swapped = change(
        &[
            copy(OutSipv4, MetadataRegC1),
            copy(OutDipv4, OutSipv4),
            copy(MetadataRegC1, OutDipv4),
        ],
        &udp,
    );
    let mut wanted = udp.clone();
    wanted[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    assert_eq!(swapped, wanted);
}

#[test]
fn changes_are_checked() {
    use HeaderField::*;
    let mut n = nic();
    let fdb = TableType::Fdb;
    let mut unknown = set(OutSipv4, 0, 0);
    unknown[0] = 0xf0;
    let mut field = set(OutSipv4, 0, 0);
    field[1] = 0xff;
    let mut offset = set(OutSmac15_0, 16, 0);
    offset[2] = 8;
    let cases: [(&[[u8; 8]], Syndrome); 6] = [
        (&[], Syndrome::ActionCount),
        (&[unknown], Syndrome::UnknownChange),
        (&[field], Syndrome::UnknownField),
        (&[set(OutEmd31_0, 0, 0)], Syndrome::UnknownField),
        (&[set(OutSmac15_0, 16, 0x1_0000)], Syndrome::FieldBits),
        (&[offset], Syndrome::FieldBits),
    ];
    for (i, (actions, syndrome)) in cases.into_iter().enumerate() {
        assert_eq!(n.modify(fdb, actions), refused(syndrome), "case {i}");
    }
    let many = vec![set(OutSipv4, 0, 0); 33];
    assert_eq!(n.modify(fdb, &many), refused(Syndrome::ActionCount));
    // Of another kind of table.
    let modify = n.modify(fdb, &[set(OutSipv4, 0, 0)]).unwrap();
    let table = n.table(TableType::IngressAcl, Some(1), 0);
    let does = Does {
        action: action::ALLOW | action::MODIFY_HEADER,
        modify,
        ..Does::default()
    };
    let entry = n.catch_all(table, &does);
    assert_eq!(entry, refused(Syndrome::OtherTableType));
}

#[test]
fn tags_are_pushed_and_popped() {
    let mut n = nic();
    let (table, group) = fdb(&mut n);
    let push = Does {
        action: action::FORWARD | action::PUSH_VLAN,
        push: Some((0x8100, 0x6064)),
        ..to(1)
    };
    n.entry(table, group, 0, &source(UPLINK), &push).unwrap();
    let pop = Does {
        action: action::FORWARD | action::POP_VLAN,
        ..to(UPLINK)
    };
    n.entry(table, group, 1, &source(1), &pop).unwrap();
    let plain = frames::udp(2, 1, 5, b"x");
    n.arrive(0, &plain);
    let tagged = frames::tagged(&plain, 0x6064);
    assert_eq!(n.left(1), std::slice::from_ref(&tagged));
    n.arrive(1, &tagged);
    assert_eq!(n.left(0), [plain]);
}

/// Ethernet, IPv4 and UDP of a tunnel, as a host writes them: lengths and checksums open.
fn outer_headers(protocol: u8, port: u16, tunnel: &[u8]) -> Vec<u8> {
    let mut all = vec![2, 0, 0, 0, 0, 0x20, 2, 0, 0, 0, 0, 0x10, 8, 0];
    all.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
    all.extend([192, 168, 0, 1, 192, 168, 0, 2]);
    if protocol == 17 {
        all.extend([0, 0]);
        all.extend(port.to_be_bytes());
        all.extend([0, 0, 0, 0]);
    }
    all.extend(tunnel);
    all
}

#[test]
fn tunnels_are_put_on_and_taken_off() {
    let vxlan = outer_headers(17, 4789, &[8, 0, 0, 0, 0, 0, 77, 0]);
    let geneve = outer_headers(17, 6081, &[0, 0, 0x65, 0x58, 0, 0, 77, 0]);
    let gre = outer_headers(47, 0, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 77]);
    for (kind, headers) in [
        (ReformatType::L2ToVxlan, vxlan),
        (ReformatType::L2ToVxlan, geneve),
        (ReformatType::L2ToNvgre, gre),
    ] {
        let mut n = nic();
        let (table, group) = fdb(&mut n);
        let reformat = n.reformat(kind, &headers).unwrap();
        let wrap = Does {
            action: action::FORWARD | action::REFORMAT,
            reformat,
            ..to(UPLINK)
        };
        n.entry(table, group, 0, &source(1), &wrap).unwrap();
        let frame = frames::udp(2, 1, 5, b"inside");
        n.arrive(1, &frame);
        let wrapped = n.left(0).pop().unwrap();
        assert_eq!(wrapped.len(), headers.len() + frame.len());
        assert_eq!(wrapped[headers.len()..], frame);
        let total = u16::from_be_bytes([wrapped[16], wrapped[17]]);
        assert_eq!(usize::from(total), wrapped.len() - 14);
        assert_eq!(packet::checksum::checksum(&wrapped[14..34]), 0);
        if headers[23] == 17 {
            let len = u16::from_be_bytes([wrapped[38], wrapped[39]]);
            assert_eq!(usize::from(len), wrapped.len() - 34);
            // The source port is the flow's, and the same for all of it.
            let port = u16::from_be_bytes([wrapped[34], wrapped[35]]);
            assert!(port >= 0xc000);
            n.arrive(1, &frames::udp(2, 1, 5, b"more"));
            assert_eq!(n.left(0)[0][34..36], wrapped[34..36]);
        }
        // And back, by what is inside.
        let inner = |port: u16| {
            let mut all = Parameters::zeroed();
            all.at_mut(MatchParameters::INNER_HEADERS)
                .set(MatchHeaders::UDP_DPORT, port);
            all
        };
        let inside = n
            .group(table, (100, 109), criteria::INNER_HEADERS, &inner(0xffff))
            .unwrap();
        let unwrap = Does {
            action: action::FORWARD | action::DECAP,
            ..to(1)
        };
        n.entry(table, inside, 100, &inner(5), &unwrap).unwrap();
        n.arrive(0, &wrapped);
        assert_eq!(n.left(1), std::slice::from_ref(&frame));
        n.arrive(0, &frame);
        assert!(n.left(1).is_empty(), "not a tunnel");
    }
}

#[test]
fn tunnel_headers_are_matched() {
    let frame = frames::udp(2, 1, 5, b"inside");
    let wrap = |mut headers: Vec<u8>| {
        headers.extend(&frame);
        let len = (headers.len() - 14) as u16;
        headers[16..18].copy_from_slice(&len.to_be_bytes());
        if headers[23] == 17 {
            headers[38..40].copy_from_slice(&(len - 20).to_be_bytes());
        }
        headers
    };
    type Set = fn(&mut View<MatchMisc, &mut [u8]>, u32);
    let cases: [(Vec<u8>, Set, u32, u32); 5] = [
        (
            outer_headers(17, 4789, &[8, 0, 0, 0, 0, 0, 77, 0]),
            |m, v| _ = m.set(MatchMisc::VXLAN_VNI, v),
            0xff_ffff,
            77,
        ),
        (
            outer_headers(17, 6081, &[0, 0, 0x65, 0x58, 0, 0, 78, 0]),
            |m, v| _ = m.set(MatchMisc::GENEVE_VNI, v),
            0xff_ffff,
            78,
        ),
        (
            outer_headers(17, 6081, &[0, 0, 0x65, 0x58, 0, 0, 78, 0]),
            |m, v| _ = m.set(MatchMisc::GENEVE_PROTOCOL_TYPE, v as u16),
            0xffff,
            0x6558,
        ),
        (
            outer_headers(47, 0, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 79]),
            |m, v| _ = m.set(MatchMisc::GRE_KEY, v),
            u32::MAX,
            79,
        ),
        (
            outer_headers(47, 0, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 79]),
            |m, v| _ = m.set(MatchMisc::GRE_PROTOCOL, v as u16),
            0xffff,
            0x6558,
        ),
    ];
    for (i, (headers, set, mask, value)) in cases.into_iter().enumerate() {
        let mut n = nic();
        let table = n.table(TableType::Fdb, None, 0);
        n.root(table);
        let at = |value| misc(|m| set(m, value));
        let group = n.group(table, (0, 9), criteria::MISC, &at(mask)).unwrap();
        n.entry(table, group, 0, &at(value + 1), &to(2)).unwrap();
        n.entry(table, group, 1, &at(value), &to(1)).unwrap();
        n.arrive(0, &wrap(headers));
        assert_eq!((n.left(1).len(), n.left(2).len()), (1, 0), "case {i}");
    }
}

#[test]
fn a_layer_3_tunnel_gets_an_ethernet_header() {
    let mut n = nic();
    let (table, group) = fdb(&mut n);
    let inner = frames::udp(2, 1, 5, b"inside");
    let header = outer_headers(47, 0, &[0, 0, 8, 0]);
    let wrap = n.reformat(ReformatType::L2ToL3Tunnel, &header).unwrap();
    let does = Does {
        action: action::FORWARD | action::REFORMAT,
        reformat: wrap,
        ..to(UPLINK)
    };
    n.entry(table, group, 0, &source(1), &does).unwrap();
    n.arrive(1, &inner);
    let wrapped = n.left(0).pop().unwrap();
    assert_eq!(wrapped[header.len()..], inner[14..]);
    let unwrap = n
        .reformat(ReformatType::L3TunnelToL2, &inner[..14])
        .unwrap();
    let does = Does {
        reformat: unwrap,
        ..does
    };
    let back = Does {
        goals: to(1).goals,
        ..does
    };
    n.entry(table, group, 1, &source(UPLINK), &back).unwrap();
    n.arrive(0, &wrapped);
    assert_eq!(n.left(1), [inner]);
}

#[test]
fn headers_are_checked() {
    let mut n = nic();
    let long = outer_headers(17, 4789, &[0; 200]);
    let cases = [
        (ReformatType::L2ToVxlan, &long[..], Syndrome::ReformatSize),
        (ReformatType::L2ToVxlan, &long[..14], Syndrome::ReformatSize),
        (
            ReformatType::L3TunnelToL2,
            &long[..20],
            Syndrome::ReformatSize,
        ),
        (
            ReformatType::InsertHeader,
            &long[..20],
            Syndrome::UnknownReformat,
        ),
    ];
    for (kind, data, syndrome) in cases {
        assert_eq!(n.reformat(kind, data), refused(syndrome), "{kind:?}");
    }
    let good = n.reformat(ReformatType::L2ToVxlan, &long[..50]).unwrap();
    // A table that cannot.
    let table = n.table(TableType::NicReceive, None, 0);
    let does = Does {
        action: action::FORWARD | action::REFORMAT,
        reformat: good,
        ..Does::forward(DestinationType::Tir, n.tir)
    };
    let entry = n.catch_all(table, &does);
    assert_eq!(entry, refused(Syndrome::ActionNotSupported));
}

#[test]
fn each_destination_may_have_a_tunnel_of_its_own() {
    let mut n = nic();
    let (table, group) = fdb(&mut n);
    let header = |host: u8| {
        let mut header = outer_headers(17, 4789, &[8, 0, 0, 0, 0, 0, 77, 0]);
        header[33] = host;
        header
    };
    let first = n.reformat(ReformatType::L2ToVxlan, &header(11)).unwrap();
    let second = n.reformat(ReformatType::L2ToVxlan, &header(12)).unwrap();
    // Two of 16 bytes take the place of four of 8.
    let mut does = to(UPLINK);
    does.goals = vec![(DestinationType::Vport, 0); 4];
    let mut input = entry_input(table, group, 0, &source(1), &does);
    input
        .at_mut(SetFlowTableEntryIn::CONTEXT)
        .set(FlowContext::EXTENDED_DESTINATION, true)
        .set(FlowContext::DESTINATION_LIST_SIZE, 2);
    for (i, reformat) in [first, second].into_iter().enumerate() {
        let mut item = input
            .item_mut(SetFlowTableEntryIn::EXTENDED_DESTINATIONS, i)
            .unwrap();
        item.set(ExtendedDestination::PACKET_REFORMAT_ID, reformat)
            .at_mut(ExtendedDestination::DESTINATION)
            .set(Destination::DESTINATION_ID, UPLINK)
            .set(Destination::PACKET_REFORMAT, true);
    }
    n.d.run(Opcode::SetFlowTableEntry, 0, input).unwrap();
    n.arrive(1, &frames::udp(2, 1, 5, b"twice"));
    let hosts: Vec<u8> = n.left(0).iter().map(|frame| frame[33]).collect();
    assert_eq!(hosts, [11, 12]);
}

#[test]
fn access_tables_stand_before_and_behind() {
    let mut n = nic();
    let (table, group) = fdb(&mut n);
    n.entry(table, group, 0, &source(1), &to(2)).unwrap();
    let port = |port: u16| outer(|h| _ = h.set(MatchHeaders::UDP_DPORT, port));
    let drop = Does {
        action: action::DROP,
        ..Does::default()
    };
    for (kind, vport, blocked) in [
        (TableType::IngressAcl, 1, 66),
        (TableType::EgressAcl, 2, 67),
    ] {
        let acl = n.table(kind, Some(vport), 0);
        n.root(acl);
        let rows = n
            .group(acl, (0, 9), criteria::OUTER_HEADERS, &port(0xffff))
            .unwrap();
        n.entry(acl, rows, 0, &port(blocked), &drop).unwrap();
    }
    for (port, passes) in [(66, 0), (67, 0), (68, 1)] {
        n.arrive(1, &frames::udp(2, 1, port, b"x"));
        assert_eq!(n.left(2).len(), passes, "{port}");
    }
    let elsewhere = n.table(TableType::IngressAcl, Some(2), 0);
    let named = Table {
        vport: Some(1),
        ..elsewhere
    };
    let any = Parameters::zeroed();
    let group = n.group(named, (0, 9), 0, &any);
    assert_eq!(group, refused(Syndrome::OtherTableVport));
}

#[test]
fn a_miss_carries_where_it_came_from() {
    let mut n = nic();
    let c0 = |value: u32| registers(|r| _ = r.set(MatchMisc2::METADATA_REG_C_0, value));
    // On the way in, register C 0 gets the source.
    for vport in [1, 2] {
        let acl = n.table(TableType::IngressAcl, Some(vport), 0);
        n.root(acl);
        let mark = set(HeaderField::MetadataRegC0, 0, 0x100 + u32::from(vport));
        let modify = n.modify(TableType::IngressAcl, &[mark]).unwrap();
        let does = Does {
            action: action::ALLOW | action::MODIFY_HEADER,
            modify,
            ..Does::default()
        };
        n.catch_all(acl, &does).unwrap();
    }
    let table = n.table(TableType::Fdb, None, 0);
    n.root(table);
    let group = n
        .group(table, (0, 9), criteria::MISC_2, &c0(u32::MAX))
        .unwrap();
    n.entry(table, group, 0, &c0(0x101), &to(2)).unwrap();
    let mark = set(HeaderField::MetadataRegC1, 0, 0xabcd);
    let modify = n.modify(TableType::Fdb, &[mark]).unwrap();
    let miss = Does {
        action: action::FORWARD | action::MODIFY_HEADER,
        modify,
        ..to(0)
    };
    n.catch_all(table, &miss).unwrap();
    // In the function, it is a flow tag, and what is in C 1 comes with the completion.
    let receive = n.table(TableType::NicReceive, None, 0);
    n.root(receive);
    let rows = n
        .group(receive, (0, 9), criteria::MISC_2, &c0(u32::MAX))
        .unwrap();
    let tagged = |n: &Nic, tag| Does {
        flow_tag: tag,
        ..Does::forward(DestinationType::Tir, n.tir)
    };
    let (known, unknown) = (tagged(&n, 102), tagged(&n, 1));
    n.entry(receive, rows, 0, &c0(0x102), &known).unwrap();
    n.catch_all(receive, &unknown).unwrap();
    n.refill(4);
    let frame = frames::udp(2, 1, 5, b"x");
    n.arrive(1, &frame);
    assert_eq!(n.left(2).len(), 1);
    n.arrive(2, &frame);
    let tag = |n: &mut Nic| n.rcq.poll().unwrap().get(CompletionEntry::FLOW_TAG);
    // The registers end at the function unless its vport keeps them.
    assert_eq!(tag(&mut n), 1);
    let mut input = View::<ModifyEswVportContextIn, _>::zeroed();
    input
        .at_mut(ModifyEswVportContextIn::FIELDS)
        .set(EswVportFields::FDB_TO_VPORT_REG_C_ID, true);
    input
        .at_mut(ModifyEswVportContextIn::CONTEXT)
        .set(EswVportContext::FDB_TO_VPORT_REG_C_ID, 3);
    n.d.run(Opcode::ModifyEswVportContext, 0, input).unwrap();
    n.arrive(2, &frame);
    assert_eq!(tag(&mut n), 102);
}

#[test]
fn entries_may_be_for_the_uplink_only() {
    let mut n = nic();
    let table = n.table(TableType::Fdb, None, 0);
    n.root(table);
    let any = Parameters::zeroed();
    let group = n.group(table, (0, 9), 0, &any).unwrap();
    for (row, flow_source, vport) in [(0, 1, 2), (1, 2, 3)] {
        let does = Does {
            flow_source,
            ..to(vport)
        };
        n.entry(table, group, row, &any, &does).unwrap();
    }
    let frame = frames::udp(2, 1, 5, b"x");
    n.arrive(0, &frame);
    assert_eq!((n.left(2).len(), n.left(3).len()), (1, 0));
    n.arrive(1, &frame);
    assert_eq!((n.left(2).len(), n.left(3).len()), (0, 1));
}

#[test]
fn frames_do_not_go_round_for_ever() {
    let mut n = nic();
    let (table, group) = fdb(&mut n);
    let again = Does {
        ignores_levels: true,
        ..Does::forward(DestinationType::FlowTable, table.id)
    };
    n.entry(table, group, 0, &source(UPLINK), &again).unwrap();
    let twice = Does {
        goals: vec![(DestinationType::FlowTable, table.id); 16],
        ..again
    };
    n.entry(table, group, 1, &source(1), &twice).unwrap();
    n.arrive(0, &frames::udp(2, 1, 5, b"x"));
    n.arrive(1, &frames::udp(2, 1, 5, b"x"));
    assert!(n.left(0).is_empty());
}

#[test]
fn counters_count_and_are_read_in_bulk() {
    let mut n = nic();
    let (table, group) = fdb(&mut n);
    let mut bulk = View::<AllocFlowCounterIn, _>::zeroed();
    bulk.set(AllocFlowCounterIn::FLOW_COUNTER_BULK, 128);
    let out = n.d.run(Opcode::AllocFlowCounter, 0, bulk).unwrap();
    let first = u32::from_be_bytes(*out[8..].first_chunk().unwrap());
    assert_eq!(first % 4, 0);
    let counted = |id| Does {
        action: action::FORWARD | action::COUNT,
        counters: vec![id],
        ..to(1)
    };
    n.entry(table, group, 0, &source(UPLINK), &counted(first + 9))
        .unwrap();
    let frame = frames::udp(2, 1, 5, b"x");
    n.arrive(0, &frame);
    n.arrive(0, &frame);
    assert_eq!(n.count(first + 9), (2, 2 * frame.len() as u64));
    let read = |n: &mut Nic, first: u32, count: u32, room: usize| {
        let mut input = View::<QueryFlowCounterIn, _>::zeroed();
        input
            .set(QueryFlowCounterIn::FLOW_COUNTER_ID, first)
            .set(QueryFlowCounterIn::NUM_OF_COUNTERS, count);
        let mut input = input.into_inner();
        input[..2].copy_from_slice(&(Opcode::QueryFlowCounter as u16).to_be_bytes());
        n.d.raw(&input, 16 + room)
    };
    let out = read(&mut n, first, 16384, 16384 * 16).unwrap();
    let list = View::<QueryFlowCounterOut, _>::new(out).unwrap();
    let packets: Vec<u64> = list
        .items(QueryFlowCounterOut::STATISTICS)
        .map(|s| s.get(FlowStatistics::PACKETS))
        .collect();
    assert_eq!(packets.len(), 16384);
    assert_eq!((packets[8], packets[9], packets[10]), (0, 2, 0));
    let unaligned = read(&mut n, first + 1, 4, 64);
    assert_eq!(unaligned, refused(Syndrome::CounterAlignment));
    let many = read(&mut n, first, 1 << 20, 64);
    assert_eq!(many, refused(Syndrome::CounterRange));
    let room = read(&mut n, first, 8, 64);
    assert_eq!(room, refused(Syndrome::OutputLength));
    // The block goes as a whole, when nobody counts with it.
    let dealloc = |n: &mut Nic, id| {
        let mut input = View::<DeallocFlowCounterIn, _>::zeroed();
        input.set(DeallocFlowCounterIn::FLOW_COUNTER_ID, id);
        n.d.run(Opcode::DeallocFlowCounter, 0, input).map(|_| ())
    };
    assert_eq!(dealloc(&mut n, first), refused(Syndrome::CounterInUse));
    n.delete(table, 0).unwrap();
    assert_eq!(dealloc(&mut n, first + 9), refused(Syndrome::NoSuchCounter));
    dealloc(&mut n, first).unwrap();
    let mut bulk = View::<AllocFlowCounterIn, _>::zeroed();
    bulk.set(AllocFlowCounterIn::FLOW_COUNTER_BULK, 3);
    let odd = n.d.run(Opcode::AllocFlowCounter, 0, bulk);
    assert_eq!(odd, refused(Syndrome::CounterBlock));
}

#[test]
fn vports_have_addresses_lists_and_counters() {
    let mut n = nic();
    let query = |n: &mut Nic, other: bool, vport: u16, list: u8| {
        let mut input = View::<QueryNicVportContextIn, _>::zeroed();
        input
            .set(QueryNicVportContextIn::OTHER_VPORT, other)
            .set(QueryNicVportContextIn::VPORT_NUMBER, vport)
            .set(QueryNicVportContextIn::ALLOWED_LIST_TYPE, list);
        let mut input = input.into_inner();
        input[..2].copy_from_slice(&(Opcode::QueryNicVportContext as u16).to_be_bytes());
        n.d.raw(&input, 0x110 + 8 * 8)
    };
    let mac = |out: &[u8]| {
        let out = View::<QueryNicVportContextOut, _>::new(out).unwrap();
        let context = out.at(QueryNicVportContextOut::CONTEXT);
        context
            .at(NicVportContext::PERMANENT_ADDRESS)
            .get(MacAddress::ADDRESS)
    };
    let (own, vf) = (
        query(&mut n, false, 0, 0).unwrap(),
        query(&mut n, true, 1, 0).unwrap(),
    );
    assert_ne!(mac(&own), mac(&vf));
    assert_eq!(mac(&own) >> 40 & 3, 2, "locally administered");
    assert_eq!(
        query(&mut n, false, 1, 0),
        refused(Syndrome::VportWithoutOther)
    );
    assert_eq!(query(&mut n, true, 99, 0), refused(Syndrome::NoSuchVport));
    let mut input = View::with_tail(ModifyNicVportContextIn::ADDRESSES, 2);
    input
        .at_mut(ModifyNicVportContextIn::FIELDS)
        .set(NicVportFields::ADDRESSES_LIST, true)
        .set(NicVportFields::MTU, true);
    input
        .at_mut(ModifyNicVportContextIn::CONTEXT)
        .set(NicVportContext::MTU, 9000)
        .set(NicVportContext::ALLOWED_LIST_SIZE, 2);
    for i in 0..2 {
        let mut item = input
            .item_mut(ModifyNicVportContextIn::ADDRESSES, i)
            .unwrap();
        item.set(MacAddress::ADDRESS, 0x0200_0000_0000 + i as u64);
    }
    n.d.run(Opcode::ModifyNicVportContext, 0, input).unwrap();
    let out = View::<QueryNicVportContextOut, _>::new(query(&mut n, false, 0, 0).unwrap()).unwrap();
    let context = out.at(QueryNicVportContextOut::CONTEXT);
    assert_eq!(context.get(NicVportContext::MTU), 9000);
    assert_eq!(context.get(NicVportContext::ALLOWED_LIST_SIZE), 2);
    let (table, group) = fdb(&mut n);
    n.entry(table, group, 0, &source(UPLINK), &to(1)).unwrap();
    n.arrive(0, &frames::udp(2, 1, 5, b"x"));
    let mut input = View::<QueryVportCounterIn, _>::zeroed();
    input
        .set(QueryVportCounterIn::OTHER_VPORT, true)
        .set(QueryVportCounterIn::VPORT_NUMBER, 1);
    let out = n.d.run(Opcode::QueryVportCounter, 0, input).unwrap();
    let out = View::<QueryVportCounterOut, _>::new(out).unwrap();
    let unicast = out.at(QueryVportCounterOut::RECEIVED_ETH_UNICAST);
    assert_eq!(unicast.get(FlowStatistics::PACKETS), 1);
    // A vport that is down has no traffic.
    let mut input = View::<ModifyVportStateIn, _>::zeroed();
    input
        .set(ModifyVportStateIn::OTHER_VPORT, true)
        .set(ModifyVportStateIn::VPORT_NUMBER, 1)
        .set(ModifyVportStateIn::ADMIN_STATE, 0);
    n.left(1);
    n.d.run(Opcode::ModifyVportState, 1, input).unwrap();
    n.arrive(0, &frames::udp(2, 1, 5, b"x"));
    assert!(n.left(1).is_empty());
}
