//! A host that writes anything anywhere: the device neither panics nor hangs nor grows.

use super::driver::Driver;
use super::queues::{ENTRIES, Nic, frames};
use hal_mlx_prm::{Layout, Opcode, Part};
use hal_sim::connectx::ConnectXSettings;
use packet::Packet;
use proptest::prelude::*;

/// Two wires are enough.
fn settings() -> ConnectXSettings {
    ConnectXSettings {
        vfs: 1,
        ..ConnectXSettings::default()
    }
}

/// Turns a bounded number of times: a hostile host may keep the device busy for ever.
fn turn(d: &Driver) {
    for _ in 0..50 {
        if d.nic.turn() == hal::Work::Idle {
            return;
        }
    }
}

/// Addresses of registers that mean something, and all others.
fn register() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..0x1200,
        0x2000u64..0x4000,
        (0x10u64..0x20, 0u64..0x1000).prop_map(|(page, at)| page * 0x1000 + at),
        0u64..(32 << 20),
        any::<u64>(),
    ]
}

/// Bytes in which some are zero.
fn noise(dice: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    let bytes = (0..len).map(|_| if dice.u8(..) < 64 { dice.u8(..) } else { 0 });
    bytes.collect()
}

fn head(bytes: &mut [u8], opcode: Opcode, op_mod: u16) {
    bytes[..2].copy_from_slice(&(opcode as u16).to_be_bytes());
    bytes[2..6].fill(0);
    bytes[6..8].copy_from_slice(&op_mod.to_be_bytes());
}

/// A command of any bytes.
fn command(dice: &mut fastrand::Rng) -> Vec<u8> {
    let opcode = Opcode::ALL[dice.usize(..Opcode::ALL.len())];
    let layout = opcode.input();
    let list = layout.parts.iter().any(|p| matches!(p, Part::Tail(..)));
    let exact = layout.size + if list { 16 } else { 0 };
    let len = if dice.bool() {
        exact
    } else {
        dice.usize(16..0x500)
    };
    let mut bytes = noise(dice, len.max(16));
    head(&mut bytes, opcode, dice.u16(0..4));
    bytes
}

/// Sets the bits that belong to fields.
fn mark(layout: &Layout, known: &mut [u8]) {
    for part in layout.parts {
        match *part {
            Part::Field(_, place) => {
                let words = match place.high {
                    0..32 => 4,
                    32..64 => 8,
                    _ => 16,
                };
                for bit in place.low..=place.high {
                    let byte = place.offset + words - 1 - usize::from(bit / 8);
                    known[byte] |= 1 << (bit % 8);
                }
            }
            Part::Nested(_, at, inner) => mark(inner, &mut known[at..]),
            Part::Tail(_, at, item) => {
                let items = known[at..].chunks_exact_mut(item.size);
                items.for_each(|known| mark(item, known));
            }
            Part::Octets(_, at, len) => {
                let len = len.unwrap_or(known.len() - at);
                known[at..at + len].fill(0xff);
            }
        }
    }
}

