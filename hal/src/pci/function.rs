//! The function itself: one for all transports.

use super::in_process::InProcess;
use super::iova::IovaSpace;
use super::transport::HandedOver;
use super::{Bar, DmaMemory, Endpoint, Interrupt, Iova, PAGE, PciError, SharedMemory, Transport};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Offset of the command register in configuration space, and its bits for memory accesses and
/// bus mastering (PCI Local Bus Specification 3.0, §6.2.2).
const COMMAND: u16 = 4;
const MEMORY: u16 = 0b010;
const MASTER: u16 = 0b100;

/// A PCI function; clones are the same one.
#[derive(Clone)]
pub struct PciFunction(Arc<Shared>);

pub(super) struct Shared {
    transport: Arc<dyn Transport>,
    space: Mutex<IovaSpace>,
    /// What is mapped, by address.
    regions: Mutex<BTreeMap<Iova, Region>>,
    leaked: AtomicU64,
}

/// Mapped memory, as the function's books know it.
struct Region {
    label: String,
    memory: SharedMemory,
    /// There is a [`DmaMemory`] of it; not yet if it was handed over.
    claimed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Unmaps memory; keeps it for ever if that fails.
    pub(super) fn let_go(&self, at: Iova, memory: &SharedMemory) {
        match self.transport.unmap(at, memory.len()) {
            Ok(()) => {
                lock(&self.regions).remove(&at);
                lock(&self.space).give_back(at, memory.len() as u64);
            }
            Err(_) => {
                self.leaked.fetch_add(memory.len() as u64, Relaxed);
                std::mem::forget(memory.clone());
            }
        }
    }
}

impl PciFunction {
    /// The function at the end of this way.
    ///
    /// # Errors
    /// It does not say which addresses it can reach.
    pub fn open(transport: Arc<dyn Transport>) -> Result<PciFunction, PciError> {
        let space = IovaSpace::new(&transport.iova_ranges()?);
        Ok(PciFunction(Arc::new(Shared {
            transport,
            space: Mutex::new(space),
            regions: Mutex::default(),
            leaked: AtomicU64::new(0),
        })))
    }

    /// A function that this process plays itself. It is closed, and so reset, when the last
    /// handle and the last [`DmaMemory`] are gone.
    ///
    /// # Errors
    /// None so far: an endpoint in the same process answers.
    pub fn in_process(name: &str, endpoint: Arc<dyn Endpoint>) -> Result<PciFunction, PciError> {
        PciFunction::open(Arc::new(InProcess::new(name, endpoint)))
    }

    /// Goes on with a function that another had, over the way that was handed over with it.
    /// Nothing is reset; mapped memory is there to be claimed ([`PciFunction::claim_dma`]).
    ///
    /// # Errors
    /// A region that cannot be mapped into this process, or that the way does not have.
    pub fn adopt(
        transport: Arc<dyn Transport>,
        regions: Vec<HandoverRegion>,
    ) -> Result<PciFunction, PciError> {
        let function = PciFunction::open(transport)?;
        for region in regions {
            let HandoverRegion { label, at, fd, len } = region;
            let what = || format!("memory {label} at {at}");
            let memory = SharedMemory::map(fd, 0, len)
                .map_err(|e| PciError::refused(function.address(), what(), e))?;
            if !lock(&function.0.space).claim(at, len as u64) {
                let why = "its addresses are not free";
                return Err(PciError::refused(function.address(), what(), why));
            }
            lock(&function.0.regions).insert(
                at,
                Region {
                    label,
                    memory,
                    claimed: false,
                },
            );
        }
        Ok(function)
    }

    /// The function, for people.
    pub fn address(&self) -> &str {
        self.0.transport.address()
    }

    /// Reads configuration space.
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn read_config(&self, at: u16, out: &mut [u8]) -> Result<(), PciError> {
        self.0.transport.read_config(at, out)
    }

    /// Writes configuration space.
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn write_config(&self, at: u16, data: &[u8]) -> Result<(), PciError> {
        self.0.transport.write_config(at, data)
    }

