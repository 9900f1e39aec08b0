//! Signals that end a program: it says so, removes its files, and dies of the signal.

use super::{leftovers, sys};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{self, Read as _};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;

/// The signals that end a program in good order.
pub(super) const FATAL: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGALRM];

/// Handles fatal signals from here on, on a thread of their own.
///
/// # Errors
/// No descriptors or no thread to be had.
pub(super) fn watch() -> io::Result<()> {
    let (wake, mut woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            crate::log::set_subprogram(Some(""));
            let mut byte = [0];
            while let Ok(()) = woken.read_exact(&mut byte) {
                die_of(i32::from(byte[0]));
            }
        })?;
    // The handler owns this end for as long as the process lives.
    sys::catch(&FATAL, wake.into_raw_fd());
    Ok(())
}

fn die_of(signal: i32) {
    let text = format!("terminating with signal {signal} ({})", describe(signal));
    tracing::warn!(target: "fatal_signal", "{text}");
    leftovers::remove();
    sys::default(signal);
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = kill_process(getpid(), signal);
    }
}

/// What the C library calls a signal.
pub(super) fn describe(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGSYS => "Bad system call",
        other => return format!("signal {other}"),
    };
    name.to_string()
}
