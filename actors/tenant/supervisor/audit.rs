//! What a tenant may be asked about itself: lineage, export, figures, the live tree.
use super::actor::Supervisor;
use super::messages::{
    Counts, ExportLineage, Figures, FlagsInForce, Inspect, Lineage, LineagePortion, ReadFigures, ReadFlags,
    ReadLineage, ReadPolicy, ReadSpend, RoomView,
};
use super::opening::on_derived;
use super::rooms::{KINDS, Rooms};
use crate::budget::messages::ReadBudget;
use crate::retrieval::messages::{CorpusFigures, MeasureCorpus};
use crate::spend::view::{SpendView, view};
use actix::prelude::*;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::language::Action;
use bailiwick_policy::sovereignty::Flow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Records of one export portion, at most.
const EXPORT_RECORDS_MAX: usize = 2_048;

pub(super) fn unknown_query() -> Rejection {
    Rejection::new(Code::NotFound, "there is no answer of that query_id; take it from the answer's query_id field")
}

/// What an asker is told where derived state could not be read; the reason was logged where it was read.
pub(super) fn unreadable(_reason: &str) -> Rejection {
    Rejection::new(Code::Internal, "the journal could not be read; the operator finds the reason in the log")
}

/// The same where the journal itself failed.
pub(super) fn failed(journal: &Journal, reason: &dyn std::fmt::Display) -> Rejection {
    tracing::error!(tenant = %journal.tenant(), %reason, "reading or writing the journal failed");
    Rejection::new(Code::Internal, "the journal could not be read; the operator finds the reason in the log")
}

impl Handler<ReadLineage> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadLineage, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &read.principal, &read.query_id);
        let derived = self.opened.as_ref().map(|opened| opened.derived.clone());
        let (name, query_id) = (self.parts.name.clone(), read.query_id);
        actix::spawn(async move {
            let outcome: Outcome<Lineage> = async {
                permitted.await?;
                let derived = derived.ok_or_else(unknown_query)?;
                let found = on_derived(derived, move |derived| derived.lineage_or_imported(&name, &query_id)).await;
                found.map_err(|reason| unreadable(&reason))?.ok_or_else(unknown_query)
            }
            .await;
            read.reply.answer(outcome);
        });
    }
}

impl Handler<ExportLineage> for Supervisor {
    type Result = ();

    fn handle(&mut self, export: ExportLineage, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &export.principal, &format!("lineage from {}", export.from));
        // whoever may have it takes it from here; where to is theirs to answer for
        let exported = match self.egress.clear_here(Flow::Export) {
            Ok(exported) => exported,
            Err(rejection) => return export.reply.answer(Err(rejection)),
        };
        let Some(opened) = &self.opened else { return export.reply.answer(Err(Rejection::lost())) };
        let (derived, name) = (opened.derived.clone(), self.parts.name.clone());
        actix::spawn(async move {
            let outcome: Outcome<LineagePortion> = async {
                permitted.await?;
                let (from, max) = (export.from, export.max.min(EXPORT_RECORDS_MAX));
                let portion = on_derived(derived, move |derived| derived.export(&name, from, max, &exported)).await;
                portion.map_err(|reason| unreadable(&reason))
            }
            .await;
            export.reply.answer(outcome);
        });
    }
}

impl Handler<ReadPolicy> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadPolicy, _: &mut Self::Context) {
        read.reply.answer(Ok(self.policy.clone()));
    }
}

impl Handler<ReadFlags> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadFlags, _: &mut Self::Context) {
        read.reply.answer(Ok(FlagsInForce {
            policy: Arc::clone(&self.policy),
            level: self.watch.view(),
            rollout: Arc::clone(&self.rollout),
        }));
    }
}

impl Handler<ReadFigures> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadFigures, _: &mut Self::Context) {
        let (Some(opened), Some(Rooms { retrieval, cache: _, budget, routing: _, bucket })) =
            (&self.opened, &self.rooms)
        else {
            return read.reply.answer(Err(Rejection::lost()));
        };
        let (budget_slot, budget_awaited) = ReplySlot::pair();
        let (corpus_slot, corpus_awaited) = ReplySlot::pair();
        let asked_budget = offer(&budget.clone().recipient(), ReadBudget { reply: budget_slot });
        let asked_corpus = offer(&retrieval.clone().recipient(), MeasureCorpus { reply: corpus_slot });
        let latency = self.latencies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).figures();
        let failed = self.sideways.tally().failed.load(Ordering::Relaxed);
        let (derived, bucket) = (opened.derived.clone(), bucket.standing.view());
        actix::spawn(async move {
            let outcome: Outcome<Figures> = async {
                asked_budget.map_err(|(_, undelivered)| Rejection::from(undelivered))?;
                asked_corpus.map_err(|(_, undelivered)| Rejection::from(undelivered))?;
                let counts = on_derived(derived, |derived| Ok(derived.catch_up()?.counts)).await;
                let counts = Counts { failed, ..counts.map_err(|reason| unreadable(&reason))? };
                Ok(Figures {
                    budget: budget_awaited.outcome().await?,
                    counts,
                    latency,
                    corpus: CorpusFigures { bucket, ..corpus_awaited.outcome().await? },
                })
            }
            .await;
            read.reply.answer(outcome);
        });
    }
}

impl Handler<ReadSpend> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadSpend, _: &mut Self::Context) {
        let (Some(opened), Some(rooms)) = (&self.opened, &self.rooms) else {
            return read.reply.answer(Err(Rejection::lost()));
        };
        let ReadSpend { query, reply } = read;
        if let Err(rejection) = self.egress.clear_here(Flow::Export) {
            return reply.answer(Err(rejection));
        }
        let (slot, limits) = ReplySlot::pair();
        let asked = offer(&rooms.budget.clone().recipient(), ReadBudget { reply: slot });
        let (derived, now_unix_ms) = (opened.derived.clone(), self.parts.clock.now_unix_ms());
        actix::spawn(async move {
            let outcome: Outcome<SpendView> = async {
                asked.map_err(|(_, undelivered)| Rejection::from(undelivered))?;
                let limit_month = limits.outcome().await?.limit_month;
                // grouping walks every row of the days: off the arbiter, like the reading itself
                let read = on_derived(derived, move |derived| {
                    let fold = derived.catch_up()?;
                    Ok(view(&fold.spend, &fold.ledger, limit_month, &query, now_unix_ms))
                });
                read.await.map_err(|reason| unreadable(&reason))
            }
            .await;
            reply.answer(outcome);
        });
    }
}

impl Handler<Inspect> for Supervisor {
    type Result = ();

    fn handle(&mut self, inspect: Inspect, _: &mut Self::Context) {
        let root = format!("{}/{}", self.parts.belongings.cipher.tenant(), self.parts.generation.0);
        let view = |kind: &str, mailbox_depth| RoomView {
            address: format!("{root}/{kind}"),
            kind: kind.to_owned(),
            state: self.phase.as_str().to_owned(),
            mailbox_depth,
            restarts: self.restarts.total(),
            last_fault: self.last_fault.clone(),
        };
        let mut views = vec![view("supervisor", self.whereabouts.before("exit"))];
        views.extend(KINDS.iter().map(|kind| view(kind, self.whereabouts.before(kind))));
        inspect.reply.answer(Ok(views));
    }
}
