//! The system calls of VFIO (`linux/vfio.h`) and of iommufd (`linux/iommufd.h`), each as a function that
//! cannot be called wrongly.
//!
//! The crate that opens functions has wrappers of its own. Those here are for what it leaves out
//! (ranges of addresses, a function that was handed over), keeps silent about (a reset that fails)
//! or reports without the error number (interrupts).
#![allow(unsafe_code)]

use super::super::{Iova, SharedMemory};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use vfio_bindings::bindings::vfio::{
    VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_TYPE, vfio_device_attach_iommufd_pt,
    vfio_device_bind_iommufd, vfio_device_info, vfio_iommu_type1_dma_map,
    vfio_iommu_type1_dma_unmap, vfio_iommu_type1_info, vfio_irq_info, vfio_region_info,
};

/// Numbers of calls: on a device, on a container, on an iommufd.
const DEVICE_GET_INFO: u8 = 107;
const DEVICE_GET_REGION_INFO: u8 = 108;
const DEVICE_GET_IRQ_INFO: u8 = 109;
const DEVICE_SET_IRQS: u8 = 110;
const DEVICE_RESET: u8 = 111;
const DEVICE_BIND_IOMMUFD: u8 = 118;
const DEVICE_ATTACH_IOMMUFD_PT: u8 = 119;
const IOMMU_GET_INFO: u8 = 112;
const IOMMU_MAP_DMA: u8 = 113;
const IOMMU_UNMAP_DMA: u8 = 114;
const IOAS_ALLOC: u8 = 0x81;
const IOAS_IOVA_RANGES: u8 = 0x84;
const IOAS_MAP: u8 = 0x85;
const IOAS_UNMAP: u8 = 0x86;

/// `IOMMU_IOAS_MAP_FIXED_IOVA`, `..._WRITEABLE`, `..._READABLE`.
const IOAS_MAP_HERE_READ_WRITE: u32 = 0b111;

struct Call {
    number: u8,
    argument: *mut c_void,
}

// SAFETY: all calls of VFIO and iommufd are `_IO`, made on Linux; the result is the return value and
// nothing is read through the pointer afterwards. What the pointer must be is up to `call`.
unsafe impl Ioctl for Call {
    type Output = i32;
    const IS_MUTATING: bool = true;
    fn opcode(&self) -> Opcode {
        opcode::none(VFIO_TYPE, self.number)
    }
    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }
    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(out)
    }
}

/// # Safety
/// `T` must be the structure that this call takes, and if it begins with its own length, then that
/// must not be longer than `argument` is. Pointers in it must be good for what the call does.
unsafe fn call<T: ?Sized>(fd: impl AsFd, number: u8, argument: &mut T) -> io::Result<i32> {
    let argument = std::ptr::from_mut(argument).cast();
    // SAFETY: the caller's.
    Ok(unsafe { rustix::ioctl::ioctl(fd, Call { number, argument }) }?)
}

/// Length of a structure, as it says it of itself.
const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// `VFIO_DEVICE_FLAGS_*`.
pub(super) fn device_flags(device: impl AsFd) -> io::Result<u32> {
    let mut info = vfio_device_info {
        argsz: size::<vfio_device_info>(),
        ..Default::default()
    };
    // SAFETY: the call's structure with its own length, no pointers.
    unsafe { call(device, DEVICE_GET_INFO, &mut info) }?;
    Ok(info.flags)
}

/// A region: a BAR, or configuration space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Region {
    /// Where it is in the device's file.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: u32,
}

pub(super) fn region(device: impl AsFd, index: u32) -> io::Result<Region> {
    let mut info = vfio_region_info {
        argsz: size::<vfio_region_info>(),
        index,
        ..Default::default()
    };
    // SAFETY: the call's structure with its own length, no pointers.
    unsafe { call(device, DEVICE_GET_REGION_INFO, &mut info) }?;
    Ok(Region {
        offset: info.offset,
        len: info.size,
        flags: info.flags,
    })
}

pub(super) fn interrupt_count(device: impl AsFd, index: u32) -> io::Result<u32> {
    let mut info = vfio_irq_info {
        argsz: size::<vfio_irq_info>(),
        index,
        ..Default::default()
    };
    // SAFETY: the call's structure with its own length, no pointers.
    unsafe { call(device, DEVICE_GET_IRQ_INFO, &mut info) }?;
    Ok(info.count)
}

