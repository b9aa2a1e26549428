//! Certificates of erasure: what is gone, since when, by whom and under which rule, signed by the key that signs the heads of the
//! tenant's journal (C2SP signed-note). They name no document and nobody a document was about.
use super::checkpoint::{CheckpointError, HeadSigner, trusted};
use signed_note::{Note, Verifier, VerifierList};

const TITLE: &str = "certificate of erasure";

/// What a certificate says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The name of the key that signs: the tenant's.
    pub origin: String,
    /// Line by line, a key and its value; neither has a line break, no key a space.
    pub lines: Vec<(String, String)>,
}

impl Certificate {
    /// The value of a key, where it is said.
    #[must_use]
    pub fn said(&self, key: &str) -> Option<&str> {
        self.lines.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        let clean = |value: &str| {
            value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>()
        };
        let lines =
            self.lines.iter().map(|(key, value)| format!("{} {}\n", clean(key).replace(' ', "_"), clean(value)));
        format!("{}\n{TITLE}\n{}", self.origin, lines.collect::<String>())
    }
}

fn malformed(what: &str) -> CheckpointError {
    CheckpointError::Malformed(what.to_owned())
}

/// Signs a certificate.
///
/// # Errors
/// [`CheckpointError::Malformed`] where it cannot be written.
pub fn sign(signer: &HeadSigner, lines: Vec<(String, String)>) -> Result<String, CheckpointError> {
    let certificate = Certificate { origin: signed_note::Signer::name(signer).to_owned(), lines };
    let mut note = Note::new(certificate.text().as_bytes(), &[]).map_err(|error| malformed(&error.to_string()))?;
    note.add_sigs(&[signer]).map_err(|error| malformed(&error.to_string()))?;
    String::from_utf8(note.to_bytes()).map_err(|error| malformed(&error.to_string()))
}

/// Reads a certificate that this key has signed.
///
/// # Errors
/// [`CheckpointError::Malformed`], [`CheckpointError::Unverified`].
pub fn read(note: &str, verifier_key: &str) -> Result<Certificate, CheckpointError> {
    let trusted = trusted(verifier_key)?;
    let name = trusted.name().to_owned();
    let note = Note::from_bytes(note.as_bytes()).map_err(|error| malformed(&error.to_string()))?;
    note.verify(&VerifierList::new(vec![Box::new(trusted)]))
        .map_err(|error| CheckpointError::Unverified(format!("{error}; it is not what {name} has signed")))?;
    let text = std::str::from_utf8(note.text()).map_err(|error| malformed(&error.to_string()))?;
    let mut lines = text.lines();
    let origin = lines.next().unwrap_or_default().to_owned();
    if origin != name {
        return Err(CheckpointError::Unverified(format!("{name} does not speak for {origin:?}")));
    }
    if lines.next() != Some(TITLE) {
        return Err(malformed("it is no certificate of erasure"));
    }
    let read = |line: &str| line.split_once(' ').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let lines = lines.map(read).collect::<Option<Vec<_>>>().ok_or_else(|| malformed("a line of it says nothing"))?;
    Ok(Certificate { origin, lines })
}
