//! Serves a simulated function to another process, over a vfio-user socket.
//!
//! One peer at a time; when the last descriptor of its connection is closed the function is reset,
//! as hardware is when the last user of its driver goes, and the next peer may come.

use hal::pci::{Endpoint, Iova, SharedMemory};
use rustix::fs::fstat;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};

/// Bytes of configuration space, that of PCI Express included.
const CONFIG_SPACE: u64 = 4096;

/// Makes the socket. It takes the place of one that a server has left; one that is listened on
/// stays.
///
/// # Errors
/// Somebody listens there, or the operating system refuses.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Err(e);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// Serves a function on a socket, one peer after the other, until the listener breaks.
///
/// # Errors
/// The socket cannot be had, or no peer can be accepted any more.
pub fn serve(path: &Path, function: Arc<dyn Endpoint>) -> io::Result<()> {
    serve_on(listen(path)?, function)
}

/// Serves a function to those who connect, one after the other, until the listener breaks.
///
/// # Errors
/// No peer can be accepted any more.
pub fn serve_on(listener: UnixListener, function: Arc<dyn Endpoint>) -> io::Result<()> {
    let irqs = (0..VFIO_PCI_NUM_IRQS).map(|index| IrqInfo {
        index,
        flags: VFIO_IRQ_INFO_EVENTFD,
        count: match index {
            VFIO_PCI_MSIX_IRQ_INDEX => function.interrupt_count() as u32,
            _ => 0,
        },
    });
    let regions = (0..VFIO_PCI_NUM_REGIONS).map(|index| {
        let size = match index {
            0..=5 => function.bar_len(index as u8),
            VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_SPACE,
            _ => 0,
        };
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                index,
                size,
                flags: VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    });
    let server = Server::from_owned_fd(listener.into(), true, irqs.collect(), regions.collect());
    loop {
        let mut peer = Peer {
            function: function.clone(),
            files: HashMap::new(),
            mapped: BTreeMap::new(),
            vectors: Vec::new(),
        };
        // The protocol's library may give up on a hostile message by a panic; that is the end of
        // this peer and of nobody else.
        let served = std::panic::catch_unwind(AssertUnwindSafe(|| server.run(&mut peer)));
        function.close();
        match served {
            Ok(Err(vfio_user::Error::SocketAccept(e))) => return Err(e),
            Ok(Err(e)) => tracing::warn!(target: "nic-sim", "peer dropped: {e}"),
            Ok(Ok(())) | Err(_) => {}
        }
    }
}

/// Memory that is mapped; the device may not see all of it.
struct Window {
    len: u64,
    /// Whether the function knows of it. Memory without a descriptor, as of a ROM, it does not.
    known: bool,
}

struct Peer {
    function: Arc<dyn Endpoint>,
    /// Each file is mapped once, however many windows there are of it.
    files: HashMap<(u64, u64), SharedMemory>,
    mapped: BTreeMap<u64, Window>,
    vectors: Vec<Option<OwnedFd>>,
}

fn invalid(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_string())
}

impl Peer {
    /// The part of a file that a window shows.
    fn memory(&mut self, file: File, offset: u64, len: u64) -> io::Result<SharedMemory> {
        let stat = fstat(&file)?;
        let size = usize::try_from(stat.st_size).map_err(invalid)?;
        let key = (stat.st_dev, stat.st_ino);
        if self.files.get(&key).is_none_or(|m| m.len() < size) {
            self.files
                .insert(key, SharedMemory::map(file.into(), 0, size)?);
        }
        let (at, len) = (usize::try_from(offset), usize::try_from(len));
        let whole = self.files.get(&key);
        whole
            .zip(at.ok().zip(len.ok()))
            .and_then(|(whole, (at, len))| whole.slice(at, len))
            .ok_or_else(|| invalid("the window is not in its file"))
    }

    fn unmap(&mut self, at: u64) -> io::Result<()> {
        let window = self.mapped.remove(&at);
        let window = window.ok_or_else(|| invalid(format!("nothing is mapped at {at:#x}")))?;
        if window.known {
            let len = usize::try_from(window.len).map_err(invalid)?;
            self.function.unmap(Iova(at), len).map_err(invalid)?;
        }
        Ok(())
    }
}

impl ServerBackend for Peer {
    fn region_read(&mut self, region: u32, at: u64, data: &mut [u8]) -> io::Result<()> {
        match region {
            0..=5 => self
                .function
                .read_bar(region as u8, at, data)
                .map_err(invalid),
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let at = u16::try_from(at).map_err(invalid)?;
                self.function.read_config(at, data);
                Ok(())
            }
            _ => Err(invalid("no such region")),
        }
    }

    fn region_write(&mut self, region: u32, at: u64, data: &[u8]) -> io::Result<()> {
        match region {
            0..=5 => self
                .function
                .write_bar(region as u8, at, data)
                .map_err(invalid),
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let at = u16::try_from(at).map_err(invalid)?;
                self.function.write_config(at, data);
                Ok(())
            }
            _ => Err(invalid("no such region")),
        }
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        at: u64,
        len: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        // A peer may map again what it has mapped, as QEMU does when its guest boots.
        if self.mapped.get(&at).is_some_and(|w| w.len == len) {
            self.unmap(at)?;
        }
        let known = file.is_some();
        if let Some(file) = file {
            let memory = self.memory(file, offset, len)?;
            let writable = flags.contains(DmaMapFlags::WRITE);
            let mapped = self.function.map(Iova(at), memory, writable);
            mapped.map_err(invalid)?;
        }
        self.mapped.insert(at, Window { len, known });
        Ok(())
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, at: u64, len: u64) -> io::Result<()> {
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            let all: Vec<u64> = self.mapped.keys().copied().collect();
            return all.into_iter().try_for_each(|at| self.unmap(at));
        }
        // All windows within the range go, as with the kernel's VFIO.
        let end = at
            .checked_add(len)
            .ok_or_else(|| invalid("a range without an end"))?;
        let inside = self.mapped.range(at..end);
        let inside: Vec<(u64, u64)> = inside.map(|(at, w)| (*at, w.len)).collect();
        if inside.is_empty() {
            return Err(invalid(format!("nothing is mapped at {at:#x}")));
        }
        if inside.iter().any(|(at, len)| at + len > end) {
            return Err(invalid(format!("{at:#x} to {end:#x} cuts a window")));
        }
        inside.into_iter().try_for_each(|(at, _)| self.unmap(at))
    }

    fn reset(&mut self) -> io::Result<()> {
        self.function.reset();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        if index != VFIO_PCI_MSIX_IRQ_INDEX {
            return Ok(());
        }
        let (start, count) = (start as usize, count as usize);
        let end = start.saturating_add(count);
        if end > self.function.interrupt_count() {
            return Err(invalid(format!("there is no interrupt {}", end - 1)));
        }
        if count == 0 {
            self.vectors.clear();
        } else if flags & VFIO_IRQ_SET_DATA_EVENTFD != 0 {
            if self.vectors.len() < end {
                self.vectors.resize_with(end, || None);
            }
            // Without a descriptor an interrupt is off.
            let mut fds = fds.into_iter();
            for place in &mut self.vectors[start..end] {
                *place = fds.next().map(OwnedFd::from);
            }
        } else {
            return Err(invalid("interrupts are eventfds"));
        }
        let clones = self.vectors.iter().map(|fd| match fd {
            Some(fd) => fd.try_clone().map(Some),
            None => Ok(None),
        });
        let clones = clones.collect::<io::Result<Vec<_>>>()?;
        self.function.set_interrupts(clones).map_err(invalid)
    }
}
