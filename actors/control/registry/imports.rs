//! Lineage that another system wrote, on its way to the tenant it is for.
use super::actor::Registry;
use super::handles::GovernHandle;
use super::messages::GovernRequest;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_tenant::imports::messages::{ImportLineage, ImportStep, ImportView};

impl Registry {
    /// Brings a step of an import to its tenant.
    pub(super) fn import_lineage(
        &self,
        tenant: TenantKey,
        step: ImportStep,
        by: Principal,
        reply: ReplySlot<ImportView>,
    ) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((import, undelivered)) = offer(&doors.import, ImportLineage { step, by: by.key_id, reply }) {
            import.reply.answer(Err(undelivered.into()));
        }
    }
}

impl GovernHandle {
    /// Brings lineage in that another system wrote, takes it back, or keeps it for good; durable when answered.
    ///
    /// # Errors
    /// `invalid_request`, `not_found`; `conflict` where lines are missing before these, or the import is kept for good.
    pub async fn import_lineage(&self, step: ImportStep) -> Outcome<ImportView> {
        self.govern(|slot| GovernRequest::ImportLineage(step, slot)).await
    }
}
