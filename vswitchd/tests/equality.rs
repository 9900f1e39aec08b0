//! Hardware equals software: for any set of megaflows, any subset of them placed in a simulated NIC
//! (with registers or without), any packets, any evictions between packets, the result is that of "none placed", and that
//! of a scan through the flows one by one.

use clock::{Clock, Time};
use hal::pci::PciFunction;
use hal::{
    Action, Completion, Datapath, DpPort, FlowDevice, FlowPut, Outcome, PortBackend, RecircId,
    ResumeId, ResumeTable, Rule, RuleHandle, RuleKey, RuleOp, Ufid, Work,
};
use hal_mlx::{MlxDevice, Patience};
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use hal_sim::{MemoryWire, Settings, SimDevice};
use hal_soft::Soft;
use packet::{FieldId, FlowMask, FlowState, Metadata, Packet, PacketKey, compose, parse};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const PORTS: u32 = 3;
const STAGES: u32 = 5;

/// The process has one limit of tags; a test holds it while it runs.
static LIMIT: Mutex<()> = Mutex::new(());

fn with_vlan_limit<T>(limit: usize, run: impl FnOnce() -> T) -> T {
    let _held = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    packet::set_vlan_limit(limit);
    run()
}

/// Resume ids of this test: the recirculation id itself.
struct Stages;

impl ResumeTable for Stages {
    fn resolve(&self, id: ResumeId) -> Option<Metadata> {
        Some(Metadata {
            recirc_id: id.0,
            ..Metadata::default()
        })
    }
}

/// Which NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sim,
    /// At register level, behind its driver.
    ConnectX,
}

impl Kind {
    fn open(self, clock: &Clock) -> (Box<dyn FlowDevice>, Box<dyn Fn() -> Work>) {
        match self {
            Kind::Sim => {
                let nic = SimDevice::stepped("nic", Settings::default(), clock.clone()).unwrap();
                let fabric = nic.fabric();
                (Box::new(nic), Box::new(move || fabric.turn()))
            }
            Kind::ConnectX => {
                let settings = ConnectXSettings::default();
                let model = ConnectX::stepped("nic", settings, clock.clone()).unwrap();
                let played = model.clone();
                let opener = move || PciFunction::in_process("connectx:nic", played.clone());
                let (waited_for, wired) = (model.clone(), model.clone());
                let patience = Patience::with(clock.clone(), move |_| {
                    waited_for.turn();
                });
                let wires = move |port: &str, wire: &str| wired.connect(port, wire);
                let wires: hal_mlx::Wires = Box::new(wires);
                let nic = MlxDevice::open("nic", Box::new(opener), patience, Some(wires));
                (Box::new(nic.unwrap()), Box::new(move || model.turn()))
            }
        }
    }

    /// A frame as it is on a wire: Ethernet's are not shorter than this.
    fn on_the_wire(self, frame: &mut Vec<u8>) {
        if self == Kind::ConnectX && frame.len() < 60 {
            frame.resize(60, 0);
        }
    }
}

/// A NIC with its representors on a software switch.
struct Bed {
    kind: Kind,
    nic: Box<dyn FlowDevice>,
    /// Lets the NIC work.
    turn: Box<dyn Fn() -> Work>,
    soft: Soft,
    wires: Vec<MemoryWire>,
    flows: Vec<FlowPut>,
    placed: BTreeMap<Ufid, RuleHandle>,
    /// Packets that rules have carried, gone ones included.
    hardware: BTreeMap<Ufid, u64>,
}

static BEDS: AtomicU64 = AtomicU64::new(0);

