//! The commands of `ovs-ofctl`.
//!
//! * `options`: the command line; `link`: a connection to a switch.
//! * `offline`: commands that only read and write text; `stats`: what dumps; `flows`: what
//!   changes flows or compares them; `switch`: ports, packets, monitors.

/// A line on standard output. Nobody may be reading any more, which is no error.
macro_rules! say {
    ($($t:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($t)*);
    }};
}

/// The same without a line break.
macro_rules! put {
    ($($t:tt)*) => {{
        use std::io::Write;
        let _ = write!(std::io::stdout(), $($t)*);
    }};
}

mod flows;
mod link;
mod offline;
mod options;
mod stats;
mod switch;

use options::Options;
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
    cmd("mod-table", 3, 3, switch::mod_table, "switch mod"),
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
    let parsed = match options::parse(args) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return ExitCode::SUCCESS,
        Err(e) => return fail(&e),
    };
    let (options, words) = parsed;
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

fn fail(text: &str) -> ExitCode {
    use std::io::Write;
    // What was printed so far comes first.
    let _ = std::io::stdout().flush();
    if !text.is_empty() {
        eprintln!("ovs-ofctl: {text}");
    }
    ExitCode::FAILURE
}

/// Lines for the log, at level WARN, in the log's shape.
fn warn(notes: &[openflow::error::Note]) {
    log(notes, "WARN");
}

/// The same at level INFO.
fn inform(notes: &[openflow::error::Note]) {
    log(notes, "INFO");
}

fn log(notes: &[openflow::error::Note], level: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
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
        let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let line = match options::console_pattern() {
            Some(pattern) => pattern
                .replace("%c", n.module)
                .replace("%p", level)
                .replace("%m", &n.text)
                .replace("%N", &count.to_string()),
            None => {
                let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
                format!("{now}|{count:05}|{}|{level}|{}", n.module, n.text)
            }
        };
        eprintln!("{line}");
    }
}
