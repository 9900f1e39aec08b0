//! Controllers that are away, that are slow, and that never read.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use end_to_end::frame::{Ipv4, ethernet, mac};
use end_to_end::{Make, Switch, eventually, run, within};

const HELLO: [u8; 8] = [1, 0, 0, 8, 0, 0, 0, 1];
const FEATURES_REQUEST: [u8; 8] = [1, 5, 0, 8, 0, 0, 0, 2];
const BARRIER_REQUEST: [u8; 8] = [1, 18, 0, 8, 0, 0, 0, 3];
const DESC_REQUEST: [u8; 12] = [1, 16, 0, 12, 0, 0, 0, 4, 0, 0, 0, 0];
/// OFPT_SET_CONFIG, miss_send_len 65535: whoever sends it wants to hear of packets.
const WANTS_PACKETS: [u8; 12] = [1, 9, 0, 12, 0, 0, 0, 5, 0, 0, 0xff, 0xff];

/// More than the kernel holds on a socket's way, by far.
const FLOOD: usize = 48 << 20;

fn udp(bytes: usize) -> Vec<u8> {
    let ip = Ipv4::new([10, 0, 0, 1], [10, 0, 0, 2]);
    ethernet(mac(2), mac(1), 0x800, &ip.udp(1000, 2000, &vec![1; bytes]))
}

/// A connection to the bridge's management socket, greeted.
fn client(switch: &Switch) -> UnixStream {
    let mut socket = UnixStream::connect(switch.path("br0.mgmt")).expect("br0.mgmt");
    socket.write_all(&HELLO).expect("hello");
    let mut hello = [0; 8];
    socket.read_exact(&mut hello).expect("the switch's hello");
    let more = usize::from(hello[3]) - 8;
    socket.read_exact(&mut vec![0; more]).expect("its versions");
    socket
}

/// Kilobytes that a process has in memory.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    let word = line.and_then(|l| l.split_whitespace().nth(1));
    word.and_then(|w| w.parse().ok()).expect("VmRSS")
}

/// Sends `message` over and over, without reading, until the other side takes no more; fails the
/// test if it takes a flood.
#[track_caller]
fn send_until_refused(socket: &mut UnixStream, message: &[u8]) {
    // If it takes nothing for so long, it will not.
    let patience = Some(Duration::from_secs(3));
    socket.set_write_timeout(patience).expect("a timeout");
    let block = message.repeat(4096 / message.len());
    let mut sent = 0;
    loop {
        match socket.write(&block) {
            Ok(n) => sent += n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            Err(e) => panic!("after {sent} bytes: {e}"),
        }
        assert!(sent < FLOOD, "the daemon has taken {sent} bytes");
    }
}

#[test]
fn a_client_that_never_reads_is_no_longer_read_from_and_hinders_nobody() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "");
    let pid = switch.pid("ovs-vswitchd").expect("a pid file");
    let before = resident(pid);
    let mut deaf = client(&switch);
    send_until_refused(&mut deaf, &DESC_REQUEST);
    let grown = resident(pid).saturating_sub(before);
    assert!(grown < 32 << 10, "the daemon grew by {grown} KiB");
    // Everyone else is served.
    switch.ofctl("add-flow br0 actions=NORMAL").ok();
    switch.vsctl("set bridge br0 external_ids:a=b").ok();
    assert!(
        switch
            .appctl("bridge/dump-flows br0")
            .ok()
            .contains("NORMAL")
    );
    // What it sent has been kept: once it reads, it is answered.
    let mut answers = 0;
    let mut buffer = vec![0; 1 << 20];
    deaf.set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    while answers < 4 << 20 {
        answers += deaf.read(&mut buffer).expect("replies");
    }
}

