//! The life of such a tool: options, connection, commands, transaction, output, the wait for the
//! daemon.

use super::names::RowId;
use super::options::{self, Options, Stop};
use super::show::ShowTable;
use super::syntax::{self, Command, Context, Failure, Syntax};
use super::working::{Request, Working};
use crate::deadline;
use crate::getopt;
use crate::ovsdb_client::table::{Format, Printer, Table};
use clock::Clock;
use daemon::log;
use daemon::stream::Address;
use ovsdb::replica::{self, Replica};
use ovsdb::{Atom, Json, Symbols, Uuid, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// What makes one tool different from another.
pub struct Program {
    /// The database's name.
    pub database: &'static str,
    /// The version of the schema that the tool was written for.
    pub schema_version: String,
    /// The module that logs.
    pub module: &'static str,
    /// The commands beside the general ones.
    pub commands: &'static [Syntax],
    /// How rows are named.
    pub row_ids: &'static [RowId],
    /// The tree of `show`; empty = there is none.
    pub show: &'static [ShowTable],
    /// How tables are printed unless the user says otherwise.
    pub format: Format,
    /// The table of the one row that stands for the whole.
    pub root: &'static str,
    /// Columns of the root: the number of the configuration wanted, and of the one in effect.
    pub configured: (&'static str, &'static str),
    /// The text of `--help` for a program of that name.
    pub usage: fn(&str) -> String,
    /// Looks at rows that the daemon was to bring to life; complaints about those that it did not.
    pub check: fn(&Working, &[Uuid]) -> Vec<String>,
}

/// The exit code when the daemon did not do what the database says: `EX_DATAERR` of sysexits.h.
const DATA_ERROR: u8 = 65;

/// `main` of such a program.
pub fn main(program: &Program) -> ExitCode {
    let clock = Clock::real();
    log::start(
        &daemon::options::program_name(),
        &[program.module, "db_ctl_base", "ovsdb_idl"],
        &clock,
    );
    for spec in ["any:console:warn", "reconnect:warn"] {
        let _ = log::set(spec);
    }
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut commands: Vec<Syntax> = program.commands.to_vec();
    commands.extend(super::commands::COMMANDS);
    if !program.show.is_empty() {
        commands.push(super::show::COMMAND);
    }
    let given = words.get(1..).unwrap_or_default();
    let parsed = match options::parse(program, &commands, given) {
        Ok(parsed) => parsed,
        Err(Stop::Done(text)) => {
            put!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(Stop::Failed(complaint)) => {
            if let Some(complaint) = complaint {
                log::complain(&complaint);
            }
            return ExitCode::FAILURE;
        }
        Err(Stop::Usage(complaint)) => {
            getopt::complain(&complaint);
            return ExitCode::FAILURE;
        }
    };
    let (options, local, rest) = parsed;
    let outcome = syntax::parse(&commands, &rest, local)
        .map_err(Failure::from)
        .and_then(|cmds| {
            let line = escaped(&words);
            if cmds.iter().any(|command| command.syntax.writes) {
                log::line(
                    program.module,
                    log::Level::Info,
                    &format!("Called as {line}"),
                );
            }
            deadline::arm(options.timeout, &clock);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|e| Failure::Fatal(log::reason(&e)))?;
            runtime.block_on(
                Session {
                    program,
                    options,
                    commands: cmds,
                    line,
                }
                .run(clock),
            )
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Exit(code)) => ExitCode::from(code),
        Err(Failure::Fatal(complaint)) => {
            let _ = log::set(&format!("{}:console:off", program.module));
            log::line(program.module, log::Level::Err, &complaint);
            log::complain(&complaint);
            ExitCode::FAILURE
        }
    }
}

/// A command line as a shell would take it.
fn escaped(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-,./:=@_^+%~#?".contains(c);
    let escape = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    words.iter().map(escape).collect::<Vec<_>>().join(" ")
}

/// What one command has to print.
struct Output {
    text: String,
    table: Option<Table>,
}

/// What the commands have made of a copy of the database.
struct Done {
    working: Working,
    outputs: Vec<Output>,
    watched: Vec<Uuid>,
}

struct Session<'a> {
    program: &'a Program,
    options: Options,
    commands: Vec<Command>,
    line: String,
}

