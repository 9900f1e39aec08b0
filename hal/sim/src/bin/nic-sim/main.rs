//! `nic-sim`: a simulated ConnectX in a process of its own, behind a vfio-user socket.

mod log;

use clap::Parser;
use clock::Clock;
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Serve a simulated ConnectX on a vfio-user socket, to one peer after the other.
///
/// A peer is QEMU (device vfio-user-pci) or a switch's driver (vfio-user:PATH). When it goes, the
/// NIC is reset, and the next may come.
#[derive(Parser)]
#[command(
    name = "nic-sim",
    version,
    after_help = "\
PORT is pf0, vf0, vf1, ...; WIRE is what it is connected to:
  tap:IFNAME      a tap device, made here
  packet:IFNAME   a network device that there is
  pcap:IN[,OUT]   a capture file to play, and one to write
A port without a wire has no link.

When the socket is there, a line on standard output says so. SIGTERM and SIGINT
remove it and end the program."
)]
struct Options {
    /// Where to serve
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// What kind of NIC it is and how it misbehaves, in JSON
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// What it is called in messages
    #[arg(long, value_name = "NAME", default_value = "nic0")]
    name: String,
    /// Connect a port; may be given several times
    #[arg(long, value_name = "PORT=WIRE", value_parser = port_and_wire)]
    wire: Vec<(String, String)>,
    /// Write down each command and what came of it
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Say on standard error what a host does that it should not
    #[arg(long)]
    verbose: bool,
}

fn port_and_wire(text: &str) -> Result<(String, String), String> {
    let both = text.split_once('=').filter(|(port, _)| !port.is_empty());
    let (port, wire) = both.ok_or("not PORT=WIRE")?;
    Ok((port.into(), wire.into()))
}

/// What clap says, in one line: its first paragraph.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.is_empty());
    let text = lines.collect::<Vec<_>>().join(" ");
    text.trim_start_matches("error: ").into()
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(e) if !e.use_stderr() => {
            // Nobody reads: nothing to be said to anybody.
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("nic-sim: {}", one_line(&e));
            return ExitCode::from(2);
        }
    };
    log::start(options.verbose);
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("nic-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let settings = match &options.settings {
        Some(path) => ConnectXSettings::load(path).map_err(|e| e.to_string())?,
        None => ConnectXSettings::default(),
    };
    let nic = ConnectX::open(&options.name, settings, Clock::real());
    let nic = nic.map_err(|e| format!("{}: {e}", options.name))?;
    if let Some(path) = &options.trace {
        let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
        nic.trace_to(Box::new(BufWriter::new(file)));
    }
    for (port, wire) in &options.wire {
        nic.connect(port, wire).map_err(|e| e.to_string())?;
    }
    let path = &options.socket;
    let at_path = |e: io::Error| format!("{}: {e}", path.display());
    let listener = hal_sim::listen(path).map_err(at_path)?;
    let ended =
        announce(path).and_then(|()| until_signal(move || hal_sim::serve_on(listener, nic)));
    let removed = std::fs::remove_file(path);
    ended.and(removed).map_err(at_path)
}

/// Tells whoever waits for it that the socket is there.
fn announce(path: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "nic-sim: ready on {}", path.display())?;
    out.flush()
}

/// Serves until it cannot any more, or until a signal comes.
fn until_signal(serve: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let (tell, told) = tokio::sync::oneshot::channel();
        // It is left alone when a signal comes: it ends with the process.
        std::thread::Builder::new()
            .name("serve".into())
            .spawn(move || tell.send(serve()))?;
        tokio::select! {
            _ = terminated.recv() => Ok(()),
            _ = interrupted.recv() => Ok(()),
            served = told => served.unwrap_or(Ok(())),
        }
    })
}
