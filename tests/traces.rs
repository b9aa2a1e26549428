//! Traces of the real binary, taken apart by a collector of the test's own: one tree a request, right parents, the stated
//! attributes, nothing of what anybody wrote; and a collector that is slow or gone keeps nobody waiting.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use futures_util::{SinkExt, StreamExt};
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

mod support;
use support::collector::{Keeper, attributes, named};
use support::{Ended, House, till, until};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";
const WORDS: &str = "Every employee has thirty days of paid leave [1].";
const BUDGET: &str = "  daily_limit_usd: 100.0\n  monthly_limit_usd: 1000.0\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A house whose tenant asks this model, and that sends traces to this port.
async fn house_traced(model: &Keeper, collector: u16, region: &str, more: &str) -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let config = till::furnish(folder.path(), model.port, BUDGET);
    let otel =
        format!("[otel]\nendpoint = \"http://127.0.0.1:{collector}\"\nregion = \"{region}\"\nevery_ms = 20\n{more}");
    let house = House::start_on(folder.path(), Some(&format!("{config}{otel}")));
    (folder, Ended(Some(house)))
}

async fn ask(house: &House, key: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    house.raw(Method::POST, "/v1/ask", key, headers, Some(json!({"question": QUESTION}))).await
}

/// Waits until the spans of one whole walk have come.
async fn spans_of(collector: &Keeper, trace: &str, root: &str) -> Vec<Span> {
    until("the spans of a request", async || {
        let spans: Vec<Span> =
            collector.spans().into_iter().filter(|span| hex::encode(&span.trace_id) == trace).collect();
        let has = |name: &str| spans.iter().any(|span| span.name == name);
        (has(root) && (has("exit") || has("admission"))).then_some(spans)
    })
    .await
}

/// One tree: one root, every parent there, no child before its parent, none behind it.
fn is_one_tree(spans: &[Span], above: &str) {
    let by_id: HashMap<&[u8], &Span> = spans.iter().map(|span| (&span.span_id[..], span)).collect();
    assert_eq!(by_id.len(), spans.len(), "every span has an id of its own");
    for span in spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
        let Some(parent) = by_id.get(&span.parent_span_id[..]) else {
            assert_eq!(hex::encode(&span.parent_span_id), above, "{} has no parent in the tree", span.name);
            continue;
        };
        assert!(
            parent.start_time_unix_nano <= span.start_time_unix_nano,
            "{} begins before {}",
            span.name,
            parent.name
        );
        assert!(span.end_time_unix_nano <= parent.end_time_unix_nano, "{} ends after {}", span.name, parent.name);
    }
    let roots = spans.iter().filter(|span| !by_id.contains_key(&span.parent_span_id[..])).count();
    assert_eq!(roots, 1, "one tree");
}

