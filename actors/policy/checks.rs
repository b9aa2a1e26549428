//! What must hold in each file, once it can be read: every failed check keeps the tenant from serving.
use crate::findings::{Findings, Source};
use crate::guard::Guard;
use crate::levels::Level;
use crate::parse::advice;
use crate::patterns;
use crate::quotas::LIMITS_MAX;
use crate::schema::*;
use crate::sovereignty::{region_allowed, region_pattern_problem, region_problem};
use crate::{budget, caches, dense, features, regimes, rerank, retention, stores};
use bailiwick_kernel::limits::{NAME_CHARS_MAX, TENANT_NAME_CHARS_MAX, TOP_K_MAX};
use regex::RegexSet;
use std::collections::BTreeSet;

const AT_REST: [&str; 2] = ["AES-256", "AES-256-GCM"];
const IN_TRANSIT: [&str; 2] = ["TLS-1.3", "TLS-1.2"];
/// Largest sampling temperature any provider takes.
const TEMPERATURE_MAX: f64 = 2.0;
/// Golden questions are asked once a year at least, where a policy wants them asked by themselves.
const EVALUATION_HOURS_MAX: u32 = 8_784;

/// What is wrong with a text as a tenant's name; `None` where it is one. The name is a folder's name as well.
#[must_use]
pub fn name_problem(name: &str) -> Option<String> {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let fits = !name.is_empty()
        && name.len() <= TENANT_NAME_CHARS_MAX
        && letters
        && !name.starts_with('-')
        && !name.ends_with('-');
    (!fits).then(|| {
        format!("{name:?} is no tenant name: write 1 to {TENANT_NAME_CHARS_MAX} lower-case letters, digits and hyphens, no hyphen at either end")
    })
}

pub(crate) fn tenant(source: &Source<TenantFile>, folder_name: &str, findings: &mut Findings) {
    let file = &source.value;
    if file.name != folder_name {
        findings.refuse(
            source,
            "name",
            format!("{:?} is not the name of the folder: write {folder_name:?} or rename the folder", file.name),
        );
    }
    if file.id.is_nil() {
        findings.refuse(source, "id", "the zero id belongs to nobody: write a random UUID");
    }
    if let Some(problem) = region_problem(&file.config.region) {
        findings.refuse(source, "config.region", problem);
    }
    quotas(source, findings);
    stores::check(source, findings);
    regimes::known(source, "metadata.compliance", &file.metadata.compliance, findings);
    if !file.metadata.contact_email.contains('@') {
        findings.refuse(source, "metadata.contact_email", "this is no mail address: write one with an @");
    }
    let times = [("created_at", file.created_at.as_deref()), ("updated_at", file.updated_at.as_deref())];
    let times = times.map(|(path, text)| text.and_then(|text| time(source, path, text, findings)));
    ordered(source, "updated_at", times, findings);
}

fn quotas(source: &Source<TenantFile>, findings: &mut Findings) {
    let quotas = &source.value.quotas;
    findings.positive(source, "quotas.max_requests_per_hour", quotas.max_requests_per_hour.into());
    findings.positive(source, "quotas.max_concurrent_requests", quotas.max_concurrent_requests.into());
    optional(source, "quotas.max_requests_per_minute", quotas.max_requests_per_minute.map(u64::from), findings);
    optional(source, "quotas.max_tokens_per_minute", quotas.max_tokens_per_minute, findings);
    size(source, "quotas.max_storage_gb", quotas.max_storage_gb, findings);
    if quotas.limits.len() > LIMITS_MAX {
        let problem = format!("{} limits are too many: write at most {LIMITS_MAX}", quotas.limits.len());
        return findings.refuse(source, "quotas.limits", problem);
    }
    let mut seen = BTreeSet::new();
    for (index, limit) in quotas.limits.iter().enumerate() {
        let path = format!("quotas.limits[{index}]");
        level_limit(source, &path, limit, findings);
        if !seen.insert((limit.level, limit.name.as_str())) {
            let problem =
                format!("the {} {:?} stands here twice: keep one, with all its figures", limit.level, limit.name);
            findings.refuse(source, &format!("{path}.name"), problem);
        }
    }
}

