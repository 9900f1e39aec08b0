//! The host's memory that the device keeps its own things in.
//!
//! The device says how many pages it wants (QUERY_PAGES) and gets them (MANAGE_PAGES): some to
//! boot, some for INIT_HCA, more as objects come. The model has no need of them and stands up for
//! them all the same: it writes its mark into each and finds it there when it gives the page
//! back, so that a host that uses a page which it has given away is found out.

use super::command::{Call, Outcome};
use super::core::{Bus, Core, Stage};
use super::syndrome::Syndrome;
use hal_mlx_prm::command::{
    ManagePagesIn, ManagePagesOut, PageAddress, QueryPagesIn, QueryPagesOut,
};
use hal_mlx_prm::{Opcode, View};
use std::collections::BTreeSet;

/// Bytes of a page, log 2.
const LOG_PAGE: u32 = 12;
/// What the device writes into each page that it has.
const MARK: [u8; 16] = *b"a device's page.";

/// The pages that the device has.
#[derive(Default)]
pub(super) struct Pages {
    /// By number: address / 4096.
    held: BTreeSet<u64>,
    boot: u32,
    init: u32,
    /// Wanted beyond boot and init, for objects.
    grown: u32,
    /// The host has been asked for them.
    asked: bool,
    /// And has said that it has none.
    denied: bool,
}

