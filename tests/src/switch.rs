//! A running switch in a folder of its own, and the original's tools pointed at it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::run::{Done, eventually, original, ours, run};

/// Whose switch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// The `ovs-vswitchd` of this workspace, with its database inside.
    Ours,
    /// The `ovs-vswitchd` of this workspace beside the `ovsdb-server` of this workspace.
    OursWithServer,
    /// The original's `ovs-vswitchd` and `ovsdb-server`, as packaged.
    Original,
}

/// A running switch. Ends with the value; a test that fails prints the end of its log.
pub struct Switch {
    dir: TempDir,
    make: Make,
}

impl Switch {
    /// Starts a switch that has dummy ports.
    pub fn dummy(make: Make) -> Switch {
        Switch::start(make, None, &["--enable-dummy"])
    }

    /// Starts a switch in network namespace `netns`.
    pub fn within(netns: &crate::Netns, make: Make) -> Switch {
        Switch::start(make, Some(netns), &[])
    }

    /// Starts a switch with these options more.
    pub fn start(make: Make, netns: Option<&crate::Netns>, options: &[&str]) -> Switch {
        let switch = Switch {
            dir: tempfile::Builder::new()
                .prefix("hy")
                .tempdir()
                .expect("a folder for the switch"),
            make,
        };
        match make {
            Make::Ours => {}
            Make::OursWithServer => {
                switch.create_database();
                switch.start_server(&ours("ovsdb-server"));
            }
            Make::Original => {
                switch.create_database();
                switch.start_server(&original("ovsdb-server"));
            }
        }
        switch.start_daemon(netns, options);
        switch
    }

    /// Starts `ovs-vswitchd` (again) in this folder.
    pub fn start_daemon(&self, netns: Option<&crate::Netns>, options: &[&str]) {
        let program = match self.make {
            Make::Ours | Make::OursWithServer => ours("ovs-vswitchd"),
            Make::Original => original("ovs-vswitchd"),
        };
        let mut command = match netns {
            Some(netns) => netns.command(program),
            None => Command::new(program),
        };
        self.place(&mut command)
            .args(["--detach", "--no-chdir", "--pidfile", "--log-file"])
            .arg("-vconsole:off")
            .args(options);
        match self.make {
            Make::Ours => command.arg("--embedded-db"),
            Make::OursWithServer | Make::Original => {
                command.arg(format!("unix:{}", self.path("db.sock").display()))
            }
        };
        run(&mut command).ok();
    }

    fn create_database(&self) {
        run(Command::new(original("ovsdb-tool"))
            .arg("create")
            .arg(self.path("conf.db"))
            .arg("/usr/share/openvswitch/vswitch.ovsschema"))
        .ok();
    }

    fn start_server(&self, program: &Path) {
        let mut command = Command::new(program);
        self.place(&mut command)
            .args(["--detach", "--no-chdir", "--pidfile", "--log-file"])
            .arg("-vconsole:off")
            .arg(format!("--remote=punix:{}", self.path("db.sock").display()))
            .arg(self.path("conf.db"));
        run(&mut command).ok();
        self.vsctl("--no-wait init").ok();
    }

