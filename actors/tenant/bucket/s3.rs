//! Buckets that speak S3's protocol: the one file that names object_store. Its requests travel over the house's own client, so
//! that TLS, timeouts, redirects and the bytes of an answer are decided here.
use super::objects::{BucketError, Listing, Object, Objects, Pending};
use bailiwick_kernel::limits::{BUCKET_ANSWER_BYTES_MAX, BUCKET_OBJECTS_MAX};
use bailiwick_policy::sovereignty::{InTransit, Region};
use bytes::{Bytes, BytesMut};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::{Error as PathError, Path};
use object_store::{ClientOptions, Error, GetOptions, ObjectMeta, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT_MS: u64 = 5_000;
const IDLE_CONNECTION_S: u64 = 60;
/// Idle connections kept to one bucket.
const IDLE_MAX: usize = 2;

/// Objects of one page of a listing: as many as S3 gives.
const PAGE_MAX: usize = 1_000;
/// Objects that are left out of a listing; each costs a few dozen small pages.
const UNREADABLE_MAX: usize = 16;

/// One bucket, and who asks for what lies in it.
pub struct S3Access {
    /// Its name.
    pub bucket: String,
    /// Where it is; signatures are made for this region.
    pub region: Region,
    /// Address of the service where it is not AWS's own.
    pub endpoint: Option<Url>,
    /// Name of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: SecretString,
    /// Of temporary credentials.
    pub session_token: Option<SecretString>,
    /// Longest one request may take.
    pub timeout: Duration,
}

/// A bucket to be read under this TLS or a newer one; nothing is asked yet.
///
/// # Errors
/// What is wrong with it.
pub fn open(access: &S3Access, in_transit: InTransit) -> Result<Arc<dyn Objects>, String> {
    let failed = |problem: String| format!("opening the bucket {}: {problem}", access.bucket);
    let http = client(in_transit, access.timeout).map_err(|error| failed(error.without_url().to_string()))?;
    let once = RetryConfig { max_retries: 0, retry_timeout: access.timeout, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&access.bucket)
        .with_region(access.region.as_str())
        .with_access_key_id(&access.access_key_id)
        .with_secret_access_key(access.secret_access_key.expose_secret())
        .with_retry(once)
        .with_http_connector(Wire(http));
    builder = match &access.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.as_str()).with_virtual_hosted_style_request(false),
        // no certificate of AWS is for a name with further dots in it
        None => builder.with_virtual_hosted_style_request(!access.bucket.contains('.')),
    };
    if let Some(token) = &access.session_token {
        builder = builder.with_token(token.expose_secret());
    }
    let store = builder.build().map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(S3(store)))
}

fn client(in_transit: InTransit, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let least = match in_transit {
        InTransit::Tls12 => reqwest::tls::Version::TLS_1_2,
        InTransit::Tls13 => reqwest::tls::Version::TLS_1_3,
    };
    reqwest::Client::builder()
        .min_tls_version(least)
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS).min(timeout))
        .timeout(timeout)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(Duration::from_secs(IDLE_CONNECTION_S))
        // what is signed for one address is sent to no other
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // an object is what lies there, however it is encoded
        .no_gzip()
        .build()
}

#[derive(Debug)]
struct S3(AmazonS3);

