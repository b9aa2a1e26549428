//! Compliance and drift through the real binary: what auditors are told, what the week keeps, and what a restart changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

mod support;
use support::{Ended, House, house, until};

const TENANT: &str = "acme-corp";

async fn get(house: &House, path: &str, key: &str) -> Value {
    let (status, body) = house.call(Method::GET, path, key, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn bytes(house: &House, path: &str, key: &str) -> Vec<u8> {
    let answer = house.raw(Method::GET, path, key, &[], None).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

fn control<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["controls"].as_array().unwrap().iter().find(|control| control["id"] == id).unwrap()
}

/// The week's report, once the node has made it by itself.
async fn week(house: &House, key: &str) -> Value {
    until("the week is reported", async || {
        let list = get(house, &format!("/admin/v1/tenants/{TENANT}/reports"), key).await;
        list["weeks"].as_array().unwrap().first().cloned()
    })
    .await
}

#[tokio::test]
async fn an_auditor_is_told_which_safeguards_hold_and_on_what_that_rests() {
    let (_folder, house) = house();
    let auditor = house.key(TENANT, "auditor").await;
    let path = format!("/admin/v1/tenants/{TENANT}/reports/compliance");
    let report = get(&house, &path, &auditor).await;
    let named: Vec<_> = report["frameworks"].as_array().unwrap().iter().map(|one| one["framework"].clone()).collect();
    assert_eq!(named, ["HIPAA", "SOC2", "ISO27001"]);
    assert_eq!((&report["format"], &report["tenant"]), (&json!("bailiwick-compliance-1"), &json!(TENANT)));
    for (id, outcome) in [("CRY-1", "passed"), ("AUD-1", "passed"), ("AUD-2", "passed"), ("CHG-1", "passed")] {
        assert_eq!(control(&report, id)["outcome"], outcome, "{}", control(&report, id));
    }
    // what nobody has told counts as failed, and says so
    let backups = control(&report, "OPS-1");
    assert_eq!((&backups["outcome"], &backups["why"]), (&json!("unknown"), &json!("nobody has told backup.made")));
    assert_eq!(control(&report, "CRY-4")["why"], "plain HTTP is spoken, and TLS-1.3 is asked for");
    let [passed, weight] = ["weight_passed", "weight"].map(|of| report[of].as_u64().unwrap());
    assert_eq!(report["score_ppm"], passed * 1_000_000 / weight);
    let evidence = &control(&report, "AUD-1")["evidence"][0];
    assert!(evidence["is_fresh"] == true && evidence["source"] == "supervisor", "{evidence}");
    let checkpoint = &report["checkpoint"];
    assert!(checkpoint["note"].as_str().unwrap().contains(&format!("\n{}\n", checkpoint["size"])), "{checkpoint}");

    let file = bytes(&house, &format!("{path}?format=pdf"), &auditor).await;
    assert!(file.starts_with(b"%PDF-") && file.ends_with(b"%%EOF"));
    // a viewer sees figures, not evidence; another tenant's auditor sees nothing that tells it apart from an absent tenant
    let viewer = house.key(TENANT, "viewer").await;
    assert_eq!(house.call(Method::GET, &path, &viewer, None).await.0, 403);
    let other = house.key("beta-inc", "auditor").await;
    let absent = house.call(Method::GET, "/admin/v1/tenants/nobody/reports/compliance", &other, None).await;
    let foreign = house.call(Method::GET, &path, &other, None).await;
    assert_eq!((foreign.0, &foreign.1["detail"]), (absent.0, &absent.1["detail"]));
    assert_eq!(foreign.0, 404);
    for (query, status) in [("?week=2026-48", 400), ("?week=1999-W01", 404), ("?format=docx", 400)] {
        assert_eq!(house.call(Method::GET, &format!("{path}{query}"), &auditor, None).await.0, status, "{query}");
    }
}

#[tokio::test]
async fn a_week_is_reported_once_and_told_in_the_same_bytes_after_a_restart() {
    let (folder, mut house) = house();
    let auditor = house.key(TENANT, "auditor").await;
    let kept = week(&house, &auditor).await;
    let path = format!("/admin/v1/tenants/{TENANT}/reports/compliance?week={}", kept["week"].as_str().unwrap());
    let (first, text) =
        (bytes(&house, &format!("{path}&format=pdf"), &auditor).await, bytes(&house, &path, &auditor).await);
    assert_eq!(first, bytes(&house, &format!("{path}&format=pdf"), &auditor).await, "the same report, the same file");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    assert_eq!(kept["sha256"], hex::encode(digest), "the control journal commits to it");
    // the fleet's list has every tenant, for the operator alone
    let fleet = get(&house, "/admin/v1/reports", &house.operator_key()).await;
    let names: Vec<_> = fleet["tenants"].as_array().unwrap().iter().map(|one| one["tenant"].clone()).collect();
    assert_eq!(names, ["acme-corp", "beta-inc", "default"]);
    assert_eq!(house.call(Method::GET, "/admin/v1/reports", &auditor, None).await.0, 403);

    house.0.take().unwrap().kill();
    let house = Ended(Some(House::start_on(folder.path(), None)));
    assert_eq!(first, bytes(&house, &format!("{path}&format=pdf"), &auditor).await, "after kill -9");
    let live = get(&house, &format!("/admin/v1/tenants/{TENANT}/reports/compliance"), &auditor).await;
    assert_eq!(control(&live, "AUD-4")["outcome"], "passed", "{}", control(&live, "AUD-4"));
    assert_eq!(live["history"], json!([kept]));
}

#[tokio::test]
async fn the_drift_map_has_the_specifications_shape() {
    let (_folder, house) = house();
    let operator = house.operator_key();
    let map = get(&house, "/admin/v1/reports/tenant-drift-map.json", &operator).await;
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&map), ["generated_at", "tenants", "conflicts"]);
    assert_eq!(keys(&map["tenants"]), ["acme-corp", "beta-inc", "default"]);
    for (name, tenant) in map["tenants"].as_object().unwrap() {
        assert_eq!(keys(tenant), ["drift_score", "avg_trust", "policy_changes_7d", "quality_trend"]);
        assert_eq!((&tenant["drift_score"], &tenant["quality_trend"]), (&json!(0.0), &json!("unknown")), "{name}");
        assert_eq!(tenant["policy_changes_7d"], 1);
    }
    let auditor = house.key(TENANT, "auditor").await;
    let own = get(&house, &format!("/admin/v1/tenants/{TENANT}/drift"), &auditor).await;
    assert!(own["p_value"].is_null() && own["level"] == 0.005, "{own}");
    assert_eq!(house.call(Method::GET, "/admin/v1/drift", &auditor, None).await.0, 403);
    assert_eq!(get(&house, "/admin/v1/drift", &operator).await["tenants"], map["tenants"]);
}

