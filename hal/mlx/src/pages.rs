//! Memory that the firmware asks for: pages of 4 KiB, which are its own until it gives them back.
//!
//! A function asks for some to boot, for more to initialise, and for others as it goes along,
//! through an event. What it gives back is believed only if it has it.

use crate::command::{Answer, CommandQueue, Done};
use crate::error::MlxError;
use crate::function::FunctionId;
use hal::pci::{DmaMemory, Iova, PAGE, PciFunction};
use hal_mlx_prm::command::{
    Input, ManagePagesIn, ManagePagesOut, PageAddress, QueryPagesIn, QueryPagesOut,
};
use hal_mlx_prm::{Opcode, View};
use std::collections::HashMap;

/// Pages that are made together.
const CHUNK: usize = 512;
/// Pages of one command: an input of some mailboxes.
const BATCH: usize = 512;

/// When pages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Phase {
    /// Before the function's interface is set.
    Boot = 1,
    /// Before it is initialised.
    Init = 2,
}

/// Variants of MANAGE_PAGES.
const CANNOT_GIVE: u16 = 0;
const GIVE: u16 = 1;
const TAKE: u16 = 2;

/// The pages that the firmware has, and some that it has given back.
#[derive(Default)]
pub struct Pages {
    chunks: Vec<DmaMemory>,
    free: Vec<Iova>,
    /// Who has a page.
    given: HashMap<Iova, FunctionId>,
}

impl Pages {
    /// Pages that a function has.
    pub fn given_to(&self, function: FunctionId) -> usize {
        self.given.values().filter(|f| **f == function).count()
    }

    fn take(&mut self, device: &PciFunction, count: usize) -> Result<Vec<Iova>, MlxError> {
        while self.free.len() < count {
            let chunk = device.dma("firmware pages", CHUNK * PAGE)?;
            let pages = (0..CHUNK).rev().map(|i| chunk.iova() + i * PAGE);
            self.free.extend(pages);
            self.chunks.push(chunk);
        }
        Ok(self.free.split_off(self.free.len() - count))
    }

    /// Asks how many pages a function wants, and gives them.
    ///
    /// # Errors
    /// The command fails, or the number makes no sense.
    pub fn satisfy(
        &mut self,
        device: &PciFunction,
        commands: &mut CommandQueue,
        function: FunctionId,
        phase: Phase,
        others: &mut Vec<Done>,
    ) -> Result<(), MlxError> {
        let mut query = View::<QueryPagesIn, _>::zeroed();
        query.set(QueryPagesIn::FUNCTION_ID, function.0);
        query
            .at_mut(QueryPagesIn::HEAD)
            .set(Input::OP_MOD, phase as u16);
        let mut query = query.into_inner();
        let len = QueryPagesOut::SIZE;
        let answer =
            commands.execute(Opcode::QueryPages, &mut query, len, others, |_, _| Ok(()))?;
        let wanted = View::<QueryPagesOut, _>::new(answer).map(|v| v.get(QueryPagesOut::NUM_PAGES));
        let wanted = wanted.unwrap_or(0) as i32;
        let wanted = usize::try_from(wanted).map_err(|_| MlxError::Nonsense {
            what: "how many pages it wants",
            value: wanted as u32 as u64,
        })?;
        self.give(device, commands, function, wanted, others)
    }

    /// Gives pages, or says that there are none.
    ///
    /// # Errors
    /// The command fails; the pages stay here.
    pub fn give(
        &mut self,
        device: &PciFunction,
        commands: &mut CommandQueue,
        function: FunctionId,
        count: usize,
        others: &mut Vec<Done>,
    ) -> Result<(), MlxError> {
        let mut left = count;
        // Nothing is given too: the firmware waits for the command.
        loop {
            let now = left.min(BATCH);
            let pages = match self.take(device, now) {
                Ok(pages) => pages,
                Err(e) => {
                    self.command(commands, function, CANNOT_GIVE, 0, &[], others)?;
                    return Err(e);
                }
            };
            let given = self.command(commands, function, GIVE, now, &pages, others);
            if let Err(e) = given {
                self.free.extend(pages);
                return Err(e);
            }
            self.given
                .extend(pages.into_iter().map(|page| (page, function)));
            left -= now;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Takes up to `count` pages back from a function; how many came.
    ///
    /// # Errors
    /// The command fails, or what comes is not the function's.
    pub fn reclaim(
        &mut self,
        commands: &mut CommandQueue,
        function: FunctionId,
        count: usize,
        others: &mut Vec<Done>,
    ) -> Result<usize, MlxError> {
        let count = count.min(BATCH);
        let answer = self.command(commands, function, TAKE, count, &[], others)?;
        let Some(answer) = View::<ManagePagesOut, _>::new(answer) else {
            return Ok(0);
        };
        let came = answer.get(ManagePagesOut::NUM_ENTRIES) as usize;
        let nonsense = |value| MlxError::Nonsense {
            what: "a page that it gives back",
            value,
        };
        if came > count {
            return Err(nonsense(came as u64));
        }
        for page in answer.items(ManagePagesOut::PAGES).take(came) {
            let page = Iova(page.get(PageAddress::PAGE) << 12);
            if self.given.get(&page) != Some(&function) {
                return Err(nonsense(page.0));
            }
            self.given.remove(&page);
            self.free.push(page);
        }
        Ok(came)
    }

    /// Takes all pages back from a function.
    ///
    /// # Errors
    /// The command fails, or the function keeps some.
    pub fn reclaim_all(
        &mut self,
        commands: &mut CommandQueue,
        function: FunctionId,
        others: &mut Vec<Done>,
    ) -> Result<(), MlxError> {
        loop {
            let left = self.given_to(function);
            if left == 0 {
                return Ok(());
            }
            if self.reclaim(commands, function, left, others)? == 0 {
                return Err(MlxError::Nonsense {
                    what: "for its pages back",
                    value: left as u64,
                });
            }
        }
    }

    fn command(
        &mut self,
        commands: &mut CommandQueue,
        function: FunctionId,
        variant: u16,
        count: usize,
        pages: &[Iova],
        others: &mut Vec<Done>,
    ) -> Result<Answer, MlxError> {
        let mut input = View::with_tail(ManagePagesIn::PAGES, pages.len());
        input
            .set(ManagePagesIn::FUNCTION_ID, function.0)
            .set(ManagePagesIn::NUM_ENTRIES, count as u32);
        input
            .at_mut(ManagePagesIn::HEAD)
            .set(Input::OP_MOD, variant);
        for (i, page) in pages.iter().enumerate() {
            if let Some(mut item) = input.item_mut(ManagePagesIn::PAGES, i) {
                item.set(PageAddress::PAGE, page.0 >> 12);
            }
        }
        let back = if variant == TAKE { count } else { 0 };
        let output_len = ManagePagesOut::SIZE + back * PageAddress::SIZE;
        let mut input = input.into_inner();
        let nothing = |_: &mut CommandQueue, _: &mut Vec<Done>| Ok(());
        commands.execute(Opcode::ManagePages, &mut input, output_len, others, nothing)
    }
}
