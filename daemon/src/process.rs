//! From a command to a daemon: forking, the pid file, the monitor, and the end in good order.
//!
//! ```text
//!  command ──fork──▶ monitor ──fork──▶ daemon        --detach --monitor
//!     │                 │                 │
//!     │◀── ready ───────┤◀──── ready ─────┤  Start::ready
//!   exit 0         waits, restarts     runs
//! ```
//!
//! [`start`] comes before any thread or runtime. A process that waits for another passes on its
//! exit code, so the command's own code says whether the daemon came up.

mod leftovers;
mod monitor;
mod pidfile;
mod signals;
mod sys;
mod title;
mod user;

pub use leftovers::{at_exit, keep_at_exit, unlink_at_exit};
pub use pidfile::read as read_pidfile;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

/// Why a program did not become a daemon, as one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// How a program starts; the options of ovs-vswitchd(8), "Daemon Options".
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the pid file is made; none = nowhere.
    pub pidfile: Option<PathBuf>,
    /// Replace the pid file even of a process that runs.
    pub overwrite_pidfile: bool,
    /// Go into the background.
    pub detach: bool,
    /// Stay in the current directory when going into the background.
    pub no_chdir: bool,
    /// Restart the daemon when it crashes.
    pub monitor: bool,
    /// `USER[:GROUP]` to become.
    pub user: Option<String>,
    /// Whether that user still has to administer the network.
    pub access_datapath: bool,
}

/// A daemon that has not said yet that it is ready; dropped before that, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "whoever started the daemon waits for `ready`"]
pub struct Start {
    ready: Option<File>,
    detach: bool,
    no_chdir: bool,
    monitored: bool,
}

/// A daemon that runs. When dropped, the files of [`unlink_at_exit`] are removed; if that happens
/// in a panic the process aborts, which is what makes a monitor restart it.
#[derive(Debug)]
pub struct Running {
    /// Kept open for a crash's trace to the monitor.
    _pipe: Option<File>,
}

/// Becomes a daemon as `options` say. The processes that only wait never return.
///
/// # Errors
/// The pid file is another's, the user is unknown, the system refuses to fork.
///
/// # Panics
/// If the process has more than one thread.
pub fn start(options: &Options) -> Result<Start, Error> {
    if let Some(spec) = &options.user {
        user::become_user(spec, options.access_datapath)?;
    }
    let mut ready = None;
    if options.detach {
        match fork_and_wait()? {
            Forked::Child(pipe) => ready = Some(pipe),
            Forked::Parent { up: true, .. } => std::process::exit(0),
            Forked::Parent { up: false, .. } => {
                return Err(Error("could not detach from foreground session".into()));
            }
        }
        // It fails only for a process group's leader, which a fresh child is not.
        let _ = rustix::process::setsid();
    }
    if options.monitor {
        match fork_and_wait()? {
            Forked::Child(pipe) => ready = Some(pipe),
            Forked::Parent { up: false, .. } => {
                return Err(Error("could not initiate process monitoring".into()));
            }
            Forked::Parent { child, pipe, .. } => {
                tell(ready.take());
                if options.detach {
                    close_standard_descriptors();
                }
                ready = Some(monitor::watch_over(child, pipe)?);
            }
        }
    }
    if let Some(path) = &options.pidfile
        && let Err(e) = pidfile::make(path, options.overwrite_pidfile)
    {
        leftovers::remove();
        return Err(e);
    }
    let trace = match (&ready, options.monitor) {
        (Some(pipe), true) => pipe.as_raw_fd(),
        _ => -1,
    };
    if trace >= 0 {
        sys::trace_crashes(trace, false);
    } else {
        sys::trace_crashes(crate::log::file_descriptor(), true);
    }
    signals::watch().map_err(|e| Error(format!("signals: {}", crate::log::reason(&e))))?;
    Ok(Start {
        ready,
        detach: options.detach,
        no_chdir: options.no_chdir,
        monitored: options.monitor,
    })
}

impl Start {
    /// Tells whoever waits that the daemon is up, and lets go of terminal and directory if it is
    /// to run in the background.
    pub fn ready(mut self) -> Running {
        let pipe = tell(self.ready.take()).filter(|_| self.monitored);
        if self.detach {
            if !self.no_chdir {
                let _ = std::env::set_current_dir("/");
            }
            close_standard_descriptors();
        }
        self.detach = false;
        let running = Running { _pipe: pipe };
        std::mem::forget(self);
        running
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        leftovers::remove();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        leftovers::remove();
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Ends the process with `code` after removing the files of [`unlink_at_exit`].
pub fn exit(code: i32) -> ! {
    leftovers::remove();
    std::process::exit(code)
}

/// Crashes that leave their trace in the log file leave it in the new one, `fd`.
pub(crate) fn log_file_changed(fd: i32) {
    sys::retarget_trace(fd);
}

enum Forked {
    /// In the child, with the pipe that one byte into says that it is up.
    Child(File),
    /// In the parent, after the child is up or has died.
    Parent { child: Pid, up: bool, pipe: File },
}

fn tell(pipe: Option<File>) -> Option<File> {
    let mut pipe = pipe?;
    // A parent that has gone away needs no telling.
    let _ = pipe.write_all(&[0]);
    Some(pipe)
}

/// Forks and waits until the child is up; ends with the child's code if that is a failure.
fn fork_and_wait() -> Result<Forked, Error> {
    let failed = |what: &str, e: std::io::Error| {
        Error(format!("{what} failed ({})", crate::log::reason(&e)))
    };
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed("pipe", e.into()))?;
    let Some(child) = sys::fork().map_err(|e| failed("fork", e))? else {
        drop(read);
        return Ok(Forked::Child(File::from(write)));
    };
    drop(write);
    let mut pipe = File::from(read);
    let up = pipe.read_exact(&mut [0]).is_ok();
    if !up {
        let status = wait_for(child)?;
        if let Some(code) = status.exit_status()
            && code != 0
        {
            std::process::exit(code);
        }
        let text = describe(status);
        tracing::error!(
            target: "daemon_unix",
            "fork child died before signaling startup ({text})"
        );
    }
    Ok(Forked::Parent { child, up, pipe })
}

fn wait_for(child: Pid) -> Result<WaitStatus, Error> {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => {
                let why = crate::log::reason(&e.into());
                return Err(Error(format!("waitpid failed ({why})")));
            }
        }
    }
}

/// How a process ended, in the original's words.
fn describe(status: WaitStatus) -> String {
    let mut text = if let Some(code) = status.exit_status() {
        format!("exit status {code}")
    } else if let Some(signal) = status.terminating_signal() {
        format!("killed ({})", signals::describe(signal))
    } else {
        format!("terminated abnormally ({:x})", status.as_raw())
    };
    if status.signaled() && status.as_raw() & 0x80 != 0 {
        text.push_str(", core dumped");
    }
    text
}

fn close_standard_descriptors() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
