//! The driver on the simulated NIC, in process and in virtual time: it keeps the contract of
//! `FlowDevice`, moves packets, and comes back after what goes wrong.

mod bench;

use bench::{Bench, NicOnTheBench};
use hal::{Action, DpPort, FlowDevice, Outcome, RecircId, ResumeId, RuleKey, RuleOp, RxBatch};
use hal_sim::contract::{self, CLAUSES, random_operations};
use packet::{FieldId, Packet};

#[test]
fn every_clause_of_the_contract_holds() {
    for (name, clause) in CLAUSES {
        let (mut bench, _nic) = Bench::new("{}").contract();
        clause(&mut bench).unwrap_or_else(|what| panic!("{name}: {what}"));
    }
}

#[test]
fn a_device_that_wants_memory_in_between_gets_it() {
    // While it comes up, and with rules.
    for objects in [8, 64, 100] {
        let bench = Bench::new(&format!(r#"{{"objects":{objects}}}"#));
        let (mut bench, nic) = bench.contract();
        random_operations(&mut bench, 1, 300, 40)
            .unwrap_or_else(|what| panic!("{objects}: {what}"));
        drop(bench);
        assert_eq!(nic.violations(), Vec::<String>::new(), "{objects}");
    }
}

#[test]
fn random_operations_with_resets_keep_the_contract() {
    for seed in 0..10 {
        let (mut bench, nic) = Bench::new("{}").contract();
        random_operations(&mut bench, seed, 300, 40)
            .unwrap_or_else(|what| panic!("{seed}: {what}"));
        drop(bench);
        assert_eq!(nic.violations(), Vec::<String>::new(), "{seed}");
    }
}

/// What software gets of a port.
fn received(bench: &mut NicOnTheBench, port: usize) -> Vec<(Packet, hal::RxMeta)> {
    bench.settle();
    let mut batch = RxBatch::default();
    let mut all = Vec::new();
    for _ in 0..8 {
        batch.clear();
        bench.rx[port].receive(&mut batch).unwrap();
        all.extend(batch.iter_mut().map(|(p, meta)| (p.clone(), meta)));
    }
    all
}

#[test]
fn what_no_rule_matches_comes_to_software_and_what_software_sends_goes_out() {
    let mut bench = Bench::new("{}").with_ports(2);
    let frame = contract::frame(7);
    assert!(bench.wires[0].send(frame.clone()));
    let got = received(&mut bench, 0);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].0.frame(), frame.frame());
    assert_eq!(got[0].1.resume, None);
    assert_eq!(received(&mut bench, 1).len(), 0);

    assert!(bench.tx[1].send(&frame));
    bench.tx[1].flush();
    bench.settle();
    assert_eq!(bench.wires[0].receive().map(|_| ()), None);
    let out = bench.wires[1].receive().expect("a frame");
    assert_eq!(out.frame(), frame.frame());
    assert_eq!(bench.nic.violations(), Vec::<String>::new());
}

#[test]
fn many_packets_go_round_the_rings() {
    let mut bench = Bench::new("{}").with_ports(2);
    let mut sent = 0u16;
    for _ in 0..100 {
        for _ in 0..32 {
            sent += 1;
            assert!(bench.wires[0].send(contract::frame(sent)));
            assert!(bench.tx[1].send(&contract::frame(sent)));
        }
        bench.tx[1].flush();
        let got = received(&mut bench, 0);
        assert_eq!(got.len(), 32);
        for (i, (packet, _)) in got.iter().enumerate() {
            let wanted = contract::frame(sent - 31 + i as u16);
            assert_eq!(packet.frame(), wanted.frame());
        }
        let out: Vec<Packet> = std::iter::from_fn(|| bench.wires[1].receive()).collect();
        assert_eq!(out.len(), 32);
        assert_eq!(out[31].frame(), contract::frame(sent).frame());
    }
    assert_eq!(bench.nic.violations(), Vec::<String>::new());
}

#[test]
fn a_miss_in_a_later_stage_says_where_to_resume() {
    let mut bench = Bench::new("{}").with_ports(2);
    let mut rule = contract::rule(7, 1);
    rule.actions = vec![
        Action::Set {
            field: FieldId::EthDst,
            value: 5,
            mask: FieldId::EthDst.full(),
        },
        Action::Recirc(RecircId(9)),
    ];
    rule.resume = Some(ResumeId(77));
    bench.add(1, rule);
    assert!(bench.wires[0].send(contract::frame(7)));
    let got = received(&mut bench, 0);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].1.resume, Some(ResumeId(77)));
    assert_eq!(got[0].0.frame()[..6], [0, 0, 0, 0, 0, 5]);

    // A rule of that stage takes it on.
    let mut on = contract::rule(7, 3);
    on.recirc = RecircId(9);
    let handle = bench.add(2, on);
    assert!(bench.wires[0].send(contract::frame(7)));
    assert_eq!(received(&mut bench, 0).len(), 0);
    let out = bench.wires[1].receive().expect("a frame");
    assert_eq!(out.frame()[..12], [0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 3]);
    let Outcome::Removed(counter) = bench.run(RuleOp::Remove {
        key: RuleKey(2),
        handle,
    }) else {
        panic!("removed");
    };
    assert_eq!(counter.packets, 1);
    assert_eq!(bench.nic.violations(), Vec::<String>::new());
}

#[test]
fn a_reset_gives_the_ports_new_queues() {
    let mut bench = Bench::new("{}").with_ports(2);
    bench.add(1, contract::rule(7, 1));
    assert!(bench.wires[0].send(contract::frame(7)));
    bench.settle();
    assert!(bench.wires[1].receive().is_some());
    let last = bench.device.reset().unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].counter.packets, 1);
    assert_eq!(bench.device.stats().rules, 0);
    assert!(bench.wires[0].send(contract::frame(7)));
    assert_eq!(received(&mut bench, 0).len(), 1);
    assert!(bench.tx[1].send(&contract::frame(8)));
    bench.tx[1].flush();
    bench.settle();
    assert!(bench.wires[1].receive().is_some());
    bench.add(2, contract::rule(7, 1));
    assert!(bench.wires[0].send(contract::frame(7)));
    assert_eq!(received(&mut bench, 0).len(), 0);
    assert_eq!(bench.nic.violations(), Vec::<String>::new());
}

#[test]
fn ports_that_there_are_not_are_refused() {
    let mut bench = Bench::new(r#"{"vfs":1}"#).with_ports(1);
    for name in ["vf1", "pf1", "vf01", "eth0", ""] {
        let refused = bench
            .device
            .open_port(name, None)
            .err()
            .unwrap()
            .to_string();
        assert!(refused.contains("no such port"), "{name}: {refused}");
    }
    let refused = bench
        .device
        .open_port("pf0", None)
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("in use"), "{refused}");
    bench.device.open_port("vf0", None).unwrap();
    // It was closed with its handle.
    bench.device.open_port("vf0", None).unwrap();
    let bound = DpPort(9);
    bench.device.bind_port("vf0", Some(bound));
}
