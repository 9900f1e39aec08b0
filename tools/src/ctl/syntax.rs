//! What commands look like, and how the words of a command line become commands.

use super::names::RowId;
use super::working::Working;
use crate::ovsdb_client::table::Table;
use ovsdb::{Symbols, Uuid};
use std::collections::BTreeMap;

/// The options before a command's name, with their dashes, each with its argument.
pub type Options = BTreeMap<String, Option<String>>;

/// Why a command line ends without success.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// With exit code 1 and this complaint.
    Fatal(String),
    /// With this exit code and nothing said.
    Exit(u8),
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Fatal(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Failure {
        Failure::Fatal(text.into())
    }
}

/// What a command works with.
pub struct Context<'a> {
    /// The database as the commands so far have left it.
    pub db: &'a mut Working,
    /// Names of rows, `@NAME`.
    pub symbols: &'a mut Symbols,
    /// How rows of this schema are named.
    pub row_ids: &'static [RowId],
    /// The tables that `show` shows.
    pub show: &'static [super::show::ShowTable],
    /// The command's name and its arguments.
    pub args: &'a [String],
    /// Its options.
    pub options: &'a Options,
    /// What it prints.
    pub output: String,
    /// What it prints instead, laid out as the user wants.
    pub table: Option<Table>,
    /// The database is not as the command needs it: all commands are to run again when it changes.
    pub try_again: bool,
    /// New rows that the daemon may fail to bring to life.
    pub watched: &'a mut Vec<Uuid>,
}

impl Context<'_> {
    /// The argument at `at`, the first being 1; empty if there is none.
    pub fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }

    /// The arguments from `at` on.
    pub fn args_from(&self, at: usize) -> &[String] {
        self.args.get(at..).unwrap_or_default()
    }

    /// Whether an option was given.
    pub fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// An option's argument.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.get(option)?.as_deref()
    }

    /// Prints a line.
    pub fn line(&mut self, text: &str) {
        self.output.push_str(text);
        self.output.push('\n');
    }

    /// Prints lines in the order of the alphabet.
    pub fn sorted_lines(&mut self, mut lines: Vec<String>) {
        lines.sort_unstable();
        for line in lines {
            self.line(&line);
        }
    }
}

/// What a command does.
pub type Run = fn(&mut Context<'_>) -> Result<(), Failure>;

/// A command.
#[derive(Clone, Copy)]
pub struct Syntax {
    /// Its name.
    pub name: &'static str,
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// The arguments as `--commands` shows them.
    pub arguments: &'static str,
    /// Options between commas: `--flag`, `--with=`, `--maybe?`.
    pub options: &'static str,
    /// Whether it may change the database.
    pub writes: bool,
    /// What it does.
    pub run: Run,
}

impl Syntax {
    /// The options, each with the sign after its name.
    pub fn option_list(&self) -> impl Iterator<Item = (&'static str, char)> {
        self.options
            .split(',')
            .filter(|o| !o.is_empty())
            .map(|option| {
                let name = option.trim_end_matches(['=', '?']);
                (
                    name,
                    option
                        .chars()
                        .last()
                        .filter(|c| "=?".contains(*c))
                        .unwrap_or(','),
                )
            })
    }
}

/// A command as it was given.
pub struct Command {
    /// Its kind.
    pub syntax: Syntax,
    /// Its options.
    pub options: Options,
    /// Its name and arguments.
    pub args: Vec<String>,
}

const MISSING: &str = "missing command name (use --help for help)";

/// Cuts `words` into commands at `--`; `options` were given before the first one.
///
/// # Errors
/// One line for the user.
pub fn parse(
    known: &[Syntax],
    words: &[String],
    mut options: Options,
) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    for words in words.split(|word| word == "--") {
        if !words.is_empty() {
            commands.push(parse_one(known, words, std::mem::take(&mut options))?);
        } else if !options.is_empty() {
            return Err(MISSING.into());
        }
    }
    if commands.is_empty() {
        Err(MISSING.into())
    } else {
        Ok(commands)
    }
}

fn parse_one(known: &[Syntax], words: &[String], mut options: Options) -> Result<Command, String> {
    let count = words
        .iter()
        .take_while(|word| word.starts_with('-'))
        .count();
    let (given, args) = words.split_at(count);
    for option in given {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (option.as_str(), None),
        };
        if options.insert(name.to_string(), value).is_some() {
            return Err(format!("'{option}' option specified multiple times"));
        }
    }
    let name = args.first().ok_or(MISSING)?;
    let syntax = known
        .iter()
        .find(|s| s.name == name)
        .ok_or_else(|| format!("unknown command '{name}'; use --help for help"))?;
    for (option, value) in &options {
        let sign = syntax
            .option_list()
            .find(|(known, _)| known == option)
            .map(|(_, sign)| sign);
        match (sign, value) {
            (None, _) => return Err(format!("'{name}' command has no '{option}' option")),
            (Some('='), None) => {
                return Err(format!(
                    "missing argument to '{option}' option on '{name}' command"
                ));
            }
            (Some(','), Some(_)) => {
                return Err(format!(
                    "'{option}' option on '{name}' does not accept an argument"
                ));
            }
            _ => {}
        }
    }
    let (min, max) = (syntax.min, syntax.max);
    let count = args.len() - 1;
    if count < min {
        return Err(format!(
            "'{name}' command requires at least {min} arguments"
        ));
    }
    if count > max {
        let late = args.iter().skip(1).any(|arg| arg.starts_with('-'));
        let hint = if late {
            " (note that options must precede command names and follow a \"--\" argument)"
        } else {
            ""
        };
        return Err(format!(
            "'{name}' command takes at most {max} arguments{hint}"
        ));
    }
    Ok(Command {
        syntax: *syntax,
        options,
        args: args.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Syntax> {
        let syntax = Syntax {
            name: "go",
            min: 1,
            max: 2,
            arguments: "A [B]",
            options: "--fast,--by=",
            writes: false,
            run: |_| Ok(()),
        };
        vec![syntax]
    }

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_string).collect();
        let commands = parse(&known(), &words, Options::new())?;
        Ok(commands
            .iter()
            .map(|c| format!("{:?} {:?}", c.options, c.args))
            .collect())
    }

    #[test]
    fn commands_are_cut_at_dashes() {
        assert_eq!(
            parsed("go a -- -- --fast --by=x go a b"),
            Ok(vec![
                "{} [\"go\", \"a\"]".into(),
                "{\"--by\": Some(\"x\"), \"--fast\": None} [\"go\", \"a\", \"b\"]".into()
            ])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("", MISSING),
            ("--fast", MISSING),
            ("run", "unknown command 'run'; use --help for help"),
            ("go", "'go' command requires at least 1 arguments"),
            ("go a b c", "'go' command takes at most 2 arguments"),
            (
                "go a b --fast",
                "'go' command takes at most 2 arguments (note that options must precede command \
                 names and follow a \"--\" argument)",
            ),
            ("--slow go a", "'go' command has no '--slow' option"),
            (
                "--by go a",
                "missing argument to '--by' option on 'go' command",
            ),
            (
                "--fast=1 go a",
                "'--fast' option on 'go' does not accept an argument",
            ),
            (
                "--fast --fast go a",
                "'--fast' option specified multiple times",
            ),
        ] {
            assert_eq!(parsed(text), Err(error.into()), "{text}");
        }
    }
}
