//! `ovs-dpctl`: looks at datapaths and changes their flows.
//!
//! Datapaths live inside `ovs-vswitchd`, so a command here is the daemon's `dpctl/COMMAND`, asked
//! over its control socket: the options are put where the command wants them, the answer is
//! printed as it is. Nothing is asked of a command line that is wrong in itself. Files are read
//! here (`batch`), a request a line.

mod batch;

use crate::getopt::{self, Arg, Spec};
use crate::{deadline, logging};
use clock::Clock;
use daemon::control::{Client, socket_of};
use daemon::{log, options};
use ovsdb::{Json, json};
use std::path::Path;
use std::process::ExitCode;

/// What may be passed on to a command besides its words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// `-s`.
    Statistics,
    /// `-m`, `--names`, `--no-names`.
    Layout,
    /// `--may-create`, `--clear`, `-s`.
    Change,
}

struct Command {
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    /// Whether it only looks.
    reads: bool,
    takes: Takes,
}

const fn reads(name: &'static str, usage: &'static str, min: usize, max: usize) -> Command {
    Command {
        name,
        usage,
        min,
        max,
        reads: true,
        takes: Takes::Nothing,
    }
}

const fn writes(name: &'static str, usage: &'static str, min: usize, max: usize) -> Command {
    Command {
        reads: false,
        ..reads(name, usage, min, max)
    }
}

const fn with(takes: Takes, command: Command) -> Command {
    Command { takes, ..command }
}

const MANY: usize = usize::MAX;

/// In the order of `list-commands`. A daemon that lacks one says so itself.
static COMMANDS: &[Command] = &[
    writes("add-dp", "dp [iface...]", 1, MANY),
    writes("del-dp", "dp", 1, 1),
    writes("add-if", "dp iface...", 2, MANY),
    writes("del-if", "dp iface...", 2, MANY),
    writes("set-if", "dp iface...", 2, MANY),
    reads("dump-dps", "", 0, 0),
    with(Takes::Statistics, reads("show", "[-s] [dp...]", 0, MANY)),
    with(
        Takes::Layout,
        reads(
            "dump-flows",
            "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]",
            0,
            6,
        ),
    ),
    writes("add-flow", "[dp] flow actions", 2, 3),
    with(Takes::Change, writes("mod-flow", "[dp] flow actions", 2, 3)),
    with(Takes::Layout, reads("get-flow", "[dp] ufid", 1, 2)),
    writes("del-flow", "[dp] flow", 1, 2),
    writes("add-flows", "[dp] file", 1, 2),
    writes("mod-flows", "[dp] file", 1, 2),
    writes("del-flows", "[dp] [file]", 0, 2),
    reads("offload-stats-show", "[dp]", 0, 1),
    reads("dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4),
    reads("dump-conntrack-exp", "[dp] [zone=N]", 0, 2),
    writes(
        "flush-conntrack",
        "[dp] [zone=N] [mark=X[/M]] [labels=Y[/N]] [ct-orig-tuple [ct-reply-tuple]]",
        0,
        6,
    ),
    reads("cache-get-size", "[dp]", 0, 1),
    writes("cache-set-size", "dp cache <size>", 3, 3),
    reads("ct-stats-show", "[dp] [zone=N]", 0, 3),
    reads("ct-bkts", "[dp] [gt=N]", 0, 2),
    writes("ct-set-maxconns", "[dp] maxconns", 1, 2),
    reads("ct-get-maxconns", "[dp]", 0, 1),
    reads("ct-get-nconns", "[dp]", 0, 1),
    writes("ct-enable-tcp-seq-chk", "[dp]", 0, 1),
    writes("ct-disable-tcp-seq-chk", "[dp]", 0, 1),
    reads("ct-get-tcp-seq-chk", "[dp]", 0, 1),
    reads(
        "ct-set-limits",
        "[dp] [default=L] [zone=N,limit=L]...",
        1,
        MANY,
    ),
    reads("ct-del-limits", "[dp] [default] [zone=N1[,N2]...]", 1, 3),
    reads("ct-get-limits", "[dp] [zone=N1[,N2]...]", 0, 2),
    reads("ct-get-sweep-interval", "[dp]", 0, 1),
    writes("ct-set-sweep-interval", "[dp] ms", 1, 2),
    writes("ipf-set-enabled", "[dp] v4|v6", 1, 2),
    writes("ipf-set-disabled", "[dp] v4|v6", 1, 2),
    writes("ipf-set-min-frag", "[dp] v4|v6 minfragment", 2, 3),
    writes("ipf-set-max-nfrags", "[dp] maxfrags", 1, 2),
    reads("ipf-get-status", "[dp]", 0, 1),
    reads("help", "", 0, MANY),
    reads("list-commands", "", 0, MANY),
    // For tests; the daemon reads and writes the text.
    reads("parse-actions", "actions", 1, MANY),
    with(
        Takes::Layout,
        reads("normalize-actions", "actions", 2, MANY),
    ),
];

/// The command line's options, those about logging and time apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    statistics: bool,
    clear: bool,
    may_create: bool,
    read_only: bool,
    more: bool,
    names: Option<bool>,
}

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Print this.
    Say(String),
    /// Carry out the lines of a file.
    File {
        path: String,
        default: batch::Default,
        datapath: Option<String>,
    },
    /// Ask the daemon this.
    Ask { command: String, args: Vec<String> },
}

