//! What the registry takes and gives.
use super::audits::AuditWish;
use super::directory::CommitView;
use super::encryption::EncryptionView;
use super::handles::{AskHandle, AuditHandle, FeedbackHandle, FleetHandle, GovernHandle, IngestHandle, ObserveHandle};
use super::releases::Release;
use crate::backup::views::{PointView, PruneView};
use crate::compliance::messages::LastWeek;
use crate::compliance::report::{Report, WeekScore};
use crate::cost::messages::FleetCosts;
use crate::drift::messages::DriftMap;
use crate::identity::rules::Passed;
use crate::slo::messages::FleetServices;
use actix::{Message, Recipient};
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::access::Role;
use bailiwick_policy::commit::Committed;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::conflicts::Conflicts;
use bailiwick_policy::dense::Learnt;
use bailiwick_policy::diff::Changes;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::rehearsal::Rehearsal;
use bailiwick_policy::rollout::Event;
use bailiwick_policy::schema::{Plan, Quotas, Status, TenantConfig, TenantFile, TenantMetadata};
use bailiwick_tenant::approvals::messages::ApprovalView;
use bailiwick_tenant::approvals::rules::Decision;
use bailiwick_tenant::entry::{Reconciled, SpendingApproved};
use bailiwick_tenant::evaluation::Progress;
use bailiwick_tenant::feedback::messages::FeedbackView;
use bailiwick_tenant::imports::messages::{ImportStep, ImportView};
use bailiwick_tenant::proofs::certificates::ErasureCertificate;
use bailiwick_tenant::proofs::messages::{PublishHead, ReadTaken, WitnessHead};
use bailiwick_tenant::retrieval::messages::WeightOrder;
use bailiwick_tenant::rollout::rules::RolloutView;
use bailiwick_tenant::slo::rules::{OverrideWish, ReleasesView};
use bailiwick_tenant::spend::view::SpendQuery;
use bailiwick_tenant::supervisor::messages::{AuditAnswers, ReadPolicy, RoomView};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// What a caller shows: an untrusted claim, authenticated and authorised inside the registry.
#[derive(Clone)]
pub struct Claim {
    /// The bearer token as it came, or `None`.
    pub credential: Option<secrecy::SecretString>,
    /// A tenant named by path or header. A tenant's key may name only its own; the platform operator must name one.
    pub tenant: Option<String>,
}

/// A handle wanted. One slot per right, so that a reply cannot carry more than was asked for.
pub enum Wanted {
    /// Ask, search, chat, embed.
    Ask(ReplySlot<AskHandle>),
    /// Add and remove documents.
    Ingest(ReplySlot<IngestHandle>),
    /// Judge an answer.
    Feedback(ReplySlot<FeedbackHandle>),
    /// Read documents, lineage, policy.
    Audit(ReplySlot<AuditHandle>),
    /// See usage and service levels.
    Observe(ReplySlot<ObserveHandle>),
    /// Change keys and policies of one tenant.
    Govern(ReplySlot<GovernHandle>),
    /// Create, change, suspend and delete tenants.
    Fleet(ReplySlot<FleetHandle>),
}

/// A knock at the registry's door.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Knock {
    /// Who claims to be there.
    pub claim: Claim,
    /// The claim's bearer token, where it is one and was verified.
    pub token: Option<Passed>,
    /// What is wanted.
    pub wanted: Wanted,
}

/// A tenant as the control plane shows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TenantView {
    /// The registry record.
    #[serde(flatten)]
    pub record: TenantFile,
    /// `serving`, `suspended`, `archived`, `deleted`, `quarantined`, `sealed` (the key of its own is not to be had), `refused` (its files do not parse).
    pub state: String,
    /// Why it does not serve, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Generation of its rooms.
    pub generation: u64,
    /// Version of the policy in force.
    pub policy_version: String,
}

/// A tenant to create.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// UUID; drawn where absent.
    #[serde(default)]
    pub id: Option<uuid::Uuid>,
    /// Name: lower-case letters, digits, hyphens.
    pub name: String,
    /// Plan.
    #[serde(default)]
    pub plan: Plan,
    /// Configuration.
    pub config: TenantConfig,
    /// Quotas.
    pub quotas: Quotas,
    /// Metadata.
    pub metadata: TenantMetadata,
    /// Who may sign its policies beside this node: lines of `allowed_signers` (ssh-keygen(1)), one person each.
    #[serde(default)]
    pub signers: Vec<String>,
}

