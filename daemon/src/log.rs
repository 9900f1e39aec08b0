//! Log lines in the original's shape, fed by `tracing`.
//!
//! A *module* is a `tracing` target; a program names its modules when it starts. A line goes to up
//! to three *destinations*, each of which has a *level* for each module and one *pattern*. All of
//! that changes while the program runs, through [`set`] and its kin, which are what `-v` and the
//! `vlog/` commands call.
//!
//! ```no_run
//! # use clock::Clock;
//! daemon::log::start("ovs-vswitchd", &["bridge", "ofproto"], &Clock::real());
//! tracing::warn!(target: "bridge", "{}: no such device", "eth7");
//! ```
//!
//! * `level`: gravity and destinations; `module`: what is shown of whom
//! * `pattern`: what a line looks like; `sink`: where it ends
//! * `limit`: statements that must not flood; `layer`: the way in from `tracing`
//! * `control`: the texts behind `vlog/*`

mod control;
mod layer;
mod level;
mod limit;
mod module;
mod pattern;
mod sink;

pub use control::{close, list, list_patterns, reopen, set, set_rate_limits};
pub use level::{Destination, Level};
pub use limit::RateLimit;

use clock::{Clock, Time};
use module::{Module, Modules};
use sink::{LogFile, Syslog};
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Modules of this room, which every program has.
const OWN_MODULES: [&str; 10] = [
    "backtrace",
    "coverage",
    "daemon_unix",
    "fatal_signal",
    "jsonrpc",
    "memory",
    "reconnect",
    "stream_unix",
    "unixctl",
    "vlog",
];

/// The facility of the system's log until `FACILITY` sets one: `daemon`.
const FACILITY_DAEMON: u8 = 3;

/// The facility that a pattern's `%B` shows until then.
const FACILITY_LOCAL0: u8 = 16;

static LOG: OnceLock<Log> = OnceLock::new();

thread_local! {
    static LINES: Cell<u32> = const { Cell::new(0) };
    static SUBPROGRAM: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// All that logging knows.
struct Log {
    program: String,
    clock: Clock,
    started: Time,
    modules: Modules,
    sinks: Mutex<Sinks>,
}

struct Sinks {
    patterns: [String; 3],
    file: LogFile,
    syslog: Option<Syslog>,
    /// The second collector, of `--syslog-target`.
    target: Option<UdpSocket>,
    /// None until `FACILITY` sets one.
    facility: Option<u8>,
}

impl Sinks {
    fn pattern(&self, destination: Destination) -> &str {
        match destination {
            Destination::Syslog => &self.patterns[0],
            Destination::Console => &self.patterns[1],
            Destination::File => &self.patterns[2],
        }
    }

    fn syslog(&mut self) -> &mut Syslog {
        self.syslog.get_or_insert_with(|| {
            std::env::var("OVS_SYSLOG_METHOD")
                .ok()
                .filter(|m| !m.is_empty())
                .and_then(|m| Syslog::from_method(&m))
                .unwrap_or(Syslog::Local(None))
        })
    }
}

/// Starts logging for `program`, whose modules are `modules` beside this room's own, and takes
/// `tracing`'s events from here on. Only the first call of a process counts.
pub fn start(program: &str, modules: &[&str], clock: &Clock) {
    let log = LOG.get_or_init(|| Log {
        program: program.to_string(),
        clock: clock.clone(),
        started: clock.now(),
        modules: Modules::default(),
        sinks: Mutex::new(Sinks {
            patterns: Destination::ALL.map(|d| d.default_pattern().to_string()),
            file: LogFile::default(),
            syslog: None,
            target: None,
            facility: None,
        }),
    });
    for name in OWN_MODULES.iter().chain(modules) {
        log.modules.get(name);
    }
    layer::install();
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        line(
            "panic",
            Level::Err,
            &text.replace(":\n", ": ").replace('\n', " "),
        );
    }));
}

fn current() -> Option<&'static Log> {
    LOG.get()
}

