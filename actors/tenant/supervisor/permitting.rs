//! What the policy's rules say before anything is done: for turns, and for requests that are none.
use super::actor::Supervisor;
use super::messages::Admit;
use crate::query_ids;
use crate::retrieval::messages::{ListDocuments, RemoveDocument, ShowDocument};
use crate::ruling::{self, Ruled};
use actix::prelude::*;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::language::Action;

impl Supervisor {
    /// Rules on a turn that would set out now, under the policy that serves it.
    pub(super) fn rule(&self, policy: &PolicySnapshot, admit: &Admit) -> Outcome<Ruled> {
        Ruled::on(policy, &admit.matter, &admit.principal, self.parts.clock.now_unix_ms())
    }

    /// Rules on an action that needs no turn; a refusal is recorded like a turn's.
    pub(super) fn permitted(&self, action: Action, principal: &Principal) -> Outcome<()> {
        let now_unix_ms = self.parts.clock.now_unix_ms();
        let policy = self.policy.settled();
        let facts = ruling::asker(&policy, principal, now_unix_ms);
        ruling::permitted(&policy, action, &facts).map(|_nothing_to_meet| ()).inspect_err(|rejection| {
            let query_id = query_ids::fresh(self.parts.draw.as_ref(), now_unix_ms);
            self.sideways.refused_request(&query_id, principal, rejection);
        })
    }
}

macro_rules! forwarded_if_permitted {
    ($action:path => $($message:ty),*) => {$(
        impl Handler<$message> for Supervisor {
            type Result = ();
            fn handle(&mut self, message: $message, _: &mut Self::Context) {
                match self.permitted($action, &message.principal) {
                    Ok(()) => self.forward(message, |rooms| rooms.retrieval.clone().recipient(), |message, rejection| message.reply.answer(Err(rejection))),
                    Err(rejection) => message.reply.answer(Err(rejection)),
                }
            }
        }
    )*};
}
forwarded_if_permitted!(Action::Read => ListDocuments, ShowDocument);
forwarded_if_permitted!(Action::Remove => RemoveDocument);
