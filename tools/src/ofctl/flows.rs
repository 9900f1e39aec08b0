//! Commands that change flows or compare them.

use super::link::{Link, error_name, names_for_parsing};
use super::offline::read_flows;
use super::options::Options;
use super::stats::flows_of;
use super::{Outcome, warn};
use openflow::text::{
    Names, ParseCommand, ParsedFlow, format_actions, format_flow_flags, format_match, parse_flow,
};
use openflow::{
    BundleAdd, BundleControl, Cookie, FlowCommand, FlowMod, FlowStatsRequest, GROUP_ANY, Message,
    OfPort, Protocols, TableId, decode, encode_for, print,
};
use packet::Match;
use std::collections::BTreeMap;

fn flow_text(f: &FlowMod) -> String {
    format_match(&f.matching, &Names::none(), 0x8000)
}

/// Tells when a match has fields that its own prerequisites make void.
fn warn_about(f: &ParsedFlow) {
    warn(&f.notes);
    let mut normal = f.flow.matching.clone();
    openflow::normalize(&mut normal);
    if normal != f.flow.matching {
        let lines = [
            "normalization changed ofp_match, details:".to_string(),
            format!(" pre: {}", flow_text(&f.flow)),
            format!("post: {}", format_match(&normal, &Names::none(), 0x8000)),
        ];
        let notes: Vec<openflow::error::Note> = lines
            .into_iter()
            .map(|text| openflow::error::Note {
                module: "ofp_match",
                text,
                limited: false,
            })
            .collect();
        super::inform(&notes);
    }
}

fn send_all(o: &Options, bridge: &str, flows: Vec<ParsedFlow>, usable: Protocols) -> Outcome {
    for f in &flows {
        warn_about(f);
    }
    let mut link = Link::open(o, bridge)?;
    link.choose_for_mods(o, usable)?;
    let mods: Vec<FlowMod> = flows.into_iter().map(|f| f.flow).collect();
    send_mods(o, &mut link, &mods)
}

/// Flow-mods that are sent before what came back is read.
const CHUNK: usize = 100;

fn send_mods(o: &Options, link: &mut Link, mods: &[FlowMod]) -> Outcome {
    if o.bundle {
        return send_bundle(link, mods);
    }
    // All at once, then one barrier for all of them.
    // A switch that cannot send its errors takes no more: they are read before others are sent.
    for chunk in mods.chunks(CHUNK) {
        let first = link.xid();
        for m in chunk {
            link.send(&Message::FlowMod(Box::new(m.clone())))?;
        }
        let barrier = link.send(&Message::BarrierRequest)?;
        let mut failed = false;
        loop {
            let bytes = link.recv()?;
            let h = openflow::Header::parse(&bytes).map_err(|e| e.to_string())?;
            if h.xid == barrier {
                break;
            }
            if (first..barrier).contains(&h.xid) {
                let text = print::format_message(&bytes, &Names::none(), o.verbosity + 1);
                eprint!("{text}");
                failed = true;
            }
        }
        if failed {
            return Err(String::new());
        }
    }
    Ok(())
}

fn bundle_step(link: &mut Link, kind: u16) -> Outcome {
    let control = BundleControl {
        id: 0,
        kind,
        flags: 3,
    };
    let bytes = link.transact(&Message::BundleControl(control))?;
    match decode(&bytes) {
        Ok((_, _, Message::BundleControl(_))) => Ok(()),
        Ok((_, _, Message::Error(e))) => {
            Err(format!("talking to switch ({})", error_name(&e.error)))
        }
        _ => Err("talking to switch (unexpected reply)".into()),
    }
}

fn send_bundle(link: &mut Link, mods: &[FlowMod]) -> Outcome {
    bundle_step(link, 0)?;
    let mut bad = false;
    for m in mods {
        let xid = link.xid();
        let inner = encode_for(link.protocol(), xid, &Message::FlowMod(Box::new(m.clone())));
        link.send(&Message::BundleAdd(BundleAdd {
            id: 0,
            flags: 3,
            message: inner,
        }))?;
    }
    // Errors of what was added come before the barrier's reply.
    let barrier = link.send(&Message::BarrierRequest)?;
    loop {
        let bytes = link.recv()?;
        let h = openflow::Header::parse(&bytes).map_err(|e| e.to_string())?;
        if h.xid == barrier {
            break;
        }
        if h.kind == 1 {
            eprint!("{}", print::format_message(&bytes, &Names::none(), 1));
            bad = true;
        }
    }
    if bad {
        let _ = bundle_step(link, 6);
        return Err("talking to switch (error in bundle)".into());
    }
    bundle_step(link, 4)
}

