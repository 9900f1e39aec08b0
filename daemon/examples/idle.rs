//! The smallest daemon: it answers its control socket, panics on `panic`, and ends on `exit`.

use clock::Clock;
use daemon::{control, log, options, process};

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    daemon: options::Daemon,
    #[command(flatten)]
    log: options::Log,
    #[command(flatten)]
    control: options::Control,
}

fn main() {
    let clock = Clock::real();
    let options: Options = options::parse(
        |name| {
            let (daemon, log) = (options::daemon_usage(name), options::log_usage(name));
            format!("usage: {name} [OPTIONS]\n{daemon}{log}")
        },
        &[],
    );
    log::start(&options::program_name(), &["idle"], &clock);
    options.log.apply_or_exit();
    let start = process::start(&options.daemon.to_process())
        .unwrap_or_else(|e| log::fatal("daemon_unix", &e.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|e| log::fatal("daemon_unix", &e.to_string()));
    runtime.block_on(async {
        let commands = control::Commands::new();
        commands.register("exit", "", 0, 0);
        commands.register("panic", "", 0, 0);
        let name = options.control.unixctl.as_deref();
        let (server, mut calls) = control::serve(name, commands, &clock).unwrap_or_else(|e| {
            log::complain(&e.to_string());
            process::exit(1)
        });
        let _running = start.ready();
        tracing::info!(target: "idle", "running");
        if let Some(call) = calls.recv().await {
            assert!(call.name != "panic", "as asked");
            call.reply.ok("");
        }
        server.close().await;
    });
}
