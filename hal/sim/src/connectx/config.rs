//! Configuration space: who the function is, where its registers are, what it can do as a PCI
//! function (PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification, chapter
//! 7).
//!
//! Bytes, and beside them the bits that can be written. Four capabilities: power management, PCI
//! Express (with function-level reset), MSI-X (table and pending bits in BAR 0) and the vendor's
//! own, whose gateway is there and leads nowhere.

use super::profile::Model;

/// Bytes of configuration space.
const SIZE: usize = 4096;
/// Where the MSI-X table begins in BAR 0.
pub(super) const VECTORS: u64 = 0x2000;
/// Where its pending bits begin.
pub(super) const PENDING: u64 = 0x3000;
/// Bytes of an entry of the table.
pub(super) const VECTOR: u64 = 16;

/// The vendor among makers of PCI devices.
pub(super) const VENDOR: u16 = 0x15b3;
const BAR0: usize = 0x10;
const POWER: usize = 0x40;
const EXPRESS: usize = 0x60;
const MSIX: usize = 0x9c;
const GATEWAY: usize = 0xc0;
/// State in control and status of power management: 0 = D0, 3 = D3hot.
const POWER_STATE: u16 = 3;
/// Device control of the PCI Express capability.
const DEVICE_CONTROL: usize = EXPRESS + 8;
/// Its bit that asks for a reset; it reads as zero.
const FUNCTION_RESET: u16 = 1 << 15;

/// What a write to configuration space asks for besides being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Nothing,
    Reset,
}

/// Configuration space.
pub(super) struct Config {
    bytes: Box<[u8; SIZE]>,
    writable: Box<[u8; SIZE]>,
}

impl Config {
    pub fn new(model: &Model) -> Config {
        let mut config = Config {
            bytes: Box::new([0; SIZE]),
            writable: Box::new([0; SIZE]),
        };
        let bar = model.bar_len();
        config.half(0x00, VENDOR, 0);
        config.half(0x02, model.device_id, 0);
        // Memory, bus master, parity, SERR, no INTx.
        config.half(0x04, 0, 0x0546);
        // There is a list of capabilities.
        config.half(0x06, 0x0010, 0);
        // Network, Ethernet.
        config.word(0x08, 0x0200_0000, 0);
        config.word(0x0c, 0, 0xff);
        // 64 bits, prefetchable. Its size is one more than the bits that cannot be written.
        config.word(BAR0, 0xc, !(bar as u32 - 1));
        config.word(BAR0 + 4, 0, u32::MAX);
        config.half(0x2c, VENDOR, 0);
        config.half(0x2e, 0x0001, 0);
        config.word(0x34, EXPRESS as u32, 0);
        config.word(0x3c, 0, 0xff);

        // Express: version 2, endpoint. Function-level reset, payloads up to 512 bytes.
        config.half(EXPRESS, 0x10 | (MSIX as u16) << 8, 0);
        config.half(EXPRESS + 2, 0x0002, 0);
        config.word(EXPRESS + 4, 0x1000_8002, 0);
        config.half(DEVICE_CONTROL, 0x2810, 0x7fff);
        // 8 lanes of 8 GT/s.
        config.word(EXPRESS + 0xc, 0x0000_0083, 0);
        config.half(EXPRESS + 0x10, 0, 0x01ff);
        config.half(EXPRESS + 0x12, 0x1083, 0);
        config.word(EXPRESS + 0x24, 0x0000_001f, 0);
        config.half(EXPRESS + 0x28, 0, 0x001f);
        config.word(EXPRESS + 0x2c, 0x0000_000e, 0);
        config.half(EXPRESS + 0x30, 0x0003, 0x000f);

        config.half(MSIX, 0x11 | (GATEWAY as u16) << 8, 0);
        config.half(MSIX + 2, (model.vectors - 1) & 0x7ff, 0xc000);
        config.word(MSIX + 4, VECTORS as u32, 0);
        config.word(MSIX + 8, PENDING as u32, 0);

        // The vendor's gateway: 0x18 bytes; control and semaphore keep what is written, but no
        // space of the gateway is there (control's bits 31:29).
        config.half(GATEWAY, 0x09 | (POWER as u16) << 8, 0);
        config.half(GATEWAY + 2, 0x0018, 0);
        config.word(GATEWAY + 4, 0, 0x0000_ffff);
        config.word(GATEWAY + 0xc, 0, u32::MAX);

        // Power management 1.2: D0 and D3hot, from which it wakes as it was.
        config.half(POWER, 0x01, 0);
        config.half(POWER + 2, 0x0003, 0);
        config.half(POWER + 4, 0x0008, POWER_STATE);
        config
    }

