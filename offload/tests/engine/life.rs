//! A flow's life, one turn of it a test.

use crate::model::*;
use hal::*;
use offload::{Admit, Placement};

fn bench() -> Bench {
    Bench::with_device(capabilities(4, 16))
}

#[test]
fn a_flow_goes_in_at_once_counts_and_leaves_hardware_first() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    assert!(b.in_hardware(1));
    assert_eq!(b.engine.offloaded(), 1);
    b.model(0).forward(1, 7);
    b.warp(50);
    assert_eq!(b.credits[&1], 7);
    b.model(0).forward(1, 5);
    b.remove(1);
    assert_eq!(b.software.len(), 1, "hardware first");
    b.run();
    assert!(b.software.is_empty());
    assert_eq!((b.credits[&1], b.releases), (12, 1));
    assert!(b.model(0).rules.is_empty());
}

#[test]
fn other_actions_replace_the_rule_and_lose_no_packet() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    b.model(0).forward(1, 3);
    b.engine.flow_changed(&put(1, 1, 0, &[output(1)]));
    b.run();
    assert_eq!(b.credits[&1], 3);
    let actions = |b: &Bench| {
        b.model(0)
            .rules
            .values()
            .map(|(_, h)| h.rule.actions.clone())
            .next()
    };
    assert_eq!(actions(&b), Some(vec![output(1)]));
    // Actions that the device does not have take the flow out.
    b.model(0).forward(1, 2);
    b.engine.flow_changed(&put(1, 1, 0, &[Action::PopVlan]));
    b.run();
    assert_eq!(b.reason(1), Some(Reason::Action("pop_vlan")));
    assert_eq!(b.credits[&1], 5);
    assert!(b.model(0).rules.is_empty());
}

#[test]
fn a_change_while_the_rule_is_on_its_way_is_made_good() {
    let mut b = bench();
    b.model(0).asleep = true;
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    assert_eq!(b.reason(1), Some(Reason::Pending));
    b.engine.flow_changed(&put(1, 1, 0, &[output(1)]));
    b.run();
    b.model(0).asleep = false;
    b.run();
    let rule = b
        .model(0)
        .rules
        .values()
        .next()
        .map(|(_, h)| h.rule.actions.clone());
    assert_eq!(rule, Some(vec![output(1)]));
    // And a removal.
    b.model(0).asleep = true;
    b.add(&put(2, 1, 0, &[output(2)]));
    b.run();
    b.remove(2);
    assert_eq!(b.releases, 0);
    b.model(0).asleep = false;
    b.run();
    assert_eq!((b.releases, b.engine.offloaded()), (1, 1));
}

#[test]
fn every_obstacle_has_its_reason() {
    let mut b = bench();
    b.add_device("nic1", capabilities(4, 16), &[3]);
    let user = Action::Userspace(UserCookie::SlowPath(SlowPath::Lacp));
    let many = [output(2), output(2), output(2), output(2)];
    let set = Action::Set {
        field: packet::FieldId::EthSrc,
        value: 1,
        mask: packet::FieldId::EthSrc.full(),
    };
    let hash = Action::Hash {
        algorithm: HashAlgorithm::L4,
        basis: 0,
    };
    let cases: Vec<(FlowPut, Reason)> = vec![
        (put(1, 9, 0, &[output(2)]), Reason::IngressPort(DpPort(9))),
        (put(2, 1, 0, &[output(9)]), Reason::EgressPort(DpPort(9))),
        (put(3, 1, 0, &[output(3)]), Reason::EgressPort(DpPort(3))),
        (put(4, 1, 0, &[user]), Reason::SlowPath),
        (
            put(5, 1, 0, &many),
            Reason::TooManyActions { have: 4, limit: 3 },
        ),
        (
            put(6, 1, 0, &[set, output(2)]),
            Reason::SetField(packet::FieldId::EthSrc),
        ),
        (put(7, 1, 0, &[hash, recirc(5)]), Reason::Action("hash")),
        (put(8, 1, 77, &[output(2)]), Reason::Predecessor),
    ];
    for (flow, _) in &cases {
        b.add(flow);
    }
    b.run();
    for (flow, reason) in &cases {
        assert_eq!(b.reason(flow.ufid.0 as u64).as_ref(), Some(reason));
    }
    let text = b.engine.report().text();
    assert!(text.contains("egress-port: 2"), "{text}");
    b.engine.set_enabled(false);
    b.run();
    assert_eq!(b.reason(1), Some(Reason::Disabled));
}