/// A command in which only bits of fields are set, small numbers mostly: it gets past the first
/// checks.
fn plausible(dice: &mut fastrand::Rng) -> Vec<u8> {
    let opcode = Opcode::ALL[dice.usize(..Opcode::ALL.len())];
    let layout = opcode.input();
    let tail = layout.parts.iter().find_map(|p| match p {
        Part::Tail(_, at, item) => Some(at + item.size * 2),
        Part::Octets(_, at, None) => Some(at + 0x20),
        _ => None,
    });
    let mut known = vec![0; layout.size.max(tail.unwrap_or(0)) & !3];
    mark(layout, &mut known);
    let mut bytes = Vec::new();
    for known in known.chunks_exact(4) {
        let value = match dice.u8(0..14) {
            0..6 => 0,
            6..12 => dice.u32(0..0x20),
            12 => 0x10000 + dice.u32(0..3),
            _ => dice.u32(..),
        };
        let value = value.to_be_bytes();
        bytes.extend(value.iter().zip(known).map(|(v, k)| v & k));
    }
    head(&mut bytes, opcode, dice.u16(0..3));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn registers(writes in prop::collection::vec((register(), any::<u64>(), 0usize..4), 1..60)) {
        let mut d = Driver::new(ConnectXSettings::default());
        d.initialise();
        for (at, value, kind) in writes {
            let at = at & !3;
            match kind {
                0 => drop(d.bar.write_be32(at, value as u32)),
                1 => drop(d.bar.write_be64(at, value)),
                2 => drop(d.bar.read_be32(at)),
                _ => drop(d.function.write_config(at as u16, &value.to_le_bytes())),
            }
            turn(&d);
        }
    }

    #[test]
    fn commands(seed in any::<u64>()) {
        let dice = &mut fastrand::Rng::with_seed(seed);
        let mut d = Driver::new(ConnectXSettings::default());
        d.initialise();
        for _ in 0..100 {
            d.post(0, &command(dice), 0x400);
            d.ring(1);
            turn(&d);
        }
    }

    #[test]
    fn plausible_commands(seed in any::<u64>()) {
        let dice = &mut fastrand::Rng::with_seed(seed);
        let mut n = Nic::new(settings());
        n.receive_all();
        n.refill(8);
        for i in 0..200u16 {
            n.d.post(0, &plausible(dice), 0x1010);
            n.d.ring(1);
            turn(&n.d);
            let frame = frames::udp(2, 1, i, b"x");
            n.wires[0].send(Packet::from_frame(&frame));
            n.wires[1].send(Packet::from_frame(&frame));
            turn(&n.d);
        }
    }

    #[test]
    fn entries(bytes in prop::collection::vec(any::<u8>(), 64), posted in any::<u16>()) {
        let mut n = Nic::new(settings());
        n.receive_all();
        // What gets past the first checks is more interesting.
        let mut entry = bytes.clone();
        entry[1..3].fill(0);
        entry[4..7].copy_from_slice(&n.sq.number.to_be_bytes()[1..]);
        entry[7] &= 0x3f;
        for at in (0..usize::from(ENTRIES) * 64).step_by(64) {
            n.sq.memory.write(at, &entry);
            n.rq.memory.write(at, &bytes);
        }
        n.sq.record.store_be32(4, (posted & 0x3f).into());
        n.rq.record.store_be32(0, posted.into());
        let at = u64::from(n.uar) * 4096 + 0x800;
        let bell = u64::from_be_bytes(*entry.first_chunk().unwrap());
        n.d.bar.write_be64(at, bell).unwrap();
        turn(&n.d);
        n.wires[0].send(Packet::from_frame(&frames::udp(2, 1, 5, b"x")));
        turn(&n.d);
    }

    #[test]
    fn frames_of_any_kind(
        mut frame in prop::collection::vec(any::<u8>(), 0..200),
        kind in prop::sample::select(&[0x0800u16, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847]),
        udp in any::<bool>(),
    ) {
        let mut n = Nic::new(settings());
        n.receive_all();
        n.refill(4);
        if frame.len() > 40 {
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
            if udp {
                let len = (frame.len() - 14) as u16;
                frame[14] = 0x45;
                frame[16..18].copy_from_slice(&len.to_be_bytes());
                frame[20..22].fill(0);
                frame[23] = 17;
                frame[36..38].copy_from_slice(&[0x12, 0xb5]);
            }
        }
        n.wires[0].send(Packet::from_frame(&frame));
        turn(&n.d);
        if frame.len() >= 14 {
            assert_eq!(n.rcq.poll().is_some(), n.d.nic.statistics().received > 0);
        }
    }
}

#[test]
fn doorbells_without_end_are_not_kept() {
    let d = Driver::new(ConnectXSettings::default());
    for i in 0..200_000u32 {
        d.bar.write_be32(0x1_0040, i).unwrap();
    }
    // Those that found room are looked at, and none of them means anything.
    turn(&d);
    assert!(d.nic.violations().len() <= 64);
}