impl Bed {
    fn new(kind: Kind, flows: &[FlowPut]) -> Bed {
        let clock = Clock::stopped_at(0);
        let (mut nic, turn) = kind.open(&clock);
        let mut soft = Soft::new("netdev", clock, 0);
        soft.set_resume_table(Arc::new(Stages));
        let bed = BEDS.fetch_add(1, Ordering::Relaxed);
        let mut wires = Vec::new();
        for n in 1..=PORTS {
            let (port, wire) = (format!("vf{n}"), format!("equality-{bed}-{n}"));
            wires.push(MemoryWire::new(&wire));
            let representor = nic
                .open_port(&port, Some(&format!("memory:{wire}")))
                .unwrap();
            let backend = PortBackend::Packets(representor);
            let number = soft.add_port(&port, backend, Some(DpPort(n))).unwrap();
            nic.bind_port(&port, Some(number));
        }
        for flow in flows {
            soft.put_flow(flow.clone()).unwrap();
        }
        let (placed, hardware) = (BTreeMap::new(), BTreeMap::new());
        Bed {
            kind,
            nic,
            turn,
            soft,
            wires,
            flows: flows.to_vec(),
            placed,
            hardware,
        }
    }

    fn finish(&mut self, op: RuleOp) -> Option<Outcome> {
        let ticket = self.nic.submit(op).ok()?;
        for _ in 0..100 {
            (self.turn)();
            let mut done: Vec<Completion> = Vec::new();
            self.nic.poll(&mut done).unwrap();
            if let Some(c) = done.into_iter().find(|c| c.ticket == ticket) {
                return Some(c.outcome);
            }
        }
        None
    }

    /// Places a flow, or takes it out again.
    fn toggle(&mut self, at: usize) {
        let flow = self.flows[at % self.flows.len()].clone();
        let key = RuleKey(flow.ufid.0 as u64);
        if let Some(handle) = self.placed.remove(&flow.ufid) {
            let Some(Outcome::Removed(last)) = self.finish(RuleOp::Remove { key, handle }) else {
                panic!("a removal did not complete")
            };
            *self.hardware.entry(flow.ufid).or_default() += last.packets;
            return;
        }
        let rule = Rule::from_megaflow(&flow.key, &flow.mask, flow.actions.to_vec());
        let mut rule = rule.unwrap();
        rule.resume = flow.actions.iter().find_map(|a| match a {
            Action::Recirc(id) => Some(ResumeId(id.0)),
            Action::Clone(inner) => match inner.first() {
                Some(Action::Recirc(id)) => Some(ResumeId(id.0)),
                _ => None,
            },
            _ => None,
        });
        if self.nic.capabilities().check(&rule, &|_| true).is_err() {
            return;
        }
        if let Some(Outcome::Installed(i)) = self.finish(RuleOp::Add { key, rule }) {
            self.placed.insert(flow.ufid, i.handle);
        }
    }

    /// Sends one frame in and sees it through: what left each port, and what was missed.
    fn send(&mut self, port: u32, packet: &Packet) -> Traffic {
        assert!(self.wires[port as usize - 1].send(packet.clone()));
        let mut idle = 0;
        let mut missed = Vec::new();
        while idle < 2 {
            let a = (self.turn)();
            let b = self.soft.turn(Time::ZERO);
            for up in self.soft.upcalls(100) {
                missed.push((up.key, up.packet.frame().to_vec()));
            }
            idle = if (a, b) == (Work::Idle, Work::Idle) {
                idle + 1
            } else {
                0
            };
        }
        let drain = |w: &MemoryWire| {
            std::iter::from_fn(|| w.receive())
                .map(|p| p.frame().to_vec())
                .collect()
        };
        let traffic = Traffic {
            sent: self.wires.iter().map(drain).collect(),
            missed,
        };
        traffic.on_the_wire(self.kind)
    }

    /// Packets that each flow has carried, wherever it was.
    fn counts(&mut self) -> BTreeMap<Ufid, u64> {
        let mut counts = self.hardware.clone();
        let mut read = Vec::new();
        self.nic.read_counters(&mut read).unwrap();
        for (ufid, handle) in &self.placed {
            let counter = read
                .iter()
                .find(|(h, _)| h == handle)
                .map(|(_, c)| c.packets);
            *counts.entry(*ufid).or_default() += counter.unwrap_or(0);
        }
        for entry in self.soft.flows() {
            *counts.entry(entry.flow.ufid).or_default() += entry.stats.packets;
        }
        counts
    }
}

/// What left each port, and what was missed. A copy that software finishes may leave after what the
/// NIC sends at once, so frames of one port are compared as a set.
#[derive(Debug, PartialEq)]
struct Traffic {
    sent: Vec<Vec<Vec<u8>>>,
    missed: Vec<(PacketKey, Vec<u8>)>,
}

