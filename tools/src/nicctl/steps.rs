//! A test, step by step: each is told when it ends, with how long it took and what was seen.

use clock::Clock;
use serde_json::{Value, json};
use std::fmt::Display;

/// What became of a step.
struct Step {
    name: &'static str,
    micros: u64,
    /// What was seen, or what went wrong.
    outcome: Result<String, String>,
}

/// The steps that were taken.
pub struct Steps {
    clock: Clock,
    taken: Vec<Step>,
}

impl Steps {
    pub fn new(clock: Clock) -> Steps {
        Steps {
            clock,
            taken: Vec::new(),
        }
    }

    /// Takes a step, which answers what is needed later and what was seen. None if it failed.
    pub fn take<T, E: Display>(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<(T, String), E>,
    ) -> Option<T> {
        let begun = self.clock.now();
        let (value, outcome) = match step() {
            Ok((value, seen)) => (Some(value), Ok(seen)),
            Err(e) => (None, Err(e.to_string())),
        };
        let took = self.clock.now() - begun;
        let step = Step {
            name,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            outcome,
        };
        say!("{}", step.line());
        self.taken.push(step);
        value
    }

    /// The program's exit code: 1 if a step failed.
    pub fn code(&self) -> u8 {
        self.taken.iter().any(|s| s.outcome.is_err()).into()
    }

    /// For the report.
    pub fn json(&self) -> Value {
        let steps = self.taken.iter().map(|step| {
            let (result, told) = match &step.outcome {
                Ok(seen) => ("ok", seen),
                Err(why) => ("failed", why),
            };
            json!({
                "step": step.name,
                "milliseconds": step.micros as f64 / 1000.0,
                "result": result,
                "told": told,
            })
        });
        steps.collect()
    }
}

impl Step {
    fn line(&self) -> String {
        let millis = self.micros as f64 / 1000.0;
        let head = format!("{:<20} {millis:>9.3} ms", self.name);
        match &self.outcome {
            Ok(seen) if seen.is_empty() => format!("{head}  ok"),
            Ok(seen) => format!("{head}  ok\n    {}", seen.replace('\n', "\n    ")),
            Err(why) => format!("{head}  failed\n    {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn steps_are_kept_with_their_time_and_what_was_seen() {
        let clock = Clock::stopped_at(0);
        let mut steps = Steps::new(clock.clone());
        let seen = steps.take("first", || {
            clock.warp(Duration::from_micros(1500));
            Ok::<_, String>((7, "a\nb".into()))
        });
        assert_eq!((seen, steps.code()), (Some(7), 0));
        assert_eq!(
            steps.taken[0].line(),
            "first                    1.500 ms  ok\n    a\n    b"
        );
        let failed = steps.take("second", || Err::<((), String), _>("no"));
        assert_eq!((failed, steps.code()), (None, 1));
        let told = steps.json();
        assert_eq!(
            (&told[0]["milliseconds"], &told[1]["result"]),
            (&json!(1.5), &json!("failed"))
        );
        assert_eq!(told[1]["told"], json!("no"));
    }
}
