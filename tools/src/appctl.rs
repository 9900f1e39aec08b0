//! `ovs-appctl`: asks a running daemon over its control socket.

use crate::getopt::{self, Arg, Spec};
use crate::{deadline, logging};
use clock::Clock;
use daemon::control::{Client, socket_of};
use daemon::{log, options};
use ovsdb::{Json, json};
use std::process::ExitCode;

struct Options {
    target: String,
    json: bool,
    pretty: bool,
    command: String,
    args: Vec<String>,
}

/// How the program ends before it has asked anything.
enum Stop {
    /// With this text on standard output.
    Done(String),
    /// With this complaint, if it is not in the log already.
    Failed(Option<String>),
    /// With a complaint of the C library's kind, which names the program as it was called.
    Usage(String),
}

fn specs() -> Vec<Spec> {
    let mut specs = vec![
        Spec::new("target", Some('t'), Arg::Required),
        Spec::new("execute", Some('e'), Arg::No),
        Spec::new("format", Some('f'), Arg::Required),
        Spec::new("help", Some('h'), Arg::No),
        Spec::new("option", Some('o'), Arg::No),
        Spec::new("pretty", None, Arg::No),
        Spec::new("version", Some('V'), Arg::No),
        Spec::new("timeout", Some('T'), Arg::Required),
    ];
    specs.extend(logging::specs());
    specs
}

/// `main` of the program.
pub fn main() -> ExitCode {
    let clock = Clock::real();
    log::start(&options::program_name(), &[], &clock);
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let given = words.get(1..).unwrap_or_default();
    match parse(given, &clock) {
        Ok(options) => match ask(&options) {
            Ok(code) => code,
            Err(complaint) => {
                log::complain(&complaint);
                ExitCode::FAILURE
            }
        },
        Err(Stop::Done(text)) => {
            put!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop::Failed(complaint)) => {
            if let Some(complaint) = complaint {
                log::complain(&complaint);
            }
            ExitCode::FAILURE
        }
        Err(Stop::Usage(complaint)) => {
            getopt::complain(&complaint);
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String], clock: &Clock) -> Result<Options, Stop> {
    let fail = |text: &str| Stop::Failed(Some(text.to_string()));
    let (given, mut rest) = getopt::leading(&specs(), words).map_err(Stop::Usage)?;
    let (mut target, mut timeout, mut executes) = (None, None, 0);
    let (mut as_json, mut pretty) = (false, false);
    for (name, value) in given {
        let text = value.as_deref().unwrap_or_default();
        match name.as_str() {
            "target" => {
                if target.replace(text.to_string()).is_some() {
                    return Err(fail("-t or --target may be specified only once"));
                }
            }
            "execute" => {
                executes += 1;
                if executes > 1 {
                    return Err(fail("-e or --execute may be speciifed only once"));
                }
            }
            "format" => match text.to_ascii_lowercase().as_str() {
                "json" => as_json = true,
                "text" => as_json = false,
                _ => return Err(fail(&format!("value {text} on -f or --format is invalid"))),
            },
            "help" => return Err(Stop::Done(usage())),
            "option" => return Err(Stop::Done(list_options())),
            "pretty" => pretty = true,
            "timeout" => {
                let seconds = deadline::parse(text);
                timeout =
                    Some(seconds.ok_or_else(|| {
                        fail(&format!("value {text} on -T or --timeout is invalid"))
                    })?);
            }
            "version" => {
                return Err(Stop::Done(options::version_text(&log::program(), &[])));
            }
            other => {
                logging::apply(other, value.as_deref()).map_err(Stop::Failed)?;
            }
        }
    }
    deadline::arm(timeout, clock);
    if rest.is_empty() {
        let text = "at least one non-option argument is required (use --help for help)";
        return Err(fail(text));
    }
    if pretty && !as_json {
        return Err(fail("--pretty is supported with --format json only"));
    }
    let command = rest.remove(0);
    let target = target.unwrap_or_else(|| "ovs-vswitchd".into());
    Ok(Options {
        target,
        json: as_json,
        pretty,
        command,
        args: rest,
    })
}

fn ask(options: &Options) -> Result<ExitCode, String> {
    let target = &options.target;
    let socket = socket_of(target).map_err(|(pidfile, e)| {
        format!(
            "cannot read pidfile \"{}\" ({})",
            pidfile.display(),
            log::reason(&e)
        )
    })?;
    let socket_name = socket.display();
    let mut client = Client::connect(&socket).map_err(|e| {
        tracing::warn!(target: "unixctl", "failed to connect to {socket_name}");
        format!("cannot connect to \"{socket_name}\" ({})", log::reason(&e))
    })?;
    let mut call = |command: &str, args: &[String]| {
        client.call(command, args).map_err(|e| {
            let why = log::reason(&e);
            tracing::warn!(
                target: "unixctl",
                "error communicating with unix:{socket_name}: {why}"
            );
            format!("{target}: transaction error ({why})")
        })
    };
    let mut outcome = Ok(Json::Null);
    if options.json {
        outcome = call("set-options", &["--format".into(), "json".into()])?;
    }
    if outcome.is_ok() {
        outcome = call(&options.command, &options.args)?;
    }
    match outcome {
        Ok(reply) => {
            let text = match (options.json, &reply) {
                (true, _) if options.pretty => pretty(&reply),
                (true, _) => json::to_string(&reply),
                (false, _) => as_text(&reply)?,
            };
            put!("{}", with_newline(text));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprint!("{}", with_newline(as_text(&error)?));
            log::complain(&format!("{target}: server returned an error"));
            Ok(ExitCode::from(2))
        }
    }
}

/// `text` with a newline at its end, unless it is empty.
fn with_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn as_text(reply: &Json) -> Result<String, String> {
    match reply {
        Json::String(text) => Ok(text.clone()),
        other => {
            let kind = json::kind(other);
            log::complain(&format!("Unexpected reply type in JSON rpc reply: {kind}"));
            daemon::process::exit(2)
        }
    }
}

/// A document with a line for each member and element, in the layout that scripts compare:
/// closing brackets stay on the last line.
fn pretty(json: &Json) -> String {
    let mut out = String::new();
    write_pretty(json, 1, &mut out);
    out
}

fn write_pretty(value: &Json, depth: usize, out: &mut String) {
    let line = |out: &mut String| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(out);
                write_pretty(item, depth + 1, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            line(out);
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                    line(out);
                }
                json::write_str(name, out);
                out.push_str(": ");
                write_pretty(member, depth + 1, out);
            }
            out.push('}');
        }
        plain => out.push_str(&json::to_string(plain)),
    }
}

