//! `nicctl list`.

use super::machine::Machine;
use super::{part, routes};
use hal::pci::SysfsFunction;
use serde_json::{Value, json};

/// Base class of network controllers.
const NETWORK: u32 = 0x02;
/// Width of the text.
const WIDTH: usize = 80;

/// A NIC, and whether it can be used.
pub struct Nic {
    function: SysfsFunction,
    /// Those of its network devices that carry a default route.
    routes: Vec<String>,
    /// Why it cannot be used.
    obstacle: Option<String>,
}

/// The machine's NICs.
pub fn nics(machine: &Machine) -> Vec<Nic> {
    let all = machine.sysfs.functions().into_iter();
    // One that goes while it is looked at is not there.
    let functions = all.filter_map(|address| machine.sysfs.function(address).ok());
    let nics =
        functions.filter(|f| f.class >> 16 == NETWORK || hal_mlx::part_name(f.ids).is_some());
    nics.map(|function| Nic {
        routes: routes::default_routes(machine, &function.networks),
        obstacle: obstacle(&function),
        function,
    })
    .collect()
}

fn obstacle(function: &SysfsFunction) -> Option<String> {
    let (vendor, device) = function.ids;
    if hal_mlx::part_name(function.ids).is_none() {
        return Some(format!("no driver here knows {vendor:04x}:{device:04x}"));
    }
    if !function.resets {
        return Some("the kernel knows no way to reset it".into());
    }
    function.obstacle()
}

/// For people.
pub fn text(nics: &[Nic]) -> String {
    if nics.is_empty() {
        return "no NICs on the PCI buses of this machine\n".into();
    }
    nics.iter().map(block).collect()
}

fn block(nic: &Nic) -> String {
    let function = &nic.function;
    let mut text = format!("{}  {}\n", function.address, part(function.ids));
    let driver = function.driver.as_deref().unwrap_or("none");
    let mut facts = vec![format!("driver {driver}")];
    if let Some(group) = &function.group {
        facts.push(format!("IOMMU group {}", group.number));
    }
    facts.extend(function.networks.iter().map(|name| {
        let default = nic.routes.contains(name);
        format!(
            "network {name}{}",
            if default { " (default route)" } else { "" }
        )
    }));
    fold(&mut text, "    ", &facts.join(", "));
    match &nic.obstacle {
        None => fold(&mut text, "    ", "usable"),
        Some(why) => fold(&mut text, "    ", &format!("not usable: {why}")),
    }
    text
}

/// Adds lines that are not wider than the page.
fn fold(text: &mut String, margin: &str, words: &str) {
    let mut column = 0;
    for word in words.split(' ') {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > WIDTH {
            text.push('\n');
            column = 0;
        }
        match column {
            0 => text.push_str(margin),
            _ => text.push(' '),
        }
        column = column.max(margin.len()) + len + usize::from(column > 0);
        text.push_str(word);
    }
    text.push('\n');
}

/// For programs.
pub fn json(nics: &[Nic]) -> Value {
    let all = nics.iter().map(|nic| {
        let function = &nic.function;
        let (vendor, device) = function.ids;
        let group = function.group.as_ref();
        let others = group.map_or(&[][..], |g| &g.others);
        let others: Vec<Value> = others
            .iter()
            .map(|(address, driver)| json!({"address": address.to_string(), "driver": driver}))
            .collect();
        json!({
            "address": function.address.to_string(),
            "vendor": format!("{vendor:04x}"),
            "device": format!("{device:04x}"),
            "part": hal_mlx::part_name(function.ids),
            "driver": function.driver,
            "iommu_group": group.map(|g| &g.number),
            "shares_iommu_group_with": others,
            "networks": function.networks,
            "default_route": !nic.routes.is_empty(),
            "usable": nic.obstacle.is_none(),
            "why_not": nic.obstacle,
        })
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake;
    use super::*;
    use std::fs;

    #[test]
    fn nics_are_listed_with_what_keeps_them_from_being_used() {
        let root = tempfile::tempdir().unwrap();
        fake::add(
            root.path(),
            "0000:03:00.0",
            (0x15b3, 0x1017),
            Some("mlx5_core"),
        );
        fake::add(
            root.path(),
            "0000:04:00.0",
            (0x15b3, 0xa2d6),
            Some("vfio-pci"),
        );
        fake::add(root.path(), "0000:05:00.0", (0x8086, 0x10d3), None);
        fake::add(root.path(), "0000:06:00.0", (0x1234, 0x11e8), None);
        let disk = root.path().join("sys/bus/pci/devices/0000:06:00.0/class");
        fs::write(disk, "0x010802\n").unwrap();
        fake::route(root.path(), "enp03");
        let nics = nics(&fake::machine(root.path()));
        assert_eq!(
            text(&nics),
            "0000:03:00.0  ConnectX-5 (15b3:1017)\n\
             \x20   driver mlx5_core, IOMMU group 03, network enp03 (default route)\n\
             \x20   not usable: the driver mlx5_core has it, not vfio-pci: `nicctl bind\n\
             \x20   0000:03:00.0`\n\
             0000:04:00.0  BlueField-2 integrated ConnectX-6 Dx (15b3:a2d6)\n\
             \x20   driver vfio-pci, IOMMU group 04\n\
             \x20   usable\n\
             0000:05:00.0  8086:10d3\n\
             \x20   driver none, IOMMU group 05\n\
             \x20   not usable: no driver here knows 8086:10d3\n"
        );
        let told = json(&nics);
        let first = &told[0];
        assert_eq!(
            (&first["part"], &first["driver"]),
            (&json!("ConnectX-5"), &json!("mlx5_core"))
        );
        assert_eq!(
            (&first["default_route"], &first["usable"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(
            (&told[1]["usable"], &told[1]["why_not"]),
            (&json!(true), &Value::Null)
        );
        assert!(told[3].is_null());
    }

    #[test]
    fn a_machine_without_nics_says_so() {
        let root = tempfile::tempdir().unwrap();
        let nics = nics(&fake::machine(root.path()));
        assert_eq!(text(&nics), "no NICs on the PCI buses of this machine\n");
        assert_eq!(json(&nics), json!([]));
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        for len in 1..12 {
            let mut text = String::new();
            fold(&mut text, "    ", &vec!["x".repeat(len); 60].join(" "));
            let widest = text.lines().map(str::len).max().unwrap();
            assert!((WIDTH - len..=WIDTH).contains(&widest), "{len}: {widest}");
            assert_eq!(text.split_whitespace().count(), 60);
        }
    }
}
