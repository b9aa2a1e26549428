//! The files of a tenant that is created over HTTP: they allow uploads and the embedded provider, and nothing else.
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::{EVALUATION, FEATURES, GOVERNANCE, RETRIEVAL, ROUTER, SLO, SOVEREIGNTY, TENANT, USERS};
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::schema::{Encryption, LevelLimit, Plan, Quotas, RetrievalStorage, Status, TenantFile};
use bailiwick_policy::sovereignty::{REGION_UNDECLARED, Region};

/// Days in the longest month: the daily ceiling times this never exceeds the monthly one.
const DAYS_OF_A_MONTH: u64 = 31;

/// A string as YAML: JSON's double-quoted form, which YAML 1.2 reads the same way.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let items: Vec<_> = texts.into_iter().map(|text| quoted(text)).collect();
    format!("[{}]", items.join(", "))
}

/// `tenant.yaml` of a record.
#[must_use]
pub fn record(record: &TenantFile) -> String {
    let status = match record.status {
        Status::Active => "active",
        Status::Suspended => "suspended",
        Status::Archived => "archived",
    };
    let plan = match record.plan {
        Plan::Free => "free",
        Plan::Pro => "pro",
        Plan::Enterprise => "enterprise",
    };
    let encryption = match record.config.encryption {
        Encryption::Standard => "standard",
        Encryption::Enhanced => "enhanced",
    };
    let time = |key: &str, value: &Option<String>| {
        value.as_ref().map(|at| format!("{key}: {}\n", quoted(at))).unwrap_or_default()
    };
    format!(
        "id: {id}\nname: {name}\nstatus: {status}\nplan: {plan}\n{created}{updated}\nconfig:\n  region: {region}\n  retention_days: {days}\n  \
         encryption: {encryption}\n\nquotas:\n{quotas}{storage}\nmetadata:\n  industry: {industry}\n  compliance: {compliance}\n  \
         contact_email: {contact}\n",
        id = quoted(&record.id.to_string()),
        name = quoted(&record.name),
        created = time("created_at", &record.created_at),
        updated = time("updated_at", &record.updated_at),
        region = quoted(&record.config.region),
        days = record.config.retention_days,
        quotas = quotas(&record.quotas),
        storage = record.storage.as_ref().map(storage).unwrap_or_default(),
        industry = quoted(&record.metadata.industry),
        compliance = list(&record.metadata.compliance),
        contact = quoted(&record.metadata.contact_email),
    )
}

fn quotas(quotas: &Quotas) -> String {
    let figure =
        |key: &str, value: Option<String>| value.map(|value| format!("  {key}: {value}\n")).unwrap_or_default();
    let limits = quotas.limits.iter().map(limit).collect::<String>();
    [
        figure("max_requests_per_hour", Some(quotas.max_requests_per_hour.to_string())),
        figure("max_requests_per_minute", quotas.max_requests_per_minute.map(|count| count.to_string())),
        figure("max_tokens_per_minute", quotas.max_tokens_per_minute.map(|count| count.to_string())),
        figure("max_concurrent_requests", Some(quotas.max_concurrent_requests.to_string())),
        figure("max_cost_per_month", Some(quoted(&quotas.max_cost_per_month.to_string()))),
        figure("max_storage_gb", Some(format!("{:?}", quotas.max_storage_gb))),
        if limits.is_empty() { String::new() } else { format!("  limits:\n{limits}") },
    ]
    .concat()
}

/// `storage`, on one line, as JSON writes it.
fn storage(storage: &RetrievalStorage) -> String {
    serde_json::to_value(storage).map(|value| format!("\nstorage: {value}\n")).unwrap_or_default()
}

/// One entry of `quotas.limits`, on one line, as JSON writes it: YAML 1.2 reads that the same way.
fn limit(limit: &LevelLimit) -> String {
    serde_json::to_value(limit).map(|value| format!("    - {value}\n")).unwrap_or_default()
}

