//! Legal holds as they stand in `governance.yaml`, and what must hold of them.
use super::rules::{Ground, GroundKind, Hold, Record};
use crate::checks;
use crate::findings::{Findings, Source};
use crate::language::condition::Pattern;
use crate::schema::GovernancePolicy;
use bailiwick_kernel::limits::NAME_CHARS_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Holds of one tenant: every one is held against every document.
const HOLDS_MAX: usize = 64;
/// Names in one hold.
const NAMES_MAX: usize = 256;
/// Characters of a basis.
const BASIS_CHARS_MAX: usize = 500;
const LIST: &str = "settings.legal_holds";

/// One of `legal_holds` in `governance.yaml`: documents that nobody removes or replaces until it is released.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalHold {
    /// Its name, such as the number of a case.
    pub id: String,
    /// Its legal basis, as it is told to whoever is refused.
    pub basis: String,
    /// Which documents it keeps.
    pub selects: Selects,
    /// RFC 3339: from when on.
    pub since: String,
    /// RFC 3339: until when; without end where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
}

/// Which objects are meant: those that at least one of these names.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selects {
    /// Ids; `*` at the end stands for any rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// Domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Users a document is about, as `subject` of its metadata says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
}

impl Selects {
    /// Whether an object is among them.
    #[must_use]
    pub fn has(&self, record: &Record<'_>) -> bool {
        self.documents.iter().any(|pattern| Pattern::of(pattern).matches(record.id))
            || self.domains.iter().any(|domain| domain == record.domain)
            || self.subjects.iter().any(|subject| record.subjects.contains(subject))
    }

    fn lists(&self) -> [(&'static str, &[String]); 3] {
        [("documents", &self.documents), ("domains", &self.domains), ("subjects", &self.subjects)]
    }
}

impl LegalHold {
    /// Whether it keeps anything at this instant, or will: nobody has released it by now.
    #[must_use]
    pub fn is_open(&self, now_unix_ms: u64) -> bool {
        self.as_rule().released_unix_ms.is_none_or(|released| released > now_unix_ms)
    }

    /// As the algebra takes it. A time that could not be read, which [`check`] refuses, keeps more and not less.
    pub(super) fn as_rule(&self) -> Hold {
        let unix_ms = |text: &str| {
            let time: jiff::Timestamp = text.parse().ok()?;
            // before 1970 there is nothing to be held
            Some(u64::try_from(time.as_millisecond()).unwrap_or(0))
        };
        Hold {
            selects: self.selects.clone(),
            since_unix_ms: unix_ms(&self.since).unwrap_or(0),
            released_unix_ms: self.released.as_deref().and_then(unix_ms),
            ground: Ground { kind: GroundKind::Hold, name: self.id.clone(), basis: self.basis.clone() },
        }
    }
}

pub(crate) fn check(source: &Source<GovernancePolicy>, findings: &mut Findings) {
    let holds = &source.value.settings.legal_holds;
    if holds.len() > HOLDS_MAX {
        let problem =
            format!("{} legal holds are too many: write at most {HOLDS_MAX}, each may select more", holds.len());
        return findings.refuse(source, LIST, problem);
    }
    let mut seen = BTreeSet::new();
    for (index, hold) in holds.iter().enumerate() {
        let path = format!("{LIST}[{index}]");
        for (key, text, chars_max) in [("id", &hold.id, NAME_CHARS_MAX), ("basis", &hold.basis, BASIS_CHARS_MAX)] {
            let path = format!("{path}.{key}");
            findings.written(source, &path, text);
            if text.chars().count() > chars_max || text.chars().any(char::is_control) {
                let problem =
                    format!("write at most {chars_max} characters on one line: it is told with every refusal");
                findings.refuse(source, &path, problem);
            }
        }
        if !seen.insert(hold.id.as_str()) {
            let problem = format!("the legal hold {:?} stands here twice: keep one", hold.id);
            findings.refuse(source, &format!("{path}.id"), problem);
        }
        selection(source, &format!("{path}.selects"), &hold.selects, findings);
        let since = checks::time(source, &format!("{path}.since"), &hold.since, findings);
        let released = format!("{path}.released");
        let ended = hold.released.as_deref().and_then(|text| checks::time(source, &released, text, findings));
        if let (Some(since), Some(ended)) = (since, ended)
            && ended < since
        {
            findings.refuse(source, &released, "it is released before it begins: correct one of them");
        }
    }
}

fn selection(source: &Source<GovernancePolicy>, path: &str, selects: &Selects, findings: &mut Findings) {
    let names: usize = selects.lists().iter().map(|(_, names)| names.len()).sum();
    match names {
        0 => findings.refuse(source, path, "it selects nothing: name documents, domains or subjects"),
        1..=NAMES_MAX => {}
        _ => findings.refuse(source, path, format!("{names} names are too many: write at most {NAMES_MAX}")),
    }
    for (key, names) in selects.lists() {
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}.{key}[{index}]");
            findings.written(source, &path, name);
            if key != "documents" && name.ends_with('*') {
                let problem =
                    format!("{name:?} would stand for itself alone: only documents are named by a beginning and *");
                findings.refuse(source, &path, problem);
            }
        }
    }
}
