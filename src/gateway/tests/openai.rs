use super::{answer, citation};
use crate::gateway::openai_shape::{
    GROUNDED_MODEL, Style, annotations, completion, embeddings_asked, model_list, read,
};
use bailiwick_kernel::ids::QueryId;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::schema::{GovernanceSettings, RouterFile};
use bailiwick_tenant::question::{Answer, Matter};
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn question(value: Value) -> Result<String, (Code, String)> {
    match read(object(value)) {
        Ok(asked) => match asked.matter {
            Matter::Ask(question) => Ok(question.text),
            other => panic!("{other:?}"),
        },
        Err(failure) => Err((failure.code(), failure.to_string())),
    }
}

#[test]
fn earlier_messages_are_read_within_bounds_and_belong_to_whoever_is_named() {
    let asked = |messages: Vec<Value>, user: Value| {
        read(object(json!({ "model": GROUNDED_MODEL, "messages": messages, "user": user })))
    };
    let said = |role: &str, content: &str| json!({ "role": role, "content": content });
    let mut many: Vec<Value> =
        (0..50).flat_map(|n| [said("user", &format!("q{n}")), said("assistant", "yes")]).collect();
    many.extend((0..60_000).map(|_| said("assistant", "and more of it")));
    many.push(said("user", "last"));
    let read_of = asked(many, json!("ada")).map_err(|failure| failure.to_string()).unwrap();
    let earlier = read_of.earlier;
    assert_eq!((earlier.len(), earlier[0].question.as_str(), earlier[0].answer.as_str()), (20, "q30", "yes"));
    assert!((64_000..64_100).contains(&earlier[19].answer.len()), "{} bytes", earlier[19].answer.len());
    assert_eq!(read_of.end_user.as_deref(), Some("ada"));
    for user in [json!(42), json!(["ada"])] {
        let refused = asked(vec![said("user", "x")], user).map(|asked| asked.end_user);
        assert_eq!(refused.map_err(|failure| failure.code()), Err(Code::InvalidRequest), "nobody is not somebody else");
    }
}

#[test]
fn the_grounded_model_asks_the_last_words_of_the_user() {
    let grounded =
        |messages: Value| question(json!({ "model": GROUNDED_MODEL, "messages": messages, "temperature": 0.2 }));
    let conversation = json!([
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": "first" },
        { "role": "assistant", "content": "yes" },
        { "role": "user", "content": " second " },
        { "role": "assistant", "content": "hm" },
    ]);
    assert_eq!(grounded(conversation), Ok("second".into()));
    let parts =
        json!([{ "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }]);
    assert_eq!(grounded(parts), Ok("a\nb".into()));
    for bad in [
        json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "x" } }] }]),
        json!([{ "role": "user", "content": "" }]),
        json!([{ "role": "user" }]),
        json!([{ "role": "assistant", "content": "x" }]),
        json!([]),
        json!("x"),
        json!([7]),
    ] {
        assert_eq!(grounded(bad.clone()).unwrap_err().0, Code::InvalidRequest, "{bad}");
    }
    let two = json!({ "model": GROUNDED_MODEL, "messages": [{ "role": "user", "content": "x" }], "n": 2 });
    assert!(question(two).unwrap_err().1.contains("one answer"));
}

#[test]
fn scope_and_style_are_read() {
    let body = json!({
        "model": GROUNDED_MODEL, "messages": [{ "role": "user", "content": "x" }],
        "domain": "hr", "top_k": 3, "stream": true, "stream_options": { "include_usage": true },
    });
    let asked = read(object(body)).unwrap();
    assert_eq!(asked.style, Style { stream: true, include_usage: true });
    let Matter::Ask(question) = asked.matter else { panic!("asks") };
    assert_eq!((question.domain.as_deref(), question.top_k), (Some("hr"), Some(3)));
}

#[test]
fn any_other_model_passes_through_as_it_came() {
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "x" }], "max_tokens": 9, "vendor_field": { "a": [1] } });
    let asked = read(object(body.clone())).unwrap();
    let Matter::Chat(chat) = asked.matter else { panic!("passes through") };
    assert_eq!((chat.model.as_str(), chat.max_tokens, &chat.body), ("gpt-4o-mini", Some(9), &body));
    let newer = json!({ "model": "m", "messages": [{}], "max_tokens": 9, "max_completion_tokens": 4 });
    let Matter::Chat(chat) = read(object(newer)).unwrap().matter else { panic!("passes through") };
    assert_eq!(chat.max_tokens, Some(4), "the newer name wins");
}

