//! `nic-sim`, as a process of a test's.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::{Netns, ours};

/// How many lines of the commands to a card a test shows when it fails.
const LAST_LINES: usize = 100;

/// A ConnectX in a process of its own, with a folder of its own. It ends with the value or with the
/// thread that started it; a test that fails prints what it said.
#[derive(Debug)]
pub struct NicSim {
    process: Child,
    folder: TempDir,
    wires: Vec<String>,
}

impl NicSim {
    /// Starts it in a namespace and waits until its socket is there. A wire is `PORT=WIRE`. It gets
    /// little memory at first, so that it asks for more.
    pub fn start(netns: &Netns, wires: &[&str]) -> NicSim {
        let folder = tempfile::Builder::new().prefix("nic-sim").tempdir();
        let folder = folder.expect("a folder for the card");
        let settings = folder.path().join("settings");
        fs::write(settings, r#"{"objects":64}"#).expect("room for its settings");
        let wires = wires
            .iter()
            .map(|&wire| wire.to_owned())
            .collect::<Vec<_>>();
        NicSim {
            process: play(netns, folder.path(), &wires),
            folder,
            wires,
        }
    }

    /// Starts it again on the same socket.
    pub fn restart(&mut self, netns: &Netns) {
        self.kill();
        self.process = play(netns, self.folder.path(), &self.wires);
    }

    /// Where it is spoken to.
    pub fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }

    /// What `options:hal-device` is for it.
    pub fn device(&self) -> String {
        format!("vfio-user:{}", self.socket())
    }

    /// The commands that it was given, and its answers.
    pub fn trace(&self) -> String {
        self.said("trace")
    }

    fn said(&self, file: &str) -> String {
        let said = fs::read(self.folder.path().join(file)).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A `nic-sim` that is ready.
fn play(netns: &Netns, folder: &Path, wires: &[String]) -> Child {
    let mut command = netns.command("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(ours("nic-sim"));
    for option in ["socket", "settings", "trace"] {
        command.arg(format!("--{option}")).arg(folder.join(option));
    }
    for wire in wires {
        command.args(["--wire", wire]);
    }
    let log = File::create(folder.join("log")).expect("a file for what it says");
    let mut process = command
        .arg("--verbose")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("nic-sim starts");
    let out = process.stdout.take().expect("standard output is a pipe");
    let mut ready = String::new();
    let _ = BufReader::new(out).read_line(&mut ready);
    assert!(ready.starts_with("nic-sim: ready"), "{ready}");
    process
}

impl Drop for NicSim {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let commands = self.trace();
            let last = commands.lines().count().saturating_sub(LAST_LINES);
            eprintln!("--- the last commands to the card");
            for line in commands.lines().skip(last) {
                eprintln!("{line}");
            }
            eprintln!("--- nic-sim\n{}---", self.said("log"));
        }
    }
}
