//! From what the rooms say to facts. Pure: one line a fact.
use super::facts::*;
use super::messages::TenantSource;
use super::verification::unix_ms;
use crate::backup::{Evidence, Shown};
use crate::kms::KeyStanding;
use crate::policy_watchdog::messages::Patrol;
use crate::policy_watchdog::rules::deviation;
use crate::registry::rules::is_usable;
use bailiwick_kernel::transparency::checkpoint;
use bailiwick_policy::access::{Right, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::flags::ServiceLevel;
use bailiwick_policy::guard::DocumentVerdict;
use bailiwick_policy::schema::{User, UserStatus};
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::egress::clear_to_keep;
use bailiwick_tenant::proofs::forms::SignedHead;
use bailiwick_tenant::proofs::messages::JournalVerified;
use std::collections::BTreeSet;

const POLICY: &str = "policy in force";
const REGISTRY: &str = "registry";
const JOURNAL: &str = "control journal";
const SUPERVISOR: &str = "supervisor";
const CONFIGURATION: &str = "configuration";
const KEYS: &str = "key service";
const WATCHDOG: &str = "policy watchdog";
const BACKUPS: &str = "backups";
const RETRIEVAL: &str = "retrieval room";
const OWN: &str = "compliance room";

/// A source nobody can have listed by name (RFC 2606).
const UNLISTED: &str = "https://unlisted.invalid/";
const DAY_MS: u64 = 86_400_000;

/// What the node is configured to do; what nothing is said of is unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStanding {
    /// Where it keeps everything.
    pub region: Region,
    /// Oldest version of TLS its listener speaks, such as `TLS-1.3`; empty where it speaks plain HTTP.
    pub tls: Option<&'static str>,
}

/// What the registry and the policy that is to be in force say.
pub fn of_registry(facts: &mut Facts, source: &TenantSource, now: u64) {
    let usable: Vec<_> = source.keys.iter().filter(|key| is_usable(key, now)).collect();
    let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
    facts.note(&KEYS_USABLE, count(usable.len()), REGISTRY, now);
    let endless = usable.iter().filter(|key| key.expires_unix_ms.is_none()).count();
    facts.note(&KEYS_WITHOUT_END, count(endless), REGISTRY, now);
    let nameless = usable.iter().filter(|key| key.user_id.is_none()).count();
    facts.note(&KEYS_WITHOUT_USER, count(nameless), REGISTRY, now);
    facts.note(&POLICY_DRIFT, source.drift.iter().cloned().collect::<Vec<_>>(), REGISTRY, now);
    facts.note(&POLICY_SIGNERS, source.signed_by.clone(), JOURNAL, now);
    if let Some(last) = source.weeks.last()
        && let Some(at_unix_ms) = unix_ms(&last.reported_at)
    {
        facts.note(&REPORT_MADE, last.week.as_str(), JOURNAL, at_unix_ms);
    }
    let Some(policy) = &source.policy else { return };
    let settled = policy.settled();
    let named: BTreeSet<&str> = usable.iter().filter_map(|key| key.user_id.as_deref()).collect();
    let is_absent = |user: &&str| settled.user(user).is_none_or(|user| user.status == UserStatus::Locked);
    let absent: Vec<_> = named.into_iter().filter(is_absent).map(str::to_owned).collect();
    facts.note(&KEYS_OF_ABSENT, absent, REGISTRY, now);
    of_policy(facts, &settled, now);
}

fn of_policy(facts: &mut Facts, policy: &PolicySnapshot, now: u64) {
    let (rules, governance) = (&policy.sovereignty, &policy.governance);
    let users = |is: fn(&User) -> bool| -> Vec<String> {
        let active = policy.users.iter().filter(|user| user.status == UserStatus::Active && is(user));
        active.map(|user| user.user_id.clone()).collect()
    };
    let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
    let days = |days: Option<u32>| u64::from(days.unwrap_or(0));
    let conflicts = policy.conflicts.found.iter().filter(|conflict| conflict.kind.refuses()).count();
    facts.note(&USERS_GOVERNING, users(|user| user.role.may(Right::Govern)), POLICY, now);
    facts.note(&USERS_AUDITING, users(|user| user.role == Role::Auditor), POLICY, now);
    facts.note(&POLICY_APPROVALS, u64::from(governance.approvals), POLICY, now);
    facts.note(&POLICY_CONFLICTS, count(conflicts), POLICY, now);
    facts.note(&POLICY_REHEARSED, governance.sandbox.is_some(), POLICY, now);
    facts.note(&POLICY_STAGED, governance.rollout.is_some(), POLICY, now);
    facts.note(&CITATIONS_REQUIRED, governance.require_citations, POLICY, now);
    facts.note(&OUTPUT_PATTERNS, count(governance.output_forbidden_patterns.len()), POLICY, now);
    facts.note(&AT_REST_ASKED, rules.encryption.at_rest.as_str(), POLICY, now);
    facts.note(&IN_TRANSIT_ASKED, rules.encryption.in_transit.as_str(), POLICY, now);
    facts.note(&KMS_KEY_NAMED, rules.encryption.kms_key_id.as_deref().unwrap_or_default(), POLICY, now);
    facts.note(&ROTATION_DAYS, days(rules.encryption.key_rotation_days), POLICY, now);
    facts.note(&LOGS_DAYS, u64::from(rules.retention.logs_days), POLICY, now);
    facts.note(&DATA_DAYS, u64::from(rules.retention.data_days), POLICY, now);
    facts.note(&DATA_DAYS_MAX, days(rules.retention.data_days_max), POLICY, now);
    facts.note(&BACKUPS_DAYS, u64::from(rules.retention.backups_days), POLICY, now);
    let guard = &policy.guard;
    let tried = guard.judge_document(UNLISTED, true);
    facts.note(&GUARD_REFUSES, matches!(tried, DocumentVerdict::Quarantined { .. }), OWN, now);
    facts.note(&GUARD_SIGNATURES, guard.signature_required, POLICY, now);
    facts.note(&GUARD_TRUST, hundredths(guard.min_trust_score), POLICY, now);
}