impl Session<'_> {
    async fn run(self, clock: Clock) -> Result<(), Failure> {
        let db = &self.options.db;
        let mut wanted = replica::Options::new(db, self.program.database);
        wanted.rundir = daemon::dirs::rundir().to_string_lossy().into_owned();
        let mut replica = Replica::start(clock, wanted).map_err(|e| unusable(db, e))?;
        loop {
            self.synced(&mut replica).await?;
            if let Some(mut done) = self.execute(&replica)? {
                let request = done.working.request();
                if self.commit(&mut replica, &mut done, request).await? {
                    return Ok(());
                }
            }
            replica.changed().await;
        }
    }

    /// Waits for the database; without `--retry`, the first failure is the last.
    async fn synced(&self, replica: &mut Replica) -> Result<(), Failure> {
        while !replica.is_synced() {
            if let Some(error) = replica.last_error().filter(|_| !self.options.retry) {
                let error = if error == "connection closed by peer" {
                    "End of file"
                } else {
                    &error
                };
                let db = &self.options.db;
                return Err(format!("{db}: database connection failed ({error})").into());
            }
            replica.changed().await;
        }
        Ok(())
    }

    /// Runs the commands on a copy; none if they have to wait for a change.
    fn execute(&self, replica: &Replica) -> Result<Option<Done>, Failure> {
        let Some(mut db) = Working::new(replica.view()) else {
            return Ok(None);
        };
        let (program, parent) = (log::program(), parent_process());
        db.comment(&format!("{program} (invoked by {parent}): {}", self.line));
        let table = self.program.root;
        let root = match db.rows(table).first() {
            Some(row) => *row,
            None => db.insert(table),
        };
        if self.options.wait {
            db.increment(table, root, self.program.configured.0);
        }
        let mut symbols = Symbols::new();
        let mut watched = Vec::new();
        let mut outputs = Vec::new();
        for command in &self.commands {
            let mut ctx = Context {
                db: &mut db,
                symbols: &mut symbols,
                row_ids: self.program.row_ids,
                show: self.program.show,
                args: &command.args,
                options: &command.options,
                output: String::new(),
                table: None,
                try_again: false,
                watched: &mut watched,
            };
            (command.syntax.run)(&mut ctx)?;
            if ctx.try_again {
                return Ok(None);
            }
            outputs.push(Output {
                text: ctx.output,
                table: ctx.table,
            });
        }
        self.check_symbols(&symbols)?;
        Ok(Some(Done {
            working: db,
            outputs,
            watched,
        }))
    }

    fn check_symbols(&self, symbols: &Symbols) -> Result<(), Failure> {
        for (name, symbol) in symbols.iter() {
            if !symbol.created {
                return Err(format!(
                    "row id \"{name}\" is referenced but never created (e.g. with \"-- --id={name} \
                     create ...\")"
                )
                .into());
            }
            if symbol.strong_ref {
                continue;
            }
            let what = if symbol.weak_ref {
                "only a weak reference to it was inserted"
            } else {
                "no reference to it was inserted"
            };
            let but = format!(
                "row id \"{name}\" was created but {what}, so it will not actually appear in the \
                 database"
            );
            log::line(self.program.module, log::Level::Warn, &but);
        }
        Ok(())
    }

    /// Sends the transaction, prints, and waits for the daemon; false if all has to be done again.
    async fn commit(
        &self,
        replica: &mut Replica,
        done: &mut Done,
        request: Option<Request>,
    ) -> Result<bool, Failure> {
        let mut wanted = None;
        if let Some(mut request) = request {
            if self.options.dry_run {
                request.operations.push(serde_json::json!({"op": "abort"}));
            }
            let results = match replica.transact(request.operations.clone()).await {
                None => return Ok(false),
                Some(Err(error)) => return Err(transaction_error(&error)),
                Some(Ok(results)) => results,
            };
            match judge(&results, self.options.dry_run)? {
                Verdict::TryAgain => return Ok(false),
                Verdict::Unchanged => {}
                Verdict::Success => {
                    let given = inserted(&request, &results);
                    for output in &mut done.outputs {
                        for (ours, theirs) in &given {
                            output.text =
                                output.text.replace(&ours.to_string(), &theirs.to_string());
                        }
                    }
                    for row in &mut done.watched {
                        *row = given.get(row).copied().unwrap_or(*row);
                    }
                    wanted = request.increment.map(|at| self.new_value(results.get(at)));
                }
            }
        }
        self.print(&done.outputs);
        if let Some(wanted) = wanted {
            self.wait_for_daemon(replica, wanted, &done.watched).await?;
        }
        Ok(true)
    }

    /// The number that the transaction has given the configuration.
    fn new_value(&self, result: Option<&Json>) -> i64 {
        let row = result.and_then(|result| result.get("rows")?.get(0));
        row.and_then(|row| json::integer(row.get(self.program.configured.0)?))
            .unwrap_or(0)
    }

    fn print(&self, outputs: &[Output]) {
        let mut printer = Printer::default();
        let mut text = String::new();
        for output in outputs {
            if let Some(table) = &output.table {
                text.push_str(&printer.print(table, &self.options.style));
            } else if self.options.oneline {
                let line = output.text.strip_suffix('\n').unwrap_or(&output.text);
                text.push_str(&line.replace('\\', "\\\\").replace('\n', "\\n"));
                text.push('\n');
            } else {
                text.push_str(&output.text);
            }
        }
        put!("{text}");
        daemon::out::flush();
    }

    async fn wait_for_daemon(
        &self,
        replica: &mut Replica,
        wanted: i64,
        watched: &[Uuid],
    ) -> Result<(), Failure> {
        let view = loop {
            let view = replica.view();
            let current = |row: replica::RowView<'_>| {
                row.get(self.program.configured.1)?
                    .first()
                    .and_then(Atom::as_integer)
            };
            if view
                .rows(self.program.root)
                .any(|row| current(row).is_some_and(|c| c >= wanted))
            {
                break view;
            }
            replica.changed().await;
        };
        let Some(db) = Working::new(view) else {
            return Ok(());
        };
        let complaints = (self.program.check)(&db, watched);
        if complaints.is_empty() {
            return Ok(());
        }
        for complaint in complaints {
            log::complain(&complaint);
        }
        Err(Failure::Exit(DATA_ERROR))
    }
}

