//! What goes wrong when it is asked for.

use super::driver::{Driver, EventQueue, Failed};
use super::queues::{Does, Nic, Parameters, Send, frames};
use hal_mlx_prm::Opcode;
use hal_mlx_prm::context::{DestinationType, TableType};
use hal_sim::connectx::{ConnectX, ConnectXFaults, ConnectXSettings, Failure, Syndrome};

fn settings(faults: ConnectXFaults) -> ConnectXSettings {
    ConnectXSettings {
        faults,
        ..ConnectXSettings::default()
    }
}

fn driver(faults: ConnectXFaults) -> Driver {
    let mut d = Driver::new(settings(faults));
    d.initialise();
    d
}

/// A fault of one command only, so that the rest works.
fn of_pds(faults: ConnectXFaults) -> ConnectXFaults {
    ConnectXFaults {
        commands: vec!["ALLOC_PD".into()],
        ..faults
    }
}

#[test]
fn commands_fail_by_chance_and_the_seed_says_when() {
    let faults = of_pds(ConnectXFaults {
        fail_command: 0.5,
        ..ConnectXFaults::default()
    });
    let run = |seed: u64| -> Vec<bool> {
        let mut d = Driver::new(ConnectXSettings {
            seed,
            ..settings(faults.clone())
        });
        d.initialise();
        (0..40)
            .map(|_| match d.plain(Opcode::AllocPd, 0) {
                Ok(_) => true,
                Err(failed) => {
                    assert_eq!(failed, Failed::from(Syndrome::Injected));
                    false
                }
            })
            .collect()
    };
    let first = run(1);
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}

