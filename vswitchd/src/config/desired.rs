//! From rows to what should be (ovs-vswitchd.conf.db(5)).

use crate::backer::FlowLimits;
use crate::ofproto::FlowTableConfig;
use crate::world::{FailMode, PriorityTags, VlanMode, VlanSet};
use openflow::{Version, Versions};
use ovsdb::Uuid;
use ovsdb::replica::{RowView, View};
use std::collections::BTreeMap;
use std::time::Duration;

/// What concerns the whole switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How flows are kept.
    pub limits: FlowLimits,
    /// `vlan-limit`: how many VLAN tags are looked at; 0 = as many as there is room for.
    pub vlan_limit: usize,
    /// `hw-offload`.
    pub hw_offload: bool,
    /// `offload-admit=always`.
    pub admit_always: bool,
    /// `hw-offload-priority`: devices by port name, the most wanted first.
    pub offload_priority: Vec<String>,
    /// The datapath type that an empty one stands for.
    pub default_datapath: String,
    /// Milliseconds between two writings of statistics.
    pub stats_interval: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: FlowLimits::default(),
            vlan_limit: 1,
            hw_offload: false,
            admit_always: false,
            offload_priority: Vec::new(),
            default_datapath: String::new(),
            stats_interval: Duration::from_secs(5),
        }
    }
}

/// A controller, or a service for controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerConfig {
    /// Its row, none for the bridge's own management socket.
    pub uuid: Option<Uuid>,
    /// `tcp:...`, `punix:...`
    pub target: String,
    /// Milliseconds of silence before it is probed; 0 = never.
    pub inactivity_probe: Duration,
    /// Longest pause between two attempts.
    pub max_backoff: Duration,
    /// Which kinds of packets it gets: `primary` gets those asked for, `service` none unasked.
    pub primary: bool,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// `system`, `internal`, `tap`, `patch`, `dummy`, `hal`, ...
    pub kind: String,
    /// Options of the type.
    pub options: BTreeMap<String, String>,
    /// The OpenFlow number asked for.
    pub ofport_request: Option<u32>,
    /// The address asked for.
    pub mac: Option<u64>,
    /// The largest payload asked for.
    pub mtu_request: Option<u32>,
}

/// A port: one or more interfaces with one VLAN configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// How VLANs are told apart.
    pub mode: VlanMode,
    /// Which may pass.
    pub trunks: VlanSet,
    /// Tags with only a priority.
    pub priority_tags: PriorityTags,
    /// Nothing passes between two protected ports.
    pub protected: bool,
    /// Its interfaces by name.
    pub interfaces: BTreeMap<String, InterfaceConfig>,
}

/// A bridge, without its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// `netdev`, `dummy`, `system`.
    pub datapath_type: String,
    /// `other_config:datapath-id`.
    pub datapath_id: Option<u64>,
    /// `other_config:hwaddr`.
    pub hwaddr: Option<u64>,
    /// `other_config:dp-desc`.
    pub dp_desc: Option<String>,
    /// What happens without a controller.
    pub fail_mode: FailMode,
    /// Versions spoken.
    pub protocols: Versions,
    /// Controllers.
    pub controllers: Vec<ControllerConfig>,
    /// How long addresses are remembered.
    pub mac_aging: Duration,
    /// How many are.
    pub mac_table_size: usize,
    /// Whether reserved addresses are switched.
    pub forward_bpdu: bool,
    /// VLANs in which nothing is learned.
    pub flood_vlans: Vec<u16>,
    /// How tables are set up, where that is not as usual.
    pub flow_tables: BTreeMap<u8, FlowTableConfig>,
}

/// What should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// What concerns the whole switch.
    pub settings: Settings,
    /// Bridges by name.
    pub bridges: BTreeMap<String, BridgeConfig>,
    /// Ports by bridge and name.
    pub ports: BTreeMap<(String, String), PortConfig>,
}

impl Desired {
    /// Takes an interface out of whichever port of a bridge has it.
    pub fn forget_interface(&mut self, bridge: &str, name: &str) {
        for ((of, _), port) in &mut self.ports {
            if of == bridge {
                port.interfaces.remove(name);
            }
        }
    }
}

fn number<T: std::str::FromStr>(row: &RowView<'_>, column: &str, key: &str) -> Option<T> {
    row.map_get(column, key)?.trim().parse().ok()
}

