//! What goes wrong: a plan, drawn from the seed.

use super::core::{Bus, Core};
use super::health::Health;
use super::objects::cq::Completion;
use hal_mlx_prm::{Opcode, View};
use serde::Deserialize;
use std::time::Duration;

/// A plan of faults. Nothing goes wrong by default.
///
/// What has a chance may happen at any time; what is counted happens once in the life of a
/// device, so that there is an afterwards to look at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {
    /// Which commands the faults of commands are for, by the vendor's names; none = all.
    pub commands: Vec<String>,
    /// How likely a command fails with an internal error, 0 to 1.
    pub fail_command: f64,
    /// How likely a command that is carried out is never told, 0 to 1. Its slot stays with the
    /// device until a reset.
    pub lose_command: f64,
    /// How likely the event of a command that is through is lost, 0 to 1.
    pub lose_command_event: f64,
    /// Commands are told up to so many milliseconds late, in any order.
    pub late_command: u64,
    /// From so many commands on none is taken any more, until a reset. 0 = never.
    pub hang_after: u64,
    /// From so many entries on flow tables are full, whatever capabilities say. 0 = never.
    pub table_full: usize,
    /// How likely a bit of a completion is wrong, 0 to 1.
    pub flip_completion: f64,
    /// How likely an interrupt is not raised, 0 to 1.
    pub drop_interrupt: f64,
    /// After so many entries a send queue does nothing any more, until it is reset. 0 = never.
    pub stall_send_after: u64,
    /// After so many commands the firmware reports `health-syndrome`. 0 = never.
    pub health_after: u64,
    /// What it reports; 0 = that it is dead: its counter stops.
    pub health_syndrome: u8,
    /// With that, only a reset helps.
    pub health_fatal: bool,
    /// After so many commands the device is pulled out: all ones, for ever. 0 = never.
    pub gone_after: u64,
    /// After so many commands the device resets itself. 0 = never.
    pub reset_after: u64,
}

/// What goes wrong with one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandFault {
    Lost,
    NoEvent,
    Late(Duration),
}

/// What goes wrong when somebody says so, see [`ConnectX::fail`](super::ConnectX::fail).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The firmware reports a syndrome.
    Health {
        /// What; not 0.
        syndrome: u8,
        /// Only a reset helps.
        fatal: bool,
    },
    /// The firmware's counter stops.
    Dead,
    /// The device is pulled out: all ones, for ever.
    Gone,
}

/// What the rest of the device is to be told after a turn.
#[derive(Debug, Default)]
pub(super) struct News {
    pub health: Option<Health>,
    pub gone: bool,
    pub reset: bool,
}

impl Faults {
    /// What is wrong with the plan itself.
    pub(super) fn check(&self) -> Result<(), String> {
        let chances = [
            ("fail-command", self.fail_command),
            ("lose-command", self.lose_command),
            ("lose-command-event", self.lose_command_event),
            ("flip-completion", self.flip_completion),
            ("drop-interrupt", self.drop_interrupt),
        ];
        for (key, chance) in chances {
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!("faults: {key}: {chance} is not between 0 and 1"));
            }
        }
        for name in &self.commands {
            if !Opcode::ALL.iter().any(|opcode| opcode.name() == name) {
                return Err(format!("faults: commands: {name}: no such command"));
            }
        }
        Ok(())
    }

    fn concerns(&self, opcode: Option<Opcode>) -> bool {
        let name = opcode.map_or("", Opcode::name);
        self.commands.is_empty() || self.commands.iter().any(|known| known == name)
    }
}

impl Core {
    fn strikes(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.dice.f64() < chance
    }

    /// Whether a command fails.
    pub fn command_fails(&mut self, opcode: Option<Opcode>) -> bool {
        self.settings.faults.concerns(opcode) && self.strikes(self.settings.faults.fail_command)
    }

    /// What goes wrong with telling a command that was carried out.
    pub fn command_fault(&mut self, opcode: Option<Opcode>) -> Option<CommandFault> {
        if !self.settings.faults.concerns(opcode) {
            return None;
        }
        if self.strikes(self.settings.faults.lose_command) {
            return Some(CommandFault::Lost);
        }
        if self.strikes(self.settings.faults.lose_command_event) {
            return Some(CommandFault::NoEvent);
        }
        match self.settings.faults.late_command {
            0 => None,
            most => {
                let by = self.dice.u64(0..=most);
                Some(CommandFault::Late(Duration::from_millis(by)))
            }
        }
    }

    /// Whether commands are not taken any more.
    pub fn hangs(&self) -> bool {
        let after = self.settings.faults.hang_after;
        after > 0 && self.commands_since_reset >= after
    }

    /// Whether the tables are full.
    pub fn tables_are_full(&self) -> bool {
        let full = self.settings.faults.table_full;
        full > 0 && self.steering.entries >= full
    }

    /// What so many commands lead to.
    pub fn commands_counted(&mut self, bus: &Bus<'_>) {
        let faults = &self.settings.faults;
        let count = self.statistics.commands;
        if count == faults.health_after {
            let failure = match faults.health_syndrome {
                0 => Failure::Dead,
                syndrome => Failure::Health {
                    syndrome,
                    fatal: faults.health_fatal,
                },
            };
            self.fail(failure, bus.now);
        }
        self.news.gone |= count == self.settings.faults.gone_after;
        self.news.reset |= count == self.settings.faults.reset_after;
    }

    /// Something goes wrong.
    pub fn fail(&mut self, failure: Failure, now: clock::Time) {
        match failure {
            Failure::Health { syndrome, fatal } => {
                self.news.health = Some(Health {
                    syndrome,
                    extended: u16::from(syndrome),
                    reset_required: fatal,
                    stopped: None,
                });
            }
            Failure::Dead => {
                self.news.health = Some(Health {
                    stopped: Some(now),
                    ..Health::default()
                });
            }
            Failure::Gone => self.news.gone = true,
        }
    }

    /// Makes a bit of a completion wrong, perhaps.
    pub fn flip(&mut self, entry: Completion) -> Completion {
        if !self.strikes(self.settings.faults.flip_completion) {
            return entry;
        }
        let mut bytes = entry.into_inner();
        // Not the ownership: a completion that is never seen is another fault.
        let bit = self.dice.usize(0..bytes.len() * 8 - 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        View::new(bytes).unwrap_or_else(View::zeroed)
    }

    /// Whether an interrupt is not raised.
    pub fn drops_interrupt(&mut self) -> bool {
        self.strikes(self.settings.faults.drop_interrupt)
    }

    /// Whether a send queue that has carried out so many entries is stuck.
    pub fn is_stalled(&self, entries: u64) -> bool {
        let after = self.settings.faults.stall_send_after;
        after > 0 && entries >= after
    }
}
