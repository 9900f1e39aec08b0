//! The whole switch on dummy ports, in a time that only the test moves.

use std::time::Duration;

use end_to_end::frame::{Ipv4, ethernet, mac};
use end_to_end::{Make, Switch, eventually, within};

const HOST_A: [u8; 4] = [192, 168, 0, 1];
const HOST_B: [u8; 4] = [192, 168, 0, 2];

fn ping(from: u8, to: u8) -> Vec<u8> {
    let ip = Ipv4::new(HOST_A, HOST_B);
    ethernet(mac(to), mac(from), 0x800, &ip.icmp(8, 0, &[7; 56]))
}

fn learning_switch() -> Switch {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(3, "");
    switch.appctl("time/stop").ok();
    switch.ofctl("add-flow br0 actions=NORMAL").ok();
    switch
}

#[test]
fn an_unknown_station_is_flooded_and_a_learned_one_is_not() {
    let switch = learning_switch();
    let there = ping(1, 2);
    let back = ping(2, 1);
    switch.receive("p1", &there);
    eventually("the flood reaches p3", || {
        (switch.sent("p3").len() == 1).then_some(())
    });
    assert_eq!(switch.sent("p2"), [there]);
    switch.receive("p2", &back);
    eventually("the answer reaches p1", || {
        (switch.sent("p1").len() == 1).then_some(())
    });
    assert_eq!(switch.sent("p1"), [back]);
    assert_eq!(switch.sent("p3").len(), 1, "the answer is for p1 alone");

    let table = switch.appctl("fdb/show br0").ok();
    let row = |port: &str, n: u8| {
        table.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.len() == 4 && words[0] == port && words[2] == format!("52:54:00:00:00:{n:02x}")
        })
    };
    assert!(row("1", 1) && row("2", 2), "{table}");
}

#[test]
fn a_learned_station_is_forgotten_when_it_is_silent() {
    let switch = learning_switch();
    switch.receive("p1", &ping(1, 2));
    eventually("p1's station is learned", || {
        switch
            .appctl("fdb/show br0")
            .ok()
            .contains("52:54:00:00:00:01")
            .then_some(())
    });
    switch.appctl("time/warp 200000 10000").ok();
    let table = switch.appctl("fdb/show br0").ok();
    assert!(table.contains("52:54:00:00:00:01"), "{table}");
    switch.appctl("time/warp 110000 10000").ok();
    let table = switch.appctl("fdb/show br0").ok();
    assert!(!table.contains("52:54:00:00:00:01"), "{table}");
}

#[test]
fn a_datapath_flow_is_seen_counts_and_goes_after_ten_idle_seconds() {
    let switch = learning_switch();
    for _ in 0..3 {
        switch.receive("p1", &ping(1, 2));
    }
    let flows = eventually("a datapath flow that saw its packets", || {
        let flows = switch.appctl("dpctl/dump-flows").ok();
        flows.contains("packets:2").then_some(flows)
    });
    assert!(flows.contains("recirc_id(0),in_port("), "{flows}");
    assert!(flows.contains("eth(src=52:54:00:00:00:01"), "{flows}");
    assert!(flows.contains("actions:"), "{flows}");

    switch.appctl("time/warp 8000 1000").ok();
    assert!(
        switch.appctl("dpctl/dump-flows").ok().contains("packets:2"),
        "it lives until it was idle for ten seconds"
    );
    switch.appctl("time/warp 5000 1000").ok();
    eventually("the idle flow goes", || {
        let flows = switch.appctl("dpctl/dump-flows").ok();
        (!flows.contains("recirc_id(")).then_some(())
    });
    let table = eventually("its packets are counted for the rule", || {
        let table = switch.ofctl("dump-flows br0").ok();
        table.contains("n_packets=3").then_some(table)
    });
    assert!(table.contains("n_bytes=294"), "{table}");
}

#[test]
fn max_idle_is_honoured() {
    let switch = learning_switch();
    switch
        .vsctl("set Open_vSwitch . other_config:max-idle=30000")
        .ok();
    switch.receive("p1", &ping(1, 2));
    eventually("a datapath flow", || {
        switch
            .appctl("dpctl/dump-flows")
            .ok()
            .contains("recirc_id(")
            .then_some(())
    });
    switch.appctl("time/warp 25000 1000").ok();
    let flows = switch.appctl("dpctl/dump-flows").ok();
    assert!(flows.contains("recirc_id("), "{flows}");
    switch.appctl("time/warp 8000 1000").ok();
    eventually("the flow goes after 30 s", || {
        let flows = switch.appctl("dpctl/dump-flows").ok();
        (!flows.contains("recirc_id(")).then_some(())
    });
}

#[test]
fn a_stopped_clock_stands() {
    let switch = learning_switch();
    switch
        .ofctl("add-flow br0 idle_timeout=5,priority=9,actions=drop")
        .ok();
    let stood = within(Duration::from_millis(1500), || {
        let table = switch.ofctl("dump-flows br0").ok();
        (!table.contains("priority=9")).then_some(())
    });
    assert_eq!(stood, None, "no time passes by itself");
    switch.appctl("time/warp 8000 1000").ok();
    eventually("the rule's idle timeout", || {
        let table = switch.ofctl("dump-flows br0").ok();
        (!table.contains("priority=9")).then_some(())
    });
}

#[test]
fn dummy_ports_are_wired_to_each_other() {
    let switch = Switch::dummy(Make::Ours);
    let socket = switch.path("wire.sock");
    let socket = socket.display();
    switch
        .vsctl(&format!(
            "add-br br0 -- set bridge br0 datapath_type=dummy -- add-port br0 p1 \
             -- set interface p1 type=dummy options:pstream=punix:{socket} \
             -- add-port br0 p2 -- set interface p2 type=dummy options:tx_pcap={} \
             -- add-br br1 -- set bridge br1 datapath_type=dummy -- add-port br1 p3 \
             -- set interface p3 type=dummy options:stream=unix:{socket} \
             -- add-port br1 p4 -- set interface p4 type=dummy options:tx_pcap={}",
            switch.path("p2.pcap").display(),
            switch.path("p4.pcap").display()
        ))
        .ok();
    eventually("the wire is there", || {
        let state = switch.appctl("netdev-dummy/conn-state p3").ok();
        (state == "p3: connected\n").then_some(())
    });
    let state = |words: &str| {
        switch
            .appctl(&format!("netdev-dummy/conn-state{words}"))
            .ok()
    };
    assert_eq!(state(""), "p3: connected\n");
    assert_eq!(state(" p1"), "p1: unknown\n");
    switch.receive("p2", &ping(1, 2));
    eventually("a frame crosses to the other bridge", || {
        (switch.sent("p4").len() == 1).then_some(())
    });
    assert_eq!(switch.sent("p4"), [ping(1, 2)]);
    switch.receive("p4", &ping(2, 1));
    eventually("its answer comes back", || {
        (switch.sent("p2").len() == 1).then_some(())
    });
    assert_eq!(switch.sent("p2"), [ping(2, 1)]);
    // A wire that is taken away is no way any more.
    switch.vsctl("remove interface p3 options stream").ok();
    assert_eq!(state(" p3"), "p3: unknown\n");
    switch.receive("p2", &ping(1, 3));
    switch.appctl("revalidator/wait").ok();
    assert_eq!(switch.sent("p4"), [ping(1, 2)]);
}
