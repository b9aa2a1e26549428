//! `bailiwick eval …`: a tenant's golden questions, asked and shown.
use super::client::{Client, segment};
use super::{Connection, Output, say};
use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// Verbs on evaluations.
#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    /// Ask the questions of eval/golden.jsonl and print how that went; exit code 1 where the policy asks for more.
    Run(Whose),
    /// List the last evaluations, newest first.
    List(Whose),
    /// Show what the answers given are worth, whoever asked: by release and model, and by day.
    Online(Whose),
}

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

impl Eval {
    /// Calls the server and prints.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Run(whose) => run(&whose).await,
            Self::List(whose) => {
                let (client, path) = whose.client()?;
                let answer = client.call(Method::GET, &path, None).await?;
                match whose.connection.output {
                    Output::Json => say(answer.to_string()),
                    Output::Text => evaluations(&answer).for_each(print),
                }
                Ok(())
            }
            Self::Online(whose) => {
                let (client, path) = whose.client()?;
                let answer = client.call(Method::GET, &path, None).await?;
                let online = answer.get("online").unwrap_or(&Value::Null);
                match whose.connection.output {
                    Output::Json => say(online.to_string()),
                    Output::Text => print_online(online),
                }
                Ok(())
            }
        }
    }
}

impl Whose {
    fn client(&self) -> anyhow::Result<(Client, String)> {
        let client = Client::new(&self.connection, Some(&self.tenant))?;
        Ok((client, format!("/admin/v1/tenants/{}/evals", segment(&self.tenant))))
    }
}

async fn run(whose: &Whose) -> anyhow::Result<()> {
    let (client, path) = whose.client()?;
    let before = client.call(Method::GET, &path, None).await?;
    let last = evaluations(&before).find_map(|evaluation| evaluation.get("seq").and_then(Value::as_u64));
    let begun = client.call(Method::POST, &path, None).await?;
    let bar = ProgressBar::new(count(&begun, "/questions"))
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} questions, {elapsed} of {duration}")?);
    let answer = loop {
        let answer = client.call(Method::GET, &path, None).await?;
        bar.set_position(count(&answer, "/under_way/asked"));
        if answer.get("under_way").is_none() {
            break answer;
        }
        tokio::time::sleep(LOOK).await;
    };
    bar.finish_and_clear();
    let newest = evaluations(&answer).next().filter(|newest| newest.get("seq").and_then(Value::as_u64) > last);
    let newest =
        newest.context("evaluating: it ended without a result; the server's log says why, or it was closed")?;
    match whose.connection.output {
        Output::Json => say(newest.to_string()),
        Output::Text => print(newest),
    }
    let objections = newest.get("objections").and_then(Value::as_array).map_or(0, Vec::len);
    anyhow::ensure!(objections == 0, "evaluating: the policy asks for more than the answers give; see the objections");
    Ok(())
}

fn evaluations(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("evaluations").and_then(Value::as_array).into_iter().flatten()
}

fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn print(evaluation: &Value) {
    let text = |name: &str| evaluation.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let figure = |name: &str| count(evaluation, &format!("/{name}"));
    say(format!(
        "{}  policy {}  {} questions, {} failed  p50 {} ms, p95 {} ms  {} USD",
        text("ended_at"),
        text("policy_version"),
        figure("questions"),
        figure("failed"),
        figure("latency_p50_ms"),
        figure("latency_p95_ms"),
        text("cost_usd"),
    ));
    print_measures(evaluation);
    for missed in evaluation.get("missed").and_then(Value::as_array).into_iter().flatten() {
        let part = |part: &str| missed.get(part).and_then(Value::as_str).unwrap_or("-");
        say(format!("  missed: {}: {}", part("problem"), part("question")));
    }
    for objection in evaluation.get("objections").and_then(Value::as_array).into_iter().flatten() {
        say(format!("  objection: {}", objection.as_str().unwrap_or("-")));
    }
}

fn print_measures(of: &Value) {
    for measure in of.get("measures").and_then(Value::as_array).into_iter().flatten() {
        let name = measure.get("name").and_then(Value::as_str).unwrap_or("-");
        let part =
            |part: &str| measure.pointer(&format!("/estimate/{part}")).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let of = count(measure, "/estimate/count");
        say(format!("  {name:18} {:.4}  ({:.4} to {:.4}, n = {of})", part("mean"), part("low"), part("high")));
    }
}

fn print_online(online: &Value) {
    let rows = |name: &str| online.get(name).and_then(Value::as_array).into_iter().flatten();
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    for release in rows("releases") {
        say(format!(
            "policy {}  {}/{}  {} to {}  {} answers, {} abstained",
            text(release, "policy_version"),
            text(release, "provider"),
            text(release, "model"),
            text(release, "first_at"),
            text(release, "last_at"),
            count(release, "/answers"),
            count(release, "/abstained"),
        ));
        print_measures(release);
    }
    for day in rows("days") {
        let (answers, abstained) = (count(day, "/answers"), count(day, "/abstained"));
        say(format!("{}  {answers} answers, {abstained} abstained", text(day, "day")));
        print_measures(day);
    }
}
