//! What stands in a tenant's journal. Encoded by `kernel::codec`; a change of a type here is a new codec version.
use crate::approvals::records::{ApprovalAsked, ApprovalDecided, ApprovalUsed};
use crate::erasures::records::{ErasureAsked, ErasureEnded};
use crate::evaluation::judge::AnswerJudged;
use crate::evaluation::records::{AnswerMeasured, Evaluation};
use crate::evaluation::schedule::EvaluationBegun;
use crate::feedback::records::{PassagesRejected, TrustRestored};
use crate::imports::records::LineageImport;
use crate::proofs::records::{AnswerGrounded, ConversationTold, HeadWitnessed};
use crate::question::{ModelUsed, Usage};
use crate::rollout::rules::{QualityStanding, Standing};
use crate::slo::records::{FreezeOverridden, OverrideAsked, ReleasesFrozen, TurnsCounted};
use bailiwick_kernel::journal::Readable;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::dense::{Judged, Learnt};
use bailiwick_policy::language::{Action, RecordedFact};
use serde::{Deserialize, Serialize};

pub use crate::budget::records::{HoldClosed, HoldTaken, Lump, Reconciled, SpendingApproved};

/// One journal entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// A document was accepted; its body is the blob of the same name.
    DocumentAccepted(DocumentAccepted),
    /// A document was removed.
    DocumentRemoved {
        /// Which.
        id: String,
        /// When.
        at_unix_ms: u64,
        /// By whose key.
        by: String,
    },
    /// A turn ended in an answer, an abstention or a completion, and was charged.
    AnswerRecorded(Box<AnswerRecorded>),
    /// The rest of an answer too long for one record; stands in the same append, right behind it.
    AnswerContinued {
        /// Which question.
        query_id: String,
        /// The words that follow.
        text: String,
    },
    /// A turn was refused.
    Refused {
        /// Which question.
        query_id: String,
        /// The stable code.
        code: String,
        /// Why.
        detail: String,
        /// When.
        at_unix_ms: u64,
        /// By whose key it was asked.
        by: String,
    },
    /// Money set aside so that holds need no record each: a crash may have spent up to this much unrecorded.
    EscrowTaken {
        /// The whole block now outstanding.
        block: NanoUsd,
        /// When.
        at_unix_ms: u64,
    },
    /// The block was given back in order.
    EscrowReturned {
        /// When.
        at_unix_ms: u64,
    },
    /// What a crash may have spent unrecorded: the escrow block that was never returned. Counts as spent.
    Unreconciled {
        /// The amount.
        amount: NanoUsd,
        /// When it was found.
        at_unix_ms: u64,
    },
    /// Feedback on an answer.
    FeedbackGiven(FeedbackGiven),
    /// A policy version came into force.
    PolicyAdopted {
        /// The version.
        version: String,
        /// Digest of the files.
        digest: String,
        /// When.
        at_unix_ms: u64,
    },
    /// Chunks that an answer cites beyond what its record holds; stands in the same append.
    AnswerCited(Box<AnswerCited>),
    /// The domain and use case that the charge of an answer belongs to; stands in the same append, right behind the
    /// answer's own record, which carries the charge itself.
    ChargeAttributed(Box<ChargeAttributed>),
    /// Money was held for one call by a record of its own, before any provider was called (strict holds).
    HoldTaken(Box<HoldTaken>),
    /// A hold with a record of its own ended without an answer's record.
    HoldClosed(Box<HoldClosed>),
    /// What crashes left open was compared with the providers' statements.
    Reconciled(Box<Reconciled>),
    /// A human let calls through that the budget's circuit breaker stopped.
    SpendingApproved(Box<SpendingApproved>),
    /// What a call under an `Idempotency-Key` ended with, kept to be said again. Stands in the same append, behind the
    /// record that carries its charge: neither is there without the other.
    ReplyKept(Box<ReplyKept>),
    /// The rest of a kept reply too long for one record; stands in the same append, right behind it.
    ReplyContinued {
        /// Which question.
        query_id: String,
        /// The words that follow.
        text: String,
    },
    /// Which part of an answer's charge its question's embedding took; stands in the same append, behind the answer's
    /// record, which carries the charge itself, and its attribution.
    EmbeddingCharged(Box<EmbeddingCharged>),
    /// What rules could ask of a request that was answered; stands in the same append, behind the answer's record.
    RequestJudged(Box<RequestJudged>),
    /// All that is known of a release's rollout, at its beginning, whenever requests have been weighed, and when it moves
    /// on or ends.
    RolloutStands {
        /// The rollout.
        standing: Box<Standing>,
        /// When.
        at_unix_ms: u64,
        /// By whose key, where somebody decided it.
        by: Option<String>,
    },
    /// A request that leaves no record of its own was permitted under a rule that asks for one (obligation `log`).
    RequestLogged(Box<RequestLogged>),
    /// A request waits for somebody else's approval (obligation `approve`).
    ApprovalAsked(Box<ApprovalAsked>),
    /// Somebody decided on a request that waited.
    ApprovalDecided(Box<ApprovalDecided>),
    /// An approved request was carried out; where it has an answer, in the same append.
    ApprovalUsed(ApprovalUsed),
    /// On which words an answer rests, and under which files it was cleared; stands in the same append, behind the answer's
    /// record. Written by earlier builds: [`Entry::AnswerGrounded`] says it now.
    PassagesCited(Box<PassagesCited>),
    /// Golden questions were asked, and how that went.
    EvaluationKept(Box<Evaluation>),
    /// Lineage that another system wrote was brought in, taken back, or is kept for good.
    LineageImported(Box<LineageImport>),
    /// Somebody asked for the erasure of a document, or of everything about somebody.
    ErasureAsked(Box<ErasureAsked>),
    /// Nothing is left of what a request for erasure is about.
    ErasureEnded(ErasureEnded),
    /// What an answer stands on beyond its own record: the last of its records.
    AnswerGrounded(Box<AnswerGrounded>),
    /// The head of another tenant's journal was taken in, to be shown to whoever doubts that journal.
    HeadWitnessed(Box<HeadWitnessed>),
    /// How many turns ended well, and how many failed, within a minute.
    TurnsCounted(TurnsCounted),
    /// The error budget is used up: nothing new is released.
    ReleasesFrozen(Box<ReleasesFrozen>),
    /// Releases are free again.
    ReleasesThawed {
        /// When.
        at_unix_ms: u64,
    },
    /// Somebody wants to release in spite of a freeze.
    OverrideAsked(Box<OverrideAsked>),
    /// Two people let releases through in spite of a freeze.
    FreezeOverridden(Box<FreezeOverridden>),
    /// What an answer is worth by its passages; stands in the same append, behind the answer's record.
    AnswerMeasured(Box<AnswerMeasured>),
    /// Somebody rejected passages of an answer: their documents lose trust.
    PassagesRejected(Box<PassagesRejected>),
    /// Documents are trusted again.
    TrustRestored(Box<TrustRestored>),
    /// Golden questions were searched by their words, and by words and meaning.
    DenseJudged(Box<Judged>),
    /// How the passages of an answer were found, where the tenant wants them found by their meaning too; stands in the same
    /// append, behind the answer's record.
    PassagesFound(Box<PassagesFound>),
    /// What a model was told of the conversation before a question; stands in the same append, behind the answer's record.
    ConversationTold(Box<ConversationTold>),
    /// Whether the passages of an answer were looked at once more, where the tenant wants that; stands in the same append, behind
    /// the answer's record.
    PassagesRanked(Box<PassagesRanked>),
    /// What accepted answers and golden questions came to for the weight of the search by meaning, or that it was taken back.
    WeightLearnt(Box<Learnt>),
    /// The golden questions of a due time are asked.
    EvaluationBegun(EvaluationBegun),
    /// A model judged an answer of the sample.
    AnswerJudged(Box<AnswerJudged>),
    /// What the answers of both releases of a rollout came to, whenever answers have been weighed.
    QualityWeighed(Box<QualityStanding>),
    /// A document was accepted, and what was written of it went with its secret when it was removed or replaced. Read in the
    /// place of such a record, never written.
    #[serde(skip)]
    DocumentShredded,
}

