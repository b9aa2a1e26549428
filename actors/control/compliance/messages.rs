//! What the compliance room takes and gives, and what it asks the registry for.
use super::report::{Report, Score, WeekScore};
use crate::registry::entry::KeyRecord;
use actix::Message;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::commit::Committed;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::doors::Doors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// One tenant: what the registry knows of it, and where the rest is asked.
#[derive(Clone, Debug)]
pub struct TenantSource {
    /// Its key.
    pub key: TenantKey,
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The policy that is to be in force.
    pub policy: Option<Arc<PolicySnapshot>>,
    /// What the control journal says came into force.
    pub committed: Option<Arc<Committed>>,
    /// Who signed what came into force last.
    pub signed_by: Vec<String>,
    /// Why the newest files are not in force, where they are not.
    pub drift: Option<String>,
    /// Its API keys.
    pub keys: Vec<KeyRecord>,
    /// Its weekly reports, oldest first.
    pub weeks: Vec<WeekScore>,
    /// Where it is asked; nothing where its rooms are not open.
    pub doors: Option<Arc<Doors>>,
}

/// From the registry: a report on a tenant as it is now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MakeReport {
    /// On which.
    pub source: Box<TenantSource>,
    /// Where the answer goes.
    pub reply: ReplySlot<Report>,
}

/// From the registry: the report of a week.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadKept {
    /// Of which tenant.
    pub tenant: Uuid,
    /// Of which week.
    pub week: String,
    /// Where the answer goes; `not_found` where none is kept.
    pub reply: ReplySlot<Report>,
}

/// From the registry: a tenant is destroyed, its reports go with it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetKept {
    /// Of which tenant.
    pub tenant: Uuid,
    /// Of which weeks.
    pub weeks: Vec<String>,
    /// Answered when they are gone.
    pub reply: ReplySlot<()>,
}

/// To the registry: open tenants that have no report of this week yet, as many as are reported on between two looks.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadDue {
    /// Which week.
    pub week: String,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<TenantSource>>,
}

/// To the registry: a weekly report is kept; write it into the control journal.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WeekReported {
    /// Of which tenant.
    pub tenant: TenantKey,
    /// Of which week.
    pub week: String,
    /// SHA-256 of the report, in hexadecimal.
    pub sha256: String,
    /// What it came to.
    pub score: Score,
    /// Answered when it is durable; `conflict` where that week has one.
    pub reply: ReplySlot<()>,
}

/// The last weekly report of one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LastWeek {
    /// The tenant's name.
    pub tenant: String,
    /// Its last weekly report; null before the first.
    pub last: Option<WeekScore>,
}
