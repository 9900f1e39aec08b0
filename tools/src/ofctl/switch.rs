//! Ports, packets, configuration, monitors.

use super::link::{Link, error_name, names_for_parsing};
use super::offline::unhex;
use super::options::Options;
use super::watch::watch;
use super::{Outcome, print_to_stderr, warn};
use openflow::action::check::{Limits, check};
use openflow::text::{KeyValues, Names, parse_actions};
use openflow::{
    Message, MonitorRequest, NO_BUFFER, OfPort, PacketInFormat, PacketOut, PortMod, SwitchConfig,
    TableId, Version, decode, print,
};
use packet::{FieldId, Match};

fn config(link: &mut Link) -> Result<SwitchConfig, String> {
    let bytes = link.transact(&Message::GetConfigRequest)?;
    match decode(&bytes) {
        Ok((_, _, Message::GetConfigReply(c))) => Ok(c),
        Ok((_, _, Message::Error(e))) => Err(error_name(&e.error)),
        _ => Err("bad reply to config request".into()),
    }
}

/// `get-frags`.
pub fn get_frags(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    say!("{}", print::frag_name(config(&mut link)?.frag));
    Ok(())
}

/// `set-frags`.
pub fn set_frags(o: &Options, args: &[String]) -> Outcome {
    let mode = (0..4u8).find(|m| print::frag_name(*m) == args[1]);
    let mode = mode.ok_or_else(|| format!("{}: unknown fragment handling mode", args[1]))?;
    let mut link = Link::open(o, &args[0])?;
    let mut c = config(&mut link)?;
    if c.frag == mode {
        return Ok(());
    }
    c.frag = mode;
    link.transact_noreply(&Message::SetConfig(c))?;
    if config(&mut link)?.frag != mode {
        return Err(format!(
            "{}: setting fragment handling mode failed (this switch probably doesn't support mode \"{}\")",
            args[0], args[1]
        ));
    }
    Ok(())
}

/// `mod-port`.
pub fn mod_port(o: &Options, args: &[String]) -> Outcome {
    const BITS: [(&str, u32, bool); 8] = [
        ("up", 1, false),
        ("down", 1, true),
        ("stp", 2, false),
        ("receive", 4, false),
        ("receive-stp", 8, false),
        ("flood", 16, false),
        ("forward", 32, false),
        ("packet-in", 64, false),
    ];
    let act = args[2].to_ascii_lowercase();
    let name = act.strip_prefix("no-").or(act.strip_prefix("no"));
    let found = BITS.iter().find(|(n, ..)| *n == name.unwrap_or(&act));
    let (_, bit, on) = found.ok_or_else(|| format!("unknown mod-port command '{}'", args[2]))?;
    let on = on ^ name.is_some();
    let mut link = Link::open(o, &args[0])?;
    let ports = link.ports()?;
    let number = Names::none().port(&args[1]);
    let port = ports
        .iter()
        .find(|p| Some(p.port) == number || p.name == args[1]);
    let port = port.ok_or_else(|| format!("{}: couldn't find port `{}'", args[0], args[1]))?;
    link.transact_noreply(&Message::PortMod(PortMod {
        port: port.port,
        hw_addr: port.hw_addr,
        config: if on { *bit } else { 0 },
        mask: *bit,
        advertise: 0,
    }))
}

/// An Ethernet frame from hexadecimal digits.
fn frame(text: &str) -> Result<Vec<u8>, String> {
    const ETHERNET_HEADER: usize = 14;
    let data = unhex(text).ok_or("Trailing garbage in packet data")?;
    if data.len() < ETHERNET_HEADER {
        return Err("Packet data too short for Ethernet".into());
    }
    Ok(data)
}

