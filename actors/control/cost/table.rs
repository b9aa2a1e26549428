//! A report as a table for spreadsheets (RFC 4180).
use super::messages::CostReport;
use std::borrow::Cow;

/// The columns of figures, behind those of `group_by`.
const FIGURES: [&str; 4] = ["turns", "prompt_tokens", "completion_tokens", "cost_usd"];

/// The rows of a report as CSV, with a head. Names are text that askers chose: one that a spreadsheet would run as a
/// formula has an apostrophe before it.
///
/// # Errors
/// [`csv::Error`], which writing to memory does not give.
pub fn csv(report: &CostReport) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(report.group_by.iter().map(|by| by.as_str()).chain(FIGURES))?;
    for row in &report.rows {
        let spent = row.spent;
        let names = report.group_by.iter().map(|by| plain(row.name(*by).unwrap_or_default()));
        let figures = [
            spent.turns.to_string(),
            spent.prompt_tokens.to_string(),
            spent.completion_tokens.to_string(),
            spent.cost_usd.to_string(),
        ];
        table.write_record(names.chain(figures.into_iter().map(Cow::from)).map(|field| field.into_owned()))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// A name that no spreadsheet takes for a formula.
fn plain(name: &str) -> Cow<'_, str> {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r']) { Cow::from(format!("'{name}")) } else { Cow::from(name) }
}
