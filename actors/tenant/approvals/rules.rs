//! Pure decisions about approvals: what waits, who may decide, and what a word is worth.
use super::records::{ApprovalAsked, ApprovalDecided};
use crate::digest::{Canon, MatterDigest};
use crate::entry::Entry;
use crate::question::{Matter, Question, Search};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::{APPROVAL_SUBJECT_BYTES_MAX, APPROVALS_OPEN_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::language::Action;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a request waits for somebody's word.
pub const WAITS_MS: u64 = 24 * 60 * 60 * 1_000;
/// Bytes of the digest that name a request.
const ID_BYTES: usize = 16;

/// A request that needs somebody's word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    action: Action,
    subject: String,
    key_id: String,
    user_id: Option<String>,
    digest: [u8; 32],
}

impl Need {
    /// The need of a turn.
    #[must_use]
    pub fn of_matter(action: Action, matter: &Matter, principal: &Principal) -> Self {
        Self::new(action, subject(matter), &MatterDigest::of(matter).0, principal)
    }

    /// The need of a request that is no turn, named by what it is about.
    #[must_use]
    pub fn of_subject(action: Action, subject: &str, principal: &Principal) -> Self {
        Self::new(action, subject.to_owned(), subject.as_bytes(), principal)
    }

    fn new(action: Action, subject: String, what: &[u8], principal: &Principal) -> Self {
        let mut canon = Canon::new("approval");
        canon.text(action.as_str());
        canon.bytes(what);
        canon.text(&principal.key_id);
        canon.text(principal.user_id.as_deref().unwrap_or_default());
        let (key_id, user_id) = (principal.key_id.clone(), principal.user_id.clone());
        Self { action, subject, key_id, user_id, digest: canon.finish() }
    }

    /// What the request is called: it follows from what is asked and by whom.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.digest.get(..ID_BYTES).unwrap_or_default())
    }

    /// What stands in the journal where it is asked.
    #[must_use]
    pub fn asked(&self, now_unix_ms: u64) -> Entry {
        Entry::ApprovalAsked(Box::new(ApprovalAsked {
            id: self.id(),
            action: self.action,
            subject: self.subject.clone(),
            digest: self.digest,
            key_id: self.key_id.clone(),
            user_id: self.user_id.clone(),
            at_unix_ms: now_unix_ms,
            until_unix_ms: now_unix_ms.saturating_add(WAITS_MS),
        }))
    }

    /// The refusal that says who may let it through, and how.
    #[must_use]
    pub fn waits(&self) -> Rejection {
        let id = self.id();
        denied(format!(
            "asking to {}: the policy asks for somebody else's approval; the request {id} waits for it; ask again, in the \
             same words and by the same key, when an owner or admin has approved it",
            self.action
        ))
    }
}

/// All that is asked, as whoever decides reads it.
fn subject(matter: &Matter) -> String {
    let scoped = |text: &str, domain: &Option<String>, usecase: &Option<String>, top_k: Option<usize>| {
        let named = |name: &str, value: Option<&str>| value.map(|value| format!("{name}: {value}\n"));
        let head = [
            named("domain", domain.as_deref()),
            named("usecase", usecase.as_deref()),
            named("top_k", top_k.map(|top_k| top_k.to_string()).as_deref()),
        ];
        head.into_iter().flatten().chain([text.to_owned()]).collect::<String>()
    };
    match matter {
        Matter::Ask(Question { text, domain, usecase, top_k, earlier: _ }) => scoped(text, domain, usecase, *top_k),
        Matter::Search(Search { query, domain, usecase, top_k }) => scoped(query, domain, usecase, *top_k),
        Matter::Chat(chat) => chat.body.to_string(),
        Matter::Embed(body) => body.to_string(),
        Matter::Rank(ranking) => ranking.query.clone(),
    }
}

fn denied(detail: String) -> Rejection {
    Rejection::new(Code::PolicyDenied, detail)
}

/// What somebody wants to come of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It may be carried out once, within so many milliseconds.
    Approve {
        /// From now on.
        for_ms: u64,
    },
    /// It may not.
    Refuse,
}

/// What is known of a request that needs somebody's word.
#[derive(Clone, PartialEq, Debug)]
pub enum Word {
    /// It may be carried out.
    Approved,
    /// It is being carried out by another call.
    InUse,
    /// It waits already.
    Waits,
    /// Nobody has asked yet: this is to be written down.
    Asked(Box<Entry>),
    /// It was refused, or cannot wait; the reason is in the words.
    Refused(Rejection),
}

impl Word {
    /// What is to be durable before the asker is told.
    #[must_use]
    pub fn entry(&self) -> Option<Entry> {
        if let Self::Asked(entry) = self { Some(entry.as_ref().clone()) } else { None }
    }

    /// What the asker is told.
    #[must_use]
    pub fn rejection(self, need: &Need) -> Rejection {
        match self {
            Self::Refused(rejection) => rejection,
            Self::InUse => denied(format!(
                "asking to {}: the approval {} lets one request through, and one is on its way; wait for its answer",
                need.action,
                need.id()
            )),
            Self::Approved | Self::Waits | Self::Asked(_) => need.waits(),
        }
    }
}

