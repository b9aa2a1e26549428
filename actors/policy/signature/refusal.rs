//! Why a signature does not count, or why none could be made.
use super::NAMESPACE;
use jiff::Timestamp;

/// Why a signature does not count, or why none could be made. Says what was being done, what is wrong and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureRefusal {
    /// Not a signature as PROTOCOL.sshsig writes one, byte for byte.
    #[error("checking the signature of {file}: {problem}: {}", sign_again(.file))]
    Malformed {
        /// The signed file.
        file: String,
        /// Lower case: what is wrong.
        problem: String,
    },
    /// Made for something else than a tenant's files (PROTOCOL.sshsig: a verifier must insist on its namespace).
    #[error("checking the signature of {file}: it was made for the namespace {namespace:?}: {}", sign_again(.file))]
    WrongNamespace {
        /// The signed file.
        file: String,
        /// The namespace inside the signature.
        namespace: String,
    },
    /// Keys, hashes or signatures this build does not verify.
    #[error(
        "checking the signature of {file}: {algorithm:?} is not supported: sign with an ssh-ed25519 or \
         ecdsa-sha2-nistp256 key, hashed with sha512 or sha256"
    )]
    UnsupportedAlgorithm {
        /// The signed file.
        file: String,
        /// As the signature names it.
        algorithm: String,
    },
    /// No line of `allowed_signers` has the key.
    #[error(
        "checking the signature of {file}: the key {fingerprint} is none of the signers': sign with the key of a \
         signer, or add this one to allowed_signers"
    )]
    UnknownKey {
        /// The signed file.
        file: String,
        /// SHA-256 of the key, as ssh prints it.
        fingerprint: String,
    },
    /// The key is listed as revoked, whatever `allowed_signers` says of it.
    #[error("checking the signature of {file}: the key {fingerprint} is revoked: sign again with another signer's key")]
    Revoked {
        /// The signed file.
        file: String,
        /// SHA-256 of the key, as ssh prints it.
        fingerprint: String,
    },
    /// The `valid-after` of the key's line lies ahead.
    #[error(
        "checking the signature of {file}: the key of {principal} is valid from {} on: wait, or correct valid-after",
        utc(*.from_unix_s)
    )]
    NotYetValid {
        /// The signed file.
        file: String,
        /// Who the key's line names.
        principal: String,
        /// First second it is valid.
        from_unix_s: i64,
    },
    /// The `valid-before` of the key's line is over.
    #[error(
        "checking the signature of {file}: the key of {principal} was valid until {}: sign again with a key that still \
         is, or correct valid-before",
        utc(*.until_unix_s)
    )]
    Expired {
        /// The signed file.
        file: String,
        /// Who the key's line names.
        principal: String,
        /// Last second it was valid.
        until_unix_s: i64,
    },
    /// The `namespaces` of the key's line do not hold ours.
    #[error(
        "checking the signature of {file}: the key of {principal} may not sign policies: add {NAMESPACE} to the \
         namespaces of its line, or sign again with another signer's key"
    )]
    NotForNamespace {
        /// The signed file.
        file: String,
        /// Who the key's line names.
        principal: String,
    },
    /// The key did not sign these bytes.
    #[error(
        "checking the signature of {file}: {principal} did not sign these bytes, the file was changed or the signature \
         is another file's: {}",
        sign_again(.file)
    )]
    BadSignature {
        /// The signed file.
        file: String,
        /// Whose key the signature names.
        principal: String,
    },
    /// A passphrase is needed, which never comes here.
    #[error(
        "reading the private key: it is encrypted: sign with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE`, which \
         asks for the passphrase"
    )]
    EncryptedKey,
    /// Not a private key as PROTOCOL.key writes one. Says nothing of its content.
    #[error("reading the private key: it is no OpenSSH private key: make one with `ssh-keygen -t ed25519 -f KEY`")]
    UnreadableKey,
    /// A private key that is not ed25519.
    #[error(
        "reading the private key: {algorithm:?} is not supported here: use an ed25519 key, or sign with \
         `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE`"
    )]
    UnsupportedKey {
        /// As ssh names it.
        algorithm: String,
    },
}

fn sign_again(file: &str) -> String {
    format!("sign it again with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY {file}`")
}

fn utc(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(|_| format!("{unix_s} s after 1970"), |time| time.to_string())
}
