//! The life of the daemons: start, version, end, and what a kill leaves.

use std::fs;
use std::process::Command;

use end_to_end::{Make, Switch, eventually, ours, run};

/// What stands in the run folder, without logs and databases.
fn leftovers(switch: &Switch) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(switch.path("."))
        .expect("the run folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".pid") || name.ends_with(".ctl") || name.ends_with(".mgmt"))
        .collect();
    names.sort();
    names
}

#[test]
fn versions_begin_with_the_originals_line() {
    for name in ["ovs-vswitchd", "ovsdb-server"] {
        let text = run(Command::new(ours(name)).arg("--version")).ok();
        assert!(
            text.starts_with(&format!("{name} (Open vSwitch) 4.0.0\n")),
            "{text}"
        );
        assert!(text.contains("halyard"), "{text}");
    }
}

#[test]
fn an_unknown_option_is_refused() {
    for name in ["ovs-vswitchd", "ovsdb-server"] {
        let done = run(Command::new(ours(name)).arg("--no-such-option"));
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.contains("no-such-option"), "{done:?}");
    }
}

#[test]
fn it_answers_its_control_socket_and_ends_when_asked() {
    let switch = Switch::dummy(Make::Ours);
    let version = switch.appctl("version").ok();
    assert!(version.contains("ovs-vswitchd"), "{version}");
    let commands = switch.appctl("list-commands").ok();
    for command in ["fdb/show", "ofproto/trace", "time/warp", "vlog/set", "exit"] {
        assert!(commands.contains(command), "{command} in\n{commands}");
    }
    let refused = switch.appctl("no/such-command").fails(2);
    assert!(refused.contains("is not a valid command"), "{refused}");
    switch.exit();
    assert_eq!(leftovers(&switch), Vec::<String>::new());
}

#[test]
fn after_a_kill_it_starts_again_with_its_bridges_and_nothing_doubled() {
    let switch = Switch::dummy(Make::Ours);
    switch.dummy_bridge(2, "");
    let before = leftovers(&switch);
    switch.kill();
    assert_eq!(
        leftovers(&switch).len(),
        before.len(),
        "a kill cleans nothing"
    );
    switch.start_daemon(None, &["--enable-dummy"]);
    switch
        .vsctl("add-port br0 p3 -- set interface p3 type=dummy")
        .ok();
    assert_eq!(switch.vsctl("list-ports br0").ok(), "p1\np2\np3\n");
    let after = leftovers(&switch);
    assert_eq!(after.len(), before.len(), "{before:?} became {after:?}");
    let pid = switch.pid("ovs-vswitchd").expect("a pid file");
    assert!(
        after.contains(&format!("ovs-vswitchd.{pid}.ctl")),
        "{after:?}"
    );
}

#[test]
fn a_database_server_of_its_own_serves_the_switch() {
    let switch = Switch::start(Make::OursWithServer, None, &["--enable-dummy"]);
    switch.dummy_bridge(1, "");
    let shown = switch.vsctl("show").ok();
    assert!(shown.contains("Bridge br0"), "{shown}");
    switch.exit();
    assert_eq!(switch.vsctl("--no-wait list-br").ok(), "br0\n");
}

#[test]
fn the_socket_of_one_that_was_killed_a_moment_ago_goes_soon() {
    let switch = Switch::dummy(Make::Ours);
    let old = switch.pid("ovs-vswitchd").expect("it runs");
    // A process that is still ending answers for a moment: here one that lives a little longer.
    let left = switch.path(&format!("ovs-vswitchd.{}.ctl", old + 1_000_000));
    let socket = std::os::unix::net::UnixListener::bind(&left).expect("a socket");
    switch.kill();
    switch.start_daemon(None, &["--enable-dummy"]);
    assert!(left.exists());
    drop(socket);
    eventually("the socket is gone", || (!left.exists()).then_some(()));
}
