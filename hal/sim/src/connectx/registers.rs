//! Registers: the initialisation segment, the MSI-X table, and the doorbell pages (UARs).
//!
//! A write changes nothing in the device. It is noted, and the device finds it when it turns.

use super::config::{PENDING, VECTOR, VECTORS};
use super::health::Health;
use super::profile::Model;
use clock::Time;
use hal_mlx_prm::View;
use hal_mlx_prm::init::{HealthBuffer, InitSegment};

/// Bytes of a doorbell page.
pub(super) const UAR: u64 = 0x1000;
/// The first doorbell page that is given to anybody.
pub(super) const FIRST_UAR: u32 = 0x10;
/// Doorbells that may wait; a host that rings more often between two turns loses the rest.
const DOORBELLS: usize = 1 << 16;

/// Entries of the command queue, log 2, and bytes of each, log 2.
pub(super) const LOG_COMMANDS: u32 = 5;
pub(super) const LOG_COMMAND: u32 = 6;

const CMDQ_HIGH: u64 = 0x10;
const CMDQ_LOW: u64 = 0x14;
const COMMAND_DOORBELL: u64 = 0x18;
const HEALTH_END: u64 = 0x240;

/// The interface is off: [`InitSegment::NIC_INTERFACE`].
const DISABLED: u32 = 1;
/// A reset is asked for, likewise.
const SOFTWARE_RESET: u32 = 7;

/// A doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doorbell {
    /// Entries of the command queue, a bit for each.
    Commands(u32),
    /// A send queue has new entries.
    Send { queue: u32 },
    /// A completion queue is to say when something comes.
    Arm { queue: u32, word: u32 },
    /// Events up to here are taken; with `arm`, say when something comes.
    Events { word: u32, arm: bool },
}

/// What the host has asked for since the last turn.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Doorbells with their page, in order. That of commands is in none: 0.
    pub doorbells: Vec<(u32, Doorbell)>,
    /// A software reset.
    pub reset: bool,
}

impl Asked {
    pub fn is_empty(&self) -> bool {
        self.doorbells.is_empty() && !self.reset
    }

    /// A bit for each command that waits.
    fn commands(&self) -> u32 {
        let slots = self.doorbells.iter().map(|(_, doorbell)| match doorbell {
            Doorbell::Commands(slots) => *slots,
            _ => 0,
        });
        slots.fold(0, |all, slots| all | slots)
    }
}

/// What is behind the registers.
pub(super) struct Registers {
    fixed: View<InitSegment, [u8; InitSegment::SIZE]>,
    bar_len: u64,
    /// Ticks of the free-running timer in a millisecond.
    kilohertz: u64,
    boot: Time,
    boot_ms: u64,
    /// Address of the command queue; none until it was written.
    pub queue: u64,
    interface: u32,
    pub health: Health,
    /// The function does not answer: all ones.
    pub gone: bool,
    pub asked: Asked,
    /// Doorbells that were lost.
    pub lost: u64,
    /// The first half of a doorbell that comes in two.
    half: Option<(u64, u32)>,
    vectors: Vec<u8>,
}

impl Registers {
    pub fn new(model: &Model, boot_ms: u64, now: Time) -> Registers {
        let mut fixed = View::<InitSegment, _>::zeroed();
        let [major, minor, subminor] = model.firmware;
        fixed
            .set(InitSegment::FW_MAJOR, major)
            .set(InitSegment::FW_MINOR, minor)
            .set(InitSegment::FW_SUBMINOR, subminor)
            .set(InitSegment::CMDIF_REVISION, 5)
            .set(InitSegment::RESET_SUPPORTED, true)
            .set(InitSegment::EMBEDDED_CPU, model.embedded_cpu)
            .set(InitSegment::LOG_CMDQ_SIZE, LOG_COMMANDS as u8)
            .set(InitSegment::LOG_CMDQ_STRIDE, LOG_COMMAND as u8);
        let health = &mut fixed.at_mut(InitSegment::HEALTH);
        let version = u32::from(major) << 24 | u32::from(minor) << 16 | u32::from(subminor);
        health
            .set(HealthBuffer::FW_VERSION, version)
            .set(HealthBuffer::HARDWARE_ID, model.hardware_id);
        let mut vectors = vec![0; usize::from(model.vectors) * VECTOR as usize];
        // All are masked at first.
        vectors
            .chunks_exact_mut(VECTOR as usize)
            .for_each(|v| v[12] = 1);
        Registers {
            fixed,
            bar_len: model.bar_len(),
            kilohertz: model.kilohertz(),
            boot: now,
            boot_ms,
            queue: 0,
            interface: 0,
            health: Health::default(),
            gone: false,
            asked: Asked::default(),
            lost: 0,
            half: None,
            vectors,
        }
    }

