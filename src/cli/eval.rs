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
    /// Print questions whose right answer somebody has said, as lines of eval/golden.jsonl; read them before you keep them.
    Candidates(Whose),
    /// List the documents that have lost trust because passages of them were rejected.
    Distrusted(Whose),
    /// Trust a document again as far as the policy says.
    Trust {
        #[command(flatten)]
        whose: Whose,
        /// Id of the document.
        document: String,
    },
    /// Show how passages are found by their meaning: whether that is in force, its weight, and what that was learnt from.
    Weight(Whose),
    /// Take the learnt weight back: the policy's holds, and nothing is learnt before somebody allows it again.
    Unlearn(Whose),
    /// Let the weight be learnt again, from the next evaluation on.
    Relearn(Whose),
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
                    Output::Text => {
                        print_schedule(&answer);
                        evaluations(&answer).for_each(print);
                    }
                }
                Ok(())
            }
            Self::Candidates(whose) => {
                let (client, path) = whose.client_at("feedback")?;
                let answer = client.call(Method::GET, &path, None).await?;
                rows(&answer, "candidates").for_each(|candidate| say(candidate.to_string()));
                Ok(())
            }
            Self::Distrusted(whose) => {
                let (client, path) = whose.client_at("feedback")?;
                let answer = client.call(Method::GET, &path, None).await?;
                print_distrusted(&answer, whose.connection.output);
                Ok(())
            }
            Self::Trust { whose, document } => {
                let (client, path) = whose.client_at("feedback")?;
                let answer = client.call(Method::DELETE, &format!("{path}/{}", segment(&document)), None).await?;
                print_distrusted(&answer, whose.connection.output);
                Ok(())
            }
            Self::Weight(whose) => {
                let (client, path) = whose.client_at("quota")?;
                let answer = client.call(Method::GET, &path, None).await?;
                let dense = answer.pointer("/corpus/dense").unwrap_or(&Value::Null);
                match whose.connection.output {
                    Output::Json => say(dense.to_string()),
                    Output::Text => print_weight(dense),
                }
                Ok(())
            }
            Self::Unlearn(whose) => {
                let (client, path) = whose.client_at("weight")?;
                say(client.call(Method::DELETE, &path, None).await?.to_string());
                Ok(())
            }
            Self::Relearn(whose) => {
                let (client, path) = whose.client_at("weight")?;
                say(client.call(Method::POST, &path, None).await?.to_string());
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
        self.client_at("evals")
    }

    fn client_at(&self, what: &str) -> anyhow::Result<(Client, String)> {
        let client = Client::new(&self.connection, Some(&self.tenant))?;
        Ok((client, format!("/admin/v1/tenants/{}/{what}", segment(&self.tenant))))
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
    rows(answer, "evaluations")
}

fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn print(evaluation: &Value) {
    let text = |name: &str| evaluation.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let figure = |name: &str| count(evaluation, &format!("/{name}"));
    say(format!(
        "{}  by {}  policy {}  {} questions, {} failed  p50 {} ms, p95 {} ms  {} USD",
        text("ended_at"),
        text("by"),
        text("policy_version"),
        figure("questions"),
        figure("failed"),
        figure("latency_p50_ms"),
        figure("latency_p95_ms"),
        text("cost_usd"),
    ));
    print_measures(evaluation);
    for missed in rows(evaluation, "missed") {
        let part = |part: &str| missed.get(part).and_then(Value::as_str).unwrap_or("-");
        say(format!("  missed: {}: {}", part("problem"), part("question")));
    }
    for objection in rows(evaluation, "objections") {
        say(format!("  objection: {}", objection.as_str().unwrap_or("-")));
    }
}

fn print_schedule(answer: &Value) {
    let text = |name: &str| answer.pointer(&format!("/schedule/{name}")).and_then(Value::as_str).unwrap_or("-");
    if answer.get("schedule").is_some() {
        let every = count(answer, "/schedule/every_hours");
        say(format!("every {every} hours: last for {}, next at {}", text("last_due_at"), text("next_due_at")));
    }
}

fn print_measures(of: &Value) {
    for measure in rows(of, "measures") {
        let name = measure.get("name").and_then(Value::as_str).unwrap_or("-");
        let part =
            |part: &str| measure.pointer(&format!("/estimate/{part}")).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let of = count(measure, "/estimate/count");
        say(format!("  {name:18} {:.4}  ({:.4} to {:.4}, n = {of})", part("mean"), part("low"), part("high")));
    }
}

fn rows<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn print_distrusted(answer: &Value, output: Output) {
    if matches!(output, Output::Json) {
        return say(answer.get("distrusted").unwrap_or(&Value::Null).to_string());
    }
    for document in rows(answer, "distrusted") {
        let part = |name: &str| document.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let id = document.get("document_id").and_then(Value::as_str).unwrap_or("-");
        let (before, lost, by) = (part("trust_score"), part("trust_lost"), count(document, "/rejected_by"));
        say(format!("{id}  trust {before:.2}, lost {lost:.2}, rejected by {by}"));
    }
}

fn print_weight(dense: &Value) {
    let Some(weight) = dense.get("weight").and_then(Value::as_f64) else {
        return say("passages are found by their words alone; policies/retrieval.yaml has no settings.dense");
    };
    let text = |pointer: &str| dense.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let is_in_force = dense.get("in_force").and_then(Value::as_bool).unwrap_or_default();
    let state = if is_in_force { "in force".to_owned() } else { format!("not in force: {}", text("/reason")) };
    let (indexed, pending) = (count(dense, "/indexed"), count(dense, "/pending"));
    say(format!("{}  weight {weight:.3}  {indexed} passages, {pending} wait  {state}", text("/model")));
    let part = |part: &str| {
        let ppm = dense.pointer(&format!("/learnt/{part}")).and_then(Value::as_f64);
        ppm.map_or(f64::NAN, |ppm| ppm / 1e6)
    };
    match dense.get("learnt") {
        None => say("  nothing has been learnt"),
        Some(learnt) if learnt.get("is_stopped").and_then(Value::as_bool) == Some(true) => {
            say(format!("  taken back by {}: nothing is learnt before `eval relearn`", text("/learnt/by")));
        }
        Some(_) => say(format!(
            "  learnt from {} questions ({} accepted answers): nDCG@10 {:.4} on questions it was not learnt from, {:.4} with the \
             policy's weight, {:.4} by words alone",
            count(dense, "/learnt/questions"),
            count(dense, "/learnt/accepted"),
            part("learnt_ppm"),
            part("policy_ppm"),
            part("lexical_ppm"),
        )),
    }
}

fn print_online(online: &Value) {
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    for release in rows(online, "releases") {
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
        print_judged(release);
    }
    for day in rows(online, "days") {
        let (answers, abstained) = (count(day, "/answers"), count(day, "/abstained"));
        say(format!("{}  {answers} answers, {abstained} abstained", text(day, "day")));
        print_measures(day);
        print_judged(day);
    }
}

fn print_judged(of: &Value) {
    let Some(judged) = of.get("judged") else { return };
    let part = |pointer: &str| judged.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let (verdicts, answers) = (count(judged, "/estimate/count"), count(judged, "/answers"));
    say(format!(
        "  judged             {:.4}  ({:.4} to {:.4}, {verdicts} verdicts on {answers} answers, weight {:.2}; alone {:.4} to {:.4})",
        part("/estimate/mean"),
        part("/estimate/low"),
        part("/estimate/high"),
        part("/weight"),
        part("/sample/low"),
        part("/sample/high"),
    ));
}
