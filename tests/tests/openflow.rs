//! OpenFlow connections: what a controller sees, through the original's `ovs-ofctl`.

use std::fs::{self, File};
use std::process::Child;

use end_to_end::frame::{Ipv4, ethernet, hex, mac};
use end_to_end::{Make, Switch, eventually, run};

fn bridge() -> Switch {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "set bridge br0 protocols=OpenFlow10,OpenFlow13");
    switch.appctl("time/stop").ok();
    switch
}

fn udp() -> Vec<u8> {
    let ip = Ipv4::new([10, 0, 0, 1], [10, 0, 0, 2]);
    ethernet(mac(2), mac(1), 0x800, &ip.udp(1000, 2000, &[1; 30]))
}

/// `ovs-ofctl monitor`, with what it prints.
struct Monitor<'s> {
    switch: &'s Switch,
    child: Child,
}

impl<'s> Monitor<'s> {
    fn new(switch: &'s Switch, version: &str) -> Monitor<'s> {
        let log = File::create(switch.path("monitor.log")).expect("a log");
        let errors = log.try_clone().expect("the log again");
        let child = switch
            .tool("ovs-ofctl")
            .args(["-O", version, "monitor", "br0", "65534"])
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("ovs-ofctl starts");
        Monitor { switch, child }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.switch.path("monitor.log")).unwrap_or_default()
    }

    /// Waits for `what`; `nudge` makes it happen, again if need be.
    #[track_caller]
    fn sees(&self, what: &str, mut nudge: impl FnMut()) -> String {
        eventually(&format!("{what} in the monitor's output"), || {
            nudge();
            let text = self.text();
            text.contains(what).then_some(text)
        })
    }
}

impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the monitor saw\n{}", self.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_controller_gets_packets_in_both_versions() {
    for version in ["OpenFlow10", "OpenFlow13"] {
        let switch = bridge();
        switch
            .ofctl("add-flow br0 in_port=1,cookie=0x77,actions=CONTROLLER:65535")
            .ok();
        let monitor = Monitor::new(&switch, version);
        let frame = udp();
        let text = monitor.sees("in_port=1", || switch.receive("p1", &frame));
        assert!(text.contains("PACKET_IN"), "{text}");
        assert!(text.contains("total_len=72"), "{text}");
        assert!(text.contains("(via action)"), "{text}");
        assert!(text.contains("nw_src=10.0.0.1,nw_dst=10.0.0.2"), "{text}");
        if version == "OpenFlow13" {
            assert!(text.contains("cookie=0x77"), "{text}");
        }
    }
}

#[test]
fn a_controller_hears_of_flows_that_time_out() {
    for version in ["OpenFlow10", "OpenFlow13"] {
        let switch = bridge();
        let monitor = Monitor::new(&switch, version);
        let text = monitor.sees("FLOW_REMOVED", || {
            switch
                .ofctl(
                    "add-flow br0 send_flow_rem,idle_timeout=5,cookie=0x42,in_port=2,actions=drop",
                )
                .ok();
            switch.appctl("time/warp 8000 1000").ok();
        });
        assert!(text.contains("reason=idle"), "{text}");
        assert!(
            text.contains("cookie:0x42") || text.contains("cookie=0x42"),
            "{text}"
        );
        assert!(!switch.ofctl("dump-flows br0").ok().contains("0x42"));
    }
}

#[test]
fn a_packet_out_leaves_by_its_actions() {
    let switch = bridge();
    let frame = udp();
    switch
        .ofctl(&format!(
            "packet-out br0 in_port=controller,packet={},actions=output:2",
            hex(&frame)
        ))
        .ok();
    eventually("the packet", || {
        (switch.sent("p2") == [frame.clone()]).then_some(())
    });
    assert!(switch.sent("p1").is_empty());
}

#[test]
fn statistics_count_what_was_sent() {
    let switch = bridge();
    switch
        .ofctl("add-flow br0 in_port=1,cookie=0x5,actions=output:2")
        .ok();
    let frame = udp();
    for _ in 0..4 {
        switch.receive("p1", &frame);
    }
    eventually("four packets", || {
        (switch.sent("p2").len() == 4).then_some(())
    });
    switch.appctl("revalidator/purge").ok();
    for version in ["OpenFlow10", "OpenFlow13"] {
        let flows = switch.ofctl(&format!("-O {version} dump-flows br0")).ok();
        assert!(flows.contains("n_packets=4, n_bytes=288"), "{flows}");
        let all = switch
            .ofctl(&format!("-O {version} dump-aggregate br0"))
            .ok();
        assert!(
            all.contains("packet_count=4 byte_count=288 flow_count=1"),
            "{all}"
        );
        let ports = switch.ofctl(&format!("-O {version} dump-ports br0 2")).ok();
        assert!(ports.contains("tx pkts=4, bytes=288"), "{ports}");
        let tables = switch.ofctl(&format!("-O {version} dump-tables br0")).ok();
        assert!(tables.contains("active=1"), "{tables}");
        let shown = switch.ofctl(&format!("-O {version} show br0")).ok();
        assert!(shown.contains(" 1(p1): addr:"), "{shown}");
        assert!(shown.contains(" LOCAL(br0): addr:"), "{shown}");
    }
}

