//! Tree heads: what a tenant says its journal was at one moment, signed (C2SP tlog-checkpoint and signed-note).
use super::Hash;
use crate::ids::TenantKey;
use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use signed_note::{Note, Signer, Verifier, VerifierList};
use std::fmt;
use std::sync::Arc;
use tlog_tiles::Checkpoint;
use zeroize::Zeroizing;

/// Bytes of a signing key's seed.
pub const SEED_BYTES: usize = 32;
const ORIGIN: &str = "bailiwick/tenant/";

/// What a journal was at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Head {
    /// Whose journal.
    pub tenant: String,
    /// Records in it.
    pub size: u64,
    /// Root of its tree.
    pub root: Hash,
    /// Chain hash of its last record, in hexadecimal.
    pub chain: String,
    /// Answers recorded in it.
    pub answers: u64,
    /// What they were charged together, in nano-dollars.
    pub charged_nano_usd: u64,
    /// When it was signed.
    pub at_unix_ms: u64,
}

/// Why a signed head was not accepted, or could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It has not the form of one.
    #[error("reading a checkpoint: {0}")]
    Malformed(String),
    /// Nobody who is trusted has signed it.
    #[error("verifying a checkpoint: {0}")]
    Unverified(String),
}

fn malformed(what: &str) -> CheckpointError {
    CheckpointError::Malformed(what.to_owned())
}

/// The name a tenant signs under.
#[must_use]
pub fn origin(tenant: TenantKey) -> String {
    format!("{ORIGIN}{}", tenant.to_hex())
}

/// Signs the heads of exactly one tenant's journal. Cheap to clone.
#[derive(Clone)]
pub struct HeadSigner {
    name: String,
    key: Arc<SigningKey>,
}

impl fmt::Debug for HeadSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadSigner({})", self.name)
    }
}

impl Signer for HeadSigner {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        signed_note::key_id(&self.name, &[&[1], self.key.verifying_key().as_bytes().as_slice()].concat())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        self.key.try_sign(message).map(|signature| signature.to_vec())
    }
}

impl HeadSigner {
    /// The signer of a tenant, from the seed of its key.
    #[must_use]
    pub fn new(tenant: TenantKey, seed: &Zeroizing<[u8; SEED_BYTES]>) -> Self {
        Self { name: origin(tenant), key: Arc::new(SigningKey::from_bytes(seed)) }
    }

    /// What somebody needs to verify its heads: name, short id and public key, as C2SP signed-note writes it.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        signed_note::new_ed25519_verifier_key(&self.name, &self.key.verifying_key())
    }

    /// Signs a head.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] where it cannot be written.
    pub fn sign_head(&self, head: &Head) -> Result<String, CheckpointError> {
        let Head { size, root, chain, answers, charged_nano_usd, at_unix_ms, .. } = head;
        let more =
            format!("chain {chain}\nanswers {answers}\ncharged_nano_usd {charged_nano_usd}\nat_unix_ms {at_unix_ms}\n");
        let checkpoint =
            Checkpoint::new(&self.name, *size, *root, &more).map_err(|error| malformed(&error.to_string()))?;
        let mut note = Note::new(&checkpoint.to_bytes(), &[]).map_err(|error| malformed(&error.to_string()))?;
        note.add_sigs(&[self]).map_err(|error| malformed(&error.to_string()))?;
        String::from_utf8(note.to_bytes()).map_err(|error| malformed(&error.to_string()))
    }
}

/// A key whose heads are accepted. Verification is strict (RFC 8032, section 5.1.7): no two texts of one signature.
pub(super) struct Trusted {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl Verifier for Trusted {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        !self.key.is_weak() && self.key.verify_strict(message, &signature).is_ok()
    }
}

pub(super) fn trusted(verifier_key: &str) -> Result<Trusted, CheckpointError> {
    let wrong = || malformed("a verifier key is <name>+<8 hexadecimal digits>+<base64>; take it from whoever keeps it");
    // the library checks form, algorithm and short id, and keeps the key to itself
    signed_note::StandardVerifier::new(verifier_key.trim()).map_err(|_form| wrong())?;
    let mut parts = verifier_key.trim().splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(wrong()) };
    let bytes = Base64::decode_vec(key).map_err(|_form| wrong())?;
    let key = bytes.split_first().and_then(|(_algorithm, key)| VerifyingKey::try_from(key).ok()).ok_or_else(wrong)?;
    let id = u32::from_str_radix(id, 16).map_err(|_form| wrong())?;
    Ok(Trusted { name: name.to_owned(), id, key })
}

/// Reads a head that this key has signed.
///
/// # Errors
/// [`CheckpointError::Malformed`], [`CheckpointError::Unverified`].
pub fn read(note: &str, verifier_key: &str) -> Result<Head, CheckpointError> {
    let trusted = trusted(verifier_key)?;
    let name = trusted.name.clone();
    let note = Note::from_bytes(note.as_bytes()).map_err(|error| malformed(&error.to_string()))?;
    note.verify(&VerifierList::new(vec![Box::new(trusted)]))
        .map_err(|error| CheckpointError::Unverified(format!("{error}; it is not what {name} has signed")))?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|error| malformed(&error.to_string()))?;
    let about = checkpoint.origin();
    let tenant = about.strip_prefix(ORIGIN).filter(|_| about == name);
    let tenant = tenant.ok_or_else(|| CheckpointError::Unverified(format!("{name} does not speak for {about:?}")))?;
    let mut lines = checkpoint.extension().lines();
    let mut line = |key: &str| {
        let value = lines.next().and_then(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::to_owned);
        value.ok_or_else(|| malformed(&format!("its line {key:?} is missing")))
    };
    let (chain, answers) = (line("chain")?, line("answers")?);
    let (charged, at) = (line("charged_nano_usd")?, line("at_unix_ms")?);
    let number = |text: &str| text.parse().map_err(|_form| malformed(&format!("{text:?} is no number")));
    Ok(Head {
        tenant: tenant.to_owned(),
        size: checkpoint.size(),
        root: *checkpoint.hash(),
        chain,
        answers: number(&answers)?,
        charged_nano_usd: number(&charged)?,
        at_unix_ms: number(&at)?,
    })
}