impl Readable for Entry {
    fn shredded() -> Option<Self> {
        Some(Self::DocumentShredded)
    }
}

impl Entry {
    /// The question whose answer this is a record of: its own, or one that stands behind it in the same append and is part of
    /// what a receipt shows. Nothing for any other record.
    #[must_use]
    pub fn answers(&self) -> Option<&str> {
        match self {
            Self::AnswerRecorded(answer) => Some(&answer.query_id),
            Self::AnswerContinued { query_id, .. } => Some(query_id),
            Self::AnswerCited(further) => Some(&further.query_id),
            Self::ChargeAttributed(charge) => Some(&charge.query_id),
            Self::EmbeddingCharged(charge) => Some(&charge.query_id),
            Self::RequestJudged(judged) => Some(&judged.query_id),
            Self::PassagesCited(cited) => Some(&cited.query_id),
            Self::AnswerGrounded(grounded) => Some(&grounded.query_id),
            Self::AnswerMeasured(measured) => Some(&measured.query_id),
            Self::PassagesFound(found) => Some(&found.query_id),
            Self::PassagesRanked(ranked) => Some(&ranked.query_id),
            Self::ConversationTold(told) => Some(&told.query_id),
            _ => None,
        }
    }
}

/// How the passages of an answer were found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PassagesFound {
    /// Which question.
    pub query_id: String,
    /// By words and meaning; by their words alone otherwise.
    pub hybrid: bool,
    /// Why by their words alone.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether the passages of an answer were looked at once more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PassagesRanked {
    /// Which question.
    pub query_id: String,
    /// The model that ranks.
    pub model: String,
    /// Why it did not; nothing where it did.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The passages an answer cites, as they were when it was given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PassagesCited {
    /// Which question.
    pub query_id: String,
    /// SHA-256 of the text of each chunk the answer cites, in the order of its chunks.
    pub sha256: Vec<[u8; 32]>,
    /// Digest of all files of the policy it was cleared under: rules, models, regions, flags.
    pub policy_digest: String,
}

