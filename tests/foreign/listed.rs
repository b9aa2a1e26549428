//! Fields of bodies and headers, as the description of the interface has them: each is in the table, or is no id.
use super::support::foreign::{Level, of_level};
use bailiwick::gateway::openapi::build;
use serde_json::Value;
use std::collections::BTreeSet;

/// Fields that name nothing a tenant owns, each with what it is instead.
const NO_IDS: &[(&str, &str)] = &[
    ("ApproveBody.minutes", "a number"),
    ("AskBody.stream", "yes or no"),
    ("AskBody.top_k", "a number"),
    ("Cache-Control", "what the cache may do"),
    ("DocumentBody.metadata", "kept as it came"),
    ("DocumentBody.region", "a region"),
    ("DocumentBody.signature", "over the text beside it"),
    ("DocumentBody.text", "words"),
    ("DocumentBody.title", "words; beside another's source in the row of documents at level Tenant"),
    ("DocumentsBody.documents", "the documents themselves"),
    ("FeedbackBody.comment", "words"),
    ("FeedbackBody.correct_answer", "words"),
    ("FeedbackBody.rating", "one of two words"),
    ("LevelLimit.level", "a kind of level; the operator's, as everything of tenants' records"),
    ("LevelLimit.max_concurrent_requests", "a number"),
    ("LevelLimit.max_requests_per_hour", "a number"),
    ("LevelLimit.max_requests_per_minute", "a number"),
    ("LevelLimit.max_storage_gb", "a number"),
    ("LevelLimit.max_tokens_per_minute", "a number"),
    ("LevelLimit.name", "a name of the tenant's own whose quota the operator sets"),
    ("NewKey.expires_in_ms", "a number"),
    ("NewKey.role", "one of five words"),
    ("NewTenant.config", "a record; the operator's"),
    ("NewTenant.id", "the operator's, to whom every tenant is known"),
    ("NewTenant.metadata", "a record; the operator's"),
    ("NewTenant.name", "the operator's, to whom every tenant is known"),
    ("NewTenant.plan", "one of a few words"),
    ("NewTenant.quotas", "a record; the operator's"),
    ("NewTenant.signers", "public keys; the operator's"),
    ("Quotas.limits", "a list; the operator's"),
    ("Quotas.max_concurrent_requests", "a number"),
    ("Quotas.max_cost_per_month", "an amount"),
    ("Quotas.max_requests_per_hour", "a number"),
    ("Quotas.max_requests_per_minute", "a number"),
    ("Quotas.max_storage_gb", "a number"),
    ("Quotas.max_tokens_per_minute", "a number"),
    ("ReconcileBody.charged_usd", "an amount"),
    ("SearchBody.top_k", "a number"),
    ("SuspendBody.reason", "words"),
    ("TenantChanges.config", "a record; the operator's"),
    ("TenantChanges.metadata", "a record; the operator's"),
    ("TenantChanges.plan", "one of a few words"),
    ("TenantChanges.quotas", "a record; the operator's"),
    ("TenantConfig.encryption", "one of a few words"),
    ("TenantConfig.region", "a region"),
    ("TenantConfig.retention_days", "a number"),
    ("TenantMetadata.compliance", "names of regimes"),
    ("TenantMetadata.contact_email", "an address"),
    ("TenantMetadata.industry", "a word"),
];

/// Fields of one body that share a row of the table.
const TOGETHER: &[(&str, &str)] = &[
    ("DocumentBody.id", "document: id, source, domain, usecase"),
    ("DocumentBody.source", "document: id, source, domain, usecase"),
    ("DocumentBody.domain", "document: id, source, domain, usecase"),
    ("DocumentBody.usecase", "document: id, source, domain, usecase"),
];

#[test]
fn every_text_of_a_body_and_every_header_is_in_the_table_or_no_id() {
    let document = build();
    let mut found = BTreeSet::new();
    for (_path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["in"] == "header" {
                    found.insert(parameter["name"].as_str().unwrap().to_owned());
                }
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            gather(&document, body, &mut found);
        }
    }
    let rows: BTreeSet<&str> = of_level(Level::Http).map(|field| field.name).collect();
    assert!(TOGETHER.iter().all(|(_, row)| rows.contains(row)), "a row is gone");
    let rows: BTreeSet<&str> = rows.into_iter().chain(TOGETHER.iter().map(|(field, _)| *field)).collect();
    let no_ids: BTreeSet<&str> = NO_IDS.iter().map(|(field, _)| *field).collect();
    let missing: Vec<_> =
        found.iter().filter(|field| !rows.contains(field.as_str()) && !no_ids.contains(field.as_str())).collect();
    assert!(
        missing.is_empty(),
        "give these a row in tests/support/foreign.rs, or say here what they are: {missing:#?}"
    );
    let stale: Vec<_> = no_ids.iter().filter(|field| !found.contains(**field)).collect();
    assert!(stale.is_empty(), "no body and no header has these: {stale:?}");
}

/// Adds `Type.field` for every field below a schema that is a text or anything at all.
fn gather(document: &Value, schema: &Value, found: &mut BTreeSet<String>) {
    let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) else { return };
    let schema = &document["components"]["schemas"][name];
    for (field, inside) in schema["properties"].as_object().into_iter().flatten() {
        let whole = inside.to_string();
        if !found.insert(format!("{name}.{field}")) {
            continue;
        }
        let mut references: Vec<&str> = whole.split("\"$ref\":\"").skip(1).collect();
        references.retain(|rest| rest.starts_with("#/components/schemas/"));
        for rest in references {
            let path = rest.split('"').next().unwrap_or_default();
            gather(document, &serde_json::json!({"$ref": path}), found);
        }
    }
}
