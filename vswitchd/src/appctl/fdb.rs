//! `fdb/*`: learned addresses.

use super::{Outcome, text};
use crate::mac::{MacCounts, MacEntry, MacKey};
use crate::switch::Switch;
use crate::world::Bridge;
use clock::Time;
use daemon::control::Format;
use openflow::OfPort;
use packet::odp::{format_mac, parse_mac};

fn with_bridge<R>(
    switch: &mut Switch,
    name: &str,
    f: impl FnOnce(&mut Bridge) -> R,
) -> Result<R, String> {
    let no_such = || "no such bridge".to_owned();
    let (bridge, backer) = switch.bridge_mut(name).ok_or_else(no_such)?;
    let world = backer.world.bridge_mut(bridge.id).ok_or_else(no_such)?;
    let r = f(world);
    backer.touch();
    Ok(r)
}

fn port_text(port: OfPort) -> String {
    if port == OfPort::LOCAL {
        "LOCAL".into()
    } else {
        port.0.to_string()
    }
}

/// One learned address, as a row.
struct Row {
    bridge: String,
    port: OfPort,
    key: MacKey,
    /// Seconds; none = set by hand.
    age: Option<u64>,
}

fn rows(switch: &mut Switch, name: &str, now: Time) -> Result<Vec<Row>, String> {
    let no_such = || format!("no such bridge {name}");
    let (bridge, backer) = switch.bridge_mut(name).ok_or_else(no_such)?;
    let world = backer.world.bridge(bridge.id).ok_or_else(no_such)?;
    // By age, the one seen longest ago first.
    let mut entries: Vec<_> = world.macs.iter().collect();
    entries.sort_by_key(|(k, e)| (e.is_static, e.used(), **k));
    let row = |(key, e): (&MacKey, &MacEntry)| Row {
        bridge: name.to_owned(),
        port: e.port,
        key: *key,
        age: (!e.is_static).then(|| (now - e.used()).as_secs()),
    };
    Ok(entries.into_iter().map(row).collect())
}

pub(super) fn show(switch: &mut Switch, args: &[String], format: Format) -> Outcome {
    let now = switch.clock().now();
    for backer in switch.backers.values_mut() {
        backer.push_all();
    }
    let names: Vec<String> = match args {
        [] => switch.bridges.keys().cloned().collect(),
        names => names.to_vec(),
    };
    let mut all = Vec::new();
    for name in &names {
        all.push((name.clone(), rows(switch, name, now)?));
    }
    if format == Format::Json {
        let mut out = serde_json::Map::new();
        for (name, rows) in all {
            out.insert(name, rows.iter().map(json).collect::<Vec<_>>().into());
        }
        return Ok(daemon::control::Answer::Json(out.into()));
    }
    // With several bridges, a column says which.
    let wide = (args.len() != 1).then(|| names.iter().map(String::len).max().unwrap_or(0).max(6));
    let lead = |bridge: &str| wide.map_or(String::new(), |w| format!(" {bridge:w$} "));
    let mut out = format!("{} Port  VLAN  MAC                Age\n", lead("Bridge"));
    for row in all.into_iter().flat_map(|(_, rows)| rows) {
        let age = row.age.map_or("static".into(), |a| format!("{a:3}"));
        let (port, mac) = (port_text(row.port), format_mac(row.key.mac));
        let lead = lead(&row.bridge);
        out += &format!("{lead}{port:>5}  {:4}  {mac}  {age}\n", row.key.vlan);
    }
    text(out)
}

fn json(row: &Row) -> serde_json::Value {
    let mut out = serde_json::json!({
        "mac": format_mac(row.key.mac), "vlan": row.key.vlan,
    });
    out["port"] = match row.port {
        OfPort::LOCAL => "LOCAL".into(),
        p => p.0.into(),
    };
    match row.age {
        Some(age) => out["age"] = age.into(),
        None => out["static"] = true.into(),
    }
    out
}

pub(super) fn flush(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let names: Vec<String> = match args.first() {
        Some(name) => vec![name.clone()],
        None => switch.bridges.keys().cloned().collect(),
    };
    for name in names {
        with_bridge(switch, &name, |b| b.macs.flush(None))?;
    }
    text("table successfully flushed")
}

fn key(vlan: &str, mac: &str) -> Result<MacKey, String> {
    let vlan = vlan.parse().ok().filter(|v| *v < 4096);
    Ok(MacKey {
        vlan: vlan.ok_or("Invalid VLAN")?,
        mac: parse_mac(mac).ok_or("Invalid MAC address")?,
    })
}

pub(super) fn add(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let now = switch.clock().now();
    let key = key(&args[2], &args[3])?;
    let added = with_bridge(switch, &args[0], |b| {
        let port = b
            .ports
            .values()
            .find(|p| *p.name == *args[1])
            .map(|p| p.number)?;
        b.macs.set_static(key, port, now);
        Some(())
    })?;
    added.ok_or("unknown port")?;
    text("")
}

pub(super) fn del(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let key = key(&args[1], &args[2])?;
    if !with_bridge(switch, &args[0], |b| b.macs.remove(key))? {
        return Err("MAC entry not found".into());
    }
    text("")
}

pub(super) fn stats_clear(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let names: Vec<String> = match args.first() {
        Some(name) => vec![name.clone()],
        None => switch.bridges.keys().cloned().collect(),
    };
    for name in names {
        with_bridge(switch, &name, |b| b.macs.counts = MacCounts::default())?;
    }
    text("statistics successfully cleared")
}

pub(super) fn stats_show(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let name = &args[0];
    let fixed = with_bridge(switch, name, |b| {
        b.macs.iter().filter(|(_, e)| e.is_static).count()
    })?;
    let (count, max, c) = with_bridge(switch, name, |b| {
        (b.macs.len(), b.macs.limit, b.macs.counts)
    })?;
    text(format!(
        "Statistics for bridge \"{name}\":\n  \
         Current/maximum MAC entries in the table: {count}/{max}\n  \
         Current static MAC entries in the table : {fixed}\n  \
         Total number of learned MAC entries     : {}\n  \
         Total number of expired MAC entries     : {}\n  \
         Total number of evicted MAC entries     : {}\n  \
         Total number of port moved MAC entries  : {}\n",
        c.learned, c.expired, c.evicted, c.moved
    ))
}