/// The name that [`start`] was given; before that, the name of the executable.
pub fn program() -> String {
    match current() {
        Some(log) => log.program.clone(),
        None => crate::options::program_name(),
    }
}

impl Log {
    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn module(&self, name: &str) -> Arc<Module> {
        self.modules.get(name)
    }

    fn running_ms(&self) -> u64 {
        self.clock
            .now()
            .as_millis()
            .saturating_sub(self.started.as_millis())
    }

    /// Whether any destination shows lines of `module` at `level`.
    fn enabled(&self, module: &Module, level: Level) -> bool {
        Destination::ALL
            .into_iter()
            .any(|d| module.level(d) >= level)
    }

    fn write(&self, module: &Module, level: Level, message: &str) {
        let shown = |d| module.level(d) >= level;
        let mut sinks = self.sinks();
        let to_file = shown(Destination::File) && sinks.file.file.is_some();
        if !(shown(Destination::Console) || shown(Destination::Syslog) || to_file) {
            return;
        }
        let subprogram = subprogram();
        let number = LINES.with(|n| {
            n.set(n.get().wrapping_add(1));
            n.get()
        });
        let line = pattern::Line {
            program: &self.program,
            module: &module.name,
            subprogram: &subprogram,
            level,
            message,
            number,
            wall_ms: self.clock.wall_ms(),
            running_ms: self.running_ms(),
            facility: sinks.facility.unwrap_or(FACILITY_LOCAL0),
        };
        if shown(Destination::Console) {
            let mut text = pattern::format(sinks.pattern(Destination::Console), &line);
            text.push('\n');
            let _ = io::stderr().write_all(text.as_bytes());
        }
        if shown(Destination::Syslog) {
            let text = pattern::format(sinks.pattern(Destination::Syslog), &line);
            let stamp = pattern::format("%d{%b %e %H:%M:%S}", &line);
            let priority = sinks.facility.unwrap_or(FACILITY_DAEMON) * 8 + level.severity();
            for part in text.split('\n').filter(|part| !part.is_empty()) {
                sinks.syslog().send(priority, &stamp, &self.program, part);
            }
            if let Some(target) = &sinks.target {
                let template = "<%B>1 %D{%Y-%m-%dT%H:%M:%S.###Z} %E %A %P %c - \u{feff}%m";
                let _ = target.send(pattern::format(template, &line).as_bytes());
            }
        }
        if to_file {
            let mut text = pattern::format(sinks.pattern(Destination::File), &line);
            text.push('\n');
            sinks.file.write(&text);
        }
    }

    /// Closes the log file and opens `name` instead (none = only closes), saying so in both.
    fn set_file(&self, name: Option<PathBuf>) -> io::Result<()> {
        let vlog = self.module("vlog");
        let fresh = match &name {
            None => None,
            Some(name) => Some(LogFile::open(name).inspect_err(|e| {
                let text = format!(
                    "failed to open {} for logging: {}",
                    name.display(),
                    reason(e)
                );
                self.write(&vlog, Level::Warn, &text);
            })?),
        };
        {
            let sinks = self.sinks();
            let same = match (&fresh, &sinks.file.file) {
                (None, None) => true,
                (Some(fresh), Some(_)) => sinks.file.is(fresh),
                _ => false,
            };
            if same {
                return Ok(());
            }
        }
        if self.sinks().file.file.is_some() {
            self.write(&vlog, Level::Info, "closing log file");
        }
        let shown = name
            .as_ref()
            .map_or("(null)".into(), |n| n.display().to_string());
        self.sinks().file = LogFile { name, file: fresh };
        crate::process::log_file_changed(file_descriptor());
        self.write(&vlog, Level::Info, &format!("opened log file {shown}"));
        Ok(())
    }
}

/// Logs one line of `module` at `level`; for levels that `tracing` has no word for, and for
/// [`limited!`](crate::limited).
pub fn line(module: &str, level: Level, message: &str) {
    if let Some(log) = current() {
        log.write(&log.module(module), level, message);
    }
}

