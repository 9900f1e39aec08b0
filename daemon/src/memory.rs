//! What takes memory: `memory/show`, and log lines when the process has grown.

use clock::Time;
use std::time::Duration;

/// Time between two looks at the process's size.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// One line of named numbers, sorted: `cells:12 monitors:1`.
pub fn report(usage: &[(String, u64)]) -> String {
    let mut parts: Vec<String> = usage
        .iter()
        .map(|(name, count)| format!("{name}:{count}"))
        .collect();
    parts.sort_unstable();
    parts.join(" ")
}

/// Notices growth. To be asked every [`CHECK_INTERVAL`].
#[derive(Debug, Default)]
pub struct Growth {
    /// When growth was last told of, and the size then, in kB.
    last: Option<(Time, u64)>,
}

impl Growth {
    /// Logs the size if this is the first look or it has grown by half; true if so, and the
    /// caller's [`report`] belongs into the log now.
    pub fn check(&mut self, now: Time) -> bool {
        let Some(size) = peak_kb() else { return false };
        self.note(now, size)
    }

    fn note(&mut self, now: Time, size: u64) -> bool {
        match self.last {
            None => {
                let seconds = now.as_millis() as f64 / 1000.0;
                tracing::info!(
                    target: "memory",
                    "{size} kB peak resident set size after {seconds:.1} seconds"
                );
            }
            Some((then, was)) if size >= was + was / 2 => {
                let seconds = now.saturating_since(then).as_secs_f64();
                let percent = (size as f64 / was as f64 - 1.0) * 100.0;
                tracing::info!(
                    target: "memory",
                    "peak resident set size grew {percent:.0}% in last {seconds:.1} seconds, from \
                     {was} kB to {size} kB"
                );
            }
            Some(_) => return false,
        }
        self.last = Some((now, size));
        true
    }
}

/// The most memory that the process has had resident, in kB.
fn peak_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_once() {
        let mut growth = Growth::default();
        assert!(growth.note(Time::from_millis(10_000), 1000));
        assert!(!growth.note(Time::from_millis(20_000), 1499));
        assert!(growth.note(Time::from_millis(30_000), 1500));
        assert!(!growth.note(Time::from_millis(40_000), 1600));
        assert!(peak_kb().is_some_and(|kb| kb > 0));
    }

    #[test]
    fn reports_are_sorted() {
        let usage = [("monitors".to_string(), 1), ("cells".to_string(), 12)];
        assert_eq!(report(&usage), "cells:12 monitors:1");
    }
}
