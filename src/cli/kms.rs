//! `bailiwick kms …`: the root key of a node that does not run.
use super::{Output, say};
use crate::config::Config;
use bailiwick_control::kms::rewrap::{Rewrapped, rewrap};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Verbs on the root key.
#[derive(Debug, Subcommand)]
pub(crate) enum Kms {
    /// Wrap every tenant's keys under a new root key. The server has to be stopped; an interrupted run is gone on with.
    Rewrap(Rewrap),
}

#[derive(Debug, Args)]
pub(crate) struct Rewrap {
    /// Configuration file; the defaults where there is none.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Data folder; that of the configuration where absent.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Kms {
    /// Does it, and says what was done.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self::Rewrap(Rewrap { config, data, output }) = self;
        let config = match config {
            Some(path) => Config::load(&path)?,
            None if Path::new(crate::config::FILE).exists() => Config::load(Path::new(crate::config::FILE))?,
            None => Config::default(),
        };
        let began = Instant::now();
        let done = rewrap(data.as_deref().unwrap_or(&config.data), &config.root_key()?)?;
        let Rewrapped { keyrings, keys, done_before, customers, destroyed } = done;
        match output {
            Output::Json => say(json!({
                "keyrings": keyrings, "keys": keys, "done_before": done_before, "customers": customers, "destroyed": destroyed,
            })
            .to_string()),
            Output::Text => say(format!(
                "{keys} keys in {keyrings} keyrings are wrapped by the new root key, in {:.1} s; {done_before} keyrings were before, \
                 {customers} are wrapped by customers' own keys and stay so. Back up the root key and the folder of keys anew",
                began.elapsed().as_secs_f64()
            )),
        }
        Ok(())
    }
}
