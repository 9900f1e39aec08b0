//! The initialisation segment, and the rest of BAR 0 behind it.

use crate::error::MlxError;
use hal::pci::{Bar, PciFunction};
use hal_mlx_prm::init::{HealthBuffer, InitSegment};
use hal_mlx_prm::{Bits, Field, Place};

/// BAR 0.
#[derive(Clone)]
pub struct Registers(Bar);

impl Registers {
    /// The registers of a function.
    ///
    /// # Errors
    /// There are none, or not enough.
    pub fn open(function: &PciFunction) -> Result<Registers, MlxError> {
        let bar = function.bar(0)?;
        if bar.len() < InitSegment::SIZE as u64 {
            return Err(MlxError::Nonsense {
                what: "the length of BAR 0",
                value: bar.len(),
            });
        }
        Ok(Registers(bar))
    }

    fn words(&self, place: Place, base: usize) -> Result<u64, MlxError> {
        let at = (base + place.offset) as u64;
        let first = self.0.read_be32(at)?;
        Ok(match place.high {
            0..32 => first.into(),
            _ => u64::from(first) << 32 | u64::from(self.0.read_be32(at + 4)?),
        })
    }

    /// A field of the segment.
    ///
    /// # Errors
    /// The function is gone.
    pub fn get<T: Bits>(&self, field: Field<InitSegment, T>) -> Result<T, MlxError> {
        Ok(field.of_words(self.words(field.place, 0)?))
    }

    /// A field of the health buffer.
    ///
    /// # Errors
    /// The function is gone.
    pub fn health<T: Bits>(&self, field: Field<HealthBuffer, T>) -> Result<T, MlxError> {
        let words = self.words(field.place, InitSegment::HEALTH.offset)?;
        Ok(field.of_words(words))
    }

    /// Writes the word that a field begins in.
    ///
    /// # Errors
    /// The function is gone.
    pub fn write<T>(&self, field: Field<InitSegment, T>, word: u32) -> Result<(), MlxError> {
        Ok(self.0.write_be32(field.place.offset as u64, word)?)
    }

    /// Whether there is nothing behind the registers any more.
    ///
    /// # Errors
    /// The way to the function says so itself.
    pub fn is_gone(&self) -> Result<bool, MlxError> {
        Ok(self.health(HealthBuffer::FW_VERSION)? == u32::MAX)
    }

    /// The registers as they are, for doorbells.
    pub fn bar(&self) -> &Bar {
        &self.0
    }
}
