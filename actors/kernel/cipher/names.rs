//! What a tenant's things are called where somebody keeps them who is to learn nothing: keyed digests. Outside the node they
//! are the same wherever the tenant's newest key is the same, and others under the next one; in the node's own store they stay
//! what they are for ever, and follow from the tenant's oldest key.
use super::keys::KeyVersion;
use super::{Cipher, CipherError, KEY_BYTES, Purpose};
use crate::ids::TenantKey;
use aws_lc_rs::{hkdf, hmac};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of such a name.
pub const NAME_BYTES: usize = 32;
/// Bytes of a name in the node's own store: no two names of a tenant meet by chance, and whoever has no key cannot make them meet.
pub const SHELF_NAME_BYTES: usize = 16;

struct NameKey;
impl hkdf::KeyType for NameKey {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// What names are made with, from one version of a tenant's key.
fn name_key(tenant: TenantKey, version: &KeyVersion, context: &[u8]) -> Result<hmac::Key, CipherError> {
    let number = version.number.to_be_bytes();
    let context = [context, tenant.as_bytes(), &number, version.region.as_bytes()];
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(version.key.as_slice())
        .expand(&context, NameKey)
        .and_then(|derived| derived.fill(key.as_mut_slice()))
        .map_err(|_unspecified| CipherError::Refused)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
}

fn cut<const BYTES: usize>(tag: &hmac::Tag) -> [u8; BYTES] {
    let mut name = [0; BYTES];
    name.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    name
}

/// Makes the names of the node's own store.
#[derive(Clone)]
pub(super) struct Names(hmac::Key);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    /// From a tenant's oldest key: none is ever taken out of a keyring, so that what was named once is found again.
    pub(super) fn of(tenant: TenantKey, oldest: &KeyVersion) -> Result<Self, CipherError> {
        name_key(tenant, oldest, b"bailiwick store name key v1").map(Self)
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
        let mut signing = hmac::Context::with_key(&name_key(self.tenant(), newest, b"bailiwick name key v1")?);
        signing.update(&[purpose.tag()]);
        signing.update(what);
        Ok(cut(&signing.sign()))
    }

    /// The name of something in the node's own store, where names of different `places` never meet. A place has no zero byte.
    ///
    /// # Errors
    /// [`CipherError::Withdrawn`].
    pub(crate) fn shelf_name(&self, places: &[&str], what: &[u8]) -> Result<[u8; SHELF_NAME_BYTES], CipherError> {
        let now = self.inner.now.load();
        let names = &now.as_ref().ok_or(CipherError::Withdrawn)?.names;
        let mut signing = hmac::Context::with_key(&names.0);
        for place in places {
            signing.update(place.as_bytes());
            signing.update(&[0]);
        }
        signing.update(what);
        Ok(cut(&signing.sign()))
    }
}
