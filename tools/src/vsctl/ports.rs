//! Commands about ports and interfaces.

use super::layout::{Layout, Port, attach, detach, with_ports};
use crate::ctl::{Context, Failure, column};
use ovsdb::{Atom, Datum, Uuid};

type Outcome = Result<(), Failure>;

/// The command as it was given: options without their arguments, name, arguments.
fn command_text(ctx: &Context<'_>) -> String {
    let words: Vec<&str> = ctx
        .options
        .keys()
        .map(String::as_str)
        .chain(ctx.args.iter().map(String::as_str))
        .collect();
    words.join(" ")
}

pub(super) fn list(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let bridge = layout.bridge(ctx.arg(1))?;
    let ports = bridge
        .ports
        .iter()
        .filter(|port| **port != bridge.name)
        .cloned();
    ctx.sorted_lines(ports.collect());
    Ok(())
}

pub(super) fn list_ifaces(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let bridge = layout.bridge(ctx.arg(1))?;
    let ports = bridge
        .ports
        .iter()
        .filter_map(|port| layout.ports.get(port));
    let ifaces = ports
        .flat_map(|port| &port.ifaces)
        .filter(|iface| **iface != bridge.name);
    ctx.sorted_lines(ifaces.cloned().collect());
    Ok(())
}

pub(super) fn to_bridge(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let bridge = layout.port(ctx.arg(1))?.bridge.clone();
    ctx.line(&bridge);
    Ok(())
}

pub(super) fn iface_to_bridge(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let bridge = layout.bridge_of(layout.iface(ctx.arg(1))?).to_string();
    ctx.line(&bridge);
    Ok(())
}

pub(super) fn add_port(ctx: &mut Context<'_>) -> Outcome {
    let ifaces = vec![ctx.arg(2).to_string()];
    let settings = ctx.args_from(3).to_vec();
    add(ctx, &ifaces, &settings)
}

pub(super) fn add_bond(ctx: &mut Context<'_>) -> Outcome {
    let words = ctx.args_from(3);
    let count = words
        .iter()
        .position(|word| word.contains('='))
        .unwrap_or(words.len());
    if count < 2 {
        return Err(format!(
            "add-bond requires at least 2 interfaces, but only {count} were specified"
        )
        .into());
    }
    let (ifaces, settings) = words.split_at(count);
    let (ifaces, settings) = (ifaces.to_vec(), settings.to_vec());
    add(ctx, &ifaces, &settings)
}

fn add(ctx: &mut Context<'_>, ifaces: &[String], settings: &[String]) -> Outcome {
    let (bridge_name, name) = (ctx.arg(1).to_string(), ctx.arg(2).to_string());
    if name.is_empty() {
        return Err("port name must not be empty string".into());
    }
    if ifaces.iter().any(String::is_empty) {
        return Err("interface name must not be empty string".into());
    }
    let layout = with_ports(ctx)?;
    if ctx.has("--may-exist")
        && let Some(port) = layout.find_port(&name)
    {
        return check_same(ctx, port, &bridge_name, ifaces);
    }
    layout.check_free(&name, &format!("cannot create a port named {name}"))?;
    for iface in ifaces {
        layout.check_free(iface, &format!("cannot create an interface named {iface}"))?;
    }
    let bridge = layout.bridge(&bridge_name)?;
    let rows: Vec<Uuid> = ifaces
        .iter()
        .map(|iface| insert_iface(ctx, iface))
        .collect();
    let port = ctx.db.insert("Port");
    ctx.db.set_string("Port", port, "name", &name);
    ctx.db.set_refs("Port", port, "interfaces", &rows);
    let fake_iface = Datum::set([Atom::Boolean(ctx.has("--fake-iface"))]);
    ctx.db.set("Port", port, "bond_fake_iface", fake_iface);
    if bridge.parent.is_some() {
        ctx.db.set_integer("Port", port, "tag", bridge.vlan);
    }
    if let Some(table) = ctx.db.table("Port").cloned() {
        for setting in settings {
            column::assign(ctx.db, &table, port, setting, ctx.symbols)?;
        }
    }
    attach(ctx.db, "Bridge", bridge.row, "ports", port);
    Ok(())
}

