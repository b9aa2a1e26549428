//! The files of `tenants/<tenant>/` (contract §4), field names exactly as in the specification. Unknown keys are
//! refused everywhere.
pub use crate::budget::{BreakerAction, BudgetBreaker, BudgetRules, CeilingRule, HoldRecords, Window};
use crate::dense::DenseSettings;
pub use crate::features::{Feature, FeaturesFile, Target};
pub use crate::language::Rule;
pub use crate::percent::Percent;
pub use crate::quotas::{LevelLimit, Quotas};
pub use crate::rehearsal::SandboxSettings;
use crate::rerank::RerankSettings;
pub use crate::retention::{LegalHold, Selects};
pub use crate::rollout::{FailureKind, RolloutSettings};
pub use crate::security::{SecurityRules, SelectionRules};
pub use crate::stores::RetrievalStorage;
use bailiwick_kernel::money::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Life of a tenant (specification 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Serves.
    #[default]
    Active,
    /// Keeps everything, serves nothing.
    Suspended,
    /// Closed; kept until its retention ends.
    Archived,
}

/// Plan of a tenant (specification 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Smallest share.
    #[default]
    Free,
    /// Middle share.
    Pro,
    /// Largest share.
    Enterprise,
}

/// Encryption class of a tenant's configuration (specification 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// AES-256 with a key derived on this node.
    #[default]
    Standard,
    /// AES-256 with a key of the tenant's own key service.
    Enhanced,
}

/// `tenant.yaml`: the registry record (specification 2.2).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantFile {
    /// UUID of the tenant; stable for ever.
    pub id: uuid::Uuid,
    /// The tenant's name: lower-case letters, digits and hyphens; equals the folder's name.
    pub name: String,
    /// Life cycle state.
    #[serde(default)]
    pub status: Status,
    /// Plan.
    #[serde(default)]
    pub plan: Plan,
    /// Configuration.
    pub config: TenantConfig,
    /// Quotas.
    pub quotas: Quotas,
    /// Stores outside the node; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<RetrievalStorage>,
    /// Who the tenant is.
    pub metadata: TenantMetadata,
    /// RFC 3339 time of creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339 time of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// `config` of `tenant.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// Home region, such as `eu-west-1`.
    pub region: String,
    /// Days data is kept.
    pub retention_days: u32,
    /// Encryption class.
    #[serde(default)]
    pub encryption: Encryption,
}

/// `metadata` of `tenant.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantMetadata {
    /// Industry, such as `healthcare`.
    pub industry: String,
    /// Compliance regimes, such as `HIPAA`.
    #[serde(default)]
    pub compliance: Vec<String>,
    /// Whom to write to.
    pub contact_email: String,
}

/// State of a policy's approval (specification 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Waits; never serves.
    Pending,
    /// May serve.
    Approved,
    /// Never serves.
    Rejected,
}

/// `metadata` of a policy file (specification 2.1).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyMetadata {
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// Who wrote it.
    pub author: String,
    /// Whether it may serve.
    pub approval_status: Approval,
}

/// The head and the rules every policy file carries (specification 2.1); `settings` differ by file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile<Settings> {
    /// The tenant's name.
    pub tenant_id: String,
    /// Domain the rules are for; `*` for all.
    pub domain_id: String,
    /// Use case the rules are for; `*` for all.
    pub usecase_id: String,
    /// Version, such as `1.2.3`.
    pub policy_semver: String,
    /// What the rooms of the tenant are set to.
    pub settings: Settings,
    /// What may be done, what may not, and what goes with it; the rules of the three files are one policy.
    pub rules: Vec<Rule>,
    /// Provenance.
    pub metadata: PolicyMetadata,
}

/// `policies/retrieval.yaml`.
pub type RetrievalPolicy = PolicyFile<RetrievalSettings>;
/// `policies/evaluation.yaml`.
pub type EvaluationPolicy = PolicyFile<EvaluationSettings>;
/// `policies/governance.yaml`.
pub type GovernancePolicy = PolicyFile<GovernanceSettings>;

