//! `netdev-dummy/*`: wires without wires.

use super::{Outcome, text};
use crate::switch::Switch;
use daemon::control::Format;
use hal::PacketPort;
use packet::{FlowState, Packet, compose};

const ETHERNET_HEADER: usize = 14;

/// Reads hexadecimal bytes; white space between them does not count.
pub(super) fn parse_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

/// Reads a frame's bytes, its Ethernet header whole.
pub(super) fn parse_frame(hex: &str) -> Result<Vec<u8>, &'static str> {
    match parse_hex(hex) {
        None => Err("Trailing garbage in packet data"),
        Some(bytes) if bytes.len() < ETHERNET_HEADER => Err("Packet data too short for Ethernet"),
        Some(bytes) => Ok(bytes),
    }
}

/// Reads a frame: its bytes, or a flow that it is to have. `len` is the whole frame's length, 0 =
/// as it comes.
pub(super) fn parse_packet(spec: &str, len: usize) -> Result<Vec<u8>, String> {
    if let Ok(bytes) = parse_frame(spec) {
        return Ok(bytes);
    }
    let key = packet::odp::parse_key(spec, &|_| None).map_err(|e| e.to_string())?;
    let state = FlowState::from_key(&key);
    let bare = compose(&state, 0).len();
    let payload = match len {
        // Without a length, what has a payload by nature has 64 bytes of it.
        0 if has_payload(&state) => 64,
        n => n.saturating_sub(bare),
    };
    Ok(compose(&state, payload).frame().to_vec())
}

/// Whether packets of this kind usually carry something.
fn has_payload(state: &FlowState) -> bool {
    use packet::FieldId::*;
    let v6 = match state.get(EthType) {
        0x800 => false,
        0x86dd => true,
        _ => return false,
    };
    if state.get(IpFrag) & 2 != 0 {
        return false;
    }
    let kind = (state.get(Icmpv4Type), state.get(Icmpv4Code));
    match state.get(IpProto) {
        // Not the segments that begin or end a connection.
        6 => state.get(TcpFlags) & 0x7 == 0,
        17 => true,
        1 if !v6 => matches!(kind, (0 | 8, 0)),
        58 if v6 => matches!(kind, (128 | 129, 0)),
        _ => false,
    }
}

pub(super) fn receive(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let port = switch
        .provider()
        .dummy(&args[0])
        .ok_or("no such dummy netdev")?;
    let mut frames = Vec::new();
    let mut i = 1;
    while let Some(arg) = args.get(i) {
        i += 1;
        match arg.as_str() {
            "--len" | "--qid" => {
                i += 1;
                continue;
            }
            _ => {}
        }
        let len = match (args.get(i).map(String::as_str), args.get(i + 1)) {
            (Some("--len"), Some(n)) => n
                .parse()
                .ok()
                .filter(|n| *n <= 65535)
                .ok_or("too much data")?,
            _ => 0,
        };
        frames.push(parse_packet(arg, len)?);
    }
    for frame in frames {
        port.inject(Packet::from_frame(&frame));
        switch.run_until_idle();
    }
    text("")
}

pub(super) fn conn_state(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let provider = switch.provider();
    if let Some(name) = args.first() {
        return text(format!("{name}: {}\n", provider.far_side(name)));
    }
    let names = switch.bridges.values().flat_map(|b| b.interfaces.keys());
    let mut names: Vec<_> = names.filter(|n| provider.dummy(n).is_some()).collect();
    names.sort_unstable();
    let lines = names.iter().map(|name| (name, provider.far_side(name)));
    // Ports that are connected to nothing by intention are left out.
    let lines = lines.filter(|(_, state)| *state != "unknown");
    text(
        lines
            .map(|(n, s)| format!("{n}: {s}\n"))
            .collect::<String>(),
    )
}

pub(super) fn set_admin(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let up = match args.last().map(|s| s.to_ascii_lowercase()).as_deref() {
        Some("up") => true,
        Some("down") => false,
        _ => return Err("Invalid Admin State".into()),
    };
    let names: Vec<String> = match args {
        [name, _] => vec![name.clone()],
        _ => switch
            .bridges
            .values()
            .flat_map(|b| b.interfaces.keys().cloned())
            .collect(),
    };
    for name in &names {
        match switch.provider().dummy(name) {
            Some(port) => {
                port.set_admin(up).map_err(|e| e.to_string())?;
            }
            None if args.len() == 2 => return Err("Unknown Dummy Interface".into()),
            None => {}
        }
    }
    text("OK")
}
