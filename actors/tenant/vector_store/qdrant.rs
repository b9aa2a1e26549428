//! A collection in Qdrant, by its REST interface: the one file that names it. Requests travel over the house's own client, so that
//! TLS, redirects and the bytes of an answer are decided here; how long an answer is waited for, by whoever asks.
use super::declared::{Collection, Pending, Point};
use super::rules::{Filter, Hit};
use bailiwick_kernel::limits::VECTOR_ANSWER_BYTES_MAX;
use bailiwick_policy::sovereignty::InTransit;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// The longest one request takes, for whoever forgets to end it.
const REQUEST_TIMEOUT_S: u64 = 30;
const IDLE_CONNECTION_S: u64 = 60;
/// Idle connections kept to one collection.
const IDLE_MAX: usize = 4;
const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// What a change that is done says of itself; one that is only noted says something else.
const COMPLETED: &str = "completed";

/// One collection, and who asks.
#[derive(Clone)]
pub struct QdrantAccess {
    /// Address of the server.
    pub server: Url,
    /// The collection's name.
    pub collection: String,
    /// The key its requests bear.
    pub api_key: Option<SecretString>,
}

/// A collection to be reached under this TLS or a newer one; nothing is asked yet.
///
/// # Errors
/// What is wrong with it.
pub fn open(access: &QdrantAccess, in_transit: InTransit) -> Result<Arc<dyn Collection>, String> {
    let failed = |problem: String| format!("opening the collection {}: {problem}", access.collection);
    let mut headers = HeaderMap::new();
    if let Some(key) = &access.api_key {
        let value = HeaderValue::from_str(key.expose_secret());
        let mut value = value.map_err(|_signs| failed("its key is no header's value".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(API_KEY, value);
    }
    let client = client(in_transit, headers).map_err(|error| failed(error.without_url().to_string()))?;
    let mut address = access.server.clone();
    address
        .path_segments_mut()
        .map_err(|()| failed("the server's address has no path".to_owned()))?
        .pop_if_empty()
        .extend(["collections", &access.collection]);
    Ok(Arc::new(Qdrant { client, address }))
}

fn client(in_transit: InTransit, headers: HeaderMap) -> Result<Client, reqwest::Error> {
    let least = match in_transit {
        InTransit::Tls12 => reqwest::tls::Version::TLS_1_2,
        InTransit::Tls13 => reqwest::tls::Version::TLS_1_3,
    };
    Client::builder()
        .min_tls_version(least)
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS))
        .timeout(Duration::from_secs(REQUEST_TIMEOUT_S))
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(Duration::from_secs(IDLE_CONNECTION_S))
        .tcp_nodelay(true)
        // the key is for one address
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // bytes that unfold would escape the bound
        .no_gzip()
        .build()
}

struct Qdrant {
    client: Client,
    /// Of the collection.
    address: Url,
}

impl fmt::Debug for Qdrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Qdrant({})", self.address)
    }
}

/// Every answer has what it is about under this name.
#[derive(Deserialize)]
struct Answered<T> {
    result: T,
}

#[derive(Deserialize)]
struct Updated {
    status: String,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

#[derive(Deserialize)]
struct Found {
    points: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    id: Value,
    score: f64,
}

#[derive(Serialize)]
struct Upsert<'a> {
    points: Vec<Put<'a>>,
}

#[derive(Serialize)]
struct Put<'a> {
    id: u64,
    vector: &'a [f32],
}

#[derive(Serialize)]
struct Searches<'a> {
    searches: Vec<Search<'a>>,
}

#[derive(Serialize)]
struct Search<'a> {
    query: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Value>,
    limit: usize,
    with_payload: bool,
    with_vector: bool,
}

/// A filter as the query has it; none where it would keep nothing out.
fn written(filter: &Filter) -> Option<Value> {
    match filter {
        Filter::These(ids) => Some(json!({"must": [{"has_id": ids}]})),
        Filter::AllBut(ids) if ids.is_empty() => None,
        Filter::AllBut(ids) => Some(json!({"must_not": [{"has_id": ids}]})),
    }
}

