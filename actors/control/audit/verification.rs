//! Whether an export of the control journal is what the node has signed, and what it says then. Pure: it is given the file, a
//! key, and perhaps an earlier head, and trusts nobody else.
use super::rules::{AuditLine, line};
use crate::registry::directory::control_key;
use crate::registry::entry::Entry;
use bailiwick_kernel::transparency::checkpoint::Head;
use bailiwick_tenant::proofs::forms::{Header, ShownRecord};
use bailiwick_tenant::proofs::growth::{Grown, Growth};
use bailiwick_tenant::proofs::verifier::Unverified;

/// An export that is being verified, record by record.
pub struct Audit(Growth);

impl Audit {
    /// Begins with its first line, and an earlier head it must have grown from, where there is one.
    ///
    /// # Errors
    /// [`Unverified`]; [`Unverified::AnotherJournal`] where it is a tenant's.
    pub fn begin(header: &Header, verifier_key: Option<&str>, earlier: Option<&str>) -> Result<Self, Unverified> {
        if header.tenant_key != control_key().to_hex() {
            return Err(Unverified::AnotherJournal);
        }
        Ok(Self(Growth::begin(header, verifier_key, earlier)?))
    }

    /// Takes the next record, and gives what it says.
    ///
    /// # Errors
    /// [`Unverified`]; [`Unverified::Unreadable`] where it is not opened by the key it brings.
    pub fn record(&mut self, record: &ShownRecord) -> Result<AuditLine, Unverified> {
        let Grown { shown, hash } = self.0.record(record)?;
        let position = shown.position.0;
        let entry: Entry =
            shown.entry().map_err(|error| Unverified::Unreadable { position, reason: error.to_string() })?;
        Ok(line(position, &hash, &entry))
    }

    /// Ends it: everything that was signed must have come.
    ///
    /// # Errors
    /// [`Unverified::NotTheSigned`].
    pub fn end(self) -> Result<Head, Unverified> {
        self.0.end()
    }
}