    /// Lets the function answer to memory accesses and reach memory itself, or ends the latter:
    /// its registers can be read until the end.
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn set_master(&self, on: bool) -> Result<(), PciError> {
        let mut command = [0; 2];
        self.read_config(COMMAND, &mut command)?;
        let bits = u16::from_le_bytes(command);
        let bits = match on {
            true => bits | MEMORY | MASTER,
            false => bits & !MASTER,
        };
        self.write_config(COMMAND, &bits.to_le_bytes())
    }

    /// Vendor and device (PCI Local Bus Specification 3.0, §6.2.1).
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn ids(&self) -> Result<(u16, u16), PciError> {
        let mut ids = [0; 4];
        self.read_config(0, &mut ids)?;
        let [a, b, c, d] = ids;
        if ids == [0xff; 4] {
            let what = "its configuration space reads as all ones";
            return Err(PciError::gone(self.address(), what));
        }
        Ok((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
    }

    /// The registers behind a BAR.
    ///
    /// # Errors
    /// There is no such BAR, or the function is gone.
    pub fn bar(&self, index: u8) -> Result<Bar, PciError> {
        Bar::open(self.0.transport.clone(), index)
    }

    /// New memory that the function can reach: at least `len` bytes, zero, whole pages. `label`
    /// is how an adopter finds it again.
    ///
    /// # Errors
    /// No memory, no addresses, or the map is refused.
    pub fn dma(&self, label: &str, len: usize) -> Result<DmaMemory, PciError> {
        let what = || format!("{len} bytes for {label}");
        let refused =
            |why: &dyn ToString| PciError::refused(self.address(), what(), why.to_string());
        let memory = SharedMemory::new(label, len).map_err(|e| refused(&e))?;
        // Naturally aligned up to 2 MiB, so that an IOMMU can use large pages.
        let align = memory.len().next_power_of_two().clamp(PAGE, 2 << 20) as u64;
        let at = lock(&self.0.space).take(memory.len() as u64, align);
        let at = at.ok_or_else(|| refused(&"no addresses are left"))?;
        if let Err(e) = self.0.transport.map(at, &memory) {
            lock(&self.0.space).give_back(at, memory.len() as u64);
            return Err(e);
        }
        let region = Region {
            label: label.into(),
            memory: memory.clone(),
            claimed: true,
        };
        lock(&self.0.regions).insert(at, region);
        Ok(DmaMemory {
            memory,
            at,
            function: self.0.clone(),
        })
    }

    /// Memory that was mapped before the function was adopted; none if there is none of that label
    /// at that address, or somebody has it.
    pub fn claim_dma(&self, label: &str, at: Iova) -> Option<DmaMemory> {
        let mut regions = lock(&self.0.regions);
        let region = regions.get_mut(&at)?;
        if region.label != label || std::mem::replace(&mut region.claimed, true) {
            return None;
        }
        Some(DmaMemory {
            memory: region.memory.clone(),
            at,
            function: self.0.clone(),
        })
    }

    /// The addresses of mapped memory of this label.
    pub fn dma_labelled(&self, label: &str) -> Vec<Iova> {
        let regions = lock(&self.0.regions);
        let labelled = regions.iter().filter(|(_, r)| r.label == label);
        labelled.map(|(at, _)| *at).collect()
    }

    /// Bytes of memory that were kept since the function would not let go of them.
    pub fn leaked(&self) -> u64 {
        self.0.leaked.load(Relaxed)
    }

    /// How many interrupts the function has.
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn interrupt_count(&self) -> Result<usize, PciError> {
        self.0.transport.interrupt_count()
    }

    /// Turns the first interrupts on; those of an earlier call are off.
    ///
    /// # Errors
    /// There are fewer, or the function is gone.
    pub fn interrupts(&self, count: usize) -> Result<Vec<Interrupt>, PciError> {
        let failed = |e| PciError::refused(self.address(), "interrupts", e);
        let interrupts = (0..count).map(|_| Interrupt::new().map_err(failed));
        let interrupts = interrupts.collect::<Result<Vec<_>, _>>()?;
        self.set_interrupts(interrupts.iter())?;
        Ok(interrupts)
    }

    /// Turns the first interrupts on, as after a reset, with those that there were before.
    ///
    /// # Errors
    /// There are fewer, or the function is gone.
    pub fn set_interrupts<'i>(
        &self,
        interrupts: impl Iterator<Item = &'i Interrupt>,
    ) -> Result<(), PciError> {
        let failed = |e| PciError::refused(self.address(), "interrupts", e);
        let fds = interrupts.map(|i| i.descriptor().map_err(failed));
        let fds = fds.collect::<Result<Vec<_>, _>>()?;
        self.0.transport.set_interrupts(fds)
    }

    /// Resets the function (function-level reset).
    ///
    /// # Errors
    /// The function is gone or refuses.
    pub fn reset(&self) -> Result<(), PciError> {
        self.0.transport.reset()
    }

    /// All that another needs to go on with the function: copies of the descriptors, so that this
    /// process may end.
    ///
    /// # Errors
    /// A descriptor cannot be copied.
    pub fn hand_over(&self) -> Result<Handover, PciError> {
        let way = self.0.transport.clone().hand_over()?;
        let mut regions = Vec::new();
        for (at, region) in lock(&self.0.regions).iter() {
            let fd = region.memory.fd().try_clone_to_owned();
            regions.push(HandoverRegion {
                label: region.label.clone(),
                at: *at,
                fd: fd.map_err(|e| PciError::refused(self.address(), "hand-over", e))?,
                len: region.memory.len(),
            });
        }
        Ok(Handover {
            address: self.address().into(),
            way,
            regions,
        })
    }
}

/// A function on its way to another owner.
pub struct Handover {
    /// The function.
    pub address: String,
    /// The way to it.
    pub way: HandedOver,
    /// What is mapped.
    pub regions: Vec<HandoverRegion>,
}

/// Mapped memory on its way to another owner.
pub struct HandoverRegion {
    /// What it is for.
    pub label: String,
    /// Its address as the function sees it.
    pub at: Iova,
    /// The memory.
    pub fd: OwnedFd,
    /// Bytes.
    pub len: usize,
}

#[cfg(test)]
mod tests {
    use super::super::BarFault;
    use super::*;