/// Turns the first interrupts of a kind on, each with its eventfd; with none, turns all off.
pub(super) fn set_interrupts(
    device: impl AsFd,
    index: u32,
    eventfds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let data = match eventfds {
        [] => VFIO_IRQ_SET_DATA_NONE,
        _ => VFIO_IRQ_SET_DATA_EVENTFD,
    };
    let count = u32::try_from(eventfds.len()).map_err(io::Error::other)?;
    let flags = data | VFIO_IRQ_SET_ACTION_TRIGGER;
    // `struct vfio_irq_set`: length, flags, index, start, count, descriptors.
    let mut set = vec![(5 + count) * 4, flags, index, 0, count];
    set.extend(eventfds.iter().map(|fd| fd.as_raw_fd() as u32));
    // SAFETY: laid out as the call's structure, whose members are all of 32 bits, with its length.
    unsafe { call(device, DEVICE_SET_IRQS, &mut *set) }?;
    Ok(())
}

pub(super) fn reset(device: impl AsFd) -> io::Result<()> {
    // SAFETY: the call takes no argument.
    unsafe { call(device, DEVICE_RESET, &mut ()) }?;
    Ok(())
}

/// `struct vfio_iommu_type1_info`, with the capabilities behind it.
pub(super) fn iommu_info(container: impl AsFd) -> io::Result<Vec<u64>> {
    let mut words = size::<vfio_iommu_type1_info>().div_ceil(8);
    loop {
        let mut info = vec![0u64; words as usize];
        info[0] = first_half(words * 8);
        // SAFETY: room for the call's structure and what follows, with the length of all of it.
        unsafe { call(&container, IOMMU_GET_INFO, &mut *info) }?;
        let wanted = info[0].to_ne_bytes();
        let wanted = u32::from_ne_bytes([wanted[0], wanted[1], wanted[2], wanted[3]]).div_ceil(8);
        if wanted <= words {
            return Ok(info);
        }
        words = wanted;
    }
}

