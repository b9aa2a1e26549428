//! What the retrieval room takes and gives. Plain data.
use super::dense::DenseView;
use super::upload::UploadPermit;
use crate::bucket::BucketView;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::{Judged, Learnt};
use bailiwick_policy::golden::Golden;
use bailiwick_policy::rehearsal::GoldenSearch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A document as it comes in.
#[derive(Clone, PartialEq, Debug)]
pub struct NewDocument {
    /// The caller's id; derived from source and title where absent, so that re-ingest finds the same document.
    pub id: Option<String>,
    /// Title; taken from the content or the file name where absent.
    pub title: Option<String>,
    /// What it is made of.
    pub content: Content,
    /// Source URL.
    pub source: Option<String>,
    /// Domain; `general` where absent.
    pub domain: Option<String>,
    /// Use case; `general` where absent.
    pub usecase: Option<String>,
    /// Region; the tenant's home where absent.
    pub region: Option<String>,
    /// Detached signature over the content's bytes.
    pub signature: Option<String>,
    /// Free metadata; a JSON object.
    pub metadata: Option<serde_json::Value>,
}

/// The content of a new document.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// Text as it is.
    Text(String),
    /// A file to be parsed by its name's ending and its first bytes.
    File {
        /// Name as sent; only its last component is used.
        name: String,
        /// Bytes.
        bytes: bytes::Bytes,
    },
}

/// Asks for a place for one upload, before its body is read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AdmitUpload {
    /// Where the answer goes; `overloaded` where as many uploads as one tenant may have are under way.
    pub reply: ReplySlot<UploadPermit>,
}

/// Takes documents in. Answers when they are durable; each document stands or falls alone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct IngestDocuments {
    /// The place of this upload.
    pub permit: UploadPermit,
    /// The documents.
    pub documents: Vec<NewDocument>,
    /// Who brings them.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<Ingested>>,
}

/// What became of one document.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ingested {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Chunks it was cut into.
    pub chunks: u32,
    /// Journal position of its record; the earlier one where it was unchanged.
    pub seq: u64,
    /// What became of it.
    pub state: DocumentState,
    /// Why it failed or stays out of retrieval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The stable code, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// State of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Durable; searchable within a second.
    Accepted,
    /// The same content was here already.
    Unchanged,
    /// Durable and searchable.
    Indexed,
    /// Durable, kept out of retrieval by the guard.
    Quarantined,
    /// Not taken.
    Failed,
}

/// A document as listed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DocumentView {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it came from.
    pub source: String,
    /// Domain.
    pub domain: String,
    /// Use case.
    pub usecase: String,
    /// Region.
    pub region: String,
    /// Chunks.
    pub chunks: u32,
    /// Characters.
    pub chars: u64,
    /// Bytes of the original.
    pub bytes: u64,
    /// Trust score under the guard in force.
    pub trust_score: f64,
    /// State under the guard in force.
    pub state: DocumentState,
    /// Why it is kept out, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Journal position.
    pub seq: u64,
    /// SHA-256 of the text.
    pub text_sha256: String,
    /// RFC 3339.
    pub created_at: String,
    /// Free metadata.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub metadata: serde_json::Value,
}

/// Lists documents in id order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ListDocuments {
    /// Start after this id.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<DocumentView>>,
}

/// From the tenant's bucket: the documents taken in under a key of the house's own, in id order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ListTakenIn {
    /// Under which key.
    pub by: &'static str,
    /// Start after this id.
    pub after: Option<String>,
    /// Where the answer goes.
    pub reply: ReplySlot<TakenInPortion>,
}

/// Documents taken in under a key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TakenInPortion {
    /// What is known of them.
    pub documents: Vec<TakenIn>,
    /// Where to go on; nothing at the end.
    pub next: Option<String>,
}

/// A document as whoever took it in wants to know it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenIn {
    /// Its id.
    pub id: String,
    /// Its metadata as JSON.
    pub metadata_json: String,
}

/// Shows one document with its text.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ShowDocument {
    /// Which.
    pub id: String,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where there is none.
    pub reply: ReplySlot<(DocumentView, String)>,
}

/// Removes one document: invisible when answered, its body gone from the store.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RemoveDocument {
    /// Which.
    pub id: String,
    /// Who removes it.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where there is none.
    pub reply: ReplySlot<()>,
}

/// From the supervisor: which documents golden questions find, under the policy in force and under another one, each by the
/// searches it would use. Changes nothing; where one of them searches by meaning, the questions are embedded.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SearchGolden {
    /// The policy in force.
    pub before: Arc<PolicySnapshot>,
    /// The other one.
    pub after: Arc<PolicySnapshot>,
    /// The questions.
    pub golden: Vec<Golden>,
    /// Where the answer goes.
    pub reply: ReplySlot<GoldenSearch>,
}

/// From the supervisor: questions of which it is known what answers them, searched by words and by meaning, once each. Says
/// whether both together are better than words alone and, where the policy wants that and nobody took it back, learns the weight
/// of the second anew.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct JudgeDense {
    /// Golden questions: they are judged by, and learnt from.
    pub golden: Vec<Golden>,
    /// Questions with the documents of answers somebody accepted: they are learnt from.
    pub accepted: Vec<Golden>,
    /// By whose key.
    pub by: String,
    /// Where the answer goes, once it is durable.
    pub reply: ReplySlot<DenseJudgement>,
}

/// What questions came to for the search by meaning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DenseJudgement {
    /// Both together against words alone; nothing where the tenant wants no search by meaning.
    pub judged: Option<Judged>,
    /// The weight; nothing where nothing is to be learnt.
    pub learnt: Option<Learnt>,
}

/// What somebody wants of the learnt weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeightOrder {
    /// The policy's weight, and nothing is learnt from now on.
    TakeBack,
    /// It may be learnt again, from the next evaluation on; until then the policy's.
    Allow,
}

/// Right `Govern`: what is to become of the learnt weight.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SteerWeight {
    /// What is wanted.
    pub order: WeightOrder,
    /// By whose key.
    pub by: String,
    /// Where the answer goes, once it is durable; `conflict` where the policy wants no search by meaning.
    pub reply: ReplySlot<Learnt>,
}

/// Judges every document anew under another policy; answers when the index serves under it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Rejudge {
    /// The policy.
    pub policy: Arc<PolicySnapshot>,
    /// Where the answer goes.
    pub reply: ReplySlot<()>,
}

/// Other rules are in force under the guard in force: quotas, regions, retention.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AdoptRules(pub Arc<PolicySnapshot>);

/// Closes reader and writer; the next knock wakes them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Passivate;

/// Asks for the room's figures.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MeasureCorpus {
    /// Where the answer goes.
    pub reply: ReplySlot<CorpusFigures>,
}

/// Figures of the room.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CorpusFigures {
    /// Documents kept.
    pub documents: u64,
    /// Bytes of the originals.
    pub bytes: u64,
    /// Documents searchable.
    pub searchable: u64,
    /// Segments of the index.
    pub segments: u64,
    /// True where reader and writer are closed.
    pub passive: bool,
    /// The search by meaning, where the tenant wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<DenseView>,
    /// The bucket documents are taken in from, where the tenant names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketView>,
}
