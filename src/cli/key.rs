//! `bailiwick key …`: API keys of a tenant. The secret is printed once, by `issue` and `rotate`.
use super::client::{Client, segment};
use super::{Connection, Output, say};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

/// Verbs on keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Issue a key; prints its secret once.
    Issue(Issue),
    /// List keys.
    List(List),
    /// Revoke a key.
    Revoke(One),
    /// Revoke a key and issue its successor.
    Rotate(One),
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: String,
    /// User the key belongs to.
    #[arg(long)]
    user: Option<String>,
    /// owner, admin, operator, auditor or viewer.
    #[arg(long, default_value = "operator")]
    role: String,
    /// When it expires, such as 30d, 12h or 90m; never where absent.
    #[arg(long)]
    expires: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Public id of the key.
    key_id: String,
    /// Name or uuid of the tenant.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

/// Milliseconds of a length such as `30d`.
fn length_ms(text: &str) -> anyhow::Result<u64> {
    let wrong = || format!("reading --expires {text}: write a number and one of s, m, h, d, such as 30d");
    let unit = text.chars().last().with_context(wrong)?;
    let number: u64 = text.strip_suffix(unit).unwrap_or_default().parse().with_context(wrong)?;
    let unit_ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => bail!(wrong()),
    };
    number.checked_mul(unit_ms).with_context(wrong)
}

impl Key {
    /// Calls the server and prints the key or keys.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let keys = |tenant: &str, suffix: &str| format!("/admin/v1/tenants/{}/keys{suffix}", segment(tenant));
        let (connection, tenant, method, path, body) = match self {
            Self::Issue(issue) => {
                let expires_in_ms = issue.expires.as_deref().map(length_ms).transpose()?;
                let mut body = json!({"role": issue.role});
                for (name, value) in
                    [("user_id", issue.user.map(Value::from)), ("expires_in_ms", expires_in_ms.map(Value::from))]
                {
                    if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
                        object.insert(name.to_owned(), value);
                    }
                }
                let path = keys(&issue.tenant, "");
                (issue.connection, issue.tenant, Method::POST, path, Some(body))
            }
            Self::List(list) => (list.connection, list.tenant.clone(), Method::GET, keys(&list.tenant, ""), None),
            Self::Revoke(one) => {
                let path = keys(&one.tenant, &format!("/{}", segment(&one.key_id)));
                (one.connection, one.tenant, Method::DELETE, path, None)
            }
            Self::Rotate(one) => {
                let path = keys(&one.tenant, &format!("/{}/rotate", segment(&one.key_id)));
                (one.connection, one.tenant, Method::POST, path, None)
            }
        };
        let answer = Client::new(&connection, Some(&tenant))?.call(method, &path, body.as_ref()).await?;
        match connection.output {
            Output::Json => say(answer.to_string()),
            Output::Text => print_keys(&answer),
        }
        Ok(())
    }
}

fn print_keys(answer: &Value) {
    if let Some(secret) = answer.get("key").and_then(Value::as_str) {
        return say(secret);
    }
    let listed = answer.get("keys").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![answer.clone()]);
    for key in listed {
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let state = if key.get("revoked").and_then(Value::as_bool).unwrap_or(false) { "revoked" } else { "valid" };
        say(format!(
            "{:<14} {:<9} {:<8} user {:<16} created {}  expires {}",
            text("key_id"),
            text("role"),
            state,
            text("user_id"),
            text("created_at"),
            text("expires_at")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::length_ms;

    #[test]
    fn lengths_read_exactly_or_not_at_all() {
        assert_eq!(length_ms("30d").unwrap(), 30 * 86_400_000);
        assert_eq!(length_ms("90m").unwrap(), 5_400_000);
        for wrong in ["", "d", "30", "30y", "-1d", "1.5h", "99999999999999999999d"] {
            assert!(length_ms(wrong).is_err(), "{wrong}");
        }
    }
}
