//! A tiny driver: enough to say each command by itself, and to say it wrongly.

use clock::Clock;
use hal::pci::{Bar, DmaMemory, PciFunction};
use hal_mlx_prm::command::*;
use hal_mlx_prm::completion::CompletionEntry;
use hal_mlx_prm::context::{CqContext, EqContext};
use hal_mlx_prm::queue::{CommandEntry, Delivery, MAILBOX_DATA, Mailbox};
use hal_mlx_prm::{Described, Opcode, View};
use hal_sim::connectx::{ConnectX, ConnectXSettings, Syndrome};
use std::sync::Arc;
use std::time::Duration;

/// Where the output's mailboxes begin among all.
const OUT: usize = 1024;
const MAILBOX: usize = 1024;

/// How a command ended that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It was not delivered.
    Delivery(u8),
    /// Status and syndrome.
    Refused(u8, u32),
    /// It is still with the device.
    Pending,
}

impl From<Syndrome> for Failed {
    fn from(s: Syndrome) -> Failed {
        Failed::Refused(s.status() as u8, s as u32)
    }
}

pub struct Driver {
    pub nic: Arc<ConnectX>,
    pub clock: Clock,
    pub function: PciFunction,
    pub bar: Bar,
    pub queue: DmaMemory,
    pub boxes: DmaMemory,
    pub pages: Vec<DmaMemory>,
    token: u8,
}

impl Driver {
    /// A NIC and its driver, which has done nothing yet but say where its command queue is.
    pub fn new(settings: ConnectXSettings) -> Driver {
        let clock = Clock::stopped_at(0);
        let nic = ConnectX::stepped("nic0", settings, clock.clone()).unwrap();
        Driver::over(nic, clock)
    }

    /// A driver for this NIC.
    pub fn over(nic: Arc<ConnectX>, clock: Clock) -> Driver {
        let function = PciFunction::in_process("nic0", nic.clone()).unwrap();
        function.set_master(true).unwrap();
        let bar = function.bar(0).unwrap();
        let queue = function.dma("command queue", 4096).unwrap();
        let boxes = function.dma("mailboxes", 2 * OUT * MAILBOX).unwrap();
        let driver = Driver {
            nic,
            clock,
            function,
            bar,
            queue,
            boxes,
            pages: Vec::new(),
            token: 0,
        };
        driver.place_queue();
        driver
    }

    pub fn place_queue(&self) {
        let at = self.queue.iova().0;
        self.bar.write_be32(0x10, (at >> 32) as u32).unwrap();
        self.bar.write_be32(0x14, at as u32).unwrap();
    }

    /// Turns the device until it has nothing more to do.
    pub fn settle(&self) {
        for _ in 0..1000 {
            if self.nic.turn() == hal::Work::Idle {
                return;
            }
        }
        panic!("the device does not come to rest");
    }

    /// Writes a command into a slot and gives it to the device.
    pub fn post(&mut self, slot: usize, input: &[u8], room: usize) {
        self.token = self.token.wrapping_add(1);
        let mut entry = View::<CommandEntry, _>::zeroed();
        let mut head = [0; 16];
        head.copy_from_slice(&input[..16]);
        entry
            .set(CommandEntry::TRANSPORT, 7)
            .set(CommandEntry::INPUT_LENGTH, input.len() as u32)
            .set(CommandEntry::OUTPUT_LENGTH, room as u32)
            .set(CommandEntry::INPUT, u128::from_be_bytes(head))
            .set(CommandEntry::TOKEN, self.token)
            .set(CommandEntry::OWNED_BY_DEVICE, true);
        if input.len() > 16 {
            let first = self.write_mailboxes(0, &input[16..]);
            entry.set(CommandEntry::INPUT_MAILBOX, first);
        }
        if room > 16 {
            let first = self.write_mailboxes(OUT, &vec![0; room - 16]);
            entry.set(CommandEntry::OUTPUT_MAILBOX, first);
        }
        self.queue.write(slot * 64, entry.bytes());
    }

    fn write_mailboxes(&self, first: usize, data: &[u8]) -> u64 {
        let at = |i: usize| (first + i) * MAILBOX;
        let count = data.len().div_ceil(MAILBOX_DATA);
        for (i, data) in data.chunks(MAILBOX_DATA).enumerate() {
            let mut mailbox = View::<Mailbox, _>::zeroed();
            mailbox
                .set(Mailbox::BLOCK_NUMBER, i as u32)
                .set(Mailbox::TOKEN, self.token);
            if i + 1 < count {
                mailbox.set(Mailbox::NEXT, self.boxes.iova().0 + at(i + 1) as u64);
            }
            self.boxes.write(at(i), mailbox.bytes());
            self.boxes.write(at(i), data);
        }
        self.boxes.iova().0 + at(0) as u64
    }

