//! `ovsdb-server`: the database server by itself.

use clock::Clock;
use daemon::{control, dirs, log, options, process};
use ovsdb::server::{self, Server};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// The modules whose log levels can be set.
const MODULES: &[&str] = &[
    "jsonrpc",
    "ovsdb_file",
    "ovsdb_jsonrpc_server",
    "ovsdb_log",
    "ovsdb_server",
    "ovsdb_storage",
    "reconnect",
    "socket_util",
    "timeval",
];

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    daemon: options::Daemon,
    #[command(flatten)]
    log: options::Log,
    #[command(flatten)]
    control: options::Control,
    /// Connect or listen.
    #[arg(long)]
    remote: Vec<String>,
    /// Run a command, then exit.
    #[arg(long)]
    run: Option<String>,
    /// Do not add the default database.
    #[arg(long)]
    no_dbs: bool,
    /// Taken for the original's sake: differences are read in any case.
    #[arg(long)]
    disable_file_column_diff: bool,
    /// Taken for the original's sake.
    #[arg(long)]
    disable_file_no_data_conversion: bool,
    databases: Vec<PathBuf>,
}

fn usage(program: &str) -> String {
    format!(
        "\
{program}: Open vSwitch database server
usage: {program} [OPTIONS] [DATABASE...]
where each DATABASE is a database file in ovsdb format.
The default DATABASE, if none is given, is
{}/conf.db.

JSON-RPC options (may be specified any number of times):
  --remote=REMOTE         connect or listen to REMOTE

Active JSON-RPC connection methods:
  tcp:HOST:PORT           PORT at remote HOST
  unix:FILE               Unix domain socket named FILE
Passive JSON-RPC connection methods:
  ptcp:PORT[:IP]          listen to TCP PORT on IP
  punix:FILE              listen on Unix domain socket FILE
{}{}
Other options:
  --run COMMAND           run COMMAND as subprocess then exit
  --unixctl=SOCKET        override default control socket name
  --no-dbs                do not add default database
  --disable-file-column-diff
                          don't use column diff in database file
  --disable-file-no-data-conversion
                          accepted and without effect
  -h, --help              display this help message
  -V, --version           display version information
",
        dirs::dbdir().display(),
        options::daemon_usage(program),
        options::log_usage(program),
    )
}

/// What `ovs-appctl` added and removed, kept outside of the process so that the one after a crash
/// goes on with it.
struct Memory(File);

impl Memory {
    fn new() -> std::io::Result<Memory> {
        let file = rustix::fs::memfd_create("ovsdb-server", rustix::fs::MemfdFlags::empty())?;
        Ok(Memory(File::from(file)))
    }

    fn note(&self, server: &Server) {
        let files: Vec<PathBuf> = server.with_core(|core| {
            let names = core.db_names();
            names.iter().filter_map(|n| core.db_file(n)).collect()
        });
        let state = serde_json::json!({"databases": files, "remotes": server.list_remotes()});
        let text = state.to_string();
        let written = self
            .0
            .set_len(0)
            .and_then(|()| self.0.write_all_at(text.as_bytes(), 0));
        if let Err(e) = written {
            tracing::warn!(target: "ovsdb_server", "failed to save configuration ({e})");
        }
    }

    fn recall(&self) -> Option<(Vec<PathBuf>, Vec<String>)> {
        let size = usize::try_from(self.0.metadata().ok()?.len()).ok()?;
        let mut text = vec![0; size];
        self.0.read_exact_at(&mut text, 0).ok()?;
        let state: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let list = |name: &str| -> Option<Vec<String>> {
            serde_json::from_value(state.get(name)?.clone()).ok()
        };
        let databases = list("databases")?.into_iter().map(PathBuf::from).collect();
        Some((databases, list("remotes")?))
    }
}

fn die(why: &str) -> ! {
    log::complain(why);
    process::exit(1)
}

