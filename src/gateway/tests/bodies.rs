use crate::gateway::ask::AskBody;
use crate::gateway::feedback::FeedbackBody;
use crate::gateway::search::SearchBody;
use crate::gateway::traced::CallersTrace;
use crate::gateway::{body, knock, reply};
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use actix_web::{FromRequest, web};
use bailiwick_kernel::limits::{FEEDBACK_CHARS_MAX, QUESTION_CHARS_MAX, TOP_K_MAX};
use bailiwick_kernel::outcome::Code;
use secrecy::ExposeSecret;
use std::time::Duration;

fn asked(text: &str) -> Result<AskBody, (Code, String)> {
    let body: AskBody = body::parse(text.as_bytes()).map_err(|failure| (failure.code(), failure.to_string()))?;
    body.clone().question().map_err(|failure| (failure.code(), failure.to_string()))?;
    Ok(body)
}

#[test]
fn good_questions_pass() {
    let full = asked(r#"{"question":" What? ","domain":"hr","usecase":"qa","top_k":3,"stream":true}"#).unwrap();
    assert_eq!(full.clone().question().unwrap().text, "What?");
    assert_eq!(full.stream, Some(true));
    assert!(asked(r#"{"question":"x","domain":null,"top_k":null,"stream":null}"#).is_ok());
    let longest = "ü".repeat(QUESTION_CHARS_MAX);
    assert!(asked(&format!(r#"{{"question":"{longest}"}}"#)).is_ok());
}

#[test]
fn bad_questions_get_a_code_and_words() {
    let long = format!(r#"{{"question":"{}"}}"#, "ü".repeat(QUESTION_CHARS_MAX + 1));
    let many = format!(r#"{{"question":"x","top_k":{}}}"#, TOP_K_MAX + 1);
    let table: &[(&str, Code, &str)] = &[
        ("", Code::InvalidRequest, "empty"),
        ("  ", Code::InvalidRequest, "empty"),
        ("{", Code::InvalidRequest, "EOF"),
        ("[\"x\"]", Code::InvalidRequest, "JSON object"),
        ("\"x\"", Code::InvalidRequest, "JSON object"),
        ("{}", Code::InvalidRequest, "missing field `question`"),
        (r#"{"question":""}"#, Code::InvalidRequest, "empty"),
        (r#"{"question":" \n "}"#, Code::InvalidRequest, "empty"),
        (r#"{"question":"a\u0000b"}"#, Code::InvalidRequest, "NUL"),
        (r#"{"question":7}"#, Code::InvalidRequest, "invalid type"),
        (r#"{"question":"x","question":"y"}"#, Code::InvalidRequest, "duplicate field"),
        (r#"{"question":"x","top_k":0}"#, Code::InvalidRequest, "top_k"),
        (r#"{"question":"x","top_k":-1}"#, Code::InvalidRequest, "invalid value"),
        (r#"{"question":"x","top_k":"3"}"#, Code::InvalidRequest, "invalid type"),
        (r#"{"questoin":"x"}"#, Code::InvalidRequest, "did you mean `question`?"),
        (r#"{"question":"x","tenant":"acme"}"#, Code::InvalidRequest, "unknown field `tenant`"),
        (r#"{"question":"x"} y"#, Code::InvalidRequest, "trailing"),
        (&many, Code::InvalidRequest, "top_k"),
        (&long, Code::TooLarge, "10000"),
    ];
    for (text, code, words) in table {
        let (found, detail) = asked(text).expect_err(text);
        assert_eq!(found, *code, "{text}");
        assert!(detail.contains(words), "{detail}");
    }
    let deep = format!(r#"{{"question":{}"#, "[".repeat(100_000));
    assert_eq!(asked(&deep).unwrap_err().0, Code::InvalidRequest);
}

#[test]
fn invalid_utf8_is_said_with_its_place() {
    let failure = body::parse::<AskBody>(b"{\"question\":\"\xff\"}").unwrap_err();
    assert!(failure.to_string().contains("UTF-8 after byte 13"), "{failure}");
}

#[test]
fn searches_and_feedback_are_bounded() {
    let search: SearchBody = body::parse(br#"{"query":"  leave ","top_k":2}"#).unwrap();
    assert_eq!(search.search().unwrap().query, "leave");
    let empty: SearchBody = body::parse(br#"{"query":""}"#).unwrap();
    assert_eq!(empty.search().unwrap_err().code(), Code::InvalidRequest);
    let wrong = body::parse::<FeedbackBody>(br#"{"query_id":"q","rating":"upp"}"#).unwrap_err();
    assert!(wrong.to_string().ends_with("did you mean `up`?"), "{wrong}");
    let long: FeedbackBody = body::parse(
        format!(r#"{{"query_id":"q","rating":"down","comment":"{}"}}"#, "x".repeat(FEEDBACK_CHARS_MAX + 1)).as_bytes(),
    )
    .unwrap();
    assert_eq!(long.checked().unwrap_err().code(), Code::TooLarge);
}

async fn read(request: TestRequest, bytes_max: usize) -> Result<usize, (u16, String)> {
    let (request, mut payload) = request.to_http_parts();
    let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
    let read = body::bytes(&request, payload, bytes_max, Duration::from_secs(5)).await;
    read.map(|bytes| bytes.len()).map_err(|failure| (failure.status().as_u16(), failure.to_string()))
}

#[actix_web::test]
async fn bodies_are_read_within_their_limit() {
    assert_eq!(read(TestRequest::post().set_payload("x".repeat(10)), 10).await, Ok(10));
    assert_eq!(read(TestRequest::post().set_payload(""), 10).await, Ok(0));
    assert_eq!(read(TestRequest::post().set_payload("x".repeat(11)), 10).await.unwrap_err().0, 413);
    let announced = TestRequest::post().insert_header(("content-length", "11"));
    assert_eq!(read(announced, 10).await.unwrap_err().0, 413, "refused before the first byte");
    let packed = TestRequest::post().insert_header(("content-encoding", "gzip")).set_payload("x");
    assert_eq!(read(packed, 10).await.unwrap_err().0, 415);
}

#[actix_web::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let request = TestRequest::post().to_http_request();
    let mut payload: actix_web::dev::Payload =
        actix_web::dev::Payload::Stream { payload: Box::pin(futures_util::stream::pending()) };
    let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
    let failure = body::bytes(&request, payload, 10, Duration::ZERO).await.unwrap_err();
    assert_eq!(failure.status().as_u16(), 408);
}

#[test]
fn claims_are_read_as_they_stand() {
    let claim =
        |name: &str, value: &str| knock::claim(&TestRequest::get().insert_header((name, value)).to_http_request());
    for value in ["Bearer bwk_a_b", "bearer  bwk_a_b", "BEARER bwk_a_b "] {
        let found = claim("authorization", value).credential.map(|key| key.expose_secret().to_owned());
        assert_eq!(found.as_deref(), Some("bwk_a_b"), "{value}");
    }
    for value in ["bwk_a_b", "Basic bwk_a_b", "Bearer", "Bearer  ", ""] {
        assert!(claim("authorization", value).credential.is_none(), "{value}");
    }
    assert_eq!(claim("x-bailiwick-tenant", "acme-corp").tenant.as_deref(), Some("acme-corp"));
    let browser = TestRequest::get()
        .insert_header(("sec-websocket-protocol", "bailiwick.v1, bailiwick-key.bwk_a_b"))
        .to_http_request();
    assert_eq!(knock::claim_session(&browser).credential.unwrap().expose_secret(), "bwk_a_b");
    assert!(knock::claim(&browser).credential.is_none(), "only the session takes a key from there");
    let named = TestRequest::get().insert_header(("x-bailiwick-tenant", "other")).to_http_request();
    assert_eq!(knock::claim_on(&named, "acme").tenant.as_deref(), Some("acme"), "the path wins over the header");
}

#[test]
fn idempotency_keys_are_visible_ascii() {
    let key = |value: &str| {
        let request = TestRequest::post().insert_header(("idempotency-key", value)).to_http_request();
        knock::idempotency_key(&request).map_err(|failure| failure.code())
    };
    assert_eq!(key("a-1"), Ok(Some("a-1".into())));
    for bad in ["", "a b", "ü", &"x".repeat(300)] {
        assert_eq!(key(bad), Err(Code::InvalidRequest), "{bad}");
    }
    assert!(matches!(knock::idempotency_key(&TestRequest::post().to_http_request()), Ok(None)));
}

#[test]
fn a_callers_trace_is_read_from_one_traceparent_and_any_number_of_tracestates() {
    let mut headers = HeaderMap::new();
    assert_eq!(CallersTrace::of(&headers), CallersTrace::default());
    let mut say = |name: &str, value: &str| headers.append(name.parse().unwrap(), value.parse().unwrap());
    say("traceparent", "one");
    say("tracestate", "a=1");
    say("tracestate", "b=2");
    let read = CallersTrace::of(&headers);
    assert_eq!((read.parent.as_deref(), read.state.as_deref()), (Some("one"), Some("a=1,b=2")));
    headers.append("traceparent".parse().unwrap(), "two".parse().unwrap());
    assert_eq!(CallersTrace::of(&headers).parent, None, "nobody knows which one is meant");
}

#[test]
fn milliseconds_have_three_digits() {
    assert_eq!([0, 7, 1_000, 12_345].map(reply::milliseconds), ["0.000", "0.007", "1.000", "12.345"]);
}
