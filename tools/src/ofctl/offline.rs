//! Commands that read and write text and speak to nobody.

use super::options::Options;
use super::{Outcome, warn};
use openflow::action::check::{Limits, check_for};
use openflow::action::encode::encode_actions;
use openflow::action::instructions::{
    decode_actions_only, decode_instructions, encode_instructions,
};
use openflow::text::{
    DEFAULT_PRIORITY, KeyValues, Names, ParseCommand, ParsedFlow, format_actions, format_match,
};
use openflow::{
    FlowCommand, Message, OfError, Protocol, Protocols, Version, Versions, Xid, encode, encode_for,
    error_reply,
};
use openflow::{oxm, print, text};
use std::io::{BufRead, Read};

/// A hex dump without the hyphen at the end of a line of eight.
fn hex_dump(bytes: &[u8]) -> String {
    text::hex_dump(bytes).replace("-\n", "\n")
}

/// Text without comments and blank lines, with continued lines joined, and their numbers.
pub fn lines(reader: impl BufRead) -> impl Iterator<Item = (usize, String)> {
    let mut number = 0;
    let mut all = reader.lines();
    std::iter::from_fn(move || {
        loop {
            let mut line = all.next()?.ok()?;
            number += 1;
            if let Some(at) = line.find('#') {
                line.truncate(at);
            }
            if !line.trim().is_empty() {
                return Some((number, line));
            }
        }
    })
}

/// Hexadecimal digits as bytes.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|p| {
            let s: String = p.iter().collect();
            (p.len() == 2)
                .then(|| u8::from_str_radix(&s, 16).ok())
                .flatten()
        })
        .collect()
}

fn show_flows(o: &Options, flows: &[ParsedFlow], usable: Protocols) -> Outcome {
    say!("usable protocols: {usable}");
    let both = usable.and(o.formats);
    let first = (0..16).map(|i| 1u16 << i).find(|b| both.0 & b != 0);
    let chosen = Protocol::ALL.into_iter().find(|p| Some(*p as u16) == first);
    let Some(protocol) = chosen else {
        return Err("no usable protocol".into());
    };
    say!("chosen protocol: {}", protocol.name());
    for (i, f) in flows.iter().enumerate() {
        let message = Message::FlowMod(Box::new(f.flow.clone()));
        let bytes = encode_for(protocol, Xid(i as u32 + 1), &message);
        put!(
            "{}",
            print::format_message(&bytes, &Names::none(), o.verbosity)
        );
    }
    Ok(())
}

/// `parse-flow FLOW`.
pub fn parse_flow(o: &Options, args: &[String]) -> Outcome {
    let flow = text::parse_flow(
        &args[0],
        ParseCommand::Flow(FlowCommand::Add),
        &Names::none(),
    )?;
    let usable = flow.usable;
    show_flows(o, &[flow], usable)
}

/// Flows of a file (`-` = standard input), and the protocols that can carry all of them.
pub fn read_flows(
    file: &str,
    command: ParseCommand,
    names: &Names,
) -> Result<(Vec<ParsedFlow>, Protocols), String> {
    let reader: Box<dyn BufRead> = if file == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let f = std::fs::File::open(file).map_err(|e| {
            let why = match e.kind() {
                std::io::ErrorKind::NotFound => "No such file or directory".to_string(),
                _ => e.to_string(),
            };
            format!("{file}: open failed ({why})")
        })?;
        Box::new(std::io::BufReader::new(f))
    };
    let mut usable = Protocols::ANY;
    let mut flows = Vec::new();
    for (n, line) in lines(reader) {
        let f = text::parse_flow(&line, command, names).map_err(|e| format!("{file}:{n}: {e}"))?;
        usable = usable.and(f.usable);
        flows.push(f);
    }
    Ok((flows, usable))
}

/// `parse-flows FILE`.
pub fn parse_flows(o: &Options, args: &[String]) -> Outcome {
    let add = ParseCommand::Flow(FlowCommand::Add);
    let (flows, usable) = read_flows(&args[0], add, &Names::none())?;
    show_flows(o, &flows, usable)
}

/// Lines of standard input for tests: comments and blank lines are echoed.
fn test_lines() -> impl Iterator<Item = String> {
    let all = std::io::stdin().lines().map_while(Result::ok);
    all.filter_map(|line| {
        let text = line.split('#').next().unwrap_or("");
        if text.trim().is_empty() {
            say!("{line}");
            return None;
        }
        Some(text.to_string())
    })
}

fn match_error(e: OfError) {
    say!("nx_pull_match() returned error {e}");
}

