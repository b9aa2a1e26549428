//! What the SLO room takes and gives.
use crate::cost::messages::Missing;
use actix::{Message, Recipient};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::schema::Sovereignty;
use bailiwick_tenant::slo::messages::{Alarmed, ReadService, ServiceView};
use bailiwick_tenant::slo::rules::Frozen;
use schemars::JsonSchema;
use serde::Serialize;

/// From observability to the registry: something has become of a tenant's service level.
#[derive(Clone, PartialEq, Debug, Message)]
#[rtype(result = "()")]
pub struct ServiceChanged {
    /// Whose.
    pub tenant: TenantKey,
    /// What.
    pub change: ServiceChange,
}

/// What has become of a service level.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ServiceChange {
    /// An alarm was raised, or has ended.
    Alarmed(Alarmed),
    /// Releases are frozen, or free.
    ReleasesStand(Option<Frozen>),
}

/// From the registry: somebody is to know.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Notify {
    /// The tenant's name.
    pub tenant: String,
    /// Where its bytes may go; `None` where no policy of it is in force, and then nothing goes anywhere.
    pub sovereignty: Option<Sovereignty>,
    /// What.
    pub change: ServiceChange,
    /// When.
    pub at_unix_ms: u64,
}

/// From the registry: gather how the fleet's service levels stand.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadServices {
    /// Every tenant there is.
    pub tenants: Vec<ServiceSource>,
    /// Where the answer goes.
    pub reply: ReplySlot<FleetServices>,
}

/// One tenant to ask.
#[derive(Clone, Debug)]
pub struct ServiceSource {
    /// Its name.
    pub name: String,
    /// Where to ask, or in which state it is that nobody answers.
    pub service: Result<Recipient<ReadService>, String>,
}

/// How the fleet's service levels stand.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct FleetServices {
    /// Tenants that have answered, by name.
    pub tenants: Vec<TenantService>,
    /// Tenants of which nothing is known.
    pub missing: Vec<Missing>,
}

/// How one tenant's service level stands.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct TenantService {
    /// Its name.
    pub tenant: String,
    /// Budget, alarms, releases, latency.
    #[serde(flatten)]
    pub service: ServiceView,
}
