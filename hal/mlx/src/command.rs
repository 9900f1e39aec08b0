//! The command queue: inputs go in, outputs come back, some time and in any order.
//!
//! The queue is one page of up to 32 entries. An entry holds the first 16 bytes of an input and
//! of its output; what is longer hangs on it in chains of mailboxes, 512 bytes each. Giving an
//! entry to the device is two writes, its ownership bit and a bit of the doorbell; it is done when
//! the device has taken the ownership bit away, which this looks for in memory, so that a lost
//! event or interrupt loses no command.
//!
//! Commands that are not waited for are submitted with a [`Ticket`] and come back from
//! [`CommandQueue::poll`]. [`CommandQueue::execute`] waits, for when there is nothing else to do.
//! The last entry is kept for pages, without which the firmware may not be able to finish the
//! others.
//!
//! The device is not believed: outputs are read along our own chain of mailboxes, never along
//! what the device has made of it, lengths are ours, and an entry that does not come back within
//! its time ends the device.

use crate::error::{CommandStatus, MlxError};
use crate::patience::Patience;
use crate::registers::Registers;
use clock::Time;
use hal::pci::{DmaMemory, Iova, PAGE, PciError, PciFunction};
use hal_mlx_prm::command::{Input, Output};
use hal_mlx_prm::init::InitSegment;
use hal_mlx_prm::queue::{CommandEntry, MAILBOX_DATA, Mailbox, TRANSPORT_PCI};
use hal_mlx_prm::{Opcode, View};
use smallvec::SmallVec;
use std::time::Duration;

/// Bytes of input and of output in an entry itself.
const INLINE: usize = 16;
/// From one mailbox to the next; mailboxes are aligned to this.
const MAILBOX_STRIDE: usize = 1024;
/// Mailboxes that are made together.
const MAILBOX_CHUNK: usize = 256;
/// How often, while commands are waited for, it is seen whether the device is still there.
const LOOK: Duration = Duration::from_millis(250);
/// How long a command may take if the device does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Names a command that is in flight to whoever submitted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Counts commands.
    pub number: u64,
    /// Its entry of the queue, which no other command has as long as it is in flight.
    pub slot: usize,
}

/// What a command answers: most answers fit an entry.
pub type Answer = SmallVec<[u8; INLINE]>;

/// A command that has come back.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub ticket: Ticket,
    /// Its output, or what went wrong.
    pub result: Result<Answer, MlxError>,
}

/// A mailbox: where it is among the chunks.
#[derive(Clone, Copy, Debug)]
struct MailboxId(usize);

/// Mailboxes of a chain.
type Chain = SmallVec<[MailboxId; 4]>;

/// Mailboxes, made as they are needed and then used again.
struct Mailboxes {
    chunks: Vec<DmaMemory>,
    free: Vec<MailboxId>,
}

impl Mailboxes {
    fn place(&self, id: MailboxId) -> Option<(&DmaMemory, usize)> {
        let chunk = self.chunks.get(id.0 / MAILBOX_CHUNK)?;
        Some((chunk, id.0 % MAILBOX_CHUNK * MAILBOX_STRIDE))
    }

    fn iova(&self, id: MailboxId) -> Iova {
        self.place(id)
            .map_or(Iova(0), |(chunk, at)| chunk.iova() + at)
    }

    fn take(&mut self, function: &PciFunction, count: usize) -> Result<Chain, PciError> {
        while self.free.len() < count {
            let chunk = function.dma("mailboxes", MAILBOX_CHUNK * MAILBOX_STRIDE)?;
            let first = self.chunks.len() * MAILBOX_CHUNK;
            self.chunks.push(chunk);
            self.free
                .extend((first..first + MAILBOX_CHUNK).rev().map(MailboxId));
        }
        let mut taken = Chain::new();
        while taken.len() < count
            && let Some(id) = self.free.pop()
        {
            taken.push(id);
        }
        Ok(taken)
    }

    /// Chains mailboxes and fills them with as much of `data` as there is.
    fn chain(&self, ids: &[MailboxId], token: u8, mut data: &[u8]) {
        for (number, id) in ids.iter().enumerate() {
            let next = ids.get(number + 1).map_or(Iova(0), |next| self.iova(*next));
            let Some((chunk, at)) = self.place(*id) else {
                return;
            };
            let mut mailbox = View::<Mailbox, _>::zeroed();
            mailbox
                .set(Mailbox::NEXT, next.0)
                .set(Mailbox::BLOCK_NUMBER, number as u32)
                .set(Mailbox::TOKEN, token);
            // The data's place stays as it is behind its end.
            let control = &mailbox.bytes()[MAILBOX_DATA..];
            chunk.write(at + MAILBOX_DATA, control);
            let here = data.len().min(MAILBOX_DATA);
            let (now, later) = data.split_at(here);
            chunk.write(at, now);
            data = later;
        }
    }

    /// Reads the data of a chain.
    fn read(&self, ids: &[MailboxId], out: &mut [u8]) {
        for (id, part) in ids.iter().zip(out.chunks_mut(MAILBOX_DATA)) {
            if let Some((chunk, at)) = self.place(*id) {
                chunk.read(at, part);
            }
        }
    }
}

