//! `--timeout`: a tool that takes too long dies of `SIGALRM`.

use clock::Clock;
use rustix::process::{Signal, getpid, kill_process};
use std::time::Duration;

/// The seconds that `text` says: a number above zero.
pub fn parse(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&seconds| seconds > 0)
}

/// Ends the process `seconds` from now; none = after `$OVS_CTL_TIMEOUT` seconds, if that is set.
/// The log says why.
pub fn arm(seconds: Option<u32>, clock: &Clock) {
    let by_environment = || {
        std::env::var("OVS_CTL_TIMEOUT")
            .ok()
            .and_then(|t| parse(&t))
    };
    let Some(seconds) = seconds.or_else(by_environment) else {
        return;
    };
    let clock = clock.clone();
    // Without a thread there is no deadline, and the tool still does its work.
    let _ = std::thread::Builder::new()
        .name("deadline".into())
        .spawn(move || {
            daemon::log::set_subprogram(Some(""));
            clock.pause_thread(Duration::from_secs(seconds.into()));
            tracing::warn!(target: "fatal_signal", "terminating with signal 14 (Alarm clock)");
            let _ = kill_process(getpid(), Signal::ALARM);
        });
}