/// A packet-out from text: `in_port=1,packet=...,actions=...`.
pub fn packet_out_of(text: &str, names: &Names) -> Result<PacketOut, String> {
    let (head, actions) = match text.find("action") {
        Some(at) => (&text[..at], text[at..].split_once('=').map(|(_, a)| a)),
        None => (text, None),
    };
    let mut metadata = Match::any();
    metadata.set(FieldId::InPortOxm, u128::from(OfPort::CONTROLLER.0));
    let mut data = Vec::new();
    for (key, value) in KeyValues::new(head) {
        if value.is_empty() {
            return Err(format!("field {key} missing value"));
        }
        match key {
            "packet" => data = frame(value).map_err(|e| format!("packet: {e}"))?,
            "in_port" => {
                let port = names.port(value);
                let port = port.ok_or_else(|| format!("{value} is not a valid OpenFlow port"))?;
                if !may_send(port) {
                    return Err(format!(
                        "{value} is not a valid OpenFlow port for PACKET_OUT"
                    ));
                }
                metadata.set(FieldId::InPortOxm, u128::from(port.0));
            }
            "packet_type" => {
                let kind = packet_type(value);
                let kind = kind.ok_or_else(|| format!("{key}({value}) can't be interpreted"))?;
                metadata.set(FieldId::PacketType, kind.into());
            }
            _ => {
                let field = FieldId::by_name(key);
                let field = field.ok_or_else(|| format!("unknown keyword {key}"))?;
                let (v, m) = openflow::text::parse_field(field, value, names)?;
                if !is_pipeline_field(field) {
                    return Err(format!(
                        "{key} is not a valid pipeline field for PACKET_OUT"
                    ));
                }
                metadata.set_masked(field, v & m, m);
            }
        }
    }
    if data.is_empty() {
        return Err("must specify packet".into());
    }
    let parsed = actions.map(|a| parse_actions(a, names)).transpose()?;
    Ok(PacketOut {
        data,
        buffer_id: NO_BUFFER,
        metadata,
        actions: parsed.map(|p| p.actions).unwrap_or_default(),
    })
}

/// Whether a packet-out can say that its packet came by this port.
fn may_send(port: OfPort) -> bool {
    port.0 <= OfPort::MAX.0 || matches!(port, OfPort::LOCAL | OfPort::NONE | OfPort::CONTROLLER)
}

/// A packet type from its name space and its type in that.
fn packet_type(text: &str) -> Option<u32> {
    let (space, kind) = text.split_once(',')?;
    let number = |t| openflow::text::str_to_u16(t, "packet_type").ok();
    Some(u32::from(number(space)?) << 16 | u32::from(number(kind)?))
}

/// Whether a field tells of the way that a packet takes rather than of the packet.
fn is_pipeline_field(field: FieldId) -> bool {
    let row = field.row();
    row.owner == packet::Owner::State
        || row.name.starts_with("tun_")
        || matches!(field, FieldId::InPort | FieldId::InPortOxm)
}

/// `packet-out`, also in the older form `IN_PORT ACTIONS PACKET...`.
pub fn packet_out(o: &Options, args: &[String]) -> Outcome {
    let names = names_for_parsing(o, &args[0], "a");
    let mut outs = Vec::new();
    if args.len() == 2 {
        outs.push(packet_out_of(&args[1], &names)?);
    } else {
        let [_, port, actions, packets @ ..] = args else {
            return Err("packet-out needs a port, actions and packets".into());
        };
        let in_port = names
            .port(port)
            .ok_or_else(|| format!("{port} is not a valid OpenFlow port"))?;
        let parsed = parse_actions(actions, &names)?;
        for p in packets {
            let data = frame(p)?;
            let mut metadata = Match::any();
            metadata.set(FieldId::InPortOxm, u128::from(in_port.0));
            let actions = parsed.actions.clone();
            outs.push(PacketOut {
                data,
                buffer_id: NO_BUFFER,
                metadata,
                actions,
            });
        }
    }
    let mut link = Link::open(o, &args[0])?;
    for mut p in outs {
        let m = Match::any();
        if let Err(e) = check(&mut p.actions, &m, &Limits::default()) {
            warn(&e.notes);
        }
        link.transact_noreply(&Message::PacketOut(Box::new(p)))?;
    }
    Ok(())
}

