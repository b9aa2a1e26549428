//! `bailiwick ingest`: files and folders, with a progress bar and one line per failed file.
use super::client::Client;
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Endings taken from folders; files named outright are sent whatever their ending.
pub(super) const ENDINGS: [&str; 8] = ["txt", "text", "md", "markdown", "html", "htm", "pdf", "docx"];
const FILES_PER_REQUEST: usize = 64;
const BYTES_PER_REQUEST: u64 = 24 << 20;

/// Bring files or folders in.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// Files or folders.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Domain of the documents.
    #[arg(long)]
    domain: Option<String>,
    /// Use case of the documents.
    #[arg(long)]
    usecase: Option<String>,
    /// Source URL of the documents.
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// What came of an ingest.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) taken: usize,
    pub(crate) failed: Vec<String>,
    pub(crate) documents: Vec<Value>,
}

impl Ingest {
    /// Sends everything and prints what came of it.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let files = collect(&self.paths)?;
        let client = Client::new(&self.connection, self.tenant.as_deref())?;
        let fields = [("domain", self.domain), ("usecase", self.usecase), ("source", self.source)];
        let fields: Vec<(&'static str, String)> =
            fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let tally = send_all(&client, &files, &fields).await?;
        for failure in &tally.failed {
            eprintln!("{failure}");
        }
        match self.connection.output {
            Output::Json => {
                say(serde_json::json!({"taken": tally.taken, "failed": tally.failed, "documents": tally.documents})
                    .to_string())
            }
            Output::Text => say(format!("{} of {} files taken", tally.taken, files.len())),
        }
        if !tally.failed.is_empty() {
            bail!("{} of {} files failed", tally.failed.len(), files.len());
        }
        Ok(())
    }
}

/// The files of the given paths, folders walked in order.
pub(crate) fn collect(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_file() {
            files.push(path.clone());
            continue;
        }
        if !path.is_dir() {
            bail!("reading {}: there is no such file or folder", path.display());
        }
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry.with_context(|| format!("walking {}", path.display()))?;
            let ending =
                entry.path().extension().and_then(|ending| ending.to_str()).map(str::to_lowercase).unwrap_or_default();
            if entry.file_type().is_file() && ENDINGS.contains(&ending.as_str()) {
                files.push(entry.into_path());
            }
        }
    }
    if files.is_empty() {
        bail!("nothing to ingest: no file with a known ending ({}) in the given paths", ENDINGS.join(", "));
    }
    Ok(files)
}

/// Sends files in bounded requests.
pub(crate) async fn send_all(
    client: &Client,
    files: &[PathBuf],
    fields: &[(&'static str, String)],
) -> anyhow::Result<Tally> {
    let bar = ProgressBar::new(u64::try_from(files.len()).unwrap_or(u64::MAX));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} files  {msg}")?);
    let mut tally = Tally::default();
    let (mut batch, mut batch_bytes) = (Vec::new(), 0_u64);
    for file in files {
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        if !batch.is_empty()
            && (batch.len() >= FILES_PER_REQUEST || batch_bytes.saturating_add(bytes) > BYTES_PER_REQUEST)
        {
            send(client, &std::mem::take(&mut batch), fields, &mut tally, &bar).await;
            batch_bytes = 0;
        }
        batch.push(file.as_path());
        batch_bytes = batch_bytes.saturating_add(bytes);
    }
    send(client, &batch, fields, &mut tally, &bar).await;
    bar.finish_and_clear();
    Ok(tally)
}

async fn send(
    client: &Client,
    files: &[&Path],
    fields: &[(&'static str, String)],
    tally: &mut Tally,
    bar: &ProgressBar,
) {
    let mut form = Form::new();
    for (name, value) in fields {
        form = form.text(*name, value.clone());
    }
    let mut sent = Vec::new();
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => {
                let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                form = form.part("file", Part::bytes(bytes).file_name(name));
                sent.push(*file);
            }
            Err(error) => tally.failed.push(format!("{}: cannot be read: {error}", file.display())),
        }
    }
    match post(client, form).await {
        Ok(documents) => {
            for (file, document) in sent.iter().zip(documents) {
                match document.get("error").and_then(Value::as_str) {
                    Some(error) if document.get("state").and_then(Value::as_str) == Some("failed") => {
                        tally.failed.push(format!("{}: {error}", file.display()));
                    }
                    _ => tally.taken = tally.taken.saturating_add(1),
                }
                tally.documents.push(document);
            }
        }
        Err(error) => tally.failed.extend(sent.iter().map(|file| format!("{}: {error:#}", file.display()))),
    }
    bar.inc(u64::try_from(files.len()).unwrap_or(0));
    bar.set_message(format!("{} failed", tally.failed.len()));
}

/// The documents of a request's answer. Where every one failed the answer is a problem that still lists them.
async fn post(client: &Client, form: Form) -> anyhow::Result<Vec<Value>> {
    let request = client.request(Method::POST, "/v1/documents").multipart(form);
    let response = request.send().await.context("sending files: is the server running there?")?;
    let status = response.status();
    let body: Value = response.json().await.context("reading the server's answer")?;
    match body.get("documents").and_then(Value::as_array) {
        Some(documents) => Ok(documents.clone()),
        None => bail!(
            "{} ({}, {status})",
            body.get("detail").and_then(Value::as_str).unwrap_or("the server gave no reason"),
            body.get("code").and_then(Value::as_str).unwrap_or("unknown")
        ),
    }
}
