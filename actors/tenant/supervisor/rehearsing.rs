//! A rehearsal: what another policy would make of what was asked before. Reads the journal and the index, and writes nothing
//! but what embedding golden questions costs, where one of the two policies searches by meaning.
use super::actor::Supervisor;
use super::messages::Rehearse;
use super::opening::on_derived;
use crate::retrieval::messages::SearchGolden;
use actix::prelude::*;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::rehearsal::{Rehearsal, compare, replay};
use std::sync::Arc;

/// Records looked through for requests; about a third of them hold one.
const RECORDS_MAX: u64 = 30_000;

fn unreadable(_reason: &str) -> Rejection {
    Rejection::new(
        Code::Internal,
        "rehearsing a policy: the journal could not be read; the operator finds the reason in the log",
    )
}

impl Handler<Rehearse> for Supervisor {
    type Result = ();

    fn handle(&mut self, Rehearse { policy: after, golden, reply }: Rehearse, _: &mut Self::Context) {
        let (Some(opened), Some(rooms)) = (&self.opened, &self.rooms) else {
            return reply.answer(Err(Rejection::lost()));
        };
        let (derived, before) = (Arc::clone(&opened.derived), self.policy.settled());
        let (slot, searched) = ReplySlot::pair();
        let search = SearchGolden { before: Arc::clone(&before), after: Arc::clone(&after), golden, reply: slot };
        let sent = offer(&rooms.retrieval.clone().recipient(), search);
        actix::spawn(async move {
            let outcome: Outcome<Rehearsal> = async {
                sent.map_err(|(_search, undelivered)| Rejection::from(undelivered))?;
                let replayed = on_derived(derived, move |derived| {
                    derived.catch_up()?;
                    let from = Position(derived.next().0.saturating_sub(RECORDS_MAX));
                    Ok(replay(&before, &after, &derived.recorded(from)?))
                });
                let recorded = replayed.await.map_err(|reason| unreadable(&reason))?;
                Ok(Rehearsal { recorded, golden: compare(&searched.outcome().await?) })
            }
            .await;
            reply.answer(outcome);
        });
    }
}