fn flag(row: &RowView<'_>, key: &str) -> bool {
    row.map_get("other_config", key)
        .is_some_and(|v| v == "true")
}

/// What the rows say should be.
pub fn desired(view: &View) -> Desired {
    let mut out = Desired::default();
    let Some(root) = view.rows("Open_vSwitch").next() else {
        return out;
    };
    out.settings = settings(&root);
    for uuid in root.refs("bridges") {
        let Some(row) = view.row("Bridge", uuid) else {
            continue;
        };
        let bridge = bridge(view, &row);
        let name = bridge.name.clone();
        // A name that stands twice is believed once.
        if name.contains('/') || out.bridges.contains_key(&name) {
            continue;
        }
        for port in row.refs("ports") {
            if let Some(port) = view.row("Port", port).map(|p| port_of(view, &p, &name)) {
                out.ports.insert((name.clone(), port.name.clone()), port);
            }
        }
        out.bridges.insert(name, bridge);
    }
    out
}

fn settings(root: &RowView<'_>) -> Settings {
    let ms = |key: &str, default: u64, least: u64| {
        let ms = number(root, "other_config", key).unwrap_or(default);
        Duration::from_millis(ms.max(least))
    };
    let default = FlowLimits::default();
    let priority = root
        .map_get("other_config", "hw-offload-priority")
        .unwrap_or_default();
    Settings {
        limits: FlowLimits {
            max_idle: ms("max-idle", 10_000, 100),
            flow_limit: number(root, "other_config", "flow-limit").unwrap_or(default.flow_limit),
            max_revalidator: ms("max-revalidator", 500, 100),
        },
        vlan_limit: number(root, "other_config", "vlan-limit")
            .map_or(1, |n: i64| usize::try_from(n).unwrap_or(0)),
        hw_offload: flag(root, "hw-offload"),
        admit_always: root.map_get("other_config", "offload-admit") == Some("always"),
        offload_priority: priority
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect(),
        default_datapath: root
            .map_get("other_config", "default-datapath")
            .unwrap_or_default()
            .to_owned(),
        stats_interval: ms("stats-update-interval", 5000, 5000),
    }
}

fn bridge(view: &View, row: &RowView<'_>) -> BridgeConfig {
    let other = |key: &str| row.map_get("other_config", key);
    let protocols = row.strings("protocols");
    let versions = protocols.iter().filter_map(|p| Version::from_name(p));
    let versions = versions.fold(Versions::default(), Versions::with);
    let aging = number(row, "other_config", "mac-aging-time").unwrap_or(300u64);
    let size = number(row, "other_config", "mac-table-size").unwrap_or(crate::mac::DEFAULT_LIMIT);
    let controllers = row.refs("controller");
    let controllers = controllers
        .into_iter()
        .filter_map(|c| view.row("Controller", c));
    let id = other("datapath-id").map(|t| t.trim_start_matches("0x"));
    BridgeConfig {
        uuid: row.uuid(),
        name: row.string("name").to_owned(),
        datapath_type: row.string("datapath_type").to_owned(),
        datapath_id: id
            .and_then(|t| u64::from_str_radix(t, 16).ok())
            .filter(|id| *id != 0),
        hwaddr: other("hwaddr").and_then(packet::odp::parse_mac),
        dp_desc: other("dp-desc").map(str::to_owned),
        fail_mode: match row.optional_string("fail_mode") {
            Some("secure") => FailMode::Secure,
            _ => FailMode::Standalone,
        },
        protocols: if protocols.is_empty() {
            Versions::ALL
        } else {
            versions
        },
        controllers: controllers.map(|c| controller(&c)).collect(),
        mac_aging: Duration::from_secs(if aging == 0 {
            300
        } else {
            aging.clamp(15, 3600)
        }),
        mac_table_size: size.clamp(10, 1_000_000),
        forward_bpdu: flag(row, "forward-bpdu"),
        flood_vlans: vlans(row, "flood_vlans"),
        flow_tables: flow_tables(view, row),
    }
}

