//! The socket: accepts clients, checks what they call, and passes it on.

use super::builtin;
use super::commands::{Answer, Commands, Format, Handler, Invocation, Reply};
use crate::jsonrpc::{Connection, Message};
use crate::stream::Passive;
use crate::{coverage, dirs, log};
use clock::Clock;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes that a client's message may have: arguments of a command line, with room.
const MAX_MESSAGE: usize = 64 << 20;

/// Invocations that wait for the main loop before clients have to.
const QUEUE: usize = 64;

/// Why there is no control socket, as one line.
#[derive(Debug, thiserror::Error)]
#[error("{}: could not initialize control socket ({})", .path.display(), log::reason(.source))]
pub struct Error {
    /// The socket's file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

/// The control socket; it goes when this does.
#[derive(Debug)]
pub struct Server {
    path: Option<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
    /// Calls whose answers are not on their way yet.
    under_way: Arc<AtomicUsize>,
}

impl Server {
    /// Lets answers that have been given reach their clients, and goes. For the end of a program:
    /// the answer of `exit` is the last one that counts.
    pub async fn close(self) {
        // Each turn lets every task that can go on do so; a client that does not read its answer
        // can't hold the program.
        for _ in 0..100 {
            if self.under_way.load(Ordering::Relaxed) == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The socket's file; none if there is to be no socket.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(path) = &self.path {
            // The task that holds the socket ends at the runtime's next turn, if there is one.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens the control socket `name` (below `RUNDIR` unless absolute; `RUNDIR/PROGRAM.PID.ctl` if
/// none; no socket at all if `none`) on the current tokio runtime, and gives the calls that the
/// main loop has to answer. To be called after [`process::start`](crate::process::start), whose
/// process is the one in the name. Takes the samples of [`coverage`] as well.
///
/// # Errors
/// The socket cannot be made; the caller is expected to say so and to end.
pub fn serve(
    name: Option<&str>,
    commands: Commands,
    clock: &Clock,
) -> Result<(Server, mpsc::Receiver<Invocation>), Error> {
    let (calls, received) = mpsc::channel(QUEUE);
    let clock = clock.clone();
    let named = name.is_some();
    let sampler = tokio::spawn(async move {
        let mut again = !named;
        loop {
            clock.sleep(coverage::INTERVAL).await;
            if std::mem::take(&mut again) {
                // One that was killed a moment before this one began may have been still ending.
                remove_stale_sockets(&dirs::rundir(), &log::program());
            }
            coverage::sample();
        }
    });
    let under_way = Arc::new(AtomicUsize::new(0));
    let mut server = Server {
        path: None,
        tasks: vec![sampler],
        under_way: under_way.clone(),
    };
    let path = match name {
        Some("none") => {
            // The main loop waits for calls that never come, rather than for a closed channel.
            server
                .tasks
                .push(tokio::spawn(async move { calls.closed().await }));
            return Ok((server, received));
        }
        Some(name) => dirs::absolute(&dirs::rundir(), name),
        None => {
            let pid = std::process::id();
            remove_stale_sockets(&dirs::rundir(), &log::program());
            dirs::rundir().join(format!("{}.{pid}.ctl", log::program()))
        }
    };
    let listener = match Passive::Unix(path.clone()).listen() {
        Ok(listener) => listener,
        Err(source) => return Err(Error { path, source }),
    };
    server.path = Some(path);
    server.tasks.push(tokio::spawn(async move {
        static LIMIT: log::RateLimit = log::RateLimit::new(5, 5);
        loop {
            match listener.accept().await {
                Ok((stream, name)) => {
                    let connection = Connection::with_limit(stream, name, MAX_MESSAGE);
                    let (commands, calls) = (commands.clone(), calls.clone());
                    tokio::spawn(attend(connection, commands, calls, under_way.clone()));
                }
                Err(e) => {
                    let (address, why) = (listener.address(), log::reason(&e));
                    crate::limited!(LIMIT, Warn, "unixctl", "{address}: accept failed: {why}");
                    // Out of descriptors, most likely: others have to go first.
                    tokio::task::yield_now().await;
                }
            }
        }
    }));
    Ok((server, received))
}

/// Removes what processes of this program that were killed have left: `PROGRAM.PID.ctl` that nobody
/// listens to.
fn remove_stale_sockets(dir: &Path, program: &str) {
    let prefix = format!("{program}.");
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|n| n.strip_prefix(&prefix)?.strip_suffix(".ctl"));
        if pid.is_none_or(|pid| pid.parse::<u32>().is_err()) {
            continue;
        }
        let path = entry.path();
        let refused = io::ErrorKind::ConnectionRefused;
        if crate::stream::connect_unix(&path).is_err_and(|e| e.kind() == refused) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Serves one client until it goes away or sends what it must not.
async fn attend(
    mut connection: Connection,
    commands: Commands,
    calls: mpsc::Sender<Invocation>,
    under_way: Arc<AtomicUsize>,
) {
    static LIMIT: log::RateLimit = log::RateLimit::new(5, 5);
    let mut format = Format::Text;
    while let Ok(Some(message)) = connection.recv().await {
        let Message::Request { method, params, id } = message else {
            let (name, kind) = (connection.name(), message.kind());
            crate::limited!(
                LIMIT,
                Warn,
                "unixctl",
                "{name}: received unexpected {kind} message"
            );
            break;
        };
        crate::count!("unixctl_received");
        let text = Value::Array(params.clone());
        tracing::debug!(target: "unixctl", "received request {method}{text}, id={id}");
        under_way.fetch_add(1, Ordering::Relaxed);
        let outcome = call(&method, &params, &mut format, &commands, &calls).await;
        crate::count!("unixctl_replied");
        let (word, reply) = match outcome {
            Ok(answer) => {
                let result = answer.into_json(format);
                ("success", Message::Reply { result, id })
            }
            Err(text) => (
                "error",
                Message::Error {
                    error: text.into(),
                    id,
                },
            ),
        };
        tracing::debug!(target: "unixctl", "replying with {word}");
        connection.send(reply);
        let flushed = connection.flush().await;
        under_way.fetch_sub(1, Ordering::Relaxed);
        if flushed.is_err() {
            break;
        }
    }
}

async fn call(
    method: &str,
    params: &[Value],
    format: &mut Format,
    commands: &Commands,
    calls: &mpsc::Sender<Invocation>,
) -> Result<Answer, String> {
    let (handler, args) = commands.check(method, params)?;
    match (method, handler) {
        ("list-commands", _) => Ok(builtin::list(commands, *format)),
        ("set-options", _) => {
            *format = chosen_format(&args)?.unwrap_or(*format);
            Ok(Answer::Text(String::new()))
        }
        (_, Handler::Inside(answer)) => answer(&args, *format),
        (_, Handler::MainLoop) => {
            let (reply, answer) = Reply::new();
            let invocation = Invocation {
                name: method.to_string(),
                args,
                format: *format,
                reply,
            };
            if calls.send(invocation).await.is_err() {
                return Err("the program is ending".into());
            }
            answer
                .await
                .unwrap_or_else(|_| Err("the command was not answered".into()))
        }
    }
}

/// The options of `set-options`: `--format FORMAT`, `--format=FORMAT`, `-f FORMAT`, `-fFORMAT`.
fn chosen_format(args: &[String]) -> Result<Option<Format>, String> {
    let mut chosen = None;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let value = if let Some(rest) = word.strip_prefix("--") {
            let (name, value) = match rest.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (rest, None),
            };
            if name.is_empty() || !"format".starts_with(name) {
                return Err(format!("unrecognized option '{word}'"));
            }
            value
        } else if let Some(rest) = word.strip_prefix("-f") {
            (!rest.is_empty()).then(|| rest.to_string())
        } else if let Some(letter) = word.strip_prefix('-').and_then(|r| r.chars().next()) {
            return Err(format!("unrecognized option '{letter}'"));
        } else {
            break;
        };
        let value = match value.or_else(|| words.next().cloned()) {
            Some(value) => value,
            None => return Err(format!("option '{word}' requires an argument")),
        };
        let format = Format::from_name(&value)
            .ok_or_else(|| format!("option format has invalid value {value}"))?;
        chosen = Some(format);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Client;
    use serde_json::json;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| w.to_string()).collect()
    }

