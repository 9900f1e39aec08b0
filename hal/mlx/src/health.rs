//! Whether the device is well: looked at a few times a second.

use crate::error::MlxError;
use crate::registers::Registers;
use clock::Time;
use hal_mlx_prm::init::{HealthBuffer, InitSegment};
use std::time::Duration;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_millis(250);
/// Looks in a row at which the firmware's counter may stand still.
const MISSES: u32 = 3;

/// What was seen last.
#[derive(Default)]
pub struct Health {
    next: Time,
    counter: Option<u32>,
    still: u32,
}

/// What a syndrome means (Linux's `health.c` has the same list).
pub fn syndrome_meaning(syndrome: u8) -> &'static str {
    match syndrome {
        0x1 => "firmware internal error",
        0x7 => "irisc not responding",
        0x8 => "unrecoverable hardware error",
        0x9 => "firmware CRC error",
        0xa => "ICM fetch PCI error",
        0xb => "HW fatal error",
        0xc => "async EQ buffer overrun",
        0xd => "EQ error",
        0xe => "invalid EQ referenced",
        0xf => "FFSER error",
        0x10 => "high temperature error",
        0x11 => "ICM fetch PCI data poisoned",
        0x12 => "trust lockdown error",
        _ => "unrecognized error",
    }
}

impl Health {
    /// Looks, if it is time to.
    ///
    /// # Errors
    /// The device is gone, dead, or says that it is ill.
    pub fn poll(&mut self, registers: &Registers, now: Time) -> Result<(), MlxError> {
        if now < self.next {
            return Ok(());
        }
        self.next = now + INTERVAL;
        if registers.is_gone()? {
            return Err(MlxError::Gone);
        }
        let syndrome = registers.health(HealthBuffer::SYNDROME)?;
        if syndrome != 0 {
            let extended = registers.health(HealthBuffer::EXTENDED_SYNDROME)?;
            let what = format!(
                "{} (syndrome {syndrome:#x}, extended {extended:#x})",
                syndrome_meaning(syndrome)
            );
            if registers.health(HealthBuffer::RESET_REQUIRED)? {
                return Err(MlxError::Health { what });
            }
            tracing::warn!(target: "mlx", "{what}");
        }
        let counter = registers.get(InitSegment::HEALTH_COUNTER)?;
        if self.counter == Some(counter) {
            self.still += 1;
        } else {
            self.still = 0;
        }
        self.counter = Some(counter);
        if self.still >= MISSES {
            return Err(MlxError::Health {
                what: format!("its counter stands at {counter:#x}"),
            });
        }
        Ok(())
    }
}
