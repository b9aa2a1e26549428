//! Signing with an OpenSSH private key (PROTOCOL.key), and making one. Deterministic: ed25519 needs no random.
use super::NAMESPACE;
use super::public_key::ED25519;
use super::refusal::SignatureRefusal;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// Characters of a key's comment that are kept.
const COMMENT_CHARS_MAX: usize = 255;

/// Signs the exact bytes of a file: what `ssh-keygen -Y sign -n bailiwick-policy` writes, armoured, hashed with sha512.
/// The same key and bytes give the same signature.
///
/// # Errors
/// The key is encrypted, not ed25519, or none.
pub fn sign(private_key_openssh: &str, bytes: &[u8]) -> Result<String, SignatureRefusal> {
    let signature = ed25519(private_key_openssh)?.sign(NAMESPACE, HashAlg::Sha512, bytes);
    signature.and_then(|signature| signature.to_pem(LineEnding::LF)).map_err(|_| SignatureRefusal::UnreadableKey)
}

/// The public half of an ed25519 private key as `allowed_signers` takes it: type and base64, without a comment.
///
/// # Errors
/// The key is encrypted, not ed25519, or none.
pub fn public_line(private_key_openssh: &str) -> Result<String, SignatureRefusal> {
    let key = ed25519(private_key_openssh)?;
    let bare = ssh_key::PublicKey::from(key.public_key().key_data().clone());
    bare.to_openssh().map_err(|_| SignatureRefusal::UnreadableKey)
}

/// An unencrypted OpenSSH private key out of 32 secret bytes, which the caller takes from a random source of its own.
/// The same bytes give the same text: the check number PROTOCOL.key leaves to chance is derived from them. The
/// comment loses control characters and what is beyond 255 characters. The text is as secret as the bytes.
#[must_use]
pub fn private_key_from_seed(seed: [u8; 32], comment: &str) -> String {
    let comment: String = comment.chars().filter(|c| !c.is_control()).take(COMMENT_CHARS_MAX).collect();
    let text = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), comment)
        .and_then(|key| key.to_openssh(LineEnding::LF));
    #[expect(clippy::expect_used, reason = "only encrypted keys and lengths beyond 4 GiB fail, and neither comes here")]
    text.expect("a plain ed25519 key with a short comment can be written").to_string()
}

fn ed25519(private_key_openssh: &str) -> Result<PrivateKey, SignatureRefusal> {
    // the reason is dropped: an error must not carry what stands in a private key
    let key = PrivateKey::from_openssh(private_key_openssh.trim()).map_err(|_| SignatureRefusal::UnreadableKey)?;
    if key.is_encrypted() {
        return Err(SignatureRefusal::EncryptedKey);
    }
    match key.algorithm().as_str() {
        ED25519 => Ok(key),
        other => Err(SignatureRefusal::UnsupportedKey { algorithm: other.to_owned() }),
    }
}