#[test]
fn flows_are_changed_and_deleted_as_asked() {
    let switch = bridge();
    for words in [
        "add-flow br0 priority=10,ip,nw_src=10.0.0.0/8,actions=drop",
        "add-flow br0 priority=20,ip,nw_src=10.1.0.0/16,actions=output:1",
        "add-flow br0 priority=20,arp,actions=NORMAL",
        "mod-flows br0 ip,nw_src=10.0.0.0/8,actions=output:2",
    ] {
        switch.ofctl(words).ok();
    }
    let dump = |words: &str| {
        let mut lines: Vec<String> = switch
            .ofctl(&format!("dump-flows --no-stats br0 {words}"))
            .ok()
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| line.contains("actions="))
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(
        dump(""),
        [
            "priority=10,ip,nw_src=10.0.0.0/8 actions=output:2",
            "priority=20,arp actions=NORMAL",
            "priority=20,ip,nw_src=10.1.0.0/16 actions=output:2",
        ]
    );
    switch
        .ofctl("--strict del-flows br0 priority=10,ip,nw_src=10.0.0.0/8")
        .ok();
    assert_eq!(
        dump("ip"),
        ["priority=20,ip,nw_src=10.1.0.0/16 actions=output:2"]
    );
    switch.ofctl("del-flows br0 out_port=2").ok();
    assert_eq!(dump(""), ["priority=20,arp actions=NORMAL"]);
}

#[test]
fn what_the_switch_cannot_do_is_refused_by_name() {
    let switch = bridge();
    let refused = switch.ofctl("-O OpenFlow13 add-flow br0 table=5,actions=goto_table:5");
    assert_eq!(refused.code, 1, "{refused:?}");
    let refused = switch.ofctl("-O OpenFlow14 show br0");
    assert_eq!(refused.code, 1, "{refused:?}");
    let learn = "learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])";
    for (action, error) in [
        ("ct(commit)", "OFPBAC_BAD_TYPE"),
        ("check_pkt_larger(100)->NXM_NX_REG0[0]", "OFPBAC_BAD_TYPE"),
        (learn, "OFPBAC_BAD_VENDOR_TYPE"),
        ("conjunction(1,1/2)", "OFPBAC_BAD_VENDOR_TYPE"),
        ("fin_timeout(idle_timeout=3)", "OFPBAC_BAD_VENDOR_TYPE"),
    ] {
        let refused = switch.ofctl(&format!("add-flow br0 tcp,actions={action}"));
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains(error), "{action}: {refused:?}");
    }
    let flows = switch.ofctl("dump-flows br0").ok();
    assert!(!flows.contains("actions="), "{flows}");
}

/// What the bridge answers to a message: the type of its answer and what stands behind its header.
#[track_caller]
fn answer(switch: &Switch, message: &[u8]) -> (u8, Vec<u8>) {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let mut socket = UnixStream::connect(switch.path("br0.mgmt")).expect("the bridge's socket");
    socket
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .expect("a deadline");
    // OFPT_HELLO of the message's version.
    socket
        .write_all(&[message[0], 0, 0, 8, 0, 0, 0, 1])
        .expect("hello");
    socket.write_all(message).expect("a message");
    loop {
        let mut header = [0; 8];
        socket.read_exact(&mut header).expect("a message");
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut body = vec![0; length - 8];
        socket.read_exact(&mut body).expect("its body");
        if header[1] != 0 {
            assert_eq!(header[4..], message[4..8], "an unasked message: {header:?}");
            return (header[1], body);
        }
    }
}