/// Logs `message` at `EMER`, says `PROGRAM: MESSAGE` on standard error, removes what
/// [`process`](crate::process) has to remove, and exits with 1.
pub fn fatal(module: &str, message: &str) -> ! {
    if let Some(log) = current() {
        let module = log.module(module);
        // The line below is on the same terminal; once is enough.
        module.set_level(Destination::Console, Level::Off);
        log.write(&module, Level::Emer, message);
    }
    complain(message);
    crate::process::exit(1)
}

/// Says `PROGRAM: MESSAGE` on standard error, as the original's programs do.
pub fn complain(message: &str) {
    let subprogram = subprogram();
    let program = program();
    if subprogram.is_empty() {
        eprintln!("{program}: {message}");
    } else {
        eprintln!("{program}({subprogram}): {message}");
    }
}

/// What the C library calls an error, without Rust's `(os error N)`.
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_string()
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => "End of file".into(),
        None => error.to_string(),
    }
}

/// Names the calling thread in its log lines, `module(NAME)`; none = as the thread is called, and
/// nothing on the main thread.
pub fn set_subprogram(name: Option<&str>) {
    SUBPROGRAM.with(|cell| *cell.borrow_mut() = name.map(str::to_string));
}

fn subprogram() -> String {
    SUBPROGRAM.with(|cell| match &*cell.borrow() {
        Some(name) => name.clone(),
        None => std::thread::current()
            .name()
            .filter(|&name| name != "main")
            .unwrap_or_default()
            .to_string(),
    })
}

/// Logs to `name`, or to `LOGDIR/PROGRAM.log`.
///
/// # Errors
/// The file cannot be opened; a line says so, and the old file stays in use.
pub fn set_file(name: Option<&Path>) -> io::Result<()> {
    let Some(log) = current() else { return Ok(()) };
    let name = match name {
        Some(name) => name.to_path_buf(),
        None => default_file(),
    };
    log.set_file(Some(name))
}

/// `LOGDIR/PROGRAM.log`.
pub fn default_file() -> PathBuf {
    crate::dirs::logdir().join(format!("{}.log", program()))
}

/// The log file, if there is one.
pub fn file() -> Option<PathBuf> {
    current().and_then(|log| log.sinks().file.name.clone())
}

/// How lines reach the system's log: `null`, `libc`, `unix:FILE`, `udp:IP[:PORT]`. The first
/// method set stays.
///
/// # Errors
/// An unknown method, as one line.
pub fn set_syslog_method(method: &str) -> Result<(), String> {
    let Some(log) = current() else { return Ok(()) };
    let mut sinks = log.sinks();
    if sinks.syslog.is_none() {
        let syslog = Syslog::from_method(method)
            .ok_or_else(|| format!("unsupported syslog method '{method}'"))?;
        sinks.syslog = Some(syslog);
    }
    Ok(())
}

/// Also sends the system log's lines, in RFC 5424's form, to `IP[:PORT]` over UDP.
pub fn set_syslog_target(target: &str) {
    let Some(log) = current() else { return };
    log.sinks().target = sink::udp(target);
    let text = "--syslog-target flag is deprecated, use --syslog-method instead";
    log.write(&log.module("vlog"), Level::Warn, text);
}

/// Closes the log file and gives its name, so that a process that only waits does not hold it;
/// [`set_file`] opens it again.
pub(crate) fn pause_file() -> Option<PathBuf> {
    let log = current()?;
    let name = log.sinks().file.name.clone()?;
    let _ = log.set_file(None);
    Some(name)
}

/// The log file's descriptor, for the handler of a crash; -1 = none.
pub(crate) fn file_descriptor() -> i32 {
    use std::os::fd::AsRawFd as _;
    current()
        .and_then(|log| log.sinks().file.file.as_ref().map(|f| f.as_raw_fd()))
        .unwrap_or(-1)
}
