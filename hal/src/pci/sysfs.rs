//! What the kernel says of the PCI functions of this machine (`Documentation/ABI/testing/sysfs-bus-pci`).

use super::PciAddress;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The driver that hands functions to user space.
pub const VFIO_PCI: &str = "vfio-pci";

/// Drivers in whose hands a function does not reach memory: a group's other functions may have them.
const HARMLESS: [&str; 3] = [VFIO_PCI, "pci-stub", "pcieport"];

/// The kernel's tree of devices.
#[derive(Clone, Debug)]
pub struct Sysfs {
    root: PathBuf,
}

/// A function as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysfsFunction {
    /// Where it is.
    pub address: PciAddress,
    /// Vendor and device.
    pub ids: (u16, u16),
    /// What it is: base class, subclass, interface.
    pub class: u32,
    /// Who drives it.
    pub driver: Option<String>,
    /// Network devices that its driver has made.
    pub networks: Vec<String>,
    /// The functions that its IOMMU cannot tell from it.
    pub group: Option<IommuGroup>,
    /// Whether the kernel knows a way to reset it.
    pub resets: bool,
    /// Its name below `/dev/vfio/devices`.
    pub cdev: Option<String>,
}

/// Functions that an IOMMU cannot tell from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IommuGroup {
    /// Its name below `/dev/vfio`.
    pub number: String,
    /// Functions other than the one that was asked for, with their drivers.
    pub others: Vec<(PciAddress, Option<String>)>,
}

/// The last part of what a link leads to.
fn link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// Names in a folder, sorted; none if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Network devices of a function, or of the one device on it that a driver such as virtio's makes.
fn networks(folder: &Path) -> Vec<String> {
    let mut all = names(&folder.join("net"));
    for child in names(folder) {
        let child = folder.join(child);
        if !child.is_symlink() {
            all.extend(names(&child.join("net")));
        }
    }
    all
}

/// A file with a hexadecimal number.
fn hex(path: &Path) -> io::Result<u32> {
    let text = fs::read_to_string(path)?;
    let digits = text.trim().trim_start_matches("0x");
    u32::from_str_radix(digits, 16).map_err(io::Error::other)
}

impl Sysfs {
    /// This machine's.
    pub fn host() -> Sysfs {
        Sysfs::at("/sys")
    }

    /// One that is somewhere else.
    pub fn at(root: impl Into<PathBuf>) -> Sysfs {
        Sysfs { root: root.into() }
    }

    /// A file or folder in it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The folder of a function.
    pub fn folder(&self, address: PciAddress) -> PathBuf {
        self.path("bus/pci/devices").join(address.to_string())
    }

    /// Addresses of all functions, in their order.
    pub fn functions(&self) -> Vec<PciAddress> {
        let names = names(&self.path("bus/pci/devices"));
        let mut all: Vec<PciAddress> = names.iter().filter_map(|n| n.parse().ok()).collect();
        all.sort();
        all
    }

    /// Who drives a function.
    pub fn driver(&self, address: PciAddress) -> Option<String> {
        link(&self.folder(address).join("driver"))
    }

    /// What there is to know of a function.
    ///
    /// # Errors
    /// There is no such function (`NotFound`), or it goes while it is looked at.
    pub fn function(&self, address: PciAddress) -> io::Result<SysfsFunction> {
        let folder = self.folder(address);
        let id = |name: &str| hex(&folder.join(name)).map(|id| id as u16);
        let group = link(&folder.join("iommu_group")).map(|number| {
            let members = names(&folder.join("iommu_group/devices"));
            let others = members.iter().filter_map(|name| name.parse().ok());
            let others = others.filter(|other| *other != address);
            IommuGroup {
                number,
                others: others.map(|other| (other, self.driver(other))).collect(),
            }
        });
        // Kernels before 5.15 only have the file that resets.
        let methods = fs::read_to_string(folder.join("reset_method"));
        let resets = match methods {
            Ok(methods) => !methods.trim().is_empty(),
            Err(_) => folder.join("reset").exists(),
        };
        Ok(SysfsFunction {
            address,
            ids: (id("vendor")?, id("device")?),
            class: hex(&folder.join("class"))?,
            driver: self.driver(address),
            networks: networks(&folder),
            group,
            resets,
            cdev: names(&folder.join("vfio-dev")).pop(),
        })
    }
}

