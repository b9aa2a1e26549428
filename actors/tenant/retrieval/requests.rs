//! Requests for erasure as the room keeps them: folded from the journal beside the documents they are about.
use super::ingest::{Afterwards, Desk, Refused};
use super::rules::{Held, kept as kept_by, may_be_found, subjects};
use super::truth::{Truth, TruthError};
use crate::entry::Entry;
use crate::erasures::messages::{ErasureView, KeptDocument};
use crate::erasures::records::{ErasureAsked, ErasureEnded};
use crate::erasures::rules::{OpenRequests, Standing, Wish, request_of, view};
use bailiwick_kernel::clock::rfc3339;
#[cfg(test)]
use bailiwick_kernel::erasures::Of;
use bailiwick_kernel::erasures::{Event, LedgerError, TenantErasures};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::{ERASURES_OPEN_MAX, ERASURES_PER_PAGE_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::retention::{Request, Rules};
use bailiwick_policy::visibility::Visible;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Documents read at once.
const PORTION: usize = 256;
/// What a request waits for when its documents are gone here.
const OUTSIDE: &str = "vectors of documents that were erased are not known to be gone from the vector store yet";
/// Kept documents that are named in one view.
const KEPT_NAMED_MAX: usize = 20;

/// The requests that are about a document.
pub(super) fn requests_about(held: &Held, open: &OpenRequests, erasures: &TenantErasures) -> Vec<Request> {
    if open.is_empty() {
        return Vec::new();
    }
    let accepted = &held.accepted;
    open.about(&accepted.id, &subjects(accepted), accepted.at_unix_ms, |of, name| erasures.mark(of, name))
}

/// Writes to the erasure ledger on a thread that may block; nothing is done before it is durable.
pub(super) async fn noted(erasures: &TenantErasures, events: Vec<Event>, now_unix_ms: u64) -> Outcome<()> {
    let (erasures, tenant) = (erasures.clone(), erasures.tenant());
    let noting = bailiwick_kernel::residue::spawn_blocking(move || erasures.note(events, now_unix_ms));
    let noted = noting.await.map_err(|_panicked| Rejection::lost())?;
    noted.map_err(|error: LedgerError| {
        tracing::error!(%tenant, %error, "the erasure ledger");
        let detail = "erasing: the erasure ledger could not be written, and nothing is erased; the operator finds the reason in the log";
        Rejection::new(Code::Internal, detail)
    })
}

impl Desk {
    /// Takes a request in; durable when this resolves. The same request made in the same millisecond is one.
    pub(super) async fn ask_erasure(
        &self,
        wish: Wish,
        principal: Principal,
        now_unix_ms: u64,
    ) -> Result<ErasureView, Refused> {
        let Wish { of, name, basis, within_days } = wish;
        let id = self.erasures.request_id(of, &name, now_unix_ms);
        let asked = ErasureAsked {
            id,
            of,
            mark: self.erasures.mark(of, &name),
            basis,
            within_days,
            key_id: principal.key_id,
            user_id: principal.user_id,
            at_unix_ms: now_unix_ms,
        };
        let truth = self.corpus.truth().await?;
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let id = asked.id.clone();
        let known = self.blocking(&truth, move |truth| Ok((truth.erasure(&id)?, truth.open_erasures()?.len())));
        let (known, open) = known.await?;
        if let Some(standing) = known {
            return Ok(view(standing, Vec::new(), 0));
        }
        if open >= ERASURES_OPEN_MAX {
            let detail = format!(
                "asking for an erasure: {open} requests are open, as many as may be; try again when some are done"
            );
            return Err(Rejection::retry_after(Code::Overloaded, detail, 60_000).into());
        }
        let event = Event::Asked {
            of,
            mark: asked.mark.to_string(),
            request: asked.id.clone(),
            stored_by_unix_ms: now_unix_ms,
        };
        noted(&self.erasures, vec![event], now_unix_ms).await?;
        let entry = Entry::ErasureAsked(Box::new(asked.clone()));
        let appended = truth.journal().append(&[entry]).await.map_err(TruthError::from)?;
        let standing = Standing { asked, asked_at: appended.first.0, ended: None };
        let (kept, last) = (standing.clone(), appended.last);
        // durable in any case: where the shelf fails, the next incarnation folds it from the journal
        self.blocking(&truth, move |truth| truth.note_erasures(&[kept], last))
            .await
            .map_err(|_shelf| Refused::lost())?;
        Ok(view(standing, Vec::new(), 0))
    }

    /// Ends the requests nothing is left of.
    pub(super) async fn end_erasures(
        &self,
        truth: &Arc<Truth>,
        ended: Vec<ErasureAsked>,
        now_unix_ms: u64,
    ) -> Result<(), Refused> {
        if ended.is_empty() {
            return Ok(());
        }
        let erased = |asked: &ErasureAsked| Event::Erased {
            of: asked.of,
            mark: asked.mark.to_string(),
            request: asked.id.clone(),
            stored_by_unix_ms: asked.at_unix_ms,
        };
        noted(&self.erasures, ended.iter().map(erased).collect(), now_unix_ms).await?;
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let asked = ended.clone();
        let mut standings = self.blocking(truth, move |truth| truth.ending(&asked, now_unix_ms)).await?;
        let entries: Vec<Entry> =
            standings.iter().filter_map(|standing| standing.ended.clone()).map(Entry::ErasureEnded).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let appended = truth.journal().append(&entries).await.map_err(TruthError::from)?;
        let kept = std::mem::take(&mut standings);
        self.blocking(truth, move |truth| truth.note_erasures(&kept, appended.last))
            .await
            .map_err(|_shelf| Refused::lost())
    }

    /// Requests in the order of their ids.
    pub(super) async fn list_erasures(
        &self,
        after: Option<String>,
        limit: usize,
        visible: Visible,
        now_unix_ms: u64,
    ) -> Outcome<Vec<ErasureView>> {
        let truth = self.corpus.truth().await?;
        let limit = limit.min(ERASURES_PER_PAGE_MAX);
        let found = self.blocking(&truth, move |truth| truth.erasures(after.as_deref(), limit)).await?;
        self.views(&truth, found, visible, now_unix_ms).await
    }

    /// One request.
    pub(super) async fn show_erasure(&self, id: String, visible: Visible, now_unix_ms: u64) -> Outcome<ErasureView> {
        let truth = self.corpus.truth().await?;
        let found = self.blocking(&truth, move |truth| truth.erasure(&id)).await?;
        let found = found.ok_or_else(no_such_request)?;
        self.views(&truth, vec![found], visible, now_unix_ms).await?.pop().ok_or_else(no_such_request)
    }

    async fn views(
        &self,
        truth: &Arc<Truth>,
        found: Vec<Standing>,
        visible: Visible,
        now_unix_ms: u64,
    ) -> Outcome<Vec<ErasureView>> {
        let open: Vec<ErasureAsked> =
            found.iter().filter(|standing| standing.ended.is_none()).map(|standing| standing.asked.clone()).collect();
        let open = OpenRequests::of(open.into_iter());
        let (rules, erasures) = (self.corpus.policy.load().retention(), self.erasures.clone());
        let looking = move |truth: &Truth| kept_against(truth, &open, &rules, &erasures, &visible, now_unix_ms);
        let mut kept = self.blocking(truth, looking).await?;
        let owes = self.blocking(truth, Truth::owes_points).await?;
        let views = found.into_iter().map(|standing| {
            let Kept { named, count } = kept.remove(&standing.asked.id).unwrap_or_default();
            let is_waiting = owes && count == 0 && standing.ended.is_none();
            ErasureView { waits_for: is_waiting.then(|| OUTSIDE.to_owned()), ..view(standing, named, count) }
        });
        Ok(views.collect())
    }
}

fn no_such_request() -> Rejection {
    Rejection::new(Code::NotFound, "there is no request for erasure of that id")
}

/// What is kept against one request.
#[derive(Default)]
struct Kept {
    named: Vec<KeptDocument>,
    count: u64,
}

/// What keeps the documents of open requests, by request. Blocking.
fn kept_against(
    truth: &Truth,
    open: &OpenRequests,
    rules: &Rules,
    erasures: &TenantErasures,
    visible: &Visible,
    now_unix_ms: u64,
) -> Result<BTreeMap<String, Kept>, TruthError> {
    let (mut found, mut after): (BTreeMap<String, Kept>, Option<String>) = (BTreeMap::new(), None);
    while !open.is_empty() {
        let portion = truth.list(after.as_deref(), PORTION)?;
        after = portion.last().map(|held| held.accepted.id.clone());
        for held in &portion {
            let requests = requests_about(held, open, erasures);
            if requests.is_empty() {
                continue;
            }
            let ids: Vec<String> = requests.iter().map(|request| request.ground.name.clone()).collect();
            let rules = Rules { requests, ..rules.clone() };
            let (reason, until) = kept_by(&held.accepted, &rules, now_unix_ms);
            for id in ids {
                let kept = found.entry(id).or_default();
                kept.count = kept.count.saturating_add(1);
                if kept.named.len() < KEPT_NAMED_MAX && may_be_found(visible, &held.accepted) {
                    kept.named.push(KeptDocument {
                        document_id: held.accepted.id.clone(),
                        reason: reason.clone(),
                        until: until.map(rfc3339),
                    });
                }
            }
        }
        if portion.len() < PORTION {
            break;
        }
    }
    Ok(found)
}

impl Truth {
    /// Requests that come to their end now, each with the documents that were erased for it since it was made. One that has
    /// ended already is left out.
    fn ending(&self, asked: &[ErasureAsked], now_unix_ms: u64) -> Result<Vec<Standing>, TruthError> {
        let mut ending: BTreeMap<String, Standing> = BTreeMap::new();
        for asked in asked {
            if let Some(standing) = self.erasure(&asked.id)?.filter(|standing| standing.ended.is_none()) {
                ending.insert(asked.id.clone(), standing);
            }
        }
        let Some(from) = ending.values().map(|standing| standing.asked_at).min() else { return Ok(Vec::new()) };
        let mut erased: BTreeMap<String, BTreeSet<Position>> = BTreeMap::new();
        self.journal().replay(Position(from), |position, _hash, entry: Entry| {
            if let Entry::DocumentRemoved { by, .. } = &entry
                && let Some(request) = request_of(by)
            {
                erased.entry(request.to_owned()).or_default().insert(position);
            }
        })?;
        let count = |id: &str| erased.get(id).map_or(0, BTreeSet::len);
        let ended = ending.into_values().map(|standing| {
            let (id, erased) =
                (standing.asked.id.clone(), u64::try_from(count(&standing.asked.id)).unwrap_or(u64::MAX));
            Standing { ended: Some(ErasureEnded { id, erased, at_unix_ms: now_unix_ms }), ..standing }
        });
        Ok(ended.collect())
    }
}

/// Answers with what a task has found, and says whether the room may go on.
pub(super) fn answered<T>(outcome: Result<T, Refused>) -> (Outcome<T>, Afterwards) {
    match outcome {
        Ok(found) => (Ok(found), Afterwards::GoOn),
        Err(Refused { rejection, afterwards }) => (Err(rejection), afterwards),
    }
}

/// What stands under a mark, for the tests of other files.
#[cfg(test)]
pub(super) fn of_subject(subject: &str) -> Wish {
    Wish { of: Of::Subject, name: subject.to_owned(), basis: "a letter".into(), within_days: 30 }
}
