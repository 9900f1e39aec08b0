//! The operations of `transact` (RFC 7047 §5.2), run over a [`Transaction`].

use crate::condition::Condition;
use crate::database::Database;
use crate::json::{self, Json, Members, accept};
use crate::mutation::Mutation;
use crate::row::{Column, Row, read_columns};
use crate::schema::TableSchema;
use crate::transaction::{Transaction, set_columns};
use crate::types::Datum;
use crate::{Error, Symbols, Uuid};
use std::collections::HashSet;

/// What surrounds a request.
pub struct Context<'a> {
    /// Whether the server refuses changes.
    pub read_only: bool,
    /// How long the request has waited already, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether the client owns the lock of this name.
    pub owns_lock: &'a dyn Fn(&str) -> bool,
}

impl Context<'_> {
    /// A client that may do anything, owns no locks, and just came.
    pub fn plain() -> Context<'static> {
        Context {
            read_only: false,
            elapsed_ms: 0,
            owns_lock: &|_| false,
        }
    }
}

/// What became of a request.
pub enum Outcome<'a> {
    /// The parameters are not a transaction on this database.
    Refused(Error),
    /// A `wait` does not hold yet; try again after a change, or when the request is this old.
    Wait {
        /// Milliseconds since the request came; none = no limit.
        timeout_ms: Option<u64>,
    },
    /// The operations ran; each result is JSON text.
    Ran {
        /// One result an operation; `null` for those after a failure.
        results: Vec<String>,
        /// What is to be committed; none = an operation failed.
        transaction: Option<Transaction<'a>>,
        /// Whether the client wants it on the disk before the answer.
        durable: bool,
    },
}

/// The JSON text of a list of results.
pub fn results_to_text(results: &[String]) -> String {
    format!("[{}]", results.join(","))
}

/// Runs `[db-name, operation...]`.
pub fn execute<'a>(db: &'a Database, params: &Json, context: &Context<'_>) -> Outcome<'a> {
    let Some(items) = params.as_array() else {
        return Outcome::Refused(Error::syntax(params, "array expected"));
    };
    let operations = match items.split_first() {
        Some((Json::String(name), operations)) if name == db.name() => operations,
        _ => {
            return Outcome::Refused(Error::syntax(
                params,
                "database name expected as first parameter",
            ));
        }
    };
    let mut run = Run {
        txn: Transaction::new(db),
        symbols: Symbols::new(),
        context,
        durable: false,
        timeout_ms: None,
    };
    let mut results = Vec::with_capacity(operations.len());
    let mut failed = false;
    for (at, operation) in operations.iter().enumerate() {
        if failed {
            results.push("null".to_owned());
            continue;
        }
        match run.operation(operation, at + 1, operations.len()) {
            Ok(result) => results.push(result),
            Err(Failure::NotYet) => {
                return Outcome::Wait {
                    timeout_ms: run.timeout_ms,
                };
            }
            Err(Failure::Error(error)) => {
                results.push(json::to_string(&error.to_json()));
                failed = true;
            }
        }
    }
    Outcome::Ran {
        results,
        durable: run.durable,
        transaction: (!failed).then_some(run.txn),
    }
}

enum Failure {
    Error(Error),
    /// A `wait` that may yet come true.
    NotYet,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

struct Run<'a, 'c> {
    txn: Transaction<'a>,
    symbols: Symbols,
    context: &'c Context<'c>,
    durable: bool,
    timeout_ms: Option<u64>,
}

/// The table that an operation names.
type Target<'a> = (usize, &'a TableSchema);

fn table<'a>(db: &'a Database, members: &mut Members<'_>) -> Option<Target<'a>> {
    let name = members
        .required("table", accept::id)
        .and_then(Json::as_str)?;
    let at = db.schema().table_index(name);
    let found = at.and_then(|at| Some((at, db.schema().tables.get(at)?)));
    if found.is_none() {
        members.raise(format!("No table named {name}."));
    }
    found
}

