//! The database server and its file, with the original's clients and tools at the other end.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use end_to_end::{Done, eventually, original, ours, run};
use tempfile::TempDir;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A database server, ours or the original's, on `conf.db` in a folder.
struct Server {
    dir: TempDir,
    child: Option<Child>,
}

impl Server {
    fn empty() -> Server {
        Server {
            dir: tempfile::Builder::new()
                .prefix("hy")
                .tempdir()
                .expect("a folder"),
            child: None,
        }
    }

    /// Ours, on a new file that the original's tool made.
    fn ours() -> Server {
        let mut server = Server::empty();
        server.tool("create").ok();
        server.start(&ours("ovsdb-server"));
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&mut self, program: &Path) {
        let log = File::create(self.path("server.log")).expect("a log");
        let child = Command::new(program)
            .env("OVS_RUNDIR", self.dir.path())
            .env("OVS_LOGDIR", self.dir.path())
            .env("OVS_DBDIR", self.dir.path())
            .arg(format!("--remote=punix:{}", self.path("db.sock").display()))
            .arg(format!("--unixctl={}", self.path("ctl").display()))
            .arg(self.path("conf.db"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        self.child = Some(child);
        eventually("the server answers", || {
            (self.client(&["list-dbs"]).code == 0).then_some(())
        });
    }

    /// Ends the server as a power failure would.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a running server");
            child.wait().expect("a killed server");
        }
    }

    fn remote(&self) -> String {
        format!("unix:{}", self.path("db.sock").display())
    }

    /// The original's `ovsdb-client COMMAND REMOTE ARGUMENT...`.
    fn client(&self, words: &[&str]) -> Done {
        let (command, rest) = words.split_first().expect("a command");
        run(Command::new(original("ovsdb-client"))
            .args(["--timeout=30", command, &self.remote()])
            .args(rest))
    }

    fn vsctl(&self, words: &str) -> Done {
        run(Command::new(original("ovs-vsctl"))
            .args(["--timeout=30", "--no-wait"])
            .arg(format!("--db={}", self.remote()))
            .args(words.split_whitespace()))
    }

    /// The original's `ovsdb-tool COMMAND conf.db`, with the schema where one is wanted.
    fn tool(&self, command: &str) -> Done {
        let mut tool = Command::new(original("ovsdb-tool"));
        tool.arg(command).arg(self.path("conf.db"));
        if command == "create" || command == "convert" {
            tool.arg(SCHEMA);
        }
        run(&mut tool)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("server.log")).unwrap_or_default();
            eprintln!("--- the server's log\n{log}");
        }
        self.kill();
    }
}

