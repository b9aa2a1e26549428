//! Which requests are about a document, and how a request stands. Pure.
use super::messages::{ErasureView, KeptDocument};
use super::records::{ErasureAsked, ErasureEnded};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::erasures::{Mark, Of};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::retention::{DataType, Ground, GroundKind, Request, Selects};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Characters of a basis.
const BASIS_CHARS_MAX: usize = 500;
/// Days within which an erasure may be due: one month (GDPR, article 12 (3)), and two more where it is hard.
const DAYS_MAX: u32 = 90;
/// Days where nobody says.
const DAYS: u32 = 30;
/// What the journal says by whom a document was removed, before the id of the request.
const BY: &str = "erasure ";

/// Who removed a document, where it was for a request.
#[must_use]
pub fn removed_for(request: &str) -> String {
    format!("{BY}{request}")
}

/// The request a document was removed for, where it was one.
#[must_use]
pub fn request_of(by: &str) -> Option<&str> {
    by.strip_prefix(BY)
}

/// What somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What is named.
    pub of: Of,
    /// Which one.
    pub name: String,
    /// Why.
    pub basis: String,
    /// Days within which it is due.
    pub within_days: u32,
}

/// What somebody asks for, as it came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Somebody documents are about.
    pub subject: Option<String>,
    /// A document.
    pub document: Option<String>,
    /// What kind of objects.
    pub data_type: Option<String>,
    /// Why.
    pub basis: Option<String>,
    /// Days within which it is due.
    pub within_days: Option<u32>,
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new(Code::InvalidRequest, detail)
}

/// What is asked for, where it can be.
///
/// # Errors
/// `invalid_request`; an unknown type of data is among it: nothing says how long it has to stay.
pub fn wish(asked: Asked) -> Outcome<Wish> {
    let Asked { subject, document, data_type, basis, within_days } = asked;
    let data_type = data_type.unwrap_or_else(|| DataType::Data.as_str().to_owned());
    match DataType::named(&data_type) {
        Some(DataType::Data) => {}
        Some(DataType::Logs | DataType::Backups) => {
            let detail = format!(
                "asking for an erasure: {data_type} are not erased one by one: logs prove what was done, and backups end \
                 with their own time; ask for documents"
            );
            return Err(invalid(detail));
        }
        None => {
            let detail = format!("asking for an erasure: no retention is set for data of type {data_type:?}: it stays");
            return Err(invalid(detail));
        }
    }
    let (of, name) = match (subject, document) {
        (Some(subject), None) => (Of::Subject, subject),
        (None, Some(document)) => (Of::Document, document),
        _ => return Err(invalid("asking for an erasure: name a subject or a document, and not both")),
    };
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(invalid(format!("asking for an erasure: the {} has no name", of.as_str())));
    }
    let basis = basis.unwrap_or_else(|| "request".to_owned());
    if basis.chars().count() > BASIS_CHARS_MAX || basis.chars().any(char::is_control) {
        return Err(invalid(format!(
            "asking for an erasure: write a basis of at most {BASIS_CHARS_MAX} characters on one line"
        )));
    }
    let within_days = within_days.unwrap_or(DAYS);
    if within_days > DAYS_MAX {
        return Err(invalid(format!("asking for an erasure: within_days is at most {DAYS_MAX}")));
    }
    Ok(Wish { of, name, basis, within_days })
}

/// How a request stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// What was asked.
    pub asked: ErasureAsked,
    /// Where that stands in the journal.
    pub asked_at: u64,
    /// How it ended, where it has.
    pub ended: Option<ErasureEnded>,
}

/// The open requests of a tenant, by what they name.
#[derive(Clone, Debug, Default)]
pub struct OpenRequests {
    by_mark: HashMap<(Of, Mark), Vec<ErasureAsked>>,
    count: usize,
}

impl OpenRequests {
    /// These requests.
    #[must_use]
    pub fn of(asked: impl Iterator<Item = ErasureAsked>) -> Self {
        let mut requests = Self::default();
        for asked in asked {
            requests.by_mark.entry((asked.of, asked.mark)).or_default().push(asked);
            requests.count = requests.count.saturating_add(1);
        }
        requests
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Every request.
    pub fn iter(&self) -> impl Iterator<Item = &ErasureAsked> {
        self.by_mark.values().flatten()
    }

    /// The requests that are about a document, as the algebra takes them.
    #[must_use]
    pub fn about(
        &self,
        id: &str,
        subjects: &[String],
        stored_unix_ms: u64,
        mark: impl Fn(Of, &str) -> Mark,
    ) -> Vec<Request> {
        if self.is_empty() {
            return Vec::new();
        }
        let names = subjects.iter().map(|subject| (Of::Subject, subject.as_str())).chain([(Of::Document, id)]);
        let found = names.filter_map(|(of, name)| self.by_mark.get(&(of, mark(of, name)))).flatten();
        let found = found.filter(|asked| asked.at_unix_ms >= stored_unix_ms);
        found
            .map(|asked| Request {
                selects: Selects { documents: vec![id.to_owned()], ..Selects::default() },
                made_unix_ms: asked.at_unix_ms,
                within_days: asked.within_days,
                ground: Ground { kind: GroundKind::Request, name: asked.id.clone(), basis: asked.basis.clone() },
            })
            .collect()
    }
}

const MS_PER_DAY: u64 = 86_400_000;

/// A request as it is shown, with what is kept of it.
#[must_use]
pub fn view(standing: Standing, kept: Vec<KeptDocument>, kept_documents: u64) -> ErasureView {
    let Standing { asked, ended, .. } = standing;
    let due = asked.at_unix_ms.saturating_add(u64::from(asked.within_days).saturating_mul(MS_PER_DAY));
    ErasureView {
        id: asked.id,
        of: asked.of.as_str().to_owned(),
        mark: asked.mark.to_string(),
        state: if ended.is_some() { "done" } else { "open" }.to_owned(),
        basis: asked.basis,
        asked_at: rfc3339(asked.at_unix_ms),
        asked_by: asked.key_id,
        user_id: asked.user_id,
        due_at: rfc3339(due),
        ended_at: ended.as_ref().map(|ended| rfc3339(ended.at_unix_ms)),
        erased: ended.map(|ended| ended.erased),
        waits_for: None,
        kept_documents,
        kept,
    }
}
