//! Bad input through the real sockets: a clear error with a stable code, nothing half-done, and the house goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use tokio::io::AsyncWriteExt;

mod support;
use support::scene::{JSON, Scene, state};
use support::upstream::{Mood, Upstream, house_on};
use support::wire::{connect, drain, head, talk, trickle};
use support::{until, usd};

#[tokio::test]
async fn bodies_that_are_no_json_objects() {
    let scene = Scene::new().await;
    let posts = ["/v1/ask", "/v1/search", "/v1/documents", "/v1/feedback"];
    let deep = [b"{\"question\": ".to_vec(), vec![b'['; 100_000]].concat();
    let bodies: [(&[u8], &str); 10] = [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"{", "EOF"),
        (b"{'question': 'x'}", "key must be a string"),
        (b"null", "object"),
        (b"[]", "object"),
        (b"\"text\"", "object"),
        (b"{\"question\": \"\xff\xfe\"}", "UTF-8"),
        (b"\xef\xbb\xbf{}", "object"),
        (&deep, ""),
    ];
    for path in posts {
        for (body, says) in bodies {
            let (status, code, detail) = scene.send("POST", path, body).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
            assert_eq!((status, code.as_str()), (400, "invalid_request"), "{path} {shown}: {detail}");
            assert!(detail.contains(says), "{path} {shown}: {detail}");
            assert!(detail.chars().count() < 600, "{path} {shown}: {detail}");
        }
    }
    scene.is_unharmed("bodies that are no JSON objects").await;
}

#[tokio::test]
async fn wrong_types_unknown_fields_and_empty_texts() {
    let scene = Scene::new().await;
    let document = |field: &str, value: Value| {
        let mut document = json!({"title": "T", "text": "Words."});
        document[field] = value;
        json!({"documents": [document]})
    };
    let cases = [
        ("/v1/ask", json!({"question": 5}), "expected a string"),
        ("/v1/ask", json!({"question": ["a"]}), "expected a string"),
        ("/v1/ask", json!({"question": "a", "top_k": "8"}), "expected usize"),
        ("/v1/ask", json!({"question": "a", "top_k": -1}), "expected usize"),
        ("/v1/ask", json!({"question": "a", "top_k": 0}), "top_k"),
        ("/v1/ask", json!({"question": "a", "top_k": 101}), "top_k"),
        ("/v1/ask", json!({"question": "a", "stream": "yes"}), "expected a boolean"),
        ("/v1/ask", json!({}), "missing field `question`"),
        ("/v1/ask", json!({"questoin": "a"}), "did you mean `question`?"),
        ("/v1/ask", json!({"question": "a", "tenant": "acme-corp"}), "unknown field `tenant`"),
        ("/v1/ask", json!({"question": ""}), "empty"),
        ("/v1/ask", json!({"question": " \n\t "}), "empty"),
        ("/v1/ask", json!({"question": "a\u{0}b"}), "NUL"),
        ("/v1/ask", json!({"question": "a", "domain": "d\u{0}"}), "NUL"),
        ("/v1/search", json!({"query": ""}), "empty"),
        ("/v1/search", json!({"query": "a\u{0}"}), "NUL"),
        ("/v1/search", json!({"querry": "a"}), "did you mean `query`?"),
        ("/v1/documents", json!({"documents": []}), "at least one"),
        ("/v1/documents", json!({"documents": {}}), "expected a sequence"),
        ("/v1/documents", json!({"document": []}), "did you mean `documents`?"),
        ("/v1/documents", document("titel", json!("x")), "did you mean `title`?"),
        ("/v1/documents", document("text", json!(5)), "expected a string"),
        ("/v1/documents", document("metadata", json!("m")), "invalid type"),
        ("/v1/feedback", json!({"query_id": "q", "rating": "sideways"}), "unknown variant `sideways`"),
        ("/v1/feedback", json!({"query_id": "q", "rating": "donw"}), "did you mean `down`?"),
        ("/v1/feedback", json!({"query_id": "q\u{0}", "rating": "up"}), "NUL"),
    ];
    for (path, body, says) in cases {
        let (status, code, detail) = scene.send("POST", path, body.to_string().as_bytes()).await;
        assert_eq!((status, code.as_str()), (400, "invalid_request"), "{path} {body}: {detail}");
        assert!(detail.contains(says), "{path} {body}: {detail}");
    }
    let (status, code, detail) = scene.send("POST", "/v1/ask", b"{\"question\":\"a\",\"question\":\"b\"}").await;
    assert_eq!((status, code.as_str()), (400, "invalid_request"), "{detail}");
    // a document that is wrong in itself is named, and its neighbour goes its own way
    for (field, value, says) in [
        ("text", json!(""), "empty"),
        ("text", json!("a\u{0}b"), "NUL"),
        ("id", json!(" "), "blank"),
        ("id", json!("a\u{0}"), "NUL"),
        ("source", json!("s\u{0}"), "NUL"),
        ("region", json!("cn-north-1"), "cn-north-1"),
    ] {
        let body = document(field, value);
        let (status, problem) = scene.house.call(Method::POST, "/v1/documents", &scene.key, Some(body.clone())).await;
        assert_eq!(status, 422, "{body}: {problem}");
        let error = problem["documents"][0]["error"].as_str().unwrap();
        assert!(error.contains(says), "{body}: {problem}");
        assert_eq!(problem["documents"][0]["state"], "failed");
    }
    scene.is_unharmed("wrong types, unknown fields and empty texts").await;
}