/// Why nothing is done.
enum Stop {
    /// One line, if it is not in the log already.
    Failed(Option<String>),
    /// A line of the C library's kind, which names the program as it was called.
    Usage(String),
    /// It is all done.
    Done(String),
}

fn specs() -> Vec<Spec> {
    let mut specs = vec![
        Spec::new("statistics", Some('s'), Arg::No),
        Spec::new("clear", None, Arg::No),
        Spec::new("may-create", None, Arg::No),
        Spec::new("read-only", None, Arg::No),
        Spec::new("more", Some('m'), Arg::No),
        Spec::new("names", None, Arg::No),
        Spec::new("no-names", None, Arg::No),
        Spec::new("timeout", Some('t'), Arg::Required),
        Spec::new("help", Some('h'), Arg::No),
        Spec::new("option", Some('o'), Arg::No),
        Spec::new("version", Some('V'), Arg::No),
    ];
    specs.extend(logging::specs());
    specs
}

/// `main` of the program.
pub fn main() -> ExitCode {
    let clock = Clock::real();
    log::start(&options::program_name(), &[], &clock);
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let done = parse(words.get(1..).unwrap_or_default(), &clock).and_then(|(options, words)| {
        let plan = plan(&options, &words).map_err(|e| Stop::Failed(Some(e)))?;
        match plan {
            Plan::Say(text) => Ok(text),
            Plan::File {
                path,
                default,
                datapath,
            } => {
                let ask = |command: &str, args: &[String]| ask(command, args).map(drop);
                batch::run(&path, default, datapath.as_deref(), ask, log::complain)
                    .map(|()| String::new())
                    .map_err(|e| Stop::Failed(Some(e)))
            }
            Plan::Ask { command, args } => ask(&command, &args).map_err(|e| Stop::Failed(Some(e))),
        }
    });
    match done {
        Ok(text) | Err(Stop::Done(text)) => {
            put!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop::Failed(complaint)) => {
            if let Some(complaint) = complaint {
                log::complain(&complaint);
            }
            ExitCode::FAILURE
        }
        Err(Stop::Usage(complaint)) => {
            getopt::complain(&complaint);
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String], clock: &Clock) -> Result<(Options, Vec<String>), Stop> {
    let (given, rest) = getopt::anywhere(&specs(), words).map_err(Stop::Usage)?;
    let mut options = Options::default();
    let mut timeout = None;
    for (name, value) in given {
        match name.as_str() {
            "statistics" => options.statistics = true,
            "clear" => options.clear = true,
            "may-create" => options.may_create = true,
            "read-only" => options.read_only = true,
            "more" => options.more = true,
            "names" => options.names = Some(true),
            "no-names" => options.names = Some(false),
            "timeout" => {
                let text = value.as_deref().unwrap_or_default();
                let seconds = deadline::parse(text).ok_or_else(|| {
                    let complaint = format!("value {text} on -t or --timeout is invalid");
                    Stop::Failed(Some(complaint))
                })?;
                timeout = Some(seconds);
            }
            "help" => return Err(Stop::Done(usage(&log::program()))),
            "option" => return Err(Stop::Done(list_options())),
            "version" => {
                return Err(Stop::Done(options::version_text(&log::program(), &[])));
            }
            other => {
                logging::apply(other, value.as_deref()).map_err(Stop::Failed)?;
            }
        }
    }
    deadline::arm(timeout, clock);
    Ok((options, rest))
}

/// What to do about a command and its arguments.
fn plan(options: &Options, words: &[String]) -> Result<Plan, String> {
    let Some((name, args)) = words.split_first() else {
        return Err("missing command name; use --help for help".into());
    };
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        return Err(format!("unknown command '{name}'; use --help for help"));
    };
    if args.len() < command.min {
        let min = command.min;
        return Err(format!(
            "'{name}' command requires at least {min} arguments"
        ));
    }
    if args.len() > command.max {
        let max = command.max;
        return Err(format!("'{name}' command takes at most {max} arguments"));
    }
    if options.read_only && !command.reads {
        return Err(format!("'{name}' command does not work in read only mode"));
    }
    match command.name {
        "help" => return Ok(Plan::Say(usage(&log::program()))),
        "list-commands" => return Ok(Plan::Say(list_commands())),
        _ => {}
    }
    let default = match command.name {
        "add-flows" => Some(batch::Default::Add),
        "mod-flows" => Some(batch::Default::Modify),
        // A single word is a datapath if it looks like one.
        "del-flows" if args.len() == 2 || args.first().is_some_and(|a| !a.contains('@')) => {
            Some(batch::Default::Delete)
        }
        _ => None,
    };
    if let (Some(default), Some((path, datapath))) = (default, args.split_last()) {
        return Ok(Plan::File {
            path: path.clone(),
            default,
            datapath: datapath.first().cloned(),
        });
    }
    let mut all: Vec<String> = passed_on(command.takes, options)
        .into_iter()
        .map(str::to_owned)
        .collect();
    all.extend_from_slice(args);
    Ok(Plan::Ask {
        command: format!("dpctl/{name}"),
        args: all,
    })
}