    /// Points a command at this switch's folder.
    fn place<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.dir.path());
        }
        command.current_dir(self.dir.path())
    }

    /// A file in the switch's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tool of the original, pointed at this switch.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(original(name));
        self.place(&mut command);
        command
    }

    /// A tool of this workspace, pointed at this switch.
    pub fn our_tool(&self, name: &str) -> Command {
        let mut command = Command::new(ours(name));
        self.place(&mut command);
        command
    }

    /// The original's `ovs-vsctl` with these words.
    pub fn vsctl(&self, words: &str) -> Done {
        let mut tool = self.tool("ovs-vsctl");
        run(tool.arg("--timeout=30").args(words.split_whitespace()))
    }

    /// The original's `ovs-ofctl` with these words.
    pub fn ofctl(&self, words: &str) -> Done {
        let mut tool = self.tool("ovs-ofctl");
        run(tool.arg("--timeout=30").args(words.split_whitespace()))
    }

    /// The original's `ovs-appctl` with these words, for `ovs-vswitchd`.
    pub fn appctl(&self, words: &str) -> Done {
        self.appctl_args(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// As [`Switch::appctl`], with arguments that may hold spaces.
    pub fn appctl_args(&self, words: &[&str]) -> Done {
        let mut tool = self.tool("ovs-appctl");
        run(tool.arg("--timeout=60").args(words))
    }

    /// A command for `ovs-vswitchd` without a program in between, for tests that have thousands: one
    /// JSON-RPC request on the control socket. Fails the test if it is refused.
    #[track_caller]
    pub fn control(&self, method: &str, words: &[&str]) {
        let pid = self.pid("ovs-vswitchd").expect("a pid file");
        let path = self.path(&format!("ovs-vswitchd.{pid}.ctl"));
        let mut socket = UnixStream::connect(path).expect("the control socket");
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let request = format!(
            "{{\"id\":0,\"method\":\"{method}\",\"params\":[{}]}}",
            quoted.join(",")
        );
        socket.write_all(request.as_bytes()).expect("a request");
        // The reply is one object; it ends where its braces do. These commands' replies hold no
        // braces in strings.
        let mut reply = Vec::new();
        let mut byte = [0];
        let mut depth = 0;
        while socket.read(&mut byte).expect("a reply") == 1 {
            reply.push(byte[0]);
            depth += match byte[0] {
                b'{' => 1,
                b'}' => -1,
                _ => 0,
            };
            if depth == 0 {
                break;
            }
        }
        let reply = String::from_utf8_lossy(&reply);
        assert!(
            reply.replace(' ', "").contains("\"error\":null"),
            "{request}: {reply}"
        );
    }

    /// The process id in `NAME.pid`, if that file is there.
    pub fn pid(&self, name: &str) -> Option<u32> {
        let text = fs::read_to_string(self.path(&format!("{name}.pid"))).ok()?;
        text.trim().parse().ok()
    }

    /// The log of `ovs-vswitchd` so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("ovs-vswitchd.log")).unwrap_or_default()
    }

    /// A bridge `br0` of dummy ports 1 to `ports`, named `p1`..., each of which writes what it
    /// sends to `pN.pcap`; `settings` is more of `ovs-vsctl`'s words.
    pub fn dummy_bridge(&self, ports: u32, settings: &str) {
        let mut words =
            String::from("add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure");
        for n in 1..=ports {
            words.push_str(&format!(
                " -- add-port br0 p{n} -- set interface p{n} type=dummy ofport_request={n} \
                 options:tx_pcap={}",
                self.path(&format!("p{n}.pcap")).display()
            ));
        }
        if !settings.is_empty() {
            words.push_str(" -- ");
            words.push_str(settings);
        }
        self.vsctl(&words).ok();
    }

    /// A packet, in bytes, comes in at a dummy port.
    #[track_caller]
    pub fn receive(&self, port: &str, frame: &[u8]) {
        self.appctl_args(&["netdev-dummy/receive", port, &crate::frame::hex(frame)])
            .ok();
    }

    /// What dummy port `pN` has sent so far.
    pub fn sent(&self, port: &str) -> Vec<Vec<u8>> {
        crate::capture::read(&self.path(&format!("{port}.pcap")))
    }

    /// Ends `ovs-vswitchd` by `exit` and waits until its process is gone.
    pub fn exit(&self) {
        let pid = self.pid("ovs-vswitchd");
        self.appctl("exit").ok();
        if let Some(pid) = pid {
            eventually("ovs-vswitchd ends after `exit`", || gone(pid).then_some(()));
        }
    }

    /// Ends `ovs-vswitchd` by SIGKILL and waits until its process is gone.
    pub fn kill(&self) {
        let pid = self.pid("ovs-vswitchd").expect("a pid file");
        kill(pid);
        eventually("ovs-vswitchd ends after SIGKILL", || {
            gone(pid).then_some(())
        });
    }
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Whether a process has ended: it has no entry, or one that only waits to be collected.
fn gone(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z')),
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the end of ovs-vswitchd.log ({:?})", self.make);
            for line in &lines[lines.len().saturating_sub(30)..] {
                eprintln!("{line}");
            }
        }
        let asked = self
            .pid("ovs-vswitchd")
            .map(|pid| (pid, self.appctl("exit").code == 0));
        if let Some((pid, asked)) = asked {
            let ended = asked
                && crate::run::within(std::time::Duration::from_secs(10), || {
                    gone(pid).then_some(())
                })
                .is_some();
            if !ended {
                kill(pid);
            }
        }
        if let Some(pid) = self.pid("ovsdb-server") {
            kill(pid);
        }
    }
}