#[test]
fn an_unknown_action_gets_the_specified_error_over_the_socket() {
    let switch = bridge();
    // A flow of OpenFlow 1.0 with an action of type 0x0999 (§5.3.3 of 1.0.0).
    let mut message = vec![1, 14, 0, 80, 0, 0, 0, 9];
    message.extend_from_slice(&0x003f_ffffu32.to_be_bytes());
    message.resize(72, 0);
    message[64..70].fill(0xff);
    message.extend_from_slice(&[0x09, 0x99, 0, 8, 0, 0, 0, 0]);
    let (kind, body) = answer(&switch, &message);
    // OFPET_BAD_ACTION, OFPBAC_BAD_TYPE, then the start of what was wrong.
    assert_eq!((kind, &body[..4]), (1, &[0, 2, 0, 0][..]), "{body:?}");
    assert_eq!(body[4..12], message[..8]);
}

#[test]
fn statistics_of_what_the_switch_does_not_have_are_refused_as_such() {
    let switch = bridge();
    // OFPMP_GROUP_FEATURES and OFPMP_METER_FEATURES of 1.3, a type that nobody has, and Nicira's
    // flow monitor in 1.0.
    let multipart = |n: u8| [4, 18, 0, 16, 0, 0, 0, 9, 0, n, 0, 0, 0, 0, 0, 0].to_vec();
    let monitor = [
        &[1, 16, 0, 24, 0, 0, 0, 9, 0xff, 0xff, 0, 0][..],
        &[0, 0, 0x23, 0x20, 0, 0, 0, 2, 0, 0, 0, 0],
    ];
    for message in [multipart(8), multipart(11), multipart(99), monitor.concat()] {
        let (kind, body) = answer(&switch, &message);
        // OFPET_BAD_REQUEST, OFPBRC_BAD_STAT (since 1.3 OFPBRC_BAD_MULTIPART).
        let error = (kind, &body[..4]);
        assert_eq!(error, (1, &[0, 1, 0, 2][..]), "to {message:02x?}");
    }
}

#[test]
fn flows_name_no_meters_and_groups_that_do_not_exist() {
    let switch = bridge();
    for (actions, error) in [
        ("meter:1,2", "OFPMMFC_INVALID_METER"),
        ("group:1", "OFPBAC_BAD_OUT_GROUP"),
        ("clone(group:1)", "OFPBAC_BAD_OUT_GROUP"),
    ] {
        let words = format!("-O OpenFlow13 add-flow br0 actions={actions}");
        let refused = switch.ofctl(&words);
        assert!(refused.err.contains(error), "{words}: {refused:?}");
    }
    let frame = hex(&udp());
    let out = "-O OpenFlow13 packet-out br0";
    let refused = switch.ofctl(&format!("{out} in_port=1,packet={frame},actions=group:1"));
    assert!(refused.err.contains("OFPBAC_BAD_OUT_GROUP"), "{refused:?}");
    let flows = switch.ofctl("dump-flows br0").ok();
    assert!(!flows.contains("actions="), "{flows}");
}

#[test]
fn a_flow_that_fits_no_reply_is_left_out_and_told_of() {
    let switch = bridge();
    switch.vsctl("clear bridge br0 protocols").ok();
    let many = "dec_ttl,resubmit(,39),".repeat(2045);
    let matching = "priority=90,icmp,reg15=0x8005,metadata=1,nw_dst=11.0.0.1";
    let flow = format!("{matching},actions={}", many.trim_end_matches(','));
    fs::write(switch.path("flow.txt"), flow).expect("a file");
    switch.ofctl("-O OpenFlow15 add-flows br0 flow.txt").ok();
    switch
        .ofctl("add-flow br0 priority=1,in_port=2,actions=drop")
        .ok();
    let shown = switch.ofctl("dump-flows br0").ok();
    assert!(
        shown.contains("in_port=2") || shown.contains("in_port=p2"),
        "{shown}"
    );
    assert!(!shown.contains("11.0.0.1"), "{shown}");
    let line = "ofp_flow|WARN|Flow exceeded the maximum flow statistics reply size and was \
                excluded from the response set";
    assert!(switch.log().contains(line), "{}", switch.log());
}

#[test]
fn queues_are_those_of_the_ports() {
    let switch = bridge();
    let stats = switch.ofctl("queue-stats br0").ok();
    assert!(
        stats.contains("OFPST_QUEUE reply (xid=0x2): 3 queues"),
        "{stats}"
    );
    let config = switch.ofctl("queue-get-config br0 1").ok();
    assert!(config.contains("port=1\nqueue 0:"), "{config}");
    let all = switch.ofctl("-O OpenFlow13 queue-get-config br0").ok();
    let three = "port=ANY\nqueue 0:\nqueue 0:\nqueue 0:\n";
    assert!(all.contains(three), "{all}");
    // OpenFlow 1.0 can only ask for one port at a time.
    let mut ofctl = switch.our_tool("ovs-ofctl");
    let each = run(ofctl.args(["queue-get-config", "br0"])).ok();
    for port in [1, 2] {
        let one = format!(" port={port}\nqueue 0:\n");
        assert!(each.contains(&one), "{each}");
    }
    for (words, error) in [
        ("queue-stats br0 ALL 5", "OFPQOFC_BAD_QUEUE"),
        ("queue-stats br0 1 5", "OFPQOFC_BAD_QUEUE"),
        ("queue-stats br0 10", "OFPQOFC_BAD_PORT"),
        ("queue-get-config br0 10", "OFPQOFC_BAD_PORT"),
    ] {
        let done = switch.ofctl(words);
        let said = done.out + &done.err;
        assert!(said.contains(error), "{words}: {said}");
    }
    let log = switch.log();
    let line = "sending OFPQOFC_BAD_PORT error reply to OFPST_QUEUE request message";
    assert!(log.contains(line), "{log}");
}

