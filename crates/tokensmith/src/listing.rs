//! Listings: a table for people, a JSON array for programs, one page at a time.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

/// How a listing is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Listing {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// Print at most so many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub(crate) limit: i64,
    /// Begin after this id, to go on where a page ended
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) after: String,
}

impl Listing {
    /// Prints the page, and how to go on when it is full. `columns` are members of the rows, the first being the id.
    pub(crate) fn print<T: Serialize>(&self, rows: &[T], columns: &[&str]) -> Result<()> {
        self.print_whole(rows, columns)?;
        let is_full = rows.len() as i64 >= self.limit;
        if let Some(last) = rows.last().filter(|_| is_full) {
            let last = serde_json::to_value(last)?;
            eprintln!("there may be more: --after {}", cell(last.get(columns[0])));
        }
        Ok(())
    }

    /// Prints rows that do not continue elsewhere.
    pub(crate) fn print_whole<T: Serialize>(&self, rows: &[T], columns: &[&str]) -> Result<()> {
        let rows = rows
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<Vec<_>, _>>()?;
        print(&rows, columns, self.json)
    }
}

/// Prints one record: its members line by line, or as a JSON object.
pub(crate) fn print_one<T: Serialize>(record: &T, json: bool) -> Result<()> {
    let record = serde_json::to_value(record)?;
    if json {
        return write_out(&format!("{record:#}\n"));
    }
    let members: Vec<_> = record.as_object().into_iter().flatten().collect();
    let width = members
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (name, value) in members {
        writeln!(text, "{name:width$}  {}", cell(Some(value)))?;
    }
    write_out(&text)
}

fn print(rows: &[Value], columns: &[&str], json: bool) -> Result<()> {
    if json {
        return write_out(&format!("{:#}\n", Value::Array(rows.to_vec())));
    }
    let mut table: Vec<Vec<String>> =
        vec![columns.iter().map(|name| name.to_uppercase()).collect()];
    table.extend(
        rows.iter()
            .map(|row| columns.iter().map(|&name| cell(row.get(name))).collect()),
    );
    let width = |column: usize| {
        table
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &table {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(text, "{}", cells.join("  ").trim_end())?;
    }
    write_out(&text)
}

/// A value on one line; control characters are escaped, because names come from people.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(values)) => {
            let cells: Vec<String> = values.iter().map(|value| cell(Some(value))).collect();
            if cells.is_empty() {
                "-".to_owned()
            } else {
                cells.join(" ")
            }
        }
        Some(other) => other.to_string(),
    }
}

/// Text from outside, safe for a terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(shown).collect()
}

/// A reader that has seen enough, such as `head`, is no failure.
pub(crate) fn write_out(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn row_317_a_name_cannot_write_to_the_terminal() {
        assert_eq!(cell(Some(&json!("a\u{1b}[31m\nb"))), "a\\u{1b}[31m\\nb");
        assert_eq!(cell(Some(&json!(["a", "b"]))), "a b");
        assert_eq!(
            (cell(None), cell(Some(&json!([]))), cell(Some(&json!(7)))),
            ("-".into(), "-".into(), "7".into())
        );
    }
}