    /// As after power-on; with `disabled`, the interface is off until it is asked for.
    pub fn reset(&mut self, now: Time, disabled: bool) {
        self.boot = now;
        self.queue = 0;
        self.interface = if disabled { DISABLED } else { 0 };
        self.health = Health::default();
        self.asked = Asked::default();
        self.half = None;
        self.vectors.fill(0);
        let vectors = self.vectors.chunks_exact_mut(VECTOR as usize);
        vectors.for_each(|v| v[12] = 1);
    }

    pub fn bar_len(&self) -> u64 {
        self.bar_len
    }

    /// Whether commands are taken.
    pub fn is_ready(&self, now: Time) -> bool {
        !self.gone && !self.is_booting(now) && self.queue != 0 && self.interface == 0
    }

    fn is_booting(&self, now: Time) -> bool {
        now.saturating_since(self.boot).as_millis() < u128::from(self.boot_ms)
    }

    /// When the device is ready for commands.
    pub fn ready_at(&self) -> Time {
        Time::from_nanos(self.boot.as_nanos() + self.boot_ms * 1_000_000)
    }

    fn word(&self, at: u64, now: Time, pending: impl Fn(usize) -> u32) -> u32 {
        let fixed = |at: u64| {
            let bytes = usize::try_from(at)
                .ok()
                .and_then(|at| self.fixed.bytes().get(at..at + 4));
            let word = bytes.and_then(|b| b.first_chunk());
            word.map_or(0, |b| u32::from_be_bytes(*b))
        };
        match at {
            CMDQ_HIGH => (self.queue >> 32) as u32,
            CMDQ_LOW => self.queue as u32 & !0xfff | self.interface << 8 | fixed(at),
            // The host may look whether its commands were seen.
            COMMAND_DOORBELL => self.asked.commands(),
            0x1fc => u32::from(self.is_booting(now)) << 31 | fixed(at),
            0x200..HEALTH_END => self.health.word(at - 0x200) | fixed(at),
            0x1000 => (self.timer(now) >> 32) as u32,
            0x1004 => self.timer(now) as u32,
            0x1010 => self.health.counter(now),
            0..0x1100 => fixed(at),
            VECTORS..PENDING => {
                let at = (at - VECTORS) as usize;
                let word = self.vectors.get(at..at + 4).and_then(|b| b.first_chunk());
                word.map_or(0, |b| u32::from_be_bytes(*b))
            }
            // MSI-X is little-endian.
            PENDING..0x4000 => pending(((at - PENDING) / 4) as usize).swap_bytes(),
            _ => 0,
        }
    }

    /// Ticks of the free-running timer.
    pub fn timer(&self, now: Time) -> u64 {
        let ticks = u128::from(now.as_nanos()) * u128::from(self.kilohertz) / 1_000_000;
        ticks as u64
    }

    /// Reads bytes that are all inside of the BAR.
    pub fn read(&self, at: u64, out: &mut [u8], now: Time, pending: impl Fn(usize) -> u32) {
        if self.gone {
            out.fill(0xff);
            return;
        }
        for (i, byte) in out.iter_mut().enumerate() {
            let at = at + i as u64;
            let word = self.word(at & !3, now, &pending);
            *byte = word.to_be_bytes()[(at & 3) as usize];
        }
    }

    /// Writes bytes that are all inside of the BAR.
    pub fn write(&mut self, at: u64, data: &[u8]) {
        if self.gone {
            return;
        }
        if (VECTORS..PENDING).contains(&at) {
            let place = (at - VECTORS) as usize;
            if let Some(entry) = self.vectors.get_mut(place..place + data.len()) {
                entry.copy_from_slice(data);
            }
            return;
        }
        if !at.is_multiple_of(4) || !data.len().is_multiple_of(4) {
            return;
        }
        // Of a block only the first two words ring; the rest is a copy of what stands in memory.
        for (i, word) in data.as_chunks::<4>().0.iter().take(2).enumerate() {
            self.write_word(at + 4 * i as u64, u32::from_be_bytes(*word));
        }
    }

