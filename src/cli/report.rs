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
    /// Which safeguards of a tenant hold, with the evidence: as JSON, or as PDF where --out ends in .pdf.
    Compliance(Compliance),
    /// Where answers have changed: the map over all tenants, or one tenant's figures.
    Drift(OfTenant),
    /// The lineage of a tenant's answers, one line of JSON for each cited chunk.
    Lineage(OfTenant),
    /// Objectives of a tenant and what was measured.
    Slo(OfTenant),
}

#[derive(Debug, Args)]
pub(crate) struct Compliance {
    /// Which tenant.
    #[arg(long)]
    tenant: String,
    /// ISO week such as 2026-W48: the report as it was kept; as it is now where absent.
    #[arg(long)]
    week: Option<String>,
    /// File to write, .pdf or .json; JSON on standard output where absent.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct OfTenant {
    /// Which tenant; the whole fleet where absent, for drift alone.
    #[arg(long)]
    tenant: Option<String>,
    /// File to write; standard output where absent.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
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

impl Compliance {
    fn path(&self) -> String {
        let is_pdf = self.out.as_ref().and_then(|out| out.extension()).is_some_and(|ending| ending == "pdf");
        let format = if is_pdf { "pdf" } else { "json" };
        let week = self.week.as_ref().map(|week| format!("&week={}", segment(week))).unwrap_or_default();
        format!("/admin/v1/tenants/{}/reports/compliance?format={format}{week}", segment(&self.tenant))
    }
}

impl OfTenant {
    /// The route of a report that is kept for every tenant.
    fn path(&self, what: &str) -> anyhow::Result<String> {
        let tenant = self.tenant.as_ref().with_context(|| format!("reporting {what}: name a tenant with --tenant"))?;
        Ok(format!("/admin/v1/tenants/{}/{what}", segment(tenant)))
    }

    fn path_of_drift(&self) -> anyhow::Result<String> {
        match self.tenant {
            Some(_) => self.path("drift"),
            None => Ok("/admin/v1/reports/tenant-drift-map.json".to_owned()),
        }
    }
}

impl Report {
    /// Asks the server and writes what it answers.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (path, out, connection) = match self {
            Self::Costs(costs) => (costs.path()?, costs.out, costs.connection),
            Self::Compliance(asked) => (asked.path(), asked.out, asked.connection),
            Self::Drift(asked) => (asked.path_of_drift()?, asked.out, asked.connection),
            Self::Lineage(asked) => (asked.path("lineage")?, asked.out, asked.connection),
            Self::Slo(asked) => (asked.path("slo")?, asked.out, asked.connection),
        };
        let client = Client::new(&connection, None)?;
        let response = client.send(client.request(Method::GET, &path)).await?;
        let bytes = response.bytes().await.context("reading the server's answer")?;
        match out {
            None => say(String::from_utf8_lossy(&bytes).trim_end()),
            Some(file) => std::fs::write(&file, bytes)
                .with_context(|| format!("writing {}: name a writable file with --out", file.display()))?,
        }
        Ok(())
    }
}