impl Qdrant {
    /// The address of something of the collection.
    fn at(&self, way: &[&str]) -> Url {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(way);
        }
        url
    }

    /// What was answered; nothing where there is no such collection.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Option<T>, String> {
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            // its own words are for whoever runs it
            return Err(format!("it answered with status {}", status.as_u16()));
        }
        let whole = whole(answer).await?;
        let answered: Answered<T> =
            serde_json::from_slice(&whole).map_err(|error| format!("its answer is not to be read: {error}"))?;
        Ok(Some(answered.result))
    }

    async fn change(&self, method: Method, way: &[&str], body: &(impl Serialize + Sync)) -> Result<(), String> {
        let mut url = self.at(way);
        // answered when it is done
        url.query_pairs_mut().append_pair("wait", "true");
        match self.ask::<Updated>(method, url, Some(body)).await? {
            Some(Updated { status }) if status == COMPLETED => Ok(()),
            Some(_noted) => Err("it noted a change and did not say that it is done".to_owned()),
            None => Err(MISSING.to_owned()),
        }
    }
}

/// What is said of a collection that is not there.
const MISSING: &str = "the collection is not there";

/// The bytes of an answer, within a bound.
async fn whole(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
        if whole.len().saturating_add(piece.len()) > VECTOR_ANSWER_BYTES_MAX {
            return Err(format!("its answer is longer than {VECTOR_ANSWER_BYTES_MAX} bytes"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

const NOTHING: Option<&Value> = None;

impl Collection for Qdrant {
    fn make(&self, dimensions: usize) -> Pending<'_, ()> {
        Box::pin(async move {
            let body = json!({"vectors": {"size": dimensions, "distance": "Cosine"}});
            match self.ask::<bool>(Method::PUT, self.at(&[]), Some(&body)).await? {
                Some(true) => Ok(()),
                _ => Err("it did not make the collection".to_owned()),
            }
        })
    }

    fn delete(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            // false: there was none
            self.ask::<bool>(Method::DELETE, self.at(&[]), NOTHING).await.map(|_done| ())
        })
    }

    fn count(&self) -> Pending<'_, Option<u64>> {
        Box::pin(async move {
            let body = json!({"exact": true});
            let counted = self.ask::<Counted>(Method::POST, self.at(&["points", "count"]), Some(&body)).await?;
            Ok(counted.map(|counted| counted.count))
        })
    }

    fn put<'a>(&'a self, points: &'a [Point]) -> Pending<'a, ()> {
        Box::pin(async move {
            let points = points.iter().map(|point| Put { id: point.id, vector: &point.vector }).collect();
            self.change(Method::PUT, &["points"], &Upsert { points }).await
        })
    }

    fn take_out<'a>(&'a self, ids: &'a [u64]) -> Pending<'a, ()> {
        Box::pin(async move { self.change(Method::POST, &["points", "delete"], &json!({"points": ids})).await })
    }

    fn nearest<'a>(&'a self, vector: &'a [f32], filters: &'a [Filter], most: usize) -> Pending<'a, Vec<Hit>> {
        Box::pin(async move {
            let search = |filter: &Filter| Search {
                query: vector,
                filter: written(filter),
                limit: most,
                with_payload: false,
                with_vector: false,
            };
            let searches = Searches { searches: filters.iter().map(search).collect() };
            let url = self.at(&["points", "query", "batch"]);
            let found = self.ask::<Vec<Found>>(Method::POST, url, Some(&searches)).await?.ok_or(MISSING)?;
            let hit = |scored: Scored| Hit { id: scored.id.as_u64(), score: scored.score };
            Ok(found.into_iter().flat_map(|found| found.points).map(hit).collect())
        })
    }
}
