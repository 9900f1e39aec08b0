//! Waiting for a device that has no way to say that it is done, or not yet.

use clock::{Clock, Time};
use std::sync::Arc;
use std::time::Duration;

/// Longest pause between two looks.
const LONGEST: Duration = Duration::from_millis(1);

/// How to wait: first a little, then longer. Clones wait each for itself.
#[derive(Clone)]
pub struct Patience {
    clock: Clock,
    pause: Arc<dyn Fn(Duration) + Send + Sync>,
    next: Duration,
}

impl Patience {
    /// Waits on the operating system's time.
    pub fn real(clock: Clock) -> Patience {
        let pausing = clock.clone();
        Patience::with(clock, move |for_| pausing.pause_thread(for_))
    }

    /// Waits by calling this, which moves the clock or lets others work.
    pub fn with(clock: Clock, pause: impl Fn(Duration) + Send + Sync + 'static) -> Patience {
        Patience {
            clock,
            pause: Arc::new(pause),
            next: Duration::ZERO,
        }
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Waits a little, the next time a little longer.
    pub fn pause(&mut self) {
        (self.pause)(self.next);
        self.next = (self.next * 2).clamp(Duration::from_micros(10), LONGEST);
    }

    /// Waits until `ready` has an answer, at most `for_`.
    ///
    /// # Errors
    /// Those of `ready`.
    pub fn wait<T, E>(
        &self,
        for_: Duration,
        mut ready: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut patience = self.clone();
        patience.next = Duration::ZERO;
        let deadline = self.now() + for_;
        loop {
            if let Some(answer) = ready()? {
                return Ok(Some(answer));
            }
            if patience.now() >= deadline {
                return Ok(None);
            }
            patience.pause();
        }
    }
}
