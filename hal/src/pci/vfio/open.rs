//! From an address to an open function, or to one line that says what to run.
//!
//! Kernels have two ways to hand out a function: by its group, together with a container (`/dev/vfio/N`,
//! `/dev/vfio/vfio`), and, since 6.6, by itself, together with an iommufd (`/dev/vfio/devices/vfioN`,
//! `/dev/iommu`). The second is taken where it is there and allowed, since kernels may come without
//! the first.

use super::super::{PciAddress, PciError, Sysfs, SysfsFunction};
use super::ioctl;
use super::space::AddressSpace;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError};

const IOMMUFD: &str = "/dev/iommu";
const CONTAINER: &str = "/dev/vfio/vfio";

/// Why it is not open.
enum Failure {
    /// The files may not be opened.
    Denied(String),
    /// The kernel does not do it this way, or not yet.
    Missing(String),
    Other(String),
}

impl Failure {
    fn told(self) -> String {
        match self {
            Failure::Denied(why) | Failure::Missing(why) | Failure::Other(why) => why,
        }
    }
}

/// Opens a function: its descriptor, and its addresses.
pub(super) fn open(
    sysfs: &Sysfs,
    address: PciAddress,
) -> Result<(OwnedFd, AddressSpace), PciError> {
    let unusable = |why: String| PciError::Unusable {
        address: address.to_string(),
        why,
    };
    let function = sysfs.function(address).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => unusable(
            "there is no such PCI function (`nicctl list` shows those that there are)".into(),
        ),
        _ => unusable(format!("{}: {e}", sysfs.folder(address).display())),
    })?;
    if let Some(why) = function.obstacle() {
        return Err(unusable(why));
    }
    let denied = match through_iommufd(&function) {
        Some(Ok(open)) => return Ok(open),
        Some(Err(Failure::Denied(why))) => Some(why),
        Some(Err(e)) => return Err(unusable(e.told())),
        None => None,
    };
    through_group(sysfs, &function).map_err(|e| {
        let why = match (e, denied) {
            (Failure::Denied(_) | Failure::Missing(_), Some(denied)) => denied,
            (e, _) => e.told(),
        };
        unusable(why)
    })
}

/// A file that is asked for by everyone who drives a function.
fn open_file(path: &str) -> Result<OwnedFd, Failure> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map(OwnedFd::from).map_err(|e| file_failed(path, &e))
}

fn file_failed(path: &str, e: &io::Error) -> Failure {
    match e.kind() {
        io::ErrorKind::PermissionDenied => {
            let who = rustix::process::geteuid().as_raw();
            Failure::Denied(format!(
                "no permission to open {path}: run as root, or give it away with `chown {who} {path}`"
            ))
        }
        io::ErrorKind::NotFound => Failure::Missing(format!(
            "{path} is missing: `modprobe vfio-pci`, and the kernel needs CONFIG_VFIO_PCI"
        )),
        io::ErrorKind::ResourceBusy => Failure::Other(format!(
            "another process has {path} open (`fuser -v {path}` names it)"
        )),
        _ => Failure::Other(format!("{path}: {e}")),
    }
}

/// By itself; none if the kernel does not do that.
fn through_iommufd(function: &SysfsFunction) -> Option<Result<(OwnedFd, AddressSpace), Failure>> {
    let path = format!("/dev/vfio/devices/{}", function.cdev.as_ref()?);
    if !Path::new(IOMMUFD).exists() || !Path::new(&path).exists() {
        return None;
    }
    let open = || {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |e: io::Error| Failure::Other(format!("{what}: {e}"))
        };
        let device = open_file(&path)?;
        let iommufd = open_file(IOMMUFD)?;
        ioctl::bind_iommufd(&device, iommufd.as_fd()).map_err(|e| match e.kind() {
            io::ErrorKind::ResourceBusy | io::ErrorKind::InvalidInput => {
                file_failed(&path, &io::ErrorKind::ResourceBusy.into())
            }
            _ => failed(&path)(e),
        })?;
        let space = AddressSpace::of_iommufd(iommufd).map_err(failed(IOMMUFD))?;
        if let AddressSpace::Ioas(_, ioas) = &space {
            ioctl::attach(&device, *ioas).map_err(failed("attaching it to its IOMMU"))?;
        }
        Ok((device, space))
    };
    Some(open())
}

/// By its group, with the crate that does so for virtual machines. It is let go of at once: what it
/// opened lives on in copies of the descriptors, since it ends the process when it is dropped after its
/// device was pulled out, and has no way to go on with one that was handed over. The device's
/// descriptor keeps the group open, and the group stays in the container while it does.
fn through_group(
    sysfs: &Sysfs,
    function: &SysfsFunction,
) -> Result<(OwnedFd, AddressSpace), Failure> {
    let group = function.group.as_ref().map_or("", |g| &g.number);
    let told = |e: VfioError| group_failed(group, e);
    let copy = |fd: BorrowedFd<'_>| {
        let copy = fd.try_clone_to_owned();
        copy.map_err(|e| Failure::Other(e.to_string()))
    };
    let container = Arc::new(VfioContainer::new(None).map_err(told)?);
    let folder = sysfs.folder(function.address);
    let device = VfioDevice::new(&folder, container.clone(), false).map_err(told)?;
    Ok((
        copy(ioctl::lend(&device))?,
        AddressSpace::Container(copy(ioctl::lend(&*container))?),
    ))
}

fn group_failed(group: &str, e: VfioError) -> Failure {
    let other = |why: &str| Failure::Other(why.into());
    match e {
        VfioError::OpenContainer(e) => file_failed(CONTAINER, &e),
        VfioError::OpenGroup(e, group) => file_failed(&format!("/dev/vfio/{group}"), &e),
        VfioError::VfioExtension => Failure::Missing(
            "the kernel's VFIO has no IOMMU to map with: `modprobe vfio_iommu_type1`".into(),
        ),
        VfioError::ContainerSetIOMMU(e) if e.errno() == rustix::io::Errno::PERM.raw_os_error() => {
            other(
                "the IOMMU does not keep interrupts apart: turn on interrupt remapping in the firmware's \
                 setup, or, at your own risk, `modprobe vfio_iommu_type1 allow_unsafe_interrupts=1`",
            )
        }
        VfioError::GroupViable => Failure::Other(format!(
            "other functions of its IOMMU group {group} are not free: bind each to vfio-pci (`nicctl \
             list` shows them)"
        )),
        e => Failure::Other(e.to_string()),
    }
}
