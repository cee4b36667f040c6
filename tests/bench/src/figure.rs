//! A figure, what it should reach, and how it is shown.

use std::time::Duration;

use serde_json::{Value, json};

/// A measured figure.
pub(crate) struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    reach: Option<Reach>,
    /// What it is compared with, measured in the same run.
    peer: Option<f64>,
}

/// What a figure should reach.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    AtLeast(f64),
    AtMost(f64),
    /// At least so much of its peer.
    RatioAtLeast(f64),
}

impl Figure {
    pub(crate) const fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, reach: None, peer: None }
    }

    pub(crate) const fn at_least(self, value: f64) -> Self {
        Self { reach: Some(Reach::AtLeast(value)), ..self }
    }

    pub(crate) const fn at_most(self, value: f64) -> Self {
        Self { reach: Some(Reach::AtMost(value)), ..self }
    }

    /// Compares it with `peer`, of which it should be at least `ratio`.
    pub(crate) const fn beside(self, peer: f64, ratio: f64) -> Self {
        Self { peer: Some(peer), reach: Some(Reach::RatioAtLeast(ratio)), ..self }
    }

    /// The row that it belongs to.
    pub(crate) fn row(&self) -> &str {
        self.name.split('/').next().unwrap_or(self.name)
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.map(|peer| self.value / peer)
    }

    fn is_missed(&self) -> bool {
        match self.reach {
            None => false,
            Some(Reach::AtLeast(value)) => self.value < value,
            Some(Reach::AtMost(value)) => self.value > value,
            Some(Reach::RatioAtLeast(least)) => self.ratio().is_none_or(|ratio| ratio < least),
        }
    }

    fn reach(&self) -> Option<String> {
        self.reach.map(|reach| match reach {
            Reach::AtLeast(value) => format!(">= {value}"),
            Reach::AtMost(value) => format!("<= {value}"),
            Reach::RatioAtLeast(ratio) => format!("ratio >= {ratio}"),
        })
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "value": rounded(self.value), "unit": self.unit, "reach": self.reach(),
            "peer": self.peer.map(rounded), "ratio": self.ratio().map(rounded) })
    }

    fn cells(&self) -> [String; 7] {
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        [
            self.name.to_owned(),
            shown(self.value),
            self.unit.to_owned(),
            self.reach().unwrap_or_default(),
            self.peer.map(shown).unwrap_or_default(),
            ratio,
            if self.is_missed() { "MISSED".to_owned() } else { String::new() },
        ]
    }
}

/// How figures are shown.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// One aligned table, at the end.
    Table,
    /// One JSON object a line, as soon as it is known.
    Json,
}

impl Form {
    /// Shows what is shown as soon as it is known.
    pub(crate) fn each(self, figures: &[Figure]) {
        if let Self::Json = self {
            figures.iter().for_each(|figure| println!("{}", figure.json()));
        }
    }

    /// Shows what is shown at the end.
    pub(crate) fn all(self, figures: &[Figure]) {
        let Self::Table = self else { return };
        let head = ["name", "value", "unit", "reach", "peer", "ratio", ""].map(str::to_owned);
        let rows: Vec<[String; 7]> = std::iter::once(head).chain(figures.iter().map(Figure::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..7).map(width).collect();
        for row in &rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                1 | 4 | 5 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A duration in milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What this share of the durations does not exceed.
pub(crate) fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1) as f64;
    durations.get((last * share).round() as usize).copied().unwrap_or_default()
}

/// The value in the middle.
pub(crate) fn median(durations: &mut [Duration]) -> Duration {
    quantile(durations, 0.5)
}
