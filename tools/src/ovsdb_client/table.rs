//! Tables on standard output, in the original's formats: `table`, `list`, `html`, `csv`, `json`.

use ovsdb::{Datum, Json, Type, Uuid, json};
use std::fmt::Write as _;

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns, with a line of dashes under the headings.
    Table,
    /// `heading: value`, a line each.
    List,
    /// HTML.
    Html,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// One JSON object.
    Json,
}

/// How a cell is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellFormat {
    /// As `ovs-vsctl` reads it.
    String,
    /// Without brackets and quotes.
    Bare,
    /// As JSON.
    Json,
}

/// How tables are printed.
#[derive(Clone, Debug)]
pub struct Style {
    /// The layout.
    pub format: Format,
    /// The cells.
    pub cells: CellFormat,
    /// Whether there are headings.
    pub headings: bool,
    /// Whether JSON gets line breaks.
    pub pretty: bool,
    /// Widest column, in bytes; 0 = no limit.
    pub max_column_width: usize,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            format: Format::Table,
            cells: CellFormat::String,
            headings: true,
            pretty: false,
            max_column_width: 0,
        }
    }
}

impl Style {
    /// JSON text, with line breaks if they are wanted.
    pub fn json(&self, json: &Json) -> String {
        if self.pretty {
            json::to_string_pretty(json)
        } else {
            json::to_string(json)
        }
    }

    /// Takes one of the options `format`, `data`, `no-headings`, `pretty`, `bare`,
    /// `max-column-width`; false if it is none of them.
    ///
    /// # Errors
    /// The original's line.
    pub fn option(&mut self, name: &str, value: Option<&str>) -> Result<bool, String> {
        let value = value.unwrap_or_default();
        match name {
            "format" => {
                self.format = match value {
                    "table" => Format::Table,
                    "list" => Format::List,
                    "html" => Format::Html,
                    "csv" => Format::Csv,
                    "json" => Format::Json,
                    _ => return Err(format!("unknown output format \"{value}\"")),
                }
            }
            "data" => {
                self.cells = match value {
                    "string" => CellFormat::String,
                    "bare" => CellFormat::Bare,
                    "json" => CellFormat::Json,
                    _ => return Err(format!("unknown data format \"{value}\"")),
                }
            }
            "no-headings" => self.headings = false,
            "pretty" => self.pretty = true,
            "bare" => {
                self.format = Format::List;
                self.cells = CellFormat::Bare;
                self.headings = false;
            }
            "max-column-width" => self.max_column_width = value.parse().unwrap_or(0),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    /// Text as it is.
    Text(String),
    /// A value, written as the style wants if its type is known.
    Value(Json, Option<Type>),
}

impl Cell {
    fn text(&self, style: &Style) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Value(json, type_) => {
                let datum = type_
                    .as_ref()
                    .filter(|_| style.cells != CellFormat::Json)
                    .and_then(|t| Some((Datum::from_json(json, t, None).ok()?, t)));
                match datum {
                    Some((datum, type_)) if style.cells == CellFormat::String => {
                        datum.to_text(type_)
                    }
                    Some((datum, _)) => datum.to_bare(),
                    None => json::to_string(json),
                }
            }
        }
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Stands above it.
    pub caption: Option<String>,
    /// When it was made, if that is told.
    pub timestamp: Option<String>,
    /// A heading a column.
    pub headings: Vec<String>,
    /// The rows; those that are too short end in empty cells.
    pub rows: Vec<Vec<Cell>>,
}

/// Prints tables, with an empty line between them.
#[derive(Debug, Default)]
pub struct Printer {
    started: bool,
}

impl Printer {
    /// The table's text.
    pub fn print(&mut self, table: &Table, style: &Style) -> String {
        let mut out = String::new();
        if style.format == Format::Json {
            out.push_str(&style.json(&json_table(table)));
            out.push('\n');
            return out;
        }
        if style.format != Format::Html && std::mem::replace(&mut self.started, true) {
            out.push('\n');
        }
        if let Some(timestamp) = &table.timestamp {
            let _ = writeln!(out, "{timestamp}");
        }
        let cells: Vec<Vec<String>> = table
            .rows
            .iter()
            .map(|row| {
                let cells = row.iter().map(|cell| cell.text(style));
                cells
                    .chain(std::iter::repeat(String::new()))
                    .take(table.headings.len())
                    .collect()
            })
            .collect();
        if let (Some(caption), true) = (&table.caption, style.format != Format::Html) {
            let _ = writeln!(out, "{caption}");
        }
        match style.format {
            Format::Table => plain(table, &cells, style, &mut out),
            Format::List => list(table, &cells, style, &mut out),
            Format::Html => html(table, &cells, style, &mut out),
            Format::Csv => csv(table, &cells, style, &mut out),
            Format::Json => {}
        }
        out
    }
}

fn json_table(table: &Table) -> Json {
    let mut object = json::Object::new();
    if let Some(caption) = &table.caption {
        object.insert("caption".into(), Json::from(caption.as_str()));
    }
    if let Some(timestamp) = &table.timestamp {
        object.insert("time".into(), Json::from(timestamp.as_str()));
    }
    object.insert("headings".into(), Json::from(table.headings.clone()));
    let cell = |cell: &Cell| match cell {
        Cell::Empty => Json::Null,
        Cell::Text(text) => Json::from(text.as_str()),
        Cell::Value(json, _) => json.clone(),
    };
    let rows: Vec<Json> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.iter().map(cell).chain(std::iter::repeat(Json::Null));
            Json::from(cells.take(table.headings.len()).collect::<Vec<_>>())
        })
        .collect();
    object.insert("data".into(), Json::from(rows));
    Json::Object(object)
}

