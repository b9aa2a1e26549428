//! What asks a tenant's golden questions, and what shows how they went.
use super::Progress;
use super::online::OnlineView;
use super::records::Evaluation;
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
    /// Where the answer goes, once the first question may be asked; `conflict` where an evaluation is under way.
    pub reply: ReplySlot<Progress>,
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
    /// The last ones, newest first.
    pub evaluations: Vec<EvaluationView>,
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
