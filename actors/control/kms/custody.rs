//! Keys of customers: whether this node honours the one a tenant names, and whether it still has it.
use super::customer_key::CustomerKey;
use super::keyring::{Keyring, Version};
use super::opening::{Wish, damaged};
use super::{KeyError, KeyService};
use bailiwick_kernel::cipher::data_key::KEY_BYTES;
use bailiwick_kernel::cipher::keys::KeyVersion;
use bailiwick_kernel::ids::TenantKey;

/// Whose key is to wrap the keys of a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Custody {
    /// The node's root key: the tenant names none.
    Node,
    /// The customer's own.
    Customer(CustomerKey),
    /// The node's root key, although the tenant names one, for this reason.
    NotHonoured(String),
}

impl Custody {
    /// Whose key is to wrap.
    #[must_use]
    pub fn wish(&self) -> Wish<'_> {
        match self {
            Self::Customer(key) => Wish::Customer(key),
            Self::Node | Self::NotHonoured(_) => Wish::Root,
        }
    }
}

/// What a look at a customer's key has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// It is to be had.
    Good,
    /// It is to be had, and another key wraps the tenant's keys still.
    Adopt,
    /// Its owner, or the service in their name, says no.
    Withheld(String),
    /// Nobody says anything about it.
    Unreached(String),
}

impl KeyService {
    /// Whose key is to wrap the keys of a tenant that names this one. A key is honoured where config.toml declares a provider
    /// of its kind and region.
    #[must_use]
    pub fn custody(&self, kms_key_id: Option<&str>) -> Custody {
        let Some(id) = kms_key_id else { return Custody::Node };
        match CustomerKey::parse(id) {
            Err(problem) => Custody::NotHonoured(problem),
            Ok(key) if self.holder_of(&key).is_none() => Custody::NotHonoured(format!(
                "kms_key_id {id} is named, but not honoured: config.toml declares no provider of kind {:?} in {} under \
                 [[kms.providers]]; the node's root key wraps instead",
                key.kind, key.region
            )),
            Ok(key) => Custody::Customer(key),
        }
    }

    /// Asks whether the keys of a tenant can still be unwrapped by the customer's key that wraps them, and whether the wished
    /// one can be used where that is another. Never asks the node's root key. Blocking.
    #[must_use]
    pub fn look(&self, tenant: TenantKey, wish: Wish<'_>) -> Look {
        let looked = match self.keyring_of(tenant) {
            Ok(keyring) => self.look_at(&keyring, wish, tenant),
            // nothing is wrapped yet
            Err(KeyError::Lost { .. }) => Ok(true),
            Err(error) => Err(error),
        };
        let adoptable = looked.and_then(|is_another| match wish {
            Wish::Customer(key) if is_another => self.try_out(key, tenant).map(|()| true),
            Wish::Customer(_) | Wish::AsItIs | Wish::Root => Ok(is_another),
        });
        match adoptable {
            Ok(false) => Look::Good,
            Ok(true) => Look::Adopt,
            Err(KeyError::Withheld { said, .. }) => Look::Withheld(said),
            Err(error) => Look::Unreached(error.to_string()),
        }
    }

    /// Whether another key than the wished one wraps.
    fn look_at(&self, keyring: &Keyring, wish: Wish<'_>, tenant: TenantKey) -> Result<bool, KeyError> {
        let newest =
            keyring.versions.last().ok_or_else(|| damaged(tenant)("holds no version of the key".to_owned()))?;
        if newest.key_id.is_some() {
            self.unwrap_version(keyring, newest, tenant)?;
        }
        Ok(match wish {
            Wish::Customer(key) => newest.key_id.as_ref() != Some(&key.id),
            Wish::Root => newest.key_id.is_some(),
            Wish::AsItIs => false,
        })
    }

    /// Wraps and unwraps something of no value.
    fn try_out(&self, key: &CustomerKey, tenant: TenantKey) -> Result<(), KeyError> {
        let mut keyring = Keyring::empty(tenant, false);
        let version = Version {
            number: 1,
            provider: key.kind.to_owned(),
            key_id: Some(key.id.clone()),
            region: key.region.clone(),
            made_unix_ms: None,
            wrapped: String::new(),
        };
        let nothing = KeyVersion { number: 1, region: key.region.clone(), key: [0; KEY_BYTES].into() };
        let version = self.wrap(&keyring, version, key.kind, Some(&key.id), &nothing, tenant)?;
        keyring.push(version.clone());
        self.unwrap_version(&keyring, &version, tenant).map(drop)
    }
}