#[test]
fn a_completion_is_lost_until_a_reset() {
    let mut d = driver(of_pds(ConnectXFaults {
        lose_command: 1.0,
        ..ConnectXFaults::default()
    }));
    assert_eq!(d.plain(Opcode::AllocPd, 0), Err(Failed::Pending));
    // It was carried out; other slots go on.
    assert_eq!(d.nic.census().get("Pd"), Some(&1));
    let mut query = [0; 16];
    query[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
    d.post(1, &query, 0x70);
    d.ring(2);
    d.settle();
    d.outcome(1).unwrap();
    d.function.reset().unwrap();
    d.function.set_master(true).unwrap();
    d.place_queue();
    d.pages.clear();
    d.initialise();
}

#[test]
fn a_completion_is_late() {
    let mut d = driver(of_pds(ConnectXFaults {
        late_command: 100,
        ..ConnectXFaults::default()
    }));
    assert_eq!(d.plain(Opcode::AllocPd, 0), Err(Failed::Pending));
    d.pass(100);
    d.outcome(0).unwrap();
}

#[test]
fn the_event_of_a_command_is_lost() {
    let mut d = driver(of_pds(ConnectXFaults {
        lose_command_event: 1.0,
        ..ConnectXFaults::default()
    }));
    let uar = d.uar();
    let mut eq = EventQueue::create(&mut d, uar, 4, 0, 1 << 10).unwrap();
    d.plain(Opcode::AllocPd, 0).unwrap();
    assert_eq!(eq.poll(), None);
    d.plain(Opcode::AllocUar, 0).unwrap();
    assert!(eq.poll().is_some());
}

#[test]
fn commands_hang() {
    let mut d = Driver::new(settings(ConnectXFaults {
        hang_after: 3,
        ..ConnectXFaults::default()
    }));
    d.plain(Opcode::EnableHca, 0).unwrap();
    for _ in 0..2 {
        d.raw(&issi(), 0x70).unwrap();
    }
    assert_eq!(d.raw(&issi(), 0x70), Err(Failed::Pending));
}

fn issi() -> [u8; 16] {
    let mut input = [0; 16];
    input[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
    input
}

#[test]
fn tables_are_full() {
    let mut n = Nic::new(settings(ConnectXFaults {
        table_full: 2,
        ..ConnectXFaults::default()
    }));
    let table = n.table(TableType::Fdb, None, 0);
    let any = Parameters::zeroed();
    let group = n.group(table, (0, 9), 0, &any).unwrap();
    let does = Does::forward(DestinationType::Vport, 1);
    for row in 0..2 {
        n.entry(table, group, row, &any, &does).unwrap();
    }
    let full = n.entry(table, group, 2, &any, &does);
    assert_eq!(full, Err(Failed::from(Syndrome::TableFull)));
    n.delete(table, 0).unwrap();
    n.entry(table, group, 2, &any, &does).unwrap();
}

#[test]
fn interrupts_are_dropped_and_completions_are_wrong() {
    let mut n = Nic::new(settings(ConnectXFaults {
        drop_interrupt: 1.0,
        flip_completion: 1.0,
        ..ConnectXFaults::default()
    }));
    let interrupts = n.d.function.interrupts(1).unwrap();
    n.eq.arm(&n.d);
    n.scq.arm(&n.d);
    n.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    assert!(!interrupts[0].take());
    assert!(n.eq.poll().is_some());
    let mut good = Nic::new(ConnectXSettings::default());
    good.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    let (wrong, right) = (n.scq.poll().unwrap(), good.scq.poll().unwrap());
    let bits = wrong.bytes().iter().zip(right.bytes());
    let bits: u32 = bits.map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(bits, 1);
}

#[test]
fn a_send_queue_stalls_until_it_is_reset() {
    let mut n = Nic::new(settings(ConnectXFaults {
        stall_send_after: 2,
        ..ConnectXFaults::default()
    }));
    for _ in 0..4 {
        n.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    }
    assert_eq!(n.left(0).len(), 2);
    n.move_sq(1, 3).unwrap();
    n.move_sq(3, 0).unwrap();
    n.move_sq(0, 1).unwrap();
    n.sq.posted = 0;
    n.send(&frames::udp(1, 2, 3, b"x"), Send::default());
    assert_eq!(n.left(0).len(), 1);
}

#[test]
fn the_firmware_reports_that_it_is_ill() {
    let mut d = Driver::new(settings(ConnectXFaults {
        health_after: 2,
        health_syndrome: 0x10,
        health_fatal: true,
        ..ConnectXFaults::default()
    }));
    let health = |d: &Driver| {
        let synd = d.bar.read_be32(0x23c).unwrap() >> 16 & 0xff;
        (synd, d.bar.read_be32(0x238).unwrap() >> 31)
    };
    d.plain(Opcode::EnableHca, 0).unwrap();
    assert_eq!(health(&d), (0, 0));
    d.raw(&issi(), 0x70).unwrap();
    assert_eq!(health(&d), (0x10, 1));
    // A reset cures it.
    d.function.reset().unwrap();
    assert_eq!(health(&d), (0, 0));
    d.nic.fail(Failure::Health {
        syndrome: 1,
        fatal: false,
    });
    assert_eq!(health(&d), (1, 0));
    d.nic.fail(Failure::Dead);
    let before = d.bar.read_be32(0x1010).unwrap();
    d.pass(10_000);
    assert_eq!(d.bar.read_be32(0x1010).unwrap(), before);
}

#[test]
fn the_device_is_pulled_out() {
    let mut d = driver(ConnectXFaults::default());
    d.nic.fail(Failure::Gone);
    assert_eq!(d.bar.read_be32(0).unwrap(), u32::MAX);
    assert_eq!(d.bar.read_be32(0x1fc).unwrap(), u32::MAX);
    let gone = d.function.ids().unwrap_err().to_string();
    assert!(gone.contains("all ones"), "{gone}");
    assert_eq!(d.plain(Opcode::AllocPd, 0), Err(Failed::Pending));
    // For ever.
    d.function.reset().unwrap();
    assert_eq!(d.bar.read_be32(0).unwrap(), u32::MAX);
    let mut d = Driver::new(settings(ConnectXFaults {
        gone_after: 1,
        ..ConnectXFaults::default()
    }));
    let _ = d.plain(Opcode::EnableHca, 0);
    assert_eq!(d.bar.read_be32(0).unwrap(), u32::MAX);
}

#[test]
fn the_device_resets_itself() {
    let mut d = Driver::new(settings(ConnectXFaults {
        reset_after: 40,
        ..ConnectXFaults::default()
    }));
    d.initialise();
    while d.nic.pages() > 0 {
        let _ = d.plain(Opcode::AllocPd, 0);
    }
    assert_eq!(d.bar.read_be32(0x10).unwrap(), 0);
    assert_eq!(d.nic.census().len(), 0);
    d.place_queue();
    d.pages.clear();
    d.initialise();
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let open = |faults: ConnectXFaults| {
        let clock = clock::Clock::stopped_at(0);
        let opened = ConnectX::stepped("nic0", settings(faults), clock);
        opened.err().unwrap().to_string()
    };
    let chance = open(ConnectXFaults {
        flip_completion: 2.0,
        ..ConnectXFaults::default()
    });
    assert!(chance.contains("flip-completion: 2"), "{chance}");
    let command = open(ConnectXFaults {
        commands: vec!["ALLOC_PDS".into()],
        ..ConnectXFaults::default()
    });
    assert!(command.contains("ALLOC_PDS"), "{command}");
    let text = r#"{"profile":"connectx4lx","vfs":2,"seed":7,"objects":9,"boot-ms":5,
        "faults":{"lose-command":0.01,"commands":["ALLOC_PD"],"late-command":20}}"#;
    let read: ConnectXSettings = serde_json::from_str(text).unwrap();
    assert_eq!((read.vfs, read.faults.late_command), (2, 20));
    assert!(serde_json::from_str::<ConnectXSettings>(r#"{"faults":{"explode":1}}"#).is_err());
}
