//! The client of the command line: HTTP to a running server, problems turned into sentences.
use super::Connection;
use anyhow::{Context, bail};
use reqwest::{Certificate, ClientBuilder, Identity, Method, Response};
use serde_json::Value;
use std::path::Path;
use zeroize::Zeroizing;

/// Names the tenant an operator key acts on.
const TENANT_HEADER: &str = "x-bailiwick-tenant";

/// A caller with its key.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    key: String,
    tenant: Option<String>,
}

/// The operator key of a data folder, where this user may read it.
fn operator_key(data: &Path) -> anyhow::Result<String> {
    let path = data.join("operator.key");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("finding a key: {} cannot be read; give --key or BAILIWICK_KEY, or name the server's data folder with --data", path.display())
    })?;
    Ok(text.trim().to_owned())
}

/// Whom it trusts, and as whom it is known.
fn http(connection: &Connection) -> anyhow::Result<ClientBuilder> {
    let read = |file: &Path| std::fs::read(file).with_context(|| format!("reading {}", file.display()));
    let mut http = reqwest::Client::builder().tcp_nodelay(true);
    if let Some(file) = &connection.ca {
        let certificates = Certificate::from_pem_bundle(&read(file)?)
            .with_context(|| format!("reading {}: it holds no certificates in PEM", file.display()))?;
        http = http.tls_certs_only(certificates);
    }
    if let (Some(certificate), Some(key)) = (&connection.client_cert, &connection.client_key) {
        let both = Zeroizing::new([read(certificate)?, b"\n".to_vec(), read(key)?].concat());
        let identity = Identity::from_pem(&both).with_context(|| {
            format!("reading {} and {}: they are no certificate and key in PEM", certificate.display(), key.display())
        })?;
        http = http.identity(identity);
    }
    Ok(http)
}

impl Client {
    /// A client for the connection, acting on the given tenant where the key is the operator's.
    pub(crate) fn new(connection: &Connection, tenant: Option<&str>) -> anyhow::Result<Self> {
        let key = match &connection.key {
            Some(key) => key.clone(),
            None => operator_key(&connection.data)?,
        };
        Self::over(http(connection)?, &connection.server, key, tenant)
    }

    /// A client with a key in hand.
    pub(crate) fn with_key(server: &str, key: String, tenant: Option<&str>) -> anyhow::Result<Self> {
        Self::over(reqwest::Client::builder().tcp_nodelay(true), server, key, tenant)
    }

    fn over(http: ClientBuilder, server: &str, key: String, tenant: Option<&str>) -> anyhow::Result<Self> {
        let http = http.build().context("building the HTTP client")?;
        Ok(Self { http, server: server.trim_end_matches('/').to_owned(), key, tenant: tenant.map(str::to_owned) })
    }

    /// A request with the key and, where one is named, the tenant.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.key);
        match &self.tenant {
            Some(tenant) => request.header(TENANT_HEADER, tenant),
            None => request,
        }
    }

    /// Sends and gives the response where it is a success, else its problem as an error.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Response> {
        let response =
            request.send().await.with_context(|| format!("calling {}: is the server running there?", self.server))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem: Value = response.json().await.unwrap_or_default();
        let code = problem.get("code").and_then(Value::as_str).unwrap_or("unknown");
        let detail = problem.get("detail").and_then(Value::as_str).unwrap_or("the server gave no reason");
        bail!("{detail} ({code}, {status})")
    }

    /// A JSON call with an optional body.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.request(method, path);
        let response = self.send(if let Some(body) = body { request.json(body) } else { request }).await?;
        if response.status() == reqwest::StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        response.json().await.context("reading the server's answer")
    }
}

/// One path segment, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
