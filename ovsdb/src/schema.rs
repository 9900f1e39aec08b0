//! Database schemas (RFC 7047 §3.2): read, check, write.
//!
//! Tables and columns are kept sorted by name; a column's place in [`TableSchema::columns`] is its
//! place in every row. `_uuid` and `_version` are in every table without being listed.

mod table;

pub use table::{ColumnSchema, TableSchema};

use crate::Error;
use crate::json::{self, Json, Members, accept};
use crate::types::BaseType;
use std::path::Path;

/// The schema of the `Open_vSwitch` database, version 8.8.0.
pub const OPEN_VSWITCH: &str = include_str!("../schemas/vswitch.ovsschema");

/// The schema of the `_Server` database, which tells clients of a server about its databases.
pub const SERVER: &str = include_str!("../schemas/_server.ovsschema");

/// What a database may hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The database's name.
    pub name: String,
    /// `x.y.z`, or empty.
    pub version: String,
    /// The author's checksum of the schema's text, or empty. Nobody checks it.
    pub cksum: String,
    /// The tables, by name.
    pub tables: Vec<TableSchema>,
}

impl Schema {
    /// Reads `<database-schema>`.
    ///
    /// # Errors
    /// A `"syntax error"` that names the culprit.
    pub fn from_json(json: &Json) -> Result<Schema, Error> {
        let mut members = Members::new(json, "database schema");
        let name = members.required("name", accept::id);
        let version = members.optional("version", accept::string);
        let cksum = members.optional("cksum", accept::string);
        let tables = members.required("tables", accept::object);
        members.finish()?;
        let text = |json: Option<&Json>| json.and_then(Json::as_str).unwrap_or_default().to_owned();
        let mut schema = Schema {
            name: text(name),
            version: text(version),
            cksum: text(cksum),
            tables: Vec::new(),
        };
        if version.is_some() && parse_version(&schema.version).is_none() {
            return Err(Error::syntax(
                json,
                format!("schema version \"{}\" not in format x.y.z", schema.version),
            ));
        }
        for (name, table) in tables.and_then(Json::as_object).into_iter().flatten() {
            table::check_name(json, name)?;
            schema.tables.push(TableSchema::from_json(table, name)?);
        }
        // Schemas from before garbage collection name no roots: everything is one.
        if !schema.tables.iter().any(|t| t.is_root) {
            schema.tables.iter_mut().for_each(|t| t.is_root = true);
        }
        schema.check_references()?;
        Ok(schema)
    }

    /// References must lead to tables; a column that alone keeps a row alive must be durable.
    fn check_references(&mut self) -> Result<(), Error> {
        let roots: Vec<(String, bool)> = self
            .tables
            .iter()
            .map(|t| (t.name.clone(), t.is_root))
            .collect();
        for column in self.tables.iter_mut().flat_map(|t| &mut t.columns) {
            let sides: [(&str, Option<&BaseType>); 2] = [
                ("key", Some(&column.type_.key)),
                ("value", column.type_.value.as_ref()),
            ];
            let mut keeps_alive = false;
            for (side, base) in sides {
                let Some(reference) = base.and_then(|b| b.reference.as_ref()) else {
                    continue;
                };
                let Ok(at) = roots.binary_search_by(|(name, _)| name.cmp(&reference.table)) else {
                    return Err(Error::syntax_plain(format!(
                        "column {} {side} refers to undefined table {}",
                        column.name, reference.table
                    )));
                };
                let is_root = roots.get(at).is_some_and(|(_, is_root)| *is_root);
                keeps_alive |= base.is_some_and(BaseType::is_strong_ref) && !is_root;
            }
            if keeps_alive {
                column.persistent = true;
            }
        }
        Ok(())
    }

    /// Reads a schema from JSON text.
    ///
    /// # Errors
    /// As [`Schema::from_json`], and `"syntax error"` for text that is not JSON.
    pub fn from_text(text: &str) -> Result<Schema, Error> {
        let json = json::parse(text.as_bytes()).map_err(Error::syntax_plain)?;
        Schema::from_json(&json)
    }