#[test]
fn real_clients_read_write_and_watch() {
    let server = Server::ours();
    assert_eq!(server.client(&["list-dbs"]).ok(), "Open_vSwitch\n_Server\n");
    let tables = server.client(&["list-tables"]).ok();
    for table in ["Bridge", "Port", "Interface", "Open_vSwitch"] {
        assert!(tables.lines().any(|l| l.trim() == table), "{tables}");
    }
    server.vsctl("init").ok();
    server
        .vsctl("add-br br0 -- add-port br0 p1 -- set interface p1 type=dummy external_ids:a=b")
        .ok();
    let log = File::create(server.path("monitor.log")).expect("a log");
    let mut monitor = Command::new(original("ovsdb-client"))
        .args([
            "monitor",
            &server.remote(),
            "Open_vSwitch",
            "Port",
            "name,tag",
        ])
        .stdout(log)
        .spawn()
        .expect("a monitor");
    let seen = |text: &str| {
        eventually(&format!("{text} in the monitor"), || {
            fs::read_to_string(server.path("monitor.log"))
                .is_ok_and(|log| log.contains(text))
                .then_some(())
        });
    };
    seen("p1");
    server.vsctl("set port p1 tag=42").ok();
    seen("42");
    server.vsctl("del-port p1").ok();
    seen("delete");
    monitor.kill().expect("a running monitor");
    monitor.wait().expect("a killed monitor");

    let reply = server
        .client(&[
            "transact",
            r#"["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["name"]}]"#,
        ])
        .ok();
    assert_eq!(reply.trim(), r#"[{"rows":[{"name":"br0"}]}]"#);
    let dump = server.client(&["dump", "Port", "name"]).ok();
    assert!(dump.contains("br0") && !dump.contains("p1"), "{dump}");
}

#[test]
fn bad_requests_get_the_specified_errors_and_change_nothing() {
    let server = Server::ours();
    server.vsctl("init").ok();
    server.vsctl("add-br br0").ok();
    for (request, error) in [
        (
            r#"["Open_vSwitch",{"op":"insert","table":"Bridge","row":{"name":"lost"}},{"op":"abort"}]"#,
            "aborted",
        ),
        (
            r#"["Open_vSwitch",{"op":"update","table":"Bridge","where":[],"row":{"fail_mode":"bogus"}}]"#,
            "constraint violation",
        ),
        (
            r#"["Open_vSwitch",{"op":"select","table":"Nonesuch","where":[]}]"#,
            "syntax error",
        ),
        (
            r#"["Open_vSwitch",{"op":"no_such_operation"}]"#,
            "No operation",
        ),
    ] {
        let reply = server.client(&["transact", request]);
        let text = format!("{}{}", reply.out, reply.err);
        assert!(
            text.contains("error") && text.contains(error),
            "{request}\n{text}"
        );
    }
    assert_eq!(server.vsctl("list-br").ok(), "br0\n");
    let clash = server.vsctl("-- --id=@b create Bridge name=br0 -- add Open_vSwitch . bridges @b");
    assert_eq!(clash.code, 1, "{clash:?}");
    assert!(clash.err.contains("constraint violation"), "{clash:?}");
    assert_eq!(server.vsctl("list-br").ok(), "br0\n");
}

#[test]
fn what_was_answered_survives_a_kill_and_the_original_reads_our_file() {
    let mut server = Server::ours();
    server.vsctl("init").ok();
    for n in 0..20 {
        server.vsctl(&format!("add-br br{n}")).ok();
    }
    server.vsctl("del-br br7").ok();
    server.kill();
    let query = run(Command::new(original("ovsdb-tool")).arg("query").arg(server.path("conf.db")).arg(
        r#"["Open_vSwitch",{"op":"select","table":"Bridge","where":[["name","==","br19"]],"columns":["name"]}]"#,
    ))
    .ok();
    assert_eq!(query.trim(), r#"[{"rows":[{"name":"br19"}]}]"#);
    let log = server.tool("show-log").ok();
    assert!(log.contains("record 21:"), "{log}");
    server.tool("compact").ok();
    server.tool("convert").ok();
    // Back to us from the original's pen, then the original's server on what we wrote.
    for program in [ours("ovsdb-server"), original("ovsdb-server")] {
        server.start(&program);
        let bridges = server.vsctl("list-br").ok();
        assert_eq!(bridges.lines().count(), 19, "{bridges}");
        assert!(!bridges.contains("br7\n"), "{bridges}");
        server.vsctl("--may-exist add-br last").ok();
        server.vsctl("del-br last").ok();
        server.kill();
    }
}

#[test]
fn a_corrupt_tail_is_reported_and_the_rest_is_kept() {
    for tail in [
        "garbage",
        "OVSDB JSON 20 0123456789012345678901234567890123456789\n{\"cut",
    ] {
        let mut server = Server::ours();
        server.vsctl("init").ok();
        server.vsctl("add-br br0").ok();
        server.kill();
        let mut file = OpenOptions::new()
            .append(true)
            .open(server.path("conf.db"))
            .expect("the database's file");
        file.write_all(tail.as_bytes()).expect("a tail");
        drop(file);
        server.start(&ours("ovsdb-server"));
        assert_eq!(server.vsctl("list-br").ok(), "br0\n");
        let log = fs::read_to_string(server.path("server.log")).expect("a log");
        assert!(log.contains("conf.db"), "the log names the file:\n{log}");
        server.vsctl("add-br br1").ok();
        server.kill();
        server.start(&ours("ovsdb-server"));
        assert_eq!(server.vsctl("list-br").ok(), "br0\nbr1\n");
    }
}

#[test]
fn garbage_on_the_socket_ends_that_connection_alone() {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    let server = Server::ours();
    server.vsctl("init").ok();
    let deep = "[".repeat(100_000);
    for garbage in ["}{", "{\"method\":7}", "\u{0}\u{1}", &deep] {
        let mut socket = UnixStream::connect(server.path("db.sock")).expect("a connection");
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(30)))
            .expect("a deadline");
        socket
            .write_all(garbage.as_bytes())
            .expect("garbage goes out");
        let mut answer = Vec::new();
        // Closed, with or without a last word; never silent for ever.
        let closed = socket.read_to_end(&mut answer);
        let reset = std::io::ErrorKind::ConnectionReset;
        assert!(
            closed.as_ref().is_ok() || closed.as_ref().is_err_and(|e| e.kind() == reset),
            "{closed:?} after {:?}",
            &garbage[..garbage.len().min(20)]
        );
        server.vsctl("list-br").ok();
    }
}
