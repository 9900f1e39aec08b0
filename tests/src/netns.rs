//! Network namespaces that a test makes and removes.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::run::{original, run};

/// The start of each name that this room gives; the test's process id follows.
const PREFIX: &str = "halyard-e2e-";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether this process may make namespaces. If it may not, says so on standard error, and fails
/// the test where `CI` is set: there, a test that is passed over is a test that is lost.
pub fn namespaces_allowed() -> bool {
    if rustix::process::geteuid().is_root() {
        let probe = format!("{PREFIX}{}-probe", std::process::id());
        let made = run(ip().args(["netns", "add", &probe]));
        run(ip().args(["netns", "del", &probe]));
        if made.code == 0 {
            return true;
        }
        eprintln!("SKIPPED: no network namespaces here: {}", made.err.trim());
    } else {
        eprintln!("SKIPPED: needs root, for network namespaces");
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "a test that needs namespaces can't be passed over in CI"
    );
    false
}

fn ip() -> Command {
    Command::new(original("ip"))
}

/// A network namespace with its loopback up; gone, with all its devices, when dropped.
pub struct Netns {
    name: String,
}

impl Netns {
    /// A new namespace. What a killed test left behind is removed first.
    pub fn new() -> Netns {
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        run(ip().args(["netns", "add", &name])).ok();
        let made = Netns { name };
        made.ip("link set lo up");
        made
    }

    /// The name that `ip netns exec` takes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ip` with these words, in this namespace.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        run(ip().args(["-n", &self.name]).args(words.split_whitespace())).ok()
    }

    /// A program that will run in this namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = ip();
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// A veth pair: `here` in this namespace, `there` in `other`, both up.
    pub fn wire(&self, here: &str, other: &Netns, there: &str) {
        self.ip(&format!(
            "link add {here} type veth peer name {there} netns {}",
            other.name
        ));
        self.ip(&format!("link set {here} up"));
        other.ip(&format!("link set {there} up"));
    }

    /// Runs `body` on a thread of its own inside this namespace: sockets that it opens belong here,
    /// wherever they are used later.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let entry = File::open(format!("/run/netns/{}", self.name)).expect("the namespace's file");
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(entry.as_fd(), Some(LinkNameSpaceType::Network))
                        .expect("entering the namespace");
                    body()
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Default for Netns {
    fn default() -> Self {
        Netns::new()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        run(ip().args(["netns", "del", &self.name]));
    }
}

/// Removes the namespaces of tests whose process is gone.
fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if let Some(pid) = owner
            && !fs::exists(format!("/proc/{pid}")).unwrap_or(true)
        {
            run(ip().args(["netns", "del", &name]));
        }
    }
}
