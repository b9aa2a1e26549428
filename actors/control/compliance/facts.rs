//! What is known of a tenant, each fact with where it comes from and when it was so. A fact of a new kind is one line here, and
//! one where it is gathered.
use bailiwick_kernel::clock::rfc3339;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// Facts that are asked for while the report is made.
const LIVE: u64 = 15 * MINUTE_MS;
/// Facts of things that are done every day.
const DAILY: u64 = 36 * 60 * MINUTE_MS;
/// Facts of things that are done every week.
const WEEKLY: u64 = 8 * DAY_MS;
/// Facts of things that are tried every quarter.
const QUARTERLY: u64 = 92 * DAY_MS;

/// A kind of fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FactKind {
    /// Its name in reports.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Milliseconds after which it counts as unknown.
    pub fresh_for_ms: u64,
}

const fn fact(name: &'static str, says: &'static str, fresh_for_ms: u64) -> FactKind {
    FactKind { name, says, fresh_for_ms }
}

/// What everything of the tenant is sealed with.
pub const CIPHER_AT_REST: FactKind = fact("cipher.at_rest", "cipher of everything that is kept", LIVE);
/// Versions in the tenant's keyring.
pub const KEY_VERSIONS: FactKind = fact("key.versions", "versions of the tenant's own key", LIVE);
/// The tenant is older than its keyring.
pub const KEY_IS_LEGACY: FactKind = fact("key.is_legacy", "data under a key that follows from the master key", LIVE);
/// How old the newest version is.
pub const KEY_AGE_DAYS: FactKind = fact("key.age_days", "age of the newest key, in days", LIVE);
/// Who wraps the newest version.
pub const KEY_PROVIDER: FactKind = fact("key.provider", "holder of the root key", LIVE);
/// The most days between rotations that the tenant's file allows; 0 where it says nothing.
pub const ROTATION_DAYS: FactKind = fact("policy.key_rotation_days", "days between rotations, as written", LIVE);
/// The key the tenant's file names; empty where it names none.
pub const KMS_KEY_NAMED: FactKind = fact("policy.kms_key_id", "key the tenant's file names", LIVE);
/// What the tenant's file asks for at rest.
pub const AT_REST_ASKED: FactKind = fact("policy.at_rest", "encryption at rest, as written", LIVE);
/// What the tenant's file asks for in transit.
pub const IN_TRANSIT_ASKED: FactKind = fact("policy.in_transit", "encryption in transit, as written", LIVE);
/// What the gateway's listener speaks.
pub const NODE_TLS: FactKind = fact("node.tls", "encryption of the gateway's listener", LIVE);
/// Where the node keeps everything.
pub const NODE_REGION: FactKind = fact("node.region", "region of this node", LIVE);
/// Why the tenant may not be kept there.
pub const PLACEMENT_PROBLEMS: FactKind = fact("placement.problems", "why the tenant may not be kept here", LIVE);
/// Records of the journal.
pub const JOURNAL_RECORDS: FactKind = fact("journal.records", "records of the journal", LIVE);
/// Those that were read again and found in their chain.
pub const JOURNAL_VERIFIED: FactKind = fact("journal.verified", "records read again and found in their chain", LIVE);
/// When the first record was last read again.
pub const JOURNAL_WHOLE: FactKind =
    fact("journal.read_whole", "the journal was read again from its first record", WEEKLY);
/// What is wrong with it.
pub const JOURNAL_PROBLEMS: FactKind = fact("journal.problems", "what does not hold in the journal", LIVE);
/// The signature of the head was verified.
pub const HEAD_SIGNED: FactKind = fact("journal.head_signed", "the head's signature was verified", LIVE);
/// What is enforced is not what was signed and committed.
pub const POLICY_PROBLEMS: FactKind = fact("policy.problems", "why what is enforced is not what was signed", LIVE);
/// Who signed what came into force last.
pub const POLICY_SIGNERS: FactKind = fact("policy.signed_by", "who signed the last change", LIVE);
/// Signatures of distinct people the next change needs.
pub const POLICY_APPROVALS: FactKind = fact("policy.approvals", "people who sign a change", LIVE);
/// Why the newest files are not in force.
pub const POLICY_DRIFT: FactKind = fact("policy.drift", "why the newest files are not in force", LIVE);
/// Conflicts of the rules in force that would refuse a new policy.
pub const POLICY_CONFLICTS: FactKind = fact("policy.conflicts", "conflicts between rules in force", LIVE);
/// A change is rehearsed before it comes into force.
pub const POLICY_REHEARSED: FactKind = fact("policy.rehearsed", "changes are rehearsed first", LIVE);
/// A change reaches people in stages.
pub const POLICY_STAGED: FactKind = fact("policy.staged", "changes reach people in stages", LIVE);
/// What the watchdog found at its last look.
pub const WATCHDOG_FINDINGS: FactKind =
    fact("watchdog.findings", "what the watchdog found at its last look", 2 * MINUTE_MS);
