//! Pure rules of the answer cache: what is looked up and under which key, what is fit to be remembered, and what a
//! remembered answer is when it is given again.
//!
//! The key holds everything that decides an answer. A grounded answer rests on its passages and on nothing else of the
//! corpus, so the passages themselves stand in the key, as they were retrieved a moment ago: a document that came, went or
//! changed changes them, or changes nothing about the answer. They are also what the exit verifies the citations against.
use crate::digest::{Canon, MatterDigest};
use crate::question::{CacheControl, Matter, ModelUsed, Passage, Question};
use crate::ruling::Ruled;
use crate::turn::{Draft, DraftContent};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::{CACHE_PROVIDER, CacheRules, ExactCacheRules, SemanticCacheRules};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Bytes of an entry beside its words.
const ENTRY_BYTES: usize = 256;

/// What an answer answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// What it is told by to whom it is no secret.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", crate::digest::short(&self.0))
    }
}

/// Which questions one question's answer may come from: those of the same kind, filters, policy and view.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partition([u8; 32]);

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({})", crate::digest::short(&self.0))
    }
}

/// A passage as an answer rests on it: everything of it but how well it was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Support([u8; 32]);

impl Support {
    /// Of a passage.
    #[must_use]
    pub fn of(passage: &Passage) -> Self {
        let mut canon = Canon::new("support");
        rest_on(&mut canon, passage);
        Self(canon.finish())
    }
}

impl fmt::Debug for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Support({})", crate::digest::short(&self.0))
    }
}

/// What is done about a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// The tenant has no cache, or the matter is none for it.
    Pass,
    /// Answer anew, and remember.
    Refresh,
    /// Answer anew, and remember nothing.
    Bypass,
    /// Look; where it is not known, answer anew and remember.
    Look,
}

/// Decides about a turn by the tenant's rules and the asker's wish. Only questions from documents are looked up by meaning:
/// of a passed-through call nothing tells whether its answer would suit another one.
#[must_use]
pub fn course(rules: Option<&CacheRules>, matter: &Matter, wish: CacheControl) -> Course {
    let is_cached = rules.is_some_and(|CacheRules { exact, semantic }| {
        exact.is_some() || (semantic.is_some() && matches!(matter, Matter::Ask(_)))
    });
    match (matter, wish) {
        (Matter::Search(_), _) => Course::Pass,
        _ if !is_cached => Course::Pass,
        (_, CacheControl::NoStore) => Course::Bypass,
        (_, CacheControl::NoCache) => Course::Refresh,
        (_, CacheControl::Default) => Course::Look,
    }
}

/// The tenant's rules of the exact cache; nothing where it wants none.
#[must_use]
pub fn exact(policy: &PolicySnapshot) -> Option<&ExactCacheRules> {
    policy.router.cache.as_ref().and_then(|rules| rules.exact.as_ref())
}

/// The tenant's rules of the semantic cache; nothing where it wants none.
#[must_use]
pub fn semantic(policy: &PolicySnapshot) -> Option<&SemanticCacheRules> {
    policy.router.cache.as_ref().and_then(|rules| rules.semantic.as_ref())
}

/// The partition of a question: everything that must be equal however near two questions come. Every file of the policy is
/// in it, and so are the router's models and the one that embeds.
#[must_use]
pub fn partition(question: &Question, policy: &PolicySnapshot, ruled: &Ruled) -> Partition {
    let Question { text: _, domain, usecase, top_k, earlier } = question;
    let mut canon = Canon::new("semantic");
    canon.text(&policy.digest);
    canon.text(&ruled.view(policy));
    canon.scoped("", domain.as_deref(), usecase.as_deref(), *top_k);
    // whatever two questions mean, what was said before decides what is answered
    canon.told(earlier);
    Partition(canon.finish())
}

/// The key of a turn: kind and canonical body of the matter, the passages it rests on, every file of the policy (with the
/// router's models, temperatures and limits), and what of the asker decides which answers they may be given.
#[must_use]
pub fn key(matter: &Matter, passages: &[Passage], policy: &PolicySnapshot, ruled: &Ruled) -> Key {
    let mut canon = Canon::new("exact");
    canon.bytes(&MatterDigest::of(matter).0);
    canon.text(&policy.digest);
    canon.text(&ruled.view(policy));
    passages.iter().for_each(|passage| rest_on(&mut canon, passage));
    Key(canon.finish())
}

