//! `fdb/*`: learned addresses.

use super::{Outcome, text};
use crate::mac::{MacCounts, MacKey};
use crate::switch::Switch;
use crate::world::Bridge;
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

pub(super) fn show(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let now = switch.clock().now();
    for backer in switch.backers.values_mut() {
        backer.push_all();
    }
    let mut out = " port  VLAN  MAC                Age\n".to_owned();
    let (bridge, backer) = switch.bridge_mut(&args[0]).ok_or("no such bridge")?;
    let world = backer.world.bridge(bridge.id).ok_or("no such bridge")?;
    // By age, the one seen longest ago first.
    let mut entries: Vec<_> = world.macs.iter().collect();
    entries.sort_by_key(|(k, e)| (e.is_static, e.used(), **k));
    for (key, e) in entries {
        let age = if e.is_static {
            "static".into()
        } else {
            format!("{:3}", (now - e.used()).as_secs())
        };
        let (port, mac) = (port_text(e.port), format_mac(key.mac));
        out += &format!("{port:>5}  {:4}  {mac}  {age}\n", key.vlan);
    }
    text(out)
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
    let (count, max, c) = with_bridge(switch, name, |b| {
        (b.macs.len(), b.macs.limit, b.macs.counts)
    })?;
    text(format!(
        "Statistics for bridge \"{name}\":\n  \
         Current/maximum MAC entries in the table: {count}/{max}\n  \
         Current static MAC entries in the table : 0\n  \
         Total number of learned MAC entries     : {}\n  \
         Total number of expired MAC entries     : {}\n  \
         Total number of evicted MAC entries     : {}\n  \
         Total number of port moved MAC entries  : {}\n",
        c.learned, c.expired, c.evicted, c.moved
    ))
}
