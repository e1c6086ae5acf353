//! Standard output is data: lines, tables, JSON, raw bytes, and nothing else.

use crate::error::{CliError, ErrorKind};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, PoisonError};
use unicode_width::UnicodeWidthStr;

/// Standard output, shared between threads.
pub struct Output {
    writer: Mutex<Box<dyn Write + Send>>,
    json: bool,
}

impl Output {
    /// The real standard output.
    #[must_use]
    pub fn stdout(json: bool) -> Self {
        Self::to(Box::new(BufWriter::with_capacity(64 * 1024, io::stdout())), json)
    }

    /// Output to any writer.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>, json: bool) -> Self {
        Self { writer: Mutex::new(writer), json }
    }

    /// Whether programs read this output.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Raw bytes, such as the content of a file.
    ///
    /// # Errors
    /// [`ErrorKind::BrokenPipe`] once the reader is gone, [`ErrorKind::LocalFile`] otherwise.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.with(|writer| writer.write_all(bytes))
    }

    /// One line. Foreign names in it have gone through [`crate::escape::path`].
    ///
    /// # Errors
    /// As [`Self::raw`].
    pub fn line(&self, line: &str) -> Result<(), CliError> {
        self.with(|writer| {
            writer.write_all(line.as_bytes())?;
            writer.write_all(b"\n")
        })
    }

    /// One JSON document on a line of its own.
    ///
    /// # Errors
    /// As [`Self::raw`]; [`ErrorKind::Bug`] where `value` cannot be JSON.
    pub fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        let mut line = serde_json::to_vec(value).map_err(|error| {
            CliError::new(ErrorKind::Bug, "a result cannot be written as JSON").caused_by(&error)
        })?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// A JSON document where programs read, lines of text otherwise.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn json_or(&self, value: &impl Serialize, text: &str) -> Result<(), CliError> {
        if self.json { self.json(value) } else { self.line(text) }
    }

    /// A table.
    ///
    /// # Errors
    /// As [`Self::raw`].
    pub fn table(&self, table: &Table) -> Result<(), CliError> {
        self.raw(table.render().as_bytes())
    }

    /// Hands everything written so far to the reader.
    ///
    /// # Errors
    /// As [`Self::raw`].
    pub fn flush(&self) -> Result<(), CliError> {
        self.with(|writer| writer.flush())
    }

    fn with(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut **writer).map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::BrokenPipe => ErrorKind::BrokenPipe,
                _ => ErrorKind::LocalFile,
            };
            CliError::new(kind, "standard output cannot be written").caused_by(&error)
        })
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("json", &self.json).finish_non_exhaustive()
    }
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Columns of text, separated by two blanks, under a header.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty, a cell of several lines makes a row of several lines.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Self {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
        self
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, without blanks at their ends.
    #[must_use]
    pub fn render(&self) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut widths: Vec<usize> = header.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.lines().map(UnicodeWidthStr::width).max().unwrap_or(0).max(*width);
            }
        }
        let mut out = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(1).max(1);
            for line in 0..height {
                let mut text = String::new();
                for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                    let part = cell.lines().nth(line).unwrap_or("");
                    let blanks = " ".repeat(width - part.width());
                    match align {
                        Align::Left => text.extend([part, &blanks]),
                        Align::Right => text.extend([&blanks, part]),
                    }
                    text.push_str("  ");
                }
                out.push_str(text.trim_end());
                out.push('\n');
            }
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;

    /// A writer whose bytes a test can look at.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_table_lines_up() {
        let mut table = Table::new(&[("ID", Align::Left), ("Size", Align::Right), ("Paths", Align::Left)]);
        table.row(["4f3c2a10", "1.5 MiB", "/home\n/etc"].map(String::from));
        table.row(["数数", "17 B", ""].map(String::from));
        assert_eq!(
            table.render(),
            "ID           Size  Paths\n4f3c2a10  1.5 MiB  /home\n                   /etc\n数数         17 B\n"
        );
    }

    #[test]
    fn json_is_one_line() {
        let captured = Captured::default();
        let output = Output::to(Box::new(captured.clone()), true);
        output.json(&serde_json::json!({"path": "a\nb"})).unwrap();
        assert_eq!(captured.text(), "{\"path\":\"a\\nb\"}\n");
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        let output = Output::to(Box::new(Closed), false);
        assert_eq!(output.line("x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