/// The options that a command is given, in the daemon's words.
fn passed_on(takes: Takes, options: &Options) -> Vec<&'static str> {
    let wanted = match takes {
        Takes::Nothing => vec![],
        Takes::Statistics => vec![("-s", options.statistics)],
        Takes::Layout => vec![
            ("-m", options.more),
            ("--names", options.names == Some(true)),
            ("--no-names", options.names == Some(false)),
        ],
        Takes::Change => vec![
            ("--may-create", options.may_create),
            ("--clear", options.clear),
            ("-s", options.statistics),
        ],
    };
    let given = wanted.into_iter().filter(|(_, given)| *given);
    given.map(|(option, _)| option).collect()
}

/// Asks the running `ovs-vswitchd`.
fn ask(command: &str, args: &[String]) -> Result<String, String> {
    let socket = socket_of("ovs-vswitchd").map_err(|(pidfile, e)| {
        let pidfile = pidfile.display();
        format!("cannot read pidfile \"{pidfile}\" ({})", log::reason(&e))
    })?;
    ask_at(&socket, command, args)
}

fn ask_at(socket: &Path, command: &str, args: &[String]) -> Result<String, String> {
    let name = socket.display();
    let mut client = Client::connect(socket)
        .map_err(|e| format!("cannot connect to \"{name}\" ({})", log::reason(&e)))?;
    let outcome = client
        .call(command, args)
        .map_err(|e| format!("ovs-vswitchd: transaction error ({})", log::reason(&e)))?;
    match outcome {
        Ok(reply) => Ok(as_text(reply)),
        Err(refusal) => Err(complaint(command, &as_text(refusal))),
    }
}

/// A refusal in one line without the end of it.
fn complaint(command: &str, refusal: &str) -> String {
    if refusal.starts_with(&format!("\"{command}\" is not a valid command")) {
        let name = command.strip_prefix("dpctl/").unwrap_or(command);
        return format!("'{name}' command is not supported by the running ovs-vswitchd");
    }
    refusal.trim_end().to_owned()
}

fn as_text(reply: Json) -> String {
    match reply {
        Json::String(text) => text,
        other => json::to_string(&other),
    }
}

fn list_commands() -> String {
    let mut text = String::from("The available commands are:\n");
    for c in COMMANDS {
        text.push_str(&format!("  {:<24}{}\n", c.name, c.usage));
    }
    text
}

