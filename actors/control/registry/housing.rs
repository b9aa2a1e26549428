//! The seam to the tenants' rooms: the registry decides that a tenant is opened, a housing opens it.
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::doors::Doors;
use std::sync::Arc;

/// Opens and destroys what a tenant owns. Both block: the registry calls them on the blocking pool only.
pub trait Housing: Send + Sync + 'static {
    /// Acquires the tenant's journal, starts its rooms, gives their doors.
    ///
    /// # Errors
    /// `sovereignty_violation` where the tenant's data may not be on this node; nothing was opened then. `internal` where what
    /// it owns is damaged or unreadable: the tenant is quarantined. `overloaded` and `lost` where a later try can succeed.
    fn open(
        &self,
        tenant: TenantKey,
        name: &str,
        generation: Generation,
        policy: Arc<PolicySnapshot>,
    ) -> Outcome<Doors>;

    /// Destroys everything the tenant owns on this node. Destroying what is gone is no error.
    ///
    /// # Errors
    /// `internal` where something may be left; it is tried again at the next start.
    fn shred(&self, tenant: TenantKey) -> Outcome<()>;
}
