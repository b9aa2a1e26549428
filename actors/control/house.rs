//! The real housing: acquires a tenant's belongings on the blocking pool and has its rooms furnished on one of the
//! arbiters of the data plane.
use crate::kms::custody::Custody;
use crate::kms::keyring::Version;
use crate::kms::rules::{Newest, Rotation};
use crate::kms::{KeyError, KeyService};
use crate::registry::housing::{Housing, KeysSeen, VersionSeen};
use actix::ArbiterHandle;
use bailiwick_kernel::erasures::{Ledger, TenantErasures};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::shelf::{Belongings, Vault};
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::{Cleared, Region};
use bailiwick_tenant::egress::clear_to_keep;
use bailiwick_tenant::supervisor::doors::Doors;
use bailiwick_tenant::vector_store::VectorStores;
use places::Places;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

mod places;

/// How long a store outside has to delete one collection.
const DELETE_WITHIN: Duration = Duration::from_secs(10);

/// What one tenant's supervisor is started with, beside what all tenants share.
#[derive(Debug)]
pub struct Residence {
    /// The tenant's name.
    pub name: String,
    /// The incarnation.
    pub generation: Generation,
    /// What it owns, opened.
    pub belongings: Belongings,
    /// Signs the heads of its journal.
    pub signer: HeadSigner,
    /// What was asked to be erased of it, and what was.
    pub erasures: TenantErasures,
    /// The policy it starts under.
    pub policy: Arc<PolicySnapshot>,
    /// That what it owns may be kept on this node.
    pub kept: Cleared,
}

/// Starts a supervisor on the current arbiter. Made at boot, which knows what all tenants share.
pub type Furnish = Arc<dyn Fn(Residence) -> Doors + Send + Sync>;

/// Opens tenants on this node.
pub struct House {
    vault: Vault,
    keys: KeyService,
    arbiters: Vec<ArbiterHandle>,
    places: Mutex<Places>,
    node: Region,
    ledger: Arc<Ledger>,
    vector_stores: VectorStores,
    furnish: Furnish,
}

impl House {
    /// A house over a vault in a region; its tenants are spread over the given arbiters, which must not be empty.
    #[must_use]
    pub fn new(
        vault: Vault,
        keys: KeyService,
        arbiters: Vec<ArbiterHandle>,
        node: Region,
        ledger: Arc<Ledger>,
        vector_stores: VectorStores,
        furnish: Furnish,
    ) -> Self {
        let places = Mutex::new(Places::on(arbiters.len()));
        Self { vault, keys, arbiters, places, node, ledger, vector_stores, furnish }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arbiter_of(&self, tenant: TenantKey) -> Outcome<&ArbiterHandle> {
        let place = self.places().of(tenant);
        let arbiter = place.and_then(|place| self.arbiters.get(place));
        arbiter.ok_or_else(|| Rejection::new(Code::Internal, "opening the tenant: the node has no arbiter for tenants"))
    }
}

/// What a caller is told of keys that are not to be had.
fn rejection_of(doing: &str, error: &KeyError) -> Rejection {
    let code = match error {
        KeyError::Withheld { .. } | KeyError::Unreached { .. } | KeyError::NoProvider { .. } => Code::TenantSealed,
        KeyError::Full { .. } => Code::Conflict,
        _ => Code::Internal,
    };
    Rejection::new(code, format!("{doing}: {error}"))
}

impl Housing for House {
    fn open(
        &self,
        tenant: TenantKey,
        name: &str,
        generation: Generation,
        policy: Arc<PolicySnapshot>,
    ) -> Outcome<Doors> {
        // before the first byte: neither a key nor a journal of a tenant that may not be here
        let kept = clear_to_keep(&policy.sovereignty, &self.node)?;
        let damaged = |error: String| Rejection::new(Code::Internal, format!("opening the tenant: {error}"));
        let arbiter = self.arbiter_of(tenant)?;
        let custody = self.keys.custody(policy.sovereignty.encryption.kms_key_id.as_deref());
        if let Custody::NotHonoured(problem) = &custody {
            tracing::warn!(%tenant, problem, "the tenant's own key does not wrap its keys");
        }
        let cipher = self.keys.cipher_under(tenant, custody.wish(), || self.vault.traces(tenant));
        let cipher = cipher.map_err(|error| rejection_of("opening the tenant", &error))?;
        let belongings = self.vault.belongings(cipher).map_err(|error| damaged(error.to_string()))?;
        let signer = self.keys.head_signer(tenant).map_err(|error| damaged(error.to_string()))?;
        let erasures = TenantErasures::new(Arc::clone(&self.ledger), tenant);
        let residence = Residence { name: name.to_owned(), generation, belongings, signer, erasures, policy, kept };
        let (furnish, (ready, furnished)) = (Arc::clone(&self.furnish), std::sync::mpsc::sync_channel(1));
        let sent = arbiter.spawn_fn(move || {
            let _gone = ready.send(furnish(residence));
        });
        if !sent {
            return Err(Rejection::lost());
        }
        // ends in any case: where furnishing fails, the sender is dropped
        furnished.recv().map_err(|_dropped| damaged("its rooms could not be started".to_owned()))
    }

    fn keys_of(&self, tenant: TenantKey, kms_key_id: Option<&str>) -> Outcome<KeysSeen> {
        let keyring =
            self.keys.keyring_of(tenant).map_err(|error| rejection_of("showing the tenant's keys", &error))?;
        let seen = |version: Version| VersionSeen {
            number: version.number,
            made_unix_ms: version.made_unix_ms,
            region: version.region,
            key_id: version.key_id,
        };
        let not_honoured = match self.keys.custody(kms_key_id) {
            Custody::NotHonoured(problem) => Some(problem),
            Custody::Node | Custody::Customer(_) => None,
        };
        Ok(KeysSeen { versions: keyring.versions.into_iter().map(seen).collect(), not_honoured })
    }

    fn rotate(&self, tenant: TenantKey, kms_key_id: Option<&str>, rotation: Rotation) -> Outcome<Option<Newest>> {
        let custody = self.keys.custody(kms_key_id);
        let rotated = self.keys.rotate(tenant, custody.wish(), rotation);
        rotated.map_err(|error| rejection_of("rotating the tenant's key", &error))
    }

    fn withdraw(&self, tenant: TenantKey) {
        self.keys.withdraw(tenant);
    }

    fn shred(&self, tenant: TenantKey) -> Outcome<()> {
        let failed = |error: String| Rejection::new(Code::Internal, format!("destroying the tenant: {error}"));
        // the keys first: whatever a power cut leaves of the rest opens no more
        self.keys.destroy(tenant).map_err(|error| failed(error.to_string()))?;
        self.vault.shred(tenant).map_err(|error| failed(error.to_string()))?;
        self.places().give_up(tenant);
        Ok(())
    }

    fn shred_outside(&self, name: &str) -> Outcome<usize> {
        let deleting = self.vector_stores.of(name);
        if deleting.is_empty() {
            return Ok(0);
        }
        let deleted = Handle::current().block_on(async move { deleting.delete_all(DELETE_WITHIN).await });
        deleted.map_err(|problem| {
            let detail = format!(
                "destroying the tenant: everything it owned on this node is destroyed, but not {problem}; it is tried again, and \
                 certified when nothing is left"
            );
            Rejection::new(Code::UpstreamFailed, detail)
        })
    }
}
