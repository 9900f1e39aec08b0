//! How much of the driver's own work a rule takes: a device that does nothing answers at once, and
//! the time that it takes to answer is subtracted.
//!
//! `cargo bench -p hal-mlx --bench rules`
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use clock::Clock;
use hal::pci::{BarFault, Endpoint, Iova, PciFunction, SharedMemory};
use hal::{
    Action, Completion, DpPort, MatchField, Outcome, RecircId, Rule, RuleHandle, RuleKey, RuleOp,
};
use hal_mlx::steering::{Bulk, CounterId, Counters, Operations, Table, TableId, VportId};
use hal_mlx::{CommandQueue, Patience, Registers};
use hal_mlx_prm::context::TableType;
use packet::FieldId;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Rules that come and go together, and how often.
const RULES: u32 = 1000;
const ROUNDS: u32 = 300;

/// Answers every command with zeros.
#[derive(Default)]
struct Yes {
    queue: Mutex<(u64, Option<(u64, SharedMemory)>)>,
    maps: Mutex<Vec<(u64, SharedMemory)>>,
    nanos: AtomicU64,
}

impl Yes {
    fn answer(&self, mut bits: u32) {
        let mut queue = self.queue.lock().unwrap();
        if queue.1.is_none() {
            let maps = self.maps.lock().unwrap();
            queue.1 = maps.iter().find(|(at, _)| *at == queue.0).cloned();
        }
        let (_, memory) = queue.1.as_ref().unwrap();
        while bits != 0 {
            let slot = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            memory.store_be32(slot * 64 + 0x3c, 0);
        }
    }
}

impl Endpoint for Yes {
    fn read_config(&self, _: u16, out: &mut [u8]) {
        out.fill(0);
    }
    fn write_config(&self, _: u16, _: &[u8]) {}
    fn bar_len(&self, _: u8) -> u64 {
        1 << 20
    }
    fn read_bar(&self, _: u8, at: u64, out: &mut [u8]) -> Result<(), BarFault> {
        out.fill(0);
        if at == 0x14 {
            out[3] = 0x56;
        }
        Ok(())
    }
    fn write_bar(&self, _: u8, at: u64, data: &[u8]) -> Result<(), BarFault> {
        let begun = Instant::now();
        let word = u32::from_be_bytes(*data.first_chunk().unwrap());
        match at {
            0x10 => self.queue.lock().unwrap().0 |= u64::from(word) << 32,
            0x14 => self.queue.lock().unwrap().0 |= u64::from(word),
            0x18 => self.answer(word),
            _ => {}
        }
        self.nanos
            .fetch_add(begun.elapsed().as_nanos() as u64, Relaxed);
        Ok(())
    }
    fn map(&self, at: Iova, memory: SharedMemory, _: bool) -> Result<(), String> {
        self.maps.lock().unwrap().push((at.0, memory));
        Ok(())
    }
    fn unmap(&self, _: Iova, _: usize) -> Result<(), String> {
        Ok(())
    }
    fn interrupt_count(&self) -> usize {
        0
    }
    fn set_interrupts(&self, _: Vec<Option<OwnedFd>>) -> Result<(), String> {
        Ok(())
    }
    fn reset(&self) {}
    fn close(&self) {}
}

/// A rule of five fields that writes two addresses and sends.
fn rule(n: u32) -> Rule {
    let whole = |field: FieldId, value: u128| MatchField {
        field,
        value,
        mask: field.full(),
    };
    let set = |field: FieldId, value: u128| Action::Set {
        field,
        value,
        mask: field.full(),
    };
    Rule {
        recirc: RecircId(0),
        matches: vec![
            whole(FieldId::InPort, 1),
            whole(FieldId::EthType, 0x800),
            whole(FieldId::Ipv4Src, n.into()),
            whole(FieldId::Ipv4Dst, 0x0a00_0001),
            whole(FieldId::IpProto, 17),
            whole(FieldId::UdpSrc, 1000),
            whole(FieldId::UdpDst, 53),
        ],
        actions: vec![
            set(FieldId::EthSrc, (n % 64).into()),
            set(FieldId::EthDst, 7),
            Action::Output(DpPort(2)),
        ],
        resume: None,
    }
}

