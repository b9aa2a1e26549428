use crate::gateway::errors::{Dialect, Failure, PROBLEM_JSON};
use actix_web::body::to_bytes;
use actix_web::http::StatusCode;
use bailiwick_kernel::outcome::{Code, Rejection};
use serde_json::{Value, json};

const ALL: [(Code, u16); 18] = [
    (Code::Unauthenticated, 401),
    (Code::Forbidden, 403),
    (Code::NotFound, 404),
    (Code::BudgetExceeded, 429),
    (Code::RateLimited, 429),
    (Code::Overloaded, 503),
    (Code::PolicyDenied, 403),
    (Code::SovereigntyViolation, 403),
    (Code::RetentionViolation, 409),
    (Code::QuotaExceeded, 429),
    (Code::InvalidRequest, 400),
    (Code::TooLarge, 413),
    (Code::UpstreamFailed, 502),
    (Code::TenantSuspended, 403),
    (Code::Lost, 503),
    (Code::Conflict, 409),
    (Code::Internal, 500),
    (Code::TenantSealed, 403),
];

async fn body(failure: &Failure, dialect: Dialect) -> Value {
    serde_json::from_slice(&to_bytes(failure.render(dialect, "r1").into_body()).await.unwrap()).unwrap()
}

#[actix_web::test]
async fn every_code_has_its_status_and_both_bodies() {
    for (code, status) in ALL {
        let failure = Failure::new(code, "doing a thing: it is wrong; do another");
        assert_eq!(failure.status().as_u16(), status, "{code:?}");
        let native = body(&failure, Dialect::Native).await;
        assert_eq!(native["status"], status);
        assert_eq!(native["code"], code.as_str());
        assert_eq!(native["request_id"], "r1");
        assert_eq!(native["type"], format!("urn:bailiwick:problem:{}", code.as_str()));
        assert!(native["title"].as_str().is_some_and(|title| !title.is_empty()));
        let openai = body(&failure, Dialect::OpenAi).await;
        assert_eq!(openai["error"]["code"], code.as_str());
        assert_eq!(openai["error"]["param"], Value::Null);
        assert!(openai["error"]["type"].is_string() && openai["error"]["message"].is_string());
        assert_eq!(openai.as_object().unwrap().len(), 1);
        let flag = body(&failure, Dialect::OpenFeature).await;
        let general =
            json!({"errorCode": "GENERAL", "errorDetails": openai["error"]["message"], "code": code.as_str()});
        assert_eq!(flag, general, "{code:?}");
    }
}

#[actix_web::test]
async fn what_failed_inside_is_never_told() {
    let failure = Failure::new(Code::Internal, "sled: /var/secret/path is broken");
    for dialect in [Dialect::Native, Dialect::OpenAi, Dialect::OpenFeature] {
        assert!(!body(&failure, dialect).await.to_string().contains("secret"));
    }
    assert!(!failure.to_string().contains("secret"));
}

#[test]
fn retry_after_is_in_whole_seconds_rounded_up_and_only_where_it_helps() {
    let header = |rejection: Rejection| {
        let response = Failure::from(rejection).render(Dialect::Native, "r");
        response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(Rejection::retry_after(Code::RateLimited, "x", 1)).as_deref(), Some("1"));
    assert_eq!(header(Rejection::retry_after(Code::RateLimited, "x", 1_001)).as_deref(), Some("2"));
    assert_eq!(header(Rejection::new(Code::Overloaded, "x")).as_deref(), Some("1"));
    assert_eq!(header(Rejection::lost()).as_deref(), Some("1"));
    assert_eq!(header(Rejection::new(Code::BudgetExceeded, "x")), None);
    assert_eq!(header(Rejection::retry_after(Code::BudgetExceeded, "x", 60_000)).as_deref(), Some("60"));
    assert_eq!(header(Rejection::retry_after(Code::Conflict, "x", 60_000)), None, "409 has none");
}

#[test]
fn clients_are_told_not_to_repeat_what_money_forbids() {
    let spent = Failure::new(Code::BudgetExceeded, "x").render(Dialect::OpenAi, "r");
    assert_eq!(spent.headers().get("x-should-retry").unwrap(), "false");
    let burst = Failure::new(Code::RateLimited, "x").render(Dialect::OpenAi, "r");
    assert!(burst.headers().get("x-should-retry").is_none());
}

#[test]
fn a_finer_status_keeps_the_code_and_names_the_field() {
    let failure = Failure::invalid("x").with_status(StatusCode::UNPROCESSABLE_ENTITY).with_param("model");
    assert_eq!((failure.status().as_u16(), failure.code()), (422, Code::InvalidRequest));
    assert_eq!(serde_json::to_value(failure.openai_body()).unwrap()["error"]["param"], "model");
    let response = failure.render(Dialect::Native, "r");
    assert_eq!(response.headers().get("content-type").unwrap(), PROBLEM_JSON);
}

#[test]
fn dialects_follow_the_path() {
    for path in ["/v1/chat/completions", "/v1/embeddings", "/v1/models", "/v1/models/x"] {
        assert_eq!(Dialect::of_path(path), Dialect::OpenAi, "{path}");
    }
    for path in ["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/f", "/ofrep/v1/configuration"] {
        assert_eq!(Dialect::of_path(path), Dialect::OpenFeature, "{path}");
    }
    for path in ["/v1/ask", "/ofrep", "/v1/modelsx", "/admin/v1/tenants", "/", "/v1", "/v1/documents/chat"] {
        assert_eq!(Dialect::of_path(path), Dialect::Native, "{path}");
    }
}

#[test]
fn an_unknown_and_a_foreign_thing_differ_in_nothing_but_the_request_id() {
    let problem = |id: &str| {
        let failure = Failure::new(Code::NotFound, "there is no such document");
        let mut value = serde_json::to_value(failure.problem(id)).unwrap();
        value["request_id"] = json!("");
        value.to_string()
    };
    assert_eq!(problem("a"), problem("b"));
}
