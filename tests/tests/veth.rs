//! Untouched veth devices, each with a machine behind it.

use end_to_end::{Make, Netns, Switch, eventually, namespaces_allowed, run};

struct Net {
    left: Netns,
    right: Netns,
    // Dropped before its namespace.
    switch: Switch,
    here: Netns,
}

/// Two machines, 10.9.0.1 and 10.9.0.2, on bridge `br0`.
fn two_machines() -> Net {
    let here = Netns::new();
    let left = Netns::new();
    let right = Netns::new();
    here.wire("veth0", &left, "eth0");
    here.wire("veth1", &right, "eth0");
    left.ip("addr add 10.9.0.1/24 dev eth0");
    right.ip("addr add 10.9.0.2/24 dev eth0");
    let switch = Switch::within(&here, Make::Ours);
    switch
        .vsctl("add-br br0 -- add-port br0 veth0 -- add-port br0 veth1")
        .ok();
    Net {
        left,
        right,
        switch,
        here,
    }
}

fn ping(from: &Netns, to: &str) {
    eventually(&format!("{to} answers ping"), || {
        (run(from.command("ping").args(["-c1", "-W1", to])).code == 0).then_some(())
    });
    run(from.command("ping").args(["-c5", "-i0.05", "-W5", to])).ok();
}

#[test]
fn machines_ping_each_other_and_the_bridge() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    ping(&net.left, "10.9.0.2");
    ping(&net.right, "10.9.0.1");
    net.here.ip("link set br0 up");
    net.here.ip("addr add 10.9.0.3/24 dev br0");
    ping(&net.here, "10.9.0.1");
    ping(&net.right, "10.9.0.3");
    let table = net.switch.appctl("fdb/show br0").ok();
    assert_eq!(
        table.lines().count(),
        4,
        "a heading, three stations\n{table}"
    );
    let loss = run(net
        .left
        .command("ping")
        .args(["-c20", "-i0.02", "-s1400", "-W5", "10.9.0.2"]))
    .ok();
    assert!(loss.contains(" 0% packet loss"), "{loss}");
}

#[test]
fn a_missing_device_is_an_error_of_its_interface_alone() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    // Releases before 3.2 of the original's tool print this and exit with 0, later ones with 65.
    let warning = net.switch.vsctl("add-port br0 no-such-dev");
    assert!([0, 65].contains(&warning.code), "{warning:?}");
    let mut tool = net.switch.our_tool("ovs-vsctl");
    let again = run(tool.args(["--timeout=30", "add-port", "br0", "no-such-either"]));
    for (text, name) in [
        (warning.err, "no-such-dev"),
        (again.fails(65), "no-such-either"),
    ] {
        let expected = format!(
            "ovs-vsctl: Error detected while setting up '{name}': could not open network device \
             {name} (No such device).  See ovs-vswitchd log for details."
        );
        assert!(text.contains(&expected), "{text}");
    }
    let error = net.switch.vsctl("get interface no-such-dev error").ok();
    assert!(
        error.contains("could not open network device no-such-dev"),
        "{error}"
    );
    assert!(error.contains("No such device"), "{error}");
    assert_eq!(
        net.switch
            .vsctl("get interface no-such-dev ofport")
            .ok()
            .trim(),
        "-1"
    );
    ping(&net.left, "10.9.0.2");
    assert_eq!(
        net.switch.vsctl("get interface veth0 error").ok().trim(),
        "[]"
    );
}

#[test]
fn a_machine_is_reached_again_after_the_switch_was_killed() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    ping(&net.left, "10.9.0.2");
    net.switch.kill();
    net.switch.start_daemon(Some(&net.here), &[]);
    ping(&net.left, "10.9.0.2");
    net.switch.exit();
}

#[test]
fn a_deleted_port_gives_its_device_back() {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines();
    ping(&net.left, "10.9.0.2");
    net.switch.vsctl("del-port br0 veth1").ok();
    net.here.ip("addr add 10.9.0.9/24 dev veth1");
    ping(&net.right, "10.9.0.9");
    let cut = run(net.left.command("ping").args(["-c1", "-W1", "10.9.0.2"]));
    assert_eq!(cut.code, 1, "{cut:?}");
}
