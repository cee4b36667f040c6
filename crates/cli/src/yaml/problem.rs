//! What is wrong with a file, with the line in which it is.

use std::fmt;

use super::tree::Place;

/// What is wrong with files: everything that was found, not only the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems(Vec<Problem>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    file: String,
    place: Place,
    message: String,
    source_line: String,
}

/// A file, as far as a message needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn problem(&self, place: Place, message: impl Into<String>) -> Problem {
        let line = self.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        Problem { file: self.name.clone(), place, message: message.into(), source_line: line.to_owned() }
    }
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.each().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, then the line with a caret under what is meant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, length } = self.place;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // A tab stays one, so that the caret is where it belongs.
        let before: String = self
            .source_line
            .chars()
            .take(column.saturating_sub(1))
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        let rest = self.source_line.trim_end().chars().count().saturating_sub(column.saturating_sub(1));
        let carets = "^".repeat(length.min(rest).max(1));
        writeln!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        writeln!(f, " {margin} |")?;
        writeln!(f, " {number} | {}", self.source_line)?;
        write!(f, " {margin} | {before}{carets}")
    }
}
