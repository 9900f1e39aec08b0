//! Frames that a device of the host never saw, because this process could not hand them over or
//! make sense of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters that several threads write.
#[derive(Debug, Default)]
pub struct Tally {
    pub rx_dropped: AtomicU64,
    pub rx_errors: AtomicU64,
    pub tx_dropped: AtomicU64,
}

/// A [`Tally`] at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Tallied {
    pub rx_dropped: u64,
    pub rx_errors: u64,
    pub tx_dropped: u64,
}

impl Tally {
    /// Reads them all.
    pub fn read(&self) -> Tallied {
        Tallied {
            rx_dropped: self.rx_dropped.load(Relaxed),
            rx_errors: self.rx_errors.load(Relaxed),
            tx_dropped: self.tx_dropped.load(Relaxed),
        }
    }
}