    pub fn ring(&self, slots: u32) {
        self.bar.write_be32(0x18, slots).unwrap();
    }

    /// What came of the command in a slot.
    pub fn outcome(&self, slot: usize) -> Result<Vec<u8>, Failed> {
        let mut entry = [0; CommandEntry::SIZE];
        self.queue.read(slot * 64, &mut entry);
        let entry = View::<CommandEntry, _>::new(entry).unwrap();
        if entry.get(CommandEntry::OWNED_BY_DEVICE) {
            return Err(Failed::Pending);
        }
        let delivery = entry.get(CommandEntry::STATUS);
        if delivery != Delivery::Ok as u8 {
            return Err(Failed::Delivery(delivery));
        }
        let len = entry.get(CommandEntry::OUTPUT_LENGTH) as usize;
        let mut out = entry.get(CommandEntry::OUTPUT).to_be_bytes().to_vec();
        for i in 0..len.saturating_sub(16).div_ceil(MAILBOX_DATA) {
            let mut data = [0; MAILBOX_DATA];
            self.boxes.read((OUT + i) * MAILBOX, &mut data);
            out.extend(data);
        }
        let head = View::<Output, _>::new(&out[..]).unwrap();
        match head.get(Output::STATUS) {
            0 => {
                out.truncate(len);
                Ok(out)
            }
            status => Err(Failed::Refused(status, head.get(Output::SYNDROME))),
        }
    }

    /// A command, from beginning to end.
    pub fn raw(&mut self, input: &[u8], room: usize) -> Result<Vec<u8>, Failed> {
        self.post(0, input, room);
        self.ring(1);
        self.settle();
        self.outcome(0)
    }

    /// A command with its opcode filled in.
    pub fn run<I: Described, B: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        opcode: Opcode,
        op_mod: u16,
        input: View<I, B>,
    ) -> Result<Vec<u8>, Failed> {
        let mut input = input.into_inner();
        let bytes = input.as_mut();
        bytes[..2].copy_from_slice(&(opcode as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&op_mod.to_be_bytes());
        let input = bytes.to_vec();
        self.raw(&input, opcode.output().size)
    }

    /// A command without arguments.
    pub fn plain(&mut self, opcode: Opcode, op_mod: u16) -> Result<Vec<u8>, Failed> {
        self.run::<Input, _>(opcode, op_mod, View::zeroed())
    }

    /// Gives pages.
    pub fn give(&mut self, addresses: &[u64]) -> Result<Vec<u8>, Failed> {
        let mut input = View::with_tail(ManagePagesIn::PAGES, addresses.len());
        input.set(ManagePagesIn::NUM_ENTRIES, addresses.len() as u32);
        for (i, at) in addresses.iter().enumerate() {
            let mut item = input.item_mut(ManagePagesIn::PAGES, i).unwrap();
            item.set(PageAddress::PAGE, at >> 12);
        }
        self.run(Opcode::ManagePages, 1, input)
    }

    /// How many pages are wanted.
    pub fn wanted(&mut self, op_mod: u16) -> i32 {
        let out = self.plain(Opcode::QueryPages, op_mod).unwrap();
        let out = View::<QueryPagesOut, _>::new(out).unwrap();
        out.get(QueryPagesOut::NUM_PAGES) as i32
    }

    /// Gives what is wanted.
    pub fn give_wanted(&mut self, op_mod: u16) {
        let count = self.wanted(op_mod) as usize;
        let memory = self.function.dma("pages", count.max(1) * 4096).unwrap();
        let at = memory.iova().0;
        let addresses: Vec<u64> = (0..count as u64).map(|i| at + i * 4096).collect();
        self.give(&addresses).unwrap();
        self.pages.push(memory);
    }

    /// Takes pages back; answers their addresses.
    pub fn take_back(&mut self, count: usize) -> Vec<u64> {
        let mut input = View::<ManagePagesIn, _>::zeroed();
        input.set(ManagePagesIn::NUM_ENTRIES, count as u32);
        let mut bytes = input.into_inner().to_vec();
        bytes[..2].copy_from_slice(&(Opcode::ManagePages as u16).to_be_bytes());
        bytes[7] = 2;
        let out = self.raw(&bytes, 16 + 8 * count).unwrap();
        let out = View::<ManagePagesOut, _>::new(out).unwrap();
        let given = out.get(ManagePagesOut::NUM_ENTRIES) as usize;
        let pages = out.items(ManagePagesOut::PAGES).take(given);
        pages.map(|p| p.get(PageAddress::PAGE) << 12).collect()
    }

    /// ENABLE_HCA, and what has to be said before anything else.
    pub fn enable(&mut self) {
        self.plain(Opcode::EnableHca, 0).unwrap();
        let mut issi = View::<SetIssiIn, _>::zeroed();
        issi.set(SetIssiIn::CURRENT, 1);
        self.run(Opcode::SetIssi, 0, issi).unwrap();
        self.give_wanted(1);
    }

    /// All the way to INIT_HCA.
    pub fn initialise(&mut self) {
        self.enable();
        self.give_wanted(2);
        self.plain(Opcode::InitHca, 0).unwrap();
    }

    /// All the way back.
    pub fn finish(&mut self) {
        self.plain(Opcode::TeardownHca, 0).unwrap();
        while !self.take_back(100).is_empty() {}
        self.plain(Opcode::DisableHca, 0).unwrap();
    }

    pub fn pass(&self, ms: u64) {
        self.clock.warp(Duration::from_millis(ms));
        self.settle();
    }
}

