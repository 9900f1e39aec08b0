//! Stock kernels as guests, wired to a namespace of this machine, and what they make of a network card.

use end_to_end::guest::traffic::{self, FAR};
use end_to_end::guest::{Guest, Kernel, Machine, Nic, SLOT};
use end_to_end::{Netns, eventually, ours, run};

/// The card where it does not matter which one it is, and its wire.
const CARD: fn(&Netns, &str) -> Nic = Nic::e1000e;

/// Names of what `ls` lists.
fn names(listed: &str) -> Vec<&str> {
    listed.split_whitespace().collect()
}

#[track_caller]
fn no_errors(guest: &Guest) {
    assert_eq!(guest.kernel_errors(), [] as [String; 0]);
}

/// The vendor's driver loads, the card's driver brings it up, and packets and files pass.
fn the_card_carries_packets(kernel: Kernel) {
    let netns = Netns::new();
    let card = CARD(&netns, "far0");
    let guest = Machine::new(kernel).plug(&card).boot(&netns);
    let version = guest.run("uname -r").ok();
    assert_eq!(version.trim(), kernel.version());
    guest.insert("mlx5_core");
    no_errors(&guest);
    eprintln!("mlx5_core is loaded on {}", version.trim());
    let device = traffic::bring_up(&guest, &netns, &card);
    let driver = guest.run(&format!("readlink /sys/class/net/{device}/device/driver"));
    assert!(driver.ok().trim().ends_with(card.driver));
    traffic::ping(&guest, &netns);
    traffic::copy_file(&guest, &netns, 10 << 20);
    no_errors(&guest);
    assert!(guest.power_off().contains("reboot: Power down"));
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_card_carries_packets_under_bookworms_kernel() {
    the_card_carries_packets(Kernel::Bookworm);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_card_carries_packets_under_sids_kernel() {
    the_card_carries_packets(Kernel::Sid);
}

/// Linux's own driver takes our model for a ConnectX: it says nothing of it that it would not say of
/// a real one, nothing that it asks is refused, and packets and files pass with all that it offloads.
fn the_model_is_a_connectx(kernel: Kernel) {
    let netns = Netns::new();
    let card = Nic::connectx(&netns, "far0");
    let guest = Machine::new(kernel).plug(&card).boot(&netns);
    let device = traffic::bring_up(&guest, &netns, &card);
    let driver = guest.run(&format!("readlink /sys/class/net/{device}/device/driver"));
    assert!(driver.ok().trim().ends_with("/mlx5_core"));
    let features = guest.run(&format!("ethtool -k {device}")).ok();
    for feature in [
        "rx-checksumming",
        "tx-checksumming",
        "tcp-segmentation-offload",
        "rx-vlan-offload",
        "tx-vlan-offload",
        "receive-hashing",
    ] {
        assert!(features.contains(&format!("{feature}: on")), "{features}");
    }
    traffic::ping(&guest, &netns);
    traffic::copy_file(&guest, &netns, 10 << 20);
    let counters = guest.run(&format!("ethtool -S {device}")).ok();
    let counted = |name: &str| -> u64 {
        let mut lines = counters.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines
            .find(|(counter, _)| counter.trim() == name)
            .unwrap_or_else(|| panic!("{name}: {counters}"));
        value.trim().parse().expect("a number")
    };
    for used in ["tx_tso_packets", "tx_csum_partial", "rx_csum_complete"] {
        assert!(counted(used) > 0, "{used}: {counters}");
    }
    assert_eq!(counted("rx_bytes_phy") / (10 << 20), 1);
    set_up_in_every_way(&guest, &netns, &card, &device);

    // Whoever loads it again finds a card as it was at first.
    for _ in 0..2 {
        guest.run("rmmod mlx5_core").ok();
        guest.insert("mlx5_core");
        let net = format!("/sys/bus/pci/devices/{SLOT}/net");
        guest.run(&format!("until [ -d {net} ]; do usleep 50000; done"));
    }
    guest.run("rmmod mlx5_core").ok();
    let mut warnings = guest.kernel_warnings();
    // Told of every card that becomes promiscuous.
    warnings.retain(|line| !line.contains("S-tagged traffic will be dropped"));
    assert_eq!(warnings, [] as [String; 0]);
    assert_eq!(card.complaints(), [] as [String; 0]);
    eprintln!("{kernel:?}: {:?}", card.vocabulary());
}

/// What an administrator may ask of a card, each followed by packets.
fn set_up_in_every_way(guest: &Guest, netns: &Netns, card: &Nic, device: &str) {
    for asked in [
        // The driver's own test of link, speed, health and loopback.
        format!("ethtool -t {device}"),
        format!("ip link set {device} promisc on"),
        format!("ip link set {device} promisc off allmulticast on"),
        format!("ip link set {device} mtu 9000"),
        format!("ethtool -L {device} combined 1"),
        format!("ethtool -G {device} rx 256 tx 256"),
        format!("ethtool -N {device} rx-flow-hash udp4 sdfn"),
        format!("ethtool -N {device} flow-type udp4 dst-port 9 action -1"),
        format!("ethtool -K {device} tso off rx off tx off rxvlan off txvlan off"),
        format!("ethtool -A {device} rx off tx off"),
        format!("ip link set {device} address 02:00:00:00:00:07"),
        format!("ip link set {device} down; ethtool {device}; ip link set {device} up"),
    ] {
        guest.run(&format!("set -e; {asked}")).ok();
        traffic::ping(guest, netns);
    }
    let carrier = |wanted: u8| {
        let file = format!("/sys/class/net/{device}/carrier");
        guest.run(&format!(
            "until [ \"$(cat {file})\" = {wanted} ]; do usleep 50000; done; ethtool {device}"
        ))
    };
    netns.ip(&format!("link set {} down", card.far));
    assert!(carrier(0).ok().contains("Link detected: no"));
    netns.ip(&format!("link set {} up", card.far));
    assert!(carrier(1).ok().contains("Link detected: yes"));
    traffic::ping(guest, netns);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_model_is_a_connectx_for_bookworms_kernel() {
    the_model_is_a_connectx(Kernel::Bookworm);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_model_is_a_connectx_for_sids_kernel() {
    the_model_is_a_connectx(Kernel::Sid);
}

/// Linux's own driver turns the model's e-switch on (switchdev): what it has no rule for goes through
/// the FDB to the function and back, with where it came from in register C 0. Returns the name of the
/// network device.
fn the_e_switch_is_on(guest: &Guest, netns: &Netns, card: &Nic) -> String {
    traffic::bring_up(guest, netns, card);
    let script = format!(
        "set -e
        devlink dev eswitch set pci/{SLOT} mode switchdev
        devlink dev eswitch show pci/{SLOT}"
    );
    let mode = guest.run(&script).ok();
    assert!(mode.contains("mode switchdev"), "{mode}");
    // It may be another network device now.
    let device = traffic::set_up(guest);
    traffic::ping(guest, netns);
    traffic::copy_file(guest, netns, 1 << 20);
    device
}

/// The driver goes, and neither it nor the card has complained.
fn they_part_in_peace(guest: &Guest, card: &Nic) {
    guest.run("rmmod mlx5_core").ok();
    no_errors(guest);
    assert_eq!(card.complaints(), [] as [String; 0]);
    eprintln!("{:?}", card.vocabulary());
}

/// A rule of TC that is in hardware only drops there, and its counter is read.
#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_models_e_switch_is_a_connectxs_for_bookworms_kernel() {
    let netns = Netns::new();
    let card = Nic::connectx(&netns, "far0");
    let guest = Machine::new(Kernel::Bookworm)
        .tool("usr/sbin/devlink")
        .tool("usr/sbin/tc")
        .plug(&card)
        .boot(&netns);
    let device = the_e_switch_is_on(&guest, &netns, &card);
    for module in ["sch_ingress", "cls_flower", "act_gact"] {
        guest.insert(module);
    }
    let rule = format!(
        "set -e
        ethtool -K {device} hw-tc-offload on
        tc qdisc add dev {device} ingress
        tc filter add dev {device} ingress protocol ip prio 1 flower skip_sw ip_proto icmp action drop"
    );
    guest.run(&rule).ok();
    assert_ne!(guest.run(&format!("ping -c 2 -W 2 {FAR}")).code, 0);
    // The driver reads counters once a second.
    let shown = format!(
        "until tc -s filter show dev {device} ingress | grep 'Sent hardware 196 bytes 2 pkt'; do
            usleep 100000
        done
        tc -s filter show dev {device} ingress"
    );
    let shown = guest.run(&shown).ok();
    assert!(shown.contains("in_hw in_hw_count 1"), "{shown}");
    guest
        .run(&format!("tc filter del dev {device} ingress prio 1"))
        .ok();
    traffic::ping(&guest, &netns);
    they_part_in_peace(&guest, &card);
}

/// Unstable's kernel asks no driver about rules of TC in such a guest, so there is none here.
#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_models_e_switch_is_a_connectxs_for_sids_kernel() {
    let netns = Netns::new();
    let card = Nic::connectx(&netns, "far0");
    let guest = Machine::new(Kernel::Sid)
        .tool("usr/sbin/devlink")
        .plug(&card)
        .boot(&netns);
    the_e_switch_is_on(&guest, &netns, &card);
    they_part_in_peace(&guest, &card);
}

/// Behind an IOMMU, the card is handed to `vfio-pci` and back through sysfs.
fn vfio_takes_the_card(kernel: Kernel, card: fn(&Netns, &str) -> Nic) {
    let netns = Netns::new();
    let card = card(&netns, "far0");
    let guest = Machine::new(kernel).iommu().plug(&card).boot(&netns);
    let group = format!("basename $(readlink /sys/bus/pci/devices/{SLOT}/iommu_group)");
    let group = guest.run(&group).ok().trim().to_owned();
    let members = guest.run(&format!("ls /sys/kernel/iommu_groups/{group}/devices"));
    assert_eq!(names(&members.ok()), [SLOT]);

    traffic::bring_up(&guest, &netns, &card);
    guest.insert("vfio-pci");
    assert_eq!(names(&guest.run("ls /dev/vfio").ok()), ["vfio"]);
    let hand_to = |driver: &str| {
        let script = format!(
            "set -e; cd /sys/bus/pci/devices/{SLOT}
            echo {driver} >driver_override
            echo {SLOT} >driver/unbind
            echo {SLOT} >/sys/bus/pci/drivers_probe
            basename $(readlink driver)"
        );
        guest.run(&script).ok().trim().to_owned()
    };
    assert_eq!(hand_to("vfio-pci"), "vfio-pci");
    let devices = guest.run("ls /dev/vfio").ok();
    let mut devices = names(&devices);
    devices.retain(|name| *name != "devices");
    assert_eq!(devices, [&*group, "vfio"]);
    assert_eq!(guest.run(&format!("test -c /dev/vfio/{group}")).code, 0);
    guest
        .run(&format!("test -e /sys/bus/pci/devices/{SLOT}/net"))
        .fails(1);

    assert_eq!(hand_to(card.driver), card.driver);
    assert_eq!(names(&guest.run("ls /dev/vfio").ok()), ["vfio"]);
    no_errors(&guest);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn vfio_takes_the_card_under_bookworms_kernel() {
    vfio_takes_the_card(Kernel::Bookworm, CARD);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn vfio_takes_the_card_under_sids_kernel() {
    vfio_takes_the_card(Kernel::Sid, CARD);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn vfio_takes_the_model_under_bookworms_kernel() {
    vfio_takes_the_card(Kernel::Bookworm, Nic::connectx);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn vfio_takes_the_model_under_sids_kernel() {
    vfio_takes_the_card(Kernel::Sid, Nic::connectx);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn our_programs_run_in_a_guest() {
    let daemon = ours("ovs-vswitchd");
    let here = run(std::process::Command::new(&daemon).arg("--version")).ok();
    let netns = Netns::new();
    let guest = Machine::new(Kernel::Bookworm).program(&daemon).boot(&netns);
    assert_eq!(guest.run("ovs-vswitchd --version").ok(), here);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn scripts_are_answered_in_full() {
    let netns = Netns::new();
    let guest = Machine::new(Kernel::Sid)
        .file("/usr/bin/hello", "#!/bin/sh\necho \"hello $1\"\n")
        .boot(&netns);
    assert_eq!(guest.run("hello you").ok(), "hello you\n");
    assert_eq!(
        guest.run("echo here; echo there >&2; exit 7").out,
        "here\nthere\n"
    );
    assert_eq!(guest.run("exit 7").code, 7);
    assert_eq!(guest.run("").ok(), "");
    let many = guest.run("seq 100000").ok();
    assert!(many.lines().eq((1..=100_000).map(|n| n.to_string())));
    let long = format!(": {}\necho done", "x".repeat(20_000));
    assert_eq!(guest.run(&long).ok(), "done\n");
    guest.run("echo to be seen >/dev/console").ok();
    guest.console_line("to be seen");
    guest.run("echo '<3>an error' >/dev/kmsg").ok();
    let errors = guest.kernel_errors();
    assert!(
        errors.len() == 1 && errors[0].ends_with("an error"),
        "{errors:?}"
    );
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
#[should_panic(expected = "the guest ended while running: echo c >/proc/sysrq-trigger")]
fn a_guest_that_crashes_fails_its_test() {
    let netns = Netns::new();
    let guest = Machine::new(Kernel::Bookworm).boot(&netns);
    guest.run("echo c >/proc/sysrq-trigger");
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_guest_ends_with_the_thread_of_its_test() {
    let netns = Netns::new();
    let boot = || Machine::new(Kernel::Bookworm).boot(&netns);
    let guest = std::thread::scope(|scope| scope.spawn(boot).join().unwrap());
    let pid = guest.pid();
    eventually("the guest's end", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.contains("State:\tZ").then_some(())
    });
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn a_guest_ends_with_its_value() {
    let netns = Netns::new();
    let guest = Machine::new(Kernel::Bookworm).boot(&netns);
    let process = format!("/proc/{}", guest.pid());
    assert!(std::fs::exists(&process).unwrap());
    drop(guest);
    assert!(!std::fs::exists(&process).unwrap());
}

/// The switch in the guest has the card through `vfio-pci`, behind an IOMMU. Two machines outside,
/// one at the wire of each of two virtual functions, reach each other by rules in the card.
fn the_switch_drives_the_card(kernel: Kernel) {
    let netns = Netns::new();
    let machines = [Netns::new(), Netns::new()];
    for (i, machine) in machines.iter().enumerate() {
        netns.wire(&format!("wire{i}"), machine, "eth0");
        machine.ip(&format!("addr add 10.9.0.{}/24 dev eth0", i + 1));
    }
    let wires = ["vf0=packet:wire0", "vf1=packet:wire1"];
    let card = Nic::connectx_with(&netns, &wires);
    let programs = [
        "ovs-vswitchd",
        "ovs-vsctl",
        "ovs-ofctl",
        "ovs-appctl",
        "nicctl",
    ];
    let machine = Machine::new(kernel).iommu().plug(&card);
    let machine = programs
        .iter()
        .fold(machine, |machine, name| machine.program(ours(name)));
    let guest = machine.boot(&netns);
    guest.insert("vfio-pci");
    guest.run(&format!("nicctl bind {SLOT}")).ok();
    guest
        .run("mkdir -p /run/openvswitch /var/log/openvswitch /etc/openvswitch; ovs-vswitchd --embedded-db --detach --pidfile --log-file")
        .ok();
    guest
        .run(&format!(
            "ovs-vsctl --no-wait set Open_vSwitch . other_config:hw-offload=true other_config:offload-admit=always \
             -- add-br br0 -- set bridge br0 datapath_type=netdev \
             -- add-port br0 vf0 -- set interface vf0 type=dpdk options:dpdk-devargs={SLOT},representor=vf0 \
             -- add-port br0 vf1 -- set interface vf1 type=dpdk 'options:dpdk-devargs=\"{SLOT},representor=[1]\"'"
        ))
        .ok();
    for name in ["vf0", "vf1"] {
        eventually("the port is there", || {
            let told = guest
                .run(&format!("ovs-vsctl get interface {name} ofport error"))
                .out;
            (told == "1\n[]\n" || told == "2\n[]\n").then_some(())
        });
    }
    let ping = |count: u32| {
        let mut ping = machines[0].command("ping");
        run(ping.args(["-q", "-i0.2", "-w60", "-c", &count.to_string(), "10.9.0.2"]))
    };
    eventually("the machines know each other", || {
        (ping(1).code == 0).then_some(())
    });
    let hits = || {
        let shown = guest.run("ovs-appctl --format json offload/show").ok();
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        shown["netdev"]["devices"][0]["hits"]
            .as_u64()
            .expect("a number")
    };
    let before = hits();
    ping(20).ok();
    eventually("the card has carried them", || {
        (hits() >= before + 30).then_some(())
    });
    let flows = guest.run("ovs-appctl dpctl/dump-flows type=offloaded").ok();
    assert!(flows.contains("eth_type(0x0800)"), "{flows}");
    guest.run("ovs-appctl exit").ok();
    assert_eq!(card.complaints(), [] as [String; 0]);
    guest.run(&format!("nicctl unbind {SLOT}")).ok();
    no_errors(&guest);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_switch_drives_the_card_through_vfio_under_bookworms_kernel() {
    the_switch_drives_the_card(Kernel::Bookworm);
}

#[test]
#[ignore = "boots a guest: tools/test --vm"]
fn the_switch_drives_the_card_through_vfio_under_sids_kernel() {
    the_switch_drives_the_card(Kernel::Sid);
}
