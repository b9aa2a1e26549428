//! From a tenant's keyring to its cipher: keys unwrapped by whoever holds them, added, and wrapped by somebody else.
use super::customer_key::CustomerKey;
use super::keyring::{Keyring, Version};
use super::providers::{KeyProvider, ProviderError, local_file};
use super::rules::{Due, Newest, Rotation, due};
use super::{Inner, KeyError, KeyService, shown};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::data_key::KEY_BYTES;
use bailiwick_kernel::cipher::keys::{KeyVersion, TenantKeys};
use bailiwick_kernel::cipher::legacy::LegacyKey;
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::fabric::FabricError;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::shelf::Traces;
use zeroize::Zeroizing;

/// Whose key is to wrap a tenant's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish<'a> {
    /// Whoever has wrapped them so far; the node's root key where nobody has.
    AsItIs,
    /// The node's root key.
    Root,
    /// The customer's own.
    Customer(&'a CustomerKey),
}

/// Somebody who wraps, and how keyrings name them.
struct Wrapper<'a> {
    provider: &'a dyn KeyProvider,
    key_id: Option<String>,
}

impl KeyService {
    /// The cipher of one tenant, under a data key of its own, by whoever has wrapped its keys. A tenant without a keyring is
    /// given one, where `traces` shows that nothing was sealed under another; one that is older than keyrings keeps the key it
    /// had for what it has. Blocking.
    ///
    /// # Errors
    /// [`KeyError`]; no key was made then, or none that anything is sealed under.
    pub fn cipher_for(
        &self,
        tenant: TenantKey,
        traces: impl FnOnce() -> Result<Traces, FabricError>,
    ) -> Result<Cipher, KeyError> {
        self.cipher_under(tenant, Wish::AsItIs, traces)
    }

    /// As [`KeyService::cipher_for`], with the keys wrapped as wished from here on: where another key has wrapped them, they
    /// are wrapped anew, and a new version seals, which that other key has never wrapped. Blocking.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Withheld`] where the wished key, or the one that has wrapped them, is not to be had.
    pub fn cipher_under(
        &self,
        tenant: TenantKey,
        wish: Wish<'_>,
        traces: impl FnOnce() -> Result<Traces, FabricError>,
    ) -> Result<Cipher, KeyError> {
        let Inner { master, keyrings, live, region, .. } = self.inner.as_ref();
        let turn = live.of(tenant);
        let _turn = turn.take();
        let (mut keyring, is_there) = match keyrings.read(tenant)? {
            Some(bytes) => (Keyring::parse(&bytes, tenant).map_err(damaged(tenant))?, true),
            None => (self.first_keyring(tenant, traces()?)?, false),
        };
        let mut versions = self.unwrap_all(&keyring, tenant)?;
        let is_elsewhere = versions.last().is_none_or(|newest| newest.region != *region);
        let is_wrapped_anew = self.wrap_as_wished(&mut keyring, &versions, wish, tenant)?;
        if is_elsewhere || is_wrapped_anew {
            versions.push(self.add_version(&mut keyring, wish, tenant)?);
            if is_there {
                tracing::info!(%tenant, region, is_wrapped_anew, "the tenant has a new version of its key");
                self.replace(&keyring, tenant)?;
            } else {
                keyrings.create(tenant, &keyring.bytes().map_err(damaged(tenant))?)?;
            }
        }
        let legacy = keyring.legacy.then(|| LegacyKey::derive(master, tenant)).transpose()?;
        let cipher = Cipher::new(TenantKeys { tenant, legacy, versions })?;
        turn.note(&cipher, newest_of(&keyring, tenant)?);
        Ok(cipher)
    }

