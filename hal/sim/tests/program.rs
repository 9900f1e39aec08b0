//! `nic-sim` as its users meet it.

use clock::Clock;
use hal::pci::{PciFunction, VfioUser};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nic-sim"))
}

/// The program, running; it ends with the value.
struct Running {
    child: Child,
    folder: TempDir,
}

impl Running {
    /// Starts it and waits for its line.
    fn start(arguments: &[&str]) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("nic.sock");
        let mut child = program()
            .arg("--socket")
            .arg(&socket)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        assert_eq!(line, format!("nic-sim: ready on {}\n", socket.display()));
        Running { child, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("nic.sock")
    }

    fn connect(&self) -> PciFunction {
        PciFunction::open(VfioUser::connect(&self.socket()).unwrap()).unwrap()
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it says when it does not start, and its exit code.
fn refused(socket: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = program()
        .arg("--socket")
        .arg(socket)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut err = child.stderr.take().unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(said.matches('\n').count(), 1, "{said}");
    (child.wait().unwrap().code(), said)
}

#[test]
fn it_serves_one_peer_after_the_other() {
    let nic = Running::start(&[]);
    for _ in 0..3 {
        let function = nic.connect();
        assert_eq!(function.ids().unwrap(), (0x15b3, 0x101d));
        let bar = function.bar(0).unwrap();
        // As after a reset, whatever the one before has written.
        assert_eq!(bar.read_be32(0x10).unwrap(), 0);
        bar.write_be32(0x10, 0x1234).unwrap();
        assert_eq!(bar.read_be32(0x10).unwrap(), 0x1234);
    }
}

#[test]
fn a_signal_ends_it_and_takes_its_socket_away() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut nic = Running::start(&[]);
        let _peer = nic.connect();
        assert!(nic.end(signal).success());
        assert!(!nic.socket().exists());
    }
}

#[test]
fn a_socket_that_was_left_is_replaced_and_one_in_use_is_not() {
    let mut nic = Running::start(&[]);
    let (code, said) = refused(&nic.socket(), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("nic.sock: Address already in use"), "{said}");
    nic.connect().ids().unwrap();
    nic.end(Signal::KILL);
    assert!(nic.socket().exists());
    let socket = nic.socket();
    let mut again = program();
    let mut child = again
        .arg("--socket")
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    nic.child = child;
    nic.connect().ids().unwrap();
}

#[test]
fn what_is_wrong_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("nic.sock");
    let file = folder.path().join("nic.json");
    let settings = file.display().to_string();
    let with_settings = ["--settings", settings.as_str()];
    let (code, said) = refused(&socket, &with_settings);
    assert_eq!(code, Some(1));
    assert!(said.contains("nic.json: No such file"), "{said}");
    std::fs::write(&file, r#"{"colour":"red"}"#).unwrap();
    let (_, said) = refused(&socket, &with_settings);
    assert!(
        said.contains("nic.json: ") && said.contains("`colour`"),
        "{said}"
    );
    let cases = [
        (&["--wire", "pf0"][..], 2, "not PORT=WIRE"),
        (&["--colour", "red"], 2, "--colour"),
        (&["--wire", "pf7=tap:x"], 1, "pf7"),
        (&["--wire", "pf0=carrier-pigeon:x"], 1, "carrier-pigeon"),
        (&["--trace", "/nonexistent/trace"], 1, "/nonexistent/trace"),
    ];
    for (arguments, wanted, word) in cases {
        let (code, said) = refused(&socket, arguments);
        assert_eq!(code, Some(wanted), "{said}");
        assert!(said.contains(word), "{said}");
    }
    assert!(!socket.exists());
    let (code, said) = refused(Path::new("/nonexistent/nic.sock"), &[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("/nonexistent/nic.sock: No such file"),
        "{said}"
    );
}

#[test]
fn commands_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace");
    let nic = Running::start(&["--trace", &file.display().to_string()]);
    let function = nic.connect();
    function.set_master(true).unwrap();
    let bar = function.bar(0).unwrap();
    let queue = function.dma("command queue", 4096).unwrap();
    let mut entry = [0; 64];
    entry[0] = 7;
    entry[7] = 16;
    // ENABLE_HCA
    entry[0x10..0x12].copy_from_slice(&[1, 4]);
    entry[0x3b] = 16;
    entry[0x3f] = 1;
    queue.write(0, &entry);
    let at = queue.iova().0;
    bar.write_be32(0x10, (at >> 32) as u32).unwrap();
    bar.write_be32(0x14, at as u32).unwrap();
    bar.write_be32(0x18, 1).unwrap();
    let clock = Clock::real();
    for _ in 0..4000 {
        let said = std::fs::read_to_string(&file).unwrap();
        if said.contains("ENABLE_HCA op_mod=0x0 in=0x10 out=0x10 delivery=0x0 status=0x0\n") {
            return;
        }
        clock.pause_thread(Duration::from_millis(10));
    }
    panic!("never written down");
}

#[test]
fn help_and_version_are_no_errors() {
    for (option, word) in [("--help", "--wire <PORT=WIRE>"), ("--version", "nic-sim ")] {
        let done = program().arg(option).output().unwrap();
        assert!(done.status.success());
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(said.contains(word), "{said}");
    }
}
