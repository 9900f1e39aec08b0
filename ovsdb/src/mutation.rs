//! `mutate`: changes that depend on the value that is there (RFC 7047 §5.1, `<mutation>`).

use crate::json::Json;
use crate::row::{Column, Row};
use crate::schema::TableSchema;
use crate::types::{Atom, AtomicType, BaseType, Datum, Type, UNLIMITED};
use crate::{Error, Symbols};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Insert,
    Delete,
}

impl Mutator {
    fn name(self) -> &'static str {
        match self {
            Mutator::Add => "+=",
            Mutator::Subtract => "-=",
            Mutator::Multiply => "*=",
            Mutator::Divide => "/=",
            Mutator::Modulo => "%=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        }
    }

    fn from_name(name: &str) -> Result<Mutator, Error> {
        Ok(match name {
            "+=" => Mutator::Add,
            "-=" => Mutator::Subtract,
            "*=" => Mutator::Multiply,
            "/=" => Mutator::Divide,
            "%=" => Mutator::Modulo,
            "insert" => Mutator::Insert,
            "delete" => Mutator::Delete,
            _ => {
                return Err(Error::new(
                    "unknown mutator",
                    format!("No mutator named {name}."),
                ));
            }
        })
    }
}

/// One change to one column.
#[derive(Clone, Debug)]
pub struct Mutation {
    column: usize,
    mutator: Mutator,
    arg: Datum,
}

impl Mutation {
    /// Reads `[column, mutator, value]`.
    ///
    /// # Errors
    /// `"unknown column"`, `"unknown mutator"`, `"constraint violation"`, `"syntax error"`.
    pub fn from_json(
        table: &TableSchema,
        json: &Json,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Mutation, Error> {
        let Some([Json::String(name), Json::String(mutator), arg]) =
            json.as_array().map(Vec::as_slice)
        else {
            return Err(Error::syntax(json, "Parse error in mutation."));
        };
        let immutable = || {
            Error::syntax_tagged(
                json,
                "constraint violation",
                format!(
                    "Cannot mutate immutable column {name} in table {}.",
                    table.name
                ),
            )
        };
        let column = match Column::find(table, name) {
            Some(Column::At(column)) => column,
            Some(_) => return Err(immutable()),
            None => {
                return Err(Error::syntax_tagged(
                    json,
                    "unknown column",
                    format!("No column {name} in table {}.", table.name),
                ));
            }
        };
        if !Column::At(column).is_mutable(table) {
            return Err(immutable());
        }
        let type_ = Column::At(column).type_(table);
        let mutator = Mutator::from_name(mutator)?;
        let mismatch = || {
            Error::syntax(
                json,
                format!(
                    "Type mismatch: \"{}\" operator may not be applied to column {name} of type {}.",
                    mutator.name(),
                    type_.to_english()
                ),
            )
        };
        let is_set = type_.value.is_none() && !type_.is_scalar();
        let arg = match mutator {
            Mutator::Insert | Mutator::Delete => {
                if !is_set && !type_.is_map() {
                    return Err(mismatch());
                }
                let mut wanted = type_.clone();
                wanted.min = 0;
                if mutator == Mutator::Delete {
                    wanted.max = UNLIMITED;
                }
                match Datum::from_json(arg, &wanted, symbols.as_deref_mut()) {
                    Err(_) if mutator == Mutator::Delete && wanted.is_map() => {
                        // A set of keys will do.
                        wanted.value = None;
                        Datum::from_json(arg, &wanted, symbols)?
                    }
                    other => other?,
                }
            }
            _ => {
                let kind = type_.key.kind;
                let numeric = match kind {
                    AtomicType::Integer => true,
                    AtomicType::Real => mutator != Mutator::Modulo,
                    _ => false,
                };
                if type_.is_map() || !numeric {
                    return Err(mismatch());
                }
                Datum::from_json(arg, &Type::scalar(BaseType::from(kind)), symbols)?
            }
        };
        Ok(Mutation {
            column,
            mutator,
            arg,
        })
    }

    /// Applies the change.
    ///
    /// # Errors
    /// `"domain error"`, `"range error"` or `"constraint violation"`; the row may be half changed
    /// then and must be thrown away.
    pub fn apply(&self, table: &TableSchema, row: &mut Row) -> Result<(), Error> {
        let type_ = Column::At(self.column).type_(table);
        let Some(slot) = row.columns.get_mut(self.column) else {
            return Ok(());
        };
        *slot = match self.mutator {
            Mutator::Insert => check_count(slot.union(&self.arg, false), type_)?,
            Mutator::Delete => check_count(slot.subtract(&self.arg), type_)?,
            _ => {
                let Some(arg) = self.arg.first() else {
                    return Ok(());
                };
                let changed = slot.keys().map(|x| arithmetic(self.mutator, x, arg));
                let changed = changed.collect::<Result<Vec<_>, _>>()?;
                for atom in &changed {
                    type_.key.check(atom)?;
                }
                Datum::set_strict(changed).map_err(|_| {
                    Error::constraint(format!(
                        "Result of \"{}\" operation contains duplicates.",
                        self.mutator.name()
                    ))
                })?
            }
        };
        Ok(())
    }
}

fn check_count(datum: Datum, type_: &Type) -> Result<Datum, Error> {
    let n = u32::try_from(datum.len()).unwrap_or(u32::MAX);
    if n < type_.min || n > type_.max {
        return Err(Error::constraint(format!(
            "Attempted to store {n} elements in {}.",
            type_.to_english()
        )));
    }
    Ok(datum)
}

fn arithmetic(mutator: Mutator, x: &Atom, y: &Atom) -> Result<Atom, Error> {
    let out_of_range = || {
        Error::new(
            "range error",
            format!(
                "Result of \"{}\" operation is out of range.",
                mutator.name()
            ),
        )
    };
    let by_zero = || Error::new("domain error", "Division by zero.");
    match (x, y) {
        (&Atom::Integer(x), &Atom::Integer(y)) => {
            if y == 0 && matches!(mutator, Mutator::Divide | Mutator::Modulo) {
                return Err(by_zero());
            }
            match mutator {
                Mutator::Add => x.checked_add(y),
                Mutator::Subtract => x.checked_sub(y),
                Mutator::Multiply => x.checked_mul(y),
                Mutator::Divide => x.checked_div(y),
                _ => x.checked_rem(y),
            }
            .map(Atom::Integer)
            .ok_or_else(out_of_range)
        }
        (&Atom::Real(x), &Atom::Real(y)) => {
            if y == 0.0 && mutator == Mutator::Divide {
                return Err(by_zero());
            }
            let result = match mutator {
                Mutator::Add => x + y,
                Mutator::Subtract => x - y,
                Mutator::Multiply => x * y,
                _ => x / y,
            };
            if result.is_finite() {
                Ok(Atom::from(result))
            } else {
                Err(out_of_range())
            }
        }
        _ => Err(Error::new("ovsdb error", "Operation not supported.")),
    }
}
