//! A budget is a ceiling: whatever the number of connections, with and without `max_tokens`, whole and streamed, on a fast
//! and on a slow model server, exactly what the budget is worth is served; and what a crash leaves open can be settled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::till::{CENT_NANO_USD, Till, furnish, house_paying, house_paying_two};
use support::{Ended, House};

const CONNECTIONS: usize = 64;
const REQUESTS: u64 = 2_000;
/// One dollar: a hundred answers.
const BUDGET: &str = "  monthly_limit_usd: 1\n  daily_limit_usd: 1\n";

/// A prompt that counts for a hundred tokens, as the model server says it does.
fn body(max_tokens: Option<u32>, stream: bool) -> Value {
    let mut body = json!({"model": "fake-model", "stream": stream,
        "messages": [{"role": "user", "content": format!("{}sit amet", "lorem ipsum dolor ".repeat(22))}]});
    if let Some(max_tokens) = max_tokens {
        body["max_tokens"] = json!(max_tokens);
    }
    body
}

/// Sends the same request over and over on many connections; counts what came back by status.
async fn flood(house: &House, key: &str, body: Value, requests: u64) -> BTreeMap<u16, u64> {
    let left = Arc::new(AtomicU64::new(requests));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (http, url) = (house.http.clone(), format!("{}/v1/chat/completions", house.url));
            let (key, body, left) = (key.to_owned(), body.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                let mut seen = BTreeMap::new();
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    let answer = http.post(&url).bearer_auth(&key).json(&body).send().await.unwrap();
                    let status = answer.status().as_u16();
                    let text = answer.text().await.unwrap();
                    if status != 200 {
                        assert!(text.contains("budget_exceeded"), "{status} {text}");
                    }
                    *seen.entry(status).or_insert(0) += 1;
                }
                seen
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for task in tasks {
        for (status, count) in task.await.unwrap() {
            *all.entry(status).or_insert(0) += count;
        }
    }
    all
}

async fn exactly_a_hundred(delay: Duration, max_tokens: Option<u32>, stream: bool) {
    let till = Till::start(delay).await;
    let (_folder, house) = house_paying(till.port, BUDGET);
    let key = house.key("default", "owner").await;
    let seen = flood(&house, &key, body(max_tokens, stream), REQUESTS).await;
    let what = format!("{delay:?}, max_tokens {max_tokens:?}, stream {stream}: {seen:?}");
    assert_eq!(till.billed(), 100, "{what}");
    assert_eq!(seen[&200], 100, "{what}");
    assert_eq!(seen.values().sum::<u64>(), REQUESTS, "{what}");
    let budget = house.usage(&key).await["budget"].clone();
    assert_eq!((&budget["spent_day"], &budget["held"], &budget["overrun"]), (&json!("1"), &json!("0"), &json!("0")));
    // the key stays shut
    let after = flood(&house, &key, body(max_tokens, stream), 64).await;
    assert_eq!((after.get(&200), till.billed()), (None, 100), "{what}");
}

#[tokio::test]
async fn a_fast_model_serves_exactly_what_the_budget_is_worth() {
    for stream in [false, true] {
        for max_tokens in [Some(200), None] {
            exactly_a_hundred(Duration::ZERO, max_tokens, stream).await;
        }
    }
}

#[tokio::test]
async fn a_slow_model_serves_exactly_what_the_budget_is_worth() {
    for stream in [false, true] {
        for max_tokens in [Some(200), None] {
            exactly_a_hundred(Duration::from_millis(500), max_tokens, stream).await;
        }
    }
}

#[tokio::test]
async fn strict_holds_serve_as_much() {
    let till = Till::start(Duration::ZERO).await;
    let (_folder, house) = house_paying(till.port, &format!("{BUDGET}  holds: strict\n"));
    let key = house.key("default", "owner").await;
    let seen = flood(&house, &key, body(None, false), 500).await;
    assert_eq!((till.billed(), seen[&200]), (100, 100));
    assert_eq!(house.usage(&key).await["budget"]["spent_day"], "1");
}

#[tokio::test]
async fn a_users_ceiling_stops_that_user_alone() {
    let till = Till::start(Duration::ZERO).await;
    let budget = format!("{BUDGET}  ceilings:\n    - {{level: key, name: \"*\", window: day, limit_usd: \"0.10\"}}\n");
    let (_folder, house) = house_paying(till.port, &budget);
    let (one, other) = (house.key("default", "owner").await, house.key("default", "operator").await);
    let seen = flood(&house, &one, body(Some(200), false), 100).await;
    assert_eq!((seen[&200], till.billed()), (10, 10));
    let (status, _) = house.call(Method::POST, "/v1/chat/completions", &other, Some(body(Some(200), false))).await;
    assert_eq!(status, 200, "the other key has an allowance of its own");
    let ceilings = house.usage(&one).await["budget"]["ceilings"].clone();
    let spent: Vec<_> = ceilings.as_array().unwrap().iter().map(|ceiling| ceiling["spent_usd"].clone()).collect();
    assert!(spent.contains(&json!("0.1")) && spent.contains(&json!("0.01")), "{ceilings}");
}

