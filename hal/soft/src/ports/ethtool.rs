//! What a driver says of its device: speed, duplex, modes, its own name (`linux/ethtool.h`).

use super::netlink::Netlink;
use super::sys::EthtoolBlock;
use hal::{LinkModes, LinkState};
use std::os::fd::AsFd;

const SPEED_UNKNOWN: u32 = u32::MAX;
const PORT_TP: u8 = 0;
const PORT_FIBRE: u8 = 3;

/// Bits of `supported` and `advertising`, and the mode that each stands for.
const MODES: [(u32, LinkModes); 20] = [
    (0, LinkModes::HALF_10M),
    (1, LinkModes::FULL_10M),
    (2, LinkModes::HALF_100M),
    (3, LinkModes::FULL_100M),
    (4, LinkModes::HALF_1G),
    (5, LinkModes::FULL_1G),
    (6, LinkModes::AUTONEG),
    (7, LinkModes::COPPER),
    (10, LinkModes::FIBER),
    (12, LinkModes::FULL_10G),
    (13, LinkModes::PAUSE),
    (14, LinkModes::PAUSE_ASYM),
    (17, LinkModes::FULL_1G),
    (18, LinkModes::FULL_10G),
    (19, LinkModes::FULL_10G),
    (20, LinkModes::FULL_10G),
    (23, LinkModes::FULL_40G),
    (24, LinkModes::FULL_40G),
    (25, LinkModes::FULL_40G),
    (26, LinkModes::FULL_40G),
];

/// Who drives a device.
#[derive(Debug)]
pub struct Driver {
    pub name: String,
    pub version: String,
    pub firmware: String,
}

/// The driver of a device, where it tells.
pub fn driver(socket: &Netlink, name: &str) -> Option<Driver> {
    let info = EthtoolBlock::driver().ask(socket.as_fd(), name).ok()?;
    let text = |at: usize| {
        let bytes = info[at..at + 32].split(|b| *b == 0).next();
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    Some(Driver {
        name: text(4),
        version: text(36),
        firmware: text(68),
    })
}

/// Speed, duplex and modes of a device, where its driver tells.
///
/// ```text
///  0     4           8             12      14       15     18        28
///  | cmd | supported | advertising | speed | duplex | port | autoneg | speed_hi |
/// ```
pub fn fill(socket: &Netlink, name: &str, state: &mut LinkState) {
    let Ok(cmd) = EthtoolBlock::settings().ask(socket.as_fd(), name) else {
        return;
    };
    let word = |at: usize| u32::from_ne_bytes([cmd[at], cmd[at + 1], cmd[at + 2], cmd[at + 3]]);
    let half = |at: usize| u32::from(u16::from_ne_bytes([cmd[at], cmd[at + 1]]));
    let speed = half(12) | half(28) << 16;
    let (duplex, port, autoneg) = (cmd[14], cmd[15], cmd[18]);
    let speed = if speed == SPEED_UNKNOWN { 0 } else { speed };
    state.speed = u64::from(speed) * 1_000_000;
    state.full_duplex = match duplex {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    state.current = LinkModes::of_speed(state.speed, duplex != 0);
    match port {
        PORT_TP => state.current |= LinkModes::COPPER,
        PORT_FIBRE => state.current |= LinkModes::FIBER,
        _ => {}
    }
    if autoneg != 0 {
        state.current |= LinkModes::AUTONEG;
    }
    state.supported = modes(word(4));
    state.advertised = modes(word(8));
}

fn modes(bits: u32) -> LinkModes {
    let set = MODES.iter().filter(|(bit, _)| bits >> bit & 1 != 0);
    set.fold(LinkModes::default(), |all, (_, mode)| all | *mode)
}
