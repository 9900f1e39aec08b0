//! Which bridge has which ports, and which port which interfaces.
//!
//! A *fake bridge* is a port of a real one, its parent, with a VLAN; ports of the parent in that
//! VLAN belong to the fake bridge. A layout is made anew for each command that needs it, so it
//! never goes stale.

use super::root;
use crate::ctl::{Context, Failure, Working};
use ovsdb::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// A bridge, real or fake.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Its row in `Bridge`; a fake one has its parent's.
    pub row: Uuid,
    /// The real bridge that a fake one stands on.
    pub parent: Option<String>,
    /// The VLAN of a fake bridge; 0 for a real one.
    pub vlan: i64,
    /// Its ports by name, in the database's order.
    pub ports: Vec<String>,
}

/// A port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its row.
    pub row: Uuid,
    /// The bridge that it belongs to.
    pub bridge: String,
    /// Its interfaces by name.
    pub ifaces: Vec<String>,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Iface {
    /// Its name.
    pub name: String,
    /// Its row.
    pub row: Uuid,
    /// The port that it belongs to.
    pub port: String,
}

/// All bridges, ports and interfaces, by name.
#[derive(Debug, Default)]
pub struct Layout {
    /// Real and fake.
    pub bridges: BTreeMap<String, Bridge>,
    /// Local ports too.
    pub ports: BTreeMap<String, Port>,
    /// Local interfaces too.
    pub ifaces: BTreeMap<String, Iface>,
}

fn vlan(db: &Working, port: Uuid) -> Option<i64> {
    db.integer("Port", port, "tag")
        .filter(|tag| (0..=4095).contains(tag))
}

impl Layout {
    /// The layout of the database as it is.
    ///
    /// # Errors
    /// There is no root row.
    pub fn new(db: &Working) -> Result<Layout, Failure> {
        let mut layout = Layout::default();
        let rows = db.refs("Open_vSwitch", root(db)?, "bridges");
        layout.add_bridges(db, &rows);
        let mut seen = BTreeSet::new();
        for row in rows {
            let name = db.string("Bridge", row, "name");
            if seen.insert(name.clone()) {
                layout.add_ports(db, &name, row, &mut seen);
            }
        }
        Ok(layout)
    }

    fn add_bridges(&mut self, db: &Working, rows: &[Uuid]) {
        let mut ports = BTreeSet::new();
        for &row in rows {
            let name = db.string("Bridge", row, "name");
            if self.bridges.contains_key(&name) {
                tracing::warn!(target: "vsctl", "{name}: database contains duplicate bridge name");
                continue;
            }
            let bridge = Bridge {
                name: name.clone(),
                row,
                parent: None,
                vlan: 0,
                ports: Vec::new(),
            };
            self.bridges.insert(name.clone(), bridge);
            for port in db.refs("Bridge", row, "ports") {
                let port_name = db.string("Port", port, "name");
                if !ports.insert(port_name.clone()) || !db.boolean("Port", port, "fake_bridge") {
                    continue;
                }
                let Some(vlan) = vlan(db, port) else { continue };
                if self.bridges.contains_key(&port_name) {
                    continue;
                }
                if let Some(other) = self.child(&name, vlan) {
                    tracing::warn!(
                        target: "vsctl",
                        "{name}: bridge has multiple VLAN bridges ({port_name} and {}) for VLAN \
                         {vlan}, but only one is allowed",
                        other.name
                    );
                }
                let fake = Bridge {
                    name: port_name.clone(),
                    row,
                    parent: Some(name.clone()),
                    vlan,
                    ports: Vec::new(),
                };
                self.bridges.insert(port_name, fake);
            }
        }
    }

    fn add_ports(&mut self, db: &Working, name: &str, row: Uuid, seen: &mut BTreeSet<String>) {
        for port in db.refs("Bridge", row, "ports") {
            let port_name = db.string("Port", port, "name");
            if let Some(other) = self.ports.get(&port_name) {
                if other.row == port {
                    let there = &other.bridge;
                    tracing::warn!(
                        target: "vsctl",
                        "{port_name}: port is in multiple bridges ({name} and {there})"
                    );
                } else {
                    tracing::error!(
                        target: "vsctl",
                        "{port_name}: database contains duplicate port name"
                    );
                }
                continue;
            }
            let tag = vlan(db, port);
            let is_fake = db.boolean("Port", port, "fake_bridge") && tag.is_some();
            if is_fake && !seen.insert(port_name.clone()) {
                continue;
            }
            let child = tag
                .and_then(|vlan| self.child(name, vlan))
                .map(|b| b.name.clone());
            let bridge = child.unwrap_or_else(|| name.to_string());
            let ifaces = self.add_ifaces(db, &port_name, port);
            if let Some(bridge) = self.bridges.get_mut(&bridge) {
                bridge.ports.push(port_name.clone());
            }
            let port = Port {
                name: port_name.clone(),
                row: port,
                bridge,
                ifaces,
            };
            self.ports.insert(port_name, port);
        }
    }

