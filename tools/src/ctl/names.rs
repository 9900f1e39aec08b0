//! What people call things: tables and columns in short, rows by their names.

use super::working::Working;
use ovsdb::{Atom, ColumnSchema, TableSchema, Uuid};

/// A way to name rows of a table other than by UUID.
pub struct RowId {
    /// The table whose rows are named.
    pub table: &'static str,
    /// The table that holds the names: the same, or one that refers to it.
    pub name_table: &'static str,
    /// The column that holds the names.
    pub name_column: &'static str,
    /// The key under which the name is, in a column that is a map.
    pub key: Option<&'static str>,
    /// The column that leads from the name's row to the named row, if they are not the same.
    pub uuid_column: Option<&'static str>,
}

/// How well `given` abbreviates `name`: 0 = not at all.
fn score(name: &str, given: &str) -> usize {
    if name == given {
        return usize::MAX;
    }
    let fold = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c == '-' {
                    '_'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let (name, given) = (fold(name), fold(given));
    if name == given {
        usize::MAX - 1
    } else if name.starts_with(&given) {
        given.len()
    } else {
        0
    }
}

/// The one thing that `given` abbreviates best; or all that it abbreviates equally well.
fn best<'a, T>(
    things: &'a [T],
    name: impl Fn(&T) -> &str,
    given: &str,
) -> Result<&'a T, Vec<String>> {
    let top = things
        .iter()
        .map(|thing| score(name(thing), given))
        .max()
        .unwrap_or(0);
    let mut matching = things
        .iter()
        .filter(|thing| top > 0 && score(name(thing), given) == top);
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Vec::new()),
        _ => {
            let all = things
                .iter()
                .map(name)
                .filter(|name| score(name, given) == top);
            Err(all.map(str::to_string).collect())
        }
    }
}

/// The table that `name` abbreviates.
///
/// # Errors
/// One line: none, or several.
pub fn table<'a>(db: &'a Working, name: &str) -> Result<&'a TableSchema, String> {
    best(&db.schema().tables, |table| &table.name, name).map_err(|matches| {
        if matches.is_empty() {
            format!("unknown table \"{name}\"")
        } else {
            format!(
                "\"{name}\" matches multiple table names: {}",
                matches.join(", ")
            )
        }
    })
}

/// The column that `name` abbreviates.
///
/// # Errors
/// One line: none, or several.
pub fn column<'a>(table: &'a TableSchema, name: &str) -> Result<&'a ColumnSchema, String> {
    best(&table.columns, |column| &column.name, name).map_err(|matches| {
        let table = &table.name;
        if matches.is_empty() {
            format!("{table} does not contain a column whose name matches \"{name}\"")
        } else {
            let matches = matches.join(", ");
            format!(
                "{table} contains more than one column whose name matches \"{name}\": {matches}"
            )
        }
    })
}

fn is_called(name: &Atom, id: &str) -> bool {
    match name {
        // A name that is itself a UUID may be cut short.
        Atom::String(name) => {
            **name == *id || (id.len() >= 4 && Uuid::parse(name).is_some() && name.starts_with(id))
        }
        Atom::Uuid(uuid) => Uuid::parse(id) == Some(*uuid),
        Atom::Integer(number) => {
            id.bytes().all(|b| b.is_ascii_digit()) && id.parse() == Ok(*number)
        }
        _ => false,
    }
}

fn by_name(db: &mut Working, way: &RowId, id: &str) -> Result<Option<Uuid>, String> {
    let mut found = None;
    for row in db.rows(way.name_table) {
        let datum = db.get(way.name_table, row, way.name_column);
        let name = match way.key {
            None => datum.first().filter(|_| datum.len() == 1).cloned(),
            Some(key) => datum.get(&Atom::String(key.into())).cloned(),
        };
        if name.is_some_and(|name| is_called(&name, id)) && found.replace(row).is_some() {
            return Err(format!(
                "multiple rows in {} match \"{id}\"",
                way.name_table
            ));
        }
    }
    let (Some(row), Some(column)) = (found, way.uuid_column) else {
        return Ok(found);
    };
    db.verify(way.name_table, row, column);
    Ok(match db.refs(way.name_table, row, column).as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// Whether `id` could be the beginning of a UUID; its length if so.
fn partial_uuid(id: &str) -> usize {
    let fits = |(at, c): (usize, char)| match at {
        8 | 13 | 18 | 23 => c == '-',
        0..36 => c.is_ascii_hexdigit(),
        _ => false,
    };
    if id.chars().enumerate().all(fits) {
        id.len()
    } else {
        0
    }
}

/// The row of `table` that `id` names: a UUID, `.` for the only row, a name, the beginning of a
/// UUID.
///
/// # Errors
/// One line: several rows match.
pub fn find_row(
    db: &mut Working,
    row_ids: &[RowId],
    table: &str,
    id: &str,
) -> Result<Option<Uuid>, String> {
    if let Some(uuid) = Uuid::parse(id).filter(|&uuid| db.exists(table, uuid)) {
        return Ok(Some(uuid));
    }
    let rows = db.rows(table);
    if let (".", [only]) = (id, rows.as_slice()) {
        return Ok(Some(*only));
    }
    for way in row_ids.iter().filter(|way| way.table == table) {
        if let Some(row) = by_name(db, way, id)? {
            return Ok(Some(row));
        }
    }
    if partial_uuid(id) < 4 {
        return Ok(None);
    }
    let id_folded = id.to_ascii_lowercase();
    let mut matching = rows
        .into_iter()
        .filter(|row| row.to_string().starts_with(&id_folded));
    match (matching.next(), matching.next()) {
        (Some(first), Some(second)) => Err(format!(
            "{table} contains 2 or more rows whose UUIDs begin with {id}: at least {first} and \
             {second}"
        )),
        (found, _) => Ok(found),
    }
}

/// As [`find_row`], for a row that has to be there.
///
/// # Errors
/// One line: no row matches, or several.
pub fn must_find_row(
    db: &mut Working,
    row_ids: &[RowId],
    table: &str,
    id: &str,
) -> Result<Uuid, String> {
    find_row(db, row_ids, table, id)?.ok_or_else(|| format!("no row \"{id}\" in table {table}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations() {
        let names = ["Bridge", "Port", "Flow_Table", "Flow_Sample_Collector_Set"];
        let found = |given| best(&names, |name| name, given).copied();
        assert_eq!(found("br"), Ok("Bridge"));
        assert_eq!(found("flow-t"), Ok("Flow_Table"));
        assert_eq!(found("PORT"), Ok("Port"));
        assert_eq!(found("x"), Err(vec![]));
        assert_eq!(found("flow").map_err(|m| m.len()), Err(2));
    }

    #[test]
    fn beginnings_of_uuids() {
        for (id, length) in [
            ("12ab", 4),
            ("12345678-1", 10),
            ("12345678_", 0),
            ("xyz", 0),
        ] {
            assert_eq!(partial_uuid(id), length, "{id}");
        }
    }
}
