//! `nicctl bind` and `nicctl unbind`: who drives a NIC.
//!
//! The kernel is told in three writes: whom the function is for (`driver_override`), that its driver let
//! it go (`unbind`), and that it be offered to drivers again (`drivers_probe`). Who had it before is
//! remembered until the next boot, which forgets the rest as well.

use super::machine::Machine;
use super::{Failure, routes};
use hal::pci::{PciAddress, VFIO_PCI};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// What is to be written to the kernel, and what must be so then.
pub struct Plan {
    address: PciAddress,
    writes: Vec<(PathBuf, String)>,
    goal: Goal,
}

enum Goal {
    /// It is so already.
    Reached,
    /// `vfio-pci` has it; who has it now.
    Bound(Option<String>),
    /// This driver has it, any has it, or none does.
    Given(Former),
}

/// Who had a function before it was bound.
#[derive(Debug, PartialEq, Eq)]
enum Former {
    Driver(String),
    Nobody,
    /// It was not `nicctl` that bound it.
    Unknown,
}

fn remembered(machine: &Machine, address: PciAddress) -> PathBuf {
    machine.run.join(address.to_string())
}

fn former(machine: &Machine, address: PciAddress) -> Former {
    match fs::read_to_string(remembered(machine, address)) {
        Ok(name) if name.trim().is_empty() => Former::Nobody,
        Ok(name) => Former::Driver(name.trim().to_owned()),
        Err(_) => Former::Unknown,
    }
}

/// How a function gets to `vfio-pci`.
pub fn bind(machine: &Machine, address: PciAddress, force: bool) -> Result<Plan, Failure> {
    let function = machine.function(address)?;
    let refused = |why: String| Err(format!("{address}: {why}"));
    let folder = machine.sysfs.folder(address);
    let plan = |writes, goal| {
        Ok(Plan {
            address,
            writes,
            goal,
        })
    };
    if function.driver.as_deref() == Some(VFIO_PCI) {
        return plan(Vec::new(), Goal::Reached);
    }
    if function.group.is_none() {
        return refused(function.obstacle().unwrap_or_default());
    }
    if !machine
        .sysfs
        .path("bus/pci/drivers")
        .join(VFIO_PCI)
        .exists()
    {
        return refused(format!(
            "the driver {VFIO_PCI} is not loaded: `modprobe {VFIO_PCI}`"
        ));
    }
    let default = routes::default_routes(machine, &function.networks);
    if let (Some(network), false) = (default.first(), force) {
        return refused(format!(
            "this machine's default route goes through {network}: it would be cut off (--force \
             binds it all the same)"
        ));
    }
    let virtuals = fs::read_to_string(folder.join("sriov_numvfs")).unwrap_or_default();
    if !matches!(virtuals.trim(), "" | "0") && !force {
        return refused(format!(
            "its {} virtual functions would go: `echo 0 > {}` first (--force binds it all the same)",
            virtuals.trim(),
            folder.join("sriov_numvfs").display()
        ));
    }
    let mut writes = vec![(folder.join("driver_override"), VFIO_PCI.to_owned())];
    if function.driver.is_some() {
        writes.push((folder.join("driver/unbind"), address.to_string()));
    }
    writes.push((
        machine.sysfs.path("bus/pci/drivers_probe"),
        address.to_string(),
    ));
    plan(writes, Goal::Bound(function.driver))
}

/// How a function gets back to whom it came from.
pub fn unbind(machine: &Machine, address: PciAddress) -> Result<Plan, Failure> {
    let function = machine.function(address)?;
    let former = former(machine, address);
    match function.driver.as_deref() {
        Some(VFIO_PCI) => {}
        Some(driver) => {
            return Err(format!(
                "{address}: the driver {driver} has it, not {VFIO_PCI}"
            ));
        }
        None => return Err(format!("{address}: no driver has it")),
    }
    // The kernel would wait until that process lets go.
    if let Some(group) = &function.group {
        let file = machine.dev.join("vfio").join(&group.number);
        let opened = fs::OpenOptions::new().read(true).write(true).open(&file);
        if opened.is_err_and(|e| e.kind() == ErrorKind::ResourceBusy) {
            return Err(format!(
                "{address}: a process has it open (`fuser -v {}` names it): stop that first",
                file.display()
            ));
        }
    }
    let folder = machine.sysfs.folder(address);
    let mut writes = vec![
        (folder.join("driver_override"), "\n".to_owned()),
        (folder.join("driver/unbind"), address.to_string()),
    ];
    if former != Former::Nobody {
        writes.push((
            machine.sysfs.path("bus/pci/drivers_probe"),
            address.to_string(),
        ));
    }
    Ok(Plan {
        address,
        writes,
        goal: Goal::Given(former),
    })
}

impl Plan {
    /// Carries it out, or prints it.
    pub fn end(self, machine: &Machine, dry_run: bool) -> Result<u8, Failure> {
        if dry_run {
            put!("{}", self.shown());
            return Ok(0);
        }
        for line in self.carry_out(machine)? {
            say!("{}: {line}", self.address);
        }
        Ok(0)
    }

