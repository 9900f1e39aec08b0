//! Levels, patterns and files changed at run time: what `-v` and the `vlog/` commands do.

use super::level::{Destination, Level, facility_from_name};
use super::{Log, current};

const SEPARATORS: [char; 4] = [' ', ',', ':', '\t'];

/// Applies one specification: `PATTERN:DESTINATION:PATTERN`, `FACILITY:NAME`, or any of a module,
/// a destination and a level in any order, with all modules, all destinations and `dbg` for what
/// is missing.
///
/// # Errors
/// One line that names the word that is wrong; nothing has changed then.
pub fn set(spec: &str) -> Result<(), String> {
    let Some(log) = current() else { return Ok(()) };
    let outcome = apply(log, spec);
    tracing::callsite::rebuild_interest_cache();
    outcome
}

fn apply(log: &Log, spec: &str) -> Result<(), String> {
    let trimmed = spec.trim_start_matches(SEPARATORS);
    let (first, rest) = trimmed.split_once(SEPARATORS).unwrap_or((trimmed, ""));
    if first.eq_ignore_ascii_case("PATTERN") {
        return set_pattern(log, rest);
    }
    if first.eq_ignore_ascii_case("FACILITY") {
        let facility = facility_from_name(rest).ok_or("invalid facility")?;
        log.sinks().facility = Some(facility);
        return Ok(());
    }
    let (mut module, mut destination, mut level) = (None, None, None);
    for word in spec.split(SEPARATORS).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("ANY") {
            continue;
        } else if let Some(d) = Destination::from_name(word) {
            if destination.replace(d).is_some() {
                return Err("cannot specify multiple destinations".into());
            }
        } else if let Some(l) = Level::from_name(word) {
            if level.replace(l).is_some() {
                return Err("cannot specify multiple levels".into());
            }
        } else if let Some(m) = log.modules.find(word) {
            if module.replace(m).is_some() {
                return Err("cannot specify multiple modules".into());
            }
        } else {
            return Err(format!("no destination, level, or module \"{word}\""));
        }
    }
    let modules = match module {
        Some(module) => vec![module],
        None => log.modules.all(),
    };
    for module in modules {
        for d in Destination::ALL {
            if destination.is_none_or(|only| only == d) {
                module.set_level(d, level.unwrap_or(Level::Dbg));
            }
        }
    }
    Ok(())
}

fn set_pattern(log: &Log, rest: &str) -> Result<(), String> {
    let rest = rest.trim_start_matches(SEPARATORS);
    let (word, pattern) = rest.split_once(SEPARATORS).unwrap_or((rest, ""));
    if word.is_empty() {
        return Err("missing destination".into());
    }
    let only = Destination::from_name(word);
    if only.is_none() && !word.eq_ignore_ascii_case("ANY") {
        return Err(format!("unknown destination \"{word}\""));
    }
    let mut sinks = log.sinks();
    for (d, slot) in Destination::ALL.into_iter().zip(&mut sinks.patterns) {
        if only.is_none_or(|only| only == d) {
            *slot = pattern.to_string();
        }
    }
    Ok(())
}

/// The text of `vlog/list`: the levels of each module.
pub fn list() -> String {
    current().map(|log| log.modules.list()).unwrap_or_default()
}

/// The text of `vlog/list-pattern`: prefix and pattern of each destination.
pub fn list_patterns() -> String {
    let Some(log) = current() else {
        return String::new();
    };
    let mut text = String::from(
        "         prefix                            format\n         ------                            ------\n",
    );
    let mut sinks = log.sinks();
    for d in Destination::ALL {
        let prefix = match d {
            Destination::Syslog => sinks.syslog().prefix(),
            _ => "none",
        };
        text.push_str(&format!(
            "{:<7}  {prefix:<32}  {}\n",
            d.name(),
            sinks.pattern(d)
        ));
    }
    text
}

/// `vlog/reopen`: opens the log file anew, which after a rotation is another file.
///
/// # Errors
/// There is no log file, or it cannot be opened.
pub fn reopen() -> Result<(), String> {
    let Some(log) = current() else { return Ok(()) };
    let name = log.sinks().file.name.clone();
    match name {
        None => Err("Logging to file not configured".into()),
        Some(name) => log.set_file(Some(name)).map_err(|e| super::reason(&e)),
    }
}

/// `vlog/close`: closes the log file until it is reopened.
pub fn close() {
    if let Some(log) = current() {
        log.sinks().file.file = None;
    }
}

/// `vlog/enable-rate-limit` and `vlog/disable-rate-limit`, for the named modules or for all.
///
/// # Errors
/// A name is not a module's; those before it have been set.
pub fn set_rate_limits(names: &[String], on: bool) -> Result<(), String> {
    let Some(log) = current() else { return Ok(()) };
    let every = || log.modules.all().iter().for_each(|m| m.set_rate_limits(on));
    if names.is_empty() {
        every();
    }
    for name in names {
        if name.eq_ignore_ascii_case("ANY") {
            every();
        } else {
            log.modules
                .find(name)
                .ok_or("unknown module")?
                .set_rate_limits(on);
        }
    }
    Ok(())
}