    #[test]
    fn formats_are_chosen_by_options() {
        assert_eq!(
            chosen_format(&words(&["--format", "json"])),
            Ok(Some(Format::Json))
        );
        assert_eq!(
            chosen_format(&words(&["--fo=TEXT"])),
            Ok(Some(Format::Text))
        );
        assert_eq!(chosen_format(&words(&["-fjson"])), Ok(Some(Format::Json)));
        for (args, error) in [
            (vec!["--x"], "unrecognized option '--x'"),
            (vec!["--format"], "option '--format' requires an argument"),
            (
                vec!["--format", "xml"],
                "option format has invalid value xml",
            ),
        ] {
            assert_eq!(chosen_format(&words(&args)), Err(error.to_string()));
        }
    }

    #[test]
    fn sockets_of_killed_processes_are_removed() {
        let dir = tempfile::tempdir().expect("temp dir");
        let socket = |name: &str| {
            let path = dir.path().join(name);
            (
                std::os::unix::net::UnixListener::bind(&path).expect("bind"),
                path,
            )
        };
        let (dead, dead_path) = socket("x.1.ctl");
        let (_alive, alive_path) = socket("x.2.ctl");
        let (other, other_path) = socket("x.y.ctl");
        drop((dead, other));
        remove_stale_sockets(dir.path(), "x");
        assert!(!dead_path.exists() && alive_path.exists() && other_path.exists());
    }

