//! What one line looks like: a pattern with `%` conversions, written out for one message.

use super::level::Level;
use chrono::{DateTime, Local, Utc};
use std::fmt::Write as _;

/// All that a pattern can speak of.
pub(super) struct Line<'a> {
    pub program: &'a str,
    pub module: &'a str,
    /// The thread's or process's own name; empty = the main one.
    pub subprogram: &'a str,
    pub level: Level,
    pub message: &'a str,
    /// Lines of this thread so far, this one included.
    pub number: u32,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// Milliseconds since the program started.
    pub running_ms: u64,
    /// RFC 5424's number, not yet shifted.
    pub facility: u8,
}

/// Writes `line` as `pattern` has it, without a newline at the end.
pub(super) fn format(pattern: &str, line: &Line<'_>) -> String {
    let mut out = String::with_capacity(pattern.len() + line.message.len() + 32);
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let left = rest.next_if_eq(&'-').is_some();
        let pad = if rest.next_if_eq(&'0').is_some() {
            '0'
        } else {
            ' '
        };
        let mut width = 0usize;
        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
            rest.next();
            // A field wider than a screen is a slip, not a wish.
            width = (width * 10 + digit as usize).min(1024);
        }
        let Some(conversion) = rest.next() else { break };
        let mut braces = || -> Option<String> {
            rest.next_if_eq(&'{')?;
            Some(rest.by_ref().take_while(|&c| c != '}').collect())
        };
        let field = match conversion {
            'A' => line.program.to_string(),
            'B' => (u32::from(line.facility) * 8 + u32::from(line.level.severity())).to_string(),
            'c' => {
                braces();
                line.module.to_string()
            }
            'd' => date(braces(), line.wall_ms, false),
            'D' => date(braces(), line.wall_ms, true),
            'E' => host_name(),
            'm' => line.message.trim_end_matches('\n').to_string(),
            'N' => line.number.to_string(),
            'n' => "\n".to_string(),
            'p' => line.level.name().to_string(),
            'P' => std::process::id().to_string(),
            'r' => line.running_ms.to_string(),
            't' if line.subprogram.is_empty() => "main".to_string(),
            't' => line.subprogram.to_string(),
            'T' if line.subprogram.is_empty() => String::new(),
            'T' => format!("({})", line.subprogram),
            other => other.to_string(),
        };
        let padding = width.saturating_sub(field.len());
        if left {
            out.push_str(&field);
        }
        out.extend(std::iter::repeat_n(pad, padding));
        if !left {
            out.push_str(&field);
        }
    }
    out
}

/// A date in strftime's language, in which `###` stands for the milliseconds.
fn date(template: Option<String>, wall_ms: u64, utc: bool) -> String {
    let template = template.unwrap_or_else(|| "%Y-%m-%d %H:%M:%S.###".into());
    let template = template.replace("###", &format!("{:03}", wall_ms % 1000));
    let Some(moment) = i64::try_from(wall_ms)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_millis)
    else {
        return wall_ms.to_string();
    };
    let mut out = String::new();
    let written = if utc {
        write!(out, "{}", moment.format(&template))
    } else {
        write!(out, "{}", moment.with_timezone(&Local).format(&template))
    };
    // A conversion that strftime does not know is shown as it was asked for.
    if written.is_err() { template } else { out }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::level::Destination;
    use super::*;

    fn line() -> Line<'static> {
        Line {
            program: "ovs-vswitchd",
            module: "bridge",
            subprogram: "",
            level: Level::Info,
            message: "hello\n\n",
            number: 7,
            wall_ms: 1_795_456_800_123,
            running_ms: 42,
            facility: 3,
        }
    }

    #[test]
    fn the_patterns_of_the_original() {
        let file = format(Destination::File.default_pattern(), &line());
        assert_eq!(file, "2026-11-23T18:00:00.123Z|00007|bridge|INFO|hello");
        let console = format(Destination::Console.default_pattern(), &line());
        assert_eq!(console, "2026-11-23T18:00:00Z|00007|bridge|INFO|hello");
        let mut on_thread = line();
        on_thread.subprogram = "handler1";
        let syslog = format(Destination::Syslog.default_pattern(), &on_thread);
        assert_eq!(syslog, "ovs|00007|bridge(handler1)|INFO|hello");
    }

    #[test]
    fn fields_are_padded_and_odd_conversions_harmless() {
        let cases = [
            ("[%6c]", "[bridge]"),
            ("[%8c]", "[  bridge]"),
            ("[%-8c]", "[bridge  ]"),
            ("%B", "29"),
            ("%r ms", "42 ms"),
            ("%t", "main"),
            ("%%", "%"),
            ("%", ""),
            ("%D{%Q}", "%Q"),
            ("%d{", ""),
        ];
        for (pattern, expected) in cases {
            assert_eq!(format(pattern, &line()), expected, "{pattern}");
        }
    }
}
