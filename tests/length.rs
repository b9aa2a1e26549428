//! A model server that does not care how long an answer may be: its answers end where the tokens held for them do, its
//! connection is closed, the budget stays a ceiling, and what it says it used beyond that stands in `overrun`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;
use bailiwick_kernel::limits::PROVIDER_ANSWER_BYTES_MAX;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_tenant::routing::tokens;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::till::{ENDLESS_WORDS, Habit, TOKENS_AN_EVENT, Till, house_paying};
use support::{House, usd};

/// Tokens an answer may have here.
const MAX_TOKENS: u64 = 200;
/// Nano-dollars of a prompt's token, and of an answer's.
const PRICES: (u64, u64) = (10_000, 90_000);
const BUDGET: &str = "  monthly_limit_usd: 1\n  daily_limit_usd: 1\n";

fn body(stream: bool) -> Value {
    json!({"model": "fake-model", "stream": stream, "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": "Go on and on."}]})
}

/// What a stream told: its words, why it ended, and whether it ended whole.
fn told(events: &str) -> (String, Vec<Value>, bool) {
    let data: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let chunks = data.iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str::<Value>(data).unwrap());
    let (mut words, mut reasons) = (String::new(), Vec::new());
    for chunk in chunks {
        words.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        reasons.extend(chunk["choices"].get(0).map(|choice| choice["finish_reason"].clone()));
    }
    (words, reasons, data.last() == Some(&"[DONE]"))
}

