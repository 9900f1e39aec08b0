//! The way to a function of this machine: Linux's VFIO, which lends it to a process and has an IOMMU see to
//! it that the function reaches nothing but what it is given.
//!
//! * `open` finds and opens it, or says what is in the way;
//! * `space` are its addresses, mapped through a container or an iommufd;
//! * `ioctl` are the system calls.
//!
//! The kernel resets the function when its last descriptor is closed, and holds memory that is mapped
//! until it is unmapped or the address space is gone: a process that is killed leaves no device that
//! writes into memory of others.

mod ioctl;
mod open;
mod space;

use super::bar::RegisterMap;
use super::transport::HandedOver;
use super::{Iova, PAGE, PciAddress, PciError, SharedMemory, Sysfs, Transport};
use ioctl::Region;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use space::AddressSpace;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_DEVICE_FLAGS_RESET, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_REGION_INFO_FLAG_MMAP,
};

/// BARs 0 to 5, the expansion ROM, configuration space.
const REGIONS: usize = VFIO_PCI_CONFIG_REGION_INDEX as usize + 1;
/// The command register of configuration space, and its bit that lets memory accesses through.
const COMMAND: u16 = 4;
const MEMORY: u8 = 0b10;

/// A function of this machine.
pub struct Vfio {
    address: String,
    /// Closed before the address space is.
    device: OwnedFd,
    space: AddressSpace,
    regions: [Region; REGIONS],
    vectors: usize,
    /// Bytes that are mapped, and so locked in memory.
    mapped: AtomicU64,
}

impl Vfio {
    /// Opens a function that is bound to `vfio-pci`.
    ///
    /// # Errors
    /// What is in the way, and what to do about it.
    pub fn open(sysfs: &Sysfs, address: PciAddress) -> Result<Arc<Vfio>, PciError> {
        let (device, space) = open::open(sysfs, address)?;
        Vfio::over(&address.to_string(), device, space)
    }

    /// Goes on with a function that was handed over: its device, and its address space.
    ///
    /// # Errors
    /// Those are not what the descriptors are.
    pub fn adopt(address: &str, descriptors: Vec<OwnedFd>) -> Result<Arc<Vfio>, PciError> {
        let Ok([device, space]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            let why = "two descriptors are expected";
            return Err(PciError::refused(address, "adoption", why));
        };
        Vfio::over(address, device, AddressSpace::adopt(space))
    }

    fn over(address: &str, device: OwnedFd, space: AddressSpace) -> Result<Arc<Vfio>, PciError> {
        let failed = |e: io::Error| failed(address, "open", e);
        let flags = ioctl::device_flags(&device).map_err(failed)?;
        for (flag, what) in [
            (VFIO_DEVICE_FLAGS_PCI, "it is no PCI function"),
            (
                VFIO_DEVICE_FLAGS_RESET,
                "the kernel knows no way to reset it",
            ),
        ] {
            if flags & flag == 0 {
                return Err(PciError::Unusable {
                    address: address.into(),
                    why: what.into(),
                });
            }
        }
        let mut regions = [Region::default(); REGIONS];
        for (index, region) in (0..).zip(&mut regions) {
            *region = ioctl::region(&device, index).map_err(failed)?;
        }
        let vectors = ioctl::interrupt_count(&device, VFIO_PCI_MSIX_IRQ_INDEX).map_err(failed)?;
        Ok(Arc::new(Vfio {
            address: address.into(),
            device,
            space,
            regions,
            vectors: vectors as usize,
            mapped: AtomicU64::new(0),
        }))
    }

    fn failed(&self, what: impl Into<String>, e: impl Into<io::Error>) -> PciError {
        failed(&self.address, what, e)
    }

    /// Where an access goes in the device's file.
    fn place(&self, region: usize, at: u64, len: usize) -> Result<u64, PciError> {
        let known = self.regions.get(region).copied().unwrap_or_default();
        match at.checked_add(len as u64) {
            Some(end) if end <= known.len => Ok(known.offset + at),
            _ => {
                let what = format!("{len} bytes at {at:#x} of region {region}");
                let why = format!("it has {:#x} bytes", known.len);
                Err(PciError::refused(&self.address, what, why))
            }
        }
    }