fn list_options() -> String {
    let mut text = String::new();
    for spec in specs() {
        let (equals, arg) = match spec.arg {
            Arg::No => ("", ""),
            Arg::Required => ("=", "ARG"),
            Arg::Optional => ("=", "[ARG]"),
        };
        text.push_str(&format!("--{}{equals}{arg}\n", spec.long));
        if let Some(c) = spec.short {
            text.push_str(&format!("-{c} {arg}\n"));
        }
    }
    text
}

fn usage(program: &str) -> String {
    let logging = options::log_usage(program);
    format!(
        "\
{program}: Open vSwitch datapath management utility
usage: {program} [OPTIONS] COMMAND [ARG...]
  add-dp DP [IFACE...]     add new datapath DP (with IFACEs)
  del-dp DP                delete local datapath DP
  add-if DP IFACE...       add each IFACE as a port on DP
  set-if DP IFACE...       reconfigure each IFACE within DP
  del-if DP IFACE...       delete each IFACE from DP
  dump-dps                 display names of all datapaths
  show                     show basic info on all datapaths
  show DP...               show basic info on each DP
  dump-flows [DP]          display flows in DP
  add-flow [DP] FLOW ACTIONS add FLOW with ACTIONS to DP
  add-flows [DP] FILE        add flows from FILE
  mod-flow [DP] FLOW ACTIONS change FLOW actions to ACTIONS in DP
  mod-flows [DP] FILE        change flows from FILE
  get-flow [DP] ufid:UFID    fetch flow corresponding to UFID
  del-flow [DP] FLOW         delete FLOW from DP
  del-flows [DP] [FILE]      delete all or specified flows from DP
  cache-get-size [DP]             Show the current size for all caches
  cache-set-size DP CACHE SIZE  Set cache size for a specific cache
  offload-stats-show [DP]    show how many flows devices hold
  dump-conntrack [DP] [zone=ZONE]  display conntrack entries for ZONE
  dump-conntrack-exp [DP] [zone=ZONE]  display expected connections
  flush-conntrack [DP] [zone=ZONE] [ct-tuple]delete matched conntrack entries in ZONE
  ct-stats-show [DP] [zone=ZONE] [verbose] CT connections grouped by protocol
  ct-bkts [DP] [gt=N] display connections per CT bucket
  ct-set-maxconns [DP] N, ct-get-maxconns [DP], ct-get-nconns [DP]
                             limit and count connections
  ct-enable-tcp-seq-chk [DP], ct-disable-tcp-seq-chk [DP],
  ct-get-tcp-seq-chk [DP]    check TCP sequence numbers, or do not
  ct-set-limits [DP] [default=L] [zone=N,limit=L]...,
  ct-del-limits [DP] [default] [zone=N,...], ct-get-limits [DP] [zone=N,...]
                             limit connections by zone
  ct-set-sweep-interval [DP] MS, ct-get-sweep-interval [DP]
                             how often old connections are looked for
  ipf-set-enabled [DP] v4|v6, ipf-set-disabled [DP] v4|v6
                             put fragments together, or do not
  ipf-set-min-frag [DP] v4|v6 SIZE, ipf-set-max-nfrags [DP] N
                             which fragments, and how many
  ipf-get-status [DP]        show how fragments are treated
  help                       print this help message
  list-commands              list commands
  parse-actions ACTIONS...   read ACTIONS and show them again
  normalize-actions FLOW ACTIONS [NAME=NUMBER]...
                             show what ACTIONS do under each VLAN
Each IFACE on add-dp, add-if, and set-if may be followed by
comma-separated options.  See ovs-dpctl(8) for syntax, or the
Interface table in ovs-vswitchd.conf.db(5) for an options list.
For COMMAND dump-flows, add-flow, add-flows, mod-flow,
mod-flows, del-flow and del-flows, DP is optional if there is
only one datapath.
{logging}
Options for show and mod-flow:
  -s,  --statistics           print statistics for port or flow

Options for dump-flows:
  -m, --more                  increase verbosity of output
  --names, --no-names         use port names in output, or numbers

Options for mod-flow:
  --may-create                create flow if it doesn't exist
  --read-only                 do not run read/write commands
  --clear                     reset existing stats to zero

Other options:
  -t, --timeout=SECS          give up after SECS seconds
  -o, --option                list options
  -h, --help                  display this help message
  -V, --version               display version information
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn planned(text: &str) -> Result<String, String> {
        let parsed = parse(&words(text), &Clock::stopped_at(0));
        let (options, rest) = match parsed {
            Ok(parsed) => parsed,
            Err(Stop::Usage(e) | Stop::Failed(Some(e))) => return Err(e),
            Err(Stop::Done(_) | Stop::Failed(None)) => return Ok("done".into()),
        };
        Ok(match plan(&options, &rest)? {
            Plan::Say(text) => text,
            Plan::Ask { command, args } => format!("{command} {}", args.join(" ")),
            Plan::File { path, default, .. } => format!("{default:?} {path}"),
        })
    }

    #[test]
    fn options_go_to_the_commands_that_know_them() {
        for (line, asked) in [
            (
                "dump-flows -m dp --no-names",
                "dpctl/dump-flows -m --no-names dp",
            ),
            (
                "dump-flows filter=ip type=ovs",
                "dpctl/dump-flows filter=ip type=ovs",
            ),
            ("-s show -m a", "dpctl/show -s a"),
            ("--may add-flow f a", "dpctl/add-flow f a"),
            (
                "mod-flow f a --may-create --clear",
                "dpctl/mod-flow --may-create --clear f a",
            ),
            ("--names get-flow ufid:1", "dpctl/get-flow --names ufid:1"),
            ("--read-only dump-dps", "dpctl/dump-dps "),
            ("del-flow -- --f", "dpctl/del-flow --f"),
        ] {
            assert_eq!(planned(line).as_deref(), Ok(asked), "{line}");
        }
    }

    #[test]
    fn wrong_lines_are_refused_in_the_words_that_scripts_know() {
        for (line, error) in [
            ("", "missing command name; use --help for help"),
            ("foo", "unknown command 'foo'; use --help for help"),
            (
                "get-flow",
                "'get-flow' command requires at least 1 arguments",
            ),
            ("dump-dps a", "'dump-dps' command takes at most 0 arguments"),
            (
                "--read-only del-dp a",
                "'del-dp' command does not work in read only mode",
            ),
            ("-t x show", "value x on -t or --timeout is invalid"),
            ("show --nope", "unrecognized option '--nope'"),
            ("show -t", "option requires an argument -- 't'"),
        ] {
            assert_eq!(planned(line), Err(error.to_owned()), "{line}");
        }
    }

    /// A daemon that answers one call: with the call itself, or a refusal.
    fn answer_once(path: &Path, refusal: Option<&'static str>) -> std::thread::JoinHandle<()> {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            let call = loop {
                let mut byte = [0];
                io::Read::read_exact(&mut peer, &mut byte).unwrap();
                text.push(byte[0]);
                if let Ok(call) = serde_json::from_slice::<Json>(&text) {
                    break call;
                }
            };
            let echo = format!("{} {}\n", call["method"], call["params"]);
            let reply = match refusal {
                None => serde_json::json!({"id": call["id"], "result": echo, "error": null}),
                Some(e) => serde_json::json!({"id": call["id"], "result": null, "error": e}),
            };
            peer.write_all(reply.to_string().as_bytes()).unwrap();
        })
    }

    #[test]
    fn the_daemon_is_asked_and_its_refusals_are_one_line() {
        let path = std::env::temp_dir().join(format!("dpctl-{}.ctl", std::process::id()));
        let invalid = "\"dpctl/add-dp\" is not a valid command (use \"list-commands\" to see)";
        for (refusal, command, told) in [
            (None, "dpctl/show", Ok("\"dpctl/show\" [\"-s\"]\n")),
            (
                Some("no datapaths exist\n"),
                "dpctl/show",
                Err("no datapaths exist"),
            ),
            (
                Some(invalid),
                "dpctl/add-dp",
                Err("'add-dp' command is not supported by the running ovs-vswitchd"),
            ),
        ] {
            let _ = std::fs::remove_file(&path);
            let daemon = answer_once(&path, refusal);
            let outcome = ask_at(&path, command, &["-s".to_owned()]);
            daemon.join().unwrap();
            assert_eq!(outcome.as_deref().map_err(String::as_str), told);
        }
        let _ = std::fs::remove_file(&path);
        let gone = ask_at(&path, "dpctl/show", &[]).unwrap_err();
        assert!(gone.contains("(No such file or directory)"), "{gone}");
    }
}
