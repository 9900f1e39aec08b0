//! Datapath flows as `upcall/*` and `revalidator/*` let them be seen.

use end_to_end::frame::{Ipv4, ethernet, mac};
use end_to_end::{Make, Switch, eventually};

fn bridge() -> Switch {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(3, "");
    switch.appctl("time/stop").ok();
    switch
}

fn udp() -> Vec<u8> {
    let ip = Ipv4::new([10, 0, 0, 1], [10, 0, 0, 2]);
    ethernet(mac(2), mac(1), 0x800, &ip.udp(1000, 2000, &[1; 30]))
}

/// The actions of the only datapath flow.
fn actions(switch: &Switch) -> String {
    let flows = switch.appctl("dpif/dump-flows br0").ok();
    let flow = flows.trim();
    assert_eq!(flow.lines().count(), 1, "{flows}");
    let (_, actions) = flow.split_once("actions:").expect("actions");
    actions.to_owned()
}

#[test]
fn no_flow_is_visited_while_revalidators_pause() {
    let switch = bridge();
    switch.ofctl("add-flow br0 in_port=1,actions=output:2").ok();
    let frame = udp();
    switch.receive("p1", &frame);
    assert_eq!(actions(&switch), "2");
    switch.appctl("revalidator/pause").ok();
    switch.ofctl("add-flow br0 in_port=1,actions=output:3").ok();
    // Neither a change nor time nor waiting has an effect.
    switch.appctl("time/warp 20000 1000").ok();
    switch.appctl("revalidator/wait").ok();
    assert_eq!(actions(&switch), "2");
    switch.receive("p1", &frame);
    eventually("two packets", || {
        (switch.sent("p2").len() == 2).then_some(())
    });
    switch.appctl("revalidator/resume").ok();
    switch.receive("p1", &frame);
    eventually("the third", || (switch.sent("p3").len() == 1).then_some(()));
    assert_eq!(actions(&switch), "3");
    assert_eq!(switch.sent("p2").len(), 2);
}

#[test]
fn visited_flows_are_logged_whole_without_identifiers() {
    let switch = bridge();
    switch.ofctl("add-flow br0 in_port=1,actions=output:2").ok();
    let ufid = |switch: &Switch| {
        let shown = switch.appctl("upcall/show").ok();
        shown.contains("ufid enabled : true")
    };
    assert!(ufid(&switch));
    let answer = switch.appctl("upcall/disable-ufid").ok();
    assert_eq!(answer, "Datapath dumping tersely using UFID disabled\n");
    assert!(!ufid(&switch));
    switch.appctl("vlog/set dpif:file:dbg").ok();
    switch.receive("p1", &udp());
    switch.appctl("revalidator/wait").ok();
    let log = switch.log();
    let line = log
        .lines()
        .find(|l| l.contains("|dpif|DBG|dummy@ovs-dummy: flow_dump ufid:"));
    let line = line.unwrap_or_else(|| panic!("no flow_dump in\n{log}"));
    for part in [
        " recirc_id(0),dp_hash(0/0),skb_priority(0/0),in_port(1),skb_mark(0/0),ct_state(0/0),",
        "ipv4(src=10.0.0.1/0.0.0.0,dst=10.0.0.2/0.0.0.0,proto=17/0,tos=0/0,ttl=64/0,frag=no)",
        ", packets:0, bytes:0, used:never, actions:2",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn datapaths_to_come_match_whole_packets_too() {
    let switch = Switch::dummy(Make::Ours);
    switch.appctl("upcall/disable-megaflows").ok();
    switch.dummy_bridge(2, "");
    switch.ofctl("add-flow br0 in_port=1,actions=output:2").ok();
    switch.receive("p1", &udp());
    let flows = switch.appctl("dpif/dump-flows br0").ok();
    assert!(flows.contains("udp(src=1000,dst=2000)"), "{flows}");
    assert!(
        flows.contains("ct_state(-new-est-rel-rpl-inv-trk-snat-dnat)"),
        "{flows}"
    );
}

#[test]
fn a_datapath_tells_what_it_can_do() {
    let switch = bridge();
    let features = switch.appctl("dpif/show-dp-features br0").ok();
    assert!(
        features.starts_with("Masked set action: Yes\n"),
        "{features}"
    );
    assert!(features.contains("\nMax MPLS depth: 3\n"), "{features}");
    let refused = switch.appctl("dpif/show-dp-features br1");
    assert!(refused.err.contains("no such bridge"), "{refused:?}");
}

#[test]
fn a_port_that_goes_takes_its_stations_out_of_all_bridges() {
    let switch = bridge();
    switch
        .vsctl(
            "add-br br1 -- set bridge br1 datapath_type=dummy fail_mode=secure -- add-port br1 p4 -- \
             set interface p4 type=dummy ofport_request=4",
        )
        .ok();
    let other = ethernet(mac(2), mac(9), 0x800, &udp()[14..]);
    for name in ["br0", "br1"] {
        switch
            .ofctl(&format!("add-flow {name} actions=NORMAL"))
            .ok();
    }
    switch.receive("p1", &udp());
    switch.receive("p4", &udp());
    switch.receive("p4", &other);
    let fdb = |bridge: &str| {
        let shown = switch.appctl(&format!("fdb/show {bridge}")).ok();
        shown.lines().count() - 1
    };
    assert_eq!((fdb("br0"), fdb("br1")), (1, 2));
    switch.vsctl("del-port p1").ok();
    assert_eq!((fdb("br0"), fdb("br1")), (0, 1));
}