    /// Makes a new version of a tenant's key where one is due, wrapped as wished; it is durable, and every cipher in use seals
    /// under it, when this returns. What was sealed before opens as before. `None` where nothing is due. Blocking.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Full`] where the keyring holds as many versions as it may. The version before goes on then.
    pub fn rotate(&self, tenant: TenantKey, wish: Wish<'_>, rotation: Rotation) -> Result<Option<Newest>, KeyError> {
        let turn = self.inner.live.of(tenant);
        let _turn = turn.take();
        let mut keyring = self.keyring_of(tenant)?;
        let is_due = due(&newest_of(&keyring, tenant)?, rotation, self.inner.clock.now_unix_ms());
        let versions = self.unwrap_all(&keyring, tenant)?;
        let is_wrapped_anew = self.wrap_as_wished(&mut keyring, &versions, wish, tenant)?;
        match (is_due, is_wrapped_anew) {
            (Due::No, false) => return Ok(None),
            (Due::Full, false) => return Err(KeyError::Full { file: shown(tenant), versions: keyring.versions.len() }),
            (Due::Yes, _) | (_, true) => {}
        }
        let version = self.add_version(&mut keyring, wish, tenant)?;
        self.replace(&keyring, tenant)?;
        let newest = newest_of(&keyring, tenant)?;
        turn.add_version(&version, newest.clone());
        Ok(Some(newest))
    }

