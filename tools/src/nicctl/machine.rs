//! Where the kernel says what there is, and where it takes orders: folders, which a test makes itself.

use super::Failure;
use hal::pci::{PciAddress, Sysfs, SysfsFunction};
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Writes one order to the kernel.
type Write = Box<dyn Fn(&Path, &str) -> io::Result<()>>;

/// The places that matter here.
pub struct Machine {
    /// What is on the buses.
    pub sysfs: Sysfs,
    /// What the kernel says of routes.
    pub proc: PathBuf,
    /// Device files.
    pub dev: PathBuf,
    /// What is remembered until the next boot.
    pub run: PathBuf,
    write: Write,
}

impl Machine {
    /// This machine's.
    pub fn host() -> Machine {
        Machine {
            sysfs: Sysfs::host(),
            proc: "/proc".into(),
            dev: "/dev".into(),
            run: daemon::dirs::rundir().join("nicctl"),
            write: Box::new(|path, text| {
                let mut file = fs::OpenOptions::new().write(true).open(path)?;
                file.write_all(text.as_bytes())
            }),
        }
    }

    /// What is on the bus at an address.
    pub fn function(&self, address: PciAddress) -> Result<SysfsFunction, Failure> {
        self.sysfs.function(address).map_err(|e| match e.kind() {
            ErrorKind::NotFound => format!(
                "{address}: there is no such PCI function (`nicctl list` shows those that there are)"
            ),
            _ => format!("{address}: {e}"),
        })
    }

    /// Gives an order.
    pub fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        (self.write)(path, text).map_err(|e| match e.kind() {
            ErrorKind::PermissionDenied => {
                format!("no permission to write {}: run as root", path.display())
            }
            _ => format!("{}: {}", path.display(), daemon::log::reason(&e)),
        })
    }
}

#[cfg(test)]
pub mod fake {
    //! A machine that a test makes: a folder, and a kernel that obeys what is written to it.

    use super::*;
    use std::os::unix::fs::symlink;

    /// Puts a function into a machine's folder.
    pub fn add(root: &Path, address: &str, ids: (u16, u16), driver: Option<&str>) {
        let sys = root.join("sys");
        let folder = sys.join("bus/pci/devices").join(address);
        fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        put("vendor", &format!("{:#06x}\n", ids.0));
        put("device", &format!("{:#06x}\n", ids.1));
        put("class", "0x020000\n");
        put("reset_method", "flr\n");
        put("driver_override", "(null)\n");
        let group = sys.join("kernel/iommu_groups").join(&address[5..7]);
        fs::create_dir_all(group.join("devices").join(address)).unwrap();
        symlink(group, folder.join("iommu_group")).unwrap();
        if let Some(driver) = driver {
            take(root, address, driver);
        }
    }

    fn take(root: &Path, address: &str, driver: &str) {
        let drivers = root.join("sys/bus/pci/drivers").join(driver);
        fs::create_dir_all(&drivers).unwrap();
        let folder = root.join("sys/bus/pci/devices").join(address);
        symlink(&drivers, folder.join("driver")).unwrap();
        if driver == "mlx5_core" {
            let name = format!("enp{}", &address[5..7]);
            fs::create_dir_all(folder.join("net").join(&name)).unwrap();
            fs::create_dir_all(root.join("sys/class/net").join(name)).unwrap();
        }
    }

    fn leave(root: &Path, address: &str) {
        let folder = root.join("sys/bus/pci/devices").join(address);
        fs::remove_file(folder.join("driver")).unwrap();
        let _ = fs::remove_dir_all(folder.join("net"));
    }

    /// The machine in a folder. Its kernel knows `vfio-pci` if that has a folder among the drivers,
    /// and takes every other function with `mlx5_core`.
    pub fn machine(root: &Path) -> Machine {
        let kernel = root.to_owned();
        Machine {
            sysfs: Sysfs::at(root.join("sys")),
            proc: root.join("proc"),
            dev: root.join("dev"),
            run: root.join("run"),
            write: Box::new(move |path, text| {
                let root = &kernel;
                let name = path.file_name().unwrap().to_string_lossy();
                let at = |address: &str| root.join("sys/bus/pci/devices").join(address);
                match &*name {
                    "driver_override" => fs::write(path, text)?,
                    "unbind" => leave(root, text),
                    "bind" => {
                        let driver = path.parent().unwrap().file_name().unwrap();
                        take(root, text, &driver.to_string_lossy());
                    }
                    "drivers_probe" => {
                        let driver = fs::read_to_string(at(text).join("driver_override"))?;
                        let driver = match driver.trim() {
                            "" | "(null)" => "mlx5_core",
                            name => name,
                        };
                        if root.join("sys/bus/pci/drivers").join(driver).exists() {
                            take(root, text, driver);
                        }
                    }
                    _ => panic!("the kernel has no {}", path.display()),
                }
                Ok(())
            }),
        }
    }

    /// The file that says which routes there are.
    pub fn route(root: &Path, name: &str) {
        fs::create_dir_all(root.join("proc/net")).unwrap();
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n";
        let line = format!("{name}\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        fs::write(root.join("proc/net/route"), format!("{head}{line}")).unwrap();
    }
}