#[test]
fn off_takes_all_rules_out_and_on_brings_them_back() {
    let mut b = bench();
    for i in 1..=3 {
        b.add(&put(i, 1, 0, &[output(2)]));
    }
    b.run();
    b.model(0).forward(2, 9);
    b.engine.set_enabled(false);
    b.run();
    assert_eq!(b.reason(2), Some(Reason::Disabled));
    assert_eq!((b.credits[&2], b.model(0).rules.len()), (9, 0));
    b.engine.set_enabled(true);
    b.run();
    assert_eq!(b.engine.offloaded(), 3);
}

#[test]
fn a_full_table_says_so_and_the_next_in_line_takes_a_free_slot() {
    let mut b = bench();
    for i in 1..=6 {
        b.add(&put(i, 1, 0, &[output(2)]));
    }
    b.run();
    assert_eq!(b.reason(5), Some(Reason::TableFull { limit: 4 }));
    b.remove(2);
    b.run();
    assert!(b.in_hardware(5));
    assert_eq!(b.reason(6), Some(Reason::TableFull { limit: 4 }));
}

#[test]
fn who_waits_in_vain_holds_up_nobody() {
    let mut b = Bench::with_device(capabilities(2, 16));
    b.add(&put(1, 1, 0, &[output(2)]));
    b.add(&put(2, 1, 0, &[recirc(7)]));
    b.run();
    b.add(&put(3, 1, 7, &[output(2)]));
    b.add(&put(4, 1, 0, &[output(1)]));
    b.run();
    assert_eq!(b.reason(3), Some(Reason::TableFull { limit: 2 }));
    // The slots of 1 and 2 are free, and 3 may not have one.
    b.remove(2);
    b.run();
    assert_eq!(b.reason(3), Some(Reason::Predecessor));
    assert!(b.in_hardware(4));
}

#[test]
fn a_short_queue_only_takes_longer() {
    let mut b = Bench::with_device(capabilities(100, 2));
    b.model(0).asleep = true;
    for i in 1..=20 {
        b.add(&put(i, 1, 0, &[output(2)]));
    }
    b.run();
    assert_eq!(b.reason(20), Some(Reason::Pending));
    b.model(0).asleep = false;
    b.run();
    assert_eq!(b.engine.offloaded(), 20);
    assert!(b.engine.next_deadline() > b.now());
}

#[test]
fn a_chain_goes_in_from_the_front_and_out_from_the_back() {
    let mut b = bench();
    b.add(&put(3, 1, 8, &[output(2)]));
    b.add(&put(2, 1, 7, &[recirc(8)]));
    b.run();
    assert_eq!(b.reason(3), Some(Reason::Predecessor));
    b.add(&put(1, 1, 0, &[mark(6), recirc(7)]));
    b.run();
    assert_eq!(b.engine.offloaded(), 3);
    // A miss behind the second recirculation has the mark of the first rule.
    let resume = |b: &Bench, flow| {
        let model = b.model(0);
        let held = model.rules.values().find(|(_, h)| h.flow() == flow);
        held.and_then(|(_, h)| h.rule.resume)
    };
    let id = resume(&b, 2).expect("it recirculates");
    let state = b.engine.resume_table().resolve(id).expect("in use");
    assert_eq!((state.recirc_id, state.pkt_mark), (8, 6));
    // Another mark changes what those behind must say.
    b.engine.flow_changed(&put(1, 1, 0, &[mark(5), recirc(7)]));
    b.run();
    let id = resume(&b, 2).expect("it recirculates");
    let state = b.engine.resume_table().resolve(id).expect("in use");
    assert_eq!((state.recirc_id, state.pkt_mark), (8, 5));
    b.remove(1);
    b.run();
    assert_eq!(b.engine.offloaded(), 0);
    assert_eq!(b.reason(2), Some(Reason::Predecessor));
    assert_eq!(b.reason(3), Some(Reason::Predecessor));
}

