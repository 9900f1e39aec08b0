//! The way of a packet that some megaflow matches: received, parsed, looked up, rewritten, sent, by
//! ports that cost nothing. Packets of few flows are known to the exact-match cache, those of very
//! many to the classifier alone.

use clock::{Clock, Time};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hal::{
    Action, BATCH, Datapath, DpPort, FlowPut, LinkState, PacketPort, PollClass, PortBackend,
    PortCounters, PortError, RxBatch, RxMeta, RxQueue, TxQueue, Ufid,
};
use hal_soft::Soft;
use packet::{FieldId, FlowMask, FlowState, Metadata, Packet, compose, parse};
use std::hint::black_box;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where a composed IPv4 packet has its source address.
const IPV4_SRC: std::ops::Range<usize> = 26..30;

/// A port that gives a batch whenever it is asked, of packets from `flows` addresses.
#[derive(Clone)]
struct Endless {
    template: Packet,
    flows: u32,
    next: Arc<AtomicU32>,
}

impl PacketPort for Endless {
    fn kind(&self) -> &'static str {
        "bench"
    }
    fn poll_class(&self) -> PollClass {
        PollClass::Main
    }
    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
        if self.flows == 0 {
            return Vec::new();
        }
        vec![Box::new(self.clone())]
    }
    fn open_tx(&self) -> Result<Box<dyn TxQueue>, PortError> {
        Ok(Box::new(self.clone()))
    }
    fn link(&self) -> LinkState {
        LinkState::default()
    }
    fn counters(&self) -> PortCounters {
        PortCounters::default()
    }
    fn set_admin(&self, _: bool) -> Result<(), PortError> {
        Ok(())
    }
    fn set_mac(&self, _: u64) -> Result<(), PortError> {
        Ok(())
    }
    fn set_mtu(&self, _: u32) -> Result<(), PortError> {
        Ok(())
    }
}

impl RxQueue for Endless {
    fn receive(&mut self, batch: &mut RxBatch) -> std::io::Result<()> {
        while let Some(packet) = batch.add(RxMeta::default()) {
            let flow = self.next.fetch_add(1, Relaxed) % self.flows;
            packet.assign(self.template.frame());
            packet.frame_mut()[IPV4_SRC].copy_from_slice(&flow.to_be_bytes());
        }
        Ok(())
    }
    fn poll_fd(&self) -> Option<RawFd> {
        None
    }
}

impl TxQueue for Endless {
    fn send(&mut self, packet: &Packet) -> bool {
        black_box(packet.frame());
        true
    }
    fn flush(&mut self) {}
}

fn tcp() -> Packet {
    let mut s = FlowState::default();
    s.set(FieldId::EthDst, 0x0200_0000_0002);
    s.set(FieldId::EthSrc, 0x0200_0000_0001);
    s.set(FieldId::EthType, 0x800);
    s.set(FieldId::IpProto, 6);
    s.set(FieldId::IpTtl, 64);
    s.set(FieldId::TcpSrc, 1000);
    s.set(FieldId::TcpDst, 80);
    compose(&s, 20)
}

/// A datapath whose packets, from so many addresses, meet one megaflow with these steps.
fn rig(flows: u32, actions: Vec<Action>) -> Soft {
    let mut soft = Soft::new("bench", Clock::stopped_at(0), 0);
    for (name, flows) in [("in", flows), ("out", 0)] {
        let port = Endless {
            template: tcp(),
            flows,
            next: Arc::default(),
        };
        let backend = PortBackend::Packets(Arc::new(port));
        soft.add_port(name, backend, None).expect("a port");
    }
    let mut mask = FlowMask::ANY;
    for field in [
        FieldId::RecircId,
        FieldId::InPortOxm,
        FieldId::EthSrc,
        FieldId::EthDst,
        FieldId::EthType,
    ] {
        mask.add_all(field);
    }
    let meta = Metadata {
        in_port: 1,
        ..Metadata::default()
    };
    let put = FlowPut {
        ufid: Ufid(1),
        key: parse(&mut tcp(), &meta),
        mask,
        actions: actions.into(),
    };
    soft.put_flow(put).expect("a flow");
    soft
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("hit");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(BATCH as u64));
    let out = || Action::Output(DpPort(2));
    let set = |field, value| Action::Set {
        field,
        value,
        mask: u128::MAX,
    };
    let rewrite = || {
        vec![
            set(FieldId::EthSrc, 0x0200_0000_0003),
            set(FieldId::EthDst, 0x0200_0000_0004),
            set(FieldId::IpTtl, 63),
            out(),
        ]
    };
    for (name, flows, actions) in [
        ("cache, output", 100, vec![out()]),
        ("cache, route", 100, rewrite()),
        ("classifier, output", u32::MAX, vec![out()]),
    ] {
        let mut soft = rig(flows, actions);
        group.bench_function(name, |b| b.iter(|| soft.turn(Time::from_millis(1))));
        assert_eq!(soft.stats().misses, 0);
    }
    group.finish();
}

criterion_group!(hits, benches);
criterion_main!(hits);
