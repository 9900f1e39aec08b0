//! Reading the key of a 64-byte UDP packet: nanoseconds a packet, and how many of its bytes are
//! looked at.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use packet::{FieldId, FlowState, Metadata, PacketKey, compose, parse, parse_frame};
use std::hint::black_box;

const LEN: usize = 64;
const UDP_HEADER: usize = 8;

fn benches(c: &mut Criterion) {
    let mut s = FlowState::default();
    s.set(FieldId::EthDst, 0x0200_0000_0002);
    s.set(FieldId::EthSrc, 0x0200_0000_0001);
    s.set(FieldId::EthType, 0x800);
    s.set(FieldId::IpProto, 17);
    s.set(FieldId::Ipv4Src, 0x0a00_0001);
    s.set(FieldId::Ipv4Dst, 0x0a00_0002);
    s.set(FieldId::UdpSrc, 1000);
    s.set(FieldId::UdpDst, 2000);
    let mut packet = compose(&s, LEN - 42);
    assert_eq!(packet.len(), LEN);
    let meta = Metadata {
        in_port: 1,
        ..Metadata::default()
    };
    let mut key = PacketKey::default();
    let layers = parse_frame(packet.frame(), &meta, &mut key);
    let headers = layers
        .transport
        .map_or(0, |at| usize::from(at) + UDP_HEADER);
    println!("a packet of {LEN} bytes: {headers} bytes of headers are looked at");

    let mut group = c.benchmark_group("udp64");
    group.sample_size(30).throughput(Throughput::Elements(1));
    group.bench_function("parse", |b| b.iter(|| parse(black_box(&mut packet), &meta)));
    group.bench_function("parse and hash", |b| {
        b.iter(|| parse(black_box(&mut packet), &meta).hash())
    });
    group.finish();
}

criterion_group!(parsing, benches);
criterion_main!(parsing);