fn one(o: &Options, args: &[String], command: FlowCommand) -> Outcome {
    let text = args.get(1).map_or("", String::as_str);
    if text == "-" {
        return file(o, args, ParseCommand::Flow(command));
    }
    let names = names_for_parsing(o, &args[0], text);
    let f = parse_flow(text, ParseCommand::Flow(command), &names)?;
    let usable = f.usable;
    send_all(o, &args[0], vec![f], usable)
}

fn file(o: &Options, args: &[String], command: ParseCommand) -> Outcome {
    let path = args.get(1).map_or("-", String::as_str);
    let names = names_for_parsing(o, &args[0], "a");
    let (flows, usable) = read_flows(path, command, &names)?;
    send_all(o, &args[0], flows, usable)
}

/// `add-flow`.
pub fn add_flow(o: &Options, args: &[String]) -> Outcome {
    one(o, args, FlowCommand::Add)
}

/// `add-flows`.
pub fn add_flows(o: &Options, args: &[String]) -> Outcome {
    file(o, args, ParseCommand::Any)
}

/// `mod-flows`.
pub fn mod_flows(o: &Options, args: &[String]) -> Outcome {
    one(
        o,
        args,
        if o.strict {
            FlowCommand::ModifyStrict
        } else {
            FlowCommand::Modify
        },
    )
}

/// `del-flows`.
pub fn del_flows(o: &Options, args: &[String]) -> Outcome {
    one(
        o,
        args,
        if o.strict {
            FlowCommand::DeleteStrict
        } else {
            FlowCommand::Delete
        },
    )
}

/// What of a flow counts when two are compared.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    cookie: u64,
    idle: u16,
    hard: u16,
    importance: u16,
    flags: u16,
    actions: Vec<openflow::Action>,
}

/// Table, priority downward, match in text; the match itself comes along.
type Key = (u8, std::cmp::Reverse<u16>, String);
type Table = BTreeMap<Key, (Match, Version)>;

fn key(table: TableId, priority: u16, m: &Match) -> Key {
    (
        table.0,
        std::cmp::Reverse(priority),
        format_match(m, &Names::none(), 0x8000),
    )
}

fn from_switch(link: &mut Link) -> Result<Table, String> {
    let request = FlowStatsRequest {
        matching: Match::any(),
        cookie: Cookie(0),
        cookie_mask: Cookie(0),
        out_port: OfPort::NONE,
        out_group: GROUP_ANY,
        table: TableId::ALL,
        nicira: true,
    };
    let mut out = Table::new();
    for f in flows_of(link, &request)? {
        let v = Version {
            cookie: f.cookie.0,
            idle: f.idle_timeout,
            hard: f.hard_timeout,
            importance: f.importance,
            flags: 0,
            actions: f.actions,
        };
        out.insert(key(f.table, f.priority, &f.matching), (f.matching, v));
    }
    Ok(out)
}

fn from_file(path: &str, names: &Names) -> Result<(Table, Protocols), String> {
    let (flows, usable) = read_flows(path, ParseCommand::Flow(FlowCommand::Add), names)?;
    let mut out = Table::new();
    for f in flows {
        let f = f.flow;
        let table = if f.table == TableId::ALL {
            TableId(0)
        } else {
            f.table
        };
        let v = Version {
            cookie: f.new_cookie.0,
            idle: f.idle_timeout,
            hard: f.hard_timeout,
            importance: f.importance,
            flags: f.flags.0,
            actions: f.actions,
        };
        out.insert(key(table, f.priority, &f.matching), (f.matching, v));
    }
    Ok((out, usable))
}

