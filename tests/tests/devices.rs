//! The host's devices come, go and change while the switch runs.

use end_to_end::{Make, Netns, Switch, eventually, namespaces_allowed, run};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// A switch with `veth0`, whose far end is `eth0` of a machine of its own.
struct Net {
    // Dropped before its namespace.
    switch: Switch,
    here: Netns,
    there: Netns,
}

fn one_machine() -> Net {
    let (here, there) = (Netns::new(), Netns::new());
    here.wire("veth0", &there, "eth0");
    let switch = Switch::within(&here, Make::Ours);
    switch.vsctl("add-br br0 -- add-port br0 veth0").ok();
    Net {
        switch,
        here,
        there,
    }
}

impl Net {
    /// A column of the interface, as `ovs-vsctl get` prints it.
    fn column(&self, column: &str) -> String {
        let done = self
            .switch
            .vsctl(&format!("--if-exists get interface veth0 {column}"))
            .ok();
        done.trim().to_owned()
    }

    #[track_caller]
    fn wait_for(&self, columns: &[(&str, &str)]) {
        for (column, value) in columns {
            let mut last = String::new();
            let found = end_to_end::within(std::time::Duration::from_secs(40), || {
                last = self.column(column);
                (last == *value).then_some(())
            });
            assert!(found.is_some(), "{column} is {last}, not {value}");
        }
    }

    /// Port 1 as `ovs-ofctl show` describes it.
    fn description(&self) -> String {
        let text = self.switch.ofctl("show br0").ok();
        let lines = text.lines().skip_while(|l| !l.contains("(veth0)"));
        let own = lines
            .enumerate()
            .take_while(|(i, l)| *i == 0 || l.starts_with("     "));
        own.map(|(_, l)| format!("{l}\n")).collect()
    }
}

/// `ovs-ofctl monitor`, its output in a file.
struct Monitor {
    child: Child,
    file: PathBuf,
}

impl Monitor {
    fn start(switch: &Switch) -> Monitor {
        let file = switch.path("monitor.txt");
        let out = File::create(&file).expect("a file for the monitor");
        let mut tool = switch.tool("ovs-ofctl");
        // Without a length it is told of nothing.
        tool.args(["monitor", "br0", "64"]).stdin(Stdio::null());
        let errors = out.try_clone().expect("one file for both");
        let child = tool.stdout(out).stderr(errors).spawn().expect("ovs-ofctl");
        let monitor = Monitor { child, file };
        // It is connected once it hears of something.
        eventually("the monitor hears of a port", || {
            switch.ofctl("mod-port br0 br0 no-flood").ok();
            switch.ofctl("mod-port br0 br0 flood").ok();
            monitor.text().contains("MOD:").then_some(())
        });
        monitor
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    #[track_caller]
    fn hears(&self, what: &str, times: usize) {
        eventually(&format!("{what} {times} times"), || {
            (self.text().matches(what).count() >= times).then_some(())
        });
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MISSING: &str = "\"could not open network device veth0 (No such device)\"";

#[test]
fn a_device_that_goes_takes_its_port_along_and_brings_it_back() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    let monitor = Monitor::start(&net.switch);
    for round in 1..=3 {
        net.here.ip("link del veth0");
        net.wait_for(&[
            ("error", MISSING),
            ("ofport", "-1"),
            ("ifindex", "[]"),
            ("admin_state", "[]"),
            ("link_state", "[]"),
            ("mtu", "[]"),
            ("mac_in_use", "[]"),
            ("status", "{}"),
        ]);
        monitor.hears("DEL: 1(veth0)", round);
        assert_eq!(net.description(), "");
        net.here.wire("veth0", &net.there, "eth0");
        net.wait_for(&[("error", "[]"), ("ofport", "1"), ("link_state", "up")]);
        monitor.hears("ADD: 1(veth0)", round);
    }
    // And it carries packets.
    net.there.ip("addr add 10.9.1.1/24 dev eth0");
    net.here.ip("addr add 10.9.1.2/24 dev br0");
    net.here.ip("link set br0 up");
    eventually("the machine answers", || {
        let ping = run(net.here.command("ping").args(["-c1", "-W1", "10.9.1.1"]));
        (ping.code == 0).then_some(())
    });
}

#[test]
fn a_device_with_another_name_is_another_device() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    net.here.ip("link set veth0 down");
    net.here.ip("link set veth0 name other");
    net.wait_for(&[("error", MISSING), ("ofport", "-1")]);
    net.here.ip("link set other name veth0");
    net.wait_for(&[("error", "[]"), ("ofport", "1")]);
    // A port that waits for its device has it when any device takes the name.
    net.here.ip("link del veth0");
    net.wait_for(&[("error", MISSING)]);
    net.here.wire("other", &net.there, "eth1");
    net.here.ip("link set other down");
    net.here.ip("link set other name veth0");
    net.wait_for(&[("error", "[]"), ("ofport", "1"), ("admin_state", "down")]);
}

#[test]
fn a_device_that_goes_to_another_namespace_is_gone() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    let far = Netns::new();
    net.here.ip(&format!("link set veth0 netns {}", far.name()));
    net.wait_for(&[("error", MISSING), ("ofport", "-1")]);
    far.ip(&format!("link set veth0 netns {}", net.here.name()));
    net.wait_for(&[("error", "[]"), ("ofport", "1")]);
}

