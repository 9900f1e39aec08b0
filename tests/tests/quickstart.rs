//! `tools/quickstart`, as a newcomer runs it.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use end_to_end::{eventually, namespaces_allowed, run};

fn quickstart(scratch: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(root.join("tools/quickstart"));
    command.arg("--debug").env("TMPDIR", scratch);
    command
}

/// Nothing of a run is left: no files, no namespaces of its process.
fn all_gone(scratch: &Path, pid: u32) {
    eventually("nothing is left of it", || {
        let files = fs::read_dir(scratch).ok()?.count();
        let left = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let ours = |name: PathBuf| name.to_string_lossy().ends_with(&format!("-{pid}"));
        let namespaces = left.filter(|e| ours(e.path())).count();
        (files == 0 && namespaces == 0).then_some(())
    });
}

#[test]
fn it_reports_who_carried_what_and_leaves_nothing() {
    if !namespaces_allowed() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let mut child = quickstart(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
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
    all_gone(scratch.path(), child.id());
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
        let mut child = quickstart(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("it starts");
        let rest = reaches(&mut child, phase);
        // As a terminal does it: to all processes of the group.
        let group = format!("-{}", child.id());
        run(Command::new("kill").args(["-INT", "--", &group])).ok();
        let _ = rest.count();
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(130), "in {phase}");
        all_gone(scratch.path(), child.id());
    }
}

#[test]
fn it_cleans_up_when_nobody_reads_on() {
    if !namespaces_allowed() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let mut child = quickstart(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    drop(reaches(&mut child, "Starting the switch"));
    let ended = child.wait().expect("it ends");
    assert!(!ended.success());
    all_gone(scratch.path(), child.id());
}
