//! The simulated NIC as software sees it: packets, misses, ports, rate and faults.

use clock::Clock;
use hal::{
    Action, Completion, DpPort, Epoch, FlowDevice, Installed, MatchField, Outcome, PacketPort,
    RecircId, ResumeId, Rule, RuleError, RuleHandle, RuleKey, RuleOp, RxBatch, RxMeta, RxQueue,
    Work,
};
use hal_sim::contract::{frame, rule};
use hal_sim::{Fabric, MemoryWire, Settings, SimDevice};
use packet::{FieldId, FlowState, Packet, compose};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A NIC with `pf0` as port 1 and `vf0` as port 2.
struct Nic {
    device: SimDevice,
    fabric: Fabric,
    clock: Clock,
    wires: Vec<MemoryWire>,
    rx: Vec<Box<dyn RxQueue>>,
    ports: Vec<Arc<dyn PacketPort>>,
    keys: u64,
}

fn nic(settings: &str) -> Nic {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let clock = Clock::stopped_at(0);
    let settings = Settings::parse(settings).unwrap();
    let mut device = SimDevice::stepped("nic0", settings, clock.clone()).unwrap();
    let (mut wires, mut rx, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    for (i, name) in ["pf0", "vf0"].into_iter().enumerate() {
        let wire = format!("device-{n}-{i}");
        wires.push(MemoryWire::new(&wire));
        let port = device
            .open_port(name, Some(&format!("memory:{wire}")))
            .unwrap();
        device.bind_port(name, Some(DpPort(i as u32 + 1)));
        rx.extend(port.take_rx());
        ports.push(port);
    }
    Nic {
        fabric: device.fabric(),
        device,
        clock,
        wires,
        rx,
        ports,
        keys: 0,
    }
}

impl Nic {
    fn submit(&mut self, rule: Rule) {
        self.keys += 1;
        let key = RuleKey(self.keys);
        self.device.submit(RuleOp::Add { key, rule }).unwrap();
    }

    fn poll(&mut self) -> Vec<Completion> {
        let mut done = Vec::new();
        self.device.poll(&mut done).unwrap();
        done
    }

    fn outcome(&mut self, rule: Rule) -> Outcome {
        self.submit(rule);
        let mut done = self.poll();
        assert_eq!(done.len(), 1);
        done.remove(0).outcome
    }

    fn add(&mut self, rule: Rule) -> RuleHandle {
        match self.outcome(rule) {
            Outcome::Installed(Installed { handle, .. }) => handle,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a frame into the first port and answers what left each wire.
    fn send(&mut self, packet: &Packet) -> [Vec<Vec<u8>>; 2] {
        self.wires[0].send(packet.clone());
        self.fabric.turn();
        [0, 1].map(|i| {
            let wire = &self.wires[i];
            std::iter::from_fn(|| wire.receive())
                .map(|p| p.frame().to_vec())
                .collect()
        })
    }

    /// What waits at a representor.
    fn missed(&mut self, port: usize) -> Vec<(Vec<u8>, RxMeta)> {
        let mut batch = RxBatch::default();
        self.rx[port].receive(&mut batch).unwrap();
        batch
            .iter_mut()
            .map(|(p, meta)| (p.frame().to_vec(), meta))
            .collect()
    }

    fn counters(&mut self) -> BTreeMap<RuleHandle, u64> {
        let mut out = Vec::new();
        self.device.read_counters(&mut out).unwrap();
        out.into_iter().map(|(h, c)| (h, c.packets)).collect()
    }
}

fn whole(field: FieldId, value: u128) -> MatchField {
    MatchField {
        field,
        value,
        mask: field.full(),
    }
}

fn set(field: FieldId, value: u128) -> Action {
    Action::Set {
        field,
        value,
        mask: field.full(),
    }
}

fn stage(recirc: u32, matches: Vec<MatchField>, actions: Vec<Action>, resume: u32) -> Rule {
    Rule {
        recirc: RecircId(recirc),
        matches,
        actions,
        resume: Some(ResumeId(resume)),
    }
}

const fn from(number: u32) -> Option<DpPort> {
    Some(DpPort(number))
}

#[test]
fn a_packet_without_a_rule_goes_to_software_as_it_came() {
    let mut nic = nic("{}");
    let sent = frame(7);
    assert_eq!(nic.send(&sent), [vec![], vec![]] as [Vec<Vec<u8>>; 2]);
    let meta = RxMeta {
        ingress: from(1),
        resume: None,
    };
    assert_eq!(nic.missed(0), [(sent.frame().to_vec(), meta)]);
    assert!(nic.missed(1).is_empty());
    nic.device.bind_port("pf0", None);
    nic.send(&sent);
    assert_eq!(nic.missed(0)[0].1, RxMeta::default());
    assert_eq!((nic.device.stats().hits, nic.device.stats().misses), (0, 2));
}

#[test]
fn a_miss_in_a_later_stage_carries_what_was_done_and_where_to_resume() {
    let mut nic = nic("{}");
    let first = nic.add(stage(
        0,
        vec![whole(FieldId::InPort, 1)],
        vec![set(FieldId::EthSrc, 5), Action::Recirc(RecircId(1))],
        71,
    ));
    let second = nic.add(stage(
        1,
        vec![whole(FieldId::EthSrc, 5)],
        vec![
            Action::PushVlan {
                tpid: 0x8100,
                tci: 0x1009,
            },
            Action::Recirc(RecircId(2)),
        ],
        72,
    ));
    nic.send(&frame(7));
    let missed = nic.missed(0);
    let meta = RxMeta {
        ingress: from(1),
        resume: Some(ResumeId(72)),
    };
    assert_eq!(missed[0].1, meta);
    assert_eq!(missed[0].0[6..16], [0, 0, 0, 0, 0, 5, 0x81, 0, 0, 9]);
    // With a rule for the third stage the packet is done in hardware.
    let third = nic.add(stage(
        2,
        vec![whole(FieldId::VlanTci, 0x1009)],
        vec![Action::PopVlan, Action::Output(DpPort(2))],
        0,
    ));
    let [_, out] = nic.send(&frame(7));
    assert_eq!(out.len(), 1);
    assert_eq!(out[0][6..14], [0, 0, 0, 0, 0, 5, 8, 0]);
    assert_eq!(nic.counters(), [(first, 2), (second, 2), (third, 1)].into());
    assert_eq!((nic.device.stats().hits, nic.device.stats().misses), (1, 1));
}

#[test]
fn steps_on_a_copy_leave_the_packet_alone() {
    let mut nic = nic("{}");
    let inner = vec![
        set(FieldId::EthDst, 9),
        Action::Truncate(20),
        Action::Output(DpPort(2)),
        Action::Output(DpPort(2)),
    ];
    let actions = vec![Action::Clone(inner), Action::Output(DpPort(1))];
    nic.add(stage(0, vec![whole(FieldId::InPort, 1)], actions, 0));
    let sent = frame(7);
    let [back, out] = nic.send(&sent);
    assert_eq!(back, [sent.frame()]);
    let lengths: Vec<usize> = out.iter().map(Vec::len).collect();
    assert_eq!(lengths, [20, sent.len()]);
    assert!(out.iter().all(|f| f[..6] == [0, 0, 0, 0, 0, 9]));
}

#[test]
fn a_loop_ends() {
    let mut nic = nic("{}");
    let again = || vec![Action::Recirc(RecircId(1))];
    nic.add(stage(0, vec![whole(FieldId::InPort, 1)], again(), 1));
    nic.add(stage(1, vec![whole(FieldId::InPort, 1)], again(), 1));
    assert_eq!(nic.send(&frame(7)), [vec![], vec![]] as [Vec<Vec<u8>>; 2]);
    assert!(nic.missed(0).is_empty());
}

#[test]
fn what_software_sends_leaves_by_the_wire_and_meets_no_rule() {
    let mut nic = nic("{}");
    nic.add(stage(
        0,
        vec![whole(FieldId::InPort, 2)],
        vec![Action::Output(DpPort(1))],
        0,
    ));
    let mut tx = nic.ports[1].open_tx().unwrap();
    assert!(tx.send(&frame(7)));
    tx.flush();
    assert_eq!(nic.fabric.turn(), Work::Idle);
    assert!(nic.wires[1].receive().is_some());
    assert!(nic.wires[0].receive().is_none());
    assert_eq!(nic.ports[1].counters().tx_packets, 1);
    nic.ports[1].set_admin(false).unwrap();
    assert!(!tx.send(&frame(7)));
    assert!(!nic.ports[1].link().carrier);
    assert_eq!(nic.ports[1].link().carrier_resets, 1);
}

#[test]
fn what_was_left_unfinished_stays_so() {
    let mut nic = nic("{}");
    nic.add(stage(
        0,
        vec![whole(FieldId::InPort, 1)],
        vec![
            set(FieldId::Ipv4Src, 0x0a00_0001),
            Action::Output(DpPort(2)),
        ],
        0,
    ));
    let mut sent = frame(7);
    let mut state = FlowState::default();
    state.set(FieldId::EthType, 0x800);
    state.set(FieldId::IpProto, 17);
    state.set(FieldId::IpTtl, 64);
    state.set(FieldId::UdpDst, 7);
    state.set(FieldId::Ipv4Src, 0x0a00_0001);
    let wanted = compose(&state, 32);
    // The pseudo-header of a datagram without addresses: protocol and length.
    sent.checksum = Some(packet::PartialChecksum {
        start: 34,
        offset: 6,
    });
    sent.frame_mut()[40..42].copy_from_slice(&(17u16 + 40).to_be_bytes());
    nic.wires[0].send(sent);
    nic.fabric.turn();
    let mut out = nic.wires[1].receive().unwrap();
    assert!(out.checksum.is_some());
    out.finish_checksum();
    assert_eq!(out.frame(), wanted.frame());
}

#[test]
fn rules_beyond_the_capabilities_are_refused() {
    let refused = |settings: &str, rule: Rule| {
        let outcome = nic(settings).outcome(rule);
        matches!(outcome, Outcome::Failed(RuleError::Unsupported(_)))
    };
    let recirc = |actions: Vec<Action>, resume: Option<ResumeId>| Rule {
        recirc: RecircId(0),
        matches: vec![whole(FieldId::InPort, 1)],
        actions,
        resume,
    };
    let to = |id| Action::Recirc(RecircId(id));
    assert!(!refused("{}", recirc(vec![to(1)], Some(ResumeId(1)))));
    assert!(refused("{}", recirc(vec![to(1)], None)));
    let two = vec![Action::Clone(vec![to(1)]), to(2)];
    assert!(refused("{}", recirc(two, Some(ResumeId(1)))));
    assert!(refused(
        r#"{"profile":"basic"}"#,
        recirc(vec![to(1)], Some(ResumeId(1)))
    ));
    assert!(refused("{}", recirc(vec![Action::Output(DpPort(3))], None)));
    assert!(refused(r#"{"profile":"tiny"}"#, rule(7, 0)));
    assert!(!refused(r#"{"profile":"basic"}"#, rule(7, 0)));
}

#[test]
fn insertions_take_their_share_of_a_second() {
    let mut nic = nic(r#"{"inserts-per-second":1000}"#);
    for i in 0..20 {
        nic.submit(rule(i, 0));
    }
    assert_eq!(nic.poll().len(), 0);
    for _ in 0..10 {
        nic.clock.warp(Duration::from_millis(1));
        assert_eq!(nic.poll().len(), 1);
    }
    // Nobody need ask: what was due when the clock stood there has happened.
    nic.clock.warp(Duration::from_millis(5));
    nic.fabric.turn();
    assert_eq!(nic.device.stats().rules, 15);
    nic.clock.warp(Duration::from_secs(10));
    assert_eq!(nic.poll().len(), 10);
    // Time that passed unused is not saved up.
    nic.submit(rule(50, 0));
    nic.submit(rule(51, 0));
    nic.clock.warp(Duration::from_millis(1));
    assert_eq!(nic.poll().len(), 1);
}

#[test]
fn the_table_has_an_end() {
    for settings in [r#"{"rules":3}"#, r#"{"faults":{"table-full":3}}"#] {
        let mut nic = nic(settings);
        let handles: Vec<_> = (0..3).map(|i| nic.add(rule(i, 0))).collect();
        assert_eq!(
            nic.outcome(rule(3, 0)),
            Outcome::Failed(RuleError::TableFull)
        );
        // A replacement needs no further slot.
        let replace = RuleOp::Replace {
            key: RuleKey(1),
            handle: handles[0],
            rule: rule(9, 0),
        };
        nic.device.submit(replace).unwrap();
        assert!(matches!(nic.poll()[0].outcome, Outcome::Installed(_)));
    }
}

#[test]
fn refusals_are_drawn_from_the_seed() {
    let draw = |seed: u64| {
        let mut nic = nic(&format!(
            r#"{{"faults":{{"fail-insert":0.5}},"seed":{seed}}}"#
        ));
        (0..64)
            .map(|i| match nic.outcome(rule(i, 0)) {
                Outcome::Installed(_) => true,
                Outcome::Failed(RuleError::Fault(_)) => false,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<bool>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let held = draw(1).into_iter().filter(|held| *held).count();
    assert!((16..48).contains(&held), "{held}");
}

#[test]
fn a_lost_completion_is_lost_with_the_next_reset() {
    let mut nic = nic(r#"{"faults":{"lose-completion":1}}"#);
    nic.submit(rule(7, 0));
    nic.clock.warp(Duration::from_secs(3600));
    assert!(nic.poll().is_empty());
    assert_eq!(nic.device.stats().in_flight, 1);
    // It took effect all the same.
    assert_eq!(nic.send(&frame(7))[1].len(), 1);
    nic.device.reset().unwrap();
    let done = nic.poll();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].outcome, Outcome::Lost);
}

#[test]
fn a_late_completion_comes() {
    let mut nic = nic(r#"{"faults":{"late-completion":50}}"#);
    for i in 0..20 {
        nic.submit(rule(i, 0));
    }
    let at_once = nic.poll().len();
    assert!(at_once < 10, "{at_once}");
    assert_eq!(nic.device.stats().rules, 20);
    nic.clock.warp(Duration::from_millis(50));
    assert_eq!(nic.poll().len(), 20 - at_once);
    // Those of one key come in order.
    let mut sent = Vec::new();
    for i in 0..20 {
        let (key, rule) = (RuleKey(1), rule(i + 100, 0));
        sent.push(nic.device.submit(RuleOp::Add { key, rule }).unwrap());
    }
    let mut came = Vec::new();
    for _ in 0..=50 {
        came.extend(nic.poll().into_iter().map(|c| c.ticket));
        nic.clock.warp(Duration::from_millis(1));
    }
    assert_eq!(came, sent);
}

#[test]
fn many_rules_are_found() {
    let mut nic = nic(r#"{"rules":100000}"#);
    for i in 0..100_000u32 {
        let mut rule = rule((i % 50_000) as u16, 0);
        rule.matches
            .push(whole(FieldId::Ipv4Src, (i / 50_000).into()));
        nic.submit(rule);
        if i % 1000 == 999 {
            assert_eq!(nic.poll().len(), 1000);
        }
    }
    assert_eq!(nic.device.stats().rules, 100_000);
    assert_eq!(
        nic.outcome(rule(60_000, 0)),
        Outcome::Failed(RuleError::TableFull)
    );
    for port in [0, 7, 49_999] {
        assert_eq!(nic.send(&frame(port))[1].len(), 1);
    }
    assert!(nic.send(&frame(50_000))[1].is_empty());
    assert_eq!(nic.counters().values().sum::<u64>(), 3);
}

#[test]
fn a_device_that_stops_working_hands_all_to_software_until_it_is_reset() {
    let mut nic = nic(r#"{"faults":{"error-after":2}}"#);
    nic.add(rule(7, 0));
    assert_eq!(nic.send(&frame(7))[1].len(), 1);
    nic.submit(rule(8, 0));
    let mut done = Vec::new();
    let error = nic.device.poll(&mut done).unwrap_err();
    assert_eq!(error.to_string(), "nic0: stopped after 2 operations");
    assert!(done.is_empty());
    assert!(nic.device.read_counters(&mut Vec::new()).is_err());
    assert!(nic.send(&frame(7))[1].is_empty());
    assert_eq!(nic.missed(0).len(), 1);
    nic.device.reset().unwrap();
    assert_eq!(nic.poll().len(), 1);
    for port in 0..4 {
        nic.add(rule(port, 0));
    }
}

#[test]
fn a_device_that_resets_itself_says_so() {
    let mut nic = nic(r#"{"faults":{"reset-after":2}}"#);
    nic.add(rule(7, 0));
    assert_eq!(nic.device.epoch(), Epoch(0));
    for port in [8, 9] {
        nic.submit(rule(port, 0));
    }
    let done = nic.poll();
    assert_eq!(nic.device.epoch(), Epoch(1));
    assert!(done.iter().all(|c| c.outcome == Outcome::Lost));
    assert_eq!(done.len(), 2);
    assert_eq!(nic.device.stats().rules, 0);
    nic.add(rule(7, 0));
}

#[test]
fn ports_have_names_and_are_open_once() {
    let mut nic = nic("{}");
    let error = |nic: &mut Nic, port: &str, wire: Option<&str>| {
        nic.device
            .open_port(port, wire)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(error(&mut nic, "pf0", None), "pf0: port of nic0 is in use");
    let names = "nic0 has no such port; there are pf0, vf0, vf1, ... vf255";
    for port in ["", "eth0", "pf1", "vf", "vf256", "vf01", "vf+1"] {
        assert_eq!(error(&mut nic, port, None), format!("{port}: {names}"));
    }
    for wire in ["", "tap", "tap:", "carrier:pigeon"] {
        let error = error(&mut nic, "vf1", Some(wire));
        assert!(error.starts_with("vf1: wire "), "{error}");
    }
    let missing = error(&mut nic, "vf1", Some("pcap:/nonexistent/in.pcap"));
    assert!(missing.contains("/nonexistent/in.pcap"), "{missing}");
    let missing = error(&mut nic, "vf1", Some("packet:nonexistent0"));
    assert!(missing.contains("nonexistent0"), "{missing}");
    // A port that was let go can be opened anew, and has no number then.
    nic.ports.clear();
    let port = nic.device.open_port("pf0", None).unwrap();
    assert!(!port.link().carrier);
    assert_ne!(port.link().mac, 0);
    let outcome = nic.outcome(rule(7, 0));
    assert!(matches!(
        outcome,
        Outcome::Failed(RuleError::Unsupported(_))
    ));
}

#[test]
fn the_thread_of_an_open_device_moves_frames_and_rings() {
    let clock = Clock::real();
    let mut device = SimDevice::open("nic1", Settings::default(), clock).unwrap();
    let (near, far) = (MemoryWire::new("thread-in"), MemoryWire::new("thread-out"));
    let first = device.open_port("pf0", Some("memory:thread-in")).unwrap();
    let _second = device.open_port("vf0", Some("memory:thread-out")).unwrap();
    device.bind_port("pf0", Some(DpPort(1)));
    device.bind_port("vf0", Some(DpPort(2)));
    let key = RuleKey(1);
    let added = RuleOp::Add {
        key,
        rule: rule(7, 0),
    };
    device.submit(added).unwrap();
    let mut done = Vec::new();
    device.poll(&mut done).unwrap();
    let mut rx = first.take_rx().remove(0);
    assert!(first.take_rx().is_empty());
    near.send(frame(7));
    near.send(frame(8));
    // The bell says when the missed frame waits.
    let fd = rx.poll_fd().unwrap();
    let mut batch = RxBatch::default();
    while batch.is_empty() {
        wait(fd);
        rx.receive(&mut batch).unwrap();
    }
    assert_eq!(batch.len(), 1);
    // Frames keep their order on a wire, so the first has left before the second was missed.
    assert!(far.receive().is_some());
    assert_eq!((device.stats().hits, device.stats().misses), (1, 1));
}

/// Waits until an eventfd can be read, which is seen without reading it.
fn wait(fd: i32) {
    let path = format!("/proc/self/fdinfo/{fd}");
    let silent = |text: String| {
        let count = text.lines().find_map(|l| l.strip_prefix("eventfd-count:"));
        count.is_some_and(|n| n.trim() == "0")
    };
    while std::fs::read_to_string(&path).is_ok_and(silent) {
        std::thread::yield_now();
    }
}

#[test]
fn captures_go_in_and_come_out() {
    use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.pcap"), dir.path().join("out.pcap"));
    let mut writer = PcapWriter::new(std::fs::File::create(&input).unwrap()).unwrap();
    for port in [7, 8, 7] {
        let frame = frame(port);
        let length = frame.len() as u32;
        let packet = PcapPacket::new(Duration::ZERO, length, frame.frame());
        writer.write_packet(&packet).unwrap();
    }
    drop(writer);
    let mut device = SimDevice::stepped("nic2", Settings::default(), Clock::stopped_at(0)).unwrap();
    let first = device
        .open_port("pf0", Some(&format!("pcap:{}", input.display())))
        .unwrap();
    let second = device
        .open_port("vf0", Some(&format!("pcap:,{}", output.display())))
        .unwrap();
    device.bind_port("pf0", Some(DpPort(1)));
    device.bind_port("vf0", Some(DpPort(2)));
    let key = RuleKey(1);
    let op = RuleOp::Add {
        key,
        rule: rule(7, 0),
    };
    device.submit(op).unwrap();
    device.poll(&mut Vec::new()).unwrap();
    let fabric = device.fabric();
    while fabric.turn() != Work::Idle {}
    assert_eq!((device.stats().hits, device.stats().misses), (2, 1));
    drop((first, second));
    let mut reader = PcapReader::new(std::fs::File::open(&output).unwrap()).unwrap();
    for _ in 0..2 {
        let frame_out = reader.next_packet().unwrap().unwrap();
        assert_eq!(frame_out.data[6..], {
            let mut wanted = frame(7).frame()[6..].to_vec();
            wanted[..6].fill(0);
            wanted
        });
    }
    assert!(reader.next_packet().is_none());
}
