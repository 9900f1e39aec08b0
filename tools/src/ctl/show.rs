//! `show`: the database as a tree, from the root table down its references.

use super::names;
use super::syntax::{Context, Failure, Syntax};
use ovsdb::types::Reference;
use ovsdb::{BaseType, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// A table of the tree. The first one of a program is the root.
pub struct ShowTable {
    /// Its name.
    pub table: &'static str,
    /// The column that a row is called by; none = by its UUID.
    pub name_column: Option<&'static str>,
    /// What is shown of a row: values, or the rows that are referred to.
    pub columns: &'static [&'static str],
}

/// The command.
pub const COMMAND: Syntax = Syntax {
    name: "show",
    min: 0,
    max: 0,
    arguments: "",
    options: "--filter=",
    writes: false,
    run: show,
};

/// What a row's text has to contain one of, by table; other rows are left out.
type Filters = BTreeMap<String, Vec<String>>;

fn show(ctx: &mut Context<'_>) -> Result<(), Failure> {
    let Some(root) = ctx.show.first() else {
        return Ok(());
    };
    let filters = filters(ctx, root.table)?;
    for row in ctx.db.rows(root.table) {
        let text = row_text(ctx, root.table, row, 0, &mut BTreeSet::new(), &filters);
        ctx.output.push_str(&text);
    }
    Ok(())
}

/// Reads `--filter=TABLE(A|B),C`.
fn filters(ctx: &Context<'_>, root: &str) -> Result<Filters, String> {
    let mut filters = Filters::new();
    let items = ctx.value("--filter").unwrap_or_default().split(',');
    for item in items.filter(|item| !item.is_empty()) {
        let (table, values) = match item.split_once('(') {
            None => (root.to_string(), item),
            Some((name, rest)) => {
                let values = rest
                    .strip_suffix(')')
                    .ok_or("Malformed filter: missing closing ')'")?;
                (names::table(ctx.db, name)?.name.clone(), values)
            }
        };
        let values = values
            .split('|')
            .filter(|v| !v.is_empty())
            .map(str::to_ascii_lowercase);
        filters.entry(table).or_default().extend(values);
    }
    Ok(filters)
}

fn row_text(
    ctx: &Context<'_>,
    table: &str,
    row: Uuid,
    level: usize,
    above: &mut BTreeSet<String>,
    filters: &Filters,
) -> String {
    let indent = |level: usize| "    ".repeat(level);
    let shown = ctx.show.iter().find(|shown| shown.table == table);
    let name = match shown.and_then(|shown| shown.name_column) {
        Some(column) => format!("{table} {}", value_text(ctx, table, row, column)),
        None => row.to_string(),
    };
    let mut text = format!("{}{name}\n", indent(level));
    let Some(shown) = shown.filter(|_| above.insert(table.to_string())) else {
        return text;
    };
    for &column in shown.columns {
        let Some(schema) = ctx.db.table(table).and_then(|t| t.column(column)) else {
            continue;
        };
        let datum = ctx.db.get(table, row, column);
        let target = |base: &BaseType| {
            let Reference { table, .. } = base.reference.as_ref()?;
            ctx.show.iter().find(|shown| shown.table == table)
        };
        if let Some(target) = target(&schema.type_.key) {
            for child in datum
                .uuids()
                .filter(|&child| ctx.db.exists(target.table, child))
            {
                text.push_str(&row_text(
                    ctx,
                    target.table,
                    child,
                    level + 1,
                    above,
                    filters,
                ));
            }
        } else if let Some((target, name)) = schema
            .type_
            .value
            .as_ref()
            .and_then(target)
            .and_then(|t| Some((t, t.name_column?)))
        {
            text.push_str(&format!("{}{column}:\n", indent(level + 1)));
            for (key, value) in datum.pairs() {
                let child = value.and_then(|v| v.as_uuid());
                let child = child.filter(|&child| ctx.db.exists(target.table, child));
                let value = child.map_or("\"<null>\"".into(), |child| {
                    value_text(ctx, target.table, child, name)
                });
                text.push_str(&format!("{}{}={value}\n", indent(level + 2), key.to_text()));
            }
        } else if !datum.is_default(&schema.type_) {
            let value = datum.to_text(&schema.type_);
            text.push_str(&format!("{}{column}: {value}\n", indent(level + 1)));
        }
    }
    above.remove(table);
    let folded = text.to_ascii_lowercase();
    match filters.get(table) {
        Some(values) if !values.iter().any(|value| folded.contains(value)) => String::new(),
        _ => text,
    }
}

fn value_text(ctx: &Context<'_>, table: &str, row: Uuid, column: &str) -> String {
    let type_ = ctx
        .db
        .table(table)
        .and_then(|t| t.column(column))
        .map(|c| &c.type_);
    let datum = ctx.db.get(table, row, column);
    type_.map(|type_| datum.to_text(type_)).unwrap_or_default()
}