/// What operations of one kind have taken.
#[derive(Default)]
struct Taken {
    count: u64,
    /// Of the driver's own.
    nanos: u64,
    commands: u64,
    bytes: u64,
    doorbells: u64,
}

impl Taken {
    fn tell(&self, what: &str) {
        let each = |n: u64| n as f64 / self.count as f64;
        let own = self.nanos / self.count;
        println!(
            "{what:8} {own:5} ns of driver work a rule, {:9} rules/s a core; {:.2} commands, {} bytes, \
             {:.3} doorbells a rule",
            1_000_000_000 / own.max(1),
            each(self.commands),
            self.bytes / self.count,
            each(self.doorbells),
        );
    }
}

struct Bench {
    operations: Operations,
    commands: CommandQueue,
    device: Arc<Yes>,
    clock: Clock,
}

impl Bench {
    /// Submits operations and polls until all are done.
    fn run(&mut self, ops: Vec<RuleOp>, taken: &mut Taken) -> Vec<Completion> {
        taken.count += ops.len() as u64;
        let before = (self.device.nanos.load(Relaxed), self.commands.sent);
        let (mut back, mut done) = (Vec::new(), Vec::with_capacity(ops.len()));
        let begun = Instant::now();
        for op in ops {
            self.operations.submit(op);
        }
        while self.operations.in_flight() > 0 {
            self.commands.poll(&mut back).unwrap();
            let now = self.clock.now();
            self.operations
                .poll(&mut self.commands, &mut back, now, &mut done)
                .unwrap();
        }
        let spent = begun.elapsed().as_nanos() as u64;
        let device = self.device.nanos.load(Relaxed) - before.0;
        taken.nanos += spent.saturating_sub(device);
        let sent = self.commands.sent;
        taken.commands += sent.commands - before.1.commands;
        taken.bytes += sent.bytes - before.1.bytes;
        taken.doorbells += sent.doorbells - before.1.doorbells;
        done
    }
}

fn main() {
    let device = Arc::new(Yes::default());
    let pci = PciFunction::in_process("yes", device.clone()).unwrap();
    let clock = Clock::stopped_at(0);
    let patience = Patience::with(clock.clone(), |_| {});
    let registers = Registers::open(&pci).unwrap();
    let commands = CommandQueue::open(&pci, registers, patience).unwrap();
    let mut counters = Counters::default();
    counters.add(Bulk {
        first: CounterId(0),
        len: 1 << 20,
    });
    let table = Table::new(TableType::Fdb, TableId(1), 1 << 20);
    let mut operations = Operations::new(vec![table], counters, 1 << 20);
    operations.bind(VportId::UPLINK, Some(DpPort(1)));
    operations.bind(VportId(1), Some(DpPort(2)));
    let mut bench = Bench {
        operations,
        commands,
        device,
        clock,
    };
    let key = |n: u32| RuleKey(n.into());
    let (mut added, mut removed) = (Taken::default(), Taken::default());
    for _ in 0..ROUNDS {
        let adds = (0..RULES).map(|n| RuleOp::Add {
            key: key(n),
            rule: rule(n),
        });
        let done = bench.run(adds.collect(), &mut added);
        let handles: Vec<RuleHandle> = done
            .iter()
            .filter_map(|c| match &c.outcome {
                Outcome::Installed(installed) => Some(installed.handle),
                _ => None,
            })
            .collect();
        assert_eq!(handles.len(), RULES as usize);
        let removes = handles
            .iter()
            .enumerate()
            .map(|(n, handle)| RuleOp::Remove {
                key: key(n as u32),
                handle: *handle,
            });
        bench.run(removes.collect(), &mut removed);
    }
    added.tell("add");
    removed.tell("remove");
}
