//! The line to one provider: one pooled HTTP client, bounded answers, and one mapping of everything that can go wrong.
use super::{ProviderError, traced};
use crate::catalog::ProviderEntry;
use crate::journey::walk::Calling;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bailiwick_kernel::limits::{
    PROVIDER_AHEAD_BYTES_MAX, PROVIDER_ANSWER_BYTES_MAX, PROVIDER_ERROR_BYTES_MAX, PROVIDER_QUOTE_CHARS_MAX,
};
use bailiwick_policy::sovereignty::InTransit;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use reqwest::{Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

const CONNECT_TIMEOUT_MS: u64 = 5_000;
const IDLE_CONNECTION_S: u64 = 60;
/// Shorter secrets are placeholders of local servers; replacing those would garble messages.
const SECRET_CHARS_MIN: usize = 8;

/// The line to one provider, shared by all tenants that may use it.
#[derive(Debug)]
pub(super) struct Line {
    /// The pooled client.
    pub(super) http: reqwest::Client,
    name: String,
    timeout_ms: u64,
    key: Option<SecretString>,
}

impl Line {
    /// Opens the line of a catalogue entry, to be used under this TLS or a newer one; nothing is sent yet.
    pub(super) fn open(entry: &ProviderEntry, in_transit: InTransit) -> Result<Self, ProviderError> {
        let least = match in_transit {
            InTransit::Tls12 => reqwest::tls::Version::TLS_1_2,
            InTransit::Tls13 => reqwest::tls::Version::TLS_1_3,
        };
        let http = reqwest::Client::builder()
            .min_tls_version(least)
            .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS.min(entry.timeout_ms)))
            .timeout(Duration::from_millis(entry.timeout_ms))
            .pool_max_idle_per_host(entry.concurrency)
            .pool_idle_timeout(Duration::from_secs(IDLE_CONNECTION_S))
            // a redirect could lead the tenant's text to another region
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| {
                ProviderError::Lasting(format!("opening provider {}: {}", entry.name, error.without_url()))
            })?;
        Ok(Self { http, name: entry.name.clone(), timeout_ms: entry.timeout_ms, key: entry.api_key.clone() })
    }

    /// Sends a request; gives its answer where the status is a success.
    pub(super) async fn exchange(
        &self,
        mut request: Request,
        calling: Option<&Calling>,
    ) -> Result<Response, ProviderError> {
        traced::mark(request.headers_mut(), calling);
        let response = self.http.execute(request).await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    /// Reads a whole answer, within its bound.
    pub(super) async fn read(&self, mut response: Response) -> Result<Bytes, ProviderError> {
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if announced > PROVIDER_ANSWER_BYTES_MAX {
            return Err(self.too_long());
        }
        let Some(first) = response.chunk().await.map_err(|error| self.broken(&error))? else {
            return Ok(Bytes::new());
        };
        if announced > 0 && first.len() >= announced {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if whole.len().saturating_add(chunk.len()) > PROVIDER_ANSWER_BYTES_MAX {
                return Err(self.too_long());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The bytes of a streamed answer, within their bound. Fails at once where the answer is no event stream.
    pub(super) async fn read_stream(
        &self,
        response: Response,
    ) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + use<>, ProviderError> {
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|kind| kind.starts_with("application/json")) {
            let body = self.read(response).await?;
            let error = serde_json::from_slice(&body).ok().and_then(|answer: Value| self.error_in(&answer));
            return Err(error.unwrap_or_else(|| self.spoiled("answered whole where a stream was asked for")));
        }
        let mut left = PROVIDER_ANSWER_BYTES_MAX;
        Ok(response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(std::io::Error::other)?;
            left =
                left.checked_sub(chunk.len()).ok_or_else(|| std::io::Error::other("longer than an answer may be"))?;
            Ok(chunk)
        }))
    }

    /// The error object some servers send with a 200, or `None` where there is none.
    pub(super) fn error_in(&self, answer: &Value) -> Option<ProviderError> {
        let error = answer.get("error").filter(|error| !error.is_null())?;
        let number = ["status", "code"].iter().find_map(|field| error.get(*field)?.as_u64());
        let kinds = ["type", "code"].map(|field| error.get(field).and_then(Value::as_str).unwrap_or_default());
        let passes = number
            .and_then(|number| u16::try_from(number).ok())
            .and_then(|number| StatusCode::from_u16(number).ok())
            .is_some_and(may_pass)
            || ["rate_limit", "overloaded", "server_error", "api_error", "timeout"]
                .iter()
                .any(|passing| kinds.iter().any(|kind| kind.contains(passing)));
        let detail = format!("provider {} reported an error instead of an answer{}", self.name, self.quote(answer));
        Some(if passes { ProviderError::Passing(detail) } else { ProviderError::Lasting(detail) })
    }

    /// A lasting failure of this provider.
    pub(super) fn lasting(&self, what: &str) -> ProviderError {
        ProviderError::Lasting(format!("provider {} {what}", self.name))
    }

    /// A call that was answered, and perhaps billed, with nothing of use.
    pub(super) fn spoiled(&self, what: &str) -> ProviderError {
        ProviderError::Unsure { detail: format!("provider {} {what}", self.name), passing: false }
    }

    /// A call that was sent, and perhaps billed, and broke off.
    pub(super) fn broken_off(&self, what: &str) -> ProviderError {
        ProviderError::Unsure { detail: format!("provider {} {what}", self.name), passing: true }
    }

    /// A passing failure of this provider.
    pub(super) fn passing(&self, what: &str) -> ProviderError {
        ProviderError::Passing(format!("provider {} {what}", self.name))
    }

    /// What a failed connection means.
    pub(super) fn broken(&self, error: &reqwest::Error) -> ProviderError {
        if error.is_builder() {
            return self.lasting(
                "could not be asked: its base_url or api key cannot be sent; ask the operator to check config.toml",
            );
        }
        if error.is_timeout() {
            return self.broken_off(&format!("did not answer within {} ms", self.timeout_ms));
        }
        if error.is_connect() {
            return self.passing("could not be reached");
        }
        self.broken_off("broke off before its answer was whole")
    }

    fn too_long(&self) -> ProviderError {
        self.spoiled(&format!("answered more than {} MiB; ask for a shorter answer", PROVIDER_ANSWER_BYTES_MAX >> 20))
    }

    async fn refused(&self, mut response: Response) -> ProviderError {
        let status = response.status();
        let retry_after_ms = retry_after_ms(&response);
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            // never quoted: such bodies repeat parts of the key
            return self.lasting(&format!(
                "refused this node's credentials (status {}); ask the operator to check its api key",
                status.as_u16()
            ));
        }
        let mut body = BytesMut::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > PROVIDER_ERROR_BYTES_MAX {
                break;
            }
        }
        let quote = serde_json::from_slice(&body).map(|answer: Value| self.quote(&answer)).unwrap_or_default();
        let detail = format!("provider {} answered with status {}{quote}", self.name, status.as_u16());
        match (may_pass(status), retry_after_ms) {
            (true, Some(retry_after_ms)) => ProviderError::Busy { detail, retry_after_ms },
            (true, None) => ProviderError::Passing(detail),
            (false, _) => ProviderError::Lasting(detail),
        }
    }

    /// The provider's own message, bounded, on one line, without the key; empty where there is none.
    fn quote(&self, answer: &Value) -> String {
        let error = answer.get("error").unwrap_or(answer);
        let Some(message) = error.get("message").or(Some(error)).and_then(Value::as_str) else {
            return String::new();
        };
        let mut message = message.to_owned();
        if let Some(key) =
            self.key.as_ref().map(ExposeSecret::expose_secret).filter(|key| key.len() >= SECRET_CHARS_MIN)
        {
            message = message.replace(key, "[key]");
        }
        let line: String = message
            .chars()
            .map(|character| if character.is_control() { ' ' } else { character })
            .take(PROVIDER_QUOTE_CHARS_MAX)
            .collect();
        format!(": {}", line.trim())
    }
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429)
}

