//! The command line.

use crate::getopt::{self, Arg, Spec};
use crate::{deadline, logging};
use openflow::{Protocols, Versions, version::Version};

/// The options of a command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// Versions to offer.
    pub versions: Versions,
    /// Flow formats to use.
    pub formats: Protocols,
    /// `--strict`.
    pub strict: bool,
    /// `--readd`.
    pub readd: bool,
    /// `--bundle`.
    pub bundle: bool,
    /// How often `-m` was given.
    pub verbosity: u8,
    /// `--timestamp`.
    pub timestamp: bool,
    /// `--names`: `None` = if standard output is a terminal.
    pub names: Option<bool>,
    /// `--no-stats`.
    pub stats: bool,
    /// `--raw`.
    pub raw: bool,
    /// `--bare`.
    pub bare: bool,
    /// `--sort` and `--rsort`: field and whether downward.
    pub sort: Vec<(String, bool)>,
    /// `-t`.
    pub timeout: Option<u32>,
    /// `--unixctl`.
    pub unixctl: Option<String>,
    /// How `monitor` and `snoop` go to the background.
    pub daemon: daemon::options::Daemon,
    /// `-P`.
    pub packet_in_format: Option<String>,
}

fn defaults() -> Options {
    Options {
        versions: Versions::ALL,
        formats: Protocols::ANY,
        strict: false,
        readd: false,
        bundle: false,
        verbosity: 0,
        timestamp: false,
        names: None,
        stats: true,
        raw: false,
        bare: false,
        sort: Vec::new(),
        timeout: None,
        unixctl: None,
        daemon: daemon::options::Daemon::default(),
        packet_in_format: None,
    }
}

fn specs() -> Vec<Spec> {
    use Arg::{No, Optional, Required};
    let mut specs = getopt::table(&[
        ("timeout", Some('t'), Required),
        ("strict", None, No),
        ("readd", None, No),
        ("flow-format", Some('F'), Required),
        ("packet-in-format", Some('P'), Required),
        ("more", Some('m'), No),
        ("timestamp", None, No),
        ("sort", None, Optional),
        ("rsort", None, Optional),
        ("names", None, No),
        ("no-names", None, No),
        ("stats", None, No),
        ("no-stats", None, No),
        ("unixctl", None, Required),
        ("help", Some('h'), No),
        ("option", Some('o'), No),
        ("bundle", None, No),
        ("color", None, Optional),
        ("raw", None, No),
        ("bare", None, No),
        ("read-only", None, No),
        ("detach", None, No),
        ("no-chdir", None, No),
        ("pidfile", None, Optional),
        ("overwrite-pidfile", None, No),
        ("monitor", None, No),
        ("user", None, Required),
        ("no-self-confinement", None, No),
        ("version", Some('V'), No),
        ("protocols", Some('O'), Required),
    ]);
    specs.extend(logging::specs());
    specs
}

fn versions(text: &str) -> Result<Versions, String> {
    let mut out = Versions::default();
    for name in text.split([',', ' ']).filter(|n| !n.is_empty()) {
        match Version::from_name(name) {
            Some(v) => out = out.with(v),
            None => return Err(format!("Unknown OpenFlow version: \"{name}\"")),
        }
    }
    Ok(out)
}

/// Why nothing is done.
pub enum Stop {
    /// It is all done.
    Done,
    /// One line, if it is not in the log already.
    Failed(Option<String>),
    /// A line of the C library's kind, which names the program as it was called.
    Usage(String),
}

impl From<String> for Stop {
    fn from(line: String) -> Stop {
        Stop::Failed(Some(line))
    }
}

