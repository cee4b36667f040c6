//! `doctor`: looks for what is wrong, and says what to do about it.

mod certificates;
mod controller;
mod kernel;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::console::{Console, Paint};
use crate::context::Context;
use crate::exit::Exit;

/// What `doctor` takes.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 nothing fails, 1 something does.")]
pub(crate) struct Arguments {
    /// Also look at the certificates in this directory
    #[arg(long, value_name = "DIRECTORY")]
    tls_directory: Option<PathBuf>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    verdict: Verdict,
    /// What was looked at.
    subject: String,
    /// What was found.
    finding: String,
    /// What to do about it.
    advice: Option<String>,
}

impl Check {
    fn ok(subject: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject: subject.into(), finding: finding.into(), advice: None }
    }

    fn warn(subject: impl Into<String>, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, advice: Some(advice.into()), ..Self::ok(subject, finding) }
    }

    fn fail(subject: impl Into<String>, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(subject, finding, advice) }
    }

    fn line(&self, console: &Console) -> String {
        let (word, paint) = match self.verdict {
            Verdict::Ok => ("ok  ", Paint::Good),
            Verdict::Warn => ("warn", Paint::Changed),
            Verdict::Fail => ("fail", Paint::Bad),
        };
        let advice = self.advice.as_ref().map(|advice| format!("\n      {advice}")).unwrap_or_default();
        format!("{}  {}: {}{advice}\n", console.paint(paint, word), self.subject, self.finding)
    }
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut checks = controller::checks(&context.client()?).await;
    checks.extend(kernel::checks().await);
    if let Some(directory) = &arguments.tls_directory {
        checks.extend(certificates::checks(directory, std::time::SystemTime::now()));
    }
    if !context.print_value(&checks)? {
        let text: String = checks.iter().map(|check| check.line(&context.console)).collect();
        context.console.out(&text)?;
    }
    let is_failing = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(if is_failing { Exit::Failed } else { Exit::Ok })
}