    fn read(&self, region: usize, at: u64, out: &mut [u8]) -> Result<(), PciError> {
        let place = self.place(region, at, out.len())?;
        let len = out.len();
        let what = || format!("read {len} bytes at {at:#x} of region {region}");
        match rustix::io::pread(&self.device, out, place) {
            Ok(n) if n == len => Ok(()),
            Ok(_) => Err(self.failed(what(), Errno::IO)),
            Err(e) => Err(self.failed(what(), e)),
        }
    }

    fn write(&self, region: usize, at: u64, data: &[u8]) -> Result<(), PciError> {
        let place = self.place(region, at, data.len())?;
        let what = || format!("write {} bytes at {at:#x} of region {region}", data.len());
        match rustix::io::pwrite(&self.device, data, place) {
            Ok(n) if n == data.len() => Ok(()),
            Ok(_) => Err(self.failed(what(), Errno::IO)),
            Err(e) => Err(self.failed(what(), e)),
        }
    }

    /// What the kernel means when it refuses to map memory.
    fn map_failed(&self, at: Iova, len: u64, e: io::Error) -> PciError {
        let what = format!("map {len:#x} bytes at {at}");
        match Errno::from_io_error(&e) {
            Some(Errno::NOMEM) => {
                let limit = getrlimit(Resource::Memlock).current;
                let wanted = self.mapped.load(Relaxed) + len;
                PciError::refused(&self.address, what, locked(limit, wanted))
            }
            Some(Errno::NOSPC) => {
                let why = "there are too many mappings: raise \
                           /sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
                PciError::refused(&self.address, what, why)
            }
            _ => self.failed(what, e),
        }
    }
}

/// Why memory cannot be locked.
fn locked(limit: Option<u64>, wanted: u64) -> String {
    let kib = |bytes: u64| bytes.div_ceil(1024);
    match limit {
        Some(limit) => format!(
            "this process may lock {} KiB of memory and needs {} KiB: `ulimit -l unlimited`, or \
             LimitMEMLOCK=infinity in the service's unit",
            kib(limit),
            kib(wanted)
        ),
        None => format!(
            "there is no memory for the {} KiB that are needed",
            kib(wanted)
        ),
    }
}

/// A device that is no longer there answers with these.
fn failed(address: &str, what: impl Into<String>, e: impl Into<io::Error>) -> PciError {
    let (what, e) = (what.into(), e.into());
    match Errno::from_io_error(&e) {
        Some(Errno::NODEV | Errno::NXIO | Errno::IO) => {
            PciError::gone(address, format!("{what}: {e}"))
        }
        _ => PciError::refused(address, what, e),
    }
}

impl Transport for Vfio {
    fn address(&self) -> &str {
        &self.address
    }

    fn read_config(&self, at: u16, out: &mut [u8]) -> Result<(), PciError> {
        self.read(REGIONS - 1, at.into(), out)
    }

    /// Memory accesses stay let through: without that, an access to a BAR that is mapped would end the
    /// process.
    fn write_config(&self, at: u16, data: &[u8]) -> Result<(), PciError> {
        let mut data = data.to_vec();
        if let Some(command) = COMMAND.checked_sub(at)
            && let Some(low) = data.get_mut(usize::from(command))
        {
            *low |= MEMORY;
        }
        self.write(REGIONS - 1, at.into(), &data)
    }

    fn bar_len(&self, bar: u8) -> Result<u64, PciError> {
        Ok(match bar {
            0..=5 => self.regions[usize::from(bar)].len,
            _ => 0,
        })
    }

    fn map_bar(&self, bar: u8) -> Result<Option<RegisterMap>, PciError> {
        let region = match bar {
            0..=5 => self.regions[usize::from(bar)],
            _ => return Ok(None),
        };
        let mut command = [0; 2];
        self.read_config(COMMAND, &mut command)?;
        if command[0] & MEMORY == 0 {
            self.write_config(COMMAND, &command)?;
        }
        let whole = region.len > 0 && region.len.is_multiple_of(PAGE as u64);
        if region.flags & VFIO_REGION_INFO_FLAG_MMAP == 0 || !whole {
            return Ok(None);
        }
        let what = || format!("map BAR {bar}");
        let len =
            usize::try_from(region.len).map_err(|e| PciError::refused(&self.address, what(), e))?;
        match RegisterMap::new(self.device.as_fd(), region.offset, len) {
            Ok(map) => Ok(Some(map)),
            // Parts of it are not to be mapped.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(e) => Err(self.failed(what(), e)),
        }
    }

