//! `ovsdb-client`: what one can ask of a database server.
//!
//! Files: `commands` those with an answer; `monitor` those that go on, `backup` whole databases out
//! and in; `rpc` the connection; `table` how answers look; `usage` the help.

mod backup;
mod commands;
mod monitor;
mod rpc;
pub mod table;
mod usage;

use crate::deadline;
use crate::detach::Background;
use crate::getopt::{self, Arg};
use clock::Clock;
use daemon::options as common;
use rpc::Rpc;
use std::path::PathBuf;
use table::{Printer, Style, Table};

/// What went wrong, for one line on standard error.
pub type Failure = String;

const OPTIONS: &[(&str, Option<char>, Arg)] = &[
    ("help", Some('h'), Arg::No),
    ("version", Some('V'), Arg::No),
    ("timestamp", None, Arg::No),
    ("force", None, Arg::No),
    ("timeout", Some('t'), Arg::Required),
    ("db-change-aware", None, Arg::No),
    ("no-db-change-aware", None, Arg::No),
    ("leader-only", None, Arg::No),
    ("no-leader-only", None, Arg::No),
    ("verbose", Some('v'), Arg::Optional),
    ("log-file", None, Arg::Optional),
    ("syslog-method", None, Arg::Required),
    ("syslog-target", None, Arg::Required),
    ("detach", None, Arg::No),
    ("no-chdir", None, Arg::No),
    ("pidfile", None, Arg::Optional),
    ("overwrite-pidfile", None, Arg::No),
    ("monitor", None, Arg::No),
    ("user", None, Arg::Required),
    ("format", Some('f'), Arg::Required),
    ("data", Some('d'), Arg::Required),
    ("no-headings", None, Arg::No),
    ("pretty", None, Arg::No),
    ("bare", None, Arg::No),
    ("max-column-width", None, Arg::Required),
];

/// What the options and the first words say.
pub struct Session {
    style: Style,
    printer: Printer,
    timestamp: bool,
    force: bool,
    /// Whether to say that we know of databases coming and going; none = if the server does.
    db_change_aware: Option<bool>,
    rundir: String,
    clock: Clock,
    background: Background,
}

impl Session {
    fn print(&mut self, table: &Table) {
        put!("{}", self.printer.print(table, &self.style));
    }

    fn stamp(&self) -> Option<String> {
        let ms = i64::try_from(self.clock.wall_ms()).ok()?;
        let date = chrono::DateTime::from_timestamp_millis(ms).filter(|_| self.timestamp)?;
        Some(date.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
    }

    fn default_remote(&self) -> String {
        format!("unix:{}/db.sock", self.rundir)
    }

    async fn set_db_change_aware(&self, rpc: &mut Rpc) -> Result<(), Failure> {
        if self.db_change_aware == Some(false) {
            return Ok(());
        }
        let reply = rpc
            .call("set_db_change_aware", serde_json::json!([true]))
            .await
            .map_err(|why| format!("{}: error setting db_change_aware ({why})", rpc.name))?;
        match reply {
            Err(error) if self.db_change_aware == Some(true) => Err(format!(
                "{}: set_db_change_aware failed ({})",
                rpc.name,
                ovsdb::json::to_string(&error)
            )),
            _ => Ok(()),
        }
    }
}

/// Runs the tool; answers its exit code.
pub fn run(words: impl IntoIterator<Item = String>) -> u8 {
    match try_run(words) {
        Ok(()) => 0,
        Err(why) if why.is_empty() => 1,
        Err(why) => {
            eprintln!("ovsdb-client: {why}");
            1
        }
    }
}

fn try_run(words: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let words: Vec<String> = words.into_iter().collect();
    let (options, words) = match getopt::anywhere(&getopt::table(OPTIONS), &words) {
        Ok(parsed) => parsed,
        Err(line) => {
            getopt::complain(&line);
            return Err(String::new());
        }
    };
    let rundir = match std::env::var("OVS_RUNDIR") {
        Ok(dir) if !dir.is_empty() => dir,
        _ => "/var/run/openvswitch".to_owned(),
    };
    let mut session = Session {
        style: Style::default(),
        printer: Printer::default(),
        timestamp: false,
        force: false,
        db_change_aware: None,
        rundir,
        clock: Clock::real(),
        background: Background::default(),
    };
    let mut daemon = common::Daemon::default();
    let mut log = common::Log::default();
    let mut timeout = None;
    for (name, value) in options {
        match name.as_str() {
            "help" => {
                usage::print(&session.default_remote());
                return Ok(());
            }
            "version" => {
                say!("ovsdb-client (Open vSwitch) 4.0.0");
                say!("halyard {}", env!("CARGO_PKG_VERSION"));
                return Ok(());
            }
            "timestamp" => session.timestamp = true,
            "force" => session.force = true,
            "db-change-aware" => session.db_change_aware = Some(true),
            "no-db-change-aware" => session.db_change_aware = Some(false),
            "timeout" => {
                let value = value.unwrap_or_default();
                let seconds = deadline::parse(&value)
                    .ok_or_else(|| format!("value {value} on -t or --timeout is invalid"))?;
                timeout = Some(seconds);
            }
            "detach" => daemon.detach = true,
            "no-chdir" => daemon.no_chdir = true,
            "overwrite-pidfile" => daemon.overwrite_pidfile = true,
            "monitor" => daemon.monitor = true,
            "user" => daemon.user = value,
            "pidfile" => daemon.pidfile = Some(value.map(PathBuf::from)),
            "verbose" => log.verbose.push(value.unwrap_or_default()),
            "log-file" => log.log_file = Some(value.map(PathBuf::from)),
            "syslog-method" => log.syslog_method = value,
            "syslog-target" => log.syslog_target = value,
            name => {
                session.style.option(name, value.as_deref())?;
            }
        }
    }
    let Some((command, args)) = words.split_first() else {
        return Err("missing command name; use --help for help".to_owned());
    };
    daemon::log::start(
        "ovsdb-client",
        &["jsonrpc", "ovsdb_client", "reconnect", "timeval"],
        &session.clock,
    );
    log.apply_or_exit();
    if commands::may_detach(command) {
        session.background = Background::start(&daemon)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    deadline::arm(timeout, &session.clock);
    runtime.block_on(commands::run(&mut session, command, args))
}
