//! A hundred megabytes through veth devices whose offloads nobody touched.

use end_to_end::{Make, Netns, Switch, eventually, namespaces_allowed, run, transfer};

const HUNDRED_MEGABYTES: u64 = 100_000_000;

fn reach(from: &Netns, to: &str) {
    eventually(&format!("{to} answers ping"), || {
        (run(from.command("ping").args(["-c1", "-W1", to])).code == 0).then_some(())
    });
}

/// Two machines, 10.9.0.1 and 10.9.0.2, on one bridge.
fn one_bridge() -> Option<(Switch, [Netns; 3])> {
    if !namespaces_allowed() {
        return None;
    }
    let nets = [Netns::new(), Netns::new(), Netns::new()];
    let [here, left, right] = &nets;
    here.wire("veth0", left, "eth0");
    here.wire("veth1", right, "eth0");
    left.ip("addr add 10.9.0.1/24 dev eth0");
    right.ip("addr add 10.9.0.2/24 dev eth0");
    let switch = Switch::within(here, Make::Ours);
    switch
        .vsctl("add-br br0 -- add-port br0 veth0 -- add-port br0 veth1")
        .ok();
    reach(left, "10.9.0.2");
    Some((switch, nets))
}

/// Two machines on access ports of VLAN 10, each on a bridge of its own in a namespace and a
/// switch of its own, joined by a trunk over a veth.
fn two_bridges() -> Option<([Switch; 2], [Netns; 4])> {
    if !namespaces_allowed() {
        return None;
    }
    let nets = [Netns::new(), Netns::new(), Netns::new(), Netns::new()];
    let [here, there, left, right] = &nets;
    here.wire("veth0", left, "eth0");
    there.wire("veth0", right, "eth0");
    here.wire("trunk", there, "trunk");
    left.ip("addr add 10.9.0.1/24 dev eth0");
    right.ip("addr add 10.9.0.2/24 dev eth0");
    let switches = [here, there].map(|netns| {
        let switch = Switch::within(netns, Make::Ours);
        switch
            .vsctl(
                "add-br br0 -- add-port br0 veth0 tag=10 \
                 -- add-port br0 trunk trunks=10,20 vlan_mode=trunk",
            )
            .ok();
        switch
    });
    reach(left, "10.9.0.2");
    Some((switches, nets))
}

#[test]
fn bulk_tcp() {
    if let Some((_switch, [_, left, right])) = one_bridge() {
        transfer::tcp(&left, &right, "10.9.0.2", HUNDRED_MEGABYTES);
    }
}

#[test]
fn bulk_udp() {
    if let Some((_switch, [_, left, right])) = one_bridge() {
        transfer::udp(&left, &right, "10.9.0.2", HUNDRED_MEGABYTES);
    }
}

#[test]
fn bulk_tcp_over_a_trunk() {
    if let Some((_switches, [_, _, left, right])) = two_bridges() {
        transfer::tcp(&left, &right, "10.9.0.2", HUNDRED_MEGABYTES);
    }
}

#[test]
fn bulk_udp_over_a_trunk() {
    if let Some((_switches, [_, _, left, right])) = two_bridges() {
        transfer::udp(&left, &right, "10.9.0.2", HUNDRED_MEGABYTES);
    }
}