/// Two versions of a flow are alike if they read alike.
fn alike(a: &Version, b: &Version) -> bool {
    a.cookie == b.cookie
        && a.idle == b.idle
        && a.hard == b.hard
        && a.importance == b.importance
        && format_actions(&a.actions, &Names::none()) == format_actions(&b.actions, &Names::none())
}

fn mod_for(command: FlowCommand, k: &Key, m: &Match, v: &Version) -> FlowMod {
    let mut f = FlowMod::new(command);
    f.table = TableId(k.0);
    f.priority = k.1.0;
    f.matching = m.clone();
    if command == FlowCommand::Add {
        f.new_cookie = Cookie(v.cookie);
        f.idle_timeout = v.idle;
        f.hard_timeout = v.hard;
        f.importance = v.importance;
        f.flags = openflow::FlowFlags(v.flags);
        f.actions = v.actions.clone();
    }
    f
}

/// `replace-flows`.
pub fn replace_flows(o: &Options, args: &[String]) -> Outcome {
    let names = names_for_parsing(o, &args[0], "a");
    let (wanted, usable) = from_file(&args[1], &names)?;
    let mut link = Link::open(o, &args[0])?;
    link.choose_for_mods(o, usable.and(Protocols::TABLES))?;
    let present = from_switch(&mut link)?;
    let mut mods = Vec::new();
    // Deletions first, or a full table could not take the new flows.
    for (k, (m, v)) in &present {
        if !wanted.contains_key(k) {
            mods.push(mod_for(FlowCommand::DeleteStrict, k, m, v));
        }
    }
    for (k, (m, v)) in &wanted {
        let same = present.get(k).is_some_and(|(_, old)| alike(old, v));
        if o.readd || !same {
            mods.push(mod_for(FlowCommand::Add, k, m, v));
        }
    }
    send_mods(o, &mut link, &mods)
}

fn show(sign: char, k: &Key, v: &Version) -> String {
    let mut line = format!("{sign}");
    if k.0 != 0 {
        line.push_str(&format!("table={} ", k.0));
    }
    if k.1.0 != 0x8000 {
        line.push_str(&format!("priority={},", k.1.0));
    }
    if k.2.is_empty() {
        if line.ends_with(',') {
            line.pop();
            line.push(' ');
        }
    } else {
        line.push_str(&k.2);
        line.push(' ');
    }
    if v.cookie != 0 {
        line.push_str(&format!("cookie=0x{:x} ", v.cookie));
    }
    for (name, value) in [
        ("idle_timeout", v.idle),
        ("hard_timeout", v.hard),
        ("importance", v.importance),
    ] {
        if value != 0 {
            line.push_str(&format!("{name}={value} "));
        }
    }
    line.push_str(&format_flow_flags(openflow::FlowFlags(v.flags)));
    line.push_str(&format!(
        "actions={}",
        format_actions(&v.actions, &Names::none())
    ));
    line
}

/// Flows of a file (`-`, a path, whatever is there under the name) or of a switch.
fn source(o: &Options, name: &str) -> Result<Table, String> {
    let there = || !name.contains(':') && std::fs::metadata(name).is_ok();
    if name == "-" || name.starts_with(['/', '.']) || there() {
        return from_file(name, &Names::none()).map(|(t, _)| t);
    }
    let mut link = Link::open(o, name)?;
    link.choose_for_dump(o, Protocols::ANY)?;
    from_switch(&mut link)
}

/// `diff-flows`: exit code 2 if there are differences.
pub fn diff_flows(o: &Options, args: &[String]) -> Outcome {
    let (a, b) = (source(o, &args[0])?, source(o, &args[1])?);
    let mut keys: Vec<&Key> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut differ = false;
    for k in keys {
        match (a.get(k), b.get(k)) {
            (Some((_, x)), Some((_, y))) if alike(x, y) => {}
            (x, y) => {
                differ = true;
                if let Some((_, v)) = x {
                    say!("{}", show('-', k, v));
                }
                if let Some((_, v)) = y {
                    say!("{}", show('+', k, v));
                }
            }
        }
    }
    if differ {
        daemon::out::flush();
        std::process::exit(2);
    }
    Ok(())
}