    fn add_ifaces(&mut self, db: &Working, port: &str, row: Uuid) -> Vec<String> {
        let mut names = Vec::new();
        for iface in db.refs("Port", row, "interfaces") {
            let name = db.string("Interface", iface, "name");
            match self.ifaces.get(&name) {
                Some(other) if other.row == iface => {
                    let there = &other.port;
                    tracing::warn!(
                        target: "vsctl",
                        "{name}: interface is in multiple ports ({there} and {port})"
                    );
                }
                Some(_) => tracing::error!(
                    target: "vsctl",
                    "{name}: database contains duplicate interface name"
                ),
                None => {
                    let iface = Iface {
                        name: name.clone(),
                        row: iface,
                        port: port.to_string(),
                    };
                    self.ifaces.insert(name.clone(), iface);
                    names.push(name);
                }
            }
        }
        names
    }

    /// The fake bridge on `parent` for a VLAN.
    pub fn child(&self, parent: &str, vlan: i64) -> Option<&Bridge> {
        self.bridges
            .values()
            .find(|b| b.parent.as_deref() == Some(parent) && b.vlan == vlan)
    }

    /// The bridge called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn bridge(&self, name: &str) -> Result<&Bridge, Failure> {
        let found = self.bridges.get(name);
        found.ok_or_else(|| format!("no bridge named {name}").into())
    }

    /// The real bridge called `name`.
    ///
    /// # Errors
    /// There is none, or it is a fake one.
    pub fn real_bridge(&self, name: &str) -> Result<&Bridge, Failure> {
        match self.bridge(name)? {
            bridge if bridge.parent.is_none() => Ok(bridge),
            _ => Err(format!("{name} is a fake bridge").into()),
        }
    }

    /// The port called `name`, unless it is a bridge's local one.
    pub fn find_port(&self, name: &str) -> Option<&Port> {
        self.ports.get(name).filter(|port| port.bridge != name)
    }

    /// As [`Layout::find_port`], for a port that has to be there.
    ///
    /// # Errors
    /// There is none.
    pub fn port(&self, name: &str) -> Result<&Port, Failure> {
        self.find_port(name)
            .ok_or_else(|| format!("no port named {name}").into())
    }

    /// The bridge of an interface.
    pub fn bridge_of(&self, iface: &Iface) -> &str {
        self.ports.get(&iface.port).map_or("", |port| &port.bridge)
    }

    /// The interface called `name`, unless it is a bridge's local one.
    pub fn find_iface(&self, name: &str) -> Option<&Iface> {
        self.ifaces
            .get(name)
            .filter(|iface| self.bridge_of(iface) != name)
    }

    /// As [`Layout::find_iface`], for an interface that has to be there.
    ///
    /// # Errors
    /// There is none.
    pub fn iface(&self, name: &str) -> Result<&Iface, Failure> {
        self.find_iface(name)
            .ok_or_else(|| format!("no interface named {name}").into())
    }

    /// Refuses a name that something has already; `what` begins the complaint.
    ///
    /// # Errors
    /// It is taken.
    pub fn check_free(&self, name: &str, what: &str) -> Result<(), Failure> {
        if self.bridges.contains_key(name) {
            let text = format!("{what} because a bridge named {name} already exists");
            return Err(text.into());
        }
        if let Some(port) = self.ports.get(name) {
            let bridge = &port.bridge;
            return Err(format!(
                "{what} because a port named {name} already exists on bridge {bridge}"
            )
            .into());
        }
        if let Some(iface) = self.ifaces.get(name) {
            let bridge = self.bridge_of(iface);
            return Err(format!(
                "{what} because an interface named {name} already exists on bridge {bridge}"
            )
            .into());
        }
        Ok(())
    }
}

/// The layout, with the promise that no bridge comes or goes before the transaction.
pub(super) fn with_bridges(ctx: &mut Context<'_>) -> Result<Layout, Failure> {
    let root = root(ctx.db)?;
    ctx.db.verify("Open_vSwitch", root, "bridges");
    Layout::new(ctx.db)
}

/// The layout, with the promise that no port or interface does either.
pub(super) fn with_ports(ctx: &mut Context<'_>) -> Result<Layout, Failure> {
    for bridge in ctx.db.rows("Bridge") {
        ctx.db.verify("Bridge", bridge, "ports");
    }
    for port in ctx.db.rows("Port") {
        ctx.db.verify("Port", port, "interfaces");
    }
    with_bridges(ctx)
}

/// Adds `row` to the rows that a column refers to.
pub(super) fn attach(db: &mut Working, table: &str, to: Uuid, column: &str, row: Uuid) {
    let mut rows = db.refs(table, to, column);
    rows.push(row);
    db.set_refs(table, to, column, &rows);
}

/// Takes `row` from the rows that a column refers to.
pub(super) fn detach(db: &mut Working, table: &str, from: Uuid, column: &str, row: Uuid) {
    let mut rows = db.refs(table, from, column);
    rows.retain(|&other| other != row);
    db.set_refs(table, from, column, &rows);
}
