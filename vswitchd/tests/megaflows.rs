//! What translation promises of its masks, over random tables and packets:
//!
//! * a packet that some megaflow admits, translated by itself, has that megaflow's actions;
//! * no two megaflows that some packet could meet have different actions;
//! * a megaflow whose dependencies hold is what translating anew gives.

use clock::Clock;
use hal::{Datapath, FlowEntry, FlowPut, FlowStats};
use hal_soft::Soft;
use hal_soft::ports::dummy::DummyPort;
use openflow::FlowCommand;
use openflow::text::{Names, ParseCommand, parse_flow};
use packet::{FlowState, Packet, compose};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use vswitchd::backer::Modes;
use vswitchd::config::{BridgeConfig, Desired, InterfaceConfig, PortConfig};
use vswitchd::ports::{Opened, PortRequest, Provider};
use vswitchd::switch::Switch;
use vswitchd::translate::{Input, Start};
use vswitchd::world::{FailMode, PriorityTags, VlanMode, VlanSet};

/// Only dummy ports.
struct Dummies {
    clock: Clock,
    ports: BTreeMap<String, DummyPort>,
}

impl Provider for Dummies {
    fn watch_devices(&mut self) -> Option<Box<dyn hal::DeviceWatch>> {
        None
    }
    fn datapath_types(&self) -> Vec<String> {
        vec!["dummy".into()]
    }
    fn interface_types(&self) -> Vec<String> {
        vec!["dummy".into()]
    }
    fn datapath_type<'a>(&self, wanted: &'a str) -> &'a str {
        wanted
    }
    fn open_datapath(&mut self, kind: &str) -> Result<Box<dyn Datapath>, String> {
        Ok(Box::new(Soft::new(kind, self.clock.clone(), 0)))
    }
    fn open_port(&mut self, request: &PortRequest<'_>) -> Result<Opened, String> {
        let port = DummyPort::new("dummy", self.ports.len() as u64 + 1);
        self.ports.insert(request.name.into(), port.clone());
        Ok(Opened::Port(Arc::new(port)))
    }
    fn open_device(&mut self, name: &str) -> Result<Box<dyn hal::FlowDevice>, String> {
        Err(name.into())
    }
    fn port_number(&self, _: &str, name: &str) -> Option<u32> {
        name.trim_start_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()
    }
    fn configure_port(&mut self, _: &str, _: &BTreeMap<String, String>) {}
    fn closed(&mut self, name: &str) {
        self.ports.remove(name);
    }
    fn dummy(&self, name: &str) -> Option<DummyPort> {
        self.ports.get(name).cloned()
    }
}

fn switch() -> Switch {
    let clock = Clock::stopped_at(0);
    let provider = Dummies {
        clock: clock.clone(),
        ports: BTreeMap::new(),
    };
    let mut switch = Switch::new(clock, Box::new(provider));
    let mut wanted = Desired::default();
    wanted.bridges.insert(
        "br0".into(),
        BridgeConfig {
            uuid: ovsdb::Uuid::default(),
            name: "br0".into(),
            datapath_type: "dummy".into(),
            datapath_id: None,
            hwaddr: None,
            dp_desc: None,
            fail_mode: FailMode::Secure,
            protocols: openflow::Versions::ALL,
            controllers: Vec::new(),
            mac_aging: std::time::Duration::from_secs(300),
            mac_table_size: 8192,
            forward_bpdu: false,
            flood_vlans: Vec::new(),
            flow_tables: Default::default(),
        },
    );
    for (n, mode) in [
        (1, VlanMode::Trunk),
        (2, VlanMode::Access(1)),
        (3, VlanMode::NativeTagged(2)),
    ] {
        let name = format!("p{n}");
        let interface = InterfaceConfig {
            uuid: ovsdb::Uuid::default(),
            name: name.clone(),
            kind: "dummy".into(),
            options: BTreeMap::new(),
            ofport_request: Some(n),
            mac: None,
            mtu_request: None,
        };
        let port = PortConfig {
            uuid: ovsdb::Uuid::default(),
            name: name.clone(),
            mode,
            trunks: VlanSet::default(),
            priority_tags: PriorityTags::Never,
            protected: false,
            interfaces: [(name.clone(), interface)].into(),
        };
        wanted.ports.insert(("br0".into(), name), port);
    }
    switch.configure(wanted);
    switch
}