async fn streamed(house: &House, key: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = house.raw(Method::POST, "/v1/chat/completions", key, headers, Some(body(true))).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_stream_without_end_ends_at_the_hold_and_its_connection_is_closed() {
    let till = Till::with_habit(Duration::ZERO, Habit::Ignores).await;
    let (_folder, house) = house_paying(till.port, BUDGET);
    let key = house.key("default", "owner").await;
    let named = [("idempotency-key", "once")];
    let (status, events) = streamed(&house, &key, &named).await;
    let (words, reasons, is_whole) = told(&events);
    assert_eq!((status, is_whole), (200, true), "{events}");
    assert!(tokens::count(&words) <= MAX_TOKENS && ENDLESS_WORDS.repeat(100).starts_with(&words), "{words}");
    assert!(tokens::count(&words) + 2 * tokens::count(ENDLESS_WORDS) > MAX_TOKENS, "no more is cut than has to be");
    let (last, before) = reasons.split_last().unwrap();
    assert!(last == "length" && before.iter().all(Value::is_null), "{reasons:?}");
    till.hung_up(1).await;
    let taken = usize::try_from(till.endless_bytes.load(Ordering::SeqCst)).unwrap();
    assert!(taken < PROVIDER_ANSWER_BYTES_MAX, "{taken} bytes of an answer of {MAX_TOKENS} tokens");

    let budget = house.usage(&key).await["budget"].clone();
    let spent = usd(&budget["spent_day"]).0;
    let of_prompt = spent - MAX_TOKENS * PRICES.1;
    assert!(of_prompt > 0 && of_prompt < 100 * PRICES.0, "the prompt and every token that was held: {budget}");
    assert_eq!((&budget["held"], &budget["overrun"], &budget["unreconciled"]), (&json!("0"), &json!("0"), &json!("0")));

    // under the same Idempotency-Key the same is told again, and nobody is asked
    let (_, again) = streamed(&house, &key, &named).await;
    let (words_again, reasons, _) = told(&again);
    assert_eq!((words_again, reasons.last().unwrap()), (words, &json!("length")), "{again}");
    assert_eq!(
        (till.started.load(Ordering::SeqCst), usd(&house.usage(&key).await["budget"]["spent_day"]).0),
        (1, spent)
    );
}

#[tokio::test]
async fn the_budget_is_a_ceiling_for_streams_without_end() {
    let till = Till::with_habit(Duration::ZERO, Habit::Ignores).await;
    let (_folder, house) = house_paying(till.port, BUDGET);
    let key = house.key("default", "owner").await;
    let asking = (0..8).map(|_| {
        let (http, url, key) = (house.http.clone(), format!("{}/v1/chat/completions", house.url), key.clone());
        tokio::spawn(async move {
            let mut answered = 0_u64;
            for _ in 0..20 {
                let answer = http.post(&url).bearer_auth(&key).json(&body(true)).send().await.unwrap();
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                assert!(status == 200 || text.contains("budget_exceeded"), "{status} {text}");
                answered += u64::from(status == 200);
            }
            answered
        })
    });
    let mut answered = 0;
    for task in asking.collect::<Vec<_>>() {
        answered += task.await.unwrap();
    }
    till.hung_up(answered).await;
    assert_eq!(till.started.load(Ordering::SeqCst), answered, "who was refused reached nobody");
    let budget = house.usage(&key).await["budget"].clone();
    let spent = usd(&budget["spent_day"]);
    assert!(spent <= NanoUsd(1_000_000_000) && spent.0 > 950_000_000, "{budget}");
    assert_eq!((&budget["held"], &budget["overrun"]), (&json!("0"), &json!("0")));
    // each is charged what was held for it; the last ones were held for less
    assert!(answered >= 1_000_000_000 / (MAX_TOKENS * PRICES.1 + 100 * PRICES.0), "{answered}");
}

#[tokio::test]
async fn what_is_reported_beyond_the_hold_stands_in_overrun() {
    let till = Till::with_habit(Duration::ZERO, Habit::IgnoresAndReports).await;
    let (_folder, house) = house_paying(till.port, BUDGET);
    let key = house.key("default", "owner").await;
    let overrun = async || usd(&house.usage(&key).await["budget"]["overrun"]).0;

    // whole: a thousand tokens where two hundred were held for
    let (status, answer) = house.call(Method::POST, "/v1/chat/completions", &key, Some(body(false))).await;
    let choice = &answer["choices"][0];
    let words = choice["message"]["content"].as_str().unwrap();
    assert_eq!((status, &choice["finish_reason"]), (200, &json!("length")), "{answer}");
    assert_eq!(tokens::count(words), MAX_TOKENS, "{words}");
    assert_eq!(answer["usage"]["completion_tokens"], 1_000, "what the provider says it used");
    let beyond = overrun().await;
    // the hold's prompt is counted here, the charge's by the provider
    assert!(beyond.abs_diff(800 * PRICES.1) < 100 * PRICES.0, "{beyond}");

    let (status, events) = streamed(&house, &key, &[]).await;
    let (words, reasons, is_whole) = told(&events);
    assert_eq!((status, is_whole, reasons.last().unwrap()), (200, true, &json!("length")), "{events}");
    assert!(tokens::count(&words) <= MAX_TOKENS);
    till.hung_up(1).await;
    let reported = TOKENS_AN_EVENT * u64::try_from(reasons.len()).unwrap();
    let streamed_beyond = overrun().await - beyond;
    assert!(streamed_beyond.abs_diff((reported - MAX_TOKENS) * PRICES.1) < 100 * PRICES.0, "{streamed_beyond}");

    // nobody can take back what a provider charges; from here on nothing goes out
    let spent = usd(&house.usage(&key).await["budget"]["spent_day"]);
    assert!(spent > NanoUsd(1_000_000_000), "{spent}");
    let started = till.started.load(Ordering::SeqCst);
    assert_eq!((streamed(&house, &key, &[]).await.0, till.started.load(Ordering::SeqCst)), (429, started));
}

#[tokio::test]
async fn a_question_to_the_documents_ends_alike_on_every_door() {
    let till = Till::with_habit(Duration::ZERO, Habit::Ignores).await;
    let (_folder, house) = house_paying(till.port, "  monthly_limit_usd: 100\n  daily_limit_usd: 100\n");
    let key = house.key("default", "owner").await;
    house.teach(&key, "lorem", "Lorem", "Lorem ipsum dolor sit amet.").await;
    let question = "What does lorem ipsum say?";
    let ask = json!({"question": question, "stream": true});
    let events = house.raw(Method::POST, "/v1/ask", &key, &[], Some(ask)).await.text().await.unwrap();
    let done = events.lines().skip_while(|line| *line != "event: done").find_map(|line| line.strip_prefix("data: "));
    let answer: Value = serde_json::from_str(done.unwrap_or_else(|| panic!("{events}"))).unwrap();
    assert_eq!((&answer["ended_by_length"], &answer["abstained"]), (&json!(true), &json!(false)), "{answer}");
    assert_eq!(answer["usage"]["completion_tokens"], 1_024, "the tokens router.yaml allows");
    till.hung_up(1).await;

    let chat = |stream: bool| json!({"model": "bailiwick", "stream": stream, "messages": [{"role": "user", "content": question}]});
    let events = house.raw(Method::POST, "/v1/chat/completions", &key, &[], Some(chat(true))).await;
    assert_eq!(told(&events.text().await.unwrap()).1.last().unwrap(), "length");
    till.hung_up(2).await;
}
