//! What can be called over the control socket, and how a call is answered.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The form in which a client wants its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: a document where a command has one, else its text in an object.
    Json,
}

impl Format {
    /// `text` or `json`, in any case.
    pub fn from_name(name: &str) -> Option<Format> {
        match name.to_ascii_lowercase().as_str() {
            "text" => Some(Format::Text),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// What a command that succeeded says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Text; the original adds no newline to it, the tool does where there is none.
    Text(String),
    /// A document, for clients that asked for [`Format::Json`].
    Json(Value),
}

impl From<String> for Answer {
    fn from(text: String) -> Answer {
        Answer::Text(text)
    }
}

impl From<Value> for Answer {
    fn from(json: Value) -> Answer {
        Answer::Json(json)
    }
}

impl Answer {
    /// The answer as it goes over the wire.
    pub(super) fn into_json(self, format: Format) -> Value {
        match (self, format) {
            (Answer::Text(text), Format::Text) => text.into(),
            (Answer::Text(text), Format::Json) => {
                json!({ "reply": text, "reply-format": "plain" })
            }
            (Answer::Json(json), Format::Json) => json,
            (Answer::Json(json), Format::Text) => json.to_string().into(),
        }
    }
}

/// The way back to whoever called. Dropped unused, it says that the command was not answered.
#[derive(Debug)]
pub struct Reply(Option<oneshot::Sender<Result<Answer, String>>>);

impl Reply {
    pub(super) fn new() -> (Reply, oneshot::Receiver<Result<Answer, String>>) {
        let (send, receive) = oneshot::channel();
        (Reply(Some(send)), receive)
    }

    /// Answers with a text or a document, or with what went wrong.
    pub fn send(mut self, outcome: Result<impl Into<Answer>, String>) {
        if let Some(sender) = self.0.take() {
            // A client that has gone away misses its answer.
            let _ = sender.send(outcome.map(Into::into));
        }
    }

    /// Answers with a text.
    pub fn ok(self, text: impl Into<String>) {
        self.send(Ok(text.into()));
    }

    /// Answers with what went wrong.
    pub fn error(self, text: impl Into<String>) {
        self.send(Err::<String, _>(text.into()));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Err("the command was not answered".into()));
        }
    }
}

/// A command that was called, with arguments of the number that it wants.
#[derive(Debug)]
pub struct Invocation {
    /// The command's name.
    pub name: String,
    /// Its arguments, without the name.
    pub args: Vec<String>,
    /// The form in which the client wants the answer.
    pub format: Format,
    /// The way back.
    pub reply: Reply,
}

type Inside = Arc<dyn Fn(&[String], Format) -> Result<Answer, String> + Send + Sync>;

#[derive(Clone)]
pub(super) enum Handler {
    /// The program's main loop.
    MainLoop,
    /// A function that needs nothing of the program's state.
    Inside(Inside),
}

#[derive(Clone)]
struct Command {
    /// None = hidden.
    usage: Option<String>,
    min_args: usize,
    max_args: usize,
    handler: Handler,
}

/// The commands of a program; clones share them, so that more can be registered at any time.
#[derive(Clone)]
pub struct Commands(Arc<Mutex<BTreeMap<String, Command>>>);

impl Default for Commands {
    fn default() -> Commands {
        Commands::new()
    }
}

impl Commands {
    /// The commands that every program has.
    pub fn new() -> Commands {
        let commands = Commands(Arc::default());
        super::builtin::register(&commands);
        commands
    }

    /// A command for the program's main loop. `usage` is what `list-commands` shows of its
    /// arguments; `usize::MAX` arguments = any number.
    pub fn register(&self, name: &str, usage: &str, min_args: usize, max_args: usize) {
        self.insert(name, Some(usage), min_args, max_args, Handler::MainLoop);
    }

    /// As [`Commands::register`], for a command that `list-commands` does not show.
    pub fn register_hidden(&self, name: &str, min_args: usize, max_args: usize) {
        self.insert(name, None, min_args, max_args, Handler::MainLoop);
    }

    /// A command that is answered at once, without the main loop.
    pub fn answer(
        &self,
        name: &str,
        usage: &str,
        min_args: usize,
        max_args: usize,
        answer: impl Fn(&[String], Format) -> Result<Answer, String> + Send + Sync + 'static,
    ) {
        let handler = Handler::Inside(Arc::new(answer));
        self.insert(name, Some(usage), min_args, max_args, handler);
    }

    /// As [`Commands::answer`], for a command that `list-commands` does not show.
    pub(super) fn answer_hidden(
        &self,
        name: &str,
        args: usize,
        answer: impl Fn(&[String], Format) -> Result<Answer, String> + Send + Sync + 'static,
    ) {
        self.insert(name, None, args, args, Handler::Inside(Arc::new(answer)));
    }

    fn insert(
        &self,
        name: &str,
        usage: Option<&str>,
        min_args: usize,
        max_args: usize,
        handler: Handler,
    ) {
        let usage = usage.map(str::to_string);
        let command = Command {
            usage,
            min_args,
            max_args,
            handler,
        };
        self.map().insert(name.to_string(), command);
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<String, Command>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names and usages of those that are not hidden, sorted by name.
    pub fn list(&self) -> Vec<(String, String)> {
        let all = self.map();
        all.iter()
            .filter_map(|(name, command)| Some((name.clone(), command.usage.clone()?)))
            .collect()
    }

    /// Checks a call; gives who answers it, and the arguments.
    pub(super) fn check(
        &self,
        name: &str,
        params: &[Value],
    ) -> Result<(Handler, Vec<String>), String> {
        let known = self.map().get(name).cloned();
        let Some(command) = known else {
            return Err(format!(
                "\"{name}\" is not a valid command (use \"list-commands\" to see a list of valid \
                 commands)"
            ));
        };
        if params.len() < command.min_args {
            let min = command.min_args;
            return Err(format!(
                "\"{name}\" command requires at least {min} arguments"
            ));
        }
        if params.len() > command.max_args {
            let max = command.max_args;
            return Err(format!("\"{name}\" command takes at most {max} arguments"));
        }
        let args: Option<Vec<String>> = params
            .iter()
            .map(|param| param.as_str().map(str::to_string))
            .collect();
        let args = args.ok_or_else(|| format!("\"{name}\" command has non-string argument"))?;
        Ok((command.handler, args))
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.map().keys()).finish()
    }
}
