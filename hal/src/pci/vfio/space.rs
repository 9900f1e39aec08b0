//! The addresses of a function: what its IOMMU maps, and through which of the kernel's two faces.

use super::super::{Iova, PAGE, SharedMemory};
use super::ioctl;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use vfio_bindings::bindings::vfio::{VFIO_IOMMU_INFO_CAPS, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE};

/// Where an x86 machine's interrupts are written to: never an address of memory.
const MSI: [u64; 2] = [0xfee0_0000, 0xfeef_ffff];
/// Addresses are kept below this, so that sums of them do not wrap.
const TOP: u64 = 1 << 62;

/// The addresses of a function.
pub(super) enum AddressSpace {
    /// A container, of a kernel that hands out groups.
    Container(OwnedFd),
    /// An address space of an iommufd, of a kernel that hands out devices.
    Ioas(OwnedFd, u32),
}

impl AsFd for AddressSpace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            AddressSpace::Container(fd) | AddressSpace::Ioas(fd, _) => fd.as_fd(),
        }
    }
}

impl AddressSpace {
    /// A new one of an iommufd.
    pub fn of_iommufd(iommufd: OwnedFd) -> io::Result<AddressSpace> {
        let ioas = ioctl::ioas_alloc(&iommufd)?;
        Ok(AddressSpace::Ioas(iommufd, ioas))
    }

    /// The one behind a descriptor that was handed over. An iommufd of ours has one address space,
    /// the first thing that was made in it; a container does not know the question.
    pub fn adopt(fd: OwnedFd) -> AddressSpace {
        match (1..16).find(|ioas| ioctl::ioas_ranges(&fd, *ioas).is_ok()) {
            Some(ioas) => AddressSpace::Ioas(fd, ioas),
            None => AddressSpace::Container(fd),
        }
    }

    /// Begin and length of what can be mapped.
    pub fn ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        let (ranges, alignment) = match self {
            AddressSpace::Container(fd) => {
                let info: Vec<u8> = ioctl::iommu_info(fd)?
                    .iter()
                    .flat_map(|word| word.to_ne_bytes())
                    .collect();
                container_ranges(&info)
            }
            AddressSpace::Ioas(fd, ioas) => ioctl::ioas_ranges(fd, *ioas)?,
        };
        if alignment > PAGE as u64 {
            let why = format!("its IOMMU maps pages of {alignment} bytes, not of {PAGE}");
            return Err(io::Error::other(why));
        }
        Ok(ranges.into_iter().filter_map(usable).collect())
    }

    pub fn map(&self, at: Iova, memory: &SharedMemory) -> io::Result<()> {
        match self {
            AddressSpace::Container(fd) => ioctl::map_dma(fd, at, memory),
            AddressSpace::Ioas(fd, ioas) => ioctl::ioas_map(fd, *ioas, at, memory),
        }
    }

    pub fn unmap(&self, at: Iova, len: usize) -> io::Result<()> {
        let unmapped = match self {
            AddressSpace::Container(fd) => ioctl::unmap_dma(fd, at, len)?,
            AddressSpace::Ioas(fd, ioas) => ioctl::ioas_unmap(fd, *ioas, at, len)?,
        };
        if unmapped != len as u64 {
            let why = format!("{unmapped:#x} bytes are unmapped, not {len:#x}");
            return Err(io::Error::other(why));
        }
        Ok(())
    }
}

/// Whole pages of a range, the first page aside: zero is never an address.
fn usable([first, last]: [u64; 2]) -> Option<(u64, u64)> {
    let page = PAGE as u64;
    let begin = first.max(1).checked_next_multiple_of(page)?;
    let end = (last.min(TOP - 1) + 1) / page * page;
    (begin < end).then(|| (begin, end - begin))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*word))
}

