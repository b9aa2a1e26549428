//! One tenant's requests through the real server, in worlds that differ only in its neighbours: every status, header and
//! body it gets is the same. Beside it a proxy that makes any of them depend on a neighbour, in many ways, is caught.
//!
//! What is inside a tenant is compared by `actors/tenant/supervisor/two_worlds_tests`; here are doors, headers and the
//! control plane. A real server draws names and reads a clock, so that some words are masked, each by its shape: see
//! [`MASKS`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[path = "two_worlds/leaks.rs"]
mod leaks;
#[path = "two_worlds/neighbours.rs"]
mod neighbours;
mod support;
#[path = "two_worlds/trace.rs"]
mod trace;

use leaks::{INVISIBLE, LEAKS, Leak};

/// Compared answers below which the run has proved nothing.
const PAIRS_MIN: usize = 120;
const HOUR_S: u64 = 3_600;
/// Stands before how long a refused request has to wait.
const NEXT_FITS: &str = "the next fits in ";
/// Proxies that leak, at least.
const LEAKS_MIN: usize = 15;

/// What a neighbour has done until an answer came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Street {
    requests: u64,
    document_ids: Vec<String>,
    /// Names of tenants beside the sample ones.
    tenants: Vec<String>,
    keys: u64,
}

/// One answer, as A gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Answer {
    name: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Looks the same whatever it says exactly: a name drawn at random, or what a clock says.
type Shape = fn(&str) -> bool;

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_receipt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    matches!(parts.as_slice(), ["bwr1", position, hash] if position.parse::<u64>().is_ok() && is_hash(hash))
}

fn is_time(text: &str) -> bool {
    let is_date = text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    let is_unix = text.parse::<u64>().is_ok_and(|time| (1_600_000_000..10_000_000_000_000).contains(&time));
    is_date || is_unix
}

/// A listed model has no time of its own.
fn is_time_or_none(text: &str) -> bool {
    text == "0" || is_time(text)
}

fn is_milliseconds(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|ms| (0.0..120_000.0).contains(&ms))
}

/// As long as one request takes to come back, and no longer: nobody else is waited for.
fn is_wait(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|seconds| (1..=HOUR_S / trace::REQUESTS_PER_HOUR).contains(&seconds))
}

fn is_duration(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b"hms.".contains(&byte)) && text.len() < 16
}

/// Fields and headers that no two runs have in common, with what must hold of them all the same. Positions of receipts are
/// compared, their hashes commit to bytes sealed under random nonces.
const MASKS: &[(&str, Shape)] = &[
    ("receipt", is_receipt),
    ("hash", is_hash),
    ("timestamp", is_time),
    ("created_at", is_time),
    ("created", is_time_or_none),
    ("committed_at", is_time),
    ("at_unix_ms", is_time),
    ("admitted_unix_ms", is_time),
    ("cleared_unix_ms", is_time),
    ("p50_ms", is_milliseconds),
    ("p95_ms", is_milliseconds),
    ("p99_ms", is_milliseconds),
    ("x-bailiwick-overhead-ms", is_milliseconds),
    ("x-ratelimit-reset-requests", is_duration),
    ("retry-after", is_wait),
];

fn shape_of(field: &str) -> Option<Shape> {
    MASKS.iter().find(|(name, _)| *name == field).map(|(_, shape)| *shape)
}

/// What stands where a masked text stood: its position, where it has one.
fn masked(field: &str, text: &str, shape: Shape) -> String {
    assert!(shape(text), "{field} is {text:?}");
    if field == "receipt" { text.rsplit_once('.').unwrap().0.to_owned() } else { format!("<{field}>") }
}

