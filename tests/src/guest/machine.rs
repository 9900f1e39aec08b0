//! A machine before it runs: its kernel, its files, its devices, and how QEMU is told of them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::images::{Kernel, loader, of_root};
use super::initramfs::Initramfs;
use super::nic::Nic;
use super::programs;
use super::running::{Guest, READY};
use crate::Netns;

/// The first program of a guest: it serves the shell (see `running.rs`) and does nothing by itself.
const INIT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin HOME=/run
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
ip link set lo up
stty -F /dev/ttyS1 raw -echo clocal
echo "$READY" >/dev/kmsg
exec 3<>/dev/ttyS1
echo ready >&3
while read -r size <&3; do
    head -c "$size" <&3 >/run/asked
    sh /run/asked </dev/null >/run/said 2>&1 3>&-
    echo "$? $(wc -c </run/said)" >&3
    cat /run/said >&3
done
"#;

/// A machine to be booted.
pub struct Machine {
    kernel: Kernel,
    files: Initramfs,
    iommu: bool,
    arguments: Vec<OsString>,
}

impl Machine {
    /// A machine of two processors and 1 GiB of memory that runs this kernel, with a shell,
    /// busybox, `ip` and `ethtool`, and no devices but its consoles.
    pub fn new(kernel: Kernel) -> Machine {
        let mut files = Initramfs::new();
        for folder in ["/bin", "/sbin"] {
            files.link(folder, "usr/bin");
        }
        files.file("/init", 0o755, INIT.replace("$READY", READY));
        for program in ["usr/bin/dash", "usr/bin/ip", "usr/sbin/ethtool"] {
            programs::add(&mut files, &of_root(program));
        }
        files.link("/usr/bin/sh", "dash");
        programs::add_busybox(&mut files);
        for module in kernel.modules() {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            files.copy(&format!("/modules/{name}"), 0o644, &module);
        }
        Machine {
            kernel,
            files,
            iommu: false,
            arguments: Vec::new(),
        }
    }

    /// Adds a program of the folder of tools, by its path there.
    pub fn tool(mut self, path: &str) -> Machine {
        programs::add(&mut self.files, &of_root(path));
        self
    }

    /// Adds a program of this machine, as `/usr/bin/NAME`, with the libraries that it needs.
    pub fn program(mut self, path: impl AsRef<Path>) -> Machine {
        programs::add(&mut self.files, path.as_ref());
        self
    }

    /// Adds a file.
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Machine {
        self.files.file(path, 0o755, content);
        self
    }

    /// Adds an IOMMU (VT-d), which the guest's kernel uses.
    pub fn iommu(mut self) -> Machine {
        self.iommu = true;
        self
    }

    /// Plugs a card into the slot.
    pub fn plug(self, nic: &Nic) -> Machine {
        self.arguments(&nic.arguments)
    }

    /// Adds arguments of QEMU's.
    pub fn arguments(mut self, more: impl IntoIterator<Item = impl Into<OsString>>) -> Machine {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    /// Boots it in a namespace, and waits until its shell answers. QEMU ends with the thread that
    /// called this, however that ends.
    pub fn boot(self, netns: &Netns) -> Guest {
        let folder = tempfile::Builder::new()
            .prefix("guest")
            .tempdir()
            .expect("a folder for the guest");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("initramfs"), self.files.archive()).expect("the guest's files");

        // A guest whose time is taken from it by other work has done no wrong: no complaints of that, and
        // no panic since its timer does not seem to run.
        let mut words = "console=ttyS0 panic=-1 oops=panic nowatchdog tsc=nowatchdog \
                         no_timer_check rcupdate.rcu_cpu_stall_suppress=1"
            .to_owned();
        if self.iommu {
            words.push_str(" intel_iommu=on iommu=pt");
        }
        let qemu = self.qemu();
        let mut command = netns.command("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(qemu.get_program())
            .args(qemu.get_args())
            .arg("-kernel")
            .arg(self.kernel.image())
            .arg("-initrd")
            .arg(path("initramfs"))
            .args(["-append", &words, "-serial"])
            .arg(format!("file:{}", path("console").display()))
            .args(["-chardev", "stdio,id=shell,signal=off"])
            .args(["-serial", "chardev:shell"])
            .args(&self.arguments)
            .env("QEMU_MODULE_DIR", of_root("usr/lib/x86_64-linux-gnu/qemu"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(path("qemu")).expect("a file for what QEMU says"));
        Guest::start(command, folder, self.kernel)
    }

    /// QEMU with all that does not depend on the guest's folder.
    fn qemu(&self) -> Command {
        let mut qemu = loader();
        qemu.arg(of_root("usr/bin/qemu-system-x86_64"));
        for firmware in ["usr/share/qemu", "usr/share/seabios"] {
            qemu.arg("-L").arg(of_root(firmware));
        }
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1G",
            // A device in another process reads the guest's memory by its descriptor.
            "-object",
            "memory-backend-memfd,id=memory,size=1G,share=on",
            "-machine",
            "q35,kernel-irqchip=split,memory-backend=memory",
        ]);
        if self.iommu {
            qemu.args(["-device", "intel-iommu,intremap=on,caching-mode=on"]);
        }
        qemu
    }
}
