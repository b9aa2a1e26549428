//! Requests to a server that is busy with others: whoever brings much waits, and whoever asks does not.
use crate::cli::client::Client;
use anyhow::{Context, bail};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Times a request is sent while the server is busy.
const TRIES: u32 = 60;
/// Between two of them, where the server does not say.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest pause, whatever the server says.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Sends a request until the server has taken it; gives status and body.
pub(crate) async fn told(request: impl Fn() -> RequestBuilder) -> anyhow::Result<(StatusCode, Value)> {
    let mut tries = 0_u32;
    loop {
        let sent = request().send().await;
        let response = sent.context(
            "calling the server: is it running there? run the same command again, it goes on where it stopped",
        )?;
        let status = response.status();
        let said = response.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
        let body = if status == StatusCode::NO_CONTENT {
            Value::Null
        } else {
            let body = response.json().await;
            body.context("reading the server's answer: run the same command again, it goes on where it stopped")?
        };
        let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        // room that is used up does not come back by waiting
        let is_full = body.get("code").and_then(Value::as_str) == Some("quota_exceeded");
        tries = tries.saturating_add(1);
        if !is_busy || is_full || tries >= TRIES {
            return Ok((status, body));
        }
        tokio::time::sleep(said.map_or(PAUSE, Duration::from_secs).min(PAUSE_MAX)).await;
    }
}

/// What a problem says.
pub(crate) fn problem(status: StatusCode, body: &Value) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    format!(
        "{} ({}, {status})",
        text("detail").unwrap_or("the server gave no reason"),
        text("code").unwrap_or("unknown")
    )
}

/// A JSON call that must come through.
pub(crate) async fn call(
    client: &Client,
    method: reqwest::Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let request = || {
        let request = client.request(method.clone(), path);
        if let Some(body) = body { request.json(body) } else { request }
    };
    let (status, answer) = told(request).await?;
    if !status.is_success() {
        bail!("{}", problem(status, &answer));
    }
    Ok(answer)
}
