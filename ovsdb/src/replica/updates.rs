//! `<table-updates>` of each kind, applied to a view.

use super::view::View;
use crate::Uuid;
use crate::json::{Json, Object};
use crate::row::{Column, Row};
use crate::schema::TableSchema;
use crate::types::Datum;
use std::sync::Arc;

/// Applies updates; `old_style` are those of `monitor`.
///
/// # Errors
/// One line: what the server sent that cannot be.
pub(super) fn apply(view: &mut View, updates: &Json, old_style: bool) -> Result<(), String> {
    let Some(schema) = view.schema.clone() else {
        return Err("update before schema".to_owned());
    };
    let tables = updates
        .as_object()
        .ok_or("<table-updates> is not an object")?;
    for (name, rows) in tables {
        let Some(at) = schema.table_index(name) else {
            return Err(format!("update of unknown table {name}"));
        };
        let (Some(table), Some(stored)) = (schema.tables.get(at), view.tables.get_mut(at)) else {
            continue;
        };
        let rows = rows.as_object().ok_or("<table-update> is not an object")?;
        for (uuid, update) in rows {
            let uuid =
                Uuid::parse(uuid).ok_or_else(|| format!("\"{uuid}\" is not a valid UUID"))?;
            let update = update.as_object().ok_or("<row-update> is not an object")?;
            let known = stored.get(&uuid).cloned();
            let row = if old_style {
                row_v1(table, uuid, known, update)
            } else {
                row_v2(table, uuid, known, update)
            }
            .map_err(|why| format!("{name} row {uuid}: {why}"))?;
            match row {
                Some(row) => stored.insert(uuid, row),
                None => stored.remove(&uuid),
            };
        }
    }
    Ok(())
}

fn set_columns(
    table: &TableSchema,
    row: &mut Row,
    columns: &Json,
    is_diff: bool,
) -> Result<(), String> {
    let columns = columns.as_object().ok_or("<row> is not an object")?;
    for (name, value) in columns {
        let Some(column) = Column::find(table, name) else {
            continue;
        };
        let type_ = column.type_(table);
        if is_diff {
            let diff =
                Datum::from_json(value, &type_.unconstrained(), None).map_err(|e| e.to_string())?;
            let datum = row.get(column).apply_diff(&diff, type_);
            row.set(column, datum);
        } else {
            let datum =
                Datum::from_json(value, &type_.unconstrained(), None).map_err(|e| e.to_string())?;
            row.set(column, datum);
        }
    }
    Ok(())
}

type Updated = Result<Option<Arc<Row>>, String>;

fn row_v1(table: &TableSchema, uuid: Uuid, known: Option<Arc<Row>>, update: &Object) -> Updated {
    let Some(new) = update.get("new").filter(|new| !new.is_null()) else {
        return Ok(None);
    };
    let mut row = known.map_or_else(|| Row::new(table, uuid), |row| Row::clone(&row));
    set_columns(table, &mut row, new, false)?;
    Ok(Some(Arc::new(row)))
}

fn row_v2(table: &TableSchema, uuid: Uuid, known: Option<Arc<Row>>, update: &Object) -> Updated {
    let Some((operation, columns)) = update.iter().next() else {
        return Err("empty <row-update2>".to_owned());
    };
    let mut row = match operation.as_str() {
        "delete" => return Ok(None),
        "initial" | "insert" => Row::new(table, uuid),
        "modify" => Row::clone(&*known.ok_or("modification of a row that is not there")?),
        other => return Err(format!("unknown operation \"{other}\"")),
    };
    set_columns(table, &mut row, columns, operation == "modify")?;
    Ok(Some(Arc::new(row)))
}
