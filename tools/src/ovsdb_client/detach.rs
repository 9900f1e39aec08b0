//! `--detach`: the foreground waits for the first answer, then the rest goes on in the background,
//! still writing to where standard output and error went.

use super::Failure;
use clock::Clock;
use daemon::control::{self, Commands, Invocation};
use daemon::{options, process};
use std::os::fd::OwnedFd;
use tokio::sync::mpsc;

/// A command that may be going to the background.
#[derive(Default)]
pub struct Background {
    start: Option<process::Start>,
    running: Option<process::Running>,
    detached: bool,
    control: Option<(control::Server, mpsc::Receiver<Invocation>)>,
}

impl Background {
    /// Forks if that is asked for; before any thread.
    ///
    /// # Errors
    /// One line.
    pub fn start(options: &options::Daemon) -> Result<Background, Failure> {
        let start = process::start(&options.to_process()).map_err(|e| e.to_string())?;
        Ok(Background {
            start: Some(start),
            detached: options.detach,
            ..Background::default()
        })
    }

    /// Opens the control socket, if the command runs in the background, for these calls: name,
    /// usage, number of arguments.
    ///
    /// # Errors
    /// One line.
    pub fn listen(&mut self, calls: &[(&str, &str, usize)], clock: &Clock) -> Result<(), Failure> {
        if self.detached {
            let commands = Commands::new();
            for (name, usage, n) in calls {
                commands.register(name, usage, *n, *n);
            }
            let served = control::serve(None, commands, clock);
            self.control = Some(served.map_err(|e| e.to_string())?);
        }
        Ok(())
    }

    /// The next call; waits for ever in the foreground.
    pub async fn call(&mut self) -> Invocation {
        if let Some((_, calls)) = &mut self.control
            && let Some(call) = calls.recv().await
        {
            return call;
        }
        std::future::pending().await
    }

    /// Lets the foreground end, keeping standard output, and standard error if `keep_errors`. Only
    /// the first call counts.
    ///
    /// # Errors
    /// One line.
    pub fn ready(&mut self, keep_errors: bool) -> Result<(), Failure> {
        let Some(start) = self.start.take() else {
            return Ok(());
        };
        let failed = |e: rustix::io::Errno| format!("could not keep standard output ({e})");
        let kept: Option<(OwnedFd, OwnedFd)> = if self.detached {
            let out = rustix::io::dup(std::io::stdout()).map_err(failed)?;
            Some((out, rustix::io::dup(std::io::stderr()).map_err(failed)?))
        } else {
            None
        };
        self.running = Some(start.ready());
        if let Some((out, err)) = kept {
            rustix::stdio::dup2_stdout(&out).map_err(failed)?;
            if keep_errors {
                rustix::stdio::dup2_stderr(&err).map_err(failed)?;
            }
        }
        Ok(())
    }
}
