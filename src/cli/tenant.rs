//! `bailiwick tenant …`: the life of tenants.
use super::archive::{Export, Import};
use super::client::{Client, segment};
use super::{Connection, Output, say};
use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Verbs on tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Create a tenant with working default policies.
    Create(Create),
    /// List tenants.
    List(List),
    /// Show one tenant.
    Show(Named),
    /// Suspend: keeps everything, serves nothing.
    Suspend(Suspend),
    /// End a suspension, an archive or a quarantine.
    Resume(Named),
    /// Archive.
    Archive(Named),
    /// Show the versions of the key a tenant's data are sealed under.
    Encryption(Named),
    /// Make a new version of that key; what was sealed before is read as before.
    RotateKey(Named),
    /// Write a tenant to a folder: its files, documents, lineage and journal.
    Export(Export),
    /// Make a tenant of what an export wrote; it keeps its name and id.
    Import(Import),
    /// Delete: soft until retention ends, or at once and for ever with --shred.
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name or uuid.
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Suspend {
    /// Name or uuid.
    tenant: String,
    /// Why; stands in the registry's journal.
    #[arg(long, default_value = "suspended by the operator")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Name or uuid.
    tenant: String,
    /// Destroy the data and its key now.
    #[arg(long)]
    shred: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this status.
    #[arg(long)]
    status: Option<String>,
    /// Only of this plan.
    #[arg(long)]
    plan: Option<String>,
    /// Only of this region.
    #[arg(long)]
    region: Option<String>,
    /// Only of this industry.
    #[arg(long)]
    industry: Option<String>,
    /// Only with this compliance regime.
    #[arg(long)]
    compliance: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name: lower-case letters, digits, hyphens.
    name: String,
    /// free, pro or enterprise.
    #[arg(long, default_value = "free")]
    plan: String,
    /// Home region.
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// Days data is kept.
    #[arg(long, default_value_t = 365)]
    retention_days: u32,
    /// Industry.
    #[arg(long, default_value = "general")]
    industry: String,
    /// Compliance regimes.
    #[arg(long)]
    compliance: Vec<String>,
    /// Whom to write to.
    #[arg(long, default_value = "owner@example.org")]
    contact_email: String,
    /// Requests per hour.
    #[arg(long, default_value_t = 10_000)]
    max_requests_per_hour: u32,
    /// Requests in flight.
    #[arg(long, default_value_t = 64)]
    max_concurrent_requests: u32,
    /// US dollars per month.
    #[arg(long, default_value = "100")]
    max_cost_per_month: String,
    /// Gigabytes of documents.
    #[arg(long, default_value_t = 1.0)]
    max_storage_gb: f64,
    /// Who may sign its policies beside the node: a file in the format of allowed_signers.
    #[arg(long)]
    signers: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Create {
    fn signers(&self) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.signers else { return Ok(Vec::new()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    }

    fn body(&self) -> anyhow::Result<Value> {
        Ok(json!({
            "name": self.name,
            "plan": self.plan,
            "config": {"region": self.region, "retention_days": self.retention_days},
            "quotas": {
                "max_requests_per_hour": self.max_requests_per_hour,
                "max_concurrent_requests": self.max_concurrent_requests,
                "max_cost_per_month": self.max_cost_per_month,
                "max_storage_gb": self.max_storage_gb,
            },
            "metadata": {"industry": self.industry, "compliance": self.compliance, "contact_email": self.contact_email},
            "signers": self.signers()?,
        }))
    }
}

impl List {
    fn path(&self) -> String {
        let filters = [
            ("status", &self.status),
            ("plan", &self.plan),
            ("region", &self.region),
            ("industry", &self.industry),
            ("compliance", &self.compliance),
        ];
        let pairs: Vec<String> = filters
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", segment(value))))
            .collect();
        if pairs.is_empty() { "/admin/v1/tenants".to_owned() } else { format!("/admin/v1/tenants?{}", pairs.join("&")) }
    }
}

impl Tenant {
    /// Calls the server and prints the tenant or tenants it answers with.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (connection, method, path, body) = match self {
            Self::Export(export) => return export.run().await,
            Self::Import(import) => return import.run().await,
            Self::Create(create) => {
                (create.connection.clone(), Method::POST, "/admin/v1/tenants".to_owned(), Some(create.body()?))
            }
            Self::List(list) => (list.connection.clone(), Method::GET, list.path(), None),
            Self::Show(named) => (named.connection.clone(), Method::GET, one(&named.tenant, ""), None),
            Self::Suspend(suspend) => (
                suspend.connection.clone(),
                Method::POST,
                one(&suspend.tenant, "/suspend"),
                Some(json!({"reason": suspend.reason})),
            ),
            Self::Resume(named) => (named.connection.clone(), Method::POST, one(&named.tenant, "/resume"), None),
            Self::Archive(named) => (named.connection.clone(), Method::POST, one(&named.tenant, "/archive"), None),
            Self::Encryption(named) => (named.connection.clone(), Method::GET, one(&named.tenant, "/encryption"), None),
            Self::RotateKey(named) => {
                (named.connection.clone(), Method::POST, one(&named.tenant, "/encryption/rotate"), None)
            }
            Self::Delete(delete) => {
                let suffix = if delete.shred { "?shred=true" } else { "" };
                (delete.connection.clone(), Method::DELETE, one(&delete.tenant, suffix), None)
            }
        };
        let answer = Client::new(&connection, None)?.call(method, &path, body.as_ref()).await?;
        match connection.output {
            Output::Json => say(answer.to_string()),
            Output::Text if answer.get("versions").is_some() => print_versions(&answer),
            Output::Text => print_tenants(&answer),
        }
        Ok(())
    }
}

fn one(tenant: &str, suffix: &str) -> String {
    format!("/admin/v1/tenants/{}{suffix}", segment(tenant))
}

fn print_tenants(answer: &Value) {
    let listed = answer.get("tenants").and_then(Value::as_array);
    let tenants = listed.cloned().unwrap_or_else(|| vec![answer.clone()]);
    for tenant in tenants {
        let text = |pointer: &str| tenant.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let reason =
            tenant.get("reason").and_then(Value::as_str).map(|reason| format!("  ({reason})")).unwrap_or_default();
        say(format!(
            "{:<24} {:<12} {:<11} {:<12} policy {:<8} {}{reason}",
            text("/name"),
            text("/state"),
            text("/plan"),
            text("/config/region"),
            text("/policy_version"),
            text("/id")
        ));
    }
}

fn print_versions(answer: &Value) {
    let versions = answer.get("versions").and_then(Value::as_array);
    for version in versions.into_iter().flatten() {
        let text = |field: &str| version.get(field).and_then(Value::as_str);
        say(format!(
            "version {:<4} made {:<25} in {:<12} wrapped by {}",
            version.get("version").and_then(Value::as_u64).unwrap_or_default(),
            text("made_at").unwrap_or("before times were kept"),
            text("region").unwrap_or("-"),
            text("wrapped_by").unwrap_or("the node's root key")
        ));
    }
    if let Some(problem) = answer.get("not_honoured").and_then(Value::as_str) {
        say(format!("warning: {problem}"));
    }
}
