//! `bailiwick ask`: a question, streamed to the terminal, with its citations.
use super::client::Client;
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use clap::Args;
use eventsource_stream::Eventsource;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;

/// Ask a tenant's documents a question.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The question.
    question: String,
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only documents of this domain.
    #[arg(long)]
    domain: Option<String>,
    /// Only documents of this use case.
    #[arg(long)]
    usecase: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Ask {
    /// Asks and prints.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, self.tenant.as_deref())?;
        let mut body = json!({"question": self.question, "stream": self.connection.output == Output::Text});
        for (name, value) in [("domain", &self.domain), ("usecase", &self.usecase)] {
            if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
                object.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        match self.connection.output {
            Output::Json => say(client.call(Method::POST, "/v1/ask", Some(&body)).await?.to_string()),
            Output::Text => stream(&client, &body).await?,
        }
        Ok(())
    }
}

async fn stream(client: &Client, body: &Value) -> anyhow::Result<()> {
    let response = client.send(client.request(Method::POST, "/v1/ask").json(body)).await?;
    let mut events = response.bytes_stream().eventsource();
    let mut said = false;
    while let Some(event) = events.next().await {
        let event = event.context("reading the answer's stream")?;
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        match event.event.as_str() {
            "delta" => {
                let mut out = std::io::stdout().lock();
                out.write_all(data.get("text").and_then(Value::as_str).unwrap_or_default().as_bytes())?;
                out.flush()?;
                said = true;
            }
            "done" => {
                if said {
                    say("");
                } else {
                    say(data.get("answer").and_then(Value::as_str).unwrap_or_default());
                }
                print_answer_details(&data);
                return Ok(());
            }
            "error" => bail!(
                "{} ({})",
                data.get("detail").and_then(Value::as_str).unwrap_or("the answer broke off"),
                data.get("code").and_then(Value::as_str).unwrap_or("unknown")
            ),
            _ => {}
        }
    }
    bail!("the answer broke off before its end; ask again")
}

/// Prints what stands behind an answer: citations, model, cost, policy, receipt.
pub(crate) fn print_answer_details(answer: &Value) {
    if let Some(reason) = answer.get("reason").and_then(Value::as_str) {
        say(format!("  abstained: {reason}"));
    }
    let text = |value: &Value, pointer: &str| value.pointer(pointer).map(plain).unwrap_or_default();
    for citation in answer.get("citations").and_then(Value::as_array).into_iter().flatten() {
        let snippet: String = text(citation, "/snippet").split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = snippet.chars().take(110).collect();
        let dots = if snippet.chars().count() > 110 { "…" } else { "" };
        say(format!(
            "  {} {} ({}, characters {}–{}): “{shown}{dots}”",
            text(citation, "/marker"),
            text(citation, "/title"),
            text(citation, "/document_id"),
            text(citation, "/start"),
            text(citation, "/end")
        ));
    }
    say(format!(
        "  model {}/{}   cost {} USD   policy {}   query {}",
        text(answer, "/model/provider"),
        text(answer, "/model/name"),
        text(answer, "/usage/cost_usd"),
        text(answer, "/policy_version"),
        text(answer, "/query_id")
    ));
    say(format!("  receipt {}", text(answer, "/receipt")));
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