    fn write_word(&mut self, at: u64, value: u32) {
        match at {
            CMDQ_HIGH => self.queue = self.queue & 0xffff_ffff | u64::from(value) << 32,
            CMDQ_LOW => {
                self.queue = self.queue & !0xffff_ffff | u64::from(value & !0xfff);
                self.interface = value >> 8 & 7;
                self.asked.reset |= self.interface == SOFTWARE_RESET;
            }
            COMMAND_DOORBELL => self.note(0, Doorbell::Commands(value)),
            _ if at >= u64::from(FIRST_UAR) * UAR => self.ring(at, value),
            _ => {}
        }
    }

    fn ring(&mut self, at: u64, value: u32) {
        let page = (at / UAR) as u32;
        let first = self.half.take().filter(|(half, _)| half + 4 == at);
        let doorbell = match (at % UAR, first) {
            (0x24, Some((_, word))) => Doorbell::Arm {
                queue: value & 0xff_ffff,
                word,
            },
            (0x40, _) => Doorbell::Events {
                word: value,
                arm: true,
            },
            (0x48, _) => Doorbell::Events {
                word: value,
                arm: false,
            },
            // The second word of a control segment: the queue, and the entry's length.
            (0x804.., Some(_)) if at % 0x100 == 4 => Doorbell::Send { queue: value >> 8 },
            _ => {
                self.half = Some((at, value));
                return;
            }
        };
        self.note(page, doorbell);
    }

    fn note(&mut self, page: u32, doorbell: Doorbell) {
        if self.asked.doorbells.last() == Some(&(page, doorbell)) {
            return;
        }
        if self.asked.doorbells.len() < DOORBELLS {
            self.asked.doorbells.push((page, doorbell));
        } else {
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectx::ConnectXSettings;

    fn registers() -> Registers {
        let model = ConnectXSettings::default().model().unwrap();
        Registers::new(&model, 0, Time::ZERO)
    }

    fn read(r: &Registers, at: u64) -> u32 {
        let mut out = [0; 4];
        r.read(at, &mut out, Time::from_millis(50), |_| 0);
        u32::from_be_bytes(out)
    }

    #[test]
    fn the_queue_says_its_size_whatever_is_written() {
        let mut r = registers();
        assert_eq!(read(&r, 0x14), 0x56);
        r.write(0x10, &7u32.to_be_bytes());
        r.write(0x14, &0x1234_5100u32.to_be_bytes());
        assert_eq!((read(&r, 0x10), read(&r, 0x14)), (7, 0x1234_5156));
        assert_eq!(r.queue, 0x7_1234_5000);
        assert!(!r.is_ready(Time::ZERO));
        r.write(0x14, &0x1234_5000u32.to_be_bytes());
        assert!(r.is_ready(Time::ZERO));
        assert_eq!(read(&r, 4) >> 16, 5);
    }

    #[test]
    fn doorbells_are_understood_whole_and_in_halves() {
        let mut r = registers();
        let page = u64::from(FIRST_UAR) * UAR;
        let send = [0, 7, 0x0a, 0, 0, 0x12, 0x34, 3];
        r.write(page + 0x800, &send);
        r.write(page + 0x900, &send[..4]);
        r.write(page + 0x904, &send[4..]);
        let mut block = [0; 64];
        block[..8].copy_from_slice(&send);
        r.write(page + 0x800, &block);
        // The second piece of a long entry.
        r.write(page + 0x840, &block);
        r.write(page + 0x20, &[0x10, 0, 0, 9, 0, 0, 0x22, 0x33]);
        r.write(page + UAR + 0x40, &[5, 0, 0, 1]);
        r.write(page + UAR + 0x48, &[5, 0, 0, 2]);
        // Half of a doorbell is none.
        r.write(page + 0x24, &[0, 0, 0x22, 0x33]);
        let send = Doorbell::Send { queue: 0x1234 };
        let arm = Doorbell::Arm {
            queue: 0x2233,
            word: 0x1000_0009,
        };
        let events = |word, arm| Doorbell::Events { word, arm };
        let wanted = [
            (0x10, send),
            (0x10, arm),
            (0x11, events(0x0500_0001, true)),
            (0x11, events(0x0500_0002, false)),
        ];
        assert_eq!(r.asked.doorbells, wanted);
    }

    #[test]
    fn what_is_gone_answers_all_ones() {
        let mut r = registers();
        r.gone = true;
        r.write(0x18, &[0xff; 4]);
        assert_eq!(read(&r, 0x1fc), u32::MAX);
        assert!(r.asked.is_empty());
    }
}
