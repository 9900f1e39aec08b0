//! A flow table of a million rules: how fast it fills, what a snapshot, a change and a lookup
//! cost.

use clock::{Clock, Time};
use criterion::{Criterion, criterion_group, criterion_main};
use openflow::{Cookie, FlowFlags};
use packet::{CompactMatch, FieldId, FlowState, Match};
use std::hint::black_box;
use std::sync::Arc;
use vswitchd::table::{FlowTable, Rule, RuleId, Timeouts};

const RULES: u32 = 1_000_000;

/// Rules are for five prefix lengths of the destination, with a priority each.
const LENGTHS: [u32; 5] = [32, 30, 28, 26, 24];

fn rule(n: u32) -> Arc<Rule> {
    let (group, n_in_group) = (n % 5, n / 5);
    let length = LENGTHS[group as usize];
    let mut matching = Match::any();
    matching.set(FieldId::EthType, 0x800);
    let mask = !0u32 << (32 - length);
    let address = n_in_group.wrapping_mul(1 << (32 - length));
    matching.set_masked(FieldId::Ipv4Dst, address.into(), mask.into());
    Arc::new(Rule {
        id: RuleId(n.into()),
        table: 0,
        priority: length,
        matching: CompactMatch::pack(&matching),
        cookie: Cookie(0),
        timeouts: Timeouts::default(),
        flags: FlowFlags::default(),
        importance: 0,
        actions: Arc::new([]),
        created: Time::ZERO,
        modified: Time::ZERO,
        stats: Arc::default(),
    })
}

fn benches(c: &mut Criterion) {
    let clock = Clock::real();
    let rules: Vec<Arc<Rule>> = (0..RULES).map(rule).collect();
    let mut table = FlowTable::default();
    let start = clock.now();
    for rule in rules {
        table.insert(rule);
    }
    let took = (clock.now() - start).as_secs_f64();
    assert_eq!(table.len(), RULES as usize);
    println!(
        "{RULES} rules inserted in {took:.2} s: {:.0} a second",
        f64::from(RULES) / took
    );

    let mut group = c.benchmark_group("a table of 1,000,000 rules");
    group.sample_size(20);
    group.bench_function("snapshot", |b| b.iter(|| black_box(&table).clone()));
    let mut extra = Match::any();
    extra.set(FieldId::EthType, 0x800);
    extra.set(FieldId::Ipv4Dst, 0xc0a8_0001);
    let extra = Arc::new(Rule {
        matching: CompactMatch::pack(&extra),
        ..(*rule(0)).clone()
    });
    group.bench_function("insert and remove", |b| {
        b.iter(|| {
            table.insert(extra.clone());
            table.remove(&extra.matching, extra.priority)
        });
    });
    group.bench_function("insert and remove while a snapshot is held", |b| {
        b.iter(|| {
            let snapshot = table.clone();
            table.insert(extra.clone());
            let removed = table.remove(&extra.matching, extra.priority);
            (snapshot.len(), removed)
        });
    });
    let mut random = fastrand::Rng::with_seed(1);
    let packets: Vec<FlowState> = (0..4096)
        .map(|_| {
            let mut s = FlowState::default();
            s.set(FieldId::EthType, 0x800);
            s.set(FieldId::Ipv4Dst, random.u32(..RULES / 5).into());
            s
        })
        .collect();
    assert!(packets.iter().all(|p| table.lookup(p, None).is_some()));
    let mut next = 0;
    group.bench_function("lookup", |b| {
        b.iter(|| {
            next = (next + 1) % packets.len();
            table.lookup(black_box(&packets[next]), None).is_some()
        });
    });
    group.finish();
}

criterion_group!(tables, benches);
criterion_main!(tables);