    /// A function with one BAR whose first word can be written, and a ledger of its memory.
    #[derive(Default)]
    struct Ledger {
        config: Mutex<[u8; 32]>,
        word: Mutex<[u8; 4]>,
        mapped: Mutex<BTreeMap<Iova, SharedMemory>>,
        keeps: Mutex<bool>,
        closed: AtomicU64,
        vectors: Mutex<Vec<Option<OwnedFd>>>,
    }

    impl Endpoint for Ledger {
        fn read_config(&self, at: u16, out: &mut [u8]) {
            out.copy_from_slice(&lock(&self.config)[usize::from(at)..][..out.len()]);
        }
        fn write_config(&self, at: u16, data: &[u8]) {
            lock(&self.config)[usize::from(at)..][..data.len()].copy_from_slice(data);
        }
        fn bar_len(&self, bar: u8) -> u64 {
            if bar == 0 { 4096 } else { 0 }
        }
        fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), BarFault> {
            let len = out.len();
            let fault = BarFault { bar, at, len };
            (at == 0).then_some(()).ok_or(fault)?;
            out.copy_from_slice(&lock(&self.word)[..len]);
            Ok(())
        }
        fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), BarFault> {
            let len = data.len();
            (at == 0 && len == 4)
                .then_some(())
                .ok_or(BarFault { bar, at, len })?;
            lock(&self.word).copy_from_slice(data);
            Ok(())
        }
        fn map(&self, at: Iova, memory: SharedMemory, _: bool) -> Result<(), String> {
            lock(&self.mapped).insert(at, memory);
            Ok(())
        }
        fn unmap(&self, at: Iova, _: usize) -> Result<(), String> {
            if *lock(&self.keeps) {
                return Err("busy".into());
            }
            lock(&self.mapped)
                .remove(&at)
                .map(|_| ())
                .ok_or("none".into())
        }
        fn interrupt_count(&self) -> usize {
            2
        }
        fn set_interrupts(&self, eventfds: Vec<Option<OwnedFd>>) -> Result<(), String> {
            if eventfds.len() > 2 {
                return Err("there are 2".into());
            }
            *lock(&self.vectors) = eventfds;
            Ok(())
        }
        fn reset(&self) {}
        fn close(&self) {
            lock(&self.mapped).clear();
            self.closed.fetch_add(1, Relaxed);
        }
    }

    fn function() -> (Arc<Ledger>, PciFunction) {
        let ledger = Arc::new(Ledger::default());
        let function = PciFunction::in_process("test", ledger.clone()).unwrap();
        (ledger, function)
    }

    #[test]
    fn memory_is_mapped_as_long_as_it_lives_and_the_function_as_long_as_its_memory() {
        let (ledger, function) = function();
        let a = function.dma("a", 5000).unwrap();
        let b = function.dma("b", 1).unwrap();
        assert_eq!((a.len(), b.len()), (8192, 4096));
        assert!(a.iova() != b.iova() && a.iova().0.is_multiple_of(8192));
        a.write(0, b"hello");
        let mut seen = [0; 5];
        lock(&ledger.mapped)[&a.iova()].read(0, &mut seen);
        assert_eq!(&seen, b"hello");
        let at = b.iova();
        drop(b);
        assert!(!lock(&ledger.mapped).contains_key(&at));
        assert_eq!(function.dma("c", 1).unwrap().iova(), at);
        drop(function);
        assert_eq!(ledger.closed.load(Relaxed), 0);
        drop(a);
        assert_eq!(ledger.closed.load(Relaxed), 1);
    }

    #[test]
    fn memory_that_is_not_let_go_of_is_kept_and_counted() {
        let (ledger, function) = function();
        let a = function.dma("a", 4096).unwrap();
        let at = a.iova();
        *lock(&ledger.keeps) = true;
        drop(a);
        assert_eq!(function.leaked(), 4096);
        assert_ne!(function.dma("b", 4096).unwrap().iova(), at);
    }

    #[test]
    fn registers_words_and_interrupts_reach_the_other_side() {
        let (ledger, function) = function();
        let bar = function.bar(0).unwrap();
        bar.write_be32(0, 0x0102_0304).unwrap();
        assert_eq!(*lock(&ledger.word), [1, 2, 3, 4]);
        assert_eq!(bar.read_be32(0).unwrap(), 0x0102_0304);
        for at in [4, 4096, 2, u64::MAX - 1] {
            assert!(bar.read_be32(at).is_err(), "{at}");
        }
        assert!(function.bar(1).is_err());
        function.set_master(true).unwrap();
        assert_eq!(lock(&ledger.config)[4], 6);
        function.set_master(false).unwrap();
        assert_eq!(lock(&ledger.config)[4], 2);
        lock(&ledger.config)[..4].copy_from_slice(&[0xb3, 0x15, 0x17, 0x10]);
        assert_eq!(function.ids(), Ok((0x15b3, 0x1017)));
        lock(&ledger.config)[..4].fill(0xff);
        assert!(matches!(function.ids(), Err(PciError::Gone { .. })));
        let interrupts = function.interrupts(2).unwrap();
        assert!(!interrupts[1].take());
        let vectors = lock(&ledger.vectors);
        rustix::io::write(vectors[1].as_ref().unwrap(), &1u64.to_ne_bytes()).unwrap();
        assert!(interrupts[1].take() && !interrupts[1].take() && !interrupts[0].take());
        drop(vectors);
        let refused = function.interrupts(3).unwrap_err().to_string();
        assert_eq!(refused, "test: interrupts: there are 2");
    }

    #[test]
    fn an_adopter_finds_the_memory_and_nothing_is_closed() {
        let (ledger, function) = function();
        let a = function.dma("rings", 4096).unwrap();
        a.write(0, b"state");
        let at = a.iova();
        let handover = function.hand_over().unwrap();
        // As if the process had been killed: nobody unmaps anything.
        std::mem::forget(a);
        drop(function);
        let HandedOver::Way(way) = handover.way else {
            panic!("a way");
        };
        let adopted = PciFunction::adopt(way, handover.regions).unwrap();
        assert_eq!(ledger.closed.load(Relaxed), 0);
        assert_eq!(adopted.dma_labelled("rings"), [at]);
        assert!(adopted.claim_dma("other", at).is_none());
        let a = adopted.claim_dma("rings", at).unwrap();
        assert!(adopted.claim_dma("rings", at).is_none());
        let mut seen = [0; 5];
        a.read(0, &mut seen);
        assert_eq!(&seen, b"state");
        assert_ne!(adopted.dma("new", 1).unwrap().iova(), at);
    }
}