fn add(switch: &mut Switch, flow: &str) {
    let parsed = parse_flow(
        flow,
        ParseCommand::Flow(FlowCommand::Add),
        &Names::default(),
    );
    // Some random flows make no sense (a TCP port of an ARP packet) and are refused.
    let Ok(parsed) = parsed else { return };
    let fm = parsed.flow;
    let now = switch.clock().now();
    let (bridge, backer) = switch.bridge_mut("br0").unwrap();
    // A flow-mod may be refused; then it has changed nothing.
    let _ = bridge.ofproto.flow_mod(backer, &fm, now);
}

fn a_field() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..4).prop_map(|p| format!("in_port={p}")),
        (0u32..3).prop_map(|m| format!("dl_src=02:00:00:00:00:0{m}")),
        (0u32..3).prop_map(|m| format!("dl_dst=02:00:00:00:00:0{m}/01:00:00:00:00:0f")),
        (0u32..3).prop_map(|v| format!("dl_vlan={v}")),
        Just("vlan_tci=0/0x1fff".to_owned()),
        (0u32..4).prop_map(|v| format!("reg0={v}")),
        (0u32..4).prop_map(|v| format!("metadata={v}/0x3")),
    ]
}

fn an_l3() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (0u32..3, 0u32..33).prop_map(|(a, m)| format!("ip,nw_dst=10.0.{a}.1/{m},")),
        (0u32..3).prop_map(|a| format!("tcp,tp_dst={},", 80 + a)),
        (0u32..3).prop_map(|a| format!("udp,tp_src={}/0xfffe,", 50 + a)),
        (0u32..3).prop_map(|a| format!("ip,nw_src=10.0.0.{a},nw_ttl=64,")),
        Just("icmp,icmp_type=8,".to_owned()),
        Just("arp,arp_op=1,".to_owned()),
        Just("ipv6,".to_owned()),
    ]
}

fn an_action() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..4).prop_map(|p| format!("output:{p}")),
        Just("NORMAL".to_owned()),
        Just("FLOOD".to_owned()),
        Just("IN_PORT".to_owned()),
        (1u32..4).prop_map(|t| format!("resubmit(,{t})")),
        (0u32..4).prop_map(|v| format!("set_field:{v}->reg0")),
        Just("move:NXM_OF_ETH_SRC[0..1]->NXM_NX_REG0[0..1]".to_owned()),
        (0u32..3).prop_map(|m| format!("mod_dl_dst:02:00:00:00:00:0{m}")),
        (0u32..3).prop_map(|v| format!("mod_vlan_vid:{v}")),
        Just("strip_vlan".to_owned()),
        Just("push_vlan:0x8100".to_owned()),
        Just("dec_ttl".to_owned()),
        (0u32..3).prop_map(|a| format!("set_field:10.9.0.{a}->ip_dst")),
        Just("load:0x1->NXM_OF_TCP_DST[]".to_owned()),
        Just("clone(strip_vlan,output:2)".to_owned()),
        Just("push_mpls:0x8847".to_owned()),
        Just("pop_mpls:0x0800".to_owned()),
        Just("exit".to_owned()),
    ]
}

fn a_flow() -> impl Strategy<Value = String> {
    let fields = prop::collection::vec(a_field(), 0..3);
    let actions = prop::collection::vec(an_action(), 1..4);
    (0u32..4, 0u32..5, fields, an_l3(), actions).prop_map(
        |(table, priority, mut f, l3, actions)| {
            f.sort();
            f.dedup_by_key(|s| s.split('=').next().map(str::to_owned));
            let comma = if f.is_empty() { "" } else { "," };
            format!(
                "table={table},priority={priority},{l3}{}{comma}actions={}",
                f.join(","),
                actions.join(",")
            )
        },
    )
}