fn level_limit(source: &Source<TenantFile>, path: &str, limit: &LevelLimit, findings: &mut Findings) {
    findings.written(source, &format!("{path}.name"), &limit.name);
    if limit.name.chars().count() > NAME_CHARS_MAX {
        findings.refuse(
            source,
            &format!("{path}.name"),
            format!("the name is longer than {NAME_CHARS_MAX} characters, and no member's is: shorten it"),
        );
    }
    let counts = [
        ("max_requests_per_hour", limit.max_requests_per_hour.map(u64::from)),
        ("max_requests_per_minute", limit.max_requests_per_minute.map(u64::from)),
        ("max_tokens_per_minute", limit.max_tokens_per_minute),
        ("max_concurrent_requests", limit.max_concurrent_requests.map(u64::from)),
    ];
    for (key, count) in counts {
        optional(source, &format!("{path}.{key}"), count, findings);
    }
    let storage = format!("{path}.max_storage_gb");
    match limit.max_storage_gb {
        Some(_) if matches!(limit.level, Level::User | Level::Key) => {
            let problem = format!(
                "a document belongs to a domain and a use case, not to a {}: set this at one of those levels",
                limit.level
            );
            findings.refuse(source, &storage, problem);
        }
        Some(gigabytes) => size(source, &storage, gigabytes, findings),
        None if counts.iter().all(|(_, count)| count.is_none()) => {
            findings.refuse(source, &format!("{path}.level"), "this limits nothing: give it a figure or remove it");
        }
        None => {}
    }
}

fn optional(source: &Source<TenantFile>, path: &str, count: Option<u64>, findings: &mut Findings) {
    if let Some(count) = count {
        findings.positive(source, path, count);
    }
}

fn size(source: &Source<TenantFile>, path: &str, gigabytes: f64, findings: &mut Findings) {
    if !gigabytes.is_finite() || gigabytes < 0.0 {
        findings.refuse(source, path, format!("{gigabytes} is no size: write gigabytes, 0 or more"));
    }
}

pub(crate) fn belongs<T>(source: &Source<T>, tenant_id: &str, folder_name: &str, findings: &mut Findings) {
    if tenant_id != folder_name {
        findings.refuse(source, "tenant_id", format!("{tenant_id:?} is not this tenant: write {folder_name:?}"));
    }
}

pub(crate) fn head<Settings>(source: &Source<PolicyFile<Settings>>, folder_name: &str, findings: &mut Findings) {
    let file = &source.value;
    belongs(source, &file.tenant_id, folder_name, findings);
    findings.written(source, "domain_id", &file.domain_id);
    findings.written(source, "usecase_id", &file.usecase_id);
    if let Err(error) = semver::Version::parse(&file.policy_semver) {
        findings.refuse(
            source,
            "policy_semver",
            format!("{:?} is no version ({error}): write one such as 1.2.3", file.policy_semver),
        );
    }
    let times =
        [("metadata.created_at", &file.metadata.created_at), ("metadata.updated_at", &file.metadata.updated_at)];
    let times = times.map(|(path, text)| time(source, path, text, findings));
    ordered(source, "metadata.updated_at", times, findings);
    findings.written(source, "metadata.author", &file.metadata.author);
    let refusal = match file.metadata.approval_status {
        Approval::Approved => return,
        Approval::Pending => "a pending policy never serves: have it approved",
        Approval::Rejected => "a rejected policy never serves: restore the version before it",
    };
    findings.refuse(source, "metadata.approval_status", refusal);
}

pub(crate) fn time<T>(source: &Source<T>, path: &str, text: &str, findings: &mut Findings) -> Option<jiff::Timestamp> {
    match text.parse() {
        Ok(time) => Some(time),
        Err(error) => {
            let error: jiff::Error = error;
            findings.refuse(
                source,
                path,
                format!("{text:?} is no time ({error}): write one such as 2025-10-08T12:00:00Z"),
            );
            None
        }
    }
}

fn ordered<T>(source: &Source<T>, path: &str, times: [Option<jiff::Timestamp>; 2], findings: &mut Findings) {
    if let [Some(created), Some(updated)] = times
        && updated < created
    {
        findings.refuse(source, path, "the last change lies before the creation: correct one of them");
    }
}

