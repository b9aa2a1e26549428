//! What a tenant's journal proves, for its auditors.
use super::handles::{AuditHandle, call};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_tenant::proofs::forms::{Receipt, ShownRecord, SignedHead};
use bailiwick_tenant::proofs::messages::{ReadHead, ReadReceipt, ReadWitness, ShowRecords};

impl AuditHandle {
    /// What proves one answer to somebody who does not trust this node.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn receipt(&self, query_id: String) -> Outcome<Receipt> {
        let principal = self.seal.principal.clone();
        call(&self.receipt, |reply| ReadReceipt { query_id, principal, reply }).await
    }

    /// The head of the journal, signed now; with `since`, shown to begin with that of so many records.
    ///
    /// # Errors
    /// `invalid_request` where no such head can have been.
    pub async fn signed_head(&self, since: Option<u64>) -> Outcome<SignedHead> {
        call(&self.head, |reply| ReadHead { since, reply }).await
    }

    /// The proof that this tenant has taken in a head of another journal.
    ///
    /// # Errors
    /// `not_found` where it has taken in none.
    pub async fn witness(&self, journal: String) -> Outcome<Receipt> {
        let principal = self.seal.principal.clone();
        call(&self.witness, |reply| ReadWitness { journal, principal, reply }).await
    }

    /// Records of the journal with their keys, from a position on.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn records(&self, from: u64, max: usize) -> Outcome<Vec<ShownRecord>> {
        let principal = self.seal.principal.clone();
        call(&self.records, |reply| ShowRecords { from, max, principal, reply }).await
    }
}