/// `retry-after-ms`, else `Retry-After` in seconds. A date is not read: it would need the provider's clock.
fn retry_after_ms(response: &Response) -> Option<u64> {
    let number = |name: &str| {
        response.headers().get(name)?.to_str().ok()?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0)
    };
    let ms = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1_000.0))?;
    Some(
        Duration::try_from_secs_f64(ms / 1_000.0)
            .map_or(u64::MAX, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    )
}

/// How far a stream has run ahead of its reader. async-openai queues events without a bound; this is the bound.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    bytes: AtomicUsize,
    reader_waits: AtomicBool,
    caught_up: Notify,
}

impl Ahead {
    /// Passes bytes on, waiting while the reader is too far behind.
    async fn wait(&self) {
        // a reader that waits needs the bytes, however many make up its next event
        while self.bytes.load(Ordering::Acquire) > PROVIDER_AHEAD_BYTES_MAX
            && !self.reader_waits.load(Ordering::Acquire)
        {
            self.caught_up.notified().await;
        }
    }

    /// Reads the next event; a reader that has to wait for one has caught up.
    pub(super) async fn next<S: Stream + Unpin>(&self, events: &mut S) -> Option<S::Item> {
        std::future::poll_fn(|context| {
            let next = events.poll_next_unpin(context);
            self.reader_waits.store(next.is_pending(), Ordering::Release);
            if next.is_pending() {
                self.bytes.store(0, Ordering::Release);
                self.caught_up.notify_one();
            }
            next
        })
        .await
    }
}