#[tokio::test]
async fn queries_headers_and_control_bodies() {
    let scene = Scene::new().await;
    for query in [
        "/v1/lineage",
        "/v1/lineage?query_id",
        "/v1/documents?limit=0",
        "/v1/documents?limit=x",
        "/v1/documents?limt=5",
    ] {
        let (status, code, detail) = scene.send("GET", query, b"").await;
        // `query_id` without a value is a text without letters: no answer has that id
        let expected = if query.ends_with("query_id") { (404, "not_found") } else { (400, "invalid_request") };
        assert_eq!((status, code.as_str()), expected, "{query}: {detail}");
    }
    let operator = scene.house.operator_key();
    let tenant = json!({"name": "../evil", "config": {"region": "local", "retention_days": 1},
        "quotas": {"max_requests_per_hour": 1, "max_concurrent_requests": 1, "max_cost_per_month": 1, "max_storage_gb": 1},
        "metadata": {"industry": "x", "contact_email": "x"}});
    let mut misspelt = tenant.clone();
    misspelt["name"] = json!("fine");
    misspelt["quotas"]["max_request_per_hour"] = json!(5);
    let keys = "/admin/v1/tenants/default/keys";
    for (path, body, says) in [
        ("/admin/v1/tenants", tenant, ""),
        ("/admin/v1/tenants", misspelt, "did you mean `max_requests_per_hour`?"),
        ("/admin/v1/tenants/default/suspend", json!({"reson": "x"}), "did you mean `reason`?"),
        (keys, json!({"role": "onwer"}), "did you mean `owner`?"),
        (keys, json!({"role": "viewer", "expires_in_ms": -1}), "invalid value"),
        (keys, json!({"role": "viewer", "user_id": "a\u{0}"}), "NUL"),
    ] {
        let (status, problem) = scene.house.call(Method::POST, path, &operator, Some(body.clone())).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_request")), "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path} {body}: {problem}");
    }
    assert!(!scene.house.tenants.parent().unwrap().join("evil").exists());
    for path in ["/admin/v1/tenants/..%2f..%2fevil", "/admin/v1/tenants/%00", "/admin/v1/tenants/%ff%fe"] {
        assert_eq!(scene.house.call(Method::GET, path, &operator, None).await.0, 404, "{path}");
    }
    for bad in ["\u{1}", "a b", &"k".repeat(300)] {
        let request = format!(
            "POST /v1/ask HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {}\r\nidempotency-key: {bad}\r\n{JSON}\r\ncontent-length: 16\r\n\r\n{{\"question\":\"a\"}}",
            scene.key
        );
        let raw = talk(&scene.house, request.as_bytes()).await.expect("an answer");
        assert_eq!(raw.status, 400, "{bad:?}: {raw:?}");
    }
    scene.is_unharmed("queries, headers and control bodies").await;
}

