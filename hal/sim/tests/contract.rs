//! The simulated NIC keeps the contract of `FlowDevice`, whatever its settings.

use clock::Clock;
use hal::{DpPort, FlowDevice};
use hal_sim::contract::{Bench, CLAUSES, random_operations};
use hal_sim::{MemoryWire, Settings, SimDevice};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn bench(settings: &str) -> Bench {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let clock = Clock::stopped_at(0);
    let settings = Settings::parse(settings).unwrap();
    let mut device = SimDevice::stepped("nic0", settings, clock.clone()).unwrap();
    let (into, out) = (format!("contract-{n}-in"), format!("contract-{n}-out"));
    let (near, far) = (MemoryWire::new(&into), MemoryWire::new(&out));
    let mut ports = Vec::new();
    for (i, (port, wire)) in [("pf0", into), ("vf0", out)].into_iter().enumerate() {
        ports.push(
            device
                .open_port(port, Some(&format!("memory:{wire}")))
                .unwrap(),
        );
        device.bind_port(port, Some(DpPort(i as u32 + 1)));
    }
    let fabric = device.fabric();
    let inject = move |packet: &packet::Packet| {
        let _open = &ports;
        assert!(near.send(packet.clone()));
        fabric.turn();
        std::iter::from_fn(|| far.receive()).count()
    };
    Bench {
        device: Box::new(device),
        inject: Box::new(inject),
        wait: Box::new(move || clock.warp(Duration::from_millis(1))),
    }
}

const KINDS: [&str; 4] = [
    "{}",
    r#"{"profile":"basic"}"#,
    r#"{"inserts-per-second":2000}"#,
    r#"{"faults":{"late-completion":5},"seed":3}"#,
];

#[test]
fn every_clause_holds() {
    for settings in KINDS {
        for (name, clause) in CLAUSES {
            clause(&mut bench(settings)).unwrap_or_else(|what| panic!("{settings} {name}: {what}"));
        }
    }
}

#[test]
fn random_operations_with_refusals_and_resets_keep_it() {
    let more = [
        r#"{"faults":{"fail-insert":0.3},"seed":1}"#,
        r#"{"faults":{"table-full":3}}"#,
        r#"{"rules":4,"faults":{"late-completion":9}}"#,
    ];
    for settings in KINDS.iter().chain(&more) {
        for seed in 0..20 {
            random_operations(&mut bench(settings), seed, 300, 40)
                .unwrap_or_else(|what| panic!("{settings} {seed}: {what}"));
        }
    }
}
