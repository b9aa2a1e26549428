//! `bailiwick erasure …`: what is to be erased, how that stands, and the ledger of what was.
use super::client::{Client, segment};
use super::{Connection, Output, say};
use anyhow::Context;
use bailiwick_kernel::erasures;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Verbs on erasures.
#[derive(Debug, Subcommand)]
pub(crate) enum Erasure {
    /// Ask for the erasure of a document, or of everything about somebody.
    Request(Request),
    /// List requests.
    List(Whose),
    /// Show a request, with what keeps its documents.
    Show(Named),
    /// Print the certificate of a request that is done, for `bailiwick verify`.
    Certificate(Named),
    /// The erasure ledger: what may not return from any backup.
    #[command(subcommand)]
    Ledger(Ledger),
}

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Id of the request.
    id: String,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, Args)]
pub(crate) struct Request {
    /// Everything about this subject, as the documents' metadata names it.
    #[arg(long, required_unless_present = "document", conflicts_with = "document")]
    subject: Option<String>,
    /// This document.
    #[arg(long)]
    document: Option<String>,
    /// Why: the legal basis, in words that name nobody.
    #[arg(long)]
    basis: Option<String>,
    /// Days within which it is due.
    #[arg(long, default_value_t = 30)]
    within_days: u32,
    #[command(flatten)]
    whose: Whose,
}

/// Verbs on the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Copy the newest ledger of a data folder, to be kept apart from it and named at a restore.
    Export(Export),
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where to.
    out: PathBuf,
    /// The data folder.
    #[arg(long, default_value = "data")]
    data: PathBuf,
}

impl Erasure {
    /// Calls the server and prints what it says.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (whose, method, path, body) = match self {
            Self::Ledger(Ledger::Export(export)) => return export.run(),
            Self::Request(Request { subject, document, basis, within_days, whose }) => {
                let body =
                    json!({"subject": subject, "document": document, "basis": basis, "within_days": within_days});
                (whose, Method::POST, "/v1/erasures".to_owned(), Some(body))
            }
            Self::List(whose) => (whose, Method::GET, "/v1/erasures?limit=1000".to_owned(), None),
            Self::Show(Named { id, whose }) => (whose, Method::GET, format!("/v1/erasures/{}", segment(&id)), None),
            Self::Certificate(Named { id, whose }) => {
                let path = format!("/v1/erasures/{}/certificate", segment(&id));
                let client = Client::new(&whose.connection, Some(&whose.tenant))?;
                say(client.call(Method::GET, &path, None).await?.to_string());
                return Ok(());
            }
        };
        let answer = Client::new(&whose.connection, Some(&whose.tenant))?.call(method, &path, body.as_ref()).await?;
        match whose.connection.output {
            Output::Json => say(answer.to_string()),
            Output::Text => print(&answer),
        }
        Ok(())
    }
}

impl Export {
    fn run(self) -> anyhow::Result<()> {
        let from = self.data.join(erasures::FILE);
        let text = match std::fs::read(&from) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.data.is_dir() => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("reading {}", from.display())),
        };
        std::fs::write(&self.out, &text).with_context(|| format!("writing {}", self.out.display()))?;
        say(format!("{} lines are in {}", text.iter().filter(|byte| **byte == b'\n').count(), self.out.display()));
        Ok(())
    }
}

fn print(answer: &Value) {
    let listed = answer.get("erasures").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![answer.clone()]);
    for request in listed {
        let text = |name: &str| match request.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => "-".to_owned(),
        };
        say(["id", "state", "of", "due_at", "erased", "kept_documents"].map(text).join("  "));
        for kept in request.get("kept").and_then(Value::as_array).into_iter().flatten() {
            let said = |name: &str| kept.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
            say(format!("  kept: {}: {}", said("document_id"), said("reason")));
        }
    }
}