/// The error that the members had before they were all read, if there is one.
fn so_far(members: Members<'_>) -> Result<Members<'_>, Error> {
    if members.has_error() {
        members.finish()?;
        return Err(Error::syntax_plain("bad operation"));
    }
    Ok(members)
}

fn count(n: usize) -> String {
    format!("{{\"count\":{n}}}")
}

impl<'a> Run<'a, '_> {
    fn operation(&mut self, operation: &Json, at: usize, of: usize) -> Result<String, Failure> {
        let mut members = Members::new(operation, format!("ovsdb operation {at} of {of}"));
        let Some(op) = members.required("op", accept::id).and_then(Json::as_str) else {
            so_far(members)?;
            return Err(Error::syntax(operation, "operation expected").into());
        };
        let writes = matches!(op, "insert" | "update" | "mutate" | "delete" | "commit");
        let result = match op {
            "insert" => self.insert(members),
            "select" => self.select(members),
            "update" => self.update(members),
            "mutate" => self.mutate(members),
            "delete" => self.delete(members),
            "wait" => return self.wait(members),
            "commit" => {
                let durable = members.required("durable", accept::boolean);
                self.durable |= durable.and_then(Json::as_bool).unwrap_or(false);
                members.finish().map(|()| "{}".to_owned())
            }
            "abort" => members
                .finish()
                .and_then(|()| Err(Error::new("aborted", "aborted by request"))),
            "comment" => {
                if let Some(comment) = members
                    .required("comment", accept::string)
                    .and_then(Json::as_str)
                {
                    self.txn.add_comment(comment);
                }
                members.finish().map(|()| "{}".to_owned())
            }
            "assert" => self.assert(members),
            _ => {
                members.raise(format!("No operation \"{op}\""));
                members.finish().map(|()| String::new())
            }
        }?;
        if writes && self.context.read_only {
            return Err(Error::new(
                "not allowed",
                format!("{op} operation not allowed when database server is in read only mode"),
            )
            .into());
        }
        if writes && self.txn.db.name().starts_with('_') {
            return Err(Error::new(
                "not allowed",
                format!(
                    "{op} operation not allowed on table in reserved database {}",
                    self.txn.db.name()
                ),
            )
            .into());
        }
        Ok(result)
    }

    fn insert(&mut self, mut members: Members<'_>) -> Result<String, Error> {
        let target = table(self.txn.db, &mut members);
        let explicit = members.optional("uuid", accept::string);
        let name = members.optional("uuid-name", accept::id);
        let row = members.required("row", accept::object);
        let members = so_far(members)?;
        let (Some((at, schema)), Some(row_json)) = (target, row) else {
            return members.finish().map(|()| String::new());
        };
        let explicit_uuid = match explicit {
            None => None,
            Some(json) => {
                let uuid = json.as_str().and_then(Uuid::parse);
                let uuid = uuid.ok_or_else(|| Error::syntax(json, "bad uuid"))?;
                if !self.txn.may_insert(at, &uuid) {
                    return Err(Error::syntax_tagged(
                        json,
                        "duplicate uuid",
                        format!(
                            "This UUID would duplicate a UUID already present within the \"{}\" table or deleted \
                             from this table within the same transaction.",
                            schema.name
                        ),
                    ));
                }
                Some(uuid)
            }
        };
        let uuid = match name {
            Some(json) => {
                let symbol = self
                    .symbols
                    .get_or_insert(json.as_str().unwrap_or_default());
                if symbol.created {
                    return Err(Error::syntax_tagged(
                        json,
                        "duplicate uuid-name",
                        "This \"uuid-name\" appeared on an earlier \"insert\" operation.",
                    ));
                }
                if let Some(uuid) = explicit_uuid {
                    symbol.uuid = uuid;
                }
                symbol.created = true;
                symbol.uuid
            }
            None => explicit_uuid.unwrap_or_else(Uuid::random),
        };
        let columns = read_columns(schema, row_json, Some(&mut self.symbols))?;
        let mut row = Row::new(schema, uuid);
        set_columns(&mut row, &columns);
        for (column, datum) in row.fields(schema) {
            if datum.len() == 1 {
                column.type_.check(datum)?;
            }
        }
        members.finish()?;
        self.txn.insert(at, row);
        let mut result = String::from("{\"uuid\":");
        uuid.write_json(&mut result);
        result.push('}');
        Ok(result)
    }

    fn condition(&mut self, schema: &TableSchema, json: Option<&Json>) -> Result<Condition, Error> {
        match json {
            Some(json) => Condition::from_json(schema, json, Some(&mut self.symbols)),
            None => Ok(Condition::default()),
        }
    }

    fn select(&mut self, mut members: Members<'_>) -> Result<String, Error> {
        let target = table(self.txn.db, &mut members);
        let condition = members.required("where", accept::array);
        let columns = members.optional("columns", accept::array);
        let sort = members.optional("sort", accept::array);
        let members = so_far(members)?;
        let Some((at, schema)) = target else {
            return members.finish().map(|()| String::new());
        };
        let condition = self.condition(schema, condition)?;
        let columns = Column::set_from_json(schema, columns)?;
        let sort = Column::set_from_json(schema, sort)?;
        members.finish()?;
        let found = self.txn.select(at, &condition);
        let mut rows: Vec<&Row> = found
            .iter()
            .filter_map(|uuid| self.txn.get(at, uuid))
            .collect();
        // Without `_uuid` or `_version` two rows may look the same; each look is told once.
        if !columns
            .iter()
            .any(|c| matches!(c, Column::Uuid | Column::Version))
        {
            let mut seen = HashSet::new();
            rows.retain(|row| seen.insert(columns.iter().map(|&c| row.get(c)).collect::<Vec<_>>()));
        }
        rows.sort_by(|a, b| {
            let orders = sort.iter().map(|&c| a.get(c).compare(&b.get(c)));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        let mut out = String::from("{\"rows\":[");
        for (n, row) in rows.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            row.write_json(schema, &columns, &mut out);
        }
        out.push_str("]}");
        Ok(out)
    }

    fn update(&mut self, mut members: Members<'_>) -> Result<String, Error> {
        let target = table(self.txn.db, &mut members);
        let condition = members.required("where", accept::array);
        let row = members.required("row", accept::object);
        let operation = members.json();
        let members = so_far(members)?;
        let (Some((at, schema)), Some(row)) = (target, row) else {
            return members.finish().map(|()| String::new());
        };
        let columns = read_columns(schema, row, Some(&mut self.symbols))?;
        if let Some((column, _)) = columns.iter().find(|(c, _)| !c.is_mutable(schema)) {
            return Err(Error::syntax_tagged(
                operation,
                "constraint violation",
                format!(
                    "Cannot update immutable column {} in table {}.",
                    column.name(schema),
                    schema.name
                ),
            ));
        }
        let condition = self.condition(schema, condition)?;
        members.finish()?;
        let found = self.txn.select(at, &condition);
        for uuid in &found {
            let differs = |row: &Row| columns.iter().any(|(c, datum)| *row.get(*c) != *datum);
            if self.txn.get(at, uuid).is_some_and(differs)
                && let Some(row) = self.txn.modify(at, uuid)
            {
                set_columns(row, &columns);
            }
        }
        Ok(count(found.len()))
    }

    fn mutate(&mut self, mut members: Members<'_>) -> Result<String, Error> {
        let target = table(self.txn.db, &mut members);
        let condition = members.required("where", accept::array);
        let mutations = members.required("mutations", accept::array);
        let members = so_far(members)?;
        let (Some((at, schema)), Some(mutations)) = (target, mutations) else {
            return members.finish().map(|()| String::new());
        };
        let mutations = mutations
            .as_array()
            .into_iter()
            .flatten()
            .map(|m| Mutation::from_json(schema, m, Some(&mut self.symbols)))
            .collect::<Result<Vec<_>, _>>()?;
        let condition = self.condition(schema, condition)?;
        members.finish()?;
        let found = self.txn.select(at, &condition);
        if !mutations.is_empty() {
            for uuid in &found {
                if let Some(row) = self.txn.modify(at, uuid) {
                    mutations.iter().try_for_each(|m| m.apply(schema, row))?;
                }
            }
        }
        Ok(count(found.len()))
    }

    fn delete(&mut self, mut members: Members<'_>) -> Result<String, Error> {
        let condition = members.required("where", accept::array);
        let target = table(self.txn.db, &mut members);
        let members = so_far(members)?;
        let Some((at, schema)) = target else {
            return members.finish().map(|()| String::new());
        };
        let condition = self.condition(schema, condition)?;
        members.finish()?;
        let found = self.txn.select(at, &condition);
        found.iter().for_each(|uuid| self.txn.delete(at, uuid));
        Ok(count(found.len()))
    }

    fn wait(&mut self, mut members: Members<'_>) -> Result<String, Failure> {
        let timeout = members.optional("timeout", accept::int);
        let condition = members.required("where", accept::array);
        let columns = members.optional("columns", accept::array);
        let until = members.required("until", accept::string);
        let rows = members.required("rows", accept::array);
        let target = table(self.txn.db, &mut members);
        let members = so_far(members)?;
        let (Some((at, schema)), Some(until)) = (target, until) else {
            return Ok(members.finish().map(|()| String::new())?);
        };
        let condition = self.condition(schema, condition)?;
        let columns = Column::set_from_json(schema, columns)?;
        let timeout_ms = match timeout {
            None => None,
            Some(json) => {
                let ms = json::integer(json).and_then(|ms| u64::try_from(ms).ok());
                let ms = ms.ok_or_else(|| Error::syntax(json, "timeout must be nonnegative"))?;
                self.timeout_ms = Some(self.timeout_ms.map_or(ms, |t| t.min(ms)));
                Some(ms)
            }
        };
        let want_equal = match until.as_str() {
            Some("==") => true,
            Some("!=") => false,
            _ => return Err(Error::syntax(until, "\"until\" must be \"==\" or \"!=\"").into()),
        };
        let mut expected: HashSet<Vec<Datum>> = HashSet::new();
        for json in rows.and_then(Json::as_array).into_iter().flatten() {
            let given = read_columns(schema, json, Some(&mut self.symbols))?;
            let mut row = Row::new(schema, Uuid::ZERO);
            row.version = Uuid::ZERO;
            for (column, datum) in &given {
                let uuid = datum.first().and_then(|a| a.as_uuid()).unwrap_or_default();
                match column {
                    Column::Uuid => row.uuid = uuid,
                    Column::Version => row.version = uuid,
                    Column::At(_) => row.set(*column, datum.clone()),
                }
            }
            expected.insert(columns.iter().map(|&c| row.get(c).into_owned()).collect());
        }
        members.finish()?;
        let found = self.txn.select(at, &condition);
        let actual: HashSet<Vec<Datum>> = found
            .iter()
            .filter_map(|uuid| self.txn.get(at, uuid))
            .map(|row| columns.iter().map(|&c| row.get(c).into_owned()).collect())
            .collect();
        if (actual == expected) == want_equal {
            return Ok("{}".to_owned());
        }
        let elapsed = self.context.elapsed_ms;
        match timeout_ms {
            Some(timeout) if elapsed >= timeout => Err(Error::new(
                "timed out",
                if elapsed > 0 {
                    format!("\"wait\" timed out after {elapsed} ms")
                } else {
                    "\"where\" clause test failed".to_owned()
                },
            )
            .into()),
            _ => Err(Failure::NotYet),
        }
    }

    fn assert(&mut self, mut members: Members<'_>) -> Result<String, Error> {
        let lock = members.required("lock", accept::id).and_then(Json::as_str);
        members.finish()?;
        let lock = lock.unwrap_or_default();
        if (self.context.owns_lock)(lock) {
            Ok("{}".to_owned())
        } else {
            Err(Error::new(
                "not owner",
                format!("Asserted lock {lock} not held."),
            ))
        }
    }
}
