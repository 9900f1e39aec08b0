//! Flows from a file, a line each: `[add|modify|delete] FLOW [ACTIONS]`. Lines are carried out
//! as they are read, so that a program may write them one by one; a faulty one is told of and left
//! out.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};

/// A command of the daemon and its words.
pub type Request = (&'static str, Vec<String>);

/// What a line that names no command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Add,
    Modify,
    Delete,
}

/// What a line asks for; none = it cannot be read.
fn request(default: Default, line: &str, datapath: Option<&str>) -> Option<Request> {
    let word = |line: &str| line.find([',', ' ', '\t']).unwrap_or(line.len());
    let (first, after) = line.split_at(word(line));
    let (what, rest) = match first {
        "add" => (Default::Add, after),
        "modify" => (Default::Modify, after),
        "delete" => (Default::Delete, after),
        _ => (default, line),
    };
    let rest = rest.trim();
    let (flow, actions) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let actions = actions.trim();
    if flow.is_empty() || actions.is_empty() != (what == Default::Delete) {
        return None;
    }
    let command = match what {
        Default::Add => "dpctl/add-flow",
        Default::Modify => "dpctl/mod-flow",
        Default::Delete => "dpctl/del-flow",
    };
    let words = datapath.into_iter().chain([flow]);
    let words = words.chain(Some(actions).filter(|a| !a.is_empty()));
    Some((command, words.map(str::to_owned).collect()))
}

/// Carries out the lines of a file, `-` being standard input, by `ask`; `complain` is told what
/// went wrong.
///
/// # Errors
/// The file cannot be read.
pub fn run(
    path: &str,
    default: Default,
    datapath: Option<&str>,
    mut ask: impl FnMut(&str, &[String]) -> Result<(), String>,
    mut complain: impl FnMut(&str),
) -> Result<(), String> {
    let failed = |e: std::io::Error| {
        format!(
            "Opening file \"{path}\" failed ({})",
            daemon::log::reason(&e)
        )
    };
    let reader: Box<dyn BufRead> = match path {
        "-" => Box::new(stdin().lock()),
        _ => Box::new(BufReader::new(File::open(path).map_err(failed)?)),
    };
    for (at, line) in reader.lines().enumerate() {
        let line = line.map_err(failed)?;
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        match request(default, text, datapath) {
            None => complain(&format!("Failed parsing line number {}, skipped!", at + 1)),
            Some((command, words)) => {
                if let Err(why) = ask(command, &words) {
                    complain(&why);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_to_be_done() {
        let words = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        let cases = [
            (
                "in_port(1) 2",
                Some(("dpctl/add-flow", words("in_port(1)|2"))),
            ),
            (
                "add in_port(1)  set(a) , 2",
                Some(("dpctl/add-flow", words("in_port(1)|set(a) , 2"))),
            ),
            (
                "modify in_port(1) 3",
                Some(("dpctl/mod-flow", words("in_port(1)|3"))),
            ),
            (
                "delete in_port(1)",
                Some(("dpctl/del-flow", words("in_port(1)"))),
            ),
            ("delete in_port(1) 2", None),
            ("in_port(1)", None),
            ("add", None),
        ];
        for (line, expected) in cases {
            assert_eq!(request(Default::Add, line, None), expected, "{line}");
        }
        let (_, words) = request(Default::Delete, "in_port(1)", Some("netdev@x")).unwrap();
        assert_eq!(words, ["netdev@x", "in_port(1)"]);
    }
}
