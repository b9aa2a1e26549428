//! Signatures of a tenant's files: OpenSSH's detached signatures (PROTOCOL.sshsig) held against the tenant's
//! `allowed_signers`.
//!
//! What is signed are the exact bytes of a file, nothing else: `ssh-keygen -Y sign -n bailiwick-policy FILE` makes the
//! signature, `ssh-keygen -Y verify` accepts what is accepted here. It follows that a signature says nothing of the
//! file's name, its tenant or its age: an older version of the same file stays validly signed, and two files with the
//! same bytes share their signatures. Who needs more asks for it in the file's content, as `tenant_id` does.
//!
//! Nothing of a signature is trusted before it verifies: its key only counts where it equals a signer's, byte for byte,
//! and is never parsed. A signature is no identifier, though: whoever has one of an ECDSA key can write a second one of
//! the same bytes (`s` and `n − s` both verify, there as in ssh). Ed25519 is verified strictly: no small-order point, no
//! second spelling of `s`; `ssh-key` alone would take small-order points.
mod envelope;
mod line;
mod pattern_list;
mod private_key;
mod public_key;
mod refusal;
mod signers;

pub use private_key::{private_key_from_seed, public_line, sign};
pub use refusal::SignatureRefusal;
pub use signers::{Revoked, Signers};

use envelope::{Envelope, Flaw};
use line::Signer;
use public_key::{ECDSA_P256, ED25519, VerifierKey};
use ssh_key::{Algorithm, EcdsaCurve, PublicKey, Signature, SshSig};

/// The namespace of every signature of a tenant's file (PROTOCOL.sshsig): one made for mail or for git never counts.
pub const NAMESPACE: &str = "bailiwick-policy";

/// The public half of the key the sample tenants trust. Its private half stands in this repository, for tests.
pub const SAMPLE_PUBLIC_KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIO1Lof/2GeTuckt73dNZpMkXGxpCUsMddmFwzx90Yw8U";

/// Who signed a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The first principal of the signer's line that has no `!` before it; a pattern where the line begins with one.
    pub principal: String,
    /// SHA-256 of the signer's key as `ssh-keygen -l` prints it: `SHA256:` and 43 characters of base64.
    pub fingerprint: String,
}

/// Verifies an armoured signature of a file's exact bytes at a time in seconds since 1970. `file_name` is only what the
/// refusals call the file.
///
/// Where several lines have the key, one that permits it is enough, as with ssh.
///
/// # Errors
/// The first thing for which the signature does not count; of several lines with its key, what the first one lacks.
pub fn verify(
    signers: &Signers,
    file_name: &str,
    bytes: &[u8],
    signature: &str,
    now_unix_s: i64,
) -> Result<Signed, SignatureRefusal> {
    let file = || file_name.to_owned();
    let flawed = |flaw| match flaw {
        Flaw::Malformed(problem) => SignatureRefusal::Malformed { file: file(), problem },
        Flaw::UnsupportedAlgorithm(algorithm) => SignatureRefusal::UnsupportedAlgorithm { file: file(), algorithm },
    };
    let raw = envelope::dearmour(signature).map_err(flawed)?;
    let envelope = envelope::open(&raw).map_err(flawed)?;
    if envelope.namespace != NAMESPACE {
        return Err(SignatureRefusal::WrongNamespace { file: file(), namespace: envelope.namespace });
    }
    for kind in [&envelope.key_kind, &envelope.signature_kind] {
        if ![ED25519, ECDSA_P256].contains(&kind.as_str()) {
            return Err(SignatureRefusal::UnsupportedAlgorithm { file: file(), algorithm: kind.clone() });
        }
    }
    let fingerprint = public_key::fingerprint(envelope.key);
    if signers.has_revoked(envelope.key) {
        return Err(SignatureRefusal::Revoked { file: file(), fingerprint });
    }
    let signer = permitted(signers, file_name, &envelope, now_unix_s)?;
    if !fits(&signer.key, &envelope, bytes) {
        return Err(SignatureRefusal::BadSignature { file: file(), principal: signer.principal() });
    }
    Ok(Signed { principal: signer.principal(), fingerprint })
}

fn permitted<'a>(
    signers: &'a Signers,
    file_name: &str,
    envelope: &'a Envelope<'a>,
    now_unix_s: i64,
) -> Result<&'a Signer, SignatureRefusal> {
    let mut refusal = None;
    for signer in signers.with_key(envelope.key) {
        match signer.permits(file_name, now_unix_s) {
            Ok(()) => return Ok(signer),
            Err(lack) => refusal = refusal.or(Some(lack)),
        }
    }
    Err(refusal.unwrap_or_else(|| SignatureRefusal::UnknownKey {
        file: file_name.to_owned(),
        fingerprint: public_key::fingerprint(envelope.key),
    }))
}

/// Whether the key signed these bytes for our namespace. The two types a signature names, its key's and its own, must
/// be one: a signature is never read as another type's.
fn fits(key: &VerifierKey, envelope: &Envelope<'_>, bytes: &[u8]) -> bool {
    match (key, envelope.signature_kind.as_str()) {
        (VerifierKey::Ed25519(key), ED25519) => {
            let signed = SshSig::signed_data(NAMESPACE, envelope.hash, bytes);
            let signature = ed25519_dalek::Signature::from_slice(envelope.signature);
            matches!((signed, signature), (Ok(signed), Ok(signature)) if key.verify_strict(&signed, &signature).is_ok())
        }
        (VerifierKey::EcdsaP256(key), ECDSA_P256) => {
            let algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
            Signature::new(algorithm, envelope.signature)
                .and_then(|signature| SshSig::new(key.clone(), NAMESPACE, envelope.hash, signature))
                .and_then(|signature| PublicKey::from(key.clone()).verify(NAMESPACE, bytes, &signature))
                .is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
