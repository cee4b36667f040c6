//! Standard output and standard error: what is data, what is a note, what is in colour. A closed pipe is no error.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Error;

use crate::environment::first_of;
use crate::exit::Exit;
use crate::yaml::Problems;

/// A colour, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Changed,
    Bad,
    Strong,
    Faint,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Changed => "33",
            Self::Bad => "31",
            Self::Strong => "1",
            Self::Faint => "2",
        }
    }
}

/// Where output goes, and how.
pub(crate) struct Console {
    is_quiet: bool,
    out_is_terminal: bool,
    out_has_colour: bool,
    error_has_colour: bool,
}

impl Console {
    pub(crate) fn new(is_quiet: bool) -> Self {
        let colour = |is_terminal: bool| {
            let forced = first_of(&["CLICOLOR_FORCE"]).is_some_and(|value| value != "0");
            first_of(&["NO_COLOR"]).is_none() && (is_terminal || forced)
        };
        let out_is_terminal = io::stdout().is_terminal();
        Self {
            is_quiet,
            out_is_terminal,
            out_has_colour: colour(out_is_terminal),
            error_has_colour: colour(io::stderr().is_terminal()),
        }
    }

    pub(crate) const fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Whether somebody can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Data: to standard output.
    pub(crate) fn out(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// What was done: to standard output, unless quiet.
    pub(crate) fn done(&self, text: &str) -> io::Result<()> {
        if self.is_quiet { Ok(()) } else { self.out(&format!("{text}\n")) }
    }

    /// A remark: to standard error, unless quiet.
    pub(crate) fn note(&self, text: &str) -> io::Result<()> {
        if self.is_quiet { Ok(()) } else { writeln!(io::stderr().lock(), "{text}") }
    }

    /// What went wrong although the rest goes on: to standard error.
    pub(crate) fn complain(&self, text: &str) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{}: {text}", self.paint_error(Paint::Bad, "error"))
    }

    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        painted(self.out_has_colour, paint, text)
    }

    fn paint_error(&self, paint: Paint, text: &str) -> String {
        painted(self.error_has_colour, paint, text)
    }

    /// Asks; anything but a yes is a no.
    pub(crate) fn confirm(&self, question: &str) -> io::Result<bool> {
        let mut error = io::stderr().lock();
        write!(error, "{question} [y/N] ")?;
        error.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Says what went wrong; answers what the process ends with.
    pub(crate) fn report(&self, error: &Error, on_error: Exit) -> Exit {
        if is_closed_pipe(error) {
            return Exit::Ok;
        }
        let word = self.paint_error(Paint::Bad, "error");
        let text = match error.downcast_ref::<Problems>() {
            Some(problems) => problems.each().map(|problem| format!("{word}: {problem}\n")).collect(),
            None => {
                let mut text = format!("{word}: {error}\n");
                let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
                if let Some(cause) = causes.last() {
                    text.push_str(&format!("  because: {cause}\n"));
                }
                text
            }
        };
        // Where even this cannot be said, the exit code has to do.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        match error.downcast_ref::<weft_client::Error>() {
            Some(weft_client::Error::TimedOut { .. }) => Exit::TimedOut,
            _ => on_error,
        }
    }
}

fn painted(has_colour: bool, paint: Paint, text: &str) -> String {
    if has_colour { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
}

fn is_closed_pipe(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
