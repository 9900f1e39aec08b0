//! Rate limits: a bucket of tokens that refills with time, one a log statement.

use super::level::Level;
use std::sync::{Mutex, PoisonError};

/// Tokens that one message costs; `per_minute` tokens come in each millisecond.
const COST: u64 = 60_000;

/// A limit on how often one statement may log; what it held back it tells of later.
///
/// ```
/// static LIMIT: daemon::log::RateLimit = daemon::log::RateLimit::new(60, 5);
/// daemon::limited!(LIMIT, Warn, "bridge", "{}: no such port", "eth7");
/// ```
#[derive(Debug)]
pub struct RateLimit {
    /// Messages a minute in the long run.
    per_minute: u64,
    /// Messages at once after a quiet time.
    burst: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: u64,
    last_fill_ms: Option<u64>,
    dropped: u64,
    first_dropped_ms: u64,
    last_dropped_ms: u64,
}

/// What has been held back since the last line that passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    count: u64,
    first_seconds: u64,
    last_seconds: u64,
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Dropped {} log messages in last {} seconds (most recently, {} seconds ago) due to \
             excessive rate",
            self.count, self.first_seconds, self.last_seconds
        )
    }
}

impl RateLimit {
    /// `per_minute` messages a minute in the long run, `burst` at once.
    pub const fn new(per_minute: u32, burst: u32) -> RateLimit {
        RateLimit {
            per_minute: per_minute as u64,
            burst: burst as u64,
            state: Mutex::new(State {
                tokens: 0,
                last_fill_ms: None,
                dropped: 0,
                first_dropped_ms: 0,
                last_dropped_ms: 0,
            }),
        }
    }

    /// Whether a message may pass at `now_ms`; if so, with what was held back before it.
    pub(crate) fn admit(&self, now_ms: u64) -> Result<Option<Dropped>, ()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = self.burst.saturating_mul(COST);
        state.tokens = match state.last_fill_ms {
            None => full,
            Some(last) => {
                let fresh = now_ms.saturating_sub(last).saturating_mul(self.per_minute);
                state.tokens.saturating_add(fresh).min(full)
            }
        };
        state.last_fill_ms = Some(now_ms);
        if state.tokens < COST {
            if state.dropped == 0 {
                state.first_dropped_ms = now_ms;
            }
            state.last_dropped_ms = now_ms;
            state.dropped += 1;
            return Err(());
        }
        state.tokens -= COST;
        if state.dropped == 0 {
            return Ok(None);
        }
        let dropped = Dropped {
            count: std::mem::take(&mut state.dropped),
            first_seconds: now_ms.saturating_sub(state.first_dropped_ms) / 1000,
            last_seconds: now_ms.saturating_sub(state.last_dropped_ms) / 1000,
        };
        Ok(Some(dropped))
    }

    /// Whether a message of `module` at `level` may pass now. Says first what was held back.
    ///
    /// A module whose limits are switched off (`vlog/disable-rate-limit`) always passes.
    pub fn passes(&self, module: &'static str, level: Level) -> bool {
        let Some(log) = super::current() else {
            return true;
        };
        let module = log.module(module);
        if !module.honours_rate_limits() {
            return true;
        }
        if !log.enabled(&module, level) {
            return false;
        }
        match self.admit(log.running_ms()) {
            Err(()) => false,
            Ok(dropped) => {
                if let Some(dropped) = dropped {
                    log.write(&module, level, &dropped.to_string());
                }
                true
            }
        }
    }
}

/// Logs through a [`RateLimit`](crate::log::RateLimit): limit, level
/// ([`Level`](crate::log::Level)'s variant), module, format and its arguments.
#[macro_export]
macro_rules! limited {
    ($limit:expr, $level:ident, $module:expr, $($message:tt)+) => {
        if $limit.passes($module, $crate::log::Level::$level) {
            $crate::log::line($module, $crate::log::Level::$level, &format!($($message)+));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_and_the_rest_is_counted() {
        let limit = RateLimit::new(60, 2);
        assert_eq!(limit.admit(0), Ok(None));
        assert_eq!(limit.admit(0), Ok(None));
        assert_eq!(limit.admit(1), Err(()));
        assert_eq!(limit.admit(900), Err(()));
        let after = limit.admit(2_001).map(|d| d.map(|d| d.to_string()));
        assert_eq!(
            after,
            Ok(Some(
                "Dropped 2 log messages in last 2 seconds (most recently, 1 seconds ago) due to \
                 excessive rate"
                    .to_string()
            ))
        );
    }
}