impl Pages {
    pub fn new(boot: u32, init: u32) -> Pages {
        Pages {
            boot,
            init,
            ..Pages::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// How many more than it has it wants for INIT_HCA.
    pub fn missing(&self) -> i64 {
        self.wanted() - self.held.len() as i64
    }

    fn wanted(&self) -> i64 {
        i64::from(self.boot) + i64::from(self.init) + i64::from(self.grown)
    }

    /// Whether the host has answered what it was asked.
    pub fn is_settled(&self) -> bool {
        self.missing() <= 0 || self.denied
    }

    /// What is not there is not wanted any more.
    fn do_without(&mut self) {
        let more = self.held.len() as i64 - i64::from(self.boot) - i64::from(self.init);
        self.grown = more.clamp(0, self.grown.into()) as u32;
    }

    /// There are no objects any more.
    pub fn forget_growth(&mut self) {
        (self.grown, self.asked, self.denied) = (0, false, false);
    }

    fn missing_to_boot(&self) -> i64 {
        i64::from(self.boot) - self.held.len() as i64
    }
}

/// Objects that fit into a page.
const PER_PAGE: usize = 16;
/// Pages that are asked for, or given back, at a time.
const BATCH: usize = 16;

impl Core {
    /// Pages beyond boot and init that so many objects want.
    fn growth(&self, objects: usize) -> u32 {
        let fits = self.settings.objects;
        let fits = fits.unwrap_or(self.model.init_pages as usize * PER_PAGE);
        let pages = objects.saturating_sub(fits).div_ceil(PER_PAGE);
        pages.next_multiple_of(BATCH) as u32
    }

    /// Sees to it that there is memory for what a command creates. If not, the host is asked and
    /// the command waits; the host answers with a command of its own.
    pub fn provide_pages(&mut self, opcode: Opcode, bus: &Bus<'_>) -> Outcome {
        let creates = opcode.name().starts_with("CREATE_") || opcode.name().starts_with("ALLOC_");
        if !creates {
            return Ok(());
        }
        self.pages.grown = self.pages.grown.max(self.growth(self.load() + 1));
        if self.pages.missing() <= 0 {
            return Ok(());
        }
        if self.pages.denied {
            self.pages.denied = false;
            self.pages.asked = false;
            self.pages.do_without();
            return Err(Syndrome::NoPages);
        }
        if !self.pages.asked {
            // No more than fits a signed number of 32 bits: it grew by one object.
            let missing = self.pages.missing() as i32;
            if !self.page_event(missing, bus) {
                self.pages.do_without();
                return Err(Syndrome::NoPages);
            }
            self.pages.asked = true;
        }
        Err(Syndrome::WaitsForPages)
    }

    /// Tells the host of pages that are no longer needed.
    pub fn release_pages(&mut self, bus: &Bus<'_>) {
        let needed = self.growth(self.load());
        let surplus = self.pages.grown.saturating_sub(needed);
        if surplus as usize >= 2 * BATCH && !self.pages.asked {
            self.pages.grown = needed;
            self.page_event(-(surplus as i32), bus);
        }
    }

    /// How much memory objects take.
    fn load(&self) -> usize {
        self.objects.len()
    }

    /// QUERY_PAGES: 1 for booting, 2 for INIT_HCA, 3 for what has grown since.
    pub fn query_pages(&mut self, call: &mut Call<'_>) -> Outcome {
        let function = call.input::<QueryPagesIn>()?.get(QueryPagesIn::FUNCTION_ID);
        self.check_page_owner(function)?;
        let pages = match (function, call.op_mod) {
            (_, 1..=3) if function != 0 => 0,
            (_, 1) => self.pages.missing_to_boot().max(0),
            (_, 2) => self.pages.missing().max(0),
            (_, 3) => self.pages.missing(),
            _ => return Err(Syndrome::UnknownPageVariant),
        };
        let mut out = call.output::<QueryPagesOut>()?;
        // As a signed number of 32 bits.
        out.set(QueryPagesOut::FUNCTION_ID, function)
            .set(QueryPagesOut::NUM_PAGES, pages as u32);
        Ok(())
    }

    fn check_page_owner(&self, function: u16) -> Outcome {
        if function > self.vfs {
            return Err(Syndrome::NoSuchFunction);
        }
        Ok(())
    }

    /// MANAGE_PAGES: 0 the host cannot give, 1 it gives, 2 it takes back.
    pub fn manage_pages(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input::<ManagePagesIn>()?;
        let entries = input.get(ManagePagesIn::NUM_ENTRIES) as usize;
        self.check_page_owner(input.get(ManagePagesIn::FUNCTION_ID))?;
        match call.op_mod {
            0 => {
                self.pages.denied = self.pages.asked;
                Ok(())
            }
            1 => {
                let pages = input.items(ManagePagesIn::PAGES);
                let pages: Vec<u64> = pages.map(|p| p.get(PageAddress::PAGE)).collect();
                // Linux's list may be longer than it says.
                let pages = pages.get(..entries).ok_or(Syndrome::PageCount)?;
                self.take_pages(pages, call.bus)
            }
            2 => self.give_pages(entries, call),
            _ => Err(Syndrome::UnknownPageVariant),
        }
    }

    fn take_pages(&mut self, pages: &[u64], bus: &Bus<'_>) -> Outcome {
        let mut new = BTreeSet::new();
        for page in pages {
            if *page == 0 || self.pages.held.contains(page) || !new.insert(*page) {
                return Err(Syndrome::PageGivenTwice);
            }
        }
        for page in pages {
            let written = bus.write(page << LOG_PAGE, &MARK);
            written.map_err(|_| Syndrome::PageUnreachable)?;
        }
        self.pages.held.append(&mut new);
        self.pages.asked &= self.pages.missing() > 0;
        Ok(())
    }

    /// Gives back as many as are asked for, but none that it needs.
    fn give_pages(&mut self, most: usize, call: &mut Call<'_>) -> Outcome {
        let idle = match self.stage {
            Stage::Initialised => usize::try_from(-self.pages.missing()).unwrap_or(0),
            _ => self.pages.held.len(),
        };
        let count = most.min(idle);
        let room = call.output.len() - ManagePagesOut::SIZE;
        if room < count * PageAddress::SIZE {
            return Err(Syndrome::OutputLength);
        }
        let mut given = Vec::new();
        for _ in 0..count {
            given.extend(self.pages.held.pop_last());
        }
        for page in &given {
            let mut mark = [0; MARK.len()];
            let read = call.bus.read(page << LOG_PAGE, &mut mark);
            if read.is_err() || mark != MARK {
                let at = page << LOG_PAGE;
                self.violation(format!("the page at {at:#x} was given away and used"));
            }
        }
        let mut out = call.output::<ManagePagesOut>()?;
        out.set(ManagePagesOut::NUM_ENTRIES, given.len() as u32);
        for (i, page) in given.iter().enumerate() {
            if let Some(mut item) = out.item_mut(ManagePagesOut::PAGES, i) {
                let item: &mut View<PageAddress, _> = &mut item;
                item.set(PageAddress::PAGE, *page);
            }
        }
        Ok(())
    }
}
