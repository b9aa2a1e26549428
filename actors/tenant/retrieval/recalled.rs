//! Which answers of a conversation a model may be told again: those given from documents that their asker could find now, in
//! the version they were read in. An answer says what its documents say; where one of them is gone, so is the answer.
use super::corpus::Corpus;
use super::rules::may_be_found;
use super::truth::{Truth, TruthError};
use crate::question::Exchange;
use bailiwick_policy::visibility::Visible;
use std::sync::Arc;

impl Corpus {
    /// Those of these exchanges that may be told on, under the guard of this fingerprint; none that rests on a document where
    /// the documents cannot be read.
    pub(super) async fn tellable(
        self: &Arc<Self>,
        earlier: Arc<[Exchange]>,
        visible: Visible,
        guard: String,
    ) -> Arc<[Exchange]> {
        if earlier.iter().all(|exchange| exchange.rests_on.is_empty()) {
            return earlier;
        }
        let asked = Arc::clone(&earlier);
        let standing = self.read(move |truth| {
            let stands = |exchange: &Exchange| stands(truth, &exchange.rests_on, &visible, &guard);
            asked.iter().map(stands).collect::<Result<Vec<bool>, TruthError>>()
        });
        let standing = standing.await.unwrap_or_default();
        let of = |at: usize, exchange: &Exchange| exchange.rests_on.is_empty() || standing.get(at) == Some(&true);
        earlier.iter().enumerate().filter(|(at, exchange)| of(*at, exchange)).map(|(_, one)| one.clone()).collect()
    }
}

fn stands(truth: &Truth, read: &[(String, u64)], visible: &Visible, guard: &str) -> Result<bool, TruthError> {
    for (id, version) in read {
        let is_as_read = truth.get(id)?.is_some_and(|held| {
            let is_admitted = held.verdict.guard == guard && held.verdict.admitted > 0;
            held.seq == *version && is_admitted && may_be_found(visible, &held.accepted)
        });
        if !is_as_read {
            return Ok(false);
        }
    }
    Ok(true)
}
