//! Tables and their columns.

use crate::Error;
use crate::json::{self, Json, Members, accept};
use crate::types::{BaseType, Datum, Type};
use std::sync::Arc;

/// What a column holds, and who may change it.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSchema {
    /// Its name.
    pub name: Arc<str>,
    /// The type of its values.
    pub type_: Type,
    /// Whether it may change after the row is inserted.
    pub mutable: bool,
    /// Whether it is kept in the file.
    pub persistent: bool,
}

impl ColumnSchema {
    fn from_json(json: &Json, name: &str) -> Result<ColumnSchema, Error> {
        let mut members = Members::new(json, format!("schema for column {name}"));
        let mutable = members.optional("mutable", accept::boolean);
        let ephemeral = members.optional("ephemeral", accept::boolean);
        let type_ = members.required("type", accept::string_or_object);
        members.finish()?;
        let type_ = Type::from_json(type_.unwrap_or(&Json::Null))?;
        // Weak references vanish with their rows, so such a column cannot stay as it is.
        let weak =
            type_.key.is_weak_ref() || type_.value.as_ref().is_some_and(BaseType::is_weak_ref);
        Ok(ColumnSchema {
            name: Arc::from(name),
            type_,
            mutable: weak || mutable.and_then(Json::as_bool).unwrap_or(true),
            persistent: !ephemeral.and_then(Json::as_bool).unwrap_or(false),
        })
    }

    fn to_json(&self) -> Json {
        let mut object = json::Object::new();
        if !self.mutable {
            object.insert("mutable".into(), Json::from(false));
        }
        if !self.persistent {
            object.insert("ephemeral".into(), Json::from(true));
        }
        object.insert("type".into(), self.type_.to_json());
        Json::Object(object)
    }
}

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSchema {
    /// Its name.
    pub name: String,
    /// Its columns by name, without `_uuid` and `_version`.
    pub columns: Vec<ColumnSchema>,
    /// Whether rows stay without being referred to.
    pub is_root: bool,
    /// Most rows.
    pub max_rows: u32,
    /// Whether rows may be changed or deleted. Kept, as the original keeps it, without effect.
    pub mutable: bool,
    /// Sets of columns (by place) in which no two rows may be equal.
    pub indexes: Vec<Vec<usize>>,
}

pub(super) fn check_name(json: &Json, name: &str) -> Result<(), Error> {
    if name.starts_with('_') {
        Err(Error::syntax(
            json,
            "names beginning with \"_\" are reserved",
        ))
    } else if !json::is_id(name) {
        Err(Error::syntax(json, "name must be a valid id"))
    } else {
        Ok(())
    }
}

impl TableSchema {
    pub(super) fn from_json(json: &Json, name: &str) -> Result<TableSchema, Error> {
        let mut members = Members::new(json, format!("table schema for table {name}"));
        let columns = members.required("columns", accept::object);
        let mutable = members.optional("mutable", accept::boolean);
        let max_rows = members.optional("maxRows", accept::int);
        let is_root = members.optional("isRoot", accept::boolean);
        let indexes = members.optional("indexes", accept::array);
        members.finish()?;
        let max_rows = match max_rows.and_then(json::integer) {
            Some(n) if n <= 0 => return Err(Error::syntax(json, "maxRows must be at least 1")),
            Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let mut table = TableSchema {
            name: name.to_owned(),
            columns: Vec::new(),
            is_root: is_root.and_then(Json::as_bool).unwrap_or(false),
            max_rows,
            mutable: mutable.and_then(Json::as_bool).unwrap_or(true),
            indexes: Vec::new(),
        };
        for (name, column) in columns.and_then(Json::as_object).into_iter().flatten() {
            check_name(json, name)?;
            table.columns.push(ColumnSchema::from_json(column, name)?);
        }
        if table.columns.is_empty() {
            return Err(Error::syntax(json, "table must have at least one column"));
        }
        for index in indexes.and_then(Json::as_array).into_iter().flatten() {
            let columns = table.column_set(index)?;
            if columns.is_empty() {
                return Err(Error::syntax(json, "index must have at least one column"));
            }
            if let Some(column) = columns
                .iter()
                .filter_map(|&c| table.columns.get(c))
                .find(|c| !c.persistent)
            {
                return Err(Error::syntax(
                    json,
                    format!(
                        "ephemeral columns (such as {}) may not be indexed",
                        column.name
                    ),
                ));
            }
            table.indexes.push(columns);
        }
        Ok(table)
    }

    /// Distinct columns by name, as places; only listed columns, not `_uuid` and `_version`.
    fn column_set(&self, json: &Json) -> Result<Vec<usize>, Error> {
        let distinct = || Error::syntax(json, "array of distinct column names expected");
        let mut set = Vec::new();
        for name in json.as_array().ok_or_else(distinct)? {
            let name = name.as_str().ok_or_else(distinct)?;
            let column = self
                .column_index(name)
                .ok_or_else(|| Error::syntax(json, format!("{name} is not a valid column name")))?;
            if set.contains(&column) {
                return Err(distinct());
            }
            set.push(column);
        }
        Ok(set)
    }

    pub(super) fn to_json(&self, default_is_root: bool) -> Json {
        let mut object = json::Object::new();
        if !self.mutable {
            object.insert("mutable".into(), Json::from(false));
        }
        if default_is_root != self.is_root {
            object.insert("isRoot".into(), Json::from(self.is_root));
        }
        let columns: json::Object = self
            .columns
            .iter()
            .map(|c| (c.name.to_string(), c.to_json()))
            .collect();
        object.insert("columns".into(), Json::Object(columns));
        if self.max_rows != u32::MAX {
            object.insert("maxRows".into(), Json::from(self.max_rows));
        }
        if !self.indexes.is_empty() {
            let indexes: Vec<Json> = self
                .indexes
                .iter()
                .map(|index| {
                    let names = index.iter().filter_map(|&c| self.columns.get(c));
                    Json::from(names.map(|c| Json::from(&*c.name)).collect::<Vec<_>>())
                })
                .collect();
            object.insert("indexes".into(), Json::from(indexes));
        }
        Json::Object(object)
    }

    /// The place of a column.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.binary_search_by(|c| (*c.name).cmp(name)).ok()
    }

    /// A column.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.get(self.column_index(name)?)
    }

    /// What a new row holds, by place.
    pub fn default_row(&self) -> Vec<Datum> {
        self.columns
            .iter()
            .map(|c| c.type_.default_datum())
            .collect()
    }
}
