//! The tools of this workspace where their surroundings fail them, and `ovs-dpctl` against a daemon.

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};

use end_to_end::frame::{Ipv4, ethernet, mac};
use end_to_end::{Make, Switch, ours, run};

const TOOLS: [&str; 6] = [
    "ovs-appctl",
    "ovs-dpctl",
    "ovs-ofctl",
    "ovs-vsctl",
    "ovsdb-client",
    "ovsdb-tool",
];
const DAEMONS: [&str; 2] = ["ovs-vswitchd", "ovsdb-server"];

#[test]
fn a_reader_that_has_gone_away_ends_a_program_quietly() {
    for name in TOOLS.iter().chain(&DAEMONS) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut program = Command::new(ours(name));
        let done = program
            .arg("--help")
            .stdout(writer)
            .stderr(Stdio::piped())
            .output();
        let done = done.expect("it starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), &*said), (Some(0), ""), "{name}");
    }
}

#[test]
fn output_that_has_no_room_is_an_error() {
    for name in TOOLS.iter().chain(&DAEMONS) {
        let full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let mut program = Command::new(ours(name));
        let done = program
            .arg("--help")
            .stdout(full)
            .stderr(Stdio::piped())
            .output();
        let done = done.expect("it starts");
        let said = String::from_utf8_lossy(&done.stderr);
        let expected = format!("{name}: write failed (No space left on device)\n");
        assert_eq!((done.status.code(), &*said), (Some(1), &*expected));
    }
}

#[test]
fn a_tool_that_takes_too_long_dies_of_an_alarm() {
    let dir = tempfile::tempdir().expect("a folder");
    let silent = dir.path().join("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).expect("a socket");
    let remote = format!("unix:{}", silent.display());
    for (name, words) in [
        ("ovs-ofctl", vec!["show", remote.as_str()]),
        ("ovsdb-client", vec!["list-dbs", remote.as_str()]),
        ("ovs-vsctl", vec!["--db", remote.as_str(), "show"]),
    ] {
        let mut tool = Command::new(ours(name));
        tool.env("OVS_RUNDIR", dir.path());
        let done = run(tool.arg("--timeout=1").args(words));
        let said = done.fails(128 + 14);
        assert!(
            said.ends_with("fatal_signal|WARN|terminating with signal 14 (Alarm clock)\n"),
            "{name}: {said}"
        );
    }
}

#[test]
fn options_are_taken_as_the_c_library_takes_them() {
    let cases = [
        ("ovs-ofctl", "--no-such", "unrecognized option '--no-such'"),
        ("ovs-ofctl", "-Z", "invalid option -- 'Z'"),
        (
            "ovs-ofctl",
            "--strict=1",
            "option '--strict' doesn't allow an argument",
        ),
        (
            "ovsdb-tool",
            "--ver",
            "option '--ver' is ambiguous; possibilities: '--verbose' '--version'",
        ),
        ("ovsdb-client", "-t", "option requires an argument -- 't'"),
        (
            "ovs-dpctl",
            "--timeout",
            "option '--timeout' requires an argument",
        ),
    ];
    for (name, option, complaint) in cases {
        let program = ours(name);
        let said = run(Command::new(&program).arg(option)).fails(1);
        assert_eq!(said, format!("{}: {complaint}\n", program.display()));
    }
}

#[test]
fn a_packet_out_needs_a_whole_ethernet_header() {
    let short = "packet=0102030405,actions=drop";
    let said = run(Command::new(ours("ovs-ofctl")).args(["packet-out", "br0", short])).fails(1);
    assert_eq!(
        said,
        "ovs-ofctl: packet: Packet data too short for Ethernet\n"
    );
}

#[test]
fn ofctl_names_what_it_cannot_do() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    for (words, why) in [
        (
            &["packet-out", "br0", "in_port=1 actions=2"][..],
            "must specify packet",
        ),
        (
            &["-Obogus", "show", "br0"],
            "Unknown OpenFlow version: \"bogus\"",
        ),
        (
            &["dump-table-desc", "br0"],
            "dump-table-desc needs OpenFlow 1.4 or later ('-O OpenFlow14')",
        ),
        (
            &["dump-table-features", "br0"],
            "dump-table-features needs OpenFlow 1.3 or later ('-O OpenFlow13')",
        ),
    ] {
        let said = run(switch.our_tool("ovs-ofctl").args(words)).fails(1);
        assert_eq!(said, format!("ovs-ofctl: {why}\n"));
    }
}