/// Changes to a tenant; absent fields stay.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChanges {
    /// Plan.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// Configuration.
    #[serde(default)]
    pub config: Option<TenantConfig>,
    /// Quotas.
    #[serde(default)]
    pub quotas: Option<Quotas>,
    /// Metadata.
    #[serde(default)]
    pub metadata: Option<TenantMetadata>,
}

/// Filters of a list (specification 2.2); absent ones pass everything.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantFilters {
    /// Only of this status.
    #[serde(default)]
    pub status: Option<Status>,
    /// Only of this plan.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// Only of this region.
    #[serde(default)]
    pub region: Option<String>,
    /// Only of this industry.
    #[serde(default)]
    pub industry: Option<String>,
    /// Only with this compliance regime.
    #[serde(default)]
    pub compliance: Option<String>,
}

/// A key as listed; the secret is never kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeyView {
    /// Public id.
    pub key_id: String,
    /// User, where it names one.
    pub user_id: Option<String>,
    /// Role.
    pub role: Role,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, where it expires.
    pub expires_at: Option<String>,
    /// True where it may no longer be used.
    pub revoked: bool,
}

/// A key at the one moment its secret is known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IssuedKey {
    /// The key: `bwk_<public id>_<secret>`. Shown once.
    pub key: String,
    /// As it will be listed.
    #[serde(flatten)]
    pub view: KeyView,
}

/// A key to issue.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Role.
    pub role: Role,
    /// User it belongs to.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Milliseconds until it expires; never where absent.
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
}

/// What a tenant's policy comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyStanding {
    /// The tenant's name.
    pub tenant: String,
    /// The version in force; empty where none is.
    pub policy_version: String,
    /// Conflicts of the rules in force.
    pub conflicts: Conflicts,
    /// Why the newest files are not in force, where they are not.
    pub refused: Option<String>,
}

/// What a fleet handle asks of the registry.
pub enum FleetRequest {
    /// createTenant.
    Create(NewTenant, ReplySlot<TenantView>),
    /// A tenant with files of its own.
    TakeIn(FileTexts, ReplySlot<TenantView>),
    /// The files of a tenant's folder.
    Files(String, ReplySlot<FileTexts>),
    /// getTenant, by name or uuid.
    Get(String, ReplySlot<TenantView>),
    /// updateTenant.
    Update(String, TenantChanges, ReplySlot<TenantView>),
    /// listTenants.
    List(TenantFilters, ReplySlot<Vec<TenantView>>),
    /// suspendTenant, with the reason.
    Suspend(String, String, ReplySlot<TenantView>),
    /// Ends a suspension, an archive or a quarantine.
    Resume(String, ReplySlot<TenantView>),
    /// Archives.
    Archive(String, ReplySlot<TenantView>),
    /// deleteTenant: soft, or with everything destroyed.
    Delete(String, bool, ReplySlot<TenantView>),
    /// What the policies of every tenant come to.
    Policies(ReplySlot<Vec<PolicyStanding>>),
    /// The live tree of control rooms and tenants.
    Actors(ReplySlot<Vec<RoomView>>),
    /// What the fleet spent.
    Costs(SpendQuery, ReplySlot<FleetCosts>),
    /// Makes a point of a backup in a folder.
    BackUp(PathBuf, ReplySlot<PointView>),
    /// Lets old copies in a folder go.
    PruneBackups(PathBuf, ReplySlot<PruneView>),
    /// The certificate of a tenant's destruction, by its id.
    Certificate(String, ReplySlot<ErasureCertificate>),
    /// Reads the audit trail.
    Audit(AuditWish),
    /// Where answers have changed, over all tenants.
    Drift(ReplySlot<DriftMap>),
    /// The last weekly compliance report of every tenant.
    LastWeeks(ReplySlot<Vec<LastWeek>>),
    /// How the fleet's service levels stand.
    Services(ReplySlot<FleetServices>),
    /// What the providers' statements say a tenant was charged beyond its recorded answers.
    Reconcile(String, NanoUsd, ReplySlot<Reconciled>),
}

/// What an audit handle asks of the registry, for its own tenant.
pub enum AuditRequest {
    /// The compliance report of a week, or one as it is now.
    Report(Option<String>, ReplySlot<Report>),
    /// Lists the weekly reports, oldest first.
    Weeks(ReplySlot<Vec<WeekScore>>),
}

