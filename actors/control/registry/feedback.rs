//! What followed from judgements of a tenant's answers: shown to its auditors, taken back by its owners and admins.
use super::actor::Registry;
use super::handles::{AuditHandle, GovernHandle, call};
use super::messages::GovernRequest;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_policy::dense::Learnt;
use bailiwick_tenant::feedback::messages::{FeedbackView, ReadFeedback, RestoreTrust};
use bailiwick_tenant::retrieval::messages::{SteerWeight, WeightOrder};

impl Registry {
    /// Has a tenant trust a document again.
    pub(super) fn restore_trust(
        &self,
        tenant: TenantKey,
        document_id: String,
        by: Principal,
        reply: ReplySlot<FeedbackView>,
    ) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((restore, undelivered)) = offer(&doors.restore_trust, RestoreTrust { document_id, by, reply }) {
            restore.reply.answer(Err(undelivered.into()));
        }
    }

    /// Has a tenant take the learnt weight of its search by meaning back, or learn it again.
    pub(super) fn steer_weight(&self, tenant: TenantKey, order: WeightOrder, by: Principal, reply: ReplySlot<Learnt>) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((steer, undelivered)) = offer(&doors.steer_weight, SteerWeight { order, by: by.key_id, reply }) {
            steer.reply.answer(Err(undelivered.into()));
        }
    }
}

impl AuditHandle {
    /// Documents that have lost trust, and questions whose right answer somebody has said.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn judgements(&self) -> Outcome<FeedbackView> {
        let principal = self.seal.principal.clone();
        call(&self.judgements, |reply| ReadFeedback { principal, reply }).await
    }
}

impl GovernHandle {
    /// A document is trusted again as far as the policy says; durable when answered.
    ///
    /// # Errors
    /// The tenant's refusal. Where it has lost no trust nothing is to be done.
    pub async fn restore_trust(&self, document_id: String) -> Outcome<FeedbackView> {
        self.govern(|slot| GovernRequest::RestoreTrust(document_id, slot)).await
    }

    /// The learnt weight of the search by meaning is taken back, or may be learnt again; durable when answered.
    ///
    /// # Errors
    /// `conflict` where the tenant wants no search by meaning.
    pub async fn steer_weight(&self, order: WeightOrder) -> Outcome<Learnt> {
        self.govern(|slot| GovernRequest::SteerWeight(order, slot)).await
    }
}