/// `parse-nx-match`.
pub fn parse_nxm(o: &Options, _: &[String]) -> Outcome {
    for line in test_lines() {
        let bytes = oxm::entries_from_string(&line)?;
        match oxm::decode_nxm(&bytes, o.strict) {
            Err(e) => match_error(e.error),
            Ok((m, cookie, mask)) => {
                let out = oxm::encode_nxm(&m, cookie, mask);
                say!("{}", oxm::entries_to_string(&out));
                if o.verbosity > 0 {
                    let mut padded = out;
                    padded.resize(padded.len().next_multiple_of(8), 0);
                    put!("{}", hex_dump(&padded));
                }
            }
        }
    }
    Ok(())
}

/// `parse-oxm VERSION`.
pub fn parse_oxm(o: &Options, args: &[String]) -> Outcome {
    let version = version_of(&args[0])?;
    for line in test_lines() {
        let entries = oxm::entries_from_string(&line)?;
        let mut framed = vec![0, 1];
        framed.extend(
            u16::try_from(entries.len() + 4)
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        framed.extend(&entries);
        framed.resize(framed.len().next_multiple_of(8), 0);
        match oxm::decode_oxm_match(&framed, o.strict) {
            Err(e) => match_error(e.error),
            Ok(m) => {
                say!(
                    "{}",
                    oxm::entries_to_string(&oxm::encode_oxm_entries(&m, version))
                );
                if o.verbosity > 0 {
                    put!("{}", hex_dump(&oxm::encode_oxm_match(&m, version)));
                }
            }
        }
    }
    Ok(())
}

fn version_of(name: &str) -> Result<Version, String> {
    Version::from_name(name).ok_or_else(|| format!("{name}: not a valid OpenFlow version"))
}

fn differences(prefix: &str, a: &[u8], b: &[u8]) {
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        if x != y {
            say!("{prefix}{i:2}: {x:02x} -> {y:02x}");
        }
    }
    for (i, y) in b.iter().enumerate().skip(a.len()) {
        say!("{prefix}{i:2}: (none) -> {y:02x}");
    }
    for (i, x) in a.iter().enumerate().skip(b.len()) {
        say!("{prefix}{i:2}: {x:02x} -> (none)");
    }
}

fn actions(version_name: &str, instructions: bool) -> Outcome {
    let version = version_of(version_name)?;
    for (_, line) in lines(std::io::stdin().lock()) {
        let (table, hex) = match line.split_once(',') {
            Some((t, rest)) => (t.trim().parse().unwrap_or(0), rest),
            None => (0u8, line.as_str()),
        };
        let bytes = unhex(hex).ok_or("Trailing garbage in hex data")?;
        let mut decoded = if instructions {
            decode_instructions(&bytes, version)
        } else {
            decode_actions_only(&bytes, version)
        };
        if let (true, Ok(list)) = (instructions, &mut decoded) {
            let limits = Limits {
                table,
                n_tables: 255,
                ..Limits::default()
            };
            let protocol = Protocol::of_version(version);
            let any = packet::Match::any();
            if let Err(e) = check_for(list, &any, &limits, protocol) {
                decoded = Err(e);
            }
        }
        match decoded {
            Err(e) => {
                daemon::out::flush();
                warn(&e.notes);
                let what = if instructions {
                    "instructions"
                } else {
                    "actions"
                };
                say!("bad {version_name} {what}: {}\n", e.error);
            }
            Ok(list) => {
                say!("actions={}", format_actions(&list, &Names::none()));
                let out = if instructions {
                    encode_instructions(&list, version)
                } else {
                    encode_actions(&list, version)
                };
                differences("", &bytes, &out);
                say!();
            }
        }
    }
    Ok(())
}

/// `parse-actions VERSION`.
pub fn parse_actions(_: &Options, args: &[String]) -> Outcome {
    actions(&args[0], false)
}

/// `parse-instructions VERSION`.
pub fn parse_instructions(_: &Options, args: &[String]) -> Outcome {
    actions(&args[0], true)
}

/// `parse-ofp10-match`.
pub fn parse_match10(_: &Options, _: &[String]) -> Outcome {
    for (_, line) in lines(std::io::stdin().lock()) {
        let expected = unhex(&line.replace('x', "0")).ok_or("Trailing garbage in hex data")?;
        let input = unhex(&line.replace('x', "a")).ok_or("Trailing garbage in hex data")?;
        if expected.len() != 40 {
            return Err(format!("Input is {} bytes, expected 40", expected.len()));
        }
        let m = oxm::decode_match10(&input).map_err(|e| e.to_string())?;
        say!("{}", format_match(&m, &Names::none(), DEFAULT_PRIORITY));
        let out = oxm::encode_match10(&m);
        differences("", &expected, &out);
        let mut normal = m.clone();
        openflow::normalize(&mut normal);
        differences("normal: ", &out, &oxm::encode_match10(&normal));
        say!();
    }
    Ok(())
}