/// With `--may-exist`, a port of that name has to be the one that was asked for.
fn check_same(ctx: &Context<'_>, port: &Port, bridge: &str, ifaces: &[String]) -> Outcome {
    let (name, command) = (&port.name, command_text(ctx));
    if port.bridge != bridge {
        let actual = &port.bridge;
        return Err(
            format!("\"{command}\" but {name} is actually attached to bridge {actual}").into(),
        );
    }
    let (mut want, mut have) = (ifaces.to_vec(), port.ifaces.clone());
    want.sort_unstable();
    have.sort_unstable();
    if want != have {
        let have = have.join(", ");
        return Err(format!("\"{command}\" but {name} actually has interface(s) {have}").into());
    }
    Ok(())
}

fn insert_iface(ctx: &mut Context<'_>, name: &str) -> Uuid {
    let row = ctx.db.insert("Interface");
    ctx.db.set_string("Interface", row, "name", name);
    ctx.watched.push(row);
    row
}

pub(super) fn add_bond_iface(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let port = layout.port(ctx.arg(1))?;
    let name = ctx.arg(2).to_string();
    if ctx.has("--may-exist")
        && let Some(iface) = layout.find_iface(&name)
    {
        if iface.port == port.name {
            return Ok(());
        }
        let (command, actual) = (command_text(ctx), &iface.port);
        return Err(
            format!("\"{command}\" but {name} is actually attached to port {actual}").into(),
        );
    }
    layout.check_free(&name, &format!("cannot create an interface named {name}"))?;
    let row = insert_iface(ctx, &name);
    attach(ctx.db, "Port", port.row, "interfaces", row);
    Ok(())
}

pub(super) fn delete_bond_iface(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let name = ctx.args.last().map_or("", String::as_str);
    let iface = match layout.find_iface(name) {
        None if ctx.has("--if-exists") => return Ok(()),
        _ => layout.iface(name)?,
    };
    if ctx.args.len() > 2 {
        let port = layout.port(ctx.arg(1))?;
        if iface.port != port.name {
            let port = &port.name;
            return Err(format!("port {port} does not have an interface {name}").into());
        }
    }
    let Some(port) = layout.ports.get(&iface.port) else {
        return Ok(());
    };
    if port.ifaces.len() < 2 {
        return Err(format!("cannot delete last interface from port {}", port.name).into());
    }
    detach(ctx.db, "Port", port.row, "interfaces", iface.row);
    ctx.db.delete("Interface", iface.row);
    Ok(())
}

/// Deletes a port with its interfaces.
pub(super) fn delete_port(ctx: &mut Context<'_>, layout: &Layout, port: &Port) {
    if let Some(bridge) = layout.bridges.get(&port.bridge) {
        detach(ctx.db, "Bridge", bridge.row, "ports", port.row);
    }
    for iface in port
        .ifaces
        .iter()
        .filter_map(|name| layout.ifaces.get(name))
    {
        ctx.db.delete("Interface", iface.row);
    }
    ctx.db.delete("Port", port.row);
}

pub(super) fn delete(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_ports(ctx)?;
    let must_exist = !ctx.has("--if-exists");
    let target = ctx.args.last().cloned().unwrap_or_default();
    let by_iface = || layout.ports.get(&layout.find_iface(&target)?.port);
    let port = if layout.bridges.contains_key(&target) {
        if must_exist {
            return Err(format!(
                "cannot delete port {target} because it is the local port for bridge {target} \
                 (deleting this port requires deleting the entire bridge)"
            )
            .into());
        }
        None
    } else if !ctx.has("--with-iface") {
        if must_exist {
            Some(layout.port(&target)?)
        } else {
            layout.find_port(&target)
        }
    } else {
        let port = layout.find_port(&target).or_else(by_iface);
        if must_exist && port.is_none() {
            return Err(format!("no port or interface named {target}").into());
        }
        port
    };
    let Some(port) = port else { return Ok(()) };
    if ctx.args.len() == 3 {
        let bridge = layout.bridge(ctx.arg(1))?;
        if port.bridge != bridge.name {
            let (name, actual) = (&bridge.name, &port.bridge);
            let parent = layout.bridges.get(actual).and_then(|b| b.parent.as_ref());
            let hint = if parent == Some(name) {
                format!(" (although its child bridge {actual} does)")
            } else {
                String::new()
            };
            return Err(format!("bridge {name} does not have a port {target}{hint}").into());
        }
    }
    delete_port(ctx, &layout, port);
    Ok(())
}
