//! What a bridge says of itself, and ports that it cannot have.

use end_to_end::{Make, Switch, within};
use std::time::Duration;

/// A column, as `ovs-vsctl get` shows it, without quotes.
fn get(switch: &Switch, column: &str) -> String {
    let shown = switch.vsctl(&format!("get {column}")).ok();
    shown.trim().trim_matches('"').to_owned()
}

#[test]
fn its_address_is_the_lowest_global_one_of_its_ports_or_made_from_its_id() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "");
    // Dummy ports have addresses that anybody may have: none is the bridge's.
    let uuid = get(&switch, "bridge br0 _uuid");
    let pair = |at: usize| &uuid[at..at + 2];
    let first = u8::from_str_radix(pair(6), 16).expect("a hex digit");
    let first = format!("{:02x}", first & 0xfe | 2);
    let made = [&first, pair(4), pair(2), pair(0), pair(16), pair(14)].join(":");
    assert_eq!(get(&switch, "interface br0 mac_in_use"), made);
    let id = format!("0000{}", made.replace(':', ""));
    assert_eq!(get(&switch, "bridge br0 datapath_id"), id);

    let with = |port: &str, mac: &str| {
        let words =
            format!("add-port br0 {port} -- set interface {port} type=internal mac=\"{mac}\"");
        switch.vsctl(&words).ok();
        get(&switch, "interface br0 mac_in_use")
    };
    assert_eq!(with("i1", "02:00:00:00:00:01"), made);
    assert_eq!(with("i2", "00:10:00:00:00:07"), "00:10:00:00:00:07");
    assert_eq!(with("i3", "00:e0:2b:00:00:04"), "00:10:00:00:00:07");
    assert_eq!(with("i4", "00:10:00:00:00:06"), "00:10:00:00:00:06");
    switch.vsctl("del-port i2 -- del-port i4").ok();
    assert_eq!(get(&switch, "interface br0 mac_in_use"), made);

    // What is asked for goes first, if it can be had.
    let ask = |mac: &str| {
        let words = format!("set bridge br0 other_config:hwaddr=\"{mac}\"");
        switch.vsctl(&words).ok();
        get(&switch, "interface br0 mac_in_use")
    };
    assert_eq!(ask("02:00:00:00:00:09"), "02:00:00:00:00:09");
    assert_eq!(ask("01:00:00:00:00:09"), made);
    assert_eq!(ask("00:00:00:00:00:00"), made);
    let log = switch.log();
    for line in [
        "bridge br0: cannot set MAC address to multicast address 01:00:00:00:00:09",
        "bridge br0: cannot set MAC address to zero",
    ] {
        assert!(log.contains(line), "{line} in\n{log}");
    }
}

#[test]
fn ports_that_cannot_be_had_say_why() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    for (settings, why) in [
        (
            "type=patch options:peer=q",
            "q: patch peer must not be self",
        ),
        ("type=patch", "q: patch type requires valid 'peer' argument"),
        (
            "type=patch options:peer=r options:tos=1",
            "q: patch type takes only a 'peer' argument",
        ),
        (
            "type=bogus",
            "could not open network device q (Address family not supported by protocol)",
        ),
    ] {
        let add = format!("add-port br0 q -- set interface q {settings}");
        let done = switch.vsctl(&add);
        let said = format!("Error detected while setting up 'q': {why}.");
        assert!(done.err.contains(&said), "{settings}: {}", done.err);
        assert_eq!(get(&switch, "interface q ofport"), "-1", "{settings}");
        assert_eq!(get(&switch, "interface q error"), why);
        switch.vsctl("del-port q").ok();
    }
    // What floods goes to none that could not be had.
    switch.vsctl("--no-wait add-port br0 q -- set interface q type=patch options:peer=q");
    switch.ofctl("add-flow br0 actions=NORMAL").ok();
    let trace = switch.appctl("ofproto/trace br0 in_port=1").ok();
    assert!(trace.contains("Datapath actions: 100\n"), "{trace}");
}

#[test]
fn versions_are_in_the_database() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(1, "");
    within(Duration::from_secs(30), || {
        let bridge = get(&switch, "bridge br0 datapath_version") == "<built-in>";
        let dpdk = get(&switch, "open_vswitch . dpdk_version") == "none";
        (bridge && dpdk).then_some(())
    })
    .expect("the versions of what moves packets");
}
