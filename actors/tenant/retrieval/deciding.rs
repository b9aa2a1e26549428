//! What becomes of the documents of a portion, one after another. Under the gate: what is decided here is appended before
//! anybody else decides.
use super::engine::Former;
use super::messages::{DocumentState, Ingested};
use super::prepare::{Failed, Outlook, Prepared};
use super::reserve::Reserved;
use super::rules::{Decision, Held, decide, may_replace};
use super::truth::{Truth, TruthError};
use crate::limits::storage::{Ceilings, Footprint};
use bailiwick_kernel::journal::OfDocument;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::retention::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is decided about the documents of a portion, in its order.
pub struct Decided {
    /// The answer, with places for the positions that are not known before the append.
    pub answers: Vec<Answer>,
    /// Documents to be kept, and whether an earlier version of each stands somewhere.
    pub keep: Vec<(Prepared, Former)>,
    /// What is written of them.
    pub sealed: Vec<OfDocument>,
    /// What they and the rest of the request may add, reserved.
    pub reserved: Reserved,
}

/// What is answered about one document.
pub enum Answer {
    /// This.
    Final(Ingested),
    /// What becomes of the n-th of the documents to be kept.
    Kept(usize),
    /// The same as the n-th.
    SameAs(usize),
}

/// A portion on its way through the decisions.
pub struct Deciding {
    truth: Arc<Truth>,
    policy: Arc<PolicySnapshot>,
    ceilings: Ceilings,
    retention: Rules,
    decided: Decided,
    /// Where each id stands among those to be kept.
    places: BTreeMap<String, usize>,
    trouble: Option<TruthError>,
}

impl Deciding {
    /// Nothing is decided yet. What was reserved at arrival for the whole request is in hand; what the documents of this
    /// portion come to is known only here.
    pub fn new(truth: Arc<Truth>, policy: Arc<PolicySnapshot>, mut reserved: Reserved) -> Self {
        reserved.recount();
        let ceilings = Ceilings::of(&policy.tenant.quotas);
        let retention = policy.retention();
        let decided = Decided { answers: Vec::new(), keep: Vec::new(), sealed: Vec::new(), reserved };
        Self { truth, policy, ceilings, retention, decided, places: BTreeMap::new(), trouble: None }
    }

    /// Decides about the next document, unless the shelf has failed before. Blocking.
    pub fn next(&mut self, document: Outlook) {
        if self.trouble.is_none() {
            self.trouble = self.decide(document).err();
        }
    }

    /// What was decided.
    ///
    /// # Errors
    /// [`TruthError`] where the shelf failed on the way.
    pub fn end(self) -> Result<Decided, TruthError> {
        let Self { decided, trouble, .. } = self;
        match trouble {
            Some(error) => Err(error),
            None => Ok(decided),
        }
    }

    fn decide(&mut self, document: Outlook) -> Result<(), TruthError> {
        if self.decided.answers.is_empty() && self.ceilings.reach_below_the_tenant() {
            self.truth.count_levels()?;
        }
        let Decided { answers, keep, sealed, reserved } = &mut self.decided;
        let (mut prepared, written) = match document {
            Ok(prepared) => prepared,
            Err(failed) => {
                answers.push(Answer::Final(not_taken(failed)));
                return Ok(());
            }
        };
        let id = prepared.accepted.id.clone();
        let earlier =
            self.places.get(&id).and_then(|place| keep.get(*place).map(|(earlier, _)| (*place, &earlier.accepted)));
        let former = if earlier.is_some() { None } else { self.truth.former(&id)? };
        if let Some((place, earlier)) =
            earlier.filter(|(_, earlier)| decide(Some((earlier, 0)), &prepared.accepted) != Decision::Take)
        {
            debug_assert_eq!(earlier.id, id, "a place belongs to its id");
            answers.push(Answer::SameAs(place));
            return Ok(());
        }
        if let Some(held) = &former
            && let Decision::Unchanged { seq } = decide(Some((&held.accepted, held.seq)), &prepared.accepted)
        {
            answers.push(Answer::Final(unchanged(held, seq)));
            return Ok(());
        }
        let stands = if earlier.is_some() || former.is_some() { Former::Possible } else { Former::Absent };
        let before = earlier.map(|(_, earlier)| earlier).or(former.as_ref().map(|held| &held.accepted));
        let footprint = before.map(Footprint::from);
        let taken = match before {
            Some(before) => may_replace(before, &self.retention, prepared.accepted.at_unix_ms),
            None => Ok(()),
        };
        let taken =
            taken.and_then(|()| reserved.add(footprint.as_ref(), &Footprint::from(&prepared.accepted), &self.ceilings));
        if let Err(rejection) = taken {
            let failed = Failed { id, title: prepared.accepted.title, rejection };
            answers.push(Answer::Final(not_taken(failed)));
            return Ok(());
        }
        if prepared.verdict.guard != self.policy.guard.fingerprint {
            prepared.judge(&self.policy);
        }
        sealed.push(written);
        self.places.insert(id, keep.len());
        answers.push(Answer::Kept(keep.len()));
        keep.push((prepared, stands));
        Ok(())
    }
}

/// The answer about a document that was not taken.
pub fn not_taken(failed: Failed) -> Ingested {
    let Failed { id, title, rejection } = failed;
    Ingested {
        id,
        title,
        chunks: 0,
        seq: 0,
        state: DocumentState::Failed,
        error: Some(rejection.detail),
        code: Some(rejection.code),
    }
}

fn unchanged(held: &Held, seq: u64) -> Ingested {
    Ingested {
        id: held.accepted.id.clone(),
        title: held.accepted.title.clone(),
        chunks: held.accepted.chunks,
        seq,
        state: DocumentState::Unchanged,
        error: held.verdict.reason.clone(),
        code: None,
    }
}

/// The answers, now that the documents kept stand in the journal from `first` on.
pub fn answers(places: Vec<Answer>, kept: &[(Prepared, Former)], first: u64) -> Vec<Ingested> {
    let kept = |place: usize, state: Option<DocumentState>| {
        let (prepared, _former) = kept.get(place)?;
        let quarantined =
            if prepared.verdict.admitted == 0 { DocumentState::Quarantined } else { DocumentState::Accepted };
        Some(Ingested {
            id: prepared.accepted.id.clone(),
            title: prepared.accepted.title.clone(),
            chunks: prepared.accepted.chunks,
            seq: first.saturating_add(u64::try_from(place).unwrap_or(u64::MAX)),
            state: state.unwrap_or(quarantined),
            error: prepared.verdict.reason.clone(),
            code: None,
        })
    };
    let answer = |place| match place {
        Answer::Final(ingested) => Some(ingested),
        Answer::Kept(place) => kept(place, None),
        Answer::SameAs(place) => kept(place, Some(DocumentState::Unchanged)),
    };
    places.into_iter().filter_map(answer).collect()
}