#[test]
fn an_internal_port_whose_device_is_deleted_is_made_anew() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    let before = net.switch.vsctl("get interface br0 ifindex").ok();
    net.here.ip("link del br0");
    eventually("br0 has a device again", || {
        let now = net.switch.vsctl("get interface br0 ifindex").ok();
        (now != before && now.trim() != "[]").then_some(())
    });
    net.here.ip("link set br0 up");
    assert_eq!(net.switch.vsctl("get interface br0 error").ok(), "[]\n");
}

#[test]
fn what_changes_about_a_device_is_known_at_once() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    net.wait_for(&[
        ("admin_state", "up"),
        ("link_state", "up"),
        ("link_resets", "0"),
        ("link_speed", "10000000000"),
        ("duplex", "full"),
        ("mtu", "1500"),
        ("status:driver_name", "veth"),
        ("status:driver_version", "\"1.0\""),
        ("status:firmware_version", "\"\""),
    ]);
    let monitor = Monitor::start(&net.switch);
    let shown = net.description();
    assert!(
        shown.contains(
            "     state:      LIVE\n     current:    10GB-FD COPPER\n     \
             speed: 10000 Mbps now, 0 Mbps max\n"
        ) || shown.contains("     state:      0\n     current:    10GB-FD COPPER\n"),
        "{shown}"
    );
    net.here.ip("link set veth0 mtu 1400");
    net.wait_for(&[("mtu", "1400")]);
    eventually("the bridge's own port follows", || {
        let mtu = net.switch.vsctl("get interface br0 mtu").ok();
        (mtu.trim() == "1400").then_some(())
    });
    net.here.ip("link set veth0 address 02:00:00:00:00:07");
    net.wait_for(&[("mac_in_use", "\"02:00:00:00:00:07\"")]);
    monitor.hears("MOD: 1(veth0): addr:02:00:00:00:00:07", 1);
    net.there.ip("link set eth0 down");
    net.wait_for(&[("admin_state", "up"), ("link_state", "down")]);
    let shown = net.description();
    assert!(shown.contains("state:      LINK_DOWN"), "{shown}");
    monitor.hears("state:      LINK_DOWN", 1);
    assert_ne!(net.column("link_resets"), "0");
    net.here.ip("link set veth0 down");
    net.wait_for(&[("admin_state", "down")]);
    let shown = net.description();
    assert!(shown.contains("config:     PORT_DOWN"), "{shown}");
    net.there.ip("link set eth0 up");
    net.here.ip("link set veth0 up");
    net.wait_for(&[("admin_state", "up"), ("link_state", "up")]);
    net.switch
        .vsctl("set interface veth0 mtu_request=1300")
        .ok();
    net.wait_for(&[("mtu", "1300")]);
    // As with the original, only internal ports take an address from here.
    net.switch
        .vsctl("set interface veth0 mac=\"02:00:00:00:00:77\"")
        .ok();
    net.wait_for(&[("mac_in_use", "\"02:00:00:00:00:07\"")]);
}

#[test]
fn counters_are_the_devices() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    net.there.ip("addr add 10.9.1.1/24 dev eth0");
    net.here.ip("addr add 10.9.1.2/24 dev br0");
    net.here.ip("link set br0 up");
    eventually("the machine answers", || {
        let ping = run(net
            .here
            .command("ping")
            .args(["-c3", "-i0.1", "-W1", "10.9.1.1"]));
        (ping.code == 0).then_some(())
    });
    let names = [
        ("rx_packets", "rx_packets"),
        ("rx_bytes", "rx_bytes"),
        ("rx_dropped", "rx_dropped"),
        ("rx_errors", "rx_errors"),
        ("tx_packets", "tx_packets"),
        ("tx_bytes", "tx_bytes"),
        ("tx_dropped", "tx_dropped"),
        ("tx_errors", "tx_errors"),
        ("collisions", "collisions"),
        ("rx_crc_err", "rx_crc_errors"),
        ("rx_frame_err", "rx_frame_errors"),
        ("rx_over_err", "rx_over_errors"),
        ("rx_missed_errors", "rx_missed_errors"),
        ("rx_multicast_packets", "multicast"),
    ];
    let kernel = |name: &str| {
        let file = format!("/sys/class/net/veth0/statistics/{name}");
        run(net.here.command("cat").arg(file))
            .ok()
            .trim()
            .to_owned()
    };
    eventually("the database has the device's counters", || {
        let told = names.map(|(ours, _)| net.column(&format!("statistics:{ours}")));
        let kept = names.map(|(_, theirs)| kernel(theirs));
        (told == kept && told[0] != "0").then_some(())
    });
    let all = net.column("statistics");
    assert_eq!(all.matches('=').count(), names.len(), "{all}");
    assert_eq!(net.column("statistics:rx_dropped"), "0");
    let all = net.switch.vsctl("get interface br0 statistics").ok();
    assert_eq!(all.matches('=').count(), names.len(), "{all}");
}

