//! What asks a tenant's golden questions, and what shows how they went.
use super::Progress;
use super::judge::JudgingView;
use super::online::OnlineView;
use super::records::Evaluation;
use super::schedule::ScheduleView;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::access::Principal;
use bailiwick_policy::golden::Golden;
use serde::{Deserialize, Serialize};

/// Right `Govern`: ask these questions. They go the way of every question: rules, rates and budget included.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Evaluate {
    /// The questions.
    pub golden: Vec<Golden>,
    /// Who asks, and pays.
    pub by: Principal,
    /// The due time they are asked for, where they are asked by themselves: no time is asked twice.
    pub due_unix_ms: Option<u64>,
    /// Where the answer goes, once the first question may be asked; `conflict` where an evaluation is under way.
    pub reply: ReplySlot<Progress>,
}

/// The schedule's: is an evaluation due?
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadEvaluationDue {
    /// Where the answer goes: the due time, where the policy wants one and its questions have not been asked.
    pub reply: ReplySlot<Option<u64>>,
}

/// Right `Audit`: the evaluations so far.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadEvaluations {
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<Evaluations>,
}

/// The evaluations of a tenant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evaluations {
    /// The one under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<Progress>,
    /// How often they are asked by themselves, where the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleView>,
    /// The last ones, newest first.
    pub evaluations: Vec<EvaluationView>,
    /// What became of the answers a model is to judge, where the policy names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judging: Option<JudgingView>,
    /// What the answers came to that were given, whoever asked.
    pub online: OnlineView,
}

/// An evaluation and where it stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EvaluationView {
    /// Position of its record in the journal.
    pub seq: u64,
    /// RFC 3339.
    pub ended_at: String,
    /// What it says.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}
