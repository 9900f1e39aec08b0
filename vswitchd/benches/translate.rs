//! Translation of a packet that `NORMAL` sends to a learned address, as an upcall does it.

use clock::Time;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hal::DpPort;
use openflow::text::{Names, ParseCommand, parse_flow};
use openflow::{Cookie, FlowCommand, FlowFlags, OfPort};
use packet::{CompactMatch, FieldId, FlowState, Match};
use std::hint::black_box;
use std::sync::Arc;
use vswitchd::mac::MacKey;
use vswitchd::table::{FlowTable, Rule, RuleId, Timeouts};
use vswitchd::translate::{Input, Interner, Start, translate};
use vswitchd::world::{
    Bridge, BridgeId, Bundle, BundleId, Port, PortTarget, PriorityTags, VlanMode, VlanSet, World,
};

const PORTS: u32 = 8;
const ADDRESSES: u64 = 4096;

fn rule(id: u64, priority: u32, matching: &Match, actions: &str) -> Arc<Rule> {
    let command = ParseCommand::Flow(FlowCommand::Add);
    let text = format!("actions={actions}");
    let parsed = parse_flow(&text, command, &Names::default()).expect("a flow that makes sense");
    Arc::new(Rule {
        id: RuleId(id),
        table: 0,
        priority,
        matching: CompactMatch::pack(matching),
        cookie: Cookie(0),
        timeouts: Timeouts::default(),
        flags: FlowFlags::default(),
        importance: 0,
        actions: parsed.flow.actions.into(),
        created: Time::ZERO,
        modified: Time::ZERO,
        stats: Arc::default(),
    })
}

/// One bridge with trunk ports, a rule for everything, and addresses learned on all ports.
fn world() -> World {
    let id = BridgeId(1);
    let mut bridge = Bridge::new(id, "br0");
    let mut world = World::default();
    for n in 1..=PORTS {
        let name: Arc<str> = format!("p{n}").into();
        let (port, bundle) = (OfPort(n), BundleId(n));
        bridge.bundles.insert(
            bundle,
            Arc::new(Bundle {
                name: name.clone(),
                mode: VlanMode::Trunk,
                trunks: VlanSet::default(),
                priority_tags: PriorityTags::Never,
                protected: false,
                ports: vec![port],
            }),
        );
        bridge.ports.insert(
            port,
            Arc::new(Port {
                name,
                number: port,
                target: PortTarget::Datapath(DpPort(n)),
                bundle,
                config: 0,
            }),
        );
        world.dp_ports.insert(DpPort(n), (id, port));
    }
    for n in 0..ADDRESSES {
        let key = MacKey {
            vlan: 0,
            mac: 0x0200_0000_0000 | n,
        };
        let port = OfPort((n % u64::from(PORTS)) as u32 + 1);
        bridge.macs.learn(key, port, Time::ZERO);
    }
    let mut table = FlowTable::default();
    table.insert(rule(1, 0, &Match::any(), "NORMAL"));
    bridge.tables.insert(0, table);
    world.bridges.insert(id, Arc::new(bridge));
    world
}

fn benches(c: &mut Criterion) {
    let world = world();
    let mut interner = Interner::default();
    let mut s = FlowState::default();
    s.set(FieldId::InPortOxm, 1);
    s.set(FieldId::EthSrc, 0x0200_0000_0000);
    s.set(FieldId::EthDst, 0x0200_0000_0001);
    s.set(FieldId::EthType, 0x800);
    s.set(FieldId::IpProto, 17);
    s.set(FieldId::UdpDst, 53);
    let key = s.to_key();
    let input = Input {
        key: &key,
        start: Start::Datapath,
        carried: None,
        trace: false,
        teaches: true,
    };
    let out = translate(&world, &mut interner, &input).expect("a port of the bridge");
    assert_eq!(out.actions, [hal::Action::Output(DpPort(2))]);

    let mut group = c.benchmark_group("translate");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function("NORMAL to a learned address", |b| {
        b.iter(|| translate(&world, &mut interner, black_box(&input)));
    });
    group.finish();
}

criterion_group!(translation, benches);
criterion_main!(translation);