pub(crate) fn retrieval(source: &Source<RetrievalPolicy>, findings: &mut Findings) -> Option<Guard> {
    let settings = &source.value.settings;
    let top_k_fits = usize::try_from(settings.top_k).is_ok_and(|top_k| (1..=TOP_K_MAX).contains(&top_k));
    if !top_k_fits {
        findings.refuse(
            source,
            "settings.top_k",
            format!("{} is out of range: write 1 to {TOP_K_MAX}", settings.top_k),
        );
    }
    dense::check(source, findings);
    rerank::check(source, findings);
    let refuse = |errors: Vec<crate::guard::GuardError>| {
        errors
            .iter()
            .for_each(|error| findings.refuse(source, &format!("settings.security.{}", error.path), &error.problem));
    };
    Guard::compile(&settings.security).map_err(refuse).ok()
}

pub(crate) fn evaluation(source: &Source<EvaluationPolicy>, findings: &mut Findings) {
    let settings = &source.value.settings;
    findings.share(source, "settings.sample_rate", settings.sample_rate);
    findings.share(source, "settings.min_ndcg_at_10", settings.min_ndcg_at_10);
    findings.share(source, "settings.min_groundedness", settings.min_groundedness);
    if let Some(judge) = &settings.judge {
        findings.written(source, "settings.judge.model", &judge.model);
    }
    if let Some(every_hours) = settings.every_hours
        && !(1..=EVALUATION_HOURS_MAX).contains(&every_hours)
    {
        let problem = format!("{every_hours} is out of range: write 1 to {EVALUATION_HOURS_MAX}, or leave it out");
        findings.refuse(source, "settings.every_hours", problem);
    }
}

pub(crate) fn governance(source: &Source<GovernancePolicy>, findings: &mut Findings) -> Option<RegexSet> {
    let settings = &source.value.settings;
    for (index, model) in settings.allowed_models.iter().enumerate() {
        findings.written(source, &format!("settings.allowed_models[{index}]"), model);
    }
    if settings.rollout.as_ref().is_some_and(|rollout| rollout.failures.is_empty()) {
        let problem = "nothing would ever count as a failure, and every version as good: name at least one kind";
        findings.refuse(source, "settings.rollout.failures", problem);
    }
    retention::check(source, findings);
    let list = "settings.output_forbidden_patterns";
    let path = |index: Option<usize>| index.map_or_else(|| list.to_owned(), |index| format!("{list}[{index}]"));
    let refuse = |problems: Vec<(Option<usize>, String)>| {
        problems.iter().for_each(|(index, problem)| findings.refuse(source, &path(*index), problem));
    };
    patterns::compile(&settings.output_forbidden_patterns).map_err(refuse).ok()
}

pub(crate) fn router(source: &Source<RouterFile>, folder_name: &str, findings: &mut Findings) {
    let file = &source.value;
    belongs(source, &file.tenant_id, folder_name, findings);
    let routes =
        [("routing.primary", Some(&file.routing.primary)), ("routing.fallback", file.routing.fallback.as_ref())];
    for (path, route) in routes.into_iter().filter_map(|(path, route)| Some((path, route?))) {
        findings.written(source, &format!("{path}.provider"), &route.provider);
        findings.written(source, &format!("{path}.model"), &route.model);
        if route.provider == CACHE_PROVIDER {
            let problem = "answers out of the cache are recorded under this name: call the provider otherwise";
            findings.refuse(source, &format!("{path}.provider"), problem);
        }
        findings.positive(source, &format!("{path}.max_tokens"), route.max_tokens.into());
        if !(0.0..=TEMPERATURE_MAX).contains(&route.temperature) {
            findings.refuse(
                source,
                &format!("{path}.temperature"),
                format!("{} is out of range: write 0 to {TEMPERATURE_MAX}", route.temperature),
            );
        }
    }
    caches::check(source, findings);
    findings.positive(source, "sla.p95_latency_ms", file.sla.p95_latency_ms);
    findings.share(source, "sla.error_rate_max", file.sla.error_rate_max);
    budget::check(source, findings);
}

pub(crate) fn features(source: &Source<FeaturesFile>, folder_name: &str, findings: &mut Findings) {
    belongs(source, &source.value.tenant_id, folder_name, findings);
    features::check(source, findings);
}