/// Settings of `policies/retrieval.yaml`: the trust and poisoning guard (specification 2.3).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrievalSettings {
    /// The security policy; a tenant without one retrieves nothing.
    pub security: SecurityRules,
    /// Passages taken into an answer unless the caller asks for fewer.
    #[serde(default = "default_top_k")]
    pub top_k: u32,
    /// Passages are found by their meaning as well; by their words alone where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<DenseSettings>,
    /// The passages found first are looked at once more; not where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<RerankSettings>,
}

fn default_top_k() -> u32 {
    8
}

/// Settings of `policies/evaluation.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Share of answered questions that the judge reads, where there is one (0 to 1).
    pub sample_rate: f64,
    /// Lowest acceptable nDCG@10 on the golden set.
    pub min_ndcg_at_10: f64,
    /// Lowest acceptable share of answers whose every sentence is supported.
    pub min_groundedness: f64,
    /// Hours from one asking of the golden questions to the next; absent: they are asked when somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_hours: Option<u32>,
    /// Who judges the sampled answers; absent: nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeSettings>,
}

/// `settings.judge` of `policies/evaluation.yaml`: a model reads the share `sample_rate` of the answers with the question and
/// what they cite, and says whether they are good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeSettings {
    /// The model; governance.yaml or router.yaml must allow it, and `config.toml` name a provider that has a price for it.
    pub model: String,
}

/// Settings of `policies/governance.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GovernanceSettings {
    /// Patterns an answer may not contain; a match withholds the answer.
    #[serde(default)]
    pub output_forbidden_patterns: Vec<String>,
    /// People whose signatures a change of a policy needs; 1 where absent.
    #[serde(default = "one")]
    pub approvals: u32,
    /// Every answer cites its passages, or abstains.
    #[serde(default = "yes")]
    pub require_citations: bool,
    /// Earlier questions of a conversation a follow-up is understood by; 0 switches that off, 3 where absent.
    #[serde(default = "three")]
    pub max_history_turns: u32,
    /// Characters of those questions and of what was answered that a model is told as earlier turns, the oldest left out
    /// first; 0 tells it none, 4,000 where absent. The embedded provider is told none.
    #[serde(default = "four_thousand")]
    pub max_history_characters: u32,
    /// Models that may be named on `/v1/chat/completions`; empty means the models of `router.yaml` only.
    #[serde(default)]
    pub allowed_models: Vec<String>,
    /// How a changed policy, route or flag reaches everybody: in stages. Absent: at once. A change of this is itself
    /// brought to everybody as it stood before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutSettings>,
    /// What a changed policy's rehearsal may come to. A change of this counts from the next policy on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxSettings>,
    /// Documents that nobody removes or replaces, whatever their age; in force for everybody at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legal_holds: Vec<LegalHold>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn four_thousand() -> u32 {
    4_000
}

fn yes() -> bool {
    true
}

/// `router.yaml` (specification 2.4).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouterFile {
    /// The tenant's name.
    pub tenant_id: String,
    /// Primary and fallback.
    pub routing: Routing,
    /// Service level the choice of a model aims at.
    pub sla: Sla,
    /// Ceilings.
    pub budget: BudgetRules,
    /// Answers that are given again; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheRules>,
}

/// The provider answers out of the cache are recorded under; no provider may be called so.
pub const CACHE_PROVIDER: &str = "cache";

/// `cache` of `router.yaml`: answers that were given before, in memory, for this tenant alone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheRules {
    /// The same question, completion or embedding, asked again on the same passages.
    #[serde(default)]
    pub exact: Option<ExactCacheRules>,
    /// A question that means the same in other words, where the passages the answer cites are found for it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic: Option<SemanticCacheRules>,
}

/// `cache.exact` of `router.yaml`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExactCacheRules {
    /// Seconds an answer is given again.
    pub ttl_s: u32,
    /// Bytes of answers that are remembered; the least recently used goes first.
    pub max_bytes: u64,
}

/// `cache.semantic` of `router.yaml`. Every question that is looked up pays for its embedding, answered or not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SemanticCacheRules {
    /// Seconds an answer is given again.
    pub ttl_s: u32,
    /// Bytes of answers and embeddings that are remembered; the least recently used goes first.
    pub max_bytes: u64,
    /// Cosine similarity of two questions' embeddings (above 0, at most 1) from which on one is answered with the other's
    /// answer. How near two questions of different meaning come depends on the embedding model: try it on your own.
    pub min_similarity: f64,
    /// The model that embeds questions.
    pub embedding: EmbeddingRoute,
}