#[tokio::test]
async fn a_question_is_one_tree_from_the_caller_to_the_provider() {
    let (model, collector) = (Keeper::model(WORDS).await, Keeper::collector().await);
    let (_folder, house) = house_traced(&model, collector.port, "eu-west-1", "service_name = \"gateway-7\"\n").await;
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let answered = ask(&house, &key, &[("traceparent", CALLER), ("tracestate", "rojo=1, congo=2")]).await;
    let told = answered.headers()["traceresponse"].to_str().unwrap().to_owned();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01"), "{told}");
    assert_eq!(answered.json::<Value>().await.unwrap()["answer"], WORDS);

    let spans = spans_of(&collector, TRACE, "POST /v1/ask").await;
    is_one_tree(&spans, "b7ad6b7169203331");
    let root = named(&spans, "POST /v1/ask");
    assert_eq!(hex::encode(&root.span_id), told[36..52], "the caller is told the request's own span");
    let turn = named(&spans, "ask");
    assert_eq!(turn.parent_span_id, root.span_id);
    let stages = ["admission", "retrieval", "cache", "budget hold", "routing", "exit"];
    for (stage, next) in stages.iter().zip(stages.iter().skip(1)) {
        let (span, next) = (named(&spans, stage), named(&spans, next));
        assert_eq!(span.parent_span_id, turn.span_id, "{stage}");
        assert!(span.end_time_unix_nano <= next.start_time_unix_nano, "{stage} ends before {}", next.name);
    }
    let call = named(&spans, "chat fake-model");
    assert_eq!(call.parent_span_id, named(&spans, "routing").span_id);
    assert_eq!((root.kind, turn.kind, call.kind), (2, 1, 3), "server, internal, client");
    let said = attributes(call);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "fake-model"),
        ("gen_ai.response.model", "fake-model-2026"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.usage.input_tokens", "100"),
        ("gen_ai.usage.output_tokens", "10"),
    ] {
        assert_eq!(said.get(name).map(String::as_str), Some(value), "{name}: {said:?}");
    }
    let said = attributes(turn);
    assert_eq!(said["bailiwick.decision"], "answered");
    assert_eq!(said["bailiwick.settled.nano_usd"], "1900000", "100 tokens at 10 and 10 at 90 dollars a million");
    assert!(
        said["bailiwick.hold.nano_usd"].parse::<u64>().unwrap() > 1_900_000
            && !said["bailiwick.policy.version"].is_empty()
    );
    let said = attributes(root);
    assert_eq!((said["http.route"].as_str(), said["http.response.status_code"].as_str()), ("/v1/ask", "200"));
    assert!(spans.iter().all(|span| attributes(span)["tenant.id"] == said["tenant.id"]), "the tenant on every span");

    // the provider was handed the call's own place in the tree
    let asked = model.came();
    let handed = asked[0].header("traceparent").unwrap();
    assert_eq!(handed, format!("00-{TRACE}-{}-01", hex::encode(&call.span_id)));
    assert_eq!(asked[0].header("tracestate"), Some("rojo=1, congo=2"));

    // nothing anybody wrote is in what was sent
    let sent: Vec<u8> = collector.came().into_iter().flat_map(|came| came.body).collect();
    let sent = String::from_utf8_lossy(&sent).into_owned();
    assert!(sent.contains("gateway-7"));
    for secret in ["paid leave", "thirty days", "Leave", key.as_str(), TENANT] {
        assert!(!sent.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn refusals_are_traced_and_what_is_malformed_begins_anew() {
    let (model, collector) = (Keeper::model(WORDS).await, Keeper::collector().await);
    let (_folder, house) = house_traced(&model, collector.port, "eu-west-1", "").await;
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let broken = CALLER.to_uppercase();
    let answered = ask(&house, &key, &[("traceparent", &broken)]).await;
    let told = answered.headers()["traceresponse"].to_str().unwrap().to_owned();
    assert!(!told.contains(TRACE), "{told}");
    let spans = spans_of(&collector, &told[3..35], "POST /v1/ask").await;
    is_one_tree(&spans, "");

    // what no tenant was asked for is nobody's: nothing of it is told
    let stranger = ask(&house, "bw_nobody_secret", &[("traceparent", CALLER)]).await;
    assert_eq!(stranger.status(), 401);
    let unsampled = CALLER.replace("-01", "-00").replace("0af7", "1af7");
    let quiet = ask(&house, &key, &[("traceparent", &unsampled)]).await;
    assert!(quiet.headers()["traceresponse"].to_str().unwrap().ends_with("-00"));
    assert_eq!(quiet.status(), 200);
    let handed: Vec<_> = model.came().iter().filter_map(|came| came.header("traceparent").map(str::to_owned)).collect();
    assert!(
        handed[1].starts_with("00-1af7") && handed[1].ends_with("-00"),
        "a caller's trace goes on unkept: {handed:?}"
    );

    let refused = house
        .raw(
            Method::POST,
            "/v1/chat/completions",
            &key,
            &[("traceparent", &CALLER.replace("0af7", "2af7"))],
            Some(json!({"model": "unknown-model", "messages": [{"role": "user", "content": "hello"}]})),
        )
        .await;
    assert!(refused.status().is_client_error(), "{}", refused.status());
    let spans = spans_of(&collector, &TRACE.replace("0af7", "2af7"), "POST /v1/chat/completions").await;
    let turn = named(&spans, "chat");
    assert_eq!(turn.status.as_ref().unwrap().code, 2, "an error");
    assert_eq!(attributes(turn)["error.type"], attributes(turn)["bailiwick.decision"]);
    // the refusal came after the two others, which therefore were not sent
    let sent = collector.spans();
    for trace in [TRACE.to_owned(), TRACE.replace("0af7", "1af7")] {
        assert!(!sent.iter().any(|span| hex::encode(&span.trace_id) == trace), "{trace}");
    }
}

#[tokio::test]
async fn a_session_traces_each_of_its_questions() {
    let (model, collector) = (Keeper::model(WORDS).await, Keeper::collector().await);
    let (_folder, house) = house_traced(&model, collector.port, "eu-west-1", "").await;
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let mut request = format!("{}/v1/session", house.url.replace("http", "ws")).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request.headers_mut().insert("traceparent", CALLER.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let own = CALLER.replace("0af7", "3af7");
    let frames = [
        json!({"type": "ask", "id": "1", "question": QUESTION}),
        json!({"type": "ask", "id": "2", "question": QUESTION, "traceparent": own, "tracestate": "rojo=1"}),
    ];
    for frame in frames {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }
    let mut told = HashMap::new();
    while told.len() < 4 {
        let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("the session ended") };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let (kind, id) = (frame["type"].as_str().unwrap().to_owned(), frame["id"].as_str().unwrap().to_owned());
        assert_ne!(kind, "error", "{frame}");
        if kind == "accepted" || kind == "done" {
            told.insert((kind, id), frame);
        }
    }
    let place =
        |id: &str| told[&("accepted".to_owned(), id.to_owned())]["traceresponse"].as_str().unwrap()[3..35].to_owned();
    assert_eq!((place("1"), place("2")), (TRACE.to_owned(), TRACE.replace("0af7", "3af7")));
    for trace in [place("1"), place("2")] {
        let spans = spans_of(&collector, &trace, "GET /v1/session").await;
        is_one_tree(&spans, "b7ad6b7169203331");
        assert_eq!(named(&spans, "ask").parent_span_id, named(&spans, "GET /v1/session").span_id);
        let said = attributes(named(&spans, "chat fake-model"));
        assert_eq!(said["gen_ai.response.model"], "fake-model-2026", "heard from the stream");
        assert_eq!(said["gen_ai.response.finish_reasons"], "stop");
    }
}

#[tokio::test]
async fn nothing_of_a_tenant_leaves_for_a_region_it_does_not_allow() {
    let (model, collector) = (Keeper::model(WORDS).await, Keeper::collector().await);
    let (_folder, house) = house_traced(&model, collector.port, "us-gov-9", "").await;
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    assert_eq!(ask(&house, &key, &[("traceparent", CALLER)]).await.status(), 200);
    let operator = house.operator_key();
    until("its spans are withheld", async || {
        let metrics = house.raw(Method::GET, "/metrics", &operator, &[], None).await.text().await.unwrap();
        let withheld = figure(&metrics, "bailiwick_trace_spans_dropped_total{reason=\"withheld\"}");
        (withheld >= 9.0).then_some(())
    })
    .await;
    assert!(collector.came().is_empty());
    let (code, _log) = { house }.0.take().unwrap().terminate();
    assert_eq!(code, Some(0));
    assert!(collector.came().is_empty(), "not at the end either");
}

fn figure(metrics: &str, series: &str) -> f64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn a_collector_that_is_silent_or_gone_keeps_nobody_waiting_and_fills_nothing() {
    let model = Keeper::model(WORDS).await;
    // takes requests and never answers; the queue holds two things that are over
    let silent = Keeper::silent().await;
    let (_folder, house) = house_traced(&model, silent.port, "eu-west-1", "queue = 2\ntimeout_ms = 60000\n").await;
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    for _ in 0..30 {
        assert_eq!(ask(&house, &key, &[]).await.status(), 200, "while the collector sleeps for a minute");
    }
    let operator = house.operator_key();
    let metrics = house.raw(Method::GET, "/metrics", &operator, &[], None).await.text().await.unwrap();
    let dropped = figure(&metrics, "bailiwick_trace_spans_dropped_total{reason=\"queue_full\"}");
    assert!(dropped > 50.0, "{dropped} spans were dropped, not kept");
    assert_eq!(figure(&metrics, "bailiwick_trace_spans_exported_total"), 0.0);

    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let (_folder, house) = house_traced(&model, gone, "eu-west-1", "").await;
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    assert_eq!(ask(&house, &key, &[]).await.status(), 200);
    let operator = house.operator_key();
    until("what could not be delivered is counted", async || {
        let metrics = house.raw(Method::GET, "/metrics", &operator, &[], None).await.text().await.unwrap();
        let series = "bailiwick_trace_spans_dropped_total{reason=\"not_delivered\"}";
        (figure(&metrics, series) >= 9.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_sent_when_the_house_ends() {
    let (model, collector) = (Keeper::model(WORDS).await, Keeper::collector().await);
    // a batch is waited for a minute: nothing is sent before the end
    let folder = tempfile::tempdir().unwrap();
    let config = till::furnish(folder.path(), model.port, BUDGET);
    let otel = format!(
        "[otel]\nendpoint = \"http://127.0.0.1:{}/otlp\"\nregion = \"eu-west-1\"\nevery_ms = 60000\nheaders_env = {{ x-token = \"HOME\" }}\n",
        collector.port
    );
    let house = House::start_on(folder.path(), Some(&format!("{config}{otel}")));
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    assert_eq!(ask(&house, &key, &[("traceparent", CALLER)]).await.status(), 200);
    assert!(collector.came().is_empty());
    let ended = bailiwick_kernel::residue::spawn_blocking(move || house.terminate());
    let (code, log) = ended.await.unwrap();
    assert_eq!(code, Some(0), "{}", log.join("\n"));
    let came = collector.came();
    assert!(came[0].head.starts_with("POST /otlp/v1/traces HTTP/1.1"), "{}", came[0].head);
    assert_eq!(came[0].header("x-token"), std::env::var("HOME").ok().as_deref());
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "exit") && spans.iter().any(|span| span.name == "POST /v1/ask"));
    is_one_tree(&spans, "b7ad6b7169203331");
}

#[tokio::test]
async fn nothing_is_told_or_handed_on_unless_the_file_says_so() {
    let model = Keeper::model(WORDS).await;
    let folder = tempfile::tempdir().unwrap();
    let config = till::furnish(folder.path(), model.port, BUDGET);
    let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let answered = ask(&house, &key, &[("traceparent", CALLER)]).await;
    assert_eq!(answered.status(), 200);
    assert!(answered.headers().get("traceresponse").is_none());
    assert_eq!(model.came()[0].header("traceparent"), None);
}
