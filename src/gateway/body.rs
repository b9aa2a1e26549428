//! Reads bodies and queries within their limits, and says what is wrong with them in words that help.
use super::errors::Failure;
use super::frame::Facts;
use super::hints::with_nearest_key;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// Bodies above this size are parsed off the worker's thread.
const PARSED_INLINE_BYTES_MAX: usize = 256 << 10;
/// Room made for a body before its first byte; more is made as it arrives.
const FIRST_BYTES_MAX: usize = 64 << 10;

/// The whole body, at most `bytes_max`, within `timeout`.
pub(super) async fn bytes(
    request: &HttpRequest,
    payload: web::Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, Failure> {
    let headers = request.headers();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Failure::invalid("reading the body: compressed bodies are not taken; send it as it is")
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let announced: usize =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
    if announced > bytes_max {
        return Err(above(bytes_max));
    }
    let since = Instant::now();
    let collected = tokio::time::timeout(timeout, collect(payload, announced, bytes_max)).await;
    Facts::of(request).waited_for_body(since);
    collected.unwrap_or_else(|_elapsed| Err(too_slow()))
}

/// A client that sends slower than the stated time.
pub(super) fn too_slow() -> Failure {
    Failure::invalid("reading the body: it did not arrive in time; send it faster")
        .with_status(StatusCode::REQUEST_TIMEOUT)
}

fn above(bytes_max: usize) -> Failure {
    Failure::too_large(format!("reading the body: this route takes at most {bytes_max} bytes"))
}

async fn collect(mut payload: web::Payload, announced: usize, bytes_max: usize) -> Result<Bytes, Failure> {
    let mut gathered: Option<BytesMut> = None;
    let mut only = Bytes::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_broken| Failure::invalid("reading the body: the connection broke before its end"))?;
        let so_far = gathered.as_ref().map_or(only.len(), BytesMut::len);
        if so_far.saturating_add(chunk.len()) > bytes_max {
            return Err(above(bytes_max));
        }
        match &mut gathered {
            Some(gathered) => gathered.extend_from_slice(&chunk),
            // most bodies come in one piece: that piece is the body, nothing is copied
            None if only.is_empty() => only = chunk,
            None => {
                let mut start = BytesMut::with_capacity(
                    announced.clamp(only.len() + chunk.len(), FIRST_BYTES_MAX.max(only.len() + chunk.len())),
                );
                start.extend_from_slice(&only);
                start.extend_from_slice(&chunk);
                gathered = Some(start);
            }
        }
    }
    Ok(gathered.map_or(only, BytesMut::freeze))
}

/// The body as a JSON object of the given type.
pub(super) async fn json<T>(
    request: &HttpRequest,
    payload: web::Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<T, Failure>
where
    T: DeserializeOwned + Send + 'static,
{
    let body = bytes(request, payload, bytes_max, timeout).await?;
    if body.len() <= PARSED_INLINE_BYTES_MAX {
        return parse(&body);
    }
    bailiwick_kernel::residue::spawn_blocking(move || parse(&body))
        .await
        .unwrap_or_else(|_lost| Err(bailiwick_kernel::outcome::Rejection::lost().into()))
}

/// As [`json`], where the body may be left out.
pub(super) async fn json_or_default<T>(
    request: &HttpRequest,
    payload: web::Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<T, Failure>
where
    T: DeserializeOwned + Default,
{
    let body = bytes(request, payload, bytes_max, timeout).await?;
    if body.is_empty() { Ok(T::default()) } else { parse(&body) }
}

/// Reads the JSON object a body is.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    parse_named("the body", body)
}

/// Reads a JSON object; `what` names it in errors.
pub(super) fn parse_named<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Failure::invalid(format!("reading {what}: not valid UTF-8 after byte {}; send UTF-8", error.valid_up_to()))
    })?;
    match text.trim_ascii_start().bytes().next() {
        None => return Err(Failure::invalid(format!("reading {what}: it is empty; send a JSON object"))),
        // serde would take an array for a struct, field by field; nobody means that
        Some(b'{') => {}
        Some(_) => return Err(Failure::invalid(format!("reading {what}: send a JSON object"))),
    }
    serde_json::from_str(text).map_err(|error| unreadable(what, &error.to_string()))
}

/// A JSON value that is already parsed as the given type.
pub(super) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| unreadable("the frame", &error.to_string()))
}

/// The query string as the given type.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Failure> {
    web::Query::<T>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| unreadable("the query string", &error.to_string()))
}

fn unreadable(what: &str, message: &str) -> Failure {
    Failure::invalid(format!("reading {what}: {}", with_nearest_key(message)))
}

/// Checks one text of a caller: no NUL, not too long. `name` is the field's.
pub(super) fn bounded(name: &'static str, text: &str, chars_max: usize) -> Result<(), Failure> {
    if text.contains('\0') {
        return Err(Failure::invalid(format!("reading {name}: it contains a NUL byte; remove it")).with_param(name));
    }
    // bytes bound characters from above, so that most texts are never counted
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(Failure::too_large(format!("reading {name}: it has more than {chars_max} characters; shorten it"))
            .with_param(name));
    }
    Ok(())
}

pub(super) const MINUTE_MS: u64 = 60_000;

/// A caller's `minutes`, 1 to `minutes_max`, in milliseconds.
pub(super) fn minutes_in_ms(minutes: u64, minutes_max: u64) -> Result<u64, Failure> {
    if (1..=minutes_max).contains(&minutes) {
        return Ok(minutes.saturating_mul(MINUTE_MS));
    }
    Err(Failure::invalid(format!("reading minutes: send a number from 1 to {minutes_max}")).with_param("minutes"))
}

/// As [`bounded`], where the field may be absent.
pub(super) fn bounded_option(name: &'static str, text: Option<&str>, chars_max: usize) -> Result<(), Failure> {
    text.map_or(Ok(()), |text| bounded(name, text, chars_max))
}
