//! Devices that are down, that flap, or that carry less than what is sent to them.

use end_to_end::raw::RawSocket;
use end_to_end::{Make, Netns, Switch, eventually, frame, namespaces_allowed, within};
use std::fs;
use std::time::Duration;

/// Two machines on bridge `br0`, by ports `veth0` and `veth1`.
struct Net {
    left: RawSocket,
    right: RawSocket,
    // Dropped before its namespace.
    switch: Switch,
    here: Netns,
    _machines: [Netns; 2],
}

/// A frame to everybody, with a number in it.
fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend([2, 0, 0, 0, 0, 1]);
    bytes.extend(TYPE);
    bytes.extend(n.to_be_bytes());
    bytes.resize(len, 0);
    bytes
}

/// An Ethernet type for experiments (IEEE 802).
const TYPE: [u8; 2] = [0x88, 0xb5];

/// The number in a frame of ours.
fn number(frame: &[u8]) -> Option<u32> {
    let bytes = frame.get(14..18).filter(|_| frame[12..14] == TYPE)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn two_machines() -> Net {
    let (here, left, right) = (Netns::new(), Netns::new(), Netns::new());
    here.wire("veth0", &left, "eth0");
    here.wire("veth1", &right, "eth0");
    let switch = Switch::within(&here, Make::Ours);
    switch
        .vsctl("add-br br0 -- add-port br0 veth0 -- add-port br0 veth1")
        .ok();
    let net = Net {
        left: RawSocket::open(&left, "eth0"),
        right: RawSocket::open(&right, "eth0"),
        switch,
        here,
        _machines: [left, right],
    };
    net.until_it_carries();
    net
}

impl Net {
    /// Frames get from one side to the other; what was on its way is gone.
    fn until_it_carries(&self) {
        const PROBE: u32 = u32::MAX;
        eventually("frames cross the bridge", || {
            self.left.send(&numbered(PROBE, 60));
            let patience = Duration::from_millis(200);
            self.right
                .wait_for(patience, |f| number(f) == Some(PROBE))
                .map(|_| ())
        });
        while self.next(Duration::from_millis(300)).is_some() {}
    }

    /// The number of the next frame of ours that arrives.
    fn next(&self, patience: Duration) -> Option<u32> {
        let frame = self.right.wait_for(patience, |f| number(f).is_some())?;
        number(&frame)
    }

    /// Frames that were not sent by `veth1`.
    fn dropped(&self) -> u64 {
        let text = self.switch.ofctl("dump-ports br0 veth1").ok();
        let drop = text.split("tx pkts").nth(1).and_then(|t| {
            let digits = t.split("drop=").nth(1)?;
            digits.split(',').next()?.trim().parse().ok()
        });
        drop.unwrap_or_else(|| panic!("no counter of drops in {text}"))
    }

    /// Processor time of the switch, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let pid = self.switch.pid("ovs-vswitchd").expect("a pid file");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        // User and system time are the 14th and 15th field; the second ends with ')'.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// The switch does nothing when there is nothing to do: in some half second, less than a
    /// fifth of a processor's time.
    #[track_caller]
    fn is_idle(&self) {
        eventually("the switch rests", || {
            let before = self.ticks();
            let pause = within(Duration::from_millis(500), || None::<()>);
            (pause.is_none() && self.ticks() - before < 10).then_some(())
        });
    }
}

#[test]
fn a_port_that_was_down_sends_what_comes_after_and_only_that() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    let mut dropped = net.dropped();
    for round in 0..3 {
        net.here.ip("link set veth1 down");
        for n in 0..300 {
            net.left.send(&numbered(n, 100));
            if n % 100 == 99 {
                dropped += 100;
                eventually("frames to a device that is down are counted", || {
                    (net.dropped() >= dropped).then_some(())
                });
            }
        }
        dropped = net.dropped();
        net.is_idle();
        net.here.ip("link set veth1 up");
        net.until_it_carries();
        for n in 1000..1200 {
            net.left.send(&numbered(n, 200));
        }
        for n in 1000..1200 {
            let next = net.next(Duration::from_secs(20));
            assert_eq!(next, Some(n), "round {round}");
        }
    }
}

#[test]
fn a_port_that_flaps_carries_again() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    for n in 0..40 {
        let state = if n % 2 == 0 { "down" } else { "up" };
        net.here.ip(&format!("link set veth1 {state}"));
        for n in 0..50 {
            net.left.send(&numbered(n, 1000));
        }
    }
    net.until_it_carries();
    net.is_idle();
}

#[test]
fn the_switch_rests_when_a_device_is_deleted() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    net.is_idle();
    net.here.ip("link del veth1");
    net.is_idle();
    net.here.ip("link del br0");
    net.is_idle();
}

#[test]
fn a_frame_that_is_too_long_for_a_device_is_counted_and_no_other_waits_for_it() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    net.here.ip("link set veth1 mtu 1000");
    eventually("the switch knows the MTU", || {
        let mtu = net.switch.vsctl("get interface veth1 mtu").ok();
        (mtu.trim() == "1000").then_some(())
    });
    let before = net.dropped();
    for n in 0..10 {
        // The longest that may pass, and one byte more.
        net.left.send(&numbered(n, 1014));
        net.left.send(&numbered(n + 100, 1015));
    }
    for n in 0..10 {
        assert_eq!(net.next(Duration::from_secs(20)), Some(n));
    }
    // A tag does not count.
    net.left.send(&frame::tagged(&numbered(0, 1014), 5, 0));
    let tagged = net
        .right
        .wait_for(Duration::from_secs(20), |f| f[12..14] == [0x81, 0x00]);
    assert_eq!(tagged.map(|f| f.len()), Some(1018));
    assert_eq!(net.dropped() - before, 10);
}
