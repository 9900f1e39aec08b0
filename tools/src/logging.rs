//! The options about logging that all tools have, taken by name.

use crate::getopt::{Arg, Spec};
use std::path::Path;

/// Those options.
pub fn specs() -> Vec<Spec> {
    vec![
        Spec::new("verbose", Some('v'), Arg::Optional),
        Spec::new("log-file", None, Arg::Optional),
        Spec::new("syslog-method", None, Arg::Required),
        Spec::new("syslog-target", None, Arg::Required),
    ]
}

/// Puts one of them into effect; false if `name` is none of them.
///
/// # Errors
/// One line; none if the log has it already.
pub fn apply(name: &str, value: Option<&str>) -> Result<bool, Option<String>> {
    use daemon::log;
    match name {
        "verbose" => {
            let spec = value.unwrap_or("any:any:dbg");
            log::set(spec).map_err(|e| Some(format!("processing \"{spec}\": {e}")))?;
        }
        "log-file" => {
            // As for daemons: only a file that was named has to be there.
            if log::set_file(value.map(Path::new)).is_err() && value.is_some() {
                return Err(None);
            }
        }
        "syslog-method" => log::set_syslog_method(value.unwrap_or_default()).map_err(Some)?,
        "syslog-target" => log::set_syslog_target(value.unwrap_or_default()),
        _ => return Ok(false),
    }
    Ok(true)
}