#[test]
fn flows_are_listed_table_by_table_unless_they_are_sorted() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    let ofctl = |words: &[&str]| run(switch.our_tool("ovs-ofctl").args(words)).ok();
    for flow in [
        "table=9,priority=30,udp,actions=drop",
        "table=9,priority=31,tcp,actions=drop",
        "table=0,priority=1,udp,actions=drop",
        "table=3,priority=7,udp,actions=drop",
        "table=0,priority=2,arp,actions=drop",
    ] {
        ofctl(&["add-flow", "br0", flow]);
    }
    ofctl(&["mod-flows", "br0", "udp,actions=1"]);
    ofctl(&["add-flow", "br0", "table=3,priority=40,udp,actions=1"]);
    ofctl(&["--strict", "del-flows", "br0", "table=9,priority=31,tcp"]);
    let tables = |words: &[&str]| {
        let shown = ofctl(&[&["dump-flows", "br0"], words].concat());
        let flows = shown.lines().filter(|l| l.contains("priority="));
        let table = |l: &str| {
            let (_, tail) = l.split_once("table=")?;
            tail.split(',').next().map(str::to_owned)
        };
        let tables = flows.map(|l| table(l).unwrap_or_else(|| "0".into()));
        tables.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tables(&[]), "0 0 3 3 9");
    assert_eq!(tables(&["--no-stats"]), "0 0 3 3 9");
    assert_eq!(tables(&["--no-stats", "udp"]), "0 3 3 9");
    assert_eq!(tables(&["out_port=1"]), "0 3 3 9");
    assert_eq!(tables(&["--names"]), "0 0 3 3 9");
    assert_eq!(tables(&["--rsort=priority", "udp"]), "3 9 3 0");
}

#[test]
fn flows_of_files_pipes_and_switches_are_compared() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    switch.ofctl("add-flow br0 in_port=1,actions=drop").ok();
    let file = switch.path("flows.txt");
    fs::write(&file, "in_port=1,actions=drop\nin_port=2,actions=drop\n").expect("a file");
    let diff = |a: &str, b: &str| run(switch.our_tool("ovs-ofctl").args(["diff-flows", a, b]));
    let name = file.to_str().expect("text");
    assert_eq!(diff("br0", "br0").ok(), "");
    let differs = diff("br0", name);
    assert_eq!(
        (differs.code, differs.out.as_str()),
        (2, "+in_port=2 actions=drop\n")
    );
    // A file that is none on a disk.
    let mut shell = switch.our_tool("ovs-ofctl");
    let program = shell.get_program().to_owned();
    shell = Command::new("sh");
    shell
        .env("OVS_RUNDIR", switch.path(""))
        .env("T", program)
        .env("F", name);
    shell.args(["-c", "cat $F | $T diff-flows br0 /dev/stdin"]);
    let differs = run(&mut shell);
    assert_eq!(
        (differs.code, differs.out.as_str()),
        (2, "+in_port=2 actions=drop\n")
    );
}

#[test]
fn many_refused_flows_do_not_stop_their_sender() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    let flows: String = (0..3000)
        .map(|n| format!("reg0={n},actions=group:{n}\n"))
        .collect();
    fs::write(switch.path("flows.txt"), flows).expect("a file");
    let mut tool = switch.our_tool("ovs-ofctl");
    tool.args([
        "-O",
        "OpenFlow13",
        "--timeout=60",
        "add-flows",
        "br0",
        "flows.txt",
    ]);
    let said = run(&mut tool).fails(1);
    assert!(said.contains("OFPBAC_BAD_OUT_GROUP"), "{said}");
}