fn a_packet() -> impl Strategy<Value = (u32, Packet)> {
    let kind = prop::sample::select(vec![
        (0x800, 6),
        (0x800, 17),
        (0x800, 1),
        (0x806, 1),
        (0x86dd, 6),
        (0x8847, 0),
        (0x1234, 0),
    ]);
    (
        1u32..4,
        0u128..3,
        0u128..3,
        0u128..4,
        kind,
        0u128..3,
        any::<bool>(),
    )
        .prop_map(|(port, src, dst, vlan, (eth_type, proto), n, ttl)| {
            use packet::FieldId::*;
            let mut s = FlowState::default();
            s.set(EthSrc, 0x0200_0000_0000 | src);
            s.set(EthDst, 0x0200_0000_0000 | dst);
            if vlan > 0 {
                s.set(VlanTci, 0x1000 | (vlan - 1));
            }
            s.set(EthType, eth_type);
            s.set(IpProto, proto);
            s.set(IpTtl, if ttl { 64 } else { 1 });
            if eth_type == 0x800 || eth_type == 0x806 {
                s.set(Ipv4Src, 0x0a00_0000 | n);
                s.set(Ipv4Dst, 0x0a00_0001 | n << 8);
            }
            if proto == 6 || proto == 17 {
                s.set(TcpSrc, 50 + n);
                s.set(TcpDst, 80 + n);
            } else if proto == 1 && eth_type == 0x800 {
                s.set(Icmpv4Type, 8);
            }
            if eth_type == 0x8847 {
                s.set(MplsBos, 1);
                s.set(MplsTtl, 9);
            }
            (port, compose(&s, 10))
        })
}

fn matches(entry: &FlowEntry, key: &packet::PacketKey) -> bool {
    key.masked(&entry.flow.mask) == entry.flow.key.masked(&entry.flow.mask)
}

fn could_meet(a: &FlowPut, b: &FlowPut) -> bool {
    let (ka, kb) = (a.key.expand(), b.key.expand());
    let masks = a.mask.words.iter().zip(&b.mask.words);
    ka.iter()
        .zip(&kb)
        .zip(masks)
        .all(|((x, y), (m, n))| (x ^ y) & m & n == 0)
}

proptest! {
    #[test]
    fn masks_are_wide_enough_and_never_disagree(
        flows in prop::collection::vec(a_flow(), 1..14),
        packets in prop::collection::vec(a_packet(), 1..25),
        late in prop::collection::vec(a_flow(), 0..3),
    ) {
        let mut switch = switch();
        for flow in &flows {
            add(&mut switch, flow);
        }
        for (i, (port, packet)) in packets.iter().enumerate() {
            if i == packets.len() / 2 {
                for flow in &late {
                    add(&mut switch, flow);
                }
            }
            let dummy = switch.provider().dummy(&format!("p{port}")).unwrap();
            dummy.inject(packet.clone());
            switch.run_until_idle();
            let backer = switch.backers.get_mut("dummy").unwrap();
            let entries = backer.datapath.flows();
            for a in &entries {
                for b in &entries {
                    let agree = a.flow.actions == b.flow.actions;
                    prop_assert!(agree || !could_meet(&a.flow, &b.flow),
                        "{:?} {:?}\n{:?} {:?}", a.flow.key, a.flow.actions, b.flow.key, b.flow.actions);
                }
            }
            for (port, packet) in &packets {
                let meta = packet::Metadata { in_port: *port, ..packet::Metadata::default() };
                let key = packet::parse(&mut packet.clone(), &meta);
                for e in entries.iter().filter(|e| matches(e, &key)) {
                    let input = Input {
                        key: &key,
                        start: Start::Datapath,
                        carried: None,
                        trace: false,
                        teaches: true,
                    };
                    let alone = backer.translate(&input).unwrap();
                    prop_assert_eq!(&*e.flow.actions, &alone.actions[..],
                        "{:?} under {:?}", key, e.flow.mask);
                }
            }
        }
    }
}

