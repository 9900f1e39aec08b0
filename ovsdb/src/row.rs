//! Rows, and the columns that one may ask them for.

use crate::Uuid;
use crate::json::Json;
use crate::schema::{ColumnSchema, TableSchema};
use crate::types::{Datum, Type};
use crate::{Error, Symbols};
use std::borrow::Cow;
use std::sync::LazyLock;

/// One version of a row. A committed row never changes; a change makes another one, which shares
/// the data that stayed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The row's identity, `_uuid`.
    pub uuid: Uuid,
    /// `_version`: another one after each change.
    pub version: Uuid,
    /// The columns, by their place in the schema.
    pub columns: Box<[Datum]>,
}

/// A column, or one of the two that every table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// `_uuid`.
    Uuid,
    /// `_version`.
    Version,
    /// The column at this place in the schema.
    At(usize),
}

static UUID_TYPE: LazyLock<Type> = LazyLock::new(Type::uuid);

impl Column {
    /// The column of `table` with this name.
    pub fn find(table: &TableSchema, name: &str) -> Option<Column> {
        match name {
            "_uuid" => Some(Column::Uuid),
            "_version" => Some(Column::Version),
            name => table.column_index(name).map(Column::At),
        }
    }

    /// Every column of `table`, by name: `_uuid` and `_version` first.
    pub fn all(table: &TableSchema) -> Vec<Column> {
        [Column::Uuid, Column::Version]
            .into_iter()
            .chain((0..table.columns.len()).map(Column::At))
            .collect()
    }

    /// Its name.
    pub fn name(self, table: &TableSchema) -> &str {
        match self {
            Column::Uuid => "_uuid",
            Column::Version => "_version",
            Column::At(at) => table.columns.get(at).map_or("", |c| &c.name),
        }
    }

    /// Its type.
    pub fn type_(self, table: &TableSchema) -> &Type {
        match self {
            Column::Uuid | Column::Version => &UUID_TYPE,
            Column::At(at) => table.columns.get(at).map_or(&UUID_TYPE, |c| &c.type_),
        }
    }

    /// Whether it may be written after the row is inserted. The two that every table has may not.
    pub fn is_mutable(self, table: &TableSchema) -> bool {
        match self {
            Column::Uuid | Column::Version => false,
            Column::At(at) => table.columns.get(at).is_some_and(|c| c.mutable),
        }
    }

    /// Reads a list of distinct names; no list means every column.
    ///
    /// # Errors
    /// A `"syntax error"` that shows the list.
    pub fn set_from_json(table: &TableSchema, json: Option<&Json>) -> Result<Vec<Column>, Error> {
        let Some(json) = json else {
            return Ok(Column::all(table));
        };
        let distinct = || Error::syntax(json, "array of distinct column names expected");
        let mut set = Vec::new();
        for name in json.as_array().ok_or_else(distinct)? {
            let name = name.as_str().ok_or_else(distinct)?;
            let column = Column::find(table, name)
                .ok_or_else(|| Error::syntax(json, format!("{name} is not a valid column name")))?;
            if set.contains(&column) {
                return Err(distinct());
            }
            set.push(column);
        }
        Ok(set)
    }
}

impl Row {
    /// A row with each column's default.
    pub fn new(table: &TableSchema, uuid: Uuid) -> Row {
        Row {
            uuid,
            version: Uuid::random(),
            columns: table.default_row().into(),
        }
    }

    /// What a column holds.
    pub fn get(&self, column: Column) -> Cow<'_, Datum> {
        static EMPTY: LazyLock<Datum> = LazyLock::new(Datum::default);
        match column {
            Column::Uuid => Cow::Owned(Datum::from(self.uuid)),
            Column::Version => Cow::Owned(Datum::from(self.version)),
            Column::At(at) => Cow::Borrowed(self.columns.get(at).unwrap_or(&EMPTY)),
        }
    }

    /// Sets a column. `_uuid` and `_version` are set by the engine only.
    pub fn set(&mut self, column: Column, datum: Datum) {
        if let Column::At(at) = column
            && let Some(slot) = self.columns.get_mut(at)
        {
            *slot = datum;
        }
    }

    /// Appends `{"column":value,...}` with these columns.
    pub fn write_json(&self, table: &TableSchema, columns: &[Column], out: &mut String) {
        out.push('{');
        for (at, &column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push('"');
            out.push_str(column.name(table));
            out.push_str("\":");
            self.get(column).write_json(column.type_(table), out);
        }
        out.push('}');
    }

    /// The columns with their schema.
    pub fn fields<'a>(
        &'a self,
        table: &'a TableSchema,
    ) -> impl Iterator<Item = (&'a ColumnSchema, &'a Datum)> {
        table.columns.iter().zip(&self.columns)
    }
}

/// The columns that a `<row>` names, with their values.
///
/// # Errors
/// `"unknown column"`, or what [`Datum::from_json`] says.
pub fn read_columns(
    table: &TableSchema,
    json: &Json,
    mut symbols: Option<&mut Symbols>,
) -> Result<Vec<(Column, Datum)>, Error> {
    let Some(object) = json.as_object() else {
        return Err(Error::syntax(json, "row must be JSON object"));
    };
    let mut columns = Vec::with_capacity(object.len());
    for (name, value) in object {
        let column = Column::find(table, name).ok_or_else(|| {
            Error::syntax_tagged(
                json,
                "unknown column",
                format!("No column {name} in table {}.", table.name),
            )
        })?;
        let datum = Datum::from_json(value, column.type_(table), symbols.as_deref_mut())?;
        columns.push((column, datum));
    }
    Ok(columns)
}
