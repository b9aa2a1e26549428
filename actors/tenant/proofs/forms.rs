//! The files: a receipt is one JSON object, an export one line of JSON for its head and one for each record.
use bailiwick_kernel::disclosure::{RecordKey, Shown};
use bailiwick_kernel::ids::{Epoch, Position};
use bailiwick_kernel::transparency::Hash;
use base64ct::{Base64, Encoding};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a receipt's `format` says.
pub const RECEIPT: &str = "bailiwick-receipt-1";
/// What an export's `format` says.
pub const EXPORT: &str = "bailiwick-export-1";

/// What the `format` of an export of the control plane's journal says.
pub const AUDIT: &str = "bailiwick-audit-1";
/// What a published head's `format` says.
pub const CHECKPOINT: &str = "bailiwick-checkpoint-1";
/// What the `format` of a head somebody else has witnessed says.
pub const WITNESS: &str = "bailiwick-witness-1";

/// A head as it is published: a line of a file, or what a receiver is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PublishedHead {
    /// [`CHECKPOINT`].
    pub format: String,
    /// The head, with the proof that it begins with the one published before.
    #[serde(flatten)]
    pub head: SignedHead,
    /// Records of the head published before at the same place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// Whose journal it is about, and what it was when this was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`RECEIPT`], [`EXPORT`], [`AUDIT`] or [`WITNESS`].
    pub format: String,
    /// The tenant's name.
    pub tenant: String,
    /// What its journal is bound to, in hexadecimal.
    pub tenant_key: String,
    /// The head of its journal's tree, signed (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// The key the head is said to be signed with. Whoever verifies compares it with the one they were given before.
    pub verifier_key: String,
}

/// One record as it stands in the journal, with its own key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownRecord {
    /// Its place, from 0.
    pub position: u64,
    /// Epoch of the owner that wrote it.
    pub epoch: u64,
    /// Chain hash of the record before it, in hexadecimal.
    pub previous: String,
    /// Its sealed bytes, in base64.
    pub payload: String,
    /// Its key, in hexadecimal; absent where it is not shown, or is older than keys of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// That it is in the tree: hashes in base64, as RFC 9162 has them; only in receipts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<String>,
}

/// What proves one answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Whose journal, and its head.
    #[serde(flatten)]
    pub header: Header,
    /// The records of the answer, which stand behind each other; the first one carries its charge. Of a witness the one record
    /// that holds the head.
    pub records: Vec<ShownRecord>,
}

/// The head of a journal, with the proof that it begins with an earlier one where that was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedHead {
    /// The tenant's name.
    pub tenant: String,
    /// What its journal is bound to, in hexadecimal.
    pub tenant_key: String,
    /// The head, signed (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// What it is verified with.
    pub verifier_key: String,
    /// Records in the journal.
    pub size: u64,
    /// That it begins with the journal of so many records as were asked about: hashes in base64, as RFC 9162 has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Vec<String>>,
}

impl SignedHead {
    /// The first line of an export of this format that ends with it: [`EXPORT`] or [`AUDIT`].
    #[must_use]
    pub fn header(self, format: &str) -> Header {
        let Self { tenant, tenant_key, checkpoint, verifier_key, .. } = self;
        Header { format: format.to_owned(), tenant, tenant_key, checkpoint, verifier_key }
    }
}

/// Something in a file that is not what its form asks for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("reading {what}: it is not {form}")]
pub struct NotOfThisForm {
    what: &'static str,
    form: &'static str,
}

fn digest(what: &'static str, text: &str) -> Result<[u8; 32], NotOfThisForm> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_form| NotOfThisForm { what, form: "32 bytes in hexadecimal" })?;
    Ok(bytes)
}

/// Hashes as they are written.
#[must_use]
pub fn written(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

/// Hashes as they were written.
///
/// # Errors
/// [`NotOfThisForm`].
pub fn hashes(written: &[String]) -> Result<Vec<Hash>, NotOfThisForm> {
    let read = |text: &String| {
        Hash::parse_hash(text).map_err(|_form| NotOfThisForm { what: "a proof", form: "a list of hashes in base64" })
    };
    written.iter().map(read).collect()
}

/// The journal a header names.
///
/// # Errors
/// [`NotOfThisForm`].
pub fn journal(text: &str) -> Result<[u8; 16], NotOfThisForm> {
    let mut bytes = [0; 16];
    let form = "16 bytes in hexadecimal";
    hex::decode_to_slice(text, &mut bytes).map_err(|_form| NotOfThisForm { what: "tenant_key", form })?;
    Ok(bytes)
}

impl ShownRecord {
    /// A record as it is written, with the proof that it is in the tree.
    #[must_use]
    pub fn of(shown: &Shown, proof: &[Hash]) -> Self {
        Self {
            position: shown.position.0,
            epoch: shown.epoch.0,
            previous: hex::encode(shown.previous),
            payload: Base64::encode_string(&shown.payload),
            key: shown.key.as_ref().map(|key| hex::encode(key.as_bytes())),
            proof: written(proof),
        }
    }

    /// The record as it was written.
    ///
    /// # Errors
    /// [`NotOfThisForm`].
    pub fn shown(&self) -> Result<Shown, NotOfThisForm> {
        let payload =
            Base64::decode_vec(&self.payload).map_err(|_form| NotOfThisForm { what: "payload", form: "base64" })?;
        let key = self.key.as_deref().map(|key| digest("key", key)).transpose()?;
        Ok(Shown {
            position: Position(self.position),
            epoch: Epoch(self.epoch),
            previous: digest("previous", &self.previous)?,
            payload,
            key: key.map(RecordKey::from_bytes),
        })
    }
}
