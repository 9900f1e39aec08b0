//! The command queue: a page of entries, of which the host gives some to the device.
//!
//! An entry holds the first 16 bytes of input and output; the rest is in chains of mailboxes.
//! What is wrong with the delivery itself (a token that differs, a block out of turn) is told in
//! the entry and the command is not looked at. When a command is through, its output is written
//! first, then the entry's last word with the ownership, then an event is posted if there was
//! somebody to take it before the command began: whoever created the queue for such events was
//! still looking at the entry itself.

use super::conclude;
use crate::connectx::core::{Bus, Core};
use crate::connectx::faults::CommandFault;
use crate::connectx::memory::Unreachable;
use crate::connectx::registers::{LOG_COMMAND, LOG_COMMANDS};
use crate::connectx::syndrome::Syndrome;
use clock::Time;
use hal_mlx_prm::queue::{CommandEntry, Delivery, MAILBOX_DATA, Mailbox, TRANSPORT_PCI};
use hal_mlx_prm::{Opcode, View};

/// Bytes of input or output in the entry itself.
const INLINE: usize = 16;
/// The shortest output: status and syndrome. Linux leaves out what is reserved behind them.
const LEAST_OUTPUT: usize = 8;
/// The longest input or output. 12,868 pages given in one command are 100 KiB.
const LONGEST: usize = 1 << 20;
/// Mailboxes begin at multiples of this.
const MAILBOX_ALIGN: u64 = 512;

type Entry = View<CommandEntry, [u8; CommandEntry::SIZE]>;

/// A command that came in whole.
struct Delivered {
    slot: u32,
    /// The entry's last word: token, signature, ownership.
    last: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Where the output's mailboxes are.
    mailboxes: Vec<u64>,
}

/// Commands that are under way.
#[derive(Default)]
pub(in crate::connectx) struct CommandQueue {
    /// A bit for each slot whose command is with the device.
    busy: u32,
    /// Commands that wait for memory.
    starved: Vec<Delivered>,
    /// Commands that are carried out and told later, with whom to tell.
    late: Vec<(Time, Delivered, Option<u32>)>,
}

impl CommandQueue {
    /// When the next command is to be told.
    pub fn due(&self) -> Option<Time> {
        self.late.iter().map(|(due, ..)| *due).min()
    }
}

fn last_word(entry: &Entry) -> u32 {
    let word = entry.bytes().get(0x3c..0x40).and_then(|b| b.first_chunk());
    word.map_or(0, |b| u32::from_be_bytes(*b))
}

/// Exclusive or of bytes.
fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, b| sum ^ b)
}

/// A chain of mailboxes.
struct Chain {
    first: u64,
    /// Bytes of the input or output, those in the entry included.
    len: usize,
    token: u8,
    signed: bool,
    /// What is said of an address that is wrong.
    pointer: Delivery,
}

impl Chain {
    /// Goes through the chain; answers where the mailboxes are.
    fn walk(&self, bus: &Bus<'_>, mut each: impl FnMut(&[u8])) -> Result<Vec<u64>, Delivery> {
        let mut at = self.first;
        let mut found = Vec::new();
        for number in 0..self.len.saturating_sub(INLINE).div_ceil(MAILBOX_DATA) {
            if at == 0 || !at.is_multiple_of(MAILBOX_ALIGN) {
                return Err(self.pointer);
            }
            let mut bytes = [0; Mailbox::SIZE];
            bus.read(at, &mut bytes).map_err(|_| self.pointer)?;
            if self.signed && (sum(&bytes) != 0xff || sum(&bytes[0x200..0x23f]) != 0xff) {
                return Err(Delivery::Signature);
            }
            let mailbox = View::<Mailbox, _>::new(bytes).ok_or(self.pointer)?;
            if mailbox.get(Mailbox::TOKEN) != self.token {
                return Err(Delivery::Token);
            }
            if mailbox.get(Mailbox::BLOCK_NUMBER) as usize != number {
                return Err(Delivery::BlockNumber);
            }
            each(&bytes[..MAILBOX_DATA]);
            found.push(at);
            at = mailbox.get(Mailbox::NEXT);
        }
        Ok(found)
    }
}

/// Takes a command out of its entry.
fn deliver(slot: u32, entry: Entry, signed: bool, bus: &Bus<'_>) -> Result<Delivered, Delivery> {
    if entry.get(CommandEntry::TRANSPORT) != TRANSPORT_PCI {
        return Err(Delivery::Descriptor);
    }
    let layout = <CommandEntry as hal_mlx_prm::Described>::LAYOUT;
    if layout.reserved_set(entry.bytes()).is_some() {
        return Err(Delivery::Reserved);
    }
    if signed && sum(entry.bytes()) != 0xff {
        return Err(Delivery::Signature);
    }
    let length = |n: u32, least: usize, wrong: Delivery| {
        let n = n as usize;
        let good = (least..=LONGEST).contains(&n);
        good.then_some(n).ok_or(wrong)
    };
    let len = entry.get(CommandEntry::INPUT_LENGTH);
    let len = length(len, INLINE, Delivery::InputLength)?;
    let room = entry.get(CommandEntry::OUTPUT_LENGTH);
    let room = length(room, LEAST_OUTPUT, Delivery::OutputLength)?;
    let chain = |first, len, pointer| Chain {
        first,
        len,
        token: entry.get(CommandEntry::TOKEN),
        signed,
        pointer,
    };
    let mut input = entry.get(CommandEntry::INPUT).to_be_bytes().to_vec();
    let first = entry.get(CommandEntry::INPUT_MAILBOX);
    chain(first, len, Delivery::InputPointer).walk(bus, |data| input.extend_from_slice(data))?;
    input.truncate(len);
    let first = entry.get(CommandEntry::OUTPUT_MAILBOX);
    let mailboxes = chain(first, room, Delivery::OutputPointer).walk(bus, |_| {})?;
    Ok(Delivered {
        slot,
        last: last_word(&entry),
        input,
        output: vec![0; room.max(INLINE)],
        mailboxes,
    })
}