/// Reads the command line.
pub fn parse(args: &[String]) -> Result<(Options, Vec<String>), Stop> {
    let mut o = defaults();
    let mut versions_given = false;
    let (given, words) = getopt::anywhere(&specs(), args).map_err(Stop::Usage)?;
    for (name, value) in given {
        let text = value.clone().unwrap_or_default();
        match name.as_str() {
            "protocols" => {
                o.versions = versions(&text)?;
                versions_given = true;
            }
            "flow-format" => {
                o.formats = Protocols::parse(&text)?;
            }
            "packet-in-format" => o.packet_in_format = Some(text),
            "timeout" => {
                let seconds = deadline::parse(&text)
                    .ok_or_else(|| format!("value {text} on -t or --timeout is invalid"))?;
                o.timeout = Some(seconds);
            }
            "strict" => o.strict = true,
            "readd" => o.readd = true,
            "bundle" => o.bundle = true,
            "more" => o.verbosity = o.verbosity.saturating_add(1),
            "timestamp" => o.timestamp = true,
            "names" => o.names = Some(true),
            "no-names" => o.names = Some(false),
            "stats" => o.stats = true,
            "no-stats" => o.stats = false,
            "raw" => o.raw = true,
            "bare" => o.bare = true,
            "sort" => o.sort.push((text, false)),
            "rsort" => o.sort.push((text, true)),
            "unixctl" => o.unixctl = value,
            "detach" => o.daemon.detach = true,
            "no-chdir" => o.daemon.no_chdir = true,
            "pidfile" => o.daemon.pidfile = Some(value.map(Into::into)),
            "overwrite-pidfile" => o.daemon.overwrite_pidfile = true,
            "monitor" => o.daemon.monitor = true,
            "user" => o.daemon.user = value,
            "help" => {
                usage();
                return Err(Stop::Done);
            }
            "option" => {
                put!("{}", getopt::list(&specs()));
                return Err(Stop::Done);
            }
            "version" => {
                say!("ovs-ofctl (Open vSwitch) 4.0.0");
                say!("OpenFlow versions 0x1:0x6");
                say!("halyard {}", env!("CARGO_PKG_VERSION"));
                return Err(Stop::Done);
            }
            other => {
                logging::apply(other, value.as_deref()).map_err(Stop::Failed)?;
            }
        }
    }
    if !versions_given {
        o.versions = Versions::only(Version::Of10);
    }
    if o.bundle {
        // Bundles came with 1.4, and with an extension in 1.3.
        let able = Protocols::OF13_UP.versions();
        if o.versions.and(able).newest().is_none() {
            o.versions = o.versions.with(Version::Of14);
        }
        o.versions = o.versions.and(able);
    }
    let by_version = Protocols::of_versions(o.versions);
    let both = o.formats.and(by_version);
    if both.is_empty() {
        let names: Vec<&str> = o.versions.iter().map(Version::name).collect();
        return Err(Stop::Failed(Some(format!(
            "None of the enabled OpenFlow versions ({}) supports any of the enabled flow formats \
             ({}).  (Use -O to enable additional OpenFlow versions or -F to enable additional flow \
             formats.)",
            names.join(", "),
            o.formats
        ))));
    }
    o.formats = both;
    o.versions = o.versions.and(both.versions());
    Ok((o, words))
}

/// Prints how to use the program.
pub fn usage() {
    let (program, commands) = (daemon::options::program_name(), super::COMMANDS);
    put!(
        "\
{program}: OpenFlow switch management utility
usage: {program} [OPTIONS] COMMAND [ARG...]

Commands for switches and files:
"
    );
    for c in commands.iter().filter(|c| !c.is_internal()) {
        say!("{}", format!("  {:<27} {}", c.name, c.usage).trim_end());
    }
    say!("\nCommands that show how messages and text are read:");
    for c in commands.iter().filter(|c| c.is_internal()) {
        say!("{}", format!("  {:<27} {}", c.name, c.usage).trim_end());
    }
    put!("{}", daemon::options::daemon_usage(&program));
    put!("{}", daemon::options::log_usage(&program));
    put!("{OPTIONS}");
}

const OPTIONS: &str = "
Other options:
  --strict                    use strict match for flow commands
  --readd                     replace flows that haven't changed
  --bundle                    send all changes in one bundle
  -F, --flow-format=FORMAT    force particular flow format
  -O, --protocols=VERSIONS    set allowed OpenFlow versions
                              (default: OpenFlow10)
  -P, --packet-in-format=FRMT force particular packet in format
  -m, --more                  be more verbose printing OpenFlow
  --timestamp                 (monitor, snoop) print timestamps
  -t, --timeout=SECS          give up after SECS seconds
  --sort[=FIELD]              sort in ascending order
  --rsort[=FIELD]             sort in descending order
  --names, --no-names         show port names or numbers
  --stats, --no-stats         show statistics, or leave them out
  --raw                       (parse-actions and the like) print bytes only
  --bare                      (compose-packet) print digits only
  --unixctl=SOCKET            override default control socket name
  --read-only, --color[=WHEN] accepted and without effect
  -o, --option                list options
  -h, --help                  display this help message
  -V, --version               display version information
";
