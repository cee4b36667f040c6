//! What every command is given: the console, the form of the output, the way to the controller.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use weft_client::{Client, Config};

use crate::arguments::Globals;
use crate::console::Console;
use crate::environment::first_of;
use crate::output::{Format, Table, to_yaml};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every command is given.
pub(crate) struct Context {
    pub(crate) console: Console,
    pub(crate) format: Format,
    /// As it was asked for; commands have different ideas of what is long.
    pub(crate) timeout: Option<Duration>,
    has_headers: bool,
    config: Config,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Self {
        let url = globals.url.or_else(|| first_of(&["OS_ENDPOINT_OVERRIDE"]));
        Self {
            console: Console::new(globals.quiet),
            format: globals.output,
            timeout: globals.timeout,
            has_headers: !globals.no_headers,
            config: Config {
                url: url.unwrap_or_else(|| weft_client::DEFAULT_URL.to_owned()),
                token: first_of(&["WEFT_TOKEN", "OS_TOKEN"]),
                timeout: globals.timeout.unwrap_or(REQUEST_TIMEOUT),
            },
        }
    }

    /// A client of the controller; nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client, weft_client::Error> {
        Client::new(&self.config)
    }

    /// Prints a value where the form of the output is one for programs; answers whether it is.
    pub(crate) fn print_value(&self, value: &impl Serialize) -> Result<bool> {
        let text = match self.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
            Format::Yaml => to_yaml(&serde_json::to_value(value)?)?,
            Format::Table | Format::Wide | Format::Name => return Ok(false),
        };
        self.console.out(&text)?;
        Ok(true)
    }

    /// Prints a table; of an empty one only the note.
    pub(crate) fn print_table(&self, table: &Table, if_empty: &str) -> Result<()> {
        if table.is_empty() {
            self.console.note(if_empty)?;
        } else {
            self.console.out(&table.render(self.console.out_is_terminal(), self.has_headers))?;
        }
        Ok(())
    }

    /// Prints one name a line.
    pub(crate) fn print_names(&self, names: &[String]) -> Result<()> {
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        Ok(self.console.out(&text)?)
    }
}
