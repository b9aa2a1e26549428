//! `bailiwick slo …`: how service levels stand, a word against a release freeze, and objectives as OpenSLO has them.
use super::client::{Client, segment};
use super::{Connection, Output, say};
use anyhow::{Context, anyhow};
use bailiwick_policy::openslo;
use bailiwick_policy::parse::parse;
use bailiwick_policy::schema::SloFile;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Verbs on service levels.
#[derive(Debug, Subcommand)]
pub(crate) enum Slo {
    /// Show error budgets, alarms and release freezes.
    Show(Show),
    /// Let releases through in spite of a freeze: two people say the same.
    Override(Override),
    /// Write a slo.yaml as OpenSLO v1.
    Export(Convert),
    /// Write OpenSLO v1, as it was exported, as slo.yaml.
    Import(Convert),
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Only this tenant; the whole fleet where absent.
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Override {
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: String,
    /// For how many minutes from the second word on, 1 to 1440.
    #[arg(long)]
    minutes: u64,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// File to read.
    file: PathBuf,
    /// File to write; standard output where absent.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Slo {
    /// Asks the server and prints what it answers, or converts a file.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show(show) => show.run().await,
            Self::Override(said) => {
                let path = format!("/admin/v1/tenants/{}/slo/override", segment(&said.tenant));
                let body = json!({"minutes": said.minutes, "reason": said.reason});
                let client = Client::new(&said.connection, Some(&said.tenant))?;
                let releases = client.call(Method::POST, &path, Some(&body)).await?;
                match said.connection.output {
                    Output::Json => say(releases.to_string()),
                    Output::Text => say(freeze(&releases)),
                }
                Ok(())
            }
            Self::Export(convert) => convert.run(|name, text| {
                let file: SloFile = parse(name, text)?;
                openslo::export(&file).map_err(|problem| anyhow!("{name}: {problem}"))
            }),
            Self::Import(convert) => convert.run(|name, text| Ok(openslo::slo_yaml(&openslo::import(name, text)?))),
        }
    }
}

impl Convert {
    fn run(self, convert: impl FnOnce(&str, &str) -> anyhow::Result<String>) -> anyhow::Result<()> {
        let name = self.file.display().to_string();
        let text =
            std::fs::read_to_string(&self.file).with_context(|| format!("reading {name}: name a readable file"))?;
        let converted = convert(&name, &text)?;
        match &self.out {
            None => say(converted.trim_end()),
            Some(file) => std::fs::write(file, converted)
                .with_context(|| format!("writing {}: name a writable file with --out", file.display()))?,
        }
        Ok(())
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let path = match &self.tenant {
            Some(tenant) => format!("/admin/v1/tenants/{}/slo", segment(tenant)),
            None => "/admin/v1/slo".to_owned(),
        };
        let answer = Client::new(&self.connection, self.tenant.as_deref())?.call(Method::GET, &path, None).await?;
        if self.connection.output == Output::Json {
            say(answer.to_string());
            return Ok(());
        }
        let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        match &self.tenant {
            Some(tenant) => print(tenant, &answer),
            None => {
                for service in list("tenants") {
                    print(service.get("tenant").and_then(Value::as_str).unwrap_or("-"), &service);
                }
                for missing in list("missing") {
                    let text = |name: &str| missing.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
                    say(format!("{}: unknown, {}", text("tenant"), text("reason")));
                }
            }
        }
        Ok(())
    }
}

fn print(tenant: &str, service: &Value) {
    let budget = |name: &str| service.pointer(&format!("/error_budget/{name}"));
    let minutes = |name: &str| budget(name).and_then(Value::as_f64).map(|minutes| format!("{minutes:.1}"));
    let status = budget("status").and_then(Value::as_str).unwrap_or("no data");
    let used = minutes("consumed_minutes").unwrap_or_else(|| "-".to_owned());
    let of = minutes("monthly_downtime_minutes").unwrap_or_default();
    let releases = service.get("releases").map(freeze).unwrap_or_default();
    say(format!("{tenant}: {status}, {used} of {of} minutes used; {releases}"));
    for alarm in service.get("alarms").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| alarm.get(name).and_then(Value::as_str).unwrap_or("-");
        say(format!("  {} ({}) since {}", text("name"), text("severity"), text("since")));
    }
}

fn freeze(releases: &Value) -> String {
    let text = |path: &str| releases.pointer(path).and_then(Value::as_str);
    match (text("/frozen_since"), text("/overridden/until"), text("/asked/until")) {
        (None, ..) => "releases are free".to_owned(),
        (Some(_), Some(until), _) => format!("the release freeze is overridden until {until}"),
        (Some(since), None, Some(until)) => {
            format!("releases are frozen since {since}; a second person may say the same until {until}")
        }
        (Some(since), None, None) => format!("releases are frozen since {since}"),
    }
}