/// Whether the service level is kept.
pub const LEVEL_KEPT: FactKind = fact("service.level_kept", "the service level is kept", LIVE);
/// Active users that govern.
pub const USERS_GOVERNING: FactKind = fact("users.governing", "active users that may govern", LIVE);
/// Active users that read everything and change nothing.
pub const USERS_AUDITING: FactKind = fact("users.auditing", "active auditors", LIVE);
/// API keys that open something.
pub const KEYS_USABLE: FactKind = fact("keys.usable", "API keys in use", LIVE);
/// Those of them that never expire.
pub const KEYS_WITHOUT_END: FactKind = fact("keys.without_end", "API keys that never expire", LIVE);
/// Those of them that name no user.
pub const KEYS_WITHOUT_USER: FactKind = fact("keys.without_user", "API keys that name no user", LIVE);
/// Users that are locked or unknown and have keys that open something.
pub const KEYS_OF_ABSENT: FactKind = fact("keys.of_absent_users", "locked or unknown users with API keys", LIVE);
/// Least days logs are kept.
pub const LOGS_DAYS: FactKind = fact("retention.logs_days", "days logs are kept", LIVE);
/// Least days data is kept.
pub const DATA_DAYS: FactKind = fact("retention.data_days", "days data is kept", LIVE);
/// Most days data is kept; 0 where it says nothing.
pub const DATA_DAYS_MAX: FactKind = fact("retention.data_days_max", "days after which data is gone", LIVE);
/// Least days backups are kept.
pub const BACKUPS_DAYS: FactKind = fact("retention.backups_days", "days backups are kept", LIVE);
/// A document from a source nobody has listed was refused when it was tried.
pub const GUARD_REFUSES: FactKind = fact("guard.refuses_unlisted", "a source nobody has listed is refused", LIVE);
/// Least trust of what is admitted, in hundredths.
pub const GUARD_TRUST: FactKind = fact("guard.min_trust", "least trust of what is admitted, in hundredths", LIVE);
/// Documents are signed.
pub const GUARD_SIGNATURES: FactKind = fact("guard.signatures", "documents have to be signed", LIVE);
/// Answers have to cite.
pub const CITATIONS_REQUIRED: FactKind = fact("answers.citations", "answers have to cite", LIVE);
/// Patterns no answer may hold.
pub const OUTPUT_PATTERNS: FactKind = fact("answers.forbidden", "patterns no answer may hold", LIVE);
/// Objects past their erase-by that nothing keeps.
pub const ERASURE_OVERDUE: FactKind = fact("erasure.overdue", "objects past their end that nothing keeps", LIVE);
/// The last backup, at the time it was made.
pub const BACKUP_MADE: FactKind = fact("backup.made", "the last backup", DAILY);
/// The last restore that was tried, at the time it was.
pub const RESTORE_TRIED: FactKind = fact("backup.restored", "the last restore that was tried", QUARTERLY);
/// The last weekly report, at the time it was made.
pub const REPORT_MADE: FactKind = fact("compliance.reported", "the last weekly report", WEEKLY);

/// What a fact says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FactValue {
    /// Yes or no.
    Is(bool),
    /// A number.
    Count(u64),
    /// A text.
    Text(String),
    /// Names or problems; often none.
    Names(Vec<String>),
}

impl FactValue {
    /// As people read it, in a few words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Is(true) => "yes".to_owned(),
            Self::Is(false) => "no".to_owned(),
            Self::Count(count) => count.to_string(),
            Self::Text(text) if text.is_empty() => "none".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Names(names) if names.is_empty() => "none".to_owned(),
            Self::Names(names) => names.join(", "),
        }
    }
}

impl From<bool> for FactValue {
    fn from(is: bool) -> Self {
        Self::Is(is)
    }
}

impl From<u64> for FactValue {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<&str> for FactValue {
    fn from(text: &str) -> Self {
        Self::Text(bounded(text))
    }
}

impl From<Vec<String>> for FactValue {
    fn from(names: Vec<String>) -> Self {
        let more = names.len().saturating_sub(NAMES_MAX);
        let shown = names.iter().take(NAMES_MAX).map(|name| bounded(name));
        Self::Names(shown.chain((more > 0).then(|| format!("{more} more"))).collect())
    }
}

/// Names in one fact.
const NAMES_MAX: usize = 8;
/// Characters of one text or name.
const CHARS_MAX: usize = 200;

/// A text in the length a report has room for, on one line.
fn bounded(text: &str) -> String {
    let mut line: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(CHARS_MAX).collect();
    if text.chars().count() > CHARS_MAX {
        line.push('…');
    }
    line
}

/// A fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What it says.
    pub value: FactValue,
    /// Where it comes from.
    pub source: &'static str,
    /// When it was so.
    pub observed_unix_ms: u64,
}

impl Fact {
    /// When it was so, as RFC 3339.
    #[must_use]
    pub fn observed_at(&self) -> String {
        rfc3339(self.observed_unix_ms)
    }
}

/// Everything that is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts(BTreeMap<&'static str, Fact>);

impl Facts {
    /// Notes a fact; of two of a kind the later one counts.
    pub fn note(&mut self, kind: &FactKind, value: impl Into<FactValue>, source: &'static str, observed_unix_ms: u64) {
        let fact = Fact { value: value.into(), source, observed_unix_ms };
        self.0.insert(kind.name, fact);
    }

    /// A fact, whenever it was so.
    #[must_use]
    pub fn get(&self, kind: &FactKind) -> Option<&Fact> {
        self.0.get(kind.name)
    }

    /// Takes a fact out.
    pub fn forget(&mut self, kind: &FactKind) {
        self.0.remove(kind.name);
    }

    /// A fact that is yes or no.
    #[must_use]
    pub fn is(&self, kind: &FactKind) -> Option<bool> {
        match self.get(kind)?.value {
            FactValue::Is(is) => Some(is),
            _ => None,
        }
    }

    /// A number.
    #[must_use]
    pub fn count(&self, kind: &FactKind) -> Option<u64> {
        match self.get(kind)?.value {
            FactValue::Count(count) => Some(count),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(&self, kind: &FactKind) -> Option<&str> {
        match &self.get(kind)?.value {
            FactValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Names.
    #[must_use]
    pub fn names(&self, kind: &FactKind) -> Option<&[String]> {
        match &self.get(kind)?.value {
            FactValue::Names(names) => Some(names),
            _ => None,
        }
    }
}
