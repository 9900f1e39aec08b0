//! The commands.

use super::{Failure, show_log, usage};
use clock::Clock;
use ovsdb::execute::{Context, Outcome, execute, results_to_text};
use ovsdb::log::{LockFile, Log, Reader};
use ovsdb::{Database, Schema, file, json, record, schema};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version in the comments of what it writes.
const VERSION: &str = "4.0.0";

/// A command: its name, its arguments for `list-commands`, how few and how many, what it does.
type Command = (
    &'static str,
    &'static str,
    usize,
    usize,
    fn(&Arguments<'_>) -> Result<u8, Failure>,
);

struct Arguments<'a> {
    words: &'a [String],
    verbosity: u32,
}

impl Arguments<'_> {
    fn path(&self, at: usize) -> Option<PathBuf> {
        self.words.get(at).map(PathBuf::from)
    }

    fn db(&self) -> PathBuf {
        self.path(0).unwrap_or_else(default_db)
    }

    fn schema(&self, at: usize) -> PathBuf {
        self.path(at).unwrap_or_else(default_schema)
    }
}

/// A directory from the environment, or where packages put it.
fn directory(variable: &str, usual: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(usual),
    }
}

/// The database of the switch.
pub fn default_db() -> PathBuf {
    match std::env::var_os("OVS_DBDIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => match std::env::var_os("OVS_SYSCONFDIR") {
            Some(dir) if !dir.is_empty() => PathBuf::from(dir).join("openvswitch"),
            _ => PathBuf::from("/etc/openvswitch"),
        },
    }
    .join("conf.db")
}

/// Where packages put the schema of the switch.
pub fn default_schema() -> PathBuf {
    directory("OVS_PKGDATADIR", "/usr/share/openvswitch").join("vswitch.ovsschema")
}

const COMMANDS: &[Command] = &[
    ("create", "[db [schema]]", 0, 2, create),
    ("create-cluster", "db contents local", 3, 3, clustered),
    (
        "join-cluster",
        "db name local remote...",
        4,
        usize::MAX,
        clustered,
    ),
    ("compact", "[db [dst]]", 0, 2, compact),
    ("convert", "[db [schema [dst]]]", 0, 3, convert),
    ("needs-conversion", "", 0, 2, needs_conversion),
    ("db-name", "[db]", 0, 1, |a| print_db(a, |s| s.name)),
    ("db-version", "[db]", 0, 1, |a| print_db(a, |s| s.version)),
    ("db-cksum", "[db]", 0, 1, |a| print_db(a, |s| s.cksum)),
    ("db-cid", "db", 1, 1, not_clustered),
    ("db-sid", "db", 1, 1, not_clustered),
    ("db-local-address", "db", 1, 1, not_clustered),
    ("db-is-clustered", "db", 1, 1, |a| is_kind(a, true)),
    ("db-is-standalone", "db", 1, 1, |a| is_kind(a, false)),
    ("schema-name", "[schema]", 0, 1, |a| {
        print_schema(a, |s| s.name)
    }),
    ("schema-version", "[schema]", 0, 1, |a| {
        print_schema(a, |s| s.version)
    }),
    ("schema-cksum", "[schema]", 0, 1, |a| {
        print_schema(a, |s| s.cksum)
    }),
    ("query", "[db] trns", 1, 2, |a| transact(a, false)),
    ("transact", "[db] trns", 1, 2, |a| transact(a, true)),
    ("show-log", "[db]", 0, 1, |a| {
        show_log::show(&a.db(), a.verbosity).map(|()| 0)
    }),
    ("check-cluster", "db...", 1, usize::MAX, clustered),
    ("compare-versions", "a op b", 3, 3, compare_versions),
    ("help", "", 0, usize::MAX, |_| {
        usage::print();
        Ok(0)
    }),
    ("list-commands", "", 0, usize::MAX, list_commands),
    ("cluster-to-standalone", "db clusterdb", 2, 2, clustered),
];