    /// Reads a schema from a file.
    ///
    /// # Errors
    /// `"failed to read schema"`, or the fault in the schema with the file's name before it.
    pub fn from_file(path: &Path) -> Result<Schema, Error> {
        let json = read_json_file(path).map_err(|why| {
            Error::new(
                "failed to read schema",
                format!("\"{}\" could not be read as JSON ({why})", path.display()),
            )
        })?;
        Schema::from_json(&json).map_err(|e| {
            e.wrap(format!(
                "failed to parse \"{}\" as ovsdb schema",
                path.display()
            ))
        })
    }

    /// Writes `<database-schema>`.
    pub fn to_json(&self) -> Json {
        let mut object = json::Object::new();
        object.insert("name".into(), Json::from(self.name.as_str()));
        if !self.version.is_empty() {
            object.insert("version".into(), Json::from(self.version.as_str()));
        }
        if !self.cksum.is_empty() {
            object.insert("cksum".into(), Json::from(self.cksum.as_str()));
        }
        let default_is_root = self.tables.iter().all(|t| t.is_root);
        let tables: json::Object = self
            .tables
            .iter()
            .map(|t| (t.name.clone(), t.to_json(default_is_root)))
            .collect();
        object.insert("tables".into(), Json::Object(tables));
        Json::Object(object)
    }

    /// The place of a table.
    pub fn table_index(&self, name: &str) -> Option<usize> {
        self.tables
            .binary_search_by(|t| t.name.as_str().cmp(name))
            .ok()
    }

    /// A table.
    pub fn table(&self, name: &str) -> Option<&TableSchema> {
        self.tables.get(self.table_index(name)?)
    }
}

/// A file's JSON, or one line that says why not.
///
/// # Errors
/// `error opening "FILE": REASON`, or the place of the fault.
pub fn read_json_file(path: &Path) -> Result<Json, String> {
    let text = std::fs::read(path).map_err(|e| {
        format!(
            "error opening \"{}\": {}",
            path.display(),
            crate::error::os_reason(&e)
        )
    })?;
    json::parse(&text)
}

/// The three numbers of a version, `x.y.z`.
pub fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|p| {
        if p.bytes().all(|c| c.is_ascii_digit()) {
            p.parse().ok()
        } else {
            None
        }
    });
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_schemas_are_read_and_written_back() {
        for text in [OPEN_VSWITCH, SERVER] {
            let schema = Schema::from_text(text).unwrap();
            let again = Schema::from_json(&schema.to_json()).unwrap();
            assert_eq!(again, schema);
        }
        let schema = Schema::from_text(OPEN_VSWITCH).unwrap();
        assert_eq!(
            (schema.name.as_str(), schema.version.as_str()),
            ("Open_vSwitch", "8.8.0")
        );
        let bridge = schema.table("Bridge").unwrap();
        assert!(!bridge.is_root && bridge.column("ports").is_some());
        assert_eq!(bridge.indexes, [[bridge.column_index("name").unwrap()]]);
    }

    #[test]
    fn faults_are_told_in_the_standard_words() {
        for (text, words) in [
            (
                r#"{"tables":{}}"#,
                "Parsing database schema failed: Required 'name' member is missing.",
            ),
            (
                r#"{"name":"a","version":"1","tables":{}}"#,
                "schema version \"1\" not in format x.y.z",
            ),
            (
                r#"{"name":"a","tables":{"_t":{"columns":{"c":{"type":"string"}}}}}"#,
                "names beginning with \"_\" are reserved",
            ),
            (
                r#"{"name":"a","tables":{"t":{"columns":{}}}}"#,
                "table must have at least one column",
            ),
            (
                r#"{"name":"a","tables":{"t":{"columns":{"c":{"type":{"key":{"type":"uuid","refTable":"u"}}}}}}}"#,
                "column c key refers to undefined table u",
            ),
        ] {
            assert_eq!(Schema::from_text(text).unwrap_err().details(), Some(words));
        }
    }
}
