//! Commands about controllers, managers, keys and auto attach, and the reset of everything.

use super::layout::with_bridges;
use super::root;
use crate::ctl::{Context, Failure};
use daemon::stream::Address;
use ovsdb::{Atom, Datum, Uuid};

type Outcome = Result<(), Failure>;

/// The targets of `Controller` or `Manager` rows, sorted.
fn targets(ctx: &mut Context<'_>, table: &str, rows: &[Uuid]) -> Vec<String> {
    for &row in rows {
        ctx.db.verify(table, row, "target");
    }
    let mut targets: Vec<String> = rows
        .iter()
        .map(|&row| ctx.db.string(table, row, "target"))
        .collect();
    targets.sort_unstable();
    targets
}

/// New `Controller` or `Manager` rows for the targets from argument `from` on.
fn insert_targets(ctx: &mut Context<'_>, table: &str, from: usize) -> Vec<Uuid> {
    let probe = ctx
        .value("--inactivity-probe")
        .map(|text| text.parse().unwrap_or(0));
    let mut rows = Vec::new();
    for target in ctx.args_from(from).to_vec() {
        // What is an address elsewhere, with TLS say, is an address.
        let method = target.split(':').next().unwrap_or_default();
        let known = ["ssl", "pssl", "pfd"].contains(&method) || target.parse::<Address>().is_ok();
        if !known && !["unix", "punix", "tcp", "ptcp"].contains(&method) {
            tracing::warn!(target: "vsctl", "target type \"{target}\" is possibly erroneous");
        }
        let row = ctx.db.insert(table);
        ctx.db.set_string(table, row, "target", &target);
        if let Some(milliseconds) = probe {
            ctx.db
                .set_integer(table, row, "inactivity_probe", milliseconds);
        }
        rows.push(row);
    }
    rows
}

fn delete_all(ctx: &mut Context<'_>, table: &str) {
    for row in ctx.db.rows(table) {
        ctx.db.delete(table, row);
    }
}

/// The real bridge of the first argument, and its controllers.
fn controllers(ctx: &mut Context<'_>) -> Result<(Uuid, Vec<Uuid>), Failure> {
    let bridge = with_bridges(ctx)?.real_bridge(ctx.arg(1))?.row;
    ctx.db.verify("Bridge", bridge, "controller");
    let rows = ctx.db.refs("Bridge", bridge, "controller");
    for &row in &rows {
        ctx.db.verify("Controller", row, "target");
    }
    Ok((bridge, rows))
}

pub(super) fn get_controller(ctx: &mut Context<'_>) -> Outcome {
    let bridge = with_bridges(ctx)?.bridge(ctx.arg(1))?.row;
    ctx.db.verify("Bridge", bridge, "controller");
    let rows = ctx.db.refs("Bridge", bridge, "controller");
    for target in targets(ctx, "Controller", &rows) {
        ctx.line(&target);
    }
    Ok(())
}

pub(super) fn delete_controller(ctx: &mut Context<'_>) -> Outcome {
    let (bridge, rows) = controllers(ctx)?;
    for row in rows {
        ctx.db.delete("Controller", row);
    }
    ctx.db.clear("Bridge", bridge, "controller");
    Ok(())
}

pub(super) fn set_controller(ctx: &mut Context<'_>) -> Outcome {
    let (bridge, rows) = controllers(ctx)?;
    for row in rows {
        ctx.db.delete("Controller", row);
    }
    let rows = insert_targets(ctx, "Controller", 2);
    ctx.db.set_refs("Bridge", bridge, "controller", &rows);
    Ok(())
}

fn managers(ctx: &mut Context<'_>) -> Result<(Uuid, Vec<Uuid>), Failure> {
    let root = root(ctx.db)?;
    ctx.db.verify("Open_vSwitch", root, "manager_options");
    let rows = ctx.db.refs("Open_vSwitch", root, "manager_options");
    for &row in &rows {
        ctx.db.verify("Manager", row, "target");
    }
    Ok((root, rows))
}

pub(super) fn get_manager(ctx: &mut Context<'_>) -> Outcome {
    let (_, rows) = managers(ctx)?;
    let mut targets = targets(ctx, "Manager", &rows);
    targets.dedup();
    for target in targets {
        ctx.line(&target);
    }
    Ok(())
}

pub(super) fn delete_manager(ctx: &mut Context<'_>) -> Outcome {
    let (root, rows) = managers(ctx)?;
    for row in rows {
        ctx.db.delete("Manager", row);
    }
    ctx.db.clear("Open_vSwitch", root, "manager_options");
    Ok(())
}

pub(super) fn set_manager(ctx: &mut Context<'_>) -> Outcome {
    delete_manager(ctx)?;
    let root = root(ctx.db)?;
    let rows = insert_targets(ctx, "Manager", 1);
    ctx.db
        .set_refs("Open_vSwitch", root, "manager_options", &rows);
    Ok(())
}

fn ssl(ctx: &mut Context<'_>) -> Result<(Uuid, Option<Uuid>), Failure> {
    let root = root(ctx.db)?;
    ctx.db.verify("Open_vSwitch", root, "ssl");
    Ok((
        root,
        ctx.db.refs("Open_vSwitch", root, "ssl").first().copied(),
    ))
}

