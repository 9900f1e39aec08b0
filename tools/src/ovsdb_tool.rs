//! `ovsdb-tool`: database files while no server has them open.
//!
//! Files: `commands` what it can do; `show_log` the log, told; `getopt` its options; `usage` its
//! help.

mod commands;
pub mod getopt;
mod show_log;
mod usage;

use getopt::{Arg, Spec};

/// What went wrong, for one line on standard error.
pub type Failure = String;

const OPTIONS: &[Spec] = &[
    ("more", Some('m'), Arg::No),
    ("rbac-role", None, Arg::Required),
    ("cid", None, Arg::Required),
    ("election-timer", None, Arg::Required),
    ("verbose", Some('v'), Arg::Optional),
    ("help", Some('h'), Arg::No),
    ("option", Some('o'), Arg::No),
    ("version", Some('V'), Arg::No),
];

/// Runs the tool; answers its exit code.
pub fn run(words: impl IntoIterator<Item = String>) -> u8 {
    match try_run(words) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("ovsdb-tool: {why}");
            1
        }
    }
}

fn try_run(words: impl IntoIterator<Item = String>) -> Result<u8, Failure> {
    let (options, words) = getopt::parse(OPTIONS, words)?;
    let mut verbosity = 0u32;
    for (name, value) in options {
        match name {
            "more" => verbosity += 1,
            "help" => {
                usage::print();
                return Ok(0);
            }
            "option" => {
                for (name, short, arg) in OPTIONS {
                    let arg = match arg {
                        Arg::No => "",
                        Arg::Required => "=ARG",
                        Arg::Optional => "[=ARG]",
                    };
                    if let Some(short) = short {
                        println!("-{short}");
                    }
                    println!("--{name}{arg}");
                }
                return Ok(0);
            }
            "version" => {
                println!("ovsdb-tool (Open vSwitch) 4.0.0");
                println!("halyard {}", env!("CARGO_PKG_VERSION"));
                return Ok(0);
            }
            "cid" => {
                let value = value.unwrap_or_default();
                if ovsdb::Uuid::parse(&value).is_none_or(|uuid| uuid.is_zero()) {
                    return Err(format!("{value}: not a valid UUID"));
                }
            }
            _ => {}
        }
    }
    let Some((command, args)) = words.split_first() else {
        return Err("missing command name; use --help for help".to_owned());
    };
    commands::run(command, args, verbosity)
}
