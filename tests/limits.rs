//! Limits through the doors: OpenAI's headers, refusals with their `Retry-After`, storage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

mod support;
use support::{Ended, House, copy_tenants, until};

const QUESTION: &str = "How many days of paid leave does an employee have?";

/// A house whose tenant `default` has these quotas.
fn house(quotas: &str) -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let file = copy_tenants(folder.path()).join("default/tenant.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (start, end) = (text.find("quotas:").unwrap(), text.find("metadata:").unwrap());
    std::fs::write(&file, format!("{}quotas:\n{quotas}\n{}", &text[..start], &text[end..])).unwrap();
    let house = House::start_on(folder.path(), None);
    (folder, Ended(Some(house)))
}

async fn post(house: &House, path: &str, key: &str, body: Value) -> Response {
    house.raw(Method::POST, path, key, &[], Some(body)).await
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

fn figures(answer: &Response) -> (u64, u64, &str) {
    let number = |name: &str| header(answer, name).unwrap().parse().unwrap();
    let reset = header(answer, "x-ratelimit-reset-requests").unwrap();
    (number("x-ratelimit-limit-requests"), number("x-ratelimit-remaining-requests"), reset)
}

/// A duration as OpenAI writes it, in milliseconds.
fn duration_ms(text: &str) -> u64 {
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().unwrap();
    }
    let (minutes, seconds) = text.split_once('m').unwrap_or(("0", text));
    let seconds: f64 = seconds.strip_suffix('s').unwrap().parse().unwrap();
    minutes.parse::<u64>().unwrap() * 60_000 + (seconds * 1_000.0).round() as u64
}

const LIMITED: &str = "  max_requests_per_hour: 100000
  max_requests_per_minute: 50000
  max_concurrent_requests: 64
  max_cost_per_month: 31000
  max_storage_gb: 10
  limits:
    - level: key
      name: \"*\"
      max_requests_per_hour: 5
    - {level: domain, name: hr, max_requests_per_hour: 2}
";

#[tokio::test]
async fn every_answer_says_what_is_left_and_a_refusal_when_to_come_back() {
    let (_folder, house) = house(LIMITED);
    let key = house.key("default", "operator").await;
    let other = house.key("default", "operator").await;
    let chat = json!({"model": "bailiwick", "messages": [{"role": "user", "content": QUESTION}]});
    let mut streamed = chat.clone();
    streamed["stream"] = json!(true);
    let asks = [
        ("/v1/ask", json!({"question": QUESTION})),
        ("/v1/ask", json!({"question": QUESTION, "stream": true})),
        ("/v1/chat/completions", chat.clone()),
        ("/v1/chat/completions", streamed),
        ("/v1/search", json!({"query": QUESTION})),
    ];
    let begun = std::time::Instant::now();
    for (taken, (path, body)) in (1..).zip(asks) {
        let answer = post(&house, path, &key, body).await;
        assert_eq!(answer.status(), 200, "{path}");
        let (limit, remaining, reset) = figures(&answer);
        // one comes back every twelve minutes
        let back = begun.elapsed().as_secs() / 720;
        assert_eq!(limit, 5, "{path} tells of the tightest limit");
        assert!((5 - taken..=5 - taken + back).contains(&remaining), "{path}: {remaining} left after {taken}");
        assert!((1..=taken * 720_000).contains(&duration_ms(reset)), "{path}: {reset}");
        answer.bytes().await.unwrap();
    }

    for (path, body) in [("/v1/ask", json!({"question": QUESTION})), ("/v1/chat/completions", chat)] {
        let refused = post(&house, path, &key, body).await;
        assert_eq!(refused.status(), 429, "{path}");
        let wait_s: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
        assert!((1..=720).contains(&wait_s), "one of five an hour, not {wait_s} s");
        let (limit, remaining, reset) = figures(&refused);
        assert_eq!((limit, remaining), (5, 0));
        assert!(duration_ms(reset) > 4 * 720_000, "all five are back a whole lot later: {reset}");
        let body: Value = refused.json().await.unwrap();
        let (code, detail) = match path {
            "/v1/ask" => (&body["code"], &body["detail"]),
            _ => {
                assert_eq!(body["error"]["type"], "rate_limit_error");
                (&body["error"]["code"], &body["error"]["message"])
            }
        };
        assert_eq!(code, "rate_limited");
        assert!(detail.as_str().unwrap().starts_with("the limit of 5 requests per hour of key"), "{detail}");
    }

    // another key has its own five; the domain's two an hour hold for both
    for (left, status) in [(1, 200), (0, 200), (0, 429)] {
        let answer = post(&house, "/v1/ask", &other, json!({"question": QUESTION, "domain": "hr"})).await;
        assert_eq!((answer.status().as_u16(), figures(&answer).1), (status, left));
        if status == 429 {
            let wait_s: u64 = header(&answer, "retry-after").unwrap().parse().unwrap();
            assert!((1_700..=1_800).contains(&wait_s), "half an hour, not {wait_s} s");
        }
    }
    assert_eq!(
        figures(&post(&house, "/v1/ask", &other, json!({"question": QUESTION})).await).1,
        2,
        "a refusal at one level counts at no other"
    );

    // what no tenant has counted says nothing
    let unknown = post(&house, "/v1/ask", "bwk_nobody_nothing", json!({"question": QUESTION})).await;
    assert_eq!((unknown.status().as_u16(), header(&unknown, "x-ratelimit-limit-requests")), (401, None));
    assert_eq!(header(&house.raw(Method::GET, "/v1/usage", &key, &[], None).await, "x-ratelimit-limit-requests"), None);
}

#[tokio::test]
async fn whoever_waits_as_long_as_was_said_is_admitted() {
    let (_folder, house) = house(&LIMITED.replace("max_requests_per_hour: 5\n", "max_requests_per_minute: 30\n"));
    let key = house.key("default", "operator").await;
    let ask = async || post(&house, "/v1/search", &key, json!({"query": QUESTION})).await;
    let refused =
        until("the key has asked too often", async || Some(ask().await).filter(|answer| answer.status() == 429)).await;
    let wait_s: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait_s), "one of thirty a minute, not {wait_s} s");
    tokio::time::sleep(Duration::from_secs(wait_s)).await;
    assert_eq!(ask().await.status(), 200, "the header is never too early");
}

#[tokio::test]
async fn uploads_above_the_storage_quota_are_refused_with_numbers_and_headers_without_promise() {
    let (_folder, house) = house(&LIMITED.replace("max_storage_gb: 10", "max_storage_gb: 0.000001"));
    let key = house.key("default", "operator").await;
    let document = |id: &str, bytes: usize| json!({"id": id, "title": id, "text": "x".repeat(bytes)});
    let sent = json!({"documents": [document("fits", 900), document("does-not", 101), document("fits-too", 100)]});
    let answer: Value = post(&house, "/v1/documents", &key, sent).await.json().await.unwrap();
    let told: Vec<_> = answer["documents"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    assert_eq!(told, [Value::Null, json!("quota_exceeded"), Value::Null], "{answer}");
    let error = answer["documents"][1]["error"].as_str().unwrap();
    assert!(error.contains("1001 bytes") && error.contains("1000 of the storage quota"), "{error}");
    let refused = post(&house, "/v1/documents", &key, json!({"documents": [document("more", 1)]})).await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "retry-after"), header(&refused, "x-should-retry")),
        (429, None, Some("false"))
    );
}