#[test]
fn a_rule_counts_each_packet_once() {
    let mut switch = switch();
    add(&mut switch, "table=0,in_port=1,actions=resubmit(,1)");
    add(&mut switch, "table=1,actions=output:2");
    let dummy = switch.provider().dummy("p1").unwrap();
    let mut s = FlowState::default();
    s.set(packet::FieldId::EthType, 0x1234);
    for _ in 0..5 {
        dummy.inject(compose(&s, 20));
        switch.run_until_idle();
    }
    let (bridge, backer) = switch.bridge_mut("br0").unwrap();
    backer.push_all();
    let world = backer.world.bridge(bridge.id).unwrap();
    for table in [0, 1] {
        let rules: Vec<_> = world.tables.get(&table).unwrap().iter().collect();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].stats.packets(), 5, "table {table}");
    }
    let stats: FlowStats = backer.datapath.flows()[0].stats;
    assert_eq!(stats.packets, 4);
}

#[test]
fn without_megaflows_a_flow_is_for_one_packet() {
    for (on, flows) in [(true, 1), (false, 2)] {
        let mut switch = switch();
        add(&mut switch, "in_port=1,actions=output:2");
        let backer = switch.backers.get_mut("dummy").unwrap();
        backer.set_modes(Modes {
            megaflows: on,
            ..Modes::default()
        });
        for mac in [1u128, 2] {
            let mut s = FlowState::default();
            s.set(packet::FieldId::EthSrc, mac);
            s.set(packet::FieldId::EthType, 0x1234);
            let dummy = switch.provider().dummy("p1").unwrap();
            dummy.inject(compose(&s, 20));
            switch.run_until_idle();
        }
        let backer = switch.backers.get_mut("dummy").unwrap();
        assert_eq!(backer.datapath.flows().len(), flows);
        backer.set_modes(Modes {
            megaflows: !on,
            ..Modes::default()
        });
        assert_eq!(backer.datapath.flows().len(), 0);
    }
}

#[test]
fn a_packet_in_tells_of_the_tunnel_and_of_what_the_pipeline_knew() {
    use packet::FieldId::*;
    let mut switch = switch();
    add(
        &mut switch,
        "in_port=1,actions=set_field:5->pkt_mark,set_field:6->metadata,load:7->NXM_NX_REG1[],\
         set_field:8->tun_id,controller",
    );
    let mut s = FlowState::default();
    s.set(EthType, 0x1234);
    s.set(InPortOxm, 1);
    s.set(TunId, 4);
    s.set(TunSrc, 0x0a00_0001);
    s.set(TunDst, 0x0a00_0002);
    s.set(TunFlags, 1);
    s.set(TunTtl, 64);
    let backer = switch.backers.get_mut("dummy").unwrap();
    let key = s.to_key();
    let input = Input {
        key: &key,
        start: Start::Datapath,
        carried: None,
        trace: false,
        teaches: true,
    };
    let outcome = backer.translate(&input).unwrap();
    assert_eq!(outcome.mask.get(TunSrc), TunSrc.full());
    backer.execute(&mut compose(&s, 20), &key, &outcome.actions);
    switch.run_until_idle();
    let backer = switch.backers.get_mut("dummy").unwrap();
    let told = backer.take_packet_ins();
    let [told] = told.as_slice() else {
        panic!("{told:?}")
    };
    let told = &told.message.metadata;
    for (field, value) in [
        (InPortOxm, 1),
        (PktMark, 5),
        (Metadata, 6),
        (Reg1, 7),
        (TunId, 8),
        (TunSrc, 0x0a00_0001),
        (TunDst, 0x0a00_0002),
        (TunFlags, 1),
    ] {
        assert_eq!(told.get(field), (value, field.full()), "{field}");
    }
    assert_eq!(told.get(TunTtl).1, 0);
}