    fn half(&mut self, at: usize, value: u16, writable: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        self.writable[at..at + 2].copy_from_slice(&writable.to_le_bytes());
    }

    fn word(&mut self, at: usize, value: u32, writable: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self.writable[at..at + 4].copy_from_slice(&writable.to_le_bytes());
    }

    /// Whether the function may reach memory: it is a bus master and does not sleep.
    pub fn is_master(&self) -> bool {
        self.bytes[4] & 4 != 0 && self.power_state() == 0
    }

    fn power_state(&self) -> u16 {
        u16::from(self.bytes[POWER + 4]) & POWER_STATE
    }

    pub fn read(&self, at: u16, out: &mut [u8]) {
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = *self.bytes.get(usize::from(at) + i).unwrap_or(&0);
        }
    }

    pub fn write(&mut self, at: u16, data: &[u8]) -> Asks {
        let mut asks = Asks::Nothing;
        let power_state = self.bytes[POWER + 4];
        for (i, new) in data.iter().enumerate() {
            let at = usize::from(at) + i;
            let (Some(byte), Some(mask)) = (self.bytes.get_mut(at), self.writable.get(at)) else {
                break;
            };
            *byte = *byte & !mask | new & mask;
            if at == DEVICE_CONTROL + 1 && u16::from(*new) << 8 & FUNCTION_RESET != 0 {
                asks = Asks::Reset;
            }
        }
        // A state that it does not have is not taken.
        if !matches!(self.power_state(), 0 | 3) {
            self.bytes[POWER + 4] = power_state;
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectx::ConnectXSettings;

    fn config() -> Config {
        Config::new(&ConnectXSettings::default().model().unwrap())
    }

    #[test]
    fn capabilities_are_a_list_without_overlap() {
        let config = config();
        let mut at = usize::from(config.bytes[0x34]);
        let mut found = Vec::new();
        while at != 0 {
            assert!(found.iter().all(|(_, other)| at.abs_diff(*other) >= 8));
            found.push((config.bytes[at], at));
            at = usize::from(config.bytes[at + 1]);
        }
        let ids: Vec<u8> = found.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [0x10, 0x11, 0x09, 0x01]);
    }

    #[test]
    fn the_size_of_the_registers_is_found_as_always() {
        let mut config = config();
        config.write(0x10, &[0xff; 8]);
        let mut bar = [0; 8];
        config.read(0x10, &mut bar);
        let size = !(u64::from_le_bytes(bar) & !0xf) + 1;
        assert_eq!(size, ConnectXSettings::default().model().unwrap().bar_len());
        assert_eq!(config.write(0, &[0; 4]), Asks::Nothing);
        config.read(0, &mut bar);
        assert_eq!(bar[..4], [0xb3, 0x15, 0x1d, 0x10]);
    }

    #[test]
    fn it_sleeps_and_wakes() {
        let mut config = config();
        config.write(4, &[6, 0]);
        assert!(config.is_master());
        let state = |config: &mut Config, written: u8| {
            config.write(POWER as u16 + 4, &[written, 0]);
            let mut state = [0; 2];
            config.read(POWER as u16 + 4, &mut state);
            (u16::from_le_bytes(state), config.is_master())
        };
        assert_eq!(state(&mut config, 3), (0x000b, false));
        assert_eq!(state(&mut config, 1), (0x000b, false));
        assert_eq!(state(&mut config, 0xfc), (0x0008, true));
        assert_eq!(state(&mut config, 2), (0x0008, true));
    }

    #[test]
    fn a_reset_is_asked_for_by_the_one_bit() {
        let mut config = config();
        let at = DEVICE_CONTROL as u16;
        assert_eq!(config.write(at, &[0xff, 0x7f]), Asks::Nothing);
        assert_eq!(config.write(at, &[0x10, 0x80]), Asks::Reset);
        let mut control = [0; 2];
        config.read(at, &mut control);
        assert_eq!(control, [0x10, 0x00]);
        assert_eq!(config.write(4095, &[0xff; 4]), Asks::Nothing);
    }
}
