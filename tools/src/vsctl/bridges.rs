//! Commands about bridges.

use super::layout::{Bridge, Layout, attach, detach, with_bridges, with_ports};
use super::{ports, root};
use crate::ctl::{Context, Failure};
use ovsdb::{Atom, Datum, Uuid};

type Outcome = Result<(), Failure>;

/// The number at the beginning of `text`, as C's `atoi` reads it: 0 if there is none.
fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let number: i64 = digits.get(..end).and_then(|d| d.parse().ok()).unwrap_or(0);
    if text.starts_with('-') {
        -number
    } else {
        number
    }
}

pub(super) fn add(ctx: &mut Context<'_>) -> Outcome {
    let name = ctx.arg(1).to_string();
    if name.is_empty() {
        return Err("bridge name must not be empty string".into());
    }
    let parent = match ctx.args.len() {
        2 => None,
        4 => {
            let vlan = leading_number(ctx.arg(3));
            if !(0..=4095).contains(&vlan) {
                let command = ctx.arg(0);
                return Err(format!("{command}: vlan must be between 0 and 4095").into());
            }
            Some((ctx.arg(2).to_string(), vlan))
        }
        _ => return Err(format!("'{}' command takes exactly 1 or 3 arguments", ctx.arg(0)).into()),
    };
    let layout = with_ports(ctx)?;
    if ctx.has("--may-exist")
        && let Some(bridge) = layout.bridges.get(&name)
    {
        return check_same(bridge, parent.as_ref());
    }
    layout.check_free(&name, &format!("cannot create a bridge named {name}"))?;
    let Some((parent_name, vlan)) = parent else {
        let (port, iface) = local_port(ctx, &name);
        let bridge = ctx.db.insert("Bridge");
        ctx.db.set_string("Bridge", bridge, "name", &name);
        ctx.db.set_refs("Bridge", bridge, "ports", &[port]);
        let root = root(ctx.db)?;
        attach(ctx.db, "Open_vSwitch", root, "bridges", bridge);
        ctx.watched.push(iface);
        return Ok(());
    };
    let parent = layout
        .bridges
        .get(&parent_name)
        .ok_or_else(|| format!("parent bridge {parent_name} does not exist"))?;
    if parent.parent.is_some() {
        return Err("cannot create bridge with fake bridge as parent".into());
    }
    if let Some(child) = layout.child(&parent_name, vlan) {
        let child = &child.name;
        return Err(format!(
            "bridge {parent_name} already has a child VLAN bridge {child} on VLAN {vlan}"
        )
        .into());
    }
    let (port, iface) = local_port(ctx, &name);
    ctx.db.set(
        "Port",
        port,
        "fake_bridge",
        Datum::set([Atom::Boolean(true)]),
    );
    ctx.db.set_integer("Port", port, "tag", vlan);
    attach(ctx.db, "Bridge", parent.row, "ports", port);
    ctx.watched.push(iface);
    Ok(())
}

/// With `--may-exist`, a bridge of that name has to be the one that was asked for.
fn check_same(bridge: &Bridge, wanted: Option<&(String, i64)>) -> Outcome {
    let name = &bridge.name;
    let Some((parent, vlan)) = wanted else {
        return match bridge.parent {
            None => Ok(()),
            Some(_) => Err(format!(
                "\"--may-exist add-br {name}\" but {name} is a VLAN bridge for VLAN {}",
                bridge.vlan
            )
            .into()),
        };
    };
    let but = match &bridge.parent {
        None => "is not a VLAN bridge".to_string(),
        Some(actual) if actual != parent => format!("has the wrong parent {actual}"),
        Some(_) if bridge.vlan != *vlan => {
            format!("is a VLAN bridge for the wrong VLAN {}", bridge.vlan)
        }
        Some(_) => return Ok(()),
    };
    Err(format!("\"--may-exist add-br {name} {parent} {vlan}\" but {name} {but}").into())
}

/// A port with an internal interface, both called as their bridge.
fn local_port(ctx: &mut Context<'_>, name: &str) -> (Uuid, Uuid) {
    let iface = ctx.db.insert("Interface");
    ctx.db.set_string("Interface", iface, "name", name);
    ctx.db.set_string("Interface", iface, "type", "internal");
    let port = ctx.db.insert("Port");
    ctx.db.set_string("Port", port, "name", name);
    ctx.db.set_refs("Port", port, "interfaces", &[iface]);
    (port, iface)
}

pub(super) fn delete(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_bridges(ctx)?;
    let name = ctx.arg(1).to_string();
    let bridge = match layout.bridges.get(&name) {
        None if ctx.has("--if-exists") => return Ok(()),
        _ => layout.bridge(&name)?,
    };
    for child in layout
        .bridges
        .values()
        .filter(|b| b.parent.as_ref() == Some(&name))
    {
        delete_ports(ctx, &layout, child);
    }
    delete_ports(ctx, &layout, bridge);
    if bridge.parent.is_some() {
        return Ok(());
    }
    for set in ctx.db.rows("Flow_Sample_Collector_Set") {
        if ctx
            .db
            .refs("Flow_Sample_Collector_Set", set, "bridge")
            .contains(&bridge.row)
        {
            ctx.db.delete("Flow_Sample_Collector_Set", set);
        }
    }
    ctx.db.delete("Bridge", bridge.row);
    let root = root(ctx.db)?;
    detach(ctx.db, "Open_vSwitch", root, "bridges", bridge.row);
    Ok(())
}

