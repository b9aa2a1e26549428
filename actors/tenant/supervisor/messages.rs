//! What a tenant's supervisor takes. Each message belongs to one right; the registry wraps its recipient in a handle.
use crate::budget::breaker::BreakerState;
use crate::budget::ledger::Books;
use crate::conversations::RememberedAt;
use crate::entry::{AnswerRecorded, FeedbackGiven, PassagesFound, PassagesRanked};
use crate::imports::messages::Origin;
use crate::journey::walk::Requested;
use crate::proofs::records::ConversationTold;
use crate::question::{CacheControl, Exchange, Matter};
use crate::retrieval::messages::CorpusFigures;
use crate::rollout::SharedRollout;
use crate::rollout::rules::RolloutView;
use crate::service_level::rules::LevelView;
use crate::spend::view::{SpendQuery, SpendView};
use crate::turn::ReplyLine;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::rehearsal::Rehearsal;
use bailiwick_policy::rollout::Event as RolloutEvent;
use bailiwick_policy::schema::Window;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

mod events;

pub use events::{Event, Happened};

/// Right `Ask`: a question, search, chat completion or embedding.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Admit {
    /// What is asked.
    pub matter: Matter,
    /// Who asks.
    pub principal: Principal,
    /// How it is asked.
    pub wishes: Wishes,
    /// Milliseconds until the asker stops waiting; the house's default where absent.
    pub deadline_ms: Option<u64>,
    /// Where the reply goes.
    pub line: ReplyLine,
}

/// From the tenant's own retrieval: a call to a model that takes nobody's place and counts for nobody's rate, because it
/// serves a question that has both, or the tenant's documents at a pace of their own. Everything else holds for it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AdmitAside {
    /// What is asked.
    pub matter: Matter,
    /// For whom.
    pub principal: Principal,
    /// How it is asked.
    pub wishes: Wishes,
    /// Milliseconds until nobody waits any more.
    pub deadline_ms: u64,
    /// Where the reply goes.
    pub line: ReplyLine,
}

/// What an asker wants beside the answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// `Idempotency-Key`, where one was sent.
    pub idempotency_key: Option<String>,
    /// What the answer cache may do.
    pub cache_control: CacheControl,
    /// To which conversation it belongs, where the asker says so: one conversation is served by one release.
    pub conversation: Option<String>,
    /// For whom the asker's key speaks, where the request says so: one end user's conversations are nobody else's. Nothing is
    /// permitted, counted or booked by it.
    pub end_user: Option<String>,
    /// What was asked and answered before, where it comes with the question, oldest first.
    pub earlier: Vec<Exchange>,
    /// Where its conversation remembers it; for the supervisor to say.
    pub remembered_at: Option<RememberedAt>,
    /// When it came to the house, where that is known: what it waited for since counts as its latency.
    pub arrived_unix_ms: Option<u64>,
    /// How long the house had it before the tenant was asked, its own client's slowness left out.
    pub at_the_gateway: Duration,
    /// Its place in a trace, where it is traced.
    pub trace: Option<Arc<Requested>>,
}

/// Right `Feedback`: a judgement of an answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct GiveFeedback {
    /// Which answer.
    pub query_id: String,
    /// True for up.
    pub up: bool,
    /// Words.
    pub comment: Option<String>,
    /// What it should have been.
    pub correct_answer: Option<String>,
    /// Chunks it cites that were of no use, or wrong: their documents lose trust.
    pub rejected: Vec<String>,
    /// Who judges.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where there is no such answer.
    pub reply: ReplySlot<FeedbackGiven>,
}

/// Right `Audit`: every record of one answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadLineage {
    /// Which answer.
    pub query_id: String,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where there is none.
    pub reply: ReplySlot<Lineage>,
}

/// Right `Audit`: lineage lines in journal order, in portions.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ExportLineage {
    /// Journal position to start at.
    pub from: u64,
    /// Records looked at, at most.
    pub max: usize,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<LineagePortion>,
}