/// Who asked for what, and what rules knew of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestLogged {
    /// What was asked for.
    pub action: Action,
    /// What it is about: the query of a search, the id of what is read. Its first characters, where it is long.
    pub subject: String,
    /// Key that asked.
    pub key_id: String,
    /// User that asked, where the key names one.
    pub user_id: Option<String>,
    /// Attribute and value.
    pub facts: Vec<(String, RecordedFact)>,
    /// Policy it was permitted by.
    pub policy_version: String,
    /// When.
    pub at_unix_ms: u64,
}

/// What was known of a request when it was ruled on: enough to rule on it again under another policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestJudged {
    /// Which question.
    pub query_id: String,
    /// What was asked for.
    pub action: Action,
    /// Attribute and value.
    pub facts: Vec<(String, RecordedFact)>,
}

/// Which part of an answer's charge its question's embedding took, and at which provider. Repeats whose charge it is, so
/// that rows of spend are folded without looking back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EmbeddingCharged {
    /// Which question.
    pub query_id: String,
    /// Domain the question named.
    pub domain: Option<String>,
    /// Use case the question named.
    pub usecase: Option<String>,
    /// Key that asked.
    pub key_id: String,
    /// User that asked, where the key names one.
    pub user_id: Option<String>,
    /// Which model answered: the whole charge stands under its name.
    pub answered_by: ModelUsed,
    /// Provider that embedded.
    pub provider: String,
    /// Model that embedded.
    pub model: String,
    /// What the embedding cost.
    pub charged: NanoUsd,
    /// Tokens of the question.
    pub prompt_tokens: u64,
    /// When the answer was cleared: the time its charge is booked at.
    pub cleared_unix_ms: u64,
}

/// To which domain and use case a charge belongs. Written only where the question named one of them and something was
/// used. The charge is booked by the answer's record; this one repeats its figures, so that accounts by domain and by
/// use case are folded without looking back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChargeAttributed {
    /// Which question.
    pub query_id: String,
    /// Domain the question named.
    pub domain: Option<String>,
    /// Use case the question named.
    pub usecase: Option<String>,
    /// Key that asked.
    pub key_id: String,
    /// User that asked, where the key names one.
    pub user_id: Option<String>,
    /// Provider's name in the catalogue.
    pub provider: String,
    /// Model's name.
    pub model: String,
    /// What was charged.
    pub charged: NanoUsd,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// When the question was admitted.
    pub admitted_unix_ms: u64,
    /// When the answer was cleared: the time its charge is booked at.
    pub cleared_unix_ms: u64,
}