/// Why `db` is no place to connect to.
fn unusable(db: &str, error: String) -> String {
    match db.parse() {
        Err::<Address, _>(e) => e.to_string(),
        Ok(Address::Passive(_)) => {
            format!("{db}: cannot wait for a database to connect (use unix: or tcp:)")
        }
        Ok(Address::Active(_)) => error,
    }
}

enum Verdict {
    Success,
    Unchanged,
    TryAgain,
}

/// What the results of a transaction's operations say.
fn judge(results: &[Json], dry_run: bool) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Success;
    for result in results {
        let Some(error) = result.get("error").and_then(Json::as_str) else {
            continue;
        };
        match error {
            "timed out" => verdict = Verdict::TryAgain,
            "aborted" if dry_run => verdict = Verdict::Unchanged,
            // Told of by the operation that failed.
            "aborted" => {}
            _ => return Err(transaction_error(result)),
        }
    }
    Ok(verdict)
}

fn transaction_error(error: &Json) -> Failure {
    let text = format!("transaction error: {}", json::to_string(error));
    tracing::warn!(target: "ovsdb_idl", "{text}");
    Failure::Fatal(text)
}

/// The UUIDs that the server gave to new rows, by those that stood for them.
fn inserted(request: &Request, results: &[Json]) -> BTreeMap<Uuid, Uuid> {
    let given = |at: usize| Uuid::parse(results.get(at)?.get("uuid")?.get(1)?.as_str()?);
    request
        .inserts
        .iter()
        .filter_map(|&(at, ours)| Some((ours, given(at)?)))
        .collect()
}

/// Who called this program: command and process id.
fn parent_process() -> String {
    let Some(parent) = rustix::process::getppid() else {
        return "init (pid 0)".into();
    };
    let parent = parent.as_raw_nonzero();
    let line = std::fs::read(format!("/proc/{parent}/cmdline")).unwrap_or_default();
    let name = line
        .split(|&b| b == 0 || b == b'\n')
        .next()
        .unwrap_or_default();
    format!("{} (pid {parent})", String::from_utf8_lossy(name))
}