fn delete_ports(ctx: &mut Context<'_>, layout: &Layout, bridge: &Bridge) {
    for port in bridge
        .ports
        .iter()
        .filter_map(|name| layout.ports.get(name))
    {
        ports::delete_port(ctx, layout, port);
    }
}

pub(super) fn list(ctx: &mut Context<'_>) -> Outcome {
    let (mut real, mut fake) = (ctx.has("--real"), ctx.has("--fake"));
    if !real && !fake {
        (real, fake) = (true, true);
    }
    let layout = Layout::new(ctx.db)?;
    for bridge in layout.bridges.values() {
        if if bridge.parent.is_some() { fake } else { real } {
            ctx.line(&bridge.name);
        }
    }
    Ok(())
}

pub(super) fn exists(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_bridges(ctx)?;
    if layout.bridges.contains_key(ctx.arg(1)) {
        Ok(())
    } else {
        Err(Failure::Exit(2))
    }
}

pub(super) fn to_vlan(ctx: &mut Context<'_>) -> Outcome {
    let vlan = with_bridges(ctx)?.bridge(ctx.arg(1))?.vlan;
    ctx.line(&vlan.to_string());
    Ok(())
}

pub(super) fn to_parent(ctx: &mut Context<'_>) -> Outcome {
    let layout = with_bridges(ctx)?;
    let bridge = layout.bridge(ctx.arg(1))?;
    ctx.line(bridge.parent.as_ref().unwrap_or(&bridge.name));
    Ok(())
}

/// Table, row and key prefix under which a bridge keeps its external ids.
fn external_ids(ctx: &mut Context<'_>) -> Result<(&'static str, Uuid, &'static str), Failure> {
    let layout = with_bridges(ctx)?;
    let bridge = layout.bridge(ctx.arg(1))?;
    let (table, row, prefix) = match (&bridge.parent, layout.ports.get(&bridge.name)) {
        (Some(_), Some(port)) => ("Port", port.row, "fake-bridge-"),
        _ => ("Bridge", bridge.row, ""),
    };
    ctx.db.verify(table, row, "external_ids");
    Ok((table, row, prefix))
}

pub(super) fn set_external_id(ctx: &mut Context<'_>) -> Outcome {
    let (table, row, prefix) = external_ids(ctx)?;
    let key = Atom::from(format!("{prefix}{}", ctx.arg(2)));
    let ids = ctx
        .db
        .get(table, row, "external_ids")
        .filter(|other, _| *other != key);
    let ids = match ctx.args.get(3) {
        Some(value) => ids.union(&Datum::map([(key, Atom::from(value.as_str()))]), true),
        None => ids,
    };
    ctx.db.set(table, row, "external_ids", ids);
    Ok(())
}

pub(super) fn get_external_id(ctx: &mut Context<'_>) -> Outcome {
    let (table, row, prefix) = external_ids(ctx)?;
    let ids = ctx.db.get(table, row, "external_ids");
    if let Some(key) = ctx.args.get(2) {
        if let Some(value) = ids.get_str(&format!("{prefix}{key}")) {
            let value = value.to_string();
            ctx.line(&value);
        }
        return Ok(());
    }
    for (key, value) in ids.pairs() {
        let key = key.as_str().and_then(|key| key.strip_prefix(prefix));
        if let (Some(key), Some(value)) = (key, value.and_then(Atom::as_str)) {
            ctx.line(&format!("{key}={value}"));
        }
    }
    Ok(())
}

pub(super) fn get_fail_mode(ctx: &mut Context<'_>) -> Outcome {
    let row = with_bridges(ctx)?.bridge(ctx.arg(1))?.row;
    ctx.db.verify("Bridge", row, "fail_mode");
    let mode = ctx.db.string("Bridge", row, "fail_mode");
    if !mode.is_empty() {
        ctx.line(&mode);
    }
    Ok(())
}

pub(super) fn delete_fail_mode(ctx: &mut Context<'_>) -> Outcome {
    let row = with_bridges(ctx)?.real_bridge(ctx.arg(1))?.row;
    ctx.db.clear("Bridge", row, "fail_mode");
    Ok(())
}

pub(super) fn set_fail_mode(ctx: &mut Context<'_>) -> Outcome {
    let row = with_bridges(ctx)?.real_bridge(ctx.arg(1))?.row;
    let mode = ctx.arg(2).to_string();
    if mode != "standalone" && mode != "secure" {
        return Err("fail-mode must be \"standalone\" or \"secure\"".into());
    }
    ctx.db.set_string("Bridge", row, "fail_mode", &mode);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::leading_number;

    #[test]
    fn numbers_as_c_reads_them() {
        for (text, number) in [("9", 9), (" 12x", 12), ("-3", -3), ("x", 0), ("", 0)] {
            assert_eq!(leading_number(text), number, "{text}");
        }
    }
}
