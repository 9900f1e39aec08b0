//! Options that every program has, and the original's words for wrong ones.
//!
//! ```no_run
//! #[derive(clap::Parser)]
//! struct Options {
//!     #[command(flatten)]
//!     daemon: daemon::options::Daemon,
//!     #[command(flatten)]
//!     log: daemon::options::Log,
//!     #[command(flatten)]
//!     control: daemon::options::Control,
//!     databases: Vec<std::path::PathBuf>,
//! }
//! let options: Options = daemon::options::parse(|program| format!("usage: {program}\n"), &[]);
//! ```

use crate::{dirs, log, process};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// The version of the original that we are like.
pub const OVS_VERSION: &str = "4.0.0";

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the program becomes a daemon; ovs-vswitchd(8), "Daemon Options".
#[derive(Args, Clone, Debug, Default)]
pub struct Daemon {
    /// Run in the background.
    #[arg(long)]
    pub detach: bool,
    /// Do not change to `/` when running in the background.
    #[arg(long)]
    pub no_chdir: bool,
    /// Make a pid file, `RUNDIR/PROGRAM.pid` unless named.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FILE")]
    pub pidfile: Option<Option<PathBuf>>,
    /// Replace the pid file of a process that runs.
    #[arg(long)]
    pub overwrite_pidfile: bool,
    /// Restart the daemon when it crashes.
    #[arg(long)]
    pub monitor: bool,
    /// Become another user.
    #[arg(long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Taken for the original's sake.
    #[arg(long)]
    pub no_self_confinement: bool,
}

impl Daemon {
    /// The same, for [`process::start`].
    pub fn to_process(&self) -> process::Options {
        let pidfile = self.pidfile.as_ref().map(|name| match name {
            Some(name) => dirs::absolute(&dirs::rundir(), name),
            None => dirs::rundir().join(format!("{}.pid", log::program())),
        });
        process::Options {
            pidfile,
            overwrite_pidfile: self.overwrite_pidfile,
            detach: self.detach,
            no_chdir: self.no_chdir,
            monitor: self.monitor,
            user: self.user.clone(),
            access_datapath: false,
        }
    }
}

/// What is logged where; ovs-vswitchd(8), "Logging Options".
#[derive(Args, Clone, Debug, Default)]
pub struct Log {
    /// Set levels or patterns; without a value, show everything.
    #[arg(short = 'v', long, num_args = 0..=1, require_equals = true, value_name = "SPEC",
          default_missing_value = "", action = ArgAction::Append)]
    pub verbose: Vec<String>,
    /// Log to a file, `LOGDIR/PROGRAM.log` unless named.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FILE")]
    pub log_file: Option<Option<PathBuf>>,
    /// How to reach the system's log.
    #[arg(long, value_name = "METHOD")]
    pub syslog_method: Option<String>,
    /// Another collector, by UDP.
    #[arg(long, value_name = "HOST:PORT")]
    pub syslog_target: Option<String>,
}

impl Log {
    /// Puts the options into effect.
    ///
    /// # Errors
    /// One line; none if a line on the console has said it already.
    pub fn apply(&self) -> Result<(), Option<String>> {
        if let Some(method) = &self.syslog_method {
            log::set_syslog_method(method).map_err(Some)?;
        }
        for spec in &self.verbose {
            let full = if spec.is_empty() { "any:any:dbg" } else { spec };
            log::set(full).map_err(|e| Some(format!("processing \"{spec}\": {e}")))?;
        }
        if let Some(target) = &self.syslog_target {
            log::set_syslog_target(target);
        }
        match &self.log_file {
            Some(Some(name)) => log::set_file(Some(name)).map_err(|_| None),
            // Without a name, the place may not be there, and that is no reason to stop.
            Some(None) => {
                let _ = log::set_file(None);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// As [`Log::apply`]; says what is wrong and exits with 1.
    pub fn apply_or_exit(&self) {
        if let Err(text) = self.apply() {
            if let Some(text) = text {
                log::complain(&text);
            }
            process::exit(1);
        }
    }
}

/// Where the control socket is.
#[derive(Args, Clone, Debug, Default)]
pub struct Control {
    /// The control socket's file, or `none`; `RUNDIR/PROGRAM.PID.ctl` unless given.
    #[arg(long, value_name = "SOCKET")]
    pub unixctl: Option<String>,
}

/// The name by which the program was called, without its directory.
pub fn program_name() -> String {
    let name = std::env::args_os().next().map(PathBuf::from);
    name.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "daemon".into())
}

/// The text of `--version`: the original's line, `more` lines of its kind, and ours.
pub fn version_text(program: &str, more: &[&str]) -> String {
    let mut text = format!("{program} (Open vSwitch) {OVS_VERSION}\n");
    for line in more {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("halyard {VERSION}\n"));
    text
}

/// The part of `--help` about [`Daemon`].
pub fn daemon_usage(program: &str) -> String {
    format!(
        "
Daemon options:
  --detach                run in background as daemon
  --monitor               creates a process to monitor this daemon
  --user=username[:group] changes the effective daemon user:group
  --no-chdir              do not chdir to '/'
  --pidfile[=FILE]        create pidfile (default: {}/{program}.pid)
  --overwrite-pidfile     with --pidfile, start even if already running
  --no-self-confinement   accepted and without effect
",
        dirs::rundir().display()
    )
}

/// The part of `--help` about [`Log`].
pub fn log_usage(program: &str) -> String {
    format!(
        "
Logging options:
  -vSPEC, --verbose=SPEC   set logging levels
  -v, --verbose            set maximum verbosity level
  --log-file[=FILE]        enable logging to specified FILE
                           (default: {}/{program}.log)
  --syslog-method=(libc|unix:file|udp:ip:port)
                           specify how to send messages to syslog daemon
  --syslog-target=HOST:PORT  also send syslog msgs to HOST:PORT via UDP
",
        dirs::logdir().display()
    )
}

/// Reads the command line. `--help` prints what `usage` makes of the program's name, `--version`
/// prints [`version_text`] with `more` lines; both exit with 0. A wrong option exits with 1 and
/// says so as the C library does.
pub fn parse<T: Parser>(usage: impl FnOnce(&str) -> String, more: &[&str]) -> T {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    rewrite_verbose(&mut args);
    match try_parse(&args) {
        Ok(options) => options,
        Err(Stop::Help) => {
            crate::put!("{}", usage(&program_name()));
            std::process::exit(0)
        }
        Err(Stop::Version) => {
            crate::put!("{}", version_text(&program_name(), more));
            std::process::exit(0)
        }
        Err(Stop::Wrong(text)) => {
            let called = args.first().map(|a| a.to_string_lossy().into_owned());
            eprintln!("{}: {text}", called.unwrap_or_default());
            std::process::exit(1)
        }
    }
}

enum Stop {
    Help,
    Version,
    Wrong(String),
}

fn try_parse<T: Parser>(args: &[OsString]) -> Result<T, Stop> {
    let command = T::command()
        .infer_long_args(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        // Clap wants a version before it takes the flag; what is printed is ours.
        .version(VERSION)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help),
        )
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version),
        );
    let matches = command
        .try_get_matches_from(args)
        .map_err(|e| explain(&e))?;
    T::from_arg_matches(&matches).map_err(|e| explain(&e))
}