    /// As a shell would do it.
    fn shown(&self) -> String {
        let lines = self.writes.iter().map(|(path, text)| match text.trim() {
            "" => format!("echo > {}\n", path.display()),
            text => format!("echo {text} > {}\n", path.display()),
        });
        lines.collect()
    }

    /// Does it; answers what there is to say.
    fn carry_out(&self, machine: &Machine) -> Result<Vec<String>, Failure> {
        let address = self.address;
        match &self.goal {
            Goal::Reached => Ok(vec![format!("{VFIO_PCI} has it already")]),
            Goal::Bound(before) => {
                self.remember(machine, before.as_deref())?;
                let taken = self.write(machine).and_then(|()| {
                    let driver = machine.sysfs.driver(address);
                    if driver.as_deref() == Some(VFIO_PCI) {
                        return Ok(());
                    }
                    let who = driver.as_deref().unwrap_or("no driver");
                    Err(format!(
                        "{address}: {VFIO_PCI} did not take it, {who} has it (`dmesg` may say why)"
                    ))
                });
                if let Err(why) = taken {
                    self.undo(machine, before.is_some());
                    return Err(why);
                }
                let was = before.as_deref().unwrap_or("no driver");
                let mut lines = vec![format!("{VFIO_PCI} has it, {was} had it before")];
                if let Some(obstacle) = machine.function(address)?.obstacle() {
                    lines.push(format!("not usable yet: {obstacle}"));
                }
                Ok(lines)
            }
            Goal::Given(former) => {
                self.write(machine)?;
                let now = self.give_back(machine, former)?;
                let _ = fs::remove_file(remembered(machine, address));
                Ok(vec![match now {
                    Some(driver) => format!("{driver} has it"),
                    None => "no driver has it".into(),
                }])
            }
        }
    }

    fn write(&self, machine: &Machine) -> Result<(), Failure> {
        let mut writes = self.writes.iter();
        writes.try_for_each(|(path, text)| machine.write(path, text))
    }

    fn remember(&self, machine: &Machine, driver: Option<&str>) -> Result<(), Failure> {
        let file = remembered(machine, self.address);
        let written = fs::create_dir_all(&machine.run)
            .and_then(|()| fs::write(&file, format!("{}\n", driver.unwrap_or(""))));
        written.map_err(|e| match e.kind() {
            ErrorKind::PermissionDenied => {
                format!("no permission to write {}: run as root", file.display())
            }
            _ => format!("{}: {}", file.display(), daemon::log::reason(&e)),
        })
    }

    /// Gives a function that was not taken back to whom it came from, as far as that goes.
    fn undo(&self, machine: &Machine, had_driver: bool) {
        let folder = machine.sysfs.folder(self.address);
        let _ = machine.write(&folder.join("driver_override"), "\n");
        if had_driver && machine.sysfs.driver(self.address).is_none() {
            let probe = machine.sysfs.path("bus/pci/drivers_probe");
            let _ = machine.write(&probe, &self.address.to_string());
        }
        let _ = fs::remove_file(remembered(machine, self.address));
    }

