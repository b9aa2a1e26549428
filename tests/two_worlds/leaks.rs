//! Proxies that make what A is told depend on its neighbours, each in a way of its own, and some that do not.
use super::{Answer, Street};
use serde_json::{Value, json};

/// One proxy.
pub(super) struct Leak {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) alter: fn(&Street, &mut Answer),
}

const fn leak(name: &'static str, what: &'static str, alter: fn(&Street, &mut Answer)) -> Leak {
    Leak { name, what, alter }
}

pub(super) const LEAKS: &[Leak] = &[
    leak("fleet_header", "a header counts the tenants of the node", |street, answer| {
        header(answer, "x-node-tenants", &(3 + street.tenants.len()).to_string());
    }),
    leak("session_cookie", "a cookie is numbered over all callers", |street, answer| {
        header(answer, "set-cookie", &format!("n={}", street.requests));
    }),
    leak("etag_over_all", "an ETag changes whenever anybody has changed a document", |street, answer| {
        header(answer, "etag", &format!("\"{}\"", street.document_ids.len()));
    }),
    leak("server_timing", "a header tells how many requests stood before this one", |street, answer| {
        header(answer, "server-timing", &format!("queue;dur={}", street.requests % 7));
    }),
    leak("remaining_of_all", "what is left of a rate counts everybody's requests", |street, answer| {
        if let Some(left) = answer.headers.get_mut("x-ratelimit-remaining-requests") {
            *left = left.parse::<u64>().unwrap().saturating_sub(street.requests).to_string();
        }
    }),
    leak("retry_after_of_all", "who is limited is told to come back after everybody", |street, answer| {
        if answer.status == 429 {
            header(answer, "retry-after", &(1 + street.requests).to_string());
        }
    }),
    leak("allow_list_of_origins", "origins of all tenants stand in one header", |street, answer| {
        header(answer, "access-control-allow-origin", &street.tenants.join(","));
    }),
    leak("link_to_next_tenant", "a page's link goes on to the next tenant's", |street, answer| {
        if answer.name.contains("documents?limit") && !street.document_ids.is_empty() {
            header(answer, "link", "</v1/documents?after=moat>; rel=next");
        }
    }),
    leak("forbidden_where_known", "a tenant that is there is forbidden, another one not found", |street, answer| {
        if answer.status == 404 && street.tenants.iter().any(|name| answer.name.contains(name.as_str())) {
            answer.status = 403;
        }
    }),
    leak("document_exists_elsewhere", "a document somebody has is gone, another one not found", |street, answer| {
        if answer.status == 404 && street.document_ids.iter().any(|id| answer.name.contains(id.as_str())) {
            answer.status = 410;
        }
    }),
    leak("detail_names_a_tenant", "an error's text names the tenant that came last", |street, answer| {
        if let Some(last) = street.tenants.last() {
            field(answer, "detail", |_| json!(format!("as {last} was told before")));
        }
    }),
    leak("models_of_all", "a tenant sees the models of all", |street, answer| {
        if answer.name == "GET /v1/models" && !street.tenants.is_empty() {
            field(answer, "data", |data| json!([data, {"id": "of-another"}]));
        }
    }),
    leak("usage_of_the_node", "usage counts the documents of the node", |street, answer| {
        field(answer, "corpus", |corpus| json!([corpus, street.document_ids.len()]));
    }),
    leak("policy_log_of_all", "adoptions are numbered over all tenants", |street, answer| {
        if answer.name.ends_with("default/log") {
            answer.body.push_str(&street.requests.to_string());
        }
    }),
    leak("keys_numbered", "keys are listed with a number over all tenants", |street, answer| {
        if answer.name.ends_with("default/keys") {
            answer.body = answer.body.replace("key-0", &format!("key-{}", street.keys));
        }
    }),
    leak("openapi_lists_tenants", "the description names the tenants there are", |street, answer| {
        if answer.name.contains("openapi") {
            field(answer, "info", |info| json!([info, street.tenants]));
        }
    }),
    leak("ready_while_quiet", "the node is ready as long as few ask", |street, answer| {
        if answer.name == "GET /readyz" && street.requests > 50 {
            answer.status = 503;
        }
    }),
    leak("hits_reordered", "hits are turned around when somebody else has the first document", |street, answer| {
        if !street.document_ids.is_empty() {
            field(answer, "hits", |hits| json!(hits.as_array().map(|hits| hits.iter().rev().collect::<Vec<_>>())));
        }
    }),
    leak("padded_bodies", "a body is padded to the longest anybody was given", |street, answer| {
        answer.body.push_str(&" ".repeat(usize::try_from(street.requests % 16).unwrap()));
    }),
    leak("unauthenticated_is_counted", "who shows no key is told how many have tried", |street, answer| {
        if answer.status == 401 {
            header(answer, "www-authenticate", &format!("Bearer attempts={}", street.requests));
        }
    }),
];

pub(super) const INVISIBLE: &[Leak] = &[
    leak("hop_by_hop", "a header that says the same to everybody", |_, answer| header(answer, "via", "1.1 proxy")),
    leak("counts_and_is_silent", "a proxy that looks at the neighbours and changes nothing", |street, answer| {
        let before = answer.clone();
        header(answer, "x-node", &street.requests.to_string());
        *answer = before;
    }),
];

fn header(answer: &mut Answer, name: &str, value: &str) {
    answer.headers.insert(name.to_owned(), value.to_owned());
}

/// Changes a field of a JSON body that has it.
fn field(answer: &mut Answer, name: &str, change: impl FnOnce(&Value) -> Value) {
    if let Ok(Value::Object(mut body)) = serde_json::from_str(&answer.body)
        && let Some(before) = body.get(name)
    {
        let after = change(before);
        body.insert(name.to_owned(), after);
        answer.body = Value::Object(body).to_string();
    }
}