impl Driver {
    /// A doorbell page.
    pub fn uar(&mut self) -> u32 {
        let out = self.plain(Opcode::AllocUar, 0).unwrap();
        let out = View::<AllocUarOut, _>::new(out).unwrap();
        out.get(AllocUarOut::UAR)
    }

    /// A protection domain.
    pub fn pd(&mut self) -> u32 {
        self.plain(Opcode::AllocPd, 0).unwrap();
        self.outcome_pd(0)
    }

    /// The protection domain that a slot's command has made.
    pub fn outcome_pd(&self, slot: usize) -> u32 {
        let out = View::<AllocPdOut, _>::new(self.outcome(slot).unwrap()).unwrap();
        out.get(AllocPdOut::PD)
    }

    /// Gives pages by a slot other than the usual one, whose command waits for them.
    pub fn give_in(&mut self, slot: usize, addresses: &[u64]) -> Result<(), Failed> {
        let mut input = View::with_tail(ManagePagesIn::PAGES, addresses.len());
        input.set(ManagePagesIn::NUM_ENTRIES, addresses.len() as u32);
        for (i, at) in addresses.iter().enumerate() {
            let mut item = input.item_mut(ManagePagesIn::PAGES, i).unwrap();
            item.set(PageAddress::PAGE, at >> 12);
        }
        self.manage(slot, 1, input.into_inner())
    }

    /// Says that there are no pages to give.
    pub fn cannot_give(&mut self, slot: usize) -> Result<(), Failed> {
        self.manage(slot, 0, vec![0; 16])
    }

    fn manage(&mut self, slot: usize, op_mod: u8, mut input: Vec<u8>) -> Result<(), Failed> {
        input[..2].copy_from_slice(&(Opcode::ManagePages as u16).to_be_bytes());
        input[7] = op_mod;
        self.post(slot, &input, 16);
        self.ring(1 << slot);
        self.settle();
        self.outcome(slot).map(|_| ())
    }

    fn destroy<I: Described<Bytes = [u8; 16]>>(
        &mut self,
        opcode: Opcode,
        number: u32,
    ) -> Result<(), Failed> {
        let mut input = [0; 16];
        input[8..12].copy_from_slice(&number.to_be_bytes());
        let input = View::<I, _>::new(input).unwrap();
        self.run(opcode, 0, input).map(|_| ())
    }
}

/// An event queue.
pub struct EventQueue {
    pub eqn: u8,
    memory: DmaMemory,
    log_size: u8,
    taken: u32,
    uar: u32,
}

impl EventQueue {
    pub fn create(
        d: &mut Driver,
        uar: u32,
        log_size: u8,
        vector: u16,
        events: u64,
    ) -> Result<EventQueue, Failed> {
        let memory = d.function.dma("event queue", 64 << log_size).unwrap();
        for i in 0..1 << log_size {
            memory.write(i * 64 + 63, &[1]);
        }
        let pages = memory.len() / 4096;
        let mut input = View::with_tail(CreateEqIn::PAGES, pages);
        input.set(CreateEqIn::EVENT_BITMASK_0, events);
        input
            .at_mut(CreateEqIn::CONTEXT)
            .set(EqContext::LOG_EQ_SIZE, log_size)
            .set(EqContext::UAR_PAGE, uar)
            .set(EqContext::INTERRUPT, vector);
        for i in 0..pages {
            let mut page = input.item_mut(CreateEqIn::PAGES, i).unwrap();
            page.set(PageAddress::PAGE, (memory.iova().0 >> 12) + i as u64);
        }
        let out = d.run(Opcode::CreateEq, 0, input)?;
        let out = View::<CreateEqOut, _>::new(out).unwrap();
        Ok(EventQueue {
            eqn: out.get(CreateEqOut::EQN),
            memory,
            log_size,
            taken: 0,
            uar,
        })
    }

