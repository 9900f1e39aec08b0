//! VLANs on the wire, seen by a peer that tags for itself.

use std::time::Duration;

use end_to_end::frame::{arp, ethernet, mac, tagged};
use end_to_end::raw::RawSocket;
use end_to_end::{Make, Netns, Switch, namespaces_allowed, within};

const MACHINE: [u8; 4] = [10, 9, 0, 1];
const PEER: [u8; 4] = [10, 9, 0, 2];
const PATIENCE: Duration = Duration::from_secs(30);
/// For what must not come: long enough for a frame that comes by mistake, since it is asked for
/// after one that was sent later has come.
const BRIEF: Duration = Duration::from_millis(300);

/// A machine on an access port of VLAN 10, and a peer with a raw socket on a port with `settings`.
fn machine_and_peer(settings: &str) -> Option<(RawSocket, Switch, [Netns; 3])> {
    if !namespaces_allowed() {
        return None;
    }
    let nets = [Netns::new(), Netns::new(), Netns::new()];
    let [here, machine, peer] = &nets;
    here.wire("veth0", machine, "eth0");
    here.wire("veth1", peer, "eth0");
    machine.ip("addr add 10.9.0.1/24 dev eth0");
    let switch = Switch::within(here, Make::Ours);
    switch
        .vsctl(&format!(
            "add-br br0 -- add-port br0 veth0 tag=10 -- add-port br0 veth1 {settings}"
        ))
        .ok();
    let socket = RawSocket::open(peer, "eth0");
    Some((socket, switch, nets))
}

/// Who has the machine's address?
fn question() -> Vec<u8> {
    let body = arp(1, mac(2), PEER, [0; 6], MACHINE);
    let mut frame = ethernet([0xff; 6], mac(2), 0x806, &body);
    frame.resize(60, 0);
    frame
}

fn is_answer(frame: &[u8]) -> bool {
    frame.get(..6) == Some(&mac(2)[..])
}

/// Asks until the machine answers.
#[track_caller]
fn answer_to(socket: &RawSocket, question: &[u8]) -> Vec<u8> {
    within(PATIENCE, || {
        socket.send(question);
        socket.wait_for(BRIEF, is_answer)
    })
    .expect("the machine answers the peer")
}

#[test]
fn a_tagging_peer_on_a_trunk_reaches_an_access_port() {
    let Some((socket, _switch, _nets)) = machine_and_peer("trunks=10,20") else {
        return;
    };
    let answer = answer_to(&socket, &tagged(&question(), 10, 0));
    assert_eq!(answer[12..14], [0x81, 0x00], "{answer:02x?}");
    assert_eq!(answer[14..18], [0, 10, 0x08, 0x06], "{answer:02x?}");

    // Another VLAN, one that is not trunked, and none at all reach nobody on VLAN 10.
    while socket.receive().is_some() {}
    for frame in [
        tagged(&question(), 20, 0),
        tagged(&question(), 30, 0),
        question(),
    ] {
        socket.send(&frame);
        let none = socket.wait_for(BRIEF, is_answer);
        assert_eq!(none, None, "an answer across VLANs to {frame:02x?}");
    }
    answer_to(&socket, &tagged(&question(), 10, 5));
}

#[test]
fn a_native_vlan_is_untagged_or_tagged_as_the_mode_says() {
    for (mode, tags) in [("native-untagged", false), ("native-tagged", true)] {
        let settings = format!("vlan_mode={mode} tag=10 trunks=10,20");
        let Some((socket, _switch, _nets)) = machine_and_peer(&settings) else {
            return;
        };
        let answer = answer_to(&socket, &question());
        let expected: &[u8] = if tags { &[0x81, 0] } else { &[0x08, 0x06] };
        assert_eq!(&answer[12..14], expected, "{mode}: {answer:02x?}");
    }
}

#[test]
fn an_access_port_takes_no_other_vlans_frames() {
    let Some((socket, _switch, _nets)) = machine_and_peer("tag=10") else {
        return;
    };
    let answer = answer_to(&socket, &question());
    assert_eq!(answer[12..14], [0x08, 0x06], "{answer:02x?}");
    while socket.receive().is_some() {}
    socket.send(&tagged(&question(), 20, 0));
    let none = socket.wait_for(BRIEF, is_answer);
    assert_eq!(none, None, "a tagged frame came through an access port");
    answer_to(&socket, &question());
}

/// The datapath's actions for a broadcast that comes in by port 1 of this dummy bridge.
#[track_caller]
fn broadcast(switch: &Switch, tags: &str) -> String {
    let flow = format!("in_port=1,dl_src=00:00:00:00:00:02,dl_dst=ff:ff:ff:ff:ff:ff{tags}");
    let trace = switch.appctl_args(&["ofproto/trace", "br0", &flow]).ok();
    let actions = trace
        .lines()
        .find_map(|l| l.strip_prefix("Datapath actions: "));
    actions
        .unwrap_or_else(|| panic!("no actions in\n{trace}"))
        .to_owned()
}

#[test]
fn a_native_vlan_is_always_trunked_and_leaves_no_vlan_0_beside_it() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(3, "set port p2 tag=10");
    switch.ofctl("add-flow br0 actions=NORMAL").ok();
    for (mode, in_native) in [
        ("native-untagged", "100,pop_vlan,2,3"),
        ("native-tagged", "100,3,pop_vlan,2"),
    ] {
        // By port 1, a trunk: the native port takes what is in its VLAN and in those it trunks.
        let port = format!("set port p3 vlan_mode={mode} tag=10 trunks=0,20");
        switch.vsctl(&port).ok();
        assert_eq!(broadcast(&switch, ",dl_vlan=20"), "100,3", "{mode}");
        assert_eq!(broadcast(&switch, ""), "100", "{mode}");
        assert_eq!(broadcast(&switch, ",dl_vlan=10"), in_native, "{mode}");
        // By the native port, tagged with its VLAN or not at all. No tag is taken off and put on
        // again.
        let port = format!("set port p1 vlan_mode={mode} tag=10 trunks=20");
        let other = "clear port p3 vlan_mode tag trunks";
        switch.vsctl(&format!("{other} -- {port}")).ok();
        let tagged = broadcast(&switch, ",dl_vlan=10");
        assert_eq!(tagged, "100,3,pop_vlan,2", "{mode}");
        let untagged = broadcast(&switch, "");
        assert_eq!(untagged, "2,push_vlan(vid=10,pcp=0),100,3", "{mode}");
        assert_eq!(broadcast(&switch, ",dl_vlan=30"), "drop", "{mode}");
        switch.vsctl("clear port p1 vlan_mode tag trunks").ok();
    }
}