/// One answer's lineage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lineage {
    /// The answer as recorded; nothing where only lines are known that another system wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<AnswerRecorded>,
    /// Journal position.
    pub seq: u64,
    /// Chain hash, in hexadecimal.
    pub hash: String,
    /// One line per cited chunk, in the specification's field names; one without a chunk where none is cited.
    pub lines: Vec<LineageLine>,
    /// Feedback given on it.
    pub feedback: Vec<FeedbackGiven>,
    /// How its passages were found, where the tenant wants them found by their meaning too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<PassagesFound>,
    /// Whether its passages were looked at once more, where the tenant wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranked: Option<PassagesRanked>,
    /// What a model was told of the conversation before the question, where it was told anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationTold>,
}

/// A line of `lineage.jsonl` (specification 2.6), with the chain's position and hash beside the specified fields.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineageLine {
    /// The tenant's name.
    pub tenant_id: String,
    /// Domain of the chunk.
    pub domain: String,
    /// Use case of the chunk.
    pub usecase: String,
    /// The document; empty where the answer cites none.
    pub source_id: String,
    /// The question.
    pub query_id: String,
    /// The chunk; empty where the answer cites none.
    pub chunk_id: String,
    /// Trust score of the document.
    pub trust_score: f64,
    /// Who answered: `<provider>/<model>`.
    pub agent_id: String,
    /// Policy the answer was cleared under.
    pub policy_version: String,
    /// RFC 3339.
    pub timestamp: String,
    /// Journal position of the answer's record.
    pub seq: u64,
    /// Chain hash of the answer's record, in hexadecimal.
    pub hash: String,
    /// Where it comes from, where this journal does not prove it: position and hash are then those of the record it was
    /// brought in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Origin>,
}

/// The lineage of one record.
#[derive(Clone, PartialEq, Debug)]
pub struct LineageOfRecord {
    /// When the question was admitted; nothing for the further records of a long answer.
    pub asked_unix_ms: Option<u64>,
    /// Its lines: at least one.
    pub lines: Vec<LineageLine>,
}

/// A portion of an export.
#[derive(Clone, PartialEq, Debug)]
pub struct LineagePortion {
    /// What each record with lineage says.
    pub records: Vec<LineageOfRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

/// Right `Observe`: the tenant's own figures.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadFigures {
    /// Where the answer goes.
    pub reply: ReplySlot<Figures>,
}

/// Right `Observe`, and the cost room's: where the money went.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadSpend {
    /// Which rows.
    pub query: SpendQuery,
    /// Where the answer goes.
    pub reply: ReplySlot<SpendView>,
}

/// Rights `Observe` and `Audit`: the flags in force, and the level that experimental ones follow.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadFlags {
    /// Where the answer goes.
    pub reply: ReplySlot<FlagsInForce>,
}

/// All that a flag's value depends on beside the context it is asked for.
#[derive(Clone, Debug)]
pub struct FlagsInForce {
    /// Whose `features` they are.
    pub policy: Arc<PolicySnapshot>,
    /// The tenant's service level.
    pub level: LevelView,
    /// Which of two releases' flags somebody is given.
    pub rollout: Arc<SharedRollout>,
}

impl FlagsInForce {
    /// The policy whose flags whoever has this targeting key is given.
    #[must_use]
    pub fn policy_for(&self, targeting_key: Option<&str>) -> Arc<PolicySnapshot> {
        self.rollout.serve(&self.policy, targeting_key).0
    }
}

/// Right `Audit`: how far the newest release is on its way.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadRollout {
    /// Where the answer goes; nothing where everybody has the newest release.
    pub reply: ReplySlot<Option<RolloutView>>,
}

/// Right `Govern`: the release on its way goes back, or everybody has it now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SteerRollout {
    /// What is wanted.
    pub event: RolloutEvent,
    /// By whose key.
    pub by: String,
    /// Where the answer goes, once it is durable; `conflict` where no release is on its way.
    pub reply: ReplySlot<RolloutView>,
}

/// A tenant's own figures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Figures {
    /// Money.
    pub budget: BudgetFigures,
    /// Answers, abstentions, refusals and failures since the journal began.
    pub counts: Counts,
    /// Latency of answers since the rooms were built, in milliseconds.
    pub latency: LatencyFigures,
    /// Documents.
    pub corpus: CorpusFigures,
}

