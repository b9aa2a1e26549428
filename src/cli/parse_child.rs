//! `bailiwick parse-child`: the child process in which hostile formats are parsed, under its own limits.
use bailiwick_tenant::retrieval::parse::Format;
use clap::{Args, ValueEnum};
use std::process::ExitCode;

/// Parse one hostile document from standard input.
#[derive(Debug, Args)]
pub(crate) struct ParseChild {
    /// Format of the bytes on standard input.
    format: HostileFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HostileFormat {
    Pdf,
    Docx,
}

impl ParseChild {
    /// Parses standard input to standard output.
    pub(crate) fn run(self) -> ExitCode {
        let format = match self.format {
            HostileFormat::Pdf => Format::Pdf,
            HostileFormat::Docx => Format::Docx,
        };
        bailiwick_tenant::retrieval::parse::child::run_child(format, std::io::stdin().lock(), std::io::stdout().lock())
    }
}
