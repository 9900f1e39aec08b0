//! `nicctl health`: what a NIC's firmware says of itself, read from its registers.

use super::{Failure, part};
use clock::Clock;
use hal::pci::PciFunction;
use hal_mlx::{MlxError, Registers, syndrome_meaning};
use hal_mlx_prm::init::{HealthBuffer, InitSegment};
use std::time::Duration;

/// How long the firmware's counter may stand still: it moves several times a second.
const STILL: Duration = Duration::from_secs(3);
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(10);

/// What the firmware says.
pub struct Health {
    version: String,
    /// Lines for people.
    lines: Vec<String>,
    well: bool,
}

impl Health {
    /// Reads it. `wait` lets a little time pass.
    ///
    /// # Errors
    /// The NIC is gone.
    pub fn read(function: &PciFunction, clock: &Clock) -> Result<Health, MlxError> {
        let registers = Registers::open(function)?;
        if registers.is_gone()? {
            return Err(MlxError::Gone);
        }
        let version = format!(
            "{}.{}.{:04}",
            registers.get(InitSegment::FW_MAJOR)?,
            registers.get(InitSegment::FW_MINOR)?,
            registers.get(InitSegment::FW_SUBMINOR)?,
        );
        let mut lines = vec![
            format!("firmware {version}"),
            format!(
                "command interface {}",
                registers.get(InitSegment::CMDIF_REVISION)?
            ),
        ];
        let mut well = true;
        if registers.get(InitSegment::INITIALIZING)? {
            well = false;
            lines.push("it is still initializing".into());
        }
        let syndrome = registers.health(HealthBuffer::SYNDROME)?;
        if syndrome == 0 {
            lines.push("no complaint".into());
        } else {
            well = false;
            lines.push(format!(
                "{} (syndrome {syndrome:#x}, extended {:#x}){}",
                syndrome_meaning(syndrome),
                registers.health(HealthBuffer::EXTENDED_SYNDROME)?,
                match registers.health(HealthBuffer::RESET_REQUIRED)? {
                    true => ": it has to be reset",
                    false => "",
                }
            ));
        }
        let counter = || registers.get(InitSegment::HEALTH_COUNTER);
        let (begun, first) = (clock.now(), counter()?);
        let mut now = first;
        while now == first && clock.now() - begun < STILL {
            clock.pause_thread(LOOK);
            now = counter()?;
        }
        if now == first {
            well = false;
            lines.push(format!(
                "its counter stands at {first:#x}: the firmware does nothing"
            ));
        } else {
            lines.push(format!("its counter moves ({first:#x}, then {now:#x})"));
        }
        Ok(Health {
            version,
            lines,
            well,
        })
    }

    /// The firmware's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All of it, or that it is ill.
    pub fn verdict(&self) -> Result<String, String> {
        let told = self.lines.join("\n");
        if self.well { Ok(told) } else { Err(told) }
    }
}

/// Reads and shows it; answers the exit code.
pub fn run(function: &PciFunction) -> Result<u8, Failure> {
    let ids = function.ids().map_err(|e| e.to_string())?;
    known(ids)?;
    let health = Health::read(function, &Clock::real())
        .map_err(|e| format!("{}: {e}", function.address()))?;
    say!("{}  {}", function.address(), part(ids));
    for line in &health.lines {
        say!("    {line}");
    }
    say!("    {}", if health.well { "well" } else { "ill" });
    Ok((!health.well).into())
}

/// What is no NIC of ours has none of its registers either.
pub fn known(ids: (u16, u16)) -> Result<(), Failure> {
    match hal_mlx::part_name(ids) {
        Some(_) => Ok(()),
        None => Err(format!("no driver here knows {}", part(ids))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::tests::simulated;
    use super::*;

    #[test]
    fn a_nic_that_is_well_says_so() {
        let nic = simulated("{}");
        let health = Health::read(&nic, &Clock::real()).unwrap();
        let told = health.verdict().unwrap();
        assert!(
            told.starts_with(&format!("firmware {}\n", health.version())),
            "{told}"
        );
        assert!(
            told.contains("command interface 5\nno complaint\nits counter moves ("),
            "{told}"
        );
    }

    #[test]
    fn only_nics_that_are_known_are_asked() {
        assert!(known((0x15b3, 0x101d)).is_ok());
        let why = known((0x8086, 0x10d3)).unwrap_err();
        assert_eq!(why, "no driver here knows 8086:10d3");
    }
}
