//! `tools/quickstart`, as a newcomer runs it.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use end_to_end::{eventually, namespaces_allowed, run};

fn quickstart(scratch: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(root.join("tools/quickstart"));
    command.arg("--debug").env("TMPDIR", scratch);
    command
}

/// A run of it, in a process group of its own.
fn start(scratch: &Path) -> Child {
    let mut command = quickstart(scratch);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.process_group(0).spawn().expect("it starts")
}

/// Processes that know the folder: those of a run, which is in its environment.
fn processes_of(scratch: &Path) -> usize {
    let name = scratch.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let environs = processes.filter_map(|p| fs::read(p.path().join("environ")).ok());
    environs
        .filter(|e| String::from_utf8_lossy(e).contains(&name))
        .count()
}

/// Nothing of a run is left: no files, and no process, with which its namespaces go.
fn all_gone(scratch: &Path) {
    eventually("nothing is left of it", || {
        let files = fs::read_dir(scratch).ok()?.count();
        (files == 0 && processes_of(scratch) == 0).then_some(())
    });
}

#[test]
fn it_reports_who_carried_what_and_leaves_nothing() {
    if !namespaces_allowed() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let mut child = start(scratch.path());
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let told: Vec<String> = lines.map_while(Result::ok).collect();
    let ended = child.wait().expect("it ends");
    let told = told.join("\n");
    assert!(ended.success(), "{told}");
    for line in [
        "  ping                        yes",
        "  TCP, all bytes              yes",
        "  hardware + software = sent  yes",
        "  in hardware: sim:nic0",
    ] {
        assert!(told.contains(line), "{line} in\n{told}");
    }
    assert!(told.lines().all(|l| l.chars().count() <= 160), "{told}");
    all_gone(scratch.path());
}

type Output = Lines<BufReader<ChildStdout>>;

/// Waits for a line of its output; the rest of it.
fn reaches(child: &mut Child, what: &str) -> Output {
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let found = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|l| l.contains(what));
    assert!(found, "it never came to {what}");
    lines
}

#[test]
fn interrupted_it_cleans_up() {
    if !namespaces_allowed() {
        return;
    }
    for phase in ["Starting the switch", "Ping", "TCP"] {
        let scratch = tempfile::tempdir().expect("a folder");
        let mut child = start(scratch.path());
        let rest = reaches(&mut child, phase);
        // As a terminal does it: to all processes of the group.
        let group = format!("-{}", child.id());
        run(Command::new("kill").args(["-INT", "--", &group])).ok();
        let _ = rest.count();
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(130), "in {phase}");
        all_gone(scratch.path());
    }
}

#[test]
fn it_cleans_up_when_nobody_reads_on() {
    if !namespaces_allowed() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let mut child = start(scratch.path());
    drop(reaches(&mut child, "Starting the switch"));
    let ended = child.wait().expect("it ends");
    assert!(!ended.success());
    all_gone(scratch.path());
}

#[test]
fn kept_it_runs_on_until_it_is_told_to_end() {
    if !namespaces_allowed() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let done = run(quickstart(scratch.path()).arg("--keep")).ok();
    let enter = done
        .lines()
        .find_map(|l| l.trim().strip_suffix(" $SHELL"))
        .expect("how to step into it");
    let folder = fs::read_dir(scratch.path()).expect("its folder").flatten();
    let folder = folder.map(|e| e.path()).next().expect("its folder");
    let inside = |words: &str| {
        let mut shell = Command::new("sh");
        shell.env("OVS_RUNDIR", &folder).env("OVS_DBDIR", &folder);
        let tools = end_to_end::ours("ovs-appctl");
        let path = tools.parent().expect("a folder").display().to_string();
        let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
        run(shell
            .env("PATH", path)
            .args(["-c", &format!("{enter} {words}")]))
    };
    assert!(inside("ovs-vsctl show").ok().contains("Bridge br0"));
    inside("ip netns exec left ping -c1 -W5 10.77.0.2").ok();
    inside("ovs-appctl exit").ok();
    fs::remove_dir_all(&folder).expect("as it says");
    all_gone(scratch.path());
}

#[test]
fn without_rust_it_says_what_to_do() {
    let scratch = tempfile::tempdir().expect("a folder");
    // Programs that look for packages find none here, and nothing can be installed.
    for name in ["apt-get", "apt-cache", "sudo"] {
        let path = scratch.path().join(name);
        fs::write(&path, "#!/bin/sh\nexit 1\n").expect("a program");
        run(Command::new("chmod").arg("755").arg(&path)).ok();
    }
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", scratch.path().display());
    let mut command = quickstart(scratch.path());
    let told = run(command.env("PATH", path).env("HOME", scratch.path())).fails(1);
    let last = told.lines().last().unwrap_or_default();
    assert!(
        last.contains("Rust 1.95 or newer is needed: install rustup"),
        "{told}"
    );
}
