//! Requests of a tenant that need somebody's word: shown to its auditors, decided by its owners and admins.
use super::actor::Registry;
use super::handles::{AuditHandle, GovernHandle, call};
use super::messages::GovernRequest;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_tenant::approvals::messages::{ApprovalView, DecideApproval, ReadApprovals};
use bailiwick_tenant::approvals::rules::Decision;

impl Registry {
    /// Brings somebody's word to the tenant it is about.
    pub(super) fn decide_approval(
        &self,
        tenant: TenantKey,
        id: String,
        decision: Decision,
        by: Principal,
        reply: ReplySlot<ApprovalView>,
    ) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((decide, undelivered)) = offer(&doors.decide, DecideApproval { id, decision, by, reply }) {
            decide.reply.answer(Err(undelivered.into()));
        }
    }
}

impl AuditHandle {
    /// Requests that wait for somebody's word, may be carried out or were refused, oldest first.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn approvals(&self) -> Outcome<Vec<ApprovalView>> {
        let principal = self.seal.principal.clone();
        call(&self.approvals, |reply| ReadApprovals { principal, reply }).await
    }
}

impl GovernHandle {
    /// One's word on a request; durable when answered.
    ///
    /// # Errors
    /// `not_found` where none of that id waits, `forbidden` for whoever asked and for who is no user of the tenant,
    /// `conflict` where it is decided already.
    pub async fn decide_approval(&self, id: String, decision: Decision) -> Outcome<ApprovalView> {
        self.govern(|slot| GovernRequest::DecideApproval(id, decision, slot)).await
    }
}
