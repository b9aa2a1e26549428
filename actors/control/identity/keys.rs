//! A key set as its issuer publishes it (RFC 7517): what is no public key for signatures is left out.
use bailiwick_kernel::limits::{KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// One public key.
#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    verifies: DecodingKey,
}

/// The keys of one issuer.
#[derive(Clone, Default, Debug)]
pub struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a published set.
    ///
    /// # Errors
    /// Why it is none, or too large.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(format!("the key set has more than {KEY_SET_BYTES_MAX} bytes"));
        }
        let Published { keys } =
            serde_json::from_slice(bytes).map_err(|error| format!("this is no JSON Web Key Set: {error}"))?;
        if keys.len() > KEY_SET_KEYS_MAX {
            return Err(format!("the key set has {} keys, at most {KEY_SET_KEYS_MAX} are taken", keys.len()));
        }
        Ok(Self(keys.into_iter().filter_map(key).collect()))
    }

    /// The keys a token of this head may be signed with: the one it names, or the only one that fits.
    pub(super) fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&DecodingKey> {
        let fits = |key: &&Key| {
            key.verifies.family() == algorithm.family()
                && key.algorithm.is_none_or(|stated| stated == KeyAlgorithm::from(algorithm))
                && (id.is_none() || key.id.as_deref() == id)
        };
        let fitting: Vec<_> = self.0.iter().filter(fits).map(|key| &key.verifies).collect();
        if id.is_none() && fitting.len() > 1 { Vec::new() } else { fitting }
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn key(published: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(published).ok()?;
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && jwk.common.key_operations.as_ref().is_none_or(|may| may.contains(&KeyOperations::Verify));
    // a secret that is published verifies nothing
    let public = !matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    let verifies = DecodingKey::from_jwk(&jwk).ok()?;
    let key = Key { id: jwk.common.key_id, algorithm: jwk.common.key_algorithm, verifies };
    (for_signatures && public).then_some(key)
}