    /// What a tenant's keyring says, without opening a key. Blocking.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn keyring_of(&self, tenant: TenantKey) -> Result<Keyring, KeyError> {
        let bytes = self.inner.keyrings.read(tenant)?.ok_or_else(|| KeyError::Lost { file: shown(tenant) })?;
        Keyring::parse(&bytes, tenant).map_err(damaged(tenant))
    }

    fn replace(&self, keyring: &Keyring, tenant: TenantKey) -> Result<(), KeyError> {
        self.inner.keyrings.replace(tenant, &keyring.bytes().map_err(damaged(tenant))?)
    }

    /// The keyring of a tenant that has none, without a key in it.
    fn first_keyring(&self, tenant: TenantKey, traces: Traces) -> Result<Keyring, KeyError> {
        let legacy = match traces {
            Traces::None => false,
            // nothing that was acknowledged is sealed yet; what is derived is built anew where no key opens it
            Traces::WithoutRecords => true,
            Traces::Newest(record) => {
                let derived = LegacyKey::derive(&self.inner.master, tenant)?;
                derived
                    .open(Purpose::Record, b"", &record)
                    .map_err(|_refused| KeyError::Lost { file: shown(tenant) })?;
                true
            }
        };
        if legacy {
            tracing::warn!(
                %tenant,
                "the tenant is older than its keyring: what it has so far stays under a key that follows from the master key"
            );
        }
        Ok(Keyring::empty(tenant, legacy))
    }

    pub(super) fn unwrap_all(&self, keyring: &Keyring, tenant: TenantKey) -> Result<Vec<KeyVersion>, KeyError> {
        keyring.versions.iter().map(|version| self.unwrap_version(keyring, version, tenant)).collect()
    }

    pub(super) fn unwrap_version(
        &self,
        keyring: &Keyring,
        version: &Version,
        tenant: TenantKey,
    ) -> Result<KeyVersion, KeyError> {
        let context = keyring.context_of(version).map_err(damaged(tenant))?;
        let wrapped = version.wrapped_bytes().map_err(damaged(tenant))?;
        let failed = |error| KeyError::of_provider(error, shown(tenant), version);
        let key = self.with_wrapper(version.provider.as_str(), version.key_id.as_deref(), tenant, |wrapper| {
            wrapper.provider.unwrap_key(&wrapped, &context).map_err(failed)
        })?;
        Ok(KeyVersion { number: version.number, region: version.region.clone(), key })
    }

    /// Lets somebody wrap or unwrap, by the names a keyring has them under.
    fn with_wrapper<T>(
        &self,
        provider: &str,
        key_id: Option<&str>,
        tenant: TenantKey,
        work: impl FnOnce(Wrapper<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let Some(key_id) = key_id else {
            let held = &self.inner.root;
            if provider != held.name() {
                return Err(damaged(tenant)(format!(
                    "has a version wrapped by {provider:?}, which names no key of it"
                )));
            }
            return work(Wrapper { provider: held, key_id: None });
        };
        let key = CustomerKey::parse(key_id).map_err(damaged(tenant))?;
        let holder = self.holder_of(&key).filter(|_| key.kind == provider);
        let holder = holder.ok_or_else(|| KeyError::NoProvider { file: shown(tenant), key_id: key_id.to_owned() })?;
        work(Wrapper { provider: holder.provider_of(&key).as_ref(), key_id: Some(key.id.clone()) })
    }

    /// Wraps every version anew where another key than wished has wrapped one. Whoever gets this keyring has to write it.
    fn wrap_as_wished(
        &self,
        keyring: &mut Keyring,
        versions: &[KeyVersion],
        wish: Wish<'_>,
        tenant: TenantKey,
    ) -> Result<bool, KeyError> {
        let wished = match wish {
            Wish::AsItIs => return Ok(false),
            Wish::Root => None,
            Wish::Customer(key) => Some(key.id.as_str()),
        };
        if keyring.versions.iter().all(|version| version.key_id.as_deref() == wished) {
            return Ok(false);
        }
        let mut anew = keyring.without_versions();
        for (version, key) in keyring.versions.iter().zip(versions) {
            let provider = name_of(wish);
            let wrapped = self.wrap(&anew, version.clone(), provider, wished, key, tenant)?;
            anew.push(wrapped);
        }
        *keyring = anew;
        Ok(true)
    }

    /// Wraps one key as the next version of a keyring.
    pub(super) fn wrap(
        &self,
        keyring: &Keyring,
        mut version: Version,
        provider: &str,
        key_id: Option<&str>,
        key: &KeyVersion,
        tenant: TenantKey,
    ) -> Result<Version, KeyError> {
        self.with_wrapper(provider, key_id, tenant, |wrapper| {
            version.provider = wrapper.provider.name().to_owned();
            version.key_id = wrapper.key_id;
            let context = keyring.context_of(&version).map_err(damaged(tenant))?;
            let failed = |error: ProviderError| KeyError::of_provider(error, shown(tenant), &version);
            version.wrapped = hex::encode(wrapper.provider.wrap_key(&key.key, &context).map_err(failed)?);
            Ok(version)
        })
    }

    /// Draws a key for the node's region and puts it into the keyring, once it is certain to come out again.
    fn add_version(&self, keyring: &mut Keyring, wish: Wish<'_>, tenant: TenantKey) -> Result<KeyVersion, KeyError> {
        let Inner { region, clock, .. } = self.inner.as_ref();
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        SystemRandom::new().fill(key.as_mut_slice()).map_err(|_unspecified| KeyError::Random)?;
        let full = || KeyError::Full { file: shown(tenant), versions: keyring.versions.len() };
        let number = keyring.next_number().ok_or_else(full)?;
        let (provider, key_id) = match (wish, keyring.versions.last()) {
            (Wish::Customer(key), _) => (key.kind.to_owned(), Some(key.id.clone())),
            (Wish::AsItIs, Some(newest)) => (newest.provider.clone(), newest.key_id.clone()),
            (Wish::AsItIs | Wish::Root, _) => (local_file::NAME.to_owned(), None),
        };
        let bare = Version {
            number,
            provider: provider.clone(),
            key_id: key_id.clone(),
            region: region.clone(),
            made_unix_ms: Some(clock.now_unix_ms()),
            wrapped: String::new(),
        };
        let key = KeyVersion { number, region: region.clone(), key };
        let version = self.wrap(keyring, bare, &provider, key_id.as_deref(), &key, tenant)?;
        keyring.push(version.clone());
        self.unwrap_version(keyring, &version, tenant)
    }
}

/// How keyrings name who wraps as wished.
fn name_of(wish: Wish<'_>) -> &'static str {
    match wish {
        Wish::Customer(key) => key.kind,
        Wish::AsItIs | Wish::Root => local_file::NAME,
    }
}

/// What is to be seen of a keyring's newest key.
pub(super) fn newest_of(keyring: &Keyring, tenant: TenantKey) -> Result<Newest, KeyError> {
    let newest = keyring.versions.last().ok_or_else(|| damaged(tenant)("holds no version of the key".to_owned()))?;
    Ok(Newest { number: newest.number, made_unix_ms: newest.made_unix_ms, key_id: newest.key_id.clone() })
}

pub(super) fn damaged(tenant: TenantKey) -> impl Fn(String) -> KeyError {
    move |problem| KeyError::Damaged { file: shown(tenant), problem }
}
