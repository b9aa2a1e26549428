//! Heads that leave this tenant to be kept elsewhere, and heads of other tenants that are kept here.
use super::actor::Supervisor;
use super::audit::{failed, unreadable};
use super::lineage::{Derived, DerivedError};
use super::opening::on_derived;
use super::proving::Shower;
use crate::entry::Entry;
use crate::proofs::extension::{Taken, goes_on};
use crate::proofs::forms::{Receipt, SignedHead, WITNESS};
use crate::proofs::messages::{Departing, PublishHead, ReadTaken, ReadWitness, WitnessHead};
use crate::proofs::records::HeadWitnessed;
use actix::prelude::*;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::language::Action;
use bailiwick_policy::sovereignty::Flow;
use std::sync::Arc;

/// Journals whose heads one tenant takes in: they are named in the fold, which is one value of the store.
const WITNESSED_MAX: usize = 128;

/// A head of another journal, where it stands here, and how many journals have one.
struct Stands {
    newest: Option<(Position, HeadWitnessed)>,
    journals: usize,
}

impl Derived {
    fn stands(&mut self, journal: &str) -> Result<Stands, DerivedError> {
        let fold = self.catch_up()?;
        let (at, journals) = (fold.witnessed.get(journal).copied(), fold.witnessed.len());
        let entry = at.map(|at| self.journal().entry::<Entry>(at)).transpose()?.flatten();
        let newest = match (at, entry) {
            (Some(at), Some((_, Entry::HeadWitnessed(head)))) => Some((at, *head)),
            _ => None,
        };
        Ok(Stands { newest, journals })
    }

    /// The proof that this journal holds the newest head of another one that was taken in.
    fn witness(&mut self, journal: &str, shower: &Shower) -> Result<Option<Receipt>, DerivedError> {
        let Some((at, _)) = self.stands(journal)?.newest else { return Ok(None) };
        self.proved(at, 1, WITNESS, shower).map(Some)
    }
}

fn taken(head: HeadWitnessed) -> Taken {
    let HeadWitnessed { checkpoint, verifier_key, size, .. } = head;
    Taken { checkpoint, verifier_key, size }
}

fn conflict(problem: &impl std::fmt::Display) -> Rejection {
    Rejection::new(Code::Conflict, problem.to_string())
}

/// Whether a head is taken in; nothing where it is the one that was taken in last.
fn judged(stands: Stands, head: SignedHead, at_unix_ms: u64) -> Outcome<Result<HeadWitnessed, Position>> {
    let full = stands.newest.is_none() && stands.journals >= WITNESSED_MAX;
    let (at, before) = stands.newest.map(|(at, head)| (at, taken(head))).unzip();
    let next = goes_on(before.as_ref(), &head).map_err(|broken| conflict(&broken))?;
    if let (Some(at), Some(before)) = (at, before)
        && before.size == next.size
    {
        return Ok(Err(at));
    }
    if full {
        return Err(conflict(&format!("taking a signed head: {WITNESSED_MAX} journals have heads here already")));
    }
    let SignedHead { tenant_key: journal, checkpoint, verifier_key, size, .. } = head;
    Ok(Ok(HeadWitnessed { journal, checkpoint, verifier_key, size, at_unix_ms }))
}

impl Handler<PublishHead> for Supervisor {
    type Result = ();

    fn handle(&mut self, PublishHead { since, region, reply }: PublishHead, _: &mut Self::Context) {
        // before it is signed: the head of a tenant that forbids the place is not even made
        let transfer = match self.egress.publish(&region) {
            Ok(transfer) => transfer,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let (derived, shower) = (Arc::clone(&opened.derived), self.shower());
        actix::spawn(async move {
            let head = on_derived(derived, move |derived| derived.head_since(since, &shower)).await;
            let head = head.map_err(|reason| unreadable(&reason)).flatten();
            reply.answer(head.map(|head| Departing { head, transfer }));
        });
    }
}

impl Handler<WitnessHead> for Supervisor {
    type Result = ();

    fn handle(&mut self, WitnessHead { head, reply }: WitnessHead, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let (derived, journal) = (Arc::clone(&opened.derived), opened.belongings.journal.clone());
        let (turn, now) = (Arc::clone(&self.witnessing), self.parts.clock.now_unix_ms());
        actix::spawn(async move {
            let outcome: Outcome<u64> = async {
                // one after the other: of two that go on from the same head only one is taken in
                let _turn = turn.lock().await;
                let about = head.tenant_key.clone();
                let stands = on_derived(derived, move |derived| derived.stands(&about)).await;
                match judged(stands.map_err(|reason| unreadable(&reason))?, head, now)? {
                    Err(at) => Ok(at.0),
                    Ok(witnessed) => {
                        let appended = journal.append(&[Entry::HeadWitnessed(Box::new(witnessed))]).await;
                        appended.map(|appended| appended.first.0).map_err(|error| failed(&journal, &error))
                    }
                }
            }
            .await;
            reply.answer(outcome);
        });
    }
}

impl Handler<ReadTaken> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadTaken { journal, reply }: ReadTaken, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let derived = Arc::clone(&opened.derived);
        actix::spawn(async move {
            let stands = on_derived(derived, move |derived| derived.stands(&journal)).await;
            let newest = stands.map(|stands| stands.newest.map(|(_, head)| taken(head)));
            reply.answer(newest.map_err(|reason| unreadable(&reason)));
        });
    }
}

impl Handler<ReadWitness> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadWitness { journal, principal, reply }: ReadWitness, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &principal, &format!("witnessed head of {journal}"));
        let exported = self.egress.clear_here(Flow::Export);
        let derived = self.opened.as_ref().map(|opened| Arc::clone(&opened.derived));
        let shower = self.shower();
        actix::spawn(async move {
            let outcome: Outcome<Receipt> = async {
                permitted.await?;
                exported?;
                let derived = derived.ok_or_else(Rejection::lost)?;
                let witness = on_derived(derived, move |derived| derived.witness(&journal, &shower)).await;
                witness.map_err(|reason| unreadable(&reason))?.ok_or_else(|| {
                    Rejection::new(Code::NotFound, "no head of that journal was taken in here; take its tenant_key")
                })
            }
            .await;
            reply.answer(outcome);
        });
    }
}
