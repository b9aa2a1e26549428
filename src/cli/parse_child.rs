//! `bailiwick parse-child`: the child process in which hostile formats are parsed, under its own limits.
use bailiwick_tenant::retrieval::parse::{Format, run_child};
use clap::Args;
use std::process::ExitCode;

/// Parse one hostile document from standard input.
#[derive(Debug, Args)]
pub(crate) struct ParseChild {
    /// Format of the bytes on standard input, as the server names it.
    #[arg(value_parser = format)]
    format: Format,
}

fn format(label: &str) -> Result<Format, String> {
    Format::from_label(label).ok_or_else(|| format!("there is no format {label:?}"))
}

impl ParseChild {
    /// Parses standard input to standard output.
    pub(crate) fn run(self) -> ExitCode {
        run_child(self.format, std::io::stdin().lock(), std::io::stdout().lock())
    }
}
