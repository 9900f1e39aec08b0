//! `ovs-vsctl`: the commands that know what bridges, ports and interfaces are.
//!
//! * [`layout`]: which bridge has which ports, fake bridges included
//! * `bridges`, `ports`: the commands about them
//! * `records`: controllers, managers, keys, auto attach, the reset
//! * `zones`: connection tracking zones and datapaths

mod bridges;
pub mod layout;
mod ports;
mod records;
mod tables;
mod usage;
mod zones;

use crate::ctl::syntax::Run;
use crate::ctl::{Program, Syntax, Working};
use crate::ovsdb_client::table::Format;
use ovsdb::Uuid;
use std::process::ExitCode;

/// `main` of the program.
pub fn main() -> ExitCode {
    let schema = ovsdb::Schema::from_text(ovsdb::schema::OPEN_VSWITCH);
    crate::ctl::main(&Program {
        database: "Open_vSwitch",
        schema_version: schema.map(|schema| schema.version).unwrap_or_default(),
        module: "vsctl",
        commands: &COMMANDS,
        row_ids: &tables::ROW_IDS,
        show: &tables::SHOW,
        format: Format::List,
        root: "Open_vSwitch",
        configured: ("next_cfg", "cur_cfg"),
        usage: usage::usage,
        check: check_interfaces,
    })
}

const ANY: usize = usize::MAX;

const fn read(
    name: &'static str,
    min: usize,
    max: usize,
    arguments: &'static str,
    run: Run,
) -> Syntax {
    Syntax {
        name,
        min,
        max,
        arguments,
        options: "",
        writes: false,
        run,
    }
}

const fn write(
    name: &'static str,
    min: usize,
    max: usize,
    arguments: &'static str,
    options: &'static str,
    run: Run,
) -> Syntax {
    Syntax {
        name,
        min,
        max,
        arguments,
        options,
        writes: true,
        run,
    }
}

const SETTINGS: &str = "BRIDGE NEW-PORT [COLUMN[:KEY]=VALUE]...";
const BOND: &str = "BRIDGE BOND IFACE... [COLUMN[:KEY]=VALUE]...";
const PROBE: &str = "--inactivity-probe=";

