//! `bailiwick report …`: what the server knows, as a file.
use super::client::{Client, segment};
use super::{Connection, say};
use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use std::path::PathBuf;

/// Kinds of report.
#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// What was spent, by tenant, day, domain, use case, user, key, provider or model.
    Costs(Costs),
}

#[derive(Debug, Args)]
pub(crate) struct Costs {
    /// Only this tenant; the whole fleet where absent.
    #[arg(long)]
    tenant: Option<String>,
    /// First day (UTC), such as 2026-01-31; the first of the last one's month where absent.
    #[arg(long)]
    from: Option<String>,
    /// Last day (UTC), included; today where absent.
    #[arg(long)]
    to: Option<String>,
    /// Names with commas between: tenant, day, domain, usecase, user, key, provider, model.
    #[arg(long, conflicts_with = "partial")]
    group_by: Option<String>,
    /// csv, json, or focus: the columns of the FinOps Open Cost and Usage Specification, for the whole fleet.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// With focus: write what there is even where tenants are missing.
    #[arg(long)]
    partial: bool,
    /// File to write; standard output where absent.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// The form of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    Csv,
    Json,
    Focus,
}

impl Costs {
    fn path(&self) -> anyhow::Result<String> {
        let form = |name: &str| Some(name.to_owned());
        let (path, format, group_by) = match (&self.tenant, self.format) {
            (Some(_), Format::Focus) => anyhow::bail!("reporting costs: focus is the fleet's; leave --tenant out"),
            (None, Format::Focus) => ("/admin/v1/costs/export".to_owned(), None, &None),
            (Some(tenant), _) => {
                (format!("/admin/v1/tenants/{}/costs", segment(tenant)), form(self.name()), &self.group_by)
            }
            (None, _) => ("/admin/v1/costs".to_owned(), form(self.name()), &self.group_by),
        };
        let partial = self.partial.then(|| "true".to_owned());
        let said = [
            ("from", &self.from),
            ("to", &self.to),
            ("group_by", group_by),
            ("format", &format),
            ("partial", &partial),
        ];
        let pairs: Vec<String> = said
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", segment(value))))
            .collect();
        Ok(if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) })
    }

    fn name(&self) -> &'static str {
        if self.format == Format::Json { "json" } else { "csv" }
    }
}

impl Report {
    /// Asks the server and writes what it answers.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self::Costs(costs) = self;
        let client = Client::new(&costs.connection, None)?;
        let response = client.send(client.request(Method::GET, &costs.path()?)).await?;
        let text = response.text().await.context("reading the server's answer")?;
        match &costs.out {
            None => say(text.trim_end()),
            Some(file) => std::fs::write(file, text)
                .with_context(|| format!("writing {}: name a writable file with --out", file.display()))?,
        }
        Ok(())
    }
}