#[test]
fn packets_for_a_client_that_never_reads_are_dropped() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    switch.ofctl("add-flow br0 actions=CONTROLLER:65535").ok();
    let mut deaf = client(&switch);
    deaf.write_all(&WANTS_PACKETS).expect("set-config");
    let pid = switch.pid("ovs-vswitchd").expect("a pid file");
    let frame = end_to_end::frame::hex(&udp(8000));
    let dropped = "dropping packet-in due to queue overflow";
    let before = resident(pid);
    eventually("packets are dropped", || {
        for _ in 0..50 {
            switch.control("netdev-dummy/receive", &["p1", &frame]);
        }
        switch.log().contains(dropped).then_some(())
    });
    let grown = resident(pid).saturating_sub(before);
    assert!(grown < 32 << 10, "the daemon grew by {grown} KiB");
}

#[test]
fn a_database_or_control_client_that_never_reads_is_no_longer_read_from() {
    let switch = Switch::dummy(Make::Ours);
    let pid = switch.pid("ovs-vswitchd").expect("a pid file");
    let requests = [
        (
            "db.sock".to_owned(),
            r#"{"id":1,"method":"get_schema","params":["Open_vSwitch"]}"#,
        ),
        (
            format!("ovs-vswitchd.{pid}.ctl"),
            r#"{"id":1,"method":"list-commands","params":[]}"#,
        ),
    ];
    let before = resident(pid);
    for (name, request) in requests {
        let mut deaf = UnixStream::connect(switch.path(&name)).expect("a socket");
        send_until_refused(&mut deaf, request.as_bytes());
        let grown = resident(pid).saturating_sub(before);
        assert!(grown < 64 << 10, "{name}: the daemon grew by {grown} KiB");
        switch.vsctl("list-br").ok();
        switch.appctl("version").ok();
    }
}

/// A controller that is called: it listens on a socket file and does what the test says.
struct Called(UnixStream);

impl Called {
    #[track_caller]
    fn new(switch: &Switch, path: &Path) -> Called {
        let listener = UnixListener::bind(path).expect("a socket file");
        listener.set_nonblocking(true).expect("nonblocking");
        let stream = eventually("the switch calls", || {
            switch.appctl("time/warp 1000").ok();
            listener.accept().ok()
        });
        stream.0.set_nonblocking(false).expect("blocking");
        let mut called = Called(stream.0);
        called.send(&HELLO);
        called
    }

    fn send(&mut self, message: &[u8]) {
        self.0.write_all(message).expect("the switch is there");
    }
}

const HIDDEN: &str = "priority=15790320,actions=NORMAL";

#[test]
fn a_standalone_bridge_without_its_controllers_switches_after_three_probe_intervals() {
    let switch = Switch::dummy(Make::Ours);
    let path = switch.path("controller.sock");
    switch.dummy_bridge(2, "set-fail-mode br0 standalone");
    switch.appctl("time/stop").ok();
    switch
        .vsctl(&format!("set-controller br0 unix:{}", path.display()))
        .ok();
    switch
        .ofctl("add-flow br0 priority=7,in_port=7,actions=drop")
        .ok();
    switch.appctl("time/warp 14000 500").ok();
    switch.receive("p1", &udp(10));
    assert_eq!(switch.sent("p2").len(), 0, "it has given up too early");
    assert!(!switch.appctl("bridge/dump-flows br0").ok().contains(HIDDEN));

    switch.appctl("time/warp 2000 500").ok();
    switch.receive("p1", &udp(10));
    eventually("it switches", || {
        (switch.sent("p2").len() == 1).then_some(())
    });
    let flows = switch.appctl("bridge/dump-flows br0").ok();
    assert!(flows.contains(HIDDEN), "{flows}");
    assert_eq!(flows.lines().count(), 1, "its flows are flushed: {flows}");
    let shown = switch.ofctl("dump-flows br0").ok();
    assert!(
        !shown.contains("NORMAL"),
        "hidden from controllers: {shown}"
    );
    let log = switch.log();
    assert!(
        log.contains(
            "fail_open|WARN|Could not connect to controller (or switch failed controller's \
             post-connection admission control policy) for 15 seconds, failing open"
        ),
        "{log}"
    );
    switch.appctl("time/warp 70000 1000").ok();
    let still = "Still in fail-open mode after";
    assert!(switch.log().contains(still), "{}", switch.log());

    // One that only looks has not taken the switch on.
    let mut controller = Called::new(&switch, &path);
    controller.send(&FEATURES_REQUEST);
    switch.appctl("time/warp 2000 500").ok();
    assert!(switch.appctl("bridge/dump-flows br0").ok().contains(HIDDEN));
    controller.send(&BARRIER_REQUEST);
    eventually("it recovers", || {
        let flows = switch.appctl("bridge/dump-flows br0").ok();
        (!flows.contains(HIDDEN)).then_some(())
    });
    assert!(
        switch
            .log()
            .contains("fail_open|WARN|No longer in fail-open mode")
    );
    switch.receive("p2", &udp(10));
    assert_eq!(
        switch.sent("p1").len(),
        0,
        "the controller's word counts again"
    );
}