#[tokio::test]
async fn the_command_line_writes_reports() {
    let (folder, house) = house();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command.arg("report").args(args).args(["--server", &house.url, "--data"]).arg(&house.data);
        command.output().unwrap()
    };
    let file = folder.path().join("report.pdf");
    let written = run(&["compliance", "--tenant", TENANT, "--out", file.to_str().unwrap()]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    assert!(std::fs::read(&file).unwrap().starts_with(b"%PDF-"));
    for (args, field) in [
        (&["compliance", "--tenant", TENANT][..], "score_ppm"),
        (&["drift"][..], "generated_at"),
        (&["drift", "--tenant", TENANT][..], "drift_score"),
        (&["slo", "--tenant", TENANT][..], "objectives"),
    ] {
        let told = run(args);
        assert!(told.status.success(), "{args:?}: {}", String::from_utf8_lossy(&told.stderr));
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert!(told.get(field).is_some(), "{args:?}: {told}");
    }
    // offline, from the file and a key alone
    let json = folder.path().join("report.json");
    assert!(run(&["compliance", "--tenant", TENANT, "--out", json.to_str().unwrap()]).status.success());
    let verify = |key: &str| {
        let verify = ["verify", json.to_str().unwrap(), "--verifier-key", key];
        Command::new(env!("CARGO_BIN_EXE_bailiwick")).args(verify).output().unwrap()
    };
    let text = std::fs::read_to_string(&json).unwrap();
    let key = serde_json::from_str::<Value>(&text).unwrap()["checkpoint"]["verifier_key"].as_str().unwrap().to_owned();
    let told = verify(&key);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(String::from_utf8_lossy(&told.stdout).contains("says what its evidence says"));
    std::fs::write(&json, text.replacen("\"outcome\":\"failed\"", "\"outcome\":\"passed\"", 1)).unwrap();
    assert!(!verify(&key).status.success(), "a control that has passed against its evidence");
    let nameless = run(&["lineage"]);
    assert!(!nameless.status.success() && String::from_utf8_lossy(&nameless.stderr).contains("name a tenant"));
}
