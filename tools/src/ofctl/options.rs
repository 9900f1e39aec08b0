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
    /// `--sort` and `--rsort`: field and whether downward.
    pub sort: Vec<(String, bool)>,
    /// `-t`.
    pub timeout: Option<u32>,
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
        sort: Vec::new(),
        timeout: None,
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
            None => return Err(format!("{name}: unknown OpenFlow version")),
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
            "sort" => o.sort.push((text, false)),
            "rsort" => o.sort.push((text, true)),
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
    say!("ovs-ofctl: OpenFlow switch management utility");
    say!("usage: ovs-ofctl [OPTIONS] COMMAND [ARG...]");
    say!();
    say!("For OpenFlow switches:");
    for c in super::COMMANDS.iter().filter(|c| !c.usage.is_empty()) {
        say!("  {} {}", c.name, c.usage);
    }
    say!();
    say!("Other options:");
    say!("  --strict                    use strict match for flow commands");
    say!("  --readd                     replace flows that haven't changed");
    say!("  -F, --flow-format=FORMAT    force particular flow format");
    say!("  -O, --protocols             set allowed OpenFlow versions");
    say!("  -m, --more                  be more verbose printing OpenFlow");
    say!("  --timestamp                 (monitor, snoop) print timestamps");
    say!("  -t, --timeout=SECS          give up after SECS seconds");
    say!("  --sort[=field]              sort in ascending order");
    say!("  --rsort[=field]             sort in descending order");
    say!("  --names, --no-names         show port names or numbers");
    say!("  --no-stats                  leave out statistics");
    say!("  -h, --help                  display this help message");
    say!("  -V, --version               display version information");
}
