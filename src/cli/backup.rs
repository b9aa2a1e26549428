//! `bailiwick backup …` and `bailiwick restore`: the whole node, kept elsewhere and put back.
use super::client::Client;
use super::{Connection, Output, say};
use crate::config::{Config, FILE};
use anyhow::{Context, bail};
use bailiwick_control::backup::{Restore, Restored};
use bailiwick_control::gitops::folder::Folders;
use bailiwick_kernel::clock::SystemClock;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Verbs on backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Add a point to a backup, made by the running server: only what is new is written.
    Create(In),
    /// Let copies go that nothing keeps any more: no minimum, no legal hold.
    Prune(In),
}

#[derive(Debug, Args)]
pub(crate) struct In {
    /// The folder of the backup, on the server's own machine.
    folder: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// Put a backup back onto an empty data folder.
#[derive(Debug, Args)]
pub(crate) struct PutBack {
    /// The folder of the backup.
    from: PathBuf,
    /// Which point; the newest where absent.
    #[arg(long)]
    point: Option<u64>,
    /// The data folder: absent or empty.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// The tenants folder: what it lacks is put back, what it has stays.
    #[arg(long, default_value = "tenants")]
    tenants: PathBuf,
    /// The file of the root key, carried apart from the backup: `master.key` of the node that was backed up.
    #[arg(long)]
    root_key: Option<PathBuf>,
    /// A newer copy of the erasure ledger than the one beside the backup.
    #[arg(long)]
    ledger: Vec<PathBuf>,
    /// Configuration file, for the region and the root key's place.
    #[arg(long)]
    config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Backup {
    /// Has the server do it, and prints what it says.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (inside, path) = match self {
            Self::Create(inside) => (inside, "/admin/v1/backups"),
            Self::Prune(inside) => (inside, "/admin/v1/backups/prune"),
        };
        let folder = std::path::absolute(&inside.folder).context("reading the folder's name")?;
        let body = json!({"folder": folder.to_str().context("reading the folder's name: it is no text")?});
        let answer = Client::new(&inside.connection, None)?.call(Method::POST, path, Some(&body)).await?;
        match inside.connection.output {
            Output::Json => say(answer.to_string()),
            Output::Text => print(&answer),
        }
        Ok(())
    }
}

fn print(answer: &Value) {
    let listed = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let words = |line: &Value| line.as_str().unwrap_or_default().to_owned();
    if let (Some(point), Some(bytes)) = (answer.get("point"), answer.get("bytes")) {
        say(format!("point {point}: {bytes} bytes new, of {} tenants", listed("tenants").len()));
    }
    listed("pruned").iter().chain(&listed("removed")).for_each(|line| say(format!("  {}", words(line))));
    listed("kept").iter().for_each(|line| say(format!("  kept: {}", words(line))));
}

fn config(named: Option<PathBuf>) -> anyhow::Result<Config> {
    match named {
        Some(path) => Ok(Config::load(&path)?),
        None if Path::new(FILE).exists() => Ok(Config::load(Path::new(FILE))?),
        None => Ok(Config::default()),
    }
}

impl PutBack {
    /// Puts it back, and prints what is back.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let config = config(self.config)?;
        let restore = Restore {
            from: self.from,
            point: self.point,
            data: self.data,
            tenants: Folders::open(&self.tenants, config.guardrails()?)?,
            root: config.root_key()?,
            root_file: self.root_key,
            region: config.region.clone(),
            ledgers: self.ledger,
            clock: Arc::new(SystemClock),
        };
        if !restore.from.is_dir() {
            bail!("restoring: {} is no folder; name the folder of the backup", restore.from.display());
        }
        let Restored { point, made_at, tenants, left_out, erased_again, erasures, last_erasure_at } =
            restore.run().await?;
        if self.output == Output::Json {
            let told = json!({
                "point": point, "made_at": made_at, "tenants": tenants, "left_out": left_out, "erased_again": erased_again,
                "erasures": erasures, "last_erasure_at": last_erasure_at,
            });
            say(told.to_string());
            return Ok(());
        }
        say(format!("point {point} of {made_at} is back: {}", tenants.join(", ")));
        left_out.iter().for_each(|line| say(format!("  not back: {line}")));
        let last = last_erasure_at.unwrap_or_else(|| "never".to_owned());
        say(format!(
            "  erased again: {erased_again} documents; the erasure ledger has {erasures} lines, the last of {last}"
        ));
        say("  if the node has erased anything after that, restore again with the newest ledger (--ledger)");
        Ok(())
    }
}
