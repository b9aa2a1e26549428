//! Golden questions searched for a rehearsal: under the policy in force, and as another one would have it, on the index as
//! it is, by words and meaning where that policy would, and chosen among as that policy would. What the other guard would
//! keep out is taken out of what is found; what only it would let in is not there yet.
use super::RetrievalRoom;
use super::corpus::Corpus;
use super::dense::{self, Door, InForce, Way};
use super::finding::{chosen, find, served};
use super::ingest::Desk;
use super::messages::SearchGolden;
use super::pools::off_the_arbiter;
use super::rules::{Wanted, judged_by, wanted};
use super::selection;
use super::truth::Truth;
use crate::question::{Matter, Passage, Search};
use crate::ruling;
use actix::prelude::*;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::ranking;
use bailiwick_policy::rehearsal::{GoldenSearch, Searched, SearchedBy};
use bailiwick_policy::visibility::Visible;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Questions that are searched; the first ones.
pub(super) const SEARCHED_MAX: usize = 200;
/// How long one search waits for its slot.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long embedding the questions of a rehearsal may take, all of them together.
const EMBEDDING: Duration = Duration::from_secs(5);
/// How long a rehearsal waits for vectors that are being read.
const LOADING: Duration = Duration::from_secs(2);

/// Somebody without a name who may ask.
pub(super) fn reader() -> Principal {
    Principal { key_id: String::new(), user_id: None, role: Some(Role::Operator), attributes: BTreeMap::new() }
}

/// What a policy lets the reader find; nothing where its rules cannot say.
pub(super) fn visible(policy: &PolicySnapshot, now_unix_ms: u64) -> Visible {
    ruling::visible(policy, &ruling::asker(policy, &reader(), now_unix_ms))
        .unwrap_or_else(|_refused| Visible::nothing())
}

/// The documents of passages, best first, as the golden question calls them.
pub(super) fn documents(golden: &Golden, passages: &[Passage]) -> Vec<String> {
    let named = passages.iter().map(|passage| golden.name_of(&passage.document_id, &passage.source));
    ranking::documents(named).into_iter().map(str::to_owned).collect()
}

/// What one question means, and the vectors its meaning is held against.
type Meant = (Arc<Truth>, Arc<[f32]>);

/// One of the two policies, and how it looks for passages.
struct Side {
    policy: Arc<PolicySnapshot>,
    sees: Visible,
    /// Its search by meaning, or why it has none; nothing where it wants none.
    in_force: Option<Result<InForce, String>>,
}

impl Side {
    fn of(corpus: &Corpus, policy: Arc<PolicySnapshot>, now_unix_ms: u64) -> Self {
        let in_force = policy.dense.as_ref().map(|settings| corpus.dense_in_force(&policy, settings));
        Self { sees: visible(&policy, now_unix_ms), in_force, policy }
    }

    fn by_words_because(&mut self, reason: &str) {
        if let Some(in_force @ Ok(_)) = &mut self.in_force {
            *in_force = Err(reason.to_owned());
        }
    }

    fn searched_by(&self) -> SearchedBy {
        let reason = self.in_force.as_ref().and_then(|in_force| in_force.as_ref().err());
        SearchedBy { meaning: matches!(self.in_force, Some(Ok(_))), reason: reason.cloned() }
    }

    fn wanted(&self, golden: &Golden) -> Option<Wanted> {
        let search = Search { query: golden.question.clone(), ..Search::default() };
        wanted(&Matter::Search(search), &self.policy, self.sees.clone())
    }

    fn way(&self, meant: Option<&Meant>) -> Way {
        match (&self.in_force, meant) {
            (Some(Ok(in_force)), Some((truth, vector))) => Way::Both(in_force.meaning(truth, vector)),
            _ => Way::Words,
        }
    }
}

/// Golden questions under two policies.
struct Rehearsing {
    desk: Desk,
    door: Door,
    before: Side,
    after: Side,
    golden: Vec<Golden>,
}

impl Rehearsing {
    /// What the questions mean, with the vectors as they were embedded; nothing where neither policy asks for that.
    async fn meant(&self) -> Result<Option<(Arc<Truth>, Vec<Arc<[f32]>>)>, String> {
        let in_force = [&self.before, &self.after].into_iter().find_map(|side| side.in_force.as_ref()?.as_ref().ok());
        let Some(InForce { arm, .. }) = in_force else { return Ok(None) };
        let corpus = &self.desk.corpus;
        let truth = corpus.truth().await.map_err(|rejection| rejection.detail)?;
        let questions: Vec<&str> = self.golden.iter().map(|golden| golden.question.as_str()).collect();
        let vectors = corpus.embedded(&self.door, &arm.model, &questions, &dense::indexer(), EMBEDDING).await?;
        Ok(Some((truth, vectors)))
    }

