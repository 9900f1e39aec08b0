//! What the schema does not say: how rows are named, and what `show` shows.

use crate::ctl::names::RowId;
use crate::ctl::show::ShowTable;

const fn own(table: &'static str, name_column: &'static str) -> RowId {
    RowId {
        table,
        name_table: table,
        name_column,
        key: None,
        uuid_column: None,
    }
}

const fn by(table: &'static str, name_table: &'static str, column: &'static str) -> RowId {
    RowId {
        table,
        name_table,
        name_column: "name",
        key: None,
        uuid_column: Some(column),
    }
}

/// Names of rows.
pub const ROW_IDS: [RowId; 13] = [
    own("Bridge", "name"),
    by("Controller", "Bridge", "controller"),
    own("Interface", "name"),
    own("Mirror", "name"),
    own("Manager", "target"),
    by("NetFlow", "Bridge", "netflow"),
    own("Port", "name"),
    by("QoS", "Port", "qos"),
    by("sFlow", "Bridge", "sflow"),
    own("Flow_Table", "name"),
    by("IPFIX", "Bridge", "ipfix"),
    by("AutoAttach", "Bridge", "auto_attach"),
    own("Flow_Sample_Collector_Set", "id"),
];

const fn shown(
    table: &'static str,
    name_column: Option<&'static str>,
    columns: &'static [&'static str],
) -> ShowTable {
    ShowTable {
        table,
        name_column,
        columns,
    }
}

/// The tree of `show`.
pub const SHOW: [ShowTable; 6] = [
    shown(
        "Open_vSwitch",
        None,
        &["manager_options", "bridges", "ovs_version"],
    ),
    shown(
        "Bridge",
        Some("name"),
        &["controller", "fail_mode", "datapath_type", "ports"],
    ),
    shown("Port", Some("name"), &["tag", "trunks", "interfaces"]),
    shown(
        "Interface",
        Some("name"),
        &["type", "options", "error", "bfd_status"],
    ),
    shown("Controller", Some("target"), &["is_connected"]),
    shown("Manager", Some("target"), &["is_connected"]),
];