#[tokio::test]
async fn too_much_of_everything() {
    let scene = Scene::new().await;
    let question = |chars: usize| json!({"question": "ä".repeat(chars)}).to_string();
    let (status, code, _) = scene.send("POST", "/v1/ask", question(10_001).as_bytes()).await;
    assert_eq!((status, code.as_str()), (413, "too_large"));
    let longest = serde_json::from_str(&question(10_000)).unwrap();
    let (status, answer) = scene.house.call(Method::POST, "/v1/ask", &scene.key, Some(longest)).await;
    assert_eq!((status, &answer["abstained"]), (200, &json!(true)), "{answer}");

    // announced and refused before a byte of it came, on every route
    for (path, bytes) in [("/v1/ask", (4_u64 << 20) + 1), ("/v1/search", 1 << 40), ("/v1/documents", (64 << 20) + 1)] {
        let request = head("POST", path, &scene.key, &[JSON, &format!("content-length: {bytes}")]);
        let raw = talk(&scene.house, request.as_bytes()).await.expect("an answer");
        assert_eq!(raw.problem(), (413, "too_large".to_owned()), "{path}");
    }
    // unannounced
    let mut request = head("POST", "/v1/ask", &scene.key, &[JSON, "transfer-encoding: chunked"]).into_bytes();
    for _ in 0..5 {
        write!(request, "{:x}\r\n", 1 << 20).unwrap();
        request.extend(std::iter::repeat_n(b' ', 1 << 20));
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let raw = talk(&scene.house, &request).await.expect("an answer");
    assert_eq!(raw.problem(), (413, "too_large".to_owned()));

    let many: Vec<Value> = (0..1_001).map(|at| json!({"title": format!("{at}"), "text": "Words."})).collect();
    let (status, code, _) =
        scene.send("POST", "/v1/documents", json!({"documents": many}).to_string().as_bytes()).await;
    assert_eq!((status, code.as_str()), (413, "too_large"));
    let (status, problem) = scene.upload("large.txt", &vec![b'a'; (32 << 20) + 1]).await;
    assert_eq!((status, problem["documents"][0]["code"].as_str()), (422, Some("too_large")), "{problem}");

    let zipped = head("POST", "/v1/ask", &scene.key, &[JSON, "content-encoding: gzip", "content-length: 3"]) + "abc";
    assert_eq!(talk(&scene.house, zipped.as_bytes()).await.unwrap().problem(), (415, "invalid_request".to_owned()));
    let endless = head("GET", "/healthz", &scene.key, &[&format!("x-endless: {}", "a".repeat(1 << 20))]);
    if let Some(raw) = talk(&scene.house, endless.as_bytes()).await {
        assert!((400..500).contains(&raw.status), "{raw:?}");
    }
    scene.is_unharmed("too much of everything").await;
}

/// A docx whose one file unpacks to far more than it weighs.
fn zip_bomb() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("word/document.xml", options).unwrap();
    archive.write_all(b"<w:document xmlns:w=\"w\"><w:body>").unwrap();
    let paragraph = ["<w:p><w:r><w:t>", &"bomb ".repeat(1 << 14), "</w:t></w:r></w:p>"].concat();
    for _ in 0..1_024 {
        archive.write_all(paragraph.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn hostile_files() {
    let scene = Scene::new().await;
    let fixture = |name: &str| {
        std::fs::read(support::repository().join("actors/tenant/retrieval/parse/fixtures").join(name)).unwrap()
    };
    let docx = fixture("written_by_word_library.docx");
    let pdf = fixture("three_pages.pdf");
    let bomb = zip_bomb();
    assert!(bomb.len() < 1 << 20, "the bomb weighs {} bytes", bomb.len());
    let cases: [(&str, Vec<u8>, &str); 11] = [
        ("bomb.docx", bomb, "too_large"),
        ("locked.pdf", fixture("needs_password.pdf"), "invalid_request"),
        ("scan.pdf", fixture("no_text.pdf"), "invalid_request"),
        ("torn.pdf", pdf[..pdf.len() / 2].to_vec(), "invalid_request"),
        ("torn.docx", docx[..docx.len() / 2].to_vec(), "invalid_request"),
        ("empty.pdf", Vec::new(), "invalid_request"),
        ("page.pdf", b"<html><p>not a pdf</p></html>".to_vec(), "invalid_request"),
        ("latin.txt", b"caf\xe9".to_vec(), "invalid_request"),
        ("nul.txt", b"a\0b".to_vec(), "invalid_request"),
        ("blank.md", b" \n ".to_vec(), "invalid_request"),
        ("tool.exe", b"MZ\x90\0".to_vec(), "invalid_request"),
    ];
    for (name, bytes, code) in cases {
        let (status, problem) = scene.upload(name, &bytes).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_request")), "{name}: {problem}");
        let document = &problem["documents"][0];
        assert_eq!(
            (document["state"].as_str(), document["code"].as_str()),
            (Some("failed"), Some(code)),
            "{name}: {problem}"
        );
        assert!(!document["error"].as_str().unwrap().is_empty(), "{name}");
    }
    scene.is_unharmed("hostile files").await;
}

#[tokio::test]
async fn a_path_in_a_file_name_goes_nowhere() {
    let scene = Scene::new().await;
    for (claimed, source) in [
        ("../../escaped.txt", "upload.local/escaped.txt"),
        ("/etc/escaped.txt", "upload.local/escaped.txt"),
        ("..\\\\..\\\\escaped.txt", "upload.local/escaped.txt"),
        ("C:\\\\escaped.txt", "upload.local/escaped.txt"),
    ] {
        let (status, answer) = scene.upload(claimed, b"Words that stay where they belong.").await;
        assert_eq!(status, 201, "{claimed}: {answer}");
        let id = answer["documents"][0]["id"].as_str().unwrap();
        let (_, document) = scene.house.call(Method::GET, &format!("/v1/documents/{id}"), &scene.key, None).await;
        assert_eq!(document["source"], source, "{claimed}");
        assert_eq!(scene.house.call(Method::DELETE, &format!("/v1/documents/{id}"), &scene.key, None).await.0, 204);
    }
    for nothing in ["..", "../..", "/", "...", "a/.."] {
        let (status, problem) = scene.upload(nothing, b"Words.").await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_request")), "{nothing}: {problem}");
    }
    let escaped = walkdir::WalkDir::new(scene.folder.path())
        .into_iter()
        .flatten()
        .find(|entry| entry.file_name() == "escaped.txt");
    assert!(escaped.is_none(), "{escaped:?}");
    for path in [
        "/v1/documents/..%2f..%2foperator.key",
        "/v1/documents/%2e%2e%2foperator.key",
        "/v1/documents/%00",
        "/v1/documents/%ff",
    ] {
        for method in ["GET", "DELETE"] {
            let (status, code, _) = scene.send(method, path, b"").await;
            assert_eq!((status, code.as_str()), (404, "not_found"), "{method} {path}");
        }
    }
    let no_boundary =
        head("POST", "/v1/documents", &scene.key, &["content-type: multipart/form-data", "content-length: 4"]) + "abcd";
    assert_eq!(
        talk(&scene.house, no_boundary.as_bytes()).await.unwrap().problem(),
        (400, "invalid_request".to_owned())
    );
    scene.is_unharmed("paths in file names").await;
}

#[tokio::test]
async fn slow_and_half_closed_clients() {
    let scene = Scene::impatient().await;
    // the head, byte by byte, for ever
    let raw = trickle(&scene.house, "", Some(b'G')).await;
    assert!(raw.as_ref().is_none_or(|raw| raw.status == 408), "{raw:?}");
    let raw = trickle(&scene.house, "GET /healthz HTTP/1.1\r\nhost: h\r\nx-slow: ", Some(b'a')).await;
    assert!(raw.as_ref().is_none_or(|raw| raw.status == 408), "{raw:?}");
    // not even a byte
    let raw = trickle(&scene.house, "", None).await;
    assert!(raw.as_ref().is_none_or(|raw| raw.status == 408), "{raw:?}");
    // bodies that never end, and bodies that never begin
    for byte in [Some(b' '), None] {
        for path in ["/v1/ask", "/v1/documents"] {
            let start = head("POST", path, &scene.key, &[JSON, "content-length: 1000000"]);
            let raw = trickle(&scene.house, &start, byte).await.expect("an answer");
            assert_eq!(raw.problem(), (408, "invalid_request".to_owned()), "{path}");
        }
    }
    let form = ["content-type: multipart/form-data; boundary=cut", "content-length: 1000000"];
    let start = head("POST", "/v1/documents", &scene.key, &form) + "--cut\r\n";
    let raw = trickle(&scene.house, &start, Some(b'a')).await.expect("an answer");
    assert_eq!(raw.problem(), (408, "invalid_request".to_owned()));

    // a client that closes its half after asking is still answered
    let mut socket = connect(&scene.house).await;
    let body = json!({"question": "How many days of paid leave does an employee have?"}).to_string();
    let request = head("POST", "/v1/ask", &scene.key, &[JSON, &format!("content-length: {}", body.len())]) + &body;
    socket.write_all(request.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    let answered = String::from_utf8_lossy(&drain(&mut socket).await).into_owned();
    assert!(answered.starts_with("HTTP/1.1 200") && answered.contains("thirty days"), "{answered}");
    // one that closes it in the middle of a body has taken nothing in
    for path in ["/v1/ask", "/v1/documents"] {
        let mut socket = connect(&scene.house).await;
        let request = head("POST", path, &scene.key, &[JSON, "content-length: 1000"])
            + "{\"documents\":[{\"title\":\"T\",\"text\":\"Half a document";
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let seen = drain(&mut socket).await;
        assert!(
            support::wire::Raw::parse(&seen).is_none_or(|raw| raw.status == 400),
            "{}",
            String::from_utf8_lossy(&seen)
        );
    }
    // garbage instead of HTTP
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let raw = talk(&scene.house, garbage).await;
        assert!(raw.as_ref().is_none_or(|raw| (400..506).contains(&raw.status)), "{raw:?}");
    }
    scene.is_unharmed("slow and half-closed clients").await;
}

#[tokio::test]
async fn unknown_models() {
    let scene = Scene::new().await;
    let messages = json!([{"role": "user", "content": "How many days of leave?"}]);
    for (path, body, status, code) in [
        ("/v1/chat/completions", json!({"model": "gpt-none", "messages": messages}), 403, "policy_denied"),
        (
            "/v1/chat/completions",
            json!({"model": "gpt-none", "messages": messages, "stream": true}),
            403,
            "policy_denied",
        ),
        ("/v1/embeddings", json!({"model": "embed-none", "input": "leave"}), 403, "policy_denied"),
        ("/v1/chat/completions", json!({"messages": messages}), 400, "invalid_request"),
        ("/v1/chat/completions", json!({"model": 5, "messages": messages}), 400, "invalid_request"),
        ("/v1/chat/completions", json!({"model": "bailiwick", "messages": []}), 400, "invalid_request"),
        ("/v1/chat/completions", json!({"model": "bailiwick", "messages": "hi"}), 400, "invalid_request"),
        (
            "/v1/chat/completions",
            json!({"model": "bailiwick", "messages": [{"role": "user", "content": ""}]}),
            400,
            "invalid_request",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "bailiwick", "messages": messages, "stream": 1}),
            400,
            "invalid_request",
        ),
        ("/v1/embeddings", json!({"model": "embed-none", "input": []}), 400, "invalid_request"),
    ] {
        let answer = scene.house.raw(Method::POST, path, &scene.key, &[], Some(body.clone())).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (status, "application/json"),
            "{body}"
        );
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["error"]["code"], code, "{body}: {problem}");
        for field in ["message", "type", "param"] {
            assert!(problem["error"].get(field).is_some(), "{body}: {problem}");
        }
    }
    let (status, problem) = scene.house.call(Method::GET, "/v1/models/gpt-none", &scene.key, None).await;
    assert_eq!((status, problem["error"]["code"].as_str()), (404, Some("not_found")), "{problem}");
    scene.is_unharmed("unknown models").await;
}

