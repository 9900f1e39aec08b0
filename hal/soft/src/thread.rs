//! A poll thread: turns, and a wait when there is nothing to do.

use crate::poller::Poller;
use crate::soft::SharedResume;
use clock::Clock;
use hal::Work;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Empty turns before the thread waits for its ports.
const SPIN: u32 = 64;
/// The longest wait, so that a lost wake-up costs little.
const LONGEST_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// The wait when a port has nothing to wait on.
const SHORT_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000,
};

/// The wait when a descriptor is dead, and so never waits.
const DEAD_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

struct Shared {
    bell: Option<OwnedFd>,
    stop: AtomicBool,
}

/// A running poll thread.
pub struct PollThread {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
}

impl PollThread {
    /// Starts a thread for a poller.
    pub fn start(poller: Poller, clock: Clock, resume: SharedResume) -> PollThread {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).ok();
        let shared = Arc::new(Shared {
            bell,
            stop: AtomicBool::new(false),
        });
        let body = {
            let shared = shared.clone();
            move || run(poller, &clock, &resume, &shared)
        };
        let handle = std::thread::Builder::new().name("pmd".into()).spawn(body);
        if let Err(e) = &handle {
            tracing::error!(target: "dpif_netdev", "could not start a poll thread ({e})");
        }
        PollThread {
            shared,
            handle: handle.ok(),
        }
    }

    /// Ends its wait, so that it sees its commands.
    pub fn wake(&self) {
        if let Some(bell) = &self.shared.bell {
            // A full counter means that it has been rung already.
            let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        }
    }

    /// Ends the thread.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!(target: "dpif_netdev", "a poll thread panicked");
        }
    }
}

/// A panic in a poll thread must not leave a switch that forwards nothing and says nothing.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

fn run(mut poller: Poller, clock: &Clock, resume: &SharedResume, shared: &Shared) {
    let _guard = AbortOnPanic;
    let mut idle = 0;
    while !shared.stop.load(Ordering::Acquire) {
        let table = resume.load();
        let table = table.as_deref().map(|t| &**t);
        match poller.turn(clock.now(), table) {
            Work::Done(_) => idle = 0,
            Work::Idle if idle < SPIN => idle += 1,
            Work::Idle => wait(&poller, shared),
        }
    }
}

fn wait(poller: &Poller, shared: &Shared) {
    let fds = poller.poll_fds();
    let longest = if fds.is_some() {
        LONGEST_WAIT
    } else {
        SHORT_WAIT
    };
    let fds = fds.unwrap_or_default();
    let mut set = Vec::with_capacity(fds.len() + 1);
    for &fd in &fds {
        // SAFETY: the descriptors belong to the poller's queues, which live as long as the
        // poller, which is borrowed here.
        #[allow(unsafe_code)]
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        set.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
    }
    if let Some(bell) = &shared.bell {
        set.push(PollFd::new(bell, PollFlags::IN));
    }
    let _ = poll(&mut set, Some(&longest));
    let dead = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let lasting = set.iter().filter(|end| {
        // A device that went away leaves an error on its socket, and no wait lasts until it has
        // been taken.
        end.revents().intersects(dead)
            && !matches!(rustix::net::sockopt::socket_error(end), Ok(Err(_)))
    });
    if lasting.count() > 0 {
        // A tap that was deleted is like this until its port is closed: nothing is waited for that
        // a pause would miss for long.
        let bell = shared.bell.as_ref();
        let mut bell: Vec<_> = bell
            .map(|b| PollFd::new(b, PollFlags::IN))
            .into_iter()
            .collect();
        let _ = poll(&mut bell, Some(&DEAD_WAIT));
    }
    if let Some(bell) = &shared.bell {
        let _ = rustix::io::read(bell, &mut [0u8; 8]);
    }
}
