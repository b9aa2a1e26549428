//! What comes in by the three doors and what goes out again: plain data, shared by all rooms of one tenant.
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::redaction::Redactions;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// What a turn is about.
#[derive(Clone, PartialEq, Debug)]
pub enum Matter {
    /// A question to be answered from the tenant's documents.
    Ask(Question),
    /// A search of the tenant's documents; answers with hits.
    Search(Search),
    /// A chat completion passed through to a model, in OpenAI's body. Boxed: it is by far the largest.
    Chat(Box<Chat>),
    /// Embeddings passed through to a model, in OpenAI's body.
    Embed(Box<serde_json::Value>),
    /// Texts ranked by how well they answer a question, by a model made for that. Only the tenant's own retrieval asks for it.
    Rank(Box<Ranking>),
}

impl Matter {
    /// Bytes of its words; of a body, those of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ask(question) => {
                let told = question.earlier.iter().map(|one| one.question.len().saturating_add(one.answer.len()));
                told.fold(question.text.len(), usize::saturating_add)
            }
            Self::Search(search) => search.query.len(),
            Self::Chat(chat) => bytes_of(&chat.body),
            Self::Embed(body) => bytes_of(body),
            Self::Rank(ranking) => {
                ranking.documents.iter().map(String::len).fold(ranking.query.len(), usize::saturating_add)
            }
        }
    }

    /// Leaves nothing of it but what somebody reads who is asked about it: the question without its conversation.
    pub fn stand_alone(&mut self) {
        if let Self::Ask(question) = self {
            question.earlier = Arc::default();
        }
    }
}

fn bytes_of(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().fold(0, |sum, item| sum.saturating_add(bytes_of(item))),
        Value::Object(fields) => {
            fields.iter().fold(0, |sum, (key, field)| sum.saturating_add(key.len()).saturating_add(bytes_of(field)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// What an asker wants of the answer cache (RFC 9111 `Cache-Control`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheControl {
    /// An answer that was given before will do.
    #[default]
    Default,
    /// Answer anew; the answer may be remembered.
    NoCache,
    /// Answer anew and remember nothing.
    NoStore,
}

impl CacheControl {
    /// Reads the directives of a `Cache-Control` header; unknown ones mean nothing here, and the strictest wins.
    #[must_use]
    pub fn parse(directives: &str) -> Self {
        let has = |wanted: &str| directives.split(',').any(|directive| directive.trim().eq_ignore_ascii_case(wanted));
        match (has("no-store"), has("no-cache")) {
            (true, _) => Self::NoStore,
            (false, true) => Self::NoCache,
            (false, false) => Self::Default,
        }
    }
}

/// A question.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Question {
    /// The question, checked for length and content at the edge.
    pub text: String,
    /// Only documents of this domain.
    pub domain: Option<String>,
    /// Only documents of this use case.
    pub usecase: Option<String>,
    /// Passages taken into the answer; the policy's number where absent.
    pub top_k: Option<usize>,
    /// What a model is told of its conversation, oldest first: as much as the policy lets be told, and nothing that was given
    /// from a document its asker may not find now.
    pub earlier: Arc<[Exchange]>,
}

/// A question asked before in the same conversation, and what was answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exchange {
    /// The question, whole.
    pub question: String,
    /// The answer as it was told; empty where there is none.
    pub answer: String,
    /// Names that call; empty where the answer came with the question.
    pub query_id: String,
    /// The documents a model read for it, each in the version it read; none where the answer came with the question.
    pub rests_on: Vec<(String, u64)>,
}

impl Exchange {
    /// Characters of question and answer.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.question.chars().count().saturating_add(self.answer.chars().count())
    }
}

/// A search.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Search {
    /// The query.
    pub query: String,
    /// Only documents of this domain.
    pub domain: Option<String>,
    /// Only documents of this use case.
    pub usecase: Option<String>,
    /// Hits wanted.
    pub top_k: Option<usize>,
}

/// A chat completion in OpenAI's shape.
#[derive(Clone, PartialEq, Debug)]
pub struct Chat {
    /// The model asked for.
    pub model: String,
    /// The body as it came, an object; unknown fields are passed on.
    pub body: serde_json::Value,
    /// Most tokens the answer may have, from the body or the route.
    pub max_tokens: Option<u32>,
}

/// Texts to be ranked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ranking {
    /// The model that ranks.
    pub model: String,
    /// The question they are to answer.
    pub query: String,
    /// The texts.
    pub documents: Vec<String>,
}