/// At most `width` bytes of `text`, cut between characters.
fn cut(text: &str, width: usize) -> &str {
    let mut end = width.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn plain(table: &Table, cells: &[Vec<String>], style: &Style, out: &mut String) {
    let widths: Vec<usize> = table
        .headings
        .iter()
        .enumerate()
        .map(|(x, heading)| {
            let mut width = cells
                .iter()
                .filter_map(|row| row.get(x))
                .map(String::len)
                .max()
                .unwrap_or(0);
            if style.max_column_width > 0 {
                width = width.min(style.max_column_width);
            }
            if style.headings {
                width.max(heading.len())
            } else {
                width
            }
        })
        .collect();
    let mut line = |words: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (x, (word, &width)) in words.zip(&widths).enumerate() {
            if x > 0 {
                text.push(' ');
            }
            let word = cut(word, width);
            text.push_str(word);
            // Widths are bytes, as the original's.
            text.extend(std::iter::repeat_n(' ', width - word.len()));
        }
        let _ = writeln!(out, "{}", text.trim_end_matches(' '));
    };
    if style.headings {
        line(&mut table.headings.iter().map(String::as_str));
        let dashes: Vec<String> = widths.iter().map(|&w| "-".repeat(w)).collect();
        line(&mut dashes.iter().map(String::as_str));
    }
    for row in cells {
        line(&mut row.iter().map(String::as_str));
    }
}

fn list(table: &Table, cells: &[Vec<String>], style: &Style, out: &mut String) {
    for (y, row) in cells.iter().enumerate() {
        if y > 0 {
            out.push('\n');
        }
        for (heading, cell) in table.headings.iter().zip(row) {
            if style.headings {
                let _ = write!(out, "{heading:<20}: ");
            }
            let _ = writeln!(out, "{cell}");
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A cell in which UUIDs are links to their rows.
fn html_cell(element: &str, content: &str, out: &mut String) {
    let _ = write!(out, "    <{element}>");
    let mut rest = content;
    while let Some(c) = rest.chars().next() {
        if let Some(uuid) = rest.get(..36).filter(|u| Uuid::parse(u).is_some()) {
            let short = uuid.get(..8).unwrap_or_default();
            let _ = write!(out, "<a href=\"#{uuid}\">{short}</a>");
            rest = rest.get(36..).unwrap_or_default();
        } else {
            out.push_str(&escape(&c.to_string()));
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    let _ = writeln!(out, "</{element}>");
}

fn html(table: &Table, cells: &[Vec<String>], style: &Style, out: &mut String) {
    out.push_str("<table border=1>\n");
    if let Some(caption) = &table.caption {
        html_cell("caption", caption, out);
    }
    if style.headings {
        out.push_str("  <tr>\n");
        for heading in &table.headings {
            html_cell("th", heading, out);
        }
        out.push_str("  </tr>\n");
    }
    for row in cells {
        out.push_str("  <tr>\n");
        for (heading, cell) in table.headings.iter().zip(row) {
            if heading == "_uuid" {
                let _ = writeln!(
                    out,
                    "    <td><a name=\"{}\">{}</a></td>",
                    escape(cell),
                    escape(cut(cell, 8))
                );
            } else {
                html_cell("td", cell, out);
            }
        }
        out.push_str("  </tr>\n");
    }
    out.push_str("</table>\n");
}

fn csv(table: &Table, cells: &[Vec<String>], style: &Style, out: &mut String) {
    let mut line = |words: &[String]| {
        for (x, word) in words.iter().enumerate() {
            if x > 0 {
                out.push(',');
            }
            if word.contains(['\n', '"', ',']) {
                let _ = write!(out, "\"{}\"", word.replace('"', "\"\""));
            } else {
                out.push_str(word);
            }
        }
        out.push('\n');
    };
    if style.headings {
        line(&table.headings);
    }
    for row in cells {
        line(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_as_the_original_prints() {
        let table = Table {
            caption: Some("T table".into()),
            headings: vec!["_uuid".into(), "name".into()],
            rows: vec![
                vec![
                    Cell::Text("a".into()),
                    Cell::Value(
                        Json::from("x y"),
                        Some(Type::scalar(ovsdb::AtomicType::String)),
                    ),
                ],
                vec![Cell::Text("bb".into())],
            ],
            ..Table::default()
        };
        let print = |option: &str| {
            let mut style = Style::default();
            style.option("format", Some(option)).unwrap();
            Printer::default().print(&table, &style)
        };
        assert_eq!(
            print("table"),
            "T table\n_uuid name\n----- -----\na     \"x y\"\nbb\n"
        );
        assert_eq!(
            print("list"),
            "T table\n_uuid               : a\nname                : \"x y\"\n\n_uuid               : bb\nname                : \n"
        );
        assert_eq!(
            print("csv"),
            "T table\n_uuid,name\na,\"\"\"x y\"\"\"\nbb,\n"
        );
        assert_eq!(
            print("json"),
            "{\"caption\":\"T table\",\"data\":[[\"a\",\"x y\"],[\"bb\",null]],\"headings\":[\"_uuid\",\"name\"]}\n"
        );
        assert!(print("html").contains("    <td>&quot;x y&quot;</td>\n"));
    }
}