impl S3 {
    /// Every object below a prefix, page by page. The library gives no object of a page that has a key it does not read; that one
    /// is come closer to by smaller pages, and stepped over.
    async fn walk(&self, prefix: Option<&str>) -> Result<Listing, BucketError> {
        let mut listing = Listing::default();
        let (mut after, mut token, mut page) = (None, None, PAGE_MAX);
        loop {
            let options = PaginatedListOptions {
                offset: after.clone(),
                page_token: token.clone(),
                max_keys: Some(page),
                ..PaginatedListOptions::default()
            };
            let listed = match self.0.list_paginated(prefix, options).await {
                Ok(listed) => listed,
                Err(error) => {
                    let key = unreadable(&error).ok_or_else(|| failed(&error))?;
                    if page > 1 {
                        page /= 2;
                        continue;
                    }
                    if listing.unreadable.len() >= UNREADABLE_MAX {
                        return Err(BucketError::Unreadable { most: UNREADABLE_MAX, key: key.to_owned() });
                    }
                    listing.unreadable.push(key.to_owned());
                    (after, token, page) = (Some(key.to_owned()), None, PAGE_MAX);
                    continue;
                }
            };
            for found in listed.result.objects {
                if listing.objects.len() >= BUCKET_OBJECTS_MAX {
                    return Err(BucketError::TooMany(BUCKET_OBJECTS_MAX));
                }
                listing.objects.push(object(found)?);
            }
            let Some(next) = listed.page_token else { return Ok(listing) };
            (token, page) = (Some(next), page.saturating_mul(2).min(PAGE_MAX));
        }
    }
}

/// The key the library could not read, where that is what is wrong.
fn unreadable(error: &Error) -> Option<&str> {
    match error {
        Error::InvalidPath { source: PathError::EmptySegment { path } | PathError::BadSegment { path, .. } } => {
            Some(path.as_str())
        }
        _ => None,
    }
}

fn object(found: ObjectMeta) -> Result<Object, BucketError> {
    let key = found.location.to_string();
    let untold = || BucketError::Failed(format!("the bucket tells no ETag of {key:?}, so that nobody sees it change"));
    Ok(Object {
        etag: found.e_tag.ok_or_else(untold)?,
        key,
        bytes: found.size,
        modified_unix_ms: u64::try_from(found.last_modified.timestamp_millis()).unwrap_or(0),
    })
}

impl Objects for S3 {
    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Listing> {
        Box::pin(async move {
            let below = (!prefix.is_empty()).then(|| Path::parse(prefix)).transpose();
            let below = below.map_err(|error| BucketError::Failed(error.to_string()))?;
            let below = below.filter(|below| !below.is_root()).map(|below| format!("{below}/"));
            self.walk(below.as_deref()).await
        })
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> Pending<'a, Bytes> {
        Box::pin(async move {
            let path = Path::parse(&object.key).map_err(|error| BucketError::Failed(error.to_string()))?;
            let as_listed = GetOptions { if_match: Some(object.etag.clone()), ..GetOptions::default() };
            let got = self.0.get_opts(&path, as_listed).await;
            let content = got.map_err(|error| failed(&error))?.bytes().await.map_err(|error| failed(&error))?;
            let is_as_listed = u64::try_from(content.len()).is_ok_and(|bytes| bytes == object.bytes);
            if is_as_listed { Ok(content) } else { Err(BucketError::Changed) }
        })
    }
}

fn failed(error: &Error) -> BucketError {
    match error {
        Error::NotFound { .. } | Error::Precondition { .. } | Error::NotModified { .. } => BucketError::Changed,
        other => BucketError::Failed(other.to_string()),
    }
}

/// The house's own client in the place of the library's: its answers are read whole, within a bound.
#[derive(Clone, Debug)]
struct Wire(reqwest::Client);

impl HttpConnector for Wire {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Wire {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.exchange(request))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {BUCKET_ANSWER_BYTES_MAX} bytes")]
struct TooLong;

impl Wire {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url =
            parts.uri.to_string().parse::<Url>().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let mut sent = reqwest::Request::new(parts.method, url);
        *sent.headers_mut() = parts.headers;
        *sent.body_mut() = body.as_bytes().filter(|bytes| !bytes.is_empty()).map(|bytes| bytes.clone().into());
        let mut answer = self.0.execute(sent).await.map_err(broken)?;
        let mut whole = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            if whole.len().saturating_add(piece.len()) > BUCKET_ANSWER_BYTES_MAX {
                return Err(HttpError::new(HttpErrorKind::Decode, TooLong));
            }
            whole.extend_from_slice(&piece);
        }
        let mut response = HttpResponse::new(HttpResponseBody::from(whole.freeze()));
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

fn broken(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Unknown
    };
    HttpError::new(kind, error.without_url())
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
