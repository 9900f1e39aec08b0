//! The commands that work on any table of any schema.

use super::syntax::{Context, Failure, Syntax};
use super::{column, names};
use crate::ovsdb_client::table::{Cell, Table};
use ovsdb::types::{UNLIMITED, atom_from_text};
use ovsdb::{ColumnSchema, Datum, TableSchema, Type, Uuid};
use std::io::IsTerminal as _;

type Outcome = Result<(), Failure>;

const ANY: usize = usize::MAX;

/// The general commands, `show` excepted.
pub const COMMANDS: [Syntax; 11] = [
    general("comment", 0, "[ARG]...", "", false, |_| Ok(())),
    general(
        "get",
        2,
        "TABLE RECORD [COLUMN[:KEY]]...",
        "--if-exists,--id=",
        false,
        get,
    ),
    general(
        "list",
        1,
        "TABLE [RECORD]...",
        "--if-exists,--columns=",
        false,
        list,
    ),
    general(
        "find",
        1,
        "TABLE [COLUMN[:KEY]=VALUE]...",
        "--columns=",
        false,
        find,
    ),
    general(
        "set",
        3,
        "TABLE RECORD COLUMN[:KEY]=VALUE...",
        "--if-exists",
        true,
        set,
    ),
    general(
        "add",
        4,
        "TABLE RECORD COLUMN [KEY=]VALUE...",
        "--if-exists",
        true,
        add,
    ),
    general(
        "remove",
        4,
        "TABLE RECORD COLUMN KEY|VALUE|KEY=VALUE...",
        "--if-exists",
        true,
        remove,
    ),
    general(
        "clear",
        3,
        "TABLE RECORD COLUMN...",
        "--if-exists",
        true,
        clear,
    ),
    general(
        "create",
        2,
        "TABLE COLUMN[:KEY]=VALUE...",
        "--id=",
        true,
        create,
    ),
    general(
        "destroy",
        1,
        "TABLE [RECORD]...",
        "--if-exists,--all",
        true,
        destroy,
    ),
    general(
        "wait-until",
        2,
        "TABLE RECORD [COLUMN[:KEY]=VALUE]...",
        "",
        false,
        wait_until,
    ),
];

const fn general(
    name: &'static str,
    min: usize,
    arguments: &'static str,
    options: &'static str,
    writes: bool,
    run: super::syntax::Run,
) -> Syntax {
    Syntax {
        name,
        min,
        max: ANY,
        arguments,
        options,
        writes,
        run,
    }
}

/// The table that the first argument names.
fn table(ctx: &Context<'_>) -> Result<TableSchema, String> {
    names::table(ctx.db, ctx.arg(1)).cloned()
}

/// The row that `id` names; none only with `--if-exists`.
fn row(ctx: &mut Context<'_>, table: &TableSchema, id: &str) -> Result<Option<Uuid>, String> {
    let found = names::find_row(ctx.db, ctx.row_ids, &table.name, id)?;
    if found.is_none() && !ctx.has("--if-exists") {
        return Err(format!("no row \"{id}\" in table {}", table.name));
    }
    Ok(found)
}

/// Table and row of the first two arguments.
fn table_and_row(ctx: &mut Context<'_>) -> Result<(TableSchema, Option<Uuid>), String> {
    let table = table(ctx)?;
    let id = ctx.arg(2).to_string();
    let row = row(ctx, &table, &id)?;
    Ok((table, row))
}

fn is_uuid_column(name: &str) -> bool {
    name.eq_ignore_ascii_case("_uuid") || name.eq_ignore_ascii_case("-uuid")
}