    #[tokio::test]
    async fn commands_are_checked_passed_on_and_answered() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x.ctl");
        let commands = Commands::new();
        commands.register("join", "WORD...", 1, 2);
        commands.register("fail", "", 0, 0);
        commands.register("forget", "", 0, 0);
        let name = path.to_str().expect("utf-8").to_string();
        let (server, mut calls) =
            serve(Some(&name), commands, &Clock::stopped_at(0)).expect("serve");
        assert_eq!(server.path(), Some(path.as_path()));
        let client = tokio::task::spawn_blocking(move || {
            let mut client = Client::connect(&path).expect("connect");
            let mut call = |words: &[&str]| {
                let args: Vec<String> = words[1..].iter().map(|w| w.to_string()).collect();
                client.call(words[0], &args).expect("call")
            };
            assert_eq!(call(&["join", "a", "b"]), Ok(json!("a,b")));
            assert_eq!(call(&["fail"]), Err(json!("failed")));
            assert_eq!(
                call(&["forget"]),
                Err(json!("the command was not answered"))
            );
            let errors = [
                (
                    vec!["join"],
                    "\"join\" command requires at least 1 arguments",
                ),
                (
                    vec!["join", "a", "b", "c"],
                    "\"join\" command takes at most 2 arguments",
                ),
                (
                    vec!["nope"],
                    "\"nope\" is not a valid command (use \"list-commands\" to see a list of \
                     valid commands)",
                ),
                (vec!["coverage/read-counter", "nope"], "No such counter"),
            ];
            for (words, error) in errors {
                assert_eq!(call(&words), Err(json!(error)));
            }
            let listed = call(&["list-commands"]).expect("listed");
            let listed = listed.as_str().expect("text");
            assert!(
                listed.starts_with("The available commands are:\n"),
                "{listed}"
            );
            assert!(
                listed.contains("  join                    WORD...\n"),
                "{listed}"
            );
            assert!(!listed.contains("vlog/message"), "{listed}");
            assert_eq!(call(&["set-options", "--format", "json"]), {
                Ok(json!({"reply": "", "reply-format": "plain"}))
            });
            assert_eq!(
                call(&["join", "a"]),
                Ok(json!({"reply": "a", "reply-format": "plain"}))
            );
        });
        let main_loop = async {
            while let Some(call) = calls.recv().await {
                match call.name.as_str() {
                    "join" => call.reply.ok(call.args.join(",")),
                    "fail" => call.reply.error("failed"),
                    _ => drop(call),
                }
            }
        };
        tokio::select! {
            done = client => done.expect("client"),
            () = main_loop => panic!("the channel closed"),
        }
        let path = server.path().map(Path::to_path_buf).expect("path");
        drop(server);
        assert!(!path.exists());
    }
}