impl Core {
    /// Takes the commands that were rung for.
    pub fn take_commands(&mut self, slots: u32, queue: u64, bus: &Bus<'_>) {
        if self.hangs() {
            return;
        }
        for slot in (0..1 << LOG_COMMANDS).filter(|slot| slots >> slot & 1 == 1) {
            if self.commands.busy >> slot & 1 == 1 {
                self.violation(format!(
                    "command slot {slot} rung while its command is under way"
                ));
                continue;
            }
            if let Err(at) = self.take_command(slot, queue, bus) {
                self.violation(format!("command slot {slot}: no memory at {:#x}", at.0));
            }
        }
    }

    fn take_command(&mut self, slot: u32, queue: u64, bus: &Bus<'_>) -> Result<(), Unreachable> {
        let at = queue + u64::from(slot << LOG_COMMAND);
        // The ownership first: what is in the entry was written before.
        if bus.load(at + 0x3c)? & 1 == 0 {
            self.violation(format!("command slot {slot} rung, but the host owns it"));
            return Ok(());
        }
        let mut bytes = [0; CommandEntry::SIZE];
        bus.read(at, &mut bytes)?;
        let Some(entry) = View::<CommandEntry, _>::new(bytes) else {
            return Ok(());
        };
        self.commands.busy |= 1 << slot;
        let last = last_word(&entry);
        match deliver(slot, entry, self.commands_are_signed(), bus) {
            Ok(command) => self.carry_out(command, queue, bus),
            Err(delivery) => {
                self.statistics.undelivered += 1;
                self.note(&format!(
                    "slot {slot} not delivered: {delivery:?}, {bytes:02x?}"
                ));
                let event = self.command_events_taker();
                let command = Delivered {
                    slot,
                    last,
                    input: Vec::new(),
                    output: vec![0; INLINE],
                    mailboxes: Vec::new(),
                };
                self.tell(queue, delivery, &command, event, bus);
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, mut command: Delivered, queue: u64, bus: &Bus<'_>) {
        let mut event = self.command_events_taker();
        command.output.fill(0);
        let opcode = command.input.first_chunk().map(|b| u16::from_be_bytes(*b));
        let opcode = opcode.and_then(Opcode::of);
        let outcome = if self.command_fails(opcode) {
            Err(Syndrome::Injected)
        } else {
            self.execute(&command.input, &mut command.output, bus)
        };
        if outcome == Err(Syndrome::WaitsForPages) {
            self.commands.starved.push(command);
            return;
        }
        self.commands_since_reset += 1;
        self.statistics.commands += 1;
        if outcome.is_err() {
            self.statistics.refused += 1;
        }
        self.commands_counted(bus);
        conclude(&mut command.output, outcome);
        self.trace(|trace| trace.command(&command.input, &command.output, outcome));
        match self.command_fault(opcode) {
            Some(CommandFault::Lost) => return,
            Some(CommandFault::Late(by)) => {
                self.commands.late.push((bus.now + by, command, event));
                return;
            }
            Some(CommandFault::NoEvent) => event = None,
            None => {}
        }
        self.tell(queue, Delivery::Ok, &command, event, bus);
    }

    /// Tells the commands whose time has come; answers how many.
    pub fn tell_late_commands(&mut self, queue: u64, bus: &Bus<'_>) -> usize {
        let all = std::mem::take(&mut self.commands.late);
        let (due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(due, ..)| *due <= bus.now);
        self.commands.late = later;
        for (_, command, event) in &due {
            self.tell(queue, Delivery::Ok, command, *event, bus);
        }
        due.len()
    }

    /// Whether commands wait for memory.
    pub fn are_starved(&self) -> bool {
        !self.commands.starved.is_empty()
    }

    /// Carries out what has waited for memory.
    pub fn resume_commands(&mut self, queue: u64, bus: &Bus<'_>) {
        for command in std::mem::take(&mut self.commands.starved) {
            self.carry_out(command, queue, bus);
        }
    }

    /// Gives an entry back to the host.
    fn tell(
        &mut self,
        queue: u64,
        delivery: Delivery,
        command: &Delivered,
        event: Option<u32>,
        bus: &Bus<'_>,
    ) {
        let slot = command.slot;
        self.commands.busy &= !(1 << slot);
        if let Err(at) = give_back(queue, delivery, command, bus) {
            self.violation(format!("command slot {slot}: no memory at {:#x}", at.0));
        }
        if event.is_some() && event == self.command_events_taker() {
            self.command_event(1 << slot, bus);
        }
    }
}

fn give_back(
    queue: u64,
    delivery: Delivery,
    command: &Delivered,
    bus: &Bus<'_>,
) -> Result<(), Unreachable> {
    let at = queue + u64::from(command.slot << LOG_COMMAND);
    let (inline, rest) = command.output.split_at(INLINE.min(command.output.len()));
    for (mailbox, data) in command.mailboxes.iter().zip(rest.chunks(MAILBOX_DATA)) {
        bus.write(*mailbox, data)?;
    }
    bus.write(at + 0x20, inline)?;
    bus.store(at + 0x3c, command.last & !0xff | (delivery as u32) << 1)
}