fn flow_tables(view: &View, bridge: &RowView<'_>) -> BTreeMap<u8, FlowTableConfig> {
    let pairs = bridge
        .get("flow_tables")
        .into_iter()
        .flat_map(|d| d.pairs());
    let tables = pairs.filter_map(|(table, row)| {
        let table = u8::try_from(table.as_integer()?).ok()?;
        Some((table, view.row("Flow_Table", row?.as_uuid()?)?))
    });
    let one = |row: &RowView<'_>| FlowTableConfig {
        name: row.optional_string("name").map(str::to_owned),
        flow_limit: row
            .integer("flow_limit")
            .and_then(|n| u32::try_from(n).ok()),
        prefixes: row
            .strings("prefixes")
            .into_iter()
            .map(str::to_owned)
            .collect(),
    };
    tables.map(|(table, row)| (table, one(&row))).collect()
}

fn controller(row: &RowView<'_>) -> ControllerConfig {
    let ms = |column: &str, default: u64| {
        let value = row.integer(column).and_then(|v| u64::try_from(v).ok());
        Duration::from_millis(value.unwrap_or(default))
    };
    let target = row.string("target");
    let listens = ["ptcp:", "punix:", "pssl:"]
        .iter()
        .any(|method| target.starts_with(method));
    ControllerConfig {
        uuid: Some(row.uuid()),
        target: target.to_owned(),
        inactivity_probe: ms("inactivity_probe", 5000),
        max_backoff: ms("max_backoff", 8000).max(Duration::from_secs(1)),
        // Unless it is said, whoever is waited for only serves: it does not take the bridge over.
        primary: row
            .optional_string("type")
            .map_or(!listens, |kind| kind == "primary"),
    }
}

fn vlans(row: &RowView<'_>, column: &str) -> Vec<u16> {
    let numbers = row.integers(column).into_iter();
    numbers
        .filter_map(|v| u16::try_from(v).ok())
        .filter(|v| *v < 4096)
        .collect()
}

fn port_of(view: &View, row: &RowView<'_>, bridge: &str) -> PortConfig {
    let tag = row
        .integer("tag")
        .and_then(|t| u16::try_from(t).ok())
        .filter(|t| *t < 4096);
    let trunks = vlans(row, "trunks");
    let mode = match (row.optional_string("vlan_mode"), tag) {
        (Some("access"), tag) => VlanMode::Access(tag.unwrap_or(0)),
        (Some("native-tagged"), tag) => VlanMode::NativeTagged(tag.unwrap_or(0)),
        (Some("native-untagged"), tag) => VlanMode::NativeUntagged(tag.unwrap_or(0)),
        (Some("trunk"), _) => VlanMode::Trunk,
        // Without a mode, a tag makes an access port unless trunks are named.
        (_, Some(tag)) => VlanMode::Access(tag),
        (_, None) => VlanMode::Trunk,
    };
    let interfaces = row.refs("interfaces");
    let interfaces = interfaces
        .into_iter()
        .filter_map(|i| view.row("Interface", i));
    PortConfig {
        uuid: row.uuid(),
        name: row.string("name").to_owned(),
        mode,
        trunks: VlanSet::new(trunks),
        priority_tags: match row.map_get("other_config", "priority-tags") {
            Some("if-nonzero" | "true") => PriorityTags::IfNonzero,
            Some("always") => PriorityTags::Always,
            _ => PriorityTags::Never,
        },
        protected: row.boolean("protected").unwrap_or(false),
        interfaces: interfaces
            .map(|i| interface(&i, bridge))
            .map(|i| (i.name.clone(), i))
            .collect(),
    }
}

fn interface(row: &RowView<'_>, bridge: &str) -> InterfaceConfig {
    let name = row.string("name").to_owned();
    let positive = |column: &str| {
        row.integer(column)
            .and_then(|v| u32::try_from(v).ok())
            .filter(|v| *v != 0)
    };
    let kind = match row.string("type") {
        // The port that has the bridge's name is the bridge's own.
        _ if name == bridge => "internal",
        "" => "system",
        kind => kind,
    };
    let options = row.map("options");
    InterfaceConfig {
        uuid: row.uuid(),
        kind: kind.to_owned(),
        options: options
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        ofport_request: positive("ofport_request").filter(|p| *p < 0xff00),
        mac: row.optional_string("mac").and_then(packet::odp::parse_mac),
        mtu_request: positive("mtu_request"),
        name,
    }
}
