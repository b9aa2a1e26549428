//! Heads that were published: a file of them, and the proof that another tenant has taken one in. Pure.
use super::extension::{Broken, Taken, goes_on};
use super::forms::{PublishedHead, Receipt, hashes};
use super::records::HeadWitnessed;
use super::verifier::{Unverified, said, signed};
use crate::entry::Entry;
use bailiwick_kernel::transparency::checkpoint::{self, Head};
use bailiwick_kernel::transparency::tree;

/// A head of one journal, in another one.
#[derive(Clone, PartialEq, Debug)]
pub struct Witnessed {
    /// The witness's own head.
    pub witness: Head,
    /// Where the record stands in the witness's journal.
    pub position: u64,
    /// What it says.
    pub record: HeadWitnessed,
    /// The head that was taken in.
    pub head: Head,
}

/// Verifies that the signer of this has taken in a head. Without a key it is held against the one it brings itself.
///
/// # Errors
/// [`Unverified`].
pub fn witnessed(receipt: &Receipt, verifier_key: Option<&str>) -> Result<Witnessed, Unverified> {
    let (journal, witness) = signed(&receipt.header, verifier_key)?;
    let [record] = receipt.records.as_slice() else { return Err(Unverified::NotOneHead) };
    let shown = record.shown()?;
    let position = shown.position.0;
    let leaf = tree::leaf(&shown.chain_hash(&journal));
    tree::check_inclusion(&hashes(&record.proof)?, (witness.size, witness.root), position, leaf)
        .map_err(|error| Unverified::NotInJournal { position, reason: error.to_string() })?;
    let Entry::HeadWitnessed(record) = said(&shown)? else { return Err(Unverified::NotOneHead) };
    let head = checkpoint::read(&record.checkpoint, &record.verifier_key)?;
    if head.tenant != record.journal || head.size != record.size {
        return Err(Unverified::AnotherJournal);
    }
    Ok(Witnessed { witness, position, record: *record, head })
}

/// Published heads that are being verified, in the order they were published in.
#[derive(Default)]
pub struct Published {
    last: Option<(Taken, Head)>,
    heads: u64,
}

impl Published {
    /// Takes the next one; without a key it is held against the one it brings itself.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn head(&mut self, published: &PublishedHead, verifier_key: Option<&str>) -> Result<(), Broken> {
        if verifier_key.is_some_and(|key| key.trim() != published.head.verifier_key) {
            return Err(Broken::AnotherKey);
        }
        let head = goes_on(self.last.as_ref().map(|(taken, _)| taken), &published.head)?;
        self.last = Some((Taken::from(&published.head), head));
        self.heads = self.heads.saturating_add(1);
        Ok(())
    }

    /// How many there were, and the last one; nothing where there was none.
    #[must_use]
    pub fn end(self) -> Option<(u64, Head)> {
        self.last.map(|(_, head)| (self.heads, head))
    }
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;
