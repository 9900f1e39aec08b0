//! `--monitor`: a process that restarts the daemon when it dies of a crash.

use super::title::{Title, set_comm};
use super::{Error, Forked, describe, fork_and_wait, signals, sys, wait_for};
use rustix::process::{Pid, Resource, Rlimit, WaitStatus, setrlimit};
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

/// The least time between two restarts.
const THROTTLE: Duration = Duration::from_secs(10);

/// Signals that tell of a crash; the end by any other one was somebody's wish.
const CRASHES: [i32; 9] = [
    libc::SIGABRT,
    libc::SIGALRM,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGPIPE,
    libc::SIGSEGV,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// Watches over the daemon `child`, whose pipe is `pipe`. Returns only in a new daemon that took
/// the place of one that crashed, with its own pipe; ends the process when the daemon ends
/// otherwise.
pub(super) fn watch_over(mut child: Pid, mut pipe: File) -> Result<File, Error> {
    crate::log::set_subprogram(Some("monitor"));
    set_comm("monitor");
    // Whoever ends the daemon ends the monitor; a signal to both must not leave the daemon alone.
    sys::shrug_off(&signals::FATAL);
    let clock = clock::Clock::real();
    let (mut state, mut crashes, mut last_restart) = ("healthy".to_string(), 0u32, None);
    let mut up = true;
    let mut status: Option<WaitStatus> = None;
    let title = Title::set(&monitoring(child, &state));
    loop {
        if let Some(title) = &title {
            title.show(&monitoring(child, &state));
        }
        if up || status.is_none() {
            let log_file = crate::log::pause_file();
            let ended = wait_for(child);
            if let Some(name) = log_file {
                let _ = crate::log::set_file(Some(&name));
            }
            status = Some(ended?);
        }
        let Some(ended) = status else { continue };
        let how = describe(ended);
        if !ended
            .terminating_signal()
            .is_some_and(|s| CRASHES.contains(&s))
        {
            tracing::info!(target: "daemon_unix", "pid {child} died, {how}, exiting");
            super::exit(0);
        }
        crashes += 1;
        state = format!("{crashes} crashes: pid {child} died, {how}");
        if ended.as_raw() & 0x80 != 0 {
            // One core is enough to learn from.
            let none = Rlimit {
                current: Some(0),
                maximum: Some(0),
            };
            if let Err(e) = setrlimit(Resource::Core, none) {
                let why = crate::log::reason(&e.into());
                tracing::warn!(target: "daemon_unix", "failed to disable core dumps: {why}");
            }
        }
        log_trace(pipe);
        if let Some(last) = last_restart {
            let since: Duration = clock.now() - last;
            if since < THROTTLE {
                tracing::warn!(
                    target: "daemon_unix",
                    "{state}, waiting until 10 seconds since last restart"
                );
                clock.pause_thread(THROTTLE - since);
            }
        }
        last_restart = Some(clock.now());
        tracing::error!(target: "daemon_unix", "{state}, restarting");
        match fork_and_wait()? {
            Forked::Child(own) => {
                if let Some(title) = title {
                    title.restore();
                }
                let program = crate::log::program();
                set_comm(&program);
                crate::log::set_subprogram(Some(&program));
                return Ok(own);
            }
            Forked::Parent {
                child: new,
                up: is_up,
                pipe: theirs,
            } => {
                (child, up, pipe) = (new, is_up, theirs);
            }
        }
    }
}

fn monitoring(child: Pid, state: &str) -> String {
    format!("monitoring pid {child} ({state})")
}

/// Logs the trace that a crashed daemon has left in its pipe.
fn log_trace(pipe: File) {
    let mut trace = Vec::new();
    // The daemon is dead, so the pipe ends; a grandchild that holds it may not stop us.
    if rustix::io::ioctl_fionbio(&pipe, true).is_err() {
        return;
    }
    let _ = pipe.take(1 << 16).read_to_end(&mut trace);
    if trace.is_empty() {
        return;
    }
    tracing::warn!(target: "backtrace", "{}", sys::TRACE_MESSAGE.trim_end());
    for line in String::from_utf8_lossy(&trace).lines() {
        tracing::warn!(target: "backtrace", "{line}");
    }
}