pub(crate) fn sovereignty(source: &Source<SovereigntyFile>, folder_name: &str, findings: &mut Findings) {
    belongs(source, &source.value.tenant_id, folder_name, findings);
    let rules = &source.value.data_sovereignty;
    for (list, patterns) in
        [("allowed_regions", &rules.allowed_regions), ("forbidden_regions", &rules.forbidden_regions)]
    {
        for (index, pattern) in patterns.iter().enumerate() {
            if let Some(problem) = region_pattern_problem(pattern) {
                findings.refuse(source, &format!("data_sovereignty.{list}[{index}]"), problem);
            }
        }
    }
    if let Err(problem) = region_allowed(rules, &rules.region) {
        findings.refuse(source, "data_sovereignty.region", format!("the home region must be usable: {problem}"));
    }
    let encryption = &rules.encryption;
    let kinds = [("at_rest", &encryption.at_rest, AT_REST), ("in_transit", &encryption.in_transit, IN_TRANSIT)];
    for (key, value, known) in kinds {
        if !known.contains(&value.as_str()) {
            findings.refuse(
                source,
                &format!("data_sovereignty.encryption.{key}"),
                format!("cannot encrypt with {value:?}: {}", advice(value, &known)),
            );
        }
    }
    if let Some(days) = encryption.key_rotation_days {
        findings.positive(source, "data_sovereignty.encryption.key_rotation_days", days.into());
    }
    if let Some(key) = &encryption.kms_key_id {
        findings.written(source, "data_sovereignty.encryption.kms_key_id", key);
        key_region(source, key, findings);
    }
    regimes::known(source, "data_sovereignty.compliance", &rules.compliance, findings);
    regimes::demands(source, findings);
    longest(source, findings);
}

/// A maximum below its minimum would make a conflict of every document.
fn longest(source: &Source<SovereigntyFile>, findings: &mut Findings) {
    let retention = &source.value.data_sovereignty.retention;
    let Some(most) = retention.data_days_max else { return };
    let path = "data_sovereignty.retention.data_days_max";
    if most == 0 {
        findings.refuse(source, path, "0 would erase every document as it comes: write at least 1, or leave it out");
    } else if most < retention.data_days {
        let problem = format!(
            "a document would have to go after {most} days and to stay for the {} of data_days: raise this one or lower that",
            retention.data_days
        );
        findings.refuse(source, path, problem);
    }
}

/// The key opens the data: a key whose name says where it is kept must be kept where the data may be.
fn key_region(source: &Source<SovereigntyFile>, key: &str, findings: &mut Findings) {
    // arn:partition:service:region:account:resource, vault:region:mount/key
    let mut parts = key.split(':');
    let region = match parts.next() {
        Some("arn") => parts.nth(2),
        Some("vault") => parts.next(),
        _ => None,
    };
    if let Some(region) = region
        && let Err(problem) = region_allowed(&source.value.data_sovereignty, region)
    {
        let path = "data_sovereignty.encryption.kms_key_id";
        findings.refuse(source, path, format!("the key is kept where the data may not be: {problem}"));
    }
}

/// The home region stands in two files, and both must say the same.
pub(crate) fn one_home(tenant: &Source<TenantFile>, sovereignty: &Source<SovereigntyFile>, findings: &mut Findings) {
    let (here, there) = (&tenant.value.config.region, &sovereignty.value.data_sovereignty.region);
    if here != there {
        findings.refuse(
            tenant,
            "config.region",
            format!("{here:?} is not the home region {there:?} of {}: make them equal", sovereignty.file),
        );
    }
}

pub(crate) fn slo(source: &Source<SloFile>, folder_name: &str, findings: &mut Findings) {
    belongs(source, &source.value.tenant_id, folder_name, findings);
    let objectives = &source.value.slo;
    findings.share(source, "slo.availability", objectives.availability);
    findings.share(source, "slo.error_rate_max", objectives.error_rate_max);
    findings.positive(source, "slo.p95_latency_ms", objectives.p95_latency_ms);
}

pub(crate) fn users(source: &Source<UsersFile>, folder_name: &str, findings: &mut Findings) {
    belongs(source, &source.value.tenant_id, folder_name, findings);
    let mut seen = BTreeSet::new();
    for (index, user) in source.value.users.iter().enumerate() {
        let path = format!("users[{index}].user_id");
        findings.written(source, &path, &user.user_id);
        if !seen.insert(user.user_id.as_str()) {
            findings.refuse(
                source,
                &path,
                format!("user {:?} stands here twice: keep one, with one role", user.user_id),
            );
        }
    }
}