    /// Sees to it that the driver that had it has it again, where the kernel chose another or none.
    fn give_back(&self, machine: &Machine, former: &Former) -> Result<Option<String>, Failure> {
        let (address, now) = (self.address, machine.sysfs.driver(self.address));
        let Former::Driver(wanted) = former else {
            return Ok(now);
        };
        if now.as_deref() == Some(wanted) {
            return Ok(now);
        }
        let drivers = machine.sysfs.path("bus/pci/drivers").join(wanted);
        if !drivers.exists() {
            return Err(format!(
                "{address}: {wanted} had it before and is not loaded: `modprobe {wanted}`"
            ));
        }
        if now.is_some() {
            let unbind = machine.sysfs.folder(address).join("driver/unbind");
            machine.write(&unbind, &address.to_string())?;
        }
        machine.write(&drivers.join("bind"), &address.to_string())?;
        Ok(machine.sysfs.driver(address))
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake;
    use super::*;
    use std::path::Path;

    const NIC: &str = "0000:03:00.0";

    fn made(driver: Option<&str>) -> (tempfile::TempDir, Machine, PciAddress) {
        let root = tempfile::tempdir().unwrap();
        fake::add(root.path(), NIC, (0x15b3, 0x1017), driver);
        for name in [VFIO_PCI, "mlx5_core", "other"] {
            fs::create_dir_all(root.path().join("sys/bus/pci/drivers").join(name)).unwrap();
        }
        let machine = fake::machine(root.path());
        (root, machine, NIC.parse().unwrap())
    }

    fn refused(plan: Result<Plan, Failure>) -> String {
        plan.err().expect("a refusal")
    }

    fn no_trace(root: &Path) {
        let mut left = fs::read_dir(root.join("run")).into_iter().flatten();
        assert!(left.next().is_none());
    }

    #[test]
    fn a_nic_goes_to_user_space_and_back_to_whom_it_came_from() {
        for (before, back) in [
            (Some("mlx5_core"), "mlx5_core has it"),
            (Some("other"), "other has it"),
            (None, "no driver has it"),
        ] {
            let (root, machine, nic) = made(before);
            let bound = bind(&machine, nic, false).unwrap();
            let said = bound.carry_out(&machine).unwrap();
            let was = before.unwrap_or("no driver");
            assert_eq!(said, [format!("vfio-pci has it, {was} had it before")]);
            assert_eq!(machine.sysfs.driver(nic).as_deref(), Some(VFIO_PCI));
            let again = bind(&machine, nic, false).unwrap();
            assert_eq!(
                again.carry_out(&machine).unwrap(),
                ["vfio-pci has it already"]
            );
            let given = unbind(&machine, nic).unwrap();
            assert_eq!(given.carry_out(&machine).unwrap(), [back]);
            assert_eq!(machine.sysfs.driver(nic).as_deref(), before);
            no_trace(root.path());
        }
    }

    #[test]
    fn what_another_has_bound_is_offered_to_all_drivers() {
        let (_root, machine, nic) = made(Some(VFIO_PCI));
        let given = unbind(&machine, nic).unwrap();
        assert_eq!(given.carry_out(&machine).unwrap(), ["mlx5_core has it"]);
    }

    #[test]
    fn a_plan_is_shown_as_a_shell_would_carry_it_out() {
        let (root, machine, nic) = made(Some("mlx5_core"));
        let sys = root.path().join("sys/bus/pci");
        let sys = sys.display();
        assert_eq!(
            bind(&machine, nic, false).unwrap().shown(),
            format!(
                "echo vfio-pci > {sys}/devices/{NIC}/driver_override\n\
                 echo {NIC} > {sys}/devices/{NIC}/driver/unbind\n\
                 echo {NIC} > {sys}/drivers_probe\n"
            )
        );
        assert_eq!(machine.sysfs.driver(nic).as_deref(), Some("mlx5_core"));
        bind(&machine, nic, false)
            .unwrap()
            .carry_out(&machine)
            .unwrap();
        assert_eq!(
            unbind(&machine, nic).unwrap().shown(),
            format!(
                "echo > {sys}/devices/{NIC}/driver_override\n\
                 echo {NIC} > {sys}/devices/{NIC}/driver/unbind\n\
                 echo {NIC} > {sys}/drivers_probe\n"
            )
        );
    }

    #[test]
    fn a_nic_that_is_needed_is_left_alone_unless_forced() {
        let (root, machine, nic) = made(Some("mlx5_core"));
        fake::route(root.path(), "enp03");
        let why = refused(bind(&machine, nic, false));
        assert!(why.starts_with("0000:03:00.0: this machine's default route goes through enp03"));
        assert!(bind(&machine, nic, true).is_ok());
        fake::route(root.path(), "eth0");
        let virtuals = machine.sysfs.folder(nic).join("sriov_numvfs");
        fs::write(virtuals, "4\n").unwrap();
        let why = refused(bind(&machine, nic, false));
        assert!(
            why.starts_with("0000:03:00.0: its 4 virtual functions would go"),
            "{why}"
        );
        assert!(bind(&machine, nic, true).is_ok());
    }

    #[test]
    fn what_cannot_be_done_says_what_to_run() {
        let (root, machine, nic) = made(Some("mlx5_core"));
        let not_bound = refused(unbind(&machine, nic));
        assert_eq!(
            not_bound,
            "0000:03:00.0: the driver mlx5_core has it, not vfio-pci"
        );
        let drivers = root.path().join("sys/bus/pci/drivers");
        fs::remove_dir(drivers.join(VFIO_PCI)).unwrap();
        let not_loaded = refused(bind(&machine, nic, false));
        let told = "0000:03:00.0: the driver vfio-pci is not loaded: `modprobe vfio-pci`";
        assert_eq!(not_loaded, told);
        fs::remove_file(machine.sysfs.folder(nic).join("iommu_group")).unwrap();
        assert!(refused(bind(&machine, nic, false)).contains("behind no IOMMU"));
        let missing = refused(bind(&machine, "9:0.0".parse().unwrap(), false));
        assert!(missing.starts_with("0000:09:00.0: there is no such PCI function"));
    }

    #[test]
    fn a_nic_that_is_not_taken_goes_back() {
        let (root, machine, nic) = made(Some("mlx5_core"));
        let plan = bind(&machine, nic, false).unwrap();
        // The driver goes just then.
        fs::remove_dir(root.path().join("sys/bus/pci/drivers").join(VFIO_PCI)).unwrap();
        let why = plan.carry_out(&machine).unwrap_err();
        assert!(
            why.contains("vfio-pci did not take it, no driver has it"),
            "{why}"
        );
        assert_eq!(machine.sysfs.driver(nic).as_deref(), Some("mlx5_core"));
        no_trace(root.path());
    }
}
