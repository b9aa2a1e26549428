//! The envelope of a signature: armour and fields, as PROTOCOL.sshsig has them, read without a single spare byte.
use bailiwick_kernel::limits::SIGNATURE_BYTES_MAX;
use base64ct::{Base64, Encoding};
use ssh_key::HashAlg;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;

/// Why bytes are no envelope this build understands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    Malformed(String),
    UnsupportedAlgorithm(String),
}

fn malformed<T>(problem: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Malformed(problem.into()))
}

/// What a signature says of itself; nothing of it is trusted yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Envelope<'a> {
    /// The public key's bytes, never parsed: only a key that equals a signer's, byte for byte, counts.
    pub(super) key: &'a [u8],
    /// The type the key names.
    pub(super) key_kind: String,
    pub(super) namespace: String,
    pub(super) hash: HashAlg,
    /// The type the signature names.
    pub(super) signature_kind: String,
    pub(super) signature: &'a [u8],
}

/// Takes the armour off. Blanks and line ends do not count, as with ssh; unlike ssh, nothing may follow the armour,
/// so that a file with two signatures is not read as the first of them.
///
/// # Errors
/// Why the text is no armoured signature.
pub(super) fn dearmour(text: &str) -> Result<Vec<u8>, Flaw> {
    if text.len() > SIGNATURE_BYTES_MAX {
        return malformed(format!("{} bytes are more than the {SIGNATURE_BYTES_MAX} of a signature", text.len()));
    }
    let blank = |c: char| c.is_ascii_whitespace();
    let text = text.trim_matches(blank);
    if text.is_empty() {
        return malformed("the signature is empty");
    }
    let Some(body) = text.strip_prefix(BEGIN).filter(|body| body.starts_with(blank)) else {
        return malformed(format!("the signature does not begin with a line {BEGIN}"));
    };
    let Some(body) = body.strip_suffix(END).filter(|body| body.ends_with(['\n', '\r'])) else {
        return malformed(format!("the signature does not end with a line {END}"));
    };
    if body.contains("-----") {
        return malformed("there is more than one signature");
    }
    let base64: String = body.split(blank).collect();
    Base64::decode_vec(&base64).or_else(|_| malformed("what stands between the lines of the signature is no base64"))
}

/// Reads the fields of a signature.
///
/// # Errors
/// The first field that is not as the protocol has it.
pub(super) fn open(bytes: &[u8]) -> Result<Envelope<'_>, Flaw> {
    let cut_off = || Flaw::Malformed("the signature is cut off".into());
    let mut fields = Fields::of(bytes);
    if fields.take(MAGIC.len()) != Some(MAGIC) {
        return malformed("the signature does not begin with SSHSIG");
    }
    match fields.number().ok_or_else(cut_off)? {
        VERSION => {}
        other => return malformed(format!("the signature is of version {other}, this build knows {VERSION}")),
    }
    let key = fields.string().ok_or_else(cut_off)?;
    let namespace = fields.string().ok_or_else(cut_off)?;
    let reserved = fields.string().ok_or_else(cut_off)?;
    let hash = fields.string().ok_or_else(cut_off)?;
    let mut signature = Fields::of(fields.string().ok_or_else(cut_off)?);
    // what ssh ignores here is not signed either: anybody could change it
    if !reserved.is_empty() {
        return malformed("the reserved field of the signature is not empty");
    }
    let signature_kind = signature.string().ok_or_else(cut_off)?;
    let signature_bytes = signature.string().ok_or_else(cut_off)?;
    if !fields.is_over() || !signature.is_over() {
        // only security keys put more behind a signature: a flag and a counter
        if is_of_security_key(signature_kind) {
            return Err(Flaw::UnsupportedAlgorithm(text(signature_kind)));
        }
        return malformed("bytes follow the signature");
    }
    let hash = match hash {
        b"sha512" => HashAlg::Sha512,
        b"sha256" => HashAlg::Sha256,
        other => return Err(Flaw::UnsupportedAlgorithm(text(other))),
    };
    Ok(Envelope {
        key,
        key_kind: text(Fields::of(key).string().ok_or_else(cut_off)?),
        namespace: text(namespace),
        hash,
        signature_kind: text(signature_kind),
        signature: signature_bytes,
    })
}

fn is_of_security_key(kind: &[u8]) -> bool {
    kind.starts_with(b"sk-") || kind.starts_with(b"webauthn-sk-")
}

/// Foreign bytes as text; what is no UTF-8 becomes U+FFFD, which no name that counts here has.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fields of the SSH wire format (RFC 4251 §5), one after the other.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A length and as many bytes; nothing where fewer are left.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn is_over(&self) -> bool {
        self.rest.is_empty()
    }
}
