//! A machine that runs, and the shell in it.
//!
//! Its first serial port is the console, a file. On the second, which is QEMU's standard input and
//! output, `/init` writes `ready`, and then answers scripts:
//!
//! ```text
//!  test ─▶ guest    SIZE newline, SIZE bytes of script
//!  guest ─▶ test    EXIT-CODE SIZE newline, SIZE bytes of output
//! ```

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::images::Kernel;
use crate::run::{Done, within};

/// How long a boot may take. It takes five seconds where nothing else runs, and a hundred have been
/// seen where much does.
const BOOT: Duration = Duration::from_secs(300);
/// How long a script may take.
const SCRIPT: Duration = Duration::from_secs(200);

/// What the kernel's log says when the shell is ready.
pub(super) const READY: &str = "guest: the shell is ready";

/// What the guest's shell says.
enum Word {
    Ready,
    Answer(i32, Vec<u8>),
}

/// A running machine.
pub struct Guest {
    qemu: Child,
    words: Receiver<Word>,
    folder: TempDir,
    kernel: Kernel,
}

impl Guest {
    pub(super) fn start(mut command: Command, folder: TempDir, kernel: Kernel) -> Guest {
        let mut qemu = command
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()));
        let said = qemu.stdout.take().expect("standard output is a pipe");
        let (sender, words) = sync_channel(1);
        thread::spawn(move || listen(BufReader::new(said), &sender));
        let guest = Guest {
            qemu,
            words,
            folder,
            kernel,
        };
        match guest.hear("booting", BOOT) {
            Word::Ready => guest,
            Word::Answer(..) => panic!("the guest answers before it is asked"),
        }
    }

    /// The process that it is.
    pub fn pid(&self) -> u32 {
        self.qemu.id()
    }

    /// The next word of the shell; fails the test if it does not come or the guest ends.
    #[track_caller]
    fn hear(&self, doing: &str, patience: Duration) -> Word {
        match self.words.recv_timeout(patience) {
            Ok(word) => word,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the guest is still {doing} after {} s", patience.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the guest ended while {doing}"),
        }
    }

    /// Has the guest's shell run a script, to its end. Both outputs are one, `out`.
    #[track_caller]
    pub fn run(&self, script: &str) -> Done {
        self.send(script);
        match self.hear(&format!("running: {script}"), SCRIPT) {
            Word::Answer(code, out) => Done {
                command: script.to_owned(),
                code,
                out: String::from_utf8_lossy(&out).into_owned(),
                err: String::new(),
            },
            Word::Ready => panic!("the guest booted again"),
        }
    }

    #[track_caller]
    fn send(&self, script: &str) {
        let mut shell = self.qemu.stdin.as_ref().expect("standard input is a pipe");
        shell
            .write_all(format!("{}\n{script}", script.len()).as_bytes())
            .unwrap_or_else(|e| panic!("the guest's shell is gone before: {script}: {e}"));
    }

    /// Loads a module of the guest's kernel and, before it, all that it needs.
    #[track_caller]
    pub fn insert(&self, module: &str) {
        let mut script = "set -e\n".to_owned();
        for file in self.kernel.insertions(module) {
            let name = file.trim_end_matches(".ko").replace('-', "_");
            script.push_str(&format!(
                "[ -d /sys/module/{name} ] || insmod /modules/{file}\n"
            ));
        }
        self.run(&script).ok();
    }

    /// Errors in the kernel's log since the shell was ready: lines of level `err` and worse.
    #[track_caller]
    pub fn kernel_errors(&self) -> Vec<String> {
        self.kernel_log(3)
    }

    /// Errors and warnings in the kernel's log since the shell was ready.
    #[track_caller]
    pub fn kernel_warnings(&self) -> Vec<String> {
        self.kernel_log(4)
    }

    #[track_caller]
    fn kernel_log(&self, least: u32) -> Vec<String> {
        let log = self.run("dmesg -r").ok();
        log.lines()
            .skip_while(|line| !line.ends_with(READY))
            .skip(1)
            .filter(|line| level(line).is_some_and(|level| level <= least))
            .map(str::to_owned)
            .collect()
    }

    /// All that the console has shown.
    pub fn console(&self) -> String {
        self.said("console")
    }

    fn said(&self, file: &str) -> String {
        let said = fs::read(self.folder.path().join(file)).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits until a line of the console contains `marker`, and returns the line.
    #[track_caller]
    pub fn console_line(&self, marker: &str) -> String {
        let found = within(SCRIPT, || {
            let console = self.console();
            let line = console.lines().find(|line| line.contains(marker));
            line.map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("the guest's console never said: {marker}"))
    }

    /// Switches the machine off, and returns all that its console showed.
    #[track_caller]
    pub fn power_off(mut self) -> String {
        self.send("poweroff -f");
        let status = within(SCRIPT, || self.qemu.try_wait().expect("QEMU is our child"))
            .expect("the guest switches itself off");
        assert!(status.success(), "QEMU: {status}");
        self.console()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if thread::panicking() {
            eprintln!("--- the guest's console");
            eprintln!("{}", self.console());
            eprintln!("--- QEMU\n{}---", self.said("qemu"));
        }
    }
}

/// Reads what the shell writes until it ends or says what is not in the protocol.
fn listen(mut shell: BufReader<ChildStdout>, to: &SyncSender<Word>) {
    let mut line = String::new();
    while let Ok(1..) = shell.read_line(&mut line) {
        let word = match line.trim_end().split_once(' ') {
            None => Word::Ready,
            Some((code, size)) => {
                let (Ok(code), Ok(size)) = (code.parse(), size.parse()) else {
                    return;
                };
                let mut out = vec![0; size];
                if shell.read_exact(&mut out).is_err() {
                    return;
                }
                Word::Answer(code, out)
            }
        };
        line.clear();
        if to.send(word).is_err() {
            return;
        }
    }
}

/// The level of a line as `dmesg -r` writes it: `<F>`, where the last three bits of F are the level
/// and the others say who speaks.
fn level(line: &str) -> Option<u32> {
    let (number, _) = line.strip_prefix('<')?.split_once('>')?;
    Some(number.parse::<u32>().ok()? & 7)
}
