//! Datapaths made and changed by hand: `dpctl/*` with the original's `ovs-appctl`, and the same
//! through our `ovs-dpctl`.

use end_to_end::{Make, Switch, run};
use std::fs;

/// The command fails, and these are its lines.
fn refused(switch: &Switch, words: &[&str], lines: &str) {
    let told = switch.appctl_args(words).fails(2);
    assert!(told.contains(lines), "{words:?} said\n{told}");
}

#[test]
fn a_datapath_is_made_has_ports_and_goes() {
    let switch = Switch::start(Make::Ours, None, &["--enable-dummy=override"]);
    switch.appctl("dpctl/add-dp dummy@mine p1,type=dummy").ok();
    refused(
        &switch,
        &["dpctl/add-dp", "dummy@mine"],
        "ovs-vswitchd: add_dp (File exists)\n",
    );
    switch
        .appctl("dpctl/add-if dummy@mine p7,type=dummy,port_no=7 p8,type=dummy")
        .ok();
    let shown = switch.appctl("dpctl/show dummy@mine").ok();
    let rest = "  lookups: hit:0 missed:0 lost:0\n  flows: 0\n";
    let wanted = format!(
        "dummy@mine:\n{rest}  port 0: mine (dummy-internal)\n  port 1: p1 (dummy)\n  \
         port 7: p7 (dummy)\n  port 8: p8 (dummy)\n"
    );
    assert_eq!(shown, wanted);
    assert_eq!(switch.appctl("dpctl/dump-dps").ok(), "dummy@mine\n");

    for (words, lines) in [
        (
            "dpctl/add-if dummy@mine p7,type=dummy",
            "adding p7 to dummy@mine failed (File exists)",
        ),
        (
            "dpctl/add-if dummy@mine p9,type=dummy,port_no=7",
            "adding p9 to dummy@mine failed (Device or resource busy)",
        ),
        (
            "dpctl/add-if dummy@mine p9,type=none",
            "p9: failed to open network device",
        ),
        (
            "dpctl/set-if dummy@mine p7,port_no=8",
            "p7: can't change port number from 7 to 8",
        ),
        (
            "dpctl/set-if dummy@mine p7,type=internal",
            "p7: can't change type from dummy to internal",
        ),
        ("dpctl/del-if dummy@mine p9", "no port named p9"),
        (
            "dpctl/del-if dummy@mine mine",
            "deleting port mine from dummy@mine failed (Invalid argument)",
        ),
        (
            "dpctl/show dummy@yours",
            "opening datapath dummy@yours failed (No such device)",
        ),
        (
            "dpctl/add-dp what@mine",
            "add_dp (Address family not supported by protocol)",
        ),
        ("dpctl/show --what", "Unrecognized option --what"),
    ] {
        refused(&switch, &words.split(' ').collect::<Vec<_>>(), lines);
    }
    switch.appctl("dpctl/set-if dummy@mine p7,port_no=7").ok();
    switch.appctl("dpctl/del-if dummy@mine p7 8").ok();
    let left = switch.appctl("dpctl/show dummy@mine").ok();
    assert!(left.contains("p1") && !left.contains("p7") && !left.contains("p8"));
    switch.appctl("dpctl/del-dp dummy@mine").ok();
    refused(
        &switch,
        &["dpctl/del-dp", "dummy@mine"],
        "ovs-vswitchd: opening datapath (No such device)\n",
    );
}

#[test]
fn flows_by_hand_forward_on_a_datapath_without_bridges() {
    let switch = Switch::start(Make::Ours, None, &["--enable-dummy=override"]);
    let capture = switch.path("out.pcap");
    let out = capture.display();
    switch
        .appctl(&format!(
            "dpctl/add-dp dummy@mine a,type=dummy b,type=dummy,tx_pcap={out}"
        ))
        .ok();
    let flow = "recirc_id(0),in_port(1),eth(),eth_type(0x1234)";
    switch
        .appctl_args(&["dpctl/add-flow", "dummy@mine", flow, "2"])
        .ok();
    let frame = end_to_end::frame::ethernet([2; 6], [4; 6], 0x1234, &[9; 50]);
    switch.receive("a", &frame);
    assert_eq!(end_to_end::capture::read(&capture), [frame]);
    let dumped = switch.appctl("dpctl/dump-flows dummy@mine").ok();
    assert!(dumped.contains("packets:1, bytes:64"), "{dumped}");
    let add = ["dpctl/add-flow", "dummy@mine", flow, "1"];
    refused(&switch, &add, "updating flow table (File exists)");
    let nowhere = ["dpctl/add-flow", "dummy@mine", "eth_type(0x1234)", "1"];
    refused(&switch, &nowhere, "updating flow table (Invalid argument)");
    // What is changed goes on counting; what is cleared begins anew, and tells what there was.
    switch
        .appctl_args(&["dpctl/mod-flow", "dummy@mine", flow, "drop"])
        .ok();
    let cleared = switch
        .appctl_args(&["dpctl/mod-flow", "-s", "--clear", "dummy@mine", flow, "2"])
        .ok();
    assert!(cleared.starts_with("packets:1, bytes:64, "), "{cleared}");
    let dumped = switch.appctl("dpctl/dump-flows dummy@mine").ok();
    assert!(dumped.contains("packets:0, bytes:0, used:never, actions:2"));
    switch
        .appctl_args(&["dpctl/del-flow", "dummy@mine", flow])
        .ok();
    let gone = ["dpctl/del-flow", "dummy@mine", flow];
    refused(
        &switch,
        &gone,
        "deleting flow (No such file or directory)\nPerhaps you need to specify a UFID?\n",
    );
}

