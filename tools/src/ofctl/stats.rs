//! Commands that dump what a switch says.

use super::Outcome;
use super::link::{Link, names_for_output, names_for_parsing};
use super::options::Options;
use openflow::text::{Names, format_flow_stats, parse_flow_stats_request};
use openflow::{FlowStats, FlowStatsRequest, Message, OfPort, QUEUE_ALL, Version, decode, print};
use packet::FieldId;

fn dump(o: &Options, link: &mut Link, m: &Message, names: &Names) -> Outcome {
    for bytes in link.transact_all(m)? {
        put!(
            "{}",
            print::format_message(&bytes, names, o.verbosity.saturating_add(1))
        );
    }
    Ok(())
}

fn dump_simple(o: &Options, bridge: &str, m: &Message) -> Outcome {
    let mut link = Link::open(o, bridge)?;
    dump(o, &mut link, m, &Names::none())
}

/// A connection on which a command has meaning.
fn open_since(o: &Options, bridge: &str, command: &str, since: Version) -> Result<Link, String> {
    let link = Link::open(o, bridge)?;
    if link.version < since {
        let digits = since.name().trim_start_matches("OpenFlow");
        let (major, minor) = digits.split_at(1);
        return Err(format!(
            "{command} needs OpenFlow {major}.{minor} or later ('-O OpenFlow{digits}')"
        ));
    }
    Ok(link)
}

/// `show`.
pub fn show(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    let bytes = link.transact(&Message::FeaturesRequest)?;
    put!(
        "{}",
        print::format_message(&bytes, &Names::none(), o.verbosity + 1)
    );
    if link.version >= Version::Of13 {
        dump(
            o,
            &mut link,
            &Message::PortDescRequest(OfPort::NONE),
            &Names::none(),
        )?;
    }
    let bytes = link.transact(&Message::GetConfigRequest)?;
    put!(
        "{}",
        print::format_message(&bytes, &Names::none(), o.verbosity + 1)
    );
    Ok(())
}

/// `dump-desc`.
pub fn dump_desc(o: &Options, args: &[String]) -> Outcome {
    dump_simple(o, &args[0], &Message::DescRequest)
}

/// `dump-tables`.
pub fn dump_tables(o: &Options, args: &[String]) -> Outcome {
    dump_simple(o, &args[0], &Message::TableStatsRequest)
}

/// `dump-table-features`.
pub fn dump_table_features(o: &Options, args: &[String]) -> Outcome {
    let mut link = open_since(o, &args[0], "dump-table-features", Version::Of13)?;
    let mut tables = Vec::new();
    let request = Message::TableFeaturesRequest(Vec::new());
    for bytes in link.transact_all(&request)? {
        match decode(&bytes) {
            Ok((_, _, Message::TableFeaturesReply { tables: t, .. })) => tables.extend(t),
            _ => {
                put!(
                    "{}",
                    print::format_message(&bytes, &Names::none(), o.verbosity + 1)
                );
                return Ok(());
            }
        }
    }
    let text = print::format_table_features(&tables);
    say!("{}", text.strip_prefix('\n').unwrap_or(&text));
    Ok(())
}

/// `dump-table-desc`.
pub fn dump_table_desc(o: &Options, args: &[String]) -> Outcome {
    let mut link = open_since(o, &args[0], "dump-table-desc", Version::Of14)?;
    dump(o, &mut link, &Message::TableDescRequest, &Names::none())
}

/// A filter from text, and a connection that can carry it.
fn filtered(o: &Options, args: &[String]) -> Result<(Link, FlowStatsRequest), String> {
    let text = args.get(1).map_or("", String::as_str);
    let names = names_for_parsing(o, &args[0], text);
    let (request, usable) = parse_flow_stats_request(text, &names)?;
    let mut link = Link::open(o, &args[0])?;
    link.choose_for_dump(o, usable)?;
    Ok((link, request))
}

/// The flows of a switch that a filter lets through.
pub fn flows_of(link: &mut Link, request: &FlowStatsRequest) -> Result<Vec<FlowStats>, String> {
    let mut out = Vec::new();
    let message = Message::FlowStatsRequest(Box::new(request.clone()));
    for bytes in link.transact_all(&message)? {
        match decode(&bytes) {
            Ok((_, _, Message::FlowStatsReply { flows, .. })) => out.extend(flows),
            _ => {
                let text = print::format_message(&bytes, &Names::none(), 1);
                return Err(text.trim_end().to_string());
            }
        }
    }
    Ok(out)
}