#[test]
fn a_change_is_taken_in_small_steps_and_packets_wait_for_the_last_one() {
    const FLOWS: u64 = 400;
    let mut switch = switch();
    for n in 0..FLOWS {
        let (high, low) = (n >> 8, n & 0xff);
        let flow = format!("priority=2,udp,nw_dst=10.0.{high}.{low},tp_dst={n},actions=output:2");
        add(&mut switch, &flow);
    }
    let dummy = switch.provider().dummy("p1").unwrap();
    let packet = |n: u64| {
        let mut s = FlowState::default();
        s.set(packet::FieldId::EthType, 0x800);
        s.set(packet::FieldId::IpProto, 17);
        s.set(packet::FieldId::Ipv4Dst, (0x0a00_0000 + n).into());
        s.set(packet::FieldId::UdpDst, n.into());
        compose(&s, 20)
    };
    for n in 0..FLOWS {
        dummy.inject(packet(n));
        switch.run_until_idle();
    }
    let flows = |switch: &Switch| switch.backers["dummy"].datapath.flows();
    let sent_to = |entry: &FlowEntry| format!("{:?}", entry.flow.actions);
    let before = flows(&switch);
    assert!(before.len() as u64 >= FLOWS, "{}", before.len());

    add(&mut switch, "priority=9,udp,actions=output:3");
    // It comes in the middle: its flow must be one of the new world.
    dummy.inject(packet(FLOWS));
    let mut steps = 0;
    while switch.run() {
        steps += 1;
        let is_old = |e: &FlowEntry| sent_to(e) == sent_to(&before[0]);
        let (old, new): (Vec<_>, Vec<_>) = flows(&switch).into_iter().partition(is_old);
        let mixed = !old.is_empty() && new.iter().any(|e| e.stats.packets == 0);
        assert!(!mixed, "a packet was translated before {} flows", old.len());
    }
    assert!(steps > before.len() / 50, "{steps} steps");
    let after = flows(&switch);
    let new = sent_to(after.last().unwrap());
    assert_ne!(new, sent_to(&before[0]));
    assert!(after.iter().all(|e| sent_to(e) == new));
}

#[test]
fn a_station_that_moves_to_and_fro_is_followed_packet_by_packet() {
    use packet::FieldId::*;
    let mut switch = switch();
    add(&mut switch, "actions=NORMAL");
    let mut s = FlowState::default();
    s.set(EthSrc, 0x0200_0000_0004);
    s.set(EthDst, 0x0200_0000_0001);
    s.set(EthType, 0x1234);
    // Ports 1 and 2 are in VLAN 1 alike.
    let mut tagged = s.clone();
    tagged.set(VlanTci, 0x1001);
    for (name, state, number) in [("p1", &tagged, 1), ("p2", &s, 2)].repeat(3) {
        let dummy = switch.provider().dummy(name).unwrap();
        dummy.inject(compose(state, 20));
        switch.run_until_idle();
        let (bridge, backer) = switch.bridge_mut("br0").unwrap();
        let macs = &backer.world.bridge(bridge.id).unwrap().macs;
        let key = vswitchd::mac::MacKey {
            vlan: 1,
            mac: 0x0200_0000_0004,
        };
        assert_eq!(
            macs.get(key).unwrap().port,
            openflow::OfPort(number),
            "{name}"
        );
    }
}

#[test]
fn packets_that_the_daemon_carries_are_counted_once_too() {
    let mut switch = switch();
    add(
        &mut switch,
        "arp,actions=set_field:10.0.0.9->arp_tpa,output:2",
    );
    let dummy = switch.provider().dummy("p1").unwrap();
    let mut s = FlowState::default();
    s.set(packet::FieldId::EthType, 0x806);
    s.set(packet::FieldId::ArpOp, 1);
    for _ in 0..5 {
        dummy.inject(compose(&s, 0));
        switch.run_until_idle();
    }
    let sent = switch.provider().dummy("p2").unwrap();
    assert_eq!(hal::PacketPort::counters(&sent).tx_packets, 5);
    let (bridge, backer) = switch.bridge_mut("br0").unwrap();
    backer.push_all();
    let table = backer
        .world
        .bridge(bridge.id)
        .unwrap()
        .tables
        .get(&0)
        .unwrap();
    let rules: Vec<_> = table.iter().collect();
    assert_eq!(rules[0].stats.packets(), 5);
}
