//! The control journal, read for whoever may know all of it. Everything here blocks.
use super::rules::{About, AuditLine, line};
use crate::registry::entry::Entry;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::limits::EXPORT_PORTION_MAX;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_kernel::transparency::checkpoint::{CheckpointError, Head, HeadSigner};
use bailiwick_kernel::transparency::tree::TreeError;
use bailiwick_tenant::proofs::forms::{ShownRecord, SignedHead};
use bailiwick_tenant::proofs::growth::Reckoned;
use schemars::JsonSchema;
use serde::Serialize;

/// Entries looked at for one page, whether they are on it or not.
const LOOKED_AT_MAX: usize = 16_384;
/// Whose journal it is, in an export.
const NAME: &str = "control plane";

/// Why the trail could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its head.
    #[error(transparent)]
    Head(#[from] CheckpointError),
}

impl From<TrailError> for Rejection {
    fn from(error: TrailError) -> Self {
        tracing::error!(%error, "reading the control journal for its audit");
        Self::new(Code::Internal, "reading the audit trail: the control journal cannot be read; see the log")
    }
}

/// Which entries are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// From this position on.
    pub from: u64,
    /// So many of them.
    pub limit: usize,
    /// Those about one tenant alone.
    pub about: Option<About>,
}

/// A page of the trail.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct AuditPage {
    /// In the order they were written.
    pub entries: Vec<AuditLine>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A page, from the journal.
///
/// # Errors
/// [`TrailError::Journal`].
pub fn page(journal: &Journal, wanted: &Wanted) -> Result<AuditPage, TrailError> {
    let (mut entries, mut next, mut looked_at) = (Vec::new(), wanted.from, 0_usize);
    while looked_at < LOOKED_AT_MAX {
        let portion = journal.portion::<Entry>(Position(next), EXPORT_PORTION_MAX)?;
        if portion.is_empty() {
            return Ok(AuditPage { entries, next: None });
        }
        for (position, hash, entry) in portion {
            if entries.len() >= wanted.limit {
                return Ok(AuditPage { entries, next: Some(position.0) });
            }
            next = position.next().0;
            looked_at = looked_at.saturating_add(1);
            if wanted.about.as_ref().is_none_or(|about| about.includes(&entry)) {
                entries.push(line(position.0, &hash, &entry));
            }
        }
    }
    Ok(AuditPage { entries, next: Some(next) })
}

/// The head of the journal as it is now, signed.
///
/// # Errors
/// [`TrailError`].
pub fn head(journal: &Journal, signer: &HeadSigner, at_unix_ms: u64) -> Result<SignedHead, TrailError> {
    let (mut tree, mut next, mut chain) = (Reckoned::default(), Position(0), [0; 32]);
    loop {
        let portion = journal.portion::<Entry>(next, EXPORT_PORTION_MAX)?;
        if portion.is_empty() {
            break;
        }
        for (position, hash, _entry) in portion {
            tree.push(&hash)?;
            (next, chain) = (position.next(), hash);
        }
    }
    let (size, root) = tree.root()?;
    let (tenant, verifier_key) = (journal.tenant().to_hex(), signer.verifier_key());
    let (chain, tenant_key) = (hex::encode(chain), tenant.clone());
    let head = Head { tenant, size, root, chain, answers: 0, charged_nano_usd: 0, at_unix_ms };
    let checkpoint = signer.sign_head(&head)?;
    Ok(SignedHead { tenant: NAME.to_owned(), tenant_key, checkpoint, verifier_key, size, consistency: None })
}

/// Records of an export.
///
/// # Errors
/// [`TrailError::Journal`].
pub fn records(journal: &Journal, from: u64, max: usize) -> Result<Vec<ShownRecord>, TrailError> {
    let shown = journal.shown(Position(from), max.min(EXPORT_PORTION_MAX))?;
    Ok(shown.iter().map(|shown| ShownRecord::of(shown, &[])).collect())
}