fn mailboxes_for(len: usize) -> usize {
    len.saturating_sub(INLINE).div_ceil(MAILBOX_DATA)
}

/// A command in flight.
struct InFlight {
    ticket: Ticket,
    opcode: Opcode,
    deadline: Time,
    output_len: usize,
    input: Chain,
    output: Chain,
}

/// The command queue of a function.
pub struct CommandQueue {
    function: PciFunction,
    registers: Registers,
    patience: Patience,
    entries: DmaMemory,
    stride: usize,
    mailboxes: Mailboxes,
    slots: Vec<Option<InFlight>>,
    /// Free entries, but for the last, which is for pages: a bit each.
    free: u32,
    /// Entries that have been filled and not told of.
    doorbell: u32,
    tickets: u64,
    token: u8,
    timeout: Duration,
    /// When to see next whether the device is still there.
    next_look: Time,
    /// Commands that have been given to the device, and bytes of their inputs.
    pub sent: Sent,
}

/// What has gone to the device, for whoever counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Commands.
    pub commands: u64,
    /// Bytes of their inputs.
    pub bytes: u64,
    /// Writes of the doorbell.
    pub doorbells: u64,
}

impl CommandQueue {
    /// Sets a queue up and tells the device where it is.
    ///
    /// # Errors
    /// The device is gone, or its queue cannot be.
    pub fn open(
        function: &PciFunction,
        registers: Registers,
        patience: Patience,
    ) -> Result<CommandQueue, MlxError> {
        let log_size = registers.get(InitSegment::LOG_CMDQ_SIZE)?;
        let log_stride = registers.get(InitSegment::LOG_CMDQ_STRIDE)?;
        if log_size > 5 || log_stride < 6 || log_size + log_stride > 12 {
            return Err(MlxError::Nonsense {
                what: "the command queue's size",
                value: u64::from(log_size) << 4 | u64::from(log_stride),
            });
        }
        let timeout = match registers.get(InitSegment::COMMAND_TIMEOUT)? {
            0 | u32::MAX => DEFAULT_TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        let entries = function.dma("command queue", PAGE)?;
        let at = entries.iova().0;
        registers.write(InitSegment::CMDQ_ADDRESS_HIGH, (at >> 32) as u32)?;
        registers.write(InitSegment::CMDQ_ADDRESS_LOW, at as u32)?;
        Ok(CommandQueue {
            function: function.clone(),
            registers,
            patience,
            entries,
            stride: 1 << log_stride,
            mailboxes: Mailboxes {
                chunks: Vec::new(),
                free: Vec::new(),
            },
            slots: (0..1 << log_size).map(|_| None).collect(),
            free: ((1u64 << ((1 << log_size) - 1)) - 1) as u32,
            doorbell: 0,
            tickets: 0,
            token: 0,
            timeout,
            next_look: Time::ZERO,
            sent: Sent::default(),
        })
    }

    /// Commands in flight.
    pub fn in_flight(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// How many commands can be in flight, those for pages included.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many more can be submitted now.
    pub fn room(&self) -> usize {
        self.free.count_ones() as usize
    }

    /// Puts a command into the queue; [`CommandQueue::ring`] tells the device. None if the queue is
    /// full.
    ///
    /// # Errors
    /// There is no memory for mailboxes.
    pub fn submit(
        &mut self,
        opcode: Opcode,
        input: &mut [u8],
        output_len: usize,
    ) -> Result<Option<Ticket>, MlxError> {
        let slot = match opcode {
            Opcode::ManagePages => self.slots.len() - 1,
            _ => self.free.trailing_zeros() as usize,
        };
        if self.slots.get(slot).is_none_or(|s| s.is_some()) {
            return Ok(None);
        }
        if let Some(mut head) = View::<Input, _>::new(&mut input[..]) {
            head.set(Input::OPCODE, opcode as u16);
        }
        self.token = self.token.wrapping_add(1).max(1);
        let wanted = mailboxes_for(input.len());
        let input_boxes = self.mailboxes.take(&self.function, wanted)?;
        let wanted = mailboxes_for(output_len);
        let output_boxes = self.mailboxes.take(&self.function, wanted)?;
        let (head, rest) = input.split_at(input.len().min(INLINE));
        self.mailboxes.chain(&input_boxes, self.token, rest);
        self.mailboxes.chain(&output_boxes, self.token, &[]);
        let mut inline = [0; INLINE];
        inline[..head.len()].copy_from_slice(head);
        let first = |boxes: &[MailboxId]| boxes.first().map_or(0, |b| self.mailboxes.iova(*b).0);
        let mut entry = View::<CommandEntry, _>::zeroed();
        entry
            .set(CommandEntry::TRANSPORT, TRANSPORT_PCI)
            .set(CommandEntry::INPUT_LENGTH, input.len() as u32)
            .set(CommandEntry::INPUT_MAILBOX, first(&input_boxes))
            .set(CommandEntry::INPUT, u128::from_be_bytes(inline))
            .set(CommandEntry::OUTPUT_MAILBOX, first(&output_boxes))
            .set(CommandEntry::OUTPUT_LENGTH, output_len as u32)
            .set(CommandEntry::TOKEN, self.token)
            .set(CommandEntry::OWNED_BY_DEVICE, true);
        let sum = entry.bytes().iter().fold(0xff, |sum, b| sum ^ b);
        entry.set(CommandEntry::SIGNATURE, sum);
        let at = slot * self.stride;
        // The word with the ownership bit goes last.
        let (body, owner) = entry.bytes().split_at(CommandEntry::SIZE - 4);
        self.entries.write(at, body);
        let owner = owner.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        self.entries.store_be32(at + body.len(), owner);
        self.doorbell |= 1 << slot;
        self.tickets += 1;
        let ticket = Ticket {
            number: self.tickets,
            slot,
        };
        self.free &= !(1 << slot);
        self.slots[slot] = Some(InFlight {
            ticket,
            opcode,
            deadline: self.patience.now() + self.timeout,
            output_len,
            input: input_boxes,
            output: output_boxes,
        });
        self.sent.commands += 1;
        self.sent.bytes += input.len() as u64;
        Ok(Some(ticket))
    }

    /// Tells the device of all that was submitted since the last time.
    ///
    /// # Errors
    /// The device is gone.
    pub fn ring(&mut self) -> Result<(), MlxError> {
        if self.doorbell != 0 {
            let bits = std::mem::take(&mut self.doorbell);
            self.registers.write(InitSegment::COMMAND_DOORBELL, bits)?;
            self.sent.doorbells += 1;
        }
        Ok(())
    }

    /// Appends the commands that have come back.
    ///
    /// # Errors
    /// One of them is late or the device is gone, which is its end: what is in flight stays so.
    pub fn poll(&mut self, done: &mut Vec<Done>) -> Result<(), MlxError> {
        self.ring()?;
        let now = self.patience.now();
        let waiting = self.slots.iter().any(Option::is_some);
        if waiting && now >= self.next_look {
            self.next_look = now + LOOK;
            if self.registers.is_gone()? {
                return Err(MlxError::Gone);
            }
        }
        for slot in 0..self.slots.len() {
            let Some(waiting) = &self.slots[slot] else {
                continue;
            };
            let status = self.entries.load_be32(slot * self.stride + 0x3c);
            if status & 1 != 0 {
                if now >= waiting.deadline {
                    return Err(MlxError::Timeout {
                        opcode: waiting.opcode,
                        millis: self.timeout.as_millis() as u64,
                    });
                }
                continue;
            }
            let delivery = (status >> 1 & 0x7f) as u8;
            if let Some(waiting) = self.slots[slot].take() {
                if slot + 1 < self.slots.len() {
                    self.free |= 1 << slot;
                }
                done.push(self.collect(slot, waiting, delivery));
            }
        }
        Ok(())
    }

    fn collect(&mut self, slot: usize, waiting: InFlight, delivery: u8) -> Done {
        let InFlight {
            ticket,
            opcode,
            output_len,
            input,
            output,
            ..
        } = waiting;
        let mut bytes = Answer::from_elem(0, output_len.max(INLINE));
        let (head, rest) = bytes.split_at_mut(INLINE);
        self.entries.read(slot * self.stride + 0x20, head);
        self.mailboxes.read(&output, rest);
        self.mailboxes.free.extend(input);
        self.mailboxes.free.extend(output);
        let result = match (delivery, View::<Output, _>::new(&bytes)) {
            (0, Some(head)) => match head.get(Output::STATUS) {
                0 => Ok(bytes),
                status => Err(MlxError::Command {
                    opcode,
                    status: CommandStatus(status),
                    syndrome: head.get(Output::SYNDROME),
                }),
            },
            (status, _) => Err(MlxError::Delivery { opcode, status }),
        };
        Done { ticket, result }
    }

    /// Carries a command out and waits for its end. Others that come back meanwhile are appended
    /// to `others`. While it waits it calls `meanwhile`, which may carry out commands for pages:
    /// the device may have to have some first.
    ///
    /// # Errors
    /// What the device says, or that it says nothing, and those of `meanwhile`.
    pub fn execute(
        &mut self,
        opcode: Opcode,
        input: &mut [u8],
        output_len: usize,
        others: &mut Vec<Done>,
        mut meanwhile: impl FnMut(&mut CommandQueue, &mut Vec<Done>) -> Result<(), MlxError>,
    ) -> Result<Answer, MlxError> {
        let mut ticket = None;
        let mut patience = self.patience.clone();
        loop {
            if ticket.is_none() {
                ticket = self.submit(opcode, input, output_len)?;
            }
            self.poll(others)?;
            let ours = |d: &Done| Some(d.ticket) == ticket;
            if let Some(at) = others.iter().position(ours) {
                return others.remove(at).result;
            }
            meanwhile(self, others)?;
            patience.pause();
        }
    }

    /// The registers.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }
}
