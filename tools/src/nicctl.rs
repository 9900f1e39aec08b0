//! `nicctl`: NICs before the switch has them. Lists them, hands them to user space and back, and looks at one
//! without a switch.
//!
//! * `machine` is where the kernel says what there is, and takes orders;
//! * `list`, `bind` and `unbind` change nothing but who drives a NIC;
//! * `probe`, `health` and `selftest` drive one themselves, step by step (`steps`).

mod bind;
mod health;
mod list;
mod machine;
mod probe;
mod routes;
mod selftest;
mod steps;

use clap::{Parser, Subcommand, ValueEnum};
use hal::pci::{PciAddress, PciFunction};
use machine::Machine;
use std::ffi::OsString;
use std::path::PathBuf;

/// What went wrong, for one line on standard error.
type Failure = String;

/// Looks at NICs, hands them to user space and back, and tests them.
#[derive(Parser)]
#[command(name = "nicctl", max_term_width = 80, disable_help_subcommand = true)]
#[command(version = concat!("(halyard) ", env!("CARGO_PKG_VERSION")))]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the NICs of this machine: who drives each, and whether it can be used.
    List {
        /// Text for people, or JSON for programs.
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Hand a NIC to user space: the driver vfio-pci.
    Bind {
        /// The NIC, for example 0000:03:00.0.
        address: PciAddress,
        /// Print what would be written, and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Even if it carries the default route, or has virtual functions.
        #[arg(long)]
        force: bool,
    },
    /// Give a NIC back to the driver that had it before.
    Unbind {
        /// The NIC, for example 0000:03:00.0.
        address: PciAddress,
        /// Print what would be written, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Reset a NIC that is bound to vfio-pci.
    Reset {
        /// The NIC: an address, or vfio-user:PATH.
        address: String,
    },
    /// Try the way to a PCI function of any kind: its registers, memory,
    /// interrupts and reset.
    Probe {
        /// The function: an address, or vfio-user:PATH.
        address: String,
    },
    /// Show what a NIC's firmware says of itself; exit with 1 if it is ill.
    Health {
        /// The NIC: an address, or vfio-user:PATH.
        address: String,
    },
    /// Bring a NIC up, place a rule in it and take it away, and write a report.
    Selftest {
        /// The NIC: an address, or vfio-user:PATH.
        address: String,
        /// The report's file; nicctl-selftest.json if it is not said.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs the program; answers its exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(e) if e.use_stderr() => {
            eprint!("{e}");
            return 2;
        }
        Err(e) => {
            say!("{}", e.to_string().trim_end());
            return 0;
        }
    };
    match carry_out(options.command) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("nicctl: {why}");
            1
        }
    }
}

fn carry_out(command: Command) -> Result<u8, Failure> {
    let machine = Machine::host();
    match command {
        Command::List { format } => {
            let nics = list::nics(&machine);
            match format {
                Format::Text => put!("{}", list::text(&nics)),
                Format::Json => say!("{:#}", list::json(&nics)),
            }
            Ok(0)
        }
        Command::Bind {
            address,
            dry_run,
            force,
        } => bind::bind(&machine, address, force)?.end(&machine, dry_run),
        Command::Unbind { address, dry_run } => {
            bind::unbind(&machine, address)?.end(&machine, dry_run)
        }
        Command::Reset { address } => {
            open(&address)?.reset().map_err(|e| e.to_string())?;
            say!("{address}: reset");
            Ok(0)
        }
        Command::Probe { address } => probe::run(&open(&address)?),
        Command::Health { address } => health::run(&open(&address)?),
        Command::Selftest { address, report } => {
            let report = report.unwrap_or_else(|| "nicctl-selftest.json".into());
            selftest::run(&open(&address)?, &report)
        }
    }
}

/// A function by what people call it: an address of this machine, or a name as the switch has it.
fn open(name: &str) -> Result<PciFunction, Failure> {
    let named = match name.parse::<PciAddress>() {
        Ok(address) => hal::pci::open(&format!("pci:{address}")),
        Err(_) => hal::pci::open(name),
    };
    named.map_err(|e| e.to_string())
}

/// What a function is called: the part's name, if it is one of ours, and its ids.
fn part((vendor, device): (u16, u16)) -> String {
    match hal_mlx::part_name((vendor, device)) {
        Some(name) => format!("{name} ({vendor:04x}:{device:04x})"),
        None => format!("{vendor:04x}:{device:04x}"),
    }
}