fn rest_on(canon: &mut Canon, passage: &Passage) {
    let Passage {
        document_id,
        chunk_id,
        title,
        source,
        text,
        start,
        end,
        page,
        score: _,
        trust_score,
        domain,
        usecase,
        // the same words, wherever their document stands in the journal
        version: _,
        // which documents are copies is asked of the passages of the turn
        document_sha256: _,
    } = passage;
    for words in [document_id, chunk_id, title, source, text, domain, usecase] {
        canon.text(words);
    }
    canon.text(&format!("{start} {end} {page:?} {trust_score}"));
}

/// Whether an answer may be given again: whole, allowed, and not a lesser one given only while the first choice failed.
#[must_use]
pub fn is_fit(draft: &Draft) -> bool {
    let is_whole = !draft.cut_short && !draft.ended_by_length && draft.rejection.is_none();
    is_whole && !draft.model.fallback && draft.model.provider != CACHE_PROVIDER
}

/// Bytes an answer takes.
#[must_use]
pub fn bytes_of(draft: &Draft) -> usize {
    let words = match &draft.content {
        DraftContent::Grounded { text, spans } => text.len().saturating_add(spans.len().saturating_mul(32)),
        DraftContent::Abstained { reason } => reason.len(),
        // parsed, a body takes about three times its text
        DraftContent::Completion(body) => body.to_string().len().saturating_mul(3),
    };
    words.saturating_add(ENTRY_BYTES)
}

/// A remembered answer as it is given again: it used no tokens, and its record says where it came from.
#[must_use]
pub fn given_again(draft: &Draft) -> Draft {
    let ModelUsed { provider, name, region, .. } = &draft.model;
    Draft {
        content: draft.content.clone(),
        prompt_tokens: 0,
        completion_tokens: 0,
        model: ModelUsed {
            provider: CACHE_PROVIDER.to_owned(),
            name: format!("{provider}/{name}"),
            region: region.clone(),
            fallback: false,
        },
        cut_short: false,
        ended_by_length: false,
        rejection: None,
    }
}

/// An answer as it is kept outside, before it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    until_unix_ms: u64,
    model: ModelUsed,
    content: KeptContent,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptContent {
    Grounded { text: String, spans: Vec<(usize, Range<usize>)> },
    Abstained { reason: String },
    Completion(serde_json::Value),
}

/// What was kept outside, opened.
#[derive(Clone, PartialEq, Debug)]
pub enum Opened {
    /// An answer that may be given again.
    Known(Box<Draft>),
    /// Its time is over.
    TooOld,
}

/// An answer as it is kept outside; nothing where it cannot be written.
#[must_use]
pub fn written(draft: &Draft, until_unix_ms: u64) -> Option<Vec<u8>> {
    let content = match draft.content.clone() {
        DraftContent::Grounded { text, spans } => KeptContent::Grounded { text, spans },
        DraftContent::Abstained { reason } => KeptContent::Abstained { reason },
        DraftContent::Completion(body) => KeptContent::Completion(body),
    };
    serde_json::to_vec(&Kept { until_unix_ms, model: draft.model.clone(), content }).ok()
}

/// What was kept outside; nothing where it is not what is written there. It used no tokens this time.
#[must_use]
pub fn read(plain: &[u8], now_unix_ms: u64) -> Option<Opened> {
    let Kept { until_unix_ms, model, content } = serde_json::from_slice(plain).ok()?;
    let content = match content {
        KeptContent::Grounded { text, spans } => DraftContent::Grounded { text, spans },
        KeptContent::Abstained { reason } => DraftContent::Abstained { reason },
        KeptContent::Completion(body) => DraftContent::Completion(body),
    };
    let draft = Draft {
        content,
        prompt_tokens: 0,
        completion_tokens: 0,
        model,
        cut_short: false,
        ended_by_length: false,
        rejection: None,
    };
    Some(if now_unix_ms < until_unix_ms { Opened::Known(Box::new(draft)) } else { Opened::TooOld })
}
