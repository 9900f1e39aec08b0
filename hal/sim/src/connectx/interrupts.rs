//! Interrupts: the eventfds that the host has given for them.

use std::os::fd::OwnedFd;

/// The vectors of the function.
pub(super) struct Interrupts {
    count: usize,
    eventfds: Vec<Option<OwnedFd>>,
    /// A bit for each that was raised while nobody listened: MSI-X's pending bits.
    pending: Vec<u64>,
}

impl Interrupts {
    pub fn new(count: usize) -> Interrupts {
        Interrupts {
            count,
            eventfds: Vec::new(),
            pending: vec![0; count.div_ceil(64)],
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whom to tell from now on. What was raised before is told at once.
    pub fn set(&mut self, eventfds: Vec<Option<OwnedFd>>) -> Result<(), String> {
        if eventfds.len() > self.count {
            return Err(format!("there are {} interrupts", self.count));
        }
        self.eventfds = eventfds;
        for vector in 0..self.eventfds.len() {
            let bit = 1 << (vector % 64);
            if self.pending[vector / 64] & bit != 0 {
                self.pending[vector / 64] &= !bit;
                self.raise(vector);
            }
        }
        Ok(())
    }

    /// Raises one.
    pub fn raise(&mut self, vector: usize) {
        match self.eventfds.get(vector) {
            Some(Some(eventfd)) => {
                // Full means that nobody has taken 2^64 - 2 of them: it is raised all the same.
                let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
            }
            _ => {
                if let Some(word) = self.pending.get_mut(vector / 64) {
                    *word |= 1 << (vector % 64);
                }
            }
        }
    }

    /// A word of 32 of the pending bits.
    pub fn pending(&self, word: usize) -> u32 {
        let pair = self.pending.get(word / 2).copied().unwrap_or(0);
        (pair >> (word % 2 * 32)) as u32
    }

    /// None is pending any more.
    pub fn reset(&mut self) {
        self.pending.fill(0);
    }
}
