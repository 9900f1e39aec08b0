//! What a client watches, and the updates that tell it (RFC 7047 §4.1.5 and its later kinds).
//!
//! A [`Spec`] is the whole of what a client asked for. Clients with equal specs (and most ask for
//! the same) share it, so an update is encoded once, whoever many hear it.

use crate::commit::{Change, Commit};
use crate::condition::Condition;
use crate::database::Database;
use crate::json::{Json, Members, accept};
use crate::row::{Column, Row};
use crate::schema::TableSchema;
use crate::{Error, Uuid};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which method began the monitor; it decides the form of its updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `monitor`, told by `update`.
    V1,
    /// `monitor_cond`, told by `update2`.
    V2,
    /// `monitor_cond_since`, told by `update3`.
    V3,
}

impl Version {
    /// The version that a method begins.
    pub fn of_method(method: &str) -> Option<Version> {
        match method {
            "monitor" => Some(Version::V1),
            "monitor_cond" => Some(Version::V2),
            "monitor_cond_since" => Some(Version::V3),
            _ => None,
        }
    }

    /// The notification's method.
    pub fn update_method(self) -> &'static str {
        match self {
            Version::V1 => "update",
            Version::V2 => "update2",
            Version::V3 => "update3",
        }
    }
}

/// Kinds of changes: the rows that are there, inserted, deleted, modified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Select(u8);

impl Select {
    const INITIAL: Select = Select(1);
    const INSERT: Select = Select(2);
    const DELETE: Select = Select(4);
    const MODIFY: Select = Select(8);
    const ALL: Select = Select(15);

    fn has(self, kind: Select) -> bool {
        self.0 & kind.0 != 0
    }

    fn from_json(json: Option<&Json>, table: &str) -> Result<Select, Error> {
        let Some(json) = json else {
            return Ok(Select::ALL);
        };
        let mut members = Members::new(json, format!("table {table} select"));
        let mut select = Select::default();
        for (name, kind) in [
            ("initial", Select::INITIAL),
            ("insert", Select::INSERT),
            ("delete", Select::DELETE),
            ("modify", Select::MODIFY),
        ] {
            let wanted = members
                .optional(name, accept::boolean)
                .and_then(Json::as_bool);
            if wanted.unwrap_or(true) {
                select.0 |= kind.0;
            }
        }
        members.finish().map(|()| select)
    }
}

/// What is watched of one table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Watched {
    table: usize,
    select: Select,
    columns: Vec<(Column, Select)>,
    condition: Condition,
}

/// What a client watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The form of its updates.
    pub version: Version,
    tables: Vec<Watched>,
}

/// Rows that changed, each as the client knows it and as it is now.
pub type Pending = BTreeMap<(usize, Uuid), Change>;

/// Adds a commit to changes that were not told yet.
pub fn merge(pending: &mut Pending, commit: &Commit) {
    for change in &commit.changes {
        let key = (change.table, change.uuid());
        match pending.get_mut(&key) {
            None => {
                pending.insert(key, change.clone());
            }
            Some(known) => {
                known.new = change.new.clone();
                if known.old.is_none() && known.new.is_none() {
                    pending.remove(&key);
                }
            }
        }
    }
}

impl Spec {
    /// Reads `<monitor-requests>`.
    ///
    /// # Errors
    /// A `"syntax error"`, `"unknown column"`...
    pub fn from_json(db: &Database, requests: &Json, version: Version) -> Result<Spec, Error> {
        let Some(requests) = requests.as_object() else {
            return Err(Error::syntax(requests, "monitor-requests must be object"));
        };
        let mut spec = Spec {
            version,
            tables: Vec::new(),
        };
        for (name, request) in requests {
            let found = db.schema().table_index(name);
            let Some((at, table)) = found.and_then(|at| Some((at, db.schema().tables.get(at)?)))
            else {
                return Err(Error::syntax_plain(format!("no table named {name}")));
            };
            let mut watched = Watched {
                table: at,
                select: Select::default(),
                columns: Vec::new(),
                condition: Condition::default(),
            };
            match request.as_array() {
                Some(requests) => {
                    for request in requests {
                        watched.add(table, request, version)?;
                    }
                }
                None => watched.add(table, request, version)?,
            }
            spec.tables.push(watched);
        }
        Ok(spec)
    }