const COMMANDS: [Syntax; 41] = [
    write("init", 0, 0, "", "", |_| Ok(())),
    write(
        "add-br",
        1,
        3,
        "NEW-BRIDGE [PARENT] [NEW-VLAN]",
        "--may-exist",
        bridges::add,
    ),
    write("del-br", 1, 1, "BRIDGE", "--if-exists", bridges::delete),
    Syntax {
        options: "--real,--fake",
        ..read("list-br", 0, 0, "", bridges::list)
    },
    read("br-exists", 1, 1, "BRIDGE", bridges::exists),
    read("br-to-vlan", 1, 1, "BRIDGE", bridges::to_vlan),
    read("br-to-parent", 1, 1, "BRIDGE", bridges::to_parent),
    write(
        "br-set-external-id",
        2,
        3,
        "BRIDGE KEY [VALUE]",
        "",
        bridges::set_external_id,
    ),
    read(
        "br-get-external-id",
        1,
        2,
        "BRIDGE [KEY]",
        bridges::get_external_id,
    ),
    read("list-ports", 1, 1, "BRIDGE", ports::list),
    write("add-port", 2, ANY, SETTINGS, "--may-exist", ports::add_port),
    write(
        "del-port",
        1,
        2,
        "[BRIDGE] PORT|IFACE",
        "--if-exists,--with-iface",
        ports::delete,
    ),
    read("port-to-br", 1, 1, "PORT", ports::to_bridge),
    write(
        "add-bond",
        4,
        ANY,
        BOND,
        "--may-exist,--fake-iface",
        ports::add_bond,
    ),
    write(
        "add-bond-iface",
        2,
        2,
        "BOND IFACE",
        "--may-exist",
        ports::add_bond_iface,
    ),
    write(
        "del-bond-iface",
        1,
        2,
        "[BOND] IFACE",
        "--if-exists",
        ports::delete_bond_iface,
    ),
    read("list-ifaces", 1, 1, "BRIDGE", ports::list_ifaces),
    read("iface-to-br", 1, 1, "IFACE", ports::iface_to_bridge),
    read("get-controller", 1, 1, "BRIDGE", records::get_controller),
    write(
        "del-controller",
        1,
        1,
        "BRIDGE",
        "",
        records::delete_controller,
    ),
    write(
        "set-controller",
        1,
        ANY,
        "BRIDGE TARGET...",
        PROBE,
        records::set_controller,
    ),
    read("get-fail-mode", 1, 1, "BRIDGE", bridges::get_fail_mode),
    write(
        "del-fail-mode",
        1,
        1,
        "BRIDGE",
        "",
        bridges::delete_fail_mode,
    ),
    write(
        "set-fail-mode",
        2,
        2,
        "BRIDGE MODE",
        "",
        bridges::set_fail_mode,
    ),
    read("get-manager", 0, 0, "", records::get_manager),
    write("del-manager", 0, 0, "", "", records::delete_manager),
    write(
        "set-manager",
        1,
        ANY,
        "TARGET...",
        PROBE,
        records::set_manager,
    ),
    read("get-ssl", 0, 0, "", records::get_ssl),
    write("del-ssl", 0, 0, "", "", records::delete_ssl),
    write(
        "set-ssl",
        3,
        3,
        "PRIVATE-KEY CERTIFICATE CA-CERT",
        "--bootstrap",
        records::set_ssl,
    ),
    write(
        "add-aa-mapping",
        3,
        3,
        "BRIDGE ARG ARG",
        "",
        records::add_mapping,
    ),
    write(
        "del-aa-mapping",
        3,
        3,
        "BRIDGE ARG ARG",
        "",
        records::delete_mapping,
    ),
    read("get-aa-mapping", 1, 1, "BRIDGE", records::get_mapping),
    write("emer-reset", 0, 0, "", "", records::emergency_reset),
    write("add-zone-tp", 3, ANY, "", "--may-exist", zones::add_policy),
    write("del-zone-tp", 2, 2, "", "--if-exists", zones::delete_policy),
    read("list-zone-tp", 1, 1, "", zones::list_policies),
    read("list-dp-cap", 1, 1, "", zones::list_capabilities),
    write("set-zone-limit", 3, 3, "ARG ARG ARG", "", zones::set_limit),
    write(
        "del-zone-limit",
        2,
        2,
        "ARG ARG",
        "--if-exists",
        zones::delete_limit,
    ),
    read("list-zone-limits", 1, 1, "ARG", zones::list_limits),
];

/// The row that stands for the whole switch.
fn root(db: &Working) -> Result<Uuid, String> {
    let first = db.rows("Open_vSwitch").first().copied();
    first.ok_or_else(|| "the database has no Open_vSwitch row".to_string())
}

/// Complaints about new interfaces that have no port number.
fn check_interfaces(db: &Working, interfaces: &[Uuid]) -> Vec<String> {
    let mut complaints = Vec::new();
    for &row in interfaces
        .iter()
        .filter(|&&row| db.exists("Interface", row))
    {
        if db
            .integer("Interface", row, "ofport")
            .is_some_and(|port| port != -1)
        {
            continue;
        }
        let name = db.string("Interface", row, "name");
        let error = db.string("Interface", row, "error");
        let why = if error.is_empty() {
            String::new()
        } else {
            format!(": {error}")
        };
        complaints.push(format!(
            "Error detected while setting up '{name}'{why}.  See ovs-vswitchd log for details."
        ));
    }
    if !complaints.is_empty() {
        let dir = daemon::dirs::logdir();
        complaints.push(format!(
            "The default log directory is \"{}\".",
            dir.display()
        ));
    }
    complaints
}