impl Traffic {
    fn on_the_wire(mut self, kind: Kind) -> Traffic {
        let frames = self.sent.iter_mut().flatten();
        frames.for_each(|frame| kind.on_the_wire(frame));
        self
    }
}

/// The third opinion: each flow is looked at in turn, and actions are carried out by the book.
fn scan(flows: &[FlowPut], port: u32, packet: &Packet) -> Traffic {
    let mut out = Traffic {
        sent: vec![Vec::new(); PORTS as usize],
        missed: Vec::new(),
    };
    see_through(flows, port, 0, packet.clone(), &mut out);
    out
}

fn see_through(flows: &[FlowPut], port: u32, stage: u32, mut packet: Packet, out: &mut Traffic) {
    let meta = Metadata {
        in_port: port,
        recirc_id: stage,
        ..Metadata::default()
    };
    let key = parse(&mut packet, &meta);
    let fits = |f: &&FlowPut| key.masked(&f.mask) == f.key.masked(&f.mask);
    let Some(flow) = flows.iter().find(fits) else {
        out.missed.push((key, packet.frame().to_vec()));
        return;
    };
    if let Some(RecircId(next)) = run(flows, port, &flow.actions, &mut packet, out) {
        see_through(flows, port, next, packet, out);
    }
}

fn run(
    flows: &[FlowPut],
    port: u32,
    actions: &[Action],
    packet: &mut Packet,
    out: &mut Traffic,
) -> Option<RecircId> {
    let mut cut = None;
    for action in actions {
        match action {
            Action::Output(DpPort(n)) => {
                let frame = packet.frame();
                let frame = &frame[..cut.take().unwrap_or(frame.len()).min(frame.len())];
                out.sent[*n as usize - 1].push(frame.to_vec());
            }
            Action::Set { field, value, mask } => {
                packet::edit::set_field(packet, *field, *value, *mask);
            }
            Action::PushVlan { tpid, tci } => packet::edit::push_vlan(packet, *tpid, *tci),
            Action::PopVlan => {
                packet::edit::pop_vlan(packet);
            }
            Action::Truncate(n) => cut = Some(*n as usize),
            Action::Clone(inner) => {
                let mut copy = packet.clone();
                if let Some(RecircId(next)) = run(flows, port, inner, &mut copy, out) {
                    see_through(flows, port, next, copy, out);
                }
            }
            Action::Recirc(id) => return Some(*id),
            other => panic!("{other:?} is not in this test"),
        }
    }
    None
}

/// A packet's tags, the outermost first: type and VLAN.
type Tags = Vec<(u128, u128)>;

fn some_tags() -> impl Strategy<Value = Tags> {
    let kind = prop::sample::select(vec![0x8100u128, 0x88a8]);
    prop::collection::vec((kind, 1u128..3), 0..=2)
}

/// What a packet is but for its tags.
fn a_body() -> impl Strategy<Value = FlowState> {
    let kind = prop::sample::select(vec![
        (0x800u128, 6u128),
        (0x800, 17),
        (0x800, 1),
        (0x806, 1),
        (0x86dd, 6),
        (0x86dd, 17),
        (0x86dd, 58),
        (0x88b5, 0),
    ]);
    // None, the first one, a later one.
    let fragment = prop::sample::select(vec![0u128, 0, 0, 1, 3]);
    let small = || 0u128..3;
    (kind, fragment, small(), small(), small()).prop_map(
        |((eth_type, proto), fragment, a, b, p)| {
            use FieldId::*;
            let mut s = FlowState::default();
            s.set(EthSrc, 0x0200_0000_0000 | a);
            s.set(EthDst, 0x0200_0000_0010 | b);
            s.set(EthType, eth_type);
            s.set(IpProto, proto);
            s.set(IpTtl, 64);
            if matches!(eth_type, 0x800 | 0x86dd) {
                s.set(IpDscp, p << 3 & 0xfc);
                s.set(IpEcn, a);
                s.set(IpFrag, fragment);
            }
            match eth_type {
                0x800 | 0x806 => {
                    s.set(Ipv4Src, 0x0a00_0000 | a);
                    s.set(Ipv4Dst, 0x0a00_0100 | b);
                }
                0x86dd => {
                    s.set(Ipv6Src, 0xfe80 << 112 | a << 64);
                    s.set(Ipv6Dst, 0xfe80 << 112 | b);
                    s.set(Ipv6Label, a << 16 | b);
                }
                _ => {}
            }
            if matches!(proto, 6 | 17) {
                s.set(TcpSrc, 1000 + p);
                s.set(TcpDst, 80 + p);
                if proto == 6 {
                    s.set(TcpFlags, 0x10 | b);
                }
            } else if proto == 58 {
                s.set(Icmpv6Type, 128);
            }
            s
        },
    )
}

