//! The policy files: which key of an old one stands where today, and what has to be added so that what the old system
//! retrieved is retrieved.
use super::keys::{put, typed, unknown_key, written};
use super::{Asked, Fate, Ledger};
use crate::commit::is_newer;
use crate::compile::{EVALUATION, GOVERNANCE, RETRIEVAL};
use crate::language::Rule;
use crate::parse::parse;
use crate::schema::{EvaluationPolicy, GovernancePolicy, PolicyFile, RetrievalPolicy, RetrievalSettings};
use semver::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The host of documents without a source of their own: all of an old corpus.
const UPLOADS: &str = "upload.local";
/// What uploads are trusted where neither the old system nor the tenant says.
const UPLOADS_TRUST: f64 = 0.7;
/// Words that named what everything belonged to, before there was more than one of it.
const EVERYTHING: [&str; 4] = ["*", "default", "general", ""];
/// Groups of keys in an old file; a key means the same in each of them.
const GROUPS: [&str; 3] = ["settings", "security", "metadata"];

/// A kind of policy file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `policies/retrieval.yaml`.
    Retrieval,
    /// `policies/evaluation.yaml`.
    Evaluation,
    /// `policies/governance.yaml`.
    Governance,
}

/// Keys every policy file has, and where they stand today.
const HEAD: [(&str, &str); 9] = [
    ("policy_semver", "policy_semver"),
    ("version", "policy_semver"),
    ("semver", "policy_semver"),
    ("created_at", "metadata.created_at"),
    ("updated_at", "metadata.updated_at"),
    ("author", "metadata.author"),
    ("approval_status", "metadata.approval_status"),
    ("status", "metadata.approval_status"),
    ("rules", "rules"),
];
const OF_RETRIEVAL: [(&str, &str); 12] = [
    ("allowlist", "settings.security.allowlist"),
    ("allowed_domains", "settings.security.allowlist"),
    ("forbidden_patterns", "settings.security.forbidden_patterns"),
    ("blocked_patterns", "settings.security.forbidden_patterns"),
    ("signature_required", "settings.security.signature_required"),
    ("require_signature", "settings.security.signature_required"),
    ("min_trust_score", "settings.security.min_trust_score"),
    ("trust_threshold", "settings.security.min_trust_score"),
    ("trust_scores", "settings.security.trust_scores"),
    ("default_trust_score", "settings.security.default_trust_score"),
    ("top_k", "settings.top_k"),
    ("k", "settings.top_k"),
];
const OF_EVALUATION: [(&str, &str); 3] = [
    ("sample_rate", "settings.sample_rate"),
    ("min_ndcg_at_10", "settings.min_ndcg_at_10"),
    ("min_groundedness", "settings.min_groundedness"),
];
const OF_GOVERNANCE: [(&str, &str); 8] = [
    ("output_forbidden_patterns", "settings.output_forbidden_patterns"),
    ("forbidden_output_patterns", "settings.output_forbidden_patterns"),
    ("approvals", "settings.approvals"),
    ("require_citations", "settings.require_citations"),
    ("allowed_models", "settings.allowed_models"),
    ("rollout", "settings.rollout"),
    ("sandbox", "settings.sandbox"),
    ("legal_holds", "settings.legal_holds"),
];

impl Kind {
    const ALL: [Self; 3] = [Self::Retrieval, Self::Evaluation, Self::Governance];

    /// Its file, relative to the tenant's folder.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Retrieval => RETRIEVAL,
            Self::Evaluation => EVALUATION,
            Self::Governance => GOVERNANCE,
        }
    }

    /// The kind of an old system's file.
    #[must_use]
    pub fn of(file: &str) -> Option<Self> {
        let name = |file: &str| file.trim_end_matches(".yaml").trim_end_matches(".yml").to_owned();
        Self::ALL.into_iter().find(|kind| name(kind.file()) == name(file))
    }

    fn homes(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own: &[(&str, &str)] = match self {
            Self::Retrieval => &OF_RETRIEVAL,
            Self::Evaluation => &OF_EVALUATION,
            Self::Governance => &OF_GOVERNANCE,
        };
        HEAD.iter().chain(own).copied()
    }

    /// Where a key stands today.
    fn home(self, key: &str) -> Option<&'static str> {
        self.homes().find(|(known, _)| *known == key).map(|(_, home)| home)
    }
}