#[test]
fn a_port_that_is_switched_off_has_no_link() {
    let switch = bridge();
    let state = |version: &str| {
        let shown = switch.ofctl(&format!("-O {version} show br0")).ok();
        let at = shown.find(" 1(p1)").expect("the port");
        let lines: Vec<&str> = shown[at..].lines().skip(1).take(2).map(str::trim).collect();
        lines.join("; ")
    };
    assert_eq!(state("OpenFlow13"), "config:     0; state:      LIVE");
    for version in ["OpenFlow10", "OpenFlow13"] {
        switch
            .ofctl(&format!("-O {version} mod-port br0 p1 down"))
            .ok();
        let down = "config:     PORT_DOWN; state:      LINK_DOWN";
        assert_eq!(state(version), down);
        switch
            .ofctl(&format!("-O {version} mod-port br0 p1 up"))
            .ok();
        assert!(state(version).starts_with("config:     0;"));
    }
    switch.appctl("netdev-dummy/set-admin-state p1 down").ok();
    assert!(state("OpenFlow13").ends_with("LINK_DOWN"));
    eventually("the link's state in the database", || {
        let state = switch.vsctl("get interface p1 link_state").ok();
        (state.trim() == "down").then_some(())
    });
}

#[test]
fn ports_tell_their_age_and_counters_of_their_own() {
    let switch = bridge();
    switch.vsctl("clear bridge br0 protocols").ok();
    let frame = udp();
    switch.receive("p1", &frame);
    switch.appctl("time/warp 5000 1000").ok();
    let shown = switch.ofctl("-O OpenFlow14 dump-ports br0 1").ok();
    let age = shown
        .split("duration=")
        .nth(1)
        .and_then(|t| t.split('.').next());
    let age: u32 = age.and_then(|t| t.parse().ok()).expect("an age");
    assert!(age >= 5, "{shown}");
    for counter in [
        "rx_custom_packets_1=1,",
        "rx_q0_packets=1,",
        "rx_q0_bytes=72,",
        "tx_q0_packets=0,",
    ] {
        assert!(shown.contains(counter), "{counter}: {shown}");
    }
}

#[test]
fn ports_are_told_of_as_they_change() {
    let switch = bridge();
    switch
        .vsctl("set bridge br0 protocols=OpenFlow10,OpenFlow14,OpenFlow15")
        .ok();
    for (version, of) in [("OpenFlow14", "OF1.4"), ("OpenFlow15", "OF1.5")] {
        let monitor = Monitor::new(&switch, version);
        let frame = udp();
        switch
            .ofctl("add-flow br0 in_port=1,actions=CONTROLLER")
            .ok();
        monitor.sees("PACKET_IN", || switch.receive("p1", &frame));
        switch
            .vsctl("add-port br0 p9 -- set interface p9 type=dummy ofport_request=9")
            .ok();
        switch
            .ofctl(&format!("-O {version} mod-port br0 p9 down"))
            .ok();
        switch.vsctl("del-port br0 p9").ok();
        let text = monitor.sees("DEL: 9(p9)", || {});
        let mut lines = text.lines().map(str::trim);
        let mut told = Vec::new();
        while let Some(line) = lines.next() {
            if let Some(at) = line.find(": 9(p9)") {
                let (config, state) = (lines.next(), lines.next());
                let last = |line: Option<&str>| {
                    let word = line.and_then(|l| l.split_whitespace().last());
                    word.unwrap_or_default().to_owned()
                };
                told.push((line[at - 3..at].to_owned(), last(config), last(state)));
            }
            assert!(!line.contains("PORT_STATUS") || line.contains(of), "{line}");
        }
        let mut wanted = vec![
            ("ADD", "0", "0"),
            ("MOD", "0", "LIVE"),
            ("MOD", "PORT_DOWN", "0"),
            ("MOD", "PORT_DOWN", "LINK_DOWN"),
            ("DEL", "PORT_DOWN", "LINK_DOWN"),
        ];
        let wanted: Vec<_> = wanted
            .drain(..)
            .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
            .collect();
        // Who is not the one that asked is told of it in all versions.
        assert_eq!(told, wanted, "{version}: {text}");
    }
}

