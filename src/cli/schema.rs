//! `bailiwick schema`: JSON Schemas, generated from the types that parse the files.
use super::say;
use anyhow::bail;
use clap::Args;

/// Print the JSON Schema of a file.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Name of the file's kind; without one the names are listed.
    name: Option<String>,
}

impl Schema {
    /// Prints one schema, or the names there are.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let names = bailiwick_policy::schemas::NAMES.iter().copied().chain(["config"]);
        let Some(name) = self.name else {
            names.for_each(say);
            return Ok(());
        };
        let schema = if name == "config" {
            Some(crate::config::schema().to_value())
        } else {
            bailiwick_policy::schemas::schema(&name)
        };
        let Some(schema) = schema else {
            bail!("there is no schema {name:?}; the names are {}", names.collect::<Vec<_>>().join(", "));
        };
        say(serde_json::to_string_pretty(&schema)?);
        Ok(())
    }
}
