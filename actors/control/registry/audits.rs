//! The audit trail, for the node's operator: the registry's own journal, read beside its other work.
use super::actor::Registry;
use super::handles::FleetHandle;
use super::messages::FleetRequest;
use crate::audit::rules::About;
use crate::audit::trail::{self, AuditPage, TrailError, Wanted};
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_kernel::residue;
use bailiwick_tenant::proofs::forms::{ShownRecord, SignedHead};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What is asked of the trail.
pub enum AuditWish {
    /// A page of what was done.
    Page(AuditTenant, ReplySlot<AuditPage>),
    /// The head of the journal, signed.
    Head(ReplySlot<SignedHead>),
    /// So many records from a position on, to be verified.
    Records(u64, usize, ReplySlot<Vec<ShownRecord>>),
}

impl AuditWish {
    /// Answers it with a refusal.
    pub(super) fn refuse(self, rejection: Rejection) {
        match self {
            Self::Page(_, slot) => slot.answer(Err(rejection)),
            Self::Head(slot) => slot.answer(Err(rejection)),
            Self::Records(_, _, slot) => slot.answer(Err(rejection)),
        }
    }
}

/// Which entries are wanted, by the name or id of their tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditTenant {
    /// From this position on.
    pub from: u64,
    /// So many of them.
    pub limit: usize,
    /// Those about this tenant alone.
    pub tenant: Option<String>,
}

impl Registry {
    /// Reads the trail.
    pub(super) fn audit(&self, wish: AuditWish) {
        match wish {
            AuditWish::Page(AuditTenant { from, limit, tenant }, slot) => {
                // one that was destroyed has no name any more, and keeps its id
                let named = tenant.map(|name| {
                    let known = self.directory.find(&name).map(|tenant| tenant.id);
                    known.or_else(|| name.parse().ok()).ok_or_else(super::rules::no_such_tenant)
                });
                let about = match named.transpose() {
                    Ok(about) => about.map(|id| About { id, keys: self.keys_of(id) }),
                    Err(rejection) => return slot.answer(Err(rejection)),
                };
                self.read_journal(slot, move |journal| trail::page(journal, &Wanted { from, limit, about }));
            }
            AuditWish::Head(slot) => {
                let (signer, at_unix_ms) = (self.heads.clone(), self.clock.now_unix_ms());
                self.read_journal(slot, move |journal| trail::head(journal, &signer, at_unix_ms));
            }
            AuditWish::Records(from, max, slot) => {
                self.read_journal(slot, move |journal| trail::records(journal, from, max));
            }
        }
    }

    fn keys_of(&self, tenant: Uuid) -> BTreeSet<String> {
        self.directory.keys_of(Some(tenant)).into_iter().map(|key| key.key_id.clone()).collect()
    }

    fn read_journal<T: Send + 'static>(
        &self,
        slot: ReplySlot<T>,
        read: impl FnOnce(&Journal) -> Result<T, TrailError> + Send + 'static,
    ) {
        let journal = self.journal.clone();
        let reading = residue::spawn_blocking(move || read(&journal));
        actix::spawn(async move {
            let outcome = reading.await.map_err(|_panicked| Rejection::lost());
            slot.answer(outcome.and_then(|read| read.map_err(Rejection::from)));
        });
    }
}

impl FleetHandle {
    /// What was done in the control plane, in the order it was written.
    ///
    /// # Errors
    /// `not_found` where the tenant is unknown.
    pub async fn audit(&self, wanted: AuditTenant) -> Outcome<AuditPage> {
        self.fleet(|slot| FleetRequest::Audit(AuditWish::Page(wanted, slot))).await
    }

    /// The head of the control plane's journal, signed.
    ///
    /// # Errors
    /// `internal` where it cannot be read.
    pub async fn audit_head(&self) -> Outcome<SignedHead> {
        self.fleet(|slot| FleetRequest::Audit(AuditWish::Head(slot))).await
    }

    /// Its records, to be verified.
    ///
    /// # Errors
    /// As [`FleetHandle::audit_head`].
    pub async fn audit_records(&self, from: u64, max: usize) -> Outcome<Vec<ShownRecord>> {
        self.fleet(|slot| FleetRequest::Audit(AuditWish::Records(from, max, slot))).await
    }
}