#[test]
fn a_secure_bridge_never_switches_by_itself() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "set-controller br0 unix:/nonexistent");
    switch.appctl("time/stop").ok();
    switch.appctl("time/warp 60000 1000").ok();
    switch.receive("p1", &udp(10));
    assert_eq!(switch.sent("p2").len(), 0);
    assert_eq!(switch.appctl("bridge/dump-flows br0").ok(), "");
}

#[test]
fn a_database_server_that_stands_still_stops_nothing_else() {
    let switch = Switch::dummy(Make::OursWithServer);
    switch.dummy_bridge(2, "");
    let server = switch.pid("ovsdb-server").expect("a pid file");
    let signal = |name: &str| {
        let mut kill = std::process::Command::new("kill");
        run(kill.arg(name).arg(server.to_string())).ok();
    };
    signal("-STOP");
    // There is something to write now: counters that have grown, and it is time for them.
    switch.ofctl("add-flow br0 actions=output:2").ok();
    switch.receive("p1", &udp(10));
    switch.appctl("time/stop").ok();
    switch.appctl("time/warp 20000 1000").ok();
    for _ in 0..3 {
        switch.appctl("version").ok();
        let flows = switch.ofctl("dump-flows br0").ok();
        assert!(flows.contains("actions=output:2"), "{flows}");
        switch.receive("p1", &udp(10));
    }
    assert_eq!(switch.sent("p2").len(), 4);
    signal("-CONT");
    let written = within(Duration::from_secs(40), || {
        switch.appctl("time/warp 6000 1000").ok();
        let shown = switch.vsctl("get interface p1 statistics:rx_packets");
        (shown.out.trim() == "4").then_some(())
    });
    assert!(
        written.is_some(),
        "the counters reach the database afterwards"
    );
}

#[test]
fn whoever_listens_in_sees_both_ways_and_hinders_nobody() {
    let switch = Switch::dummy(Make::Ours);
    let path = switch.path("controller.sock");
    switch.dummy_bridge(1, &format!("set-controller br0 unix:{}", path.display()));
    switch.appctl("time/stop").ok();
    let mut snoop = UnixStream::connect(switch.path("br0.snoop")).expect("br0.snoop");
    snoop.write_all(&HELLO).expect("hello");
    let deaf = UnixStream::connect(switch.path("br0.snoop")).expect("br0.snoop");
    let mut controller = Called::new(&switch, &path);
    snoop
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    controller.send(&BARRIER_REQUEST);
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let has = |seen: &[u8], message: &[u8]| seen.windows(8).any(|w| w == message);
    let barrier_reply = [1, 19, 0, 8, 0, 0, 0, 3];
    while !has(&seen, &BARRIER_REQUEST) || !has(&seen, &barrier_reply) {
        let n = snoop.read(&mut buffer).expect("what passes");
        assert!(n > 0, "the switch has hung up");
        seen.extend_from_slice(&buffer[..n]);
    }
    // One that does not read misses some; the controller is served all the same.
    for _ in 0..2000 {
        controller.send(&DESC_REQUEST);
        let mut reply = [0; 1068];
        controller.0.read_exact(&mut reply[..8]).expect("a header");
        let length = usize::from(u16::from_be_bytes([reply[2], reply[3]]));
        controller
            .0
            .read_exact(&mut reply[8..length])
            .expect("the rest");
    }
    drop(deaf);
}