#[test]
fn one_predecessor_in_software_keeps_a_flow_out() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[recirc(7)]));
    b.add(&put(2, 1, 7, &[output(2)]));
    b.run();
    assert!(b.in_hardware(2));
    b.add(&put(3, 1, 0, &[Action::PopVlan, recirc(7)]));
    b.run();
    assert_eq!(b.reason(2), Some(Reason::Predecessor));
    assert!(b.in_hardware(1));
    // One that enters elsewhere does not lead here.
    b.remove(3);
    b.add(&put(4, 9, 0, &[recirc(7)]));
    b.run();
    assert!(b.in_hardware(2));
}

#[test]
fn a_device_that_fails_is_reset_and_filled_again() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    b.model(0).forward(1, 4);
    b.warp(50);
    b.model(0).broken = true;
    b.model(0).dead = true;
    b.run();
    assert_eq!(b.reason(1), Some(Reason::DeviceDown("it smokes".into())));
    assert_eq!(b.engine.offloaded(), 0);
    // A flow that a dead device held may go.
    b.add(&put(2, 1, 0, &[output(2)]));
    b.remove(2);
    assert_eq!(b.software.len(), 1);
    b.model(0).dead = false;
    b.warp(60_000);
    assert!(b.in_hardware(1));
    b.model(0).forward(1, 2);
    b.warp(50);
    assert_eq!(b.credits[&1], 6);
    // A reset that nobody asked for.
    b.model(0).reset();
    b.run();
    assert!(b.in_hardware(1));
    assert_eq!(b.model(0).stale, 0);
}

#[test]
fn a_device_that_stays_broken_is_asked_less_and_less() {
    let mut b = bench();
    b.model(0).broken = true;
    b.model(0).dead = true;
    b.run();
    let mut attempts = 0;
    let mut last = b.now();
    for _ in 0..12 {
        let next = b.engine.next_deadline();
        assert!(next - b.now() <= std::time::Duration::from_secs(30));
        if next > last {
            attempts += 1;
            last = next;
        }
        b.warp((next - b.now()).as_millis() as u64 + 1);
    }
    assert!(attempts >= 11);
    assert!(b.engine.next_deadline() - b.now() >= std::time::Duration::from_secs(29));
}

#[test]
fn a_port_that_goes_takes_its_rules_along() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.add(&put(2, 1, 0, &[output(1)]));
    b.run();
    b.engine.bind_port("nic0", "p2", None);
    b.run();
    assert_eq!(b.reason(1), Some(Reason::EgressPort(DpPort(2))));
    assert!(b.in_hardware(2));
    b.engine.bind_port("nic0", "p2", Some(DpPort(2)));
    b.run();
    assert!(b.in_hardware(1));
}

#[test]
fn the_policy_wants_to_see_traffic_first() {
    let mut b = bench();
    b.engine.set_admit(Admit::Policy);
    b.add(&put(1, 1, 0, &[output(2)]));
    b.add(&put(2, 1, 0, &[output(2)]));
    for i in 1..=6u64 {
        b.warp(500);
        let seen = |packets| FlowStats {
            packets,
            ..FlowStats::default()
        };
        b.engine.observe(Ufid(1), &seen(i * 1000));
        b.engine.observe(Ufid(2), &seen(i * 2));
    }
    b.run();
    assert!(b.in_hardware(1));
    assert!(matches!(
        b.reason(2),
        Some(Reason::TooSlow { threshold: 100, .. })
    ));
}

#[test]
fn refused_rules_are_tried_again_later() {
    let mut b = bench();
    b.model(0).refuse = 1;
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    assert_eq!(b.reason(1), Some(Reason::Refused("no".into())));
    b.warp(6_000);
    assert!(b.in_hardware(1));
}

#[test]
fn the_report_fits_a_terminal() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    let report = b.engine.report();
    assert!(report.text().lines().all(|l| l.chars().count() <= 80));
    assert!(report.text().contains("rules: 1/4"));
    assert_eq!(report.json()["devices"][0]["rules"], 1);
}

