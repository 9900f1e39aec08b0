//! Placement in virtual time: a million short flows and a thousand elephants.
//!
//! Twenty thousand short flows begin each second, live for a second, and carry at most a few
//! packets at once; one in a hundred is a burst. A thousand elephants start at different moments
//! and carry between 1,000 and 20,000 packets/s, give or take a third from one visit to the next.
//! The device has room for 950 rules, too few for all, and takes 10,000 insertions/s. The engine learns all of it as it does from the datapath: by a visit
//! of all flows each half second.

use crate::model::*;
use hal::*;
use std::time::Duration;

const SHORT: u64 = 1_000_000;
const ELEPHANTS: u64 = 1_000;
const VISIT: u64 = 500;
const SHORT_PER_VISIT: u64 = 10_000;

#[test]
fn elephants_go_in_and_queries_stay_out() {
    let mut b = Bench::new();
    let device = Capabilities {
        inserts_per_second: 10_000,
        ..capabilities(950, 1_024)
    };
    b.add_device("nic0", device, &[1, 2]);
    b.engine.set_enabled(true);
    let mut dice = fastrand::Rng::with_seed(4);
    let template = put(0, 1, 0, &[output(2)]);
    let flow = |number: u64| {
        let mut put = template.clone();
        put.ufid = Ufid(number.into());
        // Nobody looks at the match of a flow that is never placed.
        if number >= SHORT {
            put.key.set(packet::FieldId::EthDst, number.into());
        }
        put
    };
    // Bytes a packet: elephants fill their frames.
    let (fat, lean) = (1_400, 120);
    let rates: Vec<u64> = (0..ELEPHANTS).map(|_| dice.u64(1_000..20_000)).collect();
    let mut totals = vec![0u64; ELEPHANTS as usize];
    let mut young: Vec<(u64, u64)> = Vec::new();
    let (mut hardware, mut all) = (0u64, 0u64);
    let visits = SHORT / SHORT_PER_VISIT;
    let mut steady_evictions = 0;
    for visit in 0..visits {
        // A fifth of the elephants starts in each of the first five seconds.
        let running = (visit + 1).min(10) * ELEPHANTS / 10;
        for e in 0..running {
            let number = SHORT + e;
            if totals[e as usize] == 0 {
                b.engine.flow_added(&flow(number));
            }
            let packets = rates[e as usize] * dice.u64(67..133) / 100 * VISIT / 1000;
            totals[e as usize] += packets;
            if b.in_hardware(number) {
                hardware += packets * fat * u64::from(visit >= visits / 2);
            }
            all += packets * fat * u64::from(visit >= visits / 2);
            let stats = FlowStats {
                packets: totals[e as usize],
                ..FlowStats::default()
            };
            b.engine.observe(Ufid(number.into()), &stats);
        }
        // Those of the last visit have fallen silent, and go.
        for (number, packets) in young.drain(..) {
            let stats = FlowStats {
                packets,
                ..FlowStats::default()
            };
            b.engine.observe(Ufid(number.into()), &stats);
            b.engine.flow_removed(Ufid(number.into()));
        }
        if visit == visits / 2 {
            steady_evictions = b.engine.report().devices[0].evictions;
        }
        let first = visit * SHORT_PER_VISIT;
        for number in first..first + SHORT_PER_VISIT {
            b.engine.flow_added(&flow(number));
            let burst = dice.u64(0..100) == 0;
            let packets = if burst {
                dice.u64(50..300)
            } else {
                dice.u64(1..5)
            };
            all += packets * lean * u64::from(visit >= visits / 2);
            young.push((number, packets));
        }
        b.clock.warp(Duration::from_millis(VISIT / 2));
        for (number, packets) in &young {
            let stats = FlowStats {
                packets: *packets,
                ..FlowStats::default()
            };
            b.engine.observe(Ufid((*number).into()), &stats);
        }
        b.engine.run();
        b.clock.warp(Duration::from_millis(VISIT / 2));
        b.engine.run();
    }
    for (number, _) in young {
        b.engine.flow_removed(Ufid(number.into()));
    }
    b.engine.run();
    let report = b.engine.report();
    let share = hardware as f64 / all as f64;
    assert!(share >= 0.95, "{share}");
    let seconds = (visits / 2) * VISIT / 1000;
    let evictions = report.devices[0].evictions - steady_evictions;
    assert!(evictions < seconds, "{evictions} evictions in {seconds} s");
    assert!(
        report.devices[0].inserts < 2 * ELEPHANTS,
        "{}",
        report.devices[0].inserts
    );
    assert!(b.model(0).peak <= 950);
}