/// What async-openai sends its requests through, instead of its own client: no hidden retries, bounded answers, and
/// errors that keep their status and `Retry-After`. Its own error path logs whole answers; nothing gets that far.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    /// The line.
    pub(super) line: Arc<Line>,
    /// For a stream: how far it may run ahead. A whole answer is read and checked here.
    pub(super) ahead: Option<Arc<Ahead>>,
    /// The place of its call in a trace, where there is one.
    pub(super) calling: Option<Arc<Calling>>,
}

impl Transport {
    async fn send(self, factory: HttpRequestFactory) -> Result<Response, OpenAIError> {
        let response = self.line.exchange(factory.build().await?, self.calling.as_deref()).await?;
        let status = response.status();
        let body = match self.ahead {
            None => {
                let whole = self.line.read(response).await?;
                serde_json::from_slice::<serde::de::IgnoredAny>(&whole)
                    .map_err(|_error| self.line.spoiled("answered what is not JSON"))?;
                reqwest::Body::from(whole)
            }
            Some(ahead) => {
                let bytes = Box::pin(self.line.read_stream(response).await?);
                reqwest::Body::wrap_stream(futures_util::stream::unfold(
                    (bytes, ahead),
                    |(mut bytes, ahead)| async move {
                        ahead.wait().await;
                        let chunk = bytes.next().await?;
                        let length = chunk.as_ref().map_or(0, Bytes::len);
                        ahead.bytes.fetch_add(length, Ordering::AcqRel);
                        Some((chunk, (bytes, ahead)))
                    },
                ))
            }
        };
        let mut answer = http::Response::new(body);
        *answer.status_mut() = status;
        Ok(answer.into())
    }
}

impl tower_service::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        Box::pin(self.clone().send(factory))
    }
}

impl From<ProviderError> for OpenAIError {
    fn from(error: ProviderError) -> Self {
        Self::Boxed(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fixtures::{Upstream, Wire, entry, http_events};
    use futures_util::FutureExt;

    #[actix::test]
    async fn a_stream_longer_than_an_answer_may_be_is_cut() {
        let upstream = Upstream::playing(vec![Wire::Close(http_events(&["x".repeat(17 << 20)]))]).await;
        let line = Line::open(&entry("upstream", "openai", &upstream.url), InTransit::Tls13).unwrap();
        let response = line.exchange(line.http.post(&upstream.url).build().unwrap(), None).await.unwrap();
        let mut chunks = Box::pin(line.read_stream(response).await.unwrap());
        let (mut bytes, mut cut) = (0, false);
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => bytes += chunk.len(),
                Err(_too_long) => {
                    cut = true;
                    break;
                }
            }
        }
        assert!(cut && bytes > 0 && bytes <= PROVIDER_ANSWER_BYTES_MAX, "{bytes}");
    }

    #[tokio::test]
    async fn a_stream_waits_for_a_slow_reader_and_never_for_a_waiting_one() {
        let ahead = Ahead::default();
        ahead.bytes.store(PROVIDER_AHEAD_BYTES_MAX + 1, Ordering::SeqCst);
        assert!(ahead.wait().now_or_never().is_none(), "the reader is behind");
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut events = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
        assert!(ahead.next(&mut events).now_or_never().is_none());
        assert!(ahead.wait().now_or_never().is_some(), "the reader has caught up");
        ahead.bytes.store(PROVIDER_AHEAD_BYTES_MAX + 1, Ordering::SeqCst);
        assert!(ahead.wait().now_or_never().is_some(), "an event may be larger than what may run ahead");
        sender.send(1).unwrap();
        assert_eq!(ahead.next(&mut events).await, Some(1));
        assert!(ahead.wait().now_or_never().is_none(), "the reader is busy with its event");
    }
}