/// What a govern handle asks of the registry, for its own tenant.
pub enum GovernRequest {
    /// Issues a key.
    Issue(NewKey, ReplySlot<IssuedKey>),
    /// Lists keys.
    List(ReplySlot<Vec<KeyView>>),
    /// Revokes one by public id.
    Revoke(String, ReplySlot<KeyView>),
    /// Revokes one and issues its successor with the same role, user and expiry.
    Rotate(String, ReplySlot<IssuedKey>),
    /// Brings the folder's newest files into force.
    CommitFolder(ReplySlot<TenantView>),
    /// Which requests the folder's newest files would decide otherwise.
    CompareFolder(ReplySlot<Changes>),
    /// Lists the last policies that came into force, newest last.
    Commits(ReplySlot<Vec<CommitView>>),
    /// What the folder's newest files would have made of what was asked before.
    RehearseFolder(ReplySlot<Rehearsal>),
    /// Lists the releases whose texts are kept, oldest first.
    Releases(ReplySlot<Vec<Release>>),
    /// The texts of the last release of a version.
    ReadRelease(String, ReplySlot<FileTexts>),
    /// Sends the release on its way back, or takes it for everybody.
    SteerRollout(Event, ReplySlot<RolloutView>),
    /// Lets calls through that the budget's circuit breaker stopped, for so many milliseconds.
    ApproveSpending(u64, ReplySlot<SpendingApproved>),
    /// What the tenant's keys are.
    Encryption(ReplySlot<EncryptionView>),
    /// Makes a new version of the tenant's key.
    RotateEncryption(ReplySlot<EncryptionView>),
    /// Somebody's word on a request that needs it.
    DecideApproval(String, Decision, ReplySlot<ApprovalView>),
    /// A document is trusted again as far as the policy says.
    RestoreTrust(String, ReplySlot<FeedbackView>),
    /// The learnt weight of the search by meaning is taken back, or may be learnt again.
    SteerWeight(WeightOrder, ReplySlot<Learnt>),
    /// Has the golden questions asked.
    Evaluate(ReplySlot<Progress>),
    /// A step of an import of lineage that another system wrote.
    ImportLineage(ImportStep, ReplySlot<ImportView>),
    /// Somebody's word that something is to be released in spite of a freeze.
    OverrideFreeze(OverrideWish, ReplySlot<ReleasesView>),
}

/// From observability: a tenant's restart budget is used up, its supervisor serves nothing any more.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Quarantined {
    /// Which tenant.
    pub tenant: TenantKey,
}

/// From observability: a release has reached everybody, or was sent back.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct RolloutOver {
    /// Of which tenant.
    pub tenant: TenantKey,
    /// Which release.
    pub release: String,
    /// It has reached everybody.
    pub reached_everybody: bool,
}

/// From the policy watchdog: which policy every open tenant is to enforce, and where to ask what it does.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadEnforcing {
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<Enforcing>>,
}

/// From the publisher: the tenants that are open.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadPublishing {
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<Publishing>>,
}

/// An open tenant, as the publisher reaches it.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// Its name.
    pub name: String,
    /// Which tenant.
    pub tenant: TenantKey,
    /// Where its head is had.
    pub head: Recipient<PublishHead>,
    /// Where it takes in heads of others …
    pub take: Recipient<WitnessHead>,
    /// … and tells which it has.
    pub taken: Recipient<ReadTaken>,
}

/// What one open tenant is to enforce.
#[derive(Clone, Debug)]
pub struct Enforcing {
    /// Which tenant.
    pub tenant: TenantKey,
    /// Which incarnation.
    pub generation: Generation,
    /// What was committed.
    pub expected: Arc<PolicySnapshot>,
    /// What the control journal says came into force; `None` where it says nothing.
    pub committed: Option<Arc<Committed>>,
    /// Where the incarnation tells what it enforces …
    pub policy: Recipient<ReadPolicy>,
    /// … and whether that was kept.
    pub answers: Recipient<AuditAnswers>,
}

/// From the policy watchdog: this incarnation did not acknowledge a policy in time and is to be closed.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Verdict {
    /// Which tenant.
    pub tenant: TenantKey,
    /// Which incarnation; a newer one is not meant.
    pub generation: Generation,
    /// Why.
    pub reason: String,
}

/// From the shutdown: close every tenant in order. Answered when all have ended or are no longer waited for.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseAll {
    /// Where the answer goes.
    pub reply: ReplySlot<()>,
}