/// `dump-flows`.
pub fn dump_flows(o: &Options, args: &[String]) -> Outcome {
    let shown = names_for_output(o, &args[0]);
    let (mut link, request) = filtered(o, args)?;
    let message = Message::FlowStatsRequest(Box::new(request.clone()));
    if o.sort.is_empty() && o.stats && o.names != Some(true) {
        for bytes in link.transact_all(&message)? {
            put!("{}", print::format_message(&bytes, &shown, o.verbosity + 1));
        }
        return Ok(());
    }
    let mut flows = flows_of(&mut link, &request)?;
    let keys: Vec<(Option<FieldId>, bool)> = o
        .sort
        .iter()
        .map(|(name, down)| {
            if name.is_empty() || name.eq_ignore_ascii_case("priority") {
                return Ok((None, *down));
            }
            let field = FieldId::by_name(name);
            field
                .map(|f| (Some(f), *down))
                .ok_or_else(|| format!("{name}: unknown field name"))
        })
        .collect::<Result<_, String>>()?;
    // Without a field of its own, a flow comes last.
    let order = |a: &FlowStats, b: &FlowStats| {
        for (field, down) in &keys {
            let by = match field {
                None => a.priority.cmp(&b.priority),
                Some(f) => {
                    let has = |x: &FlowStats| x.matching.mask().get(*f) != 0;
                    match (has(a), has(b)) {
                        (false, false) => std::cmp::Ordering::Equal,
                        (true, false) => return std::cmp::Ordering::Less,
                        (false, true) => return std::cmp::Ordering::Greater,
                        _ => a.matching.value().get(*f).cmp(&b.matching.value().get(*f)),
                    }
                }
            };
            let by = if *down { by.reverse() } else { by };
            if by != std::cmp::Ordering::Equal {
                return by;
            }
        }
        b.priority.cmp(&a.priority)
    };
    // Unless they are to be sorted, they come as the switch tells them: table by table.
    if !keys.is_empty() {
        flows.sort_by(order);
    }
    for f in &flows {
        say!(" {}", format_flow_stats(f, &shown, o.stats));
    }
    Ok(())
}

/// `dump-aggregate`.
pub fn dump_aggregate(o: &Options, args: &[String]) -> Outcome {
    let (mut link, request) = filtered(o, args)?;
    dump(
        o,
        &mut link,
        &Message::AggregateRequest(Box::new(request)),
        &Names::none(),
    )
}

/// A port of a switch by number or name.
pub fn port_of(link: &mut Link, text: &str) -> Result<OfPort, String> {
    if let Some(p) = Names::none().port(text) {
        return Ok(p);
    }
    link.port_names()?
        .port(text)
        .ok_or_else(|| format!("couldn't find port `{text}'"))
}

/// `queue-stats`.
pub fn queue_stats(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    let (mut port, mut queue) = (OfPort::NONE, QUEUE_ALL);
    if let Some(p) = args.get(1).filter(|p| !p.eq_ignore_ascii_case("ALL")) {
        port = port_of(&mut link, p)?;
    }
    if let Some(q) = args.get(2).filter(|q| !q.eq_ignore_ascii_case("ALL")) {
        queue = q.parse().map_err(|_| format!("{q}: invalid queue"))?;
    }
    dump(
        o,
        &mut link,
        &Message::QueueStatsRequest { port, queue },
        &Names::none(),
    )
}

/// `queue-get-config`.
pub fn queue_get_config(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    let (mut port, mut queue) = (OfPort::NONE, QUEUE_ALL);
    if let Some(p) = args.get(1).filter(|p| !p.eq_ignore_ascii_case("ANY")) {
        port = port_of(&mut link, p)?;
    }
    if let Some(q) = args.get(2).filter(|q| !q.eq_ignore_ascii_case("ALL")) {
        queue = q.parse().map_err(|_| format!("{q}: invalid queue"))?;
    }
    let mut ports = vec![port];
    if port == OfPort::NONE && link.version == Version::Of10 {
        // OpenFlow 1.0 asks for one port at a time, and reserved ports have no queues there.
        ports = link.ports()?.iter().map(|p| p.port).collect();
        ports.retain(|p| *p < OfPort::MAX);
    }
    for port in ports {
        let request = Message::QueueConfigRequest { port, queue };
        dump(o, &mut link, &request, &Names::none())?;
    }
    Ok(())
}

/// `dump-ports`.
pub fn dump_ports(o: &Options, args: &[String]) -> Outcome {
    let shown = names_for_output(o, &args[0]);
    let mut link = Link::open(o, &args[0])?;
    let port = match args.get(1) {
        Some(p) => port_of(&mut link, p)?,
        None => OfPort::NONE,
    };
    dump(o, &mut link, &Message::PortStatsRequest(port), &shown)
}

/// `dump-ports-desc`.
pub fn dump_ports_desc(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    let port = match args.get(1) {
        Some(p) => port_of(&mut link, p)?,
        None => OfPort::NONE,
    };
    dump(
        o,
        &mut link,
        &Message::PortDescRequest(port),
        &Names::none(),
    )
}
