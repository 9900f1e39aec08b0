//! `ovsdb-tool`: database files while no server has them open.
//!
//! Files: `commands` what it can do; `show_log` the log, told; `usage` its help.

mod commands;
mod show_log;
mod usage;

use crate::getopt::{self, Arg};

/// What went wrong, for one line on standard error.
pub type Failure = String;

const OPTIONS: &[(&str, Option<char>, Arg)] = &[
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
        Err(why) if why.is_empty() => 1,
        Err(why) => {
            eprintln!("ovsdb-tool: {why}");
            1
        }
    }
}

fn try_run(words: impl IntoIterator<Item = String>) -> Result<u8, Failure> {
    let words: Vec<String> = words.into_iter().collect();
    let (options, words) = match getopt::anywhere(&getopt::table(OPTIONS), &words) {
        Ok(parsed) => parsed,
        Err(line) => {
            getopt::complain(&line);
            return Err(String::new());
        }
    };
    let mut verbosity = 0u32;
    for (name, value) in options {
        match name.as_str() {
            "more" => verbosity += 1,
            "help" => {
                usage::print();
                return Ok(0);
            }
            "option" => {
                put!("{}", getopt::list(&getopt::table(OPTIONS)));
                return Ok(0);
            }
            "version" => {
                say!("ovsdb-tool (Open vSwitch) 4.0.0");
                say!("halyard {}", env!("CARGO_PKG_VERSION"));
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
