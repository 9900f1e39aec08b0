//! OpenFlow tables as users write them, checked packet by packet.

use std::process::Command;

use end_to_end::frame::{Ipv4, Ipv6, ethernet, mac, tagged};
use end_to_end::{Make, Netns, Switch, capture, eventually, namespaces_allowed, original, run};

const INSIDE: [u8; 4] = [192, 168, 0, 1];
const OUTSIDE: [u8; 4] = [192, 168, 0, 2];

fn bridge(ports: u32) -> Switch {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(ports, "");
    switch.appctl("time/stop").ok();
    switch
}

fn tcp(src: [u8; 4], dst: [u8; 4], from: u16, to: u16) -> Vec<u8> {
    let ip = Ipv4::new(src, dst);
    ethernet(
        mac(2),
        mac(1),
        0x800,
        &ip.tcp(from, to, 0x18, b"GET / HTTP/1.0\r\n"),
    )
}

/// Waits until `port` has sent as many frames as `expected` has, and compares.
#[track_caller]
fn expect(switch: &Switch, port: &str, expected: &[Vec<u8>]) {
    eventually(&format!("{port} sends {} frames", expected.len()), || {
        (switch.sent(port).len() >= expected.len()).then_some(())
    });
    assert_eq!(switch.sent(port), expected);
}

#[test]
fn a_destination_is_rewritten_for_one_service() {
    let switch = bridge(3);
    switch
        .ofctl("add-flow br0 in_port=1,tcp,tp_dst=80,actions=mod_nw_dst:10.0.0.9,output:2")
        .ok();
    let into = tcp(INSIDE, OUTSIDE, 4000, 80);
    let out = tcp(INSIDE, [10, 0, 0, 9], 4000, 80);
    // None of these is the flow's: another port, another protocol, another service.
    let ip = Ipv4::new(INSIDE, OUTSIDE);
    switch.receive("p3", &into);
    switch.receive(
        "p1",
        &ethernet(mac(2), mac(1), 0x800, &ip.udp(4000, 80, b"x")),
    );
    switch.receive("p1", &tcp(INSIDE, OUTSIDE, 4000, 81));
    for _ in 0..3 {
        switch.receive("p1", &into);
    }
    expect(&switch, "p2", &[out.clone(), out.clone(), out]);
    switch.appctl("revalidator/purge").ok();
    let table = switch.ofctl("dump-flows br0").ok();
    let bytes = 3 * into.len();
    assert!(
        table.contains(&format!("n_packets=3, n_bytes={bytes}")),
        "{table}"
    );
    assert_eq!(switch.sent("p1").len() + switch.sent("p3").len(), 0);

    let trace = switch
        .appctl_args(&[
            "ofproto/trace",
            "br0",
            "in_port=1,tcp,nw_dst=192.168.0.2,nw_ttl=64,tp_dst=80",
        ])
        .ok();
    assert!(
        trace.contains("Datapath actions: set(ipv4(dst=10.0.0.9)),2"),
        "{trace}"
    );
    let megaflow = trace
        .lines()
        .find(|line| line.starts_with("Megaflow:"))
        .unwrap_or_else(|| panic!("no megaflow in\n{trace}"));
    for part in ["tcp", "in_port=1", "nw_dst=192.168.0.2", "tp_dst=80"] {
        assert!(megaflow.contains(part), "{part} in {megaflow}");
    }
    for part in ["nw_src", "tp_src", "dl_src", "nw_ttl"] {
        assert!(!megaflow.contains(part), "{part} in {megaflow}");
    }
}

