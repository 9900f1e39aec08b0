//! Files of flows: a line each, `[add|modify|delete] FLOW [ACTIONS]`.

use super::flows::{self, Put};
use super::session::{Dp, Failed, Session, Why};

/// What a line asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Add,
    Modify,
    Delete,
}

pub(super) fn add(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    run(session, words, Ask::Add)
}

pub(super) fn modify(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    run(session, words, Ask::Modify)
}

/// All flows, or those of a file.
pub(super) fn del(session: &mut Session<'_>, words: &[&str]) -> Result<(), Failed> {
    let only_dp = words.first().is_none_or(|w| session.is_datapath(w));
    if words.len() == 2 || !only_dp {
        return run(session, words, Ask::Delete);
    }
    let (name, _) = session.choose(words, 0)?;
    match session.open(&name)? {
        Dp::Bridged(backer) => backer.purge(),
        Dp::Bare(bare) => bare.datapath.flush(),
    }
    Ok(())
}

/// Lines that cannot be read or done are told and skipped; the others are done.
fn run(session: &mut Session<'_>, words: &[&str], otherwise: Ask) -> Result<(), Failed> {
    let (dp, words) = session.choose(words, 1)?;
    let Some(file) = words.last() else {
        return Err(session.error("datapath not found", Why::Invalid));
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" (os error").next().unwrap_or_default();
            session.error(format_args!("Opening file \"{file}\" failed"), why);
            return Ok(());
        }
    };
    for (number, line) in text.lines().enumerate() {
        // What stands after `#` is a comment.
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (ask, flow, actions) = read_line(line, otherwise);
        // What went wrong with a flow has been told.
        let _ = match (ask, flow, actions) {
            (Ask::Add, Some(flow), Some(actions)) => {
                flows::put(session, &dp, flow, actions, Put::Create)
            }
            (Ask::Modify, Some(flow), Some(actions)) => {
                flows::put(session, &dp, flow, actions, Put::Modify { create: false })
            }
            (Ask::Delete, Some(flow), None) => flows::del_one(session, &dp, flow),
            _ => Err(session.complain(format_args!(
                "Failed parsing line number {}, skipped!",
                number + 1
            ))),
        };
    }
    Ok(())
}

/// A line's command, flow and actions. Commands may be cut short (`del`).
fn read_line(line: &str, otherwise: Ask) -> (Ask, Option<&str>, Option<&str>) {
    let end = line.find([',', ' ', '\t', '\r']).unwrap_or(line.len());
    let (word, after) = line.split_at(end);
    let named = [
        ("add", Ask::Add),
        ("delete", Ask::Delete),
        ("modify", Ask::Modify),
    ];
    let found = named.iter().find(|(name, _)| name.starts_with(word));
    let (ask, rest) = found.map_or((otherwise, line), |(_, ask)| (*ask, after));
    let mut parts = rest.trim_start().splitn(2, [' ', '\t', '\r']);
    let flow = parts.next().filter(|f| !f.is_empty());
    let actions = parts.next().map(str::trim).filter(|a| !a.is_empty());
    (ask, flow, actions)
}