/// Runs a command; answers the exit code.
///
/// # Errors
/// One line.
pub fn run(name: &str, words: &[String], verbosity: u32) -> Result<u8, Failure> {
    let Some((_, _, min, max, command)) = COMMANDS.iter().find(|c| c.0 == name) else {
        return Err(format!("unknown command '{name}'; use --help for help"));
    };
    if words.len() < *min {
        return Err(format!(
            "'{name}' command requires at least {min} arguments"
        ));
    }
    if words.len() > *max {
        return Err(format!("'{name}' command takes at most {max} arguments"));
    }
    command(&Arguments { words, verbosity })
}

fn text(error: ovsdb::Error) -> Failure {
    error.to_string()
}

fn list_commands(_: &Arguments<'_>) -> Result<u8, Failure> {
    for (name, arguments, ..) in COMMANDS {
        say!("{}", format!("  {name:<23} {arguments}").trim_end());
    }
    Ok(0)
}

fn create(args: &Arguments<'_>) -> Result<u8, Failure> {
    let schema = Schema::from_file(&args.schema(1)).map_err(text)?;
    Log::create(&args.db(), &[json::to_string(&schema.to_json())]).map_err(text)?;
    Ok(0)
}

fn clustered(args: &Arguments<'_>) -> Result<u8, Failure> {
    Err(format!(
        "{}: clustered databases are not supported",
        args.db().display()
    ))
}

/// Reads a whole file; a faulty tail is told and left out.
fn read(path: &Path, schema: Option<Arc<Schema>>) -> Result<Database, Failure> {
    let mut reader = Reader::open(path, false).map_err(text)?;
    let (database, tail) = file::read_all(&mut reader, path, schema).map_err(text)?;
    match tail {
        Some(error) => Err(error.to_string()),
        None => Ok(database),
    }
}

fn compact(args: &Arguments<'_>) -> Result<u8, Failure> {
    rewrite(args, &args.db(), args.path(1), None, "compacted")
}

fn convert(args: &Arguments<'_>) -> Result<u8, Failure> {
    let schema = Schema::from_file(&args.schema(1)).map_err(text)?;
    rewrite(
        args,
        &args.db(),
        args.path(2),
        Some(Arc::new(schema)),
        "converted",
    )
}

fn rewrite(
    _: &Arguments<'_>,
    source: &Path,
    target: Option<PathBuf>,
    schema: Option<Arc<Schema>>,
    what: &str,
) -> Result<u8, Failure> {
    // Locked first, so that nobody else writes while it is read.
    let locked = match &target {
        None => Some(LockFile::lock(source).map_err(text)?),
        Some(_) => None,
    };
    let database = read(source, schema)?;
    let comment = format!("{what} by ovsdb-tool {VERSION}");
    let records = [
        json::to_string(&database.schema().to_json()),
        record::encode_all(&database, Some(&comment), Clock::real().wall_ms(), false),
    ];
    match (target, locked) {
        (Some(target), _) => {
            let target = std::fs::canonicalize(&target).unwrap_or(target);
            if target.exists() {
                return replace(&target, LockFile::lock(&target).map_err(text)?, &records);
            }
            Log::create(&target, &records).map_err(text)?;
            Ok(0)
        }
        (None, Some(lock)) => replace(source, lock, &records),
        (None, None) => Ok(0),
    }
}

fn replace(path: &Path, lock: LockFile, records: &[String]) -> Result<u8, Failure> {
    let reader = Reader::open(path, true).map_err(text)?;
    Log::from_reader(reader, lock)
        .replace(records)
        .map_err(text)?;
    Ok(0)
}

fn needs_conversion(args: &Arguments<'_>) -> Result<u8, Failure> {
    let ours = file::read_schema(&args.db()).map_err(text)?;
    let theirs = Schema::from_file(&args.schema(1)).map_err(text)?;
    say!("{}", if ours == theirs { "no" } else { "yes" });
    Ok(0)
}

