//! One call to a key service outside: bounded in time and bytes, without redirects, and blocking.
use super::ProviderError;
use bailiwick_kernel::limits::KEY_ANSWER_BYTES_MAX;
use reqwest::blocking::Client;
use reqwest::header::{HeaderMap, HeaderValue};
use std::io::Read;
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// What a key service answered. It may hold a key in the clear, and is wiped.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The way to one key service.
#[derive(Debug)]
pub(super) struct Wire {
    timeout: Duration,
    // made by whoever calls first: a blocking client cannot be made on a reactor
    client: OnceLock<Client>,
}

impl Wire {
    /// A way on which a call takes at most so long.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, client: OnceLock::new() }
    }

    fn client(&self) -> Result<&Client, ProviderError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = Client::builder()
            .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
            .timeout(self.timeout)
            .connect_timeout(self.timeout)
            // a redirect could lead to somebody else's keys
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| ProviderError::Failed(format!("opening the client: {error}")))?;
        Ok(self.client.get_or_init(|| made))
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    /// [`ProviderError::Failed`] where there is no whole answer within the bounds; any status is an answer.
    pub(super) fn post(&self, url: Url, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, ProviderError> {
        let failed = |error: reqwest::Error| ProviderError::Failed(chain_of(&error.without_url()));
        let response = self.client()?.post(url).headers(headers).body(body).send().map_err(failed)?;
        let status = response.status().as_u16();
        let bound = u64::try_from(KEY_ANSWER_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        // as large as it may become: growing would leave parts of it behind, unwiped
        let mut body = Zeroizing::new(Vec::with_capacity(KEY_ANSWER_BYTES_MAX + 1));
        let read = response.take(bound).read_to_end(&mut body);
        read.map_err(|error| ProviderError::Failed(format!("reading the answer: {error}")))?;
        if body.len() > KEY_ANSWER_BYTES_MAX {
            return Err(ProviderError::Failed(format!("the answer has more than {KEY_ANSWER_BYTES_MAX} bytes")));
        }
        Ok(Answer { status, body })
    }
}

/// A header whose value is shown to nobody.
pub(super) fn secret(value: &str) -> Result<HeaderValue, ProviderError> {
    let value = HeaderValue::from_str(value);
    let mut value =
        value.map_err(|_signs| ProviderError::Failed("a secret of this node is no header's value".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error with what caused it: "error sending request" alone helps nobody.
fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