/// The model that embeds questions; it needs a price in `config.toml` like every model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRoute {
    /// Name of a provider of `config.toml` that offers embeddings.
    pub provider: String,
    /// Model as the provider calls it.
    pub model: String,
}

/// `routing` of `router.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    /// First choice.
    pub primary: Route,
    /// Taken when the primary fails or may not be used.
    #[serde(default)]
    pub fallback: Option<Route>,
}

/// One provider and model.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Name of a provider of `config.toml` (or `extractive`, the embedded one).
    pub provider: String,
    /// Model as the provider calls it.
    pub model: String,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: f64,
    /// Most tokens an answer may have.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
}

fn default_max_tokens() -> u32 {
    1024
}

/// `sla` of `router.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sla {
    /// 95th percentile of latency.
    pub p95_latency_ms: u64,
    /// Highest share of failed requests (0 to 1).
    pub error_rate_max: f64,
    /// Cost of a thousand answers.
    pub cost_per_1k_qa_usd: NanoUsd,
}

/// `data-sovereignty.yaml` (specification 2.5).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SovereigntyFile {
    /// The tenant's name.
    pub tenant_id: String,
    /// The rules.
    pub data_sovereignty: Sovereignty,
}

/// `data_sovereignty` of its file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sovereignty {
    /// Home region.
    pub region: String,
    /// Regions data and calls may be in.
    pub allowed_regions: Vec<String>,
    /// Regions that are never used, `*` at the end allowed; wins over the allowed ones.
    #[serde(default)]
    pub forbidden_regions: Vec<String>,
    /// Least days each kind of data is kept.
    pub retention: Retention,
    /// Encryption.
    pub encryption: SovereignEncryption,
    /// Compliance regimes: `GDPR`, `HIPAA`, `ISO27001`, `PCI-DSS`, `SOC2`, `SOX`. Those of `tenant.yaml` must be among them.
    #[serde(default)]
    pub compliance: Vec<String>,
}

/// `retention` of `data-sovereignty.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days logs are kept.
    pub logs_days: u32,
    /// Days documents are kept.
    pub data_days: u32,
    /// Days after which a document is erased by itself, unless something keeps it; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_days_max: Option<u32>,
    /// Days backups are kept.
    pub backups_days: u32,
}

/// `encryption` of `data-sovereignty.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SovereignEncryption {
    /// `AES-256` or `AES-256-GCM`, which is what everything is sealed with.
    pub at_rest: String,
    /// `TLS-1.3` or `TLS-1.2`: the oldest TLS text may leave this machine under.
    pub in_transit: String,
    /// Key of the tenant's own that wraps its keys: `arn:aws:kms:REGION:ACCOUNT:key/ID` or `vault:REGION:MOUNT/KEY`, honoured
    /// where the node declares a provider of that kind and region. Its region must be where the data may be.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    /// Days until the key is rotated.
    #[serde(default)]
    pub key_rotation_days: Option<u32>,
}

/// `slo.yaml` (specification 2.7).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloFile {
    /// The tenant's name.
    pub tenant_id: String,
    /// The objectives.
    pub slo: Objectives,
}

/// `slo` of its file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Share of time or requests that must succeed (0 to 1).
    pub availability: f64,
    /// 95th percentile of latency.
    pub p95_latency_ms: u64,
    /// Highest share of failed requests (0 to 1).
    pub error_rate_max: f64,
    /// Cost of a thousand answers.
    pub cost_per_1k_qa_usd: NanoUsd,
}

/// `users.yaml`: who may act, without secrets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsersFile {
    /// The tenant's name.
    pub tenant_id: String,
    /// The users.
    pub users: Vec<User>,
}

/// Whether a user may come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// Comes in with the user's keys and tokens.
    #[default]
    Active,
    /// Is refused with every key and every token, from the next request on.
    Locked,
}

/// One user (specification 2.5 `TenantUser`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's id.
    pub user_id: String,
    /// The user's role.
    pub role: crate::access::Role,
    /// Whether the user may come in at all.
    #[serde(default)]
    pub status: UserStatus,
    /// Fine-grained permissions beyond the role.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// Attributes for attribute-based rules.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}
