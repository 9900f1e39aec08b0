//! Which network devices this machine is reached through.

use super::machine::Machine;
use std::collections::BTreeSet;
use std::fs;

/// Flags of a route: it is up; it refuses.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

/// Which of these devices carry a default route, themselves or below a bond, a bridge or a VLAN.
pub fn default_routes(machine: &Machine, devices: &[String]) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(machine.proc.join(name)).unwrap_or_default();
    let mut defaults = v4(&read("net/route"));
    defaults.extend(v6(&read("net/ipv6_route")));
    let carries = |device: &&String| {
        let above = above(machine, device);
        !above.is_disjoint(&defaults)
    };
    devices.iter().filter(carries).cloned().collect()
}

/// A device and all that stand on it.
fn above(machine: &Machine, device: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = vec![device.to_owned()];
    while let Some(device) = next.pop() {
        let folder = machine.sysfs.path("class/net").join(&device);
        if !seen.insert(device) {
            continue;
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        next.extend(entries.filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_prefix("upper_").map(str::to_owned)
        }));
    }
    seen
}

/// `/proc/net/route`: device, destination, gateway, flags, ..., the mask in the eighth column.
fn v4(text: &str) -> BTreeSet<String> {
    let lines = text.lines().skip(1);
    let defaults = lines.filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (device, mask) = (columns.first()?, columns.get(7)?);
        let default = *columns.get(1)? == "00000000" && *mask == "00000000";
        (default && works(columns.get(3)?)).then(|| (*device).to_owned())
    });
    defaults.collect()
}

/// `/proc/net/ipv6_route`: destination, its length, ..., flags, device.
fn v6(text: &str) -> BTreeSet<String> {
    let defaults = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let default = *columns.get(1)? == "00" && columns[0].bytes().all(|b| b == b'0');
        (default && works(columns.get(8)?)).then(|| columns.get(9).map(|d| (*d).to_owned()))?
    });
    defaults.collect()
}

fn works(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (UP | REJECT) == UP)
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake;
    use super::*;

    #[test]
    fn a_default_route_is_found_on_a_device_and_on_what_stands_on_it() {
        let root = tempfile::tempdir().unwrap();
        let machine = fake::machine(root.path());
        for folder in [
            "enp03/upper_bond0",
            "bond0/upper_bond0.5",
            "bond0.5",
            "enp04",
        ] {
            fs::create_dir_all(root.path().join("sys/class/net").join(folder)).unwrap();
        }
        let both = ["enp03".to_owned(), "enp04".to_owned()];
        assert!(default_routes(&machine, &both).is_empty());
        fake::route(root.path(), "bond0.5");
        assert_eq!(default_routes(&machine, &both), ["enp03"]);
        fake::route(root.path(), "enp04");
        assert_eq!(default_routes(&machine, &both), ["enp04"]);
    }

    #[test]
    fn only_default_routes_that_work_count() {
        let v4 = v4(
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
             eth1 00000000 00000000 0201 0 0 0 00000000 0 0 0\n\
             eth2 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0\n\
             eth3 00000000\n",
        );
        assert_eq!(v4, BTreeSet::from(["eth2".to_owned()]));
        let none = "0".repeat(32);
        let v6 = v6(&format!(
            "{none} 00 {none} 00 {none} ffffffff 00000001 00000000 00200200 lo\n\
             {none} 00 {none} 00 fe8000000000000000000000000000ff 00000400 1 0 00000003 eth0\n\
             fe80{none} 40 {none} 00 {none} 00000100 1 0 00000001 eth1\n"
        ));
        assert_eq!(v6, BTreeSet::from(["eth0".to_owned()]));
    }
}
