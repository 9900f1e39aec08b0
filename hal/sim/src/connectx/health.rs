//! What the firmware says about itself: the health buffer and the counter that shows its life.

use clock::Time;
use hal_mlx_prm::View;
use hal_mlx_prm::init::HealthBuffer;

/// How often the counter moves.
const BEAT_MS: u64 = 10;

/// The firmware's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// What is wrong; 0 = nothing.
    pub syndrome: u8,
    /// More about it.
    pub extended: u16,
    /// Only a reset helps.
    pub reset_required: bool,
    /// When the counter stopped.
    pub stopped: Option<Time>,
}

impl Health {
    /// A word of the buffer that says something.
    pub fn word(&self, at: u64) -> u32 {
        if self.syndrome == 0 {
            return 0;
        }
        let mut buffer = View::<HealthBuffer, _>::zeroed();
        buffer
            .set(HealthBuffer::ASSERT_VAR_0, u32::from(self.extended))
            .set(HealthBuffer::RESET_REQUIRED, self.reset_required)
            .set(HealthBuffer::SYNDROME, self.syndrome)
            .set(HealthBuffer::EXTENDED_SYNDROME, self.extended);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let word = buffer.bytes().get(at..).and_then(|b| b.first_chunk());
        word.map_or(0, |b| u32::from_be_bytes(*b))
    }

    /// The counter. It moves as long as the firmware lives.
    pub fn counter(&self, now: Time) -> u32 {
        let beats = self.stopped.unwrap_or(now).as_millis() / BEAT_MS;
        (beats + 1) as u32 & 0xff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_moves_until_it_stops() {
        let mut health = Health::default();
        let at = |health: &Health, ms| health.counter(Time::from_millis(ms));
        assert_ne!(at(&health, 0), at(&health, 20));
        health.stopped = Some(Time::from_millis(20));
        assert_eq!(at(&health, 30), at(&health, 3000));
        assert_eq!(at(&health, u64::MAX / 2_000_000) >> 24, 0);
    }
}
