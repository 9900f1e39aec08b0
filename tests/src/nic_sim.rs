//! `nic-sim`, as a process of a test's.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::{Netns, ours};

/// A simulated NIC in a process of its own; it ends with the value.
pub struct NicSim {
    process: Child,
    socket: PathBuf,
}

impl NicSim {
    /// Starts it in a namespace and waits until its socket is there. A wire is `PORT=WIRE`.
    pub fn start(netns: &Netns, socket: &Path, wires: &[String]) -> NicSim {
        let mut command = netns.command(ours("nic-sim"));
        command.arg("--socket").arg(socket);
        for wire in wires {
            command.args(["--wire", wire]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("nic-sim");
        let mut ready = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out)
            .read_line(&mut ready)
            .expect("its output");
        assert!(ready.starts_with("nic-sim: ready"), "{ready}");
        NicSim {
            process,
            socket: socket.into(),
        }
    }

    /// What `options:hal-device` is for it.
    pub fn device(&self) -> String {
        format!("vfio-user:{}", self.socket.display())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for NicSim {
    fn drop(&mut self) {
        self.kill();
    }
}
