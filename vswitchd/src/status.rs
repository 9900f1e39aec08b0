//! What the switch writes back into the database: computed whole, written where it differs.

use crate::ofproto::counters_of;
use crate::switch::{BridgeState, Interface, Switch};
use openflow::OfPort;
use ovsdb::Uuid;
use ovsdb::replica::{Txn, View};
use ovsdb::types::Datum;

/// A column's wanted value.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: &'static str,
    /// What it should hold.
    pub value: Datum,
}

fn empty() -> Datum {
    Datum::set(Vec::<i64>::new())
}

fn some<T: Into<ovsdb::Atom>>(value: Option<T>) -> Datum {
    Datum::set(value)
}

fn pairs(pairs: Vec<(String, String)>) -> Datum {
    Datum::map(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())))
}

/// All status but statistics.
pub fn status(switch: &Switch, controllers: &[Cell]) -> Vec<Cell> {
    let mut out = controllers.to_vec();
    for bridge in switch.bridges.values() {
        let id = format!("{:016x}", bridge.ofproto.datapath_id);
        let mut put = |column, value| {
            out.push(Cell {
                table: "Bridge",
                row: bridge.config.uuid,
                column,
                value,
            });
        };
        put("datapath_id", some(Some(id.as_str())));
        // The software that moves packets is no module with a version of its own.
        put("datapath_version", some(Some("<built-in>")));
        for interface in bridge.interfaces.values() {
            interface_status(bridge, interface, &mut out);
        }
    }
    out
}

fn interface_status(bridge: &BridgeState, i: &Interface, out: &mut Vec<Cell>) {
    let mut put = |column, value| {
        out.push(Cell {
            table: "Interface",
            row: i.config.uuid,
            column,
            value,
        });
    };
    let error = i.error.as_deref().filter(|why| !why.is_empty());
    put("error", some(error));
    let ofport = match i.ofport {
        Some(p) if p == OfPort::LOCAL => Some(65534),
        Some(p) => Some(i64::from(p.0)),
        None => Some(-1),
    };
    put("ofport", some(ofport));
    let link = match (&i.port, i.ofport) {
        (Some(port), Some(_)) => Some(port.link()),
        // A port inside the switch is always up.
        (None, Some(_)) => Some(hal::LinkState {
            admin_up: true,
            carrier: true,
            mac: bridge.mac,
            ..Default::default()
        }),
        _ => None,
    };
    let Some(link) = link else {
        for column in [
            "admin_state",
            "link_state",
            "mac_in_use",
            "mtu",
            "link_speed",
            "duplex",
        ] {
            put(column, empty());
        }
        put("ifindex", empty());
        put("link_resets", empty());
        put("status", Datum::map(Vec::<(&str, &str)>::new()));
        return;
    };
    let state = |up: bool| some(Some(if up { "up" } else { "down" }));
    put("admin_state", state(link.admin_up));
    put("link_state", state(link.admin_up && link.carrier));
    let mac = packet::odp::format_mac(link.mac);
    put("mac_in_use", some((link.mac != 0).then_some(mac.as_str())));
    put("mtu", some((link.mtu != 0).then_some(i64::from(link.mtu))));
    let speed = i64::try_from(link.speed).unwrap_or(i64::MAX);
    put("link_speed", some((speed != 0).then_some(speed)));
    put(
        "duplex",
        some(link.full_duplex.map(|f| if f { "full" } else { "half" })),
    );
    put("ifindex", some(Some(i64::from(link.ifindex))));
    let resets = i64::try_from(link.carrier_resets).unwrap_or(i64::MAX);
    put("link_resets", some(Some(resets)));
    let status = i.port.as_ref().map(|p| p.status()).unwrap_or_default();
    put("status", pairs(status));
}

/// Statistics of the interfaces whose rows `wanted` likes.
pub fn statistics(switch: &Switch, wanted: impl Fn(Uuid) -> bool) -> Vec<Cell> {
    let mut out = Vec::new();
    for bridge in switch.bridges.values() {
        let Some(backer) = switch.backers.get(&bridge.kind) else {
            continue;
        };
        let Some(world) = backer.world.bridge(bridge.id) else {
            continue;
        };
        let wanted = bridge.interfaces.values().filter(|i| wanted(i.config.uuid));
        for i in wanted {
            let Some(port) = i.ofport.and_then(|p| world.ports.get(&p)) else {
                continue;
            };
            let c = counters_of(backer, port);
            let numbers = [
                ("rx_packets", c.rx_packets),
                ("rx_bytes", c.rx_bytes),
                ("rx_dropped", c.rx_dropped),
                ("rx_errors", c.rx_errors),
                ("tx_packets", c.tx_packets),
                ("tx_bytes", c.tx_bytes),
                ("tx_dropped", c.tx_dropped),
                ("tx_errors", c.tx_errors),
                ("rx_frame_err", c.rx_frame_errors),
                ("rx_over_err", c.rx_over_errors),
                ("rx_crc_err", c.rx_crc_errors),
                ("rx_missed_errors", c.rx_missed_errors),
                ("collisions", c.collisions),
                ("rx_multicast_packets", c.rx_multicast),
            ];
            let known = numbers
                .into_iter()
                .filter(|(_, v)| *v != hal::PortCounters::UNKNOWN);
            let more = i.port.iter().flat_map(|p| p.more_counters());
            let numbers = known.chain(more);
            let numbers = numbers.map(|(k, v)| (k, i64::try_from(v).unwrap_or(i64::MAX)));
            out.push(Cell {
                table: "Interface",
                row: i.config.uuid,
                column: "statistics",
                value: Datum::map(numbers),
            });
        }
    }
    out
}

/// Adds to a transaction what the database does not hold yet.
pub fn write(cells: &[Cell], view: &View, txn: &mut Txn) {
    for cell in cells {
        let Some(row) = view.row(cell.table, cell.row) else {
            continue;
        };
        if row.datum(cell.column) != cell.value {
            txn.set(cell.table, cell.row, cell.column, cell.value.clone());
        }
    }
}