fn print_db(args: &Arguments<'_>, what: impl FnOnce(Schema) -> String) -> Result<u8, Failure> {
    say!("{}", what(file::read_schema(&args.db()).map_err(text)?));
    Ok(0)
}

fn print_schema(args: &Arguments<'_>, what: impl FnOnce(Schema) -> String) -> Result<u8, Failure> {
    say!(
        "{}",
        what(Schema::from_file(&args.schema(0)).map_err(text)?)
    );
    Ok(0)
}

fn not_clustered(args: &Arguments<'_>) -> Result<u8, Failure> {
    let reader = Reader::open(&args.db(), false).map_err(text)?;
    if reader.is_clustered() {
        return clustered(args);
    }
    Err(format!("{}: not a clustered database", args.db().display()))
}

/// Exit code 0 if the file is of that kind, else 2.
fn is_kind(args: &Arguments<'_>, clustered: bool) -> Result<u8, Failure> {
    let reader = Reader::open(&args.db(), false).map_err(text)?;
    Ok(if reader.is_clustered() == clustered {
        0
    } else {
        2
    })
}

fn transact(args: &Arguments<'_>, write: bool) -> Result<u8, Failure> {
    let path = if args.words.len() > 1 {
        args.db()
    } else {
        default_db()
    };
    let request = args.words.last().map(String::as_str).unwrap_or_default();
    let request = json::parse(request.as_bytes()).map_err(|why| format!("\"{request}\": {why}"))?;
    let lock = if write {
        Some(LockFile::lock(&path).map_err(text)?)
    } else {
        None
    };
    let mut reader = Reader::open(&path, write).map_err(text)?;
    let (database, tail) = file::read_all(&mut reader, &path, None).map_err(text)?;
    if let Some(error) = tail {
        return Err(error.to_string());
    }
    let answer = match execute(&database, &request, &Context::plain()) {
        Outcome::Refused(error) => json::to_string(&error.to_json()),
        Outcome::Wait { .. } => {
            let error = ovsdb::Error::new("not supported", "triggers not supported");
            results_to_text(&[json::to_string(&error.to_json())])
        }
        Outcome::Ran {
            mut results,
            transaction,
            ..
        } => {
            let committed = transaction.map_or(Ok(()), |txn| {
                let prepared = txn.prepare()?;
                let record =
                    record::encode(database.schema(), &prepared.commit, Clock::real().wall_ms());
                match (record, lock) {
                    (Some(record), Some(lock)) => {
                        let mut log = Log::from_reader(reader, lock);
                        log.append(&record)?;
                        log.sync()
                    }
                    (Some(_), None) => Err(ovsdb::Error::new(
                        "not allowed",
                        "query may not change the database",
                    )),
                    (None, _) => Ok(()),
                }
            });
            if let Err(error) = committed {
                results.push(json::to_string(&error.to_json()));
            }
            results_to_text(&results)
        }
    };
    // Sorted members, as the original prints.
    let answer = json::parse(answer.as_bytes())?;
    say!("{}", json::to_string(&answer));
    Ok(0)
}

/// Exit code 0 if the comparison holds, else 2.
fn compare_versions(args: &Arguments<'_>) -> Result<u8, Failure> {
    let [a, op, b] = args.words else {
        return Err("compare-versions takes three arguments".to_owned());
    };
    let version = |text: &str| {
        schema::parse_version(text)
            .ok_or_else(|| format!("{text}: not an OVSDB version number in format x.y.z"))
    };
    let order = version(a)?.cmp(&version(b)?);
    let holds = match op.as_str() {
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        "==" => order == Ordering::Equal,
        ">=" => order != Ordering::Less,
        ">" => order == Ordering::Greater,
        "!=" => order != Ordering::Equal,
        _ => return Err(format!("{op}: not a relational operator")),
    };
    Ok(if holds { 0 } else { 2 })
}
