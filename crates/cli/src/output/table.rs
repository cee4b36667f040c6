//! Tables: with lines on a terminal, aligned columns in a pipe.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table as Bordered};

const GAP: usize = 3;

/// A table of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { headers: headers.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn render(&self, has_lines: bool, has_headers: bool) -> String {
        if has_lines { self.with_lines(has_headers) } else { self.aligned(has_headers) }
    }

    fn with_lines(&self, has_headers: bool) -> String {
        let mut table = Bordered::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        if has_headers {
            table.set_header(self.headers.clone());
        }
        table.add_rows(self.rows.clone());
        format!("{table}\n")
    }

    fn aligned(&self, has_headers: bool) -> String {
        let header = has_headers.then_some(&self.headers);
        let lines: Vec<&Vec<String>> = header.into_iter().chain(&self.rows).collect();
        let width = |column: usize| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headers.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let mut written = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                written.push_str(&format!("{cell:<width$}{:GAP$}", ""));
            }
            text.push_str(written.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn in_a_pipe_columns_are_aligned_and_have_no_lines() {
        let mut table = Table::new(["NAME", "CIDR"]);
        table.row(["blue", "10.0.0.0/24"]);
        table.row(["a longer name", ""]);
        expect![[r#"
            NAME            CIDR
            blue            10.0.0.0/24
            a longer name
        "#]]
        .assert_eq(&table.render(false, true));
    }

    #[test]
    fn on_a_terminal_a_table_has_lines() {
        let mut table = Table::new(["NAME"]);
        table.row(["blue"]);
        expect![[r#"
            ┌──────┐
            │ NAME │
            ╞══════╡
            │ blue │
            └──────┘
        "#]]
        .assert_eq(&table.render(true, true));
    }
}
