//! Public keys as lines of text hold them: a type and the key's bytes in base64 (sshd(8) AUTHORIZED_KEYS).
use super::envelope::Fields;
use crate::parse::advice;
use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Base64Unpadded, Encoding};
use ed25519_dalek::VerifyingKey;
use ssh_key::public::KeyData;

/// The key types that verify here, as ssh names them.
pub(super) const ED25519: &str = "ssh-ed25519";
pub(super) const ECDSA_P256: &str = "ecdsa-sha2-nistp256";

/// SEC 1 §2.3.3: the first byte of a point with both coordinates, the one form ssh writes and takes.
const UNCOMPRESSED_POINT: u8 = 4;

/// A key that may verify signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum VerifierKey {
    Ed25519(VerifyingKey),
    EcdsaP256(KeyData),
}

/// A key type this file knows by name, supported or not.
pub(super) fn is_key_type(word: &str) -> bool {
    !word.contains(['=', '"', ','])
        && ["ssh-", "ecdsa-", "sk-", "rsa-", "webauthn-sk-"].iter().any(|start| word.starts_with(start))
}

/// Why a key type does not verify here; nothing where it does.
pub(super) fn type_problem(kind: &str) -> Option<String> {
    const INSTEAD: &str = "use a key made with `ssh-keygen -t ed25519`";
    if [ED25519, ECDSA_P256].contains(&kind) {
        return None;
    }
    Some(if kind.contains("-cert-v0") {
        "certificates are not supported: write the signer's own key, without -cert".to_owned()
    } else if kind.starts_with("sk-") || kind.starts_with("webauthn-sk-") {
        format!("{kind} lives on a security key, which is not supported: {INSTEAD}")
    } else if ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512", "ssh-dss", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
        .contains(&kind)
    {
        format!("{kind} is not supported: {INSTEAD}")
    } else {
        format!("unknown key type {kind:?}: {}", advice(kind, &[ED25519, ECDSA_P256]))
    })
}

/// The bytes of a key of any type.
///
/// # Errors
/// Why the base64 is no key of that type.
pub(super) fn blob(kind: &str, base64: &str) -> Result<Vec<u8>, String> {
    let bytes = Base64::decode_vec(base64)
        .map_err(|_| "the key is no base64: copy the line of the signer's .pub file again".to_owned())?;
    match Fields::of(&bytes).string() {
        Some(named) if named == kind.as_bytes() => Ok(bytes),
        Some(named) => Err(format!(
            "the key is {:?}, but the line calls it {kind:?}: copy the line of the signer's .pub file again",
            String::from_utf8_lossy(named)
        )),
        None => Err("the key is cut off: copy the line of the signer's .pub file again".into()),
    }
}

/// A key out of its bytes, of the two supported types.
///
/// # Errors
/// Why the bytes are no key that could be trusted.
pub(super) fn read(bytes: &[u8]) -> Result<VerifierKey, String> {
    const COPY: &str = "copy the line of the signer's .pub file again";
    let key = ssh_key::PublicKey::from_bytes(bytes).map_err(|error| format!("the key is broken ({error}): {COPY}"))?;
    // two spellings of one key would let the second escape a revocation of the first
    if key.to_bytes().ok().as_deref() != Some(bytes) {
        return Err(format!("the key is not written as ssh writes it: {COPY}"));
    }
    match key.key_data() {
        KeyData::Ed25519(point) => match VerifyingKey::from_bytes(&point.0) {
            Ok(key) if key.is_weak() => {
                Err("the key is weak, a signature of it fits every file: make another with `ssh-keygen -t ed25519`"
                    .into())
            }
            Ok(key) => Ok(VerifierKey::Ed25519(key)),
            Err(_) => Err(format!("the key is no point of the curve: {COPY}")),
        },
        KeyData::Ecdsa(point) if point.as_sec1_bytes().first() == Some(&UNCOMPRESSED_POINT) => {
            Ok(VerifierKey::EcdsaP256(key.key_data().clone()))
        }
        _ => Err(format!("the key is not written as ssh writes it: {COPY}")),
    }
}

/// SHA-256 of a key's bytes, as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", Base64Unpadded::encode_string(digest(&SHA256, blob).as_ref()))
}