/// Sends requests until the house is gone; counts the answers it got.
async fn ask_until_it_is_gone(url: String, key: String, http: reqwest::Client, answered: Arc<AtomicU64>) {
    while let Ok(answer) = http.post(&url).bearer_auth(&key).json(&body(Some(200), false)).send().await {
        if answer.status() == 200 && answer.bytes().await.is_ok() {
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Money of a field in nano-dollars.
fn nano_usd(value: &Value) -> u64 {
    support::usd(value).0
}

async fn killed_in_mid_load(holds: &str) {
    let till = Till::start(Duration::from_millis(2)).await;
    let folder = tempfile::tempdir().unwrap();
    let budget = format!("  monthly_limit_usd: 1000\n  daily_limit_usd: 1000\n  holds: {holds}\n");
    let config = furnish(folder.path(), till.port, &budget);
    let house = House::start_on(folder.path(), Some(&config));
    let key = house.key("default", "owner").await;
    let answered = Arc::new(AtomicU64::new(0));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let url = format!("{}/v1/chat/completions", house.url);
            tokio::spawn(ask_until_it_is_gone(url, key.clone(), house.http.clone(), Arc::clone(&answered)))
        })
        .collect();
    support::until("three hundred answers", async || (answered.load(Ordering::SeqCst) >= 300).then_some(())).await;
    house.kill();
    for task in asking {
        task.await.unwrap();
    }
    till.at_rest().await;
    let billed = till.billed() * CENT_NANO_USD;

    let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
    let budget = house.usage(&key).await["budget"].clone();
    let (spent, unreconciled) = (nano_usd(&budget["spent_day"]), nano_usd(&budget["unreconciled"]));
    let recorded = spent - unreconciled;
    assert!(recorded >= answered.load(Ordering::SeqCst) * CENT_NANO_USD, "an acknowledged answer lost its charge");
    assert!(recorded <= billed && billed <= spent, "{recorded} recorded, {billed} billed, {spent} counted");

    // the operator reads the statement: afterwards the spend is what was billed, to the nano-dollar
    let statement = json!({"charged_usd": bailiwick_kernel::money::NanoUsd(billed - recorded).to_string()});
    let path = "/admin/v1/tenants/default/budget/reconcile";
    let (status, settled) = house.call(Method::POST, path, &house.operator_key(), Some(statement.clone())).await;
    if unreconciled == 0 {
        assert_eq!((status, billed), (409, recorded), "{settled}");
    } else {
        assert_eq!(status, 200, "{settled}");
        let again = house.call(Method::POST, path, &house.operator_key(), Some(statement)).await;
        assert_eq!(again.0, 409, "the same money is not released twice: {}", again.1);
    }
    let check = async |house: &House| {
        let budget = house.usage(&key).await["budget"].clone();
        assert_eq!((nano_usd(&budget["spent_day"]), nano_usd(&budget["unreconciled"])), (billed, 0), "{budget}");
    };
    check(&house).await;
    drop(house);
    check(&Ended(Some(House::start_on(folder.path(), Some(&config))))).await;
}

#[tokio::test]
async fn after_a_kill_in_mid_load_the_spend_is_what_was_billed() {
    killed_in_mid_load("escrow").await;
    killed_in_mid_load("strict").await;
}

#[tokio::test]
async fn beyond_the_threshold_nothing_reaches_the_primary_on_any_connection() {
    let (primary, second) = (Till::start(Duration::ZERO).await, Till::start(Duration::ZERO).await);
    let budget = "  monthly_limit_usd: 10\n  daily_limit_usd: 10\n  circuit_breaker: {threshold: 0.8, action: downgrade_to_fallback}\n";
    let (_folder, house) = house_paying_two(primary.port, second.port, budget);
    let key = house.key("default", "owner").await;
    // up to the threshold, on as many connections as there are
    let before = flood(&house, &key, body(Some(200), false), 900).await;
    primary.at_rest().await;
    second.at_rest().await;
    let figures = house.usage(&key).await["budget"].clone();
    assert_eq!((&figures["circuit_breaker"], before), (&json!("open"), BTreeMap::from([(200, 900)])), "{figures}");
    let (to_primary, to_second) = (primary.billed(), second.billed());
    // eight hundred cents, and the calls that were held for before these were spent
    let beyond = 800 + u64::try_from(CONNECTIONS).unwrap();
    assert!((800..beyond).contains(&to_primary) && to_primary + to_second == 900, "{to_primary} and {to_second}");
    for stream in [false, true] {
        let after = flood(&house, &key, body(Some(200), stream), 500).await;
        assert_eq!(after, BTreeMap::from([(200, 500)]));
    }
    assert_eq!((primary.started.load(Ordering::SeqCst), second.billed()), (to_primary, to_second + 1_000));
    assert_eq!(house.usage(&key).await["budget"]["circuit_breaker_switches"], 1);
}

#[tokio::test]
async fn a_breaker_that_asks_for_approval_lets_calls_through_while_one_holds() {
    let till = Till::start(Duration::ZERO).await;
    let budget = format!("{BUDGET}  circuit_breaker: {{threshold: 0.05, action: require_approval}}\n");
    let (_folder, house) = house_paying(till.port, &budget);
    let key = house.key("default", "owner").await;
    let ask = async || house.call(Method::POST, "/v1/chat/completions", &key, Some(body(Some(200), false))).await.0;
    for _ in 0..5 {
        assert_eq!(ask().await, 200);
    }
    assert_eq!(ask().await, 429, "five of a hundred cents are spent");
    let (path, operator) = ("/admin/v1/tenants/default/budget/approve", house.key("default", "operator").await);
    assert_eq!(house.call(Method::POST, path, &operator, Some(json!({"minutes": 5}))).await.0, 403);
    let (status, approved) = house.call(Method::POST, path, &key, Some(json!({"minutes": 5}))).await;
    assert_eq!(status, 200, "{approved}");
    assert_eq!((ask().await, till.billed()), (200, 6));
}
