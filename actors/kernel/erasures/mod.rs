//! The erasure ledger: what was to be erased on this node, and what was, so that no copy made before can bring it back.
//!
//! It outlives what it speaks of and leaves the node beside its backups, so it names nobody: documents, subjects and
//! tenants stand in it as keyed digests ([`Mark`]), which only whoever has the root key can compare with a name. Its lines
//! are chained by a keyed digest each: an edited, exchanged or missing line is found; a missing end is found where somebody
//! knows of it, such as a backup that was made after it.
use crate::ids::TenantKey;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

mod file;
#[cfg(test)]
mod tests;

pub use file::{Ledger, LedgerError, TenantErasures};

/// The ledger's name in a data folder, and beside backups.
pub const FILE: &str = "erasures.jsonl";

/// What an identifier names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// A document, by its id.
    Document,
    /// Somebody a document is about.
    Subject,
}

impl Of {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Subject => "subject",
        }
    }
}

/// A keyed digest of an identifier of one tenant. It says nothing to whoever lacks the root key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Mark(pub [u8; 32]);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// Somebody asked for an erasure; it may wait for what keeps the documents.
    Asked {
        /// Of what.
        of: Of,
        /// Of which.
        mark: String,
        /// Id of the request.
        request: String,
        /// It is about what was stored by then.
        stored_by_unix_ms: u64,
    },
    /// It is done: nothing of it may return.
    Erased {
        /// Of what.
        of: Of,
        /// Of which.
        mark: String,
        /// Id of the request; empty where a rule of retention did it.
        request: String,
        /// What was stored by then.
        stored_by_unix_ms: u64,
    },
    /// Everything of the tenant was destroyed.
    TenantDestroyed,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// From 0, without a gap.
    pub number: u64,
    /// When.
    pub at_unix_ms: u64,
    /// Whose, in hexadecimal.
    pub tenant: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
    /// Keyed digest over the line before it and all of this line.
    pub chain: String,
}

/// Where a ledger ends.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Lines in it.
    pub lines: u64,
    /// The chain of the last one; empty where there is none.
    pub chain: String,
}

/// The two keys of a ledger, from the root key.
pub struct LedgerKeys {
    marks: hmac::Key,
    chain: hmac::Key,
}

impl fmt::Debug for LedgerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerKeys")
    }
}

impl LedgerKeys {
    /// The keys that follow from two secrets, one for each.
    #[must_use]
    pub fn new(marks: &Zeroizing<[u8; 32]>, chain: &Zeroizing<[u8; 32]>) -> Self {
        let key = |secret: &Zeroizing<[u8; 32]>| hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice());
        Self { marks: key(marks), chain: key(chain) }
    }

    /// What an identifier of a tenant stands as.
    #[must_use]
    pub fn mark(&self, tenant: TenantKey, of: Of, name: &str) -> Mark {
        Mark(self.digest(&self.marks, &[tenant.as_bytes(), of.as_str().as_bytes(), &[0], name.as_bytes()]))
    }

    /// The id of a request: the same request, made in the same millisecond, is one.
    #[must_use]
    pub fn request_id(&self, tenant: TenantKey, of: Of, name: &str, at_unix_ms: u64) -> String {
        let made = at_unix_ms.to_be_bytes();
        let parts: [&[u8]; 6] = [b"request", tenant.as_bytes(), of.as_str().as_bytes(), &[0], &made, name.as_bytes()];
        let digest = hex::encode(self.digest(&self.marks, &parts));
        format!("er-{}", digest.get(..24).unwrap_or(&digest))
    }

    fn digest(&self, key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(key);
        parts.iter().for_each(|part| context.update(part));
        let mut digest = [0; 32];
        digest.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }

    /// The line that follows a head.
    fn line(&self, head: &LedgerHead, tenant: TenantKey, event: Event, at_unix_ms: u64) -> Line {
        let mut line = Line { number: head.lines, at_unix_ms, tenant: tenant.to_hex(), event, chain: String::new() };
        line.chain = self.chain_of(&head.chain, &line);
        line
    }

    fn chain_of(&self, before: &str, line: &Line) -> String {
        let unchained = Line { chain: String::new(), ..line.clone() };
        let text = serde_json::to_string(&unchained).unwrap_or_default();
        hex::encode(self.digest(&self.chain, &[before.as_bytes(), b"\n", text.as_bytes()]))
    }

    /// Reads a ledger's text from its beginning. A last line that was cut short is left out; it was acknowledged to nobody.
    ///
    /// # Errors
    /// Which line is not what was written.
    pub fn read(&self, text: &str) -> Result<(Vec<Line>, LedgerHead), String> {
        let mut head = LedgerHead::default();
        let mut lines = Vec::new();
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        for written in whole.lines() {
            let wrong = || format!("line {} is not what was written there", head.lines.saturating_add(1));
            let line: Line = serde_json::from_str(written).map_err(|_form| wrong())?;
            if line.number != head.lines || line.chain != self.chain_of(&head.chain, &line) {
                return Err(wrong());
            }
            head = LedgerHead { lines: head.lines.saturating_add(1), chain: line.chain.clone() };
            lines.push(line);
        }
        Ok((lines, head))
    }
}