fn get(ctx: &mut Context<'_>) -> Outcome {
    let id = ctx.value("--id").map(str::to_string);
    if id.is_none() && ctx.args.len() <= 3 && std::io::stdout().is_terminal() {
        tracing::warn!(
            target: "db_ctl_base",
            "\"get\" command without row arguments or \"--id\" is possibly erroneous"
        );
    }
    let must_exist = !ctx.has("--if-exists");
    if id.is_some() && !must_exist {
        return Err("--if-exists and --id may not be specified together".into());
    }
    let (table, row) = table_and_row(ctx)?;
    for arg in ctx.args_from(3).iter().filter(|arg| !is_uuid_column(arg)) {
        column::parse(&table, arg)?;
    }
    let Some(row) = row else { return Ok(()) };
    if let Some(id) = id {
        name_row(ctx, &id, Some(row))?;
    }
    for arg in ctx.args_from(3).to_vec() {
        if is_uuid_column(&arg) {
            ctx.line(&row.to_string());
            continue;
        }
        let (column, key) = column::parse(&table, &arg)?;
        ctx.db.verify(&table.name, row, &column.name);
        let datum = ctx.db.get(&table.name, row, &column.name);
        let Some(key_text) = key else {
            ctx.line(&datum.to_text(&column.type_));
            continue;
        };
        if column.type_.value.is_none() {
            let name = &column.name;
            return Err(format!("cannot specify key to get for non-map column {name}").into());
        }
        let key = atom_from_text(&key_text, &column.type_.key, Some(&mut *ctx.symbols))?;
        match datum.get(&key) {
            Some(value) => ctx.line(&value.to_text()),
            None if must_exist => {
                let (record, table, column) = (ctx.arg(2), &table.name, &column.name);
                return Err(format!(
                    "no key \"{key_text}\" in {table} record \"{record}\" column {column}"
                )
                .into());
            }
            None => ctx.line(""),
        }
    }
    Ok(())
}

/// Makes `@NAME` stand for a row: `known`, or the one that its symbol will be; gives its UUID.
fn name_row(ctx: &mut Context<'_>, id: &str, known: Option<Uuid>) -> Result<Uuid, String> {
    if !id.starts_with('@') {
        return Err(format!("row id \"{id}\" does not begin with \"@\""));
    }
    let is_new = ctx.symbols.get(id).is_none();
    let symbol = ctx.symbols.get_or_insert(id);
    if symbol.created {
        return Err(format!(
            "row id \"{id}\" may only be specified on one --id option"
        ));
    }
    symbol.created = true;
    if let Some(uuid) = known {
        if !is_new {
            return Err(format!(
                "row id \"{id}\" specified on \"get\" command was used before it was defined"
            ));
        }
        symbol.uuid = uuid;
        // The row is there, whether anything refers to it or not.
        symbol.strong_ref = true;
    }
    Ok(symbol.uuid)
}

/// The columns to show; none stands for `_uuid`.
fn columns<'t>(
    ctx: &Context<'_>,
    table: &'t TableSchema,
) -> Result<Vec<Option<&'t ColumnSchema>>, String> {
    let Some(wanted) = ctx.value("--columns") else {
        return Ok(std::iter::once(None)
            .chain(table.columns.iter().map(Some))
            .collect());
    };
    let words = wanted.split([',', ' ']).filter(|word| !word.is_empty());
    let columns: Result<Vec<_>, String> = words
        .map(|word| {
            if word.eq_ignore_ascii_case("_uuid") {
                Ok(None)
            } else {
                names::column(table, word).map(Some)
            }
        })
        .collect();
    match columns {
        Ok(columns) if columns.is_empty() => Err("must specify at least one column name".into()),
        other => other,
    }
}

fn print_rows(
    ctx: &mut Context<'_>,
    table: &TableSchema,
    columns: &[Option<&ColumnSchema>],
    rows: &[Uuid],
) {
    let headings = columns
        .iter()
        .map(|c| c.map_or("_uuid".into(), |c| c.name.to_string()));
    let cell = |row: Uuid, column: Option<&ColumnSchema>| match column {
        None => Cell::Value(Datum::from(row).to_json(&Type::uuid()), Some(Type::uuid())),
        Some(column) => {
            let datum = ctx.db.get(&table.name, row, &column.name);
            Cell::Value(datum.to_json(&column.type_), Some(column.type_.clone()))
        }
    };
    let rows = rows
        .iter()
        .map(|&row| columns.iter().map(|&c| cell(row, c)).collect());
    let printed = Table {
        headings: headings.collect(),
        rows: rows.collect(),
        ..Table::default()
    };
    ctx.table = Some(printed);
}

