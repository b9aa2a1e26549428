//! Golden questions searched for a rehearsal: under the policy in force, and as another one would have it, on the index as
//! it is. What the other guard would keep out is taken out of what is found; what only it would let in is not there yet.
use super::RetrievalRoom;
use super::dense::Way;
use super::finding::find;
use super::messages::SearchGolden;
use super::rules::{may_be_retrieved, wanted};
use crate::question::{Matter, Passage, Search};
use crate::ruling;
use actix::prelude::*;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::ranking;
use bailiwick_policy::rehearsal::Searched;
use bailiwick_policy::visibility::Visible;
use std::collections::BTreeMap;
use std::time::Duration;

/// Questions that are searched; the first ones.
pub(super) const SEARCHED_MAX: usize = 200;
/// How long one search waits for its slot.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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

impl Handler<SearchGolden> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: SearchGolden, _ctx: &mut Context<Self>) {
        let SearchGolden { before, after, golden, reply } = request;
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, now_unix_ms) = (self.desk.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            let _until_done = permit;
            let (sees, would_see) = (visible(&before, now_unix_ms), visible(&after, now_unix_ms));
            let searched: Outcome<Vec<Searched>> = async {
                let mut searched = Vec::new();
                let answerable = golden.into_iter().filter(|golden| !golden.relevant.is_empty());
                for golden in answerable.take(SEARCHED_MAX) {
                    let search = Search { query: golden.question.clone(), domain: None, usecase: None, top_k: None };
                    let matter = Matter::Search(search);
                    let now = wanted(&matter, &before, sees.clone());
                    let (Some(now), Some(then)) = (now, wanted(&matter, &after, would_see.clone())) else { continue };
                    let found = find(&desk, &before, PATIENCE, now, Way::Words).await?.passages;
                    // under the guard in force: the index knows no other one
                    let mut other = find(&desk, &before, PATIENCE, then, Way::Words).await?.passages;
                    other.retain(|passage| may_be_retrieved(&after.guard, passage));
                    let (before, after) = (documents(&golden, &found), documents(&golden, &other));
                    let Golden { question, relevant, .. } = golden;
                    searched.push(Searched { question, relevant, before, after });
                }
                Ok(searched)
            }
            .await;
            reply.answer(searched);
        });
    }
}
