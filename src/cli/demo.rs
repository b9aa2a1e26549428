//! `bailiwick demo`: the main job on the embedded default, through the same doors everybody uses.
use super::ask::print_answer_details;
use super::client::{Client, segment};
use super::ingest::{collect, send_all};
use super::say;
use super::serve::{Served, open, start_log};
use crate::boot::operator_key_file;
use crate::config::Config;
use crate::shutdown;
use anyhow::{Context, bail, ensure};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Boot, load the sample tenants, ask each a question, show a refused cross-tenant attempt, then serve.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address and port; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Data folder; one that is gone at the end where absent.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of the sample tenants.
    #[arg(long, default_value = "tenants")]
    tenants: PathBuf,
    /// End after the printed walk.
    #[arg(long)]
    once: bool,
}

/// One sample tenant, with the keys made for it.
struct Sample {
    name: String,
    key: String,
    question: String,
}

impl Demo {
    /// Runs the walk, then serves until Ctrl-C unless told to end.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let fleeting = tempfile::tempdir().context("making a data folder")?;
        let mut config = Config { tenants: self.tenants.clone(), ..Config::default() };
        config.data = self.data.clone().unwrap_or_else(|| fleeting.path().to_path_buf());
        config.listen = if self.once { SocketAddr::from(([127, 0, 0, 1], 0)) } else { self.listen };
        config.observability.filter = "warn".to_owned();
        start_log(&config);
        let served = open(&config).await?;
        let walked = walk(&served, &config).await;
        if walked.is_ok() && !self.once {
            say("\nServing until Ctrl-C.");
            shutdown::requested().await.context("listening for signals")?;
        }
        served.close().await?;
        walked
    }
}

async fn walk(served: &Served, config: &Config) -> anyhow::Result<()> {
    let server = served.url();
    let operator_key =
        std::fs::read_to_string(operator_key_file(&config.data)).context("reading the operator key")?.trim().to_owned();
    let operator = Client::with_key(&server, operator_key.clone(), None)?;
    let listed = operator.call(Method::GET, "/admin/v1/tenants", None).await?;
    let names: Vec<String> = listed
        .get("tenants")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|tenant| tenant.get("name")?.as_str().map(str::to_owned))
        .collect();
    ensure!(
        names.len() >= 2,
        "{} holds {} of the two tenants a demo needs, to show one at the other's door; name another folder by --tenants",
        config.tenants.display(),
        names.len()
    );
    let mut samples = Vec::new();
    for name in names {
        samples.push(introduce(&operator, &server, &config.tenants, &name).await?);
    }
    for sample in &samples {
        ask(&server, sample).await?;
    }
    trespass(&server, &samples).await?;
    say(format!("\nconsole        {server}/console"));
    say(format!("operator key   {operator_key}"));
    for sample in &samples {
        say(format!("{:<14} {}", sample.name, sample.key));
    }
    Ok(())
}

/// Issues a key for a tenant and brings its sample documents in with it.
async fn introduce(operator: &Client, server: &str, tenants: &Path, name: &str) -> anyhow::Result<Sample> {
    let issued = operator
        .call(Method::POST, &format!("/admin/v1/tenants/{}/keys", segment(name)), Some(&json!({"role": "owner"})))
        .await?;
    let key = issued.get("key").and_then(Value::as_str).context("the server issued no key")?.to_owned();
    let client = Client::with_key(server, key.clone(), None)?;
    let tally = send_all(&client, &collect(&[tenants.join(name).join("corpus")])?, &[]).await?;
    if let Some(failure) = tally.failed.first() {
        bail!("{name}: {failure}");
    }
    let kept_out = tally
        .documents
        .iter()
        .filter(|document| document.get("state").and_then(Value::as_str) == Some("quarantined"))
        .count();
    say(format!(
        "{name}: {} documents taken, {kept_out} of them kept out of retrieval by the tenant's guard",
        tally.taken
    ));
    wait_until_searchable(&client, tally.taken).await?;
    Ok(Sample { name: name.to_owned(), key, question: first_question(tenants, name)? })
}

/// Documents are searchable within a second of their 201; the demo asks until they are.
async fn wait_until_searchable(client: &Client, documents: usize) -> anyhow::Result<()> {
    loop {
        let listed = client.call(Method::GET, "/v1/documents?limit=1000", None).await?;
        let settled = listed.get("documents").and_then(Value::as_array).into_iter().flatten();
        let settled =
            settled.filter(|document| document.get("state").and_then(Value::as_str) != Some("accepted")).count();
        if settled >= documents {
            return Ok(());
        }
    }
}

fn first_question(tenants: &Path, name: &str) -> anyhow::Result<String> {
    let path = tenants.join(name).join("eval").join("golden.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let line: Value = serde_json::from_str(text.lines().next().unwrap_or_default())
        .with_context(|| format!("reading {}", path.display()))?;
    line.get("question")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("{}: the first line has no question", path.display()))
}

async fn ask(server: &str, sample: &Sample) -> anyhow::Result<()> {
    let client = Client::with_key(server, sample.key.clone(), None)?;
    let answer = client.call(Method::POST, "/v1/ask", Some(&json!({"question": sample.question}))).await?;
    say(format!("\n{} asks: {}", sample.name, sample.question));
    say(format!("  {}", answer.get("answer").and_then(Value::as_str).unwrap_or_default()));
    print_answer_details(&answer);
    let cited = answer.get("citations").and_then(Value::as_array).is_some_and(|citations| !citations.is_empty());
    ensure!(cited, "{}: the demo's question was not answered from the documents", sample.name);
    Ok(())
}

/// One tenant's key at another tenant's door: refused, and in the same words as for a tenant that does not exist.
async fn trespass(server: &str, samples: &[Sample]) -> anyhow::Result<()> {
    let [trespasser, owner, ..] = samples else { bail!("there is no second tenant to knock at") };
    let client = Client::with_key(server, trespasser.key.clone(), Some(&owner.name))?;
    let request = client.request(Method::POST, "/v1/ask").json(&json!({"question": owner.question}));
    let answer = request.send().await.context("knocking at another tenant's door")?;
    let status = answer.status();
    let problem: Value = answer.json().await.unwrap_or_default();
    let said = |field: &str| problem.get(field).and_then(Value::as_str).unwrap_or_default();
    let (code, detail) = (said("code"), said("detail"));
    ensure!(
        code == "not_found",
        "{} was not refused at {}'s door as at one that does not exist, but told: {detail} ({code}, {status})",
        trespasser.name,
        owner.name
    );
    say(format!("\n{} knocks at {}'s door with its own key: {detail} ({code}, {status})", trespasser.name, owner.name));
    Ok(())
}