#[test]
fn a_fast_flow_brings_those_before_it_along() {
    let mut b = bench();
    b.engine.set_admit(Admit::Policy);
    b.add(&put(1, 1, 0, &[recirc(7)]));
    b.add(&put(2, 1, 0, &[mark(1), recirc(7)]));
    b.add(&put(3, 1, 7, &[output(2)]));
    for i in 1..=8u64 {
        b.warp(500);
        let seen = |packets| FlowStats {
            packets,
            ..FlowStats::default()
        };
        b.engine.observe(Ufid(1), &seen(i * 1000));
        b.engine.observe(Ufid(2), &seen(i));
        b.engine.observe(Ufid(3), &seen(i * 1001));
    }
    b.run();
    assert_eq!(b.engine.offloaded(), 3);
    // So does one that comes later.
    b.add(&put(4, 1, 0, &[mark(2), recirc(7)]));
    b.run();
    assert!(b.in_hardware(3) && b.in_hardware(4));
}

#[test]
fn a_rule_that_recirculates_again_yields_to_another_state() {
    let mut b = Bench::with_device(capabilities(9, 16));
    b.add(&put(1, 1, 0, &[mark(1), recirc(7)]));
    b.add(&put(2, 1, 7, &[recirc(8)]));
    b.run();
    assert!(b.in_hardware(2));
    b.add(&put(3, 1, 0, &[mark(2), recirc(7)]));
    b.model(0).asleep = true;
    b.run();
    b.model(0).asleep = false;
    b.run();
    assert!(b.in_hardware(1) && b.in_hardware(3));
    assert_eq!(b.reason(2), Some(Reason::NoResume));
}

#[test]
fn the_wanted_device_stands_first() {
    let mut b = bench();
    b.add_device("nic1", capabilities(4, 16), &[3]);
    b.engine.set_priority(&["nic1".into(), "none".into()]);
    let names: Vec<_> = b
        .engine
        .report()
        .devices
        .into_iter()
        .map(|d| d.name)
        .collect();
    assert_eq!(names, ["nic1", "nic0"]);
}

#[test]
fn a_full_table_replaces_one_after_the_other() {
    let mut b = Bench::with_device(capabilities(4, 16));
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    b.model(0).forward(1, 3);
    b.model(0).no_room = true;
    b.engine.flow_changed(&put(1, 1, 0, &[output(1)]));
    b.run();
    assert!(b.in_hardware(1));
    assert_eq!(b.credits[&1], 3);
}

#[test]
fn an_operation_that_does_not_end_costs_no_packet_and_no_rule() {
    let mut b = bench();
    // Nobody hears that the rule is in, and it forwards.
    b.model(0).hush = 1;
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    b.model(0).forward(1, 5);
    assert!(!b.in_hardware(1));
    b.warp(4_900);
    assert!(!b.credits.contains_key(&1));
    b.warp(200);
    assert_eq!(b.credits[&1], 5);
    b.warp(1);
    assert!(b.in_hardware(1), "{:?}", b.reason(1));
    // Nobody hears that it was replaced.
    b.model(0).forward(1, 2);
    b.model(0).hush = 1;
    b.engine.flow_changed(&put(1, 1, 0, &[output(1)]));
    b.run();
    b.model(0).forward(1, 3);
    b.warp(5_100);
    assert_eq!(b.credits[&1], 10);
    // Nobody hears that it is gone; the flow is let go when it is certain.
    b.warp(60_000);
    b.run();
    assert!(b.in_hardware(1), "{:?}", b.reason(1));
    b.model(0).forward(1, 4);
    b.model(0).hush = 1;
    b.remove(1);
    b.run();
    assert_eq!(b.releases, 0);
    b.warp(5_100);
    assert_eq!((b.credits[&1], b.releases), (14, 1));
    assert_eq!(b.model(0).stale, 0);
}

#[test]
fn a_device_that_is_left_alone_forwards_nothing_unseen() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    for _ in 0..4 {
        b.model(0).broken = true;
        b.run();
        assert!(b.model(0).rules.is_empty() || b.in_hardware(1));
        b.warp(50);
    }
    assert!(!b.in_hardware(1), "it is not trusted after so many faults");
    assert!(b.model(0).rules.is_empty());
}

