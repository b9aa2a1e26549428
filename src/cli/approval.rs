//! `bailiwick approval …`: requests that need somebody's word, shown and decided.
use super::client::{Client, segment};
use super::{Connection, Output, say};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

/// Verbs on requests that need an approval.
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List requests that wait, may be carried out or were refused.
    List(Whose),
    /// Let a request through, once.
    Approve(Approve),
    /// Refuse a request.
    Refuse(Refuse),
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
pub(crate) struct Approve {
    /// Id of the request.
    id: String,
    /// Within how many minutes it may be carried out.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, Args)]
pub(crate) struct Refuse {
    /// Id of the request.
    id: String,
    #[command(flatten)]
    whose: Whose,
}

impl Approval {
    /// Calls the server and prints the requests.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (whose, method, suffix, body) = match self {
            Self::List(whose) => (whose, Method::GET, String::new(), None),
            Self::Approve(Approve { id, minutes, whose }) => {
                let body = json!({"approve": true, "minutes": minutes});
                (whose, Method::POST, format!("/{}", segment(&id)), Some(body))
            }
            Self::Refuse(Refuse { id, whose }) => {
                (whose, Method::POST, format!("/{}", segment(&id)), Some(json!({"approve": false})))
            }
        };
        let path = format!("/admin/v1/approvals/{}{suffix}", segment(&whose.tenant));
        let answer = Client::new(&whose.connection, Some(&whose.tenant))?.call(method, &path, body.as_ref()).await?;
        match whose.connection.output {
            Output::Json => say(answer.to_string()),
            Output::Text => print(&answer),
        }
        Ok(())
    }
}

fn print(answer: &Value) {
    let listed = answer.get("approvals").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![answer.clone()]);
    for request in listed {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let head = [text("id"), text("state"), text("action"), text("user_id"), text("asked_by"), text("until")];
        say(head.join("  "));
        text("subject").lines().for_each(|line| say(format!("  {line}")));
    }
}