/// Money figures. The windows are those of the budget's calendar at this moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BudgetFigures {
    /// Ceiling of the month.
    pub limit_month: NanoUsd,
    /// Ceiling of the day.
    pub limit_day: NanoUsd,
    /// Ceiling of the hour, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_hour: Option<NanoUsd>,
    /// Settled this month.
    pub spent_month: NanoUsd,
    /// Settled today.
    pub spent_day: NanoUsd,
    /// Settled this hour; nothing where the hour has no ceiling.
    pub spent_hour: NanoUsd,
    /// Held now.
    pub held: NanoUsd,
    /// Counted as spent after crashes, until reconciled.
    pub unreconciled: NanoUsd,
    /// Charged above the hold, because a provider reported more.
    pub overrun: NanoUsd,
    /// Where the money stands since the journal began.
    pub books: Books,
    /// Whether the circuit breaker acts.
    pub circuit_breaker: BreakerState,
    /// The share of the fullest window that is spent, in parts of a million.
    pub used_ppm: u64,
    /// How often the circuit breaker went over since the rooms were built.
    pub circuit_breaker_switches: u64,
    /// Calls that wait until held money comes back.
    pub waiting: u64,
    /// Ceilings below the tenant whose counters are in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ceilings: Vec<CeilingFigures>,
}

/// One ceiling below the tenant and what its counter says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CeilingFigures {
    /// `domain`, `usecase`, `user` or `key`.
    pub level: String,
    /// Whose.
    pub name: String,
    /// Which kind of window.
    pub window: Window,
    /// Most money.
    #[serde(rename = "limit_usd", skip_serializing_if = "Option::is_none")]
    pub limit: Option<NanoUsd>,
    /// Most tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<u64>,
    /// Settled.
    #[serde(rename = "spent_usd")]
    pub spent: NanoUsd,
    /// Held.
    #[serde(rename = "held_usd")]
    pub held: NanoUsd,
    /// Tokens used.
    pub tokens: u64,
    /// RFC 3339.
    pub starts: String,
    /// RFC 3339.
    pub ends: String,
}

/// Counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counts {
    /// Answers and completions.
    pub answered: u64,
    /// Abstentions.
    pub abstained: u64,
    /// Refusals.
    pub refused: u64,
    /// Failures.
    pub failed: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
}

/// Latency figures.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LatencyFigures {
    /// Answers measured.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

/// From the policy service: adopt a snapshot. Answered when nothing admitted afterwards uses an older one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AdoptPolicy {
    /// The snapshot.
    pub policy: Arc<PolicySnapshot>,
    /// Acknowledgement, with the version.
    pub reply: ReplySlot<String>,
}

/// From the policy service: what another policy would make of what was asked before. Changes nothing.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Rehearse {
    /// The policy.
    pub policy: Arc<PolicySnapshot>,
    /// Questions the tenant knows the answers to.
    pub golden: Vec<Golden>,
    /// Where the answer goes.
    pub reply: ReplySlot<Rehearsal>,
}

/// From the watchdog: did every guard run on what was answered? What speaks against it, where something does.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AuditAnswers {
    /// Where the answer goes.
    pub reply: ReplySlot<Option<String>>,
}

/// Which policy is in force.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadPolicy {
    /// Where the answer goes.
    pub reply: ReplySlot<Arc<PolicySnapshot>>,
}

/// From the registry: stop in order. Answered when turns in flight have ended and the state is written.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close {
    /// Where the answer goes.
    pub reply: ReplySlot<()>,
}

/// From observability: the live tree.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Inspect {
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<RoomView>>,
}

/// One room in the live tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RoomView {
    /// Address: `<tenant key>/<generation>/<room>`.
    pub address: String,
    /// Kind of room, by its door plate.
    pub kind: String,
    /// `serving`, `passive`, `rebuilding`, `quarantined`, `closed`.
    pub state: String,
    /// Messages waiting.
    pub mailbox_depth: u64,
    /// Restarts since boot.
    pub restarts: u64,
    /// Last fault.
    pub last_fault: Option<String>,
}