/// A refusal's text without the milliseconds until the next request fits, which are no more than one takes to come back.
fn without_wait(text: &str) -> String {
    let (start, rest) = text.split_once(NEXT_FITS).unwrap();
    let ms = rest.strip_suffix(" ms").and_then(|ms| ms.parse::<u64>().ok());
    assert!(ms.is_some_and(|ms| ms <= 1_000 * HOUR_S / trace::REQUESTS_PER_HOUR), "{text}");
    format!("{start}{NEXT_FITS}<wait>")
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let text = match &*field {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                };
                match (shape_of(name), text) {
                    (None, Some(text)) if text.contains(NEXT_FITS) => *field = json!(without_wait(&text)),
                    (Some(shape), Some(text)) => *field = json!(masked(name, &text, shape)),
                    _ => mask(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

/// A line of a stream of events, of an export, or of a text that is no JSON.
fn masked_line(line: &str, drawn: &mut Drawn) -> String {
    let (start, rest) = line.strip_prefix("data: ").map_or(("", line), |rest| ("data: ", rest));
    let Ok(mut value) = serde_json::from_str::<Value>(rest) else { return line.to_owned() };
    drawn.note_queries(&value);
    mask(&mut value);
    format!("{start}{value}")
}

/// Names that a world has drawn at random, by what they stand for, in the order they came.
#[derive(Default)]
struct Drawn(Vec<(String, String)>);

impl Drawn {
    fn note(&mut self, drawn: &str, kind: &str) {
        if !self.0.iter().any(|(known, _)| known == drawn) {
            let number = self.0.iter().filter(|(_, name)| name.starts_with(kind)).count();
            self.0.push((drawn.to_owned(), format!("{kind}-{number}")));
        }
    }

    /// Notes the names of questions in an answer; they are UUIDs of version 7.
    fn note_queries(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(id) = fields.get("query_id").and_then(Value::as_str) {
                    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7, "{id}");
                    self.note(id, "query");
                }
                fields.values().for_each(|field| self.note_queries(field));
            }
            Value::Array(items) => items.iter().for_each(|item| self.note_queries(item)),
            _ => {}
        }
    }

    fn renamed(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (drawn, name)| text.replace(drawn, name))
    }
}

/// An answer without what no two runs have in common.
async fn compared(name: &str, response: reqwest::Response, drawn: &mut Drawn) -> (Answer, Value) {
    let status = response.status().as_u16();
    let mut headers = BTreeMap::new();
    for (header, value) in response.headers() {
        let (header, value) = (header.to_string(), value.to_str().unwrap().to_owned());
        // the time of the answer, and whether its body had come when its head was answered
        if header == "date" || header == "connection" || header == "content-length" {
            continue;
        }
        let value = shape_of(&header).map_or_else(|| value.clone(), |shape| masked(&header, &value, shape));
        headers.insert(header, value);
    }
    let body = response.text().await.unwrap();
    let whole = serde_json::from_str::<Value>(&body).unwrap_or_default();
    // a body is JSON as a whole, or line by line, or none
    let shown: Vec<String> = match whole {
        Value::Null => body.lines().map(|line| masked_line(line, drawn)).collect(),
        _ => vec![masked_line(&whole.to_string(), drawn)],
    };
    let text = shown.join("\n");
    let headers = headers.into_iter().map(|(header, value)| (header, drawn.renamed(&value))).collect();
    (Answer { name: name.to_owned(), status, headers, body: drawn.renamed(&text) }, whole)
}

/// The answers of one world, each with what the neighbours had done by then.
type Day = Vec<(Answer, Street)>;

/// The first answer that differs between two days, as a proxy leaves them.
fn first_difference(one: &Day, other: &Day, leak: Option<&Leak>) -> Option<(Answer, Answer)> {
    assert_eq!(one.len(), other.len());
    let seen = |(answer, street): &(Answer, Street)| {
        let mut answer = answer.clone();
        if let Some(leak) = leak {
            (leak.alter)(street, &mut answer);
        }
        answer
    };
    one.iter().zip(other).map(|(one, other)| (seen(one), seen(other))).find(|(one, other)| one != other)
}

#[tokio::test]
async fn the_doors_say_the_same_whoever_the_neighbours_are() {
    let quiet = trace::day(neighbours::Life::Quiet).await;
    let twin = trace::day(neighbours::Life::Quiet).await;
    let loud = trace::day(neighbours::Life::Loud).await;
    for other in [&twin, &loud] {
        if let Some((one, other)) = first_difference(&quiet, other, None) {
            panic!("{}\n  {one:?}\n  {other:?}", one.name);
        }
    }
    let pairs = 2 * quiet.len();
    println!("{pairs} pairs of answers are the same; beside the loud one stood {:?}", loud.last().unwrap().1);
    assert!(pairs >= PAIRS_MIN, "only {pairs} pairs were compared");

    let mut missed = Vec::new();
    for leak in LEAKS {
        assert!(first_difference(&quiet, &twin, Some(leak)).is_none(), "{} tells two quiet worlds apart", leak.name);
        match first_difference(&quiet, &loud, Some(leak)) {
            Some((one, _)) => println!("caught {:<28} by {:<36} {}", leak.name, one.name, leak.what),
            None => missed.push(leak.name),
        }
    }
    assert!(missed.is_empty() && LEAKS.len() >= LEAKS_MIN, "not caught: {missed:?} of {}", LEAKS.len());
    for leak in INVISIBLE {
        assert_eq!(first_difference(&quiet, &loud, Some(leak)), None, "{}: {}", leak.name, leak.what);
        println!("passed {:<28} {}", leak.name, leak.what);
    }
}
