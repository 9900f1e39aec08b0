//! The commands of `ovs-ofctl`.
//!
//! * `options`: the command line; `link`: a connection to a switch.
//! * `offline`: commands that only read and write text; `stats`: what dumps; `flows`: what
//!   changes flows or compares them; `switch`: ports, packets, monitors; `watch`: what monitors print.

mod flows;
mod link;
mod offline;
mod options;
mod packets;
mod stats;
mod switch;
mod tables;
mod watch;

use crate::{deadline, getopt};
use clock::Clock;
use daemon::log::Level;
use options::{Options, Stop};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;

/// What went wrong, as the line that the user sees.
type Outcome = Result<(), String>;

/// A command: its name, how many arguments it takes, what does it, and how to use it.
struct Command {
    name: &'static str,
    min: usize,
    max: usize,
    run: fn(&Options, &[String]) -> Outcome,
    usage: &'static str,
}

impl Command {
    /// Whether it asks no switch, but shows how messages and text are read.
    fn is_internal(&self) -> bool {
        let name = self.name;
        name.starts_with("parse-")
            || name.starts_with("encode-")
            || name.ends_with("-print")
            || name == "print-error"
    }
}

const fn cmd(
    name: &'static str,
    min: usize,
    max: usize,
    run: fn(&Options, &[String]) -> Outcome,
    usage: &'static str,
) -> Command {
    Command {
        name,
        min,
        max,
        run,
        usage,
    }
}

/// The modules whose log levels can be set.
const MODULES: &[&str] = &[
    "meta_flow",
    "nx_match",
    "ofctl",
    "ofp_actions",
    "ofp_errors",
    "ofp_flow",
    "ofp_match",
    "ofp_msgs",
    "ofp_util",
    "vconn",
];

const MANY: usize = usize::MAX;

static COMMANDS: &[Command] = &[
    cmd("show", 1, 1, stats::show, "switch"),
    cmd(
        "monitor",
        1,
        4,
        switch::monitor,
        "switch [misslen] [invalid_ttl] [watch:[...]]",
    ),
    cmd("snoop", 1, 1, switch::snoop, "switch"),
    cmd("dump-desc", 1, 1, stats::dump_desc, "switch"),
    cmd("dump-tables", 1, 1, stats::dump_tables, "switch"),
    cmd(
        "dump-table-features",
        1,
        1,
        stats::dump_table_features,
        "switch",
    ),
    cmd("dump-table-desc", 1, 1, stats::dump_table_desc, "switch"),
    cmd("dump-flows", 1, 2, stats::dump_flows, "switch"),
    cmd("dump-aggregate", 1, 2, stats::dump_aggregate, "switch"),
    cmd(
        "queue-stats",
        1,
        3,
        stats::queue_stats,
        "switch [port [queue]]",
    ),
    cmd(
        "queue-get-config",
        1,
        3,
        stats::queue_get_config,
        "switch [port [queue]]",
    ),
    cmd("add-flow", 2, 2, flows::add_flow, "switch flow"),
    cmd("add-flows", 2, 2, flows::add_flows, "switch file"),
    cmd("mod-flows", 2, 2, flows::mod_flows, "switch flow"),
    cmd("del-flows", 1, 2, flows::del_flows, "switch [flow]"),
    cmd("replace-flows", 2, 2, flows::replace_flows, "switch file"),
    cmd("diff-flows", 2, 2, flows::diff_flows, "source1 source2"),
    cmd(
        "packet-out",
        2,
        MANY,
        switch::packet_out,
        "switch \"in_port=<port> packet=<hex data> actions=...\"",
    ),
    cmd("dump-ports", 1, 2, stats::dump_ports, "switch [port]"),
    cmd(
        "dump-ports-desc",
        1,
        2,
        stats::dump_ports_desc,
        "switch [port]",
    ),
    cmd("mod-port", 3, 3, switch::mod_port, "switch iface act"),
    cmd("mod-table", 3, 3, tables::mod_table, "switch mod"),
    cmd("get-frags", 1, 1, switch::get_frags, "switch"),
    cmd("set-frags", 2, 2, switch::set_frags, "switch frag_mode"),
    cmd("probe", 1, 1, switch::probe, "target"),
    cmd("ping", 1, 2, switch::ping, "target [n]"),
    cmd("benchmark", 3, 3, switch::benchmark, "target n count"),
    cmd("ct-flush-zone", 2, 2, switch::ct_flush_zone, "switch zone"),
    cmd("ofp-parse", 1, 1, offline::ofp_parse, "file"),
    cmd("help", 0, MANY, help, ""),
    cmd("list-commands", 0, MANY, list_commands, ""),
    // For tests.
    cmd("parse-flow", 1, 1, offline::parse_flow, ""),
    cmd("parse-flows", 1, 1, offline::parse_flows, ""),
    cmd("parse-nx-match", 0, 0, offline::parse_nxm, ""),
    cmd("parse-nxm", 0, 0, offline::parse_nxm, ""),
    cmd("parse-oxm", 1, 1, offline::parse_oxm, ""),
    cmd("parse-actions", 1, 1, offline::parse_actions, ""),
    cmd("parse-instructions", 1, 1, offline::parse_instructions, ""),
    cmd("parse-ofp10-match", 0, 0, offline::parse_match10, ""),
    cmd("parse-ofp11-match", 0, 0, offline::parse_match11, ""),
    cmd("parse-pcap", 1, MANY, packets::parse_pcap, ""),
    cmd("parse-packet", 0, 0, packets::parse_packet, ""),
    cmd("compose-packet", 1, 2, packets::compose_packet, ""),
    cmd("print-error", 1, 1, offline::print_error, ""),
    cmd("encode-error-reply", 2, 2, offline::encode_error_reply, ""),
    cmd("ofp-print", 1, 2, offline::ofp_print, ""),
    cmd("encode-hello", 1, 1, offline::encode_hello, ""),
    cmd("parse-key-value", 1, MANY, offline::parse_key_value, ""),
];

