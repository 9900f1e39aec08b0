//! The system calls that have no safe face: forking, and handlers for signals.
#![allow(unsafe_code)]

use rustix::process::Pid;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, Ordering};

/// The descriptor that the handler of fatal signals writes the signal's number to; -1 = none.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// The descriptor that the handler of crashes writes its trace to; -1 = none.
static TRACE: AtomicI32 = AtomicI32::new(-1);
/// Whether the trace goes into a log file, which wants a headline of its own.
static TRACE_HEADLINE: AtomicI32 = AtomicI32::new(0);

/// The line before a trace in a log file.
pub(super) const TRACE_MESSAGE: &str = "SIGSEGV detected, backtrace:\n";

/// Forks. Gives the child's id to the parent and nothing to the child.
///
/// # Panics
/// If this process has more than one thread: the child would hold locks nobody can release.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert!(threads <= 1, "forking with {threads} threads");
    // SAFETY: there is one thread (checked above), so no lock is held by another one and the
    // child may go on as any process; `process::start` is the only caller.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Pid::from_raw(pid)),
    }
}

fn is_default(signal: i32) -> bool {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action asks only; `old` is writable and of the right type.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) } == 0;
    // SAFETY: zeroed is a valid `sigaction`, and so is what the call has written.
    known && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_DFL
}

fn install(signal: i32, handler: libc::sighandler_t, flags: i32) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed is a valid `sigaction` (default action, empty mask); the handlers given
    // below are functions of the type that the kernel calls, and async-signal-safe.
    unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, action, std::ptr::null_mut());
    }
}

/// From now on the first byte of what arrives at `wake` tells the number of a signal in `signals`
/// that was sent; those that were ignored before stay so.
pub(super) fn catch(signals: &[i32], wake: i32) {
    WAKE.store(wake, Ordering::SeqCst);
    for &signal in signals {
        let ours = on_fatal as extern "C" fn(i32) as libc::sighandler_t;
        let harmless = on_nothing as extern "C" fn(i32) as libc::sighandler_t;
        if is_default(signal) || handler_of(signal) == harmless {
            install(signal, ours, libc::SA_RESTART);
        }
    }
}

/// Signals in `signals` do nothing until [`catch`] or [`default`].
pub(super) fn shrug_off(signals: &[i32]) {
    for &signal in signals {
        if is_default(signal) {
            install(
                signal,
                on_nothing as extern "C" fn(i32) as libc::sighandler_t,
                0,
            );
        }
    }
}

fn handler_of(signal: i32) -> libc::sighandler_t {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: as in `is_default`.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr());
        old.assume_init().sa_sigaction
    }
}

/// Gives `signal` back its default action.
pub(super) fn default(signal: i32) {
    install(signal, libc::SIG_DFL, 0);
}

/// A crash by `SIGSEGV` leaves a trace at `fd` (-1 = none) before the process dies of it;
/// `headline` = with [`TRACE_MESSAGE`] before it.
pub(super) fn trace_crashes(fd: i32, headline: bool) {
    TRACE.store(fd, Ordering::SeqCst);
    TRACE_HEADLINE.store(headline.into(), Ordering::SeqCst);
    let mut frame = [std::ptr::null_mut(); 1];
    // SAFETY: room for one frame is given. The first call loads what later ones need, which a
    // handler must not.
    unsafe { libc::backtrace(frame.as_mut_ptr(), 1) };
    let handler = on_crash as extern "C" fn(i32) as libc::sighandler_t;
    install(
        libc::SIGSEGV,
        handler,
        libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER,
    );
}

/// A trace that goes into a log file goes to `fd` from here on.
pub(super) fn retarget_trace(fd: i32) {
    if TRACE_HEADLINE.load(Ordering::SeqCst) != 0 {
        TRACE.store(fd, Ordering::SeqCst);
    }
}

extern "C" fn on_nothing(_: i32) {}

extern "C" fn on_fatal(signal: i32) {
    let byte = u8::try_from(signal).unwrap_or(0);
    // SAFETY: `write` is async-signal-safe and gets one readable byte; errno is put back, since
    // the interrupted code may be about to read it.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(WAKE.load(Ordering::SeqCst), (&raw const byte).cast(), 1);
        *libc::__errno_location() = errno;
    }
}

extern "C" fn on_crash(signal: i32) {
    let fd = TRACE.load(Ordering::SeqCst);
    // SAFETY: `write`, `backtrace` (loaded before, see `trace_crashes`) and
    // `backtrace_symbols_fd` allocate nothing; `frames` has room for 64. The action was reset
    // when this handler was entered, so `raise` ends the process.
    unsafe {
        if fd >= 0 {
            if TRACE_HEADLINE.load(Ordering::SeqCst) != 0 {
                libc::write(fd, TRACE_MESSAGE.as_ptr().cast(), TRACE_MESSAGE.len());
            }
            let mut frames = [std::ptr::null_mut(); 64];
            let n = libc::backtrace(frames.as_mut_ptr(), 64);
            libc::backtrace_symbols_fd(frames.as_ptr(), n, fd);
        }
        libc::raise(signal);
    }
}
