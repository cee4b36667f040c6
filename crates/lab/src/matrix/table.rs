//! The matrix as a table for people.

use std::fmt;

use super::{Cell, Expected, Matrix, Seen};

impl fmt::Display for Cell {
    /// `ok`, `isolated` where that is as it should be; else `WRONG:` and what is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.expected, &self.seen) {
            (Expected::Reached, Seen::Reached) => "ok",
            (Expected::Isolated, Seen::Isolated) => "isolated",
            (Expected::Reached, Seen::Isolated) => "WRONG:lost",
            (Expected::Isolated, Seen::Reached) => "WRONG:reached",
            (Expected::Reached | Expected::Isolated, Seen::Wrong(what)) => {
                return f.pad(&format!("WRONG:{what}"));
            }
        };
        f.pad(text)
    }
}

impl fmt::Display for Matrix {
    /// A row: from which; a column: to which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |cell: &Option<Cell>| cell.as_ref().map_or_else(|| "-".to_owned(), Cell::to_string);
        let rows: Vec<Vec<String>> = self.cells.iter().map(|row| row.iter().map(text).collect()).collect();
        let first = self.names.iter().map(String::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::len);
            cells.chain([self.names[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        let line = |f: &mut fmt::Formatter<'_>, label: &str, row: &[String]| -> fmt::Result {
            write!(f, "{label:first$}")?;
            row.iter().zip(&widths).try_for_each(|(cell, width)| write!(f, " | {cell:width$}"))?;
            writeln!(f)
        };
        line(f, "", &self.names)?;
        self.names.iter().zip(&rows).try_for_each(|(name, row)| line(f, name, row))
    }
}
