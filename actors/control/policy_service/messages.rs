//! What the policy service takes.
use crate::registry::entry::Entry;
use crate::registry::releases::Releases;
use actix::{Message, Recipient};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::commit::Committed;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::parse::FileTexts;
use bailiwick_tenant::supervisor::messages::{AdoptPolicy, Rehearse};
use std::sync::Arc;
use uuid::Uuid;

/// From the registry: may these come into force? Answered with a verdict for each, in the same order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Examine {
    /// The candidates, of different tenants.
    pub candidates: Vec<Candidate>,
    /// The verdicts.
    pub reply: ReplySlot<Vec<Outcome<Passed>>>,
}

/// A folder that compiled, and what it is held against.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What its files come to.
    pub policy: Arc<PolicySnapshot>,
    /// Its files.
    pub texts: Arc<FileTexts>,
    /// What came into force last.
    pub committed: Option<Arc<Committed>>,
    /// The tenant's releases.
    pub releases: Releases,
    /// What is in force now.
    pub in_force: Option<Arc<PolicySnapshot>>,
    /// Its releases are frozen: it has to be known what may come into force nevertheless.
    pub is_frozen: bool,
    /// Questions the tenant knows the answers to, or what is wrong with them.
    pub golden: Result<Arc<Vec<Golden>>, String>,
    /// Where it is rehearsed; `None` where the tenant's rooms are not open: nothing was asked there.
    pub rehearse: Option<Recipient<Rehearse>>,
}

/// A candidate that may come into force.
#[derive(Clone, Debug)]
pub struct Passed {
    /// What is to be enforced, with the release beside it where not everybody has it.
    pub policy: Arc<PolicySnapshot>,
    /// What has to stand in the control journal first.
    pub entries: Vec<Entry>,
    /// It may come into force while releases are frozen, too.
    pub is_free: bool,
    /// What is to be enforced instead while they are frozen, where nothing is in force yet: the last that was committed.
    pub instead: Option<Arc<PolicySnapshot>>,
}

/// From the registry: the texts of a release.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadRelease {
    /// Of which tenant.
    pub tenant: Uuid,
    /// Which release.
    pub release: String,
    /// `not_found` where they are kept no longer.
    pub reply: ReplySlot<FileTexts>,
}

/// From the registry: everything of a tenant is being destroyed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetReleases {
    /// Of which tenant.
    pub tenant: Uuid,
    /// Its releases.
    pub releases: Vec<String>,
    /// Answered when their texts are gone.
    pub reply: ReplySlot<()>,
}

/// From the registry: bring this policy into force.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Commit {
    /// For which tenant.
    pub tenant: TenantKey,
    /// The incarnation whose door is given.
    pub generation: Generation,
    /// What is to be in force.
    pub policy: Arc<PolicySnapshot>,
    /// Where to push it; `None` where the tenant's rooms are not open: they open with it.
    pub to: Option<Recipient<AdoptPolicy>>,
    /// The version in force afterwards.
    pub reply: ReplySlot<String>,
}