/// `parse-ofp11-match`.
pub fn parse_match11(_: &Options, _: &[String]) -> Outcome {
    for (_, line) in lines(std::io::stdin().lock()) {
        let bytes = unhex(&line).ok_or("Trailing garbage in hex data")?;
        if bytes.len() != 88 {
            return Err(format!("Input is {} bytes, expected 88", bytes.len()));
        }
        match oxm::decode_match11(&bytes) {
            Err(e) => say!("bad ofp11_match: {}\n", e.error),
            Ok(m) => {
                say!("{}", format_match(&m, &Names::none(), DEFAULT_PRIORITY));
                differences("", &bytes, &oxm::encode_match11(&m));
                say!();
            }
        }
    }
    Ok(())
}

fn error_of(name: &str) -> Result<OfError, String> {
    OfError::from_name(name).ok_or_else(|| format!("unknown error \"{name}\""))
}

/// `print-error ERROR`.
pub fn print_error(_: &Options, args: &[String]) -> Outcome {
    let error = error_of(&args[0])?;
    for v in Version::ALL {
        if let Some(n) = error.numbers(v) {
            let vendor = if n.vendor == 0 {
                "0".into()
            } else {
                format!("{:#x}", n.vendor)
            };
            say!(
                "OpenFlow {}: vendor {vendor}, type {}, code {}",
                v.dotted(),
                n.kind,
                n.code
            );
        }
    }
    Ok(())
}

/// `encode-error-reply ERROR REQUEST`.
pub fn encode_error_reply(_: &Options, args: &[String]) -> Outcome {
    let error = error_of(&args[0])?;
    let request = unhex(&args[1]).ok_or("Trailing garbage in hex data")?;
    if request.len() < 8 {
        return Err("Request too short".into());
    }
    if openflow::Header::parse(&request).map(|h| usize::from(h.length)) != Ok(request.len()) {
        return Err("Request size inconsistent".into());
    }
    let reply = error_reply(error, &request).ok_or("Request of an unknown version")?;
    put!("{}", hex_dump(&reply));
    Ok(())
}

/// `ofp-print HEX [VERBOSITY]`.
pub fn ofp_print(o: &Options, args: &[String]) -> Outcome {
    let verbosity = args.get(1).map_or(Ok(2), |v| v.parse()).unwrap_or(0);
    let bytes = if args[0] == "-" {
        let mut all = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut all);
        read.map_err(|e| format!("Failed to read stdin ({e})"))?;
        if o.raw {
            all
        } else {
            let text = String::from_utf8_lossy(&all);
            unhex(text.lines().next().unwrap_or(""))
                .ok_or("trailing garbage following hex bytes")?
        }
    } else {
        unhex(&args[0]).ok_or("trailing garbage following hex bytes")?
    };
    let (text, notes) = print::format_message_noted(&bytes, &Names::none(), verbosity);
    warn(&notes);
    put!("{text}");
    Ok(())
}

/// `ofp-parse FILE`: messages one behind the other.
pub fn ofp_parse(o: &Options, args: &[String]) -> Outcome {
    let mut all = Vec::new();
    if args[0] == "-" {
        std::io::stdin()
            .lock()
            .read_to_end(&mut all)
            .map_err(|e| e.to_string())?;
    } else {
        all = std::fs::read(&args[0]).map_err(|e| format!("{}: open failed ({e})", args[0]))?;
    }
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        match openflow::next_message(rest) {
            Ok(Some(n)) => {
                let (message, tail) = rest.split_at(n);
                put!(
                    "{}",
                    print::format_message(message, &Names::none(), o.verbosity)
                );
                rest = tail;
            }
            Ok(None) => return Err(format!("{}: unexpected end of file", args[0])),
            Err(e) => return Err(format!("{}: {e}", args[0])),
        }
    }
    Ok(())
}

/// `encode-hello BITMAP`.
pub fn encode_hello(o: &Options, args: &[String]) -> Outcome {
    let bitmap = text::str_to_u64(&args[0]).unwrap_or(0) as u32;
    let versions = Versions(bitmap);
    let newest = versions.newest().ok_or("no known version")?;
    let bytes = encode(newest, Xid(1), &Message::Hello { versions });
    put!("{}", hex_dump(&bytes));
    put!(
        "{}",
        print::format_message(&bytes, &Names::none(), o.verbosity)
    );
    Ok(())
}

/// `parse-key-value STRING...`.
pub fn parse_key_value(_: &Options, args: &[String]) -> Outcome {
    for a in args {
        let all: Vec<String> = KeyValues::new(a)
            .map(|(k, v)| {
                if v.is_empty() {
                    k.to_string()
                } else {
                    format!("{k}={v}")
                }
            })
            .collect();
        say!("{}", all.join(", "));
    }
    Ok(())
}