/// Prints a message that came, on standard error.
pub fn show(o: &Options, bytes: &[u8]) {
    let text = print::format_message(bytes, &Names::none(), o.verbosity.saturating_add(2));
    if o.timestamp {
        let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S%.3f:");
        print_to_stderr(&format!("{now} {text}"));
    } else {
        print_to_stderr(&text);
    }
}

fn monitor_of(text: &str, names: &Names) -> Result<MonitorRequest, String> {
    let mut m = MonitorRequest {
        id: 1,
        command: 0,
        flags: 0x1f,
        out_port: OfPort::NONE,
        out_group: openflow::GROUP_ANY,
        table: TableId::ALL,
        matching: Match::any(),
    };
    let mut rest = Vec::new();
    for (key, value) in KeyValues::new(text) {
        match key {
            "!initial" => m.flags &= !1,
            "!add" => m.flags &= !2,
            "!delete" => m.flags &= !4,
            "!modify" => m.flags &= !8,
            "!actions" => m.flags &= !16,
            "!own" => m.flags |= 32,
            "!abbrev" | "only_own" => {}
            "out_port" => {
                let p = names.port(value);
                m.out_port = p.ok_or_else(|| format!("{value} is not a valid OpenFlow port"))?;
            }
            "table" => {
                let t = names.table(value);
                m.table = TableId(t.ok_or_else(|| format!("unknown table \"{value}\""))?);
            }
            _ if value.is_empty() => rest.push(key.to_string()),
            _ => rest.push(format!("{key}={value}")),
        }
    }
    let (q, _) = openflow::text::parse_flow_stats_request(&rest.join(","), names)?;
    m.matching = q.matching;
    // "Own" is a flag in the older layouts: without `!own` all changes are shown.
    m.flags ^= 32;
    Ok(m)
}

/// `monitor`.
pub fn monitor(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    for arg in args.iter().skip(1) {
        if arg.bytes().all(|b| b.is_ascii_digit()) && !arg.is_empty() {
            let mut c = config(&mut link)?;
            c.miss_send_len = arg
                .parse()
                .map_err(|_| format!("{arg}: bad miss_send_len"))?;
            link.transact_noreply(&Message::SetConfig(c))?;
        } else if arg == "invalid_ttl" {
            let mut c = config(&mut link)?;
            c.invalid_ttl_to_controller = Some(true);
            link.transact_noreply(&Message::SetConfig(c))?;
        } else if let Some(text) = arg.strip_prefix("watch:") {
            let names = link.names().unwrap_or_default();
            let request = monitor_of(text, &names)?;
            if link.version == Version::Of10 {
                link.set_protocol(openflow::Protocol::Of10NxmTid)?;
            }
            for bytes in link.transact_all(&Message::MonitorRequest(vec![request]))? {
                show(o, &bytes);
            }
        } else if arg != "resume" {
            return Err(format!("{arg}: unsupported \"monitor\" argument"));
        }
    }
    let format = match o.packet_in_format.as_deref() {
        None => Some(PacketInFormat::Nxt2),
        Some("standard" | "openflow10") => Some(PacketInFormat::Standard),
        Some("nxt_packet_in" | "nxm") => Some(PacketInFormat::Nxt),
        Some("nxt_packet_in2") => Some(PacketInFormat::Nxt2),
        Some(other) => return Err(format!("unknown packet-in format \"{other}\"")),
    };
    if let Some(format) = format {
        // A switch without the extension keeps its own format.
        let xid = link.send(&Message::SetPacketInFormat(format))?;
        let barrier = link.send(&Message::BarrierRequest)?;
        loop {
            let bytes = link.recv()?;
            let h = openflow::Header::parse(&bytes).map_err(|e| e.to_string())?;
            if h.xid == barrier {
                break;
            }
            if h.xid != xid {
                show(o, &bytes);
            }
        }
    }
    watch(link, o, true)
}

