//! The policies of a world: A's, which is the same in all worlds, and those of its neighbours, which are not.
use super::super::fixtures::{edit, metered, policy};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::parse::FileTexts;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A word no answer of A may contain.
pub(super) const FORBIDDEN: &str = "vermilion";
/// A key of A that may ask twice an hour.
pub(super) const SCARCE: &str = "scarce";
/// The domain nobody of A may find anything of.
pub(super) const HIDDEN: &str = "hidden";

fn remembering(texts: &mut FileTexts) {
    texts.get_mut("router.yaml").unwrap().push_str(
        "\ncache:\n  exact:\n    ttl_s: 60\n    max_bytes: 1048576\n  semantic:\n    ttl_s: 60\n    max_bytes: 1048576\n    \
         min_similarity: 0.87\n    embedding:\n      provider: meter\n      model: embedder\n",
    );
}

fn of_a(texts: &mut FileTexts) {
    metered(texts);
    let fallback = "max_tokens: 512\n  fallback:\n    provider: extractive\n    model: sentences\n    temperature: 0.0\n    \
                    max_tokens: 512\n";
    edit(texts, "router.yaml", "max_tokens: 512\n", fallback);
    edit(texts, "router.yaml", "monthly_limit_usd: 31000", "monthly_limit_usd: 0.31");
    // holds with records of their own: blocks of escrow are given back when a timer says so, which moves positions
    edit(texts, "router.yaml", "daily_limit_usd: 1000", "daily_limit_usd: 0.01\n  holds: strict");
    edit(texts, "slo.yaml", "error_rate_max: 0.01", "error_rate_max: 0.05");
    edit(texts, "features.yaml", "enabled: false\n    experimental: true", "enabled: true\n    experimental: true");
    texts.get_mut("features.yaml").unwrap().push_str("  tables:\n    enabled: true\n    rollout_percent: 25\n");
    edit(
        texts,
        "policies/governance.yaml",
        "output_forbidden_patterns:",
        &format!("output_forbidden_patterns:\n    - {FORBIDDEN}"),
    );
    let wall = format!(
        "  - id: wall\n    effect: forbid\n    actions: [retrieve]\n    when: {{ document.domain: {HIDDEN} }}\n    overrides: \
         [members-work]\n\nmetadata:\n"
    );
    edit(texts, "policies/governance.yaml", "metadata:\n", &wall);
    let limits = format!(
        "  max_storage_gb: 10\n  max_tokens_per_minute: 1000000\n  limits:\n    - {{level: key, name: {SCARCE}, \
         max_requests_per_hour: 2}}\n    - {{level: key, name: \"*\", max_concurrent_requests: 8}}\n"
    );
    edit(texts, "tenant.yaml", "  max_storage_gb: 10\n", &limits);
}

/// Which files a policy is compiled from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Files {
    OfA,
    NextOfA,
    Neighbours(&'static str),
}

/// A policy as its files say, compiled once: that takes longer than most of what a world does.
fn compiled(files: Files, has_caches: bool) -> Arc<PolicySnapshot> {
    static COMPILED: Mutex<BTreeMap<(Files, bool), Arc<PolicySnapshot>>> = Mutex::new(BTreeMap::new());
    let compile = || {
        let name = if let Files::Neighbours(name) = files { name } else { "default" };
        policy(name, |texts| {
            match files {
                Files::OfA | Files::NextOfA => of_a(texts),
                Files::Neighbours(_) => metered(texts),
            }
            if has_caches {
                remembering(texts);
            }
            if files == Files::NextOfA {
                edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 1.1.0");
                edit(texts, "policies/retrieval.yaml", "min_trust_score: 0.3", "min_trust_score: 0.4");
            }
        })
    };
    Arc::clone(COMPILED.lock().unwrap().entry((files, has_caches)).or_insert_with(compile))
}

/// A's policy without caches, or with both.
pub(super) fn of_tenant_a(has_caches: bool) -> Arc<PolicySnapshot> {
    compiled(Files::OfA, has_caches)
}

/// A's next version, under a guard that asks for more trust.
pub(super) fn next_of_tenant_a(has_caches: bool) -> Arc<PolicySnapshot> {
    compiled(Files::NextOfA, has_caches)
}

/// What sets one neighbour's policy apart from another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Strictness {
    pub(super) requests_per_minute: u32,
    pub(super) daily: NanoUsd,
    pub(super) top_k: usize,
    pub(super) has_caches: bool,
}

/// A neighbour's policy, of a version that follows from what it asks for.
pub(super) fn of_neighbour(name: &'static str, strictness: Strictness, version: u64) -> Arc<PolicySnapshot> {
    let mut snapshot = PolicySnapshot::clone(&compiled(Files::Neighbours(name), strictness.has_caches));
    snapshot.version = format!("9.{version}.{}", strictness.top_k);
    snapshot.tenant.quotas.max_requests_per_minute = Some(strictness.requests_per_minute);
    snapshot.router.budget.daily_limit_usd = strictness.daily;
    snapshot.top_k = strictness.top_k;
    Arc::new(snapshot)
}
