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
    ("BackupBody.folder", "a folder of the machine; the operator's"),
    ("Cache-Control", "what the cache may do"),
    ("DecideBody.approve", "yes or no"),
    ("DecideBody.minutes", "a number"),
    ("DocumentBody.metadata", "kept as it came"),
    ("DocumentBody.region", "a region"),
    ("DocumentBody.signature", "over the text beside it"),
    ("DocumentBody.text", "words"),
    ("DocumentBody.title", "words; beside another's source in the row of documents at level Tenant"),
    ("DocumentsBody.documents", "the documents themselves"),
    ("ErasureBody.basis", "words"),
    ("ErasureBody.data_type", "one of a few words"),
    ("ErasureBody.within_days", "a number"),
    ("FeedbackBody.comment", "words"),
    ("FeedbackBody.correct_answer", "words"),
    ("FeedbackBody.rating", "one of two words"),
    ("FeedbackBody.rejected_chunks", "compared with what the judged answer cites, and with nothing else"),
    ("ImportBody.after", "a number"),
    ("ImportBody.file", "what the asker's own file is called"),
    ("ImportBody.file_sha256", "the digest of what the asker sends: an import of its own"),
    ("ImportBody.lines", "words"),
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
    ("OverrideBody.minutes", "a number"),
    ("OverrideBody.reason", "words that the tenant's own people say to each other"),
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
    ("TenantFiles.files", "a folder; the operator's"),
    ("TenantMetadata.compliance", "names of regimes"),
    ("TenantMetadata.contact_email", "an address"),
    ("TenantMetadata.industry", "a word"),
];

/// Parameters of queries that name nothing a tenant owns.
const NO_IDS_IN_QUERIES: &[(&str, &str)] = &[
    ("limit", "a number"),
    ("since", "a number"),
    ("from", "a day, or a place in the operator's audit trail"),
    ("to", "a day"),
    ("group_by", "names of dimensions"),
    ("format", "one of two words"),
    ("week", "a week"),
    ("partial", "yes or no"),
    ("shred", "yes or no; the operator's"),
    ("tenant", "of the audit trail; the operator's, to whom every tenant is known"),
];

/// The one query whose type stands elsewhere: filters of the fleet's list, for the operator alone.
const OF_THE_OPERATOR: &str = "TenantFilters";

/// Fields of one body that share a row of the table.
const TOGETHER: &[(&str, &str)] = &[
    ("AskBody.conversation_id", "ask: conversation_id, user"),
    ("AskBody.user", "ask: conversation_id, user"),
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

#[test]
fn every_parameter_of_a_query_is_in_the_table_or_no_id() {
    let (mut types, mut source) = (BTreeSet::new(), String::new());
    for entry in std::fs::read_dir(super::support::repository().join("src/gateway")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            source.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    for line in source.lines().filter(|line| line.contains("body::query")) {
        let words = line.split(|letter: char| !letter.is_alphanumeric());
        let named = words
            .into_iter()
            .find(|word| word.ends_with("Query") || word.ends_with("Export") || word.ends_with("Filters"));
        types.insert(named.unwrap_or_else(|| panic!("of which type is the query in {line:?}?")).to_owned());
    }
    assert!(types.remove(OF_THE_OPERATOR) && types.len() >= 6, "{types:?}");
    let rows: BTreeSet<&str> = of_level(Level::Http).map(|field| field.name).collect();
    let mut found = 0;
    for of_type in &types {
        let (_, body) = source.split_once(&format!("struct {of_type} {{")).unwrap();
        let (fields, _) = body.split_once("\n}").unwrap();
        for field in fields.lines().map(str::trim).filter(|line| !line.starts_with(['#', '/'])) {
            let Some((name, _)) = field.split_once(':') else { continue };
            let is_no_id = NO_IDS_IN_QUERIES.iter().any(|(field, _)| *field == name);
            assert!(
                is_no_id || rows.contains(format!("?{name}").as_str()),
                "{of_type}.{name}: give it a row, or say what it is"
            );
            found += 1;
        }
    }
    assert!(found >= 10, "{found} parameters were found");
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
