//! Passages looked up in the index that is served, by their words or by words and meaning, in memory or outside.
use super::corpus::{NotServed, Served};
use super::dense::{Arms, Found, Meaning, Nearby, Way};
use super::index::IndexError;
use super::indexer::Work;
use super::ingest::Desk;
use super::pools::{in_slot, off_the_arbiter};
use super::rules::Wanted;
use super::selection;
use crate::question::Passage;
use crate::vector_store::TenantCollection;
use crate::vector_store::rules::filters;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;
use std::time::Duration;

/// A search on its way to a slot.
type Looking = Box<dyn FnOnce(&Served) -> Result<Found, IndexError> + Send>;

/// The passages found in one of the ways there are.
pub(super) async fn find(
    desk: &Desk,
    policy: &PolicySnapshot,
    patience: Duration,
    wanted: Wanted,
    way: Way,
) -> Outcome<Found> {
    let served = served(desk, policy).await?;
    let search: Looking = match way {
        Way::Words => Box::new(move |served| Ok(Found { passages: served.search(&wanted)?, hybrid: Ok(()) })),
        Way::WordsBecause(reason) => {
            Box::new(move |served| Ok(Found { passages: served.search(&wanted)?, hybrid: Err(reason) }))
        }
        Way::Both(meaning) => {
            let nearby = nearby(desk, policy, patience, &served, (&wanted, &meaning)).await?;
            Box::new(move |served| served.search_by(&wanted, &meaning, nearby))
        }
    };
    in_index(desk, policy, patience, served, search).await
}

/// The passages an answer is given from, of those found. Chosen where searches run: hundreds are compared.
pub(super) async fn chosen(
    desk: &Desk,
    policy: &Arc<PolicySnapshot>,
    patience: Duration,
    (question, found): (&str, Vec<Passage>),
    top_k: usize,
) -> Outcome<Vec<Passage>> {
    if policy.guard.selection.is_none() {
        return Ok(found);
    }
    let (question, policy) = (question.to_owned(), Arc::clone(policy));
    let choose = move || selection::select(&question, found, top_k, &policy.guard);
    off_the_arbiter(desk.corpus.searches(), patience, choose).await
}

/// What each of the two rankings finds by itself; why the one by meaning found nothing.
pub(super) async fn arms(
    desk: &Desk,
    policy: &PolicySnapshot,
    patience: Duration,
    wanted: Wanted,
    meaning: Meaning,
) -> Outcome<Result<Arms, String>> {
    let served = served(desk, policy).await?;
    let nearby = nearby(desk, policy, patience, &served, (&wanted, &meaning)).await?;
    in_index(desk, policy, patience, served, move |served| served.arms(&wanted, &meaning, nearby)).await
}

/// What the collection outside finds, where the question is searched there: who may be found stands inside the question, read off the
/// view the answer is held against once more.
async fn nearby(
    desk: &Desk,
    policy: &PolicySnapshot,
    patience: Duration,
    served: &Arc<Served>,
    (wanted, meaning): (&Wanted, &Meaning),
) -> Outcome<Option<Nearby>> {
    let Some(collection) = &meaning.outside else { return Ok(None) };
    let (asked, arm) = (wanted.clone(), Arc::clone(&meaning.arm));
    let looking = move |served: &Served| served.sides(&asked, &arm);
    let (found, sides) = in_index(desk, policy, patience, Arc::clone(served), looking).await?;
    let most = Served::depth(wanted);
    let is_filled = meaning.arm.outline().is_some_and(|outline| outline.is_filled());
    let ids = match filters(&sides.admitted, &sides.others) {
        _ if !is_filled => Err("the passages' vectors are being brought to the vector store".to_owned()),
        Ok(filters) => ask(desk, collection, &meaning.vector, &filters, (&sides.admitted, most)).await,
        Err(too_many) => Err(too_many.to_string()),
    };
    Ok(Some(Nearby { ids, found }))
}

async fn ask(
    desk: &Desk,
    collection: &TenantCollection,
    vector: &[f32],
    filters: &[crate::vector_store::rules::Filter],
    (admitted, most): (&[u64], usize),
) -> Result<Vec<u64>, String> {
    let found = collection.nearest(vector, filters, admitted, most).await;
    // fewer than there are may be what a search in a graph misses, or what is missing there
    if found.as_ref().is_ok_and(|ids| ids.len() >= admitted.len().min(most)) {
        return found;
    }
    desk.corpus.dense.suspect();
    found
}

/// The index that is served under a policy's guard; woken where it sleeps.
pub(super) async fn served(desk: &Desk, policy: &PolicySnapshot) -> Outcome<Arc<Served>> {
    let guard = policy.guard.fingerprint.as_str();
    let served = match desk.corpus.served(guard) {
        Err(NotServed::Asleep) => {
            desk.ask_index(Work::Wake).await?;
            desk.corpus.dense.nudge();
            desk.corpus.served(guard)
        }
        known => known,
    };
    served.map_err(|_not_served| {
        let detail = "searching: the policy is being changed and the index is being judged anew; try again shortly";
        Rejection::retry_after(Code::Conflict, detail, 250)
    })
}

/// Looks something up in an index, in a slot of the node's.
async fn in_index<T: Send + 'static>(
    desk: &Desk,
    policy: &PolicySnapshot,
    patience: Duration,
    served: Arc<Served>,
    search: impl FnOnce(&Served) -> Result<T, IndexError> + Send + 'static,
) -> Outcome<T> {
    let slot = desk.corpus.lanes.searches.of(policy.tenant.plan).enter(patience).await?;
    let computing = desk.corpus.lanes.computing.of(policy.tenant.plan);
    match in_slot(computing, slot, move || search(&served)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => mend(desk, error.into()).await,
        Err(panicked) => mend(desk, panicked).await,
    }
}

/// The index is damaged: it is built anew, and the asker may try again.
async fn mend<T>(desk: &Desk, found: Rejection) -> Outcome<T> {
    desk.ask_index(Work::Mend).await?;
    Err(Rejection::retry_after(Code::Lost, format!("{}; the index was rebuilt, try again", found.detail), 100))
}