#[test]
fn a_device_without_ports_leaves_and_the_others_stay_what_they_are() {
    let mut b = bench();
    b.add_device("nic1", capabilities(4, 16), &[3, 4]);
    b.add(&put(1, 1, 0, &[output(2)]));
    b.add(&put(2, 3, 0, &[output(4)]));
    b.run();
    assert!(b.in_hardware(1) && b.in_hardware(2));
    b.engine.bind_port("nic0", "p1", None);
    b.run();
    assert!(b.engine.has_device("nic0"));
    b.engine.bind_port("nic0", "p2", None);
    b.run();
    assert!(!b.engine.has_device("nic0"));
    let held = |b: &Bench| b.engine.placement(Ufid(2));
    let device = "nic1".to_owned();
    assert_eq!(
        held(&b),
        Placement::Hardware {
            device: device.clone()
        }
    );
    b.model(1).forward(2, 3);
    b.engine.flow_changed(&put(2, 3, 0, &[output(3)]));
    b.run();
    b.warp(50);
    assert_eq!(b.credits[&2], 3);
    assert_eq!(held(&b), Placement::Hardware { device });
    b.remove(2);
    b.run();
    assert!(b.model(1).rules.is_empty());
    assert_eq!(b.reason(1), Some(Reason::IngressPort(DpPort(1))));
}

#[test]
fn a_flow_that_lost_its_rule_with_a_port_goes_when_the_last_reading_is_told() {
    let mut b = bench();
    b.add(&put(1, 1, 0, &[output(2)]));
    b.run();
    b.model(0).forward(1, 3);
    b.engine.bind_port("nic0", "p2", None);
    b.remove(1);
    assert_eq!(b.software.len(), 1);
    b.run();
    assert_eq!((b.credits[&1], b.releases), (3, 1));
    assert!(b.software.is_empty());
}

#[test]
fn what_openflow_has_no_name_for_keeps_a_flow_out_by_its_own_name() {
    use packet::FieldId;
    let mut device = capabilities(4, 16);
    for table in &mut device.tables {
        table.match_exact.insert(FieldId::VlanTci);
        table.match_exact.insert(FieldId::VlanTpid);
    }
    let mut b = Bench::with_device(device);
    let tagged = |flow: u64, fields: &[(FieldId, u128)]| {
        let mut put = put(flow, 1, 0, &[output(2)]);
        for (field, value) in fields {
            put.key.set(*field, *value);
            put.mask.add_all(*field);
        }
        put
    };
    let outer = [(FieldId::VlanTpid, 0x88a8), (FieldId::VlanTci, 0x1005)];
    b.add(&tagged(1, &outer));
    let mut two = tagged(2, &outer);
    two.mask.add(FieldId::Vlan2Tci, 0x1000);
    b.add(&two);
    // A bit between the fields: a rule without it would match more than the flow.
    let mut odd = tagged(3, &[]);
    odd.mask.words[18] |= 1;
    b.add(&odd);
    b.run();
    assert!(b.in_hardware(1));
    let types = |b: &Bench| {
        let model = b.model(0);
        let rules: Vec<_> = model.rules.values().collect();
        let of = |m: &&MatchField| m.field == FieldId::VlanTpid;
        rules[0].1.rule.matches.iter().find(of).map(|m| m.value)
    };
    assert_eq!(types(&b), Some(0x88a8));
    let why = b.reason(2).unwrap();
    assert_eq!(why, Reason::Field(FieldId::Vlan2Tci));
    assert_eq!(why.to_string(), "the NIC cannot match vlan2_tci");
    assert_eq!(why.remedy(), "a device that can match it (offload/show)");
    assert_eq!(b.reason(3), Some(Reason::Unnamed { word: 18, bits: 1 }));
}

#[test]
fn a_slow_device_is_given_its_time() {
    let slow = Capabilities {
        inserts_per_second: 1,
        ..capabilities(16, 16)
    };
    let mut b = Bench::with_device(slow);
    b.model(0).asleep = true;
    for i in 1..=8 {
        b.add(&put(i, 1, 0, &[output(2)]));
    }
    // One begins each second, and none ends.
    for _ in 0..6 {
        b.warp(1_000);
    }
    assert!(
        matches!(b.reason(1), Some(Reason::Pending)),
        "{:?}",
        b.reason(1)
    );
    b.model(0).asleep = false;
    for _ in 0..12 {
        b.warp(1_000);
    }
    assert!((1..=8).all(|i| b.in_hardware(i)));
    assert_eq!(b.engine.report().devices[0].epoch, 0);
}
