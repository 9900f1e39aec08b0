//! How grave a line is, and where lines go.

/// The gravity of a log line; a destination shows a line if the line's level is at most its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing is shown. Only ever the level of a destination.
    Off,
    /// The program cannot go on.
    Emer,
    /// An operation failed in a way that someone must look at.
    Err,
    /// Something that need not be fatal went wrong.
    Warn,
    /// A change worth a line in a log file.
    Info,
    /// For whoever debugs.
    Dbg,
}

impl Level {
    /// All levels, the quietest first.
    pub const ALL: [Level; 6] = [
        Level::Off,
        Level::Emer,
        Level::Err,
        Level::Warn,
        Level::Info,
        Level::Dbg,
    ];

    /// The word in log lines and in `vlog/list`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "OFF",
            Level::Emer => "EMER",
            Level::Err => "ERR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Dbg => "DBG",
        }
    }

    /// The level of that name, in any case.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL
            .into_iter()
            .find(|l| l.name().eq_ignore_ascii_case(name))
    }

    /// The severity of RFC 5424 section 6.2.1.
    pub fn severity(self) -> u8 {
        match self {
            Level::Off | Level::Emer => 1,
            Level::Err => 3,
            Level::Warn => 4,
            Level::Info => 5,
            Level::Dbg => 7,
        }
    }

    pub(crate) fn from_u8(n: u8) -> Level {
        Level::ALL
            .get(usize::from(n))
            .copied()
            .unwrap_or(Level::Dbg)
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Level {
        match level {
            tracing::Level::ERROR => Level::Err,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Dbg,
        }
    }
}

/// A place that lines go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The system's log.
    Syslog,
    /// Standard error.
    Console,
    /// The file of `--log-file`.
    File,
}

impl Destination {
    /// All destinations, in the order of `vlog/list-pattern`.
    pub const ALL: [Destination; 3] =
        [Destination::Syslog, Destination::Console, Destination::File];

    /// The word in `vlog/set` and `vlog/list-pattern`.
    pub fn name(self) -> &'static str {
        match self {
            Destination::Syslog => "SYSLOG",
            Destination::Console => "CONSOLE",
            Destination::File => "FILE",
        }
    }

    /// The destination of that name, in any case.
    pub fn from_name(name: &str) -> Option<Destination> {
        Destination::ALL
            .into_iter()
            .find(|d| d.name().eq_ignore_ascii_case(name))
    }

    /// What lines look like until somebody sets another pattern.
    pub fn default_pattern(self) -> &'static str {
        match self {
            Destination::Syslog => "ovs|%05N|%c%T|%p|%m",
            Destination::Console => "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m",
            Destination::File => "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
        }
    }
}

/// The names of the facilities of RFC 5424 section 6.2.1, by number; two are called `clock`, as in
/// the original.
pub(crate) fn facility_from_name(name: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 23] = [
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("clock", 9),
        ("ftp", 11),
        ("ntp", 12),
        ("audit", 13),
        ("alert", 14),
        ("clock2", 15),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
    NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|&(_, number)| number)
}