/// `snoop`.
pub fn snoop(o: &Options, args: &[String]) -> Outcome {
    watch(Link::open_snoop(o, &args[0])?, o, false)
}

/// `probe`.
pub fn probe(o: &Options, args: &[String]) -> Outcome {
    let mut link = Link::open(o, &args[0])?;
    let bytes = link.transact(&Message::EchoRequest(Vec::new()))?;
    if bytes.len() != 8 {
        return Err("reply does not match request".into());
    }
    Ok(())
}

fn milliseconds(from: clock_now::Instant) -> f64 {
    from.elapsed().as_secs_f64() * 1000.0
}

/// `ping`.
pub fn ping(o: &Options, args: &[String]) -> Outcome {
    let len: usize = match args.get(1) {
        Some(n) => n.parse().map_err(|_| format!("{n}: bad payload length"))?,
        None => 64,
    };
    if len > 65535 - 8 {
        return Err(format!("payload must be between 0 and {} bytes", 65535 - 8));
    }
    let mut link = Link::open(o, &args[0])?;
    let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    for _ in 0..10 {
        let start = clock_now::now();
        let xid = link.send(&Message::EchoRequest(data.clone()))?;
        let bytes = link.recv_xid(xid)?;
        let same = matches!(decode(&bytes), Ok((_, _, Message::EchoReply(d))) if d == data);
        if !same {
            say!("Reply does not match request:");
            put!(
                "{}",
                print::format_message(&bytes, &Names::none(), o.verbosity + 2)
            );
        }
        say!(
            "{} bytes from {}: xid={:08x} time={:.1} ms",
            len,
            args[0],
            xid.0,
            milliseconds(start)
        );
    }
    Ok(())
}

/// `benchmark`.
pub fn benchmark(o: &Options, args: &[String]) -> Outcome {
    let size: usize = args[1]
        .parse()
        .map_err(|_| format!("{}: bad size", args[1]))?;
    let count: u32 = args[2]
        .parse()
        .map_err(|_| format!("{}: bad count", args[2]))?;
    if size > 65535 - 8 {
        return Err(format!("payload must be between 0 and {} bytes", 65535 - 8));
    }
    let mut link = Link::open(o, &args[0])?;
    say!(
        "Sending {count} packets * {} bytes (with header) = {} bytes total",
        size + 8,
        (size as u64 + 8) * u64::from(count)
    );
    let data = vec![0; size];
    let start = clock_now::now();
    for _ in 0..count {
        link.transact(&Message::EchoRequest(data.clone()))?;
    }
    let ms = milliseconds(start).max(0.001);
    say!(
        "Finished in {ms:.1} ms ({:.0} packets/s) ({:.0} bytes/s)",
        f64::from(count) / (ms / 1000.0),
        (size as f64 + 8.0) * f64::from(count) / (ms / 1000.0)
    );
    Ok(())
}

/// `ct-flush-zone`.
pub fn ct_flush_zone(o: &Options, args: &[String]) -> Outcome {
    let zone = openflow::text::str_to_u16(&args[1], "zone_id")?;
    let mut link = Link::open(o, &args[0])?;
    link.transact_noreply(&Message::CtFlushZone(zone))
}

/// Time for `ping` and `benchmark`, from the system's calendar.
mod clock_now {
    use chrono::{DateTime, Utc};
    use std::time::Duration;

    /// A moment.
    #[derive(Clone, Copy)]
    pub struct Instant(DateTime<Utc>);

    impl Instant {
        /// How long ago it was.
        pub fn elapsed(self) -> Duration {
            (Utc::now() - self.0).to_std().unwrap_or_default()
        }
    }

    /// This moment.
    pub fn now() -> Instant {
        Instant(Utc::now())
    }
}
