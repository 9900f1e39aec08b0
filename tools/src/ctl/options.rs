//! Options of the whole program, and what it prints of itself.

use super::run::Program;
use super::syntax::{Options as CommandOptions, Syntax};
use crate::getopt::{self, Arg, Given, Spec};
use crate::ovsdb_client::table::Style;
use crate::{deadline, logging};
use daemon::{dirs, log, options};

/// What the options before the commands say.
pub struct Options {
    /// Where the database is.
    pub db: String,
    /// Print each command's output on one line.
    pub oneline: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Wait until the daemon has taken up the changes.
    pub wait: bool,
    /// Seconds until the program gives up.
    pub timeout: Option<u32>,
    /// Keep connecting.
    pub retry: bool,
    /// How tables are printed.
    pub style: Style,
}

/// How the program ends at its options.
pub enum Stop {
    /// With this text on standard output.
    Done(String),
    /// With this complaint, if it is not in the log already.
    Failed(Option<String>),
    /// With a complaint of the C library's kind, which names the program as it was called.
    Usage(String),
}

fn global_specs() -> Vec<Spec> {
    let mut specs = vec![
        Spec::new("db", None, Arg::Required),
        Spec::new("no-syslog", None, Arg::No),
        Spec::new("no-wait", None, Arg::No),
        Spec::new("dry-run", None, Arg::No),
        Spec::new("oneline", None, Arg::No),
        Spec::new("timeout", Some('t'), Arg::Required),
        Spec::new("retry", None, Arg::No),
        Spec::new("help", Some('h'), Arg::No),
        Spec::new("commands", None, Arg::No),
        Spec::new("options", None, Arg::No),
        Spec::new("leader-only", None, Arg::No),
        Spec::new("no-leader-only", None, Arg::No),
        Spec::new("shuffle-remotes", None, Arg::No),
        Spec::new("no-shuffle-remotes", None, Arg::No),
        Spec::new("version", Some('V'), Arg::No),
    ];
    specs.extend(logging::specs());
    specs.extend([
        Spec::new("format", Some('f'), Arg::Required),
        Spec::new("data", Some('d'), Arg::Required),
        Spec::new("no-headings", None, Arg::No),
        Spec::new("pretty", None, Arg::No),
        Spec::new("bare", None, Arg::No),
        Spec::new("max-column-width", None, Arg::Required),
    ]);
    specs
}

/// Those of the commands, which may stand before the first command as well.
fn command_specs(commands: &[Syntax]) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for (name, sign) in commands.iter().flat_map(Syntax::option_list) {
        let name = name.trim_start_matches('-');
        if !specs.iter().any(|spec| spec.long == name) {
            let arg = match sign {
                '=' => Arg::Required,
                '?' => Arg::Optional,
                _ => Arg::No,
            };
            specs.push(Spec::new(name, None, arg));
        }
    }
    specs
}

/// Takes the options off `words`; gives them, those that belong to the first command, and the
/// rest.
///
/// # Errors
/// How the program ends.
pub fn parse(
    program: &Program,
    commands: &[Syntax],
    words: &[String],
) -> Result<(Options, CommandOptions, Vec<String>), Stop> {
    let (globals, locals) = (global_specs(), command_specs(commands));
    let all: Vec<Spec> = globals.iter().chain(&locals).cloned().collect();
    let (given, rest) = getopt::leading(&all, words).map_err(Stop::Usage)?;
    let mut options = Options {
        db: format!("unix:{}", dirs::rundir().join("db.sock").display()),
        oneline: false,
        dry_run: false,
        wait: true,
        timeout: None,
        retry: false,
        style: Style {
            format: program.format,
            ..Style::default()
        },
    };
    let mut local = CommandOptions::new();
    for (name, value) in given {
        if locals.iter().any(|spec| spec.long == name) {
            if local.insert(format!("--{name}"), value).is_some() {
                let text = format!("'{name}' option specified multiple times");
                return Err(Stop::Failed(Some(text)));
            }
        } else {
            options.take(program, commands, (name, value))?;
        }
    }
    Ok((options, local, rest))
}

