//! What a tenant's things are called where somebody keeps them who is to learn nothing: keyed digests, the same wherever the
//! tenant's newest key is the same, and others under the next one.
use super::{Cipher, CipherError, KEY_BYTES, Purpose};
use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

/// Bytes of such a name.
pub const NAME_BYTES: usize = 32;

struct NameKey;
impl hkdf::KeyType for NameKey {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl Cipher {
    /// The name of something for a purpose (HMAC-SHA-256 under a key of its own, derived from the newest version).
    ///
    /// # Errors
    /// [`CipherError::Withdrawn`], [`CipherError::Keyless`].
    pub fn name_of(&self, purpose: Purpose, what: &[u8]) -> Result<[u8; NAME_BYTES], CipherError> {
        let now = self.inner.now.load();
        let newest = now.as_ref().ok_or(CipherError::Withdrawn)?.versions.last().ok_or(CipherError::Keyless)?;
        let number = newest.number.to_be_bytes();
        let (tenant, region) = (self.tenant(), newest.region.as_bytes());
        let context = [b"bailiwick name key v1".as_slice(), tenant.as_bytes(), &number, region];
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(newest.key.as_slice())
            .expand(&context, NameKey)
            .and_then(|derived| derived.fill(key.as_mut_slice()))
            .map_err(|_unspecified| CipherError::Refused)?;
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()));
        signing.update(&[purpose.tag()]);
        signing.update(what);
        let mut name = [0; NAME_BYTES];
        name.iter_mut().zip(signing.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Ok(name)
    }
}
