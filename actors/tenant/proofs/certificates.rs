//! Certificates of erasure as files, and what is verified of them.
use super::forms::{NotOfThisForm, hashes};
use bailiwick_kernel::transparency::Hash;
use bailiwick_kernel::transparency::certificate::{self, Certificate};
use bailiwick_kernel::transparency::checkpoint::CheckpointError;
use bailiwick_kernel::transparency::tree::{self, TreeError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a certificate's `format` says.
pub const CERTIFICATE: &str = "bailiwick-erasure-1";

/// A certificate of erasure as a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureCertificate {
    /// [`CERTIFICATE`].
    pub format: String,
    /// What was erased, when, by whom, under which rule, how much, and the journal before and after: signed (C2SP signed-note).
    pub certificate: String,
    /// The key it is said to be signed with.
    pub verifier_key: String,
    /// That the journal after begins with the one before: hashes in base64, as RFC 9162 has them. Absent where nothing is
    /// left of the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Vec<String>>,
}

/// Why a certificate was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotCertified {
    /// It is not signed by this key, or is no certificate.
    #[error(transparent)]
    Signature(#[from] CheckpointError),
    /// It has not the form of one.
    #[error(transparent)]
    Form(#[from] NotOfThisForm),
    /// The journal after did not grow from the one before.
    #[error("verifying a certificate: {0}; the journal was written anew")]
    Tree(#[from] TreeError),
    /// It says nothing of the journal.
    #[error("verifying a certificate: it does not say {0}")]
    Silent(&'static str),
}

/// Verifies a certificate. Without a key it is held against the one it brings itself: that shows that it is whole, not whose it is.
///
/// # Errors
/// [`NotCertified`].
pub fn verified(file: &ErasureCertificate, verifier_key: Option<&str>) -> Result<Certificate, NotCertified> {
    let certificate = certificate::read(&file.certificate, verifier_key.unwrap_or(&file.verifier_key))?;
    let said = |key: &'static str| certificate.said(key).ok_or(NotCertified::Silent(key));
    let size = |key: &'static str| said(key)?.parse::<u64>().map_err(|_form| NotCertified::Silent(key));
    let root = |key: &'static str| Hash::parse_hash(said(key)?).map_err(|_form| NotCertified::Silent(key));
    said("erased")?;
    if said("what")? == "documents" {
        let proof = file.consistency.as_deref().ok_or(NotCertified::Silent("consistency"))?;
        let (after, before) =
            ((size("records_after")?, root("root_after")?), (size("records_before")?, root("root_before")?));
        tree::check_consistency(&hashes(proof)?, after, before)?;
    }
    Ok(certificate)
}
