//! One upload of one tenant, from its place to its end.
use super::handles::call;
use actix::Recipient;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_tenant::retrieval::UploadPermit;
use bailiwick_tenant::retrieval::messages::{IngestDocuments, Ingested, NewDocument};

/// The right to bring one upload to the tenant that gave a place for it, and to nobody else. Dropped, it gives the
/// place back.
#[derive(Debug)]
pub struct Upload {
    pub(super) permit: UploadPermit,
    pub(super) principal: Principal,
    pub(super) ingest: Recipient<IngestDocuments>,
}

impl Upload {
    /// Computes something for each item of the upload, in order, in the tenant's share of the node and where nobody who
    /// waits for an answer feels it. Blocking work.
    ///
    /// # Errors
    /// `overloaded` where the tenant's turn does not come in time; `lost` where the work panicked.
    pub async fn in_slices<I: Send + 'static, T: Send + 'static>(
        &self,
        items: Vec<I>,
        work: impl FnMut(I) -> T + Send + 'static,
    ) -> Outcome<Vec<T>> {
        self.permit.in_slices(items, work).await
    }

    /// Takes the documents in; durable when answered.
    ///
    /// # Errors
    /// The tenant's refusal; single documents fail inside the answer.
    pub async fn ingest(self, documents: Vec<NewDocument>) -> Outcome<Vec<Ingested>> {
        let Self { permit, principal, ingest } = self;
        call(&ingest, |reply| IngestDocuments { permit, documents, principal, reply }).await
    }
}
