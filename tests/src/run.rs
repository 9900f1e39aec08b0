//! Programs started and waited for, and conditions waited for.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clock::Clock;

/// How long a condition may take before a test gives up on it. Long, since it is only ever spent
/// by a test that fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a program that ended left.
#[derive(Debug, Clone)]
pub struct Done {
    /// The command as one would type it.
    pub command: String,
    /// Its exit code; 128 plus the signal's number if a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Done {
    /// Standard output of a program that succeeded; fails the test otherwise.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}{}", self.command, self.out, self.err);
        self.out
    }

    /// Standard error of a program that ended with `code`; fails the test otherwise.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(
            self.code, code,
            "{}\n{}{}",
            self.command, self.out, self.err
        );
        self.err
    }
}

/// Runs a program to its end with nothing on standard input.
#[track_caller]
pub fn run(command: &mut Command) -> Done {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    let line = words.join(" ");
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{line}: {e}"));
    use std::os::unix::process::ExitStatusExt;
    let status = output.status;
    Done {
        command: line,
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until `look` gives a value, and returns it; fails the test, saying `what` was awaited, if
/// it does not come.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match within(PATIENCE, look) {
        Some(found) => found,
        None => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}

/// Waits at most `patience` for `look` to give a value.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let clock = Clock::real();
    let deadline = clock.now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if clock.now() >= deadline {
            return None;
        }
        clock.pause_thread(Duration::from_millis(20));
    }
}

/// A program that this workspace built: beside the folder that the running test stands in.
pub fn ours(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of the running test");
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("tests stand in target/PROFILE/deps");
    let found = folder.join(name);
    assert!(
        found.exists(),
        "{} is not built: `cargo build --workspace --bins`, or `tools/test`",
        found.display()
    );
    found
}

/// A program of the original, as the distribution packages it.
pub fn original(name: &str) -> PathBuf {
    ["/usr/bin", "/usr/sbin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not installed: `tools/test` installs it"))
}