#[test]
fn files_of_flows_are_carried_out_line_by_line() {
    let switch = Switch::start(Make::Ours, None, &["--enable-dummy=override"]);
    switch.appctl("dpctl/add-dp dummy@mine").ok();
    let flow = |n| format!("in_port({n}),eth_type(0x1234)");
    let file = switch.path("flows");
    let name = file.to_str().expect("a path in UTF-8");
    let lines = format!(
        "# three, one of them changed, one taken away\n{} 2\nadd {} 2\nadd {} 2\n\n\
         modify {} 9\ndelete {}\nadd nothing\n",
        flow(1),
        flow(2),
        flow(3),
        flow(2),
        flow(3)
    );
    fs::write(&file, lines).expect("the file is written");
    let told = switch
        .appctl_args(&["dpctl/add-flows", "dummy@mine", name])
        .ok();
    assert_eq!(
        told,
        "ovs-vswitchd: Failed parsing line number 8, skipped!\n"
    );
    let mut ours = switch.our_tool("ovs-dpctl");
    let dumped = run(ours.args(["dump-flows", "dummy@mine"])).ok();
    let mut flows: Vec<&str> = dumped.lines().filter(|l| l.contains("in_port")).collect();
    flows.sort_unstable();
    assert_eq!(flows.len(), 2, "{dumped}");
    assert!(flows[0].contains("in_port(1)") && flows[0].ends_with("actions:2"));
    assert!(flows[1].contains("in_port(2)") && flows[1].ends_with("actions:9"));
    switch.appctl("dpctl/del-flows dummy@mine").ok();
    assert_eq!(switch.appctl("dpctl/dump-flows dummy@mine").ok(), "");
}

#[test]
fn a_port_taken_from_a_bridges_datapath_comes_back_with_the_next_change() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "");
    switch.appctl("dpctl/del-if dummy@ovs-dummy p1").ok();
    let left = switch.appctl("dpctl/show").ok();
    assert!(left.contains(" p2 ") && !left.contains(" p1 "), "{left}");
    switch
        .vsctl("add-port br0 p3 -- set interface p3 type=dummy")
        .ok();
    let all = switch.appctl("dpctl/show").ok();
    assert!(all.contains(" p1 ") && all.contains(" p3 "), "{all}");
}

#[test]
fn all_commands_are_listed_and_those_that_cannot_be_are_refused() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    let listed = switch.appctl("dpctl/list-commands").ok();
    for name in ["add-dp", "set-if", "cache-get-size", "ipf-get-status"] {
        assert!(listed.contains(&format!("  dpctl/{name} ")), "{listed}");
    }
    let refusal = "ovs-vswitchd: starting conntrack dump (Operation not supported)\n";
    refused(&switch, &["dpctl/dump-conntrack"], refusal);
    let actions = "set(ipv6(hlimit=3)),push_vlan(vid=5,pcp=1),2";
    let told = switch
        .appctl_args(&["dpctl/parse-actions", actions, "drop"])
        .ok();
    assert_eq!(told, format!("{actions}\ndrop\n"));
    let mut ours = switch.our_tool("ovs-dpctl");
    let flow = "in_port(1),eth_type(0x0800)";
    let mut normal = |actions: &str| run(ours.args(["normalize-actions", flow, actions])).ok();
    let told = normal("3,push_vlan(vid=9,pcp=0),7,2");
    assert!(
        told.ends_with("no vlan: no mpls: 3vlan(vid=9,pcp=0): no mpls: 2,7"),
        "{told}"
    );
    let stats = switch.appctl("dpctl/offload-stats-show").ok();
    assert_eq!(stats, "HW Offload stats:\n");
}