    /// The spec with other conditions, as `monitor_cond_change` asks.
    ///
    /// # Errors
    /// A `"syntax error"`, `"unknown column"`...
    pub fn with_conditions(&self, db: &Database, requests: &Json) -> Result<Spec, Error> {
        let Some(requests) = requests.as_object() else {
            return Err(Error::syntax_plain(
                "monitor-cond-change-requests must be object",
            ));
        };
        let mut spec = self.clone();
        for (name, request) in requests {
            let found = db.schema().table_index(name);
            let Some((at, table)) = found.and_then(|at| Some((at, db.schema().tables.get(at)?)))
            else {
                return Err(Error::syntax_plain(format!("no table named {name}")));
            };
            let Some(watched) = spec.tables.iter_mut().find(|w| w.table == at) else {
                return Err(Error::syntax_plain(format!(
                    "no table named {name} in monitor session"
                )));
            };
            let Some(requests) = request.as_array() else {
                return Err(Error::syntax_plain(format!(
                    "table {name} no monitor-cond-change JSON array"
                )));
            };
            for request in requests {
                let mut members = Members::new(request, format!("table {name}"));
                let columns = members.optional("columns", accept::array);
                let condition = members.optional("where", accept::array);
                members.finish()?;
                if columns.is_some() {
                    return Err(Error::syntax(request, "changing columns is unsupported"));
                }
                if let Some(condition) = condition
                    && self.version != Version::V1
                {
                    watched.condition = Condition::from_json(table, condition, None)?;
                }
            }
        }
        Ok(spec)
    }

    /// The rows that are there, as `<table-updates>`.
    pub fn initial(&self, db: &Database) -> String {
        let mut out = Tables::new();
        for watched in self.tables.iter().filter(|w| w.select.has(Select::INITIAL)) {
            let Some((schema, table)) = db.table_at(watched.table) else {
                continue;
            };
            for row in table.rows() {
                if watched.condition.matches_any(schema, row) {
                    let mut text = String::new();
                    watched.write(
                        self.version,
                        schema,
                        Select::INITIAL,
                        None,
                        Some(row),
                        &mut text,
                    );
                    out.row(&schema.name, row.uuid, &text);
                }
            }
        }
        out.finish()
    }

    /// The changes that this spec's clients want to hear of, as `<table-updates>`; none = nothing.
    pub fn update<'a>(
        &self,
        db: &Database,
        changes: impl Iterator<Item = &'a Change> + Clone,
    ) -> Option<String> {
        let mut out = Tables::new();
        for watched in &self.tables {
            let Some((schema, _)) = db.table_at(watched.table) else {
                continue;
            };
            for change in changes.clone().filter(|c| c.table == watched.table) {
                let (old, new) = (change.old.as_deref(), change.new.as_deref());
                let mut text = String::new();
                if watched.change(self.version, schema, old, new, &mut text) {
                    out.row(&schema.name, change.uuid(), &text);
                }
            }
        }
        (!out.is_empty()).then(|| out.finish())
    }

    /// What a change from this spec's conditions to `next`'s shows and hides; none = nothing.
    pub fn condition_update(&self, db: &Database, next: &Spec) -> Option<String> {
        let mut out = Tables::new();
        for (watched, next) in self.tables.iter().zip(&next.tables) {
            let Some((schema, table)) = db.table_at(watched.table) else {
                continue;
            };
            if watched.condition == next.condition {
                continue;
            }
            for row in table.rows() {
                let before = watched.condition.matches_any(schema, row);
                let after = next.condition.matches_any(schema, row);
                let kind = match (before, after) {
                    (false, true) => Select::INSERT,
                    (true, false) => Select::DELETE,
                    _ => continue,
                };
                if next.select.has(kind) {
                    let mut text = String::new();
                    next.write(self.version, schema, kind, Some(row), Some(row), &mut text);
                    out.row(&schema.name, row.uuid, &text);
                }
            }
        }
        (!out.is_empty()).then(|| out.finish())
    }
}

impl Watched {
    fn add(&mut self, table: &TableSchema, request: &Json, version: Version) -> Result<(), Error> {
        let mut members = Members::new(request, format!("table {}", table.name));
        let condition = if version == Version::V1 {
            None
        } else {
            members.optional("where", accept::array)
        };
        let columns = members.optional("columns", accept::array);
        let select = members.optional("select", accept::object);
        members.finish()?;
        let select = Select::from_json(select, &table.name)?;
        self.select.0 |= select.0;
        match columns {
            None => {
                let all = Column::all(table)
                    .into_iter()
                    .filter(|c| *c != Column::Uuid);
                for column in all {
                    self.add_column(table, column, select, columns)?;
                }
            }
            Some(json) => {
                for name in json.as_array().into_iter().flatten() {
                    let name = name
                        .as_str()
                        .ok_or_else(|| Error::syntax(json, "array of column names expected"))?;
                    let column = Column::find(table, name).ok_or_else(|| {
                        Error::syntax(json, format!("{name} is not a valid column name"))
                    })?;
                    self.add_column(table, column, select, columns)?;
                }
            }
        }
        if let Some(condition) = condition {
            self.condition = Condition::from_json(table, condition, None)?;
        }
        Ok(())
    }