/// Every file of a new tenant. Sources: only uploads. Provider: only the embedded one. Regions: only its own, and this node's
/// where the node names none: whoever creates a tenant on it knows where it stands.
#[must_use]
pub fn folder(tenant: &TenantFile, node: &Region, now_rfc3339: &str) -> FileTexts {
    let name = quoted(&tenant.name);
    let month = tenant.quotas.max_cost_per_month;
    let day = NanoUsd(month.0 / DAYS_OF_A_MONTH);
    let region = quoted(&tenant.config.region);
    let objectives = "p95_latency_ms: 3100\n  error_rate_max: 0.01\n  cost_per_1k_qa_usd: 0.10";
    let router = format!(
        "tenant_id: {name}\nrouting:\n  primary:\n    provider: extractive\n    model: sentences\n    temperature: 0.0\n    max_tokens: 512\n\n\
         sla:\n  {objectives}\n\nbudget:\n  monthly_limit_usd: {month}\n  daily_limit_usd: {day}\n",
        month = quoted(&month.to_string()),
        day = quoted(&day.to_string()),
    );
    let here = if node.as_str() == REGION_UNDECLARED && tenant.config.region != REGION_UNDECLARED {
        format!(", {REGION_UNDECLARED}")
    } else {
        String::new()
    };
    let sovereignty = format!(
        "tenant_id: {name}\ndata_sovereignty:\n  region: {region}\n  # local: a node that names no region of its own\n  \
         allowed_regions: [{region}{here}]\n  forbidden_regions: []\n\n  \
         retention:\n    logs_days: 30\n    data_days: 0\n    backups_days: 30\n\n  encryption:\n    at_rest: AES-256\n    \
         in_transit: TLS-1.3\n\n  compliance: {compliance}\n",
        compliance = list(&tenant.metadata.compliance),
    );
    let policy = |settings: &str, rules: &str| policy(tenant, settings, rules, now_rfc3339);
    let files = [
        (TENANT, record(tenant)),
        (ROUTER, router),
        (FEATURES, format!("tenant_id: {name}\nfeatures: {{}}\n")),
        (SOVEREIGNTY, sovereignty),
        (SLO, format!("tenant_id: {name}\nslo:\n  availability: 0.99\n  {objectives}\n")),
        (USERS, format!("tenant_id: {name}\nusers: []\n")),
        (RETRIEVAL, policy(RETRIEVAL_SETTINGS, "rules: []\n")),
        (EVALUATION, policy(EVALUATION_SETTINGS, "rules: []\n")),
        (GOVERNANCE, policy(GOVERNANCE_SETTINGS, RULES)),
    ];
    files.into_iter().map(|(file, text)| (file.to_owned(), text)).collect()
}

fn policy(tenant: &TenantFile, settings: &str, rules: &str, now: &str) -> String {
    format!(
        "tenant_id: {name}\ndomain_id: \"*\"\nusecase_id: \"*\"\npolicy_semver: 1.0.0\n\nsettings:\n{settings}\n{rules}\nmetadata:\n  created_at: {now}\n  \
         updated_at: {now}\n  author: {author}\n  approval_status: approved\n",
        name = quoted(&tenant.name),
        now = quoted(now),
        author = quoted(&tenant.metadata.contact_email),
    )
}

const RETRIEVAL_SETTINGS: &str = "  security:
    # uploads only; add the hosts documents may come from
    allowlist: [upload.local]
    forbidden_patterns:
      - '(?i)\\bignore\\s+(all\\s+)?(the\\s+|your\\s+)?(previous|prior|above)\\s+instructions\\b'
    signature_required: false
    min_trust_score: 0.3
    trust_scores:
      upload.local: 0.7
    default_trust_score: 0.5
  top_k: 8
";
const EVALUATION_SETTINGS: &str = "  sample_rate: 0.05\n  min_ndcg_at_10: 0.6\n  min_groundedness: 0.9\n";
const GOVERNANCE_SETTINGS: &str = "  output_forbidden_patterns:
    - '-----BEGIN [A-Z ]*PRIVATE KEY-----'
  require_citations: true
  # empty: only the models of router.yaml may be named
  allowed_models: []
";
/// What the roles' rights allow is permitted; the tenant narrows it.
const RULES: &str = "rules:
  - id: members-work
    effect: permit
    actions: [ask, search, complete, embed, ingest, remove, feedback, read, retrieve]
  - id: models-of-the-router
    effect: permit
    actions: [generate]
";
