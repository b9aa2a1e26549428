//! Metrics of the real binary: an auditor's own, a bounded number of tenants, and that the dashboard and the alert rules this
//! program writes ask for nothing it does not expose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

mod support;
use support::collector::Keeper;
use support::till::house_paying;
use support::{Ended, House, copy_tenants, house, until};

const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";

async fn ask(house: &House, key: &str) {
    let (status, answer) = house.call(Method::POST, "/v1/ask", key, Some(json!({"question": QUESTION}))).await;
    assert_eq!(status, 200, "{answer}");
}

async fn text(house: &House, path: &str, key: &str) -> (u16, String) {
    let answer = house.raw(Method::GET, path, key, &[], None).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Names of the metrics that are exposed, with how each is counted.
fn exposed(metrics: &str) -> BTreeMap<&str, &str> {
    metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// The names of metrics an expression asks for.
fn asked_for(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("bailiwick_")).collect()
}

fn written(what: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick")).args(["observability", what]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything under a name, at any depth.
fn under<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(field, value)| {
            if field == name {
                found.extend(value.as_str());
            }
            under(value, name, found);
        }),
        Value::Array(values) => values.iter().for_each(|value| under(value, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_what_is_exposed_and_for_nothing_else() {
    let model = Keeper::model("Every employee has thirty days of paid leave [1].").await;
    let (_folder, house) = house_paying(model.port, "  daily_limit_usd: 100.0\n  monthly_limit_usd: 1000.0\n");
    let key = house.key("default", "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    ask(&house, &key).await;
    let operator = house.operator_key();
    let metrics = until("an answer is counted", async || {
        let (_, metrics) = text(&house, "/metrics", &operator).await;
        exposed(&metrics).contains_key("bailiwick_answer_seconds").then_some(metrics)
    })
    .await;
    let exposed = exposed(&metrics);
    let dashboard: Value = serde_json::from_str(&written("dashboard")).unwrap();
    let mut expressions = Vec::new();
    under(&dashboard, "expr", &mut expressions);
    under(&dashboard, "definition", &mut expressions);
    let alerts = written("alerts");
    expressions.extend(alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")));
    assert!(expressions.len() > 35, "{}", expressions.len());
    for expression in expressions {
        let names = asked_for(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let (family, kind) = family.map_or((name, None), |family| (family, Some("histogram")));
            let found = exposed.get(family);
            let found = found.unwrap_or_else(|| panic!("{name} is not exposed; asked for by {expression}"));
            assert!(kind.is_none_or(|kind| kind == *found), "{name} is a {found}");
        }
    }
    // the binary's answer is what the catalogue says, and the catalogue is all there is
    let catalogue: BTreeMap<_, _> = bailiwick_control::observability::catalogue::METRICS
        .iter()
        .map(|metric| (metric.name, format!("{:?}", metric.kind).to_lowercase()))
        .collect();
    for (name, kind) in &exposed {
        assert_eq!(catalogue.get(name).map(String::as_str), Some(*kind), "{name}");
    }
    let unexposed: Vec<_> = catalogue.keys().filter(|name| !exposed.contains_key(*name)).collect();
    assert!(unexposed.is_empty(), "the catalogue names what nobody exposes: {unexposed:?}");
}

#[tokio::test]
async fn an_auditor_sees_its_own_tenants_figures_and_nobody_elses() {
    let (_folder, house) = house();
    let mut labels = BTreeSet::new();
    for tenant in ["default", "acme-corp"] {
        let owner = house.key(tenant, "owner").await;
        house.teach(&owner, "leave", "Leave", LEAVE).await;
        ask(&house, &owner).await;
        let path = format!("/admin/v1/tenants/{tenant}/metrics");
        for role in ["auditor", "admin"] {
            let key = house.key(tenant, role).await;
            let own = until("its answer is counted", async || {
                let (status, own) = text(&house, &path, &key).await;
                assert_eq!(status, 200, "{role}: {own}");
                own.contains("bailiwick_answer_seconds_count").then_some(own)
            })
            .await;
            let series: Vec<_> = own.lines().filter(|line| !line.starts_with('#')).collect();
            let label = series[0].split("tenant=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            assert!(series.iter().all(|line| line.contains(&format!("tenant=\"{label}\""))), "{own}");
            assert!(
                own.contains("bailiwick_overhead_seconds_bucket") && !own.contains("bailiwick_knocks_refused_total")
            );
            labels.insert(label);
            // a neighbour's and nobody's are one answer
            let (other, absent) = if tenant == "default" { ("acme-corp", "acme-carp") } else { ("default", "defunct") };
            let ask_for = |name: &str| format!("/admin/v1/tenants/{name}/metrics");
            let headers = [("x-request-id", "same")];
            let foreign = house.raw(Method::GET, &ask_for(other), &key, &headers, None).await;
            let nobodys = house.raw(Method::GET, &ask_for(absent), &key, &headers, None).await;
            assert_eq!((foreign.status().as_u16(), nobodys.status().as_u16()), (404, 404));
            assert_eq!(foreign.text().await.unwrap(), nobodys.text().await.unwrap());
        }
        let viewer = house.key(tenant, "viewer").await;
        assert_eq!(text(&house, &path, &viewer).await.0, 403);
        // the fleet's stay the operator's
        let auditor = house.key(tenant, "auditor").await;
        let (_, fleet) = text(&house, "/metrics", &auditor).await;
        assert!(!fleet.contains("bailiwick_answers_total"), "{fleet}");
    }
    assert_eq!(labels.len(), 2, "one label a tenant");
}

#[tokio::test]
async fn a_node_keeps_as_many_tenants_apart_as_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    copy_tenants(folder.path());
    let house = Ended(Some(House::start_on(folder.path(), Some("[observability]\ntenants_max = 1\n"))));
    for tenant in ["default", "acme-corp", "beta-inc"] {
        let owner = house.key(tenant, "owner").await;
        house.teach(&owner, "leave", "Leave", LEAVE).await;
        ask(&house, &owner).await;
    }
    let operator = house.operator_key();
    let answers = until("three answers are counted", async || {
        let (_, metrics) = text(&house, "/metrics", &operator).await;
        let is_answer = |line: &&str| line.starts_with("bailiwick_answers_total{") && line.contains("kind=\"ask\"");
        let answers: Vec<String> = metrics.lines().filter(is_answer).map(str::to_owned).collect();
        let sum: u32 = answers.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
        (sum == 3).then_some(answers)
    })
    .await;
    assert_eq!(answers.len(), 2, "one tenant, and the others together: {answers:?}");
    assert!(answers.iter().any(|line| line.contains("tenant=\"other\"") && line.ends_with(" 2")), "{answers:?}");
}