    fn add_column(
        &mut self,
        table: &TableSchema,
        column: Column,
        select: Select,
        json: Option<&Json>,
    ) -> Result<(), Error> {
        if self.columns.iter().any(|(c, _)| *c == column) {
            return Err(Error::syntax(
                json.unwrap_or(&Json::Null),
                format!("column {} mentioned more than once", column.name(table)),
            ));
        }
        self.columns.push((column, select));
        Ok(())
    }

    /// Appends a row's change; false if the client does not want to hear of it.
    fn change(
        &self,
        version: Version,
        schema: &TableSchema,
        old: Option<&Row>,
        new: Option<&Row>,
        out: &mut String,
    ) -> bool {
        let seen = |row: &&Row| self.condition.matches_any(schema, row);
        let kind = match (old.filter(seen), new.filter(seen)) {
            (None, None) => return false,
            (None, Some(_)) => Select::INSERT,
            (Some(_), None) => Select::DELETE,
            (Some(old), Some(new)) => {
                if self.columns.iter().all(|(c, _)| old.get(*c) == new.get(*c)) {
                    return false;
                }
                Select::MODIFY
            }
        };
        if !self.select.has(kind) {
            return false;
        }
        self.write(version, schema, kind, old, new, out);
        true
    }

    fn write(
        &self,
        version: Version,
        schema: &TableSchema,
        kind: Select,
        old: Option<&Row>,
        new: Option<&Row>,
        out: &mut String,
    ) {
        if version == Version::V1 {
            self.write_v1(schema, kind, old, new, out);
        } else {
            self.write_v2(schema, kind, old, new, out);
        }
    }

    fn write_v1(
        &self,
        schema: &TableSchema,
        kind: Select,
        old: Option<&Row>,
        new: Option<&Row>,
        out: &mut String,
    ) {
        let columns = || {
            self.columns
                .iter()
                .filter(|(_, s)| s.has(kind))
                .map(|(c, _)| *c)
        };
        out.push('{');
        let mut wrote = false;
        if let Some(old) = old.filter(|_| kind == Select::DELETE || kind == Select::MODIFY) {
            out.push_str("\"old\":");
            let differs = |c: &Column| {
                new.is_none_or(|new| kind == Select::DELETE || old.get(*c) != new.get(*c))
            };
            let columns: Vec<Column> = columns().filter(differs).collect();
            old.write_json(schema, &columns, out);
            wrote = true;
        }
        if let Some(new) = new.filter(|_| kind != Select::DELETE) {
            out.push_str(if wrote { ",\"new\":" } else { "\"new\":" });
            let columns: Vec<Column> = columns().collect();
            new.write_json(schema, &columns, out);
        }
        out.push('}');
    }

    fn write_v2(
        &self,
        schema: &TableSchema,
        kind: Select,
        old: Option<&Row>,
        new: Option<&Row>,
        out: &mut String,
    ) {
        let Some(new) = new.filter(|_| kind != Select::DELETE) else {
            out.push_str("{\"delete\":null}");
            return;
        };
        out.push_str(match kind {
            Select::INITIAL => "{\"initial\":{",
            Select::MODIFY => "{\"modify\":{",
            _ => "{\"insert\":{",
        });
        let mut any = false;
        for (column, _) in self.columns.iter().filter(|(_, s)| s.has(kind)) {
            let type_ = column.type_(schema);
            let is = new.get(*column);
            let was = old
                .filter(|_| kind == Select::MODIFY)
                .map(|old| old.get(*column));
            let unchanged = was.as_ref().is_some_and(|was| *was == is);
            if unchanged || (was.is_none() && is.is_default(type_)) {
                continue;
            }
            if any {
                out.push(',');
            }
            any = true;
            let _ = write!(out, "\"{}\":", column.name(schema));
            match was {
                Some(was) => is.diff_from(&was, type_).write_json(type_, out),
                None => is.write_json(type_, out),
            }
        }
        out.push_str("}}");
    }
}

/// `{"table":{"uuid":row,...},...}`, written in order.
struct Tables {
    out: String,
    open: Option<String>,
}

impl Tables {
    fn new() -> Tables {
        Tables {
            out: String::from("{"),
            open: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.open.is_none()
    }

    fn row(&mut self, table: &str, uuid: Uuid, text: &str) {
        if self.open.as_deref() == Some(table) {
            self.out.push(',');
        } else {
            if self.open.is_some() {
                self.out.push_str("},");
            }
            let _ = write!(self.out, "\"{table}\":{{");
            self.open = Some(table.to_owned());
        }
        self.out.push('"');
        uuid.write(&mut self.out);
        self.out.push_str("\":");
        self.out.push_str(text);
    }

    fn finish(mut self) -> String {
        if self.open.is_some() {
            self.out.push('}');
        }
        self.out.push('}');
        self.out
    }
}