    /// The next event: type, subtype, data.
    pub fn poll(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let at = (self.taken as usize & ((1 << self.log_size) - 1)) * 64;
        let owner = self.memory.load_be32(at + 60) & 1;
        if owner != self.taken >> self.log_size & 1 {
            return None;
        }
        let mut entry = [0; 64];
        self.memory.read(at, &mut entry);
        self.taken += 1;
        Some((entry[1], entry[3], entry[0x20..0x3c].to_vec()))
    }

    fn word(&self) -> u32 {
        u32::from(self.eqn) << 24 | self.taken & 0xff_ffff
    }

    pub fn arm(&self, d: &Driver) {
        let at = u64::from(self.uar) * 4096 + 0x40;
        d.bar.write_be32(at, self.word()).unwrap();
    }

    pub fn update(&self, d: &Driver) {
        let at = u64::from(self.uar) * 4096 + 0x48;
        d.bar.write_be32(at, self.word()).unwrap();
    }

    pub fn destroy(&self, d: &mut Driver) -> Result<(), Failed> {
        d.destroy::<DestroyEqIn>(Opcode::DestroyEq, self.eqn.into())
    }
}

/// A completion queue.
pub struct CompletionQueue {
    pub cqn: u32,
    memory: DmaMemory,
    record: DmaMemory,
    log_size: u8,
    pub taken: u32,
    /// Events seen.
    pub events: u32,
    uar: u32,
}

impl CompletionQueue {
    pub fn create(
        d: &mut Driver,
        uar: u32,
        eqn: u8,
        log_size: u8,
    ) -> Result<CompletionQueue, Failed> {
        let memory = d.function.dma("completion queue", 64 << log_size).unwrap();
        let record = d.function.dma("completion queue's record", 64).unwrap();
        for i in 0..1 << log_size {
            memory.write(i * 64 + 63, &[0xf1]);
        }
        let pages = memory.len() / 4096;
        let mut input = View::with_tail(CreateCqIn::PAGES, pages);
        input
            .at_mut(CreateCqIn::CONTEXT)
            .set(CqContext::LOG_CQ_SIZE, log_size)
            .set(CqContext::UAR_PAGE, uar)
            .set(CqContext::EQN, eqn.into())
            .set(CqContext::DOORBELL_RECORD, record.iova().0);
        for i in 0..pages {
            let mut page = input.item_mut(CreateCqIn::PAGES, i).unwrap();
            page.set(PageAddress::PAGE, (memory.iova().0 >> 12) + i as u64);
        }
        let out = d.run(Opcode::CreateCq, 0, input)?;
        let out = View::<CreateCqOut, _>::new(out).unwrap();
        Ok(CompletionQueue {
            cqn: out.get(CreateCqOut::CQN),
            memory,
            record,
            log_size,
            taken: 0,
            events: 0,
            uar,
        })
    }

    /// The next completion.
    pub fn poll(&mut self) -> Option<View<CompletionEntry, [u8; 64]>> {
        let at = (self.taken as usize & ((1 << self.log_size) - 1)) * 64;
        let last = self.memory.load_be32(at + 60);
        if last & 1 != self.taken >> self.log_size & 1 || last >> 4 & 0xf == 0xf {
            return None;
        }
        let mut entry = [0; 64];
        self.memory.read(at, &mut entry);
        self.taken += 1;
        self.record.store_be32(0, self.taken & 0xff_ffff);
        View::new(entry)
    }

    pub fn arm(&self, d: &Driver) {
        let word = (self.events & 3) << 28 | self.taken & 0xff_ffff;
        self.record.store_be32(4, word);
        let at = u64::from(self.uar) * 4096 + 0x20;
        let value = u64::from(word) << 32 | u64::from(self.cqn);
        d.bar.write_be64(at, value).unwrap();
    }

    pub fn destroy(&self, d: &mut Driver) -> Result<(), Failed> {
        d.destroy::<DestroyCqIn>(Opcode::DestroyCq, self.cqn)
    }
}
