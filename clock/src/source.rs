//! The one place that reads the operating system's clocks.
#![allow(clippy::disallowed_methods)]

use crate::timer::Timers;
use crate::{Sleep, Time};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A handle on a flow of time; clones share it.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    /// Where the monotonic axis begins, on the operating system's clock.
    origin: Instant,
    /// The calendar at the origin, in milliseconds since 1970; none = ask the system.
    wall_origin_ms: u64,
    stopped: AtomicBool,
    /// The moment a stopped clock stands at, nanoseconds.
    stopped_at: AtomicU64,
    /// What `warp` has added to a clock that later ran on, nanoseconds.
    ahead: AtomicU64,
    /// Serialises `stop` and `warp`.
    moving: Mutex<()>,
    timers: Arc<Timers>,
}

impl Clock {
    /// A running clock that follows the operating system's.
    pub fn real() -> Clock {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock::new(u64::try_from(wall.as_millis()).unwrap_or(0), false)
    }

    /// A stopped clock whose calendar stands `wall_ms` milliseconds after 1970.
    pub fn stopped_at(wall_ms: u64) -> Clock {
        Clock::new(wall_ms, true)
    }

    fn new(wall_origin_ms: u64, stopped: bool) -> Clock {
        Clock(Arc::new(Shared {
            origin: Instant::now(),
            wall_origin_ms,
            stopped: AtomicBool::new(stopped),
            stopped_at: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
            moving: Mutex::new(()),
            timers: Arc::new(Timers::default()),
        }))
    }

    fn system_now(&self) -> u64 {
        let ns = u64::try_from(self.0.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        ns.saturating_add(self.0.ahead.load(Ordering::Acquire))
    }

    /// Now, on the monotonic axis.
    pub fn now(&self) -> Time {
        if self.0.stopped.load(Ordering::Acquire) {
            Time::from_nanos(self.0.stopped_at.load(Ordering::Acquire))
        } else {
            Time::from_nanos(self.system_now())
        }
    }

    /// Now, on the calendar: milliseconds since 1970-01-01 00:00 UTC.
    ///
    /// It keeps step with [`Clock::now`]; a running clock therefore does not follow later changes
    /// of the system's date.
    pub fn wall_ms(&self) -> u64 {
        self.0.wall_origin_ms.saturating_add(self.now().as_millis())
    }

    /// Whether time moves only by [`Clock::warp`].
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Stops the clock where it stands. A stopped clock stays as it is.
    pub fn stop(&self) {
        let _moving = self.0.moving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_stopped() {
            self.0
                .stopped_at
                .store(self.system_now(), Ordering::Release);
            self.0.stopped.store(true, Ordering::Release);
        }
    }

    /// Moves the clock `by` forward and fires the timers that have come due, in their order.
    ///
    /// A running clock jumps too and runs on from there.
    pub fn warp(&self, by: Duration) {
        {
            let _moving = self.0.moving.lock().unwrap_or_else(PoisonError::into_inner);
            let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            let cell = if self.is_stopped() {
                &self.0.stopped_at
            } else {
                &self.0.ahead
            };
            let was = cell.load(Ordering::Acquire);
            cell.store(was.saturating_add(ns), Ordering::Release);
        }
        self.0.timers.fire(self.now());
    }

    /// A future that is ready once the clock has reached `deadline`.
    pub fn sleep_until(&self, deadline: Time) -> Sleep {
        Sleep::new(self.clone(), deadline)
    }

    /// A future that is ready once the clock has moved on by `for_`.
    pub fn sleep(&self, for_: Duration) -> Sleep {
        self.sleep_until(self.now() + for_)
    }

    /// The earliest deadline that somebody waits for, or none.
    pub fn next_deadline(&self) -> Option<Time> {
        self.0.timers.next_deadline()
    }

    /// Blocks the calling thread for `for_` of the operating system's time, whatever this clock
    /// does. For poll threads that have nothing to wait on; never for logic.
    pub fn pause_thread(&self, for_: Duration) {
        std::thread::sleep(for_);
    }

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.0.timers
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = if self.is_stopped() {
            "stopped"
        } else {
            "running"
        };
        write!(f, "Clock({mode} at {})", self.now())
    }
}
