//! `bailiwick observability …`: a dashboard and alert rules for the metrics this very program exposes.
use super::say;
use anyhow::Context;
use bailiwick_control::observability::{alerts, dashboard};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Verbs on what watches a node.
#[derive(Debug, Subcommand)]
pub(crate) enum Observability {
    /// Write a Grafana dashboard, to be imported.
    Dashboard(Written),
    /// Write alert rules for Prometheus.
    Alerts(Written),
}

#[derive(Debug, Args)]
pub(crate) struct Written {
    /// File to write; standard output where absent.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Observability {
    /// Writes the file.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Dashboard(written) => written.write(&serde_json::to_string_pretty(&dashboard::dashboard())?),
            Self::Alerts(written) => written.write(alerts::rules_file().trim_end()),
        }
    }
}

impl Written {
    fn write(self, text: &str) -> anyhow::Result<()> {
        let Some(file) = self.out else {
            say(text);
            return Ok(());
        };
        std::fs::write(&file, format!("{text}\n"))
            .with_context(|| format!("writing {}: name a file in a folder you may write to", file.display()))
    }
}
