//! The smallest request for each route that it answers well. A route without one fails the test.
use super::Things;
use bailiwick::gateway::Route;
use serde_json::{Value, json};

pub fn new_tenant(name: &str) -> Value {
    json!({
        "name": name,
        "config": {"region": "local", "retention_days": 30},
        "quotas": {"max_requests_per_hour": 1000, "max_concurrent_requests": 8, "max_cost_per_month": 10, "max_storage_gb": 1},
        "metadata": {"industry": "general", "contact_email": "a@b.example"},
    })
}

/// The smallest request that this route answers well, apart from its tenant. A route without one fails the test.
pub fn sample(things: &Things, certificate: &str, route: &Route, number: usize) -> (String, Option<Value>) {
    let (path, Things { query_id, erasure }) = (route.path, things);
    let question = json!({"question": "How many days of paid leave does an employee have?"});
    let body = match (route.method, path) {
        ("POST", "/v1/ask") => Some(question),
        ("POST", "/v1/search") => Some(json!({"query": "paid leave"})),
        ("POST", "/v1/documents") => Some(json!({"documents": [{"id": "matrix", "title": "M", "text": "A matrix."}]})),
        ("POST", "/v1/feedback") => Some(json!({"query_id": query_id, "rating": "up"})),
        ("POST", "/v1/erasures") => Some(json!({"document": "never-here"})),
        // let in, and told that a backup needs the whole path
        ("POST", "/admin/v1/backups" | "/admin/v1/backups/prune") => Some(json!({"folder": "backups"})),
        ("POST", "/admin/v1/tenants/{id}/slo/override") => Some(json!({"minutes": 5, "reason": "the access matrix"})),
        ("POST", "/v1/chat/completions") => {
            Some(json!({"model": "bailiwick", "messages": [{"role": "user", "content": "How many days of leave?"}]}))
        }
        ("POST", "/v1/embeddings") => Some(json!({"model": "sentences", "input": "leave"})),
        ("POST", "/ofrep/v1/evaluate/flags" | "/ofrep/v1/evaluate/flags/{key}") => {
            Some(json!({"context": {"targetingKey": "user-1"}}))
        }
        // let in, and told that these are no files of a tenant
        ("POST", "/admin/v1/imports") => Some(json!({"files": {}})),
        ("POST", "/admin/v1/tenants") => Some(new_tenant(&format!("made-{number}"))),
        ("PATCH" | "PUT", "/admin/v1/tenants/{id}") => Some(json!({})),
        ("POST", "/admin/v1/tenants/{id}/suspend") => Some(json!({"reason": "the access matrix"})),
        ("POST", "/admin/v1/tenants/{id}/keys") => Some(json!({"role": "viewer"})),
        ("POST", "/admin/v1/tenants/{id}/budget/reconcile") => Some(json!({"charged_usd": "0"})),
        ("POST", "/admin/v1/tenants/{id}/budget/approve") => Some(json!({"minutes": 5})),
        ("POST", "/admin/v1/tenants/{id}/lineage/import") => {
            Some(json!({"file_sha256": "ab".repeat(32), "file": "lineage.jsonl", "after": 0, "lines": ["no lineage"]}))
        }
        ("POST", "/admin/v1/tenants/{id}/lineage/import/withdraw" | "/admin/v1/tenants/{id}/lineage/import/keep") => {
            Some(json!({"file_sha256": "ab".repeat(32)}))
        }
        // let in, and then told so: what an unknown request is told is what the door tells whom it does not let in
        ("POST", "/admin/v1/approvals/{id}/{approval}") => Some(json!({"approve": true, "minutes": 0})),
        ("POST", "/admin/v1/tenants/{id}/resume" | "/admin/v1/tenants/{id}/archive")
        | ("POST", "/admin/v1/policies/{id}/commit" | "/admin/v1/tenants/{id}/keys/{key_id}/rotate")
        | ("POST", "/admin/v1/policies/{id}/promote" | "/admin/v1/policies/{id}/rollback")
        | ("POST", "/admin/v1/tenants/{id}/encryption/rotate" | "/admin/v1/tenants/{id}/evals")
        | ("POST", "/admin/v1/tenants/{id}/weight")
        | ("GET" | "DELETE", _) => None,
        (method, path) => panic!("{method} {path} is not in the matrix: give it a sample request here"),
    };
    let path = match path {
        "/v1/lineage" | "/v1/receipts" => format!("{path}?query_id={query_id}"),
        "/v1/documents/{id}" if route.method == "DELETE" => "/v1/documents/spare".to_owned(),
        "/v1/documents/{id}" => "/v1/documents/leave".to_owned(),
        "/ofrep/v1/evaluate/flags/{key}" => "/ofrep/v1/evaluate/flags/streaming".to_owned(),
        "/v1/erasures/{id}" => format!("/v1/erasures/{erasure}"),
        "/v1/erasures/{id}/certificate" => format!("/v1/erasures/{erasure}/certificate"),
        "/admin/v1/certificates/{id}" => certificate.to_owned(),
        "/v1/models/{model}" => "/v1/models/bailiwick".to_owned(),
        path => path.to_owned(),
    };
    (path, body)
}
