//! API keys: `bwk_<public id>_<secret>`. The public id finds the record, the secret proves possession; only the
//! SHA-256 digest of the secret is kept. A secret has 256 random bits, so a plain digest cannot be searched.
use aws_lc_rs::{constant_time, digest};
use secrecy::{ExposeSecret, SecretString};

/// Random bytes one key is made of: the public id's, then the secret's.
pub const RANDOM_BYTES: usize = PUBLIC_BYTES + SECRET_BYTES;

const PREFIX: &str = "bwk_";
const PUBLIC_BYTES: usize = 12;
const SECRET_BYTES: usize = 32;
const PUBLIC_CHARS: usize = PUBLIC_BYTES;
const SECRET_CHARS: usize = SECRET_BYTES * 2;
/// Lower-case letters and digits that are not mistaken for one another (RFC 4648 base 32).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// SHA-256 of a secret.
pub type Digest = [u8; 32];

/// A key at the one moment it exists whole.
#[derive(Debug)]
pub struct FreshKey {
    /// Public id.
    pub key_id: String,
    /// What is kept.
    pub digest: Digest,
    /// What is shown once.
    pub whole: SecretString,
}

/// A key as shown by a caller, taken apart; or what a bearer token is remembered by.
#[derive(Debug)]
pub struct ShownKey {
    /// Public id.
    pub key_id: String,
    digest: Digest,
}

/// Makes a key of random bytes.
#[must_use]
pub fn forge(random: [u8; RANDOM_BYTES]) -> FreshKey {
    let (public, secret) = random.split_at(PUBLIC_BYTES);
    let key_id: String = public.iter().map(|byte| symbol(*byte)).collect();
    let secret = hex::encode(secret);
    let digest = digest_of(&secret);
    FreshKey { whole: SecretString::from(format!("{PREFIX}{key_id}_{secret}")), key_id, digest }
}

fn symbol(byte: u8) -> char {
    char::from(ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'a'))
}

fn digest_of(secret: &str) -> Digest {
    let mut bytes = [0_u8; 32];
    for (to, from) in bytes.iter_mut().zip(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()) {
        *to = *from;
    }
    bytes
}

/// Takes a bearer token apart; `None` where it has not the form of a key.
#[must_use]
pub fn read(token: &SecretString) -> Option<ShownKey> {
    let (key_id, secret) = token.expose_secret().strip_prefix(PREFIX)?.split_once('_')?;
    let well_formed = key_id.len() == PUBLIC_CHARS
        && key_id.bytes().all(|byte| ALPHABET.contains(&byte))
        && secret.len() == SECRET_CHARS
        && secret.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| ShownKey { key_id: key_id.to_owned(), digest: digest_of(secret) })
}

impl ShownKey {
    /// What a bearer token is remembered by, under the key sets of this version: never the name of a key.
    pub(crate) fn of_token(version: u64, token: &str) -> Self {
        let digest = digest_of(token);
        let short: Vec<u8> = digest.iter().copied().take(PUBLIC_BYTES).collect();
        Self { key_id: format!("token:{version}:{}", hex::encode(short)), digest }
    }

    /// The public id and the digest of the shown secret.
    #[must_use]
    pub fn into_parts(self) -> (String, Digest) {
        (self.key_id, self.digest)
    }

    /// True where the shown secret has the kept digest. Takes the same time wherever they differ.
    #[must_use]
    pub fn proves(&self, kept: &Digest) -> bool {
        constant_time::verify_slices_are_equal(&self.digest, kept).is_ok()
    }
}
