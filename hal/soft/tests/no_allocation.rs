//! A packet that some megaflow matches is forwarded without the allocator being called and without
//! a lock being taken: neither when the exact-match cache knows it, nor when the classifier has to
//! find it.

use clock::{Clock, Time};
use hal::{
    Action, Datapath, DpPort, FlowPut, HashAlgorithm, LinkState, PacketPort, PollClass,
    PortBackend, PortCounters, PortError, RecircId, RxBatch, RxMeta, RxQueue, TxQueue, Ufid,
};
use hal_soft::ports::dummy::DummyPort;
use hal_soft::{Soft, lock};
use packet::{FieldId, FlowMask, FlowState, Metadata, Packet, compose, parse};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

thread_local! {
    /// Calls of the allocator by this thread. Other tests run in other threads.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that is going away has nothing to measure any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: everything is the system allocator's; counting itself allocates nothing, since the
// counter is a plain number that its thread is born with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above; `at` came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above; `at` came from `System`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a test and its port share.
#[derive(Default)]
struct Wire {
    /// Packets that are still to come in.
    pending: AtomicU64,
    /// Flows that the packets are of: packet `next` is of flow `next % flows`.
    flows: AtomicU64,
    next: AtomicU64,
    sent: AtomicU64,
    last_len: AtomicU64,
}

/// A port that gives packets of as many flows as one likes and counts what is sent to it.
#[derive(Clone)]
struct TestPort {
    wire: Arc<Wire>,
    template: Packet,
}

impl PacketPort for TestPort {
    fn kind(&self) -> &'static str {
        "test"
    }
    fn poll_class(&self) -> PollClass {
        PollClass::Main
    }
    fn take_rx(&self) -> Vec<Box<dyn RxQueue>> {
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

/// Where a composed IPv4 packet has its source address.
const IPV4_SRC: std::ops::Range<usize> = 26..30;

impl RxQueue for TestPort {
    fn receive(&mut self, batch: &mut RxBatch) -> std::io::Result<()> {
        while self.wire.pending.load(Relaxed) > 0 {
            let Some(packet) = batch.add(RxMeta::default()) else {
                break;
            };
            self.wire.pending.fetch_sub(1, Relaxed);
            let flow = self.wire.next.fetch_add(1, Relaxed) % self.wire.flows.load(Relaxed);
            packet.assign_packet(&self.template);
            packet.frame_mut()[IPV4_SRC].copy_from_slice(&(flow as u32).to_be_bytes());
        }
        Ok(())
    }
    fn poll_fd(&self) -> Option<RawFd> {
        None
    }
}

impl TxQueue for TestPort {
    fn send(&mut self, packet: &Packet) -> bool {
        self.wire.sent.fetch_add(1, Relaxed);
        self.wire.last_len.store(packet.len() as u64, Relaxed);
        true
    }
    fn flush(&mut self) {}
}

/// Bytes of the test's packet.
const LEN: usize = 64;

fn udp() -> Packet {
    let mut s = FlowState::default();
    s.set(FieldId::EthDst, 0x0200_0000_0002);
    s.set(FieldId::EthSrc, 0x0200_0000_0001);
    s.set(FieldId::EthType, 0x800);
    s.set(FieldId::IpProto, 17);
    s.set(FieldId::IpTtl, 64);
    s.set(FieldId::UdpSrc, 1000);
    s.set(FieldId::UdpDst, 2000);
    let packet = compose(&s, LEN - 42);
    assert_eq!(packet.len(), LEN);
    packet
}

/// A flow for packets from port 1 with this recirculation id, by the fields of `mask`.
fn flow(ufid: u128, recirc: u32, mask: &FlowMask, actions: Vec<Action>) -> FlowPut {
    let meta = Metadata {
        in_port: 1,
        recirc_id: recirc,
        ..Metadata::default()
    };
    let mut all = mask.clone();
    all.add_all(FieldId::InPortOxm);
    all.add_all(FieldId::RecircId);
    FlowPut {
        ufid: Ufid(ufid),
        key: parse(&mut udp(), &meta),
        mask: all,
        actions: actions.into(),
    }
}

/// A datapath of two ports: packets enter by the first, flows send them to the second.
struct Rig {
    soft: Soft,
    input: Arc<Wire>,
    output: Arc<Wire>,
}

impl Rig {
    fn new() -> Rig {
        let mut soft = Soft::new("test", Clock::stopped_at(0), 0);
        let mut open = |name: &str| {
            let port = TestPort {
                wire: Arc::default(),
                template: udp(),
            };
            let wire = port.wire.clone();
            let backend = PortBackend::Packets(Arc::new(port));
            soft.add_port(name, backend, None).unwrap();
            wire
        };
        let (input, output) = (open("in"), open("out"));
        Rig {
            soft,
            input,
            output,
        }
    }

    /// Receives and forwards so many packets; gives the calls of the allocator and the locks taken
    /// meanwhile.
    fn forward(&mut self, packets: u64) -> (u64, u64) {
        self.input.pending.store(packets, Relaxed);
        let before = (CALLS.get(), lock::taken());
        while self.input.pending.load(Relaxed) > 0 {
            self.soft.turn(Time::from_millis(1));
        }
        (CALLS.get() - before.0, lock::taken() - before.1)
    }

    fn sent(&self) -> u64 {
        self.output.sent.load(Relaxed)
    }
}

/// No call of the allocator, no lock.
const NOTHING: (u64, u64) = (0, 0);

fn out() -> Action {
    Action::Output(DpPort(2))
}

fn set(field: FieldId, value: u128) -> Action {
    Action::Set {
        field,
        value,
        mask: u128::MAX,
    }
}

fn vlan() -> Action {
    Action::PushVlan {
        tpid: 0x8100,
        tci: 0x1064,
    }
}

/// Steps, and what they send for one packet: the last one's length, and how many.
struct Case {
    name: &'static str,
    actions: Vec<Action>,
    len: usize,
    copies: u64,
}

fn cases() -> Vec<Case> {
    let case = |name, actions, len, copies| Case {
        name,
        actions,
        len,
        copies,
    };
    let rewrite = vec![
        set(FieldId::EthDst, 0x0200_0000_0009),
        set(FieldId::Ipv4Dst, 0x0a00_0001),
        set(FieldId::IpTtl, 63),
        set(FieldId::UdpDst, 53),
        out(),
    ];
    let push_pop = vec![vlan(), out(), Action::PopVlan, out()];
    let copied = vec![
        Action::Clone(vec![vlan(), out()]),
        Action::Truncate(20),
        out(),
    ];
    let hash = Action::Hash {
        algorithm: HashAlgorithm::L4,
        basis: 1,
    };
    let again = vec![vlan(), hash, Action::Recirc(RecircId(7))];
    vec![
        case("output", vec![out()], LEN, 1),
        case("set fields", rewrite, LEN, 1),
        case("push VLAN", vec![vlan(), out()], LEN + 4, 1),
        case("push and pop VLAN", push_pop, LEN, 2),
        case("clone and truncate", copied, 20, 2),
        case("hash and recirculate", again, LEN, 1),
    ]
}

fn rig_of(case: &Case) -> Rig {
    let mut rig = Rig::new();
    let mut narrow = FlowMask::ANY;
    narrow.add_all(FieldId::EthDst);
    let first = flow(1, 0, &narrow, case.actions.clone());
    rig.soft.put_flow(first).unwrap();
    let again = flow(2, 7, &FlowMask::ANY, vec![Action::PopVlan, out()]);
    rig.soft.put_flow(again).unwrap();
    rig
}

#[test]
fn packets_that_the_cache_knows_allocate_nothing() {
    const PACKETS: u64 = 10_000;
    for case in cases() {
        let name = case.name;
        let mut rig = rig_of(&case);
        rig.input.flows.store(20, Relaxed);
        rig.forward(2_000);
        let (before, sent) = (rig.soft.stats(), rig.sent());
        assert_eq!(rig.forward(PACKETS), NOTHING, "{name}");
        let after = rig.soft.stats();
        assert!(after.cache_hits >= before.cache_hits + PACKETS, "{name}");
        assert_eq!(after.masks_tried, before.masks_tried, "{name}");
        assert_eq!(rig.sent() - sent, PACKETS * case.copies, "{name}");
        assert_eq!(rig.output.last_len.load(Relaxed), case.len as u64, "{name}");
    }
}

#[test]
fn packets_that_only_the_classifier_knows_allocate_nothing() {
    // So many flows that each place of the cache has long been taken: an empty one is filled
    // once, with an allocation. Every packet is of a flow that was never seen.
    const WARM: u64 = 150_000;
    const PACKETS: u64 = 20_000;
    for case in cases() {
        let name = case.name;
        let mut rig = rig_of(&case);
        rig.input.flows.store(1 << 32, Relaxed);
        rig.forward(WARM);
        let (before, sent) = (rig.soft.stats(), rig.sent());
        assert_eq!(rig.forward(PACKETS), NOTHING, "{name}");
        let after = rig.soft.stats();
        assert_eq!(after.cache_hits, before.cache_hits, "{name}");
        assert!(after.hits >= before.hits + PACKETS, "{name}");
        assert_eq!(after.misses, 0, "{name}");
        assert_eq!(rig.sent() - sent, PACKETS * case.copies, "{name}");
        assert_eq!(rig.output.last_len.load(Relaxed), case.len as u64, "{name}");
    }
}

#[test]
fn many_masks_allocate_nothing_while_they_are_put_in_order() {
    // More lookups than there are between two orderings of the subtables.
    const PACKETS: u64 = 40_000;
    let mut rig = Rig::new();
    for bits in 1..=32u32 {
        // Source addresses whose first one is at this place.
        let mut mask = FlowMask::ANY;
        mask.add(FieldId::Ipv4Src, u128::from(!0u32 << (32 - bits)));
        let mut put = flow(bits.into(), 0, &mask, vec![out()]);
        put.key.set(FieldId::Ipv4Src, 1 << (32 - bits));
        rig.soft.put_flow(put).unwrap();
    }
    rig.input.next.store(1, Relaxed);
    rig.input.flows.store(1 << 32, Relaxed);
    rig.forward(150_000);
    let before = rig.soft.stats();
    assert_eq!(rig.forward(PACKETS), NOTHING);
    let after = rig.soft.stats();
    assert_eq!(after.hits - before.hits, PACKETS);
    // Every packet asked the classifier.
    assert!(after.masks_tried >= before.masks_tried + PACKETS);
}

#[test]
fn the_counters_count() {
    let before = CALLS.get();
    drop(std::hint::black_box(Box::new(5)));
    assert_eq!(CALLS.get() - before, 2);
    let before = lock::taken();
    DummyPort::new("dummy", 1).link();
    assert_eq!(lock::taken() - before, 1);
}
