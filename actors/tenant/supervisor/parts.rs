//! What a tenant is built from.
use super::messages::Happened;
use crate::bucket::TenantBuckets;
use crate::cache::SharedService;
use crate::catalog::Catalog;
use crate::query_ids::SharedDraw;
use crate::retrieval::Pools;
use crate::retrieval::parse::Sandbox;
use crate::routing::clients::Clients;
use crate::vector_store::TenantVectorStores;
use actix::Recipient;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::erasures::TenantErasures;
use bailiwick_kernel::ids::Generation;
use bailiwick_kernel::shelf::Belongings;
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Cleared;
use std::sync::Arc;

/// What one tenant is built from. Things, not names: nothing here can look another tenant up.
#[derive(Clone)]
pub struct SupervisorParts {
    /// The tenant's name, for lineage lines.
    pub name: String,
    /// The incarnation of the tenant's address.
    pub generation: Generation,
    /// Journal, shelves, cipher, folder.
    pub belongings: Belongings,
    /// Signs the heads of its journal.
    pub signer: HeadSigner,
    /// What was asked to be erased, and what was.
    pub erasures: TenantErasures,
    /// The policy in force.
    pub policy: Arc<PolicySnapshot>,
    /// That what it owns may be kept on this node.
    pub kept: Cleared,
    /// Provider clients, shared by all tenants.
    pub clients: Arc<Clients>,
    /// The cache outside the node, where there is one.
    pub shared_cache: Option<Arc<SharedService>>,
    /// The buckets its documents may lie in.
    pub buckets: TenantBuckets,
    /// The stores its vectors may be searched in.
    pub vector_stores: TenantVectorStores,
    /// Prices.
    pub catalog: Arc<Catalog>,
    /// Time.
    pub clock: SharedClock,
    /// What is random in the names of questions.
    pub draw: SharedDraw,
    /// Where hostile formats are parsed.
    pub sandbox: Sandbox,
    /// Slots of writers, searches and parsers, shared by all tenants.
    pub pools: Pools,
    /// The control plane's ear.
    pub happened: Recipient<Happened>,
    /// Milliseconds until a question without a deadline of its own is given up.
    pub ask_deadline_ms: u64,
}