    /// All questions, searched alike.
    ///
    /// # Errors
    /// Inside: why one of them could not be searched by its meaning after all.
    async fn search(&self) -> Outcome<Result<GoldenSearch, String>> {
        let meant = match self.meant().await {
            Ok(meant) => meant,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut searched = Vec::new();
        for (at, golden) in self.golden.iter().enumerate() {
            let meant =
                meant.as_ref().and_then(|(truth, vectors)| Some((Arc::clone(truth), Arc::clone(vectors.get(at)?))));
            let before = self.found(&self.before, golden, meant.as_ref()).await?;
            let after = self.found(&self.after, golden, meant.as_ref()).await?;
            let (before, after) = match (before, after) {
                (Ok(before), Ok(after)) => (before, after),
                (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
            };
            let Golden { question, relevant, .. } = golden.clone();
            searched.push(Searched { question, relevant, before, after });
        }
        let (before, after) = (self.before.searched_by(), self.after.searched_by());
        Ok(Ok(GoldenSearch { searched, before, after }))
    }

    /// The documents of the passages chosen under one of the two policies, as the golden question calls them; nothing for what
    /// cannot be searched. No model looks at them a second time, and nobody's feedback has lowered their trust.
    ///
    /// # Errors
    /// Inside: why it could not be searched by its meaning after all.
    async fn found(&self, side: &Side, golden: &Golden, meant: Option<&Meant>) -> Outcome<Result<Vec<String>, String>> {
        let Some(mut wanted) = side.wanted(golden) else { return Ok(Ok(Vec::new())) };
        let top_k = wanted.top_k;
        wanted.top_k = selection::wanted(top_k, side.policy.guard.selection.as_ref());
        // under the guard in force: the index knows no other one
        let found = find(&self.desk, &self.before.policy, PATIENCE, wanted, side.way(meant)).await?;
        if let Err(reason) = found.hybrid {
            return Ok(Err(reason));
        }
        let passages = self.judged(side, found.passages).await?;
        let passages = chosen(&self.desk, &side.policy, PATIENCE, (&golden.question, passages), top_k).await?;
        Ok(Ok(documents(golden, &passages)))
    }

    /// What was found under the guard in force, as that of a side judges it.
    async fn judged(&self, side: &Side, passages: Vec<Passage>) -> Outcome<Vec<Passage>> {
        let guard = Arc::clone(&side.policy.guard);
        if guard.fingerprint == self.before.policy.guard.fingerprint {
            return Ok(passages);
        }
        let judge = move || passages.into_iter().filter_map(|passage| judged_by(&guard, passage)).collect();
        off_the_arbiter(self.desk.corpus.searches(), PATIENCE, judge).await
    }

    /// Where a question cannot be searched by its meaning, all of them by their words: half of each would compare nothing.
    async fn searched(mut self) -> Outcome<GoldenSearch> {
        let reason = match self.search().await? {
            Ok(searched) => return Ok(searched),
            Err(reason) => reason,
        };
        self.before.by_words_because(&reason);
        self.after.by_words_because(&reason);
        self.search()
            .await?
            .map_err(|reason| Rejection::new(Code::Internal, format!("searching golden questions: {reason}")))
    }
}

impl Handler<SearchGolden> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: SearchGolden, _ctx: &mut Context<Self>) {
        let SearchGolden { before, after, golden, reply } = request;
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, door, now_unix_ms) = (self.desk.clone(), self.embedding.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            let _until_done = permit;
            let searched: Outcome<GoldenSearch> = async {
                if let Some(settings) = &before.dense {
                    // nobody may have come for a while: what then sleeps would not be found by anybody
                    served(&desk, &before).await?;
                    desk.corpus.dense.loaded(&settings.model, LOADING).await;
                }
                let side = |policy| Side::of(&desk.corpus, policy, now_unix_ms);
                let (before, after) = (side(before), side(after));
                let answerable = golden.into_iter().filter(|golden| !golden.relevant.is_empty());
                let golden = answerable.take(SEARCHED_MAX).collect();
                Rehearsing { desk: desk.clone(), door, before, after, golden }.searched().await
            }
            .await;
            reply.answer(searched);
        });
    }
}
