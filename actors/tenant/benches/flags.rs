//! What evaluating a flag costs, and that raising a percentage removes nobody, a million keys at a hundred percentages,
//! by the evaluation itself.
//!
//! `cargo bench -p bailiwick-tenant --bench flags`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_policy::flags::{Context, Evaluation, ServiceLevel, evaluate, evaluate_all};
use bailiwick_policy::schema::FeaturesFile;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

const KEYS: usize = 100_000;
const MILLION: usize = 1_000_000;
const FLAGS: usize = 100;

/// A file of a hundred flags, so that looking one up costs what it costs a tenant, and the one that is measured.
fn file(flag: Value) -> FeaturesFile {
    let mut features: serde_json::Map<String, Value> = (0..FLAGS)
        .map(|number| (format!("flag_{number}"), json!({"enabled": true, "rollout_percent": "50"})))
        .collect();
    features.insert("measured".into(), flag);
    serde_json::from_value(json!({"tenant_id": "t", "features": features})).unwrap()
}

fn say<'a>(file: &'a FeaturesFile, context: &Context) -> Evaluation<'a> {
    evaluate(file, ServiceLevel::Kept, "measured", context).unwrap()
}

fn measure(what: &str, flag: Value, contexts: &[Context]) {
    let file = file(flag);
    let mut times: Vec<Duration> = Vec::with_capacity(contexts.len());
    for context in contexts {
        let began = Instant::now();
        black_box(say(black_box(&file), black_box(context)));
        times.push(began.elapsed());
    }
    let began = Instant::now();
    for context in contexts {
        black_box(say(black_box(&file), black_box(context)));
    }
    let mean = began.elapsed().as_secs_f64() * 1e9 / contexts.len() as f64;
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_nanos();
    println!("{what:<44} mean {mean:>5.0} ns   with the clock: p50 {:>5} ns   p99 {:>5} ns", at(50), at(99));
}

fn contexts(keys: usize) -> Vec<Context> {
    (0..keys).map(|number| Context::of_key(&format!("user-{number}"))).collect()
}

/// Keys that were in at one percentage and are out at a higher one.
fn removed() -> usize {
    let steps: Vec<FeaturesFile> = (1..=100)
        .map(|percent| {
            let flag = json!({"enabled": true, "rollout_percent": percent.to_string()});
            serde_json::from_value(json!({"tenant_id": "t", "features": {"measured": flag}})).unwrap()
        })
        .collect();
    let mut removed = 0;
    for context in contexts(MILLION) {
        let mut was_in = false;
        for file in &steps {
            let is_in = say(file, &context).value == &Value::Bool(true);
            removed += usize::from(was_in && !is_in);
            was_in = is_in;
        }
        assert!(was_in, "everybody is in at 100 percent");
    }
    removed
}

fn main() {
    let contexts = contexts(KEYS);
    measure("on for everybody", json!({"enabled": true}), &contexts);
    measure("killed", json!({"enabled": true, "kill_switch": true}), &contexts);
    measure("a share of 50 percent (bar: at most 1 us)", json!({"enabled": true, "rollout_percent": "50"}), &contexts);
    let typed = json!({
        "enabled": true, "rollout_percent": "50", "variants": {"a": "A", "b": "B", "c": "C"}, "default_variant": "a",
        "split": {"a": 1, "b": 2, "c": 3}, "targets": [{"keys": ["user-0", "user-1"], "variant": "c"}],
    });
    measure("targets, a share and a split (two draws)", typed, &contexts);
    let file = file(json!({"enabled": true}));
    let began = Instant::now();
    let said: usize =
        contexts.iter().take(1_000).map(|context| evaluate_all(&file, ServiceLevel::Kept, context).count()).sum();
    println!("all {} flags of a tenant: {:.1} us", said / 1_000, began.elapsed().as_secs_f64() * 1e6 / 1_000.0);
    let began = Instant::now();
    let removed = removed();
    println!(
        "{MILLION} keys at 1 to 100 percent: {removed} were in at one and out at a higher one ({:.0} s)",
        began.elapsed().as_secs_f64()
    );
    assert_eq!(removed, 0);
}
