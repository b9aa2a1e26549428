//! The shell of repeated calls: searches the journal off the arbiter, tells those who wait.
use super::super::actor::Supervisor;
use super::super::lineage::Search;
use super::super::messages::{Admit, Event};
use super::super::opening::on_derived;
use super::super::places::Permit;
use super::super::sideways::kind_of;
use super::keyed::{CallEnded, Keyed};
use super::name::Name;
use super::rules::{self, Came};
use crate::digest::MatterDigest;
use crate::turn::{Given, ReplyLine};
use actix::prelude::*;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};

/// Somebody who waits for the first call of a key, counted among the tenant's requests in flight.
pub(in crate::supervisor) struct Waiter {
    kind: &'static str,
    line: ReplyLine,
    permit: Permit,
}

impl Supervisor {
    /// Admits a call under an `Idempotency-Key`. It was let in like any other: a repeat counts as a request, and costs
    /// nothing else.
    pub(in crate::supervisor) fn admit_keyed(
        &mut self,
        key: String,
        admit: Admit,
        permit: Permit,
        ctx: &mut Context<Self>,
    ) {
        let Admit { matter, principal, wishes, deadline_ms, line } = admit;
        let (name, digest) = (Name::of(&principal.key_id, &key), MatterDigest::of(&matter));
        match self.repeats.came(name, digest, Waiter { kind: kind_of(&matter), line, permit }) {
            Came::Waits => {}
            Came::Refused(waiter, rejection) => self.tell(waiter, Err(rejection)),
            Came::First { attempt, waiter: Waiter { line, permit, .. } } => {
                let home = ctx.address().recipient();
                let keyed = Keyed::new(principal.key_id.clone(), key, digest, attempt, home);
                let admit = Admit { matter, principal, wishes, deadline_ms, line };
                self.search_journal(keyed, admit, permit, ctx);
            }
        }
    }

    fn search_journal(&mut self, keyed: Keyed, admit: Admit, permit: Permit, ctx: &mut Context<Self>) {
        let Some(opened) = &self.opened else { return admit.line.reject(Rejection::lost()) };
        let (name, now) = (keyed.name(), self.parts.clock.now_unix_ms());
        let ahead = u64::try_from(self.repeats.in_flight()).unwrap_or(u64::MAX);
        let searched = on_derived(opened.derived.clone(), move |derived| derived.kept(&name, ahead, now));
        ctx.spawn(
            searched
                .into_actor(self)
                .map(move |found, supervisor, ctx| supervisor.searched(keyed, admit, permit, found, &ctx.address())),
        );
    }

    fn searched(
        &mut self,
        mut keyed: Keyed,
        admit: Admit,
        permit: Permit,
        found: Result<Search, String>,
        home: &Addr<Self>,
    ) {
        let rejection = match found {
            Ok(Search::Nothing) => {
                for waiter in self.repeats.runs(&keyed.name(), keyed.attempt(), keyed.matter) {
                    self.tell(waiter, Err(rules::other_body()));
                }
                return self.set_out(admit, permit, Some(keyed), home);
            }
            Ok(Search::Kept(matter, outcome)) => {
                let (policy, _drawn) = self.serve(&admit);
                let outcome = outcome.and_then(|kept| kept.given(&policy, &self.rule(&policy, &admit)?));
                let waited = self.repeats.ended(&keyed.name(), keyed.attempt(), matter);
                waited.same.into_iter().for_each(|waiter| self.tell(waiter, outcome.clone()));
                waited.other.into_iter().for_each(|waiter| self.tell(waiter, Err(rules::other_body())));
                let waiter = Waiter { kind: kind_of(&admit.matter), line: admit.line, permit };
                return self.tell(waiter, rules::judge(matter, keyed.matter).and(outcome));
            }
            Ok(Search::Full { for_ms }) => Rejection::retry_after(
                Code::QuotaExceeded,
                "keeping a call: this tenant has used as many Idempotency-Keys within 24 hours as are kept; send the call without one, or wait until the oldest is forgotten",
                for_ms,
            ),
            Err(reason) => {
                let tenant = self.parts.belongings.cipher.tenant();
                tracing::error!(%tenant, %reason, "searching the journal for a repeated call failed");
                Rejection::new(
                    Code::Internal,
                    "the journal could not be read; the operator finds the reason in the log",
                )
            }
        };
        keyed.note(|| Err(rejection.clone()));
        self.tell(Waiter { kind: kind_of(&admit.matter), line: admit.line, permit }, Err(rejection));
    }

    fn tell(&self, waiter: Waiter, outcome: Outcome<Given>) {
        let Waiter { kind, line, permit } = waiter;
        match outcome {
            Ok(given) => {
                self.sideways.tell(Event::Repeated { kind });
                line.repeat(given);
            }
            Err(rejection) => {
                self.sideways.tell(Event::Refused { code: rejection.code, is_failure: false });
                line.reject(rejection);
            }
        }
        drop(permit);
    }
}

impl Handler<CallEnded> for Supervisor {
    type Result = ();

    fn handle(&mut self, ended: CallEnded, _: &mut Self::Context) {
        let CallEnded { name, attempt, matter, outcome } = ended;
        let waited = self.repeats.ended(&name, attempt, matter);
        waited.same.into_iter().for_each(|waiter| self.tell(waiter, outcome.clone()));
        waited.other.into_iter().for_each(|waiter| self.tell(waiter, Err(rules::other_body())));
    }
}
