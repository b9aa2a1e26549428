//! What the policy's rules say before anything is done: for turns, and for requests that are none.
use super::actor::Supervisor;
use super::exit::{Asker, logged};
use super::messages::Admit;
use crate::approvals::Met;
use crate::approvals::rules::Need;
use crate::entry::Entry;
use crate::erasures::messages::{AskErasure, ListErasures, ShowErasure};
use crate::query_ids;
use crate::retrieval::messages::{ListDocuments, RemoveDocument, ShowDocument};
use crate::ruling::{self, Ruled};
use actix::prelude::*;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::language::Action;

impl Supervisor {
    /// Rules on a turn that would set out now, under the policy that serves it.
    pub(super) fn rule(&self, policy: &PolicySnapshot, admit: &Admit) -> Outcome<Ruled> {
        Ruled::on(policy, &admit.matter, &admit.principal, self.parts.clock.now_unix_ms())
    }

    /// Rules on an action that needs no turn, and meets what goes with the permission: it may be done once what has to be
    /// durable first is. A refusal is recorded like a turn's.
    pub(super) fn permitted(
        &self,
        action: Action,
        principal: &Principal,
        subject: &str,
    ) -> impl Future<Output = Outcome<()>> + 'static + use<> {
        let now_unix_ms = self.parts.clock.now_unix_ms();
        let policy = self.policy.settled();
        let facts = ruling::asker(&policy, principal, now_unix_ms);
        let (mut first, mut claim, mut met) = (Vec::new(), None, Ok(()));
        match ruling::permitted(&policy, action, &facts) {
            Ok(obligations) => {
                if obligations.log {
                    let who = Asker { principal, facts: &facts, policy: &policy };
                    first.push(logged(action, subject, &who, now_unix_ms));
                }
                if obligations.approve {
                    let need = Need::of_subject(action, subject, principal);
                    match self.approvals.meet(&need, now_unix_ms) {
                        Met::Approved(approved) => {
                            first.push(approved.entry(now_unix_ms));
                            claim = Some(approved);
                        }
                        Met::Waits(word) => {
                            first = word.entry().into_iter().collect();
                            met = Err(word.rejection(&need));
                        }
                    }
                }
            }
            Err(rejection) => met = Err(rejection),
        }
        if let Err(rejection) = &met {
            let query_id = query_ids::fresh(self.parts.draw.as_ref(), now_unix_ms);
            self.sideways.refused_request(&query_id, principal, rejection);
        }
        let recorded = self.recorded(first);
        async move {
            recorded.await?;
            // what was approved is used up by the entry; the claim kept others from using it meanwhile
            drop(claim);
            met
        }
    }

    /// Waits until entries that something depends on are durable; at once where there are none.
    pub(super) fn recorded(&self, entries: Vec<Entry>) -> impl Future<Output = Outcome<()>> + 'static + use<> {
        let journal = self.opened.as_ref().map(|opened| opened.belongings.journal.clone());
        let approvals = self.approvals.clone();
        async move {
            if entries.is_empty() {
                return Ok(());
            }
            let Some(journal) = journal else { return Err(Rejection::lost()) };
            let appended = journal.append(&entries).await.map_err(|error| {
                tracing::error!(tenant = %journal.tenant(), %error, "what must be recorded first could not be");
                let detail = "the request could not be recorded, and is not carried out; the operator finds the reason in the log";
                Rejection::new(Code::Internal, detail)
            })?;
            approvals.apply(appended.first, &entries);
            Ok(())
        }
    }
}

macro_rules! forwarded_if_permitted {
    ($($action:ident($message:ty: $subject:expr)),*) => {$(
        impl Handler<$message> for Supervisor {
            type Result = ();
            fn handle(&mut self, message: $message, ctx: &mut Self::Context) {
                let subject: fn(&$message) -> String = $subject;
                let permitted = self.permitted(Action::$action, &message.principal, &subject(&message));
                ctx.spawn(permitted.into_actor(self).map(|permitted, supervisor, _| match permitted {
                    Ok(()) => supervisor.forward(message, |rooms| rooms.retrieval.clone().recipient(), |message, rejection| message.reply.answer(Err(rejection))),
                    Err(rejection) => message.reply.answer(Err(rejection)),
                }));
            }
        }
    )*};
}
forwarded_if_permitted!(
    Read(ListDocuments: |list| format!("documents after {:?}", list.after.as_deref().unwrap_or_default())),
    Read(ShowDocument: |show| show.id.clone()),
    Remove(RemoveDocument: |remove| remove.id.clone()),
    Remove(AskErasure: |ask| format!("everything of the {} {}", ask.wish.of.as_str(), ask.wish.name)),
    Read(ListErasures: |_list| "requests for erasure".to_owned()),
    Read(ShowErasure: |show| show.id.clone())
);
