//! Requests for erasure of one tenant: asked for by whoever may remove, shown to its auditors.
use super::handles::{AuditHandle, IngestHandle, call};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_tenant::erasures::messages::{AskErasure, ErasureView, ListErasures, ShowErasure};
use bailiwick_tenant::erasures::rules::Wish;
use bailiwick_tenant::proofs::certificates::ErasureCertificate;
use bailiwick_tenant::proofs::messages::ReadCertificate;

impl IngestHandle {
    /// Asks for an erasure; durable when answered.
    ///
    /// # Errors
    /// `overloaded` where as many are open as may be; the tenant's refusal.
    pub async fn ask_erasure(&self, wish: Wish) -> Outcome<ErasureView> {
        let principal = self.seal.principal.clone();
        call(&self.ask_erasure, |reply| AskErasure { wish, principal, reply }).await
    }
}

impl AuditHandle {
    /// Requests for erasure in the order of their ids.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn erasures(&self, after: Option<String>, limit: usize) -> Outcome<Vec<ErasureView>> {
        let principal = self.seal.principal.clone();
        call(&self.erasures, |reply| ListErasures { after, limit, principal, reply }).await
    }

    /// One request for erasure.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn erasure(&self, id: String) -> Outcome<ErasureView> {
        let principal = self.seal.principal.clone();
        call(&self.erasure, |reply| ShowErasure { id, principal, reply }).await
    }

    /// The certificate of an erasure that is done.
    ///
    /// # Errors
    /// `not_found` where there is no such request, or it is open.
    pub async fn erasure_certificate(&self, id: String) -> Outcome<ErasureCertificate> {
        let principal = self.seal.principal.clone();
        call(&self.certificate, |reply| ReadCertificate { id, principal, reply }).await
    }
}