/// The call reached the provider and nobody knows what it will bill: its hold counts as spent until it is reconciled.
fn counts_as_unreconciled(before: &Value, after: &Value, case: &str) {
    let grown = |field: &str| usd(&after[field]).0.checked_sub(usd(&before[field]).0).unwrap();
    assert!(grown("unreconciled") > 0, "{case}: {before} {after}");
    assert_eq!(grown("spent"), grown("unreconciled"), "{case}");
    assert_eq!((&after["documents"], &after["overrun"]), (&before["documents"], &before["overrun"]), "{case}");
}

#[tokio::test]
async fn providers_that_misbehave() {
    let upstream = Upstream::start().await;
    let scene = Scene::of(house_on(upstream.port, 500)).await;
    let question = "How many days of paid leave does an employee have?";
    for streamed in [false, true] {
        let calls = [
            ("/v1/ask", json!({"question": question, "stream": streamed})),
            (
                "/v1/chat/completions",
                json!({"model": "fake-model", "stream": streamed, "messages": [{"role": "user", "content": question}]}),
            ),
        ];
        for mood in
            [Mood::NotJson, Mood::NothingAtAll, Mood::AnotherShape, Mood::CutBeforeTheHead, Mood::Refuses, Mood::Hangs]
        {
            for (path, body) in &calls {
                let before = state(&scene.house, &scene.key).await;
                upstream.be(mood);
                let (status, problem) = scene.house.call(Method::POST, path, &scene.key, Some(body.clone())).await;
                let code = problem.get("code").or_else(|| problem["error"].get("code")).and_then(Value::as_str);
                assert_eq!((status, code), (502, Some("upstream_failed")), "{mood:?} {path} {body}: {problem}");
                let after = state(&scene.house, &scene.key).await;
                match mood {
                    Mood::Refuses => assert_eq!(after, before, "{path} {body}"),
                    _ => counts_as_unreconciled(&before, &after, &format!("{mood:?} {path} {body}")),
                }
                // a good call between bad ones keeps the provider from resting, and shows that it can
                upstream.be(Mood::Good);
                let answer = scene.house.raw(Method::POST, path, &scene.key, &[], Some(body.clone())).await;
                assert_eq!(answer.status(), 200, "after {mood:?} {path} {body}");
                let text = answer.text().await.unwrap();
                assert!(text.contains("thirty") && text.contains("paid leave"), "after {mood:?} {path} {body}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_cut_answer_is_told_as_one_and_charged_for_what_came() {
    let upstream = Upstream::start().await;
    let scene = Scene::of(house_on(upstream.port, 500)).await;
    upstream.be(Mood::CutInTheBody);
    let question = "How many days of paid leave does an employee have?";
    let chat = |streamed: bool| json!({"model": "fake-model", "stream": streamed, "messages": [{"role": "user", "content": question}]});
    // whole: nothing was shown, and what the provider may bill counts until it is reconciled
    for (path, body) in [("/v1/ask", json!({"question": question})), ("/v1/chat/completions", chat(false))] {
        let before = state(&scene.house, &scene.key).await;
        let (status, problem) = scene.house.call(Method::POST, path, &scene.key, Some(body)).await;
        assert_eq!(status, 502, "{path}: {problem}");
        counts_as_unreconciled(&before, &state(&scene.house, &scene.key).await, path);
    }
    // streamed: the stream ends in an error, never in a `done`, and what came is charged
    for (path, body) in
        [("/v1/ask", json!({"question": question, "stream": true})), ("/v1/chat/completions", chat(true))]
    {
        let before = state(&scene.house, &scene.key).await;
        let answer = scene.house.raw(Method::POST, path, &scene.key, &[], Some(body)).await;
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("upstream_failed"), "{path}: {text}");
        assert!(!text.contains("event: done") && !text.contains("[DONE]"), "{path}: {text}");
        let after = state(&scene.house, &scene.key).await;
        assert_ne!(after["spent"], before["spent"], "{path}");
        assert_eq!(after["overrun"], "0", "{path}");
    }
    // an asker who hangs up on a silent provider leaves nothing held, and what the provider may bill is not forgotten
    upstream.be(Mood::Hangs);
    let before = state(&scene.house, &scene.key).await;
    let mut socket = connect(&scene.house).await;
    let body = json!({"question": question}).to_string();
    let request = head("POST", "/v1/ask", &scene.key, &[JSON, &format!("content-length: {}", body.len())]) + &body;
    socket.write_all(request.as_bytes()).await.unwrap();
    until("the hold is taken", async || (scene.house.usage(&scene.key).await["budget"]["held"] != "0").then_some(()))
        .await;
    drop(socket);
    counts_as_unreconciled(&before, &state(&scene.house, &scene.key).await, "hung up");
}