fn main() {
    let clock = Clock::real();
    let options: Options = options::parse(usage, &[]);
    log::start(&options::program_name(), MODULES, &clock);
    options.log.apply_or_exit();
    // Outlives the daemon when a monitor restarts it.
    let memory =
        Memory::new().unwrap_or_else(|e| die(&format!("failed to create temporary file ({e})")));
    let start = process::start(&options.daemon.to_process())
        .unwrap_or_else(|e| log::fatal("daemon_unix", &e.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|e| die(&format!("cannot start ({e})")));
    let code = runtime.block_on(serve(options, clock, start, memory));
    drop(runtime);
    process::exit(code)
}

async fn serve(options: Options, clock: Clock, start: process::Start, memory: Memory) -> i32 {
    let server = Server::new(clock.clone()).unwrap_or_else(|e| die(&e.to_string()));
    server.set_rundir(&dirs::rundir().to_string_lossy());
    let (databases, remotes) = memory.recall().unwrap_or_else(|| {
        let mut databases = options.databases.clone();
        if databases.is_empty() && !options.no_dbs {
            databases.push(dirs::dbdir().join("conf.db"));
        }
        (databases, options.remote.clone())
    });
    for database in databases {
        if let Err(error) = server.open_db(&database) {
            die(&error.to_string());
        }
    }
    for remote in &remotes {
        if let Err(why) = server.add_remote(remote) {
            die(&why);
        }
    }
    let commands = control::Commands::new();
    commands.register("exit", "", 0, 0);
    commands.register("memory/show", "", 0, 0);
    server::register_calls(&commands);
    let name = options.control.unixctl.as_deref();
    let (_control, mut calls) =
        control::serve(name, commands, &clock).unwrap_or_else(|e| die(&e.to_string()));
    server.listening().await;
    let mut child = options.run.as_ref().map(|command| {
        tokio::task::spawn_blocking({
            let command = command.clone();
            move || {
                std::process::Command::new("/bin/sh")
                    .arg("-c")
                    .arg(command)
                    .status()
            }
        })
    });
    let _running = start.ready();
    if child.is_none() {
        tracing::info!(target: "ovsdb_server", "ovsdb-server (Open vSwitch) {}", options::OVS_VERSION);
    }
    let ended = async {
        match &mut child {
            Some(child) => child.await,
            None => std::future::pending().await,
        }
    };
    memory.note(&server);
    let code = tokio::select! {
        () = server.run() => 0,
        () = answer_calls(&server, &mut calls, &memory) => 0,
        ended = ended => match ended {
            Ok(Ok(status)) => exit_code(status),
            _ => 1,
        },
    };
    server.stop();
    // The tasks that hold the sockets end at the runtime's next turn.
    tokio::task::yield_now().await;
    code
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    }
}

/// Answers calls until one of them is `exit`.
async fn answer_calls(
    server: &Server,
    calls: &mut tokio::sync::mpsc::Receiver<control::Invocation>,
    memory: &Memory,
) {
    while let Some(call) = calls.recv().await {
        let Some(call) = server::handle_call(server, call) else {
            memory.note(server);
            continue;
        };
        match call.name.as_str() {
            "exit" => {
                call.reply.ok("");
                // Whoever asked is answered before the socket goes.
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                return;
            }
            "memory/show" => {
                let report = server.with_core(|core| core.memory());
                let numbers = [
                    ("atoms", report.atoms),
                    ("backlog", report.backlog),
                    ("cells", report.cells),
                    ("monitors", report.monitors),
                    ("sessions", report.sessions),
                    ("triggers", report.triggers),
                ];
                let used = numbers.into_iter().filter(|(_, n)| *n > 0);
                let used: Vec<(String, u64)> = used
                    .map(|(name, n)| (name.to_owned(), u64::try_from(n).unwrap_or(u64::MAX)))
                    .collect();
                call.reply.ok(daemon::memory::report(&used) + "\n");
            }
            name => {
                let why = format!("\"{name}\" is not a valid command");
                call.reply.error(why);
            }
        }
    }
}