#[test]
fn the_flow_of_the_textbook() {
    let switch = bridge(2);
    switch
        .ofctl(
            "add-flow br0 in_port=1,dl_src=52:54:00:00:00:01,dl_vlan=10,tcp,nw_src=192.168.0.1,\
             tp_src=1234,actions=mod_nw_src:10.0.0.7,output:2",
        )
        .ok();
    let plain = |src, from| tcp(src, OUTSIDE, from, 80);
    let into = tagged(&plain(INSIDE, 1234), 10, 5);
    let out = tagged(&plain([10, 0, 0, 7], 1234), 10, 5);
    switch.receive("p1", &into);
    // Each differs in one thing that the flow names.
    switch.receive("p1", &tagged(&plain(INSIDE, 1234), 11, 5));
    switch.receive("p1", &plain(INSIDE, 1234));
    switch.receive("p1", &tagged(&plain([192, 168, 0, 3], 1234), 10, 5));
    switch.receive("p1", &tagged(&plain(INSIDE, 1235), 10, 5));
    switch.receive("p2", &into);
    let mut stranger = into.clone();
    stranger[11] = 9;
    switch.receive("p1", &stranger);
    switch.receive("p1", &into);
    expect(&switch, "p2", &[out.clone(), out]);
    assert!(switch.sent("p1").is_empty());
    let trace = switch
        .appctl_args(&[
            "ofproto/trace",
            "br0",
            "in_port=1,tcp,dl_src=52:54:00:00:00:01,dl_vlan=10,nw_src=192.168.0.1,tp_src=1234",
        ])
        .ok();
    assert!(
        trace.contains("Datapath actions: set(ipv4(src=10.0.0.7)),2"),
        "{trace}"
    );
}

#[test]
fn tables_registers_and_metadata() {
    let switch = bridge(3);
    for flow in [
        "table=0,in_port=1,actions=load:0x2->NXM_NX_REG0[],write_metadata:0x7,goto_table:1",
        "table=1,metadata=0x7,reg0=0x2,ip,actions=dec_ttl,resubmit(,2)",
        "table=2,reg0=2,actions=output:NXM_NX_REG0[],push_vlan:0x8100,mod_vlan_vid:5,output:3",
    ] {
        switch
            .ofctl(&format!("-O OpenFlow13 add-flow br0 {flow}"))
            .ok();
    }
    let mut ip = Ipv4::new(INSIDE, OUTSIDE);
    let into = ethernet(mac(2), mac(1), 0x800, &ip.udp(1, 2, b"hello, table 2"));
    ip.ttl = 63;
    let out = ethernet(mac(2), mac(1), 0x800, &ip.udp(1, 2, b"hello, table 2"));
    switch.receive("p1", &into);
    expect(&switch, "p2", std::slice::from_ref(&out));
    expect(&switch, "p3", &[tagged(&out, 5, 0)]);
}

#[test]
fn ipv6_fields_are_matched_and_set_with_their_checksums() {
    let switch = bridge(2);
    switch
        .ofctl(
            "-O OpenFlow13 add-flow br0 udp6,ipv6_src=fd00::/16,udp_dst=53,\
             actions=set_field:fd00::9->ipv6_dst,set_field:5353->udp_dst,output:2",
        )
        .ok();
    let mut near = [0; 16];
    near[0] = 0xfd;
    near[15] = 1;
    let mut far = near;
    far[15] = 2;
    let mut ip = Ipv6 {
        src: near,
        dst: far,
        class: 0,
        hops: 64,
    };
    let into = ethernet(mac(2), mac(1), 0x86dd, &ip.udp(999, 53, b"odd"));
    ip.dst[15] = 9;
    let out = ethernet(mac(2), mac(1), 0x86dd, &ip.udp(999, 5353, b"odd"));
    switch.receive("p1", &into);
    expect(&switch, "p2", &[out]);
}

#[test]
fn malformed_packets_hurt_nobody() {
    let switch = bridge(2);
    switch.ofctl("add-flow br0 actions=output:2").ok();
    let good = tcp(INSIDE, OUTSIDE, 1, 2);
    for cut in [14, 15, 20, 33, 34, 35, 40, 53] {
        switch.receive("p1", &good[..cut]);
    }
    for at in 12..40 {
        let mut broken = good.clone();
        broken[at] ^= 0xff;
        switch.receive("p1", &broken);
    }
    switch.receive("p1", &good);
    eventually("the packet after them", || {
        (switch.sent("p2").last() == Some(&good)).then_some(())
    });
    assert_eq!(switch.sent("p2").len(), 8 + 28 + 1);
    let refused = switch.appctl("netdev-dummy/receive p1 this-is-no-packet");
    assert_eq!(refused.code, 2, "{refused:?}");
    switch.appctl("version").ok();
}