impl Options {
    fn take(
        &mut self,
        program: &Program,
        commands: &[Syntax],
        (name, value): Given,
    ) -> Result<(), Stop> {
        let text = value.as_deref().unwrap_or_default();
        match name.as_str() {
            "db" => self.db = text.to_string(),
            "oneline" => self.oneline = true,
            "dry-run" => self.dry_run = true,
            "no-wait" => self.wait = false,
            "retry" => self.retry = true,
            "no-syslog" => {
                let spec = format!("{}:syslog:warn", program.module);
                log::set(&spec).map_err(|e| Stop::Failed(Some(e)))?;
            }
            "timeout" => {
                let seconds = deadline::parse(text).ok_or_else(|| {
                    Stop::Failed(Some(format!("value {text} on -t or --timeout is invalid")))
                })?;
                self.timeout = Some(seconds);
            }
            "help" => return Err(Stop::Done((program.usage)(&log::program()))),
            "commands" => return Err(Stop::Done(list_commands(commands))),
            "options" => return Err(Stop::Done(getopt::list(&global_specs()))),
            "version" => {
                let schema = format!("DB Schema {}", program.schema_version);
                let text = options::version_text(&log::program(), &[&schema]);
                return Err(Stop::Done(text));
            }
            other => {
                let style = self.style.option(other, value.as_deref());
                if !style.map_err(|e| Stop::Failed(Some(e)))? {
                    // What is left is about clusters, which a switch's database is not.
                    logging::apply(other, value.as_deref()).map_err(Stop::Failed)?;
                }
            }
        }
        Ok(())
    }
}

/// The text of `--commands`, which completion in shells reads.
fn list_commands(commands: &[Syntax]) -> String {
    let mut text = String::new();
    for command in commands {
        for option in command
            .options
            .split(',')
            .filter(|option| !option.is_empty())
        {
            text.push_str(&format!("[{option}] "));
        }
        let arguments = mark_arguments(command.arguments);
        text.push_str(&format!(",{},{arguments}\n", command.name));
    }
    text
}

/// Marks each word as needed (`!`), optional (`?`), repeated (`+`) or both (`*`).
fn mark_arguments(arguments: &str) -> String {
    let mark = |(at, word): (usize, &str)| {
        let repeated = word.ends_with("...");
        let word = word.trim_end_matches("...");
        let whole = word
            .strip_prefix('[')
            .and_then(|word| word.strip_suffix(']'));
        // Optional parts of a word are marked where they begin.
        let parts = whole.unwrap_or(word).replace('[', "?").replace(']', "");
        match (whole.is_some(), repeated) {
            (true, true) => format!("*{parts}"),
            (true, false) => format!("?{parts}"),
            (false, _) if at == 0 && word.starts_with('[') => parts,
            (false, true) => format!("+{parts}"),
            (false, false) => format!("!{parts}"),
        }
    };
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    words.enumerate().map(mark).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_marked() {
        for (arguments, marked) in [
            ("", ""),
            ("BRIDGE", "!BRIDGE"),
            (
                "NEW-BRIDGE [PARENT] [NEW-VLAN]",
                "!NEW-BRIDGE ?PARENT ?NEW-VLAN",
            ),
            ("TABLE [RECORD]...", "!TABLE *RECORD"),
            ("BRIDGE IFACE...", "!BRIDGE +IFACE"),
            ("COLUMN [KEY=]VALUE...", "!COLUMN +?KEY=VALUE"),
            ("TABLE [COLUMN[:KEY]]...", "!TABLE *COLUMN?:KEY"),
            ("TABLE COLUMN[:KEY]=VALUE...", "!TABLE +COLUMN?:KEY=VALUE"),
        ] {
            assert_eq!(mark_arguments(arguments), marked);
        }
    }
}