/// What a container says: ranges, first and last address, and the smallest page.
///
/// ```text
///  vfio_iommu_type1_info: 0 length  4 flags  8 page sizes (bit n = 2^n)  10 first capability
///  each capability:       0 id (16 bits), version (16 bits)  4 the next one's offset
///  that of ranges:        8 count  c reserved  10 first, last ...
/// ```
fn container_ranges(info: &[u8]) -> (Vec<[u64; 2]>, u64) {
    let sizes = u64_at(info, 8).unwrap_or(0);
    let smallest = 1 << sizes.trailing_zeros().min(63);
    let has = u32_at(info, 4).is_some_and(|flags| flags & VFIO_IOMMU_INFO_CAPS != 0);
    let mut next = if has { u32_at(info, 0x10) } else { None };
    // As many as there is room for, in case they lead in a circle.
    for _ in 0..info.len() / 8 {
        let Some(at) = next.filter(|at| *at != 0).map(|at| at as usize) else {
            break;
        };
        let id = u32_at(info, at).map(|id| id & 0xffff);
        if id == Some(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
            let count = u32_at(info, at + 8).unwrap_or(0) as usize;
            let ranges = (0..count).map_while(|n| {
                let range = at + 0x10 + n * 0x10;
                Some([u64_at(info, range)?, u64_at(info, range + 8)?])
            });
            return (ranges.collect(), smallest);
        }
        next = u32_at(info, at + 4);
    }
    // Kernels before 5.4 do not say. Every IOMMU takes 39 bits.
    let below = [0, MSI[0] - 1];
    (vec![below, [MSI[1] + 1, (1 << 39) - 1]], smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(flags: u32, capability: u32, rest: &[u64]) -> Vec<u8> {
        let mut info = Vec::new();
        info.extend(0u32.to_ne_bytes());
        info.extend(flags.to_ne_bytes());
        info.extend(0x4020_1000u64.to_ne_bytes());
        info.extend(capability.to_ne_bytes());
        info.extend(0u32.to_ne_bytes());
        for word in rest {
            info.extend(word.to_ne_bytes());
        }
        info
    }

    /// Two 32-bit members.
    fn pair(first: u32, second: u32) -> u64 {
        let [a, b, c, d] = first.to_ne_bytes();
        let [e, f, g, h] = second.to_ne_bytes();
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    #[test]
    fn a_container_says_what_can_be_mapped() {
        let other = [pair(2, 0x28), 0];
        let ranges = [
            pair(0x1_0001, 0),
            pair(2, 0),
            0,
            0xfedf_ffff,
            0xfef0_0000,
            0x7f_ffff_ffff,
        ];
        let said = info(3, 0x18, &[&other[..], &ranges].concat());
        let (ranges, smallest) = container_ranges(&said);
        assert_eq!(smallest, 0x1000);
        assert_eq!(ranges, [[0, 0xfedf_ffff], [0xfef0_0000, 0x7f_ffff_ffff]]);
        let usable: Vec<_> = ranges.into_iter().filter_map(usable).collect();
        let all_but_the_first_page = (0x1000, 0xfedf_f000);
        assert_eq!(
            usable,
            [all_but_the_first_page, (0xfef0_0000, 0x7f_0110_0000)]
        );
    }

    #[test]
    fn one_that_says_nothing_or_nonsense_is_given_what_every_iommu_has() {
        let plain = container_ranges(&info(1, 0, &[]));
        assert_eq!(plain.0[0], [0, 0xfedf_ffff]);
        for nonsense in [
            info(3, 0x1000, &[]),
            info(3, 0x18, &[pair(9, 0x18)]),
            info(3, 0, &[]),
        ] {
            assert_eq!(container_ranges(&nonsense), plain);
        }
        let cut = info(3, 0x18, &[pair(1, 0), pair(u32::MAX, 0), 0, 0xfff, 0]);
        assert_eq!(container_ranges(&cut).0, [[0, 0xfff]]);
        assert!(container_ranges(&[]).0.len() == 2);
    }

    #[test]
    fn whole_pages_are_usable_and_neither_zero_nor_the_end_of_numbers() {
        assert_eq!(usable([0, 0xfff]), None);
        assert_eq!(usable([0x1800, 0x3fff]), Some((0x2000, 0x2000)));
        assert_eq!(usable([0x1000, u64::MAX]), Some((0x1000, TOP - 0x1000)));
        assert_eq!(usable([u64::MAX, u64::MAX]), None);
    }
}
