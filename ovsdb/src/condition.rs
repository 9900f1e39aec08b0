//! `where`: clauses that a row satisfies or not (RFC 7047 §5.1, `<condition>`).

use crate::json::Json;
use crate::row::{Column, Row};
use crate::schema::TableSchema;
use crate::types::{AtomicType, Datum, UNLIMITED};
use crate::{Error, Symbols, Uuid};
use std::cmp::Ordering;

/// How a clause compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `includes`
    Includes,
    /// `excludes`
    Excludes,
}

impl Function {
    /// The function's word.
    pub fn name(self) -> &'static str {
        match self {
            Function::Less => "<",
            Function::LessOrEqual => "<=",
            Function::Equal => "==",
            Function::NotEqual => "!=",
            Function::GreaterOrEqual => ">=",
            Function::Greater => ">",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        }
    }

    fn from_name(name: &str) -> Result<Function, Error> {
        Ok(match name {
            "<" => Function::Less,
            "<=" => Function::LessOrEqual,
            "==" => Function::Equal,
            "!=" => Function::NotEqual,
            ">=" => Function::GreaterOrEqual,
            ">" => Function::Greater,
            "includes" => Function::Includes,
            "excludes" => Function::Excludes,
            _ => {
                return Err(Error::new(
                    "unknown function",
                    format!("No function named {name}."),
                ));
            }
        })
    }
}

/// One clause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Clause {
    /// `true` or `false`.
    Always(bool),
    /// `[column, function, value]`.
    Compare(Column, Function, Datum),
}

/// A list of clauses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Condition(pub Vec<Clause>);

impl Clause {
    fn from_json(
        table: &TableSchema,
        json: &Json,
        symbols: Option<&mut Symbols>,
    ) -> Result<Clause, Error> {
        if let Some(always) = json.as_bool() {
            return Ok(Clause::Always(always));
        }
        let Some([Json::String(name), Json::String(function), arg]) =
            json.as_array().map(Vec::as_slice)
        else {
            return Err(Error::syntax(json, "Parse error in condition."));
        };
        let column = Column::find(table, name).ok_or_else(|| {
            Error::syntax_tagged(
                json,
                "unknown column",
                format!("No column {name} in table {}.", table.name),
            )
        })?;
        let function = Function::from_name(function)?;
        let mut type_ = column.type_(table).clone();
        match function {
            Function::Less
            | Function::LessOrEqual
            | Function::Greater
            | Function::GreaterOrEqual => {
                let ordered = matches!(type_.key.kind, AtomicType::Integer | AtomicType::Real);
                if !ordered || !(type_.is_scalar() || type_.is_optional()) {
                    return Err(Error::syntax(
                        json,
                        format!(
                            "Type mismatch: \"{}\" operator may not be applied to column {name} of type {}.",
                            function.name(),
                            type_.to_english()
                        ),
                    ));
                }
                type_.min = 1;
            }
            Function::Equal | Function::NotEqual => {}
            Function::Excludes => {
                if !type_.is_scalar() {
                    type_.min = 0;
                    type_.max = UNLIMITED;
                }
            }
            Function::Includes => {
                if !type_.is_scalar() {
                    type_.min = 0;
                }
            }
        }
        Ok(Clause::Compare(
            column,
            function,
            Datum::from_json(arg, &type_, symbols)?,
        ))
    }

    /// Whether `row` satisfies the clause.
    pub fn matches(&self, table: &TableSchema, row: &Row) -> bool {
        let (column, function, arg) = match self {
            Clause::Always(always) => return *always,
            Clause::Compare(column, function, arg) => (*column, *function, arg),
        };
        let field = row.get(column);
        let type_ = column.type_(table);
        let at_most_one = type_.is_scalar() || type_.is_optional();
        if at_most_one
            && let (Some(a), Some(b)) = (field.first(), arg.first())
            && arg.len() == 1
        {
            let order = a.cmp(b);
            return match function {
                Function::Less => order == Ordering::Less,
                Function::LessOrEqual => order != Ordering::Greater,
                Function::Equal | Function::Includes => order == Ordering::Equal,
                Function::NotEqual | Function::Excludes => order != Ordering::Equal,
                Function::GreaterOrEqual => order != Ordering::Less,
                Function::Greater => order == Ordering::Greater,
            };
        }
        match function {
            Function::Equal => *field == *arg,
            Function::NotEqual => *field != *arg,
            Function::Includes => field.includes_all(arg),
            Function::Excludes => field.excludes_all(arg),
            // The column is optional and empty.
            Function::Less
            | Function::LessOrEqual
            | Function::GreaterOrEqual
            | Function::Greater => false,
        }
    }

    fn to_json(&self, table: &TableSchema) -> Json {
        match self {
            Clause::Always(always) => Json::from(*always),
            Clause::Compare(column, function, arg) => Json::from(vec![
                Json::from(column.name(table)),
                Json::from(function.name()),
                arg.to_json(column.type_(table)),
            ]),
        }
    }
}

impl Condition {
    /// Reads a list of clauses.
    ///
    /// # Errors
    /// The first faulty clause's.
    pub fn from_json(
        table: &TableSchema,
        json: &Json,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Condition, Error> {
        let clauses = json
            .as_array()
            .ok_or_else(|| Error::syntax(json, "array expected"))?;
        clauses
            .iter()
            .map(|clause| Clause::from_json(table, clause, symbols.as_deref_mut()))
            .collect::<Result<_, _>>()
            .map(Condition)
    }

    /// Writes the list of clauses.
    pub fn to_json(&self, table: &TableSchema) -> Json {
        Json::from(self.0.iter().map(|c| c.to_json(table)).collect::<Vec<_>>())
    }

    /// Whether `row` satisfies every clause: how `where` selects rows in a transaction.
    pub fn matches_all(&self, table: &TableSchema, row: &Row) -> bool {
        self.0.iter().all(|clause| clause.matches(table, row))
    }

    /// Whether `row` satisfies any clause: how `where` selects rows for a monitor. No clause at all
    /// is satisfied.
    pub fn matches_any(&self, table: &TableSchema, row: &Row) -> bool {
        self.0.is_empty() || self.0.iter().any(|clause| clause.matches(table, row))
    }

    /// Whether every row satisfies any clause.
    pub fn is_any_true(&self) -> bool {
        self.0.is_empty() || self.0.contains(&Clause::Always(true))
    }

    /// The only row that can satisfy every clause, if a clause names it.
    pub fn one_row(&self) -> Option<Uuid> {
        self.0.iter().find_map(|clause| match clause {
            Clause::Compare(Column::Uuid, Function::Equal, arg) => arg.first()?.as_uuid(),
            _ => None,
        })
    }

    /// The value that a column must equal in each row that satisfies every clause.
    pub fn required(&self, at: usize) -> Option<&Datum> {
        self.0.iter().find_map(|clause| match clause {
            Clause::Compare(Column::At(column), Function::Equal, arg) if *column == at => Some(arg),
            _ => None,
        })
    }
}
