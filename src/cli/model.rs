//! `bailiwick model …`: embedding models of this node. Nothing is fetched: a model is a folder that is there already.
use super::{Output, say};
use crate::config::Config;
use anyhow::Context;
use bailiwick_tenant::embedding::Registered;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Verbs on models.
#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Check a model (BERT in the layout of sentence-transformers) and register it; its files stay where they are.
    Add(Add),
    /// List the models of this node.
    List(Node),
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Folder with config.json, tokenizer.json and model.safetensors.
    path: PathBuf,
    /// Name the configuration uses; the folder's own where absent.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Args)]
pub(crate) struct Node {
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

impl Node {
    fn data(&self) -> anyhow::Result<PathBuf> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let default = Path::new(crate::config::FILE);
        Ok(match &self.config {
            Some(path) => Config::load(path)?.data,
            None if default.exists() => Config::load(default)?.data,
            None => Config::default().data,
        })
    }
}

impl Model {
    /// Checks and registers, or lists.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add(Add { path, name, node }) => {
                let folder = path.canonicalize().with_context(|| {
                    format!(
                        "adding the model in {}: the folder cannot be opened; name one that is there",
                        path.display()
                    )
                })?;
                let own = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let data = node.data()?;
                std::fs::create_dir_all(&data)
                    .with_context(|| format!("adding a model: the data folder {} cannot be made", data.display()))?;
                let model = Registered::add(&data, name.as_deref().unwrap_or(&own), &folder)?;
                match node.output {
                    Output::Json => say(shown(&model).to_string()),
                    Output::Text => {
                        say(line(&model));
                        say(format!(
                            "checked and registered; to use it, write into config.toml:\n\n[[providers]]\nname = \"local-embeddings\"\n\
                             kind = \"local-embeddings\"\nmodel = \"{}\"\nregion = \"local\"   # the node's own",
                            model.name()
                        ));
                    }
                }
            }
            Self::List(node) => {
                let models = Registered::all(&node.data()?)?;
                match node.output {
                    Output::Json => say(Value::from_iter(models.iter().map(shown)).to_string()),
                    Output::Text => models.iter().for_each(|model| say(line(model))),
                }
            }
        }
        Ok(())
    }
}

fn shown(model: &Registered) -> Value {
    let card = model.card();
    json!({
        "name": model.name(), "dimension": card.dimension, "tokens_max": card.tokens_max, "digest": card.digest,
        "folder": model.folder(), "files": card.files,
    })
}

fn line(model: &Registered) -> String {
    let card = model.card();
    format!(
        "{:<24} {:>5} dimensions  {:>4} tokens  sha256 {}  {}",
        model.name(),
        card.dimension,
        card.tokens_max,
        card.digest,
        model.folder().display()
    )
}
