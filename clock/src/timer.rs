//! Timers: a heap of deadlines with the wakers that wait for them.

use crate::{Clock, Time};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long the timer thread lives on with nobody waiting, so that a busy daemon keeps one.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Timers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Ordered by deadline, then by the order in which they were set.
    waiting: BTreeMap<(Time, u64), Waker>,
    next_id: u64,
    thread: bool,
}

impl Timers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.state().waiting.keys().next().map(|&(t, _)| t)
    }

    /// Wakes, in order, all whose deadline is not after `now`.
    pub(crate) fn fire(&self, now: Time) {
        loop {
            let mut state = self.state();
            let Some(entry) = state.waiting.first_entry() else {
                break;
            };
            if entry.key().0 > now {
                break;
            }
            let waker = entry.remove();
            drop(state);
            waker.wake();
        }
        self.changed.notify_all();
    }

    fn set(self: &Arc<Self>, clock: &Clock, deadline: Time, waker: Waker) -> u64 {
        let mut state = self.state();
        state.next_id += 1;
        let id = state.next_id;
        state.waiting.insert((deadline, id), waker);
        if !state.thread {
            let clock = clock.clone();
            let body = move || Timers::run(&clock);
            // Without a thread a running clock could not fire; the wait then ends at the next
            // warp or poll, which is the best that is left.
            state.thread = std::thread::Builder::new()
                .name("clock".into())
                .spawn(body)
                .is_ok();
        }
        drop(state);
        self.changed.notify_all();
        id
    }

    fn run(clock: &Clock) {
        let timers = clock.timers();
        let mut idle = false;
        loop {
            timers.fire(clock.now());
            let state = timers.state();
            let wait = match state.waiting.keys().next() {
                // A stopped clock fires in `warp`; look again now and then in case it is started.
                Some(_) if clock.is_stopped() => LINGER,
                Some(&(deadline, _)) => {
                    idle = false;
                    deadline - clock.now()
                }
                None if idle => {
                    let mut state = state;
                    state.thread = false;
                    return;
                }
                None => {
                    idle = true;
                    LINGER
                }
            };
            if !wait.is_zero() {
                let woken = timers.changed.wait_timeout(state, wait);
                drop(woken.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// A future that is ready once its clock has reached its deadline.
pub struct Sleep {
    clock: Clock,
    deadline: Time,
    id: Option<u64>,
}

impl Sleep {
    pub(crate) fn new(clock: Clock, deadline: Time) -> Sleep {
        Sleep {
            clock,
            deadline,
            id: None,
        }
    }

    /// The moment waited for.
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    fn cancel(&mut self) {
        if let Some(id) = self.id.take() {
            self.clock
                .timers()
                .state()
                .waiting
                .remove(&(self.deadline, id));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.cancel();
        if self.clock.now() >= self.deadline {
            return Poll::Ready(());
        }
        let id = self
            .clock
            .timers()
            .set(&self.clock, self.deadline, cx.waker().clone());
        self.id = Some(id);
        // The clock may have been warped between the look and the setting.
        if self.clock.now() >= self.deadline {
            self.cancel();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_stopped_clock_fires_when_warped_and_not_before() {
        let clock = Clock::stopped_at(0);
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let mut sleep = clock.sleep(Duration::from_millis(10));
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        clock.warp(Duration::from_millis(9));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        clock.warp(Duration::from_millis(1));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_ready());
    }

    #[test]
    fn a_dropped_timer_leaves_nothing_behind() {
        let clock = Clock::stopped_at(0);
        let mut cx = Context::from_waker(Waker::noop());
        let mut sleep = clock.sleep(Duration::from_millis(10));
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        assert_eq!(clock.next_deadline(), Some(Time::from_millis(10)));
        drop(sleep);
        assert_eq!(clock.next_deadline(), None);
    }

    #[test]
    fn a_running_clock_wakes_from_its_own_thread() {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let clock = Clock::real();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut sleep = clock.sleep(Duration::from_millis(5));
        while Pin::new(&mut sleep).poll(&mut cx).is_pending() {
            std::thread::park();
        }
        assert!(clock.now() >= sleep.deadline());
    }
}
