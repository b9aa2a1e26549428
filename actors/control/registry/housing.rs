//! The seam to the tenants' rooms: the registry decides that a tenant is opened, a housing opens it.
use crate::kms::rules::{Newest, Rotation};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::doors::Doors;
use std::sync::Arc;

/// What is to be seen of a tenant's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeysSeen {
    /// Every version, oldest first.
    pub versions: Vec<VersionSeen>,
    /// Why the key it names does not wrap them, where it does not.
    pub not_honoured: Option<String>,
}

/// One version of a tenant's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionSeen {
    /// Its number.
    pub number: u32,
    /// When it was made, where that is known.
    pub made_unix_ms: Option<u64>,
    /// The region it was made for.
    pub region: String,
    /// The customer's key that wraps it; `None` for the node's root key.
    pub key_id: Option<String>,
}

/// Opens and destroys what a tenant owns. What does not say otherwise blocks: the registry calls it on the blocking pool only.
pub trait Housing: Send + Sync + 'static {
    /// Acquires the tenant's journal, starts its rooms, gives their doors.
    ///
    /// # Errors
    /// `sovereignty_violation` where the tenant's data may not be on this node; nothing was opened then. `tenant_sealed` where the
    /// key of its own that wraps its keys is not to be had. `internal` where what
    /// it owns is damaged or unreadable: the tenant is quarantined. `overloaded` and `lost` where a later try can succeed.
    fn open(
        &self,
        tenant: TenantKey,
        name: &str,
        generation: Generation,
        policy: Arc<PolicySnapshot>,
    ) -> Outcome<Doors>;

    /// What the tenant's keyring says, where it names this key of its own; opens no key.
    ///
    /// # Errors
    /// `conflict` where it has none yet, `internal` where it is damaged.
    fn keys_of(&self, tenant: TenantKey, kms_key_id: Option<&str>) -> Outcome<KeysSeen>;

    /// Makes a new version of the tenant's key where one is due; whoever has it open seals under it when this returns.
    /// `None` where none is due.
    ///
    /// # Errors
    /// `conflict` where the keyring takes no more versions for this, `tenant_sealed` where the customer's key is not to be had,
    /// `internal`. The version before goes on.
    fn rotate(&self, tenant: TenantKey, kms_key_id: Option<&str>, rotation: Rotation) -> Outcome<Option<Newest>>;

    /// Takes the tenant's keys away from whoever has them open, and wipes them from memory. Does not block.
    fn withdraw(&self, tenant: TenantKey);

    /// Destroys everything the tenant owns on this node. Destroying what is gone is no error.
    ///
    /// # Errors
    /// `internal` where something may be left; it is tried again at the next start.
    fn shred(&self, tenant: TenantKey) -> Outcome<()>;

    /// Deletes what a tenant has in stores outside the node, and says how many of its collections that were. Deleting what is gone is no
    /// error.
    ///
    /// # Errors
    /// `upstream_failed` where something may be left; it is tried again.
    fn shred_outside(&self, name: &str) -> Outcome<usize>;
}
