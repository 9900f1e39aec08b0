//! The command line.

use openflow::{Protocols, Versions, version::Version};
use std::time::Duration;

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
    pub timeout: Option<Duration>,
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

static PATTERN: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// The pattern of log lines on standard error, if `-vPATTERN:console:` set one.
pub fn console_pattern() -> Option<&'static str> {
    PATTERN.get().map(String::as_str)
}

/// Long options that take a value, and the short ones that mean the same.
const VALUED: [(&str, char); 10] = [
    ("protocols", 'O'),
    ("flow-format", 'F'),
    ("packet-in-format", 'P'),
    ("timeout", 't'),
    ("log-file", '\0'),
    ("unixctl", '\0'),
    ("verbose", 'v'),
    ("pidfile", '\0'),
    ("color", '\0'),
    ("sort", '\0'),
];

const PLAIN: [&str; 22] = [
    "strict",
    "readd",
    "bundle",
    "more",
    "timestamp",
    "names",
    "no-names",
    "stats",
    "no-stats",
    "raw",
    "help",
    "version",
    "detach",
    "no-chdir",
    "monitor",
    "rsort",
    "read-only",
    "no-self-confinement",
    "overwrite-pidfile",
    "syslog-target",
    "private-key",
    "certificate",
];

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

/// Reads the command line; `None` if `--help` or `--version` was all.
pub fn parse(args: Vec<String>) -> Result<Option<(Options, Vec<String>)>, String> {
    let mut o = defaults();
    let mut words = Vec::new();
    let mut versions_given = false;
    let mut it = args.into_iter();
    while let Some(arg) = it.next() {
        if arg == "--" {
            words.extend(it.by_ref());
            break;
        }
        if arg == "-" || !arg.starts_with('-') {
            words.push(arg);
            continue;
        }
        let mut found: Vec<(String, Option<String>)> = Vec::new();
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((n, v)) => (n, Some(v.to_string())),
                None => (long, None),
            };
            let all = || VALUED.iter().map(|(n, _)| *n).chain(PLAIN);
            let exact = all().find(|n| *n == name);
            let mut by_prefix = all().filter(|n| n.starts_with(name));
            let full = exact.or_else(|| match (by_prefix.next(), by_prefix.next()) {
                (Some(one), None) => Some(one),
                _ => None,
            });
            let Some(full) = full else {
                return Err(format!("unrecognized option '--{name}'"));
            };
            let needs = matches!(
                full,
                "protocols" | "flow-format" | "packet-in-format" | "timeout" | "unixctl"
            );
            let value = match value {
                None if needs => Some(
                    it.next()
                        .ok_or_else(|| format!("option '--{full}' requires an argument"))?,
                ),
                v => v,
            };
            found.push((full.to_string(), value));
        } else {
            let mut chars = arg.chars().skip(1);
            while let Some(c) = chars.next() {
                if c == 'v' {
                    let rest: String = chars.by_ref().collect();
                    found.push(("verbose".into(), Some(rest)));
                } else if let Some((name, _)) = VALUED.iter().find(|(_, s)| *s == c) {
                    let rest: String = chars.by_ref().collect();
                    let value = if rest.is_empty() {
                        it.next()
                            .ok_or_else(|| format!("option requires an argument -- '{c}'"))?
                    } else {
                        rest
                    };
                    found.push((name.to_string(), Some(value)));
                } else {
                    let name = match c {
                        'm' => "more",
                        'h' => "help",
                        'V' => "version",
                        _ => return Err(format!("invalid option -- '{c}'")),
                    };
                    found.push((name.to_string(), None));
                }
            }
        }
        for (name, value) in found {
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
                    let seconds: u64 = text
                        .parse()
                        .ok()
                        .filter(|n| *n > 0)
                        .ok_or_else(|| format!("value {text} on -t or --timeout is invalid"))?;
                    o.timeout = Some(Duration::from_secs(seconds));
                }
                "verbose" => {
                    if let Some(pattern) = text.strip_prefix("PATTERN:console:") {
                        let _ = PATTERN.set(pattern.to_string());
                    }
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
                    return Ok(None);
                }
                "version" => {
                    say!("ovs-ofctl (Open vSwitch) 4.0.0");
                    say!("OpenFlow versions 0x1:0x6");
                    say!("halyard {}", env!("CARGO_PKG_VERSION"));
                    return Ok(None);
                }
                _ => {}
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
        return Err(format!(
            "None of the enabled OpenFlow versions ({}) supports any of the enabled flow formats \
             ({}).  (Use -O to enable additional OpenFlow versions or -F to enable additional flow \
             formats.)",
            names.join(", "),
            o.formats
        ));
    }
    o.formats = both;
    o.versions = o.versions.and(both.versions());
    Ok(Some((o, words)))
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
