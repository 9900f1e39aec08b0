//! What the driver makes of a NIC that fails: it says so in time, gives up nothing that is not lost,
//! and comes back.

mod bench;

use bench::{Bench, NicOnTheBench};
use hal::{Completion, DeviceError, FlowDevice, Outcome, RuleError, RuleKey, RuleOp, RxBatch};
use hal_sim::connectx::Failure;
use hal_sim::contract;
use std::time::Duration;

/// Polls in steps of the clock until the device says that it does not work; how long that took.
fn until_it_fails(bench: &mut NicOnTheBench, at_most: Duration) -> (DeviceError, Duration) {
    let begun = bench.clock.now();
    let mut done = Vec::new();
    while bench.clock.now() - begun <= at_most {
        bench.nic.turn();
        if let Err(e) = bench.device.poll(&mut done) {
            return (e, bench.clock.now() - begun);
        }
        bench.clock.warp(Duration::from_millis(10));
    }
    panic!("it never says so");
}

/// A frame comes in and is seen by whoever has it to be.
fn software_gets_it(bench: &mut NicOnTheBench) -> bool {
    bench.settle();
    while bench.wires[1].receive().is_some() {}
    assert!(bench.wires[0].send(contract::frame(7)));
    bench.settle();
    let mut batch = RxBatch::default();
    bench.rx[0].receive(&mut batch).unwrap();
    batch.len() == 1
}

fn hardware_carries_it(bench: &mut NicOnTheBench) -> bool {
    bench.settle();
    while bench.wires[1].receive().is_some() {}
    assert!(bench.wires[0].send(contract::frame(7)));
    bench.settle();
    bench.wires[1].receive().is_some()
}

/// After a reset it is as new: software gets what no rule takes, rules take what they match.
#[track_caller]
fn works_again(bench: &mut NicOnTheBench) {
    bench.device.reset().unwrap();
    assert_eq!(bench.device.stats().rules, 0);
    assert!(software_gets_it(bench));
    bench.add(100, contract::rule(7, 1));
    assert!(hardware_carries_it(bench));
}