#[test]
fn bad_bodies_name_the_field() {
    let messages = json!([{ "role": "user", "content": "x" }]);
    for (body, param) in [
        (json!({ "messages": messages }), "model"),
        (json!({ "model": "", "messages": messages }), "model"),
        (json!({ "model": 7, "messages": messages }), "model"),
        (json!({ "model": "m" }), "messages"),
        (json!({ "model": "m", "messages": messages, "stream": "yes" }), "stream"),
        (json!({ "model": "m", "messages": messages, "stream_options": 1 }), "stream_options"),
        (json!({ "model": "m", "messages": messages, "max_tokens": -1 }), "max_tokens"),
        (json!({ "model": "m", "messages": messages, "max_tokens": 1.5 }), "max_tokens"),
        (json!({ "model": "m", "messages": messages, "max_tokens": 99_999_999_999_u64 }), "max_tokens"),
        (json!({ "model": GROUNDED_MODEL, "messages": messages, "top_k": 0 }), "top_k"),
        (json!({ "model": GROUNDED_MODEL, "messages": messages, "domain": 1 }), "domain"),
    ] {
        let failure = read(object(body.clone())).unwrap_err();
        let error = serde_json::to_value(failure.openai_body()).unwrap();
        assert_eq!(error["error"]["param"], param, "{body}");
        assert_eq!(error["error"]["type"], "invalid_request_error");
    }
    for input in [json!(null), json!(""), json!([]), json!(5)] {
        assert!(embeddings_asked(object(json!({ "model": "m", "input": input }))).is_err(), "{input}");
    }
    assert!(embeddings_asked(object(json!({ "model": "m", "input": [1, 2] }))).is_ok());
}

#[test]
fn citations_stand_where_their_markers_stand_counted_in_characters() {
    let answer = answer("Über 30 Tage [1]. Mehr [2] und [1].", vec![citation("[1]"), citation("[2]")]);
    let found = annotations(&answer);
    let places: Vec<(u64, u64)> = found
        .iter()
        .map(|one| {
            (one["url_citation"]["start_index"].as_u64().unwrap(), one["url_citation"]["end_index"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(places, [(13, 16), (23, 26), (31, 34)]);
    let characters: Vec<char> = answer.answer.chars().collect();
    let marked: Vec<String> =
        places.iter().map(|(start, end)| characters[*start as usize..*end as usize].iter().collect()).collect();
    assert_eq!(marked, ["[1]", "[2]", "[1]"]);
    assert_eq!(found[0]["type"], "url_citation");
    assert_eq!(found[0]["bailiwick"]["document_id"], "d1");
}

#[test]
fn a_grounded_answer_reads_as_a_completion() {
    let asked = QueryId::fresh(12_345, [7; 10]).to_string();
    let body = completion(&Answer { query_id: asked.clone(), ..answer("Thirty days [1].", vec![citation("[1]")]) });
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(
        (&body["id"], &body["created"], &body["model"]),
        (&json!(format!("chatcmpl-{asked}")), &json!(12), &json!("bailiwick")),
        "created when the question was asked, however often it is told"
    );
    let choice = &body["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["role"]), (&json!("stop"), &json!("assistant")));
    assert_eq!(choice["message"]["content"], "Thirty days [1].");
    assert_eq!(choice["message"]["annotations"].as_array().unwrap().len(), 1);
    assert_eq!(body["usage"], json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12 }));
    assert_eq!(body["bailiwick"]["cost_usd"], "0.0000015");
}

#[test]
fn models_are_the_grounded_one_the_routers_and_the_allowed() {
    let router: RouterFile = serde_json::from_value(json!({
        "tenant_id": "t",
        "routing": { "primary": { "provider": "openai", "model": "a" }, "fallback": { "provider": "extractive", "model": "extractive" } },
        "sla": { "p95_latency_ms": 1, "error_rate_max": 0.1, "cost_per_1k_qa_usd": "1" },
        "budget": { "monthly_limit_usd": "1", "daily_limit_usd": "1" },
    }))
    .unwrap();
    let governance: GovernanceSettings = serde_json::from_value(json!({ "allowed_models": ["b", "a"] })).unwrap();
    let list = model_list(&router, &governance);
    let named: Vec<(&str, &str)> = list.data.iter().map(|model| (model.id.as_str(), model.owned_by.as_str())).collect();
    assert_eq!(named, [("bailiwick", "bailiwick"), ("a", "openai"), ("extractive", "extractive"), ("b", "openai")]);
}