fn list(ctx: &mut Context<'_>) -> Outcome {
    let table = table(ctx)?;
    let columns = columns(ctx, &table)?;
    let ids = ctx.args_from(2).to_vec();
    let rows = if ids.is_empty() {
        ctx.db.rows(&table.name)
    } else {
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(row(ctx, &table, &id)?);
        }
        rows
    };
    print_rows(ctx, &table, &columns, &rows);
    Ok(())
}

fn find(ctx: &mut Context<'_>) -> Outcome {
    let table = table(ctx)?;
    let columns = columns(ctx, &table)?;
    let mut rows = Vec::new();
    for row in ctx.db.rows(&table.name) {
        if satisfies(ctx, &table, row, 2)? {
            rows.push(row);
        }
    }
    print_rows(ctx, &table, &columns, &rows);
    Ok(())
}

/// Whether the row meets all conditions from argument `from` on.
fn satisfies(
    ctx: &mut Context<'_>,
    table: &TableSchema,
    row: Uuid,
    from: usize,
) -> Result<bool, String> {
    for arg in ctx.args_from(from).to_vec() {
        if !column::check(ctx.db, table, row, &arg, ctx.symbols)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn set(ctx: &mut Context<'_>) -> Outcome {
    let (table, row) = table_and_row(ctx)?;
    let Some(row) = row else { return Ok(()) };
    for arg in ctx.args_from(3).to_vec() {
        column::assign(ctx.db, &table, row, &arg, ctx.symbols)?;
    }
    Ok(())
}

/// How many members a value has, in words.
fn counted(count: usize, type_: &Type) -> String {
    let word = if type_.is_map() { "pairs" } else { "values" };
    format!("{count} {word}")
}

/// Table, column and row of `add` and `remove`, if there is such a row.
fn place(ctx: &mut Context<'_>) -> Result<Option<(TableSchema, ColumnSchema, Uuid)>, Failure> {
    let table = table(ctx)?;
    let column = names::column(&table, ctx.arg(3))?.clone();
    let id = ctx.arg(2).to_string();
    let Some(row) = row(ctx, &table, &id)? else {
        return Ok(None);
    };
    column::check_mutable(ctx.db, &table, row, &column)?;
    Ok(Some((table, column, row)))
}

fn add(ctx: &mut Context<'_>) -> Outcome {
    let Some((table, column, row)) = place(ctx)? else {
        return Ok(());
    };
    let mut datum = ctx.db.get(&table.name, row, &column.name);
    let type_ = Type {
        min: 1,
        max: UNLIMITED,
        ..column.type_.clone()
    };
    for arg in ctx.args_from(4).to_vec() {
        let more = Datum::from_text(&arg, &type_, Some(&mut *ctx.symbols))?;
        datum = datum.union(&more, false);
    }
    let max = column.type_.max;
    if datum.len() > max as usize {
        let count = counted(datum.len(), &column.type_);
        return Err(format!(
            "\"add\" operation would put {count} in column {} of table {} but the maximum number \
             is {max}",
            column.name, table.name
        )
        .into());
    }
    ctx.db.verify(&table.name, row, &column.name);
    ctx.db.set(&table.name, row, &column.name, datum);
    Ok(())
}

fn remove(ctx: &mut Context<'_>) -> Outcome {
    let Some((table, column, row)) = place(ctx)? else {
        return Ok(());
    };
    let mut datum = ctx.db.get(&table.name, row, &column.name);
    let type_ = Type {
        min: 1,
        max: UNLIMITED,
        ..column.type_.clone()
    };
    for arg in ctx.args_from(4).to_vec() {
        let less = match Datum::from_text(&arg, &type_, Some(&mut *ctx.symbols)) {
            Ok(less) => less,
            // Of a map, keys alone will do.
            Err(_) if type_.is_map() => {
                let keys = Type {
                    value: None,
                    ..type_.clone()
                };
                Datum::from_text(&arg, &keys, Some(&mut *ctx.symbols))?
            }
            Err(e) => return Err(e.into()),
        };
        datum = datum.subtract(&less);
    }
    let min = column.type_.min;
    if datum.len() < min as usize {
        let count = counted(datum.len(), &column.type_);
        return Err(format!(
            "\"remove\" operation would put {count} in column {} of table {} but the minimum \
             number is {min}",
            column.name, table.name
        )
        .into());
    }
    ctx.db.verify(&table.name, row, &column.name);
    ctx.db.set(&table.name, row, &column.name, datum);
    Ok(())
}

fn clear(ctx: &mut Context<'_>) -> Outcome {
    let (table, row) = table_and_row(ctx)?;
    let Some(row) = row else { return Ok(()) };
    for arg in ctx.args_from(3).to_vec() {
        let column = names::column(&table, &arg)?;
        column::check_mutable(ctx.db, &table, row, column)?;
        if column.type_.min > 0 {
            return Err(format!(
                "\"clear\" operation cannot be applied to column {} of table {}, which is not \
                 allowed to be empty",
                column.name, table.name
            )
            .into());
        }
        ctx.db.clear(&table.name, row, &column.name);
    }
    Ok(())
}

fn create(ctx: &mut Context<'_>) -> Outcome {
    let table = table(ctx)?;
    let id = ctx.value("--id").map(str::to_string);
    let row = match id {
        None => {
            if !table.is_root {
                tracing::warn!(
                    target: "db_ctl_base",
                    "applying \"create\" command to table {} without --id option will have no \
                     effect",
                    table.name
                );
            }
            ctx.db.insert(&table.name)
        }
        Some(id) => match Uuid::parse(&id) {
            Some(uuid) => {
                ctx.db.insert_as(&table.name, uuid, true);
                uuid
            }
            None => {
                let uuid = name_row(ctx, &id, None)?;
                if table.is_root {
                    // It stays without a reference.
                    ctx.symbols.get_or_insert(&id).strong_ref = true;
                }
                ctx.db.insert_as(&table.name, uuid, false);
                uuid
            }
        },
    };
    for arg in ctx.args_from(2).to_vec() {
        column::assign(ctx.db, &table, row, &arg, ctx.symbols)?;
    }
    // The server's UUID takes its place when it is known.
    ctx.line(&row.to_string());
    Ok(())
}

fn destroy(ctx: &mut Context<'_>) -> Outcome {
    let table = table(ctx)?;
    let ids = ctx.args_from(2).to_vec();
    match (ctx.has("--all"), ids.is_empty()) {
        (true, false) => {
            return Err("--all and records argument should not be specified together".into());
        }
        (true, _) if ctx.has("--if-exists") => {
            return Err("--all and --if-exists should not be specified together".into());
        }
        (true, _) => {
            for row in ctx.db.rows(&table.name) {
                ctx.db.delete(&table.name, row);
            }
        }
        (false, true) => tracing::warn!(
            target: "db_ctl_base",
            "either --all or records argument should be specified"
        ),
        (false, false) => {
            for id in ids {
                if let Some(row) = row(ctx, &table, &id)? {
                    ctx.db.delete(&table.name, row);
                }
            }
        }
    }
    Ok(())
}

fn wait_until(ctx: &mut Context<'_>) -> Outcome {
    let table = table(ctx)?;
    let id = ctx.arg(2).to_string();
    ctx.try_again = match names::find_row(ctx.db, ctx.row_ids, &table.name, &id)? {
        Some(row) => !satisfies(ctx, &table, row, 3)?,
        None => true,
    };
    Ok(())
}

/// The part of `--help` about these commands.
pub const USAGE: &str = "\
Database commands:
  list TBL [REC]              list RECord (or all records) in TBL
  find TBL CONDITION...       list records satisfying CONDITION in TBL
  get TBL REC COL[:KEY]       print values of COLumns in RECord in TBL
  set TBL REC COL[:KEY]=VALUE set COLumn values in RECord in TBL
  add TBL REC COL [KEY=]VALUE add (KEY=)VALUE to COLumn in RECord in TBL
  remove TBL REC COL [KEY=]VALUE  remove (KEY=)VALUE from COLumn
  clear TBL REC COL           clear values from COLumn in RECord in TBL
  create TBL COL[:KEY]=VALUE  create and initialize new record
  destroy TBL REC             delete RECord from TBL
  wait-until TBL REC [COL[:KEY]=VALUE]  wait until condition is true
Potentially unsafe database commands require --force option.
";
