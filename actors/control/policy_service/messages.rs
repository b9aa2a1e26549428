//! What the policy service takes.
use actix::{Message, Recipient};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::messages::AdoptPolicy;
use std::sync::Arc;

/// From the registry: bring this policy into force.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Commit {
    /// For which tenant.
    pub tenant: TenantKey,
    /// The incarnation whose door is given.
    pub generation: Generation,
    /// What is in force now.
    pub in_force: Arc<PolicySnapshot>,
    /// What is to be.
    pub policy: Arc<PolicySnapshot>,
    /// Where to push it; `None` where the tenant's rooms are not open: they open with it.
    pub to: Option<Recipient<AdoptPolicy>>,
    /// The version in force afterwards.
    pub reply: ReplySlot<String>,
}