    fn read_bar(&self, bar: u8, at: u64, out: &mut [u8]) -> Result<(), PciError> {
        self.read(bar.into(), at, out)
    }

    fn write_bar(&self, bar: u8, at: u64, data: &[u8]) -> Result<(), PciError> {
        self.write(bar.into(), at, data)
    }

    fn iova_ranges(&self) -> Result<Vec<(u64, u64)>, PciError> {
        let ranges = self.space.ranges();
        ranges.map_err(|e| self.failed("addresses", e))
    }

    fn map(&self, at: Iova, memory: &SharedMemory) -> Result<(), PciError> {
        let len = memory.len() as u64;
        let mapped = self.space.map(at, memory);
        mapped.map_err(|e| self.map_failed(at, len, e))?;
        self.mapped.fetch_add(len, Relaxed);
        Ok(())
    }

    fn unmap(&self, at: Iova, len: usize) -> Result<(), PciError> {
        let unmapped = self.space.unmap(at, len);
        unmapped.map_err(|e| self.failed(format!("unmap {len:#x} bytes at {at}"), e))?;
        // An adopter unmaps what it has not mapped.
        let less = |mapped: u64| Some(mapped.saturating_sub(len as u64));
        let _ = self.mapped.fetch_update(Relaxed, Relaxed, less);
        Ok(())
    }

    fn interrupt_count(&self) -> Result<usize, PciError> {
        Ok(self.vectors)
    }

    fn set_interrupts(&self, eventfds: Vec<OwnedFd>) -> Result<(), PciError> {
        if eventfds.len() > self.vectors {
            let why = format!("there are {}", self.vectors);
            return Err(PciError::refused(&self.address, "interrupts", why));
        }
        let set = |fds: &[BorrowedFd<'_>]| {
            ioctl::set_interrupts(&self.device, VFIO_PCI_MSIX_IRQ_INDEX, fds)
        };
        // More than there are on cannot be added to those that are.
        match set(&[]) {
            // None are on.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
            off => off.map_err(|e| self.failed("interrupts", e))?,
        }
        if eventfds.is_empty() {
            return Ok(());
        }
        let fds: Vec<BorrowedFd<'_>> = eventfds.iter().map(|fd| fd.as_fd()).collect();
        set(&fds).map_err(|e| self.failed("interrupts", e))
    }

    fn reset(&self) -> Result<(), PciError> {
        ioctl::reset(&self.device).map_err(|e| self.failed("reset", e))
    }

    fn hand_over(self: Arc<Self>) -> Result<HandedOver, PciError> {
        let fds = [self.device.as_fd(), self.space.as_fd()];
        let copies = fds.map(|fd| fd.try_clone_to_owned());
        let copies = copies.into_iter().collect::<io::Result<Vec<_>>>();
        let copies = copies.map_err(|e| self.failed("hand-over", e))?;
        Ok(HandedOver::Descriptors(copies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_locked_memory_says_what_is_needed() {
        assert_eq!(
            locked(Some(65536), 3 << 20),
            "this process may lock 64 KiB of memory and needs 3072 KiB: `ulimit -l unlimited`, or \
             LimitMEMLOCK=infinity in the service's unit"
        );
    }

    #[test]
    fn errors_tell_a_device_that_is_gone_from_one_that_refuses() {
        let gone = failed("0000:03:00.0", "reset", Errno::NODEV).to_string();
        assert!(gone.starts_with("0000:03:00.0: the device is gone (reset: "));
        let refused = failed("0000:03:00.0", "reset", Errno::INVAL);
        assert!(matches!(refused, PciError::Refused { .. }));
    }

    #[test]
    fn descriptors_of_something_else_are_not_adopted() {
        let fd = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        for descriptors in [vec![], vec![fd()], vec![fd(), fd()]] {
            assert!(Vfio::adopt("0000:03:00.0", descriptors).is_err());
        }
    }
}