pub(super) fn get_ssl(ctx: &mut Context<'_>) -> Outcome {
    let (_, Some(ssl)) = ssl(ctx)? else {
        return Ok(());
    };
    let files = [
        ("Private key", "private_key"),
        ("Certificate", "certificate"),
        ("CA Certificate", "ca_cert"),
    ];
    for (title, column) in files {
        ctx.db.verify("SSL", ssl, column);
        let file = ctx.db.string("SSL", ssl, column);
        ctx.line(&format!("{title}: {file}"));
    }
    ctx.db.verify("SSL", ssl, "bootstrap_ca_cert");
    let bootstrap = ctx.db.boolean("SSL", ssl, "bootstrap_ca_cert");
    ctx.line(&format!("Bootstrap: {bootstrap}"));
    Ok(())
}

pub(super) fn delete_ssl(ctx: &mut Context<'_>) -> Outcome {
    let (root, Some(ssl)) = ssl(ctx)? else {
        return Ok(());
    };
    ctx.db.delete("SSL", ssl);
    ctx.db.clear("Open_vSwitch", root, "ssl");
    Ok(())
}

pub(super) fn set_ssl(ctx: &mut Context<'_>) -> Outcome {
    let (root, old) = ssl(ctx)?;
    if let Some(old) = old {
        ctx.db.delete("SSL", old);
    }
    let ssl = ctx.db.insert("SSL");
    for (at, column) in [(1, "private_key"), (2, "certificate"), (3, "ca_cert")] {
        let file = ctx.arg(at).to_string();
        ctx.db.set_string("SSL", ssl, column, &file);
    }
    let bootstrap = Datum::set([Atom::Boolean(ctx.has("--bootstrap"))]);
    ctx.db.set("SSL", ssl, "bootstrap_ca_cert", bootstrap);
    ctx.db.set_refs("Open_vSwitch", root, "ssl", &[ssl]);
    Ok(())
}

/// I-SID and VLAN of the second and third argument.
fn mapping(ctx: &Context<'_>) -> Result<(Atom, Atom), Failure> {
    let number = |at: usize| {
        let text = ctx.arg(at);
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits
            .parse()
            .map(Atom::Integer)
            .map_err(|_| format!("Invalid argument {text}"))
    };
    Ok((number(2)?, number(3)?))
}

/// The bridge's row, and its auto attach row if it has one.
fn auto_attach(ctx: &mut Context<'_>) -> Result<(Uuid, Option<Uuid>), Failure> {
    let bridge = with_bridges(ctx)?.bridge(ctx.arg(1))?.row;
    Ok((
        bridge,
        ctx.db
            .refs("Bridge", bridge, "auto_attach")
            .first()
            .copied(),
    ))
}

pub(super) fn add_mapping(ctx: &mut Context<'_>) -> Outcome {
    let pair = mapping(ctx)?;
    let (bridge, row) = auto_attach(ctx)?;
    let row = row.unwrap_or_else(|| {
        let row = ctx.db.insert("AutoAttach");
        ctx.db.set_refs("Bridge", bridge, "auto_attach", &[row]);
        row
    });
    let mappings = ctx
        .db
        .get("AutoAttach", row, "mappings")
        .union(&Datum::map([pair]), true);
    ctx.db.set("AutoAttach", row, "mappings", mappings);
    Ok(())
}

pub(super) fn delete_mapping(ctx: &mut Context<'_>) -> Outcome {
    let (isid, vlan) = mapping(ctx)?;
    let (_, Some(row)) = auto_attach(ctx)? else {
        return Ok(());
    };
    let mappings = ctx.db.get("AutoAttach", row, "mappings");
    if mappings.get(&isid) == Some(&vlan) {
        let kept = mappings.filter(|key, _| *key != isid);
        ctx.db.set("AutoAttach", row, "mappings", kept);
    }
    Ok(())
}

pub(super) fn get_mapping(ctx: &mut Context<'_>) -> Outcome {
    let (bridge, row) = auto_attach(ctx)?;
    ctx.db.verify("Bridge", bridge, "auto_attach");
    let Some(row) = row else { return Ok(()) };
    ctx.db.verify("AutoAttach", row, "mappings");
    for (isid, vlan) in ctx.db.get("AutoAttach", row, "mappings").pairs() {
        let vlan = vlan.map(Atom::to_text).unwrap_or_default();
        ctx.line(&format!("{} {vlan}", isid.to_text()));
    }
    Ok(())
}

pub(super) fn emergency_reset(ctx: &mut Context<'_>) -> Outcome {
    let root = root(ctx.db)?;
    for column in ["manager_options", "ssl"] {
        ctx.db.clear("Open_vSwitch", root, column);
    }
    let hwaddr = Atom::from("hwaddr");
    for bridge in ctx.db.rows("Bridge") {
        let columns = [
            "controller",
            "fail_mode",
            "mirrors",
            "netflow",
            "sflow",
            "ipfix",
            "flood_vlans",
        ];
        for column in columns {
            ctx.db.clear("Bridge", bridge, column);
        }
        let kept = ctx
            .db
            .get("Bridge", bridge, "other_config")
            .filter(|key, _| *key == hwaddr);
        ctx.db.set("Bridge", bridge, "other_config", kept);
    }
    for port in ctx.db.rows("Port") {
        ctx.db.clear("Port", port, "other_config");
    }
    for iface in ctx.db.rows("Interface") {
        for column in ["ingress_policing_rate", "ingress_policing_burst"] {
            ctx.db.set_integer("Interface", iface, column, 0);
        }
    }
    let tables = [
        "Mirror",
        "Controller",
        "Manager",
        "NetFlow",
        "SSL",
        "sFlow",
        "IPFIX",
        "Flow_Sample_Collector_Set",
    ];
    for table in tables {
        delete_all(ctx, table);
    }
    Ok(())
}
