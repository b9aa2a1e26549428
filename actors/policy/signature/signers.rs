//! Who may sign for a tenant, and whose key no longer counts.
use super::line::{Fault, Signer, revoked_key};
use crate::parse::FileError;
use bailiwick_kernel::limits::{POLICY_FILE_BYTES_MAX, SIGNERS_MAX};
use std::collections::BTreeSet;

/// The signers of a tenant: its `allowed_signers`, as ssh-keygen(1) ALLOWED SIGNERS describes the file.
///
/// Whoever is not listed is no signer; a file without a line lists nobody, so that nothing is ever validly signed.
///
/// The same file serves `ssh-keygen -Y verify`: what is accepted here, it accepts. This reader is stricter where ssh
/// would take a slip of the hand for something that never matches, and times without a `Z` are UTC here, while ssh
/// takes them for the local time of whoever asks: on a server whose zone nobody thinks of, that would be a guess.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Signers {
    signers: Vec<Signer>,
    revoked: Revoked,
}

impl Signers {
    /// Reads an `allowed_signers` text. `file` is its name relative to the tenant's folder, for the errors.
    ///
    /// # Errors
    /// Everything wrong with it, one error a line: half a list of signers is none.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileError>> {
        let mut signers = Vec::new();
        let mut errors = Vec::new();
        for (line_number, line) in lines(file, text)? {
            match Signer::read(line) {
                Ok(None) => {}
                Ok(Some(_)) if signers.len() == SIGNERS_MAX => {
                    let problem = format!("more than {SIGNERS_MAX} signers: remove those who no longer sign");
                    errors.push(located(file, line_number, line, Fault { at: 0, problem }));
                    break;
                }
                Ok(Some(signer)) => signers.push(signer),
                Err(fault) => errors.push(located(file, line_number, line, fault)),
            }
        }
        if errors.is_empty() { Ok(Self { signers, revoked: Revoked::default() }) } else { Err(errors) }
    }

    /// The same signers without the keys of a `revoked_signers`; keys revoked before stay so.
    #[must_use]
    pub fn without(mut self, revoked: &Revoked) -> Self {
        self.revoked.keys.extend(revoked.keys.iter().cloned());
        self
    }

    /// Only the lines that mean this identity, by their pattern of principals: what `-I` is to `ssh-keygen -Y verify`.
    #[must_use]
    pub fn for_identity(mut self, identity: &str) -> Self {
        self.signers.retain(|signer| signer.principals.admits(identity));
        self
    }

    /// How many lines name a key, revoked ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signers.len()
    }

    /// True where nobody may sign.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    pub(super) fn with_key<'a>(&'a self, blob: &'a [u8]) -> impl Iterator<Item = &'a Signer> {
        self.signers.iter().filter(move |signer| signer.blob == blob)
    }

    pub(super) fn has_revoked(&self, blob: &[u8]) -> bool {
        self.revoked.keys.contains(blob)
    }
}

/// The keys of a tenant's `revoked_signers`: one public key a line, as in a `.pub` file, blank lines and comments
/// aside. It is the plain form of the file `ssh-keygen -Y verify -r` takes; its binary form (KRL) is not read.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Revoked {
    keys: BTreeSet<Vec<u8>>,
}

impl Revoked {
    /// Reads a `revoked_signers` text. `file` is its name relative to the tenant's folder, for the errors.
    ///
    /// # Errors
    /// Everything wrong with it, one error a line: a key that cannot be read would go on verifying.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileError>> {
        let mut keys = BTreeSet::new();
        let mut errors = Vec::new();
        for (line_number, line) in lines(file, text)? {
            match revoked_key(line) {
                Ok(key) => keys.extend(key),
                Err(fault) => errors.push(located(file, line_number, line, fault)),
            }
        }
        if errors.is_empty() { Ok(Self { keys }) } else { Err(errors) }
    }
}

/// The lines of a text with their numbers from 1.
fn lines<'a>(file: &str, text: &'a str) -> Result<impl Iterator<Item = (u64, &'a str)>, Vec<FileError>> {
    if text.len() > POLICY_FILE_BYTES_MAX {
        let problem = format!(
            "{} bytes are more than the {POLICY_FILE_BYTES_MAX} a policy file may have: shorten it",
            text.len()
        );
        return Err(vec![FileError::whole(file, problem)]);
    }
    Ok((1..).zip(text.lines()))
}

fn located(file: &str, line_number: u64, line: &str, fault: Fault) -> FileError {
    let before = line.char_indices().take_while(|(at, _)| *at < fault.at).count();
    let column = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1);
    FileError { file: file.to_owned(), line: line_number, column, problem: fault.problem }
}