#[test]
fn a_captured_exchange_goes_in_and_comes_out() {
    if !namespaces_allowed() {
        return;
    }
    // Two machines on one cable, with tcpdump at one end of it.
    let left = Netns::new();
    let right = Netns::new();
    left.wire("eth0", &right, "eth0");
    left.ip("addr add 10.7.0.1/24 dev eth0");
    right.ip("addr add 10.7.0.2/24 dev eth0");
    let switch = bridge(2);
    let file = switch.path("captured.pcap");
    let mut command = left.command(original("tcpdump"));
    command
        .args(["-i", "eth0", "-U", "-Z", "root", "-w"])
        .arg(&file)
        .args(["arp or icmp"]);
    let mut tcpdump = command
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("tcpdump starts");
    eventually("a captured exchange", || {
        run(left
            .command("ping")
            .args(["-c4", "-i0.05", "-W1", "10.7.0.2"]));
        (capture::read(&file).len() >= 8).then_some(())
    });
    tcpdump.kill().expect("tcpdump ends");
    tcpdump.wait().expect("tcpdump ended");
    let captured = capture::read(&file);

    switch.ofctl("add-flow br0 in_port=1,actions=output:2").ok();
    for frame in &captured {
        switch.receive("p1", frame);
    }
    expect(&switch, "p2", &captured);
    let text = run(Command::new(original("tcpdump"))
        .args(["-nr"])
        .arg(switch.path("p2.pcap")))
    .ok();
    assert!(
        text.contains("10.7.0.1 > 10.7.0.2: ICMP echo request"),
        "{text}"
    );
}

#[test]
fn a_trace_says_what_it_cannot_read() {
    let switch = bridge(1);
    for (args, why) in [
        (
            &["ofproto/trace", "br0", "in_port=1,tcp", "00"][..],
            "Packet data too short for Ethernet",
        ),
        (
            &["ofproto/trace", "br0", "in_port=1,tcp", "0"],
            "Trailing garbage in packet data",
        ),
        (
            &["ofproto/trace", "br0", "in_port=1,tpc"],
            "Bad openflow flow syntax: in_port=1,tpc: unknown field tpc",
        ),
        (
            &["ofproto/trace", "br0", "in_port=1,dl_vlan=z"],
            "Bad openflow flow syntax: in_port=1,dl_vlan=z: bad value for dl_vlan (z: bad syntax \
             for dl_vlan value)",
        ),
        (
            &["netdev-dummy/receive", "p1", "0011"],
            "syntax error at 0011",
        ),
    ] {
        let refused = switch.appctl_args(args);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.starts_with(why), "{refused:?}");
    }
}

#[test]
fn a_trace_says_what_became_of_a_packet_and_what_it_has_taught() {
    let switch = bridge(1);
    switch.ofctl("add-flow br0 actions=NORMAL").ok();
    let trace = |flow: &str, more: &[&str]| {
        let args = [&["ofproto/trace", "br0", flow][..], more].concat();
        let shown = switch.appctl_args(&args).ok();
        let remarks = shown.lines().skip_while(|l| *l != "    NORMAL").skip(1);
        let remarks = remarks.take_while(|l| !l.is_empty());
        remarks.collect::<Vec<_>>().join("\n")
    };
    let from_1 = "in_port=1,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:01";
    let floods = "     -> no learned MAC for destination, flooding";
    assert_eq!(
        trace("in_port=9", &[]),
        "     >>>> received packet on unknown port 9 <<<<\n     >> no input bundle, dropping"
    );
    // A flow teaches nothing, a packet does.
    assert_eq!(trace(from_1, &[]), floods);
    let learned = "     -> learned that 00:00:00:00:00:02 is on port p1 in VLAN 0";
    assert_eq!(
        trace(from_1, &["--generate"]),
        format!("{learned}\n{floods}")
    );
    assert_eq!(trace(from_1, &["--generate"]), floods);
    let to_all = "in_port=1,dl_src=00:00:00:00:00:03,dl_dst=ff:ff:ff:ff:ff:ff";
    assert_eq!(trace(to_all, &[]), floods);
    let back = "in_port=LOCAL,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02";
    assert_eq!(trace(back, &[]), "     -> forwarding to learned port");
}
