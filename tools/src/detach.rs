//! `--detach`: the foreground waits for the first answer, then the rest goes on in the background,
//! still writing to where standard output and error went.

use clock::Clock;
use daemon::control::{self, Commands, Invocation};
use daemon::{options, process};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::sync::mpsc;

/// A call that is answered: its name, its usage, how few and how many arguments it has.
pub type Call = (&'static str, &'static str, usize, usize);

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
    pub fn start(options: &options::Daemon) -> Result<Background, String> {
        let start = process::start(&options.to_process()).map_err(|e| e.to_string())?;
        Ok(Background {
            start: Some(start),
            detached: options.detach,
            ..Background::default()
        })
    }

    /// Opens the control socket, if the command runs in the background or the socket is named, for
    /// these calls.
    ///
    /// # Errors
    /// One line.
    pub fn listen(
        &mut self,
        calls: &[Call],
        name: Option<&str>,
        clock: &Clock,
    ) -> Result<(), String> {
        if self.detached || name.is_some() {
            let commands = Commands::new();
            for (name, usage, min, max) in calls {
                commands.register(name, usage, *min, *max);
            }
            let served = control::serve(name, commands, clock);
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

    /// Closes the control socket; whoever has asked something is answered first.
    pub async fn close(&mut self) {
        if let Some((server, _)) = self.control.take() {
            server.close().await;
        }
    }

    /// Lets the foreground end, keeping standard output and error if so asked. Only the first call
    /// counts.
    ///
    /// # Errors
    /// One line.
    pub fn ready(&mut self, keep_output: bool, keep_errors: bool) -> Result<(), String> {
        let Some(start) = self.start.take() else {
            return Ok(());
        };
        let failed = |e: rustix::io::Errno| format!("could not keep standard output ({e})");
        let keep = |wanted: bool, stream: BorrowedFd<'_>| -> Result<Option<OwnedFd>, String> {
            let wanted = wanted && self.detached;
            wanted
                .then(|| rustix::io::dup(stream))
                .transpose()
                .map_err(failed)
        };
        let output = keep(keep_output, std::io::stdout().as_fd())?;
        let errors = keep(keep_errors, std::io::stderr().as_fd())?;
        self.running = Some(start.ready());
        if let Some(output) = output {
            rustix::stdio::dup2_stdout(&output).map_err(failed)?;
        }
        if let Some(errors) = errors {
            rustix::stdio::dup2_stderr(&errors).map_err(failed)?;
        }
        Ok(())
    }
}
