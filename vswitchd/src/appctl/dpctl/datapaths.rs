//! Datapaths: made, removed, listed, shown.

use super::ports;
use super::session::{Dp, DpName, Failed, Session, Why};
use crate::bare::BareDatapath;
use crate::ports::{Opened, PortRequest};
use hal::{PortBackend, PortCounters};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) fn add(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let Some((first, interfaces)) = words.split_first() else {
        return Err(Failed);
    };
    let name = DpName::read(first);
    make(session, &name).map_err(|why| session.error("add_dp", why))?;
    if interfaces.is_empty() {
        Ok(())
    } else {
        ports::add(session, words)
    }
}

/// A datapath with its local port, which has its name.
fn make(session: &mut Session<'_>, name: &DpName) -> Result<(), Why> {
    match session.dp(name).map(|_| ()) {
        Ok(()) => return Err(Why::Exists),
        Err(Why::NoDevice) => {}
        Err(why) => return Err(why),
    }
    let provider = session.switch.provider_mut();
    let datapath = provider
        .open_datapath(&name.kind)
        .map_err(|_| Why::UnknownType)?;
    let request = PortRequest {
        name: &name.name,
        kind: "internal",
        datapath_type: &name.kind,
        options: &BTreeMap::new(),
        mac: None,
    };
    let Ok(Opened::Port(port)) = provider.open_port(&request) else {
        return Err(Why::NoDevice);
    };
    let mut bare = BareDatapath::new(datapath);
    let backend = PortBackend::Packets(port);
    let local = Some(BareDatapath::LOCAL);
    if let Err(error) = bare.datapath.add_port(&name.name, backend, local) {
        session.switch.provider_mut().closed(&name.name);
        return Err(Why::from(&error));
    }
    let key = (name.kind.clone(), name.name.clone());
    session.switch.bare.insert(key, bare);
    Ok(())
}

/// Bridges keep their datapath for as long as they are on it.
pub(super) fn del(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let name = DpName::read(words.first().copied().unwrap_or_default());
    let mut ports = Vec::new();
    if let Dp::Bare(bare) = session.open(&name)? {
        for port in bare.datapath.ports() {
            let _ = bare.datapath.remove_port(port.number);
            ports.push(port.name);
        }
    }
    session.switch.bare.remove(&(name.kind, name.name));
    for port in &ports {
        session.switch.provider_mut().closed(port);
    }
    Ok(())
}

pub(super) fn dump(session: &mut Session<'_>, _: &[&str]) -> Result<(), Failed> {
    for name in session.names() {
        session.line(name);
    }
    Ok(())
}

pub(super) fn show(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    each(session, words, show_one)
}

pub(super) fn cache_get(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    // The sizes of our caches cannot be changed, and only those that can are shown.
    each(session, words, |session, name| {
        session.line(format_args!("{name}:"));
    })
}

/// For each datapath that is named, or for all.
fn each(
    session: &mut Session<'_>,
    words: &[&str],
    show: fn(&mut Session<'_>, &DpName),
) -> Result<(), Failed> {
    let all = session.names();
    if words.is_empty() {
        all.iter().for_each(|name| show(session, name));
        return Ok(());
    }
    let mut outcome = Ok(());
    for word in words {
        let name = DpName::read(word);
        match session.dp(&name).map(|_| ()) {
            Ok(()) => show(session, &name),
            Err(why) => {
                let what = format!("opening datapath {word} failed");
                outcome = Err(session.error(what, why));
            }
        }
    }
    outcome
}

fn show_one(session: &mut Session<'_>, name: &DpName) {
    let statistics = session.params.statistics;
    let Ok(dp) = session.dp(name) else { return };
    let s = dp.fabric().stats();
    let mut out = format!(
        "{name}:\n  lookups: hit:{} missed:{} lost:{}\n  flows: {}\n",
        s.hits, s.misses, s.lost, s.flows
    );
    let ports: Vec<_> = dp
        .fabric()
        .ports()
        .into_iter()
        .map(|p| {
            let counters = dp.fabric().counters(p.number);
            (p, counters)
        })
        .collect();
    for (port, counters) in ports {
        let _ = write!(out, "  port {}: {}", port.number, port.name);
        if port.kind != "system" {
            let options = session
                .switch
                .shown_options(&port.name)
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(", ");
            let colon = if options.is_empty() { "" } else { ": " };
            let _ = write!(out, " ({}{colon}{options})", port.kind);
        }
        out.push('\n');
        if let Some(counters) = counters.filter(|_| statistics) {
            counters_text(&mut out, &counters);
        }
    }
    session.lines += &out;
}

fn counters_text(out: &mut String, c: &PortCounters) {
    let count = |n: u64| match n {
        PortCounters::UNKNOWN => "?".to_owned(),
        n => n.to_string(),
    };
    let size = |n: u64| {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let unit = UNITS.iter().find(|(_, bits)| n >> bits != 0);
        match unit {
            Some((unit, bits)) if n != PortCounters::UNKNOWN => {
                format!(" ({:.1} {unit})", n as f64 / (1u64 << bits) as f64)
            }
            _ => String::new(),
        }
    };
    let unknown = count(PortCounters::UNKNOWN);
    let _ = writeln!(
        out,
        "    RX packets:{} errors:{} dropped:{} overruns:{unknown} frame:{unknown}",
        count(c.rx_packets),
        count(c.rx_errors),
        count(c.rx_dropped)
    );
    let _ = writeln!(
        out,
        "    TX packets:{} errors:{} dropped:{} aborted:{unknown} carrier:{unknown}",
        count(c.tx_packets),
        count(c.tx_errors),
        count(c.tx_dropped)
    );
    let _ = writeln!(out, "    collisions:{unknown}");
    let _ = writeln!(
        out,
        "    RX bytes:{}{}  TX bytes:{}{}",
        count(c.rx_bytes),
        size(c.rx_bytes),
        count(c.tx_bytes),
        size(c.tx_bytes)
    );
    let _ = writeln!(out, "    UPCALL packets:{unknown} errors:{unknown}");
}

pub(super) fn offload_stats(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let (name, _) = session.choose(words, 0)?;
    let enabled = session.switch.settings().hw_offload;
    let devices = match session.open(&name)? {
        Dp::Bridged(backer) if enabled => backer.offload.report().devices,
        _ => Vec::new(),
    };
    session.line("HW Offload stats:");
    for d in devices {
        session.line(format_args!("  {}[{name}]:", d.name));
        let us = |f: fn(&offload::LatencyReport) -> f64| d.latency_us.as_ref().map_or(0.0, f);
        for (what, n) in [
            ("Enqueued offloads", d.queued + d.in_flight),
            ("Inserted offloads", d.rules),
            ("Average latency (us)", us(|l| l.avg).round() as usize),
        ] {
            session.line(format_args!("    {what}: {n:6}"));
        }
    }
    Ok(())
}

pub(super) fn cache_set(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let [dp, _, size] = words else {
        return Err(session.error("Invalid number of arguments", Why::Invalid));
    };
    if size.parse::<u32>().is_err() {
        return Err(session.error("size is malformed", Why::Invalid));
    }
    let name = DpName::read(dp);
    if let Err(why) = session.dp(&name).map(|_| ()) {
        return Err(session.error(format_args!("Opening datapath {dp} failed"), why));
    }
    Err(session.error("Setting caches not supported", Why::Unsupported))
}