/// One value of an old file with its path there, and where it stands today.
struct Moved {
    path: String,
    home: &'static str,
    value: Value,
}

/// An old policy file as today's; nothing where it changes nothing, or is not carried.
pub(super) fn policy(kind: Kind, asked: &Asked<'_>, ledger: &mut Ledger<'_>) -> Option<String> {
    match kind {
        Kind::Retrieval => typed_policy::<_>(kind, asked, ledger, |file: &mut RetrievalPolicy, ledger| {
            let before = serde_json::to_value(&file.settings).ok();
            admit_uploads(&mut file.settings, ledger);
            before != serde_json::to_value(&file.settings).ok()
        }),
        Kind::Evaluation => typed_policy::<_>(kind, asked, ledger, |_: &mut EvaluationPolicy, _| false),
        Kind::Governance => typed_policy::<_>(kind, asked, ledger, |_: &mut GovernancePolicy, _| false),
    }
}

fn typed_policy<Settings>(
    kind: Kind,
    asked: &Asked<'_>,
    ledger: &mut Ledger<'_>,
    complete: impl Fn(&mut PolicyFile<Settings>, &mut Ledger<'_>) -> bool,
) -> Option<String>
where
    Settings: DeserializeOwned + Serialize + PartialEq + Clone,
{
    let Some(before) = asked.target.get(kind.file()).and_then(|text| parse::<Value>(kind.file(), text).ok()) else {
        ledger.whole(Fate::Lost, "the tenant has no such file that can be read: give it one first");
        return None;
    };
    let Ok(former) = typed::<PolicyFile<Settings>>(&before) else {
        ledger.whole(Fate::Lost, "the tenant's own file of this name is not valid: mend it first");
        return None;
    };
    let mut now = before;
    let (mut version, mut is_changed) = (None, false);
    for Moved { path, home, value } in moved(kind, asked.tenant, ledger) {
        match home {
            "policy_semver" => version = version_of(&path, &value, ledger),
            "rules" => is_changed |= add_rules(&mut now, &value, &path, ledger),
            "metadata.approval_status" if value != "approved" => {
                ledger.whole(Fate::Lost, "it is not approved and never served: approve it, or take the file away");
                return None;
            }
            home => put_typed::<PolicyFile<Settings>>(&mut now, home, value, &path, ledger),
        }
    }
    let mut file: PolicyFile<Settings> = typed(&now).ok()?;
    is_changed |= complete(&mut file, ledger) || file.settings != former.settings || file.rules != former.rules;
    if !is_changed {
        return None;
    }
    file.policy_semver = raised(version, &former.policy_semver, ledger);
    asked.now.clone_into(&mut file.metadata.updated_at);
    written(&file).map_err(|problem| ledger.whole(Fate::Lost, &problem)).ok()
}

/// Every value of the old file that has a place today; the others are noted.
fn moved(kind: Kind, tenant: &str, ledger: &mut Ledger<'_>) -> Vec<Moved> {
    let mut found: Vec<Moved> = Vec::new();
    let root = ledger.source.value.as_object().cloned().unwrap_or_default();
    gather(kind, tenant, "", root, &mut found, ledger);
    let mut taken = BTreeSet::new();
    found.retain(|moved| {
        let is_first = taken.insert(moved.home);
        if !is_first {
            ledger.note(Fate::Lost, &moved.path, &format!("{} is said twice; the first counts", moved.home));
        }
        is_first
    });
    found
}

fn gather(
    kind: Kind,
    tenant: &str,
    group: &str,
    entries: Map<String, Value>,
    found: &mut Vec<Moved>,
    ledger: &mut Ledger<'_>,
) {
    for (key, value) in entries {
        let path = super::keys::below(group, &key);
        match (key.as_str(), value) {
            (group, Value::Object(inside)) if GROUPS.contains(&group) => {
                gather(kind, tenant, &path, inside, found, ledger);
            }
            ("tenant_id" | "domain_id" | "usecase_id", value) => {
                let named = value.as_str().unwrap_or_default();
                if named != tenant && !EVERYTHING.contains(&named) {
                    let problem =
                        format!("{named:?} is left behind: what comes from one system is for all of {tenant}");
                    ledger.note(Fate::Lost, &path, &problem);
                }
            }
            ("origin_signature" | "signature", _) => {
                let problem = "a signature inside what it signs proves nothing today: files are signed beside";
                ledger.note(Fate::Lost, &path, problem);
            }
            (key, value) => match kind.home(key) {
                Some(home) => {
                    let called = home.rsplit('.').next().unwrap_or(home);
                    if called != key {
                        ledger.note(Fate::Changed, &path, &format!("it is called {called:?} today"));
                    }
                    found.push(Moved { path, home, value });
                }
                None => {
                    let known: Vec<&str> = kind.homes().map(|(known, _)| known).collect();
                    ledger.note(Fate::Lost, &path, &unknown_key(key, &known));
                }
            },
        }
    }
}

/// Puts a value where it stands today, unless the file would be none with it.
fn put_typed<T: DeserializeOwned>(now: &mut Value, home: &str, value: Value, path: &str, ledger: &mut Ledger<'_>) {
    let mut tried = now.clone();
    put(&mut tried, home, value);
    match typed::<T>(&tried) {
        Ok(_) => *now = tried,
        Err(problem) => ledger.note(Fate::Lost, path, &format!("left behind: {problem}")),
    }
}

/// Adds the old rules to those that are there; one of the same id takes the other's place. True where there was any.
fn add_rules(now: &mut Value, rules: &Value, path: &str, ledger: &mut Ledger<'_>) -> bool {
    let Some(rules) = rules.as_array() else {
        ledger.note(Fate::Lost, path, "left behind: rules are a list");
        return false;
    };
    let mut kept: Vec<Value> = now.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut is_any = false;
    for (index, rule) in rules.iter().enumerate() {
        match typed::<Rule>(rule) {
            Ok(read) => {
                let same = |one: &Value| one.get("id").and_then(Value::as_str) == Some(&read.id);
                match kept.iter_mut().find(|one| same(one)) {
                    Some(former) => *former = rule.clone(),
                    None => kept.push(rule.clone()),
                }
                is_any = true;
            }
            Err(problem) => {
                let problem = format!("left behind, today's rules cannot say it: {problem}");
                ledger.note(Fate::Lost, &format!("{path}[{index}]"), &problem);
            }
        }
    }
    put(now, "rules", Value::Array(kept));
    is_any
}

/// The version an old file has, where it can be read as one: `1`, `1.2` and `v1.2.3` are.
fn version_of(path: &str, value: &Value, ledger: &mut Ledger<'_>) -> Option<Version> {
    let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let said = said.trim().trim_start_matches('v');
    let whole = ["", ".0", ".0.0"].iter().find_map(|rest| Version::parse(&format!("{said}{rest}")).ok());
    if whole.is_none() {
        ledger.note(Fate::Changed, path, &format!("{said:?} is no version: the file gets one of its own"));
    }
    whole
}

/// The version under which a changed file comes into force: its own where that is newer than the one that was.
fn raised(version: Option<Version>, former: &str, ledger: &mut Ledger<'_>) -> String {
    if let Some(version) = version.as_ref().map(ToString::to_string).filter(|version| is_newer(version, former)) {
        return version;
    }
    let next = Version::parse(former).map_or_else(
        |_none| "1.0.0".to_owned(),
        |former| Version::new(former.major, former.minor.saturating_add(1), 0).to_string(),
    );
    if let Some(version) = version {
        let problem = format!("{version} is not newer than {former}, which was in force: it becomes {next}");
        ledger.note(Fate::Changed, "policy_semver", &problem);
    }
    next
}

/// An old corpus was retrieved whatever host it came from; files without a source count as uploads today.
fn admit_uploads(settings: &mut RetrievalSettings, ledger: &mut Ledger<'_>) {
    let security = &mut settings.security;
    if !security.allowlist.iter().any(|host| host == UPLOADS) {
        security.allowlist.push(UPLOADS.to_owned());
        let problem = format!("{UPLOADS} is added: documents without a source count as coming from there");
        ledger.note(Fate::Changed, "allowlist", &problem);
    }
    let trusted = security.trust_scores.get(UPLOADS).copied().unwrap_or(security.default_trust_score);
    if trusted < security.min_trust_score {
        let raised = UPLOADS_TRUST.max(security.min_trust_score);
        security.trust_scores.insert(UPLOADS.to_owned(), raised);
        let problem = format!(
            "{UPLOADS} is trusted {raised}: with {trusted} nothing of the corpus would reach {}",
            security.min_trust_score
        );
        ledger.note(Fate::Changed, "trust_scores", &problem);
    }
}
