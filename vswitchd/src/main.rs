//! `ovs-vswitchd`: the switch daemon.

mod dummy_wire;
mod nic;
mod provider;

use clock::Clock;
use daemon::{control, dirs, log, options, process};
use ovsdb::replica::{self, Replica};
use ovsdb::server::Server;
use provider::{Dummy, LocalProvider};
use std::path::PathBuf;
use vswitchd::main_loop::{self, Daemon};
use vswitchd::switch::Switch;

/// The modules whose log levels can be set.
const MODULES: &[&str] = &[
    "bridge",
    "connmgr",
    "dpif",
    "dpif_netdev",
    "fail_open",
    "jsonrpc",
    "mlx",
    "netdev",
    "netdev_dummy",
    "netdev_linux",
    "offload",
    "ofp_flow",
    "ofp_util",
    "ofproto",
    "ofproto_dpif",
    "ofproto_dpif_upcall",
    "ovsdb_idl",
    "ovsdb_jsonrpc_server",
    "ovsdb_log",
    "ovsdb_server",
    "ovsdb_storage",
    "rconn",
    "reconnect",
    "sim",
    "vconn",
    "vswitchd",
];

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    daemon: options::Daemon,
    #[command(flatten)]
    log: options::Log,
    #[command(flatten)]
    control: options::Control,
    /// Make dummy datapaths and ports; `override` = instead of all others.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "MODE")]
    enable_dummy: Option<Option<String>>,
    /// Serve a database from within, on the usual socket.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FILE")]
    embedded_db: Option<Option<PathBuf>>,
    /// Taken for the original's sake.
    #[arg(long)]
    mlockall: bool,
    /// Taken for the original's sake.
    #[arg(long)]
    disable_system: bool,
    /// Taken for the original's sake.
    #[arg(long)]
    disable_system_route: bool,
    /// Taken for the original's sake.
    #[arg(long)]
    hw_rawio_access: bool,
    /// Taken for the original's sake.
    #[arg(long)]
    dpdk: bool,
    /// Taken for the original's sake.
    #[arg(long, value_name = "LIST")]
    dummy_numa: Option<String>,
    database: Option<String>,
}

fn usage(program: &str) -> String {
    format!(
        "\
{program}: Open vSwitch daemon
usage: {program} [OPTIONS] [DATABASE]
where DATABASE is a socket on which ovsdb-server is listening
      (default: \"unix:{}/db.sock\").

Active DATABASE connection methods:
  tcp:HOST:PORT           PORT at remote HOST
  unix:FILE               Unix domain socket named FILE
{}
{}
Other options:
  --embedded-db[=FILE]    serve the database FILE from within
                          (default: {}/conf.db)
  --unixctl=SOCKET        override default control socket name
  --enable-dummy[=MODE]   make dummy datapaths and ports; MODE is
                          override (instead of all others) or system
  --dummy-numa=LIST, --mlockall, --disable-system, --disable-system-route,
  --hw-rawio-access, --dpdk
                          accepted and without effect
  -h, --help              display this help message
  -V, --version           display version information
",
        dirs::rundir().display(),
        options::daemon_usage(program),
        options::log_usage(program),
        dirs::dbdir().display(),
    )
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
    let start = process::start(&options.daemon.to_process())
        .unwrap_or_else(|e| log::fatal("daemon_unix", &e.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|e| die(&format!("cannot start ({e})")));
    runtime.block_on(serve(options, clock, start));
    drop(runtime);
    process::exit(0)
}

/// A database of our own: made if it is not there, served on the usual socket.
fn embedded(file: Option<PathBuf>, clock: &Clock) -> Result<Server, String> {
    let file = file.unwrap_or_else(|| dirs::dbdir().join("conf.db"));
    if !file.exists() {
        let schema = ovsdb::Schema::from_text(ovsdb::schema::OPEN_VSWITCH);
        let schema = schema.map_err(|e| e.to_string())?;
        let record = ovsdb::json::to_string(&schema.to_json());
        ovsdb::log::Log::create(&file, &[record]).map_err(|e| e.to_string())?;
    }
    let server = Server::new(clock.clone()).map_err(|e| e.to_string())?;
    server.set_rundir(&dirs::rundir().to_string_lossy());
    server.open_db(&file).map_err(|e| e.to_string())?;
    server.add_remote(&format!(
        "punix:{}",
        dirs::rundir().join("db.sock").display()
    ))?;
    Ok(server)
}

/// What `ovs-vsctl init` would do: there is one root row.
async fn ensure_root(replica: &mut Replica) {
    replica.synced().await;
    if replica.view().rows("Open_vSwitch").next().is_none() {
        let mut txn = replica.txn();
        txn.insert("Open_vSwitch");
        txn.commit().await;
    }
}

async fn serve(options: Options, clock: Clock, start: process::Start) {
    let dummy = match &options.enable_dummy {
        None => Dummy::Off,
        Some(mode) => match mode.as_deref() {
            None | Some("") => Dummy::On,
            Some("override") => Dummy::Override,
            Some("system") => Dummy::System,
            Some(other) => die(&format!("{other}: unknown --enable-dummy mode")),
        },
    };
    if dummy != Dummy::Off {
        openflow::action::decode::allow_debug_actions();
    }
    let (mut remote, server) = match options.embedded_db {
        Some(file) => {
            let server = embedded(file, &clock).unwrap_or_else(|e| die(&e));
            (
                replica::Options::embedded(&server, "Open_vSwitch"),
                Some(server),
            )
        }
        None => {
            let default = format!("unix:{}", dirs::rundir().join("db.sock").display());
            let remote = options.database.unwrap_or(default);
            (replica::Options::new(&remote, "Open_vSwitch"), None)
        }
    };
    for table in main_loop::watched() {
        remote = remote.table(table, None);
    }
    remote.lock = Some("ovs_vswitchd".into());
    let commands = control::Commands::new();
    main_loop::register(&commands);
    let name = options.control.unixctl.as_deref();
    let (control, calls) =
        control::serve(name, commands, &clock).unwrap_or_else(|e| die(&e.to_string()));
    let mut replica = Replica::start(clock.clone(), remote).unwrap_or_else(|e| die(&e));
    let provider = LocalProvider::new(clock.clone(), dummy);
    let switch = Switch::new(clock.clone(), Box::new(provider));
    tracing::info!(target: "vswitchd", "ovs-vswitchd (Open vSwitch) {}", options::OVS_VERSION);
    let running = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = running.clone();
    let on_ready = Box::new(move || *keep.borrow_mut() = Some(start.ready()));
    let with_server = server.is_some();
    let work = async {
        if with_server {
            ensure_root(&mut replica).await;
        }
        Daemon::new(switch, replica, calls, on_ready).run().await;
    };
    match server {
        Some(server) => {
            tokio::select! {
                () = server.run() => {}
                () = work => {}
            }
            server.stop();
            tokio::task::yield_now().await;
        }
        None => work.await,
    }
    control.close().await;
}
