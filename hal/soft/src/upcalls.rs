//! Packets on their way up to the daemon: one bounded, lock-free queue.

use arc_swap::ArcSwapOption;
use crossbeam_queue::ArrayQueue;
use hal::Upcall;
use std::sync::Arc;

/// Packets that may wait.
const CAPACITY: usize = 4096;

type Wake = Box<dyn Fn() + Send + Sync>;

/// The queue.
pub struct Upcalls {
    queue: ArrayQueue<Upcall>,
    wake: ArcSwapOption<Wake>,
}

impl Default for Upcalls {
    fn default() -> Upcalls {
        Upcalls {
            queue: ArrayQueue::new(CAPACITY),
            wake: ArcSwapOption::empty(),
        }
    }
}

impl Upcalls {
    /// Adds a packet. False if there was no room.
    pub fn push(&self, upcall: Upcall) -> bool {
        let pushed = self.queue.push(upcall).is_ok();
        if let Some(wake) = &*self.wake.load() {
            wake();
        }
        pushed
    }

    /// Takes up to `max` packets.
    pub fn take(&self, max: usize) -> Vec<Upcall> {
        std::iter::from_fn(|| self.queue.pop()).take(max).collect()
    }

    /// Calls `wake` whenever a packet was added.
    pub fn on_push(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.wake.store(Some(Arc::new(Box::new(move || wake()))));
    }
}
