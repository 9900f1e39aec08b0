//! Ports of a datapath: `NAME[,type=TYPE][,port_no=NUMBER][,OPTION=VALUE]...`.

use super::session::{Dp, DpName, Failed, Session, Why};
use crate::bare::BareDatapath;
use crate::ports::{Opened, PortRequest};
use hal::{DpPort, PortBackend};
use std::collections::BTreeMap;

/// A port as the words of a command name it.
struct Spec<'a> {
    name: &'a str,
    kind: Option<&'a str>,
    number: Option<u32>,
    /// An empty value takes an option away.
    options: Vec<(&'a str, &'a str)>,
}

/// Leading digits count, as `atoi` has it.
fn number(text: &str) -> u32 {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    text[..digits].parse().unwrap_or(0)
}

impl<'a> Spec<'a> {
    fn read(text: &'a str) -> Result<Spec<'a>, String> {
        let mut parts = text.split(',').filter(|p| !p.is_empty());
        let name = parts
            .next()
            .ok_or_else(|| format!("{text} is not a valid network device name"))?;
        let mut spec = Spec {
            name,
            kind: None,
            number: None,
            options: Vec::new(),
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "" => return Err("Invalid option format".into()),
                "type" => spec.kind = Some(value),
                "port_no" => spec.number = Some(number(value)),
                key => spec.options.push((key, value)),
            }
        }
        Ok(spec)
    }
}

/// Does something for each word after the datapath; one that fails does not keep the others back.
fn each(
    session: &mut Session<'_>,
    words: &[&str],
    mut act: impl FnMut(&mut Session<'_>, &DpName, &str) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let Some((dp, interfaces)) = words.split_first() else {
        return Err(Failed);
    };
    let name = DpName::read(dp);
    session.open(&name).map(|_| ())?;
    let mut outcome = Ok(());
    for interface in interfaces {
        if act(session, &name, interface).is_err() {
            outcome = Err(Failed);
        }
    }
    outcome
}

fn read<'a>(session: &mut Session<'_>, text: &'a str) -> Result<Spec<'a>, Failed> {
    Spec::read(text).map_err(|why| session.complain(why))
}

pub(super) fn add(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    each(session, words, add_one)
}

fn add_one(session: &mut Session<'_>, dp: &DpName, text: &str) -> Result<(), Failed> {
    let spec = read(session, text)?;
    let mut options = BTreeMap::new();
    for (key, value) in &spec.options {
        if options.contains_key(*key) {
            session.complain(format_args!("duplicate \"{key}\" option"));
        } else {
            options.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    let failed = format!("adding {} to {dp} failed", spec.name);
    let ports = session.open(dp)?.fabric().ports();
    if ports.iter().any(|p| p.name == spec.name) {
        return Err(session.error(failed, Why::Exists));
    }
    let taken = |n: u32| ports.iter().any(|p| p.number == DpPort(n));
    if spec.number.is_some_and(taken) {
        return Err(session.error(failed, Why::Busy));
    }
    let provider = session.switch.provider_mut();
    let request = PortRequest {
        name: spec.name,
        kind: spec.kind.unwrap_or("system"),
        datapath_type: &dp.kind,
        options: &options,
        mac: None,
    };
    let suggested = provider.port_number(&dp.kind, spec.name);
    let number = spec.number.or(suggested.filter(|n| !taken(*n)));
    let port = match provider.open_port(&request) {
        Ok(Opened::Port(port)) => port,
        Ok(Opened::Device(_)) => return Err(session.error(failed, Why::Unsupported)),
        Err(why) => {
            let what = format!("{}: failed to open network device", spec.name);
            return Err(session.error(what, innermost(&why)));
        }
    };
    let Dp::Bare(bare) = session.open(dp)? else {
        // A port that belongs to no bridge does not stay on a datapath that has bridges.
        drop(port);
        session.switch.provider_mut().closed(spec.name);
        return Ok(());
    };
    let backend = PortBackend::Packets(port);
    match bare
        .datapath
        .add_port(spec.name, backend, number.map(DpPort))
    {
        Ok(number) => {
            bare.options.insert(number, options);
            Ok(())
        }
        Err(error) => {
            session.switch.provider_mut().closed(spec.name);
            Err(session.error(failed, Why::from(&error)))
        }
    }
}

/// `WHY` of `WHAT (WHY)`.
fn innermost(text: &str) -> &str {
    let inner = text.strip_suffix(')').and_then(|t| t.rsplit_once('('));
    inner.map_or(text, |(_, why)| why)
}

pub(super) fn set(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    each(session, words, set_one)
}

fn set_one(session: &mut Session<'_>, dp: &DpName, text: &str) -> Result<(), Failed> {
    let spec = read(session, text)?;
    let name = spec.name;
    let ports = session.open(dp)?.fabric().ports();
    let Some(port) = ports.into_iter().find(|p| p.name == name) else {
        let what = format!("{name}: failed to query port in {dp}");
        return Err(session.error(what, Why::NoDevice));
    };
    if let Some(kind) = spec.kind.filter(|k| *k != port.kind) {
        let old = &port.kind;
        return Err(session.complain(format_args!(
            "{name}: can't change type from {old} to {kind}"
        )));
    }
    if let Some(n) = spec.number.filter(|n| *n != port.number.0) {
        let old = port.number;
        return Err(session.complain(format_args!(
            "{name}: can't change port number from {old} to {n}"
        )));
    }
    let mut options = match session.open(dp)? {
        Dp::Bare(bare) => bare.options.get(&port.number).cloned().unwrap_or_default(),
        Dp::Bridged(_) => session.switch.shown_options(name),
    };
    for (key, value) in &spec.options {
        if value.is_empty() {
            options.remove(*key);
        } else {
            options.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    let provider = session.switch.provider_mut();
    provider.configure_port(name, &options);
    if let Dp::Bare(bare) = session.open(dp)? {
        bare.options.insert(port.number, options);
    }
    Ok(())
}

pub(super) fn del(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    each(session, words, del_one)
}

fn del_one(session: &mut Session<'_>, dp: &DpName, name: &str) -> Result<(), Failed> {
    let ports = session.open(dp)?.fabric().ports();
    let is_number = name.chars().all(|c| c.is_ascii_digit());
    let number = if is_number {
        DpPort(name.parse().unwrap_or(u32::MAX))
    } else {
        match ports.iter().find(|p| p.name == name) {
            Some(port) => port.number,
            None => return Err(session.complain(format_args!("no port named {name}"))),
        }
    };
    let failed = format!("deleting port {name} from {dp} failed");
    let removed = match session.open(dp)? {
        Dp::Bare(_) if number == BareDatapath::LOCAL => Err(Why::Invalid),
        Dp::Bare(bare) => {
            bare.options.remove(&number);
            let removed = bare.datapath.remove_port(number);
            removed.map_err(|e| Why::from(&e))
        }
        Dp::Bridged(_) => session
            .switch
            .lose_port(&dp.kind, number)
            .ok_or(Why::NoEntry),
    };
    if let Err(why) = removed {
        return Err(session.error(failed, why));
    }
    if let Some(port) = ports.iter().find(|p| p.number == number)
        && session.is_bare(dp)
    {
        session.switch.provider_mut().closed(&port.name);
    }
    Ok(())
}