fn list_options() -> String {
    let mut text = String::new();
    for spec in specs() {
        let arg = match spec.arg {
            Arg::No => "",
            Arg::Required => "ARG",
            Arg::Optional => "[ARG]",
        };
        let equals = if arg.is_empty() { "" } else { "=" };
        text.push_str(&format!("--{}{equals}{arg}\n", spec.long));
        if let Some(c) = spec.short {
            text.push_str(&format!("-{c} {arg}\n"));
        }
    }
    text
}

fn usage() -> String {
    let name = log::program();
    format!(
        "\
{name}, for querying and controlling Open vSwitch daemon
usage: {name} [TARGET] COMMAND [ARG...]
Targets:
  -t, --target=TARGET  pidfile or socket to contact
Common commands:
  list-commands      List commands supported by the target
  version            Print version of the target
  vlog/list          List current logging levels
  vlog/list-pattern  List logging patterns for each destination.
  vlog/set [SPEC]
      Set log levels as detailed in SPEC, which may include:
      A valid module name (all modules, by default)
      'syslog', 'console', 'file' (all destinations, by default))
      'off', 'emer', 'err', 'warn', 'info', or 'dbg' ('dbg', bydefault)
  vlog/reopen        Make the program reopen its log file
Other options:
  -e, --execute      accepted and without effect: COMMAND is executed anyhow
  -T, --timeout=SECS wait at most SECS seconds for a response
  -f, --format=FMT   Output format. One of: 'json', or 'text'
                     (default: text)
  --pretty           Format the output in a more readable fashion.
                     Requires: --format=json.
  -o, --option       List options
  -h, --help         Print this helpful information
  -V, --version      Display ovs-appctl version information
{}",
        options::log_usage(&name)
    )
}

#[cfg(test)]
mod tests {
    use super::pretty;
    use serde_json::json;

    #[test]
    fn brackets_close_on_the_last_line() {
        let document = json!({"a": [1, {"b": "c"}], "d": {}, "e": []});
        let text =
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c\"}],\n  \"d\": {\n    },\n  \"e\": []}";
        assert_eq!(pretty(&document), text);
    }
}