/// A share in hundredths.
fn hundredths(share: f64) -> u64 {
    (0_u32..=100).rev().find(|hundredth| f64::from(*hundredth) / 100.0 <= share).map_or(0, u64::from)
}

/// What the node is, for a tenant of this policy.
pub fn of_node(facts: &mut Facts, node: &NodeStanding, policy: Option<&PolicySnapshot>, now: u64) {
    facts.note(&NODE_REGION, node.region.as_str(), CONFIGURATION, now);
    if let Some(tls) = node.tls {
        facts.note(&NODE_TLS, tls, CONFIGURATION, now);
    }
    if let Some(policy) = policy {
        let problem = clear_to_keep(&policy.sovereignty, &node.region).err().map(|rejection| rejection.detail);
        facts.note(&PLACEMENT_PROBLEMS, problem.into_iter().collect::<Vec<_>>(), POLICY, now);
    }
}

/// What the key service says.
pub fn of_keys(facts: &mut Facts, keys: &KeyStanding, now: u64) {
    facts.note(&CIPHER_AT_REST, keys.cipher, KEYS, now);
    facts.note(&KEY_VERSIONS, keys.versions, KEYS, now);
    facts.note(&KEY_IS_LEGACY, keys.is_legacy, KEYS, now);
    facts.note(&KEY_PROVIDER, keys.provider.as_str(), KEYS, now);
    if let Some(made_unix_ms) = keys.newest_made_unix_ms {
        facts.note(&KEY_AGE_DAYS, now.saturating_sub(made_unix_ms) / DAY_MS, KEYS, now);
    }
}

/// What the targets backups are made to show.
pub fn of_backups(facts: &mut Facts, evidence: &Evidence) {
    if let Some(Shown { backup, at_unix_ms }) = &evidence.made {
        facts.note(&BACKUP_MADE, backup.as_str(), BACKUPS, *at_unix_ms);
    }
    if let Some(Shown { backup, at_unix_ms }) = &evidence.tried {
        facts.note(&RESTORE_TRIED, format!("of {backup}").as_str(), BACKUPS, *at_unix_ms);
    }
}

/// What the retrieval room says of documents that should be gone.
pub fn of_documents(facts: &mut Facts, overdue: u64, now: u64) {
    facts.note(&ERASURE_OVERDUE, overdue, RETRIEVAL, now);
}

/// What the watchdog found at its last look, of an open tenant.
pub fn of_patrol(facts: &mut Facts, patrol: &Patrol, source: &TenantSource) {
    if let (Some(at_unix_ms), Some(_)) = (patrol.at_unix_ms, &source.doors) {
        let findings: Vec<_> = patrol.deviating.get(&source.key).cloned().into_iter().collect();
        facts.note(&WATCHDOG_FINDINGS, findings, WATCHDOG, at_unix_ms);
    }
}

/// What the tenant enforces, beside what was committed.
pub fn of_enforced(facts: &mut Facts, source: &TenantSource, enforced: &PolicySnapshot, now: u64) {
    let Some(expected) = &source.policy else { return };
    let now_unix_s = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
    let problem = deviation(expected, source.committed.as_deref(), enforced, now_unix_s);
    facts.note(&POLICY_PROBLEMS, problem.into_iter().collect::<Vec<_>>(), OWN, now);
}

/// What reading the journal once more came to.
pub fn of_journal(facts: &mut Facts, verified: &JournalVerified, now: u64) {
    facts.note(&JOURNAL_RECORDS, verified.head, SUPERVISOR, now);
    facts.note(&JOURNAL_VERIFIED, verified.records, SUPERVISOR, now);
    facts.note(&JOURNAL_PROBLEMS, verified.problem.iter().cloned().collect::<Vec<_>>(), SUPERVISOR, now);
    facts.note(&JOURNAL_WHOLE, verified.problem.is_none(), SUPERVISOR, verified.whole_unix_ms);
}

/// Whether the head is signed by the key it comes with, for this journal and size.
pub fn of_head(facts: &mut Facts, head: &SignedHead, now: u64) {
    let read = checkpoint::read(&head.checkpoint, &head.verifier_key);
    let is_signed = read.is_ok_and(|read| read.tenant == head.tenant_key && read.size == head.size);
    facts.note(&HEAD_SIGNED, is_signed, OWN, now);
}

/// Whether the service level is kept.
pub fn of_level(facts: &mut Facts, level: ServiceLevel, now: u64) {
    facts.note(&LEVEL_KEPT, level == ServiceLevel::Kept, SUPERVISOR, now);
}