/// One request as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Standing {
    /// Where it stands in the journal.
    asked: Position,
    key_id: String,
    user_id: Option<String>,
    /// Nothing while it waits.
    approved: Option<bool>,
    /// By when it is decided, or used.
    until_unix_ms: u64,
}

/// A request that is open, for whoever decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// Its id.
    pub id: String,
    /// Where it stands in the journal.
    pub asked: Position,
    /// Nothing while it waits; else whether it may be carried out.
    pub approved: Option<bool>,
    /// By when it is decided, or used.
    pub until_unix_ms: u64,
}

/// The open requests of a tenant, folded from its journal.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Approvals(BTreeMap<String, Standing>);

impl Approvals {
    /// Folds the record at the given position in.
    pub fn apply(&mut self, position: Position, entry: &Entry) {
        match entry {
            Entry::ApprovalAsked(asked) => {
                self.0.retain(|_, standing| standing.until_unix_ms > asked.at_unix_ms);
                // asked twice at the same moment it is one request, and a word on it stands
                self.0.entry(asked.id.clone()).or_insert_with(|| Standing {
                    asked: position,
                    key_id: asked.key_id.clone(),
                    user_id: asked.user_id.clone(),
                    approved: None,
                    until_unix_ms: asked.until_unix_ms,
                });
            }
            Entry::ApprovalDecided(decided) => {
                if let Some(standing) = self.0.get_mut(&decided.id) {
                    standing.approved = Some(decided.approved);
                    standing.until_unix_ms = decided.until_unix_ms;
                }
            }
            Entry::ApprovalUsed(used) => self.use_up(&used.id),
            _ => {}
        }
    }

    /// Forgets an approval that has let its request through.
    pub fn use_up(&mut self, id: &str) {
        self.0.remove(id);
    }

    fn find(&self, id: &str, now_unix_ms: u64) -> Option<&Standing> {
        self.0.get(id).filter(|standing| standing.until_unix_ms > now_unix_ms)
    }

    /// What is known of a request.
    #[must_use]
    pub fn word(&self, need: &Need, now_unix_ms: u64) -> Word {
        match self.find(&need.id(), now_unix_ms).map(|standing| standing.approved) {
            Some(Some(true)) => return Word::Approved,
            Some(Some(false)) => {
                let detail = format!("asking to {}: the request {} was refused by a person", need.action, need.id());
                return Word::Refused(denied(detail));
            }
            Some(None) => return Word::Waits,
            None => {}
        }
        if need.subject.len() > APPROVAL_SUBJECT_BYTES_MAX {
            return Word::Refused(denied(format!(
                "asking to {}: the policy asks for somebody's approval, and what has more than {APPROVAL_SUBJECT_BYTES_MAX} \
                 bytes is not put before anybody; ask for less",
                need.action
            )));
        }
        if self.open(now_unix_ms).len() >= APPROVALS_OPEN_MAX {
            return Word::Refused(denied(format!(
                "asking to {}: {APPROVALS_OPEN_MAX} requests of this tenant wait for an approval or for being carried out; \
                 have some of them decided first",
                need.action
            )));
        }
        Word::Asked(Box::new(need.asked(now_unix_ms)))
    }

    /// Somebody's word on a request that waits.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict`.
    pub fn decide(&self, id: &str, decision: Decision, by: &Principal, now_unix_ms: u64) -> Outcome<Entry> {
        let Some(standing) = self.find(id, now_unix_ms) else {
            return Err(Rejection::new(
                Code::NotFound,
                "deciding on a request: none of that id waits; list those that do",
            ));
        };
        let Some(user_id) = by.user_id.clone().filter(|_| by.role.is_some()) else {
            let detail = "deciding on a request: an approval is the word of a person of the tenant; use the key or the \
                          token of a user";
            return Err(Rejection::new(Code::Forbidden, detail));
        };
        if standing.user_id.as_ref() == Some(&user_id) || standing.key_id == by.key_id {
            let detail = "deciding on a request: whoever asked does not approve it as well; somebody else has to";
            return Err(Rejection::new(Code::Forbidden, detail));
        }
        if standing.approved.is_some() {
            return Err(Rejection::new(Code::Conflict, "deciding on a request: it is decided already"));
        }
        let until_unix_ms = match decision {
            Decision::Approve { for_ms } => now_unix_ms.saturating_add(for_ms),
            // nobody is asked the same again before it would have been too late anyway
            Decision::Refuse => standing.until_unix_ms,
        };
        Ok(Entry::ApprovalDecided(Box::new(ApprovalDecided {
            id: id.to_owned(),
            approved: decision != Decision::Refuse,
            key_id: by.key_id.clone(),
            user_id,
            at_unix_ms: now_unix_ms,
            until_unix_ms,
        })))
    }

    /// Requests that wait, may be carried out or were refused, oldest first.
    #[must_use]
    pub fn open(&self, now_unix_ms: u64) -> Vec<Open> {
        let fresh = self.0.iter().filter(|(_, standing)| standing.until_unix_ms > now_unix_ms);
        let mut open: Vec<_> = fresh
            .map(|(id, standing)| Open {
                id: id.clone(),
                asked: standing.asked,
                approved: standing.approved,
                until_unix_ms: standing.until_unix_ms,
            })
            .collect();
        open.sort_by_key(|open| open.asked);
        open
    }
}
