//! Megaflow lookups by the number of subtables; each packet's flow is in a random one of them.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hal::{FlowPut, Ufid};
use hal_soft::{Classifier, Megaflow, Tallies, Words};
use packet::{FieldId, FlowMask, FlowState};
use std::hint::black_box;
use std::sync::Arc;

const FLOWS_EACH: u32 = 100;
const PACKETS: usize = 4096;

/// The mask of subtable `n`: a port, and so many bits of the addresses that no two are equal.
fn mask(n: u32) -> FlowMask {
    let mut mask = FlowMask::ANY;
    for field in [
        FieldId::RecircId,
        FieldId::InPortOxm,
        FieldId::EthType,
        FieldId::UdpDst,
    ] {
        mask.add_all(field);
    }
    mask.add_all(FieldId::Ipv4Dst);
    let bits = n % 32 + 1;
    mask.add(FieldId::Ipv4Src, u128::from(!0u32 << (32 - bits)));
    if n >= 32 {
        mask.add_all(FieldId::EthDst);
    }
    mask
}

/// A packet of flow `flow` of subtable `n`, and of no other subtable's.
fn state(n: u32, flow: u32) -> FlowState {
    let mut s = FlowState::default();
    s.set(FieldId::InPortOxm, 1);
    s.set(FieldId::EthType, 0x800);
    s.set(FieldId::IpProto, 17);
    s.set(FieldId::Ipv4Src, 0x0a00_0001);
    s.set(FieldId::Ipv4Dst, u128::from(flow));
    s.set(FieldId::UdpDst, u128::from(n + 1));
    s
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("classifier");
    group.sample_size(20).throughput(Throughput::Elements(1));
    for subtables in [1u32, 10, 50] {
        let mut classifier = Classifier::default();
        for n in 0..subtables {
            for flow in 0..FLOWS_EACH {
                let put = FlowPut {
                    ufid: Ufid(u128::from(n) << 32 | u128::from(flow)),
                    key: state(n, flow).to_key(),
                    mask: mask(n),
                    actions: Arc::new([]),
                };
                classifier.insert(Arc::new(Megaflow::new(put, Arc::new(Tallies::new(1)))));
            }
        }
        assert_eq!(classifier.masks(), subtables as usize);
        let mut random = fastrand::Rng::with_seed(1);
        let packets: Vec<Words> = (0..PACKETS)
            .map(|_| {
                let (n, flow) = (random.u32(..subtables), random.u32(..FLOWS_EACH));
                state(n, flow).to_key().expand()
            })
            .collect();
        assert!(packets.iter().all(|p| classifier.lookup(p).0.is_some()));
        let mut next = 0;
        group.bench_function(BenchmarkId::new("hit", subtables), |b| {
            b.iter(|| {
                next = (next + 1) % PACKETS;
                let (flow, tried) = classifier.lookup(black_box(&packets[next]));
                black_box((flow.is_some(), tried))
            });
        });
    }
    group.finish();
}

criterion_group!(lookups, benches);
criterion_main!(lookups);
