//! Feature flags through the door: OpenFeature's protocol to the letter, a kill switch that needs no restart, and flags of
//! one tenant that depend on nothing of another's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};

mod support;
use support::{House, house, until};

const TENANT: &str = "default";
const FLAGS: &str = "/ofrep/v1/evaluate/flags";

const FEATURES: &str = "\
features:
  plain: {enabled: true, description: for everybody}
  off: {enabled: false, experimental: true}
  half: {enabled: true, rollout_percent: 50}
  answer_style:
    enabled: true
    variants: {brief: short words, thorough: every detail}
    default_variant: brief
    split: {brief: 1, thorough: 1}
    targets:
      - {attribute: plan, values: [free], variant: brief}
      - {keys: [reviewer], variant: thorough}
  limits:
    enabled: true
    variants: {small: {passages: 4, factor: 1.5}, large: {passages: 16, factor: 2.0}}
    default_variant: small
";

fn write(house: &House, tenant: &str, features: &str) {
    std::fs::write(house.tenants.join(tenant).join("features.yaml"), format!("tenant_id: {tenant}\n{features}"))
        .unwrap();
}

async fn ask(house: &House, key: &str, flag: &str, context: Value) -> (u16, Value) {
    house.call(Method::POST, &format!("{FLAGS}/{flag}"), key, Some(json!({ "context": context }))).await
}

/// Waits until a flag of the file that was written is there.
async fn in_force(house: &House, key: &str, flag: &str) {
    until("the flags are in force", async || {
        (ask(house, key, flag, json!({"targetingKey": "x"})).await.0 == 200).then_some(())
    })
    .await;
}