/// A piece of a document as retrieved. Offsets are characters of the extracted text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Passage {
    /// The document.
    pub document_id: String,
    /// The chunk within the document, `<document_id>#<n>`.
    pub chunk_id: String,
    /// The document's title.
    pub title: String,
    /// Where the document came from.
    pub source: String,
    /// The chunk's text.
    pub text: String,
    /// First character of the chunk in the document's text.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// Page of a paged document, from 1.
    pub page: Option<u32>,
    /// BM25 score; of a search by words and meaning, what both come to, 0 to 1.
    pub score: f32,
    /// Trust score (0 to 1) the guard gave the document.
    pub trust_score: f64,
    /// Domain.
    pub domain: String,
    /// Use case.
    pub usecase: String,
    /// The document's version: the journal position this version was accepted at, `seq` of its upload.
    pub version: u64,
    /// SHA-256 of the document's text, in hexadecimal: documents of one text are one source. Told to nobody.
    #[serde(skip)]
    pub document_sha256: String,
}

/// One citation of an answer. `start..end` are characters of the document's text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Citation {
    /// The marker in the answer's text, such as `[1]`.
    pub marker: String,
    /// The document.
    pub document_id: String,
    /// The chunk.
    pub chunk_id: String,
    /// The document's title.
    pub title: String,
    /// Where the document came from.
    pub source: String,
    /// The words cited.
    pub snippet: String,
    /// First character of the snippet in the document's text.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// Page of a paged document, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Trust score (0 to 1) of the document.
    pub trust_score: f64,
}

impl Passage {
    /// The same, without these forms of personal data.
    #[must_use]
    pub fn redacted(&self, redactions: Redactions) -> Self {
        let (title, text) = (redactions.redact(&self.title), redactions.redact(&self.text));
        Self { title: title.into_owned(), text: text.into_owned(), ..self.clone() }
    }
}

impl Citation {
    /// Takes these forms of personal data out of it.
    pub fn redact(&mut self, redactions: Redactions) {
        for words in [&mut self.title, &mut self.snippet] {
            if let Cow::Owned(redacted) = redactions.redact(words) {
                *words = redacted;
            }
        }
    }
}

/// Which model answered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ModelUsed {
    /// Provider's name in the catalogue.
    pub provider: String,
    /// Model's name.
    pub name: String,
    /// Region the provider runs in.
    pub region: String,
    /// True where the fallback answered.
    pub fallback: bool,
}

/// Tokens and money of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// What was charged.
    #[serde(rename = "cost_usd")]
    pub cost: NanoUsd,
}

/// A grounded answer as the native routes give it (contract §2).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Answer {
    /// Names the question from here to its lineage.
    pub query_id: String,
    /// The answer's text with its markers; a sentence saying why not where `abstained`.
    pub answer: String,
    /// True where nothing supports an answer.
    pub abstained: bool,
    /// Why it abstained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Citations, in order of first use.
    pub citations: Vec<Citation>,
    /// Mean trust score of the cited documents; 0 without citations.
    pub trust_score: f64,
    /// Which model answered.
    pub model: ModelUsed,
    /// Tokens and money.
    pub usage: Usage,
    /// Policy the answer was cleared under.
    pub policy_version: String,
    /// Position and chain hash of the answer's journal record: `bwr1.<position>.<hash>`.
    pub receipt: String,
    /// What came of it otherwise than the tenant wants it, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// True where the model said more than it was asked for: the answer ends where the tokens held for it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended_by_length: bool,
}

/// What a cleared turn answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// To [`Matter::Ask`].
    Answer(Box<Answer>),
    /// To [`Matter::Search`].
    Hits(Arc<[Passage]>),
    /// To [`Matter::Chat`], [`Matter::Embed`] and [`Matter::Rank`].
    Completion(Box<Completion>),
}

/// A passed-through completion.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Completion {
    /// Names the call from here to its lineage.
    pub query_id: String,
    /// OpenAI's body; for a stream, the last chunk with usage.
    pub body: serde_json::Value,
    /// Which model answered.
    pub model: ModelUsed,
    /// Tokens and money.
    pub usage: Usage,
    /// Policy it was cleared under.
    pub policy_version: String,
    /// Position and chain hash of its journal record.
    pub receipt: String,
}

/// One frame of a streamed reply. Frames of a turn arrive in order; the last one is the reply itself.
#[derive(Clone, PartialEq, Debug)]
pub enum Frame {
    /// The passages that may be cited, before the first word.
    Citations(Vec<Citation>),
    /// Words of a grounded answer.
    Delta(String),
    /// A chunk of a passed-through stream, in OpenAI's shape.
    Chunk(serde_json::Value),
}
