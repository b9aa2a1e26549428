//! Pure rules of the answer cache: what is looked up and under which key, what is fit to be remembered, and what a
//! remembered answer is when it is given again.
//!
//! The key holds everything that decides an answer. A grounded answer rests on its passages and on nothing else of the
//! corpus, so the passages themselves stand in the key, as they were retrieved a moment ago: a document that came, went or
//! changed changes them, or changes nothing about the answer. They are also what the exit verifies the citations against.
use crate::digest::{Canon, MatterDigest};
use crate::question::{CacheControl, Matter, ModelUsed, Passage};
use crate::turn::{Draft, DraftContent};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::{CACHE_PROVIDER, CacheRules, ExactCacheRules};
use std::fmt;

/// Bytes of an entry beside its words.
const ENTRY_BYTES: usize = 256;

/// What an answer answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", crate::digest::short(&self.0))
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

/// Decides about a turn by the tenant's rules and the asker's wish.
#[must_use]
pub fn course(rules: Option<&ExactCacheRules>, matter: &Matter, wish: CacheControl) -> Course {
    match (rules, matter, wish) {
        (None, _, _) | (_, Matter::Search(_), _) => Course::Pass,
        (Some(_), _, CacheControl::NoStore) => Course::Bypass,
        (Some(_), _, CacheControl::NoCache) => Course::Refresh,
        (Some(_), _, CacheControl::Default) => Course::Look,
    }
}

/// The tenant's rules of the exact cache; nothing where it wants none.
#[must_use]
pub fn exact(policy: &PolicySnapshot) -> Option<&ExactCacheRules> {
    policy.router.cache.as_ref().and_then(|CacheRules { exact }| exact.as_ref())
}

/// The key of a turn: kind and canonical body of the matter, the passages it rests on, every file of the policy (with the
/// router's models, temperatures and limits), and whose documents may be seen.
#[must_use]
pub fn key(matter: &Matter, passages: &[Passage], policy: &PolicySnapshot, principal: &Principal) -> Key {
    let mut canon = Canon::new("exact");
    canon.bytes(&MatterDigest::of(matter).0);
    canon.text(&policy.digest);
    canon.text(view_of(principal));
    for Passage {
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
    } in passages
    {
        for words in [document_id, chunk_id, title, source, text, domain, usecase] {
            canon.text(words);
        }
        canon.text(&format!("{start} {end} {page:?} {trust_score}"));
    }
    Key(canon.finish())
}

/// Which documents somebody may see. Today every key of a tenant sees the same ones; where visibility comes to depend on
/// a role or a user, this is the one place that must say so.
fn view_of(_everybody: &Principal) -> &'static str {
    "tenant"
}

/// Whether an answer may be given again: whole, allowed, and not a lesser one given only while the first choice failed.
#[must_use]
pub fn is_fit(draft: &Draft) -> bool {
    !draft.cut_short && draft.rejection.is_none() && !draft.model.fallback && draft.model.provider != CACHE_PROVIDER
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
        rejection: None,
    }
}