fn help(_: &Options, _: &[String]) -> Outcome {
    options::usage();
    Ok(())
}

fn list_commands(_: &Options, _: &[String]) -> Outcome {
    for c in COMMANDS.iter().filter(|c| !c.name.starts_with("parse-")) {
        let sep = if c.usage.is_empty() { "" } else { " " };
        say!("  {}{sep}{}", c.name, c.usage);
    }
    Ok(())
}

/// Runs a command line, program name excluded.
pub fn main(args: Vec<String>) -> ExitCode {
    let clock = Clock::real();
    // Packets are shown with all the tags that there is room for.
    packet::set_vlan_limit(0);
    daemon::log::start(&daemon::options::program_name(), MODULES, &clock);
    let (options, words) = match options::parse(&args) {
        Ok(parsed) => parsed,
        Err(Stop::Done) => return ExitCode::SUCCESS,
        Err(Stop::Failed(line)) => return fail(&line.unwrap_or_default()),
        Err(Stop::Usage(line)) => {
            getopt::complain(&line);
            return ExitCode::FAILURE;
        }
    };
    if !options.daemon.detach {
        deadline::arm(options.timeout, &clock);
    }
    let Some((name, rest)) = words.split_first() else {
        return fail("missing command name; use --help for help");
    };
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        return fail(&format!("unknown command '{name}'; use --help for help"));
    };
    if rest.len() < command.min {
        return fail(&format!(
            "'{name}' command requires at least {} arguments",
            command.min
        ));
    }
    if rest.len() > command.max {
        return fail(&format!(
            "'{name}' command takes at most {} arguments",
            command.max
        ));
    }
    match (command.run)(&options, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e),
    }
}

/// Text on standard error, of which nothing depends.
fn print_to_stderr(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn fail(text: &str) -> ExitCode {
    // What was printed so far comes first.
    daemon::out::flush();
    if !text.is_empty() {
        eprintln!("ovs-ofctl: {text}");
    }
    ExitCode::FAILURE
}

/// Lines for the log, at level WARN.
fn warn(notes: &[openflow::error::Note]) {
    log(notes, Level::Warn);
}

/// The same at level INFO.
fn inform(notes: &[openflow::error::Note]) {
    log(notes, Level::Info);
}

fn log(notes: &[openflow::error::Note], level: Level) {
    // Of each module's limited lines a program that lives so shortly shows five.
    static SHOWN: Mutex<BTreeMap<&str, u32>> = Mutex::new(BTreeMap::new());
    for n in notes {
        if let (true, Ok(mut shown)) = (n.limited, SHOWN.lock()) {
            let so_far = shown.entry(n.module).or_default();
            *so_far += 1;
            if *so_far > 5 {
                continue;
            }
        }
        daemon::log::line(n.module, level, &n.text);
    }
}