#[test]
fn a_device_that_reads_as_all_ones_is_noticed_within_a_second() {
    let mut bench = Bench::new("{}").with_ports(2);
    bench.add(1, contract::rule(7, 1));
    bench.nic.fail(Failure::Gone);
    let (error, took) = until_it_fails(&mut bench, Duration::from_secs(2));
    assert!(error.what.contains("gone"), "{error}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    // It is gone for good, and that is said each time.
    for _ in 0..2 {
        let error = bench.device.reset().unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
    let key = RuleKey(2);
    let rule = contract::rule(8, 1);
    assert!(bench.device.submit(RuleOp::Add { key, rule }).is_err());
    // Its ports are quiet.
    let mut batch = RxBatch::default();
    let _ = bench.rx[0].receive(&mut batch);
    assert!(batch.is_empty());
    assert!(!bench.tx[1].send(&contract::frame(7)));
}

#[test]
fn firmware_that_stands_still_or_is_ill_is_noticed_and_reset() {
    for (failure, word) in [
        (Failure::Dead, "counter"),
        (
            Failure::Health {
                syndrome: 8,
                fatal: true,
            },
            "unrecoverable hardware error",
        ),
    ] {
        let mut bench = Bench::new("{}").with_ports(2);
        bench.add(1, contract::rule(7, 1));
        assert!(hardware_carries_it(&mut bench));
        bench.nic.fail(failure);
        let (error, took) = until_it_fails(&mut bench, Duration::from_secs(5));
        assert!(error.what.contains(word), "{error}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        works_again(&mut bench);
    }
}

#[test]
fn an_illness_that_passes_is_no_failure() {
    let mut bench = Bench::new("{}").with_ports(2);
    bench.nic.fail(Failure::Health {
        syndrome: 0x10,
        fatal: false,
    });
    let mut done = Vec::new();
    for _ in 0..300 {
        bench.nic.turn();
        bench.device.poll(&mut done).unwrap();
        bench.clock.warp(Duration::from_millis(10));
    }
}

#[test]
fn a_command_that_never_comes_back_ends_the_device() {
    let faults = r#"{"faults":{"lose-command":1.0,"commands":["SET_FLOW_TABLE_ENTRY"]}}"#;
    let mut bench = Bench::new("{}").with_ports(2);
    bench.add(1, contract::rule(7, 1));
    drop(bench);
    // Its own set-up needs no entry that can be lost: nothing comes up.
    let bench = Bench::new(faults);
    let device = bench.device.clone();
    let opener = Box::new(move || Ok(device.clone()));
    let failed = hal_mlx::MlxDevice::open("nic", opener, bench.patience(), None).err();
    let failed = failed.expect("it cannot come up").to_string();
    assert!(
        failed.contains("SET_FLOW_TABLE_ENTRY(0x936) has not completed"),
        "{failed}"
    );
}

#[test]
fn a_rule_that_is_refused_is_a_rule_that_failed() {
    let faults = r#"{"seed":3,"faults":{"fail-command":0.5,"commands":["ALLOC_MODIFY_HEADER_CONTEXT",
        "DEALLOC_MODIFY_HEADER_CONTEXT"]}}"#;
    // The driver needs one of those itself, and does not come up if it is refused.
    let mut bench = (0..50)
        .find_map(|seed| {
            let faults = faults.replace("\"seed\":3", &format!("\"seed\":{seed}"));
            Bench::new(&faults).try_with_ports(2)
        })
        .expect("one seed lets it come up");
    let (mut held, mut refused) = (Vec::new(), 0);
    for n in 0..40u16 {
        let op = RuleOp::Add {
            key: RuleKey(n.into()),
            rule: contract::rule(n, u128::from(n) + 1),
        };
        match bench.run(op) {
            Outcome::Installed(installed) => held.push((n, installed.handle)),
            Outcome::Failed(RuleError::Fault(why)) => {
                assert!(why.contains("internal error"), "{why}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && !held.is_empty());
    assert_eq!(bench.device.stats().rules, held.len());
    for (n, handle) in held {
        let key = RuleKey(n.into());
        let outcome = bench.run(RuleOp::Remove { key, handle });
        assert!(matches!(outcome, Outcome::Removed(_)), "{outcome:?}");
    }
    assert_eq!(bench.device.stats().rules, 0);
    assert_eq!(bench.device.stats().shared_objects, 0);
}

#[test]
fn full_tables_say_so_and_take_again_what_has_gone() {
    let mut bench = Bench::new(r#"{"faults":{"table-full":12}}"#).with_ports(2);
    let mut handles = Vec::new();
    let full = (0..40u16).find(|n| {
        let op = RuleOp::Add {
            key: RuleKey((*n).into()),
            rule: contract::rule(*n, 1),
        };
        match bench.run(op) {
            Outcome::Installed(installed) => {
                handles.push(installed.handle);
                false
            }
            Outcome::Failed(RuleError::TableFull) => true,
            other => panic!("{other:?}"),
        }
    });
    let full = full.expect("it is full at some time");
    assert_eq!(handles.len(), usize::from(full));
    let key = RuleKey(0);
    let handle = handles[0];
    let gone = bench.run(RuleOp::Remove { key, handle });
    assert!(matches!(gone, Outcome::Removed(_)), "{gone:?}");
    bench.add(99, contract::rule(7777, 1));
}

#[test]
fn late_completions_in_any_order_keep_the_contract() {
    for seed in 0..5 {
        let settings = format!(r#"{{"seed":{seed},"faults":{{"late-command":20}}}}"#);
        let (mut bench, nic) = Bench::new(&settings).contract();
        contract::random_operations(&mut bench, seed, 200, 40)
            .unwrap_or_else(|what| panic!("{seed}: {what}"));
        drop(bench);
        assert_eq!(nic.violations(), Vec::<String>::new(), "{seed}");
    }
}

#[test]
fn completions_with_wrong_bits_are_noticed_and_believed_nothing() {
    let settings = r#"{"seed":1,"faults":{"flip-completion":0.05}}"#;
    let mut bench = Bench::new(settings).with_ports(2);
    let mut failures = 0;
    let mut done: Vec<Completion> = Vec::new();
    for _ in 0..400 {
        assert!(bench.wires[0].send(contract::frame(7)));
        let _ = bench.tx[1].send(&contract::frame(8));
        bench.tx[1].flush();
        bench.settle();
        let mut batch = RxBatch::default();
        let _ = bench.rx[0].receive(&mut batch);
        for (packet, _) in batch.iter_mut() {
            assert!(packet.len() <= 10240);
        }
        if bench.device.poll(&mut done).is_err() {
            failures += 1;
            bench.device.reset().unwrap();
        }
    }
    assert!(failures > 0);
}

#[test]
fn a_send_queue_that_stalls_drops_and_does_not_block() {
    let settings = r#"{"faults":{"stall-send-after":5}}"#;
    let mut bench = Bench::new(settings).with_ports(2);
    let mut dropped = 0;
    for _ in 0..3000 {
        dropped += u32::from(!bench.tx[1].send(&contract::frame(8)));
        bench.tx[1].flush();
    }
    bench.settle();
    assert!(dropped > 0);
    let counters = bench.ports[1].counters();
    assert_eq!(counters.tx_dropped, u64::from(dropped));
    // One full queue is no failure; one that stays full and finishes nothing is.
    let mut done = Vec::new();
    bench.device.poll(&mut done).unwrap();
    let begun = bench.clock.now();
    let error = loop {
        let _ = bench.tx[1].send(&contract::frame(8));
        bench.nic.turn();
        if let Err(e) = bench.device.poll(&mut done) {
            break e.to_string();
        }
        bench.clock.warp(Duration::from_millis(50));
        let waited = bench.clock.now() - begun;
        assert!(waited < Duration::from_secs(3), "it is never noticed");
    };
    assert!(error.contains("a queue of vf0 has stalled"), "{error}");
    works_again(&mut bench);
}

#[test]
fn a_full_queue_that_nobody_uses_is_not_taken_for_a_stalled_one() {
    let settings = r#"{"faults":{"stall-send-after":5}}"#;
    let mut bench = Bench::new(settings).with_ports(2);
    while bench.tx[1].send(&contract::frame(8)) {
        bench.tx[1].flush();
    }
    let mut done = Vec::new();
    for _ in 0..100 {
        bench.device.poll(&mut done).unwrap();
        bench.clock.warp(Duration::from_millis(100));
        bench.nic.turn();
    }
}