/// `-vSPEC` is `--verbose=SPEC`: clap would take a value of a short option only after `=`.
fn rewrite_verbose(args: &mut [OsString]) {
    for arg in args.iter_mut().skip(1) {
        let Some(text) = arg.to_str() else { continue };
        if text == "--" {
            break;
        }
        if let Some(spec) = text.strip_prefix("-v") {
            *arg = if spec.is_empty() {
                "--verbose".into()
            } else {
                format!("--verbose={spec}").into()
            };
        }
    }
}

fn explain(error: &clap::Error) -> Stop {
    let about = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.split([' ', '=', '[']).next().map(str::to_string),
        _ => None,
    };
    let option = about(ContextKind::InvalidArg).unwrap_or_default();
    let short = option.strip_prefix('-').filter(|o| !o.starts_with('-'));
    let text = match (error.kind(), short) {
        (ErrorKind::DisplayHelp, _) => return Stop::Help,
        (ErrorKind::DisplayVersion, _) => return Stop::Version,
        (ErrorKind::UnknownArgument, Some(letter)) => format!("invalid option -- '{letter}'"),
        (ErrorKind::UnknownArgument, None) if option.starts_with('-') => {
            format!("unrecognized option '{option}'")
        }
        (ErrorKind::UnknownArgument, None) => {
            format!("unexpected argument '{option}'; use --help for usage")
        }
        (ErrorKind::InvalidValue, Some(letter))
            if error.get(ContextKind::InvalidValue).is_none_or(is_empty) =>
        {
            format!("option requires an argument -- '{letter}'")
        }
        (ErrorKind::InvalidValue, None)
            if error.get(ContextKind::InvalidValue).is_none_or(is_empty) =>
        {
            format!("option '{option}' requires an argument")
        }
        (ErrorKind::TooManyValues, _) => format!("option '{option}' doesn't allow an argument"),
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_string()
        }
    };
    Stop::Wrong(text)
}

fn is_empty(value: &ContextValue) -> bool {
    matches!(value, ContextValue::String(text) if text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    struct Options {
        #[command(flatten)]
        daemon: Daemon,
        #[command(flatten)]
        log: Log,
        #[command(flatten)]
        control: Control,
        files: Vec<String>,
    }

    fn parsed(words: &[&str]) -> Result<Options, String> {
        let mut args: Vec<OsString> = std::iter::once("x")
            .chain(words.iter().copied())
            .map(OsString::from)
            .collect();
        rewrite_verbose(&mut args);
        try_parse(&args).map_err(|stop| match stop {
            Stop::Help => "help".into(),
            Stop::Version => "version".into(),
            Stop::Wrong(text) => text,
        })
    }

    #[test]
    fn options_as_people_write_them() {
        let options = parsed(&[
            "--pidfile",
            "db",
            "-vconsole:off",
            "-v",
            "--log-f=/x",
            "--detach",
        ])
        .expect("parse");
        assert_eq!(options.daemon.pidfile, Some(None));
        assert!(options.daemon.detach && !options.daemon.monitor);
        assert_eq!(options.log.verbose, ["console:off", ""]);
        assert_eq!(options.log.log_file, Some(Some(PathBuf::from("/x"))));
        assert_eq!(options.control.unixctl, None);
        assert_eq!(options.files, ["db"]);
    }

    #[test]
    fn what_is_wrong_is_said_as_the_c_library_does() {
        let cases = [
            (vec!["--frob"], "unrecognized option '--frob'"),
            (vec!["-x"], "invalid option -- 'x'"),
            (vec!["--unixctl"], "option '--unixctl' requires an argument"),
            (
                vec!["--detach=x"],
                "option '--detach' doesn't allow an argument",
            ),
            (vec!["-h"], "help"),
            (vec!["--version"], "version"),
        ];
        for (words, expected) in cases {
            assert_eq!(parsed(&words).expect_err(expected), expected);
        }
    }

    #[test]
    fn the_version_begins_as_the_original() {
        let text = version_text("ovs-vswitchd", &[]);
        assert_eq!(
            text,
            format!("ovs-vswitchd (Open vSwitch) 4.0.0\nhalyard {VERSION}\n")
        );
    }
}