#[test]
fn a_packet_out_carries_registers_and_metadata() {
    let switch = bridge();
    switch
        .vsctl("set bridge br0 protocols=OpenFlow10,OpenFlow15")
        .ok();
    let monitor = Monitor::new(&switch, "OpenFlow15");
    let frame = hex(&udp());
    let mut ofctl = switch.our_tool("ovs-ofctl");
    let words = format!("in_port=controller,metadata=0x22,packet={frame},actions=controller");
    run(ofctl.args(["-O", "OpenFlow15", "packet-out", "br0", &words])).ok();
    monitor.sees("metadata=0x22", || {});
}

#[test]
fn tables_are_named_by_controllers() {
    let switch = bridge();
    switch
        .vsctl("set bridge br0 protocols=OpenFlow10,OpenFlow13,OpenFlow15")
        .ok();
    let ofctl = |words: &[&str]| run(switch.our_tool("ovs-ofctl").args(words));
    ofctl(&["-O", "OpenFlow13", "mod-table", "br0", "0", "name:first"]).ok();
    ofctl(&["-O", "OpenFlow15", "mod-table", "br0", "1", "name:second"]).ok();
    let features = ofctl(&["-O", "OpenFlow13", "dump-table-features", "br0"]).ok();
    assert!(
        features.starts_with("  table 0 (\"first\"):\n"),
        "{features}"
    );
    assert!(
        features.contains("  table 1 (\"second\"): ditto\n"),
        "{features}"
    );
    assert!(features.contains(" reg0...reg31 "), "{features}");
    ofctl(&[
        "add-flow",
        "br0",
        "table=first,in_port=p1,actions=resubmit(,second)",
    ])
    .ok();
    let flows = ofctl(&["--names", "--no-stats", "dump-flows", "br0"]).ok();
    let flow = "table=first, in_port=p1 actions=resubmit(,second)";
    assert!(flows.contains(flow), "{flows}");
    let tables = ofctl(&["dump-tables", "br0"]).ok();
    let fields = "exact match or wildcard: in_port eth_{src,dst,type} vlan_{vid,pcp} ip_{src,dst} \
                  nw_{proto,tos} tcp_{src,dst}\n";
    assert!(tables.contains(fields), "{tables}");
    let refused = ofctl(&["-O", "OpenFlow12", "mod-table", "br0", "0", "name:x"]);
    let why = "table_mod 'name:x' requires one of the OpenFlow versions OpenFlow13, OpenFlow14, \
               OpenFlow15";
    assert!(refused.err.contains(why), "{refused:?}");
}

#[test]
fn a_number_is_taken_from_whoever_did_not_ask_for_it() {
    let switch = bridge();
    let set = |p1: &str, p2: &str| {
        let words =
            format!("set interface p1 ofport_request={p1} -- set interface p2 ofport_request={p2}");
        switch.vsctl(&words).ok();
        let numbers = switch
            .vsctl("get interface p1 ofport -- get interface p2 ofport")
            .ok();
        let numbers: Vec<u32> = numbers
            .lines()
            .filter_map(|n| n.trim().parse().ok())
            .collect();
        (numbers[0], numbers[1])
    };
    assert_eq!(set("1", "2"), (1, 2));
    let (first, second) = set("[]", "1");
    assert!(first != 1 && second == 1, "{first} {second}");
    // Whoever has what both ask for keeps it.
    let (first, second) = set("1", "1");
    assert!(first != 1 && second == 1, "{first} {second}");
    assert_eq!(set("1", "[]").0, 1);
    assert_eq!(set("2", "1"), (2, 1));
}

#[test]
fn names_that_are_a_datapaths_own_are_refused() {
    let switch = bridge();
    for name in ["ovs-netdev", "vxlan_sys_4789"] {
        let refused = switch.vsctl(&format!("add-port br0 {name}"));
        let line = format!("Error detected while setting up '{name}'.  See ovs-vswitchd log");
        assert!(refused.err.contains(&line), "{refused:?}");
        let why = format!("|bridge|WARN|could not create interface {name}, name is reserved");
        assert!(switch.log().contains(&why), "{}", switch.log());
        switch.vsctl(&format!("del-port br0 {name}")).ok();
    }
}