/// A word whose first 32 bits, in memory, are these.
fn first_half(value: u32) -> u64 {
    let [a, b, c, d] = value.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

/// The kernel pins the memory's pages: they stay the device's even if the process lets go of them.
pub(super) fn map_dma(container: impl AsFd, at: Iova, memory: &SharedMemory) -> io::Result<()> {
    let mut map = vfio_iommu_type1_dma_map {
        argsz: size::<vfio_iommu_type1_dma_map>(),
        flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        vaddr: memory.as_ptr() as u64,
        iova: at.0,
        size: memory.len() as u64,
    };
    // SAFETY: the call's structure with its own length; the memory is there while the call runs, and
    // is only ever used as memory that others write.
    unsafe { call(container, IOMMU_MAP_DMA, &mut map) }?;
    Ok(())
}

/// Answers how many bytes are no longer mapped.
pub(super) fn unmap_dma(container: impl AsFd, at: Iova, len: usize) -> io::Result<u64> {
    let mut unmap = vfio_iommu_type1_dma_unmap {
        argsz: size::<vfio_iommu_type1_dma_unmap>(),
        iova: at.0,
        size: len as u64,
        ..Default::default()
    };
    // SAFETY: the call's structure with its own length, no pointers.
    unsafe { call(container, IOMMU_UNMAP_DMA, &mut unmap) }?;
    Ok(unmap.size)
}

/// Makes a device, opened by its own file, one of an iommufd's.
pub(super) fn bind_iommufd(device: impl AsFd, iommufd: BorrowedFd<'_>) -> io::Result<()> {
    let mut bind = vfio_device_bind_iommufd {
        // Without the member that older kernels do not know.
        argsz: std::mem::offset_of!(vfio_device_bind_iommufd, token_uuid_ptr) as u32,
        iommufd: iommufd.as_raw_fd(),
        ..Default::default()
    };
    // SAFETY: the call's structure with a length that is inside of it, no pointers.
    unsafe { call(device, DEVICE_BIND_IOMMUFD, &mut bind) }?;
    Ok(())
}

/// Lets a device reach what an address space of its iommufd maps.
pub(super) fn attach(device: impl AsFd, ioas: u32) -> io::Result<()> {
    let mut attach = vfio_device_attach_iommufd_pt {
        // Without the member that older kernels do not know.
        argsz: std::mem::offset_of!(vfio_device_attach_iommufd_pt, pasid) as u32,
        pt_id: ioas,
        ..Default::default()
    };
    // SAFETY: the call's structure with a length that is inside of it, no pointers.
    unsafe { call(device, DEVICE_ATTACH_IOMMUFD_PT, &mut attach) }?;
    Ok(())
}

/// `struct iommu_ioas_alloc`.
#[repr(C)]
struct IoasAlloc {
    size: u32,
    flags: u32,
    id: u32,
}

/// A new address space.
pub(super) fn ioas_alloc(iommufd: impl AsFd) -> io::Result<u32> {
    let mut alloc = IoasAlloc {
        size: size::<IoasAlloc>(),
        flags: 0,
        id: 0,
    };
    // SAFETY: the call's structure with its own length, no pointers.
    unsafe { call(iommufd, IOAS_ALLOC, &mut alloc) }?;
    Ok(alloc.id)
}

/// `struct iommu_ioas_iova_ranges`.
#[repr(C)]
struct IoasIovaRanges {
    size: u32,
    ioas: u32,
    count: u32,
    reserved: u32,
    ranges: u64,
    alignment: u64,
}

/// Addresses that can be mapped, first and last, and what they must be multiples of.
pub(super) fn ioas_ranges(iommufd: impl AsFd, ioas: u32) -> io::Result<(Vec<[u64; 2]>, u64)> {
    // Far more than there are; with fewer the call says how many it wants.
    let mut ranges = vec![[0u64; 2]; 256];
    let mut ask = IoasIovaRanges {
        size: size::<IoasIovaRanges>(),
        ioas,
        count: ranges.len() as u32,
        reserved: 0,
        ranges: ranges.as_mut_ptr() as u64,
        alignment: 0,
    };
    // SAFETY: the call's structure with its own length; `ranges` has room for `count` of
    // `struct iommu_iova_range`, two words each.
    unsafe { call(iommufd, IOAS_IOVA_RANGES, &mut ask) }?;
    ranges.truncate(ask.count as usize);
    Ok((ranges, ask.alignment))
}

/// `struct iommu_ioas_map`.
#[repr(C)]
struct IoasMap {
    size: u32,
    flags: u32,
    ioas: u32,
    reserved: u32,
    memory: u64,
    len: u64,
    at: u64,
}

/// As [`map_dma`].
pub(super) fn ioas_map(
    iommufd: impl AsFd,
    ioas: u32,
    at: Iova,
    memory: &SharedMemory,
) -> io::Result<()> {
    let mut map = IoasMap {
        size: size::<IoasMap>(),
        flags: IOAS_MAP_HERE_READ_WRITE,
        ioas,
        reserved: 0,
        memory: memory.as_ptr() as u64,
        len: memory.len() as u64,
        at: at.0,
    };
    // SAFETY: as in `map_dma`.
    unsafe { call(iommufd, IOAS_MAP, &mut map) }?;
    Ok(())
}

/// `struct iommu_ioas_unmap`.
#[repr(C)]
struct IoasUnmap {
    size: u32,
    ioas: u32,
    at: u64,
    len: u64,
}

/// As [`unmap_dma`].
pub(super) fn ioas_unmap(iommufd: impl AsFd, ioas: u32, at: Iova, len: usize) -> io::Result<u64> {
    let mut unmap = IoasUnmap {
        size: size::<IoasUnmap>(),
        ioas,
        at: at.0,
        len: len as u64,
    };
    // SAFETY: the call's structure with its own length, no pointers.
    unsafe { call(iommufd, IOAS_UNMAP, &mut unmap) }?;
    Ok(unmap.len)
}

/// The descriptor of something that only says its number.
pub(super) fn lend(owner: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: those who implement `AsRawFd` here (a device, a container) own the descriptor as long as
    // they live, and they are borrowed as long as it is.
    unsafe { BorrowedFd::borrow_raw(owner.as_raw_fd()) }
}
