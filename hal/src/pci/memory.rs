//! Memory that a process and a device, or two processes, have in common.
//!
//! The other side may write at any time, so nothing here lends a reference to the bytes: they are
//! copied in and out. What is copied while the other side writes is some mixture of old and new.
//! What orders one access against another are [`SharedMemory::load_be32`] (acquire) and
//! [`SharedMemory::store_be32`] (release), whose words are never torn: what was written before the
//! store is there for whoever has loaded what it stored.
#![allow(unsafe_code)]

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

struct Mapping {
    map: MmapRaw,
    fd: OwnedFd,
    /// Where the mapping begins in the file.
    file_offset: u64,
}

/// A piece of shared memory; clones and slices are the same memory.
#[derive(Clone)]
pub struct SharedMemory {
    mapping: Arc<Mapping>,
    begin: usize,
    len: usize,
}

impl std::fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedMemory({:#x} bytes)", self.len)
    }
}

impl SharedMemory {
    /// New memory of at least `len` bytes, zero, rounded up to pages; `name` is what `/proc` shows.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(name: &str, len: usize) -> io::Result<SharedMemory> {
        let len = len.max(1).next_multiple_of(super::PAGE);
        let fd = memfd_create(name, MemfdFlags::CLOEXEC)?;
        ftruncate(&fd, len as u64)?;
        SharedMemory::map(fd, 0, len)
    }

    /// Maps memory that somebody else has made: `len` bytes of the file from `offset` on, both
    /// multiples of a page.
    ///
    /// # Errors
    /// The operating system's, or that the file is shorter.
    pub fn map(fd: OwnedFd, offset: u64, len: usize) -> io::Result<SharedMemory> {
        let size = rustix::fs::fstat(&fd)?.st_size;
        let end = offset.checked_add(len as u64);
        // An access beyond the end of a file kills the process.
        if !end.is_some_and(|end| u64::try_from(size).is_ok_and(|size| end <= size)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{len:#x} bytes at {offset:#x} are not in a file of {size:#x} bytes"),
            ));
        }
        let map = MmapOptions::new().offset(offset).len(len).map_raw(&fd)?;
        let mapping = Mapping {
            map,
            fd,
            file_offset: offset,
        };
        Ok(SharedMemory {
            mapping: Arc::new(mapping),
            begin: 0,
            len,
        })
    }

    /// A part of it; none if it is not all there.
    pub fn slice(&self, at: usize, len: usize) -> Option<SharedMemory> {
        let end = at.checked_add(len)?;
        (end <= self.len).then(|| SharedMemory {
            mapping: self.mapping.clone(),
            begin: self.begin + at,
            len,
        })
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file behind it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.mapping.fd.as_fd()
    }

    /// Where it begins in the file.
    pub fn file_offset(&self) -> u64 {
        self.mapping.file_offset + self.begin as u64
    }

    /// Where it is in this process.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.place(0, self.len)
    }

    /// # Panics
    /// If not all of it is inside: who takes an offset from outside has to look first.
    #[inline]
    fn place(&self, at: usize, len: usize) -> *mut u8 {
        assert!(
            at.checked_add(len).is_some_and(|end| end <= self.len),
            "{len} bytes at {at:#x} of {:#x}",
            self.len
        );
        // SAFETY: `slice` keeps `begin + len` inside of the mapping, and the assertion keeps the
        // place inside of that.
        unsafe { self.mapping.map.as_mut_ptr().add(self.begin + at) }
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// If they are not all inside.
    #[inline]
    pub fn read(&self, at: usize, out: &mut [u8]) {
        let from = self.place(at, out.len());
        // SAFETY: all of it is inside of the mapping (`place`), which lives as long as `self`. Who
        // writes it meanwhile has it mapped elsewhere: no reference of this process exists, and any
        // bytes are good bytes.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// If there is not room for all.
    #[inline]
    pub fn write(&self, at: usize, bytes: &[u8]) {
        let to = self.place(at, bytes.len());
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Writes zeros.
    ///
    /// # Panics
    /// If there is not room for all.
    pub fn clear(&self, at: usize, len: usize) {
        let to = self.place(at, len);
        // SAFETY: as in `read`.
        unsafe { to.write_bytes(0, len) };
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU32 {
        let place = self.place(at, 4);
        assert!(place.cast::<u32>().is_aligned(), "a word at {at:#x}");
        // SAFETY: inside of the mapping, aligned, and only used atomically.
        unsafe { AtomicU32::from_ptr(place.cast()) }
    }

    /// A big-endian word; what was stored before it by the other side is there from now on.
    ///
    /// # Panics
    /// If it is not inside, or `at` is not a multiple of 4.
    #[inline]
    pub fn load_be32(&self, at: usize) -> u32 {
        u32::from_be(self.word(at).load(Acquire))
    }

    /// Stores a big-endian word; all that was written before is there for whoever sees it.
    ///
    /// # Panics
    /// If it is not inside, or `at` is not a multiple of 4.
    #[inline]
    pub fn store_be32(&self, at: usize, value: u32) {
        self.word(at).store(value.to_be(), Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn two_mappings_are_one_memory() {
        let ours = SharedMemory::new("test", 10).unwrap();
        assert_eq!(ours.len(), 4096);
        let fd = ours.fd().try_clone_to_owned().unwrap();
        let theirs = SharedMemory::map(fd.as_fd().try_clone_to_owned().unwrap(), 0, 4096).unwrap();
        for at in 0..9 {
            for len in 0..20 {
                let bytes: Vec<u8> = (0..len).map(|i| (i + at + 1) as u8).collect();
                ours.write(at, &bytes);
                let mut seen = vec![0; len];
                theirs.read(at, &mut seen);
                assert_eq!(seen, bytes, "{at} {len}");
            }
        }
        theirs.store_be32(8, 0x0102_0304);
        assert_eq!(ours.load_be32(8), 0x0102_0304);
        let mut bytes = [0; 4];
        ours.slice(8, 4).unwrap().read(0, &mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4]);
        ours.clear(0, 4096);
        assert_eq!(theirs.load_be32(8), 0);
        assert!(ours.slice(4090, 7).is_none());
        let beyond = SharedMemory::map(fd, 4096, 4096).unwrap_err().to_string();
        assert!(beyond.contains("not in a file"), "{beyond}");
    }

    #[test]
    #[should_panic(expected = "of 0x1000")]
    fn nothing_is_read_beyond_the_end() {
        SharedMemory::new("test", 4096)
            .unwrap()
            .read(4090, &mut [0; 7]);
    }
}