fn tagged(body: &FlowState, tags: &Tags) -> Packet {
    use FieldId::*;
    let mut s = body.clone();
    for ((tpid, tci), tag) in [(VlanTpid, VlanTci), (Vlan2Tpid, Vlan2Tci)]
        .iter()
        .zip(tags)
    {
        s.set(*tpid, tag.0);
        s.set(*tci, 0x1000 | tag.1);
    }
    compose(&s, 30)
}

fn a_packet() -> impl Strategy<Value = Packet> {
    (a_body(), some_tags()).prop_map(|(body, tags)| tagged(&body, &tags))
}

fn an_action(depth: u32) -> BoxedStrategy<Action> {
    use FieldId::*;
    let set = |field: FieldId, value: u128, mask: u128| Action::Set {
        field,
        value: value & mask,
        mask: mask & field.full(),
    };
    let leaf = prop_oneof![
        4 => (1..=PORTS).prop_map(|n| Action::Output(DpPort(n))),
        1 => (0u128..4).prop_map(move |v| set(EthSrc, v, EthSrc.full())),
        1 => (0u128..4).prop_map(move |v| set(EthDst, v, 0xff)),
        1 => (0u128..4).prop_map(move |v| set(Ipv4Dst, 0x0b00_0000 | v, Ipv4Dst.full())),
        1 => (0u128..4).prop_map(move |v| set(Ipv4Src, v, 0xff)),
        1 => (0u128..4).prop_map(move |v| set(Ipv6Src, v << 100 | v, Ipv6Src.full())),
        1 => (0u128..4).prop_map(move |v| set(Ipv6Dst, v, 0xffff)),
        1 => Just(set(IpTtl, 7, 0xff)),
        1 => Just(set(IpDscp, 0x28, 0xfc)),
        1 => (0u128..4).prop_map(move |v| set(TcpDst, 8080 + v, 0xffff)),
        1 => (0u128..4).prop_map(move |v| set(TcpSrc, 8080 + v, 0xff)),
        1 => (0u128..4).prop_map(move |v| set(UdpSrc, 53 + v, 0xffff)),
        1 => (0u128..4).prop_map(move |v| set(UdpDst, 53 + v, 0xffff)),
        1 => (1u16..4, any::<bool>()).prop_map(|(v, service)| Action::PushVlan {
            tpid: if service { 0x88a8 } else { 0x8100 },
            tci: 0x1000 | v,
        }),
        1 => Just(Action::PopVlan),
        1 => (20u32..90).prop_map(Action::Truncate),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let nested = prop::collection::vec(an_action(depth - 1), 1..3).prop_map(Action::Clone);
    prop_oneof![8 => leaf, 1 => nested].boxed()
}

/// A flow made from a packet by keeping some of its fields.
#[derive(Clone, Debug)]
struct Draft {
    packet: Packet,
    port: u32,
    stage: u32,
    fields: Vec<(FieldId, u128)>,
    actions: Vec<Action>,
    next: Option<u32>,
}

fn a_draft(packet: Packet) -> impl Strategy<Value = Draft> {
    use FieldId::*;
    let all = vec![
        EthSrc, EthDst, VlanTci, VlanTpid, Vlan2Tci, Vlan2Tpid, Ipv4Src, Ipv4Dst, Ipv6Src, Ipv6Dst,
        Ipv6Label, IpProto, IpDscp, IpEcn, IpTtl, TcpSrc, TcpDst, TcpFlags, ArpOp,
    ];
    let field = (
        prop::sample::select(all),
        prop::sample::select(vec![u128::MAX, 0xf, 0xff0]),
    );
    (
        Just(packet),
        1..=PORTS,
        0..STAGES,
        prop::collection::vec(field, 0..4),
        prop::collection::vec(an_action(1), 0..4),
        prop::option::of(1..4u32),
    )
        .prop_map(|(packet, port, stage, fields, actions, next)| {
            let next = next.map(|n| stage + n).filter(|n| *n < STAGES);
            Draft {
                packet,
                port,
                stage,
                fields,
                actions,
                next,
            }
        })
}

/// A draft, and often others that differ from it in what is done and in tags alone.
fn a_family() -> impl Strategy<Value = Vec<Draft>> {
    let packets = (a_body(), prop::collection::vec(some_tags(), 1..4));
    let drafts = packets.prop_flat_map(|(body, tags)| {
        let packets = tags.iter().map(|tags| a_draft(tagged(&body, tags)));
        packets.collect::<Vec<_>>()
    });
    drafts.prop_map(|mut drafts| {
        if let [first, twins @ ..] = drafts.as_mut_slice()
            && !twins.is_empty()
        {
            use FieldId::*;
            let tags = [VlanTpid, VlanTci, Vlan2Tpid, Vlan2Tci];
            first.fields.extend(tags.map(|f| (f, u128::MAX)));
            for twin in twins {
                (twin.port, twin.stage) = (first.port, first.stage);
                twin.next = twin.next.filter(|n| *n > first.stage);
                twin.fields.clone_from(&first.fields);
            }
        }
        drafts
    })
}

/// Flows that never disagree about a packet: a draft that overlaps with an earlier one is left out.
fn flows(drafts: &[Draft]) -> Vec<FlowPut> {
    let mut out: Vec<FlowPut> = Vec::new();
    for (i, d) in drafts.iter().enumerate() {
        let meta = Metadata {
            in_port: d.port,
            recirc_id: d.stage,
            ..Metadata::default()
        };
        let key = parse(&mut d.packet.clone(), &meta);
        let mut mask = FlowMask::ANY;
        for f in [FieldId::RecircId, FieldId::InPortOxm, FieldId::EthType] {
            mask.add_all(f);
        }
        if matches!(key.get(FieldId::EthType), 0x800 | 0x86dd) {
            mask.add_all(FieldId::IpFrag);
        }
        mask.add(FieldId::VlanTci, 0x1000);
        for (f, bits) in &d.fields {
            let bits = if f.is_maskable() { *bits } else { u128::MAX };
            mask.add(*f, bits & f.full());
        }
        let upper = [FieldId::TcpSrc, FieldId::TcpDst, FieldId::TcpFlags];
        if upper.iter().any(|f| mask.get(*f) != 0) {
            mask.add_all(FieldId::IpProto);
        }
        let words = key.expand();
        let overlaps = out.iter().any(|o| {
            let other = o.key.expand();
            let masks = mask.words.iter().zip(&o.mask.words);
            words
                .iter()
                .zip(&other)
                .zip(masks)
                .all(|((a, b), (m, n))| (a ^ b) & m & n == 0)
        });
        if overlaps {
            continue;
        }
        let recirc = d.next.map(|n| Action::Recirc(RecircId(n)));
        // Some flows send a copy on and go on themselves.
        let recirc = recirc.map(|r| {
            if i % 3 == 0 {
                Action::Clone(vec![r])
            } else {
                r
            }
        });
        let actions = d.actions.iter().cloned().chain(recirc).collect();
        out.push(FlowPut {
            ufid: Ufid(i as u128 + 1),
            key,
            mask,
            actions,
        });
    }
    out
}

proptest! {
    #[test]
    fn where_a_flow_lives_changes_nothing(
        limit in 1usize..=2,
        families in prop::collection::vec(a_family(), 1..12),
        packets in prop::collection::vec((1..=PORTS, any::<prop::sample::Index>(), a_packet()), 1..20),
        moves in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let drafts = families.concat();
        with_vlan_limit(limit, || compare(Kind::Sim, &drafts, &packets, &moves))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn where_a_flow_lives_changes_nothing_on_a_connectx(
        limit in 1usize..=2,
        families in prop::collection::vec(a_family(), 1..8),
        packets in prop::collection::vec((1..=PORTS, any::<prop::sample::Index>(), a_packet()), 1..20),
        moves in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let drafts = families.concat();
        with_vlan_limit(limit, || compare(Kind::ConnectX, &drafts, &packets, &moves))?;
    }
}

fn compare(
    kind: Kind,
    drafts: &[Draft],
    packets: &[(u32, prop::sample::Index, Packet)],
    moves: &[prop::sample::Index],
) -> Result<(), TestCaseError> {
    let flows = flows(drafts);
    let mut software = Bed::new(kind, &flows);
    let mut mixed = Bed::new(kind, &flows);
    let mut moves = moves.iter().map(|m| m.index(flows.len()));
    for m in moves.by_ref().take(flows.len() / 2) {
        mixed.toggle(m);
    }
    for (port, which, packet) in packets {
        // Mostly packets that flows were made of, so that they meet them.
        let at = which.index(drafts.len() * 4 / 3 + 1);
        let (port, packet) = match drafts.get(at) {
            Some(d) => (d.port, &d.packet),
            None => (*port, packet),
        };
        let mut wanted = scan(&flows, port, packet).on_the_wire(kind);
        prop_assert_eq!(&software.send(port, packet), &wanted);
        let mut got = mixed.send(port, packet);
        for t in [&mut got, &mut wanted] {
            t.sent.iter_mut().for_each(|frames| frames.sort());
            t.missed.sort_by(|a, b| a.1.cmp(&b.1));
        }
        prop_assert_eq!(got, wanted);
        for m in moves.by_ref().take(2) {
            mixed.toggle(m);
        }
    }
    prop_assert_eq!(software.counts(), mixed.counts());
    Ok(())
}

#[test]
fn a_chain_that_is_half_placed_goes_on_in_software() {
    with_vlan_limit(1, || half_placed(Kind::Sim));
}

#[test]
fn a_chain_that_is_half_placed_in_a_connectx_goes_on_in_software() {
    with_vlan_limit(1, || half_placed(Kind::ConnectX));
}

fn half_placed(kind: Kind) {
    use FieldId::*;
    let mut s = FlowState::default();
    s.set(EthType, 0x800);
    s.set(IpProto, 17);
    s.set(IpTtl, 64);
    s.set(UdpDst, 53);
    let packet = compose(&s, 30);
    let draft = |stage: u32, actions: Vec<Action>, next| Draft {
        packet: packet.clone(),
        port: 1,
        stage,
        fields: vec![(IpProto, 0xff)],
        actions,
        next,
    };
    let ttl = Action::Set {
        field: IpTtl,
        value: 9,
        mask: 0xff,
    };
    let flows = flows(&[
        // Every third flow sends a copy on, which not every NIC does; this one meets no packet.
        draft(STAGES, vec![], None),
        draft(0, vec![ttl], Some(1)),
        draft(1, vec![Action::Output(DpPort(2))], Some(2)),
        draft(2, vec![Action::Output(DpPort(3))], None),
    ]);
    assert_eq!(flows.len(), 4);
    let mut bed = Bed::new(kind, &flows);
    let wanted = scan(&flows, 1, &packet);
    assert_eq!((wanted.sent[1].len(), wanted.sent[2].len()), (1, 1));
    for placed in 0..3 {
        bed.toggle(placed + 1);
        assert_eq!(bed.placed.len(), placed + 1);
        assert_eq!(bed.send(1, &packet), wanted);
        let mut read = Vec::new();
        bed.nic.read_counters(&mut read).unwrap();
        let carried: u64 = read.iter().map(|(_, c)| c.packets).sum();
        // Each packet so far was carried by every rule that was there then.
        assert_eq!(carried as usize, (placed + 1) * (placed + 2) / 2);
    }
    // Whole in hardware: software has seen none of the last packet.
    let stats = bed.nic.stats();
    assert_eq!((stats.hits, stats.misses), (1, 2));
    let counts: Vec<u64> = bed.counts().into_values().collect();
    assert_eq!(counts, [0, 3, 3, 3]);
}