#[test]
fn datapath_flows_are_added_changed_and_deleted() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "");
    switch.appctl("time/stop").ok();
    let dpctl = |words: &[&str]| run(switch.our_tool("ovs-dpctl").arg("--timeout=30").args(words));
    assert_eq!(dpctl(&["dump-dps"]).ok(), "dummy@ovs-dummy\n");
    let shown = dpctl(&["show"]).ok();
    assert!(shown.starts_with("dummy@ovs-dummy:\n"), "{shown}");
    assert!(shown.contains("port 1: p1 (dummy)"), "{shown}");

    let flow = "in_port(1),eth(),eth_type(0x800),ipv4(frag=no)";
    fs::write(
        switch.path("add"),
        format!("# from p1 to p2\n{flow} 2\n\nin_port(1)\n"),
    )
    .expect("a file");
    let done = dpctl(&["add-flows", "add"]);
    assert_eq!(
        done.err,
        "ovs-dpctl: Failed parsing line number 4, skipped!\n"
    );
    done.ok();
    let flows = dpctl(&["dump-flows"]).ok();
    assert!(flows.contains("actions:2"), "{flows}");
    let ip = Ipv4::new([10, 0, 0, 1], [10, 0, 0, 2]);
    let frame = ethernet(mac(2), mac(1), 0x800, &ip.udp(1, 2, &[0; 20]));
    switch.receive("p1", &frame);
    assert_eq!(switch.sent("p2"), [frame]);

    let mut tool = switch.our_tool("ovs-dpctl");
    let mut child = tool
        .args(["add-flows", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(
        &mut input,
        format!("delete {flow}\nadd {flow} drop\n").as_bytes(),
    )
    .expect("a line");
    drop(input);
    assert!(child.wait().expect("it ends").success());
    let flows = dpctl(&["dump-flows"]).ok();
    assert!(flows.contains("actions:drop"), "{flows}");

    dpctl(&["del-flow", flow]).ok();
    assert_eq!(dpctl(&["dump-flows"]).ok(), "");
    let said = dpctl(&["del-flow", flow]).fails(1);
    assert!(said.contains("No such file or directory"), "{said}");
}

#[test]
fn a_monitor_in_the_background_is_told_what_to_do() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    let shell = |words: &str| {
        let mut shell = switch.our_tool("ovs-ofctl");
        let program = shell.get_program().to_owned();
        shell = Command::new("sh");
        shell.env("OVS_RUNDIR", switch.path("")).env("T", program);
        run(shell.args(["-c", &format!("cd $OVS_RUNDIR && $T {words}")]))
    };
    shell("monitor br0 --detach --no-chdir --pidfile --unixctl=m.ctl 2>seen").ok();
    let tell = |words: &str| {
        let socket = switch.path("m.ctl");
        let target = format!("--target={}", socket.display());
        run(switch
            .tool("ovs-appctl")
            .arg(target)
            .args(words.split_whitespace()))
    };
    assert_eq!(tell("ofctl/send 0112000800000001").ok(), "sent\n");
    tell("ofctl/barrier").ok();
    let seen = fs::read_to_string(switch.path("seen")).expect("what it saw");
    let expected = "send: OFPT_BARRIER_REQUEST (xid=0x1):\nOFPT_BARRIER_REPLY (xid=0x1):\n";
    assert!(seen.contains(expected), "{seen}");
    tell("ofctl/set-output-file later").ok();
    tell("ofctl/block").ok();
    assert!(tell("ofctl/block").fails(2).contains("already blocking"));
    tell("ofctl/unblock").ok();
    tell("ofctl/barrier").ok();
    let later = fs::read_to_string(switch.path("later")).expect("what it saw later");
    assert!(later.contains("OFPT_BARRIER_REPLY"), "{later}");
    let pid = switch.pid("ovs-ofctl").expect("a pid file");
    tell("exit").ok();
    end_to_end::eventually("it ends", || {
        (!switch.path("ovs-ofctl.pid").exists()).then_some(())
    });
    assert!(pid > 1);
}

#[test]
fn packets_are_made_of_flows_and_read_from_files() {
    let ofctl = |words: &[&str]| run(Command::new(ours("ovs-ofctl")).args(words));
    let flow = "udp,dl_vlan=5,dl_vlan_pcp=0,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,\
                nw_src=1.2.3.4,nw_dst=2.3.4.5,nw_ttl=3,udp_src=4,udp_dst=5";
    let digits = ofctl(&["compose-packet", "--bare", flow, "aabb"]).ok();
    let wanted = "020000000002020000000001810000050800450000\
                  1e000000000311adc2010203040203040500040005000a4b08aabb";
    assert_eq!(digits, wanted);

    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("one.pcap");
    let frame = ethernet(
        mac(2),
        mac(1),
        0x800,
        &Ipv4::new([1, 2, 3, 4], [2, 3, 4, 5]).udp(4, 5, &[]),
    );
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend([0; 8]);
    bytes.extend(65535u32.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend([0; 8]);
    for _ in 0..2 {
        bytes.extend((frame.len() as u32).to_le_bytes());
    }
    bytes.extend(&frame);
    fs::write(&file, bytes).expect("a file");
    let name = file.to_string_lossy().into_owned();
    let line = ofctl(&["parse-pcap", &name]).ok();
    assert!(
        line.starts_with("udp,in_port=ANY,vlan_tci=0x0000,dl_src="),
        "{line}"
    );
    assert!(line.contains("nw_src=1.2.3.4,nw_dst=2.3.4.5"), "{line}");
    let refused = ofctl(&["parse-pcap", "/nonexistent.pcap"]);
    let why = "/nonexistent.pcap: open failed (No such file or directory)";
    assert!(
        refused.code == 1 && refused.err.contains(why),
        "{refused:?}"
    );
}