/// What a call under an `Idempotency-Key` ended with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReplyKept {
    /// Which question.
    pub query_id: String,
    /// Key that asked: the same `Idempotency-Key` of another key is another one.
    pub key_id: String,
    /// The `Idempotency-Key`.
    pub idempotency_key: String,
    /// SHA-256 of what was asked, in its canonical form.
    pub matter_sha256: [u8; 32],
    /// When it was cleared; it is kept from then on.
    pub at_unix_ms: u64,
    /// Records the reply itself takes, this one included.
    pub parts: u32,
    /// Records of the answer, which stand right before this one: the first of them is what the receipt names.
    pub answer_records: u32,
    /// The outcome as JSON, up to where [`Entry::ReplyContinued`] goes on.
    pub text: String,
}

/// Further chunks of an answer, with what their lineage lines need.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AnswerCited {
    /// Which question.
    pub query_id: String,
    /// The chunks, in order.
    pub cited: Vec<LineageChunk>,
    /// Which model answered.
    pub model: ModelUsed,
    /// Policy it was cleared under.
    pub policy_version: String,
    /// When it was cleared.
    pub cleared_unix_ms: u64,
}

/// A document as accepted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DocumentAccepted {
    /// Stable id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Source URL, or `upload.local/<file name>`.
    pub source: String,
    /// Domain.
    pub domain: String,
    /// Use case.
    pub usecase: String,
    /// Region the document belongs to.
    pub region: String,
    /// SHA-256 of the extracted text, in hexadecimal.
    pub text_sha256: String,
    /// Bytes of the original.
    pub bytes: u64,
    /// Characters of the text.
    pub chars: u64,
    /// Chunks it was cut into.
    pub chunks: u32,
    /// First character of each page after the first, for paged documents.
    pub page_starts: Vec<u64>,
    /// Detached signature, where one came with it.
    pub signature: Option<String>,
    /// Free metadata, JSON.
    pub metadata_json: String,
    /// When.
    pub at_unix_ms: u64,
    /// By whose key.
    pub by: String,
}

/// One cited (or retrieved) chunk in the lineage of an answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LineageChunk {
    /// The document.
    pub source_id: String,
    /// The chunk.
    pub chunk_id: String,
    /// Trust score of the document.
    pub trust_score: f64,
    /// Domain of the document.
    pub domain: String,
    /// Use case of the document.
    pub usecase: String,
}

/// An answer as it was given. Carries its charge: one record, one charge.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AnswerRecorded {
    /// Which question.
    pub query_id: String,
    /// `ask`, `chat` or `embed`.
    pub kind: String,
    /// The question, or an empty text for passed-through calls.
    pub question: String,
    /// The answer, or an empty text for passed-through calls.
    pub answer: String,
    /// True where it abstained.
    pub abstained: bool,
    /// Chunks cited, in order.
    pub cited: Vec<LineageChunk>,
    /// Which model answered.
    pub model: ModelUsed,
    /// Tokens and the money charged.
    pub usage: Usage,
    /// Part of the charge above what was held, because the provider reported more.
    pub overrun: NanoUsd,
    /// Policy it was cleared under.
    pub policy_version: String,
    /// Key that asked.
    pub key_id: String,
    /// User that asked, where the key names one.
    pub user_id: Option<String>,
    /// When it was admitted.
    pub admitted_unix_ms: u64,
    /// When it was cleared.
    pub cleared_unix_ms: u64,
    /// `Idempotency-Key`, where one was sent.
    pub idempotency_key: Option<String>,
    /// True where the asker hung up before the end.
    pub cut_short: bool,
}

/// Feedback on an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FeedbackGiven {
    /// Which question.
    pub query_id: String,
    /// True for up.
    pub up: bool,
    /// Words.
    pub comment: Option<String>,
    /// What the answer should have been.
    pub correct_answer: Option<String>,
    /// When.
    pub at_unix_ms: u64,
    /// By whose key.
    pub by: String,
}
