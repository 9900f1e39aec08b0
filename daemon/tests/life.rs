//! The life of a daemon, seen from outside: the example `idle` is started, asked, hurt and ended.

use clock::Clock;
use daemon::control::Client;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A run directory of its own; whoever still runs in it at the end is killed.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("temp dir"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self, options: &[&str]) -> Output {
        Command::new(program())
            .args(["--detach", "--no-chdir", "--pidfile"])
            .args(options)
            .env("OVS_RUNDIR", self.path())
            .env("OVS_LOGDIR", self.path())
            .env("OVS_SYSLOG_METHOD", "null")
            .output()
            .expect("start")
    }

    fn pid(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.path().join("idle.pid")).ok()?;
        Some(text.trim().to_string()).filter(|pid| !pid.is_empty())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("idle.log")).unwrap_or_default()
    }

    fn call(&self, command: &str) -> String {
        let pid = self.pid().expect("pid");
        let socket = self.path().join(format!("idle.{pid}.ctl"));
        let mut client = Client::connect(&socket).expect("connect");
        let answer = client.call(command, &[]).expect("call").expect("answer");
        answer.as_str().unwrap_or_default().to_string()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("read dir").flatten();
        let mut names: Vec<String> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            signal("KILL", &pid);
        }
    }
}

fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("examples/idle")
}

fn signal(name: &str, pid: &str) {
    let _ = Command::new("kill").args(["-s", name, pid]).output();
}

/// Waits until `done`, at most ten seconds.
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let clock = Clock::real();
    let deadline = clock.now() + Duration::from_secs(10);
    while !done() {
        assert!(clock.now() < deadline, "{what}");
        clock.pause_thread(Duration::from_millis(5));
    }
}

#[test]
fn it_is_up_when_its_starter_returns_and_leaves_nothing_behind() {
    let place = Place::new();
    let started = place.start(&[]);
    assert!(started.status.success(), "{started:?}");
    assert_eq!(place.call("version"), "idle (Open vSwitch) 4.0.0");

    let second = place.start(&[]);
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    let pid = place.pid().expect("pid");
    assert!(
        text.contains(&format!("already running as pid {pid}, aborting")),
        "{text}"
    );

    assert_eq!(place.call("exit"), "");
    wait_until("everything is gone", || place.files().is_empty());
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let place = Place::new();
    assert!(
        place
            .start(&["--log-file", "-vconsole:off"])
            .status
            .success()
    );
    signal("TERM", &place.pid().expect("pid"));
    wait_until("only the log stays", || place.files() == ["idle.log"]);
    let log = place.log();
    assert!(
        log.contains("|fatal_signal|WARN|terminating with signal 15 (Terminated)\n"),
        "{log}"
    );
}

#[test]
fn what_is_wrong_at_the_start_reaches_the_starter() {
    for options in [
        vec!["--unixctl=missing/x"],
        vec!["--unixctl=missing/x", "--monitor"],
    ] {
        let place = Place::new();
        let started = place.start(&options);
        assert_eq!(started.status.code(), Some(1), "{options:?}");
        let text = String::from_utf8_lossy(&started.stderr).into_owned();
        assert!(
            text.contains("could not initialize control socket (No such file"),
            "{text}"
        );
        assert_eq!(place.files(), [] as [&str; 0]);
    }
}

#[test]
fn the_monitor_restarts_what_crashed() {
    let place = Place::new();
    assert!(
        place
            .start(&["--monitor", "--log-file", "-vconsole:off"])
            .status
            .success()
    );
    let first = place.pid().expect("pid");
    signal("SEGV", &first);
    wait_until("another one runs", || {
        place.pid().is_some_and(|pid| {
            pid != first && place.path().join(format!("idle.{pid}.ctl")).exists()
        })
    });
    let log = place.log();
    assert!(
        log.contains("|backtrace(monitor)|WARN|SIGSEGV detected, backtrace:\n"),
        "{log}"
    );
    let crash = format!("1 crashes: pid {first} died, killed (Segmentation fault)");
    assert!(
        log.contains(&format!("|daemon_unix(monitor)|ERR|{crash}")),
        "{log}"
    );
    // The new one has removed the old one's socket.
    assert!(!place.path().join(format!("idle.{first}.ctl")).exists());
    place.call("exit");
    wait_until("only the log stays", || place.files() == ["idle.log"]);
    wait_until("the monitor has ended", || {
        place.log().contains("died, exit status 0, exiting")
    });
}