#[test]
fn an_internal_port_takes_the_address_and_mtu_of_its_row() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    net.switch
        .vsctl(
            "add-port br0 i0 -- set interface i0 type=internal mtu_request=1200 \
             mac=\"02:00:00:00:00:77\"",
        )
        .ok();
    let shown = net.here.ip("link show i0");
    assert!(shown.contains("mtu 1200 "), "{shown}");
    assert!(shown.contains("02:00:00:00:00:77"), "{shown}");
    net.switch
        .vsctl("set interface i0 mac=\"03:00:00:00:00:77\"")
        .ok();
    let said = "interface i0: cannot set MAC to multicast address";
    assert!(net.switch.log().contains(said), "{}", net.switch.log());
}

#[test]
fn after_a_kill_the_host_has_its_devices_back_and_the_next_start_takes_them() {
    if !namespaces_allowed() {
        return;
    }
    let net = one_machine();
    net.switch
        .vsctl("add-port br0 i0 -- set interface i0 type=internal")
        .ok();
    net.there.ip("addr add 10.9.1.1/24 dev eth0");
    net.here.ip("addr add 10.9.1.2/24 dev veth0");
    let promiscuous = || {
        let shown = net.here.ip("-d link show veth0");
        !shown.contains("promiscuity 0")
    };
    let reaches_host = || {
        let mut ping = net.there.command("ping");
        run(ping.args(["-c1", "-W1", "10.9.1.2"])).code == 0
    };
    for _ in 0..2 {
        eventually("the switch has the device", || promiscuous().then_some(()));
        assert!(!reaches_host());
        net.switch.kill();
        eventually("the host has its device back", || {
            (!promiscuous() && reaches_host()).then_some(())
        });
        eventually("its own devices are gone", || {
            let devices = net.here.ip("link");
            (!devices.contains(" br0:") && !devices.contains(" i0:")).then_some(())
        });
        net.switch.start_daemon(Some(&net.here), &[]);
        let devices = net.here.ip("link");
        assert!(
            devices.contains(" br0:") && devices.contains(" i0:"),
            "{devices}"
        );
    }
    // Numbers are what they were.
    let ofport = net.switch.vsctl("get interface veth0 ofport").ok();
    assert_eq!(ofport.trim(), "1");
    net.switch.exit();
    eventually("the host has its device back", || {
        (!promiscuous() && reaches_host()).then_some(())
    });
}

#[test]
fn a_wire_of_a_nic_whose_device_comes_back_carries_again() {
    if !namespaces_allowed() {
        return;
    }
    let here = Netns::new();
    let there = Netns::new();
    let switch = Switch::within(&here, Make::Ours);
    switch
        .vsctl("add-br br0 -- set bridge br0 datapath_type=netdev")
        .ok();
    // It is not there yet.
    let add = "add-port br0 vf0 -- set interface vf0 type=hal options:hal-device=sim:nic \
               options:hal-port=vf0 options:hal-wire=packet:wire0";
    assert!(switch.vsctl(add).err.contains("No such device"));
    let column = |name: &str| switch.vsctl(&format!("get interface vf0 {name}")).ok();
    assert!(
        column("error").contains("No such device"),
        "{}",
        column("error")
    );
    for _ in 0..2 {
        here.wire("wire0", &there, "eth0");
        there.ip("addr add 10.9.0.1/24 dev eth0");
        here.ip("link set br0 up");
        eventually("the port is there", || {
            (column("error") == "[]\n" && column("ofport") == "1\n").then_some(())
        });
        here.ip("addr replace 10.9.0.2/24 dev br0");
        eventually("the wire carries", || {
            let mut ping = there.command("ping");
            (run(ping.args(["-c1", "-W1", "10.9.0.2"])).code == 0).then_some(())
        });
        here.ip("link del wire0");
        eventually("the reason is told", || {
            column("error").contains("No such device").then_some(())
        });
        assert_eq!(column("ofport"), "-1\n");
    }
}
