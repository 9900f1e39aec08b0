//! `nicctl` and the way to a function through VFIO, in guests with an IOMMU.

use end_to_end::guest::{Guest, Kernel, Machine, Nic, SLOT, traffic};
use end_to_end::{Netns, ours};

/// Runs `nicctl` in a guest: what it says, if it succeeds.
#[track_caller]
fn nicctl(guest: &Guest, words: &str) -> String {
    guest.run(&format!("nicctl {words}")).ok()
}

/// The same, if it fails: with its exit code 1, and one line.
#[track_caller]
fn fails(guest: &Guest, words: &str) -> String {
    let done = guest.run(words);
    assert_eq!(
        (done.code, done.out.lines().count()),
        (1, 1),
        "{words}: {}",
        done.out
    );
    done.out
}

#[track_caller]
fn contains(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

/// A NIC of the guest is listed, bound, tried, and given back; what is in the way is told.
fn a_nic_goes_to_user_space_and_back(kernel: Kernel) {
    let netns = Netns::new();
    let card = Nic::e1000e(&netns, "far0");
    let machine = Machine::new(kernel).iommu().program(ours("nicctl"));
    let machine = machine.file(
        "/etc/passwd",
        "root:x:0:0::/:/bin/sh\nsomeone:x:77:77::/:/bin/sh\n",
    );
    let guest = machine.plug(&card).boot(&netns);
    let device = traffic::bring_up(&guest, &netns, &card);
    let driver = card.driver;
    let list = nicctl(&guest, "list");
    contains(
        &list,
        &[
            &format!("{SLOT}  8086:10d3\n"),
            &format!("driver {driver}, IOMMU group "),
            &format!("network {device}\n"),
            "not usable: no driver here knows 8086:10d3",
        ],
    );
    let bind = format!("nicctl bind {SLOT}");
    let not_loaded =
        format!("nicctl: {SLOT}: the driver vfio-pci is not loaded: `modprobe vfio-pci`\n");
    assert_eq!(fails(&guest, &bind), not_loaded);
    guest.insert("vfio-pci");
    let bound = format!("nicctl: {SLOT}: the driver {driver} has it, not vfio-pci: `{bind}`\n");
    assert_eq!(fails(&guest, &format!("nicctl probe {SLOT}")), bound);

    guest
        .run(&format!("ip route add default dev {device}"))
        .ok();
    contains(
        &fails(&guest, &bind),
        &[&format!("default route goes through {device}")],
    );
    guest.run("ip route del default").ok();
    let shown = nicctl(&guest, &format!("bind --dry-run {SLOT}"));
    contains(
        &shown,
        &["echo vfio-pci > /sys/bus/pci/devices/0000:00:10.0/driver_override\n"],
    );
    assert_eq!(
        nicctl(&guest, &format!("bind {SLOT}")),
        format!("{SLOT}: vfio-pci has it, {driver} had it before\n")
    );

    let way = |guest: &Guest| {
        let probe = nicctl(guest, &format!("probe {SLOT}"));
        contains(
            &probe,
            &[
                "8086:10d3, revision 0x0",
                "MSI-X",
                "BAR 0: 0x20000 bytes, mapped, begins with ",
                "1024 KiB mapped, the first at 0x",
                "5 of 5 turned on and off",
            ],
        );
        assert_eq!(probe.matches(" ms  ok\n").count(), 5, "{probe}");
    };
    way(&guest);
    way(&guest);
    assert_eq!(
        nicctl(&guest, &format!("reset {SLOT}")),
        format!("{SLOT}: reset\n")
    );
    let no_connectx = fails(&guest, &format!("nicctl health {SLOT}"));
    assert_eq!(no_connectx, "nicctl: no driver here knows 8086:10d3\n");
    what_is_in_the_way_is_told(&guest);

    let group = format!("$(basename $(readlink /sys/bus/pci/devices/{SLOT}/iommu_group))");
    let held = format!("exec 4<>/dev/vfio/{group}");
    let unbind = format!("nicctl unbind {SLOT}");
    contains(
        &fails(&guest, &format!("{held}; {unbind}")),
        &["a process has it open"],
    );
    let said = fails(&guest, &format!("{held}; nicctl probe {SLOT}"));
    contains(
        &said,
        &["another process has /dev/vfio/", " open (`fuser -v "],
    );

    assert_eq!(
        nicctl(&guest, &format!("unbind {SLOT}")),
        format!("{SLOT}: {driver} has it\n")
    );
    let not_bound = format!("nicctl: {SLOT}: the driver {driver} has it, not vfio-pci\n");
    assert_eq!(fails(&guest, &unbind), not_bound);
    netns.ip(&format!("addr flush dev {}", card.far));
    traffic::bring_up(&guest, &netns, &card);
    traffic::ping(&guest, &netns);
    assert_eq!(guest.kernel_errors(), [] as [String; 0]);
}

/// To somebody who is not root.
fn what_is_in_the_way_is_told(guest: &Guest) {
    let someone =
        |limit: &str| format!("ulimit -l {limit}; su -s /bin/sh someone -c 'nicctl probe {SLOT}'");
    let denied = fails(guest, &someone("64"));
    contains(
        &denied,
        &["no permission to open /dev/vfio/", "`chown 77 /dev/vfio/"],
    );
    let files = "$(find /dev/vfio /dev/iommu -type c 2>/dev/null)";
    guest.run(&format!("chown someone {files}")).ok();
    let limited = guest.run(&someone("64"));
    assert_eq!(limited.code, 1);
    contains(
        &limited.out,
        &["this process may lock 64 KiB of memory and needs 128 KiB: `ulimit -l unlimited`"],
    );
    contains(&guest.run(&someone("2048")).ok(), &["1024 KiB mapped"]);
    guest.run(&format!("chown root {files}")).ok();
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_nic_goes_to_user_space_and_back_under_bookworms_kernel() {
    a_nic_goes_to_user_space_and_back(Kernel::Bookworm);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_nic_goes_to_user_space_and_back_under_sids_kernel() {
    a_nic_goes_to_user_space_and_back(Kernel::Sid);
}

/// A device that does reach memory: what is mapped, nothing else, and still when its driver was killed
/// and another goes on.
fn a_device_reaches_what_it_is_given(kernel: Kernel) {
    // Behind a port of its own, which can be reset.
    const EDU: &str = "0000:01:00.0";
    let netns = Netns::new();
    let guest = Machine::new(kernel)
        .iommu()
        .program(ours("nicctl"))
        .program(ours("edu"))
        .arguments([
            "-device",
            "pcie-root-port,id=above,bus=pcie.0,chassis=1,addr=12.0",
        ])
        .arguments(["-device", "edu,bus=above,addr=0"])
        .boot(&netns);
    guest.insert("vfio-pci");
    assert_eq!(
        nicctl(&guest, &format!("bind {EDU}")),
        format!("{EDU}: vfio-pci has it, no driver had it before\n")
    );
    contains(
        &nicctl(&guest, &format!("probe {EDU}")),
        &["there are none (MSI-X)"],
    );
    let script = format!(
        "edu give {EDU} /run/edu & until [ -S /run/edu ]; do usleep 50000; done; edu take /run/edu"
    );
    contains(&guest.run(&script).ok(), &["taken over\n"]);
    assert_eq!(guest.kernel_errors(), [] as [String; 0]);
    contains(
        &guest.run(&format!("edu dma {EDU}")).ok(),
        &["carried, kept out, reset\n"],
    );
    // The IOMMU says what it kept the device from.
    let faults = guest.kernel_errors();
    assert!(
        faults.iter().all(|line| line.contains("DMAR")),
        "{faults:?}"
    );
    assert!(
        faults.iter().any(|line| line.contains("01:00.0]")),
        "{faults:?}"
    );
    assert_eq!(
        nicctl(&guest, &format!("unbind {EDU}")),
        format!("{EDU}: no driver has it\n")
    );
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_device_reaches_what_it_is_given_under_bookworms_kernel() {
    a_device_reaches_what_it_is_given(Kernel::Bookworm);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_device_reaches_what_it_is_given_under_sids_kernel() {
    a_device_reaches_what_it_is_given(Kernel::Sid);
}

/// Our driver on our model of a ConnectX, through the kernel's VFIO and an IOMMU.
fn a_connectx_is_tested(kernel: Kernel) {
    let netns = Netns::new();
    let card = Nic::connectx(&netns, "far0");
    let machine = Machine::new(kernel).iommu().program(ours("nicctl"));
    let guest = machine.plug(&card).boot(&netns);
    guest.insert("vfio-pci");
    let list = nicctl(&guest, "list");
    contains(
        &list,
        &[
            &format!("{SLOT}  ConnectX-6 Dx (15b3:101d)\n"),
            "no driver has it",
        ],
    );
    nicctl(&guest, &format!("bind {SLOT}"));
    contains(
        &nicctl(&guest, "list"),
        &["    driver vfio-pci, ", "    usable\n"],
    );
    contains(
        &nicctl(&guest, &format!("health {SLOT}")),
        &["its counter moves (", "    well\n"],
    );
    let test = format!("selftest --report /run/report {SLOT}");
    contains(
        &nicctl(&guest, &test),
        &["bytes, mapped, ", "it has dropped 0 frames"],
    );
    let report = guest.run("cat /run/report").ok();
    assert!(
        report.contains("rule taken away") && !report.contains("failed"),
        "{report}"
    );
    nicctl(&guest, &format!("unbind {SLOT}"));
    assert_eq!(guest.kernel_errors(), [] as [String; 0]);
    // It is asked for all capabilities that there are, and has not all.
    let mut complaints = card.complaints();
    complaints.retain(|line| !line.ends_with(" syndrome=NoSuchCapabilities"));
    assert_eq!(complaints, [] as [String; 0]);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_connectx_is_tested_under_bookworms_kernel() {
    a_connectx_is_tested(Kernel::Bookworm);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_connectx_is_tested_under_sids_kernel() {
    a_connectx_is_tested(Kernel::Sid);
}
