//! The other side of a control socket, blocking.

use crate::dirs;
use crate::jsonrpc;
use crate::process;
use crate::stream::Active;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// A connection to a program's control socket.
pub struct Client(jsonrpc::Client);

impl Client {
    /// Connects to the socket `path`, below `RUNDIR` unless absolute.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(path: &Path) -> io::Result<Client> {
        let path = dirs::absolute(&dirs::rundir(), path);
        jsonrpc::Client::connect(&Active::Unix(path)).map(Client)
    }

    /// Calls a command and waits for its answer.
    ///
    /// # Errors
    /// The connection's; the command's own is the inner result.
    pub fn call(&mut self, name: &str, args: &[String]) -> io::Result<Result<Value, Value>> {
        self.0
            .call(name, args.iter().map(|arg| arg.as_str().into()).collect())
    }
}

/// The control socket of the program `target`, found by its pid file; a `target` that is an
/// absolute path is the socket itself.
///
/// # Errors
/// The pid file's name and why it does not tell a running process.
pub fn socket_of(target: &str) -> Result<PathBuf, (PathBuf, io::Error)> {
    if target.starts_with('/') {
        return Ok(PathBuf::from(target));
    }
    let rundir = dirs::rundir();
    let pidfile = rundir.join(format!("{target}.pid"));
    match process::read_pidfile(&pidfile) {
        Ok(pid) => Ok(rundir.join(format!("{target}.{pid}.ctl"))),
        Err(e) => Err((pidfile, e)),
    }
}
