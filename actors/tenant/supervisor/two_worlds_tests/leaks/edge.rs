//! Faults of a handler between a tenant and its callers that knows more than this tenant: what it says of things that are
//! there for somebody else, how it counts, and what it adds.
use super::super::world::{Fault, Street};
use super::{Leak, leak};
use bailiwick_kernel::outcome::Code;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

pub(in super::super) const LEAKS: &[Leak] = &[
    leak(
        "forbidden_instead_of_not_found",
        "a document that a neighbour has is forbidden, one that nobody has is not found",
        Fault::Edge(forbidden),
    ),
    leak("did_you_mean", "what is not found is answered with a name that somebody has", Fault::Edge(did_you_mean)),
    leak(
        "deduplicated_over_tenants",
        "a document that a neighbour has brought is unchanged",
        Fault::Edge(deduplicated),
    ),
    leak("idempotency_keys_of_all", "a key that a neighbour has used is in use", Fault::Edge(keys_of_all)),
    leak("remaining_of_the_fleet", "what is left of a rate counts the requests of all", Fault::Edge(remaining)),
    leak("retry_after_of_the_fleet", "a refusal says to come back after everybody else", Fault::Edge(retry_after)),
    leak("scores_normalised", "scores are parts of the best score anybody's documents reach", Fault::Edge(normalised)),
    leak(
        "order_follows_a_neighbour",
        "hits are turned around when a neighbour has the first one",
        Fault::Edge(turned_around),
    ),
    leak("trust_by_popularity", "a citation is trusted more where others have the document", Fault::Edge(popular)),
    leak("gauge_of_the_node", "usage shows the segments of all indexes", Fault::Edge(gauge)),
    leak("refusals_of_the_node", "usage counts the refusals of all", Fault::Edge(refusals)),
    leak("forecast_of_the_node", "where a month is heading is reckoned from everybody's calls", Fault::Edge(forecast)),
    leak("error_names_another", "a provider's failure is blamed on who called it last", Fault::Edge(blamed)),
    leak(
        "query_exists_elsewhere",
        "an answer that somebody else was given is forbidden, not unknown",
        Fault::Edge(query_elsewhere),
    ),
    leak(
        "list_pages_by_memory",
        "a page of documents is shorter while others are in flight",
        Fault::Edge(shorter_pages),
    ),
];

pub(super) const INVISIBLE: &[Leak] = &[leak(
    "handler_looks_and_says_nothing",
    "a handler reads what the neighbours do and says what it would have said",
    Fault::Edge(looks),
)];

fn is_refused(value: &Value, code: Code) -> bool {
    value["refused"]["code"] == code.as_str()
}

fn forbidden(street: &Street, name: &str, value: &mut Value) {
    let id = name.strip_prefix("show ").or_else(|| name.strip_prefix("remove "));
    if id.is_some_and(|id| street.has_document(id)) && is_refused(value, Code::NotFound) {
        value["refused"]["code"] = json!(Code::Forbidden);
    }
}

fn did_you_mean(street: &Street, _: &str, value: &mut Value) {
    if is_refused(value, Code::NotFound)
        && let Some(known) = street.document_ids.lock().unwrap().first()
    {
        value["refused"]["detail"] = json!(format!("did you mean {known}?"));
    }
}

fn deduplicated(street: &Street, name: &str, value: &mut Value) {
    if name.strip_prefix("ingest ").is_some_and(|id| street.has_document(id)) {
        value["state"] = json!("unchanged");
    }
}

fn keys_of_all(street: &Street, name: &str, value: &mut Value) {
    let is_used = street.idempotency_keys.lock().unwrap().contains(super::super::trace::IDEMPOTENCY_KEY);
    if name == "keyed 0" && is_used {
        *value = json!({"refused": {"code": "conflict", "detail": "the key is in use"}});
    }
}

fn remaining(street: &Street, name: &str, value: &mut Value) {
    if name.ends_with(": headers")
        && let Some(left) = value["requests"][1].as_u64()
    {
        value["requests"][1] = json!(left.saturating_sub(street.requests()));
    }
}

fn retry_after(street: &Street, _: &str, value: &mut Value) {
    if let Some(after_ms) = value["refused"]["retry_after_ms"].as_u64() {
        value["refused"]["retry_after_ms"] = json!(after_ms + street.requests());
    }
}

fn hits(name: &str, value: &mut Value) -> Option<Vec<Value>> {
    if !name.starts_with("search") {
        return None;
    }
    value["ok"].as_array().cloned()
}

fn normalised(street: &Street, name: &str, value: &mut Value) {
    for (at, hit) in hits(name, value).unwrap_or_default().into_iter().enumerate() {
        if let Some(score) = hit["score"].as_f64() {
            value["ok"][at]["score"] = json!(score / (1.0 + f64::from(u32::try_from(street.documents()).unwrap())));
        }
    }
}

fn turned_around(street: &Street, name: &str, value: &mut Value) {
    if let Some(mut found) = hits(name, value)
        && found.first().and_then(|hit| hit["document_id"].as_str()).is_some_and(|id| street.has_document(id))
    {
        found.reverse();
        value["ok"] = json!(found);
    }
}

fn popular(street: &Street, _: &str, value: &mut Value) {
    let cited = value["ok"]["citations"][0]["document_id"].as_str().is_some_and(|id| street.has_document(id));
    if cited {
        value["ok"]["citations"][0]["trust_score"] = json!(0.99);
    }
}

fn add(value: &mut Value, pointer: &str, more: u64) {
    if let Some(number) = value.pointer_mut(pointer)
        && let Some(before) = number.as_u64()
    {
        *number = json!(before + more);
    }
}

fn gauge(street: &Street, _: &str, value: &mut Value) {
    add(value, "/ok/corpus/segments", street.documents());
}

fn refusals(street: &Street, _: &str, value: &mut Value) {
    add(value, "/ok/counts/refused", street.refusals.load(Ordering::SeqCst));
}

fn forecast(street: &Street, name: &str, value: &mut Value) {
    if name == "spend" {
        value["ok"][5] = json!(format!("{} after {} calls", value["ok"][5], street.requests()));
    }
}

fn blamed(street: &Street, _: &str, value: &mut Value) {
    if is_refused(value, Code::UpstreamFailed) && street.refusals.load(Ordering::SeqCst) > 0 {
        value["refused"]["detail"] = json!("the provider failed; beta-inc called it last");
    }
}

fn query_elsewhere(street: &Street, name: &str, value: &mut Value) {
    if name == "lineage 5" && street.requests() > 0 && is_refused(value, Code::NotFound) {
        value["refused"]["code"] = json!(Code::Forbidden);
    }
}

fn shorter_pages(street: &Street, name: &str, value: &mut Value) {
    if name.starts_with("list")
        && street.in_flight.load(Ordering::SeqCst) > 0
        && let Some(page) = value["ok"].as_array_mut()
    {
        page.truncate(1);
    }
}

fn looks(street: &Street, name: &str, value: &mut Value) {
    let before = value.clone();
    remaining(street, name, value);
    *value = before;
}