impl SysfsFunction {
    /// Why it cannot be driven from user space as things are, and what to do; none if it can.
    pub fn obstacle(&self) -> Option<String> {
        let bind = format!("`nicctl bind {}`", self.address);
        let Some(group) = &self.group else {
            let why = "it is behind no IOMMU: turn it on in the firmware's setup (VT-d, AMD-Vi) \
                       and boot the kernel with intel_iommu=on or amd_iommu=on, and iommu=pt";
            return Some(why.into());
        };
        match self.driver.as_deref() {
            Some(VFIO_PCI) => {}
            Some(driver) => {
                return Some(format!(
                    "the driver {driver} has it, not {VFIO_PCI}: {bind}"
                ));
            }
            None => return Some(format!("no driver has it, {VFIO_PCI} should: {bind}")),
        }
        let theirs: Vec<String> = group.blockers().collect();
        if theirs.is_empty() {
            return None;
        }
        Some(format!(
            "its IOMMU group {} is shared with {}: bind each to {VFIO_PCI} as well (`nicctl bind \
             ADDRESS`), or move the card to a slot of its own",
            group.number,
            theirs.join(", ")
        ))
    }
}

impl IommuGroup {
    /// Functions that keep the group from being used, with their drivers.
    pub fn blockers(&self) -> impl Iterator<Item = String> {
        self.others.iter().filter_map(|(address, driver)| {
            let driver = driver.as_deref()?;
            (!HARMLESS.contains(&driver)).then(|| format!("{address} ({driver})"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A function in a made-up tree.
    fn add(root: &Path, address: &str, driver: Option<&str>, group: Option<&str>) {
        let folder = root.join("bus/pci/devices").join(address);
        fs::create_dir_all(folder.join("net/eth0")).unwrap();
        fs::write(folder.join("vendor"), "0x15b3\n").unwrap();
        fs::write(folder.join("device"), "0x1017\n").unwrap();
        fs::write(folder.join("class"), "0x020000\n").unwrap();
        fs::write(folder.join("reset_method"), "flr bus\n").unwrap();
        if let Some(driver) = driver {
            let to = format!("../../../../bus/pci/drivers/{driver}");
            symlink(to, folder.join("driver")).unwrap();
        }
        if let Some(group) = group {
            let members = root.join("kernel/iommu_groups").join(group);
            fs::create_dir_all(members.join("devices").join(address)).unwrap();
            symlink(&members, folder.join("iommu_group")).unwrap();
        }
    }

    #[test]
    fn a_function_is_told_with_what_keeps_it_from_being_used() {
        let root = tempfile::tempdir().unwrap();
        add(root.path(), "0000:03:00.0", Some(VFIO_PCI), Some("7"));
        add(root.path(), "0000:03:00.1", Some("mlx5_core"), Some("7"));
        add(root.path(), "0000:04:00.0", Some(VFIO_PCI), Some("8"));
        add(root.path(), "0000:04:00.1", None, Some("8"));
        add(root.path(), "0000:04:00.2", Some("pcieport"), Some("8"));
        add(root.path(), "0000:05:00.0", Some(VFIO_PCI), None);
        let below = root
            .path()
            .join("bus/pci/devices/0000:05:00.0/virtio0/net/eth1");
        fs::create_dir_all(below).unwrap();
        let sysfs = Sysfs::at(root.path());
        let all = sysfs.functions();
        assert_eq!(all.len(), 6);
        let look = |n: usize| sysfs.function(all[n]).unwrap();
        let first = look(0);
        assert_eq!((first.ids, first.class), ((0x15b3, 0x1017), 0x02_0000));
        assert_eq!(
            (&*first.networks, first.resets),
            (&["eth0".to_owned()][..], true)
        );
        assert_eq!(look(5).networks, ["eth0", "eth1"]);
        let told = |n: usize| look(n).obstacle().unwrap();
        assert!(told(0).starts_with("its IOMMU group 7 is shared with 0000:03:00.1 (mlx5_core): "));
        let bind = "the driver mlx5_core has it, not vfio-pci: `nicctl bind 0000:03:00.1`";
        assert_eq!(told(1), bind);
        assert_eq!(look(2).obstacle(), None);
        assert!(told(3).starts_with("no driver has it"));
        assert!(told(5).starts_with("it is behind no IOMMU"));
        let missing = sysfs.function("9:0.0".parse().unwrap()).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
