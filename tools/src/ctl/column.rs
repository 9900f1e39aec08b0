//! `COLUMN[:KEY]` and what may follow: `=VALUE` to set it, a comparison to test it.

use super::names;
use super::working::Working;
use ovsdb::types::{UNLIMITED, atom_from_text, token};
use ovsdb::{ColumnSchema, Datum, Symbols, TableSchema, Type, Uuid};
use std::cmp::Ordering;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// Of the whole value; what orders may equal is told by the three flags.
    Plain {
        less: bool,
        equal: bool,
        greater: bool,
    },
    SetLess,
    SetGreater,
    SetAtMost,
    SetAtLeast,
    SetNotIn,
    SetEqual,
    SetNotEqual,
}

const fn plain(less: bool, equal: bool, greater: bool) -> Operator {
    Operator::Plain {
        less,
        equal,
        greater,
    }
}

const OPERATORS: [(&str, Operator); 14] = [
    ("=", plain(false, true, false)),
    ("!=", plain(true, false, true)),
    ("<", plain(true, false, false)),
    (">", plain(false, false, true)),
    ("<=", plain(true, true, false)),
    (">=", plain(false, true, true)),
    ("{=}", Operator::SetEqual),
    ("{!=}", Operator::SetNotEqual),
    ("{<}", Operator::SetLess),
    ("{>}", Operator::SetGreater),
    ("{<=}", Operator::SetAtMost),
    ("{>=}", Operator::SetAtLeast),
    ("{in}", Operator::SetAtMost),
    ("{not-in}", Operator::SetNotIn),
];

impl Operator {
    fn is_set(self) -> bool {
        !matches!(self, Operator::Plain { .. })
    }

    fn holds(self, a: &Datum, b: &Datum) -> bool {
        match self {
            Operator::Plain {
                less,
                equal,
                greater,
            } => match a.compare(b) {
                Ordering::Less => less,
                Ordering::Equal => equal,
                Ordering::Greater => greater,
            },
            Operator::SetEqual => a.compare(b) == Ordering::Equal,
            Operator::SetNotEqual => a.compare(b) != Ordering::Equal,
            Operator::SetLess => b.len() > a.len() && b.includes_all(a),
            Operator::SetGreater => a.len() > b.len() && a.includes_all(b),
            Operator::SetAtMost => b.includes_all(a),
            Operator::SetAtLeast => a.includes_all(b),
            Operator::SetNotIn => a.excludes_all(b),
        }
    }
}

/// Cuts `COLUMN[:KEY]` off an argument; gives column, key and the rest.
fn place<'a, 't>(
    table: &'t TableSchema,
    arg: &'a str,
) -> Result<(&'t ColumnSchema, Option<String>, &'a str), String> {
    let (name, rest) = token(arg)?;
    if name.is_empty() {
        return Err(format!("{arg}: missing column name"));
    }
    let column = names::column(table, &name)?;
    match rest.strip_prefix(':') {
        None => Ok((column, None, rest)),
        Some(rest) => {
            let (key, rest) = token(rest)?;
            Ok((column, Some(key), rest))
        }
    }
}

/// Reads `COLUMN[:KEY]`.
///
/// # Errors
/// One line for the user.
pub fn parse<'t>(
    table: &'t TableSchema,
    arg: &str,
) -> Result<(&'t ColumnSchema, Option<String>), String> {
    let (column, key, rest) = place(table, arg)?;
    if rest.is_empty() {
        Ok((column, key))
    } else {
        Err(format!("{arg}: trailing garbage \"{rest}\" in argument"))
    }
}

fn missing_operator(arg: &str, allowed: &[&str]) -> String {
    let quoted: Vec<String> = allowed.iter().map(|op| format!("\"{op}\"")).collect();
    let list = match quoted.as_slice() {
        [only] => only.clone(),
        [init @ .., last] => format!("{}, or {last}", init.join(", ")),
        [] => String::new(),
    };
    format!("{arg}: argument does not end in {list} followed by a value.")
}

/// Whether the row's column is as the condition `arg` says.
///
/// # Errors
/// One line for the user.
pub fn check(
    db: &Working,
    table: &TableSchema,
    row: Uuid,
    arg: &str,
    symbols: &mut Symbols,
) -> Result<bool, String> {
    let (column, key, rest) = place(table, arg)?;
    let (sign, operator) = OPERATORS
        .into_iter()
        .filter(|(sign, _)| {
            rest.strip_prefix(sign)
                .is_some_and(|value| !value.is_empty())
        })
        .max_by_key(|(sign, _)| sign.len())
        .ok_or_else(|| missing_operator(arg, &OPERATORS.map(|(sign, _)| sign)))?;
    let value = rest.strip_prefix(sign).unwrap_or_default();
    let have = db.get(&table.name, row, &column.name);
    let Some(key) = key else {
        let want = Datum::from_text(value, &column.type_, Some(symbols))?;
        return Ok(operator.holds(&have, &want));
    };
    let Some(value_base) = &column.type_.value else {
        let name = &column.name;
        return Err(format!(
            "cannot specify key to check for non-map column {name}"
        ));
    };
    let key = atom_from_text(&key, &column.type_.key, Some(symbols))?;
    let type_ = Type {
        key: value_base.clone(),
        value: None,
        min: column.type_.min,
        max: UNLIMITED,
    };
    let want = Datum::from_text(value, &type_, Some(symbols))?;
    match have.get(&key) {
        Some(found) => Ok(operator.holds(&Datum::set([found.clone()]), &want)),
        None => Ok(operator.is_set() && operator.holds(&Datum::default(), &want)),
    }
}

/// Refuses to change a column that may only be set in new rows.
///
/// # Errors
/// One line for the user.
pub fn check_mutable(
    db: &Working,
    table: &TableSchema,
    row: Uuid,
    column: &ColumnSchema,
) -> Result<(), String> {
    if column.mutable || db.is_new(&table.name, row) {
        return Ok(());
    }
    let (column, table) = (&column.name, &table.name);
    Err(format!(
        "cannot modify read-only column {column} in table {table}"
    ))
}

/// Does what `COLUMN[:KEY]=VALUE` says.
///
/// # Errors
/// One line for the user.
pub fn assign(
    db: &mut Working,
    table: &TableSchema,
    row: Uuid,
    arg: &str,
    symbols: &mut Symbols,
) -> Result<(), String> {
    let (column, key, rest) = place(table, arg)?;
    let value = rest
        .strip_prefix('=')
        .filter(|value| !value.is_empty())
        .ok_or_else(|| missing_operator(arg, &["="]))?;
    check_mutable(db, table, row, column)?;
    let name = &column.name;
    let Some(key) = key else {
        let datum = Datum::from_text(value, &column.type_, Some(symbols))?;
        db.set(&table.name, row, name, datum);
        return Ok(());
    };
    let Some(value_base) = &column.type_.value else {
        return Err(format!(
            "cannot specify key to set for non-map column {name}"
        ));
    };
    let key = atom_from_text(&key, &column.type_.key, Some(&mut *symbols))?;
    let value = atom_from_text(value, value_base, Some(symbols))?;
    let old = db.get(&table.name, row, name);
    db.verify(&table.name, row, name);
    db.set(
        &table.name,
        row,
        name,
        old.union(&Datum::map([(key, value)]), true),
    );
    Ok(())
}