/// Status, headers and bytes of all flags.
async fn all(house: &House, key: &str, headers: &[(&str, &str)], context: Value) -> (u16, String, Vec<u8>) {
    let answer = house.raw(Method::POST, FLAGS, key, headers, Some(json!({ "context": context }))).await;
    let (status, tag) = (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap().to_owned());
    (status, tag, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn one_flag_is_told_as_openfeature_says_it() {
    let (_folder, house) = house();
    write(&house, TENANT, FEATURES);
    let key = house.key(TENANT, "viewer").await;
    in_force(&house, &key, "limits").await;
    let plain = json!({"key": "plain", "value": true, "reason": "STATIC", "variant": "on", "metadata": {"experimental": false}});
    for context in [json!({}), json!(null), json!({"targetingKey": "x", "plan": 7})] {
        assert_eq!(ask(&house, &key, "plain", context).await, (200, plain.clone()));
    }
    assert_eq!(house.call(Method::POST, &format!("{FLAGS}/plain"), &key, None).await, (200, plain), "no body at all");
    let off = json!({
        "key": "off", "value": false, "reason": "DISABLED", "variant": "off",
        "metadata": {"experimental": true, "switched_off_by": "file"},
    });
    assert_eq!(ask(&house, &key, "off", json!({})).await, (200, off));
    for (context, value, reason) in [
        (json!({"plan": "free"}), "short words", "TARGETING_MATCH"),
        (json!({"targetingKey": "reviewer"}), "every detail", "TARGETING_MATCH"),
    ] {
        let (status, said) = ask(&house, &key, "answer_style", context).await;
        assert_eq!((status, &said["value"], &said["reason"]), (200, &json!(value), &json!(reason)), "{said}");
    }
    let (_, split) = ask(&house, &key, "answer_style", json!({"targetingKey": "user-1"})).await;
    assert_eq!(split["reason"], "SPLIT");
    let (_, limits) = ask(&house, &key, "limits", json!({})).await;
    assert_eq!(limits["value"].to_string(), r#"{"passages":4,"factor":1.5}"#);

    let general = |code: &str| json!({"key": "half", "errorCode": "GENERAL", "code": code});
    let missing = json!({"key": "half", "errorCode": "TARGETING_KEY_MISSING", "code": "invalid_request"});
    let wrong = json!({"key": "half", "errorCode": "INVALID_CONTEXT", "code": "invalid_request"});
    let cases = [
        (400, "half", json!({"context": {}}), missing.clone()),
        (400, "half", json!({"context": {"targetingKey": ""}}), missing.clone()),
        (400, "half", json!({}), missing),
        (400, "half", json!({"context": {"targetingKey": 7}}), wrong.clone()),
        (400, "half", json!({"context": "me"}), wrong),
        (400, "half", json!([]), json!({"key": "half", "errorCode": "PARSE_ERROR", "code": "invalid_request"})),
        (404, "no%20such", json!({}), json!({"key": "no such", "errorCode": "FLAG_NOT_FOUND", "code": "not_found"})),
        (413, "half", json!({"context": {"a": "x".repeat(65 << 10)}}), general("too_large")),
    ];
    for (status, flag, body, expected) in cases {
        let (seen, mut problem) = house.call(Method::POST, &format!("{FLAGS}/{flag}"), &key, Some(body.clone())).await;
        let details = problem.as_object_mut().unwrap().remove("errorDetails");
        assert_eq!((seen, &problem), (status, &expected), "{flag}");
        assert!(details.is_some_and(|details| details.as_str().is_some_and(|words| words.len() > 10)));
    }
    let broken = house.http.post(format!("{}{FLAGS}/half", house.url)).bearer_auth(&key).body("{\"context\":").send();
    let broken: Value = broken.await.unwrap().json().await.unwrap();
    assert_eq!(broken["errorCode"], "PARSE_ERROR");
    let (status, stranger) = ask(&house, "bwk_wrong_wrong", "half", json!({})).await;
    assert_eq!(
        (status, &stranger["errorCode"], &stranger["code"]),
        (401, &json!("GENERAL"), &json!("unauthenticated"))
    );
    let (status, got) = house.call(Method::GET, &format!("{FLAGS}/half"), &key, None).await;
    assert_eq!((status, &got["errorCode"]), (405, &json!("GENERAL")));
    assert_eq!(
        house.call(Method::POST, "/admin/v1/tenants/default/suspend", &house.operator_key(), Some(json!({}))).await.0,
        200
    );
    let (status, closed) = ask(&house, &key, "plain", json!({})).await;
    assert_eq!((status, &closed["code"]), (403, &json!("tenant_suspended")));
}

#[tokio::test]
async fn all_flags_are_told_once_and_again_only_where_they_differ() {
    let (_folder, house) = house();
    write(&house, TENANT, FEATURES);
    let key = house.key(TENANT, "operator").await;
    in_force(&house, &key, "limits").await;
    let (status, tag, bytes) = all(&house, &key, &[], json!({"targetingKey": "user-1"})).await;
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let flags = body["flags"].as_array().unwrap();
    let names: Vec<_> = flags.iter().map(|flag| flag["key"].as_str().unwrap()).collect();
    assert_eq!((status, names), (200, vec!["answer_style", "half", "limits", "off", "plain"]), "{body}");
    for flag in flags {
        let name = flag["key"].as_str().unwrap();
        let (_, alone) = ask(&house, &key, name, json!({"targetingKey": "user-1"})).await;
        assert_eq!(&alone, flag, "one alone says what it says among all");
    }
    // a flag that needs a key says so; the others are told all the same
    let (status, other_tag, bytes) = all(&house, &key, &[], json!({})).await;
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (status, &body["flags"][1]["errorCode"], &body["flags"][4]["value"]),
        (200, &json!("TARGETING_KEY_MISSING"), &json!(true))
    );
    assert_ne!(tag, other_tag);

    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let (status, again, bytes) =
            all(&house, &key, &[("if-none-match", &known)], json!({"targetingKey": "user-1"})).await;
        assert_eq!((status, &again, bytes.len()), (304, &tag, 0), "{known}");
    }
    // what another context is told is not what the first one was told, whatever the files say
    let (status, ..) = all(&house, &key, &[("if-none-match", &tag)], json!({})).await;
    assert_eq!(status, 200);
    write(&house, TENANT, &FEATURES.replace("plain: {enabled: true", "plain: {enabled: false"));
    until("the change is in force", async || {
        let (status, ..) = all(&house, &key, &[("if-none-match", &tag)], json!({"targetingKey": "user-1"})).await;
        (status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_kill_switch_needs_no_restart_and_a_broken_file_keeps_it() {
    let (_folder, house) = house();
    write(&house, TENANT, FEATURES);
    let key = house.key(TENANT, "owner").await;
    in_force(&house, &key, "limits").await;
    let context = json!({"targetingKey": "reviewer"});
    let (_, before) = ask(&house, &key, "answer_style", context.clone()).await;
    assert_eq!(before["value"], "every detail");
    let killed =
        FEATURES.replace("answer_style:\n    enabled: true", "answer_style:\n    enabled: true\n    kill_switch: true");
    write(&house, TENANT, &killed);
    let off = json!({
        "key": "answer_style", "value": "short words", "reason": "DISABLED", "variant": "brief",
        "metadata": {"experimental": false, "switched_off_by": "kill_switch"},
    });
    until("the flag is off", async || {
        (ask(&house, &key, "answer_style", context.clone()).await.1 == off).then_some(())
    })
    .await;
    let (_, view) = house.call(Method::GET, "/admin/v1/tenants/default/flags", &key, None).await;
    assert_eq!(view["features"]["answer_style"]["switched_off_by"], "kill_switch", "{view}");
    assert_eq!(view["features"]["off"]["switched_off_by"], "file");
    assert_eq!(
        (&view["features"]["half"]["switched_off_by"], &view["features"]["half"]["rollout_percent"]),
        (&json!(null), &json!("50"))
    );
    assert_eq!(view["service_level"], json!({"state": "kept", "windows_against": 0, "windows_needed": 3}));

    write(&house, TENANT, &killed.replace("rollout_percent: 50", "rollout_percent: 50.0001"));
    let reason = until("the broken file is noticed", async || {
        let (_, view) = house.call(Method::GET, "/admin/v1/tenants/default", &house.operator_key(), None).await;
        view["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("features.yaml:5:") && reason.contains("at most three digits after the point"), "{reason}");
    assert_eq!(ask(&house, &key, "answer_style", context).await.1, off);
}

#[tokio::test]
async fn flags_of_a_tenant_are_the_same_in_every_world_of_the_others() {
    let (_folder, house) = house();
    let (own, other) = (house.key(TENANT, "viewer").await, house.key("beta-inc", "viewer").await);
    write(&house, TENANT, FEATURES);
    in_force(&house, &own, "limits").await;
    let seen = async || {
        let mut seen = Vec::new();
        for number in 0..50 {
            seen.push(all(&house, &own, &[], json!({"targetingKey": format!("user-{number}")})).await);
        }
        seen
    };
    let before = seen().await;
    let worlds = [
        FEATURES.to_owned(),
        FEATURES.replace("enabled: true", "enabled: false"),
        FEATURES.replace("rollout_percent: 50", "rollout_percent: 0.001, seed: other"),
        "features: {half: {enabled: true, kill_switch: true}}\n".to_owned(),
        "features: [".to_owned(),
    ];
    for (number, world) in worlds.iter().enumerate() {
        write(&house, "beta-inc", world);
        until("the other world is there", async || {
            let (_, view) = house.call(Method::GET, "/admin/v1/tenants/beta-inc", &house.operator_key(), None).await;
            let is_broken = view["reason"].is_string();
            let (_, half) = ask(&house, &other, "half", json!({"targetingKey": "user-1"})).await;
            let is_there = match number {
                0 => half["reason"] == "SPLIT",
                1 => half["metadata"]["switched_off_by"] == "file",
                2 => half["value"] == false && half["reason"] == "SPLIT",
                3 => half["metadata"]["switched_off_by"] == "kill_switch",
                _ => is_broken,
            };
            is_there.then_some(())
        })
        .await;
        assert_eq!(seen().await, before, "world {number}");
    }
}
